/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The messages of one ring: a window of numbers, with holes. */
#include "tests/unit/help.h"

#include <string.h>

#include "totem/queue.h"

static bool put(struct queue *q, uint64_t seq)
{
	const struct wire_data d = {
		.origin = 7,
		.flags = WIRE_DATA_SAFE,
		.payload = (const uint8_t *)"abc",
		.length = 3,
	};

	return queue_insert(q, seq, &d);
}

static void start(struct queue *q)
{
	assert_true(queue_init(q));
}

static void aru_is_the_end_of_the_run_without_a_hole(void **state)
{
	struct queue q;

	(void)state;
	start(&q);
	assert_true(put(&q, 1));
	assert_true(put(&q, 3));
	assert_int_equal(q.aru, 1);
	assert_int_equal(q.high, 3);
	assert_true(put(&q, 2));
	assert_int_equal(q.aru, 3);
	assert_int_equal(q.bytes, 9);
	queue_fini(&q);
}

static void a_message_is_kept_once_and_as_it_came(void **state)
{
	const struct queued *m;
	struct queue q;

	(void)state;
	start(&q);
	assert_true(put(&q, 5));
	assert_false(put(&q, 5));
	assert_false(put(&q, 0));
	m = queue_get(&q, 5);
	assert_non_null(m);
	assert_int_equal(m->seq, 5);
	assert_int_equal(m->origin, 7);
	assert_int_equal(m->flags, WIRE_DATA_SAFE);
	assert_int_equal(m->length, 3);
	assert_memory_equal(m->payload, "abc", 3);
	assert_null(queue_get(&q, 4));
	assert_null(queue_get(&q, 6));
	assert_null(queue_get(&q, 5 + QUEUE_SLOTS));
	queue_fini(&q);
}

static void the_window_moves_with_what_is_released(void **state)
{
	struct queue q;

	(void)state;
	start(&q);
	assert_int_equal(queue_place_of(&q, QUEUE_SLOTS), QUEUE_FREE);
	assert_int_equal(queue_place_of(&q, QUEUE_SLOTS + 1), QUEUE_BEYOND);
	assert_int_equal(queue_place_of(&q, UINT64_MAX), QUEUE_BEYOND);
	assert_false(put(&q, QUEUE_SLOTS + 1));
	assert_true(put(&q, 1));
	queue_release(&q, 1);
	assert_int_equal(queue_place_of(&q, 1), QUEUE_OLD);
	assert_true(put(&q, QUEUE_SLOTS + 1));
	assert_null(queue_get(&q, 1));
	queue_fini(&q);
}

static void nothing_is_released_behind_a_hole(void **state)
{
	struct queue q;

	(void)state;
	start(&q);
	put(&q, 1);
	put(&q, 3);
	queue_release(&q, 3);
	assert_int_equal(q.released, 1);
	assert_non_null(queue_get(&q, 3));
	assert_int_equal(q.bytes, 3);
	queue_fini(&q);
}

static void skipping_takes_holes_and_all(void **state)
{
	struct queue q;

	(void)state;
	start(&q);
	put(&q, 2);
	put(&q, 6);
	queue_skip(&q, 5);
	assert_int_equal(q.released, 5);
	assert_int_equal(q.aru, 6);
	assert_int_equal(q.high, 6);
	assert_int_equal(q.bytes, 3);
	queue_skip(&q, 100000000000);
	queue_skip(&q, 7); /* long gone */
	assert_int_equal(q.released, 100000000000);
	assert_int_equal(q.aru, 100000000000);
	assert_int_equal(q.high, 100000000000);
	assert_int_equal(q.bytes, 0);
	assert_true(put(&q, 100000000001));
	assert_int_equal(q.aru, 100000000001);
	queue_fini(&q);
}

static void holes_and_held_are_told_as_ranges(void **state)
{
	struct seq_range r[4];
	struct queue q;

	(void)state;
	start(&q);
	put(&q, 1);
	put(&q, 4);
	put(&q, 5);
	put(&q, 8);
	assert_int_equal(queue_holes(&q, 10, r, 4), 3);
	assert_int_equal(r[0].first, 2);
	assert_int_equal(r[0].count, 2);
	assert_int_equal(r[1].first, 6);
	assert_int_equal(r[1].count, 2);
	assert_int_equal(r[2].first, 9);
	assert_int_equal(r[2].count, 2);
	assert_int_equal(queue_holes(&q, 10, r, 1), 1);
	assert_int_equal(queue_holes(&q, 1, r, 4), 0);
	assert_int_equal(queue_held(&q, r, 4), 2);
	assert_int_equal(r[0].first, 4);
	assert_int_equal(r[0].count, 2);
	assert_int_equal(r[1].first, 8);
	assert_int_equal(queue_held(&q, r, 0), 0);
	queue_fini(&q);
}

/* A limit from the wire may be anything: the window bounds the work. */
static void holes_end_with_the_window(void **state)
{
	struct seq_range r[2];
	struct queue q;

	(void)state;
	start(&q);
	assert_int_equal(queue_holes(&q, UINT64_MAX, r, 2), 1);
	assert_int_equal(r[0].first, 1);
	assert_int_equal(r[0].count, QUEUE_SLOTS);
	queue_fini(&q);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(aru_is_the_end_of_the_run_without_a_hole),
		cmocka_unit_test(a_message_is_kept_once_and_as_it_came),
		cmocka_unit_test(the_window_moves_with_what_is_released),
		cmocka_unit_test(nothing_is_released_behind_a_hole),
		cmocka_unit_test(skipping_takes_holes_and_all),
		cmocka_unit_test(holes_and_held_are_told_as_ranges),
		cmocka_unit_test(holes_end_with_the_window),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
