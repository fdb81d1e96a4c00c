/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Order of the writes (tests cut the power after each of them):
 *
 *	C1  all slots of all disks, where no live bitmap of an old array is
 *	C2  flush
 *	C3  one superblock after the other, FUA, one of each mirror pair first
 *	C4  if a slot area had to avoid an old one: move it home (relocate.c)
 */
#include "bitmap/create.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include <uuid/uuid.h>

#include "base/arith.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "bitmap/array.h"
#include "bitmap/disk.h"
#include "bitmap/relocate.h"

/*
 * Where the slots of one disk go first: home, or clear of the bitmap and the bad
 * block log that an old 1.2 array on it still needs. -ENOSPC if both cannot
 * stand side by side.
 */
static int find_place(const struct md_create_plan *plan, struct disk *disk,
		      uint64_t *place, struct err *err)
{
	uint64_t home = plan->geo.start_bytes;
	uint64_t bytes = bitmap_end_bytes(&plan->geo) - home;
	struct md_member old;
	int r = md_member_load(&old, disk, err);

	*place = home;
	if (r == 0 && old.minor == MD_MINOR_2) {
		uint64_t busy_start = 0, busy_end = 0;

		r = md_member_load_bitmap(&old, err);
		if (r == 0) {
			busy_start = old.geo.start_bytes;
			busy_end = bitmap_end_bytes(&old.geo);
		} else if (r == -ENOENT && old.sb.bblog_size &&
			   old.sb.bblog_offset > 0) {
			busy_start = md_member_room_end_bytes(&old);
			busy_end = old.sb.data_offset * SECTOR_BYTES;
		}
		*place = md_relocate_find_room(
			home,
			min_u64(old.sb.data_offset, plan->sb.data_offset) *
				SECTOR_BYTES,
			busy_start, busy_end, bytes);
		if (*place == UINT64_MAX)
			r = err_set(err, -ENOSPC,
				    "%s: the array on it leaves no room to build the new one beside it: erase it first (mdcluster zero)",
				    disk->name);
	}
	md_member_fini(&old);
	/* no superblock, or none that counts, is no error; a bad read is */
	return r == -ENOENT || r == -EBADMSG || r == -EOPNOTSUPP ? 0 : r;
}

/* C1, C2 */
static int write_slots(const struct md_create_plan *plan,
		       const struct bitmap_copy *copies, size_t count,
		       struct md_progress *progress, struct err *err)
{
	struct bitmap_slot slot;
	uint32_t number;
	int r = bitmap_slot_init(&slot, &plan->geo, 0, err);

	slot.sb = plan->bitmap;
	for (number = 0; r == 0 && number < plan->geo.nodes; number++) {
		bool is_clean = plan->sb.resync_offset == MD_MAX_SECTOR;

		slot.number = number;
		bitmap_slot_fill(&slot, number == 0 && !is_clean);
		r = bitmap_slot_store(&slot, copies, count, err);
		if (progress)
			progress->step(progress, number + 1, plan->geo.nodes);
	}
	bitmap_slot_fini(&slot);
	return r;
}

/* C3, one disk */
static int write_superblock(const struct md_create_plan *plan,
			    struct disk *disk, uint32_t dev_number,
			    uint64_t place, struct err *err)
{
	struct md_member m = { .disk = disk, .sb = plan->sb };
	int r;

	m.block = disk_buffer_new(MD_SB_BYTES);
	if (!m.block)
		return err_nomem(err, "a superblock");
	m.sb.dev_number = dev_number;
	m.sb.data_size = disk_sectors(disk) - plan->sb.data_offset;
	m.sb.bitmap_offset =
		(int32_t)(place / SECTOR_BYTES - plan->sb.super_offset);
	uuid_generate_random(m.sb.device_uuid);
	r = md_member_store(&m, err);
	md_member_fini(&m);
	return r;
}

static int write_superblocks(const struct md_create_plan *plan,
			     struct disk *const *disks, size_t count,
			     const uint64_t *place, struct err *err)
{
	uint32_t copies = plan->sb.level == MD_LEVEL_RAID10 ?
				  md_sb_near_copies(&plan->sb) :
				  plan->sb.raid_disks;
	uint32_t turn;
	size_t i;
	int r = 0;

	for (turn = 0; turn < copies; turn++)
		for (i = turn; r == 0 && i < count; i += copies)
			if (disks[i])
				r = write_superblock(plan, disks[i], (uint32_t)i,
						     place[i], err);
	return r;
}

/* C4 */
static int bring_home(struct disk *const *present, size_t count, struct err *err)
{
	struct md_array array;
	int r = md_array_load(&array, present, count, NULL, err);

	if (r < 0)
		return r;
	r = md_relocate(&array, NULL, err);
	md_array_fini(&array);
	return r;
}

int md_create_execute(const struct md_create_plan *plan,
		      struct disk *const *disks, size_t count,
		      struct md_progress *progress, struct err *err)
{
	CLEANUP_FREE uint64_t *place = calloc(count, sizeof(*place));
	CLEANUP_FREE struct bitmap_copy *copies = calloc(count, sizeof(*copies));
	CLEANUP_FREE struct disk **present = calloc(count, sizeof(*present));
	bool is_away = false;
	size_t i, n = 0;
	int r = 0;

	if (!place || !copies || !present)
		return err_nomem(err, "the list of disks");
	for (i = 0; r == 0 && i < count; i++) {
		if (!disks[i])
			continue;
		r = find_place(plan, disks[i], &place[i], err);
		is_away |= place[i] != plan->geo.start_bytes;
		present[n] = disks[i];
		copies[n++] = (struct bitmap_copy){
			.disk = disks[i],
			.start_bytes = place[i],
			.set_uuid = plan->sb.set_uuid,
		};
	}
	if (r == 0)
		r = write_slots(plan, copies, n, progress, err);
	if (r == 0)
		r = write_superblocks(plan, disks, count, place, err);
	if (r == 0 && is_away)
		r = bring_home(present, n, err);
	return r;
}
