/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <inttypes.h>
#include <stdbool.h>
#include <stddef.h>

#include "tests/sim/apps.h"
#include "tests/sim/checker.h"
#include "tests/sim/clerks.h"
#include "tests/sim/scenario.h"
#include "tests/sim/world.h"
#include "totem/totem.h"

/* E6: all that live, and only they, are on one ring, and it works. */
static void expect_one_ring(struct sim_world *w)
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

static void start_all(struct sim_world *w)
{
	int i;

	for (i = 0; i < w->count; i++)
		sim_start(w, i);
}

/* Faults and pauses end, and all are there for long enough. */
static void make_peace(struct sim_world *w)
{
	sim_heal(w);
	sim_run(w, w->now + 2000ull * SIM_MS);
	start_all(w);
	sim_run(w, w->now + 6000ull * SIM_MS);
}

static void some_traffic(struct sim_world *w)
{
	int i;

	for (i = 0; i < w->count; i++)
		if (sim_below(w, 2))
			sim_send(w, i, (uint32_t)sim_below(w, 8),
				 (uint32_t)(16 + sim_below(w, 1200)),
				 sim_below(w, 2));
}

static void run_calm(struct sim_world *w)
{
	int step;

	start_all(w);
	for (step = 0; step < 20; step++) {
		sim_run(w, w->now + 50ull * SIM_MS);
		some_traffic(w);
	}
	sim_run(w, w->now + 2000ull * SIM_MS);
	expect_one_ring(w);
}

static void bad_weather(struct sim_world *w)
{
	w->faults.loss_ppm = (uint32_t)sim_below(w, 100000);
	w->faults.duplicate_ppm = (uint32_t)sim_below(w, 100000);
	w->faults.corrupt_ppm = (uint32_t)sim_below(w, 10000);
	w->faults.delay_max_ns = SIM_MS + sim_below(w, 10 * SIM_MS);
	w->faults.evidence_ppm = (uint32_t)sim_below(w, 1000000);
	w->save_ns = SIM_MS + sim_below(w, 100) * SIM_MS;
}

static void run_lossy(struct sim_world *w)
{
	int step;

	bad_weather(w);
	start_all(w);
	for (step = 0; step < 60; step++) {
		sim_run(w, w->now + 100ull * SIM_MS);
		some_traffic(w);
	}
	sim_heal(w);
	sim_run(w, w->now + 4000ull * SIM_MS);
	expect_one_ring(w);
}

static void split(struct sim_world *w)
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

/* One thing goes wrong, or right. */
static void mischief(struct sim_world *w)
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
		split(w);
		break;
	case 7:
	case 8:
		sim_heal(w);
		bad_weather(w);
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

static void turmoil(struct sim_world *w, uint64_t healing_ns)
{
	int step;

	start_all(w);
	for (step = 0; step < 40; step++) {
		sim_run(w, w->now + sim_below(w, 300) * SIM_MS);
		some_traffic(w);
		if (sim_below(w, 3) == 0)
			mischief(w);
	}
	sim_heal(w);
	w->evict_ns = 0;
	sim_run(w, w->now + 2000ull * SIM_MS); /* pauses end */
	start_all(w);
	sim_run(w, w->now + healing_ns);
	expect_one_ring(w);
}

static void run_chaos(struct sim_world *w)
{
	bad_weather(w);
	w->sync_ns = sim_below(w, 3) * 20 * SIM_MS;
	turmoil(w, 6000ull * SIM_MS);
}

/* Services take long, and who waits for them evicts right and left. */
static void run_tardy(struct sim_world *w)
{
	bad_weather(w);
	w->sync_ns = 200ull * SIM_MS;
	w->evict_ns = (50 + sim_below(w, 200)) * SIM_MS;
	turmoil(w, 66 * w->config.token_ns);
}

