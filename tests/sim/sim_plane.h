/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The data plane of a simulated node: the real mirror and intent on the shared disks. What
 * the array asks, and what it is answered, takes a while, in the order of asking; what
 * blocks (the own slot is loaded) runs in a fiber.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "mdclusterd/array/plane.h"

struct rules;
struct sim_disks;
struct sim_node;
struct sim_plane;
struct volume;

struct sim_plane_config {
	struct sim_disks *disks;
	struct rules *rules;     /* who hears what the plane does */
	uint64_t budget_bytes;   /* of the intent */
	uint64_t hang_ns;
};

struct sim_plane *sim_plane_new(struct sim_node *n, const struct sim_plane_config *config);
/*
 * Its process is gone, after its disks: what is left is taken apart, and nothing is told.
 * The plane is freed.
 */
void sim_plane_end(struct sim_plane *p);

struct plane *sim_plane_face(struct sim_plane *p);

/* The token was here: I/O may go on until then, on the node's clock. */
void sim_plane_set_lease(struct sim_plane *p, uint64_t until);
void sim_plane_advance(struct sim_plane *p);
uint64_t sim_plane_deadline(const struct sim_plane *p);

/* What programs write to; NULL as long as there is nothing, or no more. */
struct volume *sim_plane_volume(struct sim_plane *p);
/* Its gate is shut, and nothing of it is under way on any disk. */
bool sim_plane_is_idle(const struct sim_plane *p);
/* Chunks that wait for a resync, of the own slot. */
uint64_t sim_plane_needed(const struct sim_plane *p);
/* The mirror has found that it fails, and the cluster is not told yet. */
bool sim_plane_is_failing(const struct sim_plane *p, uint32_t role);
