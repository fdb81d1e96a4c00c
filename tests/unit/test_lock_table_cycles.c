/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Deadlocks over resources (Q9): who would close a cycle is refused, and the
 * cycle is told, step by step from the lock that is refused.
 */
#include "tests/unit/lock_scene.h"

static void as(struct lock_scene *s, uint32_t waiter)
{
	s->waiter = waiter;
}

/* Node n's waiter 7 holds its lock 1 on a resource of its own. */
static struct lock_scene *ring_of(uint32_t nodes)
{
	struct lock_scene *s = lock_scene_new();
	char name[2] = "a";

	as(s, 7);
	for (uint32_t n = 1; n <= nodes; n++, name[0]++)
		ask(s, n, 1, name, LOCK_EX, 0);
	given(s);
	return s;
}

static void two_that_take_two_in_another_order(void **state)
{
	struct lock_scene *s = ring_of(2);

	(void)state;
	ask(s, 1, 2, "b", LOCK_PR, 0);
	said(s, "2.1?PR");
	ask(s, 2, 2, "a", LOCK_PW, 0);
	said(s, "cycle(2.2 wants PW on a of 1.1 EX, 1.2 wants PR on b of 2.1 EX) "
		"2.2=none!EDEADLK");
	stands(s, "a", "1.1=EX||");
	assert_false(lock_table_find(s->table, (struct lock_key){ 2, 2 },
				     &(struct lock_view){ 0 }, NULL));
	drop(s, 2, 1, 0);
	said(s, "2.1=none 1.2=PR");
	lock_scene_free(s);
}

static void five_in_a_ring(void **state)
{
	struct lock_scene *s = ring_of(5);

	(void)state;
	ask(s, 1, 2, "b", LOCK_EX, 0);
	ask(s, 4, 2, "e", LOCK_EX, 0);
	ask(s, 2, 2, "c", LOCK_EX, 0);
	ask(s, 5, 2, "a", LOCK_EX, 0);
	given(s);
	ask(s, 3, 2, "d", LOCK_EX, 0);
	said(s, "cycle(3.2 wants EX on d of 4.1 EX, 4.2 wants EX on e of 5.1 EX, "
		"5.2 wants EX on a of 1.1 EX, 1.2 wants EX on b of 2.1 EX, "
		"2.2 wants EX on c of 3.1 EX) 3.2=none!EDEADLK");
	lock_scene_free(s);
}

/* Without the last step there is none, however long the row. */
static void row_is_no_ring(void **state)
{
	struct lock_scene *s = ring_of(5);

	(void)state;
	for (uint32_t n = 1; n < 5; n++) {
		char name[2] = { (char)('a' + n), 0 };

		ask(s, n, 2, name, LOCK_EX, 0);
	}
	said(s, "2.1?EX 3.1?EX 4.1?EX 5.1?EX");
	drop(s, 5, 1, 0);
	said(s, "5.1=none 4.2=EX");
	lock_scene_free(s);
}

static void conversion_keeps_what_it_holds_and_its_place(void **state)
{
	struct lock_scene *s = lock_scene_new();

	(void)state;
	as(s, 7);
	ask(s, 1, 1, "a", LOCK_PR, 0);
	ask(s, 2, 1, "a", LOCK_PR, 0);
	ask(s, 3, 1, "a", LOCK_PR, 0);
	ask(s, 1, 2, "b", LOCK_EX, 0);
	ask(s, 2, 2, "b", LOCK_CR, 0);
	given(s);
	turn(s, 1, 1, LOCK_EX, 0);
	said(s, "cycle(1.1 wants EX on a of 2.1 PR, 2.2 wants CR on b of 1.2 EX) "
		"1.1=PR!EDEADLK");
	stands(s, "a", "1.1=PR 2.1=PR 3.1=PR||");
	turn(s, 2, 1, LOCK_NL, LOCK_NOQUEUE);
	said(s, "2.1=NL");
	turn(s, 3, 1, LOCK_EX, 0); /* who has no part in it waits */
	said(s, "1.1?EX");
	lock_scene_free(s);
}

static void one_that_waits_for_itself(void **state)
{
	struct lock_scene *s = lock_scene_new();

	(void)state;
	as(s, 7);
	ask(s, 1, 1, "a", LOCK_PR, 0);
	given(s);
	ask(s, 1, 2, "a", LOCK_EX, 0);
	said(s, "cycle(1.2 wants EX on a of 1.1 PR) 1.2=none!EDEADLK");
	as(s, 8);
	ask(s, 1, 2, "a", LOCK_EX, 0); /* another sequence of that node */
	said(s, "1.1?EX");
	lock_scene_free(s);
}

