/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the files of the lock manager share; lock_manager.h has the promises. */
#pragma once

#include <qb/qblist.h>

#include "lockres/engine.h"
#include "lockres/lock_manager.h"
#include "totem/group.h"
#include "totem/sync.h"
#include "totem/wire.h"

/* --- replicated: a lockspace as all nodes have it: manager_space.c --------------------- */

/*
 * The ring it was made on, and the open that made it: there is no other like it. The
 * count is for order only: where a configuration ends, some come to count others.
 */
struct space_id {
	uint64_t ring_seq;
	uint32_t count;
	uint32_t node, opening;
};

enum { SPACE_ID_BYTES = 8 + 4 + 4 + 4 };

/* Which of two states is newer (M4); equal ones are the same. */
struct space_version {
	struct ring_id epoch;
	uint64_t operations;
};

struct space_member {
	uint32_t node;        /* id */
	uint64_t incarnation; /* of the node's process */
	uint32_t opening;     /* of that, which */
	uint32_t ticket;      /* its number in this lockspace, never used again */
	int slot;
	uint64_t serial;      /* of its last operation that was applied */
	bool is_gone;         /* has closed while the lockspace was frozen */
	bool is_proven;       /* dead, as `death` says */
	enum lock_death death;
	bool is_missing;      /* not in the configuration; not told, each node looks */
};

struct space {
	struct lock_manager *manager;
	struct space_id id;
	char name[LOCKSPACE_MAX_NAME];
	uint8_t name_length;
	uint32_t lvb_bytes;
	int slots;
	struct space_version version;
	uint32_t last_ticket;
	uint32_t generation; /* of recover_done() */
	uint32_t thaw;       /* M5 */
	struct space_member members[TOTEM_MAX_NODES]; /* by slot; one a node */
	size_t member_count;
	int16_t last_slot[TOTEM_MAX_NODES]; /* by node index; -1: none yet */
	struct lock_table *table; /* owned */
	bool is_frozen;
	bool is_taken;            /* from others, since it ran last */
	bool is_ghost_said;       /* the close of a member whose handle is gone */
	struct handle *handle;    /* this node's, where it is a member; borrowed */
};

struct space *space_new(struct lock_manager *m, struct space_id id, const void *name,
			size_t name_length, uint32_t lvb_bytes, int slots);
void space_free(struct space *s); /* NULL is fine */
/* In this order they are everywhere. */
int space_compare_names(const void *a, size_t a_length, const void *b, size_t b_length);
struct space *space_named(const struct lock_manager *m, const void *name, size_t length);
struct space *space_find(const struct lock_manager *m, struct space_id id);
/* In its place by name; -ENOMEM, -ENOSPC. */
int space_insert(struct lock_manager *m, struct space *s);
/* All have left it: it is freed, and only its grave is left. */
void space_remove(struct space *s);
struct space_member *space_member_of(struct space *s, uint32_t node);
struct space_member *space_member_ticket(struct space *s, uint32_t node, uint32_t ticket);
/* 0; -ENOSPC: no slot is free; -EBADR. The node has no member there yet. */
int space_join(struct space *s, uint32_t node, uint64_t incarnation, uint32_t opening,
	       int wanted_slot);
void space_drop_member(struct space *s, struct space_member *member);
/* Nobody is in it, and nothing is held: it is not worth keeping. */
bool space_is_empty(const struct space *s);
/* Gone by its own word, or missing and dead by somebody's. */
bool space_member_is_over(const struct space_member *member);
/* D14: a member is missing, and nobody proved it dead. */
bool space_waits_for_proof(const struct space *s);
/* Thaws it, if all that it waits for is there. May free it. */
void space_consider(struct space *s);
/* The members to this node's handle: recover_done(). */
void space_tell_members(struct space *s);
enum lockspace_freeze space_freeze(const struct space *s);
static inline bool space_id_equal(struct space_id a, struct space_id b)
{
	return a.ring_seq == b.ring_seq && a.count == b.count && a.node == b.node &&
	       a.opening == b.opening;
}
/* -1: a is older than b; 0; 1 */
int space_version_compare(const struct space_version *a, const struct space_version *b);

/* --- local: what programs of this node asked for: manager_local.c ---------------------- */

