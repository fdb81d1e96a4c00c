/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the doctor says of clusters that are made up; how ages, bars and events are
 * written.
 */
#include "tests/unit/help.h"

#include <stdlib.h>
#include <string.h>

#include "tests/unit/status_scene.h"
#include "tools/doctor.h"
#include "tools/event_words.h"
#include "tools/terminal.h"

#define SECOND 1000000000ull

static struct doctor_finding findings[DOCTOR_MAX_FINDINGS];
static size_t found;

static void examine(struct status *s)
{
	found = doctor_examine(s, findings);
	assert_true(found <= DOCTOR_MAX_FINDINGS);
	for (size_t i = 0; i < found; i++) {
		assert_string_not_equal(findings[i].what, "");
		if (i > 0)
			assert_true(findings[i].health <= findings[i - 1].health);
	}
	status_fini(s);
}

/* There is a finding that says these words, with that command. */
static const struct doctor_finding *says(const char *words, const char *command)
{
	for (size_t i = 0; i < found; i++)
		if (strstr(findings[i].what, words)) {
			assert_string_equal(findings[i].command, command);
			return &findings[i];
		}
	fail_msg("nothing says '%s' (%zu findings, the first: %s)", words, found,
		 found ? findings[0].what : "");
	return NULL;
}

static void nothing_is_said_of_what_is_well(void **state)
{
	struct status s = status_scene();

	(void)state;
	strcpy(s.arrays[0].activity, "check");
	examine(&s);
	assert_int_equal(found, 0);
}

static void without_a_quorum_that_is_said_first(void **state)
{
	struct status s = status_scene();

	(void)state;
	s.is_quorate = false;
	s.votes = 1;
	s.nodes[1].is_member = s.nodes[2].is_member = false;
	s.arrays[0].is_gate_open = false;
	strcpy(s.arrays[0].waits, "waits: a quorum");
	s.arrays[0].waits_since_ns = 40 * SECOND;
	s.arrays[0].parked = 3;
	s.arrays[0].parked_since_ns = 40 * SECOND;
	examine(&s);
	assert_string_equal(findings[0].command, "mdcluster quorum");
	says("has 1 of 3 votes and needs 2. It does no I/O, since another part may. "
	     "Not here: node2, node3", "mdcluster quorum");
	says("node2 has been away for 2 h.", "ssh node2 systemctl start mdclusterd");
	assert_int_equal(found, 3); /* what follows from it is not said again */
}

static void a_node_that_may_live_is_to_be_confirmed_only_by_who_knows(void **state)
{
	struct status s = status_scene();
	const struct doctor_finding *f;

	(void)state;
	s.nodes[2].is_member = false;
	s.nodes[2].since_ns = 12 * SECOND;
	strcpy(s.nodes[2].waits, "proof of death, 12 s: fence agent ipmi, attempt 2; "
				 "`mdcluster confirm-dead node3` if you are certain");
	strcpy(s.arrays[0].waits, "waits: proof of death of node3");
	s.arrays[0].waits_since_ns = 12 * SECOND;
	examine(&s);
	f = says("node3 has not been heard of for 12 s, and may still be writing",
		 "mdcluster confirm-dead node3");
	assert_non_null(strstr(f->what, "fence agent ipmi, attempt 2)."));
	assert_non_null(strstr(f->next, "Never say it of a node that may write."));
	assert_int_equal(found, 1);
}

static void a_node_that_is_dead_is_not_to_be_confirmed(void **state)
{
	struct status s = status_scene();

	(void)state;
	s.nodes[2].is_member = false;
	s.nodes[2].is_dead = true;
	strcpy(s.nodes[2].waits, "proof of death"); /* what it still says is of no use */
	examine(&s);
	says("node3 is dead, which is proven", "ssh node3 systemctl start mdclusterd");
	assert_int_equal(found, 1);
}

