/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "bitmap/geometry.h"

#include <errno.h>
#include <inttypes.h>

#include "base/arith.h"
#include "base/err.h"
#include "bitmap/bitmap_sb.h"
#include "bitmap/md_sb.h"

#define SECTORS_PER_MIB (2048ull)
#define SECTORS_PER_GIB (2048ull << 10)

int bitmap_geometry_init(struct bitmap_geometry *geo, uint64_t sync_size,
			 uint32_t chunk_bytes, uint32_t nodes,
			 uint64_t start_sector, struct err *err)
{
	uint64_t chunk_sectors = chunk_bytes / SECTOR_BYTES;

	if (chunk_sectors == 0 || !is_power_of_two(chunk_bytes))
		return err_set(err, -EBADMSG,
			       "bitmap chunksize %u is not a power of two of at least 512",
			       chunk_bytes);
	geo->sync_size = sync_size;
	geo->chunk_bytes = chunk_bytes;
	geo->chunks = div_round_up(sync_size, chunk_sectors);
	if (geo->chunks == 0 || geo->chunks > BITMAP_MAX_CHUNKS)
		return err_set(err, -EBADMSG,
			       "bitmap sync_size %" PRIu64
			       " with chunksize %u makes %" PRIu64
			       " chunks (1..%llu are possible)",
			       sync_size, chunk_bytes, geo->chunks,
			       BITMAP_MAX_CHUNKS);
	geo->slot_bytes = round_up(BITMAP_SB_BYTES + div_round_up(geo->chunks, 8),
				   BITMAP_PAGE_BYTES);
	geo->slot_pages = (uint32_t)(geo->slot_bytes / BITMAP_PAGE_BYTES);
	geo->start_bytes = start_sector * SECTOR_BYTES;
	geo->nodes = nodes;
	return 0;
}

uint64_t bitmap_slot_offset_bytes(const struct bitmap_geometry *geo,
				  uint32_t slot)
{
	return geo->start_bytes + slot * geo->slot_bytes;
}

uint32_t bitmap_slots(const struct bitmap_geometry *geo)
{
	return geo->nodes ? geo->nodes : 1;
}

uint64_t bitmap_end_bytes(const struct bitmap_geometry *geo)
{
	return bitmap_slot_offset_bytes(geo, bitmap_slots(geo));
}

uint32_t bitmap_page_of_chunk(uint64_t chunk)
{
	return (uint32_t)((BITMAP_SB_BYTES + chunk / 8) / BITMAP_PAGE_BYTES);
}

uint64_t bitmap_dirty_bytes(const struct bitmap_geometry *geo, uint64_t dirty,
			    int is_last_dirty)
{
	uint64_t covered = geo->chunks * geo->chunk_bytes;
	uint64_t beyond_end = covered - geo->sync_size * SECTOR_BYTES;

	return dirty * geo->chunk_bytes - (is_last_dirty ? beyond_end : 0);
}

uint64_t bitmap_max_nodes(const struct bitmap_geometry *geo, uint64_t limit_bytes)
{
	if (limit_bytes < geo->start_bytes)
		return 0;
	return (limit_bytes - geo->start_bytes) / geo->slot_bytes;
}

/*
 * Room that mdadm sets aside for the bitmap (one slot), in sectors; its
 * thresholds are 64 KiB and 4 KiB past the round numbers (choose_bm_space).
 */
static uint64_t bitmap_room(uint64_t disk_sectors)
{
	if (disk_sectors < 128)
		return 0;
	if (disk_sectors - 128 >= 200 * SECTORS_PER_GIB)
		return 256;
	if (disk_sectors - 8 > 8 * SECTORS_PER_GIB)
		return 128;
	return 8;
}

uint64_t bitmap_default_data_offset(uint64_t disk_sectors,
				    uint32_t raid_chunk_sectors)
{
	uint64_t headroom = 128 * SECTORS_PER_MIB;

	/*
	 * Headroom for a later reshape: at most 128 MiB, about 0.1 % of the
	 * disk, and never less than two chunks (mdadm validate_geometry1).
	 */
	while (headroom << 10 > disk_sectors &&
	       (raid_chunk_sectors == 0 ||
		headroom / 2 >= 2 * (uint64_t)raid_chunk_sectors))
		headroom >>= 1;
	return round_up(24 + bitmap_room(disk_sectors) + headroom,
			SECTORS_PER_MIB);
}

uint32_t bitmap_default_chunk_bytes(uint64_t component_size, uint64_t sync_size)
{
	uint64_t room_bytes = bitmap_room(component_size) * SECTOR_BYTES;
	uint64_t max_bits = room_bytes < BITMAP_SB_BYTES ?
				    8 :
				    (room_bytes - BITMAP_SB_BYTES) * 8;
	uint64_t chunk = BITMAP_MIN_CREATE_CHUNK;
	uint64_t bits = sync_size / (chunk / SECTOR_BYTES) + 1;

	/* mdadm add_internal_bitmap1; its rounding included */
	while (bits > max_bits && chunk < 1ull << 31) {
		chunk *= 2;
		bits = (bits + 1) / 2;
	}
	return (uint32_t)max_u64(chunk, 64ull << 20);
}
