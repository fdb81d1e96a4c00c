/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Check and repair: a sweep that people ask for. A disk that is to be rebuilt comes first. */
#include "mdclusterd/array/array_private.h"

#include <errno.h>

#include "bitmap/md_sb.h"

static bool is_scrub(const struct array *a)
{
	return a->sweep.kind != PLANE_REBUILD;
}

static bool is_repair(const struct array *a)
{
	return a->sweep.kind == PLANE_REPAIR;
}

static void tell(struct array *a, enum array_event_kind kind, const char *text)
{
	array_tell_event(a, (struct array_event){
		.kind = kind,
		.bytes = a->sweep.mismatch_sectors * SECTOR_BYTES,
		.text = text,
	});
}

void scrub_granted(struct array *a, bool is_granted)
{
	a->sweep.is_on = is_granted;
	if (is_granted)
		tell(a, ARRAY_EVENT_CHECK_STARTED, is_repair(a) ? "repair" : "check");
	else
		tell(a, ARRAY_EVENT_CHECK_FINISHED, "another node runs one");
}

static const char *ending(const struct array *a)
{
	if (rebuild_is_wanted(a))
		return "a disk is to be rebuilt first";
	return a->sweep.is_cancelled ? "cancelled" : "";
}

void scrub_go(struct array *a)
{
	struct array_sweep *s = &a->sweep;

	if (a->ending || a->is_lost || a->is_broken || !sweep_is_ours(a) || !is_scrub(a))
		return;
	if (rebuild_is_wanted(a) && !s->is_cancelled) {
		s->is_cancelled = true;
		sweep_break_off(a);
	}
	if (sweep_is_in_window(a) || (!s->is_cancelled && s->position < a->view.sync_size))
		return;
	tell(a, ARRAY_EVENT_CHECK_FINISHED, ending(a));
	sweep_end(a);
}

/* --- from outside ------------------------------------------------------------------------- */

static int busy(const struct array *a, struct err *err)
{
	if (a->state != ARRAY_ACTIVE || a->ending)
		return err_set(err, -EBUSY, "%s: it is not active", a->name);
	if (rebuild_is_wanted(a))
		return err_set(err, -EBUSY, "%s: a disk is rebuilt: that comes first", a->name);
	if (a->sweep.step != SWEEP_NONE || !a->sweep.has_null)
		return err_set(err, -EBUSY, "%s: a %s runs here", a->name,
			       is_repair(a) ? "repair" : "check");
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
	if (!sweep_ask(a, is_repair ? PLANE_REPAIR : PLANE_CHECK, LOCK_NOQUEUE))
		return err_set(err, -ESHUTDOWN, "%s: the lockspace takes no request", a->name);
	array_go(a);
	return 0;
}

void array_check_cancel(struct array *a)
{
	if (a->sweep.step != SWEEP_RUNS || !is_scrub(a))
		return;
	a->sweep.is_cancelled = true;
	sweep_break_off(a);
	array_go(a);
}
