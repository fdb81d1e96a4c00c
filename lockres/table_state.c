/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The table as bytes, one record a resource, by name: equal tables have equal bytes.
 *
 *	u8 length of the name, the name, u8 RESOURCE_* bits, u32 value_seq, and the
 *	value, if it was ever stored; u16 granted, converting, waiting; then these
 *	locks, each queue from its head:
 *	u32 node, number, flags, waiter; u8 granted, wanted (0: none, 1: NL, ...), marks,
 *	LOCK_* bits
 *
 * What comes in is from another member, but may be damaged or from another version:
 * a record is taken if a table could have written it.
 */
#include <errno.h>
#include <string.h>

#include "base/codec.h"
#include "lockres/table_private.h"

enum {
	RESOURCE_INVALID = 1, /* the value */
	LOCK_IS_ORPHAN = 1,
	RESOURCE_BYTES = 1 + LOCK_MAX_NAME + 1 + 4 + LOCK_MAX_LVB + 3 * 2,
	LOCK_BYTES = 4 * 4 + 4,
	ALL_MARKS = LOCK_DEMOTED | LOCK_VALNOTVALID | LOCK_ALTMODE,
};

_Static_assert(RESOURCE_BYTES + LOCK_TABLE_MAX_RESOURCE_LOCKS * LOCK_BYTES <=
	       LOCK_TABLE_RECORD_MAX, "any resource fits a record");

/* --- save ----------------------------------------------------------------------------- */

static size_t record_bytes(const struct lock_table *t, const struct lock_resource *r)
{
	return 1u + r->name_length + 1 + 4 + (r->value_seq ? t->lvb_bytes : 0) + 3 * 2 +
	       lock_resource_locks(r) * LOCK_BYTES;
}

static void save_lock(const struct lock_entry *lock, struct wr *to)
{
	wr_u32(to, lock->key.node);
	wr_u32(to, lock->key.number);
	wr_u32(to, lock->flags);
	wr_u32(to, lock->waiter);
	wr_u8(to, (uint8_t)(lock->granted + 1));
	wr_u8(to, (uint8_t)(lock->wanted + 1));
	wr_u8(to, lock->marks);
	wr_u8(to, lock->is_orphan ? LOCK_IS_ORPHAN : 0);
}

static void save_resource(const struct lock_table *t, const struct lock_resource *r,
			  struct wr *to)
{
	const struct lock_entry *lock;

	wr_u8(to, r->name_length);
	wr_bytes(to, lock_resource_name(t, r), r->name_length);
	wr_u8(to, r->is_value_valid ? 0 : RESOURCE_INVALID);
	wr_u32(to, r->value_seq);
	if (r->value_seq)
		wr_bytes(to, r->bytes, t->lvb_bytes);
	for (int q = 0; q < LOCK_QUEUES; q++)
		wr_u16(to, r->count[q]);
	for (int q = 0; q < LOCK_QUEUES; q++)
		qb_list_for_each_entry(lock, &r->queues[q], link)
			save_lock(lock, to);
}

bool lock_table_save(const struct lock_table *t, uint64_t *cursor, struct wr *to)
{
	lock_shelf_sort(t);
	while (*cursor < t->shelf->count) {
		const struct lock_resource *r = t->shelf->resources[*cursor];

		if (record_bytes(t, r) > to->length - to->at)
			return true;
		save_resource(t, r, to);
		++*cursor;
	}
	return false;
}

/* --- load ----------------------------------------------------------------------------- */

struct record {
	char name[LOCK_MAX_NAME];
	uint8_t name_length, bits;
	uint8_t value[LOCK_MAX_LVB];
	uint32_t value_seq;
	uint16_t count[LOCK_QUEUES];
};

static bool read_head(const struct lock_table *t, struct rd *from, struct record *head)
{
	size_t locks = 0;

	head->name_length = rd_u8(from);
	if (head->name_length < 1 || head->name_length > LOCK_MAX_NAME)
		return false;
	rd_bytes(from, head->name, head->name_length);
	head->bits = rd_u8(from);
	head->value_seq = rd_u32(from);
	if (head->value_seq)
		rd_bytes(from, head->value, t->lvb_bytes);
	for (int q = 0; q < LOCK_QUEUES; q++) {
		head->count[q] = rd_u16(from);
		locks += head->count[q];
	}
	return !from->failed && !(head->bits & ~RESOURCE_INVALID) && locks >= 1 &&
	       locks <= LOCK_TABLE_MAX_RESOURCE_LOCKS &&
	       t->locks + locks <= LOCK_TABLE_MAX_LOCKS &&
	       t->shelf->count < LOCK_TABLE_MAX_RESOURCES &&
	       !lock_resource_find(t, head->name, head->name_length);
}

