/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "mdclusterd/daemon/unit.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arith.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "mdclusterd/daemon/autostart.h"
#include "mdclusterd/daemon/engine_private.h"
#include "mdclusterd/daemon/finder.h"
#include "mdclusterd/daemon/flight.h"
#include "mdclusterd/daemon/kernel_watch.h"
#include "mdclusterd/daemon/metadata_thread.h"
#include "mdclusterd/daemon/plane_thread.h"
#include "mdclusterd/daemon/plane_work.h"
#include "mdclusterd/daemon/registered.h"
#include "mdclusterd/daemon/slot_memory.h"
#include "mdclusterd/daemon/unit_change.h"
#include "mdclusterd/daemon/unit_grow.h"
#include "mdclusterd/daemon/unit_private.h"
#include "mdclusterd/daemon/unit_reserve.h"
#include "mdclusterd/record/recorder.h"

LOG_SUBSYSTEM(unit);

enum { FIRST_RETRY_MS = 2000, LONGEST_RETRY_MS = 60000 };

static void take_down(void *owner);
static void begin(struct unit *u);

/* --- who waits ---------------------------------------------------------------------------- */

static void answer(struct qb_list_head *waiters, int result, const struct err *why)
{
	while (!qb_list_empty(waiters)) {
		struct unit_waiter *w = qb_list_first_entry(waiters, struct unit_waiter, link);

		qb_list_del(&w->link);
		w->done(w->owner, result, why);
	}
}

void unit_await(struct unit *u, struct unit_waiter *w)
{
	qb_list_add_tail(&w->link, &u->starters);
	if (u->is_closed_here)
		loop_soon(u->engine->loop, &u->closed);
}

void unit_forget(struct unit_waiter *w)
{
	qb_list_del(&w->link);
}

/* --- the array's clock ---------------------------------------------------------------------- */

static void arm(struct unit *u);

static void time_has_come(void *owner)
{
	struct unit *u = owner;

	u->timer = NULL;
	recorded_advance(u->recorded, clock_boot_ns());
	arm(u);
}

static void advance_soon(void *owner)
{
	struct unit *u = owner;

	recorded_advance(u->recorded, clock_boot_ns());
	arm(u);
}

static void arm(struct unit *u)
{
	uint64_t at = array_deadline(u->array), now = clock_boot_ns();
	struct err err = ERR_INIT;

	loop_timer_cancel(u->timer);
	u->timer = NULL;
	if (at <= now)
		loop_soon(u->engine->loop, &u->soon);
	else if (at != UINT64_MAX)
		u->timer = loop_timer_start(u->engine->loop,
					    (uint32_t)min_u64((at - now) / NS_PER_MS + 1, 60000),
					    time_has_come, u, &err);
	if (err.code < 0)
		log_error("MDC5445", "%s: %s: its deadlines are late", u->config.name, err.text);
}

/* --- what the array tells -------------------------------------------------------------------- */

static uint64_t op_now(void *owner)
{
	(void)owner;
	return clock_boot_ns();
}

static void op_armed(void *owner)
{
	struct unit *u = owner;

	if (u->array) /* not while it is being made */
		arm(u);
}

static void retry(void *owner)
{
	struct unit *u = owner;

	u->retry = NULL;
	begin(u);
}

/* Of members that are missing, where it would start without them. */
static uint64_t left_to_wait_ms(const struct unit *u)
{
	uint64_t now = clock_boot_ns();

	return u->config.may_start_degraded && u->degraded_at_ns > now ?
		       (u->degraded_at_ns - now) / NS_PER_MS + 1 : 0;
}

static uint32_t next_retry_ms(struct unit *u)
{
	uint64_t left_ms = left_to_wait_ms(u);

	if (u->is_due)
		return 1;
	u->retry_ms = u->retry_ms ? (uint32_t)min_u64(u->retry_ms * 2, LONGEST_RETRY_MS)
				  : FIRST_RETRY_MS;
	return left_ms ? (uint32_t)min_u64(u->retry_ms, left_ms) : u->retry_ms;
}

