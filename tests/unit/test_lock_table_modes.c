/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The tables of lock.h against those of the DLM, as they are written in its manual, and
 * the lock table for each pair of modes.
 */
#include "tests/unit/lock_scene.h"

#include "base/arith.h"

static const char *const names[LOCK_MODES] = { "NL", "CR", "CW", "PR", "PW", "EX" };

/* Row: held; column: wanted; from NL to EX. */
static const char *const compatible[LOCK_MODES] = {
	"111111",
	"111110",
	"111000",
	"110100",
	"110000",
	"100000",
};

/* Row: from, NONE first; column: to NONE, then NL to EX. */
static const char *const value_moves[LOCK_MODES + 1] = {
	".RRRRRR",
	".RRRRRR",
	"..RRRRR",
	"...RRRR",
	"....RRR",
	"WWWWWWR",
	"WWWWWWW",
};

static const char *const quecvt[LOCK_MODES] = {
	"011111",
	"001111",
	"000111",
	"001011",
	"000001",
	"000000",
};

static void modes_go_together_as_in_the_dlm(void **state)
{
	(void)state;
	for (int held = 0; held < LOCK_MODES; held++) {
		for (int wanted = 0; wanted < LOCK_MODES; wanted++)
			assert_int_equal(lock_modes_compatible(held, wanted),
					 compatible[held][wanted] == '1');
		assert_true(lock_modes_compatible(LOCK_NONE, held));
		assert_true(lock_modes_compatible(held, LOCK_NONE));
	}
	assert_true(lock_modes_compatible(LOCK_NONE, LOCK_NONE));
}

static void values_move_as_in_the_dlm(void **state)
{
	(void)state;
	for (int from = LOCK_NONE; from < LOCK_MODES; from++) {
		for (int to = LOCK_NONE; to < LOCK_MODES; to++) {
			char c = value_moves[from + 1][to + 1];
			enum lock_value wanted = c == 'R' ? LOCK_VALUE_READ :
						 c == 'W' ? LOCK_VALUE_WRITE :
							    LOCK_VALUE_STAYS;

			assert_int_equal(lock_value_moves(from, to), wanted);
		}
	}
}

static void going_down_is_excluding_no_more(void **state)
{
	(void)state;
	for (int from = 0; from < LOCK_MODES; from++) {
		for (int to = 0; to < LOCK_MODES; to++) {
			bool is_down = true;

			for (int m = 0; m < LOCK_MODES; m++)
				if (compatible[to][m] == '0' && compatible[from][m] == '1')
					is_down = false;
			assert_int_equal(lock_is_down(from, to), is_down);
		}
		assert_true(lock_is_down(from, LOCK_NONE));
		assert_int_equal(lock_is_down(LOCK_NONE, from), from == LOCK_NL);
	}
	assert_true(lock_is_down(LOCK_EX, LOCK_PW));
	assert_true(lock_is_down(LOCK_PW, LOCK_PR));
	assert_false(lock_is_down(LOCK_PR, LOCK_CW));
	assert_false(lock_is_down(LOCK_CW, LOCK_PR));
}

static void conversions_that_may_queue_behind_others(void **state)
{
	(void)state;
	for (int from = 0; from < LOCK_MODES; from++)
		for (int to = 0; to < LOCK_MODES; to++)
			assert_int_equal(lock_may_quecvt(from, to), quecvt[from][to] == '1');
	assert_false(lock_may_quecvt(LOCK_NONE, LOCK_EX));
	assert_false(lock_may_quecvt(LOCK_NL, LOCK_NONE));
	assert_false(lock_may_quecvt(LOCK_NL, LOCK_MODES));
}