enum lock_op {
	LOCK_OP_REQUEST = 1,
	LOCK_OP_CONVERT,
	LOCK_OP_UNLOCK, /* or cancel */
	LOCK_OP_PURGE,
};

/* One operation on its way; embedded in what it is of, so that none needs memory. */
struct request {
	struct qb_list_head link; /* in queued or sent, while is_listed */
	bool is_listed;
	uint64_t serial;          /* once sent */
	enum lock_op op;
	enum lock_mode mode;
	uint32_t flags;
	uint32_t node;            /* purge */
	bool has_value;
	uint8_t value[LOCK_MAX_LVB];
	struct local_lock *local; /* NULL: a purge, on the heap */
};

struct local_lock {
	struct lockres *lock;   /* NULL: its owner is gone, it goes when it is unlocked */
	struct handle *handle;
	uint32_t index;         /* in handle->locks */
	enum lock_mode held;    /* as the operations that were applied have it */
	bool is_under_way;      /* something is asked for, and not over */
	bool is_forced;         /* an unlock by force is on its way, too */
	bool is_cancelled;      /* a cancel was sent after what is under way */
	bool is_late;           /* the same, since its deadline is over */
	unsigned notices;       /* of it, not told yet */
	struct request op, cancel, force;
	uint64_t deadline;      /* UINT64_MAX: none */
	struct qb_list_head timer; /* in manager->timers, while it has a deadline */
};

/*
 *	OPENING --is a member--> MEMBER --close--> CLOSING --all know--> gone
 *	   |        refused         |lost
 *	   +-------> LOST <---------+      closing here: gone at once
 */
enum handle_state {
	HANDLE_OPENING,
	HANDLE_MEMBER,
	HANDLE_CLOSING,
	HANDLE_LOST,
	HANDLE_CLOSED, /* told, when the notices before are */
};

struct handle {
	struct lockspace base;
	struct qb_list_head link; /* in manager->handles */
	struct lock_manager *manager;
	enum handle_state state;
	struct lockspace_handlers handlers;
	void *owner;
	char name[LOCKSPACE_MAX_NAME];
	uint8_t name_length;
	int slots, wanted_slot;
	uint32_t opening;
	uint32_t ticket;          /* of its member, since it joined; 0: it never did */
	struct space_id id;       /* of what it joined */
	bool is_said;             /* open or close is on its way */
	bool is_waiting;          /* to be opened, when a lockspace thaws or goes */
	bool is_prepped;          /* recover_prep() was told, and no done since */
	struct space *space;      /* while it is a member */
	struct qb_list_head queued; /* requests, in their order; behind those of sent */
	struct qb_list_head sent;
	uint64_t serial;          /* of the last that was sent */
	struct local_lock **locks; /* owned; by index */
	uint32_t lock_count, lock_room;
	uint32_t *free_indices;   /* as much room as locks */
	uint32_t free_count;
	unsigned batch_depth;     /* begin without end */
};

extern const struct lockspace_engine_ops manager_engine_ops;

/* After each sync phase: whether it is a member. */
void handle_settle(struct handle *h);
/* The lockspace is about to thaw: what was asked for goes again. */
void handle_thawed(struct space *s);
/* Its locks are as another node had them: what is under way may be over there. */
void handle_settle_locks(struct handle *h);
/* What is queued goes, as far as there is credit; also its open or close. */
void handle_send(struct handle *h);
/* An operation of ours was applied: it is no longer on its way. */
void handle_take_sent(struct handle *h, uint64_t serial);
void handle_joined(struct handle *h, struct space *s);
void handle_lose(struct handle *h, int code, const char *why);
void handle_closed(struct handle *h);
/* Its member is no more, as it asked. Closed, if all know that. */
void handle_left(struct handle *h);
void handle_free(struct handle *h);
/* Open, requests, close of all, as far as they may go now; and of ghosts. */
void manager_send_all(struct lock_manager *m);
void handle_completed(struct handle *h, struct lock_key key,
		      const struct lock_outcome *outcome);
