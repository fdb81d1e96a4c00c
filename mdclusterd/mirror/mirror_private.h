/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the mirror's files share.
 *
 * The way of a change (WRITE, ZERO, TRIM), each step in the file named:
 *
 *	gate.c     the gate is open, else it parks; no suspended range, else it parks
 *	gate.c     its turn among those that overlap (range.h): from here on it holds its region
 *	write.c    its intent is durable; the gate again; then all disks
 *	write.c    all disks are over: what does it count for, must the cluster know first
 *	failure.c  held until it knows
 *	write.c    intent and region are given back, done
 *
 * Whoever meets the gate shut before all of it went to the disks gives back what it
 * holds, and begins anew when the gate opens: so nothing that waits for the gate holds up
 * anybody else. Sectors are of the array, and of 512 bytes, if nothing else is said.
 *
 * done() and the other calls to owners come last in whatever calls them: they may come
 * back at once.
 */
#pragma once

#include "bitmap/disk.h"
#include "mdclusterd/mirror/map.h"
#include "mdclusterd/mirror/mirror.h"
#include "mdclusterd/mirror/range.h"

enum {
	SECTOR_SHIFT = 9,
	POOL_TRANSFERS = 512,   /* for ios of many pieces; each has some of its own */
	UNREADABLE_MAX = 64,
	ZERO_SLICE_SECTORS = 16 << 11,
	LATENCY_BUCKETS = 256,
};

#define NS_PER_S 1000000000ull
#define NEVER    UINT64_MAX

/* --- requests to disks: transfer.c ---------------------------------------------------- */

struct transfer {
	struct disk_req req;
	struct mirror *m;
	/* Once, never from within transfer_send(). When it hangs: -ETIMEDOUT, is_lost. */
	void (*over)(struct transfer *t, int result);
	void (*back)(struct transfer *t); /* then this: the disk gave it back */
	void *owner;
	struct qb_list_head link;  /* its disk's, by age; the pool's */
	uint64_t since_ns;
	uint64_t at;               /* READ: sector of the array */
	uint64_t end;              /* READ in blocks: of all of them; else 0 */
	uint32_t tried;            /* READ: roles */
	uint8_t role;
	uint32_t tenure;           /* its disk's: the role may be another one's by now */
	bool is_lost, is_pooled;
	int refused;                 /* by disk_submit(): why */
};

struct mirror_disk {
	struct disk *disk;         /* there until the last request is back, or another one comes */
	uint64_t start_bytes;      /* of its data */
	enum mirror_disk_state state;
	bool is_rotational;
	bool is_failing;           /* failed here: not used any more */
	bool is_gone;              /* and its owner knows; it hangs, or there is none */
	uint64_t next_read_bytes;  /* behind the last read */
	struct qb_list_head in_flight; /* transfers, the oldest first */
	uint32_t busy;             /* of them */
	uint32_t lost;             /* hang: nobody waits for them */
	uint32_t tenure;           /* counts the disks that had the role */

	/* unreadable.c */
	uint64_t read_errors, corrected_sectors;
	uint32_t recent_errors;    /* places; halved each hour */
	uint64_t recent_since_ns, halved_ns;
	uint64_t say_low, say_high, say_sectors; /* corrected, and not told yet */
	uint64_t said_ns;
	bool has_said;
	int read_error;            /* the last one, and where */
	uint64_t read_error_bytes;

	struct transfer *flush;
	bool is_flush_out;

	/* why it fails */
	int error;
	enum disk_op error_op;
	uint64_t error_bytes;
	bool is_intent_error;
	bool is_reread_error;      /* it had just been written anew */
	bool is_many_errors;       /* R2 */

	struct mirror_request *request; /* mirror_set_disk() */
	struct mirror_change *coming; /* its slot is being written */
	uint64_t request_seq;

	uint64_t reads, writes, read_bytes, written_bytes, errors;
};

/* To the disk at this sector of its data. op FLUSH: without a place. */
void transfer_send(struct mirror *m, struct transfer *t, uint32_t role, enum disk_op op,
		   uint64_t sector, uint64_t sectors, void *buffer, bool is_fua);
/* Nobody waits for this one any more: over() comes, and the disk has it still. */
void transfer_give_up(struct transfer *t);
void transfer_deliver_refused(struct mirror *m);

