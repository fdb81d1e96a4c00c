/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * One piece of a resync: its region, read, compared, written.
 *
 *	COPY     reads the source (A6), writes all others
 *	REBUILD  reads it, too, and writes those that are rebuilt
 *	others   read all in sync, the first that could be read is right; where the rest
 *	         differs they are written (but for CHECK)
 *
 * What is on a disk that is rebuilt is not asked: COMPARE writes all of it there, REPAIR what
 * differs among the others, CHECK does not know it.
 *
 * Where a disk cannot read all of it, it is gone through once more block by block (A10), so
 * that of each block the first disk that can read it is right, as for clients. Who cannot is
 * written as well, and what was written there is read back: a disk that cannot even do that
 * fails. REBUILD and CHECK leave that to a window of what is needed then. A block that nobody
 * can read is left as it is; it ends a REBUILD, for who is in sync has all of it.
 *
 * The bits of needed chunks are on the disks already. REPAIR writes elsewhere, too, and
 * asks for an intent like any write (A1).
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/arith.h"
#include "mdclusterd/mirror/sync_private.h"

enum { COMPARE_BYTES = 4096 };

static uint32_t role_of(const struct piece *p, uint32_t copy)
{
	return p->map.copy[copy].role;
}

static bool is_writable(const struct piece *p, uint32_t copy)
{
	return p->m->writable >> role_of(p, copy) & 1;
}

static bool is_rebuilt(const struct piece *p, uint32_t copy)
{
	return p->rebuilt >> role_of(p, copy) & 1;
}

/* Is it written, where there is anything to write? */
static bool is_target(const struct piece *p, uint32_t copy)
{
	if ((int)copy == p->source || !is_writable(p, copy))
		return false;
	return is_rebuilt(p, copy) || !sync_rebuilds(p->sync);
}

static uint64_t length_bytes(const struct piece *p)
{
	return p->map.sectors << SECTOR_SHIFT;
}

/* --- the end of it ------------------------------------------------------------------------ */

static void end_intent(struct piece *p, bool is_durable)
{
	if (!p->has_intent)
		return;
	p->has_intent = false;
	intent_end(p->m->intent, &p->intent, is_durable);
}

static void give_back(struct piece *p)
{
	job_end(p->m, &p->job);
	if (p->keeps_region)
		return;
	end_intent(p, false);
	change_release(p->m, &p->change);
}

static uint64_t end_of(const struct piece *p)
{
	return p->at + p->sectors;
}

static void over(struct piece *p, int result)
{
	struct sync *sync = p->sync;

	p->result = result;
	if (result == 0 && p->unread_sectors == 0 && sync_writes(sync) && !sync_rebuilds(sync))
		unreadable_forget(p->m, p->at, end_of(p));
	p->state = PIECE_DONE;
	p->keeps_region = p->lost > 0 && (p->failed & p->m->writable);
	give_back(p);
	sync_piece_over(sync);
}

/* Gate or suspended range: all over again, from nothing. */
static void again(struct piece *p)
{
	p->state = PIECE_TODO;
	give_back(p);
}

static void back(struct transfer *t)
{
	struct piece *p = t->owner;
	struct mirror *m = p->m;

	if (--p->lost > 0)
		return;
	if (p->keeps_region) {
		p->keeps_region = false;
		give_back(p);
	}
	if (p->sync)
		return;
	qb_list_del(&p->link);
	if (p->buffers >= m->spare_buffers)
		qb_list_add(&p->link, &m->spare_pieces);
	else
		piece_free(p);
}

static void begin_part(struct piece *p);

static void next_block(struct piece *p, uint64_t at)
{
	uint64_t size = mirror_block_sectors(p->m);

	map_piece_at(&p->m->map, at, min_u64(end_of(p), round_down(at, size) + size), &p->map);
	begin_part(p);
}

/* What is in hand is done: the rest of it. */
static void part_over(struct piece *p)
{
	uint64_t next = p->map.at + p->map.sectors;

	end_intent(p, false);
	if (!p->is_in_blocks || next >= end_of(p)) {
		over(p, 0);
	} else if (p->sync->is_cancelled) { /* each may take seconds */
		over(p, -ECANCELED);
	} else if (p->lost > 0) { /* a disk has the memory still: another one */
		give_back(p);
		sync_replace_piece(p->sync, p);
	} else {
		next_block(p, next);
	}
}

static void unread(struct piece *p)
{
	if (p->unread_sectors == 0)
		p->unread_low = p->map.at;
	p->unread_sectors += p->map.sectors;
	p->unread_high = p->map.at + p->map.sectors;
	if (sync_rebuilds(p->sync))
		over(p, -EIO);
	else
		part_over(p);
}

