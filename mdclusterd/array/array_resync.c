/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Windows (V5): one is copied while the next is announced, so that the others drain for
 * it meanwhile. What is announced is one range, from the low end of the one that is copied
 * to the high end of the next; so where the next one is far off, it is announced alone,
 * when its time comes: never more than a few windows are suspended at once (B3).
 *
 * Chunks that are needed come before a sweep. Windows of others are kept clear of: what is
 * under one of them is looked for again later; where two cross, who was acknowledged first
 * refuses the other (array_messages.c), which then tells its old range again, and waits.
 *
 * What a node had under way when it died is little of what its bits cover: of a few needed
 * chunks all copies are read, and only what differs is written. Where most of the array is
 * needed, as one that never was in sync, or where a window has shown that most of it differs,
 * the source is copied unseen.
 *
 * Nothing is copied while there is nothing to copy to: what is needed stays needed. While
 * applications are at work there are pauses between windows, and none is announced ahead.
 */
#include "mdclusterd/array/array_private.h"

#include <errno.h>
#include <string.h>

#include "base/arith.h"
#include "bitmap/md_sb.h"

static const struct array_range none;

static uint64_t chunk_sectors(const struct array *a)
{
	return a->view.geo.chunk_bytes / SECTOR_BYTES;
}

static bool is_sweep(const struct array *a)
{
	return a->resync.kind != PLANE_COPY;
}

static bool wants_resync(const struct array *a)
{
	return a->needed_chunks > 0 && disks_in_sync(a) >= 2;
}

static bool wants_sweep(const struct array *a)
{
	return a->sweep.step == SWEEP_RUNS && a->sweep.is_on && !a->sweep.is_cancelled &&
	       disks_in_sync(a) >= 2;
}

static bool may_run(const struct array *a)
{
	return a->is_gate_open && !a->ending;
}

bool resync_holds(const struct array *a, struct array_range r)
{
	return range_overlaps(a->tell.held, r);
}

void resync_set_needed(struct array *a, uint64_t chunks)
{
	if (chunks < a->needed_chunks)
		a->resync.done_chunks += a->needed_chunks - chunks;
	a->needed_chunks = chunks;
}

/* --- the size of a window ------------------------------------------------------------------- */

static uint64_t bytes_within(uint64_t ns, uint64_t speed_bytes)
{
	return (uint64_t)((double)speed_bytes * (double)ns / 1e9);
}

static uint64_t window_ns(const struct array *a)
{
	return a->resync.is_busy ? ARRAY_BUSY_WINDOW_NS : ARRAY_WINDOW_NS;
}

/*
 * What was measured in other times may be too much now: the limit has changed, or
 * applications have come.
 */
static uint64_t window_bytes(struct array *a)
{
	struct array_resync *r = &a->resync;
	uint64_t bytes;

	if (r->window_bytes == 0)
		r->window_bytes = ARRAY_FIRST_WINDOW_BYTES;
	bytes = min_u64(r->window_bytes, bytes_within(window_ns(a), a->max_speed_bytes));
	if (r->is_busy && r->speed_bytes)
		bytes = min_u64(bytes, bytes_within(window_ns(a), r->speed_bytes));
	return round_up(max_u64(bytes, ARRAY_MIN_WINDOW_BYTES), a->view.geo.chunk_bytes);
}

/* What was done in a window: of a resync the chunks that were needed, however far apart. */
static uint64_t done_bytes(const struct array *a, struct array_range range,
			   const struct plane_request *req)
{
	if (is_sweep(a))
		return (range.high - range.low) * SECTOR_BYTES;
	if (req->needed_chunks >= a->resync.needed_before)
		return 0; /* as many have come meanwhile */
	return (a->resync.needed_before - req->needed_chunks) * a->view.geo.chunk_bytes;
}

static void adapt(struct array *a, struct array_range range, const struct plane_request *req)
{
	struct array_resync *r = &a->resync;
	uint64_t bytes = done_bytes(a, range, req), wanted;

	if (req->took_ns == 0 || bytes == 0)
		return;
	r->speed_bytes = (uint64_t)((double)bytes * 1e9 / (double)req->took_ns);
	wanted = bytes_within(window_ns(a), r->speed_bytes);
	if (req->write_p99_ns > ARRAY_WRITES_SUFFER_NS)
		wanted = min_u64(wanted, r->window_bytes / 2);
	if (bytes < r->window_bytes / 2 && wanted > bytes)
		return; /* the rest of a pass says little */
	wanted = max_u64(r->window_bytes / 2, min_u64(wanted, 2 * r->window_bytes));
	r->window_bytes = max_u64(ARRAY_MIN_WINDOW_BYTES,
				  min_u64(wanted, ARRAY_MAX_WINDOW_BYTES));
}

