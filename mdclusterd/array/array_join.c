/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * JOIN, OWN, ACTIVATE: the lockspace and a slot, the channel, PW on bitmap<own>, then under
 * TOKEN the superblocks anew, and resync_offset 0 (D11). PW waits for whoever recovers the
 * slot, so what START loads is all that is left in it.
 */
#include "mdclusterd/array/array_private.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/arith.h"

/* --- the lockspace ------------------------------------------------------------------- */

static void on_prep(void *owner, struct lockspace *space)
{
	struct array *a = owner;

	(void)space;
	a->is_thawed = false;
	array_go(a);
}

static void on_slot(void *owner, struct lockspace *space, uint32_t node, int slot)
{
	struct array *a = owner;

	(void)space;
	if (a->channel)
		msg_channel_recover_slot(a->channel, node, slot);
	members_died(a, node, slot);
	array_go(a);
}

static void on_done(void *owner, struct lockspace *space,
		    const struct lockspace_member *members, size_t count, int our_slot,
		    uint32_t generation)
{
	struct array *a = owner;
	struct err err = ERR_INIT;

	(void)space;
	a->is_thawed = true;
	a->is_member = true;
	a->our_slot = our_slot;
	a->generation = generation;
	if (our_slot < 0 || (uint32_t)our_slot >= a->view.geo.nodes) {
		err_set(&err, -ERANGE, "the lockspace gave slot %d, the bitmap has %u",
			our_slot, a->view.geo.nodes);
		array_cannot(a, &err);
	} else if (a->channel) {
		members_changed(a, members, count);
		msg_channel_recover_done(a->channel, members, count, our_slot, generation);
	}
	array_go(a);
}

static void silence(struct array *a)
{
	a->is_ready = false;
	a->is_handling = false;
	if (a->channel)
		msg_channel_lost(a->channel);
}

static void on_lost(void *owner, struct lockspace *space, const struct err *why)
{
	struct array *a = owner;
	bool was_member = a->is_member;

	(void)space;
	a->is_lost = true;
	silence(a);
	if (!was_member)
		array_cannot(a, why);
	else
		a->why = *why;
	array_go(a);
}

static void on_closed(void *owner)
{
	struct array *a = owner;

	a->is_closed = true;
	silence(a);
	a->leave.may_end = true; /* not from within what the channel says of that */
	array_go(a);
}

static const struct lockspace_handlers space_handlers = {
	.recover_prep = on_prep,
	.recover_slot = on_slot,
	.recover_done = on_done,
	.lost = on_lost,
	.closed = on_closed,
};

/* --- opening --------------------------------------------------------------------------- */

static void uuid_name(const uint8_t uuid[16], char name[37])
{
	static const char digits[] = "0123456789abcdef";
	char *to = name;

	for (int i = 0; i < 16; i++) {
		if (i == 4 || i == 6 || i == 8 || i == 10)
			*to++ = '-';
		*to++ = digits[uuid[i] >> 4];
		*to++ = digits[uuid[i] & 15];
	}
	*to = '\0';
}

/* All that a lockspace of before left behind is gone. */
static void begin_anew(struct array *a)
{
	a->is_member = a->is_thawed = a->is_ready = a->is_lost = a->is_broken = false;
	a->is_closed = a->is_slot_told = a->is_owner = a->is_handling = false;
	a->is_missed = a->is_recovering_d7 = a->is_d7_declined = a->is_reload_owed = false;
	a->our_slot = -1;
	a->member_count = 0;
}

bool join_open(struct array *a)
{
	const struct msg_channel_config defaults = { 0 };
	char name[37];
	const struct lockspace_config config = {
		.name = name,
		.name_length = 36,
		.lvb_bytes = LOCK_SMALL_LVB,
		.slots = (int)a->view.geo.nodes,
		.wanted_slot = a->config.wanted_slot < (int)a->view.geo.nodes ?
				       a->config.wanted_slot : -1,
	};
	struct err err = ERR_INIT;

	uuid_name(a->view.uuid, name);
	begin_anew(a);
	if (lockspace_open(a->locks, &config, &space_handlers, a, &a->space, &err) < 0) {
		a->space = NULL;
		array_cannot(a, &err);
		return false;
	}
	a->channel = msg_channel_new(a->space, &defaults, &messages_ops, a, &err);
	if (!a->channel || !slots_init(a, &err) || !sweep_init(a, &err)) {
		array_cannot(a, &err);
		return false;
	}
	return true;
}

