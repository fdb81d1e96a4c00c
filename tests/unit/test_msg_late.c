/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Somebody does not answer: H8 of msg/channel.h. Each step that waits for others has a
 * deadline; who is in the way is named; what is given up is over before anything of it
 * is used again (B30, B47), and nothing is tried again without a wait (B48).
 */
#include "tests/unit/msg_rig.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/help.h"

#define SECOND_NS UINT64_C(1000000000)

static void pass(struct msg_rig *rig, unsigned int seconds)
{
	lock_rig_advance_ns(rig->locks, seconds * SECOND_NS);
	msg_rig_run(rig);
}

static void check_evicted(const struct msg_node *n, size_t count, uint32_t node,
			  const char *why)
{
	assert_int_equal(n->evicted_count, count);
	assert_int_equal(n->evicted[count - 1], node);
	assert_string_equal(n->why, why);
}

static void say_many(struct msg_rig *rig, int count)
{
	for (int i = 0; i < count; i++)
		msg_rig_said(rig, 1 + i % rig->count, 0);
	msg_rig_check_idle(rig);
}

static void check_heard_once(const struct msg_rig *rig)
{
	for (const struct said *s = rig->said; s; s = s->next)
		for (int i = 1; i <= rig->count; i++)
			assert_true(msg_rig_heard(rig, i, s->number) <= 1);
}

/* --- step 4 -------------------------------------------------------------------------- */

/* B30: 31 s in a handler, then a thousand messages. */
static void a_receiver_of_31_seconds_and_then_1000_messages(void **state)
{
	struct msg_rig *rig = msg_rig_new(3);
	struct said *s;

	(void)state;
	rig->nodes[2].is_slow = true;
	s = msg_rig_say(rig, 1);
	msg_rig_run(rig);
	pass(rig, 29);
	assert_int_equal(s->status, PENDING);
	assert_int_equal(rig->nodes[1].evicted_count, 0);
	pass(rig, 2);
	assert_int_equal(s->status, -ETIMEDOUT);
	assert_string_equal(s->result.why.text,
			    "RESYNCING was given up: node 2 has not acknowledged it");
	check_evicted(&rig->nodes[1], 1, 2,
		      "node 2 has not acknowledged RESYNCING, for 30 s now");
	rig->nodes[2].is_slow = false;
	msg_rig_handle(&rig->nodes[2], MSG_ACCEPTED, NULL);
	msg_rig_run(rig);
	msg_rig_check_idle(rig);
	say_many(rig, 1000);
	check_heard_once(rig);
	for (int i = 1; i <= 3; i++)
		assert_int_equal(rig->nodes[i].missed, 0);
	msg_rig_free(rig);
}

/* B30, as the answer and the deadline's cancel cross: both orders, and what follows. */
static void an_answer_that_crosses_the_deadline(void **state)
{
	int granted = 0, late = 0;

	(void)state;
	for (int order = 0; order < 2; order++)
		for (unsigned int steps = 0; steps < 4; steps++) {
			struct msg_rig *rig = msg_rig_new(2);
			struct said *s;

			rig->nodes[2].is_slow = true;
			s = msg_rig_say(rig, 1);
			msg_rig_run(rig);
			if (order)
				msg_rig_handle(&rig->nodes[2], MSG_ACCEPTED, NULL);
			lock_rig_advance_ns(rig->locks, 30 * SECOND_NS);
			for (unsigned int i = 0; i < steps; i++)
				lock_rig_step(rig->locks);
			if (!order)
				msg_rig_handle(&rig->nodes[2], MSG_ACCEPTED, NULL);
			rig->nodes[2].is_slow = false;
			msg_rig_run(rig);
			granted += s->status == 0;
			late += s->status == -ETIMEDOUT;
			assert_int_equal(s->ends, 1);
			say_many(rig, 10);
			check_heard_once(rig);
			msg_rig_free(rig);
		}
	assert_int_equal(granted + late, 8);
	assert_true(granted > 0 && late > 0);
}

/* All that have not answered are named, and no other. */
static void who_has_not_acknowledged_is_named(void **state)
{
	struct msg_rig *rig = msg_rig_new(6);
	struct said *s;

	(void)state;
	rig->nodes[3].is_slow = rig->nodes[5].is_slow = true;
	s = msg_rig_say(rig, 1);
	msg_rig_run(rig);
	pass(rig, 30);
	assert_int_equal(s->status, -ETIMEDOUT);
	assert_string_equal(s->result.why.text,
			    "RESYNCING was given up: node 3, node 5 has not acknowledged it");
	assert_int_equal(rig->nodes[1].evicted_count, 2);
	assert_int_equal(rig->nodes[1].evicted[0], 3);
	assert_int_equal(rig->nodes[1].evicted[1], 5);
	msg_rig_free(rig);
}

