/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the files of a simulated plane share: sim_plane.c (orders, life), sim_plane_start.c
 * (start and stop), sim_plane_work.c (answers; what mirror and intent are asked).
 */
#pragma once

#include "base/err.h"
#include "bitmap/intent.h"
#include "bitmap/slot.h"
#include "mdclusterd/mirror/mend.h"
#include "mdclusterd/mirror/mirror.h"
#include "tests/sim/sim_plane.h"
#include "tests/sim/world.h"

struct fiber;

struct role {
	struct disk *disk;
	int index;      /* of the disk */
	bool is_told;   /* that it fails */
	struct plane_request *setting;
	struct mirror_change change;
};

/* A disk that takes no part any more: it is closed when nothing of it is in flight. */
struct leaving {
	struct disk *disk;
	int index;
	struct qb_list_head link;
};

/* A request that the mirror or the intent has. */
struct work {
	struct sim_plane *plane;
	struct plane_request *req;
	struct mirror_request mirror;
	struct intent_request intent;
	struct qb_list_head link;
};

struct sim_plane {
	uint64_t wound_ns; /* how long it has been winding down, on its own clock */
	struct plane plane; /* first */
	struct sim_node *node;
	struct sim_plane_config config;
	struct mirror *mirror;
	struct mend mend;
	struct intent *intent;
	struct bitmap_slot slot;
	bool has_slot, is_serving, is_dead;
	uint32_t raid_disks, number;
	struct role roles[METADATA_MAX_DISKS];
	struct qb_list_head leaving;
	bool is_open;
	uint64_t lease;

	struct qb_list_head orders, replies, works;
	uint64_t order_at, reply_at; /* of the last ones on their way */
	unsigned int owed;           /* orders that are due, and wait for the fiber */
	struct fiber *fiber;
	struct plane_request *starting;

	struct plane_request *syncing;
	struct mirror_sync sync;
	struct plane_request *stopping;
	bool is_stopped, is_settled;
	struct mirror_request stop;
	struct intent_request settle;
};

static inline struct sim_world *plane_world(const struct sim_plane *p)
{
	return p->node->world;
}

/* --- sim_plane_work.c ---------------------------------------------------------------- */

/* When it arrives: later than what was sent before. */
uint64_t plane_later(struct sim_plane *p, uint64_t *last);
void plane_answer(struct sim_plane *p, struct plane_request *req, int result);
void plane_refuse(struct sim_plane *p, struct plane_request *req, int result,
		  const char *why);
/* As plane_handlers' needs() and corrected(). */
void plane_needs(struct sim_plane *p, uint64_t needed_chunks);
void plane_corrected(struct sim_plane *p, uint32_t role, uint64_t low, uint64_t high,
		     uint64_t sectors);
/* D9: once a role. */
void plane_fails(struct sim_plane *p, uint32_t role, const struct err *why);
void plane_work_over(struct work *work, int result);
/* What is on its way, and asked for, is forgotten. */
void plane_forget(struct sim_plane *p);

void plane_set_disk(struct sim_plane *p, struct plane_request *req);
void plane_disk_leave(struct sim_plane *p, uint32_t role);
void plane_close_leaving(struct sim_plane *p);
/* What they have done is taken from all of them. */
void plane_hear_disks(struct sim_plane *p);
void plane_window(struct sim_plane *p, struct plane_request *req);
void plane_sync(struct sim_plane *p, struct plane_request *req);
void plane_suspend(struct sim_plane *p, struct plane_request *req);
void plane_drain(struct sim_plane *p, struct plane_request *req);
void plane_need(struct sim_plane *p, struct plane_request *req);
void plane_set_events(struct sim_plane *p, struct plane_request *req);
void plane_look_at(struct sim_plane *p, struct plane_request *req);

/* --- sim_plane_start.c --------------------------------------------------------------- */

int plane_disk_open(struct sim_plane *p, uint32_t role, const struct metadata_view *v,
		    struct err *err);
void plane_start(struct sim_plane *p, struct plane_request *req);
void plane_stop(struct sim_plane *p, struct plane_request *req);
/* Not from within a callback of what is freed. */
void plane_end_stop(struct sim_plane *p);
bool plane_is_quiet(const struct sim_plane *p);
/* Every disk fails at once, and what waits for one goes on, until nothing is left. */
void plane_wind_down(struct sim_plane *p);
void plane_take_apart(struct sim_plane *p);
