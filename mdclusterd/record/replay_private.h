/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <qb/qblist.h>

#include "lockres/lockspace.h"
#include "mdclusterd/record/record.h"
#include "mdclusterd/record/replay.h"

/* A lock of the array; what it asks for is answered by the recording. */
struct replay_lock {
	struct qb_list_head link;
	struct lockres *lock;
	uint64_t asked;       /* which request of all, for those of one name; 0: none */
};

/* What the array said, or asked, now, and has to be found in the recording. */
struct replay_said {
	struct qb_list_head link;
	struct record record; /* RECORD_EVENT, RECORD_ASKED */
};

struct replay {
	struct record_reader *reader;
	struct record_reader *ahead;   /* looks at what comes, while an input is borrowed */
	struct replay_handlers handlers;
	void *owner;
	struct array *array;
	uint64_t now;
	uint64_t differences;

	struct lockspace_engine locks;
	struct lockspace space;
	const struct lockspace_handlers *space_handlers;
	void *space_owner;
	bool is_open;
	struct qb_list_head lock_list; /* struct replay_lock */
	uint64_t asked;
	const struct record *lock_answer; /* while it is told: its blockers */
	size_t refused_at;             /* refusals before this place have been told */

	struct metadata_runner metadata;
	struct plane plane;
	struct qb_list_head metadata_requests, plane_requests; /* by submission */
	uint64_t metadata_count, plane_count;
	struct qb_list_head changes;   /* struct replayed_change, that are not done */
	uint64_t change_count;

	struct qb_list_head said;      /* struct replay_said */
};

void replay_differs(struct replay *p, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
void replay_say(struct replay *p, const struct record *record);
/*
 * The next record of that kind before the next input: what was answered within this one.
 * False: there is none.
 */
bool replay_answer(struct replay *p, enum record_kind kind, struct record *answer);
/* What the engine said to such a call within this input: 0, or a refusal. */
int replay_refusal(struct replay *p, const struct lockres *lock, enum lockspace_call call);

/* replay_locks.c, replay_disks.c */
void replay_locks_init(struct replay *p);
void replay_locks_fini(struct replay *p);
void replay_feed_lock(struct replay *p, const struct record *r);
void replay_disks_init(struct replay *p);
void replay_disks_fini(struct replay *p);
int replay_feed_disk(struct replay *p, const struct record *r, struct err *err);
