/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/sim/lock_node.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/err.h"
#include "lockres/lock_manager.h"
#include "tests/sim/lockers.h"
#include "tests/sim/talkers.h"
#include "tests/sim/world.h"
#include "totem/totem.h"

/* Of the time, and not by the dice: those are for what else happens. */
#define SAVE_NS(now) (SIM_MS + (now) % (30ull * SIM_MS))

static uint64_t op_now(void *owner)
{
	return sim_clock(owner);
}

static void op_armed(void *owner)
{
	struct sim_node *n = owner;

	sim_wake(n->world, n->index);
}

static void op_diverged(void *owner, uint32_t node, const char *lockspace)
{
	struct sim_node *n = owner;

	sim_fail(n->world, "M6: n%d: n%u has other locks in %s", n->index + 1, node,
		 lockspace);
}

/* The disk takes a while; a crash meanwhile, and it was never written. */
static void saved(void *owner)
{
	struct sim_node *n = owner;

	*n->roster = *n->to_save;
	lock_manager_remembered(n->locks, n->to_save_version);
}

static void op_remember(void *owner, const struct roster *roster, uint64_t version)
{
	struct sim_node *n = owner;

	*n->to_save = *roster;
	n->to_save_version = version;
	sim_call(n->world, n->index, SAVE_NS(n->world->now), saved, n);
}

static void op_left(void *owner)
{
	struct sim_node *n = owner;

	n->has_left = true;
}

/* What it remembers before its first start. */
static void make_disk(struct sim_node *n)
{
	n->roster = malloc(sizeof(*n->roster));
	n->to_save = malloc(sizeof(*n->to_save));
	if (!n->roster || !n->to_save)
		abort();
	*n->roster = roster_blank();
}

void lock_node_forget(struct sim_node *n)
{
	free(n->roster);
	free(n->to_save);
}

void lock_node_start(struct sim_node *n, const struct ring_config *config)
{
	static const struct lock_manager_ops ops = { .now = op_now, .armed = op_armed,
						     .diverged = op_diverged,
						     .remember = op_remember,
						     .left = op_left };
	struct lock_manager_config c = { .nodes = config->nodes,
					 .self = config->self,
					 .incarnation = config->incarnation,
					 .decides_alone =
						 n->world->quorum_options.is_two_node };
	struct err err = ERR_INIT;

	n->has_left = false;
	if (!n->roster)
		make_disk(n);
	c.roster = n->roster;
	n->locks = lock_manager_new(&c, totem_sync(n->totem), totem_groups(n->totem), &ops,
				    n, &err);
	if (!n->locks) {
		fprintf(stderr, "sim: %s\n", err.text);
		abort();
	}
}

void lock_node_end(struct sim_node *n)
{
	if (n->world->lockers)
		lockers_node_ended(n->world->lockers, n);
	if (n->world->talkers)
		talkers_node_ended(n->world->talkers, n);
	lock_manager_free(n->locks);
	n->locks = NULL;
}

/* Had it died at this instant, it would know who was with it. */
void lock_node_synchronised(struct sim_node *n)
{
	struct order_look order = totem_order(n->totem);
	struct node_set members = order.members;

	if (2 * set_count(members) <= n->world->count)
		return;
	for (int i = set_next(members, 0); i >= 0; i = set_next(members, i + 1))
		if (!n->world->nodes[i].has_left &&
		    (n->roster->of[i].is_over ||
		     n->roster->of[i].seen_on < order.current.seq ||
		     n->roster->of[i].incarnation > n->world->nodes[i].incarnation))
			sim_fail(n->world, "M8: n%d went on with n%d, and would not remember it",
				 n->index + 1, i + 1);
}

void lock_node_advance(struct sim_node *n)
{
	lock_manager_advance(n->locks, sim_clock(n));
	if (n->world->lockers)
		lockers_look(n->world->lockers, n);
}
