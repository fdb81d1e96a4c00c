/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A sync service with nothing to keep: it tells a few numbers, slowly, and watches
 * that Y1..Y6 of totem/sync.h hold.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "totem/sync.h"

struct sim_node;
struct sim_probes; /* of a world: what was activated where */

struct sim_probes *probes_new(void);
void probes_free(struct sim_probes *p);

struct probe {
	struct sim_node *node;
	struct sync *sync;
	enum { PROBE_IDLE, PROBE_BEGUN, PROBE_ACTIVE } state;
	struct sync_configuration c;
	unsigned left;     /* messages to tell yet */
	uint64_t digest;   /* of all that was told */
	bool hangs;        /* never done */
	bool is_waiting;   /* for probe_go_on() */
};

/* Registers with the node's totem. */
void probe_start(struct probe *p, struct sim_node *n);
/* It waited for something, which has come. */
void probe_go_on(struct probe *p);
