/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The checkpoint store in one configuration: operations, answers, references,
 * limits, strange bytes. C1 to C9 are the promises of totem/checkpoint.h; what
 * happens when configurations change is in test_checkpoint_nodes.c and those beside it.
 */
#include "tests/unit/checkpoint_rig.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "totem/checkpoint_private.h"

static void what_one_writes_all_read(void **state)
{
	struct bus *bus = bus_of_five();
	struct user here, there;

	(void)state;
	assert_int_equal(now_open(bus, 0, "a", CHECKPOINT_CREATE, &here), 0);
	assert_int_equal(now_open(bus, 4, "a", 0, &there), 0);
	assert_int_equal(now_write(bus, &here, "x", "one"), 0);
	assert_int_equal(now_write(bus, &there, "y", "two"), 0);
	assert_int_equal(now_write(bus, &there, "x", "three"), 0);
	check_section(&here, "x", "three");
	check_section(&there, "y", "two");
	for (int i = 0; i < BUS_NODES; i++) {
		check_store(bus, i, "a#1:2");
		check_sections(bus, i, 1, "x=three y=two");
	}
	assert_int_equal(now_delete(bus, &here, "x"), 0);
	assert_int_equal(now_delete(bus, &here, "x"), -ENOENT);
	check_sections(bus, 2, 1, "y=two");
	bus_check_equal(bus, "12345");
	bus_free(bus);
}

static void open_says_what_is_there(void **state)
{
	struct bus *bus = bus_of_five();
	struct user a, b;

	(void)state;
	assert_int_equal(now_open(bus, 0, "a", 0, &a), -ENOENT);
	assert_int_equal(now_open(bus, 0, "a", CHECKPOINT_CREATE | CHECKPOINT_EXCLUSIVE,
				  &a), 0);
	assert_int_equal(now_open(bus, 1, "a", CHECKPOINT_CREATE | CHECKPOINT_EXCLUSIVE,
				  &b), -EEXIST);
	assert_int_equal(now_open(bus, 1, "a", CHECKPOINT_CREATE, &b), 0);
	check_store(bus, 3, "a#1:2");
	assert_int_equal(now_open(bus, 1, "", 0, &b), -EINVAL);
	assert_int_equal(now_open(bus, 1, "a", 4, &b), -EINVAL);
	bus_free(bus);
}

/* C3: two that want to be the first are answered by the order. */
static void one_of_two_exclusive_opens_wins(void **state)
{
	struct bus *bus = bus_of_five();
	struct user a, b;

	(void)state;
	assert_int_equal(ask_open(bus, 1, "a", CHECKPOINT_CREATE | CHECKPOINT_EXCLUSIVE,
				  &a), 0);
	assert_int_equal(ask_open(bus, 3, "a", CHECKPOINT_CREATE | CHECKPOINT_EXCLUSIVE,
				  &b), 0);
	assert_int_equal(a.result, PENDING);
	bus_run(bus);
	assert_int_equal(a.result, 0);
	assert_int_equal(b.result, -EEXIST);
	check_store(bus, 4, "a#1:1");
	bus_free(bus);
}

static struct answer *next_answer;

static void in_order(void *owner, int result)
{
	assert_ptr_equal(owner, next_answer);
	next_answer++;
	on_answer(owner, result);
}

static void answers_come_in_the_order_of_the_requests(void **state)
{
	struct bus *bus = bus_of_five();
	struct answer answers[40];
	struct user u;

	(void)state;
	assert_int_equal(now_open(bus, 2, "a", CHECKPOINT_CREATE, &u), 0);
	next_answer = answers;
	for (int i = 0; i < 40; i++) {
		answers[i] = (struct answer){ PENDING, 0 };
		if (i % 2)
			assert_int_equal(checkpoint_delete(u.handle, "x", 1, in_order,
							   &answers[i]), 0);
		else
			assert_int_equal(checkpoint_write(u.handle, "x", 1, "v", 1,
							  in_order, &answers[i]), 0);
	}
	bus_run(bus);
	for (int i = 0; i < 40; i++) {
		assert_int_equal(answers[i].count, 1);
		assert_int_equal(answers[i].result, 0);
	}
	bus_free(bus);
}