void handle_blocked(struct handle *h, struct lock_key key, enum lock_mode wanted);
enum { MANAGER_MAX_LOCKS = 1 << 20, MANAGER_INDEX_MASK = MANAGER_MAX_LOCKS - 1 };
/* The number of a lock in the table; tickets keep those of an orphan apart. */
static inline uint32_t handle_lock_number(const struct handle *h, uint32_t index)
{
	return (h->ticket & 0xfff) << 20 | index;
}
struct local_lock *handle_lock_at(const struct handle *h, uint32_t index);
/* An unlock by force of ours found nothing: what it was to end was refused before. */
void handle_unlocked_nothing(struct handle *h, uint32_t number);
void request_enqueue(struct request *r, struct handle *h);
void request_unlist(struct request *r);
/* One of its notices was told; after that it may be freed. */
void local_lock_told(struct local_lock *local);
/* The lockspace is over for it. */
void local_lock_stop(struct local_lock *local);
/* The table was taken from others: what is under way may be over there. */
void local_lock_settle(struct local_lock *local, const struct lock_table *table);
void manager_expire(struct lock_manager *m, uint64_t now);
uint64_t manager_first_timer(const struct lock_manager *m);

/* manager_handle.c, for manager_engine_ops */
int manager_open(struct lockspace_engine *engine, const struct lockspace_config *config,
		 const struct lockspace_handlers *handlers, void *owner,
		 struct lockspace **space, struct err *err);
void manager_close(struct lockspace *space);
int manager_confirm_dead(struct lockspace_engine *engine, uint32_t node,
			 uint64_t incarnation, enum lock_death death, struct err *err);
int manager_purge_orphans(struct lockspace *space, uint32_t node, struct err *err);
void manager_begin(struct lockspace *space);
void manager_end(struct lockspace *space);

/* --- notices: what programs are told, when the event is over: manager_notice.c --------- */

enum notice_kind {
	NOTICE_COMPLETED,
	NOTICE_BLOCKED,
	NOTICE_PREP,
	NOTICE_SLOT,
	NOTICE_DONE,
	NOTICE_LOST,
	NOTICE_CLOSED,
};

struct notice {
	enum notice_kind kind;
	struct handle *handle;
	uint32_t index;            /* completed, blocked: of the lock */
	struct lock_result result; /* completed; lost: the status */
	bool has_value;
	uint8_t value[LOCK_MAX_LVB];
	enum lock_mode wanted;     /* blocked */
	uint32_t node;             /* slot */
	int slot;                  /* slot, done: ours */
	uint32_t generation;
	struct lockspace_member *members; /* done; owned */
	size_t member_count;
	const char *why;           /* lost; a literal */
};

/* Memory that runs out breaks this node (M7). */
void notice_add(struct lock_manager *m, const struct notice *n);
/* Tells all, also what is added meanwhile. */
void notices_tell(struct lock_manager *m);
/* A completion of this lock that nobody was told of yet; false: there is none. */
bool notice_withdraw(struct lock_manager *m, const struct handle *h, uint32_t index);
/* What is yet to be told to it is dropped. */
void notices_drop(struct lock_manager *m, const struct handle *h);

/* --- messages: manager_wire.c ----------------------------------------------------------- */

enum manager_message {
	MANAGER_OPEN = 1,
	MANAGER_CLOSE,
	MANAGER_DEAD,
	MANAGER_BATCH,
};

enum {
	MANAGER_OPEN_BYTES = 1 + 8 + 4 + 1 + 1 + 2, /* and the name */
	MANAGER_CLOSE_BYTES = 1 + SPACE_ID_BYTES + 4,
	MANAGER_DEAD_BYTES = 1 + 4 + 8 + 1,
	MANAGER_BATCH_BYTES = 1 + SPACE_ID_BYTES + 4 + 4 + 8, /* and operations */
	MANAGER_OP_BYTES = 1 + 4 + 1 + 4 + 4 + 1 + LOCK_MAX_NAME + LOCK_MAX_LVB,
	MANAGER_BATCH_MAX = 32 << 10,
};

struct manager_order {
	enum manager_message kind;
	struct space_id id;    /* close, batch */
	uint32_t ticket;       /* close, batch */
	uint64_t incarnation;  /* open, dead */
	uint32_t opening;      /* open */
	uint32_t lvb_bytes;    /* open */
	int slots, wanted_slot;/* open */
	const char *name;      /* open; borrowed */
	size_t name_length;
	uint32_t node;         /* dead */
	enum lock_death death;
	uint32_t thaw;         /* batch */
	uint64_t serial;       /* of the first operation */
	const uint8_t *operations; /* borrowed */
	size_t length;
};

