/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Scenarios of bare rings, whose every delivery is checked. */
#include <inttypes.h>
#include <stdbool.h>
#include <stddef.h>

#include "tests/sim/checker.h"
#include "tests/sim/moves.h"
#include "tests/sim/scenario.h"
#include "tests/sim/world.h"

static void run_calm(struct sim_world *w)
{
	int step;

	sim_start_all(w);
	for (step = 0; step < 20; step++) {
		sim_run(w, w->now + 50ull * SIM_MS);
		sim_some_traffic(w);
	}
	sim_run(w, w->now + 2000ull * SIM_MS);
	sim_expect_one_ring(w);
}

static void run_lossy(struct sim_world *w)
{
	int step;

	sim_bad_weather(w);
	sim_start_all(w);
	for (step = 0; step < 60; step++) {
		sim_run(w, w->now + 100ull * SIM_MS);
		sim_some_traffic(w);
	}
	sim_heal(w);
	sim_run(w, w->now + 4000ull * SIM_MS);
	sim_expect_one_ring(w);
}

static void turmoil(struct sim_world *w, uint64_t healing_ns)
{
	int step;

	sim_start_all(w);
	for (step = 0; step < 40; step++) {
		sim_run(w, w->now + sim_below(w, 300) * SIM_MS);
		sim_some_traffic(w);
		if (sim_below(w, 3) == 0)
			sim_mischief(w);
	}
	sim_heal(w);
	w->evict_ns = 0;
	sim_run(w, w->now + 2000ull * SIM_MS); /* pauses end */
	sim_start_all(w);
	sim_run(w, w->now + healing_ns);
	sim_expect_one_ring(w);
}

static void run_chaos(struct sim_world *w)
{
	sim_bad_weather(w);
	w->sync_ns = sim_below(w, 3) * 20 * SIM_MS;
	turmoil(w, 6000ull * SIM_MS);
}

/* Services take long, and who waits for them evicts right and left. */
static void run_tardy(struct sim_world *w)
{
	sim_bad_weather(w);
	w->sync_ns = 200ull * SIM_MS;
	w->evict_ns = (50 + sim_below(w, 200)) * SIM_MS;
	turmoil(w, 66 * w->config.token_ns);
}

/* Much to send, and something happens all the time, mostly in recovery. */
static void run_storm(struct sim_world *w)
{
	int step, i;

	sim_bad_weather(w);
	w->faults.loss_ppm *= 3;
	w->sync_ns = sim_below(w, 2) * 5 * SIM_MS;
	sim_start_all(w);
	sim_run(w, w->now + 60ull * SIM_MS);
	for (step = 0; step < 60; step++) {
		for (i = 0; i < w->count; i++)
			sim_send(w, i, (uint32_t)sim_below(w, 40),
				 (uint32_t)sim_below(w, 2000), sim_below(w, 2));
		sim_run(w, w->now + sim_below(w, 60) * SIM_MS);
		if (sim_below(w, 2) == 0)
			sim_mischief(w);
	}
	sim_make_peace(w);
	sim_expect_one_ring(w);
}

/*
 * Some packets are lost, and nobody fails: the ring mends that by itself, and
 * all that is sent arrives without a new configuration.
 */
static void run_drizzle(struct sim_world *w)
{
	uint64_t sent = 0;
	int step, i;

	w->sync_ns = 50ull * SIM_MS;
	sim_start_all(w);
	sim_run(w, w->now + 1000ull * SIM_MS);
	w->faults.loss_ppm = (uint32_t)sim_below(w, 15000);
	w->faults.duplicate_ppm = (uint32_t)sim_below(w, 500000);
	w->faults.delay_max_ns = SIM_MS + sim_below(w, 5 * SIM_MS);
	for (step = 0; step < 40; step++) {
		sim_some_traffic(w);
		sim_run(w, w->now + sim_below(w, 100) * SIM_MS);
	}
	for (i = 0; i < w->count; i++)
		sent += w->nodes[i].sent;
	sim_run(w, w->now + 600ull * SIM_MS);
	for (i = 0; i < w->count && !w->failure[0]; i++) {
		if (checker_installs(w->checker, i) != 1)
			sim_fail(w, "E6: n%d installed %" PRIu64 " rings, and nothing happened",
				 i + 1, checker_installs(w->checker, i));
		else if (checker_deliveries(w->checker, i) < sent)
			sim_fail(w, "E6: n%d lacks messages", i + 1);
	}
	w->faults.loss_ppm = 0;
	sim_expect_one_ring(w);
}

