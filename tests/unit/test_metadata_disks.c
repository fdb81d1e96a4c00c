/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Disks that come and go: what two nodes see of it, who may come, or come back as what it was,
 * numbers, and disks that do not take what is written.
 */
#include "bitmap/intent.h"
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

/* --- coming back ------------------------------------------------------------------------------- */

/* "b" failed, was removed, and its node writes: bits stand, or are cleared since. */
static void lose_b(struct bench *t, bool is_cleared, uint32_t slot)
{
	asked(&t->a, METADATA_FAIL, 1, 0);
	asked(&t->a, METADATA_REMOVE, 0, 1);
	asked(&t->a, METADATA_FORGET, 0, 1);
	asked(&t->b, METADATA_FORGET, 0, 1);
	change_slot(&t->rig, 1, slot, 4, 5, is_cleared ? t->a.view.events : 0);
}

static void a_former_disk_comes_back_with_what_the_bits_say(void **state)
{
	struct metadata_request find = { .op = METADATA_FIND };
	struct metadata_request req = to_prepare("b");
	struct bench t;
	uint64_t before;

	(void)state;
	set_up(&t, 1, 2);
	lose_b(&t, false, 2);
	assert_int_equal(state_of(&t.a, "b"), -1);
	before = writes(&t.rig);
	assert_ok(run(&t.a, &req), req.err);
	assert_true(req.is_re_add);
	assert_int_equal(req.number, 1);
	assert_int_equal(writes(&t.rig), before);
	memcpy(find.device_uuid, req.device_uuid, 16);
	assert_ok(run(&t.b, &find), find.err);

	req.op = METADATA_REBUILD;
	assert_ok(run(&t.a, &req), req.err);
	assert_int_equal(req.role, 1);
	asked(&t.b, METADATA_RELOAD, 0, 0);
	assert_int_equal(state_of(&t.b, "b"), METADATA_DISK_REBUILD);
	assert_true(disk_of(&t.b, "b")->is_by_bitmap);
	assert_int_equal(disk_of(&t.b, "b")->recovery_offset, 0);
	assert_int_equal(dirty_on(&t.rig, 1, 2), 2);
	asked(&t.b, METADATA_IN_SYNC, 1, 0);
	assert_int_equal(t.b.view.degraded, 0);
	assert_int_equal(sb_of(&t.rig, 1).feature_map,
			 MD_FEATURE_BITMAP_OFFSET | MD_FEATURE_CLUSTERED);
	tear_down(&t);
}

/* The kernel asks its own slot alone (vm-lab 4.1): any slot counts. */
static void a_former_disk_comes_as_a_new_one_where_any_node_cleared_bits_since(void **state)
{
	(void)state;
	for (uint32_t slot = 0; slot < NODES; slot++) {
		struct metadata_request req = to_prepare("b");
		struct bench t;

		set_up(&t, 1, 2);
		lose_b(&t, true, slot);
		req.is_re_add = true;
		assert_refused(run(&t.a, &req), -ESTALE, req.err, "b", "cleared");
		req = to_prepare("b");
		assert_ok(run(&t.a, &req), req.err);
		assert_false(req.is_re_add);
		assert_int_equal(req.number, 2);
		tear_down(&t);
	}
}

/* Between PREPARE and REBUILD others are asked; nothing is believed that is old by then. */
static void bits_that_are_cleared_before_it_is_back_keep_it_away(void **state)
{
	struct metadata_request req = to_prepare("b");
	struct bench t;

	(void)state;
	set_up(&t, 1, 2);
	lose_b(&t, false, 1);
	assert_ok(run(&t.a, &req), req.err);
	change_slot(&t.rig, 1, 1, 6, 6, t.a.view.events);
	req.op = METADATA_REBUILD;
	assert_refused(run(&t.a, &req), -ESTALE, req.err, "b", "cleared");
	assert_int_equal(sb_of(&t.rig, 0).roles[1], MD_ROLE_FAULTY);
	tear_down(&t);
}

static uint64_t world_now(void *owner)
{
	return disk_world_now_ns(((struct rig *)owner)->world);
}

