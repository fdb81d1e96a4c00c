/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The mirror: what is written and read back, by the promises of mirror.h: A1, A3, A6, A8. */
#include <errno.h>
#include <stdlib.h>

#include "tests/unit/mirror_rig.h"

enum { K = 1024, M = 1024 * K };

/* --- what it is for -------------------------------------------------------------------- */

static void what_is_written_is_on_all_disks(void **state)
{
	struct mirror_rig *rig = mr_new(3, 0, 0);
	uint32_t role;

	(void)state;
	assert_int_equal(mr_write(rig, 8 * K, 12 * K, 7), 0);
	for (role = 0; role < 3; role++) {
		assert_int_equal(mr_on_disk(rig, role, 8 * K, 12 * K), 7);
		assert_int_equal(mr_on_disk(rig, role, 0, 8 * K), 0);
		assert_int_equal(mr_on_disk(rig, role, 20 * K, 8 * K), 0);
	}
	assert_int_equal(mr_read(rig, 8 * K, 12 * K), 7);
	mr_free(rig);
}

static void a_striped_array_of_odd_disks_gives_back_what_it_got(void **state)
{
	struct mirror_rig *rig = mr_new(3, 2, 16);
	uint64_t size = rig->volume->size_bytes, at;
	struct mr_io *io;

	(void)state;
	assert_int_equal(size, MR_MEMBER_BYTES / 2 * 3);
	for (at = 0; at < size; at += 24 * K)
		assert_int_equal(mr_write(rig, at, at + 24 * K > size ? size - at : 24 * K,
					  (int)(at / (24 * K) % 251)),
				 0);
	io = mr_submit(rig, VOLUME_READ, 0, size, 0, 0);
	assert_int_equal(mr_wait(io), 0);
	for (at = 0; at < size; at++)
		assert_int_equal(io->buffer[at], at / (24 * K) % 251);
	mr_io_free(io);
	mr_free(rig);
}

static void an_io_of_many_pieces_does_all_of_them(void **state)
{
	struct mirror_rig *rig = mr_new(4, 2, 8);
	struct mr_io *ios[4];
	uint32_t i;

	(void)state;
	/* 2 MiB in chunks of 4 KiB: far more requests than there are in the pool */
	for (i = 0; i < 4; i++)
		ios[i] = mr_submit(rig, VOLUME_WRITE, i * 2 * M, 2 * M, (int)i + 1, 0);
	for (i = 0; i < 4; i++) {
		assert_int_equal(mr_wait(ios[i]), 0);
		mr_io_free(ios[i]);
	}
	for (i = 0; i < 4; i++)
		assert_int_equal(mr_read(rig, i * 2 * M, 2 * M), i + 1);
	mr_free(rig);
}

static void what_is_out_of_bounds_is_refused(void **state)
{
	struct mirror_rig *rig = mr_new(2, 0, 0);
	static const struct { enum volume_op op; uint64_t offset, length; } bad[] = {
		{ VOLUME_READ, 0, 0 },           { VOLUME_READ, 100, 512 },
		{ VOLUME_READ, 512, 100 },       { VOLUME_WRITE, MR_MEMBER_BYTES, 512 },
		{ VOLUME_WRITE, MR_MEMBER_BYTES - 512, 1024 },
		{ VOLUME_WRITE, UINT64_MAX - 511, 1024 },
		{ VOLUME_ZERO, 0, 0 },           { VOLUME_FLUSH, 0, 512 },
		{ VOLUME_OPS, 0, 512 },
	};
	struct volume_io *io = calloc(1, rig->volume->io_bytes);
	void *buffer = disk_buffer_new(4096);
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		io->op = bad[i].op;
		io->offset_bytes = bad[i].offset;
		io->length_bytes = bad[i].length;
		io->buffer = buffer;
		assert_int_equal(volume_submit(rig->volume, io), -EINVAL);
	}
	free(buffer);
	free(io);
	mr_free(rig);
}

/* --- A1 --------------------------------------------------------------------------------- */

static void A1_nothing_is_written_before_its_intent_is_durable(void **state)
{
	struct mirror_rig *rig = mr_new(2, 0, 0);
	struct mr_io *write, *zero;

	(void)state;
	rig->intent->waits = true;
	write = mr_submit(rig, VOLUME_WRITE, 64 * K, 64 * K, 5, 0);
	zero = mr_submit(rig, VOLUME_ZERO, 256 * K, 64 * K, 0, 0);
	mr_run(rig);
	assert_int_equal(disk_world_writes(rig->world), 0);
	assert_int_equal(rig->intent->writing[1], 1);
	assert_int_equal(rig->intent->writing[4], 1);
	fake_intent_release(rig->intent);
	assert_int_equal(mr_wait(write), 0);
	assert_int_equal(mr_wait(zero), 0);
	assert_int_equal(mr_on_disk(rig, 1, 64 * K, 64 * K), 5);
	assert_int_equal(rig->intent->ended, 2);
	assert_int_equal(rig->intent->writing[1], 0);
	mr_io_free(write);
	mr_io_free(zero);
	mr_free(rig);
}

