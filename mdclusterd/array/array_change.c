/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Disks that people add and remove. All of it with TOKEN, one at a time:
 *
 *	add      PREPARE -> NEWDISK, all see it -> ADD, or REBUILD of one that was here before
 *	         -> the plane -> METADATA_UPDATED
 *	remove   REMOVE -> the plane -> METADATA_UPDATED -> REMOVE, all close it -> FORGET
 *
 * Who does not see a new disk says so, and it is no member of anything (UNPREPARE). What is in
 * the superblocks is said until all have heard it, by this node or, after its death, by D7; and
 * what was written on a part of them is in them, though it failed: so that is looked at first.
 */
#include "mdclusterd/array/array_private.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static bool is_add(const struct array_changing *c)
{
	return c->kind != ARRAY_REMOVE;
}

/* --- the end of it -------------------------------------------------------------------- */

static void answer(struct array_change *who, int result)
{
	who->done(who->owner, who, result);
}

static void tell(struct array *a)
{
	const struct array_changing *c = &a->change;

	array_tell_event(a, (struct array_event){
		.kind = is_add(c) ? ARRAY_EVENT_DISK_ADDED : ARRAY_EVENT_DISK_REMOVED,
		.role = c->number,
		.text = c->path,
	});
}

static void over(struct array *a, struct array_deed *d)
{
	struct array_changing *c = &a->change;
	struct array_change *who = c->who;

	if (d->why.code && c->step == CHANGE_TOKEN) {
		c->result = d->why.code;
		c->why = d->why;
	}
	if (c->is_written && !c->is_said) {
		array_retry(a, &c->retry, &d->why);
		return; /* it is said again */
	}
	if (c->is_written && !c->is_taken_back)
		tell(a);
	c->is_running = false;
	c->who = NULL;
	c->step = CHANGE_NONE;
	retry_fine(&c->retry);
	a->must_go = true;
	if (!who)
		return;
	who->number = c->number;
	who->is_re_added = c->is_re_add;
	who->err = c->why;
	answer(who, c->result);
}

static void end(struct array *a, int result, const struct err *why)
{
	struct array_changing *c = &a->change;

	c->result = result;
	c->why = result < 0 ? *why : (struct err)ERR_INIT;
	deed_end(a, &c->deed);
}

/* --- a disk that comes ------------------------------------------------------------------ */

static void prepare(struct array *a)
{
	struct array_changing *c = &a->change;

	c->step = CHANGE_PREPARE;
	c->deed.work.req = (struct metadata_request){
		.path = c->path,
		.is_forced = c->is_forced,
		.is_re_add = c->kind == ARRAY_RE_ADD,
		.is_spare = c->kind == ARRAY_ADD_SPARE,
	};
	deed_work(a, &c->deed, METADATA_PREPARE);
}

static void announce(struct array *a)
{
	struct array_changing *c = &a->change;
	const struct metadata_request *req = &c->deed.work.req;
	struct msg m = { .type = MSG_NEWDISK, .disk = req->number };

	c->step = CHANGE_ANNOUNCE;
	c->number = req->number;
	c->is_re_add = req->is_re_add;
	memcpy(c->uuid, req->device_uuid, sizeof(c->uuid));
	memcpy(m.uuid, c->uuid, sizeof(m.uuid));
	deed_say(a, &c->deed, &m);
}

static void undo(struct array *a, int result, const struct err *why)
{
	struct array_changing *c = &a->change;

	c->step = CHANGE_UNDO;
	c->result = result == -EREMOTEIO ? -ENODEV : result;
	c->why = *why;
	c->deed.work.req = (struct metadata_request){ .number = c->number };
	deed_work(a, &c->deed, METADATA_UNPREPARE);
}

/* --- what is written -------------------------------------------------------------------- */

static const struct metadata_disk *disk_of(const struct array *a)
{
	for (uint32_t i = 0; i < a->view.disk_count; i++)
		if (a->view.disks[i].dev_number == a->change.number && a->view.disks[i].path[0])
			return &a->view.disks[i];
	return NULL;
}

