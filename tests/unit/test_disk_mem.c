/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Disks in memory: their time, their faults, and direct access. Power cuts are in
 * test_disk_mem_power.c, and what they share with other disks in test_disk.c.
 */
#include "tests/unit/mem_scene.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/arith.h"
#include "base/cleanup.h"

/* Time */

static void requests_complete_in_order_of_time_then_of_submission(void **state)
{
	struct scene s = scene_new(7);
	CLEANUP_FREE uint8_t *other = disk_buffer_new(PAGE);
	struct slow first, second, third;

	(void)state;
	disk_world_set_latency(s.world, 1000, 1000);
	slow_write(&s, &first, s.a, 0, s.page, OLD);
	slow_write(&s, &second, s.a, 0, other, NEW);
	assert_int_equal(sector_byte(s.a, 0), 0);
	assert_int_equal(disk_pump(s.a, 0), 2);
	assert_int_equal(disk_world_now_ns(s.world), 1000);
	expect_bytes(s.a, 0, PAGE, NEW);
	/* a faster one overtakes, and the slower one lands on top */
	slow_write(&s, &first, s.a, 0, s.page, OLD);
	disk_world_set_latency(s.world, 10, 10);
	slow_write(&s, &second, s.a, 0, other, NEW);
	disk_world_set_latency(s.world, 0, 0);
	slow_submit(&s, &third, s.b, (struct disk_req){ .op = DISK_FLUSH });
	assert_int_equal(disk_pump(s.a, -1), 1);
	assert_int_equal(first.calls, 0);
	assert_int_equal(second.done_at_ns, 1010);
	expect_bytes(s.a, 0, PAGE, NEW);
	assert_int_equal(disk_pump(s.a, -1), 1);
	assert_int_equal(first.done_at_ns, 2000);
	expect_bytes(s.a, 0, PAGE, OLD);
	/* b's was over long ago; time does not go back for it */
	assert_int_equal(third.calls, 0);
	assert_int_equal(disk_pump(s.b, -1), 1);
	assert_int_equal(third.done_at_ns, 2000);
	scene_free(&s);
}

static void a_simulation_can_follow_the_clock(void **state)
{
	struct scene s = scene_new(7);
	CLEANUP_FREE uint8_t *other = disk_buffer_new(PAGE);
	struct slow on_a, on_b;
	uint64_t at;

	(void)state;
	assert_null(disk_world_next(s.world, &at));
	disk_world_set_latency(s.world, 500, 500);
	slow_write(&s, &on_a, s.a, 0, s.page, NEW);
	disk_world_set_latency(s.world, 300, 300);
	slow_write(&s, &on_b, s.b, 0, other, NEW);
	assert_ptr_equal(disk_world_next(s.world, &at), s.b);
	assert_int_equal(at, 300);
	disk_world_advance(s.world, 299);
	assert_int_equal(sector_byte(s.b, 0), 0);
	disk_world_advance(s.world, 400);
	assert_int_equal(sector_byte(s.b, 0), NEW);
	assert_int_equal(on_b.calls, 0);
	assert_ptr_equal(disk_world_next(s.world, &at), s.b);
	assert_int_equal(at, 400);
	assert_int_equal(disk_pump(s.b, 0), 1);
	assert_int_equal(disk_world_now_ns(s.world), 400);
	assert_ptr_equal(disk_world_next(s.world, &at), s.a);
	assert_int_equal(at, 500);
	assert_int_equal(disk_pump(s.a, 0), 1);
	assert_int_equal(disk_world_now_ns(s.world), 500);
	assert_null(disk_world_next(s.world, &at));
	scene_free(&s);
}

/* The times of forty requests, and what a cut left, as one number. */
static uint64_t fingerprint(uint64_t seed)
{
	struct scene s = scene_new(seed);
	uint64_t print = 0;
	uint8_t byte;
	unsigned int i;

	disk_world_set_latency(s.world, 100, 900);
	for (i = 0; i < 40; i++) {
		uint64_t began = disk_world_now_ns(s.world), took;

		write_bytes(&s, i % 2 ? s.a : s.b, i * SECTOR, PAGE,
			    (int)i + 1, i % 7 == 0);
		took = disk_world_now_ns(s.world) - began;
		assert_true(took >= 100 && took <= 900);
		print = print * 31 + took;
	}
	power_cycle(&s);
	for (i = 0; i < 60; i++) {
		disk_mem_peek(s.a, i * SECTOR, &byte, 1);
		print = print * 31 + byte;
	}
	scene_free(&s);
	return print;
}