static void A1_the_intent_is_of_all_chunks_that_are_touched(void **state)
{
	struct mirror_rig *rig = mr_new(2, 0, 0);
	struct mr_io *io;

	(void)state;
	rig->intent->waits = true;
	io = mr_submit(rig, VOLUME_WRITE, 64 * K - 512, 64 * K + 1024, 5, 0);
	assert_int_equal(rig->intent->writing[0], 1);
	assert_int_equal(rig->intent->writing[1], 1);
	assert_int_equal(rig->intent->writing[2], 1);
	assert_int_equal(rig->intent->writing[3], 0);
	fake_intent_release(rig->intent);
	assert_int_equal(mr_wait(io), 0);
	mr_io_free(io);
	mr_free(rig);
}

static void a_write_is_durable_for_its_intent_only_with_fua(void **state)
{
	struct mirror_rig *rig = mr_new(2, 0, 0);

	(void)state;
	mr_do(rig, VOLUME_WRITE, 0, 4 * K, 1, 0);
	assert_int_equal(rig->intent->ended_durable, 0);
	mr_do(rig, VOLUME_WRITE, 0, 4 * K, 1, VOLUME_FUA);
	assert_int_equal(rig->intent->ended_durable, 1);
	mr_do(rig, VOLUME_ZERO, 0, 4 * K, 1, 0);
	assert_int_equal(rig->intent->ended_durable, 1);
	mr_do(rig, VOLUME_ZERO, 0, 4 * K, 1, VOLUME_FUA);
	assert_int_equal(rig->intent->ended_durable, 2);
	mr_free(rig);
}

/* --- A3 --------------------------------------------------------------------------------- */

static void A3_overlapping_writes_leave_equal_disks(void **state)
{
	enum { WRITES = 40 };
	struct mirror_rig *rig = mr_new(3, 0, 0);
	struct mr_io *ios[WRITES];
	uint64_t i;

	(void)state;
	for (i = 0; i < WRITES; i++)
		ios[i] = mr_submit(rig, VOLUME_WRITE, i % 5 * 4 * K, 16 * K, (int)i + 1, 0);
	for (i = 0; i < WRITES; i++) {
		assert_int_equal(mr_wait(ios[i]), 0);
		mr_io_free(ios[i]);
	}
	for (i = 0; i < 32 * K; i += 4 * K) {
		int byte = mr_on_disk(rig, 0, i, 4 * K);

		assert_true(byte >= 0);
		assert_int_equal(mr_on_disk(rig, 1, i, 4 * K), byte);
		assert_int_equal(mr_on_disk(rig, 2, i, 4 * K), byte);
	}
	/* and in the order of submission */
	assert_int_equal(mr_on_disk(rig, 0, 16 * K, 16 * K), WRITES);
	mr_free(rig);
}

/* --- A6 --------------------------------------------------------------------------------- */

static void A6_B37_single_sourced_reads_come_from_the_first_in_sync(void **state)
{
	struct mirror_rig *rig = mr_new(3, 0, 0);
	struct mr_request gone;
	uint64_t i;

	(void)state;
	mr_poke(rig, 0, 0, M, 1);
	mr_poke(rig, 1, 0, M, 2);
	mr_poke(rig, 2, 0, M, 3);
	mirror_set_single_source(rig->m, true);
	for (i = 0; i < 16; i++)
		assert_int_equal(mr_read(rig, i * 8 * K, 4 * K), 1);
	mr_request_init(&gone);
	mirror_set_disk(rig->m, 0, MIRROR_DISK_MISSING, NULL, 0, &gone.req);
	for (i = 0; i < 16; i++)
		assert_int_equal(mr_read(rig, i * 8 * K, 4 * K), 2);
	mr_free(rig);
}

static void A6_needed_chunks_are_read_from_the_source(void **state)
{
	struct mirror_rig *rig = mr_new(2, 0, 0);
	uint64_t i;

	(void)state;
	mr_poke(rig, 1, 64 * K, 64 * K, 2);
	rig->intent->is_needed[1] = true;
	for (i = 0; i < 16; i++)
		assert_int_equal(mr_read(rig, 64 * K + i * 7 % 16 * 4 * K, 4 * K), 0);
	/* one that reaches into it, as well */
	assert_int_equal(mr_read(rig, 60 * K, 8 * K), 0);
	assert_int_equal(mr_read(rig, 124 * K, 8 * K), 0);
	mr_free(rig);
}