/* Who is to be put out is waited for, and when it is dead all have handled it. */
static void who_is_evicted_is_waited_for_no_longer(void **state)
{
	struct msg_rig *rig = msg_rig_new(4);
	struct said *s;

	(void)state;
	rig->nodes[1].evicts = true;
	rig->nodes[4].is_slow = true;
	s = msg_rig_say(rig, 1);
	msg_rig_run(rig);
	pass(rig, 30);
	assert_int_equal(s->status, PENDING);
	msg_rig_kill(rig, 4);
	msg_rig_bury(rig, 4);
	assert_int_equal(s->status, 0);
	assert_int_equal(msg_rig_heard(rig, 2, s->number), 1);
	msg_rig_check_works(rig);
	msg_rig_free(rig);
}

/* B48: one request more for each deadline, however often. */
static void waiting_again_is_no_storm(void **state)
{
	struct msg_rig *rig = msg_rig_new(3);
	struct said *s;

	(void)state;
	rig->nodes[1].evicts = true;
	rig->nodes[3].is_slow = true;
	s = msg_rig_say(rig, 1);
	msg_rig_run(rig);
	for (unsigned int i = 1; i <= 3; i++) {
		unsigned int before = lock_rig_steps(rig->locks);

		pass(rig, 30);
		assert_int_equal(s->status, PENDING);
		assert_int_equal(rig->nodes[1].evicted_count, i);
		assert_in_range(lock_rig_steps(rig->locks) - before, 1, 3);
	}
	rig->nodes[3].is_slow = false;
	msg_rig_handle(&rig->nodes[3], MSG_ACCEPTED, NULL);
	msg_rig_run(rig);
	assert_int_equal(s->status, 0);
	msg_rig_check_works(rig);
	msg_rig_free(rig);
}

/* One that does not even read: it hears the last of what was said, and knows of the rest. */
static void who_was_deaf_for_two_messages_missed_one(void **state)
{
	struct msg_rig *rig = msg_rig_new(3);
	struct said *first, *second;

	(void)state;
	lock_rig_deafen(rig->locks, 3, true);
	first = msg_rig_say(rig, 1);
	msg_rig_run(rig);
	pass(rig, 31);
	assert_int_equal(first->status, -ETIMEDOUT);
	second = msg_rig_say(rig, 1);
	msg_rig_run(rig);
	pass(rig, 31);
	assert_int_equal(second->status, -ETIMEDOUT);
	lock_rig_deafen(rig->locks, 3, false);
	msg_rig_run(rig);
	assert_int_equal(msg_rig_heard(rig, 3, first->number), 0);
	assert_int_equal(msg_rig_heard(rig, 3, second->number), 1);
	assert_int_equal(rig->nodes[3].missed, 1);
	assert_int_equal(rig->nodes[2].missed, 0);
	say_many(rig, 20);
	check_heard_once(rig);
	msg_rig_free(rig);
}

/* --- steps 1 and 2 ------------------------------------------------------------------- */

/* Given up at step 4, the next one comes no further than step 2. */
static void the_next_message_waits_for_the_slow_one_too(void **state)
{
	struct msg_rig *rig = msg_rig_new(3);
	struct said *s;

	(void)state;
	rig->nodes[2].is_slow = true;
	msg_rig_say(rig, 1);
	msg_rig_run(rig);
	pass(rig, 30);
	s = msg_rig_say(rig, 3);
	msg_rig_run(rig);
	pass(rig, 30);
	assert_int_equal(s->status, -ETIMEDOUT);
	assert_int_equal(s->result.sequence, 0);
	assert_string_equal(s->result.why.text,
			    "RESYNCING was not said: node 2 is not over the message before");
	check_evicted(&rig->nodes[3], 1, 2,
		      "node 2 is not over the message before, for 30 s now");
	assert_int_equal(msg_rig_heard(rig, 1, s->number), 0);
	/* and a third one that waits is served as soon as it can be */
	rig->nodes[3].evicts = true;
	s = msg_rig_say(rig, 3);
	msg_rig_run(rig);
	pass(rig, 30);
	rig->nodes[2].is_slow = false;
	msg_rig_handle(&rig->nodes[2], MSG_ACCEPTED, NULL);
	msg_rig_run(rig);
	assert_int_equal(s->status, 0);
	say_many(rig, 20);
	msg_rig_free(rig);
}

