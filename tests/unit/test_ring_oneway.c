/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Links that fail for two nodes only, or in one direction, and stay so: the ring
 * goes round them if it can, and else goes on without one of the two.
 */
#include "tests/unit/ring_rig.h"

#include "totem/wire.h"

enum { TOKEN_MS = 1000 };

/* Even if the one is the next on the ring, and could always answer first. */
static void who_does_not_hear_one_is_answered_by_another(void **state)
{
	int a, b, i;

	(void)state;
	for (a = 0; a < 5; a++)
		for (b = 0; b < 5; b++) {
			struct sim_world *w;

			if (b == a || b == (a + 1) % 5)
				continue; /* there the token goes */
			w = ring_rig_new(5);
			sim_cut(w, a, b, true);
			ring_rig_load(w, 20, 500);
			ring_rig_run(w, 300);
			for (i = 0; i < 5; i++)
				assert_int_equal(checker_deliveries(w->checker, i),
						 100);
			ring_rig_run(w, 10 * TOKEN_MS);
			for (i = 0; i < 5; i++)
				assert_int_equal(checker_installs(w->checker, i), 1);
			ring_rig_free(w);
		}
}

static bool is_without_one_of(const struct sim_world *w, int a, int b)
{
	int i;

	for (i = 0; i < w->count; i++) {
		const struct ring *r = w->nodes[i].ring;

		if (i != a && i != b && (ring_state(r) != RING_OPERATIONAL ||
					 set_count(ring_members(r)) != 4))
			return false;
	}
	return true;
}

/* It is tried again after 1, 2, 4, 8, 16, 32 and 64 tokens, and no more. */
static void a_cut_where_the_token_goes_costs_one_of_two(void **state)
{
	int a, b, c, ms;

	(void)state;
	for (a = 0; a < 5; a++) {
		struct sim_world *w = ring_rig_new(5);

		b = (a + 1) % 5;
		c = (a + 2) % 5;
		w->faults.evidence_ppm = 0;
		sim_cut(w, a, b, true);
		ring_rig_load(w, 20, 500);
		for (ms = 0; !is_without_one_of(w, a, b); ms++)
			ring_rig_run(w, 1);
		assert_in_range(ms, TOKEN_MS / 2, 3 * TOKEN_MS / 2);
		ring_rig_run(w, 130 * TOKEN_MS);
		assert_in_range(checker_installs(w->checker, c), 10, 16);
		sim_heal(w);
		ring_rig_ms_to_ring(w, 0x1f, 66 * TOKEN_MS);
		ring_rig_free(w);
	}
}

static bool drop_large_to_n3(const struct sim_world *w, int from, int to,
			     const uint8_t *bytes, size_t length)
{
	(void)w;
	(void)from;
	return to == 2 && bytes[3] == WIRE_DATA && length > 1000;
}

/*
 * It takes long to find out that n3 never receives what it must: as long as
 * that is soon after it was let in, it stays out longer each time.
 */
static void what_fails_slowly_stays_out_longer_each_time(void **state)
{
	struct sim_world *w = ring_rig_new(3);
	int i;

	(void)state;
	w->is_dropped = drop_large_to_n3;
	for (i = 0; i < 240; i++) {
		sim_send(w, 0, 2, 1300, true);
		ring_rig_run(w, TOKEN_MS);
	}
	assert_in_range(checker_installs(w->checker, 0), 10, 24);
	w->is_dropped = NULL;
	ring_rig_ms_to_ring(w, 7, 66 * TOKEN_MS);
	ring_rig_free(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(who_does_not_hear_one_is_answered_by_another),
		cmocka_unit_test(a_cut_where_the_token_goes_costs_one_of_two),
		cmocka_unit_test(what_fails_slowly_stays_out_longer_each_time),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
