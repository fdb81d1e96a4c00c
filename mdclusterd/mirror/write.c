/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Changes: intent, then all disks, then done.
 *
 *	W1  (A1) Nothing goes to a disk before the intent says so.
 *	W2  What an io is worth is told by roles: `bad` are those that have not all of it.
 *	    Each set of copies needs one that is not bad, in sync; and one that failed
 *	    and yet stays (the last of some set) makes it an error: it would be read.
 *	W3  (A4) While the cluster does not know of one that is bad because it failed, the
 *	    io is held with its region: a resync of another node, or a write behind it,
 *	    must not see the region as settled.
 *	W4  The intent is given back as durable only if every disk took it with FUA, or it
 *	    was flushed behind it, or nothing was written at all.
 *	W5  The bits of one that leaves copies different, all in use, stay.
 *
 * ZERO and TRIM go in slices, each a change of its own: their length has no limit, and
 * the bits of all of it at once would be a resync of all of it.
 */
#include <errno.h>

#include "base/arith.h"
#include "mdclusterd/mirror/mirror_private.h"

static bool is_sliced(const struct mirror_io *mi)
{
	return mi->io.op == VOLUME_ZERO || mi->io.op == VOLUME_TRIM;
}

static bool is_fua(const struct mirror_io *mi)
{
	return mi->io.flags & VOLUME_FUA;
}

/* --- intent ------------------------------------------------------------------------------ */

static void end_intent(struct mirror_io *mi, bool is_durable)
{
	if (!mi->has_intent)
		return;
	mi->has_intent = false;
	intent_end(mi->m->intent, &mi->intent, is_durable);
}

static void submit(struct mirror_io *mi);

static void ready(void *owner, struct intent_write *w)
{
	struct mirror_io *mi = owner;

	(void)w;
	qb_list_del(&mi->io.link);
	mirror_now(mi->m);
	submit(mi);
}

/* It holds its region by now. */
void write_begin(struct mirror_io *mi)
{
	struct mirror *m = mi->m;
	int answer;

	if (!m->intent) {
		submit(mi);
		return;
	}
	mi->intent.first = mi->change.range.low / m->bitmap_chunk_sectors;
	mi->intent.last = (mi->change.range.high - 1) / m->bitmap_chunk_sectors;
	mi->intent.ready = ready;
	mi->intent.owner = mi;
	answer = intent_begin(m->intent, &mi->intent);
	if (answer < 0) {
		change_release(m, &mi->change);
		io_finish_later(mi, -EIO);
		return;
	}
	mi->has_intent = true;
	if (answer == INTENT_READY) {
		submit(mi);
	} else {
		mi->state = IO_INTENT;
		qb_list_add_tail(&mi->io.link, &m->waiting_intent);
	}
}

void write_back_out(struct mirror_io *mi)
{
	struct mirror *m = mi->m;

	job_end(m, &mi->job);
	end_intent(mi, !mi->has_written); /* W4 */
	mi->has_written = mi->is_cut = false;
	mi->next = mi->change.range.low;
	mi->bad = 0;
	mi->failed = 0;
	change_release(m, &mi->change);
	gate_park(mi);
}

/* --- to the disks ------------------------------------------------------------------------- */

static void region_over(struct mirror_io *mi);

/* A5: it may have waited long for its bits, but write_push() looks at the gate. */
static void submit(struct mirror_io *mi)
{
	mi->state = IO_ON_DISKS;
	job_begin(mi->m, &mi->job);
	write_push(mi);
}

static uint32_t roles_of(const struct map *map, const struct map_piece *piece)
{
	return map->set_roles[piece->set];
}

static bool has_transfers(const struct mirror_io *mi, uint32_t wanted)
{
	const struct qb_list_head *pool = &mi->m->pool, *at = pool->next;
	uint32_t n = (uint32_t)__builtin_popcount(mi->own_free);

	for (; n < wanted && at != pool; at = at->next)
		n++;
	return n >= wanted;
}

/* To all of its disks at once, or not yet: false. */
static bool push_piece(struct mirror_io *mi, const struct map_piece *piece)
{
	struct mirror *m = mi->m;
	uint32_t k, roles = roles_of(&m->map, piece);
	char *from = (char *)mi->io.buffer +
		     ((piece->at << SECTOR_SHIFT) - mi->io.offset_bytes);

	if (!has_transfers(mi, (uint32_t)__builtin_popcount(roles & m->writable)))
		return false;
	mi->bad |= roles & ~m->readable;
	for (k = 0; k < m->map.copies; k++) {
		struct transfer *t;

		if (!(m->writable >> piece->copy[k].role & 1))
			continue;
		t = io_transfer(mi);
		t->over = write_transfer_over;
		mi->awaited++;
		mi->has_written = true;
		transfer_send(m, t, piece->copy[k].role, DISK_WRITE,
			      piece->copy[k].sector, piece->sectors, from, is_fua(mi));
	}
	return true;
}

static void push_pieces(struct mirror_io *mi)
{
	struct mirror *m = mi->m;
	struct map_piece piece;

	while (mi->next < mi->change.range.high && gate_is_open(m)) {
		map_piece_at(&m->map, mi->next, mi->change.range.high, &piece);
		if (!push_piece(mi, &piece))
			break; /* when some of its own are back */
		mi->next += piece.sectors;
	}
}

