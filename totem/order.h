/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the totem needs of what is below it: one order of messages and configurations, E1
 * to E6 of ring.h. Two machines serve it: our ring, and a group of corosync's
 * (cpg_order.h). What they tell goes up by their own ops, which are the same from `fill` on.
 */
#pragma once

#include "totem/cpg_order.h"
#include "totem/ring.h"

/* The other one is NULL. */
struct order {
	struct ring *ring;
	struct cpg_order *cpg;
};

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
void order_start(const struct order *o, uint64_t now);
void order_advance(const struct order *o, uint64_t now);
void order_evidence(const struct order *o, uint64_t now, uint32_t node);
void order_evict(const struct order *o, uint64_t now, uint32_t node);
void order_again(const struct order *o, uint64_t now);
void order_wake(const struct order *o, uint64_t now);
void order_synchronised(const struct order *o, uint64_t now);
void order_seq_saved(const struct order *o, uint64_t now, uint64_t seq);
void order_leave(const struct order *o, uint64_t now);
uint64_t order_deadline(const struct order *o);
struct order_look order_look(const struct order *o);
void order_free(struct order *o);
