/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Which disks a missing node may write to: those of all arrays whose lockspaces miss it. Each
 * must be active here and under our reservation, or this node can prove nothing by them.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "mdclusterd/daemon/engine_private.h"
#include "mdclusterd/daemon/unit.h"
#include "mdclusterd/daemon/unit_reserve.h"
#include "mdclusterd/fence/method.h"
#include "mdclusterd/fence/pr.h"
#include "mdclusterd/fence/pr_job.h"

LOG_SUBSYSTEM(reserve);

void engine_is_fenced(struct engine *e, const char *why)
{
	if (e->is_broken)
		return;
	engine_tell(e, LOG_ERR, "fenced", e->config->nodes[e->config->self].id, "%.200s", why);
	log_error("MDC5650", "%s: all arrays of this node are stopped", why);
	e->is_broken = true;
	units_set_quorate(e, false); /* the gates before all else */
	engine_stop(e);
}

static void name_of(const uint8_t uuid[16], char to[37])
{
	size_t at = 0;

	for (int i = 0; i < 16; i++) {
		if (i == 4 || i == 6 || i == 8 || i == 10)
			to[at++] = '-';
		at += (size_t)snprintf(to + at, 37 - at, "%02x", uuid[i]);
	}
}

static struct unit *unit_of(const struct engine *e, const struct lockspace_look *look)
{
	struct array_look a;
	char name[37];

	for (struct unit *u = unit_next(e, NULL); u; u = unit_next(e, u)) {
		if (!unit_array(u))
			continue;
		array_look(unit_array(u), &a);
		if (!a.view || a.state != ARRAY_ACTIVE)
			continue;
		name_of(a.view->uuid, name);
		if (look->name_length == 36 && memcmp(look->name, name, 36) == 0)
			return u;
	}
	return NULL;
}

static void add_disks(const struct unit *u, struct fence_reservation *r, char **paths,
		      size_t room)
{
	struct array_look a;
	const char *lacking;
	size_t count;
	char *const *own = unit_reserve_paths(unit_reserve(u), &count);

	array_look(unit_array(u), &a);
	lacking = unit_reserve_lacks(unit_reserve(u), a.view);
	if (count == 0)
		snprintf(r->why_not, sizeof(r->why_not), "array %.64s is not under reservation here",
			 unit_name(u));
	else if (lacking)
		snprintf(r->why_not, sizeof(r->why_not), "%.90s is not under reservation here",
			 lacking);
	for (size_t i = 0; i < count && r->path_count < room; i++)
		if (!unit_reserve_is_given_up(a.view, own[i]))
			paths[r->path_count++] = own[i];
	if (r->path_count == room)
		snprintf(r->why_not, sizeof(r->why_not), "it has more than %zu disks", room);
}

static bool misses(const struct lockspace_look *look, uint32_t node)
{
	for (size_t i = 0; i < look->member_count; i++)
		if (look->members[i].node == node)
			return true;
	return false;
}

void engine_reservation(struct engine *e, uint32_t node, struct fence_reservation *r,
			char **paths, size_t room)
{
	static struct lockspace_look look; /* large; of this thread */
	const struct config *c = e->config;

	*r = (struct fence_reservation){ .transport = &pr_transport_sg, .paths = paths,
					 .key = pr_key(c->cluster, c->nodes[c->self].id),
					 .victim = pr_key(c->cluster, node) };
	for (size_t i = 0; lock_manager_look(cluster_manager(e->cluster), i, &look); i++) {
		const struct unit *u = misses(&look, node) ? unit_of(e, &look) : NULL;

		if (u)
			add_disks(u, r, paths, room);
		else if (misses(&look, node))
			snprintf(r->why_not, sizeof(r->why_not),
				 "it may write to array %.36s, which is not active on this node",
				 look.name);
	}
}
