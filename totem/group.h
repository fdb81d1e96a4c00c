/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Ordered groups: named sets of processes that see the same messages and the same
 * changes of membership in the same order. This is the interface; an engine
 * serves it (group_ring.h: our own ring). What is promised, as tests cite:
 *
 *	G1  All members of a group see its messages and changes in one order, and
 *	    a sender's messages in the order it sent them.
 *	G2  A message is seen by the members of its group, its sender included, and
 *	    by nobody else. Whoever sees it has the sender in its view.
 *	G3  Views are equal wherever they are activated. Processes of nodes that
 *	    vanish, or come back from elsewhere, leave and join in one change.
 *	G4  Nobody is a member who was told only by a node that did not live to the
 *	    end of the change (no ghosts).
 *	G5  Nothing is queued without bound: what is taken is told as credit.
 *
 * A handle is the membership of one process in one group: to be in two groups,
 * join twice. One thread an engine; callbacks come from within the engine's
 * events, and may call everything here but what frees the engine.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct err;
struct iovec;

enum {
	GROUP_MAX_NAME = 64,
	GROUP_MAX_MESSAGE = 1 << 20,
	GROUP_MAX_HANDLES = 4096, /* a node */
};

enum group_order {
	GROUP_AGREED, /* delivered as soon as its place in the order is known */
	GROUP_SAFE,   /* and once every node is known to hold it */
};

enum group_reason {
	GROUP_MEMBER,   /* was there before, and is */
	GROUP_JOIN,
	GROUP_LEAVE,
	GROUP_NODEDOWN, /* its node is gone, or in another partition */
	GROUP_PROCDOWN,
};

/* Unique while it is a member; the numbers of a node that restarts begin anew. */
struct group_member {
	uint32_t node;
	uint32_t handle;
	enum group_reason reason; /* why it is in the list */
};

/* All lists by node, then handle; the same everywhere. Borrowed for the call. */
struct group_change {
	const struct group_member *members; /* from here on */
	size_t member_count;
	const struct group_member *joined;  /* in members too, unless gone again */
	size_t joined_count;
	const struct group_member *left;    /* one in both lists went and came back */
	size_t left_count;
};

struct group;
struct group_engine;

/* Of one handle. Any may be NULL. */
struct group_handlers {
	/* The message is borrowed for the call. */
	void (*deliver)(void *owner, struct group *group,
			const struct group_member *sender,
			const void *message, size_t length);
	/*
	 * The first one has us in joined. One that has us in left, with
	 * GROUP_LEAVE, is the last: the handle is freed when the call returns.
	 */
	void (*changed)(void *owner, struct group *group,
			const struct group_change *change);
	/*
	 * After -EAGAIN: there is credit for what was refused. Try again, now:
	 * who was refused first has its turn first, and alone during the call.
	 */
	void (*credit_opened)(void *owner, struct group *group);
};

struct group_engine_ops {
	int (*join)(struct group_engine *engine, const char *name,
		    size_t name_length, const struct group_handlers *handlers,
		    void *owner, struct group **group, struct err *err);
	int (*multicast)(struct group *group, enum group_order order,
			 const struct iovec *parts, int count);
	size_t (*credit)(const struct group_engine *engine);
	void (*leave)(struct group *group);
	void (*abandon)(struct group *group);
};

/* What every engine and every handle begins with. */
struct group_engine {
	const struct group_engine_ops *ops;
};

struct group {
	struct group_engine *engine;
	uint32_t handle;
};

/*
 * Asks to be in the group of that name (1..64 bytes, any). Membership begins with
 * the first change; messages may be sent at once. -EINVAL, -EAGAIN (too many
 * handles), -ENOMEM.
 */
static inline int group_join(struct group_engine *engine, const char *name,
			     size_t name_length,
			     const struct group_handlers *handlers, void *owner,
			     struct group **group, struct err *err)
{
	return engine->ops->join(engine, name, name_length, handlers, owner,
				 group, err);
}

/*
 * Copies the parts, and sends them as one message. -EAGAIN: no credit, wait for
 * credit_opened; -EMSGSIZE: above GROUP_MAX_MESSAGE; -ESHUTDOWN: it is leaving;
 * -ENOMEM.
 */
static inline int group_multicast(struct group *group, enum group_order order,
				  const struct iovec *parts, int count)
{
	return group->engine->ops->multicast(group, order, parts, count);
}

/*
 * Bytes that one message may have now; shared by all handles of this engine. None
 * while somebody waits.
 */
static inline size_t group_credit(const struct group_engine *engine)
{
	return engine->ops->credit(engine);
}

/*
 * Asks to leave, behind all that was sent. Messages and changes come until the
 * one that has us in left. Needs no credit and cannot fail.
 */
static inline void group_leave(struct group *group)
{
	group->engine->ops->leave(group);
}

/*
 * Its process is gone: the others see GROUP_PROCDOWN, behind all that it sent. No
 * callback comes from here on; the handle belongs to the engine. Also after
 * group_leave().
 */
static inline void group_abandon(struct group *group)
{
	group->engine->ops->abandon(group);
}

/* "nodedown": for logs and people. */
const char *group_reason_name(enum group_reason reason);
