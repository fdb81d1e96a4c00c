/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * How a channel ends: its lockspace is lost, it leaves within a step, a request is refused;
 * all that was asked for is told, and nobody is held up.
 */
#include "tests/unit/msg_rig.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "msg/channel_private.h"
#include "tests/unit/help.h"

/* Cut off and taken for dead: all that was asked for ends with -ESTALE. */
static void a_lost_lockspace_ends_all_that_was_asked(void **state)
{
	(void)state;
	for (unsigned int at = 0; at < 20; at++) {
		struct msg_rig *rig = msg_rig_new(3);
		struct said *a = msg_rig_say(rig, 1), *b = msg_rig_say(rig, 1);
		struct msg_send send = { 0 };
		struct err err = ERR_INIT;
		struct told_compound story;

		msg_rig_begin(rig, 1, &story);
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
		assert_int_equal(msg_send(rig->nodes[1].channel, &send, &err), -ESHUTDOWN);
		msg_rig_leave(rig, 1);
		msg_rig_check_works(rig);
		msg_rig_free(rig);
	}
}

static void a_lost_lockspace_ends_a_compound(void **state)
{
	struct msg_rig *rig = msg_rig_new(2);
	struct told_compound story;
	struct said *s;

	(void)state;
	msg_rig_begin(rig, 1, &story);
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

static struct msg_send sent_as_missed;

static void ignore_done(void *owner, struct msg_send *send, const struct msg_result *result)
{
	(void)owner;
	(void)send;
	(void)result;
}

static void send_as_missed(struct msg_node *n)
{
	struct msg_send *send = &sent_as_missed;
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_lost_lockspace_ends_all_that_was_asked),
		cmocka_unit_test(a_lost_lockspace_ends_a_compound),
		cmocka_unit_test(a_node_leaves_at_any_step),
		cmocka_unit_test(a_request_that_is_refused_breaks_the_channel),
		cmocka_unit_test(a_lock_that_is_refused_breaks_the_channel),
		cmocka_unit_test(a_channel_without_memory_for_its_locks_is_none),
		cmocka_unit_test(each_step_has_its_words),
		cmocka_unit_test(a_channel_may_break_in_a_callback),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
