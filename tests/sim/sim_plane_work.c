/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a simulated plane answers, and what it asks of mirror and intent. */
#include "tests/sim/sim_plane_private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/arith.h"
#include "bitmap/disk.h"
#include "tests/sim/rules.h"

enum { MIN_DELAY_NS = 5000, DELAY_NS = 150000 };

enum reply_kind { REPLY_DONE, REPLY_FAILED, REPLY_NEEDS, REPLY_CORRECTED };

/* What it is told, on its way. */
struct reply {
	struct sim_plane *plane;
	struct plane_request *req;
	int result;
	enum reply_kind kind;
	uint32_t role;
	uint64_t low, high, count;
	struct err why;
	struct qb_list_head link;
};

/* --- answers ------------------------------------------------------------------------- */

/* When it arrives: later than what was sent before. */
uint64_t plane_later(struct sim_plane *p, uint64_t *last)
{
	struct sim_world *w = plane_world(p);

	*last = max_u64(*last, w->now + MIN_DELAY_NS + sim_below(w, DELAY_NS));
	return *last - w->now;
}

static void arrives(void *owner)
{
	struct reply *y = owner;
	struct sim_plane *p = y->plane;
	const struct plane_handlers *handlers = p->plane.handlers;
	struct plane_request *req = y->req;

	qb_list_del(&y->link);
	switch (y->kind) {
	case REPLY_DONE:
		req->done(req->owner, req, y->result);
		break;
	case REPLY_FAILED:
		handlers->disk_failed(p->plane.owner, y->role, &y->why);
		break;
	case REPLY_NEEDS:
		handlers->needs(p->plane.owner, y->count);
		break;
	case REPLY_CORRECTED:
		handlers->corrected(p->plane.owner, y->role, y->low, y->high, y->count);
	}
	free(y);
}

static struct reply *reply_new(struct sim_plane *p, enum reply_kind kind)
{
	struct reply *y = calloc(1, sizeof(*y));

	if (!y)
		abort();
	y->plane = p;
	y->kind = kind;
	qb_list_add_tail(&y->link, &p->replies);
	return y;
}

static void send(struct reply *y)
{
	struct sim_plane *p = y->plane;

	sim_call(plane_world(p), p->node->index, plane_later(p, &p->reply_at), arrives, y);
}

void plane_answer(struct sim_plane *p, struct plane_request *req, int result)
{
	struct reply *y;

	if (p->is_dead)
		return;
	y = reply_new(p, REPLY_DONE);
	y->req = req;
	y->result = result;
	send(y);
}

void plane_needs(struct sim_plane *p, uint64_t needed_chunks)
{
	struct reply *y;

	if (p->is_dead)
		return;
	sim_say(plane_world(p), p->node->index, "plane: %lu chunks are needed: a disk could not "
		"read there", (unsigned long)needed_chunks);
	y = reply_new(p, REPLY_NEEDS);
	y->count = needed_chunks;
	send(y);
}

void plane_corrected(struct sim_plane *p, uint32_t role, uint64_t low, uint64_t high,
		     uint64_t sectors)
{
	struct reply *y;

	if (p->is_dead)
		return;
	sim_say(plane_world(p), p->node->index, "disk of role %u: %lu..%lu is mended", role,
		(unsigned long)low, (unsigned long)high);
	y = reply_new(p, REPLY_CORRECTED);
	y->role = role;
	y->low = low;
	y->high = high;
	y->count = sectors;
	send(y);
}

void plane_refuse(struct sim_plane *p, struct plane_request *req, int result,
		   const char *why)
{
	err_set(&req->err, result, "%s", why);
	plane_answer(p, req, result);
}

/* D9: once a role. */
void plane_fails(struct sim_plane *p, uint32_t role, const struct err *why)
{
	struct reply *y;

	if (p->is_dead || p->roles[role].is_told)
		return;
	sim_say(plane_world(p), p->node->index, "disk of role %u fails: %s", role, why->text);
	p->roles[role].is_told = true;
	rules_met(p->config.rules);
	y = reply_new(p, REPLY_FAILED);
	y->role = role;
	y->why = *why;
	send(y);
}

