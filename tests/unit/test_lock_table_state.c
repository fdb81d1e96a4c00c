/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The state of the lock table: what the digest tells apart, what is saved (T3), memory
 * that runs out (T4), limits (T5). What load() takes is in test_lock_table_load.c.
 */
#include "tests/unit/lock_scene.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/arith.h"
#include "base/codec.h"
#include "lockres/table_private.h"

/* --- memory that runs out (T4): the linker brings all of malloc here ------------- */

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_reallocarray(void *old, size_t count, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_reallocarray(void *old, size_t count, size_t size);

static long refuse_after = -1; /* so many more are served; -1: all */

static bool is_refused(void)
{
	if (refuse_after < 0)
		return false;
	return refuse_after == 0 || refuse_after-- == 0;
}

void *__wrap_malloc(size_t size)
{
	return is_refused() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
	return is_refused() ? NULL : __real_calloc(count, size);
}

void *__wrap_reallocarray(void *old, size_t count, size_t size)
{
	return is_refused() ? NULL : __real_reallocarray(old, count, size);
}

/* --- digest ---------------------------------------------------------------------- */

static uint64_t digest(const struct lock_scene *s)
{
	return lock_table_digest(s->table);
}

static struct lock_scene *some_locks(void)
{
	struct lock_scene *s = lock_scene_new();

	s->waiter = 4;
	s->value = "v";
	ask(s, 1, 1, "a", LOCK_PR, 0);
	ask(s, 2, 1, "a", LOCK_PR, 0);
	ask(s, 3, 1, "a", LOCK_EX, 0);
	ask(s, 4, 1, "a", LOCK_PR, 0);
	ask(s, 1, 2, "b", LOCK_EX, LOCK_PERSISTENT);
	ask(s, 1, 3, "c", LOCK_PW, 0);
	turn(s, 1, 3, LOCK_PW, LOCK_VALBLK);
	given(s);
	return s;
}

static void digest_does_not_depend_on_how_one_came_there(void **state)
{
	struct lock_scene *a = some_locks(), *b = lock_scene_new();

	(void)state;
	assert_true(digest(b) == 0);
	b->waiter = 4;
	b->value = "v";
	ask(b, 1, 2, "b", LOCK_EX, LOCK_PERSISTENT);
	ask(b, 9, 9, "c", LOCK_EX, 0);
	drop(b, 9, 9, 0);
	ask(b, 1, 3, "c", LOCK_PW, 0);
	turn(b, 1, 3, LOCK_PW, LOCK_VALBLK);
	ask(b, 7, 1, "a", LOCK_CR, 0);
	ask(b, 1, 1, "a", LOCK_PR, 0);
	ask(b, 2, 1, "a", LOCK_PR, 0);
	drop(b, 7, 1, 0);
	ask(b, 3, 1, "a", LOCK_EX, 0);
	ask(b, 7, 2, "a", LOCK_CW, 0);
	ask(b, 4, 1, "a", LOCK_PR, 0);
	assert_true(digest(a) != digest(b));
	drop(b, 7, 2, LOCK_CANCEL);
	assert_true(digest(a) == digest(b));
	lock_scene_free(a);
	lock_scene_free(b);
}

/* Both hold PR, and asked with the same flags; but one wanted EX. */
static void digest_tells_marks_and_orphans(void **state)
{
	struct lock_scene *a = lock_scene_new(), *b = lock_scene_new();
	uint64_t before;

	(void)state;
	ask(a, 1, 1, "a", LOCK_PR, 0);
	ask(b, 1, 1, "a", LOCK_PR, 0);
	ask(a, 2, 1, "a", LOCK_PR, LOCK_ALTPR);
	ask(b, 2, 1, "a", LOCK_EX, LOCK_ALTPR);
	stands(b, "a", "1.1=PR 2.1=PR||");
	assert_true(digest(a) != digest(b));
	ask(a, 3, 1, "b", LOCK_PR, LOCK_PERSISTENT);
	before = digest(a);
	release(a, 3, LOCK_RELEASE_PROCESS);
	stands(a, "b", "3.1=PR~||");
	assert_true(digest(a) != before);
	lock_scene_free(a);
	lock_scene_free(b);
}

static void digest_tells_each_difference(void **state)
{
	struct lock_scene *s[12];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(s); i++)
		s[i] = some_locks();
	drop(s[1], 3, 1, LOCK_CANCEL);         /* a lock less */
	ask(s[2], 3, 1 + 1, "d", LOCK_NL, 0);  /* a resource more */
	drop(s[3], 3, 1, LOCK_CANCEL);         /* the queue in another order */
	ask(s[3], 3, 1, "a", LOCK_EX, 0);
	turn(s[3], 4, 1, LOCK_PR, 0);
	turn(s[4], 1, 2, LOCK_PW, LOCK_PERSISTENT); /* a mode */
	turn(s[5], 1, 2, LOCK_EX, LOCK_PERSISTENT); /* flags alone */
	s[6]->value = "w";                     /* a value */
	turn(s[6], 1, 3, LOCK_PW, LOCK_VALBLK);
	turn(s[7], 1, 3, LOCK_PW, LOCK_VALBLK); /* how often it was stored */
	turn(s[8], 1, 3, LOCK_PW, LOCK_VALBLK | LOCK_IVVALBLK); /* doubt */
	release(s[9], 1, LOCK_RELEASE_PROCESS);
	drop(s[10], 1, 2, 0);                  /* who */
	ask(s[10], 1, 9, "b", LOCK_EX, LOCK_PERSISTENT);
	drop(s[11], 1, 2, 0);                  /* for whom */
	s[11]->waiter = 5;
	ask(s[11], 1, 2, "b", LOCK_EX, LOCK_PERSISTENT);
	for (size_t i = 0; i < ARRAY_SIZE(s); i++)
		for (size_t k = 0; k < i; k++)
			if (digest(s[i]) == digest(s[k]))
				fail_msg("%zu and %zu have one digest", i, k);
	for (size_t i = 0; i < ARRAY_SIZE(s); i++)
		lock_scene_free(s[i]);
}

