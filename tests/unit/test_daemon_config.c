/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* mdclusterd.conf: what it means, and that each mistake is told with its line, all at once. */
#include "tests/unit/help.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "mdclusterd/daemon/config.h"
#include "mdclusterd/daemon/config_text.h"
#include "totem/corosync.h"

struct told {
	char text[8192];
	int count;
};

static void tell(void *owner, int line, const char *sentence)
{
	struct told *t = owner;
	size_t at = strlen(t->text);

	snprintf(t->text + at, sizeof(t->text) - at, "%d: %s\n", line, sentence);
	t->count++;
}

#define GOOD_CLUSTER "cluster { name = alpha }\n"
#define GOOD_NODES                              \
	"node host1 { id = 1 address = 10.0.0.1 }\n" \
	"node host2 { id = 2 address = 10.0.0.2 }\n"

static int refusal; /* of corosync */
static struct err said; /* of the last text */

static int ask(struct corosync_map *map, struct err *err)
{
	if (refusal)
		return err_set(err, refusal, "corosync does not run on this host");
	*map = (struct corosync_map){ .cluster = "beta", .nodes = { { 3, 9 }, 2 },
				      .names = { "storm", "calm" }, .votes = { 1, 3 },
				      .self = 9,
				      .token_ms = 800 };
	return 0;
}

static struct config *good(const char *text)
{
	struct told told = { 0 };
	struct config *c = config_parse(text, "host1", ask, tell, &told, &said);

	if (!c)
		fail_msg("refused: %s", told.text);
	return c;
}

/* Of what follows a sound beginning of 3 lines: what is told. */
static void expect_mistakes(const char *text, const char *mistakes)
{
	struct told told = { 0 };
	char whole[8192];
	struct config *c;

	snprintf(whole, sizeof(whole), GOOD_CLUSTER GOOD_NODES "%s", text);
	c = config_parse(whole, "host1", ask, tell, &told, &said);
	assert_null(c);
	assert_string_equal(told.text, mistakes);
}

static void what_is_not_said_has_its_default(void **state)
{
	struct config *c = good(GOOD_CLUSTER GOOD_NODES);

	(void)state;
	assert_string_equal(c->cluster, "alpha");
	assert_int_equal(c->node_count, 2);
	assert_int_equal(c->self, 0);
	assert_int_equal(c->nodes[1].votes, 1);
	assert_int_equal(ntohs(c->nodes[1].address.in4.sin_port), 7405);
	assert_int_equal(c->token_ms, 1000);
	assert_int_equal(c->lease_ms, 1000);
	assert_int_equal(c->multicast.any.sa_family, AF_UNSPEC);
	assert_string_equal(c->key_file, "/etc/mdcluster/key");
	assert_string_equal(c->run_dir, "/run/mdcluster");
	assert_string_equal(c->state_dir, "/var/lib/mdcluster");
	assert_int_equal(c->fence.methods, CONFIG_FENCE_OBITUARY);
	assert_int_equal(c->log_level, -1);
	config_free(c);
}

static void options_of_quorum_are_corosyncs(void **state)
{
	struct config *c = good(
		GOOD_CLUSTER GOOD_NODES
		"node host3 { id = 3 address = 10.0.0.3 votes = 2 }\n"
		"quorum { expected_votes = 5 wait_for_all = yes last_man_standing = 1\n"
		"	last_man_standing_window = 20000 auto_tie_breaker = yes\n"
		"	auto_tie_breaker_node = \"3 host1\" allow_downscale = yes }\n");

	(void)state;
	assert_int_equal(c->quorum.expected, 5);
	assert_int_equal(c->quorum.votes[2], 2);
	assert_int_equal(c->quorum.nodes.count, 3);
	assert_true(c->quorum.waits_for_all);
	assert_true(c->quorum.is_last_man_standing);
	assert_int_equal(c->quorum.last_man_standing_window_ns, 20000000000);
	assert_int_equal(c->quorum.tie, QUORUM_TIE_LIST);
	assert_int_equal(c->quorum.tie_count, 2);
	assert_int_equal(c->quorum.tie_nodes[0], 3);
	assert_int_equal(c->quorum.tie_nodes[1], 1);
	assert_true(c->quorum.allows_downscale);
	config_free(c);

	c = good(GOOD_CLUSTER GOOD_NODES "quorum { two_node = yes }\n");
	assert_true(c->quorum.is_two_node && c->quorum.waits_for_all);
	config_free(c);

	c = good(GOOD_CLUSTER GOOD_NODES "quorum { tie_breaker = /dev/disk/by-id/x\n"
					 "	tie_breaker_votes = 2 }\n");
	assert_string_equal(c->tie_breaker, "/dev/disk/by-id/x");
	assert_int_equal(c->quorum.device_votes, 2);
	assert_int_equal(c->tie_breaker_io_timeout_ms, 1000);
	config_free(c);
}

