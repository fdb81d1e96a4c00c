/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/sim/sim_plane.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arith.h"
#include "bitmap/disk.h"
#include "bitmap/intent.h"
#include "bitmap/slot.h"
#include "mdclusterd/mirror/mirror.h"
#include "tests/sim/fiber.h"
#include "tests/sim/rules.h"
#include "tests/sim/sim_disks.h"
#include "tests/sim/world.h"

enum { SECTOR = 512, MIN_DELAY_NS = 5000, DELAY_NS = 150000, PATIENCE = 100000 };

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

/* What it is told, on its way. */
struct reply {
	struct sim_plane *plane;
	struct plane_request *req;
	int result;
	uint32_t role; /* req NULL: a disk failed */
	struct err why;
	struct qb_list_head link;
};

struct role {
	struct disk *disk;
	bool is_told;   /* that it fails */
	bool is_gone;   /* it takes no part any more, and is for closing */
	struct plane_request *setting;
	struct mirror_request done;
};

/* A request that the mirror or the intent has. */
struct work {
	struct sim_plane *plane;
	struct plane_request *req;
	struct mirror_request mirror;
	struct intent_request intent;
	struct qb_list_head link;
};

struct sim_plane {
	struct plane plane; /* first */
	struct sim_node *node;
	struct sim_plane_config config;
	struct mirror *mirror;
	struct intent *intent;
	struct bitmap_slot slot;
	bool has_slot, is_serving, is_dead;
	uint32_t raid_disks, number;
	struct role roles[METADATA_MAX_DISKS];
	bool is_open;
	uint64_t lease;

	struct qb_list_head orders, replies, works;
	uint64_t order_at, reply_at; /* of the last ones on their way */
	unsigned int owed;           /* orders that are due, and wait for the fiber */
	struct fiber *fiber;
	struct plane_request *starting;

	struct plane_request *syncing;
	struct mirror_sync sync;
	struct plane_request *stopping;
	bool is_stopped, is_settled;
	struct mirror_request stop;
	struct intent_request settle;
};

static struct sim_plane *of(struct plane *plane)
{
	return container_of(plane, struct sim_plane, plane);
}

static struct sim_world *world_of(const struct sim_plane *p)
{
	return p->node->world;
}

/* --- answers --------------------------------------------------------------------------- */

/* When it arrives: later than what was sent before. */
static uint64_t later(struct sim_plane *p, uint64_t *last)
{
	struct sim_world *w = world_of(p);

	*last = max_u64(*last, w->now + MIN_DELAY_NS + sim_below(w, DELAY_NS));
	return *last - w->now;
}

static void arrives(void *owner)
{
	struct reply *y = owner;
	struct sim_plane *p = y->plane;
	struct plane_request *req = y->req;
	int result = y->result;

	qb_list_del(&y->link);
	if (req)
		req->done(req->owner, req, result);
	else
		p->plane.handlers->disk_failed(p->plane.owner, y->role, &y->why);
	free(y);
}

static struct reply *reply_new(struct sim_plane *p)
{
	struct reply *y = calloc(1, sizeof(*y));

	if (!y)
		abort();
	y->plane = p;
	qb_list_add_tail(&y->link, &p->replies);
	return y;
}

static void answer(struct sim_plane *p, struct plane_request *req, int result)
{
	struct reply *y;

	if (p->is_dead)
		return;
	y = reply_new(p);
	y->req = req;
	y->result = result;
	sim_call(world_of(p), p->node->index, later(p, &p->reply_at), arrives, y);
}

static void refuse(struct sim_plane *p, struct plane_request *req, int result,
		   const char *why)
{
	err_set(&req->err, result, "%s", why);
	answer(p, req, result);
}

/* D9: once a role. */
static void fails(struct sim_plane *p, uint32_t role, const struct err *why)
{
	struct reply *y;

	if (p->is_dead || p->roles[role].is_told)
		return;
	sim_say(world_of(p), p->node->index, "disk of role %u fails: %s", role, why->text);
	p->roles[role].is_told = true;
	rules_met(p->config.rules);
	y = reply_new(p);
	y->role = role;
	y->why = *why;
	sim_call(world_of(p), p->node->index, later(p, &p->reply_at), arrives, y);
}

static void mirror_failed(void *owner, uint32_t role, const struct err *why)
{
	fails(owner, role, why);
}

static void intent_failed(void *owner, uint32_t role, int error)
{
	const struct sim_plane *p = owner;

	mirror_intent_failed(p->mirror, role, error);
}

