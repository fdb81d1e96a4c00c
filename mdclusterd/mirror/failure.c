/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Disks that fail, and what waits for the cluster to know (A4, A7).
 *
 *	F1  A disk fails once: it is neither read nor written any more, the intent goes
 *	    on without it and keeps its bits, the owner is told.
 *	F2  What is not on it though it should be is held until mirror_failure_known(): no
 *	    other node reads from that disk what was acknowledged here (D9). So also where
 *	    this node was told of the failure, for another one may not have been yet.
 *	F3  The last disk in sync of a set of copies never fails: without it there is
 *	    nothing. What it refuses is an error of the io.
 *	F4  A request that is not over after hang_ns fails its disk, and all others there are
 *	    given up with it. On a last disk only that request is. Of a disk that is rebuilt
 *	    a third of that is enough: writes wait for it, and nothing is lost with it.
 *
 * Errors of reads fail a disk only when there are many, as md does: unreadable.c.
 */
#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/arith.h"
#include "base/err.h"
#include "mdclusterd/mirror/mirror_private.h"

void disks_changed(struct mirror *m)
{
	uint32_t role;

	m->readable = 0;
	m->writable = 0;
	for (role = 0; role < m->map.disks; role++) {
		const struct mirror_disk *d = &m->disks[role];

		if (d->is_failing || d->state == MIRROR_DISK_MISSING)
			continue;
		m->writable |= 1u << role;
		if (d->state == MIRROR_DISK_IN_SYNC)
			m->readable |= 1u << role;
	}
}

/* F3 */
bool failure_can_fail(const struct mirror *m, uint32_t role)
{
	uint32_t set, self = 1u << role;

	if (!(m->readable & self))
		return true; /* it was not counted on */
	for (set = 0; set < m->map.sets; set++)
		if ((m->map.set_roles[set] & self) &&
		    !(m->map.set_roles[set] & m->readable & ~self))
			return false;
	return true;
}

static bool is_out(const struct mirror *m, uint32_t role)
{
	return !(m->writable >> role & 1);
}

/* F1. The owner hears of it in mirror_advance(), for who calls here is amid its work. */
static bool fail(struct mirror *m, uint32_t role, int error)
{
	struct mirror_disk *d = &m->disks[role];

	if (is_out(m, role))
		return true;
	if (!failure_can_fail(m, role))
		return false;
	d->is_failing = true;
	d->error = error;
	m->unknown |= 1u << role;
	m->untold |= 1u << role;
	unreadable_forget_disk(m, role);
	disks_changed(m);
	if (m->intent) {
		intent_set_degraded(m->intent, true);
		intent_set_disk(m->intent, role, NULL, 0, NULL);
	}
	return true;
}

static void remember(struct mirror *m, uint32_t role, const struct disk_req *req)
{
	struct mirror_disk *d = &m->disks[role];

	if (m->untold >> role & 1 || is_out(m, role))
		return;
	d->error_op = req->op;
	d->error_bytes = req->offset_bytes;
	d->is_intent_error = d->is_reread_error = d->is_many_errors = false;
}

void failure_of_change(struct mirror *m, uint32_t role, const struct disk_req *req,
		       int error)
{
	remember(m, role, req);
	fail(m, role, error);
}

void failure_of_read(struct mirror *m, uint32_t role, const struct disk_req *req,
		     int error)
{
	struct mirror_disk *d = &m->disks[role];

	d->read_errors++;
	d->read_error = error;
	d->read_error_bytes = req->offset_bytes;
}

void failure_of_reread(struct mirror *m, uint32_t role, const struct disk_req *req,
		       int error)
{
	remember(m, role, req);
	m->disks[role].is_reread_error = !is_out(m, role);
	fail(m, role, error);
}

void failure_of_many_reads(struct mirror *m, uint32_t role)
{
	struct mirror_disk *d = &m->disks[role];

	if (is_out(m, role))
		return;
	d->is_intent_error = false;
	d->is_many_errors = true;
	d->error_bytes = d->read_error_bytes;
	fail(m, role, d->read_error);
}

/*
 * The bits could not be written. A last disk stays, and those that wait for their bits get
 * the error: also in a raid10, where others have taken them, for the intent flushes the
 * disks that it writes to, and must not clear a bit over data on one that it does not.
 */
