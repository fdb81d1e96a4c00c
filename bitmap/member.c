/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "bitmap/member.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/arith.h"
#include "base/err.h"
#include "bitmap/disk.h"

static bool is_younger(const struct md_sb *a, const struct md_sb *b)
{
	return (a->ctime & MD_SB_SECONDS) > (b->ctime & MD_SB_SECONDS);
}

static int load_at(struct md_member *member, enum md_minor minor,
		   struct err *err)
{
	uint64_t sectors = disk_sectors(member->disk);
	uint64_t at = md_sb_location(minor, sectors);
	int r;

	member->minor = minor;
	r = disk_read_wait(member->disk, at * SECTOR_BYTES, member->block,
			   MD_SB_BYTES, err);
	if (r < 0)
		return r;
	r = md_sb_parse(member->block, at, sectors, &member->sb, err);
	if (r < 0)
		err_prefix(err, "%s", member->disk->name);
	return r;
}

/* Keeps the better of two attempts: sound before damaged before absent. */
static bool is_better(int new_code, const struct md_sb *new_sb, int old_code,
		      const struct md_sb *old_sb)
{
	if (old_code == 0)
		return new_code == 0 && is_younger(new_sb, old_sb);
	return new_code == 0 || (old_code == -ENOENT && new_code != -ENOENT);
}

/* Nobody shall be told that there is nothing where mdadm finds an array. */
static int look_for_old(struct disk *disk, struct err *err)
{
	uint64_t at = md_sb_old_location(disk_sectors(disk));
	uint8_t *block = at ? disk_buffer_new(MD_SB_BYTES) : NULL;
	struct err ignored = ERR_INIT;
	bool is_old;

	is_old = block && disk_read_wait(disk, at * SECTOR_BYTES, block, MD_SB_BYTES,
					 &ignored) == 0 && md_sb_is_old(block);
	free(block);
	if (!is_old)
		return err_set(err, -ENOENT, "%s: no md superblock found", disk->name);
	return err_set(err, -EOPNOTSUPP,
		       "%s: its md superblock has version 0.90, which is mdadm's alone: clustered arrays need metadata 1.2, and nothing converts them; create a new array and copy its data",
		       disk->name);
}

int md_member_load(struct md_member *member, struct disk *disk, struct err *err)
{
	static const enum md_minor order[] = { MD_MINOR_2, MD_MINOR_1, MD_MINOR_0 };
	struct md_member best = { .disk = disk };
	struct err best_err = ERR_INIT;
	size_t i;

	memset(member, 0, sizeof(*member));
	member->disk = disk;
	if (disk_sectors(disk) < MD_MIN_DISK_SECTORS)
		return err_set(err, -ENOENT,
			       "%s: %" PRIu64
			       " sectors are too few for an md superblock (at least %d)",
			       disk->name, disk_sectors(disk),
			       MD_MIN_DISK_SECTORS);
	for (i = 0; i < ARRAY_SIZE(order); i++) {
		struct md_member found = { .disk = disk };
		struct err found_err = ERR_INIT;

		found.block = disk_buffer_new(MD_SB_BYTES);
		if (!found.block) {
			md_member_fini(&best);
			return err_nomem(err, "a superblock");
		}
		load_at(&found, order[i], &found_err);
		if (i == 0 || is_better(found_err.code, &found.sb, best_err.code,
					&best.sb)) {
			md_member_fini(&best);
			best = found;
			best_err = found_err;
		} else {
			md_member_fini(&found);
		}
	}
	*member = best;
	if (best_err.code == -ENOENT)
		return look_for_old(disk, err);
	if (best_err.code < 0)
		return err_set(err, best_err.code, "%s", best_err.text);
	return 0;
}

void md_member_fini(struct md_member *member)
{
	free(member->block);
	member->block = NULL;
}

static bool overlaps(uint64_t a_start, uint64_t a_end, uint64_t b_start,
		     uint64_t b_end)
{
	return a_start < b_end && b_start < a_end;
}

int md_member_check_area(const struct md_member *member, uint32_t nodes,
			 struct err *err)
{
	const struct md_sb *sb = &member->sb;
	uint64_t start = member->geo.start_bytes;
	/* a plain bitmap (nodes 0) has one slot */
	uint64_t end = start + (nodes ? nodes : 1) * member->geo.slot_bytes;
	uint64_t sb_start = sb->super_offset * SECTOR_BYTES;
	uint64_t sb_end = sb_start + MD_SB_HEADER_BYTES + 2 * sb->max_dev;
	uint64_t data_start = sb->data_offset * SECTOR_BYTES;
	uint64_t bblog_start = (uint64_t)((int64_t)sb->super_offset +
					  sb->bblog_offset) * SECTOR_BYTES;

