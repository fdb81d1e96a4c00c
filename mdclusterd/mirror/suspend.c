/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Ranges that other nodes resync (A2): one a slot, each for itself, so that one that ends
 * takes no other with it (B43).
 *
 *	U1  A change that overlaps one and has not begun parks, and holds nothing: neither
 *	    the drain of another node's window nor a change beside it waits for it.
 *	U2  Until the request is done the slot's old range stays as well: its owner may not
 *	    know yet that the new one is there.
 *	U3  A write that is held by a failure (A4) holds up the request: a resync might copy
 *	    from the disk that has not got it. But whoever asks holds TOKEN, and that is
 *	    what telling the failure takes: so the request fails with -EBUSY at once, the
 *	    old range stays, and the array refuses the message.
 */
#include <errno.h>

#include "base/arith.h"
#include "mdclusterd/mirror/mirror_private.h"

static bool has_range(const struct suspend *s)
{
	return s->low < s->high || s->old_low < s->old_high;
}

static bool covers(const struct suspend *s, uint64_t low, uint64_t high)
{
	return ranges_do_overlap(low, high, s->low, s->high) ||
	       (s->is_pending && ranges_do_overlap(low, high, s->old_low, s->old_high));
}

bool suspend_covers(const struct mirror *m, uint64_t low, uint64_t high)
{
	uint32_t i;

	for (i = 0; i < m->suspended_count; i++)
		if (covers(&m->suspends[m->suspended[i]], low, high))
			return true;
	return false;
}

static void list_slots(struct mirror *m)
{
	uint32_t slot;

	m->suspended_count = 0;
	for (slot = 0; slot < MIRROR_MAX_SLOTS; slot++)
		if (has_range(&m->suspends[slot]))
			m->suspended[m->suspended_count++] = (uint8_t)slot;
}

void suspend_park(struct mirror_io *mi)
{
	struct mirror *m = mi->m;

	if (m->is_stopping) {
		io_finish_later(mi, -ESHUTDOWN);
		return;
	}
	mi->state = IO_PARKED_SUSPENDED;
	park_in_order(mi, &m->parked_suspended);
}

static void unpark(struct mirror *m)
{
	struct qb_list_head parked;

	QB_INIT_LIST_HEAD(&parked);
	qb_list_splice(&m->parked_suspended, &parked);
	QB_INIT_LIST_HEAD(&m->parked_suspended);
	while (!qb_list_empty(&parked)) {
		struct volume_io *io =
			qb_list_first_entry(&parked, struct volume_io, link);

		qb_list_del(&io->link);
		change_admit(mirror_io_of(io)); /* parks again where it must */
	}
	sync_run(m);
}

/* --- a request ---------------------------------------------------------------------------- */

struct look {
	bool is_in_flight, is_held;
};

static bool look_at(struct range *range, void *context)
{
	const struct change *c = (const struct change *)((char *)range -
							 offsetof(struct change, range));
	struct look *look = context;

	look->is_in_flight |= c->is_started;
	look->is_held |= c->is_held;
	return false;
}

static void answer(struct mirror *m, struct suspend *s, int result)
{
	struct mirror_request *req = s->request;

	if (result < 0) { /* U3 */
		s->low = s->old_low;
		s->high = s->old_high;
	}
	s->old_low = 0;
	s->old_high = 0;
	s->request = NULL;
	s->is_pending = false;
	m->suspend_requests--;
	list_slots(m);
	mirror_answer(m, req, result);
}

static void check_one(struct mirror *m, struct suspend *s)
{
	struct look look = { 0 };

	if (s->low < s->high)
		ranges_find(&m->ranges, s->low, s->high, look_at, &look);
	if (look.is_held)
		answer(m, s, -EBUSY);
	else if (!look.is_in_flight)
		answer(m, s, 0);
}

void suspend_check(struct mirror *m)
{
	uint32_t slot;
	bool is_less = false;

	if (m->is_suspending)
		return; /* all who have to park do so first */
	for (slot = 0; slot < MIRROR_MAX_SLOTS && m->suspend_requests > 0; slot++) {
		struct suspend *s = &m->suspends[slot];

		if (!s->is_pending)
			continue;
		check_one(m, s);
		is_less |= !s->is_pending;
	}
	if (is_less)
		unpark(m);
}

/* --- those that wait for their turn inside of it ------------------------------------------- */

static bool is_blocked(struct range *range, void *context)
{
	const struct change *c = (const struct change *)((char *)range -
							 offsetof(struct change, range));
	struct range **found = context;

	/* one whose turn has just come finds the suspended range itself */
	if (c->is_started || c->is_sync || range->blocked == 0)
		return false;
	*found = range;
	return true;
}

/* One at a time: each that goes may give others their turn. */
static void park_blocked(struct mirror *m, uint64_t low, uint64_t high)
{
	struct range *range;

	while (ranges_find(&m->ranges, low, high, is_blocked, &range)) {
		struct mirror_io *mi =
			(struct mirror_io *)((char *)range -
					     offsetof(struct mirror_io, change.range));

		change_release(m, &mi->change);
		suspend_park(mi);
	}
}

/* Neither was acknowledged to its owner, so that both may be meant. */
static void keep_both(struct suspend *s, const struct suspend *last)
{
	if (last->low == last->high || last->old_low == last->old_high) {
		s->old_low = max_u64(last->low, last->old_low);
		s->old_high = max_u64(last->high, last->old_high);
	} else {
		s->old_low = min_u64(last->low, last->old_low);
		s->old_high = max_u64(last->high, last->old_high);
	}
}

void mirror_suspend(struct mirror *m, uint32_t slot, uint64_t low, uint64_t high,
		    struct mirror_request *req)
{
	struct suspend *s = &m->suspends[slot];
	struct suspend last = *s;

	mirror_now(m);
	high = min_u64(high, m->map.sectors);
	if (low >= high) {
		low = 0;
		high = 0;
	}
	s->old_low = last.low;
	s->old_high = last.high;
	if (last.is_pending) {
		keep_both(s, &last);
		m->suspend_requests--;
		mirror_answer(m, last.request, -ECANCELED);
	}
	s->low = low;
	s->high = high;
	s->request = req;
	s->is_pending = true;
	m->suspend_requests++;
	list_slots(m);
	m->is_suspending = true;
	if (low < high)
		park_blocked(m, low, high);
	m->is_suspending = false;
	suspend_check(m);
}
