/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Checkpoint stores when configurations change: who takes whose state, what an
 * answer is worth, what is lost and told so. C1 to C9 are the promises of
 * totem/checkpoint.h; the bus is that of checkpoint_rig.h.
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

/* --- nodes come and go ---------------------------------------------------------- */

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

/* --- partitions ----------------------------------------------------------------- */

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

/* --- a phase that is cut (C7) --------------------------------------------------- */

static const char scene_store[] = "a#1:2 b#2:1! c#4:0";

/* Nodes 3 and 4 have some open, node 5 is new, and queues are short. */
static struct bus *scene(int first, struct user users[3])
{
	struct bus *bus = bus_of_five();
	struct user u;

	assert_int_equal(now_open(bus, 2, "a", CHECKPOINT_CREATE, &users[0]), 0);
	assert_int_equal(now_open(bus, 3, "a", 0, &users[1]), 0);
	assert_int_equal(now_open(bus, 2, "b", CHECKPOINT_CREATE, &users[2]), 0);
	assert_int_equal(now_open(bus, 1, "b2", CHECKPOINT_CREATE, &u), 0);
	assert_int_equal(now_write(bus, &users[0], "x", "1"), 0);
	assert_int_equal(now_write(bus, &users[0], "y", "2"), 0);
	assert_int_equal(now_write(bus, &users[2], "z", "3"), 0);
	assert_int_equal(now_unlink(bus, 4, "b"), 0);
	assert_int_equal(now_unlink(bus, 4, "b2"), 0);
	now_close(bus, &u);
	assert_int_equal(now_open(bus, 1, "c", CHECKPOINT_CREATE, &u), 0);
	now_close(bus, &u);
	assert_int_equal(now_open(bus, 1, "d", CHECKPOINT_CREATE, &u), 0);
	now_close(bus, &u);
	assert_int_equal(now_unlink(bus, 1, "d"), 0); /* number 5 */
	bus_crash(bus, 4);
	bus_configure(bus, "1234");
	bus_run(bus);
	bus_start(bus, 4);
	bus->tells = 1;
	bus->first = first;
	return bus;
}

static void check_scene(const struct bus *bus, const char *nodes)
{
	bus_check_equal(bus, nodes);
	for (; *nodes; nodes++) {
		check_store(bus, *nodes - '1', scene_store);
		check_sections(bus, *nodes - '1', 1, "x=1 y=2");
		check_sections(bus, *nodes - '1', 2, "z=3");
	}
}

/* False: the phase was over before the cut. */
static bool cut_at(long actions, int first, const char *next)
{
	struct user users[3];
	struct bus *bus = scene(first, users);
	bool is_over;

	bus_configure(bus, "12345");
	bus->budget = actions;
	is_over = bus_run(bus);
	bus->budget = -1;
	bus_configure(bus, next);
	bus_run(bus);
	check_scene(bus, next);
	bus_configure(bus, "12345");
	bus_run(bus);
	check_scene(bus, "12345");
	for (int i = 0; i < 3; i++)
		assert_int_equal(users[i].lost, 0);
	assert_int_equal(now_write(bus, &users[1], "x", "after"), 0);
	check_section(&users[0], "x", "after");
	bus_free(bus);
	return !is_over;
}

static void phase_may_be_cut_anywhere(void **state)
{
	static const char *const next[] = { "12345", "1234", "345" };
	long actions;

	(void)state;
	for (int first = 0; first < BUS_NODES; first++)
		for (int n = 0; n < 3; n++) {
			/* who has state open must be among them, or it is not equal */
			for (actions = 0; cut_at(actions, first, next[n]); actions++)
				;
			assert_true(actions > 50);
		}
}

/* --- strange bytes (C7) --------------------------------------------------------- */

static size_t told(uint8_t bytes[200], enum checkpoint_telling kind, uint64_t number,
		   const char *name)
{
	const struct checkpoint_told m = {
		.kind = kind,
		.head = { { 1, 4 }, 99, 99, 99 },
		.id = { number, { 5, 1, 1 } },
		.name = (const uint8_t *)name, .name_length = strlen(name),
		.checkpoints = 9, .sections = 9,
	};

	return checkpoint_told_write(&m, bytes);
}

static bool is_telling(const struct bus *bus, int node)
{
	return bus->nodes[node].sync.is_telling && !bus->nodes[node].sync.is_done;
}

