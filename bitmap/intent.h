/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The write-intent log of a node: its own slot while it runs. Who writes asks first;
 * a bit goes to disk before the data, and comes off it when that is safe. Pure but for
 * its disks. What is promised, as tests cite:
 *
 *	I1  (D1) A write is told to go on only when the bits of all its chunks are durable
 *	    on every disk that takes part.
 *	I2  (D2) A bit is cleared on disk only when no write is in flight on its chunk, all
 *	    writes that it covered were made durable by a flush of every disk, it is not
 *	    needed for a resync, and the array is not degraded.
 *	I3  A write waits for the bits of its own chunks alone: not for those of others, not
 *	    for a clear. A hit (dirty and durable) waits for nothing, takes no lock,
 *	    and allocates nothing.
 *	I4  A page has at most one write in flight on each disk; what comes meanwhile goes
 *	    with the next one, which starts at once when that is over (group commit, never
 *	    delayed). Pages do not wait for one another. Pages in flight change by setting
 *	    bits only.
 *	I5  Sets are written with FUA. Clears travel with the sets of their page, or alone
 *	    when the budget asks; one flush a disk for each batch of clears.
 *	I6  What is known to be set on disk is set again without I/O.
 *	I7  At most budget_bytes of the array are dirty without being needed or written to
 *	    just now; the least recently written go first (second chance).
 *	I8  A neighbour is marked ahead only within the page that is written anyway, within
 *	    the budget; a stream finds its next chunk marked when it comes to it (for it
 *	    a page may be written ahead, too).
 *	I9  A disk that fails a write of the bitmap is told (failed()), and what waits goes on
 *	    when it was taken out with intent_set_disk(), with the disks that are left. A disk
 *	    that does not answer for hang_ns is told the same (ETIMEDOUT). Who nobody takes
 *	    out is tried again: by the next write that needs the page, and each second.
 *	I10 Memory: the image, and what grows with the dirty chunks, not with the array:
 *	    under 64 MiB for 10 TiB with chunks of 64 KiB, at 30 GiB of budget.
 *	I11 (D13) While the gate is shut, or the lease is over, no page is written: the slot
 *	    may be somebody else's by then.
 *	I12 Before the first bit is cleared events_cleared of the superblock is durable, and
 *	    not behind the events of the superblocks by which the array is whole.
 *
 * Chunks are of the bitmap: array addresses for raid10, member addresses for raid1.
 * One thread. Callbacks never come from within the call that asked, but for
 * INTENT_READY. Source: designs 1-6 and 10 of our notes on write intents; md-bitmap.c for
 * what bits mean.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include <qb/qblist.h>

#include "bitmap/slot.h"

struct disk;
struct err;
struct intent;

enum { INTENT_MAX_DISKS = 32 };

struct intent_config {
	struct bitmap_slot *slot;     /* loaded, own; borrowed until intent_free() */
	/*
	 * By role; a NULL disk is one that is not there. start_bytes: of slot 0, as in
	 * struct bitmap_copy.
	 */
	struct { struct disk *disk; uint64_t start_bytes; } copies[INTENT_MAX_DISKS];
	uint32_t count;
	bool is_degraded;
	uint64_t events;              /* of the array, as intent_saw_events() */
	uint64_t budget_bytes;        /* I7; at least one chunk counts */
	uint64_t hang_ns;             /* a disk that does not answer fails: 0: 30 s */
};

struct intent_ops {
	uint64_t (*now)(void *owner); /* ns, any clock that does not go back */
	/* A disk did not take a page: by role, with its errno. I9. */
	void (*failed)(void *owner, uint32_t role, int error);
};

/*
 * What was loaded as set is needed: intent_next_needed() finds it. It was read as the OR
 * over copies that may differ, so the first write to a page of such has the page written
 * to all disks, and waits for that (I1). A slot that was STALE is so on disk until each
 * of its pages was written.
 */
struct intent *intent_new(const struct intent_config *config,
			  const struct intent_ops *ops, void *owner, struct err *err);
/* Nothing may be in flight: intent_is_idle(). NULL is fine. */
void intent_free(struct intent *in);

/* --- the write path ------------------------------------------------------------------ */

/* In its owner's memory, from intent_begin() to intent_end(). */
struct intent_write {
	uint64_t first, last;  /* chunks, inclusive */
	void (*ready)(void *owner, struct intent_write *w);
	void *owner;

	/* the intent's own */
	struct qb_list_head link;
	uint32_t entry;        /* of its first chunk */
};

enum intent_answer { INTENT_READY, INTENT_WAIT };

