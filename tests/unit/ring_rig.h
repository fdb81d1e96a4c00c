/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Small simulated rings for tests: token 1000 ms, hops of 0.2 to 0.4 ms. */
#pragma once

#include "tests/sim/checker.h"
#include "tests/sim/world.h"
#include "tests/unit/help.h"
#include "totem/wire.h"

/* Nodes 0..count-1, all started, on one ring, all messages of it delivered. */
struct sim_world *ring_rig_new(int count);
void ring_rig_free(struct sim_world *w); /* and no promise was broken */

/* A world in which nobody is started yet. */
struct sim_world *ring_rig_cold(int count);

/* As ring_rig_new(), and a thousand small messages go in one visit. */
struct sim_world *ring_rig_wide(int count);

/* n1..n3 on a ring, n4 not started. */
struct sim_world *ring_rig_three_of_four(void);

/* For so long; no promise may break. */
void ring_rig_run(struct sim_world *w, uint64_t ms);

/* Until the living, as a set of bits, are one ring; how long that took. */
uint64_t ring_rig_ms_to_ring(struct sim_world *w, uint64_t members,
			     uint64_t limit_ms);

/* All want to send, and go on wanting. */
void ring_rig_load(struct sim_world *w, uint32_t messages, uint32_t bytes);
enum wire_type ring_rig_type(const uint8_t *bytes); /* of a packet */
uint64_t ring_rig_deliveries(const struct sim_world *w, int node);
const struct ring_stats *ring_rig_stats(const struct sim_world *w, int node);