static void a_run_is_repeated_by_its_seed(void **state)
{
	(void)state;
	assert_true(fingerprint(1) == fingerprint(1));
	assert_true(fingerprint(77) == fingerprint(77));
	assert_true(fingerprint(1) != fingerprint(2));
}

/* Faults and direct access */

static void a_faulty_range_fails_what_touches_it(void **state)
{
	struct scene s = scene_new(1);
	struct err err = ERR_INIT;

	(void)state;
	write_bytes(&s, s.a, 0, 4 * PAGE, OLD, true);
	disk_mem_set_fault(s.a, DISK_MEM_FAIL_READS, PAGE + SECTOR, SECTOR);
	assert_int_equal(disk_read_wait(s.a, PAGE, s.page, PAGE, &err), -EIO);
	assert_string_equal(err.text,
			    "a: read of 4096 bytes at byte 4096: Input/output error");
	assert_int_equal(disk_read_wait(s.a, PAGE, s.page, SECTOR, &err), 0);
	assert_int_equal(disk_read_wait(s.a, PAGE + 2 * SECTOR, s.page, SECTOR,
					&err),
			 0);
	assert_int_equal(disk_read_wait(s.b, PAGE, s.page, PAGE, &err), 0);
	assert_int_equal(write_bytes(&s, s.a, PAGE, PAGE, NEW, false), 0);

	disk_mem_set_fault(s.a, DISK_MEM_FAIL_WRITES, 0, UINT64_MAX);
	assert_int_equal(write_bytes(&s, s.a, PAGE, PAGE, NEWER, true), -EIO);
	assert_int_equal(disk_zero_wait(s.a, 0, PAGE, &err), -EIO);
	assert_int_equal(disk_read_wait(s.a, 0, s.page, PAGE, &err), 0);
	assert_int_equal(flush(s.a), 0);
	expect_bytes(s.a, 0, PAGE, OLD);
	expect_bytes(s.a, PAGE, PAGE, NEW);

	disk_mem_set_fault(s.a, DISK_MEM_NO_FAULT, 0, 0);
	assert_int_equal(write_bytes(&s, s.a, PAGE, PAGE, NEWER, true), 0);
	scene_free(&s);
}

/* A refusal comes first, as it never was a request; then the order of adding. */
static void a_batch_tells_its_first_error(void **state)
{
	struct scene s = scene_new(1);
	struct disk_batch batch = DISK_BATCH_INIT;
	struct err err = ERR_INIT;
	struct disk *failed = NULL;

	(void)state;
	disk_mem_set_fault(s.a, DISK_MEM_FAIL_READS, 0, PAGE);
	disk_mem_set_fault(s.b, DISK_MEM_FAIL_READS, 0, PAGE);
	disk_batch_read(&batch, s.b, PAGE, s.page, PAGE);
	disk_batch_read(&batch, s.b, 0, s.page, PAGE);
	disk_batch_read(&batch, s.a, 0, s.page + PAGE, PAGE);
	assert_int_equal(disk_batch_wait(&batch, &failed, &err), -EIO);
	assert_ptr_equal(failed, s.b);
	assert_string_equal(err.text,
			    "b: read of 4096 bytes at byte 0: Input/output error");
	disk_batch_read(&batch, s.b, 0, s.page, PAGE);
	disk_batch_read(&batch, s.a, 0, s.page + PAGE, 7);
	disk_batch_read(&batch, s.b, 0, s.page, 9);
	assert_int_equal(disk_batch_wait(&batch, &failed, &err), -EINVAL);
	assert_ptr_equal(failed, s.a);
	assert_non_null(strstr(err.text, "a: read of 7 bytes at byte 0: not"));
	scene_free(&s);
}

