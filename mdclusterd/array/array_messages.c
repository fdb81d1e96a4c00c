/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What others say. A handler writes down, asks the plane or the metadata for what is to be
 * done, and is answered when that is done; neither ever waits for TOKEN, nor for anybody who
 * does (H5). So what is said is handled in every state: before START there is no write to be
 * drained, and what was told is suspended before the gate opens (V1, B17).
 */
#include "mdclusterd/array/array_private.h"

#include <errno.h>
#include <string.h>

void messages_answer(struct array *a, enum msg_refusal code, const char *text)
{
	a->is_handling = false;
	a->must_go = true;
	msg_handled(a->channel, code, text);
}

static struct array_slot *sender(struct array *a)
{
	uint16_t slot = a->handling.slot;

	return slot < a->view.geo.nodes && (int)slot != a->our_slot ? &a->slots[slot] : NULL;
}

/* --- what is said ------------------------------------------------------------------------------ */

static void resyncing(struct array *a, const struct msg *m)
{
	struct array_slot *s = sender(a);

	if (!s || (!s->is_member && !s->is_mapped)) {
		messages_answer(a, MSG_ACCEPTED, NULL);
		return;
	}
	if (m->high && resync_holds(a, (struct array_range){ m->low, m->high })) {
		messages_answer(a, MSG_REFUSED_BUSY, "resyncs there itself");
		return;
	}
	s->is_overtaken = true;
	s->is_leaving = false; /* that is a last word, and so was of the member before */
	if (m->high == 0 && s->is_member)
		s->must_read = true;
	slot_set_window(s, m->low, m->high);
}

static void on_handle(void *owner, const struct msg *m)
{
	struct array *a = owner;
	struct array_slot *s;

	a->is_handling = true;
	a->handling = *m;
	if (a->state == ARRAY_FROZEN && m->type != MSG_FREEZE)
		freeze_thaw(a);
	switch (m->type) {
	case MSG_RESYNCING:
		resyncing(a, m);
		break;
	case MSG_METADATA_UPDATED:
		a->handling_ticket = reload_want(a);
		break;
	case MSG_BITMAP_NEEDS_SYNC:
		s = sender(a);
		if (s && s->is_member)
			s->is_leaving = true;
		messages_answer(a, MSG_ACCEPTED, NULL);
		break;
	case MSG_EVENTS:
		if (a->has_view && a->view.events > m->low)
			messages_answer(a, MSG_REFUSED_OTHER, "has newer superblocks");
		else
			messages_answer(a, MSG_ACCEPTED, NULL);
		break;
	case MSG_DISKS_GONE:
		fail_heard(a, m->disk);
		messages_answer(a, MSG_ACCEPTED, NULL);
		break;
	case MSG_NEWDISK:
		change_find(a, m);
		break;
	case MSG_REMOVE:
		change_close(a, m);
		break;
	case MSG_FREEZE:
		freeze_heard(a, m);
		break;
	case MSG_RESYNCING_START:
		messages_answer(a, MSG_ACCEPTED, NULL);
		break;
	default:
		messages_answer(a, MSG_REFUSED_UNKNOWN, "not served here");
		break;
	}
	array_go(a);
}

/* --- answers ---------------------------------------------------------------------------------- */

static bool is_resyncing_handled(struct array *a)
{
	struct array_slot *s = sender(a);

	if (array_has_plane(a) && s->suspend_retry.at_ns && !s->suspend.is_out) {
		messages_answer(a, MSG_REFUSED_NO_MEMORY, "cannot suspend it");
		return false;
	}
	return !array_has_plane(a) || slot_is_settled(s);
}

static bool is_metadata_handled(struct array *a)
{
	if (a->ending && !array_has_plane(a))
		return true;
	if (reload_has_failed(a, a->handling_ticket)) {
		messages_answer(a, MSG_REFUSED_IO, a->reload.why.text);
		return false;
	}
	if (reload_is_done(a, a->handling_ticket) && array_has_plane(a) &&
	    disks_unseen(a) != ARRAY_NO_ROLE) {
		messages_answer(a, MSG_REFUSED_NO_DISK, NULL);
		return false;
	}
	/* what the plane made needed, others must be able to read in the lock value */
	return reload_is_done(a, a->handling_ticket) &&
	       (a->ending || !array_has_plane(a) || tell_owes_is_stored(a));
}

