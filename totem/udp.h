/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Inside the UDP transport: the object, and what its files give each other.
 *
 *	transport_udp.c  the object: queueing, rounds, evidence, waiting
 *	udp_address.c    nodes and their addresses
 *	udp_config.c     defaults and checks
 *	udp_queue.c      what waits to be sent (pure)
 *	udp_send.c       queue -> sendmmsg, with and without segmentation
 *	udp_receive.c    recvmmsg -> datagrams; the error queue -> evidence
 *	udp_socket.c     sockets and their options
 */
#pragma once

#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "totem/fragment.h"
#include "totem/transport.h"
#include "totem/transport_udp.h"
#include "totem/udp_queue.h"

struct loop;
struct loop_timer;

enum { UDP_SOCKET_4, UDP_SOCKET_6, UDP_SOCKET_GROUP, UDP_SOCKETS };

enum {
	UDP_HEADERS_4 = 20 + 8, /* of IP and UDP */
	UDP_HEADERS_6 = 40 + 8,
	UDP_MTU_MIN_4 = 576,    /* below this nobody gets us */
	UDP_MTU_MIN_6 = 1280,
	UDP_ADDRESS_SLOTS = 512, /* of a hash table for 129 addresses */
};

struct udp_peer {
	union transport_address address; /* AF_UNSPEC: none */
	struct assembly assembly;
	uint8_t evidence;                /* a bit a kind, not yet told */
	int error[TRANSPORT_EVIDENCE_COUNT];
};

struct udp_socket {
	int fd; /* -1: none */
	int family;
	uint32_t overflows; /* as the kernel said last */
};

/* Where the sender is: all before it is out. */
struct udp_cursor {
	uint32_t run;     /* of the queue, from the oldest */
	int peer;         /* next one to serve in it */
	uint32_t segment; /* next one for that peer */
};

struct udp {
	struct transport transport;
	struct node_table nodes;
	int self;
	struct loop *loop; /* NULL: the owner polls */
	struct loop_timer *nudge; /* a try again, or evidence to tell */

	struct udp_socket sockets[UDP_SOCKETS];
	union transport_address group; /* AF_UNSPEC: none */
	struct udp_peer peers[TOTEM_MAX_NODES];
	struct node_set known;         /* have an address; never self */
	int16_t by_address[UDP_ADDRESS_SLOTS]; /* index + 1; 0: free */

	uint32_t mtu_configured, mtu_bytes;
	uint64_t mtu_lowered_ns; /* when, by the owner's clock; 0: not yet told */
	uint64_t assembly_ns;
	uint64_t now_ns; /* as expire() said last */
	uint64_t unknown_told_ns;
	bool is_mtu_told, is_unknown_told;
	bool is_gso, is_gro;
	bool has_errors; /* the error queue is to be read */

	struct udp_queue queue;
	struct udp_cursor cursor;
	struct node_set evident; /* peers with evidence to tell */
	uint32_t message;        /* number of the last that was split */
	int blocked_on;          /* a socket that has no room, or -1 */

	struct udp_outbox *outbox;
	struct udp_inbox *inbox, *group_inbox; /* the latter with a group */
	struct transport_counters counters;
};

/* udp_socket.c: those that were opened stay open when it fails. */
int udp_sockets_open(struct udp *udp, const struct transport_udp_config *config,
		     struct err *err);
void udp_sockets_close(struct udp *udp);

/* udp_send.c */
struct udp_outbox *udp_outbox_new(void);
void udp_flush(struct udp *udp);
void udp_drop_oldest(struct udp *udp);

/*
 * udp_receive.c: datagrams seen. What is for this node alone is not heard before
 * what the same sender gave to the group earlier: a token comes after its data.
 */
struct udp_inbox *udp_inbox_new(void);
size_t udp_receive(struct udp *udp, struct udp_socket *socket);
/* Moves what the kernel has to say into evidence and MTU. */
void udp_read_errors(struct udp *udp, struct udp_socket *socket);

/* udp_config.c: puts the defaults in. */
int udp_config_check(struct transport_udp_config *config, struct err *err);

/* udp_address.c */
size_t udp_address_bytes(const union transport_address *address);
bool udp_is_listening(const struct udp *udp, int family);
/* An index, self, or TOTEM_NO_INDEX. */
int udp_who(const struct udp *udp, const union transport_address *address);

/* transport_udp.c */
size_t udp_datagram_max(const struct udp *udp, int family);
void udp_note_evidence(struct udp *udp, int node, enum transport_evidence kind,
		       int error);
void udp_lower_mtu(struct udp *udp, const union transport_address *towards,
		   uint32_t mtu_bytes);
void udp_datagram_arrived(struct udp *udp, int from, const uint8_t *bytes,
			  size_t length);
void udp_unknown_sender(struct udp *udp, const union transport_address *from);
/* Come back in a millisecond: flush, and tell evidence. */
void udp_nudge(struct udp *udp);
/* No room in this socket (-1: there is again): wait for POLLOUT. */
void udp_wait_for_room(struct udp *udp, int socket);
