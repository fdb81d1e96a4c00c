/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * One message, with TOKEN here: steps 2 to 6, and 7 where it can go with them (H2).
 *
 * Sequences. The sender reads the last one in step 2, and takes the next. Where the value
 * is not valid, or makes no sense, it goes on SEQUENCE_JUMP behind what it knows: others
 * may have heard more, but not that much more, so they will not take the message for
 * an old one. That they missed some is what they conclude, and look at the disks (H3).
 */
#include "msg/channel_private.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { SEQUENCE_JUMP = 1 << 16 };

void message_speak(struct msg_channel *ch, struct msg_send *send)
{
	struct msg_sender *s = &ch->sender;

	s->current = send;
	s->result = (struct msg_result){ 0 };
	sender_move(ch, SENDER_MESSAGE);
	channel_lock(ch, &ch->message, LOCK_EX, LOCK_CONVERT | LOCK_VALBLK,
		     ch->config.step_timeout_ns);
}

static const char *what_is_said(const struct msg_channel *ch)
{
	return msg_type_name(ch->sender.current->message.type);
}

static bool is_cancelled(const struct msg_channel *ch)
{
	return ch->sender.current->job.is_cancelled;
}

/* --- 5, 6, 7 ------------------------------------------------------------------------- */

static void finish(struct msg_channel *ch, int status)
{
	struct msg_sender *s = &ch->sender;

	s->result.status = status;
	s->turns++;
	sender_move(ch, SENDER_FINISH);
	lockspace_begin(ch->space);
	if (ch->ack.mode == LOCK_EX)
		channel_lock(ch, &ch->ack, LOCK_CR, LOCK_CONVERT, 0);
	if (ch->message.mode != LOCK_NL)
		channel_lock(ch, &ch->message, LOCK_NL, LOCK_CONVERT, 0);
	if (status == 0)
		channel_lock(ch, &ch->nack, LOCK_NL, LOCK_CONVERT | LOCK_VALBLK, 0);
	if (ch->space->is_ordered && !sender_keeps_token(ch))
		channel_lock(ch, &ch->token, LOCK_NL, LOCK_CONVERT, 0);
	lockspace_end(ch->space);
	if (s->state == SENDER_FINISH && !channel_is_any_pending(ch))
		message_finished(ch);
}

static void finish_cancelled(struct msg_channel *ch)
{
	err_set(&ch->sender.result.why, -ECANCELED, "%s was cancelled%s", what_is_said(ch),
		ch->sender.result.sequence ? " as it was under way" : "");
	finish(ch, -ECANCELED);
}

/* What receivers left in nack for this message. */
static void look_at_nack(struct msg_channel *ch)
{
	struct msg_result *r = &ch->sender.result;
	struct msg_nack n;

	/*
	 * A mark of VALNOTVALID does not matter: it says that a node died as it had
	 * nack, and what is there for this very sequence was stored before that.
	 */
	if (msg_nack_decode(ch->nack.value, ch->space->lvb_bytes, &n) != MSG_SOUND ||
	    n.sequence != r->sequence)
		return;
	r->status = -EREMOTEIO;
	r->nack = n;
	err_set(&r->why, -EREMOTEIO, "node %" PRIu32 " (slot %u) %s%s%s; %s; %u in all",
		channel_node(ch, n.slot), n.slot, msg_refusal_text(n.code),
		n.text[0] ? ": " : "", n.text, what_is_said(ch), n.count);
}

void message_finished(struct msg_channel *ch)
{
	struct msg_sender *s = &ch->sender;
	struct msg_send *send = s->current;
	struct msg_result r;

	if (s->result.status == 0)
		look_at_nack(ch);
	r = s->result;
	s->current = NULL;
	if (send == &s->recovery) {
		recovery_is_over(ch, r.status);
	} else {
		s->is_put_off = false;
		job_remove(ch, &send->job);
		job_done(ch, send, &r);
	}
	sender_is_through(ch);
}

/* --- 2, 3, 4 ------------------------------------------------------------------------- */

