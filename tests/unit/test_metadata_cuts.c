/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What a cut between any two writes leaves, of a disk that comes or goes: by power, by the death of
 * who does it, by a lease that ends. It assembles, no bit of any slot is lost, nobody is in sync
 * who is not, and the same again finishes it.
 */
#include "tests/unit/metadata_rig.h"

/* --- cuts ------------------------------------------------------------------------------------------- */

/* "b" failed, "c" comes in its place; or "b" comes back. */
enum cut_op {
	CUT_PREPARE, CUT_UNPREPARE, CUT_ADD, CUT_REBUILD, CUT_PROGRESS, CUT_IN_SYNC, CUT_FAIL,
	CUT_REMOVE, CUT_RETURN, CUT_RETURNED, CUT_OPS
};

enum { POSITION = 4096 };

static const char *comer(enum cut_op op)
{
	return op == CUT_RETURN || op == CUT_RETURNED ? "b" : "c";
}

static void begin(struct bench *t, enum cut_op op, uint64_t seed)
{
	struct metadata_request req = to_prepare(comer(op));
	struct metadata_request find = { .op = METADATA_FIND };

	set_up(t, seed, 3);
	change_slot(&t->rig, 2, 0, 0, 1, 0);
	asked(&t->a, METADATA_FAIL, 1, 0);
	asked(&t->b, METADATA_RELOAD, 0, 0);
	change_slot(&t->rig, 1, 1, 3, 3, 0);
	change_slot(&t->rig, 1, 2, 7, 9, 0); /* nobody's */
	if (op != CUT_PREPARE) {
		assert_ok(run(&t->a, &req), req.err);
		memcpy(find.device_uuid, req.device_uuid, 16);
		assert_ok(run(&t->b, &find), find.err);
	}
	if (op == CUT_RETURNED) {
		req.op = METADATA_REBUILD;
		assert_ok(run(&t->a, &req), req.err);
	} else if (op != CUT_PREPARE && op != CUT_UNPREPARE && op != CUT_ADD &&
		   op != CUT_RETURN) {
		asked(&t->a, METADATA_ADD, 0, 2);
		if (op != CUT_REBUILD && op != CUT_REMOVE)
			asked(&t->a, METADATA_REBUILD, 1, 2);
	}
	if (op == CUT_IN_SYNC || op == CUT_RETURNED)
		change_slot(&t->rig, 1, 2, 12, 12, 0); /* the comer has not this one */
	asked(&t->b, METADATA_RELOAD, 0, 0);
	for (size_t i = 0; i < t->rig.count; i++)
		disk_mem_settle(t->rig.disks[i]);
}

static int do_it(struct node *n, enum cut_op op)
{
	struct metadata_request req = to_prepare(comer(op));

	switch (op) {
	case CUT_PREPARE:
		return run(n, &req);
	case CUT_UNPREPARE:
		return ask(n, METADATA_UNPREPARE, 0, 2);
	case CUT_ADD:
		return ask(n, METADATA_ADD, 0, 2);
	case CUT_REBUILD:
		return ask(n, METADATA_REBUILD, 1, 2);
	case CUT_RETURN:
		req.op = METADATA_REBUILD;
		req.is_re_add = true;
		req.number = 1;
		return run(n, &req);
	case CUT_PROGRESS:
		req.op = METADATA_PROGRESS;
		req.role = 1;
		req.position = POSITION;
		return run(n, &req);
	case CUT_IN_SYNC:
	case CUT_RETURNED:
		req.op = METADATA_IN_SYNC;
		req.role = 1;
		req.slots = UINT64_MAX;
		return run(n, &req);
	case CUT_FAIL:
		return ask(n, METADATA_FAIL, 1, 0);
	case CUT_REMOVE:
		return ask(n, METADATA_REMOVE, 0, 2);
	case CUT_OPS:
		break;
	}
	return -EINVAL;
}

/* Bits in each slot, and where the comer counts: on its own copies alone, too. */
static void check_bits(struct bench *t, struct node *n, enum cut_op op)
{
	bool is_late = op == CUT_IN_SYNC || op == CUT_RETURNED;
	const uint64_t wanted[NODES] = { 2, 1, is_late ? 4 : 3 };
	size_t disk = (size_t)(comer(op)[0] - 'a');

	for (uint32_t slot = 0; slot < NODES; slot++) {
		struct metadata_request req = { .op = METADATA_READ_SLOT, .slot = slot };

		assert_ok(run(n, &req), req.err);
		assert_int_equal(req.dirty, wanted[slot]);
		free(req.bits);
		if (state_of(n, comer(op)) == METADATA_DISK_IN_SYNC)
			assert_int_equal(dirty_on(&t->rig, disk, slot), wanted[slot]);
	}
}

