/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What `locks` prints of one lockspace: tables for people, an object of
 * mdcluster-json(7) for programs. Nodes are called by their names, and where they have
 * none "#7"; all that comes from the dump is fit for a terminal.
 */
#pragma once

#include <stdbool.h>
#include <stdio.h>

#include <jansson.h>

#include "lockres/dump.h"

struct err;

struct show_locks {
	const struct lock_dump *dump;
	const struct lock_dump_space *space;
	bool is_all;      /* what holds nothing that excludes anybody, too; and flags */
	bool is_waiting;  /* of resources for which somebody waits, alone */
	bool has_history;
	bool is_quiet;    /* not a word of what is left out */
};

/* 0, -ENOMEM with a sentence. */
int show_locks(const struct show_locks *show, FILE *to, struct err *err);
/* The steps of all resources, as one story. */
int show_lock_history(const struct show_locks *show, FILE *to, struct err *err);
json_t *show_locks_json(const struct show_locks *show);

/*
 * Granted locks that exclude each other (T1) are told as an error: it is a fault of the
 * lock manager. 0 or -EBADMSG.
 */
int show_locks_check(const struct show_locks *show, struct err *err);

/* --- for these -------------------------------------------------------------------------- */

enum {
	SHOW_NAME_BYTES = 4 * LOCK_MAX_NAME + 1,
	SHOW_VALUE_BYTES = 512,
	SHOW_WHY_BYTES = 512,
};

/* Each returns `to`. */
char *show_node(const struct show_locks *show, uint32_t node, char to[SHOW_NAME_BYTES]);
char *show_resource(const struct lock_dump_resource *r, char to[SHOW_NAME_BYTES]);
/* What the lock value says, by the resource's name; "" where there is nothing to say. */
char *show_value(const struct show_locks *show, const struct lock_dump_resource *r,
		 char to[SHOW_VALUE_BYTES]);
/* The fields "says", "message", "nack", "window". */
void show_value_json(const struct show_locks *show, const struct lock_dump_resource *r,
		     json_t *o);

/* Why nobody is granted anything, and what ends that; "" where the lockspace runs. */
char *show_frozen_why(const struct show_locks *show, char to[SHOW_WHY_BYTES]);
char *show_frozen_until(const struct show_locks *show, char to[SHOW_WHY_BYTES]);

bool show_is_waited_for(const struct lock_dump_resource *r);
/*
 * What a lock waits for: that locks in its way are given up, or, where there are none,
 * its turn: behind the head of the queues. NULL: neither.
 */
const struct lock_view *show_ahead(const struct lock_dump_resource *r,
				   const struct lock_view *lock);
