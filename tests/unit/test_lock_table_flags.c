/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * NOQUEUE, the other modes, cancels, unlocks by force; and what is no operation of the
 * lock table at all.
 */
#include "tests/unit/lock_scene.h"

#include <errno.h>

/* --- NOQUEUE, other modes -------------------------------------------------------- */

static void noqueue_leaves_no_lock_and_tells_nobody(void **state)
{
	struct lock_scene *s = lock_scene_new();

	(void)state;
	ask(s, 1, 1, "r", LOCK_PR, 0);
	ask(s, 2, 1, "r", LOCK_PR, 0);
	given(s);
	ask(s, 3, 1, "r", LOCK_EX, LOCK_NOQUEUE);
	said(s, "3.1=none!EAGAIN");
	turn(s, 2, 1, LOCK_EX, LOCK_NOQUEUE);
	said(s, "2.1=PR!EAGAIN");
	stands(s, "r", "1.1=PR 2.1=PR||");
	ask(s, 3, 1, "r", LOCK_PR, LOCK_NOQUEUE); /* the number is free again */
	said(s, "3.1=PR");
	lock_scene_free(s);
}

static void noqueuebast_tells_those_in_the_way(void **state)
{
	struct lock_scene *s = lock_scene_new();

	(void)state;
	ask(s, 1, 1, "r", LOCK_PR, 0);
	ask(s, 2, 1, "r", LOCK_PR, 0);
	ask(s, 3, 1, "r", LOCK_NL, 0);
	ask(s, 4, 1, "r", LOCK_CR, 0);
	given(s);
	ask(s, 5, 1, "r", LOCK_CW, LOCK_NOQUEUE | LOCK_NOQUEUEBAST);
	said(s, "5.1=none!EAGAIN 1.1?CW 2.1?CW");
	turn(s, 2, 1, LOCK_EX, LOCK_NOQUEUE | LOCK_NOQUEUEBAST);
	said(s, "2.1=PR!EAGAIN 1.1?EX 4.1?EX");
	turn(s, 2, 1, LOCK_EX, LOCK_NOQUEUE | LOCK_NOQUEUEBAST);
	said(s, "2.1=PR!EAGAIN"); /* they know */
	turn(s, 1, 1, LOCK_EX, 0);
	said(s, "2.1?EX");
	ask(s, 5, 1, "r", LOCK_CW, LOCK_NOQUEUE | LOCK_NOQUEUEBAST);
	said(s, "5.1=none!EAGAIN");
	lock_scene_free(s);
}

static void other_mode_is_tried_when_the_wanted_one_is_not_free(void **state)
{
	struct lock_scene *s = lock_scene_new();

	(void)state;
	ask(s, 1, 1, "r", LOCK_PR, 0);
	given(s);
	ask(s, 2, 1, "r", LOCK_EX, LOCK_ALTPR);
	said(s, "2.1=PR+alt");
	ask(s, 3, 1, "r", LOCK_PR, LOCK_ALTPR | LOCK_ALTCW);
	said(s, "3.1=PR");
	ask(s, 4, 1, "r", LOCK_EX, LOCK_ALTCW | LOCK_NOQUEUE);
	said(s, "4.1=none!EAGAIN");
	ask(s, 4, 1, "r", LOCK_NL, 0);
	turn(s, 4, 1, LOCK_PW, LOCK_ALTPR);
	said(s, "4.1=NL 4.1=PR+alt");
	turn(s, 4, 1, LOCK_CR, 0);
	said(s, "4.1=CR"); /* the mark is of one operation */
	ask(s, 5, 1, "q", LOCK_CW, 0);
	ask(s, 6, 1, "q", LOCK_PR, LOCK_ALTPR | LOCK_ALTCW);
	said(s, "5.1=CW 6.1=CW+alt");
	ask(s, 7, 1, "q", LOCK_EX, LOCK_ALTPR | LOCK_ALTCW); /* PR goes before CW */
	said(s, "5.1?EX 6.1?EX");
	lock_scene_free(s);
}

