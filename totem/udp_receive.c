/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * UDP in: batches from recvmmsg, split where the kernel put datagrams together
 * (GRO), and the error queue, where it says what became of ours.
 */
#include "totem/udp.h"

#include <errno.h>
#include <netinet/udp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <linux/errqueue.h>

#include "base/arith.h"

enum {
	BATCH = 16,
	BATCHES_A_ROUND = 16, /* then others have their turn on the loop */
	ERRORS_A_ROUND = 256,
	BUFFER_BYTES = 65536, /* what GRO puts together at most */
	CONTROL_BYTES = 128,
	TRIES = 4,
};

struct udp_inbox {
	struct mmsghdr messages[BATCH];
	struct iovec iov[BATCH];
	union transport_address from[BATCH];
	_Alignas(struct cmsghdr) uint8_t control[BATCH][CONTROL_BYTES];
	uint8_t bytes[BATCH][BUFFER_BYTES];
};

/* The kernel writes over these. */
static void renew(struct udp_inbox *in, int i)
{
	in->messages[i].msg_hdr.msg_namelen = sizeof(in->from[i]);
	in->messages[i].msg_hdr.msg_controllen = CONTROL_BYTES;
}

struct udp_inbox *udp_inbox_new(void)
{
	/* Not zeroed: pages that are never needed are never there. */
	struct udp_inbox *in = malloc(sizeof(*in));

	for (int i = 0; in && i < BATCH; i++) {
		in->iov[i] = (struct iovec){ in->bytes[i], BUFFER_BYTES };
		in->messages[i] = (struct mmsghdr){ .msg_hdr = {
			.msg_name = &in->from[i],
			.msg_iov = &in->iov[i],
			.msg_iovlen = 1,
			.msg_control = in->control[i],
		} };
		renew(in, i);
	}
	return in;
}

/* The size of the datagrams in a buffer: its length if it is only one. */
static size_t segment_bytes(struct udp *udp, struct udp_socket *socket,
			    struct msghdr *message, size_t length)
{
	size_t segment = length;
	uint32_t overflows;
	int size;

	for (struct cmsghdr *c = CMSG_FIRSTHDR(message); c;
	     c = CMSG_NXTHDR(message, c)) {
		if (c->cmsg_level == SOL_UDP && c->cmsg_type == UDP_GRO) {
			memcpy(&size, CMSG_DATA(c), sizeof(size));
			if (size > 0)
				segment = (size_t)size;
		} else if (c->cmsg_level == SOL_SOCKET &&
			   c->cmsg_type == SO_RXQ_OVFL) {
			memcpy(&overflows, CMSG_DATA(c), sizeof(overflows));
			udp->counters.overflows += overflows - socket->overflows;
			socket->overflows = overflows;
		}
	}
	return segment;
}

static size_t take(struct udp *udp, struct udp_socket *socket,
		   struct msghdr *message, const uint8_t *bytes, size_t length)
{
	size_t segment = segment_bytes(udp, socket, message, length);
	int from = udp_who(udp, message->msg_name);
	size_t datagrams = 0;

	if (message->msg_flags & (MSG_TRUNC | MSG_CTRUNC)) {
		udp->counters.bad_datagrams++;
		return 1;
	}
	if (from == TOTEM_NO_INDEX) {
		udp_unknown_sender(udp, message->msg_name);
		return 1;
	}
	if (from == udp->self) {
		udp->counters.own_copies++;
		return 1;
	}
	udp->counters.received_bytes += length;
	udp->counters.received_batches += segment < length;
	do { /* an empty datagram is one, too */
		size_t n = min_u64(segment, length);

		udp->counters.received_datagrams++;
		udp_datagram_arrived(udp, from, bytes, n);
		bytes += n;
		length -= n;
		datagrams++;
	} while (length > 0);
	return datagrams;
}

/*
 * An error here is an ICMP message's, for any of our datagrams: the error queue
 * has it with its address. Reading goes on.
 */
static int read_batch(struct udp *udp, int fd, struct udp_inbox *in)
{
	int n = -1;

	for (int tries = 0; tries < TRIES; tries++) {
		n = recvmmsg(fd, in->messages, BATCH, MSG_DONTWAIT, NULL);
		if (n >= 0 || errno == EAGAIN)
			break;
		udp->has_errors = true;
	}
	udp->counters.receive_calls++;
	return n;
}

size_t udp_receive(struct udp *udp, struct udp_socket *socket)
{
	struct udp_socket *group = &udp->sockets[UDP_SOCKET_GROUP];
	struct udp_inbox *in = socket == group ? udp->group_inbox : udp->inbox;
	size_t datagrams = 0;
	int n = BATCH;

	for (int batch = 0; n == BATCH && batch < BATCHES_A_ROUND; batch++) {
		n = read_batch(udp, socket->fd, in);
		/* What went to the group before these is in its socket by now. */
		if (n > 0 && socket != group && group->fd >= 0)
			datagrams += udp_receive(udp, group);
		for (int i = 0; i < n; i++) {
			datagrams += take(udp, socket,
					  &in->messages[i].msg_hdr, in->bytes[i],
					  in->messages[i].msg_len);
			renew(in, i);
		}
	}
	return datagrams;
}

static const struct sock_extended_err *find_error(struct msghdr *message)
{
	for (struct cmsghdr *c = CMSG_FIRSTHDR(message); c;
	     c = CMSG_NXTHDR(message, c))
		if ((c->cmsg_level == SOL_IP && c->cmsg_type == IP_RECVERR) ||
		    (c->cmsg_level == SOL_IPV6 && c->cmsg_type == IPV6_RECVERR))
			return (const void *)CMSG_DATA(c);
	return NULL;
}

/* `to` is where our datagram went. */
static void learn(struct udp *udp, const struct sock_extended_err *error,
		  const union transport_address *to)
{
	int node;

	if (error->ee_errno == EMSGSIZE) {
		udp_lower_mtu(udp, to, error->ee_info);
		return;
	}
	node = udp_who(udp, to);
	if (node == TOTEM_NO_INDEX || node == udp->self)
		return;
	switch (error->ee_errno) {
	case ECONNREFUSED:
		udp_note_evidence(udp, node, TRANSPORT_REFUSED,
				  ECONNREFUSED);
		break;
	case EHOSTUNREACH:
	case ENETUNREACH:
	case EHOSTDOWN:
	case ENONET:
	case EACCES: /* "administratively prohibited" over IPv6 */
		udp_note_evidence(udp, node, TRANSPORT_UNREACHABLE,
				  (int)error->ee_errno);
		break;
	}
}

void udp_read_errors(struct udp *udp, struct udp_socket *socket)
{
	_Alignas(struct cmsghdr) uint8_t control[512];
	union transport_address to;
	uint8_t byte;

	for (int i = 0; i < ERRORS_A_ROUND; i++) {
		struct iovec iov = { &byte, sizeof(byte) };
		struct msghdr message = {
			.msg_name = &to,
			.msg_namelen = sizeof(to),
			.msg_iov = &iov,
			.msg_iovlen = 1,
			.msg_control = control,
			.msg_controllen = sizeof(control),
		};
		const struct sock_extended_err *error;

		memset(&to, 0, sizeof(to));
		if (recvmsg(socket->fd, &message, MSG_ERRQUEUE | MSG_DONTWAIT) < 0)
			return;
		error = find_error(&message);
		if (error)
			learn(udp, error, &to);
	}
	udp->has_errors = true; /* more of them */
}