static uint64_t op_now(void *owner)
{
	const struct sim_plane *p = owner;

	return sim_clock(p->node);
}

/* --- work of the mirror and the intent ------------------------------------------------------ */

static struct work *work_new(struct sim_plane *p, struct plane_request *req)
{
	struct work *work = calloc(1, sizeof(*work));

	if (!work)
		abort();
	work->plane = p;
	work->req = req;
	work->mirror.owner = work;
	work->intent.owner = work;
	qb_list_add_tail(&work->link, &p->works);
	return work;
}

static void work_over(struct work *work, int result)
{
	struct sim_plane *p = work->plane;
	struct plane_request *req = work->req;

	qb_list_del(&work->link);
	free(work);
	if (!p->is_dead && p->intent)
		req->needed_chunks = intent_needed_count(p->intent);
	answer(p, req, result);
}

static void mirror_did(void *owner, struct mirror_request *m, int result)
{
	struct work *work = owner;
	struct plane_request *req = work->req;
	struct sim_plane *p = work->plane;

	(void)m;
	if (req->op == PLANE_SUSPEND && result == 0 && !p->is_dead)
		rules_suspended(p->config.rules, p->node->index, req->slot, req->low,
				req->high);
	work_over(work, result);
}

static void intent_did(void *owner, struct intent_request *i, int result)
{
	(void)i;
	work_over(owner, result);
}

/* --- start --------------------------------------------------------------------------------- */

static bool is_served(const struct metadata_disk *d)
{
	return d->state == METADATA_DISK_IN_SYNC || d->state == METADATA_DISK_REBUILD;
}

static int open_disk(struct sim_plane *p, uint32_t role, const struct metadata_view *v,
		     struct err *err)
{
	struct role *r = &p->roles[role];

	r->is_told = false;
	r->disk = sim_disks_open(p->config.disks, p->node->index, SIM_DISK_PLANE,
				 v->disks[role].path, err);
	rules_disk(p->config.rules, p->node->index, (int)role, r->disk != NULL);
	return r->disk ? 0 : -ENOENT;
}

static int load_slot(struct sim_plane *p, const struct metadata_view *v, struct err *err)
{
	struct bitmap_copy copies[METADATA_MAX_DISKS];
	size_t count = 0;
	int r;

	for (uint32_t i = 0; i < v->raid_disks; i++)
		if (v->disks[i].state == METADATA_DISK_IN_SYNC)
			copies[count++] = (struct bitmap_copy){
				p->roles[i].disk, v->disks[i].bitmap_start_bytes, v->uuid };
	r = bitmap_slot_init(&p->slot, &v->geo, p->number, err);
	if (r < 0)
		return r;
	p->has_slot = true;
	return bitmap_slot_load(&p->slot, copies, count, false, err);
}

static int make_intent(struct sim_plane *p, const struct metadata_view *v, struct err *err)
{
	static const struct intent_ops ops = { .now = op_now, .failed = intent_failed };
	struct intent_config c = { .slot = &p->slot, .count = v->raid_disks,
				   .is_degraded = v->degraded > 0,
				   .budget_bytes = p->config.budget_bytes };

	for (uint32_t i = 0; i < v->raid_disks; i++) {
		c.copies[i].disk = p->roles[i].disk;
		c.copies[i].start_bytes = v->disks[i].bitmap_start_bytes;
	}
	p->intent = intent_new(&c, &ops, p, err);
	return p->intent ? 0 : -ENOMEM;
}

static int make_mirror(struct sim_plane *p, const struct metadata_view *v, struct err *err)
{
	static const struct mirror_ops ops = { .now = op_now, .disk_failed = mirror_failed };
	struct mirror_config c = { .level = v->level, .layout = v->layout,
				   .chunk_sectors = v->chunk_sectors,
				   .member_sectors = v->member_sectors,
				   .raid_disks = v->raid_disks,
				   .intent = p->intent,
				   .bitmap_chunk_sectors = v->geo.chunk_bytes / SECTOR,
				   .hang_ns = p->config.hang_ns };

	for (uint32_t i = 0; i < v->raid_disks; i++) {
		c.disks[i].disk = p->roles[i].disk;
		c.disks[i].data_offset = v->disks[i].data_offset;
	}
	p->mirror = mirror_new(&c, &ops, p, err);
	return p->mirror ? 0 : -ENOMEM;
}