/*
 * One or two die under load, while some packets are lost: the others go on in
 * one new ring, at the first attempt, before three token times are over.
 */
static void run_death(struct sim_world *w)
{
	int a = (int)sim_below(w, (uint64_t)w->count);
	int b = (int)sim_below(w, (uint64_t)w->count), i;

	w->faults.evidence_ppm = sim_below(w, 2) ? 1000000 : 0;
	sim_start_all(w);
	sim_run(w, w->now + 1000ull * SIM_MS);
	w->faults.loss_ppm = (uint32_t)sim_below(w, 15000);
	for (i = 0; i < w->count; i++)
		sim_send(w, i, 200, (uint32_t)sim_below(w, 2000), i % 2);
	sim_run(w, w->now + sim_below(w, 100) * SIM_MS);
	sim_crash(w, a);
	sim_crash(w, b);
	sim_run(w, w->now + 3 * w->config.token_ns);
	for (i = 0; i < w->count && !w->failure[0]; i++)
		if (w->nodes[i].ring && checker_installs(w->checker, i) != 2)
			sim_fail(w, "E6: n%d installed %" PRIu64 " rings, and should have 2",
				 i + 1, checker_installs(w->checker, i));
	w->faults.loss_ppm = 0;
	sim_run(w, w->now + 1000ull * SIM_MS);
	sim_expect_one_ring(w);
}

/* Clocks leap, of one or of all at once, with and without a pause; and mischief. */
static void run_leaps(struct sim_world *w)
{
	int step, i;

	sim_bad_weather(w);
	w->sync_ns = sim_below(w, 2) * 5 * SIM_MS;
	sim_start_all(w);
	for (step = 0; step < 40; step++) {
		uint64_t leap = sim_below(w, 8000) * SIM_MS;
		int node = (int)sim_below(w, (uint64_t)w->count);

		sim_run(w, w->now + sim_below(w, 300) * SIM_MS);
		sim_some_traffic(w);
		switch (sim_below(w, 8)) {
		case 0:
			for (i = 0; i < w->count; i++)
				sim_jump(w, i, leap);
			break;
		case 1:
			sim_pause(w, node, sim_below(w, 1500) * SIM_MS);
			sim_jump(w, node, leap);
			break;
		case 2:
		case 3:
			sim_jump(w, node, leap);
			break;
		case 4:
			sim_mischief(w);
			break;
		default:
			break;
		}
	}
	sim_make_peace(w);
	sim_expect_one_ring(w);
}

/* One node, or one direction, that comes and goes; then it stays. */
static void run_flap(struct sim_world *w)
{
	int a = (int)sim_below(w, (uint64_t)w->count), step, i;
	bool is_oneway = sim_below(w, 2);

	sim_start_all(w);
	sim_run(w, w->now + 1000ull * SIM_MS);
	for (step = 0; step < 40; step++) {
		sim_say(w, a, "is %s", step % 2 ? "back" : "cut off");
		for (i = 0; i < w->count; i++) {
			sim_cut(w, a, i, step % 2 == 0);
			if (!is_oneway)
				sim_cut(w, i, a, step % 2 == 0);
		}
		sim_some_traffic(w);
		sim_run(w, w->now + (100 + sim_below(w, 1000)) * SIM_MS);
	}
	sim_heal(w);
	/* a quarantine's 64 tokens, and a gather */
	sim_run(w, w->now + 66 * w->config.token_ns);
	sim_expect_one_ring(w);
}

/* Whether all but a and b are on rings of all, or of all but one. */
static bool is_mostly_whole(const struct sim_world *w, int a, int b)
{
	int i;

	for (i = 0; i < w->count; i++) {
		const struct ring *r = w->nodes[i].ring;

		if (i != a && i != b &&
		    (ring_state(r) != RING_OPERATIONAL ||
		     set_count(ring_members(r)) < w->count - 1))
			return false;
	}
	return true;
}

/*
 * One does not hear one other, or neither hears the other, and that lasts. The
 * others, and one of the two at least, go on; the rare attempt to ring with all
 * of them is what it costs. Mended they are one ring again.
 */
