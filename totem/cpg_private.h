/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the files of the order on CPG share; cpg_order.h has the promises. */
#pragma once

#include "totem/cpg_order.h"

/* A process in the group, of a configured node. */
struct cpg_peer {
	struct cpg_process who;
	int index;
	bool is_excluded;
	bool is_companion; /* in what is installed, and not away since */
	bool has_hello;
	struct cpg_hello hello;
	uint64_t promise;  /* its ready, 0: none */
	uint64_t acked;    /* places up to here */
	bool is_done;
	uint64_t owes_since; /* 0: nothing */
	bool is_to_go;       /* an evict of it is to be sent */
	bool is_late;        /* and that was told */
};

/* A place in the order that is not given yet. */
struct cpg_held {
	struct cpg_held *next;
	uint64_t place;
	struct cpg_process from;
	int index;
	enum cpg_kind kind; /* data, beat, done */
	uint64_t sent;      /* beat */
	bool is_safe, is_sync;
	size_t length;
	uint8_t payload[];
};

struct cpg_order {
	struct cpg_order_config config;
	struct cpg_order_ops ops;
	void *owner;
	struct cpg_order_stats stats;
	int self;
	enum cpg_order_state state;
	uint64_t now;
	unsigned depth;
	bool is_broken;
	bool is_outcast;   /* P4: from when it is known until it is in the group again */

	struct cpg_peer peers[CPG_MAX_PROCESSES]; /* by node, then pid */
	int peer_count;
	uint64_t incarnations[TOTEM_MAX_NODES];

	/* what is installed, or ends */
	bool has_installed;
	struct ring_id current;
	struct node_set members;
	uint64_t received; /* places so far */
	struct cpg_held *first, **last;
	bool is_unplugged;
	uint64_t sure_at;

	/* numbers (E5) */
	uint64_t high_seq, saved_seq, saving_seq, saving_since;
	uint64_t round;    /* of our last hello */
	uint64_t forming_since, hello_at;
	uint64_t promised; /* our last ready */

	/* what is to be sent, and is made when it can be */
	bool wants_hello, wants_done, wants_again;
	uint64_t acked, echo_at; /* our last ack; when our last beat that came back was sent */
	bool has_ack_out;
	size_t out_bytes;   /* of our data that is not given yet */
	uint64_t listen_at; /* P5 */
	unsigned int unheard_beats;
	bool is_unheard;
	uint64_t next_beat, retry_at; /* retry_at: UINT64_MAX: CPG is not busy */
	size_t unsent;      /* bytes in `packet` that CPG did not take */
	uint8_t *packet;
};

void cpg_order_trace(struct cpg_order *o, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
void cpg_order_break(struct cpg_order *o, const char *why);

struct cpg_peer *cpg_peer_find(struct cpg_order *o, struct cpg_process who);
static inline bool cpg_process_equal(struct cpg_process a, struct cpg_process b)
{
	return a.node == b.node && a.pid == b.pid;
}

static inline bool cpg_is_self(const struct cpg_order *o, struct cpg_process who)
{
	return cpg_process_equal(who, o->config.self);
}

/* --- P1: cpg_form.c --------------------------------------------------------------------- */

void cpg_form_begin(struct cpg_order *o);
/* The others have left this one out. */
void cpg_form_be_outcast(struct cpg_order *o);
/* Are all hellos there, and alike; all readies: installs. */
void cpg_form_look(struct cpg_order *o);
void cpg_form_hello(struct cpg_order *o, struct cpg_peer *from, const struct cpg_hello *h);
void cpg_form_evict(struct cpg_order *o, struct cpg_peer *from, struct cpg_process target);
/* Our hello, as it is to be sent now. */
void cpg_form_fill_hello(struct cpg_order *o, struct cpg_hello *h);
/* What our ready would promise; 0: not yet. */
uint64_t cpg_form_promise(struct cpg_order *o);
/* In a view that agrees it has said all it has to. */
bool cpg_form_owes(struct cpg_order *o, const struct cpg_peer *p);

/* --- P2, P3: cpg_hold.c ------------------------------------------------------------------ */

/* Data, beat, done: of this configuration. */
void cpg_hold_add(struct cpg_order *o, struct cpg_peer *from, const struct cpg_packet *p);
void cpg_hold_ack(struct cpg_order *o, struct cpg_peer *from, uint64_t upto);
/* What all members have acknowledged. */
void cpg_hold_give(struct cpg_order *o);
/* All data that is left, after the transitional configuration. */
void cpg_hold_give_rest(struct cpg_order *o);
void cpg_hold_drop(struct cpg_order *o);

/* --- cpg_send.c --------------------------------------------------------------------------- */

/* Sends what there is to send, as far as CPG takes it. */
void cpg_send(struct cpg_order *o);