static void write(struct array *a)
{
	struct array_changing *c = &a->change;
	enum metadata_op op = METADATA_REMOVE;
	const struct metadata_disk *d = disk_of(a);

	c->was_spare = d && d->state == METADATA_DISK_SPARE;
	if (is_add(c))
		op = c->is_re_add ? METADATA_REBUILD : METADATA_ADD;
	c->step = CHANGE_WRITE;
	c->deed.work.req = (struct metadata_request){
		.number = c->number,
		.role = ARRAY_NO_ROLE,
		.is_re_add = c->is_re_add,
	};
	deed_work(a, &c->deed, op);
}

static void go_by_it(struct array_changing *c)
{
	c->is_written = true;
	c->step = CHANGE_PLANE;
	deed_plane(&c->deed);
}

static void written(struct array *a, int result, const struct err *why)
{
	struct array_changing *c = &a->change;

	c->role = c->deed.work.req.role;
	if (result == 0) {
		go_by_it(c);
	} else if (c->is_taken_back) {
		fail_want(a, c->role, false);
		deed_end(a, &c->deed);
	} else {
		c->step = CHANGE_LOOK;
		c->result = result;
		c->why = *why;
		c->deed.work.req = (struct metadata_request){ .role = METADATA_NO_ROLE };
		deed_work(a, &c->deed, METADATA_RELOAD);
	}
}

static bool is_so(struct array *a)
{
	struct array_changing *c = &a->change;
	const struct metadata_disk *d = disk_of(a);

	if (!is_add(c))
		return c->was_spare && !(d && d->state == METADATA_DISK_SPARE);
	if (!d || memcmp(d->device_uuid, c->uuid, sizeof(c->uuid)) != 0)
		return false;
	c->role = d->role;
	return d->state == METADATA_DISK_REBUILD || d->state == METADATA_DISK_IN_SYNC ||
	       (!c->is_re_add && d->state == METADATA_DISK_SPARE);
}

/* What the superblocks have by now, after a writing that failed. */
static void looked(struct array *a, int result)
{
	struct array_changing *c = &a->change;
	const struct err why = c->why;

	if (result == 0 && is_so(a)) {
		c->result = 0;
		c->why = (struct err)ERR_INIT;
		go_by_it(c);
	} else if (is_add(c)) {
		undo(a, c->result, &why);
	} else {
		end(a, c->result, &why);
	}
}

/* Nobody may take a disk for one that all write to: before TOKEN goes, it is none. */
static void take_back(struct array *a, const struct err *why)
{
	struct array_changing *c = &a->change;

	c->is_taken_back = true;
	c->result = -ENODEV;
	c->why = *why;
	c->step = CHANGE_WRITE;
	c->deed.work.req = (struct metadata_request){ .role = c->role };
	deed_work(a, &c->deed, METADATA_FAIL);
}

static void say(struct array *a)
{
	a->change.step = CHANGE_SAY;
	deed_say_updated(a, &a->change.deed);
}

/* Who refuses has heard it. */
static void said(struct array *a, int result, const struct err *why)
{
	struct array_changing *c = &a->change;
	const struct msg m = { .type = MSG_REMOVE, .disk = c->number };

	c->is_said = result == 0 || result == -EREMOTEIO;
	if (c->is_taken_back) {
		deed_end(a, &c->deed);
	} else if (result == -EREMOTEIO && c->is_re_add) {
		take_back(a, why);
	} else if (result < 0 || is_add(c)) {
		end(a, result, why);
	} else {
		c->step = CHANGE_FORGET;
		deed_say(a, &c->deed, &m);
	}
}

static void close_here(struct array *a)
{
	struct array_changing *c = &a->change;

	c->step = CHANGE_CLOSE;
	c->deed.work.req = (struct metadata_request){ .number = c->number };
	deed_work(a, &c->deed, METADATA_FORGET);
}