/* What others said, and this node did not hear, is told: their messages are over. */
static void catch_up(struct msg_channel *ch, enum msg_fault fault, uint32_t sequence)
{
	int32_t lead = msg_sequence_lead(sequence, ch->sequence);

	if (!ch->is_sequence_known && fault == MSG_SOUND)
		lead = 1; /* or more */
	if (fault == MSG_NOTHING || lead <= 0 ||
	    (fault != MSG_SOUND && lead > SEQUENCE_JUMP))
		return;
	ch->sequence = sequence;
	ch->stats.missed += (uint32_t)lead;
	if (ch->ops.missed)
		ch->ops.missed(ch->owner, (uint32_t)lead);
}

/* The sequence of what is said next. */
static uint32_t next_sequence(struct msg_channel *ch, uint32_t marks)
{
	struct msg m;
	enum msg_fault fault = channel_read(ch, &m);

	catch_up(ch, fault, m.sequence);
	if (marks & LOCK_VALNOTVALID)
		ch->stats.invalid++;
	else if (fault == MSG_SOUND || fault == MSG_NOTHING)
		return ch->sequence + 1;
	ch->stats.jumps++;
	return ch->sequence + SEQUENCE_JUMP;
}

/* 2 is done: 3 and 4. */
static void store(struct msg_channel *ch, uint32_t marks)
{
	struct msg_sender *s = &ch->sender;
	struct msg *m = &s->current->message;
	uint32_t sequence = next_sequence(ch, marks);

	if (is_cancelled(ch)) {
		finish_cancelled(ch);
		return;
	}
	m->slot = (uint16_t)ch->our_slot;
	m->sequence = ch->sequence = s->result.sequence = sequence;
	ch->is_sequence_known = true;
	memset(ch->message.value, 0, sizeof(ch->message.value));
	msg_encode(m, ch->message.value);
	sender_move(ch, SENDER_ACK);
	lockspace_begin(ch->space);
	channel_lock(ch, &ch->message, LOCK_CW, LOCK_CONVERT | LOCK_VALBLK, 0);
	channel_lock(ch, &ch->ack, LOCK_EX, LOCK_CONVERT, ch->config.step_timeout_ns);
	lockspace_end(ch->space);
}

/* --- deadlines and cancels ----------------------------------------------------------- */

/*
 * The lock was not to be had. True: it is worth another wait. Who was in the way is
 * named, and may be put out.
 */
static bool is_worth_a_wait(struct msg_channel *ch, struct lockres *lock, int status,
			    const char *what, char *names, size_t room)
{
	return status == -ETIMEDOUT && !is_cancelled(ch) &&
	       channel_late(ch, lock, ch->config.step_timeout_ns, what, names, room) &&
	       !is_cancelled(ch); /* as it was told of that */
}

static void give_up(struct msg_channel *ch, int status, const char *names, const char *what)
{
	struct msg_result *r = &ch->sender.result;

	if (status == -ECANCELED || is_cancelled(ch)) {
		finish_cancelled(ch);
		return;
	}
	err_set(&r->why, -ETIMEDOUT, r->sequence ? "%s was given up: %s %s" :
						   "%s was not said: %s %s",
		what_is_said(ch), names, what);
	finish(ch, -ETIMEDOUT);
}

void message_done(struct msg_channel *ch, const struct lock_result *result)
{
	static const char what[] = "is not over the message before";
	char names[128] = "";

	if (result->status == 0)
		store(ch, result->marks);
	else if (is_worth_a_wait(ch, &ch->message, result->status, what, names,
				 sizeof(names)))
		channel_lock(ch, &ch->message, LOCK_EX, LOCK_CONVERT | LOCK_VALBLK,
			     ch->config.step_timeout_ns);
	else
		give_up(ch, result->status, names, what);
}

void message_acknowledged(struct msg_channel *ch)
{
	int status = ch->sender.ack_status;
	char what[80], names[128] = "";

	snprintf(what, sizeof(what), "has not acknowledged %s", what_is_said(ch));
	if (status == 0)
		finish(ch, 0);
	else if (is_worth_a_wait(ch, &ch->ack, status, what, names, sizeof(names)))
		channel_lock(ch, &ch->ack, LOCK_EX, LOCK_CONVERT, ch->config.step_timeout_ns);
	else
		give_up(ch, status, names, "has not acknowledged it");
}
