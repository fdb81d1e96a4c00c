/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the files of the write-intent log share.
 *
 *	intent.c        life, deadlines, callbacks
 *	intent_write    begin and end, the states of chunks
 *	intent_request  what is asked of pages: requests, disks, events
 *	intent_io       one write, or flush, to all disks; disks that fail, hang and leave
 *	intent_page     a page and its next write: group commit
 *	intent_chunk    the sparse table of chunks, and lists of them
 *	intent_need     what must be resynced
 *	intent_choose   which bits go
 *	intent_clear    when and how they go: batches, flushes, pages
 *	intent_ahead    marking before it is asked for
 *
 * A chunk is set or clear in the image, which is what the next write of its page says.
 * A set one has an entry of the table while somebody writes to it or did of late; one
 * without is needed, or cold: nobody wrote to it that we remember. A chunk with an
 * entry is in one state, and in one list by it:
 *
 *	      begin                   page written               chosen
 *	clear -----> QUEUED -> FLYING -----------> DIRTY ---------------> FLUSHING
 *	  ^            ^                             ^                        |
 *	  |            | written to                  | written to, free       | flushed
 *	  |            |                             |                        v
 *	  +-------- CLEARING <-----------------------+------------------ CLEARABLE
 *	page written          a write of the page takes it along
 *
 * The next write of the page carries QUEUED ones; FLYING ones are in the one under way.
 * Of a chunk without an entry the page knows whether it is durable (is_unsure).
 */
#pragma once

#include "bitmap/disk.h"
#include "bitmap/intent.h"

enum {
	CHUNK_NONE = -1, /* as uint32_t: no entry */
	CHUNKS_IN_PAGE_0 = (BITMAP_PAGE_BYTES - BITMAP_SB_BYTES) * 8,
	CHUNKS_IN_PAGE = BITMAP_PAGE_BYTES * 8,
};

/* --- intent_chunk -------------------------------------------------------------------- */

enum chunk_state {
	CHUNK_QUEUED, CHUNK_FLYING, CHUNK_DIRTY,
	CHUNK_FLUSHING, CHUNK_CLEARABLE, CHUNK_CLEARING,
};

/* 24 bytes: of these there are as many as the budget has chunks (I10). */
struct chunk {
	uint32_t number;
	uint32_t prev, next;  /* in the list of its state */
	uint32_t chain;       /* in its bucket, or among the free */
	uint32_t in_flight;   /* writes */
	uint8_t state;
	bool is_recent : 1;   /* written to again since it was last looked at: second chance */
	bool needs_flush : 1; /* a write to it was not durable by itself */
	bool is_ahead : 1;    /* marked ahead, and not written to yet */
};

struct chunk_list { uint32_t first, last, count; };

struct chunk_table {
	struct chunk **slabs;
	uint32_t **heads;        /* of buckets, in slabs as well */
	uint32_t slab_count, slab_room, head_slabs, head_room;
	uint32_t free, free_count, used;
	uint32_t buckets, round; /* linear hashing: round <= buckets < 2 * round */
};

enum {
	SLAB_SHIFT = 12,
	SLAB = 1 << SLAB_SHIFT,
	SLAB_MASK = SLAB - 1,
};

static inline struct chunk *chunk_at(const struct chunk_table *table, uint32_t at)
{
	return &table->slabs[at >> SLAB_SHIFT][at & SLAB_MASK];
}

int chunk_table_init(struct chunk_table *table);
void chunk_table_fini(struct chunk_table *table);
uint32_t chunk_find(const struct chunk_table *table, uint64_t number);
/* There are `count` free ones then; false: no memory. */
bool chunk_reserve(struct chunk_table *table, uint64_t count);
/* Of those reserved; in no list. */
uint32_t chunk_add(struct chunk_table *table, uint64_t number);
void chunk_drop(struct chunk_table *table, uint32_t at);

void chunk_list_init(struct chunk_list *list);
void chunk_list_add(struct chunk_table *table, struct chunk_list *list, uint32_t at);
void chunk_list_del(struct chunk_table *table, struct chunk_list *list, uint32_t at);

/* --- pages and disks ----------------------------------------------------------------- */

struct intent_page {
	struct chunk_list queued, flying, clearable, clearing;
	struct qb_list_head queued_writes, flying_writes; /* struct intent_write */
	uint8_t *needed;           /* map of the page's chunks, or NULL: none */
	uint32_t needed_count;
	uint32_t entries;          /* of the table */
	uint32_t cold;
	uint32_t next_clearable;   /* page, in in->clearables */
	bool is_flying;            /* a write is under way */
	bool is_in_clearables;
	bool is_stuck;             /* a disk did not take it, and nothing changed since */
	/* Chunks without an entry may not be set on all disks; the write under way mends it. */
	bool is_unsure, is_unsure_flying;
};

