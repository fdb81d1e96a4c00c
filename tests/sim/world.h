/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A cluster in one process, on virtual time, from one seed: nodes with their
 * rings, a network that loses, doubles, delays, corrupts and cuts, and people
 * who pull plugs. Every run of a seed is the same run.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "mdclusterd/quorum/quorum.h"
#include "tests/sim/probe.h"
#include "totem/ring.h"

enum { SIM_MAX_NODES = TOTEM_MAX_NODES, SIM_MS = 1000000 };

struct sim_world;
struct sim_checker;
struct sim_apps;
struct sim_cpg;
struct sim_clerks;
struct sim_lockers;
struct sim_talkers;
struct lock_manager;
struct ring_configuration;
struct sim_node;
struct totem;

/* What rides on the nodes' totems and lock managers. All are given. */
struct sim_rider_ops {
	/* Both are there, and not started yet. */
	void (*started)(void *rider, struct sim_node *n);
	/* Its process is gone; both are still there. */
	void (*ended)(void *rider, struct sim_node *n);
	void (*configured)(void *rider, struct sim_node *n,
			   const struct ring_configuration *c);
	void (*synchronised)(void *rider, struct sim_node *n);
	/* After each event of the node. */
	void (*look)(void *rider, struct sim_node *n);
	uint64_t (*deadline)(void *rider, const struct sim_node *n); /* on its clock */
	void (*free)(void *rider);
};

/* What the network does to each packet, in millionths; delays in ns. */
struct sim_faults {
	uint32_t loss_ppm;
	uint32_t duplicate_ppm;
	uint32_t corrupt_ppm;
	uint64_t delay_min_ns;
	uint64_t delay_max_ns;
	uint32_t evidence_ppm; /* a packet to a dead process tells its sender */
};

struct sim_node {
	struct sim_world *world;
	int index;
	struct ring *ring;       /* alone; or */
	struct totem *totem;     /* with all that is on it; both NULL while crashed */
	struct probe probe;      /* a service in the totem */
	struct lock_manager *locks; /* on the totem; NULL: there is none */
	struct roster *roster;   /* on "disk"; NULL: nothing is. Owned */
	struct roster *to_save;  /* on its way there. Owned */
	uint64_t to_save_version;
	bool has_left;           /* its lock manager did, for good */
	struct quorum *quorum;   /* on the totem */
	struct quorum_sync *quorum_sync;
	uint8_t *quorum_memory;  /* on "disk"; NULL: nothing yet */
	uint64_t quorum_armed_at; /* on its clock */
	bool is_broken;          /* its totem left by itself */
	uint64_t synchronisations;
	uint64_t incarnation;    /* on "disk", with disk_seq */
	uint64_t disk_seq;
	uint64_t paused_until;
	uint64_t clock_ahead;    /* of the world's */
	uint64_t armed_at;       /* the deadline that is in the heap, on its clock */
	uint64_t sent;           /* messages, for payload ids */
	uint32_t want;           /* messages to send yet */
	uint32_t want_bytes;     /* size of the next */
	bool want_safe;
	uint32_t sync_want;      /* messages of its services to send yet */
	bool is_stuck;           /* its services never synchronise */
};

struct sim_world {
	uint64_t seed, random;
	uint64_t now;
	int count;
	struct sim_node nodes[SIM_MAX_NODES];
	bool cut[SIM_MAX_NODES][SIM_MAX_NODES]; /* from, to */
	struct sim_faults faults;
	/* More that gets lost: tests that know what they want. May be NULL. */
	bool (*is_dropped)(const struct sim_world *w, int from, int to,
			   const uint8_t *bytes, size_t length);
	/* Damaged packets arrive, as if nothing was sealed: no promise holds. */
	bool is_lawless;
	/* What is for two or more goes to all, as with a multicast group. */
	bool has_group;
	struct ring_config config; /* of all; self and such are filled in */
	struct sim_checker *checker;
	struct sim_cpg *cpg; /* totems are on a played corosync; NULL: on rings */
	/* Nodes have totems with programs; else rings alone. Before any starts. */
	struct sim_apps *apps;
	struct sim_probes *probes;
	struct sim_clerks *clerks;
	bool has_locks; /* totems have lock managers; with programs on them: */
	struct sim_lockers *lockers;
	struct sim_talkers *talkers;
	const struct sim_rider_ops *rider_ops; /* NULL: none */
	void *rider;
	/* Of all nodes, each of which has a vote; who they are is filled in. */
	struct quorum_options quorum_options;
	struct ring_id won;          /* the last configuration that was, and its members */
	struct node_set won_members;
	uint64_t sync_deadline_ns;
	uint64_t silence_ns; /* on corosync; 0: longer than any pause */
	FILE *trace; /* NULL: none. Not owned */
	uint64_t sync_ns; /* services take at most so long; 0: no time at all */
	uint64_t evict_ns; /* about so long the others wait; 0: for ever */
	uint64_t save_ns; /* a ring seq is durable after at most so long */
	uint64_t failed_at;
	char failure[512]; /* what does not hold; "" as long as all does */

	struct sim_event *heap;
	size_t heap_count, heap_room;
	uint64_t event_number;
	uint64_t events; /* done */
};

struct sim_world *sim_new(uint64_t seed, int nodes, FILE *trace);
void sim_free(struct sim_world *w);

uint64_t sim_random(struct sim_world *w);
uint64_t sim_below(struct sim_world *w, uint64_t limit); /* limit > 0 */

/* What the node's clock says. */
static inline uint64_t sim_clock(const struct sim_node *n)
{
	return n->world->now + n->clock_ahead;
}

bool sim_is_up(const struct sim_world *w, int node);

void sim_start(struct sim_world *w, int node);
void sim_crash(struct sim_world *w, int node);
void sim_lose_disk(struct sim_world *w, int node); /* while crashed */
void sim_leave(struct sim_world *w, int node);
void sim_pause(struct sim_world *w, int node, uint64_t for_ns);
/* The node's clock leaps forward, as when a machine wakes from sleep. */
void sim_jump(struct sim_world *w, int node, uint64_t by_ns);
void sim_cut(struct sim_world *w, int from, int to, bool is_cut);
void sim_heal(struct sim_world *w);
/* Wants to multicast `count` more messages. */
void sim_send(struct sim_world *w, int node, uint32_t count, uint32_t bytes,
	      bool is_safe);

/* Totems are on a played corosync from here on. */
void sim_use_corosync(struct sim_world *w);
/* Nodes are totems with programs and a service from here on. */
void sim_use_totems(struct sim_world *w);
/* And have lock managers, and programs that use them. Behind sim_use_totems(). */
void sim_use_locks(struct sim_world *w);
void sim_use_lockers(struct sim_world *w);
void sim_use_talkers(struct sim_world *w);
/* The node's programs have sent something. */
void sim_wake(struct sim_world *w, int node);
/* Its probe is to go on, later. */
void sim_poke(struct sim_world *w, int node, uint64_t after_ns);

/*
 * Calls call(owner) after that time, unless the node has ended by then; a paused one is
 * called when it goes on. Node -1: the world's, in any case.
 */
void sim_call(struct sim_world *w, int node, uint64_t after_ns, void (*call)(void *owner),
	      void *owner);

/* Whether some node ever sent the message of this id. */
bool sim_is_sent(const struct sim_world *w, uint64_t id);

/* Runs until `until`, or the first failure. False: see w->failure. */
bool sim_run(struct sim_world *w, uint64_t until);

void sim_fail(struct sim_world *w, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
void sim_say(struct sim_world *w, int node, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
