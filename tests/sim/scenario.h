/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>

struct sim_world;

/* A story with dice: sets the world in motion and says what must come of it. */
struct scenario {
	const char *name; /* NULL ends the list */
	const char *summary;
	int nodes;
	void (*run)(struct sim_world *w);
	bool is_bare; /* of rings alone: not on another order */
};

extern const struct scenario scenarios[];

/* scenarios_totem.c */
void scenario_groups(struct sim_world *w);
void scenario_store(struct sim_world *w);
void scenario_hang(struct sim_world *w);
void scenario_locks(struct sim_world *w);
void scenario_talk(struct sim_world *w);
void scenario_quorum(struct sim_world *w);

/* scenarios_arrays.c */
void scenario_arrays(struct sim_world *w);
void scenario_arrays_disks(struct sim_world *w);
void scenario_arrays_sectors(struct sim_world *w);
void scenario_arrays_power(struct sim_world *w);
void scenario_arrays_leave(struct sim_world *w);
void scenario_arrays_elsewhere(struct sim_world *w);
void scenario_arrays_torn(struct sim_world *w);
void scenario_arrays_members(struct sim_world *w);
void scenario_arrays_fence(struct sim_world *w);
void scenario_arrays_grow(struct sim_world *w);
