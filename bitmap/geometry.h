/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Where the bits are: chunks, slots, pages and their place on a member.
 *
 *	bits        = ceil(sync_size / chunk)
 *	slot_bytes  = roundup(256 + ceil(bits / 8), 4096)
 *	slot n      starts at (super_offset + bitmap_offset) * 512 + n * slot_bytes
 *	bit c       of a slot is at byte 256 + c/8, bit c%8, LSB first
 *
 * The 256-byte bitmap superblock is inside the slot's first page, so page 0
 * holds 30720 bits and each later page 32768. (kernel md-bitmap.c, mdadm
 * super1.c calc_bitmap_size(); B27 was a rounding down here.)
 *
 * Also the choices that mdadm makes at create: data offset and bitmap chunk.
 * Pure: no I/O, no allocation.
 */
#pragma once

#include <stdint.h>

struct err;
struct md_sb;

enum {
	BITMAP_PAGE_BYTES = 4096,
	BITMAP_OFFSET_SECTORS = 8, /* where create puts slot 0, from the superblock */
	BITMAP_MIN_CREATE_CHUNK = 4096, /* kernel: sub-page chunks do not work */
};

/* Above this many chunks a bitmap is taken for damage: 512 MiB a slot. */
#define BITMAP_MAX_CHUNKS (1ull << 32)

struct bitmap_geometry {
	uint64_t sync_size;    /* sectors */
	uint32_t chunk_bytes;
	uint64_t chunks;       /* bits a slot */
	uint64_t slot_bytes;   /* stride, multiple of 4096 */
	uint32_t slot_pages;
	uint64_t start_bytes;  /* of slot 0 on the member */
	uint32_t nodes;        /* slots */
};

/*
 * start_sector is super_offset + bitmap_offset of the member. -EBADMSG if the
 * numbers describe no possible bitmap.
 */
int bitmap_geometry_init(struct bitmap_geometry *geo, uint64_t sync_size,
			 uint32_t chunk_bytes, uint32_t nodes,
			 uint64_t start_sector, struct err *err);

/* Slots there are: a plain bitmap (nodes 0) has one. */
uint32_t bitmap_slots(const struct bitmap_geometry *geo);

uint64_t bitmap_slot_offset_bytes(const struct bitmap_geometry *geo,
				  uint32_t slot);

/* First byte behind the last slot. */
uint64_t bitmap_end_bytes(const struct bitmap_geometry *geo);

/* Page of the slot (0..slot_pages-1) that holds the bit of `chunk`. */
uint32_t bitmap_page_of_chunk(uint64_t chunk);

/* Bytes of the array that `dirty` chunks cover; the last chunk may be short. */
uint64_t bitmap_dirty_bytes(const struct bitmap_geometry *geo, uint64_t dirty,
			    int is_last_dirty);

/* The largest node count for which the slots end before limit_bytes. */
uint64_t bitmap_max_nodes(const struct bitmap_geometry *geo,
			  uint64_t limit_bytes);

/*
 * The data offset that mdadm chooses for a 1.2 array whose first disk has
 * disk_sectors. raid_chunk_sectors is 0 for raid1.
 */
uint64_t bitmap_default_data_offset(uint64_t disk_sectors,
				    uint32_t raid_chunk_sectors);

/*
 * The bitmap chunk that mdadm chooses for members of component_size sectors
 * and a bitmap over sync_size sectors: 64 MiB, or more if the bits would not
 * fit the room that it sets aside for one slot.
 */
uint32_t bitmap_default_chunk_bytes(uint64_t component_size, uint64_t sync_size);
