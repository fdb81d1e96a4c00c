/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The ring: Totem single-ring membership and total order, as a pure state
 * machine. Events go in (a packet, the time, evidence of a death), actions come
 * out through struct ring_ops. No socket, clock, thread or random source inside;
 * the daemon and the simulator run the same object code.
 *
 * What it promises (extended virtual synchrony; numbers as tests cite them):
 *
 *	E1  Members that deliver two messages of a ring deliver them in the same
 *	    order, without gap, each once; nobody delivers what nobody sent.
 *	E2  A member delivers its own messages, in the ring it sent them on.
 *	E3  Members that go together from one ring to the next deliver the same
 *	    messages before the transitional and before the regular configuration.
 *	E4  A safe message delivered in a regular configuration is held by all of
 *	    its members, and all of them have installed it.
 *	E5  Ring ids are unique and grow at each member; never used before they
 *	    are covered by what is on disk.
 *	E6  Once faults stop, the connected members form one ring and deliver.
 *
 * Sources: Amir, Moser, Melliar-Smith, Agarwal, Ciarfella, "The Totem
 * Single-Ring Ordering and Membership Protocol" (1995); Babay and Amir, "Fast
 * Total Ordering for Modern Data Centers" (2016) for the token that is released
 * before the data is out. Where we differ, on purpose:
 *
 *	- sequence numbers have 64 bits and never wrap
 *	- recovery: each old message is sent again by one holder, known from the
 *	  ranges that members tell in the commit token
 *	- a member in recovery never lets the new ring's aru pass the recovered
 *	  messages, so that nothing is safe before all have installed (E4)
 *	- evidence of death from the transport, and a leave, convict at once
 *	- a member that hears others but is not heard is left out for a while,
 *	  twice as long each time, instead of breaking the ring again and again
 *	- who has sent a message again leaves it to the next one, if asked once more
 *	- so is a member that the others evict: all agree on that, as on who failed
 *	- flow control counts bytes
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "totem/nodes.h"
#include "totem/wire.h"

struct ring;

enum ring_state {
	RING_STOPPED,     /* not started, or left */
	RING_GATHER,      /* finding out who is there */
	RING_COMMIT,      /* a commit token goes round */
	RING_RECOVERY,    /* old messages are exchanged on the new ring */
	RING_OPERATIONAL,
	RING_STATE_COUNT,
};

const char *ring_state_name(enum ring_state state);

/* Times in nanoseconds; zero means: from token_ns, as said. */
struct ring_config {
	struct node_table nodes;   /* at most TOTEM_MAX_NODES */
	uint32_t self;             /* id, one of them */
	const char *cluster;       /* name; hashed, not kept */
	uint64_t incarnation;      /* grows at every start of this node */
	uint64_t first_ring_seq;   /* beyond all that were ever used: see save_seq */
	size_t packet_bytes;       /* largest packet, ring_packet_min().. */
	uint32_t window_bytes;     /* of payload in one rotation, by all */
	uint32_t visit_bytes;      /* of payload in one visit of the token */
	uint32_t ahead_bytes;      /* of these, how many follow the token */
	uint64_t token_ns;         /* no token for so long: it is lost */
	uint64_t retransmit_ns;    /* token sent again: token / 5 */
	uint64_t join_ns;          /* join sent again: token / 40 */
	uint64_t consensus_ns;     /* the silent are failed: token / 5 */
	uint64_t merge_ns;         /* others are looked for: token / 5 */
	uint64_t hold_ns;          /* idle token is held: token / 20 */
	bool is_multicast;         /* what is for many is sent once: never a copy alone */
};

/* Ring ids up to saved + RING_SEQ_STRIDE may be used without a new save. */
#define RING_SEQ_STRIDE (1ull << 16)

struct ring_message {
	struct ring_id ring;
	uint64_t seq;
	uint32_t origin; /* node id */
	bool is_safe;
	bool is_sync;    /* sent while services synchronised */
	const uint8_t *payload; /* borrowed for the call */
	size_t length;
};

/*
 * First a transitional configuration (who of the old ring comes along), then a
 * regular one. joined and left are against the last regular configuration.
 */
struct ring_configuration {
	bool is_transitional;
	struct ring_id ring;    /* transitional: the old one */
	struct node_set members;
	struct node_set joined;
	struct node_set left;
};

/*
 * All are called from within ring_receive() and the other events. Of the events
 * only ring_wake() and ring_synchronised() may be called from within them.
 */
struct ring_ops {
	/* `to` is an index, never our own. The bytes are borrowed. */
	void (*send_one)(void *owner, int to, const uint8_t *bytes,
			 size_t length);
	void (*send_all)(void *owner, struct node_set to, const uint8_t *bytes,
			 size_t length);
	/*
	 * The payload of the next packet, at most `room` bytes, and whether it
	 * is safe; 0: nothing to send. is_sync: only what belongs to the
	 * synchronisation of services may go.
	 */
	size_t (*fill)(void *owner, uint8_t *payload, size_t room, bool is_sync,
		       bool *is_safe);
	/* Bytes that fill() would give, roughly. */
	size_t (*backlog)(void *owner, bool is_sync);
	void (*deliver)(void *owner, const struct ring_message *message);
	void (*configured)(void *owner, const struct ring_configuration *c);
	/*
	 * In a transitional configuration: what comes now is behind a message that
	 * none of its members has. Up to here the order is that of all who were on
	 * the ring, who may only have come less far, or farther. May be NULL.
	 */
	void (*torn)(void *owner);
	/* All members are synchronised: ordinary messages flow from here on. */
	void (*unplugged)(void *owner);
	/*
	 * Make seq durable, then call ring_seq_saved(). Off the hot path. Asked
	 * again after a token's time, as long as that has not happened.
	 */
	void (*save_seq)(void *owner, uint64_t seq);
	/*
	 * A packet was dropped, and should not have come: for the log, which
	 * need not have each. `node` is whom it claims to be of, 0: nobody of
	 * us; `why` goes on after "it". May be NULL.
	 */
	void (*refused)(void *owner, uint32_t node, const char *why);
	/* One line a step, for traces; may be NULL. */
	void (*trace)(void *owner, const char *line);
};

