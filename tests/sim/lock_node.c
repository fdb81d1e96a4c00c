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

void lock_node_start(struct sim_node *n, const struct ring_config *config)
{
	static const struct lock_manager_ops ops = { .now = op_now, .armed = op_armed,
						     .diverged = op_diverged };
	const struct lock_manager_config c = { .nodes = config->nodes,
					       .self = config->self,
					       .incarnation = config->incarnation };
	struct err err = ERR_INIT;

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

void lock_node_advance(struct sim_node *n)
{
	lock_manager_advance(n->locks, sim_clock(n));
	if (n->world->lockers)
		lockers_look(n->world->lockers, n);
}
