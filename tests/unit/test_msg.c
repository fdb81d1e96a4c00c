/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The handshake while nobody fails: H1 to H6 and H9 of msg/channel.h. What happens when
 * nodes die is in test_msg_death.c, when they are late in test_msg_late.c, when the values
 * are strange in test_msg_bad.c.
 */
#include "tests/unit/msg_rig.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "msg/channel_private.h"
#include "tests/unit/help.h"

/* --- one message --------------------------------------------------------------------- */

/* H2, for each number of receivers: the sender is told when all are through. */
static void all_hear_it_once_before_the_sender_knows(void **state)
{
	(void)state;
	for (int nodes = 1; nodes <= 9; nodes++) {
		struct msg_rig *rig = msg_rig_new(nodes);
		struct said *s = msg_rig_say(rig, 1);

		while (s->status == PENDING)
			assert_true(lock_rig_step(rig->locks));
		assert_int_equal(s->status, 0);
		assert_int_equal(s->result.sequence, 1);
		for (int i = 2; i <= nodes; i++)
			assert_int_equal(msg_rig_heard(rig, i, s->number), 1);
		assert_int_equal(msg_rig_heard(rig, 1, s->number), 0);
		msg_rig_run(rig);
		msg_rig_check_idle(rig);
		msg_rig_check_works(rig);
		msg_rig_free(rig);
	}
}

/* The sender is not told as long as one is at it. */
static void the_slowest_handler_is_waited_for(void **state)
{
	struct msg_rig *rig = msg_rig_new(4);
	struct said *s;

	(void)state;
	rig->nodes[3].is_slow = true;
	s = msg_rig_say(rig, 1);
	msg_rig_run(rig);
	assert_int_equal(s->status, PENDING);
	assert_true(rig->nodes[3].is_open);
	msg_rig_handle(&rig->nodes[3], MSG_ACCEPTED, NULL);
	msg_rig_run(rig);
	assert_int_equal(s->status, 0);
	msg_rig_check_idle(rig);
	msg_rig_free(rig);
}

/* Handled in the fourth rotation, known in the sixth: whatever the number of nodes. */
static void a_broadcast_takes_six_rotations(void **state)
{
	(void)state;
	for (int nodes = 2; nodes <= 9; nodes++) {
		struct msg_rig *rig = msg_rig_new(nodes);
		struct said *s = msg_rig_say(rig, nodes);
		int rotations = 0, heard_in = 0;

		while (s->status == PENDING) {
			assert_true(msg_rig_rotate(rig));
			rotations++;
			if (!heard_in && msg_rig_heard(rig, 1, s->number))
				heard_in = rotations;
		}
		assert_int_equal(heard_in, 4);
		assert_int_equal(rotations, 6);
		msg_rig_run(rig);
		msg_rig_check_idle(rig);
		msg_rig_free(rig);
	}
}

/* TOKEN is kept while nobody else wants it, for MSG_TOKEN_TURNS messages. */
static void many_from_one_node_take_five_rotations_each(void **state)
{
	struct msg_rig *rig = msg_rig_new(3);
	struct said *last = NULL;
	int rotations = 0, turns = 0;

	(void)state;
	for (int i = 0; i < MSG_TOKEN_TURNS; i++)
		last = msg_rig_say(rig, 2);
	for (; last->status == PENDING; rotations++)
		msg_rig_rotate(rig);
	assert_int_equal(rotations, 5 * MSG_TOKEN_TURNS + 1);
	/* then it is given back, though nobody wants it */
	for (int i = 0; i < MSG_TOKEN_TURNS + 1; i++)
		last = msg_rig_say(rig, 2);
	while (last->status == PENDING) {
		if (strcmp(lock_rig_next(rig->locks), "2 convert NL token") == 0)
			turns++;
		lock_rig_step(rig->locks);
	}
	assert_int_equal(turns, 2);
	msg_rig_run(rig);
	msg_rig_check_idle(rig);
	msg_rig_free(rig);
}

/* H9, B5. */
static void an_idle_channel_asks_nothing(void **state)
{
	struct msg_rig *rig = msg_rig_new(4);
	unsigned int steps;

	(void)state;
	msg_rig_check_works(rig);
	steps = lock_rig_steps(rig->locks);
	lock_rig_advance_ns(rig->locks, 3600 * UINT64_C(1000000000));
	msg_rig_run(rig);
	assert_int_equal(lock_rig_steps(rig->locks), steps);
	assert_true(lock_rig_deadline_ns(rig->locks) == UINT64_MAX);
	msg_rig_free(rig);
}

