/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "totem/station.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/arith.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "base/loop.h"
#include "totem/boot.h"
#include "totem/seal.h"

LOG_SUBSYSTEM(ring);

enum { COMPLAINT_PAUSE_S = 60 };

struct station {
	struct station_config config;
	struct station_ops ops;
	void *owner;
	struct loop *loop;
	struct loop_timer *timer;
	uint64_t timer_at; /* UINT64_MAX: none */
	struct ring *ring;
	struct seal *seal;
	struct transport *transport;
	struct boot *boot;
	uint64_t complained_at[SEAL_REFUSAL_COUNT];
	uint8_t opened[WIRE_MAX_PACKET];
	uint8_t sealed[WIRE_MAX_PACKET + SEAL_OVERHEAD_BYTES];
};

static void arm(struct station *s);

/* Every event into the ring passes here: packets go out, the timer is right. */
static void settle(struct station *s)
{
	transport_flush(s->transport);
	arm(s);
}

static void time_has_come(void *owner)
{
	struct station *s = owner;

	s->timer = NULL;
	s->timer_at = UINT64_MAX;
	ring_advance(s->ring, clock_boot_ns());
	transport_expire(s->transport, clock_boot_ns());
	settle(s);
}

static void arm(struct station *s)
{
	uint64_t at = ring_deadline(s->ring), now = clock_boot_ns();
	uint64_t ms = at > now ? (at - now + NS_PER_MS - 1) / NS_PER_MS : 1;
	struct err err = ERR_INIT;

	/* an earlier timer finds out itself that it came too early */
	if (at == UINT64_MAX || s->timer_at <= at)
		return;
	loop_timer_cancel(s->timer);
	s->timer = loop_timer_start(s->loop, (uint32_t)min_u64(max_u64(ms, 1), 60000),
				    time_has_come, s, &err);
	s->timer_at = s->timer ? at : UINT64_MAX;
	if (!s->timer)
		log_error("MDC4102", "%s: the ring stands still", err.text);
}

/* --- out ----------------------------------------------------------------------- */

static void send_sealed(struct station *s, struct node_set to,
			const uint8_t *bytes, size_t length)
{
	size_t sealed = length + seal_overhead();

	if (seal_wrap(s->seal, bytes, length, s->sealed) == 0)
		transport_send_set(s->transport, to, s->sealed, sealed);
}

static void op_send_one(void *owner, int to, const uint8_t *bytes, size_t length)
{
	send_sealed(owner, set_of(to), bytes, length);
}

static void op_send_all(void *owner, struct node_set to, const uint8_t *bytes,
			size_t length)
{
	send_sealed(owner, to, bytes, length);
}

static size_t op_fill(void *owner, uint8_t *payload, size_t room, bool is_sync,
		      bool *is_safe)
{
	struct station *s = owner;

	return s->ops.fill(s->owner, payload, room, is_sync, is_safe);
}

static size_t op_backlog(void *owner, bool is_sync)
{
	struct station *s = owner;

	return s->ops.backlog(s->owner, is_sync);
}

static void op_deliver(void *owner, const struct ring_message *message)
{
	struct station *s = owner;

	s->ops.deliver(s->owner, message);
}

static void op_configured(void *owner, const struct ring_configuration *c)
{
	struct station *s = owner;

	s->ops.configured(s->owner, c);
}

static void op_unplugged(void *owner)
{
	struct station *s = owner;

	s->ops.unplugged(s->owner);
}

static void op_save_seq(void *owner, uint64_t seq)
{
	boot_save(((struct station *)owner)->boot, seq);
}

static void op_trace(void *owner, const char *line)
{
	struct station *s = owner;

	s->ops.trace(s->owner, line);
}

/* --- in ------------------------------------------------------------------------ */

static void complain(struct station *s, int refusal, const struct seal_label *label)
{
	uint64_t now = clock_boot_ns();
	uint64_t *last = &s->complained_at[refusal];

	if (refusal == SEAL_ECHO ||
	    (*last && now - *last < COMPLAINT_PAUSE_S * NS_PER_S))
		return;
	*last = now;
	log_warning("MDC4103", "a datagram that claims to be of node %" PRIu32
		    " is refused: it %s",
		    label->sender, seal_why(-refusal));
}

static void datagram_came(void *owner, int from, const uint8_t *bytes,
			  size_t length)
{
	struct station *s = owner;
	struct seal_label label;
	size_t plain;
	int r;

	(void)from; /* an address proves nothing; the seal does */
	if (length > sizeof(s->sealed))
		return;
	r = seal_open(s->seal, bytes, length, s->opened, &plain, &label);
	if (r < 0)
		complain(s, -r, &label);
	else
		ring_receive(s->ring, clock_boot_ns(), s->opened, plain);
}

