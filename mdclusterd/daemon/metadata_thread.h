/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A thread that does one array's metadata requests, one after the other, since they wait
 * for disks; its answers come on the asker's loop. It opens its disks first and
 * closes them last, so that the claim on devices (DISK_SHARED) is its own.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct err;
struct lease;
struct loop;
struct metadata_runner;
struct metadata_thread;

/*
 * loop: the asker's. lease: borrowed; when it is over nothing is written any more, amid a
 * request too (D13). patterns: where the array's disks may be, as of glob(7); not kept. NULL
 * with a sentence.
 */
struct metadata_thread *metadata_thread_new(struct loop *loop, const struct lease *lease,
					    char *const *patterns, size_t count,
					    struct err *err);
/* Waits for what is being done; what was not begun is not, and not answered. NULL is fine. */
void metadata_thread_free(struct metadata_thread *t);

/* Nothing is asked that was not answered. */
bool metadata_thread_is_idle(const struct metadata_thread *t);

struct metadata_runner *metadata_thread_runner(struct metadata_thread *t);