static bool read_lock(struct rd *from, struct lock_view *lock)
{
	uint8_t bits;

	lock->key.node = rd_u32(from);
	lock->key.number = rd_u32(from);
	lock->flags = rd_u32(from);
	lock->waiter = rd_u32(from);
	lock->granted = (enum lock_mode)((int)rd_u8(from) - 1);
	lock->wanted = (enum lock_mode)((int)rd_u8(from) - 1);
	lock->marks = rd_u8(from);
	bits = rd_u8(from);
	lock->is_orphan = bits & LOCK_IS_ORPHAN;
	return !from->failed && !(bits & ~LOCK_IS_ORPHAN) && lock->granted < LOCK_MODES &&
	       lock->wanted < LOCK_MODES;
}

/* The flags are of the last operation; of which conversion is not known any more. */
static bool is_sound_granted(const struct lock_view *lock)
{
	bool is_conversion = lock->flags & LOCK_CONVERT;

	if (lock->granted == LOCK_NONE || lock->wanted != LOCK_NONE ||
	    lock->marks & ~(uint32_t)ALL_MARKS)
		return false;
	if (lock->is_orphan && (!(lock->flags & LOCK_PERSISTENT) || lock->waiter != 0))
		return false;
	return is_conversion ? !lock_fault(LOCK_NL, LOCK_EX, lock->flags)
			     : !lock_fault(LOCK_NONE, lock->granted, lock->flags);
}

static bool is_sound_waiting(const struct lock_view *lock, enum lock_queue queue)
{
	bool is_conversion = queue == LOCK_QUEUE_CONVERTING;
	uint32_t marks = is_conversion && lock->flags & LOCK_CONVDEADLK ? LOCK_DEMOTED : 0;

	/* Who goes down never waits; nor is the value known that it would store. */
	if (is_conversion && lock_is_down(lock->granted, lock->wanted))
		return false;
	return lock->wanted != LOCK_NONE && !lock->is_orphan && !(lock->marks & ~marks) &&
	       (lock->granted != LOCK_NONE) == is_conversion &&
	       ((lock->flags & LOCK_CONVERT) != 0) == is_conversion &&
	       !(lock->flags & (LOCK_NOQUEUE | LOCK_EXPEDITE | LOCK_ORPHAN)) &&
	       !lock_fault(lock->granted, lock->wanted, lock->flags);
}

static bool is_sound(const struct lock_table *t, const struct lock_view *lock,
		     enum lock_queue queue)
{
	if (!lock->is_orphan && lock_entry_find(t, lock->key))
		return false;
	return queue == LOCK_QUEUE_GRANTED ? is_sound_granted(lock)
					   : is_sound_waiting(lock, queue);
}

static int load_lock(struct lock_table *t, struct lock_resource *r, enum lock_queue queue,
		     struct rd *from)
{
	struct lock_view view;
	struct lock_entry *lock;
	bool is_excluded;

	if (!read_lock(from, &view) || !is_sound(t, &view, queue))
		return -EBADMSG;
	lock = lock_entry_new(t, r, view.key, view.is_orphan);
	if (!lock)
		return -ENOMEM;
	lock->flags = view.flags;
	lock->waiter = view.waiter;
	lock->wanted = view.wanted;
	lock->marks = (uint8_t)view.marks;
	is_excluded = !lock_is_compatible(lock, view.granted); /* T1 */
	lock->granted = view.granted;
	if (is_excluded ||
	    (queue == LOCK_QUEUE_CONVERTING && lock_would_deadlock(lock))) { /* Q7 */
		lock_entry_free(t, lock);
		return -EBADMSG;
	}
	lock_queue_put(t, lock, queue, false);
	return queue == LOCK_QUEUE_GRANTED ? 0 : lock_waiter_add(t, lock);
}

static void forget_resource(struct lock_table *t, struct lock_resource *r)
{
	struct lock_entry *lock, *next;

	for (int q = 0; q < LOCK_QUEUES; q++) {
		qb_list_for_each_entry_safe(lock, next, &r->queues[q], link) {
			lock_queue_take(t, lock);
			lock_entry_free(t, lock);
		}
	}
	lock_resource_reap(t, r);
}

static int load_resource(struct lock_table *t, struct rd *from)
{
	struct record head = { 0 };
	struct lock_resource *r;
	int error = 0;

	if (!read_head(t, from, &head))
		return -EBADMSG;
	r = lock_resource_new(t, head.name, head.name_length);
	if (!r)
		return -ENOMEM;
	for (int q = 0; error == 0 && q < LOCK_QUEUES; q++)
		for (int i = 0; error == 0 && i < head.count[q]; i++)
			error = load_lock(t, r, (enum lock_queue)q, from);
	memcpy(r->bytes, head.value, t->lvb_bytes);
	r->value_seq = head.value_seq;
	r->is_value_valid = !(head.bits & RESOURCE_INVALID);
	lock_digest_resource(t, r);
	if (error < 0)
		forget_resource(t, r);
	return error;
}

int lock_table_load(struct lock_table *t, struct rd *from)
{
	int error = 0;

	while (error == 0 && from->at < from->length)
		error = load_resource(t, from);
	return error;
}
