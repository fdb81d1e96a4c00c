/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * How the death of a node comes to be proven (D14): who is missing, by which level of the
 * plan, who of us does it. Pure.
 *
 *	F1  Only what is missing in a lockspace, or keeps one from being made (M8), and not
 *	    proven dead, is asked about: who left of its own will is not. But a person may
 *	    demand that any node be fenced.
 *	F2  An attempt is made in a quorate configuration alone, by its lowest member (one
 *	    that was demanded: by who was told; at the lowest itself, that was there before
 *	    it started anew: by the second, for nobody fences itself); who takes over from
 *	    one that is gone begins anew.
 *	F3  One attempt a node at a time; the next not before the last one is over.
 *	F4  Success proves the incarnation that was missing, or was there, when its level began,
 *	    and those before; a node that came back meanwhile is not touched by it.
 *	F5  Nothing is guessed: without a method, or after any number of failures, it waits,
 *	    and says for what. Attempts that failed are made again, at last every minute.
 *	F6  A level proves a death when all of its devices have, within one pass; one that
 *	    fails for good sends it to the next level, and what the others of its level had
 *	    said counts for nothing any more.
 *	F7  No device is touched before its delay for that node is over, and another plan
 *	    begins anew: two nodes that would shoot each other differ in that delay.
 *	F8  What was proven stays so: it is told again as long as that incarnation is missing.
 *	    One that is on a ring again had lived, and only could not write (a watchdog, a
 *	    reservation): when it is missing the next time, that proves nothing any more.
 *
 *	missing -> DELAY (an obituary may come) -> RUNNING -> next device ... -> dead
 *	                                              | failed          (F6)
 *	                                              v
 *	                                           PAUSE -> RUNNING (retry, next level, anew)
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "mdclusterd/fence/plan.h"

struct proof;

enum { PROOF_TEXT_BYTES = 256 };

/* From within the events below. number: a level's; devices are indices into the plan. */
struct proof_ops {
	/* For people. */
	void (*level)(void *owner, uint32_t node, uint32_t number);
	/* proof_answered() follows, not from within. */
	void (*run)(void *owner, uint32_t node, uint64_t incarnation, uint32_t number,
		    uint32_t device, uint32_t attempt);
	/* It took too long, or is not wanted any more: end it; proof_answered() follows. */
	void (*stop)(void *owner, uint32_t node);
	/* It is missing, and this level says that it is dead. */
	void (*dead)(void *owner, uint32_t node, uint64_t incarnation, uint32_t number);
	/* A pass is over: by which level it is proven, or 0 where none could, and why. */
	void (*over)(void *owner, uint32_t node, uint32_t number, const char *why);
};

struct proof_missing {
	uint32_t node;
	uint64_t incarnation; /* the newest that is missing */
};

/* Which of the members this node is. */
enum proof_duty { PROOF_ANY, PROOF_LOWEST, PROOF_SECOND };

/* NULL: no memory. The ops are copied; the plan is borrowed. */
struct proof *proof_new(const struct fence_plan *plan, const struct proof_ops *ops,
			void *owner);
void proof_free(struct proof *p); /* NULL is fine */
/* What ran was ended by the owner, and is not answered any more (F7). */
void proof_set_plan(struct proof *p, uint64_t now, const struct fence_plan *plan);

/* All that is missing and unproven now, each node once. -ENOMEM: asked again, it is known. */
int proof_set_missing(struct proof *p, uint64_t now, const struct proof_missing *missing,
		      size_t count);
/* lowest: the id of the lowest member, which may be whose earlier process is missing. */
void proof_set_duty(struct proof *p, uint64_t now, bool is_quorate, enum proof_duty duty,
		    uint32_t lowest);
/* This incarnation is on the ring (F8). */
void proof_is_back(struct proof *p, uint32_t node, uint64_t incarnation);
/*
 * A person wants it off, whether it is missing or not: one pass, without any delay but the
 * devices'. number 0: all levels. over() comes. -ENOENT: no such level is for it; -EAGAIN: there is
 * no quorum; -EALREADY: it is under way; -ENOMEM.
 */
int proof_demand(struct proof *p, uint64_t now, uint32_t node, uint64_t incarnation,
		 uint32_t number);
/* why: of a failure, one line. */
void proof_answered(struct proof *p, uint64_t now, uint32_t node, bool is_dead,
		    const char *why);
void proof_advance(struct proof *p, uint64_t now);
uint64_t proof_deadline(const struct proof *p); /* UINT64_MAX: never */
bool proof_is_asking(const struct proof *p); /* of anybody: who is missing is to be told again */

/*
 * "proof of death, 12 s: fence agent fence_ipmilan, attempt 2", or "" where nothing of the
 * node is waited for. Returns `to`.
 */
char *proof_waits(const struct proof *p, uint64_t now, uint32_t node, const char *name,
		  char to[PROOF_TEXT_BYTES]);