/* What is wrong from whoever says it, whenever. */
static void inject_nonsense(struct bus *bus, int from)
{
	uint8_t bytes[200], long_name[66];

	for (int kind = 0; kind < 8; kind++) {
		size_t length = told(bytes, (enum checkpoint_telling)kind, 5, "n");
		bool has_tail = kind == CHECKPOINT_TELL_SECTION;

		for (size_t cut = 0; cut < length - has_tail; cut++)
			bus_inject(bus, from, bytes, cut);
		bytes[length] = 0;
		if (kind == CHECKPOINT_TELL_HEAD || kind == CHECKPOINT_TELL_END ||
		    kind == CHECKPOINT_TELL_COUNTS)
			bus_inject(bus, from, bytes, length + 1);
	}
	memset(long_name, 'n', 65);
	long_name[65] = 0;
	bus_inject(bus, from, bytes, told(bytes, CHECKPOINT_TELL_CHECKPOINT, 3,
					  (const char *)long_name));
	bytes[told(bytes, CHECKPOINT_TELL_CHECKPOINT, 3, "n") - 2] = 2; /* flags */
	bus_inject(bus, from, bytes, 31);
	told(bytes, CHECKPOINT_TELL_HEAD, 0, "");
	memset(bytes + 29, 0, 8); /* next number 0 */
	bus_inject(bus, from, bytes, 37);
	bytes[36] = 0x40; /* or too large */
	bus_inject(bus, from, bytes, 37);
}

/* Counts that no node can have. */
static void inject_counts(struct bus *bus, int from)
{
	static const struct { uint64_t number; uint32_t opens; } bad[][2] = {
		{ { 1, 1 }, { 1, 1 } },
		{ { 2, 1 }, { 1, 1 } },
		{ { 1, 0 }, { 2, 1 } },
		{ { 1, CHECKPOINT_MAX_OPENS }, { 2, 1 } },
		{ { 1, 1 }, { 2, UINT32_MAX } },
		{ { 0, 1 }, { 2, 1 } },
	};
	uint8_t bytes[5 + 2 * CHECKPOINT_COUNT_BYTES] = { CHECKPOINT_TELL_COUNTS, 2 };

	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		for (int k = 0; k < 2; k++) {
			const struct checkpoint_count c = {
				{ bad[i][k].number, { 0 } }, bad[i][k].opens };

			checkpoint_count_write(&c, bytes + 5 + k * CHECKPOINT_COUNT_BYTES);
		}
		bus_inject(bus, from, bytes, sizeof(bytes));
	}
	bytes[1] = 3; /* more than there are */
	bus_inject(bus, from, bytes, sizeof(bytes));
}

/* What only the chosen one may say, and not before it was chosen. */
static void inject_state(struct bus *bus, int from)
{
	uint8_t bytes[200];

	bus_inject(bus, from, bytes, told(bytes, CHECKPOINT_TELL_CHECKPOINT, 3, "evil"));
	bus_inject(bus, from, bytes, told(bytes, CHECKPOINT_TELL_SECTION, 1, "evil"));
	bus_inject(bus, from, bytes, told(bytes, CHECKPOINT_TELL_END, 0, ""));
}

static void strange_bytes_are_counted_and_not_believed(void **state)
{
	bool is_over = false;

	(void)state;
	for (long actions = 0; !is_over; actions += 3) {
		struct user users[3];
		struct bus *bus = scene(0, users);
		uint64_t sum = 0;
		bool is_any = false;

		bus_configure(bus, "12345");
		bus->budget = actions;
		is_over = bus_run(bus);
		bus->budget = -1;
		for (int i = 0; i < BUS_NODES; i++) {
			if (!is_telling(bus, i))
				continue;
			is_any = true;
			inject_nonsense(bus, i);
			inject_counts(bus, i);
			if (i > 0)
				inject_state(bus, i);
		}
		bus_run(bus);
		check_scene(bus, "12345");
		for (int i = 0; i < CHECKPOINT_FAULT_COUNT; i++)
			sum += stats(bus, 4)->faults[i];
		assert_true(!is_any || sum > 0);
		bus_free(bus);
	}
}

