/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/sim/layout.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arith.h"
#include "base/err.h"
#include "bitmap/create.h"
#include "bitmap/disk.h"
#include "bitmap/disk_mem.h"
#include "bitmap/md_sb.h"

enum {
	DATA_OFFSET_SECTORS = 2048,
	SUPERBLOCK_SECTOR = 8,
};

/* raid10 has whole units. */
static uint64_t member_sectors(const struct layout_params *p)
{
	return p->is_raid10 ? round_up(p->member_sectors, p->unit_sectors) :
			      p->member_sectors;
}

uint64_t layout_disk_bytes(const struct layout_params *p)
{
	return (DATA_OFFSET_SECTORS + member_sectors(p)) * SECTOR_BYTES;
}

static void make(const struct md_create_params *params, const struct layout *l,
		 struct md_create_plan *plan)
{
	uint64_t sectors[SIM_MAX_DISKS];
	const char *names[SIM_MAX_DISKS];
	struct disk *disks[SIM_MAX_DISKS];
	struct err err = ERR_INIT;
	size_t count = params->raid_disks;

	for (size_t i = 0; i < count; i++) {
		disks[i] = sim_disks_store(l->disks, (int)i);
		names[i] = disks[i]->name;
		sectors[i] = disk_sectors(disks[i]);
	}
	if (md_create_make_plan(params, sectors, names, count, plan, &err) < 0 ||
	    md_create_execute(plan, disks, count, NULL, &err) < 0) {
		fprintf(stderr, "sim: %s\n", err.text);
		abort();
	}
	for (size_t i = 0; i < count; i++)
		disk_mem_settle(disks[i]);
}

void layout_create(struct layout *l, const struct layout_params *p,
		   const struct sim_disks *disks)
{
	static const uint8_t uuid[16] = { 0x51, 0x4d, 3, 4, 5, 6, 7, 8,
					  9, 10, 11, 12, 13, 14, 15, 16 };
	const struct md_create_params params = {
		.level = p->is_raid10 ? MD_LEVEL_RAID10 : MD_LEVEL_RAID1,
		.near_copies = p->is_raid10 ? 2 : 0,
		.raid_disks = (uint32_t)p->disk_count,
		.chunk_sectors = p->is_raid10 ? p->unit_sectors : 0,
		.size_sectors = member_sectors(p),
		.data_offset_sectors = DATA_OFFSET_SECTORS,
		.bitmap_chunk_bytes = p->chunk_bytes,
		.nodes = p->nodes,
		.cluster_name = "sim",
		.name = "sim:array",
		.uuid = uuid,
		.is_assume_clean = p->is_assume_clean,
		.now_s = 1700000000,
	};
	struct md_create_plan plan;

	*l = (struct layout){ .disks = disks, .disk_count = p->disk_count + p->spare_count,
			      .raid_disks = p->disk_count, .level = params.level };
	l->roles = calloc(1, sizeof(*l->roles));
	if (!l->roles)
		abort();
	make(&params, l, &plan);
	l->near_copies = p->is_raid10 ? 2 : (uint32_t)p->disk_count;
	l->unit_sectors = p->unit_sectors;
	l->data_offset = DATA_OFFSET_SECTORS;
	l->member_sectors = plan.sb.size;
	l->geo = plan.geo;
	l->array_sectors = plan.geo.sync_size;
	l->chunk_sectors = plan.geo.chunk_bytes / SECTOR_BYTES;
}

void layout_fini(struct layout *l)
{
	free(l->roles);
	l->roles = NULL;
}

/* --- who is who --------------------------------------------------------------------------- */

static void peek_superblock(const struct layout *l, int disk, void *to, size_t length)
{
	disk_mem_peek(sim_disks_store(l->disks, disk), SUPERBLOCK_SECTOR * SECTOR_BYTES, to,
		      length);
}

/* Its events and its checksum, which nothing escapes. */
static bool has_changed(const struct layout *l)
{
	bool is_any = false;

	for (int i = 0; i < l->disk_count; i++) {
		uint8_t head[256];
		uint64_t now[2] = { 1, 0 };

		peek_superblock(l, i, head, sizeof(head));
		memcpy(&now[0], head + 200, sizeof(now[0]));
		memcpy(&now[1], head + 208, sizeof(now[1]));
		for (int at = 0; at < 256; at++)
			now[0] = now[0] * 31 + head[at];
		is_any |= memcmp(now, l->roles->seen[i], sizeof(now)) != 0;
		memcpy(l->roles->seen[i], now, sizeof(now));
	}
	return is_any;
}