static void check_comer(const struct node *n, enum cut_op op)
{
	const struct metadata_disk *d = disk_of(n, comer(op));
	int state = state_of(n, comer(op));

	assert_int_equal(n->view.disks[0].state, METADATA_DISK_IN_SYNC);
	if (state == METADATA_DISK_IN_SYNC) {
		assert_true(op == CUT_IN_SYNC || op == CUT_RETURNED);
	} else if (state == METADATA_DISK_REBUILD) {
		assert_true(op != CUT_PREPARE && op != CUT_UNPREPARE && op != CUT_ADD &&
			    op != CUT_REMOVE);
		assert_int_equal(d->is_by_bitmap, op == CUT_RETURN || op == CUT_RETURNED);
		assert_true(d->recovery_offset <= (op == CUT_PROGRESS ? POSITION : 0));
	} else if (state == METADATA_DISK_SPARE) {
		assert_true(op == CUT_ADD || op == CUT_REBUILD || op == CUT_REMOVE);
	} else { /* what was there before is there still */
		assert_true(op != CUT_REBUILD && op != CUT_PROGRESS && op != CUT_IN_SYNC &&
			    op != CUT_RETURNED);
	}
}

/* As the kernel reads them: no superblock says that it is active before its own says how far. */
static void check_superblocks(const struct bench *t, enum cut_op op)
{
	uint32_t number = op == CUT_RETURN ? 1 : 2;
	struct md_sb own;

	if ((op != CUT_REBUILD && op != CUT_RETURN) || sb_of(&t->rig, 0).roles[number] != 1)
		return;
	own = sb_of(&t->rig, number);
	assert_int_equal(own.roles[number], 1);
	assert_true(own.feature_map & MD_FEATURE_RECOVERY_OFFSET);
}

/* The same again, from its beginning where it had not begun. */
static void finish(struct bench *t, struct node *n, enum cut_op op)
{
	int state = state_of(n, comer(op)), r;

	if (op == CUT_ADD && state != METADATA_DISK_SPARE)
		assert_int_equal(prepared(n, "c", false), 2);
	if (op == CUT_RETURN && state != METADATA_DISK_REBUILD)
		assert_int_equal(prepared(n, "b", true), 1);
	if (op == CUT_REMOVE && state == -1)
		return; /* it knows itself */
	r = do_it(n, op);
	if (r != 0 && (r != -EALREADY || (op != CUT_REBUILD && op != CUT_RETURN)))
		fail_msg("operation %d again: %d", (int)op, r);
	asked(n, METADATA_RELOAD, 0, 0);
	state = state_of(n, comer(op));
	assert_true(op != CUT_ADD || state == METADATA_DISK_SPARE);
	assert_true((op != CUT_REBUILD && op != CUT_RETURN && op != CUT_PROGRESS) ||
		    state == METADATA_DISK_REBUILD);
	assert_true(op != CUT_PROGRESS || disk_of(n, "c")->recovery_offset == POSITION);
	assert_true((op != CUT_IN_SYNC && op != CUT_RETURNED) || n->view.degraded == 0);
	assert_true(op != CUT_FAIL || sb_of(&t->rig, 0).roles[2] == MD_ROLE_FAULTY);
	assert_true(op != CUT_REMOVE || sb_of(&t->rig, 0).roles[2] == MD_ROLE_FAULTY);
}

static void power_fails(struct bench *t)
{
	metadata_free(t->a.md);
	metadata_free(t->b.md);
	disk_world_cut_power(t->rig.world);
	disk_world_restore_power(t->rig.world);
	node_init(&t->a, &t->rig, 0x30);
	node_init(&t->b, &t->rig, 0xb0);
}

/* True: it was over before the power went. */
static bool cut(struct bench *t, enum cut_op op, uint64_t at)
{
	uint64_t before = writes(&t->rig);
	bool is_over;

	disk_world_cut_power_after(t->rig.world, at);
	is_over = do_it(&t->a, op) == 0 && writes(&t->rig) - before < at;
	power_fails(t);
	assemble(&t->a, 3);
	return is_over;
}