struct intent_role {
	struct disk *disk;         /* NULL: not there */
	uint64_t start_bytes;
	uint32_t in_flight;        /* also of the one that was here before */
	bool is_failing;           /* it was told */
	uint64_t hang_ns;          /* 0: as all */
};

struct intent_io;

struct intent_part {
	struct disk_req req;
	struct intent_io *io;
	uint32_t role;
	int refused;               /* -errno of disk_submit() */
};

/* A write of pages, or a flush (count is 0), to all disks. */
struct intent_io {
	struct qb_list_head link;  /* in->ios, oldest first; in->over; in->spare */
	struct intent *in;
	uint64_t number, began_ns;
	uint32_t awaited, failed, late; /* roles, as bits */
	uint32_t unreturned;       /* requests that a disk has, also one that left */
	uint32_t first, count, room;
	uint64_t sb_number;        /* of page 0 */
	bool is_over, is_handled, is_bulk;
	bool is_cut;               /* some disk did not get it, for the lease was over (D13) */
	uint8_t *buffer;           /* a copy: the image changes while it is written */
	struct intent_part parts[];
};

enum intent_kind { REQUEST_PAGES, REQUEST_LEAVE, REQUEST_SETTLE };

struct intent_stream { uint64_t next, marked_to; uint32_t window; };

enum { STREAMS = 8, GROUPS = 16 };

struct intent {
	struct bitmap_slot *slot;
	struct intent_ops ops;
	void *owner;
	uint64_t chunks;
	uint64_t budget;           /* chunks */
	uint64_t hang_ns;
	bool is_degraded;
	uint32_t gone;             /* roles, as bits: their disks went, and none came */
	bool is_running;
	bool is_shut;              /* D13 */
	bool is_held;              /* something was not written for that */
	uint64_t lease_until;

	struct intent_role roles[INTENT_MAX_DISKS];
	uint32_t role_count;
	struct qb_list_head ios, over, spare;
	uint32_t spare_count, ios_count, bulk_count;
	uint64_t number;           /* of the last io, or request */

	struct intent_page *pages;
	uint32_t page_count;
	uint8_t *wanted;           /* map of pages: to be written when there is room */
	uint32_t cursor, stuck_count, unsure_count;
	uint64_t stuck_since;
	uint64_t sb_number;        /* counts changes of the superblock */
	bool is_sb_behind;         /* events_cleared is not durable: nothing is cleared */

	struct chunk_table table;
	struct chunk_list dirty_list;    /* CHUNK_DIRTY, least recent first */
	struct chunk_list flushing;
	uint64_t dirty;            /* set on disk or about to be, without the needed */
	uint64_t leaving;          /* FLUSHING, CLEARABLE, CLEARING */
	uint64_t clearing;
	uint64_t writing;          /* in_flight > 0 */
	uint64_t needed_count;
	uint64_t cold, cold_since;
	uint32_t cold_cursor;

	bool is_flushing, must_flush;
	bool is_flush_forced;      /* what it was made for is written at once */
	bool is_flush_void;        /* what it was made for was taken back */
	bool is_flush_stuck;       /* a disk could not */
	bool is_cold_due;
	bool is_force_all;         /* all that is clearable is written, budget or not */
	bool is_looking_again;     /* for victims, soon */
	uint64_t settle_left;      /* chunks, of intent_settle() */
	uint32_t clearables_first, clearables_last; /* pages */

	struct qb_list_head woken; /* struct intent_write: ready() is due */
	uint64_t waiting;          /* writes, with these */
	struct qb_list_head requests, finished;
	uint32_t settles;

	struct intent_stream streams[STREAMS];
	uint32_t next_stream, next_group;
	uint64_t groups[GROUPS];

	struct intent_stats stats; /* the counters */
};

/* A chunk's page, and a page's chunks: [first, first + count). */
static inline uint32_t page_of(uint64_t chunk)
{
	return bitmap_page_of_chunk(chunk);
}

static inline uint64_t page_first(uint32_t page)
{
	return page ? CHUNKS_IN_PAGE_0 + (uint64_t)(page - 1) * CHUNKS_IN_PAGE : 0;
}

static inline uint64_t page_end(const struct intent *in, uint32_t page)
{
	uint64_t end = page_first(page + 1);

	return end < in->chunks ? end : in->chunks;
}

/* The bits of a page's chunks in the image, or in any map of all chunks. */
static inline uint8_t *page_bits(uint8_t *map, uint32_t page)
{
	return map + page_first(page) / 8;
}

/* --- intent.c ------------------------------------------------------------------------ */

