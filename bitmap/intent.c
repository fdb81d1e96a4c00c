/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The write-intent log: its life, the writes that ask it, its time and callbacks.
 *
 * A write holds the entries of all its chunks from begin to end; so what it found
 * durable stays so, and it need wait for one page after the other only, while all of
 * them are being written.
 */
#include "bitmap/intent_private.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "base/arith.h"
#include "base/err.h"
#include "bitmap/bits.h"

#define NONE ((uint32_t)CHUNK_NONE)
#define DEFAULT_HANG_NS 30000000000ull

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

/* --- callbacks and time -------------------------------------------------------------- */

static void run_over(struct intent *in)
{
	struct intent_io *io = qb_list_first_entry(&in->over, struct intent_io, link);

	intent_io_tell_refused(in, io);
	qb_list_del(&io->link);
	io->is_handled = true;
	if (io->count > 0)
		intent_page_over(in, io);
	else
		intent_clear_flushed(in, io);
	intent_io_put(in, io);
	intent_kick(in);
}

static void run_woken(struct intent *in)
{
	struct intent_write *w = qb_list_first_entry(&in->woken, struct intent_write, link);

	qb_list_del(&w->link);
	QB_INIT_LIST_HEAD(&w->link);
	in->waiting--;
	w->ready(w->owner, w);
}

static void run_finished(struct intent *in)
{
	struct intent_request *req =
		qb_list_first_entry(&in->finished, struct intent_request, link);

	qb_list_del(&req->link);
	QB_INIT_LIST_HEAD(&req->link);
	req->done(req->owner, req, req->result);
}

void intent_run(struct intent *in)
{
	if (in->is_running)
		return;
	in->is_running = true;
	for (;;) {
		if (!qb_list_empty(&in->over))
			run_over(in);
		else if (!qb_list_empty(&in->woken))
			run_woken(in);
		else if (!qb_list_empty(&in->finished))
			run_finished(in);
		else
			break;
	}
	in->is_running = false;
}

void intent_advance(struct intent *in, uint64_t now)
{
	intent_io_advance(in, now);
	if (now >= intent_page_deadline(in))
		intent_page_retry(in);
	intent_clear_advance(in, now);
	intent_run(in);
}

uint64_t intent_deadline(const struct intent *in)
{
	if (!qb_list_empty(&in->over) || !qb_list_empty(&in->woken) ||
	    !qb_list_empty(&in->finished))
		return 0;
	return min_u64(intent_io_deadline(in),
		       min_u64(intent_page_deadline(in), intent_clear_deadline(in)));
}

/* --- life ---------------------------------------------------------------------------- */

static void page_init(struct intent_page *p)
{
	chunk_list_init(&p->queued);
	chunk_list_init(&p->flying);
	chunk_list_init(&p->clearable);
	chunk_list_init(&p->clearing);
	QB_INIT_LIST_HEAD(&p->queued_writes);
	QB_INIT_LIST_HEAD(&p->flying_writes);
	p->next_clearable = NONE;
}

static int init_pages(struct intent *in)
{
	uint32_t page;

	in->page_count = in->slot->geo.slot_pages;
	in->pages = calloc(in->page_count, sizeof(*in->pages));
	in->wanted = calloc(1, bits_bytes(in->page_count));
	if (!in->pages || !in->wanted)
		return -ENOMEM;
	for (page = 0; page < in->page_count; page++)
		page_init(&in->pages[page]);
	return 0;
}

static void init_lists(struct intent *in)
{
	QB_INIT_LIST_HEAD(&in->ios);
	QB_INIT_LIST_HEAD(&in->over);
	QB_INIT_LIST_HEAD(&in->spare);
	QB_INIT_LIST_HEAD(&in->woken);
	QB_INIT_LIST_HEAD(&in->requests);
	QB_INIT_LIST_HEAD(&in->finished);
	chunk_list_init(&in->dirty_list);
	chunk_list_init(&in->flushing);
	in->clearables_first = in->clearables_last = NONE;
}

static void init_config(struct intent *in, const struct intent_config *config)
{
	uint32_t role;

	in->slot = config->slot;
	in->chunks = config->slot->geo.chunks;
	in->is_degraded = config->is_degraded;
	in->hang_ns = config->hang_ns ? config->hang_ns : DEFAULT_HANG_NS;
	in->role_count = config->count;
	for (role = 0; role < config->count; role++) {
		in->roles[role].disk = config->copies[role].disk;
		in->roles[role].start_bytes = config->copies[role].start_bytes;
	}
	in->must_flush = true;
}

/* One write can always be made: others wait for its memory. */
static int init_spare(struct intent *in)
{
	struct intent_io *io = intent_io_get(in, 1);

	if (!io)
		return -ENOMEM;
	qb_list_add(&io->link, &in->spare);
	in->spare_count = 1;
	return 0;
}

struct intent *intent_new(const struct intent_config *config,
			  const struct intent_ops *ops, void *owner, struct err *err)
{
	struct intent *in = calloc(1, sizeof(*in));

	assert(config->count <= INTENT_MAX_DISKS);
	if (!in) {
		err_nomem(err, "a write-intent log");
		return NULL;
	}
	in->ops = *ops;
	in->owner = owner;
	init_lists(in);
	init_config(in, config);
	intent_set_budget(in, config->budget_bytes);
	intent_ahead_init(in);
	if (init_pages(in) < 0 || chunk_table_init(&in->table) < 0 ||
	    init_spare(in) < 0 || intent_need_load(in) < 0) {
		intent_free(in);
		err_nomem(err, "a write-intent log");
		return NULL;
	}
	intent_sb_changed(in);
	return in;
}

void intent_free(struct intent *in)
{
	struct intent_request *req;
	uint32_t page;

	if (!in)
		return;
	assert(in->ios_count == 0);
	qb_list_for_each_entry(req, &in->requests, link)
		free(req->pages);
	for (page = 0; in->pages && page < in->page_count; page++)
		free(in->pages[page].needed);
	intent_io_fini(in);
	chunk_table_fini(&in->table);
	free(in->pages);
	free(in->wanted);
	free(in);
}

void intent_set_budget(struct intent *in, uint64_t budget_bytes)
{
	in->budget = max_u64(budget_bytes / in->slot->geo.chunk_bytes, 1);
	if (in->pages)
		intent_kick(in);
}

bool intent_is_idle(const struct intent *in)
{
	return in->ios_count == 0 && in->waiting == 0 &&
	       qb_list_empty(&in->requests) && qb_list_empty(&in->finished);
}

void intent_look(const struct intent *in, struct intent_stats *stats)
{
	uint64_t last = in->chunks - 1;

	*stats = in->stats;
	stats->dirty_chunks = in->dirty;
	stats->needed_chunks = in->needed_count;
	stats->writing_chunks = in->writing;
	stats->dirty_bytes = bitmap_dirty_bytes(&in->slot->geo, in->dirty,
		bits_test(in->slot->bits, last) && !intent_is_needed(in, last));
}
