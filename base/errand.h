/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Something that may take for ever, and cannot be interrupted: a call into a library that waits
 * for another process. It is done in a thread of its own, from which whoever wants it may
 * go away.
 *
 *	N1  An errand belongs to its thread until it is brought back: by errand_wait()
 *	    with 0, or by done(). Then it is its owner's again.
 *	N2  One that nobody waits for any more is dropped when it is done, whenever that is:
 *	    drop() gives back what the work has got, and frees the errand. Exactly one of
 *	    "brought back" and "dropped" comes to pass.
 *	N3  drop() runs in the errand's thread, or in the caller's where there is none; it
 *	    touches nothing but the errand.
 *
 * It is from the heap, and begins a larger struct.
 */
#pragma once

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

struct err;
struct errand;
struct loop;

typedef void (*errand_fn)(struct errand *errand);

struct errand {
	errand_fn work, drop; /* the owner's; drop() calls no errand_*() */

	/* errand.c's */
	pthread_t thread;
	pthread_mutex_t mutex; /* of these */
	pthread_cond_t wake;
	bool is_done, is_abandoned;
	struct loop *loop;
	int event_fd;
	void (*done)(void *owner, struct errand *errand);
	void *owner;
};

/*
 * 0: it is done, within limit_ms. -ETIMEDOUT, with no sentence, for it is the caller who knows
 * who does not answer; -EAGAIN with one: no thread. The errand is dropped, then.
 */
int errand_wait(struct errand *errand, uint32_t limit_ms, struct err *err);

/* done() is called on the loop, once. Negative with a sentence: it is dropped. */
int errand_start(struct errand *errand, struct loop *loop,
		 void (*done)(void *owner, struct errand *errand), void *owner, struct err *err);
/* One that was started, and is not done() yet. In the loop's thread. NULL is fine. */
void errand_abandon(struct errand *errand);
