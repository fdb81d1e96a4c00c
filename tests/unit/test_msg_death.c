/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Nodes die: the table of md-cluster.md 3.5, each of the 13 steps of the handshake, for 1
 * to 8 receivers, before and after the step takes effect; then H7 and what else can
 * happen then. What must hold when the death is proven:
 *
 *	each survivor handled each message at most once; who did not handle one that was
 *	stored is told so (missed); a sender that lives is told 0, once, when
 *	all that live handled it; the message of the recovery is said once; nobody is
 *	within a step; the next message of each survivor works
 */
#include "tests/unit/msg_rig.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/arith.h"
#include "tests/unit/help.h"

enum { SENDER = 1 };

static const struct step {
	const char *name;
	bool is_sender;
	const char *operation; /* NULL: the handler */
} steps[] = {
	{ "1", true, "convert EX token" },
	{ "2", true, "convert EX message" },
	{ "3", true, "convert CW message" },
	{ "4", true, "convert EX ack" },
	{ "R1", false, "convert CR message" },
	{ "R2", false, NULL },
	{ "R3", false, "convert NL ack" },
	{ "R4", false, "convert PR message" },
	{ "5", true, "convert CR ack" },
	{ "6", true, "convert NL message" },
	{ "7", true, "convert NL token" },
	{ "R5", false, "convert CR ack" },
	{ "R6", false, "convert NL message" },
};

/* Runs until the victim asked for the step, or until it took effect. */
static void go_to(struct msg_rig *rig, const struct step *step, int victim, bool is_over)
{
	char next[64];

	if (!step->operation) {
		rig->nodes[victim].is_slow = true;
		while (!rig->nodes[victim].is_open)
			assert_true(lock_rig_step(rig->locks));
		if (is_over)
			msg_rig_handle(&rig->nodes[victim], MSG_ACCEPTED, NULL);
		return;
	}
	snprintf(next, sizeof(next), "%d %s", victim, step->operation);
	assert_true(msg_rig_until(rig, next));
	if (is_over)
		lock_rig_step(rig->locks);
}

/* D7: one says it, the others hear it, whatever they were at. */
static void check_recovered_once(const struct msg_rig *rig)
{
	int asked = 0, heard = 0, alive = 0;

	for (int i = 1; i <= rig->count; i++) {
		const struct msg_node *n = &rig->nodes[i];

		if (!n->channel)
			continue;
		alive++;
		asked += n->recovers;
		heard += n->recoveries_heard;
		assert_int_equal(n->recovers + n->recoveries_heard, 1);
	}
	assert_int_equal(asked, 1);
	assert_int_equal(heard, alive - 1);
}

static void check_survivors(const struct msg_rig *rig, const struct said *s, bool is_stored)
{
	for (int i = 1; i <= rig->count; i++) {
		const struct msg_node *n = &rig->nodes[i];
		int times = msg_rig_heard(rig, i, s->number);

		if (!n->channel || i == SENDER)
			continue;
		assert_true(times <= 1);
		if (is_stored)
			assert_int_equal(n->missed, 1 - times);
	}
}

static void sender_dies(const struct step *step, int receivers, bool is_over,
			bool is_unordered)
{
	struct msg_rig *rig = msg_rig_new(receivers + 1);
	struct said *s;

	for (int i = 1; i <= receivers + 1; i++)
		rig->nodes[i].space->is_ordered = !is_unordered;
	s = msg_rig_say(rig, SENDER);
	go_to(rig, step, SENDER, is_over);
	msg_rig_kill(rig, SENDER);
	msg_rig_run(rig);
	assert_true(lock_rig_is_frozen(rig->locks)); /* nothing before the proof */
	msg_rig_bury(rig, SENDER);
	check_survivors(rig, s, step - steps > 2 || (step - steps == 2 && is_over));
	check_recovered_once(rig);
	msg_rig_check_idle(rig);
	msg_rig_check_works(rig);
	msg_rig_free(rig);
}

