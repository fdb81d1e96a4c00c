/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the files of the rig share: lock_rig.c steps; lock_rig_apply.c what they do;
 * lock_rig_engine.c what owners ask for; lock_rig_inbox.c what owners are told. */
#pragma once

#include <qb/qblist.h>

#include "base/err.h"
#include "lockres/table.h"
#include "tests/unit/lock_rig.h"

enum rig_op_kind {
	RIG_OPEN,
	RIG_CLOSE, /* when frozen too, and then without what was asked for before it */
	RIG_LOCK, RIG_UNLOCK, RIG_PURGE,
	RIG_PROVE, /* when frozen too, as the next */
	RIG_THAW,
};

struct rig_op {
	struct qb_list_head link;
	enum rig_op_kind kind;
	struct rig_space *space;  /* prove, thaw: NULL */
	uint32_t number;          /* lock */
	enum lock_mode mode;
	uint32_t flags, waiter;
	size_t name_length;
	char name[LOCK_MAX_NAME];
	uint8_t value[LOCK_MAX_LVB];
	uint32_t node;            /* prove, purge: whom */
	uint64_t incarnation;     /* prove: up to this */
	enum lock_death death;
};

enum rig_event_kind {
	RIG_DONE, RIG_BLOCKED, RIG_PREP, RIG_SLOT, RIG_GO_ON, RIG_LOST, RIG_CLOSED,
};

struct rig_event {
	struct qb_list_head link;
	enum rig_event_kind kind;
	struct rig_space *space;
	uint32_t number;
	bool is_last;             /* of an unlock by force */
	struct lock_result result;
	bool has_value;
	uint8_t value[LOCK_MAX_LVB];
	enum lock_mode wanted;
	uint32_t node;
	int slot;
	struct lockspace_member members[LOCK_RIG_MAX_NODES];
	size_t count;
	uint32_t generation;
	struct err why;
};

enum rig_space_state {
	RIG_OPENING,
	RIG_MEMBER,
	RIG_OUT, /* lost, closed, or its node was killed */
};

/* One opening of the lockspace by one process. */
struct rig_space {
	struct lockspace base;
	struct lock_rig *rig;
	struct qb_list_head link;
	int node;
	uint64_t incarnation;     /* of the process */
	enum rig_space_state state;
	bool is_closing;
	bool was_told;            /* recover_prep(), and no recover_done() since */
	bool is_gone;             /* closed() was the last call */
	int slots, wanted_slot;
	const struct lockspace_handlers *handlers;
	void *owner;
	struct qb_list_head locks;
	int begun;
	struct qb_list_head held; /* operations until the end */
};

struct rig_lock {
	struct qb_list_head link;
	struct rig_space *space;
	struct lockres *lock;
	uint32_t number;
	enum lock_mode wanted;    /* by the last request */
	uint64_t deadline_ns;     /* UINT64_MAX: none */
	bool is_late;             /* the cancel that is under way is the deadline's */
	bool is_forced;           /* an unlock ends whatever is under way */
};

/* A member by its slot. */
struct rig_member {
	struct rig_space *space;  /* NULL: nobody's */
	bool is_missing;
	bool is_proven;
	enum lock_death death;
};

struct rig_node {
	struct lockspace_engine engine; /* the first: engines are nodes */
	struct lock_rig *rig;
	int id;
	uint64_t incarnation;
	bool is_alive, is_cut, is_deaf;
	enum lock_death death;
	int refusal;
	int last_slot;            /* -1: it had none */
	struct rig_space *space;  /* open in its present process; or NULL */
	struct qb_list_head inbox;
};

struct lock_rig {
	struct rig_node nodes[LOCK_RIG_MAX_NODES + 1]; /* by id */
	int count;
	struct qb_list_head spaces;
	struct qb_list_head queue;
	struct lock_table *table;
	char name[LOCKSPACE_MAX_NAME];
	size_t name_length;
	struct rig_member members[LOCKSPACE_MAX_SLOTS];
	uint32_t generation;
	uint32_t last_number;
	uint64_t now_ns;
	unsigned int steps;
	bool is_telling;
	bool has_trace;
	uint64_t shuffle;         /* a seed; 0: all in order */
	char next[LOCK_MAX_NAME + 64];
};

extern const struct lockspace_engine_ops rig_engine_ops;

struct rig_op *rig_op_new(enum rig_op_kind kind, struct rig_space *space);
/* Behind all others. */
void rig_queue(struct lock_rig *rig, struct rig_op *op);
/* What this handle asked for, and was not applied, is dropped. */
void rig_drop_ops(struct lock_rig *rig, struct rig_space *space);
/* A number of this step, where all is shuffled. */
uint64_t rig_draw(const struct lock_rig *rig);
struct rig_member *rig_member_of(struct lock_rig *rig, int node);
bool rig_has_members(const struct lock_rig *rig); /* who live */
/* Nobody who lives has it: so it is nowhere. */
void rig_forget(struct lock_rig *rig);
void rig_tell_prep(struct lock_rig *rig);
void rig_thaw_next(struct lock_rig *rig);
void rig_apply(struct lock_rig *rig, struct rig_op *op);
struct rig_lock *rig_lock_find(struct rig_space *space, uint32_t number);

/* Puts an event into the inbox of the space's node; NULL where nobody hears. */
struct rig_event *rig_tell(struct rig_space *space, enum rig_event_kind kind);
/* Tells all that is to be told; true: there was something. */
bool rig_deliver(struct lock_rig *rig);
void rig_drop_events(struct rig_node *node);
/* -ESTALE for all that is under way, then LOST or CLOSED. */
void rig_put_out(struct rig_space *space, enum rig_event_kind kind,
		 const struct err *why);

/* Of the table, with the rig as owner. */
extern const struct lock_table_ops rig_table_ops;
