/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What load() takes, and what no table could have written. */
#include "tests/unit/lock_scene.h"

#include <errno.h>

#include "base/arith.h"
#include "base/codec.h"

static uint8_t bytes[LOCK_TABLE_RECORD_MAX];

static size_t save(const struct lock_scene *s)
{
	struct wr to = wr_over(bytes, sizeof(bytes));
	uint64_t cursor = 0;

	assert_false(lock_table_save(s->table, &cursor, &to));
	assert_false(to.failed);
	return to.at;
}

static int load(struct lock_scene *s, size_t length)
{
	struct rd from = rd_over(bytes, length);

	return lock_table_load(s->table, &from);
}

struct claim {
	const char *name;
	size_t name_length;
	uint8_t bits;
	uint32_t value_seq;
	uint16_t counts[3];
	struct {
		uint32_t node, number, flags, waiter;
		uint8_t granted, wanted, marks, bits; /* modes as in the record: NL is 1 */
	} locks[3];
	int wanted;
};

static size_t write_claim(const struct claim *c, struct wr *to)
{
	size_t at = to->at;

	wr_u8(to, (uint8_t)c->name_length);
	wr_bytes(to, c->name, c->name_length);
	wr_u8(to, c->bits);
	wr_u32(to, c->value_seq);
	if (c->value_seq)
		wr_zero(to, LOCK_LARGE_LVB);
	for (int q = 0; q < 3; q++)
		wr_u16(to, c->counts[q]);
	for (int i = 0; i < c->counts[0] + c->counts[1] + c->counts[2] && i < 3; i++) {
		wr_u32(to, c->locks[i].node);
		wr_u32(to, c->locks[i].number);
		wr_u32(to, c->locks[i].flags);
		wr_u32(to, c->locks[i].waiter);
		wr_u8(to, c->locks[i].granted);
		wr_u8(to, c->locks[i].wanted);
		wr_u8(to, c->locks[i].marks);
		wr_u8(to, c->locks[i].bits);
	}
	return to->at - at;
}

enum { N, NL, CR, CW, PR, PW, EX };

#define LOCKS(...) { __VA_ARGS__ }
#define CONV LOCK_CONVERT

