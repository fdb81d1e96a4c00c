/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Lockspaces in the kernel: who has one, taking it, giving it up; and what sysfs,
 * configfs and debugfs show of it. Calls that say so wait for the cluster.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct err;

/* dlm_host_check() on this host. */
int dlm_kernel_check(const char *name, size_t name_length, const char *kernel_name,
		     struct err *err);

/*
 * Waits, 30 s at most. dlm_host_check_fencing() with what dlm_tool says; -ETIMEDOUT,
 * -ENOENT: it says nothing.
 */
int dlm_kernel_check_fencing(struct err *err);

/*
 * Waits. Takes the lockspace: makes it, or opens the one that a process of ours left
 * there, so that the kernel's count of makers stays 1. Gives libdlm's handle.
 */
int dlm_kernel_open(const char *kernel_name, void **handle, struct err *err);
int dlm_kernel_fd(void *handle);
/*
 * Waits. Gives all locks up; then leaves the lockspace, unless there are orphans, which
 * would be lost. True: it is left.
 */
bool dlm_kernel_close(const char *kernel_name, void *handle);
/* Waits. The same of one that nobody here has open. */
bool dlm_kernel_leave(const char *kernel_name);

/*
 * Which member of the lockspace this node is to the kernel: 0, it is none. Another
 * number than before: it was none in between.
 */
uint64_t dlm_kernel_member(const char *kernel_name, uint32_t node);

/* The dump of the locks; free() it. NULL: it cannot be read. */
char *dlm_kernel_dump(const char *kernel_name, size_t *length);
