/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What owners are told: an inbox a node, emptied behind each step, one event of each
 * node in turn, and not at all while a node is deaf.
 */
#include "tests/unit/lock_rig_private.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lockres/engine.h"

static struct rig_node *node_of(struct rig_space *space)
{
	return &space->rig->nodes[space->node];
}

struct rig_event *rig_tell(struct rig_space *space, enum rig_event_kind kind)
{
	struct rig_event *e;

	if (!node_of(space)->is_alive || space->is_gone || node_of(space)->space != space)
		return NULL;
	e = calloc(1, sizeof(*e));
	assert(e);
	e->kind = kind;
	e->space = space;
	qb_list_add_tail(&e->link, &node_of(space)->inbox);
	return e;
}

void rig_drop_events(struct rig_node *node)
{
	struct rig_event *e, *next;

	qb_list_for_each_entry_safe(e, next, &node->inbox, link) {
		qb_list_del(&e->link);
		free(e);
	}
}

struct rig_lock *rig_lock_find(struct rig_space *space, uint32_t number)
{
	struct rig_lock *l;

	qb_list_for_each_entry(l, &space->locks, link)
		if (l->number == number)
			return l;
	return NULL;
}

/* --- from the table --------------------------------------------------------------------- */

static struct rig_lock *lock_by_key(struct lock_rig *rig, struct lock_key key)
{
	struct rig_space *space = rig->nodes[key.node].space;

	return space ? rig_lock_find(space, key.number) : NULL;
}

static void on_completed(void *owner, struct lock_key key,
			 const struct lock_outcome *outcome)
{
	struct lock_rig *rig = owner;
	struct rig_lock *l = lock_by_key(rig, key);
	struct rig_event *e;

	if (!l)
		return;
	e = rig_tell(l->space, RIG_DONE);
	if (!e)
		return;
	e->number = key.number;
	e->result = (struct lock_result){ outcome->status, outcome->mode, outcome->marks };
	if (e->result.status == -ECANCELED && l->is_late)
		e->result.status = -ETIMEDOUT;
	e->has_value = outcome->value;
	if (e->has_value)
		memcpy(e->value, outcome->value, l->space->base.lvb_bytes);
	l->deadline_ns = UINT64_MAX;
}

static void on_blocked(void *owner, struct lock_key key, enum lock_mode wanted)
{
	struct lock_rig *rig = owner;
	struct rig_lock *l = lock_by_key(rig, key);
	struct rig_event *e = l ? rig_tell(l->space, RIG_BLOCKED) : NULL;

	if (!e)
		return;
	e->number = key.number;
	e->wanted = wanted;
}

const struct lock_table_ops rig_table_ops = {
	.completed = on_completed,
	.blocked = on_blocked,
};

void rig_put_out(struct rig_space *space, enum rig_event_kind kind,
		 const struct err *why)
{
	struct rig_event *e;
	struct rig_lock *l;

	if (space->is_closing) /* it is what its owner asked for, whatever the reason */
		kind = RIG_CLOSED;
	rig_drop_ops(space->rig, space);
	space->state = RIG_OUT;
	qb_list_for_each_entry(l, &space->locks, link) {
		l->deadline_ns = UINT64_MAX;
		e = l->lock->is_pending ? rig_tell(space, RIG_DONE) : NULL;
		if (!e)
			continue;
		e->number = l->number;
		e->is_last = true;
		e->result = (struct lock_result){ -ESTALE, LOCK_NONE, 0 };
	}
	e = rig_tell(space, kind);
	if (e && why)
		e->why = *why;
}

/* --- to the owners ---------------------------------------------------------------------- */

static void tell_lock(const struct rig_event *e)
{
	struct rig_lock *l = rig_lock_find(e->space, e->number);

	if (!l)
		return;
	if (e->kind == RIG_BLOCKED) {
		lockres_tell_blocked(l->lock, e->wanted);
		return;
	}
	/* Completed when it was told before, or when it is told to be unlocked. */
	if (!l->lock->is_pending || (l->is_forced && !e->is_last))
		return;
	l->is_forced = false;
	lockres_complete(l->lock, &e->result, e->has_value ? e->value : NULL);
}

static void tell_closed(struct rig_space *space)
{
	space->is_gone = true;
	node_of(space)->space = NULL;
	if (space->handlers->closed)
		space->handlers->closed(space->owner);
}

static void tell_lost(const struct rig_event *e)
{
	struct rig_space *space = e->space;
	struct rig_lock *l;

	qb_list_for_each_entry(l, &space->locks, link)
		l->lock->mode = LOCK_NONE;
	if (space->handlers->lost)
		space->handlers->lost(space->owner, &space->base, &e->why);
}

static void tell_space(const struct rig_event *e)
{
	struct rig_space *space = e->space;
	const struct lockspace_handlers *h = space->handlers;

	switch (e->kind) {
	case RIG_PREP:
		if (h->recover_prep)
			h->recover_prep(space->owner, &space->base);
		break;
	case RIG_SLOT:
		if (h->recover_slot)
			h->recover_slot(space->owner, &space->base, e->node, e->slot);
		break;
	case RIG_GO_ON:
		if (h->recover_done)
			h->recover_done(space->owner, &space->base, e->members, e->count,
					e->slot, e->generation);
		break;
	case RIG_LOST:
		tell_lost(e);
		break;
	case RIG_CLOSED:
		tell_closed(space);
		break;
	case RIG_DONE:
	case RIG_BLOCKED:
		tell_lock(e);
		break;
	}
}

static bool is_of_a_lock(const struct rig_event *e)
{
	return e->kind == RIG_DONE || e->kind == RIG_BLOCKED;
}

static bool may_be_told(const struct rig_node *node, const struct rig_event *e)
{
	const struct rig_event *before;

	qb_list_for_each_entry(before, &node->inbox, link) {
		if (before == e)
			break;
		if (!is_of_a_lock(e) || !is_of_a_lock(before) || before->number == e->number)
			return false;
	}
	return true;
}

static struct rig_event *next_event(struct rig_node *node)
{
	struct rig_event *e, *chosen = NULL;
	uint64_t draw = rig_draw(node->rig), count = 0;

	if (!node->rig->shuffle)
		return qb_list_first_entry(&node->inbox, struct rig_event, link);
	qb_list_for_each_entry(e, &node->inbox, link)
		if (may_be_told(node, e) && draw % ++count == 0)
			chosen = e;
	return chosen;
}

static bool tell_one(struct rig_node *node)
{
	struct rig_event *e;

	if (node->is_deaf || qb_list_empty(&node->inbox))
		return false;
	e = next_event(node);
	qb_list_del(&e->link);
	tell_space(e);
	free(e);
	return true;
}

bool rig_deliver(struct lock_rig *rig)
{
	bool was_any = false, is_any = true;

	if (rig->is_telling)
		return false;
	rig->is_telling = true;
	while (is_any) {
		is_any = false;
		for (int i = 1; i <= rig->count; i++)
			is_any |= tell_one(&rig->nodes[i]);
		was_any |= is_any;
	}
	rig->is_telling = false;
	return was_any;
}
