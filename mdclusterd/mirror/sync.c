/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Resync, check and repair of one window.
 *
 *	Y1  A piece is a change like any other (A3): it waits for writes that overlap, they
 *	    wait for it, for nothing else.
 *	Y2  A chunk is synced when all of it was copied in this window, in order: not one
 *	    byte earlier, and never for what was skipped, for a merge may have made that
 *	    needed meanwhile. So windows are of whole chunks. Nor for a piece that began
 *	    before a disk came: it is not on that one.
 *	Y3  `position` goes up as pieces end in order.
 *	Y4  Speed, as md: at most max; and only min while applications are at work. Credit
 *	    accrues with time, is spent by pieces, and is not saved up.
 *
 *	Y5  When it is done what it wrote to disks that are rebuilt is durable there: no bit
 *	    speaks for them once they are told in sync.
 *	Y6  What REBUILD says is done is on every disk that is rebuilt then, also on one that
 *	    came amid it: it says nothing then.
 *
 * Pieces are kept for the next window, since their buffers are costly to map anew, and
 * given back when there was none for a while.
 */
#include <errno.h>
#include <stdlib.h>

#include "base/arith.h"
#include "bitmap/bits.h"
#include "mdclusterd/mirror/sync_private.h"

#define SPARE_NS  (10 * NS_PER_S)
#define ACTIVE_NS (NS_PER_S / 10) /* after the last io applications are at work still */

bool sync_writes(const struct sync *sync)
{
	return sync->owner->kind != MIRROR_SYNC_CHECK;
}

bool sync_compares(const struct sync *sync)
{
	return sync->owner->kind != MIRROR_SYNC_COPY && !sync_rebuilds(sync);
}

bool sync_rebuilds(const struct sync *sync)
{
	return sync->owner->kind == MIRROR_SYNC_REBUILD;
}

bool sync_is_of_needed(const struct sync *sync)
{
	return sync->m->intent && (sync->owner->kind == MIRROR_SYNC_COPY ||
				   sync->owner->kind == MIRROR_SYNC_COMPARE);
}

/* --- speed -------------------------------------------------------------------------------- */

bool sync_is_busy(const struct mirror *m, uint64_t now)
{
	return m->reports > 0 || now - m->last_io_ns < ACTIVE_NS;
}

/* Bytes of the array a second; 0: no limit. */
static uint64_t rate(const struct mirror *m)
{
	return m->speed_max_bytes * m->map.disks / m->map.copies;
}

static void accrue(struct sync *sync)
{
	struct mirror *m = sync->m;
	uint64_t bytes = rate(m), ns = m->now_ns - sync->paced_ns;
	int64_t most = PIECE_MAX_SECTORS << SECTOR_SHIFT;

	sync->paced_ns = m->now_ns;
	if (ns > NS_PER_S)
		ns = NS_PER_S;
	sync->credit_bytes += (int64_t)((double)bytes * (double)ns / NS_PER_S);
	if (sync->credit_bytes > most)
		sync->credit_bytes = most;
}

static bool may_send(struct sync *sync)
{
	accrue(sync);
	return rate(sync->m) == 0 || sync->credit_bytes > 0;
}

void mirror_set_speed(struct mirror *m, uint64_t max_bytes)
{
	mirror_now(m);
	m->speed_max_bytes = max_bytes;
	sync_run(m);
}

/* --- which pieces ------------------------------------------------------------------------- */

/* The end of the needed chunks from `at` on, but not further than `high`. */
static uint64_t needed_end(const struct mirror *m, uint64_t at, uint64_t high)
{
	uint64_t chunk = at / m->bitmap_chunk_sectors;
	uint64_t end;

	do {
		end = (chunk + 1) * m->bitmap_chunk_sectors;
		chunk++;
	} while (end < high && intent_is_needed(m->intent, chunk));
	return min_u64(end, high);
}