void plane_forget(struct sim_plane *p)
{
	struct reply *y, *next_y;
	struct work *work, *next_w;

	qb_list_for_each_entry_safe(y, next_y, &p->replies, link)
		free(y);
	qb_list_for_each_entry_safe(work, next_w, &p->works, link)
		free(work);
}

/* --- work of the mirror and the intent ----------------------------------------------- */

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

void plane_work_over(struct work *work, int result)
{
	struct sim_plane *p = work->plane;
	struct plane_request *req = work->req;

	qb_list_del(&work->link);
	free(work);
	if (!p->is_dead && p->intent)
		req->needed_chunks = intent_needed_count(p->intent);
	plane_answer(p, req, result);
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
	plane_work_over(work, result);
}

static void intent_did(void *owner, struct intent_request *i, int result)
{
	(void)i;
	plane_work_over(owner, result);
}

/* --- disks --------------------------------------------------------------------------- */

static enum mirror_disk_state state_of(const struct metadata_disk *d)
{
	if (d->state == METADATA_DISK_IN_SYNC)
		return MIRROR_DISK_IN_SYNC;
	return d->state == METADATA_DISK_REBUILD ? MIRROR_DISK_REBUILD : MIRROR_DISK_MISSING;
}

static void tell_rules(struct sim_plane *p, const struct mirror_change *c)
{
	if (!p->roles[c->role].disk)
		return;
	rules_disk(p->config.rules, p->node->index, p->roles[c->role].index,
		   c->state != MIRROR_DISK_MISSING, c->state == MIRROR_DISK_IN_SYNC);
}

static void disk_is_set(void *owner, struct mirror_change *c, int result)
{
	struct sim_plane *p = owner;
	struct role *r = &p->roles[c->role];
	struct plane_request *req = r->setting;

	r->setting = NULL;
	if (result < 0)
		req->err = c->err;
	if (!p->is_dead)
		req->needed_chunks = intent_needed_count(p->intent);
	if (result == 0)
		tell_rules(p, c);
	if (c->state == MIRROR_DISK_MISSING || (c->disk && result < 0))
		plane_disk_leave(p, c->role);
	plane_answer(p, req, result);
}

void plane_set_disk(struct sim_plane *p, struct plane_request *req)
{
	const struct metadata_disk *d = &req->view->disks[req->role];
	struct role *r = &p->roles[req->role];
	struct mirror_change *c = &r->change;
	int result = 0;

	sim_say(plane_world(p), p->node->index, "plane: role %u is %d%s", req->role,
		(int)d->state, d->is_by_bitmap ? ", by bitmap" : "");
	*c = (struct mirror_change){ .role = req->role, .state = state_of(d),
				     .is_degraded = req->view->degraded > 0,
				     .events = req->view->events,
				     .data_offset = d->data_offset,
				     .bitmap_start_bytes = d->bitmap_start_bytes,
				     .is_by_bitmap = d->is_by_bitmap,
				     .done = disk_is_set, .owner = p };
	if (c->state != MIRROR_DISK_MISSING && !r->disk) {
		result = plane_disk_open(p, req->role, req->view, &req->err);
		c->disk = r->disk;
	}
	if (result < 0) {
		plane_answer(p, req, result);
		return;
	}
	r->setting = req;
	if (c->state != MIRROR_DISK_REBUILD)
		tell_rules(p, c);
	mirror_change_disk(p->mirror, c);
}

void plane_disk_leave(struct sim_plane *p, uint32_t role)
{
	struct role *r = &p->roles[role];
	struct leaving *d;

	if (!r->disk)
		return;
	d = calloc(1, sizeof(*d));
	if (!d)
		abort();
	d->disk = r->disk;
	d->index = r->index;
	qb_list_add_tail(&d->link, &p->leaving);
	r->disk = NULL;
}

void plane_close_leaving(struct sim_plane *p)
{
	struct leaving *d, *next;

	qb_list_for_each_entry_safe(d, next, &p->leaving, link) {
		if (d->disk->in_flight > 0)
			continue;
		qb_list_del(&d->link);
		disk_close(d->disk);
		free(d);
	}
}

