/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Stories of a mirror with its write intent, by seeds: ios that overlap, flushes, zeroes,
 * gates that shut, ranges that are suspended, disks that fail, hang and come back, resyncs,
 * checks and repairs, and the power cut at any moment, after which another mirror goes on
 * with what the disks have. At every moment:
 *
 *	reads return what was written last, or is being written (mirror_oracle.h)
 *	nothing changes in a range that is suspended, nor anything while drained
 * after a power cut, and at the end:
 *	what was durable is on every disk in sync
 *	disks in sync are equal but for the chunks whose bits are set
 *
 * MIRROR_STORIES=n runs so many; MIRROR_SEED=n one of them.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/arith.h"
#include "bitmap/bits.h"
#include "bitmap/md_sb.h"
#include "bitmap/slot.h"
#include "mdclusterd/mirror/mirror.h"
#include "tests/unit/help.h"
#include "tests/unit/mirror_oracle.h"

enum {
	DISKS = 4,
	IOS = 16,
	IO_BLOCKS = 16,
	MEMBER_SECTORS = 1024,   /* 128 blocks */
	CHUNK = 16384,           /* of the bitmap */
	BITMAP_BYTES = 8192,     /* its place */
	DATA_SECTORS = 64,
	SLOTS = 3,
	EPOCHS = 3,
	STEPS = 400,
	HANG_NS = 20000000,
};

static const uint64_t block_sectors = ORACLE_BLOCK / 512;

struct story;

struct io {
	struct story *s;
	struct volume_io *io;
	uint8_t *buffer;
	uint64_t number, began;
	uint32_t first, count;
	bool is_busy, is_left;   /* left: hung, not released */
};

struct readd {
	enum { OUT, LEAVING, LOGGING, JOINING, NEEDING, COPYING, ENTERING } step;
	struct mirror_request request;
	struct intent_request log;
	uint8_t *map;
};

struct story {
	uint64_t random;
	struct disk_world *world;
	struct disk *disks[DISKS];
	uint32_t count;          /* of disks */
	struct mirror_config config;
	struct bitmap_geometry geo;
	struct bitmap_slot slot;
	struct intent *in;
	struct mirror *m;
	struct volume *v;
	struct oracle *o;
	uint32_t blocks;
	struct io ios[IOS];
	bool is_dead;            /* the power is cut: what is told now counts for nothing */
	bool is_settling;        /* no more trouble */
	bool had_error;          /* of the client's: copies may differ, bits are set */

	uint32_t out;            /* roles that the superblocks say are not in sync */
	uint32_t failed;         /* told, and not all know */
	struct readd readd[DISKS];
	bool is_frozen[DISKS];

	bool is_open;
	struct mirror_request drain;
	bool is_draining, is_drained;
	uint8_t *kept[DISKS];    /* what the disks had when it was drained */

	struct {
		struct mirror_request request;
		uint64_t low, high;  /* sectors; what is in force */
		uint64_t new_low, new_high;
		bool is_pending;
		uint8_t *kept;
	} suspends[SLOTS];

	struct mirror_sync sync;
	bool is_syncing;
	struct mirror_request stop;
	bool is_stopped;
	uint8_t *scratch;
};

static uint64_t draw(struct story *s, uint64_t below)
{
	uint64_t z = s->random += 0x9e3779b97f4a7c15;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
	z = (z ^ z >> 27) * 0x94d049bb133111eb;
	return (z ^ z >> 31) % below;
}

static bool chance(struct story *s, uint64_t per_mille)
{
	return draw(s, 1000) < per_mille;
}

static uint64_t story_now(void *owner)
{
	const struct story *s = owner;

	return disk_world_now_ns(s->world);
}

static uint64_t data_bytes(uint32_t role)
{
	(void)role;
	return DATA_SECTORS * 512;
}

/* --- disks that fail ---------------------------------------------------------------------- */

static void disk_failed(void *owner, uint32_t role, const struct err *why)
{
	struct story *s = owner;

	(void)why;
	assert_false(s->failed >> role & 1);
	s->failed |= 1u << role;
}

static void known(struct story *s, uint32_t role)
{
	s->out |= 1u << role; /* the superblocks say so from here on */
	s->failed &= ~(1u << role);
	s->readd[role].step = OUT;
	mirror_failure_known(s->m, role);
}