/* Of the chosen one: twice, or of nothing. */
static void chosen_one_is_not_believed_all(void **state)
{
	struct user users[3];
	struct bus *bus = scene(0, users);
	struct bus_log *l;
	uint8_t bytes[200];
	int told_some = 0;

	(void)state;
	bus_configure(bus, "12345");
	l = bus->nodes[0].log;
	bus->budget = 1;
	while (!bus_run(bus)) {
		bus->budget = 1;
		/* behind each that it told itself, once the heads are known */
		if (!is_telling(bus, 0) || l->count < 6 || l->entries[l->count - 1]->from != 0)
			continue;
		told_some++;
		bus_inject(bus, 0, bytes, told(bytes, CHECKPOINT_TELL_CHECKPOINT, 1, "a"));
		bus_inject(bus, 0, bytes, told(bytes, CHECKPOINT_TELL_CHECKPOINT, 0, "b"));
		bus_inject(bus, 0, bytes, told(bytes, CHECKPOINT_TELL_CHECKPOINT, 6, "b"));
		bus_inject(bus, 0, bytes, told(bytes, CHECKPOINT_TELL_SECTION, 3, "x"));
		bus_inject(bus, 0, bytes, told(bytes, CHECKPOINT_TELL_SECTION, 9, "x"));
		bus_inject(bus, 0, bytes, told(bytes, CHECKPOINT_TELL_HEAD, 0, ""));
		bus_inject(bus, 0, bytes, told(bytes, CHECKPOINT_TELL_END, 0, ""));
		bus_inject(bus, 4, bytes, told(bytes, CHECKPOINT_TELL_END, 0, ""));
	}
	assert_true(told_some > 1);
	check_store(bus, 4, scene_store);
	bus_check_equal(bus, "12345");
	assert_true(stats(bus, 4)->faults[CHECKPOINT_FAULT_ORDER] > 0);
	assert_true(stats(bus, 4)->faults[CHECKPOINT_FAULT_STRANGER] > 0);
	bus_free(bus);
}

/* Behind its end nothing comes, and counts come once. */
static void what_comes_twice_is_not_believed(void **state)
{
	static const uint8_t no_counts[5] = { CHECKPOINT_TELL_COUNTS };
	struct user users[3];
	struct bus *bus = scene(1, users); /* node 1 acts last */
	const struct checkpoint_sync *p = &bus->nodes[0].store->phase;
	uint8_t bytes[200];
	bool is_ended = false, is_counted = false;

	(void)state;
	bus_configure(bus, "12345");
	bus->budget = 1;
	while (!bus_run(bus)) {
		bus->budget = 1;
		if (!is_telling(bus, 0))
			continue;
		if (!is_counted && bus->nodes[2].sync.is_done)
			bus_inject(bus, 2, no_counts, sizeof(no_counts));
		if (!is_ended && p->phase == CHECKPOINT_PHASE_COUNTS)
			bus_inject(bus, 0, bytes,
				   told(bytes, CHECKPOINT_TELL_CHECKPOINT, 5, "d"));
		is_counted |= bus->nodes[2].sync.is_done;
		is_ended |= p->phase == CHECKPOINT_PHASE_COUNTS;
	}
	assert_true(is_counted && is_ended);
	check_scene(bus, "12345");
	assert_int_equal(stats(bus, 4)->faults[CHECKPOINT_FAULT_ORDER], 2);
	bus_free(bus);
}

/* Whole or not at all. */
static void state_that_is_not_whole_is_nobodys(void **state)
{
	struct user users[3];
	struct bus *bus = scene(0, users);
	struct bus_log *l;
	uint64_t before;

	(void)state;
	before = checkpoint_digest(bus->nodes[1].store);
	bus_configure(bus, "12345");
	l = bus->nodes[0].log;
	bus->budget = 1;
	while (!bus_run(bus)) {
		bus->budget = 1;
		if (l->count > 0 && l->entries[l->count - 1]->bytes[0] == CHECKPOINT_TELL_SECTION)
			l->entries[l->count - 1]->bytes[0] = 77;
	}
	for (int i = 0; i < BUS_NODES; i++) {
		assert_non_null(bus->nodes[i].sync.broken);
		assert_true(stats(bus, i)->faults[CHECKPOINT_FAULT_MESSAGE] > 0);
		bus->nodes[i].sync.broken = NULL;
	}
	assert_true(checkpoint_digest(bus->nodes[1].store) == before);
	bus_free(bus);
}

/* --- memory (C9) ---------------------------------------------------------------- */

static bool starve_at(long allocation, int node)
{
	struct user users[3];
	struct bus *bus = scene(0, users);
	bool is_broken;

	bus_configure(bus, "12345");
	bus->nodes[node].starves = true;
	bus_allocations = allocation;
	bus_run(bus);
	bus_allocations = -1;
	bus->nodes[node].starves = false;
	is_broken = bus->nodes[node].sync.broken != NULL;
	if (is_broken) {
		assert_non_null(strstr(bus->nodes[node].sync.broken, "memory"));
		bus_crash(bus, node);
		bus_configure(bus, node == 0 ? "2345" : "1234");
		bus_run(bus);
		bus_start(bus, node);
		bus_configure(bus, "12345");
		bus_run(bus);
	}
	check_scene(bus, "12345");
	bus_free(bus);
	return is_broken;
}

