/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Lockspaces: resources by name, locks on them, and who of the cluster takes part.
 * This is the interface; an engine serves it (lock_manager.h: our own ring;
 * lockspace_dlm.h: the kernel's DLM). What is promised, as tests cite:
 *
 *	L1  No two locks of a resource are granted in modes that exclude each other,
 *	    on no two nodes, whatever the network does; until a member's death is
 *	    proven what it holds counts (D14).
 *	L2  Every request that was taken is completed exactly once, by done(): granted,
 *	    refused, cancelled, late, unlocked by force, or because the lockspace was
 *	    lost or closed.
 *	L3  Operations of one lockspace take effect in the order in which they were
 *	    made; what is made in one event, or between begin and end, travels together.
 *	    The kernel's DLM cannot promise that for locks of different resources, which
 *	    have different masters: lockspace.is_ordered says whether it holds.
 *	L4  Completions and blocked() of one lock come in order; a blocked() that a
 *	    later completion has made untrue may not come.
 *	L5  Between recover_prep() and recover_done() nothing is granted to anybody.
 *	    All members see the same slots with a generation; generations grow.
 *	L6  A slot is one member's until it closes, or is proven dead. A node that
 *	    comes back has its old slot if it is free, else the lowest that is.
 *
 * One thread an engine. Callbacks come from within the engine's events, may call
 * everything here, and are never made from within these calls.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lockres/lock.h"

struct err;
struct lockres;
struct lockspace;
struct lockspace_engine;

enum {
	LOCKSPACE_MAX_NAME = 64,
	LOCKSPACE_MAX_SLOTS = 128,
};

struct lockspace_member {
	uint32_t node;
	int slot; /* from 0 */
};

/* Any may be NULL. */
struct lockspace_handlers {
	/* A member is missing, or this node's part of the cluster may not decide. */
	void (*recover_prep)(void *owner, struct lockspace *space);
	/* This member is proven dead. Its locks are still there. */
	void (*recover_slot)(void *owner, struct lockspace *space, uint32_t node,
			     int slot);
	/*
	 * Locking goes on. The first one says that this node is in. Comes too, without
	 * a prep, where members came or went of their own will. By slot; borrowed.
	 */
	void (*recover_done)(void *owner, struct lockspace *space,
			     const struct lockspace_member *members, size_t count,
			     int our_slot, uint32_t generation);
	/*
	 * This node is out: `why` is a sentence without subject. All requests are
	 * completed with -ESTALE first, none is taken any more; the lockspace is for
	 * closing. Before: -ENOSPC (no slot), -EBADR (another LVB size), ... in err.
	 * Stop all that the locks guarded, and let what is under way end; only then
	 * close, which tells the others that this member's locks guard nothing.
	 */
	void (*lost)(void *owner, struct lockspace *space, const struct err *why);
	/* The last call: all members know, and the handle is gone when it returns. */
	void (*closed)(void *owner);
};

struct lockspace_config {
	const char *name;        /* 1..LOCKSPACE_MAX_NAME bytes, any */
	size_t name_length;
	uint32_t lvb_bytes;      /* LOCK_SMALL_LVB or LOCK_LARGE_LVB */
	int slots;               /* how many there are; 0: LOCKSPACE_MAX_SLOTS */
	int wanted_slot;         /* if it is free; -1: as L6 says */
};

enum lock_death {
	LOCK_DEATH_PROCESS, /* the process: PERSISTENT locks become orphans */
	LOCK_DEATH_NODE,    /* the node: all that it had is gone */
};

struct lock_result;

/* Answers of engines without a result; see the calls below. */
struct lockspace_engine_ops {
	int (*open)(struct lockspace_engine *engine,
		    const struct lockspace_config *config,
		    const struct lockspace_handlers *handlers, void *owner,
		    struct lockspace **space, struct err *err);
	void (*close)(struct lockspace *space);
	int (*confirm_dead)(struct lockspace_engine *engine, uint32_t node,
			    uint64_t incarnation, enum lock_death death, struct err *err);
	int (*purge_orphans)(struct lockspace *space, uint32_t node, struct err *err);
	void (*begin)(struct lockspace *space);
	void (*end)(struct lockspace *space);
	int (*add)(struct lockspace *space, struct lockres *lock);
	void (*remove)(struct lockres *lock);
	int (*lock)(struct lockres *lock, enum lock_mode mode, uint32_t flags,
		    uint64_t timeout_ns);
	int (*unlock)(struct lockres *lock, uint32_t flags);
	size_t (*blockers)(const struct lockres *lock, uint32_t *nodes, size_t room);
};

/* What every engine and every lockspace begins with. */
struct lockspace_engine {
	const struct lockspace_engine_ops *ops;
};

/*
 * Hears what owners of locks are told, just before they are: for who records it. `value`
 * is NULL where none came back.
 */
enum lockspace_call { LOCKSPACE_ADD, LOCKSPACE_LOCK, LOCKSPACE_UNLOCK };

struct lockspace_tap {
	/* What the engine does not take at once. */
	void (*refused)(struct lockspace_tap *tap, const struct lockres *lock,
			enum lockspace_call call, int result);
	void (*done)(struct lockspace_tap *tap, const struct lockres *lock,
		     const struct lock_result *result, const uint8_t *value);
	void (*blocked)(struct lockspace_tap *tap, const struct lockres *lock,
			enum lock_mode wanted);
};

struct lockspace {
	struct lockspace_engine *engine;
	struct lockspace_tap *tap; /* NULL: nobody listens */
	uint32_t lvb_bytes;
	bool is_ordered; /* L3 over all resources; else who needs it waits for done() */
};

/* --- locks --------------------------------------------------------------------------- */

struct lock_result {
	/*
	 * 0            done: granted, or unlocked (mode is NONE then)
	 * -EAGAIN      NOQUEUE, and somebody is in the way; ORPHAN: of another mode
	 * -EDEADLK     it would wait for ever
	 * -ECANCELED   as LOCK_CANCEL asked
	 * -ETIMEDOUT   as the deadline asked; nothing is left in the queue (B30)
	 * -ENOENT      ORPHAN: there is none
	 * -ESTALE      the lockspace is lost or closed: nothing is held any more
	 * -ENOSPC      the lockspace is full
	 */
	int status;
	enum lock_mode mode; /* what is held now */
	uint32_t marks;      /* enum lock_mark */
};

struct lockres_handlers {
	/* The request is over; another may be made. Never NULL. */
	void (*done)(void *owner, struct lockres *lock, const struct lock_result *result);
	/* What is held is in the way of somebody who wants this mode. May be NULL. */
	void (*blocked)(void *owner, struct lockres *lock, enum lock_mode wanted);
};

/*
 * A lock on a resource: one place in its queues. In its owner's memory, from
 * lockres_init() until lockres_fini(). Only `value` is for writing.
 */
struct lockres {
	struct lockspace *space;
	const struct lockres_handlers *handlers;
	void *owner;
	char name[LOCK_MAX_NAME];
	uint8_t name_length;
	/*
	 * Who waits, for the search of deadlocks over resources: locks of a node with
	 * one number other than 0 belong to one sequence of steps, which does nothing
	 * else while it waits. Set before the first request.
	 */
	uint32_t waiter;

	enum lock_mode mode;    /* held, as far as completions told */
	bool is_pending;        /* a request is under way */
	/*
	 * The lock value block: with VALBLK sent along, and what came back. Of
	 * lockspace.lvb_bytes; what is not returned stays.
	 */
	uint8_t value[LOCK_MAX_LVB];

	void *engine_state;     /* the engine's; NULL while nothing is requested */
};

/*
 * Nothing is requested yet. The name is copied. -EINVAL (its length), -ESHUTDOWN
 * (the lockspace is lost or closing), -ENOMEM.
 */
int lockres_init(struct lockres *lock, struct lockspace *space, const void *name,
		 size_t name_length, const struct lockres_handlers *handlers, void *owner);
/*
 * No callback comes from here on. What is held, or waits, is unlocked by force; an
 * orphan stays. Cannot fail.
 */
void lockres_fini(struct lockres *lock);

/*
 * Asks for the mode; or with CONVERT, to change what is held. done() says what came
 * of it. Refused at once: -EINVAL (arguments: lock_fault()), -EBUSY (one is under way,
 * or there is nothing to convert, or something that is not), -ESHUTDOWN, -ENOMEM.
 * timeout_ns from now, 0: none. When it is over the request is cancelled, and done()
 * comes when that is certain.
 */
int lockres_lock(struct lockres *lock, enum lock_mode mode, uint32_t flags,
		 uint64_t timeout_ns);
/*
 * Gives up the lock: flags 0, VALBLK, IVVALBLK, FORCEUNLOCK. -EINVAL: nothing is held;
 * -EBUSY: a request is under way, and no FORCEUNLOCK. With FORCEUNLOCK a request under
 * way ends with it: one done() for both, status 0 and mode NONE.
 *
 * Or, with CANCEL, the request under way: its done() has -ECANCELED, or what it came
 * to before that; until then the lock is busy (B47). 0 too where there is none.
 */
int lockres_unlock(struct lockres *lock, uint32_t flags);

/*
 * Nodes whose granted locks exclude the mode that was last asked for, as far as this node
 * knows: who the pending request waits for, or within done(), with -ETIMEDOUT, waited
 * for. How many there are, of which at most `room` are written; 0 too where the
 * engine cannot know.
 */
static inline size_t lockres_blockers(const struct lockres *lock, uint32_t *nodes,
				      size_t room)
{
	return lock->space->engine->ops->blockers(lock, nodes, room);
}

/* --- lockspaces ---------------------------------------------------------------------- */

/*
 * Asks to be a member. recover_done() says that it is so, lost() that it will not be.
 * Until then requests are taken, and wait. At most once a node and name: -EEXIST;
 * -EINVAL (name, LVB size, slots), -ENOMEM, what the engine has.
 */
static inline int lockspace_open(struct lockspace_engine *engine,
				 const struct lockspace_config *config,
				 const struct lockspace_handlers *handlers, void *owner,
				 struct lockspace **space, struct err *err)
{
	return engine->ops->open(engine, config, handlers, owner, space, err);
}

/*
 * Leaves: behind all that was asked for. Requests that are not over are, with -ESTALE;
 * PERSISTENT locks become orphans, all others are given up, the values that PW and EX
 * may have changed become invalid. closed() is the last call; no lockres of it may be
 * used from here on, but for lockres_fini().
 */
static inline void lockspace_close(struct lockspace *space)
{
	space->engine->ops->close(space);
}

/*
 * The proof: this process of the node, and those before it, are dead, and will write
 * nothing any more (D14). Incarnation 0: what is missing now; who has it from afar names
 * it, for the node may be back meanwhile, and missing anew. Of all lockspaces where it is
 * missing. 0 too where it is not; said again by itself until all know. -EINVAL: no such
 * node.
 */
static inline int lockspace_confirm_dead(struct lockspace_engine *engine, uint32_t node,
					 uint64_t incarnation, enum lock_death death,
					 struct err *err)
{
	return engine->ops->confirm_dead(engine, node, incarnation, death, err);
}

/* Orphans of that node are unlocked; their values become invalid as on a death. */
static inline int lockspace_purge_orphans(struct lockspace *space, uint32_t node,
					  struct err *err)
{
	return space->engine->ops->purge_orphans(space, node, err);
}

/* What is asked for until the end travels together, as far as it fits. They nest. */
static inline void lockspace_begin(struct lockspace *space)
{
	space->engine->ops->begin(space);
}

static inline void lockspace_end(struct lockspace *space)
{
	space->engine->ops->end(space);
}
