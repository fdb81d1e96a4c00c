/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The mirror: an array's data path on one node, raid1 of 1..8 disks and raid10 near. Pure
 * but for its disks: time comes in, the same code runs in the daemon's I/O thread and in
 * the simulator. What is promised, as tests cite:
 *
 *	A1  (D1) No write goes to any disk before its intent is durable.
 *	A2  (D6) After mirror_suspend() is done no write that overlaps the range is in
 *	    flight, or starts, until the range is gone. Only writes that overlap wait, and
 *	    reads there come from the source.
 *	A3  Writes that overlap take effect one after the other, on all disks alike;
 *	    a resync of a region counts as a write of it.
 *	A4  (D9) A write that met a failing disk, or goes without one that was in use here, is
 *	    not done before mirror_failure_known(): the whole cluster knows. Reads go
 *	    elsewhere at once. The last disk of a set never fails: its errors are the
 *	    client's, and nothing is invented.
 *	A5  (D13) While the gate is shut, or the lease is over, nothing is submitted that
 *	    changes a disk. What comes parks, or fails (park), and goes on when it opens.
 *	    Looked at before each submit.
 *	A6  (B37) While single-sourced, all reads of a place are served by the disk that a resync
 *	    would copy from: the first one in sync.
 *	A7  Nothing hangs on one disk: a request that is not over after hang_ns fails its disk;
 *	    after a third of that one that is rebuilt.
 *	A8  A flush covers all disks, and all writes done before it; one at a time, others
 *	    join the next.
 *	A9  No allocation and no lock on the path of reads, and of writes that hit.
 *	A10 What one disk cannot read and another can is read, by physical blocks; it is told,
 *	    and whatever a window writes to a disk that could not read it is read back.
 *
 * Sectors of 512 bytes, of the array. Roles as in dev_roles.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "bitmap/intent.h"
#include "mdclusterd/volume.h"

struct disk;
struct mirror;

enum {
	MIRROR_MAX_DISKS = INTENT_MAX_DISKS,
	MIRROR_MAX_SLOTS = 128,
	MIRROR_MAX_IO_BYTES = 32 << 20,
	MIRROR_READ_ERRORS = 20,  /* max_read_errors of md */
};

struct mirror_config {
	int32_t level;            /* MD_LEVEL_RAID1, MD_LEVEL_RAID10 */
	uint32_t layout;          /* raid10: near copies, as in md_sb.layout */
	uint32_t chunk_sectors;   /* raid10: stripe unit */
	uint64_t member_sectors;  /* md_sb.size */
	uint32_t raid_disks;
	struct {
		struct disk *disk;      /* NULL: missing or faulty; borrowed */
		uint64_t data_offset;   /* sectors */
		bool is_rotational;
	} disks[MIRROR_MAX_DISKS];
	/* Borrowed; NULL: no write intent, for benchmarks and single nodes' tests. */
	struct intent *intent;
	uint32_t bitmap_chunk_sectors;
	uint64_t hang_ns;         /* A7; 0: 30 s */
	bool fails_when_shut;     /* A5: -ESHUTDOWN instead of parking */
	/*
	 * More places than these that a disk could not read, and another one could, fail it;
	 * halved each hour, as md's max_read_errors. 0: the first one does.
	 */
	uint32_t max_read_errors;
};

struct mirror_ops {
	uint64_t (*now)(void *owner); /* ns; of the lease's clock */
	/*
	 * This disk fails (A4); told once a disk. `why` names disk, place and error. The
	 * cluster must be told, then mirror_failure_known().
	 */
	void (*disk_failed)(void *owner, uint32_t role, const struct err *why);
	/*
	 * A disk could not read all of [low, high), of the bitmap's addresses, and another one
	 * could: told once, while it is not mended. Who makes it needed has a window write it
	 * anew. At most 64 such ranges are remembered, others are found by the next read. NULL:
	 * they stay as they are.
	 */
	void (*unreadable)(void *owner, uint64_t low, uint64_t high);
	/*
	 * `sectors` within [low, high) were written anew to this disk, which could not read
	 * them, and read back. At most each 10 s a disk. May be NULL.
	 */
	void (*corrected)(void *owner, uint32_t role, uint64_t low, uint64_t high,
			  uint64_t sectors);
};

/* The gate is shut at first. */
struct mirror *mirror_new(const struct mirror_config *config,
			  const struct mirror_ops *ops, void *owner, struct err *err);
/* Nothing may be in flight, or parked: mirror_stop(). NULL is fine. */
void mirror_free(struct mirror *m);

struct volume *mirror_volume(struct mirror *m);

