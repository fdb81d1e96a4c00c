/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What owners ask the rig's engine for: copied into the queue, and no more. */
#include "tests/unit/lock_rig_private.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lockres/engine.h"

static struct rig_space *space_of(struct lockspace *base)
{
	return (struct rig_space *)base;
}

static struct rig_node *node_of(struct lockspace_engine *engine)
{
	return (struct rig_node *)engine;
}

static bool is_dead(const struct rig_space *space)
{
	const struct rig_node *node = &space->rig->nodes[space->node];

	return !node->is_alive || node->space != space;
}

static void ask(struct rig_op *op)
{
	if (op->space->begun > 0)
		qb_list_add_tail(&op->link, &op->space->held);
	else
		rig_queue(op->space->rig, op);
}

static int rig_open(struct lockspace_engine *engine,
		    const struct lockspace_config *config,
		    const struct lockspace_handlers *handlers, void *owner,
		    struct lockspace **to, struct err *err)
{
	struct rig_node *node = node_of(engine);
	struct lock_rig *rig = node->rig;
	int r = lockspace_check(config, err);
	struct rig_space *space;

	if (r < 0)
		return r;
	if (node->space)
		return err_set(err, -EEXIST, "node %d has the lockspace open", node->id);
	if (rig->name_length && (rig->name_length != config->name_length ||
				 memcmp(rig->name, config->name, rig->name_length) != 0))
		return err_set(err, -EINVAL, "the rig has one lockspace");
	rig->name_length = config->name_length;
	memcpy(rig->name, config->name, config->name_length);
	space = calloc(1, sizeof(*space));
	assert(space);
	space->base = (struct lockspace){ .engine = engine, .lvb_bytes = config->lvb_bytes,
					.is_ordered = !rig->shuffle };
	space->rig = rig;
	space->node = node->id;
	space->incarnation = node->incarnation;
	space->slots = config->slots ? config->slots : LOCKSPACE_MAX_SLOTS;
	space->wanted_slot = config->wanted_slot;
	space->handlers = handlers;
	space->owner = owner;
	qb_list_init(&space->locks);
	qb_list_init(&space->held);
	qb_list_add_tail(&space->link, &rig->spaces);
	node->space = space;
	if (node->is_alive)
		ask(rig_op_new(RIG_OPEN, space));
	*to = &space->base;
	return 0;
}

static void rig_close(struct lockspace *base)
{
	struct rig_space *space = space_of(base);

	if (space->is_closing)
		return;
	space->is_closing = true;
	if (is_dead(space))
		return;
	if (space->state == RIG_OUT)
		rig_put_out(space, RIG_CLOSED, NULL);
	else
		ask(rig_op_new(RIG_CLOSE, space));
}

static int rig_confirm_dead(struct lockspace_engine *engine, uint32_t node,
			    uint64_t incarnation, enum lock_death death, struct err *err)
{
	struct lock_rig *rig = node_of(engine)->rig;
	const struct rig_member *m = rig_member_of(rig, (int)node);
	struct rig_op *op;

	if (node < 1 || node > (uint32_t)rig->count)
		return err_set(err, -EINVAL, "there is no node %u", node);
	if (incarnation == 0 && (!m || !m->is_missing))
		return 0;
	op = rig_op_new(RIG_PROVE, NULL);
	op->node = node;
	op->incarnation = incarnation ? incarnation : m->space->incarnation;
	op->death = death;
	rig_queue(rig, op);
	return 0;
}

static int rig_purge_orphans(struct lockspace *base, uint32_t node, struct err *err)
{
	struct rig_space *space = space_of(base);
	struct rig_op *op;

	if (node < 1 || node > (uint32_t)space->rig->count)
		return err_set(err, -EINVAL, "there is no node %u", node);
	if (is_dead(space))
		return 0;
	op = rig_op_new(RIG_PURGE, space);
	op->node = node;
	ask(op);
	return 0;
}

static void rig_begin(struct lockspace *base)
{
	space_of(base)->begun++;
}

