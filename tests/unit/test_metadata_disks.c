/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Disks that come and go: what two nodes see of it, and disks that do not take what is
 * written.
 */
#include "tests/unit/metadata_rig.h"

/* --- stories ----------------------------------------------------------------------------------- */

static void a_disk_comes_as_a_spare_and_ends_in_sync_on_all_nodes(void **state)
{
	struct metadata_request find = { .op = METADATA_FIND };
	struct metadata_request req;
	struct bench t;

	(void)state;
	set_up(&t, 1, 3);
	asked(&t.a, METADATA_FAIL, 1, 0);
	assert_false(t.a.view.disks[1].is_elsewhere);
	req = to_prepare("c");
	assert_ok(run(&t.a, &req), req.err);
	assert_int_equal(req.number, 2);
	asked(&t.a, METADATA_RELOAD, 0, 0);
	assert_int_equal(state_of(&t.a, "c"), -1); /* a candidate is in no view */
	memcpy(find.device_uuid, req.device_uuid, 16);
	assert_ok(run(&t.b, &find), find.err);
	assert_int_equal(find.number, 2);
	asked(&t.b, METADATA_RELOAD, 0, 0);
	assert_int_equal(state_of(&t.b, "c"), -1);

	asked(&t.a, METADATA_ADD, 0, 2);
	asked(&t.b, METADATA_RELOAD, 0, 0);
	assert_int_equal(state_of(&t.a, "c"), METADATA_DISK_SPARE);
	assert_int_equal(state_of(&t.b, "c"), METADATA_DISK_SPARE);
	assert_int_equal(t.b.view.events, t.a.view.events);

	change_slot(&t.rig, 1, 1, 5, 6, 0);
	asked(&t.b, METADATA_REBUILD, 1, 2);
	asked(&t.a, METADATA_RELOAD, 0, 0);
	assert_int_equal(state_of(&t.a, "c"), METADATA_DISK_REBUILD);
	assert_int_equal(disk_of(&t.a, "c")->role, 1);
	assert_int_equal(disk_of(&t.a, "c")->recovery_offset, 0);
	assert_false(disk_of(&t.a, "c")->is_by_bitmap);
	assert_int_equal(t.a.view.degraded, 1);
	assert_int_equal(dirty_on(&t.rig, 2, 1), 2);

	req = (struct metadata_request){ .op = METADATA_PROGRESS, .role = 1, .position = 4096 };
	assert_ok(run(&t.b, &req), req.err);
	asked(&t.a, METADATA_RELOAD, 0, 0);
	assert_int_equal(disk_of(&t.a, "c")->recovery_offset, 4096);
	asked(&t.b, METADATA_IN_SYNC, 1, 0);
	asked(&t.a, METADATA_RELOAD, 0, 0);
	assert_int_equal(state_of(&t.a, "c"), METADATA_DISK_IN_SYNC);
	assert_int_equal(t.a.view.degraded, 0);
	assert_int_equal(sb_of(&t.rig, 2).feature_map,
			 MD_FEATURE_BITMAP_OFFSET | MD_FEATURE_CLUSTERED);
	tear_down(&t);
}

/* D10, and a kernel's loss: what an absent node left is on a disk that came meanwhile. */
static void an_absent_nodes_slot_is_intact_on_a_disk_that_came_meanwhile(void **state)
{
	struct metadata_request req = { .op = METADATA_READ_SLOT, .slot = 2 };
	struct bench t;
	uint32_t number;

	(void)state;
	set_up(&t, 1, 3);
	change_slot(&t.rig, 2, 2, 0, 0, 0);
	change_slot(&t.rig, 1, 2, 7, 9, 0); /* on one copy alone */
	asked(&t.a, METADATA_FAIL, 1, 0);
	number = added(&t.a, "c");
	for (uint32_t slot = 0; slot < NODES; slot++)
		assert_int_equal(dirty_on(&t.rig, 2, slot), 0); /* sound, and empty */
	asked(&t.a, METADATA_REBUILD, 1, number);
	asked(&t.a, METADATA_IN_SYNC, 1, 0);
	asked(&t.a, METADATA_FAIL, 0, 0);
	t.b.is_gone[0] = t.b.is_gone[1] = true;
	assemble(&t.b, 3);
	assert_ok(run(&t.b, &req), req.err);
	assert_int_equal(req.dirty, 4);
	assert_true(bits_test(req.bits, 0) && bits_test(req.bits, 8));
	free(req.bits);
	tear_down(&t);
}

