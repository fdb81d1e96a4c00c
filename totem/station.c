/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "totem/station.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/arith.h"
#include "base/clock.h"
#include "base/codec.h"
#include "base/err.h"
#include "base/log.h"
#include "base/loop.h"
#include "totem/boot.h"
#include "totem/corosync.h"
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
	struct totem *totem;
	struct loop_job wake;     /* programs have something to send */
	struct loop_job farewell; /* ops.broken, which may close the station */
	struct seal *seal;           /* both NULL on corosync */
	struct transport *transport;
	struct corosync_link *link;  /* NULL on our ring */
	struct boot *boot;
	uint64_t complained_at[SEAL_REFUSAL_COUNT];
	uint64_t unsealed_at; /* of what could not be sent for it */
	uint64_t refused_at; /* of packets that opened, and made no sense */
	uint64_t failures, failure_told_at; /* to receive */
	uint8_t opened[WIRE_MAX_PACKET];
	uint8_t sealed[WIRE_MAX_PACKET + SEAL_OVERHEAD_BYTES];
};

static void arm(struct station *s);

/* Once a minute at most. */
static bool is_worth_saying(uint64_t *last)
{
	uint64_t now = clock_boot_ns();

	if (*last && now - *last < COMPLAINT_PAUSE_S * NS_PER_S)
		return false;
	*last = now;
	return true;
}

/* Large packets that vanish leave no other trace: nothing tells their sender. */
static void tell_failures(struct station *s)
{
	const struct ring *ring = totem_ring(s->totem);
	uint64_t count = ring ? ring_stats(ring)->failed_to_receive : 0;

	if (count == s->failures)
		return;
	s->failures = count;
	if (is_worth_saying(&s->failure_told_at))
		log_warning("MDC4113", "this node gets the token and not all messages: it left the ring, and tries again");
}

/* Every event into the ring passes here: packets go out, the timer is right. */
static void settle(struct station *s)
{
	if (s->transport)
		transport_flush(s->transport);
	tell_failures(s);
	arm(s);
}

static void time_has_come(void *owner)
{
	struct station *s = owner;

	s->timer = NULL;
	s->timer_at = UINT64_MAX;
	totem_advance(s->totem, clock_boot_ns());
	if (s->transport)
		transport_expire(s->transport, clock_boot_ns());
	settle(s);
}

