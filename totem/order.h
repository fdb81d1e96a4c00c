/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the totem needs of what is below it: one order of messages and configurations, E1
 * to E6 of ring.h. Two machines serve it: our ring, and a group of corosync's
 * (cpg_order.h). What they tell goes up by their own ops, which are the same from `fill` on.
 */
#pragma once

#include "totem/cpg_order.h"
#include "totem/ring.h"

struct order_look {
	bool is_installed; /* and no other configuration is being made */
	struct ring_id current;
	struct node_set members;
	/*
	 * All members were there after this moment; a lease counts from it. 0: not known
	 * of this configuration.
	 */
	uint64_t sure_at;
	/* A ring of one has no token, and is sure of itself. */
	bool is_sure_alone;
};

/* As the calls of ring.h that are named so. */
struct order_ops {
	void (*start)(void *machine, uint64_t now);
	void (*advance)(void *machine, uint64_t now);
	void (*evidence)(void *machine, uint64_t now, uint32_t node);
	void (*evict)(void *machine, uint64_t now, uint32_t node);
	void (*again)(void *machine, uint64_t now);
	void (*wake)(void *machine, uint64_t now);
	void (*synchronised)(void *machine, uint64_t now);
	void (*seq_saved)(void *machine, uint64_t now, uint64_t seq);
	void (*leave)(void *machine, uint64_t now);
	uint64_t (*deadline)(const void *machine);
	struct order_look (*look)(const void *machine);
	void (*free)(void *machine);
};

extern const struct order_ops order_on_ring, order_on_cpg;
