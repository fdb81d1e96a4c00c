/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the files that call corosync's libraries share. */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>

#include <corosync/corotypes.h>
#include <corosync/cpg.h>

#include "base/errand.h"
#include "base/loop.h"

struct err;

/*
 * --- waiting: for ever, where corosync is stopped or hangs ---------------------------------
 *
 * Each library makes its table of handles at its first call, and that not for two threads at
 * once: errands that may be a library's first are waited for.
 */

enum {
	COROSYNC_ANSWER_MS = 5000,
	/* Its map it has in memory; and a supervisor with a watchdog of 2 s waits for that. */
	COROSYNC_MAP_MS = 1500,
};

/* A cs_error_t as -errno and what to do about it; `what` was asked for. */
int corosync_refusal(int error, const char *what, struct err *err);
/* errand_wait(), with a sentence if it does not answer. */
int corosync_wait(struct errand *errand, uint32_t limit_ms, const char *what, struct err *err);

/* --- a connection of libcpg's ------------------------------------------------------------------ */

/* As corosync has it, less what is on the loop: what opens and closes it waits for corosync. */
struct corosync_seat {
	struct cpg_name name;
	cpg_model_v1_data_t model;
	void *context; /* of the callbacks */
	cpg_handle_t handle;
	bool is_open, has_joined;
	unsigned int node; /* from when it is open */
};

/* mdclusterd's groups of a cluster, by prefix. */
void corosync_name_group(struct cpg_name *to, const char *prefix, const char *cluster);

/*
 * From one state of a seat to another: left, then opened, then joined, each where it is asked
 * for. The seat is the passage's meanwhile, and nobody dispatches it.
 */
struct corosync_passage {
	struct errand errand;
	struct corosync_seat seat;
	bool leaves, opens, joins;
	atomic_bool is_abandoned; /* a group that cannot be joined now is not waited for */
	cs_error_t error;
};

/* NULL: no memory. */
struct corosync_passage *corosync_passage_new(const struct corosync_seat *seat);
