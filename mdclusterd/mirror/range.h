/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Regions that are being changed, so that changes which overlap take effect one after
 * the other (A3): in the order of ranges_add(). Pure, without allocation.
 *
 *	R1  A range waits for those overlapping ones that were added before it, and for
 *	    nobody else.
 *	R2  It goes when the last of these was removed, and is told so once.
 *
 * A treap by lower end, each node with the highest upper end below it: whoever overlaps
 * is found in O(log n) each, nodes are embedded in what they are of, so there is nothing
 * to allocate, no limit, and no array of buckets whose width would have to be guessed.
 * Priorities are a hash of the sequence number: no random source is needed.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include <qb/qblist.h>

struct range {
	uint64_t low, high;      /* [low, high), low < high; the owner's, before add */

	uint64_t seq;            /* in the order of adding */
	uint64_t priority;
	uint64_t max_high;       /* of the tree below, itself too */
	struct range *left, *right;
	uint32_t blocked;        /* by so many earlier ones */
	bool is_in;
	struct qb_list_head link; /* in lists of these calls; the owner's otherwise */
};

struct ranges {
	struct range *root;
	uint64_t seq;
	uint32_t count;
};

static inline bool ranges_do_overlap(uint64_t low, uint64_t high, uint64_t other_low,
				     uint64_t other_high)
{
	return low < other_high && other_low < high;
}

/* True: it may go at once. */
bool ranges_add(struct ranges *ranges, struct range *range);
/* Those that may go now are added to `freed`, in order, by their links. */
void ranges_remove(struct ranges *ranges, struct range *range,
		   struct qb_list_head *freed);
/* Stops, and returns true, when `is_it` does; it must not change the ranges. */
bool ranges_find(const struct ranges *ranges, uint64_t low, uint64_t high,
		 bool (*is_it)(struct range *range, void *context), void *context);