static void options_of_quorum_that_do_not_go_together_are_told(void **state)
{
	(void)state;
	expect_mistakes("quorum { expected_votes = 1\n"
			"auto_tie_breaker_node = highest\n"
			"last_man_standing_window = 5\n"
			"tie_breaker_votes = 1 }\n",
			"4: quorum: expected_votes: 1 is less than the 2 votes that there are: two parts could both be quorate\n"
			"5: quorum: auto_tie_breaker_node: is nothing without auto_tie_breaker = yes\n"
			"6: quorum: last_man_standing_window: 5 is outside 100..3600000\n"
			"6: quorum: last_man_standing_window: is nothing without last_man_standing = yes\n"
			"7: quorum: tie_breaker_votes: is nothing without tie_breaker\n");
	expect_mistakes("quorum { two_node = yes\n"
			"wait_for_all = no\n"
			"auto_tie_breaker = yes\n"
			"auto_tie_breaker_node = host9\n"
			"tie_breaker = disk\n"
			"last_man_standing = maybe }\n",
			"4: quorum: two_node: not together with auto_tie_breaker: one node is enough already\n"
			"4: quorum: two_node: not together with tie_breaker: that settles it better\n"
			"5: quorum: wait_for_all: two_node needs it: each node would start alone, and write\n"
			"6: quorum: auto_tie_breaker: not together with tie_breaker: two would break one tie\n"
			"7: quorum: auto_tie_breaker_node: 'host9' is neither lowest nor highest, nor a node\n"
			"8: quorum: tie_breaker: 'disk' is no path from the root\n"
			"9: quorum: last_man_standing: 'maybe' is neither yes nor no\n");
	expect_mistakes("node host3 { id = 3 address = 10.0.0.3 votes = 0 }\n"
			"quorum { two_node = yes }\n",
			"5: quorum: two_node: is for two nodes with one vote each\n");
}

