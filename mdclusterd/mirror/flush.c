/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Flushes, in rounds: one flush a disk at a time (A8). Who comes during a round waits for
 * the next one, which begins when this one is over, and so does everybody else: a round
 * begins after the writes that it must cover were done.
 *
 * A flush on a failing disk fails that disk, as a write does, and is held like one:
 * what it covered may be lost there, and nobody else knows.
 */
#include <errno.h>
#include <stdlib.h>

#include "mdclusterd/mirror/mirror_private.h"

static void begin_round(struct mirror *m);

static void end_one(struct mirror_io *mi, int result, uint32_t bad)
{
	if (mi->io.op != VOLUME_FLUSH) {
		write_flushed(mi, result, bad);
		return;
	}
	mi->result = result;
	mi->bad = bad;
	if (bad & mi->m->unknown)
		failure_hold(mi);
	else
		io_report(mi);
}

static int worth(const struct mirror *m)
{
	uint32_t set;

	if (m->flush_bad & m->readable)
		return -EIO; /* the last one, and it stays */
	for (set = 0; set < m->map.sets; set++)
		if (!(m->map.set_roles[set] & m->readable))
			return -EIO;
	return 0;
}

static void end_round(struct mirror *m)
{
	int result = worth(m);
	uint32_t bad = m->flush_bad;
	struct qb_list_head over;

	QB_INIT_LIST_HEAD(&over);
	qb_list_splice(&m->flush_now, &over);
	QB_INIT_LIST_HEAD(&m->flush_now);
	m->is_flushing = false;
	if (!qb_list_empty(&m->flush_next))
		begin_round(m);
	while (!qb_list_empty(&over)) {
		struct volume_io *io =
			qb_list_first_entry(&over, struct volume_io, link);

		qb_list_del(&io->link);
		end_one(mirror_io_of(io), result, bad);
	}
}

static void back(struct transfer *t)
{
	struct mirror *m = t->m;
	struct mirror_disk *d = &m->disks[t->role];

	if (t == d->flush) {
		d->is_flush_out = false;
		return;
	}
	m->left_flushes--;
	free(t);
}

int flush_leave(struct mirror *m, uint32_t role)
{
	struct mirror_disk *d = &m->disks[role];
	struct transfer *fresh;

	if (!d->is_flush_out)
		return 0;
	fresh = calloc(1, sizeof(*fresh));
	if (!fresh)
		return -ENOMEM;
	m->left_flushes++;
	d->flush = fresh;
	d->is_flush_out = false;
	return 0;
}

static void over(struct transfer *t, int result)
{
	struct mirror *m = t->m;

	if (!t->is_lost)
		m->disks[t->role].is_flush_out = false;
	if (result < 0) {
		m->flush_bad |= 1u << t->role;
		failure_of_change(m, t->role, &t->req, result);
	}
	if (--m->flush_awaited == 0)
		end_round(m);
}

/* There is none, or those that there are hang. */
static void end_without_disks(struct mirror *m)
{
	m->is_flushing = false;
	while (!qb_list_empty(&m->flush_now)) {
		struct mirror_io *mi = mirror_io_of(qb_list_first_entry(
			&m->flush_now, struct volume_io, link));

		qb_list_del(&mi->io.link);
		if (mi->io.op == VOLUME_FLUSH)
			io_finish_later(mi, -EIO);
		else
			write_flushed(mi, -EIO, 0);
	}
}

static void begin_round(struct mirror *m)
{
	uint32_t role;

	qb_list_splice(&m->flush_next, &m->flush_now);
	QB_INIT_LIST_HEAD(&m->flush_next);
	m->is_flushing = true;
	m->flush_bad = m->unknown;
	m->flush_awaited = 1; /* our own: none is over before all are sent */
	for (role = 0; role < m->map.disks; role++) {
		struct mirror_disk *d = &m->disks[role];

		if (!(m->writable >> role & 1))
			continue;
		if (d->is_flush_out) { /* the last disk, and its last flush hangs */
			m->flush_bad |= 1u << role;
			continue;
		}
		d->is_flush_out = true;
		d->flush->over = over;
		d->flush->back = back;
		m->flush_awaited++;
		transfer_send(m, d->flush, role, DISK_FLUSH, 0, 0, NULL, false);
	}
	if (--m->flush_awaited == 0)
		end_without_disks(m);
}

void flush_join(struct mirror_io *mi)
{
	struct mirror *m = mi->m;

	mi->state = IO_FLUSHING;
	qb_list_add_tail(&mi->io.link, &m->flush_next);
	if (!m->is_flushing)
		begin_round(m);
}
