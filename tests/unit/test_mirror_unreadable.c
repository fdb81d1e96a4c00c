/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The mirror: sectors that a disk cannot read until they are written. What a user would lose:
 * data that another disk has, a disk with a single bad sector, or one that should have gone.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "tests/unit/mirror_rig.h"

enum { K = 1024, M = 1024 * K, CHUNKS = MR_MEMBER_BYTES / (64 * K) };

#define HOUR_NS (3600ull * 1000000000ull)

struct sync_run {
	struct mirror_sync sync;
	int calls, result;
	uint32_t told;
};

static void sync_done(void *owner, struct mirror_sync *sync, int result)
{
	struct sync_run *run = owner;

	(void)sync;
	run->calls++;
	run->result = result;
}

static void sync_differs(void *owner, struct mirror_sync *sync, uint64_t sector,
			 uint64_t sectors)
{
	struct sync_run *run = owner;

	(void)sync, (void)sector, (void)sectors;
	run->told++;
}

static int sync_to_end(struct mirror_rig *rig, struct sync_run *run,
		       enum mirror_sync_kind kind, uint64_t low, uint64_t high)
{
	*run = (struct sync_run){ .sync = { .kind = kind, .low = low, .high = high,
					    .done = sync_done, .differs = sync_differs,
					    .owner = run } };
	assert_int_equal(mirror_sync_begin(rig->m, &run->sync), 0);
	while (run->calls == 0)
		assert_true(mr_step(rig));
	return run->result;
}

/* What the owner does with what it is told, in one window. */
static int mend(struct mirror_rig *rig, struct sync_run *run, enum mirror_sync_kind kind)
{
	assert_true(rig->unreadable_calls <= 16);
	for (uint32_t i = 0; i < rig->unreadable_calls; i++)
		for (uint64_t c = rig->unreadable[i].low / MR_BITMAP_CHUNK;
		     c <= (rig->unreadable[i].high - 1) / MR_BITMAP_CHUNK; c++)
			rig->intent->is_needed[c] = true;
	return sync_to_end(rig, run, kind, 0, MR_MEMBER_BYTES / 512);
}

/* --- client reads ------------------------------------------------------------------------- */

static void A10_a_place_that_was_read_elsewhere_is_told_once(void **state)
{
	struct mirror_rig *rig = mr_new(2, 0, 0);

	(void)state;
	mirror_set_single_source(rig->m, true);
	assert_int_equal(mr_write(rig, 0, 64 * K, 6), 0);
	mr_unreadable(rig, 0, 20 * K, 512);
	for (int i = 0; i < 30; i++)
		assert_int_equal(mr_read(rig, 16 * K, 16 * K), 6);
	assert_int_equal(rig->unreadable_calls, 1);
	assert_int_equal(rig->unreadable[0].low, 40); /* the block, and no more */
	assert_int_equal(rig->unreadable[0].high, 48);
	assert_int_equal(rig->failed, 0);
	assert_true(mr_look(rig).disks[0].read_errors >= 30);
	assert_int_equal(mr_look(rig).disks[0].recent_errors, 1);
	mr_free(rig);
}

static void A10_each_disk_lacks_something_else_and_all_of_it_is_read(void **state)
{
	struct mirror_rig *rig = mr_new(2, 0, 0);

	(void)state;
	assert_int_equal(mr_write(rig, 0, 256 * K, 6), 0);
	mr_unreadable(rig, 0, 20 * K, 512);
	mr_unreadable(rig, 1, 100 * K, 512);
	assert_int_equal(mr_read(rig, 0, 256 * K), 6);
	assert_int_equal(rig->unreadable_calls, 2);
	mr_free(rig);
}

/* What somebody has read of the source may not be gone because of a sector next to it. */
static void A6_A10_where_copies_differ_only_what_cannot_be_read_comes_from_another(void **state)
{
	struct mirror_rig *rig = mr_new(2, 0, 0);
	struct mr_io *io;

	(void)state;
	mr_poke(rig, 0, 0, 64 * K, 1);
	mr_poke(rig, 1, 0, 64 * K, 2);
	rig->intent->is_needed[0] = true;
	mr_unreadable(rig, 0, 8 * K, 4 * K);
	io = mr_submit(rig, VOLUME_READ, 0, 64 * K, 0, 0);
	assert_int_equal(mr_wait(io), 0);
	for (uint32_t i = 0; i < 64; i++)
		assert_int_equal(io->buffer[i * K], i / 4 == 2 ? 2 : 1);
	mr_io_free(io);
	mr_free(rig);
}

