/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Mirrors: disks that are rebuilt, and what other windows think of them (D10, Y5, Y6). */
#include <errno.h>

#include "tests/unit/mirror_changes.h"

/* --- a rebuild ----------------------------------------------------------------------------- */

static void a_rebuild_copies_all_to_the_disk_that_is_rebuilt_alone(void **state)
{
	struct mirror_rig *rig = mr_new(3, 0, 0);
	struct window w;

	(void)state;
	mr_poke(rig, 0, 0, MR_MEMBER_BYTES, 1);
	mr_poke(rig, 1, 0, MR_MEMBER_BYTES, 2);
	rig->intent->is_needed[2] = true;
	replace(rig, 2);
	/* no chunk of the bitmap begins or ends there */
	assert_int_equal(rebuild(rig, &w, 4 * K, M + 512), 0);
	assert_int_equal(w.sync.position, SECTORS(M + 512));
	assert_int_equal(w.sync.copied_sectors, SECTORS(M + 512 - 4 * K));
	assert_int_equal(mr_on_disk(rig, 2, 0, 4 * K), 0xee);
	assert_int_equal(mr_on_disk(rig, 2, 4 * K, M + 512 - 4 * K), 1);
	assert_int_equal(mr_on_disk(rig, 2, M + 512, M), 0xee);
	assert_int_equal(mr_on_disk(rig, 1, 0, 2 * M), 2);
	/* neither begins a write of bits, nor ends a need */
	assert_int_equal(rig->intent->begun, 0);
	assert_int_equal(intent_needed_count(rig->intent), 1);
	mr_free(rig);
}

static void two_disks_are_rebuilt_at_once(void **state)
{
	struct mirror_rig *rig = mr_new(4, 0, 0);
	struct window w;

	(void)state;
	mr_poke(rig, 1, 0, MR_MEMBER_BYTES, 1);
	replace(rig, 0);
	replace(rig, 3);
	assert_int_equal(rebuild(rig, &w, 0, MR_MEMBER_BYTES), 0);
	assert_int_equal(mr_on_disk(rig, 0, 0, MR_MEMBER_BYTES), 1);
	assert_int_equal(mr_on_disk(rig, 3, 0, MR_MEMBER_BYTES), 1);
	assert_int_equal(mr_on_disk(rig, 2, 0, MR_MEMBER_BYTES), 0);
	assert_int_equal(mr_look(rig).disks[1].read_bytes, MR_MEMBER_BYTES);
	assert_int_equal(mr_look(rig).disks[2].read_bytes, 0);
	mr_free(rig);
}

/* Of four disks with two copies each, 0 and 1 are a set: 2 and 3 have nothing to give. */
static void where_nothing_is_rebuilt_nothing_is_read(void **state)
{
	struct mirror_rig *rig = mr_new(4, 2, 128);
	struct window w;

	(void)state;
	mr_poke(rig, 0, 0, MR_MEMBER_BYTES, 1);
	mr_poke(rig, 1, 0, MR_MEMBER_BYTES, 1);
	replace(rig, 1);
	assert_int_equal(rebuild(rig, &w, 0, 2 * MR_MEMBER_BYTES), 0);
	assert_int_equal(mr_on_disk(rig, 1, 0, MR_MEMBER_BYTES), 1);
	assert_int_equal(w.sync.position, SECTORS(2 * MR_MEMBER_BYTES));
	assert_int_equal(w.sync.copied_sectors, SECTORS(MR_MEMBER_BYTES));
	assert_int_equal(mr_look(rig).disks[2].reads + mr_look(rig).disks[3].reads, 0);
	change(rig, 1, MIRROR_DISK_IN_SYNC);
	assert_int_equal(rebuild(rig, &w, 0, 2 * MR_MEMBER_BYTES), 0);
	assert_int_equal(w.sync.copied_sectors, 0);
	assert_int_equal(w.sync.position, SECTORS(2 * MR_MEMBER_BYTES));
	mr_free(rig);
}

