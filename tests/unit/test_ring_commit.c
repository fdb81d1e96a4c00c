/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Commit, step by step (A.8, A.11): which commit tokens are taken, what goes on
 * until it is back, and what happens if it is not.
 */
#include "tests/unit/ring_solo.h"

enum { N1, N2, N3, N4 };

/* n2 alone, and n1 has told it that it knows of n1 and n2. */
static struct solo *two_agree(void)
{
	struct solo *s = solo_new(N2, 3, NULL);

	solo_agree(s, 3, 0);
	return s;
}

static struct wire_commit first_of(uint64_t members, uint64_t seq)
{
	return (struct wire_commit){ .ring = { 1, seq },
				     .token_seq = 1,
				     .members = { { members } },
				     .entries = { { .is_filled = true } } };
}

static void expect(struct solo *s, struct wire_commit c, enum ring_state state)
{
	solo_commit(s, solo_predecessor(s, c.members), &c);
	assert_int_equal(ring_state(s->ring), state);
}

/* A.14, 20: dropped, if it is not what was agreed on. */
static void a_commit_token_for_others_is_refused(void **state)
{
	struct solo *s = two_agree();

	(void)state;
	expect(s, first_of(7, SOLO_FIRST_SEQ + 9), RING_GATHER);
	expect(s, first_of(3, SOLO_FIRST_SEQ + 9), RING_COMMIT);
	solo_free(s);
}

static void a_commit_token_without_us_is_refused(void **state)
{
	struct solo *s = two_agree();

	(void)state;
	expect(s, first_of(5, SOLO_FIRST_SEQ + 9), RING_GATHER);
	expect(s, first_of(1, SOLO_FIRST_SEQ + 9), RING_GATHER);
	solo_free(s);
}

static void the_second_round_cannot_come_first(void **state)
{
	struct solo *s = two_agree();
	struct wire_commit c = first_of(3, SOLO_FIRST_SEQ + 9);

	(void)state;
	c.round = 1;
	c.entries[1].is_filled = true;
	expect(s, c, RING_GATHER);
	solo_free(s);
}

/* E5: nor may a ring of an earlier life of ours come again (A.14, 4). */
static void a_ring_id_of_an_earlier_life_is_refused(void **state)
{
	struct solo *s = two_agree();

	(void)state;
	expect(s, first_of(3, SOLO_FIRST_SEQ), RING_GATHER);
	expect(s, first_of(3, SOLO_FIRST_SEQ + 1), RING_COMMIT);
	solo_free(s);
}

/* A.14, 5: the id of a ring that came to nothing is never used again (E5). */
static void the_commit_token_of_a_lost_ring_is_refused(void **state)
{
	struct wire_commit c = first_of(3, SOLO_FIRST_SEQ + 9);
	struct solo *s = two_agree();

	(void)state;
	expect(s, c, RING_COMMIT);
	s->high = c.ring.seq;
	solo_join(s, N1, 3, 0); /* n1 has given it up */
	assert_int_equal(ring_state(s->ring), RING_GATHER);
	expect(s, c, RING_GATHER);
	c.ring.seq++;
	expect(s, c, RING_COMMIT);
	solo_free(s);
}

/* A.14, 5: nor by us, when it is lost in recovery. */
static void a_ring_that_is_lost_in_recovery_is_burnt(void **state)
{
	struct solo *s = solo_new(N1, 2, NULL);
	struct wire_commit c;
	uint64_t seq;

	(void)state;
	solo_to_commit(s, 3, 0);
	seq = s->commit.ring.seq;
	c = solo_full_commit(s);
	solo_to_recovery(s, &c);
	solo_run(s, 1001);
	assert_int_equal(solo_stats(s)->recovery_token_lost, 1);
	assert_int_equal(ring_state(s->ring), RING_GATHER);
	solo_agree(s, 3, 0);
	assert_int_equal(ring_state(s->ring), RING_COMMIT);
	assert_true(s->commit.ring.seq > seq);
	solo_clear(s);
	solo_token(s, (struct wire_token){ .ring = { 1, seq }, .token_seq = 99 });
	assert_int_equal(solo_count(s, WIRE_TOKEN), 0);
	solo_free(s);
}

