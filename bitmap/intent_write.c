/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The writes that ask, and the states of their chunks.
 *
 * A write holds the entries of all its chunks from begin to end; so what it found
 * durable stays so, and it need wait for one page after the other only, while all of
 * them are being written.
 */
#include "bitmap/intent_private.h"

#include <assert.h>
#include <errno.h>

#include "base/arith.h"
#include "bitmap/bits.h"

#define NONE ((uint32_t)CHUNK_NONE)

/* --- chunks -------------------------------------------------------------------------- */

static struct chunk_list *list_of(struct intent *in, const struct chunk *c)
{
	struct intent_page *p = &in->pages[page_of(c->number)];

	switch ((enum chunk_state)c->state) {
	case CHUNK_QUEUED:
		return &p->queued;
	case CHUNK_FLYING:
		return &p->flying;
	case CHUNK_DIRTY:
		return &in->dirty_list;
	case CHUNK_FLUSHING:
		return &in->flushing;
	case CHUNK_CLEARABLE:
		return &p->clearable;
	case CHUNK_CLEARING:
		return &p->clearing;
	}
	return NULL;
}

static void join(struct intent *in, uint32_t at, enum chunk_state state)
{
	struct chunk *c = chunk_at(&in->table, at);

	c->state = (uint8_t)state;
	chunk_list_add(&in->table, list_of(in, c), at);
	in->leaving += state >= CHUNK_FLUSHING;
	in->clearing += state == CHUNK_CLEARING;
}

static void part_from(struct intent *in, uint32_t at)
{
	const struct chunk *c = chunk_at(&in->table, at);

	chunk_list_del(&in->table, list_of(in, c), at);
	in->leaving -= c->state >= CHUNK_FLUSHING;
	in->clearing -= c->state == CHUNK_CLEARING;
}

void intent_chunk_move(struct intent *in, uint32_t at, enum chunk_state state)
{
	part_from(in, at);
	join(in, at, state);
}

uint32_t intent_chunk_new(struct intent *in, uint64_t number, enum chunk_state state)
{
	uint32_t at = chunk_add(&in->table, number);

	in->pages[page_of(number)].entries++;
	join(in, at, state);
	return at;
}

void intent_chunk_gone(struct intent *in, uint32_t at)
{
	part_from(in, at);
	in->pages[page_of(chunk_at(&in->table, at)->number)].entries--;
	chunk_drop(&in->table, at);
}

void intent_chunk_forget(struct intent *in, uint32_t at)
{
	const struct chunk *c = chunk_at(&in->table, at);

	if (c->in_flight == 0 && c->state == CHUNK_DIRTY &&
	    intent_is_needed(in, c->number))
		intent_chunk_gone(in, at);
}

/* --- writes -------------------------------------------------------------------------- */

/*
 * A chunk without an entry gets one. If it is set, it is durable, but where the page is
 * unsure; the write that is under way may be the one that mends that.
 */
static uint32_t enter(struct intent *in, uint64_t number)
{
	struct intent_page *p = &in->pages[page_of(number)];
	enum chunk_state state = CHUNK_QUEUED;
	bool is_set = bits_test(in->slot->bits, number);

	if (is_set && p->is_unsure_flying)
		state = CHUNK_FLYING;
	else if (is_set && !p->is_unsure)
		state = CHUNK_DIRTY;
	if (is_set && !intent_is_needed(in, number)) {
		p->cold--;
		in->cold--;
	}
	in->dirty += !is_set;
	bits_set_range(in->slot->bits, number, number);
	return intent_chunk_new(in, number, state);
}

struct taken {
	bool was_ahead; /* some chunk is met that was marked ahead */
	bool waits;     /* some chunk is not durable yet */
};

