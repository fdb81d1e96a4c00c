/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A page of the slot and its writes: pipelined group commit (I4).
 *
 * One write of a page is under way at most; what comes meanwhile is queued and goes with
 * the next one, at once when that is over. Pages do not wait for each other. A write
 * takes a copy of the page: bits that are set later are not in it, and CHUNK_FLYING says
 * of which it will make durable; bits that it clears are clear in the image from then
 * on, and set again when a disk does not take it.
 *
 * Whoever waits for a write has his page started now. The rest (whole slots for a new
 * disk, clears that are due) is bulk: a few writes at a time, of up to BULK_PAGES that
 * follow one another.
 */
#include "bitmap/intent_private.h"

#include <string.h>

#include "bitmap/bits.h"

enum {
	BULK_PAGES = 64,
	BULK_WRITES = 4,
};

#define NONE ((uint32_t)CHUNK_NONE)
#define RETRY_NS 1000000000ull

void intent_page_want_later(struct intent *in, uint32_t page)
{
	bits_set_range(in->wanted, page, page);
}

void intent_page_unsure(struct intent *in, uint32_t page)
{
	struct intent_page *p = &in->pages[page];

	in->unsure_count += !p->is_unsure;
	p->is_unsure = true;
	p->is_unsure_flying = false;
}

void intent_sb_changed(struct intent *in)
{
	in->sb_number++;
	bitmap_sb_emit(&in->slot->sb, in->slot->image);
}

/* What the write carries: all that is queued, and what may go. */
static void take_along(struct intent *in, uint32_t page)
{
	struct intent_page *p = &in->pages[page];
	uint64_t chunk;

	p->is_flying = true;
	p->is_unsure_flying = p->is_unsure;
	while (p->queued.count > 0)
		intent_chunk_move(in, p->queued.first, CHUNK_FLYING);
	qb_list_splice_tail(&p->queued_writes, &p->flying_writes);
	QB_INIT_LIST_HEAD(&p->queued_writes);
	if (p->clearable.count > 0 && intent_clear_is_allowed(in))
		while (p->clearable.count > 0) {
			chunk = chunk_at(&in->table, p->clearable.first)->number;
			bits_clear_range(in->slot->bits, chunk, chunk);
			intent_chunk_move(in, p->clearable.first, CHUNK_CLEARING);
		}
	bits_clear_range(in->wanted, page, page);
}

static bool start(struct intent *in, uint32_t first, uint32_t count, bool is_bulk)
{
	struct intent_io *io = intent_io_get(in, count);
	uint32_t i;

	if (!io)
		return false;
	io->first = first;
	io->count = count;
	io->is_bulk = is_bulk;
	for (i = 0; i < count; i++)
		take_along(in, first + i);
	io->sb_number = in->sb_number;
	memcpy(io->buffer, in->slot->image + (size_t)first * BITMAP_PAGE_BYTES,
	       (size_t)count * BITMAP_PAGE_BYTES);
	in->bulk_count += is_bulk;
	in->stats.page_writes += count;
	intent_io_submit(in, io);
	return true;
}

void intent_page_want(struct intent *in, uint32_t page)
{
	struct intent_page *p = &in->pages[page];

	intent_page_want_later(in, page);
	/* who asks anew finds out anew whether the disk takes it */
	in->stuck_count -= p->is_stuck;
	p->is_stuck = false;
	if (!p->is_flying && intent_may_write(in))
		start(in, page, 1, false);
}

static void page_written(struct intent *in, uint32_t page)
{
	struct intent_page *p = &in->pages[page];
	uint32_t at;

	while (p->flying.count > 0) {
		at = p->flying.first;
		intent_chunk_move(in, at, CHUNK_DIRTY);
		intent_chunk_forget(in, at);
	}
	while (p->clearing.count > 0) {
		in->dirty--;
		intent_chunk_gone(in, p->clearing.first);
	}
	in->unsure_count -= p->is_unsure_flying;
	p->is_unsure &= !p->is_unsure_flying;
	p->is_unsure_flying = false;
}

/* What was to be cleared is set again: some disk may have it so, or not. */
static void page_undone(struct intent *in, uint32_t page)
{
	struct intent_page *p = &in->pages[page];
	uint64_t chunk;

	while (p->flying.count > 0)
		intent_chunk_move(in, p->flying.first, CHUNK_QUEUED);
	while (p->clearing.count > 0) {
		chunk = chunk_at(&in->table, p->clearing.first)->number;
		bits_set_range(in->slot->bits, chunk, chunk);
		intent_chunk_move(in, p->clearing.first, CHUNK_QUEUED);
	}
	qb_list_splice(&p->flying_writes, &p->queued_writes);
	QB_INIT_LIST_HEAD(&p->flying_writes);
	p->is_unsure_flying = false;
	intent_page_want_later(in, page);
}

