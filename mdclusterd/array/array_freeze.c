/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * FROZEN: no plane here, clients parked, still a member that owns its slot; so geometry and
 * place of the slots may change (array_grow.c). What a node does to come to that:
 *
 *	QUIET     what it waits for with TOKEN is taken back: who freezes all has that
 *	DRAIN     the gate is shut; nothing changes a disk any more
 *	WITHDRAW  the own lock value says that its owner has not loaded the slot: what it owes
 *	          behind the change is for it to say then (V4)
 *	STOP      bits that may be cleared are; the plane goes, its front ends stay
 *	DONE      and that is what the message is answered with
 *
 * It thaws as soon as anything else is said, or who froze it is a member no more: by way of
 * ACTIVATE, where it waits for TOKEN. So however early it thaws, it has no plane before the one
 * who changes the array is done, or dead; and what a death left in halves, it finishes there.
 */
#include "mdclusterd/array/array_private.h"

#include <string.h>

/* --- may it freeze ---------------------------------------------------------------------- */

/* What does not go on by itself after a change of the array; NULL: nothing. */
static const char *refusal(const struct array *a)
{
	bool is_starting = a->state == ARRAY_STARTING || a->state == ARRAY_GATHERING ||
			   (a->state == ARRAY_ACTIVATING &&
			    a->activate.step != ACTIVATE_NONE &&
			    a->activate.step != ACTIVATE_TOKEN);

	if (a->ending)
		return a->is_plane_started || a->life_ask.is_out ? "it is leaving" : NULL;
	if (is_starting)
		return "it is just starting";
	if (a->sweep.step == SWEEP_RUNS)
		return a->sweep.kind == PLANE_REBUILD ? "it rebuilds a disk" :
							"it runs a check";
	if (a->recovery.step != RECOVERY_NONE) /* one that has not begun keeps its bits */
		return "the slot of a node that is gone is recovered";
	if (a->fail.waiting || a->fail.gone)
		return "not all know of a failed disk yet";
	return NULL;
}

const char *freeze_refusal(const struct array *a)
{
	return a->state == ARRAY_FROZEN ? "its size or bitmap is being changed" : refusal(a);
}

/* --- into it ------------------------------------------------------------------------------ */

void freeze_begin(struct array *a, int by)
{
	memset(&a->freeze, 0, sizeof(a->freeze));
	a->freeze.by = by;
	a->freeze.step = FREEZE_QUIET;
	array_move(a, ARRAY_FROZEN);
	if (a->resync.is_syncing)
		a->plane->ops->cancel_sync(a->plane);
}

bool freeze_is_done(const struct array *a)
{
	return a->state == ARRAY_FROZEN && a->freeze.step == FREEZE_DONE;
}

static void ask(struct array *a, enum array_freeze_step step, enum plane_op op,
		void (*then)(struct array *a, struct plane_request *req, int result))
{
	a->freeze.step = step;
	a->freeze.ask.req = (struct plane_request){ .keeps_clients = true };
	array_ask(a, &a->freeze.ask, op, then);
}

static void drained(struct array *a, struct plane_request *req, int result)
{
	(void)req;
	(void)result;
	a->freeze.step = FREEZE_WITHDRAW;
}

static void quiet(struct array *a)
{
	struct array_tell *t = &a->tell;

	if (t->is_saying && msg_cancel(a->channel, &t->send) == 0)
		t->is_saying = false;
	if (a->fail.step == FAIL_TOKEN && deed_forget(a, &a->fail.deed))
		a->fail.step = FAIL_NONE;
	if (!t->is_saying && deed_is_idle(&a->fail.deed))
		ask(a, FREEZE_DRAIN, PLANE_DRAIN, drained);
}

/* The lock's result comes as that of any storing does: array_tell.c */
static void withdraw(struct array *a)
{
	struct array_freeze *f = &a->freeze;
	const struct array_value none = { .low = 0 };

	if (a->tell.is_storing)
		return;
	if (!f->is_withdrawn) {
		array_value_encode(&none, slot_own(a)->lock.value);
		if (!slot_convert(slot_own(a), SLOT_LOCK_HELD, LOCK_PW, LOCK_VALBLK))
			return;
		a->tell.is_storing = f->is_withdrawn = true;
		return;
	}
	f->step = FREEZE_STOP;
	a->must_go = true;
}

/* All that the plane knew, and that rests on the geometry. */
static void forget_plane(struct array *a)
{
	a->needed_chunks = 0;
	a->is_plane_started = a->is_plane_stopping = a->is_serving = false;
	a->is_drained = a->is_single_source = false;
	memset(&a->tell, 0, sizeof(a->tell));
	memset(&a->resync, 0, sizeof(a->resync));
	memset(&a->fail, 0, sizeof(a->fail));
	a->reload.must_tell = true;
	for (int i = 0; i < ARRAY_MAX_NODES; i++) {
		struct array_slot *s = &a->slots[i];

		s->applied = s->applying = (struct array_range){ 0, 0 };
		retry_fine(&s->suspend_retry);
		if (i != a->our_slot)
			s->owes = s->is_member;
	}
}

static void stopped(struct array *a, struct plane_request *req, int result)
{
	(void)req;
	(void)result;
	forget_plane(a);
	a->freeze.step = FREEZE_DONE;
}

/* What the plane was asked before must be over: its answers are of the old geometry. */
static void stop(struct array *a)
{
	if (a->out > 0)
		return;
	a->is_plane_stopping = true;
	ask(a, FREEZE_WAIT, PLANE_STOP, stopped);
}

/* --- out of it ------------------------------------------------------------------------------ */

void freeze_thaw(struct array *a)
{
	a->freeze.must_thaw = true;
	a->must_go = true;
}

static bool is_deserted(const struct array *a)
{
	return a->freeze.by != a->our_slot && !a->slots[a->freeze.by].is_member;
}

void freeze_go(struct array *a)
{
	struct array_freeze *f = &a->freeze;

	/* at once: the next one in that slot knows nothing of it */
	f->must_thaw |= is_deserted(a);
	switch (f->step) {
	case FREEZE_QUIET:
		quiet(a);
		break;
	case FREEZE_WITHDRAW:
		withdraw(a);
		break;
	case FREEZE_STOP:
		stop(a);
		break;
	case FREEZE_DONE:
		if (f->must_thaw)
			array_move(a, ARRAY_ACTIVATING);
		break;
	case FREEZE_NONE:
	case FREEZE_DRAIN:
	case FREEZE_WAIT:
		break;
	}
}

/* --- what others say ---------------------------------------------------------------------- */

/* Who has no plane, and will have none but by ACTIVATE, is as good as frozen. */
void freeze_heard(struct array *a, const struct msg *m)
{
	const char *why = refusal(a);

	if (a->state == ARRAY_FROZEN)
		a->freeze.must_thaw = false; /* he is dead who said it before, and TOKEN is another's */
	else if (why)
		messages_answer(a, MSG_REFUSED_BUSY, why);
	else if (array_has_plane(a))
		freeze_begin(a, m->slot);
	else
		messages_answer(a, MSG_ACCEPTED, NULL);
	if (a->state == ARRAY_FROZEN)
		a->freeze.by = m->slot;
}

bool freeze_is_handled(struct array *a)
{
	if (a->state == ARRAY_FROZEN)
		return a->freeze.step == FREEZE_DONE;
	if (!a->is_plane_started)
		return true;
	messages_answer(a, MSG_REFUSED_BUSY, "it is leaving");
	return false;
}
