/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Fuzz target: the lock table, by operations and by states that it is told.
 *
 *	input:  steps, a byte each (modulo STEPS), with what they need behind
 *
 * What must hold, for every input and after each step:
 *	F1  T1: granted modes of a resource go together
 *	F2  T2: of what was taken, that which was not completed waits
 *	F3  no conversion that waits is in the way of one before it (Q7)
 *	F4  the counts of a resource are those of its queues
 *	F5  T3: what is saved loads, with the same digest and the same bytes
 *	F6  nothing outside of the buffers is touched (ASan), nothing is left (LSan)
 */
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/arith.h"
#include "base/codec.h"
#include "lockres/table_private.h"
#include "tests/fuzz/expect.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum step {
	LOCK,     /* node, number, name, mode, 3 of flags, waiter, value */
	CONVERT,  /* the same; CONVERT is added */
	UNLOCK,   /* node, number, 3 of flags, value */
	RELEASE,  /* node, how */
	SETTLE,
	RELOAD,   /* the table that was saved and loaded goes on */
	LOAD,     /* 2 of length, bytes: a state */
	STEPS,
};

enum { NODES = 4, NUMBERS = 16, MAX_STATE = 1 << 14 };

struct world {
	struct lock_table *table;
	bool is_pending[NODES][NUMBERS];
};

/* --- F2 -------------------------------------------------------------------------- */

static bool is_watched(struct lock_key key)
{
	return key.node < NODES && key.number < NUMBERS;
}

static void on_completed(void *owner, struct lock_key key,
			 const struct lock_outcome *outcome)
{
	struct world *w = owner;

	EXPECT(outcome->mode >= LOCK_NONE && outcome->mode < LOCK_MODES);
	if (!is_watched(key))
		return;
	EXPECT(w->is_pending[key.node][key.number]);
	w->is_pending[key.node][key.number] = false;
}

static bool is_waiting(const struct world *w, uint32_t node, uint32_t number)
{
	struct lock_view view;

	return lock_table_find(w->table, (struct lock_key){ node, number }, &view, NULL) &&
	       view.wanted != LOCK_NONE;
}

static void on_blocked(void *owner, struct lock_key key, enum lock_mode wanted)
{
	struct world *w = owner;
	struct lock_view view;

	EXPECT(lock_table_find(w->table, key, &view, NULL));
	EXPECT(!lock_modes_compatible(view.granted, wanted));
}

static void on_deadlock(void *owner, const struct lock_cycle_step *steps, size_t count)
{
	(void)owner;
	EXPECT(count >= 1);
	for (size_t i = 0; i < count; i++) {
		const struct lock_cycle_step *next = &steps[(i + 1) % count];

		EXPECT(steps[i].blocked_by.node == next->waits.node);
		EXPECT(steps[i].wanted != LOCK_NONE && steps[i].name_length > 0);
	}
}

static const struct lock_table_ops ops = { on_completed, on_blocked, on_deadlock };

/* --- F1, F3, F4 ------------------------------------------------------------------ */

static void check_lock(const struct lock_entry *lock, const struct lock_entry *other)
{
	EXPECT(lock_modes_compatible(lock->granted, other->granted));
	if (lock->queue == LOCK_QUEUE_CONVERTING && other->queue == LOCK_QUEUE_CONVERTING)
		EXPECT(lock_modes_compatible(lock->granted, other->wanted));
}

static void check_resource(const struct lock_resource *r)
{
	uint16_t held[LOCK_MODES] = { 0 }, wanted[LOCK_QUEUES][LOCK_MODES] = { { 0 } };
	uint16_t count[LOCK_QUEUES] = { 0 }, unordered = 0;
	const struct lock_entry *all[256], *lock;
	size_t n = 0;

	for (int q = 0; q < LOCK_QUEUES; q++) {
		qb_list_for_each_entry(lock, &r->queues[q], link) {
			EXPECT(lock->queue == q && lock->resource == r);
			EXPECT((lock->granted != LOCK_NONE) == (q != LOCK_QUEUE_WAITING));
			EXPECT((lock->wanted != LOCK_NONE) == (q != LOCK_QUEUE_GRANTED));
			count[q]++;
			if (lock->granted != LOCK_NONE)
				held[lock->granted]++;
			if (lock->wanted != LOCK_NONE) {
				wanted[q][lock->wanted]++;
				unordered += (lock->flags & LOCK_NOORDER) != 0;
			}
			for (size_t i = 0; i < n; i++)
				check_lock(lock, all[i]);
			if (n < ARRAY_SIZE(all))
				all[n++] = lock;
		}
	}
	EXPECT(lock_resource_locks(r) > 0);
	EXPECT(memcmp(held, r->held, sizeof(held)) == 0);
	EXPECT(memcmp(wanted, r->wanted, sizeof(wanted)) == 0);
	EXPECT(memcmp(count, r->count, sizeof(count)) == 0);
	EXPECT(unordered == r->unordered);
}