/* C5, C6. */
static void name_is_free_while_the_unlinked_is_open(void **state)
{
	struct bus *bus = bus_of_five();
	struct user old, fresh;

	(void)state;
	assert_int_equal(now_open(bus, 0, "a", CHECKPOINT_CREATE, &old), 0);
	assert_int_equal(now_write(bus, &old, "x", "old"), 0);
	assert_int_equal(now_unlink(bus, 3, "a"), 0);
	assert_int_equal(now_unlink(bus, 3, "a"), -ENOENT);
	check_store(bus, 1, "a#1:1!");
	assert_int_equal(now_open(bus, 1, "a", 0, &fresh), -ENOENT);
	assert_int_equal(now_open(bus, 1, "a", CHECKPOINT_CREATE, &fresh), 0);
	assert_int_equal(now_write(bus, &fresh, "x", "new"), 0);
	assert_int_equal(now_write(bus, &old, "z", "still"), 0);
	check_store(bus, 2, "a#1:1! a#2:1");
	check_section(&old, "x", "old");
	check_section(&fresh, "x", "new");
	check_sections(bus, 4, 1, "x=old z=still");
	assert_int_equal(now_unlink(bus, 0, "a"), 0);
	check_store(bus, 2, "a#1:1! a#2:1!");
	now_close(bus, &old);
	check_store(bus, 2, "a#2:1!");
	now_close(bus, &fresh);
	check_store(bus, 2, "");
	assert_int_equal(checkpoint_bytes(bus->nodes[2].store), 0);
	assert_int_equal(now_open(bus, 1, "a", CHECKPOINT_CREATE, &fresh), 0);
	check_store(bus, 2, "a#3:1"); /* no number comes twice */
	bus_check_equal(bus, "12345");
	bus_free(bus);
}

static void linked_stays_without_a_reference(void **state)
{
	struct bus *bus = bus_of_five();
	struct user u, again;

	(void)state;
	assert_int_equal(now_open(bus, 0, "a", CHECKPOINT_CREATE, &u), 0);
	assert_int_equal(now_open(bus, 0, "a", CHECKPOINT_CREATE, &again), 0);
	check_store(bus, 3, "a#1:2");
	assert_int_equal(checkpoint_opens(bus->nodes[3].store, 1, 0), 2);
	now_close(bus, &u);
	now_close(bus, &again);
	check_store(bus, 3, "a#1:0");
	assert_int_equal(now_unlink(bus, 2, "a"), 0);
	check_store(bus, 3, "");
	bus_free(bus);
}

static void close_is_right_at_any_time(void **state)
{
	struct bus *bus = bus_of_five();
	struct user u, none;

	(void)state;
	assert_int_equal(ask_open(bus, 0, "a", CHECKPOINT_CREATE, &u), 0);
	assert_int_equal(ask_open(bus, 0, "b", 0, &none), 0);
	checkpoint_close(u.handle);
	checkpoint_close(none.handle);
	bus_run(bus);
	assert_int_equal(u.opened + none.opened, 0);
	check_store(bus, 3, "a#1:0");
	bus_free(bus);
}

static void what_is_not_open_yet_is_refused(void **state)
{
	struct bus *bus = bus_of_five();
	const void *data;
	struct answer a;
	struct user u;
	size_t length;

	(void)state;
	assert_int_equal(ask_open(bus, 0, "a", CHECKPOINT_CREATE, &u), 0);
	assert_int_equal(ask_write(&u, "x", "1", &a), -ESTALE);
	assert_int_equal(ask_delete(&u, "x", &a), -ESTALE);
	assert_int_equal(checkpoint_read(u.handle, "x", 1, &data, &length), -ESTALE);
	bus_run(bus);
	assert_int_equal(checkpoint_read(u.handle, "x", 1, &data, &length), -ENOENT);
	assert_int_equal(ask_write(&u, "", "1", &a), -EINVAL);
	assert_int_equal(checkpoint_read(u.handle, "", 0, &data, &length), -EINVAL);
	bus_free(bus);
}

