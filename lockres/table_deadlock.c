/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Deadlocks over resources (Q9): from the lock that has just been queued to those in
 * its way, from each of their waiters to the locks that it waits for, and so on; by
 * breadth, so that the cycle found is a shortest one. All waiting began with such a
 * search, so a cycle can only be one with the lock that came last.
 *
 * In the way are locks whose granted mode excludes what is wanted; their waiter will
 * not give them up before it has all that it waits for. And locks that the order of
 * the queues puts first, but for NOORDER: ahead in the same queue, conversions ahead of
 * new requests. These have to be granted, no more, if both modes go together.
 *
 * The search ends behind so many locks that wait, or that it looked at: a cycle that
 * is larger, or hidden in longer queues, is not found, on any node.
 */
#include <errno.h>

#include "base/arith.h"
#include "lockres/table_private.h"

enum {
	LOCK_SEARCH_MAX = 512,     /* that wait */
	LOCK_SEARCH_LOOKS = 1 << 15, /* some 0.3 ms */
};

struct found {
	struct lock_entry *waits;
	const struct lock_entry *way; /* a lock of its waiter, in the way of `from` */
	int from;                     /* index of that; -1: it is the first */
};

struct search {
	struct lock_table *table;
	struct found found[LOCK_SEARCH_MAX];
	int count, looks;
};

/* --- who waits for what ----------------------------------------------------------------- */

static struct lock_entry *waiter_of(const struct lock_chain *link)
{
	return container_of(link, struct lock_entry, by_waiter);
}

uint64_t lock_waiter_hash(const struct lock_chain *link)
{
	const struct lock_entry *lock = waiter_of(link);

	return lock_hash_pair(lock->key.node, lock->waiter);
}

int lock_waiter_add(struct lock_table *t, struct lock_entry *lock)
{
	if (lock->waiter == 0 || lock->flags & LOCK_NODLCKWT)
		return 0;
	if (lock_map_add(t, &t->by_waiter, &lock->by_waiter) < 0)
		return -ENOMEM;
	lock->is_sought = true;
	return 0;
}

void lock_waiter_remove(struct lock_table *t, struct lock_entry *lock)
{
	if (!lock->is_sought)
		return;
	lock_map_remove(&t->by_waiter, &lock->by_waiter);
	lock->is_sought = false;
}

static bool is_same_waiter(const struct lock_entry *a, const struct lock_entry *b)
{
	return a->key.node == b->key.node && a->waiter == b->waiter;
}

/*
 * The waiter of `way` waits with a lock that this search has not seen: the one with the
 * lowest number, whichever way the chain runs.
 */
static struct lock_entry *unseen(struct search *s, const struct lock_entry *way)
{
	uint64_t hash = lock_hash_pair(way->key.node, way->waiter);
	struct lock_chain *link = lock_map_first(&s->table->by_waiter, hash);
	struct lock_entry *lowest = NULL;

	for (; link; link = link->next) {
		struct lock_entry *lock = waiter_of(link);

		if (!is_same_waiter(lock, way))
			continue;
		s->looks++;
		if (!lock->is_seen && (!lowest || lock->key.number < lowest->key.number))
			lowest = lock;
	}
	return lowest;
}

/* --- search -------------------------------------------------------------------------------- */

/* Told from the last step to the first, as the search left them. */
static void tell_cycle(const struct search *s, int last, const struct lock_entry *closes)
{
	const struct lock_table *t = s->table;
	struct lock_cycle_step steps[LOCK_SEARCH_MAX];
	const struct lock_entry *way = closes;
	size_t count = 0, i;

	for (int at = last; at >= 0; at = s->found[at].from)
		count++;
	i = count;
	for (int at = last; at >= 0; at = s->found[at].from) {
		const struct lock_entry *waits = s->found[at].waits;

		steps[--i] = (struct lock_cycle_step){
			.waits = waits->key,
			.name = lock_resource_name(t, waits->resource),
			.name_length = waits->resource->name_length,
			.wanted = waits->wanted,
			.blocked_by = way->key,
			.held = way->granted,
		};
		way = s->found[at].way;
	}
	if (t->ops.deadlock)
		t->ops.deadlock(t->owner, steps, count);
}

static void go_on(struct search *s, struct lock_entry *lock, const struct lock_entry *way,
		  int from)
{
	lock->is_seen = true;
	s->found[s->count++] = (struct found){ lock, way, from };
}

/* found[from] waits for the waiter of `way`. True: that closes the cycle. */
static bool follow_waiter(struct search *s, const struct lock_entry *way, int from)
{
	struct lock_entry *lock;

	if (way->waiter == 0)
		return false;
	if (is_same_waiter(way, s->found[0].waits)) {
		tell_cycle(s, from, way);
		return true;
	}
	while (s->count < LOCK_SEARCH_MAX && (lock = unseen(s, way)) != NULL)
		go_on(s, lock, way, from);
	return false;
}

static bool follow_holders(struct search *s, int from)
{
	const struct lock_entry *waits = s->found[from].waits, *lock;

	for (int q = LOCK_QUEUE_GRANTED; q <= LOCK_QUEUE_CONVERTING; q++) {
		qb_list_for_each_entry(lock, &waits->resource->queues[q], link) {
			s->looks++;
			if (lock != waits && lock_is_in_the_way(lock, waits->wanted) &&
			    follow_waiter(s, lock, from))
				return true;
		}
	}
	return false;
}

/* `way` has to be granted before; and, where both exclude each other, to go again. */
static bool follow_one_before(struct search *s, struct lock_entry *way, int from)
{
	if (way == s->found[0].waits) {
		tell_cycle(s, from, way);
		return true;
	}
	if (!lock_modes_compatible(way->wanted, s->found[from].waits->wanted))
		return follow_waiter(s, way, from);
	if (way->is_sought && !way->is_seen && s->count < LOCK_SEARCH_MAX)
		go_on(s, way, way, from);
	return false;
}

static bool follow_order(struct search *s, int from)
{
	const struct lock_entry *waits = s->found[from].waits;
	struct lock_entry *lock;

	if (waits->flags & LOCK_NOORDER)
		return false;
	for (int q = LOCK_QUEUE_CONVERTING; q <= waits->queue; q++) {
		qb_list_for_each_entry(lock, &waits->resource->queues[q], link) {
			if (lock == waits)
				break;
			s->looks++;
			if (follow_one_before(s, lock, from))
				return true;
		}
	}
	return false;
}

bool lock_closes_cycle(struct lock_table *t, struct lock_entry *lock)
{
	struct search s;
	bool is_closed = false;

	if (!lock->is_sought)
		return false;
	s.table = t;
	s.count = 1;
	s.looks = 0;
	s.found[0] = (struct found){ lock, NULL, -1 };
	for (int at = 0; !is_closed && at < s.count && s.looks < LOCK_SEARCH_LOOKS; at++)
		is_closed = follow_holders(&s, at) || follow_order(&s, at);
	for (int at = 1; at < s.count; at++)
		s.found[at].waits->is_seen = false;
	return is_closed;
}