void mirror_intent_failed(struct mirror *m, uint32_t role, int error)
{
	struct mirror_disk *d = &m->disks[role];

	mirror_now(m);
	if (change_failed(m, role, -abs(error)))
		return;
	if (!is_out(m, role)) {
		d->is_intent_error = true;
		d->is_reread_error = d->is_many_errors = false;
		d->errors++;
	}
	if (fail(m, role, -abs(error)))
		return;
	write_fail_waiting(m, -EIO);
	sync_fail_waiting(m);
}

/* --- the cluster ------------------------------------------------------------------------- */

static const char *op_text(enum disk_op op)
{
	switch (op) {
	case DISK_READ:
		return "read";
	case DISK_FLUSH:
		return "flush";
	case DISK_ZERO:
		return "zero";
	case DISK_DISCARD:
		return "discard";
	case DISK_WRITE:
		break;
	}
	return "write";
}

static void sentence(const struct mirror *m, uint32_t role, struct err *err)
{
	const struct mirror_disk *d = &m->disks[role];
	const char *name = d->disk ? d->disk->name : "?";
	const char *why = d->error == -ETIMEDOUT ? "no answer" : strerror(-d->error);

	if (d->is_many_errors)
		err_set(err, d->error,
			"%s: %" PRIu32 " places could not be read within %" PRIu32
			" minutes (max_read_errors %" PRIu32 "), the last at byte %" PRIu64
			": %s",
			name, d->recent_errors,
			(uint32_t)((m->now_ns - d->recent_since_ns) / (60 * NS_PER_S)) + 1,
			m->max_read_errors, d->error_bytes, why);
	else if (d->is_reread_error)
		err_set(err, d->error,
			"%s: byte %" PRIu64 " was written anew, and cannot be read: %s", name,
			d->error_bytes, why);
	else if (d->is_intent_error)
		err_set(err, d->error, "%s: write of the bitmap: %s", name, why);
	else if (d->error_op == DISK_FLUSH)
		err_set(err, d->error, "%s: flush: %s", name, why);
	else
		err_set(err, d->error, "%s: %s at byte %" PRIu64 ": %s", name,
			op_text(d->error_op), d->error_bytes, why);
}

void failure_tell(struct mirror *m)
{
	uint32_t role;

	for (role = 0; role < m->map.disks && m->untold != 0; role++) {
		struct err err = ERR_INIT;

		if (!(m->untold >> role & 1))
			continue;
		m->untold &= ~(1u << role);
		sentence(m, role, &err);
		m->ops.disk_failed(m->owner, role, &err);
	}
}

/*
 * At the end: it was not promised to anybody, and the cluster may never come to know. So it
 * ends with an error, as what is parked.
 */
static void end_unknown(struct mirror_io *mi)
{
	if (mi->io.op == VOLUME_FLUSH)
		io_finish_later(mi, -ESHUTDOWN);
	else
		write_end_held(mi);
}

void failure_end_held(struct mirror *m)
{
	while (!qb_list_empty(&m->held)) {
		struct volume_io *io =
			qb_list_first_entry(&m->held, struct volume_io, link);

		qb_list_del(&io->link);
		end_unknown(mirror_io_of(io));
	}
}

void failure_hold(struct mirror_io *mi)
{
	struct mirror *m = mi->m;

	if (m->is_stopping) {
		end_unknown(mi);
		return;
	}
	mi->state = IO_HELD;
	mi->change.is_held = mi->change.range.is_in;
	qb_list_add_tail(&mi->io.link, &m->held);
	if (m->suspend_requests > 0)
		suspend_check(m);
}

static void end_held(struct mirror_io *mi)
{
	if (mi->io.op == VOLUME_FLUSH)
		io_report(mi);
	else
		write_known(mi);
}

bool mirror_has_failing(const struct mirror *m)
{
	return m->unknown != 0;
}

void mirror_failure_known(struct mirror *m, uint32_t role)
{
	struct mirror_disk *d = &m->disks[role];
	struct qb_list_head over, *at, *next;

	mirror_now(m);
	m->unknown &= ~(1u << role);
	if (d->is_failing) {
		d->is_failing = false;
		d->state = MIRROR_DISK_MISSING;
		disks_changed(m);
	}
	QB_INIT_LIST_HEAD(&over);
	qb_list_for_each_safe(at, next, &m->held) {
		struct mirror_io *mi =
			mirror_io_of(qb_list_entry(at, struct volume_io, link));

		if (mi->bad & m->unknown)
			continue;
		qb_list_del(at);
		qb_list_add_tail(at, &over);
	}
	while (!qb_list_empty(&over)) {
		struct volume_io *io =
			qb_list_first_entry(&over, struct volume_io, link);

		qb_list_del(&io->link);
		end_held(mirror_io_of(io));
	}
}

