/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Reads: which disk, and another one when that fails.
 *
 * Where copies may differ, all reads come from the one that a resync would copy from (A6):
 * the first in sync. That is everywhere while single-sourced, and always where a node
 * resyncs, or where this one has yet to. Elsewhere: on with the disk that has its head
 * there, or whose cache reads ahead, unless others are much less busy; else the one with
 * the least in flight; among equals in turn, the nearest head first if it has one.
 *
 * What a disk cannot read another one may. Where copies may differ, block by block (A10): but
 * for what it cannot read that disk is read as before, lest what somebody has seen there is
 * gone. So also where each of them lacks something else.
 */
#include <errno.h>

#include "base/arith.h"
#include "bitmap/bits.h"
#include "mdclusterd/mirror/mirror_private.h"

enum { STREAM_SLACK = 8 }; /* requests that a stream's disk may have more than others */

/* --- which disk --------------------------------------------------------------------------- */

int read_source(const struct mirror *m, const struct map_piece *piece, uint32_t tried)
{
	uint32_t k, roles = m->readable & ~tried;

	for (k = 0; k < m->map.copies; k++)
		if (roles >> piece->copy[k].role & 1)
			return (int)k;
	return -1;
}

static bool is_needed(const struct mirror *m, uint64_t low, uint64_t high)
{
	uint64_t chunk;

	if (!m->intent || intent_needed_count(m->intent) == 0)
		return false;
	chunk = intent_next_needed(m->intent, low / m->bitmap_chunk_sectors);
	return chunk != BITS_NONE && chunk <= (high - 1) / m->bitmap_chunk_sectors;
}

static bool may_differ(const struct mirror *m, const struct map_piece *piece)
{
	uint64_t low = piece->at, high = piece->at + piece->sectors;

	return m->is_single_source || suspend_covers(m, low, high) ||
	       is_needed(m, low, high);
}

static uint64_t distance(const struct mirror_disk *d, uint64_t at_bytes)
{
	return d->next_read_bytes > at_bytes ? d->next_read_bytes - at_bytes :
					       at_bytes - d->next_read_bytes;
}

static bool is_better(const struct mirror_disk *d, const struct mirror_disk *best,
		      uint64_t at_bytes)
{
	if (d->busy != best->busy)
		return d->busy < best->busy;
	if (d->is_rotational != best->is_rotational)
		return !d->is_rotational;
	if (d->is_rotational)
		return distance(d, at_bytes) < distance(best, at_bytes);
	return d->reads < best->reads;
}

/* Returns the copy, not the role. */
int read_choose(struct mirror *m, const struct map_piece *piece, uint32_t tried)
{
	uint32_t k, roles = m->readable & ~tried;
	int best = -1, stream = -1;

	if (may_differ(m, piece))
		return read_source(m, piece, tried);
	for (k = 0; k < m->map.copies; k++) {
		uint32_t role = piece->copy[k].role;
		uint64_t at = piece->copy[k].sector << SECTOR_SHIFT;

		if (!(roles >> role & 1))
			continue;
		if (m->disks[role].next_read_bytes == at && at != 0)
			stream = (int)k;
		if (best < 0 ||
		    is_better(&m->disks[role], &m->disks[piece->copy[best].role], at))
			best = (int)k;
	}
	if (stream >= 0 && m->disks[piece->copy[stream].role].busy <=
				   m->disks[piece->copy[best].role].busy + STREAM_SLACK)
		return stream;
	return best;
}

/* --- pieces ------------------------------------------------------------------------------- */

static void over(struct transfer *t, int result);

/* False: nobody is left who could. */
static bool send(struct mirror_io *mi, struct transfer *t, const struct map_piece *piece)
{
	struct mirror *m = mi->m;
	int k = read_choose(m, piece, t->tried);
	uint32_t role;

	if (k < 0)
		return false;
	role = piece->copy[k].role;
	t->at = piece->at;
	t->over = over;
	m->disks[role].next_read_bytes = (piece->copy[k].sector + piece->sectors)
					 << SECTOR_SHIFT;
	transfer_send(m, t, role, DISK_READ, piece->copy[k].sector, piece->sectors,
		      (char *)mi->io.buffer +
			      ((piece->at << SECTOR_SHIFT) - mi->io.offset_bytes),
		      false);
	return true;
}