/* The same locks in a queue, but for who is first. */
static void digest_tells_the_order_of_a_queue(void **state)
{
	struct lock_scene *a = lock_scene_new(), *b = lock_scene_new();

	(void)state;
	for (uint32_t n = 1; n <= 4; n++) {
		ask(a, n, 1, "a", LOCK_EX, 0);
		ask(b, n == 2 ? 3 : n == 3 ? 2 : n, 1, "a", LOCK_EX, 0);
	}
	stands(a, "a", "1.1=EX||2.1>EX 3.1>EX 4.1>EX");
	stands(b, "a", "1.1=EX||3.1>EX 2.1>EX 4.1>EX");
	assert_true(digest(a) != digest(b));
	drop(b, 3, 1, LOCK_CANCEL);
	ask(b, 3, 1, "a", LOCK_EX, 0);
	drop(b, 4, 1, LOCK_CANCEL);
	ask(b, 4, 1, "a", LOCK_EX, 0);
	assert_true(digest(a) == digest(b));
	lock_scene_free(a);
	lock_scene_free(b);
}

/* Two nodes must not differ because of the byte order, nor from one version to the next. */
static void digest_is_the_same_everywhere(void **state)
{
	struct lock_scene *s = some_locks();

	(void)state;
	assert_int_equal(digest(s), 0x583174cb4cf41512u);
	lock_scene_free(s);
}

/* --- save and load --------------------------------------------------------------- */

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

static void equal_tables_have_equal_bytes(void **state)
{
	struct lock_scene *a = lock_scene_new(), *b = lock_scene_new();
	uint8_t *first;
	size_t length;

	(void)state;
	ask(a, 1, 1, "a", LOCK_PR, 0);
	ask(a, 1, 2, "b", LOCK_PR, 0);
	ask(b, 1, 2, "b", LOCK_PR, 0);
	ask(b, 1, 1, "a", LOCK_PR, 0);
	length = save(a);
	first = malloc(length);
	assert_non_null(first);
	memcpy(first, bytes, length);
	assert_int_equal(save(b), length);
	assert_memory_equal(first, bytes, length);
	free(first);
	lock_scene_free(a);
	lock_scene_free(b);
}

