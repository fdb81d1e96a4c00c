/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/unit/mem_scene.h"

#include <stdlib.h>
#include <string.h>

struct scene scene_new(uint64_t seed)
{
	struct scene s;

	s.world = disk_world_new(seed);
	s.a = disk_mem_new(s.world, "a", DISK_BYTES);
	s.b = disk_mem_new(s.world, "b", DISK_BYTES);
	s.page = disk_buffer_new(4 * PAGE);
	assert_non_null(s.page);
	return s;
}

void scene_free(struct scene *s)
{
	disk_close(s->a);
	disk_close(s->b);
	disk_world_free(s->world);
	free(s->page);
}

int write_bytes(struct scene *s, struct disk *disk, uint64_t offset,
		size_t length, int byte, bool is_fua)
{
	struct err err = ERR_INIT;

	memset(s->page, byte, length);
	return disk_write_wait(disk, offset, s->page, length, is_fua, &err);
}

int flush(struct disk *disk)
{
	struct err err = ERR_INIT;

	return disk_flush_wait(disk, &err);
}

void power_cycle(struct scene *s)
{
	disk_world_cut_power(s->world);
	disk_world_restore_power(s->world);
}

int sector_byte(const struct disk *disk, uint64_t offset)
{
	uint8_t sector[SECTOR];
	size_t i;

	disk_mem_peek(disk, offset, sector, SECTOR);
	for (i = 1; i < SECTOR; i++)
		assert_int_equal(sector[i], sector[0]);
	return sector[0];
}

unsigned int count_sectors(const struct disk *disk, uint64_t offset,
			   size_t length, int byte)
{
	unsigned int n = 0;
	size_t i;

	for (i = 0; i < length; i += SECTOR)
		n += sector_byte(disk, offset + i) == byte;
	return n;
}

void expect_bytes(const struct disk *disk, uint64_t offset,
		  size_t length, int byte)
{
	assert_int_equal(count_sectors(disk, offset, length, byte),
			 length / SECTOR);
}

static void slow_done(struct disk_req *req, int result)
{
	struct slow *slow = req->owner;

	slow->calls++;
	slow->result = result;
	slow->done_at_ns = disk_world_now_ns(slow->world);
}

void slow_submit(struct scene *s, struct slow *slow, struct disk *disk,
		 struct disk_req req)
{
	struct err err = ERR_INIT;

	*slow = (struct slow){ .req = req, .world = s->world };
	slow->req.done = slow_done;
	slow->req.owner = slow;
	assert_int_equal(disk_submit(disk, &slow->req, &err), 0);
}

void slow_write(struct scene *s, struct slow *slow, struct disk *disk,
		uint64_t offset, uint8_t *page, int byte)
{
	memset(page, byte, PAGE);
	slow_submit(s, slow, disk,
		    (struct disk_req){ .op = DISK_WRITE,
				       .offset_bytes = offset,
				       .length_bytes = PAGE,
				       .buffer = page });
}