static void find_roles(const struct layout *l)
{
	static struct md_sb sbs[SIM_MAX_DISKS];
	struct layout_roles *r = l->roles;
	bool is_sound[SIM_MAX_DISKS] = { false };
	uint8_t block[MD_SB_BYTES];
	int freshest = -1;

	for (int i = 0; i < l->disk_count; i++) {
		struct err err = ERR_INIT;

		peek_superblock(l, i, block, sizeof(block));
		is_sound[i] = md_sb_parse(block, SUPERBLOCK_SECTOR,
					  disk_sectors(sim_disks_store(l->disks, i)), &sbs[i],
					  &err) == 0;
		if (is_sound[i] && (freshest < 0 || sbs[i].events > sbs[freshest].events))
			freshest = i;
		r->role[i] = r->disk[i] = -1;
		r->is_in_sync[i] = false;
	}
	for (int i = 0; i < l->disk_count; i++) {
		uint16_t role;

		if (!is_sound[i] || sbs[i].events + 1 < sbs[freshest].events)
			continue;
		role = sbs[freshest].roles[sbs[i].dev_number];
		if (role >= l->raid_disks)
			continue;
		r->role[i] = role;
		r->disk[role] = i;
		r->is_in_sync[i] = !(sbs[i].feature_map & MD_FEATURE_RECOVERY_OFFSET);
	}
}

const struct layout_roles *layout_look(const struct layout *l)
{
	if (has_changed(l))
		find_roles(l);
	return l->roles;
}

/* --- where things are -------------------------------------------------------------------- */

int layout_copies(const struct layout *l, uint64_t sector,
		  struct layout_copy copies[SIM_MAX_DISKS])
{
	uint64_t unit = l->unit_sectors, disks = (uint64_t)l->raid_disks;
	const struct layout_roles *roles = layout_look(l);
	int count = 0;

	for (uint32_t k = 0; k < l->near_copies; k++) {
		uint64_t at = sector;
		int role = (int)k;

		if (l->level == MD_LEVEL_RAID10) {
			uint64_t place = sector / unit * l->near_copies + k;

			role = (int)(place % disks);
			at = place / disks * unit + sector % unit;
		}
		if (roles->disk[role] >= 0)
			copies[count++] = (struct layout_copy){
				roles->disk[role], (l->data_offset + at) * SECTOR_BYTES };
	}
	return count;
}

bool layout_array_sector(const struct layout *l, int disk, uint64_t offset_bytes,
			 uint64_t *sector, uint64_t *run_sectors)
{
	uint64_t at = offset_bytes / SECTOR_BYTES, unit = l->unit_sectors, place;
	int role = layout_look(l)->role[disk];

	if (role < 0 || at < l->data_offset || at >= l->data_offset + l->member_sectors)
		return false;
	at -= l->data_offset;
	*sector = at;
	*run_sectors = l->member_sectors - at;
	if (l->level != MD_LEVEL_RAID10)
		return true;
	place = at / unit * (uint64_t)l->raid_disks + (uint64_t)role;
	*sector = place / l->near_copies * unit + at % unit;
	*run_sectors = unit - at % unit;
	return *sector < l->array_sectors;
}

/* --- bits ---------------------------------------------------------------------------------- */

bool layout_is_set(const struct layout *l, int disk, uint32_t slot, uint64_t chunk)
{
	uint8_t byte;

	sim_disks_peek(l->disks, disk,
		      bitmap_slot_offset_bytes(&l->geo, slot) + 256 + chunk / 8, &byte, 1);
	return byte >> chunk % 8 & 1;
}

bool layout_is_marked(const struct layout *l, const bool in_sync[SIM_MAX_DISKS],
		      uint64_t chunk)
{
	for (int i = 0; i < l->disk_count; i++)
		for (uint32_t slot = 0; in_sync[i] && slot < l->geo.nodes; slot++)
			if (layout_is_set(l, i, slot, chunk))
				return true;
	return false;
}

/* --- who is in sync -------------------------------------------------------------------------- */

int layout_in_sync(const struct layout *l, bool in_sync[SIM_MAX_DISKS])
{
	const struct layout_roles *roles = layout_look(l);
	int count = 0;

	for (int i = 0; i < l->disk_count; i++) {
		in_sync[i] = roles->is_in_sync[i];
		count += in_sync[i];
	}
	return count;
}

static bool is_unit_equal(const struct layout *l, const bool in_sync[SIM_MAX_DISKS],
			  uint64_t sector, uint64_t sectors)
{
	static uint8_t first[64 << 10], other[64 << 10];
	struct layout_copy copies[SIM_MAX_DISKS];
	int count = layout_copies(l, sector, copies);
	bool has_first = false;

	for (int k = 0; k < count; k++) {
		const struct disk *disk = sim_disks_store(l->disks, copies[k].disk);

		if (!in_sync[copies[k].disk])
			continue;
		disk_mem_peek(disk, copies[k].offset_bytes, has_first ? other : first,
			      sectors * SECTOR_BYTES);
		if (has_first && memcmp(first, other, sectors * SECTOR_BYTES) != 0)
			return false;
		has_first = true;
	}
	return true;
}

bool layout_is_equal(const struct layout *l, const bool in_sync[SIM_MAX_DISKS],
		     uint64_t chunk, uint64_t *differs_at)
{
	uint64_t at = chunk * l->chunk_sectors;
	uint64_t end = min_u64(at + l->chunk_sectors, l->array_sectors), run;

	for (; at < end; at += run) {
		run = min_u64(end - at, 128);
		if (l->level == MD_LEVEL_RAID10)
			run = min_u64(run, l->unit_sectors - at % l->unit_sectors);
		*differs_at = at;
		if (!is_unit_equal(l, in_sync, at, run))
			return false;
	}
	return true;
}
