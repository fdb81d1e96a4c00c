/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A disk in memory with persistent reservations as SPC-4 has them (5.12, 6.15, 6.16), for some
 * initiators, as far as fencing uses them: registrations, one reservation, preemption, unit
 * attentions. It reads and makes its bytes by itself, so that nothing of ours checks itself.
 */
#pragma once

#include "mdclusterd/fence/pr.h"

enum { PR_TARGET_INITIATORS = 4 };

struct pr_target {
	uint32_t generation;
	uint64_t keys[PR_TARGET_INITIATORS]; /* 0: not registered */
	int holder;                          /* -1: nobody */
	uint8_t type;
	bool lacks_reservations, forgets_to_preempt;
	bool cannot_persist;                 /* as LIO without a folder for that */
	uint16_t attention[PR_TARGET_INITIATORS]; /* asc, ascq; 0: none */
	int busy;                            /* so many commands are refused */
	unsigned int aborted;                /* initiators whose tasks were */
	unsigned int commands;
	bool persists;                       /* the last registration wanted it */
};

struct pr_initiator {
	struct pr_target *target;
	int index;
	struct pr_disk disk;
};

void pr_target_init(struct pr_target *t);
void pr_initiator_init(struct pr_initiator *i, struct pr_target *t, int index);
/* Would a WRITE of that initiator be let through? */
bool pr_target_may_write(const struct pr_target *t, int index);
