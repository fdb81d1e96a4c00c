/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Disks of an array: D9, what a degraded one may do, check and repair. */
#include "tests/unit/array_rig.h"
#include "tests/unit/help.h"

#include <errno.h>
#include <string.h>

enum { SEEDS = 20 };

static struct array_rig *running(int nodes, uint32_t disks, uint64_t seed)
{
	struct array_rig *rig = array_rig_new(nodes, seed);

	rig->disks.disks = disks;
	array_rig_start_all(rig);
	return rig;
}

static struct array *array_of(struct array_rig *rig, int node)
{
	return rig->nodes[node].array;
}

static bool uses(struct array_rig *rig, int node, uint32_t role)
{
	return rig->nodes[node].plane.told[role] == METADATA_DISK_IN_SYNC;
}

/* --- D9 ------------------------------------------------------------------------------------------ */

static void writes_that_met_a_failing_disk_are_held_until_all_know(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= SEEDS; seed++) {
		struct array_rig *rig = running(3, 2, seed);
		struct rig_plane *p = &rig->nodes[2].plane;

		array_rig_disk_fails(rig, 2, 1);
		while (!(p->known & 2)) {
			assert_true(array_rig_step(rig));
			if (p->known & 2)
				for (int i = 1; i <= 3; i++)
					assert_false(uses(rig, i, 1));
		}
		assert_int_equal(rig->disks.state[1], METADATA_DISK_FAULTY);
		array_rig_run(rig);
		assert_int_equal(rig->nodes[1].events[ARRAY_EVENT_DEGRADED], 1);
		assert_string_equal(rig->nodes[1].last_text, "disk1"); /* its path */
		assert_int_equal(rig->nodes[2].events[ARRAY_EVENT_DISK_FAILED], 1);
		assert_true(array_rig_look(rig, 1).degraded_since_ns > 0);
		array_rig_free(rig);
	}
}

static void who_cannot_say_that_a_disk_failed_holds_its_writes(void **state)
{
	struct array_rig *rig = running(3, 2, 1);

	(void)state;
	array_rig_kill(rig, 3); /* nothing can be said until the proof */
	array_rig_disk_fails(rig, 1, 1);
	array_rig_run_seconds(rig, 10);
	assert_int_equal(rig->nodes[1].plane.known, 0);
	array_rig_prove(rig, 3);
	array_rig_run(rig);
	assert_int_equal(rig->nodes[1].plane.known, 2);
	assert_false(uses(rig, 2, 1));
	array_rig_free(rig);
}

static void writes_are_held_until_the_own_plane_has_done_with_the_disk(void **state)
{
	struct array_rig *rig = running(2, 2, 1);

	(void)state;
	rig->nodes[1].plane.holds_set_disk = true;
	array_rig_disk_fails(rig, 1, 1);
	array_rig_run_seconds(rig, 20);
	assert_int_equal(rig->nodes[1].plane.known, 0);
	assert_true(uses(rig, 2, 1)); /* nor were the others told */
	rig->nodes[1].plane.holds_set_disk = false;
	array_rig_run(rig);
	assert_int_equal(rig->nodes[1].plane.known, 2);
	array_rig_free(rig);
}

static void who_hears_of_it_answers_when_its_plane_has_done_with_the_disk(void **state)
{
	struct array_rig *rig = running(2, 2, 1);

	(void)state;
	rig->nodes[2].plane.holds_set_disk = true;
	array_rig_disk_fails(rig, 1, 1);
	array_rig_run_seconds(rig, 20);
	assert_int_equal(rig->nodes[1].plane.known, 0);
	rig->nodes[2].plane.holds_set_disk = false;
	array_rig_run(rig);
	assert_int_equal(rig->nodes[1].plane.known, 2);
	array_rig_free(rig);
}

/* Node 2 goes without it, node 3 reads there still. */
static void heard_by_one_of_two(struct array_rig *rig)
{
	rig->nodes[3].plane.holds_set_disk = true;
	array_rig_disk_fails(rig, 1, 1);
	array_rig_run_seconds(rig, 5);
	assert_false(uses(rig, 2, 1));
	assert_true(uses(rig, 3, 1));
	assert_int_equal(rig->nodes[2].plane.failing, 2);
}

