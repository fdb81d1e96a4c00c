/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The order on a played CPG: P1 to P4, and E1 to E5 of ring.h, one by one. */
#include "tests/unit/help.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "tests/unit/cpg_rig.h"

static struct cpg_rig rig;

static void form(int count)
{
	cpg_rig_init(&rig, count);
	cpg_rig_run(&rig, 100);
}

static const char *log_of(int slot)
{
	return rig.nodes[slot].log;
}

static void all_are_one(const char *slots)
{
	if (!cpg_rig_are_one(&rig, slots))
		fail_msg("%s are not one: %s | %s | %s", slots, log_of(0), log_of(1), log_of(2));
}

/* --- P1 --------------------------------------------------------------------------------- */

static void all_install_one_configuration_at_one_point(void **state)
{
	(void)state;
	form(3);
	all_are_one("abc");
	for (int i = 0; i < 3; i++)
		assert_int_equal(rig.nodes[i].unplugged, 1);
	cpg_rig_fini(&rig);
}

static void a_node_by_itself_installs_one(void **state)
{
	(void)state;
	form(1);
	all_are_one("a");
	cpg_rig_send(&rig, 0, 3);
	cpg_rig_forget(&rig);
	cpg_rig_run(&rig, 10);
	assert_string_equal(log_of(0), "0:1 0:2 0:3 ");
	cpg_rig_fini(&rig);
}

static void what_a_merge_tells_differently_comes_to_one(void **state)
{
	(void)state;
	form(5);
	cpg_rig_sides(&rig, "aabbb");
	cpg_rig_run(&rig, 100);
	all_are_one("ab");
	all_are_one("cde");
	cpg_rig_sides(&rig, "aaaaa");
	cpg_rig_run(&rig, 100);
	all_are_one("abcde");
	cpg_rig_fini(&rig);
}

static void who_was_away_for_a_moment_comes_from_elsewhere(void **state)
{
	(void)state;
	form(5);
	cpg_rig_forget(&rig);
	cpg_rig_sides(&rig, "aabbb");
	cpg_rig_sides(&rig, "aaaaa"); /* before anybody has read of it */
	cpg_rig_run(&rig, 100);
	all_are_one("abcde");
	assert_non_null(strstr(log_of(0), "=12-345 torn n"));
	assert_non_null(strstr(log_of(0), "=12345-345 "));
	assert_non_null(strstr(log_of(4), "=12345-12 "));
	cpg_rig_fini(&rig);
}

/* A slow reader's hello of before is of the same view, and must not count. */
static void a_view_that_comes_back_needs_new_hellos(void **state)
{
	(void)state;
	form(3);
	cpg_rig_forget(&rig);
	rig.nodes[1].is_stopped = true;
	cpg_rig_sides(&rig, "aab");
	cpg_rig_read(&rig);
	cpg_rig_sides(&rig, "aaa");
	cpg_rig_read(&rig);
	cpg_rig_sides(&rig, "aab");
	cpg_rig_read(&rig);
	cpg_rig_sides(&rig, "aaa");
	cpg_rig_read(&rig);
	rig.nodes[1].is_stopped = false;
	cpg_rig_run(&rig, 100);
	all_are_one("abc");
	cpg_rig_send(&rig, 1, 1);
	cpg_rig_run(&rig, 10);
	for (int i = 0; i < 3; i++)
		assert_non_null(strstr(log_of(i), "1:1"));
	cpg_rig_fini(&rig);
}

static void a_process_that_was_restarted_left_and_joined(void **state)
{
	(void)state;
	form(3);
	cpg_rig_forget(&rig);
	cpg_rig_kill(&rig, 2);
	cpg_rig_start(&rig, 2);
	cpg_rig_run(&rig, 100);
	all_are_one("abc");
	assert_non_null(strstr(log_of(0), "=123-3 "));
	assert_int_equal(cpg_order_incarnation_of(rig.nodes[0].order, 2),
			 rig.nodes[2].incarnation);
	cpg_rig_fini(&rig);
}

static void of_two_processes_of_a_node_the_later_stays(void **state)
{
	(void)state;
	form(3);
	rig.nodes[7].incarnation = 1000;
	rig.nodes[7].pid = 1000;
	cpg_rig_start_at(&rig, 7, 1);
	cpg_rig_run(&rig, 100);
	assert_non_null(rig.nodes[1].broken);
	assert_non_null(strstr(rig.nodes[1].broken, "later process"));
	all_are_one("ahc");
	cpg_rig_fini(&rig);
}