static void never_failed(void *owner, uint32_t role, int error)
{
	(void)owner;
	fail_msg("role %u: %d", role, error);
}

static void intent_did(void *owner, struct intent_request *req, int result)
{
	(void)req;
	assert_int_equal(result, 0);
	*(bool *)owner = true;
}

static void settle(struct rig *rig, struct intent *in)
{
	bool is_settled = false;
	struct intent_request req = { .done = intent_did, .owner = &is_settled };

	intent_settle(in, &req);
	for (uint64_t at; !is_settled || !intent_is_idle(in);) {
		struct disk *disk = disk_world_next(rig->world, &at);

		if (disk) {
			disk_world_advance(rig->world, at);
			disk_pump(disk, 0);
		}
		intent_advance(in, disk_world_now_ns(rig->world));
	}
}

/*
 * The node of that slot, which was told of no events, but has had the view: what its bits say is
 * on disks "a" and "c", and the array is whole, since it began or by what it heard.
 */
static void clear_bits_of(struct bench *t, uint32_t number, bool is_by_start)
{
	static const struct intent_ops intent_ops = { .now = world_now, .failed = never_failed };
	struct intent_config config = { .count = 2, .is_degraded = !is_by_start,
					.events = is_by_start ? t->b.view.events : 0,
					.budget_bytes = 1 << 30 };
	struct err err = ERR_INIT;
	struct bitmap_slot slot;
	struct intent *in;

	slot_of(&t->rig, 0, number, &slot);
	config.slot = &slot;
	for (uint32_t i = 0; i < 2; i++) {
		const struct metadata_disk *d = disk_of(&t->b, i ? "c" : "a");

		config.copies[i].disk = t->rig.disks[i * 2];
		config.copies[i].start_bytes = d->bitmap_start_bytes;
	}
	in = intent_new(&config, &intent_ops, &t->rig, &err);
	assert_non_null(in);
	if (!is_by_start) {
		intent_saw_events(in, t->b.view.events);
		intent_set_degraded(in, false);
	}
	intent_synced(in, 0, slot.geo.chunks - 1);
	settle(&t->rig, in);
	intent_free(in);
	bitmap_slot_fini(&slot);
}

/* Its place is free again, but another disk had it meanwhile, and bits were cleared then. */
static void I12_who_was_away_while_the_array_was_whole_comes_back_as_a_new_one(void **state)
{
	(void)state;
	for (int is_by_start = 0; is_by_start < 2; is_by_start++) {
		struct metadata_request req = to_prepare("b");
		struct bench t;

		set_up(&t, 1, 3);
		lose_b(&t, false, 2);
		asked(&t.a, METADATA_REBUILD, 1, added(&t.a, "c"));
		asked(&t.a, METADATA_IN_SYNC, 1, 0);
		asked(&t.b, METADATA_RELOAD, 0, 0);
		assert_int_equal(t.b.view.degraded, 0);
		assert_int_equal(dirty_on(&t.rig, 2, 2), 2);
		clear_bits_of(&t, 2, is_by_start);
		assert_int_equal(dirty_on(&t.rig, 2, 2), 0);
		asked(&t.a, METADATA_FAIL, 1, 0);
		req.is_re_add = true;
		assert_refused(run(&t.a, &req), -ESTALE, req.err, "b", "cleared");
		req = to_prepare("b");
		assert_ok(run(&t.a, &req), req.err);
		assert_false(req.is_re_add);
		tear_down(&t);
	}
}

static void refuse_return(struct bench *t, const char *path, const char *why)
{
	struct metadata_request req = to_prepare(path);

	req.is_re_add = true;
	assert_refused(run(&t->a, &req), -ESTALE, req.err, path, why);
}

