/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Sync services: what a node keeps for the cluster is told to the others after each
 * change of membership, and before any ordinary message. All services of all nodes
 * do so at the same time, behind one barrier: the recovery plug in the token.
 *
 *	             configuration
 *	   +-------------------------------------------------------------+
 *	   v                                                             |
 *	greeting --all greeted--> processing --all done--> synchronised -+-> active
 *	  init                    process, deliver                     activate
 *
 * A configuration before `active` ends the attempt: abort, and from the top.
 *
 *	Y1  All services have had their init before any of them gets a message.
 *	Y2  Every init is followed by one activate or one abort, and the next init
 *	    comes behind it; also when this node was done and others were not. But
 *	    not where this node breaks: nothing is called from there on.
 *	Y3  Services activate at all nodes at the same point of the order, and only
 *	    when every service of every member is done.
 *	Y4  A service gets the messages of its own configuration and of no other.
 *	Y5  Nobody waits for ever: who holds up others is named, then goes
 *	    (deadline_ns); not who only waits for others. While all are late they
 *	    are named, and nobody goes.
 *	Y6  Every node's epoch is known before any state is told, so that only who
 *	    has the winning state tells it.
 *
 * The epoch of a node is the last quorate configuration that it activated. After a
 * merge the highest epoch wins, and who has a lower one takes what the winners
 * tell. A minority cannot have a higher one than the majority has.
 *
 * Pure: no clock, no I/O. The barrier is served by an engine: struct sync_ops, and
 * the calls below that name it.
 *
 * Wire, little endian, inside of pack.h's messages: a kind byte, then
 *
 *	1 greeting   epoch (rep u32, seq u64), count u8, count x service u8
 *	2 state      service u8, bytes
 *	3 done       service u8
 *	4 waits      service u8, u8: 1 it waits for others, 0 it does no more
 *
 * Sources: the sync phase of corosync and OpenAIS's recovery plug of 2004, see
 * README.recovery there; that all services run at once, the epoch and the deadline
 * are ours.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "totem/nodes.h"
#include "totem/pack.h"
#include "totem/wire.h"

struct err;
struct iovec;
struct sync;

/* Numbers on the wire; they activate in this order. Never used for another. */
enum sync_service_id {
	SYNC_CHECKPOINTS = 1,
	SYNC_LOCKS = 2,
	SYNC_QUORUM = 3, /* what it tells decides sync_ops.is_quorate(), which comes first */
	SYNC_GUARDS = 4, /* the daemon's watchdogs */
	SYNC_GROUPS = 31, /* the last: who is told of a change finds the rest done */
	SYNC_SERVICE_LIMIT = 32,
};

struct sync_configuration {
	struct ring_id id;
	struct node_set members;
	struct node_set joined, left; /* against the configuration before, active or not */
};

enum sync_progress {
	SYNC_DONE,  /* all that this node has to tell is queued */
	SYNC_AGAIN, /* more to come: after -EAGAIN by itself, else after sync_go_on() */
	SYNC_WAITS, /* the same, but for what others have to tell first: not to blame */
};

/* All called with the owner that was registered. abort, ending and torn may be NULL. */
struct sync_service_ops {
	/* Members may differ from those of the last activate: begin anew. */
	void (*init)(void *owner, const struct sync_configuration *c);
	/* Queues state: sync_tell(). Called again until it is done. */
	enum sync_progress (*process)(void *owner);
	/*
	 * What this service of node `from` (index, may be this one) told. Behind
	 * the same messages of the same senders everywhere. Bad bytes are for
	 * the service to count and drop.
	 */
	void (*deliver)(void *owner, int from, const uint8_t *bytes, size_t length);
	/* Forget what init began; the state is what it was before. */
	void (*abort)(void *owner);
	/* What was told is the state from here on. */
	void (*activate)(void *owner);
	/*
	 * The active configuration nears its end: messages still come, which others, who
	 * do not come along, may never see. Then init.
	 */
	void (*ending)(void *owner);
	/*
	 * Behind that: what comes now is behind messages that are missing here, and
	 * that others may have.
	 */
	void (*torn)(void *owner);
};

/* Called from within the calls below: take note, act afterwards. */
struct sync_ops {
	/* There is something to send. */
	void (*wake)(void *owner);
	/* All of this node's part is done: raise its bit in the plug. */
	void (*synchronised)(void *owner);
	/* This node cannot go on: it leaves. `why` is a sentence without subject. */
	void (*broken)(void *owner, const char *why);
	/* Half the deadline is over, and this node's service is not done. Comes again. */
	void (*late)(void *owner, int node, const char *service);
	/* Deadline and a half: the node is to be left out. */
	void (*evict)(void *owner, int node, const char *service);
	/* Whether a configuration of these nodes may decide for the cluster. */
	bool (*is_quorate)(void *owner, struct node_set members);
};

