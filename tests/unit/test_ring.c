/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The ring, as its users meet it: times of membership changes, and the field's
 * instructive bugs (A.14 of the specification), each on a small cluster. The
 * checker of the simulator watches E1..E5 in all of them.
 */
#include "tests/unit/ring_rig.h"

#include <string.h>

#include "totem/wire.h"

static enum wire_type type_of(const uint8_t *bytes)
{
	return (enum wire_type)bytes[3];
}

static uint64_t deliveries(const struct sim_world *w, int node)
{
	return checker_deliveries(w->checker, node);
}

/* --- the times that the issue promises ------------------------------------------ */

static void a_cold_start_makes_one_ring_at_once(void **state)
{
	struct sim_world *w = ring_rig_cold(5);
	int i;

	(void)state;
	for (i = 0; i < 5; i++)
		sim_start(w, i);
	assert_in_range(ring_rig_ms_to_ring(w, 0x1f, 100), 0, 30);
	for (i = 0; i < 5; i++)
		assert_int_equal(checker_installs(w->checker, i), 1);
	ring_rig_free(w);
}

static void a_node_joins_under_100_ms(void **state)
{
	struct sim_world *w = ring_rig_cold(3);

	(void)state;
	sim_start(w, 0);
	sim_start(w, 1);
	ring_rig_ms_to_ring(w, 3, 500);
	ring_rig_run(w, 1000);
	sim_start(w, 2);
	assert_in_range(ring_rig_ms_to_ring(w, 7, 500), 0, 30);
	ring_rig_free(w);
}

/* A.14, 14 */
static void a_leave_is_seen_under_20_ms(void **state)
{
	int leaver;

	(void)state;
	for (leaver = 0; leaver < 5; leaver++) {
		struct sim_world *w = ring_rig_new(5);

		sim_leave(w, leaver);
		assert_in_range(ring_rig_ms_to_ring(w, 0x1full & ~(1ull << leaver), 500),
				0, 20);
		ring_rig_free(w);
	}
}

static void a_kill_with_evidence_is_seen_under_100_ms(void **state)
{
	int victim;

	(void)state;
	for (victim = 0; victim < 5; victim++) {
		struct sim_world *w = ring_rig_new(5);

		sim_crash(w, victim);
		if (victim == 0) /* it had the idle token: somebody must speak */
			sim_send(w, 1, 1, 10, false);
		assert_in_range(ring_rig_ms_to_ring(w, 0x1full & ~(1ull << victim), 2000),
				0, 100);
		ring_rig_free(w);
	}
}

static void a_cut_cable_is_seen_under_1300_ms(void **state)
{
	int victim, i;

	(void)state;
	for (victim = 0; victim < 5; victim++) {
		struct sim_world *w = ring_rig_new(5);

		for (i = 0; i < 5; i++) {
			sim_cut(w, i, victim, i != victim);
			sim_cut(w, victim, i, i != victim);
		}
		assert_in_range(ring_rig_ms_to_ring(w, 0x1full & ~(1ull << victim), 2000),
				900, 1300);
		sim_heal(w);
		assert_in_range(ring_rig_ms_to_ring(w, 0x1f, 5000), 0, 500);
		ring_rig_free(w);
	}
}

