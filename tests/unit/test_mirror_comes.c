/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Mirrors: disks that come, or take the role of one that hangs (D10, C1..C4). */
#include <errno.h>
#include <string.h>

#include "tests/unit/mirror_changes.h"

/* --- the way in ----------------------------------------------------------------------------- */

/* D10: its slot before its data; and no bit goes as long as it is not in sync. */
static void no_data_goes_to_it_before_its_slot_is_there(void **state)
{
	struct mirror_rig *rig = mr_new(2, 0, 0);
	struct change it;

	(void)state;
	take_out(rig, 1);
	rig->intent->is_degraded = false;
	change_begin(rig, &it, 1, MIRROR_DISK_REBUILD, false);
	assert_true(rig->intent->is_degraded);
	assert_int_equal(mr_write(rig, 0, 4 * K, 1), 0);
	mr_run(rig);
	assert_int_equal(it.calls, 0);
	assert_int_equal(mr_look(rig).disks[1].writes, 0);
	answer_intent(rig);
	assert_int_equal(it.calls, 1);
	assert_int_equal(mr_write(rig, 0, 4 * K, 2), 0);
	assert_int_equal(mr_on_disk(rig, 1, 0, 4 * K), 2);
	mr_free(rig);
}

/* C1: begun before it came, ended after: its chunk is needed, whatever becomes of its bit. */
static void what_was_written_without_it_is_needed_when_it_comes_back(void **state)
{
	struct mirror_rig *rig = mr_new(2, 0, 0);
	struct mr_io *amid, *waiting;
	struct change it;

	(void)state;
	take_out(rig, 1);
	assert_int_equal(mr_write(rig, 0, 4 * K, 1), 0);
	change_begin(rig, &it, 1, MIRROR_DISK_REBUILD, true);
	mr_run(rig);
	amid = mr_submit(rig, VOLUME_WRITE, 64 * K, 4 * K, 2, 0);
	rig->intent->waits = true;
	waiting = mr_submit(rig, VOLUME_WRITE, 128 * K, 4 * K, 3, 0);
	fake_intent_answer(rig->intent); /* the slot is there, and writes go to it */
	assert_int_equal(amid->calls, 0);
	assert_true(rig->intent->is_needed[0]);
	assert_true(rig->intent->is_needed[1]);
	mr_run(rig);
	assert_int_equal(amid->calls, 1);
	assert_int_equal(it.calls, 0); /* that it is needed is not durable yet */
	fake_intent_answer(rig->intent);
	mr_run(rig);
	assert_int_equal(it.calls, 1);
	fake_intent_release(rig->intent);
	assert_int_equal(mr_wait(waiting), 0);
	assert_int_equal(mr_on_disk(rig, 1, 128 * K, 4 * K), 3);
	mr_io_free(amid);
	mr_io_free(waiting);
	mr_free(rig);
}

static void nothing_is_needed_where_it_is_rebuilt_as_a_whole(void **state)
{
	struct mirror_rig *rig = mr_new(2, 0, 0);

	(void)state;
	take_out(rig, 1);
	assert_int_equal(mr_write(rig, 0, 4 * K, 1), 0);
	change(rig, 1, MIRROR_DISK_REBUILD);
	assert_int_equal(intent_needed_count(rig->intent), 0);
	mr_free(rig);
}

/* C3: writes to the others do not wait for it for ever, and nobody is told of a failure. */
static void one_that_does_not_take_its_slot_does_not_come(void **state)
{
	struct mirror_rig *rig = mr_new(2, 0, 0);
	struct change it;

	(void)state;
	take_out(rig, 1);
	change_begin(rig, &it, 1, MIRROR_DISK_REBUILD, true);
	mirror_intent_failed(rig->m, 1, EIO);
	mirror_intent_failed(rig->m, 1, EIO);
	answer_intent(rig);
	assert_int_equal(it.calls, 1);
	assert_int_equal(it.result, -EIO);
	assert_non_null(strstr(it.c.err.text, "b: write of the bitmap: Input/output error"));
	assert_true(rig->intent->gone >> 1 & 1);
	assert_true(rig->intent->is_degraded);
	assert_int_equal(mr_look(rig).disks[1].state, MIRROR_DISK_MISSING);
	assert_int_equal(rig->failed, 0);
	assert_int_equal(mr_write(rig, 0, 4 * K, 1), 0);
	assert_int_equal(mr_look(rig).disks[1].writes, 0);
	rig->intent->coming_result = 0;
	change(rig, 1, MIRROR_DISK_REBUILD); /* it may be tried again */
	mr_free(rig);
}

