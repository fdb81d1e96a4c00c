/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Nodes and sets of nodes.
 *
 * A node is known by its id (u32, not 0) on the wire and by its index in the
 * configuration inside: the configured ids, ascending, 0..count-1. A set is two
 * words of bits over indexes, so that the set algebra of membership is cheap
 * and total: at most 128 nodes.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum { TOTEM_MAX_NODES = 128, TOTEM_NO_INDEX = -1 };

struct node_set {
	uint64_t bits[TOTEM_MAX_NODES / 64];
};

/* The configured nodes: ids ascending, without duplicates. */
struct node_table {
	uint32_t ids[TOTEM_MAX_NODES];
	int count;
};

/* Index of an id, or TOTEM_NO_INDEX for a node that is not configured. */
static inline int node_index(const struct node_table *table, uint32_t id)
{
	int low = 0, high = table->count - 1;

	while (low <= high) {
		int mid = (low + high) / 2;

		if (table->ids[mid] == id)
			return mid;
		if (table->ids[mid] < id)
			low = mid + 1;
		else
			high = mid - 1;
	}
	return TOTEM_NO_INDEX;
}

static inline bool set_has(const struct node_set *s, int index)
{
	return s->bits[index / 64] >> (index % 64) & 1;
}

static inline void set_add(struct node_set *s, int index)
{
	s->bits[index / 64] |= 1ull << (index % 64);
}

static inline void set_remove(struct node_set *s, int index)
{
	s->bits[index / 64] &= ~(1ull << (index % 64));
}

static inline void set_put(struct node_set *s, int index, bool is_in)
{
	if (is_in)
		set_add(s, index);
	else
		set_remove(s, index);
}

static inline struct node_set set_of(int index)
{
	struct node_set s = { { 0 } };

	set_add(&s, index);
	return s;
}

static inline struct node_set set_union(struct node_set a, struct node_set b)
{
	a.bits[0] |= b.bits[0];
	a.bits[1] |= b.bits[1];
	return a;
}

static inline struct node_set set_minus(struct node_set a, struct node_set b)
{
	a.bits[0] &= ~b.bits[0];
	a.bits[1] &= ~b.bits[1];
	return a;
}

static inline struct node_set set_and(struct node_set a, struct node_set b)
{
	a.bits[0] &= b.bits[0];
	a.bits[1] &= b.bits[1];
	return a;
}

static inline bool set_equal(struct node_set a, struct node_set b)
{
	return a.bits[0] == b.bits[0] && a.bits[1] == b.bits[1];
}

static inline bool set_is_empty(struct node_set s)
{
	return (s.bits[0] | s.bits[1]) == 0;
}

static inline bool set_is_subset(struct node_set part, struct node_set whole)
{
	return set_is_empty(set_minus(part, whole));
}

static inline int set_count(struct node_set s)
{
	return __builtin_popcountll(s.bits[0]) + __builtin_popcountll(s.bits[1]);
}

/* Lowest index at or above `from`, or TOTEM_NO_INDEX. */
static inline int set_next(struct node_set s, int from)
{
	int word = from / 64;
	uint64_t left;

	if (from >= TOTEM_MAX_NODES)
		return TOTEM_NO_INDEX;
	left = s.bits[word] >> (from % 64) << (from % 64);
	while (left == 0) {
		if (++word == TOTEM_MAX_NODES / 64)
			return TOTEM_NO_INDEX;
		left = s.bits[word];
	}
	return word * 64 + __builtin_ctzll(left);
}
