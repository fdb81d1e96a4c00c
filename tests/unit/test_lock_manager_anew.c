/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* M8: a cluster begins anew, and somebody is away who may live. */
#include "tests/unit/manager_scene.h"

#include <errno.h>
#include <stdlib.h>

static void crash_and_start(struct scene *s, int count)
{
	for (int i = 0; i < count; i++)
		sim_crash(s->world, i);
	for (int i = 0; i < count; i++)
		sim_start(s->world, i);
	scene_run(s, 2 * SCENE_RING_MS);
}

/* Of node 3, that is cut off, nobody who lives knows anything but from the disk. */
static struct scene *the_others_begin_anew(struct guest *g3)
{
	struct scene *s = scene_new(3);
	struct guest g1;

	guest_open(&g1, s, 1, "x");
	guest_open(g3, s, 3, "x");
	scene_cut_off(s, 3);
	crash_and_start(s, 2);
	return s;
}

static void expect_waiting_for(struct scene *s, int node, uint32_t whom)
{
	struct lock_manager_absent absent;

	assert_true(lock_manager_absent(scene_manager(s, node), 0, &absent));
	assert_int_equal(absent.node, whom);
	assert_int_equal(absent.incarnation, scene_incarnation(s, (int)whom));
	assert_false(lock_manager_absent(scene_manager(s, node), 1, &absent));
}

static void expect_waiting_for_nobody(struct scene *s, int node)
{
	struct lock_manager_absent absent;

	assert_false(lock_manager_absent(scene_manager(s, node), 0, &absent));
}

static void nothing_is_made_while_one_may_live(void **state)
{
	struct guest g3, g;
	struct scene *s = the_others_begin_anew(&g3);

	(void)state;
	expect_waiting_for_nobody(s, 1); /* nobody is fenced for nothing */
	guest_ask(&g, s, 1, "x", 0);
	scene_run(s, SCENE_QUIET_MS);
	assert_int_equal(g.dones, 0);
	expect_waiting_for(s, 1, 3);
	expect_waiting_for(s, 2, 3); /* whoever has the duty to prove it */
	scene_prove(s, 2, 3, 0, LOCK_DEATH_NODE);
	scene_run(s, SCENE_QUIET_MS);
	assert_int_equal(g.dones, 1);
	expect_waiting_for_nobody(s, 1);
	scene_free(s);
}

static void who_comes_back_is_waited_for_no_longer(void **state)
{
	struct guest g3, g;
	struct scene *s = the_others_begin_anew(&g3);

	(void)state;
	guest_ask(&g, s, 1, "x", 0);
	scene_run(s, SCENE_QUIET_MS);
	assert_int_equal(g.dones, 0);
	scene_heal(s);
	assert_int_equal(g3.losses, 0); /* it had the lockspace all the time */
	scene_run(s, SCENE_QUIET_MS);
	scene_prove(s, 3, 1, scene_incarnation(s, 1) - 1, LOCK_DEATH_PROCESS);
	scene_run(s, SCENE_QUIET_MS);
	assert_int_equal(g.dones, 1);
	assert_int_equal(g.members, 2);
	scene_free(s);
}

static void what_was_proven_dead_brings_no_lockspace_back(void **state)
{
	struct guest g3, g;
	struct scene *s = the_others_begin_anew(&g3);

	(void)state;
	scene_prove(s, 1, 3, 0, LOCK_DEATH_NODE);
	guest_open(&g, s, 1, "x");
	guest_close(&g);
	crash_and_start(s, 2); /* nobody knows of that any more */
	scene_heal(s);
	assert_int_equal(g3.losses, 1);
	assert_int_equal(g3.lost, -ESTALE);
	scene_free(s);
}

static void who_has_left_is_not_waited_for(void **state)
{
	struct scene *s = scene_new(3);
	struct guest g3, g;

	(void)state;
	guest_open(&g3, s, 3, "x");
	guest_close(&g3);
	lock_manager_leave(scene_manager(s, 3));
	scene_run(s, SCENE_QUIET_MS);
	sim_leave(s->world, 2);
	scene_run(s, SCENE_RING_MS);
	crash_and_start(s, 2);
	guest_open(&g, s, 1, "x");
	scene_free(s);
}

/* Others die before it is off the ring: it is in one more configuration, and nothing there. */
static void who_has_left_stays_so_in_the_next_configuration(void **state)
{
	struct scene *s = scene_new(5);
	struct guest g;

	(void)state;
	lock_manager_leave(scene_manager(s, 5));
	scene_run(s, SCENE_QUIET_MS);
	scene_crash(s, 4);
	scene_prove(s, 1, 4, scene_incarnation(s, 4), LOCK_DEATH_NODE);
	guest_open(&g, s, 1, "y"); /* and holds up nobody */
	scene_start(s, 4);
	sim_leave(s->world, 4);
	scene_run(s, SCENE_RING_MS);
	crash_and_start(s, 4);
	guest_open(&g, s, 1, "x");
	scene_free(s);
}

