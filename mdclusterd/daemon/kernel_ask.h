/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Does the kernel of any node run the array? Asked before it is used here: an array is
 * mdclusterd's or the kernel's, never both (design, rule 8). Each daemon sees its own host
 * alone; so all are asked, in an ordered group of all daemons. Pure.
 *
 *	W1  A query ends well only when every member that the group had when the question
 *	    was delivered has answered, or is gone. Who is in the group later has not been
 *	    asked: joined() says so. What the kernel of a node without a daemon does is not
 *	    known to anybody.
 *	W2  Each answer is of a look that began after the question.
 *	W3  A query ends once; kernel_ask_expire() ends it where somebody does not answer, with
 *	    a sentence that names the node.
 *	W4  Who sees that its kernel runs other arrays than before says so to all
 *	    (kernel_ask_tell_change()): whoever uses one asks again.
 *
 * Messages, little endian: kind u8, then of ASK serial u64, uuid 16; of ANSWER node u32,
 * handle u32, serial u64 (whose question), hold u8, length u8, how as text, in which what is
 * not printable is not believed; of CHANGED nothing.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include <qb/qblist.h>

#include "base/err.h"

struct group_engine;
struct kernel_ask;

enum { KERNEL_ASK_TEXT = 96, KERNEL_ASK_MEMBERS = 256 };

/* What a kernel has of an array. */
enum kernel_hold {
	KERNEL_HAS_NOTHING,
	KERNEL_HAS_LOCKSPACE, /* md-cluster's: nobody writes yet, or any more */
	KERNEL_RUNS_IT,
};

/* Whose question a look is for. */
struct kernel_ask_look {
	uint32_t node, handle;
	uint64_t serial;
	uint8_t uuid[16];
};

struct kernel_ask_ops {
	/* Look at this host; kernel_ask_looked() then, not from within. */
	void (*look)(void *owner, const struct kernel_ask_look *look);
	/* How a person names it. */
	const char *(*node_name)(void *owner, uint32_t node);
	/* Somebody was not asked before, or W4: what is in use is to be asked about. */
	void (*look_again)(void *owner);
};

/* In its owner's memory until done(), or kernel_ask_forget(). */
struct kernel_query {
	uint8_t uuid[16];
	/*
	 * 0: no kernel has it; -EBUSY: one does; -ETIMEDOUT: somebody does not say;
	 * `err` has the sentence, and where.
	 */
	void (*done)(void *owner, struct kernel_query *q, int result);
	void *owner;
	struct err err;
	bool is_run; /* -EBUSY: and its disks are written to */

	/* kernel_ask's own */
	struct qb_list_head link;
	uint64_t serial;
	bool is_asked; /* the question was delivered */
	struct { uint32_t node, handle; } awaited[KERNEL_ASK_MEMBERS];
	size_t awaited_count;
};

/* Joins the group. NULL with a sentence. */
struct kernel_ask *kernel_ask_new(struct group_engine *groups, uint32_t self,
				  const struct kernel_ask_ops *ops, void *owner,
				  struct err *err);
/* Without a word; queries that wait are forgotten. NULL is fine. */
void kernel_ask_free(struct kernel_ask *k);

/* done() comes, not from within. */
void kernel_ask(struct kernel_ask *k, struct kernel_query *q);
void kernel_ask_forget(struct kernel_query *q); /* not from done() on */
/* W3; -ETIMEDOUT. From within done() nothing. */
void kernel_ask_expire(struct kernel_ask *k, struct kernel_query *q);
/* `how`: "runs it as /dev/md127"; of no meaning with KERNEL_HAS_NOTHING. */
void kernel_ask_looked(struct kernel_ask *k, const struct kernel_ask_look *look,
		       enum kernel_hold hold, const char *how);
/* W4. Before this node is in the group nothing: others ask when it is. */
void kernel_ask_tell_change(struct kernel_ask *k);
