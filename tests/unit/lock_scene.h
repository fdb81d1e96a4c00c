/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A lock table that writes down all that it tells, for tests that read as a story:
 *
 *	1.2=EX          node 1's lock 2 is granted EX; none: it is unlocked
 *	1.2=EX"abc"     and the value came with it (up to its first zero)
 *	1.2=EX!EAGAIN   refused: EX is still held
 *	+invalid +alt +demoted    marks, behind that
 *	1.2?PW          it is told that PW waits
 *	cycle(1.2 wants EX on b of 2.1 PR, ...)    the steps of Q9
 */
#pragma once

#include "tests/unit/help.h"

#include "lockres/table.h"

struct lock_scene {
	struct lock_table *table;
	const char *value; /* what goes with VALBLK; short */
	uint32_t waiter;   /* of requests */
	uint32_t lvb_bytes;
	size_t length;
	char said[1 << 16];
};

/* LVBs of 64 bytes. */
struct lock_scene *lock_scene_new(void);
void lock_scene_free(struct lock_scene *s);
/* What writes into it. */
extern const struct lock_table_ops lock_scene_ops;

/* These are taken, or the test fails. */
void ask(struct lock_scene *s, uint32_t node, uint32_t number, const char *name,
	 enum lock_mode mode, uint32_t flags);
void turn(struct lock_scene *s, uint32_t node, uint32_t number, enum lock_mode mode,
	  uint32_t flags); /* CONVERT is added */
void drop(struct lock_scene *s, uint32_t node, uint32_t number, uint32_t flags);
void release(struct lock_scene *s, uint32_t node, enum lock_release release);

/* What the table answers. */
int try_ask(struct lock_scene *s, uint32_t node, uint32_t number, const char *name,
	    enum lock_mode mode, uint32_t flags);
int try_drop(struct lock_scene *s, uint32_t node, uint32_t number, uint32_t flags);

/* What came before is not looked at. */
void given(struct lock_scene *s);
/* That is all that was told since the last time. */
#define said(s, wanted) check_said(s, wanted, __LINE__)
void check_said(struct lock_scene *s, const char *wanted, int line);
/*
 * The queues: "1.1=PR 2.1=PR~|3.1=PR>EX|4.1>EX"; ~ is an orphan. "" where there is
 * no such resource.
 */
#define stands(s, name, wanted) check_stands(s, name, wanted, __LINE__)
void check_stands(const struct lock_scene *s, const char *name, const char *wanted,
		  int line);
/* "text 3", "text 3 invalid": the value and how often it was stored. */
#define keeps(s, name, wanted) check_keeps(s, name, wanted, __LINE__)
void check_keeps(const struct lock_scene *s, const char *name, const char *wanted,
		 int line);
/* The same as text. */
void lock_scene_stands(const struct lock_scene *s, const char *name, char *to, size_t room);
void lock_scene_keeps(const struct lock_scene *s, const char *name, char *to, size_t room);

/* Goes on with a table that was saved and loaded; digests are equal, or the test fails. */
void reload(struct lock_scene *s);
