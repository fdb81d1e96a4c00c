/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Lockspaces as all nodes have them: who is in, in which slot, and whether locks may
 * be granted (M2, L6). What is done here follows from operations, and from who is in
 * the configuration: the same everywhere.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lockres/manager_private.h"

/* --- the table's voice ------------------------------------------------------------------ */

static bool is_ours(const struct space *s, struct lock_key key)
{
	return s->handle && key.node == s->manager->config.self &&
	       key.number >> 20 == (s->handle->ticket & 0xfff);
}

static void on_completed(void *owner, struct lock_key key,
			 const struct lock_outcome *outcome)
{
	struct space *s = owner;

	if (is_ours(s, key))
		handle_completed(s->handle, key, outcome);
}

static void on_blocked(void *owner, struct lock_key key, enum lock_mode wanted)
{
	struct space *s = owner;

	if (is_ours(s, key))
		handle_blocked(s->handle, key, wanted);
}

static const struct lock_table_ops table_ops = {
	.completed = on_completed,
	.blocked = on_blocked,
	.deadlock = manager_tell_deadlock,
};

/* --- which there are -------------------------------------------------------------------- */

struct space *space_new(struct lock_manager *m, struct space_id id, const void *name,
			size_t name_length, uint32_t lvb_bytes, int slots)
{
	struct space *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	s->manager = m;
	s->id = id;
	s->name_length = (uint8_t)name_length;
	memcpy(s->name, name, name_length);
	s->lvb_bytes = lvb_bytes;
	s->slots = slots;
	s->is_frozen = true;
	for (int i = 0; i < TOTEM_MAX_NODES; i++)
		s->last_slot[i] = -1;
	s->table = lock_table_new(lvb_bytes, &table_ops, s);
	if (!s->table) {
		free(s);
		return NULL;
	}
	return s;
}

void space_free(struct space *s)
{
	if (!s)
		return;
	lock_table_free(s->table);
	free(s);
}

int space_compare_names(const void *a, size_t a_length, const void *b, size_t b_length)
{
	int order = memcmp(a, b, a_length < b_length ? a_length : b_length);

	if (order != 0 || a_length == b_length)
		return order;
	return a_length < b_length ? -1 : 1;
}

