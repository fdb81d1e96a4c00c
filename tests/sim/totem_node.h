/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A simulated node that runs a whole totem, with programs and a service on it. */
#pragma once

#include <stdint.h>

#include "totem/ring.h"

struct sim_node;

/* `packets` has the ways out: send_one, send_all, save_seq, trace. */
void totem_node_start(struct sim_node *n, const struct ring_config *config,
		      const struct ring_ops *packets);
/* Its process is gone. */
void totem_node_end(struct sim_node *n);
