/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Fencing by the disks themselves: the dead node's key is preempted on each disk that it may
 * write to, with what it has under way there (pr.h, R3). Who asks says which disks these are,
 * or why this node cannot know. Its test asks the disks that we have.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/err.h"
#include "base/loop.h"
#include "mdclusterd/fence/method.h"
#include "mdclusterd/fence/pr_job.h"

struct reservation_job {
	struct fence_job job;
	struct pr_job *pr;
	struct loop *loop;
	struct loop_job answer;
	bool is_over;
	fence_done_fn done;
	void *owner;
};

static void has_ended(void *owner, struct pr_job *pr, const struct err *result)
{
	struct reservation_job *j = owner;

	(void)pr;
	j->is_over = true;
	j->done(j->owner, &j->job, result->code == 0,
		result->code ? result->text : "all of its disks take reservations");
}

/* The thread ends by itself; what it may yet do is not waited for. */
static void give_up(void *owner)
{
	struct reservation_job *j = owner;

	j->is_over = true;
	j->done(j->owner, &j->job, false, "it took too long, or was not needed any more");
}

static int start(struct reservation_job *j, const struct fence_request *req, struct err *err)
{
	const struct fence_reservation *r = req->reservation;
	const struct pr_job_config c = {
		.task = req->action == FENCE_TEST ? PR_TASK_CHECK : PR_TASK_PREEMPT,
		.transport = r ? r->transport : NULL,
		.paths = r ? r->paths : NULL,
		.path_count = r ? r->path_count : 0,
		.key = r ? r->key : 0,
		.victim = r ? r->victim : 0,
		.aborts = req->device->aborts,
	};

	if (!r || req->action == FENCE_REVIVE)
		return err_set(err, -EOPNOTSUPP, "reservations switch nothing on");
	if (r->why_not[0])
		return err_set(err, -EAGAIN, "%s", r->why_not);
	if (r->path_count == 0)
		return err_set(err, -ENODEV, "no disk is known that it could write to");
	j->pr = pr_job_start(j->loop, &c, has_ended, j, err);
	return j->pr ? 0 : err->code;
}

static struct fence_job *reservation_start(struct loop *loop, const struct fence_request *req,
					   fence_done_fn done, void *owner, struct err *err)
{
	struct reservation_job *j = calloc(1, sizeof(*j));

	if (!j) {
		err_nomem(err, "reservations");
		return NULL;
	}
	*j = (struct reservation_job){ .job.method = &fence_method_reservation, .loop = loop,
				       .done = done, .owner = owner };
	j->answer = (struct loop_job){ .fn = give_up, .owner = j };
	if (start(j, req, err) == 0)
		return &j->job;
	free(j);
	return NULL;
}

static void reservation_stop(struct fence_job *job)
{
	struct reservation_job *j = (struct reservation_job *)job;

	if (j->is_over)
		return;
	pr_job_free(j->pr);
	j->pr = NULL;
	loop_soon(j->loop, &j->answer);
}

static void reservation_free(struct fence_job *job)
{
	struct reservation_job *j = (struct reservation_job *)job;

	if (!j)
		return;
	loop_soon_cancel(&j->answer);
	pr_job_free(j->pr);
	free(j);
}

const struct fence_method fence_method_reservation = { reservation_start, reservation_stop,
						       reservation_free };
