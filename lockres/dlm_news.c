/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What comes back from the kernel, by the thread or the device: in one queue to the
 * gate (dlm_gate.h), then to the locks, then to their owners. And the end of requests.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lockres/dlm_space.h"
#include "lockres/engine.h"

enum {
	AGAIN_MS = 5,    /* a cancel that came too late is at the master and back by then */
	PENDING_MS = 1,  /* look again whether the group has told all */
	WATCH_MS = 20,   /* look again whether the kernel has dropped the dead */
	READ_BATCH = 256,
};

/* --- one claim -------------------------------------------------------------------------- */

static void again(void *owner)
{
	struct dlm_claim *claim = owner;

	claim->again = NULL;
	if (claim->lock)
		memcpy(claim->again_call.value, claim->lock->value, LOCK_SMALL_LVB);
	if (dlm_call_post(claim, &claim->again_call) == -ENOMEM) {
		struct err err = ERR_INIT;

		claim->again = loop_timer_start(claim->space->d->config.loop, AGAIN_MS, again,
						claim, &err);
	}
}

static void call_again(struct dlm_claim *claim, const struct dlm_call *call)
{
	struct err err = ERR_INIT;

	claim->space->d->stats.again++;
	claim->again_call = *call;
	claim->again = loop_timer_start(claim->space->d->config.loop, AGAIN_MS, again, claim,
					&err);
	if (!claim->again)
		dlm_space_lose(claim->space, &err);
}

/* What came between a result and the end that waited for a write (L4). */
static void tell_blocked(struct dlm_space *space, uint32_t cookie)
{
	struct dlm_claim *claim;
	int mode;

	for (mode = LOCK_NL; mode < LOCK_MODES; mode++) {
		claim = dlm_claim_of(space, cookie); /* it may be another by now */
		if (!claim || !(claim->blocked & 1u << mode))
			continue;
		claim->blocked &= ~(1u << mode);
		if (claim->lock)
			lockres_tell_blocked(claim->lock, (enum lock_mode)mode);
	}
}

/* May free the claim, by its owner's hand. */
static void over(struct dlm_claim *claim)
{
	struct dlm_space *space = claim->space;
	uint32_t cookie = claim->state.cookie;
	const struct dlm_end *end = &claim->state.end;
	struct lock_result result = { end->status, end->mode, end->marks };
	uint8_t value[LOCK_SMALL_LVB];
	bool has_value = end->has_value;

	loop_timer_cancel(claim->deadline);
	claim->deadline = NULL;
	if (claim->is_barrier) {
		dlm_members_barrier_over(claim->space);
	} else if (!claim->lock) {
		if (claim->state.held == LOCK_NONE)
			dlm_claim_free(claim);
	} else if (!claim->is_lost) {
		memcpy(value, end->value, sizeof(value));
		lockres_complete(claim->lock, &result, has_value ? value : NULL);
		tell_blocked(space, cookie);
	}
}

static void turn(struct dlm_claim *claim, enum dlm_turn what, struct dlm_call *call)
{
	switch (what) {
	case DLM_TURN_WAIT:
		break;
	case DLM_TURN_CALL:
		if (claim->lock)
			memcpy(call->value, claim->lock->value, LOCK_SMALL_LVB);
		if (dlm_call_post(claim, call) == -ENOMEM)
			call_again(claim, call);
		break;
	case DLM_TURN_AGAIN:
		call_again(claim, call);
		break;
	case DLM_TURN_OVER:
		over(claim);
		break;
	}
}

static void hear_written(struct dlm_claim *claim, const struct dlm_job *job)
{
	struct dlm_call call;

	turn(claim, dlm_lock_written(&claim->state, job->call.kind, job->result, &call),
	     &call);
}

static void hear_result(struct dlm_claim *claim, const struct dlm_result *result)
{
	struct dlm_call call;

	if (!result->is_blocked) {
		turn(claim, dlm_lock_result(&claim->state, result, &call), &call);
	} else if (claim->state.is_ended) {
		claim->blocked |= 1u << result->wanted;
	} else if (claim->lock && !claim->is_lost) {
		claim->space->d->stats.blocked++;
		lockres_tell_blocked(claim->lock, result->wanted);
	}
}

/* --- the gate ---------------------------------------------------------------------------- */

static bool is_guarded(const struct dlm_claim *claim)
{
	const struct lockspace_dlm *d = claim->space->d;

	return claim->lock && d->ops.is_guarded &&
	       d->ops.is_guarded(d->owner, claim->lock->name, claim->lock->name_length);
}

/* V2 */
static bool needs_round(const struct dlm_claim *claim, const struct dlm_news *news)
{
	const struct dlm_lock *state = &claim->state;

	if (news->job)
		return state->wish == DLM_WISH_ADOPT && news->job->result >= 0 &&
		       is_guarded(claim);
	if (news->result.is_blocked || news->result.status)
		return false;
	return news->result.marks & LOCK_VALNOTVALID ||
	       (state->wanted > state->held && is_guarded(claim));
}

static void news_take(struct dlm_space *space, struct dlm_claim *claim,
		      struct dlm_job *job, const struct dlm_result *result)
{
	struct dlm_news *news = calloc(1, sizeof(*news));

