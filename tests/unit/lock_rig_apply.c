/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the rig's operations do: to the one table, and to who is a member. While one is
 * missing only its proof is applied (L5), and who closes does not wait; a proof takes two
 * steps, so that tests reach what lies between.
 */
#include "tests/unit/lock_rig_private.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

/* --- members --------------------------------------------------------------------------- */

struct rig_member *rig_member_of(struct lock_rig *rig, int node)
{
	for (int i = 0; i < LOCKSPACE_MAX_SLOTS; i++)
		if (rig->members[i].space && rig->members[i].space->node == node)
			return &rig->members[i];
	return NULL;
}

bool lock_rig_is_frozen(const struct lock_rig *rig)
{
	for (int i = 0; i < LOCKSPACE_MAX_SLOTS; i++)
		if (rig->members[i].space && rig->members[i].is_missing)
			return true;
	return false;
}

static bool lives(const struct rig_member *m)
{
	return m->space && (!m->is_missing || m->space->rig->nodes[m->space->node].is_cut);
}

bool rig_has_members(const struct lock_rig *rig)
{
	for (int i = 0; i < LOCKSPACE_MAX_SLOTS; i++)
		if (lives(&rig->members[i]))
			return true;
	return false;
}

void rig_forget(struct lock_rig *rig)
{
	lock_table_free(rig->table);
	rig->table = NULL;
	memset(rig->members, 0, sizeof(rig->members));
	for (int i = 1; i <= rig->count; i++)
		rig->nodes[i].last_slot = -1;
}

static void remove_member(struct lock_rig *rig, struct rig_member *m)
{
	rig->nodes[m->space->node].last_slot = (int)(m - rig->members);
	*m = (struct rig_member){ 0 };
}

void rig_tell_prep(struct lock_rig *rig)
{
	for (int i = 0; i < LOCKSPACE_MAX_SLOTS; i++) {
		struct rig_space *space = rig->members[i].space;

		if (!lives(&rig->members[i]) || space->was_told)
			continue;
		space->was_told = true;
		rig_tell(space, RIG_PREP);
	}
}

static void tell_slot(struct lock_rig *rig, const struct rig_member *dead)
{
	for (int i = 0; i < LOCKSPACE_MAX_SLOTS; i++) {
		struct rig_member *m = &rig->members[i];
		struct rig_event *e =
			m->space && !m->is_missing ? rig_tell(m->space, RIG_SLOT) : NULL;

		if (!e)
			continue;
		e->node = (uint32_t)dead->space->node;
		e->slot = (int)(dead - rig->members);
	}
}

static void go_on(struct lock_rig *rig)
{
	struct lockspace_member members[LOCK_RIG_MAX_NODES];
	size_t count = 0;

	rig->generation++;
	for (int i = 0; i < LOCKSPACE_MAX_SLOTS; i++)
		if (rig->members[i].space)
			members[count++] = (struct lockspace_member){
				(uint32_t)rig->members[i].space->node, i };
	for (size_t i = 0; i < count; i++) {
		struct rig_space *space = rig->members[members[i].slot].space;
		struct rig_event *e = rig_tell(space, RIG_GO_ON);

		space->was_told = false;
		if (!e)
			continue;
		memcpy(e->members, members, sizeof(members));
		e->count = count;
		e->slot = members[i].slot;
		e->generation = rig->generation;
	}
}

static bool is_free(const struct lock_rig *rig, int slot, int slots)
{
	return slot >= 0 && slot < slots && !rig->members[slot].space;
}

/* L6. */
static int choose_slot(const struct lock_rig *rig, const struct rig_space *space)
{
	int last = rig->nodes[space->node].last_slot;

	if (is_free(rig, space->wanted_slot, space->slots))
		return space->wanted_slot;
	if (is_free(rig, last, space->slots))
		return last;
	for (int i = 0; i < space->slots; i++)
		if (is_free(rig, i, space->slots))
			return i;
	return -1;
}

static bool has_another_size(const struct lock_rig *rig, const struct rig_space *space)
{
	for (int i = 0; i < LOCKSPACE_MAX_SLOTS; i++)
		if (rig->members[i].space &&
		    rig->members[i].space->base.lvb_bytes != space->base.lvb_bytes)
			return true;
	return false;
}

/* --- operations ------------------------------------------------------------------------- */

static void apply_open(struct lock_rig *rig, struct rig_space *space)
{
	int slot = choose_slot(rig, space);
	struct err err = ERR_INIT;

	if (has_another_size(rig, space)) {
		err_set(&err, -EBADR, "its lock values have another size than %u bytes",
			space->base.lvb_bytes);
		rig_put_out(space, RIG_LOST, &err);
		return;
	}
	if (slot < 0) {
		err_set(&err, -ENOSPC, "all of its %d slots are taken", space->slots);
		rig_put_out(space, RIG_LOST, &err);
		return;
	}
	if (!rig->table) {
		rig->table = lock_table_new(space->base.lvb_bytes, &rig_table_ops, rig);
		assert(rig->table);
		lock_table_clock(rig->table, rig->now_ns);
	}
	space->state = RIG_MEMBER;
	rig->members[slot].space = space;
	go_on(rig);
}