static void what_changed_in_a_slot_of_nobody_meanwhile_is_copied_at_the_end(void **state)
{
	struct metadata_request req = { .op = METADATA_IN_SYNC, .role = 1, .slots = 1u << 2 };
	struct bench t;

	(void)state;
	set_up(&t, 1, 3);
	asked(&t.a, METADATA_FAIL, 1, 0);
	asked(&t.a, METADATA_REBUILD, 1, added(&t.a, "c"));
	change_slot(&t.rig, 1, 1, 3, 3, 0); /* it has an owner: its affair */
	change_slot(&t.rig, 1, 2, 4, 5, 0);
	assert_ok(run(&t.a, &req), req.err);
	assert_int_equal(dirty_on(&t.rig, 2, 2), 2);
	assert_int_equal(dirty_on(&t.rig, 2, 1), 0);
	tear_down(&t);
}

static void a_disk_that_is_rebuilt_is_written_and_not_believed(void **state)
{
	struct metadata_request req = { .op = METADATA_READ_SLOT, .slot = 1 };
	struct bench t;

	(void)state;
	set_up(&t, 1, 3);
	asked(&t.a, METADATA_FAIL, 1, 0);
	asked(&t.a, METADATA_REBUILD, 1, added(&t.a, "c"));
	rig_plant(&t.rig, 1, 3, 3);
	{
		struct bitmap_slot slot;
		struct err err = ERR_INIT;
		struct bitmap_copy copy;

		slot_of(&t.rig, 2, 1, &slot); /* a bit too many, on it alone */
		bits_set_range(slot.bits, 20, 20);
		copy = (struct bitmap_copy){ t.rig.disks[2],
					     disk_of(&t.a, "c")->bitmap_start_bytes,
					     t.a.view.uuid };
		assert_ok(bitmap_slot_store(&slot, &copy, 1, &err), err);
		bitmap_slot_fini(&slot);
	}
	assert_ok(run(&t.a, &req), req.err);
	assert_int_equal(req.dirty, 1);
	req.op = METADATA_CLEAR_SLOT;
	assert_ok(run(&t.a, &req), req.err);
	free(req.bits);
	assert_int_equal(dirty_on(&t.rig, 2, 1), 0); /* the page is written there, too */
	/* it is no disk to live on */
	assert_int_equal(ask(&t.a, METADATA_FAIL, 0, 0), -EBUSY);
	asked(&t.a, METADATA_FAIL, 1, 0);
	assert_int_equal(state_of(&t.a, "c"), METADATA_DISK_FAULTY);
	tear_down(&t);
}

static void a_start_keeps_what_is_rebuilt_and_gives_up_what_is_not_here(void **state)
{
	struct metadata_request req = { .op = METADATA_PROGRESS, .role = 1, .position = 2048 };
	struct bench t;

	(void)state;
	set_up(&t, 1, 3);
	asked(&t.a, METADATA_FAIL, 1, 0);
	asked(&t.a, METADATA_REBUILD, 1, added(&t.a, "c"));
	assert_ok(run(&t.a, &req), req.err);
	assemble(&t.b, 3);
	asked(&t.b, METADATA_ACTIVATE, 0, 0);
	assert_int_equal(state_of(&t.b, "c"), METADATA_DISK_REBUILD);
	assert_int_equal(disk_of(&t.b, "c")->recovery_offset, 2048);
	t.b.is_gone[2] = true;
	assemble(&t.b, 3);
	asked(&t.b, METADATA_ACTIVATE, 0, 0);
	assert_int_equal(sb_of(&t.rig, 0).roles[2], MD_ROLE_FAULTY);
	tear_down(&t);
}

