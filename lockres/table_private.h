/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the files of the lock table share; table.h has the promises. */
#pragma once

#include <qb/qblist.h>

#include "lockres/table.h"

/* --- the state -------------------------------------------------------------------- */

enum lock_queue {
	LOCK_QUEUE_GRANTED,
	LOCK_QUEUE_CONVERTING, /* holds what it has, and wants another mode */
	LOCK_QUEUE_WAITING,    /* new requests */
	LOCK_QUEUES,
	LOCK_QUEUE_NONE = LOCK_QUEUES, /* not yet, not any more */
};

/* A link of a lock_map. */
struct lock_chain {
	struct lock_chain *next;
};

struct lock_entry {
	struct qb_list_head link; /* in its queue */
	struct lock_chain by_key; /* not of orphans: their numbers are free again */
	struct lock_chain by_waiter; /* while it waits, where Q9 asks */
	struct lock_resource *resource;
	uint64_t digest; /* its part of the table's */
	struct lock_key key;
	uint32_t flags, waiter;
	enum lock_mode granted : 8, wanted : 8;
	enum lock_mode told : 8; /* Q8: the highest since it was granted */
	uint8_t marks;
	uint8_t queue;
	bool is_orphan;
	bool is_sought; /* it is in the map of waiters */
	bool is_seen;   /* by the search of Q9 that runs */
};

struct lock_resource {
	struct qb_list_head queues[LOCK_QUEUES];
	struct lock_chain by_name;
	struct lock_history *history; /* NULL: no step yet, or no memory for it */
	uint64_t hash;                /* of the name */
	uint64_t digest;              /* name and value: its part of the table's */
	uint32_t index;               /* in the shelf */
	uint32_t value_seq;
	/* How many locks of each mode, so that no rule walks a queue. */
	uint16_t held[LOCK_MODES]; /* granted and converting */
	uint16_t wanted[LOCK_QUEUES][LOCK_MODES];
	uint16_t count[LOCK_QUEUES];
	uint16_t unordered; /* NOORDER, and waits */
	bool is_value_valid;
	uint8_t name_length;
	uint8_t bytes[]; /* the value, then the name */
};

/*
 * A hash that grows. Which chain something is in decides nothing but how fast it is
 * found.
 */
struct lock_map {
	struct lock_chain **chains;
	size_t mask, count;
	uint64_t (*hash)(const struct lock_chain *link);
};

/*
 * All resources, in any order until somebody wants them by name. Apart from the table,
 * since to put it in order changes nothing for who only looks.
 */
struct lock_shelf {
	struct lock_resource **resources;
	uint32_t count, room;
	bool is_sorted;
};

struct lock_table {
	struct lock_table_ops ops;
	void *owner;
	uint32_t lvb_bytes;
	uint64_t digest;
	uint64_t now_ns;
	size_t locks;
	size_t bytes;
	struct lock_shelf *shelf;
	struct lock_map by_name, by_key, by_waiter;
};

/* --- memory and finding: table_index.c ---------------------------------------------- */

int lock_map_init(struct lock_table *t, struct lock_map *m,
		  uint64_t (*hash)(const struct lock_chain *link));
int lock_map_add(struct lock_table *t, struct lock_map *m, struct lock_chain *link);
void lock_map_remove(struct lock_map *m, struct lock_chain *link);
struct lock_chain *lock_map_first(const struct lock_map *m, uint64_t hash);

int lock_index_init(struct lock_table *t);
void lock_index_fini(struct lock_table *t);
/* By name from here on; until one comes, or goes that is not the last. */
void lock_shelf_sort(const struct lock_table *t);

struct lock_resource *lock_resource_find(const struct lock_table *t, const void *name,
					 size_t length);
/* NULL: no memory. */
struct lock_resource *lock_resource_new(struct lock_table *t, const void *name,
					size_t length);
/* Nobody has a lock on it any more: gone. */
void lock_resource_reap(struct lock_table *t, struct lock_resource *r);

struct lock_entry *lock_entry_find(const struct lock_table *t, struct lock_key key);
/* In no queue yet. NULL: no memory. */
struct lock_entry *lock_entry_new(struct lock_table *t, struct lock_resource *r,
				  struct lock_key key, bool is_orphan);
/* In no queue any more. */
void lock_entry_free(struct lock_table *t, struct lock_entry *lock);
void lock_entry_make_orphan(struct lock_table *t, struct lock_entry *lock);
int lock_entry_adopt(struct lock_table *t, struct lock_entry *lock, struct lock_key key);

static inline const char *lock_resource_name(const struct lock_table *t,
					     const struct lock_resource *r)
{
	return (const char *)r->bytes + t->lvb_bytes;
}

static inline size_t lock_resource_locks(const struct lock_resource *r)
{
	return (size_t)r->count[LOCK_QUEUE_GRANTED] + r->count[LOCK_QUEUE_CONVERTING] +
	       r->count[LOCK_QUEUE_WAITING];
}

