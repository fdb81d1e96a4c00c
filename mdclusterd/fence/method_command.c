/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The plain command: called as COMMAND NAME ID INCARNATION, with nothing to read. It may be
 * anything: what resets a machine by IPMI, what takes its path to the disks away, what
 * asks a hypervisor. It must not say 0 before the node cannot write any more.
 *
 * Its test is that it can be executed: it is not called, for it knows one thing to do alone.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"
#include "base/loop.h"
#include "mdclusterd/fence/method.h"
#include "mdclusterd/fence/process.h"

struct command_job {
	struct fence_job job;
	struct fence_process *process; /* NULL: a test */
	struct loop_job answer;
	char why[160];
	bool is_fine;
	fence_done_fn done;
	void *owner;
};

static void has_ended(void *owner, struct fence_process *p, int code, const char *why,
		      const char *output)
{
	struct command_job *j = owner;

	(void)p;
	(void)output;
	j->done(j->owner, &j->job, code == 0, why);
}

static void has_been_looked_at(void *owner)
{
	struct command_job *j = owner;

	j->done(j->owner, &j->job, j->is_fine, j->why);
}

static int look(struct command_job *j, struct loop *loop, const struct fence_device *d)
{
	j->is_fine = access(d->program, X_OK) == 0;
	if (j->is_fine)
		snprintf(j->why, sizeof(j->why), "can be executed; what it does only a call shows");
	else
		snprintf(j->why, sizeof(j->why), "%s", strerror(errno));
	j->answer = (struct loop_job){ .fn = has_been_looked_at, .owner = j };
	loop_soon(loop, &j->answer);
	return 0;
}

static int call(struct command_job *j, struct loop *loop, const struct fence_request *req,
		struct err *err)
{
	char id[16], incarnation[24];
	const char *words[] = { req->device->program, req->name, id, incarnation, NULL };
	const struct fence_process_config c = { .program = req->device->program,
						.words = words,
						.user = req->device->user };

	snprintf(id, sizeof(id), "%" PRIu32, req->node);
	snprintf(incarnation, sizeof(incarnation), "%" PRIu64, req->incarnation);
	j->process = fence_process_start(loop, &c, has_ended, j, err);
	return j->process ? 0 : err->code;
}

static struct fence_job *command_start(struct loop *loop, const struct fence_request *req,
				       fence_done_fn done, void *owner, struct err *err)
{
	struct command_job *j = calloc(1, sizeof(*j));
	int r;

	if (!j) {
		err_nomem(err, "a fence command");
		return NULL;
	}
	j->job.method = &fence_method_command;
	j->done = done;
	j->owner = owner;
	if (req->action == FENCE_TEST)
		r = look(j, loop, req->device);
	else if (req->action == FENCE_KILL)
		r = call(j, loop, req, err);
	else
		r = err_set(err, -EOPNOTSUPP, "a command switches nothing on");
	if (r == 0)
		return &j->job;
	free(j);
	return NULL;
}

static void command_stop(struct fence_job *job)
{
	struct command_job *j = (struct command_job *)job;

	if (j->process)
		fence_process_stop(j->process);
}

static void command_free(struct fence_job *job)
{
	struct command_job *j = (struct command_job *)job;

	if (!j)
		return;
	loop_soon_cancel(&j->answer);
	fence_process_free(j->process);
	free(j);
}

const struct fence_method fence_method_command = { command_start, command_stop, command_free };