static void a_process_of_no_configured_node_is_nobody(void **state)
{
	(void)state;
	form(2);
	cpg_bus_join(rig.bus, 9, (struct cpg_process){ 77, 1 });
	cpg_rig_run(&rig, 100);
	all_are_one("ab");
	assert_true(cpg_order_stats(rig.nodes[0].order)->stranger > 0);
	cpg_rig_fini(&rig);
}

static void no_number_is_used_that_is_not_covered_on_disk(void **state)
{
	(void)state;
	form(2);
	/* another has come far, and ours saves nothing */
	cpg_rig_kill(&rig, 1);
	cpg_rig_run(&rig, 100);
	rig.nodes[0].saves_nothing = true;
	rig.nodes[1].saved = 5 * RING_SEQ_STRIDE;
	cpg_rig_start(&rig, 1);
	cpg_rig_run(&rig, 1000);
	assert_false(cpg_order_is_installed(rig.nodes[0].order));
	rig.nodes[0].saves_nothing = false;
	cpg_rig_run(&rig, 10000);
	all_are_one("ab");
	cpg_rig_fini(&rig);
}

/* --- the plug ------------------------------------------------------------------------------ */

static void nothing_flows_before_the_last_is_done(void **state)
{
	(void)state;
	cpg_rig_init(&rig, 3);
	rig.nodes[2].holds_plug = true;
	cpg_rig_send(&rig, 0, 1);
	cpg_rig_run(&rig, 200);
	all_are_one("abc");
	assert_null(strstr(log_of(0), "0:1"));
	assert_int_equal(rig.nodes[0].unplugged, 0);
	cpg_order_synchronised(rig.nodes[2].order, rig.now);
	cpg_rig_run(&rig, 10);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(rig.nodes[i].unplugged, 1);
		assert_non_null(strstr(log_of(i), "0:1"));
	}
	cpg_rig_fini(&rig);
}

static void again_makes_another_of_the_same(void **state)
{
	(void)state;
	form(3);
	cpg_rig_forget(&rig);
	cpg_order_again(rig.nodes[1].order, rig.now);
	cpg_rig_run(&rig, 10);
	all_are_one("abc");
	for (int i = 0; i < 3; i++) {
		assert_int_equal(rig.nodes[i].unplugged, 1);
		assert_int_equal(rig.nodes[i].torn, 0);
		assert_non_null(strstr(log_of(i), "=123 n"));
	}
	cpg_rig_fini(&rig);
}

/* --- P2, P3 --------------------------------------------------------------------------------- */

static void a_message_waits_for_the_acknowledgement_of_all(void **state)
{
	(void)state;
	form(3);
	cpg_rig_forget(&rig);
	rig.nodes[2].is_stopped = true;
	cpg_rig_send(&rig, 0, 2);
	cpg_rig_run(&rig, 100);
	assert_string_equal(log_of(0), "");
	assert_string_equal(log_of(1), "");
	rig.nodes[2].is_stopped = false;
	cpg_rig_run(&rig, 10);
	for (int i = 0; i < 3; i++)
		assert_string_equal(log_of(i), "0:1 0:2 ");
	cpg_rig_fini(&rig);
}

/*
 * The ring breaks: 2 has what it sent itself, behind a hole that nobody tells it of. It must
 * not take that for the order of all.
 */
static void what_comes_behind_a_hole_comes_after_torn(void **state)
{
	(void)state;
	form(3);
	for (int round = 0; round < 20; round++) {
		cpg_rig_forget(&rig);
		cpg_rig_send(&rig, 0, 1);
		cpg_rig_send(&rig, 2, 1); /* waiting: 0's, then 2's */
		cpg_rig_sides(&rig, "abb");
		cpg_rig_run(&rig, 100);
		all_are_one("bc");
		assert_true(strncmp(log_of(1), "t", 1) == 0);
		assert_non_null(strstr(log_of(1), "torn "));
		assert_string_equal(log_of(1), log_of(2));
		cpg_rig_sides(&rig, "aaa");
		cpg_rig_run(&rig, 100);
		all_are_one("abc");
	}
	cpg_rig_fini(&rig);
}

