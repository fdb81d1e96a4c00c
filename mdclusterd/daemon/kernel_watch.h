/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * One owner (design, rule 8): before an array is used here the daemons of all nodes look
 * whether their kernels run it, or hold a lockspace of its uuid (kernel_ask.h). A look is files of
 * sysfs, procfs and configfs, read by a thread of its own, since a kernel that is in trouble
 * may keep it waiting.
 *
 * An array's metadata go through kernel_watched: its ASSEMBLE ends well only when all have
 * said no. One that is in use is asked about again when a node joins, for what runs there was
 * not asked about, and when the kernel of any node runs other arrays than before, which each
 * node sees of its own (kernel_notice.h) and tells. Where a kernel runs it by then, both write:
 * bitmaps, superblocks and data of each are overwritten by the other. So every node gives it
 * up, as one that was lost; its clients wait, and it comes back by itself, from what is on the
 * disks then, when it is stopped there. A lockspace alone writes nothing: that is told.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct engine;
struct err;
struct kernel_watch;
struct kernel_watched;
struct metadata_runner;

enum {
	KERNEL_WATCH_MS = 10000,       /* so long may a node look */
	KERNEL_WATCH_AGAIN_MS = 60000, /* somebody did not say: the next time */
};

/* Before cluster_start(). */
struct kernel_watch *kernel_watch_open(struct engine *e, struct err *err);
void kernel_watch_close(struct kernel_watch *w); /* NULL is fine */

struct kernel_watched_ops {
	/*
	 * No kernel runs it: what is to be done before it is used, and would be in a kernel's
	 * way. 0: nothing; -EINPROGRESS: kernel_watched_go_on() comes; else a sentence, and the
	 * ASSEMBLE ends with it.
	 */
	int (*is_free)(void *owner, struct err *err);
	/* It is in use here, and a kernel runs it, where says `why`: array_give_up(). */
	void (*is_elsewhere)(void *owner, const struct err *why);
};

/* `w`, `below` and `owner` are borrowed. NULL: no memory. */
struct kernel_watched *kernel_watched_new(struct kernel_watch *w, const char *array,
					  struct metadata_runner *below,
					  const struct kernel_watched_ops *ops, void *owner);
struct metadata_runner *kernel_watched_runner(struct kernel_watched *k);
void kernel_watched_go_on(struct kernel_watched *k, const struct err *result);
/* What was said may not hold any more: asked again, where it is in use. */
void kernel_watched_again(struct kernel_watched *k);
/* Behind `below`, which calls nothing any more. NULL is fine. */
void kernel_watched_free(struct kernel_watched *k);
