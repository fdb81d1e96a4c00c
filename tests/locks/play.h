/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the files that play stories share: play.c the lines, play_deeds.c what they say,
 * play_hear.c what comes, play_compare.c whether that is right.
 */
#pragma once

#include "tests/locks/conformance.h"
#include "tests/locks/script.h"

enum {
	PLAY_MAX_LOCKS = 24,
	PLAY_MAX_CAME = 64,
};

struct play_node {
	struct conformance_play *play;
	int node;
	struct lockspace *space; /* NULL: dead, closed, or not opened yet */
	bool is_dead;
	bool is_unproven;        /* it died, and nobody said so; it may live again */
	enum lock_death death;
	bool is_special;         /* opened otherwise than all, or cut off; it is closed
				  * at the end */
	bool is_cut;
	bool is_lost;
	bool is_in;              /* recover_done() came */
	bool is_frozen;          /* recover_prep() came, and no recover_done() since */
	uint32_t generation;
	struct lockspace_member members[LOCKSPACE_MAX_SLOTS];
	size_t member_count;
};

struct play_lock {
	struct conformance_play *play;
	char subject[SCRIPT_MAX_WORD]; /* "": unused */
	int node;
	struct lockres lock;
	bool is_awaited;    /* one done() is to come */
	bool may_be_demoted;
	uint8_t before[LOCK_MAX_LVB]; /* the value as it was when it was asked */
};

struct conformance_play {
	const struct conformance_ground *ground;
	struct play_node nodes[CONFORMANCE_NODES + 1]; /* by number */
	struct play_lock locks[PLAY_MAX_LOCKS];
	unsigned int stories;
	bool is_ordered;
	struct script_event came[PLAY_MAX_CAME];
	size_t came_count;
	struct err broken;  /* a promise, seen in a callback */
};

extern const struct lockspace_handlers play_space_handlers; /* of a play_node */
extern const struct lockres_handlers play_lock_handlers;    /* of a play_lock */

/* An event that came. */
void play_note(struct conformance_play *play, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
void play_note_blockers(struct play_lock *l, const char *verb);
/* As many bytes as a value has: "word.word.wor". */
void play_fill(const struct conformance_play *play, uint8_t to[LOCK_MAX_LVB],
	       const char *word);
/* "EINVAL" */
const char *play_errno(int r);
/* No lockres of this node is used any more; with fini, or the engine is dead. */
void play_forget_locks(struct conformance_play *play, int node, bool with_fini);

int play_deed(struct conformance_play *play, const struct script_deed *d, struct err *err);
int play_open(struct conformance_play *play, const struct script_deed *d, struct err *err);
void play_cut(struct conformance_play *play, struct play_node *n, bool is_cut);
void play_prove(struct conformance_play *play, struct play_node *n);

/* What is looked at only where a line speaks of it, and this one does not. */
void play_drop_asides(struct conformance_play *play, const struct script_line *line);
int play_compare(struct conformance_play *play, const struct script_line *line,
		 struct err *err);
/* Whatever the story is, when all is quiet. */
int play_check(const struct conformance_play *play, struct err *err);

/* The matrix of the DLM's books, as the suite has it. */
bool spec_compatible(int held, int wanted);