/* E5: a ring id that our disk does not cover waits for the disk. */
static void a_far_ring_id_waits_for_the_disk(void **state)
{
	const struct wire_commit c = first_of(3, 1 << 20);
	struct solo *s = two_agree();

	(void)state;
	expect(s, c, RING_GATHER);
	assert_true(s->save_seq >= 1 << 20);
	ring_seq_saved(s->ring, s->now, s->save_seq);
	expect(s, c, RING_COMMIT);
	solo_free(s);
}

static void the_representative_waits_for_its_disk(void **state)
{
	struct solo *s = solo_new(N1, 2, NULL);

	(void)state;
	s->high = 1 << 20;
	solo_agree(s, 3, 0);
	assert_int_equal(ring_state(s->ring), RING_GATHER);
	assert_true(s->save_seq >= 1 << 20);
	ring_seq_saved(s->ring, s->now, s->save_seq);
	assert_int_equal(ring_state(s->ring), RING_COMMIT);
	assert_int_equal(s->commit.ring.seq, (1 << 20) + 1);
	solo_free(s);
}

/* The owner can only say that it is saved, not that it could not be. */
static void a_disk_that_failed_is_asked_again(void **state)
{
	int self;

	(void)state;
	for (self = N1; self <= N2; self++) {
		struct solo *s = solo_new(self, 2, NULL);
		int i, asked = 0;

		s->high = 1 << 20;
		for (i = 0; i < 100; i++) {
			solo_agree(s, 3, 0);
			asked += s->save_seq > 0;
			s->save_seq = 0;
			solo_run(s, 100);
		}
		assert_in_range(asked, 5, 11); /* in ten tokens, and no flood */
		solo_free(s);
	}
}

static void a_token_that_not_all_have_filled_does_not_start_a_ring(void **state)
{
	struct solo *s = solo_new(N1, 3, NULL);
	struct wire_commit c;

	(void)state;
	solo_to_commit(s, 7, 0);
	c = solo_full_commit(s);
	solo_entry(&c, N3)->is_filled = false;
	expect(s, c, RING_COMMIT);
	solo_entry(&c, N3)->is_filled = true;
	expect(s, c, RING_RECOVERY);
	solo_free(s);
}

static void only_the_token_of_the_forming_ring_counts(void **state)
{
	struct solo *s = solo_new(N2, 3, NULL);
	struct wire_commit c;

	(void)state;
	solo_to_commit(s, 3, 0);
	c = solo_full_commit(s);
	c.round = 1;
	c.ring.seq++;
	expect(s, c, RING_COMMIT);
	c.ring.seq--;
	c.members.bits[0] = 7;
	solo_entry(&c, N3)->is_filled = true;
	expect(s, c, RING_COMMIT);
	c.members.bits[0] = 3;
	expect(s, c, RING_RECOVERY);
	solo_free(s);
}

/* A.14, 6: the first token goes out once, whatever comes twice. */
static void a_doubled_commit_token_starts_the_ring_once(void **state)
{
	struct solo *s = solo_new(N1, 3, NULL);
	struct wire_commit c, back;

	(void)state;
	solo_to_commit(s, 7, 0);
	c = solo_full_commit(s);
	solo_commit(s, N3, &c);
	solo_commit(s, N3, &c);
	assert_int_equal(solo_count(s, WIRE_COMMIT), 2); /* one a round */
	back = s->commit;
	back.token_seq += 2;
	solo_commit(s, N3, &back);
	solo_commit(s, N3, &back);
	back.token_seq += 3; /* not even if it went round once more */
	solo_commit(s, N3, &back);
	assert_int_equal(solo_count(s, WIRE_TOKEN), 1);
	solo_free(s);
}

/* Whoever lacks our join would find us silent: that they go on mends it. */
static void joins_go_on_while_the_ring_is_formed(void **state)
{
	struct solo *s = solo_new(N2, 3, NULL);

	(void)state;
	solo_to_commit(s, 7, 0);
	solo_clear(s);
	solo_run(s, 51);
	assert_in_range(solo_count(s, WIRE_JOIN), 2, 3);
	/* as from before: else they would be news to who commits, too */
	assert_true(solo_last(s, WIRE_JOIN)->join.ring_seq < s->commit.ring.seq);
	assert_int_equal(solo_last(s, WIRE_JOIN)->join.proc.bits[0], 7);
	solo_free(s);
}

