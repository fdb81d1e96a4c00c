/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Grounds of the conformance suite (tests/locks). */
#pragma once

#include "tests/locks/conformance.h"

struct sim_faults;
struct sim_world;

/* --- one lock table, no network; the owner is a struct lock_rig ---------------------------- */

struct conformance_ground rig_ground(uint32_t lvb_bytes);
void rig_ground_strike(struct conformance_ground *ground);

/*
 * --- lock managers on rings in the simulator ------------------------------------------------
 * One node more than the suite has makes a quorum when two die, and says who is dead.
 */
struct conformance_ground manager_ground(uint32_t lvb_bytes);
/* In some weather, where all takes so many times as long as in good. */
struct conformance_ground manager_ground_in(uint32_t lvb_bytes, uint64_t seed,
					    const struct sim_faults *weather,
					    unsigned int patience);
const struct sim_world *manager_ground_world(const struct conformance_ground *ground);
/* And no promise was broken. */
void manager_ground_strike(struct conformance_ground *ground);
