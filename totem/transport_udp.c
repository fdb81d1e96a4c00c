/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The UDP transport: queueing, rounds of receiving, evidence, waiting.
 *
 * Which batching pays (bench_transport, two processes on two shared cores of an
 * EPYC, Linux 6.18, veth with MTU 1500; thousands of messages a second that
 * arrive, and against a loop of sendto and recvfrom in the same run):
 *
 *	                          sendto   sendmmsg      GSO and GRO
 *	1400 B, 1 a flush            115    85  (0.7x)     83    (0.7x)
 *	1400 B, 2 a flush             88    69  (0.8x)    135    (1.5x)
 *	1400 B, 4 a flush            120   125  (1.0x)    360    (3.1x)
 *	1400 B, 128 a flush          180   263  (1.7x)   2600  (14x, 3.6 GB/s)
 *	64 B, 512 a flush            250   277  (1.1x)  10500  (42x)
 *	65000 B, 4 a flush            13   5.2  (0.4x)     42   (3.1x, 2.7 GB/s)
 *
 * sendmmsg saves little: the way through the stack costs, not the system call.
 * Segmentation pays from two datagrams on, so every run of two or more uses it.
 * A lone one costs 3 us more than the plain loop, most of it poll() and the look
 * at the error queue of an owner without a loop. For messages of 65000 bytes the
 * plain loop leaves the cutting to IP, whose fragments all die with one. The one
 * copy into the queue makes a run one piece of memory for any number of nodes.
 */
#include "totem/transport_udp.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/arith.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "base/loop.h"
#include "totem/udp.h"

LOG_SUBSYSTEM(transport);

enum { NUDGE_MS = 1 };

/* A path may have become wider again: try after as long as the kernel does. */
#define MTU_LOWERED_NS (600 * NS_PER_S)
#define UNKNOWN_TOLD_NS (60 * NS_PER_S)

static struct udp *udp_of(struct transport *t)
{
	return container_of(t, struct udp, transport);
}

/* Sizes */

size_t udp_datagram_max(const struct udp *udp, int family)
{
	return udp->mtu_bytes - (family == AF_INET ? UDP_HEADERS_4
						   : UDP_HEADERS_6);
}

/* One size for all: the same bytes go to nodes of both families. */
static size_t datagram_max(const struct udp *udp)
{
	return udp_datagram_max(udp, udp_is_listening(udp, AF_INET6) ? AF_INET6
								 : AF_INET);
}

static size_t udp_payload_bytes(const struct transport *t)
{
	const struct udp *udp = container_of(t, struct udp, transport);

	return datagram_max(udp) - DATAGRAM_HEADER_BYTES;
}

void udp_lower_mtu(struct udp *udp, const union transport_address *towards,
		   uint32_t mtu_bytes)
{
	uint32_t floor = udp_is_listening(udp, AF_INET6) ? UDP_MTU_MIN_6
						     : UDP_MTU_MIN_4;
	char text[TRANSPORT_ADDRESS_TEXT_BYTES];

	if (mtu_bytes < floor)
		mtu_bytes = floor;
	if (mtu_bytes >= udp->mtu_bytes)
		return;
	udp->counters.mtu_lowered++;
	if (!udp->is_mtu_told)
		log_warning("MDC4002",
			    "the path towards %s carries packets of %u bytes "
			    "instead of %u: sending smaller ones",
			    transport_address_text(towards, text), mtu_bytes,
			    udp->mtu_bytes);
	udp->is_mtu_told = true;
	udp->mtu_bytes = mtu_bytes;
	udp->mtu_lowered_ns = 0;
}

/* Sending */

/* Full: flush; nothing moves: the oldest has to go. NULL: no memory. */
static uint8_t *make_room(struct udp *udp, size_t bytes)
{
	bool is_full;
	uint8_t *room = udp_queue_reserve(&udp->queue, bytes, &is_full);

	if (!room && is_full) {
		udp_flush(udp);
		room = udp_queue_reserve(&udp->queue, bytes, &is_full);
	}
	while (!room && is_full) {
		udp_drop_oldest(udp);
		room = udp_queue_reserve(&udp->queue, bytes, &is_full);
	}
	if (!room)
		udp->counters.no_memory++;
	return room;
}

static bool has_group(const struct udp *udp)
{
	return udp->group.any.sa_family != AF_UNSPEC;
}

static void post(struct udp *udp, struct node_set to, size_t bytes)
{
	bool is_to_group = has_group(udp) && set_count(to) > 1;

	udp_queue_post(&udp->queue, to, is_to_group, bytes);
}