/* --- reading back ------------------------------------------------------------------------- */

static void reread_over(struct transfer *t, int result)
{
	struct piece *p = t->owner;

	p->awaited--;
	if (t->is_lost)
		p->lost++;
	if (result < 0) {
		p->failed |= 1u << t->role;
		failure_of_reread(p->m, t->role, &t->req, result);
	} else {
		unreadable_corrected(p->m, t->role, p->map.at, p->map.at + p->map.sectors);
	}
	if (p->awaited > 0)
		return;
	if (p->failed & p->m->writable)
		over(p, -EIO);
	else
		part_over(p);
}

/* What comes back is of no use but to show that it does: one buffer will do for all. */
static void read_back(struct piece *p, uint32_t roles)
{
	uint32_t copy;

	p->state = PIECE_READING_BACK;
	for (copy = 0; copy < p->m->map.copies; copy++) {
		struct transfer *t = &p->transfers[copy];

		if (!(roles >> role_of(p, copy) & 1))
			continue;
		t->owner = p;
		t->over = reread_over;
		t->back = back;
		p->awaited++;
		transfer_send(p->m, t, role_of(p, copy), DISK_READ, p->map.copy[copy].sector,
			      p->map.sectors, p->buffer[sync_compares(p->sync) ? copy : 0],
			      false);
	}
}

static void all_written(struct piece *p)
{
	uint32_t suspects = p->tried | unreadable_roles(p->m, p->map.at,
							p->map.at + p->map.sectors);
	uint32_t roles = suspects & p->written & ~p->failed & p->m->writable;

	if (p->failed & p->m->writable) /* it stays, and has not got it: they differ still */
		over(p, -EIO);
	else if (roles != 0 && p->lost == 0)
		read_back(p, roles);
	else
		part_over(p);
}

/* --- writing ------------------------------------------------------------------------------ */

static void write_over(struct transfer *t, int result)
{
	struct piece *p = t->owner;

	p->awaited--;
	if (t->is_lost)
		p->lost++;
	if (result == -ESHUTDOWN) {
		p->is_cut = true;
	} else if (result < 0) {
		p->failed |= 1u << t->role;
		failure_of_change(p->m, t->role, &t->req, result);
	}
	if (p->awaited > 0)
		return;
	if (p->is_cut && p->lost == 0)
		again(p); /* D13 */
	else if (p->is_cut)
		over(p, -EIO);
	else
		all_written(p);
}

static void send_write(struct piece *p, uint32_t copy)
{
	uint64_t low = p->span_low[copy], high = p->span_high[copy];
	struct transfer *t = &p->transfers[copy];
	uint32_t from = sync_compares(p->sync) ? (uint32_t)p->source : 0;

	t->owner = p;
	t->over = write_over;
	t->back = back;
	p->awaited++;
	p->written |= 1u << role_of(p, copy);
	if (is_rebuilt(p, copy) || !(p->m->readable >> role_of(p, copy) & 1))
		p->sync->rebuilt |= 1u << role_of(p, copy);
	p->sync->owner->copied_sectors += (high - low) >> SECTOR_SHIFT;
	transfer_send(p->m, t, role_of(p, copy), DISK_WRITE,
		      p->map.copy[copy].sector + (low >> SECTOR_SHIFT),
		      (high - low) >> SECTOR_SHIFT, p->buffer[from] + low, false);
}

static void write_all(struct piece *p)
{
	uint32_t copy;

	if (!gate_is_open(p->m)) { /* A5 */
		again(p);
		return;
	}
	p->state = PIECE_WRITING;
	p->written = p->failed = 0;
	p->is_cut = false;
	for (copy = 0; copy < p->m->map.copies; copy++)
		if (is_target(p, copy) && p->span_low[copy] < p->span_high[copy])
			send_write(p, copy);
	if (p->awaited == 0)
		part_over(p);
}

static void intent_ready(void *owner, struct intent_write *w)
{
	struct piece *p = owner;

	(void)w;
	mirror_now(p->m);
	write_all(p);
}

static void ask_intent(struct piece *p)
{
	struct mirror *m = p->m;
	int answer;

	p->intent.first = p->map.at / m->bitmap_chunk_sectors;
	p->intent.last = (p->map.at + p->map.sectors - 1) / m->bitmap_chunk_sectors;
	p->intent.ready = intent_ready;
	p->intent.owner = p;
	answer = intent_begin(m->intent, &p->intent);
	if (answer < 0) {
		over(p, -EIO);
		return;
	}
	p->has_intent = true;
	p->state = PIECE_INTENT;
	if (answer == INTENT_READY)
		write_all(p);
}

