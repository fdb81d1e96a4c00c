/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What no lock manager says, but somebody who has the key: counted and dropped, with the
 * same decision on all nodes. And a node whose table is not what others have (M6).
 */
#include "tests/unit/manager_scene.h"

#include <string.h>
#include <sys/uio.h>

#include "base/codec.h"
#include "lockres/manager_private.h"
#include "totem/totem.h"

enum { NODES = 3, LIAR = 2, LIAR_TICKET = 2 };

/* Nodes 1 and 2 have lockspace x and a lock each; node 2 has a second mouth. */
struct lie {
	struct scene *s;
	struct guest g[2];
	struct claim locks[2];
	struct group *mouth;
};

static void lie_open(struct lie *l)
{
	static const struct group_handlers deaf = { .deliver = NULL };
	struct err err = ERR_INIT;

	l->s = scene_new(NODES);
	guest_open(&l->g[0], l->s, 1, "x");
	guest_open(&l->g[1], l->s, LIAR, "x");
	claim_take(&l->locks[0], &l->g[0], "a", LOCK_EX, 0);
	claim_take(&l->locks[1], &l->g[1], "b", LOCK_EX, 0);
	assert_ok(group_join(totem_groups(l->s->world->nodes[LIAR - 1].totem),
			     LOCK_MANAGER_GROUP, strlen(LOCK_MANAGER_GROUP), &deaf, NULL,
			     &l->mouth, &err), err);
	scene_run(l->s, SCENE_QUIET_MS);
}

static void say(struct lie *l, const void *bytes, size_t length)
{
	const struct iovec part = { (void *)(uintptr_t)bytes, length };

	assert_int_equal(group_multicast(l->mouth, GROUP_AGREED, &part, 1), 0);
	sim_wake(l->s->world, LIAR - 1);
	scene_run(l->s, SCENE_QUIET_MS);
}

/* All count it once, and nothing else has changed. */
static void expect_fault(struct lie *l, enum lock_manager_fault fault, const char *what)
{
	for (int i = 1; i <= NODES; i++)
		if (scene_faults(l->s, i, fault) != 1)
			fail_msg("%s: node %d counts %d", what, i,
				 (int)scene_faults(l->s, i, fault));
	assert_int_equal(lock_table_locks(scene_look(l->s, 3, 0).table), 2);
	scene_expect_equal(l->s);
}

static struct manager_order batch_of(struct lie *l)
{
	const struct lockspace_look look = scene_look(l->s, LIAR, 0);
	struct manager_order o = { .kind = MANAGER_BATCH, .ticket = LIAR_TICKET,
				   .serial = 2 };

	o.id = (struct space_id){ look.made_on, 1, look.made_by, look.made_as };
	o.thaw = 0; /* it never froze */
	return o;
}

static void say_op(struct lie *l, const struct manager_order *o, const struct manager_op *op)
{
	uint8_t bytes[512];
	struct wr wr = wr_over(bytes, sizeof(bytes));

	wr.at = manager_order_write(o, bytes, sizeof(bytes));
	manager_op_write(&wr, op, LOCK_LARGE_LVB);
	say(l, bytes, wr.at);
}

static void lie_end(struct lie *l)
{
	scene_free(l->s);
}

static const struct manager_op sound = { .op = LOCK_OP_REQUEST, .number = LIAR_TICKET << 20 | 9,
					 .mode = LOCK_PR, .name = "c", .name_length = 1 };

static void a_sound_one_counts(void **state)
{
	struct lie l;
	struct manager_order o;

	(void)state;
	lie_open(&l);
	o = batch_of(&l);
	say_op(&l, &o, &sound);
	for (int i = 1; i <= NODES; i++)
		assert_int_equal(lock_table_locks(scene_look(l.s, i, 0).table), 3);
	lie_end(&l);
}

static void of_a_lockspace_that_is_not_there(void **state)
{
	struct lie l;
	struct manager_order o;

	(void)state;
	lie_open(&l);
	o = batch_of(&l);
	o.id.count += 7;
	say_op(&l, &o, &sound);
	expect_fault(&l, LOCK_FAULT_SPACE, "lockspace");
	lie_end(&l);
}

static void of_another_member_or_before_its_turn(void **state)
{
	struct lie l;
	struct manager_order o;

	(void)state;
	lie_open(&l);
	o = batch_of(&l);
	o.ticket = 1;
	say_op(&l, &o, &sound);
	expect_fault(&l, LOCK_FAULT_STRANGER, "ticket");
	o.ticket = LIAR_TICKET;
	o.serial = 4;
	say_op(&l, &o, &sound);
	expect_fault(&l, LOCK_FAULT_ORDER, "serial");
	o.serial = 1;
	say_op(&l, &o, &sound);
	for (int i = 1; i <= NODES; i++)
		assert_int_equal(lock_manager_stats(scene_manager(l.s, i))->duplicates, 1);
	lie_end(&l);
}

