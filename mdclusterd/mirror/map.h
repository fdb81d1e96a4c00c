/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Where an array's sectors are on its members: raid1, and raid10 near. Pure.
 *
 * raid10 near, as drivers/md/raid10.c: copy k of chunk c is cell c * near + k, and
 * cell x is on disk x % disks, in its row x / disks. Chunks whose first cells are on the
 * same disk have the same disks: a set. There are disks / gcd(disks, near) of them,
 * which overlap when the copies do not divide the disks; raid1 is one set of all.
 *
 * Data lives as long as each set has a disk: what may fail is a question of sets.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct err;
struct mirror_config;

enum { MAP_MAX_DISKS = 32 };

/* Sectors of 512 bytes all through. */
struct map {
	bool is_striped;         /* raid10 */
	uint32_t disks, copies;
	uint32_t chunk_sectors;  /* striped only */
	uint64_t member_sectors;
	uint64_t sectors;        /* of the array: what is exported */
	uint32_t sets;
	uint32_t set_roles[MAP_MAX_DISKS]; /* bits of roles, by set */
};

/* -EINVAL, -EOPNOTSUPP: no such array, with the reason. */
int map_init(struct map *map, const struct mirror_config *config, struct err *err);

/* A run of sectors that lies in one piece on each of its disks. */
struct map_piece {
	uint64_t at, sectors;
	uint32_t set;
	struct { uint32_t role; uint64_t sector; } copy[MAP_MAX_DISKS]; /* map.copies */
};

/* The piece that begins at `at`, up to `high` at most; at < high <= map->sectors. */
void map_piece_at(const struct map *map, uint64_t at, uint64_t high,
		  struct map_piece *piece);

/*
 * Whatever of [low, high) is on this disk: one run of its sectors [*from, *to), without
 * a hole. False: nothing.
 */
bool map_span(const struct map *map, uint32_t role, uint64_t low, uint64_t high,
	      uint64_t *from, uint64_t *to);

/* The sets that hold any of [low, high), as bits. */
uint32_t map_sets_in(const struct map *map, uint64_t low, uint64_t high);
