/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The conformance suite: what every lockspace must do, as stories that are played on
 * any ground: the rig, the lock manager in the simulator, libdlm. What is expected
 * comes from the DLM's documents and from lockspace.h, never from an engine of ours.
 *
 * A story is lines of what nodes do, and of what comes of it:
 *
 *	1 lock EX r                 -> 1 granted EX
 *	2 lock PR r                 -> 1 blocked PR
 *	3 lock PR r noqueue         -> 3 again
 *	1 convert NL value=new      -> 1 granted NL, 2 granted PR
 *	2 dies process; 2 proven    -> nothing
 *
 * "1" is a lock on node 1, and so are "1a", "1b"; each is bound to the resource that
 * it was locked on. What stands in one line is asked for without a pause; then the
 * ground settles, and exactly what is told must have come, in this order for each
 * lock. Without an arrow: what was asked for is granted, and nothing else happens. Names
 * of resources are a story's own. The words are in tests/locks/script.h.
 *
 * Beside that each line must leave L1, L2, L5 and L6 unbroken.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/err.h"
#include "lockres/lockspace.h"

enum { CONFORMANCE_NODES = 4 }; /* so many a ground needs */

/* What a ground cannot do; stories that need it are left out. */
enum conformance_lack {
	LACKS_DEATH = 0x1,         /* nobody can be killed */
	LACKS_NODE_DEATH = 0x2,    /* only processes can */
	LACKS_FREEZE = 0x4,        /* a death proves itself; prove() does nothing */
	LACKS_RECOVERY = 0x8,      /* recover_prep(), recover_slot() do not come */
	LACKS_CYCLES = 0x10,       /* deadlocks over resources are not found */
	LACKS_BLOCKERS = 0x20,     /* lockres_blockers() cannot know */
	LACKS_TOLD_CONVERTERS = 0x40, /* who converts is not told that it is in the way */
	LACKS_KEPT_VALUES = 0x80,  /* `value` is overwritten though nothing is returned */
	LACKS_HONEST_EXIT = 0x100, /* processes that had no value in hand spoil it too */
	LACKS_CUT = 0x200,         /* nobody can be cut off and come back */
	LACKS_SLOTS = 0x400,       /* slots are as the ground likes */
	LACKS_ORDER = 0x800,       /* its lockspaces say so: is_ordered */
	LACKS_LARGE_VALUES = 0x1000, /* LOCK_LARGE_LVB is refused */
	LACKS_OWN_ORPHANS = 0x2000,  /* its nodes are one to the DLM, and so are their orphans */
};

struct conformance_ground {
	const char *name;
	uint32_t lvb_bytes; /* of the lockspace that the suite opens */
	uint32_t lacks;
	void *owner;
	/* Of node 1..CONFORMANCE_NODES, as it is now. */
	struct lockspace_engine *(*engine)(void *owner, int node);
	/* Until nothing is under way: all that can be told was told. */
	void (*settle)(void *owner);
	/* Its locks and handles are the engine's to free; the suite forgets them. NULL: who
	 * cannot; so with all below but advance. */
	void (*kill)(void *owner, int node, enum lock_death death);
	/* Somebody's lockspace_confirm_dead(), or what the ground has for it. */
	void (*prove)(void *owner, int node, enum lock_death death);
	void (*revive)(void *owner, int node);
	/* From all others, or not any more. */
	void (*cut)(void *owner, int node, bool is_cut);
	void (*advance)(void *owner, uint64_t ns); /* and deadlines act */
};

struct conformance_story {
	const char *name;
	uint32_t needs;    /* what must not be lacking */
	const char *lines; /* each ends with a newline */
};

/* All of them; the same in every call. Never freed. */
const struct conformance_story *conformance_stories(size_t *count);

/* Opens the lockspace on all nodes. NULL with a sentence. */
struct conformance_play *conformance_open(const struct conformance_ground *ground,
					  struct err *err);
/* 0; 1: the ground lacks something; else what line failed, and why: start afresh then,
 * on a new ground. */
int conformance_play(struct conformance_play *play, const struct conformance_story *story,
		     struct err *err);
/* Does what a line says, before its arrow, and writes what came of that. */
int conformance_record(struct conformance_play *play, const char *deeds, FILE *to,
		       struct err *err);
/* Closes what is open, and frees. */
void conformance_close(struct conformance_play *play);

/* For programs: plays all whose name contains `only` (NULL: any), tells on `to`, a line
 * each. How many failed; it ends with the first. */
int conformance_main(const struct conformance_ground *ground, const char *only, FILE *to);
