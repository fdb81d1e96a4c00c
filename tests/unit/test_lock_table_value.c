/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Lock value blocks: what is returned and stored for each pair of modes, and doubted. */
#include "tests/unit/lock_scene.h"

#include <string.h>

static const char *const names[LOCK_MODES] = { "NL", "CR", "CW", "PR", "PW", "EX" };

/* Row: from, NONE first; column: to, from NL; of the DLM's table. */
static const char *const moves[LOCK_MODES + 1] = {
	"RRRRRR",
	"RRRRRR",
	".RRRRR",
	"..RRRR",
	"...RRR",
	"WWWWWR",
	"WWWWWW",
};

/* "old" is stored once, and the keeper in NL leaves all other modes free. */
static struct lock_scene *scene_with_old(void)
{
	struct lock_scene *s = lock_scene_new();

	s->value = "old";
	ask(s, 9, 9, "r", LOCK_EX, 0);
	turn(s, 9, 9, LOCK_NL, LOCK_VALBLK);
	keeps(s, "r", "old 1");
	s->value = "new";
	given(s);
	return s;
}

static struct lock_scene *scene_in(int from)
{
	struct lock_scene *s = scene_with_old();

	if (from != LOCK_NONE)
		ask(s, 1, 1, "r", from, 0);
	given(s);
	return s;
}

static void go(struct lock_scene *s, int from, int to, uint32_t flags)
{
	if (from == LOCK_NONE)
		ask(s, 1, 1, "r", to, flags);
	else
		turn(s, 1, 1, to, flags);
}

static void one_row(int from, int to)
{
	char what = moves[1 + from][to], text[64];
	struct lock_scene *s = scene_in(from);

	go(s, from, to, LOCK_VALBLK);
	snprintf(text, sizeof(text), "1.1=%s%s", names[to], what == 'R' ? "\"old\"" : "");
	said(s, text);
	keeps(s, "r", what == 'W' ? "new 2" : "old 1");
	lock_scene_free(s);

	s = scene_in(from);
	go(s, from, to, 0); /* without VALBLK nothing moves */
	snprintf(text, sizeof(text), "1.1=%s", names[to]);
	said(s, text);
	keeps(s, "r", "old 1");
	lock_scene_free(s);

	s = scene_in(from);
	go(s, from, to, LOCK_IVVALBLK | LOCK_VALBLK);
	snprintf(text, sizeof(text), "1.1=%s%s", names[to], what == 'R' ? "\"old\"" : "");
	said(s, text);
	keeps(s, "r", what == 'W' ? "old 1 invalid" : "old 1");
	lock_scene_free(s);

	s = scene_in(from);
	go(s, from, to, LOCK_IVVALBLK);
	keeps(s, "r", what == 'W' ? "old 1 invalid" : "old 1");
	lock_scene_free(s);
}

static void each_row_of_the_table(void **state)
{
	(void)state;
	for (int from = LOCK_NONE; from < LOCK_MODES; from++)
		for (int to = LOCK_NL; to < LOCK_MODES; to++)
			one_row(from, to);
}

static void unlock_stores_from_pw_and_ex_alone(void **state)
{
	(void)state;
	for (int from = LOCK_NL; from < LOCK_MODES; from++) {
		bool is_writer = from >= LOCK_PW;
		struct lock_scene *s = scene_in(from);

		drop(s, 1, 1, LOCK_VALBLK);
		said(s, "1.1=none");
		keeps(s, "r", is_writer ? "new 2" : "old 1");
		lock_scene_free(s);

		s = scene_in(from);
		drop(s, 1, 1, LOCK_VALBLK | LOCK_IVVALBLK);
		keeps(s, "r", is_writer ? "old 1 invalid" : "old 1");
		lock_scene_free(s);

		s = scene_in(from);
		drop(s, 1, 1, LOCK_IVVALBLK);
		keeps(s, "r", is_writer ? "old 1 invalid" : "old 1");
		lock_scene_free(s);

		s = scene_in(from);
		drop(s, 1, 1, LOCK_FORCEUNLOCK);
		keeps(s, "r", "old 1");
		lock_scene_free(s);
	}
}

