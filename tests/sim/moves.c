/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/sim/moves.h"

#include <inttypes.h>

#include "tests/sim/checker.h"
#include "tests/sim/world.h"

void sim_expect_one_ring(struct sim_world *w)
{
	uint64_t before[SIM_MAX_NODES] = { 0 }, installs[SIM_MAX_NODES] = { 0 };
	struct node_set all = { { 0 } };
	int i;

	for (i = 0; i < w->count; i++)
		if (w->nodes[i].ring)
			set_add(&all, i);
	for (i = 0; i < w->count && !w->failure[0]; i++) {
		const struct ring *r = w->nodes[i].ring;

		if (!r)
			continue;
		if (ring_state(r) != RING_OPERATIONAL)
			sim_fail(w, "E6: n%d is in %s", i + 1,
				 ring_state_name(ring_state(r)));
		else if (!set_equal(ring_members(r), all))
			sim_fail(w, "E6: n%d has %d members, %d of them are of the %d that live",
				 i + 1, set_count(ring_members(r)),
				 set_count(set_and(ring_members(r), all)),
				 set_count(all));
		before[i] = checker_deliveries(w->checker, i);
		installs[i] = checker_installs(w->checker, i);
	}
	for (i = 0; i < w->count; i++)
		sim_send(w, i, 2, 100, i % 2);
	sim_run(w, w->now + 1000ull * SIM_MS);
	for (i = 0; i < w->count && !w->failure[0]; i++)
		if (w->nodes[i].ring &&
		    checker_deliveries(w->checker, i) <
			    before[i] + 2 * (uint64_t)set_count(all))
			sim_fail(w, "E6: n%d does not deliver what is sent", i + 1);
		else if (w->nodes[i].ring &&
			 checker_installs(w->checker, i) != installs[i])
			sim_fail(w, "E6: n%d has no peace", i + 1);
}

void sim_start_all(struct sim_world *w)
{
	int i;

	for (i = 0; i < w->count; i++)
		sim_start(w, i);
}

void sim_make_peace(struct sim_world *w)
{
	sim_heal(w);
	sim_run(w, w->now + 2000ull * SIM_MS);
	sim_start_all(w);
	sim_run(w, w->now + 6000ull * SIM_MS);
}

void sim_some_traffic(struct sim_world *w)
{
	int i;

	for (i = 0; i < w->count; i++)
		if (sim_below(w, 2))
			sim_send(w, i, (uint32_t)sim_below(w, 8),
				 (uint32_t)(16 + sim_below(w, 1200)),
				 sim_below(w, 2));
}

void sim_bad_weather(struct sim_world *w)
{
	w->faults.loss_ppm = (uint32_t)sim_below(w, 100000);
	w->faults.duplicate_ppm = (uint32_t)sim_below(w, 100000);
	w->faults.corrupt_ppm = (uint32_t)sim_below(w, 10000);
	w->faults.delay_max_ns = SIM_MS + sim_below(w, 10 * SIM_MS);
	w->faults.evidence_ppm = (uint32_t)sim_below(w, 1000000);
	w->save_ns = SIM_MS + sim_below(w, 100) * SIM_MS;
}

void sim_split(struct sim_world *w)
{
	struct node_set side = { { sim_random(w) } };
	int i, j;

	if (w->count > 64)
		side.bits[1] = sim_random(w);
	sim_say(w, -1, "the network splits, %" PRIx64 " %" PRIx64, side.bits[1],
		side.bits[0]);
	for (i = 0; i < w->count; i++)
		for (j = 0; j < w->count; j++)
			sim_cut(w, i, j, set_has(&side, i) != set_has(&side, j));
}

void sim_mischief(struct sim_world *w)
{
	int node = (int)sim_below(w, (uint64_t)w->count);
	int other = (int)sim_below(w, (uint64_t)w->count);

	switch (sim_below(w, 12)) {
	case 0:
	case 1:
		sim_crash(w, node);
		break;
	case 2:
		sim_leave(w, node);
		break;
	case 3:
	case 4:
	case 5:
		sim_start(w, node);
		break;
	case 6:
		sim_split(w);
		break;
	case 7:
	case 8:
		sim_heal(w);
		sim_bad_weather(w);
		break;
	case 9:
		sim_say(w, -1, "n%d is not heard by n%d", node + 1, other + 1);
		sim_cut(w, node, other, true);
		break;
	case 10:
		sim_pause(w, node, sim_below(w, 1500) * SIM_MS);
		break;
	default:
		if (!sim_is_up(w, node)) {
			sim_lose_disk(w, node);
			sim_start(w, node);
		}
		break;
	}
}