static void next(struct array *a, struct array_deed *d, int result)
{
	struct array_changing *c = &a->change;
	const struct err why = d->why;

	switch (c->step) {
	case CHANGE_TOKEN:
		if (c->is_written)
			say(a);
		else if (is_add(c))
			prepare(a);
		else
			write(a);
		break;
	case CHANGE_PREPARE:
		if (result < 0)
			end(a, result, &why);
		else
			announce(a);
		break;
	case CHANGE_ANNOUNCE:
		if (result < 0)
			undo(a, result, &why);
		else
			write(a);
		break;
	case CHANGE_WRITE:
		written(a, result, &why);
		break;
	case CHANGE_LOOK:
		looked(a, result);
		break;
	case CHANGE_PLANE: /* where it could not be told, that is tried again */
		say(a);
		break;
	case CHANGE_SAY:
		said(a, result, &why);
		break;
	case CHANGE_FORGET: /* who did not close it has it open, and that is all */
		close_here(a);
		break;
	case CHANGE_CLOSE:
		end(a, 0, NULL);
		break;
	case CHANGE_UNDO:
		deed_end(a, d);
		break;
	case CHANGE_NONE:
		break;
	}
}

/* --- beginning -------------------------------------------------------------------------- */

static void take(struct array *a, struct array_change *who)
{
	struct array_changing *c = &a->change;

	qb_list_del(&who->link);
	c->who = who;
	c->kind = who->kind;
	c->is_forced = who->is_forced;
	c->number = who->number;
	c->is_re_add = c->is_written = c->is_said = c->is_taken_back = false;
	c->result = 0;
	c->why = (struct err)ERR_INIT;
	snprintf(c->path, sizeof(c->path), "%s", who->path ? who->path : "");
	c->is_running = true;
}

void change_go(struct array *a)
{
	struct array_changing *c = &a->change;

	deed_go(a, &c->deed);
	if (a->state != ARRAY_ACTIVE || !deed_is_idle(&c->deed) || !retry_may(a, &c->retry))
		return;
	if (!c->is_running && !qb_list_empty(&c->waiting))
		take(a, qb_list_first_entry(&c->waiting, struct array_change, link));
	if (!c->is_running)
		return;
	c->deed.next = next;
	c->deed.ended = over;
	if (deed_begin(a, &c->deed))
		c->step = CHANGE_TOKEN;
}

int array_change(struct array *a, struct array_change *c, struct err *err)
{
	if (a->state != ARRAY_ACTIVE || a->ending)
		return err_set(err, -EAGAIN, "%s: it is not active here", a->name);
	c->err = (struct err)ERR_INIT;
	c->is_re_added = false;
	qb_list_add_tail(&c->link, &a->change.waiting);
	array_go(a);
	return 0;
}

void array_change_forget(struct array *a, struct array_change *c)
{
	if (a->change.who == c)
		a->change.who = NULL;
	else
		qb_list_del(&c->link);
}

void change_init(struct array *a)
{
	memset(&a->change, 0, sizeof(a->change));
	QB_INIT_LIST_HEAD(&a->change.waiting);
}

/* The array is not active any more: nobody knows what will come of it. */
void change_fini(struct array *a)
{
	struct array_changing *c = &a->change;
	struct qb_list_head all;
	struct array_change *who;

	QB_INIT_LIST_HEAD(&all);
	if (c->who)
		qb_list_add_tail(&c->who->link, &all);
	while (!qb_list_empty(&c->waiting)) {
		who = qb_list_first_entry(&c->waiting, struct array_change, link);
		qb_list_del(&who->link);
		qb_list_add_tail(&who->link, &all);
	}
	change_init(a);
	while (!qb_list_empty(&all)) {
		who = qb_list_first_entry(&all, struct array_change, link);
		qb_list_del(&who->link);
		err_set(&who->err, -ESHUTDOWN,
			"%s: it was stopped meanwhile: look whether the disk is in it", a->name);
		answer(who, -ESHUTDOWN);
	}
}
