/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Calls of a lockspace to the kernel: the locks' numbers (cookies), jobs for the thread,
 * and those that wait until this node is in.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lockres/dlm_space.h"

/* --- claims ------------------------------------------------------------------------------ */

static int claims_grow(struct dlm_space *space)
{
	size_t room = space->claim_room ? space->claim_room * 2 : 16;
	struct dlm_claim **more = reallocarray(space->claims, room, sizeof(*more));

	if (!more)
		return -ENOMEM;
	memset(more + space->claim_room, 0, (room - space->claim_room) * sizeof(*more));
	space->claims = more;
	space->claim_room = room;
	return 0;
}

struct dlm_claim *dlm_claim_new(struct dlm_space *space, struct lockres *lock)
{
	struct dlm_claim *claim = calloc(1, sizeof(*claim));
	size_t i = space->claim_hint > 0 ? space->claim_hint : 1;

	while (i < space->claim_room && space->claims[i])
		i++;
	if (!claim || (i >= space->claim_room && claims_grow(space) < 0)) {
		free(claim);
		return NULL;
	}
	claim->space = space;
	claim->lock = lock;
	dlm_lock_init(&claim->state, (uint32_t)i);
	space->claims[i] = claim;
	space->claim_hint = i + 1;
	return claim;
}

void dlm_claim_free(struct dlm_claim *claim)
{
	struct dlm_space *space = claim->space;

	loop_timer_cancel(claim->deadline);
	loop_timer_cancel(claim->again);
	space->claims[claim->state.cookie] = NULL;
	if (claim->state.cookie < space->claim_hint)
		space->claim_hint = claim->state.cookie;
	free(claim);
}

struct dlm_claim *dlm_claim_of(const struct dlm_space *space, uint32_t cookie)
{
	return cookie < space->claim_room ? space->claims[cookie] : NULL;
}

void dlm_claims_detach(struct dlm_space *space)
{
	size_t i;

	for (i = 1; i < space->claim_room; i++) {
		struct dlm_claim *claim = space->claims[i];

		if (!claim || !claim->lock)
			continue;
		claim->lock->engine_state = NULL;
		claim->lock->space = NULL;
		claim->lock = NULL;
	}
}

/* --- out ------------------------------------------------------------------------------------ */

void dlm_job_submit(struct dlm_space *space, struct dlm_job *job)
{
	space->d->stats.under_way++;
	space->calls_out += job->kind == DLM_JOB_CALL;
	dlm_thread_submit(space->thread, job);
}

static struct dlm_job *find_waiting(struct dlm_space *space, uint32_t cookie)
{
	struct qb_list_head *at;

	qb_list_for_each(at, &space->waiting) {
		struct dlm_job *job = qb_list_entry(at, struct dlm_job, link);

		if (job->call.kind == DLM_CALL_LOCK && job->call.cookie == cookie)
			return job;
	}
	return NULL;
}

/*
 * A request that was never written is cancelled, or unlocked: what the kernel would
 * have said to both is made up.
 */
static int take_back(struct dlm_space *space, struct dlm_job *request,
		     struct dlm_job *job)
{
	struct dlm_news *news[3] = { calloc(1, sizeof(**news)), calloc(1, sizeof(**news)),
				     calloc(1, sizeof(**news)) };
	bool is_cancel = job->call.kind == DLM_CALL_CANCEL;
	int i;

	if (!news[0] || !news[1] || !news[2]) {
		for (i = 0; i < 3; i++)
			free(news[i]);
		return -ENOMEM;
	}
	qb_list_del(&request->link);
	request->result = 0;
	job->result = is_cancel ? 0 : -ENOENT;
	news[0]->job = request;
	news[1]->result = (struct dlm_result){
		.cookie = job->call.cookie,
		.status = DLM_RESULT_CANCELLED,
	};
	news[2]->job = job;
	for (i = 0; i < 3; i++) {
		news[i]->is_free = true;
		if (i == 1 && !is_cancel)
			free(news[i]);
		else
			qb_list_add_tail(&news[i]->link, &space->news);
	}
	loop_soon(space->d->config.loop, &space->soon);
	return 0;
}

int dlm_call_post(struct dlm_claim *claim, const struct dlm_call *call)
{
	struct dlm_space *space = claim->space;
	struct dlm_job *job, *request;
	int r = 0;

	if (!space->last_jobs[1])
		return -ESHUTDOWN; /* closing gives up all that there is */
	job = calloc(1, sizeof(*job));
	if (!job)
		return -ENOMEM;
	job->kind = DLM_JOB_CALL;
	job->call = *call;
	if (call->name)
		memcpy(job->name, call->name, call->name_length);
	space->d->stats.calls++;
	if (claim->is_barrier || space->gate.is_in) {
		dlm_job_submit(space, job);
		return 0;
	}
	request = find_waiting(space, call->cookie);
	if (call->kind == DLM_CALL_LOCK || !request)
		qb_list_add_tail(&job->link, &space->waiting);
	else
		r = take_back(space, request, job);
	if (r < 0)
		free(job);
	return r;
}

int dlm_purge_post(struct dlm_space *space, uint32_t node)
{
	struct dlm_job *job = calloc(1, sizeof(*job));

	if (!job || !space->last_jobs[1]) {
		free(job);
		return -ENOMEM;
	}
	job->kind = DLM_JOB_CALL;
	job->call = (struct dlm_call){ .kind = DLM_CALL_PURGE, .node = node };
	dlm_job_submit(space, job);
	return 0;
}

void dlm_waiting_submit(struct dlm_space *space)
{
	while (!qb_list_empty(&space->waiting)) {
		struct dlm_job *job = qb_list_first_entry(&space->waiting, struct dlm_job,
							  link);

		qb_list_del(&job->link);
		dlm_job_submit(space, job);
	}
}

void dlm_last_submit(struct dlm_space *space, enum dlm_job_kind kind)
{
	struct dlm_job **last = &space->last_jobs[kind == DLM_JOB_CLOSE], *job = *last;

	if (!job)
		return;
	*last = NULL;
	job->kind = kind;
	dlm_job_submit(space, job);
}

void dlm_jobs_free(struct qb_list_head *jobs)
{
	while (!qb_list_empty(jobs)) {
		struct dlm_job *job = qb_list_first_entry(jobs, struct dlm_job, link);

		qb_list_del(&job->link);
		free(job);
	}
}