/* Moves on to what is to do; false: nothing is left. */
static bool find_next(struct sync *sync)
{
	struct mirror *m = sync->m;
	uint64_t high = sync->owner->high, chunk;

	if (sync_rebuilds(sync) && disks_rebuilt(m) == 0)
		sync->next = high;
	if (sync->next < high && sync_is_of_needed(sync)) {
		chunk = intent_next_needed(m->intent,
					   sync->next / m->bitmap_chunk_sectors);
		if (chunk == BITS_NONE)
			sync->next = high;
		else
			sync->next = max_u64(sync->next,
					     chunk * m->bitmap_chunk_sectors);
		sync->next = min_u64(sync->next, high);
	}
	return sync->next < high;
}

/* Looked at for each piece: applications may come amid a window. */
static bool has_enough(const struct sync *sync)
{
	bool is_busy = sync_is_busy(sync->m, sync->m->now_ns);

	return sync->in_hand >= (is_busy ? sync->most : sync->most_alone);
}

static struct piece *take_piece(struct sync *sync)
{
	struct mirror *m = sync->m;
	struct piece *p;

	if (has_enough(sync) || qb_list_empty(&m->spare_pieces))
		return NULL;
	p = qb_list_first_entry(&m->spare_pieces, struct piece, link);
	qb_list_del(&p->link);
	sync->in_hand++;
	return p;
}

static bool begin_piece(struct sync *sync)
{
	struct mirror *m = sync->m;
	struct piece *p = take_piece(sync);
	uint64_t high;

	if (!p)
		return false;
	high = min_u64(sync->next + sync->piece_sectors, sync->owner->high);
	if (sync_is_of_needed(sync))
		high = needed_end(m, sync->next, high);
	map_piece_at(&m->map, sync->next, high, &p->map);
	p->at = p->map.at;
	p->sectors = p->map.sectors;
	p->sync = sync;
	p->state = PIECE_TODO;
	sync->next += p->sectors;
	sync->credit_bytes -= (int64_t)(p->sectors << SECTOR_SHIFT);
	qb_list_add_tail(&p->link, &sync->pieces);
	piece_start(p);
	return true;
}

/* --- how far ------------------------------------------------------------------------------ */

/* A REPAIR writes a disk that is rebuilt only where others differ. */
static bool is_left_out(const struct sync *sync, const struct piece *p)
{
	return sync->owner->kind == MIRROR_SYNC_REPAIR &&
	       (p->rebuilt & sync->m->map.set_roles[p->map.set]);
}

/* Y2: whole chunks that end in what was copied just now */
static void tell_synced(struct sync *sync, const struct piece *p, uint64_t low, uint64_t high)
{
	struct mirror *m = sync->m;
	uint64_t size = m->bitmap_chunk_sectors, from, to, was = sync->run_high;

	if (!m->intent || !sync_writes(sync) || sync_rebuilds(sync))
		return;
	if (p->disks_came != m->disks_came || is_left_out(sync, p) || low == high)
		return;
	if (low != sync->run_high || p->disks_came != sync->run_disks_came) {
		sync->run_disks_came = p->disks_came;
		sync->run_low = low;
		was = low;
	}
	sync->run_high = high;
	from = max_u64(round_down(was, size), round_up(sync->run_low, size)) / size;
	to = sync->run_high == m->map.sectors ? div_round_up(sync->run_high, size) :
						sync->run_high / size;
	if (from >= to)
		return;
	sync->told_sectors += min_u64(to * size, m->map.sectors) - from * size;
	intent_synced(m->intent, from, to - 1);
}

uint64_t sync_untold_sectors(const struct mirror *m)
{
	const struct sync *sync = m->sync;

	if (!sync)
		return 0;
	return sync->owner->read_sectors - (sync_is_of_needed(sync) ? sync->told_sectors : 0);
}

static void put_away(struct piece *p)
{
	struct mirror *m = p->m;

	qb_list_del(&p->link);
	p->sync->in_hand--;
	p->sync = NULL;
	qb_list_add(&p->link, p->lost > 0 ? &m->left_pieces : &m->spare_pieces);
}