static uint8_t *udp_reserve(struct transport *t, size_t bytes)
{
	struct udp *udp = udp_of(t);
	uint8_t *room;

	if (bytes > udp_payload_bytes(t))
		return NULL;
	room = make_room(udp, DATAGRAM_HEADER_BYTES + bytes);
	if (!room)
		return NULL;
	fragment_write_whole(room);
	return room + DATAGRAM_HEADER_BYTES;
}

static void udp_commit(struct transport *t, struct node_set to, size_t bytes)
{
	struct udp *udp = udp_of(t);

	to = set_and(to, udp->known);
	if (!set_is_empty(to))
		post(udp, to, DATAGRAM_HEADER_BYTES + bytes);
}

static int send_parts(struct udp *udp, struct node_set to, const uint8_t *bytes,
		      size_t length)
{
	struct fragment f = {
		.message = ++udp->message,
		.total_bytes = (uint32_t)length,
		.unit_bytes = (uint16_t)(datagram_max(udp) -
					 FRAGMENT_HEADER_BYTES),
	};

	for (size_t at = 0; at < length; at += f.unit_bytes, f.index++) {
		size_t n = min_u64(f.unit_bytes, length - at);
		uint8_t *room = make_room(udp, FRAGMENT_HEADER_BYTES + n);

		if (!room)
			return -ENOMEM;
		fragment_write_part(room, &f);
		memcpy(room + FRAGMENT_HEADER_BYTES, bytes + at, n);
		post(udp, to, FRAGMENT_HEADER_BYTES + n);
		udp->counters.sent_fragments++;
	}
	return 0;
}

static int udp_send(struct transport *t, struct node_set to,
		    const uint8_t *bytes, size_t length)
{
	struct udp *udp = udp_of(t);
	uint8_t *room;

	if (length > TRANSPORT_MESSAGE_MAX)
		return -EMSGSIZE;
	to = set_and(to, udp->known);
	if (set_is_empty(to))
		return 0;
	if (length > udp_payload_bytes(t))
		return send_parts(udp, to, bytes, length);
	room = udp_reserve(t, length);
	if (!room)
		return -ENOMEM;
	if (length > 0)
		memcpy(room, bytes, length);
	post(udp, to, DATAGRAM_HEADER_BYTES + length);
	return 0;
}

static void udp_flush_all(struct transport *t)
{
	udp_flush(udp_of(t));
}

/* Receiving */

void udp_unknown_sender(struct udp *udp, const union transport_address *from)
{
	char text[TRANSPORT_ADDRESS_TEXT_BYTES];

	udp->counters.unknown_sender++;
	if (udp->is_unknown_told &&
	    udp->now_ns - udp->unknown_told_ns < UNKNOWN_TOLD_NS)
		return;
	udp->is_unknown_told = true;
	udp->unknown_told_ns = udp->now_ns;
	log_warning("MDC4004",
		    "a datagram from %s, which is no node's address: dropped",
		    transport_address_text(from, text));
}

static void deliver(struct udp *udp, int from, const uint8_t *bytes,
		    size_t length)
{
	udp->counters.received_messages++;
	udp->transport.events.received(udp->transport.owner, from, bytes,
				       length);
}

static void part_arrived(struct udp *udp, int from, const struct fragment *f)
{
	struct assembly *a = &udp->peers[from].assembly;
	struct transport_counters *c = &udp->counters;
	struct assembly whole;
	bool replaced;

	c->received_fragments++;
	switch (assembly_add(a, f, &replaced)) {
	case ASSEMBLY_WAITS:
		break;
	case ASSEMBLY_COMPLETE:
		whole = *a;
		*a = (struct assembly){ 0 };
		deliver(udp, from, whole.bytes, whole.total_bytes);
		assembly_fini(&whole);
		break;
	case ASSEMBLY_DUPLICATE:
		c->duplicate_fragments++;
		break;
	case ASSEMBLY_STALE:
		c->stale_fragments++;
		break;
	case ASSEMBLY_MISFIT:
		c->bad_fragments++;
		break;
	case ASSEMBLY_NO_MEMORY:
		c->no_memory++;
		break;
	}
	c->messages_replaced += replaced;
}

void udp_datagram_arrived(struct udp *udp, int from, const uint8_t *bytes,
			  size_t length)
{
	struct fragment f;

	if (!fragment_parse(bytes, length, &f))
		udp->counters.bad_datagrams++;
	else if (f.is_whole)
		deliver(udp, from, f.payload, f.length);
	else
		part_arrived(udp, from, &f);
}

