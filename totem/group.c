/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The lower face: packets, configurations, the sync phase. R1 to R5: group_ring.h.
 *
 *	             regular configuration
 *	   +------------------------------------------------+
 *	   v                                                |
 *	telling --all told--> synchronised --unplugged--> active
 *	   ^                        |
 *	   +--regular configuration-+  (then what was told is pending: R3)
 */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "totem/group_private.h"

enum { DEFAULT_QUEUE_BYTES = 4 << 20 };

void group_ring_break(struct group_ring *g, const char *why)
{
	if (g->is_broken)
		return;
	g->is_broken = true;
	g->ops.broken(g->owner, why);
}

struct group_ring *group_ring_new(const struct group_ring_config *config,
				  const struct group_ring_ops *ops, void *owner,
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
	g->ops = *ops;
	g->owner = owner;
	g->self = self;
	pack_queue_init(&g->ordinary, config->queue_bytes ? config->queue_bytes :
							    DEFAULT_QUEUE_BYTES);
	pack_queue_init(&g->sync, 0);
	return g;
}

void group_ring_free(struct group_ring *g)
{
	if (!g)
		return;
	pack_queue_fini(&g->ordinary);
	pack_queue_fini(&g->sync);
	while (g->handles)
		group_handle_free(g, g->handles);
	for (int i = 0; i < TOTEM_MAX_NODES; i++) {
		pack_assembly_drop(&g->ordinary_in[i]);
		pack_assembly_drop(&g->sync_in[i]);
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

/* --- sending --------------------------------------------------------------------- */

/* Ours, once; again at the next token when there was no memory. */
static void tell_state(struct group_ring *g)
{
	struct pack_message *m = g->needs_state ? group_state_message(g) : NULL;

	if (!m)
		return;
	g->needs_state = false;
	pack_queue_append(&g->sync, m);
}

size_t group_ring_fill(void *groups, uint8_t *payload, size_t room, bool is_sync,
		       bool *is_safe)
{
	struct group_ring *g = groups;
	size_t length;

	if (g->is_broken)
		return 0;
	if (is_sync) {
		tell_state(g);
		return pack_queue_fill(&g->sync, payload, room, is_safe);
	}
	if (!g->is_active)
		return 0; /* R1 */
	length = pack_queue_fill(&g->ordinary, payload, room, is_safe);
	group_credit_check(g);
	return length;
}

size_t group_ring_backlog(void *groups, bool is_sync)
{
	const struct group_ring *g = groups;

	if (g->is_broken)
		return 0;
	if (is_sync)
		return g->sync.unsent + (g->needs_state ? PACK_MIN_ROOM : 0);
	return g->is_active ? g->ordinary.unsent : 0;
}

/* --- configurations ---------------------------------------------------------------- */

/* R2, R3: what was told for the configuration that is over. */
static void put_aside(struct group_ring *g)
{
	struct group_proposal *p = g->proposal;

	if (g->is_active || ring_id_equal(g->ring, (struct ring_id){ 0 }))
		return; /* it was activated, and is empty */
	g->stats.aborts++;
	if (proposal_is_complete(p)) {
		assert(!g->has_pending); /* completion settles it */
		g->proposal = g->pending;
		g->pending = p;
		g->has_pending = true;
		g->pending_is_confirmed = false;
	} else {
		struct node_set gone = p->gone;

		proposal_clear(p, &g->names);
		p->gone = gone;
	}
}

static void start_over(struct group_ring *g)
{
	for (int i = 0; i < TOTEM_MAX_NODES; i++) {
		pack_assembly_drop(&g->ordinary_in[i]); /* R4 */
		pack_assembly_drop(&g->sync_in[i]);
	}
	pack_queue_restart(&g->ordinary);
	pack_queue_fini(&g->sync);
	g->needs_state = true;
	g->is_active = false;
}

void group_ring_configured(void *groups, const struct ring_configuration *c)
{
	struct group_ring *g = groups;

	if (g->is_broken)
		return;
	g->is_transitional = c->is_transitional;
	if (c->is_transitional)
		return;
	put_aside(g);
	start_over(g);
	g->ring = g->proposal->ring = c->ring;
	g->members = g->proposal->members = c->members;
	g->proposal->gone = set_union(g->proposal->gone, c->left);
	g->ops.wake(g->owner);
}

/* All told: the proposal before this one is settled, and we are synchronised. */
static void settle(struct group_ring *g)
{
	if (g->has_pending) {
		g->has_pending = false;
		if (g->pending_is_confirmed) {
			group_view_activate(g, g->pending);
		} else {
			g->proposal->gone = set_union(g->proposal->gone,
						      g->pending->gone);
			proposal_clear(g->pending, &g->names);
		}
	}
	if (!g->is_transitional && !g->is_broken)
		g->ops.synchronised(g->owner);
}

void group_ring_unplugged(void *groups)
{
	struct group_ring *g = groups;

	if (g->is_broken || g->is_active)
		return;
	if (!proposal_is_complete(g->proposal)) {
		/* somebody sends ahead of the order: no view of ours would be true */
		group_ring_break(g, "was told that all are synchronised, and it is not");
		return;
	}
	g->is_active = true;
	group_view_activate(g, g->proposal);
	if (g->ordinary.first)
		g->ops.wake(g->owner);
}

/* --- receiving ------------------------------------------------------------------- */

void group_ring_deliver(void *groups, const struct ring_message *m)
{
	struct group_ring *g = groups;
	struct group_source source = { g, node_index(&g->config.nodes, m->origin) };
	enum pack_fault fault;
	bool was_complete;

	if (g->is_broken)
		return;
	if (source.from == TOTEM_NO_INDEX || !set_has(&g->members, source.from) ||
	    !ring_id_equal(m->ring, g->ring)) {
		g->stats.faults[GROUP_FAULT_STRANGER]++;
		return;
	}
	if (m->is_sync == g->is_active) {
		g->stats.faults[GROUP_FAULT_PHASE]++;
		return;
	}
	was_complete = !g->is_active && proposal_is_complete(g->proposal);
	fault = pack_receive(m->is_sync ? &g->sync_in[source.from] :
					  &g->ordinary_in[source.from],
			     m->payload, m->length, &g->stats.pack,
			     m->is_sync ? group_take_sync : group_take_ordinary,
			     &source);
	if (fault == PACK_NO_MEMORY)
		group_ring_break(g, "has no memory for a message");
	if (!g->is_active && !was_complete && !g->is_broken &&
	    proposal_is_complete(g->proposal))
		settle(g);
}

/* --- looking ----------------------------------------------------------------------- */

const struct group_ring_stats *group_ring_stats(const struct group_ring *g)
{
	return &g->stats;
}

struct node_set group_ring_waiting_for(const struct group_ring *g)
{
	return g->is_active ? (struct node_set){ { 0 } } :
			      set_minus(g->proposal->members, g->proposal->told);
}

bool group_ring_is_active(const struct group_ring *g)
{
	return g->is_active;
}
