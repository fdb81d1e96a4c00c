/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/sim/quorum_node.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arith.h"
#include "base/err.h"
#include "mdclusterd/quorum/quorum_sync.h"
#include "tests/sim/world.h"
#include "totem/totem.h"

static const uint8_t boot[QUORUM_BOOT_BYTES] = { 1 };

static uint64_t op_now(void *owner)
{
	return sim_clock(owner);
}

static void op_keep(void *owner, const uint8_t bytes[QUORUM_MEMORY_BYTES], bool is_awaited)
{
	struct sim_node *n = owner;

	if (!n->quorum_memory)
		n->quorum_memory = malloc(QUORUM_MEMORY_BYTES);
	if (!n->quorum_memory)
		abort();
	memcpy(n->quorum_memory, bytes, QUORUM_MEMORY_BYTES);
	if (is_awaited)
		quorum_sync_kept(n->quorum_sync);
}

static void look(struct sim_node *n);

static void time_has_come(void *owner)
{
	struct sim_node *n = owner;

	n->quorum_armed_at = UINT64_MAX;
	quorum_advance(n->quorum, sim_clock(n));
	look(n);
}

static void look(struct sim_node *n)
{
	uint64_t at = quorum_deadline(n->quorum), now = sim_clock(n);

	if (quorum_wants_again(n->quorum))
		totem_again(n->totem, now);
	if (at >= n->quorum_armed_at)
		return;
	n->quorum_armed_at = at;
	sim_call(n->world, n->index, at - min_u64(at, now), time_has_come, n);
}

/* Q1 */
static void check(struct sim_node *n)
{
	struct sim_world *w = n->world;
	const struct order_look order = totem_order(n->totem);
	struct ring_id id = order.current;

	/* with two_node each goes on */
	if (w->quorum_options.is_two_node || !quorum_is_won(n->quorum) || id.seq <= w->won.seq)
		return;
	if (w->won.seq > 0 && set_is_empty(set_and(w->won_members, order.members)))
		sim_fail(w, "Q1: n%d is quorate in %u.%" PRIu64
			    ", with nobody of %u.%" PRIu64 ", which was",
			 n->index + 1, id.rep, id.seq, w->won.rep, w->won.seq);
	w->won = id;
	w->won_members = order.members;
}

static void op_changed(void *owner)
{
	check(owner);
	look(owner);
}

void quorum_node_start(struct sim_node *n, const struct node_table *nodes)
{
	static const struct quorum_sync_ops ops = { op_now, op_keep, op_changed };
	struct quorum_options o = n->world->quorum_options;
	struct err err = ERR_INIT;

	o.nodes = *nodes;
	o.self = n->index;
	for (int i = 0; i < nodes->count; i++)
		o.votes[i] = 1;
	n->quorum_armed_at = UINT64_MAX;
	n->quorum = quorum_new(&o, boot, n->quorum_memory, &err);
	if (n->quorum)
		n->quorum_sync = quorum_sync_new(n->quorum, totem_sync(n->totem), &ops, n);
	if (n->quorum && n->quorum_sync)
		return;
	fprintf(stderr, "sim: %s\n", err.text);
	abort();
}

void quorum_node_end(struct sim_node *n)
{
	quorum_sync_free(n->quorum_sync);
	quorum_free(n->quorum);
	n->quorum_sync = NULL;
	n->quorum = NULL;
}

bool quorum_node_is_won(const struct sim_node *n)
{
	return quorum_is_won(n->quorum);
}

bool quorum_node_is_quorate(const struct sim_node *n)
{
	return n->quorum && quorum_is_quorate(n->quorum, sim_clock(n));
}