static void a_power_cut_at_any_write_loses_nothing_and_trusts_nobody(void **state)
{
	(void)state;
	for (enum cut_op op = 0; op < CUT_OPS; op++)
		for (uint64_t seed = 1; seed <= SEEDS; seed++)
			for (uint64_t at = 0;; at++) {
				struct bench t;
				bool is_over;

				begin(&t, op, seed);
				is_over = cut(&t, op, at);
				check_superblocks(&t, op);
				check_comer(&t.a, op);
				check_bits(&t, &t.a, op);
				asked(&t.a, METADATA_ACTIVATE, 0, 0);
				check_comer(&t.a, op);
				check_bits(&t, &t.a, op);
				finish(&t, &t.a, op);
				check_bits(&t, &t.a, op);
				tear_down(&t);
				if (is_over)
					break;
			}
}

/* Each cut leaves some one event behind; two events behind would be stale, and lost. */
static void two_cuts_leave_no_disk_behind(void **state)
{
	static const enum cut_op ops_cut[] = { CUT_REBUILD, CUT_RETURNED, CUT_FAIL };

	(void)state;
	for (size_t i = 0; i < 3; i++)
		for (uint64_t first = 0; first < 12; first++)
			for (uint64_t second = 0; second < 8; second++) {
				enum cut_op op = ops_cut[i];
				struct bench t;

				begin(&t, op, first + second);
				(void)cut(&t, op, first);
				(void)cut(&t, CUT_FAIL, second);
				assert_int_equal(t.a.view.disks[0].state, METADATA_DISK_IN_SYNC);
				asked(&t.a, METADATA_ACTIVATE, 0, 0);
				assert_int_equal(t.a.view.disks[0].state, METADATA_DISK_IN_SYNC);
				check_bits(&t, &t.a, op);
				tear_down(&t);
			}
}

/*
 * Who does it dies, or its lease ends (D13): the other one reads superblocks anew, and finishes
 * it. No disk is to blame.
 */
static void a_node_that_dies_at_any_write_leaves_what_another_can_finish(void **state)
{
	(void)state;
	for (enum cut_op op = 0; op < CUT_OPS; op++)
		for (int leave = 0;; leave++) {
			struct bench t;
			int r;

			begin(&t, op, 1);
			t.a.leave = leave;
			r = do_it(&t.a, op);
			assert_true(r == 0 || r == -ESHUTDOWN);
			asked(&t.b, METADATA_RELOAD, 0, 0);
			check_comer(&t.b, op);
			check_bits(&t, &t.b, op);
			finish(&t, &t.b, op);
			check_bits(&t, &t.b, op);
			tear_down(&t);
			if (r == 0)
				break;
		}
}

/*
 * "c" has it, "d" does not take it, and "a", the only one in sync, is last: it must not be left
 * two events behind.
 */
static void a_disk_that_fails_amid_a_change_leaves_no_other_behind(void **state)
{
	static const char *const paths[] = { "d", "c", "a" };

	(void)state;
	for (uint64_t at = 0; at < 12; at++) {
		struct metadata_request req = { .op = METADATA_ASSEMBLE, .paths = paths,
						.path_count = 3, .may_start_degraded = true };
		struct bench t;

		set_up(&t, at + 1, 4);
		asked(&t.a, METADATA_FAIL, 1, 0);
		assert_int_equal(added(&t.a, "c"), 2);
		assert_int_equal(added(&t.a, "d"), 3);
		assert_ok(run(&t.b, &req), req.err);
		for (size_t i = 0; i < t.rig.count; i++)
			disk_mem_settle(t.rig.disks[i]);
		disk_mem_set_fault(t.rig.disks[3], DISK_MEM_FAIL_WRITES, 0, SECTORS * 512ull);
		disk_world_cut_power_after(t.rig.world, at);
		(void)ask(&t.b, METADATA_REBUILD, 1, 2);
		power_fails(&t);
		assemble(&t.a, 4);
		assert_int_equal(t.a.view.disks[0].state, METADATA_DISK_IN_SYNC);
		tear_down(&t);
	}
}