/* The place of a name, or where it belongs. */
static size_t place_of(const struct lock_manager *m, const void *name, size_t length)
{
	size_t low = 0, high = m->space_count;

	while (low < high) {
		size_t mid = (low + high) / 2;
		const struct space *s = m->spaces[mid];

		if (space_compare_names(s->name, s->name_length, name, length) < 0)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

struct space *space_named(const struct lock_manager *m, const void *name, size_t length)
{
	size_t at = place_of(m, name, length);

	if (at == m->space_count ||
	    space_compare_names(m->spaces[at]->name, m->spaces[at]->name_length, name,
			      length) != 0)
		return NULL;
	return m->spaces[at];
}

struct space *space_find(const struct lock_manager *m, struct space_id id)
{
	for (size_t i = 0; i < m->space_count; i++)
		if (space_id_equal(m->spaces[i]->id, id))
			return m->spaces[i];
	return NULL;
}

int space_insert(struct lock_manager *m, struct space *s)
{
	size_t at = place_of(m, s->name, s->name_length);

	if (m->space_count == LOCK_MANAGER_MAX_SPACES)
		return -ENOSPC;
	memmove(m->spaces + at + 1, m->spaces + at,
		(m->space_count - at) * sizeof(m->spaces[0]));
	m->spaces[at] = s;
	m->space_count++;
	return 0;
}

void space_remove(struct space *s)
{
	struct lock_manager *m = s->manager;
	size_t at = place_of(m, s->name, s->name_length);

	grave_dig(s);
	m->space_count--;
	memmove(m->spaces + at, m->spaces + at + 1,
		(m->space_count - at) * sizeof(m->spaces[0]));
	space_free(s);
}

bool space_is_empty(const struct space *s)
{
	return s->member_count == 0 && lock_table_locks(s->table) == 0;
}

int space_version_compare(const struct space_version *a, const struct space_version *b)
{
	if (a->epoch.seq != b->epoch.seq)
		return a->epoch.seq < b->epoch.seq ? -1 : 1;
	if (a->epoch.rep != b->epoch.rep)
		return a->epoch.rep < b->epoch.rep ? -1 : 1;
	if (a->operations != b->operations)
		return a->operations < b->operations ? -1 : 1;
	return 0;
}

/* --- members ------------------------------------------------------------------------------ */

struct space_member *space_member_of(struct space *s, uint32_t node)
{
	for (size_t i = 0; i < s->member_count; i++)
		if (s->members[i].node == node)
			return &s->members[i];
	return NULL;
}

struct space_member *space_member_ticket(struct space *s, uint32_t node, uint32_t ticket)
{
	struct space_member *member = space_member_of(s, node);

	return member && member->ticket == ticket ? member : NULL;
}

static bool is_slot_free(const struct space *s, int slot)
{
	if (slot < 0 || slot >= s->slots)
		return false;
	for (size_t i = 0; i < s->member_count; i++)
		if (s->members[i].slot == slot)
			return false;
	return true;
}

/* L6 */
static int choose_slot(const struct space *s, int node, int wanted)
{
	int slot = 0;

	if (is_slot_free(s, wanted))
		return wanted;
	if (is_slot_free(s, s->last_slot[node]))
		return s->last_slot[node];
	while (slot < s->slots && !is_slot_free(s, slot))
		slot++;
	return slot < s->slots ? slot : -1;
}

int space_join(struct space *s, uint32_t node, uint64_t incarnation, uint32_t opening,
	       int wanted_slot)
{
	int index = node_index(&s->manager->config.nodes, node);
	int slot = choose_slot(s, index, wanted_slot);
	size_t at = s->member_count;

	if (slot < 0)
		return -ENOSPC;
	while (at > 0 && s->members[at - 1].slot > slot) {
		s->members[at] = s->members[at - 1];
		at--;
	}
	s->members[at] = (struct space_member){
		.node = node,
		.incarnation = incarnation,
		.opening = opening,
		.ticket = ++s->last_ticket,
		.slot = slot,
	};
	s->member_count++;
	s->last_slot[index] = (int16_t)slot;
	return 0;
}

void space_drop_member(struct space *s, struct space_member *member)
{
	size_t at = (size_t)(member - s->members);

	s->member_count--;
	memmove(s->members + at, s->members + at + 1,
		(s->member_count - at) * sizeof(s->members[0]));
}

void space_tell_members(struct space *s)
{
	struct handle *h = s->handle;
	struct notice n = { .kind = NOTICE_DONE, .handle = h,
			    .generation = s->generation };

	if (!h || h->state != HANDLE_MEMBER)
		return;
	h->is_prepped = false;
	n.members = calloc(s->member_count, sizeof(*n.members));
	if (!n.members) {
		manager_break(s->manager, "has no memory for the members of a lockspace");
		return;
	}
	for (size_t i = 0; i < s->member_count; i++) {
		n.members[i].node = s->members[i].node;
		n.members[i].slot = s->members[i].slot;
		if (s->members[i].ticket == h->ticket)
			n.slot = s->members[i].slot;
	}
	n.member_count = s->member_count;
	notice_add(s->manager, &n);
}

/* --- freezing and thawing ----------------------------------------------------------------- */

bool space_member_is_over(const struct space_member *member)
{
	return member->is_gone || (member->is_missing && member->is_proven);
}

enum lockspace_freeze space_freeze(const struct space *s)
{
	const struct lock_manager *m = s->manager;

	if (!s->is_frozen && manager_is_running(m))
		return LOCKSPACE_RUNS;
	if (!m->is_active || m->is_syncing || m->is_ending)
		return LOCKSPACE_SYNCING;
	if (!sync_is_quorate(m->sync))
		return LOCKSPACE_NO_QUORUM;
	if (!manager_is_running(m))
		return LOCKSPACE_JOINING;
	return LOCKSPACE_UNPROVEN;
}

bool space_waits_for_proof(const struct space *s)
{
	for (size_t i = 0; i < s->member_count; i++)
		if (s->members[i].is_missing && !space_member_is_over(&s->members[i]))
			return true;
	return false;
}

static void tell_slot(struct space *s, const struct space_member *member)
{
	const struct notice n = { .kind = NOTICE_SLOT, .handle = s->handle,
				  .node = member->node, .slot = member->slot };

	if (s->handle && s->handle->state == HANDLE_MEMBER)
		notice_add(s->manager, &n);
}

/* What it held; and who died is told. */
static int release(struct space *s, const struct space_member *member, bool is_dead)
{
	if (is_dead)
		tell_slot(s, member);
	return lock_table_release(s->table, member->node,
				  is_dead && member->death == LOCK_DEATH_NODE ?
					  LOCK_RELEASE_NODE :
					  LOCK_RELEASE_PROCESS);
}

static int bury(struct space *s, struct space_member *member)
{
	struct handle *h = s->handle;
	int r;

	if (h && h->ticket == member->ticket)
		handle_left(h); /* it said so while all stood still */
	r = release(s, member, !member->is_gone);
	space_drop_member(s, member);
	return r;
}

/* All who are over; how many, or -ENOMEM. */
static int bury_all(struct space *s)
{
	int buried = 0;
	size_t i = 0;

	while (i < s->member_count) {
		if (!space_member_is_over(&s->members[i])) {
			i++;
			continue;
		}
		if (bury(s, &s->members[i]) < 0)
			return -ENOMEM;
		buried++;
	}
	return buried;
}

static void thaw(struct space *s, bool is_changed)
{
	struct lock_manager *m = s->manager;

	s->is_frozen = false;
	s->thaw++;
	s->version.epoch = m->ring;
	m->stats.thaws++;
	if (is_changed)
		s->generation++;
	handle_thawed(s);
	if (s->handle && (is_changed || s->handle->is_prepped))
		space_tell_members(s); /* L5: before anything is granted */
	if (s->handle && s->is_taken)
		handle_settle_locks(s->handle);
	s->is_taken = false;
	lock_table_settle(s->table);
}

void space_consider(struct space *s)
{
	size_t before = s->member_count;
	int buried;

	if (!s->is_frozen || !manager_is_running(s->manager) || space_waits_for_proof(s) ||
	    roster_waits(s->manager))
		return;
	buried = bury_all(s);
	if (buried < 0) {
		manager_break(s->manager, "has no memory for locks");
		return;
	}
	manager_wake_openers(s->manager);
	if (before > 0 && space_is_empty(s))
		space_remove(s);
	else
		thaw(s, buried > 0);
}
