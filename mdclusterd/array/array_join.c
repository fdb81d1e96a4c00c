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
	grow_fini(a);
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
	memset(&a->freeze, 0, sizeof(a->freeze));
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

static void give_up(struct array *a, const struct err *why)
{
	array_retry(a, &a->life_retry, why);
	deed_end(a, &a->activate.deed);
}

/* Its clustered days are over, since it was assembled. */
static void is_no_more(struct array *a, const struct err *why)
{
	a->was_active = false;
	deed_end(a, &a->activate.deed);
	array_cannot(a, why);
}

static void read_first(struct array *a)
{
	struct array_activate *act = &a->activate;

	act->step = ACTIVATE_READ;
	act->deed.work.req = (struct metadata_request){ 0 };
	deed_work(a, &act->deed, METADATA_RELOAD);
}

/*
 * Of the disks that this node sees the freshest may be one that the others have failed, and
 * the one that they use may be one that it does not see.
 */
static void ask(struct array *a)
{
	const struct msg m = { .type = MSG_EVENTS, .low = a->view.events };

	a->activate.step = ACTIVATE_ASK;
	deed_say(a, &a->activate.deed, &m);
}

static void answered(struct array *a, int result, const struct err *why)
{
	struct array_activate *act = &a->activate;
	struct err stale = ERR_INIT;

	if (result == -EREMOTEIO) {
		err_set(&stale, -ESTALE, "the disks that are in use now are not seen here: %s",
			why->text);
		deed_end(a, &act->deed);
		array_cannot(a, &stale);
	} else if (result < 0) {
		give_up(a, why);
	} else {
		act->step = ACTIVATE_WRITE;
		act->before = a->view.events;
		act->deed.work.req = (struct metadata_request){ 0 };
		deed_work(a, &act->deed, METADATA_ACTIVATE);
	}
}

static void written(struct array *a, int result, const struct err *why)
{
	struct array_activate *act = &a->activate;

	if (result < 0) {
		give_up(a, why);
	} else if (a->view.events == act->before) {
		act->is_done = true;
		deed_end(a, &act->deed);
	} else {
		act->step = ACTIVATE_SAY;
		deed_say_updated(a, &act->deed);
	}
}

static void activate_next(struct array *a, struct array_deed *d, int result)
{
	struct array_activate *act = &a->activate;
	const struct err why = d->why;

	switch (act->step) {
	case ACTIVATE_TOKEN:
		read_first(a);
		break;
	case ACTIVATE_READ:
		if (result == -EOPNOTSUPP)
			is_no_more(a, &why);
		else if (result < 0)
			give_up(a, &why);
		else
			ask(a);
		break;
	case ACTIVATE_ASK:
		answered(a, result, &why);
		break;
	case ACTIVATE_WRITE:
		written(a, result, &why);
		break;
	case ACTIVATE_SAY:
		act->is_done = result == 0;
		if (result < 0)
			array_retry(a, &a->life_retry, &why);
		deed_end(a, d);
		break;
	case ACTIVATE_NONE:
		break;
	}
}

static void activate_ended(struct array *a, struct array_deed *d)
{
	struct array_activate *act = &a->activate;

	if (act->step == ACTIVATE_TOKEN)
		array_retry(a, &a->life_retry, &d->why);
	act->step = ACTIVATE_NONE;
	if (!act->is_done || a->state != ARRAY_ACTIVATING)
		return;
	retry_fine(&a->life_retry);
	array_move(a, ARRAY_STARTING);
}

void activate_go(struct array *a)
{
	struct array_activate *act = &a->activate;

	if (!deed_is_idle(&act->deed) || !retry_may(a, &a->life_retry))
		return;
	act->is_done = false;
	act->deed.next = activate_next;
	act->deed.ended = activate_ended;
	if (deed_begin(a, &act->deed))
		act->step = ACTIVATE_TOKEN;
}
