/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Descriptors are libqb's. Its timers are not used: it waits for them
 * in whole milliseconds, rounded down, and polls without pause for the rest, up to
 * a millisecond of CPU each time. Ours are a list in the order of their times and
 * one timerfd, armed for the first of them or for earlier: who is cancelled or
 * wound for later leaves it as it is, and the loop wakes once for nothing.
 */
#include "base/loop.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <qb/qblist.h>
#include <qb/qbloop.h>

#include "base/arith.h"
#include "base/clock.h"
#include "base/err.h"

/* What a registration calls back; qb_loop keeps one pointer only. */
struct watch {
	struct loop *loop;
	struct qb_list_head link; /* in loop->watches */
	int fd;
	int signal_number;        /* 0: the fd is somebody else's */
	bool was_blocked;         /* the signal, before it was watched */
	loop_fd_fn fd_fn;
	loop_fn fn;
	void *owner;
};

struct loop_timer {
	struct qb_list_head link; /* in loop->timers */
	struct loop *loop;
	uint64_t at; /* on the clock of boot */
	loop_fn fn;
	void *owner;
};

struct loop {
	qb_loop_t *qb;
	struct qb_list_head watches;
	struct qb_list_head timers; /* the next one first */
	struct qb_list_head jobs;   /* struct loop_job; theirs */
	int timer_fd;
	uint64_t armed_at; /* UINT64_MAX: it is not */
	bool is_stopping;
};

static int32_t timer_fd_ready(int32_t fd, int32_t revents, void *data);
static void signal_close(const struct watch *w);

static int timers_open(struct loop *loop)
{
	loop->armed_at = UINT64_MAX;
	loop->timer_fd = timerfd_create(CLOCK_BOOTTIME,
					TFD_NONBLOCK | TFD_CLOEXEC);
	if (loop->timer_fd < 0)
		return -errno;
	return qb_loop_poll_add(loop->qb, QB_LOOP_HIGH, loop->timer_fd, POLLIN,
				loop, timer_fd_ready);
}

static void timers_close(struct loop *loop)
{
	struct qb_list_head *at, *next;

	qb_list_for_each_safe(at, next, &loop->timers)
		loop_timer_cancel(qb_list_entry(at, struct loop_timer, link));
	if (loop->timer_fd < 0)
		return;
	qb_loop_poll_del(loop->qb, loop->timer_fd);
	close(loop->timer_fd);
}

struct loop *loop_new(struct err *err)
{
	struct loop *loop = calloc(1, sizeof(*loop));
	int r;

	if (loop)
		loop->qb = qb_loop_create();
	if (!loop || !loop->qb) {
		free(loop);
		err_nomem(err, "the event loop");
		return NULL;
	}
	QB_INIT_LIST_HEAD(&loop->watches);
	QB_INIT_LIST_HEAD(&loop->timers);
	QB_INIT_LIST_HEAD(&loop->jobs);
	r = timers_open(loop);
	if (r < 0) {
		err_set(err, r, "no timers: %s", strerror(-r));
		loop_free(loop);
		return NULL;
	}
	return loop;
}

