/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the engine's files share: engine.c (life), engine_events.c (what it tells). */
#pragma once

#include "base/loop.h"
#include "mdclusterd/daemon/cluster.h"
#include "mdclusterd/daemon/config.h"
#include "mdclusterd/daemon/event_hub.h"
#include "mdclusterd/daemon/supervisor.h"

struct engine {
	const struct options *options;
	struct config *config;
	struct loop *loop;
	struct event_hub *events;
	struct cluster *cluster;
	struct qb_list_head units;  /* unit_private.h */
	struct autostart *autostart;
	struct re_add *re_add;
	struct engine_proof *proof;
	struct engine_guard *guard;
	struct kernel_watch *kernels;
	struct control_server *control;
	struct qb_list_head calls;  /* under way: methods_private.h */
	uint64_t started_ns;

	struct loop_timer *alive, *last_word;
	bool is_clean;          /* all arrays were left */
	bool is_alone;          /* they could not be: there was no quorum */
	bool was_quorate;       /* as events have it: changes of the ring in between left out */
	bool is_stopping;
	bool is_orphaned;       /* the supervisor is gone */
	bool is_broken;         /* left the ring by itself */
	int exit_code;
};

const struct cluster_ops *engine_cluster_ops(void);
/* With nodes by name. */
void engine_look_at_quorum(struct engine *e, struct quorum_look *look);

/* An event of the cluster; of a node where node is not 0. */
void engine_tell(struct engine *e, int priority, const char *kind, uint32_t node,
		 const char *fmt, ...) __attribute__((format(printf, 5, 6)));
/* An event of a disk of an array, told by the node that it is of. */
void engine_tell_disk(struct engine *e, int priority, const char *kind, const char *array,
		      const char *disk, const char *fmt, ...)
	__attribute__((format(printf, 6, 7)));
const char *engine_node_name(const struct engine *e, uint32_t node);
/*
 * What arrays, locks and messages say of "node 3", which is all that they know, with its name.
 * As much as there is room for. Returns `to`.
 */
char *engine_name_nodes(const struct engine *e, const char *text, char *to, size_t room);
/* For who looks at the unit: one line. */
void engine_tell_status(const struct engine *e);

struct array_event;
void engine_tell_array(struct engine *e, const struct array_event *event);

/* engine_proof.c */
int engine_proof_open(struct engine *e, struct err *err);
void engine_proof_close(struct engine *e);
void engine_proof_look(struct engine *e); /* something has changed */
void engine_proof_is_back(struct engine *e, int index); /* on the ring */
void engine_proof_reload(struct engine *e);
/* "" where nothing is waited for; to: PROOF_TEXT_BYTES. Returns `to`. */
char *engine_proof_waits(const struct engine *e, uint32_t node, char *to);

/* engine_guard.c: watchdogs, this node's and what the others say of theirs. */
int engine_guard_open(struct engine *e, struct err *err); /* before cluster_start() */
void engine_guard_close(struct engine *e);
void engine_guard_free(struct engine *e);                 /* after cluster_close() */
struct fence_guard;
void engine_guard_of(struct engine *e, int index, uint64_t incarnation, struct fence_guard *to);

/* This node was fenced by others: it stops, gates first. */
void engine_is_fenced(struct engine *e, const char *why);
/* engine_reserve.c: what the node may write to; paths: `room` pointers, borrowed. */
struct fence_reservation;
void engine_reservation(struct engine *e, uint32_t node, struct fence_reservation *r,
			char **paths, size_t room);

/* Who waits for the end of a pass; in its owner's memory until done(). */
struct proof_waiter {
	struct qb_list_head link;
	uint32_t node;
	void (*done)(void *owner, uint32_t level, const char *why); /* level 0: failed */
	void *owner;
};
/* A person wants it fenced, by that level or (0) by all: proof.h, F1. */
int engine_proof_demand(struct engine *e, int index, uint32_t level, struct proof_waiter *w,
			struct err *err);
void engine_proof_forget(struct proof_waiter *w); /* does not wait any more */
/* One attempt of a device, outside of all levels: for tests. */
struct fence_job;
struct fence_device;
struct fence_job *engine_proof_test(struct engine *e, const struct fence_device *d, int index,
				    void (*done)(void *owner, struct fence_job *job,
						 bool is_done, const char *why),
				    void *owner, struct err *err);

/* methods.c: the control socket. */
int methods_open(struct engine *e, struct err *err);
void methods_close(struct engine *e);

/*
 * Reads the configuration again, and takes over what may change. Names of what did, and of
 * what would need a new start, go to `changed`, once each.
 */
int engine_reload(struct engine *e,
		  void (*changed)(void *owner, const char *name, bool needs_restart),
		  void *owner, struct err *err);

void engine_stop(struct engine *e);
/* How long arrays may take to stop, which goes by the quorum. */
void engine_set_last_word(struct engine *e);
/* One array less; the last one at the end lets it go on. */
void engine_unit_is_gone(struct engine *e);