/*
 * Its last superblock is of one who died amid a change, and newer than all others'. It fails: what
 * that superblock says must never count again, whoever is read first.
 */
static void what_failed_stays_failed_though_its_superblock_was_the_newest(void **state)
{
	static const enum cut_op cuts[] = { CUT_REBUILD, CUT_IN_SYNC, CUT_RETURN, CUT_RETURNED };
	const struct metadata_request all = { .op = METADATA_ASSEMBLE, .path_count = 3,
					      .may_start_degraded = true };
	const char *const orders[][3] = { { "a", "b", "c" }, { "c", "b", "a" } };

	(void)state;
	for (int i = 0; i < 4 * 12 * 2; i++) {
		struct metadata_request req = all;
		enum cut_op op = cuts[i % 4];
		struct md_sb own;
		struct bench t;
		size_t disk;

		begin(&t, op, 1);
		disk = (size_t)(comer(op)[0] - 'a');
		t.a.leave = i / 4 % 12;
		(void)do_it(&t.a, op);
		if (i < 4 * 12)
			asked(&t.b, METADATA_RELOAD, 0, 0);
		disk_mem_set_fault(t.rig.disks[disk], DISK_MEM_FAIL_READS | DISK_MEM_FAIL_WRITES,
				   0, SECTORS * 512ull);
		asked(&t.b, METADATA_FAIL, 1, 0);
		disk_mem_set_fault(t.rig.disks[disk], DISK_MEM_NO_FAULT, 0, 0);
		own = sb_of(&t.rig, disk);
		if (i < 4 * 12 && md_sb_role(&own) == 1) /* so that whoever reads them sees it */
			assert_true(sb_of(&t.rig, 0).events > own.events);
		for (int order = 0; order < 2; order++) {
			req.paths = orders[order];
			assert_ok(run(&t.b, &req), req.err);
			assert_int_equal(t.b.view.disks[0].state, METADATA_DISK_IN_SYNC);
			/* who did not know of it has nothing to fail: from its beginning, then */
			if (i >= 4 * 12 && state_of(&t.b, comer(op)) == METADATA_DISK_REBUILD)
				assert_int_equal(disk_of(&t.b, comer(op))->recovery_offset, 0);
			else
				assert_int_equal(t.b.view.disks[1].state, METADATA_DISK_MISSING);
		}
		tear_down(&t);
	}
}

/* The same, where the one who fails it has not read what the dead one wrote: their events are equal. */
static void of_two_with_equal_events_who_says_that_the_other_failed_counts(void **state)
{
	const char *const orders[][2] = { { "a", "b" }, { "b", "a" } };

	(void)state;
	for (int i = 0; i < 12; i++) {
		struct metadata_request req = { .op = METADATA_ASSEMBLE, .path_count = 2,
						.may_start_degraded = true,
						.paths = orders[1] };
		struct bench t;

		set_up(&t, 1, 3);
		assert_ok(run(&t.a, &req), req.err);
		assert_int_equal(prepared(&t.a, "c", false), 2);
		t.a.leave = i;
		(void)ask(&t.a, METADATA_ADD, 0, 2);
		disk_mem_set_fault(t.rig.disks[1], DISK_MEM_FAIL_READS | DISK_MEM_FAIL_WRITES,
				   0, SECTORS * 512ull);
		asked(&t.b, METADATA_FAIL, 1, 0);
		disk_mem_set_fault(t.rig.disks[1], DISK_MEM_NO_FAULT, 0, 0);
		for (int order = 0; order < 2; order++) {
			req.paths = orders[order];
			assert_ok(run(&t.b, &req), req.err);
			assert_int_equal(t.b.view.disks[0].state, METADATA_DISK_IN_SYNC);
			assert_int_equal(t.b.view.disks[1].state, METADATA_DISK_MISSING);
		}
		tear_down(&t);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_power_cut_at_any_write_loses_nothing_and_trusts_nobody),
		cmocka_unit_test(two_cuts_leave_no_disk_behind),
		cmocka_unit_test(a_node_that_dies_at_any_write_leaves_what_another_can_finish),
		cmocka_unit_test(a_disk_that_fails_amid_a_change_leaves_no_other_behind),
		cmocka_unit_test(
			what_failed_stays_failed_though_its_superblock_was_the_newest),
		cmocka_unit_test(
			of_two_with_equal_events_who_says_that_the_other_failed_counts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