/* By force, while it waits for another mode: what counts is what is held. */
static void unlock_by_force_of_a_conversion_stores_from_what_is_held(void **state)
{
	struct lock_scene *s = scene_with_old();

	(void)state;
	ask(s, 1, 1, "r", LOCK_PW, 0);
	ask(s, 2, 1, "r", LOCK_CR, 0);
	turn(s, 1, 1, LOCK_EX, 0);
	drop(s, 1, 1, LOCK_FORCEUNLOCK | LOCK_VALBLK);
	keeps(s, "r", "new 2");
	turn(s, 2, 1, LOCK_EX, 0);
	ask(s, 3, 1, "r", LOCK_EX, 0);
	drop(s, 3, 1, LOCK_FORCEUNLOCK | LOCK_VALBLK);
	keeps(s, "r", "new 2");
	lock_scene_free(s);
}

static void who_waited_gets_the_value_of_the_moment(void **state)
{
	struct lock_scene *s = scene_with_old();

	(void)state;
	ask(s, 1, 1, "r", LOCK_EX, 0);
	ask(s, 2, 1, "r", LOCK_PR, LOCK_VALBLK);
	turn(s, 9, 9, LOCK_PR, LOCK_VALBLK);
	given(s);
	turn(s, 1, 1, LOCK_CR, LOCK_VALBLK);
	said(s, "1.1=CR 9.9=PR\"new\" 2.1=PR\"new\"");
	lock_scene_free(s);
}

static void refusal_returns_no_value(void **state)
{
	struct lock_scene *s = scene_with_old();

	(void)state;
	ask(s, 1, 1, "r", LOCK_EX, LOCK_VALBLK);
	said(s, "1.1=EX\"old\"");
	turn(s, 9, 9, LOCK_PR, LOCK_VALBLK | LOCK_NOQUEUE);
	said(s, "9.9=NL!EAGAIN");
	turn(s, 9, 9, LOCK_PR, LOCK_VALBLK);
	drop(s, 9, 9, LOCK_CANCEL);
	said(s, "1.1?PR 9.9=NL!ECANCELED");
	lock_scene_free(s);
}

static void value_is_zeros_until_it_is_stored(void **state)
{
	struct lock_scene *s = lock_scene_new();

	(void)state;
	s->value = "new";
	ask(s, 1, 1, "r", LOCK_EX, LOCK_VALBLK);
	said(s, "1.1=EX\"\"");
	keeps(s, "r", " 0");
	drop(s, 1, 1, LOCK_VALBLK); /* and it goes with the last lock */
	ask(s, 1, 1, "r", LOCK_EX, LOCK_VALBLK);
	said(s, "1.1=none 1.1=EX\"\"");
	ask(s, 2, 1, "r", LOCK_NL, LOCK_EXPEDITE);
	drop(s, 1, 1, LOCK_VALBLK);
	drop(s, 2, 1, 0);
	lock_scene_free(s);
}

/* --- doubt ----------------------------------------------------------------------- */

static void doubted_value_is_marked_until_it_is_stored(void **state)
{
	struct lock_scene *s = scene_in(LOCK_EX);

	(void)state;
	drop(s, 1, 1, LOCK_IVVALBLK);
	given(s);
	ask(s, 2, 1, "r", LOCK_CR, LOCK_VALBLK);
	said(s, "2.1=CR\"old\"+invalid");
	ask(s, 3, 1, "r", LOCK_CR, 0);
	said(s, "3.1=CR"); /* no value, no mark */
	turn(s, 2, 1, LOCK_NL, LOCK_VALBLK);
	said(s, "2.1=NL");
	turn(s, 2, 1, LOCK_PW, LOCK_VALBLK);
	said(s, "2.1=PW\"old\"+invalid");
	turn(s, 2, 1, LOCK_PW, LOCK_VALBLK);
	said(s, "2.1=PW");
	keeps(s, "r", "new 2");
	turn(s, 3, 1, LOCK_NL, 0);
	turn(s, 2, 1, LOCK_EX, LOCK_VALBLK);
	said(s, "3.1=NL 2.1=EX\"new\"");
	lock_scene_free(s);
}

