/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "mdclusterd/daemon/unit_reserve.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "base/log.h"
#include "base/loop.h"
#include "mdclusterd/daemon/engine_private.h"
#include "mdclusterd/daemon/registered.h"
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
	struct qb_list_head singles;
};

/* One disk, apart from the others: registered, or left. */
struct single {
	struct qb_list_head link;
	struct unit_reserve *reserve;
	struct pr_job *job;
	char *path;
	void (*done)(void *arg, const struct err *result); /* NULL: it is left */
	void *arg;
};

bool unit_reserve_is_wanted(const struct unit *u)
{
	const struct fence_plan *p = &u->engine->config->fence.plan;

	for (size_t i = 0; i < p->device_count; i++)
		if (p->devices[i].type == FENCE_RESERVATION)
			return true;
	return false;
}

/*
 * What the array has given up is not looked at: nobody reads it, and who removes it clears its
 * keys.
 */
static size_t those_in_use(const struct unit_reserve *r, char **paths)
{
	struct array_look a = { 0 };
	size_t count = 0;

	if (unit_array(r->unit))
		array_look(unit_array(r->unit), &a);
	for (size_t i = 0; i < r->count; i++)
		if (!a.view || !unit_reserve_is_given_up(a.view, r->paths[i]))
			paths[count++] = r->paths[i];
	return count;
}

static int begin(struct unit_reserve *r, enum pr_task task, bool is_last, pr_job_fn done,
		 struct err *err)
{
	CLEANUP_FREE char **in_use = calloc(r->count + 1, sizeof(*in_use));
	struct pr_job_config c = { .task = task, .transport = &pr_transport_sg,
				   .paths = r->paths, .path_count = r->count,
				   .key = r->key, .is_last = is_last };

	if (!in_use)
		return err_nomem(err, "reservations");
	if (task == PR_TASK_WATCH) {
		c.path_count = those_in_use(r, in_use);
		c.paths = in_use;
	}
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
				      struct err *err)
{
	const struct config *c = u->engine->config;
	struct unit_reserve *r = calloc(1, sizeof(*r));

	if (!r) {
		err_nomem(err, "reservations");
		return NULL;
	}
	r->unit = u;
	qb_list_init(&r->singles);
	r->key = pr_key(c->cluster, c->nodes[c->self].id);
	if (copy_paths(r, paths, count) == 0)
		return r;
	err_nomem(err, "reservations");
	unit_reserve_free(r);
	return NULL;
}

