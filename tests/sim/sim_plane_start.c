/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A simulated plane's start, in a fiber, for the own slot is loaded; and its end. */
#include "tests/sim/sim_plane_private.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "bitmap/disk.h"
#include "tests/sim/fiber.h"
#include "tests/sim/rules.h"
#include "tests/sim/sim_disks.h"

enum { SECTOR = 512, PATIENCE = 100000 };

/* --- what is left -------------------------------------------------------------------- */

void plane_take_apart(struct sim_plane *p)
{
	mirror_free(p->mirror);
	intent_free(p->intent);
	mend_fini(&p->mend);
	p->mirror = NULL;
	p->intent = NULL;
	if (p->has_slot)
		bitmap_slot_fini(&p->slot);
	p->has_slot = false;
	for (uint32_t i = 0; i < METADATA_MAX_DISKS; i++)
		plane_disk_leave(p, i);
	plane_close_leaving(p);
}

bool plane_is_quiet(const struct sim_plane *p)
{
	const struct leaving *d;

	for (uint32_t i = 0; i < p->raid_disks; i++)
		if (p->roles[i].disk && p->roles[i].disk->in_flight > 0)
			return false;
	qb_list_for_each_entry(d, &p->leaving, link)
		if (d->disk->in_flight > 0)
			return false;
	return true;
}

/* --- start --------------------------------------------------------------------------- */

static void mirror_failed(void *owner, uint32_t role, const struct err *why)
{
	plane_fails(owner, role, why);
}

static void mirror_cannot_read(void *owner, uint64_t low, uint64_t high)
{
	struct sim_plane *p = owner;

	mend_add(&p->mend, low, high);
}

static void places_are_needed(void *owner, uint64_t needed_chunks)
{
	plane_needs(owner, needed_chunks);
}

static void mirror_has_corrected(void *owner, uint32_t role, uint64_t low, uint64_t high,
				 uint64_t sectors)
{
	plane_corrected(owner, role, low, high, sectors);
}

static void intent_failed(void *owner, uint32_t role, int error)
{
	const struct sim_plane *p = owner;

	mirror_intent_failed(p->mirror, role, error);
}

static uint64_t op_now(void *owner)
{
	const struct sim_plane *p = owner;

	return sim_clock(p->node) + p->wound_ns;
}

/* What hangs on it could land over what is newer. */
static int check_hangs_not(const struct sim_plane *p, int index, struct err *err)
{
	const struct leaving *d;

	qb_list_for_each_entry(d, &p->leaving, link)
		if (d->index == index && d->disk->in_flight > 0)
			return err_set(err, -EBUSY, "%s: old requests hang on it",
				       d->disk->name);
	return 0;
}

int plane_disk_open(struct sim_plane *p, uint32_t role, const struct metadata_view *v,
		    struct err *err)
{
	struct role *r = &p->roles[role];
	int index = sim_disks_index(p->config.disks, v->disks[role].path);

	if (check_hangs_not(p, index, err) < 0)
		return err->code;
	r->is_told = false;
	r->disk = sim_disks_open(p->config.disks, p->node->index, SIM_DISK_PLANE,
				 v->disks[role].path, err);
	r->index = index;
	if (r->disk && v->disks[role].state == METADATA_DISK_IN_SYNC)
		rules_disk(p->config.rules, p->node->index, r->index, true, true);
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
				   .events = v->events,
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
	static const struct mirror_ops ops = { .now = op_now, .disk_failed = mirror_failed,
					       .unreadable = mirror_cannot_read,
					       .corrected = mirror_has_corrected };
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
	c.max_read_errors = MIRROR_READ_ERRORS;
	p->mirror = mirror_new(&c, &ops, p, err);
	if (!p->mirror)
		return -ENOMEM;
	p->mend = (struct mend){ .intent = p->intent, .chunks = v->geo.chunks,
				 .chunk_sectors = v->geo.chunk_bytes / SECTOR,
				 .needs = places_are_needed, .owner = p };
	mirror_set_gate(p->mirror, false, p->lease); /* the intent has one from its beginning */
	return 0;
}

static int start(struct sim_plane *p, const struct plane_request *req, struct err *err)
{
	const struct metadata_view *v = req->view;
	int r = 0;

	p->raid_disks = v->raid_disks;
	p->number = req->slot;
	for (uint32_t i = 0; i < v->raid_disks && r == 0; i++)
		if (v->disks[i].state == METADATA_DISK_IN_SYNC)
			r = plane_disk_open(p, i, v, err);
	if (r == 0)
		r = load_slot(p, v, err);
	if (r == 0)
		r = make_intent(p, v, err);
	return r == 0 ? make_mirror(p, v, err) : r;
}

static void start_in_fiber(void *arg)
{
	struct sim_plane *p = arg;
	struct plane_request *req = p->starting;
	int r;

	if (p->mirror) {
		plane_refuse(p, req, -EBUSY, "it is started");
		return;
	}
	p->is_open = p->is_serving = p->is_stopped = p->is_settled = false;
	r = start(p, req, &req->err);
	if (p->is_dead)
		return;
	if (r < 0) {
		plane_take_apart(p);
	} else {
		/* the intent has a lease from its beginning */
		mirror_set_gate(p->mirror, p->is_open, p->lease);
		req->needed_chunks = intent_needed_count(p->intent);
		rules_started(p->config.rules, p->node->index, p->number);
	}
	plane_answer(p, req, r);
}

void plane_start(struct sim_plane *p, struct plane_request *req)
{
	p->starting = req;
	p->fiber = fiber_new(start_in_fiber, p);
	fiber_resume(p->fiber);
}

/* --- stop ---------------------------------------------------------------------------- */

/* Not from within a callback of what is freed. */
void plane_end_stop(struct sim_plane *p)
{
	struct plane_request *req = p->stopping;
	struct work *work, *next;

	p->stopping = NULL;
	plane_take_apart(p);
	if (p->is_dead)
		return;
	rules_stopped(p->config.rules, p->node->index);
	/* what waited for bits that may not be written any more */
	qb_list_for_each_entry_safe(work, next, &p->works, link)
		plane_work_over(work, -ESHUTDOWN);
	plane_answer(p, req, 0);
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

void plane_stop(struct sim_plane *p, struct plane_request *req)
{
	p->is_serving = false;
	p->stopping = req;
	p->stop = (struct mirror_request){ .done = stopped, .owner = p };
	mirror_stop(p->mirror, &p->stop);
}

/* Every disk fails at once, and what waits for one goes on, until nothing is left. */
void plane_wind_down(struct sim_plane *p)
{
	int patience = PATIENCE;

	if (!p->stopping) {
		p->is_stopped = false;
		p->stop = (struct mirror_request){ .done = stopped, .owner = p };
		mirror_stop(p->mirror, &p->stop);
	}
	intent_set_gate(p->intent, true, UINT64_MAX); /* nothing waits for a lease any more */
	while (!(p->is_stopped && plane_is_quiet(p)) && --patience > 0) {
		plane_hear_disks(p);
		for (uint32_t i = 0; i < p->raid_disks; i++)
			mirror_failure_known(p->mirror, i);
		p->wound_ns += SIM_MS; /* what failed is tried again after a while */
		mirror_advance(p->mirror, sim_clock(p->node) + p->wound_ns);
		intent_advance(p->intent, sim_clock(p->node) + p->wound_ns);
	}
	if (patience == 0) {
		fprintf(stderr, "sim: the plane of n%d does not come to an end\n",
			p->node->index + 1);
		abort();
	}
}
