/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A unit's inside: unit.c (its life), unit_look.c (what others see and say). */
#pragma once

#include "base/err.h"
#include "base/loop.h"
#include "mdclusterd/daemon/slots_look.h"
#include "mdclusterd/daemon/unit.h"

struct finder;
struct unit_reserve;
struct flight;
struct recorded;
struct registered;
struct kernel_watched;
struct metadata_thread;
struct plane_thread;

enum { SLOTS_WAIT_MS = 250 };

struct unit {
	struct qb_list_head link;      /* in engine.units */
	struct engine *engine;
	struct config_array config;    /* its own copy */
	char socket_path[512];

	struct finder *finder;
	struct unit_reserve *reserve;  /* NULL: not wanted */
	char **found;                  /* paths that it found */
	size_t found_count;
	struct metadata_thread *metadata;
	struct registered *registered; /* before it; NULL: no reservations */
	struct kernel_watched *watched; /* before that: rule 8 */
	struct plane_thread *plane;
	struct flight *flight;         /* where the recorder writes */
	struct recorded *recorded;     /* inputs of the array pass here */
	struct array *array;           /* NULL: not yet, or it could not start: why */
	struct err why, failed_why;

	struct loop_timer *timer, *retry;
	uint32_t retry_ms;
	uint64_t retry_at_ns;          /* of the timer */
	uint64_t degraded_at_ns;       /* not before, if at all */
	bool is_due;                   /* a disk came while it was being tried */
	bool is_stopping, is_looking, is_asking, was_active;
	bool is_closed_here;           /* its lockspace alone is open still (V7) */
	bool is_last;                  /* at its stop: no other node had it */
	struct plane_request asking;   /* PLANE_LOOK */
	struct plane_look look;
	struct qb_list_head lookers;   /* unit_looker.link */
	bool has_looked, has_look;     /* the plane has answered; and well */
	struct slots_look slots;       /* ... and the disks: not waited for long */
	struct loop_timer *slots_limit;
	struct unit_looker for_clients; /* before a stop that is not forced */
	struct loop_job soon, news, failure, closed, removal;
	struct qb_list_head starters, stoppers; /* unit_waiter.link */
	struct qb_list_head changes;   /* unit_change.link */
	struct qb_list_head grows;     /* unit_grow.link */
};

/* unit_look.c: whoever waits is answered; NULL: there is no plane. */
void unit_tell_lookers(struct unit *u, const struct plane_look *look);