/* Handles what is over and makes callbacks; from a disk's done() or intent_advance() only. */
void intent_run(struct intent *in);

/* --- intent_write -------------------------------------------------------------------- */

uint32_t intent_chunk_new(struct intent *in, uint64_t number, enum chunk_state state);
void intent_chunk_move(struct intent *in, uint32_t at, enum chunk_state state);
/* Its entry goes where nobody needs it: needed, durable, and no write in flight. */
void intent_chunk_forget(struct intent *in, uint32_t at);
/* Its entry goes. */
void intent_chunk_gone(struct intent *in, uint32_t at);
/* It waits for a page at or above `page`: linked there. False: for none. */
bool intent_write_waits(struct intent *in, struct intent_write *w, uint32_t page);

/* --- intent_io ----------------------------------------------------------------------- */

/* Room for `pages` in its buffer; NULL: no memory. */
struct intent_io *intent_io_get(struct intent *in, uint32_t pages);
void intent_io_put(struct intent *in, struct intent_io *io);
void intent_io_submit(struct intent *in, struct intent_io *io);
void intent_io_tell_refused(struct intent *in, struct intent_io *io);
/* Nothing waits for this role's disk any more. */
void intent_io_leave(struct intent *in, uint32_t role);
/* A disk that does not answer fails, for now. */
void intent_io_advance(struct intent *in, uint64_t now);
uint64_t intent_io_deadline(const struct intent *in);
bool intent_is_degraded(const struct intent *in);
void intent_io_fini(struct intent *in);
bool intent_has_disk(const struct intent *in);
/* There is a disk, and the gate is open. */
bool intent_may_write(struct intent *in);

/* --- intent_page --------------------------------------------------------------------- */

/* Now if it is not being written, else after that. */
void intent_page_want(struct intent *in, uint32_t page);
/* When there is room: bulk work. */
void intent_page_want_later(struct intent *in, uint32_t page);
void intent_page_unsure(struct intent *in, uint32_t page);
void intent_page_over(struct intent *in, struct intent_io *io);
void intent_page_retry(struct intent *in);
uint64_t intent_page_deadline(const struct intent *in);
/* Starts what there is room for. */
void intent_kick(struct intent *in);
void intent_sb_changed(struct intent *in);

/* --- intent_request ------------------------------------------------------------------ */

void intent_request_add(struct intent *in, struct intent_request *req,
			enum intent_kind kind);
/* Of a request that is added: it awaits this page. */
void intent_request_page(struct intent *in, struct intent_request *req, uint32_t page);
/* It awaits all that it will: may be finished. */
void intent_request_ready(struct intent *in, struct intent_request *req);
void intent_request_finish(struct intent *in, struct intent_request *req, int result);
void intent_requests_written(struct intent *in, const struct intent_io *io);
void intent_requests_left(struct intent *in, uint32_t role);
void intent_requests_settled(struct intent *in);

/* --- intent_need --------------------------------------------------------------------- */

int intent_need_load(struct intent *in);

/* --- intent_choose ------------------------------------------------------------------- */

/* By the budget. */
uint64_t intent_choose_level(const struct intent *in);
uint64_t intent_force_level(const struct intent *in);
/* What must go, if something must, is FLUSHING then. */
void intent_choose(struct intent *in);
/* Nothing may go: the table keeps what the budget says, the image keeps all. */
void intent_forget_old(struct intent *in);
/* `count` chunks of the page have no entry, and are not needed any more. */
void intent_cold(struct intent *in, uint32_t page, uint64_t count);

/* --- intent_clear -------------------------------------------------------------------- */

/* Chooses what must go, if something must. True: pages must be written for some. */
bool intent_clear_consider(struct intent *in);
/* Written to again: what was to be cleared stays, where that costs nothing. */
void intent_clear_take_back(struct intent *in, uint32_t at);
/* Nothing that was chosen goes: the disks, or the state of the array, changed. */
void intent_clear_dissolve(struct intent *in);
void intent_clear_flushed(struct intent *in, struct intent_io *io);
bool intent_clear_is_allowed(struct intent *in);
/* A page with something to clear that must be written for it; CHUNK_NONE: none. */
uint32_t intent_clear_next_page(struct intent *in);
/* It can be written again, so it may be the next one. */
void intent_clear_page_again(struct intent *in, uint32_t page);
void intent_clear_advance(struct intent *in, uint64_t now);
uint64_t intent_clear_deadline(const struct intent *in);

/* --- intent_ahead -------------------------------------------------------------------- */

void intent_ahead_init(struct intent *in);
void intent_ahead_missed(struct intent *in, const struct intent_write *w);
/* A chunk that was marked ahead is written to for the first time. */
void intent_ahead_met(struct intent *in, const struct intent_write *w);