void piece_fail_intent(struct piece *p)
{
	p->result = p->sync->is_cancelled ? -ECANCELED : -EIO;
	p->state = PIECE_DONE;
	end_intent(p, true);
	give_back(p);
}

static void write_differences(struct piece *p)
{
	if (p->m->intent && p->sync->owner->kind == MIRROR_SYNC_REPAIR)
		ask_intent(p);
	else
		write_all(p);
}

/* --- comparing ---------------------------------------------------------------------------- */

/* Of one copy, in blocks; what could not be read is no mismatch. */
static bool differs_at(const struct piece *p, uint32_t copy, uint64_t at, uint64_t length)
{
	if (!is_target(p, copy) || !(p->got >> role_of(p, copy) & 1))
		return false;
	return memcmp(p->buffer[copy] + at, p->buffer[p->source] + at, length) != 0;
}

static void widen(struct piece *p, uint32_t copy, uint64_t at, uint64_t end)
{
	if (p->span_low[copy] == p->span_high[copy])
		p->span_low[copy] = at;
	p->span_high[copy] = end;
}

static bool is_all_equal(const struct piece *p)
{
	uint32_t copy;

	for (copy = 0; copy < p->m->map.copies; copy++)
		if (differs_at(p, copy, 0, length_bytes(p)))
			return false;
	return true;
}

static void tell(struct piece *p, uint64_t from, uint64_t to)
{
	struct mirror_sync *s = p->sync->owner;

	if (from == to)
		return;
	s->mismatch_sectors += (to - from) >> SECTOR_SHIFT;
	if (s->differs && s->kind >= MIRROR_SYNC_CHECK)
		s->differs(s->owner, s, p->map.at + (from >> SECTOR_SHIFT),
			   (to - from) >> SECTOR_SHIFT);
}

static bool find_at(struct piece *p, uint64_t at, uint64_t end)
{
	bool is_any = false;
	uint32_t copy;

	for (copy = 0; copy < p->m->map.copies; copy++) {
		if (!differs_at(p, copy, at, end - at))
			continue;
		is_any = true;
		widen(p, copy, at, end);
	}
	for (copy = 0; is_any && copy < p->m->map.copies; copy++)
		if (is_rebuilt(p, copy))
			widen(p, copy, at, end);
	return is_any;
}

static void find_differences(struct piece *p)
{
	uint64_t at, end, from = 0, to = 0;

	for (at = 0; at < length_bytes(p); at = end) {
		end = min_u64(at + COMPARE_BYTES, length_bytes(p));
		if (!find_at(p, at, end))
			continue;
		if (to != at) {
			tell(p, from, to);
			from = at;
		}
		to = end;
	}
	tell(p, from, to);
}

/* The others could not read what the source could. */
static void tell_tried(const struct piece *p)
{
	uint32_t tried = p->tried;

	for (; tried != 0; tried &= tried - 1)
		unreadable_found(p->m, (uint32_t)__builtin_ctz(tried), p->map.at,
				 p->map.at + p->map.sectors, sync_is_of_needed(p->sync));
}

/* Whatever is there: who could not be read, and of COMPARE who is rebuilt. */
static bool write_unseen(struct piece *p)
{
	uint32_t copy, roles = p->tried;

	if (p->sync->owner->kind == MIRROR_SYNC_COMPARE)
		roles |= p->rebuilt & p->m->map.set_roles[p->map.set];
	for (copy = 0; copy < p->m->map.copies; copy++) {
		if (!(roles >> role_of(p, copy) & 1))
			continue;
		p->span_low[copy] = 0;
		p->span_high[copy] = length_bytes(p);
	}
	return roles != 0;
}

static void compare(struct piece *p)
{
	bool is_equal;

	p->source = read_source(p->m, &p->map, ~p->got);
	if (p->source < 0) {
		unread(p);
		return;
	}
	tell_tried(p);
	is_equal = is_all_equal(p);
	if (!is_equal)
		find_differences(p);
	if ((write_unseen(p) || !is_equal) && sync_writes(p->sync))
		write_differences(p);
	else
		part_over(p);
}

/* --- reading ------------------------------------------------------------------------------ */

static void read_over(struct transfer *t, int result);

static void send_read(struct piece *p, uint32_t copy, uint8_t *buffer)
{
	struct transfer *t = &p->transfers[copy];

	t->owner = p;
	t->over = read_over;
	t->back = back;
	p->awaited++;
	transfer_send(p->m, t, role_of(p, copy), DISK_READ, p->map.copy[copy].sector,
		      p->map.sectors, buffer, false);
}

/* COPY, REBUILD: all of it to all others, once there is one to read. */
static void copy_all(struct piece *p)
{
	uint32_t copy;

	tell_tried(p);
	for (copy = 0; copy < p->m->map.copies; copy++)
		p->span_high[copy] = length_bytes(p);
	write_all(p);
}

