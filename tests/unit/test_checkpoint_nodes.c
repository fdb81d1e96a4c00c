/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Checkpoint stores as nodes come and go: who takes whose state, and what is lost.
 * C1 to C9 are the promises of totem/checkpoint.h; the bus is that of checkpoint_rig.h.
 */
#include "tests/unit/checkpoint_rig.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "totem/checkpoint_private.h"

static const struct checkpoint_stats *stats(const struct bus *bus, int node)
{
	return checkpoint_stats(bus->nodes[node].store);
}

/* C5. */
static void node_that_dies_loses_its_references(void **state)
{
	struct bus *bus = bus_of_five();
	struct user a, b, dead[2];

	(void)state;
	assert_int_equal(now_open(bus, 0, "a", CHECKPOINT_CREATE, &a), 0);
	assert_int_equal(now_open(bus, 4, "a", CHECKPOINT_CREATE, &dead[0]), 0);
	assert_int_equal(now_open(bus, 4, "b", CHECKPOINT_CREATE, &dead[1]), 0);
	assert_int_equal(now_unlink(bus, 4, "b"), 0);
	check_store(bus, 2, "a#1:2 b#2:1!");
	bus_crash(bus, 4);
	bus_configure(bus, "1234");
	bus_run(bus);
	for (int i = 0; i < 4; i++)
		check_store(bus, i, "a#1:1");
	bus_start(bus, 4);
	bus_configure(bus, "12345");
	bus_run(bus);
	check_store(bus, 4, "a#1:1");
	assert_int_equal(now_open(bus, 4, "b", CHECKPOINT_CREATE, &b), 0);
	check_store(bus, 4, "a#1:1 b#3:1");
	assert_int_equal(stats(bus, 0)->replaced, 0);
	assert_int_equal(stats(bus, 4)->replaced, 1);
	bus_check_equal(bus, "12345");
	bus_free(bus);
}

static void newcomer_takes_all_of_it(void **state)
{
	struct bus *bus = bus_of_five();
	struct answer answer = { PENDING, 0 };
	char *large = malloc(CHECKPOINT_MAX_DATA), name[16];
	struct user u, open_one;
	const void *data;
	size_t length;

	(void)state;
	assert_non_null(large);
	for (size_t i = 0; i < CHECKPOINT_MAX_DATA; i++)
		large[i] = (char)(i * 7 + i / 256);
	bus_crash(bus, 3);
	bus_configure(bus, "1235");
	bus_run(bus);
	for (int i = 0; i < 12; i++) {
		(void)snprintf(name, sizeof(name), "c%d", i);
		assert_int_equal(now_open(bus, 1, name, CHECKPOINT_CREATE, &u), 0);
		for (int k = 0; k < i; k++) {
			(void)snprintf(name, sizeof(name), "s%d", k);
			assert_int_equal(now_write(bus, &u, name, "small"), 0);
		}
		assert_int_equal(checkpoint_write(u.handle, "large", 5, large,
						  CHECKPOINT_MAX_DATA - (size_t)i, on_answer,
						  &answer), 0);
		bus_run(bus);
		if (i % 3 == 0)
			now_close(bus, &u);
	}
	assert_int_equal(now_unlink(bus, 0, "c7"), 0);
	bus->tells = 1; /* the queue is full behind each message */
	bus_start(bus, 3);
	bus_configure(bus, "12345");
	bus_run(bus);
	bus_check_equal(bus, "12345");
	check_store(bus, 3, "c0#1:0 c1#2:1 c2#3:1 c3#4:0 c4#5:1 c5#6:1 c6#7:0 c7#8:1! "
			    "c8#9:1 c9#10:0 c10#11:1 c11#12:1");
	assert_int_equal(now_open(bus, 3, "c11", 0, &open_one), 0);
	assert_int_equal(checkpoint_read(open_one.handle, "large", 5, &data, &length), 0);
	assert_int_equal(length, CHECKPOINT_MAX_DATA - 11);
	assert_memory_equal(data, large, length);
	free(large);
	bus_free(bus);
}

/* C2: a node is in the group only behind its join; nothing may be done before. */
static void who_is_not_in_the_group_yet_misses_nothing(void **state)
{
	struct bus *bus = bus_of_five();
	struct user u, closed, fresh;
	struct answer early;

	(void)state;
	assert_int_equal(now_open(bus, 0, "a", CHECKPOINT_CREATE, &u), 0);
	assert_int_equal(now_open(bus, 0, "a", CHECKPOINT_CREATE, &closed), 0);
	bus_crash(bus, 4);
	bus_configure(bus, "1234");
	bus_run(bus);
	/* queued before, and in the order ahead of node 5's join */
	assert_int_equal(ask_write(&u, "x", "1", &early), 0);
	checkpoint_close(closed.handle);
	bus_start(bus, 4);
	bus_configure(bus, "12345");
	bus->nodes[0].opened = 0;
	assert_int_equal(ask_open(bus, 4, "a", 0, &fresh), -EAGAIN);
	bus_run(bus);
	assert_int_equal(early.result, -EAGAIN);
	assert_int_equal(bus->nodes[0].opened, 1);
	assert_int_equal(bus->nodes[4].opened, 1);
	bus_check_equal(bus, "12345");
	check_store(bus, 4, "a#1:1"); /* the close went again by itself */
	check_sections(bus, 4, 1, "");
	assert_int_equal(now_write(bus, &u, "x", "1"), 0);
	assert_int_equal(now_open(bus, 4, "a", 0, &fresh), 0);
	check_section(&fresh, "x", "1");
	bus_free(bus);
}

