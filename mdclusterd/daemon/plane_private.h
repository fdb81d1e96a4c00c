/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the plane's files share: plane_work.c (its life and clock), plane_start.c (start and
 * stop), plane_disks.c (roles), plane_sync.c (windows, resync, looking).
 */
#pragma once

#include <sys/types.h>

#include <qb/qblist.h>

#include "base/err.h"
#include "base/loop.h"
#include "bitmap/intent.h"
#include "bitmap/slot.h"
#include "mdclusterd/array/plane.h"
#include "mdclusterd/daemon/parking.h"
#include "mdclusterd/daemon/plane_work.h"
#include "mdclusterd/mirror/mend.h"
#include "mdclusterd/mirror/mirror.h"
#include "mdclusterd/nbd/nbd.h"

/* A disk and where it is watched; it may outlive its role, while it hangs. */
struct plane_disk {
	struct qb_list_head link; /* in leaving */
	struct plane_work *work;
	struct disk *disk;
	dev_t device;             /* of a file: where it is, and its number */
	ino_t file;               /* 0: a device */
	uint8_t device_uuid[16];
};

/* A request under way, with what the mirror and the intent need for it. */
struct plane_step {
	struct qb_list_head link; /* plane_work.steps */
	struct plane_work *work;
	struct plane_request *req;
	struct mirror_request mirror;
	struct intent_request intent;
	struct mirror_sync sync;
	struct mirror_change change;
};

struct plane_work {
	struct plane_work_config config;
	struct loop *loop;
	const struct lease *lease;
	const struct plane_work_ops *ops;
	void *owner;
	struct qb_list_head steps; /* requests that are not answered */

	struct plane_disk *disks[METADATA_MAX_DISKS]; /* by role; NULL: none */
	uint32_t raid_disks;
	struct qb_list_head leaving;  /* plane_disk.link: closed when nothing is in flight */
	struct bitmap_slot slot;
	bool has_slot;
	struct intent *intent;
	struct mirror *mirror;
	struct mend mend;
	bool has_parking, has_clients_cut;
	struct parking parking;
	struct nbd_server *server;

	bool is_gate_open, is_single_source;
	uint64_t max_bytes;
	uint64_t chunk_sectors;
	struct plane_step *sync;      /* under way; NULL: none */
	struct plane_step *stop;      /* the same */
	bool is_mirror_stopped, is_settled, is_server_closed;

	struct loop_job soon;
	struct loop_timer *timer;
	uint64_t timer_at;
	struct loop_timer *lease_timer;
	uint64_t looked_at;           /* at the clock; the lease's timer sees to that */
};

/* plane_work.c */
struct plane_step *plane_step_new(struct plane_work *w, struct plane_request *req);
void plane_step_done(struct plane_step *step, int result); /* frees it */
void plane_refuse(struct plane_work *w, struct plane_request *req, int result,
		  const char *why);
/* What mirror and intent have due is done soon, and from then on in time. */
void plane_kick(void *work);
void plane_apply_gate(struct plane_work *w);

/* plane_start.c */
void plane_start(struct plane_work *w, struct plane_request *req);
void plane_serve(struct plane_work *w, struct plane_request *req);
void plane_stop(struct plane_work *w, struct plane_request *req);
void plane_go_on_stopping(struct plane_work *w);
bool plane_has_lease(const struct plane_work *w); /* D13, at this instant */

/* plane_disks.c */
int plane_disk_open(struct plane_work *w, uint32_t role, const struct metadata_disk *m,
		    struct err *err);
/* What was submitted in this turn of the loop. */
void plane_disks_go(struct plane_work *w);
/* Not waiting: once nothing of it is in flight. */
void plane_disk_leave(struct plane_work *w, uint32_t role);
void plane_close_leaving(struct plane_work *w);
/* What they have done is taken from all of them. */
void plane_disks_hear(struct plane_work *w);
bool plane_disk_is_rotational(const char *path);
void plane_set_disk(struct plane_work *w, struct plane_request *req);

/* plane_sync.c */
void plane_need(struct plane_work *w, struct plane_request *req);
void plane_suspend(struct plane_work *w, struct plane_request *req);
void plane_events(struct plane_work *w, struct plane_request *req);
void plane_window(struct plane_work *w, struct plane_request *req);
void plane_sync(struct plane_work *w, struct plane_request *req);
void plane_drain(struct plane_work *w, struct plane_request *req);
void plane_look(struct plane_work *w, struct plane_request *req);
