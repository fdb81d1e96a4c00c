/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* M7: a node whose memory runs out leaves, and the others go on with the same locks. */
#include "tests/unit/manager_scene.h"

#include <stdlib.h>
#include <string.h>

#include "lockres/manager_private.h"

static size_t refused_size; /* 0: none; the next of this size fails */

void *__wrap_calloc(size_t count, size_t size);
void *__real_calloc(size_t count, size_t size);
void *__wrap_realloc(void *old, size_t size);
void *__real_realloc(void *old, size_t size);

static bool is_refused(size_t size)
{
	if (size != refused_size)
		return false;
	refused_size = 0;
	return true;
}

/* The linker leads all calls here. */
void *__wrap_calloc(size_t count, size_t size)
{
	return count > 0 && is_refused(count * size) ? NULL : __real_calloc(count, size);
}

void *__wrap_realloc(void *old, size_t size)
{
	return is_refused(size) ? NULL : __real_realloc(old, size);
}

/* The one who had no memory has left; it is taken note of. */
static int who_left(struct scene *s)
{
	int node = 0;

	assert_int_equal(refused_size, 0);
	if (!strstr(s->world->failure, "has no memory"))
		fail_msg("'%s'", s->world->failure);
	s->world->failure[0] = '\0';
	for (int i = 1; i <= s->world->count; i++)
		if (s->world->nodes[i - 1].is_broken) {
			assert_int_equal(node, 0);
			node = i;
		}
	assert_int_not_equal(node, 0);
	return node;
}

/* And is back, as another process. */
static void bring_back(struct scene *s, int node)
{
	uint64_t incarnation = scene_incarnation(s, node);

	scene_run(s, SCENE_RING_MS);
	scene_crash(s, node);
	scene_start(s, node);
	scene_prove(s, node % 3 + 1, node, incarnation, LOCK_DEATH_PROCESS);
	scene_run(s, SCENE_QUIET_MS);
}

static void for_a_lockspace(void **state)
{
	struct scene *s = scene_new(3);
	struct guest g;

	(void)state;
	refused_size = sizeof(struct space);
	guest_ask(&g, s, 1, "x", 0);
	scene_run(s, SCENE_QUIET_MS);
	bring_back(s, who_left(s));
	assert_int_equal(scene_look(s, 1, 0).made_by, scene_look(s, 3, 0).made_by);
	scene_expect_equal(s);
	scene_free(s);
}

static void for_the_state_of_others(void **state)
{
	struct scene *s = scene_new(4);
	struct guest g[2];
	struct claim held;

	(void)state;
	guest_open(&g[0], s, 2, "x");
	guest_open(&g[1], s, 3, "x");
	claim_take(&held, &g[1], "r", LOCK_EX, 0);
	scene_crash(s, 4);
	refused_size = sizeof(struct space);
	scene_start(s, 4);
	bring_back(s, who_left(s));
	scene_start(s, 4);
	assert_int_equal(scene_look(s, 1, 0).freeze, LOCKSPACE_RUNS);
	scene_expect_equal(s);
	scene_free(s);
}

static void for_what_is_to_be_told(void **state)
{
	struct scene *s = scene_new(3);
	struct guest g;

	(void)state;
	refused_size = 64 * sizeof(struct notice);
	guest_ask(&g, s, 2, "x", 0);
	scene_run(s, SCENE_QUIET_MS);
	assert_int_equal(who_left(s), 2);
	assert_int_equal(g.dones, 0);
	bring_back(s, 2);
	guest_open(&g, s, 2, "x");
	scene_expect_equal(s);
	scene_free(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(for_a_lockspace),
		cmocka_unit_test(for_the_state_of_others),
		cmocka_unit_test(for_what_is_to_be_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
