/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * One node's totem: the order, the sync services and the process groups on it, as
 * one pure state machine. The daemon and the simulator run the same object code;
 * station.h gives it sockets and clocks.
 *
 *	group.h     what programs see: named groups, messages, changes
 *	checkpoint.h  named state that outlives the nodes which wrote it
 *	sync.h      what services tell each other first, after each change
 *	order.h     membership and order: of our ring, or of a running corosync
 *
 * Who cannot go on (memory, a service that does not finish) leaves the ring by
 * itself, so that the others need not wait for it.
 */
#pragma once

#include "totem/checkpoint.h"
#include "totem/group_ring.h"
#include "totem/order.h"
#include "totem/sync.h"

struct totem;

/* Called from within the events below, but for wake. */
struct totem_ops {
	/* As in struct ring_ops. */
	void (*send_one)(void *owner, int to, const uint8_t *bytes, size_t length);
	void (*send_all)(void *owner, struct node_set to, const uint8_t *bytes,
			 size_t length);
	/* On corosync instead of both, and as in struct cpg_order_ops: */
	int (*multicast)(void *owner, const uint8_t *bytes, size_t length);
	void (*rejoin)(void *owner);
	void (*save_seq)(void *owner, uint64_t seq);
	void (*trace)(void *owner, const char *line); /* may be NULL */

	/* A program has something to send, outside of an event: totem_wake(). */
	void (*wake)(void *owner);
	/* Membership, transitional and regular; then that all services are done. */
	void (*configured)(void *owner, const struct ring_configuration *c);
	void (*synchronised)(void *owner);
	/* As in struct ring_ops. May be NULL */
	void (*refused)(void *owner, uint32_t node, const char *why);
	/* As in struct checkpoint_store_ops. May be NULL */
	void (*checkpoints_opened)(void *owner);
	void (*checkpoints_activated)(void *owner, bool is_replaced);
	/* For the log; nodes by index, `service` what they are awaited with. */
	void (*late)(void *owner, int node, const char *service);
	void (*evicted)(void *owner, int node, const char *service);
	/* As in struct cpg_order_ops. May be NULL */
	void (*unheard)(void *owner, bool is_unheard);
	/* This node has left the ring, as the last thing it did. */
	void (*broken)(void *owner, const char *why);
	/* NULL: more than half of the configured nodes. */
	bool (*is_quorate)(void *owner, struct node_set members);
};

struct totem_config {
	struct ring_config ring;
	/*
	 * On a group of corosync's: of `ring` only nodes, self, incarnation and
	 * first_ring_seq count then. Others as in struct cpg_order_config.
	 */
	struct {
		bool is_used;
		uint32_t pid;
		uint64_t beat_ns, silence_ns;
	} cpg;
	size_t queue_bytes;        /* of what programs send; 0: 4 MiB */
	uint64_t sync_deadline_ns; /* 0: 30 s */
};

/* NULL with a sentence: -EINVAL, -ENOMEM. The ops are copied. */
struct totem *totem_new(const struct totem_config *config, const struct totem_ops *ops,
			void *owner, struct err *err);
/* Without a word to the others. NULL is fine. */
void totem_free(struct totem *t);

/* Events of corosync's group, as in cpg_order.h. */
void totem_cpg_changed(struct totem *t, uint64_t now, const struct cpg_change *change);
void totem_cpg_received(struct totem *t, uint64_t now, struct cpg_process from,
			const uint8_t *bytes, size_t length);
/* Events, as in ring.h. */
void totem_start(struct totem *t, uint64_t now);
void totem_receive(struct totem *t, uint64_t now, const uint8_t *bytes, size_t length);
void totem_advance(struct totem *t, uint64_t now);
void totem_evidence(struct totem *t, uint64_t now, uint32_t node);
/* As ring_evict(): when the event that is under way is over. */
void totem_evict(struct totem *t, uint64_t now, uint32_t node);
/* As ring_again(), and from within ops, too. */
void totem_again(struct totem *t, uint64_t now);
void totem_wake(struct totem *t, uint64_t now);
void totem_seq_saved(struct totem *t, uint64_t now, uint64_t seq);
void totem_leave(struct totem *t, uint64_t now);

/* When totem_advance() is due; UINT64_MAX: never. */
uint64_t totem_deadline(const struct totem *t);

/* What programs use; lives as long as the totem. */
struct group_engine *totem_groups(struct totem *t);
struct checkpoint_store *totem_checkpoints(struct totem *t);
/* To register services, before totem_start(). */
struct sync *totem_sync(struct totem *t);

/* For people and programs that look. */
struct order_look totem_order(const struct totem *t);
const struct ring *totem_ring(const struct totem *t); /* NULL: on corosync */
const struct cpg_order *totem_cpg(const struct totem *t); /* NULL: on our ring */
const struct sync *totem_sync_view(const struct totem *t);
const struct group_ring_stats *totem_group_stats(const struct totem *t);