void rig_thaw_next(struct lock_rig *rig)
{
	qb_list_add(&rig_op_new(RIG_THAW, NULL)->link, &rig->queue);
}

/* While all stands still it does not wait: it holds what it had until that is over. */
static void close_frozen(struct lock_rig *rig, struct rig_space *space)
{
	struct rig_member *m = rig_member_of(rig, space->node);
	bool is_member = space->state == RIG_MEMBER;

	rig_put_out(space, RIG_CLOSED, NULL);
	if (!is_member)
		return;
	m->is_missing = m->is_proven = true;
	m->death = LOCK_DEATH_PROCESS;
	if (rig_has_members(rig))
		rig_thaw_next(rig);
	else
		rig_forget(rig);
}

static void apply_close(struct lock_rig *rig, struct rig_space *space)
{
	int r;

	if (lock_rig_is_frozen(rig)) {
		close_frozen(rig, space);
		return;
	}
	r = lock_table_release(rig->table, (uint32_t)space->node, LOCK_RELEASE_PROCESS);
	assert(r == 0);
	remove_member(rig, rig_member_of(rig, space->node));
	rig_put_out(space, RIG_CLOSED, NULL);
	if (!rig_has_members(rig)) {
		rig_forget(rig);
		return;
	}
	go_on(rig);
	lock_table_settle(rig->table);
}

static void apply_lock(struct lock_rig *rig, const struct rig_op *op)
{
	const struct lock_order order = {
		.key = { (uint32_t)op->space->node, op->number },
		.mode = op->mode,
		.flags = op->flags,
		.waiter = op->waiter,
		.name = op->name,
		.name_length = op->name_length,
		.value = op->flags & LOCK_VALBLK ? op->value : NULL,
	};
	int r = lock_table_lock(rig->table, &order);

	assert(r == 0);
}

static void apply_unlock(struct lock_rig *rig, const struct rig_op *op)
{
	const struct lock_key key = { (uint32_t)op->space->node, op->number };
	struct rig_lock *l = rig_lock_find(op->space, op->number);
	int r = lock_table_unlock(rig->table, key, op->flags,
				  op->flags & LOCK_VALBLK ? op->value : NULL);
	struct rig_event *e;

	/* Force and cancel may come too late: it was refused, and is gone. */
	assert(r == 0 || (r == -EBADMSG &&
			  op->flags & (LOCK_FORCEUNLOCK | LOCK_CANCEL)));
	if (!l || !(op->flags & LOCK_FORCEUNLOCK))
		return;
	e = rig_tell(op->space, RIG_DONE);
	if (!e)
		return;
	e->number = op->number;
	e->is_last = true;
	e->result = (struct lock_result){ 0, LOCK_NONE, 0 };
}

static void apply_purge(struct lock_rig *rig, uint32_t node)
{
	int r = lock_table_release(rig->table, node, LOCK_RELEASE_ORPHANS);

	assert(r == 0);
	lock_table_settle(rig->table);
}

static void apply_prove(struct lock_rig *rig, const struct rig_op *op)
{
	struct rig_member *m = rig_member_of(rig, (int)op->node);

	if (!m || !m->is_missing || m->is_proven ||
	    m->space->incarnation > op->incarnation)
		return;
	m->is_proven = true;
	m->death = op->death;
	tell_slot(rig, m);
	rig_thaw_next(rig);
}

static void apply_thaw(struct lock_rig *rig)
{
	int r;

	for (int i = 0; i < LOCKSPACE_MAX_SLOTS; i++)
		if (rig->members[i].space && rig->members[i].is_missing &&
		    !rig->members[i].is_proven)
			return;
	for (int i = 0; i < LOCKSPACE_MAX_SLOTS; i++) {
		struct rig_member *m = &rig->members[i];

		if (!m->space || !m->is_proven)
			continue;
		r = lock_table_release(rig->table, (uint32_t)m->space->node,
				       m->death == LOCK_DEATH_NODE ?
				       LOCK_RELEASE_NODE : LOCK_RELEASE_PROCESS);
		assert(r == 0);
		remove_member(rig, m);
	}
	if (!rig->table)
		return;
	go_on(rig);
	lock_table_settle(rig->table);
}

void rig_apply(struct lock_rig *rig, struct rig_op *op)
{
	switch (op->kind) {
	case RIG_OPEN: apply_open(rig, op->space); break;
	case RIG_CLOSE: apply_close(rig, op->space); break;
	case RIG_LOCK: apply_lock(rig, op); break;
	case RIG_UNLOCK: apply_unlock(rig, op); break;
	case RIG_PURGE: apply_purge(rig, op->node); break;
	case RIG_PROVE: apply_prove(rig, op); break;
	case RIG_THAW: apply_thaw(rig); break;
	}
}
