/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * An engine of lockspace.h on the kernel's DLM: what its owner calls.
 *
 * Life of a lockspace: checked -> its guard runs -> taken in the kernel, by the thread ->
 * the group is joined, a slot got -> the barrier -> recover_done -> ... -> the group is
 * left -> given up in the kernel, by the thread -> the guard is left -> closed(). Requests made before the first
 * recover_done wait here.
 */
#include "lockres/lockspace_dlm.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/arith.h"
#include "base/clock.h"
#include "lockres/dlm_kernel.h"
#include "lockres/dlm_space.h"
#include "lockres/engine.h"
#include "totem/group.h"

static struct dlm_space *space_of(struct lockspace *base)
{
	return (struct dlm_space *)base; /* its first member */
}

static struct lockspace_dlm *engine_of(struct lockspace_engine *base)
{
	return (struct lockspace_dlm *)base;
}

/* --- open ---------------------------------------------------------------------------------- */

static void soon(void *owner)
{
	struct dlm_space *space = owner;

	if (!space->has_news_of_loss) {
		dlm_space_settle(space);
		return;
	}
	space->has_news_of_loss = false;
	dlm_space_end_requests(space);
	if (space->state == DLM_SPACE_LOST && space->handlers.lost)
		space->handlers.lost(space->owner, &space->base, &space->why);
}

static int check(struct lockspace_dlm *d, const struct lockspace_config *config,
		 char kernel_name[DLM_NAME_ROOM], struct err *err)
{
	struct qb_list_head *at;
	int r = lockspace_check(config, err);

	if (r < 0)
		return r;
	if (config->lvb_bytes != LOCK_SMALL_LVB)
		return err_set(err, -EOPNOTSUPP,
			       "lock values of %u bytes: the kernel's DLM has %d for processes",
			       config->lvb_bytes, LOCK_SMALL_LVB);
	dlm_name(config->name, config->name_length, kernel_name);
	qb_list_for_each(at, &d->spaces) {
		const struct dlm_space *space = qb_list_entry(at, struct dlm_space, link);

		if (strcmp(space->kernel_name, kernel_name) == 0)
			return err_set(err, -EEXIST, "lockspace %s is open already",
				       kernel_name);
	}
	return dlm_kernel_check(config->name, config->name_length, kernel_name, err);
}

static void space_init(struct dlm_space *space, struct lockspace_dlm *d,
		       const struct lockspace_config *config,
		       const struct lockspace_handlers *handlers, void *owner)
{
	space->base = (struct lockspace){
		.engine = &d->base,
		.lvb_bytes = config->lvb_bytes,
		.is_ordered = false, /* each resource has its master */
	};
	space->d = d;
	space->handlers = *handlers;
	space->owner = owner;
	space->fd = -1;
	space->soon = (struct loop_job){ .fn = soon, .owner = space };
	memcpy(space->name, config->name, config->name_length);
	space->name_length = config->name_length;
	QB_INIT_LIST_HEAD(&space->waiting);
	QB_INIT_LIST_HEAD(&space->news);
	QB_INIT_LIST_HEAD(&space->outbox);
	dlm_gate_init(&space->gate);
}

static bool space_has_jobs(struct dlm_space *space)
{
	space->open_job = calloc(1, sizeof(struct dlm_job));
	space->last_jobs[0] = calloc(1, sizeof(struct dlm_job));
	space->last_jobs[1] = calloc(1, sizeof(struct dlm_job));
	if (space->open_job && space->last_jobs[0] && space->last_jobs[1])
		return true;
	free(space->open_job);
	free(space->last_jobs[0]);
	free(space->last_jobs[1]);
	return false;
}

