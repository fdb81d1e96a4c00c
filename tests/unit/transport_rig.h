/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A few transports in one process, on loopback, that hear each other; strangers
 * with plain sockets; and a sendmmsg() that passes on to the kernel and lies when
 * a test asks for it.
 *
 * Loopback delivers (and refuses) while sendmmsg runs, unless the kernel is busy:
 * checks of what was heard wait for it.
 */
#pragma once

#include "tests/unit/help.h"

#include <stdbool.h>

#include "base/err.h"
#include "totem/transport.h"
#include "totem/transport_udp.h"

struct loop;

enum { NET_MAX_NODES = 6, NET_HEARD_MAX = 1 << 17 };

struct heard {
	int from;
	size_t length;
	uint8_t *bytes; /* owned */
};

struct net_node {
	struct transport *t;
	struct net *net;
	struct heard *heard;
	size_t heard_count;
	unsigned int evidence[NET_MAX_NODES][TRANSPORT_EVIDENCE_COUNT];
	int error;            /* of the last evidence */
	bool is_processing;   /* callbacks are allowed */
	bool is_answering;    /* each message is sent back to its sender */
	unsigned int rounds;  /* that settled */
};

struct net {
	struct net_node nodes[NET_MAX_NODES];
	int count;
	struct loop *loop;
	struct transport_udp_config config; /* as the first node has it */
};

/* How all nets are made from here on. */
extern struct net_scene {
	int family;
	bool is_gso_off, is_gro_off;
	uint32_t mtu_bytes; /* 0: the default */
	bool has_group;
	uint32_t queue_bytes;
	bool has_loop;
} net_scene;

/* `count` transports that know each other; node i has id 10 * (i + 1). */
void net_init(struct net *net, int count);
void net_fini(struct net *net);
/* The multicast group of nets that have one. */
void net_set_group(struct transport_udp_config *config);
/* The process at this address is gone; the address stays configured. */
void net_kill(struct net *net, int node);

void net_process(struct net *net, int node);
/* Processes all until nothing moves. */
void net_settle(struct net *net);

/* A message known by its number; valid until the next one. */
const uint8_t *net_message(uint32_t number, size_t length);
/* Message number nth that `to` heard is this one. */
void net_check_heard(struct net *net, int to, size_t nth, int from,
		     uint32_t number, size_t length);
/* So many and no more were heard. */
void net_check_count(struct net *net, int to, size_t count);
void net_forget(struct net *net);
struct transport_counters net_counters(struct net *net, int node);

/* A plain socket on loopback that all take for node `as` (-1: nobody). */
int net_stranger(struct net *net, int as);
/* Sends plain bytes from it to a node. */
void net_throw(struct net *net, int fd, int to, const void *bytes,
	       size_t length);

/* What sendmmsg() does for the next calls. */
extern struct net_lies {
	unsigned int passing_calls;  /* so many pass, then ... */
	unsigned int blocked_calls;  /* ... so many say `blocked_error` */
	int blocked_error;
	int segment_error;           /* for each message with a segment size */
	unsigned int at_once;        /* takes so many messages at most; 0: all */
	bool has_eaten_errors;       /* no later call fails for an ICMP message */
	unsigned int calls;          /* counted */
	unsigned int batches;        /* messages with a segment size */
} net_lies;

/* A network namespace for this test, with lo of that MTU; false: may not. */
bool net_namespace_enter(int mtu);
void net_namespace_leave(void);
