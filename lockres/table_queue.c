/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The three queues of a resource and the rules of granting (Q1 to Q8). They
 * are Linux's, in its order of questions. Where we differ:
 *
 *	- Q7 holds at any time: of the conversions that wait, none is in the way of
 *	  one before it. So it is asked when one comes, and of those that HEADQUE
 *	  was put before (which Linux leaves waiting for each other).
 *	- A lock is told the highest mode of those that it keeps waiting, not of
 *	  all that wait; and one that converts is told too.
 *
 * Granted locks stand in the order in which they came there; a conversion that is
 * granted at once keeps its place.
 */
#include <errno.h>

#include "lockres/table_private.h"

/* --- places ------------------------------------------------------------------------- */

struct lock_entry *lock_entry_before(const struct lock_entry *lock)
{
	if (lock->link.prev == &lock->resource->queues[lock->queue])
		return NULL;
	return qb_list_entry(lock->link.prev, struct lock_entry, link);
}

struct lock_entry *lock_entry_behind(const struct lock_entry *lock)
{
	if (lock->link.next == &lock->resource->queues[lock->queue])
		return NULL;
	return qb_list_entry(lock->link.next, struct lock_entry, link);
}

static void count(const struct lock_entry *lock, int by)
{
	struct lock_resource *r = lock->resource;

	r->count[lock->queue] = (uint16_t)(r->count[lock->queue] + by);
	if (lock->granted != LOCK_NONE)
		r->held[lock->granted] = (uint16_t)(r->held[lock->granted] + by);
	if (!lock_is_waiting(lock))
		return;
	r->wanted[lock->queue][lock->wanted] =
		(uint16_t)(r->wanted[lock->queue][lock->wanted] + by);
	if (lock->flags & LOCK_NOORDER)
		r->unordered = (uint16_t)(r->unordered + by);
}

void lock_change_begin(struct lock_entry *lock)
{
	count(lock, -1);
}

void lock_change_end(struct lock_table *t, struct lock_entry *lock)
{
	count(lock, 1);
	lock_digest_lock(t, lock);
}

static void put(struct lock_table *t, struct lock_entry *lock, enum lock_queue queue,
		struct qb_list_head *behind)
{
	struct lock_entry *next;

	qb_list_add(&lock->link, behind);
	lock->queue = (uint8_t)queue;
	count(lock, 1);
	lock_digest_lock(t, lock);
	next = lock_entry_behind(lock);
	if (next)
		lock_digest_lock(t, next);
}

void lock_queue_put(struct lock_table *t, struct lock_entry *lock, enum lock_queue queue,
		    bool is_first)
{
	struct qb_list_head *head = &lock->resource->queues[queue];

	put(t, lock, queue, is_first ? head : head->prev);
}

void lock_queue_put_back(struct lock_table *t, struct lock_entry *lock,
			 enum lock_queue queue, struct lock_entry *before)
{
	put(t, lock, queue, before ? &before->link : &lock->resource->queues[queue]);
}

void lock_queue_take(struct lock_table *t, struct lock_entry *lock)
{
	struct lock_entry *next = lock_entry_behind(lock);

	lock_waiter_remove(t, lock);
	count(lock, -1);
	qb_list_del(&lock->link);
	lock->queue = LOCK_QUEUE_NONE;
	t->digest -= lock->digest;
	lock->digest = 0;
	if (next)
		lock_digest_lock(t, next);
}

/* --- may it be granted? --------------------------------------------------------------- */

bool lock_is_compatible(const struct lock_entry *lock, enum lock_mode wanted)
{
	const struct lock_resource *r = lock->resource;

	for (enum lock_mode m = LOCK_NL; m < LOCK_MODES; m++)
		if (r->held[m] > (m == lock->granted) && !lock_modes_compatible(m, wanted))
			return false;
	return true;
}

static bool is_head(const struct lock_entry *lock, enum lock_queue queue)
{
	return lock->queue == queue && !lock_entry_before(lock);
}

/* Q3, Q4, Q6. */
static bool may_convert(const struct lock_entry *lock, enum lock_when when)
{
	if (when == LOCK_RECOVERY)
		return true;
	if (when == LOCK_NOW && lock->flags & LOCK_QUECVT)
		return lock->resource->count[LOCK_QUEUE_CONVERTING] == 0;
	return when == LOCK_NOW || lock->flags & LOCK_NOORDER ||
	       is_head(lock, LOCK_QUEUE_CONVERTING);
}

