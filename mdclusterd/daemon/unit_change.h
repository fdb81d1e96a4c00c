/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A disk that comes to a unit's array, or goes: array_change() with an end for certain, for the
 * unit may go first.
 */
#pragma once

#include <qb/qblist.h>

#include "mdclusterd/array/array.h"

struct unit;
struct err;

/* In its owner's memory until done(). */
struct unit_change {
	struct array_change change; /* kind and what that takes; its done() is ours */
	/* result and change.err as those of array_change(); -ESHUTDOWN: it runs here no more. */
	void (*done)(void *owner, struct unit_change *c, int result);
	void *owner;
	struct unit *unit;
	struct qb_list_head link;
};

/* -EAGAIN: it is not active here. */
int unit_change(struct unit *u, struct unit_change *c, struct err *err);
/* Who asked has gone: done() does not come; what was begun goes on to its end. */
void unit_change_forget(struct unit_change *c);
/* Before the array goes: all are answered. */
void unit_changes_end(struct unit *u);