static void receiver_dies(const struct step *step, int receivers, int victim, bool is_over,
			  bool is_unordered)
{
	struct msg_rig *rig = msg_rig_new(receivers + 1);
	struct said *s;

	for (int i = 1; i <= receivers + 1; i++)
		rig->nodes[i].space->is_ordered = !is_unordered;
	s = msg_rig_say(rig, SENDER);
	go_to(rig, step, victim, is_over);
	msg_rig_kill(rig, victim);
	msg_rig_run(rig);
	msg_rig_bury(rig, victim);
	assert_int_equal(s->status, 0);
	for (int i = 2; i <= receivers + 1; i++)
		if (i != victim) {
			assert_int_equal(msg_rig_heard(rig, i, s->number), 1);
			assert_int_equal(rig->nodes[i].missed, 0);
		}
	check_recovered_once(rig);
	msg_rig_check_idle(rig);
	msg_rig_check_works(rig);
	msg_rig_free(rig);
}

static void die_at_each_step(bool is_unordered)
{
	for (size_t i = 0; i < ARRAY_SIZE(steps); i++)
		for (int receivers = 1; receivers <= 8; receivers++)
			for (int is_over = 0; is_over < 2; is_over++) {
				if (steps[i].is_sender) {
					sender_dies(&steps[i], receivers, is_over, is_unordered);
					continue;
				}
				receiver_dies(&steps[i], receivers, 2, is_over, is_unordered);
				receiver_dies(&steps[i], receivers, receivers + 1, is_over,
					      is_unordered);
			}
}

static void a_death_at_each_of_the_13_steps(void **state)
{
	(void)state;
	die_at_each_step(false);
}

static void a_death_at_each_step_where_order_is_not_promised(void **state)
{
	(void)state;
	die_at_each_step(true);
}

/* --- any step at all ----------------------------------------------------------------- */

static void check_said(const struct msg_rig *rig)
{
	for (const struct said *s = rig->said; s; s = s->next)
		for (int i = 1; i <= rig->count; i++) {
			int times = msg_rig_heard(rig, i, s->number);

			assert_true(times <= 1);
			if (rig->nodes[i].channel && i != s->node && s->status == 0)
				assert_int_equal(times, 1);
		}
}

static void step_some(struct msg_rig *rig, unsigned int count)
{
	while (count-- > 0)
		lock_rig_step(rig->locks);
}

/* Two speak, one refuses; one of four dies between any two operations. */
static void anybody_dies_between_any_two_operations(void **state)
{
	(void)state;
	for (int victim = 1; victim <= 4; victim++)
		for (unsigned int at = 0; at < 60; at++) {
			struct msg_rig *rig = msg_rig_new(4);

			rig->nodes[3].refusal = at % 2 ? MSG_REFUSED_BUSY : MSG_ACCEPTED;
			msg_rig_say(rig, 1);
			msg_rig_say(rig, 2);
			msg_rig_say(rig, 1);
			step_some(rig, at);
			msg_rig_kill(rig, victim);
			msg_rig_bury(rig, victim);
			rig->nodes[3].refusal = MSG_ACCEPTED;
			check_said(rig);
			for (const struct said *s = rig->said; s; s = s->next)
				assert_true(s->status == 0 || s->status == -EREMOTEIO ||
					    s->node == victim);
			check_recovered_once(rig);
			msg_rig_check_idle(rig);
			msg_rig_check_works(rig);
			msg_rig_free(rig);
		}
}

/* Two die, the second one at any point of what the first one's death leads to. */
static void a_second_one_dies_at_any_point_of_the_recovery(void **state)
{
	(void)state;
	for (unsigned int first = 0; first < 40; first += 3)
		for (unsigned int second = 0; second < 40; second++) {
			struct msg_rig *rig = msg_rig_new(4);
			int victim = 2 + (int)(second % 2);

			msg_rig_say(rig, 1);
			msg_rig_say(rig, 2);
			step_some(rig, first);
			msg_rig_kill(rig, 1);
			lock_rig_prove(rig->locks, 1);
			step_some(rig, second);
			msg_rig_kill(rig, victim);
			msg_rig_bury(rig, victim);
			check_said(rig);
			msg_rig_check_idle(rig);
			msg_rig_check_works(rig);
			msg_rig_free(rig);
		}
}