/* A node that knows the epoch from its disk, and nothing else. */
static void restarted_node_does_not_win_with_nothing(void **state)
{
	struct bus *bus = bus_of_five();
	struct user u;

	(void)state;
	assert_int_equal(now_open(bus, 3, "a", CHECKPOINT_CREATE, &u), 0);
	assert_int_equal(now_write(bus, &u, "x", "1"), 0);
	bus_crash(bus, 0); /* the lowest, and a winner by its epoch */
	bus_crash(bus, 1);
	bus_start(bus, 0);
	bus_start(bus, 1);
	bus_configure(bus, "12345");
	bus_run(bus);
	bus_check_equal(bus, "12345");
	check_store(bus, 0, "a#1:1");
	check_section(&u, "x", "1");
	bus_free(bus);
}

/* What is older than the epoch is not taken for it. */
static void nothing_rather_than_an_old_state(void **state)
{
	struct bus *bus = bus_of_five();
	struct user old, fresh;

	(void)state;
	assert_int_equal(now_open(bus, 4, "a", CHECKPOINT_CREATE, &old), 0);
	bus_configure(bus, "1234");
	bus_configure(bus, "5");
	bus_run(bus);
	assert_int_equal(now_open(bus, 1, "b", CHECKPOINT_CREATE, &fresh), 0);
	for (int i = 0; i < 4; i++) {
		bus_crash(bus, i);
		bus_start(bus, i);
	}
	bus_configure(bus, "12345");
	bus_run(bus);
	bus_check_equal(bus, "12345");
	check_store(bus, 4, "");
	assert_int_equal(old.lost, 1);
	assert_int_equal(stats(bus, 2)->emptied, 1);
	assert_int_equal(stats(bus, 4)->replaced, 1);
	assert_int_equal(now_open(bus, 4, "a", CHECKPOINT_CREATE, &old), 0);
	bus_free(bus);
}

/* Told by others without quorum, and newer than what its node was told last with it. */
static void minority_keeps_what_it_was_told(void **state)
{
	struct bus *bus = bus_of_five();
	struct user a, b;

	(void)state;
	assert_int_equal(now_open(bus, 4, "a", CHECKPOINT_CREATE, &a), 0);
	bus_configure(bus, "1234");
	bus_configure(bus, "5");
	bus_run(bus);
	assert_int_equal(now_open(bus, 1, "b", CHECKPOINT_CREATE, &b), 0);
	bus_configure(bus, "15");
	bus_configure(bus, "234");
	bus_run(bus);
	check_store(bus, 4, "a#1:1 b#2:0");
	bus_configure(bus, "5");
	bus_run(bus);
	check_store(bus, 4, "a#1:1 b#2:0");
	assert_int_equal(a.lost, 0);
	bus_configure(bus, "12345");
	bus_run(bus);
	check_store(bus, 4, "a#1:1 b#2:1");
	bus_check_equal(bus, "12345");
	bus_free(bus);
}

static void while_states_are_told_requests_wait(void **state)
{
	struct bus *bus = bus_of_five();
	struct answer answer;
	struct user a;

	(void)state;
	assert_int_equal(now_open(bus, 0, "a", CHECKPOINT_CREATE, &a), 0);
	assert_int_equal(bus->nodes[0].opened, 0);
	bus_configure(bus, "12345");
	assert_false(checkpoint_is_ready(bus->nodes[0].store));
	assert_int_equal(ask_write(&a, "x", "1", &answer), -EAGAIN);
	bus_run(bus);
	assert_int_equal(bus->nodes[0].opened, 1);
	assert_int_equal(now_write(bus, &a, "x", "1"), 0);
	bus_free(bus);
}

/* The engine's order is broken: nobody may go on with a change less than others. */
static void change_amid_a_phase_breaks(void **state)
{
	struct bus *bus = bus_of_five();
	struct bus_node *n = &bus->nodes[0];
	const struct group_member sender = { 2, 1, GROUP_MEMBER };
	struct answer answer;
	struct user a;

	(void)state;
	assert_int_equal(now_open(bus, 0, "a", CHECKPOINT_CREATE, &a), 0);
	assert_int_equal(ask_write(&a, "x", "1", &answer), 0);
	bus_configure(bus, "12345");
	n->handlers.deliver(n->store, &n->group, &sender, "\2", 1);
	assert_non_null(n->sync.broken);
	assert_int_equal(answer.result, -ESHUTDOWN);
	bus_crash(bus, 0);
	n->sync.broken = NULL;
	bus_free(bus);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(node_that_dies_loses_its_references),
		cmocka_unit_test(newcomer_takes_all_of_it),
		cmocka_unit_test(who_is_not_in_the_group_yet_misses_nothing),
		cmocka_unit_test(restarted_node_does_not_win_with_nothing),
		cmocka_unit_test(nothing_rather_than_an_old_state),
		cmocka_unit_test(while_states_are_told_requests_wait),
		cmocka_unit_test(change_amid_a_phase_breaks),
		cmocka_unit_test(minority_keeps_what_it_was_told),
	};

	return cmocka_run_group_tests_name("checkpoint_nodes", tests, NULL, NULL);
}