struct sync_config {
	struct node_table nodes;
	uint32_t self;        /* id, one of them */
	uint64_t deadline_ns; /* 0: 30 s */
	struct ring_id epoch; /* the last that this node knew; zero: none */
};

enum sync_fault {
	SYNC_FAULT_MESSAGE,  /* shorter or longer than its fields, or unknown */
	SYNC_FAULT_STRANGER, /* from no member, or of another configuration */
	SYNC_FAULT_ORDER,    /* state before the greeting, two greetings, after done */
	SYNC_FAULT_SERVICE,  /* of a service that this node does not have */
	SYNC_FAULT_COUNT,
};

struct sync_stats {
	struct pack_stats pack;
	uint64_t activations, aborts;
	uint64_t late, evicted;
	uint64_t faults[SYNC_FAULT_COUNT];
};

/* NULL with a sentence: -EINVAL, -ENOMEM. The ops are copied. */
struct sync *sync_new(const struct sync_config *config, const struct sync_ops *ops,
		      void *owner, struct err *err);
void sync_free(struct sync *s); /* NULL is fine */

/* --- for services ------------------------------------------------------------------ */

/*
 * Before the first configuration. `name` is for people, a literal. The owner
 * outlives the sync, or is never called again after sync_free().
 */
void sync_register(struct sync *s, enum sync_service_id id, const char *name,
		   const struct sync_service_ops *ops, void *owner);

/*
 * Copies the parts and sends them as one message of this service to all members,
 * this node too. In process() only. -EAGAIN: the queue is full, return SYNC_AGAIN;
 * -EMSGSIZE: above SYNC_MAX_MESSAGE; -ENOMEM: break.
 */
enum { SYNC_MAX_MESSAGE = 1 << 20 };
int sync_tell(struct sync *s, enum sync_service_id id, const struct iovec *parts,
	      int count);
/* A service that said SYNC_AGAIN without -EAGAIN has more now. */
void sync_go_on(struct sync *s);
/* This node cannot do its part (memory): sync_ops.broken, then nothing more. */
void sync_break(struct sync *s, const char *why);
bool sync_is_broken(const struct sync *s);

/* In process() and after: what the member told of itself (Y6). */
struct ring_id sync_epoch_of(const struct sync *s, int node);
/* Members whose epoch is the highest. */
struct node_set sync_winners(const struct sync *s);
bool sync_is_quorate(const struct sync *s); /* the active configuration */
/* In process() and after: a member may lack a service, as another version does. */
bool sync_has_service(const struct sync *s, int node, enum sync_service_id id);

/* --- for the engine of the barrier ------------------------------------------------- */

/* As in struct ring_ops, of what is_sync; `now` in ns of a clock that never goes back. */
size_t sync_fill(struct sync *s, uint8_t *payload, size_t room, bool *is_safe);
size_t sync_backlog(const struct sync *s);
void sync_deliver(struct sync *s, struct ring_id id, int from, const uint8_t *payload,
		  size_t length);
/* A regular configuration. */
void sync_configured(struct sync *s, uint64_t now, const struct sync_configuration *c);
/* A transitional configuration: messages still come, nothing is raised any more. */
void sync_ending(struct sync *s);
/* Behind that: a message is missing, as ring_ops.torn() has it. */
void sync_torn(struct sync *s);
/* All members have raised their bits. */
void sync_unplugged(struct sync *s);
void sync_advance(struct sync *s, uint64_t now);
uint64_t sync_deadline(const struct sync *s); /* UINT64_MAX: never */

/* --- for people and programs that look ---------------------------------------------- */

bool sync_is_active(const struct sync *s);
struct ring_id sync_epoch(const struct sync *s);
const struct sync_stats *sync_stats(const struct sync *s);
/*
 * Members that are not done yet; while some have not greeted, these, for nobody
 * can do anything before. Empty when all are done.
 */
struct node_set sync_waiting_for(const struct sync *s);
bool sync_has_greeted(const struct sync *s, int node);
/* Of the members that are not done, those who do not only wait for others. */
struct node_set sync_blamed(const struct sync *s);
/* Services of this member that are not done; a bit each. 0 while it has not greeted. */
uint32_t sync_unfinished(const struct sync *s, int node);
/* NULL: no service of this node has the number. */
const char *sync_service_name(const struct sync *s, int id);