/* The dead one comes back as another process: what it said before is not its own. */
static void who_died_comes_back_and_speaks(void **state)
{
	(void)state;
	for (unsigned int at = 0; at < 24; at++) {
		struct msg_rig *rig = msg_rig_new(3);

		msg_rig_say(rig, 1);
		step_some(rig, at);
		msg_rig_kill(rig, 1);
		msg_rig_bury(rig, 1);
		msg_rig_revive(rig, 1);
		msg_rig_join(rig, 1);
		msg_rig_run(rig);
		assert_true(rig->nodes[1].is_ready);
		assert_int_equal(lock_rig_slot(rig->locks, 1), 0);
		check_said(rig);
		msg_rig_check_idle(rig);
		msg_rig_check_works(rig);
		msg_rig_free(rig);
	}
}

/* Also one that joins, and one that has nothing but a queue. */
static void a_joiner_dies_at_any_step(void **state)
{
	(void)state;
	for (unsigned int at = 0; at < 40; at++) {
		struct msg_rig *rig = msg_rig_empty(3);
		struct said *s;

		msg_rig_join(rig, 1);
		msg_rig_join(rig, 2);
		msg_rig_run(rig);
		s = msg_rig_say(rig, 1);
		msg_rig_join(rig, 3);
		step_some(rig, at);
		msg_rig_kill(rig, 3);
		msg_rig_bury(rig, 3);
		assert_int_equal(s->status, 0);
		assert_int_equal(msg_rig_heard(rig, 2, s->number), 1);
		msg_rig_check_idle(rig);
		msg_rig_check_works(rig);
		msg_rig_free(rig);
	}
}

/* --- B46 ----------------------------------------------------------------------------- */

/* Stored, and nobody was woken: md-cluster loses it. Here it is known, and made up for. */
static void a_message_that_nobody_heard_is_missed_and_said_again(void **state)
{
	struct msg_rig *rig = msg_rig_new(4);
	struct said *s = msg_rig_say(rig, 1);

	(void)state;
	assert_true(msg_rig_until(rig, "1 convert EX ack"));
	msg_rig_kill(rig, 1);
	msg_rig_bury(rig, 1);
	for (int i = 2; i <= 4; i++) {
		assert_int_equal(msg_rig_heard(rig, i, s->number), 0);
		assert_int_equal(rig->nodes[i].missed, 1);
	}
	check_recovered_once(rig);
	msg_rig_check_works(rig);
	msg_rig_free(rig);
}

/*
 * A receiver that is slow to read comes when the value is invalid, and holds an older
 * message: md-cluster handles that again.
 */
static void an_old_message_is_not_replayed_from_an_invalid_value(void **state)
{
	struct msg_rig *rig = msg_rig_new(3);
	struct said *first, *second;

	(void)state;
	lock_rig_deafen(rig->locks, 3, true);
	first = msg_rig_say(rig, 1);
	msg_rig_run(rig);
	assert_int_equal(msg_rig_heard(rig, 2, first->number), 1);
	assert_int_equal(msg_cancel(rig->nodes[1].channel, &first->send), -EINPROGRESS);
	msg_rig_run(rig);
	assert_int_equal(first->status, -ECANCELED);
	second = msg_rig_say(rig, 1);
	assert_true(msg_rig_until(rig, "1 convert CW message"));
	msg_rig_kill(rig, 1); /* as it has message, EX */
	lock_rig_deafen(rig->locks, 3, false);
	msg_rig_run(rig); /* it asks for the message, and has it first of all */
	msg_rig_bury(rig, 1);
	assert_int_equal(msg_channel_stats(rig->nodes[3].channel)->invalid, 1);
	assert_int_equal(msg_rig_heard(rig, 3, first->number), 0);
	assert_int_equal(msg_rig_heard(rig, 2, first->number), 1);
	assert_int_equal(msg_rig_heard(rig, 3, second->number), 0);
	assert_true(rig->nodes[3].missed > 0);
	msg_rig_check_idle(rig);
	msg_rig_check_works(rig);
	msg_rig_free(rig);
}

