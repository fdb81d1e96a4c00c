/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Whether a part of the cluster may decide for the whole, with votequorum's names and
 * meanings: votes, expected_votes, two_node, wait_for_all, auto_tie_breaker,
 * last_man_standing, allow_downscale, and votes of a device.
 *
 *	          begin           hear (all told)          activate
 *	idle ---------> telling ----------------> decided ----------> active
 *	  ^               ^                          |                  |
 *	  `-- end --------`---------- begin ---------+------------------'
 *
 * Quorum is of a configuration: after each change its members tell each other what they
 * know, and all come to the same verdict from the same facts. What changes within one
 * (votes, a window that is over, the device) asks for another: quorum_wants_again().
 *
 * What counts is a basis: nodes, their votes, how many votes are expected. The first is
 * the configuration. Each later one has a number, and is made by a quorum of the one before,
 * in two steps: all members make it durable as a candidate, then it is formed. Who knows
 * a candidate of which it does not know that it was formed needs a quorum of it, too.
 * (Dynamic voting with attempts, as of Yeger Lotem, Keidar and Dolev; votequorum instead
 * lowers expected_votes by each node's own timer, and relies on fencing.)
 *
 *	Q1  No two parts are quorate at once, whatever is cut, dies, comes back, with any
 *	    options, but: with two_node, both nodes after a cut, until one is fenced (and
 *	    never a node that has started anew alone); where a person set expected_votes
 *	    by hand without a quorum, which is their word that nobody else is there.
 *	Q2  A quorate part has more than half of the expected votes of its basis; or half of
 *	    them and auto_tie_breaker's node; or one vote, with two_node.
 *	Q3  All members of a configuration come to the same verdict.
 *	Q4  With wait_for_all nobody is quorate before all votes were there at once, or it
 *	    met somebody who is past that. A node is past it for its life; and over the
 *	    death of its process while the host stays up, but not with two_node: there
 *	    others may have gone on alone meanwhile.
 *	Q5  A basis is formed only when all members have it in memory that outlives them.
 *	Q6  The votes of a basis, the device's with them, are no more than it expects.
 *	Q7  A vote of the device counts no longer than its holder's lease says.
 *
 * Differences from votequorum, on purpose: expected_votes below the sum of all votes is
 * refused (two parts could have it); a quorum that is lost does not bring wait_for_all
 * back; after last_man_standing has lowered it, only who was among the last can go on, over
 * restarts, too; allow_downscale has no lower limit.
 *
 * Pure: no clock, no file. `now` is in ns of the clock of boot.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "totem/nodes.h"

struct err;
struct quorum;

enum {
	QUORUM_MAX_VOTES = 255, /* of a node, of the device */
	QUORUM_MAX_EXPECTED = 65535,
	QUORUM_BOOT_BYTES = 16,
	QUORUM_WHY_BYTES = 240,
	/* Of what is remembered, always; and the most that is told. */
	QUORUM_MEMORY_BYTES = 8192,
};

enum quorum_tie { QUORUM_TIE_NONE, QUORUM_TIE_LOWEST, QUORUM_TIE_HIGHEST, QUORUM_TIE_LIST };

struct quorum_options {
	struct node_table nodes;
	int self;                        /* index */
	uint32_t votes[TOTEM_MAX_NODES]; /* by index */
	uint32_t expected;               /* 0: the sum of all votes */
	bool is_two_node, waits_for_all, is_last_man_standing, allows_downscale;
	uint64_t last_man_standing_window_ns;
	enum quorum_tie tie;
	uint32_t tie_nodes[TOTEM_MAX_NODES]; /* ids, the first that is there counts */
	int tie_count;
	uint32_t device_votes;           /* 0: there is no device */
};

/*
 * boot: of this start of the host (Q4). memory: QUORUM_MEMORY_BYTES that a quorum_memory()
 * made, or NULL: a node that never ran. NULL with a sentence: -EBADMSG, -ENOMEM.
 */
struct quorum *quorum_new(const struct quorum_options *options,
			  const uint8_t boot[QUORUM_BOOT_BYTES], const uint8_t *memory,
			  struct err *err);
void quorum_free(struct quorum *q); /* NULL is fine */

/* --- a configuration ----------------------------------------------------------------------- */

/* Nothing is decided from here on. Ends what was before. */
void quorum_begin(struct quorum *q, uint64_t now, struct node_set members);
void quorum_end(struct quorum *q);
/* What this node tells the others, itself too. Its length, at most QUORUM_MEMORY_BYTES. */
size_t quorum_tell(struct quorum *q, uint64_t now, uint8_t to[QUORUM_MEMORY_BYTES]);
/* What a member told. -EBADMSG: it counts as nothing, and has_heard_all stays false. */
int quorum_hear(struct quorum *q, uint64_t now, int from, const uint8_t *bytes, size_t length);
bool quorum_has_heard_all(const struct quorum *q);
/*
 * All have told: the verdict. True: what quorum_memory() gives is to be durable before this
 * node says that it is done (Q5).
 */
bool quorum_decide(struct quorum *q, uint64_t now);
/* All members are done. */
void quorum_activate(struct quorum *q, uint64_t now);

/* The verdict, from quorum_decide() on. */
bool quorum_is_won(const struct quorum *q);
/* It is active, too, and the device's lease, where it counts, is not over. */
bool quorum_is_quorate(const struct quorum *q, uint64_t now);

/* What is to outlive the process. It has changed since it was taken last. */
void quorum_memory(struct quorum *q, uint8_t to[QUORUM_MEMORY_BYTES]);
bool quorum_memory_has_changed(const struct quorum *q);

/* --- what happens within one ------------------------------------------------------------------ */

/* The ring is to be made anew, with the same members: there is something to tell. */
bool quorum_wants_again(const struct quorum *q);
/* Time has come to quorum_deadline(); UINT64_MAX: never. */
void quorum_advance(struct quorum *q, uint64_t now);
uint64_t quorum_deadline(const struct quorum *q);

/* A configuration that was read again; nodes and options other than votes are the same. */
void quorum_set_votes(struct quorum *q, const struct quorum_options *options);
/*
 * By hand: this many votes are expected, of those who are there now (Q1). -EINVAL: they
 * would have no quorum by that.
 */
int quorum_set_expected(struct quorum *q, uint32_t expected, struct err *err);
/* This node goes, in order: with allow_downscale its votes are expected no more. */
void quorum_set_leaving(struct quorum *q);
/* In order, and for long: wait_for_all waits at the next start. Then quorum_memory(). */
void quorum_set_stopped(struct quorum *q);

/* The device's lease, this node's; 0: none. */
void quorum_set_device(struct quorum *q, uint64_t now, uint64_t until);
/* Whether this node can reach it at all. */
void quorum_set_device_usable(struct quorum *q, bool is_usable);
/* This node is to take the lease: its part would be quorate by it. Or to keep it. */
bool quorum_wants_device(const struct quorum *q);

/* --- for people and programs that look --------------------------------------------------------- */

struct quorum_look {
	bool is_quorate, waits_for_all, has_device, counts_device;
	uint32_t votes;             /* of the members, and of the device */
	uint32_t expected;          /* of the basis */
	uint32_t highest_expected;  /* that any member was configured with, or the basis has */
	uint32_t quorum;            /* votes that are needed */
	uint64_t basis;             /* its number, 0: the configuration */
	int candidates;             /* that may have been formed */
	struct node_set members;
	struct node_set in_basis;   /* of the configured nodes */
	uint32_t node_votes[TOTEM_MAX_NODES];
	/* "" while it is quorate; else what is missing, and who. */
	char why[QUORUM_WHY_BYTES];
};

/* Nodes by id in the sentence, or by name where name() is not NULL. */
void quorum_look(const struct quorum *q, uint64_t now,
		 const char *(*name)(void *owner, uint32_t id), void *owner,
		 struct quorum_look *look);
const struct quorum_options *quorum_settings(const struct quorum *q);
