/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Fence agents as a method. Their test is action status: the switch answers, and knows the plug. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "mdclusterd/fence/agent.h"
#include "mdclusterd/fence/process.h"

struct agent_job {
	struct fence_job job;
	struct fence_process *process;
	bool is_test;
	fence_done_fn done;
	void *owner;
};

static void has_ended(void *owner, struct fence_process *p, int code, const char *why,
		      const char *output)
{
	struct agent_job *j = owner;

	(void)p;
	(void)output;
	if (j->is_test && (code == 0 || code == AGENT_OFF_STATUS))
		j->done(j->owner, &j->job, true, code == 0 ? "it is on" : "it is off");
	else
		j->done(j->owner, &j->job, code == 0, why);
}

static int run(struct agent_job *j, struct loop *loop, const struct fence_request *req,
	       struct err *err)
{
	const char *words[] = { req->device->program, NULL };
	char *input = malloc(FENCE_INPUT_BYTES);
	struct fence_process_config c = { .program = req->device->program, .words = words,
					  .input = input, .user = req->device->user };
	int r = input ? agent_input(req, input, FENCE_INPUT_BYTES, &c.input_length, err)
		      : err_nomem(err, "a fence agent's options");

	if (r == 0)
		j->process = fence_process_start(loop, &c, has_ended, j, err);
	if (input)
		explicit_bzero(input, FENCE_INPUT_BYTES);
	free(input);
	return j->process ? 0 : err->code;
}

static struct fence_job *agent_start(struct loop *loop, const struct fence_request *req,
				     fence_done_fn done, void *owner, struct err *err)
{
	struct agent_job *j = calloc(1, sizeof(*j));

	if (!j) {
		err_nomem(err, "a fence agent");
		return NULL;
	}
	*j = (struct agent_job){ .job.method = &fence_method_agent,
				 .is_test = req->action == FENCE_TEST, .done = done,
				 .owner = owner };
	if (run(j, loop, req, err) == 0)
		return &j->job;
	free(j);
	return NULL;
}

static void agent_stop(struct fence_job *job)
{
	fence_process_stop(((struct agent_job *)job)->process);
}

static void agent_free(struct fence_job *job)
{
	struct agent_job *j = (struct agent_job *)job;

	if (j)
		fence_process_free(j->process);
	free(j);
}

const struct fence_method fence_method_agent = { agent_start, agent_stop, agent_free };
