/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The machine that speaks: TOKEN, the steps 1 to 7, joining, and what is owed after a
 * death (H1, H6, H7). Invariants:
 *
 *	I1  message is above NL for sending, and ack above CR, with TOKEN held alone.
 *	I2  Steps 2 to 6 begin when the receiver is idle: it uses the same locks.
 *	I3  Callbacks are made in a state in which nothing that the owner then calls
 *	    leads to another one.
 *
 * Sequences. The sender reads the last one in step 2, and takes the next. Where the value
 * is not valid, or makes no sense, it goes on SEQUENCE_JUMP behind what it knows: others
 * may have heard more, but not that much more, so they will not take the message for
 * an old one. That they missed some is what they conclude, and look at the disks (H3).
 *
 * H7. Each member wants TOKEN when another one died; the first one that gets it asks its
 * owner, and speaks; the others hear that, and want it no more. So nothing is said
 * before, whoever waited for TOKEN, and the death of the one who does it is one
 * more death. The message names the generation of the recovery that it is for, else one
 * that was on its way would count for a later death. What is given up is tried again, but
 * others, and one message of this node's own, have a turn before.
 */
#include "msg/channel_private.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/arith.h"

enum { SEQUENCE_JUMP = 1 << 16 };

/* --- states -------------------------------------------------------------------------------- */

#define TO(state) (1u << SENDER_##state)

static const struct {
	const char *name;
	uint32_t to;
} states[SENDER_STATES] = {
	[SENDER_NEW] = { "new", TO(NULLS) },
	[SENDER_NULLS] = { "nulls", TO(IDLE) },
	[SENDER_IDLE] = { "idle", TO(TOKEN) },
	[SENDER_TOKEN] = { "token", TO(TOKEN) | TO(IDLE) | TO(HOLD) },
	[SENDER_HOLD] = { "hold", TO(JOIN) | TO(MESSAGE) | TO(RELEASE) },
	[SENDER_JOIN] = { "join", TO(HOLD) },
	[SENDER_MESSAGE] = { "message", TO(ACK) | TO(FINISH) },
	[SENDER_ACK] = { "ack", TO(FINISH) },
	[SENDER_FINISH] = { "finish", TO(HOLD) | TO(IDLE) },
	[SENDER_RELEASE] = { "release", TO(IDLE) },
	[SENDER_STOPPED] = { "stopped", 0 },
};

static void move(struct msg_channel *ch, enum sender_state to)
{
	struct msg_sender *s = &ch->sender;
	enum sender_state from = s->state;

	assert(to == SENDER_STOPPED || states[from].to >> to & 1);
	assert((to != SENDER_MESSAGE && to != SENDER_JOIN) ||
	       (ch->token.mode == LOCK_EX && ch->receiver.state == RECEIVER_IDLE)); /* I1 I2 */
	s->state = to;
	s->was_nobody_late = false;
	if (ch->ops.moved)
		ch->ops.moved(ch->owner, "sender", states[from].name, states[to].name);
}

bool sender_is_speaking(const struct msg_channel *ch)
{
	const uint32_t speaking = TO(NULLS) | TO(JOIN) | TO(MESSAGE) | TO(ACK) | TO(FINISH);

	return speaking >> ch->sender.state & 1;
}

void sender_stop(struct msg_channel *ch)
{
	if (ch->sender.state != SENDER_STOPPED)
		move(ch, SENDER_STOPPED);
	ch->is_ready = false;
}

/* --- 1 and 7: TOKEN ----------------------------------------------------------------------------- */

static bool owes(const struct msg_channel *ch)
{
	const struct msg_sender *s = &ch->sender;

	return s->is_owed && !s->is_declined;
}

bool sender_wants_token(const struct msg_channel *ch)
{
	return !ch->is_ready || owes(ch) || !qb_list_empty(&ch->sender.jobs);
}

static void take_token(struct msg_channel *ch)
{
	move(ch, SENDER_TOKEN);
	ch->sender.is_token_wanted = false;
	ch->sender.turns = 0;
	channel_lock(ch, &ch->token, LOCK_EX, LOCK_CONVERT, ch->config.token_timeout_ns);
}

void sender_release(struct msg_channel *ch)
{
	move(ch, SENDER_RELEASE);
	channel_lock(ch, &ch->token, LOCK_NL, LOCK_CONVERT, 0);
}

