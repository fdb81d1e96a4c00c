/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A disk that fails here (D9): TOKEN -> FAIL -> the plane's disks, the own slot's events ->
 * METADATA_UPDATED -> all know, so the writes that met it may be done. What another node
 * did meanwhile makes FAIL write nothing; the message goes out in any case, for that one's
 * may not have been heard by all yet. A step that fails gives TOKEN back, and comes again.
 *
 * Who hears of a failure writes without that disk from then on, and holds these writes
 * too: others may hear it later, and read there meanwhile what was acknowledged here. It
 * cannot see how the sender fared, who may die or give up as well; so it wants to say
 * METADATA_UPDATED once more itself, TOKEN -> METADATA_UPDATED, and then knows. Who starts
 * without a disk does the same before its gate opens. So no death of another can make a node
 * acknowledge too early, or wait for ever. That it need not come to that, whoever knows
 * says so with the TOKEN that it has: DISKS_GONE, which nothing depends on.
 */
#include "mdclusterd/array/array_private.h"

#include <errno.h>

#include "bitmap/md_sb.h"

static void again(struct array *a, const struct err *why)
{
	array_retry(a, &a->fail.retry, why);
	deed_end(a, &a->fail.deed);
}

static uint32_t failed_now(const struct array_fail *f)
{
	return f->role == ARRAY_NO_ROLE ? 0 : 1u << f->role;
}

bool fail_is_known(const struct array *a)
{
	return a->fail.gone == 0;
}

static void known(struct array *a, uint32_t roles)
{
	struct array_fail *f = &a->fail;
	uint32_t held = (f->by_plane | f->gone) & roles;

	for (; held != 0 && array_has_plane(a); held &= held - 1)
		a->plane->ops->failure_known(a->plane, (uint32_t)__builtin_ctz(held));
	f->waiting &= ~roles;
	f->by_plane &= ~roles;
	f->gone &= ~roles;
	retry_fine(&f->retry);
	a->must_go = true; /* GATHER waits for it */
}

/* --- steps ---------------------------------------------------------------------------------- */

static void write(struct array *a)
{
	struct array_fail *f = &a->fail;

	f->step = FAIL_WRITE;
	f->deed.work.req = (struct metadata_request){ .role = f->role };
	deed_work(a, &f->deed, METADATA_FAIL);
}

static void written(struct array *a, int result, const struct err *why)
{
	struct array_fail *f = &a->fail;

	if (result == -EBUSY) { /* the last one: its errors are its clients' */
		bool is_given_up = f->by_plane & failed_now(f);

		a->why = *why;
		known(a, failed_now(f));
		if (is_given_up)
			disks_again(a, f->role);
		deed_end(a, &f->deed);
	} else if (result < 0) {
		again(a, why);
	} else {
		f->step = FAIL_PLANE;
		deed_plane(&f->deed);
	}
}

static void say(struct array *a)
{
	struct array_fail *f = &a->fail;

	f->step = FAIL_SAY;
	f->said = f->gone | failed_now(f);
	deed_say_updated(a, &f->deed);
}

static void events_written(struct array *a, struct plane_request *req, int result)
{
	if (array_is_over(a))
		return;
	/* the bitmap's events may lag: what counts is that all know */
	if (result < 0 && result != -ESHUTDOWN)
		a->why = req->err;
	say(a);
}

static void write_events(struct array *a)
{
	struct array_fail *f = &a->fail;

	if (f->events.is_out || a->life_ask.is_out || a->reload.set_disk.is_out ||
	    !array_has_plane(a))
		return;
	a->plane_view = a->view;
	f->events.req = (struct plane_request){ .view = &a->plane_view };
	array_ask(a, &f->events, PLANE_EVENTS, events_written);
}

static void said(struct array *a, int result, const struct err *why)
{
	struct array_fail *f = &a->fail;
	const struct msg gone = { .type = MSG_DISKS_GONE, .disk = f->said };

	if (result < 0) {
		again(a, why);
		return;
	}
	known(a, f->said);
	f->step = FAIL_TELL;
	deed_say(a, &f->deed, &gone);
}

static void next(struct array *a, struct array_deed *d, int result)
{
	struct array_fail *f = &a->fail;
	const struct err why = d->why;

	switch (f->step) {
	case FAIL_TOKEN:
		if (f->role == ARRAY_NO_ROLE)
			say(a);
		else
			write(a);
		break;
	case FAIL_WRITE:
		written(a, result, &why);
		break;
	case FAIL_PLANE:
		if (result < 0)
			again(a, &why);
		else
			f->step = FAIL_EVENTS;
		a->must_go = true;
		break;
	case FAIL_SAY:
		said(a, result, &why);
		break;
	case FAIL_TELL: /* who has not heard it says METADATA_UPDATED itself */
		deed_end(a, d);
		break;
	case FAIL_EVENTS:
	case FAIL_NONE:
		break;
	}
}

