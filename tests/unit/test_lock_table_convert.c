/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Conversions in each other's way (Q7), and who is told that somebody waits (Q8). */
#include "tests/unit/lock_scene.h"

static struct lock_scene *two_readers(void)
{
	struct lock_scene *s = lock_scene_new();

	ask(s, 1, 1, "r", LOCK_PR, 0);
	ask(s, 2, 1, "r", LOCK_PR, 0);
	given(s);
	return s;
}

/* --- Q7 -------------------------------------------------------------------------- */

static void two_readers_that_want_to_write_do_not_wait_for_each_other(void **state)
{
	struct lock_scene *s = two_readers();

	(void)state;
	turn(s, 1, 1, LOCK_EX, 0);
	said(s, "2.1?EX");
	turn(s, 2, 1, LOCK_EX, 0);
	said(s, "2.1=PR!EDEADLK");
	stands(s, "r", "2.1=PR|1.1=PR>EX|");
	turn(s, 2, 1, LOCK_NL, 0);
	said(s, "2.1=NL 1.1=EX");
	lock_scene_free(s);
}

static void noqueue_is_no_deadlock(void **state)
{
	struct lock_scene *s = two_readers();

	(void)state;
	turn(s, 1, 1, LOCK_EX, 0);
	given(s);
	turn(s, 2, 1, LOCK_EX, LOCK_NOQUEUE);
	said(s, "2.1=PR!EAGAIN");
	lock_scene_free(s);
}

static void convdeadlk_gives_up_what_it_holds_and_waits(void **state)
{
	struct lock_scene *s = two_readers();

	(void)state;
	turn(s, 1, 1, LOCK_EX, 0);
	given(s);
	turn(s, 2, 1, LOCK_EX, LOCK_CONVDEADLK);
	said(s, "1.1=EX 1.1?EX");
	stands(s, "r", "1.1=EX|2.1=NL>EX|");
	drop(s, 1, 1, 0);
	said(s, "1.1=none 2.1=EX+demoted");
	turn(s, 2, 1, LOCK_PR, 0);
	said(s, "2.1=PR"); /* the mark is of one operation */
	lock_scene_free(s);
}

/* What it gave up was all that was in the way: then it comes behind the other. */
static void convdeadlk_tries_again_when_it_has_let_others_go(void **state)
{
	struct lock_scene *s = two_readers();

	(void)state;
	ask(s, 3, 1, "r", LOCK_PR, 0);
	turn(s, 1, 1, LOCK_CW, 0);
	drop(s, 3, 1, 0);
	given(s);
	stands(s, "r", "2.1=PR|1.1=PR>CW|");
	turn(s, 2, 1, LOCK_CW, LOCK_CONVDEADLK);
	said(s, "1.1=CW 2.1=CW+demoted");
	lock_scene_free(s);
}

static void demotion_lets_requests_go_too(void **state)
{
	struct lock_scene *s = two_readers();

	(void)state;
	ask(s, 3, 1, "r", LOCK_CR, 0);
	ask(s, 4, 1, "r", LOCK_CW, LOCK_NOORDER);
	turn(s, 1, 1, LOCK_EX, 0);
	given(s);
	turn(s, 2, 1, LOCK_EX, LOCK_CONVDEADLK);
	said(s, "1.1?EX"); /* 3.1 is in the way of both, and knows */
	stands(s, "r", "3.1=CR|1.1=PR>EX 2.1=NL>EX|4.1>CW");
	drop(s, 2, 1, LOCK_CANCEL);
	said(s, "2.1=NL!ECANCELED+demoted");
	turn(s, 2, 1, LOCK_PR, 0);
	given(s);
	drop(s, 1, 1, LOCK_FORCEUNLOCK);
	said(s, "1.1=none");
	turn(s, 2, 1, LOCK_NL, 0);
	said(s, "2.1=NL 4.1=CW");
	lock_scene_free(s);
}

