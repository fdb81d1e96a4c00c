/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/sim/cpg_bus.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct slot {
	bool is_in, is_busy;
	int side;
	struct cpg_process who;
	struct cpg_event *first, **last; /* inbox */
};

/* Not ordered yet. */
struct waiting {
	struct waiting *next;
	int slot, side;
	struct cpg_process from;
	size_t length;
	uint8_t bytes[];
};

struct cpg_bus {
	struct cpg_bus_ops ops;
	void *owner;
	struct slot slots[CPG_BUS_SLOTS];
	struct waiting *first, **last;
};

static void *must(void *memory)
{
	if (!memory)
		abort();
	return memory;
}

struct cpg_bus *cpg_bus_new(const struct cpg_bus_ops *ops, void *owner)
{
	struct cpg_bus *b = must(calloc(1, sizeof(*b)));

	b->ops = *ops;
	b->owner = owner;
	b->last = &b->first;
	for (int i = 0; i < CPG_BUS_SLOTS; i++)
		b->slots[i].last = &b->slots[i].first;
	return b;
}

void cpg_event_free(struct cpg_event *e)
{
	if (e)
		free(e->payload);
	free(e);
}

struct cpg_event *cpg_bus_next(struct cpg_bus *b, int slot)
{
	struct slot *s = &b->slots[slot];
	struct cpg_event *e = s->first;

	if (!e)
		return NULL;
	s->first = e->next;
	if (!s->first)
		s->last = &s->first;
	return e;
}

static void put(struct cpg_bus *b, int slot, struct cpg_event *e)
{
	struct slot *s = &b->slots[slot];

	*s->last = e;
	s->last = &e->next;
	b->ops.ready(b->owner, slot);
}

/* --- changes ---------------------------------------------------------------------------- */

static bool is_seen(const struct cpg_bus *b, int slot, int side)
{
	return b->slots[slot].is_in && b->slots[slot].side == side;
}

/* `members`: a bit a slot. */
static void tell_change(struct cpg_bus *b, int to, uint32_t members,
			const struct cpg_process *left, size_t left_count)
{
	struct cpg_event *e = must(calloc(1, sizeof(*e)));

	for (int i = 0; i < CPG_BUS_SLOTS; i++)
		if (members >> i & 1)
			e->members[e->member_count++] = b->slots[i].who;
	for (size_t i = 0; i < left_count; i++)
		e->left[e->left_count++] = left[i];
	put(b, to, e);
}

static uint32_t seen_at(const struct cpg_bus *b, int side)
{
	uint32_t members = 0;

	for (int i = 0; i < CPG_BUS_SLOTS; i++)
		if (is_seen(b, i, side))
			members |= 1u << i;
	return members;
}

static void tell_side(struct cpg_bus *b, int side, const struct cpg_process *left,
		      size_t left_count)
{
	uint32_t members = seen_at(b, side);

	for (int i = 0; i < CPG_BUS_SLOTS; i++)
		if (members >> i & 1)
			tell_change(b, i, members, left, left_count);
}

void cpg_bus_join(struct cpg_bus *b, int slot, struct cpg_process who)
{
	struct slot *s = &b->slots[slot];

	s->is_in = true;
	s->who = who;
	cpg_bus_order(b, slot, SIZE_MAX); /* its join is behind these */
	while (s->first)
		cpg_event_free(cpg_bus_next(b, slot));
	tell_side(b, s->side, NULL, 0);
}

void cpg_bus_leave(struct cpg_bus *b, int slot)
{
	struct slot *s = &b->slots[slot];

	if (!s->is_in)
		return;
	cpg_bus_order(b, slot, SIZE_MAX); /* what it sent goes before */
	s->is_in = s->is_busy = false;
	while (s->first)
		cpg_event_free(cpg_bus_next(b, slot));
	tell_side(b, s->side, &s->who, 1);
}

bool cpg_bus_is_in(const struct cpg_bus *b, int slot)
{
	return b->slots[slot].is_in;
}

/* --- messages ----------------------------------------------------------------------------- */

int cpg_bus_multicast(struct cpg_bus *b, int slot, const uint8_t *bytes, size_t length)
{
	const struct slot *s = &b->slots[slot];
	struct waiting *w;

	if (!s->is_in)
		return -ENOTCONN;
	if (s->is_busy || cpg_bus_pending(b, slot) >= CPG_BUS_PENDING)
		return -EAGAIN;
	w = must(malloc(sizeof(*w) + length));
	*w = (struct waiting){ .slot = slot, .side = s->side, .from = s->who, .length = length };
	memcpy(w->bytes, bytes, length);
	*b->last = w;
	b->last = &w->next;
	return 0;
}

void cpg_bus_set_busy(struct cpg_bus *b, int slot, bool is_busy)
{
	b->slots[slot].is_busy = is_busy;
}

size_t cpg_bus_pending(const struct cpg_bus *b, int slot)
{
	size_t n = 0;

	for (const struct waiting *w = b->first; w; w = w->next)
		n += w->side == b->slots[slot].side;
	return n;
}

