/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Disks in memory over a power cut: that they keep what a real disk keeps, lose
 * what a real one may lose, and never do anything else (M1 to M4 of
 * bitmap/disk_mem_store.c). Most tests run over many seeds, and ask that all that
 * may happen does happen for some of them.
 */
#include "tests/unit/mem_scene.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/arith.h"
#include "base/cleanup.h"

/* Durability */

static void an_unflushed_write_is_lost_kept_or_torn_by_seed(void **state)
{
	unsigned int lost = 0, kept = 0, torn = 0, long_torn = 0;
	uint64_t seed;

	(void)state;
	for (seed = 0; seed < SEEDS; seed++) {
		struct scene s = scene_new(seed);
		unsigned int new_small, new_long;

		write_bytes(&s, s.a, 0, 4 * PAGE, OLD, true);
		write_bytes(&s, s.a, 0, PAGE, NEW, false);
		write_bytes(&s, s.a, PAGE + SECTOR, 2 * PAGE, NEW, false);
		expect_bytes(s.a, 0, PAGE, NEW);
		power_cycle(&s);
		new_small = count_sectors(s.a, 0, PAGE, NEW);
		new_long = count_sectors(s.a, PAGE, 3 * PAGE, NEW);
		/* nothing invented: every sector is old or new */
		assert_int_equal(new_small + count_sectors(s.a, 0, PAGE, OLD),
				 PAGE / SECTOR);
		assert_int_equal(new_long + count_sectors(s.a, PAGE, 3 * PAGE,
							  OLD),
				 3 * PAGE / SECTOR);
		assert_int_equal(sector_byte(s.a, PAGE), OLD);
		lost += new_small == 0;
		kept += new_small == PAGE / SECTOR;
		torn += new_small > 0 && new_small < PAGE / SECTOR;
		long_torn += new_long > 0 && new_long < 2 * PAGE / SECTOR;
		scene_free(&s);
	}
	assert_true(lost > SEEDS / 10);
	assert_true(kept > SEEDS / 10);
	assert_true(torn > SEEDS / 10);
	assert_true(long_torn > SEEDS / 10);
}

static void a_flushed_write_is_kept(void **state)
{
	uint64_t seed;

	(void)state;
	for (seed = 0; seed < SEEDS; seed++) {
		struct scene s = scene_new(seed);

		write_bytes(&s, s.a, 0, PAGE, NEW, false);
		write_bytes(&s, s.a, 3 * SECTOR, 4 * PAGE, NEWER, false);
		assert_int_equal(flush(s.a), 0);
		power_cycle(&s);
		expect_bytes(s.a, 0, 3 * SECTOR, NEW);
		expect_bytes(s.a, 3 * SECTOR, 4 * PAGE, NEWER);
		scene_free(&s);
	}
}

static void a_flush_is_for_its_own_disk(void **state)
{
	unsigned int lost = 0;
	uint64_t seed;

	(void)state;
	for (seed = 0; seed < SEEDS; seed++) {
		struct scene s = scene_new(seed);

		write_bytes(&s, s.a, 0, PAGE, NEW, false);
		assert_int_equal(flush(s.b), 0);
		power_cycle(&s);
		lost += count_sectors(s.a, 0, PAGE, NEW) == 0;
		scene_free(&s);
	}
	assert_true(lost > 0);
}

/* And does not drag along what was written before it elsewhere. */
static void a_fua_write_is_kept_but_orders_nothing(void **state)
{
	unsigned int lost = 0;
	uint64_t seed;

	(void)state;
	for (seed = 0; seed < SEEDS; seed++) {
		struct scene s = scene_new(seed);

		write_bytes(&s, s.a, 8 * PAGE, PAGE, NEW, false);
		write_bytes(&s, s.a, 0, PAGE, NEW, false);
		write_bytes(&s, s.a, SECTOR, SECTOR, NEWER, true);
		power_cycle(&s);
		/* nor may the older write come back over it */
		assert_int_equal(sector_byte(s.a, SECTOR), NEWER);
		lost += count_sectors(s.a, 8 * PAGE, PAGE, NEW) == 0 &&
			count_sectors(s.a, 0, PAGE, NEW) == 0;
		scene_free(&s);
	}
	assert_true(lost > 0);
}

