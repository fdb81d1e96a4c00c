/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the cluster side asks of a plane that runs: bits, ranges, resync, numbers. */
#include <errno.h>
#include <inttypes.h>

#include "base/arith.h"
#include "base/clock.h"
#include "mdclusterd/daemon/plane_private.h"

enum { BUDGET_SECONDS = 30 };
#define LEAST_BUDGET_BYTES (256ull << 20)
#define MOST_BUDGET_BYTES  (64ull << 30)

static void mirror_has_answered(void *owner, struct mirror_request *req, int result)
{
	(void)req;
	plane_step_done(owner, result);
}

static void intent_has_answered(void *owner, struct intent_request *req, int result)
{
	struct plane_step *step = owner;

	(void)req;
	step->req->needed_chunks = intent_needed_count(step->work->intent);
	plane_step_done(step, result);
}

void plane_need(struct plane_work *w, struct plane_request *req)
{
	struct plane_step *step = plane_step_new(w, req);

	step->intent.done = intent_has_answered;
	intent_need(w->intent, req->bits, &step->intent);
}

void plane_events(struct plane_work *w, struct plane_request *req)
{
	struct plane_step *step = plane_step_new(w, req);

	step->intent.done = intent_has_answered;
	intent_set_events(w->intent, req->view->events, &step->intent);
}

void plane_suspend(struct plane_work *w, struct plane_request *req)
{
	struct plane_step *step = plane_step_new(w, req);

	step->mirror.done = mirror_has_answered;
	mirror_suspend(w->mirror, req->slot, req->low, req->high, &step->mirror);
}

void plane_drain(struct plane_work *w, struct plane_request *req)
{
	struct plane_step *step = plane_step_new(w, req);

	w->is_gate_open = false;
	step->mirror.done = mirror_has_answered;
	mirror_drain(w->mirror, &step->mirror);
}

void plane_window(struct plane_work *w, struct plane_request *req)
{
	struct mirror_look look;

	mirror_look(w->mirror, &look);
	req->was_busy = look.is_busy;
	req->low = mirror_window(w->mirror, req->low, req->bytes, PLANE_SPAN_BYTES,
				 &req->high);
	req->needed_chunks = intent_needed_count(w->intent);
	plane_refuse(w, req, 0, "");
}

/* --- resync --------------------------------------------------------------------------------- */

/* What a crash may leave dirty is what this disk resyncs in half a minute. */
static void measure(struct plane_work *w, const struct mirror_sync *sync)
{
	uint64_t took = sync->ended_ns - sync->began_ns, rate;

	if (w->config.intent_budget_bytes || took < NS_PER_MS || sync->copied_sectors == 0)
		return;
	rate = sync->copied_sectors * 512 / (took / NS_PER_MS) * 1000;
	intent_set_budget(w->intent, min_u64(max_u64(rate * BUDGET_SECONDS, LEAST_BUDGET_BYTES),
					     MOST_BUDGET_BYTES));
}

static void sync_is_done(void *owner, struct mirror_sync *sync, int result)
{
	struct plane_step *step = owner;
	struct plane_work *w = step->work;
	struct plane_request *req = step->req;
	struct mirror_look look;

	w->sync = NULL;
	mirror_look(w->mirror, &look);
	req->position = sync->position;
	req->copied_sectors = sync->copied_sectors;
	req->mismatch_sectors = sync->mismatch_sectors;
	req->took_ns = sync->ended_ns - sync->began_ns;
	req->write_p99_ns = look.write_p99_ns;
	req->was_busy = sync->was_busy;
	req->needed_chunks = intent_needed_count(w->intent);
	if (result == 0)
		measure(w, sync);
	if (result == -EIO && sync->unread_sectors > 0 && req->kind == PLANE_REBUILD)
		result = err_set(&req->err, -ENODATA,
				 "%" PRIu64 " sectors, from sector %" PRIu64
				 " on, can be read on no disk: a disk cannot be recovered to before somebody has written them",
				 sync->unread_sectors, sync->unread_low);
	else if (result == -EIO && sync->unread_sectors > 0)
		err_set(&req->err, result,
			"%" PRIu64 " sectors, from sector %" PRIu64
			" on, can be read on no disk: they are resynced when somebody has written them",
			sync->unread_sectors, sync->unread_low);
	plane_step_done(step, result);
}