static void who_keeps_token_is_named(void **state)
{
	struct msg_rig *rig = msg_rig_new(3);
	struct told_compound told, late;
	struct said *first, *second;

	(void)state;
	msg_rig_begin(rig, 1, &told);
	msg_rig_run(rig);
	first = msg_rig_say(rig, 2);
	msg_rig_begin(rig, 2, &late);
	second = msg_rig_say(rig, 2);
	msg_rig_run(rig);
	pass(rig, 119);
	assert_int_equal(first->status, PENDING);
	pass(rig, 1);
	assert_int_equal(first->status, -ETIMEDOUT);
	assert_string_equal(first->result.why.text, "nothing was said: node 1 keeps token");
	check_evicted(&rig->nodes[2], 1, 1, "node 1 keeps token, for 120 s now");
	/* what is behind it waits for itself */
	assert_int_equal(late.begun, PENDING);
	pass(rig, 120);
	assert_int_equal(late.begun, -ETIMEDOUT);
	rig->nodes[2].evicts = true;
	pass(rig, 120);
	assert_int_equal(second->status, PENDING);
	msg_compound_end(rig->nodes[1].channel, &told.c);
	msg_rig_run(rig);
	assert_int_equal(second->status, 0);
	msg_rig_check_works(rig);
	msg_rig_free(rig);
}

/* It has nobody to tell: it goes on waiting. */
static void a_joiner_waits_for_token_as_long_as_it_takes(void **state)
{
	struct msg_rig *rig = msg_rig_empty(3);
	struct told_compound told;
	struct said *s;

	(void)state;
	msg_rig_join(rig, 1);
	msg_rig_join(rig, 2);
	msg_rig_run(rig);
	msg_rig_begin(rig, 1, &told);
	msg_rig_run(rig);
	msg_rig_join(rig, 3);
	s = msg_rig_say(rig, 3);
	msg_rig_run(rig);
	pass(rig, 120);
	pass(rig, 120);
	assert_false(rig->nodes[3].is_ready);
	assert_int_equal(rig->nodes[3].evicted_count, 2);
	assert_int_equal(s->status, PENDING);
	msg_compound_end(rig->nodes[1].channel, &told.c);
	msg_rig_run(rig);
	assert_true(rig->nodes[3].is_ready);
	assert_int_equal(s->status, 0);
	msg_rig_free(rig);
}

/* --- receivers ----------------------------------------------------------------------- */

/* R4: the sender stops with its message out. */
static void a_sender_that_hangs_is_named_by_who_waits_for_it(void **state)
{
	struct msg_rig *rig = msg_rig_new(3);
	struct said *s = msg_rig_say(rig, 1);

	(void)state;
	assert_true(msg_rig_until(rig, "1 convert EX ack"));
	lock_rig_deafen(rig->locks, 1, true);
	msg_rig_run(rig);
	for (unsigned int i = 1; i <= 2; i++) {
		pass(rig, 120);
		check_evicted(&rig->nodes[2], i, 1,
			      "node 1 does not end its message, for 120 s now");
		check_evicted(&rig->nodes[3], i, 1,
			      "node 1 does not end its message, for 120 s now");
	}
	msg_rig_kill(rig, 1);
	msg_rig_bury(rig, 1);
	assert_int_equal(msg_rig_heard(rig, 2, s->number), 1);
	msg_rig_check_works(rig);
	msg_rig_free(rig);
}

/* A receiver that is late to read meets the next sender, which hangs with EX. */
static void who_keeps_a_message_from_being_read_is_named(void **state)
{
	struct msg_rig *rig = msg_rig_new(3);

	(void)state;
	lock_rig_deafen(rig->locks, 3, true);
	msg_rig_say(rig, 1);
	msg_rig_run(rig);
	pass(rig, 30);
	msg_rig_say(rig, 2);
	assert_true(msg_rig_until(rig, "2 convert EX message"));
	lock_rig_deafen(rig->locks, 2, true);
	msg_rig_run(rig);
	lock_rig_deafen(rig->locks, 3, false);
	msg_rig_run(rig);
	pass(rig, 30);
	check_evicted(&rig->nodes[3], 1, 2,
		      "node 2 keeps its message from being read, for 30 s now");
	lock_rig_deafen(rig->locks, 2, false);
	msg_rig_run(rig);
	say_many(rig, 20);
	check_heard_once(rig);
	msg_rig_free(rig);
}