static void arm(struct station *s)
{
	uint64_t at = totem_deadline(s->totem), now = clock_boot_ns();
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
	uint8_t *room = transport_reserve(s->transport, sealed);
	/* a path that has become narrow takes it in parts, from a copy */
	int r = seal_wrap(s->seal, bytes, length, room ? room : s->sealed);

	if (r < 0) {
		if (is_worth_saying(&s->unsealed_at))
			log_error("MDC4114", "a datagram cannot be sealed, and is not sent: %s",
				  strerror(-r));
		return;
	}
	if (room)
		transport_commit(s->transport, to, sealed);
	else
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

static void op_save_seq(void *owner, uint64_t seq)
{
	boot_save(((struct station *)owner)->boot, seq);
}

static void op_trace(void *owner, const char *line)
{
	struct station *s = owner;

	s->ops.trace(s->owner, line);
}

void station_send_aside(struct station *s, uint32_t node, const void *bytes,
			size_t length)
{
	uint8_t plain[STATION_ASIDE_BYTES + STATION_ASIDE_MAX];
	struct wr wr = wr_over(plain, sizeof(plain));
	int to = node_index(&s->config.nodes, node);

	if (s->link)
		return; /* nobody waits for an answer there */
	wr_u16(&wr, STATION_ASIDE_MAGIC);
	wr_bytes(&wr, bytes, length);
	if (to == TOTEM_NO_INDEX || wr.failed)
		return;
	send_sealed(s, set_of(to), plain, wr.at);
	transport_flush(s->transport);
}

/* Not at once: who sends is not to be called back from within. */
static void wake_now(void *owner)
{
	struct station *s = owner;

	totem_wake(s->totem, clock_boot_ns());
	settle(s);
}

static void op_wake(void *owner)
{
	struct station *s = owner;

	loop_soon(s->loop, &s->wake);
}

static bool op_is_quorate(void *owner, struct node_set members)
{
	struct station *s = owner;

	return s->ops.is_quorate(s->owner, members);
}

static void op_configured(void *owner, const struct ring_configuration *c)
{
	struct station *s = owner;

	if (s->ops.configured)
		s->ops.configured(s->owner, c);
}

static void op_synchronised(void *owner)
{
	struct station *s = owner;

	if (s->ops.synchronised)
		s->ops.synchronised(s->owner);
}

static void op_checkpoints_opened(void *owner)
{
	struct station *s = owner;

	if (s->ops.checkpoints_opened)
		s->ops.checkpoints_opened(s->owner);
}

static void op_checkpoints_activated(void *owner, bool is_replaced)
{
	struct station *s = owner;

	if (s->ops.checkpoints_activated)
		s->ops.checkpoints_activated(s->owner, is_replaced);
}

/* --- what an admin is told ----------------------------------------------------- */

static void op_refused(void *owner, uint32_t node, const char *why)
{
	struct station *s = owner;

	if (is_worth_saying(&s->refused_at))
		log_warning("MDC4104", "a packet of node %" PRIu32 " is refused: it %s", node,
			    why);
}

static void op_late(void *owner, int node, const char *service)
{
	const struct station *s = owner;

	log_warning("MDC4110", "node %" PRIu32 " is late: the cluster waits for its %s",
		    s->config.nodes.ids[node], service);
}

static void op_evicted(void *owner, int node, const char *service)
{
	const struct station *s = owner;

	log_error("MDC4111", "node %" PRIu32 " is left out: it did not finish its %s",
		  s->config.nodes.ids[node], service);
}

static void op_unheard(void *owner, bool is_unheard)
{
	(void)owner;
	if (is_unheard)
		log_error("MDC5920", "corosync on this host takes what this node says, and gives nothing back: it is stopped, or hangs; without it this node writes nothing");
	else
		log_notice("MDC5921", "corosync on this host goes on");
}

static void op_broken(void *owner, const char *why)
{
	struct station *s = owner;

	log_error("MDC4112", "this node has left the cluster: it %s", why);
	loop_soon(s->loop, &s->farewell);
}

static void say_farewell(void *owner)
{
	struct station *s = owner;

	if (s->ops.broken)
		s->ops.broken(s->owner);
}

/* --- in ------------------------------------------------------------------------ */

static void complain(struct station *s, int refusal, const struct seal_label *label)
{
	if (refusal == SEAL_ECHO || !is_worth_saying(&s->complained_at[refusal]))
		return;
	log_warning("MDC4103", "a datagram that claims to be of node %" PRIu32
		    " is refused: it %s",
		    label->sender, seal_why(-refusal));
}

static bool is_aside(const uint8_t *bytes, size_t length)
{
	struct rd rd = rd_over(bytes, length);

	return rd_u16(&rd) == STATION_ASIDE_MAGIC && !rd.failed;
}

static void op_aside(struct station *s, const struct seal_label *label, size_t length)
{
	if (s->ops.aside)
		s->ops.aside(s->owner, label->sender, label->boot,
			     s->opened + STATION_ASIDE_BYTES, length - STATION_ASIDE_BYTES);
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
	else if (is_aside(s->opened, plain))
		op_aside(s, &label, plain);
	else
		totem_receive(s->totem, clock_boot_ns(), s->opened, plain);
}

static void evidence_came(void *owner, int node, enum transport_evidence kind,
			  int error)
{
	struct station *s = owner;

	(void)error;
	/* "unreachable" and "link down" may be ours, or pass: only refusals convict */
	if (kind == TRANSPORT_REFUSED)
		totem_evidence(s->totem, clock_boot_ns(), s->config.nodes.ids[node]);
}

bool station_is_pending(const struct station *s)
{
	return (s->link && corosync_link_is_pending(s->link)) ||
	       !totem_order(s->totem).is_installed ||
	       !sync_is_active(totem_sync_view(s->totem));
}

void station_evidence(struct station *s, uint32_t node)
{
	totem_evidence(s->totem, clock_boot_ns(), node);
	settle(s);
}

void station_evict(struct station *s, uint32_t node)
{
	totem_evict(s->totem, clock_boot_ns(), node);
	settle(s);
}

void station_again(struct station *s)
{
	totem_again(s->totem, clock_boot_ns());
	settle(s);
}

static void round_is_over(void *owner)
{
	settle(owner);
}

static void seq_was_saved(void *owner, uint64_t seq)
{
	struct station *s = owner;

	totem_seq_saved(s->totem, clock_boot_ns(), seq);
	settle(s);
}

/* --- corosync ------------------------------------------------------------------ */

static int op_multicast(void *owner, const uint8_t *bytes, size_t length)
{
	return corosync_link_send(((struct station *)owner)->link, bytes, length);
}

static void op_rejoin(void *owner)
{
	struct station *s = owner;

	log_error("MDC5802", "the others have gone on without this node, for it did not answer in time: it joins them again");
	corosync_link_rejoin(s->link);
}

static void group_changed(void *owner, const struct cpg_change *change)
{
	struct station *s = owner;

	totem_cpg_changed(s->totem, clock_boot_ns(), change);
	settle(s);
}

static void group_said(void *owner, struct cpg_process from, const uint8_t *bytes,
		       size_t length)
{
	struct station *s = owner;

	totem_cpg_received(s->totem, clock_boot_ns(), from, bytes, length);
	settle(s);
}

static void group_ring_is(void *owner, uint64_t ring_seq)
{
	struct station *s = owner;

	if (s->ops.corosync_ring)
		s->ops.corosync_ring(s->owner, ring_seq);
}

static void said_aside(void *owner, uint32_t node, const uint8_t *bytes, size_t length)
{
	struct station *s = owner;

	if (s->ops.aside)
		s->ops.aside(s->owner, node, UINT64_MAX, bytes, length);
}

static void corosync_is_gone(void *owner, const char *why)
{
	struct station *s = owner;

	log_error("MDC5800", "%s: this node is out of the cluster, and tries again; without corosync it stays out",
		  why);
	if (s->ops.broken)
		s->ops.broken(s->owner);
}

static int open_link(struct station *s, struct err *err)
{
	static const struct corosync_link_ops ops = {
		.changed = group_changed, .received = group_said, .aside = said_aside,
		.gone = corosync_is_gone, .ring = group_ring_is,
	};
	struct cpg_process self;

	s->link = corosync_link_open(s->config.cluster, &ops, s, s->loop, err);
	if (!s->link)
		return err->code;
	self = corosync_link_self(s->link);
	if (self.node != s->config.self)
		return err_set(err, -EINVAL,
			       "corosync says that this is node %" PRIu32 ", and node %" PRIu32
			       " was expected",
			       self.node, s->config.self);
	return 0;
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
		.group = s->config.multicast,
		.group_ttl = s->config.multicast_ttl,
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
		.cipher = keys ? seal_cipher_default() : SEAL_PLAIN,
		.keys = keys ? keys->keys : NULL,
		.key_count = keys ? keys->count : 0,
	};

	s->seal = seal_new(&c, err);
	return s->seal ? 0 : err->code;
}

