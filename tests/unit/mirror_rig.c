/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/unit/mirror_rig.h"

#include <stdlib.h>
#include <string.h>

#include "base/arith.h"
#include "bitmap/md_sb.h"

static uint64_t rig_now(void *owner)
{
	return mr_now(owner);
}

static void disk_failed(void *owner, uint32_t role, const struct err *why)
{
	struct mirror_rig *rig = owner;

	assert_false(rig->failed >> role & 1); /* once a disk */
	rig->failed |= 1u << role;
	rig->failed_calls++;
	memcpy(rig->why, why->text, sizeof(rig->why));
	if (rig->is_known_at_once)
		mirror_failure_known(rig->m, role);
}

static void unreadable(void *owner, uint64_t low, uint64_t high)
{
	struct mirror_rig *rig = owner;

	if (rig->unreadable_calls < 16) {
		rig->unreadable[rig->unreadable_calls].low = low;
		rig->unreadable[rig->unreadable_calls].high = high;
	}
	rig->unreadable_calls++;
}

static void corrected(void *owner, uint32_t role, uint64_t low, uint64_t high,
		      uint64_t sectors)
{
	struct mirror_rig *rig = owner;

	rig->corrected_calls++;
	rig->corrected_role = role;
	rig->corrected_low = low;
	rig->corrected_high = high;
	rig->corrected_sectors += sectors;
}

static const struct mirror_ops ops = { .now = rig_now, .disk_failed = disk_failed,
				       .unreadable = unreadable, .corrected = corrected };

struct mirror_config mr_config(uint32_t disks, uint32_t near, uint32_t chunk_sectors)
{
	return (struct mirror_config){
		.level = near ? MD_LEVEL_RAID10 : MD_LEVEL_RAID1,
		.layout = near | 0x100,
		.chunk_sectors = chunk_sectors,
		.member_sectors = MR_MEMBER_BYTES / 512,
		.raid_disks = disks,
		.bitmap_chunk_sectors = MR_BITMAP_CHUNK,
		.hang_ns = MR_HANG_NS,
		.max_read_errors = MIRROR_READ_ERRORS,
	};
}

static struct disk *new_disk(struct mirror_rig *rig, uint32_t i)
{
	char name[2] = { (char)('a' + i), 0 };

	return disk_mem_new(rig->world, name, MR_DATA_OFFSET * 512 + MR_MEMBER_BYTES);
}

uint32_t mr_add_disk(struct mirror_rig *rig)
{
	assert_true(rig->count < MR_DISKS);
	rig->disks[rig->count] = new_disk(rig, rig->count);
	return rig->count++;
}

struct mirror_rig *mr_new_config(const struct mirror_config *given)
{
	struct mirror_rig *rig = calloc(1, sizeof(*rig));
	struct mirror_config config = *given;
	struct err err = ERR_INIT;
	uint32_t i;

	assert_non_null(rig);
	rig->world = disk_world_new(1);
	rig->intent = fake_intent_new();
	rig->count = config.raid_disks;
	config.intent = rig->intent;
	for (i = 0; i < rig->count; i++) {
		rig->disks[i] = new_disk(rig, i);
		config.disks[i].disk = rig->disks[i];
		config.disks[i].data_offset = MR_DATA_OFFSET;
	}
	rig->m = mirror_new(&config, &ops, rig, &err);
	if (!rig->m)
		fail_msg("%s", err.text);
	rig->volume = mirror_volume(rig->m);
	mirror_set_gate(rig->m, true, UINT64_MAX);
	return rig;
}

struct mirror_rig *mr_new(uint32_t disks, uint32_t near, uint32_t chunk_sectors)
{
	struct mirror_config config = mr_config(disks, near, chunk_sectors);

	return mr_new_config(&config);
}

void mr_free(struct mirror_rig *rig)
{
	struct mr_request stop;
	uint32_t i;

	mr_request_init(&stop);
	memset(rig->is_frozen, 0, sizeof(rig->is_frozen));
	mirror_stop(rig->m, &stop.req);
	mr_run(rig);
	assert_int_equal(stop.calls, 1);
	mirror_free(rig->m);
	intent_free(rig->intent);
	for (i = 0; i < rig->count; i++)
		disk_close(rig->disks[i]);
	disk_world_free(rig->world);
	free(rig);
}

