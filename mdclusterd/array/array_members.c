/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Who is there, and what follows for the slots. A slot whose member is gone, whichever
 * way, is mapped (V2): who left of its own will may have been stopped from saying that
 * work is left over, and to look costs one read. It is mapped no more when it was found
 * empty, or when a new member has it: who owns a slot loads what is in it. What that one
 * owes is not known until its lock value says so; and as others may have had a share of the
 * slot before it came, their lock values are read again then.
 */
#include "mdclusterd/array/array_private.h"

struct array_slot *slot_own(struct array *a)
{
	return &a->slots[a->our_slot];
}

static bool has_space(const struct array *a)
{
	return a->is_member && !a->is_lost && !a->is_closed;
}

bool members_is_reporter(const struct array *a)
{
	for (int i = 0; has_space(a) && i < a->our_slot; i++)
		if (a->slots[i].is_member && !a->slots[i].is_dead && !a->slots[i].is_missing)
			return false;
	return true;
}

static void tell(struct array *a, enum array_event_kind kind, const struct array_slot *s)
{
	array_tell_event(a, (struct array_event){
		.kind = kind,
		.node = s->node,
		.slot = s->number,
		.is_ours = members_is_reporter(a),
	});
}

void members_died(struct array *a, uint32_t node, int slot)
{
	struct array_slot *s = slot >= 0 && slot < ARRAY_MAX_NODES ? &a->slots[slot] : NULL;

	if (!s || slot == a->our_slot)
		return;
	s->node = node;
	s->is_dead = true;
	s->is_mapped = true;
	s->has_asked = false;
	s->owes = s->must_read = s->is_leaving = s->is_missing = false;
	s->is_taken_over = false;
	retry_fine(&s->retry);
	tell(a, ARRAY_EVENT_MEMBER_DEAD, s);
	s->is_member = false;
	a->is_reload_owed = true;
	a->death_ticket = reload_want(a);
}

static void left(struct array *a, struct array_slot *s)
{
	tell(a, ARRAY_EVENT_MEMBER_LEFT, s);
	s->is_member = s->is_leaving = s->is_missing = s->is_taken_over = false;
	s->owes = s->must_read = false;
	s->is_mapped = true;
	s->has_asked = false;
	retry_fine(&s->retry);
}

static void joined(struct array *a, struct array_slot *s, uint32_t node, bool is_first)
{
	s->node = node;
	s->is_member = true;
	s->is_taken_over = s->is_mapped;
	s->taken = 0;
	s->is_mapped = s->is_leaving = s->is_missing = false;
	s->owes = true;
	s->must_read = is_first;
	if (s->lock_state == SLOT_LOCK_WANTED && !s->is_cancelling) {
		s->is_cancelling = true;
		(void)lockres_unlock(&s->lock, LOCK_CANCEL);
	}
	tell(a, ARRAY_EVENT_MEMBER_JOINED, s);
}

void members_changed(struct array *a, const struct lockspace_member *members, size_t count)
{
	bool is_first = a->member_count == 0;
	bool is_there[ARRAY_MAX_NODES] = { false };

	for (size_t i = 0; i < count; i++)
		if (members[i].slot >= 0 && members[i].slot < ARRAY_MAX_NODES)
			is_there[members[i].slot] = true;
	for (int i = 0; i < ARRAY_MAX_NODES; i++) {
		struct array_slot *s = &a->slots[i];

		s->is_dead = false;
		s->is_missing = false;
		if (s->is_member && !is_there[i])
			left(a, s);
	}
	for (size_t i = 0; i < count; i++) {
		int slot = members[i].slot;
		struct array_slot *s;

		if (slot < 0 || slot >= ARRAY_MAX_NODES)
			continue;
		s = &a->slots[slot];
		if (s->is_member && s->node != members[i].node)
			left(a, s);
		if (s->is_member)
			continue;
		joined(a, s, members[i].node, is_first);
		if (slot == a->our_slot)
			s->owes = s->must_read = false;
	}
	a->member_count = count;
}

void members_read_all(struct array *a)
{
	for (int i = 0; i < ARRAY_MAX_NODES; i++)
		if (i != a->our_slot && a->slots[i].is_member)
			a->slots[i].must_read = a->slots[i].is_overtaken = true;
}

bool members_all_recovered(const struct array *a)
{
	for (int i = 0; i < ARRAY_MAX_NODES; i++)
		if (a->slots[i].is_mapped)
			return false;
	return true;
}

bool members_want_single_source(const struct array *a)
{
	if (!a->is_thawed || !members_all_recovered(a) || a->needed_chunks > 0)
		return true;
	for (int i = 0; i < ARRAY_MAX_NODES; i++)
		if (i != a->our_slot && (a->slots[i].owes || a->slots[i].must_read ||
					 a->slots[i].is_leaving))
			return true;
	return false;
}
