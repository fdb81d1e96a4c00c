/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Arrays of some nodes in one process: array.h on a lock_rig, each with a plane and metadata
 * that are small models: slots are sets of 64 chunks on shared disks. Both answer late, in
 * an order that a seed chooses. Nodes are 1..N. After each step the rules are checked:
 *
 *	a chunk whose copies differ (a writer died in it) has a bit in some slot   D1..D4
 *	  and everybody who serves reads from a single source                      V4
 *	bits are cleared in another's slot only if they stand elsewhere            D3
 *	no two nodes serve one slot                                                V1
 *	what one node copies no other writes                                       V5, D6
 *	writes without a failed disk are let go when all who serve know            D9
 *	a slot is read and cleared by one node at a time, and by no owner          V2
 *	size and bitmap change while no node has a plane, and all start by the new ones
 *	a disk that is rebuilt is in sync when it has all chunks, not before       D10, B29
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "mdclusterd/array/array.h"
#include "tests/unit/lock_rig.h"

enum {
	ARRAY_RIG_NODES = 8,
	ARRAY_RIG_CHUNKS = 64,
	ARRAY_RIG_DISKS = 3,
	ARRAY_RIG_SPARES = 4,
	ARRAY_RIG_ASKS = 128,
};
#define RIG_CHUNK_BYTES   (64u << 20)
#define RIG_CHUNK_SECTORS (RIG_CHUNK_BYTES / 512)
#define RIG_SECONDS(n)    ((n) * UINT64_C(1000000000))

/* The disks. */
struct rig_disks {
	uint64_t slots[ARRAY_MAX_NODES + 1]; /* a bit a chunk */
	uint64_t differ;                 /* chunks whose copies may not be equal */
	uint64_t synced;                 /* copied since a writer died in them */
	uint64_t events, resync_offset;
	enum metadata_disk_state state[ARRAY_RIG_DISKS];
	uint32_t disks, nodes;
	/* of the disk that has, or had, a role */
	uint32_t number[ARRAY_RIG_DISKS];
	bool by_bitmap[ARRAY_RIG_DISKS];
	uint64_t recovery_offset[ARRAY_RIG_DISKS];
	uint64_t missing[ARRAY_RIG_DISKS]; /* chunks that it does not have */
	struct { bool is_member; uint32_t number; } spares[ARRAY_RIG_SPARES];
	uint32_t next_number;
	uint32_t unseen;                 /* nodes that do not see a disk that comes, bits */
	bool has_cleared;                /* bits, since a disk went: no re-add */
	uint64_t changes;                /* of size or bitmap, so far */
};

struct rig_ask {
	struct plane_request *req;
	bool is_taken;
};

struct rig_plane {
	struct plane base;
	struct array_rig *rig;
	int node;
	struct rig_ask asks[ARRAY_RIG_ASKS];
	size_t count;
	bool is_started, is_serving, is_gate_open, is_single, is_cancelled, is_stopped_lost;
	uint32_t slot;
	uint64_t needed;
	uint64_t changes;                /* that it knew as it started */
	unsigned int writing[ARRAY_RIG_CHUNKS]; /* in flight */
	struct { uint64_t low, high; } suspended[ARRAY_MAX_NODES];
	enum metadata_disk_state told[ARRAY_RIG_DISKS];
	uint32_t failing;                /* roles whose writes are held, bits */
	uint32_t known;                  /* failure_known(), bits */
	uint64_t synced_chunks;          /* in this life */
	unsigned int copies, compares;   /* windows of these kinds */
	uint64_t biggest_suspended;      /* sectors at once, of one slot */
	uint64_t unread;                 /* chunks that no disk can read: SYNC leaves them */
	int fail_need, fail_suspend, fail_start, fail_sync; /* how often, -ENOMEM, -EIO */
	uint64_t max_speed;
	bool is_busy;                    /* applications are at work */
	bool holds_sync;                 /* SYNC ends only when it is cancelled */
	bool holds_set_disk, holds_start;
	int fail_set_disk;               /* of one that comes: how often, -EIO */
	uint64_t rebuilt;                /* chunks, by REBUILD, in this life */
	unsigned int syncs;              /* taken */
	uint64_t sync_ns, write_p99_ns;  /* what SYNC tells; 0: 1 ms */
	uint64_t biggest_sync, last_sync; /* sectors */
};