static void expect_known(struct array_rig *rig, int first)
{
	rig->nodes[3].plane.holds_set_disk = false;
	array_rig_run(rig);
	for (int i = first; i <= 3; i++)
		assert_int_equal(rig->nodes[i].plane.known, 2);
	array_rig_free(rig);
}

static void who_hears_of_it_holds_writes_until_all_know(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= SEEDS; seed++) {
		struct array_rig *rig = running(3, 2, seed);

		heard_by_one_of_two(rig);
		assert_int_equal(rig->nodes[2].plane.known, 0);
		expect_known(rig, 1);
	}
}

static uint64_t said_by_all(struct array_rig *rig)
{
	uint64_t said = 0;

	for (int i = 1; i <= rig->count; i++)
		said += array_rig_said(rig, i);
	return said;
}

static void all_hear_of_it_by_two_messages_however_many_they_are(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= SEEDS; seed++) {
		struct array_rig *rig = running(8, 2, seed);
		uint64_t before = said_by_all(rig);

		array_rig_disk_fails(rig, 1, 1);
		array_rig_run(rig);
		for (int i = 1; i <= 8; i++)
			assert_int_equal(rig->nodes[i].plane.known, 2);
		assert_int_equal(said_by_all(rig), before + 2);
		array_rig_free(rig);
	}
}

/* Nobody is left who could tell how the message fared: who heard it says it once more. */
static void who_hears_of_it_from_one_who_dies_tells_the_others(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= SEEDS; seed++) {
		struct array_rig *rig = running(3, 2, seed);

		heard_by_one_of_two(rig);
		array_rig_kill(rig, 1);
		array_rig_prove(rig, 1);
		array_rig_run_seconds(rig, 5);
		assert_int_equal(rig->nodes[2].plane.known, 0);
		expect_known(rig, 2);
	}
}

static void who_hears_of_it_from_one_who_leaves_tells_the_others(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= SEEDS; seed++) {
		struct array_rig *rig = running(3, 2, seed);

		heard_by_one_of_two(rig);
		array_rig_stop(rig, 1);
		array_rig_run_seconds(rig, 5);
		assert_int_equal(rig->nodes[2].plane.known, 0);
		expect_known(rig, 2);
	}
}

/* Who failed a second disk died before it said so: the message of the first says nothing of it. */
static void a_disk_that_goes_while_another_is_told_is_told_for_itself(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= SEEDS; seed++) {
		struct array_rig *rig = running(4, 3, seed);

		heard_by_one_of_two(rig);
		rig->disks.state[2] = METADATA_DISK_FAULTY;
		rig->disks.events++;
		array_rig_kill(rig, 4);
		array_rig_prove(rig, 4);
		array_rig_run_seconds(rig, 5);
		assert_false(uses(rig, 1, 2));
		assert_true(uses(rig, 3, 2));
		rig->nodes[3].plane.holds_set_disk = false;
		array_rig_run(rig);
		for (int i = 1; i <= 3; i++)
			assert_int_equal(rig->nodes[i].plane.known, 2 | 4);
		array_rig_free(rig);
	}
}

/* The superblocks say so, and who wrote them was cut short before all had heard. */
static void who_starts_without_a_disk_serves_when_all_do_without_it(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= SEEDS; seed++) {
		struct array_rig *rig = array_rig_new(2, seed);

		rig->disks.disks = 2;
		array_rig_start(rig, 1);
		array_rig_run(rig);
		rig->disks.state[1] = METADATA_DISK_FAULTY;
		rig->disks.events++;
		rig->nodes[1].plane.holds_set_disk = true;
		array_rig_start(rig, 2);
		array_rig_run_seconds(rig, 5);
		assert_false(rig->nodes[2].plane.is_gate_open);
		assert_true(uses(rig, 1, 1));
		rig->nodes[1].plane.holds_set_disk = false;
		array_rig_run(rig);
		assert_true(rig->nodes[2].plane.is_gate_open);
		assert_false(uses(rig, 1, 1));
		array_rig_free(rig);
	}
}

