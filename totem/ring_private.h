/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Inside the ring: its state and the steps that the ring_*.c files give each
 * other. Nobody else includes this.
 *
 *	            start, evidence, token lost, join, foreign ring
 *	   +-------------------------------------------------------+
 *	   v                                                       |
 *	GATHER --all agree--> COMMIT --told--> RECOVERY --all have--> OPERATIONAL
 *	   ^                    |                 |
 *	   +----token lost------+-----------------+
 */
#pragma once

#include "totem/queue.h"
#include "totem/ring.h"
#include "totem/wire.h"

enum ring_timer {
	TIMER_TOKEN_LOSS,
	TIMER_RETRANSMIT, /* of the token or commit token sent last */
	TIMER_HOLD,       /* a parked token goes on */
	TIMER_JOIN,
	TIMER_CONSENSUS,
	TIMER_MERGE,
	TIMER_COUNT,
};

/* A ring: the one last installed, or the one that is being formed. */
struct ring_instance {
	struct ring_id id;
	struct node_set members;
	struct queue queue;
	uint64_t delivered;      /* to the owner, all up to here */
	uint64_t stable;         /* held by all members, all up to here */
	uint64_t last_token_aru; /* at the last visit of the token */
};

/* A node that was found silent, or was evicted; see ring_gather.c on quarantine. */
struct suspicion {
	uint64_t until_ns; /* not listened to before; 0: never found so */
	uint64_t span_ns;
};

struct ring {
	struct ring_config config;
	struct ring_ops ops;
	void *owner;
	struct wire_context context;
	int self; /* index */
	enum ring_state state;
	uint64_t now;
	uint64_t due[TIMER_COUNT];
	struct ring_instance installed;
	bool has_installed; /* any regular configuration yet */
	struct ring_instance forming;

	/* gather */
	struct node_set proc, failed;
	struct node_set evicted; /* of failed; nobody in operation */
	struct node_set agreed;  /* told the same two sets */
	struct node_set heard;   /* told any, since the last timeout */
	uint64_t join_after;     /* no join is sent before */
	uint64_t high_ring_seq;  /* seen anywhere */
	uint64_t saved_seq;      /* durable */
	uint64_t saving_seq;     /* asked for ... */
	uint64_t saving_since;   /* ... then */
	bool wants_commit;       /* as soon as the seq is saved */
	uint64_t lonely_until;   /* no ring of one before */
	uint64_t incarnation[TOTEM_MAX_NODES];
	uint64_t started_at[TOTEM_MAX_NODES]; /* when it was first heard of */
	struct suspicion suspicion[TOTEM_MAX_NODES];

	/* commit, recovery */
	struct wire_commit commit;
	struct wire_commit incoming; /* of which some parts have come */
	struct node_set trans;   /* members that come from our old ring */
	uint64_t *resend;        /* old messages that are ours to send again */
	size_t resend_count, resend_next;
	bool was_counted, counts; /* in the token's retrans */
	bool is_originated;      /* representative: the first token is out */
	bool install_known;
	uint64_t install_seq;

	/* token */
	uint64_t token_seq;      /* last accepted */
	uint64_t round;          /* visits */
	uint64_t idle;           /* visits in which nothing moved */
	uint64_t seen_seq;       /* token.seq at the last visit */
	uint64_t ask_limit;      /* holes up to here may be asked for */
	uint64_t asked_aru;      /* our aru when we asked last */
	uint32_t ask_span, ask_pause; /* visits: see ask() */
	uint64_t stuck_since;    /* our aru holds the ring up since */
	uint64_t stuck_aru;
	bool is_running;         /* a visit is going on */
	bool is_parked;
	struct wire_token parked;
	uint32_t flow_mine, backlog_mine; /* as last told in the token */
	bool is_commit_out;      /* the commit token was sent last; else: */
	int resend_to;
	size_t resend_bytes;     /* of last_sent */
	uint8_t *last_sent;      /* WIRE_MAX_PACKET */
	uint8_t *packet;         /* WIRE_MAX_PACKET, scratch */

	/* recovery plug */
	bool is_synchronised;    /* our services */
	bool is_unplugged;       /* everybody's */
	bool unplug_seen;        /* the token had all bits ... */
	uint64_t unplug_seq;     /* ... when the ring was here */
	struct node_set plugged; /* as last seen */

	struct node_set illegible; /* their joins name nodes that we do not know */
	struct ring_stats stats;
	struct ring_timing timing;
};

/* ring.c */
void ring_move(struct ring *ring, enum ring_state to);
void ring_trace(struct ring *ring, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
void ring_arm(struct ring *ring, enum ring_timer timer, uint64_t after_ns);
void ring_disarm(struct ring *ring, enum ring_timer timer);
void ring_save_seq(struct ring *ring, uint64_t seq);
void ring_seen_seq(struct ring *ring, uint64_t seq);
bool ring_instance_init(struct ring_instance *i, struct ring_id id,
			struct node_set members);
void ring_instance_fini(struct ring_instance *i);
int ring_successor(const struct ring *ring, struct node_set members);
/* The member that passes us tokens; in a ring of one nobody does. */
bool ring_is_predecessor(const struct ring *ring, struct node_set members, int node);
/* Sends the packet in ring->last_sent, and again until the token is seen. */
void ring_send_token_packet(struct ring *ring, int to, size_t length);
void ring_arm_retransmit(struct ring *ring);

/* ring_gather.c */
void ring_gather_enter(struct ring *ring, const char *why);
/* Leaves the others, who shall not wait, and rings alone for now. */
void ring_gather_alone(struct ring *ring, const char *why);
void ring_gather_join(struct ring *ring, int from, const struct wire_join *j);
void ring_gather_foreign(struct ring *ring, int from, struct ring_id id);
void ring_gather_evidence(struct ring *ring, int node);
void ring_gather_evict(struct ring *ring, int node);
void ring_gather_convict(struct ring *ring, int node, const char *why);
void ring_gather_send_join(struct ring *ring, bool is_leave);
void ring_gather_consensus_timeout(struct ring *ring);
void ring_gather_check(struct ring *ring);
/* The new ring is installed: the sets are at rest. */
void ring_gather_installed(struct ring *ring);
struct node_set ring_gather_audience(const struct ring *ring);

/* ring_commit.c */
void ring_commit_begin(struct ring *ring);
/* Sends the commit token as it stands; also again, until the next is seen. */
void ring_commit_send(struct ring *ring);
void ring_commit_part(struct ring *ring, int from, const struct wire_commit *part);

/* ring_recovery.c */
bool ring_recovery_enter(struct ring *ring);
void ring_recovery_visit(struct ring *ring, struct wire_token *token);
void ring_recovery_sent(struct ring *ring, struct wire_token *token);

/* ring_token.c */
void ring_token_first(struct ring *ring);
void ring_token_received(struct ring *ring, int from, const struct wire_token *token);
void ring_token_unpark(struct ring *ring);

/* ring_data.c */
void ring_data_received(struct ring *ring, int from, const struct wire_data *d);
void ring_data_send(struct ring *ring, const struct ring_instance *i, struct node_set to,
		    const struct queued *m);
void ring_data_deliver(struct ring *ring);
void ring_data_give(struct ring *ring, const struct ring_instance *i,
		    const struct queued *m);
/* The instance that tokens and data of this id belong to, or NULL. */
struct ring_instance *ring_live_instance(struct ring *ring, struct ring_id id);