static void every_option_is_taken(void **state)
{
	struct config *c = good(
		"this_node = b run_dir = /r state_dir = \"/s t\" lock_memory = yes\n"
		"cluster { name = \"my cluster\" crypto = none incremental = all auto_re_add = yes }\n"
		"node b { id = 9 address = \"[::1]:7\" votes = 3 }\n"
		"node a { id = 4 address = ::1 port = 8 votes = 0 }\n"
		"totem { token_ms = 300 mtu = 9000 port = 1 sync_deadline_ms = 5000\n"
		"	multicast = \"[ff02::5]:99\" multicast_ttl = 2 }\n"
		"quorum { lease_ms = 200 }\n"
		"array x { disks = { /dev/a, \"/dev/b c\" } start_degraded = yes no_quorum = fail\n"
		"	degraded_after_ms = 500\n"
		"	resync_min = 2M resync_max = 1G intent_budget = 64M export = no max_read_errors = 0\n"
		"	export_mode = 0660 export_group = kvm auto = off auto_re_add = no }\n"
		"array y { uuid = 5c0b0c4b:d6ae0359:f266cacf:72232250 scan = { \"/dev/sd*\" } }\n"
		"fence { methods = { command, obituary } command = /f timeout_ms = 100\n"
		"	retries = 0 delay_ms = 0 }\n"
		"log { target = syslog level = debug } control { group = wheel }\n");

	(void)state;
	assert_string_equal(c->state_dir, "/s t");
	assert_true(c->locks_memory);
	assert_null(c->key_file);
	assert_int_equal(c->nodes[0].id, 4); /* by id, whatever their order */
	assert_int_equal(c->self, 1);
	assert_int_equal(ntohs(c->nodes[0].address.in6.sin6_port), 8);
	assert_int_equal(ntohs(c->nodes[1].address.in6.sin6_port), 7);
	assert_int_equal(c->nodes[1].votes, 3);
	assert_int_equal(c->mtu_bytes, 9000);
	assert_int_equal(ntohs(c->multicast.in6.sin6_port), 99);
	assert_int_equal(c->multicast_ttl, 2);
	assert_int_equal(c->lease_ms, 200);
	assert_int_equal(c->array_count, 2);
	assert_string_equal(c->arrays[0].disks[1], "/dev/b c");
	assert_true(c->takes_all);
	assert_true(c->arrays[0].may_start_degraded);
	assert_int_equal(c->arrays[0].degraded_after_ms, 500);
	assert_int_equal(c->arrays[1].degraded_after_ms, 30000);
	assert_true(c->arrays[0].fails_without_quorum);
	assert_int_equal(c->arrays[0].resync_min_bytes, 2 << 20);
	assert_int_equal(c->arrays[0].resync_max_bytes, 1 << 30);
	assert_int_equal(c->arrays[0].intent_budget_bytes, 64 << 20);
	assert_int_equal(c->arrays[0].max_read_errors, 0);
	assert_int_equal(c->arrays[1].max_read_errors, 20);
	assert_false(c->arrays[0].is_exported);
	assert_false(c->arrays[0].is_auto);
	assert_int_equal(c->arrays[0].export_mode, 0660);
	assert_string_equal(c->arrays[0].export_group, "kvm");
	assert_true(c->arrays[1].has_uuid);
	assert_string_equal(c->arrays[1].disks[0], "/dev/sd*");
	assert_true(c->arrays[1].is_auto);
	assert_true(c->re_adds);
	assert_false(c->arrays[0].re_adds);
	assert_true(c->arrays[1].re_adds);
	assert_int_equal(c->fence.methods, CONFIG_FENCE_OBITUARY | CONFIG_FENCE_COMMAND);
	assert_int_equal(c->fence.plan.devices[0].retries, 0);
	assert_int_equal(c->fence.plan.delay_ms, 0);
	assert_int_equal(c->log_level, LOG_DEBUG);
	assert_string_equal(c->control_group, "wheel");
	config_free(c);
}

static void all_mistakes_are_told_at_once_with_their_lines(void **state)
{
	(void)state;
	expect_mistakes("totem {\n"
			"	token_ms = 1\n"
			"	tokn_ms = 5\n"
			"	mtu = big\n"
			"}\n"
			"quorm { two_node = yes { } }\n"
			"array a {\n"
			"	disks = { x,\n"
			"		/dev/b, /dev/b }\n"
			"	resync_min = 9M resync_max = 8M\n"
			"	export_mode = 0666\n"
			"}\n"
			"fence { methods = { ipmi } }\n",
			"5: totem: token_ms: 1 is outside 20..60000\n"
			"6: tokn_ms: is no option here; did you mean 'token_ms'?\n"
			"7: totem: mtu: 'big' is not a number\n"
			"9: quorm: is no option here; did you mean 'quorum'?\n"
			"11: array a: disks: 'x' is no path from the root\n"
			"12: array a: disks: '/dev/b' is there twice\n"
			"13: array a: resync_max: is less than resync_min\n"
			"14: array a: export_mode: 0666 lets everybody at the data: name a group\n"
			"16: fence: methods: 'ipmi' is none of: obituary, command, dlm\n");
}

static void an_unknown_option_takes_nothing_else_with_it(void **state)
{
	(void)state;
	expect_mistakes("totem { foo = 1 token_ms = 1 }\n"
			"totem_bar { a { b = \"}\" } } quorum { lease_ms = 1 }\n"
			"log { levle = \"x\n"
			"y\" level = loud }\n",
			"4: foo: is no option here\n"
			"4: totem: token_ms: 1 is outside 20..60000\n"
			"5: quorum: lease_ms: 1 is outside 20..60000\n"
			"5: totem_bar: is no option here\n"
			"6: levle: is no option here; did you mean 'level'?\n"
			"7: log: level: 'loud' is none of: error, warning, notice, info, debug\n");
}

