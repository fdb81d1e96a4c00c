/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * How bits go (I2, I5, I6).
 *
 * Chunks leave in batches: chosen (FLUSHING), one flush of every disk for all of them
 * (none, where all their writes were durable by themselves), then CLEARABLE: the next
 * write of their page takes them along. Whoever writes to one of them before that takes
 * it out, for free; so does whatever changes the disks, or degrades the array.
 *
 * events_cleared of the superblock is durable before the first clear that it allows.
 */
#include "bitmap/intent_private.h"

#include <assert.h>

#include "base/arith.h"
#include "bitmap/bits.h"

#define NONE ((uint32_t)CHUNK_NONE)
#define COLD_NS 1000000000ull

/* --- pages with something to clear --------------------------------------------------- */

void intent_clear_page_again(struct intent *in, uint32_t page)
{
	struct intent_page *p = &in->pages[page];

	if (p->clearable.count == 0 || p->is_in_clearables)
		return;
	p->is_in_clearables = true;
	p->next_clearable = NONE;
	if (in->clearables_first == NONE)
		in->clearables_first = page;
	else
		in->pages[in->clearables_last].next_clearable = page;
	in->clearables_last = page;
}

static uint32_t pop_clearable(struct intent *in)
{
	uint32_t page = in->clearables_first;

	if (page == NONE)
		return NONE;
	in->clearables_first = in->pages[page].next_clearable;
	in->pages[page].is_in_clearables = false;
	return page;
}

/* §2.5. False: not now. */
bool intent_clear_is_allowed(struct intent *in)
{
	struct bitmap_sb *sb = &in->slot->sb;

	if (intent_is_degraded(in))
		return false;
	if (sb->events_cleared < sb->events) {
		sb->events_cleared = sb->events;
		in->is_sb_behind = true;
		intent_sb_changed(in);
		intent_page_want(in, 0);
	}
	return !in->is_sb_behind;
}

/* Must a page be written for those that wait to be taken along? */
static bool must_force(const struct intent *in)
{
	return in->clearables_first != NONE &&
	       (in->is_force_all || in->settles > 0 ||
		in->dirty - in->clearing > intent_force_level(in));
}

uint32_t intent_clear_next_page(struct intent *in)
{
	const struct intent_page *p;
	uint32_t page;

	if (in->clearables_first == NONE)
		in->is_force_all = false;
	if (!must_force(in) || !intent_clear_is_allowed(in))
		return NONE;
	while ((page = pop_clearable(in)) != NONE) {
		p = &in->pages[page];
		/* one that flies, or is stuck, comes again when that is over */
		if (p->clearable.count > 0 && !p->is_flying && !p->is_stuck)
			break;
	}
	return page;
}

/* --- back ---------------------------------------------------------------------------- */

void intent_clear_take_back(struct intent *in, uint32_t at)
{
	const struct chunk *c = chunk_at(&in->table, at);

	if (c->state != CHUNK_CLEARING && !in->pages[page_of(c->number)].is_unsure) {
		intent_chunk_move(in, at, CHUNK_DIRTY);
		return;
	}
	bits_set_range(in->slot->bits, c->number, c->number);
	intent_chunk_move(in, at, CHUNK_QUEUED);
	intent_page_want_later(in, page_of(c->number));
}

void intent_clear_dissolve(struct intent *in)
{
	struct chunk_list *clearable;
	uint32_t page;

	in->must_flush = true;
	in->is_flush_void = in->is_flushing;
	/* whoever settles does it again */
	in->settle_left = in->settles > 0 ? in->dirty : 0;
	while (in->flushing.count > 0)
		intent_clear_take_back(in, in->flushing.first);
	for (page = 0; page < in->page_count; page++) {
		clearable = &in->pages[page].clearable;
		while (clearable->count > 0)
			intent_clear_take_back(in, clearable->first);
	}
}

/* --- batches ------------------------------------------------------------------------- */

static void batch_flushed(struct intent *in)
{
	struct chunk *c;
	uint32_t at;

	while (in->flushing.count > 0) {
		at = in->flushing.first;
		c = chunk_at(&in->table, at);
		c->needs_flush = false;
		intent_chunk_move(in, at, CHUNK_CLEARABLE);
		intent_clear_page_again(in, page_of(c->number));
	}
	in->is_force_all |= in->is_flush_forced;
}

static bool needs_flush(const struct intent *in)
{
	uint32_t at;

	if (in->must_flush)
		return true;
	for (at = in->flushing.first; at != NONE; at = chunk_at(&in->table, at)->next)
		if (chunk_at(&in->table, at)->needs_flush)
			return true;
	return false;
}

static bool flush(struct intent *in)
{
	struct intent_io *io = intent_io_get(in, 1);

	if (!io)
		return false;
	io->first = io->count = 0;
	io->is_bulk = false;
	in->is_flushing = true;
	in->is_flush_void = false;
	in->stats.clear_flushes++;
	intent_io_submit(in, io);
	return true;
}

void intent_clear_flushed(struct intent *in, struct intent_io *io)
{
	in->is_flushing = false;
	if (in->is_flush_void)
		return;
	if (io->failed) {
		in->is_flush_stuck = true;
		in->stuck_since = in->ops.now(in->owner);
		intent_clear_dissolve(in);
		return;
	}
	in->must_flush = false;
	batch_flushed(in);
}

static void send_batch(struct intent *in)
{
	if (!needs_flush(in))
		batch_flushed(in);
	else if (!flush(in))
		intent_clear_dissolve(in);
}

static bool is_content(const struct intent *in)
{
	return in->dirty - in->leaving <= intent_choose_level(in) && in->settles == 0 &&
	       !in->is_cold_due && !intent_is_degraded(in);
}

bool intent_clear_consider(struct intent *in)
{
	if (is_content(in))
		return must_force(in);
	if (intent_is_degraded(in) || !intent_has_disk(in)) {
		intent_forget_old(in);
		in->settle_left = 0;
	} else if (!in->is_flushing && !in->is_flush_stuck) {
		intent_choose(in);
		if (in->flushing.count > 0)
			send_batch(in);
	}
	if (in->settles > 0 && in->settle_left == 0 && in->leaving == 0)
		intent_requests_settled(in);
	return must_force(in);
}

void intent_settle(struct intent *in, struct intent_request *req)
{
	intent_request_add(in, req, REQUEST_SETTLE);
	in->settle_left = in->dirty;
	intent_kick(in);
}

/* --- time ---------------------------------------------------------------------------- */

void intent_clear_advance(struct intent *in, uint64_t now)
{
	bool is_due = in->cold > 0 && now >= in->cold_since &&
		      now - in->cold_since >= COLD_NS;

	if (!is_due && !in->is_looking_again)
		return;
	in->is_cold_due |= is_due && !intent_is_degraded(in);
	in->is_looking_again = false;
	intent_kick(in);
}

uint64_t intent_clear_deadline(const struct intent *in)
{
	if (intent_is_degraded(in) || in->is_flushing || in->is_flush_stuck)
		return UINT64_MAX;
	if (in->is_looking_again)
		return 0;
	if (in->cold == 0 || in->is_cold_due)
		return UINT64_MAX;
	return in->cold_since + COLD_NS;
}
