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

/* --- compounds ----------------------------------------------------------------------- */

struct story {
	struct msg_compound c;
	int begun, ended;
};

static void on_begun(void *owner, struct msg_compound *c, const struct msg_result *result)
{
	struct story *s = owner;

	(void)c;
	assert_int_equal(s->begun, PENDING);
	s->begun = result->status;
}

static void on_ended(void *owner, struct msg_compound *c, int status)
{
	struct story *s = owner;

	(void)c;
	assert_int_equal(s->begun, 0);
	assert_int_equal(s->ended, PENDING);
	s->ended = status;
}

static void begin(struct msg_rig *rig, int node, struct story *s)
{
	struct err err = ERR_INIT;

	*s = (struct story){ .c = { .begun = on_begun, .ended = on_ended, .owner = s },
			     .begun = PENDING,
			     .ended = PENDING };
	assert_ok(msg_compound_begin(rig->nodes[node].channel, &s->c, &err), err);
}

static void a_compound_keeps_token_between_its_messages(void **state)
{
	struct msg_rig *rig = msg_rig_new(3);
	struct msg_channel *ch = rig->nodes[1].channel;
	struct said *first, *second, *other, *own;
	struct err err = ERR_INIT;
	struct story story;

	(void)state;
	begin(rig, 1, &story);
	assert_int_equal(msg_compound_send(ch, &story.c, &sent_from_handler.send, &err),
			 -EINVAL);
	msg_rig_run(rig);
	assert_int_equal(story.begun, 0);
	other = msg_rig_say(rig, 2);
	own = msg_rig_say(rig, 1);
	first = msg_rig_say_in(rig, 1, &story.c);
	msg_rig_run(rig);
	assert_int_equal(first->status, 0);
	assert_int_equal(other->status, PENDING);
	assert_int_equal(own->status, PENDING);
	second = msg_rig_say_in(rig, 1, &story.c);
	msg_compound_end(ch, &story.c);
	assert_int_equal(msg_compound_send(ch, &story.c, &sent_from_handler.send, &err),
			 -EINVAL);
	msg_rig_run(rig);
	assert_int_equal(second->status, 0);
	assert_int_equal(story.ended, 0);
	assert_int_equal(other->status, 0);
	assert_int_equal(own->status, 0);
	/* both before what waited meanwhile */
	assert_int_equal(rig->nodes[3].heard[0], first->number);
	assert_int_equal(rig->nodes[3].heard[1], second->number);
	msg_rig_check_idle(rig);
	msg_rig_free(rig);
}

/* Its end goes with its last message: TOKEN is not taken again for it. */
static void a_compound_ends_with_its_last_message(void **state)
{
	struct msg_rig *rig = msg_rig_new(2);
	struct story story;

	(void)state;
	begin(rig, 1, &story);
	msg_rig_run(rig);
	msg_rig_say_in(rig, 1, &story.c);
	msg_compound_end(rig->nodes[1].channel, &story.c);
	assert_true(msg_rig_until(rig, "1 convert NL token"));
	assert_false(msg_rig_until(rig, "1 convert EX token"));
	assert_int_equal(story.ended, 0);
	msg_rig_free(rig);
}

static void a_compound_may_say_nothing(void **state)
{
	struct msg_rig *rig = msg_rig_new(2);
	struct story story;

	(void)state;
	begin(rig, 1, &story);
	msg_compound_end(rig->nodes[1].channel, &story.c); /* too early */
	msg_rig_run(rig);
	msg_compound_end(rig->nodes[1].channel, &story.c);
	assert_int_equal(story.ended, PENDING); /* not from within the call */
	msg_rig_run(rig);
	assert_int_equal(story.ended, 0);
	msg_rig_check_works(rig);
	msg_rig_free(rig);
}

static void a_compound_is_cancelled(void **state)
{
	struct msg_rig *rig = msg_rig_new(2);
	struct msg_channel *ch = rig->nodes[1].channel;
	struct story a, b;
	struct said *running, *queued;

	(void)state;
	begin(rig, 1, &a);
	begin(rig, 1, &b);
	msg_rig_run(rig);
	assert_int_equal(a.begun, 0);
	assert_int_equal(msg_compound_cancel(ch, &b.c), 0); /* never begun */
	rig->nodes[2].is_slow = true;
	running = msg_rig_say_in(rig, 1, &a.c);
	queued = msg_rig_say_in(rig, 1, &a.c);
	msg_rig_run(rig);
	assert_int_equal(msg_compound_cancel(ch, &a.c), -EINPROGRESS);
	assert_int_equal(running->status, PENDING);
	assert_int_equal(queued->status, PENDING);
	rig->nodes[2].is_slow = false;
	msg_rig_run(rig);
	assert_int_equal(running->status, -ECANCELED);
	assert_int_equal(queued->status, -ECANCELED);
	assert_int_equal(queued->result.sequence, 0);
	assert_int_equal(a.ended, 0);
	assert_int_equal(b.begun, PENDING);
	msg_rig_handle(&rig->nodes[2], MSG_ACCEPTED, NULL);
	msg_rig_run(rig);
	msg_rig_check_works(rig);
	msg_rig_free(rig);
}