static int check_packets(const struct totem_config *c, struct err *err)
{
	if (c->cpg.is_used || c->ring.packet_bytes >= ring_packet_min(c->ring.nodes.count))
		return 0;
	return err_set(err, -EMSGSIZE,
		       "the link takes packets of %zu bytes for the ring: %d nodes need %zu",
		       c->ring.packet_bytes, c->ring.nodes.count,
		       ring_packet_min(c->ring.nodes.count));
}

static int open_totem(struct station *s, struct err *err)
{
	static const struct totem_ops ops = {
		.send_one = op_send_one,
		.send_all = op_send_all,
		.multicast = op_multicast,
		.rejoin = op_rejoin,
		.save_seq = op_save_seq,
		.trace = op_trace,
		.wake = op_wake,
		.configured = op_configured,
		.synchronised = op_synchronised,
		.checkpoints_opened = op_checkpoints_opened,
		.checkpoints_activated = op_checkpoints_activated,
		.refused = op_refused,
		.late = op_late,
		.evicted = op_evicted,
		.unheard = op_unheard,
		.broken = op_broken,
	};
	struct totem_ops with = ops;
	const struct totem_config c = {
		.ring = {
			.nodes = s->config.nodes,
			.self = s->config.self,
			.cluster = s->config.cluster,
			.incarnation = boot_number(s->boot),
			.first_ring_seq = boot_first_ring_seq(s->boot),
			.is_multicast = s->config.multicast.any.sa_family != AF_UNSPEC,
			.packet_bytes = s->transport ?
						transport_payload_bytes(s->transport) -
							seal_overhead() : 0,
			.token_ns = s->config.token_ns,
		},
		.cpg = {
			.is_used = s->link != NULL,
			.pid = s->link ? corosync_link_self(s->link).pid : 0,
			.beat_ns = s->config.beat_ns,
			.silence_ns = s->config.silence_ns,
		},
		.sync_deadline_ns = s->config.sync_deadline_ns,
	};

	if (check_packets(&c, err) < 0)
		return err->code;
	if (!s->ops.trace)
		with.trace = NULL;
	if (s->ops.is_quorate)
		with.is_quorate = op_is_quorate;
	s->totem = totem_new(&c, &with, s, err);
	return s->totem ? 0 : err->code;
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
	s->wake = (struct loop_job){ .fn = wake_now, .owner = s };
	s->farewell = (struct loop_job){ .fn = say_farewell, .owner = s };
	s->boot = boot_open(config->boot_path, clock_wall_us(), loop, seq_was_saved,
			    s, err);
	if (!s->boot)
		r = err->code;
	if (r == 0 && config->is_on_corosync)
		r = open_link(s, err);
	if (r == 0 && !s->link)
		r = open_seal(s, err);
	if (r == 0 && !s->link)
		r = open_transport(s, err);
	if (r == 0)
		r = open_totem(s, err);
	if (r < 0) {
		station_close(s);
		return NULL;
	}
	s->config.keys = NULL; /* the seal has its own copy */
	return s;
}

