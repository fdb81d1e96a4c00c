/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The operations: a request, a conversion, an unlock, a cancel; and what becomes of
 * the locks of who has left or died.
 */
#include "lockres/table.h"

#include <errno.h>
#include <stdlib.h>

#include "lockres/table_private.h"

struct lock_table *lock_table_new(uint32_t lvb_bytes, const struct lock_table_ops *ops,
				  void *owner)
{
	struct lock_table *t = calloc(1, sizeof(*t));

	if (!t)
		return NULL;
	t->ops = *ops;
	t->owner = owner;
	t->lvb_bytes = lvb_bytes;
	t->bytes = sizeof(*t);
	if (lock_index_init(t) < 0) {
		lock_table_free(t);
		return NULL;
	}
	return t;
}

void lock_table_free(struct lock_table *t)
{
	if (!t)
		return;
	lock_index_fini(t);
	free(t);
}

/* --- waiting ------------------------------------------------------------------------ */

/* It cannot be granted now. Where that would be for ever (Q9), it is refused. */
static int queue(struct lock_table *t, struct lock_entry *lock)
{
	bool is_conversion = lock->queue == LOCK_QUEUE_GRANTED;
	bool is_first = lock->flags & LOCK_HEADQUE;
	struct lock_entry *before = NULL;

	if (is_conversion) {
		before = lock_entry_before(lock);
		lock_queue_take(t, lock);
	}
	lock_queue_put(t, lock,
		       is_conversion ? LOCK_QUEUE_CONVERTING : LOCK_QUEUE_WAITING, is_first);
	if (lock_waiter_add(t, lock) < 0)
		return -ENOMEM;
	if (lock_closes_cycle(t, lock)) {
		lock_queue_take(t, lock);
		if (is_conversion)
			lock_queue_put_back(t, lock, LOCK_QUEUE_GRANTED, before);
		lock_refuse(t, lock, -EDEADLK);
	} else if (is_conversion && is_first) {
		lock_pass_head(t, lock);
	}
	return 0;
}

/* NOQUEUE. */
static void turn_away(struct lock_table *t, struct lock_entry *lock)
{
	struct lock_resource *r = lock->resource;
	const struct lock_entry *held = lock->granted == LOCK_NONE ? NULL : lock;
	enum lock_mode wanted = lock->wanted;
	bool is_told = lock->flags & LOCK_NOQUEUEBAST;

	lock_refuse(t, lock, -EAGAIN);
	if (is_told)
		lock_tell_blockers(t, r, held, wanted);
}

/* --- requests ------------------------------------------------------------------------- */

/* The oldest in this mode; or NULL, and whether there is one in another. */
static struct lock_entry *find_orphan(const struct lock_resource *r,
				      const struct lock_order *order, bool *is_other)
{
	struct lock_entry *lock;

	*is_other = false;
	qb_list_for_each_entry(lock, &r->queues[LOCK_QUEUE_GRANTED], link) {
		if (!lock->is_orphan || lock->key.node != order->key.node)
			continue;
		if (lock->granted == order->mode)
			return lock;
		*is_other = true;
	}
	return NULL;
}

/* As if it were granted: to who knows nothing of it yet. */
static int take_over(struct lock_table *t, struct lock_entry *lock,
		     const struct lock_order *order)
{
	const uint8_t *value;

	lock->flags = order->flags;
	lock->waiter = order->waiter;
	lock->marks = 0;
	lock->told = LOCK_NONE;
	value = lock_value_read(lock);
	if (lock_entry_adopt(t, lock, order->key) < 0)
		return -ENOMEM;
	lock_note(t, lock->resource, lock->key, LOCK_STEP_GRANT, LOCK_NONE, lock->granted,
		  0);
	lock_complete(t, lock->key, 0, lock->granted, lock->marks, value);
	lock_resource_settle(t, lock->resource, LOCK_LATER);
	return 0;
}

static int adopt(struct lock_table *t, struct lock_resource *r,
		 const struct lock_order *order)
{
	struct lock_entry *orphan = NULL;
	bool is_other = false;

	if (r) {
		lock_note(t, r, order->key, LOCK_STEP_REQUEST, LOCK_NONE, order->mode, 0);
		orphan = find_orphan(r, order, &is_other);
	}
	if (orphan)
		return take_over(t, orphan, order);
	if (r)
		lock_note(t, r, order->key, LOCK_STEP_REFUSE, LOCK_NONE, order->mode,
			  is_other ? -EAGAIN : -ENOENT);
	lock_complete(t, order->key, is_other ? -EAGAIN : -ENOENT, LOCK_NONE, 0, NULL);
	return 0;
}