/* --- credit --------------------------------------------------------------------- */

static void without_credit_it_says_so_and_calls_later(void **state)
{
	struct bus *bus = bus_of_five();
	struct answer answers[4], refused;
	struct user u;

	(void)state;
	assert_int_equal(now_open(bus, 0, "a", CHECKPOINT_CREATE, &u), 0);
	bus->credit = 4;
	bus->nodes[0].opened = 0;
	for (int i = 0; i < 4; i++)
		assert_int_equal(ask_write(&u, "x", "1", &answers[i]), 0);
	assert_int_equal(ask_write(&u, "y", "1", &refused), -EAGAIN);
	assert_int_equal(bus->nodes[0].opened, 0);
	bus_run(bus);
	assert_int_equal(bus->nodes[0].opened, 1);
	assert_int_equal(refused.count, 0);
	assert_int_equal(answers[3].result, 0);
	assert_int_equal(now_write(bus, &u, "y", "1"), 0);
	bus_free(bus);
}

static void close_waits_for_credit_by_itself(void **state)
{
	struct bus *bus = bus_of_five();
	struct user users[6];
	struct answer a;

	(void)state;
	for (int i = 0; i < 6; i++)
		assert_int_equal(now_open(bus, 0, "a", CHECKPOINT_CREATE, &users[i]), 0);
	bus->credit = 2;
	assert_int_equal(ask_write(&users[0], "x", "1", &a), 0);
	for (int i = 0; i < 6; i++)
		checkpoint_close(users[i].handle);
	check_store(bus, 3, "a#1:6");
	bus_run(bus);
	check_store(bus, 3, "a#1:0");
	assert_int_equal(a.result, 0);
	bus_free(bus);
}

/* --- limits (C8) ---------------------------------------------------------------- */

static char *numbered(char name[16], const char *prefix, int i)
{
	(void)snprintf(name, 16, "%s%d", prefix, i);
	return name;
}

static void number_of_checkpoints_is_bounded(void **state)
{
	struct bus *bus = bus_of_five();
	char name[16];
	struct user u;

	(void)state;
	for (int i = 0; i < CHECKPOINT_MAX_COUNT; i++)
		assert_int_equal(now_open(bus, i % 5, numbered(name, "c", i),
					  CHECKPOINT_CREATE, &u), 0);
	assert_int_equal(now_open(bus, 0, "more", CHECKPOINT_CREATE, &u), -ENOSPC);
	assert_int_equal(now_open(bus, 0, "c77", CHECKPOINT_CREATE, &u), 0);
	assert_int_equal(now_unlink(bus, 0, "c1023"), 0); /* open at node 4 */
	assert_int_equal(now_open(bus, 0, "more", CHECKPOINT_CREATE, &u), -ENOSPC);
	bus_check_equal(bus, "12345");
	bus_free(bus);
}

static void number_of_opens_is_bounded_by_node(void **state)
{
	struct bus *bus = bus_of_five();
	static struct user users[CHECKPOINT_MAX_OPENS];
	struct user u;

	(void)state;
	bus->credit = CHECKPOINT_MAX_OPENS;
	for (int i = 0; i < CHECKPOINT_MAX_OPENS; i++)
		assert_int_equal(ask_open(bus, 1, i % 2 ? "a" : "b", CHECKPOINT_CREATE,
					  &users[i]), 0);
	bus_run(bus);
	assert_int_equal(users[CHECKPOINT_MAX_OPENS - 1].result, 0);
	assert_int_equal(now_open(bus, 1, "a", 0, &u), -EMFILE);
	assert_int_equal(now_open(bus, 1, "c", CHECKPOINT_CREATE, &u), -EMFILE);
	assert_int_equal(now_open(bus, 0, "a", 0, &u), 0);
	now_close(bus, &users[8]);
	assert_int_equal(now_open(bus, 1, "a", 0, &u), 0);
	check_store(bus, 4, "b#1:2047 a#2:2050");
	bus_free(bus);
}