void station_start(struct station *s)
{
	totem_start(s->totem, clock_boot_ns());
	if (s->link)
		corosync_link_start(s->link);
	settle(s);
}

void station_close(struct station *s)
{
	if (!s)
		return;
	if (s->totem) {
		totem_leave(s->totem, clock_boot_ns());
		if (s->transport)
			transport_flush(s->transport);
	}
	corosync_link_close(s->link);
	loop_timer_cancel(s->timer);
	totem_free(s->totem); /* may still ask to be woken */
	loop_soon_cancel(&s->wake);
	loop_soon_cancel(&s->farewell);
	transport_free(s->transport);
	seal_free(s->seal);
	boot_close(s->boot);
	free(s);
}

void station_counters(const struct station *s, counter_fn fn, void *owner)
{
	totem_counters(s->totem, fn, owner);
	if (s->link)
		return;
	seal_counters(s->seal, fn, owner);
	transport_tell_counters(s->transport, fn, owner);
}

int station_set_keys(struct station *s, const struct keyfile *keys, struct err *err)
{
	int r;

	if (s->link)
		return 0;
	if (seal_has_keys(s->seal, keys->keys, keys->count))
		return 0;
	r = seal_set_keys(s->seal, keys->keys, keys->count, err);
	return r < 0 ? r : 1;
}

uint64_t station_incarnation(const struct station *s)
{
	return boot_number(s->boot);
}

uint64_t station_incarnation_of(const struct station *s, uint32_t node)
{
	struct seal_peer peer;
	int index = node_index(&s->config.nodes, node);

	if (s->link)
		return index == TOTEM_NO_INDEX ?
			       0 : cpg_order_incarnation_of(totem_cpg(s->totem), index);
	return seal_peer(s->seal, node, &peer) ? peer.boot : 0;
}

struct totem *station_totem(struct station *s)
{
	return s->totem;
}