static void who_hears_of_it_as_its_plane_starts_answers_when_that_knows(void **state)
{
	struct array_rig *rig = array_rig_new(2, 1);

	(void)state;
	rig->disks.disks = 3;
	array_rig_start(rig, 1);
	array_rig_run(rig);
	rig->nodes[2].plane.holds_start = true;
	array_rig_start(rig, 2);
	array_rig_run_seconds(rig, 5);
	assert_non_null(array_rig_asked(rig, 2, PLANE_START));
	array_rig_disk_fails(rig, 1, 2);
	array_rig_run_seconds(rig, 5);
	assert_int_equal(rig->nodes[1].plane.known, 0);
	rig->nodes[2].plane.holds_start = false;
	array_rig_run(rig);
	assert_int_equal(rig->nodes[1].plane.known, 4);
	assert_false(uses(rig, 2, 2));
	assert_true(array_rig_is_active(rig, 2));
	array_rig_free(rig);
}

/* Its drain waits for writes; whoever has TOKEN does not wait for that. */
static void who_leaves_hears_of_it_before_it_has_drained(void **state)
{
	struct array_rig *rig = running(2, 3, 1);

	(void)state;
	assert_true(array_rig_write(rig, 2, 5));
	array_rig_stop(rig, 2);
	array_rig_run_seconds(rig, 5);
	assert_non_null(array_rig_asked(rig, 2, PLANE_DRAIN));
	array_rig_disk_fails(rig, 1, 1);
	array_rig_run_seconds(rig, 5);
	assert_int_equal(rig->nodes[1].plane.known, 2);
	array_rig_written(rig, 2, 5);
	array_rig_run(rig);
	assert_true(rig->nodes[2].is_stopped);
	array_rig_free(rig);
}

static void what_one_starts_without_all_do_without(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= SEEDS; seed++) {
		struct array_rig *rig = array_rig_new(2, seed);

		rig->disks.disks = 3;
		array_rig_start(rig, 1);
		array_rig_run(rig);
		rig->nodes[2].metadata.lacks_role = 2;
		array_rig_start(rig, 2);
		array_rig_run(rig);
		assert_true(array_rig_is_active(rig, 2));
		assert_false(uses(rig, 1, 2) || uses(rig, 2, 2));
		array_rig_free(rig);
	}
}

static void superblocks_that_cannot_be_written_are_tried_again(void **state)
{
	struct array_rig *rig = running(2, 2, 1);

	(void)state;
	rig->nodes[1].metadata.fail_fail = 5;
	array_rig_disk_fails(rig, 1, 1);
	array_rig_run(rig);
	assert_int_equal(rig->nodes[1].metadata.fail_fail, 0);
	assert_int_equal(rig->nodes[1].plane.known, 2);
	array_rig_free(rig);
}

static void who_cannot_read_the_superblocks_refuses_and_hears_it_again(void **state)
{
	struct array_rig *rig = running(2, 2, 1);

	(void)state;
	rig->nodes[2].metadata.fail_reload = 3;
	array_rig_disk_fails(rig, 1, 1);
	array_rig_run(rig);
	assert_int_equal(rig->nodes[2].metadata.fail_reload, 0);
	assert_int_equal(rig->nodes[1].plane.known, 2);
	assert_false(uses(rig, 2, 1));
	array_rig_free(rig);
}

static void two_nodes_find_the_same_disk_failing(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= SEEDS; seed++) {
		struct array_rig *rig = running(3, 3, seed);
		uint64_t events = rig->disks.events;

		for (int i = 1; i <= 3; i++)
			array_rig_disk_fails(rig, i, 0);
		array_rig_run(rig);
		assert_int_equal(rig->disks.events, events + 1);
		for (int i = 1; i <= 3; i++) {
			assert_int_equal(rig->nodes[i].plane.known, 1);
			assert_false(uses(rig, i, 0));
			assert_true(uses(rig, i, 1));
		}
		array_rig_free(rig);
	}
}

