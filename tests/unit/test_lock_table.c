/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The queues of the lock table, rule by rule: Q1 to Q6 of lockres/table.h. Q7 and Q8
 * are in test_lock_table_convert.c, Q9 in test_lock_table_cycles.c.
 */
#include "tests/unit/lock_scene.h"

/* --- Q1, Q2 ---------------------------------------------------------------------- */

static void expedite_is_granted_whatever_waits(void **state)
{
	struct lock_scene *s = lock_scene_new();

	(void)state;
	ask(s, 1, 1, "r", LOCK_EX, 0);
	ask(s, 2, 1, "r", LOCK_PR, 0);
	ask(s, 3, 1, "r", LOCK_NL, 0);
	given(s);
	stands(s, "r", "1.1=EX||2.1>PR 3.1>NL");
	ask(s, 4, 1, "r", LOCK_NL, LOCK_EXPEDITE);
	said(s, "4.1=NL");
	stands(s, "r", "1.1=EX 4.1=NL||2.1>PR 3.1>NL");
	lock_scene_free(s);
}

static void one_that_converts_keeps_what_it_has(void **state)
{
	struct lock_scene *s = lock_scene_new();

	(void)state;
	ask(s, 1, 1, "r", LOCK_PR, 0);
	ask(s, 2, 1, "r", LOCK_PR, 0);
	turn(s, 1, 1, LOCK_EX, 0);
	given(s);
	stands(s, "r", "2.1=PR|1.1=PR>EX|");
	ask(s, 3, 1, "r", LOCK_CW, LOCK_NOQUEUE);
	said(s, "3.1=none!EAGAIN");
	drop(s, 2, 1, 0);
	said(s, "2.1=none 1.1=EX");
	lock_scene_free(s);
}

static void granted_modes_alone_conflict_not_wanted_ones(void **state)
{
	struct lock_scene *s = lock_scene_new();

	(void)state;
	ask(s, 1, 1, "r", LOCK_CR, 0);
	ask(s, 2, 1, "r", LOCK_CR, 0);
	ask(s, 3, 1, "r", LOCK_NL, 0);
	turn(s, 1, 1, LOCK_EX, 0);
	given(s);
	turn(s, 3, 1, LOCK_PW, 0); /* 1.1 wants EX, holds CR */
	said(s, "3.1=PW 3.1?EX");
	lock_scene_free(s);
}

/* --- Q3, Q4 ---------------------------------------------------------------------- */

static void fresh_conversion_overtakes_those_that_wait(void **state)
{
	struct lock_scene *s = lock_scene_new();

	(void)state;
	ask(s, 1, 1, "r", LOCK_PR, 0);
	ask(s, 2, 1, "r", LOCK_NL, 0);
	ask(s, 3, 1, "r", LOCK_NL, 0);
	ask(s, 4, 1, "r", LOCK_EX, 0);
	turn(s, 2, 1, LOCK_EX, 0);
	given(s);
	turn(s, 3, 1, LOCK_PR, 0);
	said(s, "3.1=PR 3.1?EX");
	stands(s, "r", "1.1=PR 3.1=PR|2.1=NL>EX|4.1>EX");
	lock_scene_free(s);
}

static void quecvt_waits_behind_conversions_but_not_requests(void **state)
{
	struct lock_scene *s = lock_scene_new();

	(void)state;
	ask(s, 1, 1, "r", LOCK_PR, 0);
	ask(s, 2, 1, "r", LOCK_NL, 0);
	ask(s, 3, 1, "r", LOCK_NL, 0);
	ask(s, 4, 1, "r", LOCK_NL, 0);
	ask(s, 5, 1, "r", LOCK_EX, 0);
	given(s);
	turn(s, 2, 1, LOCK_PR, LOCK_QUECVT);
	said(s, "2.1=PR 2.1?EX");
	turn(s, 3, 1, LOCK_EX, 0);
	said(s, "");
	turn(s, 4, 1, LOCK_PR, LOCK_QUECVT);
	said(s, "");
	stands(s, "r", "1.1=PR 2.1=PR|3.1=NL>EX 4.1=NL>PR|5.1>EX");
	drop(s, 3, 1, LOCK_CANCEL);
	said(s, "3.1=NL!ECANCELED 4.1=PR 4.1?EX");
	lock_scene_free(s);
}

