/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A change of size, disks or bitmap while all nodes write: all are frozen, and all come back,
 * whoever refuses, dies or leaves meanwhile. The rig checks after each step that the slots move
 * under no plane, and that whoever serves knows the new size.
 */
#include "tests/unit/array_rig.h"
#include "tests/unit/help.h"

#include <errno.h>
#include <string.h>

struct asked {
	struct array_grow grow;
	bool is_over;
	int result;
};

static void on_grown(void *owner, struct array_grow *g, int result)
{
	struct asked *q = owner;

	assert_ptr_equal(g, &q->grow);
	assert_false(q->is_over);
	q->is_over = true;
	q->result = result;
}

static void ask(struct array_rig *rig, int node, struct asked *q, enum md_bitmap_kind kind)
{
	struct err err = ERR_INIT;

	memset(q, 0, sizeof(*q));
	q->grow.grow.bitmap = kind;
	if (kind == MD_BITMAP_AS_IS)
		q->grow.grow.size = MD_GROW_MAX;
	q->grow.done = on_grown;
	q->grow.owner = q;
	assert_ok(array_grow(rig->nodes[node].array, &q->grow, &err), err);
}

static struct array_rig *three(void)
{
	struct array_rig *rig = array_rig_new(3, 7);

	array_rig_start_all(rig);
	array_rig_run(rig);
	return rig;
}

static void all_are_served_the_new_size_behind_it(void **state)
{
	struct array_rig *rig = three();
	struct asked q;

	(void)state;
	ask(rig, 2, &q, MD_BITMAP_AS_IS);
	array_rig_run(rig);
	assert_true(q.is_over);
	assert_int_equal(q.result, 0);
	for (int i = 1; i <= 3; i++) {
		assert_true(array_rig_is_active(rig, i));
		assert_true(rig->nodes[i].plane.is_serving);
		assert_int_equal(rig->nodes[i].plane.changes, 1);
	}
	/* and what was new is resynced, by who changed it */
	assert_true(rig->nodes[2].plane.synced_chunks > 0);
	array_rig_check_healthy(rig);
	array_rig_free(rig);
}

/* A write under way ends before, one that comes waits for the gate. */
static void writes_end_before_and_wait_meanwhile(void **state)
{
	struct array_rig *rig = three();
	struct asked q;

	(void)state;
	assert_true(array_rig_write(rig, 1, 5));
	ask(rig, 2, &q, MD_BITMAP_AS_IS);
	array_rig_settle(rig);
	assert_false(q.is_over);
	assert_int_equal(rig->disks.changes, 0);
	assert_false(array_rig_write(rig, 1, 6));
	array_rig_written(rig, 1, 5);
	array_rig_run(rig);
	assert_int_equal(q.result, 0);
	assert_true(array_rig_write(rig, 1, 6));
	array_rig_written(rig, 1, 6);
	array_rig_run(rig);
	array_rig_clear(rig, 1);
	array_rig_check_healthy(rig);
	array_rig_free(rig);
}

static void who_is_busy_is_named_and_all_thaw(void **state)
{
	struct array_rig *rig = three();
	struct err err = ERR_INIT;
	struct asked q;

	(void)state;
	rig->nodes[3].plane.holds_sync = true;
	assert_ok(array_check(rig->nodes[3].array, false, &err), err);
	array_rig_settle(rig);
	ask(rig, 1, &q, MD_BITMAP_AS_IS);
	array_rig_run_seconds(rig, 2);
	assert_true(q.is_over);
	assert_int_equal(q.result, -EBUSY);
	assert_non_null(strstr(q.grow.err.text, "node 3"));
	assert_non_null(strstr(q.grow.err.text, "runs a check"));
	assert_int_equal(rig->disks.changes, 0);
	rig->nodes[3].plane.holds_sync = false;
	array_rig_run(rig);
	array_rig_check_healthy(rig);
	array_rig_free(rig);
}

/* As the disks are then: with what is new, or without. */
static void death_of_who_changes_it_thaws_the_others_at_any_step(void **state)
{
	unsigned int changed = 0, steps;

	(void)state;
	for (steps = 0; steps < 400; steps += 3) {
		struct array_rig *rig = three();
		struct asked q;

		ask(rig, 1, &q, MD_BITMAP_AS_IS);
		for (unsigned int i = 0; i < steps && !q.is_over; i++)
			if (!array_rig_step(rig))
				break;
		array_rig_bury(rig, 1);
		changed += rig->disks.changes > 0;
		for (int i = 2; i <= 3; i++) {
			assert_true(array_rig_is_active(rig, i));
			assert_int_equal(rig->nodes[i].plane.changes, rig->disks.changes);
		}
		array_rig_check_healthy(rig);
		array_rig_free(rig);
	}
	assert_true(changed > 0);
}

