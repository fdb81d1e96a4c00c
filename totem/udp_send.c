/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * UDP out: the queue, in its order, as few system calls as the kernel allows.
 *
 * A run to a node is one message with a segment size (GSO), or, where the kernel
 * does not segment, a message for each datagram; up to BATCH messages go with one
 * sendmmsg. The cursor moves on only over what the kernel took.
 *
 * An error of sendmmsg belongs to its first message, or to nobody: an ICMP
 * message for whatever went out before leaves its errno on the socket, and the
 * next call fails with it. So each error is asked for again before it is believed.
 */
#include "totem/udp.h"

#include <errno.h>
#include <netinet/udp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/arith.h"
#include "base/log.h"

LOG_SUBSYSTEM(transport);

enum { BATCH = 64, TRIES = 3 };

#define CONTROL_BYTES CMSG_SPACE(sizeof(uint16_t))

struct udp_outbox {
	struct mmsghdr messages[BATCH];
	struct iovec iov[BATCH];
	_Alignas(struct cmsghdr) uint8_t control[BATCH][CONTROL_BYTES];
	struct udp_cursor after[BATCH];
	uint32_t datagrams[BATCH];
	int socket; /* all of a batch go through it */
};

struct udp_outbox *udp_outbox_new(void)
{
	return calloc(1, sizeof(struct udp_outbox));
}

/* Who is served next in a run; the group counts as one node, number 0. */
static int next_peer(const struct udp *udp, const struct udp_run *run, int from)
{
	if (run->is_to_group)
		return from == 0 ? 0 : TOTEM_NO_INDEX;
	return set_next(set_and(run->to, udp->known), from);
}

/* Moves to the next datagram to be sent. False: there is none. */
static bool settle(struct udp *udp, struct udp_cursor *at)
{
	for (; at->run < udp->queue.count; at->run++) {
		const struct udp_run *run = udp_queue_run(&udp->queue, at->run);
		int peer = next_peer(udp, run, at->peer);

		if (peer != at->peer)
			at->segment = 0;
		at->peer = peer;
		if (peer != TOTEM_NO_INDEX)
			return true;
		at->peer = 0;
	}
	return false;
}

/* The cursor is here now; what lies behind it is gone. */
static void advance(struct udp *udp, struct udp_cursor to)
{
	(void)settle(udp, &to);
	for (; to.run > 0; to.run--)
		udp_queue_pop(&udp->queue);
	udp->cursor = to;
}

void udp_drop_oldest(struct udp *udp)
{
	udp->counters.queue_dropped += udp_queue_run(&udp->queue, 0)->count;
	advance(udp, (struct udp_cursor){ .run = 1 });
}

static struct udp_cursor after_peer(struct udp_cursor at)
{
	return (struct udp_cursor){ .run = at.run, .peer = at.peer + 1 };
}

static const union transport_address *target(const struct udp *udp,
					     const struct udp_run *run, int peer)
{
	return run->is_to_group ? &udp->group : &udp->peers[peer].address;
}

static void set_segment_bytes(struct msghdr *message, uint8_t *control,
			      uint16_t bytes)
{
	struct cmsghdr *c;

	message->msg_control = control;
	message->msg_controllen = CONTROL_BYTES;
	c = CMSG_FIRSTHDR(message);
	c->cmsg_level = SOL_UDP;
	c->cmsg_type = UDP_SEGMENT;
	c->cmsg_len = CMSG_LEN(sizeof(bytes));
	memcpy(CMSG_DATA(c), &bytes, sizeof(bytes));
}

/* Message i is what lies at the cursor, which moves behind it. */
static void put(struct udp *udp, int i, struct udp_cursor *at)
{
	struct udp_outbox *out = udp->outbox;
	struct udp_run *run = udp_queue_run(&udp->queue, at->run);
	const union transport_address *to = target(udp, run, at->peer);
	struct msghdr *message = &out->messages[i].msg_hdr;
	bool is_batch = udp->is_gso && run->gso_error == 0 && run->count > 1 &&
			at->segment == 0;
	size_t skipped = (size_t)at->segment * run->segment_bytes;
	bool is_last = is_batch || at->segment == run->count - 1u;

	run->is_closed = true;
	out->iov[i].iov_base = run->chunk->bytes + run->offset + skipped;
	out->iov[i].iov_len = is_batch  ? udp_run_bytes(run)
			      : is_last ? run->last_bytes
					: run->segment_bytes;
	*message = (struct msghdr){
		.msg_name = (void *)(uintptr_t)to, /* the kernel only reads it */
		.msg_namelen = (socklen_t)udp_address_bytes(to),
		.msg_iov = &out->iov[i],
		.msg_iovlen = 1,
	};
	if (is_batch)
		set_segment_bytes(message, out->control[i], run->segment_bytes);
	out->datagrams[i] = is_batch ? run->count : 1;
	if (is_last)
		*at = after_peer(*at);
	else
		at->segment++;
	out->after[i] = *at;
}

