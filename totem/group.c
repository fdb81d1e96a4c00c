/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The lower face: packets, and the sync service. R1 to R5: group_ring.h. What was
 * told for a configuration that is over before it was activated here is pending
 * when it was complete: somebody may have activated it (R3).
 */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "totem/group_private.h"

enum { DEFAULT_QUEUE_BYTES = 4 << 20 };

static const struct sync_service_ops service;

void group_ring_break(struct group_ring *g, const char *why)
{
	sync_break(g->config.sync, why);
}

struct group_ring *group_ring_new(const struct group_ring_config *config,
				  struct err *err)
{
	int self = node_index(&config->nodes, config->self);
	struct group_ring *g;

	if (self == TOTEM_NO_INDEX) {
		err_set(err, -EINVAL, "node %u is not among the configured nodes",
			config->self);
		return NULL;
	}
	g = calloc(1, sizeof(*g));
	if (g) {
		g->proposal = calloc(1, sizeof(*g->proposal));
		g->pending = calloc(1, sizeof(*g->pending));
	}
	if (!g || !g->proposal || !g->pending) {
		group_ring_free(g);
		err_nomem(err, "process groups");
		return NULL;
	}
	g->base.ops = &group_ring_engine_ops;
	g->config = *config;
	g->self = self;
	pack_queue_init(&g->queue, config->queue_bytes ? config->queue_bytes :
							 DEFAULT_QUEUE_BYTES);
	sync_register(config->sync, SYNC_GROUPS, "groups", &service, g);
	return g;
}

void group_ring_free(struct group_ring *g)
{
	if (!g)
		return;
	pack_queue_fini(&g->queue);
	while (g->handles)
		group_handle_free(g, g->handles);
	for (int i = 0; i < TOTEM_MAX_NODES; i++) {
		pack_assembly_drop(&g->in[i]);
		roster_clear(&g->live[i], &g->names);
	}
	if (g->proposal)
		proposal_clear(g->proposal, &g->names);
	if (g->pending)
		proposal_clear(g->pending, &g->names);
	free(g->proposal);
	free(g->pending);
	free(g->scratch);
	free(g);
}

struct group_engine *group_ring_engine(struct group_ring *g)
{
	return &g->base;
}

/* --- ordinary messages --------------------------------------------------------------- */

size_t group_ring_fill(struct group_ring *g, uint8_t *payload, size_t room,
		       bool *is_safe)
{
	size_t length;

	if (!g->is_active || group_is_broken(g))
		return 0; /* R1 */
	length = pack_queue_fill(&g->queue, payload, room, is_safe);
	group_credit_check(g);
	return length;
}

size_t group_ring_backlog(const struct group_ring *g)
{
	return g->is_active && !group_is_broken(g) ? g->queue.unsent : 0;
}

void group_ring_deliver(struct group_ring *g, struct ring_id ring, int from,
			const uint8_t *payload, size_t length)
{
	struct group_source source = { g, from };

	if (group_is_broken(g))
		return;
	if (from < 0 || !set_has(&g->members, from) || !ring_id_equal(ring, g->ring))
		g->stats.faults[GROUP_FAULT_STRANGER]++;
	else if (!g->is_active)
		g->stats.faults[GROUP_FAULT_PHASE]++;
	else if (pack_receive(&g->in[from], payload, length, &g->stats.pack, group_take,
			      &source) == PACK_NO_MEMORY)
		group_ring_break(g, "has no memory for a message");
}

/* --- the sync service ------------------------------------------------------------------ */

/* A configuration was over before it was active. R2, R3 */
static void service_abort(void *groups)
{
	struct group_ring *g = groups;
	struct group_proposal *p = g->proposal;
	struct node_set gone = p->gone;

	if (proposal_is_complete(p)) {
		assert(!g->has_pending); /* completion settles it */
		g->proposal = g->pending;
		g->pending = p;
		g->has_pending = true;
		g->pending_is_confirmed = false;
	} else {
		proposal_clear(p, &g->names);
		p->gone = gone;
	}
}

static void service_init(void *groups, const struct sync_configuration *c)
{
	struct group_ring *g = groups;

	for (int i = 0; i < TOTEM_MAX_NODES; i++)
		pack_assembly_drop(&g->in[i]); /* R4 */
	pack_queue_restart(&g->queue);
	g->is_active = false;
	g->ring = g->proposal->ring = c->id;
	g->members = g->proposal->members = c->members;
	g->proposal->gone = set_union(g->proposal->gone, c->left);
}

static enum sync_progress service_process(void *groups)
{
	struct group_ring *g = groups;
	int r = group_state_tell(g);

	if (r == -ENOMEM)
		group_ring_break(g, "has no memory to tell its groups");
	return r == -EAGAIN ? SYNC_AGAIN : SYNC_DONE;
}

/* All told: the proposal before this one is settled. */
static void settle(struct group_ring *g)
{
	g->has_pending = false;
	if (g->pending_is_confirmed) {
		group_view_activate(g, g->pending);
	} else {
		g->proposal->gone = set_union(g->proposal->gone, g->pending->gone);
		proposal_clear(g->pending, &g->names);
	}
}

static void service_deliver(void *groups, int from, const uint8_t *state, size_t length)
{
	struct group_ring *g = groups;

	if (group_is_broken(g))
		return;
	group_state_take(g, from, state, length);
	if (g->has_pending && !group_is_broken(g) && proposal_is_complete(g->proposal))
		settle(g);
}

static void service_activate(void *groups)
{
	struct group_ring *g = groups;

	if (group_is_broken(g))
		return;
	/* what made no sense anywhere (rule 5) is nothing everywhere */
	if (g->has_pending)
		settle(g);
	g->is_active = true;
	group_view_activate(g, g->proposal);
	if (g->queue.first)
		g->config.wake(g->config.owner);
}

static const struct sync_service_ops service = {
	.init = service_init,
	.process = service_process,
	.deliver = service_deliver,
	.abort = service_abort,
	.activate = service_activate,
};

/* --- looking ----------------------------------------------------------------------- */

const struct group_ring_stats *group_ring_stats(const struct group_ring *g)
{
	return &g->stats;
}

bool group_ring_is_active(const struct group_ring *g)
{
	return g->is_active;
}