static void what_nobody_may_ask(void **state)
{
	static const struct {
		enum lock_mode held, wanted;
		uint32_t flags;
		bool is_fault;
	} rows[] = {
		{ LOCK_NONE, LOCK_EX, 0, false },
		{ LOCK_NONE, LOCK_NONE, 0, true },
		{ LOCK_NONE, (enum lock_mode)-2, 0, true },
		{ LOCK_NONE, (enum lock_mode)6, 0, true },
		{ LOCK_NONE, (enum lock_mode)9, 0, true },
		{ LOCK_NL, LOCK_EX, LOCK_CONVERT, false },
		{ LOCK_NL, (enum lock_mode)9, LOCK_CONVERT, true },
		{ LOCK_NONE, LOCK_EX, LOCK_CONVERT, true },
		{ LOCK_NONE, LOCK_NL, LOCK_EXPEDITE, false },
		{ LOCK_NONE, LOCK_CR, LOCK_EXPEDITE, true },
		{ LOCK_NONE, LOCK_NL, LOCK_EXPEDITE | LOCK_NOQUEUE, true },
		{ LOCK_PR, LOCK_NL, LOCK_EXPEDITE | LOCK_CONVERT, true },
		{ LOCK_NONE, LOCK_EX, LOCK_QUECVT, true },
		{ LOCK_NL, LOCK_EX, LOCK_QUECVT | LOCK_CONVERT, false },
		{ LOCK_EX, LOCK_NL, LOCK_QUECVT | LOCK_CONVERT, true },
		{ LOCK_NONE, LOCK_EX, LOCK_CONVDEADLK, true },
		{ LOCK_PR, LOCK_EX, LOCK_CONVDEADLK | LOCK_CONVERT, false },
		{ LOCK_PR, LOCK_EX, LOCK_CONVDEADLK | LOCK_CONVERT | LOCK_NOQUEUE, true },
		{ LOCK_NONE, LOCK_EX, LOCK_ORPHAN, false },
		{ LOCK_NL, LOCK_EX, LOCK_ORPHAN | LOCK_CONVERT, true },
		{ LOCK_NONE, LOCK_EX, LOCK_CANCEL, true },
		{ LOCK_NONE, LOCK_EX, LOCK_FORCEUNLOCK, true },
		{ LOCK_NL, LOCK_EX, LOCK_CANCEL | LOCK_CONVERT, true },
		{ LOCK_NONE, LOCK_EX, 0x200, true },
		{ LOCK_NONE, LOCK_EX, 0x40000, true },
		{ LOCK_NONE, LOCK_EX, 0x80000000, true },
		{ LOCK_NONE, LOCK_EX, LOCK_NOQUEUE | LOCK_NOQUEUEBAST | LOCK_VALBLK |
		  LOCK_IVVALBLK | LOCK_PERSISTENT | LOCK_NODLCKWT | LOCK_HEADQUE |
		  LOCK_NOORDER | LOCK_ALTPR | LOCK_ALTCW, false },
	};
	static const struct {
		uint32_t flags;
		bool is_fault;
	} unlocks[] = {
		{ 0, false }, { LOCK_CANCEL, false }, { LOCK_FORCEUNLOCK, false },
		{ LOCK_VALBLK | LOCK_IVVALBLK | LOCK_FORCEUNLOCK, false },
		{ LOCK_CANCEL | LOCK_FORCEUNLOCK, true },
		{ LOCK_NOQUEUE, true }, { LOCK_CONVERT, true }, { LOCK_ORPHAN, true },
		{ 0x40000, true },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		const char *fault = lock_fault(rows[i].held, rows[i].wanted, rows[i].flags);

		if (!fault == rows[i].is_fault)
			fail_msg("row %zu: %s", i, fault ? fault : "sound");
	}
	for (size_t i = 0; i < ARRAY_SIZE(unlocks); i++)
		assert_int_equal(unlock_fault(unlocks[i].flags) != NULL,
				 unlocks[i].is_fault);
	for (int from = 0; from < LOCK_MODES; from++)
		for (int to = 0; to < LOCK_MODES; to++)
			assert_int_equal(lock_fault(from, to, LOCK_CONVERT | LOCK_QUECVT) ==
					 NULL, quecvt[from][to] == '1');
}