static void what_was_under_way_belongs_to_its_configuration(void **state)
{
	char last[32];

	(void)state;
	form(3);
	cpg_rig_forget(&rig);
	cpg_rig_send(&rig, 1, 50);
	cpg_rig_kill(&rig, 2); /* before 1 has read that */
	cpg_rig_run(&rig, 100);
	(void)snprintf(last, sizeof(last), "1:%d ", rig.nodes[1].sent);
	for (int i = 0; i < 2; i++) {
		const char *torn = strstr(log_of(i), "torn ");
		const char *regular = torn ? strstr(torn, " n1.") : NULL;

		assert_non_null(regular);
		assert_non_null(strstr(log_of(i), last));
		assert_string_equal(log_of(0), log_of(i));
	}
	assert_int_equal(rig.nodes[1].sent, 50);
	cpg_rig_fini(&rig);
}

static void who_only_joins_tears_nothing(void **state)
{
	(void)state;
	cpg_rig_init(&rig, 2);
	cpg_rig_run(&rig, 100);
	cpg_rig_forget(&rig);
	cpg_rig_send(&rig, 0, 5);
	cpg_rig_start(&rig, 2);
	cpg_rig_run(&rig, 100);
	assert_int_equal(rig.nodes[0].torn, 0);
	for (int i = 1; i <= 5; i++) {
		char line[16];

		(void)snprintf(line, sizeof(line), "0:%d ", i);
		assert_non_null(strstr(log_of(1), line));
		assert_null(strstr(log_of(2), line));
	}
	cpg_rig_fini(&rig);
}

/* --- being busy ------------------------------------------------------------------------------ */

static void while_corosync_is_busy_nothing_is_lost_and_little_waits(void **state)
{
	int filled;

	(void)state;
	form(2);
	cpg_rig_forget(&rig);
	cpg_bus_set_busy(rig.bus, 0, true);
	cpg_rig_send(&rig, 0, 1000);
	cpg_rig_run(&rig, 500);
	filled = rig.nodes[0].sent;
	assert_true(filled <= 1);
	cpg_bus_set_busy(rig.bus, 0, false);
	cpg_rig_run(&rig, 500);
	assert_non_null(strstr(log_of(0), "0:1000 "));
	assert_string_equal(log_of(0), log_of(1));
	cpg_rig_fini(&rig);
}

static void what_corosync_did_not_take_goes_before_the_next_hello(void **state)
{
	(void)state;
	form(3);
	cpg_rig_forget(&rig);
	cpg_bus_set_busy(rig.bus, 0, true);
	cpg_rig_send(&rig, 0, 3);
	cpg_rig_kill(&rig, 2);
	cpg_rig_read(&rig);
	cpg_bus_set_busy(rig.bus, 0, false);
	cpg_rig_run(&rig, 200);
	all_are_one("ab");
	assert_string_equal(log_of(0), log_of(1));
	assert_non_null(strstr(log_of(0), "torn 0:1 n"));
	assert_non_null(strstr(log_of(0), "0:2 0:3 "));
	cpg_rig_fini(&rig);
}

static void of_a_member_only_a_window_is_under_way(void **state)
{
	(void)state;
	form(2);
	rig.nodes[0].line_bytes = 32 << 10;
	rig.nodes[1].is_stopped = true; /* acknowledges nothing */
	cpg_rig_send(&rig, 0, 1000);
	cpg_rig_run(&rig, 100);
	assert_int_equal(rig.nodes[0].sent, 8); /* of 256 KiB */
	rig.nodes[1].is_stopped = false;
	cpg_rig_run(&rig, 1000);
	assert_int_equal(rig.nodes[0].sent, 1000);
	cpg_rig_fini(&rig);
}

/* --- P4 ---------------------------------------------------------------------------------------- */

static void who_stands_still_is_left_out_and_finds_that(void **state)
{
	(void)state;
	form(3);
	rig.nodes[2].is_stopped = true;
	cpg_rig_run(&rig, 3000);
	assert_true(rig.nodes[0].late > 0);
	assert_false(cpg_rig_are_one(&rig, "ab"));
	cpg_rig_run(&rig, 4000);
	all_are_one("ab");
	cpg_rig_send(&rig, 2, 3);
	cpg_rig_run(&rig, 10);
	assert_true(rig.nodes[0].evicted > 0);
	cpg_rig_forget(&rig);
	rig.nodes[2].is_stopped = false;
	cpg_rig_run(&rig, 100);
	assert_null(rig.nodes[2].broken);
	assert_int_equal(rig.nodes[2].rejoined, 1);
	all_are_one("abc");
	/* what it said is its own, and nobody else's */
	assert_non_null(strstr(log_of(2), "=3-12 torn 2:1 2:2 2:3 n3."));
	assert_null(strstr(log_of(0), "2:1"));
	assert_non_null(strstr(log_of(0), "=12 n1."));
	cpg_rig_fini(&rig);
}