/* Messages went by unheard: the superblocks, and what the members' lock values say. */
static bool is_caught_up(struct array *a)
{
	if (!a->is_missed || (a->ending && !array_has_plane(a)))
		return true;
	if (reload_has_failed(a, a->missed_ticket)) {
		a->missed_ticket = reload_want(a);
		messages_answer(a, MSG_REFUSED_IO, a->reload.why.text);
		return false;
	}
	if (!reload_is_done(a, a->missed_ticket))
		return false;
	a->is_missed = false;
	return true;
}

static void handler_go(struct array *a)
{
	bool is_done = false;

	if (!a->is_handling || !is_caught_up(a))
		return;
	if (a->handling.type == MSG_RESYNCING)
		is_done = is_resyncing_handled(a);
	else if (a->handling.type == MSG_METADATA_UPDATED)
		is_done = is_metadata_handled(a);
	else if (a->handling.type == MSG_FREEZE)
		is_done = freeze_is_handled(a);
	if (is_done)
		messages_answer(a, MSG_ACCEPTED, NULL);
}

/* --- D7 --------------------------------------------------------------------------------------- */

static void d7_go(struct array *a)
{
	if (a->is_recovering_d7 && reload_is_done(a, a->d7_ticket)) {
		a->is_recovering_d7 = false;
		retry_fine(&a->d7_retry);
		msg_recovered(a->channel, disks_good_one(a));
	} else if (a->is_recovering_d7 &&
		   (reload_has_failed(a, a->d7_ticket) || a->ending)) {
		a->is_recovering_d7 = false;
		a->is_d7_declined = true;
		retry_later(a, &a->d7_retry);
		msg_not_recovered(a->channel);
	} else if (a->is_d7_declined && !a->ending && retry_may(a, &a->d7_retry)) {
		a->is_d7_declined = false;
		msg_can_recover(a->channel);
	}
}

void messages_go(struct array *a)
{
	if (!a->channel || a->is_lost || a->is_broken || a->is_closed)
		return;
	handler_go(a);
	d7_go(a);
}

static void on_recover(void *owner)
{
	struct array *a = owner;

	a->is_recovering_d7 = true;
	a->d7_ticket = reload_want(a);
	array_go(a);
}

/* --- the rest of what the channel tells ------------------------------------------------------ */

static void on_ready(void *owner)
{
	struct array *a = owner;

	a->is_ready = true;
	array_go(a);
}

static void on_missed(void *owner, uint32_t count)
{
	struct array *a = owner;

	(void)count;
	a->is_missed = true;
	a->missed_ticket = reload_want(a);
	members_read_all(a);
}

static bool on_evict(void *owner, uint32_t node, const char *why)
{
	struct array *a = owner;

	return a->ops.evict && a->ops.evict(a->owner, node, why);
}

static void on_broken(void *owner, const struct err *why)
{
	struct array *a = owner;

	a->why = *why;
	a->is_broken = true;
	a->is_ready = false;
	a->is_handling = false;
	array_go(a);
}

const struct msg_channel_ops messages_ops = {
	.ready = on_ready,
	.handle = on_handle,
	.missed = on_missed,
	.recover = on_recover,
	.evict = on_evict,
	.broken = on_broken,
};

/* --- disks that another node adds and removes (array_change.c) ------------------------ */

static void found(struct array *a, struct metadata_request *req, int result)
{
	if (!a->is_handling)
		return;
	if (result < 0 && !a->ending)
		messages_answer(a, MSG_REFUSED_NO_DISK,
				result == -ENODEV ? NULL : req->err.text); /* says it all */
	else
		messages_answer(a, MSG_ACCEPTED, NULL);
}

/* Who leaves needs no disk. */
void change_find(struct array *a, const struct msg *m)
{
	if (a->ending) {
		messages_answer(a, MSG_ACCEPTED, NULL);
		return;
	}
	a->hear_work.req = (struct metadata_request){ .number = m->disk };
	memcpy(a->hear_work.req.device_uuid, m->uuid, sizeof(m->uuid));
	array_work(a, &a->hear_work, METADATA_FIND, found);
}

static void forgotten(struct array *a, struct metadata_request *req, int result)
{
	(void)req;
	(void)result; /* it was not here */
	if (!a->is_handling)
		return;
	(void)reload_want(a); /* for those who look */
	messages_answer(a, MSG_ACCEPTED, NULL);
}

void change_close(struct array *a, const struct msg *m)
{
	if (a->ending) {
		messages_answer(a, MSG_ACCEPTED, NULL);
		return;
	}
	a->hear_work.req = (struct metadata_request){
		.number = m->disk,
		.view = &a->hear_work.view,
	};
	array_work(a, &a->hear_work, METADATA_FORGET, forgotten);
}
