/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The digest (T3): the sum of a number for each resource (its name and value) and one
 * for each lock (its resource, what it is, and which lock is before it in its
 * queue). So it does not depend on the order of resources, does on that of queues,
 * and to keep it costs each operation a few multiplications.
 *
 * It tells tables apart that differ by accident, not by intent: the members of a ring
 * trust each other.
 */
#include "base/codec.h"
#include "lockres/table_private.h"

/* Each bit of h and of v reaches every bit (constants of splitmix64). */
static uint64_t mix(uint64_t h, uint64_t v)
{
	h = (h ^ v) + 0x9e3779b97f4a7c15u;
	h = (h ^ (h >> 30)) * 0xbf58476d1ce4e5b9u;
	h = (h ^ (h >> 27)) * 0x94d049bb133111ebu;
	return h ^ (h >> 31);
}

uint64_t lock_hash_bytes(const void *bytes, size_t length)
{
	struct rd rd = rd_over(bytes, length);
	uint64_t h = mix(0, length);

	while (rd.length - rd.at >= 8)
		h = mix(h, rd_u64(&rd));
	while (rd.at < rd.length)
		h = mix(h, rd_u8(&rd));
	return h;
}

uint64_t lock_hash_pair(uint32_t a, uint32_t b)
{
	return mix(0, (uint64_t)a << 32 | b);
}

void lock_digest_resource(struct lock_table *t, struct lock_resource *r)
{
	uint64_t h = mix(r->hash, (uint64_t)r->value_seq << 1 | r->is_value_valid);

	t->digest -= r->digest;
	r->digest = mix(h, lock_hash_bytes(r->bytes, t->lvb_bytes));
	t->digest += r->digest;
}

static uint64_t key_of(const struct lock_entry *lock)
{
	return (uint64_t)lock->key.node << 32 | lock->key.number;
}

static uint64_t sum(const struct lock_entry *lock)
{
	const struct lock_entry *before = lock_entry_before(lock);
	uint64_t state = (uint64_t)(lock->granted + 1) | (uint64_t)(lock->wanted + 1) << 8 |
			 (uint64_t)lock->marks << 16 | (uint64_t)lock->queue << 24 |
			 (uint64_t)lock->is_orphan << 32 | (uint64_t)(before != NULL) << 33;
	uint64_t h = mix(lock->resource->hash, key_of(lock));

	h = mix(h, state);
	h = mix(h, (uint64_t)lock->flags << 32 | lock->waiter);
	return before ? mix(h, key_of(before)) : h;
}

void lock_digest_lock(struct lock_table *t, struct lock_entry *lock)
{
	t->digest -= lock->digest;
	lock->digest = sum(lock);
	t->digest += lock->digest;
}

uint64_t lock_table_digest(const struct lock_table *t)
{
	return t->digest;
}