/* One that shall be there is tried again; in between it says why it is not. */
static void has_failed(struct unit *u, const struct err *why)
{
	struct err err = ERR_INIT;
	uint32_t ms;

	u->why = *why;
	answer(&u->starters, why->code, why);
	if (!u->was_active && !u->config.is_auto &&
	    !config_array(u->engine->config, u->config.name)) {
		u->is_stopping = true; /* one that was named by mistake, maybe */
		loop_soon(u->engine->loop, &u->removal);
	}
	if (!u->config.is_auto || u->is_stopping || u->retry)
		return;
	ms = next_retry_ms(u);
	u->retry = loop_timer_start(u->engine->loop, ms, retry, u, &err);
	u->retry_at_ns = clock_boot_ns() + ms * NS_PER_MS;
	u->is_due = false;
}

void unit_again(struct unit *u)
{
	if (u->is_stopping)
		return;
	u->retry_ms = 0;
	if (u->array || u->finder)
		u->is_due = true;
	else
		begin(u);
}

static void has_a_state(struct unit *u)
{
	struct array_look look;

	array_look(u->array, &look);
	if (look.state == ARRAY_ACTIVE) {
		u->was_active = true;
		u->retry_ms = 0;
		u->is_due = false;
		answer(&u->starters, 0, NULL);
	} else if (look.state == ARRAY_FAILED) {
		u->failed_why = look.why;
		loop_soon(u->engine->loop, &u->failure);
	}
}

static void op_event(void *owner, const struct array_event *event)
{
	struct unit *u = owner;

	engine_tell_array(u->engine, event);
	if (event->kind == ARRAY_EVENT_DISK_REMOVED && *event->text)
		unit_reserve_clear(u->reserve, event->text);
	if (event->kind == ARRAY_EVENT_STATE && u->array)
		loop_soon(u->engine->loop, &u->news);
}

static void look_at_state(void *owner)
{
	struct unit *u = owner;

	if (u->array)
		has_a_state(u);
}

static bool op_evict(void *owner, uint32_t node, const char *why)
{
	struct unit *u = owner;

	return cluster_evict(u->engine->cluster, node, why);
}

static void op_stopped(void *owner)
{
	struct unit *u = owner;

	loop_soon(u->engine->loop, &u->removal);
}

static void op_closed_here(void *owner)
{
	struct unit *u = owner;

	u->is_closed_here = true;
	log_notice("MDC5340", "%s: is stopped; its other nodes will know when they are heard again",
		   u->config.name);
	loop_soon(u->engine->loop, &u->closed);
}

/* Nothing of it is in use here: that is what who stops it wants to know. Others come too early. */
static void tell_closed(void *owner)
{
	struct unit *u = owner;
	struct qb_list_head stoppers;
	struct err why = ERR_INIT;

	err_set(&why, -EBUSY, "%s: was stopped, and waits for quorum to leave its lockspace in",
		u->config.name);
	answer(&u->starters, why.code, &why);
	qb_list_init(&stoppers);
	qb_list_splice_tail(&u->stoppers, &stoppers);
	qb_list_init(&u->stoppers);
	answer(&stoppers, 0, NULL);
}

static void op_slot_known(void *owner, int slot)
{
	struct unit *u = owner;
	struct array_look look = { .state = ARRAY_DOWN };

	array_look(u->array, &look);
	if (look.view)
		slot_memory_save(u->engine->config->state_dir, u->config.name, look.view->uuid,
				 slot);
}

/* --- making it ---------------------------------------------------------------------------------- */

