/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Ordered groups: who is in them. G1 to G5 are the promises of totem/group.h,
 * R1 to R5 of group_ring.h; rows are those of corosync's bugs (spec/totem.md A.14).
 */
#include "tests/unit/help.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>

#include "base/arith.h"
#include "tests/unit/group_rig.h"

/* G1 */
static void all_see_joins_messages_and_leaves_in_one_order(void **state)
{
	struct app a = { 0 }, b = { 0 };
	struct bus *bus = bus_new();

	(void)state;
	bus_configure(bus, "12");
	bus_run(bus);
	app_join(&a, bus, 0, "g");
	app_say(&a, "early"); /* behind its own join */
	bus_run(bus);
	app_saw(&a, "+n1.1 =1 n1.1:early ");
	app_join(&b, bus, 1, "g");
	bus_run(bus);
	app_say(&b, "two");
	app_say(&a, "one");
	bus_run(bus);
	assert_string_equal(b.trace, "+n2.1 =2 n1.1:one n2.1:two ");
	assert_string_equal(a.trace, b.trace);
	a.trace[0] = b.trace[0] = '\0';
	group_leave(a.group);
	assert_int_equal(app_say_as(&a, GROUP_AGREED, "x"), -ESHUTDOWN);
	bus_run(bus);
	app_saw(&a, "-n1.1/leave =1 ");
	app_saw(&b, "-n1.1/leave =1 ");
	app_say(&b, "alone");
	bus_run(bus);
	app_saw(&a, "");
	app_saw(&b, "n2.1:alone ");
	bus_free(bus);
}

/* G2 */
static void two_groups_do_not_see_each_other(void **state)
{
	struct app a[2] = { 0 }, b[2] = { 0 };
	struct bus *bus = bus_new();

	(void)state;
	bus_configure(bus, "12");
	for (int i = 0; i < 2; i++) {
		app_join(&a[i], bus, i, "a");
		app_join(&b[i], bus, i, "ab");
	}
	bus_run(bus);
	a[0].trace[0] = a[1].trace[0] = b[0].trace[0] = b[1].trace[0] = '\0';
	app_say(&a[0], "for a");
	app_say(&b[1], "for ab");
	group_leave(b[0].group);
	bus_run(bus);
	app_saw(&a[0], "n1.1:for a ");
	app_saw(&a[1], "n1.1:for a ");
	assert_non_null(strstr(b[1].trace, "n2.2:for ab "));
	assert_non_null(strstr(b[1].trace, "-n1.2/leave =1 "));
	bus_free(bus);
}

static void a_process_that_died_is_procdown(void **state)
{
	struct app a[2];
	struct bus *bus = apps_together(a, 2);

	(void)state;
	app_say(&a[0], "last words");
	group_abandon(a[0].group);
	bus_run(bus);
	app_saw(&a[0], "");
	app_saw(&a[1], "n1.1:last words -n1.1/procdown =1 ");
	group_leave(a[1].group);
	group_abandon(a[1].group); /* it was quicker to die than to leave */
	bus_run(bus);
	app_saw(&a[1], "");
	assert_int_equal(group_ring_stats(bus->nodes[0].g)->faults[GROUP_FAULT_HANDLE], 0);
	bus_free(bus);
}

static void a_node_that_vanishes_is_nodedown(void **state)
{
	struct app a[3];
	struct bus *bus = apps_together(a, 3);

	(void)state;
	app_say(&a[2], "still heard");
	bus_send_one(&bus->nodes[2]);
	app_say(&a[2], "never sent");
	bus_crash(bus, 2);
	bus_configure(bus, "12");
	bus_run(bus);
	app_saw(&a[0], "n3.1:still heard -n3.1/nodedown =2 ");
	app_saw(&a[1], "n3.1:still heard -n3.1/nodedown =2 ");
	bus_free(bus);
}

/* G3: one change with both, for who was away and for who was never told. */
static void a_node_that_restarts_between_goes_and_comes_in_one_change(void **state)
{
	struct app a[2], again = { 0 };
	struct bus *bus = apps_together(a, 2);

	(void)state;
	bus_crash(bus, 1);
	bus_start(bus, 1);
	app_join(&again, bus, 1, "g");
	bus_configure(bus, "2"); /* which node 1 never hears of */
	bus_run(bus);
	again.trace[0] = '\0';
	bus_configure(bus, "12");
	bus_run(bus);
	app_saw(&a[0], "+n2.1 -n2.1/nodedown =2 ");
	app_saw(&again, "+n1.1 =2 ");
	bus_free(bus);
}

