/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The checkpoint store: named checkpoints of named sections, held in memory by
 * every node. A change is a safe message in one group, applied where it comes in
 * the order; a sync service brings nodes that come together to one state. What is
 * promised, as tests cite:
 *
 *	C1  Members of a configuration hold the same at the same point of the
 *	    order: names, numbers, sections, counts (checkpoint_digest()).
 *	C2  A change is applied by all members of a configuration that go on
 *	    together, or by none of them; by none where there is no quorum, or while
 *	    a member is not in the group yet. Without quorum only counts change.
 *	C3  Every request is answered once, in the order of the requests.
 *	C4  What was answered with 0 is in the state of every quorate configuration
 *	    to come, as long as each has a member that was in the one before and
 *	    kept its memory; see checkpoint_transitional().
 *	C5  A reference counts as long as its handle is open and its node is a
 *	    member. An unlinked checkpoint goes with its last reference.
 *	C6  A handle is of the checkpoint that it opened, and never of another of
 *	    its name or number. Where that is not in the state that won, the handle
 *	    is told `lost`.
 *	C7  What others tell in a sync phase becomes the state whole or not at all,
 *	    and only a node that holds the winning state is believed.
 *	C8  Nothing grows without bound: the limits below, the same everywhere.
 *	C9  Memory that runs out ends this node's part (sync_break()); it never
 *	    goes on with less than the others have.
 *
 * Which state wins. A state has the epoch of the last quorate configuration that led
 * to it, which may be newer than its node's (told by others, without quorum) or older
 * (the node restarted, and kept only the number). The newest wins. States of one epoch
 * hold the same safe messages up to the end of its regular configuration, and all that
 * was answered is among these. Behind that end, in transitional configurations, each
 * partition may have delivered others, that nobody has an answer to yet. So any of
 * these states is right; the longest is taken, of the lowest index where they are
 * equally long. With quorum a state that is older than an epoch that somebody knows is
 * not taken: better none than an old one.
 *
 * Pure: no clock, no I/O; one thread, that of the sync and the engine. Callbacks
 * come from within their events, and may call everything here but
 * checkpoint_store_free(). Freed behind the sync and before the engine.
 *
 * Wire, little endian. An id is: number u64, and its birth: node u32, incarnation
 * u64, serial u64. Operations: a kind byte, incarnation u64, serial u64, then
 *
 *	1 open     flags u8, name          4 write    id, length u8, section, data
 *	2 close    id                      5 delete   id, section
 *	3 unlink   name                    6 mark     (of serial 0)
 *
 * The sync phase: all tell 1 at once; when these are known the one that was chosen
 * tells 2, 3, 4; all tell 5.
 *
 *	1 head        epoch (rep u32, seq u64), operations u64, history u64, next u64
 *	2 checkpoint  id, flags u8 (1: unlinked), name; numbers ascending
 *	3 section     number u64, length u8, section, data; ascending
 *	4 end         checkpoints u32, sections u32
 *	5 counts      count u32, count x (id, opens u32); numbers ascending
 *
 * Sources: README.recovery of OpenAIS, its checkpoint service. Numbers with a
 * birth, the choice of the winner, answers that wait, and quorum are ours.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "totem/nodes.h"

struct err;
struct sync;
struct group_engine;

#define CHECKPOINT_GROUP "mdclusterd:checkpoints"

enum {
	CHECKPOINT_MAX_NAME = 64, /* of checkpoints and of sections, from 1 byte */
	CHECKPOINT_MAX_DATA = 64 << 10, /* of a section, from 0 bytes */
	CHECKPOINT_MAX_COUNT = 1024,    /* with unlinked ones */
	CHECKPOINT_MAX_SECTIONS = 1024, /* of a checkpoint */
	CHECKPOINT_MAX_OPENS = 4096,    /* of a node, in all */
	CHECKPOINT_MAX_BYTES = 64 << 20, /* of sections: their cost, in all */
	/* What a section costs beyond its name and data. */
	CHECKPOINT_SECTION_COST = 64,
};

enum checkpoint_flag {
	CHECKPOINT_CREATE = 1,
	CHECKPOINT_EXCLUSIVE = 2, /* with CREATE: -EEXIST if it is there */
};

struct checkpoint_store;
struct checkpoint_handle;

/*
 * Answers:  0, and
 *	-ENOENT     no such checkpoint, or section
 *	-EEXIST     as CHECKPOINT_EXCLUSIVE asked
 *	-ENOSPC     a limit of the store is reached
 *	-EMFILE     CHECKPOINT_MAX_OPENS
 *	-EROFS      no quorum
 *	-EAGAIN     not applied: a node is about to join. Again, after `opened`
 *	-ESTALE     the handle was lost as this was under way
 *	-ECANCELED  the cluster came apart as this was under way: it may be in the
 *	            state or not, look there. An open is closed again
 *	-ESHUTDOWN  this node is leaving the cluster
 */
typedef void (*checkpoint_done_fn)(void *owner, int result);

/* A sentence without subject for each of these. */
const char *checkpoint_why(int result);