static void free_parts(struct unit *u)
{
	loop_soon_cancel(&u->soon);
	loop_soon_cancel(&u->news);
	loop_soon_cancel(&u->failure);
	loop_soon_cancel(&u->closed);
	loop_timer_cancel(u->timer);
	loop_timer_cancel(u->retry);
	loop_timer_cancel(u->slots_limit);
	u->timer = u->retry = u->slots_limit = NULL;
	unit_changes_end(u);
	unit_grows_end(u);
	recorded_free(u->recorded);
	flight_close(u->flight);
	plane_thread_free(u->plane);
	u->is_looking = false;
	metadata_thread_free(u->metadata); /* last: it has the claim on devices */
	slots_look_end(&u->slots);
	unit_reserve_free(u->reserve);
	kernel_watched_free(u->watched);
	registered_free(u->registered);
	finder_free(u->finder);
	finder_free_paths(u->found, u->found_count);
	u->array = NULL;
	u->recorded = NULL;
	u->flight = NULL;
	u->plane = NULL;
	u->metadata = NULL;
	u->watched = NULL;
	u->registered = NULL;
	u->reserve = NULL;
	u->finder = NULL;
	u->found = NULL;
	u->found_count = 0;
	unit_tell_lookers(u, NULL);
}

static void is_reserved(struct unit *u, const struct err *result)
{
	kernel_watched_go_on(u->watched, result);
}

/* R1: before anything is written, and not before what others write would be refused. */
static int is_free(void *owner, struct err *err)
{
	struct unit *u = owner;

	if (!u->reserve || unit_reserve_key(u->reserve))
		return 0;
	return unit_reserve_begin(u->reserve, is_reserved, err) < 0 ? err->code : -EINPROGRESS;
}

/* Rule 8 */
static void is_elsewhere(void *owner, const struct err *why)
{
	struct unit *u = owner;

	engine_tell_disk(u->engine, LOG_ERR, "kernel_runs", u->config.name, "",
			 "is given up here: %s", why->text);
	recorded_give_up(u->recorded, why);
}

static int make_threads(struct unit *u, struct err *err)
{
	static const struct kernel_watched_ops watched_ops = { is_free, is_elsewhere };
	const struct config_array *c = &u->config;
	const struct plane_work_config plane = {
		.name = c->name,
		.socket_path = c->is_exported ? u->socket_path : NULL,
		.socket_mode = c->export_mode,
		.socket_group = *c->export_group ? c->export_group : NULL,
		.intent_budget_bytes = c->intent_budget_bytes,
		.fails_without_quorum = c->fails_without_quorum,
		.lease_ms = u->engine->config->lease_ms,
		.max_read_errors = c->max_read_errors,
	};

	u->metadata = metadata_thread_new(u->engine->loop, cluster_lease(u->engine->cluster),
					  c->disks, c->disk_count, err);
	if (!u->metadata)
		return err->code;
	if (u->reserve) {
		const struct registrar registrar = unit_reserve_registrar(u->reserve);

		u->registered = registered_new(metadata_thread_runner(u->metadata), &registrar);
		if (!u->registered)
			return err_nomem(err, c->name);
	}
	u->watched = kernel_watched_new(u->engine->kernels, c->name, u->registered ?
					registered_runner(u->registered) :
					metadata_thread_runner(u->metadata), &watched_ops, u);
	if (!u->watched)
		return err_nomem(err, c->name);
	u->plane = plane_thread_new(u->engine->loop, &plane,
				    cluster_lease(u->engine->cluster), err);
	return u->plane ? 0 : err->code;
}

static int make_array(struct unit *u, char *const *paths, size_t count, struct err *err)
{
	static const struct array_ops ops = {
		.now = op_now,
		.armed = op_armed,
		.event = op_event,
		.evict = op_evict,
		.closed_here = op_closed_here,
		.stopped = op_stopped,
		.slot_known = op_slot_known,
	};
	const struct config *config = u->engine->config;
	const struct array_config c = {
		.name = u->config.name,
		.paths = (const char *const *)paths,
		.path_count = count,
		.cluster = config->cluster,
		.self = config->nodes[config->self].id,
		.wanted_slot = slot_memory_read(config->state_dir, u->config.name),
		.may_start_degraded = u->config.may_start_degraded && left_to_wait_ms(u) == 0,
		.resync_min_bytes = u->config.resync_min_bytes,
		.resync_max_bytes = u->config.resync_max_bytes,
	};
	struct recorder_config recorder = { .write = flight_write,
					    .max_bytes = FLIGHT_MAX_BYTES };
	int r = make_threads(u, err);

	if (r < 0)
		return r;
	u->flight = flight_open(config->run_dir, u->config.name);
	recorder.owner = u->flight;
	u->recorded = recorded_new(&recorder, &c, cluster_locks(u->engine->cluster),
				   kernel_watched_runner(u->watched),
				   plane_thread_plane(u->plane), &ops, u, err);
	if (!u->recorded)
		return err->code;
	u->array = recorded_array(u->recorded);
	recorded_set_quorate(u->recorded, cluster_is_quorate(u->engine->cluster));
	recorded_start(u->recorded);
	arm(u);
	return 0;
}

