/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the files of the ring's group engine share; group_ring.h has the promises. */
#pragma once

#include "totem/group_ring.h"

enum group_kind {
	GROUP_KIND_DATA = 1,
	GROUP_KIND_JOIN,
	GROUP_KIND_LEAVE,
};

enum { GROUP_HEAD_BYTES = 5 /* kind, handle */ };

/* --- names and who is in them: group_member.c ---------------------------------------- */

struct group_handle;

/* A group that somebody is in, or wants to be; counted. */
struct group_name {
	struct group_name *next; /* in its bucket */
	size_t refs;             /* by rosters and handles */
	struct group_handle *handles; /* ours in it, in the order of their joins */
	uint8_t length;
	char bytes[GROUP_MAX_NAME];
};

enum { GROUP_BUCKETS = 256 };

struct group_names {
	struct group_name *buckets[GROUP_BUCKETS];
};

/* One more ref to the name of these 1..64 bytes; NULL: out of memory. */
struct group_name *group_name_get(struct group_names *names, const void *bytes,
				  size_t length);
struct group_name *group_name_ref(struct group_name *name);
void group_name_put(struct group_names *names, struct group_name *name);

struct roster_entry {
	uint32_t handle;
	struct group_name *name; /* a ref */
};

/* The handles of one node, ascending. */
struct roster {
	struct roster_entry *entries; /* owned */
	size_t count, room;
};

/* NULL: not in it. */
const struct roster_entry *roster_find(const struct roster *r, uint32_t handle);
/* Takes the ref of `name` over if it returns true; false: out of memory. */
bool roster_add(struct roster *r, uint32_t handle, struct group_name *name);
/* The handle is in it; its ref goes to the caller. */
struct group_name *roster_remove(struct roster *r, uint32_t handle);
void roster_clear(struct roster *r, struct group_names *names);

/* What was told after one configuration (R2). */
struct group_proposal {
	struct ring_id ring;
	struct node_set members;
	struct node_set told;
	struct node_set gone; /* since the proposal before it, which was complete */
	struct roster rosters[TOTEM_MAX_NODES];
};

static inline bool proposal_is_complete(const struct group_proposal *p)
{
	return set_is_subset(p->members, p->told);
}

void proposal_clear(struct group_proposal *p, struct group_names *names);

/* --- the engine ------------------------------------------------------------------------ */

/* A handle of this node. */
struct group_handle {
	struct group base;            /* first: group.h knows only this */
	struct group_handle *next;    /* of all of this engine */
	struct group_handle *beside;  /* of the same name */
	struct group_name *name;      /* a ref */
	struct group_handlers handlers;
	void *owner;
	bool is_member;               /* its join was delivered */
	bool is_leaving;
	bool is_abandoned;
	struct pack_message *goodbye; /* so that leaving cannot fail; owned until then */
	size_t wanted;                /* cost that was refused; 0: it does not wait */
	struct group_handle *behind;  /* the next that waits for credit */
};

struct group_ring {
	struct group_engine base; /* first */
	struct group_ring_config config;
	int self;
	struct group_ring_stats stats;

	struct pack_queue queue; /* R1 */
	struct pack_assembly in[TOTEM_MAX_NODES];

	struct group_names names;
	struct group_handle *handles; /* owned */
	size_t handle_count;
	uint32_t last_handle;
	struct group_handle *waiters; /* for credit: who was refused first is first */
	const struct group_handle *served; /* whose turn it is to send */

	struct roster live[TOTEM_MAX_NODES]; /* the views, by node */
	struct ring_id activated;            /* the configuration they are of */
	struct group_proposal *proposal;     /* of the configuration we are in */
	struct group_proposal *pending;      /* R3: complete, and maybe activated */
	bool has_pending, pending_is_confirmed;

	struct ring_id ring;     /* the configuration we are in: {0, 0} before the first */
	struct node_set members; /* by index */
	bool is_active;

	struct group_member *scratch; /* three lists, each of scratch_room */
	size_t scratch_room;
};

extern const struct group_engine_ops group_ring_engine_ops; /* group_handle.c */

/* R5 */
void group_ring_break(struct group_ring *g, const char *why);

static inline bool group_is_broken(const struct group_ring *g)
{
	return sync_is_broken(g->config.sync);
}

void group_handle_free(struct group_ring *g, struct group_handle *h);
/* After messages went out. */
void group_credit_check(struct group_ring *g);

/* --- messages: group_message.c ---------------------------------------------------------- */

/* What this node has, to the sync service. 0, -EAGAIN, -ENOMEM. */
int group_state_tell(const struct group_ring *g);
void group_state_take(struct group_ring *g, int from, const uint8_t *state,
		      size_t length);

/* Of ordinary messages: a pack_fn. */
struct group_source {
	struct group_ring *g;
	int from; /* index */
};
void group_take(void *source, const uint8_t *message, size_t length);

/* --- views: group_view.c ----------------------------------------------------------------- */

void group_view_join(struct group_ring *g, int node, uint32_t handle,
		     const uint8_t *name, size_t length);
void group_view_leave(struct group_ring *g, int node, uint32_t handle,
		      enum group_reason reason);
/* Makes what was told the views, and tells the differences. */
void group_view_activate(struct group_ring *g, struct group_proposal *p);