static void intent_failed(void *owner, uint32_t role, int error)
{
	struct story *s = owner;

	mirror_intent_failed(s->m, role, error);
}

/* A disk that is out comes back, as the array's states would have it: D10. */
static void readd_next(struct story *s, uint32_t role);

static void readd_answer(void *owner, struct mirror_request *req, int result)
{
	struct story *s = owner;
	uint32_t role;

	for (role = 0; role < s->count; role++)
		if (&s->readd[role].request == req && result == 0 && !s->is_dead)
			readd_next(s, role);
}

static void readd_logged(void *owner, struct intent_request *req, int result)
{
	struct story *s = owner;
	uint32_t role;

	for (role = 0; role < s->count; role++)
		if (&s->readd[role].log == req && result == 0 && !s->is_dead)
			readd_next(s, role);
}

static bool is_role_well(const struct story *s, uint32_t role)
{
	return !(s->failed >> role & 1);
}

static void readd_next(struct story *s, uint32_t role)
{
	struct readd *r = &s->readd[role];

	if (!is_role_well(s, role)) /* failed again meanwhile */
		return;
	r->request = (struct mirror_request){ .done = readd_answer, .owner = s };
	r->log = (struct intent_request){ .done = readd_logged, .owner = s };
	r->step++;
	switch (r->step) {
	case OUT:
		break;
	case LEAVING:
		mirror_set_disk(s->m, role, MIRROR_DISK_MISSING, NULL, 0, &r->request);
		break;
	case LOGGING:
		disk_mem_set_fault(s->disks[role], DISK_MEM_NO_FAULT, 0, 0);
		intent_set_disk(s->in, role, s->disks[role], BITMAP_BYTES, &r->log);
		break;
	case JOINING:
		mirror_set_disk(s->m, role, MIRROR_DISK_REBUILD, s->disks[role],
				DATA_SECTORS, &r->request);
		break;
	case NEEDING:
		memcpy(r->map, s->slot.bits, bits_bytes(s->geo.chunks));
		intent_need(s->in, r->map, &r->log);
		break;
	case COPYING:
		break; /* look_at_sync() */
	case ENTERING:
		s->out &= ~(1u << role);
		mirror_set_disk(s->m, role, MIRROR_DISK_IN_SYNC, NULL, 0, NULL);
		intent_set_degraded(s->in, s->out != 0 || mirror_has_failing(s->m));
		break;
	}
}

/* --- ios ---------------------------------------------------------------------------------- */

static void check_read(const struct io *io)
{
	uint32_t i;

	for (i = 0; i < io->count; i++)
		if (!oracle_may_read(io->s->o, io->first + i, io->began,
				     io->buffer + (size_t)i * ORACLE_BLOCK))
			fail_msg("block %u: nobody wrote that, or it is gone",
				 io->first + i);
}

static void done(struct volume_io *vio, int result)
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
		check_read(io);
	if (vio->op == VOLUME_WRITE || vio->op == VOLUME_ZERO)
		oracle_end(s->o, io->number, io->first, io->count, result == 0,
			   vio->flags & VOLUME_FUA);
	if (vio->op == VOLUME_FLUSH && result == 0)
		oracle_flushed(s->o, io->began);
}

static void released(struct volume_io *vio)
{
	struct io *io = vio->owner;

	assert_true(io->is_left);
	io->is_busy = false;
	io->is_left = false;
}

static struct io *free_io(struct story *s)
{
	struct io *io = &s->ios[draw(s, IOS)];

	return io->is_busy ? NULL : io;
}

static void fill(struct io *io)
{
	uint32_t i;

	for (i = 0; i < io->count; i++)
		oracle_fill(io->number, io->first + i,
			    io->buffer + (size_t)i * ORACLE_BLOCK);
}