static void evidence_came(void *owner, int node, enum transport_evidence kind,
			  int error)
{
	struct station *s = owner;

	(void)error;
	/* "unreachable" and "link down" may be ours, or pass: only refusals convict */
	if (kind == TRANSPORT_REFUSED)
		ring_evidence(s->ring, clock_boot_ns(), s->config.nodes.ids[node]);
}

static void round_is_over(void *owner)
{
	settle(owner);
}

static void seq_was_saved(void *owner, uint64_t seq)
{
	struct station *s = owner;

	ring_seq_saved(s->ring, clock_boot_ns(), seq);
	settle(s);
}

/* --- life ---------------------------------------------------------------------- */

static int open_transport(struct station *s, struct err *err)
{
	static const struct transport_events events = {
		.received = datagram_came,
		.evidence = evidence_came,
		.settled = round_is_over,
	};
	struct transport_udp_config c = {
		.nodes = s->config.nodes,
		.self = node_index(&s->config.nodes, s->config.self),
		.mtu_bytes = s->config.mtu_bytes,
	};
	int i, r = 0;

	c.local[0] = s->config.addresses[c.self];
	s->transport = transport_udp_open(&c, &events, s, s->loop, err);
	if (!s->transport)
		return err->code;
	for (i = 0; r == 0 && i < s->config.nodes.count; i++)
		if (i != c.self)
			r = transport_udp_set_address(s->transport, i,
						      &s->config.addresses[i], err);
	return r;
}

static int open_seal(struct station *s, struct err *err)
{
	const struct keyfile *keys = s->config.keys;
	const struct seal_config c = {
		.cluster = s->config.cluster,
		.nodes = &s->config.nodes,
		.self = s->config.self,
		.boot = boot_number(s->boot),
		.cipher = keys ? SEAL_CHACHA20_POLY1305 : SEAL_PLAIN,
		.keys = keys ? keys->keys : NULL,
		.key_count = keys ? keys->count : 0,
	};

	s->seal = seal_new(&c, err);
	return s->seal ? 0 : err->code;
}

static int open_ring(struct station *s, struct err *err)
{
	static const struct ring_ops ops = {
		.send_one = op_send_one,
		.send_all = op_send_all,
		.fill = op_fill,
		.backlog = op_backlog,
		.deliver = op_deliver,
		.configured = op_configured,
		.unplugged = op_unplugged,
		.save_seq = op_save_seq,
		.trace = op_trace,
	};
	struct ring_ops with = ops;
	const struct ring_config c = {
		.nodes = s->config.nodes,
		.self = s->config.self,
		.cluster = s->config.cluster,
		.incarnation = boot_number(s->boot),
		.first_ring_seq = boot_first_ring_seq(s->boot),
		.packet_bytes = transport_payload_bytes(s->transport) -
				seal_overhead(),
		.token_ns = s->config.token_ns,
	};

	if (!s->ops.trace)
		with.trace = NULL;
	s->ring = ring_new(&c, &with, s);
	return s->ring ? 0 : err_nomem(err, "the ring");
}

struct station *station_open(const struct station_config *config,
			     const struct station_ops *ops, void *owner,
			     struct loop *loop, struct err *err)
{
	struct station *s = calloc(1, sizeof(*s));
	int r = 0;

	if (!s) {
		err_nomem(err, "the station");
		return NULL;
	}
	s->config = *config;
	s->ops = *ops;
	s->owner = owner;
	s->loop = loop;
	s->timer_at = UINT64_MAX;
	s->boot = boot_open(config->boot_path, clock_wall_us(), loop, seq_was_saved,
			    s, err);
	if (!s->boot)
		r = err->code;
	if (r == 0)
		r = open_seal(s, err);
	if (r == 0)
		r = open_transport(s, err);
	if (r == 0)
		r = open_ring(s, err);
	if (r < 0) {
		station_close(s);
		return NULL;
	}
	s->config.keys = NULL; /* the seal has its own copy */
	ring_start(s->ring, clock_boot_ns());
	settle(s);
	return s;
}

void station_close(struct station *s)
{
	if (!s)
		return;
	if (s->ring) {
		ring_leave(s->ring, clock_boot_ns());
		transport_flush(s->transport);
	}
	loop_timer_cancel(s->timer);
	ring_free(s->ring);
	transport_free(s->transport);
	seal_free(s->seal);
	boot_close(s->boot);
	free(s);
}

void station_wake(struct station *s)
{
	ring_wake(s->ring, clock_boot_ns());
	settle(s);
}

void station_synchronised(struct station *s)
{
	ring_synchronised(s->ring, clock_boot_ns());
}

const struct ring *station_ring(const struct station *s)
{
	return s->ring;
}