static bool is_full(const struct lock_table *t, const struct lock_resource *r)
{
	if (t->locks >= LOCK_TABLE_MAX_LOCKS)
		return true;
	return r ? lock_resource_locks(r) >= LOCK_TABLE_MAX_RESOURCE_LOCKS
		 : t->shelf->count >= LOCK_TABLE_MAX_RESOURCES;
}

static struct lock_entry *new_entry(struct lock_table *t, struct lock_resource *r,
				    const struct lock_order *order)
{
	struct lock_entry *lock;

	if (!r)
		r = lock_resource_new(t, order->name, order->name_length);
	lock = r ? lock_entry_new(t, r, order->key, false) : NULL;
	if (!lock)
		return NULL;
	lock->wanted = order->mode;
	lock->flags = order->flags;
	lock->waiter = order->waiter;
	return lock;
}

static int request(struct lock_table *t, const struct lock_order *order)
{
	struct lock_resource *r = lock_resource_find(t, order->name, order->name_length);
	struct lock_entry *lock;
	enum lock_mode mode;
	int error = 0;

	if (order->flags & LOCK_ORPHAN)
		return adopt(t, r, order);
	if (is_full(t, r)) {
		lock_complete(t, order->key, -ENOSPC, LOCK_NONE, 0, NULL);
		return 0;
	}
	lock = new_entry(t, r, order);
	if (!lock)
		return -ENOMEM;
	r = lock->resource;
	lock_note(t, r, lock->key, LOCK_STEP_REQUEST, LOCK_NONE, lock->wanted, 0);
	mode = lock_may_have(lock, LOCK_NOW);
	if (mode != LOCK_NONE)
		lock_grant(t, lock, mode, order->value);
	else if (lock->flags & LOCK_NOQUEUE)
		turn_away(t, lock);
	else
		error = queue(t, lock);
	lock_resource_settle(t, r, LOCK_LATER);
	return error;
}

/* --- conversions -------------------------------------------------------------------- */

/* Q7, with CONVDEADLK: what it gave up may be all that others, or it, waited for. */
static int demote_and_wait(struct lock_table *t, struct lock_entry *lock)
{
	lock_demote(t, lock);
	lock_grant_conversions(t, lock->resource, LOCK_LATER);
	if (!lock_may_grant(lock, lock->wanted, LOCK_NOW))
		return queue(t, lock);
	lock_grant(t, lock, lock->wanted, NULL);
	return 0;
}

static int try_to_convert(struct lock_table *t, struct lock_entry *lock,
			  const uint8_t *value)
{
	bool may_queue = !(lock->flags & LOCK_NOQUEUE);
	enum lock_mode mode;

	if (may_queue && !lock_may_grant(lock, lock->wanted, LOCK_NOW) &&
	    lock_would_deadlock(lock)) {
		if (lock->flags & LOCK_CONVDEADLK)
			return demote_and_wait(t, lock);
		lock_refuse(t, lock, -EDEADLK);
		return 0;
	}
	mode = lock_may_have(lock, LOCK_NOW);
	if (mode != LOCK_NONE)
		lock_grant(t, lock, mode, value);
	else if (may_queue)
		return queue(t, lock);
	else
		turn_away(t, lock);
	return 0;
}

static int convert(struct lock_table *t, struct lock_entry *lock,
		   const struct lock_order *order)
{
	struct lock_resource *r = lock->resource;
	int error;

	lock_note(t, r, lock->key, LOCK_STEP_CONVERT, lock->granted, order->mode, 0);
	lock->flags = order->flags;
	lock->marks = 0;
	lock->wanted = order->mode;
	error = try_to_convert(t, lock, order->value);
	lock_resource_settle(t, r, LOCK_LATER);
	return error;
}

int lock_table_lock(struct lock_table *t, const struct lock_order *order)
{
	struct lock_entry *lock = lock_entry_find(t, order->key);
	bool is_conversion = order->flags & LOCK_CONVERT;

	if (lock_fault(lock ? lock->granted : LOCK_NONE, order->mode, order->flags))
		return -EBADMSG;
	if (order->flags & LOCK_VALBLK && !order->value)
		return -EBADMSG;
	if (is_conversion)
		return lock_is_waiting(lock) ? -EBADMSG : convert(t, lock, order);
	if (lock || !order->name || order->name_length < 1 ||
	    order->name_length > LOCK_MAX_NAME)
		return -EBADMSG;
	return request(t, order);
}