static void a_lone_message_wakes_an_idle_ring(void **state)
{
	struct sim_world *w = ring_rig_new(5);
	uint64_t before;
	int i;

	(void)state;
	for (i = 0; i < 5; i++) {
		ring_rig_run(w, 500);
		before = deliveries(w, 0);
		sim_send(w, i, 1, 100, false);
		ring_rig_run(w, 5);
		assert_int_equal(deliveries(w, 0), before + 1);
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

/* --- A.14 -------------------------------------------------------------------------- */

/* 4: the leader restarts faster than token loss. */
static void the_lowest_node_restarts_faster_than_token_loss(void **state)
{
	struct sim_world *w = ring_rig_new(5);

	(void)state;
	ring_rig_load(w, 50, 500);
	ring_rig_run(w, 5);
	w->faults.evidence_ppm = 0;
	sim_crash(w, 0);
	ring_rig_run(w, 50);
	sim_start(w, 0);
	ring_rig_ms_to_ring(w, 0x1f, 300);
	assert_int_equal(checker_installs(w->checker, 0), 1);
	ring_rig_free(w);
}

/* 5: more stop while the first stop is recovered from; no id is used twice. */
static void two_more_stop_during_recovery(void **state)
{
	struct sim_world *w = ring_rig_new(5);

	(void)state;
	ring_rig_load(w, 200, 1000);
	ring_rig_run(w, 10);
	sim_crash(w, 4);
	while (ring_state(w->nodes[1].ring) != RING_RECOVERY)
		sim_run(w, w->now + SIM_MS / 10);
	sim_crash(w, 0);
	sim_crash(w, 3);
	ring_rig_ms_to_ring(w, 6, 1500);
	ring_rig_free(w);
}

/* 6, 13: commit tokens, tokens and all else come twice, out of order. */
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
		assert_int_equal(deliveries(w, i), 500);
		assert_int_equal(checker_installs(w->checker, i), 1);
	}
	/* and a doubled token does not put off the loss of the real one */
	w->faults.evidence_ppm = 0;
	sim_crash(w, 2);
	assert_in_range(ring_rig_ms_to_ring(w, 0x1b, 2000), 900, 1300);
	ring_rig_free(w);
}

/* 8: a join in operation is heard at once, whatever the load. */
static void a_node_joins_under_heavy_traffic(void **state)
{
	struct sim_world *w = ring_rig_cold(5);
	int i;

	(void)state;
	for (i = 0; i < 4; i++)
		sim_start(w, i);
	ring_rig_ms_to_ring(w, 0xf, 500);
	ring_rig_load(w, 10000, 1300);
	ring_rig_run(w, 100);
	sim_start(w, 4);
	assert_in_range(ring_rig_ms_to_ring(w, 0x1f, 500), 0, 50);
	ring_rig_run(w, 5000);
	for (i = 0; i < 4; i++) {
		assert_int_equal(w->nodes[i].want, 0);
		assert_true(deliveries(w, i) == 40000);
	}
	ring_rig_free(w);
}

static bool drop_large_to_n3(const struct sim_world *w, int from, int to,
			     const uint8_t *bytes, size_t length)
{
	(void)from;
	assert_true(length <= w->config.packet_bytes);
	return to == 2 && type_of(bytes) == WIRE_DATA && length > 1000;
}

static bool drop_first_hand_to_n3(const struct sim_world *w, int from, int to,
				  const uint8_t *bytes, size_t length)
{
	assert_true(length <= w->config.packet_bytes);
	(void)from;
	return to == 2 && type_of(bytes) == WIRE_DATA && w->nodes[4].ring;
}

/* 17: the largest packet fits when it is sent again in recovery. */
static void a_packet_of_full_size_is_recovered(void **state)
{
	struct sim_world *w = ring_rig_new(5);
	uint64_t before = deliveries(w, 2);

	(void)state;
	w->is_dropped = drop_first_hand_to_n3;
	sim_send(w, 4, 10, WIRE_MAX_PACKET, false);
	ring_rig_run(w, 3); /* all have them, but n3 */
	assert_int_equal(deliveries(w, 2), before);
	assert_int_equal(deliveries(w, 3), before + 10);
	sim_crash(w, 4);
	ring_rig_ms_to_ring(w, 0xf, 1500);
	assert_int_equal(deliveries(w, 2), before + 10);
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

	if (from != 4 || type_of(bytes) != WIRE_DATA || !w->nodes[4].ring)
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
		assert_int_equal(deliveries(w, i), 0);
	ring_rig_free(w);
}

/* 10: one packet size is always lost on the way to one node. */
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
	assert_true(deliveries(w, 1) >= 2 * 54); /* safe ones, too */
	/* quarantine: it does not come and break the ring again and again */
	assert_in_range(checker_installs(w->checker, 0), 3, 24);
	w->is_dropped = NULL;
	ring_rig_ms_to_ring(w, 7, 20000);
	ring_rig_free(w);
}

