/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "mdclusterd/daemon/plane_work.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/arith.h"
#include "base/clock.h"
#include "base/log.h"
#include "mdclusterd/daemon/cluster.h"
#include "mdclusterd/daemon/mailbox.h"
#include "mdclusterd/daemon/plane_private.h"

LOG_SUBSYSTEM(plane);

enum { LEASE_LOOKS = 8 }; /* while it lasts */

#define STANDSTILL_NS NS_PER_S /* beyond when the lease is looked at */

/* --- steps ---------------------------------------------------------------------------------- */

struct plane_step *plane_step_new(struct plane_work *w, struct plane_request *req)
{
	struct plane_step *step = letter_alloc(sizeof(*step));

	qb_list_add_tail(&step->link, &w->steps);

	step->work = w;
	step->req = req;
	step->mirror.owner = step;
	step->intent.owner = step;
	step->sync.owner = step;
	return step;
}

void plane_step_done(struct plane_step *step, int result)
{
	struct plane_work *w = step->work;
	struct plane_request *req = step->req;

	qb_list_del(&step->link);
	free(step);
	if (result < 0 && req->err.code == 0)
		err_set(&req->err, result, "%s", strerror(-result));
	w->ops->done(w->owner, req, result);
}

void plane_refuse(struct plane_work *w, struct plane_request *req, int result,
		  const char *why)
{
	if (result < 0 && req->err.code == 0)
		err_set(&req->err, result, "%s", why);
	w->ops->done(w->owner, req, result);
}

/* --- the clock ------------------------------------------------------------------------------ */

static void advance(void *work);

static void time_has_come(void *work)
{
	struct plane_work *w = work;

	w->timer = NULL;
	w->timer_at = UINT64_MAX;
	advance(w);
}

static void arm(struct plane_work *w)
{
	uint64_t at = UINT64_MAX, now = clock_boot_ns();
	struct err err = ERR_INIT;

	if (w->mirror)
		at = min_u64(at, mirror_deadline(w->mirror));
	if (w->intent)
		at = min_u64(at, intent_deadline(w->intent));
	if (!qb_list_empty(&w->leaving))
		at = min_u64(at, now + NS_PER_S);
	if (at <= now) {
		loop_soon(w->loop, &w->soon);
		return;
	}
	if (at == UINT64_MAX || w->timer_at <= at)
		return; /* one that comes too early finds that out */
	loop_timer_cancel(w->timer);
	w->timer = loop_timer_start(w->loop,
				    (uint32_t)min_u64(div_round_up(at - now, NS_PER_MS), 60000),
				    time_has_come, w, &err);
	w->timer_at = w->timer ? at : UINT64_MAX;
	if (!w->timer)
		log_error("MDC5441", "%s: %s: its disks' deadlines are late", w->config.name,
			  err.text);
}

static uint64_t look_period_ms(const struct plane_work *w)
{
	return w->config.lease_ms / LEASE_LOOKS + 1;
}

/*
 * This process was stopped, or its machine slept. What the disks have done meanwhile is heard
 * first, and what they have not is asked of them from now on: no disk fails for that.
 */
static void notice_standstill(struct plane_work *w, uint64_t now)
{
	uint64_t ns = now - w->looked_at;

	w->looked_at = now;
	if (ns < STANDSTILL_NS + look_period_ms(w) * NS_PER_MS)
		return;
	log_warning("MDC5433", "%s: this process stood still for %.1f s", w->config.name,
		    (double)ns / NS_PER_S);
	plane_disks_hear(w);
	if (w->mirror)
		mirror_stood_still(w->mirror, ns);
	if (w->intent)
		intent_stood_still(w->intent, ns);
}

/*
 * The end of each turn of the loop: whatever submits, or lets something end, kicks. What came
 * of the turn goes to the disks first, then what is due.
 */
static void advance(void *work)
{
	struct plane_work *w = work;
	uint64_t now = clock_boot_ns();

	notice_standstill(w, now);
	plane_disks_go(w);
	if (w->mirror)
		mirror_advance(w->mirror, now);
	if (w->intent)
		intent_advance(w->intent, now);
	if (w->has_parking)
		parking_tell(&w->parking);
	plane_go_on_stopping(w);
	plane_disks_go(w);
	plane_close_leaving(w);
	arm(w);
}

void plane_kick(void *work)
{
	struct plane_work *w = work;

	loop_soon(w->loop, &w->soon);
}

