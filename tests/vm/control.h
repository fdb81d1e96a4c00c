/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A socket that takes commands, for the helpers of a lab: a line of words each,
 * answered by one line, "ok [ANSWER]" or "error SENTENCE".
 */
#pragma once

struct err;
struct loop;
struct vm_control;

enum { VM_CONTROL_BYTES = 1024, VM_CONTROL_WORDS = 8 };

/* Says what there is to say in `answer`, of VM_CONTROL_BYTES, empty at first. */
typedef int (*vm_control_fn)(void *owner, char *words[], unsigned int count, char *answer,
			     struct err *err);

/* Lives as long as its process. */
struct vm_control *vm_control_new(struct loop *loop, const char *path, vm_control_fn fn,
				  void *owner, struct err *err);

/* A unix socket that listens there, whatever there was; or -errno. */
int vm_listen(const char *path, struct err *err);