static void what_the_source_cannot_read_comes_from_the_next_one(void **state)
{
	struct mirror_rig *rig = mr_new(3, 0, 0);
	struct window w;

	(void)state;
	mr_poke(rig, 0, 0, MR_MEMBER_BYTES, 1);
	mr_poke(rig, 1, 0, MR_MEMBER_BYTES, 2);
	replace(rig, 2);
	mr_fault(rig, 0, DISK_MEM_FAIL_READS, 2 * M, 4 * K);
	assert_int_equal(rebuild(rig, &w, 0, 4 * M), 0);
	assert_int_equal(mr_on_disk(rig, 2, 0, 2 * M), 1);
	assert_int_equal(mr_on_disk(rig, 2, 2 * M, 4 * K), 2);
	assert_int_equal(mr_on_disk(rig, 2, 2 * M + 4 * K, 2 * M - 4 * K), 1);
	assert_int_equal(mr_on_disk(rig, 0, 0, 4 * M), 1); /* not this window's to mend */
	mr_fault(rig, 1, DISK_MEM_FAIL_READS, 2 * M, 4 * K);
	assert_int_equal(rebuild(rig, &w, 0, 4 * M), -EIO);
	assert_int_equal(w.sync.position, SECTORS(2 * M));
	assert_int_equal(w.sync.unread_low, SECTORS(2 * M)); /* who is told knows where */
	assert_true(w.sync.unread_sectors > 0 && w.sync.unread_sectors <= SECTORS(4 * K));
	assert_int_equal(rig->failed, 0);
	mr_free(rig);
}

/* Writes wait for pieces, and pieces for writes: the disk has what was written last. */
static void A3_writes_during_a_rebuild_are_on_the_disk(void **state)
{
	struct mirror_rig *rig = mr_new(2, 0, 0);
	struct mr_io *before, *during;
	struct window w;

	(void)state;
	mr_poke(rig, 0, 0, MR_MEMBER_BYTES, 1);
	replace(rig, 1);
	rig->intent->waits = true;
	before = mr_submit(rig, VOLUME_WRITE, M, 4 * K, 2, 0);
	window_begin(rig, &w, MIRROR_SYNC_REBUILD, 0, 4 * M);
	during = mr_submit(rig, VOLUME_WRITE, 3 * M, 4 * K, 3, 0);
	mr_run(rig);
	assert_int_equal(w.calls, 0); /* it waits for the first one */
	fake_intent_release(rig->intent);
	assert_int_equal(window_wait(rig, &w), 0);
	assert_int_equal(mr_wait(before) + mr_wait(during), 0);
	assert_int_equal(mr_do(rig, VOLUME_ZERO, 2 * M, 64 * K, 0, 0), 0);
	assert_int_equal(mr_on_disk(rig, 1, M, 4 * K), 2);
	assert_int_equal(mr_on_disk(rig, 1, 3 * M, 4 * K), 3);
	assert_int_equal(mr_on_disk(rig, 1, 2 * M, 64 * K), 0);
	assert_int_equal(mr_on_disk(rig, 1, M + 4 * K, M - 4 * K), 1);
	mr_io_free(before);
	mr_io_free(during);
	mr_free(rig);
}

/* Y5: PROGRESS is written by what it says. */
static void what_a_rebuild_says_is_done_is_durable(void **state)
{
	struct mirror_rig *rig = mr_new(2, 0, 0);
	struct window w;
	uint64_t far;

	(void)state;
	mr_poke(rig, 0, 0, MR_MEMBER_BYTES, 7);
	replace(rig, 1);
	assert_int_equal(rebuild(rig, &w, 0, 2 * M), 0);
	mirror_set_speed(rig->m, M);
	window_begin(rig, &w, MIRROR_SYNC_REBUILD, 2 * M, MR_MEMBER_BYTES);
	mr_run_ns(rig, 2500000000);
	mirror_sync_cancel(rig->m, &w.sync);
	assert_int_equal(window_wait(rig, &w), -ECANCELED);
	far = w.sync.position * 512;
	assert_true(far > 2 * M && far < MR_MEMBER_BYTES);
	disk_world_cut_power(rig->world);
	disk_world_restore_power(rig->world);
	assert_int_equal(mr_on_disk(rig, 1, 0, far), 7);
	mr_free(rig);
}

