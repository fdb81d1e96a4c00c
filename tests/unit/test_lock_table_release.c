/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Processes and nodes that go, the orphans that they leave, and who takes those. */
#include "tests/unit/lock_scene.h"

#include <errno.h>

static void what_a_process_had_is_gone_and_nobody_is_told(void **state)
{
	struct lock_scene *s = lock_scene_new();

	(void)state;
	ask(s, 1, 1, "r", LOCK_EX, 0);
	ask(s, 2, 1, "r", LOCK_EX, 0);
	ask(s, 1, 2, "r", LOCK_PR, 0);
	ask(s, 3, 1, "r", LOCK_PR, 0);
	ask(s, 1, 3, "q", LOCK_EX, 0);
	given(s);
	release(s, 1, LOCK_RELEASE_PROCESS);
	said(s, "");
	stands(s, "r", "||2.1>EX 3.1>PR");
	stands(s, "q", "");
	lock_table_settle(s->table);
	said(s, "2.1=EX 2.1?PR");
	assert_int_equal(try_drop(s, 1, 1, 0), -EBADMSG);
	lock_scene_free(s);
}

static void persistent_locks_become_orphans_and_still_hold(void **state)
{
	struct lock_scene *s = lock_scene_new();

	(void)state;
	ask(s, 1, 1, "r", LOCK_PR, LOCK_PERSISTENT);
	ask(s, 1, 2, "r", LOCK_PR, 0);
	ask(s, 2, 1, "r", LOCK_PR, 0);
	turn(s, 1, 1, LOCK_EX, LOCK_PERSISTENT);
	ask(s, 1, 3, "r", LOCK_PR, LOCK_PERSISTENT);
	given(s);
	stands(s, "r", "1.2=PR 2.1=PR|1.1=PR>EX|1.3>PR");
	release(s, 1, LOCK_RELEASE_PROCESS);
	stands(s, "r", "2.1=PR 1.1=PR~||"); /* what waited is no orphan */
	ask(s, 3, 1, "r", LOCK_EX, 0);
	said(s, ""); /* 2.1 knows, the orphan has nobody who could hear it */
	ask(s, 3, 2, "r", LOCK_EX, LOCK_NOQUEUE | LOCK_NOQUEUEBAST);
	said(s, "3.2=none!EAGAIN");
	drop(s, 2, 1, 0);
	said(s, "2.1=none");
	release(s, 1, LOCK_RELEASE_ORPHANS);
	stands(s, "r", "||3.1>EX");
	lock_table_settle(s->table);
	said(s, "3.1=EX");
	lock_scene_free(s);
}

/* As the DLM has it: what the last operation did not say again is not so any more. */
static void conversion_without_persistent_is_not(void **state)
{
	struct lock_scene *s = lock_scene_new();

	(void)state;
	ask(s, 1, 1, "r", LOCK_PR, LOCK_PERSISTENT);
	turn(s, 1, 1, LOCK_CR, 0);
	ask(s, 2, 1, "r", LOCK_NL, 0);
	release(s, 1, LOCK_RELEASE_PROCESS);
	stands(s, "r", "2.1=NL||");
	lock_scene_free(s);
}

static void orphans_are_of_no_process(void **state)
{
	struct lock_scene *s = lock_scene_new();
	struct lock_view view;

	(void)state;
	ask(s, 1, 1, "r", LOCK_PR, LOCK_PERSISTENT);
	release(s, 1, LOCK_RELEASE_PROCESS);
	assert_false(lock_table_find(s->table, (struct lock_key){ 1, 1 }, &view, NULL));
	assert_int_equal(try_drop(s, 1, 1, 0), -EBADMSG);
	given(s);
	ask(s, 1, 1, "r", LOCK_PR, LOCK_PERSISTENT); /* the number is free */
	said(s, "1.1=PR");
	release(s, 1, LOCK_RELEASE_PROCESS);
	stands(s, "r", "1.1=PR~ 1.1=PR~||");
	reload(s);
	stands(s, "r", "1.1=PR~ 1.1=PR~||");
	release(s, 1, LOCK_RELEASE_PROCESS); /* they are not its locks */
	stands(s, "r", "1.1=PR~ 1.1=PR~||");
	release(s, 2, LOCK_RELEASE_ORPHANS);
	stands(s, "r", "1.1=PR~ 1.1=PR~||");
	release(s, 1, LOCK_RELEASE_NODE);
	stands(s, "r", "");
	lock_scene_free(s);
}

static void purge_takes_orphans_alone(void **state)
{
	struct lock_scene *s = lock_scene_new();

	(void)state;
	ask(s, 1, 1, "r", LOCK_PR, LOCK_PERSISTENT);
	release(s, 1, LOCK_RELEASE_PROCESS);
	ask(s, 1, 2, "r", LOCK_PR, LOCK_PERSISTENT);
	release(s, 1, LOCK_RELEASE_ORPHANS);
	stands(s, "r", "1.2=PR||");
	lock_scene_free(s);
}

/* --- adoption -------------------------------------------------------------------- */