/* What is owed after a death is asked for between its end and TOKEN's way back. */
static void a_compound_that_is_over_is_cancelled_during_a_recovery(void **state)
{
	struct msg_rig *rig = msg_rig_new(3);
	struct msg_channel *ch = rig->nodes[1].channel;
	struct story story;
	struct said *last;

	(void)state;
	begin(rig, 1, &story);
	msg_rig_run(rig);
	last = msg_rig_say_in(rig, 1, &story.c);
	msg_compound_end(ch, &story.c);
	assert_true(msg_rig_until(rig, "2 convert CR message"));
	rig->nodes[1].is_thinking = true;
	msg_rig_kill(rig, 3);
	lock_rig_prove(rig->locks, 3);
	msg_rig_run(rig);
	assert_int_equal(last->status, 0);
	assert_int_equal(rig->nodes[1].recovers, 1);
	assert_int_equal(msg_compound_cancel(ch, &story.c), -EINPROGRESS);
	msg_recovered(ch, 7);
	msg_rig_run(rig);
	assert_int_equal(story.ended, 0);
	assert_int_equal(rig->nodes[2].recoveries_heard, 1);
	msg_rig_check_idle(rig);
	msg_rig_free(rig);
}

static void a_compound_that_rests_is_cancelled(void **state)
{
	struct msg_rig *rig = msg_rig_new(2);
	struct err err = ERR_INIT;
	struct story story;

	(void)state;
	begin(rig, 1, &story);
	msg_rig_run(rig);
	assert_int_equal(msg_compound_cancel(rig->nodes[1].channel, &story.c), -EINPROGRESS);
	assert_refused(msg_compound_send(rig->nodes[1].channel, &story.c,
					 &sent_from_handler.send, &err),
		       -EINVAL, err, "is over");
	msg_rig_run(rig);
	assert_int_equal(story.ended, 0);
	msg_rig_check_works(rig);
	msg_rig_free(rig);
}

/* --- cancel (H4) --------------------------------------------------------------------- */

/* Cancelled before each step that is left to it: it ends once, and all goes on. */
static void a_send_is_cancelled_at_any_step(void **state)
{
	int cancelled = 0, done = 0, gone = 0;

	(void)state;
	for (unsigned int at = 0; at < 20; at++) {
		struct msg_rig *rig = msg_rig_new(3);
		struct said *s = msg_rig_say(rig, 1);

		for (unsigned int i = 0; i < at && s->status == PENDING; i++)
			lock_rig_step(rig->locks);
		if (s->status == PENDING && msg_cancel(rig->nodes[1].channel,
						       &s->send) == 0) {
			s->status = -ECANCELED;
			gone++;
		}
		msg_rig_run(rig);
		cancelled += s->status == -ECANCELED;
		done += s->status == 0;
		assert_true(s->status == 0 || s->status == -ECANCELED);
		for (int i = 2; i <= 3; i++)
			assert_true(msg_rig_heard(rig, i, s->number) <= (s->status != 0 ? 1 : 1));
		if (s->status == 0)
			assert_int_equal(msg_rig_heard(rig, 2, s->number), 1);
		msg_rig_check_idle(rig);
		msg_rig_check_works(rig);
		msg_rig_free(rig);
	}
	assert_true(gone > 0 && cancelled > gone && done > 0);
}

/* It has message, EX, as the cancel comes: it says nothing any more. */
static void a_send_that_is_cancelled_before_it_is_stored_is_not_said(void **state)
{
	struct msg_rig *rig = msg_rig_new(3);
	struct said *s = msg_rig_say(rig, 1);

	(void)state;
	assert_true(msg_rig_until(rig, "1 convert EX message"));
	assert_int_equal(msg_cancel(rig->nodes[1].channel, &s->send), -EINPROGRESS);
	msg_rig_run(rig);
	assert_int_equal(s->status, -ECANCELED);
	assert_int_equal(s->result.sequence, 0);
	assert_int_equal(msg_rig_heard(rig, 2, s->number), 0);
	msg_rig_check_works(rig);
	assert_int_equal(rig->nodes[2].missed, 0);
	msg_rig_free(rig);
}

