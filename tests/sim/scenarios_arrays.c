/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Scenarios of whole clusters with an array and its disks. */
#include <stdbool.h>
#include <stdint.h>

#include "tests/sim/arrays.h"
#include "tests/sim/moves.h"
#include "tests/sim/scenario.h"
#include "tests/sim/world.h"

static struct sim_arrays *make(struct sim_world *w, int spare_count)
{
	sim_use_totems(w);
	w->sync_deadline_ns = 60000ull * SIM_MS;
	w->config.token_ns = 150ull * SIM_MS;
	return sim_use_arrays(w, spare_count);
}

static void start(struct sim_world *w)
{
	sim_bad_weather(w);
	sim_start_all(w);
	sim_run(w, w->now + 400ull * SIM_MS);
}

/* Three to five take part. */
static struct sim_arrays *begin_with(struct sim_world *w, int spare_count)
{
	struct sim_arrays *all;

	w->count = 3 + (int)sim_below(w, 3);
	all = make(w, spare_count);
	start(w);
	return all;
}

static struct sim_arrays *begin(struct sim_world *w)
{
	return begin_with(w, 0);
}

/* Not a whole number of anything: a crash may come anywhere. */
static void a_while(struct sim_world *w)
{
	sim_run(w, w->now + sim_below(w, sim_below(w, 8) ? 100ull * SIM_MS : 1000ull * SIM_MS));
}

static void end(struct sim_world *w, struct sim_arrays *all)
{
	arrays_calm(all);
	sim_make_peace(w);
	arrays_expect_end(all);
}

static void some_trouble(struct sim_world *w, struct sim_arrays *all)
{
	int node = (int)sim_below(w, (uint64_t)w->count);

	switch (sim_below(w, 24)) {
	case 0:
		sim_crash(w, node);
		break;
	case 1:
	case 2:
		arrays_crash_writing(all, node);
		break;
	case 3:
		sim_leave(w, node);
		break;
	case 4:
		arrays_leave(all, node);
		break;
	case 5:
		sim_split(w);
		break;
	case 6:
	case 7:
		sim_heal(w);
		sim_bad_weather(w);
		break;
	case 8:
		sim_pause(w, node, sim_below(w, 1500) * SIM_MS);
		break;
	case 9:
	case 10:
	case 11:
		arrays_start(all);
		arrays_tidy(all);
		break;
	default:
		break;
	}
}

void scenario_arrays(struct sim_world *w)
{
	struct sim_arrays *all = begin(w);

	for (int step = 0; step < 60 && !w->failure[0]; step++) {
		a_while(w);
		arrays_stir(all);
		arrays_prove(all);
		some_trouble(w, all);
	}
	end(w, all);
}

/* One disk fails, and any of them hangs or is slow for a while. */
void scenario_arrays_disks(struct sim_world *w)
{
	struct sim_arrays *all = begin(w);
	int fails_at = (int)sim_below(w, 60);

	for (int step = 0; step < 60 && !w->failure[0]; step++) {
		a_while(w);
		arrays_stir(all);
		arrays_prove(all);
		if (step == fails_at)
			arrays_fail_disk(all);
		else if (sim_below(w, 6) == 0)
			arrays_disk_trouble(all);
		if (sim_below(w, 2))
			some_trouble(w, all);
	}
	end(w, all);
}

/* A disk cannot read here and there; now and then it is slow, hangs, or fails after all. */
void scenario_arrays_sectors(struct sim_world *w)
{
	struct sim_arrays *all = begin(w);
	int fails_at = (int)sim_below(w, 240);

	for (int step = 0; step < 60 && !w->failure[0]; step++) {
		a_while(w);
		arrays_stir(all);
		arrays_prove(all);
		if (step == fails_at)
			arrays_fail_disk(all);
		else if (sim_below(w, 24) == 0)
			arrays_disk_trouble(all);
		if (sim_below(w, 8) == 0)
			arrays_spoil_disk(all);
		if (sim_below(w, 2))
			some_trouble(w, all);
	}
	end(w, all);
}

/* The power of all fails, also while they recover from the last time. */
void scenario_arrays_power(struct sim_world *w)
{
	struct sim_arrays *all = begin(w);

	for (int cut = 0; cut < 4 && !w->failure[0]; cut++) {
		for (int step = (int)sim_below(w, 16); step > 0; step--) {
			a_while(w);
			arrays_stir(all);
			arrays_prove(all);
			if (sim_below(w, 4) == 0)
				some_trouble(w, all);
		}
		arrays_cut_power(all);
		for (int i = 0; i < w->count; i++)
			if (sim_below(w, 5)) {
				sim_start(w, i);
				sim_run(w, w->now + sim_below(w, 50ull * SIM_MS));
			}
		sim_run(w, w->now + sim_below(w, 1000ull * SIM_MS));
	}
	end(w, all);
}

/* They come and go as they should, under load. */
void scenario_arrays_leave(struct sim_world *w)
{
	struct sim_arrays *all = begin(w);

	for (int step = 0; step < 60 && !w->failure[0]; step++) {
		a_while(w);
		arrays_stir(all);
		arrays_prove(all);
		if (sim_below(w, 4) == 0)
			arrays_leave(all, (int)sim_below(w, (uint64_t)w->count));
		if (sim_below(w, 3) == 0)
			arrays_tidy(all);
		if (sim_below(w, 12) == 0)
			arrays_crash_writing(all, (int)sim_below(w, (uint64_t)w->count));
		if (sim_below(w, 6) == 0)
			arrays_start(all);
	}
	end(w, all);
}

