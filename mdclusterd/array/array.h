/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * One clustered array on one node: the state machine above its lockspace, its channel, its
 * metadata and its data plane. Pure: it asks, is answered, and is told the time. The rules
 * D1..D14 (shared design; ARCHITECTURE.md) hold at every instant; beyond them:
 *
 *	V1  It serves I/O only while: a member of the lockspace; PW on its own slot is held;
 *	    resync_offset is 0 on disk (D11); every vacant slot was gathered, and every live
 *	    one's window is suspended; the gate is open (D13).
 *	V2  A slot that nobody has any more is in the recovery map until this node had PW on
 *	    it and found it empty, or a new member has it. So for who left of its own will,
 *	    too: it may have been kept from saying that work is left. A step that fails is
 *	    tried again, and is never forgotten (B54).
 *	V3  Ranges are suspended by slot: set by its messages and lock value, dropped by its
 *	    end message, or once its slot was merged (D5, B23, B43).
 *	V4  Reads have a single source from the first sign of a death until no slot is in the
 *	    map and no member owes a resync (B37).
 *	V5  A window is copied only when all members have acknowledged it (D6). Several nodes
 *	    resync at once, each the chunks that are needed in its own slot.
 *	V6  What a refusal, a deadline, or a fault of the disk keeps from going on is told: for
 *	    what it waits, for whom, and since when.
 *	V7  A stop ends within a second whatever other nodes do (B16): where the lockspace
 *	    stands still, all but it is closed by then, and it alone closes later. Resync
 *	    work left over is said (BITMAP_NEEDS_SYNC), also what came from failed writes
 *	    (B51).
 *	V8  Who has lost the lockspace shuts the gate first, drains, closes, and joins anew
 *	    with its clients parked.
 *	V9  An idle array says nothing (B5).
 *
 * The life of an array:
 *
 *	ASSEMBLE  the superblocks are read and judged
 *	JOIN      the lockspace, by the array's uuid in text; a slot; the channel is ready
 *	OWN       PW on bitmap<own>: whoever recovers it is done
 *	ACTIVATE  under TOKEN: superblocks anew; nobody goes by later ones (EVENTS);
 *	          resync_offset 0, METADATA_UPDATED if changed
 *	START     the plane loads the own slot; what it has is needed
 *	GATHER    each other slot: of a member, its lock value is read (window, owes a resync);
 *	          of nobody, PW, read, NEED, CLEAR (D3), as a recovery does; of a disk that is
 *	          not in use all know (D9)
 *	ACTIVE    the gate opens, front ends serve; resync of what is needed
 *	LEAVE     gate shut, drained, bits cleared, the rest handed over, disks closed, unlocked
 *
 * Recovery of a slot: PW -> READ_SLOT -> share -> NEED (durable here) -> CLEAR_SLOT -> the lock
 * value says who took how much -> unlock. With k members the one that comes first takes
 * 1/k of the dirty chunks, but never less than ARRAY_SHARE_BYTES; the second 1/(k-1) of the
 * rest; who finds nothing left is done with that slot. Until then it asks again.
 *
 * The lock value of bitmapNNNN, 32 bytes, little endian; of the owner, or of who recovers:
 *
 *	0  low u64, high u64    the window [low, high) in sectors; 0, 0: none
 *	16 flags u32            1: a resync is owed; 2: of an owner who has loaded the slot
 *	20 takers u32           of a slot that is recovered: who had a share in `generation`
 *	24 generation u32, 0 u32
 *
 * An owner writes it PW -> PW before it says RESYNCING, so that a member reads in it what it
 * has not heard, or hears what it has not read.
 *
 * Resync: WINDOW -> lock value, RESYNCING(low of this, high of the next) -> all have drained
 * -> SYNC of this one, while the next is announced. First window 32 MiB, if that takes no
 * longer than others; the next ones so that one takes about ARRAY_WINDOW_NS, where
 * applications are at work ARRAY_BUSY_WINDOW_NS, and less where writes suffer: they wait for
 * as long as that, on other nodes for two of them. At the end the lock value is
 * 0, 0 and RESYNCING(0, 0) is said, once; who hears it reads the value again, for there it says
 * whether anything is owed still. Whose window crosses one that all have acknowledged is
 * refused (BUSY), and comes later.
 *
 * Another size, number of disks or bitmap: TOKEN -> FREEZE -> METADATA_CHANGE -> METADATA_UPDATED;
 * who is FROZEN goes on with ACTIVATE.
 *
 * A disk fails here: TOKEN -> METADATA_FAIL -> own slot's events -> METADATA_UPDATED -> failure_known
 * (D9). A node that hears METADATA_UPDATED: RELOAD -> SET_DISK of what differs -> msg_handled; where
 * a disk went, TOKEN -> METADATA_UPDATED -> failure_known, for until then it holds writes, too;
 * unless it hears DISKS_GONE before, of one that knows already.
 * After any death, D7: recover() -> RELOAD -> msg_recovered.
 *
 * A disk comes (array_change.c): TOKEN -> PREPARE -> NEWDISK, all see it -> ADD -> METADATA_UPDATED:
 * a spare. Who has `resync` (array_rebuild.c) gives it a role: TOKEN -> REBUILD -> METADATA_UPDATED,
 * each node SET_DISK: its slot is on it, and all that it writes from then on (D10) -> a sweep in
 * windows, its position saved -> TOKEN -> IN_SYNC -> METADATA_UPDATED. One that was here before
 * has no sweep: on SET_DISK each node makes what its bits cover needed, and it is in sync when
 * nobody owes a resync.
 *
 * One thread, that of the lockspace engine. array_free() not from within its callbacks.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include <qb/qblist.h>

