/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <qb/qblist.h>

#include "lockres/lockspace.h"
#include "mdclusterd/record/record.h"
#include "mdclusterd/record/recorder.h"

/* A request of the array that went through: its own done() comes back to it. */
struct tapped {
	struct qb_list_head link;
	struct recorded *recorded;
	uint64_t number;
	/* what it had; one of the two */
	void (*plane_done)(void *owner, struct plane_request *req, int result);
	void (*metadata_done)(void *owner, struct metadata_request *req, int result);
	void *owner;
};

struct recorded {
	struct recorder_config config;
	uint64_t written;
	bool is_over;
	struct array *array;

	/* what the array takes for the world; behind each the real one */
	struct lockspace_engine locks;
	struct lockspace_engine *real_locks;
	struct metadata_runner metadata;
	struct metadata_runner *real_metadata;
	struct plane plane;
	struct plane *real_plane;
	struct array_ops ops;
	void *owner;

	struct lockspace_tap lock_tap;
	const struct lockspace_handlers *handlers; /* the array's, of its lockspace */
	void *handlers_owner;

	uint64_t plane_requests, metadata_requests, changes;
	struct qb_list_head tapped;
	uint64_t chunks;           /* of the bitmap, once it is known */
};

/* recorder.c: `record` gets its time here. */
void recorder_put(struct recorded *r, struct record *record);
void recorder_end(struct recorded *r, const char *why);

/* recorder_locks.c, recorder_disks.c: set up the taps. */
void recorder_tap_locks(struct recorded *r);
void recorder_tap_disks(struct recorded *r);
void recorder_untap(struct recorded *r);
