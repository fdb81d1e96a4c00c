/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What others know of this node's resync: the own lock value, then RESYNCING. `want` is what
 * shall be known, and is made so step by step. `held` is what may be copied: all members have
 * acknowledged it, and none can know anything else (V5). From the moment in which a new
 * window is stored, for who reads the value goes by it, to the moment in which all have
 * acknowledged it, only what is in both is held.
 *
 * Whether a resync is owed stands in the lock value alone; RESYNCING(0, 0) has the others
 * read it again. It is said once after this node has begun to owe nothing (V9), and once
 * after it has joined, for others may have seen its slot dirty before, or have suspended a
 * window of who died in it.
 */
#include "mdclusterd/array/array_private.h"

#include <errno.h>

#include "base/arith.h"

static const struct array_range none;

static bool owes_now(const struct array *a)
{
	return a->needed_chunks > 0 || a->recovery.step == RECOVERY_FLAG ||
	       a->recovery.step == RECOVERY_CLEAR;
}

bool tell_is_stored(const struct array *a)
{
	const struct array_tell *t = &a->tell;

	return t->is_stored && !t->is_storing && range_equal(t->stored, t->want) &&
	       t->stored_owes == owes_now(a);
}

bool tell_owes_is_stored(const struct array *a)
{
	return a->tell.stored_owes || !owes_now(a);
}

static bool is_heard(const struct array_tell *t)
{
	return !t->is_unsure && !t->is_saying && range_equal(t->heard, t->want) &&
	       range_equal(t->held, t->want) && !(t->said_owes && !t->stored_owes);
}

static struct array_range in_both(struct array_range x, struct array_range y)
{
	struct array_range both = { max_u64(x.low, y.low), min_u64(x.high, y.high) };

	return both.low < both.high ? both : none;
}

/* --- the lock value -------------------------------------------------------------------- */

static void store(struct array *a)
{
	struct array_tell *t = &a->tell;
	struct array_slot *s = slot_own(a);
	const struct array_value v = {
		.low = t->want.low,
		.high = t->want.high,
		.owes = owes_now(a),
		.is_owner = true,
	};

	array_value_encode(&v, s->lock.value);
	if (!slot_convert(s, SLOT_LOCK_HELD, LOCK_PW, LOCK_VALBLK))
		return;
	/* a range that was read in it, and is not said any more: it must be said that it is not */
	t->is_unsure |= !range_is_none(t->stored) && !range_equal(t->stored, t->heard);
	t->is_storing = true;
	t->storing = t->want;
	t->held = in_both(t->held, t->want); /* who reads it now goes by it */
	t->promised = in_both(t->promised, t->want);
	t->storing_owes = v.owes;
	t->said_owes |= v.owes;
}

void tell_stored(struct array *a, const struct lock_result *result)
{
	struct array_tell *t = &a->tell;

	t->is_storing = false;
	if (result->status != 0)
		return;
	t->said_owes |= !t->is_stored; /* nobody knew before */
	t->is_unsure |= !t->is_stored; /* of whom we succeed a window may be suspended */
	t->is_stored = true;
	t->stored = t->storing;
	t->stored_owes = t->storing_owes;
}

/* --- the message ------------------------------------------------------------------------- */

static void said(void *owner, struct msg_send *send, const struct msg_result *result)
{
	struct array *a = owner;
	struct array_tell *t = &a->tell;

	(void)send;
	t->is_saying = false;
	if (result->status == 0) {
		t->is_unsure = false;
		t->heard = t->saying;
		t->held = t->promised;
		if (range_is_none(t->saying) && !t->saying_owes)
			t->said_owes = t->stored_owes || (t->is_storing && t->storing_owes);
		retry_fine(&t->retry);
	} else if (!a->ending && result->status != -ESTALE) {
		t->is_unsure = true;
		t->is_refused = true;
		array_retry(a, &t->retry, &result->why);
	}
	array_go(a);
}

static void say(struct array *a)
{
	struct array_tell *t = &a->tell;
	struct err err = ERR_INIT;

	t->send = (struct msg_send){
		.message = { .type = MSG_RESYNCING, .low = t->want.low, .high = t->want.high },
		.done = said,
		.owner = a,
	};
	if (msg_send(a->channel, &t->send, &err) < 0)
		return;
	t->is_saying = true;
	t->saying = t->promised = t->want;
	t->saying_owes = t->stored_owes;
}

void tell_go(struct array *a)
{
	struct array_tell *t = &a->tell;

	if (!array_has_plane(a) || !a->is_owner || a->ending || a->is_lost || a->is_broken ||
	    a->state == ARRAY_FROZEN)
		return;
	if (!tell_is_stored(a)) {
		if (!t->is_storing)
			store(a);
		return;
	}
	if (a->state == ARRAY_ACTIVE && !t->is_saying && !is_heard(t) && array_may_say(a) &&
	    retry_may(a, &t->retry))
		say(a);
}