#include "base/err.h"
#include "bitmap/grow.h"
#include "mdclusterd/array/metadata.h"
#include "mdclusterd/array/plane.h"

/* Where nothing else is said: a second and disk. */
#define ARRAY_RESYNC_MIN_BYTES (50u * 1000 * 1000)
#define ARRAY_RESYNC_MAX_BYTES (200u * 1000 * 1000)

struct array;
struct lockspace_engine;

enum {
	ARRAY_MAX_NODES = 64,
	ARRAY_SHARE_BYTES = 256 << 20,
	ARRAY_FIRST_WINDOW_BYTES = 32 << 20,
	ARRAY_MIN_WINDOW_BYTES = 4 << 20,
	ARRAY_MAX_WINDOW_BYTES = PLANE_SPAN_BYTES,
};
#define ARRAY_WINDOW_NS      (100 * 1000000ull)
#define ARRAY_BUSY_WINDOW_NS (50 * 1000000ull)

enum array_state {
	ARRAY_DOWN,       /* nothing is open */
	ARRAY_ASSEMBLING,
	ARRAY_JOINING,
	ARRAY_OWNING,
	ARRAY_ACTIVATING,
	ARRAY_STARTING,
	ARRAY_GATHERING,
	ARRAY_ACTIVE,
	ARRAY_FROZEN,     /* clients parked: size, disks or bitmap are changed */
	ARRAY_LEAVING,
	ARRAY_LOST,       /* drains, then joins anew */
	ARRAY_FAILED,     /* could not start; array_look().why says why */
	ARRAY_STATES,
};

struct array_config {
	const char *name;               /* as the person says it */
	const char *const *paths;
	size_t path_count;
	const char *cluster;
	uint32_t self;                  /* node id */
	int wanted_slot;                /* -1: any */
	bool may_start_degraded;
	uint64_t resync_min_bytes, resync_max_bytes; /* a second and disk; 0: as above */
};

