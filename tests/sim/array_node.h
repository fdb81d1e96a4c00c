/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A simulated node's array: the real state machine on the node's lock manager, its
 * metadata in a fiber, its plane; what it says goes to the trace.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "mdclusterd/array/array.h"
#include "tests/sim/sim_plane.h"

struct array_node;
struct ring_configuration;
struct rules;
struct sim_disks;
struct sim_node;

struct array_node_config {
	struct sim_node *node;
	struct sim_disks *disks;
	struct rules *rules;
	struct sim_plane_config plane;
	int wanted_slot;          /* what it remembers; -1: nothing */
	uint64_t lease_ns;
	const bool *is_excused;   /* disks keep it from a stop in time */
	/* One that keeps it waiting: true, and somebody ends it soon. */
	bool (*evict)(void *owner, int node);
	void (*slot_known)(void *owner, int node, int slot);
	void *owner;
};

/* The node's process begins; its array starts. */
struct array_node *array_node_new(const struct array_node_config *config);
/* It ends, after sim_disks_node_ended(). */
void array_node_free(struct array_node *a);

/* Until when it may write, on its clock; idle: nothing is under way, and nothing can begin. */
uint64_t array_node_lease(const struct array_node *a, bool *is_idle);

void array_node_quorate(struct array_node *a, bool is_quorate);
/* After each event of the node. */
void array_node_advance(struct array_node *a);
uint64_t array_node_deadline(const struct array_node *a);

/* The array stops, the process goes on; then it may start again. */
void array_node_stop(struct array_node *a);
/* As if somebody else ran it for a moment: array_give_up(). */
void array_node_give_up(struct array_node *a);
void array_node_start(struct array_node *a);
/* It is stopped, or has failed to start. */
bool array_node_may_start(const struct array_node *a);
bool array_node_is_stopped(const struct array_node *a);
bool array_node_is_active(const struct array_node *a);
/* ACTIVE, nothing to resync or recover, all members there: `count` of them. */
/* is_whole: and no disk is missing, or rebuilt. */
bool array_node_is_at_rest(const struct array_node *a, int count, bool is_whole);
/* Why not, in a few words. */
void array_node_complain(const struct array_node *a);

struct sim_plane *array_node_plane(struct array_node *a);
struct array *array_node_array(struct array_node *a); /* NULL: stopped */