/* What no disk can read is left behind, its chunks stay needed: the rest is worth to be had. */
static void is_through(struct sync *sync, const struct piece *p)
{
	struct mirror_sync *owner = sync->owner;
	uint64_t end = p->at + p->sectors;

	owner->position = end;
	owner->read_sectors += p->sectors;
	sync->m->resync_bytes += p->sectors << SECTOR_SHIFT;
	if (p->unread_sectors == 0) {
		tell_synced(sync, p, p->at, end);
		return;
	}
	tell_synced(sync, p, p->at, p->unread_low);
	tell_synced(sync, p, p->unread_high, end);
}

static void note_unread(struct mirror_sync *owner, const struct piece *p)
{
	if (p->unread_sectors == 0)
		return;
	if (owner->unread_sectors == 0)
		owner->unread_low = p->unread_low;
	owner->unread_sectors += p->unread_sectors;
}

static void retire(struct sync *sync)
{
	while (!qb_list_empty(&sync->pieces)) {
		struct piece *p =
			qb_list_first_entry(&sync->pieces, struct piece, link);

		if (p->state != PIECE_DONE)
			break;
		if (sync->result == 0 && p->result == 0)
			is_through(sync, p);
		if (sync->result == 0) {
			sync->result = p->result;
			note_unread(sync->owner, p);
		}
		put_away(p);
	}
}

static void drop_pieces(struct sync *sync)
{
	struct qb_list_head *at, *next;

	qb_list_for_each_safe(at, next, &sync->pieces)
		if (piece_drop(qb_list_entry(at, struct piece, link)))
			qb_list_entry(at, struct piece, link)->result = -ECANCELED;
}

static bool is_at_end(const struct sync *sync)
{
	return sync->is_cancelled || sync->result < 0 ||
	       sync->next >= sync->owner->high;
}

static void retry(struct sync *sync)
{
	struct piece *p;

	qb_list_for_each_entry(p, &sync->pieces, link)
		if (p->state == PIECE_TODO)
			piece_start(p);
}

/* --- Y5 ----------------------------------------------------------------------------------- */

static void flush_is_back(struct transfer *t)
{
	struct sync *sync = t->owner;
	struct mirror *m = t->m;

	sync->flush_lost--;
	if (sync->flush_lost > 0 || m->sync == sync)
		return;
	m->left_syncs--;
	free(sync);
}

static void rebuilt_flushed(struct transfer *t, int result)
{
	struct sync *sync = t->owner;

	sync->flush_awaited--;
	sync->flush_lost += t->is_lost;
	if (result < 0)
		failure_of_change(t->m, t->role, &t->req, result);
	sync->is_over = sync->flush_awaited == 0;
}

static void flush_rebuilt(struct sync *sync)
{
	struct mirror *m = sync->m;
	uint32_t role, roles = sync->rebuilt & m->writable;

	sync->rebuilt = 0;
	for (role = 0; role < m->map.disks; role++) {
		if (!(roles >> role & 1))
			continue;
		sync->flush[role].owner = sync;
		sync->flush[role].over = rebuilt_flushed;
		sync->flush[role].back = flush_is_back;
		sync->flush_awaited++;
		transfer_send(m, &sync->flush[role], role, DISK_FLUSH, 0, 0, NULL, false);
	}
}

static void look_at_end(struct sync *sync)
{
	if (!is_at_end(sync) || !qb_list_empty(&sync->pieces) || sync->flush_awaited > 0)
		return;
	flush_rebuilt(sync);
	sync->is_over = sync->flush_awaited == 0;
}

void sync_run(struct mirror *m)
{
	struct sync *sync = m->sync;

	if (!sync || sync->is_running || sync->is_over)
		return;
	sync->is_running = true;
	retire(sync);
	if (sync->is_cancelled || sync->result < 0) {
		drop_pieces(sync);
		retire(sync);
	} else {
		retry(sync);
	}
	while (!is_at_end(sync) && find_next(sync)) {
		if (!may_send(sync) || !begin_piece(sync))
			break;
		retire(sync);
	}
	sync->is_running = false;
	look_at_end(sync);
}

