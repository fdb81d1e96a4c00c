/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What a new member is like: as mdadm would make it for this array, with the data where the
 * others have it, or, on a disk that is a little smaller, as far from the bitmap as fits; and all
 * slots sound and empty, of absent nodes too (a kernel's loss, vm-lab 4.3; B27, B45).
 *
 * The order: what the disk was is gone, durably; slots; superblock. By its own superblock it is
 * faulty until it was ADDed, so that nobody takes it for a spare that other nodes may not see.
 */
#include "mdclusterd/array/metadata_private.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/arith.h"
#include "bitmap/disk.h"

enum { DATA_UNIT_SECTORS = 2048, BLOCK_SECTORS = 8 };

static int place_data(const struct md_member *f, const struct disk *disk, struct md_sb *sb,
		      struct err *err)
{
	uint64_t sectors = disk_sectors(disk);
	uint64_t first = round_up(bitmap_end_bytes(&f->geo), BITMAP_PAGE_BYTES) / SECTOR_BYTES;
	uint64_t at = sb->data_offset, last;

	if (sectors < at + sb->size) {
		last = sectors > sb->size ? sectors - sb->size : 0;
		at = round_down(last, DATA_UNIT_SECTORS);
		if (at < first)
			at = round_down(last, BLOCK_SECTORS);
		if (at < first)
			return err_set(err, -ENOSPC,
				       "%s: %" PRIu64 " sectors are too few: the array has %" PRIu64
				       " on each disk, behind %" PRIu64 " of metadata",
				       disk->name, sectors, sb->size, first);
	}
	sb->data_offset = at;
	sb->data_size = sectors - at;
	return 0;
}

/* Clients were told a block size: a disk with larger ones could not do what they ask. */
static int check_blocks(const struct metadata *md, const struct disk *disk, struct err *err)
{
	uint32_t largest = 0;

	for (size_t i = 0; i < md->array.count; i++)
		if (md_array_is_in_sync(&md->array, &md->array.members[i]))
			largest = (uint32_t)max_u64(largest,
				md->array.members[i].disk->topology.logical_block_bytes);
	if (disk->topology.logical_block_bytes <= largest)
		return 0;
	return err_set(err, -EINVAL, "%s: its blocks have %u bytes, the array's %u", disk->name,
		       disk->topology.logical_block_bytes, largest);
}

static int make(const struct metadata *md, struct disk *disk, uint32_t number,
		struct md_sb *sb, struct err *err)
{
	const struct md_member *f = md_array_freshest(&md->array);
	int r = check_blocks(md, disk, err);

	if (r < 0)
		return r;
	*sb = f->sb;
	sb->feature_map = MD_FEATURE_BITMAP_OFFSET | MD_FEATURE_CLUSTERED;
	sb->recovery_offset = 0;
	sb->dev_number = number;
	sb->cnt_corrected_read = 0;
	sb->devflags = 0;
	sb->bblog_shift = 0;
	sb->bblog_size = 0;
	sb->bblog_offset = 0;
	sb->roles[number] = MD_ROLE_FAULTY;
	md->ops->random(md->owner, sb->device_uuid, sizeof(sb->device_uuid));
	return place_data(f, disk, sb, err);
}

int metadata_erase_newcomer(struct disk *disk, struct err *err)
{
	uint8_t *zeroes = disk_buffer_new(MD_SB_BYTES);
	int r;

	if (!zeroes)
		return err_nomem(err, "a superblock");
	r = disk_write_wait(disk, md_sb_location(MD_MINOR_2, disk_sectors(disk)) * SECTOR_BYTES,
			    zeroes, MD_SB_BYTES, true, err);
	free(zeroes);
	return r < 0 ? r : disk_flush_wait(disk, err);
}

static int write_slots(const struct metadata *md, const struct md_member *m, struct err *err)
{
	const struct md_member *f = md_array_freshest(&md->array);
	const struct bitmap_copy copy = {
		.disk = m->disk,
		.start_bytes = (m->sb.super_offset + (uint64_t)m->sb.bitmap_offset) * SECTOR_BYTES,
		.set_uuid = m->sb.set_uuid,
	};
	struct bitmap_slot slot;
	int r = bitmap_slot_init(&slot, &f->geo, 0, err);

	slot.sb = f->bitmap;
	slot.sb.nodes = f->geo.nodes;
	slot.sb.state = 0;
	for (uint32_t n = 0; r == 0 && n < f->geo.nodes; n++) {
		slot.number = n;
		r = bitmap_slot_store(&slot, &copy, 1, err);
	}
	bitmap_slot_fini(&slot);
	return r;
}

int metadata_write_newcomer(struct metadata *md, struct metadata_request *req,
			    struct disk *disk, bool is_member)
{
	struct md_member m = { .disk = disk };
	struct err *err = &req->err;
	int r = make(md, disk, req->number, &m.sb, err);

	if (r == 0)
		r = md->ops->claim(md->owner, disk, is_member, req->is_forced, err);
	if (r < 0)
		return r;
	m.block = disk_buffer_new(MD_SB_BYTES);
	r = m.block ? metadata_erase_newcomer(disk, err) : err_nomem(err, "a superblock");
	if (r == 0)
		r = write_slots(md, &m, err);
	if (r == 0)
		r = md_member_store(&m, err);
	md_member_fini(&m);
	return r;
}
