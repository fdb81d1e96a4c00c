/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A simulated node's lock manager, on its totem. */
#pragma once

struct ring_config;
struct sim_node;

/* The node has a totem; it is not started yet. */
void lock_node_start(struct sim_node *n, const struct ring_config *config);
/* Its process is gone; the totem is still there. */
void lock_node_end(struct sim_node *n);
/* The world ends. */
void lock_node_forget(struct sim_node *n);
/* A configuration counts: M8. */
void lock_node_synchronised(struct sim_node *n);
/* After each event of the node. */
void lock_node_advance(struct sim_node *n);