static void a_disk_that_failed_is_named(void **state)
{
	struct status s = status_scene();

	(void)state;
	s.arrays[0].disks_in_sync = 1;
	strcpy(s.arrays[0].disks[1].state, "faulty");
	s.arrays[0].disks[1].errors = 14;
	s.arrays[0].needed_bytes = 4096; /* there is nothing to copy to */
	examine(&s);
	assert_non_null(strstr(says("web runs on 1 of 2 disks: disk 1 (/dev/sdb) is faulty, after "
				    "14 errors.", "smartctl -a /dev/sdb")->next, "The next disk"));
	assert_int_equal(found, 1);
	s = status_scene();
	s.arrays[0].raid_disks = 3;
	strcpy(s.arrays[0].disks[1].state, "missing");
	s.arrays[0].disks[1].path[0] = '\0';
	examine(&s);
	says("web runs on 2 of 3 disks: disk 1 is missing.", "mdcluster re-add web missing");
	/* as md has it: the place is empty, and the disk has none */
	s = status_scene();
	s.arrays[0].disks_in_sync = 1;
	s.arrays[0].disk_count = 3;
	s.arrays[0].disks[2] = s.arrays[0].disks[1];
	s.arrays[0].disks[2].role = 2;
	strcpy(s.arrays[0].disks[2].state, "faulty");
	strcpy(s.arrays[0].disks[1].state, "missing");
	s.arrays[0].disks[1].path[0] = '\0';
	examine(&s);
	says("web runs on 1 of 2 disks: /dev/sdb is faulty.", "smartctl -a /dev/sdb");
	assert_int_equal(found, 1);
}

static void a_recovery_is_told_whoever_does_it(void **state)
{
	struct status s = status_scene();

	(void)state;
	s.arrays[0].disks_in_sync = 1;
	s.arrays[0].member_sectors = 4000;
	strcpy(s.arrays[0].disks[1].state, "rebuild");
	s.arrays[0].disks[1].recovered_sectors = 1000;
	examine(&s);
	says("web: /dev/sdb is recovered up to 25.0 %.", "");
	assert_int_equal(found, 1);
	s = status_scene();
	strcpy(s.arrays[0].disks[1].state, "rebuild");
	s.arrays[0].disks[1].is_by_bitmap = true;
	examine(&s);
	says("web: /dev/sdb gets what it missed.", "");
	/* by this node: once */
	s = status_scene();
	strcpy(s.arrays[0].disks[1].state, "rebuild");
	strcpy(s.arrays[0].activity, "recovery");
	s.arrays[0].total_sectors = 4000;
	s.arrays[0].done_sectors = 3000;
	examine(&s);
	says("web: recovery is 75.0 % done", "");
	assert_int_equal(found, 1);
}

static void a_resync_is_told_how_long_it_takes(void **state)
{
	struct status s = status_scene();

	(void)state;
	strcpy(s.arrays[0].activity, "resync");
	s.arrays[0].done_sectors = 1;
	s.arrays[0].total_sectors = 4;
	s.arrays[0].eta_ns = 75 * SECOND;
	examine(&s);
	says("web: resync is 25.0 % done, and ends in about 1 min 15 s", "");
	s = status_scene();
	s.arrays[0].needed_bytes = 1 << 20;
	examine(&s);
	says("web: 1.00 MiB must be resynced here, and that does not go on", "");
}

static void states_on_the_way_are_told_when_they_last(void **state)
{
	struct status s = status_scene();

	(void)state;
	strcpy(s.arrays[0].state, "joining");
	s.arrays[0].is_gate_open = false;
	s.arrays[0].state_since_ns = 9 * SECOND;
	examine(&s);
	assert_int_equal(found, 0);
	s = status_scene();
	strcpy(s.arrays[0].state, "joining");
	strcpy(s.arrays[0].waits, "the lockspace");
	s.arrays[0].state_since_ns = 61 * SECOND;
	s.arrays[0].waits_since_ns = 60 * SECOND;
	examine(&s);
	says("web has been joining for 1 min 1 s; it waits: the lockspace, 1 min.",
	     "mdcluster locks --waiting");
	assert_int_equal(found, 1);
	s = status_scene();
	strcpy(s.arrays[0].state, "failed");
	strcpy(s.arrays[0].waits, "no disks are there");
	examine(&s);
	says("web could not be started: no disks are there.", "mdcluster assemble web");
	s = status_scene();
	strcpy(s.arrays[0].state, "down");
	examine(&s);
	says("web is not in use on this node", "mdcluster assemble web");
}

