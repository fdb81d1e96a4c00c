/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The locks bitmapNNNN of other slots, NL from JOIN on: a member's is read, by CR; one that
 * nobody has is taken, PW. And the ranges that are suspended, by slot (V3): what was told is
 * written down at once, and goes to the plane as fast as that takes it.
 *
 * What a lock value says counts only if it is valid (D8), and of an owner who has loaded
 * its slot; anything else leaves what is known as it was. Where a message comes while the
 * value is on its way, it is read again: engines that do not keep the order of operations
 * on different resources may bring the older of the two later.
 */
#include "mdclusterd/array/array_private.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* What the plane has after it refused: the range of before, or not. */
static const struct array_range unknown = { UINT64_MAX, 0 };

/* --- windows ----------------------------------------------------------------------------- */

void slot_set_window(struct array_slot *s, uint64_t low, uint64_t high)
{
	struct array *a = s->array;

	if (s->window.low == low && s->window.high == high)
		return;
	s->window = (struct array_range){ low, high };
	s->since_ns = array_now(a);
	retry_fine(&s->suspend_retry);
	array_tell_event(a, (struct array_event){
		.kind = ARRAY_EVENT_SUSPENDED,
		.slot = s->number,
		.node = s->node,
		.low = low,
		.high = high,
	});
}

static struct array_slot *of_request(struct array *a, const struct plane_request *req)
{
	return &a->slots[req->slot];
}

static void suspended(struct array *a, struct plane_request *req, int result)
{
	struct array_slot *s = of_request(a, req);

	if (result == 0) {
		s->applied = s->applying;
		retry_fine(&s->suspend_retry);
	} else if (array_has_plane(a)) {
		s->applied = unknown;
		array_retry(a, &s->suspend_retry, &req->err);
	}
}

static void suspend_go(struct array *a, struct array_slot *s)
{
	if (!array_has_plane(a) || s->suspend.is_out || range_equal(s->window, s->applied) ||
	    !retry_may(a, &s->suspend_retry))
		return;
	s->applying = s->window;
	s->suspend.req = (struct plane_request){
		.slot = (uint32_t)s->number,
		.low = s->window.low,
		.high = s->window.high,
	};
	array_ask(a, &s->suspend, PLANE_SUSPEND, suspended);
}

/* --- what the locks say -------------------------------------------------------------------- */

static void read_value(struct array_slot *s, uint32_t marks)
{
	struct array_value v;

	if (s->is_overtaken || !s->is_member)
		return;
	s->must_read = false;
	if (marks & LOCK_VALNOTVALID ||
	    !array_value_decode(s->lock.value, sizeof(s->lock.value), &v) || !v.is_owner) {
		/* it has not loaded its slot yet, or not again (array_freeze.c) */
		s->owes = s->is_taken_over = true;
		return;
	}
	if (s->is_taken_over)
		members_read_all(s->array);
	s->is_taken_over = false;
	s->must_read = false;
	s->owes = v.owes;
	slot_set_window(s, v.low, v.high);
}

/* The lockspace refuses what it must grant: it is of no use any more. */
static void refused(struct array_slot *s, int status)
{
	struct array *a = s->array;

	if (status == -ESTALE || status == -ESHUTDOWN)
		return; /* lost() comes, or we close it */
	err_set(&a->why, status, "the lock on %.*s is refused: %s", (int)s->lock.name_length,
		s->lock.name, strerror(-status));
	a->is_broken = a->must_go = true;
}

bool slot_convert(struct array_slot *s, enum array_slot_lock state, enum lock_mode mode,
		  uint32_t flags)
{
	int r = lockres_lock(&s->lock, mode, LOCK_CONVERT | flags, 0);

	if (r == 0)
		s->lock_state = state;
	else
		refused(s, r);
	return r == 0;
}

void slot_release(struct array_slot *s, const struct array_value *value)
{
	if (value)
		array_value_encode(value, s->lock.value);
	(void)slot_convert(s, SLOT_LOCK_BACK, LOCK_NL, value ? LOCK_VALBLK : 0);
}

static void wanted_done(struct array_slot *s, const struct lock_result *result)
{
	struct array *a = s->array;

	s->is_cancelling = false;
	if (result->status == -ECANCELED) {
		s->lock_state = SLOT_LOCK_IDLE;
		return;
	}
	if (result->status != 0) {
		refused(s, result->status);
		return;
	}
	s->lock_state = SLOT_LOCK_HELD;
	if (s->number == a->our_slot) {
		a->is_owner = true;
		return;
	}
	if (result->marks & LOCK_VALNOTVALID)
		memset(s->lock.value, 0, sizeof(s->lock.value));
}