static void who_has_no_memory_in_the_phase_leaves(void **state)
{
	long allocation;

	(void)state;
	for (int node = 0; node < BUS_NODES; node += BUS_NODES - 1) {
		for (allocation = 0; starve_at(allocation, node); allocation++)
			;
		assert_true(allocation >= 10);
	}
}

/* --- stories without an author -------------------------------------------------- */

enum { STORY_USERS = 12, STORY_WRITES = 200 };

struct story_user {
	struct user u;
	int node;
	bool is_pending, is_open;
};

struct story_write {
	struct answer a;
	char section[16];
	bool is_of_the_dead; /* nobody is left to be answered */
	int node;
};

struct story {
	struct bus *bus;
	uint64_t random;
	struct user base[BUS_NODES]; /* never unlinked: what is answered stays */
	bool is_base[BUS_NODES];
	struct story_user users[STORY_USERS];
	struct story_write writes[STORY_WRITES];
	int write_count;
	bool is_whole; /* all five are one configuration, and quiet */
	int dead;      /* was restarted since; -1 */
};

static unsigned int dice(struct story *t, unsigned int sides)
{
	t->random = t->random * 6364136223846793005u + 1442695040888963407u;
	return (unsigned int)(t->random >> 33) % sides;
}

static void story_opened(void *owner, int result)
{
	struct story_user *u = owner;

	assert_true(u->is_pending); /* C3 */
	u->is_pending = false;
	u->is_open = result == 0;
}

static void story_lost(void *owner)
{
	struct story_user *u = owner;

	assert_true(u->is_open);
	u->is_open = false;
}

static void story_use(struct story *t)
{
	static const struct checkpoint_handlers handlers = { story_opened, story_lost };
	struct story_user *u = &t->users[dice(t, STORY_USERS)];
	char name[2] = { (char)('a' + dice(t, 3)), 0 };

	if (u->is_pending)
		return;
	if (u->is_open && dice(t, 2)) {
		u->is_open = false;
		checkpoint_close(u->u.handle);
	} else if (u->is_open) {
		(void)checkpoint_write(u->u.handle, name, 1, name, dice(t, 2), NULL, NULL);
	} else if (dice(t, 4) == 0) {
		(void)checkpoint_unlink(t->bus->nodes[u->node].store, name, 1, NULL, NULL);
	} else {
		u->is_pending = checkpoint_open(t->bus->nodes[u->node].store, name, 1,
						dice(t, 4) ? CHECKPOINT_CREATE :
							     CHECKPOINT_CREATE |
							     CHECKPOINT_EXCLUSIVE,
						&handlers, u, &u->u.handle) == 0;
	}
}

static void story_write(struct story *t)
{
	struct story_write *w = &t->writes[t->write_count];
	int node = (int)dice(t, BUS_NODES);

	if (t->write_count == STORY_WRITES || !t->is_base[node])
		return;
	(void)snprintf(w->section, sizeof(w->section), "w%d", t->write_count);
	w->node = node;
	if (ask_write(&t->base[node], w->section, w->section, &w->a) == 0)
		t->write_count++;
}

static void story_open_base(struct story *t, int node)
{
	t->is_base[node] = now_open(t->bus, node, "base", CHECKPOINT_CREATE,
				    &t->base[node]) == 0;
	assert_true(t->is_base[node]);
}

static void story_die(struct story *t, int node)
{
	int i;

	for (i = 0; i < t->write_count; i++)
		if (t->writes[i].node == node && t->writes[i].a.count == 0)
			t->writes[i].is_of_the_dead = true;
	for (i = 0; i < STORY_USERS; i++)
		if (t->users[i].node == node)
			t->users[i].is_pending = t->users[i].is_open = false;
	t->is_base[node] = false;
	bus_crash(t->bus, node);
}

/* Some of the five apart from the others; the dead one may be back among them. */
static void story_part(struct story *t)
{
	char sides[2][BUS_NODES + 1] = { "", "" };
	bool is_merge = dice(t, 3) == 0;

	for (int i = 0; i < BUS_NODES; i++) {
		char *side = sides[is_merge ? 0 : dice(t, 2)];

		side[strlen(side)] = (char)('1' + i);
	}
	for (int i = 0; i < 2; i++)
		if (*sides[i])
			bus_configure(t->bus, sides[i]);
	t->is_whole = false;
}

