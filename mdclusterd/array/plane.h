/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The data plane as the cluster side sees it: the mirror with its intent and its front
 * ends, which live in a thread of their own (daemon) or beside it (simulator). Requests are
 * answered by done(), in the asker's thread, never within submit(); they are taken up in
 * the order of submission, and may be done in any. Posts have no answer and keep their
 * place among the requests.
 *
 * No request waits for writes that are held until failure_known(): that comes with TOKEN,
 * whose holder may be waiting for this very request (B20). A window that is asked for with
 * whole chunks as `bytes` begins and ends with whole chunks (the last one may be short).
 * After PLANE_STOP with is_lost, or keeps_clients, front ends keep their clients parked until
 * the next START and SERVE. The array may be larger by then, but not smaller.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include <qb/qblist.h>

#include "base/err.h"
#include "mdclusterd/array/metadata.h"

struct plane;

enum plane_op {
	/*
	 * Mirror and intent of `view`, own slot `slot`: loads it. Gate shut. Of the disks those in
	 * sync: one that is rebuilt comes by SET_DISK, before the gate opens.
	 */
	PLANE_START,
	PLANE_SERVE,    /* front ends take clients from here on */
	PLANE_NEED,     /* the chunks of `bits` are needed, durably (D3's first half) */
	PLANE_SUSPEND,  /* `slot` resyncs [low, high): done when drained (D6); 0, 0: no more */
	/*
	 * `role` as in `view`. Where it is in use no more, writes without it are held until
	 * failure_known(), as where it failed here. Of one that comes the own slot is on it when it
	 * is done (D10), and all writes from then on go to it; where it is rebuilt by the bitmap,
	 * all that the own slot's bits cover is needed -> needed_chunks. Failed: it has not come,
	 * and is closed. What hangs on the disk that had the role is no hindrance; -EBUSY: it is
	 * that very disk, and old requests hang on it.
	 */
	PLANE_SET_DISK,
	PLANE_EVENTS,   /* own slot's superblock gets view->events */
	/* at most `bytes` from `low` on that need a resync, within PLANE_SPAN_BYTES -> low, high */
	PLANE_WINDOW,
	PLANE_SYNC,     /* resyncs [low, high): as plane_sync_kind says */
	PLANE_DRAIN,    /* shuts the gate; nothing in flight changes a disk any more */
	/*
	 * Front ends off, parked ios end, bits that may be cleared are; all is freed. is_lost:
	 * without a write to any disk. keeps_clients: front ends stay, as with is_lost.
	 */
	PLANE_STOP,
	PLANE_LOOK,     /* -> look */
	PLANE_OPS,
};

enum { PLANE_SPAN_BYTES = 256 << 20 };

/*
 * REBUILD: all of it, to the disks that are rebuilt, alone; durable there when it is done, also
 * up to `position` when it is not. -ECANCELED with `low` as position: another such disk came
 * meanwhile, that has not got it. 0, and little copied: none is left.
 */
enum plane_sync_kind { PLANE_COPY, PLANE_COMPARE, PLANE_CHECK, PLANE_REPAIR, PLANE_REBUILD };

struct plane_look;

struct plane_request {
	enum plane_op op;
	const struct metadata_view *view; /* START, SET_DISK, EVENTS: borrowed until done */
	uint32_t slot, role;
	bool is_lost, keeps_clients;
	uint64_t low, high;      /* sectors of the bitmap's addresses */
	uint64_t bytes;
	enum plane_sync_kind kind;
	const uint8_t *bits;     /* NEED; borrowed until done() */
	/* Results. WINDOW: low == high: nothing is needed from there on. */
	/*
	 * SYNC: all below is done. -EIO with all of it done: but for what no disk can read, which
	 * stays needed. -ENODATA of REBUILD: no disk can read what lies behind it.
	 */
	uint64_t position;
	uint64_t copied_sectors, mismatch_sectors;
	uint64_t took_ns;        /* SYNC */
	uint64_t write_p99_ns;   /* SYNC: of applications meanwhile */
	bool was_busy;           /* WINDOW, SYNC: applications are at work */
	uint64_t needed_chunks;  /* START, NEED, SET_DISK, WINDOW, SYNC: left */
	struct plane_look *look;

	/* 0, -ECANCELED (SYNC), -EIO, -ENODATA (SYNC), -ESHUTDOWN (stopped meanwhile), -ENOMEM */
	void (*done)(void *owner, struct plane_request *req, int result);
	void *owner;
	struct err err;          /* where result is not 0 */
	struct qb_list_head link;
};

struct plane_ops {
	void (*submit)(struct plane *plane, struct plane_request *req);
	void (*set_gate)(struct plane *plane, bool is_open); /* D13; the lease is its own affair */
	void (*set_single_source)(struct plane *plane, bool is_on); /* B37 */
	/* D9; also where `role` stays in use, for it is the last one by now. */
	void (*failure_known)(struct plane *plane, uint32_t role);
	void (*set_speed)(struct plane *plane, uint64_t max_bytes); /* within a window */
	void (*cancel_sync)(struct plane *plane); /* done() of SYNC comes */
};

/* What comes up by itself, in the array's thread. */
struct plane_handlers {
	/* D9: told once a role. */
	void (*disk_failed)(void *owner, uint32_t role, const struct err *why);
	/* CHECK and REPAIR, before done() of their SYNC. */
	void (*differs)(void *owner, uint64_t sector, uint64_t sectors);
	/*
	 * A disk could not read some place, and another one could: it is needed by now, as
	 * durably as by NEED, so that a window writes it anew.
	 */
	void (*needs)(void *owner, uint64_t needed_chunks);
	/* That was done, and it can be read: `sectors` within [low, high). No flood. */
	void (*corrected)(void *owner, uint32_t role, uint64_t low, uint64_t high,
			  uint64_t sectors);
};

/* What every plane begins with. Handlers are set by the array before START. */
struct plane {
	const struct plane_ops *ops;
	const struct plane_handlers *handlers;
	void *owner;
};

/* Numbers for status; ages in ns. */
struct plane_look {
	bool is_gate_open, is_single_source;
	bool is_drained;         /* no change is under way on any disk */
	struct {
		uint64_t reads, writes, read_bytes, written_bytes, errors;
		/* of `errors`; written anew and read back; places, lately (max_read_errors) */
		uint64_t read_errors, corrected_sectors, recent_errors;
		uint64_t oldest_ns;
		uint32_t in_flight;
	} disks[METADATA_MAX_DISKS]; /* by role */
	uint64_t dirty_bytes, needed_bytes;
	uint64_t sync_sectors; /* done of the window under way; COPY: of a chunk needed still */
	uint64_t intent_hits, intent_misses, intent_page_writes;
	uint32_t in_flight, parked_gate, parked_suspended, held_by_failure;
	uint64_t parked_since_ns;
	uint64_t write_p99_ns;
	uint32_t clients;        /* of the front ends */
};
