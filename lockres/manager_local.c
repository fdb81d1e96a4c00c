/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The locks of this node's programs: what they ask for becomes requests in the order
 * in which it was asked (L3), and each is completed once (L2). manager_handle.c has
 * the life of a lockspace.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/arith.h"
#include "lockres/manager_private.h"

static struct handle *handle_of(struct lockspace *space)
{
	return container_of(space, struct handle, base);
}

struct local_lock *handle_lock_at(const struct handle *h, uint32_t index)
{
	return index < h->lock_count ? h->locks[index] : NULL;
}

/* --- deadlines ---------------------------------------------------------------------------- */

static void disarm(struct local_lock *local)
{
	if (local->deadline == UINT64_MAX)
		return;
	qb_list_del(&local->timer);
	local->deadline = UINT64_MAX;
}

/* Most have the same time: the place is near the end. */
static void arm(struct local_lock *local, uint64_t timeout_ns)
{
	struct lock_manager *m = local->handle->manager;
	struct qb_list_head *at;

	disarm(local);
	if (timeout_ns == 0)
		return;
	local->deadline = m->ops.now(m->owner) + timeout_ns;
	for (at = m->timers.prev; at != &m->timers; at = at->prev)
		if (qb_list_entry(at, struct local_lock, timer)->deadline <= local->deadline)
			break;
	qb_list_add(&local->timer, at);
	manager_arm(m);
}

/* --- requests ------------------------------------------------------------------------------- */

void request_enqueue(struct request *r, struct handle *h)
{
	r->is_listed = true;
	r->serial = 0;
	qb_list_add_tail(&r->link, &h->queued);
}

void request_unlist(struct request *r)
{
	qb_list_del(&r->link);
	r->is_listed = false;
}

/* It was never sent, so that nobody else can know of it. */
static bool is_unsent(const struct request *r)
{
	return r->is_listed && r->serial == 0;
}

static void complete(struct local_lock *local, int status, enum lock_mode mode,
		     uint32_t marks, const uint8_t *value)
{
	struct lock_manager *m = local->handle->manager;
	struct notice n = { .kind = NOTICE_COMPLETED, .handle = local->handle,
			    .index = local->index, .result = { status, mode, marks } };

	if (status == -ECANCELED && local->is_late) {
		n.result.status = -ETIMEDOUT;
		m->stats.timeouts++;
	}
	m->stats.granted += status == 0 && mode != LOCK_NONE;
	disarm(local);
	local->held = mode;
	local->is_under_way = local->is_late = false;
	local->is_forced = local->is_cancelled = false;
	if (value) {
		n.has_value = true;
		memcpy(n.value, value, local->handle->base.lvb_bytes);
	}
	local->notices++;
	notice_add(m, &n);
}

/* What was not sent yet is over at once. False: it is on its way. */
static bool drop_unsent(struct local_lock *local)
{
	if (!local->is_under_way || !is_unsent(&local->op))
		return false;
	request_unlist(&local->op);
	return true;
}

static void cancel(struct local_lock *local)
{
	if (!local->is_under_way || local->is_forced)
		return; /* it is over, or as good as that */
	if (drop_unsent(local)) {
		complete(local, -ECANCELED, local->held, 0, NULL);
		return;
	}
	if (local->is_cancelled)
		return;
	if (local->cancel.is_listed) /* of what was before, and is over */
		request_unlist(&local->cancel);
	local->is_cancelled = true;
	local->cancel.op = LOCK_OP_UNLOCK;
	local->cancel.flags = LOCK_CANCEL;
	local->cancel.has_value = false;
	request_enqueue(&local->cancel, local->handle);
}

void manager_expire(struct lock_manager *m, uint64_t now)
{
	while (!qb_list_empty(&m->timers)) {
		struct local_lock *local = qb_list_first_entry(&m->timers,
							       struct local_lock, timer);

		if (local->deadline > now)
			return;
		disarm(local);
		local->is_late = true;
		cancel(local);
	}
}

uint64_t manager_first_timer(const struct lock_manager *m)
{
	return qb_list_empty(&m->timers) ?
		       UINT64_MAX :
		       qb_list_first_entry(&m->timers, struct local_lock, timer)->deadline;
}

/* --- the calls ------------------------------------------------------------------------------ */

static int grow(struct handle *h)
{
	uint32_t room = h->lock_room ? 2 * h->lock_room : 16;
	struct local_lock **locks;
	uint32_t *indices;

	locks = realloc(h->locks, room * sizeof(*locks));
	if (!locks)
		return -ENOMEM;
	h->locks = locks;
	indices = realloc(h->free_indices, room * sizeof(*indices));
	if (!indices)
		return -ENOMEM;
	h->free_indices = indices;
	h->lock_room = room;
	return 0;
}