/* Of a batch, what comes before its operations. How many bytes. */
size_t manager_order_write(const struct manager_order *o, uint8_t *to, size_t room);
/* False: nobody may say so. */
bool manager_order_read(struct manager_order *o, const void *bytes, size_t length);

/* An operation of a batch. */
struct manager_op {
	enum lock_op op;
	uint32_t number;
	enum lock_mode mode;
	uint32_t flags, waiter;
	const char *name; /* borrowed */
	size_t name_length;
	const uint8_t *value; /* borrowed; NULL: none */
	uint32_t node;        /* purge */
};

struct wr;
struct rd;
void space_id_write(struct wr *to, struct space_id id);
struct space_id space_id_read(struct rd *from);
void manager_op_write(struct wr *to, const struct manager_op *op, uint32_t lvb_bytes);
/* False: damaged. */
bool manager_op_read(struct rd *from, struct manager_op *op, uint32_t lvb_bytes);

/* --- the sync phase: manager_sync.c ------------------------------------------------------ */

extern const struct sync_service_ops manager_service_ops;

struct space_head {
	struct space_id id;
	struct space_version version;
	bool is_over;    /* all have left it */
	uint64_t digest; /* 0 then */
	uint8_t name_length;
	char name[LOCKSPACE_MAX_NAME];
};

/* A member that somebody knows to be over: true wherever else it is told. */
struct space_mark {
	struct space_id id;
	struct space_member member;
};

struct manager_heads { /* of one node */
	uint64_t incarnation;
	bool is_leaving;
	uint64_t settled_on;       /* of the manager */
	struct space_head *spaces; /* owned */
	size_t count;
	struct space_head *graves; /* owned */
	size_t grave_count;
	struct space_mark *marks;  /* owned */
	size_t mark_count;
};

/* A lockspace whose state was chosen, and what of it is here already. */
struct candidate {
	struct space_head head;
	int provider;       /* index */
	bool needs_table;   /* a node has another one, or none */
	struct space *temp; /* owned; with a table if this node takes it */
};

enum manager_phase {
	MANAGER_PHASE_HEAD,
	MANAGER_PHASE_HEADS,
	MANAGER_PHASE_STATE,
	MANAGER_PHASE_TOLD,
};

struct manager_sync {
	enum manager_phase phase;
	struct ring_id ring;
	struct node_set members;   /* of the configuration */
	struct node_set partners;  /* of these, who has lock managers */
	struct node_set heads_of, ended;
	struct roster roster;      /* of what all of them told */
	struct roster noted;       /* and that they are here */
	uint64_t settled_on;       /* the newest that any of them told */
	uint64_t to_remember;      /* version; the phase ends behind it */
	struct manager_heads heads[TOTEM_MAX_NODES];
	struct candidate *candidates; /* owned; by name */
	size_t candidate_count;
	struct space_head *graves; /* owned; what else was newest */
	size_t grave_count;
	struct node_set providers;
	size_t at;                 /* candidate that we tell next */
	bool is_record_told;       /* of that one */
	uint64_t cursor;           /* in its table */
	bool is_deviant;           /* our table is not what the others have */
};

void manager_sync_drop(struct lock_manager *m);

/* --- what all have left: manager_grave.c ---------------------------------------------------- */

/* If there are as many as there can be, the oldest is forgotten. */
void grave_dig(const struct space *s);
bool grave_is_there(const struct lock_manager *m, const void *name, size_t length);
/* The name is in use again. */
void grave_level(struct lock_manager *m, const void *name, size_t length);

/* --- who took part: manager_roster.c -------------------------------------------------------- */

/* All heads are known: who is here is noted, and on its way to the disk. */
void roster_settle(struct lock_manager *m);
/* The configuration counts. */
void roster_go_live(struct lock_manager *m);
/*
 * M2: somebody who is away may live, and have newer states: he took part since. Of two that
 * decide alone, the other may always.
 */