/*
 * While applications are at work, min_speed_bytes a second on average. The pause is between
 * two windows, when nothing is announced: within one, others may be waiting for its end.
 */
static void pace(struct array *a, const struct plane_request *req)
{
	struct array_resync *r = &a->resync;
	uint64_t bytes = req->copied_sectors * SECTOR_BYTES, ns;

	if (!r->is_busy)
		return;
	ns = (uint64_t)((double)bytes * 1e9 / (double)a->min_speed_bytes);
	if (ns > req->took_ns)
		r->pause_until_ns = array_now(a) + ns - req->took_ns;
}

static bool is_pausing(const struct array *a)
{
	const struct array_resync *r = &a->resync;

	return r->is_busy && (!range_is_none(r->current) ||
			       array_now(a) < r->pause_until_ns);
}

/* --- finding the next one ----------------------------------------------------------------- */

/* All that is left is under windows of others, or could not be read: later. */
static void look_later(struct array *a)
{
	a->resync.position = 0;
	if (a->resync.is_wrapped)
		retry_later(a, &a->resync.retry);
	a->resync.is_wrapped = true;
}

/* What of the range is clear of others; `behind`: where to go on if nothing is. */
static struct array_range clear_of_others(const struct array *a, struct array_range r,
					  uint64_t *behind)
{
	for (uint32_t i = 0; i < a->view.geo.nodes; i++) {
		struct array_range w = a->slots[i].window;

		if ((int)i == a->our_slot || range_is_none(w) || !range_overlaps(r, w))
			continue;
		if (round_down(w.low, chunk_sectors(a)) > r.low) {
			r.high = round_down(w.low, chunk_sectors(a));
		} else {
			*behind = round_up(w.high, chunk_sectors(a));
			return none;
		}
	}
	return r;
}

static void chosen(struct array *a, struct array_range found)
{
	struct array_resync *r = &a->resync;
	uint64_t behind = found.high;
	struct array_range range = clear_of_others(a, found, &behind);

	if (!range_is_none(range)) {
		r->next = range;
		r->position = range.high;
	} else if (is_sweep(a)) {
		retry_later(a, &r->retry);
	} else if (behind >= a->view.sync_size) {
		look_later(a);
	} else {
		r->position = behind;
	}
}

static void window_found(struct array *a, struct plane_request *req, int result)
{
	struct array_resync *r = &a->resync;

	if (result < 0) {
		if (array_has_plane(a))
			array_retry(a, &r->retry, &req->err);
		return;
	}
	resync_set_needed(a, req->needed_chunks);
	r->is_busy = req->was_busy;
	if (!may_run(a) || is_sweep(a) || !range_is_none(r->next))
		return;
	if (req->low < req->high)
		chosen(a, (struct array_range){ req->low, req->high });
	else if (!range_is_none(r->current))
		r->is_exhausted = true;
	else if (req->needed_chunks > 0)
		look_later(a);
}

static void look_for_next(struct array *a)
{
	struct array_resync *r = &a->resync;
	uint64_t low = a->sweep.position;

	if (!range_is_none(r->next) || r->window.is_out || r->is_exhausted ||
	    is_pausing(a) || !retry_may(a, &r->retry))
		return;
	if (is_sweep(a)) {
		low = max_u64(low, r->current.high);
		if (low < a->view.sync_size)
			chosen(a, (struct array_range){
				low, min_u64(low + window_bytes(a) / SECTOR_BYTES,
					     a->view.sync_size) });
		return;
	}
	/* the one that is copied is needed still: what is new below it comes next time */
	r->window.req = (struct plane_request){
		.low = max_u64(r->position, r->current.high),
		.bytes = window_bytes(a),
	};
	array_ask(a, &r->window, PLANE_WINDOW, window_found);
}

/* --- copying ------------------------------------------------------------------------------ */

static bool is_mostly_different(const struct plane_request *req)
{
	return req->kind == PLANE_COMPARE && req->copied_sectors > (req->high - req->low) / 2;
}

/* All was gone through, but what no disk can read: it comes again when all else is done. */
static void synced_in_part(struct array *a, const struct plane_request *req)
{
	struct array_resync *r = &a->resync;

	a->why = req->err;
	if (req->needed_chunks < r->needed_before)
		r->is_wrapped = false;
	if (!r->is_unread)
		array_tell_event(a, (struct array_event){
			.kind = ARRAY_EVENT_RETRY,
			.text = req->err.text,
		});
	r->is_unread = true;
}

