/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The lock table of one lockspace: resources, the three queues of each, and what an
 * operation does to them. Given the same operations in the same order, it is the same
 * everywhere: no clock, no address, no hash order decides anything. Pure. Who is
 * a member, and whether anything may be granted now, is the caller's business.
 *
 *	T1  Granted locks of a resource are compatible with each other (L1).
 *	T2  Each operation that was taken ends in one completed() for its lock.
 *	T3  Equal states have equal digests, and go on equally after save and load.
 *	T4  Memory that runs out is told (-ENOMEM), and the table is then for freeing.
 *	T5  Nothing grows without bound: the limits below, answered with -ENOSPC.
 *
 * The rules of the queues, as numbers that the code and tests cite:
 *
 *	Q1  EXPEDITE: granted, whatever is there.
 *	Q2  In conflict with the granted mode of any other lock, be it on the granted or
 *	    on the convert queue: not granted. A lock that converts keeps what it has.
 *	Q3  A fresh conversion that is compatible is granted at once, ahead of what
 *	    waits; with QUECVT only if no conversion waits.
 *	Q4  Conversions that wait: first in, first out, the head only; any order in
 *	    lock_table_settle().
 *	Q5  New requests: when no conversion and no request waits before them.
 *	Q6  NOORDER: as soon as Q2 allows, wherever it stands. HEADQUE: queued first.
 *	Q7  A conversion whose granted mode is in the way of one that waits before it,
 *	    or that is in the way of one behind it which is in its way: -EDEADLK, what
 *	    was held is kept; or with CONVDEADLK it is demoted to NL, and waits. Asked
 *	    of one that comes, to whom all that wait are before it; and of those
 *	    that one with HEADQUE has come before.
 *	Q8  What waits tells each lock that is in its way, once for each higher mode.
 *	Q9  A cycle over resources, of waiters that are not 0 and without NODLCKWT:
 *	    who would close it gets -EDEADLK, and the cycle is told.
 *
 * A resource lives as long as there is a lock on it, be it NL, and its value with it:
 * the kernel keeps it for some ten seconds more, which nobody may count on.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lockres/lock.h"

struct lock_table;
struct rd;
struct wr;

enum {
	LOCK_TABLE_MAX_RESOURCES = 1 << 20,
	LOCK_TABLE_MAX_LOCKS = 1 << 22,          /* in all */
	LOCK_TABLE_MAX_RESOURCE_LOCKS = 1 << 13, /* on one: it fits a message */
	LOCK_HISTORY_MAX = 32,                   /* newest steps kept of a resource */
};

/*
 * A lock of a node; the number is the node's choice, and unique among its locks. An
 * orphan keeps its key for those who look, but is not found by it any more: the
 * process that comes next counts anew.
 */
struct lock_key {
	uint32_t node; /* id */
	uint32_t number;
};

struct lock_outcome {
	int status;          /* as in struct lock_result */
	enum lock_mode mode; /* what is granted now */
	uint32_t marks;
	const uint8_t *value; /* what is returned, of lvb_bytes, zeros if none was ever
				 stored; NULL: nothing is */
};

/* One lock of a cycle: it waits for the next one's owner; the last for the first. */
struct lock_cycle_step {
	struct lock_key waits;   /* this lock */
	const char *name;        /* of its resource */
	size_t name_length;
	enum lock_mode wanted;
	struct lock_key blocked_by; /* a lock of the next one's waiter */
	enum lock_mode held;        /* by that */
};

/*
 * Called from within the operations, in the order of what happens; they may not call
 * operations. Any may be NULL. Orphans are not told that they block.
 */
struct lock_table_ops {
	void (*completed)(void *owner, struct lock_key key,
			  const struct lock_outcome *outcome);
	void (*blocked)(void *owner, struct lock_key key, enum lock_mode wanted);
	/* The request of steps[0] is refused for it. */
	void (*deadlock)(void *owner, const struct lock_cycle_step *steps, size_t count);
};

/* NULL: no memory. */
struct lock_table *lock_table_new(uint32_t lvb_bytes, const struct lock_table_ops *ops,
				  void *owner);
void lock_table_free(struct lock_table *t); /* NULL is fine */

/* --- operations ---------------------------------------------------------------------- */

struct lock_order {
	struct lock_key key;
	enum lock_mode mode;
	uint32_t flags;       /* with CONVERT: of a lock that is there */
	uint32_t waiter;      /* request: 0: no part in Q9 */
	const void *name;     /* request */
	size_t name_length;
	const uint8_t *value; /* VALBLK: of lvb_bytes */
};

/*
 * A request or a conversion, as lockres_lock() has it. -EBADMSG, and nothing is done
 * or told, where no caller of lockres.h would ask so: flags or modes that lock_fault()
 * refuses, a request of a number that is there, a conversion of one that is not or
 * that waits, VALBLK without a value. -ENOMEM: T4.
 */