static void sections_and_bytes_are_bounded(void **state)
{
	enum { FIT = CHECKPOINT_MAX_BYTES / (CHECKPOINT_SECTION_COST + 5 +
					     CHECKPOINT_MAX_DATA) };
	struct bus *bus = bus_of_five();
	char *large = calloc(1, CHECKPOINT_MAX_DATA + 1), name[16];
	struct checkpoint_store *s = bus->nodes[3].store;
	struct answer a = { PENDING, 0 };
	struct user u, many;

	(void)state;
	assert_non_null(large);
	assert_int_equal(now_open(bus, 3, "large", CHECKPOINT_CREATE, &u), 0);
	assert_int_equal(checkpoint_write(u.handle, "x", 1, large,
					  CHECKPOINT_MAX_DATA + 1, on_answer, &a), -EINVAL);
	for (int i = 0; i < FIT; i++) {
		assert_int_equal(checkpoint_write(u.handle, numbered(name, "s", 1000 + i), 5,
						  large, CHECKPOINT_MAX_DATA, on_answer,
						  &a), 0);
		bus_run(bus);
		assert_int_equal(a.result, 0);
	}
	assert_int_equal(checkpoint_write(u.handle, "more", 4, large,
					  CHECKPOINT_MAX_DATA, on_answer, &a), 0);
	bus_run(bus);
	assert_int_equal(a.result, -ENOSPC);
	assert_true(checkpoint_bytes(s) <= CHECKPOINT_MAX_BYTES);
	assert_int_equal(now_write(bus, &u, "s1000", "small"), 0); /* makes room */
	assert_int_equal(checkpoint_write(u.handle, "mor", 3, large,
					  CHECKPOINT_MAX_DATA - 4, on_answer, &a), 0);
	bus_run(bus);
	assert_int_equal(a.result, 0);
	assert_int_equal(now_unlink(bus, 0, "large"), 0);
	now_close(bus, &u);
	assert_int_equal(checkpoint_bytes(s), 0);

	assert_int_equal(now_open(bus, 3, "many", CHECKPOINT_CREATE, &many), 0);
	for (int i = 0; i < CHECKPOINT_MAX_SECTIONS; i++)
		assert_int_equal(now_write(bus, &many, numbered(name, "s", i), ""), 0);
	assert_int_equal(now_write(bus, &many, "more", ""), -ENOSPC);
	assert_int_equal(now_write(bus, &many, "s7", "x"), 0);
	assert_int_equal(now_delete(bus, &many, "s9"), 0);
	assert_int_equal(now_write(bus, &many, "more", ""), 0);
	bus_check_equal(bus, "12345");
	free(large);
	bus_free(bus);
}

/* Names are bytes, and the shorter comes first. */
static void names_are_any_bytes(void **state)
{
	struct bus *bus = bus_of_five();
	static const struct { const char *bytes; size_t length; } names[] = {
		{ "\0", 1 }, { "\0\0", 2 }, { "\0\1", 2 }, { "\377", 1 }, { "a/b\n", 4 },
	};
	struct checkpoint_section_info info;
	struct user u;

	(void)state;
	assert_int_equal(now_open(bus, 0, "a", CHECKPOINT_CREATE, &u), 0);
	for (size_t i = sizeof(names) / sizeof(*names); i > 0; i--)
		assert_int_equal(checkpoint_write(u.handle, names[i - 1].bytes,
						  names[i - 1].length, &i, 1, NULL, NULL), 0);
	bus_run(bus);
	assert_true(checkpoint_section_at(bus->nodes[1].store, 1, 0, &info));
	assert_int_equal(info.name_length, 1);
	assert_true(checkpoint_section_at(bus->nodes[1].store, 1, 2, &info));
	assert_memory_equal(info.name, "\0\1", 2);
	assert_true(checkpoint_section_at(bus->nodes[1].store, 1, 4, &info));
	assert_int_equal((unsigned char)*info.name, 0xff);
	assert_false(checkpoint_section_at(bus->nodes[1].store, 1, 5, &info));
	assert_false(checkpoint_section_at(bus->nodes[1].store, 2, 0, &info));
	bus_free(bus);
}