static void who_comes_later_learns_who_is_left_out(void **state)
{
	(void)state;
	form(3);
	rig.nodes[2].is_stopped = true;
	cpg_rig_run(&rig, 7000);
	all_are_one("ab");
	cpg_rig_start(&rig, 3);
	cpg_rig_run(&rig, 100);
	all_are_one("abd");
	cpg_rig_fini(&rig);
}

static void who_stood_still_itself_judges_nobody(void **state)
{
	(void)state;
	form(3);
	rig.nodes[0].is_stopped = true;
	cpg_rig_run(&rig, 1000);
	rig.now += 3600 * NS_PER_S; /* all: a host that was asleep */
	for (int i = 0; i < 3; i++)
		cpg_order_advance(rig.nodes[i].order, rig.now);
	rig.nodes[0].is_stopped = false;
	cpg_rig_run(&rig, 1000);
	all_are_one("abc");
	for (int i = 0; i < 3; i++)
		assert_int_equal(rig.nodes[i].evicted, 0);
	cpg_rig_fini(&rig);
}

static void who_never_greets_is_left_out(void **state)
{
	(void)state;
	form(2);
	cpg_rig_start(&rig, 2);
	rig.nodes[2].is_stopped = true;
	cpg_rig_run(&rig, 3000);
	assert_false(cpg_rig_are_one(&rig, "ab"));
	cpg_rig_run(&rig, 4000);
	all_are_one("ab");
	cpg_rig_fini(&rig);
}

/* 0 is out, and has not read that; 3 has not seen it, and must not listen to 0. */
static void what_one_says_that_is_left_out_counts_for_nobody(void **state)
{
	(void)state;
	form(3);
	cpg_order_evict(rig.nodes[2].order, rig.now, 1);
	rig.nodes[0].is_stopped = true;
	cpg_rig_start(&rig, 3);
	cpg_order_evict(rig.nodes[0].order, rig.now, 2);
	cpg_rig_run(&rig, 100);
	assert_null(rig.nodes[1].broken);
	all_are_one("bcd");
	rig.nodes[0].is_stopped = false;
	cpg_rig_run(&rig, 100);
	assert_int_equal(rig.nodes[0].rejoined, 1);
	all_are_one("abcd");
	cpg_rig_fini(&rig);
}

static void a_node_that_others_ask_to_go_goes(void **state)
{
	(void)state;
	form(3);
	cpg_order_evict(rig.nodes[0].order, rig.now, 2);
	cpg_rig_run(&rig, 100);
	assert_int_equal(rig.nodes[1].rejoined, 1);
	assert_non_null(strstr(log_of(1), "=2-13 "));
	all_are_one("abc");
	cpg_rig_fini(&rig);
}

/* --- leases -------------------------------------------------------------------------------------- */

static void a_beat_counts_from_its_sending_once_all_have_it(void **state)
{
	uint64_t before, at;

	(void)state;
	form(3);
	cpg_rig_run(&rig, 1000);
	before = cpg_order_sure_at(rig.nodes[0].order);
	assert_true(before > 0 && before <= rig.now && rig.now - before <= 260 * NS_PER_MS);
	rig.nodes[2].is_stopped = true;
	at = rig.now;
	cpg_rig_run(&rig, 1000);
	assert_true(cpg_order_sure_at(rig.nodes[0].order) <= at);
	rig.nodes[2].is_stopped = false;
	cpg_rig_run(&rig, 300);
	assert_true(cpg_order_sure_at(rig.nodes[0].order) > at);
	cpg_rig_fini(&rig);
}

static void a_new_configuration_is_sure_of_nothing(void **state)
{
	(void)state;
	form(2);
	cpg_rig_run(&rig, 1000);
	cpg_bus_order(rig.bus, 0, SIZE_MAX);
	rig.nodes[1].is_stopped = true;
	cpg_rig_start(&rig, 2);
	cpg_rig_read(&rig);
	assert_false(cpg_order_is_installed(rig.nodes[0].order));
	rig.nodes[1].is_stopped = false;
	cpg_rig_run(&rig, 20);
	all_are_one("abc");
	assert_true(cpg_order_sure_at(rig.nodes[0].order) >= rig.now - 20 * NS_PER_MS);
	cpg_rig_fini(&rig);
}