static void a_rebuild_that_does_not_go_as_fast_as_it_may_says_how_far_it_is(void **state)
{
	struct mirror_rig *rig = mr_new(2, 0, 0);
	uint64_t began = mr_now(rig);
	struct window w;

	(void)state;
	replace(rig, 1);
	mirror_set_speed(rig->m, 2 * M);
	window_begin(rig, &w, MIRROR_SYNC_REBUILD, 0, MR_MEMBER_BYTES);
	mr_run_ns(rig, 1000000000);
	assert_in_range(mr_look(rig).sync_sectors, SECTORS(M), SECTORS(4 * M));
	assert_int_equal(window_wait(rig, &w), 0);
	assert_true(mr_now(rig) - began > 2000000000);
	mr_free(rig);
}

/* --- disks that come and go amid it --------------------------------------------------------- */

/* D9: its errors are those of any disk that is written. */
static void a_disk_that_fails_while_it_is_rebuilt_is_told(void **state)
{
	struct mirror_rig *rig = mr_new(2, 0, 0);
	struct mr_io *write;
	struct window w;

	(void)state;
	mr_poke(rig, 0, 0, MR_MEMBER_BYTES, 1);
	replace(rig, 1);
	mr_fault(rig, 1, DISK_MEM_FAIL_WRITES, 3 * M, 4 * K);
	assert_int_equal(rebuild(rig, &w, 0, MR_MEMBER_BYTES), 0);
	assert_int_equal(rig->failed, 1 << 1);
	assert_int_equal(w.sync.position, SECTORS(MR_MEMBER_BYTES));
	assert_true(rig->intent->gone >> 1 & 1);
	/* others may have it in their superblocks as rebuilt: they know first */
	write = mr_submit(rig, VOLUME_WRITE, 0, 4 * K, 2, 0);
	mr_run(rig);
	assert_int_equal(write->calls, 0);
	mirror_failure_known(rig->m, 1);
	assert_int_equal(mr_wait(write), 0);
	assert_int_equal(rebuild(rig, &w, 0, MR_MEMBER_BYTES), 0);
	assert_int_equal(w.sync.copied_sectors, 0);
	mr_io_free(write);
	mr_free(rig);
}

static void A7_a_disk_that_hangs_while_it_is_rebuilt_holds_up_nothing(void **state)
{
	struct mirror_rig *rig = mr_new(2, 0, 0);
	struct window w;

	(void)state;
	rig->is_known_at_once = true;
	replace(rig, 1);
	rig->is_frozen[1] = true;
	assert_int_equal(rebuild(rig, &w, 0, 4 * M), 0);
	assert_int_equal(rig->failed, 1 << 1);
	assert_int_equal(mr_write(rig, 0, 4 * K, 1), 0);
	mr_free(rig);
}

/* It is not trusted yet: writes do not wait for it as long as for one that others read. */
static void A7_a_disk_that_is_rebuilt_has_less_time(void **state)
{
	struct mirror_rig *rig = mr_new(3, 0, 0);
	struct mr_io *write;
	uint64_t began;

	(void)state;
	rig->is_known_at_once = true;
	replace(rig, 1);
	for (int role = 1; role <= 2; role++) {
		rig->is_frozen[role] = true;
		began = mr_now(rig);
		write = mr_submit(rig, VOLUME_WRITE, 0, 4 * K, 1, 0);
		assert_int_equal(mr_wait(write), 0);
		assert_true(rig->failed & 1u << role);
		assert_true(write->done_at_ns - began >= MR_HANG_NS / 3);
		assert_int_equal(write->done_at_ns - began < MR_HANG_NS / 2, role == 1);
		rig->is_frozen[role] = false; /* it gives back the buffer */
		mr_run(rig);
		mr_io_free(write);
	}
	mr_free(rig);
}

/* A7 of the flush at the end. */
static void a_disk_that_hangs_when_its_rebuild_is_flushed_holds_up_nothing(void **state)
{
	struct mirror_rig *rig = mr_new(2, 0, 0);
	struct window w;

	(void)state;
	rig->is_known_at_once = true;
	replace(rig, 1);
	window_begin(rig, &w, MIRROR_SYNC_REBUILD, 0, 64 * K);
	while (w.sync.position < SECTORS(64 * K))
		assert_true(mr_step(rig));
	assert_int_equal(w.calls, 0);
	rig->is_frozen[1] = true;
	assert_int_equal(window_wait(rig, &w), 0);
	assert_int_equal(rig->failed, 1 << 1);
	mr_free(rig);
}