void mirror_advance(struct mirror *m, uint64_t now);
uint64_t mirror_deadline(const struct mirror *m);
/*
 * The owner itself stood still, for so long until now, and heard nothing of what disks did:
 * A7 does not count that. Before the mirror_advance() that follows.
 */
void mirror_stood_still(struct mirror *m, uint64_t ns);

/* --- what the cluster says ----------------------------------------------------------- */

/* In its owner's memory until done(), which never comes from within the call. */
struct mirror_request {
	void (*done)(void *owner, struct mirror_request *req, int result);
	void *owner;
	struct qb_list_head link; /* the mirror's own */
	int result;
};

/*
 * A5; reads wait as well, for others may have failed a disk. lease_until: on ops.now's clock;
 * UINT64_MAX: no lease is asked for. Cheap: per token. The intent goes by the lease, too, but
 * may write with a gate that is shut, for who joins gathers slots before it serves.
 */
void mirror_set_gate(struct mirror *m, bool is_open, uint64_t lease_until);
/*
 * Nothing in flight changes a disk any more, nor does the intent; the gates of both are
 * shut. -ECANCELED: it was opened again before that.
 */
void mirror_drain(struct mirror *m, struct mirror_request *req);

/*
 * The range that `slot` resyncs, [low, high) in sectors of the bitmap's addresses; it replaces
 * that slot's last one; low == high: none (B43). done(): A2. -EBUSY: a write in the range is
 * held by a failure (A4): a resync might copy from the disk that has not got it, so the
 * slot's last range stays, and the message has to be refused, for its sender holds the TOKEN
 * that telling the failure takes. -ECANCELED: the slot's next range came meanwhile.
 */
void mirror_suspend(struct mirror *m, uint32_t slot, uint64_t low, uint64_t high,
		    struct mirror_request *req);
void mirror_set_single_source(struct mirror *m, bool is_on);

enum mirror_disk_state {
	MIRROR_DISK_MISSING,  /* not there, or faulty: neither read nor written */
	MIRROR_DISK_REBUILD,  /* written; read by nobody */
	MIRROR_DISK_IN_SYNC,
};
/*
 * As the superblocks say. done() when nothing in flight goes by the old state, but what a disk
 * that goes has had for hang_ns (A7): so the cluster comes to know of a disk that hangs for
 * ever. `disk` where it was missing; borrowed until it is missing again, done() was called, and
 * its last request is back (disk->in_flight): another one may have the role before that, but not
 * the same device, where what hangs could land over what is newer: its owner sees to that. The intent is told by the caller, and before
 * this where a disk comes: it must have every disk that is in use here, for it flushes what it
 * writes to before it clears a bit. Of failures seen here the mirror tells it. Of a disk that
 * goes the cluster may not know yet, as of one that failed here: A4.
 */
void mirror_set_disk(struct mirror *m, uint32_t role, enum mirror_disk_state state,
		     struct disk *disk, uint64_t data_offset,
		     struct mirror_request *req);
/*
 * The same with the intent told, in the order that both need: what a plane does. Of a disk that
 * comes (REBUILD) the own slot is on it when it is done (D10), and every write that ends
 * from then on is. By bitmap, all that the slot's bits cover is needed then, durably, and
 * with it each write that the disk has not got. result < 0: -EBUSY (it went, and is not done), -EINVAL, -ENOMEM, what the
 * disk gave for its slot; err says why, and it is neither in the mirror nor in the intent,
 * but may have requests still. In its owner's memory until done(), which never comes from
 * within the call. One at a time a role.
 */
struct mirror_change {
	uint32_t role;
	enum mirror_disk_state state;
	bool is_degraded;             /* as the superblocks say */
	uint64_t events;              /* theirs: I12 */
	/* of one that comes */
	struct disk *disk;            /* borrowed as by mirror_set_disk(), if it is done */
	uint64_t data_offset;
	uint64_t bitmap_start_bytes;
	bool is_rotational, is_by_bitmap;
	void (*done)(void *owner, struct mirror_change *c, int result);
	void *owner;
	struct err err;

	/* the mirror's own */
	struct mirror *m;
	struct mirror_request mirror;
	struct intent_request intent;
	uint32_t awaited;
	int error, result;
};
void mirror_change_disk(struct mirror *m, struct mirror_change *c);
/*
 * A disk failed here, or went, and not all nodes know. As long as that is so the intent is
 * degraded, whatever the superblocks say: who tells it that the array is whole asks this
 * first.
 */
bool mirror_has_failing(const struct mirror *m);
/* All nodes know that it failed: writes without it are done. It is MISSING from here on. */
void mirror_failure_known(struct mirror *m, uint32_t role);
/* For intent_ops.failed: a disk that does not take bits fails like one that takes no data. */
void mirror_intent_failed(struct mirror *m, uint32_t role, int error);