static void two_nodes_fail_the_two_disks_of_a_mirror_and_one_stays(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= SEEDS; seed++) {
		struct array_rig *rig = running(2, 2, seed);

		array_rig_disk_fails(rig, 1, 0);
		array_rig_disk_fails(rig, 2, 1);
		array_rig_run(rig);
		assert_int_equal((rig->disks.state[0] == METADATA_DISK_IN_SYNC) +
				 (rig->disks.state[1] == METADATA_DISK_IN_SYNC), 1);
		for (int i = 1; i <= 2; i++) {
			assert_int_equal(rig->nodes[i].plane.failing, 0); /* nothing hangs */
			for (uint32_t role = 0; role < 2; role++)
				assert_int_equal(uses(rig, i, role),
						 rig->disks.state[role] ==
							 METADATA_DISK_IN_SYNC);
		}
		array_rig_free(rig);
	}
}

static void a_disk_is_failed_by_hand(void **state)
{
	struct array_rig *rig = running(2, 2, 1);
	struct err err = ERR_INIT;

	(void)state;
	assert_refused(array_fail_disk(array_of(rig, 1), 7, &err), -EINVAL, err, "7");
	assert_ok(array_fail_disk(array_of(rig, 1), 1, &err), err);
	array_rig_run(rig);
	assert_false(uses(rig, 1, 1) || uses(rig, 2, 1));
	assert_refused(array_fail_disk(array_of(rig, 2), 1, &err), -EINVAL, err, "not in use");
	assert_refused(array_fail_disk(array_of(rig, 2), 0, &err), -EBUSY, err, "last");
	array_rig_free(rig);
}

static void a_slot_whose_copy_fails_has_its_disk_failed(void **state)
{
	struct array_rig *rig = running(2, 2, 1);

	(void)state;
	assert_true(array_rig_write(rig, 2, 3));
	rig->nodes[1].metadata.fail_read = 1;
	rig->nodes[1].metadata.fails_role = 1;
	array_rig_bury(rig, 2);
	assert_int_equal(rig->disks.state[1], METADATA_DISK_FAULTY);
	assert_int_equal(array_rig_look(rig, 1).recovery_map, 0);
	array_rig_free(rig);
}

/* --- degraded -------------------------------------------------------------------------------------- */

static void with_one_disk_nothing_is_copied_and_it_says_so(void **state)
{
	struct array_rig *rig = running(2, 2, 1);
	struct array_look look;

	(void)state;
	array_rig_disk_fails(rig, 1, 1);
	array_rig_run(rig);
	assert_true(array_rig_write(rig, 2, 3));
	array_rig_bury(rig, 2);
	look = array_rig_look(rig, 1);
	assert_int_equal(look.state, ARRAY_ACTIVE);
	assert_int_equal(look.recovery_map, 0);
	assert_int_equal(rig->nodes[1].plane.syncs, 0);
	assert_int_equal(rig->nodes[1].plane.needed, 8);
	assert_non_null(strstr(look.waits, "a disk to resync to"));
	assert_true(look.needs_disk); /* so that nobody waits for the end */
	assert_string_equal(look.kind_text ? look.kind_text : "", "");
	/* what joins knows that it is owed */
	array_rig_revive(rig, 2);
	array_rig_start(rig, 2);
	array_rig_run(rig);
	assert_true(array_rig_is_active(rig, 2));
	assert_true(rig->nodes[2].plane.is_single);
	array_rig_free(rig);
}

static void what_one_joins_with_a_view_of_before_is_told(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 10 * SEEDS; seed++) {
		struct array_rig *rig = array_rig_new(2, seed);

		rig->disks.disks = 3;
		array_rig_start(rig, 1);
		array_rig_run(rig);
		array_rig_start(rig, 2);
		for (uint64_t i = 0; i < seed; i++)
			(void)array_rig_step(rig);
		array_rig_disk_fails(rig, 1, 2);
		array_rig_run(rig);
		assert_true(array_rig_is_active(rig, 2));
		assert_false(uses(rig, 2, 2));
		array_rig_free(rig);
	}
}

/* --- check and repair ------------------------------------------------------------------------------- */

