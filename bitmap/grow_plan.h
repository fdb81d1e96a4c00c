/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What md_grow makes of an array: the superblock and the bitmap that all members get, and
 * where on each of them that bitmap goes first. Reads slots; writes nothing.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "bitmap/bitmap_sb.h"
#include "bitmap/geometry.h"
#include "bitmap/md_sb.h"
#include "bitmap/owner.h"

struct err;
struct md_array;
struct md_grow;
struct md_member;

#define MD_GROW_STAYS UINT64_MAX /* in place[]: the bitmap of this member does not move */

struct md_grow_plan {
	/* Of `sb` these count: set_name, size, raid_disks, feature_map's two bits of the bitmap, roles,
	 * resync_offset, events. */
	struct md_sb sb;
	bool is_change;
	bool is_marked;              /* its owner's mark, to all members, before all else */
	struct md_owner owner;
	bool has_bitmap;
	bool is_new_bitmap;          /* its slots are written, to place[] */
	struct bitmap_sb bitmap;
	struct bitmap_geometry geo;
	bool is_emptied;             /* the old bits mean nothing (D11) */
	uint64_t first_new, end_new; /* chunks that are dirty in `slot`, besides */
	uint32_t slot;
	uint64_t *place;             /* bytes, by member; owned */
};

int md_grow_plan_make(const struct md_array *array, const struct md_grow *grow,
		      struct md_grow_plan *plan, struct err *err);
/* The rest of an interrupted change: all shall be as the freshest is. */
int md_grow_plan_rest(const struct md_array *array, struct md_grow_plan *plan,
		      struct err *err);
/* Its bad block log holds nothing, and clustered arrays have none. */
bool md_grow_drops_log(const struct md_grow_plan *plan, const struct md_sb *sb);
void md_grow_plan_fini(struct md_grow_plan *plan); /* twice is fine */
