/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Programs in process groups, on the nodes of a simulated cluster, and what they
 * may expect: G1..G5 of totem/group.h, checked at every message and change.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct node_set;
struct ring_configuration;
struct sim_node;
struct sim_world;
struct sim_apps; /* of a world: the orders that were seen so far */

struct sim_apps *apps_new(struct sim_world *w);
void apps_free(struct sim_apps *a);

/* The node has a totem; it is not started yet. */
void apps_node_started(struct sim_apps *a, struct sim_node *n);
/* Its programs are gone with it. */
void apps_node_ended(struct sim_apps *a, struct sim_node *n);
void apps_configured(struct sim_apps *a, struct sim_node *n,
		     const struct ring_configuration *c);

/* Some programs of some nodes join, leave, die, and send. */
void apps_stir(struct sim_apps *a);
/* After peace: views are what lives, and all that is sent arrives everywhere. */
void apps_expect_order(struct sim_apps *a);
/* Messages that programs got, on all nodes. */
uint64_t apps_deliveries(const struct sim_apps *a);
