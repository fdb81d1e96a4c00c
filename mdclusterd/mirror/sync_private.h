/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A resync in pieces: sync.c has the window (which pieces, when, how far), sync_piece.c
 * what is done with one.
 */
#pragma once

#include "mdclusterd/mirror/mirror_private.h"

enum {
	PIECE_MAX_SECTORS = 1 << 11,
	PIECES_MIN = 8,
	PIECES_MAX = 64,
	/* In flight together: beside applications, which wait behind them; and alone. */
	SYNC_FLIGHT_SECTORS = 8 << 11,
	SYNC_ALONE_SECTORS = 16 << 11, /* buffers of all copies */
};

enum piece_state {
	PIECE_TODO,     /* holds nothing: gate, or somebody's suspended range */
	PIECE_BLOCKED,  /* by writes that overlap */
	PIECE_READING,
	PIECE_INTENT,
	PIECE_WRITING,
	PIECE_READING_BACK,
	PIECE_DONE,
};

struct piece {
	struct qb_list_head link;
	struct mirror *m;
	struct sync *sync;       /* NULL: left behind, disks have its memory */
	enum piece_state state;
	struct change change;
	struct job job;
	struct intent_write intent;
	bool has_intent;
	bool keeps_region;       /* as mirror_io's */
	uint64_t at, sectors;    /* all of it */
	struct map_piece map;    /* what is in hand: all of it, or a block */
	bool is_in_blocks;       /* some of it could not be read */
	/* What no disk can read, so far: all of it is within [unread_low, unread_high). */
	uint64_t unread_sectors, unread_low, unread_high;
	int source;              /* copy */
	uint32_t awaited, lost;
	uint64_t disks_came;     /* the mirror's, when it began */
	uint32_t tried;          /* roles that could not be read */
	uint32_t got;            /* roles that were */
	uint32_t rebuilt;        /* roles that were rebuilt when it began */
	uint32_t written;        /* roles */
	uint32_t failed;         /* of them: could not be written, or read back */
	bool is_cut;             /* not all was begun: the lease was over (D13) */
	int result;
	uint64_t span_low[MIRROR_MAX_DISKS]; /* of a copy: bytes that differ */
	uint64_t span_high[MIRROR_MAX_DISKS];
	uint32_t buffers;
	uint8_t *buffer[MIRROR_MAX_DISKS];
	struct transfer transfers[]; /* by copy */
};

struct sync {
	struct mirror *m;
	struct mirror_sync *owner;
	uint64_t next;           /* all below went into pieces, or needs none */
	uint64_t disks_came;     /* the mirror's, when it began */
	/* Copied without a hole, up to what is retired, all to the same disks. */
	uint64_t run_low, run_high, run_disks_came;
	uint64_t told_sectors;   /* of those: whole chunks that the intent was told of */
	struct qb_list_head pieces; /* by address */
	uint32_t in_hand, most, most_alone;
	uint32_t buffers;        /* a piece */
	uint64_t piece_sectors;
	int result;
	bool is_cancelled, is_over, is_running;
	/* The end: disks that are rebuilt, and were written, are flushed (Y5). */
	uint32_t rebuilt;        /* roles */
	uint32_t flush_awaited, flush_lost;
	struct transfer flush[MIRROR_MAX_DISKS];
	int64_t credit_bytes;    /* may be sent now */
	uint64_t paced_ns;
};

bool sync_writes(const struct sync *sync);
bool sync_compares(const struct sync *sync);
bool sync_rebuilds(const struct sync *sync);
/* Its chunks are needed, and told to the intent. */
bool sync_is_of_needed(const struct sync *sync);

struct piece *piece_new(struct mirror *m, uint32_t buffers);
void piece_free(struct piece *p);
/* From TODO on; it may stay so. */
void piece_start(struct piece *p);
/* Of a sync that is cancelled: true if it was given up, for nothing was under way. */
bool piece_drop(struct piece *p);
/* It waits for an intent that does not come. */
void piece_fail_intent(struct piece *p);
/* It is DONE, or is in TODO again. */
void sync_piece_over(struct sync *sync);
/* A read of it hangs: another with memory of its own takes its place. */
void sync_replace_piece(struct sync *sync, struct piece *p);