void sender_reconsider(struct msg_channel *ch)
{
	if (ch->sender.state == SENDER_TOKEN && !sender_wants_token(ch))
		(void)lockres_unlock(&ch->token, LOCK_CANCEL);
}

static void token_is_late(struct msg_channel *ch)
{
	struct msg_result r = { .status = -ETIMEDOUT };
	char names[128];

	if (!channel_late(ch, &ch->token, ch->config.token_timeout_ns, "keeps token", names,
			  sizeof(names))) {
		err_set(&r.why, -ETIMEDOUT, "nothing was said: %s keeps token", names);
		if (ch->is_ready)
			job_fail_first(ch, &r);
	}
}

static void token_done(struct msg_channel *ch, const struct lock_result *result)
{
	if (result->status == 0) {
		move(ch, SENDER_HOLD);
	} else {
		if (result->status == -ETIMEDOUT)
			token_is_late(ch);
		move(ch, SENDER_IDLE);
	}
	sender_go(ch);
}

/* A compound that is over ends with its TOKEN. */
static void token_released(struct msg_channel *ch)
{
	struct msg_compound *c = job_compound(ch);

	if (!c)
		return;
	job_remove(ch, &c->job);
	job_end_compound(ch, c, 0);
}

/* May what follows go without giving others a turn? */
static bool keeps_token(const struct msg_channel *ch)
{
	const struct msg_sender *s = &ch->sender;
	const struct msg_compound *c = job_compound(ch);
	const struct msg_job *job = job_first(c ? &c->sends : &s->jobs);

	if (c && !c->is_over)
		return true;
	if (owes(ch) && !s->is_put_off)
		return true;
	if (job && s->current && job == &s->current->job)
		job = job->link.next == (c ? &c->sends : &s->jobs) ?
			      NULL :
			      qb_list_entry(job->link.next, struct msg_job, link);
	if (c)
		return job && !c->job.is_cancelled;
	return job && !s->is_put_off && !s->is_token_wanted && s->turns < MSG_TOKEN_TURNS;
}

/* --- joining ----------------------------------------------------------------------------------- */

void sender_start(struct msg_channel *ch)
{
	struct lockres *locks[] = { &ch->token, &ch->message, &ch->ack, &ch->nack };

	move(ch, SENDER_NULLS);
	lockspace_begin(ch->space);
	for (size_t i = 0; i < ARRAY_SIZE(locks); i++)
		channel_lock(ch, locks[i], LOCK_NL, LOCK_EXPEDITE, 0);
	lockspace_end(ch->space);
}

static bool is_any_pending(const struct msg_channel *ch)
{
	return ch->token.is_pending || ch->message.is_pending || ch->ack.is_pending ||
	       ch->nack.is_pending;
}

static void join(struct msg_channel *ch)
{
	move(ch, SENDER_JOIN);
	lockspace_begin(ch->space);
	channel_lock(ch, &ch->message, LOCK_NL, LOCK_CONVERT | LOCK_VALBLK, 0);
	channel_lock(ch, &ch->ack, LOCK_CR, LOCK_CONVERT, 0);
	lockspace_end(ch->space);
}

static void joined(struct msg_channel *ch)
{
	enum msg_fault fault;
	struct msg m;

	fault = channel_read(ch, &m);
	ch->sequence = m.sequence; /* of nothing: 0 */
	ch->is_sequence_known = fault == MSG_SOUND || fault == MSG_NOTHING;
	ch->is_ready = true;
	if (ch->ops.ready)
		ch->ops.ready(ch->owner);
	move(ch, SENDER_HOLD);
	sender_go(ch);
}

/* --- 2 to 6 ------------------------------------------------------------------------------------- */

static void speak(struct msg_channel *ch, struct msg_send *send)
{
	struct msg_sender *s = &ch->sender;

	s->current = send;
	s->result = (struct msg_result){ 0 };
	move(ch, SENDER_MESSAGE);
	channel_lock(ch, &ch->message, LOCK_EX, LOCK_CONVERT | LOCK_VALBLK,
			ch->config.step_timeout_ns);
}

static const char *what_is_said(const struct msg_channel *ch)
{
	return msg_type_name(ch->sender.current->message.type);
}

static void finished(struct msg_channel *ch);