static void a_check_looks_at_all_and_tells_what_differs(void **state)
{
	struct array_rig *rig = running(2, 2, 1);
	struct err err = ERR_INIT;

	(void)state;
	rig->is_rotten = true;
	rig->disks.differ = 0x30;
	assert_ok(array_check(array_of(rig, 1), false, &err), err);
	while (array_rig_step(rig) && !rig->nodes[1].events[ARRAY_EVENT_CHECK_STARTED])
		;
	assert_string_equal(array_rig_look(rig, 1).kind_text, "check");
	array_rig_run(rig);
	assert_int_equal(rig->nodes[1].events[ARRAY_EVENT_CHECK_FINISHED], 1);
	assert_int_equal(rig->nodes[1].checked, UINT64_MAX);
	assert_int_equal(array_rig_look(rig, 1).mismatch_sectors, 2);
	assert_int_equal(rig->disks.differ, 0x30); /* it mends nothing */
	assert_null(array_rig_look(rig, 1).kind_text);
	for (int i = 0; i < ARRAY_MAX_NODES; i++)
		assert_int_equal(rig->nodes[2].plane.suspended[i].high, 0);
	array_rig_free(rig);
}

static void a_repair_mends(void **state)
{
	struct array_rig *rig = running(2, 2, 1);
	struct err err = ERR_INIT;

	(void)state;
	rig->is_rotten = true;
	rig->disks.differ = 0x30;
	assert_ok(array_check(array_of(rig, 1), true, &err), err);
	array_rig_run(rig);
	assert_int_equal(rig->disks.differ, 0);
	array_rig_free(rig);
}

static void one_node_scrubs_at_a_time(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= SEEDS; seed++) {
		struct array_rig *rig = running(2, 2, seed);
		struct err err = ERR_INIT;
		unsigned int started = 0;

		for (int i = 1; i <= 2; i++) {
			rig->nodes[i].plane.holds_sync = true;
			assert_ok(array_check(array_of(rig, i), false, &err), err);
		}
		array_rig_run(rig);
		for (int i = 1; i <= 2; i++)
			started += rig->nodes[i].events[ARRAY_EVENT_CHECK_STARTED];
		assert_int_equal(started, 1);
		for (int i = 1; i <= 2; i++)
			assert_int_equal(array_check(array_of(rig, i), false, &err), -EBUSY);
		for (int i = 1; i <= 2; i++) {
			rig->nodes[i].plane.holds_sync = false;
			array_check_cancel(array_of(rig, i));
		}
		array_rig_run(rig);
		assert_ok(array_check(array_of(rig, 1), false, &err), err);
		array_rig_run(rig);
		array_rig_check_healthy(rig);
		array_rig_free(rig);
	}
}

static void a_check_is_cancelled_at_once(void **state)
{
	struct array_rig *rig = running(2, 2, 1);
	struct err err = ERR_INIT;

	(void)state;
	rig->nodes[1].plane.holds_sync = true;
	assert_ok(array_check(array_of(rig, 1), false, &err), err);
	array_rig_run(rig);
	assert_int_equal(rig->nodes[1].plane.syncs, 1);
	array_check_cancel(array_of(rig, 1));
	array_rig_run(rig);
	assert_int_equal(rig->nodes[1].events[ARRAY_EVENT_CHECK_FINISHED], 1);
	assert_string_equal(rig->nodes[1].last_text, "cancelled");
	array_rig_check_healthy(rig);
	array_rig_free(rig);
}

static void a_resync_goes_before_a_check_which_then_goes_on(void **state)
{
	struct array_rig *rig = running(3, 2, 1);
	struct err err = ERR_INIT;

	(void)state;
	assert_ok(array_check(array_of(rig, 1), false, &err), err);
	while (rig->nodes[1].plane.syncs < 3)
		assert_true(array_rig_step(rig));
	for (int c = 10; c < 30; c++)
		(void)array_rig_write(rig, 3, c);
	array_rig_bury(rig, 3);
	assert_int_equal(rig->nodes[1].events[ARRAY_EVENT_CHECK_FINISHED], 1);
	assert_int_equal(rig->nodes[1].checked, UINT64_MAX);
	array_rig_check_healthy(rig);
	array_rig_free(rig);
}

static void who_checks_dies_and_another_may(void **state)
{
	struct array_rig *rig = running(2, 2, 1);
	struct err err = ERR_INIT;

	(void)state;
	rig->nodes[1].plane.holds_sync = true;
	assert_ok(array_check(array_of(rig, 1), false, &err), err);
	array_rig_run(rig);
	array_rig_bury(rig, 1);
	array_rig_check_healthy(rig); /* no range is left of it */
	assert_ok(array_check(array_of(rig, 2), false, &err), err);
	array_rig_run(rig);
	assert_int_equal(rig->nodes[2].events[ARRAY_EVENT_CHECK_FINISHED], 1);
	array_rig_free(rig);
}

