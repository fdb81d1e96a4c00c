/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * How well it goes, from what is told. Of an array:
 *
 *	down      this node does not serve it: it is not active, or its gate is shut
 *	degraded  a role without a disk in sync; a resync or repair under way or owed; a
 *	          node missing or being recovered; reads from one disk; or it waits
 *
 * A check is no trouble. One that is stopped on purpose is down, and nothing is wrong with the
 * cluster for that. Of the cluster: down without a quorum, degraded while a node is
 * not there or the ring forms.
 */
#include "mdclusterd/control/status.h"

#include <stdlib.h>
#include <string.h>

void status_fini(struct status *s)
{
	free(s->arrays);
	s->arrays = NULL;
	s->array_count = 0;
}

static bool has_member_in_trouble(const struct status_array *a)
{
	for (uint32_t i = 0; i < a->member_count; i++)
		if (strcmp(a->members[i].state, "active") != 0 || a->members[i].owes_resync)
			return true;
	return false;
}

static bool is_mended(const struct status_array *a)
{
	return a->needed_bytes > 0 || strcmp(a->activity, "resync") == 0 ||
	       strcmp(a->activity, "repair") == 0;
}

enum status_health status_array_health(const struct status *s, const struct status_array *a)
{
	(void)s;
	if (strcmp(a->state, "active") != 0 || !a->is_gate_open)
		return STATUS_DOWN;
	if (a->disks_in_sync < a->raid_disks || is_mended(a) || a->waits[0] ||
	    a->is_single_source || has_member_in_trouble(a))
		return STATUS_DEGRADED;
	return STATUS_FINE;
}

static enum status_health ring_health(const struct status *s)
{
	if (!s->is_quorate)
		return STATUS_DOWN;
	if (strcmp(s->ring_state, "operational") != 0)
		return STATUS_DEGRADED;
	for (uint32_t i = 0; i < s->node_count; i++)
		if (!s->nodes[i].is_member)
			return STATUS_DEGRADED;
	return STATUS_FINE;
}

enum status_health status_health(const struct status *s)
{
	enum status_health worst = ring_health(s);

	for (uint32_t i = 0; i < s->array_count; i++) {
		enum status_health h = status_array_health(s, &s->arrays[i]);

		if (h > worst && !s->arrays[i].is_stopped)
			worst = h;
	}
	return worst;
}

const char *status_health_name(enum status_health health)
{
	switch (health) {
	case STATUS_FINE: return "fine";
	case STATUS_DEGRADED: return "degraded";
	case STATUS_DOWN: return "down";
	case STATUS_UNKNOWN: break;
	}
	return "unknown";
}
