/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What services and people ask. */
#include "totem/sync_private.h"

static int compare_ids(struct ring_id a, struct ring_id b)
{
	if (a.seq != b.seq)
		return a.seq < b.seq ? -1 : 1;
	return a.rep < b.rep ? -1 : a.rep > b.rep;
}

struct ring_id sync_epoch_of(const struct sync *s, int node)
{
	return s->peers[node].epoch;
}

struct node_set sync_winners(const struct sync *s)
{
	struct node_set winners = { { 0 } };
	struct ring_id best = { 0 };

	for (int i = set_next(s->now_in.members, 0); i != TOTEM_NO_INDEX;
	     i = set_next(s->now_in.members, i + 1)) {
		int order = compare_ids(s->peers[i].epoch, best);

		if (order > 0) {
			best = s->peers[i].epoch;
			winners = set_of(i);
		} else if (order == 0) {
			set_add(&winners, i);
		}
	}
	return winners;
}

bool sync_is_quorate(const struct sync *s)
{
	return sync_is_active(s) && s->is_quorate;
}

bool sync_is_active(const struct sync *s)
{
	return s->phase == SYNC_PHASE_ACTIVE && !s->is_broken;
}

struct ring_id sync_epoch(const struct sync *s)
{
	return s->epoch;
}

const struct sync_stats *sync_stats(const struct sync *s)
{
	return &s->stats;
}

bool sync_has_greeted(const struct sync *s, int node)
{
	return s->peers[node].has_greeted;
}

uint32_t sync_unfinished(const struct sync *s, int node)
{
	return s->peers[node].services & ~s->peers[node].done;
}

struct node_set sync_waiting_for(const struct sync *s)
{
	struct node_set late = { { 0 } };

	if (!sync_is_under_way(s))
		return late;
	for (int i = set_next(s->now_in.members, 0); i != TOTEM_NO_INDEX;
	     i = set_next(s->now_in.members, i + 1))
		if (s->phase == SYNC_PHASE_GREETING ? !s->peers[i].has_greeted :
						      sync_unfinished(s, i) != 0)
			set_add(&late, i);
	return late;
}

struct node_set sync_blamed(const struct sync *s)
{
	struct node_set late = sync_waiting_for(s), blamed = late;

	if (s->phase == SYNC_PHASE_GREETING)
		return late;
	for (int i = set_next(late, 0); i != TOTEM_NO_INDEX; i = set_next(late, i + 1))
		set_put(&blamed, i, sync_unfinished(s, i) & ~s->peers[i].waits);
	return set_is_empty(blamed) ? late : blamed; /* each for another */
}

bool sync_has_service(const struct sync *s, int node, enum sync_service_id id)
{
	return s->peers[node].services >> id & 1;
}

const char *sync_service_name(const struct sync *s, int id)
{
	return id >= 0 && id < SYNC_SERVICE_LIMIT ? s->services[id].name : NULL;
}
