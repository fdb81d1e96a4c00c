/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The order of a running corosync in place of our ring: one of its closed process
 * groups (CPG) a cluster, a member each daemon. What ring.h promises above, E1..E6,
 * holds here as well; sync services, groups, checkpoints and the lock manager cannot
 * tell which is below them. A pure state machine: events in, actions out.
 *
 *	         changed                        all ready
 *	joining ---------> forming --------------------------> installed
 *	                      ^                                    |
 *	                      +--- changed, evict, again, hello ---+
 *
 * CPG gives one order of messages and changes to all who stay together. Four things it
 * does not give, and how they come about:
 *
 *	P1  Configurations with one number everywhere. After each change every member says
 *	    hello: what it sees, who it is, the highest number it knows. When all hellos
 *	    agree each says ready, for exactly these hellos; with the last ready the
 *	    configuration is installed, at one point of the order. Between, CPG tells of
 *	    a merge one process after the other, not alike on both sides: nothing is made
 *	    of that.
 *	P2  The end of a configuration. Messages still under way when it ends belong to it:
 *	    a member's hello comes behind all of these. They are given after the
 *	    transitional configuration (E2, E3).
 *	P3  Safe delivery. Corosync delivers what it has when its ring breaks, behind holes,
 *	    and does not tell where. So a message is given when all members have
 *	    acknowledged it, whether it was sent as safe or not: then no member's order
 *	    can differ up to there (E4). What is not acknowledged by then comes behind
 *	    torn(). This costs a turn of corosync's token a message.
 *	P4  An end to waiting. Corosync keeps a process that stands still in its group. Who
 *	    owes an acknowledgement, a hello or a ready for silence_ns is left out: evict,
 *	    in the order, from where on nobody hears it. Nobody judges who has not just
 *	    heard itself, for it may be the one that stood still. When the other wakes it
 *	    finds that it is an outcast: it installs a configuration of its own, for what
 *	    it sent belongs to it (E2), says nothing in that, leaves corosync's group and
 *	    joins it again, as one that was cut off and comes back. As long as it does not
 *	    wake it stays in corosync's group, from which nobody else can take it.
 *
 *	P5  A corosync that gives nothing back is told of: this node's own beats have not come
 *	    for silence_ns, or come again. Nothing follows from it: the lease is over by
 *	    itself, and the others go on without this node. It is for people, who would
 *	    look for the fault elsewhere.
 *
 * Every beat_ns each member sends a beat, which takes a place in the order: acknowledged by
 * all it proves that all were there after it was sent. Leases count from that.
 *
 * The plug of ring_token.c: a done of each member, in the order.
 *
 * Bounded: of each member window_bytes are under way. While CPG takes nothing (-EAGAIN),
 * nothing is made to be sent; one packet at most waits.
 */
#pragma once

#include "totem/cpg_wire.h"
#include "totem/nodes.h"
#include "totem/ring.h"

struct cpg_order;
struct err;

enum cpg_order_state {
	CPG_ORDER_JOINING, /* not in the group yet */
	CPG_ORDER_FORMING,
	CPG_ORDER_INSTALLED,
	CPG_ORDER_LEFT,
};

struct cpg_order_config {
	struct node_table nodes;
	struct cpg_process self;  /* node: one of them */
	uint64_t incarnation;     /* grows at every start of this node */
	uint64_t first_ring_seq;  /* as in struct ring_config */
	size_t payload_bytes;     /* of a message; 0: 32 KiB */
	size_t window_bytes;      /* 0: 256 KiB */
	uint64_t beat_ns;         /* 0: 250 ms */
	uint64_t silence_ns;      /* 0: 4 s */
};

/* All are called from within events. From `fill` on as in struct ring_ops. */
struct cpg_order_ops {
	/* 0; -EAGAIN: not now, and nothing was sent. Any other: nothing will be. */
	int (*multicast)(void *owner, const uint8_t *bytes, size_t length);
	/* Silent for half the time that is allowed; then left out. */
	void (*late)(void *owner, int node, const char *what);
	void (*evicted)(void *owner, int node, const char *what);
	/* P5; may be NULL */
	void (*unheard)(void *owner, bool is_unheard);
	/* Leave CPG's group, and join it again: changed() tells. Not at once. */
	void (*rejoin)(void *owner);
	/* This node cannot go on. Nothing is called any more but from cpg_order_leave(). */
	void (*broken)(void *owner, const char *why);
	size_t (*fill)(void *owner, uint8_t *payload, size_t room, bool is_sync,
		       bool *is_safe);
	void (*deliver)(void *owner, const struct ring_message *message);
	void (*configured)(void *owner, const struct ring_configuration *c);
	void (*torn)(void *owner);
	void (*unplugged)(void *owner);
	void (*save_seq)(void *owner, uint64_t seq);
	void (*trace)(void *owner, const char *line); /* may be NULL */
};

/* A change of the group, as CPG tells it: all members from here on, and who went. */
struct cpg_change {
	const struct cpg_process *members, *left;
	size_t member_count, left_count;
};

struct cpg_order_stats {
	uint64_t data_tx, data_rx, ack_tx, ack_rx, beat_tx, hello_tx, ready_tx;
	uint64_t busy;      /* CPG took nothing */
	uint64_t installed, changes;
	uint64_t evicted, outcast; /* others; this one */
	uint64_t foreign;   /* of configurations that are not ours */
	uint64_t excluded_rx; /* of who was left out */
	uint64_t malformed;
	uint64_t stranger;  /* processes on nodes that are not configured */
};

/* NULL with a sentence: -EINVAL, -ENOMEM. */
struct cpg_order *cpg_order_new(const struct cpg_order_config *config,
				const struct cpg_order_ops *ops, void *owner,
				struct err *err);
void cpg_order_free(struct cpg_order *o); /* NULL is fine */

/* Events; `now` in ns of a clock that never goes back. */
void cpg_order_changed(struct cpg_order *o, uint64_t now, const struct cpg_change *change);
void cpg_order_received(struct cpg_order *o, uint64_t now, struct cpg_process from,
			const uint8_t *bytes, size_t length);
/* Time has come, or CPG takes messages again. */
void cpg_order_advance(struct cpg_order *o, uint64_t now);
void cpg_order_seq_saved(struct cpg_order *o, uint64_t now, uint64_t seq);
/* As in ring.h; these three from within ops, too. */
void cpg_order_wake(struct cpg_order *o, uint64_t now);
void cpg_order_synchronised(struct cpg_order *o, uint64_t now);
void cpg_order_again(struct cpg_order *o, uint64_t now);
void cpg_order_evict(struct cpg_order *o, uint64_t now, uint32_t node);
/* Nothing is sent any more: leaving the group is the owner's, and tells the others. */
void cpg_order_leave(struct cpg_order *o);

uint64_t cpg_order_deadline(const struct cpg_order *o);

/* For people and programs that look. */
enum cpg_order_state cpg_order_state(const struct cpg_order *o);
const char *cpg_order_state_name(enum cpg_order_state state);
/* Installed, and no change is under way. */
bool cpg_order_is_installed(const struct cpg_order *o);
struct ring_id cpg_order_current(const struct cpg_order *o);
struct node_set cpg_order_members(const struct cpg_order *o);
/* All members were there after this moment; 0: not known of this configuration. */
uint64_t cpg_order_sure_at(const struct cpg_order *o);
/* P5 */
bool cpg_order_is_unheard(const struct cpg_order *o);
/* Of the process that was heard last; 0: none was. */
uint64_t cpg_order_incarnation_of(const struct cpg_order *o, int node);
const struct cpg_order_stats *cpg_order_stats(const struct cpg_order *o);
