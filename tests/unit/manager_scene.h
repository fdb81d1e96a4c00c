/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Lock managers on whole rings in the simulator, and one program a node and lockspace
 * that takes down what it is told. Nodes are counted from 1, as in their ids.
 */
#pragma once

#include "tests/unit/help.h"

#include "lockres/lock_manager.h"
#include "tests/sim/world.h"

enum { SCENE_MAX_NODES = 8, SCENE_RING_MS = 3000, SCENE_QUIET_MS = 200 };

struct scene {
	struct sim_world *world;
};

/* A program in a lockspace. */
struct guest {
	struct scene *scene;
	int node;
	struct lockspace *space; /* NULL: not open */
	bool is_prepped;
	int dones, losses, closes;
	int lost; /* -errno */
	int slot, dead_slot;
	uint32_t dead_node, generation;
	size_t members;
};

struct claim {
	struct lockres lock;
	int answers, blocks;
	struct lock_result result;
	enum lock_mode wanted; /* of the last blocked() */
};

struct scene *scene_new(int nodes); /* their ring has formed */
/* Nothing that is promised was broken. */
void scene_free(struct scene *s);
void scene_run(struct scene *s, uint64_t ms);
void scene_cut_off(struct scene *s, int node); /* from all others */
void scene_heal(struct scene *s);              /* and the ring is one again */
void scene_crash(struct scene *s, int node);   /* and the others form a ring */
void scene_start(struct scene *s, int node);
uint64_t scene_incarnation(const struct scene *s, int node);
struct lock_manager *scene_manager(struct scene *s, int node);
/* The lockspace as the node knows it; `index` by name. */
struct lockspace_look scene_look(struct scene *s, int node, size_t index);
uint64_t scene_faults(struct scene *s, int node, enum lock_manager_fault fault);
/* Someone at that node says that the other one's process is dead. */
void scene_prove(struct scene *s, int teller, int dead, uint64_t incarnation,
		 enum lock_death death);
/* All nodes have the lockspaces of the first, in the same state. */
void scene_expect_equal(struct scene *s);

/* Asks only; `slots` 0: as many as there can be. */
void guest_ask(struct guest *g, struct scene *s, int node, const char *name, int slots);
void guest_open(struct guest *g, struct scene *s, int node, const char *name);
void guest_close(struct guest *g);

void claim_init(struct claim *c, struct guest *g, const char *name);
void claim_ask(struct claim *c, enum lock_mode mode, uint32_t flags);
/* And it is granted. */
void claim_take(struct claim *c, struct guest *g, const char *name, enum lock_mode mode,
		uint32_t flags);
