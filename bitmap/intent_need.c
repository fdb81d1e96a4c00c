/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What must be resynced: needed chunks, a map for each page that has any.
 *
 * A needed chunk is set in the image, and has an entry only while it is being written
 * to, or until it is durable. Where a page has no entries its chunks are moved by whole
 * words: the slot of a dead node is merged on the path of recovery.
 */
#include "bitmap/intent_private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/arith.h"
#include "bitmap/bits.h"

#define NONE ((uint32_t)CHUNK_NONE)

static uint64_t page_chunks(const struct intent *in, uint32_t page)
{
	return page_end(in, page) - page_first(page);
}

static bool get_map(struct intent_page *p)
{
	if (!p->needed)
		p->needed = calloc(1, CHUNKS_IN_PAGE / 8);
	return p->needed != NULL;
}

static void add_needed(struct intent *in, struct intent_page *p, uint64_t count)
{
	p->needed_count += (uint32_t)count;
	in->needed_count += count;
}

static void remove_needed(struct intent *in, struct intent_page *p, uint64_t count)
{
	p->needed_count -= (uint32_t)count;
	in->needed_count -= count;
	if (p->needed_count > 0)
		return;
	free(p->needed);
	p->needed = NULL;
}

/* Copies may differ, each bit may be on one disk only: the page is unsure until written. */
int intent_need_load(struct intent *in)
{
	struct intent_page *p;
	uint64_t count;
	uint32_t page;
	uint8_t *bits;

	for (page = 0; page < in->page_count; page++) {
		p = &in->pages[page];
		bits = page_bits(in->slot->bits, page);
		count = bits_count(bits, page_chunks(in, page));
		if (count == 0)
			continue;
		if (!get_map(p))
			return -ENOMEM;
		memcpy(p->needed, bits, bits_bytes(page_chunks(in, page)));
		add_needed(in, p, count);
		intent_page_unsure(in, page);
	}
	return 0;
}

bool intent_is_needed(const struct intent *in, uint64_t chunk)
{
	const struct intent_page *p = &in->pages[page_of(chunk)];

	return p->needed && bits_test(p->needed, chunk - page_first(page_of(chunk)));
}

uint64_t intent_needed_count(const struct intent *in)
{
	return in->needed_count;
}

uint64_t intent_next_needed(const struct intent *in, uint64_t from)
{
	uint64_t found, first;
	uint32_t page;

	if (from >= in->chunks)
		return BITS_NONE;
	for (page = page_of(from); page < in->page_count; page++) {
		if (!in->pages[page].needed)
			continue;
		first = page_first(page);
		found = bits_next_set(in->pages[page].needed, page_chunks(in, page),
				      from > first ? from - first : 0);
		if (found != BITS_NONE)
			return first + found;
	}
	return BITS_NONE;
}

/* --- intent_need() ------------------------------------------------------------------- */

static void leave_cold(struct intent *in, struct intent_page *p, uint64_t count)
{
	p->cold -= (uint32_t)count;
	in->cold -= count;
	in->dirty -= count;
}

/* It has no entry. Returns whether it is not durable yet. */
static bool need_unwritten(struct intent *in, uint64_t number, bool is_new)
{
	struct intent_page *p = &in->pages[page_of(number)];

	if (!bits_test(in->slot->bits, number)) {
		bits_set_range(in->slot->bits, number, number);
		intent_page_unsure(in, page_of(number));
	} else if (is_new) {
		leave_cold(in, p, 1);
	}
	return p->is_unsure;
}

static bool need_written(struct intent *in, uint32_t at, bool is_new)
{
	in->dirty -= is_new;
	if (chunk_at(&in->table, at)->state >= CHUNK_FLUSHING)
		intent_clear_take_back(in, at);
	if (chunk_at(&in->table, at)->state != CHUNK_DIRTY)
		return true;
	intent_chunk_forget(in, at);
	return false;
}

static bool need_chunk(struct intent *in, uint64_t number)
{
	struct intent_page *p = &in->pages[page_of(number)];
	uint64_t bit = number - page_first(page_of(number));
	uint32_t at = chunk_find(&in->table, number);
	bool is_new = !bits_test(p->needed, bit);

	if (is_new) {
		bits_set_range(p->needed, bit, bit);
		add_needed(in, p, 1);
	}
	return at == NONE ? need_unwritten(in, number, is_new) :
			    need_written(in, at, is_new);
}

static bool need_chunks(struct intent *in, uint32_t page, const uint8_t *map)
{
	struct bits_run run = BITS_RUN_START;
	bool is_awaited = false;
	uint64_t bit;

	while (bits_next_run(map, page_chunks(in, page), &run))
		for (bit = run.first; bit <= run.last; bit++)
			is_awaited |= need_chunk(in, page_first(page) + bit);
	return is_awaited;
}

