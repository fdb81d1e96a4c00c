/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A shared disk under a persistent reservation of type WRITE EXCLUSIVE - REGISTRANTS ONLY: who
 * is registered there may write, and nobody else. Each node registers a key of its own; one
 * is fenced by preempting its key, which aborts what it has under way at the disk, too.
 *
 *	R1  A node is registered on a disk before its array writes to it.
 *	R2  As long as anybody is there the reservation stands: a leaver that holds it while
 *	    others are there leaves its key behind, which its next start takes over, or the
 *	    last leaver clears; so it never lapses while one who was preempted could come
 *	    back.
 *	R3  A death is proven on a disk when we are registered, the reservation stands, and the
 *	    victim's key is gone: each is read back after the preemption.
 *	R4  Who finds its key gone was fenced. It does not register again: pr_watch() only says
 *	    so, and who asks stops.
 *
 * Calls wait for the disk: they are for a thread of their own. Errors are sentences.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "mdclusterd/fence/pr_bytes.h"

struct err;

struct pr_answer {
	uint8_t status;
	struct pr_sense sense;
	size_t length;        /* of what was read */
};

/* A way to a disk. */
struct pr_ops {
	/* Negative errno: it did not reach the disk, or its answer us. */
	int (*command)(void *owner, const uint8_t cdb[PR_CDB_BYTES], void *data, size_t length,
		       bool is_out, struct pr_answer *answer);
};

struct pr_disk {
	const struct pr_ops *ops;
	void *owner;
	const char *path; /* for sentences */
};

/* -EOPNOTSUPP */
int pr_check(const struct pr_disk *disk, struct err *err);
/* -EBUSY: somebody else holds it with another type. */
int pr_register(const struct pr_disk *disk, uint64_t key, struct err *err);
/* R4: -EKEYREVOKED. One that nobody holds is reserved again. */
int pr_watch(const struct pr_disk *disk, uint64_t key, struct err *err);
/*
 * R3. aborts: also what the victim has under way at the disk, which is a proof; without, it is
 * one only where that cannot wait in the disk for long (tgt knows no PREEMPT AND ABORT).
 */
int pr_preempt(const struct pr_disk *disk, uint64_t key, uint64_t victim, bool aborts,
	       struct err *err);
/* R2. is_last: nobody else has the array; what keys there are, are of who left before. */
int pr_leave(const struct pr_disk *disk, uint64_t key, bool is_last, struct err *err);