/* --- unlocking ------------------------------------------------------------------------ */

static void cancel(struct lock_table *t, struct lock_entry *lock)
{
	struct lock_resource *r = lock->resource;

	lock_note(t, r, lock->key, LOCK_STEP_CANCEL, lock->granted, lock->wanted, 0);
	lock_refuse(t, lock, -ECANCELED);
	lock_resource_settle(t, r, LOCK_LATER);
	lock_resource_reap(t, r);
}

static void unlock(struct lock_table *t, struct lock_entry *lock, uint32_t flags,
		   const uint8_t *value)
{
	struct lock_resource *r = lock->resource;
	struct lock_key key = lock->key;

	lock_note(t, r, key, LOCK_STEP_UNLOCK, lock->granted, LOCK_NONE, 0);
	lock_value_on_unlock(t, lock, flags, value);
	lock_queue_take(t, lock);
	lock_entry_free(t, lock);
	lock_complete(t, key, 0, LOCK_NONE, 0, NULL);
	lock_resource_settle(t, r, LOCK_LATER);
	lock_resource_reap(t, r);
}

int lock_table_unlock(struct lock_table *t, struct lock_key key, uint32_t flags,
		      const uint8_t *value)
{
	struct lock_entry *lock = lock_entry_find(t, key);

	if (!lock || unlock_fault(flags))
		return -EBADMSG;
	if (flags & LOCK_CANCEL) {
		if (lock_is_waiting(lock))
			cancel(t, lock);
		return 0;
	}
	if (lock_is_waiting(lock) && !(flags & LOCK_FORCEUNLOCK))
		return -EBADMSG;
	if (flags & LOCK_VALBLK && !value)
		return -EBADMSG;
	unlock(t, lock, flags, value);
	return 0;
}

/* --- nodes that go -------------------------------------------------------------------- */

static bool is_released(const struct lock_entry *lock, enum lock_release release)
{
	switch (release) {
	case LOCK_RELEASE_PROCESS:
		return !lock->is_orphan;
	case LOCK_RELEASE_ORPHANS:
		return lock->is_orphan;
	case LOCK_RELEASE_NODE:
		break;
	}
	return true;
}

static void leave_orphan(struct lock_table *t, struct lock_entry *lock)
{
	if (lock_is_waiting(lock)) {
		lock_queue_take(t, lock);
		lock->wanted = LOCK_NONE;
		lock_queue_put(t, lock, LOCK_QUEUE_GRANTED, false);
	}
	lock_entry_make_orphan(t, lock);
}

static void release_lock(struct lock_table *t, struct lock_entry *lock,
			 enum lock_release release)
{
	lock_note(t, lock->resource, lock->key, LOCK_STEP_RELEASE, lock->granted, LOCK_NONE,
		  0);
	if (release == LOCK_RELEASE_PROCESS && lock->flags & LOCK_PERSISTENT &&
	    lock->granted != LOCK_NONE) {
		leave_orphan(t, lock);
		return;
	}
	lock_value_on_death(t, lock);
	lock_queue_take(t, lock);
	lock_entry_free(t, lock);
}

static void release_on(struct lock_table *t, struct lock_resource *r, uint32_t node,
		       enum lock_release release)
{
	struct lock_entry *lock, *next;

	for (int q = 0; q < LOCK_QUEUES; q++)
		qb_list_for_each_entry_safe(lock, next, &r->queues[q], link)
			if (lock->key.node == node && is_released(lock, release))
				release_lock(t, lock, release);
	lock_resource_reap(t, r);
}

int lock_table_release(struct lock_table *t, uint32_t node, enum lock_release release)
{
	/* From the end: the last one takes the place of one that goes. */
	for (uint32_t i = t->shelf->count; i-- > 0;)
		release_on(t, t->shelf->resources[i], node, release);
	return 0;
}

void lock_table_settle(struct lock_table *t)
{
	lock_shelf_sort(t);
	for (uint32_t i = 0; i < t->shelf->count; i++)
		lock_resource_settle(t, t->shelf->resources[i], LOCK_RECOVERY);
}