static void push(struct mirror_io *mi)
{
	struct mirror *m = mi->m;
	struct map_piece piece;
	struct transfer *t;

	while (mi->next < mi->change.range.high) {
		t = io_transfer(mi);
		if (!t)
			break; /* when some of its own are back */
		map_piece_at(&m->map, mi->next, mi->change.range.high, &piece);
		mi->next += piece.sectors;
		t->tried = 0;
		t->end = 0;
		if (send(mi, t, &piece)) {
			mi->awaited++;
		} else {
			io_transfer_free(mi, t);
			mi->result = -EIO;
		}
	}
}

static void end_read(struct mirror_io *mi)
{
	job_end(mi->m, &mi->job);
	if (mi->next < mi->change.range.high)
		mi->result = -EIO; /* hung disks have all that it could read with */
	io_report(mi);
}

/* The disk has its memory still: another one takes over. NULL: there is none. */
static struct transfer *replace(struct mirror_io *mi, const struct transfer *lost)
{
	struct transfer *t = io_transfer(mi);

	mi->lost++;
	if (!t)
		return NULL;
	t->at = lost->at;
	t->end = lost->end;
	t->tried = lost->tried;
	return t;
}

static bool has_others(const struct mirror *m, const struct map_piece *piece)
{
	return __builtin_popcount(m->map.set_roles[piece->set] & m->readable) > 1;
}

/* The end of the block that `at` is in. */
static uint64_t block_end(const struct mirror *m, uint64_t at)
{
	uint64_t size = mirror_block_sectors(m);

	return round_down(at, size) + size;
}

static bool send_block(struct mirror_io *mi, struct transfer *t)
{
	struct map_piece piece;

	map_piece_at(&mi->m->map, t->at, min_u64(t->end, block_end(mi->m, t->at)), &piece);
	return send(mi, t, &piece);
}

/* [t->at, end) could not be read by t->tried. */
static bool send_elsewhere(struct mirror_io *mi, struct transfer *t, uint64_t end)
{
	struct mirror *m = mi->m;
	struct map_piece piece;

	map_piece_at(&m->map, t->at, end, &piece);
	if (t->end != 0 || end <= block_end(m, t->at) || !has_others(m, &piece))
		return send(mi, t, &piece);
	if (!may_differ(m, &piece) && send(mi, t, &piece))
		return true;
	t->end = end;
	t->tried = 0;
	return send_block(mi, t);
}

/* All of [t->at, end) is read: what t->tried could not. True: there is more. */
static bool go_on(struct mirror_io *mi, struct transfer *t, uint64_t end)
{
	uint32_t tried = t->tried;

	for (; tried != 0; tried &= tried - 1)
		unreadable_found(mi->m, (uint32_t)__builtin_ctz(tried), t->at, end, false);
	if (t->end <= end)
		return false;
	t->at = end;
	t->tried = 0;
	if (send_block(mi, t))
		return true;
	mi->result = -EIO; /* the last disk has gone meanwhile */
	return false;
}

static void over(struct transfer *t, int result)
{
	struct mirror_io *mi = t->owner;
	uint64_t end = t->at + (t->req.length_bytes >> SECTOR_SHIFT);
	struct transfer *again = t;

	if (result == 0) {
		if (go_on(mi, t, end))
			return;
	} else {
		failure_of_read(mi->m, t->role, &t->req, result);
		t->tried |= 1u << t->role;
		if (t->is_lost)
			again = replace(mi, t);
		if (again && send_elsewhere(mi, again, end))
			return;
		mi->result = -EIO;
	}
	if (again)
		io_transfer_free(mi, again);
	mi->awaited--;
	push(mi);
	if (mi->awaited == 0)
		end_read(mi);
}

void read_begin(struct mirror_io *mi)
{
	struct mirror *m = mi->m;

	if (!gate_was_open(m)) { /* io_init() or set_gate() has just looked at the clock */
		gate_park(mi);
		return;
	}
	mi->state = IO_ON_DISKS;
	job_begin(m, &mi->job);
	push(mi);
	if (mi->awaited > 0)
		return;
	job_end(m, &mi->job); /* no disk at all */
	io_finish_later(mi, -EIO);
}
