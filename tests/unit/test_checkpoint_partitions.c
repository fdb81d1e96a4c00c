/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Checkpoint stores that come apart and together: whose state goes on, and what an
 * answer is worth.
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

/* C2. */
static void without_quorum_nothing_but_counts_changes(void **state)
{
	struct bus *bus = bus_of_five();
	struct answer answer;
	struct user a, b, none;

	(void)state;
	assert_int_equal(now_open(bus, 0, "a", CHECKPOINT_CREATE, &a), 0);
	assert_int_equal(now_open(bus, 0, "b", CHECKPOINT_CREATE, &b), 0);
	assert_int_equal(now_write(bus, &a, "x", "1"), 0);
	assert_int_equal(now_unlink(bus, 0, "b"), 0);
	bus_configure(bus, "12");
	bus_run(bus);
	assert_int_equal(ask_write(&a, "x", "2", &answer), -EROFS);
	assert_int_equal(ask_delete(&a, "x", &answer), -EROFS);
	assert_int_equal(ask_open(bus, 1, "a", 0, &none), -EROFS);
	assert_int_equal(ask_unlink(bus, 1, "a", &answer), -EROFS);
	check_section(&a, "x", "1");
	now_close(bus, &b);
	check_store(bus, 1, "a#1:1 b#2:0!");
	bus_check_equal(bus, "12");
	bus_configure(bus, "12345");
	bus_run(bus);
	check_store(bus, 3, "a#1:1");
	bus_check_equal(bus, "12345");
	bus_free(bus);
}

/* Asked with quorum, delivered without. */
static void request_that_comes_too_late_is_refused_by_all(void **state)
{
	struct bus *bus = bus_of_five();
	struct answer answer;
	struct user a;

	(void)state;
	assert_int_equal(now_open(bus, 0, "a", CHECKPOINT_CREATE, &a), 0);
	assert_int_equal(ask_write(&a, "x", "1", &answer), 0); /* not on its way yet */
	bus_configure(bus, "12");
	bus_run(bus);
	assert_int_equal(answer.result, -EROFS);
	check_sections(bus, 1, 1, "");
	bus_check_equal(bus, "12");
	bus_free(bus);
}

/* It was delivered behind the end of a configuration that never had a quorum. */
static void refusal_for_lack_of_quorum_is_certain(void **state)
{
	struct bus *bus = bus_of_five();
	struct answer answer;
	struct user a;

	(void)state;
	assert_int_equal(now_open(bus, 0, "a", CHECKPOINT_CREATE, &a), 0);
	assert_int_equal(ask_write(&a, "x", "1", &answer), 0);
	bus_configure(bus, "12");
	while (bus->nodes[0].sync.is_telling) {
		bus->budget = 1;
		(void)bus_run(bus);
	}
	bus_send(bus, "1");
	bus_configure(bus, "1");
	assert_int_equal(answer.count, 0);
	bus->budget = -1;
	bus_run(bus);
	assert_int_equal(answer.result, -EROFS);
	bus_free(bus);
}

/* One side keeps what the other has open: unlinked, and without a reference here. */
static void minority_frees_nothing(void **state)
{
	struct bus *bus = bus_of_five();
	struct user u;

	(void)state;
	assert_int_equal(now_open(bus, 3, "a", CHECKPOINT_CREATE, &u), 0);
	assert_int_equal(now_unlink(bus, 3, "a"), 0);
	bus_crash(bus, 4);
	bus_configure(bus, "12");
	bus_configure(bus, "34");
	bus_run(bus);
	check_store(bus, 0, "a#1:0!");
	bus_configure(bus, "1234");
	bus_run(bus);
	assert_int_equal(u.lost, 0);
	for (int i = 0; i < 4; i++)
		check_store(bus, i, "a#1:1!");
	assert_int_equal(now_write(bus, &u, "x", "1"), 0);
	bus_free(bus);
}

