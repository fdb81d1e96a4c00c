/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The write-intent log: its life, its time and callbacks. All that is over, and whoever
 * is to be called, stands in a list until intent_run() comes by, from a disk's done() or
 * intent_advance(): so nobody is called from within his own call, and may call again.
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
	in->lease_until = UINT64_MAX;
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
	intent_saw_events(in, config->events);
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