/* --- strange bytes -------------------------------------------------------------- */

static void say(struct bus *bus, uint32_t from, const uint8_t *bytes, size_t length)
{
	const struct group_member sender = { from, 1, GROUP_MEMBER };

	for (int i = 0; i < BUS_NODES; i++) {
		struct bus_node *n = &bus->nodes[i];
		uint8_t *copy = malloc(length + 1); /* ends where the message ends */

		assert_non_null(copy);
		memcpy(copy, bytes, length);
		n->handlers.deliver(n->store, &n->group, &sender, copy, length);
		free(copy);
	}
}

static uint64_t faults(const struct bus *bus, int node, enum checkpoint_fault fault)
{
	return checkpoint_stats(bus->nodes[node].store)->faults[fault];
}

/* One of each, as node 5 would say it of what it has open. */
static size_t sound(uint8_t bytes[200], enum checkpoint_kind kind,
		    const struct checkpoint_id *id)
{
	struct checkpoint_operation o = {
		.kind = kind, .incarnation = 9, .serial = 100 + (uint64_t)kind, .id = *id,
		.flags = CHECKPOINT_CREATE,
		.name = (const uint8_t *)"name", .name_length = 4,
		.data = (const uint8_t *)"data", .length = 4,
	};
	size_t length = checkpoint_operation_write(&o, bytes);

	if (kind == CHECKPOINT_WRITE) {
		memcpy(bytes + length, o.data, 4);
		length += 4;
	}
	return length;
}

static void what_is_cut_is_counted_and_changes_nothing(void **state)
{
	struct bus *bus = bus_of_five();
	struct checkpoint_id id = { 1, { 5, 1, 1 } };
	uint64_t before, wrong = 0;
	uint8_t bytes[200], *large;
	struct user u;

	(void)state;
	assert_int_equal(now_open(bus, 4, "a", CHECKPOINT_CREATE, &u), 0);
	before = checkpoint_digest(bus->nodes[0].store);
	for (int kind = 0; kind < 8; kind++) {
		size_t length = sound(bytes, (enum checkpoint_kind)kind, &id), least;

		/* from where on each is sound: names and data have any length */
		least = kind == CHECKPOINT_OPEN ? 19 : kind == CHECKPOINT_UNLINK ? 18 :
			kind == CHECKPOINT_CLOSE ? 45 : kind == CHECKPOINT_WRITE ? 50 :
			kind == CHECKPOINT_DELETE ? 46 : kind == CHECKPOINT_MARK ? 17 :
			length + 1;
		for (size_t cut = 0; cut < least; cut++) {
			say(bus, 5, bytes, cut);
			assert_int_equal(faults(bus, 0, CHECKPOINT_FAULT_MESSAGE), ++wrong);
		}
	}
	sound(bytes, CHECKPOINT_OPEN, &id);
	bytes[17] = 4; /* unknown flag */
	say(bus, 5, bytes, 20);
	memset(bytes + 18, 'x', 65);
	bytes[17] = 0;
	say(bus, 5, bytes, 18 + 65); /* name too long */
	sound(bytes, CHECKPOINT_CLOSE, &id);
	say(bus, 5, bytes, 46); /* longer than its fields */
	sound(bytes, CHECKPOINT_WRITE, &id);
	bytes[0] = CHECKPOINT_MARK;
	say(bus, 5, bytes, 18);
	bytes[0] = CHECKPOINT_WRITE;
	bytes[45] = 0;
	say(bus, 5, bytes, 54); /* section without a name */
	large = calloc(1, sizeof(bytes) + CHECKPOINT_MAX_DATA + 1);
	assert_non_null(large);
	sound(bytes, CHECKPOINT_WRITE, &id);
	memcpy(large, bytes, 50);
	say(bus, 5, large, 50 + CHECKPOINT_MAX_DATA + 1); /* too much data */
	free(large);
	assert_int_equal(faults(bus, 0, CHECKPOINT_FAULT_MESSAGE), wrong + 6);
	assert_int_equal(checkpoint_digest(bus->nodes[0].store), before);
	bus_check_equal(bus, "12345");
	assert_int_equal(now_write(bus, &u, "x", "1"), 0);
	bus_free(bus);
}

