/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Tells when the kernel of this host runs other arrays than before: soon, for poll(2) of
 * /proc/mdstat says that something happened to one, and after KERNEL_NOTICE_MS in any case,
 * since that file comes with the module. Only other arrays are told, not what they do.
 *
 * A thread of its own looks, since a kernel that is in trouble may keep it waiting; it is not
 * waited for at the end.
 */
#pragma once

#include "base/loop.h"

struct err;
struct kernel_notice;

enum {
	KERNEL_NOTICE_MS = 5000,
	KERNEL_NOTICE_PAUSE_MS = 200, /* between an event and a look: they come in bursts */
};

/* `root` stands before all paths; copied. NULL with a sentence. */
struct kernel_notice *kernel_notice_open(struct loop *loop, const char *root, loop_fn changed,
					 void *owner, struct err *err);
void kernel_notice_close(struct kernel_notice *n); /* NULL is fine */