static void finish(struct msg_channel *ch, int status)
{
	struct msg_sender *s = &ch->sender;

	s->result.status = status;
	s->turns++;
	move(ch, SENDER_FINISH);
	lockspace_begin(ch->space);
	if (ch->ack.mode == LOCK_EX)
		channel_lock(ch, &ch->ack, LOCK_CR, LOCK_CONVERT, 0);
	if (ch->message.mode != LOCK_NL)
		channel_lock(ch, &ch->message, LOCK_NL, LOCK_CONVERT, 0);
	if (status == 0)
		channel_lock(ch, &ch->nack, LOCK_NL, LOCK_CONVERT | LOCK_VALBLK, 0);
	if (ch->space->is_ordered && !keeps_token(ch))
		channel_lock(ch, &ch->token, LOCK_NL, LOCK_CONVERT, 0);
	lockspace_end(ch->space);
	if (s->state == SENDER_FINISH && !is_any_pending(ch))
		finished(ch);
}

static void finish_cancelled(struct msg_channel *ch)
{
	err_set(&ch->sender.result.why, -ECANCELED, "%s was cancelled%s", what_is_said(ch),
		ch->sender.result.sequence ? " as it was under way" : "");
	finish(ch, -ECANCELED);
}

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
	uint32_t sequence;

	sequence = next_sequence(ch, marks);
	if (s->current->job.is_cancelled) {
		finish_cancelled(ch);
		return;
	}
	m->slot = (uint16_t)ch->our_slot;
	m->sequence = ch->sequence = s->result.sequence = sequence;
	ch->is_sequence_known = true;
	memset(ch->message.value, 0, sizeof(ch->message.value));
	msg_encode(m, ch->message.value);
	move(ch, SENDER_ACK);
	lockspace_begin(ch->space);
	channel_lock(ch, &ch->message, LOCK_CW, LOCK_CONVERT | LOCK_VALBLK, 0);
	channel_lock(ch, &ch->ack, LOCK_EX, LOCK_CONVERT, ch->config.step_timeout_ns);
	lockspace_end(ch->space);
}

static void message_done(struct msg_channel *ch, const struct lock_result *result)
{
	struct msg_sender *s = &ch->sender;
	char names[128];

	if (result->status == 0) {
		store(ch, result->marks);
		return;
	}
	if (result->status == -ETIMEDOUT && !s->current->job.is_cancelled &&
	    channel_late(ch, &ch->message, ch->config.step_timeout_ns,
			 "is not over the message before", names, sizeof(names)) &&
	    !s->current->job.is_cancelled) {
		channel_lock(ch, &ch->message, LOCK_EX, LOCK_CONVERT | LOCK_VALBLK,
				ch->config.step_timeout_ns);
		return;
	}
	if (result->status == -ECANCELED || s->current->job.is_cancelled) {
		finish_cancelled(ch);
		return;
	}
	err_set(&s->result.why, -ETIMEDOUT,
		"%s was not said: %s is not over the message before", what_is_said(ch), names);
	finish(ch, -ETIMEDOUT);
}