static void what_stands_still_is_told(void **state)
{
	struct status s = status_scene();

	(void)state;
	s.arrays[0].is_gate_open = false;
	examine(&s);
	says("its gate is shut although there is a quorum", "mdcluster ring");
	s = status_scene();
	strcpy(s.arrays[0].waits, "waits: token, which node2 holds");
	s.arrays[0].waits_since_ns = 11 * SECOND;
	s.arrays[0].parked = 2;
	s.arrays[0].parked_since_ns = 11 * SECOND;
	s.arrays[0].mismatch_sectors = 8;
	examine(&s);
	says("web waits: token, which node2 holds, 11 s.", "mdcluster locks --waiting");
	says("web: 2 requests of programs have been waiting for 11 s", "mdcluster status web");
	says("a check found 8 sectors that differ", "mdcluster repair web");
	s = status_scene();
	strcpy(s.ring_state, "gather");
	examine(&s);
	says("The ring is forming (gather)", "mdcluster ring");
}

static void more_trouble_than_fits_is_no_trouble(void **state)
{
	struct status s = status_scene();

	(void)state;
	s.node_count = STATUS_MAX_NODES;
	for (uint32_t i = 0; i < s.node_count; i++)
		s.nodes[i].is_member = false;
	s.is_quorate = false;
	examine(&s);
	assert_int_equal(found, DOCTOR_MAX_FINDINGS - 1);
	assert_string_equal(findings[0].command, "mdcluster quorum");
}

/* --- the terminal ----------------------------------------------------------------------- */

static const char *age(uint64_t ns)
{
	static char text[TERMINAL_AGE_BYTES];

	return terminal_age(ns, text);
}

static void ages_have_two_units(void **state)
{
	(void)state;
	assert_string_equal(age(0), "0 s");
	assert_string_equal(age(SECOND - 1), "0 s");
	assert_string_equal(age(59 * SECOND), "59 s");
	assert_string_equal(age(60 * SECOND), "1 min");
	assert_string_equal(age(3599 * SECOND), "59 min 59 s");
	assert_string_equal(age(3600 * SECOND), "1 h");
	assert_string_equal(age(86400 * SECOND), "1 d");
	assert_string_equal(age((86400 + 3600 + 60) * SECOND), "1 d 1 h");
	assert_string_equal(age(UINT64_MAX), "213503 d 23 h");
}

static void a_bar_is_full_at_the_end_and_not_before(void **state)
{
	char bar[TERMINAL_BAR_BYTES];

	(void)state;
	assert_string_equal(terminal_bar(0, 100, bar), "[>....................]");
	assert_string_equal(terminal_bar(50, 100, bar), "[==========>..........]");
	assert_string_equal(terminal_bar(100, 100, bar), "[====================>]");
	assert_string_equal(terminal_bar(200, 100, bar), "[====================>]");
	assert_int_equal(terminal_per_mille(0, 0), 1000);
	assert_int_equal(terminal_per_mille(0, 1), 0);
	assert_int_equal(terminal_per_mille(999999, 1000000), 999);
	assert_int_equal(terminal_per_mille(UINT64_MAX - 1, UINT64_MAX), 999);
	assert_int_equal(terminal_per_mille(UINT64_MAX / 2, UINT64_MAX), 500);
	assert_int_equal(terminal_per_mille(UINT64_MAX, UINT64_MAX), 1000);
}

/* What a terminal of that width shows of a sentence behind a word. */
static char *shown(unsigned int width, bool has_colours)
{
	static char text[256];
	FILE *to = fmemopen(text, sizeof(text), "w");
	struct terminal t = { .to = to, .width = width, .has_colours = has_colours };

	terminal_begin(&t, 2);
	terminal_word(&t, TERMINAL_RED, "a %s", "word");
	terminal_sentence(&t, TERMINAL_GREEN, "and \xc3\xa4  sentence");
	terminal_sentence(&t, TERMINAL_GREEN, "");
	terminal_end(&t);
	fclose(to);
	return text;
}

