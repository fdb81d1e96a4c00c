/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * P2, P3: what came in the order and is not given yet. Places are counted by each member for
 * itself, from the configuration on, and mean the same to all: the order is one, and acks
 * have no place in it.
 */
#include "totem/cpg_private.h"

#include <stdlib.h>
#include <string.h>

#include "base/arith.h"

void cpg_hold_add(struct cpg_order *o, struct cpg_peer *from, const struct cpg_packet *p)
{
	size_t length = p->kind == CPG_DATA ? p->length : 0;
	struct cpg_held *h;

	if (p->kind != CPG_DATA && o->state != CPG_ORDER_INSTALLED)
		return; /* it ends: nobody asks for these any more */
	h = malloc(sizeof(*h) + length);
	if (!h) {
		cpg_order_break(o, "has no memory for what others tell");
		return;
	}
	*h = (struct cpg_held){
		.place = ++o->received,
		.from = from->who, .index = from->index,
		.kind = p->kind, .sent = p->number,
		.is_safe = p->is_safe, .is_sync = p->is_sync,
		.length = length,
	};
	if (length)
		memcpy(h->payload, p->payload, length);
	*o->last = h;
	o->last = &h->next;
}

void cpg_hold_ack(struct cpg_order *o, struct cpg_peer *from, uint64_t upto)
{
	if (upto > o->received) {
		o->stats.malformed++; /* of places that nobody has */
		return;
	}
	if (upto > from->acked) {
		from->acked = upto;
		from->owes_since = 0;
	}
}

static void give_data(struct cpg_order *o, const struct cpg_held *h)
{
	const struct ring_message m = {
		.ring = o->current, .seq = h->place, .origin = h->from.node,
		.is_safe = h->is_safe, .is_sync = h->is_sync,
		.payload = h->payload, .length = h->length,
	};

	if (cpg_is_self(o, h->from))
		o->out_bytes -= h->length;
	o->stats.data_rx++;
	o->ops.deliver(o->owner, &m);
}

static void take_done(struct cpg_order *o, const struct cpg_held *h)
{
	struct cpg_peer *p = cpg_peer_find(o, h->from);

	if (p)
		p->is_done = true;
	for (int i = 0; i < o->peer_count; i++)
		if (!o->peers[i].is_excluded && !o->peers[i].is_done)
			return;
	if (o->is_unplugged)
		return;
	o->is_unplugged = true;
	o->ops.unplugged(o->owner);
}

static void give(struct cpg_order *o, const struct cpg_held *h)
{
	if (h->kind == CPG_DATA)
		give_data(o, h);
	else if (h->kind == CPG_DONE)
		take_done(o, h);
	else if (cpg_is_self(o, h->from))
		o->sure_at = max_u64(o->sure_at, h->sent);
}

static struct cpg_held *take_first(struct cpg_order *o)
{
	struct cpg_held *h = o->first;

	o->first = h->next;
	if (!o->first)
		o->last = &o->first;
	return h;
}

static uint64_t acknowledged_by_all(const struct cpg_order *o)
{
	uint64_t least = o->received;

	for (int i = 0; i < o->peer_count; i++)
		if (!o->peers[i].is_excluded)
			least = min_u64(least, o->peers[i].acked);
	return least;
}

void cpg_hold_give(struct cpg_order *o)
{
	uint64_t upto;

	if (o->state != CPG_ORDER_INSTALLED)
		return;
	upto = acknowledged_by_all(o);
	while (o->first && o->first->place <= upto && !o->is_broken) {
		struct cpg_held *h = take_first(o);

		give(o, h);
		free(h);
	}
}

void cpg_hold_give_rest(struct cpg_order *o)
{
	while (o->first && !o->is_broken) {
		struct cpg_held *h = take_first(o);

		if (h->kind == CPG_DATA)
			give_data(o, h);
		free(h);
	}
}

void cpg_hold_drop(struct cpg_order *o)
{
	while (o->first)
		free(take_first(o));
	o->out_bytes = 0;
}