static void progress_never_goes_back(void **state)
{
	struct metadata_request req = { .op = METADATA_PROGRESS, .role = 1, .position = 4096 };
	struct bench t;
	uint64_t before;

	(void)state;
	set_up(&t, 1, 3);
	asked(&t.a, METADATA_FAIL, 1, 0);
	asked(&t.a, METADATA_REBUILD, 1, added(&t.a, "c"));
	before = sb_of(&t.rig, 2).events;
	assert_ok(run(&t.a, &req), req.err);
	req.position = 1024;
	assert_ok(run(&t.b, &req), req.err);
	assert_int_equal(sb_of(&t.rig, 2).recovery_offset, 4096);
	assert_int_equal(sb_of(&t.rig, 2).events, before);
	req.role = 0; /* in sync */
	req.position = 8192;
	assert_ok(run(&t.a, &req), req.err);
	assert_int_equal(sb_of(&t.rig, 0).recovery_offset, 0);
	tear_down(&t);
}

/* A kernel's update that was cut: others gave it a role, and it does not know. */
static void a_spare_that_does_not_know_of_its_role_is_not_in_sync(void **state)
{
	struct err err = ERR_INIT;
	struct md_array array;
	struct bench t;
	struct md_sb sb;
	uint32_t number;

	(void)state;
	set_up(&t, 1, 3);
	asked(&t.a, METADATA_FAIL, 1, 0);
	number = added(&t.a, "c");
	sb = sb_of(&t.rig, 0);
	sb.roles[number] = 1;
	sb.events++;
	store_sb(&t.rig, 0, &sb);
	assemble(&t.b, 3);
	assert_int_equal(state_of(&t.b, "c"), METADATA_DISK_SPARE);
	assert_int_equal(t.b.view.degraded, 1);
	assert_ok(md_array_load(&array, t.rig.disks, 3, NULL, &err), err);
	assert_false(md_array_is_in_sync(&array, &array.members[2]));
	md_array_fini(&array);
	asked(&t.b, METADATA_ACTIVATE, 0, 0);
	assert_int_equal(state_of(&t.b, "c"), METADATA_DISK_SPARE);
	assert_int_equal(sb_of(&t.rig, 0).roles[number], MD_ROLE_SPARE);
	asked(&t.b, METADATA_REBUILD, 1, number);
	assert_int_equal(state_of(&t.b, "c"), METADATA_DISK_REBUILD);
	tear_down(&t);
}

static void a_role_gets_one_disk(void **state)
{
	struct metadata_request req = { .op = METADATA_REBUILD, .role = 1, .number = 3 };
	struct bench t;

	(void)state;
	set_up(&t, 1, 4);
	asked(&t.a, METADATA_FAIL, 1, 0);
	assert_int_equal(added(&t.a, "c"), 2);
	assert_int_equal(added(&t.a, "d"), 3);
	assemble(&t.b, 4);
	asked(&t.b, METADATA_REBUILD, 1, 2);
	assert_int_equal(run(&t.a, &req), -EALREADY);
	req.number = 2;
	assert_int_equal(run(&t.a, &req), -EALREADY);
	assert_int_equal(ask(&t.a, METADATA_REBUILD, 0, 3), -EALREADY);
	assert_int_equal(ask(&t.a, METADATA_REBUILD, 1, 7), -ENODEV);
	tear_down(&t);
}

/* --- going --------------------------------------------------------------------------------------- */

static void removed_stays_removed_over_an_assembly(void **state)
{
	struct bench t;

	(void)state;
	set_up(&t, 1, 3);
	assert_int_equal(ask(&t.a, METADATA_REMOVE, 0, 1), -EBUSY);
	assert_int_equal(ask(&t.a, METADATA_FORGET, 0, 1), -EBUSY);
	assert_int_equal(ask(&t.a, METADATA_REMOVE, 0, 9), -ENODEV);
	assert_int_equal(added(&t.a, "c"), 2);
	assemble(&t.b, 3);
	assert_int_equal(state_of(&t.b, "c"), METADATA_DISK_SPARE);
	asked(&t.a, METADATA_REMOVE, 0, 2);
	assert_int_equal(sb_of(&t.rig, 0).roles[2], MD_ROLE_FAULTY);
	assert_int_equal(sb_of(&t.rig, 1).roles[2], MD_ROLE_FAULTY);
	asked(&t.a, METADATA_FORGET, 0, 2);
	assert_int_equal(state_of(&t.a, "c"), -1);
	asked(&t.b, METADATA_FORGET, 0, 2);
	assert_int_equal(state_of(&t.b, "c"), -1);
	assemble(&t.b, 3);
	assert_int_equal(state_of(&t.b, "c"), -1);
	assert_int_equal(ask(&t.b, METADATA_REBUILD, 1, 2), -ENODEV);
	/* a failed one stays away as well */
	asked(&t.a, METADATA_FAIL, 1, 0);
	asked(&t.a, METADATA_REMOVE, 0, 1);
	assemble(&t.b, 3);
	asked(&t.b, METADATA_ACTIVATE, 0, 0);
	assert_int_equal(t.b.view.degraded, 1);
	assert_int_equal(state_of(&t.b, "b"), -1); /* nor is it held: it may be for others by now */
	assert_int_equal(prepared(&t.b, "b", true), 1);
	tear_down(&t);
}