static void space_free(struct dlm_space *space)
{
	size_t i;

	loop_soon_cancel(&space->soon);
	if (space->fd >= 0)
		loop_fd_remove(space->d->config.loop, space->fd);
	dlm_thread_free(space->thread);
	dlm_members_free(space);
	for (i = 1; i < space->claim_room; i++)
		if (space->claims[i])
			dlm_claim_free(space->claims[i]);
	free(space->claims);
	free(space->open_job);
	free(space->last_jobs[0]);
	free(space->last_jobs[1]);
	dlm_jobs_free(&space->waiting);
	while (!qb_list_empty(&space->news)) {
		struct dlm_news *news = qb_list_first_entry(&space->news,
							    struct dlm_news, link);

		qb_list_del(&news->link);
		free(news->job);
		free(news);
	}
	qb_list_del(&space->link);
	free(space);
}

void dlm_space_begin(struct dlm_space *space)
{
	struct dlm_job *job = space->open_job;

	if (!job || space->state != DLM_SPACE_OPENING)
		return; /* once, and not when it closes */
	space->open_job = NULL;
	job->kind = DLM_JOB_OPEN;
	job->wants_fencing = space->d->config.drops_are_proofs;
	dlm_job_submit(space, job);
}

static int engine_open(struct lockspace_engine *base, const struct lockspace_config *config,
		       const struct lockspace_handlers *handlers, void *owner,
		       struct lockspace **to, struct err *err)
{
	struct lockspace_dlm *d = engine_of(base);
	char kernel_name[DLM_NAME_ROOM];
	struct dlm_space *space;
	int r = check(d, config, kernel_name, err);

	if (r < 0)
		return r;
	space = calloc(1, sizeof(*space));
	if (!space || !space_has_jobs(space)) {
		free(space);
		return err_nomem(err, "a lockspace");
	}
	space_init(space, d, config, handlers, owner);
	memcpy(space->kernel_name, kernel_name, sizeof(kernel_name));
	qb_list_add_tail(&space->link, &d->spaces);
	dlm_members_init(space, config);
	space->thread = dlm_thread_new(d->config.loop, kernel_name, dlm_space_told, space,
				       err);
	space->barrier = space->thread ? dlm_claim_new(space, NULL) : NULL;
	if (!space->barrier) {
		if (space->thread)
			err_nomem(err, "a lockspace");
		space_free(space);
		return err->code;
	}
	space->barrier->is_barrier = true;
	if (dlm_guard_open(space, err) < 0) {
		space_free(space);
		return err->code;
	}
	*to = &space->base;
	return 0;
}

/* --- the end --------------------------------------------------------------------------------- */

void dlm_space_lose(struct dlm_space *space, const struct err *why)
{
	if (space->state == DLM_SPACE_LOST || space->state == DLM_SPACE_CLOSING)
		return;
	space->state = DLM_SPACE_LOST;
	space->why = *why;
	space->has_news_of_loss = true;
	loop_soon(space->d->config.loop, &space->soon);
}

static void engine_close(struct lockspace *base)
{
	struct dlm_space *space = space_of(base);

	if (space->state == DLM_SPACE_CLOSING)
		return;
	space->state = DLM_SPACE_CLOSING;
	dlm_last_submit(space, DLM_JOB_MARK);
}

void dlm_space_marked(struct dlm_space *space)
{
	dlm_space_end_requests(space);
	if (space->group)
		group_leave(space->group);
	else
		dlm_space_release(space);
}

void dlm_space_release(struct dlm_space *space)
{
	if (space->fd >= 0)
		loop_fd_remove(space->d->config.loop, space->fd);
	space->fd = -1;
	dlm_last_submit(space, DLM_JOB_CLOSE);
}

void dlm_space_closed(struct dlm_space *space)
{
	void (*closed)(void *owner) = space->handlers.closed;
	void *owner = space->owner;

	dlm_claims_detach(space);
	space_free(space);
	if (closed)
		closed(owner);
}

/* --- locks ------------------------------------------------------------------------------------ */

static bool is_over(const struct dlm_space *space)
{
	return space->state == DLM_SPACE_LOST || space->state == DLM_SPACE_CLOSING;
}

