/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Lockspaces as partitions come and go, and states that are told to who lacks them. */
#include "tests/unit/manager_scene.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "lockres/manager_private.h"
#include "totem/sync.h"
#include "totem/totem.h"

/* --- partitions ---------------------------------------------------------------------------- */

static void halve(struct scene *s)
{
	for (int i = 0; i < 4; i++)
		for (int k = 0; k < 4; k++)
			sim_cut(s->world, i, k, (i < 2) != (k < 2));
	scene_run(s, SCENE_RING_MS);
}

static void halves_stand_still_and_nothing_is_lost(void **state)
{
	struct scene *s = scene_new(4);
	struct guest g[4];
	struct claim held, waits[4];

	(void)state;
	for (int i = 0; i < 4; i++)
		guest_open(&g[i], s, i + 1, "x");
	claim_take(&held, &g[0], "r", LOCK_EX, 0);
	halve(s);
	for (int i = 0; i < 4; i++) {
		assert_true(g[i].is_prepped);
		assert_int_equal(scene_look(s, i + 1, 0).freeze, LOCKSPACE_NO_QUORUM);
		claim_init(&waits[i], &g[i], i == 3 ? "s" : "r");
		claim_ask(&waits[i], LOCK_PR, 0);
	}
	assert_int_equal(lockres_unlock(&held.lock, 0), 0);
	scene_run(s, SCENE_RING_MS);
	for (int i = 0; i < 4; i++)
		assert_int_equal(waits[i].answers, 0);
	assert_int_equal(held.answers, 1);
	scene_heal(s);
	for (int i = 0; i < 4; i++) {
		assert_false(g[i].is_prepped);
		assert_int_equal(waits[i].answers, 1);
		assert_int_equal(waits[i].result.status, 0);
	}
	assert_int_equal(held.answers, 2);
	scene_expect_equal(s);
	scene_free(s);
}

/* M4 */
static void the_majority_goes_on_where_nobody_else_is_in_and_its_state_wins(void **state)
{
	struct scene *s = scene_new(5);
	struct guest g[2];
	struct claim held, kept;

	(void)state;
	guest_open(&g[0], s, 1, "x");
	guest_open(&g[1], s, 2, "x");
	claim_init(&kept, &g[0], "v");
	claim_ask(&kept, LOCK_EX, LOCK_VALBLK);
	scene_run(s, SCENE_QUIET_MS);
	scene_cut_off(s, 5);
	scene_run(s, SCENE_RING_MS);
	assert_false(g[0].is_prepped);
	claim_take(&held, &g[1], "r", LOCK_PW, 0);
	memcpy(kept.lock.value, "of the majority", 16);
	claim_ask(&kept, LOCK_PR, LOCK_CONVERT | LOCK_VALBLK);
	scene_run(s, SCENE_QUIET_MS);
	scene_heal(s);
	assert_int_equal(lock_table_locks(scene_look(s, 5, 0).table), 2);
	scene_expect_equal(s);
	guest_open(&g[1], s, 5, "x");
	claim_init(&held, &g[1], "v");
	claim_ask(&held, LOCK_PR, LOCK_VALBLK);
	scene_run(s, SCENE_QUIET_MS);
	assert_int_equal(held.answers, 1);
	assert_string_equal((const char *)held.lock.value, "of the majority");
	scene_free(s);
}