/* --- the gate --------------------------------------------------------------------------------- */

void plane_apply_gate(struct plane_work *w)
{
	if (w->mirror)
		mirror_set_gate(w->mirror, w->is_gate_open, atomic_load(&w->lease->until_ns));
	plane_kick(w);
}

static void look_at_lease(void *work)
{
	struct plane_work *w = work;
	struct err err = ERR_INIT;

	w->lease_timer = loop_timer_start(w->loop, (uint32_t)look_period_ms(w),
					  look_at_lease, w, &err);
	if (!w->lease_timer)
		log_error("MDC5442", "%s: %s: its lease runs out", w->config.name, err.text);
	if (!w->stop)
		plane_apply_gate(w);
	plane_kick(w);
}

void plane_work_set_gate(struct plane_work *w, bool is_open)
{
	w->is_gate_open = is_open;
	plane_apply_gate(w);
}

/* --- other posts -------------------------------------------------------------------------------- */

void plane_work_set_single_source(struct plane_work *w, bool is_on)
{
	w->is_single_source = is_on;
	if (w->mirror)
		mirror_set_single_source(w->mirror, is_on);
	plane_kick(w);
}

void plane_work_failure_known(struct plane_work *w, uint32_t role)
{
	if (w->mirror)
		mirror_failure_known(w->mirror, role);
	plane_kick(w);
}

void plane_work_set_speed(struct plane_work *w, uint64_t max_bytes)
{
	w->max_bytes = max_bytes;
	if (w->mirror)
		mirror_set_speed(w->mirror, max_bytes);
	plane_kick(w);
}

void plane_work_set_budget(struct plane_work *w, uint64_t budget_bytes)
{
	w->config.intent_budget_bytes = budget_bytes;
	if (w->intent && budget_bytes)
		intent_set_budget(w->intent, budget_bytes);
	plane_kick(w);
}

void plane_work_cancel_sync(struct plane_work *w)
{
	if (w->mirror && w->sync)
		mirror_sync_cancel(w->mirror, &w->sync->sync);
	plane_kick(w);
}

/* --- requests --------------------------------------------------------------------------------------- */

void plane_work_request(struct plane_work *w, struct plane_request *req)
{
	static void (*const fns[PLANE_OPS])(struct plane_work *, struct plane_request *) = {
		[PLANE_START] = plane_start,
		[PLANE_SERVE] = plane_serve,
		[PLANE_NEED] = plane_need,
		[PLANE_SUSPEND] = plane_suspend,
		[PLANE_SET_DISK] = plane_set_disk,
		[PLANE_EVENTS] = plane_events,
		[PLANE_WINDOW] = plane_window,
		[PLANE_SYNC] = plane_sync,
		[PLANE_DRAIN] = plane_drain,
		[PLANE_STOP] = plane_stop,
		[PLANE_LOOK] = plane_look,
	};

	req->err.code = 0;
	if (!w->mirror && req->op != PLANE_START && req->op != PLANE_STOP &&
	    req->op != PLANE_LOOK)
		plane_refuse(w, req, -ESHUTDOWN, "the data plane does not run");
	else
		fns[req->op](w, req);
	plane_kick(w);
}

/* --- life --------------------------------------------------------------------------------------------- */

struct plane_work *plane_work_new(struct loop *loop, const struct plane_work_config *config,
				  const struct lease *lease, const struct plane_work_ops *ops,
				  void *owner)
{
	struct plane_work *w = calloc(1, sizeof(*w));

	if (!w)
		return NULL;
	w->config = *config;
	w->loop = loop;
	w->lease = lease;
	w->ops = ops;
	w->owner = owner;
	w->timer_at = UINT64_MAX;
	w->looked_at = clock_boot_ns();
	w->soon = (struct loop_job){ .fn = advance, .owner = w };
	qb_list_init(&w->leaving);
	qb_list_init(&w->steps);
	look_at_lease(w);
	return w;
}

void plane_work_free(struct plane_work *w)
{
	if (!w)
		return;
	/* a disk that hangs stays open, and is left behind: to close it would hang, too */
	loop_soon_cancel(&w->soon);
	loop_timer_cancel(w->timer);
	loop_timer_cancel(w->lease_timer);
	/* clients that were kept for a start which did not come: nothing of theirs is under way */
	if (!w->mirror)
		nbd_server_free(w->server);
	free(w);
}
