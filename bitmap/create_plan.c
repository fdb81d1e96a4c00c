/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The plan of a new array: mdadm's geometry, by arithmetic alone. */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include <uuid/uuid.h>

#include "base/arith.h"
#include "base/err.h"
#include "bitmap/create.h"

enum {
	RAID1_SIZE_UNIT_SECTORS = 128, /* mdadm: in case it becomes a raid5 */
	ROLES_UNIT_BYTES = 512,
	/* as many roles fit one sector, which a torn write leaves old or new */
	MAX_DEVICES = (SECTOR_BYTES - MD_SB_HEADER_BYTES) / 2,
};

static int check_level(const struct md_create_params *p, struct err *err)
{
	switch (p->level) {
	case MD_LEVEL_RAID1:
		if (p->chunk_sectors)
			return err_set(err, -EINVAL,
				       "chunk: raid1 has no chunk size");
		if (p->near_copies)
			return err_set(err, -EINVAL, "layout: raid1 has none");
		break;
	case MD_LEVEL_RAID10:
		if (p->near_copies < 2 || p->near_copies > p->raid_disks)
			return err_set(err, -EINVAL,
				       "layout: n%u needs between 2 and raid-devices (%u) copies",
				       p->near_copies, p->raid_disks);
		if (!is_power_of_two(p->chunk_sectors) || p->chunk_sectors < 8)
			return err_set(err, -EINVAL,
				       "chunk: %u sectors is not a power of two of at least 4 KiB",
				       p->chunk_sectors);
		break;
	default:
		return err_set(err, -EOPNOTSUPP,
			       "level: only raid1 and raid10 can be clustered");
	}
	return 0;
}

static int check_params(const struct md_create_params *p, size_t count,
			struct err *err)
{
	int r = check_level(p, err);

	if (r < 0)
		return r;
	if (p->raid_disks < 2)
		return err_set(err, -EINVAL,
			       "raid-devices: %u is too few, a mirror needs 2 (the word 'missing' may stand for one)",
			       p->raid_disks);
	if ((uint64_t)p->raid_disks + p->spare_disks > MAX_DEVICES)
		return err_set(err, -EINVAL,
			       "raid-devices: at most %d devices, spares included, have their superblock in one sector",
			       MAX_DEVICES);
	if (count != p->raid_disks + p->spare_disks)
		return err_set(err, -EINVAL,
			       "disks: %zu given, but raid-devices and spare-devices ask for %u",
			       count, p->raid_disks + p->spare_disks);
	if (p->nodes < BITMAP_MIN_NODES || p->nodes > BITMAP_MAX_NODES)
		return err_set(err, -EINVAL,
			       "nodes: %u is outside %d..%d", p->nodes,
			       BITMAP_MIN_NODES, BITMAP_MAX_NODES);
	if (p->data_offset_sectors % 8)
		return err_set(err, -EINVAL,
			       "data-offset: %" PRIu64
			       " sectors is not a multiple of 4 KiB",
			       p->data_offset_sectors);
	return 0;
}

static struct md_create_params with_defaults(const struct md_create_params *given)
{
	struct md_create_params p = *given;

	if (p.level == MD_LEVEL_RAID10) {
		if (!p.near_copies)
			p.near_copies = MD_DEFAULT_NEAR_COPIES;
		if (!p.chunk_sectors)
			p.chunk_sectors = MD_DEFAULT_CHUNK_SECTORS;
	}
	if (!p.nodes)
		p.nodes = MD_DEFAULT_NODES;
	if (!p.daemon_sleep_s)
		p.daemon_sleep_s = MD_DEFAULT_DAEMON_SLEEP_S;
	return p;
}

/* Without a disk in each mirror set there is no data to run from. */
static int check_missing(const struct md_create_params *p,
			 const uint64_t *disk_sectors, struct err *err)
{
	uint32_t copies = p->level == MD_LEVEL_RAID10 ? p->near_copies :
							p->raid_disks;
	uint32_t first, i, present;

	for (i = p->raid_disks; i < p->raid_disks + p->spare_disks; i++)
		if (!disk_sectors[i])
			return err_set(err, -EINVAL,
				       "device %u: 'missing' cannot stand for a spare",
				       i);
	for (first = 0; first < p->raid_disks; first += copies) {
		present = 0;
		for (i = first; i < first + copies && i < p->raid_disks; i++)
			present += disk_sectors[i] != 0;
		if (!present)
			return err_set(err, -EINVAL,
				       "devices %u to %u are all missing: nothing holds that part of the data",
				       first, i - 1);
	}
	return 0;
}

/* Room for data on each disk in mdadm's unit of whole KiB. */
static int measure_disks(const struct md_create_params *p,
			 const uint64_t *disk_sectors, const char *const *names,
			 size_t count, struct md_create_plan *plan,
			 struct err *err)
{
	size_t i;

	plan->smallest_sectors = UINT64_MAX;
	plan->largest_sectors = 0;
	for (i = 0; i < count; i++) {
		uint64_t avail;

		if (!disk_sectors[i])
			continue;
		if (plan->sb.data_offset == 0)
			plan->sb.data_offset =
				p->data_offset_sectors ?
					p->data_offset_sectors :
					bitmap_default_data_offset(
						disk_sectors[i],
						p->chunk_sectors);
		avail = disk_sectors[i] > plan->sb.data_offset ?
				round_down(disk_sectors[i] - plan->sb.data_offset,
					   2) :
				0;
		if (p->chunk_sectors)
			avail = round_down(avail, p->chunk_sectors);
		if (avail < RAID1_SIZE_UNIT_SECTORS)
			return err_set(err, -ENOSPC,
				       "%s: size of %" PRIu64
				       " sectors is too small: data-offset is %" PRIu64
				       ", and data needs at least %d",
				       names[i], disk_sectors[i],
				       plan->sb.data_offset,
				       RAID1_SIZE_UNIT_SECTORS);
		if (avail < p->size_sectors)
			return err_set(err, -ENOSPC,
				       "%s: size: %" PRIu64
				       " sectors of data do not fit, there is room for %" PRIu64,
				       names[i], p->size_sectors, avail);
		plan->smallest_sectors = min_u64(plan->smallest_sectors, avail);
		plan->largest_sectors = max_u64(plan->largest_sectors, avail);
	}
	return 0;
}

