/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the files of the machine share: quorum.c (life, events), basis.c (counting: Q2, Q6),
 * verdict.c (from all that was told: Q1, Q3, Q4), quorum_wire.c (bytes), quorum_look.c.
 */
#pragma once

#include "mdclusterd/quorum/quorum.h"

struct rd;
struct wr;

enum { QUORUM_MAX_CANDIDATES = 6 };

/* Nodes by id: a basis outlives the configuration that its indexes are of. */
struct basis {
	uint64_t number;   /* 0: the configuration itself */
	uint64_t origin;   /* what was configured when it was made: quorum_origin() */
	uint32_t expected;
	uint32_t tie_node; /* id; 0: half is not enough */
	uint32_t device_votes;
	uint32_t count;
	uint32_t ids[TOTEM_MAX_NODES];
	uint8_t votes[TOTEM_MAX_NODES];
};

/* What a node knows of bases. */
struct quorum_record {
	struct basis formed;       /* number 0: none yet */
	struct basis candidates[QUORUM_MAX_CANDIDATES]; /* with higher numbers than it */
	int candidate_count;
};

/* What is configured, but for whose it is: a verdict goes by those of the lowest member. */
struct quorum_rules {
	bool is_two_node, is_last_man_standing, allows_downscale;
	enum quorum_tie tie;
	uint32_t expected, device_votes; /* expected: never 0 */
	int tie_count;
	uint32_t tie_nodes[TOTEM_MAX_NODES];
	uint8_t votes[TOTEM_MAX_NODES];  /* by index */
};

/* What a member tells. */
struct quorum_told {
	bool waits;                /* for all: Q4 */
	bool is_leaving, is_window_over, can_use_device;
	uint32_t by_hand;          /* expected votes; 0: nobody asks */
	uint64_t device_left_ns;   /* of its lease of the device; 0: it has none */
	struct quorum_rules first; /* as its process was started */
	struct quorum_rules rules; /* and as it has read them since */
	uint64_t first_origin, origin; /* of these */
	struct quorum_record record;
};

struct quorum_verdict {
	bool is_won;
	bool is_released;          /* nobody waits for all */
	bool counts_device;        /* without its votes it would not be won */
	bool would_win_by_device;
	bool has_candidate, is_by_hand;
	struct basis basis;        /* by which it was counted: the formed one */
	struct basis candidate;
	struct quorum_record known; /* by anybody; without the new candidate */
	uint32_t votes;            /* in the basis, with the device's */
	uint32_t highest_expected;
	uint64_t device_until;     /* as far as is known here */
	int device_holder;         /* index, or TOTEM_NO_INDEX */
	int device_taker;          /* who is to take it */
};

enum quorum_phase { PHASE_IDLE, PHASE_TELLING, PHASE_DECIDED, PHASE_ACTIVE };

struct quorum {
	struct quorum_options options;
	uint8_t boot[QUORUM_BOOT_BYTES];
	struct quorum_options first;   /* as the process was started */
	struct quorum_record record;
	bool waits;                    /* for all */
	bool has_changed;              /* what is remembered */

	enum quorum_phase phase;
	struct node_set members, heard;
	struct quorum_told *told;      /* by index; of the members that were heard */
	struct quorum_verdict verdict; /* from PHASE_DECIDED on */
	bool is_device_late;           /* another's lease, when the configuration was active */

	bool has_news;                 /* not told yet */
	bool is_leaving, is_window_over, has_stopped;
	struct node_set window_of;     /* members of whom it is */
	uint64_t window_end;           /* UINT64_MAX: none runs */
	uint32_t by_hand;
	uint64_t device_until;
	bool can_use_device;
};

/* --- basis.c ---------------------------------------------------------------------------- */

/* Of the votes alone: what can change without a new start. Never 0. */
uint64_t quorum_origin(const struct quorum_options *o);
uint32_t quorum_configured_expected(const struct quorum_options *o);
void quorum_rules_of(const struct quorum_options *o, struct quorum_rules *r);
/* All but `self` and what is no rule. */
void quorum_options_by(const struct quorum_rules *r, const struct node_table *nodes,
		       struct quorum_options *o);
/* The configuration as a basis, number 0. */
void basis_of_options(const struct quorum_options *o, struct basis *b);
int basis_find(const struct basis *b, uint32_t id); /* index in it, or -1 */
void basis_add(struct basis *b, uint32_t id, uint32_t votes);
void basis_remove(struct basis *b, uint32_t id);
uint32_t basis_sum(const struct basis *b);
uint32_t basis_votes(const struct basis *b, const struct node_table *nodes,
		     struct node_set members, bool has_device);
/* Votes that are needed. */
uint32_t basis_quorum(const struct basis *b, bool is_two_node);
/* Q2; is_two_node: one vote is enough. */
bool basis_holds(const struct basis *b, const struct node_table *nodes, struct node_set members,
		 bool has_device, bool is_two_node);
/* Of the nodes in it that are in `from`, too; 0: none, or no tie is to be broken. */
uint32_t basis_tie_node(const struct basis *b, const struct quorum_options *o,
			struct node_set from);
bool basis_same_content(const struct basis *a, const struct basis *b);

/* --- verdict.c -------------------------------------------------------------------------- */

/* All told[] of members are there. */
void quorum_verdict(const struct node_table *nodes, struct node_set members,
		    const struct quorum_told *told, struct quorum_verdict *v);

/* --- quorum_wire.c ---------------------------------------------------------------------- */

/* nodes: how many are configured. */
void quorum_put_told(struct wr *wr, const struct quorum_told *t, int nodes);
bool quorum_get_told(struct rd *rd, struct quorum_told *t, int nodes);
struct quorum_memory {
	uint8_t boot[QUORUM_BOOT_BYTES];
	bool has_seen_all; /* Q4: in that boot */
	struct quorum_record record;
};
void quorum_put_memory(uint8_t to[QUORUM_MEMORY_BYTES], const struct quorum_memory *m);
bool quorum_get_memory(const uint8_t from[QUORUM_MEMORY_BYTES], struct quorum_memory *m);
