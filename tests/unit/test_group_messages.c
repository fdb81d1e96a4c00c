/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Ordered groups: what they say, and what is refused. G1 to G5 are the promises of totem/group.h,
 * R1 to R5 of group_ring.h; rows are those of corosync's bugs (spec/totem.md A.14).
 */
#include "tests/unit/help.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>

#include "base/arith.h"
#include "tests/unit/group_rig.h"

enum { MIB = 1 << 20 };

/* Row 3, R1 */
static void what_waited_before_the_change_goes_behind_the_sync_messages(void **state)
{
	struct app a[2];
	struct bus *bus = apps_together(a, 2);
	char *large = calloc(1, 50001);
	struct log *l;
	bool is_safe;
	uint8_t packet[BUS_ROOM];

	(void)state;
	assert_non_null(large);
	memset(large, 'x', 50000);
	a[0].is_silent = a[1].is_silent = true;
	app_say(&a[0], large);
	for (int i = 0; i < 10; i++)
		bus_send_one(&bus->nodes[0]); /* half of it is out */
	bus_configure(bus, "12");
	assert_int_equal(group_ring_backlog(bus->nodes[0].g), 0);
	assert_int_equal(group_ring_fill(bus->nodes[0].g, packet, BUS_ROOM, &is_safe), 0);
	assert_true(sync_backlog(bus->nodes[0].sync) > 0);
	bus_run(bus);
	l = bus->nodes[0].log;
	/* greetings and states first */
	for (int i = 0; i < 4; i++)
		assert_true(l->packets[i].is_sync);
	assert_false(l->packets[4].is_sync);
	/* R4, row 2: again from its start, once, whole */
	assert_int_equal(a[1].messages, 1);
	assert_int_equal(a[0].digest, a[1].digest);
	assert_int_equal(group_ring_stats(bus->nodes[1].g)->pack.faults[PACK_ORPHAN], 0);
	assert_int_equal(group_ring_stats(bus->nodes[1].g)->pack.faults[PACK_CUT], 0);
	free(large);
	bus_free(bus);
}

/* Row 2, R4: its last part comes only with the recovered messages. */
static void a_message_whose_end_is_recovered_is_whole(void **state)
{
	(void)state;
	for (int read = 0; read < 9; read++) {
		struct app a[2];
		struct bus *bus = apps_together(a, 2);
		char large[8001];

		memset(large, 'y', 8000);
		large[8000] = '\0';
		a[0].is_silent = a[1].is_silent = true;
		app_say(&a[0], large);
		while (bus_send_one(&bus->nodes[0]))
			;
		for (int i = 0; i < read; i++)
			(void)bus_read_one(&bus->nodes[1]);
		bus_configure(bus, "12");
		bus_run(bus);
		assert_int_equal(a[0].messages, 1);
		assert_int_equal(a[1].messages, 1);
		assert_int_equal(a[0].digest, a[1].digest);
		bus_free(bus);
	}
}

/* G1 */
static void safe_and_agreed_keep_their_senders_order(void **state)
{
	struct app a[2];
	struct bus *bus = apps_together(a, 2);
	struct log *l = bus->nodes[0].log;
	size_t i, before = l->count, safe = 0;

	(void)state;
	for (i = 0; i < 8; i++)
		assert_int_equal(app_say_as(&a[0], i % 3 ? GROUP_AGREED : GROUP_SAFE,
					(const char *[]){ "0", "1", "2", "3", "4",
							  "5", "6", "7" }[i]), 0);
	bus_run(bus);
	assert_string_equal(a[0].trace, "n1.1:0 n1.1:1 n1.1:2 n1.1:3 n1.1:4 "
					"n1.1:5 n1.1:6 n1.1:7 ");
	assert_string_equal(a[0].trace, a[1].trace);
	for (i = before; i < l->count; i++)
		safe += l->packets[i].is_safe;
	assert_int_equal(l->count - before, 6);
	assert_int_equal(safe, 3);
	bus_free(bus);
}

static void a_mebibyte_from_everybody_at_once(void **state)
{
	struct app a[BUS_NODES];
	struct bus *bus = apps_together(a, BUS_NODES);
	char *large = malloc(MIB + 1);
	struct iovec parts[2] = { { large, MIB }, { large, 1 } };

	(void)state;
	assert_non_null(large);
	for (int i = 0; i < BUS_NODES; i++) {
		a[i].is_silent = true;
		for (size_t k = 0; k < MIB; k++)
			large[k] = (char)(k * 7 + (size_t)i);
		assert_int_equal(group_multicast(a[i].group, GROUP_SAFE, parts, 1), 0);
		assert_int_equal(group_multicast(a[i].group, GROUP_SAFE, parts, 2),
				 -EMSGSIZE);
	}
	bus_run(bus);
	for (int i = 0; i < BUS_NODES; i++) {
		assert_int_equal(a[i].messages, BUS_NODES);
		assert_int_equal(a[i].digest, a[0].digest);
		assert_int_equal(a[i].opened, 0);
	}
	free(large);
	bus_free(bus);
}