/* --- many ---------------------------------------------------------------------------- */

/* H1: what a node says comes in its order everywhere. */
static void check_order(const struct msg_rig *rig)
{
	uint64_t last[MSG_RIG_NODES + 1][MSG_RIG_NODES + 1] = { { 0 } };

	for (int i = 1; i <= rig->count; i++) {
		const struct msg_node *n = &rig->nodes[i];

		for (size_t h = 0; h < n->heard_count; h++) {
			int from = (int)(n->heard[h] >> 32);

			assert_true(n->heard[h] > last[i][from]);
			last[i][from] = n->heard[h];
		}
	}
}

/* All hear the same in the same order, but for what they said themselves. */
static void check_one_order(const struct msg_rig *rig, const uint64_t *all, size_t count)
{
	for (int i = 1; i <= rig->count; i++) {
		const struct msg_node *n = &rig->nodes[i];
		size_t h = 0;

		for (size_t a = 0; a < count; a++)
			if ((int)(all[a] >> 32) != i)
				assert_true(h < n->heard_count && n->heard[h++] == all[a]);
		assert_int_equal(h, n->heard_count);
	}
}

/* B6: sends of all nodes at once, and everybody receives in between. */
static void all_talk_at_once_and_all_is_heard_in_order(void **state)
{
	enum { NODES = 6, EACH = 40 };
	static uint64_t all[NODES * EACH];
	struct msg_rig *rig = msg_rig_new(NODES);
	size_t count = 0, h[NODES + 1] = { 0 };

	(void)state;
	for (int k = 0; k < EACH; k++)
		for (int i = 1; i <= NODES; i++) {
			rig->last_number = ((uint64_t)i << 32) + (uint64_t)k;
			msg_rig_say(rig, i);
		}
	/* the order is that in which one of two others hears it */
	while (strcmp(lock_rig_next(rig->locks), "") != 0) {
		lock_rig_step(rig->locks);
		for (int i = 1; i <= 2; i++)
			for (; h[i] < rig->nodes[i].heard_count; h[i]++) {
				uint64_t number = rig->nodes[i].heard[h[i]];
				bool is_known = false;

				for (size_t a = 0; a < count; a++)
					is_known |= all[a] == number;
				if (!is_known)
					all[count++] = number;
			}
	}
	assert_int_equal(count, NODES * EACH);
	check_order(rig);
	check_one_order(rig, all, count);
	for (struct said *s = rig->said; s; s = s->next)
		assert_int_equal(s->status, 0);
	msg_rig_check_idle(rig);
	msg_rig_free(rig);
}

/*
 * One hears of its last step, and of the next message, at once: of different locks in
 * any order. The bell is not lost, whichever it was at.
 */
static void a_bell_may_come_before_the_end_of_the_last_step(void **state)
{
	static const char *const steps[] = { "1 convert NL token", "2 convert NL message" };

	(void)state;
	for (int who = 1; who <= 2; who++)
		for (int is_unordered = 0; is_unordered < 2; is_unordered++)
			for (uint64_t seed = 1; seed <= 40; seed++) {
				struct msg_rig *rig = msg_rig_new(3);
				struct said *s;

				for (int i = 1; i <= 3; i++)
					rig->nodes[i].space->is_ordered = !is_unordered;
				msg_rig_say(rig, 1);
				assert_true(msg_rig_until(rig, steps[who - 1]));
				lock_rig_deafen(rig->locks, who, true);
				s = msg_rig_say(rig, 3);
				msg_rig_run(rig);
				lock_rig_shuffle(rig->locks, seed);
				lock_rig_deafen(rig->locks, who, false);
				lock_rig_step(rig->locks);
				lock_rig_shuffle(rig->locks, 0);
				msg_rig_run(rig);
				assert_int_equal(s->status, 0);
				assert_int_equal(msg_rig_heard(rig, who, s->number), 1);
				msg_rig_check_works(rig);
				msg_rig_free(rig);
			}
}

/* Who keeps TOKEN for its own messages lets others in when they want it. */
static void nobody_starves_behind_a_talker(void **state)
{
	struct msg_rig *rig = msg_rig_new(3);
	struct said *other;
	size_t before;

	(void)state;
	for (int i = 0; i < 12; i++)
		msg_rig_say(rig, 1);
	while (rig->nodes[3].heard_count < 2)
		lock_rig_step(rig->locks);
	other = msg_rig_say(rig, 2);
	while (other->status == PENDING)
		lock_rig_step(rig->locks);
	before = rig->nodes[3].heard_count;
	assert_true(before <= 5);
	msg_rig_run(rig);
	assert_int_equal(rig->nodes[3].heard_count, 13);
	msg_rig_check_idle(rig);
	msg_rig_free(rig);
}