/* What waits behind it is not disturbed. */
static void a_queued_send_is_cancelled(void **state)
{
	struct msg_rig *rig = msg_rig_new(2);
	struct said *a = msg_rig_say(rig, 1), *b = msg_rig_say(rig, 1),
		    *c = msg_rig_say(rig, 1);

	(void)state;
	assert_int_equal(msg_cancel(rig->nodes[1].channel, &b->send), 0);
	b->status = -ECANCELED;
	msg_rig_run(rig);
	assert_int_equal(a->status, 0);
	assert_int_equal(c->status, 0);
	assert_int_equal(b->ends, 0);
	assert_int_equal(msg_rig_heard(rig, 2, b->number), 0);
	msg_rig_check_idle(rig);
	msg_rig_free(rig);
}

/* --- the end of it ------------------------------------------------------------------- */

/* Cut off and taken for dead: all that was asked for ends with -ESTALE. */
static void a_lost_lockspace_ends_all_that_was_asked(void **state)
{
	(void)state;
	for (unsigned int at = 0; at < 20; at++) {
		struct msg_rig *rig = msg_rig_new(3);
		struct said *a = msg_rig_say(rig, 1), *b = msg_rig_say(rig, 1);
		struct err err = ERR_INIT;
		struct story story;

		begin(rig, 1, &story);
		for (unsigned int i = 0; i < at; i++)
			lock_rig_step(rig->locks);
		lock_rig_cut(rig->locks, 1);
		lock_rig_prove(rig->locks, 1);
		msg_rig_run(rig);
		lock_rig_heal(rig->locks, 1);
		msg_rig_run(rig);
		assert_true(rig->nodes[1].is_lost);
		assert_true(a->status == 0 || a->status == -ESTALE);
		assert_int_equal(b->status, -ESTALE);
		assert_int_equal(story.begun, -ESTALE);
		assert_int_equal(msg_send(rig->nodes[1].channel, &sent_from_handler.send, &err),
				 -ESHUTDOWN);
		msg_rig_leave(rig, 1);
		msg_rig_check_works(rig);
		msg_rig_free(rig);
	}
}

static void a_lost_lockspace_ends_a_compound(void **state)
{
	struct msg_rig *rig = msg_rig_new(2);
	struct story story;
	struct said *s;

	(void)state;
	begin(rig, 1, &story);
	msg_rig_run(rig);
	rig->nodes[2].is_slow = true;
	s = msg_rig_say_in(rig, 1, &story.c);
	msg_rig_run(rig);
	lock_rig_cut(rig->locks, 1);
	lock_rig_prove(rig->locks, 1);
	msg_rig_run(rig);
	lock_rig_heal(rig->locks, 1);
	msg_rig_run(rig);
	assert_int_equal(s->status, -ESTALE);
	assert_int_equal(story.ended, -ESTALE);
	msg_rig_leave(rig, 1);
	rig->nodes[2].is_slow = false;
	msg_rig_handle(&rig->nodes[2], MSG_ACCEPTED, NULL);
	msg_rig_run(rig);
	msg_rig_check_works(rig);
	msg_rig_free(rig);
}

/* Who leaves within a step, of sending or of receiving, holds up nobody. */
static void a_node_leaves_at_any_step(void **state)
{
	(void)state;
	for (int leaver = 1; leaver <= 2; leaver++)
		for (unsigned int at = 0; at < 18; at++) {
			struct msg_rig *rig = msg_rig_new(3);
			struct said *s = msg_rig_say(rig, 1);

			for (unsigned int i = 0; i < at; i++)
				lock_rig_step(rig->locks);
			msg_rig_leave(rig, leaver);
			msg_rig_run(rig);
			assert_true(s->status == 0 || (leaver == 1 && s->status == -ESTALE));
			assert_true(msg_rig_heard(rig, 3, s->number) <= 1);
			msg_rig_check_idle(rig);
			msg_rig_check_works(rig);
			msg_rig_free(rig);
		}
}

/* Memory that runs out is told, and ends the channel, not the cluster's messages. */
static void a_request_that_is_refused_breaks_the_channel(void **state)
{
	(void)state;
	for (int victim = 1; victim <= 2; victim++)
		for (unsigned int at = 0; at < 12; at++) {
			struct msg_rig *rig = msg_rig_new(3);
			struct said *s = msg_rig_say(rig, 1);

			for (unsigned int i = 0; i < at; i++)
				lock_rig_step(rig->locks);
			lock_rig_refuse(rig->locks, victim, -ENOMEM);
			msg_rig_run(rig);
			assert_true(rig->nodes[victim].is_broken || s->status == 0);
			lock_rig_refuse(rig->locks, victim, 0);
			msg_rig_leave(rig, victim);
			assert_true(s->status != PENDING);
			msg_rig_check_works(rig);
			msg_rig_free(rig);
		}
}

