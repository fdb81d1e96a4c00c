/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Who may begin: the gate with its lease (A5), and turns among changes that overlap (A3).
 *
 *	G1  Nothing in the queue of the gate holds a region or an intent.
 *	G2  The queue is in the order of submission, whoever comes back to it: changes
 *	    that overlap go in that order.
 *	G3  The gate is looked at in the same call as each submit to disks, a submit being
 *	    that of one piece to all of its disks.
 *
 * Reads wait here, too: a node without a lease may not know of a disk that the others
 * failed, and would read from it what was true once (D9).
 */
#include <errno.h>

#include "mdclusterd/mirror/mirror_private.h"

bool gate_is_open(struct mirror *m)
{
	if (m->is_open && m->lease_until_ns != UINT64_MAX)
		mirror_now(m);
	return gate_was_open(m);
}

bool gate_was_open(const struct mirror *m)
{
	return m->is_open && m->now_ns < m->lease_until_ns;
}

/* --- parked ----------------------------------------------------------------------------- */

void park_in_order(struct mirror_io *mi, struct qb_list_head *list)
{
	struct qb_list_head *at = list->prev;

	while (at != list &&
	       mirror_io_of(qb_list_entry(at, struct volume_io, link))->seq > mi->seq)
		at = at->prev;
	qb_list_add(&mi->io.link, at);
}

void gate_park(struct mirror_io *mi)
{
	struct mirror *m = mi->m;

	if (m->is_stopping || m->fails_when_shut) {
		io_finish_later(mi, -ESHUTDOWN);
		return;
	}
	if (qb_list_empty(&m->parked_gate))
		m->parked_since_ns = m->now_ns;
	mi->state = IO_PARKED_GATE;
	park_in_order(mi, &m->parked_gate); /* G2 */
}

void gate_unpark(struct mirror *m)
{
	struct qb_list_head parked;

	/* whoever parks again does so in the list, not in ours */
	QB_INIT_LIST_HEAD(&parked);
	qb_list_splice(&m->parked_gate, &parked);
	QB_INIT_LIST_HEAD(&m->parked_gate);
	while (!qb_list_empty(&parked)) {
		struct volume_io *io =
			qb_list_first_entry(&parked, struct volume_io, link);

		qb_list_del(&io->link);
		if (io->op == VOLUME_READ)
			read_begin(mirror_io_of(io));
		else
			change_admit(mirror_io_of(io));
	}
}

void mirror_set_gate(struct mirror *m, bool is_open, uint64_t lease_until)
{
	mirror_now(m);
	m->is_open = is_open;
	m->lease_until_ns = lease_until;
	m->is_drained &= !is_open;
	/* who joins sets bits, too, before it serves */
	if (m->intent)
		intent_set_gate(m->intent, !m->is_drained, lease_until);
	if (!gate_is_open(m))
		return;
	while (!qb_list_empty(&m->drains)) {
		struct mirror_request *req = qb_list_first_entry(
			&m->drains, struct mirror_request, link);

		qb_list_del(&req->link);
		mirror_answer(m, req, -ECANCELED);
	}
	if (!qb_list_empty(&m->parked_gate))
		gate_unpark(m);
	if (m->sync)
		sync_run(m);
}

/* Also the intent's pages: they are changes, whoever sends them. */
bool gate_is_drained(const struct mirror *m)
{
	return m->changes_on_disks == 0 && (!m->intent || !intent_has_io(m->intent));
}

void gate_check_drains(struct mirror *m)
{
	if (qb_list_empty(&m->drains) || !gate_is_drained(m))
		return;
	while (!qb_list_empty(&m->drains)) {
		struct mirror_request *req = qb_list_first_entry(
			&m->drains, struct mirror_request, link);

		qb_list_del(&req->link);
		mirror_answer(m, req, 0);
	}
}

void mirror_drain(struct mirror *m, struct mirror_request *req)
{
	m->is_open = false;
	m->is_drained = true;
	if (m->intent)
		intent_set_gate(m->intent, false, m->lease_until_ns);
	qb_list_add_tail(&req->link, &m->drains);
	gate_check_drains(m);
}

/* --- turns ------------------------------------------------------------------------------ */

static struct change *change_of(struct range *range)
{
	return (struct change *)((char *)range - offsetof(struct change, range));
}

static void take_turns(struct mirror *m)
{
	if (m->is_taking_turns)
		return; /* the loop below does it */
	m->is_taking_turns = true;
	while (!qb_list_empty(&m->turns)) {
		struct range *range =
			qb_list_first_entry(&m->turns, struct range, link);
		struct change *c = change_of(range);

		qb_list_del(&range->link);
		c->go(m, c);
	}
	m->is_taking_turns = false;
}

void change_release(struct mirror *m, struct change *c)
{
	c->is_started = false;
	c->is_held = false;
	if (!c->range.is_in)
		return;
	ranges_remove(&m->ranges, &c->range, &m->turns);
	if (m->suspend_requests > 0)
		suspend_check(m);
	take_turns(m);
}

bool change_take(struct mirror *m, struct change *c)
{
	c->is_started = ranges_add(&m->ranges, &c->range);
	return c->is_started;
}

/* It was blocked, and meanwhile much may have changed. */
static void go(struct mirror *m, struct change *c)
{
	struct mirror_io *mi = (struct mirror_io *)((char *)c -
						    offsetof(struct mirror_io, change));

	if (!gate_is_open(m)) {
		change_release(m, c);
		gate_park(mi);
	} else if (suspend_covers(m, c->range.low, c->range.high)) {
		change_release(m, c);
		change_admit(mi); /* parks, if that did not end the suspension */
	} else {
		c->is_started = true;
		write_begin(mi);
	}
}

void change_admit(struct mirror_io *mi)
{
	struct mirror *m = mi->m;
	struct change *c = &mi->change;

	c->go = go;
	if (!gate_was_open(m)) {
		gate_park(mi);
	} else if (suspend_covers(m, c->range.low, c->range.high)) {
		suspend_park(mi);
	} else if (change_take(m, c)) {
		write_begin(mi);
	} else {
		mi->state = IO_BLOCKED;
	}
}