static void submit_one(struct story *s)
{
	static const enum volume_op ops[] = { VOLUME_WRITE, VOLUME_WRITE, VOLUME_WRITE,
					      VOLUME_READ, VOLUME_READ, VOLUME_READ,
					      VOLUME_FLUSH, VOLUME_ZERO };
	struct io *io = free_io(s);
	enum volume_op op = ops[draw(s, ARRAY_SIZE(ops))];
	uint32_t hot = chance(s, 500) ? 16 : s->blocks;

	if (!io)
		return;
	io->first = (uint32_t)draw(s, hot);
	io->count = 1 + (uint32_t)draw(s, min_u64(IO_BLOCKS, s->blocks - io->first));
	*io->io = (struct volume_io){
		.op = op,
		.flags = op != VOLUME_READ && op != VOLUME_FLUSH && chance(s, 300) ?
				 VOLUME_FUA :
				 0,
		.offset_bytes = (uint64_t)io->first * ORACLE_BLOCK,
		.length_bytes = (uint64_t)io->count * ORACLE_BLOCK,
		.buffer = io->buffer,
		.done = done,
		.released = released,
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

/* --- gate --------------------------------------------------------------------------------- */

static void keep_data(struct story *s, uint32_t role, uint8_t *to)
{
	disk_mem_peek(s->disks[role], data_bytes(role), to, MEMBER_SECTORS * 512);
}

static void expect_kept(struct story *s)
{
	uint32_t role;

	for (role = 0; role < s->count; role++) {
		keep_data(s, role, s->scratch);
		assert_memory_equal(s->scratch, s->kept[role], MEMBER_SECTORS * 512);
	}
}

static void drained(void *owner, struct mirror_request *req, int result)
{
	struct story *s = owner;
	uint32_t role;

	(void)req;
	s->is_draining = false;
	if (result < 0 || s->is_dead)
		return;
	s->is_drained = true;
	for (role = 0; role < s->count; role++)
		keep_data(s, role, s->kept[role]);
}

static void flip_gate(struct story *s)
{
	if (s->is_open && chance(s, 500)) {
		s->is_open = false;
		mirror_set_gate(s->m, false, UINT64_MAX);
	} else if (s->is_open) {
		s->is_open = false;
		s->is_draining = true;
		s->drain = (struct mirror_request){ .done = drained, .owner = s };
		mirror_drain(s->m, &s->drain);
	} else {
		if (s->is_drained)
			expect_kept(s);
		s->is_drained = false;
		s->is_open = true;
		mirror_set_gate(s->m, true,
				chance(s, 500) ? UINT64_MAX :
						 story_now(s) + 1 + draw(s, 5000000));
	}
}

/* --- suspended ranges ----------------------------------------------------------------------- */

static uint8_t *keep_all(struct story *s)
{
	uint8_t *all = malloc((size_t)s->count * MEMBER_SECTORS * 512);
	uint32_t role;

	assert_non_null(all);
	for (role = 0; role < s->count; role++)
		keep_data(s, role, all + (size_t)role * MEMBER_SECTORS * 512);
	return all;
}

static uint32_t near_of(const struct story *s)
{
	return s->config.level == MD_LEVEL_RAID10 ? s->config.layout & 0xff : s->count;
}

/* Where a copy of a block is, in bytes of a member: the formula, once more. */
static uint64_t place(const struct story *s, uint32_t block, uint32_t copy, uint32_t *role)
{
	uint64_t at = block * block_sectors, chunk, cell;

	*role = copy;
	if (s->config.level != MD_LEVEL_RAID10)
		return at * 512;
	chunk = at / s->config.chunk_sectors;
	cell = chunk * near_of(s) + copy;
	*role = (uint32_t)(cell % s->count);
	return (cell / s->count * s->config.chunk_sectors +
		at % s->config.chunk_sectors) * 512;
}

static void expect_range_kept(struct story *s, uint32_t slot)
{
	uint8_t *kept = s->suspends[slot].kept, *now = keep_all(s);
	uint32_t block, copy, role;

	for (block = 0; kept && block < s->blocks; block++) {
		uint64_t low = block * block_sectors, high = low + block_sectors;

		if (low < s->suspends[slot].low || high > s->suspends[slot].high)
			continue;
		for (copy = 0; copy < near_of(s); copy++) {
			uint64_t at = place(s, block, copy, &role);

			if ((s->out | s->failed) >> role & 1)
				continue; /* a disk that hung may still write */
			at += (uint64_t)role * MEMBER_SECTORS * 512;
			if (memcmp(now + at, kept + at, ORACLE_BLOCK) != 0)
				fail_msg("block %u of disk %u changed in slot %u's range",
					 block, role, slot);
		}
	}
	free(now);
	free(kept);
	s->suspends[slot].kept = NULL;
}

static void suspended(void *owner, struct mirror_request *req, int result)
{
	struct story *s = owner;
	uint32_t slot;

	for (slot = 0; slot < SLOTS; slot++)
		if (&s->suspends[slot].request == req)
			break;
	s->suspends[slot].is_pending = false;
	if (s->is_dead)
		return;
	assert_true(result == 0 || result == -EBUSY);
	if (result == 0) {
		s->suspends[slot].low = s->suspends[slot].new_low;
		s->suspends[slot].high = s->suspends[slot].new_high;
	}
	s->suspends[slot].kept = keep_all(s);
}

static void suspend(struct story *s, uint32_t slot, uint64_t low, uint64_t high)
{
	if (s->suspends[slot].is_pending)
		return;
	expect_range_kept(s, slot); /* the old one may go at any time from here on */
	s->suspends[slot].is_pending = true;
	s->suspends[slot].new_low = low;
	s->suspends[slot].new_high = high;
	s->suspends[slot].request =
		(struct mirror_request){ .done = suspended, .owner = s };
	mirror_suspend(s->m, slot, low, high, &s->suspends[slot].request);
}

static void suspend_something(struct story *s)
{
	uint64_t sectors = s->v->size_bytes / 512;
	uint64_t low = draw(s, sectors), high = low + draw(s, sectors / 3);

	if (chance(s, 400))
		low = high = 0;
	suspend(s, (uint32_t)draw(s, SLOTS), low, min_u64(high, sectors));
}

/* --- resync ------------------------------------------------------------------------------- */

static void sync_done(void *owner, struct mirror_sync *sync, int result)
{
	struct story *s = owner;

	(void)sync;
	assert_true(result == 0 || result == -ECANCELED || result == -EIO);
	s->is_syncing = false;
}

static void begin_sync(struct story *s)
{
	uint64_t high, low;

	s->sync = (struct mirror_sync){ .done = sync_done, .owner = s };
	if (intent_needed_count(s->in) > 0) {
		low = mirror_window(s->m, 0, (1 + draw(s, 8)) * CHUNK,
				    (1 + draw(s, 16)) * CHUNK, &high);
		s->sync.kind = chance(s, 500) ? MIRROR_SYNC_COPY : MIRROR_SYNC_COMPARE;
	} else {
		low = draw(s, s->v->size_bytes / 512);
		high = s->v->size_bytes / 512;
		s->sync.kind = chance(s, 500) ? MIRROR_SYNC_CHECK : MIRROR_SYNC_REPAIR;
	}
	s->sync.low = round_down(low, 8);
	s->sync.high = high;
	s->is_syncing = mirror_sync_begin(s->m, &s->sync) == 0;
	assert_true(s->is_syncing);
}

static void look_at_sync(struct story *s)
{
	uint32_t role;

	if (!s->is_syncing && (intent_needed_count(s->in) > 0 || chance(s, 20)))
		begin_sync(s);
	for (role = 0; role < s->count; role++)
		if (!s->is_syncing && s->readd[role].step == COPYING && intent_needed_count(s->in) == 0 &&
		    (s->out >> role & 1))
			readd_next(s, role);
}

/* --- time --------------------------------------------------------------------------------- */

static void pass_time(struct story *s)
{
	uint32_t role;

	disk_world_advance(s->world, story_now(s) + 1000 + draw(s, 100000));
	for (role = 0; role < s->count; role++)
		if (!s->is_frozen[role] && s->disks[role]->in_flight > 0)
			disk_pump(s->disks[role], 0);
	/* in any order, as two pollers would have it */
	if (mirror_deadline(s->m) <= story_now(s))
		mirror_advance(s->m, story_now(s));
	if (intent_deadline(s->in) <= story_now(s))
		intent_advance(s->in, story_now(s));
	if (mirror_deadline(s->m) <= story_now(s))
		mirror_advance(s->m, story_now(s));
}

static void trouble(struct story *s)
{
	uint32_t role = (uint32_t)draw(s, s->count);
	bool is_whole = s->out == 0 && intent_needed_count(s->in) == 0;

	if (chance(s, 10))
		flip_gate(s);
	if (chance(s, 20))
		suspend_something(s);
	if (chance(s, 5))
		mirror_set_single_source(s->m, chance(s, 500));
	/* before a resync is over a source that fails takes with it what only it had */
	if (is_whole && chance(s, 4))
		disk_mem_set_fault(s->disks[role],
				   chance(s, 700) ? DISK_MEM_FAIL_WRITES :
						    DISK_MEM_FAIL_READS,
				   draw(s, 600000), draw(s, 200000));
	if (chance(s, 3))
		disk_mem_set_fault(s->disks[role], DISK_MEM_NO_FAULT, 0, 0);
	if (is_whole && chance(s, 2))
		s->is_frozen[role] = true;
	if (chance(s, 10))
		s->is_frozen[role] = false;
	if (s->is_syncing && chance(s, 5))
		mirror_sync_cancel(s->m, &s->sync);
}

static void cluster(struct story *s)
{
	uint32_t role;

	for (role = 0; role < s->count; role++) {
		if ((s->failed >> role & 1) && (s->is_settling || chance(s, 50)))
			known(s, role);
		else if ((s->out >> role & 1) && s->readd[role].step == OUT &&
			 (s->is_settling || chance(s, 30)))
			readd_next(s, role);
	}
}

static void step(struct story *s)
{
	if (!s->is_settling) {
		while (chance(s, 600))
			submit_one(s);
		trouble(s);
	}
	cluster(s);
	look_at_sync(s);
	pass_time(s);
}

/* --- a life ------------------------------------------------------------------------------- */

static const struct mirror_ops mirror_ops = { .now = story_now,
					      .disk_failed = disk_failed };
static const struct intent_ops intent_ops = { .now = story_now,
					      .failed = intent_failed };

static void load_slot(struct story *s)
{
	struct bitmap_copy copies[DISKS];
	struct err err = ERR_INIT;
	uint32_t role, n = 0;

	for (role = 0; role < s->count; role++)
		if (!(s->out >> role & 1))
			copies[n++] = (struct bitmap_copy){ .disk = s->disks[role],
							    .start_bytes = BITMAP_BYTES,
							    .set_uuid = s->slot.sb.uuid };
	assert_ok(bitmap_slot_load(&s->slot, copies, n, false, &err), err);
}

static void start(struct story *s)
{
	struct intent_config log = { .slot = &s->slot,
				     .count = s->count,
				     .is_degraded = s->out != 0,
				     .budget_bytes = 6 * CHUNK,
				     .hang_ns = HANG_NS };
	struct mirror_config config = s->config;
	struct err err = ERR_INIT;
	uint32_t role;

	for (role = 0; role < s->count; role++) {
		s->readd[role].step = OUT;
		if (s->out >> role & 1)
			continue;
		log.copies[role].disk = s->disks[role];
		log.copies[role].start_bytes = BITMAP_BYTES;
		config.disks[role].disk = s->disks[role];
		config.disks[role].data_offset = DATA_SECTORS;
	}
	s->in = intent_new(&log, &intent_ops, s, &err);
	assert_non_null(s->in);
	config.intent = s->in;
	s->m = mirror_new(&config, &mirror_ops, s, &err);
	if (!s->m)
		fail_msg("%s", err.text);
	s->v = mirror_volume(s->m);
	s->is_open = true;
	mirror_set_gate(s->m, true, UINT64_MAX);
	for (role = 0; role < IOS; role++)
		s->ios[role].io = realloc(s->ios[role].io, s->v->io_bytes);
}

static void stopped(void *owner, struct mirror_request *req, int result)
{
	struct story *s = owner;

	(void)req;
	(void)result;
	s->is_stopped = true;
}

/* The process is gone; what disks have still they give back before its memory goes. */
static void end(struct story *s)
{
	uint32_t i, n = 0;

	s->is_dead = true;
	s->is_stopped = false;
	s->stop = (struct mirror_request){ .done = stopped, .owner = s };
	memset(s->is_frozen, 0, sizeof(s->is_frozen));
	mirror_stop(s->m, &s->stop);
	while (!s->is_stopped || !intent_is_idle(s->in)) {
		pass_time(s);
		if (s->is_stopped && !disk_world_has_power(s->world))
			break; /* it tries again and again */
		assert_true(++n < 100000);
	}
	for (i = 0; i < s->count; i++)
		while (s->disks[i]->in_flight > 0)
			disk_pump(s->disks[i], 0);
	for (i = 0; i < IOS; i++)
		assert_false(s->ios[i].is_busy);
	mirror_free(s->m);
	intent_free(s->in);
	for (i = 0; i < SLOTS; i++) {
		free(s->suspends[i].kept);
		memset(&s->suspends[i], 0, sizeof(s->suspends[i]));
	}
	s->is_dead = false;
	s->is_syncing = false;
	s->is_drained = false;
	s->is_draining = false;
	s->failed = 0;
}

/* --- what the disks have -------------------------------------------------------------------- */

static void peek(struct story *s, uint32_t block, uint32_t copy, uint8_t *to, uint32_t *role)
{
	uint64_t at = place(s, block, copy, role);

	disk_mem_peek(s->disks[*role], data_bytes(*role) + at, to, ORACLE_BLOCK);
}

static void expect_equal_but_marked(struct story *s, const uint8_t *marks)
{
	uint8_t first[ORACLE_BLOCK], other[ORACLE_BLOCK];
	uint32_t block, copy, role;

	for (block = 0; block < s->blocks; block++) {
		bool has_first = false;

		if (bits_test(marks, (uint64_t)block * ORACLE_BLOCK / CHUNK))
			continue;
		for (copy = 0; copy < near_of(s); copy++) {
			peek(s, block, copy, has_first ? other : first, &role);
			if (s->out >> role & 1)
				continue;
			if (has_first && memcmp(first, other, ORACLE_BLOCK) != 0)
				fail_msg("block %u differs on disk %u, and no bit is set",
					 block, role);
			has_first = true;
		}
	}
}

/* Where a bit is set, of the copy that will be read, and copied: others may be older. */
static void expect_survival(struct story *s)
{
	uint8_t data[ORACLE_BLOCK];
	uint32_t block, copy, role;

	for (block = 0; block < s->blocks; block++) {
		bool is_marked = bits_test(s->slot.bits,
					   (uint64_t)block * ORACLE_BLOCK / CHUNK);
		bool has_source = false;

		for (copy = 0; copy < near_of(s); copy++) {
			peek(s, block, copy, data, &role);
			if (s->out >> role & 1 || (is_marked && has_source))
				continue;
			has_source = true;
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
	io->began = UINT64_MAX; /* check_read() is not for this one */
	*io->io = (struct volume_io){ .op = VOLUME_READ,
				      .offset_bytes = (uint64_t)block * ORACLE_BLOCK,
				      .length_bytes = ORACLE_BLOCK,
				      .buffer = io->buffer,
				      .done = done,
				      .released = released,
				      .owner = io };
	io->is_busy = true;
	s->is_dead = true;
	assert_int_equal(volume_submit(s->v, io->io), 0);
	while (io->is_busy)
		pass_time(s);
	s->is_dead = false;
	memcpy(to, io->buffer, ORACLE_BLOCK);
	return 0;
}

/* A6: what is read once is what is there: again, and after the resync. */
static void settle_on_what_is_read(struct story *s)
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

static void cut_power(struct story *s)
{
	uint32_t role;

	disk_world_cut_power(s->world);
	end(s);
	disk_world_restore_power(s->world);
	for (role = 0; role < s->count; role++)
		disk_mem_set_fault(s->disks[role], DISK_MEM_NO_FAULT, 0, 0);
	load_slot(s);
	expect_survival(s);
	expect_equal_but_marked(s, s->slot.bits);
	start(s);
	settle_on_what_is_read(s);
}

/* All trouble ends; then all is well, and soon. */
static void settle(struct story *s)
{
	uint32_t role, slot, i, n = 0;
	bool is_busy = true;
	uint8_t *none = calloc(1, bits_bytes(s->geo.chunks));

	s->is_settling = true;
	memset(s->is_frozen, 0, sizeof(s->is_frozen));
	for (role = 0; role < s->count; role++)
		disk_mem_set_fault(s->disks[role], DISK_MEM_NO_FAULT, 0, 0);
	if (s->is_drained)
		expect_kept(s);
	s->is_drained = false;
	mirror_set_gate(s->m, true, UINT64_MAX);
	mirror_set_single_source(s->m, false);
	while (is_busy) {
		is_busy = s->out != 0 || s->failed != 0 || s->is_syncing ||
			  intent_needed_count(s->in) > 0;
		for (slot = 0; slot < SLOTS; slot++) {
			if (s->suspends[slot].high > 0)
				suspend(s, slot, 0, 0);
			is_busy |= s->suspends[slot].is_pending ||
				   s->suspends[slot].high > 0;
		}
		for (i = 0; i < IOS; i++)
			is_busy |= s->ios[i].is_busy;
		step(s);
		if (++n > 20000)
			fail_msg("it never ends: out %x failed %x needed %u", s->out,
				 s->failed, (unsigned int)intent_needed_count(s->in));
	}
	if (!s->had_error)
		expect_equal_but_marked(s, none);
	else
		expect_equal_but_marked(s, s->slot.bits);
	free(none);
	s->is_settling = false;
}

static void init_shape(struct story *s)
{
	static const struct { uint32_t disks, near; } shapes[] = {
		{ 2, 0 }, { 2, 0 }, { 3, 0 }, { 3, 2 }, { 4, 2 }, { 3, 3 }, { 1, 0 },
	};
	uint32_t shape = (uint32_t)draw(s, ARRAY_SIZE(shapes));

	s->count = shapes[shape].disks;
	s->config = (struct mirror_config){
		.level = shapes[shape].near ? MD_LEVEL_RAID10 : MD_LEVEL_RAID1,
		.layout = shapes[shape].near | 0x100,
		.chunk_sectors = 16,
		.member_sectors = MEMBER_SECTORS,
		.raid_disks = s->count,
		.bitmap_chunk_sectors = CHUNK / 512,
		.hang_ns = HANG_NS,
	};
	s->blocks = MEMBER_SECTORS / 8;
	if (shapes[shape].near)
		s->blocks = MEMBER_SECTORS / 16 * s->count / shapes[shape].near * 2;
}

static void init_disks(struct story *s)
{
	struct err err = ERR_INIT;
	uint32_t role;

	assert_ok(bitmap_geometry_init(&s->geo, s->blocks * block_sectors, CHUNK, 1, 0,
				       &err),
		  err);
	assert_ok(bitmap_slot_init(&s->slot, &s->geo, 0, &err), err);
	s->slot.sb = (struct bitmap_sb){ .version = BITMAP_VERSION_CLUSTERED,
					 .sync_size = s->geo.sync_size,
					 .chunksize = CHUNK,
					 .daemon_sleep = 5,
					 .nodes = 1,
					 .cluster_name = "alpha" };
	bitmap_sb_emit(&s->slot.sb, s->slot.image);
	for (role = 0; role < s->count; role++) {
		char name[] = { (char)('a' + role), 0 };

		s->disks[role] = disk_mem_new(s->world, name,
					      (DATA_SECTORS + MEMBER_SECTORS) * 512);
		disk_mem_poke(s->disks[role], BITMAP_BYTES, s->slot.image,
			      s->geo.slot_bytes);
		s->kept[role] = malloc(MEMBER_SECTORS * 512);
		s->readd[role].map = calloc(1, bits_bytes(s->geo.chunks));
	}
}

static void tell_story(uint64_t seed)
{
	struct story *s = calloc(1, sizeof(*s));
	uint32_t i, epoch;

	assert_non_null(s);
	s->random = seed * 1000003;
	s->world = disk_world_new(seed);
	s->scratch = malloc(MEMBER_SECTORS * 512);
	init_shape(s);
	init_disks(s);
	s->o = oracle_new(s->blocks);
	for (i = 0; i < IOS; i++) {
		s->ios[i].s = s;
		s->ios[i].buffer = disk_buffer_new(IO_BLOCKS * ORACLE_BLOCK);
	}
	start(s);
	for (epoch = 0; epoch < EPOCHS; epoch++) {
		uint64_t steps = draw(s, STEPS);

		while (steps-- > 0)
			step(s);
		if (chance(s, 500))
			settle(s);
		if (chance(s, 700))
			cut_power(s);
	}
	settle(s);
	end(s);
	for (i = 0; i < IOS; i++) {
		free(s->ios[i].buffer);
		free(s->ios[i].io);
	}
	for (i = 0; i < s->count; i++) {
		disk_close(s->disks[i]);
		free(s->kept[i]);
		free(s->readd[i].map);
	}
	oracle_free(s->o);
	bitmap_slot_fini(&s->slot);
	disk_world_free(s->world);
	free(s->scratch);
	free(s);
}

static uint64_t number(const char *name, uint64_t otherwise)
{
	const char *text = getenv(name);

	return text ? strtoull(text, NULL, 10) : otherwise;
}

static void stories_end_well(void **state)
{
	uint64_t seed = number("MIRROR_SEED", 0), n = number("MIRROR_STORIES", 300);

	(void)state;
	if (seed) {
		tell_story(seed);
		return;
	}
	for (seed = 1; seed <= n; seed++) {
		print_message("seed %llu\r", (unsigned long long)seed);
		tell_story(seed);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(stories_end_well),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
