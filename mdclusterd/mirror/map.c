/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Addresses: see map.h. */
#include "mdclusterd/mirror/map.h"

#include <errno.h>

#include "base/arith.h"
#include "base/err.h"
#include "bitmap/md_sb.h"
#include "mdclusterd/mirror/mirror.h"

static uint32_t greatest_common_divisor(uint32_t a, uint32_t b)
{
	while (b != 0) {
		uint32_t rest = a % b;

		a = b;
		b = rest;
	}
	return a;
}

/* raid10_size(): whole chunks only, and whole sets of copies */
static void init_striped(struct map *map, const struct mirror_config *config)
{
	uint64_t rows = config->member_sectors / config->chunk_sectors;
	uint32_t set, k, step = greatest_common_divisor(map->disks, map->copies);

	map->chunk_sectors = config->chunk_sectors;
	map->sectors = rows * map->disks / map->copies * map->chunk_sectors;
	map->sets = map->disks / step;
	for (set = 0; set < map->sets; set++)
		for (k = 0; k < map->copies; k++)
			map->set_roles[set] |= 1u << (set * step + k) % map->disks;
}

static int check_striped(const struct mirror_config *config, struct err *err)
{
	uint32_t near = config->layout & 0xff, far = config->layout >> 8 & 0xff;

	if (far > 1 || config->layout >> 16 != 0)
		return err_set(err, -EOPNOTSUPP, "raid10 layout 0x%x: only near layouts",
			       config->layout);
	if (near == 0 || near > config->raid_disks)
		return err_set(err, -EINVAL, "raid10: %u copies on %u disks", near,
			       config->raid_disks);
	if (config->chunk_sectors == 0)
		return err_set(err, -EINVAL, "raid10 without a chunk size");
	return 0;
}

int map_init(struct map *map, const struct mirror_config *config, struct err *err)
{
	int r = 0;

	*map = (struct map){
		.is_striped = config->level == MD_LEVEL_RAID10,
		.disks = config->raid_disks,
		.copies = config->raid_disks,
		.member_sectors = config->member_sectors,
		.sectors = config->member_sectors,
		.sets = 1,
	};
	if (map->disks == 0 || map->disks > MAP_MAX_DISKS)
		return err_set(err, -EINVAL, "%u disks: 1 to %d can be", map->disks,
			       MAP_MAX_DISKS);
	if (map->is_striped) {
		r = check_striped(config, err);
		if (r < 0)
			return r;
		map->copies = config->layout & 0xff;
		init_striped(map, config);
	} else if (config->level == MD_LEVEL_RAID1) {
		map->set_roles[0] = UINT32_MAX >> (32 - map->disks);
	} else {
		return err_set(err, -EOPNOTSUPP, "level %d: only raid1 and raid10",
			       config->level);
	}
	if (map->sectors == 0)
		return err_set(err, -EINVAL, "the array has no sectors");
	return 0;
}

static uint32_t set_of_chunk(const struct map *map, uint64_t chunk)
{
	return (uint32_t)(chunk % map->sets * map->copies % map->disks /
			  (map->disks / map->sets));
}

static void striped_piece(const struct map *map, uint64_t at, uint64_t high,
			  struct map_piece *piece)
{
	uint64_t chunk = at / map->chunk_sectors;
	uint64_t offset = at % map->chunk_sectors;
	uint64_t cell = chunk * map->copies;
	uint64_t row = cell / map->disks;
	uint32_t k, role = (uint32_t)(cell % map->disks);

	piece->at = at;
	piece->sectors = min_u64(high - at, map->chunk_sectors - offset);
	piece->set = set_of_chunk(map, chunk);
	for (k = 0; k < map->copies; k++) {
		piece->copy[k].role = role;
		piece->copy[k].sector = row * map->chunk_sectors + offset;
		if (++role == map->disks) {
			role = 0;
			row++;
		}
	}
}

void map_piece_at(const struct map *map, uint64_t at, uint64_t high,
		  struct map_piece *piece)
{
	uint32_t k;

	if (map->is_striped) {
		striped_piece(map, at, high, piece);
		return;
	}
	piece->at = at;
	piece->sectors = high - at;
	piece->set = 0;
	for (k = 0; k < map->copies; k++) {
		piece->copy[k].role = k;
		piece->copy[k].sector = at;
	}
}

/*
 * Down a disk, row by row, the chunks never go back: what it has of a range of chunks
 * is a run of rows, cut short in the first chunk and in the last one only.
 */
bool map_span(const struct map *map, uint32_t role, uint64_t low, uint64_t high,
	      uint64_t *from, uint64_t *to)
{
	uint64_t size = map->chunk_sectors, first, last, cell, end, row_low, row_high;

	if (!map->is_striped) {
		*from = low;
		*to = high;
		return true;
	}
	first = low / size;
	last = (high - 1) / size;
	cell = first * map->copies;
	end = (last + 1) * map->copies; /* cells [cell, end) */
	row_low = cell <= role ? 0 : div_round_up(cell - role, map->disks);
	if (end <= role)
		return false;
	row_high = (end - 1 - role) / map->disks;
	if (row_low > row_high)
		return false;
	*from = row_low * size;
	if ((row_low * map->disks + role) / map->copies == first)
		*from += low % size;
	*to = row_high * size;
	if ((row_high * map->disks + role) / map->copies == last)
		*to += (high - 1) % size + 1;
	else
		*to += size;
	return true;
}

uint32_t map_sets_in(const struct map *map, uint64_t low, uint64_t high)
{
	uint64_t chunk, last;
	uint32_t sets = 0;

	if (!map->is_striped)
		return 1;
	chunk = low / map->chunk_sectors;
	last = (high - 1) / map->chunk_sectors;
	if (last - chunk >= map->sets)
		last = chunk + map->sets - 1;
	for (; chunk <= last; chunk++)
		sets |= 1u << set_of_chunk(map, chunk);
	return sets;
}