static void distribute(struct cpg_bus *b, const struct waiting *w, uint32_t to)
{
	for (int i = 0; i < CPG_BUS_SLOTS; i++) {
		struct cpg_event *e;

		if (!(to >> i & 1))
			continue;
		e = must(calloc(1, sizeof(*e)));
		e->from = w->from;
		e->length = w->length;
		e->payload = must(malloc(w->length ? w->length : 1));
		memcpy(e->payload, w->bytes, w->length);
		put(b, i, e);
	}
}

static void remove_at(struct cpg_bus *b, struct waiting **at)
{
	struct waiting *w = *at;

	*at = w->next;
	if (b->last == &w->next)
		b->last = at;
	free(w);
}

void cpg_bus_order(struct cpg_bus *b, int slot, size_t count)
{
	int side = b->slots[slot].side;
	struct waiting **at = &b->first;

	while (*at && count > 0) {
		if ((*at)->side != side) {
			at = &(*at)->next;
			continue;
		}
		distribute(b, *at, seen_at(b, side));
		remove_at(b, at);
		count--;
	}
}

void cpg_bus_free(struct cpg_bus *b)
{
	if (!b)
		return;
	for (int i = 0; i < CPG_BUS_SLOTS; i++)
		while (b->slots[i].first)
			cpg_event_free(cpg_bus_next(b, i));
	while (b->first)
		remove_at(b, &b->first);
	free(b);
}

/* --- splits and merges --------------------------------------------------------------------- */

/* Who goes on together from `old` to `new`. */
static uint32_t group_of(const struct cpg_bus *b, const int sides[CPG_BUS_SLOTS], int old,
			 int new)
{
	uint32_t members = 0;

	for (int i = 0; i < CPG_BUS_SLOTS; i++)
		if (is_seen(b, i, old) && sides[i] == new)
			members |= 1u << i;
	return members;
}

/* A part of a side that breaks gets a beginning of what waits, and its own behind it. */
static void deliver_torn(struct cpg_bus *b, int old, uint32_t part, size_t beginning)
{
	size_t n = 0;

	for (const struct waiting *w = b->first; w; w = w->next) {
		if (w->side != old)
			continue;
		if (n++ < beginning || part >> w->slot & 1)
			distribute(b, w, part);
	}
}

static void drop_side(struct cpg_bus *b, int side)
{
	struct waiting **at = &b->first;

	while (*at) {
		if ((*at)->side == side)
			remove_at(b, at);
		else
			at = &(*at)->next;
	}
}

static void break_side(struct cpg_bus *b, const int sides[CPG_BUS_SLOTS], int old)
{
	uint32_t all = seen_at(b, old), told = 0;

	for (int i = 0; i < CPG_BUS_SLOTS; i++) {
		struct cpg_process left[CPG_BUS_SLOTS];
		uint32_t part;
		size_t count = 0;

		if (!(all >> i & 1) || told >> i & 1)
			continue;
		part = group_of(b, sides, old, sides[i]);
		told |= part;
		if (part == all) {
			deliver_torn(b, old, part, SIZE_MAX);
			break;
		}
		deliver_torn(b, old, part,
			     b->ops.random(b->owner, cpg_bus_pending(b, i) + 1));
		for (int k = 0; k < CPG_BUS_SLOTS; k++)
			if ((all & ~part) >> k & 1)
				left[count++] = b->slots[k].who;
		for (int k = 0; k < CPG_BUS_SLOTS; k++)
			if (part >> k & 1)
				tell_change(b, k, part, left, count);
	}
	drop_side(b, old);
}

/* To those who are together in `part`: the others of `all`, one after the other. */
static void tell_merge(struct cpg_bus *b, uint32_t part, uint32_t all)
{
	uint32_t seen = part;

	for (int i = 0; i < CPG_BUS_SLOTS; i++) {
		if (!((all & ~part) >> i & 1))
			continue;
		seen |= 1u << i;
		for (int k = 0; k < CPG_BUS_SLOTS; k++)
			if (part >> k & 1)
				tell_change(b, k, seen, NULL, 0);
	}
}

void cpg_bus_set_sides(struct cpg_bus *b, const int sides[CPG_BUS_SLOTS])
{
	int old[CPG_BUS_SLOTS];
	uint32_t is_broken = 0;

	for (int i = 0; i < CPG_BUS_SLOTS; i++)
		old[i] = b->slots[i].side;
	for (int i = 0; i < CPG_BUS_SLOTS; i++) {
		if (is_broken >> old[i] & 1)
			continue;
		is_broken |= 1u << old[i];
		break_side(b, sides, old[i]);
	}
	for (int i = 0; i < CPG_BUS_SLOTS; i++)
		b->slots[i].side = sides[i];
	for (int i = 0; i < CPG_BUS_SLOTS; i++) {
		uint32_t part = 0;
		bool is_first = b->slots[i].is_in;

		for (int k = 0; k < CPG_BUS_SLOTS; k++) {
			if (!b->slots[k].is_in || old[k] != old[i] || sides[k] != sides[i])
				continue;
			part |= 1u << k;
			is_first = is_first && k >= i;
		}
		if (is_first)
			tell_merge(b, part, seen_at(b, sides[i]));
	}
}
