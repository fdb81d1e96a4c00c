/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A leave is said once, to all. One of them who hears it tells the others, so
 * that it is lost only when every copy of it is.
 */
#include "tests/unit/ring_rig.h"

#include "totem/wire.h"

static int leaver, hearer; /* -1: nobody hears it */

static bool is_leave(const uint8_t *bytes)
{
	return bytes[3] == WIRE_JOIN && bytes[WIRE_HEADER_BYTES + 16] == 1;
}

static bool drop_but_to_hearer(const struct sim_world *w, int from, int to,
			       const uint8_t *bytes, size_t length)
{
	(void)w;
	(void)length;
	return from == leaver && to != hearer && is_leave(bytes);
}

static struct sim_world *five(int who, int heard_by)
{
	struct sim_world *w = ring_rig_new(5);

	leaver = who;
	hearer = heard_by;
	w->is_dropped = drop_but_to_hearer;
	w->faults.evidence_ppm = 0;
	return w;
}

static uint64_t without(int node)
{
	return 0x1full & ~(1ull << node);
}

static void one_copy_of_it_is_enough(void **state)
{
	int who, by, i;

	(void)state;
	for (who = 0; who < 5; who++)
		for (by = 0; by < 5; by++) {
			struct sim_world *w;

			if (by == who)
				continue;
			w = five(who, by);
			ring_rig_load(w, 5, 500);
			sim_leave(w, who);
			assert_in_range(ring_rig_ms_to_ring(w, without(who), 500),
					0, 20);
			for (i = 0; i < 5; i++)
				if (i != who)
					assert_int_equal(
						checker_installs(w->checker, i), 2);
			ring_rig_free(w);
		}
}

/* The same while a ring is formed, whatever stage it is at. */
static void one_copy_is_enough_in_every_state(void **state)
{
	enum ring_state at;

	(void)state;
	for (at = RING_GATHER; at <= RING_RECOVERY; at++) {
		struct sim_world *w = five(3, 1);

		ring_rig_load(w, 20, 1000);
		ring_rig_run(w, 3);
		sim_crash(w, 4);
		ring_evidence(w->nodes[0].ring, w->now, 5);
		while (ring_state(w->nodes[1].ring) != at)
			sim_run(w, w->now + SIM_MS / 20);
		sim_leave(w, 3);
		assert_in_range(ring_rig_ms_to_ring(w, 7, 500), 0, 60);
		ring_rig_free(w);
	}
}

static void if_all_are_lost_it_is_a_death(void **state)
{
	struct sim_world *w = five(2, -1);

	(void)state;
	sim_leave(w, 2);
	assert_in_range(ring_rig_ms_to_ring(w, without(2), 2000), 900, 1300);
	ring_rig_free(w);

	w = five(2, -1);
	w->faults.evidence_ppm = 1000000;
	sim_leave(w, 2);
	assert_in_range(ring_rig_ms_to_ring(w, without(2), 2000), 0, 100);
	ring_rig_free(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_copy_of_it_is_enough),
		cmocka_unit_test(one_copy_is_enough_in_every_state),
		cmocka_unit_test(if_all_are_lost_it_is_a_death),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
