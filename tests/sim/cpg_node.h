/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A world whose nodes are ordered by a played corosync instead of rings (`sim --engine
 * corosync`). Cables that are cut make sides, after as long as a token takes to be missed;
 * meanwhile nothing is put in order, as there is no token that goes round. A process that
 * ends is known of at once, or its host went with it, and is missed.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct sim_cpg;
struct sim_node;
struct sim_world;

struct sim_cpg *sim_cpg_new(struct sim_world *w);
void sim_cpg_free(struct sim_cpg *c); /* NULL is fine */

/* Before the node's totem is there: the number of its process. */
uint32_t sim_cpg_pid(struct sim_cpg *c, const struct sim_node *n);
/* Its totem is there. */
void sim_cpg_start(struct sim_cpg *c, struct sim_node *n);
void sim_cpg_end(struct sim_cpg *c, struct sim_node *n);
/* As cpg_order_ops.multicast(). */
int sim_cpg_multicast(struct sim_cpg *c, struct sim_node *n, const uint8_t *bytes,
		      size_t length);
/* As cpg_order_ops.rejoin(). */
void sim_cpg_rejoin(struct sim_cpg *c, struct sim_node *n);
/* Cables are others. */
void sim_cpg_cut(struct sim_cpg *c);