/* 10, in recovery: what it cannot receive must not hold up the new ring. */
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

/* 11, "206 messages": far more is outstanding than a rotation takes. */
static void thousands_of_messages_are_recovered(void **state)
{
	struct sim_world *w = ring_rig_new(5);
	uint64_t before;
	int i;

	(void)state;
	w->is_dropped = drop_first_hand_to_n3;
	for (i = 0; i < 5; i++)
		sim_send(w, i, 3000, 16, false);
	ring_rig_run(w, 1500);
	before = deliveries(w, 0);
	assert_in_range(before, 7000, 8192);
	assert_int_equal(deliveries(w, 2), 0);
	sim_crash(w, 4);
	ring_rig_ms_to_ring(w, 0xf, 1500);
	assert_true(deliveries(w, 2) >= before);
	ring_rig_free(w);
}

/* 12: the token overtakes data, and that alone is no reason to send it again. */
static void a_quiet_network_sees_no_message_twice(void **state)
{
	struct sim_world *w = ring_rig_new(5);
	int i;

	(void)state;
	w->faults.delay_max_ns = w->faults.delay_min_ns;
	ring_rig_load(w, 1000, 1000);
	ring_rig_run(w, 3000);
	for (i = 0; i < 5; i++) {
		assert_int_equal(deliveries(w, i), 5000);
		assert_int_equal(ring_rig_stats(w, i)->mcast_retx, 0);
	}
	ring_rig_free(w);
}

/* 16: rings find each other while traffic flows. */
static void isolated_and_healed_under_load(void **state)
{
	struct sim_world *w = ring_rig_new(5);
	int i, step;

	(void)state;
	for (i = 0; i < 4; i++) {
		sim_cut(w, i, 4, true);
		sim_cut(w, 4, i, true);
	}
	for (step = 0; step < 50; step++) {
		ring_rig_load(w, 40, 1000);
		ring_rig_run(w, 100);
	}
	assert_int_equal(ring_members(w->nodes[4].ring).bits[0], 0x10);
	sim_heal(w);
	ring_rig_load(w, 5000, 1000);
	assert_in_range(ring_rig_ms_to_ring(w, 0x1f, 3000), 0, 400);
	ring_rig_free(w);
}

static void a_paused_node_comes_back_clean(void **state)
{
	struct sim_world *w = ring_rig_new(5);

	(void)state;
	ring_rig_load(w, 100, 500);
	sim_pause(w, 2, 3000ull * SIM_MS);
	ring_rig_ms_to_ring(w, 0x1b, 1400);
	ring_rig_load(w, 100, 500);
	ring_rig_run(w, 1700);
	ring_rig_ms_to_ring(w, 0x1f, 1500);
	ring_rig_load(w, 10, 500);
	ring_rig_run(w, 200);
	ring_rig_free(w);
}

static void sixteen_nodes_form_a_ring_and_lose_two(void **state)
{
	struct sim_world *w = ring_rig_cold(16);
	int i;

	(void)state;
	for (i = 0; i < 16; i++)
		sim_start(w, i);
	assert_in_range(ring_rig_ms_to_ring(w, 0xffff, 500), 0, 60);
	ring_rig_load(w, 100, 1000);
	ring_rig_run(w, 20);
	sim_crash(w, 0);
	sim_crash(w, 9);
	assert_in_range(ring_rig_ms_to_ring(w, 0xfdfe, 2000), 0, 400);
	ring_rig_run(w, 2000);
	for (i = 1; i < 16; i++)
		assert_true(i == 9 || w->nodes[i].want == 0);
	ring_rig_free(w);
}

static bool drop_commit_to_n2(const struct sim_world *w, int from, int to,
			      const uint8_t *bytes, size_t length)
{
	(void)from;
	(void)length;
	return to == 1 && type_of(bytes) == WIRE_COMMIT &&
	       w->now < 500ull * SIM_MS;
}