static void a_younger_unflushed_write_falls_back_to_the_durable_one(void **state)
{
	unsigned int back = 0;
	uint64_t seed;

	(void)state;
	for (seed = 0; seed < SEEDS; seed++) {
		struct scene s = scene_new(seed);

		write_bytes(&s, s.a, 0, PAGE, OLD, false);
		write_bytes(&s, s.a, 0, PAGE, NEW, true);
		write_bytes(&s, s.a, 0, PAGE, NEWER, false);
		power_cycle(&s);
		assert_int_equal(count_sectors(s.a, 0, PAGE, OLD), 0);
		assert_int_equal(count_sectors(s.a, 0, PAGE, NEW) +
					 count_sectors(s.a, 0, PAGE, NEWER),
				 PAGE / SECTOR);
		back += count_sectors(s.a, 0, PAGE, NEW) > 0;
		scene_free(&s);
	}
	assert_true(back > 0);
}

/*
 * Submitted before the flush but not complete then: the flush need not cover it,
 * so for some seed it is lost, though it completed before the flush did.
 */
static void a_flush_does_not_cover_what_was_still_in_flight(void **state)
{
	unsigned int lost = 0, in_time = 0;
	uint64_t seed;

	(void)state;
	for (seed = 0; seed < SEEDS; seed++) {
		struct scene s = scene_new(seed);
		struct slow write, barrier;

		slow_write(&s, &write, s.a, 0, s.page, NEW);
		slow_submit(&s, &barrier, s.a,
			    (struct disk_req){ .op = DISK_FLUSH });
		while (s.a->in_flight > 0)
			disk_pump(s.a, -1);
		if (write.done_at_ns < barrier.done_at_ns) {
			in_time++;
			power_cycle(&s);
			lost += count_sectors(s.a, 0, PAGE, NEW) == 0;
		}
		scene_free(&s);
	}
	assert_true(in_time > 0);
	assert_true(lost > 0);
}

/* A flush covers the older write also if a younger one lies over it by then. */
static void a_flush_covers_what_was_overwritten_meanwhile(void **state)
{
	unsigned int back = 0;
	uint64_t seed;

	(void)state;
	for (seed = 0; seed < SEEDS; seed++) {
		struct scene s = scene_new(seed);
		struct slow write, barrier;

		write_bytes(&s, s.a, 0, PAGE, OLD, true);
		write_bytes(&s, s.a, 0, PAGE, NEW, false);
		slow_submit(&s, &barrier, s.a,
			    (struct disk_req){ .op = DISK_FLUSH });
		slow_write(&s, &write, s.a, 0, s.page, NEWER);
		while (barrier.calls == 0)
			disk_pump(s.a, -1);
		power_cycle(&s);
		assert_int_equal(count_sectors(s.a, 0, PAGE, OLD), 0);
		back += count_sectors(s.a, 0, PAGE, NEW) > 0;
		while (s.a->in_flight > 0)
			disk_pump(s.a, -1);
		scene_free(&s);
	}
	assert_true(back > 0);
}

static void zeroing_is_as_durable_as_a_plain_write(void **state)
{
	unsigned int lost = 0, kept = 0;
	uint64_t seed;

	(void)state;
	for (seed = 0; seed < SEEDS; seed++) {
		struct scene s = scene_new(seed);
		struct err err = ERR_INIT;

		write_bytes(&s, s.a, 0, 2 * PAGE, OLD, true);
		assert_int_equal(disk_zero_wait(s.a, 0, PAGE, &err), 0);
		expect_bytes(s.a, 0, PAGE, 0);
		assert_int_equal(disk_zero_wait(s.a, PAGE, PAGE, &err), 0);
		power_cycle(&s);
		lost += count_sectors(s.a, 0, PAGE, OLD) == PAGE / SECTOR;
		kept += count_sectors(s.a, 0, PAGE, 0) == PAGE / SECTOR;
		assert_int_equal(disk_zero_wait(s.a, 0, 2 * PAGE, &err), 0);
		assert_int_equal(flush(s.a), 0);
		power_cycle(&s);
		expect_bytes(s.a, 0, 2 * PAGE, 0);
		scene_free(&s);
	}
	assert_true(lost > 0);
	assert_true(kept > 0);
}