void plane_hear_disks(struct sim_plane *p)
{
	struct leaving *d;

	for (uint32_t i = 0; i < p->raid_disks; i++)
		if (p->roles[i].disk)
			(void)disk_pump(p->roles[i].disk, 0);
	qb_list_for_each_entry(d, &p->leaving, link)
		(void)disk_pump(d->disk, 0);
}

/* --- windows ------------------------------------------------------------------------- */

void plane_window(struct sim_plane *p, struct plane_request *req)
{
	static struct mirror_look look;

	mirror_look(p->mirror, &look);
	req->was_busy = look.is_busy;
	req->low = mirror_window(p->mirror, req->low, req->bytes, PLANE_SPAN_BYTES,
				 &req->high);
	req->needed_chunks = intent_needed_count(p->intent);
	plane_answer(p, req, 0);
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
	if (result == -EIO)
		err_set(&req->err, result, "%lu sectors can be read on no disk",
			(unsigned long)s->unread_sectors);
	plane_answer(p, req, result);
}

static void sync_differs(void *owner, struct mirror_sync *s, uint64_t sector, uint64_t sectors)
{
	struct sim_plane *p = owner;

	(void)s;
	if (!p->is_dead)
		p->plane.handlers->differs(p->plane.owner, sector, sectors);
}

void plane_sync(struct sim_plane *p, struct plane_request *req)
{
	static const enum mirror_sync_kind kinds[] = {
		[PLANE_COPY] = MIRROR_SYNC_COPY, [PLANE_COMPARE] = MIRROR_SYNC_COMPARE,
		[PLANE_CHECK] = MIRROR_SYNC_CHECK, [PLANE_REPAIR] = MIRROR_SYNC_REPAIR,
		[PLANE_REBUILD] = MIRROR_SYNC_REBUILD };
	int r;

	p->sync = (struct mirror_sync){ .kind = kinds[req->kind], .low = req->low,
					.high = req->high, .done = sync_done,
					.differs = sync_differs, .owner = p };
	if (p->syncing) {
		plane_refuse(p, req, -EBUSY, "a resync runs");
		return;
	}
	sim_say(plane_world(p), p->node->index, "plane: resyncs %lu..%lu",
		(unsigned long)req->low, (unsigned long)req->high);
	rules_sync(p->config.rules, p->node->index, req->low, req->high);
	p->syncing = req;
	r = mirror_sync_begin(p->mirror, &p->sync);
	if (r < 0) {
		p->syncing = NULL;
		plane_refuse(p, req, r, "the resync cannot begin");
	}
}

/* --- requests ------------------------------------------------------------------------ */

void plane_suspend(struct sim_plane *p, struct plane_request *req)
{
	struct work *work = work_new(p, req);

	/* what was suspended may be written from here on, but for what is new, soon */
	rules_suspended(p->config.rules, p->node->index, req->slot, 0, 0);
	work->mirror.done = mirror_did;
	mirror_suspend(p->mirror, req->slot, req->low, req->high, &work->mirror);
}

void plane_drain(struct sim_plane *p, struct plane_request *req)
{
	struct work *work = work_new(p, req);

	work->mirror.done = mirror_did;
	p->is_open = false;
	rules_gate(p->config.rules, p->node->index, false);
	mirror_drain(p->mirror, &work->mirror);
}

void plane_need(struct sim_plane *p, struct plane_request *req)
{
	struct work *work = work_new(p, req);

	work->intent.done = intent_did;
	intent_need(p->intent, req->bits, &work->intent);
}

void plane_set_events(struct sim_plane *p, struct plane_request *req)
{
	struct work *work = work_new(p, req);

	work->intent.done = intent_did;
	intent_set_events(p->intent, req->view->events, &work->intent);
}

void plane_look_at(struct sim_plane *p, struct plane_request *req)
{
	static struct mirror_look m;
	struct plane_look *l = req->look;

	mirror_look(p->mirror, &m);
	memset(l, 0, sizeof(*l));
	l->is_gate_open = m.is_gate_open;
	l->is_single_source = m.is_single_source;
	l->in_flight = m.in_flight;
	l->write_p99_ns = m.write_p99_ns;
	plane_answer(p, req, 0);
}