void write_push(struct mirror_io *mi)
{
	if (!mi->is_cut && is_sliced(mi))
		zero_push(mi);
	else if (!mi->is_cut)
		push_pieces(mi);
	if (mi->awaited > 0)
		return;
	if ((mi->is_cut || mi->next < mi->change.range.high) && mi->lost == 0) {
		write_back_out(mi); /* the gate, for nothing of it is out */
		return;
	}
	if (mi->is_cut || mi->next < mi->change.range.high)
		mi->result = -EIO; /* a hung disk has what is needed to go on */
	region_over(mi);
}

void write_transfer_over(struct transfer *t, int result)
{
	struct mirror_io *mi = t->owner;
	struct mirror *m = mi->m;

	mi->awaited--;
	if (result == -ESHUTDOWN) {
		mi->is_cut = true;
	} else if (result < 0) {
		mi->bad |= 1u << t->role;
		mi->failed |= 1u << t->role;
		mi->is_out_of_space = result == -ENOSPC;
		failure_of_change(m, t->role, &t->req, result);
	}
	if (t->is_lost)
		mi->lost++;
	else
		io_transfer_free(mi, t);
	if (mi->next < mi->change.range.high || mi->awaited == 0)
		write_push(mi);
}

/* --- all of it is over -------------------------------------------------------------------- */

/* W2 */
static int worth(const struct mirror_io *mi)
{
	const struct mirror *m = mi->m;
	uint32_t set, sets;

	if (mi->bad == 0)
		return 0;
	if (mi->failed & m->readable)
		return mi->is_out_of_space ? -ENOSPC : -EIO;
	sets = map_sets_in(&m->map, mi->change.range.low, mi->change.range.high);
	for (set = 0; set < m->map.sets; set++)
		if ((sets >> set & 1) &&
		    !(m->map.set_roles[set] & m->readable & ~mi->bad))
			return -EIO;
	return 0;
}

/*
 * W5: a disk that has not got it, and is in use, for it is the last one; others have, ones
 * that are rebuilt, or in a raid10. The intent is not told that it is over.
 */
static bool leaves_copies_different(const struct mirror_io *mi)
{
	uint32_t writable = mi->m->writable;

	return (mi->failed & writable) && (writable & (writable - 1));
}

/* Region and intent; what a disk in use may write yet keeps them until it is back. */
static void give_back(struct mirror_io *mi)
{
	bool is_durable = !mi->has_written || mi->is_flushed ||
			  (is_fua(mi) && !is_sliced(mi));

	if (mi->keeps_region)
		return;
	if (!leaves_copies_different(mi))
		end_intent(mi, is_durable && mi->failed == 0);
	change_release(mi->m, &mi->change);
}

static void next_slice(struct mirror_io *mi)
{
	struct mirror *m = mi->m;

	mi->change.range.low = mi->change.range.high;
	mi->change.range.high = io_slice_end(mi, mi->change.range.low);
	mi->next = mi->change.range.low;
	mi->bad = 0;
	mi->failed = 0;
	mi->has_written = false;
	mi->is_flushed = false;
	if (m->is_stopping)
		io_finish_later(mi, -ESHUTDOWN);
	else
		change_admit(mi);
}

static void finish(struct mirror_io *mi)
{
	bool is_more = mi->result == 0 && mi->change.range.high < io_end(mi);

	mi->state = IO_FINISHED;
	give_back(mi);
	if (is_more)
		next_slice(mi);
	else
		io_report(mi);
}

/* A ZERO has no FUA of its own: a flush behind it (A8). */
static bool needs_flush(const struct mirror_io *mi)
{
	return is_fua(mi) && is_sliced(mi) && mi->has_written && !mi->is_flushed &&
	       mi->result == 0;
}

static void region_over(struct mirror_io *mi)
{
	struct mirror *m = mi->m;

	job_end(m, &mi->job);
	if (mi->result == 0)
		mi->result = worth(mi);
	/* a hung disk that stays, for it is the last, writes when it likes */
	mi->keeps_region = mi->lost > 0 && (mi->failed & m->writable);
	if (needs_flush(mi)) {
		mi->is_flushed = true;
		mi->state = IO_FLUSHING;
		flush_join(mi);
	} else if (mi->bad & m->unknown) {
		failure_hold(mi); /* W3 */
	} else {
		finish(mi);
	}
}

/* The flush behind a ZERO is over. */
void write_flushed(struct mirror_io *mi, int result, uint32_t bad)
{
	mi->result = result;
	mi->bad |= bad;
	if (mi->bad & mi->m->unknown)
		failure_hold(mi); /* W3 */
	else
		finish(mi);
}

void write_known(struct mirror_io *mi)
{
	if (mi->result == 0)
		mi->result = worth(mi);
	finish(mi);
}

void write_end_held(struct mirror_io *mi)
{
	give_back(mi);
	io_finish_later(mi, -ESHUTDOWN);
}

/* The last lost one is back. If it is not over yet, it gives back when it is. */
void write_all_back(struct mirror_io *mi)
{
	if (!mi->keeps_region)
		return;
	mi->keeps_region = false;
	if (mi->state == IO_FINISHED)
		give_back(mi);
}

void write_fail_waiting(struct mirror *m, int result)
{
	while (!qb_list_empty(&m->waiting_intent)) {
		struct mirror_io *mi = mirror_io_of(qb_list_first_entry(
			&m->waiting_intent, struct volume_io, link));

		qb_list_del(&mi->io.link);
		end_intent(mi, true);
		change_release(m, &mi->change);
		io_finish_later(mi, result);
	}
}