/* --- ios ------------------------------------------------------------------------------ */

/* Something that uses disks by their states of now: mirror_set_disk() waits for it. */
struct job {
	struct qb_list_head link;
	uint64_t seq;
	bool is_on;
};
void job_begin(struct mirror *m, struct job *job);
void job_end(struct mirror *m, struct job *job);

/* Something that changes a region. */
struct change {
	struct range range;
	void (*go)(struct mirror *m, struct change *c); /* its turn has come */
	bool is_sync;
	/* May change disks: not blocked. What a suspension waits for. */
	bool is_started;
	bool is_held;              /* by a failure that the cluster does not know */
};

enum io_state {
	IO_NEW,
	IO_PARKED_GATE,
	IO_PARKED_SUSPENDED,
	IO_BLOCKED,    /* by changes that overlap */
	IO_INTENT,     /* waits for its bits */
	IO_ON_DISKS,
	IO_FLUSHING,
	IO_HELD,       /* by a failure */
	IO_FINISHED,   /* done() is due, or was called and a disk has it still */
};

/* What is behind a struct volume_io: volume.io_bytes. */
struct mirror_io {
	struct volume_io io;       /* first */
	struct mirror *m;
	enum io_state state;
	uint64_t seq;              /* of submission: the order at the gate */
	uint64_t began_ns;
	struct job job;
	struct change change;      /* range: what is in hand, all or a slice of it */
	struct intent_write intent;
	bool has_intent;
	bool has_written;          /* anything went to a disk */
	bool is_cut;               /* some of it did not, for the lease was over (D13) */
	uint64_t next;             /* all below went to the disks */
	uint32_t awaited;          /* transfers */
	uint32_t lost;             /* transfers that hang, and are its memory */
	uint32_t bad;              /* roles that have not all of it */
	uint32_t failed;           /* of them: gave an error */
	bool keeps_region;         /* a disk in use may write it yet: until it is back */
	bool is_flushed;
	bool is_out_of_space;      /* that was the error */
	int result;
	uint32_t own_free;         /* bits */
	struct transfer own[];
};

static inline struct mirror_io *mirror_io_of(struct volume_io *io)
{
	return (struct mirror_io *)io;
}

uint64_t io_end(const struct mirror_io *mi);
uint64_t io_slice_end(const struct mirror_io *mi, uint64_t low);
/* From the io's own ones, else the pool; NULL: later. */
struct transfer *io_transfer(struct mirror_io *mi);
void io_transfer_free(struct mirror_io *mi, struct transfer *t);
/* done(result) at the next mirror_advance(). */
void io_finish_later(struct mirror_io *mi, int result);
/* done(), and the end of the io if no disk has it still. */
void io_report(struct mirror_io *mi);
/* A transfer of it hangs, and is back. */
void io_transfer_back(struct transfer *t);

/* --- gate.c: who may begin ------------------------------------------------------------ */

bool gate_is_open(struct mirror *m);
/* As of the last look at the clock: for what does not submit yet. */
bool gate_was_open(const struct mirror *m);
/* From the start, or again: gate, suspended ranges, turn; then write_begin(). */
void change_admit(struct mirror_io *mi);
void change_release(struct mirror *m, struct change *c);
/* Of a sync: true if it has the region at once; else go() comes. */
bool change_take(struct mirror *m, struct change *c);
void gate_park(struct mirror_io *mi);
/* By seq. */
void park_in_order(struct mirror_io *mi, struct qb_list_head *list);
void gate_unpark(struct mirror *m);
bool gate_is_drained(const struct mirror *m);
void gate_check_drains(struct mirror *m);

/* --- suspend.c ------------------------------------------------------------------------ */

struct suspend {
	uint64_t low, high;         /* sectors; low == high: none */
	uint64_t old_low, old_high; /* as long as the request is pending, this too */
	struct mirror_request *request; /* may be NULL */
	bool is_pending;
};
bool suspend_covers(const struct mirror *m, uint64_t low, uint64_t high);
void suspend_park(struct mirror_io *mi);
/* A change ended, or is held: requests may be answered. */
void suspend_check(struct mirror *m);

/* --- read.c, write.c, zero.c, flush.c ------------------------------------------------- */

