/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the tests of disks in memory share: one world with two disks, and a few
 * words to write, to wait, to cut the power, and to look at what is left.
 */
#pragma once

#include "tests/unit/help.h"

enum {
	DISK_BYTES = 1 << 20,
	PAGE = 4096,
	SECTOR = 512,
	SEEDS = 200,
	OLD = 0x0a,
	NEW = 0x0b,
	NEWER = 0x0c,
	HANG_SECONDS = 120, /* for alarm(2): a lost completion ends the test */
};

/* What a test does with one world, once a seed. */
struct scene {
	struct disk_world *world;
	struct disk *a, *b;
	uint8_t *page; /* a scratch buffer of four pages */
};

struct scene scene_new(uint64_t seed);
void scene_free(struct scene *s);

/* These two wait; 0 or a negative errno. At most four pages. */
int write_bytes(struct scene *s, struct disk *disk, uint64_t offset,
		size_t length, int byte, bool is_fua);
int flush(struct disk *disk);

void power_cycle(struct scene *s);

/* The byte that fills a sector; fails if it is not one byte all through. */
int sector_byte(const struct disk *disk, uint64_t offset);

/* How many of the sectors hold `byte`. */
unsigned int count_sectors(const struct disk *disk, uint64_t offset,
			   size_t length, int byte);
void expect_bytes(const struct disk *disk, uint64_t offset, size_t length,
		  int byte);

/* A request that is not waited for. */
struct slow {
	struct disk_req req;
	int calls, result;
	uint64_t done_at_ns;
	struct disk_world *world;
};

void slow_submit(struct scene *s, struct slow *slow, struct disk *disk,
		 struct disk_req req);

/* Of one page, which is filled with `byte` and must live until it is over. */
void slow_write(struct scene *s, struct slow *slow, struct disk *disk,
		uint64_t offset, uint8_t *page, int byte);
