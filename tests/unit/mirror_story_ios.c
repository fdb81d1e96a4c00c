/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Stories of a mirror: what programs do, and disks that fail, hang and come back. */
#include "tests/unit/mirror_story.h"

#include <string.h>

#include "base/arith.h"
#include "bitmap/bits.h"
#include "tests/unit/help.h"

uint64_t story_draw(struct story *s, uint64_t below)
{
	uint64_t z = s->random += 0x9e3779b97f4a7c15;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
	z = (z ^ z >> 27) * 0x94d049bb133111eb;
	return (z ^ z >> 31) % below;
}

bool story_chance(struct story *s, uint64_t per_mille)
{
	return story_draw(s, 1000) < per_mille;
}

uint64_t story_now(void *owner)
{
	const struct story *s = owner;

	return disk_world_now_ns(s->world);
}

uint64_t story_data_bytes(uint32_t role)
{
	(void)role;
	return DATA_SECTORS * 512;
}

/* --- disks that fail ---------------------------------------------------------------------- */

void story_disk_failed(void *owner, uint32_t role, const struct err *why)
{
	struct story *s = owner;

	(void)why;
	assert_false(s->failed >> role & 1);
	s->failed |= 1u << role;
}

void story_known(struct story *s, uint32_t role)
{
	s->out |= 1u << role; /* the superblocks say so from here on */
	s->failed &= ~(1u << role);
	s->readd[role].step = OUT;
	s->readd[role].rebuilt_to = 0;
	mirror_failure_known(s->m, role);
}

void story_intent_failed(void *owner, uint32_t role, int error)
{
	struct story *s = owner;

	mirror_intent_failed(s->m, role, error);
}

/* A disk that is out comes back, or another in its place, as the array's states have it: D10. */
static void changed(void *owner, struct mirror_change *c, int result)
{
	struct story *s = owner;
	struct readd *r = &s->readd[c->role];

	r->is_changing = false;
	if (s->is_dead || (s->failed >> c->role & 1))
		return;
	if (result == 0 && c->state != MIRROR_DISK_IN_SYNC)
		story_readd_next(s, c->role);
	else if (result < 0)
		r->step = OUT; /* once more */
}

static void change(struct story *s, uint32_t role, enum mirror_disk_state state)
{
	struct readd *r = &s->readd[role];

	r->is_changing = true;
	r->change = (struct mirror_change){
		.role = role,
		.state = state,
		.is_degraded = s->out != 0,
		.disk = state == MIRROR_DISK_REBUILD ? s->disks[role] : NULL,
		.data_offset = DATA_SECTORS,
		.bitmap_start_bytes = BITMAP_BYTES,
		.is_by_bitmap = !r->is_other,
		.done = changed,
		.owner = s,
	};
	mirror_change_disk(s->m, &r->change);
}

/* What is on it is of no array. */
static void put_another(struct story *s, uint32_t role)
{
	memset(s->scratch, 0xee, MEMBER_SECTORS * 512);
	disk_mem_poke(s->disks[role], story_data_bytes(role), s->scratch, MEMBER_SECTORS * 512);
	disk_mem_poke(s->disks[role], BITMAP_BYTES, s->scratch, s->geo.slot_bytes);
	s->readd[role].is_other = true;
}

static void come(struct story *s, uint32_t role)
{
	disk_mem_set_fault(s->disks[role], DISK_MEM_NO_FAULT, 0, 0);
	if (!s->is_settling && story_chance(s, 100))
		disk_mem_set_fault(s->disks[role], DISK_MEM_FAIL_WRITES, 0, BITMAP_BYTES + 4096);
	if (!s->is_drained && story_chance(s, 400))
		put_another(s, role);
	s->readd[role].rebuilt_to = 0;
	change(s, role, MIRROR_DISK_REBUILD);
}