/* --- time --------------------------------------------------------------------------------- */

uint64_t mr_now(const struct mirror_rig *rig)
{
	return disk_world_now_ns(rig->world) + rig->bias_ns;
}

static bool has_other_frozen(const struct mirror_rig *rig)
{
	uint32_t i;

	for (i = 0; i < rig->count; i++)
		if (rig->is_frozen[i])
			return true;
	return false;
}

static bool is_frozen(const struct mirror_rig *rig, const struct disk *disk)
{
	uint32_t i;

	for (i = 0; i < rig->count; i++)
		if (rig->disks[i] == disk)
			return rig->is_frozen[i];
	return false;
}

/*
 * Frozen disks are passed by: what they do takes effect in its time, and is not told. As
 * disk_world_next() may name them for ever, the others are asked in turn then.
 */
static bool pump_past_frozen(struct mirror_rig *rig, uint64_t deadline)
{
	uint64_t to = disk_world_now_ns(rig->world) + 100000;
	uint32_t i;
	bool is_any = false;

	for (i = 0; i < rig->count; i++)
		is_any |= !rig->is_frozen[i] && rig->disks[i]->in_flight > 0;
	if (!is_any) {
		if (deadline == UINT64_MAX)
			return false;
		if (deadline > mr_now(rig))
			disk_world_advance(rig->world, deadline - rig->bias_ns);
		return true;
	}
	disk_world_advance(rig->world, to);
	for (i = 0; i < rig->count; i++)
		if (!rig->is_frozen[i] && rig->disks[i]->in_flight > 0)
			disk_pump(rig->disks[i], 0);
	return true;
}

bool mr_step(struct mirror_rig *rig)
{
	uint64_t at, deadline = mirror_deadline(rig->m);
	struct disk *disk = disk_world_next(rig->world, &at);

	if (deadline <= mr_now(rig)) {
		mirror_advance(rig->m, mr_now(rig));
		return true;
	}
	if (has_other_frozen(rig)) {
		if (!pump_past_frozen(rig, deadline))
			return false;
	} else if (disk && at + rig->bias_ns <= deadline) {
		assert_false(is_frozen(rig, disk));
		disk_pump(disk, 0);
	} else if (deadline != UINT64_MAX) {
		disk_world_advance(rig->world, deadline - rig->bias_ns);
	} else {
		return false;
	}
	mirror_advance(rig->m, mr_now(rig));
	return true;
}

void mr_run(struct mirror_rig *rig)
{
	unsigned int steps = 0;

	while (mr_step(rig))
		assert_true(++steps < 1000000);
}

void mr_run_ns(struct mirror_rig *rig, uint64_t ns)
{
	uint64_t end = mr_now(rig) + ns;

	while (mr_now(rig) < end && mr_step(rig))
		;
}

/* --- ios ---------------------------------------------------------------------------------- */

static void io_done(struct volume_io *io, int result)
{
	struct mr_io *mine = io->owner;

	mine->calls++;
	mine->result = result;
	mine->was_held = io->is_held;
	mine->done_at_ns = mr_now(mine->rig);
}

static void io_released(struct volume_io *io)
{
	struct mr_io *mine = io->owner;

	assert_int_equal(mine->calls, 1);
	mine->released++;
}

struct mr_io *mr_submit(struct mirror_rig *rig, enum volume_op op, uint64_t offset,
			uint64_t length, int byte, uint32_t flags)
{
	struct mr_io *mine = calloc(1, sizeof(*mine));
	int r;

	assert_non_null(mine);
	mine->rig = rig;
	mine->io = malloc(rig->volume->io_bytes);
	assert_non_null(mine->io);
	memset(mine->io, 0xa5, rig->volume->io_bytes); /* whatever was in it */
	if (op == VOLUME_READ || op == VOLUME_WRITE) {
		mine->buffer = disk_buffer_new(length);
		memset(mine->buffer, op == VOLUME_WRITE ? byte : 0xee, length);
	}
	*mine->io = (struct volume_io){
		.op = op,
		.flags = flags,
		.offset_bytes = offset,
		.length_bytes = length,
		.buffer = mine->buffer,
		.done = io_done,
		.released = io_released,
		.owner = mine,
	};
	r = volume_submit(rig->volume, mine->io);
	assert_int_equal(r, 0);
	assert_int_equal(mine->calls, 0); /* never from within submit */
	return mine;
}