static void record_is_these_bytes(void **state)
{
	static const uint8_t wanted[] = {
		1, 'a', 0, 1, 0, 0, 0,
		'v', 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
		0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
		0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
		1, 0, 1, 0, 1, 0,
		1, 0, 0, 0, 1, 0, 0, 0, 0x88, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 1,
		3, 0, 0, 0, 1, 1, 0, 0, 4, 1, 0, 0, 4, 0, 0, 0, 1, 6, 0, 0,
		2, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0, 0, 4, 0, 0,
		1, 'b', 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0,
		1, 0, 0, 0, 2, 0, 0, 0, 0, 0x80, 0, 0, 0, 0, 0, 0, 4, 0, 4, 0,
	};
	struct lock_scene *s = lock_scene_new();

	(void)state;
	s->value = "v";
	ask(s, 1, 9, "a", LOCK_EX, 0);
	turn(s, 1, 9, LOCK_CR, LOCK_VALBLK);
	ask(s, 1, 1, "a", LOCK_CR, LOCK_PERSISTENT | LOCK_VALBLK);
	s->waiter = 4;
	ask(s, 3, 257, "a", LOCK_NL, 0);
	turn(s, 3, 257, LOCK_EX, LOCK_NODLCKWT);
	drop(s, 1, 9, 0);
	ask(s, 2, 1, "a", LOCK_PR, 0);
	release(s, 1, LOCK_RELEASE_PROCESS);
	s->waiter = 0;
	ask(s, 9, 9, "b", LOCK_PR, 0);
	ask(s, 1, 2, "b", LOCK_EX, LOCK_ALTPR);
	drop(s, 9, 9, 0);
	assert_int_equal(save(s), sizeof(wanted));
	assert_memory_equal(bytes, wanted, sizeof(wanted));
	lock_scene_free(s);
}

static void loaded_table_goes_on_as_the_saved_one(void **state)
{
	struct lock_scene *s = some_locks();

	(void)state;
	turn(s, 2, 1, LOCK_EX, LOCK_NODLCKWT);
	given(s);
	reload(s);
	stands(s, "a", "1.1=PR|2.1=PR>EX|3.1>EX 4.1>PR");
	keeps(s, "c", "v 1");
	drop(s, 1, 1, 0);
	said(s, "1.1=none 2.1=EX 2.1?EX");
	drop(s, 2, 1, LOCK_IVVALBLK);
	said(s, "2.1=none 3.1=EX 3.1?PR");
	keeps(s, "a", " 0 invalid");
	reload(s);
	keeps(s, "a", " 0 invalid");
	drop(s, 3, 1, 0);
	said(s, "3.1=none 4.1=PR");
	lock_scene_free(s);
}

/* A waiter takes part in Q9 on the table that was loaded too. */
static void loaded_waiters_are_found_in_cycles(void **state)
{
	struct lock_scene *s = lock_scene_new();

	(void)state;
	s->waiter = 7;
	ask(s, 1, 1, "a", LOCK_EX, 0);
	ask(s, 2, 1, "b", LOCK_EX, 0);
	ask(s, 1, 2, "b", LOCK_EX, 0);
	reload(s);
	given(s);
	ask(s, 2, 2, "a", LOCK_EX, 0);
	said(s, "cycle(2.2 wants EX on a of 1.1 EX, 1.2 wants EX on b of 2.1 EX) "
		"2.2=none!EDEADLK");
	lock_scene_free(s);
}