/* What happened, for log, subscribers and recorder: plain data. */
enum array_event_kind {
	ARRAY_EVENT_STATE,           /* text: the new state */
	ARRAY_EVENT_MEMBER_JOINED,   /* node, slot */
	ARRAY_EVENT_MEMBER_LEFT,
	ARRAY_EVENT_MEMBER_MISSING,  /* not proven dead yet */
	ARRAY_EVENT_MEMBER_DEAD,
	ARRAY_EVENT_SLOT_RECOVERING, /* slot */
	ARRAY_EVENT_SLOT_RECOVERED,  /* slot, bytes: taken over by this node */
	ARRAY_EVENT_SUSPENDED,       /* slot, low, high; 0, 0: none any more */
	ARRAY_EVENT_RESYNC_STARTED,  /* bytes */
	ARRAY_EVENT_RESYNC_FINISHED,
	ARRAY_EVENT_CHECK_STARTED,
	ARRAY_EVENT_CHECK_FINISHED,  /* bytes: of mismatches */
	ARRAY_EVENT_MISMATCH,        /* low, high */
	ARRAY_EVENT_DISK_FAILED,     /* role, text: why; said by the node where it failed */
	ARRAY_EVENT_DEGRADED,        /* role, text: path; told by all nodes */
	/* role, low, high; bytes: of them could not be read, were written anew, can be; text: path */
	ARRAY_EVENT_DISK_CORRECTED,
	ARRAY_EVENT_GATE,            /* text: "open", "shut" */
	ARRAY_EVENT_RETRY,           /* text: what failed, and is tried again */
	/* By the node that was asked, or that copies; text of the first two: path there */
	ARRAY_EVENT_DISK_ADDED,      /* role: its dev number */
	ARRAY_EVENT_DISK_REMOVED,    /* role: its dev number */
	ARRAY_EVENT_RECOVERY_STARTED,  /* role; bytes: to be copied */
	ARRAY_EVENT_RECOVERY_FINISHED, /* role; text: "" where it is in sync, or why not */
	ARRAY_EVENT_KINDS,
};

struct array_event {
	enum array_event_kind kind;
	uint64_t at_ns;     /* of ops.now */
	const char *array;  /* name */
	bool is_ours;       /* this node is the one to report it for the whole cluster */
	uint32_t node;
	int slot;
	uint32_t role;
	uint64_t low, high; /* sectors */
	uint64_t bytes;
	const char *text;   /* "" where there is none */
};

struct array_ops {
	uint64_t (*now)(void *owner);
	void (*armed)(void *owner);  /* array_deadline() became earlier */
	void (*event)(void *owner, const struct array_event *event);
	/* This node keeps all waiting; as in msg/channel.h. */
	bool (*evict)(void *owner, uint32_t node, const char *why);
	/*
	 * array_stop(): nothing of it is in use here any more, its disks are closed. That it has
	 * left the others hear later, for the lockspace stands still (no quorum): they take
	 * it for one that is missing until then. Then stopped() comes. May be NULL.
	 */
	void (*closed_here)(void *owner);
	/* array_stop() is done: array_free() may follow, from elsewhere. */
	void (*stopped)(void *owner);
	/* The slot, to be asked for at the next start (wanted_slot). */
	void (*slot_known)(void *owner, int slot);
};

/* All but `array` itself are borrowed and outlive it. NULL with a sentence. */
struct array *array_new(const struct array_config *config, struct lockspace_engine *locks,
			struct metadata_runner *metadata, struct plane *plane,
			const struct array_ops *ops, void *owner, struct err *err);
/* DOWN, or FAILED, or behind stopped(). NULL is fine. */
void array_free(struct array *a);

void array_start(struct array *a);
/*
 * Leaves, and stopped() comes, maybe at once where nothing runs. Whether front ends have
 * clients is known to the plane (PLANE_LOOK): who minds looks there first. -EBUSY: it
 * stops already; -EINVAL: it is DOWN.
 */
int array_stop(struct array *a, struct err *err);

/*
 * Somebody else writes to its disks: as V8, and what ASSEMBLE says decides when it is back.
 * Nothing where it has not got so far as to use them.
 */
void array_give_up(struct array *a, const struct err *why);

/* This node's part of the cluster may decide (and its lease holds): the gate (D13). */
void array_set_quorate(struct array *a, bool is_quorate);
/* The ring has lost that node, or has it again: for people only (V6). */
void array_set_missing(struct array *a, uint32_t node, bool is_missing);

