/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The token, visit by visit (A.5): order, reliability, flow. T1 to T8 are the
 * steps of ring_token.c. The ring is n2's, of three, unless it is said.
 */
#include "tests/unit/ring_solo.h"

enum { N1, N2, N3 };

enum { FULL_BYTES = 931 }; /* payload: 1000 with its overhead */

static struct solo *three(int self, const struct ring_config *config)
{
	struct solo *s = solo_new(self, 3, config);

	solo_form(s, 7, 0);
	return s;
}

/* The token comes again, as it came last. */
static void same_token(struct solo *s)
{
	struct wire_token t = s->token;

	t.token_seq--;
	t.aru = t.seq;
	solo_token(s, t);
}

/* n1 has sent message `seq`, and we have it. */
static void data_of_n1(struct solo *s, uint64_t seq)
{
	solo_data(s, N1, (struct wire_data){ .ring = s->id, .seq = seq,
					     .origin = 1 });
}

/* Others have numbered messages up to seq. */
static void round_with(struct solo *s, uint64_t seq)
{
	s->token.seq = seq;
	solo_round(s);
}

/* T1, T8 */
static void safe_is_what_two_visits_saw_received_by_all(void **state)
{
	struct solo *s = three(N2, NULL);

	(void)state;
	s->want = 1;
	s->want_bytes = 10;
	s->want_safe = true;
	solo_round(s);
	assert_int_equal(s->token.seq, 1);
	solo_round(s);
	assert_int_equal(s->delivered_count, 0);
	same_token(s); /* A.14, 13: that is no second visit */
	data_of_n1(s, 1); /* nor is anything that looks for what to deliver */
	assert_int_equal(s->delivered_count, 0);
	solo_round(s);
	assert_int_equal(s->delivered_count, 1);
	solo_free(s);
}

/* A.14, 13 */
static void a_doubled_token_does_not_put_off_its_loss(void **state)
{
	struct solo *s = three(N2, NULL);

	(void)state;
	solo_round(s);
	solo_clear(s);
	solo_run(s, 900);
	same_token(s);
	solo_token(s, (struct wire_token){ .ring = { 1, 5 }, .token_seq = 999 });
	solo_run(s, 99);
	assert_int_equal(ring_state(s->ring), RING_OPERATIONAL);
	/* sent again by the clock only, a fifth of the token time each */
	assert_int_equal(solo_count(s, WIRE_TOKEN), 4);
	solo_run(s, 2);
	assert_int_equal(solo_stats(s)->operational_token_lost, 1);
	solo_free(s);
}

/* D13: the lease counts from there. All were there after we passed it on, not when it came. */
static void a_token_that_waited_for_us_vouches_for_the_time_of_the_one_before(void **state)
{
	struct solo *s = three(N2, NULL);
	uint64_t before, after;

	(void)state;
	solo_round(s);
	before = s->now;
	s->now += 60000ull * SOLO_MS; /* we stand still */
	solo_round(s);
	after = s->now;
	assert_int_equal(ring_timing(s->ring).previous_at, before);
	same_token(s); /* sent again while we stood */
	assert_int_equal(ring_timing(s->ring).previous_at, before);
	s->now += SOLO_MS;
	solo_round(s);
	assert_int_equal(ring_timing(s->ring).previous_at, after);
	solo_free(s);
}

/* T3 */
static const struct ring_config narrow = { .window_bytes = 10000,
					   .visit_bytes = 4000,
					   .ahead_bytes = 2000,
					   .packet_bytes = 1400 };

static struct solo *with_much_to_send(void)
{
	struct solo *s = three(N2, &narrow);

	s->want = 100;
	s->want_bytes = FULL_BYTES;
	return s;
}

static void a_visit_sends_no_more_than_its_share(void **state)
{
	struct solo *s = with_much_to_send();

	(void)state;
	solo_round(s);
	assert_int_equal(solo_count(s, WIRE_DATA), 4);
	assert_int_equal(s->token.flow_bytes, 4000);
	assert_int_equal(s->token.backlog_bytes, 100 * FULL_BYTES);
	solo_round(s); /* its own of the last time does not count */
	assert_int_equal(solo_count(s, WIRE_DATA), 8);
	assert_int_equal(s->token.flow_bytes, 4000);
	assert_int_equal(s->token.backlog_bytes, 96 * FULL_BYTES);
	solo_free(s);
}

