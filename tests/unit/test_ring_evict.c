/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A member that lives, but does not do its part: the others go on without it,
 * with nobody else lost, and it comes back after a while, or when it is anew.
 */
#include "tests/unit/ring_rig.h"

#include "totem/wire.h"

enum { TOKEN_MS = 1000, WITHOUT_N3 = 0x1b };

static enum wire_type type_of(const uint8_t *bytes)
{
	return (enum wire_type)bytes[3];
}

static void evict(struct sim_world *w, int by, uint32_t node)
{
	ring_evict(w->nodes[by].ring, w->now, node);
}

static uint64_t installs(const struct sim_world *w, int node)
{
	return checker_installs(w->checker, node);
}

/* The others have had their first ring, and one without n3. */
static void check_one_more_ring(const struct sim_world *w)
{
	int i;

	for (i = 0; i < 5; i++)
		if (WITHOUT_N3 >> i & 1)
			assert_int_equal(installs(w, i), 2);
}

/* Who only hears of it leaves it out as long as who has said so. */
static void one_word_is_enough(void **state)
{
	struct sim_world *w = ring_rig_new(5);
	int i;

	(void)state;
	ring_rig_load(w, 10, 500);
	evict(w, 3, 3);
	assert_in_range(ring_rig_ms_to_ring(w, WITHOUT_N3, 100), 0, 20);
	ring_rig_run(w, TOKEN_MS - 50);
	check_one_more_ring(w);
	for (i = 0; i < 5; i++)
		assert_int_equal(w->nodes[i].want, 0);
	assert_int_equal(ring_members(w->nodes[2].ring).bits[0], 4);
	assert_in_range(ring_rig_ms_to_ring(w, 0x1f, 500), 0, 300);
	assert_int_equal(ring_rig_stats(w, 3)->evicted, 1);
	ring_rig_free(w);
}

/* Each has its own clock: some say it while the ring is formed, or after. */
static void all_say_so_at_about_the_same_time(void **state)
{
	int spread_us, i;

	(void)state;
	for (spread_us = 0; spread_us <= 5000; spread_us += 100) {
		struct sim_world *w = ring_rig_new(5);

		for (i = 0; i < 5; i++) {
			evict(w, i, 3);
			sim_run(w, w->now + (uint64_t)spread_us * 1000);
		}
		ring_rig_ms_to_ring(w, WITHOUT_N3, 100);
		ring_rig_run(w, TOKEN_MS / 2);
		check_one_more_ring(w);
		ring_rig_ms_to_ring(w, 0x1f, TOKEN_MS);
		ring_rig_free(w);
	}
}

static void it_stays_out_twice_as_long_each_time(void **state)
{
	struct sim_world *w = ring_rig_new(5);
	uint64_t tokens, out;

	(void)state;
	for (tokens = 1; tokens <= 64; tokens *= 2) {
		evict(w, 0, 3);
		ring_rig_ms_to_ring(w, WITHOUT_N3, 100);
		out = ring_rig_ms_to_ring(w, 0x1f, 100 * TOKEN_MS);
		assert_in_range(out, tokens * TOKEN_MS - 30,
				tokens * TOKEN_MS + 300);
		ring_rig_run(w, 30 * TOKEN_MS);
	}
	/* no longer than that */
	evict(w, 0, 3);
	ring_rig_ms_to_ring(w, WITHOUT_N3, 100);
	assert_in_range(ring_rig_ms_to_ring(w, 0x1f, 100 * TOKEN_MS),
			64 * TOKEN_MS - 30, 64 * TOKEN_MS + 300);
	/* and once it has done well for long, all begins anew */
	ring_rig_run(w, 1000 * TOKEN_MS);
	evict(w, 0, 3);
	ring_rig_ms_to_ring(w, WITHOUT_N3, 100);
	assert_in_range(ring_rig_ms_to_ring(w, 0x1f, 100 * TOKEN_MS),
			TOKEN_MS - 30, TOKEN_MS + 300);
	ring_rig_free(w);
}

static void it_is_welcome_when_it_starts_anew(void **state)
{
	struct sim_world *w = ring_rig_new(5);

	(void)state;
	evict(w, 0, 3);
	ring_rig_ms_to_ring(w, WITHOUT_N3, 100);
	sim_crash(w, 2);
	sim_start(w, 2);
	assert_in_range(ring_rig_ms_to_ring(w, 0x1f, 500), 0, 100);
	ring_rig_free(w);
}

static bool drop_joins_n3_to_n5(const struct sim_world *w, int from, int to,
				const uint8_t *bytes, size_t length)
{
	(void)w;
	(void)length;
	return from == 2 && to == 4 && type_of(bytes) == WIRE_JOIN;
}

/* n5 knows nothing of it and brings it along: it is one of us, in all things. */
static void who_is_brought_along_is_listened_to(void **state)
{
	struct sim_world *w = ring_rig_new(5);

	(void)state;
	evict(w, 0, 3);
	ring_rig_ms_to_ring(w, WITHOUT_N3, 100);
	sim_crash(w, 4);
	sim_start(w, 4);
	ring_rig_ms_to_ring(w, 0x1f, 300);
	w->faults.evidence_ppm = 0;
	w->is_dropped = drop_joins_n3_to_n5;
	sim_crash(w, 3);
	ring_evidence(w->nodes[2].ring, w->now, 4);
	assert_in_range(ring_rig_ms_to_ring(w, 0x17, 2000), 0, 100);
	ring_rig_free(w);
}