/* 6.5: the one who had PW or EX, and said VALBLK in its last operation. */
static void death_of_a_writer_makes_the_value_doubtful(void **state)
{
	static const enum lock_release releases[] = {
		LOCK_RELEASE_PROCESS, LOCK_RELEASE_NODE,
	};

	(void)state;
	for (int m = LOCK_NL; m < LOCK_MODES; m++) {
		for (int i = 0; i < 2; i++) {
			struct lock_scene *s = scene_with_old();

			ask(s, 1, 1, "r", m, LOCK_VALBLK);
			release(s, 1, releases[i]);
			keeps(s, "r", m >= LOCK_PW ? "old 1 invalid" : "old 1");
			lock_scene_free(s);

			s = scene_with_old();
			ask(s, 1, 1, "r", LOCK_NL, LOCK_VALBLK);
			turn(s, 1, 1, m, 0);
			release(s, 1, releases[i]);
			keeps(s, "r", "old 1");
			lock_scene_free(s);
		}
	}
}

static void death_of_an_orphan_is_a_writers_too(void **state)
{
	struct lock_scene *s = scene_with_old();

	(void)state;
	ask(s, 1, 1, "r", LOCK_PW, LOCK_VALBLK | LOCK_PERSISTENT);
	release(s, 1, LOCK_RELEASE_PROCESS);
	keeps(s, "r", "old 1");
	release(s, 1, LOCK_RELEASE_ORPHANS);
	keeps(s, "r", "old 1 invalid");
	lock_scene_free(s);
}

/* A waiting conversion of the dead one is what it last said; what it held counts. */
static void death_while_converting_counts_what_was_held(void **state)
{
	struct lock_scene *s = scene_with_old();

	(void)state;
	ask(s, 1, 1, "r", LOCK_PW, 0);
	ask(s, 2, 1, "r", LOCK_CR, 0);
	turn(s, 1, 1, LOCK_EX, LOCK_VALBLK);
	release(s, 1, LOCK_RELEASE_NODE);
	keeps(s, "r", "old 1 invalid");
	given(s);
	lock_table_settle(s->table);
	said(s, "");
	lock_scene_free(s);
}

static void values_have_the_size_of_the_lockspace(void **state)
{
	uint8_t value[LOCK_SMALL_LVB];
	struct lock_scene *s = lock_scene_new();
	struct lock_order order = { { 1, 1 }, LOCK_EX, LOCK_VALBLK, 0, "r", 1, value };

	(void)state;
	lock_table_free(s->table);
	s->lvb_bytes = LOCK_SMALL_LVB;
	s->table = lock_table_new(s->lvb_bytes, &lock_scene_ops, s);
	memset(value, 'x', sizeof(value));
	assert_int_equal(lock_table_lock(s->table, &order), 0);
	order.flags |= LOCK_CONVERT;
	assert_int_equal(lock_table_lock(s->table, &order), 0);
	said(s, "1.1=EX\"\" 1.1=EX");
	keeps(s, "r", "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx 1");
	reload(s);
	keeps(s, "r", "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx 1");
	lock_scene_free(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_row_of_the_table),
		cmocka_unit_test(unlock_stores_from_pw_and_ex_alone),
		cmocka_unit_test(unlock_by_force_of_a_conversion_stores_from_what_is_held),
		cmocka_unit_test(who_waited_gets_the_value_of_the_moment),
		cmocka_unit_test(refusal_returns_no_value),
		cmocka_unit_test(value_is_zeros_until_it_is_stored),
		cmocka_unit_test(doubted_value_is_marked_until_it_is_stored),
		cmocka_unit_test(death_of_a_writer_makes_the_value_doubtful),
		cmocka_unit_test(death_of_an_orphan_is_a_writers_too),
		cmocka_unit_test(death_while_converting_counts_what_was_held),
		cmocka_unit_test(values_have_the_size_of_the_lockspace),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