static int engine_add(struct lockspace *base, struct lockres *lock)
{
	if (is_over(space_of(base)))
		return -ESHUTDOWN;
	lock->engine_state = dlm_claim_new(space_of(base), lock);
	return lock->engine_state ? 0 : -ENOMEM;
}

/* What is held, or asked for, is unlocked when nobody looks any more. */
static void engine_remove(struct lockres *lock)
{
	struct dlm_claim *claim = lock->engine_state;
	struct dlm_call call;

	lock->engine_state = NULL;
	if (!claim)
		return; /* its lockspace is closed */
	claim->lock = NULL;
	loop_timer_cancel(claim->deadline);
	claim->deadline = NULL;
	if (claim->state.wish == DLM_WISH_NONE && claim->state.held == LOCK_NONE) {
		dlm_claim_free(claim);
		return;
	}
	if (dlm_lock_unlock(&claim->state, LOCK_FORCEUNLOCK, &call) != DLM_TURN_CALL)
		return;
	memcpy(call.value, lock->value, sizeof(call.value));
	/* Without memory the kernel does it when the lockspace is closed. */
	(void)dlm_call_post(claim, &call);
}

/* As the kernel's dump has it now. */
static size_t blockers_now(const struct dlm_claim *claim, uint32_t *nodes, size_t room)
{
	const struct dlm_space *space = claim->space;
	size_t length = 0, count;
	char *text;

	if (!claim->state.lkid)
		return 0;
	text = dlm_kernel_dump(space->kernel_name, &length);
	count = text ? dlm_dump_blockers(text, length, space->d->config.self,
					 claim->state.lkid, nodes, room) : 0;
	free(text);
	return count;
}

static void late(void *owner)
{
	struct dlm_claim *claim = owner;
	struct dlm_call call;

	claim->deadline = NULL;
	/* When it is over the kernel knows no more what it waited for. */
	claim->late_count = blockers_now(claim, claim->late_for, DLM_CLAIM_BLOCKERS);
	if (dlm_lock_cancel(&claim->state, true, &call) == DLM_TURN_CALL)
		(void)dlm_call_post(claim, &call);
}

static int start_deadline(struct dlm_claim *claim, uint64_t timeout_ns)
{
	struct err err = ERR_INIT;
	uint64_t ms = timeout_ns / NS_PER_MS + (timeout_ns % NS_PER_MS != 0);

	loop_timer_cancel(claim->deadline);
	claim->deadline = NULL;
	if (!timeout_ns)
		return 0;
	claim->deadline = loop_timer_start(claim->space->d->config.loop,
					   (uint32_t)min_u64(ms, UINT32_MAX), late, claim,
					   &err);
	return claim->deadline ? 0 : err.code;
}

static int engine_lock(struct lockres *lock, enum lock_mode mode, uint32_t flags,
		       uint64_t timeout_ns)
{
	struct dlm_claim *claim = lock->engine_state;
	struct dlm_lock before;
	struct dlm_call call;
	int r;

	if (is_over(space_of(lock->space)))
		return -ESHUTDOWN;
	r = start_deadline(claim, timeout_ns);
	if (r < 0)
		return r;
	claim->late_count = 0;
	before = claim->state;
	dlm_lock_ask(&claim->state, mode, flags, &call);
	call.name = lock->name;
	call.name_length = lock->name_length;
	memcpy(call.value, lock->value, sizeof(call.value));
	r = dlm_call_post(claim, &call);
	if (r < 0) {
		claim->state = before;
		start_deadline(claim, 0);
	}
	return r;
}

