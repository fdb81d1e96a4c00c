/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Some orders on a played CPG, with a program above each that sends numbered lines, is
 * synchronised when told so, and writes down all that it is told.
 */
#pragma once

#include "tests/sim/cpg_bus.h"

enum { CPG_RIG_NODES = 5, CPG_RIG_LOG = 1 << 16 };

struct cpg_rig;

struct cpg_rig_node {
	struct cpg_rig *rig;
	int slot, index;
	uint32_t pid;
	uint64_t incarnation, saved;
	struct cpg_order *order;
	bool is_stopped;    /* reads nothing, its time stands still */
	bool is_hung;       /* its corosync is: it takes all, and gives nothing */
	bool holds_plug;    /* its services are not done */
	bool saves_nothing; /* its disk does not answer */
	int to_send, sent;  /* lines */
	size_t line_bytes;
	const char *broken;
	bool wants_in;      /* again: it was left out */
	int rejoined, unplugged, torn, late, evicted, unheard, heard_again;
	uint64_t last_seq;  /* E5 */
	char log[CPG_RIG_LOG]; /* "n1.8+12 3:1 3:2 t1.8 ..." since cpg_rig_forget() */
	size_t log_length;
};

struct cpg_rig {
	struct cpg_bus *bus;
	uint64_t now, seed;
	int count;
	struct cpg_rig_node nodes[CPG_BUS_SLOTS];
};

void cpg_rig_init(struct cpg_rig *rig, int count);
void cpg_rig_fini(struct cpg_rig *rig);
/* A process of a new incarnation in the slot; at another node's place: index. */
void cpg_rig_start(struct cpg_rig *rig, int slot);
void cpg_rig_start_at(struct cpg_rig *rig, int slot, int index);
/* Its process is gone. */
void cpg_rig_kill(struct cpg_rig *rig, int slot);
void cpg_rig_sides(struct cpg_rig *rig, const char *sides); /* "aab" */
/* Lines to send, from here on, as the order asks for them. */
void cpg_rig_send(struct cpg_rig *rig, int slot, int lines);

/* All that is in inboxes of who is not stopped. */
void cpg_rig_read(struct cpg_rig *rig);
/* One event of one slot; false: there is none. */
bool cpg_rig_read_one(struct cpg_rig *rig, int slot);
/* Time goes on by so much, in steps of 10 ms, and all is ordered and read. */
void cpg_rig_run(struct cpg_rig *rig, uint64_t ms);
void cpg_rig_forget(struct cpg_rig *rig);

/* All of these slots ("abc": 0, 1, 2) have installed one configuration, and no more. */
bool cpg_rig_are_one(struct cpg_rig *rig, const char *slots);
uint64_t cpg_rig_random(struct cpg_rig *rig, uint64_t below);