/* 3 and 4 are done, or 4 is not to be had. */
static void ack_done(struct msg_channel *ch)
{
	struct msg_sender *s = &ch->sender;
	char what[80], names[128];

	if (s->ack_status == 0) {
		finish(ch, 0);
		return;
	}
	snprintf(what, sizeof(what), "has not acknowledged %s", what_is_said(ch));
	if (s->ack_status == -ETIMEDOUT && !s->current->job.is_cancelled &&
	    channel_late(ch, &ch->ack, ch->config.step_timeout_ns, what, names,
			 sizeof(names)) &&
	    !s->current->job.is_cancelled) {
		channel_lock(ch, &ch->ack, LOCK_EX, LOCK_CONVERT,
				ch->config.step_timeout_ns);
		return;
	}
	if (s->ack_status == -ECANCELED || s->current->job.is_cancelled) {
		finish_cancelled(ch);
		return;
	}
	err_set(&s->result.why, -ETIMEDOUT, "%s %s", names, what);
	finish(ch, -ETIMEDOUT);
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

/* H7: it is said, or it must be tried again by whoever can. */
static void recovery_is_over(struct msg_channel *ch)
{
	struct msg_sender *s = &ch->sender;

	s->is_answered = false;
	if (s->result.status != 0 && s->result.status != -EREMOTEIO) {
		s->is_put_off = true;
		return;
	}
	ch->stats.recovered++;
	if (s->is_owed_since_known &&
	    msg_sequence_lead(s->recovery.message.generation, s->owed_since) >= 0)
		s->is_owed = false;
}

static void finished(struct msg_channel *ch)
{
	struct msg_sender *s = &ch->sender;
	struct msg_send *send = s->current;
	struct msg_result r;

	if (s->result.status == 0)
		look_at_nack(ch);
	r = s->result;
	if (send == &s->recovery)
		recovery_is_over(ch);
	s->current = NULL;
	if (send != &s->recovery) {
		s->is_put_off = false;
		job_remove(ch, &send->job);
		job_done(ch, send, &r);
	}
	if (ch->token.mode == LOCK_NL)
		token_released(ch);
	move(ch, ch->token.mode == LOCK_NL ? SENDER_IDLE : SENDER_HOLD);
	sender_go(ch);
}

/* --- what is next ----------------------------------------------------------------------------------- */

static void ask_owner(struct msg_channel *ch)
{
	struct msg_sender *s = &ch->sender;

	s->is_asking = true;
	s->is_put_off = false;
	s->recovery = (struct msg_send){
		.message = { .type = MSG_METADATA_UPDATED, .generation = ch->generation },
	};
	ch->ops.recover(ch->owner);
}

static void begin_compound(struct msg_channel *ch, struct msg_compound *c)
{
	const struct msg_result fine = { 0 };

	c->is_begun = true;
	c->begun(c->owner, c, &fine);
	sender_go(ch);
}

static void next_job(struct msg_channel *ch)
{
	const struct msg_sender *s = &ch->sender;
	struct msg_job *job = job_first(&s->jobs);

	if (!job || (s->turns > 0 && !keeps_token(ch)))
		sender_release(ch);
	else if (job->is_compound)
		begin_compound(ch, container_of(job, struct msg_compound, job));
	else
		speak(ch, container_of(job, struct msg_send, job));
}

/* TOKEN is here. */
static void hold(struct msg_channel *ch)
{
	struct msg_sender *s = &ch->sender;
	struct msg_compound *c = job_compound(ch);
	struct msg_job *job = c && !c->job.is_cancelled ? job_first(&c->sends) : NULL;

	if (ch->receiver.state != RECEIVER_IDLE || s->is_asking)
		return;
	if (!ch->is_ready)
		join(ch);
	else if (s->is_answered)
		speak(ch, &s->recovery);
	else if (job)
		speak(ch, container_of(job, struct msg_send, job));
	else if (c && !c->is_over)
		return;
	else if (owes(ch) && !(s->is_put_off && job_first(&s->jobs)))
		ask_owner(ch);
	else if (c)
		sender_release(ch);
	else
		next_job(ch);
}

void sender_go(struct msg_channel *ch)
{
	receiver_go(ch);
	if (ch->sender.state == SENDER_HOLD)
		hold(ch);
	else if (ch->sender.state == SENDER_IDLE && sender_wants_token(ch))
		take_token(ch);
}

void sender_done(struct msg_channel *ch, struct lockres *lock,
		 const struct lock_result *result)
{
	switch (ch->sender.state) {
	case SENDER_TOKEN:
		token_done(ch, result);
		break;
	case SENDER_MESSAGE:
		message_done(ch, result);
		break;
	case SENDER_ACK:
		if (lock == &ch->ack)
			ch->sender.ack_status = result->status;
		if (!ch->ack.is_pending && !ch->message.is_pending)
			ack_done(ch);
		break;
	case SENDER_NULLS:
		if (is_any_pending(ch))
			break;
		move(ch, SENDER_IDLE);
		sender_go(ch);
		break;
	case SENDER_JOIN:
		if (!is_any_pending(ch))
			joined(ch);
		break;
	case SENDER_FINISH:
		if (!is_any_pending(ch))
			finished(ch);
		break;
	case SENDER_RELEASE:
		token_released(ch);
		move(ch, SENDER_IDLE);
		sender_go(ch);
		break;
	case SENDER_NEW:
	case SENDER_IDLE:
	case SENDER_HOLD:
	case SENDER_STOPPED:
	case SENDER_STATES:
		break;
	}
}
