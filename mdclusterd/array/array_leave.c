/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The end of a life, with one order of steps: the gate is shut (array_go() did that first),
 * the plane drained, what is left over said, the plane stopped, the disks closed, the
 * lockspace closed. After a loss (V8) nothing is said, and nothing is written from the drain on;
 * then ASSEMBLE comes again. Messages of others are handled until the end, so that nobody
 * waits for who leaves (B15, B16); what it has to say itself it says for ARRAY_LAST_WORDS_NS
 * at most (V7): who was not told finds the bits all the same (array_members.c).
 *
 * A lockspace closes when its members can know. Without quorum nobody does, and a leave may
 * come to nothing where partitions meet; so who stops waits for that in the background,
 * with all else closed. Until the others know, this node is one that is missing: they recover
 * its slot as one of the dead, or as one that left, and find its bits on the disks either way.
 */
#include "mdclusterd/array/array_private.h"

#include <errno.h>
#include <string.h>

static bool is_cut_off(const struct array *a)
{
	return a->is_lost || a->is_broken || a->ending == END_LOST;
}

/* --- giving up what is under way ------------------------------------------------------------- */

static void abandon(struct array *a)
{
	if (a->resync.is_syncing)
		a->plane->ops->cancel_sync(a->plane);
	if (!a->is_ready || is_cut_off(a))
		return;
	if (a->tell.is_saying && msg_cancel(a->channel, &a->tell.send) == 0)
		a->tell.is_saying = false;
	deed_abandon(a, &a->activate.deed);
	deed_abandon(a, &a->fail.deed);
	deed_abandon(a, &a->change.deed);
	deed_abandon(a, &a->rebuild.deed);
	deed_abandon(a, &a->grow.deed);
}

/* --- steps ------------------------------------------------------------------------------------ */

static void drained(struct array *a, struct plane_request *req, int result)
{
	(void)req;
	(void)result;
	a->is_drained = true;
	a->leave.step = is_cut_off(a) || !a->is_ready ? LEAVE_STOP : LEAVE_COUNT;
}

static void drain(struct array *a)
{
	a->leave.step = LEAVE_DRAIN;
	a->leave.ask.req = (struct plane_request){ 0 };
	array_ask(a, &a->leave.ask, PLANE_DRAIN, drained);
}

static void counted(struct array *a, struct plane_request *req, int result)
{
	if (result == 0)
		resync_set_needed(a, req->needed_chunks);
	a->leave.until_ns = array_now(a) + ARRAY_LAST_WORDS_NS;
	a->leave.step = a->needed_chunks > 0 ? LEAVE_SAY : LEAVE_STOP;
}

static void count(struct array *a)
{
	if (a->leave.ask.is_out)
		return;
	a->leave.ask.req = (struct plane_request){ .bytes = a->view.geo.chunk_bytes };
	array_ask(a, &a->leave.ask, PLANE_WINDOW, counted);
}

static void on_said(void *owner, struct msg_send *send, const struct msg_result *result)
{
	struct array *a = owner;

	(void)send;
	(void)result;
	a->leave.is_saying = false;
	a->leave.is_said = true;
	array_go(a);
}

static void say(struct array *a)
{
	struct array_leave *l = &a->leave;
	struct err err = ERR_INIT;

	if (l->is_said || is_cut_off(a) || array_now(a) >= l->until_ns) {
		l->step = LEAVE_STOP;
		return;
	}
	if (l->is_saying || !array_may_say(a))
		return;
	l->send = (struct msg_send){
		.message = { .type = MSG_BITMAP_NEEDS_SYNC },
		.done = on_said,
		.owner = a,
	};
	if (msg_send(a->channel, &l->send, &err) == 0)
		l->is_saying = true;
}

static void stopped(struct array *a, struct plane_request *req, int result)
{
	(void)a;
	(void)req;
	(void)result;
}

static void stop_plane(struct array *a)
{
	a->leave.step = LEAVE_WAIT;
	if (!a->is_plane_started)
		return;
	a->is_plane_stopping = true;
	a->leave.ask.req = (struct plane_request){ .is_lost = is_cut_off(a) };
	array_ask(a, &a->leave.ask, PLANE_STOP, stopped);
}

static void close_space(struct array *a)
{
	a->leave.step = LEAVE_CLOSE;
	a->leave.until_ns = array_now(a) + ARRAY_CLOSE_NS;
	if (a->space)
		lockspace_close(a->space);
	else
		a->is_closed = a->leave.may_end = true;
}

/* V7 */
static void wait_for_close(struct array *a)
{
	if (a->ending != END_STOP || a->leave.is_told || array_now(a) < a->leave.until_ns)
		return;
	a->leave.is_told = true;
	if (a->ops.closed_here)
		a->ops.closed_here(a->owner);
}

static void closed(struct array *a, struct metadata_request *req, int result)
{
	(void)req;
	(void)result;
	a->has_view = false;
}

static void close_disks(struct array *a)
{
	a->leave.step = LEAVE_DISKS;
	a->leave.work.req = (struct metadata_request){ 0 };
	array_work(a, &a->leave.work, METADATA_CLOSE, closed);
}

static void over(struct array *a)
{
	enum array_end ending = a->ending;

	join_forget(a);
	memset(&a->leave, 0, sizeof(a->leave));
	a->ending = END_NONE;
	if (ending == END_LOST) {
		array_move(a, ARRAY_ASSEMBLING);
	} else if (ending == END_FAIL) {
		array_move(a, ARRAY_FAILED);
	} else {
		array_move(a, ARRAY_DOWN);
		a->ops.stopped(a->owner);
	}
}

void leave_go(struct array *a)
{
	switch (a->leave.step) {
	case LEAVE_NONE:
		if (a->life_ask.is_out && !a->is_plane_started)
			break; /* START: it must be there to be stopped */
		if (a->freeze.ask.is_out)
			break; /* the same, for it is being stopped */
		abandon(a);
		if (a->is_plane_started)
			drain(a);
		else
			a->leave.step = LEAVE_STOP;
		a->must_go = true;
		break;
	case LEAVE_DRAIN:
		break;
	case LEAVE_COUNT:
		count(a);
		break;
	case LEAVE_SAY:
		say(a);
		a->must_go |= a->leave.step != LEAVE_SAY;
		break;
	case LEAVE_STOP:
		stop_plane(a);
		a->must_go = true;
		break;
	case LEAVE_WAIT:
		if (a->out == 0)
			close_disks(a);
		break;
	case LEAVE_DISKS:
		if (a->leave.work.is_out)
			break;
		close_space(a);
		a->must_go = true;
		break;
	case LEAVE_CLOSE:
		if (a->leave.may_end)
			over(a);
		else
			wait_for_close(a);
		break;
	}
}

int array_stop(struct array *a, struct err *err)
{
	if (a->ending == END_STOP)
		return err_set(err, -EBUSY, "%s: it stops already", a->name);
	if (a->state == ARRAY_DOWN)
		return err_set(err, -EINVAL, "%s: it does not run", a->name);
	a->ending = END_STOP;
	if (a->state != ARRAY_LEAVING)
		array_move(a, ARRAY_LEAVING);
	array_go(a);
	return 0;
}