static void conversions_that_wait_are_first_in_first_out(void **state)
{
	struct lock_scene *s = lock_scene_new();

	(void)state;
	ask(s, 1, 1, "r", LOCK_EX, 0);
	for (uint32_t n = 2; n <= 4; n++)
		ask(s, n, 1, "r", LOCK_NL, LOCK_EXPEDITE);
	turn(s, 2, 1, LOCK_PW, 0);
	turn(s, 3, 1, LOCK_EX, 0);
	turn(s, 4, 1, LOCK_CR, 0); /* goes with PW, but is not the head */
	given(s);
	turn(s, 1, 1, LOCK_NL, 0);
	said(s, "1.1=NL 2.1=PW 2.1?EX");
	stands(s, "r", "1.1=NL 2.1=PW|3.1=NL>EX 4.1=NL>CR|");
	drop(s, 2, 1, 0);
	said(s, "2.1=none 3.1=EX 3.1?CR");
	drop(s, 3, 1, 0);
	said(s, "3.1=none 4.1=CR");
	lock_scene_free(s);
}

static void many_are_granted_in_one_go(void **state)
{
	struct lock_scene *s = lock_scene_new();

	(void)state;
	ask(s, 1, 1, "r", LOCK_EX, 0);
	ask(s, 2, 1, "r", LOCK_NL, LOCK_EXPEDITE);
	ask(s, 3, 1, "r", LOCK_NL, LOCK_EXPEDITE);
	ask(s, 4, 1, "r", LOCK_PR, 0);
	ask(s, 5, 1, "r", LOCK_PR, 0);
	ask(s, 6, 1, "r", LOCK_EX, 0);
	ask(s, 7, 1, "r", LOCK_PR, 0);
	turn(s, 2, 1, LOCK_PR, 0);
	turn(s, 3, 1, LOCK_CR, 0);
	given(s);
	drop(s, 1, 1, 0);
	said(s, "1.1=none 2.1=PR 3.1=CR 4.1=PR 5.1=PR 2.1?EX 3.1?EX 4.1?EX 5.1?EX");
	stands(s, "r", "2.1=PR 3.1=CR 4.1=PR 5.1=PR||6.1>EX 7.1>PR");
	lock_scene_free(s);
}

/* Q4: any order, once; it is not asked again until then. */
static void settling_grants_conversions_in_any_order(void **state)
{
	struct lock_scene *s = lock_scene_new();

	(void)state;
	ask(s, 1, 1, "r", LOCK_PR, 0);
	ask(s, 2, 1, "r", LOCK_NL, 0);
	ask(s, 3, 1, "r", LOCK_NL, 0);
	ask(s, 4, 1, "r", LOCK_EX, LOCK_NOQUEUE);
	ask(s, 5, 1, "r", LOCK_PR, 0);
	turn(s, 2, 1, LOCK_EX, 0);
	turn(s, 3, 1, LOCK_PR, LOCK_QUECVT);
	ask(s, 6, 1, "r", LOCK_PR, 0);
	given(s);
	release(s, 5, LOCK_RELEASE_NODE);
	said(s, "");
	lock_table_settle(s->table);
	said(s, "3.1=PR 3.1?EX");
	stands(s, "r", "1.1=PR 3.1=PR|2.1=NL>EX|6.1>PR");
	lock_scene_free(s);
}

static void settling_goes_by_name(void **state)
{
	static const char *const names[] = { "b", "abc", "ab", "c", "a", "b\x80" };
	struct lock_scene *s = lock_scene_new();

	(void)state;
	for (uint32_t i = 0; i < 6; i++) {
		ask(s, 1, i, names[i], LOCK_EX, 0);
		ask(s, 2, i, names[i], LOCK_PR, 0);
	}
	release(s, 1, LOCK_RELEASE_NODE);
	given(s);
	lock_table_settle(s->table);
	said(s, "2.4=PR 2.2=PR 2.1=PR 2.0=PR 2.5=PR 2.3=PR");
	lock_scene_free(s);
}

/* --- Q5 -------------------------------------------------------------------------- */

static void request_waits_behind_those_that_wait(void **state)
{
	struct lock_scene *s = lock_scene_new();

	(void)state;
	ask(s, 1, 1, "r", LOCK_PR, 0);
	ask(s, 2, 1, "r", LOCK_EX, 0);
	given(s);
	ask(s, 3, 1, "r", LOCK_PR, 0);
	said(s, "");
	stands(s, "r", "1.1=PR||2.1>EX 3.1>PR");
	ask(s, 4, 1, "r", LOCK_NL, 0); /* even NL */
	said(s, "");
	ask(s, 5, 1, "r", LOCK_NL, LOCK_NOQUEUE);
	said(s, "5.1=none!EAGAIN");
	drop(s, 2, 1, LOCK_CANCEL);
	said(s, "2.1=none!ECANCELED 3.1=PR 4.1=NL");
	lock_scene_free(s);
}