static void ended(struct array *a, struct array_deed *d)
{
	if (a->fail.step == FAIL_TOKEN)
		array_retry(a, &a->fail.retry, &d->why);
	a->fail.step = FAIL_NONE;
	a->must_go = true;
}

/* --- beginning -------------------------------------------------------------------------------- */

void fail_go(struct array *a)
{
	struct array_fail *f = &a->fail;

	if (array_is_over(a))
		return;
	deed_go(a, &f->deed);
	if (f->step == FAIL_EVENTS)
		write_events(a);
	if (a->state == ARRAY_FROZEN)
		return; /* the next plane meets it, too */
	if (!deed_is_idle(&f->deed) || (f->waiting | f->gone) == 0 || !array_has_plane(a) ||
	    !retry_may(a, &f->retry))
		return;
	f->role = f->waiting ? (uint32_t)__builtin_ctz(f->waiting) : ARRAY_NO_ROLE;
	f->deed.next = next;
	f->deed.ended = ended;
	if (deed_begin(a, &f->deed))
		f->step = FAIL_TOKEN;
}

void fail_want(struct array *a, uint32_t role, bool by_plane)
{
	if (role >= METADATA_MAX_DISKS)
		return;
	a->fail.waiting |= 1u << role;
	if (by_plane)
		a->fail.by_plane |= 1u << role;
	a->must_go = true;
}

void fail_gone(struct array *a, uint32_t role)
{
	a->fail.gone |= 1u << role;
	a->must_go = true;
}

/* The sender has TOKEN, and all have handled what it said before: of what went here, so far. */
void fail_heard(struct array *a, uint32_t roles)
{
	struct array_fail *f = &a->fail;

	if (array_is_over(a))
		return;
	known(a, roles & f->gone);
	if ((f->waiting | f->gone) == 0 && f->step == FAIL_TOKEN && deed_forget(a, &f->deed))
		f->step = FAIL_NONE;
}

static void on_disk_failed(void *owner, uint32_t role, const struct err *why)
{
	struct array *a = owner;

	array_tell_event(a, (struct array_event){
		.kind = ARRAY_EVENT_DISK_FAILED,
		.role = role,
		.text = why->text,
	});
	fail_want(a, role, true);
	array_go(a);
}

static void on_differs(void *owner, uint64_t sector, uint64_t sectors)
{
	array_tell_event(owner, (struct array_event){
		.kind = ARRAY_EVENT_MISMATCH,
		.low = sector,
		.high = sector + sectors,
	});
}

static void on_needs(void *owner, uint64_t needed_chunks)
{
	struct array *a = owner;

	if (!array_has_plane(a))
		return;
	resync_set_needed(a, needed_chunks);
	array_go(a);
}

static void on_corrected(void *owner, uint32_t role, uint64_t low, uint64_t high,
			 uint64_t sectors)
{
	struct array *a = owner;

	array_tell_event(a, (struct array_event){
		.kind = ARRAY_EVENT_DISK_CORRECTED,
		.role = role,
		.low = low,
		.high = high,
		.bytes = sectors * SECTOR_BYTES,
		.text = role < METADATA_MAX_DISKS ? a->view.disks[role].path : "",
	});
}

const struct plane_handlers array_plane_handlers = {
	.disk_failed = on_disk_failed,
	.differs = on_differs,
	.needs = on_needs,
	.corrected = on_corrected,
};

int array_fail_disk(struct array *a, uint32_t role, struct err *err)
{
	const struct metadata_disk *d = NULL;

	if (!array_has_plane(a) || a->ending)
		return err_set(err, -EBUSY, "%s: it does not run", a->name);
	for (uint32_t i = 0; i < a->view.disk_count; i++)
		if (a->view.disks[i].role == role)
			d = &a->view.disks[i];
	if (role >= a->view.raid_disks || role >= METADATA_MAX_DISKS || !d)
		return err_set(err, -EINVAL, "%s: it has no disk %u", a->name, role);
	if (d->state != METADATA_DISK_IN_SYNC && d->state != METADATA_DISK_REBUILD)
		return err_set(err, -EINVAL, "%s: disk %u is not in use", a->name, role);
	if (d->state == METADATA_DISK_IN_SYNC && !metadata_is_enough(&a->view, role))
		return err_set(err, -EBUSY, "%s: disk %u is the last one in sync of its copies", a->name,
			       role);
	fail_want(a, role, false);
	array_go(a);
	return 0;
}