static int engine_add(struct lockspace *space, struct lockres *lock)
{
	struct handle *h = handle_of(space);
	struct local_lock *local;

	if (h->state > HANDLE_MEMBER)
		return -ESHUTDOWN;
	if (h->free_count == 0 && h->lock_count == MANAGER_MAX_LOCKS)
		return -ENOMEM;
	if (h->free_count == 0 && h->lock_count == h->lock_room && grow(h) < 0)
		return -ENOMEM;
	local = calloc(1, sizeof(*local));
	if (!local)
		return -ENOMEM;
	local->lock = lock;
	local->handle = h;
	local->held = LOCK_NONE;
	local->deadline = UINT64_MAX;
	local->op.local = local->cancel.local = local->force.local = local;
	local->index = h->free_count > 0 ? h->free_indices[--h->free_count] :
					   h->lock_count++;
	h->locks[local->index] = local;
	lock->engine_state = local;
	return 0;
}

/* Only where it may be stored. An unlock by force may end more than was told yet. */
static void set_value(struct request *r, const struct lockres *lock, uint32_t flags)
{
	r->has_value = flags & LOCK_VALBLK &&
		       (lock->mode >= LOCK_PW || r->op == LOCK_OP_UNLOCK);
	if (r->has_value)
		memcpy(r->value, lock->value, lock->space->lvb_bytes);
}

static int engine_lock(struct lockres *lock, enum lock_mode mode, uint32_t flags,
		       uint64_t timeout_ns)
{
	struct local_lock *local = lock->engine_state;
	struct handle *h = handle_of(lock->space);

	if (h->state > HANDLE_MEMBER)
		return -ESHUTDOWN;
	local->is_under_way = true;
	local->op.op = flags & LOCK_CONVERT ? LOCK_OP_CONVERT : LOCK_OP_REQUEST;
	local->op.mode = mode;
	local->op.flags = flags;
	set_value(&local->op, lock, flags);
	request_enqueue(&local->op, h);
	arm(local, timeout_ns);
	handle_send(h);
	return 0;
}

/*
 * A request that is on its way, or waits in the table, ends with an unlock by force
 * that follows it.
 */
static void unlock(struct local_lock *local, uint32_t flags)
{
	struct handle *h = local->handle;
	bool is_dropped = drop_unsent(local);
	struct request *r = &local->op;

	if (!local->is_under_way && notice_withdraw(h->manager, h, local->index)) {
		local->notices--; /* the done() of the unlock stands for it */
		is_dropped = true;
	}
	if (is_dropped && local->held == LOCK_NONE) {
		complete(local, 0, LOCK_NONE, 0, NULL);
		return;
	}
	disarm(local);
	if (local->is_under_way && !is_dropped) {
		local->is_forced = true;
		r = &local->force;
	}
	local->is_under_way = true;
	r->op = LOCK_OP_UNLOCK;
	r->mode = LOCK_NONE;
	r->flags = flags;
	r->has_value = false;
	if (local->lock)
		set_value(r, local->lock, flags);
	request_enqueue(r, local->handle);
}

static int engine_unlock(struct lockres *lock, uint32_t flags)
{
	struct local_lock *local = lock->engine_state;
	struct handle *h = handle_of(lock->space);

	if (h->state > HANDLE_MEMBER)
		return -ESHUTDOWN;
	if (flags & LOCK_CANCEL)
		cancel(local);
	else if (!local->is_forced)
		unlock(local, flags);
	handle_send(h);
	return 0;
}

static void release(struct local_lock *local)
{
	struct handle *h = local->handle;

	disarm(local);
	h->locks[local->index] = NULL;
	h->free_indices[h->free_count++] = local->index;
	free(local);
}

/* Nobody's any more, nothing of it is in the table, and nobody is to be told of it. */
static void release_if_over(struct local_lock *local)
{
	if (!local->lock && !local->is_under_way && local->held == LOCK_NONE &&
	    !local->cancel.is_listed && local->notices == 0)
		release(local);
}

static void engine_remove(struct lockres *lock)
{
	struct local_lock *local = lock->engine_state;
	struct handle *h = local->handle;

	local->lock = NULL;
	lock->engine_state = NULL;
	if (h->state > HANDLE_MEMBER)
		local_lock_stop(local);
	else if ((local->is_under_way || local->held != LOCK_NONE) && !local->is_forced)
		unlock(local, LOCK_FORCEUNLOCK);
	release_if_over(local);
	handle_send(h);
}

