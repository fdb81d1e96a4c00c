/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Stories of a mirror with its write intent, by seeds: ios that overlap, flushes, zeroes,
 * gates that shut, ranges that are suspended, disks that fail, hang and come back, or are replaced, resyncs,
 * checks and repairs, and the power cut at any moment, after which another mirror goes on
 * with what the disks have. At every moment:
 *
 *	reads return what was written last, or is being written (mirror_oracle.h)
 *	nothing changes in a range that is suspended, nor anything while drained
 * after a power cut, and at the end:
 *	what was durable is on every disk in sync
 *	disks in sync are equal but for the chunks whose bits are set, and so is one that is
 *	rebuilt, up to where that was told to be done
 *
 * MIRROR_STORIES=n runs so many; MIRROR_SEED=n one of them.
 */
#include "tests/unit/mirror_story.h"

#include <stdlib.h>
#include <string.h>

#include "base/arith.h"
#include "bitmap/bits.h"
#include "bitmap/md_sb.h"
#include "tests/unit/help.h"

/* --- time --------------------------------------------------------------------------------- */

void story_pass_time(struct story *s)
{
	uint32_t role;

	disk_world_advance(s->world, story_now(s) + 1000 + story_draw(s, 100000));
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

/* If one fails there is another. */
static bool has_two(const struct story *s)
{
	return s->out == 0 || (story_near_of(s) == s->count &&
			       s->count - (uint32_t)__builtin_popcount(s->out) >= 2);
}

static void trouble(struct story *s)
{
	uint32_t role = (uint32_t)story_draw(s, s->count);
	bool is_whole = intent_needed_count(s->in) == 0 && has_two(s);

	if (story_chance(s, 10))
		story_flip_gate(s);
	if (story_chance(s, 20))
		story_suspend_something(s);
	if (story_chance(s, 5))
		mirror_set_single_source(s->m, story_chance(s, 500));
	/* before a resync is over a source that fails takes with it what only it had */
	if (is_whole && story_chance(s, 4))
		disk_mem_set_fault(s->disks[role],
				   story_chance(s, 700) ? DISK_MEM_FAIL_WRITES :
						    DISK_MEM_FAIL_READS,
				   story_draw(s, 600000), story_draw(s, 200000));
	if (story_chance(s, 3))
		disk_mem_set_fault(s->disks[role], DISK_MEM_NO_FAULT, 0, 0);
	if (is_whole && story_chance(s, 2))
		s->is_frozen[role] = true;
	if (s->readd[role].step == COPYING && story_chance(s, 3))
		disk_mem_set_fault(s->disks[role], DISK_MEM_FAIL_WRITES,
				   story_draw(s, 600000), story_draw(s, 200000));
	if (s->readd[role].step == COPYING && story_chance(s, 2))
		s->is_frozen[role] = true;
	if (story_chance(s, 10))
		s->is_frozen[role] = false;
	if (s->is_syncing && story_chance(s, 5))
		mirror_sync_cancel(s->m, &s->sync);
}

static void cluster(struct story *s)
{
	uint32_t role;

	for (role = 0; role < s->count; role++) {
		if ((s->failed >> role & 1) && (s->is_settling || story_chance(s, 50)))
			story_known(s, role);
		else if ((s->out >> role & 1) && s->readd[role].step == OUT &&
			 !s->readd[role].is_changing &&
			 (s->is_settling || story_chance(s, 30)))
			story_readd_next(s, role);
	}
}

static void step(struct story *s)
{
	if (!s->is_settling) {
		while (story_chance(s, 600))
			story_submit_one(s);
		trouble(s);
	}
	cluster(s);
	story_look_at_sync(s);
	story_pass_time(s);
}

/* --- a life ------------------------------------------------------------------------------- */

static const struct mirror_ops mirror_ops = { .now = story_now,
					      .disk_failed = story_disk_failed };
static const struct intent_ops intent_ops = { .now = story_now,
					      .failed = story_intent_failed };

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
		s->readd[role].is_changing = false;
		s->readd[role].rebuilt_to = 0;
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
		story_pass_time(s);
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

/* --- a story ---------------------------------------------------------------------------- */

static void cut_power(struct story *s)
{
	uint32_t role;

	disk_world_cut_power(s->world);
	end(s);
	disk_world_restore_power(s->world);
	for (role = 0; role < s->count; role++)
		disk_mem_set_fault(s->disks[role], DISK_MEM_NO_FAULT, 0, 0);
	load_slot(s);
	story_expect_survival(s);
	story_expect_equal_but_marked(s, s->slot.bits);
	start(s);
	story_settle_on_what_is_read(s);
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
		story_expect_kept(s);
	s->is_drained = false;
	mirror_set_gate(s->m, true, UINT64_MAX);
	mirror_set_single_source(s->m, false);
	while (is_busy) {
		is_busy = s->out != 0 || s->failed != 0 || s->is_syncing ||
			  intent_needed_count(s->in) > 0;
		for (slot = 0; slot < SLOTS; slot++) {
			if (s->suspends[slot].high > 0)
				story_suspend(s, slot, 0, 0);
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
		story_expect_equal_but_marked(s, none);
	else
		story_expect_equal_but_marked(s, s->slot.bits);
	free(none);
	s->is_settling = false;
}

static void init_shape(struct story *s)
{
	static const struct { uint32_t disks, near; } shapes[] = {
		{ 2, 0 }, { 2, 0 }, { 3, 0 }, { 3, 2 }, { 4, 2 }, { 3, 3 }, { 1, 0 },
	};
	uint32_t shape = (uint32_t)story_draw(s, ARRAY_SIZE(shapes));

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
		uint64_t steps = story_draw(s, STEPS);

		while (steps-- > 0)
			step(s);
		if (story_chance(s, 500))
			settle(s);
		if (story_chance(s, 700))
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