/* C4, C6: what the minority delivered at the end of the configuration is gone. */
static void quorate_side_wins(void **state)
{
	struct bus *bus = bus_of_five();
	struct user base, minor, major, other;
	struct answer write;

	(void)state;
	assert_int_equal(now_open(bus, 0, "base", CHECKPOINT_CREATE, &base), 0);
	assert_int_equal(now_write(bus, &base, "x", "before"), 0);
	assert_int_equal(ask_open(bus, 0, "a", CHECKPOINT_CREATE, &minor), 0);
	assert_int_equal(ask_write(&base, "x", "after", &write), 0);
	bus_send(bus, "1");
	bus_configure(bus, "12");
	bus_configure(bus, "345");
	assert_int_equal(minor.opened + write.count, 0);
	check_section(&base, "x", "after"); /* applied, and nobody was told */
	bus_run(bus);
	assert_int_equal(minor.result, -ECANCELED);
	assert_int_equal(write.result, -ECANCELED);
	check_store(bus, 1, "base#1:1 a#2:0");
	check_store(bus, 3, "base#1:0");
	assert_int_equal(now_open(bus, 3, "a", CHECKPOINT_CREATE, &major), 0);
	assert_int_equal(now_open(bus, 4, "base", 0, &other), 0);
	assert_int_equal(now_write(bus, &other, "y", "major"), 0);
	check_store(bus, 3, "base#1:1 a#2:1"); /* the same name and number */
	bus_configure(bus, "12345");
	bus_run(bus);
	assert_int_equal(minor.lost + major.lost + base.lost + other.lost, 0);
	check_section(&base, "x", "before");
	check_section(&base, "y", "major");
	check_store(bus, 0, "base#1:2 a#2:1");
	assert_int_equal(stats(bus, 0)->in_doubt, 2);
	assert_int_equal(stats(bus, 0)->replaced, 1);
	assert_int_equal(stats(bus, 2)->replaced, 0);
	assert_int_equal(now_write(bus, &base, "x", "again"), 0);
	bus_check_equal(bus, "12345");
	bus_free(bus);
}

/* Both sides delivered more of the same configuration; neither activated another. */
static void apart(struct bus *bus, struct user *a, struct user *b, struct answer *long_one)
{
	struct user *users[] = { a, b };

	for (int i = 0; i < 2; i++)
		assert_int_equal(ask_open(bus, 4 * i, "a", CHECKPOINT_CREATE, users[i]), 0);
	if (long_one)
		assert_int_equal(ask_unlink(bus, 4, "old", long_one), 0);
	bus_send(bus, "15");
	bus_configure(bus, "12");
	bus_configure(bus, "345");
	check_store(bus, 1, "old#1:1 a#2:1");
	check_store(bus, 3, long_one ? "old#1:1! a#2:1" : "old#1:1 a#2:1");
}

static void of_equal_states_the_lowest_wins(void **state)
{
	struct bus *bus = bus_of_five();
	struct user old, a, b;

	(void)state;
	assert_int_equal(now_open(bus, 2, "old", CHECKPOINT_CREATE, &old), 0);
	apart(bus, &a, &b, NULL);
	bus_configure(bus, "12345");
	bus_run(bus);
	bus_check_equal(bus, "12345");
	assert_int_equal(a.result, 0);
	assert_int_equal(b.result, -ECANCELED); /* its "a" of number 2 is another */
	check_store(bus, 4, "old#1:1 a#2:1");
	assert_int_equal(checkpoint_opens(bus->nodes[4].store, 2, 0), 1);
	assert_int_equal(now_write(bus, &a, "x", "1"), 0);
	bus_free(bus);
}

static void of_states_the_longest_wins(void **state)
{
	struct bus *bus = bus_of_five();
	struct answer unlink;
	struct user old, a, b;

	(void)state;
	assert_int_equal(now_open(bus, 2, "old", CHECKPOINT_CREATE, &old), 0);
	apart(bus, &a, &b, &unlink);
	bus_configure(bus, "12345");
	bus_run(bus);
	bus_check_equal(bus, "12345");
	assert_int_equal(a.result, -ECANCELED);
	assert_int_equal(b.result, 0);
	assert_int_equal(unlink.result, 0);
	check_store(bus, 0, "old#1:1! a#2:1");
	assert_int_equal(old.lost, 0);
	bus_free(bus);
}

/* An engine that does not tell of transitional configurations: told, then undone. */
static void without_the_hook_an_open_is_undone_and_told(void **state)
{
	struct bus *bus = bus_of_five();
	struct answer unlink;
	struct user old, a, b;

	(void)state;
	bus->has_no_hook = true;
	assert_int_equal(now_open(bus, 2, "old", CHECKPOINT_CREATE, &old), 0);
	apart(bus, &a, &b, &unlink);
	assert_int_equal(a.result, 0);
	bus_configure(bus, "12345");
	bus_run(bus);
	bus_check_equal(bus, "12345");
	assert_int_equal(a.lost, 1);
	assert_int_equal(b.lost, 0);
	bus_free(bus);
}

