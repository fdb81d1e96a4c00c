/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A dump: what one node knows of its lockspaces, as plain structs and as JSON text,
 * for people who look at locks, now or later, here or elsewhere.
 *
 *	{"format": "mdclusterd-locks", "version": 1, "taken_s": ..., "clock_ns": ...,
 *	 "self": 1, "nodes": [{"id": 1, "name": "node1"}, ...], "lockspaces": [
 *	{"name": ..., "lvb_bytes": 64, "generation": 3, "epoch_node": 1,
 *	 "epoch_seq": 12, "operations": 812, "state": "runs",
 *	 "members": [{"node": 1, "slot": 0, "is_missing": false}, ...], "resources": [
 *	{"name": ..., "value": HEX, "is_value_valid": true, "value_seq": 7,
 *	 "locks": [{"node": 1, "number": 5, "granted": "EX" or null, "wanted": ... ,
 *	            "flags": ["VALBLK", ...], "marks": [...], "waiter": 0,
 *	            "is_orphan": false}, ...],
 *	 "history": [{"at_ns": ..., "node": 1, "number": 5, "step": ..., "from": ...,
 *	              "to": ..., "status": 0}, ...]}, ...]}, ...]}
 *
 * A resource is a line, so that no dump is too large to be written, and grep finds what
 * it looks for. Names are bytes: what is not printable ASCII, and the backslash, stands
 * as \xHH (base/printable.h), so that each name has one spelling. Fields may be
 * added within a version; who reads ignores those that he does not know.
 *
 *	P1  What was written is read back equal, and written again byte by byte.
 *	P2  Any text is read, or refused by name; nothing of it is believed unseen:
 *	    each number is in the range of its field, each name in its length.
 *	P3  What the locks say of each other is not judged: a dump may be of a table
 *	    that is wrong.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "lockres/lock.h"
#include "lockres/lock_manager.h"
#include "lockres/lockspace.h"
#include "lockres/table.h"
#include "totem/wire.h"

struct err;

#define LOCK_DUMP_FORMAT "mdclusterd-locks"

enum {
	LOCK_DUMP_VERSION = 1,
	LOCK_DUMP_MAX_BYTES = 1 << 28, /* of text */
	LOCK_DUMP_MAX_NODES = 1024,
	LOCK_DUMP_NODE_NAME = 64,      /* bytes, any */
};

struct lock_dump_node {
	uint32_t id;
	char name[LOCK_DUMP_NODE_NAME];
	size_t name_length; /* from 1 */
};

struct lock_dump_resource {
	char name[LOCK_MAX_NAME];
	size_t name_length;
	uint8_t value[LOCK_MAX_LVB];
	uint32_t value_seq; /* 0: never stored */
	bool is_value_valid;
	struct lock_view *locks; /* granted, converting, waiting; from the heads */
	size_t lock_count;
	struct lock_history_entry *history; /* oldest first */
	size_t history_count;
};

struct lock_dump_space {
	char name[LOCKSPACE_MAX_NAME];
	size_t name_length;
	uint32_t lvb_bytes;
	uint32_t generation;
	struct ring_id epoch;
	uint64_t operations;
	enum lockspace_freeze freeze;
	struct lockspace_member_look *members; /* by slot */
	size_t member_count;
	struct lock_dump_resource *resources; /* by name */
	size_t resource_count;
};

struct lock_dump {
	uint64_t taken_s;  /* since 1970 */
	uint64_t clock_ns; /* the same instant, of the clock of the histories */
	uint32_t self;     /* whose view it is */
	struct lock_dump_node *nodes;
	size_t node_count;
	struct lock_dump_space *spaces; /* by name */
	size_t space_count;
};

/*
 * What the manager knows. Of `about` all but the spaces is taken over. NULL: no
 * memory. As large as the tables and more: not for the thread that holds the token
 * where there are many locks.
 */
struct lock_dump *lock_dump_take(const struct lock_manager *m,
				 const struct lock_dump *about);
void lock_dump_free(struct lock_dump *dump); /* NULL is fine */

/* -ENOMEM, -EIO (what the stream said). */
int lock_dump_write(const struct lock_dump *dump, FILE *to);

/*
 * NULL with a sentence: what is wrong, of which lock of which resource of which
 * lockspace. -EBADMSG, -EOPNOTSUPP (a later version), -ENOMEM.
 */
struct lock_dump *lock_dump_read(const char *text, size_t length, struct err *err);

/* --- looking at one --------------------------------------------------------------------- */

enum lock_place { LOCK_PLACE_GRANTED, LOCK_PLACE_CONVERTING, LOCK_PLACE_WAITING };

enum lock_place lock_view_place(const struct lock_view *lock);
const char *lock_place_name(enum lock_place place);

/* NULL: it has no name there. */
const struct lock_dump_node *lock_dump_node(const struct lock_dump *dump, uint32_t id);
/* NULL: it is no member. */
const struct lockspace_member_look *lock_dump_member(const struct lock_dump_space *space,
						     uint32_t node);

/*
 * Is what `other` has been granted in the way of what `lock`, of the same resource,
 * waits for?
 */
bool lock_view_is_blocked_by(const struct lock_view *lock, const struct lock_view *other);

/* "no-quorum", as it stands in a dump. */
const char *lockspace_freeze_name(enum lockspace_freeze freeze);

/*
 * The bits of flags or marks one by one, as the DLM's manual calls them: NULL when
 * there is none at or above *bit, which is left behind the one that is returned.
 * Start with 0. What has no name is passed over.
 */
const char *lock_flag_next(uint32_t flags, unsigned int *bit);
const char *lock_mark_next(uint32_t marks, unsigned int *bit);
