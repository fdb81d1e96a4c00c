/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Another size, number of disks, or kind of bitmap for an array while nobody runs it.
 *
 * Such a change alters superblock and bitmap together. On each disk it is one atomic step,
 * as in relocate.h: the new bitmap is durable beside the old one before the superblock,
 * one sector, changes over to it. Between the first and the last disk the array is in
 * halves: those that changed have one event more, so nobody takes the others for newer,
 * and md_grow_finish() brings these after, from what the changed ones say alone.
 *
 * No dirty bit is lost. What an array gets beyond its old end is dirty, unless the caller
 * vouches for it.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct err;
struct md_array;

#define MD_GROW_MAX UINT64_MAX

enum md_bitmap_kind {
	MD_BITMAP_AS_IS,
	MD_BITMAP_NONE,
	MD_BITMAP_INTERNAL,  /* one slot, of whoever runs the array: version 4 */
	MD_BITMAP_CLUSTERED, /* a slot a node: version 5 */
};

struct md_grow {
	uint64_t size;            /* sectors of each member; 0: as it is; MD_GROW_MAX */
	uint32_t raid_disks;      /* raid1; 0: as it is */
	enum md_bitmap_kind bitmap;
	uint32_t nodes;           /* of a bitmap that becomes CLUSTERED */
	const char *cluster_name;
	/*
	 * Of a bitmap that becomes NONE or INTERNAL: the host that alone may have the array from
	 * then on (owner.h); "any"; NULL: nothing is said of that.
	 */
	const char *host;
	uint32_t slot;            /* whose bits cover what is new */
	bool is_assume_clean;     /* what is new is alike on all disks already */
	bool is_forced;           /* a smaller size: what lies beyond is lost */
};

/*
 * Could it be done, all of it? The array was loaded with md_array_load_halves(), and is
 * not in halves. Reads all slots; no write.
 */
int md_grow_check(const struct md_array *array, const struct md_grow *grow,
		  struct err *err);

/*
 * Does it. The array is up to date afterwards; after an error it must be loaded again,
 * finished if it is in halves, and the same command then finishes the job. Nothing is
 * written where all is so already.
 */
int md_grow_apply(struct md_array *array, const struct md_grow *grow, struct err *err);

/* Brings the members after that an interrupted change left behind (array->is_halved). */
int md_grow_finish(struct md_array *array, struct err *err);