static size_t engine_blockers(const struct lockres *lock, uint32_t *nodes, size_t room)
{
	const struct local_lock *local = lock->engine_state;
	const struct handle *h = local->handle;
	const struct lock_key key = { h->manager->config.self,
				      handle_lock_number(h, local->index) };

	if (!h->space)
		return 0;
	return lock_table_excluders(h->space->table, lock->name, lock->name_length, key,
				    local->op.mode, nodes, room);
}

/* --- what comes of them ------------------------------------------------------------------- */

void handle_completed(struct handle *h, struct lock_key key,
		      const struct lock_outcome *outcome)
{
	struct local_lock *local = handle_lock_at(h, key.number & MANAGER_INDEX_MASK);

	if (!local || !local->is_under_way)
		return; /* it is closing, and was told so */
	if (local->is_forced && local->force.is_listed)
		local->held = outcome->mode; /* the unlock behind it tells */
	else
		complete(local, outcome->status, outcome->mode, outcome->marks,
			 outcome->value);
}

void handle_unlocked_nothing(struct handle *h, uint32_t number)
{
	struct local_lock *local = handle_lock_at(h, number & MANAGER_INDEX_MASK);

	if (local && local->is_forced && !local->force.is_listed)
		complete(local, 0, LOCK_NONE, 0, NULL);
}

void handle_blocked(struct handle *h, struct lock_key key, enum lock_mode wanted)
{
	uint32_t index = key.number & MANAGER_INDEX_MASK;
	struct local_lock *local = handle_lock_at(h, index);

	if (!local)
		return;
	h->manager->stats.blocked++;
	local->notices++;
	notice_add(h->manager, &(struct notice){ .kind = NOTICE_BLOCKED, .handle = h,
						 .index = index, .wanted = wanted });
}

void local_lock_told(struct local_lock *local)
{
	local->notices--;
	release_if_over(local);
}

void local_lock_stop(struct local_lock *local)
{
	struct request *of[] = { &local->op, &local->cancel, &local->force };

	for (int i = 0; i < 3; i++)
		if (of[i]->is_listed)
			request_unlist(of[i]);
	local->held = LOCK_NONE;
	if (local->is_under_way)
		complete(local, -ESTALE, LOCK_NONE, 0, NULL);
}

/* How an operation ended that others saw applied, and this node did not. */
static int refusal(const struct local_lock *local)
{
	if (local->is_cancelled)
		return -ECANCELED;
	return local->op.flags & LOCK_NOQUEUE ? -EAGAIN : -EDEADLK;
}

static void settle_request(struct local_lock *local, const struct lock_view *v,
			   const struct lock_resource_view *r)
{
	uint32_t marks = v->marks;
	const uint8_t *value = NULL;

	if (v->granted != local->op.mode && !(marks & LOCK_ALTMODE)) {
		complete(local, refusal(local), v->granted, 0, NULL);
		return;
	}
	if (local->op.flags & LOCK_VALBLK &&
	    lock_value_moves(local->held, v->granted) == LOCK_VALUE_READ) {
		value = r->value;
		marks |= r->is_value_valid ? 0 : LOCK_VALNOTVALID;
	}
	complete(local, 0, v->granted, marks, value);
}

void local_lock_settle(struct local_lock *local, const struct lock_table *table)
{
	const struct lock_key key = { local->handle->manager->config.self,
				      handle_lock_number(local->handle, local->index) };
	struct lock_resource_view r;
	struct lock_view v;
	bool is_there;

	if (!local->is_under_way || local->op.is_listed)
		return; /* all that it had applied, it saw */
	is_there = lock_table_find(table, key, &v, &r);
	if (local->is_forced && local->force.is_listed)
		local->held = is_there ? v.granted : LOCK_NONE;
	else if (is_there && v.wanted != LOCK_NONE)
		return; /* it waits */
	else if (is_there)
		settle_request(local, &v, &r);
	else if (local->is_forced || local->op.op == LOCK_OP_UNLOCK)
		complete(local, 0, LOCK_NONE, 0, NULL);
	else
		complete(local, refusal(local), LOCK_NONE, 0, NULL);
}

/* --- the face ------------------------------------------------------------------------------- */

const struct lockspace_engine_ops manager_engine_ops = {
	.open = manager_open,
	.close = manager_close,
	.confirm_dead = manager_confirm_dead,
	.purge_orphans = manager_purge_orphans,
	.begin = manager_begin,
	.end = manager_end,
	.add = engine_add,
	.remove = engine_remove,
	.lock = engine_lock,
	.unlock = engine_unlock,
	.blockers = engine_blockers,
};