static void who_keeps_nack_is_named(void **state)
{
	struct msg_rig *rig = msg_rig_new(3);
	struct said *s;

	(void)state;
	rig->nodes[2].refusal = rig->nodes[3].refusal = MSG_REFUSED_IO;
	rig->nodes[1].evicts = true;
	s = msg_rig_say(rig, 1);
	assert_true(msg_rig_until(rig, "2 convert EX nack"));
	lock_rig_deafen(rig->locks, 2, true);
	msg_rig_run(rig);
	pass(rig, 30);
	check_evicted(&rig->nodes[3], 1, 2, "node 2 keeps nack, for 30 s now");
	/* it dies with nack: the other's reason is told all the same */
	msg_rig_kill(rig, 2);
	msg_rig_bury(rig, 2);
	assert_int_equal(s->status, -EREMOTEIO);
	assert_int_equal(s->result.nack.slot, 2);
	assert_int_equal(s->result.nack.count, 1);
	rig->nodes[3].refusal = MSG_ACCEPTED;
	msg_rig_check_works(rig);
	msg_rig_free(rig);
}

/* --- engines and deaths -------------------------------------------------------------- */

static size_t knows_nobody(const struct lockres *lock, uint32_t *nodes, size_t room)
{
	(void)lock;
	(void)nodes;
	(void)room;
	return 0;
}

/* Where the engine cannot say who it is: once more, then it is given up. */
static void where_nobody_is_known_it_is_given_up_the_second_time(void **state)
{
	struct msg_rig *rig = msg_rig_new(2);
	struct lockspace_engine *engine = lock_rig_engine(rig->locks, 1);
	struct lockspace_engine_ops ops = *engine->ops;
	const struct lockspace_engine_ops *before = engine->ops;
	struct said *s;

	(void)state;
	ops.blockers = knows_nobody;
	engine->ops = &ops;
	rig->nodes[2].is_slow = true;
	s = msg_rig_say(rig, 1);
	msg_rig_run(rig);
	pass(rig, 30);
	assert_int_equal(s->status, PENDING);
	pass(rig, 30);
	assert_int_equal(s->status, -ETIMEDOUT);
	assert_string_equal(s->result.why.text,
			    "RESYNCING was given up: a node that is not known has not "
			    "acknowledged it");
	assert_int_equal(rig->nodes[1].evicted_count, 0);
	engine->ops = before;
	msg_rig_free(rig);
}

/* The proof of a death takes longer than all deadlines: nothing else is lost by it. */
static void a_proof_may_take_longer_than_all_deadlines(void **state)
{
	(void)state;
	for (unsigned int at = 0; at < 24; at++) {
		struct msg_rig *rig = msg_rig_new(4);
		struct said *a, *b;

		for (int i = 1; i <= 4; i++)
			rig->nodes[i].evicts = true;
		a = msg_rig_say(rig, 1);
		b = msg_rig_say(rig, 2);
		for (unsigned int i = 0; i < at; i++)
			lock_rig_step(rig->locks);
		msg_rig_kill(rig, 4);
		for (int i = 0; i < 10; i++)
			pass(rig, 60);
		msg_rig_bury(rig, 4);
		assert_int_equal(a->status, 0);
		assert_int_equal(b->status, 0);
		check_heard_once(rig);
		msg_rig_check_idle(rig);
		msg_rig_check_works(rig);
		msg_rig_free(rig);
	}
}

/* A cancel ends the wait, whatever it is for. */
static void a_cancel_ends_the_wait_of_each_step(void **state)
{
	struct msg_rig *rig = msg_rig_new(3);
	struct said *first, *second, *third;

	(void)state;
	rig->nodes[2].is_slow = true;
	first = msg_rig_say(rig, 1);
	msg_rig_run(rig);
	third = msg_rig_say(rig, 3); /* at step 1 */
	msg_rig_run(rig);
	assert_int_equal(msg_cancel(rig->nodes[3].channel, &third->send), 0);
	third->status = -ECANCELED;
	assert_int_equal(msg_cancel(rig->nodes[1].channel, &first->send), -EINPROGRESS);
	msg_rig_run(rig);
	assert_int_equal(first->status, -ECANCELED); /* step 4 */
	second = msg_rig_say(rig, 3);
	msg_rig_run(rig);
	assert_int_equal(second->status, PENDING);
	assert_int_equal(msg_cancel(rig->nodes[3].channel, &second->send), -EINPROGRESS);
	msg_rig_run(rig);
	assert_int_equal(second->status, -ECANCELED); /* step 2 */
	rig->nodes[2].is_slow = false;
	msg_rig_handle(&rig->nodes[2], MSG_ACCEPTED, NULL);
	msg_rig_run(rig);
	say_many(rig, 20);
	check_heard_once(rig);
	msg_rig_free(rig);
}

static void cancel_last(struct msg_node *n)
{
	assert_int_equal(msg_cancel(n->channel, &n->rig->said->send), -EINPROGRESS);
}