/* Evidence is noted where it is found, and told at the end of a round. */

void udp_note_evidence(struct udp *udp, int node, enum transport_evidence kind,
		       int error)
{
	struct udp_peer *peer = &udp->peers[node];

	udp->counters.evidence[kind]++;
	peer->evidence |= (uint8_t)(1u << kind);
	peer->error[kind] = error;
	if (set_is_empty(udp->evident))
		udp_nudge(udp);
	set_add(&udp->evident, node);
}

static void tell_evidence(struct udp *udp)
{
	const struct transport_events *events = &udp->transport.events;
	struct node_set evident = udp->evident;

	udp->evident = (struct node_set){ { 0 } };
	for (int node = set_next(evident, 0); node != TOTEM_NO_INDEX;
	     node = set_next(evident, node + 1)) {
		struct udp_peer *peer = &udp->peers[node];
		unsigned int kinds = peer->evidence;

		peer->evidence = 0;
		for (int kind = 0; kind < TRANSPORT_EVIDENCE_COUNT; kind++)
			if (kinds >> kind & 1 && events->evidence)
				events->evidence(udp->transport.owner, node,
						 (enum transport_evidence)kind,
						 peer->error[kind]);
	}
}

static size_t round_of(struct udp *udp)
{
	struct transport *t = &udp->transport;
	size_t datagrams = 0;

	for (int i = 0; i < UDP_SOCKETS; i++)
		if (udp->sockets[i].fd >= 0)
			datagrams += udp_receive(udp, &udp->sockets[i]);
	if (udp->has_errors) {
		udp->has_errors = false;
		for (int i = 0; i < UDP_SOCKETS; i++)
			if (udp->sockets[i].fd >= 0)
				udp_read_errors(udp, &udp->sockets[i]);
	}
	tell_evidence(udp);
	if (t->events.settled)
		t->events.settled(t->owner);
	return datagrams;
}

/*
 * Nobody says whether there are errors: ask. That a call failed is no sure sign,
 * sendmmsg forgets an error that comes after its first message.
 */
static size_t udp_process(struct transport *t)
{
	struct udp *udp = udp_of(t);

	udp->has_errors = true;
	return round_of(udp);
}

static void udp_expire(struct transport *t, uint64_t now_ns)
{
	struct udp *udp = udp_of(t);

	udp->now_ns = now_ns;
	for (int i = 0; i < udp->nodes.count; i++)
		udp->counters.messages_expired +=
			assembly_expire(&udp->peers[i].assembly, now_ns,
					udp->assembly_ns);
	if (udp->mtu_bytes == udp->mtu_configured)
		return;
	if (udp->mtu_lowered_ns == 0)
		udp->mtu_lowered_ns = now_ns;
	if (now_ns - udp->mtu_lowered_ns >= MTU_LOWERED_NS)
		udp->mtu_bytes = udp->mtu_configured;
}

/* Waiting */

static void nudged(void *owner)
{
	struct udp *udp = owner;

	udp->nudge = NULL;
	udp_flush(udp);
	if (udp->has_errors || !set_is_empty(udp->evident))
		round_of(udp);
}

void udp_nudge(struct udp *udp)
{
	struct err err = ERR_INIT;

	if (udp->loop && !udp->nudge)
		udp->nudge = loop_timer_start(udp->loop, NUDGE_MS, nudged, udp,
					      &err);
}

static void ready(void *owner, int fd, uint32_t poll_events)
{
	struct udp *udp = owner;

	(void)fd;
	if (poll_events & POLLERR)
		udp->has_errors = true;
	if (poll_events & POLLOUT)
		udp_flush(udp);
	round_of(udp);
}

static uint32_t wanted_events(const struct udp *udp, int socket)
{
	return socket == udp->blocked_on ? POLLIN | POLLOUT : POLLIN;
}

static void watch_again(struct udp *udp, int socket)
{
	struct err err = ERR_INIT;
	int fd = socket < 0 ? -1 : udp->sockets[socket].fd;

	if (fd < 0 || !udp->loop)
		return;
	loop_fd_remove(udp->loop, fd);
	if (loop_fd_add(udp->loop, fd, wanted_events(udp, socket), ready, udp,
			&err) < 0)
		log_error("MDC4005", "%s", err.text);
}

