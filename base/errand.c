/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/errand.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/loop.h"

static void init(struct errand *e)
{
	pthread_condattr_t attr;

	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_mutex_init(&e->mutex, NULL);
	pthread_cond_init(&e->wake, &attr);
	pthread_condattr_destroy(&attr);
	e->is_done = e->is_abandoned = false;
	e->event_fd = -1;
}

static void fini(struct errand *e)
{
	if (e->event_fd >= 0)
		close(e->event_fd);
	pthread_mutex_destroy(&e->mutex);
	pthread_cond_destroy(&e->wake);
}

static void drop(struct errand *e)
{
	fini(e);
	e->drop(e);
}

static void *run(void *arg)
{
	struct errand *e = arg;
	const uint64_t one = 1;
	bool is_abandoned;

	e->work(e);
	pthread_mutex_lock(&e->mutex);
	e->is_done = true;
	is_abandoned = e->is_abandoned;
	pthread_cond_signal(&e->wake);
	if (e->event_fd >= 0 && write(e->event_fd, &one, sizeof(one)) < 0)
		abort(); /* an eventfd of one cannot overflow */
	pthread_mutex_unlock(&e->mutex);
	if (is_abandoned)
		drop(e);
	return NULL;
}

static int start(struct errand *e, struct err *err)
{
	sigset_t all, before;
	int r;

	sigfillset(&all); /* signals are the loop's */
	pthread_sigmask(SIG_SETMASK, &all, &before);
	r = pthread_create(&e->thread, NULL, run, e);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return r ? err_set(err, -EAGAIN, "no thread can be started: %s", strerror(r)) : 0;
}

/* The thread has nothing more to do with it: N1. */
static void bring_back(struct errand *e)
{
	pthread_join(e->thread, NULL);
	fini(e);
}

/* Nobody wants it; false: it was done just now. */
static bool leave_to_thread(struct errand *e)
{
	bool is_done;

	pthread_mutex_lock(&e->mutex);
	is_done = e->is_done;
	if (!is_done) {
		pthread_detach(e->thread);
		e->is_abandoned = true;
	}
	pthread_mutex_unlock(&e->mutex);
	return !is_done;
}

/* --- who waits -------------------------------------------------------------------------- */

static struct timespec monotonic_in(uint32_t ms)
{
	struct timespec t;
	uint64_t ns;

	clock_gettime(CLOCK_MONOTONIC, &t);
	ns = (uint64_t)t.tv_nsec + ms * NS_PER_MS;
	t.tv_sec += (time_t)(ns / NS_PER_S);
	t.tv_nsec = (long)(ns % NS_PER_S);
	return t;
}

int errand_wait(struct errand *e, uint32_t limit_ms, struct err *err)
{
	const struct timespec until = monotonic_in(limit_ms);
	int r = 0;

	init(e);
	if (start(e, err) < 0) {
		drop(e);
		return err->code;
	}
	pthread_mutex_lock(&e->mutex);
	while (!e->is_done && r == 0)
		r = pthread_cond_timedwait(&e->wake, &e->mutex, &until);
	pthread_mutex_unlock(&e->mutex);
	if (leave_to_thread(e))
		return -ETIMEDOUT;
	bring_back(e);
	return 0;
}

/* --- who goes on meanwhile --------------------------------------------------------------- */

static void is_done(void *owner, int fd, uint32_t events)
{
	struct errand *e = owner;

	(void)events;
	loop_fd_remove(e->loop, fd);
	bring_back(e);
	e->done(e->owner, e);
}

int errand_start(struct errand *e, struct loop *loop,
		 void (*done)(void *owner, struct errand *errand), void *owner, struct err *err)
{
	int r;

	init(e);
	e->loop = loop;
	e->done = done;
	e->owner = owner;
	e->event_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	r = e->event_fd < 0 ? err_set(err, -errno, "no eventfd: %s", strerror(errno)) :
			      loop_fd_add(loop, e->event_fd, POLLIN, is_done, e, err);
	if (r == 0 && start(e, err) < 0) {
		loop_fd_remove(loop, e->event_fd);
		r = err->code;
	}
	if (r < 0)
		drop(e);
	return r;
}

void errand_abandon(struct errand *e)
{
	if (!e)
		return;
	loop_fd_remove(e->loop, e->event_fd);
	if (leave_to_thread(e))
		return;
	bring_back(e);
	e->drop(e);
}