static void death_of_a_bystander_at_any_step_keeps_nobody_frozen(void **state)
{
	(void)state;
	for (unsigned int steps = 0; steps < 400; steps += 3) {
		struct array_rig *rig = three();
		struct asked q;

		ask(rig, 1, &q, MD_BITMAP_AS_IS);
		for (unsigned int i = 0; i < steps && !q.is_over; i++)
			if (!array_rig_step(rig))
				break;
		array_rig_bury(rig, 3);
		assert_true(q.is_over);
		/* or its slot is just being recovered */
		assert_true(q.result == 0 || q.result == -EBUSY);
		array_rig_check_healthy(rig);
		array_rig_free(rig);
	}
}

static void leaving_at_any_step_keeps_nobody_frozen(void **state)
{
	(void)state;
	for (int who = 1; who <= 2; who++)
		for (unsigned int steps = 0; steps < 400; steps += 3) {
			struct array_rig *rig = three();
			struct err err = ERR_INIT;
			struct asked q;

			ask(rig, 1, &q, MD_BITMAP_AS_IS);
			for (unsigned int i = 0; i < steps && !q.is_over; i++)
				if (!array_rig_step(rig))
					break;
			assert_ok(array_stop(rig->nodes[who].array, &err), err);
			array_rig_run(rig);
			assert_true(rig->nodes[who].is_stopped);
			assert_true(q.is_over);
			assert_true(array_rig_is_active(rig, 3));
			array_rig_free(rig);
		}
}

/* It joins in the midst: it reads the superblocks with TOKEN, so behind the change. */
static void who_joins_at_any_step_serves_the_new_size(void **state)
{
	(void)state;
	for (unsigned int steps = 0; steps < 400; steps += 3) {
		struct array_rig *rig = array_rig_new(3, 11);
		struct asked q;

		array_rig_start(rig, 1);
		array_rig_start(rig, 2);
		array_rig_run(rig);
		ask(rig, 1, &q, MD_BITMAP_AS_IS);
		for (unsigned int i = 0; i < steps && !q.is_over; i++)
			if (!array_rig_step(rig))
				break;
		array_rig_start(rig, 3);
		array_rig_run(rig);
		assert_true(q.is_over);
		assert_true(q.result == 0 || q.result == -EBUSY);
		assert_true(array_rig_is_active(rig, 3));
		array_rig_check_healthy(rig);
		array_rig_free(rig);
	}
}

/*
 * Its slot is still to be recovered; who would do that is frozen, until all have heard of the
 * change: it too, and it joins no sooner than it has its slot.
 */
static void who_comes_back_at_any_step_gets_its_slot(void **state)
{
	(void)state;
	for (unsigned int steps = 0; steps < 240; steps += 2) {
		struct array_rig *rig = three();
		struct asked q;

		assert_true(array_rig_write(rig, 3, 5));
		array_rig_bury(rig, 2);
		array_rig_kill(rig, 3);
		array_rig_run(rig);
		ask(rig, 1, &q, MD_BITMAP_AS_IS);
		array_rig_revive(rig, 3);
		array_rig_start(rig, 3);
		for (unsigned int i = 0; i < steps; i++)
			if (!array_rig_step(rig))
				break;
		array_rig_prove(rig, 3);
		array_rig_run(rig);
		assert_true(q.is_over);
		assert_true(array_rig_is_active(rig, 1));
		assert_true(array_rig_is_active(rig, 3));
		array_rig_check_healthy(rig);
		array_rig_free(rig);
	}
}

static void change_that_fails_is_told_and_all_go_on(void **state)
{
	struct array_rig *rig = three();
	struct asked q;

	(void)state;
	rig->nodes[2].metadata.fail_change = 1;
	ask(rig, 2, &q, MD_BITMAP_AS_IS);
	array_rig_run(rig);
	assert_int_equal(q.result, -EIO);
	assert_non_null(strstr(q.grow.err.text, "disk1"));
	array_rig_check_healthy(rig);
	array_rig_free(rig);
}