static void story_restart(struct story *t)
{
	int node = (int)dice(t, BUS_NODES);
	char others[BUS_NODES + 1] = "";

	if (!t->is_whole)
		return; /* C4: one memory at a time */
	story_die(t, node);
	for (int i = 0; i < BUS_NODES; i++)
		if (i != node)
			others[strlen(others)] = (char)('1' + i);
	if (dice(t, 2)) {
		bus_configure(t->bus, others);
		t->bus->budget = dice(t, 200);
		(void)bus_run(t->bus);
	}
	bus_start(t->bus, node);
	t->is_whole = false;
	story_part(t);
}

static void story_settle(struct story *t)
{
	t->bus->budget = -1;
	bus_configure(t->bus, "12345");
	(void)bus_run(t->bus);
	bus_check_equal(t->bus, "12345"); /* C1 */
	t->is_whole = true;
	for (int i = 0; i < BUS_NODES; i++)
		if (!t->is_base[i])
			story_open_base(t, i);
}

static void story_step(struct story *t)
{
	unsigned int what = dice(t, 100);

	if (what < 35) {
		story_use(t);
	} else if (what < 65) {
		story_write(t);
	} else if (what < 80) {
		t->bus->first = (int)dice(t, BUS_NODES);
		t->bus->budget = dice(t, 120);
		(void)bus_run(t->bus);
	} else if (what < 90) {
		char who[2] = { (char)('1' + dice(t, BUS_NODES)), 0 };

		bus_send(t->bus, who);
	} else if (what < 96) {
		story_part(t);
	} else if (what < 98) {
		story_restart(t);
	} else {
		story_settle(t);
	}
}

/* C3, C4, C5. */
static void story_check(struct story *t)
{
	const void *data;
	struct checkpoint_info info;
	uint32_t wanted = BUS_NODES, found = 0;
	size_t length;

	for (int i = 0; i < t->write_count; i++) {
		struct story_write *w = &t->writes[i];

		assert_int_equal(w->a.count, w->is_of_the_dead ? 0 : 1);
		if (w->is_of_the_dead || w->a.result != 0)
			continue;
		assert_int_equal(checkpoint_read(t->base[2].handle, w->section,
						 strlen(w->section), &data, &length), 0);
	}
	for (int i = 0; i < STORY_USERS; i++) {
		assert_false(t->users[i].is_pending);
		wanted += t->users[i].is_open;
	}
	for (size_t i = 0; checkpoint_at(t->bus->nodes[1].store, i, &info); i++) {
		found += info.references;
		assert_true(info.references > 0 || !info.is_unlinked);
	}
	assert_int_equal(found, wanted);
}

static void tell_story(uint64_t seed)
{
	static struct story story;
	struct story *t = &story;
	int i;

	*t = (struct story){ .random = seed * 0x9e3779b97f4a7c15u };
	t->bus = bus_of_five();
	t->bus->tells = 1 + (int)dice(t, 4);
	for (i = 0; i < STORY_USERS; i++)
		t->users[i].node = (int)dice(t, BUS_NODES);
	for (i = 0; i < BUS_NODES; i++)
		story_open_base(t, i);
	t->is_whole = true;
	for (i = 0; i < 300 && t->bus->log_count < BUS_MAX_LOGS - 4; i++)
		story_step(t);
	story_settle(t);
	for (i = 0; i < BUS_NODES; i++)
		assert_int_equal(t->base[i].lost, 0);
	story_check(t);
	bus_free(t->bus);
}

static uint64_t story_seed; /* of the story under way */

static uint64_t from_environment(const char *name, uint64_t otherwise)
{
	const char *text = getenv(name);

	return text ? strtoull(text, NULL, 10) : otherwise;
}

/* STORY is the first seed, STORIES how many: for a soak, or for one that failed. */
static void stories_end_well(void **state)
{
	uint64_t first = from_environment("STORY", 1);
	uint64_t end = first + from_environment("STORIES", 400);

	(void)state;
	for (story_seed = first; story_seed < end; story_seed++)
		tell_story(story_seed);
	story_seed = 0;
}

static int name_the_seed(void **state)
{
	(void)state;
	if (story_seed > 0)
		print_error("again with: STORY=%llu STORIES=1\n",
			    (unsigned long long)story_seed);
	return 0;
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
		cmocka_unit_test(phase_may_be_cut_anywhere),
		cmocka_unit_test(strange_bytes_are_counted_and_not_believed),
		cmocka_unit_test(chosen_one_is_not_believed_all),
		cmocka_unit_test(what_comes_twice_is_not_believed),
		cmocka_unit_test(state_that_is_not_whole_is_nobodys),
		cmocka_unit_test(who_has_no_memory_in_the_phase_leaves),
		cmocka_unit_test_teardown(stories_end_well, name_the_seed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
