/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * How the death of a node comes to be proven (D14): who is missing, by which method, who
 * of us runs it. Pure.
 *
 *	F1  Only what is missing in a lockspace, or keeps one from being made (M8), and not
 *	    proven dead, is asked about: who left of its own will is not.
 *	F2  The command runs in a quorate configuration alone, by its lowest member; who
 *	    takes over from one that is gone begins anew.
 *	F3  One command a node at a time; the next attempt not before the last one is over.
 *	F4  Its success proves the incarnation that was missing when it began, and those
 *	    before; a node that came back meanwhile is not touched by it.
 *	F5  Nothing is guessed: without a method, or after any number of failures, it waits,
 *	    and says for what. Attempts that failed are made again, at last every minute.
 *
 *	missing -> DELAY (an obituary may come) -> RUNNING -> dead
 *	                                              | failed
 *	                                              v
 *	                                           PAUSE -> RUNNING ...
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct proof;

enum { PROOF_TEXT_BYTES = 256 };

struct proof_config {
	bool has_command;
	uint64_t delay_ns;   /* from missing to the first attempt */
	uint64_t timeout_ns; /* of an attempt */
	uint32_t retries;    /* in quick order, after the first attempt */
};

/* From within the events below. */
struct proof_ops {
	/* proof_answered() follows, not from within. */
	void (*run)(void *owner, uint32_t node, uint64_t incarnation, uint32_t attempt);
	/* It took too long, or is not wanted any more: end it; proof_answered() follows. */
	void (*stop)(void *owner, uint32_t node);
	void (*dead)(void *owner, uint32_t node, uint64_t incarnation);
};

struct proof_missing {
	uint32_t node;
	uint64_t incarnation; /* the newest that is missing */
};

/* NULL: no memory. The ops are copied. */
struct proof *proof_new(const struct proof_config *config, const struct proof_ops *ops,
			void *owner);
void proof_free(struct proof *p); /* NULL is fine */
void proof_set_config(struct proof *p, const struct proof_config *config);

/* All that is missing and unproven now, each node once. -ENOMEM: asked again, it is known. */
int proof_set_missing(struct proof *p, uint64_t now, const struct proof_missing *missing,
		      size_t count);
/* This node is the lowest of a quorate configuration. */
void proof_set_duty(struct proof *p, uint64_t now, bool is_ours);
/* why: of a failure, one line. */
void proof_answered(struct proof *p, uint64_t now, uint32_t node, bool is_dead,
		    const char *why);
void proof_advance(struct proof *p, uint64_t now);
uint64_t proof_deadline(const struct proof *p); /* UINT64_MAX: never */
bool proof_is_asking(const struct proof *p); /* of anybody: who is missing is to be told again */

/*
 * "proof of death, 12 s: fence command, attempt 2", or "" where nothing of the
 * node is waited for. Returns `to`.
 */
char *proof_waits(const struct proof *p, uint64_t now, uint32_t node, const char *name,
		  char to[PROOF_TEXT_BYTES]);