static void reads_go_to_all_disks(void **state)
{
	struct mirror_rig *rig = mr_new(3, 0, 0);
	struct mr_io *ios[30];
	struct mirror_look look;
	uint64_t i;

	(void)state;
	for (i = 0; i < 30; i++)
		ios[i] = mr_submit(rig, VOLUME_READ, (i * 7 + 1) % 64 * 64 * K, 4 * K, 0, 0);
	look = mr_look(rig);
	for (i = 0; i < 3; i++)
		assert_int_equal(look.disks[i].in_flight, 10);
	for (i = 0; i < 30; i++) {
		mr_wait(ios[i]);
		mr_io_free(ios[i]);
	}
	mr_free(rig);
}

static void a_stream_stays_on_its_disk(void **state)
{
	struct mirror_rig *rig = mr_new(2, 0, 0);
	struct mirror_look look;
	uint64_t i;

	(void)state;
	for (i = 1; i < 33; i++)
		mr_read(rig, i * 64 * K, 64 * K);
	look = mr_look(rig);
	assert_true(look.disks[0].reads == 32 || look.disks[1].reads == 32);
	mr_free(rig);
}

/* --- A8 --------------------------------------------------------------------------------- */

static void A8_a_flush_makes_durable_what_was_done(void **state)
{
	struct mirror_rig *rig = mr_new(2, 0, 0);

	(void)state;
	assert_int_equal(mr_write(rig, 0, 64 * K, 1), 0);
	assert_int_equal(mr_do(rig, VOLUME_FLUSH, 0, 0, 0, 0), 0);
	disk_world_cut_power(rig->world);
	disk_world_restore_power(rig->world);
	assert_int_equal(mr_on_disk(rig, 0, 0, 64 * K), 1);
	assert_int_equal(mr_on_disk(rig, 1, 0, 64 * K), 1);
	mr_free(rig);
}

static void A8_a_flush_that_comes_during_one_joins_the_next(void **state)
{
	struct mirror_rig *rig = mr_new(2, 0, 0);
	struct mr_io *first, *second, *third;

	(void)state;
	disk_world_set_latency(rig->world, 1000000, 1000000);
	first = mr_submit(rig, VOLUME_FLUSH, 0, 0, 0, 0);
	assert_int_equal(rig->disks[0]->in_flight, 1);
	disk_world_set_latency(rig->world, 10000, 10000);
	assert_int_equal(mr_do(rig, VOLUME_WRITE, 0, 4 * K, 1, 0), 0);
	second = mr_submit(rig, VOLUME_FLUSH, 0, 0, 0, 0);
	third = mr_submit(rig, VOLUME_FLUSH, 0, 0, 0, 0);
	assert_int_equal(first->calls, 0);
	assert_int_equal(rig->disks[0]->in_flight, 1);
	assert_int_equal(mr_wait(second), 0);
	assert_int_equal(mr_wait(third), 0);
	assert_int_equal(first->calls, 1);
	assert_int_equal(second->done_at_ns, third->done_at_ns);
	disk_world_cut_power(rig->world);
	disk_world_restore_power(rig->world);
	assert_int_equal(mr_on_disk(rig, 0, 0, 4 * K), 1);
	assert_int_equal(mr_on_disk(rig, 1, 0, 4 * K), 1);
	mr_io_free(first);
	mr_io_free(second);
	mr_io_free(third);
	mr_free(rig);
}

static void A8_with_fua_it_is_durable_when_done(void **state)
{
	struct mirror_rig *rig = mr_new(2, 0, 0);

	(void)state;
	mr_poke(rig, 0, 64 * K, 4 * K, 9);
	mr_poke(rig, 1, 64 * K, 4 * K, 9);
	assert_int_equal(mr_do(rig, VOLUME_WRITE, 0, 4 * K, 1, VOLUME_FUA), 0);
	assert_int_equal(mr_do(rig, VOLUME_ZERO, 64 * K, 4 * K, 0, VOLUME_FUA), 0);
	disk_world_cut_power(rig->world);
	disk_world_restore_power(rig->world);
	assert_int_equal(mr_on_disk(rig, 0, 0, 4 * K), 1);
	assert_int_equal(mr_on_disk(rig, 1, 0, 4 * K), 1);
	assert_int_equal(mr_on_disk(rig, 0, 64 * K, 4 * K), 0);
	assert_int_equal(mr_on_disk(rig, 1, 64 * K, 4 * K), 0);
	mr_free(rig);
}

