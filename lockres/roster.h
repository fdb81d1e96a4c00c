/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Who took part, and whether that is over: of each configured node the newest process
 * that was in a quorate configuration. Every node keeps one over its restarts, so that
 * a cluster that begins anew knows who may still live (M8, lock_manager.h). Pure.
 *
 * What was noted on a later ring is newer: any two quorate configurations share a node,
 * so that their rings have one order.
 *
 * As bytes, little endian: count u8, count x (node u32, flags u8: 1 over, process u64,
 * ring seq noted on u64, and seen on u64). A node that is not in them was never met.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "totem/nodes.h"

struct rd;
struct wr;

struct roster_entry {
	uint64_t incarnation; /* process of the node */
	uint64_t noted_on;    /* ring seq, where it came, or was found to be over */
	uint64_t seen_on;     /* the last one: what happened there, it may know alone */
	bool is_over;         /* it left, or was proven dead */
};

struct roster {
	struct roster_entry of[TOTEM_MAX_NODES]; /* by index */
};

enum { ROSTER_ENTRY_BYTES = 4 + 1 + 8 + 8 + 8,
       ROSTER_MAX_BYTES = 1 + TOTEM_MAX_NODES * ROSTER_ENTRY_BYTES };

/* Nothing is remembered, not even that nobody was met: all may be alive somewhere. */
struct roster roster_blank(void);
/* What is newer in `other` counts; the same in any order. */
void roster_merge(struct roster *r, const struct roster *other);
bool roster_is_equal(const struct roster *a, const struct roster *b);
/* In a quorate configuration of that ring. */
void roster_note_here(struct roster *r, int node, uint64_t incarnation, uint64_t ring_seq);
/* This process of the node, and those before it. False: a later one is noted, or that was known. */
bool roster_note_over(struct roster *r, int node, uint64_t incarnation, uint64_t ring_seq);
/* It may still act on what it was granted when all this was different. */
bool roster_is_open(const struct roster *r, int node);
/* This process was over when others went on, after the ring of that number. */
bool roster_is_outlived(const struct roster *r, int node, uint64_t incarnation,
			uint64_t ring_seq);

void roster_write(struct wr *wr, const struct roster *r, const struct node_table *nodes);
/* Nodes that are not in the table any more are left out. False: damaged. */
bool roster_read(struct rd *rd, struct roster *r, const struct node_table *nodes);