static void other_mode_is_tried_while_it_waits(void **state)
{
	struct lock_scene *s = lock_scene_new();

	(void)state;
	ask(s, 1, 1, "r", LOCK_EX, 0);
	ask(s, 2, 1, "r", LOCK_EX, LOCK_ALTPR);
	ask(s, 3, 1, "r", LOCK_NL, LOCK_EXPEDITE);
	given(s);
	turn(s, 3, 1, LOCK_EX, LOCK_ALTCW);
	turn(s, 1, 1, LOCK_CR, 0);
	said(s, "1.1=CR 3.1=CW+alt 1.1?EX 3.1?EX");
	turn(s, 3, 1, LOCK_NL, 0);
	said(s, "3.1=NL 2.1=PR+alt");
	lock_scene_free(s);
}

static void other_mode_may_be_below_what_is_held(void **state)
{
	struct lock_scene *s = lock_scene_new();

	(void)state;
	ask(s, 1, 1, "r", LOCK_PW, 0);
	ask(s, 2, 1, "r", LOCK_CR, 0);
	given(s);
	turn(s, 1, 1, LOCK_EX, LOCK_ALTPR);
	said(s, "1.1=PR+alt");
	lock_scene_free(s);
}

/* Any order is for what was wanted. */
static void settling_gives_the_other_mode_to_the_head_alone(void **state)
{
	struct lock_scene *s = lock_scene_new();

	(void)state;
	ask(s, 1, 1, "r", LOCK_CR, 0);
	ask(s, 6, 1, "r", LOCK_PR, 0);
	for (uint32_t n = 2; n <= 4; n++)
		ask(s, n, 1, "r", LOCK_NL, 0);
	turn(s, 2, 1, LOCK_EX, 0);
	turn(s, 3, 1, LOCK_EX, LOCK_ALTCW);
	turn(s, 4, 1, LOCK_CW, 0);
	release(s, 6, LOCK_RELEASE_NODE);
	given(s);
	lock_table_settle(s->table);
	said(s, "4.1=CW 4.1?EX");
	stands(s, "r", "1.1=CR 4.1=CW|2.1=NL>EX 3.1=NL>EX|");
	lock_scene_free(s);
}

/* --- cancel and unlock ----------------------------------------------------------- */

static void cancel_ends_what_waits(void **state)
{
	struct lock_scene *s = lock_scene_new();

	(void)state;
	ask(s, 1, 1, "r", LOCK_PR, 0);
	ask(s, 2, 1, "r", LOCK_EX, 0);
	ask(s, 3, 1, "r", LOCK_NL, LOCK_EXPEDITE);
	turn(s, 3, 1, LOCK_PW, 0);
	given(s);
	drop(s, 1, 1, LOCK_CANCEL); /* nothing waits */
	said(s, "");
	drop(s, 3, 1, LOCK_CANCEL);
	said(s, "3.1=NL!ECANCELED");
	drop(s, 2, 1, LOCK_CANCEL);
	said(s, "2.1=none!ECANCELED");
	stands(s, "r", "1.1=PR 3.1=NL||");
	assert_int_equal(try_drop(s, 2, 1, LOCK_CANCEL), -EBADMSG); /* there is none */
	turn(s, 3, 1, LOCK_PR, 0);
	said(s, "3.1=PR");
	lock_scene_free(s);
}

static void unlock_by_force_ends_what_waits_with_one_completion(void **state)
{
	struct lock_scene *s = lock_scene_new();

	(void)state;
	ask(s, 1, 1, "r", LOCK_PR, 0);
	ask(s, 2, 1, "r", LOCK_PR, 0);
	ask(s, 3, 1, "r", LOCK_CW, 0);
	turn(s, 2, 1, LOCK_EX, 0);
	given(s);
	assert_int_equal(try_drop(s, 2, 1, 0), -EBADMSG);
	assert_int_equal(try_drop(s, 3, 1, LOCK_IVVALBLK), -EBADMSG);
	said(s, "");
	drop(s, 3, 1, LOCK_FORCEUNLOCK);
	said(s, "3.1=none");
	drop(s, 2, 1, LOCK_FORCEUNLOCK);
	said(s, "2.1=none");
	stands(s, "r", "1.1=PR||");
	drop(s, 1, 1, LOCK_FORCEUNLOCK);
	said(s, "1.1=none");
	stands(s, "r", "");
	assert_int_equal(lock_table_resources(s->table), 0);
	lock_scene_free(s);
}