/* --- zero and trim -------------------------------------------------------------------------- */

static void zeroes_are_zeroes_on_every_disk_and_nothing_else_is(void **state)
{
	struct mirror_rig *rig = mr_new(5, 2, 16);
	uint64_t size = rig->volume->size_bytes, low = 12 * K, high = 200 * K + 512;

	(void)state;
	assert_int_equal(mr_write(rig, 0, M, 7), 0);
	assert_int_equal(mr_do(rig, VOLUME_ZERO, low, high - low, 0, 0), 0);
	assert_int_equal(mr_read(rig, 0, low), 7);
	assert_int_equal(mr_read(rig, low, high - low), 0);
	assert_int_equal(mr_read(rig, high, M - high), 7);
	assert_true(size > M);
	mr_free(rig);
}

static void a_long_zero_goes_in_slices(void **state)
{
	struct mirror_config config = mr_config(4, 2, 128);
	struct mirror_rig *rig;

	(void)state;
	rig = mr_new_config(&config); /* 16 MiB, two slices from the middle of one */
	assert_int_equal(mr_write(rig, 15 * M, M, 7), 0);
	assert_int_equal(mr_do(rig, VOLUME_ZERO, 0, 16 * M, 0, 0), 0);
	assert_int_equal(mr_read(rig, 15 * M, M), 0);
	mr_free(rig);
}

static void a_trim_leaves_equal_disks(void **state)
{
	struct mirror_rig *rig = mr_new(2, 0, 0);
	uint32_t disk;

	(void)state;
	assert_true(rig->volume->has_trim);
	assert_int_equal(mr_write(rig, 0, 2 * M, 7), 0);
	rig->intent->begun = 0;
	assert_int_equal(mr_do(rig, VOLUME_TRIM, 0, M, 0, 0), 0);
	assert_int_equal(rig->intent->begun, 1); /* power may go between two disks */
	for (disk = 0; disk < 2; disk++) {
		assert_int_equal(mr_on_disk(rig, disk, 0, M), 0);
		assert_int_equal(mr_on_disk(rig, disk, M, M), 7);
	}
	mr_free(rig);
}

/* 99 fast ones and 3 slow ones of a hundred; and nobody knows of them ten seconds later. */
static void the_p99_of_writes_is_that_of_the_last_seconds(void **state)
{
	struct mirror_rig *rig = mr_new(2, 0, 0);
	int i;

	(void)state;
	disk_world_set_latency(rig->world, 100000, 100000);
	for (i = 0; i < 100; i++)
		mr_write(rig, 0, 4 * K, 1);
	assert_in_range(mr_look(rig).write_p99_ns, 100000, 115000);
	disk_world_set_latency(rig->world, 5000000, 5000000);
	for (i = 0; i < 3; i++)
		mr_write(rig, 0, 4 * K, 1);
	assert_in_range(mr_look(rig).write_p99_ns, 5000000, 5700000);
	disk_world_advance(rig->world, disk_world_now_ns(rig->world) + 10000000000);
	assert_int_equal(mr_look(rig).write_p99_ns, 0);
	mr_free(rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_written_is_on_all_disks),
		cmocka_unit_test(a_striped_array_of_odd_disks_gives_back_what_it_got),
		cmocka_unit_test(an_io_of_many_pieces_does_all_of_them),
		cmocka_unit_test(what_is_out_of_bounds_is_refused),
		cmocka_unit_test(A1_nothing_is_written_before_its_intent_is_durable),
		cmocka_unit_test(A1_the_intent_is_of_all_chunks_that_are_touched),
		cmocka_unit_test(a_write_is_durable_for_its_intent_only_with_fua),
		cmocka_unit_test(A3_overlapping_writes_leave_equal_disks),
		cmocka_unit_test(A6_B37_single_sourced_reads_come_from_the_first_in_sync),
		cmocka_unit_test(A6_needed_chunks_are_read_from_the_source),
		cmocka_unit_test(reads_go_to_all_disks),
		cmocka_unit_test(a_stream_stays_on_its_disk),
		cmocka_unit_test(A8_a_flush_makes_durable_what_was_done),
		cmocka_unit_test(A8_a_flush_that_comes_during_one_joins_the_next),
		cmocka_unit_test(A8_with_fua_it_is_durable_when_done),
		cmocka_unit_test(zeroes_are_zeroes_on_every_disk_and_nothing_else_is),
		cmocka_unit_test(a_long_zero_goes_in_slices),
		cmocka_unit_test(a_trim_leaves_equal_disks),
		cmocka_unit_test(the_p99_of_writes_is_that_of_the_last_seconds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