static void a_rotation_takes_no_more_than_the_window(void **state)
{
	struct solo *s = with_much_to_send();

	(void)state;
	s->token.flow_bytes = 8500;
	solo_round(s);
	assert_int_equal(solo_count(s, WIRE_DATA), 2);
	assert_int_equal(s->token.flow_bytes, 10500);
	s->token.flow_bytes = 2000 + 12000;
	solo_round(s);
	assert_int_equal(solo_count(s, WIRE_DATA), 2);
	assert_int_equal(s->token.flow_bytes, 12000);
	solo_free(s);
}

static void who_has_a_quarter_of_all_that_waits_gets_a_quarter(void **state)
{
	struct solo *s = with_much_to_send();

	(void)state;
	s->token.backlog_bytes = 300 * FULL_BYTES;
	solo_round(s);
	assert_int_equal(solo_count(s, WIRE_DATA), 3); /* begun within 2500 */
	assert_int_equal(s->token.backlog_bytes, 400 * FULL_BYTES);
	solo_free(s);
}

static void a_visit_numbers_no_more_than_the_queues_can_take(void **state)
{
	struct solo *s = three(N2, NULL);

	(void)state;
	s->want = 5000;
	s->want_bytes = 16;
	solo_round(s);
	assert_int_equal(solo_count(s, WIRE_DATA), 1024);
	solo_free(s);
}

/* T5 to T7: the accelerated ring */
static void the_token_leaves_before_the_last_of_the_data(void **state)
{
	struct solo *s = with_much_to_send();

	(void)state;
	solo_round(s);
	assert_int_equal(s->out_count, 5);
	assert_int_equal(s->out[1].type, WIRE_DATA);
	assert_int_equal(s->out[2].type, WIRE_TOKEN);
	assert_int_equal(s->out[2].token.seq, 4);
	assert_int_equal(s->out[3].type, WIRE_DATA);
	assert_int_equal(s->out[4].data.seq, 4);
	solo_free(s);
}

/* T5: it may answer at once, and the token waits for nobody else */
static void what_fits_a_packet_is_at_the_successor_before_the_token(void **state)
{
	struct solo *s = three(N2, NULL);

	(void)state;
	s->want = 2;
	s->want_bytes = 10;
	solo_round(s);
	assert_int_equal(s->out_count, 5);
	for (int k = 0; k < 2; k++) {
		assert_int_equal(s->out[k].type, WIRE_DATA);
		assert_int_equal(s->out[k].data.seq, k + 1);
		assert_int_equal(s->out[k].to, 4);
		assert_int_equal(s->out[3 + k].type, WIRE_DATA);
		assert_int_equal(s->out[3 + k].data.seq, k + 1);
		assert_int_equal(s->out[3 + k].to, 1);
	}
	assert_int_equal(s->out[2].type, WIRE_TOKEN);
	assert_int_equal(s->out[2].to, 4);
	solo_free(s);
}

static void between_two_a_message_goes_once(void **state)
{
	struct solo *s = solo_new(N2, 2, NULL);

	(void)state;
	solo_form(s, 3, 0);
	solo_clear(s);
	s->want = 1;
	s->want_bytes = 10;
	solo_round(s);
	assert_int_equal(s->out_count, 2);
	assert_int_equal(s->out[0].type, WIRE_DATA);
	assert_int_equal(s->out[1].type, WIRE_TOKEN);
	solo_free(s);
}

/* T4; A.14, 12: what the token tells of now may still be on its way. */
static void a_hole_is_asked_for_when_it_was_surely_sent(void **state)
{
	struct solo *s = three(N2, NULL);

	(void)state;
	data_of_n1(s, 1);
	data_of_n1(s, 3);
	round_with(s, 4);
	assert_int_equal(s->token.rtr_count, 0);
	assert_int_equal(s->token.aru, 1);
	assert_int_equal(s->token.aru_node, 2);
	solo_round(s);
	assert_int_equal(s->token.rtr_count, 2);
	assert_int_equal(s->token.rtr[0].first, 2);
	assert_int_equal(s->token.rtr[1].first, 4);
	/* asked for already, by us and another: not twice */
	s->token.rtr[0] = (struct seq_range){ 2, 3 };
	s->token.rtr_count = 1;
	solo_round(s);
	solo_round(s);
	assert_int_equal(s->token.rtr_count, 1);
	data_of_n1(s, 2);
	data_of_n1(s, 4);
	s->token.rtr_count = 0;
	solo_round(s);
	assert_int_equal(s->token.aru, 4);
	assert_int_equal(s->token.aru_node, 0);
	assert_int_equal(s->delivered_count, 4);
	solo_free(s);
}

