/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Programs that use lockspaces, on the nodes of a simulated cluster, and one who sees
 * all of them: L1..L6 of lockres/lockspace.h, and that nodes which applied the same
 * operations have the same tables (M1, M6), at every event.
 */
#pragma once

struct sim_lockers;
struct sim_node;
struct sim_world;

struct sim_lockers *lockers_new(struct sim_world *w);
void lockers_free(struct sim_lockers *l);

void lockers_node_ended(struct sim_lockers *l, struct sim_node *n);
/* After each event of the node. */
void lockers_look(struct sim_lockers *l, struct sim_node *n);

/* Some of them open, close, lock, convert, cancel, unlock. */
void lockers_stir(struct sim_lockers *l);
/* Some node hears that those who died are dead. */
void lockers_prove(struct sim_lockers *l);
/*
 * After peace: all deaths are proven, all that is held is let go, and then nobody
 * waits, and all tables are the same.
 */
void lockers_expect_end(struct sim_lockers *l);