/* The value is invalid, and the next sender's count may be too low: it jumps. */
static void behind_an_invalid_value_the_sequence_jumps(void **state)
{
	struct msg_rig *rig = msg_rig_new(3);
	uint32_t before;

	(void)state;
	before = msg_rig_said(rig, 2, 0)->result.sequence;
	msg_rig_say(rig, 1);
	assert_true(msg_rig_until(rig, "1 convert CW message"));
	msg_rig_kill(rig, 1);
	msg_rig_bury(rig, 1);
	assert_true(msg_rig_said(rig, 3, 0)->result.sequence > before + 65535);
	assert_int_equal(msg_channel_stats(rig->nodes[2].channel)->jumps +
			 msg_channel_stats(rig->nodes[3].channel)->jumps, 1);
	msg_rig_check_works(rig);
	msg_rig_free(rig);
}

/* --- H7 ------------------------------------------------------------------------------ */

/* Whoever waited for TOKEN: the recovery is said before what it wanted to say. */
static void the_recovery_is_said_before_all_that_waits(void **state)
{
	struct msg_rig *rig = msg_rig_new(5);

	(void)state;
	msg_rig_say(rig, 1);
	assert_true(msg_rig_until(rig, "1 convert CW message"));
	for (int i = 2; i <= 4; i++)
		msg_rig_say(rig, i);
	msg_rig_kill(rig, 1);
	msg_rig_bury(rig, 1);
	assert_int_equal(rig->nodes[5].heard_count, 4);
	assert_int_equal(rig->nodes[5].heard[0], 0);
	check_recovered_once(rig);
	msg_rig_check_works(rig);
	msg_rig_free(rig);
}

static struct msg_node *leader_of(struct msg_rig *rig)
{
	for (int i = 1; i <= rig->count; i++)
		if (rig->nodes[i].recovers > 0 && rig->nodes[i].channel)
			return &rig->nodes[i];
	return NULL;
}

static void thinking(struct msg_rig *rig, bool is_thinking)
{
	for (int i = 1; i <= rig->count; i++)
		rig->nodes[i].is_thinking = is_thinking;
}

static void while_the_superblocks_are_read_nothing_is_said(void **state)
{
	struct msg_rig *rig = msg_rig_new(4);
	struct msg_node *leader;
	struct said *s;

	(void)state;
	thinking(rig, true);
	msg_rig_kill(rig, 4);
	msg_rig_bury(rig, 4);
	leader = leader_of(rig);
	s = msg_rig_say(rig, leader->id == 1 ? 2 : 1);
	msg_rig_run(rig);
	assert_int_equal(s->status, PENDING);
	msg_recovered(leader->channel, 3);
	msg_rig_run(rig);
	assert_int_equal(s->status, 0);
	assert_int_equal(msg_channel_stats(leader->channel)->recovered, 1);
	check_recovered_once(rig);
	msg_rig_check_idle(rig);
	msg_rig_free(rig);
}

static void the_leader_of_a_recovery_dies_and_another_does_it(void **state)
{
	struct msg_rig *rig = msg_rig_new(5);
	struct msg_node *leader;
	int dead;

	(void)state;
	thinking(rig, true);
	msg_rig_kill(rig, 5);
	msg_rig_bury(rig, 5);
	leader = leader_of(rig);
	assert_non_null(leader);
	dead = leader->id;
	leader->recovers = 0;
	thinking(rig, false);
	msg_rig_kill(rig, dead);
	msg_rig_bury(rig, dead);
	check_recovered_once(rig);
	msg_rig_check_works(rig);
	msg_rig_free(rig);
}

static void the_leader_of_a_recovery_leaves_and_another_does_it(void **state)
{
	struct msg_rig *rig = msg_rig_new(4);
	struct msg_node *leader;

	(void)state;
	thinking(rig, true);
	msg_rig_kill(rig, 4);
	msg_rig_bury(rig, 4);
	leader = leader_of(rig);
	thinking(rig, false);
	msg_rig_leave(rig, leader->id);
	leader->recovers = 0;
	check_recovered_once(rig);
	msg_rig_check_works(rig);
	msg_rig_free(rig);
}

