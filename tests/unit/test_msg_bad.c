/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Values that no channel would write: somebody with the locks of the lockspace says them.
 * Each is counted, acknowledged, and answered by name; nobody waits for ever, and what
 * follows works (B9, B49).
 */
#include "tests/unit/msg_rig.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/arith.h"
#include "tests/unit/help.h"

/* A member without a channel: node 4 of a rig of 4, of which three have one. */
enum { IMPOSTOR = 4 };

struct impostor {
	struct msg_rig *rig;
	struct lockspace *space;
	struct lockres token, message, ack, nack;
};

static void on_done(void *owner, struct lockres *lock, const struct lock_result *result)
{
	(void)owner;
	(void)lock;
	assert_int_equal(result->status, 0);
}

static const struct lockres_handlers lock_handlers = { .done = on_done };
static const struct lockspace_handlers space_handlers = { .closed = NULL };

static void lock(struct impostor *im, struct lockres *l, enum lock_mode mode, uint32_t flags)
{
	assert_int_equal(lockres_lock(l, mode, flags, 0), 0);
	msg_rig_run(im->rig);
}

static void begin(struct impostor *im)
{
	const struct lockspace_config config = {
		.name = "5c0b0c4b-d6ae-0359-f266-cacf72232250",
		.name_length = 36,
		.lvb_bytes = LOCK_SMALL_LVB,
		.wanted_slot = -1,
	};
	struct lockres *locks[] = { &im->token, &im->message, &im->ack, &im->nack };
	static const char *const names[] = { "token", "message", "ack", "nack" };
	struct err err = ERR_INIT;

	im->rig = msg_rig_empty(IMPOSTOR);
	for (int i = 1; i < IMPOSTOR; i++)
		msg_rig_join(im->rig, i);
	assert_ok(lockspace_open(lock_rig_engine(im->rig->locks, IMPOSTOR), &config,
				 &space_handlers, NULL, &im->space, &err), err);
	for (int i = 0; i < 4; i++) {
		assert_int_equal(lockres_init(locks[i], im->space, names[i], strlen(names[i]),
					      &lock_handlers, NULL), 0);
		lock(im, locks[i], LOCK_NL, LOCK_EXPEDITE);
	}
	msg_rig_run(im->rig);
}

/* The steps 1 to 4; the receivers are through when it returns. */
static void say(struct impostor *im, const uint8_t *bytes)
{
	lock(im, &im->token, LOCK_EX, LOCK_CONVERT);
	lock(im, &im->message, LOCK_EX, LOCK_CONVERT | LOCK_VALBLK);
	memcpy(im->message.value, bytes, MSG_BYTES);
	lock(im, &im->message, LOCK_CW, LOCK_CONVERT | LOCK_VALBLK);
	lock(im, &im->ack, LOCK_EX, LOCK_CONVERT);
	assert_int_equal(im->ack.mode, LOCK_EX); /* never silence */
}

/* 5 to 7: what the receivers left in nack. */
static enum msg_fault answer(struct impostor *im, struct msg_nack *n)
{
	lock(im, &im->ack, LOCK_NL, LOCK_CONVERT);
	lock(im, &im->message, LOCK_NL, LOCK_CONVERT);
	lock(im, &im->nack, LOCK_NL, LOCK_CONVERT | LOCK_VALBLK);
	lock(im, &im->token, LOCK_NL, LOCK_CONVERT);
	return msg_nack_decode(im->nack.value, LOCK_SMALL_LVB, n);
}

static void end(struct impostor *im)
{
	msg_rig_check_works(im->rig);
	msg_rig_free(im->rig);
}

static const struct msg_channel_stats *stats(const struct impostor *im, int node)
{
	return msg_channel_stats(im->rig->nodes[node].channel);
}

#define SAY(im, ...) say(im, (uint8_t[MSG_BYTES]){ __VA_ARGS__ })

/* --- strange bytes ------------------------------------------------------------------- */