/* However short: what is beside the edge of a block may be readable, and have been seen. */
static void A6_A10_a_short_read_over_the_edge_of_a_block_is_two(void **state)
{
	struct mirror_rig *rig = mr_new(2, 0, 0);
	struct mr_io *io;

	(void)state;
	mr_poke(rig, 0, 0, 64 * K, 1);
	mr_poke(rig, 1, 0, 64 * K, 2);
	rig->intent->is_needed[0] = true;
	mr_unreadable(rig, 0, 8 * K, 4 * K);
	io = mr_submit(rig, VOLUME_READ, 6 * K, 4 * K, 0, 0);
	assert_int_equal(mr_wait(io), 0);
	for (uint32_t i = 0; i < 4; i++)
		assert_int_equal(io->buffer[i * K], i < 2 ? 1 : 2);
	mr_io_free(io);
	mr_free(rig);
}

static void what_no_disk_can_read_is_the_clients_error_and_nobodys_need(void **state)
{
	struct mirror_rig *rig = mr_new(2, 0, 0);

	(void)state;
	mr_unreadable(rig, 0, 8 * K, 512);
	mr_unreadable(rig, 1, 8 * K, 512);
	for (int i = 0; i < 50; i++)
		assert_int_equal(mr_do(rig, VOLUME_READ, 8 * K, 4 * K, 0, 0), -EIO);
	assert_int_equal(rig->unreadable_calls, 0);
	assert_int_equal(rig->failed, 0);
	assert_int_equal(mr_read(rig, 12 * K, 4 * K), 0);
	assert_int_equal(mr_write(rig, 8 * K, 4 * K, 3), 0); /* who writes mends it */
	assert_int_equal(mr_read(rig, 8 * K, 4 * K), 3);
	mr_free(rig);
}

static void a_single_disks_errors_are_the_clients(void **state)
{
	struct mirror_rig *rig = mr_new(1, 0, 0);

	(void)state;
	mr_unreadable(rig, 0, 8 * K, 512);
	for (int i = 0; i < 50; i++)
		assert_int_equal(mr_do(rig, VOLUME_READ, 0, 64 * K, 0, 0), -EIO);
	assert_int_equal(rig->unreadable_calls, 0);
	assert_int_equal(rig->failed, 0);
	mr_free(rig);
}

static void what_is_remembered_is_bounded(void **state)
{
	struct mirror_config config = mr_config(2, 0, 0);
	struct mirror_rig *rig;
	uint32_t told = 0;

	(void)state;
	config.max_read_errors = 1000;
	rig = mr_new_config(&config);
	mirror_set_single_source(rig->m, true);
	for (int i = 0; i < 100; i++) {
		mr_unreadable(rig, 0, (uint64_t)i * 64 * K, 512);
		assert_int_equal(mr_read(rig, (uint64_t)i * 64 * K, 4 * K), 0);
		mr_run(rig);
		told += rig->unreadable_calls;
		rig->unreadable_calls = 0;
	}
	assert_int_equal(told, 64);
	mr_free(rig);
}

/* --- windows ------------------------------------------------------------------------------ */

static void mends(enum mirror_sync_kind kind)
{
	struct mirror_rig *rig = mr_new(2, 0, 0);
	struct sync_run run;

	mirror_set_single_source(rig->m, true);
	assert_int_equal(mr_write(rig, 0, M, 6), 0);
	mr_unreadable(rig, 0, 20 * K, 512);
	mr_unreadable(rig, 0, 700 * K, 5 * K);
	assert_int_equal(mr_read(rig, 0, M), 6);
	assert_true(rig->unreadable_calls >= 2);
	assert_int_equal(mend(rig, &run, kind), 0);
	assert_int_equal(mr_unreadable_bytes(rig, 0), 0);
	assert_int_equal(mr_on_disk(rig, 0, 0, M), 6);
	assert_int_equal(mr_on_disk(rig, 1, 0, M), 6);
	assert_int_equal(intent_needed_count(rig->intent), 0);
	mr_run(rig);
	assert_int_equal(rig->corrected_role, 0);
	assert_int_equal(rig->corrected_sectors, 8 + 16);
	assert_int_equal(mr_look(rig).disks[0].corrected_sectors, 8 + 16);
	assert_int_equal(rig->failed, 0);
	/* it is forgotten: the next time it is told anew */
	rig->unreadable_calls = 0;
	mr_unreadable(rig, 0, 20 * K, 512);
	assert_int_equal(mr_read(rig, 0, M), 6);
	assert_int_equal(rig->unreadable_calls, 1);
	mr_free(rig);
}

