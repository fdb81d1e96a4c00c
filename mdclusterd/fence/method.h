/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Methods to prove a death, each in its own file, behind one interface: a job is one attempt
 * of one device at one node, in the loop of who asks. Jobs know nothing of levels, retries or
 * timeouts (proof.h).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "mdclusterd/fence/plan.h"

struct err;
struct loop;

enum fence_action {
	FENCE_KILL, /* done when the node writes nothing any more, and will not */
	FENCE_TEST, /* touches nothing: would it work? */
	FENCE_REVIVE, /* after a level of several devices: what was switched off, on again */
};

/* For reservations: what the node may write to. */
struct pr_transport;
struct fence_reservation {
	const struct pr_transport *transport;
	char *const *paths;
	size_t path_count;
	uint64_t key, victim;
	char why_not[128];                 /* "": nothing is in the way */
};

/* For watchdogs: what the node has said of itself. */
struct fence_guard {
	uint64_t expiry_ns;                /* 0: of that incarnation nothing */
	bool is_missing;
	uint64_t since_ns;                 /* nobody here was on a ring with it; clock of boot */
	/* All that, anew, before it counts. NULL: it stays so. */
	void (*look)(void *owner, uint32_t node, uint64_t incarnation, struct fence_guard *to);
	void *owner;
};

struct fence_request {
	const struct fence_device *device; /* all of the request is borrowed for start() */
	enum fence_action action;
	const char *name;                  /* the node's */
	uint32_t node;
	uint64_t incarnation;
	const struct fence_reservation *reservation; /* NULL: of other methods */
	const struct fence_guard *guard;   /* the same */
	bool is_one_of_many;               /* of its level: off alone will do, not a reboot */
};

/* What every job begins with. */
struct fence_job {
	const struct fence_method *method;
};

/* why: of a failure; or what a test has to say. One line. */
typedef void (*fence_done_fn)(void *owner, struct fence_job *job, bool is_done,
			      const char *why);

struct fence_method {
	/* done(): once, not from within, unless freed; frees nothing. NULL with a sentence. */
	struct fence_job *(*start)(struct loop *loop, const struct fence_request *req,
				   fence_done_fn done, void *owner, struct err *err);
	void (*stop)(struct fence_job *job); /* done() comes soon */
	void (*free)(struct fence_job *job);
};

/* An external program: COMMAND NAME ID INCARNATION; 0 is success. */
extern const struct fence_method fence_method_command;
/* Of the fence-agents package, by its protocol (agent.h). */
extern const struct fence_method fence_method_agent;
/* Its key is preempted on the disks that it may write to. */
extern const struct fence_method fence_method_reservation;
/* Its own watchdog resets it, or has. */
extern const struct fence_method fence_method_watchdog;
