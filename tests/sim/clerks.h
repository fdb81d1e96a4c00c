/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A clerk on each node writes into checkpoints, and remembers what it was told is
 * kept: C1 and C4 of totem/checkpoint.h, on rings that break.
 */
#pragma once

#include <stdbool.h>

struct sim_node;
struct sim_world;
struct sim_clerks;

struct sim_clerks *clerks_new(struct sim_world *w);
void clerks_free(struct sim_clerks *c);

void clerks_node_ended(struct sim_clerks *c, struct sim_node *n);
void clerks_activated(struct sim_clerks *c, struct sim_node *n);

/* Some of them open, write, close, unlink. */
void clerks_stir(struct sim_clerks *c);
/* All nodes have activated one quorate configuration: what one forgets, others know. */
bool clerks_may_forget(const struct sim_clerks *c);
/* After peace: one state everywhere, with all that was answered in it. */
void clerks_expect_all(struct sim_clerks *c);