int unit_reserve_begin(struct unit_reserve *r,
		       void (*done)(struct unit *u, const struct err *result), struct err *err)
{
	r->done = done;
	return begin(r, PR_TASK_REGISTER, false, is_registered, err);
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

/* --- disks that come and go ---------------------------------------------------------------------- */

static void single_free(struct single *s)
{
	qb_list_del(&s->link);
	pr_job_free(s->job);
	free(s->path);
	free(s);
}

static int add_path(struct unit_reserve *r, const char *path)
{
	char **paths = realloc(r->paths, (r->count + 2) * sizeof(*paths));

	if (!paths)
		return -ENOMEM;
	r->paths = paths;
	r->paths[r->count] = strdup(path);
	if (!r->paths[r->count])
		return -ENOMEM;
	r->count++;
	return 0;
}

static void tell_kept(const struct unit_reserve *r, const struct err *why)
{
	log_warning("MDC5671", "%s: a disk that is removed keeps our key: %s",
		    unit_name(r->unit), why->text);
}

static void single_is_over(void *owner, struct pr_job *job, const struct err *result)
{
	struct single *s = owner;
	struct unit_reserve *r = s->reserve;
	struct err why = *result;
	void (*done)(void *arg, const struct err *result) = s->done;
	void *arg = s->arg;

	(void)job;
	if (!done && why.code < 0)
		tell_kept(r, &why);
	if (done && why.code == 0 && add_path(r, s->path) < 0)
		err_nomem(&why, s->path);
	if (done && why.code == 0)
		log_notice("MDC5670", "%s: registered with key 0x%016" PRIx64 " on %s",
			   unit_name(r->unit), r->key, s->path);
	single_free(s);
	if (done)
		done(arg, &why);
}

static int single_begin(struct unit_reserve *r, const char *path, enum pr_task task, bool is_last,
			void (*done)(void *arg, const struct err *result), void *arg,
			struct err *err)
{
	struct single *s = calloc(1, sizeof(*s));
	struct pr_job_config c = { .task = task, .transport = &pr_transport_sg,
				   .path_count = 1, .key = r->key, .is_last = is_last };

	if (!s)
		return err_nomem(err, path);
	*s = (struct single){ .reserve = r, .path = strdup(path), .done = done, .arg = arg };
	qb_list_add_tail(&s->link, &r->singles);
	c.paths = &s->path;
	if (s->path)
		s->job = pr_job_start(r->unit->engine->loop, &c, single_is_over, s, err);
	else
		err_nomem(err, path);
	if (s->job)
		return 0;
	single_free(s);
	return err->code;
}

static bool has_path(void *owner, const char *path)
{
	const struct unit_reserve *r = owner;

	for (size_t i = 0; i < r->count; i++)
		if (strcmp(r->paths[i], path) == 0)
			return true;
	return false;
}

static int add_disk(void *owner, const char *path,
		    void (*done)(void *arg, const struct err *result), void *arg,
		    struct err *err)
{
	return single_begin(owner, path, PR_TASK_REGISTER, false, done, arg, err);
}

/* The watch that is under way may have it still: it begins anew. */
static void forget_path(struct unit_reserve *r, const char *path)
{
	size_t kept = 0;

	for (size_t i = 0; i < r->count; i++) {
		if (strcmp(r->paths[i], path) == 0)
			free(r->paths[i]);
		else
			r->paths[kept++] = r->paths[i];
	}
	r->count = kept;
	if (!r->watch && r->is_registered) {
		pr_job_free(r->job);
		r->job = NULL;
		watch_again(r);
	}
}

static void leave(struct unit_reserve *r, const char *path, bool is_last)
{
	struct err err = ERR_INIT;

	if (single_begin(r, path, PR_TASK_LEAVE, is_last, NULL, NULL, &err) < 0)
		tell_kept(r, &err);
}

static void drop_disk(void *owner, const char *path)
{
	struct unit_reserve *r = owner;

	if (!has_path(r, path))
		return;
	forget_path(r, path);
	leave(r, path, false);
}

void unit_reserve_clear(struct unit_reserve *r, const char *path)
{
	if (!r || !r->is_registered)
		return;
	forget_path(r, path);
	leave(r, path, true);
}

struct registrar unit_reserve_registrar(struct unit_reserve *r)
{
	return (struct registrar){ .owner = r, .has = has_path, .add = add_disk,
				   .drop = drop_disk };
}

void unit_reserve_free(struct unit_reserve *r)
{
	if (!r)
		return;
	while (!qb_list_empty(&r->singles))
		single_free(qb_list_first_entry(&r->singles, struct single, link));
	loop_timer_cancel(r->watch);
	pr_job_free(r->job);
	for (size_t i = 0; i < r->count; i++)
		free(r->paths[i]);
	free(r->paths);
	free(r);
}

bool unit_reserve_is_given_up(const struct metadata_view *v, const char *path)
{
	for (uint32_t i = 0; i < v->disk_count; i++)
		if (strcmp(v->disks[i].path, path) == 0)
			return v->disks[i].state == METADATA_DISK_FAULTY ||
			       v->disks[i].state == METADATA_DISK_MISSING;
	return false;
}

const char *unit_reserve_lacks(const struct unit_reserve *r, const struct metadata_view *v)
{
	for (uint32_t i = 0; i < v->disk_count; i++) {
		const char *path = v->disks[i].path;

		if (*path && !unit_reserve_is_given_up(v, path) &&
		    !has_path((void *)(uintptr_t)r, path))
			return path;
	}
	return NULL;
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
