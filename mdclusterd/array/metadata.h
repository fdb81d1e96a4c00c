/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What an array's cluster side does to superblocks and to slots that are not its own:
 * work that waits for disks, done one request after the other by a thread of its own
 * (daemon), or a fiber of the simulator. metadata_run() is that work; it blocks.
 *
 * Who may ask for what: ASSEMBLE and RELOAD anybody; what writes superblocks, with TOKEN
 * held; what writes a slot, with PW on it. Own slot's pages belong to the intent, and are
 * never written here but by ACTIVATE, before there is one.
 *
 * The rules: D3 (CLEAR comes after the bits are durable elsewhere), D11 (ACTIVATE), D12
 * (a slot is the OR over in-sync members), B41 (a stale slot of others reads as ones, and
 * is not written for that), section 1.7 (events; a faulty member is not written any more).
 *
 * A disk is a candidate from PREPARE or FIND until superblocks make it a spare or give it a
 * role: it is in no view. There is one at a time, for TOKEN is held all that while.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include <qb/qblist.h>

#include "base/err.h"
#include "bitmap/geometry.h"
#include "bitmap/md_sb.h"
#include "bitmap/slot.h"

struct disk;
struct md_grow;
struct metadata;

enum { METADATA_MAX_DISKS = 32 };
#define METADATA_NO_ROLE UINT32_MAX

/* What the superblocks say, one disk. */
enum metadata_disk_state {
	METADATA_DISK_MISSING, /* a role that no disk here has */
	METADATA_DISK_FAULTY,
	METADATA_DISK_SPARE,
	METADATA_DISK_REBUILD, /* active, in sync below recovery_offset */
	METADATA_DISK_IN_SYNC,
	METADATA_DISK_STALE,   /* was active, its events lag: not used */
};

struct metadata_disk {
	char path[256];            /* "" where it is missing */
	enum metadata_disk_state state;
	uint32_t role;             /* raid_disks and above: spares, faulty ones */
	uint32_t dev_number;
	uint8_t device_uuid[16];
	uint64_t data_offset;      /* sectors */
	uint64_t recovery_offset;  /* sectors */
	bool is_by_bitmap;         /* REBUILD: only what some slot's bits cover is not there */
	/*
	 * MISSING: others use it (dev_number), and this node does not see it. Who runs the array and
	 * does not write to it must not let others believe that it does.
	 */
	bool is_elsewhere;
	uint64_t bitmap_start_bytes; /* of slot 0 */
};

/* The array as its superblocks have it: plain data, for everybody. */
struct metadata_view {
	uint8_t uuid[16];
	char name[MD_NAME_BYTES + 1];
	char cluster[64];
	int32_t level;
	uint32_t layout, chunk_sectors, raid_disks;
	uint64_t member_sectors, sync_size, array_sectors;
	uint64_t events, resync_offset;
	uint64_t created_s, updated_s; /* for people alone: not recorded */
	uint32_t degraded;             /* roles without a disk in sync */
	struct bitmap_geometry geo;
	struct metadata_disk disks[METADATA_MAX_DISKS]; /* roles first, in order */
	uint32_t disk_count;
};

enum metadata_op {
	/*
	 * Opens the disks, and judges: members of one array, clustered, of this cluster,
	 * of a kind that is served; enough of them. -> view
	 */
	METADATA_ASSEMBLE,
	METADATA_RELOAD,     /* superblocks anew, from the disks that are open -> view */
	/*
	 * The array goes into use: resync_offset becomes 0 (D11). Where it was all-ones
	 * the bits meant nothing, and are cleared first; below any other value they are
	 * kept, for who wrote it may have set some since. Roles that no disk here has,
	 * or a stale one, become faulty: what is written from now on they miss. With
	 * TOKEN. Nothing is written where all that is so already. -> view
	 */
	METADATA_ACTIVATE,
	METADATA_READ_SLOT,  /* slot -> bits, dirty; -EIO: -> role */
	/* The bits of `bits` are cleared in `slot`, durably; others stay. -EIO: -> role */
	METADATA_CLEAR_SLOT,
	/*
	 * `role` is faulty: roles of all others say so, events + 1. With TOKEN. Nothing where
	 * it is so already. -EBUSY: the last one in sync of its set. -> view
	 */
	METADATA_FAIL,
	/*
	 * Of a disk that comes, in this order; all but FIND with TOKEN. PREPARE: the disk at `path`
	 * gets a superblock of this array as a spare of it, and a bitmap area with all its slots
	 * empty, and is open here from then on -> number, device_uuid. Of a former member whose
	 * bits were kept all the time (its events are not behind any slot's events_cleared) nothing
	 * is written -> is_re_add; not with is_spare. is_re_add: only that: else -ESTALE. -EEXIST:
	 * it is in use here; -ENOSPC: too small; -EBUSY: it holds something else, unless
	 * is_forced; -EINVAL: its blocks are larger than the array's.
	 */
	METADATA_PREPARE,
	/*
	 * The disk of device_uuid is open here from now on -> number. -ENODEV: this node does not
	 * see it; -EEXIST: another one here has its number.
	 */
	METADATA_FIND,
	METADATA_ADD,        /* `number` is a spare in all superblocks, events + 1 -> view */
	METADATA_UNPREPARE,  /* what PREPARE wrote goes, and it is closed. -EBUSY: it was ADDed */
	/*
	 * `number`, a spare, gets `role`; or, is_re_add, the former member that was PREPAREd its
	 * old one (-> role). All slots are copied to it first (D10), durably; then the superblocks:
	 * RECOVERY_OFFSET 0, of a re-add with RECOVERY_BITMAP; events + 1 -> view. -EALREADY: the
	 * role has a disk by now. -EIO: a spare that did not take it is faulty from then on.
	 * -ESTALE: bits of what it missed were cleared since.
	 */
	METADATA_REBUILD,
	/*
	 * recovery_offset of role's disk becomes `position`, in its superblock alone; it never
	 * goes back. With TOKEN.
	 */
	METADATA_PROGRESS,
	/*
	 * role's disk holds all that the others do: of `slots`, which nobody has, its copies are
	 * made equal to the others' first (D10). Events + 1. With TOKEN -> view
	 */
	METADATA_IN_SYNC,
	/* `number`, a spare or faulty, belongs to the array no more. With TOKEN. -EBUSY -> view */
	METADATA_REMOVE,
	METADATA_FORGET,     /* `number` is closed here; nothing is written -> view */
	/*
	 * Size, number of disks, name, or the kind of bitmap, as `grow` and `name` say; events + 1.
	 * With TOKEN, and while no node has a plane (array_freeze.c): the slots move. What a cut
	 * leaves in halves is finished by the next ACTIVATE. -EBUSY: a disk is rebuilt -> view
	 */
	METADATA_CHANGE,
	METADATA_CLOSE,
	METADATA_OPS,
};