static void lines_are_broken_at_blanks(void **state)
{
	(void)state;
	assert_string_equal(shown(0, false), "  a word  and \xc3\xa4 sentence\n");
	assert_string_equal(shown(24, false), "  a word  and \xc3\xa4 sentence\n");
	assert_string_equal(shown(23, false), "  a word  and \xc3\xa4\n    sentence\n");
	assert_string_equal(shown(1, false), "  a word\n    and\n    \xc3\xa4\n    sentence\n");
	assert_string_equal(shown(15, true), "  \033[31ma word\033[0m  \033[32mand \xc3\xa4\n"
					      "    sentence\033[0m\n");
}

/* --- events ----------------------------------------------------------------------------- */

static const char *mdadm_name(const char *kind, const char *text)
{
	static char to[sizeof(((struct status_event *)0)->kind)];
	struct status_event e = { .array = "web" };

	snprintf(e.kind, sizeof(e.kind), "%s", kind);
	snprintf(e.text, sizeof(e.text), "%s", text);
	return event_mdadm_name(&e, to);
}

static void events_have_mdadms_names_where_there_are_such(void **state)
{
	(void)state;
	assert_string_equal(mdadm_name("disk_failed", "a disk failed: role 1"), "Fail");
	assert_string_equal(mdadm_name("disk-failed", ""), "Fail");
	assert_string_equal(mdadm_name("degraded", "is degraded: role 1"), "DegradedArray");
	assert_string_equal(mdadm_name("resync_started", ""), "RebuildStarted");
	assert_string_equal(mdadm_name("check_finished", ""), "RebuildFinished");
	assert_string_equal(mdadm_name("recovery_started", ""), "RebuildStarted");
	assert_string_equal(mdadm_name("recovery_finished", "recovery is over: role 1, in sync"),
			    "SpareActive");
	assert_string_equal(mdadm_name("recovery_finished", "recovery is over: role 1, it failed"),
			    "RebuildFinished");
	assert_string_equal(mdadm_name("state", "is active"), "NewArray");
	assert_string_equal(mdadm_name("state", "is down"), "DeviceDisappeared");
	assert_string_equal(mdadm_name("state", "is gathering"), "state");
	assert_string_equal(mdadm_name("member_dead", ""), "member-dead");
}

static void an_event_is_a_line(void **state)
{
	struct status_event e = { .time_us = 1763720001500000, .kind = "disk_failed",
				  .array = "web", .text = "a disk failed: role 1" };
	char line[EVENT_LINE_BYTES];

	(void)state;
	setenv("TZ", "UTC0", 1);
	assert_string_equal(event_line(&e, line), "2025-11-21 10:13:21  disk-failed       "
			    "web: a disk failed: role 1");
	strcpy(e.kind, "node_joined");
	e.array[0] = '\0';
	strcpy(e.text, "node node2 is on the ring");
	assert_string_equal(event_line(&e, line), "2025-11-21 10:13:21  node-joined       "
			    "node node2 is on the ring");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_is_said_of_what_is_well),
		cmocka_unit_test(without_a_quorum_that_is_said_first),
		cmocka_unit_test(a_node_that_may_live_is_to_be_confirmed_only_by_who_knows),
		cmocka_unit_test(a_node_that_is_dead_is_not_to_be_confirmed),
		cmocka_unit_test(a_disk_that_failed_is_named),
		cmocka_unit_test(a_recovery_is_told_whoever_does_it),
		cmocka_unit_test(a_resync_is_told_how_long_it_takes),
		cmocka_unit_test(states_on_the_way_are_told_when_they_last),
		cmocka_unit_test(what_stands_still_is_told),
		cmocka_unit_test(more_trouble_than_fits_is_no_trouble),
		cmocka_unit_test(ages_have_two_units),
		cmocka_unit_test(a_bar_is_full_at_the_end_and_not_before),
		cmocka_unit_test(lines_are_broken_at_blanks),
		cmocka_unit_test(events_have_mdadms_names_where_there_are_such),
		cmocka_unit_test(an_event_is_a_line),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
