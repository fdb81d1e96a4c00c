/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "mdclusterd/daemon/unit_reserve.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"
#include "base/log.h"
#include "base/loop.h"
#include "mdclusterd/daemon/engine_private.h"
#include "mdclusterd/daemon/unit_private.h"
#include "mdclusterd/fence/pr.h"
#include "mdclusterd/fence/pr_job.h"

LOG_SUBSYSTEM(reserve);

enum { WATCH_MS = 1000 };

struct unit_reserve {
	struct unit *unit;
	struct pr_job *job;    /* under way */
	struct loop_timer *watch;
	char **paths;
	size_t count;
	uint64_t key;
	bool is_registered, is_complaining;
	void (*done)(struct unit *u, const struct err *result);
};

bool unit_reserve_is_wanted(const struct unit *u)
{
	const struct fence_plan *p = &u->engine->config->fence.plan;

	for (size_t i = 0; i < p->device_count; i++)
		if (p->devices[i].type == FENCE_RESERVATION)
			return true;
	return false;
}

static int begin(struct unit_reserve *r, enum pr_task task, bool is_last, pr_job_fn done,
		 struct err *err)
{
	const struct pr_job_config c = { .task = task, .transport = &pr_transport_sg,
					 .paths = r->paths, .path_count = r->count,
					 .key = r->key, .is_last = is_last };

	pr_job_free(r->job);
	r->job = pr_job_start(r->unit->engine->loop, &c, done, r, err);
	return r->job ? 0 : err->code;
}

/* --- R4 ------------------------------------------------------------------------------------- */

static void watch_again(struct unit_reserve *r);

static void was_watched(void *owner, struct pr_job *job, const struct err *result)
{
	struct unit_reserve *r = owner;

	(void)job;
	if (result->code == -EKEYREVOKED) {
		engine_is_fenced(r->unit->engine, result->text);
		return;
	}
	if (result->code < 0 && !r->is_complaining)
		log_warning("MDC5651", "%s: its reservations cannot be looked at: %s",
			    unit_name(r->unit), result->text);
	r->is_complaining = result->code < 0;
	watch_again(r);
}

static void watch(void *owner)
{
	struct unit_reserve *r = owner;
	struct err err = ERR_INIT;

	r->watch = NULL;
	if (begin(r, PR_TASK_WATCH, false, was_watched, &err) < 0) {
		log_error("MDC5652", "%s: %s: whether this node was fenced is not known",
			  unit_name(r->unit), err.text);
		watch_again(r);
	}
}

static void watch_again(struct unit_reserve *r)
{
	struct err err = ERR_INIT;

	r->watch = loop_timer_start(r->unit->engine->loop, WATCH_MS, watch, r, &err);
	if (!r->watch)
		engine_is_fenced(r->unit->engine, err.text); /* it could not be known */
}

/* --- R1, R2 ------------------------------------------------------------------------------------ */

static void is_over(void *owner, struct pr_job *job, const struct err *result)
{
	struct unit_reserve *r = owner;

	(void)job;
	if (result->code < 0)
		log_error("MDC5653", "%s: reservations: %s", unit_name(r->unit), result->text);
	r->done(r->unit, result);
}

static void is_registered(void *owner, struct pr_job *job, const struct err *result)
{
	struct unit_reserve *r = owner;

	r->is_registered = result->code == 0;
	if (r->is_registered) {
		log_notice("MDC5654", "%s: registered with key 0x%016" PRIx64 " on %zu disks",
			   unit_name(r->unit), r->key, r->count);
		watch_again(r);
	}
	is_over(owner, job, result);
}

static int copy_paths(struct unit_reserve *r, char *const *paths, size_t count)
{
	r->paths = calloc(count + 1, sizeof(*r->paths));
	for (size_t i = 0; r->paths && i < count; i++) {
		if (access(paths[i], F_OK) < 0)
			continue; /* a degraded start, or none: the array judges */
		r->paths[r->count] = strdup(paths[i]);
		if (!r->paths[r->count])
			return -ENOMEM;
		r->count++;
	}
	return r->paths ? 0 : -ENOMEM;
}

struct unit_reserve *unit_reserve_new(struct unit *u, char *const *paths, size_t count,
				      void (*done)(struct unit *u, const struct err *result),
				      struct err *err)
{
	const struct config *c = u->engine->config;
	struct unit_reserve *r = calloc(1, sizeof(*r));

	if (!r) {
		err_nomem(err, "reservations");
		return NULL;
	}
	r->unit = u;
	r->done = done;
	r->key = pr_key(c->cluster, c->nodes[c->self].id);
	if (copy_paths(r, paths, count) < 0)
		err_nomem(err, "reservations");
	else if (begin(r, PR_TASK_REGISTER, false, is_registered, err) == 0)
		return r;
	unit_reserve_free(r);
	return NULL;
}

bool unit_reserve_leave(struct unit_reserve *r, bool is_last,
			void (*done)(struct unit *u, const struct err *result))
{
	struct err err = ERR_INIT;

	if (!r || !r->is_registered)
		return false;
	r->is_registered = false;
	r->done = done;
	loop_timer_cancel(r->watch);
	r->watch = NULL;
	if (begin(r, PR_TASK_LEAVE, is_last, is_over, &err) == 0)
		return true;
	log_error("MDC5655", "%s: its reservations stay: %s", unit_name(r->unit), err.text);
	return false;
}

void unit_reserve_free(struct unit_reserve *r)
{
	if (!r)
		return;
	loop_timer_cancel(r->watch);
	pr_job_free(r->job);
	for (size_t i = 0; i < r->count; i++)
		free(r->paths[i]);
	free(r->paths);
	free(r);
}

/* --- looking ------------------------------------------------------------------------------------- */

uint64_t unit_reserve_key(const struct unit_reserve *r)
{
	return r && r->is_registered ? r->key : 0;
}

char *const *unit_reserve_paths(const struct unit_reserve *r, size_t *count)
{
	*count = r && r->is_registered ? r->count : 0;
	return r ? r->paths : NULL;
}