/* Who waits for the commit token waits as for a token, and convicts nobody. */
static void a_late_commit_token_splits_nothing(void **state)
{
	struct sim_world *w = ring_rig_cold(5);
	int i;

	(void)state;
	w->is_dropped = drop_commit_to_n2;
	for (i = 0; i < 5; i++)
		sim_start(w, i);
	ring_rig_ms_to_ring(w, 0x1f, 800);
	for (i = 0; i < 5; i++)
		assert_int_equal(checker_installs(w->checker, i), 1);
	ring_rig_free(w);
}

/* --- packets that should not be ------------------------------------------------------ */

static uint8_t packet[WIRE_MAX_PACKET];

/* What node `as` would write with. */
static struct wire_context voice_of(const struct sim_world *w, int as)
{
	static struct node_table nodes;

	for (nodes.count = 0; nodes.count < w->count; nodes.count++)
		nodes.ids[nodes.count] = (uint32_t)nodes.count + 1;
	return (struct wire_context){ .nodes = &nodes,
				      .self = (uint32_t)as + 1,
				      .cluster = wire_cluster_hash("sim") };
}

static void say_join_to(struct sim_world *w, int to, int as, struct wire_join j)
{
	const struct wire_context voice = voice_of(w, as);

	ring_receive(w->nodes[to].ring, w->now, packet,
		     wire_write_join(&voice, &j, packet));
}

static void say_join(struct sim_world *w, int as, struct wire_join j)
{
	say_join_to(w, 0, as, j);
}

static void say_commit_to(struct sim_world *w, int to, int as,
			  struct wire_commit c)
{
	const struct wire_context voice = voice_of(w, as);

	ring_receive(w->nodes[to].ring, w->now, packet,
		     wire_write_commit(&voice, &c, c.members, packet));
}

/* n1..n3 on a ring, n4 away. */
static struct sim_world *three_of_four(void)
{
	struct sim_world *w = ring_rig_cold(4);
	int i;

	for (i = 0; i < 3; i++)
		sim_start(w, i);
	ring_rig_ms_to_ring(w, 7, 500);
	ring_rig_run(w, 200);
	return w;
}

static void check_undisturbed(struct sim_world *w)
{
	assert_int_equal(ring_state(w->nodes[0].ring), RING_OPERATIONAL);
	ring_rig_run(w, 3000);
	assert_int_equal(checker_installs(w->checker, 0), 1);
	ring_rig_free(w);
}

/* 7: a stranger's join that lists us as failed. */
static void a_join_that_rejects_us_does_not_disturb(void **state)
{
	struct sim_world *w = three_of_four();

	(void)state;
	say_join(w, 3, (struct wire_join){ .ring_seq = 1ull << 30,
					   .incarnation = 1,
					   .proc = { { 0xf } },
					   .failed = { { 1 } } });
	check_undisturbed(w);
}

static void a_join_from_before_the_ring_does_not_disturb(void **state)
{
	struct sim_world *w = three_of_four();
	uint64_t seq = ring_current(w->nodes[0].ring).seq;

	(void)state;
	say_join(w, 1, (struct wire_join){ .ring_seq = seq - 1,
					   .incarnation = 1,
					   .proc = { { 7 } } });
	say_join(w, 1, (struct wire_join){ .ring_seq = seq - 1,
					   .incarnation = 1,
					   .is_leave = true,
					   .proc = { { 7 } } });
	check_undisturbed(w);
}

static void a_join_of_an_earlier_life_does_not_disturb(void **state)
{
	struct sim_world *w = three_of_four();

	(void)state;
	say_join(w, 1, (struct wire_join){ .ring_seq = 1ull << 30,
					   .incarnation = 0,
					   .proc = { { 7 } } });
	assert_int_equal(ring_rig_stats(w, 0)->old_incarnation_rx, 1);
	check_undisturbed(w);
}

