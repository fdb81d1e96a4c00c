/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Recovery, step by step (A.9, A.10): who sends which old message again, when it
 * is over, and what is delivered before and after the transitional
 * configuration. The ring is n2's; n1, n2 and n3 had one, with messages of n1
 * unless it is said.
 */
#include "tests/unit/ring_solo.h"

enum { N1, N2, N3, N4 };

/* n2 in operation, with what it holds of the messages up to `high`: bits. */
static struct solo *holding(uint64_t held, uint64_t high,
			    const struct ring_config *config)
{
	struct solo *s = solo_new(N2, 4, config); /* n4 is nobody */
	uint64_t seq;

	solo_form(s, 7, 0);
	for (seq = 1; seq <= high; seq++)
		if (held >> seq & 1)
			solo_data(s, N1, (struct wire_data){ .ring = s->id,
							     .seq = seq,
							     .origin = 1 });
	s->token.seq = high;
	solo_round(s);
	solo_clear(s);
	return s;
}

enum { HELD_1 = 1 << 1, HELD_2 = 1 << 2, HELD_3 = 1 << 3, HELD_4 = 1 << 4 };

/* Into recovery with these sets, others holding what the entry says. */
static struct ring_id recover(struct solo *s, uint64_t failed,
			      struct wire_commit_entry others)
{
	struct ring_id old = s->id;
	struct wire_commit c;

	solo_to_commit(s, 7, failed);
	c = solo_full_commit(s);
	others.old_ring = old;
	others.is_filled = true;
	if (!(failed & 1))
		*solo_entry(&c, N1) = others;
	if (!(failed & 4))
		*solo_entry(&c, N3) = others;
	solo_to_recovery(s, &c);
	return old;
}

static void until_installed(struct solo *s)
{
	int i;

	for (i = 0; i < 10 && ring_state(s->ring) == RING_RECOVERY; i++)
		solo_round(s);
	assert_int_equal(ring_state(s->ring), RING_OPERATIONAL);
}

/* An old message comes as `seq` of the new ring. */
static void data_again(struct solo *s, uint64_t seq, struct ring_id old,
		       uint64_t old_seq)
{
	solo_data(s, N1, (struct wire_data){ .ring = s->commit.ring, .seq = seq,
					     .origin = 1,
					     .flags = WIRE_DATA_RECOVERED,
					     .old_ring = old,
					     .old_seq = old_seq });
}

static struct wire_commit_entry has(uint64_t aru, uint64_t have)
{
	struct wire_commit_entry e = { .aru = aru, .high = aru,
				       .delivered = aru };

	if (have) {
		e.have_count = 1;
		e.have[0] = (struct seq_range){ have, 1 };
		e.high = have;
	}
	return e;
}

/* --- who sends what ------------------------------------------------------------------ */

static uint64_t sent_again(uint64_t failed, struct wire_commit_entry others)
{
	struct solo *s = holding(HELD_1 | HELD_2 | HELD_4, 4, NULL);
	uint64_t sent;

	(void)recover(s, failed, others);
	solo_round(s);
	sent = solo_stats(s)->recovered_tx;
	solo_free(s);
	return sent;
}

static void what_all_hold_is_not_sent_again(void **state)
{
	(void)state;
	assert_int_equal(sent_again(0, has(2, 4)), 0);
}

static void what_somebody_lacks_is_sent_by_the_lowest_holder(void **state)
{
	(void)state;
	assert_int_equal(sent_again(0, has(2, 0)), 1);
	assert_int_equal(sent_again(1, has(0, 4)), 2);
	assert_int_equal(sent_again(1, has(0, 0)), 3);
}

/* What found no room in a range, all who hold it send. */
static void what_could_not_be_told_is_sent_by_its_holders(void **state)
{
	struct solo *s = holding(0x15555, 16, NULL); /* 2, 4 ... 16 */

	(void)state;
	(void)recover(s, 0, has(0, 0));
	solo_round(s);
	assert_int_equal(solo_stats(s)->recovered_tx, 8);
	solo_free(s);
}

/* One may hold all that the others lack, and all wait. */
static void recovery_is_not_slowed_by_the_share_of_a_visit(void **state)
{
	static const struct ring_config narrow = { .visit_bytes = 100 };
	struct solo *s = holding(0x7fe, 10, &narrow);

	(void)state;
	(void)recover(s, 1, has(0, 0));
	solo_round(s);
	assert_int_equal(solo_stats(s)->recovered_tx, 10);
	assert_int_equal(s->token.retrans, 0);
	solo_free(s);
}

