/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Fencing in a simulated cluster: each node has the real proof.h, as the daemon's engine has it,
 * over methods that chance makes. What they do to a node is real there:
 *
 *	switch     ends its process, whatever that is by then, some time later; and is done when
 *	           nothing of it is in flight
 *	broken     says that it failed, and did nothing
 *	unsure     says that it failed, and may have done it
 *	silent     never answers, and may do it in the end
 *	watchdog   each node has one, fed by the real guard.h, which ends it when it is not; who
 *	           misses a node waits for that (guard_expiry_ns())
 *
 * None says that it succeeded where it did not: that is what fencing rests on.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct fencers;
struct ring_configuration;
struct sim_node;
struct sim_world;

struct fencers_ops {
	/* Nothing of the node's dead processes is in flight. */
	bool (*is_drained)(void *owner, int node);
	/* Until when it may write, on its clock; and whether something of it is under way. */
	uint64_t (*lease)(void *owner, int node, bool *is_idle);
	/* All processes of the node up to this one: an engine says so. */
	void (*proven)(void *owner, int by, int node, uint64_t incarnation);
	/* Who is back says itself that its earlier processes are dead. */
	bool (*speaks)(void *owner);
};

/* Methods by the dice; `has_watchdogs`: also those. */
struct fencers *fencers_new(struct sim_world *w, bool has_watchdogs, uint64_t lease_ns,
			    const struct fencers_ops *ops, void *owner);
void fencers_free(struct fencers *f);

void fencers_started(struct fencers *f, struct sim_node *n);
void fencers_ended(struct fencers *f, struct sim_node *n);
void fencers_configured(struct fencers *f, struct sim_node *n,
			const struct ring_configuration *c);
void fencers_settled(struct fencers *f, struct sim_node *n);
/* Nobody is asked about, and nobody will be switched off any more. */
bool fencers_are_idle(const struct fencers *f);