/* G5 */
static void credit_goes_to_zero_and_opens_again(void **state)
{
	struct app a[2];
	struct bus *bus = apps_together(a, 2);
	const struct group_engine *engine = group_ring_engine(bus->nodes[0].g);
	char kilo[1025];
	size_t taken = 0, before = group_credit(engine);

	(void)state;
	memset(kilo, 'k', 1024);
	kilo[1024] = '\0';
	a[0].is_silent = a[1].is_silent = true;
	assert_int_equal(before, GROUP_MAX_MESSAGE);
	while (app_say_as(&a[0], GROUP_AGREED, kilo) == 0)
		assert_true(++taken <= 4096);
	assert_true(taken > 3500 && group_credit(engine) < 1024);
	/* leaving and joining need none */
	group_leave(a[0].group);
	assert_int_equal(a[0].opened, 0);
	assert_int_equal(app_say_as(&a[1], GROUP_AGREED, "other node"), 0);
	bus_run(bus);
	assert_int_equal(a[1].messages, taken + 1);
	assert_int_equal(a[0].opened, 0); /* it is leaving */
	assert_int_equal(group_credit(engine), before);

	/* nodes that are synchronising take no more, either */
	taken = 0;
	bus_configure(bus, "12");
	while (app_say_as(&a[1], GROUP_AGREED, kilo) == 0)
		assert_true(++taken <= 4096);
	assert_int_equal(app_say_as(&a[1], GROUP_AGREED, kilo), -EAGAIN);
	assert_int_equal(a[1].opened, 0);
	bus_run(bus);
	assert_int_equal(a[1].opened, 1);
	assert_int_equal(app_say_as(&a[1], GROUP_AGREED, kilo), 0);
	bus_run(bus);
	assert_int_equal(a[1].opened, 1);
	bus_free(bus);
}

/* G5: who asked first is served first, however little another one wants. */
static void a_large_message_gets_its_turn(void **state)
{
	struct app a[2], greedy = { 0 };
	struct bus *bus = apps_together(a, 2);
	char *large = calloc(1, MIB);
	const struct iovec part = { large, MIB };
	int sends;

	(void)state;
	assert_non_null(large);
	app_join(&greedy, bus, 0, "g");
	bus_run(bus);
	a[0].is_silent = a[1].is_silent = greedy.is_silent = greedy.is_greedy = true;
	app_fill(&greedy);
	assert_int_equal(group_multicast(a[0].group, GROUP_AGREED, &part, 1), -EAGAIN);
	assert_int_equal(group_credit(group_ring_engine(bus->nodes[0].g)), 0);
	for (sends = 0; sends < 12000 && a[0].opened == 0; sends++) {
		bus_send_one(&bus->nodes[0]);
		app_fill(&greedy); /* and it asks all the time */
	}
	assert_int_equal(a[0].opened, 1);
	free(large);
	bus_free(bus);
}

static void a_handle_may_join_from_within_a_change(void **state)
{
	struct app a[2], inner = { 0 };
	struct bus *bus = apps_together(a, 2);

	(void)state;
	a[0].joins = &inner;
	group_leave(a[1].group);
	bus_run(bus);
	app_saw(&a[0], "-n2.1/leave =1 +n1.2 =2 ");
	app_saw(&inner, "+n1.2 =2 ");
	bus_free(bus);
}

static void what_makes_no_sense_is_refused_by_name(void **state)
{
	static const struct group_handlers none = { 0 };
	struct app a[1];
	struct bus *bus = apps_together(a, 1);
	struct group_engine *engine = group_ring_engine(bus->nodes[0].g);
	char name[65] = "";
	struct group *g = NULL;
	struct err err = ERR_INIT;
	int n = 1;

	(void)state;
	assert_refused(group_join(engine, "", 0, &none, NULL, &g, &err), -EINVAL, err,
		       "name", "64");
	assert_refused(group_join(engine, name, 65, &none, NULL, &g, &err), -EINVAL, err,
		       "name", "65");
	assert_int_equal(group_join(engine, name, 64, &none, NULL, &g, &err), 0);
	while (group_join(engine, "x", 1, &none, NULL, &g, &err) == 0)
		n++;
	assert_int_equal(n + 1, GROUP_MAX_HANDLES);
	assert_int_equal(err.code, -EAGAIN);
	bus_run(bus);
	bus_configure(bus, "1"); /* the largest state there is goes through */
	bus_run(bus);
	assert_true(group_ring_is_active(bus->nodes[0].g));
	bus_free(bus);
}