static void save_goes_on_where_there_was_no_more_room(void **state)
{
	struct lock_scene *a = lock_scene_new(), *b = lock_scene_new();
	uint64_t cursor = 0;
	size_t length;
	struct wr to;
	int rounds = 0;
	bool is_more = true;

	(void)state;
	for (uint32_t i = 0; i < 300; i++) {
		char name[16];

		snprintf(name, sizeof(name), "r%u", i * 7919 % 300);
		ask(a, 1, i, name, LOCK_PR, 0);
		ask(a, 2, i, name, LOCK_PR, 0);
	}
	while (is_more) {
		uint8_t part[1000];
		struct rd from;

		to = wr_over(part, sizeof(part));
		is_more = lock_table_save(a->table, &cursor, &to);
		assert_false(to.failed);
		from = rd_over(part, to.at);
		assert_int_equal(lock_table_load(b->table, &from), 0);
		rounds++;
	}
	assert_true(rounds > 15);
	assert_true(digest(a) == digest(b));
	cursor = 0; /* just enough room, and one byte less */
	length = save(a);
	to = wr_over(bytes, length);
	assert_false(lock_table_save(a->table, &cursor, &to));
	cursor = 0;
	to = wr_over(bytes, length - 1);
	assert_true(lock_table_save(a->table, &cursor, &to));
	assert_int_equal(cursor, 299);
	assert_false(to.failed);
	cursor = 0; /* no room at all: there is more */
	assert_true(lock_table_save(a->table, &cursor, &(struct wr){ .base = bytes }));
	assert_int_equal(cursor, 0);
	lock_scene_free(a);
	lock_scene_free(b);
}

/* --- T4, T5 ---------------------------------------------------------------------- */

/* Wherever it runs out: told, and the table can be freed. */
static void memory_that_runs_out_is_told(void **state)
{
	bool is_enough = false;

	(void)state;
	for (long n = 0; !is_enough; n++) {
		struct lock_table *t;
		int r = 0;

		refuse_after = n;
		t = lock_table_new(LOCK_LARGE_LVB, &(struct lock_table_ops){ 0 }, NULL);
		for (uint32_t i = 0; t && r == 0 && i < 200; i++) {
			char name[8];
			struct lock_order order = {
				.key = { 1 + i % 3, i }, .mode = LOCK_EX,
				.waiter = 1 + i, .name = i % 2 ? name : "name",
				.name_length = 4,
			};

			snprintf(name, sizeof(name), "%04u", i);
			r = lock_table_lock(t, &order);
		}
		refuse_after = -1;
		is_enough = t && r == 0;
		assert_true(is_enough || !t || r == -ENOMEM);
		lock_table_free(t);
		assert_true(n < 10000);
	}
}

static void memory_that_runs_out_in_a_load_is_told(void **state)
{
	struct lock_scene *s = some_locks();
	size_t length;
	int r = -ENOMEM;

	(void)state;
	for (uint32_t i = 0; i < 200; i++) {
		char name[8];

		snprintf(name, sizeof(name), "%u", i);
		ask(s, 9, i, i % 2 ? name : "even", LOCK_EX, 0);
	}
	length = save(s);
	for (long n = 0; r < 0; n++) {
		struct rd from = rd_over(bytes, length);
		struct lock_table *t = lock_table_new(
			LOCK_LARGE_LVB, &(struct lock_table_ops){ 0 }, NULL);

		assert_non_null(t);
		refuse_after = n;
		r = lock_table_load(t, &from);
		refuse_after = -1;
		assert_true(r == 0 || r == -ENOMEM);
		assert_true(n < 10000);
		lock_table_free(t);
	}
	lock_scene_free(s);
}

static void resource_takes_so_many_locks(void **state)
{
	struct lock_scene *s = lock_scene_new();

	(void)state;
	for (uint32_t i = 0; i < LOCK_TABLE_MAX_RESOURCE_LOCKS; i++) {
		ask(s, 1, i, "r", i % 2 ? LOCK_EX : LOCK_NL, 0);
		given(s);
	}
	ask(s, 2, 1, "r", LOCK_NL, LOCK_EXPEDITE);
	said(s, "2.1=none!ENOSPC");
	ask(s, 2, 1, "q", LOCK_NL, 0);
	said(s, "2.1=NL");
	assert_int_equal(lock_table_locks(s->table), LOCK_TABLE_MAX_RESOURCE_LOCKS + 1);
	reload(s);
	drop(s, 1, 0, 0);
	given(s);
	ask(s, 2, 2, "r", LOCK_NL, LOCK_EXPEDITE);
	said(s, "2.2=NL");
	lock_scene_free(s);
}

