/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the files of the checkpoint store share; checkpoint.h has the promises. */
#pragma once

#include <qb/qblist.h>

#include "totem/checkpoint.h"
#include "totem/group.h"
#include "totem/sync.h"

/* --- the state: checkpoint_tree.c ----------------------------------------------- */

/* The request that created it: there is no other like it, in any partition. */
struct checkpoint_birth {
	uint32_t node; /* id */
	uint64_t incarnation, serial;
};

/* Numbers are unique in a state; with the birth, among all states. */
struct checkpoint_id {
	uint64_t number;
	struct checkpoint_birth birth;
};

struct checkpoint_section {
	uint32_t length;
	uint8_t name_length;
	uint8_t bytes[]; /* the name, then the data */
};

struct checkpoint {
	struct checkpoint_id id;
	bool is_unlinked;
	uint8_t name_length;
	char name[CHECKPOINT_MAX_NAME];
	struct checkpoint_section **sections; /* owned; by name */
	size_t count, room;
	uint32_t opens[TOTEM_MAX_NODES]; /* by index */
	uint32_t references;             /* their sum */
};

/*
 * Sorted arrays, not libqb's maps: names are any bytes and those take strings, the
 * order is the same everywhere, and memory that runs out is told.
 */
struct checkpoint_tree {
	struct checkpoint *numbered[CHECKPOINT_MAX_COUNT]; /* owned; all, by number */
	struct checkpoint *named[CHECKPOINT_MAX_COUNT];    /* linked, by name */
	size_t count, named_count;
	uint64_t next;       /* number; above all that ever were */
	size_t bytes;        /* cost of all sections */
	uint32_t opens[TOTEM_MAX_NODES];
	uint64_t operations; /* that led to this */
	uint64_t history;    /* which, and in which order */
};

void checkpoint_tree_init(struct checkpoint_tree *t);
void checkpoint_tree_fini(struct checkpoint_tree *t); /* empty, and usable again */

struct checkpoint *checkpoint_tree_numbered(const struct checkpoint_tree *t,
					    uint64_t number);
struct checkpoint *checkpoint_tree_named(const struct checkpoint_tree *t,
					 const void *name, size_t length);
/* Number and birth. */
struct checkpoint *checkpoint_tree_find(const struct checkpoint_tree *t,
					const struct checkpoint_id *id);
/*
 * The number is above all others, the name of no linked one. 0, -ENOSPC, or
 * -ENOMEM; the latter always means this node's memory.
 */
int checkpoint_tree_add(struct checkpoint_tree *t, const struct checkpoint_id *id,
			const void *name, size_t length, bool is_unlinked);
void checkpoint_tree_unlink(struct checkpoint_tree *t, struct checkpoint *c);
void checkpoint_tree_remove(struct checkpoint_tree *t, struct checkpoint *c);
/* Unlinked and without a reference: freed. */
void checkpoint_tree_reap(struct checkpoint_tree *t, struct checkpoint *c);
void checkpoint_tree_reap_all(struct checkpoint_tree *t);
void checkpoint_tree_refer(struct checkpoint_tree *t, struct checkpoint *c, int node,
			   uint32_t opens);
void checkpoint_tree_forget(struct checkpoint_tree *t, struct checkpoint *c, int node);

const struct checkpoint_section *checkpoint_section(const struct checkpoint *c,
						    const void *name, size_t length);
int checkpoint_section_put(struct checkpoint_tree *t, struct checkpoint *c,
			   const void *name, size_t name_length, const void *data,
			   size_t length);
/* -ENOENT. */
int checkpoint_section_delete(struct checkpoint_tree *t, struct checkpoint *c,
			      const void *name, size_t length);

/* One more operation in the history. */
void checkpoint_tree_count(struct checkpoint_tree *t, const struct checkpoint_birth *b);
uint64_t checkpoint_tree_digest(const struct checkpoint_tree *t);