static const struct claim claims[] = {
	/* sound ones, so that the others fail for what they are */
	{ "a", 1, 0, 0, { 1, 0, 0 }, LOCKS({ 1, 1, 0, 0, PR, N, 0, 0 }), 0 },
	{ "a", 1, 1, 3, { 1, 1, 1 }, LOCKS({ 1, 1, 0, 0, PR, N, 7, 0 },
		{ 2, 1, CONV, 1, PR, EX, 0, 0 }, { 3, 1, 0, 0, N, EX, 0, 0 }), 0 },
	{ "a", 1, 0, 0, { 1, 1, 0 }, LOCKS({ 1, 1, 0, 0, PR, N, 0, 0 },
		{ 2, 1, CONV | LOCK_CONVDEADLK, 1, NL, EX, 1, 0 }), 0 },
	{ "a", 1, 0, 0, { 2, 0, 0 }, LOCKS({ 1, 1, LOCK_PERSISTENT, 0, PR, N, 0, 1 },
		{ 1, 1, LOCK_PERSISTENT, 0, PR, N, 0, 1 }), 0 },
	{ "a", 1, 0, 0, { 1, 0, 0 }, LOCKS({ 1, 1, CONV | LOCK_QUECVT, 0, PR, N, 0, 0 }),
	  0 },
	{ "a", 1, 0, 0, { 1, 0, 0 }, LOCKS({ 1, 1, LOCK_EXPEDITE, 0, NL, N, 0, 0 }), 0 },
	{ "a", 1, 0, 0, { 0, 1, 1 }, LOCKS({ 2, 1, CONV, 1, NL, EX, 0, 0 },
		{ 3, 1, 0, 0, N, EX, 0, 0 }), 0 },
	/* names */
	{ "", 0, 0, 0, { 1, 0, 0 }, LOCKS({ 1, 1, 0, 0, PR, N, 0, 0 }), -EBADMSG },
	{ "12345678901234567890123456789012345678901234567890123456789012345", 65, 0, 0,
	  { 1, 0, 0 }, LOCKS({ 1, 1, 0, 0, PR, N, 0, 0 }), -EBADMSG },
	{ "twice", 5, 0, 0, { 1, 0, 0 }, LOCKS({ 1, 1, 0, 0, PR, N, 0, 0 }), -EBADMSG },
	/* heads */
	{ "a", 1, 2, 0, { 1, 0, 0 }, LOCKS({ 1, 1, 0, 0, PR, N, 0, 0 }), -EBADMSG },
	{ "a", 1, 0, 0, { 0, 0, 0 }, LOCKS({ 1, 1, 0, 0, PR, N, 0, 0 }), -EBADMSG },
	{ "a", 1, 0, 0, { 8193, 0, 0 }, LOCKS({ 1, 1, 0, 0, PR, N, 0, 0 }), -EBADMSG },
	{ "a", 1, 0, 0, { 4, 0, 0 }, LOCKS({ 1, 1, 0, 0, PR, N, 0, 0 },
		{ 1, 2, 0, 0, PR, N, 0, 0 }, { 1, 3, 0, 0, PR, N, 0, 0 }), -EBADMSG },
	/* keys */
	{ "a", 1, 0, 0, { 2, 0, 0 }, LOCKS({ 1, 1, 0, 0, PR, N, 0, 0 },
		{ 1, 1, 0, 0, PR, N, 0, 0 }), -EBADMSG },
	{ "a", 1, 0, 0, { 1, 0, 0 }, LOCKS({ 99, 99, 0, 0, PR, N, 0, 0 }), -EBADMSG },
	/* T1 */
	{ "a", 1, 0, 0, { 2, 0, 0 }, LOCKS({ 1, 1, 0, 0, PR, N, 0, 0 },
		{ 1, 2, 0, 0, CW, N, 0, 0 }), -EBADMSG },
	{ "a", 1, 0, 0, { 2, 0, 0 }, LOCKS({ 1, 1, 0, 0, EX, N, 0, 0 },
		{ 1, 2, 0, 0, EX, N, 0, 0 }), -EBADMSG },
	{ "a", 1, 0, 0, { 1, 1, 0 }, LOCKS({ 1, 1, 0, 0, PR, N, 0, 0 },
		{ 1, 2, CONV, 0, CW, EX, 0, 0 }), -EBADMSG },
	/* Q7 */
	{ "a", 1, 0, 0, { 0, 2, 0 }, LOCKS({ 1, 1, CONV, 0, NL, EX, 0, 0 },
		{ 1, 2, CONV, 0, PR, EX, 0, 0 }), -EBADMSG },
	{ "a", 1, 0, 0, { 0, 2, 0 }, LOCKS({ 1, 2, CONV, 0, PR, EX, 0, 0 },
		{ 1, 1, CONV, 0, NL, EX, 0, 0 }), 0 },
	/* modes and queues */
	{ "a", 1, 0, 0, { 1, 0, 0 }, LOCKS({ 1, 1, 0, 0, N, N, 0, 0 }), -EBADMSG },
	{ "a", 1, 0, 0, { 1, 0, 0 }, LOCKS({ 1, 1, 0, 0, 7, N, 0, 0 }), -EBADMSG },
	{ "a", 1, 0, 0, { 1, 0, 0 }, LOCKS({ 1, 1, 0, 0, 255, N, 0, 0 }), -EBADMSG },
	{ "a", 1, 0, 0, { 1, 0, 0 }, LOCKS({ 1, 1, 0, 0, PR, EX, 0, 0 }), -EBADMSG },
	{ "a", 1, 0, 0, { 0, 1, 0 }, LOCKS({ 1, 1, CONV, 0, PR, N, 0, 0 }), -EBADMSG },
	{ "a", 1, 0, 0, { 0, 1, 0 }, LOCKS({ 1, 1, CONV, 0, N, PR, 0, 0 }), -EBADMSG },
	{ "a", 1, 0, 0, { 0, 1, 0 }, LOCKS({ 1, 1, CONV, 0, PR, 7, 0, 0 }), -EBADMSG },
	{ "a", 1, 0, 0, { 0, 1, 0 }, LOCKS({ 1, 1, 0, 0, PR, EX, 0, 0 }), -EBADMSG },
	{ "a", 1, 0, 0, { 0, 0, 1 }, LOCKS({ 1, 1, 0, 0, PR, EX, 0, 0 }), -EBADMSG },
	{ "a", 1, 0, 0, { 0, 0, 1 }, LOCKS({ 1, 1, 0, 0, N, N, 0, 0 }), -EBADMSG },
	{ "a", 1, 0, 0, { 0, 0, 1 }, LOCKS({ 1, 1, CONV, 0, N, EX, 0, 0 }), -EBADMSG },
	{ "a", 1, 0, 0, { 0, 1, 0 }, LOCKS({ 1, 1, CONV | LOCK_VALBLK, 0, EX, PR, 0, 0 }),
	  -EBADMSG },
	{ "a", 1, 0, 0, { 0, 1, 0 }, LOCKS({ 1, 1, CONV, 0, PW, PW, 0, 0 }), -EBADMSG },
	{ "a", 1, 0, 0, { 0, 1, 0 }, LOCKS({ 1, 1, CONV, 0, PR, CW, 0, 0 }), 0 },
	{ "a", 1, 0, 0, { 1, 0, 0 }, LOCKS({ 1, 1, CONV, 0, 7, N, 0, 0 }), -EBADMSG },
	{ "a", 1, 0, 0, { 2, 0, 0 }, LOCKS({ 1, 1, 0, 0, PR, N, 0, 0 },
		{ 1, 2, CONV, 0, 255, N, 0, 0 }), -EBADMSG },
	/* flags */
	{ "a", 1, 0, 0, { 1, 0, 0 }, LOCKS({ 1, 1, LOCK_CANCEL, 0, PR, N, 0, 0 }),
	  -EBADMSG },
	{ "a", 1, 0, 0, { 1, 0, 0 }, LOCKS({ 1, 1, 0x80000000, 0, PR, N, 0, 0 }),
	  -EBADMSG },
	{ "a", 1, 0, 0, { 1, 0, 0 }, LOCKS({ 1, 1, LOCK_QUECVT, 0, PR, N, 0, 0 }),
	  -EBADMSG },
	{ "a", 1, 0, 0, { 1, 0, 0 }, LOCKS({ 1, 1, LOCK_EXPEDITE, 0, PR, N, 0, 0 }),
	  -EBADMSG },
	{ "a", 1, 0, 0, { 1, 0, 0 }, LOCKS({ 1, 1, CONV | LOCK_EXPEDITE, 0, PR, N, 0, 0 }),
	  -EBADMSG },
	{ "a", 1, 0, 0, { 0, 1, 0 }, LOCKS({ 1, 1, CONV | LOCK_NOQUEUE, 0, PR, EX, 0, 0 }),
	  -EBADMSG },
	{ "a", 1, 0, 0, { 0, 1, 0 }, LOCKS({ 1, 1, CONV | LOCK_QUECVT, 0, EX, PR, 0, 0 }),
	  -EBADMSG },
	{ "a", 1, 0, 0, { 0, 0, 1 }, LOCKS({ 1, 1, LOCK_NOQUEUE, 0, N, EX, 0, 0 }),
	  -EBADMSG },
	{ "a", 1, 0, 0, { 0, 0, 1 }, LOCKS({ 1, 1, LOCK_ORPHAN, 0, N, EX, 0, 0 }),
	  -EBADMSG },
	{ "a", 1, 0, 0, { 0, 0, 1 }, LOCKS({ 1, 1, LOCK_EXPEDITE, 0, N, NL, 0, 0 }),
	  -EBADMSG },
	/* marks */
	{ "a", 1, 0, 0, { 1, 0, 0 }, LOCKS({ 1, 1, 0, 0, PR, N, 8, 0 }), -EBADMSG },
	{ "a", 1, 0, 0, { 0, 1, 0 }, LOCKS({ 1, 1, CONV, 0, NL, EX, 1, 0 }), -EBADMSG },
	{ "a", 1, 0, 0, { 0, 1, 0 }, LOCKS({ 1, 1, CONV | LOCK_CONVDEADLK, 0, NL, EX, 2, 0 }),
	  -EBADMSG },
	{ "a", 1, 0, 0, { 0, 0, 1 }, LOCKS({ 1, 1, 0, 0, N, EX, 1, 0 }), -EBADMSG },
	/* orphans */
	{ "a", 1, 0, 0, { 1, 0, 0 }, LOCKS({ 1, 1, 0, 0, PR, N, 0, 1 }), -EBADMSG },
	{ "a", 1, 0, 0, { 1, 0, 0 }, LOCKS({ 1, 1, LOCK_PERSISTENT, 1, PR, N, 0, 1 }),
	  -EBADMSG },
	{ "a", 1, 0, 0, { 1, 0, 0 }, LOCKS({ 1, 1, LOCK_PERSISTENT, 0, PR, N, 0, 2 }),
	  -EBADMSG },
	{ "a", 1, 0, 0, { 0, 1, 0 },
	  LOCKS({ 1, 1, CONV | LOCK_PERSISTENT, 0, PR, EX, 0, 1 }), -EBADMSG },
	{ "a", 1, 0, 0, { 0, 0, 1 }, LOCKS({ 1, 1, LOCK_PERSISTENT, 0, N, EX, 0, 1 }),
	  -EBADMSG },
};