/* --- places that cannot be read ----------------------------------------------------------------- */

static void a_place_that_cannot_be_read_is_resynced_at_once(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= SEEDS; seed++) {
		struct array_rig *rig = running(3, 2, seed);

		for (int i = 1; i <= 3; i++) {
			array_rig_cannot_read(rig, i, 9); /* all of them read there */
			array_rig_cannot_read(rig, i, 40 + i);
		}
		array_rig_run(rig);
		for (int i = 1; i <= 3; i++) {
			assert_int_equal(rig->nodes[i].plane.synced_chunks, 2);
			assert_int_equal(rig->nodes[i].events[ARRAY_EVENT_RESYNC_FINISHED], 1);
		}
		array_rig_check_healthy(rig);
		array_rig_free(rig);
	}
}

/* The bits are its own by then. */
static void what_could_not_be_read_is_not_forgotten_by_a_death(void **state)
{
	struct array_rig *rig = running(2, 2, 1);

	(void)state;
	rig->nodes[1].plane.holds_sync = true;
	array_rig_cannot_read(rig, 1, 9);
	array_rig_run(rig);
	array_rig_bury(rig, 1);
	assert_int_equal(rig->nodes[2].plane.synced_chunks, 1);
	array_rig_check_healthy(rig);
	array_rig_free(rig);
}

static void a_degraded_array_keeps_what_is_needed_and_does_not_turn(void **state)
{
	struct array_rig *rig = running(2, 2, 1);

	(void)state;
	array_rig_disk_fails(rig, 2, 1);
	array_rig_run(rig);
	array_rig_cannot_read(rig, 1, 9);
	array_rig_run_seconds(rig, 60);
	assert_int_equal(rig->nodes[1].plane.syncs, 0);
	assert_int_equal(rig->nodes[1].plane.needed, 1 << 9);
	array_rig_free(rig);
}

static void what_no_disk_can_read_is_tried_now_and_then_and_holds_up_nothing(void **state)
{
	struct array_rig *rig = running(2, 2, 1);
	struct rig_plane *p = &rig->nodes[1].plane;

	(void)state;
	p->unread = UINT64_C(1) << 9 | UINT64_C(1) << 50;
	for (int c = 5; c < 64; c += 5)
		array_rig_cannot_read(rig, 1, c);
	array_rig_cannot_read(rig, 1, 9);
	array_rig_run_seconds(rig, 60);
	assert_int_equal(p->needed, p->unread); /* what is behind them is done */
	assert_true(p->syncs < 60);
	assert_int_equal(rig->nodes[1].events[ARRAY_EVENT_RETRY], 1);
	assert_non_null(strstr(array_rig_look(rig, 1).waits, "no disk can read it"));
	p->unread = 0; /* somebody has written there */
	array_rig_run_seconds(rig, 10);
	assert_int_equal(rig->nodes[1].events[ARRAY_EVENT_RESYNC_FINISHED], 1);
	array_rig_check_healthy(rig);
	array_rig_free(rig);
}

static void what_is_corrected_is_told_with_its_disk(void **state)
{
	struct array_rig *rig = running(2, 2, 1);
	struct plane *plane = &rig->nodes[2].plane.base;

	(void)state;
	plane->handlers->corrected(plane->owner, 1, 80, 96, 8);
	assert_int_equal(rig->nodes[2].events[ARRAY_EVENT_DISK_CORRECTED], 1);
	assert_string_equal(rig->nodes[2].last_text, "disk1");
	array_rig_free(rig);
}

/* --- speed ------------------------------------------------------------------------------------------ */

static void speed_limits_reach_the_plane(void **state)
{
	struct array_rig *rig = running(1, 2, 1);

	(void)state;
	assert_int_equal(rig->nodes[1].plane.max_speed, 200000000);
	array_set_speed(array_of(rig, 1), 5, 7);
	assert_int_equal(rig->nodes[1].plane.max_speed, 7);
	array_rig_free(rig);
}