/* --- messages: checkpoint_wire.c ------------------------------------------------ */

enum checkpoint_kind {
	CHECKPOINT_OPEN = 1,
	CHECKPOINT_CLOSE,
	CHECKPOINT_UNLINK,
	CHECKPOINT_WRITE,
	CHECKPOINT_DELETE,
	CHECKPOINT_MARK,
};

enum {
	CHECKPOINT_ID_BYTES = 8 + 4 + 8 + 8,
	/* the largest without its data */
	CHECKPOINT_HEAD_BYTES = 1 + 8 + 8 + CHECKPOINT_ID_BYTES + 1 + CHECKPOINT_MAX_NAME,
};

struct checkpoint_operation {
	enum checkpoint_kind kind;
	uint64_t incarnation, serial;
	unsigned int flags;      /* open */
	struct checkpoint_id id; /* close, write, delete */
	const uint8_t *name;     /* of the checkpoint, or of the section */
	size_t name_length;
	const uint8_t *data;     /* write */
	size_t length;
};

/* All but the data; how many bytes. */
size_t checkpoint_operation_write(const struct checkpoint_operation *o,
				  uint8_t head[CHECKPOINT_HEAD_BYTES]);
/* False: not what a node may say. Borrows from the bytes. */
bool checkpoint_operation_read(struct checkpoint_operation *o, const uint8_t *bytes,
			       size_t length);

enum checkpoint_telling {
	CHECKPOINT_TELL_HEAD = 1,
	CHECKPOINT_TELL_CHECKPOINT,
	CHECKPOINT_TELL_SECTION,
	CHECKPOINT_TELL_END,
	CHECKPOINT_TELL_COUNTS,
};

struct checkpoint_head {
	struct ring_id epoch; /* of the state */
	uint64_t operations, history, next;
};

/* Of a message of the sync phase, what its kind has. */
struct checkpoint_told {
	enum checkpoint_telling kind;
	struct checkpoint_head head;
	struct checkpoint_id id; /* section: the number only */
	bool is_unlinked;
	const uint8_t *name;
	size_t name_length;
	const uint8_t *data;
	size_t length;
	uint32_t checkpoints, sections; /* end */
};

/* All but a section's data and the counts' entries. */
size_t checkpoint_told_write(const struct checkpoint_told *m,
			     uint8_t head[CHECKPOINT_HEAD_BYTES]);
/* counts: data and length are the entries, each of them sound. */
bool checkpoint_told_read(struct checkpoint_told *m, const uint8_t *bytes, size_t length);

enum { CHECKPOINT_COUNT_BYTES = CHECKPOINT_ID_BYTES + 4 };

struct checkpoint_count {
	struct checkpoint_id id;
	uint32_t opens;
};

void checkpoint_count_write(const struct checkpoint_count *c,
			    uint8_t entry[CHECKPOINT_COUNT_BYTES]);
struct checkpoint_count checkpoint_count_read(const uint8_t entry[CHECKPOINT_COUNT_BYTES]);

/* --- the store ------------------------------------------------------------------ */

/*
 *	OPENING --0--> HELD --certain---> OPEN --sent--> CLOSING
 *	   |    \------------------------^ ^---EAGAIN----/  |
 *	   +--not 0--> gone                            gone <
 *
 * HELD: applied, but its answer waits. An unwanted handle is closed once it is OPEN.
 */
enum checkpoint_handle_state {
	CHECKPOINT_HANDLE_OPENING,
	CHECKPOINT_HANDLE_HELD,
	CHECKPOINT_HANDLE_OPEN,
	CHECKPOINT_HANDLE_CLOSING,
};

struct checkpoint_request {
	struct qb_list_head link; /* in requests or held */
	uint64_t serial;
	enum checkpoint_kind kind;
	int result;
	struct checkpoint_handle *handle; /* open, close: the request is in it */
	checkpoint_done_fn done;
	void *owner;
};

