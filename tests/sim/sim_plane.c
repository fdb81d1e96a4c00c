/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/sim/sim_plane_private.h"

#include <errno.h>
#include <stdlib.h>

#include "base/arith.h"
#include "bitmap/disk.h"
#include "tests/sim/fiber.h"
#include "tests/sim/rules.h"

enum order_kind { ORDER_REQUEST, ORDER_GATE, ORDER_SOURCE, ORDER_KNOWN, ORDER_SPEED, ORDER_CANCEL };

/* What the array said, on its way. */
struct order {
	enum order_kind kind;
	struct plane_request *req;
	bool is_on;
	uint32_t role;
	uint64_t min, max;
	struct qb_list_head link;
};

static struct sim_plane *of(struct plane *plane)
{
	return container_of(plane, struct sim_plane, plane);
}

/* --- orders -------------------------------------------------------------------------- */

static void serve_request(struct sim_plane *p, struct plane_request *req)
{
	if (req->op != PLANE_START && !p->mirror) {
		plane_refuse(p, req,
			     req->op == PLANE_STOP || req->op == PLANE_DRAIN ? 0 : -ESHUTDOWN,
			     "it is not started");
		return;
	}
	switch (req->op) {
	case PLANE_START:
		plane_start(p, req);
		break;
	case PLANE_SERVE:
		p->is_serving = true;
		plane_answer(p, req, 0);
		break;
	case PLANE_NEED:
		plane_need(p, req);
		break;
	case PLANE_SUSPEND:
		plane_suspend(p, req);
		break;
	case PLANE_SET_DISK:
		plane_set_disk(p, req);
		break;
	case PLANE_EVENTS:
		plane_set_events(p, req);
		break;
	case PLANE_WINDOW:
		plane_window(p, req);
		break;
	case PLANE_SYNC:
		plane_sync(p, req);
		break;
	case PLANE_DRAIN:
		plane_drain(p, req);
		break;
	case PLANE_STOP:
		plane_stop(p, req);
		break;
	case PLANE_LOOK:
		plane_look_at(p, req);
		break;
	case PLANE_OPS:
		break;
	}
}

static void set_gate(struct sim_plane *p, bool is_open)
{
	p->is_open = is_open;
	rules_gate(p->config.rules, p->node->index, is_open);
	mirror_set_gate(p->mirror, is_open, p->lease);
}

static void set_single_source(struct sim_plane *p, bool is_on)
{
	mirror_set_single_source(p->mirror, is_on);
	rules_single_source(p->config.rules, p->node->index, is_on);
}

static void serve(struct sim_plane *p, const struct order *o)
{
	if (o->kind == ORDER_REQUEST) {
		serve_request(p, o->req);
		return;
	}
	if (!p->mirror)
		return;
	if (o->kind == ORDER_GATE)
		set_gate(p, o->is_on);
	else if (o->kind == ORDER_SOURCE)
		set_single_source(p, o->is_on);
	else if (o->kind == ORDER_KNOWN)
		mirror_failure_known(p->mirror, o->role);
	else if (o->kind == ORDER_SPEED)
		mirror_set_speed(p->mirror, o->max);
	else if (o->kind == ORDER_CANCEL && p->syncing)
		mirror_sync_cancel(p->mirror, &p->sync);
}

/* One is due. */
static void take_up(void *owner)
{
	struct sim_plane *p = owner;
	struct order *o;

	if (p->fiber) {
		p->owed++;
		return;
	}
	o = qb_list_first_entry(&p->orders, struct order, link);
	qb_list_del(&o->link);
	serve(p, o);
	free(o);
}

static struct order *order_new(struct plane *plane, enum order_kind kind)
{
	struct sim_plane *p = of(plane);
	struct order *o = calloc(1, sizeof(*o));

	if (!o)
		abort();
	o->kind = kind;
	qb_list_add_tail(&o->link, &p->orders);
	sim_call(plane_world(p), p->node->index, plane_later(p, &p->order_at), take_up, p);
	return o;
}

static void op_submit(struct plane *plane, struct plane_request *req)
{
	order_new(plane, ORDER_REQUEST)->req = req;
}

static void op_set_gate(struct plane *plane, bool is_open)
{
	order_new(plane, ORDER_GATE)->is_on = is_open;
}

static void op_set_single_source(struct plane *plane, bool is_on)
{
	order_new(plane, ORDER_SOURCE)->is_on = is_on;
}

