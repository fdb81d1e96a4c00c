/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The event loop: file descriptors, one-shot timers and signals of one thread,
 * on libqb's qb_loop, a timerfd and signalfds. Callbacks run on the thread that calls
 * loop_run() and may add, remove and stop. A loop owns its registrations, not
 * their owners.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include <qb/qblist.h>

struct err;
struct loop;
struct loop_timer;

typedef void (*loop_fd_fn)(void *owner, int fd, uint32_t poll_events);
typedef void (*loop_fn)(void *owner);

struct loop *loop_new(struct err *err);
void loop_free(struct loop *loop); /* NULL is fine */

/* poll_events as in poll(2): POLLIN, POLLOUT. The fd stays the caller's. */
int loop_fd_add(struct loop *loop, int fd, uint32_t poll_events, loop_fd_fn fn,
		void *owner, struct err *err);
/* Other poll_events for one that was added; 0: only its end (POLLHUP, POLLERR). */
int loop_fd_change(struct loop *loop, int fd, uint32_t poll_events, struct err *err);
void loop_fd_remove(struct loop *loop, int fd);

/*
 * Fires once, after_ms from now (1 ms at least; time asleep counts), in the order
 * of the times; gone when it has fired.
 */
struct loop_timer *loop_timer_start(struct loop *loop, uint32_t after_ms,
				    loop_fn fn, void *owner, struct err *err);
void loop_timer_cancel(struct loop_timer *timer); /* NULL is fine */

/* Something to do soon; its owner's, who fills in fn and owner. */
struct loop_job {
	loop_fn fn;
	void *owner;
	bool is_queued;
	struct qb_list_head link;
};

/*
 * Calls job->fn once, as soon as the callback that is under way has returned, in
 * the order of these calls: for what must not happen inside of the caller. One that
 * is queued already stays where it is.
 */
void loop_soon(struct loop *loop, struct loop_job *job);
void loop_soon_cancel(struct loop_job *job);

/*
 * The signal is blocked in this thread from here on, and in those that it starts, until
 * the loop is freed, and then if it was so before; threads that there are must not take it.
 */
int loop_signal_add(struct loop *loop, int signal_number, loop_fn fn,
		    void *owner, struct err *err);

/* Runs callbacks until one of them calls loop_stop(). May be run again. */
void loop_run(struct loop *loop);
void loop_stop(struct loop *loop);
