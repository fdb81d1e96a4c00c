/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * One owner (design, rule 8): before an array is used here the daemons of all nodes look
 * whether their kernels run it, or hold a lockspace of its uuid (kernel_ask.h); and again
 * when a node joins, for what runs there was not asked about. A look is files of sysfs,
 * procfs and configfs, read by a thread of its own, since a kernel that is in trouble may
 * keep it waiting.
 *
 * An array's metadata go through kernel_watched: its ASSEMBLE ends well only when all have
 * said no.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct engine;
struct err;
struct kernel_watch;
struct kernel_watched;
struct metadata_runner;

enum { KERNEL_WATCH_MS = 10000 }; /* so long may a node look */

/* Before cluster_start(). */
struct kernel_watch *kernel_watch_open(struct engine *e, struct err *err);
void kernel_watch_close(struct kernel_watch *w); /* NULL is fine */

/* All but `w` is borrowed. NULL: no memory. */
struct kernel_watched *kernel_watched_new(struct kernel_watch *w,
					  struct metadata_runner *below);
struct metadata_runner *kernel_watched_runner(struct kernel_watched *k);
/* Others have joined: asked again, for an array that is in use; what is found is told loudly. */
void kernel_watched_again(struct kernel_watched *k, const char *array);
/* Behind `below`, which calls nothing any more. NULL is fine. */
void kernel_watched_free(struct kernel_watched *k);