bool roster_waits(const struct lock_manager *m);
/* M8: nobody is away who may live, or all have left the last one of the name. */
bool roster_lets_found(const struct lock_manager *m, const void *name, size_t length);
/* Only nodes that were outlived tell of it: others may have gone on and forgotten. */
bool roster_is_void(const struct lock_manager *m, const struct space_head *head);
/* Away, and may live: of which process that is known. 0: none is. */
uint64_t roster_missing(const struct lock_manager *m, int node);
/* It was proven dead, or has left. */
void roster_close(struct lock_manager *m, int node, uint64_t incarnation);

/* --- the manager: manager.c ---------------------------------------------------------------- */

struct death {
	uint64_t incarnation; /* up to this; 0: none is known */
	enum lock_death death;
	bool is_said;         /* on its way */
};

struct lock_manager {
	struct lockspace_engine base;
	struct lock_manager_config config;
	struct lock_manager_ops ops;
	void *owner;
	int self;
	struct sync *sync;
	struct group *group;
	struct lock_manager_stats stats;

	struct space *spaces[LOCK_MANAGER_MAX_SPACES]; /* owned; by name */
	size_t space_count;
	struct space_head graves[LOCK_MANAGER_MAX_GRAVES]; /* of other names */
	size_t grave_count;
	uint32_t made;               /* lockspaces, in this configuration */
	struct ring_id ring;         /* the active configuration */
	struct node_set members;     /* of it, with lock managers */
	struct node_set in_group;
	uint64_t incarnations[TOTEM_MAX_NODES]; /* of members */
	struct manager_sync phase;
	bool is_active;              /* once, at least */
	bool is_syncing;             /* from init to activate */
	bool is_ending;              /* the configuration is transitional */
	bool is_torn;                /* and a message was missing: its order is not ours */
	bool has_ghosts;             /* perhaps: see manager_handle.c */
	bool is_considering;         /* lockspaces may thaw, when the event is over */
	bool is_broken;
	bool is_leaving;             /* for good */

	struct roster roster;        /* the same at all nodes, while they are active */
	/*
	 * Ring seq of a quorate configuration behind which nothing can have happened that was
	 * not known here; 0: of this process's life there is none (or: it remembers none).
	 */
	uint64_t settled_on;
	struct roster kept;          /* on disk, or on its way */
	uint64_t remembered, asked;  /* versions of it: on disk, on the way */
	bool is_wanted;              /* somebody waits for what the roster forbids */

	struct qb_list_head handles;
	uint32_t last_opening;
	struct qb_list_head timers;  /* local locks, soonest first */
	uint64_t armed_at;           /* what the owner was told */
	struct death deaths[TOTEM_MAX_NODES];

	struct notice *notices;
	size_t notice_count, notice_room, notice_at;
	unsigned depth;              /* events under way */
	uint8_t *batch;              /* MANAGER_BATCH_MAX, scratch */
};

static inline struct lock_manager *manager_of(struct lockspace_engine *engine)
{
	return (struct lock_manager *)engine; /* base is its first */
}

void manager_break(struct lock_manager *m, const char *why);
/* All nodes of the configuration have the same state, and see the group's messages. */
bool manager_sees_all(const struct lock_manager *m);
/* And may decide: it is quorate, and its order is that of all: M1. */
bool manager_is_running(const struct lock_manager *m);
/* Every event is between these: programs are told, and what is due is sent, at its end. */
void manager_enter(struct lock_manager *m);
void manager_leave(struct lock_manager *m);
/* Something is due outside of an event. */
void manager_arm(struct lock_manager *m);
/* struct lock_table_ops; the owner is a space. */
void manager_tell_deadlock(void *owner, const struct lock_cycle_step *steps,
			   size_t count);
/* M6, to the log. */
void manager_tell_diverged(struct lock_manager *m, int node, const struct space_head *head);
/* A member of the node (index) is missing, and of this death of it not all is known. */
bool manager_is_missing(const struct lock_manager *m, int node, const struct death *d);
/* Says it safely; false: no credit. */
bool manager_say(struct lock_manager *m, const struct manager_order *o);
/* Opens that were put off may be tried again. */
void manager_wake_openers(struct lock_manager *m);
/*
 * What may thaw does. At one point of the order everywhere: behind the views of the
 * groups, before the first message.
 */
void manager_consider_all(struct lock_manager *m);
void manager_fault(struct lock_manager *m, enum lock_manager_fault f);
/* In manager_apply.c: a message of the group. */
void manager_apply(struct lock_manager *m, int node, const void *message, size_t length);
