/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What goes out. Nothing is queued: what is to be said is made when CPG takes it. Only data
 * that was filled and then not taken waits, and goes before all else: it belongs to the
 * configuration it was filled in, and hello is behind all of that (P2).
 */
#include "totem/cpg_private.h"

#include <errno.h>

#include "base/arith.h"
#include "base/clock.h"

enum { RETRY_MS = 5 };

/* False: not now. */
static bool multicast(struct cpg_order *o, const uint8_t *bytes, size_t length)
{
	int r = o->ops.multicast(o->owner, bytes, length);

	o->retry_at = UINT64_MAX;
	if (r == -EAGAIN) {
		o->stats.busy++;
		o->retry_at = o->now + RETRY_MS * NS_PER_MS;
	} else if (r < 0) {
		cpg_order_break(o, "cannot send to the others by corosync");
	}
	return r == 0;
}

static bool send_packet(struct cpg_order *o, const struct cpg_packet *p)
{
	uint8_t bytes[CPG_SMALL_BYTES];
	size_t length = cpg_wire_write(p, bytes);

	return multicast(o, bytes, length);
}

static bool send_hello(struct cpg_order *o)
{
	struct cpg_packet p = { .kind = CPG_HELLO };

	cpg_form_fill_hello(o, &p.hello);
	if (!send_packet(o, &p))
		return false;
	o->round++;
	o->hello_at = o->now;
	o->promised = 0;
	o->wants_hello = false;
	o->stats.hello_tx++;
	return true;
}

static bool send_ready(struct cpg_order *o, uint64_t promise)
{
	const struct cpg_packet p = { .kind = CPG_READY, .number = promise };

	if (!send_packet(o, &p))
		return false;
	o->promised = promise;
	o->stats.ready_tx++;
	return true;
}

/* One that says something of the configuration that is installed. */
static bool say(struct cpg_order *o, enum cpg_kind kind, uint64_t number)
{
	const struct cpg_packet p = { .kind = kind, .config = o->current, .number = number };

	return send_packet(o, &p);
}

static bool send_beat(struct cpg_order *o)
{
	if (!say(o, CPG_BEAT, o->now))
		return false;
	o->next_beat = o->now + o->config.beat_ns;
	o->stats.beat_tx++;
	return true;
}

static bool send_ack(struct cpg_order *o)
{
	uint64_t upto = o->received;

	if (!say(o, CPG_ACK, upto))
		return false;
	o->acked = upto;
	o->has_ack_out = true;
	o->stats.ack_tx++;
	return true;
}

static struct cpg_peer *who_is_to_go(struct cpg_order *o)
{
	for (int i = 0; i < o->peer_count; i++)
		if (o->peers[i].is_to_go)
			return &o->peers[i];
	return NULL;
}

static bool send_evict(struct cpg_order *o, struct cpg_peer *target)
{
	const struct cpg_packet p = { .kind = CPG_EVICT, .target = target->who };

	if (!send_packet(o, &p))
		return false;
	target->is_to_go = false;
	return true;
}

static bool send_unsent(struct cpg_order *o)
{
	if (!multicast(o, o->packet, o->unsent))
		return false;
	o->unsent = 0;
	o->stats.data_tx++;
	return true;
}

/* False: there is none, or CPG is busy. */
static bool send_data(struct cpg_order *o)
{
	struct cpg_packet p = { .kind = CPG_DATA, .config = o->current,
				.is_sync = !o->is_unplugged };
	size_t length;

	if (o->out_bytes >= o->config.window_bytes)
		return false;
	length = o->ops.fill(o->owner, o->packet + CPG_DATA_HEAD_BYTES,
			     o->config.payload_bytes, p.is_sync, &p.is_safe);
	if (length == 0 || o->is_broken)
		return false;
	cpg_wire_data(&p, o->packet);
	o->out_bytes += length;
	o->unsent = CPG_DATA_HEAD_BYTES + length;
	return send_unsent(o);
}

static bool is_due(const struct cpg_order *o)
{
	return o->now >= o->next_beat;
}

/* The next thing there is to say; false: nothing, or not now. */
static bool send_one(struct cpg_order *o)
{
	bool is_in = o->state == CPG_ORDER_INSTALLED;
	struct cpg_peer *target = who_is_to_go(o);
	uint64_t promise;

	if (o->unsent)
		return send_unsent(o);
	if (o->wants_hello)
		return send_hello(o);
	if (target)
		return send_evict(o, target);
	promise = cpg_form_promise(o);
	if (promise && promise != o->promised)
		return send_ready(o, promise);
	if (is_due(o))
		return send_beat(o);
	if (is_in && o->received > o->acked && !o->has_ack_out)
		return send_ack(o);
	if (is_in && o->wants_done) {
		o->wants_done = !say(o, CPG_DONE, 0);
		return !o->wants_done;
	}
	if (is_in && o->wants_again) {
		o->wants_again = !say(o, CPG_AGAIN, 0);
		return !o->wants_again;
	}
	return is_in && !o->is_outcast && send_data(o);
}

void cpg_send(struct cpg_order *o)
{
	bool is_busy = o->retry_at != UINT64_MAX && o->now < o->retry_at;

	if (o->state == CPG_ORDER_JOINING || o->state == CPG_ORDER_LEFT || is_busy)
		return;
	while (!o->is_broken && send_one(o))
		;
}
