/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Which bits go (I7). Levels, below the budget:
 *
 *	7/8    above it chunks are chosen; most then leave with sets of their page
 *	15/16  above it pages are written for them alone
 *	1      up to it chunks are marked ahead
 *
 * Of those with an entry the least recently written go first; one that was written to
 * again since it was last looked at has a second chance.
 *
 * Cold chunks were not written to by anybody we remember: what was resynced, and what was
 * forgotten while the array was degraded. They leave a second later whatever the
 * budget, pages written for them.
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

uint64_t intent_choose_level(const struct intent *in)
{
	return in->budget - in->budget / 8;
}

uint64_t intent_force_level(const struct intent *in)
{
	return in->budget - in->budget / 16;
}

/* --- cold chunks --------------------------------------------------------------------- */

void intent_cold(struct intent *in, uint32_t page, uint64_t count)
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

/* --- what must go ---------------------------------------------------------------------- */

static uint64_t over_budget(const struct intent *in)
{
	uint64_t staying = in->dirty - in->leaving;

	return staying > intent_choose_level(in) ? staying - intent_choose_level(in) : 0;
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

void intent_choose(struct intent *in)
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

void intent_forget_old(struct intent *in)
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
		intent_cold(in, page, 1);
	}
}
