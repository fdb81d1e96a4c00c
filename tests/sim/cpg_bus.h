/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Corosync's closed process groups, played: one group, processes in slots, and the ways in
 * which the real one is nasty. Passive: nothing happens but by the calls below.
 *
 *	- what is multicast waits to be ordered; then it is in each member's inbox, in one order
 *	- a split orders at each side what its members got: a common beginning, then, behind a
 *	  hole, what its own members sent; nobody is told where the hole was
 *	- of a merge each side is told one process after the other, not alike
 *	- a process that does not read stays a member
 *	- it may be busy
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "totem/cpg_order.h"

enum { CPG_BUS_SLOTS = 16, CPG_BUS_PENDING = 64 };

struct cpg_bus;

struct cpg_bus_ops {
	/* There is something in this slot's inbox; after it was empty, or not. */
	void (*ready)(void *owner, int slot);
	uint64_t (*random)(void *owner, uint64_t below);
};

/* One of two: a change (payload NULL), or a message. */
struct cpg_event {
	struct cpg_event *next;
	struct cpg_process from;
	uint8_t *payload;
	size_t length;
	struct cpg_process members[CPG_BUS_SLOTS], left[CPG_BUS_SLOTS];
	size_t member_count, left_count;
};

struct cpg_bus *cpg_bus_new(const struct cpg_bus_ops *ops, void *owner);
void cpg_bus_free(struct cpg_bus *b);

/* A process comes into the group; it goes, by itself or not. Its inbox goes with it. */
void cpg_bus_join(struct cpg_bus *b, int slot, struct cpg_process who);
void cpg_bus_leave(struct cpg_bus *b, int slot);
/* 0; -EAGAIN: busy. */
int cpg_bus_multicast(struct cpg_bus *b, int slot, const uint8_t *bytes, size_t length);
void cpg_bus_set_busy(struct cpg_bus *b, int slot, bool is_busy);
/* What waits at most so many messages of the slot's side are put in order. */
void cpg_bus_order(struct cpg_bus *b, int slot, size_t count);
size_t cpg_bus_pending(const struct cpg_bus *b, int slot);
/* The slot's host is on this side from here on. Sides split and merge at once. */
void cpg_bus_set_sides(struct cpg_bus *b, const int sides[CPG_BUS_SLOTS]);
bool cpg_bus_is_in(const struct cpg_bus *b, int slot);

/* The next of a slot's inbox; NULL: empty. cpg_event_free() is the caller's. */
struct cpg_event *cpg_bus_next(struct cpg_bus *b, int slot);
void cpg_event_free(struct cpg_event *e);
