/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What others know of a node's windows and of what it owes, where several things happen at
 * once: narrow scenes, each told with many seeds. The rig's rules say what went wrong.
 */
#include "tests/unit/array_rig.h"
#include "tests/unit/help.h"

enum { SEEDS = 400 };

static struct array_rig *running(int nodes, uint64_t seed, bool is_shuffled)
{
	struct array_rig *rig = array_rig_new(nodes, seed);

	if (is_shuffled)
		lock_rig_shuffle(rig->locks, seed);
	array_rig_start_all(rig);
	return rig;
}

static void some_steps(struct array_rig *rig, uint64_t most)
{
	for (uint64_t i = array_rig_random(rig) % most; i > 0; i--)
		(void)array_rig_step(rig);
}

static void end_well(struct array_rig *rig)
{
	array_rig_run(rig);
	array_rig_check_healthy(rig);
	array_rig_free(rig);
}

/* A window is given up, and the same is wanted again for another reason. */
static void a_window_that_was_given_up_is_announced_again(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= SEEDS; seed++) {
		struct array_rig *rig = running(4, seed, seed % 2);
		struct err err = ERR_INIT;

		rig->nodes[1].plane.fail_sync = 1 + (int)(seed % 3);
		assert_ok(array_check(rig->nodes[1].array, true, &err), err);
		some_steps(rig, 40);
		for (int c = 0; c < 6; c++)
			(void)array_rig_write(rig, 3, c);
		array_rig_kill(rig, 3);
		array_rig_prove(rig, 3);
		some_steps(rig, 60);
		(void)array_rig_write(rig, 4, 1);
		array_rig_kill(rig, 4);
		array_rig_prove(rig, 4);
		end_well(rig);
	}
}

/* It is said still while it is given up, and wanted anew before that is over. */
static void a_window_that_is_given_up_as_it_is_said_is_not_held(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= SEEDS; seed++) {
		struct array_rig *rig = running(4, seed, seed % 2);
		struct err err = ERR_INIT;

		assert_ok(array_check(rig->nodes[1].array, true, &err), err);
		some_steps(rig, 14);
		for (int c = 0; c < 3; c++)
			(void)array_rig_write(rig, 3, c);
		array_rig_kill(rig, 3);
		array_rig_prove(rig, 3);
		some_steps(rig, 20);
		array_check_cancel(rig->nodes[1].array);
		some_steps(rig, 20);
		(void)array_check(rig->nodes[1].array, true, &err);
		array_rig_kill(rig, 4);
		array_rig_prove(rig, 4);
		end_well(rig);
	}
}

/* The lock value says what is owed before the slot is given back. */
static void who_finds_a_slot_empty_learns_who_owes(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= SEEDS; seed++) {
		struct array_rig *rig = running(4, seed, true);

		for (int c = 0; c < 9; c++)
			assert_true(array_rig_write(rig, 4, c));
		array_rig_kill(rig, 4);
		array_rig_prove(rig, 4);
		some_steps(rig, 50);
		for (int c = 20; c < 23; c++)
			(void)array_rig_write(rig, 3, c);
		array_rig_kill(rig, 3);
		array_rig_prove(rig, 3);
		end_well(rig);
	}
}

static void who_comes_while_a_slot_is_recovered_learns_who_owes(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= SEEDS; seed++) {
		struct array_rig *rig = running(3, seed, seed % 2);

		for (int c = 0; c < 20; c++)
			assert_true(array_rig_write(rig, 3, c));
		array_rig_kill(rig, 3);
		array_rig_prove(rig, 3);
		while (lock_rig_slot(rig->locks, 3) >= 0)
			assert_true(lock_rig_step(rig->locks));
		array_rig_revive(rig, 3);
		rig->nodes[1].plane.holds_sync = true;
		rig->nodes[2].plane.holds_sync = true;
		some_steps(rig, 30);
		array_rig_start(rig, 3);
		array_rig_run(rig);
		rig->nodes[1].plane.holds_sync = false;
		rig->nodes[2].plane.holds_sync = false;
		end_well(rig);
	}
}