static void windows_grow_while_they_are_quick_and_shrink_where_writes_suffer(void **state)
{
	struct array_rig *rig = running(2, 2, 1);

	(void)state;
	array_set_speed(array_of(rig, 2), 5, 100ull << 30);
	rig->nodes[2].plane.sync_ns = 1000000;
	for (int c = 0; c < 64; c++)
		assert_true(array_rig_write(rig, 1, c));
	array_rig_bury(rig, 1);
	assert_int_equal(rig->nodes[2].plane.biggest_sync,
			 ARRAY_MAX_WINDOW_BYTES / 512);
	array_rig_check_healthy(rig);
	array_rig_revive(rig, 1);
	array_rig_start(rig, 1);
	array_rig_run(rig);
	rig->nodes[2].plane.biggest_sync = 0;
	rig->nodes[2].plane.write_p99_ns = 1000000000;
	for (int c = 0; c < 64; c++)
		assert_true(array_rig_write(rig, 1, c));
	array_rig_bury(rig, 1);
	assert_int_equal(rig->nodes[2].plane.last_sync, RIG_CHUNK_SECTORS);
	array_rig_check_healthy(rig);
	array_rig_free(rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(writes_that_met_a_failing_disk_are_held_until_all_know),
		cmocka_unit_test(who_cannot_say_that_a_disk_failed_holds_its_writes),
		cmocka_unit_test(writes_are_held_until_the_own_plane_has_done_with_the_disk),
		cmocka_unit_test(
			who_hears_of_it_answers_when_its_plane_has_done_with_the_disk),
		cmocka_unit_test(who_hears_of_it_holds_writes_until_all_know),
		cmocka_unit_test(all_hear_of_it_by_two_messages_however_many_they_are),
		cmocka_unit_test(who_hears_of_it_from_one_who_dies_tells_the_others),
		cmocka_unit_test(who_hears_of_it_from_one_who_leaves_tells_the_others),
		cmocka_unit_test(a_disk_that_goes_while_another_is_told_is_told_for_itself),
		cmocka_unit_test(who_starts_without_a_disk_serves_when_all_do_without_it),
		cmocka_unit_test(
			who_hears_of_it_as_its_plane_starts_answers_when_that_knows),
		cmocka_unit_test(who_leaves_hears_of_it_before_it_has_drained),
		cmocka_unit_test(what_one_starts_without_all_do_without),
		cmocka_unit_test(superblocks_that_cannot_be_written_are_tried_again),
		cmocka_unit_test(who_cannot_read_the_superblocks_refuses_and_hears_it_again),
		cmocka_unit_test(two_nodes_find_the_same_disk_failing),
		cmocka_unit_test(two_nodes_fail_the_two_disks_of_a_mirror_and_one_stays),
		cmocka_unit_test(a_disk_is_failed_by_hand),
		cmocka_unit_test(a_slot_whose_copy_fails_has_its_disk_failed),
		cmocka_unit_test(with_one_disk_nothing_is_copied_and_it_says_so),
		cmocka_unit_test(what_one_joins_with_a_view_of_before_is_told),
		cmocka_unit_test(a_check_looks_at_all_and_tells_what_differs),
		cmocka_unit_test(a_repair_mends),
		cmocka_unit_test(one_node_scrubs_at_a_time),
		cmocka_unit_test(a_check_is_cancelled_at_once),
		cmocka_unit_test(a_resync_goes_before_a_check_which_then_goes_on),
		cmocka_unit_test(a_place_that_cannot_be_read_is_resynced_at_once),
		cmocka_unit_test(what_could_not_be_read_is_not_forgotten_by_a_death),
		cmocka_unit_test(a_degraded_array_keeps_what_is_needed_and_does_not_turn),
		cmocka_unit_test(what_no_disk_can_read_is_tried_now_and_then_and_holds_up_nothing),
		cmocka_unit_test(what_is_corrected_is_told_with_its_disk),
		cmocka_unit_test(who_checks_dies_and_another_may),
		cmocka_unit_test(speed_limits_reach_the_plane),
		cmocka_unit_test(
			windows_grow_while_they_are_quick_and_shrink_where_writes_suffer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