static inline bool lock_is_waiting(const struct lock_entry *lock)
{
	return lock->queue == LOCK_QUEUE_CONVERTING || lock->queue == LOCK_QUEUE_WAITING;
}

/* The one before it or behind it in its queue; NULL: it is the first, the last. */
struct lock_entry *lock_entry_before(const struct lock_entry *lock);
struct lock_entry *lock_entry_behind(const struct lock_entry *lock);

/* --- digest: table_digest.c ----------------------------------------------------------- */

uint64_t lock_hash_bytes(const void *bytes, size_t length);
uint64_t lock_hash_pair(uint32_t a, uint32_t b);
/* Called whenever what they say has changed; its neighbours, when the order has. */
void lock_digest_resource(struct lock_table *t, struct lock_resource *r);
void lock_digest_lock(struct lock_table *t, struct lock_entry *lock);

/* --- queues and grants: table_queue.c ------------------------------------------------- */

enum lock_when {
	LOCK_NOW,      /* it has just come */
	LOCK_LATER,    /* it waits */
	LOCK_RECOVERY, /* it waits, and conversions go in any order */
};

void lock_queue_put(struct lock_table *t, struct lock_entry *lock, enum lock_queue queue,
		    bool is_first);
/* Where it was before lock_queue_take(): behind that one, NULL: first. */
void lock_queue_put_back(struct lock_table *t, struct lock_entry *lock,
			 enum lock_queue queue, struct lock_entry *before);
void lock_queue_take(struct lock_table *t, struct lock_entry *lock);
/* Around what changes a lock that stays in its place. */
void lock_change_begin(struct lock_entry *lock);
void lock_change_end(struct lock_table *t, struct lock_entry *lock);

/* Q2: this mode, with all that is held but by this lock. */
bool lock_is_compatible(const struct lock_entry *lock, enum lock_mode wanted);
/* Q1 to Q6: may this lock have what it wants? */
bool lock_may_grant(const struct lock_entry *lock, enum lock_mode wanted,
		    enum lock_when when);
/* Or the other mode: what it may have now, NONE: nothing. */
enum lock_mode lock_may_have(const struct lock_entry *lock, enum lock_when when);
/* Q7, of one that is about to wait. */
bool lock_would_deadlock(const struct lock_entry *lock);
void lock_demote(struct lock_table *t, struct lock_entry *lock);

/* Tells; `value` is what came with the operation. */
void lock_grant(struct lock_table *t, struct lock_entry *lock, enum lock_mode mode,
		const uint8_t *value);
/*
 * The operation is over without what it wanted: told. A conversion goes back to
 * what was granted; a request is freed, its resource is not.
 */
void lock_refuse(struct lock_table *t, struct lock_entry *lock, int status);
void lock_complete(struct lock_table *t, struct lock_key key, int status,
		   enum lock_mode mode, uint32_t marks, const uint8_t *value);

void lock_grant_conversions(struct lock_table *t, struct lock_resource *r,
			    enum lock_when when);
/* Q7, of those that one at the head has come before. */
void lock_pass_head(struct lock_table *t, struct lock_entry *head);
/* Conversions, requests, then Q8. */
void lock_resource_settle(struct lock_table *t, struct lock_resource *r,
			  enum lock_when when);
/* NOQUEUEBAST: who, but for that one, is in the way of what will not wait. */
void lock_tell_blockers(struct lock_table *t, struct lock_resource *r,
			const struct lock_entry *except, enum lock_mode wanted);

static inline bool lock_is_in_the_way(const struct lock_entry *holder,
				      enum lock_mode wanted)
{
	return !lock_modes_compatible(holder->granted, wanted);
}

/* --- values: table_value.c -------------------------------------------------------------- */

/* What VALBLK returns, or NULL; marks it. */
const uint8_t *lock_value_read(struct lock_entry *lock);
/* The lock goes from what is granted to `mode`. What is returned, or NULL. */
const uint8_t *lock_value_on_grant(struct lock_table *t, struct lock_entry *lock,
				   enum lock_mode mode, const uint8_t *value);
void lock_value_on_unlock(struct lock_table *t, struct lock_entry *lock, uint32_t flags,
			  const uint8_t *value);
void lock_value_on_death(struct lock_table *t, struct lock_entry *lock);

/* --- deadlocks over resources: table_deadlock.c ------------------------------------------- */

/* This lock waits now, or does not any more. */
int lock_waiter_add(struct lock_table *t, struct lock_entry *lock);
void lock_waiter_remove(struct lock_table *t, struct lock_entry *lock);
uint64_t lock_waiter_hash(const struct lock_chain *link);
/* Q9: it has just been queued. True: it closes a cycle, which was told. */
bool lock_closes_cycle(struct lock_table *t, struct lock_entry *lock);

/* --- history: table_history.c --------------------------------------------------------------- */

void lock_note(struct lock_table *t, struct lock_resource *r, struct lock_key key,
	       enum lock_step step, enum lock_mode from, enum lock_mode to, int status);
void lock_history_free(struct lock_table *t, struct lock_resource *r);