struct metadata_request {
	enum metadata_op op;
	/* ASSEMBLE; borrowed until done(). Paths of block devices or files. */
	const char *const *paths;
	size_t path_count;
	const char *cluster;       /* ASSEMBLE: NULL: any */
	bool may_start_degraded;   /* ASSEMBLE: else all roles must be there */
	uint32_t slot;
	/* READ: made and owned by the asker from done() on; CLEAR: its own. bits_bytes(). */
	uint8_t *bits;
	uint64_t dirty;            /* READ: chunks */
	const char *path;          /* PREPARE; borrowed until done() */
	bool is_forced, is_re_add; /* PREPARE: is_re_add -> */
	bool is_spare;             /* PREPARE: not as what it was */
	uint32_t number;           /* dev_number */
	uint8_t device_uuid[16];   /* FIND; PREPARE -> */
	uint64_t position;         /* PROGRESS: sectors of the member's data */
	uint64_t slots;            /* IN_SYNC: bits */
	/* CHANGE; borrowed until done(). */
	const struct md_grow *grow;
	const char *name;          /* NULL: as it is */
	/*
	 * FAIL, REBUILD, PROGRESS, IN_SYNC: whose. READ, CLEAR: who failed; METADATA_NO_ROLE:
	 * nobody by name.
	 */
	uint32_t role;
	struct metadata_view *view; /* the asker's memory; written where the op says so */

	void (*done)(void *owner, struct metadata_request *req, int result);
	void *owner;
	struct err err;            /* where result is not 0: names the disk */
	struct qb_list_head link;  /* who runs it */
};

/* What the metadata are given; all of it may block, and is called from metadata_run() alone. */
struct metadata_ops {
	/* disk_aio_open() in DISK_SHARED mode, or the simulator's. */
	struct disk *(*open)(void *owner, const char *path, struct err *err);
	/*
	 * Paths (malloc'd) of this node's disks that are members of that array; at most `room`.
	 * A disk that hangs holds it up for some seconds at most.
	 */
	size_t (*find)(void *owner, const uint8_t set_uuid[16], char **paths, size_t room);
	/*
	 * The disk shall be the array's, and was (is_member) or was not: -EBUSY with a sentence
	 * where it holds something else; is_forced: that is not found any more.
	 */
	int (*claim)(void *owner, struct disk *disk, bool is_member, bool is_forced,
		     struct err *err);
	void (*random)(void *owner, void *to, size_t bytes);
	/*
	 * This host's name, to stand on disks that leave the cluster (bitmap/owner.h); it stays
	 * where it is. May be NULL: no disk says whose it is.
	 */
	int (*host)(void *owner, const char **host, struct err *err);
};

/* The request's view is written, where it went well. */
bool metadata_gives_view(enum metadata_op op);

struct metadata *metadata_new(const struct metadata_ops *ops, void *owner);
void metadata_free(struct metadata *md); /* closes the disks; NULL is fine */
/* Does it; blocks; calls no done(). Returns the result, with req->err. */
int metadata_run(struct metadata *md, struct metadata_request *req);

/* Is each place of the array on one of the disks that are in sync? But for `without`. */
bool metadata_is_enough(const struct metadata_view *view, uint32_t without);

/*
 * What the array is given: done() is called from its own thread, never within submit(). While
 * this node's lease is over what writes is refused, -ESHUTDOWN, as the plane's gate does (D13).
 */
struct metadata_runner {
	void (*submit)(struct metadata_runner *runner, struct metadata_request *req);
};