static int engine_unlock(struct lockres *lock, uint32_t flags)
{
	struct dlm_claim *claim = lock->engine_state;
	struct dlm_lock before;
	struct dlm_call call;
	int r = 0;

	if (is_over(space_of(lock->space)))
		return -ESHUTDOWN;
	before = claim->state;
	if (flags & LOCK_CANCEL) {
		if (dlm_lock_cancel(&claim->state, false, &call) == DLM_TURN_CALL)
			r = dlm_call_post(claim, &call);
	} else if (dlm_lock_unlock(&claim->state, flags, &call) == DLM_TURN_CALL) {
		memcpy(call.value, lock->value, sizeof(call.value));
		r = dlm_call_post(claim, &call);
	}
	if (r < 0)
		claim->state = before;
	return r;
}

static size_t engine_blockers(const struct lockres *lock, uint32_t *nodes, size_t room)
{
	const struct dlm_claim *claim = lock->engine_state;
	size_t i;

	if (!claim)
		return 0;
	if (claim->state.wish != DLM_WISH_NONE && !claim->state.is_cancelled)
		return blockers_now(claim, nodes, room);
	for (i = 0; i < claim->late_count && i < DLM_CLAIM_BLOCKERS && i < room; i++)
		nodes[i] = claim->late_for[i];
	return claim->late_count;
}

/* --- of all lockspaces -------------------------------------------------------------------------- */

static int engine_confirm_dead(struct lockspace_engine *base, uint32_t node,
			       uint64_t incarnation, enum lock_death death,
			       struct err *err)
{
	struct lockspace_dlm *d = engine_of(base);
	struct qb_list_head *at;

	if (!node)
		return err_set(err, -EINVAL, "no node has the id 0");
	qb_list_for_each(at, &d->spaces)
		dlm_slots_confirm(&qb_list_entry(at, struct dlm_space, link)->slots, node,
				  incarnation, death);
	return 0;
}

static int engine_purge_orphans(struct lockspace *base, uint32_t node, struct err *err)
{
	if (is_over(space_of(base)))
		return err_set(err, -ESHUTDOWN, "the lockspace is closing");
	if (dlm_purge_post(space_of(base), node) < 0)
		return err_nomem(err, "a purge");
	return 0;
}

/* Each call is a write of its own; there is nothing to bring together. */
static void engine_begin(struct lockspace *base)
{
	(void)base;
}

static const struct lockspace_engine_ops engine_ops = {
	.open = engine_open,
	.close = engine_close,
	.confirm_dead = engine_confirm_dead,
	.purge_orphans = engine_purge_orphans,
	.begin = engine_begin,
	.end = engine_begin,
	.add = engine_add,
	.remove = engine_remove,
	.lock = engine_lock,
	.unlock = engine_unlock,
	.blockers = engine_blockers,
};

struct lockspace_dlm *lockspace_dlm_new(const struct lockspace_dlm_config *config,
					const struct lockspace_dlm_ops *ops, void *owner,
					struct err *err)
{
	struct lockspace_dlm *d;

	if (!config->loop || !config->groups || !config->self) {
		err_set(err, -EINVAL, "locks of the DLM need a loop, groups and a node id");
		return NULL;
	}
	d = calloc(1, sizeof(*d));
	if (!d) {
		err_nomem(err, "locks of the DLM");
		return NULL;
	}
	d->base.ops = &engine_ops;
	d->config = *config;
	d->ops = *ops;
	d->owner = owner;
	QB_INIT_LIST_HEAD(&d->spaces);
	return d;
}

void lockspace_dlm_free(struct lockspace_dlm *d)
{
	if (!d)
		return;
	while (!qb_list_empty(&d->spaces)) {
		struct dlm_space *space = qb_list_first_entry(&d->spaces,
							      struct dlm_space, link);

		dlm_claims_detach(space);
		space_free(space);
	}
	free(d);
}

bool lockspace_dlm_is_idle(const struct lockspace_dlm *d)
{
	return qb_list_empty(&d->spaces);
}

struct lockspace_engine *lockspace_dlm_engine(struct lockspace_dlm *d)
{
	return &d->base;
}

const struct lockspace_dlm_stats *lockspace_dlm_stats(const struct lockspace_dlm *d)
{
	return &d->stats;
}
