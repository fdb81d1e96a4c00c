/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What comes next where a disk that works is replaced: from how the array is, and nothing
 * else, so that who is interrupted goes on by asking again, on any node. Pure.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct err;
struct status_array;
struct status_disk;

enum { REPLACE_MAX_COPIES = 8 }; /* of a mirror that runs */

enum replace_step {
	REPLACE_ADD,        /* the new one, as a spare */
	REPLACE_GROW,       /* to copies + 1 */
	REPLACE_WAIT,       /* nothing to do but to look again */
	REPLACE_FAIL,       /* the old one */
	REPLACE_SHRINK,     /* to copies */
	REPLACE_REMOVE,     /* the old one */
	REPLACE_REMOVE_NEW, /* which has failed */
	REPLACE_DONE,
};

struct replace_disk {
	const char *word;   /* as it was given, for sentences */
	bool is_known;      /* it is a member, or was one, by this number */
	uint32_t number;
};

struct replace {
	const char *array;
	struct replace_disk old, new; /* new.word NULL: none is given, the one spare is meant */
	bool is_forced;     /* raid10: its set is without redundancy meanwhile */
	uint32_t copies;    /* disks at the end; 0: not decided yet. Begins as 0. */
};

/* NULL: it has none of that number. */
const struct status_disk *replace_find(const struct status_array *a, uint32_t number);

/*
 * is_busy: as wait_is_busy() says of `a`. May set r->new (the spare that is taken) and
 * r->copies. A sentence says what to do where nobody but a person can know.
 */
int replace_next(struct replace *r, const struct status_array *a, bool is_busy,
		 enum replace_step *step, struct err *err);