struct checkpoint_handle {
	struct qb_list_head link; /* in handles, or lost */
	struct checkpoint_store *store;
	enum checkpoint_handle_state state;
	bool is_unwanted;
	bool is_lost;
	struct checkpoint_id id;
	struct checkpoint_handlers handlers;
	void *owner;
	struct checkpoint_request request; /* its open, then its close */
};

enum checkpoint_phase {
	CHECKPOINT_PHASE_HEAD,  /* ours is to be told */
	CHECKPOINT_PHASE_HEADS, /* the others' are to come */
	CHECKPOINT_PHASE_STATE, /* ours is to be told, if it was chosen */
	CHECKPOINT_PHASE_COUNTS,
	CHECKPOINT_PHASE_TOLD,
};

/* One sync phase. */
struct checkpoint_sync {
	struct ring_id id;
	struct node_set members;
	enum checkpoint_phase phase;
	size_t checkpoint;          /* of ours, the next to be told: numbered[] */
	size_t section;             /* 0: the checkpoint itself, else a section + 1 */
	uint32_t sections_told;

	struct node_set heads_of, counts_of;
	struct checkpoint_head heads[TOTEM_MAX_NODES];
	int chosen;                 /* TOTEM_NO_INDEX: not all heads are known */
	bool is_ended;              /* all that the chosen one told is here */
	uint32_t sections;          /* in temp */
	uint8_t *counts[TOTEM_MAX_NODES]; /* owned; entries, sound */
	size_t counts_length[TOTEM_MAX_NODES];
};

struct checkpoint_store {
	struct checkpoint_store_config config;
	struct checkpoint_store_ops ops;
	void *owner;
	int self;
	struct sync *sync;
	struct group *group;
	struct checkpoint_stats stats;

	struct checkpoint_tree live;
	struct ring_id epoch;        /* of live */
	struct checkpoint_tree temp;
	struct checkpoint_sync phase;

	struct node_set members;     /* of the active configuration */
	struct node_set in_group;    /* nodes */
	bool is_active;              /* once, at least */
	bool is_syncing;             /* from init to activate */
	bool is_transitional;
	bool is_broken;
	bool is_wanted;              /* somebody waits for `opened` */

	uint64_t last_serial;
	struct qb_list_head requests;/* under way, in the order of the group */
	struct qb_list_head held;    /* delivered; C4 */
	struct qb_list_head handles;
	struct qb_list_head lost;    /* handles that are to be told */
	size_t closes_due;           /* OPEN and unwanted */
};

extern const struct sync_service_ops checkpoint_service_ops; /* checkpoint_sync.c */

void checkpoint_break(struct checkpoint_store *s, const char *why);
/* All members of the active configuration are in the group (C2). */
bool checkpoint_is_complete(const struct checkpoint_store *s);

/* --- requests and handles: checkpoint_request.c --------------------------------- */

/* Our own message was delivered: its answer, and the id that an open has. */
void checkpoint_answer(struct checkpoint_store *s, const struct checkpoint_operation *o,
		       int result, const struct checkpoint_id *id);
/* All are active, and hold what we held: the answers that waited are good (C4). */
void checkpoint_held_confirm(struct checkpoint_store *s);
/* Asks for that, where answers wait. */
void checkpoint_held_mark(struct checkpoint_store *s);
/* They never will be. */
void checkpoint_held_cancel(struct checkpoint_store *s);
/* The live tree is another one: handles without their checkpoint are put aside. */
void checkpoint_handles_settle(struct checkpoint_store *s);
/* What settle() found is told. */
void checkpoint_handles_tell(struct checkpoint_store *s);
/* There may be credit: closes that are due, then `opened`. */
void checkpoint_go_on(struct checkpoint_store *s);
/* All requests are answered with -ESHUTDOWN. */
void checkpoint_requests_fail(struct checkpoint_store *s);
void checkpoint_requests_free(struct checkpoint_store *s);
