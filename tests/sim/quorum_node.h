/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The quorum machine in a node's totem, as the daemon has it; what it remembers outlives the
 * process. Q1 is checked as far as a ring can see it: each configuration that is won has
 * somebody of the one before, who has left that by coming.
 */
#pragma once

#include <stdbool.h>

struct node_table;
struct sim_node;

/* Behind the totem's making, before its start. */
void quorum_node_start(struct sim_node *n, const struct node_table *nodes);
void quorum_node_end(struct sim_node *n); /* behind the totem */
/* totem_ops.is_quorate */
bool quorum_node_is_won(const struct sim_node *n);
/* And it is active. */
bool quorum_node_is_quorate(const struct sim_node *n);