static void slot_done(struct array_slot *s, const struct lock_result *result)
{
	struct array *a = s->array;

	switch (s->lock_state) {
	case SLOT_LOCK_FIRST:
		a->first_locks--;
		s->lock_state = SLOT_LOCK_IDLE;
		break;
	case SLOT_LOCK_READ:
		if (result->status == 0)
			read_value(s, result->marks);
		slot_release(s, NULL);
		break;
	case SLOT_LOCK_WANTED:
		wanted_done(s, result);
		return;
	case SLOT_LOCK_BACK:
		s->lock_state = SLOT_LOCK_IDLE;
		break;
	case SLOT_LOCK_HELD: /* the own one, PW -> PW */
		tell_stored(a, result);
		break;
	case SLOT_LOCK_NONE:
	case SLOT_LOCK_IDLE:
		break;
	}
	if (result->status != 0)
		refused(s, result->status);
}

static void on_done(void *owner, struct lockres *lock, const struct lock_result *result)
{
	struct array_slot *s = owner;

	(void)lock;
	slot_done(s, result);
	array_go(s->array);
}

static const struct lockres_handlers handlers = { .done = on_done };

/* --- what is asked of them ------------------------------------------------------------------ */

static bool is_wanted(const struct array *a, const struct array_slot *s)
{
	return s->is_mapped && !s->is_member && array_has_plane(a) && a->is_quorate &&
	       !a->ending && (a->state == ARRAY_GATHERING || a->state == ARRAY_ACTIVE) &&
	       retry_may(a, &s->retry);
}

static void lock_go(struct array *a, struct array_slot *s)
{
	if (s->lock_state != SLOT_LOCK_IDLE || a->ending)
		return;
	if (s->must_read && s->is_member && array_has_plane(a)) {
		s->is_overtaken = false;
		(void)slot_convert(s, SLOT_LOCK_READ, LOCK_CR, LOCK_VALBLK);
	} else if (is_wanted(a, s)) {
		(void)slot_convert(s, SLOT_LOCK_WANTED, LOCK_PW, LOCK_VALBLK);
	}
}

void slots_go(struct array *a)
{
	if (!a->space || a->is_lost || a->is_broken || a->is_closed || !a->is_member)
		return;
	lockspace_begin(a->space);
	for (uint32_t i = 0; i < a->view.geo.nodes; i++) {
		struct array_slot *s = &a->slots[i];

		if ((int)i == a->our_slot)
			continue;
		lock_go(a, s);
		suspend_go(a, s);
	}
	lockspace_end(a->space);
}

/* While a request is under way the plane may have the one range or the other. */
bool slot_is_settled(const struct array_slot *s)
{
	return !s->suspend.is_out && range_equal(s->window, s->applied);
}

bool slots_are_settled(const struct array *a)
{
	for (uint32_t i = 0; i < a->view.geo.nodes; i++) {
		const struct array_slot *s = &a->slots[i];

		if ((int)i != a->our_slot && (s->must_read || !slot_is_settled(s)))
			return false;
	}
	return true;
}

/* --- life ---------------------------------------------------------------------------------- */

bool slots_init(struct array *a, struct err *err)
{
	char name[24];
	int r = 0;

	lockspace_begin(a->space);
	for (uint32_t i = 0; r == 0 && i < a->view.geo.nodes; i++) {
		struct array_slot *s = &a->slots[i];

		snprintf(name, sizeof(name), "bitmap%04u", (unsigned int)i);
		r = lockres_init(&s->lock, a->space, name, strlen(name), &handlers, s);
		if (r < 0)
			break;
		s->is_initialised = true;
		r = lockres_lock(&s->lock, LOCK_NL, LOCK_EXPEDITE, 0);
		if (r < 0)
			break;
		s->lock_state = SLOT_LOCK_FIRST;
		a->first_locks++;
	}
	lockspace_end(a->space);
	if (r < 0)
		err_set(err, r, "the locks of the slots cannot be made: %s", strerror(-r));
	return r == 0;
}

void slots_fini(struct array *a)
{
	for (int i = 0; i < ARRAY_MAX_NODES; i++) {
		struct array_slot *s = &a->slots[i];

		if (s->is_initialised)
			lockres_fini(&s->lock);
		memset(s, 0, sizeof(*s));
		s->array = a;
		s->number = i;
	}
	a->first_locks = 0;
}
