/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A sweep goes over the whole array in windows, announced as those of a resync are: a check, a
 * repair, or the rebuild of a disk. One in the cluster at a time: who sweeps has `resync`, EX.
 * Whoever would check does not wait for that lock; who is to rebuild does, so that it is his
 * turn as soon as the one who rebuilds is dead, or leaves (B29).
 */
#include "mdclusterd/array/array_private.h"

#include <errno.h>
#include <string.h>

static void convert(struct array *a, enum array_sweep_step step, enum lock_mode mode,
		    uint32_t flags)
{
	int r = lockres_lock(&a->sweep.lock, mode, LOCK_CONVERT | flags, 0);

	if (r == 0)
		a->sweep.step = step;
	else if (r != -ESHUTDOWN && step == SWEEP_UNLOCK)
		a->is_broken = a->must_go = true; /* nobody else could sweep any more */
}

bool sweep_ask(struct array *a, enum plane_sync_kind kind, uint32_t flags)
{
	struct array_sweep *s = &a->sweep;

	s->kind = kind;
	s->is_cancelled = s->is_on = false;
	s->position = s->mismatch_sectors = 0;
	s->began_ns = array_now(a);
	convert(a, SWEEP_LOCK, LOCK_EX, flags);
	return s->step == SWEEP_LOCK;
}

bool sweep_is_ours(const struct array *a)
{
	return a->sweep.step == SWEEP_RUNS && !a->sweep.lock.is_pending;
}

void sweep_end(struct array *a)
{
	a->sweep.is_on = false;
	convert(a, SWEEP_UNLOCK, LOCK_NL, 0);
}

bool sweep_is_in_window(const struct array *a)
{
	return a->resync.is_syncing || !range_is_none(a->resync.current);
}

void sweep_break_off(struct array *a)
{
	if (a->resync.is_syncing && a->resync.kind == a->sweep.kind)
		a->plane->ops->cancel_sync(a->plane);
}

void sweep_synced(struct array *a, struct array_range range, const struct plane_request *req)
{
	a->sweep.position = range.high;
	a->sweep.mismatch_sectors += req->mismatch_sectors;
}

static void on_done(void *owner, struct lockres *lock, const struct lock_result *result)
{
	struct array *a = owner;
	struct array_sweep *s = &a->sweep;

	(void)lock;
	if (!s->has_null) {
		s->has_null = result->status == 0;
	} else if (s->step == SWEEP_LOCK) {
		s->step = result->status == 0 ? SWEEP_RUNS : SWEEP_NONE;
		if (s->kind == PLANE_REBUILD)
			rebuild_granted(a, result->status == 0);
		else
			scrub_granted(a, result->status == 0);
	} else {
		s->step = SWEEP_NONE;
	}
	array_go(a);
}

static const struct lockres_handlers handlers = { .done = on_done };

bool sweep_init(struct array *a, struct err *err)
{
	int r = lockres_init(&a->sweep.lock, a->space, "resync", strlen("resync"), &handlers,
			     a);

	if (r == 0) {
		a->sweep.is_initialised = true;
		r = lockres_lock(&a->sweep.lock, LOCK_NL, LOCK_EXPEDITE, 0);
	}
	if (r < 0)
		err_set(err, r, "the lock on resync cannot be made: %s", strerror(-r));
	return r == 0;
}

void sweep_fini(struct array *a)
{
	if (a->sweep.is_initialised)
		lockres_fini(&a->sweep.lock);
	a->sweep.is_initialised = false;
}
