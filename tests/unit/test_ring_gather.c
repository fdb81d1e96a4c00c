/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Gather, step by step (A.7, A.12): what a join, a silence, a foreign ring mean
 * for the two sets. Letters are those of ring_gather.c. The ring is n2's.
 */
#include "tests/unit/ring_solo.h"

enum { N1, N2, N3, N4 };

static uint64_t failed_told(const struct solo *s)
{
	return solo_last(s, WIRE_JOIN)->join.failed.bits[0];
}

static uint64_t proc_told(const struct solo *s)
{
	return solo_last(s, WIRE_JOIN)->join.proc.bits[0];
}

static void alone_it_waits_four_joins_then_rings(void **state)
{
	struct solo *s = solo_new(N2, 3, NULL);

	(void)state;
	solo_run(s, 99);
	assert_int_equal(ring_state(s->ring), RING_GATHER);
	assert_true(solo_count(s, WIRE_JOIN) >= 3);
	solo_run(s, 2);
	assert_int_equal(ring_state(s->ring), RING_OPERATIONAL);
	solo_free(s);
}

static void the_silent_are_failed_before_who_tells_other_sets(void **state)
{
	struct solo *s = solo_new(N2, 4, NULL);

	(void)state;
	solo_join(s, N1, 1, 0);
	solo_join(s, N3, 0xc, 0); /* n4, of whom nothing is heard */
	solo_run(s, 205);
	assert_int_equal(solo_stats(s)->consensus_timeouts, 1);
	assert_int_equal(failed_told(s), 8);
	solo_free(s);
}

static void who_tells_other_sets_is_failed_when_nobody_is_silent(void **state)
{
	struct solo *s = solo_new(N2, 3, NULL);

	(void)state;
	solo_join(s, N3, 7, 0);
	solo_join(s, N1, 3, 0);
	solo_run(s, 210);
	assert_int_equal(failed_told(s), 1);
	solo_free(s);
}

static void who_was_heard_must_be_heard_again(void **state)
{
	struct solo *s = solo_new(N2, 4, NULL);

	(void)state;
	solo_join(s, N1, 0xf, 0);
	solo_join(s, N1, 1, 0);
	solo_join(s, N3, 4, 0);
	solo_run(s, 205);
	assert_int_equal(failed_told(s), 8);
	solo_join(s, N1, 1, 0);
	solo_run(s, 205);
	assert_int_equal(failed_told(s), 0xc);
	solo_free(s);
}

/* (c) */
static void a_join_of_the_failed_changes_nothing(void **state)
{
	struct solo *s = solo_new(N2, 4, NULL);

	(void)state;
	solo_join(s, N1, 7, 4);
	solo_join(s, N3, 0xf, 0);
	solo_run(s, 30);
	assert_int_equal(proc_told(s), 7);
	assert_int_equal(failed_told(s), 4);
	solo_free(s);
}

/* (d) */
static void who_rejects_us_is_failed(void **state)
{
	struct solo *s = solo_new(N2, 3, NULL);

	(void)state;
	solo_join(s, N1, 7, 2);
	solo_run(s, 30);
	assert_int_equal(proc_told(s), 7);
	assert_int_equal(failed_told(s), 1);
	solo_free(s);
}

/* (d): else two strangers that see a third one differently never agree */
static void a_stranger_is_believed_of_strangers(void **state)
{
	struct solo *s = solo_new(N2, 3, NULL);

	(void)state;
	solo_join(s, N1, 7, 4);
	solo_run(s, 4);
	assert_int_equal(failed_told(s), 4);
	solo_join(s, N1, 7, 4);
	solo_run(s, 190);
	assert_int_equal(solo_stats(s)->consensus_timeouts, 0);
	solo_free(s);
}

static void a_stranger_is_not_believed_of_companions(void **state)
{
	struct solo *s = solo_new(N2, 4, NULL);

	(void)state;
	solo_form(s, 7, 0);
	solo_join(s, N4, 0xf, 1);
	assert_int_equal(ring_state(s->ring), RING_GATHER);
	solo_run(s, 30);
	assert_int_equal(failed_told(s), 0);
	solo_free(s);
}

