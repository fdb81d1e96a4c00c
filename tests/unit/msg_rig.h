/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Nodes with a channel each, over one lock_rig. What a node says has a number, which
 * travels as the window of a RESYNCING; each node writes down what it hears. Nodes are 1..N;
 * so are their ids, and their slots are one less while nobody came back.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "msg/channel.h"
#include "tests/unit/lock_rig.h"

enum {
	MSG_RIG_NODES = 10,
	MSG_RIG_HEARD = 4096,
	PENDING = 1, /* a status: not over yet */
};

/* One message asked for; over when status is not PENDING. */
struct said {
	struct msg_send send;
	struct said *next;
	int node;
	uint64_t number;
	int status;
	int ends;               /* how often done() came */
	struct msg_result result;
	bool is_checked;        /* the test's own */
	int lives[MSG_RIG_NODES + 1]; /* of who was ready as it was asked for; 0: was not */
};

/* A compound asked for: statuses, PENDING until they are told. */
struct told_compound {
	struct msg_compound c;
	int begun, ended;
};

struct msg_node {
	struct msg_rig *rig;
	int id;
	struct lockspace *space; /* NULL: not open */
	struct msg_channel *channel;
	bool is_ready, is_lost, is_closed, is_broken;
	int readies;

	uint64_t heard[MSG_RIG_HEARD]; /* numbers, as handle() told them; 0: another type */
	size_t heard_count;
	uint32_t last_sequence;  /* heard in this life */
	bool has_heard;
	int life;
	int recoveries_heard;    /* METADATA_UPDATED with a generation */
	int recovers;            /* recover() was asked */
	uint32_t missed;
	struct msg open;         /* the last message that handle() told */
	bool is_open;

	/* what its owner does */
	bool is_slow;            /* leaves handlers open: msg_rig_handle() */
	enum msg_refusal refusal;
	bool is_unable;          /* msg_not_recovered() */
	bool is_thinking;        /* leaves recover() open */
	bool evicts;             /* evict() says true */
	uint32_t evicted[64];
	size_t evicted_count;
	char why[256];           /* of the last eviction */
	void (*on_handle)(struct msg_node *n, const struct msg *m); /* before the answer */
	void (*on_ready)(struct msg_node *n);
	void (*on_missed)(struct msg_node *n);
	void (*on_evict)(struct msg_node *n);
};

struct msg_rig {
	struct lock_rig *locks;
	struct msg_node nodes[MSG_RIG_NODES + 1];
	int count;
	bool is_unordered;       /* channels do not count on the order of operations */
	uint32_t lvb_bytes;
	uint64_t last_number;
	struct said *said;       /* all, newest first */
	bool is_alive[MSG_RIG_NODES + 1];
	bool is_cut[MSG_RIG_NODES + 1];
};

/* All nodes are ready. */
struct msg_rig *msg_rig_new(int nodes);
/* Nobody is there yet. */
struct msg_rig *msg_rig_empty(int nodes);
/* Checks H4 and that nobody is within a step, where all faults are over. */
void msg_rig_free(struct msg_rig *rig);
void msg_rig_join(struct msg_rig *rig, int node);
void msg_rig_leave(struct msg_rig *rig, int node);
void msg_rig_kill(struct msg_rig *rig, int node);
/* And its death is proven, and all done. */
void msg_rig_bury(struct msg_rig *rig, int node);
void msg_rig_revive(struct msg_rig *rig, int node);
void msg_rig_run(struct msg_rig *rig);

/* One rotation of a ring: all that was asked for is applied, then all is told. */
bool msg_rig_rotate(struct msg_rig *rig);

/* Asks; a number is drawn. */
struct said *msg_rig_say(struct msg_rig *rig, int node);
/* Asks for TOKEN. Checks that the two callbacks come once, and in order. */
void msg_rig_begin(struct msg_rig *rig, int node, struct told_compound *told);
struct said *msg_rig_say_in(struct msg_rig *rig, int node, struct msg_compound *c);
/* And runs; it must end with this status. */
struct said *msg_rig_said(struct msg_rig *rig, int node, int status);
/* The open handler answers. */
void msg_rig_handle(struct msg_node *n, enum msg_refusal code, const char *text);

/* How often the node heard this number. */
int msg_rig_heard(const struct msg_rig *rig, int node, uint64_t number);
/* Runs until the next operation is this one, "2 convert EX token"; false: never. */
bool msg_rig_until(struct msg_rig *rig, const char *next);
/* Nobody is within a step, all hold what they hold between messages, nobody owes. */
void msg_rig_check_idle(struct msg_rig *rig);
/* From each node that lives one message: all others hear it once. */
void msg_rig_check_works(struct msg_rig *rig);