static void start_array(struct unit *u, char *const *paths, size_t count)
{
	struct err err = ERR_INIT;

	if (make_array(u, paths, count, &err) < 0) {
		free_parts(u);
		has_failed(u, &err);
	}
}

static void start_with(struct unit *u, char *const *paths, size_t count)
{
	struct err err = ERR_INIT;

	u->why = (struct err)ERR_INIT;
	if (unit_reserve_is_wanted(u)) {
		u->reserve = unit_reserve_new(u, paths, count, &err);
		if (!u->reserve) {
			has_failed(u, &err);
			return;
		}
	}
	start_array(u, paths, count);
}

static void found(void *owner, char **paths, size_t count)
{
	struct unit *u = owner;
	struct err err = ERR_INIT;

	u->found = paths;
	u->found_count = count;
	if (u->is_stopping)
		return;
	if (count > 0) {
		start_with(u, paths, count);
		return;
	}
	err_set(&err, -ENOENT, "%s: no disk with its uuid is found where the configuration has it look",
		u->config.name);
	free_parts(u); /* it looks no more: who asks, or a disk that comes, begins anew */
	has_failed(u, &err);
}

static void begin(struct unit *u)
{
	struct err err = ERR_INIT;

	free_parts(u);
	u->why = (struct err)ERR_INIT;
	autostart_refresh(u->engine->autostart, &u->config);
	if (!u->config.has_uuid || u->config.disk_count == 0) {
		start_with(u, u->config.disks, u->config.disk_count);
		return;
	}
	u->finder = finder_start(u->engine->loop, u->config.disks, u->config.disk_count,
				 u->config.uuid, found, u, &err);
	if (!u->finder)
		has_failed(u, &err);
}

/* Out of the array's own callback: its parts can go. */
static void take_down_failed(void *owner)
{
	struct unit *u = owner;
	struct err why = u->failed_why;

	free_parts(u);
	has_failed(u, &why);
}

struct unit *unit_start(struct engine *e, const struct config_array *c,
			enum unit_patience patience, struct err *err)
{
	struct unit *u = unit_find(e, c->name);

	if (u && (u->array || u->finder || u->is_stopping)) {
		err_set(err, -EEXIST, "%s: is there already", c->name);
		return NULL;
	}
	if (!u) {
		u = calloc(1, sizeof(*u));
		if (!u) {
			err_nomem(err, c->name);
			return NULL;
		}
		u->engine = e;
		qb_list_init(&u->starters);
		qb_list_init(&u->stoppers);
		qb_list_init(&u->lookers);
		qb_list_init(&u->changes);
		qb_list_init(&u->grows);
		qb_list_add_tail(&u->link, &e->units);
	} else {
		config_array_fini(&u->config);
	}
	if (config_array_copy(&u->config, c) < 0) {
		err_nomem(err, c->name);
		qb_list_del(&u->link);
		free(u);
		return NULL;
	}
	u->degraded_at_ns = patience == UNIT_AT_ONCE ? 0 :
			    clock_boot_ns() + c->degraded_after_ms * NS_PER_MS;
	u->soon = (struct loop_job){ .fn = advance_soon, .owner = u };
	u->news = (struct loop_job){ .fn = look_at_state, .owner = u };
	u->failure = (struct loop_job){ .fn = take_down_failed, .owner = u };
	u->closed = (struct loop_job){ .fn = tell_closed, .owner = u };
	u->removal = (struct loop_job){ .fn = take_down, .owner = u };
	snprintf(u->socket_path, sizeof(u->socket_path), "%s/%s.nbd", e->config->run_dir,
		 c->name);
	begin(u);
	return u;
}