static void A10_a_copy_writes_what_its_source_cannot_read_and_reads_it_back(void **state)
{
	(void)state;
	mends(MIRROR_SYNC_COPY);
}

static void A10_a_compare_writes_what_cannot_be_read_and_reads_it_back(void **state)
{
	(void)state;
	mends(MIRROR_SYNC_COMPARE);
}

/* The source is fine, and so nobody reads the other one but to see that it is mended. */
static void A10_what_a_copy_writes_over_a_bad_place_is_read_back(void **state)
{
	struct mirror_rig *rig = mr_new(2, 0, 0);
	struct sync_run run;

	(void)state;
	rig->is_known_at_once = true;
	for (int i = 0; i < 4 && rig->unreadable_calls == 0; i++) {
		mr_fault(rig, 1, DISK_MEM_FAIL_READS, 20 * K, 512);
		assert_int_equal(mr_read(rig, 16 * K, 16 * K), 0);
	}
	assert_int_equal(rig->unreadable_calls, 1);
	assert_int_equal(mend(rig, &run, MIRROR_SYNC_COPY), 0);
	assert_int_equal(rig->failed, 1 << 1);
	assert_non_null(strstr(rig->why, "was written anew, and cannot be read"));
	mr_free(rig);
}

static void a_place_that_is_written_and_fails_still_fails_its_disk(void **state)
{
	struct mirror_rig *rig = mr_new(2, 0, 0);
	struct sync_run run;

	(void)state;
	rig->is_known_at_once = true;
	mr_poke(rig, 1, 0, M, 5);
	mr_fault(rig, 0, DISK_MEM_FAIL_READS, 64 * K, 4 * K);
	memset(rig->intent->is_needed, 1, 16);
	assert_int_equal(sync_to_end(rig, &run, MIRROR_SYNC_COPY, 0, 2048), 0);
	assert_int_equal(rig->failed, 1 << 0);
	assert_non_null(strstr(rig->why, "a: byte 1114112 was written anew, and cannot be read"));
	assert_int_equal(mr_look(rig).disks[0].corrected_sectors, 0);
	mr_free(rig);
}

/* Where copies differ, the source is right but for what it cannot read. */
static void A6_A10_of_a_piece_with_a_hole_the_rest_comes_from_the_source(void **state)
{
	struct mirror_rig *rig = mr_new(2, 0, 0);
	struct sync_run run;

	(void)state;
	mr_poke(rig, 0, 0, M, 1);
	mr_poke(rig, 1, 0, M, 2);
	mr_unreadable(rig, 0, 128 * K, 4 * K);
	memset(rig->intent->is_needed, 1, 16);
	assert_int_equal(sync_to_end(rig, &run, MIRROR_SYNC_COPY, 0, 2048), 0);
	for (uint32_t role = 0; role < 2; role++) {
		assert_int_equal(mr_on_disk(rig, role, 0, 128 * K), 1);
		assert_int_equal(mr_on_disk(rig, role, 128 * K, 4 * K), 2);
		assert_int_equal(mr_on_disk(rig, role, 132 * K, M - 132 * K), 1);
	}
	mr_free(rig);
}

static void what_no_disk_can_read_stays_needed_and_all_else_is_synced(void **state)
{
	struct mirror_rig *rig = mr_new(2, 0, 0);
	struct sync_run run;

	(void)state;
	mr_poke(rig, 0, 0, 2 * M, 1);
	for (uint32_t role = 0; role < 2; role++)
		mr_unreadable(rig, role, 3 * 64 * K + 8 * K, 512);
	mr_unreadable(rig, 0, 5 * 64 * K, 512);
	memset(rig->intent->is_needed, 1, 32);
	assert_int_equal(sync_to_end(rig, &run, MIRROR_SYNC_COPY, 0, 4096), -EIO);
	assert_int_equal(run.sync.position, 4096);
	assert_int_equal(run.sync.unread_sectors, 8);
	assert_int_equal(run.sync.unread_low, 3 * 128 + 16);
	assert_int_equal(intent_needed_count(rig->intent), 1);
	assert_true(rig->intent->is_needed[3]);
	assert_int_equal(mr_on_disk(rig, 1, M, M), 1);
	assert_int_equal(mr_on_disk(rig, 1, 3 * 64 * K + 12 * K, 52 * K), 1);
	assert_int_equal(mr_unreadable_bytes(rig, 0), 4 * K); /* nothing is invented */
	assert_int_equal(rig->failed, 0);
	mr_free(rig);
}

