/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The transport over UDP: unicast, or multicast for what goes to many. IPv4 and
 * IPv6, one socket a family (and one for the group), batches of system calls and
 * of segments where the kernel has them. Interface: totem/transport.h.
 */
#pragma once

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "totem/nodes.h"
#include "totem/transport.h"

struct err;
struct loop;

/* AF_UNSPEC: none. Ports in network order, as the kernel has them. */
union transport_address {
	struct sockaddr any;
	struct sockaddr_in in4;
	struct sockaddr_in6 in6;
};

/* What is zero takes the default in brackets. */
struct transport_udp_config {
	struct node_table nodes; /* ids are for log lines */
	int self;                /* our index */
	/* Where we listen and send from, at most one a family, one at least. */
	union transport_address local[2];
	/*
	 * A multicast group and its port, or AF_UNSPEC: then all is unicast.
	 * All nodes must have addresses of its family.
	 */
	union transport_address group;
	const char *group_interface; /* name; NULL: the local address's */
	uint8_t group_ttl;    /* 1 passes no router [1] */
	bool group_loop;      /* nodes share this host: tests */
	uint32_t mtu_bytes;   /* of the link, with IP header: 576..65535 [1500] */
	uint32_t queue_bytes; /* bound of what waits, 1 MiB..1 GiB [8 MiB] */
	uint32_t socket_buffer_bytes; /* each way [4 MiB]; warns when not given */
	uint32_t assembly_ms; /* an incomplete message lives so long [200] */
	bool is_gso_off;      /* never ask the kernel to segment ... */
	bool is_gro_off;      /* ... or to put together */
};

/*
 * Opens the sockets and, with a loop, watches them; without (NULL) see
 * transport_poll_fds(). The owner and the loop outlive the transport. Nodes have
 * no address yet. NULL with a sentence. Memory: 1.4 MiB for receiving, 1 MiB
 * more with a group, what is queued, and 64 KiB for each node that is in the
 * middle of a large message.
 */
struct transport *transport_udp_open(const struct transport_udp_config *config,
				     const struct transport_events *events,
				     void *owner, struct loop *loop,
				     struct err *err);

/*
 * A node has this address from now on; AF_UNSPEC: none any more. The address is
 * of a family that we listen on, and no other node's.
 */
int transport_udp_set_address(struct transport *t, int node,
			      const union transport_address *address,
			      struct err *err);

/* Where we listen: the port that the kernel chose if it was 0. -ENOENT: not. */
int transport_udp_local(const struct transport *t, int family,
			union transport_address *address);

enum { TRANSPORT_ADDRESS_TEXT_BYTES = 64 };

/* "10.0.0.1:5405", "[fe80::1]:5405", "none". Returns `to`. */
char *transport_address_text(const union transport_address *address,
			     char to[TRANSPORT_ADDRESS_TEXT_BYTES]);
