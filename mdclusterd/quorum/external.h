/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A quorum that others decide upon, corosync's: what each node is told of it comes at its
 * own time, and what follows from it has to be the same everywhere. So it is a sync service,
 * in the place of quorum_sync.h: each node tells what it knows.
 *
 *	X1  A configuration is quorate if all of its members were told so of what it
 *	    stands on, when they greeted. All come to the same.
 *	X2  Who is told that the quorum is lost is without one at once, whatever the others
 *	    still believe; it is back with another configuration, and not before.
 *	X3  Whoever said that there is none, and is told that there is, asks for another
 *	    configuration; once, and nobody else does.
 *
 * Pure.
 */
#pragma once

#include <stdbool.h>

struct external_quorum;
struct sync;

/*
 * is_quorate(): what this node knows now, of the members as they are now; false where it is
 * not told of these yet. Sync and owner outlive it, or the sync runs no more. NULL: no memory.
 */
struct external_quorum *external_quorum_new(struct sync *sync, bool (*is_quorate)(void *owner),
					    void *owner);
void external_quorum_free(struct external_quorum *x); /* NULL is fine */

/* What this node is told: there is none at all; or there is one, of the members as they are. */
void external_quorum_set(struct external_quorum *x, bool is_quorate);
/* X3: true once. */
bool external_quorum_wants_again(struct external_quorum *x);

/* X1, from the last member's word on. */
bool external_quorum_is_won(const struct external_quorum *x);
/* X1 and X2: and the configuration is active. */
bool external_quorum_is_quorate(const struct external_quorum *x);