static void what_no_table_could_have_written_is_refused(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(claims); i++) {
		struct lock_scene *s = lock_scene_new();
		struct wr to = wr_over(bytes, sizeof(bytes));
		uint64_t before;
		size_t length;
		int r;

		ask(s, 99, 99, "twice", LOCK_PR, 0);
		before = lock_table_digest(s->table);
		length = write_claim(&claims[i], &to);
		r = load(s, length);
		if (r != claims[i].wanted)
			fail_msg("claim %zu: %d", i, r);
		if (r == 0) {
			reload(s);
			lock_table_settle(s->table);
		} else {
			assert_int_equal(lock_table_resources(s->table), 1);
			assert_int_equal(lock_table_locks(s->table), 1);
			assert_true(lock_table_digest(s->table) == before);
		}
		lock_scene_free(s);
	}
}

/*
 * The other mode is below what is held: what it would store came with an operation
 * that this table has not seen.
 */
static void loaded_conversion_stores_nothing(void **state)
{
	static const struct claim claim = {
		"a", 1, 0, 0, { 1, 1, 0 }, LOCKS({ 1, 1, 0, 0, CR, N, 0, 0 },
			{ 2, 1, CONV | LOCK_ALTPR | LOCK_VALBLK, 0, PW, EX, 0, 0 }), 0,
	};
	struct lock_scene *s = lock_scene_new();
	struct wr to = wr_over(bytes, sizeof(bytes));

	(void)state;
	assert_int_equal(load(s, write_claim(&claim, &to)), 0);
	lock_table_settle(s->table);
	said(s, "1.1?EX");
	keeps(s, "a", " 0");
	drop(s, 1, 1, 0);
	said(s, "1.1=none 2.1=EX\"\"");
	lock_scene_free(s);
}

