/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Watches what the nodes of a simulated array do to its disks, and says which of the rules
 * D1, D5, D6, D13, D14 is broken, at the moment when it is; and after each death whether
 * what may differ is marked (D1, D2, D3).
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "tests/sim/sim_disks.h"

struct disk_req;
struct layout;
struct oracle;
struct rules;
struct sim_world;

struct rules_ops {
	/* The node has just found that this disk fails: it does without it. */
	bool (*is_failing)(void *owner, int node, int disk);
};

struct rules *rules_new(struct sim_world *w, const struct layout *layout,
			struct oracle *oracle, const struct rules_ops *ops, void *owner);
void rules_free(struct rules *r);

/* --- what a node's plane does ------------------------------------------------------------ */

/* It has loaded the slot, which is its own. */
void rules_started(struct rules *r, int node, uint32_t slot);
/* It has stopped, all is done. */
void rules_stopped(struct rules *r, int node);
void rules_ended(struct rules *r, int node);
void rules_gate(struct rules *r, int node, bool is_open);
void rules_lease(struct rules *r, int node, uint64_t until);
void rules_disk(struct rules *r, int node, int disk, bool is_used, bool is_read);
/* Somebody found that a disk fails: it is a source no more. */
void rules_met(struct rules *r);
/* It acknowledges that the range of this slot is suspended; 0, 0: it is not any more. */
void rules_suspended(struct rules *r, int node, uint32_t slot, uint64_t low, uint64_t high);
void rules_sync(struct rules *r, int node, uint64_t low, uint64_t high);
/* All of its reads have one source, from now on, or not (B37). */
void rules_single_source(struct rules *r, int node, bool is_on);
/* Since that moment of the oracle's; UINT64_MAX: they have not. */
uint64_t rules_single_since(const struct rules *r, int node);
void rules_sync_over(struct rules *r, int node);
/* A change goes to a disk. */
void rules_change(struct rules *r, int node, enum sim_disk_user user, int disk,
		  const struct disk_req *req);

/* A write of these sectors is acknowledged to a program. */
void rules_acknowledged(struct rules *r, int node, uint64_t moment, uint64_t sector,
			uint64_t count);

/* --- what its array does ------------------------------------------------------------------- */

void rules_quorate(struct rules *r, int node, bool is_quorate);
/* The bits of another one's slot go; and they are gone. */
void rules_clears(struct rules *r, int node, uint32_t slot);
void rules_merged(struct rules *r, uint32_t slot);
/* All processes of the node up to this incarnation were said to be dead. */
void rules_proven(struct rules *r, int node, uint64_t incarnation);

/* --- at any moment ------------------------------------------------------------------------- */

/* What differs among the disks is marked. */
void rules_check_marks(struct rules *r, const char *when);
/* Nothing differs, nothing is marked. */
void rules_check_clean(struct rules *r);