/* Who could not write all of it has said so to nobody yet, and the array has it behind that. */
static void a_change_cut_short_that_is_finished_behind_it_is_told_as_done(void **state)
{
	struct array_rig *rig = three();
	struct asked q;

	(void)state;
	rig->nodes[2].metadata.halve_change = 1;
	ask(rig, 2, &q, MD_BITMAP_AS_IS);
	array_rig_run(rig);
	assert_true(q.is_over);
	assert_int_equal(q.result, 0);
	array_rig_check_healthy(rig);
	ask(rig, 2, &q, MD_BITMAP_AS_IS); /* and the next one is not refused */
	array_rig_run(rig);
	assert_int_equal(q.result, 0);
	array_rig_free(rig);
}

/* What was dirty as it was frozen is resynced behind it; so is what another resynced. */
static void resync_under_way_goes_on_behind_it(void **state)
{
	struct array_rig *rig = three();
	struct asked q;

	(void)state;
	assert_true(array_rig_write(rig, 3, 9));
	array_rig_bury(rig, 3);
	rig->nodes[1].plane.holds_sync = rig->nodes[2].plane.holds_sync = true;
	array_rig_revive(rig, 3);
	array_rig_start(rig, 3);
	array_rig_run(rig);
	assert_true(array_rig_write(rig, 3, 10));
	array_rig_kill(rig, 3);
	array_rig_prove(rig, 3);
	array_rig_settle(rig);
	assert_true(array_rig_dirty(rig) != 0);
	ask(rig, 1, &q, MD_BITMAP_AS_IS);
	rig->nodes[1].plane.holds_sync = rig->nodes[2].plane.holds_sync = false;
	array_rig_run(rig);
	assert_int_equal(q.result, 0);
	array_rig_check_healthy(rig);
	array_rig_free(rig);
}

static void refused(struct array_rig *rig, int node, const struct md_grow *grow, int code,
		    const char *word, const char *other)
{
	struct array_grow g = { .grow = *grow };
	struct err err = ERR_INIT;

	assert_refused(array_grow(rig->nodes[node].array, &g, &err), code, err, word, other);
}

static void what_cannot_be_done_live_is_refused_at_once(void **state)
{
	struct array_rig *rig = three();

	(void)state;
	refused(rig, 1, &(struct md_grow){ .size = 4096 }, -EINVAL, "smaller", "stop it");
	refused(rig, 1, &(struct md_grow){ .raid_disks = 9 }, -EINVAL, "copies", "stop it");
	/* B25 */
	refused(rig, 1, &(struct md_grow){ .bitmap = MD_BITMAP_NONE }, -EBUSY, "active on",
		"node 2, node 3");
	array_rig_free(rig);
}

static void array_without_slots_is_stopped_where_it_was_alone(void **state)
{
	struct array_rig *rig = array_rig_new(2, 5);
	struct asked q;

	(void)state;
	array_rig_start(rig, 1);
	array_rig_run(rig);
	ask(rig, 1, &q, MD_BITMAP_INTERNAL);
	array_rig_run(rig);
	assert_int_equal(q.result, 0);
	assert_int_equal(rig->disks.changes, 1);
	assert_true(rig->nodes[1].is_stopped);
	array_rig_free(rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_are_served_the_new_size_behind_it),
		cmocka_unit_test(writes_end_before_and_wait_meanwhile),
		cmocka_unit_test(who_is_busy_is_named_and_all_thaw),
		cmocka_unit_test(death_of_who_changes_it_thaws_the_others_at_any_step),
		cmocka_unit_test(death_of_a_bystander_at_any_step_keeps_nobody_frozen),
		cmocka_unit_test(leaving_at_any_step_keeps_nobody_frozen),
		cmocka_unit_test(who_joins_at_any_step_serves_the_new_size),
		cmocka_unit_test(who_comes_back_at_any_step_gets_its_slot),
		cmocka_unit_test(change_that_fails_is_told_and_all_go_on),
		cmocka_unit_test(a_change_cut_short_that_is_finished_behind_it_is_told_as_done),
		cmocka_unit_test(resync_under_way_goes_on_behind_it),
		cmocka_unit_test(what_cannot_be_done_live_is_refused_at_once),
		cmocka_unit_test(array_without_slots_is_stopped_where_it_was_alone),
	};

	return cmocka_run_group_tests_name("freeze", tests, NULL, NULL);
}