/* --- bytes ----------------------------------------------------------------------------------------- */

/* --- P5 --------------------------------------------------------------------------------------- */

static void who_hears_nothing_of_itself_says_so_once(void **state)
{
	(void)state;
	form(3);
	rig.nodes[2].is_hung = true;
	cpg_rig_sides(&rig, "aab"); /* corosync's ring goes on without it */
	cpg_rig_run(&rig, 3000);
	assert_int_equal(rig.nodes[2].unheard, 0);
	cpg_rig_run(&rig, 20000);
	assert_int_equal(rig.nodes[2].unheard, 1);
	assert_true(cpg_order_is_unheard(rig.nodes[2].order));
	all_are_one("ab");
	rig.nodes[2].is_hung = false;
	cpg_rig_sides(&rig, "aaa");
	cpg_rig_run(&rig, 1000);
	all_are_one("abc");
	assert_int_equal(rig.nodes[2].heard_again, 1);
	assert_false(cpg_order_is_unheard(rig.nodes[2].order));
	for (int i = 0; i < 2; i++)
		assert_int_equal(rig.nodes[i].unheard, 0);
	cpg_rig_fini(&rig);
}

static void who_stood_still_itself_does_not_blame_corosync(void **state)
{
	(void)state;
	form(3);
	rig.nodes[1].is_stopped = true;
	cpg_rig_run(&rig, 3000);
	rig.now += 60 * NS_PER_S; /* all of them */
	rig.nodes[1].is_stopped = false;
	cpg_rig_run(&rig, 1000);
	all_are_one("abc");
	for (int i = 0; i < 3; i++)
		assert_int_equal(rig.nodes[i].unheard, 0);
	cpg_rig_fini(&rig);
}

static void bytes_that_make_no_sense_are_counted(void **state)
{
	static const uint8_t junk[] = { 0x43, 0x47, 1, 1, 0, 0 };

	(void)state;
	form(2);
	cpg_rig_forget(&rig);
	for (size_t n = 0; n <= sizeof(junk); n++)
		cpg_order_received(rig.nodes[0].order, rig.now,
				   (struct cpg_process){ 2, rig.nodes[1].pid }, junk, n);
	assert_int_equal(cpg_order_stats(rig.nodes[0].order)->malformed, sizeof(junk) + 1);
	all_are_one("ab");
	cpg_rig_fini(&rig);
}

/* The next one would be 0, and all that grows would begin anew. */
static void a_number_that_nobody_comes_to_is_refused(void **state)
{
	const struct cpg_packet p = { .kind = CPG_HELLO, .hello = { .high_seq = UINT64_MAX } };
	uint8_t bytes[CPG_SMALL_BYTES];

	(void)state;
	form(2);
	cpg_order_received(rig.nodes[0].order, rig.now,
			   (struct cpg_process){ 2, rig.nodes[1].pid }, bytes,
			   cpg_wire_write(&p, bytes));
	assert_int_equal(cpg_order_stats(rig.nodes[0].order)->malformed, 1);
	cpg_rig_kill(&rig, 1);
	cpg_rig_run(&rig, 100);
	all_are_one("a"); /* E5: the rig looks */
	cpg_rig_fini(&rig);
}

/* --- dice -------------------------------------------------------------------------------------------- */