static void who_closes_while_all_stands_still_is_gone_when_it_goes_on(void **state)
{
	struct scene *s = scene_new(3);
	uint64_t incarnation = scene_incarnation(s, 1);
	struct guest g[3];
	struct claim held, waits;

	(void)state;
	for (int i = 0; i < 3; i++)
		guest_open(&g[i], s, i + 1, "x");
	claim_take(&held, &g[1], "r", LOCK_EX, 0);
	claim_init(&waits, &g[2], "r");
	claim_ask(&waits, LOCK_EX, 0);
	scene_crash(s, 1);
	guest_close(&g[1]);
	assert_int_equal(g[1].closes, 1);
	assert_int_equal(waits.answers, 0);
	scene_crash(s, 2); /* its word is enough */
	scene_start(s, 2);
	scene_prove(s, 3, 1, incarnation, LOCK_DEATH_PROCESS);
	scene_run(s, SCENE_QUIET_MS);
	assert_int_equal(g[2].members, 1);
	assert_int_equal(g[2].dead_node, 1);
	assert_int_equal(waits.answers, 1);
	assert_int_equal(waits.result.status, 0);
	scene_free(s);
}

/* M4: who was away had it as it was before. */
static void what_all_have_left_does_not_come_back(void **state)
{
	struct scene *s = scene_new(5);
	uint64_t incarnation = scene_incarnation(s, 5);
	struct lockspace_look look;
	struct guest g[3];

	(void)state;
	guest_open(&g[0], s, 1, "x");
	guest_open(&g[1], s, 5, "x");
	scene_cut_off(s, 5);
	scene_run(s, SCENE_RING_MS);
	scene_prove(s, 2, 5, incarnation, LOCK_DEATH_PROCESS);
	scene_run(s, SCENE_QUIET_MS);
	guest_close(&g[0]);
	assert_int_equal(g[0].closes, 1);
	scene_crash(s, 1); /* it will not close it again */
	scene_heal(s);
	scene_start(s, 1);
	assert_int_equal(g[1].lost, -ESTALE);
	for (int i = 1; i <= 5; i++)
		assert_false(lock_manager_look(scene_manager(s, i), 0, &look));
	guest_open(&g[2], s, 3, "x");
	assert_int_equal(g[2].generation, 1);
	scene_expect_equal(s);
	scene_free(s);
}

static void a_name_has_a_lockspace_or_one_grave(void **state)
{
	struct scene *s = scene_new(3);
	struct guest g;

	(void)state;
	for (int i = 0; i < 3; i++) {
		guest_open(&g, s, 1, "x");
		assert_int_equal(scene_manager(s, 2)->grave_count, 0);
		guest_close(&g);
		scene_run(s, SCENE_QUIET_MS);
		assert_int_equal(scene_manager(s, 2)->grave_count, 1);
	}
	scene_free(s);
}

static void closing_ends_what_is_under_way_and_tells_the_others(void **state)
{
	struct scene *s = scene_new(3);
	struct guest g[2];
	struct claim held, waits, other;

	(void)state;
	guest_open(&g[0], s, 1, "x");
	guest_open(&g[1], s, 2, "x");
	claim_take(&other, &g[1], "s", LOCK_EX, 0);
	claim_take(&held, &g[0], "r", LOCK_EX, 0);
	claim_init(&waits, &g[0], "s");
	claim_ask(&waits, LOCK_EX, 0);
	lockspace_close(g[0].space);
	assert_int_equal(lockres_lock(&held.lock, LOCK_NL, LOCK_CONVERT, 0), -ESHUTDOWN);
	scene_run(s, SCENE_QUIET_MS);
	assert_int_equal(waits.answers, 1);
	assert_int_equal(waits.result.status, -ESTALE);
	assert_int_equal(g[0].closes, 1);
	assert_int_equal(g[1].members, 1);
	assert_int_equal(g[1].dead_node, 0);
	assert_false(g[1].is_prepped);
	lockres_fini(&held.lock);
	lockres_fini(&waits.lock);
	assert_int_equal(lock_table_locks(scene_look(s, 3, 0).table), 1);
	scene_free(s);
}

/* Nodes below `first` are one side, the others the other one. */
static void split_at(struct scene *s, int first)
{
	for (int i = 1; i <= s->world->count; i++)
		for (int k = 1; k <= s->world->count; k++)
			sim_cut(s->world, i - 1, k - 1, (i < first) != (k < first));
	scene_run(s, SCENE_RING_MS);
}