/* What was asked for one death does not count for the next. */
static void a_death_during_the_recovery_is_one_more_recovery(void **state)
{
	struct msg_rig *rig = msg_rig_new(5);
	struct msg_node *leader;
	int other;

	(void)state;
	thinking(rig, true);
	msg_rig_kill(rig, 5);
	msg_rig_bury(rig, 5);
	leader = leader_of(rig);
	other = leader->id == 1 ? 2 : 1;
	msg_rig_kill(rig, other);
	msg_rig_bury(rig, other);
	assert_int_equal(leader->recovers, 1);
	thinking(rig, false);
	msg_recovered(leader->channel, 1);
	msg_rig_run(rig);
	assert_int_equal(leader->recovers, 2);
	for (int i = 1; i <= 4; i++)
		if (i != leader->id && i != other)
			assert_int_equal(rig->nodes[i].recoveries_heard, 2);
	msg_rig_check_idle(rig);
	msg_rig_check_works(rig);
	msg_rig_free(rig);
}

/* Nor does it where the one that said it is not there to say the other. */
static void a_recovery_for_an_earlier_death_does_not_count(void **state)
{
	struct msg_rig *rig = msg_rig_new(5);
	struct msg_node *leader;
	int other, recovers = 0;

	(void)state;
	thinking(rig, true);
	msg_rig_kill(rig, 5);
	msg_rig_bury(rig, 5);
	leader = leader_of(rig);
	other = leader->id == 1 ? 2 : 1;
	msg_rig_kill(rig, other);
	msg_rig_bury(rig, other);
	msg_recovered(leader->channel, 1); /* for 5 alone */
	msg_rig_run(rig);
	assert_int_equal(leader->recovers, 2);
	thinking(rig, false);
	msg_rig_leave(rig, leader->id);
	for (int i = 1; i <= 4; i++)
		recovers += i != leader->id ? rig->nodes[i].recovers : 0;
	assert_int_equal(recovers, 1);
	msg_rig_check_idle(rig);
	msg_rig_check_works(rig);
	msg_rig_free(rig);
}

/* The others hear it before they have TOKEN, and want it no more. */
static void a_recovery_takes_token_once(void **state)
{
	struct msg_rig *rig = msg_rig_new(8);
	int releases = 0;

	(void)state;
	msg_rig_kill(rig, 8);
	lock_rig_prove(rig->locks, 8);
	for (; *lock_rig_next(rig->locks); lock_rig_step(rig->locks))
		releases += strstr(lock_rig_next(rig->locks), "convert NL token") != NULL;
	assert_int_equal(releases, 1);
	check_recovered_once(rig);
	msg_rig_check_idle(rig);
	msg_rig_free(rig);
}

static void who_cannot_read_the_superblocks_leaves_it_to_another(void **state)
{
	struct msg_rig *rig = msg_rig_new(5);

	(void)state;
	for (int i = 1; i <= 4; i++)
		rig->nodes[i].is_unable = i != 3;
	msg_rig_kill(rig, 5);
	msg_rig_bury(rig, 5);
	assert_int_equal(rig->nodes[3].recovers, 1);
	for (int i = 1; i <= 4; i++) {
		assert_true(rig->nodes[i].recovers <= 1);
		assert_int_equal(rig->nodes[i].recoveries_heard, i != 3);
	}
	msg_rig_check_works(rig);
	msg_rig_free(rig);
}

/* Nobody can: it stays owed, nobody spins, and messages go on. */
static void where_nobody_can_it_stays_owed(void **state)
{
	struct msg_rig *rig = msg_rig_new(4);
	struct msg_channel_look look;
	int asked = 0;

	(void)state;
	for (int i = 1; i <= 4; i++)
		rig->nodes[i].is_unable = true;
	msg_rig_kill(rig, 4);
	msg_rig_bury(rig, 4);
	for (int i = 1; i <= 3; i++) {
		msg_channel_look(rig->nodes[i].channel, &look);
		assert_true(look.is_recovery_owed);
		asked += rig->nodes[i].recovers;
		msg_rig_said(rig, i, 0);
	}
	assert_int_equal(asked, 3);
	/* at the next change it is tried again */
	for (int i = 1; i <= 4; i++)
		rig->nodes[i].is_unable = false;
	msg_rig_revive(rig, 4);
	msg_rig_join(rig, 4);
	msg_rig_run(rig);
	msg_rig_check_idle(rig);
	msg_rig_check_works(rig);
	msg_rig_free(rig);
}