static void of_another_thaw(void **state)
{
	struct lie l;
	struct manager_order o;

	(void)state;
	lie_open(&l);
	o = batch_of(&l);
	o.thaw = 5;
	say_op(&l, &o, &sound);
	for (int i = 1; i <= NODES; i++)
		assert_int_equal(lock_manager_stats(scene_manager(l.s, i))->stale, 1);
	lie_end(&l);
}

/* What comes behind a batch's head, and is no operation. */
static void expect_damaged(const void *operation, size_t length, const char *what)
{
	uint8_t bytes[512];
	struct manager_order o;
	struct lie l;
	size_t at;

	lie_open(&l);
	o = batch_of(&l);
	at = manager_order_write(&o, bytes, sizeof(bytes));
	memcpy(bytes + at, operation, length);
	say(&l, bytes, at + length);
	expect_fault(&l, LOCK_FAULT_MESSAGE, what);
	lie_end(&l);
}

static void operations_that_are_none(void **state)
{
	uint8_t bytes[256];
	struct wr wr = wr_over(bytes, sizeof(bytes));
	struct manager_op op = sound;

	(void)state;
	manager_op_write(&wr, &op, LOCK_LARGE_LVB);
	bytes[5] = 9;
	expect_damaged(bytes, wr.at, "a mode of 9");
	bytes[5] = LOCK_PR;
	expect_damaged(bytes, wr.at - 1, "a name that is cut");
	bytes[14] = 0;
	expect_damaged(bytes, wr.at - 1, "a name of 0 bytes");
	memset(bytes + 15, 'n', 65);
	bytes[14] = 65;
	expect_damaged(bytes, 15 + 65, "a name of 65 bytes");
	bytes[0] = 7;
	expect_damaged(bytes, wr.at, "a kind of 7");
	bytes[0] = LOCK_OP_REQUEST | 0x20;
	expect_damaged(bytes, wr.at, "a bit that is none");
	bytes[0] = LOCK_OP_REQUEST | 0x10;
	bytes[14] = 1;
	expect_damaged(bytes, 15 + 1 + LOCK_SMALL_LVB, "a value that is too short");
}

static void expect_refused(struct manager_op op, const char *what)
{
	struct lie l;
	struct manager_order o;

	lie_open(&l);
	o = batch_of(&l);
	say_op(&l, &o, &op);
	expect_fault(&l, LOCK_FAULT_ARGUMENT, what);
	assert_int_equal(l.locks[0].answers, 1);
	assert_int_equal(l.locks[1].answers, 1);
	lie_end(&l);
}

static void operations_that_no_caller_may_ask_for(void **state)
{
	struct manager_op op = sound;

	(void)state;
	op.flags = LOCK_CONVERT;
	expect_refused(op, "a request to convert");
	op.flags = LOCK_NOORDER | LOCK_HEADQUE | LOCK_EXPEDITE;
	expect_refused(op, "flags that exclude each other");
	op.flags = 0x80000000;
	expect_refused(op, "a flag that is none");
	op.flags = 0;
	op.number = LIAR_TICKET << 20;
	expect_refused(op, "a number that is taken");
	op.op = LOCK_OP_CONVERT;
	op.flags = LOCK_CONVERT;
	op.number++;
	expect_refused(op, "a conversion of nothing");
	op.op = LOCK_OP_UNLOCK;
	op.flags = 0;
	expect_refused(op, "an unlock of nothing");
	op.number--;
	op.flags = LOCK_VALBLK;
	expect_refused(op, "a value that did not come along");
}

static void messages_that_are_none(void **state)
{
	uint8_t bytes[128];
	struct manager_order o = { .kind = MANAGER_OPEN, .incarnation = 1, .opening = 9,
				   .lvb_bytes = LOCK_LARGE_LVB, .slots = 3,
				   .wanted_slot = -1, .name = "y", .name_length = 1 };
	struct lie l;
	size_t length;
	int count = 0;

	(void)state;
	lie_open(&l);
	length = manager_order_write(&o, bytes, sizeof(bytes));
	say(&l, bytes, 1);
	say(&l, bytes, length - 1);
	memset(bytes + length, 'y', 64);
	say(&l, bytes, length + 64); /* a name of 65 bytes */
	bytes[13] = 48;
	say(&l, bytes, length); /* values of 48 */
	bytes[13] = LOCK_LARGE_LVB;
	bytes[14] = 0;
	say(&l, bytes, length); /* no slots */
	bytes[14] = 129;
	say(&l, bytes, length);
	for (int kind = 0; kind < 256; kind += kind == 0 ? 5 : 50, count++) {
		bytes[0] = (uint8_t)kind;
		say(&l, bytes, length);
	}
	for (int i = 1; i <= NODES; i++)
		assert_int_equal(scene_faults(l.s, i, LOCK_FAULT_MESSAGE), 6 + count);
	o = (struct manager_order){ .kind = MANAGER_DEAD, .node = 77, .incarnation = 1 };
	say(&l, bytes, manager_order_write(&o, bytes, sizeof(bytes)));
	expect_fault(&l, LOCK_FAULT_ARGUMENT, "a node that is none");
	lie_end(&l);
}

