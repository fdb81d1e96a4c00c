/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Lockspaces on our own ring: every node holds the lock tables of all lockspaces, and
 * applies the operations of all in the one order of a group. There is no master and
 * no directory. The upper face is lockspace.h, the lower one a group and a sync
 * service. Pure: the time comes in, nothing else does.
 *
 * What the invariants say, beyond L1..L6:
 *
 *	M1  What is said counts in quorate configurations alone, with all of their nodes in
 *	    the group, to their end; but not behind a message that is missing there. So
 *	    the states of one epoch, wherever they are, are beginnings of one another.
 *	M2  A lockspace where a member is missing, and not proven dead, is frozen: no
 *	    operation is applied. So what the missing one was granted, and others never
 *	    saw, excludes nobody wrongly; and if it comes back, nothing was lost. Where each
 *	    of two nodes may decide alone, all are while the other is neither here nor over:
 *	    it may be a member by now, where we are not. So elsewhere, while one is away that
 *	    was seen in a quorate configuration after the last one behind which nobody here
 *	    can have missed anything: where that was, lockspaces may have gone on.
 *	M3  Coming and going is said in safe messages: who acts as a member is known to
 *	    be one by all who outlive it. Nobody does so for what came in a transitional
 *	    configuration: it is said again.
 *	M4  After each change of the configuration each lockspace's newest state wins: the
 *	    latest epoch in which it was not frozen, then the most operations. A node whose
 *	    membership is not in it, or is proven dead there, has lost the lockspace.
 *	    That all have left one is a state of it, too: who was away then brings none
 *	    back. It is remembered until all nodes have told that they do not have it, or
 *	    there are LOCK_MANAGER_MAX_GRAVES others, or all who know it are gone. After
 *	    that it may come back with its generations, against L5; L1 holds.
 *	M5  An operation that met a frozen lockspace is made again when it thaws, in its
 *	    old place, once: operations have numbers, and tell for which thaw they are.
 *	M6  Equal epochs and operations have equal digests. A node that differs from most
 *	    (from the lowest index, where there is no most) leaves the ring, loudly.
 *	M7  Memory that runs out ends this node's part (sync_break()).
 *	M8  A lockspace is made only when every node is here or is over: never met, left,
 *	    or proven dead since it last took part in a quorate configuration; or when
 *	    it is known that all have left the one of that name (but not where the other
 *	    of two may make it, too: M2). Who takes part, and until which ring, is
 *	    remembered by each member, on its disk, before the configuration counts. So a
 *	    cluster that begins anew touches nothing of a node that may still live (D14);
 *	    and what was proven dead meanwhile brings no lockspace back.
 *
 * Why agreed delivery is enough for locks, and why the states begin one another: a
 * ring has one order, and what is behind a gap is refused (M1) and made again (M5); so
 * partitions differ only in how far they came. What is safe in a regular configuration
 * all have come to, who were on that ring.
 */
#pragma once

#include "lockres/lockspace.h"
#include "lockres/roster.h"
#include "lockres/table.h"
#include "totem/nodes.h"
#include "totem/wire.h"

struct group_engine;
struct lock_manager;
struct lockspace_look;
struct sync;

#define LOCK_MANAGER_GROUP "mdclusterd:locks"

enum {
	LOCK_MANAGER_MAX_SPACES = 1024,
	LOCK_MANAGER_MAX_GRAVES = 256, /* of lockspaces that all have left */
};

struct lock_manager_config {
	struct node_table nodes;
	uint32_t self;        /* id, one of them */
	uint64_t incarnation; /* grows at every start of this node */
	const struct roster *roster; /* as it was remembered; copied. NULL: nothing was */
	/*
	 * two_node: two parts may be quorate at once (M2). Or of two that follow each other
	 * none need have been in both, as where others decide which nodes are quorate.
	 */
	bool decides_alone;
};

/* Called from within the events of sync and group. Any but now may be NULL. */
struct lock_manager_ops {
	/* Nanoseconds, of the clock that lock_manager_advance() is given. */
	uint64_t (*now)(void *owner);
	/* lock_manager_deadline() became earlier. */
	void (*armed)(void *owner);
	/* Q9, in words: "node 1 waits for ... held by node 2, which waits for ...". */
	void (*deadlock)(void *owner, const char *lockspace, const char *cycle);
	/* This node's table, or that of others, is not what the others have (M6). */
	void (*diverged)(void *owner, uint32_t node, const char *lockspace);
	/*
	 * M8: to be on disk; then lock_manager_remembered(), also from within. A later
	 * version makes those before it superfluous.
	 */
	void (*remember)(void *owner, const struct roster *roster, uint64_t version);
	/* lock_manager_leave() is done: all know. Free it, not from within. */
	void (*left)(void *owner);
};