static void the_nth_write_fails_once(void **state)
{
	struct scene s = scene_new(1);
	struct err err = ERR_INIT;

	(void)state;
	disk_mem_fail_nth_write(s.a, 2);
	assert_int_equal(write_bytes(&s, s.a, 0, PAGE, NEW, false), 0);
	assert_int_equal(write_bytes(&s, s.b, 0, PAGE, NEW, false), 0);
	assert_int_equal(disk_read_wait(s.a, 0, s.page, PAGE, &err), 0);
	assert_int_equal(disk_zero_wait(s.a, 0, PAGE, &err), -EIO);
	expect_bytes(s.a, 0, PAGE, NEW);
	assert_int_equal(write_bytes(&s, s.a, 0, PAGE, NEWER, false), 0);
	expect_bytes(s.a, 0, PAGE, NEWER);
	disk_mem_fail_nth_write(s.a, 1);
	assert_int_equal(write_bytes(&s, s.a, 0, PAGE, OLD, false), -EIO);
	assert_int_equal(write_bytes(&s, s.a, 0, PAGE, OLD, false), 0);
	scene_free(&s);
}

static void peek_and_poke_are_exact_to_the_byte(void **state)
{
	struct scene s = scene_new(1);
	uint8_t want[2 * PAGE], got[2 * PAGE];
	uint64_t before;

	(void)state;
	write_bytes(&s, s.a, 0, 2 * PAGE, NEW, false);
	before = disk_world_now_ns(s.world);
	memset(want, NEW, sizeof(want));
	memcpy(want + PAGE - 3, "abcdef", 6);
	disk_mem_poke(s.a, PAGE - 3, "abcdef", 6);
	disk_mem_peek(s.a, 0, got, sizeof(got));
	assert_memory_equal(got, want, sizeof(got));
	disk_mem_peek(s.a, PAGE - 2, got, 4);
	assert_memory_equal(got, "bcde", 4);
	disk_mem_poke(s.a, DISK_BYTES, "", 0);
	disk_mem_peek(s.a, DISK_BYTES, got, 0);
	assert_int_equal(disk_world_now_ns(s.world), before);
	/* durable at once, with the rest of its two sectors */
	power_cycle(&s);
	disk_mem_peek(s.a, PAGE - SECTOR, got, 2 * SECTOR);
	assert_memory_equal(got, want + PAGE - SECTOR, 2 * SECTOR);
	scene_free(&s);
}

static void a_clone_is_another_disk_with_the_same_contents(void **state)
{
	struct scene s = scene_new(1);
	struct disk_world *world = disk_world_new(2);
	struct disk *clone;

	(void)state;
	write_bytes(&s, s.a, 0, PAGE, OLD, true);
	write_bytes(&s, s.a, SECTOR, PAGE, NEW, false);
	clone = disk_mem_clone(s.a, world);
	assert_int_equal(clone->size_bytes, s.a->size_bytes);
	assert_string_equal(clone->name, "a");
	write_bytes(&s, s.a, 0, 2 * PAGE, NEWER, true);
	disk_world_cut_power(s.world);
	/* seen there, and durable, whatever becomes of the first */
	assert_true(disk_world_has_power(world));
	disk_world_cut_power(world);
	expect_bytes(clone, 0, SECTOR, OLD);
	expect_bytes(clone, SECTOR, PAGE, NEW);
	expect_bytes(clone, SECTOR + PAGE, PAGE, 0);
	disk_close(clone);
	disk_world_free(world);
	scene_free(&s);
}

static void settling_makes_durable_what_has_completed(void **state)
{
	uint64_t seed;

	(void)state;
	for (seed = 0; seed < SEEDS; seed++) {
		struct scene s = scene_new(seed);

		write_bytes(&s, s.a, 0, 2 * PAGE, NEW, false);
		disk_mem_settle(s.a);
		power_cycle(&s);
		expect_bytes(s.a, 0, 2 * PAGE, NEW);
		scene_free(&s);
	}
}

static void what_is_withdrawn_has_no_effect_and_no_end(void **state)
{
	struct scene s = scene_new(7);
	CLEANUP_FREE uint8_t *other = disk_buffer_new(PAGE);
	struct slow lost, kept;

	(void)state;
	disk_world_set_latency(s.world, 1000, 1000);
	slow_write(&s, &lost, s.a, 0, s.page, OLD);
	slow_write(&s, &kept, s.a, PAGE, other, NEW);
	assert_true(disk_mem_withdraw(s.a, &lost.req));
	assert_int_equal(disk_pump(s.a, -1), 1);
	assert_int_equal(lost.calls, 0);
	assert_int_equal(kept.calls, 1);
	assert_int_equal(s.a->in_flight, 0);
	expect_bytes(s.a, 0, PAGE, 0);
	expect_bytes(s.a, PAGE, PAGE, NEW);
	/* too late: it is on the disk, only nobody was told yet */
	slow_write(&s, &lost, s.a, 0, s.page, OLD);
	disk_world_advance(s.world, 5000);
	assert_false(disk_mem_withdraw(s.a, &lost.req));
	expect_bytes(s.a, 0, PAGE, OLD);
	assert_int_equal(disk_pump(s.a, -1), 1);
	scene_free(&s);
}