static void synced(struct array *a, struct plane_request *req, int result)
{
	struct array_resync *r = &a->resync;
	struct array_range range = r->current;

	r->is_syncing = r->is_exhausted = false;
	r->current = none;
	if (result != -ESHUTDOWN)
		resync_set_needed(a, req->needed_chunks);
	if (result == 0) {
		if (is_mostly_different(req))
			r->compares = false;
		r->is_wrapped = false;
		r->is_busy = req->was_busy;
		a->rebuild.unread_tries = 0;
		retry_fine(&r->retry);
		adapt(a, range, req);
		pace(a, req);
	} else if (result == -ECANCELED) {
		r->position = min_u64(r->position, range.low);
	} else if (result == -EIO && req->position == req->high && !is_sweep(a)) {
		synced_in_part(a, req);
	} else if (result == -ENODATA && req->kind == PLANE_REBUILD) {
		rebuild_unread(a, &req->err);
	} else if (array_has_plane(a)) {
		array_retry(a, &r->retry, &req->err);
	}
	if (result < 0 && req->kind == PLANE_REBUILD)
		r->next = none; /* this one again */
	/* what cannot be read is no reason to end a check; a rebuild must have it */
	if (is_sweep(a) && result != -ECANCELED && (result == 0 || req->kind != PLANE_REBUILD))
		sweep_synced(a, range, req);
}

static void sync(struct array *a)
{
	struct array_resync *r = &a->resync;

	r->current = r->next;
	r->next = none;
	r->is_syncing = true;
	r->needed_before = a->needed_chunks;
	r->sync.req = (struct plane_request){
		.low = r->current.low,
		.high = r->current.high,
		.kind = r->kind == PLANE_COPY && r->compares ? PLANE_COMPARE : r->kind,
	};
	array_ask(a, &r->sync, PLANE_SYNC, synced);
}

/* --- what is announced --------------------------------------------------------------------- */

static void announce(struct array *a)
{
	struct array_resync *r = &a->resync;
	uint64_t most = 3 * window_bytes(a) / SECTOR_BYTES;
	struct array_range want = r->current;

	if (range_is_none(want))
		want = r->next;
	else if (!range_is_none(r->next) && r->next.high - want.low <= most)
		want.high = r->next.high;
	a->tell.want = want;
}

/* It was refused, or given up: the range of before is told again, at once. */
static void give_up_next(struct array *a)
{
	struct array_resync *r = &a->resync;

	a->tell.is_refused = false;
	if (range_is_none(r->next))
		return;
	r->position = min_u64(r->position, r->next.low);
	r->next = none;
	retry_fine(&a->tell.retry);
	retry_later(a, &r->retry);
}

/* --- beginning and end ---------------------------------------------------------------------- */

static void begin(struct array *a, enum plane_sync_kind kind)
{
	struct array_resync *r = &a->resync;

	r->kind = kind;
	r->next = none;
	r->position = 0;
	r->is_wrapped = false;
	if (is_sweep(a) || r->is_running)
		return;
	r->is_running = true;
	r->is_unread = false;
	r->compares = a->needed_chunks <= a->view.geo.chunks / 2;
	r->done_chunks = 0;
	r->began_ns = array_now(a);
	array_tell_event(a, (struct array_event){
		.kind = ARRAY_EVENT_RESYNC_STARTED,
		.bytes = a->needed_chunks * a->view.geo.chunk_bytes,
	});
}

static void finish(struct array *a)
{
	struct array_resync *r = &a->resync;

	if (!r->is_running || a->needed_chunks > 0 || !range_is_none(r->current))
		return;
	r->is_running = false;
	array_tell_event(a, (struct array_event){
		.kind = ARRAY_EVENT_RESYNC_FINISHED,
		.bytes = r->done_chunks * a->view.geo.chunk_bytes,
	});
}

void resync_go(struct array *a)
{
	struct array_resync *r = &a->resync;
	bool is_wanted = wants_resync(a) || wants_sweep(a);
	enum plane_sync_kind kind = wants_resync(a) ? PLANE_COPY : a->sweep.kind;

	finish(a);
	if (!may_run(a))
		return;
	if (a->tell.is_refused)
		give_up_next(a);
	if (!is_wanted)
		r->next = none;
	else if (range_is_none(r->current) &&
		 (r->kind != kind || (kind == PLANE_COPY && !r->is_running)))
		begin(a, kind);
	if (!range_is_none(r->next) && range_is_none(r->current) &&
	    range_holds(a->tell.held, r->next))
		sync(a);
	if (is_wanted && r->kind == kind)
		look_for_next(a);
	announce(a);
}