void udp_wait_for_room(struct udp *udp, int socket)
{
	int before = udp->blocked_on;

	if (before == socket)
		return;
	udp->blocked_on = socket;
	watch_again(udp, before);
	watch_again(udp, socket);
}

static size_t udp_poll_fds(const struct transport *t, struct pollfd *fds,
			   size_t max)
{
	const struct udp *udp = container_of(t, struct udp, transport);
	size_t n = 0;

	for (int i = 0; i < UDP_SOCKETS && n < max; i++)
		if (udp->sockets[i].fd >= 0)
			fds[n++] = (struct pollfd){
				.fd = udp->sockets[i].fd,
				.events = udp->queue.count ? POLLIN | POLLOUT
							   : POLLIN,
			};
	return n;
}

static void udp_counters(const struct transport *t,
			 struct transport_counters *c)
{
	const struct udp *udp = container_of(t, struct udp, transport);

	*c = udp->counters;
	c->queued_bytes = udp->queue.bytes;
	c->payload_bytes = udp_payload_bytes(t);
}

/* Birth and death */

static void udp_free(struct transport *t)
{
	struct udp *udp = udp_of(t);

	loop_timer_cancel(udp->nudge);
	for (int i = 0; i < UDP_SOCKETS; i++)
		if (udp->loop && udp->sockets[i].fd >= 0)
			loop_fd_remove(udp->loop, udp->sockets[i].fd);
	udp_sockets_close(udp);
	for (int i = 0; i < udp->nodes.count; i++)
		assembly_fini(&udp->peers[i].assembly);
	udp_queue_fini(&udp->queue);
	free(udp->outbox);
	free(udp->inbox);
	free(udp->group_inbox);
	free(udp);
}

static const struct transport_ops udp_ops = {
	.name = "udp",
	.reserve = udp_reserve,
	.commit = udp_commit,
	.send = udp_send,
	.flush = udp_flush_all,
	.process = udp_process,
	.expire = udp_expire,
	.payload_bytes = udp_payload_bytes,
	.poll_fds = udp_poll_fds,
	.counters = udp_counters,
	.free = udp_free,
};

static int udp_init(struct udp *udp, const struct transport_udp_config *c,
		    struct err *err)
{
	for (int i = 0; i < UDP_SOCKETS; i++)
		udp->sockets[i].fd = -1;
	udp->nodes = c->nodes;
	udp->self = c->self;
	udp->group = c->group;
	udp->mtu_configured = udp->mtu_bytes = c->mtu_bytes;
	udp->assembly_ns = c->assembly_ms * NS_PER_MS;
	udp->is_gso = udp->is_gro = true;
	udp->blocked_on = -1;
	/*
	 * Newer than what we sent before a restart, as a rule: a peer that is in
	 * the middle of that drops it at once, not after its time-out.
	 */
	udp->message = (uint32_t)(clock_wall_us() >> 12);
	udp->outbox = udp_outbox_new();
	udp->inbox = udp_inbox_new();
	if (has_group(udp))
		udp->group_inbox = udp_inbox_new();
	if (!udp->outbox || !udp->inbox ||
	    (has_group(udp) && !udp->group_inbox) ||
	    udp_queue_init(&udp->queue, c->queue_bytes) < 0)
		return err_nomem(err, "the transport");
	return udp_sockets_open(udp, c, err);
}

static int watch_all(struct udp *udp, struct err *err)
{
	for (int i = 0; i < UDP_SOCKETS; i++) {
		int fd = udp->sockets[i].fd;
		int r = fd < 0 ? 0 : loop_fd_add(udp->loop, fd, POLLIN, ready,
						 udp, err);

		if (r < 0)
			return r;
	}
	return 0;
}

struct transport *transport_udp_open(const struct transport_udp_config *config,
				     const struct transport_events *events,
				     void *owner, struct loop *loop,
				     struct err *err)
{
	struct transport_udp_config checked = *config;
	struct udp *udp;
	int r = udp_config_check(&checked, err);

	if (r < 0)
		return NULL;
	udp = calloc(1, sizeof(*udp));
	if (!udp) {
		err_nomem(err, "the transport");
		return NULL;
	}
	udp->transport = (struct transport){ &udp_ops, *events, owner };
	r = udp_init(udp, &checked, err);
	if (r == 0)
		udp->loop = loop;
	if (r == 0 && loop)
		r = watch_all(udp, err);
	if (r < 0) {
		udp_free(&udp->transport);
		return NULL;
	}
	return &udp->transport;
}
