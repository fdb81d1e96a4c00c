/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * When a result of the kernel's DLM may be acted upon, and when locking counts as
 * recovered: what prep, slot and done of lockspace.h are made of. Pure.
 *
 * The kernel grants a dead node's locks to us as soon as it has recovered, and tells
 * us nothing of the death; the group tells of it, but maybe later. So:
 *
 *	V1  No result is acted upon while the group has events that were not delivered:
 *	    a change of the view was there before the kernel could regrant.
 *	V2  What might owe itself to a death (a value that is not valid, a lock that its
 *	    owner guards) waits for a message of ours to come back: then all changes
 *	    before it were delivered.
 *	V3  From the change that has a member missing until done, nothing is acted upon,
 *	    what is not missing any more came back, or is dead, the kernel has dropped
 *	    the dead from its members, and a conversion went through since.
 *	V4  What comes during the barrier starts it anew.
 *	V5  Results pass in the order in which they were read.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct dlm_gate {
	bool is_in;      /* done was told once */
	bool is_frozen;  /* prep was told, and no done */
	bool is_stale;   /* no done for what is now */
	bool is_barred;  /* the barrier is under way */
	uint64_t rounds_sent, rounds_back;
};

void dlm_gate_init(struct dlm_gate *gate);

/* A member is missing. True: tell prep. */
bool dlm_gate_missing(struct dlm_gate *gate);
/* Members, slots or generation are others: there will be a done. */
void dlm_gate_changed(struct dlm_gate *gate);
/*
 * True: start the barrier now. is_missing: somebody is, unproven; lingers: the kernel
 * has one that is dead among its members.
 */
bool dlm_gate_bar(struct dlm_gate *gate, bool is_missing, bool lingers);
/* The barrier is through. True: tell done. Ask dlm_gate_bar() again if not. */
bool dlm_gate_unbar(struct dlm_gate *gate);

/* The number that the round trip of a result has; send it now. */
uint64_t dlm_gate_round(struct dlm_gate *gate);
/* Our own message is back. */
void dlm_gate_round_back(struct dlm_gate *gate, uint64_t number);
/* Of the oldest result; round is 0 where it needs none. */
bool dlm_gate_passes(const struct dlm_gate *gate, bool is_group_pending, uint64_t round);
