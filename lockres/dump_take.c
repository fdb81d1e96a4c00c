/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A dump of what a lock manager knows: copied, so that it may be written at leisure. */
#include <stdlib.h>
#include <string.h>

#include "lockres/dump.h"

/* One lockspace while it is copied; what it counts cannot change meanwhile. */
struct taking {
	const struct lock_table *table;
	struct lock_dump_space *space;
	struct lock_dump_resource *resource;
	bool has_failed;
};

static void take_lock(void *owner, const struct lock_view *lock)
{
	struct taking *t = owner;

	t->resource->locks[t->resource->lock_count++] = *lock;
}

static void count_step(void *owner, const struct lock_history_entry *entry)
{
	(void)entry;
	(*(size_t *)owner)++;
}

static void take_step(void *owner, const struct lock_history_entry *entry)
{
	struct taking *t = owner;

	t->resource->history[t->resource->history_count++] = *entry;
}

static void take_resource(void *owner, const struct lock_resource_view *view)
{
	struct taking *t = owner;
	struct lock_dump_resource *r = &t->space->resources[t->space->resource_count++];
	size_t locks = view->granted + view->converting + view->waiting, steps = 0;

	memcpy(r->name, view->name, view->name_length);
	r->name_length = view->name_length;
	memcpy(r->value, view->value, t->space->lvb_bytes);
	r->value_seq = view->value_seq;
	r->is_value_valid = view->is_value_valid;
	lock_table_history(t->table, r->name, r->name_length, count_step, &steps);
	r->locks = calloc(locks + 1, sizeof(*r->locks));
	r->history = calloc(steps + 1, sizeof(*r->history));
	if (!r->locks || !r->history) {
		t->has_failed = true;
		return;
	}
	t->resource = r;
	lock_table_look_locks(t->table, r->name, r->name_length, take_lock, t);
	lock_table_history(t->table, r->name, r->name_length, take_step, t);
}

static bool take_space(struct lock_dump_space *space, const struct lockspace_look *look)
{
	struct taking t = { .table = look->table, .space = space };

	memcpy(space->name, look->name, look->name_length);
	space->name_length = look->name_length;
	space->lvb_bytes = look->lvb_bytes;
	space->generation = look->generation;
	space->epoch = look->epoch;
	space->operations = look->operations;
	space->freeze = look->freeze;
	space->members = calloc(look->member_count + 1, sizeof(*space->members));
	space->resources = calloc(lock_table_resources(look->table) + 1,
				  sizeof(*space->resources));
	if (!space->members || !space->resources)
		return false;
	memcpy(space->members, look->members,
	       look->member_count * sizeof(*space->members));
	space->member_count = look->member_count;
	lock_table_look(look->table, NULL, 0, take_resource, &t);
	return !t.has_failed;
}

static bool take_all(struct lock_dump *dump, const struct lock_manager *m,
		     const struct lock_dump *about)
{
	struct lockspace_look look;
	size_t spaces = 0;

	while (lock_manager_look(m, spaces, &look))
		spaces++;
	dump->nodes = calloc(about->node_count + 1, sizeof(*dump->nodes));
	dump->spaces = calloc(spaces + 1, sizeof(*dump->spaces));
	if (!dump->nodes || !dump->spaces)
		return false;
	memcpy(dump->nodes, about->nodes, about->node_count * sizeof(*dump->nodes));
	dump->node_count = about->node_count;
	while (lock_manager_look(m, dump->space_count, &look))
		if (!take_space(&dump->spaces[dump->space_count++], &look))
			return false;
	return true;
}

struct lock_dump *lock_dump_take(const struct lock_manager *m,
				 const struct lock_dump *about)
{
	struct lock_dump *dump = calloc(1, sizeof(*dump));

	if (!dump)
		return NULL;
	dump->taken_s = about->taken_s;
	dump->clock_ns = about->clock_ns;
	dump->self = about->self;
	if (!take_all(dump, m, about)) {
		lock_dump_free(dump);
		return NULL;
	}
	return dump;
}
