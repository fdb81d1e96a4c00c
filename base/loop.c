/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/loop.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <qb/qblist.h>
#include <qb/qbloop.h>

#include "base/clock.h"
#include "base/err.h"

/* What a registration calls back; qb_loop keeps one pointer only. */
struct watch {
	struct qb_list_head link; /* in loop->watches */
	int fd;                   /* -1 for a signal */
	loop_fd_fn fd_fn;
	loop_fn fn;
	void *owner;
};

struct loop_timer {
	struct qb_list_head link; /* in loop->timers */
	struct loop *loop;
	qb_loop_timer_handle handle;
	loop_fn fn;
	void *owner;
};

struct loop {
	qb_loop_t *qb;
	struct qb_list_head watches;
	struct qb_list_head timers;
};

struct loop *loop_new(struct err *err)
{
	struct loop *loop = calloc(1, sizeof(*loop));

	if (loop)
		loop->qb = qb_loop_create();
	if (!loop || !loop->qb) {
		free(loop);
		err_nomem(err, "the event loop");
		return NULL;
	}
	QB_INIT_LIST_HEAD(&loop->watches);
	QB_INIT_LIST_HEAD(&loop->timers);
	return loop;
}

void loop_free(struct loop *loop)
{
	struct qb_list_head *at, *next;

	if (!loop)
		return;
	qb_list_for_each_safe(at, next, &loop->timers)
		loop_timer_cancel(qb_list_entry(at, struct loop_timer, link));
	qb_list_for_each_safe(at, next, &loop->watches) {
		struct watch *w = qb_list_entry(at, struct watch, link);

		if (w->fd >= 0)
			qb_loop_poll_del(loop->qb, w->fd);
		free(w);
	}
	qb_loop_destroy(loop->qb);
	free(loop);
}

static struct watch *watch_new(struct loop *loop, int fd, void *owner)
{
	struct watch *w = calloc(1, sizeof(*w));

	if (!w)
		return NULL;
	w->fd = fd;
	w->owner = owner;
	qb_list_add(&w->link, &loop->watches);
	return w;
}

static void watch_free(struct watch *w)
{
	qb_list_del(&w->link);
	free(w);
}

static int32_t fd_ready(int32_t fd, int32_t revents, void *data)
{
	struct watch *w = data;

	w->fd_fn(w->owner, fd, (uint32_t)revents);
	return 0;
}

int loop_fd_add(struct loop *loop, int fd, uint32_t poll_events, loop_fd_fn fn,
		void *owner, struct err *err)
{
	struct watch *w = watch_new(loop, fd, owner);
	int r;

	if (!w)
		return err_nomem(err, "a watch of a file descriptor");
	w->fd_fn = fn;
	r = qb_loop_poll_add(loop->qb, QB_LOOP_HIGH, fd, (int32_t)poll_events, w,
			     fd_ready);
	if (r < 0) {
		watch_free(w);
		return err_set(err, r, "cannot watch file descriptor %d: %s", fd,
			       strerror(-r));
	}
	return 0;
}

void loop_fd_remove(struct loop *loop, int fd)
{
	struct qb_list_head *at, *next;

	qb_loop_poll_del(loop->qb, fd);
	qb_list_for_each_safe(at, next, &loop->watches) {
		struct watch *w = qb_list_entry(at, struct watch, link);

		if (w->fd == fd)
			watch_free(w);
	}
}

static void timer_fired(void *data)
{
	struct loop_timer timer = *(struct loop_timer *)data;

	qb_list_del(&((struct loop_timer *)data)->link);
	free(data);
	timer.fn(timer.owner);
}

struct loop_timer *loop_timer_start(struct loop *loop, uint32_t after_ms,
				    loop_fn fn, void *owner, struct err *err)
{
	struct loop_timer *timer = calloc(1, sizeof(*timer));
	int r = -ENOMEM;

	if (timer) {
		timer->loop = loop;
		timer->fn = fn;
		timer->owner = owner;
		r = qb_loop_timer_add(loop->qb, QB_LOOP_HIGH,
				      after_ms * NS_PER_MS, timer, timer_fired,
				      &timer->handle);
	}
	if (r < 0) {
		free(timer);
		err_set(err, r, "cannot start a timer: %s", strerror(-r));
		return NULL;
	}
	qb_list_add(&timer->link, &loop->timers);
	return timer;
}

void loop_timer_cancel(struct loop_timer *timer)
{
	if (!timer)
		return;
	qb_loop_timer_del(timer->loop->qb, timer->handle);
	qb_list_del(&timer->link);
	free(timer);
}

static int32_t signal_raised(int32_t signal_number, void *data)
{
	struct watch *w = data;

	(void)signal_number;
	w->fn(w->owner);
	return 0;
}

int loop_signal_add(struct loop *loop, int signal_number, loop_fn fn,
		    void *owner, struct err *err)
{
	struct watch *w = watch_new(loop, -1, owner);
	qb_loop_signal_handle handle;
	int r;

	if (!w)
		return err_nomem(err, "a signal handler");
	w->fn = fn;
	r = qb_loop_signal_add(loop->qb, QB_LOOP_HIGH, signal_number, w,
			       signal_raised, &handle);
	if (r < 0) {
		watch_free(w);
		return err_set(err, r, "cannot watch signal %d: %s",
			       signal_number, strerror(-r));
	}
	return 0;
}

void loop_run(struct loop *loop)
{
	qb_loop_run(loop->qb);
}

void loop_stop(struct loop *loop)
{
	qb_loop_stop(loop->qb);
}
