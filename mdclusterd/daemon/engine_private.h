/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the engine's files share: engine.c (life), engine_events.c (what it tells). */
#pragma once

#include "base/loop.h"
#include "mdclusterd/daemon/cluster.h"
#include "mdclusterd/daemon/config.h"
#include "mdclusterd/daemon/event_hub.h"
#include "mdclusterd/daemon/supervisor.h"

struct engine {
	const struct options *options;
	struct config *config;
	struct loop *loop;
	struct event_hub *events;
	struct cluster *cluster;
	uint64_t started_ns;

	struct loop_timer *alive;
	bool was_quorate;       /* as events have it: changes of the ring in between left out */
	int stops;              /* how often it was told to */
	bool is_orphaned;       /* the supervisor is gone */
	bool is_broken;         /* left the ring by itself */
	int exit_code;
};

const struct cluster_ops *engine_cluster_ops(void);

/* An event of the cluster; of a node where node is not 0. */
void engine_tell(struct engine *e, int priority, const char *kind, uint32_t node,
		 const char *fmt, ...) __attribute__((format(printf, 5, 6)));
const char *engine_node_name(const struct engine *e, uint32_t node);
/* For who looks at the unit: one line. */
void engine_tell_status(const struct engine *e);

void engine_stop(struct engine *e);