static void modes_have_names(void **state)
{
	enum lock_mode mode = LOCK_NONE;

	(void)state;
	for (int m = 0; m < LOCK_MODES; m++) {
		assert_string_equal(lock_mode_name(m), names[m]);
		assert_true(lock_mode_parse(names[m], &mode));
		assert_int_equal(mode, m);
	}
	assert_true(lock_mode_parse("pw", &mode));
	assert_int_equal(mode, LOCK_PW);
	assert_false(lock_mode_parse("none", &mode));
	assert_false(lock_mode_parse("", &mode));
	assert_false(lock_mode_parse("EXX", &mode));
	assert_string_equal(lock_mode_name(LOCK_NONE), "none");
	assert_string_equal(lock_mode_name((enum lock_mode)9), "?");
	assert_string_equal(lock_mode_name((enum lock_mode)-7), "?");
}

/* --- each pair, on the table ----------------------------------------------------- */

static void a_request_meets_a_holder(int held, int wanted)
{
	struct lock_scene *s = lock_scene_new();
	char text[64];

	ask(s, 1, 1, "r", held, 0);
	given(s);
	ask(s, 2, 1, "r", wanted, 0);
	if (compatible[held][wanted] == '1')
		snprintf(text, sizeof(text), "2.1=%s", names[wanted]);
	else
		snprintf(text, sizeof(text), "1.1?%s", names[wanted]);
	said(s, text);
	if (compatible[held][wanted] == '0') {
		drop(s, 1, 1, 0);
		snprintf(text, sizeof(text), "1.1=none 2.1=%s", names[wanted]);
		said(s, text);
	}
	lock_scene_free(s);
}

static void two_conversions_meet(int held, int wanted)
{
	struct lock_scene *s = lock_scene_new();
	char text[64];

	ask(s, 1, 1, "r", LOCK_NL, 0);
	ask(s, 2, 1, "r", LOCK_NL, 0);
	turn(s, 1, 1, held, 0);
	given(s);
	turn(s, 2, 1, wanted, 0);
	if (compatible[held][wanted] == '1')
		snprintf(text, sizeof(text), "2.1=%s", names[wanted]);
	else
		snprintf(text, sizeof(text), "1.1?%s", names[wanted]);
	said(s, text);
	if (compatible[held][wanted] == '0') {
		snprintf(text, sizeof(text), "1.1=%s|2.1=NL>%s|", names[held],
			 names[wanted]);
		stands(s, "r", text);
		turn(s, 1, 1, LOCK_NL, 0);
		snprintf(text, sizeof(text), "1.1=NL 2.1=%s", names[wanted]);
		said(s, text);
	}
	lock_scene_free(s);
}

/* Alone it is granted; down it is granted whoever is there, and is in nobody's way. */
static void one_converts(int from, int to)
{
	struct lock_scene *s = lock_scene_new();
	char text[64];

	ask(s, 1, 1, "r", from, 0);
	given(s);
	turn(s, 1, 1, to, 0);
	snprintf(text, sizeof(text), "1.1=%s", names[to]);
	said(s, text);
	lock_scene_free(s);
	if (!lock_is_down(from, to))
		return;
	s = lock_scene_new();
	ask(s, 1, 1, "r", from, 0);
	for (int m = LOCK_NL; m < LOCK_MODES; m++)
		ask(s, 2, 1 + (uint32_t)m, "r", m, LOCK_NOQUEUE);
	given(s);
	turn(s, 1, 1, to, LOCK_NOQUEUE);
	said(s, text);
	lock_scene_free(s);
}

static void each_pair_of_modes_on_a_resource(void **state)
{
	(void)state;
	for (int a = 0; a < LOCK_MODES; a++) {
		for (int b = 0; b < LOCK_MODES; b++) {
			a_request_meets_a_holder(a, b);
			two_conversions_meet(a, b);
			one_converts(a, b);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(modes_go_together_as_in_the_dlm),
		cmocka_unit_test(values_move_as_in_the_dlm),
		cmocka_unit_test(going_down_is_excluding_no_more),
		cmocka_unit_test(conversions_that_may_queue_behind_others),
		cmocka_unit_test(what_nobody_may_ask),
		cmocka_unit_test(modes_have_names),
		cmocka_unit_test(each_pair_of_modes_on_a_resource),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
