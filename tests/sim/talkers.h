/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A talker on each node has a channel on one lockspace, and says things: H1..H8 of
 * msg/channel.h, on rings that break and nodes that die.
 */
#pragma once

struct sim_node;
struct sim_talkers;
struct sim_world;

struct sim_talkers *talkers_new(struct sim_world *w);
void talkers_free(struct sim_talkers *t);

void talkers_node_ended(struct sim_talkers *t, struct sim_node *n);

/* Some join, leave, say something, take their time to answer, or refuse. */
void talkers_stir(struct sim_talkers *t);
/* Some node hears that those who died are dead. */
void talkers_prove(struct sim_talkers *t);
/* After peace: all are ready, nobody waits, and what each says is handled by all. */
void talkers_expect_end(struct sim_talkers *t);