void sync_piece_over(struct sync *sync)
{
	sync_run(sync->m);
}

/* In mirror_advance(): done() of the sync may begin the next one. */
void mirror_sync_deliver(struct mirror *m)
{
	struct sync *sync = m->sync;
	struct mirror_sync *owner;
	int result;

	if (!sync) {
		if (!qb_list_empty(&m->spare_pieces) &&
		    m->now_ns - m->sync_ended_ns >= SPARE_NS)
			mirror_sync_free(m);
		return;
	}
	if (!sync->is_over)
		return;
	owner = sync->owner;
	result = sync->result;
	if (result == 0 && sync->is_cancelled && sync->next < owner->high)
		result = -ECANCELED;
	if (result == 0)
		owner->position = owner->high;
	if (result == 0 && owner->unread_sectors > 0)
		result = -EIO;
	if (sync_rebuilds(sync) && sync->disks_came != m->disks_came) { /* Y6 */
		owner->position = owner->low;
		result = -ECANCELED;
	}
	owner->ended_ns = m->now_ns;
	owner->was_busy = sync_is_busy(m, m->now_ns);
	owner->state = NULL;
	m->sync = NULL;
	m->sync_ended_ns = m->now_ns;
	if (sync->flush_lost > 0)
		m->left_syncs++; /* a disk that hangs has part of it */
	else
		free(sync);
	owner->done(owner->owner, owner, result);
}

/* --- begin and end ------------------------------------------------------------------------ */

/* All pieces at once: no piece is left to allocate when the disks are at work. */
static bool provide_pieces(struct sync *sync)
{
	struct mirror *m = sync->m;
	uint32_t n = (uint32_t)qb_list_length(&m->spare_pieces);

	if (m->spare_buffers < sync->buffers) {
		mirror_sync_free(m);
		n = 0;
	}
	m->spare_buffers = (uint32_t)max_u64(m->spare_buffers, sync->buffers);
	for (; n < sync->most_alone; n++) {
		struct piece *p = piece_new(m, m->spare_buffers);

		if (!p)
			return false;
		qb_list_add(&p->link, &m->spare_pieces);
	}
	return true;
}

uint64_t sync_piece_sectors(const struct mirror *m)
{
	return m->map.is_striped ?
		       min_u64(PIECE_MAX_SECTORS, m->map.chunk_sectors) :
		       PIECE_MAX_SECTORS;
}

static uint32_t pieces_of(const struct sync *sync, uint64_t sectors)
{
	return (uint32_t)max_u64(PIECES_MIN,
				 min_u64(PIECES_MAX, sectors / sync->piece_sectors));
}

static bool is_whole(const struct mirror *m, uint64_t at)
{
	return at == m->map.sectors || at % m->bitmap_chunk_sectors == 0;
}

int mirror_sync_begin(struct mirror *m, struct mirror_sync *s)
{
	struct sync *sync;

	if (m->sync)
		return -EBUSY;
	if (m->is_stopping)
		return -ESHUTDOWN;
	if (s->low > s->high || s->high > m->map.sectors)
		return -EINVAL;
	sync = calloc(1, sizeof(*sync));
	if (!sync)
		return -ENOMEM;
	sync->m = m;
	sync->owner = s;
	QB_INIT_LIST_HEAD(&sync->pieces);
	if (sync_is_of_needed(sync) && !(is_whole(m, s->low) && is_whole(m, s->high))) {
		free(sync);
		return -EINVAL; /* Y2 */
	}
	sync->next = s->low;
	sync->disks_came = m->disks_came;
	sync->run_low = UINT64_MAX;
	sync->run_high = UINT64_MAX;
	sync->piece_sectors = sync_piece_sectors(m);
	sync->buffers = sync_compares(sync) ? m->map.copies : 1;
	sync->most = pieces_of(sync, SYNC_FLIGHT_SECTORS);
	sync->most_alone = (uint32_t)max_u64(
		sync->most, pieces_of(sync, SYNC_ALONE_SECTORS / sync->buffers));
	sync->paced_ns = mirror_now(m);
	sync->credit_bytes = 1; /* one piece at once */
	if (!provide_pieces(sync)) {
		free(sync);
		return -ENOMEM;
	}
	s->position = s->low;
	s->copied_sectors = 0;
	s->read_sectors = 0;
	s->mismatch_sectors = 0;
	s->unread_sectors = 0;
	s->began_ns = m->now_ns;
	s->state = sync;
	m->sync = sync;
	sync_run(m);
	return 0;
}