static int start(struct sim_plane *p, const struct plane_request *req, struct err *err)
{
	const struct metadata_view *v = req->view;
	int r = 0;

	p->raid_disks = v->raid_disks;
	p->number = req->slot;
	for (uint32_t i = 0; i < v->raid_disks && r == 0; i++)
		if (is_served(&v->disks[i]))
			r = open_disk(p, i, v, err);
	if (r == 0)
		r = load_slot(p, v, err);
	if (r == 0)
		r = make_intent(p, v, err);
	return r == 0 ? make_mirror(p, v, err) : r;
}

static void take_apart(struct sim_plane *p);

static void start_in_fiber(void *arg)
{
	struct sim_plane *p = arg;
	struct plane_request *req = p->starting;
	int r;

	if (p->mirror) {
		refuse(p, req, -EBUSY, "it is started");
		return;
	}
	p->is_open = p->is_serving = p->is_stopped = p->is_settled = false;
	r = start(p, req, &req->err);
	if (p->is_dead)
		return;
	if (r < 0) {
		take_apart(p);
	} else {
		req->needed_chunks = intent_needed_count(p->intent);
		rules_started(p->config.rules, p->node->index, p->number);
	}
	answer(p, req, r);
}

/* --- stop ------------------------------------------------------------------------------------ */

static void take_apart(struct sim_plane *p)
{
	mirror_free(p->mirror);
	intent_free(p->intent);
	p->mirror = NULL;
	p->intent = NULL;
	if (p->has_slot)
		bitmap_slot_fini(&p->slot);
	p->has_slot = false;
	for (uint32_t i = 0; i < METADATA_MAX_DISKS; i++) {
		disk_close(p->roles[i].disk);
		p->roles[i] = (struct role){ 0 };
	}
}

static bool is_quiet(const struct sim_plane *p)
{
	for (uint32_t i = 0; i < p->raid_disks; i++)
		if (p->roles[i].disk && p->roles[i].disk->in_flight > 0)
			return false;
	return true;
}

/* Not from within a callback of what is freed. */
static void end_stop(struct sim_plane *p)
{
	struct plane_request *req = p->stopping;
	struct work *work, *next;

	p->stopping = NULL;
	take_apart(p);
	if (p->is_dead)
		return;
	rules_stopped(p->config.rules, p->node->index);
	/* what waited for bits that may not be written any more */
	qb_list_for_each_entry_safe(work, next, &p->works, link)
		work_over(work, -ESHUTDOWN);
	answer(p, req, 0);
}

static void settled(void *owner, struct intent_request *i, int result)
{
	struct sim_plane *p = owner;

	(void)i, (void)result;
	p->is_settled = true;
}

static void stopped(void *owner, struct mirror_request *m, int result)
{
	struct sim_plane *p = owner;

	(void)m, (void)result;
	p->is_stopped = true;
	if (p->is_dead || p->stopping->is_lost) {
		p->is_settled = true;
		return;
	}
	p->settle = (struct intent_request){ .done = settled, .owner = p };
	intent_settle(p->intent, &p->settle);
}

static void stop(struct sim_plane *p, struct plane_request *req)
{
	p->is_serving = false;
	p->stopping = req;
	p->stop = (struct mirror_request){ .done = stopped, .owner = p };
	mirror_stop(p->mirror, &p->stop);
}

/* --- disks -------------------------------------------------------------------------------------- */

static void disk_is_set(void *owner, struct mirror_request *m, int result)
{
	struct sim_plane *p = owner;
	struct role *r = container_of(m, struct role, done);
	struct plane_request *req = r->setting;

	r->setting = NULL;
	r->is_gone = r->disk && !is_served(&req->view->disks[req->role]);
	answer(p, req, result);
}

static void set_disk(struct sim_plane *p, struct plane_request *req)
{
	const struct metadata_disk *d = &req->view->disks[req->role];
	struct role *r = &p->roles[req->role];
	enum mirror_disk_state state = d->state == METADATA_DISK_IN_SYNC ? MIRROR_DISK_IN_SYNC :
				       d->state == METADATA_DISK_REBUILD ? MIRROR_DISK_REBUILD :
									   MIRROR_DISK_MISSING;

	sim_say(world_of(p), p->node->index, "plane: role %u is %d", req->role, (int)d->state);
	r->setting = req;
	r->done = (struct mirror_request){ .done = disk_is_set, .owner = p };
	intent_set_degraded(p->intent, req->view->degraded > 0 ||
					       mirror_has_failing(p->mirror));
	rules_disk(p->config.rules, p->node->index, (int)req->role, is_served(d));
	if (!is_served(d))
		intent_set_disk(p->intent, req->role, NULL, 0, NULL);
	mirror_set_disk(p->mirror, req->role, state, r->disk, d->data_offset, &r->done);
}

