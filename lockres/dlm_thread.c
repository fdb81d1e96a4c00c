/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The kernel's numbers of the locks are this thread's: the number of a request is
 * known when its write is back, and the next call for it may be queued by then.
 */
#include "lockres/dlm_thread.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/loop.h"
#include "lockres/dlm_dump.h"
#include "lockres/dlm_kernel.h"

struct dlm_thread {
	struct loop *loop;
	dlm_thread_fn told;
	void *owner;
	char kernel_name[DLM_NAME_ROOM];
	pthread_t id;
	int event_fd; /* something is done */

	pthread_mutex_t lock;
	pthread_cond_t more;
	struct qb_list_head todo, done; /* under the lock */
	bool has_closed;                /* told() has seen the last; the loop's */

	/* The thread's own. */
	void *handle;
	int fd;
	uint32_t *lkids; /* by cookie */
	size_t lkid_count;
};

/* --- in the thread ---------------------------------------------------------------------- */

static int keep_lkid(struct dlm_thread *t, uint32_t cookie, uint32_t lkid)
{
	size_t want = (size_t)cookie + 1;
	uint32_t *more;

	if (want > t->lkid_count) {
		want = want * 2;
		more = reallocarray(t->lkids, want, sizeof(*more));
		if (!more)
			return -ENOMEM;
		memset(more + t->lkid_count, 0, (want - t->lkid_count) * sizeof(*more));
		t->lkids = more;
		t->lkid_count = want;
	}
	t->lkids[cookie] = lkid;
	return 0;
}

static int do_call(struct dlm_thread *t, struct dlm_call *call)
{
	bool is_first = call->kind == DLM_CALL_LOCK && !(call->flags & LOCK_CONVERT);
	uint8_t bytes[DLM_CALL_MAX];
	ssize_t n;

	if (t->fd < 0)
		return -ENODEV;
	/* Room for the number, before there is one to lose. */
	if (is_first && keep_lkid(t, call->cookie, 0) < 0)
		return -ENOMEM;
	if (!is_first && call->cookie < t->lkid_count)
		call->lkid = t->lkids[call->cookie];
	n = write(t->fd, bytes, dlm_call_put(call, bytes));
	if (n < 0)
		return -errno;
	if (is_first)
		t->lkids[call->cookie] = (uint32_t)n;
	/* What is no number of a lock says nothing more than that it was taken. */
	return is_first ? (int)n : 0;
}

static void do_job(struct dlm_thread *t, struct dlm_job *job)
{
	switch (job->kind) {
	case DLM_JOB_OPEN:
		job->result = job->wants_fencing ? dlm_kernel_check_fencing(&job->err) : 0;
		if (job->result == 0)
			job->result = dlm_kernel_open(t->kernel_name, &t->handle,
						      &job->err);
		if (job->result == 0)
			job->result = t->fd = dlm_kernel_fd(t->handle);
		break;
	case DLM_JOB_CALL:
		job->call.name = job->name;
		job->result = do_call(t, &job->call);
		break;
	case DLM_JOB_MARK:
		break;
	case DLM_JOB_CLOSE:
		if (t->handle)
			job->result = dlm_kernel_close(t->kernel_name, t->handle);
		t->handle = NULL;
		t->fd = -1;
		break;
	}
}

static void *run(void *arg)
{
	struct dlm_thread *t = arg;
	enum dlm_job_kind kind;
	const uint64_t one = 1;

	do {
		struct dlm_job *job;

		pthread_mutex_lock(&t->lock);
		while (qb_list_empty(&t->todo))
			pthread_cond_wait(&t->more, &t->lock);
		job = qb_list_first_entry(&t->todo, struct dlm_job, link);
		qb_list_del(&job->link);
		pthread_mutex_unlock(&t->lock);

		kind = job->kind;
		do_job(t, job);

		pthread_mutex_lock(&t->lock);
		qb_list_add_tail(&job->link, &t->done);
		pthread_mutex_unlock(&t->lock);
		while (write(t->event_fd, &one, sizeof(one)) < 0 && errno == EINTR)
			;
	} while (kind != DLM_JOB_CLOSE);
	return NULL;
}

/* --- in the loop -------------------------------------------------------------------------- */

static struct dlm_job *next(struct dlm_thread *t, struct qb_list_head *list)
{
	struct dlm_job *job = NULL;

	pthread_mutex_lock(&t->lock);
	if (!qb_list_empty(list)) {
		job = qb_list_first_entry(list, struct dlm_job, link);
		qb_list_del(&job->link);
	}
	pthread_mutex_unlock(&t->lock);
	return job;
}

static void collect(void *owner, int fd, uint32_t poll_events)
{
	struct dlm_thread *t = owner;
	struct dlm_job *job;
	uint64_t count;

	(void)poll_events;
	if (read(fd, &count, sizeof(count)) < 0)
		return; /* collected before */
	while ((job = next(t, &t->done))) {
		bool is_last = job->kind == DLM_JOB_CLOSE;

		t->has_closed = is_last;
		t->told(t->owner, job); /* may free us behind the last */
		if (is_last)
			return;
	}
}

static int start(struct dlm_thread *t)
{
	sigset_t all, before;
	int r;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	r = pthread_create(&t->id, NULL, run, t);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return -r;
}

struct dlm_thread *dlm_thread_new(struct loop *loop, const char *kernel_name,
				  dlm_thread_fn told, void *owner, struct err *err)
{
	struct dlm_thread *t = calloc(1, sizeof(*t));
	int r;

	if (!t) {
		err_nomem(err, "a thread for a lockspace");
		return NULL;
	}
	*t = (struct dlm_thread){ .loop = loop, .told = told, .owner = owner, .fd = -1 };
	snprintf(t->kernel_name, sizeof(t->kernel_name), "%s", kernel_name);
	QB_INIT_LIST_HEAD(&t->todo);
	QB_INIT_LIST_HEAD(&t->done);
	pthread_mutex_init(&t->lock, NULL);
	pthread_cond_init(&t->more, NULL);
	t->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	r = t->event_fd < 0 ? -errno :
			      loop_fd_add(loop, t->event_fd, POLLIN, collect, t, err);
	if (r == 0) {
		r = start(t);
		if (r == 0)
			return t;
		loop_fd_remove(loop, t->event_fd);
	}
	err_set(err, r, "no thread for lockspace %s: %s", kernel_name, strerror(-r));
	if (t->event_fd >= 0)
		close(t->event_fd);
	free(t);
	return NULL;
}

void dlm_thread_submit(struct dlm_thread *t, struct dlm_job *job)
{
	pthread_mutex_lock(&t->lock);
	qb_list_add_tail(&job->link, &t->todo);
	pthread_cond_signal(&t->more);
	pthread_mutex_unlock(&t->lock);
}

void dlm_thread_free(struct dlm_thread *t)
{
	struct dlm_job last = { .kind = DLM_JOB_CLOSE }, *job;

	if (!t)
		return;
	if (!t->has_closed)
		dlm_thread_submit(t, &last);
	pthread_join(t->id, NULL);
	loop_fd_remove(t->loop, t->event_fd);
	close(t->event_fd);
	while ((job = next(t, &t->done)) || (job = next(t, &t->todo)))
		if (job != &last)
			free(job);
	pthread_cond_destroy(&t->more);
	pthread_mutex_destroy(&t->lock);
	free(t->lkids);
	free(t);
}
