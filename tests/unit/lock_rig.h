/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Lockspaces of some nodes in one process: an engine of lockres/lockspace.h for tests,
 * on one lock table that all share. What nodes ask for goes into one queue; a step
 * applies the oldest of it and makes the callbacks, so that a test can stop, kill,
 * or look between any two. It keeps L1..L6. Nodes are 1..N, and so are their ids.
 * One lockspace: whatever name the first one opens.
 *
 *	struct lock_rig *rig = lock_rig_new(3);
 *	lockspace_open(lock_rig_engine(rig, 1), &config, &handlers, owner, &space, &err);
 *	...
 *	lock_rig_run(rig);                            until nothing is left to do
 *	lock_rig_kill(rig, 2, LOCK_DEATH_NODE);       1 and 3: recover_prep()
 *	lock_rig_prove(rig, 2);
 *	lock_rig_step(rig);                           recover_slot()
 *	lock_rig_step(rig);                           recover_done(), grants
 *
 * Everything here may be called from within callbacks, but for step, run and free.
 * With LOCK_RIG_TRACE in the environment each step is told on stderr.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lockres/lockspace.h"

struct lock_rig;
struct lock_table;

enum { LOCK_RIG_MAX_NODES = 16 };

struct lock_rig *lock_rig_new(int nodes);
/* Handles that are open go too, without a callback; their locks need no fini. */
void lock_rig_free(struct lock_rig *rig);
struct lockspace_engine *lock_rig_engine(struct lock_rig *rig, int node);

/* --- steps --------------------------------------------------------------------------- */

/* False: there is nothing that can be done now. */
bool lock_rig_step(struct lock_rig *rig);
/* Until then. */
void lock_rig_run(struct lock_rig *rig);
/* Steps since the rig was made. */
unsigned int lock_rig_steps(const struct lock_rig *rig);
/* What the next step will do: "2 lock EX token", "prove 2"; "" when there is none. */
const char *lock_rig_next(struct lock_rig *rig);

/* --- trouble -------------------------------------------------------------------------- */

/*
 * The node's callbacks stop at once, and what it asked for and was not applied never
 * happens. Where it was a member the others hear recover_prep() now, and nothing is
 * applied until it is proven dead. What its code still calls is swallowed; its locks
 * and handles may be left as they are.
 */
void lock_rig_kill(struct lock_rig *rig, int node, enum lock_death death);
/*
 * Asks for two steps: recover_slot() at all others; then, where nobody else is missing,
 * its locks go, recover_done(), grants. As it was killed; a node that was cut: as if
 * its process had died.
 */
void lock_rig_prove(struct lock_rig *rig, int node);
/* A new process, which may open the lockspace. It is in when its past is proven dead.
 * Incarnations of a node count from 1. */
void lock_rig_revive(struct lock_rig *rig, int node);
/* As above for all: kill, prove, run, revive. */
void lock_rig_replace(struct lock_rig *rig, int node, enum lock_death death);

/*
 * The node is cut off, and lives: it and the others hear recover_prep(). When it is
 * back all goes on, with one step for recover_done(); or, where it was proven dead
 * meanwhile, its lockspace is lost().
 */
void lock_rig_cut(struct lock_rig *rig, int node);
void lock_rig_heal(struct lock_rig *rig, int node);

/* The node's callbacks wait, in order, until it is not deaf any more. */
void lock_rig_deafen(struct lock_rig *rig, int node, bool is_deaf);
/*
 * From here on operations, and what owners hear, keep their order only for each lock, as
 * where each resource has a master of its own; 0: no more. Who opens now is told so.
 */
void lock_rig_shuffle(struct lock_rig *rig, uint64_t seed);
/* What the node asks of locks from here on is refused at once with r (-ENOMEM);
 * 0: no more. */
void lock_rig_refuse(struct lock_rig *rig, int node, int r);

/* --- time ------------------------------------------------------------------------------ */

/* Virtual; begins at 0. Requests whose time is over are cancelled: in steps to come. */
void lock_rig_advance_ns(struct lock_rig *rig, uint64_t ns);
uint64_t lock_rig_now_ns(const struct lock_rig *rig);
uint64_t lock_rig_deadline_ns(const struct lock_rig *rig); /* UINT64_MAX: none */

/* --- looking --------------------------------------------------------------------------- */

/* NULL: nobody is a member. */
const struct lock_table *lock_rig_table(const struct lock_rig *rig);
bool lock_rig_is_frozen(const struct lock_rig *rig);
/* Slot of a member, missing ones too; -1: it is none. */
int lock_rig_slot(const struct lock_rig *rig, int node);