void join_forget(struct array *a)
{
	recovery_forget(a);
	slots_fini(a);
	sweep_fini(a);
	msg_channel_free(a->channel);
	a->channel = NULL;
	change_fini(a);
	a->space = NULL;
	a->needed_chunks = 0;
	a->is_plane_started = a->is_plane_stopping = a->is_serving = false;
	a->is_drained = a->is_single_source = false;
	memset(&a->activate, 0, sizeof(a->activate));
	memset(&a->tell, 0, sizeof(a->tell));
	memset(&a->resync, 0, sizeof(a->resync));
	memset(&a->sweep, 0, sizeof(a->sweep));
	memset(&a->rebuild, 0, sizeof(a->rebuild));
	memset(&a->fail, 0, sizeof(a->fail));
	memset(&a->reload, 0, sizeof(a->reload));
	a->reload.setting = ARRAY_NO_ROLE;
	begin_anew(a);
}

/* --- OWN ------------------------------------------------------------------------------- */

static void own(struct array *a)
{
	struct array_slot *s = slot_own(a);

	if (s->lock_state == SLOT_LOCK_IDLE)
		(void)slot_convert(s, SLOT_LOCK_WANTED, LOCK_PW, LOCK_VALBLK);
}

void join_go(struct array *a)
{
	if (a->state == ARRAY_JOINING && a->is_ready && a->first_locks == 0) {
		if (!a->is_slot_told && a->ops.slot_known)
			a->ops.slot_known(a->owner, a->our_slot);
		a->config.wanted_slot = a->our_slot; /* also after a loss (V8) */
		a->is_slot_told = true;
		array_move(a, ARRAY_OWNING);
	}
	if (a->state != ARRAY_OWNING)
		return;
	if (a->is_owner)
		array_move(a, ARRAY_ACTIVATING);
	else
		own(a);
}

/* --- ACTIVATE ---------------------------------------------------------------------------- */

static void activate_end(struct array *a)
{
	a->activate.step = ACTIVATE_END;
	msg_compound_end(a->channel, &a->activate.compound);
}

static void activate_said(void *owner, struct msg_send *send,
			  const struct msg_result *result)
{
	struct array *a = owner;

	(void)send;
	a->activate.is_done = result->status == 0;
	if (result->status < 0)
		array_retry(a, &a->life_retry, &result->why);
	activate_end(a);
	array_go(a);
}

static void activated(struct array *a, struct metadata_request *req, int result)
{
	struct array_activate *act = &a->activate;
	bool is_changed = req->view->events != a->view.events;
	struct err err = ERR_INIT;

	if (a->ending || a->is_lost || a->is_broken)
		return;
	if (result < 0) {
		array_retry(a, &a->life_retry, &req->err);
		activate_end(a);
		return;
	}
	disks_take_view(a, req->view);
	if (!is_changed) {
		act->is_done = true;
		activate_end(a);
		return;
	}
	act->step = ACTIVATE_SAY;
	act->send = (struct msg_send){
		.message = { .type = MSG_METADATA_UPDATED, .disk = disks_good_one(a) },
		.done = activate_said,
		.owner = a,
	};
	if (msg_compound_send(a->channel, &act->compound, &act->send, &err) < 0) {
		array_retry(a, &a->life_retry, &err);
		activate_end(a);
	}
}

static void activate_write(struct array *a)
{
	struct array_activate *act = &a->activate;

	if (act->work.is_out)
		return;
	act->work.req = (struct metadata_request){ .view = &act->work.view };
	array_work(a, &act->work, METADATA_ACTIVATE, activated);
}

static void activate_begun(void *owner, struct msg_compound *c,
			   const struct msg_result *result)
{
	struct array *a = owner;

	(void)c;
	if (result->status == 0) {
		a->activate.step = ACTIVATE_WRITE;
	} else {
		a->activate.step = ACTIVATE_NONE;
		array_retry(a, &a->life_retry, &result->why);
	}
	array_go(a);
}

static void activate_ended(void *owner, struct msg_compound *c, int status)
{
	struct array *a = owner;

	(void)c;
	a->activate.step = ACTIVATE_NONE;
	if (status == 0 && a->activate.is_done && a->state == ARRAY_ACTIVATING && !a->ending) {
		retry_fine(&a->life_retry);
		array_move(a, ARRAY_STARTING);
	}
	array_go(a);
}

void activate_go(struct array *a)
{
	struct array_activate *act = &a->activate;
	struct err err = ERR_INIT;

	if (act->step == ACTIVATE_WRITE)
		activate_write(a);
	if (act->step != ACTIVATE_NONE || !array_may_say(a) ||
	    !retry_may(a, &a->life_retry))
		return;
	act->is_done = false;
	act->compound = (struct msg_compound){
		.begun = activate_begun,
		.ended = activate_ended,
		.owner = a,
	};
	if (msg_compound_begin(a->channel, &act->compound, &err) == 0)
		act->step = ACTIVATE_TOKEN;
	else
		array_retry(a, &a->life_retry, &err);
}
