/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A dump as structs: its end, its words, and what is looked up in it. */
#include "lockres/dump.h"

#include <stdlib.h>

#include "base/arith.h"

static void free_space(struct lock_dump_space *space)
{
	for (size_t i = 0; i < space->resource_count; i++) {
		free(space->resources[i].locks);
		free(space->resources[i].history);
	}
	free(space->resources);
	free(space->members);
}

void lock_dump_free(struct lock_dump *dump)
{
	if (!dump)
		return;
	for (size_t i = 0; i < dump->space_count; i++)
		free_space(&dump->spaces[i]);
	free(dump->spaces);
	free(dump->nodes);
	free(dump);
}

/* --- words ---------------------------------------------------------------------------- */

const char *lockspace_freeze_name(enum lockspace_freeze freeze)
{
	switch (freeze) {
	case LOCKSPACE_RUNS:
		return "runs";
	case LOCKSPACE_SYNCING:
		return "syncing";
	case LOCKSPACE_NO_QUORUM:
		return "no-quorum";
	case LOCKSPACE_JOINING:
		return "joining";
	case LOCKSPACE_UNPROVEN:
		return "unproven";
	}
	return "?";
}

const char *lock_place_name(enum lock_place place)
{
	switch (place) {
	case LOCK_PLACE_GRANTED:
		return "granted";
	case LOCK_PLACE_CONVERTING:
		return "converting";
	case LOCK_PLACE_WAITING:
		return "waiting";
	}
	return "?";
}

struct bit {
	uint32_t mask;
	const char *name;
};

static const char *next_bit(const struct bit *bits, unsigned int count, uint32_t word,
			    unsigned int *at)
{
	while (*at < count) {
		const struct bit *b = &bits[(*at)++];

		if (word & b->mask)
			return b->name;
	}
	return NULL;
}

const char *lock_flag_next(uint32_t flags, unsigned int *bit)
{
	static const struct bit names[] = {
		{ LOCK_NOQUEUE, "NOQUEUE" },
		{ LOCK_CANCEL, "CANCEL" },
		{ LOCK_CONVERT, "CONVERT" },
		{ LOCK_VALBLK, "VALBLK" },
		{ LOCK_QUECVT, "QUECVT" },
		{ LOCK_IVVALBLK, "IVVALBLK" },
		{ LOCK_CONVDEADLK, "CONVDEADLK" },
		{ LOCK_PERSISTENT, "PERSISTENT" },
		{ LOCK_NODLCKWT, "NODLCKWT" },
		{ LOCK_EXPEDITE, "EXPEDITE" },
		{ LOCK_NOQUEUEBAST, "NOQUEUEBAST" },
		{ LOCK_HEADQUE, "HEADQUE" },
		{ LOCK_NOORDER, "NOORDER" },
		{ LOCK_ORPHAN, "ORPHAN" },
		{ LOCK_ALTPR, "ALTPR" },
		{ LOCK_ALTCW, "ALTCW" },
		{ LOCK_FORCEUNLOCK, "FORCEUNLOCK" },
	};

	return next_bit(names, ARRAY_SIZE(names), flags, bit);
}

const char *lock_mark_next(uint32_t marks, unsigned int *bit)
{
	static const struct bit names[] = {
		{ LOCK_DEMOTED, "DEMOTED" },
		{ LOCK_VALNOTVALID, "VALNOTVALID" },
		{ LOCK_ALTMODE, "ALTMODE" },
	};

	return next_bit(names, ARRAY_SIZE(names), marks, bit);
}

/* --- looking -------------------------------------------------------------------------- */

enum lock_place lock_view_place(const struct lock_view *lock)
{
	if (lock->wanted == LOCK_NONE)
		return LOCK_PLACE_GRANTED;
	return lock->granted == LOCK_NONE ? LOCK_PLACE_WAITING : LOCK_PLACE_CONVERTING;
}

const struct lock_dump_node *lock_dump_node(const struct lock_dump *dump, uint32_t id)
{
	for (size_t i = 0; i < dump->node_count; i++)
		if (dump->nodes[i].id == id)
			return &dump->nodes[i];
	return NULL;
}

const struct lockspace_member_look *lock_dump_member(const struct lock_dump_space *space,
						     uint32_t node)
{
	for (size_t i = 0; i < space->member_count; i++)
		if (space->members[i].node == node)
			return &space->members[i];
	return NULL;
}

bool lock_view_is_blocked_by(const struct lock_view *lock, const struct lock_view *other)
{
	return lock != other && lock->wanted != LOCK_NONE &&
	       !lock_modes_compatible(other->granted, lock->wanted);
}