/*
 * READY: write. WAIT: ready() comes. -ENOMEM: nothing was begun. Takes 24 bytes and some
 * ten ns a chunk: who has a large range of small chunks (a trim) begins it in pieces.
 */
int intent_begin(struct intent *in, struct intent_write *w);
/*
 * The write is over, on all disks that it was for: where one of them failed it, after
 * intent_set_degraded(). is_durable: it needs no flush (FUA everywhere). Also for one that
 * still waits: ready() does not come then.
 */
void intent_end(struct intent *in, struct intent_write *w, bool is_durable);

/* --- what must be resynced ----------------------------------------------------------- */

/* A request of the calls below; in its owner's memory until done(). */
struct intent_request {
	void (*done)(void *owner, struct intent_request *req, int result);
	void *owner;

	/* the intent's own */
	struct qb_list_head link;
	uint64_t since;
	uint8_t *pages;           /* map of those awaited */
	uint32_t pages_awaited, role;
	uint8_t kind;
	int result;
};

/*
 * The bits of `map` (as in bits.h, of all chunks; borrowed for the call) are needed, and
 * done() says that they are durable: the first half of a merge (D3).
 */
void intent_need(struct intent *in, const uint8_t *map, struct intent_request *req);
/*
 * All chunks that are set are needed: they are not on a disk that comes back. done(): durable.
 * -ENOMEM: nothing is changed, and done() does not come.
 */
int intent_need_all(struct intent *in, struct intent_request *req);
/* Lowest chunk at or above `from` that is needed, or BITS_NONE. */
uint64_t intent_next_needed(const struct intent *in, uint64_t from);
uint64_t intent_needed_count(const struct intent *in);
bool intent_is_needed(const struct intent *in, uint64_t chunk);
/* [first, last] are equal on all disks now; cleared a second later, when I2 allows. */
void intent_synced(struct intent *in, uint64_t first, uint64_t last);

/* --- the array around it ------------------------------------------------------------- */

/*
 * A role's disk takes part from now on, or no more (NULL); of one that comes all pages
 * are written before done(): D10; -ENODEV: it went before that. Of one that goes done() says
 * that no request of ours is with it any more. req may be NULL. Roles are below
 * config.count.
 */
void intent_set_disk(struct intent *in, uint32_t role, struct disk *disk,
		     uint64_t start_bytes, struct intent_request *req);
/* Of this role alone, from now on; 0: as all. */
void intent_set_hang(struct intent *in, uint32_t role, uint64_t hang_ns);
/* It is so as well while a role's disk went, and none came: whoever says what first. */
void intent_set_degraded(struct intent *in, bool is_degraded);
/*
 * The superblock of the slot gets these events; events_cleared too, where the array is
 * not degraded. done(): durable.
 */
void intent_set_events(struct intent *in, uint64_t events, struct intent_request *req);
/*
 * The array's superblocks have got so far. Nothing is written for that; but whatever is cleared
 * from then on is so with events_cleared not behind it: a disk that went before these events,
 * and comes back, finds out that it missed what no bit tells of any more (I12). Before the
 * intent_set_degraded() that goes by the same superblocks.
 */
void intent_saw_events(struct intent *in, uint64_t events);
/*
 * Clears on disk all that I2 allows, now (at stop). done() comes when that is durable; what
 * is needed, is being written to, or must stay (degraded), stays.
 */
void intent_settle(struct intent *in, struct intent_request *req);
void intent_set_budget(struct intent *in, uint64_t budget_bytes);
/*
 * D13: while the gate is shut, or ops.now() has come to lease_until, nothing is submitted
 * that changes a disk; what waits goes on when it opens. Open at first, without a lease
 * (UINT64_MAX). Cheap: per token.
 */
void intent_set_gate(struct intent *in, bool is_open, uint64_t lease_until);
/* A request of ours is with a disk. With the gate shut there is none any more, soon. */
bool intent_has_io(const struct intent *in);

void intent_advance(struct intent *in, uint64_t now);
uint64_t intent_deadline(const struct intent *in); /* UINT64_MAX: never */
/* The owner itself stood still, for so long until now: hang_ns does not count that. */
void intent_stood_still(struct intent *in, uint64_t ns);
/* No page in flight, nothing waits. */
bool intent_is_idle(const struct intent *in);

struct intent_stats {
	uint64_t hits, misses;        /* writes */
	uint64_t page_writes;         /* a page, to all disks: one */
	uint64_t clear_flushes;
	uint64_t premarked;           /* chunks */
	uint64_t dirty_chunks, needed_chunks, writing_chunks;
	uint64_t dirty_bytes;
};
void intent_look(const struct intent *in, struct intent_stats *stats);