static void nodes_that_cannot_be_told_apart_are_refused(void **state)
{
	struct told told = { 0 };

	(void)state;
	assert_null(config_parse("cluster { name = x }\n"
				 "node a { id = 1 address = 10.0.0.1 }\n"
				 "node b { id = 1\n"
				 " address = 10.0.0.1 }\n"
				 "node a { id = 3 address = 10.0.0.3 }\n"
				 "node c { id = 0 address = host }\n"
				 "node d { }\n"
				 "node e { id = 5 address = ::1 }\n",
				 "z", ask, tell, &told, &said));
	assert_string_equal(told.text,
			    "0: no node is called 'z' as this host is: say this_node = NAME\n"
			    "3: node b: id: node a (line 2) has 1, too\n"
			    "4: node b: address: node a (line 2) has the same\n"
			    "5: there is another section of this name\n"
			    "6: node c: address: 'host' is no IP address (names are not looked up)\n"
			    "6: node c: id: 0 is outside 1..4294967295\n"
			    "7: node d: address is missing\n"
			    "7: node d: id is missing\n"
			    "8: node e: address: is not of the family of node a's\n");
}

static void what_is_required_is_named(void **state)
{
	struct told told = { 0 };

	(void)state;
	assert_null(config_parse("", "host1", ask, tell, &told, &said));
	assert_string_equal(told.text, "0: cluster: name is missing\n"
				       "0: there is no node NAME { ... }\n");
}

static void what_is_given_twice_is_named_with_both_lines(void **state)
{
	(void)state;
	expect_mistakes("run_dir = /a\n"
			"totem { token_ms = 500\n"
			"	token_ms = 600 }\n"
			"run_dir = /b\n"
			"foo = 1\n", /* read again without it: nothing is told twice for that */
			"6: token_ms: is given a second time (first in line 5)\n"
			"7: run_dir: is given a second time (first in line 4)\n"
			"8: foo: is no option here\n");
}

static void an_array_needs_its_disks_or_a_way_to_find_them(void **state)
{
	(void)state;
	expect_mistakes("array a { }\n"
			"array b { uuid = 12 }\n"
			"array c { scan = { /dev/a } }\n"
			"array ../d { disks = { /dev/a } }\n"
			"array e { uuid = 5c0b0c4b:d6ae0359:f266cacf:72232250 disks = { /a }\n"
			"	scan = { /b } }\n",
			"4: array a: disks is missing, or uuid and scan\n"
			"5: array b: disks is missing, or uuid and scan\n"
			"5: array b: uuid: '12' is not a uuid (32 hex digits, as xxxxxxxx:xxxxxxxx:xxxxxxxx:xxxxxxxx)\n"
			"6: array c: scan: uuid is missing: which array's disks shall be found?\n"
			"7: array ../d: its name is that of a file: 1 to 63 bytes, no '/', no '.' in front\n"
			"9: array e: scan: the disks are named: one of both is enough\n");
}

static void a_pattern_without_quotes_is_no_name(void **state)
{
	(void)state;
	expect_mistakes("/* a comment has stars * */ # and * this\n"
			"array a { uuid = 5c0b0c4b:d6ae0359:f266cacf:72232250 scan = { /dev/sd* } }\n"
			"array b { uuid = 5c0b0c4b:d6ae0359:f266cacf:72232251 scan = { \"/dev/sd*\",\n"
			"	'/dev/vd*', /dev/nvme* } }\n",
			"5: an asterisk outside of quotes would be lost: a pattern goes in quotes, \"/dev/sd*\"\n"
			"7: an asterisk outside of quotes would be lost: a pattern goes in quotes, \"/dev/sd*\"\n");
}

static void a_fence_command_is_an_explicit_choice(void **state)
{
	(void)state;
	expect_mistakes("fence { command = /bin/true }\n",
			"4: fence: command: methods do not name it\n");
	expect_mistakes("fence { methods = { command } }\n",
			"4: fence: command is missing, which methods name\n");
}

