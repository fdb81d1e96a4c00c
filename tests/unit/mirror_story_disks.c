/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Stories of a mirror: what its disks have, after a power cut and at the end. */
#include "tests/unit/mirror_story.h"

#include <string.h>

#include "bitmap/bits.h"
#include "tests/unit/help.h"

/* --- what the disks have -------------------------------------------------------------------- */

static void peek(struct story *s, uint32_t block, uint32_t copy, uint8_t *to, uint32_t *role)
{
	uint64_t at = story_place(s, block, copy, role);

	disk_mem_peek(s->disks[*role], story_data_bytes(*role) + at, to, ORACLE_BLOCK);
}

/* In sync, or rebuilt that far: Y5. */
static bool has_it(const struct story *s, uint32_t block, uint32_t role)
{
	if (!(s->out >> role & 1))
		return true;
	return s->readd[role].is_other && (block + 1) * block_sectors <= s->readd[role].rebuilt_to;
}

void story_expect_equal_but_marked(struct story *s, const uint8_t *marks)
{
	uint8_t first[ORACLE_BLOCK], other[ORACLE_BLOCK];
	uint32_t block, copy, role;

	for (block = 0; block < s->blocks; block++) {
		bool has_first = false;

		if (bits_test(marks, (uint64_t)block * ORACLE_BLOCK / CHUNK))
			continue;
		for (copy = 0; copy < story_near_of(s); copy++) {
			peek(s, block, copy, has_first ? other : first, &role);
			if (!has_it(s, block, role))
				continue;
			if (has_first && memcmp(first, other, ORACLE_BLOCK) != 0)
				fail_msg("block %u differs on disk %u, and no bit is set",
					 block, role);
			has_first = true;
		}
	}
}

/*
 * Where a bit is set, of the copy that will be read, and copied: others may be older. But not
 * one that is rebuilt: all that it has it got just now.
 */
void story_expect_survival(struct story *s)
{
	uint8_t data[ORACLE_BLOCK];
	uint32_t block, copy, role;

	for (block = 0; block < s->blocks; block++) {
		bool is_marked = bits_test(s->slot.bits,
					   (uint64_t)block * ORACLE_BLOCK / CHUNK);
		bool has_source = false;

		for (copy = 0; copy < story_near_of(s); copy++) {
			peek(s, block, copy, data, &role);
			if (!has_it(s, block, role) ||
			    (is_marked && has_source && !(s->out >> role & 1)))
				continue;
			has_source |= !(s->out >> role & 1);
			if (!oracle_may_survive(s->o, block, data))
				fail_msg("block %u of disk %u: what was durable is lost",
					 block, role);
		}
	}
}

static int read_block(struct story *s, uint32_t block, uint8_t *to)
{
	struct io *io = &s->ios[0];

	io->first = block;
	io->count = 1;
	io->began = UINT64_MAX; /* story_check_read() is not for this one */
	*io->io = (struct volume_io){ .op = VOLUME_READ,
				      .offset_bytes = (uint64_t)block * ORACLE_BLOCK,
				      .length_bytes = ORACLE_BLOCK,
				      .buffer = io->buffer,
				      .done = story_done,
				      .released = story_released,
				      .owner = io };
	io->is_busy = true;
	s->is_dead = true;
	assert_int_equal(volume_submit(s->v, io->io), 0);
	while (io->is_busy)
		story_pass_time(s);
	s->is_dead = false;
	memcpy(to, io->buffer, ORACLE_BLOCK);
	return 0;
}

/* A6: what is read once is what is there: again, and after the resync. */
void story_settle_on_what_is_read(struct story *s)
{
	uint8_t data[ORACLE_BLOCK], again[ORACLE_BLOCK];
	uint32_t block;

	for (block = 0; block < s->blocks; block++) {
		read_block(s, block, data);
		read_block(s, block, again);
		assert_memory_equal(data, again, ORACLE_BLOCK);
		oracle_settle(s->o, block, data);
	}
}