static void what_is_asked_for_is_sent_once(void **state)
{
	struct solo *s = three(N2, NULL);

	(void)state;
	data_of_n1(s, 1);
	data_of_n1(s, 2);
	s->token.seq = 4;
	s->token.aru = 0;
	s->token.aru_node = 3;
	s->token.rtr[0] = (struct seq_range){ 1, 4 };
	s->token.rtr_count = 1;
	solo_round(s);
	assert_int_equal(solo_stats(s)->mcast_retx, 2);
	/* the rest is somebody else's */
	assert_int_equal(s->token.rtr_count, 1);
	assert_int_equal(s->token.rtr[0].first, 3);
	assert_int_equal(s->token.rtr[0].count, 2);
	solo_free(s);
}

/* A.14, 10: who asks in vain asks less and less; who gets something, at once. */
static void asking_in_vain_slows_down(void **state)
{
	static const int asks_at[] = { 1, 2, 4, 8, 16, 32, 48 };
	struct solo *s = three(N2, NULL);
	int visit, asked = 0;

	(void)state;
	data_of_n1(s, 2);
	round_with(s, 4);
	for (visit = 1; visit < 50; visit++) {
		s->token.rtr_count = 0;
		solo_round(s);
		if (s->token.rtr_count > 0)
			assert_int_equal(visit, asks_at[asked++]);
	}
	assert_int_equal(asked, 7);
	data_of_n1(s, 1);
	s->token.rtr_count = 0;
	solo_round(s);
	assert_int_equal(s->token.rtr_count, 1);
	assert_int_equal(s->token.rtr[0].first, 3);
	solo_free(s);
}

/* A.14, 10, 11: it goes, tells so, and does not hold the others up. */
static void who_never_gets_what_it_lacks_leaves(void **state)
{
	struct solo *s = three(N2, NULL);
	bool has_told = false;
	int i;

	(void)state;
	data_of_n1(s, 2);
	round_with(s, 2);
	for (i = 0; i < 39; i++) {
		solo_run(s, 100);
		s->token.rtr_count = 0;
		solo_round(s);
	}
	assert_int_equal(ring_state(s->ring), RING_OPERATIONAL);
	solo_clear(s);
	solo_run(s, 200);
	solo_round(s);
	for (i = 0; i < s->out_count; i++)
		if (s->out[i].type == WIRE_JOIN && s->out[i].join.is_leave)
			has_told = true;
	assert_true(has_told);
	assert_int_equal(s->members, 2);
	solo_free(s);
}

/* --- an idle ring ------------------------------------------------------------------ */

/* n1's: the token is parked here. */
static struct solo *parked(void)
{
	static const struct ring_config long_hold = {
		.hold_ns = 500ull * SOLO_MS
	};
	struct solo *s = three(N1, &long_hold);
	int i;

	for (i = 0; i < 9; i++) {
		solo_clear(s);
		solo_round(s);
		if (s->out_count == 0)
			return s;
	}
	fail_msg("the token is not parked");
	return NULL;
}

static void an_idle_token_is_held_for_a_while(void **state)
{
	struct solo *s = parked();
	struct wire_token same = s->token;

	(void)state;
	same.token_seq += 2;
	solo_run(s, 400);
	solo_token(s, same); /* A.14, 13: a copy of the one that is held */
	solo_run(s, 99);
	assert_int_equal(s->out_count, 0);
	solo_run(s, 2);
	assert_int_equal(solo_count(s, WIRE_TOKEN), 1);
	solo_free(s);
}

static void a_held_token_is_called_back(void **state)
{
	struct solo *s = parked();

	(void)state;
	solo_name(s, N3, WIRE_HOLD_CANCEL, (struct ring_id){ 1, s->id.seq - 1 });
	assert_int_equal(s->out_count, 0);
	solo_name(s, N3, WIRE_HOLD_CANCEL, s->id);
	assert_int_equal(solo_count(s, WIRE_TOKEN), 1);
	solo_free(s);
}