static void fence_levels_are_in_the_order_of_their_numbers(void **state)
{
	struct config *c = good(GOOD_CLUSTER GOOD_NODES
		"fence { retries = 7\n"
		"	level 5 { devices = { pdu-a, pdu-b } nodes = { host2 } }\n"
		"	device ipmi { agent = fence_ipmilan options = { \"lanplus=1\" } user = root\n"
		"		node host1 { options = { \"ip=10.1.0.1\" } delay_ms = 5000 }\n"
		"		node host2 { options = { \"ip=10.1.0.2\" } } }\n"
		"	device pdu-a { agent = /opt/fence_x action = off retries = 1 timeout_ms = 500 }\n"
		"	device pdu-b { command = /bin/b user = me }\n"
		"	level 1 { devices = { ipmi } } }\n");
	const struct fence_plan *p = &c->fence.plan;

	(void)state;
	assert_int_equal(p->device_count, 3);
	assert_string_equal(p->devices[0].program, "/usr/sbin/fence_ipmilan");
	assert_string_equal(p->devices[0].user, "root");
	assert_true(p->devices[0].is_reboot);
	assert_int_equal(p->devices[0].retries, 7);
	assert_string_equal(p->devices[0].options.all[0].text, "lanplus=1");
	assert_string_equal(fence_target_of(&p->devices[0], 2)->options.all[0].text,
			    "ip=10.1.0.2");
	assert_int_equal(fence_delay_ns(&p->devices[0], 1), 5000000000);
	assert_string_equal(p->devices[1].user, "nobody");
	assert_false(p->devices[1].is_reboot);
	assert_int_equal(p->devices[1].timeout_ms, 500);
	assert_int_equal(p->devices[2].type, FENCE_COMMAND);
	assert_int_equal(p->level_count, 2);
	assert_int_equal(p->levels[0].number, 1);
	assert_int_equal(p->levels[1].device_count, 2);
	assert_true(fence_level_is_for(p, &p->levels[1], 2));
	assert_false(fence_level_is_for(p, &p->levels[1], 1));
	config_free(c);
}

static void mistakes_of_fencing_have_their_lines(void **state)
{
	(void)state;
	expect_mistakes("fence {\n"
			"	device a { agent = fence_x command = /b }\n"
			"	device b { agent = fence_x\n"
			"		options = { \"ip\", \"action=off\",\n"
			"			    \"x=1\", \"x=2\" } }\n"
			"	device c { agent = fence_x node host9 { } }\n"
			"	device d { options = { \"ip=1\" } }\n"
			"	device e { command = b }\n"
			"	device f { type = magic command = /f }\n"
			"	level 0 { devices = { a, b, a } }\n"
			"	level 2 { devices = { c, d, x } nodes = { host7 } }\n"
			"	level 3 { }\n"
			"	level 4 { devices = { e } agnt = x }\n"
			"	device g { type = reservation agent = fence_x user = me }\n"
			"	device h { command = /h abort = no } level 5 { devices = { g, h } }\n"
			"	device i { type = watchdog retries = 1 } level 6 { devices = { i } }\n"
			"}\n"
			"watchdog { timeout_s = 1 }\n",
			"5: device a: command: there is an agent: one of both is enough\n"
			"7: device b: options: 'action' is said by mdclusterd itself\n"
			"7: device b: options: 'ip' is not NAME=VALUE\n"
			"8: device b: options: 'x' is there twice\n"
			"9: device c: node host9: there is no such node\n"
			"10: device d: agent or command is missing\n"
			"10: device d: options: is for agents alone\n"
			"11: device e: command: 'b' is no path from the root\n"
			"12: device f: is in no level: it would never be used\n"
			"12: device f: type: 'magic' is none of: command, agent, reservation, watchdog\n"
			"13: level 0: devices: 'a' is there twice\n"
			"13: level 0: its number: 0 is outside 1..9\n"
			"14: level 2: devices: no node is in the maps of all of them\n"
			"14: level 2: devices: there is no device 'x'\n"
			"14: level 2: nodes: there is no node 'host7'\n"
			"15: level 3: devices is missing\n"
			"16: agnt: is no option here\n"
			"17: device g: type: a reservation needs no program\n"
			"17: device g: user: a reservation runs no program\n"
			"18: device h: abort: is for reservations alone\n"
			"19: device i: timeout_ms, retries: a watchdog takes the time that it takes, once\n"
			"19: device i: type: there is no watchdog { device = ... }\n"
			"21: watchdog: timeout_s: 1 is outside 2..600\n"
			"21: watchdog: timeout_s: device is missing\n");
}

