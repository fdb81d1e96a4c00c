/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Lock value blocks: what travels when a lock is granted, unlocked, or dies with
 * its owner. A resource's value is zeros until somebody stores one.
 *
 * Only the one who goes down from PW or EX stores, and that is granted at once: so no
 * value has to be kept for one that waits.
 */
#include <string.h>

#include "lockres/table_private.h"

static void store(struct lock_table *t, struct lock_resource *r, const uint8_t *value)
{
	memcpy(r->bytes, value, t->lvb_bytes);
	r->value_seq++;
	if (r->value_seq == 0)
		r->value_seq = 1; /* 0 says never */
	r->is_value_valid = true;
	lock_digest_resource(t, r);
}

static void invalidate(struct lock_table *t, struct lock_resource *r)
{
	r->is_value_valid = false;
	lock_digest_resource(t, r);
}

static void store_or_invalidate(struct lock_table *t, struct lock_resource *r,
				uint32_t flags, const uint8_t *value)
{
	if (flags & LOCK_IVVALBLK)
		invalidate(t, r);
	else if (flags & LOCK_VALBLK)
		store(t, r, value);
}

const uint8_t *lock_value_read(struct lock_entry *lock)
{
	if (!(lock->flags & LOCK_VALBLK))
		return NULL;
	if (!lock->resource->is_value_valid)
		lock->marks |= LOCK_VALNOTVALID;
	return lock->resource->bytes;
}

const uint8_t *lock_value_on_grant(struct lock_table *t, struct lock_entry *lock,
				   enum lock_mode mode, const uint8_t *value)
{
	switch (lock_value_moves(lock->granted, mode)) {
	case LOCK_VALUE_WRITE:
		store_or_invalidate(t, lock->resource, lock->flags, value);
		return NULL;
	case LOCK_VALUE_READ:
		return lock_value_read(lock);
	case LOCK_VALUE_STAYS:
		break;
	}
	return NULL;
}

void lock_value_on_unlock(struct lock_table *t, struct lock_entry *lock, uint32_t flags,
			  const uint8_t *value)
{
	if (lock_value_moves(lock->granted, LOCK_NONE) == LOCK_VALUE_WRITE)
		store_or_invalidate(t, lock->resource, flags, value);
}

void lock_value_on_death(struct lock_table *t, struct lock_entry *lock)
{
	if (lock->flags & LOCK_VALBLK &&
	    lock_value_moves(lock->granted, LOCK_NONE) == LOCK_VALUE_WRITE)
		invalidate(t, lock->resource);
}
