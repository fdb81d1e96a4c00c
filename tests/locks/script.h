/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The language of the stories. A line is deeds, then after "->" what comes of them:
 *
 *	LOCK lock MODE NAME [word...]   a request; words: flags as in lock.h, in lower case,
 *	                                value=WORD (and VALBLK), timeout=5s, waiter=3
 *	LOCK convert MODE [word...]
 *	LOCK unlock [word...]           valblk, value=WORD, ivvalblk, forceunlock
 *	LOCK cancel                     LOCK frees
 *	LOCK asks                       lockres_blockers()
 *	NODE begins | ends | closes | purges NODE
 *	NODE opens [slot=2] [slots=2] [othersize]
 *	NODE looks                      members, as recover_done() told
 *	NODE dies process|node          NODE proven (as it died)
 *	NODE cut                        NODE back
 *	time 5s
 *
 *	LOCK granted MODE [demoted] [invalid] [altmode] [value=WORD]
 *	LOCK unlocked
 *	LOCK again|deadlock|cancelled|late|none|stale|full [MODE that is still held]
 *	LOCK blocked MODE
 *	LOCK refused EINVAL|EBUSY|ESHUTDOWN     what the call itself said
 *	LOCK waits for NODE...                  NODE may be "nobody"
 *	LOCK waited for NODE...                 in done(), when it is late; looked at where a
 *	                                        line has it
 *	NODE sees NODE:SLOT...                  by slot
 *	@NODE prep | slot NODE | on | closed    looked at where a line has one of these
 *	@NODE lost ENOSPC|EBADR|ESTALE
 *	?...                                    may come or not: the DLM's books are silent
 *
 * A mode is a name, "none", or a number that is no mode. A value WORD fills the whole
 * of the block. A NAME is a word; long:X has 64 bytes, of which many are 0, and ends with
 * X; toolong has 65; empty none; zero:X is X and a byte that is 0.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "lockres/lock.h"

enum {
	SCRIPT_MAX_WORD = 24,
	SCRIPT_MAX_DEEDS = 8,
	SCRIPT_MAX_EVENTS = 32,
	SCRIPT_MAX_EVENT = 96,
};

enum script_verb {
	SCRIPT_LOCK, SCRIPT_CONVERT, SCRIPT_UNLOCK, SCRIPT_CANCEL, SCRIPT_FREES,
	SCRIPT_ASKS,
	SCRIPT_BEGINS, SCRIPT_ENDS, SCRIPT_OPENS, SCRIPT_CLOSES, SCRIPT_PURGES,
	SCRIPT_LOOKS, SCRIPT_DIES, SCRIPT_PROVEN, SCRIPT_CUT, SCRIPT_BACK, SCRIPT_TIME,
};

struct script_deed {
	enum script_verb verb;
	char subject[SCRIPT_MAX_WORD]; /* "1b"; "" for time */
	int node;                      /* of the subject */
	int mode;                      /* any number: enum lock_mode, or what is none */
	char name[SCRIPT_MAX_WORD];    /* of the resource, as it stands in the script */
	uint32_t flags;
	char value[SCRIPT_MAX_WORD];   /* "": none given */
	uint64_t ns;                   /* timeout=, time */
	uint32_t waiter;
	int other;                     /* purges: whom */
	bool is_node_death;
	int slot, slots;               /* opens; -1, 0: not given */
	bool has_other_size;
};

/* What came, or should come, in the words of the script: "1b granted EX value=new". */
struct script_event {
	char text[SCRIPT_MAX_EVENT];
	bool is_optional;
};

struct script_line {
	struct script_deed deeds[SCRIPT_MAX_DEEDS];
	size_t deed_count;
	struct script_event events[SCRIPT_MAX_EVENTS];
	size_t event_count;
};

/*
 * The line at *at, which then stands behind it. Empty ones have no deeds. -EINVAL with
 * what is not understood.
 */
int script_read(const char **at, struct script_line *line, struct err *err);
/* Until a blank: what, or whose lock, an event is about. */
size_t script_subject_length(const char *text);
/* The name of a resource as bytes, behind a prefix of a story's own; its length. */
size_t script_name(const char *name, const char *prefix, uint8_t to[LOCK_MAX_NAME + 1]);