/* It may be long before its process is off the ring. */
static void who_has_left_holds_up_nobody(void **state)
{
	struct scene *s = scene_new(3);
	struct guest g;

	(void)state;
	lock_manager_leave(scene_manager(s, 3));
	scene_run(s, SCENE_QUIET_MS);
	guest_open(&g, s, 1, "x");
	guest_close(&g);
	assert_int_equal(g.closes, 1);
	scene_free(s);
}

static void who_leaves_with_a_lockspace_open_has_not_left(void **state)
{
	struct scene *s = scene_new(3);
	struct guest g3, g;

	(void)state;
	guest_open(&g3, s, 3, "x");
	lock_manager_leave(scene_manager(s, 3));
	scene_run(s, SCENE_QUIET_MS);
	sim_crash(s->world, 2);
	crash_and_start(s, 2);
	guest_ask(&g, s, 1, "x", 0);
	scene_run(s, SCENE_QUIET_MS);
	assert_int_equal(g.dones, 0);
	expect_waiting_for(s, 1, 3);
	scene_free(s);
}

/* What all have left is known while somebody who saw it lives: nobody else is needed. */
static void what_all_have_left_is_made_again_without_who_is_away(void **state)
{
	struct scene *s = scene_new(3);
	struct guest g;

	(void)state;
	guest_open(&g, s, 1, "x");
	scene_crash(s, 3);
	guest_close(&g);
	guest_open(&g, s, 1, "x");
	scene_free(s);
}

static void the_first_start_waits_for_all(void **state)
{
	struct scene *s = calloc(1, sizeof(*s));
	struct guest g;

	(void)state;
	assert_non_null(s);
	s->world = sim_new(1, 3, NULL);
	sim_use_totems(s->world);
	sim_use_locks(s->world);
	sim_start(s->world, 0);
	sim_start(s->world, 1);
	scene_run(s, SCENE_RING_MS);
	guest_ask(&g, s, 1, "x", 0);
	scene_run(s, SCENE_QUIET_MS);
	assert_int_equal(g.dones, 0);
	scene_start(s, 3);
	assert_int_equal(g.dones, 1);
	scene_free(s);
}

static void cut(struct scene *s, int a, int b, bool is_cut)
{
	sim_cut(s->world, a - 1, b - 1, is_cut);
	sim_cut(s->world, b - 1, a - 1, is_cut);
}

/* Nodes 2 and 3 have opened x (or made it again); then 2 meets 1 as a new process, and 3 is cut off. */
static struct scene *two_went_on_without_the_first(struct guest g[3], bool is_made_again)
{
	struct scene *s = scene_new(3);
	uint64_t second = scene_incarnation(s, 2);

	guest_open(&g[1], s, 2, "x");
	if (is_made_again)
		guest_close(&g[1]);
	scene_cut_off(s, 1);
	scene_run(s, SCENE_RING_MS);
	if (is_made_again)
		guest_open(&g[1], s, 2, "x");
	guest_open(&g[2], s, 3, "x"); /* node 1 knows nothing of that */
	cut(s, 2, 3, true);
	sim_crash(s->world, 1);
	cut(s, 1, 2, false);
	sim_start(s->world, 1);
	scene_run(s, SCENE_RING_MS);
	scene_prove(s, 1, 2, second, LOCK_DEATH_PROCESS);
	return s;
}

static void expect_that_they_wait_for_the_third(struct scene *s, struct guest *g)
{
	guest_ask(g, s, 1, "x", 0);
	scene_run(s, SCENE_QUIET_MS);
	assert_int_equal(g->dones, 0);
	expect_waiting_for(s, 1, 3);
	expect_waiting_for(s, 2, 3);
	scene_prove(s, 2, 3, 0, LOCK_DEATH_NODE);
	scene_run(s, SCENE_QUIET_MS);
	assert_int_equal(g->dones, 1);
	expect_waiting_for_nobody(s, 1);
}

/* arrays 1780: of the newer state, only what 2 wrote down before it went on tells. */
static void an_old_state_waits_for_who_may_have_a_newer_one(void **state)
{
	struct guest g[3];
	struct scene *s = two_went_on_without_the_first(g, false);

	(void)state;
	expect_that_they_wait_for_the_third(s, &g[0]);
	scene_free(s);
}

static void an_old_grave_waits_for_who_may_have_made_it_again(void **state)
{
	struct guest g[3];
	struct scene *s = two_went_on_without_the_first(g, true);

	(void)state;
	expect_that_they_wait_for_the_third(s, &g[0]);
	scene_free(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_is_made_while_one_may_live),
		cmocka_unit_test(who_comes_back_is_waited_for_no_longer),
		cmocka_unit_test(what_was_proven_dead_brings_no_lockspace_back),
		cmocka_unit_test(who_has_left_is_not_waited_for),
		cmocka_unit_test(who_has_left_stays_so_in_the_next_configuration),
		cmocka_unit_test(who_has_left_holds_up_nobody),
		cmocka_unit_test(who_leaves_with_a_lockspace_open_has_not_left),
		cmocka_unit_test(what_all_have_left_is_made_again_without_who_is_away),
		cmocka_unit_test(the_first_start_waits_for_all),
		cmocka_unit_test(an_old_state_waits_for_who_may_have_a_newer_one),
		cmocka_unit_test(an_old_grave_waits_for_who_may_have_made_it_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