void story_readd_next(struct story *s, uint32_t role)
{
	struct readd *r = &s->readd[role];

	if (r->is_changing || (s->failed >> role & 1)) /* failed again meanwhile */
		return;
	r->step++;
	switch (r->step) {
	case OUT:
		break;
	case LEAVING:
		change(s, role, MIRROR_DISK_MISSING);
		break;
	case COMING:
		come(s, role);
		break;
	case COPYING:
		break; /* story_look_at_sync() */
	case ENTERING:
		s->out &= ~(1u << role);
		r->is_other = false;
		change(s, role, MIRROR_DISK_IN_SYNC);
		break;
	}
}

/* --- ios ---------------------------------------------------------------------------------- */

void story_check_read(const struct io *io)
{
	uint32_t i;

	for (i = 0; i < io->count; i++)
		if (!oracle_may_read(io->s->o, io->first + i, io->began,
				     io->buffer + (size_t)i * ORACLE_BLOCK))
			fail_msg("block %u: nobody wrote that, or it is gone",
				 io->first + i);
}

void story_done(struct volume_io *vio, int result)
{
	struct io *io = vio->owner;
	struct story *s = io->s;

	io->is_busy = vio->is_held;
	io->is_left = vio->is_held;
	if (s->is_dead)
		return;
	if (result < 0)
		s->had_error = true;
	if (vio->op == VOLUME_READ && result == 0)
		story_check_read(io);
	if (vio->op == VOLUME_WRITE || vio->op == VOLUME_ZERO)
		oracle_end(s->o, io->number, io->first, io->count, result == 0,
			   vio->flags & VOLUME_FUA);
	if (vio->op == VOLUME_FLUSH && result == 0)
		oracle_flushed(s->o, io->began);
}

void story_released(struct volume_io *vio)
{
	struct io *io = vio->owner;

	assert_true(io->is_left);
	io->is_busy = false;
	io->is_left = false;
}

static struct io *free_io(struct story *s)
{
	struct io *io = &s->ios[story_draw(s, IOS)];

	return io->is_busy ? NULL : io;
}

static void fill(struct io *io)
{
	uint32_t i;

	for (i = 0; i < io->count; i++)
		oracle_fill(io->number, io->first + i,
			    io->buffer + (size_t)i * ORACLE_BLOCK);
}

void story_submit_one(struct story *s)
{
	static const enum volume_op ops[] = { VOLUME_WRITE, VOLUME_WRITE, VOLUME_WRITE,
					      VOLUME_READ, VOLUME_READ, VOLUME_READ,
					      VOLUME_FLUSH, VOLUME_ZERO };
	struct io *io = free_io(s);
	enum volume_op op = ops[story_draw(s, ARRAY_SIZE(ops))];
	uint32_t hot = story_chance(s, 500) ? 16 : s->blocks;

	if (!io)
		return;
	io->first = (uint32_t)story_draw(s, hot);
	io->count = 1 + (uint32_t)story_draw(s, min_u64(IO_BLOCKS, s->blocks - io->first));
	*io->io = (struct volume_io){
		.op = op,
		.flags = op != VOLUME_READ && op != VOLUME_FLUSH && story_chance(s, 300) ?
				 VOLUME_FUA :
				 0,
		.offset_bytes = (uint64_t)io->first * ORACLE_BLOCK,
		.length_bytes = (uint64_t)io->count * ORACLE_BLOCK,
		.buffer = io->buffer,
		.done = story_done,
		.released = story_released,
		.owner = io,
	};
	if (op == VOLUME_FLUSH)
		io->io->offset_bytes = io->io->length_bytes = 0;
	io->is_busy = true;
	io->began = oracle_now(s->o);
	if (op == VOLUME_WRITE || op == VOLUME_ZERO)
		io->number = oracle_begin(s->o, io->first, io->count, op == VOLUME_ZERO);
	if (op == VOLUME_WRITE)
		fill(io);
	assert_int_equal(volume_submit(s->v, io->io), 0);
}