static void raid10_mends_as_raid1_does(void **state)
{
	struct mirror_rig *rig = mr_new(3, 2, 16);
	struct sync_run run;

	(void)state;
	assert_int_equal(mr_write(rig, 0, M, 6), 0);
	for (uint32_t role = 0; role < 3; role++)
		mr_unreadable(rig, role, (role * 3 + 1) * 16 * K, 512);
	memset(rig->intent->is_needed, 1, 16);
	assert_int_equal(sync_to_end(rig, &run, MIRROR_SYNC_COMPARE, 0, 2048), 0);
	for (uint32_t role = 0; role < 3; role++)
		assert_int_equal(mr_unreadable_bytes(rig, role), 0);
	assert_int_equal(mr_read(rig, 0, M), 6);
	assert_int_equal(rig->failed, 0);
	mr_free(rig);
}

static void a_new_disk_gets_what_can_be_read_of_a_source_with_a_hole(void **state)
{
	struct mirror_rig *rig = mr_new(2, 0, 0);
	struct mr_request gone, come;
	struct sync_run run;

	(void)state;
	mr_request_init(&gone);
	mr_request_init(&come);
	mr_poke(rig, 0, 0, M, 7);
	mirror_set_disk(rig->m, 1, MIRROR_DISK_MISSING, NULL, 0, &gone.req);
	mr_run(rig);
	mirror_set_disk(rig->m, 1, MIRROR_DISK_REBUILD, rig->disks[1], MR_DATA_OFFSET, &come.req);
	mr_unreadable(rig, 0, 256 * K, 512);
	memset(rig->intent->is_needed, 1, 16);
	assert_int_equal(sync_to_end(rig, &run, MIRROR_SYNC_COPY, 0, 2048), -EIO);
	assert_int_equal(mr_on_disk(rig, 1, 0, 256 * K), 7);
	assert_int_equal(mr_on_disk(rig, 1, 260 * K, M - 260 * K), 7);
	assert_int_equal(intent_needed_count(rig->intent), 1);
	assert_int_equal(rig->failed, 0);
	mr_free(rig);
}

/* --- scrubs ------------------------------------------------------------------------------- */

static void a_check_finds_what_cannot_be_read_and_calls_it_no_mismatch(void **state)
{
	struct mirror_rig *rig = mr_new(2, 0, 0);
	struct sync_run run;

	(void)state;
	assert_int_equal(mr_write(rig, 0, M, 6), 0);
	mr_unreadable(rig, 1, 300 * K, 512);
	assert_int_equal(sync_to_end(rig, &run, MIRROR_SYNC_CHECK, 0, 4096), 0);
	assert_int_equal(run.sync.mismatch_sectors, 0);
	assert_int_equal(run.told, 0);
	assert_int_equal(mr_unreadable_bytes(rig, 1), 4 * K); /* a check writes nothing */
	mr_run(rig);
	assert_int_equal(rig->unreadable_calls, 1);
	assert_int_equal(rig->unreadable[0].low, 600);
	assert_int_equal(mend(rig, &run, MIRROR_SYNC_COMPARE), 0);
	assert_int_equal(mr_unreadable_bytes(rig, 1), 0);
	mr_free(rig);
}

static void a_repair_mends_what_cannot_be_read(void **state)
{
	struct mirror_rig *rig = mr_new(2, 0, 0);
	struct sync_run run;

	(void)state;
	assert_int_equal(mr_write(rig, 0, M, 6), 0);
	mr_unreadable(rig, 0, 300 * K, 512);
	mr_poke(rig, 1, 512 * K, 4 * K, 9);
	assert_int_equal(sync_to_end(rig, &run, MIRROR_SYNC_REPAIR, 0, 4096), 0);
	assert_int_equal(run.sync.mismatch_sectors, 8);
	assert_int_equal(mr_unreadable_bytes(rig, 0), 0);
	assert_int_equal(mr_on_disk(rig, 0, 0, M), 6);
	assert_int_equal(mr_on_disk(rig, 1, 0, M), 6);
	assert_int_equal(mr_look(rig).disks[0].corrected_sectors, 8);
	assert_int_equal(rig->intent->begun, rig->intent->ended); /* A1 */
	mr_free(rig);
}