static void cut_records_are_refused(void **state)
{
	struct lock_scene *s = lock_scene_new(), *to;
	size_t length;
	int taken = 0;

	(void)state;
	s->value = "v";
	ask(s, 1, 1, "a", LOCK_PR, 0);
	ask(s, 2, 1, "a", LOCK_EX, 0);
	ask(s, 1, 2, "b", LOCK_EX, LOCK_PERSISTENT);
	ask(s, 1, 3, "c", LOCK_PW, 0);
	turn(s, 1, 3, LOCK_PW, LOCK_VALBLK);
	length = save(s);
	for (size_t cut = 0; cut <= length; cut++) {
		to = lock_scene_new();
		if (load(to, cut) == 0)
			taken++;
		lock_scene_free(to);
	}
	assert_int_equal(taken, 4); /* behind 0 to 3 whole records */
	lock_scene_free(s);
}

static void record_of_too_many_locks_is_refused(void **state)
{
	struct lock_scene *s = lock_scene_new();

	(void)state;
	for (int more = 1; more >= 0; more--) {
		uint16_t count = (uint16_t)(LOCK_TABLE_MAX_RESOURCE_LOCKS + more);
		const struct claim claim = {
			"a", 1, 0, 0, { 0, 0, 0 }, LOCKS({ 0 }), 0,
		};
		struct wr to = wr_over(bytes, sizeof(bytes));

		write_claim(&claim, &to);
		wr_seek(&to, to.at - 6);
		wr_u16(&to, count);
		wr_u32(&to, 0);
		for (uint32_t i = 0; i < count; i++) {
			wr_u32(&to, 1);
			wr_u32(&to, i);
			wr_u64(&to, 0);
			wr_u32(&to, NL);
		}
		assert_int_equal(load(s, to.at), more ? -EBADMSG : 0);
	}
	lock_scene_free(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_no_table_could_have_written_is_refused),
		cmocka_unit_test(loaded_conversion_stores_nothing),
		cmocka_unit_test(cut_records_are_refused),
		cmocka_unit_test(record_of_too_many_locks_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
