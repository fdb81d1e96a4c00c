/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the commands ask a daemon, and the options by which it is found. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include <jansson.h>

#include "mdclusterd/control/mdcluster.h"
#include "tools/cli.h"

struct err;
struct status;

#define DAEMON_OPTIONS                                                       \
	{ "run-dir", 0, "DIR",                                               \
	  "run directory of the daemon (default: $MDCLUSTER_RUN_DIR, or /run/mdcluster)" }

/* Behind the sentence that nobody answers. */
#define DAEMON_HINT ": is it started, and is that its run directory (--run-dir)?"

/* A daemon that is stopped must not stop who asks how it is. */
enum { DAEMON_TIMEOUT_MS = 10000 };

/* NULL with a sentence. mdcluster_free() it. Waits for answers for ever. */
struct mdcluster *daemon_open(const struct cli_args *args, struct err *err);

/*
 * Asks once, takes `parameters` (may be NULL), and waits for DAEMON_TIMEOUT_MS. NULL with a
 * sentence, else a new reference.
 */
json_t *daemon_ask(const struct cli_args *args, const char *method, json_t *parameters,
		   struct err *err);

/* The same on a connection that is open; each() is given the answers before the last. */
json_t *daemon_follow(struct mdcluster *c, const char *method, json_t *parameters,
		      int (*each)(void *owner, const json_t *answer), void *owner,
		      struct err *err);

/*
 * A change was asked for, and the daemon has gone before it answered: nobody knows what has come
 * of it, and the sentence says so.
 */
void daemon_doubt(struct err *err);

/* status_fini() it. */
int daemon_status(const struct cli_args *args, struct status *s, struct err *err);

/* mdadm's names of an array: "/dev/md/web", "md/web" are "web"; "/dev/md0" is "0". */
const char *daemon_array_name(const char *word);
