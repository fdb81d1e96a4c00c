/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The transport: messages to one node or to a set of nodes, messages from them,
 * and evidence of what became of them. UDP is the first engine
 * (totem/transport_udp.h); others give a struct transport_ops of their own.
 *
 * Nodes are indexes of struct node_table, as everywhere above the wire.
 *
 * Sealing is the owner's: it seals a message once, whoever and however many it
 * goes to, best right into transport_reserve(). The transport moves bytes, and
 * resolves `from` by the configured address only: a hint, no proof of the
 * sender. Evidence is a hint as well: whoever can forge a packet on this network
 * can forge an ICMP message.
 *
 * What is sent is queued, and goes out with transport_flush(), in order for
 * each node; datagrams may still be lost, doubled and overtaken on their way.
 * The queue is bounded: when it is full it is flushed, and if nothing moves the
 * oldest datagrams are dropped and counted. The protocol above sends again.
 *
 * A message of at most transport_payload_bytes() is one datagram. A larger one,
 * up to TRANSPORT_MESSAGE_MAX, is split so that IP never has to, and put together
 * on the other side: one message a sender at a time, dropped when a newer one
 * begins or at the owner's clock (transport_expire()).
 *
 * One thread. Callbacks come from transport_process() only, on the loop of the
 * engine or called by hand, never from within send, flush or expire. They may
 * send and flush, but neither process nor free.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "totem/nodes.h"

struct pollfd;
struct transport;

/* 64 KiB and its seal. */
enum { TRANSPORT_MESSAGE_MAX = 65536 + 128 };

enum transport_evidence {
	/* The kernel of the node lives and says that nobody listens there. */
	TRANSPORT_REFUSED,
	/* A router, or our own neighbour discovery: no way to that node. */
	TRANSPORT_UNREACHABLE,
	/* Our own side has no link, address or route towards that node. */
	TRANSPORT_LINK_DOWN,
	TRANSPORT_EVIDENCE_COUNT,
};

struct transport_events {
	/* Bytes are borrowed for the call. `from` is never our own index. */
	void (*received)(void *owner, int from, const uint8_t *bytes,
			 size_t length);
	/*
	 * Once a node and kind for each round of transport_process(), after the
	 * messages of that round. `error` is the errno behind it. May be NULL.
	 */
	void (*evidence)(void *owner, int node, enum transport_evidence kind,
			 int error);
	/* The round is over: a good moment to flush answers. May be NULL. */
	void (*settled)(void *owner);
};

/* All only grow, but for the last two. */
struct transport_counters {
	/* out; a message to three nodes counts three times */
	uint64_t sent_datagrams, sent_bytes; /* bytes with our own header */
	uint64_t send_calls;      /* system calls */
	uint64_t sent_batches;    /* segmented by the kernel or the card (GSO) */
	uint64_t sent_fragments;  /* queued parts of large messages */
	uint64_t send_errors;     /* datagrams the kernel refused, without evidence */
	uint64_t blocked;         /* no room in the kernel: waited */
	uint64_t queue_dropped;   /* datagrams that did not fit into the queue */
	uint64_t too_big;         /* datagrams beyond the path MTU */
	uint64_t mtu_lowered;
	uint64_t gso_refused;

	/* in */
	uint64_t received_datagrams, received_bytes;
	uint64_t receive_calls;
	uint64_t received_batches; /* put together by the kernel (GRO) */
	uint64_t received_messages;
	uint64_t overflows;        /* datagrams lost: socket buffer full */
	uint64_t own_copies;       /* our own multicasts, looped back */
	uint64_t unknown_sender;   /* address not in the configuration */
	uint64_t bad_datagrams;    /* no header of ours, or cut short */
	uint64_t received_fragments;
	uint64_t duplicate_fragments;
	uint64_t stale_fragments;  /* of a message older than the one under way */
	uint64_t bad_fragments;    /* do not fit their own message */
	uint64_t messages_replaced; /* incomplete when a newer one came */
	uint64_t messages_expired;  /* incomplete for too long */
	uint64_t no_memory;