/* --- resync -------------------------------------------------------------------------- */

enum mirror_sync_kind {
	MIRROR_SYNC_COPY,    /* needed chunks: read the source, write all others */
	MIRROR_SYNC_COMPARE, /* needed chunks: read all, write what differs */
	MIRROR_SYNC_CHECK,   /* all: read all, tell what differs */
	MIRROR_SYNC_REPAIR,  /* all: and write it */
	/*
	 * All, to the disks that are rebuilt, alone: read the source, or the next one where that
	 * cannot be read. The intent is not told. Where a disk that is rebuilt came meanwhile
	 * nothing counts: -ECANCELED, `position` is `low`.
	 */
	MIRROR_SYNC_REBUILD,
};

/*
 * The next needed chunks from the one of `from` on: from the first of them to the last that
 * makes no more than `bytes` of them, and a window no wider than `span_bytes`; one at least.
 * So how long it takes goes by `bytes`, however far apart they are. Returns low; low == *high:
 * none.
 */
uint64_t mirror_window(const struct mirror *m, uint64_t from, uint64_t bytes,
		       uint64_t span_bytes, uint64_t *high);
/*
 * One window, [low, high), of the bitmap's addresses; of COPY and COMPARE whole chunks of the
 * bitmap, for only these are ever synced: -EINVAL. It is this node's by the cluster's
 * agreement; writes of this node go on, and wait for single pieces only (A3). Needed
 * chunks that are done are told to the intent. What was written to a disk that is rebuilt is
 * durable there when it is done, so that this disk may be told in sync.
 */
struct mirror_sync {
	enum mirror_sync_kind kind;
	uint64_t low, high;          /* sectors */
	/*
	 * 0; -ECANCELED: `position` says how far; -EIO: no further than that; or, where
	 * unread_sectors is not 0, all but these, which no disk can read: they stay needed. A
	 * REBUILD ends there, at the first of them.
	 */
	void (*done)(void *owner, struct mirror_sync *sync, int result);
	/* A mismatch of CHECK and REPAIR; may be NULL. */
	void (*differs)(void *owner, struct mirror_sync *sync, uint64_t sector,
			uint64_t sectors);
	void *owner;
	uint64_t position;           /* all below is done */
	uint64_t copied_sectors, read_sectors, mismatch_sectors;
	uint64_t unread_sectors, unread_low; /* the first of them */
	uint64_t began_ns, ended_ns;
	bool was_busy;               /* applications were at work when it ended */
	void *state;                 /* the mirror's own */
};
/* One at a time: -EBUSY; -ENOMEM. The buffers are kept for the next window. */
int mirror_sync_begin(struct mirror *m, struct mirror_sync *sync);
void mirror_sync_cancel(struct mirror *m, struct mirror_sync *sync); /* done() comes */

/*
 * Bytes a second and disk, as md's sync_speed_max; 0: no limit. Live. There is no minimum
 * here: a window that all have drained for is not made to last. Who begins windows makes
 * pauses between them, where applications are at work.
 */
void mirror_set_speed(struct mirror *m, uint64_t max_bytes);

/*
 * For the end: parked ios get -ESHUTDOWN, those in flight end, then done(). Nothing is
 * taken any more.
 */
void mirror_stop(struct mirror *m, struct mirror_request *req);

struct mirror_disk_look {
	enum mirror_disk_state state;
	bool is_failing;             /* failed here, or went: the cluster is being told */
	uint64_t reads, writes, read_bytes, written_bytes, errors;
	uint64_t read_errors;        /* of `errors` */
	uint64_t corrected_sectors;  /* written anew and read back */
	uint32_t recent_errors;      /* what max_read_errors is about */
	uint32_t in_flight;
	uint64_t oldest_ns;          /* age of the oldest request in flight; 0: none */
};
struct mirror_look {
	struct mirror_disk_look disks[MIRROR_MAX_DISKS];
	uint64_t ios[VOLUME_OPS], bytes[VOLUME_OPS], failed;
	uint32_t in_flight, parked_gate, parked_suspended, held_by_failure;
	bool is_drained;             /* no change is under way on any disk, the intent's neither */
	uint64_t parked_since_ns;    /* age; 0: none */
	uint64_t write_p99_ns;       /* of the last seconds: resync windows adapt to it */
	uint64_t resync_bytes;
	/*
	 * Of the window under way: done, and told to nobody yet; of COPY and COMPARE what is less
	 * than a chunk, for by chunks the intent needs less.
	 */
	uint64_t sync_sectors;
	bool is_gate_open, is_single_source;
	bool is_busy;                /* applications are at work */
};
void mirror_look(const struct mirror *m, struct mirror_look *look);
