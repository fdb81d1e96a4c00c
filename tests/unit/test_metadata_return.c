/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* D10, I12: may a disk that was a member come back as what it was? */
#include "bitmap/intent.h"
#include "tests/unit/metadata_rig.h"

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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_former_disk_comes_back_with_what_the_bits_say),
		cmocka_unit_test(
			a_former_disk_comes_as_a_new_one_where_any_node_cleared_bits_since),
		cmocka_unit_test(bits_that_are_cleared_before_it_is_back_keep_it_away),
		cmocka_unit_test(
			I12_who_was_away_while_the_array_was_whole_comes_back_as_a_new_one),
		cmocka_unit_test(
			who_was_rebuilt_or_replaced_or_used_apart_comes_back_as_a_new_one),
		cmocka_unit_test(a_return_by_the_bitmap_that_failed_may_be_tried_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