static void given_up(struct sim_world *w, struct sim_arrays *all)
{
	a_while(w);
	arrays_stir(all);
	arrays_prove(all);
	if (sim_below(w, 4) == 0)
		arrays_give_up(all, (int)sim_below(w, (uint64_t)w->count));
	if (sim_below(w, 12) == 0)
		arrays_give_up(all, -1);
	if (sim_below(w, 4) == 0)
		some_trouble(w, all);
}

/* A kernel has it for a moment, of which not all hear at once, and some are not there. */
void scenario_arrays_elsewhere(struct sim_world *w)
{
	struct sim_arrays *all = begin(w);

	for (int step = 0; step < 60 && !w->failure[0]; step++)
		given_up(w, all);
	end(w, all);
}

/* ... in the midst of a change of its disks, or of its size and shape. */
void scenario_arrays_torn(struct sim_world *w)
{
	struct sim_arrays *all = begin_with(w, 2);
	bool grows = sim_below(w, 2) == 0;

	for (int step = 0; step < 60 && !w->failure[0]; step++) {
		given_up(w, all);
		if (!grows && sim_below(w, 3) == 0)
			arrays_manage(all, true);
		if (grows && sim_below(w, 6) == 0)
			arrays_grow(all);
	}
	end(w, all);
}

/*
 * Disks are failed, removed, added, and rebuilt, by whom death does not spare; now and then one
 * hangs, and others take its role.
 */
void scenario_arrays_members(struct sim_world *w)
{
	struct sim_arrays *all = begin_with(w, 2);
	bool hangs = sim_below(w, 2) == 0;

	for (int step = 0; step < 60 && !w->failure[0]; step++) {
		a_while(w);
		arrays_stir(all);
		arrays_prove(all);
		if (sim_below(w, 3) == 0)
			arrays_manage(all, !hangs);
		if (hangs && sim_below(w, 6) == 0)
			arrays_disk_trouble(all);
		if (sim_below(w, 3) == 0)
			some_trouble(w, all);
	}
	end(w, all);
}

/* Two to five, with some of quorum's options. */
static struct sim_arrays *begin_fenced(struct sim_world *w)
{
	struct quorum_options *o = &w->quorum_options;
	struct sim_arrays *all;

	w->count = 2 + (int)sim_below(w, 4);
	o->is_two_node = w->count == 2 && sim_below(w, 2);
	o->waits_for_all = o->is_two_node || sim_below(w, 3) == 0;
	if (!o->is_two_node) {
		o->is_last_man_standing = sim_below(w, 2);
		o->last_man_standing_window_ns = (100 + sim_below(w, 600)) * SIM_MS;
		o->tie = (enum quorum_tie)sim_below(w, QUORUM_TIE_LIST);
	}
	all = make(w, 0);
	/* with two_node nobody loses its lease: a watchdog proves nothing, and is refused */
	arrays_use_fencing(all, !o->is_two_node && sim_below(w, 2));
	start(w);
	return all;
}

static void some_cut(struct sim_world *w, struct sim_arrays *all)
{
	int node = (int)sim_below(w, (uint64_t)w->count);
	int other = (int)sim_below(w, (uint64_t)w->count);

	switch (sim_below(w, 16)) {
	case 0:
	case 1:
	case 2:
		sim_split(w);
		break;
	case 3:
		sim_say(w, -1, "n%d is not heard by n%d", node + 1, other + 1);
		sim_cut(w, node, other, true);
		break;
	case 4:
	case 5:
		sim_heal(w);
		sim_bad_weather(w);
		break;
	case 6:
		sim_pause(w, node, sim_below(w, 4000) * SIM_MS);
		break;
	case 7:
		arrays_crash_writing(all, node);
		break;
	case 8:
		arrays_leave(all, node);
		break;
	case 9:
	case 10:
	case 11:
		arrays_start(all);
		arrays_tidy(all);
		break;
	default:
		break;
	}
}

/* Those who go on have to prove that the others are dead, who may live. */
void scenario_arrays_fence(struct sim_world *w)
{
	struct sim_arrays *all = begin_fenced(w);

	for (int step = 0; step < 60 && !w->failure[0]; step++) {
		sim_run(w, w->now + sim_below(w, sim_below(w, 4) ? 100ull * SIM_MS : 2000ull * SIM_MS));
		arrays_stir(all);
		arrays_prove(all);
		some_cut(w, all);
	}
	end(w, all);
}

/* The array is changed under load: all stop for it, whoever dies meanwhile. */
void scenario_arrays_grow(struct sim_world *w)
{
	struct sim_arrays *all = begin(w);

	for (int step = 0; step < 60 && !w->failure[0]; step++) {
		a_while(w);
		arrays_stir(all);
		arrays_prove(all);
		if (sim_below(w, 2) == 0)
			arrays_grow(all);
		if (sim_below(w, 3) == 0)
			some_trouble(w, all);
	}
	end(w, all);
}