static void waiters_without_number_or_with_nodlckwt_have_no_part(void **state)
{
	struct lock_scene *s = ring_of(2);

	(void)state;
	ask(s, 1, 2, "b", LOCK_PR, LOCK_NODLCKWT);
	ask(s, 2, 2, "a", LOCK_PR, 0);
	said(s, "2.1?PR 1.1?PR");
	lock_scene_free(s);

	s = ring_of(2);
	ask(s, 1, 2, "b", LOCK_PR, 0);
	ask(s, 2, 2, "a", LOCK_PR, LOCK_NODLCKWT);
	said(s, "2.1?PR 1.1?PR");
	lock_scene_free(s);

	s = lock_scene_new();
	ask(s, 1, 1, "a", LOCK_EX, 0);
	ask(s, 2, 1, "b", LOCK_EX, 0);
	ask(s, 1, 2, "b", LOCK_EX, 0);
	ask(s, 2, 2, "a", LOCK_EX, 0);
	said(s, "1.1=EX 2.1=EX 2.1?EX 1.1?EX");
	lock_scene_free(s);
}

/* 3.1 would be compatible, but stands behind 2.2. */
static void order_of_the_queue_is_in_the_way_too(void **state)
{
	struct lock_scene *s = lock_scene_new();

	(void)state;
	as(s, 7);
	ask(s, 1, 1, "a", LOCK_PR, 0);
	ask(s, 3, 1, "b", LOCK_EX, 0);
	ask(s, 2, 1, "c", LOCK_EX, 0);
	ask(s, 2, 2, "a", LOCK_EX, 0);
	ask(s, 1, 2, "b", LOCK_EX, 0);
	given(s);
	ask(s, 3, 2, "a", LOCK_PR, LOCK_NOORDER);
	said(s, "3.2=PR 3.2?EX");
	drop(s, 3, 2, 0);
	given(s);
	ask(s, 3, 2, "a", LOCK_PR, 0);
	said(s, "cycle(3.2 wants PR on a of 2.2 none, 2.2 wants EX on a of 1.1 PR, "
		"1.2 wants EX on b of 3.1 EX) 3.2=none!EDEADLK");
	lock_scene_free(s);
}

static void requests_wait_for_conversions(void **state)
{
	struct lock_scene *s = lock_scene_new();

	(void)state;
	as(s, 7);
	ask(s, 1, 1, "a", LOCK_CR, 0);
	ask(s, 2, 1, "a", LOCK_NL, 0);
	ask(s, 3, 1, "b", LOCK_EX, 0);
	turn(s, 2, 1, LOCK_EX, 0);
	ask(s, 1, 2, "b", LOCK_EX, 0);
	given(s);
	ask(s, 3, 2, "a", LOCK_CR, 0);
	said(s, "cycle(3.2 wants CR on a of 2.1 NL, 2.1 wants EX on a of 1.1 CR, "
		"1.2 wants EX on b of 3.1 EX) 3.2=none!EDEADLK");
	lock_scene_free(s);
}

/* One that asks for several at once is granted them one behind the other. */
static void two_of_one_waiter_in_one_queue_are_no_cycle(void **state)
{
	struct lock_scene *s = lock_scene_new();

	(void)state;
	as(s, 7);
	ask(s, 1, 1, "a", LOCK_EX, 0);
	given(s);
	ask(s, 2, 1, "a", LOCK_PR, 0);
	ask(s, 2, 2, "a", LOCK_PR, 0);
	said(s, "1.1?PR");
	ask(s, 2, 3, "a", LOCK_EX, 0); /* but this one waits for those to go again */
	said(s, "cycle(2.3 wants EX on a of 2.1 none) 2.3=none!EDEADLK");
	lock_scene_free(s);
}

/* 2.2 comes before 3.2, which was there and had nothing to do with 1.1. */
static void headque_may_close_a_cycle(void **state)
{
	struct lock_scene *s = lock_scene_new();

	(void)state;
	as(s, 7);
	ask(s, 1, 1, "a", LOCK_CR, 0);
	ask(s, 4, 1, "a", LOCK_PR, 0);
	ask(s, 3, 1, "b", LOCK_EX, 0);
	ask(s, 3, 2, "a", LOCK_CW, 0);
	ask(s, 1, 2, "b", LOCK_EX, 0);
	given(s);
	ask(s, 2, 2, "a", LOCK_EX, LOCK_HEADQUE);
	said(s, "cycle(2.2 wants EX on a of 1.1 CR, 1.2 wants EX on b of 3.1 EX, "
		"3.2 wants CW on a of 2.2 none) 2.2=none!EDEADLK");
	ask(s, 2, 2, "a", LOCK_EX, 0);
	said(s, "1.1?EX 4.1?EX");
	lock_scene_free(s);
}

