/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The slot table of a lockspace on the kernel's DLM: nodes on one order of messages and
 * changes, which the test decides (N1..N4).
 */
#include "tests/unit/help.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/codec.h"
#include "lockres/dlm_slots.h"
#include "totem/group.h"

enum { NODES = 4, MAX_EVENTS = 512, MAX_TRACE = 512 };

/* What all of a partition see, in order. */
struct event {
	uint32_t node;  /* sender; 0: a change */
	uint32_t handle;
	size_t length;
	uint8_t *bytes;
	uint32_t seen_by; /* bits of nodes */
	struct group_member members[NODES], joined[NODES], left[NODES];
	size_t member_count, joined_count, left_count;
};

struct node {
	struct dlm_slots slots;
	uint32_t id, handle;
	bool is_up;
	int part;
	size_t read;
	char trace[MAX_TRACE];
};

static struct node nodes[NODES + 1];
static struct event events[MAX_EVENTS];
static size_t event_count;

static struct event *event_new(uint32_t seen_by)
{
	struct event *e = &events[event_count++];

	assert_true(event_count <= MAX_EVENTS);
	*e = (struct event){ .seen_by = seen_by };
	return e;
}

static uint32_t part_of(int part)
{
	uint32_t bits = 0;
	int i;

	for (i = 1; i <= NODES; i++)
		if (nodes[i].is_up && nodes[i].part == part)
			bits |= 1u << i;
	return bits;
}

/* --- what the table tells ------------------------------------------------------------------- */