	uint64_t evidence[TRANSPORT_EVIDENCE_COUNT]; /* before coalescing */

	/* now */
	uint64_t queued_bytes;   /* waiting to be flushed */
	uint64_t payload_bytes;  /* transport_payload_bytes() */
};

struct transport_ops {
	const char *name; /* "udp" */
	uint8_t *(*reserve)(struct transport *t, size_t bytes);
	void (*commit)(struct transport *t, struct node_set to, size_t bytes);
	int (*send)(struct transport *t, struct node_set to,
		    const uint8_t *bytes, size_t length);
	void (*flush)(struct transport *t);
	size_t (*process)(struct transport *t);
	void (*expire)(struct transport *t, uint64_t now_ns);
	size_t (*payload_bytes)(const struct transport *t);
	size_t (*poll_fds)(const struct transport *t, struct pollfd *fds,
			   size_t max);
	void (*counters)(const struct transport *t,
			 struct transport_counters *c);
	void (*free)(struct transport *t);
};

struct transport {
	const struct transport_ops *ops;
	struct transport_events events;
	void *owner; /* of the events */
};

/*
 * Room for one message of up to `bytes`, 0..transport_payload_bytes(), until
 * the next call of anything here; transport_commit() queues what was written
 * there, or nothing happens. NULL: too long, or no memory.
 */
static inline uint8_t *transport_reserve(struct transport *t, size_t bytes)
{
	return t->ops->reserve(t, bytes);
}

/* `bytes` is at most what was reserved. Unknown nodes and self are left out. */
static inline void transport_commit(struct transport *t, struct node_set to,
				    size_t bytes)
{
	t->ops->commit(t, to, bytes);
}

/*
 * Queues a copy of 0..TRANSPORT_MESSAGE_MAX bytes for all nodes of a set. Cost:
 * one copy however many nodes. -EMSGSIZE if longer; -ENOMEM: it will not arrive.
 * Where the engine has a multicast group, a set of two or more nodes uses
 * that: other nodes may see the message too.
 */
static inline int transport_send_set(struct transport *t, struct node_set to,
				     const uint8_t *bytes, size_t length)
{
	return t->ops->send(t, to, bytes, length);
}

static inline int transport_send(struct transport *t, int to,
				 const uint8_t *bytes, size_t length)
{
	return t->ops->send(t, set_of(to), bytes, length);
}

/* To every node that has an address, but ourselves. */
static inline int transport_send_all(struct transport *t, const uint8_t *bytes,
				     size_t length)
{
	return t->ops->send(t, (struct node_set){ { UINT64_MAX, UINT64_MAX } },
			    bytes, length);
}

/* Pushes the queue into the kernel. What it has no room for goes out later. */
static inline void transport_flush(struct transport *t)
{
	t->ops->flush(t);
}

/*
 * Takes what has come, up to a bound, and calls back. Never waits. The loop of
 * the engine does this; without one, call it when a descriptor is ready.
 * Returns the datagrams seen: 0 means that nothing was waiting.
 */
static inline size_t transport_process(struct transport *t)
{
	return t->ops->process(t);
}

/* To be called now and then with a clock that never goes back. */
static inline void transport_expire(struct transport *t, uint64_t now_ns)
{
	t->ops->expire(t, now_ns);
}

/* The largest message that is one datagram. May shrink with the path MTU. */
static inline size_t transport_payload_bytes(const struct transport *t)
{
	return t->ops->payload_bytes(t);
}

/* For owners without a loop: what to wait for. Returns how many. */
static inline size_t transport_poll_fds(const struct transport *t,
					struct pollfd *fds, size_t max)
{
	return t->ops->poll_fds(t, fds, max);
}

static inline void transport_counters(const struct transport *t,
				      struct transport_counters *c)
{
	t->ops->counters(t, c);
}

/* Drops what is queued. NULL is fine. */
static inline void transport_free(struct transport *t)
{
	if (t)
		t->ops->free(t);
}