static void who_adopts_is_its_waiter(void **state)
{
	struct lock_scene *s = lock_scene_new();

	(void)state;
	as(s, 7);
	ask(s, 1, 1, "a", LOCK_EX, LOCK_PERSISTENT);
	ask(s, 2, 1, "b", LOCK_EX, 0);
	release(s, 1, LOCK_RELEASE_PROCESS);
	ask(s, 1, 2, "b", LOCK_EX, 0);
	given(s);
	ask(s, 2, 2, "a", LOCK_EX, 0); /* an orphan waits for nothing */
	said(s, "");
	drop(s, 2, 2, LOCK_CANCEL);
	as(s, 7);
	ask(s, 1, 3, "a", LOCK_EX, LOCK_ORPHAN);
	given(s);
	ask(s, 2, 2, "a", LOCK_EX, 0);
	said(s, "cycle(2.2 wants EX on a of 1.3 EX, 1.2 wants EX on b of 2.1 EX) "
		"2.2=none!EDEADLK");
	lock_scene_free(s);
}

/* Of two ways the shorter is told; of two locks of a waiter that with the lower number. */
static void shortest_cycle_is_told(void **state)
{
	struct lock_scene *s = ring_of(3);

	(void)state;
	ask(s, 3, 3, "a", LOCK_EX, 0);
	ask(s, 2, 9, "c", LOCK_EX, 0);
	ask(s, 2, 5, "a", LOCK_PR, LOCK_NOORDER);
	ask(s, 2, 6, "a", LOCK_PR, LOCK_NOORDER);
	given(s);
	ask(s, 1, 2, "b", LOCK_EX, 0);
	said(s, "cycle(1.2 wants EX on b of 2.1 EX, 2.5 wants PR on a of 1.1 EX) "
		"1.2=none!EDEADLK");
	reload(s);
	ask(s, 1, 2, "b", LOCK_EX, 0);
	said(s, "cycle(1.2 wants EX on b of 2.1 EX, 2.5 wants PR on a of 1.1 EX) "
		"1.2=none!EDEADLK");
	lock_scene_free(s);
}

/* 1.2 leads to a thousand that wait; whatever they do, it comes to an end. */
static void search_has_an_end(void **state)
{
	struct lock_scene *s = lock_scene_new();
	char name[8];

	(void)state;
	as(s, 7);
	ask(s, 1, 1, "begin", LOCK_EX, 0);
	for (uint32_t n = 2; n <= 2000; n++) {
		snprintf(name, sizeof(name), "r%u", n);
		ask(s, n, 1, name, LOCK_EX, 0);
		if (n > 2)
			ask(s, n - 1, 2, name, LOCK_EX, 0);
	}
	ask(s, 2000, 2, "begin", LOCK_EX, 0);
	given(s);
	ask(s, 1, 2, "r1600", LOCK_EX, 0);
	s->said[40] = '\0';
	said(s, "cycle(1.2 wants EX on r1600 of 1600.1 EX");
	ask(s, 1, 2, "r2", LOCK_EX, 0); /* 2000 steps: it waits */
	said(s, "2.1?EX");
	lock_scene_free(s);
}

/* The first in a queue has something that the last one of another wants. */
static const char *over_a_queue_of(uint32_t length)
{
	struct lock_scene *s = lock_scene_new();
	static char told[16];

	as(s, 7);
	ask(s, 1, 1, "held", LOCK_EX, 0);
	ask(s, 2, 1, "queue", LOCK_EX, 0);
	for (uint32_t i = 0; i < length; i++) {
		as(s, 100 + i);
		ask(s, 3, 100 + i, "queue", LOCK_EX, 0);
	}
	as(s, 100 + length - 1);
	ask(s, 3, 5, "held", LOCK_NL, LOCK_EXPEDITE);
	turn(s, 3, 5, LOCK_PR, 0);
	as(s, 8);
	ask(s, 4, 1, "mine", LOCK_EX, 0);
	ask(s, 4, 2, "queue", LOCK_EX, 0);
	as(s, 7);
	given(s);
	ask(s, 1, 2, "mine", LOCK_EX, 0);
	snprintf(told, sizeof(told), "%.5s", s->said);
	lock_scene_free(s);
	return told;
}

static void search_does_not_walk_long_queues_for_ever(void **state)
{
	(void)state;
	assert_string_equal(over_a_queue_of(100), "cycle");
	assert_string_equal(over_a_queue_of(400), "4.1?E");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(two_that_take_two_in_another_order),
		cmocka_unit_test(five_in_a_ring),
		cmocka_unit_test(row_is_no_ring),
		cmocka_unit_test(conversion_keeps_what_it_holds_and_its_place),
		cmocka_unit_test(one_that_waits_for_itself),
		cmocka_unit_test(waiters_without_number_or_with_nodlckwt_have_no_part),
		cmocka_unit_test(order_of_the_queue_is_in_the_way_too),
		cmocka_unit_test(requests_wait_for_conversions),
		cmocka_unit_test(two_of_one_waiter_in_one_queue_are_no_cycle),
		cmocka_unit_test(headque_may_close_a_cycle),
		cmocka_unit_test(who_adopts_is_its_waiter),
		cmocka_unit_test(shortest_cycle_is_told),
		cmocka_unit_test(search_has_an_end),
		cmocka_unit_test(search_does_not_walk_long_queues_for_ever),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
