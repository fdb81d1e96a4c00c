/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A cluster of quorum machines without a ring: nodes that are up or not, parts that hear each
 * other, a memory for each that outlives it, one device that one of them can hold. Time is
 * moved by hand. After each step all parts come to their configurations, as often as one of
 * their members asks for it.
 */
#pragma once

#include "mdclusterd/quorum/quorum.h"

enum { MODEL_MAX_NODES = 32 };
#define MODEL_MS 1000000ull

struct model_node {
	bool is_up, can_reach_device, has_memory;
	int part;                  /* hears the nodes of its part */
	uint8_t boot[QUORUM_BOOT_BYTES];
	struct quorum *q;          /* NULL: down */
	uint8_t memory[QUORUM_MEMORY_BYTES];
	struct node_set configured; /* the members when it was made last */
};

struct model {
	struct quorum_options options; /* of all; self is filled in */
	uint64_t now;
	int count;
	struct model_node nodes[MODEL_MAX_NODES];
	int device_holder;         /* -1: nobody */
	uint64_t device_until;
	bool is_divided;           /* Q1 failed, at any instant */
	void (*tell)(void *owner, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
	void *owner;               /* tell may be NULL */
};

enum { MODEL_DEVICE_LEASE_MS = 4000 };

void model_init(struct model *m, int nodes); /* one vote each, all down, one part */
void model_fini(struct model *m);

void model_up(struct model *m, int node);
void model_down(struct model *m, int node);   /* dies */
void model_leave(struct model *m, int node);  /* in order */
void model_reboot(struct model *m, int node); /* its host; while it is down */
/* Parts are numbers; who is of one hears all of it. */
void model_split(struct model *m, int node, int part);
void model_reload(struct model *m);           /* options.votes, options.expected */
void model_wait(struct model *m, uint64_t ms);

/* All parts come to rest. */
void model_settle(struct model *m);
bool model_is_quorate(const struct model *m, int node);
/* Those who are up and hear it. */
struct node_set model_part(const struct model *m, int node);

/*
 * One configuration of these alone, broken off: only `kept` made durable what they were to,
 * and only `active` saw its end, which takes that all have kept it. False: there was nothing
 * to be kept.
 */
bool model_round(struct model *m, struct node_set members, struct node_set kept,
		 struct node_set active);
/* Nobody is in any configuration. */
void model_scatter(struct model *m);
/* Two parts that are quorate now? */
bool model_has_two(const struct model *m);
