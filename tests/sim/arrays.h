/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A whole cluster with a clustered array: nodes with everything from the ring to the
 * mirror, the disks they share, programs, those who prove deaths, and an oracle.
 */
#pragma once

#include <stdbool.h>

struct sim_arrays;
struct sim_world;

/* Behind sim_use_totems(); an array that chance makes, and disks that may be added to it. */
struct sim_arrays *sim_use_arrays(struct sim_world *w, int spare_count);

/* Before any node starts: nodes fence each other (fencers.h); operators know of the rest. */
void arrays_use_fencing(struct sim_arrays *all, bool has_watchdogs);

/* Programs of all nodes get something to do. */
void arrays_stir(struct sim_arrays *all);
/* All that died do, as soon as nothing of them is in flight. */
void arrays_start(struct sim_arrays *all);
/* Those that stopped their array, and live, start it again. */
void arrays_tidy(struct sim_arrays *all);
/* Nothing that was to go wrong does, but for a disk that failed. */
void arrays_calm(struct sim_arrays *all);
/* A node's array leaves; its process goes on, until arrays_tidy(). */
void arrays_leave(struct sim_arrays *all, int node);
/* Of one node, or (-1) of all, which join anew. */
void arrays_give_up(struct sim_arrays *all, int node);
/* The node dies while it writes to a disk. */
void arrays_crash_writing(struct sim_arrays *all, int node);
/* All at once, disks too. Nobody is back. */
void arrays_cut_power(struct sim_arrays *all);
/* One thing about the disks: one fails for good, or one hangs, is slow, or no more. */
void arrays_disk_trouble(struct sim_arrays *all);
void arrays_fail_disk(struct sim_arrays *all);
/* Places of one disk cannot be read any more: of the one that fails, if one does. */
void arrays_spoil_disk(struct sim_arrays *all);
/*
 * An operator fails (if he may: else disks do so by themselves), removes, adds a disk; or one is not seen by a node for a while. From then
 * on the array is expected to be whole in the end.
 */
void arrays_manage(struct sim_arrays *all, bool may_fail);
void arrays_grow(struct sim_arrays *all);

/* Those whose time has come are said to be dead: by supervisors, agents, operators. */
void arrays_prove(struct sim_arrays *all);
/*
 * In peace: all is recovered, what was acknowledged is there for everybody, the mirrors are
 * equal; then all stop, and leave an array that is clean.
 */
void arrays_expect_end(struct sim_arrays *all);