struct rig_metadata {
	struct metadata_runner base;
	struct array_rig *rig;
	int node;
	struct metadata_request *queue[16];
	size_t count;
	bool is_run;                     /* the first was, and is not told */
	int result;
	unsigned int ops[METADATA_OPS];  /* done */
	uint32_t unsees;                 /* not 0: dev_number of a disk that others see */
	bool is_behind;                  /* it sees disks alone that others have failed */
	uint32_t lacks_role;             /* not 0: a disk that this node does not see */
	uint32_t fails_role;             /* told with fail_read, if not 0 */
	int fail_rebuild;                /* how often, -EAGAIN */
	int fail_read, fail_clear, fail_reload, fail_fail, fail_activate, fail_change; /* how often, -EIO */
	int halve_change, halve_come;    /* how often it is written on a part of the disks */
};

struct rig_array {
	struct array_rig *rig;
	int id;
	struct array *array;             /* NULL: not there, or dead */
	struct rig_plane plane;
	struct rig_metadata metadata;
	int wanted_slot, known_slot;
	bool is_stopped, is_closed_here;
	unsigned int events[ARRAY_EVENT_KINDS];
	uint64_t recovered_bytes;
	uint64_t checked;                /* chunks that CHECK or REPAIR looked at */
	char last_text[256];
	uint32_t evicted;
	bool evicts;
};

struct array_rig {
	struct lock_rig *locks;
	struct rig_disks disks;
	struct rig_array nodes[ARRAY_RIG_NODES + 1];
	int count;
	uint64_t random;
	unsigned int steps;
	bool is_cut[ARRAY_RIG_NODES + 1];
	bool is_fenced[ARRAY_RIG_NODES + 1]; /* proven dead, until it begins anew */
	uint64_t jumped_ns;
	bool is_rotten;                  /* copies differ, and nobody can know */
};

struct array_rig *array_rig_new(int nodes, uint64_t seed);
/* All that live are stopped first, unless they are in trouble. */
void array_rig_free(struct array_rig *rig);

/* --- life ---------------------------------------------------------------------------- */

void array_rig_start(struct array_rig *rig, int node);
/* And all are active. */
void array_rig_start_all(struct array_rig *rig);
void array_rig_stop(struct array_rig *rig, int node);
/* At once: what it wrote just now differs. */
void array_rig_kill(struct array_rig *rig, int node);
void array_rig_prove(struct array_rig *rig, int node);
/* A new process, which may be started. */
void array_rig_revive(struct array_rig *rig, int node);
/* Kill, prove, and all is done. */
void array_rig_bury(struct array_rig *rig, int node);
/* Cut off, with its lease over. */
void array_rig_cut(struct array_rig *rig, int node);
void array_rig_heal(struct array_rig *rig, int node);

/* --- steps --------------------------------------------------------------------------- */

bool array_rig_step(struct array_rig *rig);
/* Until nothing is left to do now; no time passes. */
void array_rig_settle(struct array_rig *rig);
/* And timers go off, until they ask for nothing any more, or so many seconds went by. */
void array_rig_run(struct array_rig *rig);
void array_rig_run_seconds(struct array_rig *rig, uint64_t seconds);
/* The next timer alone. */
void array_rig_run_next(struct array_rig *rig);
uint64_t array_rig_random(struct array_rig *rig);
/* Steps until the node is in that state; false: it comes not to it. */
bool array_rig_until(struct array_rig *rig, int node, enum array_state state);

/* --- writing ------------------------------------------------------------------------- */

/* False: it is parked: gate, or a suspended range. */
bool array_rig_write(struct array_rig *rig, int node, int chunk);
void array_rig_written(struct array_rig *rig, int node, int chunk);
/* Bits that may be cleared are. */
void array_rig_clear(struct array_rig *rig, int node);

/* A read failed on a disk, and another one had it: needed, durably, and told. */
void array_rig_cannot_read(struct array_rig *rig, int node, int chunk);
/* A disk fails under this node: writes that met it are held (D9). */
void array_rig_disk_fails(struct array_rig *rig, int node, uint32_t role);

/* --- looking ------------------------------------------------------------------------- */

struct array_look array_rig_look(struct array_rig *rig, int node);
bool array_rig_is_active(struct array_rig *rig, int node);
uint64_t array_rig_dirty(const struct array_rig *rig); /* of all slots */
/* Messages that this node said, and all handled. */
uint64_t array_rig_said(struct array_rig *rig, int node);
/* All that are there are active, nothing is dirty or differs, reads balance, no ranges. */
void array_rig_check_healthy(struct array_rig *rig);
/* The plane's request of this kind that is under way; NULL: none. */
struct plane_request *array_rig_asked(struct array_rig *rig, int node, enum plane_op op);