static void nothing_is_done_of_what_nobody_may_ask(void **state)
{
	static const char long_name[] =
		"12345678901234567890123456789012345678901234567890123456789012345";
	struct lock_order order = { { 1, 7 }, LOCK_PR, LOCK_VALBLK, 0, "r", 1, NULL };
	struct lock_scene *s = lock_scene_new();
	uint64_t digest;

	(void)state;
	ask(s, 1, 1, "r", LOCK_EX, 0);
	ask(s, 2, 1, "r", LOCK_EX, 0);
	given(s);
	digest = lock_table_digest(s->table);
	assert_int_equal(try_ask(s, 1, 1, "q", LOCK_NL, 0), -EBADMSG); /* number taken */
	assert_int_equal(try_ask(s, 3, 1, "q", 9, 0), -EBADMSG);
	assert_int_equal(try_ask(s, 3, 1, "q", LOCK_NONE, 0), -EBADMSG);
	assert_int_equal(try_ask(s, 3, 1, "", LOCK_NL, 0), -EBADMSG);
	assert_int_equal(try_ask(s, 3, 1, NULL, LOCK_NL, 0), -EBADMSG);
	assert_int_equal(try_ask(s, 3, 1, long_name, LOCK_NL, 0), -EBADMSG);
	assert_int_equal(try_ask(s, 3, 1, "q", LOCK_EX, LOCK_EXPEDITE), -EBADMSG);
	assert_int_equal(try_ask(s, 3, 1, NULL, LOCK_EX, LOCK_CONVERT), -EBADMSG);
	assert_int_equal(try_ask(s, 2, 1, NULL, LOCK_EX, LOCK_CONVERT), -EBADMSG);
	assert_int_equal(lock_table_lock(s->table, &order), -EBADMSG);
	assert_int_equal(try_drop(s, 3, 1, 0), -EBADMSG);
	assert_int_equal(try_drop(s, 1, 1, LOCK_NOQUEUE), -EBADMSG);
	assert_int_equal(try_drop(s, 1, 1, LOCK_CANCEL | LOCK_FORCEUNLOCK), -EBADMSG);
	assert_int_equal(lock_table_unlock(s->table, (struct lock_key){ 1, 1 }, LOCK_VALBLK,
					   NULL), -EBADMSG);
	said(s, "");
	assert_true(lock_table_digest(s->table) == digest);
	assert_int_equal(lock_table_locks(s->table), 2);
	ask(s, 3, 1, long_name + 1, LOCK_NL, 0); /* 64 bytes */
	said(s, "3.1=NL");
	turn(s, 1, 1, LOCK_NL, 0);
	turn(s, 1, 1, LOCK_EX, 0);
	given(s);
	assert_int_equal(try_ask(s, 1, 1, NULL, LOCK_PR, LOCK_CONVERT), -EBADMSG);
	lock_scene_free(s);
}

static void names_are_any_bytes(void **state)
{
	struct lock_scene *s = lock_scene_new();
	struct lock_order a = { { 1, 1 }, LOCK_EX, 0, 0, "\0\0", 2, NULL };
	struct lock_order b = { { 2, 1 }, LOCK_EX, 0, 0, "\0", 1, NULL };

	(void)state;
	assert_int_equal(lock_table_lock(s->table, &a), 0);
	assert_int_equal(lock_table_lock(s->table, &b), 0);
	said(s, "1.1=EX 2.1=EX");
	assert_int_equal(lock_table_resources(s->table), 2);
	b.key.number = 2;
	assert_int_equal(lock_table_lock(s->table, &b), 0);
	said(s, "2.1?EX");
	lock_scene_free(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(noqueue_leaves_no_lock_and_tells_nobody),
		cmocka_unit_test(noqueuebast_tells_those_in_the_way),
		cmocka_unit_test(other_mode_is_tried_when_the_wanted_one_is_not_free),
		cmocka_unit_test(other_mode_is_tried_while_it_waits),
		cmocka_unit_test(other_mode_may_be_below_what_is_held),
		cmocka_unit_test(settling_gives_the_other_mode_to_the_head_alone),
		cmocka_unit_test(cancel_ends_what_waits),
		cmocka_unit_test(unlock_by_force_ends_what_waits_with_one_completion),
		cmocka_unit_test(nothing_is_done_of_what_nobody_may_ask),
		cmocka_unit_test(names_are_any_bytes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