static void read_next_source(struct piece *p)
{
	p->source = read_source(p->m, &p->map, p->tried);
	if (p->source < 0)
		unread(p);
	else
		send_read(p, (uint32_t)p->source, p->buffer[0]);
}

static void all_read(struct piece *p)
{
	if (p->lost > 0) { /* the disk may still write the buffer: another one */
		give_back(p);
		sync_replace_piece(p->sync, p);
	} else if (p->tried != 0 && p->map.sectors > mirror_block_sectors(p->m)) {
		p->is_in_blocks = true;
		next_block(p, p->at);
	} else if (sync_compares(p->sync)) {
		compare(p);
	} else if (p->tried >> role_of(p, (uint32_t)p->source) & 1) {
		read_next_source(p);
	} else {
		copy_all(p);
	}
}

static void read_over(struct transfer *t, int result)
{
	struct piece *p = t->owner;

	p->awaited--;
	if (t->is_lost)
		p->lost++;
	if (result < 0) {
		p->tried |= 1u << t->role;
		failure_of_read(p->m, t->role, &t->req, result);
	} else {
		p->got |= 1u << t->role;
	}
	if (p->awaited == 0)
		all_read(p);
}

static bool has_others(const struct piece *p)
{
	uint32_t roles = p->m->map.set_roles[p->map.set];

	if (sync_rebuilds(p->sync))
		return (roles & p->rebuilt) != 0;
	return __builtin_popcount(roles & p->m->writable) > 1;
}

static void read_all(struct piece *p)
{
	uint32_t copy;

	for (copy = 0; copy < p->m->map.copies; copy++)
		if (p->m->readable >> role_of(p, copy) & 1)
			send_read(p, copy, p->buffer[copy]);
	if (p->awaited == 0)
		over(p, -EIO);
}

static void begin_part(struct piece *p)
{
	p->state = PIECE_READING;
	p->tried = 0;
	p->got = 0;
	memset(p->span_low, 0, sizeof(p->span_low));
	memset(p->span_high, 0, sizeof(p->span_high));
	if (sync_compares(p->sync))
		read_all(p);
	else if (has_others(p))
		read_next_source(p);
	else
		over(p, 0);
}

static void begin(struct piece *p)
{
	p->change.is_started = true;
	job_begin(p->m, &p->job);
	p->rebuilt = disks_rebuilt(p->m);
	p->disks_came = p->m->disks_came;
	p->is_in_blocks = false;
	p->unread_sectors = 0;
	map_piece_at(&p->m->map, p->at, end_of(p), &p->map);
	begin_part(p);
}

/* --- its turn ----------------------------------------------------------------------------- */

static bool may_begin(const struct piece *p)
{
	return gate_is_open(p->m) &&
	       !suspend_covers(p->m, p->at, end_of(p));
}

static void go(struct mirror *m, struct change *c)
{
	struct piece *p =
		(struct piece *)((char *)c - offsetof(struct piece, change));

	if (may_begin(p)) {
		begin(p);
	} else {
		p->state = PIECE_TODO;
		change_release(m, c);
	}
}

void piece_start(struct piece *p)
{
	if (!may_begin(p))
		return;
	p->change = (struct change){ .go = go, .is_sync = true };
	p->change.range.low = p->at;
	p->change.range.high = end_of(p);
	p->job.is_on = false;
	p->awaited = 0;
	if (change_take(p->m, &p->change))
		begin(p);
	else
		p->state = PIECE_BLOCKED;
}

/* One whose turn has come just now is not touched: it will look for itself. */
bool piece_drop(struct piece *p)
{
	if (p->state == PIECE_BLOCKED && p->change.range.blocked > 0)
		change_release(p->m, &p->change);
	else if (p->state != PIECE_TODO)
		return false;
	p->state = PIECE_DONE;
	return true;
}

/* --- memory ------------------------------------------------------------------------------- */

struct piece *piece_new(struct mirror *m, uint32_t buffers)
{
	size_t transfers = m->map.copies * sizeof(struct transfer);
	struct piece *p = calloc(1, sizeof(*p) + transfers);
	uint32_t i;

	if (!p)
		return NULL;
	p->m = m;
	p->buffers = buffers;
	for (i = 0; i < buffers; i++) {
		p->buffer[i] = disk_buffer_new(sync_piece_sectors(m) << SECTOR_SHIFT);
		if (!p->buffer[i]) {
			piece_free(p);
			return NULL;
		}
	}
	return p;
}

void piece_free(struct piece *p)
{
	uint32_t i;

	for (i = 0; i < p->buffers; i++)
		free(p->buffer[i]);
	free(p);
}