/* The chunk's entry is `at`, or NONE: then there is room for one. Returns its entry. */
static uint32_t take(struct intent *in, uint64_t number, uint32_t at, struct taken *taken)
{
	struct chunk *c;

	if (at == NONE)
		at = enter(in, number);
	else if (chunk_at(&in->table, at)->state >= CHUNK_FLUSHING)
		intent_clear_take_back(in, at);
	c = chunk_at(&in->table, at);
	taken->was_ahead |= c->is_ahead;
	taken->waits |= c->state != CHUNK_DIRTY;
	c->is_recent = !c->is_ahead && c->state == CHUNK_DIRTY;
	c->is_ahead = false;
	if (c->in_flight++ == 0)
		in->writing++;
	return at;
}

/* Is there memory for what has no entry yet, behind the first chunk? */
static bool has_room(struct intent *in, const struct intent_write *w)
{
	uint64_t number, missing = w->entry == NONE;

	for (number = w->first + 1; number <= w->last; number++)
		missing += chunk_find(&in->table, number) == NONE;
	return missing == 0 || chunk_reserve(&in->table, missing);
}

bool intent_write_waits(struct intent *in, struct intent_write *w, uint32_t page)
{
	uint64_t number, last;
	struct intent_page *p;
	uint32_t at, flying;

	for (; page <= page_of(w->last); page++) {
		p = &in->pages[page];
		if (p->queued.count + p->flying.count == 0)
			continue;
		flying = 0;
		last = min_u64(w->last, page_end(in, page) - 1);
		for (number = max_u64(w->first, page_first(page)); number <= last; number++) {
			at = chunk_find(&in->table, number);
			if (chunk_at(&in->table, at)->state == CHUNK_QUEUED) {
				qb_list_add_tail(&w->link, &p->queued_writes);
				return true;
			}
			flying += chunk_at(&in->table, at)->state == CHUNK_FLYING;
		}
		if (flying > 0) {
			qb_list_add_tail(&w->link, &p->flying_writes);
			return true;
		}
	}
	return false;
}

static void start_queued(struct intent *in, uint64_t first, uint64_t last)
{
	uint32_t page;

	for (page = page_of(first); page <= page_of(last); page++)
		if (in->pages[page].queued.count > 0)
			intent_page_want(in, page);
}

static int begin_waiting(struct intent *in, struct intent_write *w, bool was_ahead)
{
	in->stats.misses++;
	in->waiting++;
	intent_write_waits(in, w, page_of(w->first));
	if (was_ahead)
		intent_ahead_met(in, w);
	else
		intent_ahead_missed(in, w);
	start_queued(in, w->first, w->last);
	return INTENT_WAIT;
}

int intent_begin(struct intent *in, struct intent_write *w)
{
	struct taken taken = { false, false };
	uint64_t number;

	assert(w->first <= w->last && w->last < in->chunks);
	w->entry = chunk_find(&in->table, w->first);
	if (!has_room(in, w))
		return -ENOMEM;
	QB_INIT_LIST_HEAD(&w->link);
	w->entry = take(in, w->first, w->entry, &taken);
	for (number = w->first + 1; number <= w->last; number++)
		take(in, number, chunk_find(&in->table, number), &taken);
	if (taken.waits)
		return begin_waiting(in, w, taken.was_ahead);
	in->stats.hits++;
	if (taken.was_ahead)
		intent_ahead_met(in, w);
	return INTENT_READY;
}

static void give_back(struct intent *in, uint32_t at, bool is_durable)
{
	struct chunk *c = chunk_at(&in->table, at);

	c->needs_flush |= !is_durable;
	if (--c->in_flight > 0)
		return;
	in->writing--;
	if (in->needed_count > 0)
		intent_chunk_forget(in, at);
}

void intent_end(struct intent *in, struct intent_write *w, bool is_durable)
{
	uint64_t number;

	in->waiting -= !qb_list_empty(&w->link);
	qb_list_del(&w->link);
	QB_INIT_LIST_HEAD(&w->link);
	give_back(in, w->entry, is_durable);
	for (number = w->first + 1; number <= w->last; number++)
		give_back(in, chunk_find(&in->table, number), is_durable);
	if (intent_clear_consider(in))
		intent_kick(in);
}
