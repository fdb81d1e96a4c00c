/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Who took part, and whether that is over. */
#include "tests/unit/help.h"

#include <string.h>

#include "base/codec.h"
#include "lockres/roster.h"

static const struct node_table three = { { 1, 2, 3 }, 3 };

static void who_remembers_nothing_takes_all_to_be_alive(void **state)
{
	struct roster r = roster_blank();

	(void)state;
	for (int i = 0; i < 3; i++)
		assert_true(roster_is_open(&r, i));
	assert_true(roster_note_over(&r, 2, 7, 1));
	assert_false(roster_is_open(&r, 2));
}

static void a_proof_of_an_earlier_process_says_nothing_of_a_later_one(void **state)
{
	struct roster r = roster_blank();

	(void)state;
	roster_note_here(&r, 1, 50, 10);
	assert_false(roster_note_over(&r, 1, 49, 12));
	assert_true(roster_is_open(&r, 1));
	assert_true(roster_note_over(&r, 1, 50, 12));
	assert_false(roster_note_over(&r, 1, 50, 14));
}

static void who_stays_is_the_same_and_seen_anew(void **state)
{
	struct roster r = roster_blank(), before;

	(void)state;
	roster_note_here(&r, 0, 1, 10);
	before = r;
	roster_note_here(&r, 0, 1, 12);
	assert_int_equal(r.of[0].noted_on, 10);
	assert_int_equal(r.of[0].seen_on, 12);
	assert_false(roster_is_equal(&r, &before)); /* and goes to the disk */
	roster_merge(&before, &r);
	assert_true(roster_is_equal(&r, &before));
	roster_note_here(&r, 0, 2, 14);
	assert_int_equal(r.of[0].noted_on, 14);
	roster_note_over(&r, 0, 2, 16);
	roster_note_here(&r, 0, 2, 18); /* it was not dead, whoever said so */
	assert_true(roster_is_open(&r, 0));
}

/* Wherever it was seen meanwhile: who is over stays so. */
static void a_proof_stands_against_who_saw_that_process_later(void **state)
{
	struct roster a = roster_blank(), b = roster_blank();

	(void)state;
	roster_note_here(&a, 0, 5, 10);
	b = a;
	roster_note_here(&a, 0, 5, 20);
	roster_note_over(&b, 0, 5, 18);
	roster_merge(&a, &b);
	assert_false(roster_is_open(&a, 0));
	roster_merge(&b, &a);
	assert_true(roster_is_equal(&a, &b));
}

static void what_was_noted_later_counts_in_any_order(void **state)
{
	struct roster a = roster_blank(), b = roster_blank(), ab, ba;

	(void)state;
	roster_note_here(&a, 0, 5, 10);
	roster_note_here(&b, 0, 5, 10);
	roster_note_over(&b, 0, 5, 12);
	roster_note_here(&a, 1, 9, 20); /* it came again, and b was not there */
	roster_note_here(&b, 1, 8, 10);
	roster_note_over(&b, 1, 8, 14);
	roster_note_here(&a, 2, 3, 20);
	roster_note_over(&a, 2, 3, 20); /* in the configuration in which it came */
	roster_note_here(&b, 2, 3, 20);
	ab = a;
	roster_merge(&ab, &b);
	ba = b;
	roster_merge(&ba, &a);
	assert_true(roster_is_equal(&ab, &ba));
	assert_false(roster_is_open(&ab, 0));
	assert_true(roster_is_open(&ab, 1));
	assert_false(roster_is_open(&ab, 2));
}

static void who_was_outlived_is_known_by_ring_and_process(void **state)
{
	struct roster r = roster_blank();

	(void)state;
	roster_note_here(&r, 0, 5, 10);
	assert_false(roster_is_outlived(&r, 0, 5, 10));
	roster_note_over(&r, 0, 5, 20);
	assert_true(roster_is_outlived(&r, 0, 5, 10));
	assert_false(roster_is_outlived(&r, 0, 6, 10)); /* a later process */
	assert_false(roster_is_outlived(&r, 0, 5, 30)); /* what it has is newer */
}

static void what_is_written_is_read(void **state)
{
	uint8_t bytes[ROSTER_MAX_BYTES];
	struct wr wr = wr_over(bytes, sizeof(bytes));
	struct roster r = roster_blank(), back;
	struct rd rd;

	(void)state;
	roster_note_here(&r, 0, 5, 10);
	roster_note_over(&r, 1, 1ull << 60, 12);
	roster_write(&wr, &r, &three);
	for (size_t length = 0; length < wr.at; length++) {
		rd = rd_over(bytes, length);
		assert_false(roster_read(&rd, &back, &three));
	}
	rd = rd_over(bytes, wr.at);
	assert_true(roster_read(&rd, &back, &three));
	assert_int_equal(rd.at, wr.at);
	assert_memory_equal(&back, &r, 3 * sizeof(r.of[0]));
}

static void who_is_not_in_it_was_never_met(void **state)
{
	static const struct node_table before = { { 1, 2 }, 2 };
	uint8_t bytes[ROSTER_MAX_BYTES];
	struct wr wr = wr_over(bytes, sizeof(bytes));
	struct roster r = roster_blank(), back;
	struct rd rd;

	(void)state;
	roster_write(&wr, &r, &before);
	rd = rd_over(bytes, wr.at);
	assert_true(roster_read(&rd, &back, &three));
	assert_true(roster_is_open(&back, 1));
	assert_false(roster_is_open(&back, 2)); /* it was configured since */
}

static void flags_that_nobody_knows_are_refused(void **state)
{
	uint8_t bytes[ROSTER_MAX_BYTES];
	struct wr wr = wr_over(bytes, sizeof(bytes));
	struct roster r = roster_blank();
	struct rd rd;

	(void)state;
	roster_write(&wr, &r, &three);
	bytes[1 + 4] = 0x82;
	rd = rd_over(bytes, wr.at);
	assert_false(roster_read(&rd, &r, &three));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(who_remembers_nothing_takes_all_to_be_alive),
		cmocka_unit_test(a_proof_of_an_earlier_process_says_nothing_of_a_later_one),
		cmocka_unit_test(who_stays_is_the_same_and_seen_anew),
		cmocka_unit_test(a_proof_stands_against_who_saw_that_process_later),
		cmocka_unit_test(what_was_noted_later_counts_in_any_order),
		cmocka_unit_test(who_was_outlived_is_known_by_ring_and_process),
		cmocka_unit_test(what_is_written_is_read),
		cmocka_unit_test(who_is_not_in_it_was_never_met),
		cmocka_unit_test(flags_that_nobody_knows_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