/* By these events a disk that went before finds out that it missed what was cleared. */
static void I12_the_intent_knows_the_events_of_the_superblocks_before_it_clears(void **state)
{
	struct mirror_rig *rig = mr_new(2, 0, 0);
	struct change it;

	(void)state;
	replace(rig, 1);
	change_begin_at(rig, &it, 1, MIRROR_DISK_IN_SYNC, false, 7);
	assert_false(rig->intent->is_degraded);
	assert_int_equal(rig->intent->whole_events, 7);
	mr_run(rig);
	mr_free(rig);
}

/* Superblocks tell of two at once: no bit goes before the second one is here as well. */
static void D2_the_array_is_not_whole_before_all_its_disks_have_come(void **state)
{
	struct mirror_rig *rig = mr_new(3, 0, 0);

	(void)state;
	take_out(rig, 2);
	replace(rig, 1);
	change(rig, 1, MIRROR_DISK_IN_SYNC);
	assert_true(rig->intent->is_degraded);
	change(rig, 2, MIRROR_DISK_REBUILD);
	change(rig, 2, MIRROR_DISK_IN_SYNC);
	assert_false(rig->intent->is_degraded);
	mr_free(rig);
}

/* C2 */
static void without_memory_for_what_is_needed_it_does_not_come(void **state)
{
	struct mirror_rig *rig = mr_new(2, 0, 0);
	struct change it;

	(void)state;
	take_out(rig, 1);
	rig->intent->has_no_memory = true;
	change_begin(rig, &it, 1, MIRROR_DISK_REBUILD, true);
	answer_intent(rig);
	assert_int_equal(it.calls, 1);
	assert_int_equal(it.result, -ENOMEM);
	assert_true(rig->intent->gone >> 1 & 1);
	assert_int_equal(mr_look(rig).disks[1].state, MIRROR_DISK_MISSING);
	mr_free(rig);
}

/* It fails when it has come, and what is needed is on its way to the others. */
static void one_that_fails_as_soon_as_it_has_come_fails_as_any(void **state)
{
	struct mirror_rig *rig = mr_new(2, 0, 0);
	struct change it;

	(void)state;
	take_out(rig, 1);
	change_begin(rig, &it, 1, MIRROR_DISK_REBUILD, true);
	fake_intent_answer(rig->intent);
	mirror_intent_failed(rig->m, 1, EIO);
	answer_intent(rig);
	assert_int_equal(it.calls, 1);
	assert_int_equal(it.result, 0);
	assert_int_equal(rig->failed, 1 << 1);
	mr_free(rig);
}

static void one_with_larger_blocks_than_clients_were_told_does_not_come(void **state)
{
	struct mirror_rig *rig = mr_new(2, 0, 0);
	struct change it;

	(void)state;
	take_out(rig, 1);
	rig->disks[1]->topology.logical_block_bytes = 4096;
	change_begin(rig, &it, 1, MIRROR_DISK_REBUILD, false);
	mr_run(rig);
	assert_int_equal(it.result, -EINVAL);
	assert_non_null(strstr(it.c.err.text, "its blocks have 4096 bytes, the array's 512"));
	assert_null(rig->intent->coming);
	mr_free(rig);
}

/* Of one that failed, and went before what was asked of it was given up. */
static void one_whose_place_is_not_left_yet_does_not_come(void **state)
{
	struct mirror_rig *rig = mr_new(2, 0, 0);
	struct mr_io *write;
	struct change gone, it;

	(void)state;
	rig->is_frozen[1] = true;
	write = mr_submit(rig, VOLUME_WRITE, 0, 4 * K, 1, 0);
	change_begin(rig, &gone, 1, MIRROR_DISK_MISSING, false);
	change_begin(rig, &it, 1, MIRROR_DISK_REBUILD, false);
	mirror_advance(rig->m, mr_now(rig));
	assert_int_equal(it.result, -EBUSY);
	assert_non_null(strstr(it.c.err.text, "b: requests to the disk that had its role"));
	mr_run(rig);
	mirror_failure_known(rig->m, 1);
	assert_int_equal(mr_wait(write), 0);
	assert_int_equal(gone.calls, 1);
	rig->is_frozen[1] = false;
	mr_run(rig);
	change(rig, 1, MIRROR_DISK_REBUILD);
	mr_io_free(write);
	mr_free(rig);
}