static void who_lies_about_itself_is_closed_again(void **state)
{
	struct manager_order o = { .kind = MANAGER_OPEN, .opening = 77,
				   .lvb_bytes = LOCK_LARGE_LVB, .slots = 128,
				   .wanted_slot = 100, .name = "y", .name_length = 1 };
	uint8_t bytes[64];
	struct lie l;

	(void)state;
	lie_open(&l);
	o.incarnation = l.s->world->nodes[LIAR - 1].incarnation;
	say(&l, bytes, manager_order_write(&o, bytes, sizeof(bytes)));
	for (int i = 1; i <= NODES; i++)
		assert_int_equal(scene_look(l.s, i, 1).member_count, 1);
	scene_cut_off(l.s, 3);
	scene_run(l.s, SCENE_RING_MS);
	scene_heal(l.s);
	for (int i = 1; i <= NODES; i++) {
		struct lockspace_look look;

		assert_false(lock_manager_look(scene_manager(l.s, i), 1, &look));
	}
	lie_end(&l);
}

static void a_proof_of_an_earlier_process_is_none(void **state)
{
	struct manager_order o = { .kind = MANAGER_DEAD, .node = 1 };
	uint8_t bytes[64];
	struct lie l;

	(void)state;
	lie_open(&l);
	o.incarnation = scene_incarnation(l.s, 1) - 1;
	scene_crash(l.s, 1);
	say(&l, bytes, manager_order_write(&o, bytes, sizeof(bytes)));
	assert_true(l.g[1].is_prepped);
	o.incarnation++;
	say(&l, bytes, manager_order_write(&o, bytes, sizeof(bytes)));
	assert_false(l.g[1].is_prepped);
	lie_end(&l);
}

/* --- M6 ------------------------------------------------------------------------------------ */

/* The failure is taken note of, and the cluster goes on. */
static void forgive(struct scene *s)
{
	if (!strstr(s->world->failure, "n3 has other locks in x") &&
	    !strstr(s->world->failure, "n3 leaves"))
		fail_msg("%s", s->world->failure);
	s->world->failure[0] = '\0';
}

static void a_node_with_another_table_leaves_and_takes_that_of_the_others(void **state)
{
	struct scene *s = scene_new(4);
	struct guest g[2];
	struct claim held;
	struct lock_table *behind;

	(void)state;
	guest_open(&g[0], s, 1, "x");
	guest_open(&g[1], s, 2, "x");
	claim_take(&held, &g[0], "r", LOCK_EX, 0);
	behind = (struct lock_table *)(uintptr_t)scene_look(s, 3, 0).table;
	assert_int_equal(lock_table_lock(behind, &(struct lock_order){
						 .key = { 2, 77 }, .mode = LOCK_EX,
						 .name = "s", .name_length = 1 }), 0);
	sim_crash(s->world, 3);
	for (int i = 0; i < 40 && !s->world->nodes[2].is_broken; i++) {
		scene_run(s, SCENE_RING_MS / 10);
		if (s->world->failure[0])
			forgive(s);
	}
	assert_true(s->world->nodes[2].is_broken);
	while (scene_run(s, SCENE_RING_MS), s->world->failure[0])
		forgive(s);
	assert_true(lock_manager_stats(scene_manager(s, 1))->diverged > 0);
	assert_false(s->world->nodes[0].is_broken);
	sim_crash(s->world, 2);
	sim_start(s->world, 2);
	sim_start(s->world, 3);
	scene_run(s, SCENE_RING_MS);
	assert_int_equal(g[0].losses, 0);
	assert_int_equal(lock_table_locks(scene_look(s, 3, 0).table), 1);
	scene_expect_equal(s);
	scene_free(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_sound_one_counts),
		cmocka_unit_test(of_a_lockspace_that_is_not_there),
		cmocka_unit_test(of_another_member_or_before_its_turn),
		cmocka_unit_test(of_another_thaw),
		cmocka_unit_test(operations_that_are_none),
		cmocka_unit_test(operations_that_no_caller_may_ask_for),
		cmocka_unit_test(messages_that_are_none),
		cmocka_unit_test(who_lies_about_itself_is_closed_again),
		cmocka_unit_test(a_proof_of_an_earlier_process_is_none),
		cmocka_unit_test(
			a_node_with_another_table_leaves_and_takes_that_of_the_others),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