static void a_failed_one_and_one_that_cannot_be_read_leave_the_third(void **state)
{
	struct bench t;

	(void)state;
	set_up(&t, 1, 3);
	asked(&t.a, METADATA_FAIL, 1, 0);
	asked(&t.a, METADATA_REBUILD, 1, added(&t.a, "c"));
	asked(&t.a, METADATA_IN_SYNC, 1, 0);
	disk_mem_set_fault(t.rig.disks[0], DISK_MEM_FAIL_READS, 0, SECTORS * 512ull);
	assemble(&t.b, 3);
	assert_int_equal(state_of(&t.b, "a"), -1);
	assert_int_equal(state_of(&t.b, "b"), -1);
	assert_int_equal(state_of(&t.b, "c"), METADATA_DISK_IN_SYNC);
	tear_down(&t);
}

static void a_spare_that_cannot_be_read_any_more_can_be_removed(void **state)
{
	struct bench t;

	(void)state;
	set_up(&t, 1, 3);
	assert_int_equal(added(&t.a, "c"), 2);
	disk_mem_set_fault(t.rig.disks[2], DISK_MEM_FAIL_READS | DISK_MEM_FAIL_WRITES, 0,
			   SECTORS * 512ull);
	asked(&t.a, METADATA_REMOVE, 0, 2);
	assert_int_equal(sb_of(&t.rig, 0).roles[2], MD_ROLE_FAULTY);
	asked(&t.a, METADATA_FORGET, 0, 2);
	assert_int_equal(state_of(&t.a, "c"), -1);
	tear_down(&t);
}

/* --- disks that do not take it ------------------------------------------------------------------------ */

/* The node that failed "a" did not see the spare, whose superblock says that all is well. */
static void who_failed_is_not_back_where_only_old_superblocks_are_left(void **state)
{
	struct bench t;

	(void)state;
	set_up(&t, 1, 3);
	added(&t.a, "c");
	assemble(&t.b, 3);
	t.a.is_gone[2] = true;
	assemble(&t.a, 2);
	asked(&t.a, METADATA_FAIL, 0, 0);
	asked(&t.b, METADATA_RELOAD, 0, 0);
	assert_int_equal(state_of(&t.b, "a"), METADATA_DISK_FAULTY);
	assert_int_equal(ask(&t.b, METADATA_FAIL, 1, 0), -EBUSY);
	asked(&t.b, METADATA_RELOAD, 0, 0);
	assert_int_equal(state_of(&t.b, "a"), METADATA_DISK_FAULTY);
	assert_int_equal(state_of(&t.b, "b"), METADATA_DISK_IN_SYNC);
	tear_down(&t);
}

static void a_spare_that_cannot_be_written_is_one_no_more(void **state)
{
	struct metadata_request req = { .op = METADATA_REBUILD, .role = 1, .number = 2 };
	struct bench t;

	(void)state;
	set_up(&t, 1, 3);
	asked(&t.a, METADATA_FAIL, 1, 0);
	assert_int_equal(added(&t.a, "c"), 2);
	disk_mem_set_fault(t.rig.disks[2], DISK_MEM_FAIL_WRITES, 8192, SECTORS * 512ull - 8192);
	assert_refused(run(&t.a, &req), -EIO, req.err, "c");
	assert_int_equal(sb_of(&t.rig, 0).roles[2], MD_ROLE_FAULTY);
	asked(&t.a, METADATA_RELOAD, 0, 0);
	assert_int_equal(state_of(&t.a, "c"), METADATA_DISK_FAULTY);
	tear_down(&t);
}