static void without_quorum_all_stands_still_though_nobody_is_missing(void **state)
{
	struct scene *s = scene_new(5);
	struct guest g[2];

	(void)state;
	guest_open(&g[0], s, 1, "x");
	guest_open(&g[1], s, 2, "x");
	split_at(s, 3);
	assert_true(g[0].is_prepped);
	assert_int_equal(scene_look(s, 1, 0).freeze, LOCKSPACE_NO_QUORUM);
	scene_heal(s);
	assert_false(g[0].is_prepped);
	scene_free(s);
}

/* L5 */
static void who_is_missing_is_told_before_anything_else(void **state)
{
	struct scene *s = scene_new(3);
	struct guest g[2];

	(void)state;
	guest_open(&g[0], s, 1, "x");
	guest_open(&g[1], s, 2, "x");
	sim_crash(s->world, 0);
	while (sync_is_active(totem_sync_view(s->world->nodes[1].totem)))
		scene_run(s, 1);
	assert_true(g[1].is_prepped);
	scene_free(s);
}

/* Node 5 closes in the minority, and dies there: node 4 heard it, and node 1 tells. */
static void that_one_closed_is_known_from_whoever_heard_it(void **state)
{
	struct scene *s = scene_new(5);
	struct guest g[2];

	(void)state;
	guest_open(&g[0], s, 5, "x");
	guest_open(&g[1], s, 2, "x");
	split_at(s, 4);
	guest_close(&g[0]);
	assert_int_equal(g[0].closes, 0); /* not all know it */
	scene_crash(s, 5);
	scene_heal(s);
	assert_false(g[1].is_prepped);
	assert_int_equal(g[1].members, 1);
	assert_int_equal(g[1].dead_node, 0);
	scene_free(s);
}

/* Of equal states that of node 1 is told, who was away when the others heard it. */
static void a_proof_is_known_from_whoever_heard_it(void **state)
{
	struct scene *s = scene_new(7);
	uint64_t first = scene_incarnation(s, 6), second = scene_incarnation(s, 7);
	struct lock_manager_absent absent;
	struct guest g[3];

	(void)state;
	for (int i = 0; i < 3; i++)
		guest_open(&g[i], s, i + 5, "x");
	scene_crash(s, 6);
	scene_crash(s, 7);
	scene_cut_off(s, 1);
	scene_run(s, SCENE_RING_MS);
	scene_prove(s, 2, 6, first, LOCK_DEATH_NODE);
	scene_run(s, SCENE_QUIET_MS);
	scene_crash(s, 2);
	scene_heal(s);
	assert_true(g[0].is_prepped);
	for (int i = 1; i <= 5; i++) /* 2 knows nothing that 3, 4 and 5 would not */
		assert_true(i == 2 || !lock_manager_absent(scene_manager(s, i), 0, &absent));
	scene_prove(s, 3, 7, second, LOCK_DEATH_NODE);
	scene_run(s, SCENE_QUIET_MS);
	assert_false(g[0].is_prepped);
	assert_int_equal(g[0].members, 1);
	scene_free(s);
}

/* Who was away brings a lockspace back with a member that was proven dead long ago. */
static void a_proof_is_said_again_where_the_dead_is_missing_anew(void **state)
{
	struct scene *s = scene_new(5);
	uint64_t incarnation = scene_incarnation(s, 1);
	struct lockspace_look look;
	struct guest g[2];

	(void)state;
	guest_open(&g[0], s, 1, "x");
	guest_open(&g[1], s, 2, "x");
	scene_cut_off(s, 5);
	scene_run(s, SCENE_RING_MS);
	scene_crash(s, 1);
	scene_prove(s, 3, 1, incarnation, LOCK_DEATH_PROCESS);
	scene_run(s, SCENE_QUIET_MS);
	guest_close(&g[1]);
	assert_false(lock_manager_look(scene_manager(s, 3), 0, &look));
	scene_heal(s);
	scene_run(s, SCENE_RING_MS);
	for (int i = 2; i <= 5; i++)
		assert_false(lock_manager_look(scene_manager(s, i), 0, &look));
	scene_free(s);
}

