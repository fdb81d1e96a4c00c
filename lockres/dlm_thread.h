/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The thread that talks to the kernel for one lockspace: a write() to its device
 * waits, uninterruptibly, for as long as the lockspace recovers, and making one waits
 * for the cluster. Jobs are done one after the other; what came of each is told in
 * the loop's thread, in that order.
 *
 *	submit() -> todo -> open, write, close -> done -> told()
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include <qb/qblist.h>

#include "base/err.h"
#include "lockres/dlm_device.h"

struct dlm_thread;
struct loop;

enum dlm_job_kind {
	DLM_JOB_OPEN,
	DLM_JOB_CALL,
	DLM_JOB_MARK,  /* nothing: all before it is done */
	DLM_JOB_CLOSE, /* the last */
};

/* Its owner's again when it is told. */
struct dlm_job {
	struct qb_list_head link;
	enum dlm_job_kind kind;
	struct dlm_call call; /* lkid 0: of the lock with this cookie */
	char name[LOCK_MAX_NAME];
	int result;           /* as write() has it, -errno; an fd of an open */
	struct err err;       /* of an open */
	bool wants_fencing;   /* of an open: only where dlm_controld fences */
};

typedef void (*dlm_thread_fn)(void *owner, struct dlm_job *job);

struct dlm_thread *dlm_thread_new(struct loop *loop, const char *kernel_name,
				  dlm_thread_fn told, void *owner, struct err *err);
void dlm_thread_submit(struct dlm_thread *thread, struct dlm_job *job);
/*
 * Behind DLM_JOB_CLOSE: at once. Else it closes first, and waits for that. Jobs that
 * are not told are freed.
 */
void dlm_thread_free(struct dlm_thread *thread);
