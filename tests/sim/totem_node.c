/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/sim/totem_node.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/err.h"
#include "tests/sim/apps.h"
#include "tests/sim/clerks.h"
#include "tests/sim/cpg_node.h"
#include "tests/sim/lock_node.h"
#include "tests/sim/quorum_node.h"
#include "tests/sim/world.h"
#include "totem/totem.h"

static void op_wake(void *owner)
{
	struct sim_node *n = owner;

	sim_wake(n->world, n->index);
}

static void op_configured(void *owner, const struct ring_configuration *c)
{
	struct sim_node *n = owner;

	apps_configured(n->world->apps, n, c);
	if (n->world->rider_ops)
		n->world->rider_ops->configured(n->world->rider, n, c);
}

static void op_synchronised(void *owner)
{
	struct sim_node *n = owner;

	n->synchronisations++;
	sim_say(n->world, n->index, "services are synchronised");
	if (n->locks)
		lock_node_synchronised(n);
	if (n->world->rider_ops)
		n->world->rider_ops->synchronised(n->world->rider, n);
}

static void op_checkpoints_activated(void *owner, bool is_replaced)
{
	struct sim_node *n = owner;

	if (is_replaced)
		sim_say(n->world, n->index, "has other checkpoints");
	clerks_activated(n->world->clerks, n);
}

static void op_late(void *owner, int node, const char *service)
{
	struct sim_node *n = owner;

	sim_say(n->world, n->index, "n%d is late with its %s", node + 1, service);
}

static void op_evicted(void *owner, int node, const char *service)
{
	struct sim_node *n = owner;

	sim_say(n->world, n->index, "evicts n%d for its %s", node + 1, service);
}

static void op_broken(void *owner, const char *why)
{
	struct sim_node *n = owner;

	n->is_broken = true;
	sim_say(n->world, n->index, "leaves: it %s", why);
	if (!n->probe.hangs)
		sim_fail(n->world, "n%d leaves: it %s", n->index + 1, why);
}

static int op_multicast(void *owner, const uint8_t *bytes, size_t length)
{
	struct sim_node *n = owner;

	return sim_cpg_multicast(n->world->cpg, n, bytes, length);
}

static void op_rejoin(void *owner)
{
	struct sim_node *n = owner;

	sim_cpg_rejoin(n->world->cpg, n);
}

static bool op_is_quorate(void *owner, struct node_set members)
{
	(void)members;
	return quorum_node_is_won(owner);
}

void totem_node_start(struct sim_node *n, const struct ring_config *config,
		      const struct ring_ops *packets)
{
	const struct totem_ops ops = {
		.send_one = packets->send_one,
		.send_all = packets->send_all,
		.multicast = op_multicast,
		.rejoin = op_rejoin,
		.save_seq = packets->save_seq,
		.trace = packets->trace,
		.wake = op_wake,
		.configured = op_configured,
		.synchronised = op_synchronised,
		.checkpoints_activated = op_checkpoints_activated,
		.late = op_late,
		.evicted = op_evicted,
		.broken = op_broken,
		.is_quorate = op_is_quorate,
	};
	const struct totem_config c = {
		.ring = *config,
		.cpg = {
			.is_used = n->world->cpg != NULL,
			.pid = n->world->cpg ? sim_cpg_pid(n->world->cpg, n) : 0,
			.beat_ns = 30ull * SIM_MS,
			.silence_ns = n->world->silence_ns,
		},
		.sync_deadline_ns = n->world->sync_deadline_ns,
	};
	struct err err = ERR_INIT;

	n->is_broken = false;
	n->synchronisations = 0;
	n->totem = totem_new(&c, &ops, n, &err);
	if (!n->totem) {
		fprintf(stderr, "sim: %s\n", err.text);
		abort();
	}
	quorum_node_start(n, &config->nodes);
	probe_start(&n->probe, n);
	apps_node_started(n->world->apps, n);
	if (n->world->has_locks)
		lock_node_start(n, config);
	if (n->world->rider_ops)
		n->world->rider_ops->started(n->world->rider, n);
	totem_start(n->totem, sim_clock(n));
	if (n->world->cpg)
		sim_cpg_start(n->world->cpg, n);
}

void totem_node_end(struct sim_node *n)
{
	if (n->world->cpg)
		sim_cpg_end(n->world->cpg, n);
	apps_node_ended(n->world->apps, n);
	clerks_node_ended(n->world->clerks, n);
	if (n->world->rider_ops)
		n->world->rider_ops->ended(n->world->rider, n);
	if (n->locks)
		lock_node_end(n);
	totem_free(n->totem); /* calls nobody any more */
	quorum_node_end(n);
	n->totem = NULL;
}