static void somebody_with_our_own_id_is_counted_and_ignored(void **state)
{
	struct sim_world *w = three_of_four();

	(void)state;
	say_join(w, 0, (struct wire_join){ .incarnation = 9, .proc = { { 1 } } });
	assert_int_equal(ring_rig_stats(w, 0)->own_id_rx, 1);
	check_undisturbed(w);
}

/* A newcomer that cannot hear n3 costs itself, not n3. */
static void a_stranger_convicts_none_of_us(void **state)
{
	struct sim_world *w = three_of_four();

	(void)state;
	say_join(w, 3, (struct wire_join){ .ring_seq = 1ull << 16,
					   .incarnation = 1,
					   .proc = { { 0xf } },
					   .failed = { { 4 } } });
	ring_rig_run(w, 500);
	assert_int_equal(ring_members(w->nodes[0].ring).bits[0], 7);
	assert_int_equal(checker_installs(w->checker, 0), 2);
	assert_int_equal(checker_installs(w->checker, 2), 2);
	ring_rig_free(w);
}

/* The silent are failed before those who only say something else. */
static void a_death_does_not_cost_a_newcomer_that_knows_of_it(void **state)
{
	struct sim_world *w = three_of_four();

	(void)state;
	w->faults.evidence_ppm = 0;
	sim_crash(w, 2);
	sim_start(w, 3);
	ring_rig_run(w, 60);
	ring_evidence(w->nodes[3].ring, w->now, 3);
	ring_rig_ms_to_ring(w, 0xb, 1000);
	assert_int_equal(checker_installs(w->checker, 0), 2);
	ring_rig_free(w);
}

static void the_last_one_rings_alone_at_once(void **state)
{
	struct sim_world *w = ring_rig_new(2);

	(void)state;
	sim_leave(w, 1);
	assert_in_range(ring_rig_ms_to_ring(w, 1, 500), 0, 2);
	ring_rig_free(w);
}

static void evidence_of_an_earlier_life_does_not_convict(void **state)
{
	struct sim_world *w = three_of_four();

	(void)state;
	sim_start(w, 3);
	ring_rig_run(w, 2);
	ring_evidence(w->nodes[0].ring, w->now, 4);
	ring_rig_ms_to_ring(w, 0xf, 100);
	assert_int_equal(checker_installs(w->checker, 0), 2);
	ring_rig_free(w);
}

/* n2 alone, and n1 has told it that it knows of n1 and n2. */
static struct sim_world *two_agree(void)
{
	struct sim_world *w = ring_rig_cold(3);

	w->faults.evidence_ppm = 0;
	sim_start(w, 1);
	say_join_to(w, 1, 0, (struct wire_join){ .ring_seq = 1,
						 .incarnation = 1,
						 .proc = { { 3 } } });
	return w;
}

/* 20: a commit token that is not what was agreed on is dropped. */
static void a_commit_token_for_others_is_refused(void **state)
{
	struct sim_world *w = two_agree();
	struct wire_commit c = { .ring = { 1, 1 << 18 },
				 .token_seq = 1,
				 .members = { { 7 } },
				 .entries = { { .is_filled = true } } };

	(void)state;
	say_commit_to(w, 1, 0, c);
	assert_int_equal(ring_state(w->nodes[1].ring), RING_GATHER);
	c.members.bits[0] = 5; /* not even us */
	say_commit_to(w, 1, 0, c);
	assert_int_equal(ring_state(w->nodes[1].ring), RING_GATHER);
	c.members.bits[0] = 3;
	c.round = 1;
	c.entries[1].is_filled = true; /* the second round first */
	say_commit_to(w, 1, 0, c);
	assert_int_equal(ring_state(w->nodes[1].ring), RING_GATHER);
	ring_rig_free(w);
}