/* Told one range, then another, then the first again, faster than the plane is. */
static void ranges_that_change_faster_than_the_plane_are_in_force_in_the_end(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= SEEDS; seed++) {
		struct array_rig *rig = array_rig_new(3, seed);

		rig->disks.resync_offset = 0;
		for (int i = 0; i < 3; i++)
			rig->disks.slots[i] = UINT64_C(0x8000800080008001) >> i;
		rig->nodes[2].plane.fail_suspend = (int)(seed % 4);
		for (int i = 1; i <= 3; i++) {
			array_rig_start(rig, i);
			some_steps(rig, 60);
		}
		for (int i = 0; i < 40; i++) {
			int c = (int)(array_rig_random(rig) % 64);

			if (array_rig_write(rig, 2, c)) {
				some_steps(rig, 20);
				array_rig_written(rig, 2, c);
			}
		}
		end_well(rig);
	}
}

static void no_slot_is_read_by_superblocks_of_before_a_death(void **state)
{
	struct array_rig *rig = running(2, 1, false);
	unsigned int reads;

	(void)state;
	assert_true(array_rig_write(rig, 2, 5));
	reads = rig->nodes[1].metadata.ops[METADATA_READ_SLOT];
	rig->nodes[1].metadata.fail_reload = 1000;
	array_rig_kill(rig, 2);
	array_rig_prove(rig, 2);
	array_rig_run_seconds(rig, 20);
	assert_int_equal(rig->nodes[1].metadata.ops[METADATA_READ_SLOT], reads);
	rig->nodes[1].metadata.fail_reload = 0;
	end_well(rig);
}

/* A death in GATHER: the superblocks that are read for it are the last thing to come. */
static void who_gathers_goes_on_when_superblocks_come_last(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= SEEDS; seed++) {
		struct array_rig *rig = array_rig_new(3, seed);

		array_rig_start(rig, 2);
		array_rig_start(rig, 3);
		array_rig_run(rig);
		array_rig_start(rig, 1);
		assert_true(array_rig_until(rig, 1, ARRAY_GATHERING));
		rig->nodes[1].metadata.fail_reload = 8;
		array_rig_kill(rig, 3);
		array_rig_prove(rig, 3);
		while (lock_rig_slot(rig->locks, 3) >= 0)
			assert_true(lock_rig_step(rig->locks));
		array_rig_revive(rig, 3); /* its slot is nobody's affair any more */
		array_rig_start(rig, 3);
		end_well(rig);
	}
}

/* Node 1 hears that node 2 leaves when node 4 has its slot already. */
static void last_words_that_are_heard_late_are_not_of_who_has_the_slot_now(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= SEEDS; seed++) {
		struct array_rig *rig = array_rig_new(4, seed);
		int slot;

		for (int i = 1; i <= 3; i++)
			array_rig_start(rig, i);
		array_rig_run(rig);
		rig->nodes[1].plane.holds_sync = rig->nodes[2].plane.holds_sync = true;
		for (int c = 0; c < 20; c++)
			assert_true(array_rig_write(rig, 3, c));
		array_rig_bury(rig, 3);
		array_rig_run_seconds(rig, 2);
		slot = lock_rig_slot(rig->locks, 2);
		lock_rig_deafen(rig->locks, 1, true);
		array_rig_stop(rig, 2);
		array_rig_run_seconds(rig, 2);
		assert_true(rig->nodes[2].is_stopped);
		array_free(rig->nodes[2].array);
		rig->nodes[2].array = NULL;
		rig->nodes[4].wanted_slot = slot;
		array_rig_start(rig, 4);
		while (lock_rig_slot(rig->locks, 4) != slot)
			assert_true(array_rig_step(rig));
		lock_rig_deafen(rig->locks, 1, false);
		rig->nodes[1].plane.holds_sync = false;
		end_well(rig);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_window_that_was_given_up_is_announced_again),
		cmocka_unit_test(a_window_that_is_given_up_as_it_is_said_is_not_held),
		cmocka_unit_test(who_finds_a_slot_empty_learns_who_owes),
		cmocka_unit_test(who_comes_while_a_slot_is_recovered_learns_who_owes),
		cmocka_unit_test(
			ranges_that_change_faster_than_the_plane_are_in_force_in_the_end),
		cmocka_unit_test(who_gathers_goes_on_when_superblocks_come_last),
		cmocka_unit_test(no_slot_is_read_by_superblocks_of_before_a_death),
		cmocka_unit_test(
			last_words_that_are_heard_late_are_not_of_who_has_the_slot_now),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
