/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Watches all that rings deliver and install, and says which promise of
 * totem/ring.h is broken (E1..E6), after every step.
 */
#pragma once

#include <stdint.h>

#include "totem/ring.h"

struct sim_world;
struct sim_checker;

struct sim_checker *checker_new(struct sim_world *w);
void checker_free(struct sim_checker *c);

void checker_started(struct sim_checker *c, int node);
void checker_crashed(struct sim_checker *c, int node);
void checker_sent(struct sim_checker *c, int node, uint64_t id);
void checker_delivered(struct sim_checker *c, int node,
		       const struct ring_message *m);
void checker_configured(struct sim_checker *c, int node,
			const struct ring_configuration *conf);

/* Its services are done; it was told that everybody's are. */
void checker_synchronised(struct sim_checker *c, int node);
void checker_unplugged(struct sim_checker *c, int node);

/* Messages that this life of the node has delivered. */
uint64_t checker_deliveries(const struct sim_checker *c, int node);
/* Regular configurations that it has installed. */
uint64_t checker_installs(const struct sim_checker *c, int node);