/* Another disk than the one that had the role. */
static void take_role(struct mirror_rig *rig, uint32_t role, uint32_t disk)
{
	struct change it = { .c = { .role = role,
				    .state = MIRROR_DISK_REBUILD,
				    .disk = rig->disks[disk],
				    .data_offset = MR_DATA_OFFSET,
				    .done = change_done,
				    .owner = &it } };

	mirror_change_disk(rig->m, &it.c);
	answer_intent(rig);
	assert_int_equal(it.calls, 1);
	assert_int_equal(it.result, 0);
}

/* What is asked of it is asked of that disk, not of the one that hangs. */
static void expect_flush_of(struct mirror_rig *rig, uint32_t disk)
{
	struct mr_io *flush = mr_submit(rig, VOLUME_FLUSH, 0, 0, 0, 0);

	assert_int_equal(rig->disks[disk]->in_flight, 1);
	assert_int_equal(mr_wait(flush), 0);
	mr_io_free(flush);
}

/* A write, a flush and reads, which never come back, or late. */
static void C4_a_role_is_taken_while_all_hangs_on_the_disk_that_had_it(void **state)
{
	enum { READS = 8 };
	struct mirror_rig *rig = mr_new(2, 0, 0);
	uint32_t fresh = mr_add_disk(rig);
	struct mr_io *write, *flush, *reads[READS];
	struct mr_request stop;
	struct window w;

	(void)state;
	rig->is_known_at_once = true;
	assert_int_equal(mr_write(rig, 0, M, 7), 0);
	rig->is_frozen[1] = true;
	write = mr_submit(rig, VOLUME_WRITE, 0, 4 * K, 1, 0);
	flush = mr_submit(rig, VOLUME_FLUSH, 0, 0, 0, 0);
	for (int i = 0; i < READS; i++)
		reads[i] = mr_submit(rig, VOLUME_READ, (uint64_t)(READS - i) * 64 * K, 4 * K, 0, 0);
	assert_int_equal(mr_wait(write) + mr_wait(flush), 0);
	for (int i = 0; i < READS; i++)
		assert_int_equal(mr_wait(reads[i]), 0);
	assert_true(mr_look(rig).disks[1].in_flight > 2); /* reads, too */
	change(rig, 1, MIRROR_DISK_MISSING);
	take_role(rig, 1, fresh);
	assert_int_equal(mr_look(rig).disks[1].in_flight, 0);
	assert_int_equal(rebuild(rig, &w, 0, MR_MEMBER_BYTES), 0);
	change(rig, 1, MIRROR_DISK_IN_SYNC);
	assert_int_equal(mr_write(rig, 0, 4 * K, 2), 0);
	expect_flush_of(rig, fresh);
	assert_int_equal(mr_on_disk(rig, fresh, 0, 4 * K), 2);
	assert_int_equal(mr_on_disk(rig, fresh, 4 * K, M - 4 * K), 7);

	mr_request_init(&stop);
	mirror_stop(rig->m, &stop.req);
	mr_run(rig);
	assert_int_equal(stop.calls, 0); /* their memory is ours, and the clients' */
	assert_int_equal(write->released, 0);
	rig->is_frozen[1] = false;
	mr_run(rig);
	assert_int_equal(stop.calls, 1);
	assert_int_equal(write->released, 1);
	assert_int_equal(mr_look(rig).disks[1].in_flight, 0);
	assert_int_equal(mr_on_disk(rig, fresh, 0, 4 * K), 2);
	mr_io_free(write);
	mr_io_free(flush);
	for (int i = 0; i < READS; i++)
		mr_io_free(reads[i]);
	mr_free(rig);
}