/* All apply the same, and nobody answers what was not asked. */
static void what_nobody_asked_is_nobodys_answer(void **state)
{
	struct bus *bus = bus_of_five();
	struct checkpoint_id id = { 1, { 5, 1, 1 } };
	uint8_t bytes[200];
	struct user u;

	(void)state;
	assert_int_equal(now_open(bus, 4, "a", CHECKPOINT_CREATE, &u), 0);
	for (int kind = CHECKPOINT_OPEN; kind <= CHECKPOINT_DELETE; kind++)
		say(bus, 5, bytes, sound(bytes, (enum checkpoint_kind)kind, &id));
	bus_check_equal(bus, "12345");
	sound(bytes, CHECKPOINT_OPEN, &id);
	bytes[1] = 1; /* its own incarnation, and a serial that it did not give */
	say(bus, 5, bytes, 22);
	assert_int_equal(faults(bus, 4, CHECKPOINT_FAULT_ORDER), 1);
	say(bus, 77, bytes, 22);
	assert_int_equal(faults(bus, 4, CHECKPOINT_FAULT_STRANGER), 1);
	bus_check_equal(bus, "12345");
	bus_free(bus);
}

/* C6: who has not opened it, or means another, does not change it. */
static void only_who_has_it_open_changes_it(void **state)
{
	struct bus *bus = bus_of_five();
	struct checkpoint_id id = { 1, { 5, 1, 1 } };
	uint8_t bytes[200];
	struct user u;
	uint64_t refused;

	(void)state;
	assert_int_equal(now_open(bus, 4, "a", CHECKPOINT_CREATE, &u), 0);
	refused = checkpoint_stats(bus->nodes[0].store)->refused;
	say(bus, 4, bytes, sound(bytes, CHECKPOINT_WRITE, &id));
	say(bus, 4, bytes, sound(bytes, CHECKPOINT_CLOSE, &id));
	id.birth.serial = 2;
	say(bus, 5, bytes, sound(bytes, CHECKPOINT_WRITE, &id));
	id.birth = (struct checkpoint_birth){ 5, 2, 1 };
	say(bus, 5, bytes, sound(bytes, CHECKPOINT_WRITE, &id));
	id.birth = (struct checkpoint_birth){ 4, 1, 1 };
	say(bus, 5, bytes, sound(bytes, CHECKPOINT_WRITE, &id));
	assert_int_equal(checkpoint_stats(bus->nodes[0].store)->refused, refused + 5);
	check_sections(bus, 0, 1, "");
	check_store(bus, 0, "a#1:1");
	id.birth = (struct checkpoint_birth){ 5, 1, 1 };
	say(bus, 5, bytes, sound(bytes, CHECKPOINT_WRITE, &id));
	check_sections(bus, 0, 1, "name=data");
	bus_free(bus);
}

static void every_result_has_a_sentence(void **state)
{
	static const int results[] = { 0, -ENOENT, -EEXIST, -ENOSPC, -EMFILE, -EROFS,
				       -EAGAIN, -ESTALE, -ECANCELED, -ESHUTDOWN, -EINVAL,
				       -ENOMEM };

	(void)state;
	for (size_t i = 0; i < sizeof(results) / sizeof(*results); i++)
		assert_true(strchr(checkpoint_why(results[i]), ' ') != NULL);
}

/* --- memory (C9) ---------------------------------------------------------------- */