int mr_wait(struct mr_io *io)
{
	unsigned int steps = 0;

	while (io->calls == 0) {
		assert_true(mr_step(io->rig));
		assert_true(++steps < 1000000);
	}
	return io->result;
}

void mr_io_free(struct mr_io *io)
{
	assert_int_equal(io->calls, 1);
	assert_int_equal(io->released, io->was_held);
	free(io->buffer);
	free(io->io);
	free(io);
}

int mr_do(struct mirror_rig *rig, enum volume_op op, uint64_t offset, uint64_t length,
	  int byte, uint32_t flags)
{
	struct mr_io *io = mr_submit(rig, op, offset, length, byte, flags);
	int r = mr_wait(io);

	mr_io_free(io);
	return r;
}

int mr_write(struct mirror_rig *rig, uint64_t offset, uint64_t length, int byte)
{
	return mr_do(rig, VOLUME_WRITE, offset, length, byte, 0);
}

static int byte_of(const uint8_t *buffer, uint64_t length)
{
	uint64_t i;

	for (i = 1; i < length; i++)
		if (buffer[i] != buffer[0])
			return -1;
	return buffer[0];
}

int mr_read(struct mirror_rig *rig, uint64_t offset, uint64_t length)
{
	struct mr_io *io = mr_submit(rig, VOLUME_READ, offset, length, 0, 0);
	int byte;

	assert_int_equal(mr_wait(io), 0);
	byte = byte_of(io->buffer, length);
	mr_io_free(io);
	return byte;
}

/* --- disks -------------------------------------------------------------------------------- */

static uint64_t place(uint64_t offset)
{
	return MR_DATA_OFFSET * 512ull + offset;
}

int mr_on_disk(struct mirror_rig *rig, uint32_t role, uint64_t offset, uint64_t length)
{
	uint8_t *buffer = malloc(length);
	int byte;

	assert_non_null(buffer);
	disk_mem_peek(rig->disks[role], place(offset), buffer, length);
	byte = byte_of(buffer, length);
	free(buffer);
	return byte;
}

void mr_poke(struct mirror_rig *rig, uint32_t role, uint64_t offset, uint64_t length,
	     int byte)
{
	uint8_t *buffer = malloc(length);

	assert_non_null(buffer);
	memset(buffer, byte, length);
	disk_mem_poke(rig->disks[role], place(offset), buffer, length);
	free(buffer);
}

void mr_unreadable(struct mirror_rig *rig, uint32_t role, uint64_t offset, uint64_t length)
{
	disk_mem_set_unreadable(rig->disks[role], place(offset), length);
}

uint64_t mr_unreadable_bytes(struct mirror_rig *rig, uint32_t role)
{
	return disk_mem_unreadable_bytes(rig->disks[role], place(0), MR_MEMBER_BYTES);
}

void mr_fault(struct mirror_rig *rig, uint32_t role, enum disk_mem_fault fault,
	      uint64_t offset, uint64_t length)
{
	disk_mem_set_fault(rig->disks[role], fault, place(offset), length);
}

static void request_done(void *owner, struct mirror_request *req, int result)
{
	struct mr_request *r = owner;

	assert_ptr_equal(&r->req, req);
	r->calls++;
	r->result = result;
}

void mr_request_init(struct mr_request *r)
{
	*r = (struct mr_request){ .req = { .done = request_done, .owner = r } };
}

struct mirror_look mr_look(struct mirror_rig *rig)
{
	struct mirror_look look;

	mirror_look(rig->m, &look);
	return look;
}