static int plan_superblock(const struct md_create_params *p,
			   const uint64_t *disk_sectors,
			   const char *const *names, size_t count,
			   struct md_create_plan *plan, struct err *err)
{
	struct md_sb *sb = &plan->sb;
	uint32_t i, unit = p->chunk_sectors;
	int r = measure_disks(p, disk_sectors, names, count, plan, err);

	if (r < 0)
		return r;
	sb->feature_map = MD_FEATURE_BITMAP_OFFSET | MD_FEATURE_CLUSTERED;
	if (p->uuid)
		memcpy(sb->set_uuid, p->uuid, sizeof(sb->set_uuid));
	else
		uuid_generate_random(sb->set_uuid);
	r = md_sb_set_name(sb, p->name, err);
	if (r < 0)
		return r;
	sb->ctime = p->now_s | (uint64_t)p->now_us << 40;
	sb->utime = p->now_s;
	sb->level = p->level;
	sb->layout = p->level == MD_LEVEL_RAID10 ? 0x100 | p->near_copies : 0;
	sb->chunksize = p->chunk_sectors;
	sb->raid_disks = p->raid_disks;
	if (!unit)
		unit = p->size_sectors ? 2 : RAID1_SIZE_UNIT_SECTORS;
	sb->size = round_down(p->size_sectors ? p->size_sectors :
						plan->smallest_sectors, unit);
	if (sb->size == 0)
		return err_set(err, -EINVAL,
			       "size: %" PRIu64 " sectors is less than one chunk",
			       p->size_sectors);
	sb->bitmap_offset = BITMAP_OFFSET_SECTORS;
	sb->super_offset = md_sb_location(MD_MINOR_2, 0);
	sb->resync_offset = p->is_assume_clean ? MD_MAX_SECTOR : 0;
	sb->max_dev = (uint32_t)((round_up(MD_SB_HEADER_BYTES + 2 * count,
					   ROLES_UNIT_BYTES) -
				  MD_SB_HEADER_BYTES) / 2);
	for (i = 0; i < sb->max_dev; i++)
		sb->roles[i] = i < p->raid_disks && disk_sectors[i] ?
				       (uint16_t)i :
				       (uint16_t)MD_ROLE_SPARE;
	return 0;
}

static int plan_bitmap(const struct md_create_params *p,
		       struct md_create_plan *plan, struct err *err)
{
	struct bitmap_sb *bm = &plan->bitmap;
	uint64_t fit;
	int r;

	bm->version = BITMAP_VERSION_CLUSTERED;
	memcpy(bm->uuid, plan->sb.set_uuid, sizeof(bm->uuid));
	bm->sync_size = md_sb_sync_size(&plan->sb);
	bm->chunksize = p->bitmap_chunk_bytes ?
				p->bitmap_chunk_bytes :
				bitmap_default_chunk_bytes(plan->sb.size,
							   bm->sync_size);
	bm->daemon_sleep = p->daemon_sleep_s;
	bm->nodes = p->nodes;
	if (!p->cluster_name)
		return err_set(err, -EINVAL,
			       "home-cluster: the name of the cluster is required");
	r = bitmap_sb_set_cluster_name(bm, p->cluster_name, err);
	if (r < 0)
		return r;
	if (!is_power_of_two(bm->chunksize) ||
	    bm->chunksize < BITMAP_MIN_CREATE_CHUNK)
		return err_set(err, -EINVAL,
			       "bitmap-chunk: %u bytes is not a power of two of at least %d",
			       bm->chunksize, BITMAP_MIN_CREATE_CHUNK);
	r = bitmap_geometry_init(&plan->geo, bm->sync_size, bm->chunksize,
				 bm->nodes,
				 plan->sb.super_offset + BITMAP_OFFSET_SECTORS,
				 err);
	if (r < 0)
		return r;
	fit = bitmap_max_nodes(&plan->geo, plan->sb.data_offset * SECTOR_BYTES);
	if (p->nodes > fit)
		return err_set(err, -ENOSPC,
			       "nodes: %u slots of %" PRIu64
			       " bytes do not fit before data_offset %" PRIu64
			       " sectors; at most %" PRIu64
			       " nodes fit (a larger bitmap-chunk or data-offset makes room)",
			       p->nodes, plan->geo.slot_bytes,
			       plan->sb.data_offset, fit);
	return 0;
}

int md_create_make_plan(const struct md_create_params *params,
			const uint64_t *disk_sectors, const char *const *names,
			size_t count, struct md_create_plan *plan,
			struct err *err)
{
	struct md_create_params p = with_defaults(params);
	int r = check_params(&p, count, err);

	memset(plan, 0, sizeof(*plan));
	if (r == 0)
		r = check_missing(&p, disk_sectors, err);
	if (r == 0)
		r = plan_superblock(&p, disk_sectors, names, count, plan, err);
	if (r == 0)
		r = plan_bitmap(&p, plan, err);
	return r;
}