/* Much to send, and something happens all the time, mostly in recovery. */
static void run_storm(struct sim_world *w)
{
	int step, i;

	bad_weather(w);
	w->faults.loss_ppm *= 3;
	w->sync_ns = sim_below(w, 2) * 5 * SIM_MS;
	start_all(w);
	sim_run(w, w->now + 60ull * SIM_MS);
	for (step = 0; step < 60; step++) {
		for (i = 0; i < w->count; i++)
			sim_send(w, i, (uint32_t)sim_below(w, 40),
				 (uint32_t)sim_below(w, 2000), sim_below(w, 2));
		sim_run(w, w->now + sim_below(w, 60) * SIM_MS);
		if (sim_below(w, 2) == 0)
			mischief(w);
	}
	make_peace(w);
	expect_one_ring(w);
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
	start_all(w);
	sim_run(w, w->now + 1000ull * SIM_MS);
	w->faults.loss_ppm = (uint32_t)sim_below(w, 15000);
	w->faults.duplicate_ppm = (uint32_t)sim_below(w, 500000);
	w->faults.delay_max_ns = SIM_MS + sim_below(w, 5 * SIM_MS);
	for (step = 0; step < 40; step++) {
		some_traffic(w);
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
	expect_one_ring(w);
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
	start_all(w);
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
	expect_one_ring(w);
}

/* Clocks leap, of one or of all at once, with and without a pause; and mischief. */
static void run_leaps(struct sim_world *w)
{
	int step, i;

	bad_weather(w);
	w->sync_ns = sim_below(w, 2) * 5 * SIM_MS;
	start_all(w);
	for (step = 0; step < 40; step++) {
		uint64_t leap = sim_below(w, 8000) * SIM_MS;
		int node = (int)sim_below(w, (uint64_t)w->count);

		sim_run(w, w->now + sim_below(w, 300) * SIM_MS);
		some_traffic(w);
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
			mischief(w);
			break;
		default:
			break;
		}
	}
	make_peace(w);
	expect_one_ring(w);
}

