/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Who is on the ring, and how soon: the times that are promised for joins,
 * leaves and deaths, and what the field's clusters went through (A.14 of the
 * specification), on small simulated clusters. The checker of the simulator
 * watches E1 to E5 in all of them.
 */
#include "tests/unit/ring_rig.h"

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

static void the_last_one_rings_alone_at_once(void **state)
{
	struct sim_world *w = ring_rig_new(2);

	(void)state;
	sim_leave(w, 1);
	assert_in_range(ring_rig_ms_to_ring(w, 1, 500), 0, 2);
	ring_rig_free(w);
}

/* A.14, 4: the leader restarts faster than token loss. */
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

/* A.14, 5: more stop while the first stop is recovered from; no id is used twice. */
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

/* A.14, 8: a join in operation is heard at once, whatever the load. */
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
		assert_true(ring_rig_deliveries(w, i) == 40000);
	}
	ring_rig_free(w);
}

/* A.14, 16: rings find each other while traffic flows. */
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

/* A.14, 16: and when none of the two has a pause in which to look for others. */
static void two_busy_rings_find_each_other(void **state)
{
	struct sim_world *w = ring_rig_new(5);
	int i, step;

	(void)state;
	for (i = 0; i < 6; i++) {
		sim_cut(w, i / 3, 2 + i % 3, true);
		sim_cut(w, 2 + i % 3, i / 3, true);
	}
	ring_rig_load(w, 100000, 1000);
	ring_rig_ms_to_ring(w, 3, 3000);
	ring_rig_ms_to_ring(w, 0x1c, 3000);
	for (step = 0; step < 5; step++) {
		ring_rig_run(w, 100);
		assert_true(w->nodes[0].want > 0 && w->nodes[4].want > 0);
	}
	sim_heal(w);
	assert_in_range(ring_rig_ms_to_ring(w, 0x1f, 3000), 0, 400);
	assert_true(w->nodes[0].want > 0 && w->nodes[4].want > 0);
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
	return to == 1 && ring_rig_type(bytes) == WIRE_COMMIT &&
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

/* The silent are failed before those who only say something else. */
static void a_death_does_not_cost_a_newcomer_that_knows_of_it(void **state)
{
	struct sim_world *w = ring_rig_three_of_four();

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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_cold_start_makes_one_ring_at_once),
		cmocka_unit_test(a_node_joins_under_100_ms),
		cmocka_unit_test(a_leave_is_seen_under_20_ms),
		cmocka_unit_test(a_kill_with_evidence_is_seen_under_100_ms),
		cmocka_unit_test(a_cut_cable_is_seen_under_1300_ms),
		cmocka_unit_test(the_last_one_rings_alone_at_once),
		cmocka_unit_test(the_lowest_node_restarts_faster_than_token_loss),
		cmocka_unit_test(two_more_stop_during_recovery),
		cmocka_unit_test(a_node_joins_under_heavy_traffic),
		cmocka_unit_test(isolated_and_healed_under_load),
		cmocka_unit_test(two_busy_rings_find_each_other),
		cmocka_unit_test(a_paused_node_comes_back_clean),
		cmocka_unit_test(sixteen_nodes_form_a_ring_and_lose_two),
		cmocka_unit_test(a_late_commit_token_splits_nothing),
		cmocka_unit_test(a_death_does_not_cost_a_newcomer_that_knows_of_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
