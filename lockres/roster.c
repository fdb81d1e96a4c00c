/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "lockres/roster.h"

#include "base/codec.h"

enum { FLAG_OVER = 1 };

struct roster roster_blank(void)
{
	struct roster r;

	for (int i = 0; i < TOTEM_MAX_NODES; i++)
		r.of[i] = (struct roster_entry){ .incarnation = 1 };
	return r;
}

static bool is_newer(const struct roster_entry *a, const struct roster_entry *b)
{
	if (a->noted_on != b->noted_on)
		return a->noted_on > b->noted_on;
	if (a->is_over != b->is_over)
		return a->is_over; /* within a configuration, nobody comes again */
	return a->incarnation > b->incarnation;
}

static bool is_same(const struct roster_entry *a, const struct roster_entry *b)
{
	return a->incarnation == b->incarnation && a->noted_on == b->noted_on &&
	       a->is_over == b->is_over;
}

void roster_merge(struct roster *r, const struct roster *other)
{
	for (int i = 0; i < TOTEM_MAX_NODES; i++) {
		struct roster_entry *own = &r->of[i];
		const struct roster_entry *e = &other->of[i];

		if (is_newer(e, own) || (is_same(e, own) && e->seen_on > own->seen_on))
			*own = *e;
	}
}

bool roster_is_equal(const struct roster *a, const struct roster *b)
{
	for (int i = 0; i < TOTEM_MAX_NODES; i++)
		if (!is_same(&a->of[i], &b->of[i]) || a->of[i].seen_on != b->of[i].seen_on)
			return false;
	return true;
}

void roster_note_here(struct roster *r, int node, uint64_t incarnation, uint64_t ring_seq)
{
	struct roster_entry *e = &r->of[node];

	if (e->is_over || e->incarnation != incarnation || e->noted_on == 0)
		*e = (struct roster_entry){ .incarnation = incarnation, .noted_on = ring_seq };
	if (e->seen_on < ring_seq)
		e->seen_on = ring_seq;
}

bool roster_note_over(struct roster *r, int node, uint64_t incarnation, uint64_t ring_seq)
{
	struct roster_entry *e = &r->of[node];

	if (e->is_over || incarnation < e->incarnation)
		return false;
	*e = (struct roster_entry){ .incarnation = incarnation, .noted_on = ring_seq,
				    .seen_on = ring_seq, .is_over = true };
	return true;
}

bool roster_is_open(const struct roster *r, int node)
{
	return !r->of[node].is_over;
}

bool roster_is_outlived(const struct roster *r, int node, uint64_t incarnation,
			uint64_t ring_seq)
{
	const struct roster_entry *e = &r->of[node];

	return e->is_over && incarnation <= e->incarnation && ring_seq <= e->noted_on;
}

/* --- bytes -------------------------------------------------------------------------------- */

void roster_write(struct wr *wr, const struct roster *r, const struct node_table *nodes)
{
	wr_u8(wr, (uint8_t)nodes->count);
	for (int i = 0; i < nodes->count; i++) {
		wr_u32(wr, nodes->ids[i]);
		wr_u8(wr, r->of[i].is_over ? FLAG_OVER : 0);
		wr_u64(wr, r->of[i].incarnation);
		wr_u64(wr, r->of[i].noted_on);
		wr_u64(wr, r->of[i].seen_on);
	}
}

bool roster_read(struct rd *rd, struct roster *r, const struct node_table *nodes)
{
	uint8_t count = rd_u8(rd);

	for (int i = 0; i < TOTEM_MAX_NODES; i++)
		r->of[i] = (struct roster_entry){ .is_over = true };
	for (unsigned k = 0; k < count && !rd->failed; k++) {
		int node = node_index(nodes, rd_u32(rd));
		uint8_t flags = rd_u8(rd);
		struct roster_entry e = { .is_over = flags & FLAG_OVER };

		e.incarnation = rd_u64(rd);
		e.noted_on = rd_u64(rd);
		e.seen_on = rd_u64(rd);
		if (flags & ~FLAG_OVER)
			return false;
		if (node != TOTEM_NO_INDEX)
			r->of[node] = e;
	}
	return !rd->failed && count <= TOTEM_MAX_NODES;
}
