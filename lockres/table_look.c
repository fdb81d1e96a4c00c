/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The table for those who only look. */
#include "lockres/table_private.h"

static struct lock_resource_view view_of(const struct lock_table *t,
					 const struct lock_resource *r)
{
	return (struct lock_resource_view){
		.name = lock_resource_name(t, r),
		.name_length = r->name_length,
		.value = r->bytes,
		.value_seq = r->value_seq,
		.is_value_valid = r->is_value_valid,
		.granted = r->count[LOCK_QUEUE_GRANTED],
		.converting = r->count[LOCK_QUEUE_CONVERTING],
		.waiting = r->count[LOCK_QUEUE_WAITING],
	};
}

static struct lock_view lock_view_of(const struct lock_entry *lock)
{
	return (struct lock_view){
		.key = lock->key,
		.granted = lock->granted,
		.wanted = lock->wanted,
		.flags = lock->flags,
		.marks = lock->marks,
		.waiter = lock->waiter,
		.is_orphan = lock->is_orphan,
	};
}

bool lock_table_find(const struct lock_table *t, struct lock_key key,
		     struct lock_view *lock, struct lock_resource_view *resource)
{
	const struct lock_entry *found = lock_entry_find(t, key);

	if (!found)
		return false;
	*lock = lock_view_of(found);
	if (resource)
		*resource = view_of(t, found->resource);
	return true;
}

void lock_table_look(const struct lock_table *t, const void *name, size_t name_length,
		     void (*fn)(void *owner, const struct lock_resource_view *resource),
		     void *owner)
{
	const struct lock_resource *r;
	struct lock_resource_view view;

	if (name) {
		r = lock_resource_find(t, name, name_length);
		if (!r)
			return;
		view = view_of(t, r);
		fn(owner, &view);
		return;
	}
	lock_shelf_sort(t);
	for (uint32_t i = 0; i < t->shelf->count; i++) {
		view = view_of(t, t->shelf->resources[i]);
		fn(owner, &view);
	}
}

void lock_table_look_locks(const struct lock_table *t, const void *name,
			   size_t name_length,
			   void (*fn)(void *owner, const struct lock_view *lock),
			   void *owner)
{
	const struct lock_resource *r = lock_resource_find(t, name, name_length);
	const struct lock_entry *lock;

	for (int q = 0; r && q < LOCK_QUEUES; q++) {
		qb_list_for_each_entry(lock, &r->queues[q], link) {
			struct lock_view view = lock_view_of(lock);

			fn(owner, &view);
		}
	}
}

/* An orphan's number may be another lock's by now. */
static bool has_key(const struct lock_entry *lock, struct lock_key key)
{
	return lock->key.node == key.node && lock->key.number == key.number &&
	       !lock->is_orphan;
}

/* The lowest above `above` of the nodes whose locks exclude it; false: there is none. */
static bool next_excluder(const struct lock_resource *r, struct lock_key key,
			  enum lock_mode wanted, int64_t above, uint32_t *node)
{
	const struct lock_entry *other;
	bool is_found = false;

	for (int q = LOCK_QUEUE_GRANTED; q <= LOCK_QUEUE_CONVERTING; q++) {
		qb_list_for_each_entry(other, &r->queues[q], link) {
			if (has_key(other, key) ||
			    !lock_is_in_the_way(other, wanted) ||
			    other->key.node <= above ||
			    (is_found && other->key.node >= *node))
				continue;
			*node = other->key.node;
			is_found = true;
		}
	}
	return is_found;
}

static size_t list_excluders(const struct lock_resource *r, struct lock_key key,
			     enum lock_mode wanted, uint32_t *nodes, size_t room)
{
	uint32_t node = 0;
	int64_t above = -1;
	size_t count = 0;

	while (next_excluder(r, key, wanted, above, &node)) {
		if (count < room)
			nodes[count] = node;
		count++;
		above = node;
	}
	return count;
}

size_t lock_table_blockers(const struct lock_table *t, struct lock_key key,
			   uint32_t *nodes, size_t room)
{
	const struct lock_entry *lock = lock_entry_find(t, key);

	if (!lock || !lock_is_waiting(lock))
		return 0;
	return list_excluders(lock->resource, key, lock->wanted, nodes, room);
}

size_t lock_table_excluders(const struct lock_table *t, const void *name,
			    size_t name_length, struct lock_key key, enum lock_mode mode,
			    uint32_t *nodes, size_t room)
{
	const struct lock_resource *r = lock_resource_find(t, name, name_length);

	return r ? list_excluders(r, key, mode, nodes, room) : 0;
}

size_t lock_table_resources(const struct lock_table *t)
{
	return t->shelf->count;
}

size_t lock_table_locks(const struct lock_table *t)
{
	return t->locks;
}

size_t lock_table_bytes(const struct lock_table *t)
{
	return t->bytes;
}
