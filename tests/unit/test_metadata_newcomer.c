/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Disks that come: who may, what is refused, and under which number. */
#include "tests/unit/metadata_rig.h"

/* --- who may come ---------------------------------------------------------------------------------- */

static void what_was_prepared_and_not_added_is_nobodys(void **state)
{
	struct err err = ERR_INIT;
	struct md_member m;
	struct bench t;

	(void)state;
	set_up(&t, 1, 3);
	assert_int_equal(prepared(&t.a, "c", false), 2);
	assemble(&t.b, 3); /* the adder died */
	assert_int_equal(state_of(&t.b, "c"), -1);
	asked(&t.a, METADATA_UNPREPARE, 0, 2);
	assert_int_equal(md_member_load(&m, t.rig.disks[2], &err), -ENOENT);
	md_member_fini(&m);
	asked(&t.a, METADATA_UNPREPARE, 0, 2);
	assert_int_equal(added(&t.a, "c"), 2);
	assert_int_equal(ask(&t.a, METADATA_UNPREPARE, 0, 2), -EBUSY);
	tear_down(&t);
}

static void a_disk_in_use_and_one_that_holds_something_else_are_refused(void **state)
{
	struct metadata_request req = to_prepare("a");
	struct bench t;
	uint64_t before;

	(void)state;
	set_up(&t, 1, 3);
	before = writes(&t.rig);
	assert_refused(run(&t.a, &req), -EEXIST, req.err, "a", "number 0");
	t.a.holds_else = true;
	req = to_prepare("c");
	assert_refused(run(&t.a, &req), -EBUSY, req.err, "c", "ext4");
	t.a.is_gone[2] = true;
	assert_refused(run(&t.a, &req), -ENOENT, req.err, "c");
	t.a.is_gone[2] = false;
	assert_int_equal(writes(&t.rig), before);
	req.is_forced = true;
	assert_ok(run(&t.a, &req), req.err);
	tear_down(&t);
}

/* It has the array's data, and others write to it: it must not be made anew. */
static void a_disk_that_is_in_use_elsewhere_is_refused_though_it_is_not_open_here(void **state)
{
	(void)state;
	for (int i = 0; i < 4; i++) {
		struct metadata_request req = to_prepare("c");
		struct bench t;
		uint64_t before;

		set_up(&t, 1, 3);
		asked(&t.a, METADATA_FAIL, 1, 0);
		asked(&t.b, METADATA_RELOAD, 0, 0);
		t.b.hides = i & 1;
		assert_int_equal(added(&t.a, "c"), 2);
		if (i & 2)
			asked(&t.a, METADATA_REBUILD, 1, 2);
		before = writes(&t.rig);
		req.is_forced = true;
		assert_refused(run(&t.b, &req), -EEXIST, req.err, "c", "number 2");
		assert_int_equal(writes(&t.rig), before);
		tear_down(&t);
	}
}

static struct disk *resize(struct bench *t, size_t disk, uint64_t sectors)
{
	const char name[2] = { (char)('a' + disk), '\0' };

	disk_close(t->rig.disks[disk]);
	t->rig.disks[disk] = disk_mem_new(t->rig.world, name, sectors * 512);
	return t->rig.disks[disk];
}

static void a_smaller_disk_has_its_data_nearer_to_the_bitmap_or_is_refused(void **state)
{
	struct metadata_request req = to_prepare("c");
	uint64_t room, before;
	struct bench t;
	struct md_sb sb;

	(void)state;
	set_up(&t, 1, 3);
	sb = sb_of(&t.rig, 0);
	room = (8 + 8 + 8 * NODES); /* 4 KiB in front, superblock, slots of a page each */
	before = writes(&t.rig);
	(void)resize(&t, 2, sb.size + room - 8);
	assert_refused(run(&t.a, &req), -ENOSPC, req.err, "c", "too few");
	assert_int_equal(writes(&t.rig), before);
	(void)resize(&t, 2, sb.size + room);
	assert_ok(run(&t.a, &req), req.err);
	assert_int_equal(sb_of(&t.rig, 2).data_offset, room);
	assert_int_equal(sb_of(&t.rig, 2).data_size, sb.size);
	asked(&t.a, METADATA_UNPREPARE, 0, req.number);
	(void)resize(&t, 2, 2 * SECTORS);
	assert_ok(run(&t.a, &req), req.err);
	assert_int_equal(sb_of(&t.rig, 2).data_offset, sb.data_offset);
	assert_int_equal(sb_of(&t.rig, 2).data_size, 2 * SECTORS - sb.data_offset);
	assert_int_equal(sb_of(&t.rig, 2).bitmap_offset, sb.bitmap_offset);
	tear_down(&t);
}