/* --- windows ------------------------------------------------------------------------------------ */

static void window(struct sim_plane *p, struct plane_request *req)
{
	static struct mirror_look look;

	mirror_look(p->mirror, &look);
	req->was_busy = look.is_busy;
	req->low = mirror_window(p->mirror, req->low, req->bytes, PLANE_SPAN_BYTES,
				 &req->high);
	req->needed_chunks = intent_needed_count(p->intent);
	answer(p, req, 0);
}

static void sync_done(void *owner, struct mirror_sync *s, int result)
{
	struct sim_plane *p = owner;
	struct plane_request *req = p->syncing;
	static struct mirror_look look;

	p->syncing = NULL;
	if (p->is_dead)
		return;
	rules_sync_over(p->config.rules, p->node->index);
	mirror_look(p->mirror, &look);
	req->position = s->position;
	req->copied_sectors = s->copied_sectors;
	req->mismatch_sectors = s->mismatch_sectors;
	req->took_ns = s->ended_ns - s->began_ns;
	req->write_p99_ns = look.write_p99_ns;
	req->was_busy = s->was_busy;
	req->needed_chunks = intent_needed_count(p->intent);
	answer(p, req, result);
}

static void sync_differs(void *owner, struct mirror_sync *s, uint64_t sector, uint64_t sectors)
{
	struct sim_plane *p = owner;

	(void)s;
	if (!p->is_dead)
		p->plane.handlers->differs(p->plane.owner, sector, sectors);
}

static void sync_begin(struct sim_plane *p, struct plane_request *req)
{
	static const enum mirror_sync_kind kinds[] = {
		[PLANE_COPY] = MIRROR_SYNC_COPY, [PLANE_COMPARE] = MIRROR_SYNC_COMPARE,
		[PLANE_CHECK] = MIRROR_SYNC_CHECK, [PLANE_REPAIR] = MIRROR_SYNC_REPAIR };
	int r;

	p->sync = (struct mirror_sync){ .kind = kinds[req->kind], .low = req->low,
					.high = req->high, .done = sync_done,
					.differs = sync_differs, .owner = p };
	if (p->syncing) {
		refuse(p, req, -EBUSY, "a resync runs");
		return;
	}
	sim_say(world_of(p), p->node->index, "plane: resyncs %lu..%lu",
		(unsigned long)req->low, (unsigned long)req->high);
	rules_sync(p->config.rules, p->node->index, req->low, req->high);
	p->syncing = req;
	r = mirror_sync_begin(p->mirror, &p->sync);
	if (r < 0) {
		p->syncing = NULL;
		refuse(p, req, r, "the resync cannot begin");
	}
}

/* --- orders ---------------------------------------------------------------------------------------- */

static void suspend(struct sim_plane *p, struct plane_request *req)
{
	struct work *work = work_new(p, req);

	/* what was suspended may be written from here on, but for what is new, soon */
	rules_suspended(p->config.rules, p->node->index, req->slot, 0, 0);
	work->mirror.done = mirror_did;
	mirror_suspend(p->mirror, req->slot, req->low, req->high, &work->mirror);
}

static void drain(struct sim_plane *p, struct plane_request *req)
{
	struct work *work = work_new(p, req);

	work->mirror.done = mirror_did;
	p->is_open = false;
	rules_gate(p->config.rules, p->node->index, false);
	mirror_drain(p->mirror, &work->mirror);
}

static void need(struct sim_plane *p, struct plane_request *req)
{
	struct work *work = work_new(p, req);

	work->intent.done = intent_did;
	intent_need(p->intent, req->bits, &work->intent);
}

static void set_events(struct sim_plane *p, struct plane_request *req)
{
	struct work *work = work_new(p, req);

	work->intent.done = intent_did;
	intent_set_events(p->intent, req->view->events, &work->intent);
}

static void look(struct sim_plane *p, struct plane_request *req)
{
	static struct mirror_look m;
	struct plane_look *l = req->look;

	mirror_look(p->mirror, &m);
	memset(l, 0, sizeof(*l));
	l->is_gate_open = m.is_gate_open;
	l->is_single_source = m.is_single_source;
	l->in_flight = m.in_flight;
	l->write_p99_ns = m.write_p99_ns;
	answer(p, req, 0);
}

static void begin_start(struct sim_plane *p, struct plane_request *req)
{
	p->starting = req;
	p->fiber = fiber_new(start_in_fiber, p);
	fiber_resume(p->fiber);
}