static struct lock_scene *scene_with_orphans(void)
{
	struct lock_scene *s = lock_scene_new();

	s->value = "old";
	ask(s, 9, 9, "r", LOCK_EX, 0);
	turn(s, 9, 9, LOCK_NL, LOCK_VALBLK);
	ask(s, 1, 1, "r", LOCK_PR, LOCK_PERSISTENT);
	ask(s, 1, 2, "r", LOCK_CR, LOCK_PERSISTENT);
	ask(s, 1, 3, "r", LOCK_PR, LOCK_PERSISTENT);
	ask(s, 2, 1, "r", LOCK_PR, 0);
	release(s, 1, LOCK_RELEASE_PROCESS);
	given(s);
	return s;
}

static void adoption_takes_the_oldest_in_the_mode(void **state)
{
	struct lock_scene *s = scene_with_orphans();

	(void)state;
	ask(s, 1, 7, "r", LOCK_PR, LOCK_ORPHAN);
	said(s, "1.7=PR");
	stands(s, "r", "9.9=NL 1.7=PR 1.2=CR~ 1.3=PR~ 2.1=PR||");
	ask(s, 1, 8, "r", LOCK_CR, LOCK_ORPHAN | LOCK_VALBLK);
	said(s, "1.8=CR\"old\"");
	ask(s, 1, 3, "r", LOCK_PR, LOCK_ORPHAN);
	said(s, "1.3=PR");
	stands(s, "r", "9.9=NL 1.7=PR 1.8=CR 1.3=PR 2.1=PR||");
	reload(s);
	turn(s, 1, 7, LOCK_NL, 0);
	drop(s, 1, 8, 0);
	said(s, "1.7=NL 1.8=none");
	lock_scene_free(s);
}

static void adoption_is_refused_where_there_is_none(void **state)
{
	struct lock_scene *s = scene_with_orphans();

	(void)state;
	ask(s, 1, 7, "r", LOCK_EX, LOCK_ORPHAN | LOCK_VALBLK);
	said(s, "1.7=none!EAGAIN");
	ask(s, 2, 7, "r", LOCK_PR, LOCK_ORPHAN); /* of another node */
	said(s, "2.7=none!ENOENT");
	ask(s, 1, 7, "q", LOCK_PR, LOCK_ORPHAN);
	said(s, "1.7=none!ENOENT");
	assert_int_equal(lock_table_resources(s->table), 1);
	ask(s, 1, 7, "r", LOCK_NL, 0); /* none of these left a lock */
	said(s, "1.7=NL");
	assert_int_equal(try_ask(s, 1, 7, "r", LOCK_PR, LOCK_ORPHAN), -EBADMSG);
	lock_scene_free(s);
}

static void who_adopts_is_told_who_waits_and_what_is_doubted(void **state)
{
	struct lock_scene *s = lock_scene_new();

	(void)state;
	ask(s, 1, 1, "r", LOCK_EX, LOCK_PERSISTENT);
	ask(s, 2, 1, "r", LOCK_EX, 0);
	release(s, 1, LOCK_RELEASE_PROCESS);
	ask(s, 2, 2, "r", LOCK_PR, 0);
	given(s);
	ask(s, 1, 1, "r", LOCK_EX, LOCK_ORPHAN | LOCK_VALBLK);
	said(s, "1.1=EX\"\" 1.1?EX");
	turn(s, 1, 1, LOCK_PR, LOCK_IVVALBLK | LOCK_PERSISTENT);
	drop(s, 2, 1, LOCK_CANCEL);
	release(s, 1, LOCK_RELEASE_PROCESS);
	given(s);
	ask(s, 1, 4, "r", LOCK_PR, LOCK_ORPHAN | LOCK_VALBLK);
	said(s, "1.4=PR\"\"+invalid");
	lock_scene_free(s);
}

/* What it says with the adoption is its last operation. */
static void adopted_locks_are_like_others(void **state)
{
	struct lock_scene *s = lock_scene_new();

	(void)state;
	ask(s, 9, 9, "r", LOCK_NL, 0);
	ask(s, 1, 1, "r", LOCK_PW, LOCK_PERSISTENT);
	release(s, 1, LOCK_RELEASE_PROCESS);
	ask(s, 1, 5, "r", LOCK_PW, LOCK_ORPHAN | LOCK_VALBLK);
	release(s, 1, LOCK_RELEASE_PROCESS);
	stands(s, "r", "9.9=NL||");
	keeps(s, "r", " 0 invalid");
	lock_scene_free(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_a_process_had_is_gone_and_nobody_is_told),
		cmocka_unit_test(persistent_locks_become_orphans_and_still_hold),
		cmocka_unit_test(conversion_without_persistent_is_not),
		cmocka_unit_test(orphans_are_of_no_process),
		cmocka_unit_test(purge_takes_orphans_alone),
		cmocka_unit_test(adoption_takes_the_oldest_in_the_mode),
		cmocka_unit_test(adoption_is_refused_where_there_is_none),
		cmocka_unit_test(who_adopts_is_told_who_waits_and_what_is_doubted),
		cmocka_unit_test(adopted_locks_are_like_others),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
