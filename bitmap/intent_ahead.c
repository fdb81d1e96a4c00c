/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Marking ahead (I8), of two kinds.
 *
 * A stream, writes that follow one another, has marks ahead of it: twice as many each time
 * that it comes to the middle of them, so that it waits for no page any more. A few
 * streams are known; a new one takes the place of the oldest.
 *
 * Neighbours: when two of the last misses were in one group of 64 chunks, all of the
 * group is marked with the page that is written for the second.
 *
 * Neither goes beyond the budget.
 */
#include "bitmap/intent_private.h"

#include "base/arith.h"
#include "bitmap/bits.h"

enum {
	GROUP_CHUNKS = 64,
	WINDOW_LEAST = 4,
	WINDOW_MOST = CHUNKS_IN_PAGE,
	BUDGET_SHARE = 16,
};

#define NONE ((uint32_t)CHUNK_NONE)

void intent_ahead_init(struct intent *in)
{
	uint32_t i;

	for (i = 0; i < STREAMS; i++)
		in->streams[i].next = UINT64_MAX;
	for (i = 0; i < GROUPS; i++)
		in->groups[i] = UINT64_MAX;
}

static bool mark(struct intent *in, uint64_t number)
{
	uint32_t at;

	if (bits_test(in->slot->bits, number) ||
	    chunk_find(&in->table, number) != NONE)
		return true;
	if (in->dirty >= in->budget || !chunk_reserve(&in->table, 1))
		return false;
	bits_set_range(in->slot->bits, number, number);
	at = intent_chunk_new(in, number, CHUNK_QUEUED);
	chunk_at(&in->table, at)->is_ahead = true;
	in->dirty++;
	in->stats.premarked++;
	return true;
}

static void mark_range(struct intent *in, uint64_t first, uint64_t last)
{
	uint64_t number = first;

	last = min_u64(last, in->chunks - 1);
	while (number <= last && mark(in, number))
		number++;
}

/* --- streams ------------------------------------------------------------------------- */

/* A write goes on where one before ended, in the same chunk or the next. */
static struct intent_stream *find_stream(struct intent *in, const struct intent_write *w)
{
	struct intent_stream *s;
	uint32_t i;

	for (i = 0; i < STREAMS; i++) {
		s = &in->streams[i];
		if (s->next != UINT64_MAX && w->first + 1 >= s->next &&
		    w->first <= s->next && w->last >= s->next)
			return s;
	}
	return NULL;
}

static void start_pages(struct intent *in, uint64_t first, uint64_t last)
{
	uint32_t page;

	for (page = page_of(first); page <= page_of(last); page++)
		if (in->pages[page].queued.count > 0)
			intent_page_want(in, page);
}

static void extend(struct intent *in, struct intent_stream *s, const struct intent_write *w)
{
	uint64_t window = 2 * max_u64(s->window, w->last - w->first + 1);
	uint64_t first = max_u64(s->marked_to, w->last) + 1;

	window = max_u64(window, WINDOW_LEAST);
	window = min_u64(window, min_u64(WINDOW_MOST, in->budget / BUDGET_SHARE));
	s->window = (uint32_t)window;
	s->marked_to = min_u64(w->last + window, in->chunks - 1);
	if (first > s->marked_to)
		return;
	mark_range(in, first, s->marked_to);
	start_pages(in, first, s->marked_to);
}

void intent_ahead_met(struct intent *in, const struct intent_write *w)
{
	struct intent_stream *s = find_stream(in, w);

	if (!s)
		return;
	s->next = w->last + 1;
	if (s->marked_to < w->last + s->window / 2)
		extend(in, s, w);
}

/* --- neighbours ---------------------------------------------------------------------- */

static bool was_missed(const struct intent *in, uint64_t group)
{
	uint32_t i;

	for (i = 0; i < GROUPS; i++)
		if (in->groups[i] == group)
			return true;
	return false;
}

static void mark_group(struct intent *in, uint64_t number)
{
	uint64_t group = number / GROUP_CHUNKS;

	if (!was_missed(in, group)) {
		in->groups[in->next_group++ % GROUPS] = group;
		return;
	}
	/* who waits for a write that is under way needs no other */
	if (in->pages[page_of(number)].queued.count == 0)
		return;
	if (in->dirty + GROUP_CHUNKS <= in->budget)
		mark_range(in, group * GROUP_CHUNKS, group * GROUP_CHUNKS + GROUP_CHUNKS - 1);
}

void intent_ahead_missed(struct intent *in, const struct intent_write *w)
{
	struct intent_stream *s = find_stream(in, w);

	if (s) {
		s->next = w->last + 1;
		extend(in, s, w);
		return;
	}
	in->streams[in->next_stream++ % STREAMS] =
		(struct intent_stream){ .next = w->last + 1, .marked_to = w->last };
	mark_group(in, w->first);
}