static void a_companion_is_believed_of_companions(void **state)
{
	struct solo *s = solo_new(N2, 3, NULL);

	(void)state;
	solo_form(s, 7, 0);
	solo_join(s, N1, 7, 4);
	solo_run(s, 4);
	assert_int_equal(failed_told(s), 4);
	solo_free(s);
}

static void a_companion_that_goes_without_us_is_convicted(void **state)
{
	struct solo *s = solo_new(N2, 3, NULL);

	(void)state;
	solo_form(s, 7, 0);
	solo_join(s, N3, 7, 2);
	assert_int_equal(ring_state(s->ring), RING_GATHER);
	assert_int_equal(failed_told(s), 4);
	solo_free(s);
}

/* A join needs no answer each: who knows less is told by our next one. */
static void joins_follow_each_other_at_a_distance(void **state)
{
	struct solo *s = solo_new(N2, 4, NULL);
	int i;

	(void)state;
	solo_run(s, 4);
	solo_clear(s);
	solo_join(s, N1, 1, 0); /* news */
	solo_join(s, N3, 4, 0); /* news again, at once */
	for (i = 0; i < 5; i++)
		solo_join(s, N1, 1, 0); /* (b) */
	assert_int_equal(solo_count(s, WIRE_JOIN), 1);
	solo_run(s, 5);
	assert_int_equal(solo_count(s, WIRE_JOIN), 2);
	assert_int_equal(proc_told(s), 7);
	solo_run(s, 50);
	assert_int_equal(solo_count(s, WIRE_JOIN), 4);
	solo_free(s);
}

/* The commit token must come, as any other; meanwhile nobody is convicted. */
static void agreed_it_awaits_the_commit_token(void **state)
{
	struct solo *s = solo_new(N2, 3, NULL);
	int i;

	(void)state;
	solo_agree(s, 7, 0);
	for (i = 0; i < 99; i++) {
		solo_run(s, 10);
		solo_join(s, N1, 7, 0); /* and these do not put it off */
	}
	assert_int_equal(solo_stats(s)->consensus_timeouts, 0);
	assert_int_equal(solo_stats(s)->gather_token_lost, 0);
	solo_run(s, 11);
	assert_int_equal(solo_stats(s)->gather_token_lost, 1);
	assert_int_equal(failed_told(s), 0);
	solo_free(s);
}

/* A.12 */
static void a_foreign_ring_is_joined(void **state)
{
	struct solo *s = solo_new(N2, 4, NULL);

	(void)state;
	solo_form(s, 3, 0);
	solo_name(s, N3, WIRE_MERGE, (struct ring_id){ 3, s->id.seq - 5 });
	assert_int_equal(ring_state(s->ring), RING_GATHER);
	assert_int_equal(proc_told(s), 7);
	/* and another one, while it gathers */
	solo_name(s, N4, WIRE_MERGE, (struct ring_id){ 4, 9 });
	solo_run(s, 30);
	assert_int_equal(proc_told(s), 0xf);
	solo_free(s);
}

static void our_own_ring_and_its_past_are_not_foreign(void **state)
{
	struct solo *s = solo_new(N2, 4, NULL);

	(void)state;
	solo_form(s, 3, 0);
	solo_name(s, N1, WIRE_MERGE, s->id);
	solo_name(s, N3, WIRE_MERGE, s->id);
	solo_name(s, N1, WIRE_MERGE, (struct ring_id){ 1, s->id.seq - 1 });
	assert_int_equal(ring_state(s->ring), RING_OPERATIONAL);
	solo_free(s);
}

static void others_are_looked_for_among_those_who_are_missing(void **state)
{
	struct solo *s = solo_new(N2, 4, NULL);
	int i;

	(void)state;
	solo_form(s, 3, 0);
	for (i = 0; i < 6; i++) {
		solo_round(s); /* busy or not: row 16 */
		solo_run(s, 100);
	}
	assert_in_range(solo_count(s, WIRE_MERGE), 2, 3);
	assert_int_equal(solo_last(s, WIRE_MERGE)->to, 0xc);
	assert_true(ring_id_equal(solo_last(s, WIRE_MERGE)->id, s->id));
	solo_free(s);
}