static void check(const struct world *w)
{
	size_t locks = 0;

	for (uint32_t i = 0; i < w->table->shelf->count; i++) {
		check_resource(w->table->shelf->resources[i]);
		locks += lock_resource_locks(w->table->shelf->resources[i]);
	}
	EXPECT(locks == lock_table_locks(w->table));
	for (uint32_t node = 0; node < NODES; node++)
		for (uint32_t number = 0; number < NUMBERS; number++)
			EXPECT(w->is_pending[node][number] == is_waiting(w, node, number));
}

/* What was not asked here: by a load, or gone without a word. */
static void learn_pending(struct world *w)
{
	for (uint32_t node = 0; node < NODES; node++)
		for (uint32_t number = 0; number < NUMBERS; number++)
			w->is_pending[node][number] = is_waiting(w, node, number);
}

/* --- F5 -------------------------------------------------------------------------- */

static size_t save(const struct lock_table *t, uint8_t *bytes, size_t room)
{
	struct wr to = wr_over(bytes, room);
	uint64_t cursor = 0;

	EXPECT(!lock_table_save(t, &cursor, &to));
	EXPECT(!to.failed);
	return to.at;
}

static void reload(struct world *w)
{
	static uint8_t bytes[1 << 18], again[1 << 18];
	struct lock_table *copy = lock_table_new(LOCK_SMALL_LVB, &ops, w);
	size_t length = save(w->table, bytes, sizeof(bytes));
	struct rd from = rd_over(bytes, length);

	EXPECT(copy != NULL);
	EXPECT(lock_table_load(copy, &from) == 0);
	EXPECT(lock_table_digest(copy) == lock_table_digest(w->table));
	EXPECT(save(copy, again, sizeof(again)) == length);
	EXPECT(memcmp(bytes, again, length) == 0);
	lock_table_free(w->table);
	w->table = copy;
}

/* --- steps ----------------------------------------------------------------------- */

static struct lock_key read_key(struct rd *rd)
{
	uint32_t node = rd_u8(rd) % NODES;

	return (struct lock_key){ node, rd_u8(rd) % NUMBERS };
}

static uint32_t read_flags(struct rd *rd)
{
	uint32_t low = rd_u16(rd);

	return low | (uint32_t)rd_u8(rd) << 16;
}

static void lock(struct world *w, struct rd *rd, uint32_t more)
{
	static const char names[] = "abcdefgh";
	uint8_t value[LOCK_SMALL_LVB] = { 0 };
	struct lock_order order = { .key = read_key(rd), .value = value };
	bool *is_pending = &w->is_pending[order.key.node][order.key.number];
	bool was_pending = *is_pending;
	unsigned int name = rd_u8(rd);

	order.name = names + name % 4;
	order.name_length = name / 4 % 4;
	order.mode = (enum lock_mode)(rd_u8(rd) % 8 - 1);
	order.flags = read_flags(rd) | more;
	order.waiter = rd_u8(rd) % 4;
	value[0] = rd_u8(rd);
	*is_pending = true;
	if (lock_table_lock(w->table, &order) < 0)
		*is_pending = was_pending;
	else
		EXPECT(!was_pending);
}

static void unlock(struct world *w, struct rd *rd)
{
	uint8_t value[LOCK_SMALL_LVB] = { 0 };
	struct lock_key key = read_key(rd);
	bool *is_pending = &w->is_pending[key.node][key.number];
	bool was_pending = *is_pending;
	uint32_t flags = read_flags(rd);

	value[0] = rd_u8(rd);
	*is_pending = !(flags & LOCK_CANCEL) || was_pending;
	if (lock_table_unlock(w->table, key, flags, value) < 0)
		*is_pending = was_pending;
	else
		EXPECT(!*is_pending); /* of a cancel too: it is never late here */
}

static void load(struct world *w, struct rd *rd)
{
	size_t length = min_u64(min_u64(rd_u16(rd), MAX_STATE), rd->length - rd->at);
	struct rd from = rd_over(rd->base + rd->at, length);
	int r = lock_table_load(w->table, &from);

	EXPECT(r == 0 || r == -EBADMSG);
	rd_seek(rd, rd->at + length);
	learn_pending(w);
}

static void step(struct world *w, struct rd *rd)
{
	uint32_t node;

	switch (rd_u8(rd) % STEPS) {
	case LOCK:
		lock(w, rd, 0);
		break;
	case CONVERT:
		lock(w, rd, LOCK_CONVERT);
		break;
	case UNLOCK:
		unlock(w, rd);
		break;
	case RELEASE:
		node = rd_u8(rd) % NODES;
		EXPECT(lock_table_release(w->table, node,
					  (enum lock_release)(rd_u8(rd) % 3)) == 0);
		learn_pending(w);
		break;
	case SETTLE:
		lock_table_settle(w->table);
		break;
	case RELOAD:
		reload(w);
		break;
	default:
		load(w, rd);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct world w = { 0 };
	struct rd rd = rd_over(data, size);

	w.table = lock_table_new(LOCK_SMALL_LVB, &ops, &w);
	EXPECT(w.table != NULL);
	while (rd.at < rd.length && !rd.failed) {
		step(&w, &rd);
		check(&w);
	}
	reload(&w);
	check(&w);
	lock_table_free(w.table);
	return 0;
}
