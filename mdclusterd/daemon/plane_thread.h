/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A thread that has one array's data plane (plane_work.h), and the plane that the array's
 * cluster side sees of it: requests and posts go down by one mailbox, so that they keep
 * their order; answers and news come up by another. Disks, front end and clients never
 * wait for the cluster's thread, nor it for them.
 */
#pragma once

#include <stdint.h>

struct err;
struct lease;
struct loop;
struct plane;
struct plane_thread;
struct plane_work_config;

/* loop: of the array's thread. What config points to is borrowed. NULL with a sentence. */
struct plane_thread *plane_thread_new(struct loop *loop, const struct plane_work_config *config,
				      const struct lease *lease, struct err *err);
/* Behind a PLANE_STOP, or before any START. Waits for the thread. NULL is fine. */
void plane_thread_free(struct plane_thread *t);

struct plane *plane_thread_plane(struct plane_thread *t);
void plane_thread_set_budget(struct plane_thread *t, uint64_t budget_bytes);