void loop_free(struct loop *loop)
{
	struct qb_list_head *at, *next;

	if (!loop)
		return;
	timers_close(loop);
	qb_list_for_each_safe(at, next, &loop->watches) {
		struct watch *w = qb_list_entry(at, struct watch, link);

		qb_loop_poll_del(loop->qb, w->fd);
		if (w->signal_number)
			signal_close(w);
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
	w->loop = loop;
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

/* --- jobs ------------------------------------------------------------------ */

/*
 * libqb's own jobs are not used: those that come while others run wait until
 * something else happens, or for 50 ms.
 */
void loop_soon(struct loop *loop, struct loop_job *job)
{
	if (job->is_queued)
		return;
	job->is_queued = true;
	qb_list_add_tail(&job->link, &loop->jobs);
}

void loop_soon_cancel(struct loop_job *job)
{
	if (!job->is_queued)
		return;
	job->is_queued = false;
	qb_list_del(&job->link);
}

/* Behind every callback; what jobs queue comes in the same go. */
static void do_jobs(struct loop *loop)
{
	while (!qb_list_empty(&loop->jobs)) {
		struct loop_job *job = qb_list_first_entry(&loop->jobs,
							   struct loop_job, link);

		loop_soon_cancel(job);
		job->fn(job->owner);
	}
}

/* --- descriptors ------------------------------------------------------------- */

static int32_t fd_ready(int32_t fd, int32_t revents, void *data)
{
	struct watch *w = data;
	struct loop *loop = w->loop;

	w->fd_fn(w->owner, fd, (uint32_t)revents); /* may free w */
	do_jobs(loop);
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

static struct watch *watch_of(struct loop *loop, int fd)
{
	struct qb_list_head *at;

	qb_list_for_each(at, &loop->watches) {
		struct watch *w = qb_list_entry(at, struct watch, link);

		if (w->fd == fd)
			return w;
	}
	return NULL;
}

int loop_fd_change(struct loop *loop, int fd, uint32_t poll_events, struct err *err)
{
	int r = qb_loop_poll_mod(loop->qb, QB_LOOP_HIGH, fd, (int32_t)poll_events,
				 watch_of(loop, fd), fd_ready);

	if (r < 0)
		return err_set(err, r, "cannot watch file descriptor %d otherwise: %s", fd,
			       strerror(-r));
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

/* --- timers ---------------------------------------------------------------- */

static struct loop_timer *first_timer(struct loop *loop)
{
	return qb_list_empty(&loop->timers)
		       ? NULL
		       : qb_list_first_entry(&loop->timers, struct loop_timer,
					     link);
}

static int arm(struct loop *loop)
{
	const struct loop_timer *first = first_timer(loop);
	struct itimerspec when = { 0 };

	if (!first || loop->armed_at <= first->at)
		return 0;
	when.it_value.tv_sec = (time_t)(first->at / NS_PER_S);
	when.it_value.tv_nsec = (long)(first->at % NS_PER_S);
	if (timerfd_settime(loop->timer_fd, TFD_TIMER_ABSTIME, &when, NULL) < 0)
		return -errno;
	loop->armed_at = first->at;
	return 0;
}

static void timer_free(struct loop_timer *timer)
{
	qb_list_del(&timer->link);
	free(timer);
}

/*
 * What callbacks start now is not due: they cannot keep the loop here. What they
 * cancel is off the list, so nothing is kept of it from one step to the next.
 */
static void ring_due(struct loop *loop, uint64_t now)
{
	struct loop_timer *timer;

	while (!loop->is_stopping && (timer = first_timer(loop)) &&
	       timer->at <= now) {
		struct loop_timer due = *timer;

		timer_free(timer);
		due.fn(due.owner);
		do_jobs(loop);
	}
}

static int32_t timer_fd_ready(int32_t fd, int32_t revents, void *data)
{
	struct loop *loop = data;
	uint64_t times;

	(void)revents;
	if (read(fd, &times, sizeof(times)) < 0)
		return 0; /* armed anew since it was ready */
	loop->armed_at = UINT64_MAX;
	ring_due(loop, clock_boot_ns());
	(void)arm(loop); /* has no way to fail: the times are sound */
	return 0;
}

/* After those of the same time; most are later than all others. */
static void enlist(struct loop *loop, struct loop_timer *timer)
{
	struct qb_list_head *before = loop->timers.prev;

	while (before != &loop->timers &&
	       qb_list_entry(before, struct loop_timer, link)->at > timer->at)
		before = before->prev;
	qb_list_add(&timer->link, before);
}

struct loop_timer *loop_timer_start(struct loop *loop, uint32_t after_ms,
				    loop_fn fn, void *owner, struct err *err)
{
	struct loop_timer *timer = calloc(1, sizeof(*timer));
	int r;

	if (!timer) {
		err_nomem(err, "a timer");
		return NULL;
	}
	timer->loop = loop;
	timer->at = clock_boot_ns() + max_u64(after_ms, 1) * NS_PER_MS;
	timer->fn = fn;
	timer->owner = owner;
	enlist(loop, timer);
	r = arm(loop);
	if (r < 0) {
		timer_free(timer);
		err_set(err, r, "cannot start a timer: %s", strerror(-r));
		return NULL;
	}
	return timer;
}

void loop_timer_cancel(struct loop_timer *timer)
{
	if (timer)
		timer_free(timer);
}

/* --- signals --------------------------------------------------------------- */

static int32_t signal_raised(int32_t fd, int32_t revents, void *data)
{
	struct signalfd_siginfo info;
	struct watch *w = data;
	struct loop *loop = w->loop;

	(void)revents;
	if (read(fd, &info, sizeof(info)) != (ssize_t)sizeof(info))
		return 0;
	w->fn(w->owner);
	do_jobs(loop);
	return 0;
}

/*
 * Not libqb's: its pipe is shared by all loops of a process, and closed by the first of
 * them that ends, so that the others hear of no signal any more.
 */
int loop_signal_add(struct loop *loop, int signal_number, loop_fn fn,
		    void *owner, struct err *err)
{
	struct watch *w;
	sigset_t set, before;
	int fd, r;

	sigemptyset(&set);
	sigaddset(&set, signal_number);
	fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
	if (fd < 0)
		return err_set(err, -errno, "cannot watch signal %d: %s", signal_number,
			       strerror(errno));
	w = watch_new(loop, fd, owner);
	if (!w) {
		close(fd);
		return err_nomem(err, "a signal handler");
	}
	w->fn = fn;
	w->signal_number = signal_number;
	r = qb_loop_poll_add(loop->qb, QB_LOOP_HIGH, fd, POLLIN, w, signal_raised);
	if (r < 0) {
		watch_free(w);
		close(fd);
		return err_set(err, r, "cannot watch signal %d: %s",
			       signal_number, strerror(-r));
	}
	pthread_sigmask(SIG_BLOCK, &set, &before);
	w->was_blocked = sigismember(&before, signal_number) == 1;
	return 0;
}

static void signal_close(const struct watch *w)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, w->signal_number);
	if (!w->was_blocked)
		pthread_sigmask(SIG_UNBLOCK, &set, NULL);
	close(w->fd);
}

void loop_run(struct loop *loop)
{
	loop->is_stopping = false;
	do_jobs(loop);
	if (!loop->is_stopping) /* one of these */
		qb_loop_run(loop->qb);
}

void loop_stop(struct loop *loop)
{
	loop->is_stopping = true;
	qb_loop_stop(loop->qb);
}
