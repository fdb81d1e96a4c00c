/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the cluster tells the engine, as events. */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#include "base/log.h"
#include "mdclusterd/daemon/engine_private.h"

const char *engine_node_name(const struct engine *e, uint32_t node)
{
	int index = config_node_by_id(e->config, node);

	return index < 0 ? "?" : e->config->nodes[index].name;
}

/* One of those who see it tells it for all: the lowest member. */
static bool is_ours(const struct engine *e)
{
	struct node_set members = cluster_members(e->cluster);

	return set_next(members, 0) == e->config->self;
}

void engine_tell(struct engine *e, int priority, const char *kind, uint32_t node,
		 const char *fmt, ...)
{
	struct status_event event = { .node = node, .slot = -1, .role = -1,
				      .priority = priority };
	va_list args;

	event.is_ours = e->cluster && is_ours(e);
	snprintf(event.kind, sizeof(event.kind), "%s", kind);
	va_start(args, fmt);
	vsnprintf(event.text, sizeof(event.text), fmt, args);
	va_end(args);
	event_hub_add(e->events, &event);
}

void engine_tell_status(const struct engine *e)
{
	int count = set_count(cluster_members(e->cluster));

	supervisor_tell(e->options->engine_fd, "status %d of %d nodes, %s", count,
			e->config->node_count,
			cluster_is_quorate(e->cluster) ? "quorate" : "no quorum");
}

/* The gates, at once; what people are told waits until it stands. */
static void on_quorate(void *owner, bool is_quorate)
{
	(void)owner;
	(void)is_quorate;
}

static void on_settled(void *owner, bool is_quorate)
{
	struct engine *e = owner;
	const struct quorum *q = cluster_quorum(e->cluster);
	uint32_t votes = quorum_votes(q, cluster_members(e->cluster)), all = quorum_expected(q);

	engine_tell_status(e);
	if (is_quorate == e->was_quorate)
		return;
	e->was_quorate = is_quorate;
	if (is_quorate)
		engine_tell(e, LOG_NOTICE, "quorum-gained", 0,
			    "quorum: %" PRIu32 " of %" PRIu32 " votes", votes, all);
	else
		engine_tell(e, LOG_ERR, "quorum-lost", 0,
			    "no quorum: %" PRIu32 " of %" PRIu32 " votes, %" PRIu32
			    " are needed: no array is written to",
			    votes, all, quorum_needed(q));
}

static void on_member(void *owner, uint32_t node, bool is_member)
{
	struct engine *e = owner;

	engine_tell(e, LOG_NOTICE, is_member ? "node-joined" : "node-left", node,
		    "node %s %s the ring", engine_node_name(e, node),
		    is_member ? "is on" : "has left");
}

static void on_dead(void *owner, uint32_t node, uint64_t incarnation, const char *how)
{
	struct engine *e = owner;

	engine_tell(e, LOG_NOTICE, "node-dead", node,
		    "node %s, incarnation %" PRIu64 ", is proven dead by %s",
		    engine_node_name(e, node), incarnation, how);
}

static void on_deadlock(void *owner, const char *lockspace, const char *cycle)
{
	engine_tell(owner, LOG_WARNING, "deadlock", 0, "lockspace %s: %s", lockspace, cycle);
}

static void on_broken(void *owner)
{
	struct engine *e = owner;

	e->is_broken = true;
	engine_stop(e);
}

const struct cluster_ops *engine_cluster_ops(void)
{
	static const struct cluster_ops ops = {
		.quorate = on_quorate,
		.settled = on_settled,
		.member = on_member,
		.dead = on_dead,
		.deadlock = on_deadlock,
		.broken = on_broken,
	};

	return &ops;
}