/* One node, or one direction, that comes and goes; then it stays. */
static void run_flap(struct sim_world *w)
{
	int a = (int)sim_below(w, (uint64_t)w->count), step, i;
	bool is_oneway = sim_below(w, 2);

	start_all(w);
	sim_run(w, w->now + 1000ull * SIM_MS);
	for (step = 0; step < 40; step++) {
		sim_say(w, a, "is %s", step % 2 ? "back" : "cut off");
		for (i = 0; i < w->count; i++) {
			sim_cut(w, a, i, step % 2 == 0);
			if (!is_oneway)
				sim_cut(w, i, a, step % 2 == 0);
		}
		some_traffic(w);
		sim_run(w, w->now + (100 + sim_below(w, 1000)) * SIM_MS);
	}
	sim_heal(w);
	/* a quarantine's 64 tokens, and a gather */
	sim_run(w, w->now + 66 * w->config.token_ns);
	expect_one_ring(w);
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
	start_all(w);
	sim_run(w, w->now + 1000ull * SIM_MS);
	sim_say(w, -1, "n%d is not heard by n%d", a + 1, b + 1);
	sim_cut(w, a, b, true);
	w->faults.loss_ppm = (uint32_t)sim_below(w, 5000);
	sim_cut(w, b, a, sim_below(w, 2));
	for (tick = 0; tick < 1200 && !w->failure[0]; tick++) {
		if (tick % 8 == 0)
			some_traffic(w);
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
	expect_one_ring(w);
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
	start_all(w);
	for (step = 0; step < 60; step++) {
		some_traffic(w);
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
	expect_one_ring(w);
}

/* Sixteen nodes, some losses, a few deaths. */
static void run_big(struct sim_world *w)
{
	int step;

	bad_weather(w);
	w->faults.loss_ppm /= 10;
	start_all(w);
	sim_run(w, w->now + 1500ull * SIM_MS);
	for (step = 0; step < 10; step++) {
		some_traffic(w);
		sim_run(w, w->now + sim_below(w, 400) * SIM_MS);
		mischief(w);
	}
	make_peace(w);
	expect_one_ring(w);
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
	start_all(w);
	sim_run(w, w->now + 2 * w->config.token_ns);
	for (step = 0; step < 2; step++) {
		some_traffic(w);
		sim_run(w, w->now + sim_below(w, 500) * SIM_MS);
		for (i = (int)sim_below(w, 3); i > 0; i--)
			sim_crash(w, (int)sim_below(w, (uint64_t)w->count));
		sim_run(w, w->now + sim_below(w, 2) * 2 * w->config.token_ns);
		if (sim_below(w, 2))
			sim_start(w, (int)sim_below(w, (uint64_t)w->count));
	}
	sim_heal(w);
	start_all(w);
	sim_run(w, w->now + 4 * w->config.token_ns);
	expect_one_ring(w);
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
	bad_weather(w);
	w->faults.corrupt_ppm = 1000 + (uint32_t)sim_below(w, 100000);
	w->sync_ns = 10ull * SIM_MS;
	start_all(w);
	for (step = 0; step < 60; step++) {
		some_traffic(w);
		sim_run(w, w->now + sim_below(w, 150) * SIM_MS);
		if (sim_below(w, 4) == 0)
			mischief(w);
	}
}

/* --- whole totems ------------------------------------------------------------------- */

/* Programs in groups, and services that synchronise, on what goes wrong in chaos. */
static void run_groups(struct sim_world *w)
{
	int step;

	sim_use_totems(w);
	bad_weather(w);
	w->sync_deadline_ns = 60000ull * SIM_MS; /* longer than it all */
	start_all(w);
	for (step = 0; step < 40; step++) {
		sim_run(w, w->now + sim_below(w, 300) * SIM_MS);
		apps_stir(w->apps);
		if (sim_below(w, 3) == 0)
			mischief(w);
	}
	make_peace(w);
	apps_expect_order(w->apps);
}

/*
 * Clerks write into checkpoints. Who loses its memory does so when all others have
 * the state: more than that nobody promises. Networks may do what they like.
 */
static void run_store(struct sim_world *w)
{
	int step, node;

	sim_use_totems(w);
	bad_weather(w);
	w->sync_deadline_ns = 60000ull * SIM_MS;
	start_all(w);
	for (step = 0; step < 60; step++) {
		sim_run(w, w->now + sim_below(w, 300) * SIM_MS);
		clerks_stir(w->clerks);
		node = (int)sim_below(w, (uint64_t)w->count);
		switch (sim_below(w, 12)) {
		case 0:
			if (clerks_may_forget(w->clerks))
				sim_crash(w, node);
			break;
		case 1:
			if (clerks_may_forget(w->clerks))
				sim_leave(w, node);
			break;
		case 2:
			split(w);
			break;
		case 3:
		case 4:
			sim_heal(w);
			bad_weather(w);
			break;
		case 5:
			sim_pause(w, node, sim_below(w, 1500) * SIM_MS);
			break;
		case 6:
			start_all(w);
			break;
		default:
			break;
		}
	}
	make_peace(w);
	clerks_stir(w->clerks);
	sim_run(w, w->now + 1000ull * SIM_MS);
	clerks_expect_all(w->clerks);
}

/*
 * A service of one node never finishes, as the node comes or as another goes: it is
 * late, then it leaves by itself, and the others go on without it.
 */
static void run_hang(struct sim_world *w)
{
	int hung = (int)sim_below(w, (uint64_t)w->count), i;
	int other = (hung + 1) % w->count;
	bool comes = sim_below(w, 2);

	sim_use_totems(w);
	w->sync_deadline_ns = 2000ull * SIM_MS;
	start_all(w);
	sim_run(w, w->now + 1000ull * SIM_MS);
	if (comes)
		sim_crash(w, hung);
	sim_run(w, w->now + 1000ull * SIM_MS);
	if (comes)
		sim_start(w, hung);
	w->nodes[hung].probe.hangs = true;
	if (!comes)
		sim_crash(w, other);
	apps_stir(w->apps);
	sim_run(w, w->now + 6000ull * SIM_MS);
	if (sim_is_up(w, hung))
		sim_fail(w, "Y5: n%d hangs, and is still there", hung + 1);
	for (i = 0; i < w->count; i++)
		if (w->nodes[i].totem && !sync_is_active(totem_sync(w->nodes[i].totem)))
			sim_fail(w, "Y5: n%d waits for ever", i + 1);
	start_all(w);
	sim_run(w, w->now + 6000ull * SIM_MS);
	apps_expect_order(w->apps);
}

const struct scenario scenarios[] = {
	{ "calm", "five nodes start, talk, and nothing goes wrong", 5, run_calm },
	{ "lossy", "five nodes on a network that loses, doubles and delays", 5,
	  run_lossy },
	{ "chaos", "crashes, leaves, restarts, splits, one-way cuts, pauses", 5,
	  run_chaos },
	{ "storm", "as chaos, closer together and under load", 5, run_storm },
	{ "drizzle", "packets are lost and doubled, and nobody fails", 5,
	  run_drizzle },
	{ "death", "one or two die under load", 5, run_death },
	{ "leaps", "clocks leap forward", 5, run_leaps },
	{ "flap", "a node that is cut off again and again", 5, run_flap },
	{ "oneway", "one does not hear one other, for long", 5, run_oneway },
	{ "evict", "the services of one never synchronise", 5, run_evict },
	{ "tardy", "as chaos, and services that take longer than others wait", 5,
	  run_tardy },
	{ "big", "sixteen nodes", 16, run_big },
	{ "hundred", "as many as there may be, on small packets", SIM_MAX_NODES,
	  run_hundred },
	{ "multicast", "as chaos or storm; who is not addressed hears it, too", 5,
	  run_multicast },
	{ "lawless", "damaged packets get through", 5, run_lawless },
	{ "groups", "as chaos, with programs in groups and sync services", 5,
	  run_groups },
	{ "store", "checkpoints, on what goes wrong with networks", 5, run_store },
	{ "hang", "a service that never finishes", 5, run_hang },
	{ NULL, NULL, 0, NULL },
};
