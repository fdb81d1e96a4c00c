/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Ordered groups served by the ring: the upper face is group.h, the lower one are
 * the calls that struct ring_ops has, for ordinary messages. Pure: no clock, no I/O.
 *
 * Who is in which group is a sync service (sync.h): after each configuration every
 * node tells the handles it has. When all are done the views change, everywhere at
 * the same point of the order, and ordinary messages flow. What the invariants
 * say, beyond G1..G5:
 *
 *	R1  Before the views were activated no ordinary message goes out, whatever
 *	    waits; what is told meanwhile has a queue of its own (sync.h).
 *	R2  What was told belongs to one configuration and goes with it: a new one
 *	    starts from nothing.
 *	R3  A node that did not get as far as to activate what another activated
 *	    does so when it hears of it, so that both saw the same changes.
 *	R4  Half-received messages are dropped by the regular configuration, and
 *	    not before: recovered messages of the old ring still complete them.
 *	R5  What this node cannot hold (memory) ends its part: broken(), then
 *	    nothing more. It never goes on with less than the others have.
 *
 * Wire, little endian, inside of pack.h's messages: a kind byte, then
 *
 *	1 data       handle u32, bytes
 *	2 join       handle u32, name
 *	3 leave      handle u32, reason u8
 *
 * As state of the sync service, one message a node: activated ring (rep u32,
 * seq u64), count u32, count x (handle u32, name length u8, name), handles
 * ascending.
 */
#pragma once

#include "totem/group.h"
#include "totem/pack.h"
#include "totem/ring.h"
#include "totem/sync.h"

struct group_ring;

struct group_ring_config {
	struct node_table nodes;
	uint32_t self;      /* id, one of them */
	size_t queue_bytes; /* 0: 4 MiB; at least PACK_MIN_LIMIT is taken */
	struct sync *sync;  /* borrowed; outlives the groups. R5 is its sync_break() */
	/* There is something to send; from within the calls below and group.h's. */
	void (*wake)(void *owner);
	void *owner;
};

enum group_fault {
	GROUP_FAULT_MESSAGE,  /* shorter or longer than its fields, or unknown */
	GROUP_FAULT_PHASE,    /* an ordinary message before the views are there */
	GROUP_FAULT_STRANGER, /* from no member of the configuration, or another */
	GROUP_FAULT_HANDLE,   /* joins or tells twice, sends or leaves without being in */
	GROUP_FAULT_LIMIT,    /* more handles than a node may have */
	GROUP_FAULT_COUNT,
};

struct group_ring_stats {
	struct pack_stats pack;
	uint64_t sent, refused;      /* messages of our handles; -EAGAIN */
	uint64_t delivered;          /* to our handles */
	uint64_t changes;
	uint64_t faults[GROUP_FAULT_COUNT];
};

/* Registers with the sync. NULL with a sentence: -EINVAL, -ENOMEM. */
struct group_ring *group_ring_new(const struct group_ring_config *config,
				  struct err *err);
/* All handles with it, without a callback. NULL is fine. */
void group_ring_free(struct group_ring *g);

struct group_engine *group_ring_engine(struct group_ring *g);

/* As in struct ring_ops, of ordinary messages. `from` is an index. */
size_t group_ring_fill(struct group_ring *g, uint8_t *payload, size_t room,
		       bool *is_safe);
size_t group_ring_backlog(const struct group_ring *g);
void group_ring_deliver(struct group_ring *g, struct ring_id ring, int from,
			const uint8_t *payload, size_t length);

/* For people and programs that look. */
const struct group_ring_stats *group_ring_stats(const struct group_ring *g);
bool group_ring_is_active(const struct group_ring *g);