/* --- the limit ---------------------------------------------------------------------------- */

/* Returns how many places were found until it failed. */
static uint32_t places_until_it_fails(uint32_t max_read_errors, uint64_t pause_ns)
{
	struct mirror_config config = mr_config(2, 0, 0);
	struct mirror_rig *rig;
	uint32_t i;

	config.max_read_errors = max_read_errors;
	rig = mr_new_config(&config);
	rig->is_known_at_once = true;
	mirror_set_single_source(rig->m, true);
	for (i = 0; i < 100 && rig->failed == 0; i++) {
		mr_unreadable(rig, 0, (uint64_t)i * 64 * K, 512);
		assert_int_equal(mr_read(rig, (uint64_t)i * 64 * K, 4 * K), 0);
		rig->bias_ns += pause_ns;
		rig->unreadable_calls = 0;
		mr_run(rig);
	}
	mr_free(rig);
	return i;
}

static void a_disk_with_more_bad_places_than_the_limit_fails(void **state)
{
	(void)state;
	assert_int_equal(places_until_it_fails(0, 0), 1);
	assert_int_equal(places_until_it_fails(20, 0), 21);
	assert_int_equal(places_until_it_fails(63, 0), 64);
}

static void the_count_is_halved_each_hour(void **state)
{
	(void)state;
	/* two an hour come to less than four, six of them to less than twelve */
	assert_int_equal(places_until_it_fails(4, HOUR_NS / 2), 100);
	assert_int_equal(places_until_it_fails(12, HOUR_NS / 6), 100);
	assert_true(places_until_it_fails(8, HOUR_NS / 6) < 100);
}

static void words_on_what_is_corrected_do_not_flood(void **state)
{
	struct mirror_config config = mr_config(2, 0, 0);
	struct mirror_rig *rig;
	struct sync_run run;

	(void)state;
	config.max_read_errors = 1000;
	rig = mr_new_config(&config);
	for (uint64_t i = 0; i < 60; i++)
		mr_unreadable(rig, 0, i * 128 * K, 512);
	memset(rig->intent->is_needed, 1, CHUNKS);
	assert_int_equal(sync_to_end(rig, &run, MIRROR_SYNC_COPY, 0, MR_MEMBER_BYTES / 512), 0);
	mr_run_ns(rig, 60ull * 1000000000);
	assert_int_equal(mr_unreadable_bytes(rig, 0), 0);
	assert_int_equal(rig->corrected_calls, 2);
	assert_int_equal(rig->corrected_sectors, 60 * 8);
	mr_free(rig);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(A10_a_place_that_was_read_elsewhere_is_told_once),
		cmocka_unit_test(A10_each_disk_lacks_something_else_and_all_of_it_is_read),
		cmocka_unit_test(A6_A10_where_copies_differ_only_what_cannot_be_read_comes_from_another),
		cmocka_unit_test(A6_A10_a_short_read_over_the_edge_of_a_block_is_two),
		cmocka_unit_test(what_no_disk_can_read_is_the_clients_error_and_nobodys_need),
		cmocka_unit_test(a_single_disks_errors_are_the_clients),
		cmocka_unit_test(what_is_remembered_is_bounded),
		cmocka_unit_test(A10_a_copy_writes_what_its_source_cannot_read_and_reads_it_back),
		cmocka_unit_test(A10_a_compare_writes_what_cannot_be_read_and_reads_it_back),
		cmocka_unit_test(A10_what_a_copy_writes_over_a_bad_place_is_read_back),
		cmocka_unit_test(a_place_that_is_written_and_fails_still_fails_its_disk),
		cmocka_unit_test(A6_A10_of_a_piece_with_a_hole_the_rest_comes_from_the_source),
		cmocka_unit_test(what_no_disk_can_read_stays_needed_and_all_else_is_synced),
		cmocka_unit_test(raid10_mends_as_raid1_does),
		cmocka_unit_test(a_new_disk_gets_what_can_be_read_of_a_source_with_a_hole),
		cmocka_unit_test(a_check_finds_what_cannot_be_read_and_calls_it_no_mismatch),
		cmocka_unit_test(a_repair_mends_what_cannot_be_read),
		cmocka_unit_test(a_disk_with_more_bad_places_than_the_limit_fails),
		cmocka_unit_test(the_count_is_halved_each_hour),
		cmocka_unit_test(words_on_what_is_corrected_do_not_flood),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