static void who_can_again_says_the_recovery(void **state)
{
	struct msg_rig *rig = msg_rig_new(4);

	(void)state;
	for (int i = 1; i <= 4; i++)
		rig->nodes[i].is_unable = true;
	msg_rig_kill(rig, 4);
	msg_rig_bury(rig, 4);
	rig->nodes[2].is_unable = false;
	msg_can_recover(rig->nodes[2].channel);
	msg_rig_run(rig);
	assert_int_equal(rig->nodes[2].recovers, 2);
	msg_rig_check_idle(rig);
	msg_rig_check_works(rig);
	msg_rig_free(rig);
}

/* Who joins as another dies says nothing before it either. */
static void a_joiner_says_the_recovery_before_its_own(void **state)
{
	struct msg_rig *rig = msg_rig_empty(4);

	(void)state;
	msg_rig_join(rig, 1);
	msg_rig_join(rig, 2);
	msg_rig_run(rig);
	rig->nodes[1].is_unable = true;
	msg_rig_join(rig, 3);
	msg_rig_say(rig, 3);
	assert_true(msg_rig_until(rig, "3 convert EX token"));
	msg_rig_kill(rig, 2);
	msg_rig_bury(rig, 2);
	assert_int_equal(rig->nodes[3].recovers, 1);
	assert_int_equal(rig->nodes[1].heard_count, 2);
	assert_int_equal(rig->nodes[1].heard[0], 0);
	msg_rig_check_idle(rig);
	msg_rig_free(rig);
}

/* Given up for one that hangs: again, but others have their turns. */
static void a_recovery_that_was_given_up_is_tried_again(void **state)
{
	struct msg_rig *rig = msg_rig_new(4);
	struct msg_node *slow = &rig->nodes[3];
	struct said *s, *own, *last;

	(void)state;
	slow->is_slow = true;
	slow->is_unable = true;
	msg_rig_kill(rig, 4);
	msg_rig_bury(rig, 4);
	s = msg_rig_say(rig, 2);
	own = msg_rig_say(rig, 1);
	last = msg_rig_say(rig, 1);
	while (last->status == PENDING) {
		lock_rig_advance_ns(rig->locks, 30 * UINT64_C(1000000000));
		msg_rig_run(rig);
	}
	assert_int_equal(s->status, -ETIMEDOUT);
	assert_int_equal(own->status, -ETIMEDOUT);
	assert_non_null(strstr(s->result.why.text, "node 3 is not over the message"));
	assert_non_null(strstr(own->result.why.text, "node 3 is not over the message"));
	assert_int_equal(rig->nodes[1].recovers, 3); /* first, and behind each of its own */
	slow->is_slow = false;
	msg_rig_handle(slow, MSG_ACCEPTED, NULL);
	msg_rig_run(rig);
	lock_rig_advance_ns(rig->locks, 30 * UINT64_C(1000000000));
	msg_rig_run(rig);
	assert_true(slow->recoveries_heard > 0);
	msg_rig_check_idle(rig);
	msg_rig_check_works(rig);
	msg_rig_free(rig);
}

static void a_leave_is_no_death(void **state)
{
	struct msg_rig *rig = msg_rig_new(3);

	(void)state;
	msg_rig_leave(rig, 3);
	assert_null(leader_of(rig));
	msg_rig_check_works(rig);
	msg_rig_free(rig);
}

/* --- compounds ----------------------------------------------------------------------- */

/* 3.5, disk-add and grow: TOKEN of a compound is free again, and all look at the disks. */
static void who_dies_within_a_compound_frees_token(void **state)
{
	(void)state;
	for (unsigned int at = 0; at < 30; at++) {
		struct msg_rig *rig = msg_rig_new(3);
		struct told_compound told;
		struct said *s;

		msg_rig_begin(rig, 1, &told);
		msg_rig_run(rig);
		msg_rig_say_in(rig, 1, &told.c);
		msg_rig_run(rig);
		msg_rig_say_in(rig, 1, &told.c);
		s = msg_rig_say(rig, 2);
		step_some(rig, at);
		msg_rig_kill(rig, 1);
		msg_rig_bury(rig, 1);
		assert_int_equal(s->status, 0);
		check_recovered_once(rig);
		check_said(rig);
		msg_rig_check_idle(rig);
		msg_rig_check_works(rig);
		msg_rig_free(rig);
	}
}