/* --- handlers (H5) ------------------------------------------------------------------- */

static struct said sent_from_handler;
static int refused_with;

static void ignore_done(void *owner, struct msg_send *send, const struct msg_result *result)
{
	(void)owner;
	(void)send;
	(void)result;
}

static void send_from_handler(struct msg_node *n, const struct msg *m)
{
	struct msg_compound c = { .owner = n };
	struct err err = ERR_INIT;

	(void)m;
	sent_from_handler.send.message = (struct msg){ .type = MSG_RESYNCING_START };
	sent_from_handler.send.done = ignore_done;
	refused_with = msg_send(n->channel, &sent_from_handler.send, &err);
	if (refused_with < 0) {
		assert_non_null(strstr(err.text, "cannot take token"));
		assert_non_null(strstr(err.text, "RESYNCING of slot 0"));
		assert_int_equal(msg_compound_begin(n->channel, &c, &err), -EDEADLK);
	}
}

/* B20, B21: what led to these deadlocks cannot be asked for. */
static void a_handler_cannot_take_token(void **state)
{
	struct msg_rig *rig = msg_rig_new(3);
	struct err err = ERR_INIT;
	struct said *s;

	(void)state;
	rig->nodes[2].on_handle = send_from_handler;
	rig->nodes[2].is_slow = true;
	s = msg_rig_say(rig, 1);
	msg_rig_run(rig);
	assert_int_equal(refused_with, -EDEADLK);
	/* nor while it is open */
	assert_int_equal(msg_send(rig->nodes[2].channel, &sent_from_handler.send, &err),
			 -EDEADLK);
	msg_rig_handle(&rig->nodes[2], MSG_ACCEPTED, NULL);
	assert_int_equal(msg_send(rig->nodes[2].channel, &sent_from_handler.send, &err), 0);
	msg_rig_run(rig);
	assert_int_equal(s->status, 0);
	msg_rig_check_idle(rig);
	msg_rig_free(rig);
}

/* B20: who waits for token hears and answers all the same. */
static void who_waits_for_token_still_receives(void **state)
{
	struct msg_rig *rig = msg_rig_new(3);
	struct said *first, *second;
	struct msg_channel_look look;

	(void)state;
	first = msg_rig_say(rig, 1);
	assert_true(msg_rig_until(rig, "1 convert EX message"));
	second = msg_rig_say(rig, 2);
	rig->nodes[2].is_slow = true;
	msg_rig_run(rig);
	msg_channel_look(rig->nodes[2].channel, &look);
	assert_int_equal(look.sending, MSG_STEP_TOKEN);
	assert_int_equal(look.receiving, MSG_STEP_HANDLE);
	assert_int_equal(look.blocker_count, 1);
	assert_int_equal(look.blockers[0], 1);
	rig->nodes[2].is_slow = false;
	msg_rig_handle(&rig->nodes[2], MSG_ACCEPTED, NULL);
	msg_rig_run(rig);
	assert_int_equal(first->status, 0);
	assert_int_equal(second->status, 0);
	msg_rig_check_idle(rig);
	msg_rig_free(rig);
}

/* --- refusals (B49) ------------------------------------------------------------------ */

static void a_refusal_reaches_the_sender_with_its_reason(void **state)
{
	struct msg_rig *rig = msg_rig_new(4);
	struct said *s;

	(void)state;
	rig->nodes[3].refusal = MSG_REFUSED_NO_DISK;
	s = msg_rig_said(rig, 1, -EREMOTEIO);
	assert_int_equal(s->result.nack.slot, 2);
	assert_int_equal(s->result.nack.code, MSG_REFUSED_NO_DISK);
	assert_string_equal(s->result.nack.text, "as the test wants");
	assert_int_equal(s->result.nack.count, 1);
	assert_string_equal(s->result.why.text,
			    "node 3 (slot 2) cannot find the disk: as the test wants; "
			    "RESYNCING; 1 in all");
	/* all others handled it, and it is no matter of the next one */
	assert_int_equal(msg_rig_heard(rig, 2, s->number), 1);
	assert_int_equal(msg_rig_heard(rig, 4, s->number), 1);
	rig->nodes[3].refusal = MSG_ACCEPTED;
	msg_rig_check_works(rig);
	msg_rig_free(rig);
}

