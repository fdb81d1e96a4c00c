/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What this node saw happen to a resource: its last steps, in a ring that doubles up
 * to LOCK_HISTORY_MAX. No part of the state, so where there is no memory for it, steps
 * are forgotten.
 */
#include <stdlib.h>
#include <string.h>

#include "base/arith.h"
#include "lockres/table_private.h"

enum { FIRST_ROOM = 4 };

struct step {
	uint64_t at_ns;
	struct lock_key key;
	int32_t status;
	uint8_t step;
	int8_t from, to;
};

struct lock_history {
	uint8_t first, count, room;
	struct step steps[];
};

static size_t history_bytes(size_t room)
{
	return sizeof(struct lock_history) + room * sizeof(struct step);
}

static const struct step *step_of(const struct lock_history *h, unsigned int i)
{
	return &h->steps[(h->first + i) % h->room];
}

/* Room for one more, by forgetting the oldest if there is no other way. */
static struct lock_history *make_room(struct lock_table *t, struct lock_history *old)
{
	size_t room = old ? min_u64(2u * old->room, LOCK_HISTORY_MAX) : FIRST_ROOM;
	struct lock_history *h = NULL;

	if (old && old->count < old->room)
		return old;
	if (!old || room > old->room)
		h = malloc(history_bytes(room));
	if (!h) {
		if (old) {
			old->first = (uint8_t)((old->first + 1) % old->room);
			old->count--;
		}
		return old;
	}
	*h = (struct lock_history){ .room = (uint8_t)room };
	for (; old && h->count < old->count; h->count++)
		h->steps[h->count] = *step_of(old, h->count);
	t->bytes += history_bytes(room) - (old ? history_bytes(old->room) : 0);
	free(old);
	return h;
}

void lock_note(struct lock_table *t, struct lock_resource *r, struct lock_key key,
	       enum lock_step step, enum lock_mode from, enum lock_mode to, int status)
{
	struct lock_history *h = make_room(t, r->history);

	r->history = h;
	if (!h)
		return;
	h->steps[(h->first + h->count) % h->room] = (struct step){
		.at_ns = t->now_ns,
		.key = key,
		.status = status,
		.step = (uint8_t)step,
		.from = (int8_t)from,
		.to = (int8_t)to,
	};
	h->count++;
}

void lock_history_free(struct lock_table *t, struct lock_resource *r)
{
	if (r->history)
		t->bytes -= history_bytes(r->history->room);
	free(r->history);
	r->history = NULL;
}

void lock_table_clock(struct lock_table *t, uint64_t now_ns)
{
	t->now_ns = now_ns;
}

void lock_table_history(const struct lock_table *t, const void *name, size_t name_length,
			void (*fn)(void *owner, const struct lock_history_entry *entry),
			void *owner)
{
	const struct lock_resource *r = lock_resource_find(t, name, name_length);
	const struct lock_history *h = r ? r->history : NULL;

	for (unsigned int i = 0; h && i < h->count; i++) {
		const struct step *s = step_of(h, i);
		const struct lock_history_entry entry = {
			.at_ns = s->at_ns,
			.key = s->key,
			.step = (enum lock_step)s->step,
			.from = (enum lock_mode)s->from,
			.to = (enum lock_mode)s->to,
			.status = s->status,
		};

		fn(owner, &entry);
	}
}

const char *lock_step_name(enum lock_step step)
{
	static const char *const names[] = {
		[LOCK_STEP_REQUEST] = "request", [LOCK_STEP_CONVERT] = "convert",
		[LOCK_STEP_UNLOCK] = "unlock",   [LOCK_STEP_CANCEL] = "cancel",
		[LOCK_STEP_GRANT] = "grant",     [LOCK_STEP_REFUSE] = "refuse",
		[LOCK_STEP_BLOCKED] = "blocked", [LOCK_STEP_RELEASE] = "release",
	};

	return (size_t)step < ARRAY_SIZE(names) ? names[step] : "?";
}