/* Corosync's names where they mean the same (runtime.totem.pg.mrp.srp.*). */
struct ring_stats {
	uint64_t orf_token_tx, orf_token_rx;
	uint64_t mcast_tx, mcast_rx, mcast_retx;
	uint64_t memb_join_tx, memb_join_rx;
	uint64_t memb_merge_detect_tx, memb_merge_detect_rx;
	uint64_t memb_commit_token_tx, memb_commit_token_rx;
	uint64_t token_hold_cancel_tx, token_hold_cancel_rx;
	uint64_t gather_entered, commit_entered, recovery_entered;
	uint64_t operational_entered;
	uint64_t gather_token_lost, commit_token_lost;
	uint64_t recovery_token_lost, operational_token_lost;
	uint64_t consensus_timeouts;
	uint64_t failed_to_receive; /* left: the token comes, messages do not */
	uint64_t evidence_rx, leave_rx, quarantined_rx, evicted;
	uint64_t recovered_tx; /* old messages sent again in recovery */
	uint64_t rx_msg_dropped;
	uint64_t faults[WIRE_FAULT_COUNT];
	uint64_t own_id_rx; /* somebody else speaks with our id */
	uint64_t old_incarnation_rx;
};

struct ring_timing {
	uint64_t token_at;     /* when the last one came, in ns; 0: never */
	/*
	 * And the one before. That a token came says that all were there after this
	 * one was passed on, and not more: it may have waited for us.
	 */
	uint64_t previous_at;
	uint64_t interval_ns;  /* between two; a mean over some 16 */
	uint32_t backlog_bytes;/* that all want to send; as much a mean */
	uint32_t continuous_gather; /* attempts since the last ring */
};

/*
 * The least that packet_bytes may be, up to WIRE_MAX_PACKET: 467 bytes for up
 * to 51 nodes, then 8 more for each, 1077 for 128.
 */
size_t ring_packet_min(int nodes);

/* NULL when out of memory or the configuration makes no sense. */
struct ring *ring_new(const struct ring_config *config,
		      const struct ring_ops *ops, void *owner);
void ring_free(struct ring *ring); /* NULL is fine */

/* Events. `now` is in nanoseconds of a clock that never goes back. */
void ring_start(struct ring *ring, uint64_t now);
void ring_receive(struct ring *ring, uint64_t now, const uint8_t *bytes,
		  size_t length);
/* Time has come to what ring_deadline() said, or later. */
void ring_advance(struct ring *ring, uint64_t now);
/* The transport knows that this node's process is gone. */
void ring_evidence(struct ring *ring, uint64_t now, uint32_t node);
/*
 * A member is alive, but does not do its part (its services never synchronise):
 * the others go on without it, and leave it out for a while, a token's time at
 * first and twice as long each time, at most 64 tokens; or until it starts anew.
 * One member's call is enough, and it does no harm that others call, too. Of
 * anybody but another member it has no effect.
 */
void ring_evict(struct ring *ring, uint64_t now, uint32_t node);
/*
 * All that is known stays, but what services know of each other is to be told anew: the
 * same members make another ring. Where one is being made, that one is it.
 */
void ring_again(struct ring *ring, uint64_t now);
/* There is something to send: an idle token is called back. */
void ring_wake(struct ring *ring, uint64_t now);
/* Our services are synchronised in this configuration. */
void ring_synchronised(struct ring *ring, uint64_t now);
/* What save_seq() asked for is durable. */
void ring_seq_saved(struct ring *ring, uint64_t now, uint64_t seq);
/*
 * Tells the others, and stops. It is said once, to all: who hears it convicts,
 * and tells the rest in its joins, so that one copy is enough. If all are lost,
 * it is as good as a death: evidence tells, or the token's time.
 */
void ring_leave(struct ring *ring, uint64_t now);

/* When ring_advance() is due; UINT64_MAX: never. */
uint64_t ring_deadline(const struct ring *ring);

/* For people and programs that look. */
enum ring_state ring_state(const struct ring *ring);
struct ring_id ring_current(const struct ring *ring);
struct node_set ring_members(const struct ring *ring);
const struct ring_stats *ring_stats(const struct ring *ring);
struct ring_timing ring_timing(const struct ring *ring);
/* As configured, defaults filled in. */
const struct ring_config *ring_settings(const struct ring *ring);
/* Members whose services are not synchronised yet; empty when all are. */
struct node_set ring_waiting_for(const struct ring *ring);
/* Largest payload that fill() is asked for. */
size_t ring_payload_room(const struct ring *ring);
