/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Who is in a lockspace, and what stands still while somebody is missing. */
#include "tests/unit/manager_scene.h"

#include <errno.h>

/* --- the dead ------------------------------------------------------------------------------ */

/* D14, M2 */
static void what_the_dead_held_excludes_until_its_death_is_proven(void **state)
{
	struct scene *s = scene_new(3);
	uint64_t incarnation = scene_incarnation(s, 1);
	struct guest g[2];
	struct claim dead, waits;

	(void)state;
	guest_open(&g[0], s, 1, "x");
	guest_open(&g[1], s, 2, "x");
	claim_take(&dead, &g[0], "r", LOCK_EX, 0);
	claim_init(&waits, &g[1], "r");
	claim_ask(&waits, LOCK_PR, 0);
	scene_crash(s, 1);
	assert_true(g[1].is_prepped);
	assert_int_equal(scene_look(s, 2, 0).freeze, LOCKSPACE_UNPROVEN);
	scene_run(s, 60000);
	assert_int_equal(waits.answers, 0);
	scene_prove(s, 3, 1, incarnation, LOCK_DEATH_PROCESS);
	scene_run(s, SCENE_QUIET_MS);
	assert_int_equal(g[1].dead_node, 1);
	assert_int_equal(g[1].members, 1);
	assert_false(g[1].is_prepped);
	assert_int_equal(waits.answers, 1);
	assert_int_equal(waits.result.status, 0);
	scene_free(s);
}

static size_t locks_after(enum lock_death death)
{
	struct scene *s = scene_new(3);
	uint64_t incarnation = scene_incarnation(s, 1);
	struct guest g[2];
	struct claim kept, gone;
	size_t locks;

	guest_open(&g[0], s, 1, "x");
	guest_open(&g[1], s, 2, "x");
	claim_take(&kept, &g[0], "r", LOCK_EX, LOCK_PERSISTENT);
	claim_take(&gone, &g[0], "s", LOCK_EX, 0);
	scene_crash(s, 1);
	scene_prove(s, 3, 1, incarnation, death);
	scene_run(s, SCENE_QUIET_MS);
	assert_int_equal(g[1].dead_node, 1);
	locks = lock_table_locks(scene_look(s, 2, 0).table);
	scene_free(s);
	return locks;
}

static void a_process_leaves_orphans_and_a_node_does_not(void **state)
{
	(void)state;
	assert_int_equal(locks_after(LOCK_DEATH_PROCESS), 1);
	assert_int_equal(locks_after(LOCK_DEATH_NODE), 0);
}

static void the_death_of_the_node_outdoes_that_of_its_process(void **state)
{
	struct scene *s = scene_new(5);
	uint64_t first = scene_incarnation(s, 1), second = scene_incarnation(s, 2);
	struct guest g[3];
	struct claim kept;

	(void)state;
	for (int i = 0; i < 3; i++)
		guest_open(&g[i], s, i + 1, "x");
	claim_take(&kept, &g[0], "r", LOCK_EX, LOCK_PERSISTENT);
	scene_crash(s, 1);
	scene_crash(s, 2);
	scene_prove(s, 4, 1, first, LOCK_DEATH_PROCESS);
	scene_run(s, SCENE_QUIET_MS);
	scene_prove(s, 5, 1, first, LOCK_DEATH_NODE);
	scene_run(s, SCENE_QUIET_MS);
	assert_int_equal(g[2].dead_node, 0); /* the other one is not proven */
	scene_prove(s, 5, 2, second, LOCK_DEATH_NODE);
	scene_run(s, SCENE_QUIET_MS);
	assert_int_equal(g[2].members, 1);
	assert_int_equal(lock_table_locks(scene_look(s, 3, 0).table), 0);
	scene_free(s);
}

static void a_proof_of_an_earlier_process_says_nothing_of_this_one(void **state)
{
	struct scene *s = scene_new(3);
	uint64_t first = scene_incarnation(s, 1);
	struct guest g[2];

	(void)state;
	scene_crash(s, 1);
	scene_start(s, 1);
	guest_open(&g[0], s, 1, "x");
	guest_open(&g[1], s, 2, "x");
	scene_crash(s, 1);
	scene_prove(s, 3, 1, first, LOCK_DEATH_NODE);
	scene_run(s, SCENE_QUIET_MS);
	assert_true(g[1].is_prepped);
	scene_prove(s, 3, 1, first + 1, LOCK_DEATH_NODE);
	scene_run(s, SCENE_QUIET_MS);
	assert_false(g[1].is_prepped);
	scene_free(s);
}

