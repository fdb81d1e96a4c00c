/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Where resources and locks are kept, and how they are found: chains that double,
 * and a shelf of all resources that is put in order by name when somebody wants it so.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/arith.h"
#include "lockres/table_private.h"

enum { FIRST_CHAINS = 64 };

/* --- maps ------------------------------------------------------------------------ */

int lock_map_init(struct lock_table *t, struct lock_map *m,
		  uint64_t (*hash)(const struct lock_chain *link))
{
	m->hash = hash;
	m->mask = FIRST_CHAINS - 1;
	m->chains = calloc(FIRST_CHAINS, sizeof(*m->chains));
	if (!m->chains)
		return -ENOMEM;
	t->bytes += FIRST_CHAINS * sizeof(*m->chains);
	return 0;
}

static void chain(struct lock_map *m, struct lock_chain *link)
{
	struct lock_chain **head = &m->chains[m->hash(link) & m->mask];

	link->next = *head;
	*head = link;
}

static int grow(struct lock_table *t, struct lock_map *m)
{
	size_t old = m->mask + 1;
	struct lock_chain **chains = m->chains;

	m->chains = calloc(2 * old, sizeof(*chains));
	if (!m->chains) {
		m->chains = chains;
		return -ENOMEM;
	}
	m->mask = 2 * old - 1;
	t->bytes += old * sizeof(*chains);
	for (size_t i = 0; i < old; i++) {
		for (struct lock_chain *link = chains[i], *next; link; link = next) {
			next = link->next;
			chain(m, link);
		}
	}
	free(chains);
	return 0;
}

int lock_map_add(struct lock_table *t, struct lock_map *m, struct lock_chain *link)
{
	if (m->count > m->mask && grow(t, m) < 0)
		return -ENOMEM;
	chain(m, link);
	m->count++;
	return 0;
}

void lock_map_remove(struct lock_map *m, struct lock_chain *link)
{
	struct lock_chain **at = &m->chains[m->hash(link) & m->mask];

	while (*at != link)
		at = &(*at)->next;
	*at = link->next;
	m->count--;
}

struct lock_chain *lock_map_first(const struct lock_map *m, uint64_t hash)
{
	return m->chains[hash & m->mask];
}

/* --- resources --------------------------------------------------------------------- */

static struct lock_resource *resource_of(const struct lock_chain *link)
{
	return container_of(link, struct lock_resource, by_name);
}

static uint64_t hash_resource(const struct lock_chain *link)
{
	return resource_of(link)->hash;
}

static bool has_name(const struct lock_table *t, const struct lock_resource *r,
		     const void *name, size_t length)
{
	return r->name_length == length &&
	       memcmp(lock_resource_name(t, r), name, length) == 0;
}

struct lock_resource *lock_resource_find(const struct lock_table *t, const void *name,
					 size_t length)
{
	uint64_t hash = lock_hash_bytes(name, length);
	struct lock_chain *link = lock_map_first(&t->by_name, hash);

	for (; link; link = link->next)
		if (resource_of(link)->hash == hash &&
		    has_name(t, resource_of(link), name, length))
			return resource_of(link);
	return NULL;
}

static int shelve(struct lock_table *t, struct lock_resource *r)
{
	struct lock_shelf *s = t->shelf;

	if (s->count == s->room) {
		uint32_t room = s->room ? 2 * s->room : FIRST_CHAINS;
		void *grown = reallocarray(s->resources, room, sizeof(*s->resources));

		if (!grown)
			return -ENOMEM;
		t->bytes += (room - s->room) * sizeof(*s->resources);
		s->resources = grown;
		s->room = room;
	}
	r->index = s->count;
	s->resources[s->count++] = r;
	s->is_sorted = s->count == 1;
	return 0;
}

static void unshelve(struct lock_table *t, struct lock_resource *r)
{
	struct lock_shelf *s = t->shelf;
	struct lock_resource *last = s->resources[--s->count];

	s->is_sorted = s->is_sorted && last == r;
	s->resources[r->index] = last;
	last->index = r->index;
}

/* Names are behind values, and those of all resources have one size. */
static int compare_names(const void *one, const void *other, void *table)
{
	const struct lock_resource *a = *(struct lock_resource *const *)one;
	const struct lock_resource *b = *(struct lock_resource *const *)other;
	size_t length = min_u64(a->name_length, b->name_length);
	int order = memcmp(lock_resource_name(table, a), lock_resource_name(table, b),
			   length);

	return order ? order : (int)a->name_length - (int)b->name_length;
}

void lock_shelf_sort(const struct lock_table *t)
{
	struct lock_shelf *s = t->shelf;

	if (s->is_sorted || s->count == 0)
		return;
	qsort_r(s->resources, s->count, sizeof(*s->resources), compare_names, (void *)t);
	for (uint32_t i = 0; i < s->count; i++)
		s->resources[i]->index = i;
	s->is_sorted = true;
}

static size_t resource_bytes(const struct lock_table *t, size_t name_length)
{
	return sizeof(struct lock_resource) + t->lvb_bytes + name_length;
}