void read_begin(struct mirror_io *mi);
/* Which copy serves reads of this piece, besides roles `tried`; -1: none. */
int read_choose(struct mirror *m, const struct map_piece *piece, uint32_t tried);
/* Which copy a resync takes (A6). */
int read_source(const struct mirror *m, const struct map_piece *piece, uint32_t tried);

void write_begin(struct mirror_io *mi);
void write_push(struct mirror_io *mi);
void write_transfer_over(struct transfer *t, int result);
/* The gate is shut: gives all back, and parks. */
void write_back_out(struct mirror_io *mi);
void write_flushed(struct mirror_io *mi, int result, uint32_t bad);
/* It was held, and no more: the cluster knows; or the mirror stops. */
void write_known(struct mirror_io *mi);
void write_end_held(struct mirror_io *mi);
void write_all_back(struct mirror_io *mi);
/* No disk takes their bits. */
void write_fail_waiting(struct mirror *m, int result);
/* As write_push() of ZERO and TRIM. */
void zero_push(struct mirror_io *mi);
bool zero_is_nothing(const struct mirror_io *mi);

void flush_join(struct mirror_io *mi);
/* One that hangs stays with the disk that went: the role gets another one. */
int flush_leave(struct mirror *m, uint32_t role);

/* --- failure.c ------------------------------------------------------------------------ */

/* A request to this disk failed: it goes, unless it is the last of a set. */
void failure_of_change(struct mirror *m, uint32_t role, const struct disk_req *req,
		       int error);
/* It is noted only; whether that matters depends on what others can read. */
void failure_of_read(struct mirror *m, uint32_t role, const struct disk_req *req,
		     int error);
/* What was written anew cannot be read back. */
void failure_of_reread(struct mirror *m, uint32_t role, const struct disk_req *req,
		       int error);
void failure_of_many_reads(struct mirror *m, uint32_t role);
/* Hangs: what is overdue is given up. */
void failure_check_hangs(struct mirror *m);
/* F4: of a disk in that state. */
uint64_t failure_hang_ns(const struct mirror *m, enum mirror_disk_state state);
/* The intent, which there is. */
void failure_tell_hang(struct mirror *m, uint32_t role, enum mirror_disk_state state);
void failure_tell(struct mirror *m);
bool failure_can_fail(const struct mirror *m, uint32_t role);
void failure_hold(struct mirror_io *mi);
void failure_end_held(struct mirror *m);
void disks_changed(struct mirror *m);
void disk_check_request(struct mirror *m, uint32_t role);

/* --- change.c -------------------------------------------------------------------------- */

/* The bits could not be written: true, if that is to a disk that comes. */
bool change_failed(struct mirror *m, uint32_t role, int error);

/* --- unreadable.c --------------------------------------------------------------------- */

/* This role could not read all of [low, high), and another one could. */
struct unreadable {
	uint64_t low, high;
	uint8_t role;
	bool is_told;
};

/* is_told: a window is at it. */
void unreadable_found(struct mirror *m, uint32_t role, uint64_t low, uint64_t high,
		      bool is_told);
/* Of which something there is remembered. */
uint32_t unreadable_roles(const struct mirror *m, uint64_t low, uint64_t high);
void unreadable_corrected(struct mirror *m, uint32_t role, uint64_t low, uint64_t high);
/* All disks have it. */
void unreadable_forget(struct mirror *m, uint64_t low, uint64_t high);
void unreadable_forget_disk(struct mirror *m, uint32_t role);
void unreadable_tell(struct mirror *m);
uint64_t unreadable_deadline(const struct mirror *m);

/* --- sync.c --------------------------------------------------------------------------- */

struct sync;

void sync_run(struct mirror *m);
void sync_stop(struct mirror *m);
/* No disk takes the bits that pieces wait for. */
void sync_fail_waiting(struct mirror *m);
void mirror_sync_deliver(struct mirror *m);
/* Applications are at work, or were just now. */
bool sync_is_busy(const struct mirror *m, uint64_t now);
uint64_t sync_piece_sectors(const struct mirror *m);
uint64_t sync_untold_sectors(const struct mirror *m);
uint64_t mirror_sync_deadline(const struct mirror *m);
void mirror_sync_free(struct mirror *m);