static void the_first_refusal_stays_and_all_are_counted(void **state)
{
	struct msg_rig *rig = msg_rig_new(9);
	struct said *s;

	(void)state;
	for (int i = 2; i <= 9; i++)
		rig->nodes[i].refusal = MSG_REFUSED_BUSY;
	rig->nodes[5].is_slow = true;
	s = msg_rig_say(rig, 1);
	msg_rig_run(rig);
	assert_int_equal(s->status, PENDING);
	msg_rig_handle(&rig->nodes[5], MSG_REFUSED_IO, "last");
	msg_rig_run(rig);
	assert_int_equal(s->status, -EREMOTEIO);
	assert_int_equal(s->result.nack.count, 8);
	assert_int_equal(s->result.nack.code, MSG_REFUSED_BUSY);
	assert_int_not_equal(s->result.nack.slot, 4);
	msg_rig_check_idle(rig);
	msg_rig_free(rig);
}

static void a_refusal_costs_two_rotations(void **state)
{
	struct msg_rig *rig = msg_rig_new(3);
	int rotations = 0;
	struct said *s;

	(void)state;
	rig->nodes[2].refusal = MSG_REFUSED_IO;
	s = msg_rig_say(rig, 1);
	for (; s->status == PENDING; rotations++)
		msg_rig_rotate(rig);
	assert_int_equal(s->status, -EREMOTEIO);
	assert_in_range(rotations, 7, 8);
	msg_rig_free(rig);
}

/* --- joining (H6) -------------------------------------------------------------------- */

/* B14: a node that joins in a storm hears all of it or nothing of each message. */
static void who_joins_in_a_storm_is_within_no_message(void **state)
{
	(void)state;
	for (unsigned int at = 0; at < 90; at++) {
		struct msg_rig *rig = msg_rig_empty(4);
		struct said *s;

		for (int i = 1; i <= 3; i++)
			msg_rig_join(rig, i);
		msg_rig_run(rig);
		for (int k = 0; k < 4; k++)
			for (int i = 1; i <= 3; i++)
				msg_rig_say(rig, i);
		for (unsigned int k = 0; k < at; k++)
			lock_rig_step(rig->locks);
		msg_rig_join(rig, 4);
		msg_rig_run(rig);
		assert_true(rig->nodes[4].is_ready);
		assert_int_equal(rig->nodes[4].missed, 0);
		for (s = rig->said; s; s = s->next)
			assert_int_equal(s->status, 0);
		/* what it heard is the end of what others heard */
		for (size_t k = 0; k < rig->nodes[4].heard_count; k++)
			assert_int_equal(msg_rig_heard(rig, 4, rig->nodes[4].heard[k]), 1);
		assert_true(rig->nodes[4].heard_count <= 12);
		msg_rig_check_idle(rig);
		msg_rig_check_works(rig);
		msg_rig_free(rig);
	}
}

static void say_at_once(struct msg_node *n)
{
	msg_rig_say(n->rig, n->id);
}

/* Sends wait until the node is ready, or are made as it is told so. */
static void who_joins_may_speak_at_once(void **state)
{
	struct msg_rig *rig = msg_rig_empty(3);
	struct said *s;

	(void)state;
	msg_rig_join(rig, 1);
	s = msg_rig_say(rig, 1);
	msg_rig_join(rig, 2);
	rig->nodes[3].on_ready = say_at_once;
	msg_rig_join(rig, 3);
	msg_rig_run(rig);
	assert_int_equal(s->status, 0);
	assert_int_equal(rig->said->node, 3);
	assert_int_equal(rig->said->status, 0);
	assert_int_equal(rig->nodes[2].heard_count + rig->nodes[1].heard_count > 0, 1);
	msg_rig_check_works(rig);
	msg_rig_free(rig);
}

/* B17: nothing is told before ready, and who cannot handle yet lets it wait. */
static void what_comes_before_the_array_is_there_waits(void **state)
{
	struct msg_rig *rig = msg_rig_empty(2);
	struct said *s;

	(void)state;
	msg_rig_join(rig, 1);
	msg_rig_run(rig);
	rig->nodes[2].is_slow = true; /* no array yet */
	msg_rig_join(rig, 2);
	for (int i = 0; i < 3; i++)
		lock_rig_step(rig->locks);
	assert_false(rig->nodes[2].is_ready);
	s = msg_rig_say(rig, 1);
	msg_rig_run(rig); /* on_handle() checks that it is ready */
	assert_int_equal(s->status, rig->nodes[2].is_open ? PENDING : 0);
	s = rig->nodes[2].is_open ? s : msg_rig_say(rig, 1);
	msg_rig_run(rig);
	assert_int_equal(s->status, PENDING);
	msg_rig_handle(&rig->nodes[2], MSG_ACCEPTED, NULL);
	msg_rig_run(rig);
	assert_int_equal(s->status, 0);
	msg_rig_free(rig);
}