static void note(struct node *n, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

static void note(struct node *n, const char *format, ...)
{
	size_t at = strlen(n->trace);
	va_list ap;

	va_start(ap, format);
	vsnprintf(n->trace + at, sizeof(n->trace) - at, format, ap);
	va_end(ap);
}

static void send(void *owner, const void *message, size_t length)
{
	struct node *n = owner;
	struct event *e = event_new(part_of(n->part));

	e->node = n->id;
	e->handle = n->handle;
	e->length = length;
	e->bytes = malloc(length);
	memcpy(e->bytes, message, length);
}

static void changed(void *owner)
{
	(void)owner;
}

static void missing(void *owner, uint32_t node, bool is_process)
{
	note(owner, "?%u%s ", node, is_process ? "p" : "");
}

static void dead(void *owner, uint32_t node, int slot, enum lock_death death)
{
	note(owner, "-%u:%d%s ", node, slot, death == LOCK_DEATH_PROCESS ? "p" : "");
}

static void lost(void *owner, int why)
{
	note(owner, "lost%d ", why);
}

static const struct dlm_slots_ops ops = { send, changed, missing, dead, lost };

static void saw(int i, const char *expected)
{
	assert_string_equal(nodes[i].trace, expected);
	*nodes[i].trace = '\0';
}

/* --- the order ------------------------------------------------------------------------------- */

static void change(uint32_t before, uint32_t now, enum group_reason why)
{
	struct event *e = event_new(now);
	int i;

	for (i = 1; i <= NODES; i++) {
		bool was = before & 1u << i, is = now & 1u << i;
		struct group_member m = { nodes[i].id, nodes[i].handle, GROUP_MEMBER };

		if (is && !was)
			m.reason = GROUP_JOIN;
		if (is)
			e->members[e->member_count++] = m;
		if (is && !was)
			e->joined[e->joined_count++] = m;
		m.reason = why;
		if (was && !is)
			e->left[e->left_count++] = m;
	}
}

static void up_with(int i, int wanted, int slots)
{
	const struct lockspace_config config = { .slots = slots, .wanted_slot = wanted };
	struct node *n = &nodes[i];
	uint32_t before = part_of(0);

	n->id = (uint32_t)i;
	n->handle++;
	n->part = 0;
	n->is_up = true;
	n->read = event_count;
	dlm_slots_init(&n->slots, n->id, n->handle, &config, &ops, n);
	n->slots.handle = n->handle;
	change(before, part_of(0), GROUP_MEMBER);
}

static void up(int i)
{
	up_with(i, -1, 0);
}

static void down(int i, enum group_reason why)
{
	uint32_t before = part_of(nodes[i].part);

	nodes[i].is_up = false;
	dlm_slots_fini(&nodes[i].slots);
	change(before, part_of(nodes[i].part), why);
}

static bool read_one(int i)
{
	struct node *n = &nodes[i];
	const struct event *e;

	while (n->read < event_count && !(events[n->read].seen_by & 1u << i))
		n->read++;
	if (!n->is_up || n->read == event_count)
		return false;
	e = &events[n->read++];
	if (e->node) {
		const struct group_member sender = { e->node, e->handle, GROUP_MEMBER };

		assert_true(dlm_slots_message(&n->slots, &sender, e->bytes, e->length));
	} else {
		const struct group_change c = {
			e->members, e->member_count, e->joined, e->joined_count,
			e->left, e->left_count,
		};

		assert_int_equal(dlm_slots_changed(&n->slots, n->handle, &c), 0);
	}
	return true;
}

static void run(void)
{
	bool is_more = true;
	int i;

	while (is_more) {
		is_more = false;
		for (i = 1; i <= NODES; i++)
			is_more |= read_one(i);
	}
}

/* Just these members, seen alike by all of a partition: "1:0 2:1". */
static void table_is(int part, const char *expected)
{
	struct lockspace_member members[LOCKSPACE_MAX_SLOTS];
	uint64_t version = 0;
	int i, our_slot;

	for (i = 1; i <= NODES; i++) {
		char text[128] = "";
		size_t count, k;

		if (!nodes[i].is_up || nodes[i].part != part || nodes[i].slots.is_lost)
			continue;
		count = dlm_slots_members(&nodes[i].slots, members, &our_slot);
		for (k = 0; k < count; k++)
			snprintf(text + strlen(text), sizeof(text) - strlen(text),
				 "%s%u:%d", k ? " " : "", members[k].node,
				 members[k].slot);
		assert_string_equal(text, expected);
		if (version)
			assert_int_equal(nodes[i].slots.version, version);
		version = nodes[i].slots.version;
	}
}

static int setup(void **state)
{
	(void)state;
	memset(nodes, 0, sizeof(nodes));
	event_count = 0;
	return 0;
}

static int teardown(void **state)
{
	size_t i;

	(void)state;
	for (i = 1; i <= NODES; i++)
		if (nodes[i].is_up)
			dlm_slots_fini(&nodes[i].slots);
	for (i = 0; i < event_count; i++)
		free(events[i].bytes);
	return 0;
}

/* --- tests -------------------------------------------------------------------------------------- */

static void slots_are_given_in_the_order_of_the_requests(void **state)
{
	(void)state;
	up(2);
	run();
	up(1);
	run();
	up(3);
	run();
	table_is(0, "2:0 1:1 3:2");
}

static void all_at_once_make_one_table(void **state)
{
	(void)state;
	up(3);
	up(1);
	up(2);
	while (read_one(3)) /* asks first */
		;
	run();
	table_is(0, "3:0 1:1 2:2");
}

static void a_wanted_slot_is_got_if_it_is_free(void **state)
{
	(void)state;
	up_with(1, 2, 0);
	run();
	up_with(2, 2, 0);
	run();
	table_is(0, "2:0 1:2");
}

static void who_comes_back_has_its_old_slot(void **state)
{
	(void)state;
	up(1);
	run();
	up(2);
	run();
	down(1, GROUP_LEAVE);
	run();
	table_is(0, "2:1");
	saw(2, ""); /* of its own will: nobody is missing */
	up(3);
	run();
	table_is(0, "3:0 2:1"); /* the lowest that is free */
	down(3, GROUP_LEAVE);
	up(1);
	run();
	table_is(0, "1:0 2:1");
}

static void an_old_slot_goes_before_a_lower_one(void **state)
{
	(void)state;
	up(1);
	run();
	up(2);
	run();
	up(3);
	run();
	down(3, GROUP_LEAVE);
	down(1, GROUP_LEAVE);
	run();
	up(3);
	run();
	table_is(0, "2:1 3:2");
}

static void a_table_with_two_in_one_slot_is_refused(void **state)
{
	static struct dlm_slots copy;
	uint8_t bytes[DLM_SLOTS_MESSAGE_MAX];
	struct wr wr = wr_over(bytes, sizeof(bytes));
	struct rd rd;

	(void)state;
	up(1);
	up(2);
	run();
	nodes[1].slots.seats[1].slot = nodes[1].slots.seats[0].slot;
	dlm_slots_put(&nodes[1].slots, &wr);
	rd = rd_over(bytes, wr.at);
	assert_int_equal(dlm_slots_take(&copy, &rd), -EBADMSG);
}

static void a_missing_member_keeps_its_slot_until_it_is_dead(void **state)
{
	(void)state;
	up(1);
	up(2);
	run();
	down(1, GROUP_NODEDOWN);
	up(3);
	run();
	table_is(0, "1:0 2:1 3:2");
	saw(2, "?1 ");
	assert_true(dlm_slots_is_missing(&nodes[2].slots));
	assert_true(dlm_slots_is_missing(&nodes[3].slots)); /* in the table it was given */
	dlm_slots_confirm(&nodes[3].slots, 1, 0, LOCK_DEATH_NODE);
	run();
	saw(2, "-1:0 ");
	saw(3, "-1:0 ");
	table_is(0, "2:1 3:2");
}

static void the_same_death_said_twice_is_one(void **state)
{
	(void)state;
	up(1);
	up(2);
	up(3);
	run();
	down(1, GROUP_PROCDOWN);
	run();
	saw(2, "?1p ");
	dlm_slots_confirm(&nodes[2].slots, 1, 0, LOCK_DEATH_PROCESS);
	dlm_slots_confirm(&nodes[3].slots, 1, 0, LOCK_DEATH_PROCESS);
	run();
	saw(2, "-1:0p ");
	dlm_slots_confirm(&nodes[2].slots, 1, 0, LOCK_DEATH_PROCESS);
	dlm_slots_confirm(&nodes[2].slots, 3, 0, LOCK_DEATH_PROCESS); /* it lives */
	run();
	saw(2, "");
	table_is(0, "2:1 3:2");
}

static void a_proof_of_an_earlier_life_is_no_proof_of_this_one(void **state)
{
	(void)state;
	up(2);
	run();
	up(1);
	run();
	down(1, GROUP_LEAVE);
	up(1);
	run();
	down(1, GROUP_PROCDOWN);
	run();
	saw(2, "?1p ");
	dlm_slots_confirm(&nodes[2].slots, 1, 1, LOCK_DEATH_PROCESS);
	run();
	saw(2, "");
	dlm_slots_confirm(&nodes[2].slots, 1, 2, LOCK_DEATH_PROCESS);
	run();
	saw(2, "-1:1p ");
}

static void a_new_process_of_a_missing_node_waits_for_the_proof(void **state)
{
	(void)state;
	up(1);
	up(2);
	run();
	down(1, GROUP_PROCDOWN);
	run();
	up(1);
	run();
	assert_null(strstr(nodes[1].trace, "lost"));
	assert_true(dlm_slots_is_missing(&nodes[1].slots));
	dlm_slots_confirm(&nodes[1].slots, 1, 0, LOCK_DEATH_PROCESS);
	run();
	assert_false(dlm_slots_is_missing(&nodes[1].slots));
	table_is(0, "1:0 2:1");
}

static void there_is_no_slot_more_than_were_asked_for(void **state)
{
	(void)state;
	up_with(1, -1, 2);
	up_with(2, -1, 2);
	run();
	up_with(3, -1, 2);
	run();
	assert_true(nodes[3].slots.is_lost);
	saw(3, "lost-28 ");
	table_is(0, "1:0 2:1");
}

static void a_provider_that_dies_is_followed_by_the_next(void **state)
{
	(void)state;
	up(1);
	up(2);
	run();
	up(3);
	/* 3 asks; 1, which would answer, dies behind that. */
	while (nodes[3].slots.events < 1)
		read_one(3);
	down(1, GROUP_NODEDOWN);
	run();
	dlm_slots_confirm(&nodes[2].slots, 1, 0, LOCK_DEATH_NODE);
	run();
	table_is(0, "2:1 3:2");
}

static void a_table_that_is_stale_when_it_comes_is_not_taken(void **state)
{
	size_t before;

	(void)state;
	up(1);
	up(2);
	run();
	up(3);
	while (nodes[3].slots.events < 1)
		read_one(3);
	/* 1 has seen the request and answers; 4 asks before the answer's place. */
	before = event_count;
	up(4);
	while (read_one(4))
		;
	assert_true(event_count > before);
	run();
	table_is(0, "1:0 2:1 3:2 4:3");
}

static void split(int i, int j)
{
	uint32_t all = part_of(0);

	nodes[i].part = 1;
	if (j)
		nodes[j].part = 1;
	change(all, part_of(0), GROUP_NODEDOWN);
	change(all, part_of(1), GROUP_NODEDOWN);
}

static void heal(void)
{
	uint32_t first = part_of(0), second = part_of(1);
	struct event *a, *b;
	int i;

	for (i = 1; i <= NODES; i++)
		nodes[i].part = 0;
	change(first, part_of(0), GROUP_NODEDOWN);
	a = &events[event_count - 1];
	a->seen_by = first;
	change(second, part_of(0), GROUP_NODEDOWN);
	b = &events[event_count - 1];
	b->seen_by = second;
}

static void who_was_only_missed_goes_on(void **state)
{
	(void)state;
	up(1);
	up(2);
	up(3);
	run();
	split(3, 0);
	run();
	saw(1, "?3 ");
	saw(3, "?1 ?2 ");
	up(4); /* in the larger part */
	run();
	heal();
	run();
	table_is(0, "1:0 2:1 3:2 4:3");
	assert_false(dlm_slots_is_missing(&nodes[1].slots));
	assert_false(dlm_slots_is_missing(&nodes[3].slots));
}

static void who_was_said_to_be_dead_is_out(void **state)
{
	(void)state;
	up(1);
	up(2);
	up(3);
	run();
	split(3, 0);
	run();
	dlm_slots_confirm(&nodes[1].slots, 3, 0, LOCK_DEATH_NODE);
	run();
	heal();
	run();
	assert_true(nodes[3].slots.is_lost);
	assert_non_null(strstr(nodes[3].trace, "lost-116 "));
	table_is(0, "1:0 2:1");
	assert_false(nodes[1].slots.is_lost);
}

static void messages_that_make_no_sense_change_nothing(void **state)
{
	const struct group_member sender = { 2, 1, GROUP_MEMBER };
	uint8_t bytes[64];
	size_t n;
	int kind;

	(void)state;
	up(1);
	up(2);
	run();
	for (kind = 1; kind <= 4; kind++)
		for (n = 0; n < sizeof(bytes); n++) {
			memset(bytes, 0xff, sizeof(bytes));
			bytes[0] = (uint8_t)kind;
			dlm_slots_message(&nodes[1].slots, &sender, bytes, n + 1);
		}
	assert_true(nodes[1].slots.faults > 100);
	assert_false(dlm_slots_message(&nodes[1].slots, &sender, "\x10", 1));
	assert_int_equal(nodes[1].slots.seat_count, 2);
	assert_false(nodes[1].slots.is_lost);
}

static void a_table_comes_back_from_its_bytes(void **state)
{
	static struct dlm_slots copy;
	uint8_t bytes[DLM_SLOTS_MESSAGE_MAX], again[DLM_SLOTS_MESSAGE_MAX];
	struct wr wr = wr_over(bytes, sizeof(bytes)), second = wr_over(again, sizeof(again));
	struct rd rd;
	size_t n;

	(void)state;
	up(1);
	up(2);
	run();
	down(1, GROUP_PROCDOWN);
	up(1);
	run();
	dlm_slots_put(&nodes[2].slots, &wr);
	for (n = 0; n < wr.at; n++) {
		rd = rd_over(bytes, n);
		assert_int_equal(dlm_slots_take(&copy, &rd), -EBADMSG);
	}
	rd = rd_over(bytes, wr.at);
	assert_int_equal(dlm_slots_take(&copy, &rd), 0);
	dlm_slots_put(&copy, &second);
	assert_int_equal(second.at, wr.at);
	assert_memory_equal(again, bytes, wr.at);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(slots_are_given_in_the_order_of_the_requests,
						setup, teardown),
		cmocka_unit_test_setup_teardown(all_at_once_make_one_table,
						setup, teardown),
		cmocka_unit_test_setup_teardown(a_wanted_slot_is_got_if_it_is_free,
						setup, teardown),
		cmocka_unit_test_setup_teardown(who_comes_back_has_its_old_slot,
						setup, teardown),
		cmocka_unit_test_setup_teardown(an_old_slot_goes_before_a_lower_one,
						setup, teardown),
		cmocka_unit_test_setup_teardown(a_table_with_two_in_one_slot_is_refused,
						setup, teardown),
		cmocka_unit_test_setup_teardown(a_missing_member_keeps_its_slot_until_it_is_dead,
						setup, teardown),
		cmocka_unit_test_setup_teardown(the_same_death_said_twice_is_one,
						setup, teardown),
		cmocka_unit_test_setup_teardown(
			a_proof_of_an_earlier_life_is_no_proof_of_this_one, setup, teardown),
		cmocka_unit_test_setup_teardown(a_new_process_of_a_missing_node_waits_for_the_proof,
						setup, teardown),
		cmocka_unit_test_setup_teardown(there_is_no_slot_more_than_were_asked_for,
						setup, teardown),
		cmocka_unit_test_setup_teardown(a_provider_that_dies_is_followed_by_the_next,
						setup, teardown),
		cmocka_unit_test_setup_teardown(a_table_that_is_stale_when_it_comes_is_not_taken,
						setup, teardown),
		cmocka_unit_test_setup_teardown(who_was_only_missed_goes_on,
						setup, teardown),
		cmocka_unit_test_setup_teardown(who_was_said_to_be_dead_is_out,
						setup, teardown),
		cmocka_unit_test_setup_teardown(messages_that_make_no_sense_change_nothing,
						setup, teardown),
		cmocka_unit_test_setup_teardown(a_table_comes_back_from_its_bytes,
						setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
