/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Something done to the reservations of some disks, in a thread of its own, for disks may
 * take their time; told in the loop. One disk that fails is named, and ends it.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct err;
struct loop;
struct pr_disk;
struct pr_job;

/* How to reach disks. */
struct pr_transport {
	int (*open)(const char *path, struct pr_disk *disk, struct err *err);
	void (*close)(struct pr_disk *disk);
};

/* SG_IO on /dev/sd* and the like: each command has 10 s. -EOPNOTSUPP: it is none. */
extern const struct pr_transport pr_transport_sg;

enum pr_task { PR_TASK_CHECK, PR_TASK_REGISTER, PR_TASK_WATCH, PR_TASK_PREEMPT, PR_TASK_LEAVE };

struct pr_job_config {
	enum pr_task task;
	const struct pr_transport *transport;
	char *const *paths;       /* copied */
	size_t path_count;
	uint64_t key, victim;
	bool is_last;             /* LEAVE */
	bool aborts;              /* PREEMPT */
};

/* result: code 0, or the sentence of the disk that failed. */
typedef void (*pr_job_fn)(void *owner, struct pr_job *job, const struct err *result);

/* done(): once, not from within, unless freed; frees nothing. NULL with a sentence. */
struct pr_job *pr_job_start(struct loop *loop, const struct pr_job_config *config,
			    pr_job_fn done, void *owner, struct err *err);
/* A thread that is at it ends by itself. NULL is fine. */
void pr_job_free(struct pr_job *job);