static int gather(struct udp *udp)
{
	struct udp_cursor at;
	int n = 0;

	/* It stands at the first message: an error is that one's. */
	advance(udp, udp->cursor);
	at = udp->cursor;
	while (n < BATCH && settle(udp, &at)) {
		const struct udp_run *run = udp_queue_run(&udp->queue, at.run);
		int family = target(udp, run, at.peer)->any.sa_family;
		int socket = family == AF_INET ? UDP_SOCKET_4 : UDP_SOCKET_6;

		if (n == 0)
			udp->outbox->socket = socket;
		else if (udp->outbox->socket != socket)
			break;
		put(udp, n++, &at);
	}
	return n;
}

static void stop_segmenting(struct udp *udp, int error)
{
	udp->is_gso = false;
	udp->counters.gso_refused++;
	log_notice("MDC4003",
		   "the kernel does not segment datagrams (%s): they go out "
		   "one by one", strerror(error));
}

static void took(struct udp *udp, int n)
{
	const struct udp_outbox *out = udp->outbox;
	const struct udp_run *first = udp_queue_run(&udp->queue,
						    udp->cursor.run);

	/* The same bytes pass one by one: it was not their size. */
	if (udp->is_gso && first->gso_error != 0)
		stop_segmenting(udp, first->gso_error);
	for (int i = 0; i < n; i++) {
		udp->counters.sent_datagrams += out->datagrams[i];
		udp->counters.sent_batches += out->datagrams[i] > 1;
		udp->counters.sent_bytes += out->iov[i].iov_len;
	}
	advance(udp, out->after[n - 1]);
}

static bool is_of_our_link(int error)
{
	return error == ENETUNREACH || error == ENETDOWN || error == ENODEV ||
	       error == EADDRNOTAVAIL || error == EHOSTUNREACH;
}

/* The whole rest of the run to this node is of that size. */
static void too_big(struct udp *udp)
{
	struct udp_run *run = udp_queue_run(&udp->queue, udp->cursor.run);
	const union transport_address *to = target(udp, run, udp->cursor.peer);
	struct udp_socket *socket = &udp->sockets[udp->outbox->socket];
	size_t limit;

	udp_read_errors(udp, socket); /* the kernel says the MTU there */
	limit = udp_datagram_max(udp, socket->family);
	if (run->segment_bytes <= limit && udp->cursor.segment == 0)
		udp_lower_mtu(udp, to, 0); /* it did not */
	udp->counters.too_big += run->count - udp->cursor.segment;
	run->gso_error = 0; /* that was why */
	advance(udp, after_peer(udp->cursor));
}

/* The first message cannot be sent: on with the next. */
static void give_up(struct udp *udp, int error)
{
	const struct udp_run *run = udp_queue_run(&udp->queue, udp->cursor.run);

	if (is_of_our_link(error) && !run->is_to_group)
		udp_note_evidence(udp, udp->cursor.peer,
				  error == EHOSTUNREACH ? TRANSPORT_UNREACHABLE
							: TRANSPORT_LINK_DOWN,
				  error);
	else
		udp->counters.send_errors += udp->outbox->datagrams[0];
	advance(udp, udp->outbox->after[0]);
}

/* False: no room now. */
static bool deal_with(struct udp *udp, int error)
{
	struct udp_run *run = udp_queue_run(&udp->queue, udp->cursor.run);
	bool is_batch = udp->outbox->datagrams[0] > 1;

	switch (error) {
	case EAGAIN:
		udp->counters.blocked++;
		udp_wait_for_room(udp, udp->outbox->socket);
		return false;
	case ENOBUFS:
	case ENOMEM: /* POLLOUT would come at once: the socket itself has room */
		udp->counters.blocked++;
		udp_nudge(udp);
		return false;
	case EMSGSIZE: /* of a batch since Linux 6.14, before that EINVAL */
	case EINVAL:
	case EIO:
	case ENOPROTOOPT:
	case EOPNOTSUPP:
		if (is_batch) {
			run->gso_error = error;
			return true;
		}
		break;
	}
	if (error == EMSGSIZE)
		too_big(udp);
	else
		give_up(udp, error);
	return true;
}

void udp_flush(struct udp *udp)
{
	int tries = 0;
	int n;

	while ((n = gather(udp)) > 0) {
		int r = sendmmsg(udp->sockets[udp->outbox->socket].fd,
				 udp->outbox->messages, (unsigned int)n,
				 MSG_DONTWAIT | MSG_NOSIGNAL);
		int error = r < 0 ? errno : 0;

		udp->counters.send_calls++;
		if (r > 0) {
			took(udp, r);
			tries = 0;
		} else if (error == EINTR || (error != EAGAIN && ++tries < TRIES)) {
			udp->has_errors = true; /* perhaps */
		} else {
			tries = 0;
			if (!deal_with(udp, error))
				return;
		}
	}
	if (udp->blocked_on >= 0)
		udp_wait_for_room(udp, -1);
}