static void a_spare_that_cannot_be_read_is_one_no_more(void **state)
{
	struct metadata_request req = { .op = METADATA_REBUILD, .role = 1, .number = 2 };
	struct bench t;

	(void)state;
	set_up(&t, 1, 3);
	asked(&t.a, METADATA_FAIL, 1, 0);
	assert_int_equal(added(&t.a, "c"), 2);
	disk_mem_set_fault(t.rig.disks[2], DISK_MEM_FAIL_READS, 0, SECTORS * 512ull);
	assert_refused(run(&t.a, &req), -EIO, req.err, "c");
	assert_int_equal(sb_of(&t.rig, 0).roles[2], MD_ROLE_FAULTY);
	tear_down(&t);
}

/* It was ADDed, and the reading behind that failed: others have it for a spare by now. */
static void what_was_added_is_not_taken_back_for_want_of_a_reading(void **state)
{
	struct bench t;

	(void)state;
	set_up(&t, 1, 3);
	assert_int_equal(prepared(&t.a, "c", false), 2);
	t.a.fails_after = 3; /* superblocks that ADD writes; what it reads behind them lacks */
	assert_int_not_equal(ask(&t.a, METADATA_ADD, 0, 2), 0);
	assert_int_equal(ask(&t.a, METADATA_UNPREPARE, 0, 2), -EBUSY);
	assert_int_equal(sb_of(&t.rig, 2).roles[2], MD_ROLE_SPARE);
	asked(&t.a, METADATA_RELOAD, 0, 0);
	assert_int_equal(state_of(&t.a, "c"), METADATA_DISK_SPARE);
	tear_down(&t);
}

static void a_disk_that_does_not_take_its_role_has_none(void **state)
{
	static const enum metadata_op steps[] = { METADATA_ADD, METADATA_REBUILD,
						  METADATA_IN_SYNC };

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		struct metadata_request req = { .op = steps[i], .role = 1, .number = 2 };
		struct bench t;

		set_up(&t, 1, 3);
		asked(&t.a, METADATA_FAIL, 1, 0);
		assert_int_equal(prepared(&t.a, "c", false), 2);
		for (size_t j = 0; j < i; j++)
			asked(&t.a, steps[j], 1, 2);
		disk_mem_set_fault(t.rig.disks[2], DISK_MEM_FAIL_WRITES, 4096, 4096);
		assert_refused(run(&t.a, &req), -EIO, req.err, "c");
		assert_int_equal(sb_of(&t.rig, 0).roles[2], MD_ROLE_FAULTY);
		assert_int_equal(sb_of(&t.rig, 0).roles[0], 0);
		tear_down(&t);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_disk_comes_as_a_spare_and_ends_in_sync_on_all_nodes),
		cmocka_unit_test(an_absent_nodes_slot_is_intact_on_a_disk_that_came_meanwhile),
		cmocka_unit_test(
			what_changed_in_a_slot_of_nobody_meanwhile_is_copied_at_the_end),
		cmocka_unit_test(a_disk_that_is_rebuilt_is_written_and_not_believed),
		cmocka_unit_test(a_start_keeps_what_is_rebuilt_and_gives_up_what_is_not_here),
		cmocka_unit_test(progress_never_goes_back),
		cmocka_unit_test(a_spare_that_does_not_know_of_its_role_is_not_in_sync),
		cmocka_unit_test(a_role_gets_one_disk),
		cmocka_unit_test(removed_stays_removed_over_an_assembly),
		cmocka_unit_test(a_failed_one_and_one_that_cannot_be_read_leave_the_third),
		cmocka_unit_test(a_spare_that_cannot_be_read_any_more_can_be_removed),
		cmocka_unit_test(who_failed_is_not_back_where_only_old_superblocks_are_left),
		cmocka_unit_test(a_spare_that_cannot_be_written_is_one_no_more),
		cmocka_unit_test(a_spare_that_cannot_be_read_is_one_no_more),
		cmocka_unit_test(what_was_added_is_not_taken_back_for_want_of_a_reading),
		cmocka_unit_test(a_disk_that_does_not_take_its_role_has_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
