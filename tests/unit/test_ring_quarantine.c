/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Quarantine (ring_gather.c): who is left out of rings in short order is not
 * listened to for a while. The ring is n2's, n3 the one that comes and goes.
 */
#include "tests/unit/ring_solo.h"

enum { N1, N2, N3 };

static bool is_listened_to(struct solo *s)
{
	uint64_t before = solo_stats(s)->quarantined_rx;

	solo_name(s, N3, WIRE_MERGE, (struct ring_id){ 3, 9 });
	return solo_stats(s)->quarantined_rx == before;
}

/* The token comes by now and then, so that the ring lives. */
static void let_pass(struct solo *s, uint64_t ms)
{
	for (; ms > 100; ms -= 100) {
		solo_run(s, 100);
		solo_round(s);
	}
	solo_run(s, ms);
}

static void leave_n3_out(struct solo *s)
{
	ring_evidence(s->ring, s->now, 3);
	solo_form(s, 7, 4);
}

static void let_n3_in(struct solo *s)
{
	solo_form(s, 7, 0);
	let_pass(s, 100); /* or evidence would be of an earlier life */
}

static struct solo *three(void)
{
	struct solo *s = solo_new(N2, 3, NULL);

	let_n3_in(s);
	return s;
}

/* It ends: nobody is shut out for ever. */
static void it_grows_from_nothing_to_64_tokens_and_ends(void **state)
{
	static const uint64_t spans[] = { 0, 1, 2, 4, 8, 16, 32, 64, 64 };
	struct solo *s = three();
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(spans) / sizeof(spans[0]); i++) {
		leave_n3_out(s);
		if (spans[i]) {
			let_pass(s, spans[i] * 1000 - 10);
			assert_false(is_listened_to(s));
			let_pass(s, 10);
		}
		assert_true(is_listened_to(s));
		assert_int_equal(ring_state(s->ring), RING_GATHER);
		let_n3_in(s);
	}
	solo_free(s);
}

/* Ten tokens without a fault, from when it was over. */
static void what_is_long_ago_is_forgiven(void **state)
{
	struct solo *s = three();

	(void)state;
	leave_n3_out(s);
	let_n3_in(s);
	leave_n3_out(s);
	let_pass(s, 1001);
	let_n3_in(s);
	let_pass(s, 9500);
	leave_n3_out(s);
	assert_false(is_listened_to(s));
	let_pass(s, 2001);
	let_n3_in(s);
	let_pass(s, 10000);
	leave_n3_out(s);
	assert_true(is_listened_to(s));
	solo_free(s);
}

/* n3 in quarantine for one token, and nobody in gather. */
static struct solo *quarantined(void)
{
	struct solo *s = three();

	leave_n3_out(s);
	let_n3_in(s);
	leave_n3_out(s);
	assert_int_equal(ring_state(s->ring), RING_OPERATIONAL);
	return s;
}

static void neither_joins_nor_merges_are_heard(void **state)
{
	struct solo *s = quarantined();

	(void)state;
	assert_false(is_listened_to(s));
	solo_join(s, N3, 7, 0);
	assert_int_equal(solo_stats(s)->quarantined_rx, 2);
	assert_int_equal(ring_state(s->ring), RING_OPERATIONAL);
	solo_free(s);
}

static void it_is_not_talked_to(void **state)
{
	struct solo *s = quarantined();

	(void)state;
	let_pass(s, 500);
	assert_int_equal(solo_count(s, WIRE_MERGE), 0);
	ring_evidence(s->ring, s->now, 1);
	assert_int_equal(solo_last(s, WIRE_JOIN)->to, 1);
	solo_free(s);
}

/* Others left it out again while it lasted: that changes nothing. */
static void nothing_prolongs_or_shortens_it(void **state)
{
	struct solo *s = quarantined();

	(void)state;
	let_pass(s, 800);
	solo_form(s, 7, 4);
	let_pass(s, 180);
	assert_false(is_listened_to(s));
	let_pass(s, 20);
	assert_true(is_listened_to(s));
	solo_free(s);
}

static void a_new_start_ends_it(void **state)
{
	struct solo *s = quarantined();

	(void)state;
	solo_say_join(s, N3, (struct wire_join){ .ring_seq = 1,
						 .incarnation = 2,
						 .proc = { { 4 } } });
	assert_int_equal(ring_state(s->ring), RING_GATHER);
	assert_int_equal(solo_last(s, WIRE_JOIN)->join.proc.bits[0], 7);
	solo_free(s);
}

static void whom_others_bring_along_is_listened_to(void **state)
{
	struct solo *s = quarantined();

	(void)state;
	solo_join(s, N1, 7, 0);
	solo_join(s, N3, 7, 0);
	assert_int_equal(solo_stats(s)->quarantined_rx, 0);
	/* all agree: only the commit token is missing */
	solo_run(s, 900);
	assert_int_equal(solo_stats(s)->consensus_timeouts, 0);
	solo_free(s);

	s = quarantined(); /* and when it is on the ring again, it is over */
	solo_form(s, 7, 0);
	assert_true(is_listened_to(s));
	solo_free(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(it_grows_from_nothing_to_64_tokens_and_ends),
		cmocka_unit_test(what_is_long_ago_is_forgiven),
		cmocka_unit_test(neither_joins_nor_merges_are_heard),
		cmocka_unit_test(it_is_not_talked_to),
		cmocka_unit_test(nothing_prolongs_or_shortens_it),
		cmocka_unit_test(a_new_start_ends_it),
		cmocka_unit_test(whom_others_bring_along_is_listened_to),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