/* 5: the id of a ring that came to nothing is never used again (E5). */
static void the_commit_token_of_a_lost_ring_is_refused(void **state)
{
	struct sim_world *w = two_agree();
	struct wire_commit c = { .ring = { 1, (1 << 16) + 9 },
				 .token_seq = 1,
				 .members = { { 3 } },
				 .entries = { { .is_filled = true } } };
	struct wire_join again = { .ring_seq = (1 << 16) + 9,
				   .incarnation = 1,
				   .proc = { { 3 } } };

	(void)state;
	say_commit_to(w, 1, 0, c);
	assert_int_equal(ring_state(w->nodes[1].ring), RING_COMMIT);
	say_join_to(w, 1, 0, again); /* n1 has given it up */
	assert_int_equal(ring_state(w->nodes[1].ring), RING_GATHER);
	say_commit_to(w, 1, 0, c);
	assert_int_equal(ring_state(w->nodes[1].ring), RING_GATHER);
	c.ring.seq++;
	say_commit_to(w, 1, 0, c);
	assert_int_equal(ring_state(w->nodes[1].ring), RING_COMMIT);
	ring_rig_free(w);
}

/* E5: a ring id that our disk does not cover waits for the disk. */
static void a_far_ring_id_waits_for_the_disk(void **state)
{
	struct sim_world *w = two_agree();
	struct wire_commit c = { .ring = { 1, 1 << 20 },
				 .token_seq = 1,
				 .members = { { 3 } },
				 .entries = { { .is_filled = true } } };

	(void)state;
	say_commit_to(w, 1, 0, c);
	assert_int_equal(ring_state(w->nodes[1].ring), RING_GATHER);
	ring_rig_run(w, 10);
	assert_true(w->nodes[1].disk_seq >= 1 << 20);
	say_commit_to(w, 1, 0, c);
	assert_int_equal(ring_state(w->nodes[1].ring), RING_COMMIT);
	ring_rig_free(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_commit_token_for_others_is_refused),
		cmocka_unit_test(the_commit_token_of_a_lost_ring_is_refused),
		cmocka_unit_test(a_far_ring_id_waits_for_the_disk),
		cmocka_unit_test(a_cold_start_makes_one_ring_at_once),
		cmocka_unit_test(a_node_joins_under_100_ms),
		cmocka_unit_test(a_leave_is_seen_under_20_ms),
		cmocka_unit_test(a_kill_with_evidence_is_seen_under_100_ms),
		cmocka_unit_test(a_cut_cable_is_seen_under_1300_ms),
		cmocka_unit_test(a_lone_message_wakes_an_idle_ring),
		cmocka_unit_test(an_idle_ring_costs_next_to_nothing),
		cmocka_unit_test(services_that_take_long_do_not_make_the_token_spin),
		cmocka_unit_test(the_lowest_node_restarts_faster_than_token_loss),
		cmocka_unit_test(two_more_stop_during_recovery),
		cmocka_unit_test(everything_comes_twice),
		cmocka_unit_test(a_node_joins_under_heavy_traffic),
		cmocka_unit_test(a_packet_of_full_size_is_recovered),
		cmocka_unit_test(a_node_that_misses_one_size_does_not_stall_the_others),
		cmocka_unit_test(a_node_that_cannot_recover_goes_alone),
		cmocka_unit_test(thousands_of_messages_are_recovered),
		cmocka_unit_test(a_quiet_network_sees_no_message_twice),
		cmocka_unit_test(isolated_and_healed_under_load),
		cmocka_unit_test(a_paused_node_comes_back_clean),
		cmocka_unit_test(sixteen_nodes_form_a_ring_and_lose_two),
		cmocka_unit_test(a_late_commit_token_splits_nothing),
		cmocka_unit_test(a_join_that_rejects_us_does_not_disturb),
		cmocka_unit_test(a_join_from_before_the_ring_does_not_disturb),
		cmocka_unit_test(a_join_of_an_earlier_life_does_not_disturb),
		cmocka_unit_test(somebody_with_our_own_id_is_counted_and_ignored),
		cmocka_unit_test(messages_behind_a_hole_are_recovered_once),
		cmocka_unit_test(a_stranger_convicts_none_of_us),
		cmocka_unit_test(a_death_does_not_cost_a_newcomer_that_knows_of_it),
		cmocka_unit_test(the_last_one_rings_alone_at_once),
		cmocka_unit_test(evidence_of_an_earlier_life_does_not_convict),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