/* Rule 5 of the design: from a member that has the key, and is out of its mind. */
static void hostile_messages_change_nothing(void **state)
{
	static const struct {
		enum group_fault fault;
		size_t length;
		uint8_t bytes[16];
	} cases[] = {
		{ GROUP_FAULT_MESSAGE, 0, { 0 } },
		{ GROUP_FAULT_MESSAGE, 4, { 1, 1, 0, 0 } },
		{ GROUP_FAULT_MESSAGE, 6, { 9, 1, 0, 0, 0, 'x' } },
		{ GROUP_FAULT_HANDLE, 6, { 1, 77, 0, 0, 0, 'x' } },
		{ GROUP_FAULT_HANDLE, 6, { 2, 1, 0, 0, 0, 'g' } },
		{ GROUP_FAULT_MESSAGE, 5, { 2, 5, 0, 0, 0 } },
		{ GROUP_FAULT_HANDLE, 6, { 3, 77, 0, 0, 0, GROUP_LEAVE } },
		{ GROUP_FAULT_MESSAGE, 6, { 3, 1, 0, 0, 0, GROUP_NODEDOWN } },
		{ GROUP_FAULT_MESSAGE, 5, { 3, 1, 0, 0, 0 } },
		{ GROUP_FAULT_MESSAGE, 5, { 4, 1, 0, 0, 0 } },
	};
	struct app a[2];
	struct bus *bus = apps_together(a, 2);
	struct node *n = &bus->nodes[0];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		uint64_t before = group_ring_stats(n->g)->faults[cases[i].fault];
		uint8_t packet[32] = { 0x51, (uint8_t)(cases[i].length << 2 | 1) };
		size_t length = 5 + cases[i].length;

		memcpy(packet + 5, cases[i].bytes, cases[i].length);
		group_ring_deliver(n->g, n->log->id, 1, packet, length);
		assert_int_equal(group_ring_stats(n->g)->faults[cases[i].fault],
				 before + 1);
		before = group_ring_stats(n->g)->faults[GROUP_FAULT_STRANGER];
		/* not in the ring, not configured */
		group_ring_deliver(n->g, n->log->id, i % 2 ? 2 : TOTEM_NO_INDEX, packet,
				   length);
		assert_int_equal(group_ring_stats(n->g)->faults[GROUP_FAULT_STRANGER],
				 before + 1);
	}
	app_saw(&a[0], "");
	bus_free(bus);
}

static void hostile_states_are_not_believed(void **state)
{
	static const struct {
		size_t length;
		uint8_t bytes[40]; /* behind kind and ring */
	} cases[] = {
		{ 3, { 0 } },
		{ 4, { 1 } },
		{ 4, { 1, 16, 0, 0 } },                          /* 4097 */
		{ 10, { 1, 0, 0, 0, 1, 0, 0, 0, 2, 'g' } },
		{ 9, { 1, 0, 0, 0, 1, 0, 0, 0, 0 } },
		{ 5, { 0, 0, 0, 0, 'x' } },
		{ 16, { 2, 0, 0, 0, 1, 0, 0, 0, 1, 'g', 1, 0, 0, 0, 1, 'h' } },
	};
	struct app a[2];
	struct bus *bus = apps_together(a, 2);
	struct node *n = &bus->nodes[0];
	struct node_set waiting;

	(void)state;
	bus_configure(bus, "12");
	bus_tell_stage(bus, 2);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		uint8_t packet[64] = { 0x51, (uint8_t)((14 + cases[i].length) << 2 | 1),
				       0, 0, 0, 2, SYNC_GROUPS };

		memcpy(packet + 19, cases[i].bytes, cases[i].length);
		sync_deliver(n->sync, n->log->id, 1, packet, 19 + cases[i].length);
		assert_int_equal(group_ring_stats(n->g)->faults[GROUP_FAULT_MESSAGE],
				 i + 1);
		waiting = sync_waiting_for(n->sync);
		assert_true(set_has(&waiting, 1));
	}
	bus_run(bus); /* and the true one still comes */
	assert_true(group_ring_is_active(n->g));
	app_saw(&a[0], "");
	bus_free(bus);
}

/* R5 */
static void who_is_told_to_begin_too_early_stops(void **state)
{
	struct app a[2];
	struct bus *bus = apps_together(a, 2);
	struct node *n = &bus->nodes[0];

	(void)state;
	bus_configure(bus, "12");
	sync_unplugged(n->sync);
	assert_non_null(n->broken);
	assert_int_equal(app_say_as(&a[0], GROUP_AGREED, "x"), -ESHUTDOWN);
	assert_int_equal(sync_backlog(n->sync), 0);
	assert_false(bus_send_one(n));
	n->broken = NULL;
	bus_free(bus);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_waited_before_the_change_goes_behind_the_sync_messages),
		cmocka_unit_test(a_message_whose_end_is_recovered_is_whole),
		cmocka_unit_test(safe_and_agreed_keep_their_senders_order),
		cmocka_unit_test(a_mebibyte_from_everybody_at_once),
		cmocka_unit_test(credit_goes_to_zero_and_opens_again),
		cmocka_unit_test(a_large_message_gets_its_turn),
		cmocka_unit_test(a_handle_may_join_from_within_a_change),
		cmocka_unit_test(what_makes_no_sense_is_refused_by_name),
		cmocka_unit_test(hostile_messages_change_nothing),
		cmocka_unit_test(hostile_states_are_not_believed),
		cmocka_unit_test(who_is_told_to_begin_too_early_stops),
	};

	return cmocka_run_group_tests_name("group_messages", tests, NULL, NULL);
}