static void run_oneway(struct sim_world *w)
{
	int a = (int)sim_below(w, (uint64_t)w->count);
	int b = (a + 1 + (int)sim_below(w, (uint64_t)w->count - 1)) % w->count;
	uint64_t good = 0;
	int tick, i;

	w->faults.evidence_ppm = 0;
	sim_start_all(w);
	sim_run(w, w->now + 1000ull * SIM_MS);
	sim_say(w, -1, "n%d is not heard by n%d", a + 1, b + 1);
	sim_cut(w, a, b, true);
	w->faults.loss_ppm = (uint32_t)sim_below(w, 5000);
	sim_cut(w, b, a, sim_below(w, 2));
	for (tick = 0; tick < 1200 && !w->failure[0]; tick++) {
		if (tick % 8 == 0)
			sim_some_traffic(w);
		sim_run(w, w->now + w->config.token_ns / 10);
		good += is_mostly_whole(w, a, b);
	}
	if (good < 1100)
		sim_fail(w, "E6: %" PRIu64 " of 1200 times most were on one ring",
			 good);
	/* after 1, 2, 4, 8, 16 and 32 tokens it was tried again */
	for (i = 0; i < w->count; i++)
		if (i != a && i != b && checker_installs(w->checker, i) > 2 + 2 * 7)
			sim_fail(w, "E6: n%d installed %" PRIu64 " rings: there is no peace",
				 i + 1, checker_installs(w->checker, i));
	sim_heal(w);
	sim_run(w, w->now + 66 * w->config.token_ns);
	sim_expect_one_ring(w);
}

/*
 * The services of one never synchronise. The others evict it, and work; it is
 * given a chance now and then, later and later; mended it is one of them again.
 */
static void run_evict(struct sim_world *w)
{
	int a = (int)sim_below(w, (uint64_t)w->count), step, i;
	uint64_t unhindered = 0;

	w->sync_ns = sim_below(w, 2) * 20 * SIM_MS;
	w->evict_ns = 400ull * SIM_MS;
	w->nodes[a].is_stuck = true;
	w->faults.duplicate_ppm = (uint32_t)sim_below(w, 500000);
	w->faults.loss_ppm = (uint32_t)sim_below(w, 10000);
	sim_start_all(w);
	for (step = 0; step < 60; step++) {
		sim_some_traffic(w);
		sim_run(w, w->now + w->config.token_ns);
		for (i = 0; i < w->count; i++)
			unhindered += i != a && set_is_empty(
						ring_waiting_for(w->nodes[i].ring));
	}
	/* it was let in after 1, 2, 4, 8 and 16 tokens, and held us up for two */
	for (i = 0; i < w->count && !w->failure[0]; i++)
		if (i != a && checker_installs(w->checker, i) > 2 + 2 * 6)
			sim_fail(w, "n%d installed %" PRIu64 " rings: evicting brings no peace",
				 i + 1, checker_installs(w->checker, i));
	if (unhindered < 40 * (uint64_t)(w->count - 1))
		sim_fail(w, "evicting does not help: %" PRIu64 " of %d",
			 unhindered, 60 * (w->count - 1));
	w->nodes[a].is_stuck = false;
	sim_heal(w);
	sim_run(w, w->now + 66 * w->config.token_ns);
	sim_expect_one_ring(w);
}

/* Sixteen nodes, some losses, a few deaths. */
static void run_big(struct sim_world *w)
{
	int step;

	sim_bad_weather(w);
	w->faults.loss_ppm /= 10;
	sim_start_all(w);
	sim_run(w, w->now + 1500ull * SIM_MS);
	for (step = 0; step < 10; step++) {
		sim_some_traffic(w);
		sim_run(w, w->now + sim_below(w, 400) * SIM_MS);
		sim_mischief(w);
	}
	sim_make_peace(w);
	sim_expect_one_ring(w);
}

/*
 * As many as there may be, on the smallest packets that they can do with, so
 * that the commit token goes in parts; some of them are lost, and some die.
 */
static void run_hundred(struct sim_world *w)
{
	int step, i;

	w->config.packet_bytes = ring_packet_min(w->count);
	w->config.token_ns = 1000ull * SIM_MS; /* the default */
	w->faults.loss_ppm = (uint32_t)sim_below(w, 5000);
	w->faults.duplicate_ppm = (uint32_t)sim_below(w, 20000);
	sim_start_all(w);
	sim_run(w, w->now + 2 * w->config.token_ns);
	for (step = 0; step < 2; step++) {
		sim_some_traffic(w);
		sim_run(w, w->now + sim_below(w, 500) * SIM_MS);
		for (i = (int)sim_below(w, 3); i > 0; i--)
			sim_crash(w, (int)sim_below(w, (uint64_t)w->count));
		sim_run(w, w->now + sim_below(w, 2) * 2 * w->config.token_ns);
		if (sim_below(w, 2))
			sim_start(w, (int)sim_below(w, (uint64_t)w->count));
	}
	sim_heal(w);
	sim_start_all(w);
	sim_run(w, w->now + 4 * w->config.token_ns);
	sim_expect_one_ring(w);
}