static void it_differs(void *owner, struct mirror_sync *sync, uint64_t sector,
		       uint64_t sectors)
{
	struct plane_step *step = owner;

	(void)sync;
	step->work->ops->differs(step->work->owner, sector, sectors);
}

void plane_sync(struct plane_work *w, struct plane_request *req)
{
	static const enum mirror_sync_kind kinds[] = {
		[PLANE_COPY] = MIRROR_SYNC_COPY,
		[PLANE_COMPARE] = MIRROR_SYNC_COMPARE,
		[PLANE_CHECK] = MIRROR_SYNC_CHECK,
		[PLANE_REPAIR] = MIRROR_SYNC_REPAIR,
		[PLANE_REBUILD] = MIRROR_SYNC_REBUILD,
	};
	struct plane_step *step = plane_step_new(w, req);
	int r;

	step->sync.kind = kinds[req->kind];
	step->sync.low = req->low;
	step->sync.high = req->high;
	step->sync.done = sync_is_done;
	step->sync.differs = it_differs;
	r = mirror_sync_begin(w->mirror, &step->sync);
	if (r < 0)
		plane_step_done(step, r);
	else
		w->sync = step;
}

/* --- looking --------------------------------------------------------------------------------- */

static void look_at_mirror(const struct plane_work *w, struct plane_look *look)
{
	struct mirror_look m;

	mirror_look(w->mirror, &m);
	look->is_gate_open = m.is_gate_open;
	look->is_single_source = m.is_single_source;
	look->is_drained = m.is_drained;
	for (uint32_t i = 0; i < METADATA_MAX_DISKS; i++) {
		look->disks[i].reads = m.disks[i].reads;
		look->disks[i].writes = m.disks[i].writes;
		look->disks[i].read_bytes = m.disks[i].read_bytes;
		look->disks[i].written_bytes = m.disks[i].written_bytes;
		look->disks[i].errors = m.disks[i].errors;
		look->disks[i].read_errors = m.disks[i].read_errors;
		look->disks[i].corrected_sectors = m.disks[i].corrected_sectors;
		look->disks[i].recent_errors = m.disks[i].recent_errors;
		look->disks[i].oldest_ns = m.disks[i].oldest_ns;
		look->disks[i].in_flight = m.disks[i].in_flight;
	}
	look->in_flight = m.in_flight;
	look->parked_gate = m.parked_gate;
	look->parked_suspended = m.parked_suspended;
	look->held_by_failure = m.held_by_failure;
	look->parked_since_ns = m.parked_since_ns;
	look->write_p99_ns = m.write_p99_ns;
	look->sync_sectors = m.sync_sectors;
}

static void look_at_intent(const struct plane_work *w, struct plane_look *look)
{
	struct intent_stats s;

	intent_look(w->intent, &s);
	look->dirty_bytes = s.dirty_bytes;
	look->needed_bytes = s.needed_chunks * w->chunk_sectors * 512;
	look->intent_hits = s.hits;
	look->intent_misses = s.misses;
	look->intent_page_writes = s.page_writes;
}

void plane_look(struct plane_work *w, struct plane_request *req)
{
	struct plane_look *look = req->look;
	struct nbd_server_look server;

	*look = (struct plane_look){ 0 };
	if (w->mirror)
		look_at_mirror(w, look);
	if (w->intent)
		look_at_intent(w, look);
	if (w->has_parking)
		look->parked_gate += w->parking.count;
	if (w->server) {
		nbd_server_look(w->server, &server);
		look->clients = server.clients;
	}
	plane_refuse(w, req, 0, "");
}
