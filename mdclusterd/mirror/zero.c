/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * ZERO and TRIM: a slice at a time, one request a disk, however many chunks of a raid10
 * that is.
 *
 * A TRIM reads as zeroes afterwards, on every disk (DISK_DISCARD): if each made of it what
 * it likes, copies would differ, for good, without a bit to say so. It is offered where all
 * disks can forget blocks; one that comes later and cannot is written zeroes. Where it is
 * not offered it is the hint that nobody takes. ZERO keeps space allocated.
 */
#include "mdclusterd/mirror/mirror_private.h"

bool zero_is_nothing(const struct mirror_io *mi)
{
	return mi->io.op == VOLUME_TRIM && !mi->m->volume.has_trim;
}

static void send(struct mirror_io *mi, uint32_t role, uint64_t from, uint64_t to)
{
	struct transfer *t = io_transfer(mi);

	t->over = write_transfer_over;
	mi->awaited++;
	mi->has_written = true;
	transfer_send(mi->m, t, role,
		      mi->io.op == VOLUME_TRIM ? DISK_DISCARD : DISK_ZERO, from, to - from,
		      NULL, false);
}

/* An io has transfers of its own for all disks, so none has to wait. */
void zero_push(struct mirror_io *mi)
{
	struct mirror *m = mi->m;
	const struct range *range = &mi->change.range;
	uint64_t from, to;
	uint32_t role;

	if (mi->next == range->high || !gate_is_open(m))
		return;
	if (__builtin_popcount(mi->own_free) < __builtin_popcount(m->writable))
		return; /* a hung disk has some of an earlier slice */
	for (role = 0; role < m->map.disks; role++) {
		if (!map_span(&m->map, role, range->low, range->high, &from, &to))
			continue;
		if (!(m->readable >> role & 1))
			mi->bad |= 1u << role;
		if (m->writable >> role & 1)
			send(mi, role, from, to);
	}
	mi->next = range->high;
}
