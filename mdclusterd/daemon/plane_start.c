/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* How a plane comes into being, and ends. */
#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "bitmap/disk.h"
#include "mdclusterd/daemon/cluster.h"
#include "mdclusterd/daemon/plane_private.h"

enum { SERVER_DRAIN_MS = 500 }; /* a stop does not wait for who reads no replies */
#define FIRST_BUDGET_BYTES (3ull << 30)

static uint64_t now_ns(void *owner)
{
	(void)owner;
	return clock_boot_ns();
}

static void mirror_met_a_failure(void *owner, uint32_t role, const struct err *why)
{
	struct plane_work *w = owner;

	w->ops->disk_failed(w->owner, role, why);
}

static void mirror_cannot_read(void *owner, uint64_t low, uint64_t high)
{
	struct plane_work *w = owner;

	mend_add(&w->mend, low, high);
	plane_kick(w);
}

static void places_are_needed(void *owner, uint64_t needed_chunks)
{
	struct plane_work *w = owner;

	w->ops->needs(w->owner, needed_chunks);
}

static void mirror_has_corrected(void *owner, uint32_t role, uint64_t low, uint64_t high,
				 uint64_t sectors)
{
	struct plane_work *w = owner;

	w->ops->corrected(w->owner, role, low, high, sectors);
}

/* The mirror knows what is to be done, and tells it. */
static void intent_met_a_failure(void *owner, uint32_t role, int error)
{
	struct plane_work *w = owner;

	mirror_intent_failed(w->mirror, role, error);
	plane_kick(w);
}

/* --- start ---------------------------------------------------------------------------------- */

static int open_disks(struct plane_work *w, const struct metadata_view *view,
		      struct err *err)
{
	int r = 0;

	w->raid_disks = view->raid_disks;
	for (uint32_t i = 0; r == 0 && i < view->raid_disks; i++)
		if (view->disks[i].state == METADATA_DISK_IN_SYNC)
			r = plane_disk_open(w, i, &view->disks[i], err);
	return r;
}

static int load_slot(struct plane_work *w, const struct plane_request *req, struct err *err)
{
	const struct metadata_view *view = req->view;
	struct bitmap_copy copies[METADATA_MAX_DISKS];
	size_t count = 0;
	int r = bitmap_slot_init(&w->slot, &view->geo, req->slot, err);

	if (r < 0)
		return r;
	w->has_slot = true;
	w->chunk_sectors = view->geo.chunk_bytes / 512;
	for (uint32_t i = 0; i < view->raid_disks; i++)
		if (w->disks[i])
			copies[count++] = (struct bitmap_copy){
				w->disks[i]->disk, view->disks[i].bitmap_start_bytes,
				view->uuid
			};
	return bitmap_slot_load(&w->slot, copies, count, true, err);
}

static int make_intent(struct plane_work *w, const struct metadata_view *view,
		       struct err *err)
{
	static const struct intent_ops ops = { .now = now_ns, .failed = intent_met_a_failure };
	struct intent_config c = {
		.slot = &w->slot,
		.count = view->raid_disks,
		.is_degraded = view->degraded > 0,
		.events = view->events,
		.budget_bytes = w->config.intent_budget_bytes ? w->config.intent_budget_bytes
							      : FIRST_BUDGET_BYTES,
	};

	for (uint32_t i = 0; i < view->raid_disks; i++)
		if (w->disks[i]) {
			c.copies[i].disk = w->disks[i]->disk;
			c.copies[i].start_bytes = view->disks[i].bitmap_start_bytes;
		}
	w->intent = intent_new(&c, &ops, w, err);
	return w->intent ? 0 : err->code;
}

static int make_mirror(struct plane_work *w, const struct metadata_view *view,
		       struct err *err)
{
	static const struct mirror_ops ops = {
		.now = now_ns,
		.disk_failed = mirror_met_a_failure,
		.unreadable = mirror_cannot_read,
		.corrected = mirror_has_corrected,
	};
	struct mirror_config c = {
		.level = view->level,
		.layout = view->layout,
		.chunk_sectors = view->chunk_sectors,
		.member_sectors = view->member_sectors,
		.raid_disks = view->raid_disks,
		.intent = w->intent,
		.bitmap_chunk_sectors = (uint32_t)w->chunk_sectors,
		.fails_when_shut = w->config.fails_without_quorum,
		.max_read_errors = w->config.max_read_errors,
	};

	for (uint32_t i = 0; i < view->raid_disks; i++)
		if (w->disks[i]) {
			c.disks[i].disk = w->disks[i]->disk;
			c.disks[i].data_offset = view->disks[i].data_offset;
			c.disks[i].is_rotational =
				plane_disk_is_rotational(view->disks[i].path);
		}
	w->mirror = mirror_new(&c, &ops, w, err);
	if (!w->mirror)
		return err->code;
	w->mend = (struct mend){
		.intent = w->intent,
		.chunks = view->geo.chunks,
		.chunk_sectors = w->chunk_sectors,
		.needs = places_are_needed,
		.owner = w,
	};
	mirror_set_speed(w->mirror, w->max_bytes);
	mirror_set_single_source(w->mirror, w->is_single_source);
	return 0;
}

static int join_parking(struct plane_work *w, struct err *err)
{
	struct volume *volume = mirror_volume(w->mirror);

	if (!w->has_parking)
		parking_init(&w->parking, volume, plane_kick, w);
	w->has_parking = true;
	if (parking_put(&w->parking, volume) < 0)
		return err_set(err, -EINVAL,
			       "the array is smaller than its clients know: stop it first");
	return 0;
}

