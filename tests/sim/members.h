/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The operator of a simulated cluster: fails, removes and adds disks of its array. */
#pragma once

#include <stdbool.h>

struct array;
struct layout;
struct members;
struct sim_disks;
struct sim_world;

/* active: of a node that takes what is asked; NULL: it does not. failed_disk: -1, or one of no use. */
struct members *members_new(struct sim_world *w, const struct layout *layout,
			    struct sim_disks *disks, const int *failed_disk,
			    struct array *(*active)(void *owner, int node), void *owner);
void members_free(struct members *m);

/* Something, by somebody; may_fail: also what takes a disk out that works. */
void members_manage(struct members *m, bool may_fail);
/* The array is changed while all write, by some node. */
void members_grow(struct members *m);
/* Every node sees every disk. */
void members_calm(struct members *m);
/* What is missing yet for the array to have all its disks is asked for, if nobody is at it. */
void members_make_whole(struct members *m);
