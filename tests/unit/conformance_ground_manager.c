/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/unit/conformance_grounds.h"

#include <stdlib.h>

#include "lockres/lock_manager.h"
#include "tests/sim/world.h"
#include "tests/unit/help.h"

enum {
	NODES = CONFORMANCE_NODES + 1,
	WITNESS = NODES - 1,    /* index */
	QUIET_MS = 100,         /* what was asked for is over */
	RING_MS = 3000,         /* a ring has formed, and lockspaces are told */
};

struct stage {
	struct sim_world *world;
	bool is_stirred; /* nodes came or went */
	unsigned int patience;
	uint64_t died[NODES]; /* incarnation */
};

static void run(struct stage *s, uint64_t ms)
{
	sim_run(s->world, s->world->now + ms * s->patience * SIM_MS);
}

static struct lockspace_engine *ground_engine(void *owner, int node)
{
	struct stage *s = owner;

	return lock_manager_engine(s->world->nodes[node - 1].locks);
}

static void ground_settle(void *owner)
{
	struct stage *s = owner;

	run(s, s->is_stirred ? RING_MS : QUIET_MS);
	s->is_stirred = false;
}

static void ground_kill(void *owner, int node, enum lock_death death)
{
	struct stage *s = owner;

	(void)death;
	s->died[node - 1] = s->world->nodes[node - 1].incarnation;
	sim_crash(s->world, node - 1);
	s->is_stirred = true;
}

static void ground_prove(void *owner, int node, enum lock_death death)
{
	struct stage *s = owner;
	struct err err = ERR_INIT;

	/* It may not be missed yet. */
	assert_ok(lockspace_confirm_dead(ground_engine(s, WITNESS + 1), (uint32_t)node,
					 s->died[node - 1], death, &err), err);
}

static void ground_revive(void *owner, int node)
{
	struct stage *s = owner;

	sim_start(s->world, node - 1);
	s->is_stirred = true;
}

static void ground_cut(void *owner, int node, bool is_cut)
{
	struct stage *s = owner;

	s->died[node - 1] = s->world->nodes[node - 1].incarnation;
	for (int i = 0; i < NODES; i++) {
		sim_cut(s->world, node - 1, i, is_cut && i != node - 1);
		sim_cut(s->world, i, node - 1, is_cut && i != node - 1);
	}
	s->is_stirred = true;
}

static void ground_advance(void *owner, uint64_t ns)
{
	struct stage *s = owner;

	sim_run(s->world, s->world->now + ns);
}

struct conformance_ground manager_ground_in(uint32_t lvb_bytes, uint64_t seed,
					    const struct sim_faults *weather,
					    unsigned int patience)
{
	struct stage *s = calloc(1, sizeof(*s));

	assert_non_null(s);
	s->world = sim_new(seed, NODES, getenv("RING_TRACE") ? stderr : NULL);
	s->world->faults = *weather;
	s->patience = patience;
	sim_use_totems(s->world);
	sim_use_locks(s->world);
	for (int i = 0; i < NODES; i++)
		sim_start(s->world, i);
	run(s, RING_MS);
	return (struct conformance_ground){
		.name = "lock manager",
		.lvb_bytes = lvb_bytes,
		.owner = s,
		.engine = ground_engine,
		.settle = ground_settle,
		.kill = ground_kill,
		.prove = ground_prove,
		.revive = ground_revive,
		.cut = ground_cut,
		.advance = ground_advance,
	};
}

struct conformance_ground manager_ground(uint32_t lvb_bytes)
{
	static const struct sim_faults good = {
		.delay_min_ns = SIM_MS / 5,
		.delay_max_ns = 2 * SIM_MS / 5,
	};

	return manager_ground_in(lvb_bytes, 1, &good, 1);
}

const struct sim_world *manager_ground_world(const struct conformance_ground *ground)
{
	const struct stage *s = ground->owner;

	return s->world;
}

void manager_ground_strike(struct conformance_ground *ground)
{
	struct stage *s = ground->owner;

	assert_string_equal(s->world->failure, "");
	sim_free(s->world);
	free(s);
}
