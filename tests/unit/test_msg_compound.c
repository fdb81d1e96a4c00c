/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Several messages under one TOKEN, and what is taken back before it was said (H4 of
 * msg/channel.h).
 */
#include "tests/unit/msg_rig.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "msg/channel_private.h"
#include "tests/unit/help.h"

/* --- compounds ----------------------------------------------------------------------- */

static void a_compound_keeps_token_between_its_messages(void **state)
{
	struct msg_rig *rig = msg_rig_new(3);
	struct msg_channel *ch = rig->nodes[1].channel;
	struct said *first, *second, *other, *own;
	struct msg_send send = { 0 };
	struct err err = ERR_INIT;
	struct told_compound story;

	(void)state;
	msg_rig_begin(rig, 1, &story);
	assert_int_equal(msg_compound_send(ch, &story.c, &send, &err), -EINVAL);
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
	assert_int_equal(msg_compound_send(ch, &story.c, &send, &err), -EINVAL);
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
	struct told_compound story;

	(void)state;
	msg_rig_begin(rig, 1, &story);
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
	struct told_compound story;

	(void)state;
	msg_rig_begin(rig, 1, &story);
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
	struct told_compound a, b;
	struct said *running, *queued;

	(void)state;
	msg_rig_begin(rig, 1, &a);
	msg_rig_begin(rig, 1, &b);
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
	struct told_compound story;
	struct said *last;

	(void)state;
	msg_rig_begin(rig, 1, &story);
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
	struct msg_send send = { 0 };
	struct err err = ERR_INIT;
	struct told_compound story;

	(void)state;
	msg_rig_begin(rig, 1, &story);
	msg_rig_run(rig);
	assert_int_equal(msg_compound_cancel(rig->nodes[1].channel, &story.c), -EINPROGRESS);
	assert_refused(msg_compound_send(rig->nodes[1].channel, &story.c, &send, &err), -EINVAL, err, "is over");
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_compound_keeps_token_between_its_messages),
		cmocka_unit_test(a_compound_ends_with_its_last_message),
		cmocka_unit_test(a_compound_may_say_nothing),
		cmocka_unit_test(a_compound_is_cancelled),
		cmocka_unit_test(a_compound_that_is_over_is_cancelled_during_a_recovery),
		cmocka_unit_test(a_compound_that_rests_is_cancelled),
		cmocka_unit_test(a_send_is_cancelled_at_any_step),
		cmocka_unit_test(a_send_that_is_cancelled_before_it_is_stored_is_not_said),
		cmocka_unit_test(a_queued_send_is_cancelled),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