/* And the next one's, when that hangs as well; then all come back at once. */
static void C4_a_role_is_taken_from_one_that_hangs_amid_its_rebuild(void **state)
{
	struct mirror_rig *rig = mr_new(2, 0, 0);
	uint32_t next = mr_add_disk(rig), last = mr_add_disk(rig);
	struct mr_io *write, *flush;
	struct window w;

	(void)state;
	rig->is_known_at_once = true;
	mr_poke(rig, 0, 0, MR_MEMBER_BYTES, 3);
	rig->is_frozen[1] = true;
	assert_int_equal(mr_wait(flush = mr_submit(rig, VOLUME_FLUSH, 0, 0, 0, 0)), 0);
	change(rig, 1, MIRROR_DISK_MISSING);
	take_role(rig, 1, next);
	rig->failed = 0;
	rig->is_frozen[next] = true;
	window_begin(rig, &w, MIRROR_SYNC_REBUILD, 0, MR_MEMBER_BYTES);
	write = mr_submit(rig, VOLUME_WRITE, MR_MEMBER_BYTES - 4 * K, 4 * K, 1, 0);
	(void)window_wait(rig, &w);
	assert_int_equal(mr_wait(write), 0);
	assert_int_equal(rig->failed, 1 << 1);
	change(rig, 1, MIRROR_DISK_MISSING);
	take_role(rig, 1, last);
	assert_int_equal(rebuild(rig, &w, 0, MR_MEMBER_BYTES), 0);
	change(rig, 1, MIRROR_DISK_IN_SYNC);
	expect_flush_of(rig, last);
	rig->is_frozen[1] = rig->is_frozen[next] = false;
	mr_run(rig);
	assert_int_equal(mr_on_disk(rig, last, 0, MR_MEMBER_BYTES - 4 * K), 3);
	assert_int_equal(mr_on_disk(rig, last, MR_MEMBER_BYTES - 4 * K, 4 * K), 1);
	assert_int_equal(mr_look(rig).disks[1].in_flight, 0);
	mr_io_free(write);
	mr_io_free(flush);
	mr_free(rig);
}

/* The cluster failed it, and it hangs, for no longer than any may. */
static void A7_one_that_went_is_waited_for_no_longer_than_any(void **state)
{
	struct mirror_rig *rig = mr_new(2, 0, 0);
	struct mr_io *write, *flush;
	struct change it;

	(void)state;
	rig->is_frozen[1] = true;
	write = mr_submit(rig, VOLUME_WRITE, 0, 4 * K, 1, 0);
	flush = mr_submit(rig, VOLUME_FLUSH, 0, 0, 0, 0);
	change_begin(rig, &it, 1, MIRROR_DISK_MISSING, false);
	mirror_advance(rig->m, mr_now(rig));
	assert_int_equal(it.calls, 0);
	mr_run_ns(rig, MR_HANG_NS + 1000000);
	assert_int_equal(it.calls, 1);
	mirror_failure_known(rig->m, 1);
	assert_int_equal(mr_wait(write) + mr_wait(flush), 0);
	rig->is_frozen[1] = false;
	mr_run(rig);
	mr_io_free(write);
	mr_io_free(flush);
	mr_free(rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(no_data_goes_to_it_before_its_slot_is_there),
		cmocka_unit_test(what_was_written_without_it_is_needed_when_it_comes_back),
		cmocka_unit_test(nothing_is_needed_where_it_is_rebuilt_as_a_whole),
		cmocka_unit_test(one_that_does_not_take_its_slot_does_not_come),
		cmocka_unit_test(D2_the_array_is_not_whole_before_all_its_disks_have_come),
		cmocka_unit_test(
			I12_the_intent_knows_the_events_of_the_superblocks_before_it_clears),
		cmocka_unit_test(without_memory_for_what_is_needed_it_does_not_come),
		cmocka_unit_test(one_that_fails_as_soon_as_it_has_come_fails_as_any),
		cmocka_unit_test(one_whose_place_is_not_left_yet_does_not_come),
		cmocka_unit_test(C4_a_role_is_taken_while_all_hangs_on_the_disk_that_had_it),
		cmocka_unit_test(C4_a_role_is_taken_from_one_that_hangs_amid_its_rebuild),
		cmocka_unit_test(A7_one_that_went_is_waited_for_no_longer_than_any),
		cmocka_unit_test(
			one_with_larger_blocks_than_clients_were_told_does_not_come),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
