/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The oracle of simulated arrays must see what is wrong, and nothing else. */
#include "tests/unit/help.h"

#include <stdlib.h>
#include <string.h>

#include "tests/sim/oracle.h"

enum { SECTORS = 64, SECTOR = 512 };

static struct oracle *oracle;
static uint8_t bytes[SECTOR];

static int setup(void **state)
{
	(void)state;
	oracle = oracle_new(SECTORS);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	oracle_free(oracle);
	return 0;
}

static uint64_t begin_write(int node)
{
	return oracle_begin(oracle, node, ORACLE_WRITE, 7, 1);
}

static uint64_t written(bool is_durable)
{
	uint64_t number = begin_write(0);

	oracle_acknowledged(oracle, number, is_durable);
	return number;
}

static bool may_show_since(uint64_t began, uint64_t number)
{
	char why[300];

	memset(bytes, 0, sizeof(bytes));
	if (number != 0)
		oracle_fill(bytes, number, 7, 1);
	return oracle_check(oracle, began, bytes, 7, 1, why, sizeof(why));
}

static bool may_show(uint64_t number)
{
	return may_show_since(oracle_moment(oracle), number);
}

static void what_was_acknowledged_replaces_what_was_before(void **state)
{
	uint64_t old = written(false), new = written(false);

	(void)state;
	assert_true(may_show(new));
	assert_false(may_show(old));
	assert_false(may_show(0));
}

static void a_read_that_began_before_may_miss_it(void **state)
{
	uint64_t old = written(false), began = oracle_moment(oracle), new = written(false);

	(void)state;
	assert_true(may_show_since(began, old));
	assert_true(may_show_since(began, new));
}

static void writes_that_cross_are_in_no_order(void **state)
{
	uint64_t a = begin_write(0), b = begin_write(1);

	(void)state;
	assert_true(may_show(0));
	oracle_acknowledged(oracle, a, false);
	oracle_acknowledged(oracle, b, false);
	assert_true(may_show(a));
	assert_true(may_show(b));
	assert_false(may_show(0));
}

static void what_died_on_its_way_may_come_until_it_is_over(void **state)
{
	uint64_t lost = begin_write(1), new;

	(void)state;
	oracle_node_ended(oracle, 1);
	new = written(false);
	assert_true(may_show(lost));
	assert_true(may_show(new));
	oracle_node_drained(oracle, 1);
	assert_true(may_show(lost));
	new = written(false);
	assert_false(may_show(lost));
	assert_true(may_show(new));
}

static void a_power_cut_takes_what_was_not_durable(void **state)
{
	uint64_t first = written(true), second = written(false), third;

	(void)state;
	assert_false(may_show(first));
	oracle_power_cut(oracle);
	assert_true(may_show(first));
	assert_true(may_show(second));
	assert_false(may_show(0));
	third = written(false);
	oracle_flushed(oracle, oracle_moment(oracle));
	oracle_power_cut(oracle);
	assert_true(may_show(third));
	assert_false(may_show(second));
}

static void a_flush_covers_what_was_done_before_it_began(void **state)
{
	uint64_t began = oracle_moment(oracle), late = written(false);

	(void)state;
	oracle_flushed(oracle, began);
	oracle_power_cut(oracle);
	assert_true(may_show(0));
	assert_true(may_show(late));
}

static void many_writes_to_one_place_are_not_forgotten_too_early(void **state)
{
	uint64_t durable = written(true), last = 0;

	(void)state;
	for (int i = 0; i < 100; i++)
		last = written(false);
	assert_true(may_show(last));
	assert_false(may_show(durable));
	oracle_power_cut(oracle);
	assert_true(may_show(durable));
	assert_true(may_show(last));
	assert_false(may_show(0));
}

static void what_a_slow_read_may_show_is_not_forgotten(void **state)
{
	uint64_t old = written(true), began = oracle_moment(oracle), last = 0;

	(void)state;
	oracle_oldest_read(oracle, began);
	for (int i = 0; i < 100; i++)
		last = written(true);
	assert_true(may_show_since(began, old));
	assert_true(may_show_since(began, last));
	assert_false(may_show(old));
}

static void zeroes_are_of_whoever_zeroed(void **state)
{
	uint64_t old = written(true);
	uint64_t number = oracle_begin(oracle, 0, ORACLE_ZERO, 7, 1);

	(void)state;
	assert_true(may_show(old));
	assert_true(may_show(0));
	oracle_acknowledged(oracle, number, true);
	assert_false(may_show(old));
	assert_true(may_show(0));
}

static void a_trim_replaces_nothing(void **state)
{
	uint64_t old = written(true);

	(void)state;
	oracle_acknowledged(oracle, oracle_begin(oracle, 0, ORACLE_TRIM, 7, 1), true);
	assert_true(may_show(old));
	assert_true(may_show(0));
}

static void half_a_sector_and_another_ones_are_seen(void **state)
{
	uint64_t number = written(true);
	char why[300];

	(void)state;
	assert_true(may_show(number));
	bytes[SECTOR - 1] ^= 1;
	assert_false(oracle_check(oracle, oracle_moment(oracle), bytes, 7, 1, why, sizeof(why)));
	oracle_fill(bytes, number, 8, 1);
	assert_false(oracle_check(oracle, oracle_moment(oracle), bytes, 7, 1, why, sizeof(why)));
	assert_non_null(strstr(why, "nobody wrote"));
}

#define STORY(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		STORY(what_was_acknowledged_replaces_what_was_before),
		STORY(a_read_that_began_before_may_miss_it),
		STORY(writes_that_cross_are_in_no_order),
		STORY(what_died_on_its_way_may_come_until_it_is_over),
		STORY(a_power_cut_takes_what_was_not_durable),
		STORY(a_flush_covers_what_was_done_before_it_began),
		STORY(many_writes_to_one_place_are_not_forgotten_too_early),
		STORY(what_a_slow_read_may_show_is_not_forgotten),
		STORY(zeroes_are_of_whoever_zeroed),
		STORY(a_trim_replaces_nothing),
		STORY(half_a_sector_and_another_ones_are_seen),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