/* G3 */
static void halves_part_and_merge_and_have_one_view(void **state)
{
	struct app a[4], e = { 0 };
	struct bus *bus = apps_together(a, 4);

	(void)state;
	bus_configure(bus, "12");
	bus_configure(bus, "34");
	app_say(&a[0], "low");
	app_say(&a[3], "high");
	bus_run(bus);
	app_saw(&a[0], "-n3.1/nodedown -n4.1/nodedown =2 n1.1:low ");
	app_saw(&a[1], "-n3.1/nodedown -n4.1/nodedown =2 n1.1:low ");
	app_saw(&a[2], "-n1.1/nodedown -n2.1/nodedown =2 n4.1:high ");
	app_saw(&a[3], "-n1.1/nodedown -n2.1/nodedown =2 n4.1:high ");
	app_say(&a[3], "to all"); /* queued in its half, seen in the whole: G2 */
	bus_configure(bus, "1234");
	bus_run(bus);
	app_saw(&a[0], "+n3.1 +n4.1 =4 n4.1:to all ");
	app_saw(&a[1], "+n3.1 +n4.1 =4 n4.1:to all ");
	app_saw(&a[2], "+n1.1 +n2.1 =4 n4.1:to all ");
	app_saw(&a[3], "+n1.1 +n2.1 =4 n4.1:to all ");
	/* 3 goes and 4 with it, comes back alone, and node 5 too: both lists */
	app_join(&e, bus, 4, "g");
	bus_configure(bus, "5");
	bus_run(bus);
	bus_configure(bus, "1235");
	bus_run(bus);
	assert_string_equal(a[0].trace, "+n5.1 -n4.1/nodedown =4 ");
	assert_string_equal(a[2].trace, a[0].trace);
	for (int i = 0; i < 3; i++)
		a[i].trace[0] = '\0';
	bus->nodes[4].log = NULL;
	bus_free(bus);
}

/* Row 1, G4, R2: told everything, and was gone before it counted. */
static void a_node_that_dies_before_the_end_leaves_no_ghost(void **state)
{
	(void)state;
	for (int sent = 0; sent <= 3; sent++) {
		struct app a[2], c = { 0 };
		struct bus *bus = apps_together(a, 2);

		app_join(&c, bus, 2, "g");
		bus_configure(bus, "3");
		bus_run(bus);
		bus_configure(bus, "123");
		bus_tell_stage(bus, 3);
		for (int i = 2; i > 2 - sent; i--)
			bus_send_one(&bus->nodes[i]);
		for (int i = 0; i < 3; i++) /* heard by all, synchronised nowhere */
			while (bus_read_one(&bus->nodes[i]))
				;
		assert_int_equal(set_count(sync_waiting_for(bus->nodes[0].sync)),
				 3 - sent);
		bus_crash(bus, 2);
		bus_configure(bus, "12");
		bus_run(bus);
		app_saw(&a[0], "");
		app_saw(&a[1], "");
		app_say(&a[0], "we two");
		bus_run(bus);
		app_saw(&a[1], "n1.1:we two ");
		assert_int_equal(sync_stats(bus->nodes[0].sync)->aborts, 1);
		bus_free(bus);
	}
}

/* R3: one node was told that all are synchronised, the other was not. */
static void what_one_node_activated_the_others_activate_too(void **state)
{
	struct app a[2], c = { 0 };
	struct bus *bus = apps_together(a, 2);

	(void)state;
	app_join(&c, bus, 2, "g");
	bus_configure(bus, "3");
	bus_run(bus);
	bus_configure(bus, "123");
	bus_tell_stage(bus, 3);
	bus_tell_stage(bus, 3);
	assert_true(bus_poll_unplug(&bus->nodes[0]));
	assert_true(group_ring_is_active(bus->nodes[0].g));
	assert_false(group_ring_is_active(bus->nodes[1].g));
	bus_crash(bus, 2);
	/* and one more that comes to nothing in between */
	bus_configure(bus, "12");
	bus_configure(bus, "12");
	bus_run(bus);
	app_saw(&a[0], "+n3.1 =3 -n3.1/nodedown =2 ");
	app_saw(&a[1], "+n3.1 =3 -n3.1/nodedown =2 ");
	bus_free(bus);
}

/* G3: who left before an interrupted change has left after it, too. */
static void who_left_in_an_interrupted_change_is_not_forgotten(void **state)
{
	(void)state;
	for (int told = 0; told < 3; told++) {
		struct app a[3], again = { 0 };
		struct bus *bus = apps_together(a, 3);

		bus_crash(bus, 2);
		bus_configure(bus, "12");
		for (int k = 0; k < told; k++)
			bus_tell_stage(bus, 2);
		bus_start(bus, 2);
		app_join(&again, bus, 2, "g");
		bus_configure(bus, "3");
		bus_run_from(bus, 2);
		bus_configure(bus, "123");
		bus_run(bus);
		app_saw(&a[0], "+n3.1 -n3.1/nodedown =3 ");
		app_saw(&a[1], "+n3.1 -n3.1/nodedown =3 ");
		bus_free(bus);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_see_joins_messages_and_leaves_in_one_order),
		cmocka_unit_test(two_groups_do_not_see_each_other),
		cmocka_unit_test(a_process_that_died_is_procdown),
		cmocka_unit_test(a_node_that_vanishes_is_nodedown),
		cmocka_unit_test(a_node_that_restarts_between_goes_and_comes_in_one_change),
		cmocka_unit_test(halves_part_and_merge_and_have_one_view),
		cmocka_unit_test(a_node_that_dies_before_the_end_leaves_no_ghost),
		cmocka_unit_test(what_one_node_activated_the_others_activate_too),
		cmocka_unit_test(who_left_in_an_interrupted_change_is_not_forgotten),
	};

	return cmocka_run_group_tests_name("group", tests, NULL, NULL);
}