static void shake(int steps)
{
	for (int i = 0; i < steps; i++) {
		int slot = (int)cpg_rig_random(&rig, 4);
		uint64_t what = cpg_rig_random(&rig, 1000);
		struct cpg_rig_node *n = &rig.nodes[slot];

		if (what < 600) {
			cpg_rig_read_one(&rig, slot);
		} else if (what < 780) {
			cpg_bus_order(rig.bus, slot, 1 + cpg_rig_random(&rig, 6));
		} else if (what < 880 && n->order && !n->broken) {
			cpg_rig_send(&rig, slot, 1);
		} else if (what < 960) {
			rig.now += cpg_rig_random(&rig, 30) * NS_PER_MS;
			if (n->order && !n->broken && cpg_order_deadline(n->order) <= rig.now)
				cpg_order_advance(n->order, rig.now);
		} else if (what < 972) {
			char sides[] = "aaaa";

			for (int k = 0; k < 4; k++)
				sides[k] = cpg_rig_random(&rig, 3) ? 'a' : 'b';
			cpg_rig_sides(&rig, sides);
		} else if (what < 978) {
			cpg_rig_kill(&rig, slot);
			cpg_rig_start(&rig, slot);
		} else if (what < 990) {
			cpg_bus_set_busy(rig.bus, slot, cpg_rig_random(&rig, 2));
		} else if (what < 994 && n->order && !n->broken) {
			cpg_order_again(n->order, rig.now);
		} else if (n->order && !n->broken && cpg_rig_random(&rig, 4) == 0) {
			cpg_order_evict(n->order, rig.now, (uint32_t)cpg_rig_random(&rig, 4) + 1);
		}
		if (n->broken) {
			cpg_rig_kill(&rig, slot);
			cpg_rig_start(&rig, slot);
		}
	}
}

/* One part of a log: from "tX=" (or the end) back to "nX=". */
static const char *part_of(const char *log, const char *head, size_t *length)
{
	const char *at = strstr(log, head), *end;

	if (!at)
		return NULL;
	at += strlen(head);
	at += strcspn(at, " ");
	end = strstr(at, " t");
	*length = end ? (size_t)(end - at) : strlen(at);
	return at;
}

/* E1: in a regular configuration one of two logs is the beginning of the other. */
static void compare_parts(const char *a, const char *b, uint64_t seed)
{
	for (const char *at = a; (at = strchr(at, 'n')) != NULL; at++) {
		char head[40];
		size_t n = strcspn(at, "="), one, two;
		const char *first, *second;

		if (at != a && at[-1] != ' ')
			continue;
		(void)snprintf(head, sizeof(head), "%.*s=", (int)n, at);
		first = part_of(at, head, &one);
		second = part_of(b, head, &two);
		if (!first || !second)
			continue;
		if (memcmp(first, second, one < two ? one : two) != 0)
			fail_msg("seed %llu: %s differs:\n%s\n%s", (unsigned long long)seed, head, a,
				 b);
	}
}

/* What a log has of the configuration that ends at `at`, to the regular one behind it. */
static const char *whole_of(const char *log, const char *at, size_t *length)
{
	const char *end = strstr(at + 1, " n"), *begin;
	char head[40];

	(void)snprintf(head, sizeof(head), "n%.*s=", (int)strcspn(at + 2, "="), at + 2);
	begin = strstr(log, head);
	if (begin)
		begin += strcspn(begin, " "); /* who left is against what was before */
	*length = begin && end ? (size_t)(end - begin) : 0;
	return begin;
}

static bool has_member(const char *at, int index)
{
	const char *set = strchr(at, '=') + 1;

	return memchr(set, '1' + index, strcspn(set, "- ")) != NULL;
}

/* E3: who goes along with whom knows that of the other, and both saw the same. */
static void compare_ends(int self, int other, uint64_t seed)
{
	const char *a = log_of(self), *b = log_of(other), *at = a;

	while ((at = strstr(at + 1, " t")) != NULL) {
		char end[40];
		const char *there, *first, *second;
		size_t one, two;

		(void)snprintf(end, sizeof(end), "%.*s=", (int)strcspn(at, "="), at);
		there = strncmp(at, " torn", 5) == 0 ? NULL : strstr(b, end);
		if (!there || !has_member(at, other))
			continue;
		first = whole_of(a, at, &one);
		second = whole_of(b, there, &two);
		if (!has_member(there, self) ||
		    (first && second && (one != two || memcmp(first, second, one) != 0)))
			fail_msg("seed %llu: %s is not the same:\n%s\n%s",
				 (unsigned long long)seed, end, a, b);
	}
}

/* E2, E1: all that it sent, each once, in order. */
static void compare_own(const struct cpg_rig_node *n, uint64_t seed)
{
	int seen = 0, line;
	char mine[16];

	(void)snprintf(mine, sizeof(mine), " %d:", n->slot);
	for (const char *at = n->log; (at = strstr(at, mine)) != NULL; at++) {
		line = atoi(at + strlen(mine));
		if (line != ++seen)
			fail_msg("seed %llu: of its own %d follows %d:\n%s",
				 (unsigned long long)seed, line, seen - 1, n->log);
	}
	if (seen != n->to_send)
		fail_msg("seed %llu: it sent %d and saw %d", (unsigned long long)seed,
			 n->to_send, seen);
}

