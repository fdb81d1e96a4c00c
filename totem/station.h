/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A station: one node's ring with all that it needs in the world: sealing,
 * transport, the boot record and an event loop. The ring stays pure; this is
 * where its actions become packets and its events come from sockets and clocks.
 *
 * Datagrams are opened before the ring sees them; what does not open is counted
 * by reason, and told of once a minute at most.
 */
#pragma once

#include <stdint.h>

#include "totem/keyfile.h"
#include "totem/ring.h"
#include "totem/transport_udp.h"

struct err;
struct loop;
struct station;

/* What the owner of the messages does; as in struct ring_ops. */
struct station_ops {
	size_t (*fill)(void *owner, uint8_t *payload, size_t room, bool is_sync,
		       bool *is_safe);
	size_t (*backlog)(void *owner, bool is_sync);
	void (*deliver)(void *owner, const struct ring_message *message);
	void (*configured)(void *owner, const struct ring_configuration *c);
	void (*unplugged)(void *owner);
	void (*trace)(void *owner, const char *line); /* may be NULL */
};

struct station_config {
	const char *cluster;
	struct node_table nodes;
	uint32_t self; /* id */
	union transport_address addresses[TOTEM_MAX_NODES]; /* by index */
	const struct keyfile *keys; /* NULL: plain, for tests alone */
	const char *boot_path;
	uint64_t token_ns; /* 0: 1 s */
	uint32_t mtu_bytes;
};

/* The loop outlives the station. NULL with a sentence. */
struct station *station_open(const struct station_config *config,
			     const struct station_ops *ops, void *owner,
			     struct loop *loop, struct err *err);
/* Leaves the ring, if it is on one. NULL is fine. */
void station_close(struct station *station);

/* fill() has something to give. */
void station_wake(struct station *station);
/* The services of this node are synchronised in this configuration. */
void station_synchronised(struct station *station);

const struct ring *station_ring(const struct station *station);