/* What is for many is heard by all. */
static void run_multicast(struct sim_world *w)
{
	w->has_group = true;
	if (sim_below(w, 2))
		run_chaos(w);
	else
		run_storm(w);
}

/* Damaged packets get through: nothing is promised, but that all stay alive. */
static void run_lawless(struct sim_world *w)
{
	int step;

	w->is_lawless = true;
	sim_bad_weather(w);
	w->faults.corrupt_ppm = 1000 + (uint32_t)sim_below(w, 100000);
	w->sync_ns = 10ull * SIM_MS;
	sim_start_all(w);
	for (step = 0; step < 60; step++) {
		sim_some_traffic(w);
		sim_run(w, w->now + sim_below(w, 150) * SIM_MS);
		if (sim_below(w, 4) == 0)
			sim_mischief(w);
	}
}

const struct scenario scenarios[] = {
	{ "calm", "five nodes start, talk, and nothing goes wrong", 5, run_calm, true },
	{ "lossy", "five nodes on a network that loses, doubles and delays", 5,
	  run_lossy, true },
	{ "chaos", "crashes, leaves, restarts, splits, one-way cuts, pauses", 5,
	  run_chaos, true },
	{ "storm", "as chaos, closer together and under load", 5, run_storm, true },
	{ "drizzle", "packets are lost and doubled, and nobody fails", 5,
	  run_drizzle, true },
	{ "death", "one or two die under load", 5, run_death, true },
	{ "leaps", "clocks leap forward", 5, run_leaps, true },
	{ "flap", "a node that is cut off again and again", 5, run_flap, true },
	{ "oneway", "one does not hear one other, for long", 5, run_oneway, true },
	{ "evict", "the services of one never synchronise", 5, run_evict, true },
	{ "tardy", "as chaos, and services that take longer than others wait", 5,
	  run_tardy, true },
	{ "big", "sixteen nodes", 16, run_big, true },
	{ "hundred", "as many as there may be, on small packets", SIM_MAX_NODES,
	  run_hundred, true },
	{ "multicast", "as chaos or storm; who is not addressed hears it, too", 5,
	  run_multicast, true },
	{ "lawless", "damaged packets get through", 5, run_lawless, true },
	{ "groups", "as chaos, with programs in groups and sync services", 5,
	  scenario_groups, false },
	{ "store", "checkpoints, on what goes wrong with networks", 5, scenario_store, false },
	{ "hang", "a service that never finishes", 5, scenario_hang, false },
	{ "locks", "lockspaces, on what goes wrong with networks and nodes", 5, scenario_locks, false },
	{ "quorum", "nodes that decide become fewer and more, with quorum's options", 5,
	  scenario_quorum, false },
	{ "talk", "the handshake of TOKEN, MESSAGE and ACK, in the same trouble", 5, scenario_talk, false },
	{ "arrays", "an array on shared disks, on what goes wrong with networks and nodes", 5,
	  scenario_arrays, false },
	{ "arrays-disks", "and a disk fails, others hang or are slow", 5, scenario_arrays_disks, false },
	{ "arrays-sectors", "and a disk has sectors that it cannot read", 5,
	  scenario_arrays_sectors, false },
	{ "arrays-power", "the power of all fails, also while they recover", 5,
	  scenario_arrays_power, false },
	{ "arrays-leave", "nodes join and leave under load", 5, scenario_arrays_leave, false },
	{ "arrays-elsewhere", "it is given up for a moment, by some or all, under load", 5,
	  scenario_arrays_elsewhere, false },
	{ "arrays-torn", "... while its disks, size or shape are changed", 5,
	  scenario_arrays_torn, false },
	{ "arrays-grow", "the array is changed while all write", 5, scenario_arrays_grow, false },
	{ "arrays-members", "disks are failed, removed, added, rebuilt", 5, scenario_arrays_members, false },
	{ "arrays-fence", "clusters are cut, with any quorum, and nodes fence each other", 5,
	  scenario_arrays_fence, false },
	{ NULL, NULL, 0, NULL, false },
};
