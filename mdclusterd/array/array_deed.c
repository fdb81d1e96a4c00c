/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A deed: what is done with TOKEN, one thing after the other. Its owner is told what each
 * came to (next), and says what comes now: metadata are written, the plane goes by what they
 * say, all are told; or it is at its end. One that is cut short by the end of this life
 * says nothing any more: join_forget() forgets it.
 */
#include "mdclusterd/array/array_private.h"

#include <errno.h>

bool deed_is_idle(const struct array_deed *d)
{
	return d->step == DEED_NONE;
}

static void next(struct array *a, struct array_deed *d, int result, const struct err *why)
{
	d->step = DEED_THINKS;
	if (result < 0)
		d->why = *why;
	d->next(a, d, result);
}

/* --- TOKEN ------------------------------------------------------------------------------ */

static void on_begun(void *owner, struct msg_compound *c, const struct msg_result *result)
{
	struct array_deed *d = owner;
	struct array *a = d->array;

	(void)c;
	if (array_is_over(a))
		return;
	if (result->status == 0) {
		next(a, d, 0, NULL);
	} else {
		d->step = DEED_NONE;
		d->why = result->why;
		d->ended(a, d);
	}
	array_go(a);
}

static void on_ended(void *owner, struct msg_compound *c, int status)
{
	struct array_deed *d = owner;
	struct array *a = d->array;

	(void)c;
	(void)status;
	if (array_is_over(a))
		return;
	d->step = DEED_NONE;
	d->ended(a, d);
	array_go(a);
}

bool deed_begin(struct array *a, struct array_deed *d)
{
	struct err err = ERR_INIT;

	if (array_is_over(a) || d->step != DEED_NONE || !array_may_say(a))
		return false;
	d->array = a;
	d->why = (struct err)ERR_INIT;
	d->compound = (struct msg_compound){
		.begun = on_begun,
		.ended = on_ended,
		.owner = d,
	};
	if (msg_compound_begin(a->channel, &d->compound, &err) < 0)
		return false;
	d->step = DEED_TOKEN;
	return true;
}

void deed_end(struct array *a, struct array_deed *d)
{
	d->step = DEED_END;
	msg_compound_end(a->channel, &d->compound);
}

/* --- metadata, plane -------------------------------------------------------------------- */

static struct array_deed *of_work(struct metadata_request *req)
{
	struct array_work *work = req->owner;

	return (struct array_deed *)((char *)work - offsetof(struct array_deed, work));
}

static void worked(struct array *a, struct metadata_request *req, int result)
{
	struct array_deed *d = of_work(req);

	if (array_is_over(a))
		return;
	if (result == 0 && req->view && req->view->disk_count > 0)
		disks_take_view(a, req->view);
	d->ticket = a->reload.loaded;
	next(a, d, result, &req->err);
}

void deed_work(struct array *a, struct array_deed *d, enum metadata_op op)
{
	d->step = DEED_WORK;
	d->work.view.disk_count = 0; /* of an op that gives no view */
	d->work.req.view = &d->work.view;
	array_work(a, &d->work, op, worked);
}

void deed_plane(struct array_deed *d)
{
	d->step = DEED_PLANE;
	d->array->must_go = true;
}

void deed_go(struct array *a, struct array_deed *d)
{
	if (d->step != DEED_PLANE || array_is_over(a))
		return;
	if (reload_is_done(a, d->ticket))
		next(a, d, 0, NULL);
	else if (reload_has_failed(a, d->ticket))
		next(a, d, -EIO, &a->reload.why);
}

/* --- messages --------------------------------------------------------------------------- */

static void on_said(void *owner, struct msg_send *send, const struct msg_result *result)
{
	struct array_deed *d = owner;
	struct array *a = d->array;

	(void)send;
	if (array_is_over(a))
		return;
	next(a, d, result->status, &result->why);
	array_go(a);
}

void deed_say(struct array *a, struct array_deed *d, const struct msg *m)
{
	struct err err = ERR_INIT;
	int r;

	d->step = DEED_SAY;
	d->send = (struct msg_send){ .message = *m, .done = on_said, .owner = d };
	r = msg_compound_send(a->channel, &d->compound, &d->send, &err);
	if (r < 0)
		next(a, d, r, &err);
}

void deed_say_updated(struct array *a, struct array_deed *d)
{
	const struct msg m = { .type = MSG_METADATA_UPDATED, .disk = disks_good_one(a) };

	deed_say(a, d, &m);
}

void deed_abandon(struct array *a, struct array_deed *d)
{
	if (d->step != DEED_NONE)
		(void)msg_compound_cancel(a->channel, &d->compound);
}

bool deed_forget(struct array *a, struct array_deed *d)
{
	if (d->step != DEED_TOKEN || msg_compound_cancel(a->channel, &d->compound) != 0)
		return false;
	d->step = DEED_NONE;
	return true;
}
