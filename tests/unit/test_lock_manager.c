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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_lock_may_go_while_what_it_asked_for_is_sent_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