static void free_all(struct plane_work *w)
{
	mirror_free(w->mirror);
	intent_free(w->intent);
	mend_fini(&w->mend);
	w->mirror = NULL;
	w->intent = NULL;
	if (w->has_slot)
		bitmap_slot_fini(&w->slot);
	w->has_slot = false;
	for (uint32_t i = 0; i < METADATA_MAX_DISKS; i++)
		plane_disk_leave(w, i);
	plane_close_leaving(w);
}

void plane_start(struct plane_work *w, struct plane_request *req)
{
	const struct metadata_view *view = req->view;
	int r = w->mirror ? err_set(&req->err, -EBUSY, "the data plane runs already") : 0;

	if (r < 0) {
		plane_refuse(w, req, r, "");
		return;
	}
	w->is_gate_open = false;
	r = open_disks(w, view, &req->err);
	if (r == 0)
		r = load_slot(w, req, &req->err);
	if (r == 0)
		r = make_intent(w, view, &req->err);
	if (r == 0)
		r = make_mirror(w, view, &req->err);
	if (r == 0)
		r = join_parking(w, &req->err);
	if (r < 0)
		free_all(w);
	else
		req->needed_chunks = intent_needed_count(w->intent);
	if (r == 0)
		plane_apply_gate(w); /* the intent has a lease from its beginning */
	plane_refuse(w, req, r, "");
}

/* --- serve ---------------------------------------------------------------------------------- */

static void server_is_closed(void *owner)
{
	struct plane_work *w = owner;

	w->is_server_closed = true;
	plane_kick(w);
}

void plane_serve(struct plane_work *w, struct plane_request *req)
{
	static const struct nbd_server_ops ops = { .closed = server_is_closed };
	const struct nbd_config c = {
		.socket_path = w->config.socket_path,
		.socket_mode = w->config.socket_mode,
		.socket_group = w->config.socket_group,
		.export_name = w->config.name,
		.drain_ms = SERVER_DRAIN_MS,
	};

	if (w->config.socket_path && !w->server)
		w->server = nbd_server_new(w->loop, &c, &w->parking.volume, &ops, w, &req->err);
	plane_refuse(w, req, req->err.code, "");
}

/* --- stop ------------------------------------------------------------------------------------- */

static void mirror_is_stopped(void *owner, struct mirror_request *req, int result)
{
	struct plane_step *step = owner;

	(void)req;
	(void)result;
	step->work->is_mirror_stopped = true;
	plane_kick(step->work);
}

static void intent_is_settled(void *owner, struct intent_request *req, int result)
{
	struct plane_step *step = owner;

	(void)req;
	(void)result; /* what is not cleared is resynced next time */
	step->work->is_settled = true;
	plane_kick(step->work);
}

static bool keeps_clients(const struct plane_request *req)
{
	return req->is_lost || req->keeps_clients;
}

static void end_stop(struct plane_work *w)
{
	struct plane_step *step = w->stop;
	struct qb_list_head *at, *next;

	w->stop = NULL;
	if (keeps_clients(step->req) && w->has_parking)
		parking_take(&w->parking);
	if (!keeps_clients(step->req)) {
		nbd_server_free(w->server);
		w->server = NULL;
		w->has_parking = false;
	}
	free_all(w);
	/* what waited for bits that may not be written any more */
	qb_list_for_each_safe(at, next, &w->steps)
		if (at != &step->link)
			plane_step_done(qb_list_entry(at, struct plane_step, link),
					-ESHUTDOWN);
	plane_step_done(step, 0);
}

bool plane_has_lease(const struct plane_work *w)
{
	return clock_boot_ns() < atomic_load(&w->lease->until_ns);
}

/* One thing after the other; called whenever something may have ended. */
void plane_go_on_stopping(struct plane_work *w)
{
	struct plane_step *step = w->stop;
	bool is_lost;

	if (!step || !w->is_mirror_stopped)
		return;
	is_lost = step->req->is_lost;
	if (w->intent && !is_lost && !step->intent.done) {
		step->intent.done = intent_is_settled;
		intent_settle(w->intent, &step->intent);
	}
	if (w->intent)
		intent_set_gate(w->intent, !is_lost, atomic_load(&w->lease->until_ns));
	/* without a lease nothing more is cleared; what is set is resynced some time */
	if (w->intent && !is_lost && !w->is_settled && plane_has_lease(w))
		return;
	if (w->intent && intent_has_io(w->intent))
		return;
	if (keeps_clients(step->req) || w->is_server_closed)
		end_stop(w);
}

void plane_stop(struct plane_work *w, struct plane_request *req)
{
	struct plane_step *step = plane_step_new(w, req);

	w->stop = step;
	w->is_gate_open = false;
	w->is_settled = false;
	w->is_server_closed = !w->server;
	w->is_mirror_stopped = !w->mirror;
	if (keeps_clients(req) && w->has_parking)
		parking_lose(&w->parking);
	if (!keeps_clients(req) && w->has_parking)
		parking_end(&w->parking);
	if (!keeps_clients(req) && w->server)
		nbd_server_close(w->server);
	if (w->mirror) {
		step->mirror.done = mirror_is_stopped;
		mirror_stop(w->mirror, &step->mirror);
	}
}
