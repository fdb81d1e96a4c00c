/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The simulated array as one who knows md's format sees it on the disks, without our own
 * mirror: which sectors hold what, which bits are set, who is in sync.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "bitmap/geometry.h"
#include "tests/sim/sim_disks.h"

struct sim_world;

struct layout {
	const struct sim_disks *disks; /* disk i is role i at first; then come those to be added */
	int disk_count, raid_disks;
	struct layout_roles *roles;    /* as the superblocks have them: looked up anew by itself */
	int32_t level;
	uint32_t near_copies, unit_sectors; /* raid10; raid1: as many as disks, and all */
	uint64_t data_offset, member_sectors, array_sectors;
	struct bitmap_geometry geo;
	uint32_t chunk_sectors;             /* of the bitmap */
};

/* Who has which role: of the freshest superblock, and of those that are not stale. */
struct layout_roles {
	int disk[SIM_MAX_DISKS];          /* by role; -1: none */
	int role[SIM_MAX_DISKS];          /* by disk; -1: none */
	bool is_in_sync[SIM_MAX_DISKS];   /* by disk */
	uint64_t seen[SIM_MAX_DISKS][2];  /* what of each superblock it rests on */
};

struct layout_copy {
	int disk;
	uint64_t offset_bytes;
};

struct layout_params {
	bool is_raid10;
	int disk_count, spare_count;
	uint32_t chunk_bytes, unit_sectors;
	uint64_t member_sectors;
	uint32_t nodes;
	bool is_assume_clean;
};

/* How large a disk must be. */
uint64_t layout_disk_bytes(const struct layout_params *p);
/* Makes the array; before the world begins. */
void layout_create(struct layout *l, const struct layout_params *p,
		   const struct sim_disks *disks);

void layout_fini(struct layout *l);
const struct layout_roles *layout_look(const struct layout *l);

/* Where an array sector is; returns how many copies there are: roles without a disk have none. */
int layout_copies(const struct layout *l, uint64_t sector,
		  struct layout_copy copies[SIM_MAX_DISKS]);
/*
 * The array sector at this byte of a disk, and how many follow it in both; false: it is
 * no data.
 */
bool layout_array_sector(const struct layout *l, int disk, uint64_t offset_bytes,
			 uint64_t *sector, uint64_t *run_sectors);

bool layout_is_set(const struct layout *l, int disk, uint32_t slot, uint64_t chunk);
/* In any slot, on any disk that is in sync. */
bool layout_is_marked(const struct layout *l, const bool in_sync[SIM_MAX_DISKS],
		      uint64_t chunk);
/* As the freshest superblock says; how many. */
int layout_in_sync(const struct layout *l, bool in_sync[SIM_MAX_DISKS]);
/* The chunk has the same bytes on all disks that are in sync. */
bool layout_is_equal(const struct layout *l, const bool in_sync[SIM_MAX_DISKS],
		     uint64_t chunk, uint64_t *differs_at);