struct lock_resource *lock_resource_new(struct lock_table *t, const void *name,
					size_t length)
{
	struct lock_resource *r = malloc(resource_bytes(t, length));

	if (!r)
		return NULL;
	memset(r, 0, sizeof(*r) + t->lvb_bytes);
	for (int q = 0; q < LOCK_QUEUES; q++)
		qb_list_init(&r->queues[q]);
	r->is_value_valid = true;
	r->name_length = (uint8_t)length;
	memcpy(r->bytes + t->lvb_bytes, name, length);
	r->hash = lock_hash_bytes(name, length);
	if (shelve(t, r) < 0) {
		free(r);
		return NULL;
	}
	if (lock_map_add(t, &t->by_name, &r->by_name) < 0) {
		unshelve(t, r);
		free(r);
		return NULL;
	}
	t->bytes += resource_bytes(t, length);
	lock_digest_resource(t, r);
	return r;
}

void lock_resource_reap(struct lock_table *t, struct lock_resource *r)
{
	if (lock_resource_locks(r) > 0)
		return;
	t->digest -= r->digest;
	lock_history_free(t, r);
	lock_map_remove(&t->by_name, &r->by_name);
	unshelve(t, r);
	t->bytes -= resource_bytes(t, r->name_length);
	free(r);
}

/* --- locks ------------------------------------------------------------------------- */

static struct lock_entry *lock_of(const struct lock_chain *link)
{
	return container_of(link, struct lock_entry, by_key);
}

static uint64_t hash_lock(const struct lock_chain *link)
{
	const struct lock_entry *lock = lock_of(link);

	return lock_hash_pair(lock->key.node, lock->key.number);
}

struct lock_entry *lock_entry_find(const struct lock_table *t, struct lock_key key)
{
	struct lock_chain *link =
		lock_map_first(&t->by_key, lock_hash_pair(key.node, key.number));

	for (; link; link = link->next)
		if (lock_of(link)->key.node == key.node &&
		    lock_of(link)->key.number == key.number)
			return lock_of(link);
	return NULL;
}

struct lock_entry *lock_entry_new(struct lock_table *t, struct lock_resource *r,
				  struct lock_key key, bool is_orphan)
{
	struct lock_entry *lock = malloc(sizeof(*lock));

	if (!lock)
		return NULL;
	*lock = (struct lock_entry){
		.resource = r,
		.key = key,
		.granted = LOCK_NONE,
		.wanted = LOCK_NONE,
		.told = LOCK_NONE,
		.queue = LOCK_QUEUE_NONE,
		.is_orphan = is_orphan,
	};
	if (!is_orphan && lock_map_add(t, &t->by_key, &lock->by_key) < 0) {
		free(lock);
		return NULL;
	}
	t->locks++;
	t->bytes += sizeof(*lock);
	return lock;
}

void lock_entry_free(struct lock_table *t, struct lock_entry *lock)
{
	if (!lock->is_orphan)
		lock_map_remove(&t->by_key, &lock->by_key);
	t->locks--;
	t->bytes -= sizeof(*lock);
	free(lock);
}

void lock_entry_make_orphan(struct lock_table *t, struct lock_entry *lock)
{
	lock_map_remove(&t->by_key, &lock->by_key);
	lock_change_begin(lock);
	lock->is_orphan = true;
	lock->waiter = 0;
	lock_change_end(t, lock);
}

int lock_entry_adopt(struct lock_table *t, struct lock_entry *lock, struct lock_key key)
{
	struct lock_entry *behind = lock_entry_behind(lock);

	lock->is_orphan = false;
	lock->key = key;
	if (lock_map_add(t, &t->by_key, &lock->by_key) < 0) {
		lock->is_orphan = true;
		return -ENOMEM;
	}
	lock_digest_lock(t, lock);
	if (behind)
		lock_digest_lock(t, behind);
	return 0;
}

/* --- all of it ----------------------------------------------------------------------- */

int lock_index_init(struct lock_table *t)
{
	t->shelf = calloc(1, sizeof(*t->shelf));
	if (!t->shelf || lock_map_init(t, &t->by_name, hash_resource) < 0 ||
	    lock_map_init(t, &t->by_key, hash_lock) < 0 ||
	    lock_map_init(t, &t->by_waiter, lock_waiter_hash) < 0)
		return -ENOMEM;
	return 0;
}

static void free_resource(struct lock_table *t, struct lock_resource *r)
{
	struct lock_entry *lock, *next;

	for (int q = 0; q < LOCK_QUEUES; q++)
		qb_list_for_each_entry_safe(lock, next, &r->queues[q], link)
			free(lock);
	lock_history_free(t, r);
	free(r);
}

void lock_index_fini(struct lock_table *t)
{
	for (uint32_t i = 0; t->shelf && i < t->shelf->count; i++)
		free_resource(t, t->shelf->resources[i]);
	if (t->shelf)
		free(t->shelf->resources);
	free(t->shelf);
	free(t->by_name.chains);
	free(t->by_key.chains);
	free(t->by_waiter.chains);
}