/* A million resources, four millions of locks: here they are only said to be there. */
static void table_takes_so_many_resources_and_locks(void **state)
{
	struct lock_scene *s = lock_scene_new(), *to = lock_scene_new();
	size_t length;

	(void)state;
	ask(to, 9, 9, "c", LOCK_NL, 0);
	length = save(to);
	ask(s, 1, 1, "a", LOCK_NL, 0);
	given(s);
	s->table->shelf->count = LOCK_TABLE_MAX_RESOURCES;
	ask(s, 1, 2, "b", LOCK_NL, 0);
	ask(s, 1, 2, "a", LOCK_NL, 0);
	said(s, "1.2=none!ENOSPC 1.2=NL");
	assert_int_equal(load(s, length), -EBADMSG);
	s->table->shelf->count = 1;
	s->table->locks = LOCK_TABLE_MAX_LOCKS;
	ask(s, 1, 3, "a", LOCK_NL, 0);
	ask(s, 1, 3, "b", LOCK_NL, 0);
	said(s, "1.3=none!ENOSPC 1.3=none!ENOSPC");
	assert_int_equal(load(s, length), -EBADMSG);
	s->table->locks = 2;
	assert_int_equal(load(s, length), 0);
	lock_scene_free(s);
	lock_scene_free(to);
}

/* What is taken is given back: memory, and the digest. */
static void nothing_is_left_when_all_is_gone(void **state)
{
	struct lock_scene *s = lock_scene_new();
	size_t bytes_before;

	(void)state;
	for (int round = 0; round < 2; round++) {
		for (uint32_t i = 0; i < 500; i++) {
			char name[16];

			snprintf(name, sizeof(name), "r%u", i % 100);
			s->waiter = i;
			ask(s, i % 7, i, name, i % LOCK_MODES, i % 3 ? 0 : LOCK_PERSISTENT);
			given(s);
		}
		for (uint32_t n = 0; n < 7; n++)
			release(s, n, LOCK_RELEASE_PROCESS);
		for (uint32_t n = 0; n < 7; n++)
			release(s, n, LOCK_RELEASE_ORPHANS);
		assert_int_equal(lock_table_locks(s->table), 0);
		assert_int_equal(lock_table_resources(s->table), 0);
		assert_true(digest(s) == 0);
		if (round > 0)
			assert_int_equal(lock_table_bytes(s->table), bytes_before);
		bytes_before = lock_table_bytes(s->table);
	}
	lock_scene_free(s);
}

/* In the figures, for names of 64 bytes: what a joiner has to hold. */
static void resource_with_two_locks_costs_less_than_600_bytes(void **state)
{
	struct lock_scene *s = lock_scene_new();

	(void)state;
	for (uint32_t i = 0; i < 4096; i++) {
		char name[65];

		snprintf(name, sizeof(name), "%064u", i);
		ask(s, 1, i, name, LOCK_PR, 0);
		ask(s, 2, i, name, LOCK_PR, 0);
		given(s);
	}
	assert_true(lock_table_bytes(s->table) < 4096 * 600);
	lock_scene_free(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(digest_does_not_depend_on_how_one_came_there),
		cmocka_unit_test(digest_tells_each_difference),
		cmocka_unit_test(digest_tells_marks_and_orphans),
		cmocka_unit_test(digest_tells_the_order_of_a_queue),
		cmocka_unit_test(digest_is_the_same_everywhere),
		cmocka_unit_test(equal_tables_have_equal_bytes),
		cmocka_unit_test(record_is_these_bytes),
		cmocka_unit_test(loaded_table_goes_on_as_the_saved_one),
		cmocka_unit_test(loaded_waiters_are_found_in_cycles),
		cmocka_unit_test(save_goes_on_where_there_was_no_more_room),
		cmocka_unit_test(memory_that_runs_out_is_told),
		cmocka_unit_test(memory_that_runs_out_in_a_load_is_told),
		cmocka_unit_test(resource_takes_so_many_locks),
		cmocka_unit_test(table_takes_so_many_resources_and_locks),
		cmocka_unit_test(nothing_is_left_when_all_is_gone),
		cmocka_unit_test(resource_with_two_locks_costs_less_than_600_bytes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