/* --- the end --------------------------------------------------------------------------------------- */

static void unit_free(struct unit *u)
{
	free_parts(u);
	loop_soon_cancel(&u->removal);
	qb_list_del(&u->link);
	config_array_fini(&u->config);
	free(u);
}

/* R2 */
static void is_left(struct unit *u, const struct err *result)
{
	(void)result;
	loop_soon(u->engine->loop, &u->removal);
}

static void take_down(void *owner)
{
	struct unit *u = owner;
	struct engine *e = u->engine;
	struct qb_list_head stoppers;
	struct err why = ERR_INIT;

	if (!e->is_broken && unit_reserve_leave(u->reserve, u->is_last, is_left))
		return;
	if (*unit_why(u))
		why = u->why;
	else
		err_set(&why, -ESHUTDOWN, "%s: was stopped", u->config.name);
	answer(&u->starters, why.code, &why);
	qb_list_init(&stoppers);
	qb_list_splice_tail(&u->stoppers, &stoppers);
	unit_free(u);
	answer(&stoppers, 0, NULL);
	engine_unit_is_gone(e);
}

/* Front ends have no clients, or nobody minds. */
static int leave(struct unit *u, struct err *err)
{
	struct array_look look;
	int r;

	array_look(u->array, &look); /* while it still knows of the others */
	u->is_last = look.is_quorate && look.member_count <= 1;
	r = recorded_stop(u->recorded, err);
	if (r < 0)
		return r;
	u->is_stopping = true;
	return 0;
}

static void clients_are_known(void *owner, const struct plane_look *look)
{
	struct unit *u = owner;
	struct qb_list_head askers;
	struct err err = ERR_INIT;

	u->is_asking = false;
	if (u->is_stopping || !u->array)
		return; /* somebody was not asked meanwhile */
	if (look && look->clients > 0)
		err_set(&err, -EBUSY, "%s: %u NBD clients use it: end them, or stop it by force",
			u->config.name, look->clients);
	if (err.code == 0 && leave(u, &err) == 0)
		return;
	qb_list_init(&askers);
	qb_list_splice_tail(&u->stoppers, &askers);
	qb_list_init(&u->stoppers);
	answer(&askers, err.code, &err);
}

static void ask_for_clients(struct unit *u)
{
	if (u->is_asking)
		return;
	u->is_asking = true;
	u->for_clients = (struct unit_looker){ .done = clients_are_known, .owner = u };
	unit_look(u, &u->for_clients);
}

int unit_stop(struct unit *u, bool is_forced, struct unit_waiter *w, struct err *err)
{
	if (!u->array) {
		u->is_stopping = true;
		loop_soon(u->engine->loop, &u->removal);
	} else if (!u->is_stopping && is_forced && leave(u, err) < 0) {
		return err->code;
	}
	loop_timer_cancel(u->retry);
	u->retry = NULL;
	if (w)
		qb_list_add_tail(&w->link, &u->stoppers);
	if (!u->is_stopping)
		ask_for_clients(u);
	else if (u->is_closed_here)
		loop_soon(u->engine->loop, &u->closed);
	return 0;
}

/* --- all at the end ---------------------------------------------------------------------- */

void units_look_at_kernels(struct engine *e)
{
	struct qb_list_head *at;

	qb_list_for_each(at, &e->units) {
		struct unit *u = qb_list_entry(at, struct unit, link);

		if (u->watched && u->array)
			kernel_watched_again(u->watched);
	}
}

void units_free(struct engine *e)
{
	while (!qb_list_empty(&e->units))
		unit_free(qb_list_first_entry(&e->units, struct unit, link));
}