/* The k-th allocation is: a checkpoint, a section, the list of sections. */
static void run_out_of_memory(long k)
{
	struct bus *bus = bus_of_five();
	struct user a, b, own;
	struct answer mine, others = { 0, 1 };

	assert_int_equal(now_open(bus, 2, "a", CHECKPOINT_CREATE, &own), 0);
	assert_int_equal(now_open(bus, 0, "a", CHECKPOINT_CREATE, &a), 0);
	assert_int_equal(ask_open(bus, 0, "b", CHECKPOINT_CREATE, &b), 0);
	bus->nodes[2].starves = true;
	bus_allocations = k;
	bus_run(bus);
	if (k > 0)
		assert_int_equal(ask_write(&a, "x", "1", &others), 0);
	bus->nodes[2].starves = false;
	assert_int_equal(ask_write(&own, "mine", "1", &mine), k > 0 ? 0 : -ESHUTDOWN);
	bus->nodes[2].starves = true;
	bus_run(bus);
	bus_allocations = -1;
	assert_non_null(bus->nodes[2].sync.broken);
	if (k > 0)
		assert_int_equal(mine.result, -ESHUTDOWN);
	checkpoint_close(own.handle);
	bus_crash(bus, 2);
	bus_configure(bus, "1245");
	bus_run(bus);
	assert_int_equal(b.result, 0);
	assert_int_equal(others.result, 0);
	assert_int_equal(now_write(bus, &b, "y", "2"), 0);
	bus_start(bus, 2);
	bus_configure(bus, "12345");
	bus_run(bus);
	bus_check_equal(bus, "12345");
	check_store(bus, 2, "a#1:1 b#2:1");
	check_sections(bus, 2, 2, "y=2");
	bus_free(bus);
}

static void who_has_no_memory_leaves_and_the_others_go_on(void **state)
{
	(void)state;
	for (long k = 0; k < 3; k++)
		run_out_of_memory(k);
}

static void request_that_has_no_memory_is_refused(void **state)
{
	struct bus *bus = bus_of_five();
	struct answer answer;
	struct user u, none;

	(void)state;
	assert_int_equal(now_open(bus, 2, "a", CHECKPOINT_CREATE, &u), 0);
	bus_starve(true);
	assert_int_equal(ask_open(bus, 2, "b", CHECKPOINT_CREATE, &none), -ENOMEM);
	assert_int_equal(ask_write(&u, "x", "1", &answer), -ENOMEM);
	assert_int_equal(ask_unlink(bus, 2, "a", &answer), -ENOMEM);
	bus_starve(false);
	assert_int_equal(answer.count, 0);
	assert_int_equal(now_write(bus, &u, "x", "1"), 0);
	bus_free(bus);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_one_writes_all_read),
		cmocka_unit_test(open_says_what_is_there),
		cmocka_unit_test(one_of_two_exclusive_opens_wins),
		cmocka_unit_test(answers_come_in_the_order_of_the_requests),
		cmocka_unit_test(name_is_free_while_the_unlinked_is_open),
		cmocka_unit_test(linked_stays_without_a_reference),
		cmocka_unit_test(close_is_right_at_any_time),
		cmocka_unit_test(what_is_not_open_yet_is_refused),
		cmocka_unit_test(without_credit_it_says_so_and_calls_later),
		cmocka_unit_test(close_waits_for_credit_by_itself),
		cmocka_unit_test(number_of_checkpoints_is_bounded),
		cmocka_unit_test(number_of_opens_is_bounded_by_node),
		cmocka_unit_test(sections_and_bytes_are_bounded),
		cmocka_unit_test(names_are_any_bytes),
		cmocka_unit_test(what_is_cut_is_counted_and_changes_nothing),
		cmocka_unit_test(what_nobody_asked_is_nobodys_answer),
		cmocka_unit_test(only_who_has_it_open_changes_it),
		cmocka_unit_test(every_result_has_a_sentence),
		cmocka_unit_test(who_has_no_memory_leaves_and_the_others_go_on),
		cmocka_unit_test(request_that_has_no_memory_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
