/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "mdclusterd/fence/pr_job.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/err.h"
#include "base/loop.h"
#include "mdclusterd/fence/pr.h"

struct pr_job {
	struct loop *loop;
	struct pr_job_config config;
	char **paths;          /* ours */
	int event_fd;
	struct err result;     /* the thread's until event_fd says that it is over */
	_Atomic int holders;   /* the thread, and who asked */
	pr_job_fn done;
	void *owner;
};

static void put(struct pr_job *j)
{
	if (atomic_fetch_sub(&j->holders, 1) > 1)
		return;
	if (j->event_fd >= 0)
		close(j->event_fd);
	for (size_t i = 0; j->paths && i < j->config.path_count; i++)
		free(j->paths[i]);
	free(j->paths);
	free(j);
}

/* --- in the thread ------------------------------------------------------------------------ */

static int do_task(const struct pr_job_config *c, const struct pr_disk *disk, struct err *err)
{
	switch (c->task) {
	case PR_TASK_CHECK:
		return pr_check(disk, err);
	case PR_TASK_REGISTER:
		return pr_register(disk, c->key, err);
	case PR_TASK_WATCH:
		return pr_watch(disk, c->key, err);
	case PR_TASK_PREEMPT:
		return pr_preempt(disk, c->key, c->victim, c->aborts, err);
	case PR_TASK_LEAVE:
		return pr_leave(disk, c->key, c->is_last, err);
	}
	return err_set(err, -EINVAL, "%s: no task", disk->path);
}

static void do_disk(const struct pr_job_config *c, const char *path, struct err *err)
{
	struct pr_disk disk = { .path = path };

	if (c->transport->open(path, &disk, err) < 0)
		return;
	do_task(c, &disk, err);
	c->transport->close(&disk);
}

/* One that fails ends it; but that our key is gone is told whatever else fails. */
static bool is_settled(const struct pr_job *j)
{
	return j->config.task == PR_TASK_WATCH ? j->result.code == -EKEYREVOKED
					       : j->result.code < 0;
}

static void *work(void *owner)
{
	struct pr_job *j = owner;
	const uint64_t one = 1;
	ssize_t n;

	for (size_t i = 0; i < j->config.path_count && !is_settled(j); i++) {
		struct err err = ERR_INIT;

		do_disk(&j->config, j->paths[i], &err);
		if (err.code == -EKEYREVOKED || (err.code < 0 && j->result.code == 0))
			j->result = err;
	}
	n = write(j->event_fd, &one, sizeof(one));
	(void)n;
	put(j);
	return NULL;
}

/* --- in the loop ----------------------------------------------------------------------------- */

static void is_over(void *owner, int fd, uint32_t events)
{
	struct pr_job *j = owner;
	uint64_t count;

	(void)events;
	if (read(fd, &count, sizeof(count)) != sizeof(count))
		return;
	loop_fd_remove(j->loop, fd);
	j->loop = NULL;
	j->done(j->owner, j, &j->result);
}

static int copy_paths(struct pr_job *j)
{
	j->paths = calloc(j->config.path_count + 1, sizeof(*j->paths));
	for (size_t i = 0; j->paths && i < j->config.path_count; i++) {
		j->paths[i] = strdup(j->config.paths[i]);
		if (!j->paths[i])
			return -ENOMEM;
	}
	return j->paths ? 0 : -ENOMEM;
}

static int start_thread(struct pr_job *j, struct err *err)
{
	pthread_attr_t attr;
	pthread_t thread;
	int r;

	if (loop_fd_add(j->loop, j->event_fd, POLLIN, is_over, j, err) < 0)
		return err->code;
	atomic_fetch_add(&j->holders, 1);
	pthread_attr_init(&attr);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	r = pthread_create(&thread, &attr, work, j);
	pthread_attr_destroy(&attr);
	if (r == 0)
		return 0;
	atomic_fetch_sub(&j->holders, 1);
	loop_fd_remove(j->loop, j->event_fd);
	return err_set(err, -r, "no thread for reservations: %s", strerror(r));
}

struct pr_job *pr_job_start(struct loop *loop, const struct pr_job_config *config,
			    pr_job_fn done, void *owner, struct err *err)
{
	struct pr_job *j = calloc(1, sizeof(*j));

	if (!j) {
		err_nomem(err, "reservations");
		return NULL;
	}
	j->loop = loop;
	j->config = *config;
	j->done = done;
	j->owner = owner;
	atomic_init(&j->holders, 1);
	j->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (j->event_fd < 0)
		err_set(err, -errno, "no eventfd: %s", strerror(errno));
	else if (copy_paths(j) < 0)
		err_nomem(err, "reservations");
	else if (start_thread(j, err) == 0)
		return j;
	put(j);
	return NULL;
}

void pr_job_free(struct pr_job *j)
{
	if (!j)
		return;
	if (j->loop)
		loop_fd_remove(j->loop, j->event_fd);
	put(j);
}