bool lock_may_grant(const struct lock_entry *lock, enum lock_mode wanted,
		    enum lock_when when)
{
	const struct lock_resource *r = lock->resource;

	if (lock->flags & LOCK_EXPEDITE)
		return true;
	if (!lock_is_compatible(lock, wanted))
		return false;
	if (lock->granted != LOCK_NONE)
		return may_convert(lock, when);
	if (lock->flags & LOCK_NOORDER)
		return true;
	if (r->count[LOCK_QUEUE_CONVERTING] > 0)
		return false;
	return when == LOCK_NOW ? r->count[LOCK_QUEUE_WAITING] == 0
				: is_head(lock, LOCK_QUEUE_WAITING);
}

static enum lock_mode other_mode(const struct lock_entry *lock)
{
	if (lock->flags & LOCK_ALTPR && lock->wanted != LOCK_PR)
		return LOCK_PR;
	if (lock->flags & LOCK_ALTCW && lock->wanted != LOCK_CW)
		return LOCK_CW;
	return LOCK_NONE;
}

enum lock_mode lock_may_have(const struct lock_entry *lock, enum lock_when when)
{
	enum lock_mode other = other_mode(lock);

	if (lock_may_grant(lock, lock->wanted, when))
		return lock->wanted;
	if (other == LOCK_NONE)
		return LOCK_NONE;
	if (when == LOCK_NOW)
		return lock_may_grant(lock, other, when) ? other : LOCK_NONE;
	/* Down it went when it came; one that was loaded may wait for it, without a value. */
	if (lock->granted != LOCK_NONE && lock_is_down(lock->granted, other))
		return LOCK_NONE;
	return lock_may_grant(lock, other, LOCK_LATER) ? other : LOCK_NONE;
}

/* --- what is granted, and what is not ----------------------------------------------------- */

void lock_complete(struct lock_table *t, struct lock_key key, int status,
		   enum lock_mode mode, uint32_t marks, const uint8_t *value)
{
	const struct lock_outcome outcome = { status, mode, marks, value };

	if (t->ops.completed)
		t->ops.completed(t->owner, key, &outcome);
}

static void settle_in(struct lock_table *t, struct lock_entry *lock, enum lock_mode mode)
{
	if (lock->queue == LOCK_QUEUE_GRANTED)
		lock_change_begin(lock);
	else if (lock->queue != LOCK_QUEUE_NONE)
		lock_queue_take(t, lock);
	lock->granted = mode;
	lock->wanted = LOCK_NONE;
	if (lock->queue == LOCK_QUEUE_GRANTED)
		lock_change_end(t, lock);
	else
		lock_queue_put(t, lock, LOCK_QUEUE_GRANTED, false);
}

void lock_grant(struct lock_table *t, struct lock_entry *lock, enum lock_mode mode,
		const uint8_t *value)
{
	enum lock_mode from = lock->granted;
	const uint8_t *returned;

	if (mode != lock->wanted)
		lock->marks |= LOCK_ALTMODE;
	returned = lock_value_on_grant(t, lock, mode, value);
	lock->told = LOCK_NONE;
	settle_in(t, lock, mode);
	lock_note(t, lock->resource, lock->key, LOCK_STEP_GRANT, from, mode, 0);
	lock_complete(t, lock->key, 0, mode, lock->marks, returned);
}

void lock_refuse(struct lock_table *t, struct lock_entry *lock, int status)
{
	struct lock_key key = lock->key;
	enum lock_mode granted = lock->granted;
	uint32_t marks = lock->marks;

	lock_note(t, lock->resource, key, LOCK_STEP_REFUSE, granted, lock->wanted, status);
	if (granted != LOCK_NONE) {
		settle_in(t, lock, granted);
	} else {
		if (lock->queue != LOCK_QUEUE_NONE)
			lock_queue_take(t, lock);
		lock_entry_free(t, lock);
	}
	lock_complete(t, key, status, granted, marks, NULL);
}

/* --- Q7 ------------------------------------------------------------------------------- */

bool lock_would_deadlock(const struct lock_entry *lock)
{
	const struct lock_resource *r = lock->resource;

	for (enum lock_mode m = LOCK_NL; m < LOCK_MODES; m++)
		if (r->wanted[LOCK_QUEUE_CONVERTING][m] > 0 && lock_is_in_the_way(lock, m))
			return true;
	return false;
}