static void rig_end(struct lockspace *base)
{
	struct rig_space *space = space_of(base);
	struct rig_op *op, *next;

	assert(space->begun > 0);
	if (--space->begun > 0)
		return;
	qb_list_for_each_entry_safe(op, next, &space->held, link) {
		qb_list_del(&op->link);
		rig_queue(space->rig, op);
	}
}

/* --- locks --------------------------------------------------------------------------- */

static int rig_add(struct lockspace *base, struct lockres *lock)
{
	struct rig_space *space = space_of(base);
	struct rig_lock *l;

	if (space->is_closing || (space->state == RIG_OUT && !is_dead(space)))
		return -ESHUTDOWN;
	l = calloc(1, sizeof(*l));
	assert(l);
	l->space = space;
	l->lock = lock;
	l->number = ++space->rig->last_number;
	l->deadline_ns = UINT64_MAX;
	qb_list_add_tail(&l->link, &space->locks);
	lock->engine_state = l;
	return 0;
}

static void rig_remove(struct lockres *lock)
{
	struct rig_lock *l = lock->engine_state;
	struct rig_space *space = l->space;
	struct rig_op *op;

	if ((lock->is_pending || lock->mode != LOCK_NONE) && !is_dead(space) &&
	    space->state != RIG_OUT && !space->is_closing) {
		op = rig_op_new(RIG_UNLOCK, space);
		op->number = l->number;
		op->flags = LOCK_FORCEUNLOCK;
		ask(op);
	}
	qb_list_del(&l->link);
	free(l);
	lock->engine_state = NULL;
}

/* Whether this owner may ask at all: below 0 is the answer, above it is swallowed. */
static int may_ask(const struct rig_space *space)
{
	const struct rig_node *node = &space->rig->nodes[space->node];

	if (is_dead(space))
		return 1;
	if (space->is_closing || space->state == RIG_OUT)
		return -ESHUTDOWN;
	return node->refusal;
}

static int rig_lock_it(struct lockres *lock, enum lock_mode mode, uint32_t flags,
		       uint64_t timeout_ns)
{
	struct rig_lock *l = lock->engine_state;
	int r = may_ask(l->space);
	struct rig_op *op;

	if (r)
		return r < 0 ? r : 0;
	op = rig_op_new(RIG_LOCK, l->space);
	op->number = l->number;
	op->mode = mode;
	op->flags = flags;
	op->waiter = lock->waiter;
	op->name_length = lock->name_length;
	memcpy(op->name, lock->name, lock->name_length);
	memcpy(op->value, lock->value, l->space->base.lvb_bytes);
	l->wanted = mode;
	l->is_late = false;
	l->deadline_ns = timeout_ns ? l->space->rig->now_ns + timeout_ns : UINT64_MAX;
	ask(op);
	return 0;
}

static int rig_unlock_it(struct lockres *lock, uint32_t flags)
{
	struct rig_lock *l = lock->engine_state;
	int r = may_ask(l->space);
	struct rig_op *op;

	if (r || l->is_forced)
		return r < 0 ? r : 0;
	op = rig_op_new(RIG_UNLOCK, l->space);
	op->number = l->number;
	op->flags = flags;
	memcpy(op->value, lock->value, l->space->base.lvb_bytes);
	l->deadline_ns = UINT64_MAX;
	if (flags & LOCK_FORCEUNLOCK)
		l->is_forced = true;
	ask(op);
	return 0;
}

static size_t rig_blockers(const struct lockres *lock, uint32_t *nodes, size_t room)
{
	const struct rig_lock *l = lock->engine_state;
	const struct lock_key key = { (uint32_t)l->space->node, l->number };

	if (!l->space->rig->table || is_dead(l->space))
		return 0;
	return lock_table_excluders(l->space->rig->table, lock->name, lock->name_length, key,
				    l->wanted, nodes, room);
}

const struct lockspace_engine_ops rig_engine_ops = {
	.open = rig_open,
	.close = rig_close,
	.confirm_dead = rig_confirm_dead,
	.purge_orphans = rig_purge_orphans,
	.begin = rig_begin,
	.end = rig_end,
	.add = rig_add,
	.remove = rig_remove,
	.lock = rig_lock_it,
	.unlock = rig_unlock_it,
	.blockers = rig_blockers,
};
