/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A station: one node's totem with all that it needs in the world: sealing and
 * transport, or a running corosync; the boot record and an event loop. The totem stays
 * pure; this is where its actions become packets and its events come from sockets and
 * clocks.
 *
 * Datagrams are opened before the ring sees them; what does not open is counted
 * by reason, and told of once a minute at most.
 */
#pragma once

#include <stdint.h>

#include "totem/keyfile.h"
#include "totem/totem.h"
#include "totem/transport_udp.h"
#include "totem/view.h"

struct err;
struct loop;
struct station;

/* Any may be NULL. Only broken() may close the station. */
struct station_ops {
	/* Membership as the ring has it, transitional and regular. */
	void (*configured)(void *owner, const struct ring_configuration *c);
	/* All services of all members are done: programs may go on. */
	void (*synchronised)(void *owner);
	/* As in struct checkpoint_store_ops. */
	void (*checkpoints_opened)(void *owner);
	void (*checkpoints_activated)(void *owner, bool is_replaced);
	/* This node has left by itself; the log says why. Close the station. */
	void (*broken)(void *owner);
	/* On corosync: as in struct corosync_link_ops. */
	void (*corosync_ring)(void *owner, uint64_t ring_seq);
	void (*trace)(void *owner, const char *line); /* of the ring's steps */
	/* As in struct totem_ops: NULL: more than half of the configured nodes. */
	bool (*is_quorate)(void *owner, struct node_set members);
	/*
	 * On corosync `boot` is UINT64_MAX: that it is of this node corosync vouches for.
	 * Somebody of the cluster told us something that is not of the ring:
	 * station_send_aside(), or a process in the place of a node's dead one. `boot` is
	 * the highest of that node so far (S4). Bytes are borrowed.
	 */
	void (*aside)(void *owner, uint32_t node, uint64_t boot, const uint8_t *bytes,
		      size_t length);
};

/* What begins a message aside, in its seal: no packet of a ring does. */
enum { STATION_ASIDE_MAGIC = 0x4153, STATION_ASIDE_BYTES = 2 };

struct station_config {
	const char *cluster;
	struct node_table nodes;
	uint32_t self; /* id */
	/*
	 * On a running corosync: addresses, multicast, keys and mtu_bytes are its own. The
	 * nodes are its nodes (corosync_map_read()). Intervals as in cpg_order.h.
	 */
	bool is_on_corosync;
	uint64_t beat_ns, silence_ns;
	union transport_address addresses[TOTEM_MAX_NODES]; /* by index */
	/*
	 * What is for many goes to this group once, by the interface that has
	 * our address; AF_UNSPEC: to each node. Of the family of all addresses.
	 */
	union transport_address multicast;
	uint8_t multicast_ttl; /* 0: 1, no router */
	const struct keyfile *keys; /* NULL: plain, for tests alone */
	const char *boot_path;
	uint64_t token_ns; /* 0: 1 s */
	uint64_t sync_deadline_ns; /* 0: 30 s */
	uint32_t mtu_bytes;
};

/*
 * The loop outlives the station. Services are registered, and groups joined, before
 * station_start(). NULL with a sentence.
 */
struct station *station_open(const struct station_config *config,
			     const struct station_ops *ops, void *owner,
			     struct loop *loop, struct err *err);
void station_start(struct station *station);
/* Leaves the ring, if it is on one. NULL is fine. */
void station_close(struct station *station);

/*
 * At most STATION_ASIDE_MAX bytes to one node, sealed, at once, maybe lost. Nothing where
 * the node is not configured.
 */
enum { STATION_ASIDE_MAX = 256 };
void station_send_aside(struct station *station, uint32_t node, const void *bytes,
			size_t length);
/*
 * A change, or a message, may have come that groups were not told of: it is not read, or
 * services are not done with it.
 */
bool station_is_pending(const struct station *station);
/* 1: other keys from here on; 0: it has these already, or needs none. With a sentence,
 * nothing changes. */
int station_set_keys(struct station *station, const struct keyfile *keys, struct err *err);
/*
 * The process of this node is surely gone: as ring_evidence(); from within aside(), too. On
 * corosync that says so itself.
 */
void station_evidence(struct station *station, uint32_t node);
/* It keeps all waiting: as ring_evict(); from within ops, too. */
void station_evict(struct station *station, uint32_t node);

/* The same members make another ring: as ring_again(); from within ops, too. */
void station_again(struct station *station);

/* The number of this start of the node: grows with each. */
uint64_t station_incarnation(const struct station *station);
/* Of another node: the latest start of it that was heard. 0: nothing was yet. */
uint64_t station_incarnation_of(const struct station *station, uint32_t node);

/* Groups and services; they live as long as the station. */
struct totem *station_totem(struct station *station);

/* Of the totem, the seal and the transport. */
void station_counters(const struct station *station, counter_fn fn, void *owner);