static void a_discarded_sector_is_zero(void **state)
{
	struct scene s = scene_new(3);
	struct slow discard;

	(void)state;
	write_bytes(&s, s.a, 0, 4 * PAGE, NEW, false);
	slow_submit(&s, &discard, s.a,
		    (struct disk_req){ .op = DISK_DISCARD,
				       .offset_bytes = SECTOR,
				       .length_bytes = 3 * PAGE });
	assert_int_equal(disk_pump(s.a, -1), 1);
	expect_bytes(s.a, SECTOR, 3 * PAGE, 0);
	assert_int_equal(sector_byte(s.a, 0), NEW);
	expect_bytes(s.a, SECTOR + 3 * PAGE, PAGE - SECTOR, NEW);
	scene_free(&s);
}

/* Power cuts */

enum { STEPS = 6 };

/* Six changes on two disks, one after the other; even ones are FUA. */
static int run_story(struct scene *s)
{
	struct err err = ERR_INIT;
	int i, r = 0;

	for (i = 0; i < STEPS && r == 0; i++) {
		struct disk *disk = i % 3 ? s->a : s->b;
		uint64_t at = (uint64_t)i * PAGE;

		if (i == 3)
			r = disk_zero_wait(disk, at, PAGE, &err);
		else
			r = write_bytes(s, disk, at, PAGE, NEW, i % 2 == 0);
	}
	return r;
}

static void check_story(struct scene *s, unsigned int cut_after,
			unsigned int *last_kept, unsigned int *last_torn)
{
	unsigned int i, n;

	for (i = 0; i < STEPS; i++) {
		const struct disk *disk = i % 3 ? s->a : s->b;

		n = count_sectors(disk, i * PAGE, PAGE, i == 3 ? 0 : NEW);
		assert_int_equal(n + count_sectors(disk, i * PAGE, PAGE, OLD),
				 PAGE / SECTOR);
		if (i + 1 < cut_after && i % 2 == 0)
			assert_int_equal(n, PAGE / SECTOR);
		if (i >= cut_after)
			assert_int_equal(n, 0);
		if (i + 1 == cut_after) {
			*last_kept += n == PAGE / SECTOR;
			*last_torn += n > 0 && n < PAGE / SECTOR;
		}
	}
}

static void power_may_go_at_every_step(void **state)
{
	unsigned int n;

	(void)state;
	for (n = 0; n <= STEPS + 1; n++) {
		unsigned int kept = 0, torn = 0;
		uint64_t seed, before;

		for (seed = 0; seed < 60; seed++) {
			struct scene s = scene_new(seed);

			write_bytes(&s, s.a, 0, 4 * PAGE, OLD, true);
			write_bytes(&s, s.a, 4 * PAGE, 4 * PAGE, OLD, true);
			write_bytes(&s, s.b, 0, 4 * PAGE, OLD, true);
			before = disk_world_writes(s.world);
			disk_world_cut_power_after(s.world, n);
			assert_int_equal(run_story(&s),
					 n > STEPS ? 0 : -ENODEV);
			assert_int_equal(disk_world_has_power(s.world),
					 n > STEPS);
			assert_int_equal(disk_world_writes(s.world) - before,
					 n == 0 ? 1 : min_u64(n, STEPS));
			power_cycle(&s);
			check_story(&s, n, &kept, &torn);
			/* once only: the next run is not cut */
			if (n <= STEPS)
				assert_int_equal(run_story(&s), 0);
			scene_free(&s);
		}
		/* in flight at the cut, FUA or not: whole, torn, not at all */
		if (n > 0 && n <= STEPS) {
			assert_true(kept > 0 && kept < 60);
			assert_true(torn > 0);
		}
	}
}