void mirror_sync_cancel(struct mirror *m, struct mirror_sync *s)
{
	if (!m->sync || m->sync->owner != s)
		return;
	m->sync->is_cancelled = true;
	sync_fail_waiting(m); /* bits may not come before the gate opens again */
	sync_run(m);
}

void sync_stop(struct mirror *m)
{
	if (m->sync)
		mirror_sync_cancel(m, m->sync->owner);
}

void sync_fail_waiting(struct mirror *m)
{
	struct piece *p;

	if (!m->sync || m->sync->is_running)
		return;
	m->sync->is_running = true; /* the list stays as it is */
	qb_list_for_each_entry(p, &m->sync->pieces, link)
		if (p->state == PIECE_INTENT)
			piece_fail_intent(p);
	m->sync->is_running = false;
	sync_run(m);
}

uint64_t mirror_sync_deadline(const struct mirror *m)
{
	const struct sync *sync = m->sync;
	uint64_t bytes;

	if (!sync)
		return qb_list_empty(&m->spare_pieces) ? NEVER :
							 m->sync_ended_ns + SPARE_NS;
	if (sync->is_over)
		return 0;
	bytes = rate(m);
	if (bytes == 0 || sync->credit_bytes > 0 || is_at_end(sync) ||
	    has_enough(sync))
		return NEVER; /* a disk will wake us */
	return sync->paced_ns + 1 +
	       (uint64_t)((double)(1 - sync->credit_bytes) * NS_PER_S / (double)bytes);
}

void sync_replace_piece(struct sync *sync, struct piece *p)
{
	struct piece *fresh = piece_new(p->m, sync->buffers);

	if (!fresh) {
		p->result = -EIO;
		p->state = PIECE_DONE;
		sync_piece_over(sync);
		return;
	}
	fresh->at = p->at;
	fresh->sectors = p->sectors;
	fresh->sync = sync;
	fresh->state = PIECE_TODO;
	qb_list_add(&fresh->link, &p->link);
	qb_list_del(&p->link);
	p->sync = NULL;
	qb_list_add(&p->link, &p->m->left_pieces);
	sync_piece_over(sync);
}

/* What is spare. What disks have still comes back first: mirror_free() is after that. */
void mirror_sync_free(struct mirror *m)
{
	while (!qb_list_empty(&m->spare_pieces)) {
		struct piece *p =
			qb_list_first_entry(&m->spare_pieces, struct piece, link);

		qb_list_del(&p->link);
		piece_free(p);
	}
	m->spare_buffers = 0;
}

uint64_t mirror_window(const struct mirror *m, uint64_t from, uint64_t bytes,
		       uint64_t span_bytes, uint64_t *high)
{
	uint64_t size = m->bitmap_chunk_sectors, first, last, next, left;

	first = next = intent_next_needed(m->intent, from / size);
	if (first == BITS_NONE) {
		*high = m->map.sectors;
		return m->map.sectors;
	}
	left = max_u64(1, (bytes >> SECTOR_SHIFT) / size);
	do {
		last = next;
		next = intent_next_needed(m->intent, last + 1);
	} while (--left > 0 && next != BITS_NONE &&
		 (next + 1 - first) * size <= span_bytes >> SECTOR_SHIFT);
	*high = min_u64((last + 1) * size, m->map.sectors);
	return first * size;
}