static bool only_n3_hears_n1_join(const struct sim_world *w, int from, int to,
				  const uint8_t *bytes, size_t length)
{
	(void)w;
	(void)length;
	return from == 0 && to != 2 && type_of(bytes) == WIRE_JOIN;
}

/* The others hear what n3 makes of it before they hear of it from n1. */
static void the_evicted_one_takes_nobody_along(void **state)
{
	struct sim_world *w = ring_rig_new(5);

	(void)state;
	w->is_dropped = only_n3_hears_n1_join;
	evict(w, 0, 3);
	ring_rig_run(w, 1);
	w->is_dropped = NULL;
	assert_in_range(ring_rig_ms_to_ring(w, WITHOUT_N3, 500), 0, 60);
	check_one_more_ring(w);
	ring_rig_free(w);
}

/* The same, when all gather already, for another reason. */
static void nor_does_it_from_a_gather(void **state)
{
	struct sim_world *w = ring_rig_new(5);
	int i;

	(void)state;
	sim_crash(w, 4);
	for (i = 0; i < 4; i++)
		ring_evidence(w->nodes[i].ring, w->now, 5);
	w->is_dropped = only_n3_hears_n1_join;
	evict(w, 0, 3);
	ring_rig_run(w, 6);
	w->is_dropped = NULL;
	assert_in_range(ring_rig_ms_to_ring(w, 0xb, 500), 0, 60);
	assert_int_equal(installs(w, 0), 2);
	assert_int_equal(installs(w, 1), 2);
	ring_rig_free(w);
}

/* To n2 it is as good as dead; n1 knows better, and all leave it out. */
static void who_convicted_it_otherwise_leaves_it_out_as_well(void **state)
{
	struct sim_world *w = ring_rig_new(5);

	(void)state;
	w->faults.delay_max_ns = w->faults.delay_min_ns;
	ring_evidence(w->nodes[1].ring, w->now, 3);
	evict(w, 0, 3);
	ring_rig_ms_to_ring(w, WITHOUT_N3, 100);
	ring_rig_run(w, TOKEN_MS - 50);
	check_one_more_ring(w);
	ring_rig_ms_to_ring(w, 0x1f, 500);
	ring_rig_free(w);
}

static void two_are_evicted_by_different_members(void **state)
{
	struct sim_world *w = ring_rig_new(5);

	(void)state;
	evict(w, 0, 3);
	evict(w, 1, 4);
	assert_in_range(ring_rig_ms_to_ring(w, 0x13, 500), 0, 60);
	ring_rig_run(w, TOKEN_MS / 2);
	assert_int_equal(installs(w, 0), 2);
	assert_int_equal(installs(w, 1), 2);
	assert_int_equal(installs(w, 4), 2);
	ring_rig_ms_to_ring(w, 0x1f, TOKEN_MS);
	ring_rig_free(w);
}

/* Each of two thinks that the other is to blame. */
static void two_evict_each_other(void **state)
{
	struct sim_world *w = ring_rig_new(2);

	(void)state;
	evict(w, 0, 2);
	evict(w, 1, 1);
	ring_rig_ms_to_ring(w, 1, 100);
	assert_int_equal(ring_members(w->nodes[1].ring).bits[0], 2);
	assert_in_range(ring_rig_ms_to_ring(w, 3, 3 * TOKEN_MS), TOKEN_MS / 2,
			2 * TOKEN_MS);
	ring_rig_free(w);
}

static void only_other_members_are_evicted(void **state)
{
	struct sim_world *w = ring_rig_cold(4);
	int i;

	(void)state;
	for (i = 0; i < 3; i++)
		sim_start(w, i);
	ring_rig_ms_to_ring(w, 7, 500);
	evict(w, 0, 1);  /* itself */
	evict(w, 0, 4);  /* no member */
	evict(w, 0, 99); /* nobody */
	ring_rig_run(w, 500);
	assert_int_equal(installs(w, 0), 1);
	assert_int_equal(ring_rig_stats(w, 0)->evicted, 0);
	/* and nothing is held against who was none */
	sim_start(w, 3);
	ring_rig_ms_to_ring(w, 0xf, 50);
	ring_leave(w->nodes[0].ring, w->now);
	evict(w, 0, 2); /* from nowhere */
	assert_int_equal(ring_state(w->nodes[0].ring), RING_STOPPED);
	ring_rig_free(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_word_is_enough),
		cmocka_unit_test(all_say_so_at_about_the_same_time),
		cmocka_unit_test(it_stays_out_twice_as_long_each_time),
		cmocka_unit_test(it_is_welcome_when_it_starts_anew),
		cmocka_unit_test(who_is_brought_along_is_listened_to),
		cmocka_unit_test(the_evicted_one_takes_nobody_along),
		cmocka_unit_test(nor_does_it_from_a_gather),
		cmocka_unit_test(who_convicted_it_otherwise_leaves_it_out_as_well),
		cmocka_unit_test(two_are_evicted_by_different_members),
		cmocka_unit_test(two_evict_each_other),
		cmocka_unit_test(only_other_members_are_evicted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