/* Y6 */
static void a_disk_that_comes_amid_a_rebuild_makes_it_begin_anew(void **state)
{
	struct mirror_rig *rig = mr_new(3, 0, 0);
	struct window w;
	struct change it;

	(void)state;
	mr_poke(rig, 0, 0, MR_MEMBER_BYTES, 1);
	take_out(rig, 2);
	replace(rig, 1);
	mirror_set_speed(rig->m, M);
	window_begin(rig, &w, MIRROR_SYNC_REBUILD, 2 * M, MR_MEMBER_BYTES);
	mr_run_ns(rig, 500000000);
	change_begin(rig, &it, 2, MIRROR_DISK_REBUILD, false);
	mr_run_ns(rig, 1000000);
	fake_intent_answer(rig->intent);
	assert_int_equal(window_wait(rig, &w), -ECANCELED);
	assert_int_equal(w.sync.position, SECTORS(2 * M));
	assert_int_equal(it.result, 0);
	mirror_set_speed(rig->m, 0);
	assert_int_equal(rebuild(rig, &w, 0, MR_MEMBER_BYTES), 0);
	assert_int_equal(mr_on_disk(rig, 1, 0, MR_MEMBER_BYTES), 1);
	assert_int_equal(mr_on_disk(rig, 2, 0, MR_MEMBER_BYTES), 1);
	mr_free(rig);
}

/* D13: nothing of it goes out while the gate is shut, and it goes on when that opens. */
static void a_rebuild_waits_for_the_gate(void **state)
{
	struct mirror_rig *rig = mr_new(2, 0, 0);
	struct window w;

	(void)state;
	mr_poke(rig, 0, 0, MR_MEMBER_BYTES, 1);
	replace(rig, 1);
	mirror_set_gate(rig->m, false, UINT64_MAX);
	window_begin(rig, &w, MIRROR_SYNC_REBUILD, 0, 4 * M);
	mr_run_ns(rig, 1000000);
	assert_int_equal(mr_look(rig).disks[1].writes, 0);
	mirror_set_gate(rig->m, true, UINT64_MAX);
	assert_int_equal(window_wait(rig, &w), 0);
	assert_int_equal(mr_on_disk(rig, 1, 0, 4 * M), 1);
	mr_free(rig);
}

static void a_disk_that_was_rebuilt_is_read(void **state)
{
	struct mirror_rig *rig = mr_new(2, 0, 0);
	struct window w;

	(void)state;
	mr_poke(rig, 0, 0, MR_MEMBER_BYTES, 1);
	replace(rig, 1);
	assert_int_equal(rebuild(rig, &w, 0, MR_MEMBER_BYTES), 0);
	assert_int_equal(mr_read(rig, 0, 64 * K), 1);
	assert_int_equal(mr_look(rig).disks[1].reads, 0);
	change(rig, 1, MIRROR_DISK_IN_SYNC);
	assert_false(rig->intent->is_degraded);
	mr_fault(rig, 0, DISK_MEM_FAIL_READS, 0, MR_MEMBER_BYTES);
	assert_int_equal(mr_read(rig, 0, 64 * K), 1);
	assert_true(mr_look(rig).disks[1].reads > 0);
	mr_free(rig);
}

/* --- what other windows think of it ---------------------------------------------------------- */

/* It may have by chance what the source has, in its cache: that counts for nothing. */
static void a_compare_writes_all_to_it_and_does_not_read_it(void **state)
{
	struct mirror_rig *rig = mr_new(3, 0, 0);
	struct window w;

	(void)state;
	replace(rig, 0);
	mr_poke(rig, 0, 0, 64 * K, 5);
	mr_poke(rig, 1, 0, 64 * K, 1);
	mr_poke(rig, 2, 0, 64 * K, 1);
	mr_poke(rig, 2, 32 * K, 4 * K, 2);
	rig->intent->is_needed[0] = true;
	window_begin(rig, &w, MIRROR_SYNC_COMPARE, 0, 64 * K);
	assert_int_equal(window_wait(rig, &w), 0);
	assert_int_equal(mr_look(rig).disks[0].reads, 0);
	assert_int_equal(w.sync.copied_sectors, SECTORS(64 * K + 4 * K));
	assert_int_equal(w.sync.mismatch_sectors, SECTORS(4 * K));
	for (uint32_t role = 0; role < 3; role++)
		assert_int_equal(mr_on_disk(rig, role, 0, 64 * K), 1);
	assert_int_equal(intent_needed_count(rig->intent), 0);
	mr_free(rig);
}

