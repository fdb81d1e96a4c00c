/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Which bits go, and when (I2, I5, I7).
 *
 * Chunks leave in batches: chosen (FLUSHING), one flush of every disk for all of them
 * (none, where all their writes were durable by themselves), then CLEARABLE: the next
 * write of their page takes them along. Whoever writes to one of them before that takes
 * it out, for free. Three levels, below the budget:
 *
 *	7/8    above it chunks are chosen; most then leave with sets of their page
 *	15/16  above it pages are written for them alone
 *	1      up to it chunks are marked ahead
 *
 * Cold ones were not written to by anybody we remember: what was resynced, and what was
 * forgotten while the array was degraded. They leave a second later whatever the
 * budget, pages written for them.
 *
 * events_cleared of the superblock is durable before the first clear that it allows.
 */
#include "bitmap/intent_private.h"

#include <assert.h>

#include "base/arith.h"
#include "bitmap/bits.h"

enum {
	BATCH_MAX = CHUNKS_IN_PAGE / 2,
	LOOK_LEAST = 64,
};

#define NONE ((uint32_t)CHUNK_NONE)
#define COLD_NS 1000000000ull

static uint64_t choose_level(const struct intent *in)
{
	return in->budget - in->budget / 8;
}

static uint64_t force_level(const struct intent *in)
{
	return in->budget - in->budget / 16;
}

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

	if (in->is_degraded)
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
		in->dirty - in->clearing > force_level(in));
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
	while (in->flushing.count > 0)
		intent_clear_take_back(in, in->flushing.first);
	for (page = 0; page < in->page_count; page++) {
		clearable = &in->pages[page].clearable;
		while (clearable->count > 0)
			intent_clear_take_back(in, clearable->first);
	}
}

/* --- cold chunks --------------------------------------------------------------------- */

void intent_clear_cold(struct intent *in, uint32_t page, uint64_t count)
{
	if (in->cold == 0)
		in->cold_since = in->ops.now(in->owner);
	in->pages[page].cold += (uint32_t)count;
	in->cold += count;
}

static bool choose_cold_chunk(struct intent *in, uint64_t number)
{
	struct intent_page *p = &in->pages[page_of(number)];
	uint32_t at;

	if (intent_is_needed(in, number) || chunk_find(&in->table, number) != NONE)
		return false;
	at = intent_chunk_new(in, number, CHUNK_FLUSHING);
	chunk_at(&in->table, at)->needs_flush = true;
	p->cold--;
	in->cold--;
	return true;
}

static uint64_t choose_cold_of(struct intent *in, uint32_t page, uint64_t most)
{
	const uint8_t *bits = page_bits(in->slot->bits, page);
	uint64_t chunks = page_end(in, page) - page_first(page), bit = 0, n = 0;

	while (n < most && in->pages[page].cold > 0) {
		bit = bits_next_set(bits, chunks, bit);
		assert(bit != BITS_NONE);
		if (!chunk_reserve(&in->table, 1))
			return n;
		n += choose_cold_chunk(in, page_first(page) + bit);
		bit++;
	}
	return n;
}

static uint64_t choose_cold(struct intent *in, uint64_t most)
{
	uint32_t i, page;
	uint64_t n = 0;

	for (i = 0; i < in->page_count && n < most && in->cold > 0; i++) {
		page = (in->cold_cursor + i) % in->page_count;
		if (in->pages[page].cold > 0)
			n += choose_cold_of(in, page, most - n);
	}
	in->cold_cursor = (in->cold_cursor + (i ? i - 1 : 0)) % in->page_count;
	return n;
}

/* --- dirty ones ---------------------------------------------------------------------- */

/* To the end of the list; one that is written to just now is no candidate anyhow. */
static bool is_spared(struct intent *in, uint32_t at)
{
	struct chunk *c = chunk_at(&in->table, at);
	bool is_spared = c->in_flight > 0 || (c->is_recent && in->settles == 0);

	c->is_recent = false;
	return is_spared;
}

/* Least recently written first, second chance; looks at no more than is fair for one call. */
static uint64_t choose_dirty(struct intent *in, uint64_t most)
{
	uint64_t looks = min_u64(4 * most + LOOK_LEAST, 2 * (uint64_t)in->dirty_list.count);
	uint64_t n = 0;
	uint32_t at;

	for (; looks > 0 && n < most && in->dirty_list.count > 0; looks--) {
		at = in->dirty_list.first;
		if (is_spared(in, at)) {
			intent_chunk_move(in, at, CHUNK_DIRTY);
			continue;
		}
		intent_chunk_move(in, at, CHUNK_FLUSHING);
		n++;
	}
	return n;
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

static uint64_t over_budget(const struct intent *in)
{
	uint64_t staying = in->dirty - in->leaving;

	return staying > choose_level(in) ? staying - choose_level(in) : 0;
}

/* More than must go, so that one flush is for many; those are the next ones anyhow. */
static void choose_for_budget(struct intent *in)
{
	uint64_t most = min_u64(over_budget(in) + in->budget / 16, BATCH_MAX);
	uint64_t n = choose_cold(in, most);

	n += choose_dirty(in, most - n);
	in->is_flush_forced = false;
	/* some are idle: those looked at were spared once */
	in->is_looking_again = n == 0 && in->dirty_list.count > in->writing;
}

static void choose_to_settle(struct intent *in)
{
	uint64_t most = min_u64(in->settle_left, BATCH_MAX);
	uint64_t n = choose_cold(in, most);

	n += choose_dirty(in, most - n);
	in->settle_left = n > 0 ? in->settle_left - n : 0;
	in->is_flush_forced = true;
}

static void choose_the_cold(struct intent *in)
{
	choose_cold(in, BATCH_MAX);
	in->is_flush_forced = true;
}

static void choose(struct intent *in)
{
	in->is_looking_again = false;
	in->is_cold_due &= in->cold > 0;
	if (in->settle_left > 0)
		choose_to_settle(in);
	else if (in->is_cold_due)
		choose_the_cold(in);
	else if (over_budget(in) > 0)
		choose_for_budget(in);
}

/* Nothing may be cleared: the table keeps what the budget says, the image keeps all. */
static void forget_old(struct intent *in)
{
	uint64_t looks = in->dirty_list.count;
	uint32_t at, page;

	for (; looks > in->budget; looks--) {
		at = in->dirty_list.first;
		page = page_of(chunk_at(&in->table, at)->number);
		if (chunk_at(&in->table, at)->in_flight > 0) {
			intent_chunk_move(in, at, CHUNK_DIRTY);
			continue;
		}
		intent_chunk_gone(in, at);
		intent_clear_cold(in, page, 1);
	}
}

static bool is_content(const struct intent *in)
{
	return in->dirty - in->leaving <= choose_level(in) && in->settles == 0 &&
	       !in->is_cold_due && !in->is_degraded;
}

bool intent_clear_consider(struct intent *in)
{
	if (is_content(in))
		return must_force(in);
	if (in->is_degraded || !intent_has_disk(in)) {
		forget_old(in);
		in->settle_left = 0;
	} else if (!in->is_flushing && !in->is_flush_stuck) {
		choose(in);
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
	in->is_cold_due |= is_due && !in->is_degraded;
	in->is_looking_again = false;
	intent_kick(in);
}

uint64_t intent_clear_deadline(const struct intent *in)
{
	if (in->is_degraded || in->is_flushing || in->is_flush_stuck)
		return UINT64_MAX;
	if (in->is_looking_again)
		return 0;
	if (in->cold == 0 || in->is_cold_due)
		return UINT64_MAX;
	return in->cold_since + COLD_NS;
}