	if (!news) {
		struct err err = ERR_INIT;

		free(job);
		err_nomem(&err, "a lock's completion");
		dlm_space_lose(space, &err);
		return;
	}
	news->job = job;
	if (result)
		news->result = *result;
	if (needs_round(claim, news))
		news->round = dlm_members_round(space);
	qb_list_add_tail(&news->link, &space->news);
}

static bool passes(const struct dlm_space *space, const struct dlm_news *news)
{
	return news->is_free || dlm_gate_passes(&space->gate, dlm_group_is_pending(space),
						news->round);
}

static void news_pass(struct dlm_space *space)
{
	while (!qb_list_empty(&space->news) && !space->has_ended) {
		struct dlm_news *news = qb_list_first_entry(&space->news,
							    struct dlm_news, link);
		struct dlm_claim *claim = dlm_claim_of(space, news->job ?
							  news->job->call.cookie :
							  news->result.cookie);

		if (!passes(space, news)) {
			space->d->stats.held++;
			return;
		}
		qb_list_del(&news->link);
		if (claim && news->job)
			hear_written(claim, news->job);
		else if (claim)
			hear_result(claim, &news->result);
		free(news->job);
		free(news);
	}
}

static void tick(void *owner)
{
	struct dlm_space *space = owner;

	space->tick = NULL;
	dlm_space_settle(space);
}

void dlm_space_settle(struct dlm_space *space)
{
	struct err err = ERR_INIT;
	uint32_t ms = 0;

	if (space->has_ended || space->state == DLM_SPACE_LOST)
		return;
	if (space->state != DLM_SPACE_CLOSING)
		dlm_members_settle(space);
	news_pass(space);
	if (space->state == DLM_SPACE_CLOSING)
		return;
	if (dlm_group_is_pending(space) &&
	    (!qb_list_empty(&space->news) || space->is_barrier_back))
		ms = PENDING_MS;
	else if (dlm_members_watch(space))
		ms = WATCH_MS;
	if (!ms || space->tick)
		return;
	space->tick = loop_timer_start(space->d->config.loop, ms, tick, space, &err);
	if (!space->tick)
		dlm_space_lose(space, &err);
}

/* --- from thread and device ----------------------------------------------------------------- */

static void opened(struct dlm_space *space, struct dlm_job *job)
{
	struct err err = job->err;
	int r = job->result;

	if (space->state != DLM_SPACE_OPENING)
		return; /* it closes */
	if (r >= 0)
		r = dlm_members_join(space, r, &err);
	if (r < 0)
		dlm_space_lose(space, &err);
}

void dlm_space_told(void *owner, struct dlm_job *job)
{
	struct dlm_space *space = owner;
	struct dlm_claim *claim = dlm_claim_of(space, job->call.cookie);

	space->d->stats.under_way--;
	space->calls_out -= job->kind == DLM_JOB_CALL;
	switch (job->kind) {
	case DLM_JOB_OPEN:
		opened(space, job);
		break;
	case DLM_JOB_CALL:
		if (!claim)
			break; /* a purge */
		if (!claim->is_barrier) {
			news_take(space, claim, job, NULL);
			dlm_space_settle(space);
			return;
		}
		hear_written(claim, job);
		dlm_space_settle(space);
		break;
	case DLM_JOB_MARK:
		if (space->fd >= 0)
			dlm_space_readable(space, space->fd, 0);
		/* What came may have had a second step (X6). */
		if (space->calls_out) {
			dlm_job_submit(space, job);
			return;
		}
		dlm_space_marked(space);
		break;
	case DLM_JOB_CLOSE:
		free(job);
		dlm_guard_close(space);
		return;
	}
	free(job);
}

/* False: there is no more. */
static bool read_one(struct dlm_space *space, int fd)
{
	uint8_t bytes[DLM_RESULT_MAX];
	struct dlm_result result;
	struct dlm_claim *claim;
	ssize_t n = read(fd, bytes, sizeof(bytes));

	if (n < 0)
		return errno == EINTR;
	space->d->stats.results++;
	claim = dlm_result_take(bytes, (size_t)n, &result) == 0 ?
			dlm_claim_of(space, result.cookie) : NULL;
	if (!claim)
		space->d->stats.faults++;
	else if (claim->is_barrier)
		hear_result(claim, &result);
	else
		news_take(space, claim, NULL, &result);
	return true;
}

void dlm_space_readable(void *owner, int fd, uint32_t poll_events)
{
	struct dlm_space *space = owner;
	int left = READ_BATCH;

	(void)poll_events;
	while (left-- > 0 && read_one(space, fd))
		;
	dlm_space_settle(space);
}

void dlm_space_end_requests(struct dlm_space *space)
{
	const struct lock_result stale = { .status = -ESTALE, .mode = LOCK_NONE };
	size_t i;

	space->has_ended = true;
	for (i = 1; i < space->claim_room; i++) {
		struct dlm_claim *claim = space->claims[i];

		if (!claim)
			continue;
		claim->is_lost = true;
		loop_timer_cancel(claim->deadline);
		claim->deadline = NULL;
		if (claim->lock && claim->lock->is_pending)
			lockres_complete(claim->lock, &stale, NULL);
	}
}