void lock_demote(struct lock_table *t, struct lock_entry *lock)
{
	lock_change_begin(lock);
	lock->granted = LOCK_NL;
	lock->marks |= LOCK_DEMOTED;
	lock_change_end(t, lock);
}

void lock_pass_head(struct lock_table *t, struct lock_entry *head)
{
	struct qb_list_head *queue = &head->resource->queues[LOCK_QUEUE_CONVERTING];
	struct lock_entry *lock, *next;

	if (lock_may_have(head, LOCK_LATER) != LOCK_NONE)
		return; /* the other mode: it will not stay */
	qb_list_for_each_entry_safe(lock, next, queue, link) {
		if (lock == head || !lock_is_in_the_way(lock, head->wanted))
			continue;
		if (lock->flags & LOCK_CONVDEADLK)
			lock_demote(t, lock);
		else
			lock_refuse(t, lock, -EDEADLK);
	}
}

/* --- after a change --------------------------------------------------------------------- */

/*
 * Once is enough: by Q7 what one has that is granted in passing was in the way of
 * none before it. Without NOORDER all behind one that has to wait wait too.
 */
static void walk(struct lock_table *t, struct lock_resource *r, enum lock_queue queue,
		 enum lock_when when)
{
	struct lock_entry *lock, *next;

	qb_list_for_each_entry_safe(lock, next, &r->queues[queue], link) {
		enum lock_mode mode = lock_may_have(lock, when);

		if (mode != LOCK_NONE)
			lock_grant(t, lock, mode, NULL);
		else if (when != LOCK_RECOVERY && r->unordered == 0)
			return;
	}
}

void lock_grant_conversions(struct lock_table *t, struct lock_resource *r,
			    enum lock_when when)
{
	walk(t, r, LOCK_QUEUE_CONVERTING, when);
}

static bool is_somebody_waiting(const struct lock_resource *r)
{
	return r->count[LOCK_QUEUE_CONVERTING] > 0 || r->count[LOCK_QUEUE_WAITING] > 0;
}

static void tell(struct lock_table *t, struct lock_entry *holder, enum lock_mode wanted)
{
	holder->told = wanted;
	lock_note(t, holder->resource, holder->key, LOCK_STEP_BLOCKED, holder->granted,
		  wanted, 0);
	if (t->ops.blocked)
		t->ops.blocked(t->owner, holder->key, wanted);
}

/* The highest that this lock keeps others from; NONE: nothing. */
static enum lock_mode highest_kept(const struct lock_entry *holder)
{
	const struct lock_resource *r = holder->resource;

	for (int m = LOCK_EX; m > LOCK_NL; m--) {
		int waiting = r->wanted[LOCK_QUEUE_CONVERTING][m] +
			      r->wanted[LOCK_QUEUE_WAITING][m];

		if (lock_is_waiting(holder) && holder->wanted == m)
			waiting--;
		if (waiting > 0 && lock_is_in_the_way(holder, (enum lock_mode)m))
			return (enum lock_mode)m;
	}
	return LOCK_NONE;
}

/* Q8. Orphans have nobody who could hear it. */
static void tell_all(struct lock_table *t, struct lock_resource *r)
{
	struct lock_entry *lock;

	for (int q = LOCK_QUEUE_GRANTED; q <= LOCK_QUEUE_CONVERTING; q++) {
		qb_list_for_each_entry(lock, &r->queues[q], link) {
			enum lock_mode wanted = highest_kept(lock);

			if (wanted > lock->told && !lock->is_orphan)
				tell(t, lock, wanted);
		}
	}
}

void lock_tell_blockers(struct lock_table *t, struct lock_resource *r,
			const struct lock_entry *except, enum lock_mode wanted)
{
	struct lock_entry *lock;

	for (int q = LOCK_QUEUE_GRANTED; q <= LOCK_QUEUE_CONVERTING; q++)
		qb_list_for_each_entry(lock, &r->queues[q], link)
			if (lock != except && !lock->is_orphan && wanted > lock->told &&
			    lock_is_in_the_way(lock, wanted))
				tell(t, lock, wanted);
}

void lock_resource_settle(struct lock_table *t, struct lock_resource *r,
			  enum lock_when when)
{
	if (!is_somebody_waiting(r))
		return;
	lock_grant_conversions(t, r, when);
	walk(t, r, LOCK_QUEUE_WAITING, when);
	if (is_somebody_waiting(r))
		tell_all(t, r);
}
