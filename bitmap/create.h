/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Creating a clustered array: first a plan (pure arithmetic, may be printed
 * and refused), then its execution on the disks.
 *
 * The geometry is the one that mdadm would choose, but for two things that it
 * cannot do: a bitmap chunk smaller than mdadm's own limit is accepted as long
 * as the slots fit, and with assume_clean slot 0 starts empty instead of full
 * (D11: resync_offset is all-ones only while all slots are zero).
 *
 * Crash safety, per disk and at every instant: a disk has its old superblock
 * (or none), or the new one with all its slots already durable. If the old one
 * belongs to a 1.2 array, its bitmap stays whole as long as it is the one that
 * counts; where there is no room for both, create refuses. Disks change over
 * one by one, one of each mirror pair first, so that of two arrays of one kind
 * one can always be started.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bitmap/bitmap_sb.h"
#include "bitmap/geometry.h"
#include "bitmap/md_sb.h"

struct disk;
struct err;

/* What is asked for. Zero means: choose. */
struct md_create_params {
	int level;                   /* MD_LEVEL_RAID1 or MD_LEVEL_RAID10 */
	uint32_t near_copies;        /* raid10: 2.. ; default 2 */
	uint32_t raid_disks;
	uint32_t spare_disks;
	uint32_t chunk_sectors;      /* raid10; default 512 KiB */
	uint64_t size_sectors;       /* of each member; default: all there is */
	uint64_t data_offset_sectors;
	uint32_t bitmap_chunk_bytes;
	uint32_t daemon_sleep_s;     /* default 5 */
	uint32_t nodes;              /* 2..64; default 4 */
	const char *cluster_name;    /* required */
	const char *name;            /* required: "host:name" or "name" */
	const uint8_t *uuid;         /* NULL: a random one */
	bool is_assume_clean;
	uint64_t now_s;              /* for ctime */
	uint32_t now_us;             /* its microseconds */
};

/*
 * What will be written. Entry i of the disks has dev_number i; the first
 * raid_disks of them are active, the rest spares.
 */
struct md_create_plan {
	struct md_sb sb;             /* common to all members */
	struct bitmap_sb bitmap;     /* common to all slots */
	struct bitmap_geometry geo;
	uint64_t smallest_sectors;   /* room for data on the smallest disk ... */
	uint64_t largest_sectors;    /* ... and on the largest */
};

enum {
	MD_DEFAULT_NODES = 4,
	MD_DEFAULT_DAEMON_SLEEP_S = 5,
	MD_DEFAULT_CHUNK_SECTORS = 1024,
	MD_DEFAULT_NEAR_COPIES = 2,
};

/*
 * disk_sectors[i] is the size of disk i, 0 for one that is missing; names[i]
 * names it in errors. count == raid_disks + spare_disks. The refusal for want
 * of room names the largest number of nodes that fits.
 */
int md_create_make_plan(const struct md_create_params *params,
			const uint64_t *disk_sectors, const char *const *names,
			size_t count, struct md_create_plan *plan,
			struct err *err);

/* Told now and then how far the writing has come; may be NULL. */
struct md_progress {
	void (*step)(struct md_progress *progress, uint64_t done, uint64_t total);
};

/*
 * Carries the plan out. disks[i] is NULL for a missing one. What the disks
 * held before, other than a 1.2 array, is not looked at: the caller asked
 * md_discover_contents() and erased what else they held.
 */
int md_create_execute(const struct md_create_plan *plan,
		      struct disk *const *disks, size_t count,
		      struct md_progress *progress, struct err *err);