/* Not again before the disks change, or a while is over. */
static void page_sticks(struct intent *in, uint32_t page)
{
	struct intent_page *p = &in->pages[page];

	if (in->stuck_count == 0)
		in->stuck_since = in->ops.now(in->owner);
	in->stuck_count += !p->is_stuck;
	p->is_stuck = true;
}

/* Each write that waited for this page waits for its next one, or no more. */
static void wake(struct intent *in, uint32_t page)
{
	struct intent_page *p = &in->pages[page];
	struct intent_write *w, *next;

	qb_list_for_each_entry_safe(w, next, &p->flying_writes, link) {
		qb_list_del(&w->link);
		if (!intent_write_waits(in, w, page + 1))
			qb_list_add_tail(&w->link, &in->woken);
	}
}

/* The superblock lost its STALE when every page was written since it was loaded (B57). */
static void look_at_state(struct intent *in)
{
	if (in->slot->sb.state == 0 || in->unsure_count > 0)
		return;
	in->slot->sb.state = 0;
	intent_sb_changed(in);
	intent_page_want_later(in, 0);
}

static void io_written(struct intent *in, const struct intent_io *io)
{
	uint32_t page;

	for (page = io->first; page < io->first + io->count; page++)
		page_written(in, page);
	for (page = io->first; page < io->first + io->count; page++)
		wake(in, page);
	if (io->first == 0 && io->sb_number == in->sb_number)
		in->is_sb_behind = false;
	look_at_state(in);
	intent_requests_written(in, io);
}

/* A page that is waited for goes on by itself; the others when there is room. */
void intent_page_over(struct intent *in, struct intent_io *io)
{
	uint32_t page;

	in->bulk_count -= io->is_bulk;
	for (page = io->first; page < io->first + io->count; page++)
		in->pages[page].is_flying = false;
	if (!io->failed && !io->is_cut)
		io_written(in, io);
	else
		for (page = io->first; page < io->first + io->count; page++) {
			page_undone(in, page);
			if (io->failed)
				page_sticks(in, page);
		}
	for (page = io->first; page < io->first + io->count; page++) {
		intent_clear_page_again(in, page);
		if (in->pages[page].queued.count > 0 && !in->pages[page].is_stuck)
			intent_page_want(in, page);
	}
}

/* Once more, all that some disk did not take: the disks changed, or it is time. */
void intent_page_retry(struct intent *in)
{
	uint32_t page;

	in->is_flush_stuck = false;
	for (page = 0; in->stuck_count > 0 && page < in->page_count; page++) {
		in->stuck_count -= in->pages[page].is_stuck;
		in->pages[page].is_stuck = false;
		intent_clear_page_again(in, page);
	}
	intent_kick(in);
}

uint64_t intent_page_deadline(const struct intent *in)
{
	return in->stuck_count > 0 || in->is_flush_stuck ? in->stuck_since + RETRY_NS : UINT64_MAX;
}

static bool may_start(const struct intent *in, uint32_t page)
{
	return bits_test(in->wanted, page) && !in->pages[page].is_flying &&
	       !in->pages[page].is_stuck;
}

/* The next page at or above the cursor that bulk work may start. */
static uint32_t next_wanted(const struct intent *in)
{
	uint64_t page = in->cursor;

	while ((page = bits_next_set(in->wanted, in->page_count, page)) != BITS_NONE) {
		if (may_start(in, (uint32_t)page))
			return (uint32_t)page;
		page++;
	}
	return NONE;
}

static bool start_wanted(struct intent *in)
{
	uint32_t first = next_wanted(in), count = 1;

	if (first == NONE && in->cursor > 0) {
		in->cursor = 0;
		first = next_wanted(in);
	}
	if (first == NONE)
		return false;
	while (count < BULK_PAGES && first + count < in->page_count &&
	       may_start(in, first + count))
		count++;
	in->cursor = first + count;
	return start(in, first, count, true) || start(in, first, 1, true);
}

static bool start_clear(struct intent *in)
{
	uint32_t page = intent_clear_next_page(in);

	if (page == NONE)
		return false;
	if (start(in, page, 1, true))
		return true;
	intent_clear_page_again(in, page);
	return false;
}

void intent_kick(struct intent *in)
{
	if (!intent_may_write(in))
		return;
	while (in->bulk_count < BULK_WRITES && start_wanted(in))
		;
	intent_clear_consider(in);
	while (in->bulk_count < BULK_WRITES && start_clear(in))
		;
}
