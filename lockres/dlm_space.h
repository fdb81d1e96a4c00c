/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The engine on libdlm, for the files it is made of:
 *
 *	lockspace_dlm.c  what is called: open, close, lock, unlock
 *	dlm_calls.c      calls to the thread
 *	dlm_news.c       what comes back, through the gate
 *	dlm_members.c    the group: slots, prep, slot, done; the barrier
 *	dlm_guard.c      a lockspace of another engine, which knows who may still live
 *
 * Callbacks come from the loop, never from within a call: what a call brings about by
 * itself is queued, as a job that was never written, or for space->soon.
 */
#pragma once

#include "base/err.h"
#include "base/loop.h"
#include "lockres/dlm_dump.h"
#include "lockres/dlm_gate.h"
#include "lockres/dlm_lock.h"
#include "lockres/dlm_slots.h"
#include "lockres/dlm_thread.h"
#include "lockres/lockspace_dlm.h"

struct lockspace_dlm {
	struct lockspace_engine base;
	struct lockspace_dlm_config config;
	struct lockspace_dlm_ops ops;
	void *owner;
	struct qb_list_head spaces;
	struct lockspace_dlm_stats stats;
};

enum { DLM_CLAIM_BLOCKERS = 8 };

/* A lock of this node in the kernel: a lockres's, or nobody's any more. */
struct dlm_claim {
	struct dlm_space *space;
	struct lockres *lock; /* NULL: it is to be unlocked, or the barrier */
	struct dlm_lock state;
	struct loop_timer *deadline, *again;
	struct dlm_call again_call;
	bool is_barrier;
	bool is_lost;         /* its end was told: -ESTALE */
	uint32_t late_for[DLM_CLAIM_BLOCKERS]; /* who was in the way at the deadline */
	size_t late_count;
	unsigned int blocked; /* bits of modes, to be told behind a completion */
};

/* What came from the kernel and waits at the gate. */
struct dlm_news {
	struct qb_list_head link;
	struct dlm_job *job; /* a call that is back; NULL: a result */
	struct dlm_result result;
	uint64_t round;
	bool is_free; /* it was never written: no gate for it */
};

enum dlm_space_state {
	DLM_SPACE_OPENING, /* in the kernel */
	DLM_SPACE_JOINING, /* and the group, until the first done */
	DLM_SPACE_IN,
	DLM_SPACE_LOST,
	DLM_SPACE_CLOSING,
};

enum { DLM_SPACE_LINGERERS = LOCKSPACE_MAX_SLOTS };

struct dlm_space {
	struct lockspace base;
	struct lockspace_dlm *d;
	struct lockspace_handlers handlers;
	void *owner;
	struct qb_list_head link;
	char name[LOCKSPACE_MAX_NAME];
	size_t name_length;
	char kernel_name[DLM_NAME_ROOM];
	enum dlm_space_state state;
	struct err why;       /* lost: it is to be told */
	bool has_news_of_loss;
	bool has_ended;       /* no request is under way any more: all were told so */

	struct dlm_thread *thread;
	struct dlm_job *open_job;     /* until it is submitted */
	struct dlm_job *last_jobs[2]; /* from the start: closing needs no memory */
	int fd; /* -1: not open */
	struct dlm_claim **claims; /* by cookie; [0] is none */
	size_t claim_room, claim_hint; /* none is free before the hint */
	struct dlm_claim *barrier;
	size_t calls_out;            /* submitted, and not told */
	struct qb_list_head waiting; /* struct dlm_job: until this node is in */
	struct qb_list_head news;    /* struct dlm_news, oldest first (V5) */
	struct loop_job soon;
	struct loop_timer *tick;

	struct lockspace *guard;     /* NULL: none is wanted, or it is closed */
	bool is_guard_on;            /* it runs: nobody is missing there */

	struct group *group;
	struct qb_list_head outbox; /* for which there was no credit */
	struct dlm_slots slots;
	struct dlm_gate gate;
	bool is_barrier_back;
	/* Members to the kernel, as of the last done; and the dead that still are. */
	struct dlm_kernel_member {
		uint32_t node;
		uint64_t number;
		bool is_lingering;
		bool is_told; /* we said that it is dead */
	} kernel_members[DLM_SPACE_LINGERERS];
	size_t kernel_member_count;
};

/* dlm_calls.c */
struct dlm_claim *dlm_claim_new(struct dlm_space *space, struct lockres *lock);
void dlm_claim_free(struct dlm_claim *claim);
struct dlm_claim *dlm_claim_of(const struct dlm_space *space, uint32_t cookie); /* or NULL */
void dlm_job_submit(struct dlm_space *space, struct dlm_job *job);
int dlm_call_post(struct dlm_claim *claim, const struct dlm_call *call);
int dlm_purge_post(struct dlm_space *space, uint32_t node);
/* This node is in: what waited is written. */
void dlm_waiting_submit(struct dlm_space *space);
/* The lockres's know nothing of their claims any more. */
void dlm_claims_detach(struct dlm_space *space);
/* DLM_JOB_MARK, and DLM_JOB_CLOSE. Once each. */
void dlm_last_submit(struct dlm_space *space, enum dlm_job_kind kind);
void dlm_jobs_free(struct qb_list_head *jobs);

/* dlm_news.c */
void dlm_space_told(void *owner, struct dlm_job *job);
void dlm_space_readable(void *owner, int fd, uint32_t poll_events);
/* Whatever may go on goes on. */
void dlm_space_settle(struct dlm_space *space);
/* All that is under way ends with -ESTALE. */
void dlm_space_end_requests(struct dlm_space *space);

/* dlm_members.c */
void dlm_members_init(struct dlm_space *space, const struct lockspace_config *config);
int dlm_members_join(struct dlm_space *space, int fd, struct err *err);
/* From group or kernel: the barrier, done, and who is dead to the kernel. */
void dlm_members_settle(struct dlm_space *space);
/* Somebody is missing, or dead and not dropped: look at the kernel now and then. */
bool dlm_members_watch(const struct dlm_space *space);
bool dlm_group_is_pending(const struct dlm_space *space);
/* A message of ours, out and back. */
uint64_t dlm_members_round(struct dlm_space *space);
void dlm_members_barrier_over(struct dlm_space *space);
void dlm_members_free(struct dlm_space *space);

/* This node, or somebody in the guard, is not sure of the others: prep, and no done. */
void dlm_members_hold(struct dlm_space *space);

/* dlm_guard.c: as config.guards asks for it. */
int dlm_guard_open(struct dlm_space *space, struct err *err);
bool dlm_guard_holds(const struct dlm_space *space);
/*
 * Dead to the kernel, which is a proof: the guards are told. False: the guard does not miss
 * it yet, and would not hear; again later.
 */
bool dlm_guard_dead(struct dlm_space *space, uint32_t node);
/* All is given up: the guard last, then dlm_space_closed(). */
void dlm_guard_close(struct dlm_space *space);

/* lockspace_dlm.c */
/* In the kernel: by the thread. */
void dlm_space_begin(struct dlm_space *space);
void dlm_space_lose(struct dlm_space *space, const struct err *why);
/* The kernel has given it up: closed(), and the end. */
void dlm_space_closed(struct dlm_space *space);
/* The group is left: now the kernel's lockspace. */
void dlm_space_release(struct dlm_space *space);
/* All that was asked for before the closing is written: on to leaving the group. */
void dlm_space_marked(struct dlm_space *space);