/* B10: `ready` is told once a life, whatever the membership does then. */
static void ready_is_told_once(void **state)
{
	struct msg_rig *rig = msg_rig_new(4);

	(void)state;
	for (int round = 0; round < 3; round++) {
		msg_rig_leave(rig, 3);
		msg_rig_kill(rig, 4);
		msg_rig_bury(rig, 4);
		msg_rig_check_works(rig);
		msg_rig_join(rig, 3);
		msg_rig_revive(rig, 4);
		msg_rig_join(rig, 4);
		msg_rig_run(rig);
		msg_rig_check_works(rig);
	}
	assert_int_equal(rig->nodes[1].readies, 1);
	assert_int_equal(rig->nodes[2].readies, 1);
	assert_int_equal(rig->nodes[3].readies, 4);
	assert_int_equal(rig->nodes[4].readies, 4);
	msg_rig_free(rig);
}

/* The value outlives its speakers: a joiner goes on behind it. */
static void who_joins_goes_on_with_the_sequence(void **state)
{
	struct msg_rig *rig = msg_rig_empty(3);

	(void)state;
	msg_rig_join(rig, 1);
	msg_rig_join(rig, 2);
	msg_rig_run(rig);
	for (int i = 0; i < 5; i++)
		msg_rig_said(rig, 1, 0);
	msg_rig_leave(rig, 1);
	msg_rig_join(rig, 3);
	msg_rig_run(rig);
	assert_int_equal(msg_rig_said(rig, 3, 0)->result.sequence, 6);
	assert_int_equal(rig->nodes[2].missed, 0);
	assert_int_equal(rig->nodes[2].heard_count, 6);
	msg_rig_free(rig);
}

static void what_no_message_has_is_not_sent(void **state)
{
	struct msg_rig *rig = msg_rig_new(1);
	struct msg_send send = { .message = { .type = MSG_RESYNCING, .low = 5 } };
	struct err err = ERR_INIT;

	(void)state;
	assert_refused(msg_send(rig->nodes[1].channel, &send, &err), -EINVAL, err,
		       "RESYNCING", "field that cannot be");
	send.message = (struct msg){ .type = (enum msg_type)99 };
	assert_refused(msg_send(rig->nodes[1].channel, &send, &err), -EINVAL, err,
		       "unknown type");
	send.message = (struct msg){ .type = MSG_METADATA_UPDATED, .generation = 1 };
	assert_refused(msg_send(rig->nodes[1].channel, &send, &err), -EINVAL, err,
		       "METADATA_UPDATED");
	msg_rig_free(rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_hear_it_once_before_the_sender_knows),
		cmocka_unit_test(the_slowest_handler_is_waited_for),
		cmocka_unit_test(a_broadcast_takes_six_rotations),
		cmocka_unit_test(many_from_one_node_take_five_rotations_each),
		cmocka_unit_test(an_idle_channel_asks_nothing),
		cmocka_unit_test(all_talk_at_once_and_all_is_heard_in_order),
		cmocka_unit_test(a_bell_may_come_before_the_end_of_the_last_step),
		cmocka_unit_test(nobody_starves_behind_a_talker),
		cmocka_unit_test(a_handler_cannot_take_token),
		cmocka_unit_test(who_waits_for_token_still_receives),
		cmocka_unit_test(a_refusal_reaches_the_sender_with_its_reason),
		cmocka_unit_test(the_first_refusal_stays_and_all_are_counted),
		cmocka_unit_test(a_refusal_costs_two_rotations),
		cmocka_unit_test(who_joins_in_a_storm_is_within_no_message),
		cmocka_unit_test(who_joins_may_speak_at_once),
		cmocka_unit_test(what_comes_before_the_array_is_there_waits),
		cmocka_unit_test(ready_is_told_once),
		cmocka_unit_test(who_joins_goes_on_with_the_sequence),
		cmocka_unit_test(what_no_message_has_is_not_sent),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