static void what_is_not_understood_is_acknowledged_and_refused(void **state)
{
	static const struct {
		uint8_t bytes[MSG_BYTES];
		enum msg_fault fault;
		enum msg_refusal code;
		const char *text;
	} rows[] = {
		{ { 2, 1, 3, 0, 1 }, MSG_BAD_VERSION, MSG_REFUSED_UNKNOWN, "is of another version" },
		{ { 1, 99, 3, 0, 1 }, MSG_BAD_TYPE, MSG_REFUSED_UNKNOWN, "is of an unknown type" },
		{ { 1, 1, 3, 0, 1, 0, 0, 0, 9 }, MSG_BAD_FIELD, MSG_REFUSED_DAMAGED,
		  "has a field that canno" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct impostor im;
		struct msg_nack n;

		begin(&im);
		say(&im, rows[i].bytes);
		assert_int_equal(answer(&im, &n), MSG_SOUND);
		assert_int_equal(n.code, rows[i].code);
		assert_int_equal(n.sequence, 1);
		assert_int_equal(n.count, 3);
		assert_string_equal(n.text, rows[i].text);
		for (int node = 1; node < IMPOSTOR; node++) {
			assert_int_equal(im.rig->nodes[node].heard_count, 0);
			assert_int_equal(stats(&im, node)->faults[rows[i].fault], 1);
			assert_int_equal(stats(&im, node)->nacked, 1);
		}
		end(&im);
	}
}

static void a_value_of_zeroes_is_acknowledged(void **state)
{
	struct impostor im;
	struct msg_nack n;

	(void)state;
	begin(&im);
	SAY(&im, 0);
	assert_int_equal(answer(&im, &n), MSG_NOTHING);
	for (int node = 1; node < IMPOSTOR; node++) {
		assert_int_equal(im.rig->nodes[node].heard_count, 0);
		assert_int_equal(stats(&im, node)->duplicates, 1);
	}
	end(&im);
}

/* B9: md-cluster drops it without an ack, and the sender hangs. */
static void a_message_of_ones_own_slot_is_counted_and_acknowledged(void **state)
{
	struct impostor im;
	struct msg_nack n;

	(void)state;
	begin(&im);
	SAY(&im, 1, MSG_REMOVE, 0, 0, 1, [24] = 7);
	assert_int_equal(answer(&im, &n), MSG_NOTHING);
	assert_int_equal(stats(&im, 1)->own, 1);
	assert_int_equal(im.rig->nodes[1].heard_count, 0);
	assert_int_equal(im.rig->nodes[2].heard_count, 1);
	end(&im);
}

/* D8: what was heard is not handled again, nor is what is older. */
static void an_old_sequence_is_acknowledged_and_not_handled(void **state)
{
	struct impostor im;
	struct msg_nack n;

	(void)state;
	begin(&im);
	for (int i = 0; i < 5; i++)
		msg_rig_said(im.rig, 1, 0);
	SAY(&im, 1, MSG_REMOVE, 3, 0, 5, [24] = 7);
	assert_int_equal(answer(&im, &n), MSG_NOTHING);
	SAY(&im, 1, MSG_REMOVE, 3, 0, 2, [24] = 7);
	assert_int_equal(answer(&im, &n), MSG_NOTHING);
	assert_int_equal(im.rig->nodes[2].heard_count, 5);
	assert_int_equal(stats(&im, 2)->duplicates, 2);
	assert_int_equal(stats(&im, 2)->missed, 0);
	/* the value is behind what is known now: the next is ahead of both */
	assert_int_equal(msg_rig_said(im.rig, 2, 0)->result.sequence, 6);
	end(&im);
}

static void what_was_not_heard_is_told_before_what_follows(void **state)
{
	struct impostor im;
	struct msg_nack n;

	(void)state;
	begin(&im);
	SAY(&im, 1, MSG_REMOVE, 3, 0, 5, [24] = 7);
	assert_int_equal(answer(&im, &n), MSG_NOTHING);
	assert_int_equal(im.rig->nodes[2].missed, 4);
	assert_int_equal(im.rig->nodes[2].heard_count, 1);
	assert_int_equal(msg_rig_said(im.rig, 1, 0)->result.sequence, 6);
	assert_int_equal(im.rig->nodes[2].missed, 4);
	end(&im);
}

/* Round the end of the numbers, message by message. */
static void sequences_go_round_without_a_gap(void **state)
{
	struct impostor im;
	struct msg_nack n;

	(void)state;
	begin(&im);
	SAY(&im, 1, MSG_REMOVE, 3, 0, 0xff, 0xff, 0xff, 0x7f, [24] = 7);
	answer(&im, &n);
	SAY(&im, 1, MSG_REMOVE, 3, 0, 0xfe, 0xff, 0xff, 0xff, [24] = 7);
	answer(&im, &n);
	assert_int_equal(im.rig->nodes[2].heard_count, 2);
	im.rig->nodes[2].missed = 0;
	assert_int_equal(msg_rig_said(im.rig, 1, 0)->result.sequence, 0xffffffff);
	assert_int_equal(msg_rig_said(im.rig, 3, 0)->result.sequence, 0);
	assert_int_equal(msg_rig_said(im.rig, 1, 0)->result.sequence, 1);
	assert_int_equal(im.rig->nodes[2].missed, 0);
	assert_int_equal(im.rig->nodes[2].heard_count, 5);
	end(&im);
}

/* A sequence of rubbish must not make all that follows look old. */
static void a_sequence_of_rubbish_is_not_believed(void **state)
{
	struct impostor im;
	struct msg_nack n;
	struct said *s;

	(void)state;
	begin(&im);
	msg_rig_said(im.rig, 1, 0);
	SAY(&im, 77, 77, 77, 77, 0xff, 0xff, 0xff, 0x7f);
	assert_int_equal(answer(&im, &n), MSG_SOUND);
	s = msg_rig_said(im.rig, 2, 0);
	assert_int_equal(s->result.sequence, 1 + 65536);
	assert_int_equal(msg_rig_heard(im.rig, 1, s->number), 1);
	assert_int_equal(msg_rig_heard(im.rig, 3, s->number), 1);
	/* told that it missed something: it looks at the disks */
	assert_true(im.rig->nodes[3].missed > 0);
	end(&im);
}

/* Somebody newer, and all is well but for the type: the sequence counts. */
static void behind_an_unknown_type_the_sequence_goes_on(void **state)
{
	struct impostor im;
	struct msg_nack n;

	(void)state;
	begin(&im);
	msg_rig_said(im.rig, 1, 0);
	SAY(&im, 1, 99, 3, 0, 2);
	assert_int_equal(answer(&im, &n), MSG_SOUND);
	assert_true(msg_sequence_lead(msg_rig_said(im.rig, 2, 0)->result.sequence, 2) > 0);
	end(&im);
}

/* A value of rubbish as one joins. */
static void who_joins_behind_rubbish_hears_what_follows(void **state)
{
	struct impostor im;
	struct msg_nack n;
	struct said *s;

	(void)state;
	begin(&im);
	msg_rig_leave(im.rig, 3);
	SAY(&im, 77, 77, 77, 77, 1, 2, 3, 0x70);
	answer(&im, &n);
	msg_rig_join(im.rig, 3);
	msg_rig_run(im.rig);
	s = msg_rig_said(im.rig, 1, 0);
	assert_int_equal(msg_rig_heard(im.rig, 3, s->number), 1);
	s = msg_rig_said(im.rig, 3, 0);
	assert_int_equal(msg_rig_heard(im.rig, 1, s->number), 1);
	end(&im);
}

/* And is the first to speak. */
static void who_joins_behind_rubbish_is_heard(void **state)
{
	struct impostor im;
	struct msg_nack n;
	struct said *s;

	(void)state;
	begin(&im);
	for (int i = 0; i < 5; i++)
		msg_rig_said(im.rig, 1, 0);
	msg_rig_leave(im.rig, 3);
	SAY(&im, 77, 77, 77, 77, 1, 0, 0, 0);
	answer(&im, &n);
	msg_rig_join(im.rig, 3);
	msg_rig_run(im.rig);
	s = msg_rig_said(im.rig, 3, 0);
	assert_int_equal(msg_rig_heard(im.rig, 1, s->number), 1);
	assert_int_equal(msg_rig_heard(im.rig, 2, s->number), 1);
	end(&im);
}

/* The first that it could have known of was stored by somebody who died with it. */
static void who_joined_behind_rubbish_misses_what_was_lost(void **state)
{
	struct impostor im;
	struct msg_nack n;
	struct said *s;

	(void)state;
	begin(&im);
	msg_rig_leave(im.rig, 3);
	SAY(&im, 77, 77, 77, 77, 1, 0, 0, 0x70);
	answer(&im, &n);
	msg_rig_join(im.rig, 3);
	msg_rig_run(im.rig);
	im.rig->nodes[1].is_unable = true; /* so that it is 3 that speaks next */
	msg_rig_say(im.rig, 2);
	assert_true(msg_rig_until(im.rig, "2 convert EX ack"));
	msg_rig_kill(im.rig, 2);
	msg_rig_bury(im.rig, 2);
	assert_true(im.rig->nodes[3].missed > 0);
	s = msg_rig_said(im.rig, 3, 0);
	assert_int_equal(msg_rig_heard(im.rig, 1, s->number), 1);
	end(&im);
}

/* --- strange nacks ------------------------------------------------------------------- */

/* A value in nack that makes no sense, or is of another message, is no refusal. */
static void rubbish_in_nack_is_no_refusal(void **state)
{
	static const uint8_t rows[][LOCK_SMALL_LVB] = {
		{ 77, 77, 77, 77, 1, 0, 0, 0, 77 },
		{ 1, 1, 0, 0, 99, 0, 0, 0, 1 },
		{ 1, 0, 0, 0, 1, 0, 0, 0, 1 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct impostor im;

		begin(&im);
		lock(&im, &im.nack, LOCK_EX, LOCK_CONVERT | LOCK_VALBLK);
		memcpy(im.nack.value, rows[i], LOCK_SMALL_LVB);
		lock(&im, &im.nack, LOCK_NL, LOCK_CONVERT | LOCK_VALBLK);
		assert_int_equal(msg_rig_said(im.rig, 1, 0)->result.sequence, 1);
		/* and a refusal is told over it */
		im.rig->nodes[2].refusal = MSG_REFUSED_IO;
		assert_int_equal(msg_rig_said(im.rig, 1, -EREMOTEIO)->result.nack.count, 1);
		im.rig->nodes[2].refusal = MSG_ACCEPTED;
		end(&im);
	}
}

/* Of a slot that nobody has. */
static void a_refusal_of_nobody_is_told_with_its_slot(void **state)
{
	struct impostor im;
	struct said *s;

	(void)state;
	begin(&im);
	lock(&im, &im.nack, LOCK_EX, LOCK_CONVERT | LOCK_VALBLK);
	memcpy(im.nack.value, (uint8_t[LOCK_SMALL_LVB]){ 1, 200, 77, 0, 1, 0, 0, 0, 255 },
	       LOCK_SMALL_LVB);
	lock(&im, &im.nack, LOCK_NL, LOCK_CONVERT | LOCK_VALBLK);
	im.rig->nodes[2].refusal = MSG_REFUSED_IO;
	s = msg_rig_said(im.rig, 1, -EREMOTEIO);
	assert_int_equal(s->result.nack.slot, 77);
	assert_int_equal(s->result.nack.code, MSG_REFUSED_OTHER);
	assert_int_equal(s->result.nack.count, 255); /* no more than that fits */
	im.rig->nodes[2].refusal = MSG_ACCEPTED;
	end(&im);
}

/* --- strange bells ------------------------------------------------------------------- */

/* ack is wanted and there is no message: by somebody without TOKEN, again and again. */
static void a_bell_without_a_message_is_answered(void **state)
{
	struct impostor im;

	(void)state;
	begin(&im);
	msg_rig_said(im.rig, 1, 0);
	for (int i = 0; i < 5; i++) {
		lock(&im, &im.ack, LOCK_EX, LOCK_CONVERT);
		lock(&im, &im.ack, LOCK_NL, LOCK_CONVERT);
	}
	assert_int_equal(im.rig->nodes[2].heard_count, 1);
	assert_int_equal(stats(&im, 2)->duplicates, 5);
	end(&im);
}

/* A compound is ended while this node is at a bell: what it was to say is said. */
static void a_compound_that_ends_during_a_bell_says_all(void **state)
{
	struct impostor im;
	struct told_compound told;
	struct said *s;

	(void)state;
	begin(&im);
	msg_rig_begin(im.rig, 1, &told);
	msg_rig_run(im.rig);
	assert_int_equal(lockres_lock(&im.ack, LOCK_EX, LOCK_CONVERT, 0), 0);
	lock_rig_step(im.rig->locks);
	s = msg_rig_say_in(im.rig, 1, &told.c);
	msg_compound_end(im.rig->nodes[1].channel, &told.c);
	assert_int_equal(s->status, PENDING);
	assert_int_equal(lockres_unlock(&im.ack, LOCK_FORCEUNLOCK), 0);
	msg_rig_run(im.rig);
	assert_int_equal(s->status, 0);
	assert_int_equal(told.ended, 0);
	end(&im);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_not_understood_is_acknowledged_and_refused),
		cmocka_unit_test(a_value_of_zeroes_is_acknowledged),
		cmocka_unit_test(a_message_of_ones_own_slot_is_counted_and_acknowledged),
		cmocka_unit_test(an_old_sequence_is_acknowledged_and_not_handled),
		cmocka_unit_test(what_was_not_heard_is_told_before_what_follows),
		cmocka_unit_test(sequences_go_round_without_a_gap),
		cmocka_unit_test(a_sequence_of_rubbish_is_not_believed),
		cmocka_unit_test(behind_an_unknown_type_the_sequence_goes_on),
		cmocka_unit_test(who_joins_behind_rubbish_hears_what_follows),
		cmocka_unit_test(who_joins_behind_rubbish_is_heard),
		cmocka_unit_test(who_joined_behind_rubbish_misses_what_was_lost),
		cmocka_unit_test(rubbish_in_nack_is_no_refusal),
		cmocka_unit_test(a_refusal_of_nobody_is_told_with_its_slot),
		cmocka_unit_test(a_bell_without_a_message_is_answered),
		cmocka_unit_test(a_compound_that_ends_during_a_bell_says_all),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
