/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A volume that outlives the mirror below it: when a node loses the lockspace its mirror
 * goes, and comes back when it has joined anew; clients stay connected, and what they
 * asked for meanwhile waits here. So does what the old mirror gave back undone.
 *
 * One thread.
 */
#pragma once

#include <stdbool.h>

#include <qb/qblist.h>

#include "mdclusterd/volume.h"

struct parking {
	struct volume volume;    /* what front ends see */
	struct volume *below;    /* NULL: none */
	size_t below_bytes;      /* of its io_bytes, at most */
	bool is_losing;          /* it gives back what it has: that waits for the next one */
	bool is_over;            /* nothing waits any more: -ESHUTDOWN */
	struct qb_list_head parked;
	uint32_t count;
	/* What was refused within submit(): told later, by parking_tell(). */
	struct qb_list_head refused;
	/* Something was submitted: the one below wants to be advanced, or there is to tell. */
	void (*kick)(void *owner);
	void *owner;
};

/* Like `below` in all that is told of it. */
void parking_init(struct parking *p, const struct volume *below, void (*kick)(void *owner),
		  void *owner);
/* Of the blocks of the first one, and no smaller, else -EINVAL; what is parked goes there. */
int parking_put(struct parking *p, struct volume *below);
/* From here on the one below gives back; when it is gone: parking_take(). */
void parking_lose(struct parking *p);
void parking_take(struct parking *p);
/* What is parked, and what comes, ends with -ESHUTDOWN. */
void parking_end(struct parking *p);
/* done() of what was refused; not from within submit(). */
void parking_tell(struct parking *p);