static void nothing_new_is_sent_in_recovery(void **state)
{
	struct solo *s = holding(0, 0, NULL);

	(void)state;
	(void)recover(s, 0, has(0, 0));
	solo_clear(s);
	s->want = 1;
	s->want_bytes = 16;
	solo_round(s);
	solo_round(s);
	assert_int_equal(ring_state(s->ring), RING_RECOVERY);
	assert_int_equal(solo_count(s, WIRE_DATA), 0);
	solo_round(s);
	assert_int_equal(ring_state(s->ring), RING_OPERATIONAL);
	solo_free(s);
}

/* --- when it is over ----------------------------------------------------------------- */

/* While one member has some left to send, the exchange goes on. */
static void nobody_installs_before_all_have_sent(void **state)
{
	struct solo *s = holding(0, 0, NULL);
	int i;

	(void)state;
	(void)recover(s, 0, has(0, 0));
	s->token.retrans = 1;
	for (i = 0; i < 10; i++)
		solo_round(s);
	assert_int_equal(ring_state(s->ring), RING_RECOVERY);
	s->token.retrans = 0;
	until_installed(s);
	solo_free(s);
}

/* E4: what follows the exchange is not stable before all have installed. */
static void aru_stays_at_the_end_of_the_exchange(void **state)
{
	struct solo *s = holding(0, 0, NULL);
	struct ring_id old;

	(void)state;
	old = recover(s, 0, has(0, 0));
	data_again(s, 1, old, 1);
	data_again(s, 2, old, 2);
	s->token.seq = 2;
	s->token.aru = 1;
	s->token.aru_node = 3;
	solo_round(s);
	solo_round(s); /* it is known now: 2 */
	solo_data(s, N1, (struct wire_data){ .ring = s->commit.ring, .seq = 3,
					     .origin = 1 });
	s->token.seq = 3;
	s->token.aru_node = 0; /* n3 has them, too */
	solo_round(s);
	assert_int_equal(ring_state(s->ring), RING_RECOVERY);
	assert_int_equal(s->token.aru, 2);
	assert_int_equal(s->token.aru_node, 2);
	solo_free(s);
}

/* What it asked for and could not get on the old ring is not held against it. */
static void recovery_begins_with_a_clean_slate(void **state)
{
	struct solo *s = holding(HELD_2, 2, NULL);
	struct ring_id old;
	int i;

	(void)state;
	for (i = 0; i < 39; i++) {
		solo_run(s, 100);
		s->token.rtr_count = 0;
		solo_round(s);
	}
	assert_int_equal(ring_state(s->ring), RING_OPERATIONAL);
	solo_run(s, 200);
	s->token.rtr_count = 0;
	old = recover(s, 0, has(2, 0));
	data_again(s, 2, old, 1);
	s->token.seq = 2;
	solo_round(s);
	assert_int_equal(ring_state(s->ring), RING_RECOVERY);
	solo_round(s);
	assert_int_equal(s->token.rtr_count, 1);
	assert_int_equal(s->token.rtr[0].first, 1);
	solo_free(s);
}

/* --- what is delivered, and when ----------------------------------------------------- */

static void recovered_messages_are_delivered_at_the_end(void **state)
{
	struct solo *s = holding(HELD_1 | HELD_3, 3, NULL);
	struct ring_id old;

	(void)state;
	old = recover(s, 0, has(3, 0));
	data_again(s, 1, old, 2);
	s->token.seq = 1;
	solo_round(s);
	solo_round(s);
	assert_int_equal(ring_state(s->ring), RING_RECOVERY);
	assert_int_equal(s->delivered_count, 0);
	until_installed(s);
	/* no hole, nothing safe: all of it still in the old configuration */
	assert_int_equal(s->delivered_count, 2);
	assert_int_equal(s->before_transitional, 2);
	assert_int_equal(s->delivered[0], 2);
	assert_int_equal(s->delivered[1], 3);
	solo_free(s);
}

static void messages_of_another_old_ring_are_not_ours(void **state)
{
	struct solo *s = holding(HELD_1, 2, NULL);
	struct ring_id old;

	(void)state;
	old = recover(s, 0, has(1, 0));
	data_again(s, 1, (struct ring_id){ old.rep, old.seq - 1 }, 2);
	data_again(s, 2, (struct ring_id){ 3, old.seq }, 2);
	s->token.seq = 2;
	until_installed(s);
	assert_int_equal(s->delivered_count, 0);
	solo_free(s);
}