static void request_waits_while_a_conversion_does(void **state)
{
	struct lock_scene *s = lock_scene_new();

	(void)state;
	ask(s, 1, 1, "r", LOCK_CR, 0);
	ask(s, 2, 1, "r", LOCK_NL, 0);
	turn(s, 2, 1, LOCK_EX, 0);
	given(s);
	ask(s, 3, 1, "r", LOCK_CR, 0);
	said(s, "");
	stands(s, "r", "1.1=CR|2.1=NL>EX|3.1>CR");
	drop(s, 2, 1, LOCK_CANCEL);
	said(s, "2.1=NL!ECANCELED 3.1=CR");
	lock_scene_free(s);
}

/* --- Q6 -------------------------------------------------------------------------- */

static void noorder_is_granted_as_soon_as_it_is_compatible(void **state)
{
	struct lock_scene *s = lock_scene_new();

	(void)state;
	ask(s, 1, 1, "r", LOCK_PR, 0);
	ask(s, 2, 1, "r", LOCK_EX, 0);
	given(s);
	ask(s, 3, 1, "r", LOCK_PR, LOCK_NOORDER);
	said(s, "3.1=PR 3.1?EX");
	ask(s, 4, 1, "r", LOCK_CW, 0);
	ask(s, 5, 1, "r", LOCK_CW, LOCK_NOORDER);
	said(s, "");
	stands(s, "r", "1.1=PR 3.1=PR||2.1>EX 4.1>CW 5.1>CW");
	turn(s, 1, 1, LOCK_CR, 0);
	said(s, "1.1=CR 1.1?EX");
	turn(s, 3, 1, LOCK_CR, 0);
	said(s, "3.1=CR 5.1=CW 3.1?EX 5.1?EX");
	lock_scene_free(s);
}

static void conversion_in_noorder_passes_the_head(void **state)
{
	struct lock_scene *s = lock_scene_new();

	(void)state;
	ask(s, 1, 1, "r", LOCK_PR, 0);
	for (uint32_t n = 2; n <= 4; n++)
		ask(s, n, 1, "r", LOCK_NL, 0);
	turn(s, 2, 1, LOCK_EX, 0);
	turn(s, 3, 1, LOCK_CW, 0);
	turn(s, 4, 1, LOCK_CW, LOCK_NOORDER);
	given(s);
	turn(s, 1, 1, LOCK_CR, 0);
	said(s, "1.1=CR 4.1=CW 1.1?EX 4.1?EX");
	stands(s, "r", "1.1=CR 4.1=CW|2.1=NL>EX 3.1=NL>CW|");
	lock_scene_free(s);
}

static void headque_is_queued_first(void **state)
{
	struct lock_scene *s = lock_scene_new();

	(void)state;
	ask(s, 1, 1, "r", LOCK_EX, 0);
	ask(s, 2, 1, "r", LOCK_PR, 0);
	ask(s, 3, 1, "r", LOCK_CW, LOCK_HEADQUE);
	ask(s, 4, 1, "r", LOCK_NL, LOCK_EXPEDITE);
	ask(s, 5, 1, "r", LOCK_NL, LOCK_EXPEDITE);
	turn(s, 4, 1, LOCK_PR, 0);
	turn(s, 5, 1, LOCK_CW, LOCK_HEADQUE);
	stands(s, "r", "1.1=EX|5.1=NL>CW 4.1=NL>PR|3.1>CW 2.1>PR");
	given(s);
	turn(s, 1, 1, LOCK_NL, 0);
	said(s, "1.1=NL 5.1=CW 5.1?PR");
	drop(s, 5, 1, 0);
	said(s, "5.1=none 4.1=PR 4.1?CW");
	drop(s, 4, 1, 0);
	said(s, "4.1=none 3.1=CW 3.1?PR");
	lock_scene_free(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(expedite_is_granted_whatever_waits),
		cmocka_unit_test(one_that_converts_keeps_what_it_has),
		cmocka_unit_test(granted_modes_alone_conflict_not_wanted_ones),
		cmocka_unit_test(fresh_conversion_overtakes_those_that_wait),
		cmocka_unit_test(quecvt_waits_behind_conversions_but_not_requests),
		cmocka_unit_test(conversions_that_wait_are_first_in_first_out),
		cmocka_unit_test(many_are_granted_in_one_go),
		cmocka_unit_test(settling_grants_conversions_in_any_order),
		cmocka_unit_test(settling_goes_by_name),
		cmocka_unit_test(request_waits_behind_those_that_wait),
		cmocka_unit_test(request_waits_while_a_conversion_does),
		cmocka_unit_test(noorder_is_granted_as_soon_as_it_is_compatible),
		cmocka_unit_test(conversion_in_noorder_passes_the_head),
		cmocka_unit_test(headque_is_queued_first),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