/* --- look.c --------------------------------------------------------------------------- */

struct latency {
	uint32_t counts[2][LATENCY_BUCKETS]; /* of these seconds, of those before */
	uint32_t now;
	uint64_t since_ns;
};
void latency_add(struct latency *latency, uint64_t now, uint64_t ns);
uint64_t latency_p99_ns(const struct latency *latency, uint64_t now);

/* --- the mirror ----------------------------------------------------------------------- */

struct mirror {
	struct volume volume;      /* first */
	struct map map;
	struct mirror_ops ops;
	void *owner;
	struct intent *intent;
	uint32_t bitmap_chunk_sectors;
	uint64_t hang_ns;
	bool fails_when_shut;
	uint32_t max_read_errors;
	uint32_t own_transfers;
	uint64_t now_ns;           /* as of the last look */

	struct mirror_disk disks[MIRROR_MAX_DISKS];
	/* bits of roles */
	uint32_t readable;         /* in sync, not failing */
	uint32_t writable;         /* these, and rebuilt ones */
	uint32_t unknown;          /* failed here, or went; not all nodes know (D9) */
	uint64_t disks_came;       /* so often */
	uint32_t untold;           /* disk_failed() is due */
	struct unreadable unreadable[UNREADABLE_MAX];
	uint32_t unreadable_count;

	bool is_open, is_stopping, is_single_source;
	uint64_t lease_until_ns;
	bool is_drained;           /* or being so: the intent's gate is shut, too */

	struct ranges ranges;
	struct qb_list_head turns; /* ranges whose turn has come */
	bool is_taking_turns;

	struct suspend suspends[MIRROR_MAX_SLOTS];
	uint8_t suspended[MIRROR_MAX_SLOTS]; /* the slots that have one */
	uint32_t suspended_count;
	uint32_t suspend_requests;
	bool is_suspending;

	uint64_t io_seq, job_seq;
	struct qb_list_head jobs;       /* by seq */
	struct qb_list_head parked_gate; /* by seq of submission */
	struct qb_list_head parked_suspended;
	struct qb_list_head waiting_intent;
	struct qb_list_head held;
	struct qb_list_head finished;   /* done() is due */
	struct qb_list_head refused;    /* transfers: over() is due */
	struct qb_list_head answers;    /* requests: done() is due */
	struct qb_list_head drains;     /* requests */
	struct mirror_request *stop_request;
	uint32_t ios;                   /* submitted, not over */
	uint32_t reports;               /* of them: done() was not called */
	uint32_t changes_on_disks;      /* requests that change a disk, lost ones too */
	uint64_t parked_since_ns;
	uint64_t last_io_ns;

	struct qb_list_head flush_next; /* ios of the next round */
	struct qb_list_head flush_now;
	uint32_t flush_awaited;
	uint32_t flush_bad;             /* roles */
	int flush_result;
	bool is_flushing;
	uint32_t left_flushes;          /* hang on disks whose roles others have */

	struct qb_list_head pool;
	struct transfer *pool_memory;

	struct sync *sync;
	struct qb_list_head spare_pieces;
	struct qb_list_head left_pieces; /* disks that hang have them */
	uint32_t spare_buffers;
	uint32_t left_syncs;       /* as those */
	uint64_t sync_ended_ns;
	uint64_t speed_max_bytes;
	uint64_t resync_bytes;

	struct latency latency;
	uint64_t ios_done[VOLUME_OPS], bytes_done[VOLUME_OPS], ios_failed;
};

/* Roles that are written, and read by nobody. */
static inline uint32_t disks_rebuilt(const struct mirror *m)
{
	return m->writable & ~m->readable;
}

uint64_t mirror_now(struct mirror *m);
/*
 * What is read, compared or mended by itself where more of it fails, in sectors: what a disk
 * can read or cannot, as a whole. Were it more, of a block that somebody has read in part from
 * the source the rest could be another's (A6).
 */
uint64_t mirror_block_sectors(const struct mirror *m);
/* done() of a request at the next mirror_advance(). */
void mirror_answer(struct mirror *m, struct mirror_request *req, int result);
/* Something ended: a stop may be over. */
void mirror_check_stop(struct mirror *m);
