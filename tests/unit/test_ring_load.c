/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the ring carries: load, losses on purpose, and no load at all; much of it
 * from A.14 of the specification. The checker of the simulator watches E1 to E5.
 */
#include "tests/unit/ring_rig.h"

#include <string.h>

static void a_lone_message_wakes_an_idle_ring(void **state)
{
	struct sim_world *w = ring_rig_new(5);
	uint64_t before;
	int i;

	(void)state;
	for (i = 0; i < 5; i++) {
		ring_rig_run(w, 500);
		before = ring_rig_deliveries(w, 0);
		sim_send(w, i, 1, 100, false);
		ring_rig_run(w, 5);
		assert_int_equal(ring_rig_deliveries(w, 0), before + 1);
	}
	ring_rig_free(w);
}

/* A parked token, a lone node, services that take long: none of them spins. */
static void an_idle_ring_costs_next_to_nothing(void **state)
{
	struct sim_world *w;
	uint64_t before;
	int nodes;

	(void)state;
	for (nodes = 1; nodes <= 3; nodes += 2) {
		w = ring_rig_cold(nodes);
		w->sync_ns = 1;
		for (before = 0; before < (uint64_t)nodes; before++)
			sim_start(w, (int)before);
		ring_rig_run(w, 1000);
		before = w->events;
		ring_rig_run(w, 1000);
		assert_in_range(w->events - before, 1, 150 * (uint64_t)nodes);
		ring_rig_free(w);
	}
}

static void services_that_take_long_do_not_make_the_token_spin(void **state)
{
	struct sim_world *w = ring_rig_cold(3);
	int i;

	(void)state;
	w->sync_ns = 1000000ull * SIM_MS;
	for (i = 0; i < 3; i++)
		sim_start(w, i);
	ring_rig_run(w, 1000);
	assert_int_equal(set_count(ring_waiting_for(w->nodes[0].ring)), 3);
	i = (int)w->events;
	ring_rig_run(w, 1000);
	assert_in_range((int)w->events - i, 1, 450);
	ring_rig_free(w);
}

/* A.14, 6, 13: commit tokens, tokens and all else come twice, out of order. */
static void everything_comes_twice(void **state)
{
	struct sim_world *w = ring_rig_cold(5);
	int i;

	(void)state;
	w->faults.duplicate_ppm = 1000000;
	w->faults.delay_max_ns = 3 * SIM_MS;
	for (i = 0; i < 5; i++)
		sim_start(w, i);
	ring_rig_ms_to_ring(w, 0x1f, 300);
	ring_rig_load(w, 100, 500);
	ring_rig_run(w, 2000);
	for (i = 0; i < 5; i++) {
		assert_int_equal(ring_rig_deliveries(w, i), 500);
		assert_int_equal(checker_installs(w->checker, i), 1);
	}
	/* and a doubled token does not put off the loss of the real one */
	w->faults.evidence_ppm = 0;
	sim_crash(w, 2);
	assert_in_range(ring_rig_ms_to_ring(w, 0x1b, 2000), 900, 1300);
	ring_rig_free(w);
}


static bool drop_beyond_the_rate(const struct sim_world *w, int from, int to,
				 const uint8_t *bytes, size_t length)
{
	static uint64_t tenth, let_through; /* in this tenth of a second */

	(void)from;
	(void)length;
	if (to != 2 || ring_rig_type(bytes) != WIRE_DATA)
		return false;
	if (w->now / (100ull * SIM_MS) != tenth) {
		tenth = w->now / (100ull * SIM_MS);
		let_through = 0;
	}
	return let_through++ >= 100;
}

/* A.14, 11: a receiver that is slower than the others send, for an hour. */
static void a_slow_receiver_falls_behind_and_catches_up(void **state)
{
	struct sim_world *w = ring_rig_wide(3);
	int burst, i;

	(void)state;
	w->is_dropped = drop_beyond_the_rate;
	for (burst = 1; burst <= 12; burst++) {
		for (i = 0; i < 3; i++)
			sim_send(w, i, 1000, 16, false);
		ring_rig_run(w, 500);
		/* more than a thousand numbers behind */
		assert_true(ring_rig_deliveries(w, 0) >
			    ring_rig_deliveries(w, 2) + 1100);
		ring_rig_run(w, 299500);
		for (i = 0; i < 3; i++)
			assert_int_equal(ring_rig_deliveries(w, i), 3000 * burst);
	}
	for (i = 0; i < 3; i++)
		assert_int_equal(checker_installs(w->checker, i), 1);
	ring_rig_free(w);
}

