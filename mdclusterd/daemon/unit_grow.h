/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Another size, number of disks, name or bitmap of a unit's array: array_grow() with an end for
 * certain, for the unit may go first. One that becomes no array of a cluster is not changed
 * under clients.
 */
#pragma once

#include <qb/qblist.h>

#include "mdclusterd/array/array.h"
#include "mdclusterd/daemon/unit.h"

/* In its owner's memory until done(). */
struct unit_grow {
	struct array_grow grow; /* its done() is ours */
	/* result and grow.err as those of array_grow(); -ESHUTDOWN: it runs here no more. */
	void (*done)(void *owner, struct unit_grow *g, int result);
	void *owner;
	struct unit *unit;
	bool is_begun;
	struct unit_looker clients;
	struct qb_list_head link;
};

/* -EAGAIN: it is not active here. */
int unit_grow(struct unit *u, struct unit_grow *g, struct err *err);
/* It becomes no array of a cluster, and is stopped behind it. */
bool unit_grow_is_farewell(const struct unit_grow *g);
/* Who asked has gone: done() does not come; what was begun goes on to its end. */
void unit_grow_forget(struct unit_grow *g);
/* Before the array goes: all are answered. */
void unit_grows_end(struct unit *u);