struct checkpoint_store_ops {
	/* After -EAGAIN at once, or as an answer: try again. */
	void (*opened)(void *owner);
	/*
	 * A sync phase is over. `is_replaced`: the state is another one than
	 * before it; what was read must be read again.
	 */
	void (*activated)(void *owner, bool is_replaced);
};

struct checkpoint_store_config {
	struct node_table nodes;
	uint32_t self;        /* id, one of them */
	uint64_t incarnation; /* grows at every start of this node */
};

enum checkpoint_fault {
	CHECKPOINT_FAULT_MESSAGE,  /* shorter or longer than its fields, or unknown */
	CHECKPOINT_FAULT_STRANGER, /* from no member, or not who was chosen */
	CHECKPOINT_FAULT_ORDER,    /* twice, too early, not ascending, not asked for */
	CHECKPOINT_FAULT_LIMIT,    /* more than anybody may hold */
	CHECKPOINT_FAULT_COUNT,
};

struct checkpoint_stats {
	uint64_t applied, refused; /* operations of all nodes */
	uint64_t activations, aborts;
	uint64_t replaced; /* activations with another state than before */
	uint64_t emptied;  /* activations where nobody had kept the newest state */
	uint64_t lost;     /* handles */
	uint64_t in_doubt; /* -ECANCELED */
	uint64_t faults[CHECKPOINT_FAULT_COUNT];
};

/*
 * Registers with the sync and joins the group. NULL with a sentence: -EINVAL,
 * -ENOMEM, what group_join() says. The ops are copied; any may be NULL.
 */
struct checkpoint_store *checkpoint_store_new(const struct checkpoint_store_config *config,
					      struct sync *sync,
					      struct group_engine *engine,
					      const struct checkpoint_store_ops *ops,
					      void *owner, struct err *err);
/* All handles and requests with it, without a callback. NULL is fine. */
void checkpoint_store_free(struct checkpoint_store *s);

/*
 * A transitional configuration was delivered: from here on the answers wait, until it
 * is known whether this partition's state is the one that goes on (C4): a quorate
 * configuration was activated with it, and a safe message delivered there, so that all
 * of its members activate it. Without this call they do not wait, and an answer of 0
 * may be undone by a partition.
 */
void checkpoint_transitional(struct checkpoint_store *s);

/* --- requests ------------------------------------------------------------------- */

/*
 * All are refused at once with -EINVAL (a length), -EROFS, -EAGAIN (no credit, or
 * configurations are changing: wait for `opened`), -ESHUTDOWN, -ENOMEM; then there
 * is no answer. `done` may be NULL but for open.
 */

struct checkpoint_handlers {
	/* The answer. Not 0: the handle is gone when the call returns. */
	checkpoint_done_fn opened;
	/* C6. The handle is gone when the call returns. May be NULL. */
	void (*lost)(void *owner);
};

/* The handle is for use once it was answered with 0; to close it is always right. */
int checkpoint_open(struct checkpoint_store *s, const void *name, size_t name_length,
		    unsigned int flags, const struct checkpoint_handlers *handlers,
		    void *owner, struct checkpoint_handle **handle);
/* Cannot fail; nothing more is told to the handle's owner. */
void checkpoint_close(struct checkpoint_handle *handle);
/* The name is free at once. */
int checkpoint_unlink(struct checkpoint_store *s, const void *name, size_t name_length,
		      checkpoint_done_fn done, void *owner);
/* The section becomes these bytes, whether it was there or not. */
int checkpoint_write(struct checkpoint_handle *handle, const void *section,
		     size_t section_length, const void *data, size_t length,
		     checkpoint_done_fn done, void *owner);
int checkpoint_delete(struct checkpoint_handle *handle, const void *section,
		      size_t section_length, checkpoint_done_fn done, void *owner);

/* --- looking: local, at once, also without quorum; borrowed until the next event  */

/* -ENOENT: no such section; -ESTALE: not open. */
int checkpoint_read(const struct checkpoint_handle *handle, const void *section,
		    size_t section_length, const void **data, size_t *length);

struct checkpoint_info {
	uint64_t number;
	const char *name; /* any bytes */
	size_t name_length;
	bool is_unlinked;
	uint32_t references;
	size_t sections;
};

struct checkpoint_section_info {
	const char *name;
	size_t name_length;
	const void *data;
	size_t length;
};

/* The index-th, by number; its sections by name. False: there are fewer. */
bool checkpoint_at(const struct checkpoint_store *s, size_t index,
		   struct checkpoint_info *info);
bool checkpoint_section_at(const struct checkpoint_store *s, uint64_t number,
			   size_t index, struct checkpoint_section_info *info);
/* How often the node (index) has it open; 0 too where it is not there. */
uint32_t checkpoint_opens(const struct checkpoint_store *s, uint64_t number, int node);

/* Over all of the state (C1). Reads all of it. */
uint64_t checkpoint_digest(const struct checkpoint_store *s);
size_t checkpoint_bytes(const struct checkpoint_store *s);
/* Requests may be made now; the quorum is another question. */
bool checkpoint_is_ready(const struct checkpoint_store *s);
const struct checkpoint_stats *checkpoint_stats(const struct checkpoint_store *s);