static void who_wakes_calls_once(void **state)
{
	struct solo *s = three(N2, NULL);

	(void)state;
	solo_round(s);
	solo_round(s);
	solo_round(s);
	solo_clear(s);
	ring_wake(s->ring, s->now);
	ring_wake(s->ring, s->now);
	assert_int_equal(solo_count(s, WIRE_HOLD_CANCEL), 1);
	assert_int_equal(solo_last(s, WIRE_HOLD_CANCEL)->to, 1);
	solo_free(s);
}

/* A.14, 9: what an owner may do from within does not upset the visit. */
static void an_owner_may_wake_the_ring_from_within_a_delivery(void **state)
{
	struct solo *s = parked();
	int i;

	(void)state;
	s->want = 1;
	s->want_bytes = 16;
	s->wants_again = 1000;
	ring_wake(s->ring, s->now);
	for (i = 0; i < 1000; i++)
		solo_round(s);
	assert_int_equal(s->delivered_count, 1001);
	solo_free(s);

	s = solo_new(N2, 3, NULL); /* alone: the ring goes round in itself */
	solo_run(s, 200);
	assert_int_equal(s->members, 2);
	s->want = 1;
	s->want_bytes = 16;
	s->wants_again = 1000;
	ring_wake(s->ring, s->now);
	solo_run(s, 1);
	assert_int_equal(s->delivered_count, 1001);
	solo_free(s);
}

/* --- the plug ------------------------------------------------------------------------ */

static void ordinary_messages_wait_until_all_are_synchronised(void **state)
{
	struct solo *s = solo_new(N2, 3, NULL);

	(void)state;
	s->is_slow = true;
	s->want = 1;
	s->want_bytes = 16;
	solo_form(s, 7, 0);
	solo_round(s);
	assert_int_equal(s->unplugged, 0);
	assert_int_equal(ring_waiting_for(s->ring).bits[0], 2);
	/* n1's last message of that phase is still missing */
	s->token.seq = 1;
	ring_synchronised(s->ring, s->now);
	solo_round(s);
	assert_int_equal(s->unplugged, 0);
	solo_data(s, N1, (struct wire_data){ .ring = s->id, .seq = 1, .origin = 1,
					     .flags = WIRE_DATA_SYNC });
	assert_int_equal(s->delivered_count, 1);
	assert_int_equal(s->unplugged, 1);
	assert_int_equal(solo_count(s, WIRE_DATA), 0);
	solo_round(s);
	assert_int_equal(solo_last(s, WIRE_DATA)->data.seq, 2);
	/* and the same again on the next ring */
	solo_form(s, 7, 4);
	solo_round(s);
	assert_int_equal(s->unplugged, 1);
	assert_int_equal(ring_waiting_for(s->ring).bits[0], 2);
	solo_free(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(safe_is_what_two_visits_saw_received_by_all),
		cmocka_unit_test(a_doubled_token_does_not_put_off_its_loss),
		cmocka_unit_test(
			a_token_that_waited_for_us_vouches_for_the_time_of_the_one_before),
		cmocka_unit_test(a_visit_sends_no_more_than_its_share),
		cmocka_unit_test(a_rotation_takes_no_more_than_the_window),
		cmocka_unit_test(who_has_a_quarter_of_all_that_waits_gets_a_quarter),
		cmocka_unit_test(a_visit_numbers_no_more_than_the_queues_can_take),
		cmocka_unit_test(the_token_leaves_before_the_last_of_the_data),
		cmocka_unit_test(what_fits_a_packet_is_at_the_successor_before_the_token),
		cmocka_unit_test(between_two_a_message_goes_once),
		cmocka_unit_test(a_hole_is_asked_for_when_it_was_surely_sent),
		cmocka_unit_test(what_is_asked_for_is_sent_once),
		cmocka_unit_test(asking_in_vain_slows_down),
		cmocka_unit_test(who_never_gets_what_it_lacks_leaves),
		cmocka_unit_test(an_idle_token_is_held_for_a_while),
		cmocka_unit_test(a_held_token_is_called_back),
		cmocka_unit_test(who_wakes_calls_once),
		cmocka_unit_test(an_owner_may_wake_the_ring_from_within_a_delivery),
		cmocka_unit_test(ordinary_messages_wait_until_all_are_synchronised),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
