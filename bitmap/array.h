/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The members of one array, seen together: do they agree, who is freshest, who
 * is in sync, and which copies of the bitmap may be believed.
 *
 * Offline view: nothing here knows of other nodes. Disks are borrowed.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bitmap/member.h"

struct disk;
struct err;

/* What a copy of a slot that cannot be read, or is damaged, means. */
enum md_slot_policy {
	MD_SLOTS_BEST,   /* the other copies count: to look at */
	MD_SLOTS_STRICT, /* an error: before the slot is written */
	MD_SLOTS_DIRTY,  /* every chunk of the slot counts as dirty */
};

struct md_array {
	enum md_slot_policy policy; /* MD_SLOTS_BEST after loading */
	struct md_member *members; /* in the order given; owned */
	size_t count;
	size_t freshest;           /* index: highest events among non-spares; of two, who
				    * says that the other one failed */
	bool is_halved;            /* md_grow_finish() comes first; never by md_array_load() */
};

/*
 * Loads all members, with their bitmaps, and checks that they belong together:
 * same set_uuid, level, layout, chunksize, size, raid_disks and ctime, no
 * device twice, slots of one size that have room on all of them. The error
 * names the disk and the field. Nothing is written.
 *
 * geo.nodes of all members is the largest node count that one of them promises;
 * bitmap.nodes is what each says itself.
 *
 * other_uuid, if not NULL, is accepted beside one other set_uuid: an interrupted
 * change of uuid leaves members with the old and with the new one. They must
 * then agree in name, cluster, roles and events, too.
 */
int md_array_load(struct md_array *array, struct disk *const *disks,
		  size_t count, const uint8_t *other_uuid, struct err *err);
/*
 * The same, for arrays with a plain bitmap or none, too; and where a change of size, disks
 * or bitmap was interrupted, is_halved: some members are as the freshest is, the others
 * one event behind, with a size and a bitmap of their own. Then nothing but
 * md_grow_finish() may be done with it.
 */
int md_array_load_halves(struct md_array *array, struct disk *const *disks,
			 size_t count, struct err *err);
/* Does the member have size, raid_disks and bitmap of the freshest? */
bool md_array_is_like_freshest(const struct md_array *array,
			       const struct md_member *member);
void md_array_fini(struct md_array *array); /* twice is fine */

const struct md_member *md_array_freshest(const struct md_array *array);

/* What the freshest superblock says of this member. */
uint16_t md_array_role(const struct md_array *array,
		       const struct md_member *member);

/* More than one update behind: its bitmap and its data are out of date. */
bool md_array_is_stale(const struct md_array *array,
		       const struct md_member *member);

/* Has an active role, by its own superblock too, is not stale, and is not being rebuilt. */
bool md_array_is_in_sync(const struct md_array *array,
			 const struct md_member *member);

/* Active roles (0..raid_disks-1) that no loaded member has. */
uint32_t md_array_missing(const struct md_array *array);

/*
 * The copies of the bitmap, into an array of array->count entries; returns how
 * many. `only_in_sync`: those to read (D12); else all, to write.
 */
size_t md_array_copies(const struct md_array *array, bool only_in_sync,
		       struct bitmap_copy *copies);

/*
 * Loads one slot as the OR over the in-sync members, by array->policy.
 * Initialises *slot; the caller ends it with bitmap_slot_fini(), also after an
 * error.
 */
int md_array_load_slot(const struct md_array *array, uint32_t number,
		       struct bitmap_slot *slot, struct err *err);