enum lock_manager_fault {
	LOCK_FAULT_MESSAGE,  /* shorter or longer than its fields, or unknown */
	LOCK_FAULT_STRANGER, /* from no member of the configuration, or the lockspace */
	LOCK_FAULT_SPACE,    /* of a lockspace that is not there */
	LOCK_FAULT_ORDER,    /* out of order: a number too high, told twice, not asked for */
	LOCK_FAULT_ARGUMENT, /* what no caller may ask: a mode of 9, flags, a lock */
	LOCK_FAULT_LIMIT,
	LOCK_FAULT_COUNT,
};

struct lock_manager_stats {
	uint64_t sent, batches;      /* operations of ours; messages that had them */
	uint64_t applied;            /* operations of all */
	uint64_t stale, duplicates;  /* for another thaw; done before (M5) */
	uint64_t granted, blocked;   /* to ours */
	uint64_t deadlocks, timeouts;
	uint64_t freezes, thaws;
	uint64_t taken, kept;        /* lockspaces taken from others in a sync; own kept */
	uint64_t lost;
	uint64_t diverged;
	uint64_t faults[LOCK_FAULT_COUNT];
};

/*
 * Registers with the sync and joins the group, before the first configuration. Freed
 * before the engine, when the sync runs no more. NULL with a sentence: -EINVAL,
 * -ENOMEM. The ops are copied.
 */
struct lock_manager *lock_manager_new(const struct lock_manager_config *config,
				      struct sync *sync, struct group_engine *engine,
				      const struct lock_manager_ops *ops, void *owner,
				      struct err *err);
/* All lockspaces with it, without a callback. NULL is fine. */
void lock_manager_free(struct lock_manager *m);

struct lockspace_engine *lock_manager_engine(struct lock_manager *m);

/* Safe on disk, or not to be trusted after a restart, which is known there. */
void lock_manager_remembered(struct lock_manager *m, uint64_t version);
/*
 * This process goes, of its own will, and tells the others that it is over, as far as a
 * lockspace that it has is not. All are closed before. Where nobody may decide, left()
 * does not come.
 */
void lock_manager_leave(struct lock_manager *m);

/* Requests whose time is over are cancelled. */
void lock_manager_advance(struct lock_manager *m, uint64_t now);
uint64_t lock_manager_deadline(const struct lock_manager *m); /* UINT64_MAX: never */

/* --- for people and programs that look ------------------------------------------------- */

enum lockspace_freeze {
	LOCKSPACE_RUNS,
	LOCKSPACE_SYNCING,   /* the configuration changes */
	LOCKSPACE_NO_QUORUM,
	LOCKSPACE_JOINING,   /* a node is not in the group yet */
	LOCKSPACE_UNPROVEN,  /* a member is missing, and nobody said that it is dead */
};

struct lockspace_member_look {
	uint32_t node;
	int slot;
	bool is_missing;
	bool is_proven;       /* missing, and somebody said that it is dead */
	uint64_t incarnation; /* which process of the node; 0 in a dump */
};

/* One lockspace as this node knows it. */
struct lockspace_look {
	const char *name;
	size_t name_length;
	uint32_t lvb_bytes;
	/* Ring seq, node, and which open of that: a name may come again. */
	uint64_t made_on;
	uint32_t made_by, made_as;
	uint32_t generation;
	struct ring_id epoch; /* in which it runs, or ran last */
	uint64_t operations;  /* applied since it was made */
	enum lockspace_freeze freeze;
	struct lockspace_member_look members[LOCKSPACE_MAX_SLOTS]; /* by slot */
	size_t member_count;
	const struct lock_table *table;
};

/* The index-th, by name; borrowed until the next event. False: there are fewer. */
bool lock_manager_look(const struct lock_manager *m, size_t index,
		       struct lockspace_look *look);
/*
 * M8, while somebody waits for that: the index-th node that is not here, and may live
 * still. False: there are fewer.
 */
struct lock_manager_absent {
	uint32_t node;
	uint64_t incarnation; /* that was met last */
};
bool lock_manager_absent(const struct lock_manager *m, size_t index,
			 struct lock_manager_absent *absent);
const struct lock_manager_stats *lock_manager_stats(const struct lock_manager *m);
