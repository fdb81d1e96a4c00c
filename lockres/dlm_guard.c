/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The kernel forgets a node when it drops it, and the group when all its members are gone.
 * Who took part, and is neither here nor over, is remembered by the lock manager; so a
 * lockspace has one there as well, its guard: a prep, a death and a done of that hold up
 * what the kernel grants, whatever the kernel thinks of the node (D14, M8).
 */
#include <errno.h>

#include "lockres/dlm_space.h"

static void prep(void *owner, struct lockspace *guard)
{
	struct dlm_space *space = owner;

	(void)guard;
	space->is_guard_on = false;
	if (space->state == DLM_SPACE_JOINING || space->state == DLM_SPACE_IN)
		dlm_members_hold(space);
}

/*
 * Whoever has proven it need not be in this lockspace: a new process of its node, say, which
 * knows that those before it are dead. Where it was the node that is said to the lockspaces
 * themselves, before.
 */
static void dead(void *owner, struct lockspace *guard, uint32_t node, int slot)
{
	struct dlm_space *space = owner;

	(void)guard;
	(void)slot;
	if (space->state == DLM_SPACE_JOINING || space->state == DLM_SPACE_IN)
		dlm_slots_confirm(&space->slots, node, 0, LOCK_DEATH_PROCESS);
}

/* That somebody came or went, and nothing was held up, is the group's to tell. */
static void done(void *owner, struct lockspace *guard, const struct lockspace_member *members,
		 size_t count, int our_slot, uint32_t generation)
{
	struct dlm_space *space = owner;

	(void)guard;
	(void)members;
	(void)count;
	(void)our_slot;
	(void)generation;
	space->is_guard_on = true;
	if (space->open_job)
		dlm_space_begin(space);
	else
		dlm_space_settle(space);
}

static void lost(void *owner, struct lockspace *guard, const struct err *why)
{
	(void)guard;
	dlm_space_lose(owner, why);
}

static void closed(void *owner)
{
	struct dlm_space *space = owner;

	space->guard = NULL;
	dlm_space_closed(space);
}

static const struct lockspace_handlers handlers = {
	.recover_prep = prep,
	.recover_slot = dead,
	.recover_done = done,
	.lost = lost,
	.closed = closed,
};

int dlm_guard_open(struct dlm_space *space, struct err *err)
{
	const struct lockspace_config config = {
		.name = space->name,
		.name_length = space->name_length,
		.lvb_bytes = LOCK_SMALL_LVB,
		.wanted_slot = -1,
	};

	if (space->d->config.guards)
		return lockspace_open(space->d->config.guards, &config, &handlers, space,
				      &space->guard, err);
	space->is_guard_on = true;
	dlm_space_begin(space);
	return 0;
}

bool dlm_guard_holds(const struct dlm_space *space)
{
	return !space->is_guard_on;
}

bool dlm_guard_dead(struct dlm_space *space, uint32_t node)
{
	struct err ignored = ERR_INIT; /* of a node that is none */

	if (space->guard && space->is_guard_on)
		return false;
	if (space->guard)
		(void)lockspace_confirm_dead(space->d->config.guards, node, 0, LOCK_DEATH_NODE,
					     &ignored);
	return true;
}

void dlm_guard_close(struct dlm_space *space)
{
	if (space->guard)
		lockspace_close(space->guard);
	else
		dlm_space_closed(space);
}
