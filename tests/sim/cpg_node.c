/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/sim/cpg_node.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tests/sim/cpg_bus.h"
#include "tests/sim/world.h"
#include "totem/totem.h"

enum { BUSY_PPM = 5000, MOST_AT_ONCE = 8, DEAD_SIDE = 16 };

struct sim_cpg {
	struct sim_world *world;
	struct cpg_bus *bus;
	int sides[CPG_BUS_SLOTS];
	bool is_dead[CPG_BUS_SLOTS]; /* its host is, and nobody knows yet */
	bool is_frozen;              /* the token is missed: nothing is put in order */
	bool is_ordering, is_changing; /* calls that are on their way */
	uint32_t last_pid, pids[CPG_BUS_SLOTS];
};

static uint64_t bus_random(void *owner, uint64_t below)
{
	return sim_below(((struct sim_cpg *)owner)->world, below);
}

/* --- a node reads ------------------------------------------------------------------------- */

static void read_one(void *owner)
{
	struct sim_node *n = owner;
	struct sim_cpg *c = n->world->cpg;
	struct cpg_event *e = cpg_bus_next(c->bus, n->index);

	if (!e)
		return;
	if (e->payload)
		totem_cpg_received(n->totem, sim_clock(n), e->from, e->payload, e->length);
	else
		totem_cpg_changed(n->totem, sim_clock(n), &(struct cpg_change){
			e->members, e->left, e->member_count, e->left_count });
	cpg_event_free(e);
}

static void bus_ready(void *owner, int slot)
{
	struct sim_cpg *c = owner;
	struct sim_world *w = c->world;
	const struct sim_faults *f = &w->faults;

	if (c->is_dead[slot])
		return;
	sim_call(w, slot, f->delay_min_ns + sim_below(w, f->delay_max_ns - f->delay_min_ns + 1),
		 read_one, &w->nodes[slot]);
}

/* --- what is put in order ------------------------------------------------------------------ */

static void order_soon(struct sim_cpg *c);

static void order_some(void *owner)
{
	struct sim_cpg *c = owner;
	size_t left = 0;

	c->is_ordering = false;
	if (c->is_frozen)
		return;
	for (int i = 0; i < c->world->count; i++)
		cpg_bus_order(c->bus, i, 1 + sim_below(c->world, MOST_AT_ONCE));
	for (int i = 0; i < c->world->count; i++)
		left += cpg_bus_pending(c->bus, i);
	if (left > 0)
		order_soon(c);
}

static void order_soon(struct sim_cpg *c)
{
	if (c->is_ordering || c->is_frozen)
		return;
	c->is_ordering = true;
	sim_call(c->world, -1, sim_below(c->world, 2 * SIM_MS), order_some, c);
}

int sim_cpg_multicast(struct sim_cpg *c, struct sim_node *n, const uint8_t *bytes,
		      size_t length)
{
	int r;

	if (sim_below(c->world, 1000000) < BUSY_PPM)
		return -EAGAIN;
	r = cpg_bus_multicast(c->bus, n->index, bytes, length);
	order_soon(c);
	return r;
}

/* --- sides ------------------------------------------------------------------------------------ */

static bool are_together(const struct sim_world *w, int a, int b)
{
	return !w->cut[a][b] && !w->cut[b][a];
}

/* Who hears all of a side, and is heard by them, is of it. */
static void make_sides(const struct sim_cpg *c, int sides[CPG_BUS_SLOTS])
{
	const struct sim_world *w = c->world;

	memset(sides, 0, CPG_BUS_SLOTS * sizeof(*sides));
	for (int i = 0; i < w->count; i++) {
		int side = 0;
		bool fits = false;

		for (; !fits; side++) {
			fits = true;
			for (int k = 0; k < i; k++)
				fits = fits && (c->is_dead[k] || sides[k] != side ||
						are_together(w, i, k));
		}
		sides[i] = c->is_dead[i] ? DEAD_SIDE + i : side - 1;
	}
}

static void apply(struct sim_cpg *c)
{
	c->is_frozen = false;
	make_sides(c, c->sides);
	cpg_bus_set_sides(c->bus, c->sides);
	for (int i = 0; i < c->world->count; i++) {
		if (!c->is_dead[i])
			continue;
		cpg_bus_leave(c->bus, i);
		c->is_dead[i] = false;
	}
	make_sides(c, c->sides); /* of who starts there again */
	cpg_bus_set_sides(c->bus, c->sides);
	order_soon(c);
}

static void time_has_come(void *owner)
{
	struct sim_cpg *c = owner;

	c->is_changing = false;
	apply(c);
}

void sim_cpg_cut(struct sim_cpg *c)
{
	int sides[CPG_BUS_SLOTS];
	bool is_same = true;

	make_sides(c, sides);
	for (int i = 0; i < c->world->count; i++)
		is_same = is_same && sides[i] == c->sides[i];
	c->is_frozen = !is_same;
	order_soon(c);
	if (is_same || c->is_changing)
		return;
	c->is_changing = true;
	sim_call(c->world, -1, (300 + sim_below(c->world, 400)) * SIM_MS, time_has_come, c);
}

/* --- processes ----------------------------------------------------------------------------------- */

uint32_t sim_cpg_pid(struct sim_cpg *c, const struct sim_node *n)
{
	return c->pids[n->index] = ++c->last_pid;
}

void sim_cpg_start(struct sim_cpg *c, struct sim_node *n)
{
	const struct cpg_process who = { (uint32_t)n->index + 1, c->pids[n->index] };

	if (c->is_dead[n->index])
		apply(c); /* its host is up again: that it was away is known */
	cpg_bus_join(c->bus, n->index, who);
}

void sim_cpg_end(struct sim_cpg *c, struct sim_node *n)
{
	if (c->is_frozen || sim_below(c->world, 2)) {
		c->is_dead[n->index] = cpg_bus_is_in(c->bus, n->index);
		sim_cpg_cut(c);
	} else {
		cpg_bus_leave(c->bus, n->index);
		order_soon(c);
	}
}

static void come_back(void *owner)
{
	struct sim_node *n = owner;

	cpg_bus_leave(n->world->cpg->bus, n->index);
	sim_cpg_start(n->world->cpg, n);
}

void sim_cpg_rejoin(struct sim_cpg *c, struct sim_node *n)
{
	sim_call(c->world, n->index, 0, come_back, n);
}

struct sim_cpg *sim_cpg_new(struct sim_world *w)
{
	static const struct cpg_bus_ops ops = { bus_ready, bus_random };
	struct sim_cpg *c = calloc(1, sizeof(*c));

	if (!c || w->count > CPG_BUS_SLOTS)
		abort();
	c->world = w;
	c->bus = cpg_bus_new(&ops, c);
	return c;
}

void sim_cpg_free(struct sim_cpg *c)
{
	if (!c)
		return;
	cpg_bus_free(c->bus);
	free(c);
}