/* E3: until we have told what we hold, what comes late is welcome. */
static void data_that_comes_late_counts_until_we_have_told(void **state)
{
	struct solo *s = holding(HELD_1 | HELD_3, 3, NULL);
	struct wire_data late = { .ring = s->id, .seq = 2, .origin = 1 };

	(void)state;
	solo_run(s, 30); /* or it would be evidence of an earlier life */
	ring_evidence(s->ring, s->now, 1);
	assert_int_equal(ring_state(s->ring), RING_GATHER);
	solo_data(s, N4, late);
	assert_int_equal(solo_stats(s)->rx_msg_dropped, 1);
	solo_data(s, N1, late);
	solo_to_commit(s, 7, 1);
	assert_int_equal(solo_entry(&s->commit, N2)->aru, 3);
	solo_free(s);

	s = holding(HELD_1 | HELD_3, 4, NULL);
	late.ring = s->id;
	solo_to_commit(s, 7, 1);
	solo_data(s, N1, late);
	{
		struct wire_commit c = solo_full_commit(s);

		assert_int_equal(solo_entry(&c, N2)->aru, 1);
		solo_to_recovery(s, &c);
	}
	solo_data(s, N1, late);
	until_installed(s);
	assert_int_equal(s->delivered_count, 0);
	solo_free(s);
}

/* Behind a hole only what is of somebody who comes along: E1. */
static void behind_a_hole_only_companions_are_heard(void **state)
{
	struct solo *s = holding(HELD_1, 5, NULL);

	(void)state;
	solo_data(s, N1, (struct wire_data){ .ring = s->id, .seq = 3, .origin = 1 });
	solo_data(s, N3, (struct wire_data){ .ring = s->id, .seq = 4, .origin = 3 });
	(void)recover(s, 1, has(1, 4));
	until_installed(s);
	assert_int_equal(s->before_transitional, 0);
	assert_int_equal(s->delivered_count, 1);
	assert_int_equal(s->delivered[0], 4);
	solo_free(s);
}

/* E4: a safe message that nobody knows to be held by all waits. */
static void safe_messages_that_nobody_knows_to_be_safe_come_after(void **state)
{
	const struct wire_data safe = { .seq = 2, .origin = 1,
					.flags = WIRE_DATA_SAFE };
	uint64_t known;

	(void)state;
	for (known = 1; known <= 2; known++) {
		struct solo *s = holding(HELD_1, 2, NULL);
		struct wire_commit_entry others = has(2, 0);
		struct wire_data d = safe;

		d.ring = s->id;
		solo_data(s, N1, d);
		others.delivered = 1;
		others.safe = known;
		(void)recover(s, 0, others);
		until_installed(s);
		assert_int_equal(s->delivered_count, 1);
		assert_int_equal(s->before_transitional, known - 1);
		solo_free(s);
	}
}

/* What a configuration says; ids and counters begin anew. */
static void a_new_ring_numbers_its_own_messages(void **state)
{
	struct solo *s = holding(HELD_1 | HELD_2, 2, NULL);
	uint64_t seq;

	(void)state;
	(void)recover(s, 1, has(0, 0));
	until_installed(s);
	assert_int_equal(s->regular.left.bits[0], 1);
	assert_int_equal(s->regular.members.bits[0], 6);
	seq = s->token.seq; /* the recovered ones took numbers */
	assert_int_equal(seq, 2);
	solo_clear(s);
	solo_round(s);
	s->want = 1;
	s->want_bytes = 16;
	solo_round(s);
	assert_int_equal(s->delivered_count, 1);
	assert_int_equal(s->delivered[0], 3);
	solo_free(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_all_hold_is_not_sent_again),
		cmocka_unit_test(what_somebody_lacks_is_sent_by_the_lowest_holder),
		cmocka_unit_test(what_could_not_be_told_is_sent_by_its_holders),
		cmocka_unit_test(recovery_is_not_slowed_by_the_share_of_a_visit),
		cmocka_unit_test(nothing_new_is_sent_in_recovery),
		cmocka_unit_test(nobody_installs_before_all_have_sent),
		cmocka_unit_test(aru_stays_at_the_end_of_the_exchange),
		cmocka_unit_test(recovery_begins_with_a_clean_slate),
		cmocka_unit_test(recovered_messages_are_delivered_at_the_end),
		cmocka_unit_test(messages_of_another_old_ring_are_not_ours),
		cmocka_unit_test(data_that_comes_late_counts_until_we_have_told),
		cmocka_unit_test(behind_a_hole_only_companions_are_heard),
		cmocka_unit_test(safe_messages_that_nobody_knows_to_be_safe_come_after),
		cmocka_unit_test(a_new_ring_numbers_its_own_messages),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