/* Others wait for consensus only: the other mend of a lost packet. */
static void a_lost_commit_token_is_soon_sent_again(void **state)
{
	struct solo *s = solo_new(N2, 3, NULL);
	struct wire_commit c;

	(void)state;
	solo_to_commit(s, 7, 0);
	solo_run(s, 151);
	assert_int_equal(solo_count(s, WIRE_COMMIT), 4); /* every 50 ms */
	c = solo_full_commit(s);
	solo_to_recovery(s, &c);
	solo_clear(s);
	solo_run(s, 101);
	assert_int_equal(solo_count(s, WIRE_COMMIT), 2);
	solo_free(s);
}

static void a_commit_token_that_stays_away_is_lost(void **state)
{
	int self;

	(void)state;
	for (self = N1; self <= N2; self++) {
		struct solo *s = solo_new(self, 3, NULL);

		if (self != N1) {
			solo_agree(s, 7, 0);
			solo_run(s, 500); /* that was for it to come at all */
		}
		solo_to_commit(s, 7, 0);
		solo_run(s, 999);
		assert_int_equal(ring_state(s->ring), RING_COMMIT);
		solo_run(s, 2);
		assert_int_equal(ring_state(s->ring), RING_GATHER);
		assert_int_equal(solo_stats(s)->commit_token_lost, 1);
		solo_free(s);
	}
}

/* Only what a member of the forming ring has learnt calls us back. */
static void joins_while_the_ring_is_formed_count_if_they_are_news(void **state)
{
	struct solo *s = solo_new(N2, 4, NULL);

	(void)state;
	solo_to_commit(s, 7, 0);
	solo_join(s, N1, 7, 0);
	solo_join(s, N3, 5, 0);
	solo_join(s, N4, 0xf, 0);
	assert_int_equal(ring_state(s->ring), RING_COMMIT);
	solo_join(s, N3, 0xf, 0);
	assert_int_equal(ring_state(s->ring), RING_GATHER);
	solo_free(s);

	s = solo_new(N2, 4, NULL);
	solo_to_commit(s, 7, 0);
	solo_join(s, N3, 7, 1);
	assert_int_equal(s->commit.ring.rep, 2); /* n2 and n3 agree on it */
	solo_free(s);
}

/* A.6, A.14, 9: the forming ring is not there yet; nothing of it counts. */
static void tokens_and_data_wait_for_recovery(void **state)
{
	struct solo *s = solo_new(N2, 3, NULL);
	struct ring_id id;

	(void)state;
	solo_to_commit(s, 7, 0);
	id = s->commit.ring;
	solo_data(s, N1, (struct wire_data){ .ring = id, .seq = 1, .origin = 1 });
	solo_token(s, (struct wire_token){ .ring = id, .token_seq = 1, .seq = 1 });
	assert_int_equal(solo_stats(s)->rx_msg_dropped, 2);
	assert_int_equal(solo_count(s, WIRE_TOKEN), 0);
	assert_int_equal(ring_state(s->ring), RING_COMMIT);
	solo_free(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_commit_token_for_others_is_refused),
		cmocka_unit_test(a_commit_token_without_us_is_refused),
		cmocka_unit_test(the_second_round_cannot_come_first),
		cmocka_unit_test(a_ring_id_of_an_earlier_life_is_refused),
		cmocka_unit_test(the_commit_token_of_a_lost_ring_is_refused),
		cmocka_unit_test(a_ring_that_is_lost_in_recovery_is_burnt),
		cmocka_unit_test(a_far_ring_id_waits_for_the_disk),
		cmocka_unit_test(the_representative_waits_for_its_disk),
		cmocka_unit_test(a_disk_that_failed_is_asked_again),
		cmocka_unit_test(a_token_that_not_all_have_filled_does_not_start_a_ring),
		cmocka_unit_test(only_the_token_of_the_forming_ring_counts),
		cmocka_unit_test(a_doubled_commit_token_starts_the_ring_once),
		cmocka_unit_test(joins_go_on_while_the_ring_is_formed),
		cmocka_unit_test(a_lost_commit_token_is_soon_sent_again),
		cmocka_unit_test(a_commit_token_that_stays_away_is_lost),
		cmocka_unit_test(joins_while_the_ring_is_formed_count_if_they_are_news),
		cmocka_unit_test(tokens_and_data_wait_for_recovery),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
