/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The data plane of one array in its own thread: disks, intent, mirror, front end, on one
 * loop. It does what plane.h asks for; plane_thread.h carries that there and back.
 *
 *	start     disks opened, own slot loaded, mirror behind the parking
 *	serve     the NBD socket, once; it stays until the array is stopped
 *	lost      mirror and intent go without a write; clients park (parking.h)
 *	stop      front end closed, mirror ended, intent settled, all freed
 *
 * The lease is looked at several times while it lasts, and handed to the mirror, which looks
 * at it before each write (A5).
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct err;
struct lease;
struct loop;
struct plane_request;
struct plane_work;

struct plane_work_config {
	const char *name;              /* the array's: the export's */
	const char *socket_path;       /* NULL: it is not exported */
	uint32_t socket_mode;
	const char *socket_group;      /* NULL: root's alone */
	uint64_t intent_budget_bytes;  /* 0: 30 s of resync, as measured */
	bool fails_without_quorum;
	uint32_t lease_ms;
	uint32_t max_read_errors;
};

/* In the thread of the loop. */
struct plane_work_ops {
	void (*done)(void *owner, struct plane_request *req, int result);
	void (*disk_failed)(void *owner, uint32_t role, const struct err *why);
	void (*differs)(void *owner, uint64_t sector, uint64_t sectors);
	void (*needs)(void *owner, uint64_t needed_chunks);
	void (*corrected)(void *owner, uint32_t role, uint64_t low, uint64_t high,
			  uint64_t sectors);
};

/* config and its strings are borrowed, lease too. NULL: no memory. */
struct plane_work *plane_work_new(struct loop *loop, const struct plane_work_config *config,
				  const struct lease *lease, const struct plane_work_ops *ops,
				  void *owner);
/* After a PLANE_STOP that was not is_lost, or before any START. NULL is fine. */
void plane_work_free(struct plane_work *w);

void plane_work_request(struct plane_work *w, struct plane_request *req);
void plane_work_set_gate(struct plane_work *w, bool is_open);
void plane_work_set_single_source(struct plane_work *w, bool is_on);
void plane_work_failure_known(struct plane_work *w, uint32_t role);
void plane_work_set_speed(struct plane_work *w, uint64_t max_bytes);
void plane_work_set_budget(struct plane_work *w, uint64_t budget_bytes);
void plane_work_cancel_sync(struct plane_work *w);