static void a_compare_writes_it_where_all_others_are_equal(void **state)
{
	struct mirror_rig *rig = mr_new(2, 0, 0);
	struct window w;

	(void)state;
	mr_poke(rig, 0, 0, 64 * K, 1);
	replace(rig, 1);
	rig->intent->is_needed[0] = true;
	window_begin(rig, &w, MIRROR_SYNC_COMPARE, 0, 64 * K);
	assert_int_equal(window_wait(rig, &w), 0);
	assert_int_equal(mr_on_disk(rig, 1, 0, 64 * K), 1);
	mr_free(rig);
}

static void a_check_knows_nothing_of_it(void **state)
{
	struct mirror_rig *rig = mr_new(3, 0, 0);
	struct window w;

	(void)state;
	replace(rig, 0);
	window_begin(rig, &w, MIRROR_SYNC_CHECK, 0, 4 * M);
	assert_int_equal(window_wait(rig, &w), 0);
	assert_int_equal(w.told, 0);
	assert_int_equal(w.sync.mismatch_sectors, 0);
	assert_int_equal(mr_look(rig).disks[0].reads, 0);
	mr_free(rig);
}

/* What was copied to it may be from the one that is mended now. */
static void a_repair_writes_to_it_what_differs_among_the_others(void **state)
{
	struct mirror_rig *rig = mr_new(3, 0, 0);
	struct window w;

	(void)state;
	replace(rig, 2);
	mr_poke(rig, 0, M, 4 * K, 1);
	rig->intent->is_needed[0] = true;
	window_begin(rig, &w, MIRROR_SYNC_REPAIR, 0, 4 * M);
	assert_int_equal(window_wait(rig, &w), 0);
	assert_int_equal(mr_on_disk(rig, 1, M, 4 * K), 1);
	assert_int_equal(mr_on_disk(rig, 2, M, 4 * K), 1);
	assert_int_equal(mr_on_disk(rig, 2, 0, M), 0xee);
	assert_true(rig->intent->is_needed[0]); /* it has not got that one */
	mr_free(rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_rebuild_copies_all_to_the_disk_that_is_rebuilt_alone),
		cmocka_unit_test(two_disks_are_rebuilt_at_once),
		cmocka_unit_test(where_nothing_is_rebuilt_nothing_is_read),
		cmocka_unit_test(what_the_source_cannot_read_comes_from_the_next_one),
		cmocka_unit_test(A3_writes_during_a_rebuild_are_on_the_disk),
		cmocka_unit_test(what_a_rebuild_says_is_done_is_durable),
		cmocka_unit_test(
			a_rebuild_that_does_not_go_as_fast_as_it_may_says_how_far_it_is),
		cmocka_unit_test(a_disk_that_fails_while_it_is_rebuilt_is_told),
		cmocka_unit_test(A7_a_disk_that_hangs_while_it_is_rebuilt_holds_up_nothing),
		cmocka_unit_test(A7_a_disk_that_is_rebuilt_has_less_time),
		cmocka_unit_test(
			a_disk_that_hangs_when_its_rebuild_is_flushed_holds_up_nothing),
		cmocka_unit_test(a_disk_that_comes_amid_a_rebuild_makes_it_begin_anew),
		cmocka_unit_test(a_rebuild_waits_for_the_gate),
		cmocka_unit_test(a_disk_that_was_rebuilt_is_read),
		cmocka_unit_test(a_compare_writes_all_to_it_and_does_not_read_it),
		cmocka_unit_test(a_compare_writes_it_where_all_others_are_equal),
		cmocka_unit_test(a_check_knows_nothing_of_it),
		cmocka_unit_test(a_repair_writes_to_it_what_differs_among_the_others),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
