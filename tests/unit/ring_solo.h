/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * One ring by itself: the test plays all the others, packet by packet, and sees
 * what the ring sends and tells its owner. For single steps of the protocol; for
 * clusters there is ring_rig.h. Nodes n1, n2 ... have the indexes 0, 1 ...; sets
 * are given as bits. Token 1000 ms.
 */
#pragma once

#include "tests/unit/help.h"
#include "totem/ring.h"
#include "totem/wire.h"

enum { SOLO_MS = 1000000, SOLO_MAX_OUT = 5000, SOLO_FIRST_SEQ = 1 << 16 };

struct solo_packet {
	enum wire_type type;
	uint64_t to; /* bits */
	union {
		struct wire_token token;
		struct wire_data data; /* without the payload */
		struct wire_join join;
		struct ring_id id;
	};
};

struct solo {
	struct ring *ring;
	struct node_table nodes;
	int self;
	uint64_t now;
	uint64_t high;             /* ring seq that the others tell in joins */
	struct ring_id id;         /* the ring made last, here or by it */
	uint64_t members;          /* of it, bits */
	struct wire_token token;   /* as it was sent last */
	struct wire_commit commit; /* as it was sent last */

	/* its owner */
	uint32_t want, want_bytes;
	bool want_safe;
	bool is_slow;         /* services are not synchronised at once */
	uint32_t wants_again; /* so often, one more when one is delivered */
	uint64_t save_seq;
	uint64_t unplugged;

	/* since solo_clear() */
	struct solo_packet out[SOLO_MAX_OUT];
	int out_count;
	uint64_t delivered[SOLO_MAX_OUT]; /* seq */
	int delivered_count;
	int before_transitional;          /* of these; -1: none came */
	struct ring_configuration regular;
};

/* Started, in gather; config may change what is not zero in it, or be NULL. */
struct solo *solo_new(int self, int count, const struct ring_config *config);
void solo_free(struct solo *s);
void solo_clear(struct solo *s);

/* Time passes; its timers go off. */
void solo_run(struct solo *s, uint64_t ms);

/* What others say. Of a ring of these members, this one passes it the token. */
int solo_predecessor(const struct solo *s, struct node_set members);
void solo_join(struct solo *s, int from, uint64_t proc, uint64_t failed);
void solo_say_join(struct solo *s, int from, struct wire_join join);
void solo_commit(struct solo *s, int from, const struct wire_commit *commit);
void solo_token(struct solo *s, struct wire_token token);
void solo_data(struct solo *s, int from, struct wire_data data);
void solo_name(struct solo *s, int from, enum wire_type type, struct ring_id id);

/* The usual course of things, in steps. All others tell these sets: */
void solo_agree(struct solo *s, uint64_t proc, uint64_t failed);
/* The first round of a commit token for proc - failed; also starts it. */
void solo_to_commit(struct solo *s, uint64_t proc, uint64_t failed);
/* As the ring told it, and all others of its old ring like it. */
struct wire_commit solo_full_commit(const struct solo *s);
/* What node `index` tells in it. */
struct wire_commit_entry *solo_entry(struct wire_commit *c, int index);
/* The second round, with these entries. */
void solo_to_recovery(struct solo *s, const struct wire_commit *full);
/*
 * The token as it left, once round: the others have all and want nothing. The
 * first time it comes from the representative, if that is another.
 */
void solo_round(struct solo *s);
/* All of it: an installed and unplugged ring, out and delivered cleared. */
void solo_form(struct solo *s, uint64_t proc, uint64_t failed);

/* Packets of this type that it sent; and the last of them, or the test fails. */
int solo_count(const struct solo *s, enum wire_type type);
const struct solo_packet *solo_last(const struct solo *s, enum wire_type type);
const struct ring_stats *solo_stats(const struct solo *s);