/* --- states that are told ------------------------------------------------------------------- */

enum { MANY = 50000 };

static struct claim many[MANY];

static void take_many(struct guest *g, int count)
{
	char name[16];

	for (int at = 0; at < count;) {
		lockspace_begin(g->space);
		for (int i = 0; i < 2000 && at < count; i++, at++) {
			snprintf(name, sizeof(name), "r%d", at);
			claim_init(&many[at], g, name);
			claim_ask(&many[at], LOCK_EX, 0);
		}
		lockspace_end(g->space);
		scene_run(g->scene, SCENE_QUIET_MS);
	}
	scene_run(g->scene, SCENE_RING_MS);
	for (int i = 0; i < count; i++)
		assert_int_equal(many[i].lock.mode, LOCK_EX);
}

static void who_joins_is_told_all_resources(void **state)
{
	struct scene *s = scene_new(3);
	struct guest g;

	(void)state;
	guest_open(&g, s, 1, "x");
	scene_crash(s, 3);
	take_many(&g, MANY);
	scene_start(s, 3);
	scene_run(s, SCENE_RING_MS);
	assert_int_equal(lock_table_resources(scene_look(s, 3, 0).table), MANY);
	scene_expect_equal(s);
	scene_free(s);
}

static uint64_t aborts_of(struct scene *s, int node)
{
	return sync_stats(totem_sync_view(s->world->nodes[node - 1].totem))->aborts;
}

/* The joiner, or who tells it, goes in the middle of that. */
static void a_state_that_is_half_told_is_told_anew(void **state)
{
	struct scene *s = scene_new(5);
	struct guest g;
	uint64_t aborts;

	(void)state;
	guest_open(&g, s, 2, "x");
	scene_crash(s, 5);
	take_many(&g, 5000);
	aborts = aborts_of(s, 4);
	for (int i = 0; i < 6; i++) {
		sim_start(s->world, 4);
		while (sync_is_active(totem_sync_view(s->world->nodes[3].totem)))
			scene_run(s, 1);
		scene_run(s, 5 + 5 * (uint64_t)i);
		sim_crash(s->world, i % 2 ? 0 : 4);
		scene_run(s, SCENE_RING_MS);
		sim_start(s->world, 0);
		sim_start(s->world, 4);
		scene_run(s, SCENE_RING_MS);
		assert_int_equal(lock_table_resources(scene_look(s, 5, 0).table), 5000);
		scene_expect_equal(s);
		scene_crash(s, 5);
	}
	assert_true(aborts_of(s, 4) > aborts);
	scene_start(s, 5);
	scene_free(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(halves_stand_still_and_nothing_is_lost),
		cmocka_unit_test(
			the_majority_goes_on_where_nobody_else_is_in_and_its_state_wins),
		cmocka_unit_test(who_closes_while_all_stands_still_is_gone_when_it_goes_on),
		cmocka_unit_test(what_all_have_left_does_not_come_back),
		cmocka_unit_test(a_name_has_a_lockspace_or_one_grave),
		cmocka_unit_test(closing_ends_what_is_under_way_and_tells_the_others),
		cmocka_unit_test(without_quorum_all_stands_still_though_nobody_is_missing),
		cmocka_unit_test(who_is_missing_is_told_before_anything_else),
		cmocka_unit_test(that_one_closed_is_known_from_whoever_heard_it),
		cmocka_unit_test(a_proof_is_known_from_whoever_heard_it),
		cmocka_unit_test(a_proof_is_said_again_where_the_dead_is_missing_anew),
		cmocka_unit_test(who_joins_is_told_all_resources),
		cmocka_unit_test(a_state_that_is_half_told_is_told_anew),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