static void op_failure_known(struct plane *plane, uint32_t role)
{
	order_new(plane, ORDER_KNOWN)->role = role;
}

static void op_set_speed(struct plane *plane, uint64_t max_bytes)
{
	order_new(plane, ORDER_SPEED)->max = max_bytes;
}

static void op_cancel_sync(struct plane *plane)
{
	order_new(plane, ORDER_CANCEL);
}

static const struct plane_ops ops = {
	.submit = op_submit,
	.set_gate = op_set_gate,
	.set_single_source = op_set_single_source,
	.failure_known = op_failure_known,
	.set_speed = op_set_speed,
	.cancel_sync = op_cancel_sync,
};

/* --- life ---------------------------------------------------------------------------- */

struct sim_plane *sim_plane_new(struct sim_node *n, const struct sim_plane_config *config)
{
	struct sim_plane *p = calloc(1, sizeof(*p));

	if (!p)
		abort();
	p->plane.ops = &ops;
	p->node = n;
	p->config = *config;
	QB_INIT_LIST_HEAD(&p->orders);
	QB_INIT_LIST_HEAD(&p->replies);
	QB_INIT_LIST_HEAD(&p->works);
	QB_INIT_LIST_HEAD(&p->leaving);
	return p;
}

void sim_plane_end(struct sim_plane *p)
{
	struct order *o, *next_o;

	p->is_dead = true;
	while (p->fiber && !fiber_is_over(p->fiber))
		fiber_resume(p->fiber);
	fiber_free(p->fiber);
	if (p->mirror)
		plane_wind_down(p);
	plane_take_apart(p);
	plane_forget(p);
	qb_list_for_each_entry_safe(o, next_o, &p->orders, link)
		free(o);
	free(p);
}

struct plane *sim_plane_face(struct sim_plane *p)
{
	return &p->plane;
}

void sim_plane_set_lease(struct sim_plane *p, uint64_t until)
{
	p->lease = until;
	rules_lease(p->config.rules, p->node->index, until);
	if (p->mirror && !p->fiber && !p->stopping)
		mirror_set_gate(p->mirror, p->is_open, until);
}

static void end_fiber(struct sim_plane *p)
{
	fiber_free(p->fiber);
	p->fiber = NULL;
	for (; p->owed > 0; p->owed--)
		sim_call(plane_world(p), p->node->index, 0, take_up, p);
}

void sim_plane_advance(struct sim_plane *p)
{
	if (p->fiber && fiber_is_over(p->fiber))
		end_fiber(p);
	if (!p->mirror || p->fiber)
		return;
	/* what came while this node stood still is no hang */
	plane_hear_disks(p);
	mirror_advance(p->mirror, sim_clock(p->node));
	intent_advance(p->intent, sim_clock(p->node));
	plane_close_leaving(p);
	if (p->stopping && p->is_stopped && !p->is_dead)
		intent_set_gate(p->intent, !p->stopping->is_lost, p->lease);
	/* without a lease nothing more is cleared */
	if (p->stopping && p->is_stopped && plane_is_quiet(p) && !intent_has_io(p->intent) &&
	    (p->is_settled || sim_clock(p->node) >= p->lease))
		plane_end_stop(p);
}

uint64_t sim_plane_deadline(const struct sim_plane *p)
{
	if (!p->mirror || p->fiber)
		return UINT64_MAX;
	return min_u64(mirror_deadline(p->mirror), intent_deadline(p->intent));
}

struct volume *sim_plane_volume(struct sim_plane *p)
{
	return p->mirror && p->is_serving ? mirror_volume(p->mirror) : NULL;
}

uint64_t sim_plane_needed(const struct sim_plane *p)
{
	return p->intent && !p->fiber ? intent_needed_count(p->intent) : 0;
}

bool sim_plane_is_idle(const struct sim_plane *p)
{
	static struct mirror_look m;

	if (p->fiber || !p->mirror)
		return !p->fiber;
	mirror_look(p->mirror, &m);
	return m.is_drained && !p->is_open;
}

bool sim_plane_is_failing(const struct sim_plane *p, uint32_t role)
{
	static struct mirror_look m;

	if (!p->mirror || p->fiber)
		return false;
	mirror_look(p->mirror, &m);
	return m.disks[role].is_failing || m.disks[role].state == MIRROR_DISK_MISSING;
}
