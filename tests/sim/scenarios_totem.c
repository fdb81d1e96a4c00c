/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Scenarios of whole totems, with programs, services and checkpoints. */
#include <stdbool.h>
#include <stdint.h>

#include "tests/sim/apps.h"
#include "tests/sim/clerks.h"
#include "tests/sim/lockers.h"
#include "tests/sim/talkers.h"
#include "tests/sim/moves.h"
#include "tests/sim/scenario.h"
#include "tests/sim/world.h"
#include "totem/totem.h"

/* Programs in groups, and services that synchronise, on what goes wrong in chaos. */
void scenario_groups(struct sim_world *w)
{
	int step;

	sim_use_totems(w);
	sim_bad_weather(w);
	w->sync_deadline_ns = 60000ull * SIM_MS; /* longer than it all */
	sim_start_all(w);
	for (step = 0; step < 40; step++) {
		sim_run(w, w->now + sim_below(w, 300) * SIM_MS);
		apps_stir(w->apps);
		if (sim_below(w, 3) == 0)
			sim_mischief(w);
	}
	sim_make_peace(w);
	apps_expect_order(w->apps);
}

/*
 * A node dies only when all others have the state: who loses its memory then takes
 * nothing along. Partitions come and go as they like.
 */
static void some_trouble(struct sim_world *w)
{
	int node = (int)sim_below(w, (uint64_t)w->count);

	switch (sim_below(w, 14)) {
	case 0:
		if (clerks_may_forget(w->clerks))
			sim_crash(w, node);
		break;
	case 1:
		if (clerks_may_forget(w->clerks))
			sim_leave(w, node);
		break;
	case 2:
		sim_split(w);
		break;
	case 3:
	case 4:
		sim_heal(w);
		sim_bad_weather(w);
		break;
	case 5:
		sim_pause(w, node, sim_below(w, 1500) * SIM_MS);
		break;
	case 6:
		sim_start_all(w);
		break;
	default:
		break;
	}
}

/* Clerks write into checkpoints. */
void scenario_store(struct sim_world *w)
{
	sim_use_totems(w);
	sim_bad_weather(w);
	w->sync_deadline_ns = 60000ull * SIM_MS;
	sim_start_all(w);
	for (int step = 0; step < 60; step++) {
		sim_run(w, w->now + sim_below(w, 300) * SIM_MS);
		clerks_stir(w->clerks);
		some_trouble(w);
	}
	sim_make_peace(w);
	clerks_stir(w->clerks);
	sim_run(w, w->now + 1000ull * SIM_MS);
	clerks_expect_all(w->clerks);
}

/*
 * A service of one node never finishes, as the node comes or as another goes: it is
 * late, then it leaves by itself, and the others go on without it.
 */
void scenario_hang(struct sim_world *w)
{
	int hung = (int)sim_below(w, (uint64_t)w->count), i;
	int other = (hung + 1) % w->count;
	bool comes = sim_below(w, 2);

	sim_use_totems(w);
	w->sync_deadline_ns = 2000ull * SIM_MS;
	sim_start_all(w);
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
	sim_start_all(w);
	sim_run(w, w->now + 6000ull * SIM_MS);
	apps_expect_order(w->apps);
}

/* Programs use lockspaces. Who died is said to be dead some time later, by whoever. */
void scenario_locks(struct sim_world *w)
{
	sim_use_totems(w);
	sim_use_lockers(w);
	sim_bad_weather(w);
	w->sync_deadline_ns = 60000ull * SIM_MS;
	sim_start_all(w);
	for (int step = 0; step < 80; step++) {
		sim_run(w, w->now + sim_below(w, 200) * SIM_MS);
		lockers_stir(w->lockers);
		if (sim_below(w, 3) == 0)
			lockers_prove(w->lockers);
		some_trouble(w);
	}
	sim_make_peace(w);
	lockers_expect_end(w->lockers);
}

static void choose_options(struct sim_world *w)
{
	struct quorum_options *o = &w->quorum_options;

	o->is_last_man_standing = sim_below(w, 4) > 0;
	o->last_man_standing_window_ns = (50 + sim_below(w, 600)) * SIM_MS;
	o->waits_for_all = sim_below(w, 3) == 0;
	o->allows_downscale = sim_below(w, 2);
	o->tie = (enum quorum_tie)sim_below(w, QUORUM_TIE_LIST);
}

/* What decides shrinks and grows: Q1, and what rests on it, in the same trouble. */
void scenario_quorum(struct sim_world *w)
{
	choose_options(w);
	sim_use_totems(w);
	sim_use_lockers(w);
	sim_bad_weather(w);
	w->sync_deadline_ns = 60000ull * SIM_MS;
	sim_start_all(w);
	for (int step = 0; step < 80; step++) {
		sim_run(w, w->now + sim_below(w, 400) * SIM_MS);
		lockers_stir(w->lockers);
		if (sim_below(w, 3) == 0)
			lockers_prove(w->lockers);
		some_trouble(w);
	}
	sim_make_peace(w);
	lockers_expect_end(w->lockers);
}

/* Messages by the handshake of TOKEN, MESSAGE and ACK, in the same trouble. */
void scenario_talk(struct sim_world *w)
{
	sim_use_totems(w);
	sim_use_talkers(w);
	sim_bad_weather(w);
	w->sync_deadline_ns = 60000ull * SIM_MS;
	sim_start_all(w);
	for (int step = 0; step < 120; step++) {
		sim_run(w, w->now + sim_below(w, 200) * SIM_MS);
		talkers_stir(w->talkers);
		if (sim_below(w, 3) == 0)
			talkers_prove(w->talkers);
		if (sim_below(w, 2))
			some_trouble(w);
	}
	sim_make_peace(w);
	talkers_expect_end(w->talkers);
}