static void a_large_disk_costs_what_was_written(void **state)
{
	struct disk_world *world = disk_world_new(1);
	struct disk *disk = disk_mem_new(world, "big", (uint64_t)1 << 50);
	CLEANUP_FREE uint8_t *page = disk_buffer_new(PAGE);
	struct err err = ERR_INIT;
	uint64_t i, at;

	(void)state;
	for (i = 0; i < 64; i++) {
		at = (((uint64_t)1 << 44) - 1) * i;
		at = round_down(at, PAGE);
		memset(page, (int)i + 1, PAGE);
		assert_int_equal(disk_write_wait(disk, at, page, PAGE, false,
						 &err),
				 0);
		expect_bytes(disk, at, PAGE, (int)i + 1);
	}
	assert_int_equal(disk_zero_wait(disk, 0, disk->size_bytes, &err), 0);
	expect_bytes(disk, 0, PAGE, 0);
	disk_close(disk);
	disk_world_free(world);
}

static void what_is_unreadable_is_so_until_all_of_it_is_written(void **state)
{
	struct scene s = scene_new(7);
	struct slow req;

	(void)state;
	disk_mem_set_unreadable(s.a, PAGE + 512, PAGE);
	disk_mem_set_unreadable(s.a, PAGE, 512); /* again: it counts once */
	assert_int_equal(disk_mem_unreadable_bytes(s.a, 0, 4 * PAGE), 2 * PAGE);
	slow_submit(&s, &req, s.a, (struct disk_req){ .op = DISK_READ, .length_bytes = 512,
						      .offset_bytes = 2 * PAGE - 512,
						      .buffer = s.page });
	disk_pump(s.a, -1);
	assert_int_equal(req.result, -EIO);
	slow_submit(&s, &req, s.a, (struct disk_req){ .op = DISK_READ, .length_bytes = 512,
						      .buffer = s.page });
	disk_pump(s.a, -1);
	assert_int_equal(req.result, 0);
	slow_submit(&s, &req, s.a, (struct disk_req){ .op = DISK_WRITE, .length_bytes = 512,
						      .offset_bytes = PAGE,
						      .buffer = s.page });
	disk_pump(s.a, -1);
	slow_submit(&s, &req, s.a, (struct disk_req){ .op = DISK_WRITE, .length_bytes = PAGE,
						      .offset_bytes = PAGE,
						      .buffer = s.page });
	assert_int_equal(disk_mem_unreadable_bytes(s.a, PAGE, PAGE), PAGE); /* not yet */
	disk_pump(s.a, -1);
	assert_int_equal(disk_mem_unreadable_bytes(s.a, PAGE, PAGE), 0);
	assert_int_equal(disk_mem_unreadable_bytes(s.a, 0, 4 * PAGE), PAGE);
	scene_free(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_unreadable_is_so_until_all_of_it_is_written),
		cmocka_unit_test(requests_complete_in_order_of_time_then_of_submission),
		cmocka_unit_test(a_simulation_can_follow_the_clock),
		cmocka_unit_test(a_run_is_repeated_by_its_seed),
		cmocka_unit_test(a_faulty_range_fails_what_touches_it),
		cmocka_unit_test(a_batch_tells_its_first_error),
		cmocka_unit_test(the_nth_write_fails_once),
		cmocka_unit_test(peek_and_poke_are_exact_to_the_byte),
		cmocka_unit_test(a_clone_is_another_disk_with_the_same_contents),
		cmocka_unit_test(settling_makes_durable_what_has_completed),
		cmocka_unit_test(what_is_withdrawn_has_no_effect_and_no_end),
		cmocka_unit_test(a_large_disk_costs_what_was_written),
	};

	alarm(HANG_SECONDS);
	return cmocka_run_group_tests_name("disk_mem", tests, NULL, NULL);
}
