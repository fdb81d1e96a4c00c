/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Who of a lockspace has which slot, for engines whose DLM tells us nothing: a table
 * that every member keeps, changed by the changes and messages of an ordered group,
 * and by nothing else. Pure.
 *
 *	N1  Members that have seen the same of the group have the same table.
 *	N2  A slot is one member's until it leaves, or is said to be dead; who comes
 *	    back has its old slot if it is free, else the lowest that is (L6).
 *	N3  Who joins takes the table of those who have it. Only where everybody is
 *	    known to have none, one is made, of the requests in their order.
 *	N4  Whoever comes back from another partition, and was said to be dead here, is
 *	    out; who was only missed goes on.
 *
 * The table for a joiner says how many events came since its request; where more came
 * before it was delivered, all see that it is stale, and another one is on its way.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lockres/lockspace.h"

struct group_change;
struct group_member;
struct rd;
struct wr;

enum {
	DLM_SLOTS_ENTRIES = 2 * LOCKSPACE_MAX_SLOTS, /* members, and who had been one */
	DLM_SLOTS_MESSAGE_MAX = 64 + DLM_SLOTS_ENTRIES * 32,
};

struct dlm_seat {
	uint32_t node;
	uint32_t handle; /* of its process in the group */
	uint64_t incarnation; /* of that: grows at every start of the node */
	int slot;
	bool is_member;  /* or its slot is only remembered */
	bool is_missing;
	bool is_process; /* missing, but its node was there: GROUP_PROCDOWN */
	uint32_t next_handle; /* a new process of a missing node, 0: there is none */
	uint64_t next_incarnation;
	int next_wanted;
};

/* From within the calls below; send() may be told no more than that there is one. */
struct dlm_slots_ops {
	void (*send)(void *owner, const void *message, size_t length);
	/* Members, slots or the generation are others than before. */
	void (*changed)(void *owner);
	/* First of them; is_process: its node goes on. */
	void (*missing)(void *owner, uint32_t node, bool is_process);
	void (*dead)(void *owner, uint32_t node, int slot, enum lock_death death);
	/* -ENOSPC, -EEXIST (this node has a member), -ESTALE (N4). */
	void (*lost)(void *owner, int why);
};

struct dlm_slots {
	const struct dlm_slots_ops *ops;
	void *owner;
	uint32_t self, handle;
	uint64_t incarnation;
	int slots, wanted;
	bool has_table, is_lost;
	uint64_t version;       /* of the seats, but for who is missing */
	struct dlm_seat seats[DLM_SLOTS_ENTRIES];
	int seat_count;
	uint64_t events;        /* changes and messages that count */
	struct dlm_peer {       /* of the view; by node, then handle */
		uint32_t node, handle;
		bool has_asked;      /* its request was seen, and no good table for it */
		uint64_t asked_at;   /* of the events */
		uint64_t incarnation;
		int wanted;
	} *peers;
	size_t peer_count;
	uint64_t faults;        /* messages that make no sense */
};

void dlm_slots_init(struct dlm_slots *s, uint32_t self, uint64_t incarnation,
		    const struct lockspace_config *config,
		    const struct dlm_slots_ops *ops, void *owner);
void dlm_slots_fini(struct dlm_slots *s);

/* What the group tells. -ENOMEM: this member's part has ended. */
int dlm_slots_changed(struct dlm_slots *s, uint32_t handle, const struct group_change *change);
/* False: it is none of these messages. */
bool dlm_slots_message(struct dlm_slots *s, const struct group_member *sender,
		       const void *message, size_t length);

/*
 * A missing member is dead, in this incarnation or an earlier one (0: whatever is missing
 * now): told to all. Nothing where it is not missing.
 */
void dlm_slots_confirm(struct dlm_slots *s, uint32_t node, uint64_t incarnation,
		       enum lock_death death);

/* NULL: none. */
const struct dlm_seat *dlm_slots_find(const struct dlm_slots *s, uint32_t node);
bool dlm_slots_is_missing(const struct dlm_slots *s); /* anybody */
static inline uint32_t dlm_slots_generation(const struct dlm_slots *s)
{
	return (uint32_t)s->version;
}
/* By slot; how many. -1 in *our_slot: we are not in yet. */
size_t dlm_slots_members(const struct dlm_slots *s,
			 struct lockspace_member members[LOCKSPACE_MAX_SLOTS], int *our_slot);

/* The table in a message: rd fails, or -EBADMSG, on what no member would send. */
void dlm_slots_put(const struct dlm_slots *s, struct wr *wr);
int dlm_slots_take(struct dlm_slots *s, struct rd *rd);
