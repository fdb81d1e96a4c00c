/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/unit/pr_target.h"

#include <errno.h>
#include <string.h>

static uint64_t get(const uint8_t *p, int bytes)
{
	uint64_t v = 0;

	for (int i = 0; i < bytes; i++)
		v = v << 8 | p[i];
	return v;
}

static void put(uint8_t *p, int bytes, uint64_t v)
{
	for (int i = bytes - 1; i >= 0; i--, v >>= 8)
		p[i] = (uint8_t)(v & 0xff);
}

void pr_target_init(struct pr_target *t)
{
	*t = (struct pr_target){ .holder = -1 };
}

bool pr_target_may_write(const struct pr_target *t, int index)
{
	return t->holder < 0 || t->keys[index] != 0;
}

static void conflict(struct pr_answer *a)
{
	a->status = 0x18;
}

static void illegal(struct pr_answer *a, uint8_t asc)
{
	*a = (struct pr_answer){ .status = 2, .sense = { 5, asc, 0 } };
}

/* To all registered but `index`. */
static void attend(struct pr_target *t, int index, uint16_t what)
{
	for (int i = 0; i < PR_TARGET_INITIATORS; i++)
		if (i != index && t->keys[i])
			t->attention[i] = what;
}

static void release(struct pr_target *t, int index)
{
	t->holder = -1;
	attend(t, index, 0x2a04);
}

static void take_registration(struct pr_target *t, int index, uint64_t key)
{
	if (!key && t->holder == index)
		release(t, index);
	t->keys[index] = key;
	t->generation++;
}

static bool is_held_by(const struct pr_target *t, uint64_t key)
{
	return t->holder >= 0 && t->keys[t->holder] == key;
}

static void preempt(struct pr_target *t, int index, uint64_t victim, uint8_t type, bool aborts,
		    struct pr_answer *a)
{
	bool was_holder = is_held_by(t, victim);
	int found = 0;

	for (int i = 0; i < PR_TARGET_INITIATORS; i++) {
		if (t->keys[i] != victim)
			continue;
		found++;
		t->aborted |= aborts ? 1u << i : 0;
		if (i == index || t->forgets_to_preempt)
			continue;
		t->keys[i] = 0;
		t->attention[i] = 0x2a05;
	}
	if (!found) {
		conflict(a);
		return;
	}
	if (was_holder && !t->forgets_to_preempt) {
		t->holder = index;
		t->type = type;
	}
	t->generation++;
}

static void clear(struct pr_target *t, int index)
{
	attend(t, index, 0x2a03);
	memset(t->keys, 0, sizeof(t->keys));
	t->holder = -1;
	t->generation++;
}

static void reserve(struct pr_target *t, int index, uint8_t type, struct pr_answer *a)
{
	if (t->holder < 0) {
		t->holder = index;
		t->type = type;
	} else if (t->holder != index || t->type != type) {
		conflict(a);
	}
}

static void do_out(struct pr_target *t, int index, const uint8_t *cdb, const uint8_t *p,
		   struct pr_answer *a)
{
	uint8_t action = cdb[1] & 0x1f, type = cdb[2] & 0x0f;
	uint64_t key = get(p, 8), action_key = get(p + 8, 8);

	if (get(cdb + 5, 4) != 24) {
		illegal(a, 0x1a);
	} else if (action == 0 || action == 6) {
		if (action == 0 && t->keys[index] != key) {
			conflict(a);
		} else if (t->cannot_persist && (p[20] & 1)) {
			*a = (struct pr_answer){ .status = 2, .sense = { 2, 0x08, 0 } };
		} else {
			t->persists = (p[20] & 1) != 0;
			take_registration(t, index, action_key);
		}
	} else if (!t->keys[index] || t->keys[index] != key) {
		conflict(a);
	} else if (action == 1) {
		reserve(t, index, type, a);
	} else if (action == 3) {
		clear(t, index);
	} else if (action == 4 || action == 5) {
		preempt(t, index, action_key, type, action == 5, a);
	} else {
		illegal(a, 0x24);
	}
}

static size_t list_keys(const struct pr_target *t, uint8_t *b)
{
	size_t n = 0;

	for (int i = 0; i < PR_TARGET_INITIATORS; i++)
		if (t->keys[i])
			put(b + 8 + 8 * n++, 8, t->keys[i]);
	put(b + 4, 4, 8 * n);
	return 8 + 8 * n;
}

static void do_in(const struct pr_target *t, const uint8_t *cdb, uint8_t *to, size_t room,
		  struct pr_answer *a)
{
	uint8_t b[64] = { 0 };
	size_t n = 8;

	put(b, 4, t->generation);
	if (cdb[1] == 0) {
		n = list_keys(t, b);
	} else if (cdb[1] == 1 && t->holder >= 0) {
		b[7] = 16;
		put(b + 8, 8, t->keys[t->holder]);
		b[21] = t->type;
		n = 24;
	} else if (cdb[1] == 2) {
		put(b, 8, 0x0008018120000000); /* PTPL_C; TMV, PTPL_A; only our type */
	}
	a->length = n < room ? n : room;
	a->length = a->length < get(cdb + 7, 2) ? a->length : get(cdb + 7, 2);
	memcpy(to, b, a->length);
}

static int command(void *owner, const uint8_t cdb[PR_CDB_BYTES], void *data, size_t length,
		   bool is_out, struct pr_answer *a)
{
	struct pr_initiator *i = owner;
	struct pr_target *t = i->target;
	uint16_t attention = t->attention[i->index];

	t->commands++;
	if (cdb[0] != (is_out ? 0x5f : 0x5e))
		return -EINVAL;
	if (t->busy > 0) {
		t->busy--;
		a->status = 8;
	} else if (attention) {
		t->attention[i->index] = 0;
		*a = (struct pr_answer){ .status = 2,
					 .sense = { 6, (uint8_t)(attention >> 8),
						    (uint8_t)(attention & 0xff) } };
	} else if (t->lacks_reservations) {
		illegal(a, 0x20);
	} else if (is_out) {
		do_out(t, i->index, cdb, data, a);
	} else {
		do_in(t, cdb, data, length, a);
	}
	return 0;
}

void pr_initiator_init(struct pr_initiator *i, struct pr_target *t, int index)
{
	static const struct pr_ops ops = { command };

	*i = (struct pr_initiator){ .target = t, .index = index };
	i->disk = (struct pr_disk){ &ops, i, "/dev/sdx" };
}