/* Cancelled as its owner is told who is late: there is no other wait. */
static void a_cancel_as_one_is_named_is_heeded(void **state)
{
	(void)state;
	for (int at_step_2 = 0; at_step_2 < 2; at_step_2++) {
		struct msg_rig *rig = msg_rig_new(3);
		struct said *s;

		rig->nodes[2].is_slow = true;
		s = msg_rig_say(rig, 1);
		msg_rig_run(rig);
		if (at_step_2) {
			pass(rig, 30);
			assert_int_equal(s->status, -ETIMEDOUT);
			s = msg_rig_say(rig, 1);
			msg_rig_run(rig);
		}
		rig->nodes[1].evicts = true;
		rig->nodes[1].on_evict = cancel_last;
		pass(rig, 30);
		assert_int_equal(s->status, -ECANCELED);
		rig->nodes[2].is_slow = false;
		msg_rig_handle(&rig->nodes[2], MSG_ACCEPTED, NULL);
		msg_rig_run(rig);
		say_many(rig, 9);
		msg_rig_free(rig);
	}
}

/* Cancelled behind its deadline, before that is known: nobody is to blame. */
static void a_cancel_is_the_owners_whatever_the_deadline_says(void **state)
{
	struct msg_rig *rig = msg_rig_new(3);
	struct said *s;

	(void)state;
	rig->nodes[2].is_slow = true;
	s = msg_rig_say(rig, 1);
	msg_rig_run(rig);
	lock_rig_advance_ns(rig->locks, 30 * SECOND_NS);
	assert_int_equal(msg_cancel(rig->nodes[1].channel, &s->send), -EINPROGRESS);
	msg_rig_run(rig);
	assert_int_equal(s->status, -ECANCELED);
	assert_int_equal(rig->nodes[1].evicted_count, 0);
	rig->nodes[2].is_slow = false;
	msg_rig_handle(&rig->nodes[2], MSG_ACCEPTED, NULL);
	msg_rig_run(rig);
	say_many(rig, 9);
	msg_rig_free(rig);
}

/* B47: cancelled, late and answered at once, at each step: all is over before it is used. */
static void cancel_deadline_and_answer_meet(void **state)
{
	(void)state;
	for (unsigned int at = 0; at < 12; at++)
		for (unsigned int more = 0; more < 4; more++) {
			struct msg_rig *rig = msg_rig_new(3);
			struct said *s;

			rig->nodes[2].is_slow = true;
			s = msg_rig_say(rig, 1);
			for (unsigned int i = 0; i < at; i++)
				lock_rig_step(rig->locks);
			lock_rig_advance_ns(rig->locks, 120 * SECOND_NS);
			if (s->status == PENDING &&
			    msg_cancel(rig->nodes[1].channel, &s->send) == 0)
				s->status = -ECANCELED;
			for (unsigned int i = 0; i < more; i++)
				lock_rig_step(rig->locks);
			rig->nodes[2].is_slow = false;
			if (rig->nodes[2].is_open)
				msg_rig_handle(&rig->nodes[2], MSG_ACCEPTED, NULL);
			msg_rig_run(rig);
			assert_true(s->status != PENDING);
			say_many(rig, 9);
			check_heard_once(rig);
			msg_rig_free(rig);
		}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_receiver_of_31_seconds_and_then_1000_messages),
		cmocka_unit_test(an_answer_that_crosses_the_deadline),
		cmocka_unit_test(who_has_not_acknowledged_is_named),
		cmocka_unit_test(who_is_evicted_is_waited_for_no_longer),
		cmocka_unit_test(waiting_again_is_no_storm),
		cmocka_unit_test(who_was_deaf_for_two_messages_missed_one),
		cmocka_unit_test(the_next_message_waits_for_the_slow_one_too),
		cmocka_unit_test(who_keeps_token_is_named),
		cmocka_unit_test(a_joiner_waits_for_token_as_long_as_it_takes),
		cmocka_unit_test(a_sender_that_hangs_is_named_by_who_waits_for_it),
		cmocka_unit_test(who_keeps_a_message_from_being_read_is_named),
		cmocka_unit_test(who_keeps_nack_is_named),
		cmocka_unit_test(where_nobody_is_known_it_is_given_up_the_second_time),
		cmocka_unit_test(a_proof_may_take_longer_than_all_deadlines),
		cmocka_unit_test(a_cancel_ends_the_wait_of_each_step),
		cmocka_unit_test(a_cancel_as_one_is_named_is_heeded),
		cmocka_unit_test(a_cancel_is_the_owners_whatever_the_deadline_says),
		cmocka_unit_test(cancel_deadline_and_answer_meet),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