int lock_table_lock(struct lock_table *t, const struct lock_order *order);
/*
 * An unlock, by force or not, or a cancel, as lockres_unlock() has it; `value` for
 * VALBLK. A cancel of a lock that does not wait does nothing. -EBADMSG: no such lock,
 * flags that unlock_fault() refuses, one that waits and is not forced.
 */
int lock_table_unlock(struct lock_table *t, struct lock_key key, uint32_t flags,
		      const uint8_t *value);

enum lock_release {
	LOCK_RELEASE_PROCESS, /* PERSISTENT ones become orphans */
	LOCK_RELEASE_NODE,    /* all, orphans too */
	LOCK_RELEASE_ORPHANS, /* the orphans alone */
};

/*
 * A node's locks are gone, granted and waiting; nobody is told. Where one with
 * VALBLK held PW or EX, the value is not valid from here on. Grants nothing:
 * lock_table_settle() does, when all that is to go is gone.
 */
int lock_table_release(struct lock_table *t, uint32_t node, enum lock_release release);
/* Grants what can be; conversions in any order (Q4). Tells who is in the way. */
void lock_table_settle(struct lock_table *t);

/* --- state ---------------------------------------------------------------------------- */

/*
 * Whole resources, in the table's order, as long as they fit: begin with *cursor 0;
 * true: there are more, again with the cursor as it is left. Nothing may change
 * between. Room for one resource is LOCK_TABLE_RECORD_MAX at most. History and
 * the count of what was told (Q8) are not in it: load() tells no one.
 */
enum { LOCK_TABLE_RECORD_MAX = 256 << 10 };
bool lock_table_save(const struct lock_table *t, uint64_t *cursor, struct wr *to);
/*
 * Adds what save() wrote. -EBADMSG: no table could have written it (modes that exclude
 * each other are granted, a name or a key twice, a limit, ...), -ENOMEM. Then the
 * resources that came before it are there.
 */
int lock_table_load(struct lock_table *t, struct rd *from);
/* Of resources, locks, queues and values. Costs nothing: it is kept as they change. */
uint64_t lock_table_digest(const struct lock_table *t);

/* --- looking -------------------------------------------------------------------------- */

struct lock_resource_view {
	const char *name;
	size_t name_length;
	const uint8_t *value;   /* of lvb_bytes */
	uint32_t value_seq;     /* how often it was stored; 0: never */
	bool is_value_valid;
	size_t granted, converting, waiting;
};

struct lock_view {
	struct lock_key key;
	enum lock_mode granted;
	enum lock_mode wanted; /* NONE: it does not wait */
	uint32_t flags;        /* of its last operation */
	uint32_t marks;
	uint32_t waiter;
	bool is_orphan;
};

/* False: there is no such lock. The resource may be NULL. */
bool lock_table_find(const struct lock_table *t, struct lock_key key,
		     struct lock_view *lock, struct lock_resource_view *resource);
/* All resources by name (memcmp, shorter first), or the one of this name (not NULL). */
void lock_table_look(const struct lock_table *t, const void *name, size_t name_length,
		     void (*fn)(void *owner, const struct lock_resource_view *resource),
		     void *owner);
/* Its locks: granted, converting, waiting, each queue from its head. */
void lock_table_look_locks(const struct lock_table *t, const void *name,
			   size_t name_length,
			   void (*fn)(void *owner, const struct lock_view *lock),
			   void *owner);
/* Nodes whose granted modes keep this lock waiting, ascending; how many there are. */
size_t lock_table_blockers(const struct lock_table *t, struct lock_key key,
			   uint32_t *nodes, size_t room);
/* The same for a mode of this resource, and a lock that is there, or not any more. */
size_t lock_table_excluders(const struct lock_table *t, const void *name,
			    size_t name_length, struct lock_key key, enum lock_mode mode,
			    uint32_t *nodes, size_t room);

size_t lock_table_resources(const struct lock_table *t);
size_t lock_table_locks(const struct lock_table *t);
size_t lock_table_bytes(const struct lock_table *t); /* of memory, about */

/* --- history: what this node saw, not part of the state --------------------------------- */

enum lock_step {
	LOCK_STEP_REQUEST, LOCK_STEP_CONVERT, LOCK_STEP_UNLOCK, LOCK_STEP_CANCEL,
	LOCK_STEP_GRANT, LOCK_STEP_REFUSE, LOCK_STEP_BLOCKED, LOCK_STEP_RELEASE,
};

struct lock_history_entry {
	uint64_t at_ns; /* as lock_table_clock() said */
	struct lock_key key;
	enum lock_step step;
	enum lock_mode from, to;
	int status;
};

/* The time of what comes next. */
void lock_table_clock(struct lock_table *t, uint64_t now_ns);
/* The steps of a resource, oldest first; the last LOCK_HISTORY_MAX. */
void lock_table_history(const struct lock_table *t, const void *name, size_t name_length,
			void (*fn)(void *owner, const struct lock_history_entry *entry),
			void *owner);
const char *lock_step_name(enum lock_step step);