static void who_was_rebuilt_or_replaced_or_used_apart_comes_back_as_a_new_one(void **state)
{
	struct metadata_request req = to_prepare("b");
	struct md_sb sb;
	struct bench t;

	(void)state;
	set_up(&t, 1, 3);
	lose_b(&t, false, 1);
	refuse_return(&t, "c", "no former");
	asked(&t.a, METADATA_REBUILD, 1, added(&t.a, "c"));
	refuse_return(&t, "b", "place");
	asked(&t.a, METADATA_FAIL, 1, 0);
	refuse_return(&t, "c", "rebuilt");
	sb = sb_of(&t.rig, 1);
	sb.roles[0] = MD_ROLE_FAULTY;
	sb.events++;
	store_sb(&t.rig, 1, &sb);
	refuse_return(&t, "b", "without the others");
	sb.roles[0] = 0;
	store_sb(&t.rig, 1, &sb);
	req.is_spare = true; /* it could, and is not wanted so */
	assert_ok(run(&t.a, &req), req.err);
	assert_false(req.is_re_add);
	tear_down(&t);
}

/* Interrupted, and failed: by the bitmap it may come once more, else not. */
static void a_return_by_the_bitmap_that_failed_may_be_tried_again(void **state)
{
	struct metadata_request req = to_prepare("b");
	struct bench t;

	(void)state;
	set_up(&t, 1, 2);
	lose_b(&t, false, 2);
	assert_ok(run(&t.a, &req), req.err);
	req.op = METADATA_REBUILD;
	assert_ok(run(&t.a, &req), req.err);
	asked(&t.a, METADATA_FAIL, 1, 0);
	assert_int_equal(prepared(&t.a, "b", true), 1);
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
	assert_int_equal(state_of(&t.b, "b"), METADATA_DISK_FAULTY);
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
		cmocka_unit_test(who_starts_while_a_spare_comes_has_it),
		cmocka_unit_test(progress_never_goes_back),
		cmocka_unit_test(a_spare_that_does_not_know_of_its_role_is_not_in_sync),
		cmocka_unit_test(a_role_gets_one_disk),
		cmocka_unit_test(a_former_disk_comes_back_with_what_the_bits_say),
		cmocka_unit_test(
			a_former_disk_comes_as_a_new_one_where_any_node_cleared_bits_since),
		cmocka_unit_test(bits_that_are_cleared_before_it_is_back_keep_it_away),
		cmocka_unit_test(
			I12_who_was_away_while_the_array_was_whole_comes_back_as_a_new_one),
		cmocka_unit_test(
			who_was_rebuilt_or_replaced_or_used_apart_comes_back_as_a_new_one),
		cmocka_unit_test(a_return_by_the_bitmap_that_failed_may_be_tried_again),
		cmocka_unit_test(removed_stays_removed_over_an_assembly),
		cmocka_unit_test(a_spare_that_cannot_be_read_any_more_can_be_removed),
		cmocka_unit_test(what_was_prepared_and_not_added_is_nobodys),
		cmocka_unit_test(a_disk_in_use_and_one_that_holds_something_else_are_refused),
		cmocka_unit_test(
			a_disk_that_is_in_use_elsewhere_is_refused_though_it_is_not_open_here),
		cmocka_unit_test(
			a_smaller_disk_has_its_data_nearer_to_the_bitmap_or_is_refused),
		cmocka_unit_test(larger_blocks_than_clients_were_told_are_refused),
		cmocka_unit_test(a_node_that_does_not_see_the_disk_or_has_its_number_says_so),
		cmocka_unit_test(what_a_device_was_before_goes_when_it_comes_as_another_one),
		cmocka_unit_test(numbers_of_removed_disks_come_last),
		cmocka_unit_test(of_two_that_claim_a_number_the_current_one_counts),
		cmocka_unit_test(
			a_disk_that_others_took_in_is_looked_for_before_it_is_made_faulty),
		cmocka_unit_test(who_failed_is_not_back_where_only_old_superblocks_are_left),
		cmocka_unit_test(a_spare_that_cannot_be_written_is_one_no_more),
		cmocka_unit_test(a_spare_that_cannot_be_read_is_one_no_more),
		cmocka_unit_test(what_was_added_is_not_taken_back_for_want_of_a_reading),
		cmocka_unit_test(a_disk_that_does_not_take_its_role_has_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
