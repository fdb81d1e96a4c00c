/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * One slot of a bitmap in memory, and its copies on the members.
 *
 * A slot is mirrored on every member. It is read as the OR over all copies
 * that can be trusted (D12): a bit that any of them has set stays set. It is
 * written whole or by 4 KiB pages, to all copies in parallel (D12), and the
 * write returns when the bits are durable.
 *
 * The image has the layout of the disk; padding bits behind the last chunk are
 * kept as found (md says: don't care) and never counted.
 *
 * A slot that is STALE, or had a WRITE_ERROR, reads as all ones. That is true
 * in memory only: reading never writes, least of all a slot that somebody else
 * may own (B41).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bitmap/bitmap_sb.h"
#include "bitmap/geometry.h"

struct disk;
struct err;

/* A place where a whole bitmap (all slots) is kept. */
struct bitmap_copy {
	struct disk *disk;            /* borrowed */
	uint64_t start_bytes;         /* of slot 0 */
	const uint8_t *set_uuid;      /* what the slots must carry; borrowed */
};

struct bitmap_slot {
	uint32_t number;
	struct bitmap_geometry geo; /* its start_bytes has no meaning here */
	struct bitmap_sb sb;        /* of the copy with the highest events; of all
				     * copies the states, and the highest
				     * events_cleared */
	uint8_t *image;             /* geo.slot_bytes, 4 KiB aligned; owned */
	uint8_t *bits;              /* image + 256 */
};

/* An empty slot: all bits clear, superblock zeroed. */
int bitmap_slot_init(struct bitmap_slot *slot, const struct bitmap_geometry *geo,
		     uint32_t number, struct err *err);
void bitmap_slot_fini(struct bitmap_slot *slot); /* twice is fine */

/*
 * Fills an initialised slot from its copies. Strictly: all must be sound, as is
 * due before the slot is written back over them. Else a copy that cannot be
 * read, or whose superblock is no good, is skipped with a warning as long as
 * one is sound. The error names the disk.
 */
int bitmap_slot_load(struct bitmap_slot *slot, const struct bitmap_copy *copies,
		     size_t count, bool is_strict, struct err *err);

/*
 * Adds another copy to a slot that is loaded: the OR of both, and the strictest of their
 * superblocks. After an error bits of it may stay.
 */
int bitmap_slot_add(struct bitmap_slot *slot, const struct bitmap_copy *copy,
		    struct err *err);

/* Chunks that must be taken for dirty, and bytes of the array they cover. */
uint64_t bitmap_slot_dirty_chunks(const struct bitmap_slot *slot);
uint64_t bitmap_slot_dirty_bytes(const struct bitmap_slot *slot);

/* Every chunk dirty, or none: also leaves the padding at ones, or zeroes. */
void bitmap_slot_fill(struct bitmap_slot *slot, bool is_dirty);

/*
 * Writes pages [first, first + count) with the superblock of slot->sb to all
 * copies and returns when they are durable everywhere; on an error some copies
 * may have some pages.
 */
int bitmap_slot_store_pages(struct bitmap_slot *slot, uint32_t first,
			    uint32_t count, const struct bitmap_copy *copies,
			    size_t copies_count, struct err *err);
int bitmap_slot_store(struct bitmap_slot *slot, const struct bitmap_copy *copies,
		      size_t copies_count, struct err *err);

/*
 * Moves all dirty bits of `from` into `into`, on disk (D3): the bits are
 * durable in `into` before the first one is cleared in `from`, and cleared
 * durably before this returns. The caller owns both slots.
 */
int bitmap_slot_merge(struct bitmap_slot *from, struct bitmap_slot *into,
		      const struct bitmap_copy *copies, size_t copies_count,
		      struct err *err);