static void a_watchdog_is_no_proof_where_each_node_may_write_alone(void **state)
{
	(void)state;
	expect_mistakes("quorum { two_node = yes }\n"
			"watchdog { device = /w }\n"
			"fence { device i { type = watchdog } device a { command = /a }\n"
			"	level 1 { devices = { i, a } }\n"
			"	level 2 { devices = { i } } }\n",
			"8: level 2: devices: with quorum { two_node = yes } a watchdog proves nothing: each node may write alone\n");
}

static void a_lease_shorter_than_tokens_come_is_refused(void **state)
{
	(void)state;
	expect_mistakes("totem { token_ms = 1000 }\nquorum { lease_ms = 400 }\n",
			"5: quorum: lease_ms: 400 is under half of token_ms, 1000: it would be over in between two tokens\n");
}

/* Nothing can be made of the rest, but what was seen until then is told. */
static void a_text_that_is_torn_is_told_with_its_line(void **state)
{
	struct told told = { 0 };

	(void)state;
	assert_null(config_parse("cluster { name = x }\nbar = 1\nnode a {\n id = = 2 }\n", "a",
				 ask, tell, &told, &said));
	assert_int_equal(told.count, 2);
	assert_non_null(strstr(told.text, "2: bar: is no option here"));
	assert_non_null(strstr(told.text, "\n4: "));
	memset(&told, 0, sizeof(told));
	assert_null(config_parse("cluster { name = \"x", "a", ask, tell, &told, &said));
	assert_true(told.count >= 1);
	memset(&told, 0, sizeof(told));
	assert_null(config_parse("cluster { name = x", "a", ask, tell, &told, &said));
	assert_true(told.count >= 1);
}

static void the_brace_of_a_section_is_found_behind_comments_and_quotes(void **state)
{
	const char *text = "a { # }\n"
			   " /* } */ b = \"}\" // }\n"
			   " c { x = /dev//y }\n"
			   "}\n";

	(void)state;
	assert_int_equal(config_text_opening(text, 4), 1);
	assert_int_equal(config_text_opening(text, 3), 3);
}

static void distances_are_of_letters(void **state)
{
	(void)state;
	assert_int_equal(config_text_distance("token", "token"), 0);
	assert_int_equal(config_text_distance("token", "tokn"), 1);
	assert_int_equal(config_text_distance("", "abc"), 3);
	assert_int_equal(config_text_distance("kitten", "sitting"), 3);
}

/* --- engine = corosync -------------------------------------------------------------------- */

static void nodes_and_name_are_corosyncs(void **state)
{
	struct config *c = good("cluster { engine = corosync locks = libdlm }\n"
				"fence { level 1 { devices = { x } nodes = { storm } }\n"
				" device x { agent = fence_x\n"
				"  node storm { options = { \"a=1\" } } } }\n");

	(void)state;
	assert_int_equal(c->engine, CONFIG_ENGINE_COROSYNC);
	assert_int_equal(c->locks, CONFIG_LOCKS_LIBDLM);
	assert_string_equal(c->cluster, "beta");
	assert_int_equal(c->node_count, 2);
	assert_int_equal(c->nodes[1].id, 9);
	assert_string_equal(c->nodes[1].name, "calm");
	assert_int_equal(c->nodes[1].votes, 3);
	assert_int_equal(c->self, 1);
	assert_int_equal(c->lease_ms, 2400); /* of its token, and the consensus behind that */
	assert_null(c->key_file);
	config_free(c);
}

static void expect_words(const char *text, const char *mistakes)
{
	struct told told = { 0 };

	assert_null(config_parse(text, "host1", ask, tell, &told, &said));
	assert_string_equal(told.text, mistakes);
}

static void fencing_of_the_dlm_is_for_its_locks_alone(void **state)
{
	struct config *c = good("cluster { engine = corosync locks = libdlm }\n"
				"fence { methods = { obituary, dlm } }\n");

	(void)state;
	assert_int_equal(c->locks, CONFIG_LOCKS_LIBDLM);
	assert_int_equal(c->fence.methods, CONFIG_FENCE_OBITUARY | CONFIG_FENCE_DLM);
	config_free(c);
	expect_words("cluster { engine = corosync }\nfence { methods = { dlm } }\n",
		     "2: fence: methods: dlm is for locks = libdlm: dlm_controld fences for the kernel's DLM alone\n");
	expect_words("cluster { engine = corosync }\nfence { methods = { dml } }\n",
		     "2: fence: methods: 'dml' is none of: obituary, command, dlm\n");
}

