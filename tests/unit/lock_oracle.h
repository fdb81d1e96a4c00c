/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The lock table a second time, as slow and as literal as it can be: every rule is the
 * sentence of the specification as a loop over all locks of a resource. It shares
 * no line with lockres/, the table of modes included, and tells in the words of
 * lock_scene.h.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct lock_oracle;

struct oracle_order {
	uint32_t node, number;
	int resource; /* of requests */
	int mode;
	uint32_t flags;
	uint32_t waiter;
	char value; /* with VALBLK: a letter */
};

struct lock_oracle *lock_oracle_new(void);
void lock_oracle_free(struct lock_oracle *o);

/* 0, or -EBADMSG as the table would say; said() has what came of it. */
int lock_oracle_lock(struct lock_oracle *o, const struct oracle_order *order);
int lock_oracle_unlock(struct lock_oracle *o, uint32_t node, uint32_t number,
		       uint32_t flags, char value);
/* process, node, orphans: as enum lock_release. */
void lock_oracle_release(struct lock_oracle *o, uint32_t node, int release);
void lock_oracle_settle(struct lock_oracle *o);
/* Nobody was told anything yet: as after a load. */
void lock_oracle_forget_told(struct lock_oracle *o);

/* Since the last call; until the next operation. */
const char *lock_oracle_said(struct lock_oracle *o);
/* As stands() and keeps() of lock_scene.h; "" where there is no such resource. */
const char *lock_oracle_stands(struct lock_oracle *o, int resource);
const char *lock_oracle_keeps(struct lock_oracle *o, int resource);