static void orders_agree_whatever_happens(void **state)
{
	const char *many = getenv("CPG_SEEDS"), *one = getenv("CPG_SEED");
	uint64_t first = one ? strtoull(one, NULL, 10) : 1;
	uint64_t last = one ? first : many ? strtoull(many, NULL, 10) : 200;

	(void)state;
	for (uint64_t seed = first; seed <= last; seed++) {
		cpg_rig_init(&rig, 4);
		rig.seed = seed * 7919;
		shake(4000);
		for (int i = 0; i < 4; i++) {
			cpg_bus_set_busy(rig.bus, i, false);
			for (int k = 0; k < i; k++) {
				compare_parts(log_of(i), log_of(k), seed);
				compare_ends(i, k, seed);
			}
		}
		cpg_rig_sides(&rig, "aaaa");
		for (int round = 0; round < 20 && !cpg_rig_are_one(&rig, "abcd"); round++) {
			cpg_rig_run(&rig, 1000);
			for (int i = 0; i < 4; i++) {
				if (!rig.nodes[i].broken)
					continue;
				cpg_rig_kill(&rig, i);
				cpg_rig_start(&rig, i);
			}
		}
		if (!cpg_rig_are_one(&rig, "abcd")) /* E6 */
			fail_msg("seed %llu: they do not become one", (unsigned long long)seed);
		cpg_rig_run(&rig, 500);
		for (int i = 0; i < 4; i++)
			compare_own(&rig.nodes[i], seed);
		cpg_rig_forget(&rig);
		for (int i = 0; i < 4; i++)
			cpg_rig_send(&rig, i, 2);
		cpg_rig_run(&rig, 100);
		for (int i = 1; i < 4; i++)
			assert_string_equal(log_of(0), log_of(i));
		cpg_rig_fini(&rig);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_install_one_configuration_at_one_point),
		cmocka_unit_test(a_node_by_itself_installs_one),
		cmocka_unit_test(what_a_merge_tells_differently_comes_to_one),
		cmocka_unit_test(who_was_away_for_a_moment_comes_from_elsewhere),
		cmocka_unit_test(a_view_that_comes_back_needs_new_hellos),
		cmocka_unit_test(a_process_that_was_restarted_left_and_joined),
		cmocka_unit_test(of_two_processes_of_a_node_the_later_stays),
		cmocka_unit_test(a_process_of_no_configured_node_is_nobody),
		cmocka_unit_test(no_number_is_used_that_is_not_covered_on_disk),
		cmocka_unit_test(nothing_flows_before_the_last_is_done),
		cmocka_unit_test(again_makes_another_of_the_same),
		cmocka_unit_test(a_message_waits_for_the_acknowledgement_of_all),
		cmocka_unit_test(what_comes_behind_a_hole_comes_after_torn),
		cmocka_unit_test(what_was_under_way_belongs_to_its_configuration),
		cmocka_unit_test(who_only_joins_tears_nothing),
		cmocka_unit_test(while_corosync_is_busy_nothing_is_lost_and_little_waits),
		cmocka_unit_test(what_corosync_did_not_take_goes_before_the_next_hello),
		cmocka_unit_test(of_a_member_only_a_window_is_under_way),
		cmocka_unit_test(who_stands_still_is_left_out_and_finds_that),
		cmocka_unit_test(who_comes_later_learns_who_is_left_out),
		cmocka_unit_test(who_stood_still_itself_judges_nobody),
		cmocka_unit_test(who_never_greets_is_left_out),
		cmocka_unit_test(what_one_says_that_is_left_out_counts_for_nobody),
		cmocka_unit_test(a_node_that_others_ask_to_go_goes),
		cmocka_unit_test(a_beat_counts_from_its_sending_once_all_have_it),
		cmocka_unit_test(a_new_configuration_is_sure_of_nothing),
		cmocka_unit_test(who_hears_nothing_of_itself_says_so_once),
		cmocka_unit_test(who_stood_still_itself_does_not_blame_corosync),
		cmocka_unit_test(bytes_that_make_no_sense_are_counted),
		cmocka_unit_test(a_number_that_nobody_comes_to_is_refused),
		cmocka_unit_test(orders_agree_whatever_happens),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