static void what_corosync_decides_is_refused_by_name(void **state)
{
	(void)state;
	expect_words("cluster { engine = corosync\n"
		     " crypto = none }\n"
		     "totem { token_ms = 500\n"
		     " sync_deadline_ms = 5000 }\n"
		     "quorum { lease_ms = 2000\n"
		     " expected_votes = 2 }\n"
		     GOOD_NODES,
		     "2: cluster: crypto: not with engine = corosync: corosync seals what it sends: totem { crypto_cipher } of corosync.conf\n"
		     "3: totem: token_ms: not with engine = corosync: the ring is corosync's: totem { token } of corosync.conf\n"
		     "6: quorum: expected_votes: not with engine = corosync: corosync decides: quorum { expected_votes } of corosync.conf\n"
		     "7: node host1: not with engine = corosync: nodes are those of its nodelist\n"
		     "8: node host2: not with engine = corosync: nodes are those of its nodelist\n");
}

static void the_wrong_cluster_and_no_corosync_are_said(void **state)
{
	(void)state;
	expect_words("cluster { engine = corosync\n name = alpha }\n",
		     "2: cluster: name: corosync's cluster is 'beta', not 'alpha': leave the name out, or start the corosync of that cluster\n");
	refusal = -ECONNREFUSED;
	expect_words("cluster {\n engine = corosync }\n",
		     "2: cluster: engine: corosync does not run on this host\n");
	assert_int_equal(said.code, -EAGAIN); /* it may come */
	expect_words("cluster {\n engine = corosync }\nnode a { }\n",
		     "2: cluster: engine: corosync does not run on this host\n"
		     "3: node a: not with engine = corosync: nodes are those of its nodelist\n");
	assert_int_equal(said.code, -EINVAL);
	refusal = -EINVAL;
	expect_words("cluster {\n engine = corosync }\n",
		     "2: cluster: engine: corosync does not run on this host\n");
	assert_int_equal(said.code, -EINVAL);
	refusal = 0;
	expect_words("cluster { name = x locks = libdlm }\n"
		     "node host1 { id = 1 address = 10.0.0.1 }\n",
		     "1: cluster: locks: libdlm is the kernel's DLM, which needs corosync: say engine = corosync, too\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nodes_and_name_are_corosyncs),
		cmocka_unit_test(fencing_of_the_dlm_is_for_its_locks_alone),
		cmocka_unit_test(what_corosync_decides_is_refused_by_name),
		cmocka_unit_test(the_wrong_cluster_and_no_corosync_are_said),
		cmocka_unit_test(what_is_not_said_has_its_default),
		cmocka_unit_test(every_option_is_taken),
		cmocka_unit_test(options_of_quorum_are_corosyncs),
		cmocka_unit_test(options_of_quorum_that_do_not_go_together_are_told),
		cmocka_unit_test(all_mistakes_are_told_at_once_with_their_lines),
		cmocka_unit_test(an_unknown_option_takes_nothing_else_with_it),
		cmocka_unit_test(nodes_that_cannot_be_told_apart_are_refused),
		cmocka_unit_test(what_is_required_is_named),
		cmocka_unit_test(what_is_given_twice_is_named_with_both_lines),
		cmocka_unit_test(an_array_needs_its_disks_or_a_way_to_find_them),
		cmocka_unit_test(a_pattern_without_quotes_is_no_name),
		cmocka_unit_test(a_fence_command_is_an_explicit_choice),
		cmocka_unit_test(fence_levels_are_in_the_order_of_their_numbers),
		cmocka_unit_test(mistakes_of_fencing_have_their_lines),
		cmocka_unit_test(a_watchdog_is_no_proof_where_each_node_may_write_alone),
		cmocka_unit_test(a_lease_shorter_than_tokens_come_is_refused),
		cmocka_unit_test(a_text_that_is_torn_is_told_with_its_line),
		cmocka_unit_test(the_brace_of_a_section_is_found_behind_comments_and_quotes),
		cmocka_unit_test(distances_are_of_letters),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
