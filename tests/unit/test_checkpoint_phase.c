/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The sync phase of checkpoint stores: cut at any point, told nonsense, out of memory.
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(phase_may_be_cut_anywhere),
		cmocka_unit_test(strange_bytes_are_counted_and_not_believed),
		cmocka_unit_test(chosen_one_is_not_believed_all),
		cmocka_unit_test(what_comes_twice_is_not_believed),
		cmocka_unit_test(state_that_is_not_whole_is_nobodys),
		cmocka_unit_test(who_has_no_memory_in_the_phase_leaves),
	};

	return cmocka_run_group_tests_name("checkpoint_phase", tests, NULL, NULL);
}
