/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Check and repair: windows over the whole array, announced as those of a resync are. One
 * in the cluster at a time: who scrubs has `resync`, EX.
 */
#include "mdclusterd/array/array_private.h"

#include <errno.h>
#include <string.h>

#include "bitmap/md_sb.h"

static void tell(struct array *a, enum array_event_kind kind, const char *text)
{
	array_tell_event(a, (struct array_event){
		.kind = kind,
		.bytes = a->scrub.mismatch_sectors * SECTOR_BYTES,
		.text = text,
	});
}

static void convert(struct array *a, enum array_scrub_step step, enum lock_mode mode,
		    uint32_t flags)
{
	int r = lockres_lock(&a->scrub.lock, mode, LOCK_CONVERT | flags, 0);

	if (r == 0)
		a->scrub.step = step;
	else if (r != -ESHUTDOWN && step == SCRUB_UNLOCK)
		a->is_broken = a->must_go = true; /* nobody else could scrub any more */
}

/* --- windows ------------------------------------------------------------------------------ */

void scrub_synced(struct array *a, struct array_range range, const struct plane_request *req)
{
	a->scrub.position = range.high;
	a->scrub.mismatch_sectors += req->mismatch_sectors;
}

void scrub_go(struct array *a)
{
	struct array_scrub *s = &a->scrub;
	bool is_busy = a->resync.is_syncing || !range_is_none(a->resync.current);

	if (a->ending || a->is_lost || a->is_broken)
		return;
	if (s->step != SCRUB_RUNS || is_busy || s->lock.is_pending ||
	    (!s->is_cancelled && s->position < a->view.sync_size))
		return;
	tell(a, ARRAY_EVENT_CHECK_FINISHED, s->is_cancelled ? "cancelled" : "");
	convert(a, SCRUB_UNLOCK, LOCK_NL, 0);
}

static void on_done(void *owner, struct lockres *lock, const struct lock_result *result)
{
	struct array *a = owner;
	struct array_scrub *s = &a->scrub;

	(void)lock;
	if (!s->has_null) {
		s->has_null = result->status == 0;
	} else if (s->step == SCRUB_LOCK && result->status == 0) {
		s->step = SCRUB_RUNS;
		tell(a, ARRAY_EVENT_CHECK_STARTED, s->is_repair ? "repair" : "check");
	} else {
		if (s->step == SCRUB_LOCK)
			tell(a, ARRAY_EVENT_CHECK_FINISHED, "another node runs one");
		s->step = SCRUB_NONE;
	}
	array_go(a);
}

static const struct lockres_handlers handlers = { .done = on_done };

/* --- from outside ------------------------------------------------------------------------- */

static int busy(const struct array *a, struct err *err)
{
	if (a->state != ARRAY_ACTIVE || a->ending)
		return err_set(err, -EBUSY, "%s: it is not active", a->name);
	if (a->scrub.step != SCRUB_NONE || !a->scrub.has_null)
		return err_set(err, -EBUSY, "%s: a %s runs here", a->name,
			       a->scrub.is_repair ? "repair" : "check");
	if (a->needed_chunks > 0)
		return err_set(err, -EBUSY, "%s: a resync runs here", a->name);
	for (int i = 0; i < ARRAY_MAX_NODES; i++)
		if (!range_is_none(a->slots[i].window))
			return err_set(err, -EBUSY, "%s: node %u resyncs or checks", a->name,
				       a->slots[i].node);
	if (disks_in_sync(a) < 2)
		return err_set(err, -EBUSY, "%s: one disk has nothing to be compared with",
			       a->name);
	return 0;
}

int array_check(struct array *a, bool is_repair, struct err *err)
{
	int r = busy(a, err);

	if (r < 0)
		return r;
	a->scrub.is_repair = is_repair;
	a->scrub.is_cancelled = false;
	a->scrub.position = a->scrub.mismatch_sectors = 0;
	a->scrub.began_ns = array_now(a);
	convert(a, SCRUB_LOCK, LOCK_EX, LOCK_NOQUEUE);
	if (a->scrub.step != SCRUB_LOCK)
		return err_set(err, -ESHUTDOWN, "%s: the lockspace takes no request", a->name);
	array_go(a);
	return 0;
}

void array_check_cancel(struct array *a)
{
	if (a->scrub.step != SCRUB_RUNS)
		return;
	a->scrub.is_cancelled = true;
	if (a->resync.is_syncing && a->resync.kind != PLANE_COPY)
		a->plane->ops->cancel_sync(a->plane);
	array_go(a);
}

/* --- life --------------------------------------------------------------------------------- */

bool scrub_init(struct array *a, struct err *err)
{
	int r = lockres_init(&a->scrub.lock, a->space, "resync", strlen("resync"), &handlers,
			     a);

	if (r == 0) {
		a->scrub.is_initialised = true;
		r = lockres_lock(&a->scrub.lock, LOCK_NL, LOCK_EXPEDITE, 0);
	}
	if (r < 0)
		err_set(err, r, "the lock on resync cannot be made: %s", strerror(-r));
	return r == 0;
}

void scrub_fini(struct array *a)
{
	if (a->scrub.is_initialised)
		lockres_fini(&a->scrub.lock);
	a->scrub.is_initialised = false;
}