static void serve_request(struct sim_plane *p, struct plane_request *req)
{
	if (req->op != PLANE_START && !p->mirror) {
		refuse(p, req, req->op == PLANE_STOP || req->op == PLANE_DRAIN ? 0 : -ESHUTDOWN,
		       "it is not started");
		return;
	}
	switch (req->op) {
	case PLANE_START:
		begin_start(p, req);
		break;
	case PLANE_SERVE:
		p->is_serving = true;
		answer(p, req, 0);
		break;
	case PLANE_NEED:
		need(p, req);
		break;
	case PLANE_SUSPEND:
		suspend(p, req);
		break;
	case PLANE_SET_DISK:
		set_disk(p, req);
		break;
	case PLANE_EVENTS:
		set_events(p, req);
		break;
	case PLANE_WINDOW:
		window(p, req);
		break;
	case PLANE_SYNC:
		sync_begin(p, req);
		break;
	case PLANE_DRAIN:
		drain(p, req);
		break;
	case PLANE_STOP:
		stop(p, req);
		break;
	case PLANE_LOOK:
		look(p, req);
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
	sim_call(world_of(p), p->node->index, later(p, &p->order_at), take_up, p);
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

/* --- life --------------------------------------------------------------------------------------------- */

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
	return p;
}

/* Every disk fails at once, and what waits for one goes on, until nothing is left. */
static void wind_down(struct sim_plane *p)
{
	int patience = PATIENCE;

	if (!p->stopping) {
		p->is_stopped = false;
		p->stop = (struct mirror_request){ .done = stopped, .owner = p };
		mirror_stop(p->mirror, &p->stop);
	}
	while (!(p->is_stopped && is_quiet(p)) && --patience > 0) {
		for (uint32_t i = 0; i < p->raid_disks; i++)
			if (p->roles[i].disk)
				(void)disk_pump(p->roles[i].disk, 0);
		for (uint32_t i = 0; i < p->raid_disks; i++)
			mirror_failure_known(p->mirror, i);
		mirror_advance(p->mirror, sim_clock(p->node));
		intent_advance(p->intent, sim_clock(p->node));
	}
	if (patience == 0) {
		fprintf(stderr, "sim: the plane of n%d does not come to an end\n",
			p->node->index + 1);
		abort();
	}
}

void sim_plane_end(struct sim_plane *p)
{
	struct order *o, *next_o;
	struct reply *y, *next_y;
	struct work *work, *next_w;

	p->is_dead = true;
	while (p->fiber && !fiber_is_over(p->fiber))
		fiber_resume(p->fiber);
	fiber_free(p->fiber);
	if (p->mirror)
		wind_down(p);
	take_apart(p);
	qb_list_for_each_entry_safe(o, next_o, &p->orders, link)
		free(o);
	qb_list_for_each_entry_safe(y, next_y, &p->replies, link)
		free(y);
	qb_list_for_each_entry_safe(work, next_w, &p->works, link)
		free(work);
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
		sim_call(world_of(p), p->node->index, 0, take_up, p);
}

/* A disk that went, once nothing of it is in flight. */
static void close_disks(struct sim_plane *p)
{
	for (uint32_t i = 0; i < p->raid_disks; i++) {
		struct role *r = &p->roles[i];

		if (r->is_gone && r->disk->in_flight == 0) {
			disk_close(r->disk);
			*r = (struct role){ 0 };
		}
	}
}

void sim_plane_advance(struct sim_plane *p)
{
	if (p->fiber && fiber_is_over(p->fiber))
		end_fiber(p);
	if (!p->mirror || p->fiber)
		return;
	/* what came while this node stood still is no hang */
	for (uint32_t i = 0; i < p->raid_disks; i++)
		if (p->roles[i].disk)
			(void)disk_pump(p->roles[i].disk, 0);
	mirror_advance(p->mirror, sim_clock(p->node));
	intent_advance(p->intent, sim_clock(p->node));
	close_disks(p);
	if (p->stopping && p->is_stopped && !p->is_dead)
		intent_set_gate(p->intent, !p->stopping->is_lost, p->lease);
	/* without a lease nothing more is cleared */
	if (p->stopping && p->is_stopped && is_quiet(p) && !intent_has_io(p->intent) &&
	    (p->is_settled || sim_clock(p->node) >= p->lease))
		end_stop(p);
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

bool sim_plane_is_failing(const struct sim_plane *p, uint32_t role)
{
	static struct mirror_look m;

	if (!p->mirror || p->fiber)
		return false;
	mirror_look(p->mirror, &m);
	return m.disks[role].is_failing || m.disks[role].state == MIRROR_DISK_MISSING;
}
