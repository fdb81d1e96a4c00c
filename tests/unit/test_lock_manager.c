/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The lock manager: what happens to requests and lockspaces as rings come and go. */
#include "tests/unit/manager_scene.h"

#include <errno.h>
#include <string.h>

/* --- requests that are on their way ------------------------------------------------------- */

/* L2, M5 */
static void a_lock_may_go_while_what_it_asked_for_is_sent_again(void **state)
{
	struct scene *s = scene_new(3);
	struct guest g[2];
	struct claim first, second;

	(void)state;
	guest_open(&g[0], s, 1, "x");
	guest_open(&g[1], s, 2, "x");
	scene_cut_off(s, 1);
	scene_run(s, 50); /* the token is lost, and nobody knows */
	claim_init(&first, &g[0], "r");
	claim_ask(&first, LOCK_EX, 0);
	scene_run(s, SCENE_RING_MS);
	assert_true(g[0].is_prepped);
	lockres_fini(&first.lock);
	memset(&first, 0xff, sizeof(first));
	scene_heal(s);
	claim_take(&second, &g[1], "r", LOCK_EX, 0);
	assert_int_equal(lock_table_locks(scene_look(s, 3, 0).table), 1);
	scene_expect_equal(s);
	scene_free(s);
}

/* --- calls from within callbacks ----------------------------------------------------------- */

static void on_done_go(void *owner, struct lockres *lock, const struct lock_result *result)
{
	struct claim *c = owner;

	c->answers++;
	c->result = *result;
	lockres_fini(lock);
}

static const struct lockres_handlers going = { .done = on_done_go };

/* The cancel comes after its lock is gone. */
static void a_lock_may_go_as_it_is_refused_though_a_cancel_is_on_its_way(void **state)
{
	struct scene *s = scene_new(3);
	struct guest g[2];
	struct claim held, *refused = test_calloc(1, sizeof(*refused));

	(void)state;
	guest_open(&g[0], s, 1, "x");
	guest_open(&g[1], s, 2, "x");
	claim_take(&held, &g[0], "r", LOCK_EX, 0);
	assert_int_equal(lockres_init(&refused->lock, g[1].space, "r", 1, &going, refused),
			 0);
	claim_ask(refused, LOCK_EX, LOCK_NOQUEUE);
	assert_int_equal(lockres_unlock(&refused->lock, LOCK_CANCEL), 0);
	scene_run(s, SCENE_QUIET_MS);
	assert_int_equal(refused->answers, 1);
	assert_int_equal(refused->result.status, -EAGAIN);
	test_free(refused);
	claim_take(&held, &g[1], "s", LOCK_EX, 0);
	scene_expect_equal(s);
	scene_free(s);
}

static void on_done_close(void *owner, struct lockres *lock,
			  const struct lock_result *result)
{
	struct claim *c = owner;

	c->answers++;
	c->result = *result;
	if (c->answers == 1)
		lockspace_close(lock->space);
}

static const struct lockres_handlers closing = { .done = on_done_close };

static void a_lockspace_may_close_as_its_lock_is_granted(void **state)
{
	struct scene *s = scene_new(3);
	struct guest g[2];
	struct claim c, other;

	(void)state;
	guest_open(&g[0], s, 1, "x");
	guest_open(&g[1], s, 2, "x");
	assert_int_equal(lockres_init(&c.lock, g[0].space, "r", 1, &closing, &c), 0);
	c.answers = 0;
	claim_init(&other, &g[0], "s");
	lockspace_begin(g[0].space);
	claim_ask(&c, LOCK_EX, 0);
	claim_ask(&other, LOCK_EX, 0);
	lockspace_end(g[0].space);
	scene_run(s, SCENE_QUIET_MS);
	assert_int_equal(c.answers, 1);
	assert_int_equal(c.result.status, 0);
	assert_int_equal(other.answers, 1);
	assert_int_equal(g[0].closes, 1);
	lockres_fini(&c.lock);
	lockres_fini(&other.lock);
	assert_int_equal(lock_table_locks(scene_look(s, 2, 0).table), 0);
	scene_expect_equal(s);
	scene_free(s);
}

/* --- lockspaces that are lost -------------------------------------------------------------- */

/* M4 */
static void who_was_proven_dead_has_lost_the_lockspace_and_its_requests(void **state)
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
	scene_cut_off(s, 1);
	scene_run(s, SCENE_RING_MS);
	scene_prove(s, 3, 1, scene_incarnation(s, 1), LOCK_DEATH_PROCESS);
	scene_run(s, SCENE_QUIET_MS);
	assert_int_equal(g[1].dead_node, 1);
	assert_int_equal(g[1].dead_slot, 0);
	assert_int_equal(g[0].losses, 0);
	scene_heal(s);
	assert_int_equal(g[0].losses, 1);
	assert_int_equal(g[0].lost, -ESTALE);
	assert_int_equal(waits.answers, 1);
	assert_int_equal(waits.result.status, -ESTALE);
	assert_int_equal(held.lock.mode, LOCK_NONE);
	assert_int_equal(lockres_lock(&held.lock, LOCK_EX, 0, 0), -ESHUTDOWN);
	guest_close(&g[0]);
	assert_int_equal(g[0].closes, 1);
	guest_open(&g[0], s, 1, "x");
	assert_int_equal(g[0].slot, 0); /* L6 */
	scene_expect_equal(s);
	scene_free(s);
}

/*
 * A node that was away for long has the lockspace of a name, when nobody else has: with
 * members who closed it, or have lost it and did not close yet.
 */
static void what_is_lost_stays_so_whoever_brings_it_back(void **state)
{
	struct scene *s = scene_new(5);
	struct guest g[2];

	(void)state;
	guest_open(&g[0], s, 1, "x");
	guest_open(&g[1], s, 2, "x");
	scene_cut_off(s, 5);
	scene_run(s, SCENE_RING_MS);
	scene_cut_off(s, 1);
	scene_run(s, SCENE_RING_MS);
	scene_prove(s, 3, 1, scene_incarnation(s, 1), LOCK_DEATH_PROCESS);
	scene_run(s, SCENE_QUIET_MS);
	sim_heal(s->world);
	scene_cut_off(s, 5);
	scene_run(s, SCENE_RING_MS);
	assert_int_equal(g[0].losses, 1);
	guest_close(&g[1]);
	assert_int_equal(g[1].closes, 1);
	scene_heal(s);
	scene_run(s, SCENE_RING_MS);
	assert_int_equal(g[0].losses, 1);
	assert_int_equal(g[0].closes, 0);
	guest_close(&g[0]);
	assert_int_equal(g[0].closes, 1);
	for (int i = 1; i <= 5; i++) {
		struct lockspace_look look;

		assert_false(lock_manager_look(scene_manager(s, i), 0, &look));
	}
	scene_free(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_lock_may_go_while_what_it_asked_for_is_sent_again),
		cmocka_unit_test(
			a_lock_may_go_as_it_is_refused_though_a_cancel_is_on_its_way),
		cmocka_unit_test(a_lockspace_may_close_as_its_lock_is_granted),
		cmocka_unit_test(who_was_proven_dead_has_lost_the_lockspace_and_its_requests),
		cmocka_unit_test(what_is_lost_stays_so_whoever_brings_it_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