/* A.6: data of a later ring, by one of ours: it has moved on without us. */
static void data_of_a_later_ring_of_a_companion_calls_to_gather(void **state)
{
	struct wire_data d = { .seq = 1, .origin = 1 };
	struct solo *s = solo_new(N2, 4, NULL);

	(void)state;
	solo_form(s, 7, 0);
	d.ring = (struct ring_id){ 1, s->id.seq - 1 };
	solo_data(s, N1, d);
	assert_int_equal(ring_state(s->ring), RING_OPERATIONAL);
	d.ring.seq = s->id.seq + 1;
	solo_data(s, N1, d);
	assert_int_equal(ring_state(s->ring), RING_GATHER);
	solo_free(s);
}

static void the_new_ring_is_beyond_all_that_anybody_has_seen(void **state)
{
	struct solo *s = solo_new(N1, 2, NULL);

	(void)state;
	solo_say_join(s, N2, (struct wire_join){ .ring_seq = SOLO_FIRST_SEQ + 99,
						 .incarnation = 1,
						 .proc = { { 3 } } });
	assert_int_equal(ring_state(s->ring), RING_COMMIT);
	assert_int_equal(s->commit.ring.seq, SOLO_FIRST_SEQ + 100);
	solo_free(s);
}

/*
 * A node whose configuration has one more: its joins cannot be read, so it cannot
 * be let in, and its other packets would call to gather for nothing, for ever.
 */
static void who_names_nodes_that_we_do_not_know_disturbs_nobody(void **state)
{
	static const struct node_table more = { { 1, 2, 3, 4 }, 4 };
	const struct wire_context voice = { .nodes = &more, .self = 3,
					    .cluster = wire_cluster_hash("solo") };
	const struct wire_join join = { .ring_seq = 1, .incarnation = 1,
					.proc = { { 0xc } } };
	struct solo *s = solo_new(N2, 3, NULL);
	uint8_t packet[WIRE_MAX_PACKET];

	(void)state;
	solo_form(s, 3, 0);
	ring_receive(s->ring, s->now, packet, wire_write_join(&voice, &join, packet));
	assert_int_equal(solo_stats(s)->faults[WIRE_UNKNOWN_NODE], 1);
	solo_name(s, N3, WIRE_MERGE, (struct ring_id){ 3, s->high + 9 });
	assert_int_equal(ring_state(s->ring), RING_OPERATIONAL);
	/* its configuration was mended */
	solo_join(s, N3, 4, 0);
	assert_int_equal(ring_state(s->ring), RING_GATHER);
	solo_free(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(alone_it_waits_four_joins_then_rings),
		cmocka_unit_test(the_silent_are_failed_before_who_tells_other_sets),
		cmocka_unit_test(who_tells_other_sets_is_failed_when_nobody_is_silent),
		cmocka_unit_test(who_was_heard_must_be_heard_again),
		cmocka_unit_test(a_join_of_the_failed_changes_nothing),
		cmocka_unit_test(who_rejects_us_is_failed),
		cmocka_unit_test(a_stranger_is_believed_of_strangers),
		cmocka_unit_test(a_stranger_is_not_believed_of_companions),
		cmocka_unit_test(a_companion_is_believed_of_companions),
		cmocka_unit_test(a_companion_that_goes_without_us_is_convicted),
		cmocka_unit_test(joins_follow_each_other_at_a_distance),
		cmocka_unit_test(agreed_it_awaits_the_commit_token),
		cmocka_unit_test(a_foreign_ring_is_joined),
		cmocka_unit_test(our_own_ring_and_its_past_are_not_foreign),
		cmocka_unit_test(others_are_looked_for_among_those_who_are_missing),
		cmocka_unit_test(data_of_a_later_ring_of_a_companion_calls_to_gather),
		cmocka_unit_test(the_new_ring_is_beyond_all_that_anybody_has_seen),
		cmocka_unit_test(who_names_nodes_that_we_do_not_know_disturbs_nobody),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