static int to_drop;

static bool drop_some_to_n3(const struct sim_world *w, int from, int to,
			    const uint8_t *bytes, size_t length)
{
	(void)w;
	(void)from;
	(void)length;
	return to == 2 && ring_rig_type(bytes) == WIRE_DATA && to_drop-- > 0;
}

/* A.14, 10: while somebody lacks something, the idle token is not held back. */
static void a_hole_on_an_idle_ring_is_soon_filled(void **state)
{
	struct sim_world *w = ring_rig_new(3);

	(void)state;
	w->is_dropped = drop_some_to_n3;
	to_drop = 4; /* and three answers */
	sim_send(w, 0, 1, 100, false);
	ring_rig_run(w, 40); /* less than a token is held for */
	assert_true(to_drop < 0);
	assert_int_equal(ring_rig_deliveries(w, 2), 1);
	ring_rig_free(w);
}

/* A.14, 12: the token overtakes data, and that alone is no reason to send it again. */
static void a_quiet_network_sees_no_message_twice(void **state)
{
	struct sim_world *w = ring_rig_new(5);
	int i;

	(void)state;
	w->faults.delay_max_ns = w->faults.delay_min_ns;
	ring_rig_load(w, 1000, 1000);
	ring_rig_run(w, 3000);
	for (i = 0; i < 5; i++) {
		assert_int_equal(ring_rig_deliveries(w, i), 5000);
		assert_int_equal(ring_rig_stats(w, i)->mcast_retx, 0);
	}
	ring_rig_free(w);
}

static bool drop_large_to_n3(const struct sim_world *w, int from, int to,
			     const uint8_t *bytes, size_t length)
{
	(void)from;
	assert_true(length <= w->config.packet_bytes);
	return to == 2 && ring_rig_type(bytes) == WIRE_DATA && length > 1000;
}

/* A.14, 10: one packet size is always lost on the way to one node. */
static void a_node_that_misses_one_size_does_not_stall_the_others(void **state)
{
	struct sim_world *w = ring_rig_new(3);
	int i;

	(void)state;
	w->is_dropped = drop_large_to_n3;
	for (i = 0; i < 60; i++) {
		sim_send(w, 0, 2, 1300, true);
		ring_rig_run(w, 1000);
	}
	assert_true(ring_rig_deliveries(w, 1) >= 2 * 54); /* safe ones, too */
	/* nor is all of it sent again on every visit of the token */
	assert_in_range(ring_rig_stats(w, 0)->mcast_retx, 1, 30000);
	/* quarantine: it does not come and break the ring again and again */
	assert_in_range(checker_installs(w->checker, 0), 3, 24);
	w->is_dropped = NULL;
	ring_rig_ms_to_ring(w, 7, 20000);
	ring_rig_free(w);
}

/* A.14, 10, in recovery: what it cannot receive must not hold up the new ring. */
static void a_node_that_cannot_recover_goes_alone(void **state)
{
	struct sim_world *w = ring_rig_new(4);

	(void)state;
	w->is_dropped = drop_large_to_n3;
	sim_send(w, 0, 5, 1300, false);
	ring_rig_run(w, 100);
	sim_crash(w, 3);
	ring_rig_run(w, 500);
	assert_int_equal(ring_state(w->nodes[0].ring), RING_RECOVERY);
	ring_rig_ms_to_ring(w, 3, 6000);
	ring_rig_free(w);
}

static bool drop_first_hand_to_n3(const struct sim_world *w, int from, int to,
				  const uint8_t *bytes, size_t length)
{
	assert_true(length <= w->config.packet_bytes);
	(void)from;
	return to == 2 && ring_rig_type(bytes) == WIRE_DATA && w->nodes[4].ring;
}

