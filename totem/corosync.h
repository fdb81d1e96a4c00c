/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A running corosync, by its libraries: who its nodes are (libcmap), whether they have a
 * quorum (libquorum), and by which votes (libvotequorum), and a closed group of processes
 * (libcpg). Descriptors are on the loop; nothing here decides anything.
 *
 * A corosync that is stopped, or hangs, holds nobody up: what is begun here before a loop runs
 * waits some seconds for it at most, and says so (-ETIMEDOUT); what is done while one runs is
 * done in a thread.
 *
 * Where the build has no corosync all of it is refused with -EOPNOTSUPP and a sentence.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "totem/cpg_order.h"

struct err;
struct loop;

bool corosync_is_built_in(void);

/* --- nodes ------------------------------------------------------------------------------- */

enum { COROSYNC_NAME_BYTES = 64 };

struct corosync_map {
	char cluster[COROSYNC_NAME_BYTES];
	struct node_table nodes;
	char names[TOTEM_MAX_NODES][COROSYNC_NAME_BYTES]; /* by index */
	uint32_t votes[TOTEM_MAX_NODES];
	uint32_t self;
	uint64_t token_ms; /* its token's, as it runs */
	bool is_two_node;  /* one of two may go on by itself */
};

/* -ECONNREFUSED: it does not run; -EINVAL: its nodelist cannot be used. With a sentence. */
int corosync_map_read(struct corosync_map *map, struct err *err);

/* --- the group --------------------------------------------------------------------------- */

struct corosync_link;

struct corosync_link_ops {
	void (*changed)(void *owner, const struct cpg_change *change);
	void (*received)(void *owner, struct cpg_process from, const uint8_t *bytes,
			 size_t length);
	/*
	 * Corosync's own ring is another from here on: in the order, before any message of
	 * the new one. Of its number, which grows. May be NULL
	 */
	void (*ring)(void *owner, uint64_t ring_seq);
	/* Of corosync_say_aside(); from whatever process of that node. May be NULL */
	void (*aside)(void *owner, uint32_t node, const uint8_t *bytes, size_t length);
	/* It has ended, or has closed us out: nothing comes any more. Not from within a send. */
	void (*gone)(void *owner, const char *why);
};

/* Connects. NULL with a sentence. */
struct corosync_link *corosync_link_open(const char *cluster,
					 const struct corosync_link_ops *ops, void *owner,
					 struct loop *loop, struct err *err);
/* Joins the group: changed() tells when. */
void corosync_link_start(struct corosync_link *l);
/* Leaves it and joins it again, soon: by another handle, on which nothing old comes. */
void corosync_link_rejoin(struct corosync_link *l);
/* Leaves it. NULL is fine. */
void corosync_link_close(struct corosync_link *l);

struct cpg_process corosync_link_self(const struct corosync_link *l);
/* Has corosync told of something that was not heard yet? */
bool corosync_link_is_pending(const struct corosync_link *l);
/* As cpg_order_ops.multicast(). */
int corosync_link_send(struct corosync_link *l, const uint8_t *bytes, size_t length);

/*
 * By a process that is in no group: to all links of this cluster, once. Waits until corosync
 * has put it in its order, or for about limit_ms. How many other nodes have such links, or
 * -errno with a sentence.
 */
int corosync_say_aside(const char *cluster, const void *bytes, size_t length,
		       uint32_t limit_ms, struct err *err);

/* --- quorum -------------------------------------------------------------------------------- */

struct corosync_quorum;

/* Corosync has said something of it; also the same once more, of another ring; or of votes. */
typedef void (*corosync_quorum_fn)(void *owner);

/* What corosync counts by, as it was when it last said anything. */
struct corosync_votes {
	bool is_known;
	uint32_t expected, highest_expected, total, quorum;
	uint32_t device; /* a qdevice's, in total while it casts them */
	uint32_t of[TOTEM_MAX_NODES]; /* by index; of nodes that it has not seen yet 0 */
	bool is_two_node, waits_for_all, is_last_man_standing, has_tie_breaker, allows_downscale;
};

struct corosync_quorum *corosync_quorum_open(const struct node_table *nodes, uint32_t self,
					     corosync_quorum_fn changed, void *owner,
					     struct loop *loop, struct err *err);
void corosync_quorum_close(struct corosync_quorum *q); /* NULL is fine */
/* False also where it has ended. */
bool corosync_quorum_is_quorate(const struct corosync_quorum *q);
/* The ring it was said of. It comes by another way than the group's order. */
uint64_t corosync_quorum_ring(const struct corosync_quorum *q);
/* Soon after what they are of. */
const struct corosync_votes *corosync_quorum_votes(const struct corosync_quorum *q);