static void without_power_everything_fails(void **state)
{
	struct scene s = scene_new(1);
	struct err err = ERR_INIT;
	struct slow slow;

	(void)state;
	write_bytes(&s, s.a, 0, PAGE, NEW, true);
	slow_submit(&s, &slow, s.a, (struct disk_req){ .op = DISK_FLUSH });
	disk_world_cut_power(s.world);
	assert_int_equal(slow.calls, 0);
	assert_int_equal(disk_pump(s.a, -1), 1);
	assert_int_equal(slow.result, -ENODEV);
	assert_int_equal(write_bytes(&s, s.a, 0, PAGE, NEWER, true), -ENODEV);
	assert_int_equal(disk_read_wait(s.a, 0, s.page, PAGE, &err), -ENODEV);
	assert_non_null(strstr(err.text, "a: read of 4096 bytes at byte 0: "));
	assert_int_equal(disk_zero_wait(s.b, 0, PAGE, &err), -ENODEV);
	assert_int_equal(flush(s.b), -ENODEV);
	disk_world_restore_power(s.world);
	assert_int_equal(disk_read_wait(s.a, 0, s.page, PAGE, &err), 0);
	assert_int_equal(s.page[0], NEW);
	assert_int_equal(s.a->in_flight, 0);
	scene_free(&s);
}

static void a_cut_hits_all_disks_at_one_instant(void **state)
{
	unsigned int a_first = 0, lost = 0;
	uint64_t seed;

	(void)state;
	/* b's write completes while only a is pumped: its flush then covers it */
	for (seed = 0; seed < SEEDS; seed++) {
		struct scene s = scene_new(seed);
		CLEANUP_FREE uint8_t *other = disk_buffer_new(PAGE);
		struct slow on_a, on_b, barrier;

		slow_write(&s, &on_a, s.a, 0, s.page, NEW);
		slow_write(&s, &on_b, s.b, 0, other, NEW);
		assert_int_equal(disk_pump(s.a, -1), 1);
		assert_int_equal(on_a.calls, 1);
		assert_int_equal(on_b.calls, 0);
		slow_submit(&s, &barrier, s.b,
			    (struct disk_req){ .op = DISK_FLUSH });
		if (sector_byte(s.b, 0) == NEW) {
			/* visible, so it was before a's in the global order */
			while (barrier.calls == 0)
				assert_true(disk_pump(s.b, -1) > 0);
			power_cycle(&s);
			expect_bytes(s.b, 0, PAGE, NEW);
			assert_int_equal(on_b.result, 0);
		} else {
			a_first++;
			power_cycle(&s);
			lost += count_sectors(s.b, 0, PAGE, NEW) == 0;
			assert_int_equal(disk_pump(s.b, -1), 2);
			assert_int_equal(on_b.result, -ENODEV);
			assert_int_equal(barrier.result, -ENODEV);
		}
		scene_free(&s);
	}
	assert_true(a_first > 0 && a_first < SEEDS);
	assert_true(lost > 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_unflushed_write_is_lost_kept_or_torn_by_seed),
		cmocka_unit_test(a_flushed_write_is_kept),
		cmocka_unit_test(a_flush_is_for_its_own_disk),
		cmocka_unit_test(a_fua_write_is_kept_but_orders_nothing),
		cmocka_unit_test(a_younger_unflushed_write_falls_back_to_the_durable_one),
		cmocka_unit_test(a_flush_does_not_cover_what_was_still_in_flight),
		cmocka_unit_test(a_flush_covers_what_was_overwritten_meanwhile),
		cmocka_unit_test(zeroing_is_as_durable_as_a_plain_write),
		cmocka_unit_test(a_discarded_sector_is_zero),
		cmocka_unit_test(power_may_go_at_every_step),
		cmocka_unit_test(without_power_everything_fails),
		cmocka_unit_test(a_cut_hits_all_disks_at_one_instant),
	};

	alarm(HANG_SECONDS);
	return cmocka_run_group_tests_name("disk_mem over power cuts", tests, NULL, NULL);
}
