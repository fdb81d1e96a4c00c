/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Messages: received, sent, delivered. */
#include "base/arith.h"
#include "totem/ring_private.h"

struct ring_instance *ring_live_instance(struct ring *ring, struct ring_id id)
{
	if (ring->state == RING_OPERATIONAL &&
	    ring_id_equal(id, ring->installed.id))
		return &ring->installed;
	if (ring->state == RING_RECOVERY && ring_id_equal(id, ring->forming.id))
		return &ring->forming;
	return NULL;
}

/*
 * An old message, brought on the new ring: into its place on the old one. False
 * when out of memory; then it has not come on the new ring, either (E3).
 */
static bool unwrap(struct ring *ring, const struct wire_data *d)
{
	struct queue *q = &ring->installed.queue;
	struct wire_data old = *d;

	if (!(d->flags & WIRE_DATA_RECOVERED) || ring->state != RING_RECOVERY ||
	    !ring_id_equal(d->old_ring, ring->installed.id) ||
	    queue_place_of(q, d->old_seq) != QUEUE_FREE)
		return true;
	old.flags &= (uint8_t)~WIRE_DATA_RECOVERED;
	return queue_insert(q, d->old_seq, &old);
}

/* Strangers say nothing on our ring. What is recovered comes from an older one. */
static bool is_of_members(const struct ring *ring, const struct ring_instance *i,
			  int from, const struct wire_data *d)
{
	int origin = node_index(&ring->config.nodes, d->origin);

	return set_has(&i->members, from) &&
	       ((d->flags & WIRE_DATA_RECOVERED) || set_has(&i->members, origin));
}

void ring_data_received(struct ring *ring, int from, const struct wire_data *d)
{
	struct ring_instance *i = ring_live_instance(ring, d->ring);

	ring->stats.mcast_rx++;
	if (i && is_of_members(ring, i, from, d)) {
		if (unwrap(ring, d))
			queue_insert(&i->queue, d->seq, d);
		if (ring->state == RING_OPERATIONAL)
			ring_data_deliver(ring);
		return;
	}
	/*
	 * Still of our last ring, while we gather: it may fill a hole. Not once
	 * the commit token was told what we hold: all must know it alike (E3).
	 */
	if (ring->state == RING_GATHER &&
	    ring_id_equal(d->ring, ring->installed.id) &&
	    is_of_members(ring, &ring->installed, from, d))
		queue_insert(&ring->installed.queue, d->seq, d);
	else if (ring->state == RING_OPERATIONAL &&
		 set_has(&ring->installed.members, from) &&
		 d->ring.seq > ring->installed.id.seq)
		ring_gather_foreign(ring, from, d->ring); /* moved on without us */
	else
		ring->stats.rx_msg_dropped++;
}

void ring_data_send(struct ring *ring, const struct ring_instance *i, struct node_set to,
		    const struct queued *m)
{
	const struct wire_data d = {
		.ring = i->id,
		.seq = m->seq,
		.round = ring->round,
		.origin = m->origin,
		.flags = m->flags,
		.old_ring = m->old_ring,
		.old_seq = m->old_seq,
		.payload = m->payload,
		.length = m->length,
	};
	size_t length = wire_write_data(&ring->context, &d, ring->packet);

	ring->ops.send_all(ring->owner, to, ring->packet, length);
}

/* The first ordinary message tells that all are synchronised. */
static void unplug(struct ring *ring)
{
	if (ring->is_unplugged)
		return;
	ring->is_unplugged = true;
	ring_trace(ring, "unplugged");
	ring->ops.unplugged(ring->owner);
}

void ring_data_give(struct ring *ring, const struct ring_instance *i,
		    const struct queued *m)
{
	const struct ring_message message = {
		.ring = i->id,
		.seq = m->seq,
		.origin = m->origin,
		.is_safe = m->flags & WIRE_DATA_SAFE,
		.is_sync = m->flags & WIRE_DATA_SYNC,
		.payload = m->payload,
		.length = m->length,
	};

	if (m->flags & WIRE_DATA_RECOVERED)
		return;
	if (!message.is_sync)
		unplug(ring);
	ring->ops.deliver(ring->owner, &message);
}

void ring_data_deliver(struct ring *ring)
{
	struct ring_instance *i = &ring->installed;
	const struct queued *m;

	while ((m = queue_get(&i->queue, i->delivered + 1)) != NULL) {
		if ((m->flags & WIRE_DATA_SAFE) && m->seq > i->stable)
			break;
		i->delivered++;
		ring_data_give(ring, i, m);
	}
	if (ring->unplug_seen && i->delivered >= ring->unplug_seq)
		unplug(ring);
}