/* What no step expects: the lockspace is full. */
static void a_lock_that_is_refused_breaks_the_channel(void **state)
{
	const struct lock_result full = { -ENOSPC, LOCK_NL, 0 };

	(void)state;
	for (int i = 0; i < 4; i++) {
		struct msg_rig *rig = msg_rig_new(2);
		struct msg_channel *ch = rig->nodes[1].channel;
		struct lockres *locks[] = { &ch->token, &ch->message, &ch->ack, &ch->nack };
		struct said *s = msg_rig_say(rig, 1);

		locks[i]->handlers->done(locks[i]->owner, locks[i], &full);
		assert_true(rig->nodes[1].is_broken);
		msg_rig_leave(rig, 1);
		assert_int_equal(s->status, -ESTALE);
		msg_rig_check_works(rig);
		msg_rig_free(rig);
	}
}

static int adds_left;
static const struct lockspace_engine_ops *rig_ops;

static int add_some(struct lockspace *space, struct lockres *lock)
{
	return adds_left-- > 0 ? rig_ops->add(space, lock) : -ENOMEM;
}

static void a_channel_without_memory_for_its_locks_is_none(void **state)
{
	struct msg_rig *rig = msg_rig_new(2);
	struct lockspace_engine *engine = lock_rig_engine(rig->locks, 1);
	const struct msg_channel_config config = { 0 };
	const struct msg_channel_ops none = { 0 };
	struct lockspace_engine_ops ops = *engine->ops;
	struct err err = ERR_INIT;

	(void)state;
	rig_ops = engine->ops;
	ops.add = add_some;
	engine->ops = &ops;
	for (int left = 0; left < 4; left++) {
		adds_left = left;
		assert_null(msg_channel_new(rig->nodes[1].space, &config, &none, NULL, &err));
		assert_int_equal(err.code, -ENOMEM);
	}
	engine->ops = rig_ops;
	msg_rig_check_works(rig);
	msg_rig_free(rig);
}

static void each_step_has_its_words(void **state)
{
	(void)state;
	for (int step = 0; step < MSG_STEPS; step++)
		assert_true(strlen(msg_step_name((enum msg_step)step)) > 4);
}

static void send_as_missed(struct msg_node *n)
{
	struct msg_send *send = &sent_from_handler.send;
	struct err err = ERR_INIT;

	lock_rig_refuse(n->rig->locks, n->id, -ENOMEM);
	send->message = (struct msg){ .type = MSG_RESYNCING_START };
	send->done = ignore_done;
	assert_int_equal(msg_send(n->channel, send, &err), 0);
	assert_true(n->is_broken);
}

/* The owner speaks as it is told of something, and that is the end of it. */
static void a_channel_may_break_in_a_callback(void **state)
{
	struct msg_rig *rig = msg_rig_new(3);
	struct said *s;

	(void)state;
	lock_rig_deafen(rig->locks, 2, true);
	s = msg_rig_say(rig, 1);
	msg_rig_run(rig);
	assert_int_equal(msg_cancel(rig->nodes[1].channel, &s->send), -EINPROGRESS);
	msg_rig_run(rig);
	rig->nodes[2].on_missed = send_as_missed;
	s = msg_rig_say(rig, 1);
	msg_rig_run(rig);
	lock_rig_deafen(rig->locks, 2, false);
	msg_rig_run(rig);
	assert_true(rig->nodes[2].is_broken);
	assert_int_equal(rig->nodes[2].heard_count, 0);
	lock_rig_refuse(rig->locks, 2, 0);
	msg_rig_leave(rig, 2);
	assert_int_equal(s->status, 0);
	msg_rig_check_works(rig);
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
		cmocka_unit_test(a_compound_keeps_token_between_its_messages),
		cmocka_unit_test(a_compound_ends_with_its_last_message),
		cmocka_unit_test(a_compound_may_say_nothing),
		cmocka_unit_test(a_compound_is_cancelled),
		cmocka_unit_test(a_compound_that_is_over_is_cancelled_during_a_recovery),
		cmocka_unit_test(a_compound_that_rests_is_cancelled),
		cmocka_unit_test(a_send_is_cancelled_at_any_step),
		cmocka_unit_test(a_send_that_is_cancelled_before_it_is_stored_is_not_said),
		cmocka_unit_test(a_queued_send_is_cancelled),
		cmocka_unit_test(a_lost_lockspace_ends_all_that_was_asked),
		cmocka_unit_test(a_lost_lockspace_ends_a_compound),
		cmocka_unit_test(a_node_leaves_at_any_step),
		cmocka_unit_test(a_request_that_is_refused_breaks_the_channel),
		cmocka_unit_test(a_lock_that_is_refused_breaks_the_channel),
		cmocka_unit_test(a_channel_without_memory_for_its_locks_is_none),
		cmocka_unit_test(each_step_has_its_words),
		cmocka_unit_test(a_channel_may_break_in_a_callback),
		cmocka_unit_test(what_no_message_has_is_not_sent),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