static void a_proof_of_who_is_not_missing_does_nothing(void **state)
{
	struct scene *s = scene_new(3);
	struct guest g[2];
	struct claim held;

	(void)state;
	guest_open(&g[0], s, 1, "x");
	guest_open(&g[1], s, 2, "x");
	claim_take(&held, &g[0], "r", LOCK_EX, 0);
	scene_prove(s, 3, 1, scene_incarnation(s, 1), LOCK_DEATH_NODE);
	scene_run(s, SCENE_QUIET_MS);
	assert_int_equal(lock_table_locks(scene_look(s, 2, 0).table), 1);
	assert_int_equal(scene_look(s, 3, 0).member_count, 2);
	assert_int_equal(g[1].dead_node, 0);
	scene_free(s);
}

static void a_proof_is_said_until_all_know_it(void **state)
{
	struct scene *s = scene_new(5);
	uint64_t incarnation = scene_incarnation(s, 1);
	struct guest g[2];

	(void)state;
	guest_open(&g[0], s, 1, "x");
	guest_open(&g[1], s, 2, "x");
	scene_crash(s, 1);
	scene_cut_off(s, 3);
	scene_run(s, SCENE_RING_MS);
	scene_prove(s, 3, 1, incarnation, LOCK_DEATH_PROCESS); /* it may not decide */
	scene_run(s, SCENE_QUIET_MS);
	assert_true(g[1].is_prepped);
	scene_heal(s);
	assert_false(g[1].is_prepped);
	assert_int_equal(g[1].dead_node, 1);
	scene_free(s);
}

/* --- who comes back ------------------------------------------------------------------------ */

static void who_restarts_waits_until_its_death_is_proven_and_has_its_slot(void **state)
{
	struct scene *s = scene_new(3);
	uint64_t incarnation = scene_incarnation(s, 2);
	struct guest g[3];

	(void)state;
	for (int i = 0; i < 3; i++)
		guest_open(&g[i], s, i + 1, "x");
	assert_int_equal(g[1].slot, 1);
	scene_crash(s, 2);
	scene_start(s, 2);
	guest_ask(&g[1], s, 2, "x", 0);
	scene_run(s, SCENE_RING_MS);
	assert_int_equal(g[1].dones, 0);
	scene_prove(s, 3, 2, incarnation, LOCK_DEATH_PROCESS);
	scene_run(s, SCENE_QUIET_MS);
	assert_int_equal(g[0].dead_node, 2);
	assert_int_equal(g[1].dones, 1);
	assert_int_equal(g[1].slot, 1);
	assert_int_equal(g[0].members, 3);
	scene_expect_equal(s);
	scene_free(s);
}

/* L6 */
static void who_closes_has_its_old_slot_again_when_that_is_free(void **state)
{
	struct scene *s = scene_new(4);
	struct guest g[4];

	(void)state;
	for (int i = 0; i < 3; i++)
		guest_open(&g[i], s, i + 1, "x");
	guest_close(&g[1]);
	guest_close(&g[0]);
	guest_open(&g[1], s, 2, "x");
	assert_int_equal(g[1].slot, 1); /* 0 is free, and is not its own */
	guest_open(&g[3], s, 4, "x");
	assert_int_equal(g[3].slot, 0);
	guest_open(&g[0], s, 1, "x");
	assert_int_equal(g[0].slot, 3); /* its own is taken */
	scene_expect_equal(s);
	scene_free(s);
}

static void slots_are_as_many_as_the_first_one_said(void **state)
{
	struct scene *s = scene_new(3);
	struct guest g[3];

	(void)state;
	for (int i = 0; i < 3; i++) {
		guest_ask(&g[i], s, i + 1, "x", 2);
		scene_run(s, SCENE_QUIET_MS);
	}
	assert_int_equal(g[1].dones, 1);
	assert_int_equal(g[2].dones, 0);
	assert_int_equal(g[2].lost, -ENOSPC);
	guest_close(&g[2]);
	guest_ask(&g[2], s, 3, "x", 3);
	scene_run(s, SCENE_QUIET_MS);
	assert_int_equal(g[2].lost, -EBADR);
	scene_free(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_the_dead_held_excludes_until_its_death_is_proven),
		cmocka_unit_test(a_process_leaves_orphans_and_a_node_does_not),
		cmocka_unit_test(the_death_of_the_node_outdoes_that_of_its_process),
		cmocka_unit_test(a_proof_of_an_earlier_process_says_nothing_of_this_one),
		cmocka_unit_test(a_proof_of_who_is_not_missing_does_nothing),
		cmocka_unit_test(a_proof_is_said_until_all_know_it),
		cmocka_unit_test(who_restarts_waits_until_its_death_is_proven_and_has_its_slot),
		cmocka_unit_test(who_closes_has_its_old_slot_again_when_that_is_free),
		cmocka_unit_test(slots_are_as_many_as_the_first_one_said),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