void array_advance(struct array *a, uint64_t now);
uint64_t array_deadline(const struct array *a); /* UINT64_MAX: never */

/* Scrub, cluster-wide, run by this node. -EBUSY: a resync or scrub runs, by whom. */
int array_check(struct array *a, bool is_repair, struct err *err);
void array_check_cancel(struct array *a);
void array_set_speed(struct array *a, uint64_t min_bytes, uint64_t max_bytes);
/* As if it had failed: mdadm --fail. -EBUSY: the last one in sync. */
int array_fail_disk(struct array *a, uint32_t role, struct err *err);

/*
 * A disk comes, or goes, on all nodes. In its owner's memory until done(). ADD: as a spare, or as
 * what it was where that can be; a role without a disk then gets it by itself. RE_ADD: only as
 * what it was. REMOVE: a spare, or one that is faulty.
 */
enum array_change_kind { ARRAY_ADD, ARRAY_ADD_SPARE, ARRAY_RE_ADD, ARRAY_REMOVE };

struct array_change {
	enum array_change_kind kind;
	const char *path;        /* of one that comes; borrowed */
	bool is_forced;          /* what it holds else is lost */
	uint32_t number;         /* dev_number: REMOVE; of one that comes: -> */
	bool is_re_added;        /* -> */
	/* 0: all nodes have it so. -ENODEV: a node does not see it, `err` says who. */
	void (*done)(void *owner, struct array_change *c, int result);
	void *owner;
	struct err err;
	struct qb_list_head link;
	uint64_t serial;         /* the recorder's own */
};
/* -EAGAIN: the array is not active. */
int array_change(struct array *a, struct array_change *c, struct err *err);
/*
 * Who asked has gone: done() does not come. What was begun goes on to its end, what was not is
 * not begun.
 */
void array_change_forget(struct array *a, struct array_change *c);

/*
 * Another size, number of disks, name or kind of bitmap, on all nodes; `grow.slot` is chosen
 * here. Clients wait meanwhile, well under a second. In its owner's memory until done().
 * -EBUSY: `err` says who is busy with what.
 */
struct array_grow {
	struct md_grow grow;
	char name[MD_NAME_BYTES + 1]; /* "": as it is */
	void (*done)(void *owner, struct array_grow *g, int result);
	void *owner;
	struct err err;
};
/* -EAGAIN: the array is not active. */
int array_grow(struct array *a, struct array_grow *g, struct err *err);
/* Who asked has gone: as array_change_forget(). */
void array_grow_forget(struct array *a, struct array_grow *g);

/* --- for people and programs that look ----------------------------------------------- */

struct array_member_look {
	uint32_t node;
	int slot;
	bool is_missing;       /* waits: proof of its death */
	bool owes_resync;
	uint64_t low, high;    /* its window; 0, 0: none */
	uint64_t since_ns;     /* missing, or in its window, since */
};

struct array_look {
	const char *name;
	enum array_state state;
	uint64_t state_since_ns;
	struct err why;              /* FAILED, and what is tried again */
	int slot;                    /* -1: none yet */
	bool is_quorate, is_gate_open, is_single_source;
	const struct metadata_view *view; /* NULL before ASSEMBLE is done */
	uint64_t degraded_since_ns;  /* 0: it is not */
	struct array_member_look members[ARRAY_MAX_NODES]; /* by slot, this node too */
	size_t member_count;
	uint64_t recovery_map;       /* slots, V2 */
	/* What this node resyncs, or checks; kind_text NULL: nothing */
	const char *kind_text;       /* "resync", "check", "repair", "recovery" */
	uint64_t total_sectors, done_sectors, mismatch_sectors;
	uint64_t began_ns, speed_bytes; /* a second, of the last windows */
	/* V6: "" or one clause: "waits: proof of death of node 3" */
	char waits[256];
	uint64_t waits_since_ns;
	bool needs_disk;             /* that is it: what is needed has nowhere to be resynced to */
};
void array_look(const struct array *a, struct array_look *look);
const char *array_state_name(enum array_state state);
const char *array_event_name(enum array_event_kind kind);