/* A.14, 17: the largest packet fits when it is sent again in recovery. */
static void a_packet_of_full_size_is_recovered(void **state)
{
	struct sim_world *w = ring_rig_new(5);
	uint64_t before = ring_rig_deliveries(w, 2);

	(void)state;
	w->is_dropped = drop_first_hand_to_n3;
	sim_send(w, 4, 10, WIRE_MAX_PACKET, false);
	ring_rig_run(w, 3); /* all have them, but n3 */
	assert_int_equal(ring_rig_deliveries(w, 2), before);
	assert_int_equal(ring_rig_deliveries(w, 3), before + 10);
	sim_crash(w, 4);
	ring_rig_ms_to_ring(w, 0xf, 1500);
	assert_int_equal(ring_rig_deliveries(w, 2), before + 10);
	/* each by one holder, once */
	assert_int_equal(ring_rig_stats(w, 0)->recovered_tx, 10);
	assert_int_equal(ring_rig_stats(w, 1)->recovered_tx, 0);
	ring_rig_free(w);
}

static uint64_t lost_seq;

/* n1, n2 and n4 miss the same message of n5; n3 misses them all. */
static bool drop_one_to_all(const struct sim_world *w, int from, int to,
			    const uint8_t *bytes, size_t length)
{
	uint64_t seq;

	if (from != 4 || ring_rig_type(bytes) != WIRE_DATA || !w->nodes[4].ring)
		return false;
	assert_true(length > WIRE_DATA_OVERHEAD);
	memcpy(&seq, bytes + WIRE_HEADER_BYTES + 12, sizeof(seq));
	if (lost_seq == 0)
		lost_seq = seq;
	return to == 2 || seq == lost_seq;
}

/* What is held behind a hole is told in ranges, and sent by one, once. */
static void messages_behind_a_hole_are_recovered_once(void **state)
{
	struct sim_world *w = ring_rig_new(5);
	int i;

	(void)state;
	lost_seq = 0;
	w->is_dropped = drop_one_to_all;
	sim_send(w, 4, 10, 100, false);
	ring_rig_run(w, 1);
	while (ring_rig_stats(w, 4)->mcast_tx == 0)
		sim_run(w, w->now + SIM_MS / 10);
	sim_run(w, w->now + SIM_MS / 2);
	sim_crash(w, 4);
	ring_rig_ms_to_ring(w, 0xf, 1500);
	assert_int_equal(ring_rig_stats(w, 0)->recovered_tx, 9);
	for (i = 1; i < 4; i++)
		assert_int_equal(ring_rig_stats(w, i)->recovered_tx, 0);
	/* n5's, behind a hole that only n5 could fill: it is told of none (E1) */
	for (i = 0; i < 4; i++)
		assert_int_equal(ring_rig_deliveries(w, i), 0);
	ring_rig_free(w);
}

/*
 * A.14, 11, "206 messages": more is outstanding than a rotation takes, and more than a
 * queue holds that lets go of nothing before all is through.
 */
static void thousands_of_messages_are_recovered(void **state)
{
	struct sim_world *w = ring_rig_wide(5);
	uint64_t before;
	int i;

	(void)state;
	w->is_dropped = drop_first_hand_to_n3;
	for (i = 0; i < 10; i++) {
		sim_send(w, i % 5, i % 5 == 2 ? 0 : 1000, 16, false);
		ring_rig_run(w, 20);
	}
	ring_rig_run(w, 1300);
	before = ring_rig_deliveries(w, 0);
	assert_int_equal(before, 8000);
	assert_int_equal(ring_rig_deliveries(w, 2), 0);
	sim_crash(w, 4);
	ring_rig_ms_to_ring(w, 0xf, 1500);
	/* but for the few that it got before the death was noticed */
	assert_in_range(ring_rig_stats(w, 0)->recovered_tx, 7500, 8000);
	assert_int_equal(ring_rig_deliveries(w, 2), 8000);
	ring_rig_free(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_lone_message_wakes_an_idle_ring),
		cmocka_unit_test(an_idle_ring_costs_next_to_nothing),
		cmocka_unit_test(services_that_take_long_do_not_make_the_token_spin),
		cmocka_unit_test(everything_comes_twice),
		cmocka_unit_test(a_quiet_network_sees_no_message_twice),
		cmocka_unit_test(a_node_that_misses_one_size_does_not_stall_the_others),
		cmocka_unit_test(a_node_that_cannot_recover_goes_alone),
		cmocka_unit_test(a_packet_of_full_size_is_recovered),
		cmocka_unit_test(messages_behind_a_hole_are_recovered_once),
		cmocka_unit_test(thousands_of_messages_are_recovered),
		cmocka_unit_test(a_slow_receiver_falls_behind_and_catches_up),
		cmocka_unit_test(a_hole_on_an_idle_ring_is_soon_filled),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
