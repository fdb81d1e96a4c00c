/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What an operator sees of a node's totem: where it stands, and counters. Names of
 * counters are corosync's (cmap: stats.srp.*, stats.pg.*) where they mean the same,
 * so that one can be read beside the other; ours are "sync.", "seal.", "udp.".
 */
#pragma once

#include "totem/totem.h"
#include "totem/transport.h"
#include "totem/seal.h"

struct totem_view {
	enum ring_state state;
	struct ring_id ring;
	struct node_set members;     /* by index */
	bool is_synchronised;        /* services: programs go on */
	bool is_quorate;
	struct ring_id epoch;        /* the last quorate configuration; zero: none */
	struct node_set waiting_for; /* members whose services are not done */

	/* Timings in ns. */
	uint64_t token_age_ns;       /* time_since_token_last_received; 0: never */
	uint64_t token_interval_ns;  /* mtt_rx_token: mean over some 16 tokens */
	uint32_t backlog_bytes;      /* avg_backlog_calc: what all want to send */
	uint32_t continuous_gather;  /* attempts since the last ring */
	uint64_t token_timeout_ns;   /* as configured, and what follows from it */
	uint64_t consensus_ns, join_ns, merge_ns, hold_ns;
};

void totem_look(const struct totem *t, uint64_t now, struct totem_view *view);

/* Once for each counter, in an order that stays; the name is a literal. */
typedef void (*counter_fn)(void *owner, const char *name, uint64_t value);
void totem_counters(const struct totem *t, counter_fn fn, void *owner);
void seal_counters(const struct seal *seal, counter_fn fn, void *owner);
void transport_tell_counters(const struct transport *transport, counter_fn fn,
			     void *owner);