	if (end > member->disk->size_bytes)
		return err_set(err, -EBADMSG,
			       "bitmap nodes: %u slots of %" PRIu64
			       " bytes run past the end of the disk",
			       nodes, member->geo.slot_bytes);
	if (overlaps(start, end, data_start,
		     data_start + sb->data_size * SECTOR_BYTES))
		return err_set(err, -EBADMSG,
			       "bitmap nodes: the slot area (%u slots of %" PRIu64
			       " bytes from byte %" PRIu64
			       ") runs into the data at data_offset %" PRIu64
			       " sectors",
			       nodes, member->geo.slot_bytes, start,
			       sb->data_offset);
	if (overlaps(start, end, sb_start, sb_end))
		return err_set(err, -EBADMSG,
			       "bitmap_offset %d puts the bitmap over the superblock",
			       sb->bitmap_offset);
	if (sb->bblog_size && sb->bblog_offset &&
	    overlaps(start, end, bblog_start,
		     bblog_start + sb->bblog_size * SECTOR_BYTES))
		return err_set(err, -EBADMSG,
			       "bblog_offset %d puts the bad block log over the bitmap",
			       sb->bblog_offset);
	return 0;
}

/* The largest bitmap that the geometry of the array can call for. */
static uint64_t sync_size_limit(const struct md_sb *sb)
{
	uint32_t copies = md_sb_near_copies(sb);

	if (sb->level != MD_LEVEL_RAID10 || copies == 0)
		return sb->size;
	/* mdadm rounds less than the kernel: up to a part of a chunk more */
	return sb->size * min_u64(sb->raid_disks, MD_SB_MAX_DEV) / copies;
}

int md_member_load_bitmap(struct md_member *member, struct err *err)
{
	const struct md_sb *sb = &member->sb;
	int64_t start = (int64_t)sb->super_offset + sb->bitmap_offset;
	uint8_t *page;
	int r;

	member->has_bitmap = false;
	if (!(sb->feature_map & MD_FEATURE_BITMAP_OFFSET) || sb->bitmap_offset == 0)
		return err_set(err, -ENOENT, "%s: the array has no bitmap",
			       member->disk->name);
	if (start < 0 ||
	    (uint64_t)start * SECTOR_BYTES + BITMAP_PAGE_BYTES >
		    member->disk->size_bytes)
		return err_set(err, -EBADMSG,
			       "%s: superblock bitmap_offset %d points outside the disk",
			       member->disk->name, sb->bitmap_offset);
	if ((uint64_t)start * SECTOR_BYTES %
	    member->disk->topology.logical_block_bytes)
		return err_set(err, -EBADMSG,
			       "%s: superblock bitmap_offset %d is not on a block of this disk (%u bytes)",
			       member->disk->name, sb->bitmap_offset,
			       member->disk->topology.logical_block_bytes);
	page = disk_buffer_new(BITMAP_PAGE_BYTES);
	if (!page)
		return err_nomem(err, "a bitmap superblock");
	r = disk_read_wait(member->disk, (uint64_t)start * SECTOR_BYTES, page,
			   BITMAP_PAGE_BYTES, err);
	if (r == 0) {
		r = bitmap_sb_parse(page, &member->bitmap, err);
		if (r == -ENOENT) /* the array promises one: damage, not absence */
			r = err_set(err, -EBADMSG, "%s", err->text);
		if (r == 0 && memcmp(member->bitmap.uuid, sb->set_uuid, 16) != 0)
			r = err_set(err, -EBADMSG,
				    "bitmap uuid is not the array's set_uuid");
		if (r == 0 && member->bitmap.sync_size > sync_size_limit(sb))
			r = err_set(err, -EBADMSG,
				    "bitmap sync_size %" PRIu64
				    " is larger than the array's %" PRIu64
				    " sectors",
				    member->bitmap.sync_size,
				    sync_size_limit(sb));
		if (r == 0)
			r = bitmap_geometry_init(&member->geo,
						 member->bitmap.sync_size,
						 member->bitmap.chunksize,
						 member->bitmap.nodes,
						 (uint64_t)start, err);
		if (r == 0)
			r = md_member_check_area(member, member->bitmap.nodes,
						 err);
		if (r < 0)
			err_prefix(err, "%s", member->disk->name);
	}
	free(page);
	member->has_bitmap = r == 0;
	return r;
}

struct bitmap_copy md_member_copy(const struct md_member *member)
{
	return (struct bitmap_copy){
		.disk = member->disk,
		.start_bytes = member->geo.start_bytes,
		.set_uuid = member->sb.set_uuid,
	};
}

int md_member_store(struct md_member *member, struct err *err)
{
	int r;

	md_sb_emit(&member->sb, member->block);
	r = disk_write_wait(member->disk, member->sb.super_offset * SECTOR_BYTES,
			    member->block, MD_SB_BYTES, true, err);
	/* FUA covers the superblock; the flush, what must not be behind it */
	return r < 0 ? r : disk_flush_wait(member->disk, err);
}

uint64_t md_member_room_end_bytes(const struct md_member *member)
{
	const struct md_sb *sb = &member->sb;
	uint64_t end = sb->data_offset;

	/* a bad block log has its place there too; clustered arrays have none */
	if (sb->bblog_size && sb->bblog_offset > 0)
		end = min_u64(end, sb->super_offset + (uint32_t)sb->bblog_offset);
	return end * SECTOR_BYTES;
}