/* No chunk of the page has an entry: all that is set is needed, or cold. */
static bool need_words(struct intent *in, uint32_t page, const uint8_t *map)
{
	struct intent_page *p = &in->pages[page];
	uint64_t chunks = page_chunks(in, page);
	uint8_t *bits = page_bits(in->slot->bits, page);

	if (bits_or(bits, map, chunks))
		intent_page_unsure(in, page);
	bits_or(p->needed, map, chunks);
	add_needed(in, p, bits_count(p->needed, chunks) - p->needed_count);
	leave_cold(in, p, p->cold - (bits_count(bits, chunks) - p->needed_count));
	return p->is_unsure;
}

static int need_page(struct intent *in, uint32_t page, const uint8_t *map,
		     struct intent_request *req)
{
	struct intent_page *p = &in->pages[page];
	bool is_awaited;

	if (!bits_any(map, page_chunks(in, page)))
		return 0;
	if (!get_map(p))
		return -ENOMEM;
	is_awaited = p->entries > 0 ? need_chunks(in, page, map) :
				      need_words(in, page, map);
	if (is_awaited)
		intent_request_page(in, req, page);
	return 0;
}

void intent_need(struct intent *in, const uint8_t *map, struct intent_request *req)
{
	uint32_t page;
	int r = 0;

	intent_request_add(in, req, REQUEST_PAGES);
	for (page = 0; r == 0 && page < in->page_count; page++)
		r = need_page(in, page, map + page_first(page) / 8, req);
	if (r < 0)
		intent_request_finish(in, req, r);
	else
		intent_request_ready(in, req);
	intent_kick(in);
}

/* --- intent_need_all() --------------------------------------------------------------- */

static bool has_some(const struct intent *in, uint32_t page)
{
	return in->pages[page].clearing.count > 0 ||
	       bits_any(page_bits(in->slot->bits, page), page_chunks(in, page));
}

static bool get_all_maps(struct intent *in)
{
	struct intent_page *p = in->pages;
	uint32_t page;

	for (page = 0; page < in->page_count; page++)
		if (has_some(in, page) && !get_map(&p[page]))
			break;
	if (page == in->page_count)
		return true;
	while (page-- > 0)
		if (p[page].needed_count == 0) {
			free(p[page].needed);
			p[page].needed = NULL;
		}
	return false;
}

int intent_need_all(struct intent *in, struct intent_request *req)
{
	uint8_t *pages = calloc(1, bits_bytes(in->page_count));
	struct chunk_list *clearing;
	uint32_t page;

	if (!pages || !get_all_maps(in)) {
		free(pages);
		return -ENOMEM;
	}
	intent_request_add(in, req, REQUEST_PAGES);
	req->pages = pages;
	for (page = 0; page < in->page_count; page++) {
		clearing = &in->pages[page].clearing;
		while (clearing->count > 0)
			intent_clear_take_back(in, clearing->first);
		(void)need_page(in, page, page_bits(in->slot->bits, page), req);
	}
	intent_request_ready(in, req);
	intent_kick(in);
	return 0;
}

/* --- intent_synced() ----------------------------------------------------------------- */

/* Bits [first, last] of the page's map, which has some. */
static void synced_chunks(struct intent *in, uint32_t page, uint64_t first, uint64_t last)
{
	struct intent_page *p = &in->pages[page];
	uint64_t bit = first, cold = 0, count = 0;
	uint32_t at;

	while ((bit = bits_next_set(p->needed, last + 1, bit)) != BITS_NONE) {
		at = chunk_find(&in->table, page_first(page) + bit);
		if (at != NONE)
			chunk_at(&in->table, at)->needs_flush = true;
		cold += at == NONE;
		count++;
		bit++;
	}
	bits_clear_range(p->needed, first, last);
	in->dirty += count;
	remove_needed(in, p, count);
	intent_cold(in, page, cold);
}

static void synced_words(struct intent *in, uint32_t page, uint64_t first, uint64_t last)
{
	struct intent_page *p = &in->pages[page];
	uint64_t count = bits_count_range(p->needed, first, last);

	bits_clear_range(p->needed, first, last);
	in->dirty += count;
	remove_needed(in, p, count);
	intent_cold(in, page, count);
}

void intent_synced(struct intent *in, uint64_t first, uint64_t last)
{
	uint64_t from, to;
	uint32_t page;

	for (page = page_of(first); page <= page_of(last); page++) {
		if (!in->pages[page].needed)
			continue;
		from = max_u64(first, page_first(page)) - page_first(page);
		to = min_u64(last, page_end(in, page) - 1) - page_first(page);
		if (in->pages[page].entries > 0)
			synced_chunks(in, page, from, to);
		else
			synced_words(in, page, from, to);
	}
	intent_clear_consider(in);
}