static void larger_blocks_than_clients_were_told_are_refused(void **state)
{
	struct metadata_request req = to_prepare("c");
	struct bench t;

	(void)state;
	set_up(&t, 1, 3);
	t.rig.disks[2]->topology.logical_block_bytes = 4096;
	assert_refused(run(&t.a, &req), -EINVAL, req.err, "c", "4096", "512");
	tear_down(&t);
}

static void a_node_that_does_not_see_the_disk_or_has_its_number_says_so(void **state)
{
	struct metadata_request find = { .op = METADATA_FIND };
	struct metadata_request req = to_prepare("c");
	struct bench t;

	(void)state;
	set_up(&t, 1, 4);
	assert_ok(run(&t.a, &req), req.err);
	memcpy(find.device_uuid, req.device_uuid, 16);
	t.b.is_gone[2] = true;
	assert_refused(run(&t.b, &find), -ENODEV, find.err, "uuid");
	asked(&t.b, METADATA_RELOAD, 0, 0);
	/* another spare with that number, which the adder does not see */
	asked(&t.a, METADATA_UNPREPARE, 0, req.number);
	assert_int_equal(added(&t.b, "d"), req.number);
	t.a.is_gone[3] = true;
	t.b.is_gone[2] = false;
	assert_ok(run(&t.a, &req), req.err);
	memcpy(find.device_uuid, req.device_uuid, 16);
	assert_refused(run(&t.b, &find), -EEXIST, find.err, "d", "number 2");
	tear_down(&t);
}

static void numbers_of_removed_disks_come_last(void **state)
{
	struct md_sb sb;
	struct bench t;

	(void)state;
	set_up(&t, 1, 4);
	assert_int_equal(added(&t.a, "c"), 2);
	assert_int_equal(added(&t.a, "d"), 3);
	asked(&t.a, METADATA_REMOVE, 0, 2);
	asked(&t.a, METADATA_FORGET, 0, 2);
	assert_int_equal(added(&t.a, "c"), 4);
	asked(&t.a, METADATA_REMOVE, 0, 4);
	asked(&t.a, METADATA_FORGET, 0, 4);
	for (size_t i = 0; i < 2; i++) { /* none is left that nobody had */
		sb = sb_of(&t.rig, i);
		for (uint32_t n = 5; n < sb.max_dev; n++)
			sb.roles[n] = MD_ROLE_FAULTY;
		store_sb(&t.rig, i, &sb);
	}
	assert_int_equal(added(&t.a, "c"), 2);
	tear_down(&t);
}

/* "c" was number 2 and is away; "d" has that number since. */
static void of_two_that_claim_a_number_the_current_one_counts(void **state)
{
	struct md_sb sb;
	struct bench t;

	(void)state;
	set_up(&t, 1, 4);
	asked(&t.a, METADATA_FAIL, 1, 0);
	asked(&t.a, METADATA_REBUILD, 1, added(&t.a, "c"));
	asked(&t.a, METADATA_IN_SYNC, 1, 0);
	asked(&t.a, METADATA_FAIL, 1, 0);
	asked(&t.a, METADATA_REMOVE, 0, 2);
	asked(&t.a, METADATA_FORGET, 0, 2);
	sb = sb_of(&t.rig, 0);
	for (uint32_t n = 3; n < sb.max_dev; n++)
		sb.roles[n] = MD_ROLE_FAULTY;
	store_sb(&t.rig, 0, &sb);
	assert_int_equal(added(&t.a, "d"), 2);
	assemble(&t.b, 4);
	assert_int_equal(state_of(&t.b, "d"), METADATA_DISK_SPARE);
	assert_int_equal(state_of(&t.b, "c"), -1);
	asked(&t.a, METADATA_REBUILD, 1, 2);
	assemble(&t.b, 4);
	assert_int_equal(state_of(&t.b, "d"), METADATA_DISK_REBUILD);
	assert_int_equal(state_of(&t.b, "c"), -1);
	tear_down(&t);
}