/* C4: those who go on together have their answers as soon as they are active. */
static void survivors_are_answered_when_they_are_active(void **state)
{
	struct bus *bus = bus_of_five();
	struct answer write;
	struct user u;

	(void)state;
	assert_int_equal(now_open(bus, 2, "a", CHECKPOINT_CREATE, &u), 0);
	assert_int_equal(ask_write(&u, "x", "1", &write), 0);
	bus_send(bus, "3");
	assert_int_equal(write.count, 0);
	bus_crash(bus, 4);
	bus_configure(bus, "1234");
	check_sections(bus, 0, 1, "x=1");
	assert_int_equal(write.count, 0);
	bus_run(bus);
	assert_int_equal(write.result, 0);
	assert_int_equal(stats(bus, 2)->refused, 0); /* the mark is no operation */
	assert_int_equal(stats(bus, 2)->faults[CHECKPOINT_FAULT_ORDER], 0);
	bus_check_equal(bus, "1234");
	bus_free(bus);
}

/*
 * C4: two of three activate it and are cut off before the third does; the third goes
 * on with others, from the state that was before.
 */
static void active_is_not_certain_yet(void **state)
{
	struct bus *bus = bus_of_five();
	struct answer write, longer[3];
	struct user u, other, opened;

	(void)state;
	assert_int_equal(now_open(bus, 4, "a", CHECKPOINT_CREATE, &u), 0);
	assert_int_equal(now_open(bus, 0, "a", 0, &other), 0);
	assert_int_equal(ask_write(&u, "x", "5", &write), 0);
	assert_int_equal(ask_open(bus, 4, "b", CHECKPOINT_CREATE | CHECKPOINT_EXCLUSIVE,
				  &opened), 0);
	for (int i = 0; i < 3; i++)
		assert_int_equal(ask_unlink(bus, 0, "none", &longer[i]), 0);
	bus_send(bus, "15");
	bus_configure(bus, "245");
	bus_configure(bus, "13");
	bus->first = 3; /* node 4, then 5, and 2 is the last */
	while (bus->nodes[3].sync.is_telling || bus->nodes[4].sync.is_telling) {
		bus->budget = 1;
		(void)bus_run(bus);
	}
	assert_true(bus->nodes[1].sync.is_telling);
	check_sections(bus, 3, 1, "x=5");
	assert_int_equal(write.count + opened.opened, 0);
	bus->budget = -1;
	bus_configure(bus, "123");
	bus_configure(bus, "45");
	bus_run(bus);
	assert_int_equal(now_open(bus, 0, "b", CHECKPOINT_CREATE | CHECKPOINT_EXCLUSIVE,
				  &other), 0);
	assert_int_equal(write.result, -ECANCELED);
	assert_int_equal(opened.result, -ECANCELED);
	bus_configure(bus, "12345");
	bus_run(bus);
	check_sections(bus, 4, 1, "");
	check_store(bus, 4, "a#1:2 b#2:1");
	bus_check_equal(bus, "12345");
	bus_free(bus);
}

static struct answer late;

static void write_at_once(void *owner, int result)
{
	struct user *u = owner;

	u->result = result;
	assert_int_equal(ask_write(u, "x", "1", &late), 0);
}

/* C6: it waited in the queue while its checkpoint lost. */
static void write_to_what_was_lost_is_stale(void **state)
{
	static const struct checkpoint_handlers eager = { .opened = write_at_once };
	struct user minor = { .result = PENDING }, major;
	struct bus *bus = bus_of_five();

	(void)state;
	bus->has_no_hook = true; /* so that it is used before it is certain */
	assert_int_equal(checkpoint_open(bus->nodes[0].store, "a", 1, CHECKPOINT_CREATE,
					 &eager, &minor, &minor.handle), 0);
	bus_send(bus, "1");
	bus_configure(bus, "2345");
	bus_run(bus);
	assert_int_equal(now_open(bus, 1, "a", CHECKPOINT_CREATE, &major), 0);
	bus_configure(bus, "12345");
	assert_int_equal(minor.result, 0);
	bus_run(bus);
	assert_int_equal(late.result, -ESTALE);
	check_store(bus, 0, "a#1:1");
	check_sections(bus, 0, 1, "");
	bus_check_equal(bus, "12345");
	bus_free(bus);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(without_quorum_nothing_but_counts_changes),
		cmocka_unit_test(request_that_comes_too_late_is_refused_by_all),
		cmocka_unit_test(refusal_for_lack_of_quorum_is_certain),
		cmocka_unit_test(minority_frees_nothing),
		cmocka_unit_test(quorate_side_wins),
		cmocka_unit_test(of_equal_states_the_lowest_wins),
		cmocka_unit_test(of_states_the_longest_wins),
		cmocka_unit_test(without_the_hook_an_open_is_undone_and_told),
		cmocka_unit_test(survivors_are_answered_when_they_are_active),
		cmocka_unit_test(active_is_not_certain_yet),
		cmocka_unit_test(write_to_what_was_lost_is_stale),
	};

	return cmocka_run_group_tests_name("checkpoint_partitions", tests, NULL, NULL);
}