/* Of all that wait only the modes that they want count, wherever HEADQUE will be. */
static void all_that_wait_are_before_one_that_comes(void **state)
{
	struct lock_scene *s = lock_scene_new();

	(void)state;
	ask(s, 1, 1, "r", LOCK_CR, 0);
	ask(s, 2, 1, "r", LOCK_PR, 0);
	ask(s, 3, 1, "r", LOCK_NL, 0);
	turn(s, 3, 1, LOCK_CW, 0);
	given(s);
	turn(s, 1, 1, LOCK_CW, 0); /* its CR is in nobody's way */
	said(s, "");
	turn(s, 2, 1, LOCK_PW, LOCK_HEADQUE);
	said(s, "2.1=PW 2.1?CW");
	stands(s, "r", "2.1=PW|3.1=NL>CW 1.1=CR>CW|");
	lock_scene_free(s);

	s = two_readers();
	ask(s, 3, 1, "r", LOCK_NL, 0);
	turn(s, 3, 1, LOCK_EX, 0);
	given(s);
	turn(s, 2, 1, LOCK_EX, LOCK_HEADQUE);
	said(s, "2.1=PR!EDEADLK");
	lock_scene_free(s);
}

/* Linux leaves those two waiting for each other. */
static void who_is_passed_by_one_that_it_blocks_does_not_wait_for_it(void **state)
{
	struct lock_scene *s = lock_scene_new();

	(void)state;
	ask(s, 1, 1, "r", LOCK_CR, 0);
	ask(s, 2, 1, "r", LOCK_CR, 0);
	ask(s, 3, 1, "r", LOCK_CW, 0);
	ask(s, 4, 1, "r", LOCK_NL, 0);
	turn(s, 1, 1, LOCK_PR, 0);
	turn(s, 2, 1, LOCK_PW, LOCK_CONVDEADLK);
	stands(s, "r", "3.1=CW 4.1=NL|1.1=CR>PR 2.1=CR>PW|");
	given(s);
	turn(s, 4, 1, LOCK_EX, LOCK_HEADQUE);
	said(s, "1.1=CR!EDEADLK 3.1?EX 1.1?EX");
	stands(s, "r", "3.1=CW 1.1=CR|4.1=NL>EX 2.1=NL>PW|");
	drop(s, 1, 1, 0);
	drop(s, 3, 1, 0);
	said(s, "1.1=none 3.1=none 4.1=EX 4.1?PW");
	drop(s, 4, 1, 0);
	said(s, "4.1=none 2.1=PW+demoted");
	lock_scene_free(s);
}

/* It gets the other mode at once, and passes nobody. */
static void who_does_not_stay_at_the_head_passes_nobody(void **state)
{
	struct lock_scene *s = lock_scene_new();

	(void)state;
	ask(s, 1, 1, "r", LOCK_PR, 0);
	ask(s, 2, 1, "r", LOCK_PR, 0);
	ask(s, 3, 1, "r", LOCK_CR, 0);
	turn(s, 3, 1, LOCK_EX, LOCK_CONVDEADLK);
	given(s);
	turn(s, 1, 1, LOCK_EX, LOCK_CONVDEADLK | LOCK_HEADQUE | LOCK_ALTPR);
	said(s, "1.1=PR+alt+demoted 1.1?EX");
	stands(s, "r", "2.1=PR 1.1=PR|3.1=CR>EX|");
	lock_scene_free(s);
}

/* --- Q8 -------------------------------------------------------------------------- */

static void holders_are_told_once_for_each_higher_mode(void **state)
{
	struct lock_scene *s = lock_scene_new();

	(void)state;
	ask(s, 1, 1, "r", LOCK_EX, 0);
	given(s);
	ask(s, 2, 1, "r", LOCK_CR, 0);
	said(s, "1.1?CR");
	ask(s, 3, 1, "r", LOCK_CR, 0);
	said(s, "");
	ask(s, 4, 1, "r", LOCK_PW, 0);
	said(s, "1.1?PW");
	ask(s, 5, 1, "r", LOCK_PR, 0);
	said(s, "");
	ask(s, 6, 1, "r", LOCK_EX, 0);
	said(s, "1.1?EX");
	lock_scene_free(s);
}