/* --- hangs -------------------------------------------------------------------------------- */

uint64_t failure_hang_ns(const struct mirror *m, enum mirror_disk_state state)
{
	return state == MIRROR_DISK_REBUILD ? m->hang_ns / 3 : m->hang_ns;
}

void failure_tell_hang(struct mirror *m, uint32_t role, enum mirror_disk_state state)
{
	intent_set_hang(m->intent, role,
			state == MIRROR_DISK_REBUILD ? failure_hang_ns(m, state) : 0);
}

static bool is_overdue(const struct mirror *m, const struct mirror_disk *d)
{
	const struct transfer *t;

	if (qb_list_empty(&d->in_flight))
		return false;
	t = qb_list_first_entry(&d->in_flight, struct transfer, link);
	return m->now_ns >= t->since_ns &&
	       m->now_ns - t->since_ns >= failure_hang_ns(m, d->state);
}

void failure_check_hangs(struct mirror *m)
{
	uint32_t role;

	for (role = 0; role < m->map.disks; role++) {
		struct mirror_disk *d = &m->disks[role];

		while (is_overdue(m, d)) {
			struct transfer *t = qb_list_first_entry(
				&d->in_flight, struct transfer, link);

			remember(m, role, &t->req);
			if (!fail(m, role, -ETIMEDOUT)) {
				transfer_give_up(t);
				continue;
			}
			while (!qb_list_empty(&d->in_flight))
				transfer_give_up(qb_list_first_entry(
					&d->in_flight, struct transfer, link));
			disk_check_request(m, role);
		}
	}
}

/* Nobody's time goes beyond now, so the lists stay in order. */
void mirror_stood_still(struct mirror *m, uint64_t ns)
{
	uint64_t now = mirror_now(m);
	struct transfer *t;

	for (uint32_t role = 0; role < m->map.disks; role++)
		qb_list_for_each_entry(t, &m->disks[role].in_flight, link)
			t->since_ns = min_u64(t->since_ns + ns, now);
}

/* --- what the cluster says of disks --------------------------------------------------------- */

/* Nothing that began before the change is at it any more, or nobody waits for it: A7. */
static bool goes_by_it(const struct mirror *m, const struct mirror_disk *d)
{
	if (!qb_list_empty(&m->jobs) &&
	    qb_list_first_entry(&m->jobs, struct job, link)->seq < d->request_seq)
		return false;
	return d->state != MIRROR_DISK_MISSING || d->busy == 0;
}

void disk_check_request(struct mirror *m, uint32_t role)
{
	struct mirror_disk *d = &m->disks[role];
	struct mirror_request *req = d->request;

	if (req && goes_by_it(m, d)) {
		d->request = NULL;
		d->is_gone = d->state == MIRROR_DISK_MISSING;
		mirror_answer(m, req, 0);
	}
	if (d->is_gone && d->lost == 0) {
		d->is_gone = false;
		d->disk = NULL;
	}
}

static void take_disk(struct mirror *m, uint32_t role, struct disk *disk,
		      uint64_t data_offset)
{
	struct mirror_disk *d = &m->disks[role];

	assert(d->busy == 0 && !d->is_flush_out);
	d->disk = disk;
	d->tenure++;
	d->lost = 0;
	d->start_bytes = data_offset << SECTOR_SHIFT;
	d->next_read_bytes = 0;
	d->recent_errors = 0;
	d->say_sectors = 0;
	d->is_failing = false;
	d->is_gone = false;
	m->unknown &= ~(1u << role);
	m->disks_came++;
}

void mirror_set_disk(struct mirror *m, uint32_t role, enum mirror_disk_state state,
		     struct disk *disk, uint64_t data_offset,
		     struct mirror_request *req)
{
	struct mirror_disk *d = &m->disks[role];

	if (d->state == MIRROR_DISK_MISSING && state != MIRROR_DISK_MISSING)
		take_disk(m, role, disk, data_offset);
	else if (d->state != MIRROR_DISK_MISSING && state == MIRROR_DISK_MISSING)
		m->unknown |= 1u << role; /* F2 */
	if (state != MIRROR_DISK_IN_SYNC)
		unreadable_forget_disk(m, role);
	d->state = state;
	if (m->intent)
		failure_tell_hang(m, role, state);
	disks_changed(m);
	mirror_answer(m, d->request, -ECANCELED);
	d->request = req;
	d->request_seq = m->job_seq;
	disk_check_request(m, role);
}