/* A compound that holds TOKEN as another dies goes on; the recovery is said behind it. */
static void a_compound_outlives_anothers_death(void **state)
{
	struct msg_rig *rig = msg_rig_new(4);
	struct told_compound told;
	struct said *first, *second;

	(void)state;
	msg_rig_begin(rig, 1, &told);
	msg_rig_run(rig);
	first = msg_rig_say_in(rig, 1, &told.c);
	assert_true(msg_rig_until(rig, "1 convert EX ack"));
	msg_rig_kill(rig, 4);
	msg_rig_bury(rig, 4);
	assert_int_equal(first->status, 0);
	second = msg_rig_say_in(rig, 1, &told.c);
	msg_compound_end(rig->nodes[1].channel, &told.c);
	msg_rig_run(rig);
	assert_int_equal(second->status, 0);
	assert_int_equal(rig->nodes[1].recovers, 1);
	assert_int_equal(rig->nodes[2].heard_count, 3);
	assert_int_equal(rig->nodes[2].heard[2], 0);
	check_recovered_once(rig);
	msg_rig_check_works(rig);
	msg_rig_free(rig);
}

/* --- away, and back ------------------------------------------------------------------ */

/* A node that is cut off and comes back unproven has lost nothing. */
static void who_comes_back_in_time_goes_on_in_any_step(void **state)
{
	(void)state;
	for (int away = 1; away <= 2; away++)
		for (unsigned int at = 0; at < 24; at++) {
			struct msg_rig *rig = msg_rig_new(3);
			struct said *s = msg_rig_say(rig, 1);

			step_some(rig, at);
			lock_rig_cut(rig->locks, away);
			msg_rig_run(rig);
			lock_rig_heal(rig->locks, away);
			msg_rig_run(rig);
			assert_int_equal(s->status, 0);
			check_said(rig);
			for (int i = 1; i <= 3; i++) {
				assert_int_equal(rig->nodes[i].missed, 0);
				assert_int_equal(rig->nodes[i].recovers, 0);
				assert_int_equal(msg_channel_stats(
					rig->nodes[i].channel)->duplicates, 0);
			}
			msg_rig_check_works(rig);
			msg_rig_free(rig);
		}
}


int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_death_at_each_of_the_13_steps),
		cmocka_unit_test(a_death_at_each_step_where_order_is_not_promised),
		cmocka_unit_test(anybody_dies_between_any_two_operations),
		cmocka_unit_test(a_second_one_dies_at_any_point_of_the_recovery),
		cmocka_unit_test(who_died_comes_back_and_speaks),
		cmocka_unit_test(a_joiner_dies_at_any_step),
		cmocka_unit_test(a_message_that_nobody_heard_is_missed_and_said_again),
		cmocka_unit_test(an_old_message_is_not_replayed_from_an_invalid_value),
		cmocka_unit_test(behind_an_invalid_value_the_sequence_jumps),
		cmocka_unit_test(the_recovery_is_said_before_all_that_waits),
		cmocka_unit_test(while_the_superblocks_are_read_nothing_is_said),
		cmocka_unit_test(the_leader_of_a_recovery_dies_and_another_does_it),
		cmocka_unit_test(the_leader_of_a_recovery_leaves_and_another_does_it),
		cmocka_unit_test(a_death_during_the_recovery_is_one_more_recovery),
		cmocka_unit_test(a_recovery_for_an_earlier_death_does_not_count),
		cmocka_unit_test(a_recovery_takes_token_once),
		cmocka_unit_test(who_cannot_read_the_superblocks_leaves_it_to_another),
		cmocka_unit_test(where_nobody_can_it_stays_owed),
		cmocka_unit_test(who_can_again_says_the_recovery),
		cmocka_unit_test(a_joiner_says_the_recovery_before_its_own),
		cmocka_unit_test(a_recovery_that_was_given_up_is_tried_again),
		cmocka_unit_test(a_leave_is_no_death),
		cmocka_unit_test(who_dies_within_a_compound_frees_token),
		cmocka_unit_test(a_compound_outlives_anothers_death),
		cmocka_unit_test(who_comes_back_in_time_goes_on_in_any_step),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