static void what_was_told_is_forgotten_with_the_next_grant(void **state)
{
	struct lock_scene *s = lock_scene_new();

	(void)state;
	ask(s, 1, 1, "r", LOCK_EX, 0);
	ask(s, 2, 1, "r", LOCK_EX, 0);
	given(s);
	turn(s, 1, 1, LOCK_PR, 0);
	said(s, "1.1=PR 1.1?EX");
	turn(s, 1, 1, LOCK_PR, 0);
	said(s, "1.1=PR 1.1?EX");
	turn(s, 1, 1, LOCK_PW, LOCK_QUECVT);
	said(s, "1.1=PW 1.1?EX");
	turn(s, 1, 1, LOCK_NL, 0);
	said(s, "1.1=NL 2.1=EX");
	turn(s, 1, 1, LOCK_PR, LOCK_NOQUEUE); /* a refusal is no grant */
	said(s, "1.1=NL!EAGAIN");
	lock_scene_free(s);
}

static void only_those_in_the_way_are_told(void **state)
{
	struct lock_scene *s = lock_scene_new();

	(void)state;
	ask(s, 1, 1, "r", LOCK_NL, 0);
	ask(s, 2, 1, "r", LOCK_CR, 0);
	ask(s, 3, 1, "r", LOCK_PR, 0);
	given(s);
	ask(s, 4, 1, "r", LOCK_CW, 0);
	said(s, "3.1?CW");
	ask(s, 5, 1, "r", LOCK_EX, 0);
	said(s, "2.1?EX 3.1?EX");
	lock_scene_free(s);
}

static void one_that_converts_is_told_of_others_not_of_itself(void **state)
{
	struct lock_scene *s = two_readers();

	(void)state;
	turn(s, 1, 1, LOCK_EX, 0);
	said(s, "2.1?EX");
	ask(s, 3, 1, "r", LOCK_CW, 0);
	said(s, "1.1?CW");
	ask(s, 4, 1, "r", LOCK_EX, 0);
	said(s, "1.1?EX");
	lock_scene_free(s);
}

/* The new holder hears of the highest, of what it is in the way of. */
static void who_is_granted_hears_at_once_who_waits(void **state)
{
	struct lock_scene *s = lock_scene_new();

	(void)state;
	ask(s, 1, 1, "r", LOCK_EX, 0);
	ask(s, 2, 1, "r", LOCK_PR, 0);
	ask(s, 3, 1, "r", LOCK_CW, 0);
	ask(s, 4, 1, "r", LOCK_PR, 0);
	ask(s, 5, 1, "r", LOCK_PW, 0);
	given(s);
	drop(s, 1, 1, 0);
	said(s, "1.1=none 2.1=PR 2.1?PW");
	drop(s, 5, 1, LOCK_CANCEL);
	said(s, "5.1=none!ECANCELED");
	drop(s, 2, 1, 0);
	said(s, "2.1=none 3.1=CW 3.1?PR");
	lock_scene_free(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(two_readers_that_want_to_write_do_not_wait_for_each_other),
		cmocka_unit_test(noqueue_is_no_deadlock),
		cmocka_unit_test(convdeadlk_gives_up_what_it_holds_and_waits),
		cmocka_unit_test(convdeadlk_tries_again_when_it_has_let_others_go),
		cmocka_unit_test(demotion_lets_requests_go_too),
		cmocka_unit_test(all_that_wait_are_before_one_that_comes),
		cmocka_unit_test(who_is_passed_by_one_that_it_blocks_does_not_wait_for_it),
		cmocka_unit_test(who_does_not_stay_at_the_head_passes_nobody),
		cmocka_unit_test(holders_are_told_once_for_each_higher_mode),
		cmocka_unit_test(what_was_told_is_forgotten_with_the_next_grant),
		cmocka_unit_test(only_those_in_the_way_are_told),
		cmocka_unit_test(one_that_converts_is_told_of_others_not_of_itself),
		cmocka_unit_test(who_is_granted_hears_at_once_who_waits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