static void a_disk_that_others_took_in_is_looked_for_before_it_is_made_faulty(void **state)
{
	struct bench t;

	(void)state;
	set_up(&t, 1, 3);
	asked(&t.a, METADATA_FAIL, 1, 0);
	asked(&t.a, METADATA_REBUILD, 1, added(&t.a, "c"));
	asked(&t.b, METADATA_RELOAD, 0, 0);
	assert_int_equal(state_of(&t.b, "c"), METADATA_DISK_REBUILD);
	assemble(&t.b, 2); /* its paths are old ones */
	assert_int_equal(t.b.view.disks[1].state, METADATA_DISK_MISSING);
	t.b.is_gone[2] = true;
	asked(&t.b, METADATA_RELOAD, 0, 0);
	assert_int_equal(t.b.view.disks[1].state, METADATA_DISK_MISSING);
	assert_true(t.b.view.disks[1].is_elsewhere); /* it is told */
	assert_int_equal(t.b.view.disks[1].dev_number, 2);
	t.b.is_gone[2] = false;
	asked(&t.b, METADATA_ACTIVATE, 0, 0);
	assert_int_equal(state_of(&t.b, "c"), METADATA_DISK_REBUILD);
	assert_int_equal(sb_of(&t.rig, 0).roles[2], 1);
	t.b.finds = 0;
	asked(&t.b, METADATA_RELOAD, 0, 0);
	assert_int_equal(t.b.finds, 0);
	tear_down(&t);
}

/* It was not asked for it: it had read what is on its disks, and was no member yet. */
static void who_starts_while_a_spare_comes_has_it(void **state)
{
	struct bench t;

	(void)state;
	set_up(&t, 1, 3);
	(void)added(&t.a, "c");
	asked(&t.b, METADATA_ACTIVATE, 0, 0);
	assert_int_equal(state_of(&t.b, "c"), METADATA_DISK_SPARE);
	tear_down(&t);
}

/* Who knows it as one that failed, and did not see that another began to take it in anew. */
static void what_a_device_was_before_goes_when_it_comes_as_another_one(void **state)
{
	struct metadata_request req = to_prepare("b"), find = { .op = METADATA_FIND };
	struct bench t;
	uint32_t count = 0;

	(void)state;
	set_up(&t, 1, 3);
	asked(&t.a, METADATA_FAIL, 1, 0);
	asked(&t.b, METADATA_RELOAD, 0, 0);
	req.is_spare = true;
	assert_ok(run(&t.a, &req), req.err);
	assemble(&t.a, 2); /* it died there; its next life */
	assert_int_equal(state_of(&t.b, "b"), METADATA_DISK_FAULTY);
	req = to_prepare("b");
	req.is_spare = true;
	assert_ok(run(&t.b, &req), req.err);
	memcpy(find.device_uuid, req.device_uuid, 16);
	assert_ok(run(&t.a, &find), find.err);
	asked(&t.b, METADATA_ADD, 0, req.number);
	for (uint32_t i = 0; i < t.b.view.disk_count; i++)
		count += strcmp(t.b.view.disks[i].path, "b") == 0;
	assert_int_equal(count, 1);
	assert_int_equal(state_of(&t.b, "b"), METADATA_DISK_SPARE);
	tear_down(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_was_prepared_and_not_added_is_nobodys),
		cmocka_unit_test(a_disk_in_use_and_one_that_holds_something_else_are_refused),
		cmocka_unit_test(
			a_disk_that_is_in_use_elsewhere_is_refused_though_it_is_not_open_here),
		cmocka_unit_test(
			a_smaller_disk_has_its_data_nearer_to_the_bitmap_or_is_refused),
		cmocka_unit_test(larger_blocks_than_clients_were_told_are_refused),
		cmocka_unit_test(a_node_that_does_not_see_the_disk_or_has_its_number_says_so),
		cmocka_unit_test(numbers_of_removed_disks_come_last),
		cmocka_unit_test(of_two_that_claim_a_number_the_current_one_counts),
		cmocka_unit_test(
			a_disk_that_others_took_in_is_looked_for_before_it_is_made_faulty),
		cmocka_unit_test(who_starts_while_a_spare_comes_has_it),
		cmocka_unit_test(what_a_device_was_before_goes_when_it_comes_as_another_one),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
