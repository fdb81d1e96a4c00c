/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The machine that speaks: TOKEN (steps 1 and 7), joining, and what comes next (H1, H6).
 * Steps 2 to 6 are in speak.c, what is owed after a death in recovery.c. Invariants:
 *
 *	I1  message is above NL for sending, and ack above CR, with TOKEN held alone.
 *	I2  Steps 2 to 6 begin when the receiver is idle: it uses the same locks.
 *	I3  Callbacks are made in a state in which nothing that the owner then calls
 *	    leads to another one.
 */
#include "msg/channel_private.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/arith.h"

/* --- states -------------------------------------------------------------------------- */

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

void sender_move(struct msg_channel *ch, enum sender_state to)
{
	struct msg_sender *s = &ch->sender;
	enum sender_state from = s->state;

	if (from == SENDER_STOPPED)
		return; /* in a callback */
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
	sender_move(ch, SENDER_STOPPED);
	ch->is_ready = false;
}

/* --- 1 and 7: TOKEN ------------------------------------------------------------------ */

bool sender_wants_token(const struct msg_channel *ch)
{
	return !ch->is_ready || recovery_is_wanted(ch) || !qb_list_empty(&ch->sender.jobs);
}

static void take_token(struct msg_channel *ch)
{
	sender_move(ch, SENDER_TOKEN);
	ch->sender.is_token_wanted = false;
	ch->sender.turns = 0;
	channel_lock(ch, &ch->token, LOCK_EX, LOCK_CONVERT, ch->config.token_timeout_ns);
}

void sender_release(struct msg_channel *ch)
{
	sender_move(ch, SENDER_RELEASE);
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
		sender_move(ch, SENDER_HOLD);
	} else {
		if (result->status == -ETIMEDOUT)
			token_is_late(ch);
		sender_move(ch, SENDER_IDLE);
	}
	sender_go(ch);
}

void sender_is_through(struct msg_channel *ch)
{
	bool is_token_here = ch->token.mode == LOCK_EX;
	struct msg_compound *c = is_token_here ? NULL : job_compound(ch);

	if (c) { /* it ends with its TOKEN */
		job_remove(ch, &c->job);
		job_end_compound(ch, c, 0);
	}
	sender_move(ch, is_token_here ? SENDER_HOLD : SENDER_IDLE);
	sender_go(ch);
}

/* May what follows go without giving others a turn? */
bool sender_keeps_token(const struct msg_channel *ch)
{
	const struct msg_sender *s = &ch->sender;
	const struct msg_compound *c = job_compound(ch);
	const struct msg_job *job = job_first(c ? &c->sends : &s->jobs);

	if (c && !c->is_over)
		return true;
	if (recovery_is_wanted(ch) && !s->is_put_off)
		return true;
	if (job && s->current && job == &s->current->job)
		job = job->link.next == (c ? &c->sends : &s->jobs) ?
			      NULL :
			      qb_list_entry(job->link.next, struct msg_job, link);
	if (c)
		return job && !c->job.is_cancelled;
	return job && !s->is_put_off && !s->is_token_wanted && s->turns < MSG_TOKEN_TURNS;
}

/* --- joining ------------------------------------------------------------------------- */

void sender_start(struct msg_channel *ch)
{
	struct lockres *locks[] = { &ch->token, &ch->message, &ch->ack, &ch->nack };

	sender_move(ch, SENDER_NULLS);
	lockspace_begin(ch->space);
	for (size_t i = 0; i < ARRAY_SIZE(locks); i++)
		channel_lock(ch, locks[i], LOCK_NL, LOCK_EXPEDITE, 0);
	lockspace_end(ch->space);
}

static void join(struct msg_channel *ch)
{
	sender_move(ch, SENDER_JOIN);
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
	sender_move(ch, SENDER_HOLD);
	sender_go(ch);
}

/* --- what is next -------------------------------------------------------------------- */

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

	if (!job || (s->turns > 0 && !sender_keeps_token(ch)))
		sender_release(ch);
	else if (job->is_compound)
		begin_compound(ch, container_of(job, struct msg_compound, job));
	else
		message_speak(ch, container_of(job, struct msg_send, job));
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
		message_speak(ch, &s->recovery);
	else if (job)
		message_speak(ch, container_of(job, struct msg_send, job));
	else if (c && !c->is_over)
		return;
	else if (recovery_is_wanted(ch) && !(s->is_put_off && job_first(&s->jobs)))
		recovery_ask(ch);
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
			message_acknowledged(ch);
		break;
	case SENDER_NULLS:
		if (channel_is_any_pending(ch))
			break;
		sender_move(ch, SENDER_IDLE);
		sender_go(ch);
		break;
	case SENDER_JOIN:
		if (!channel_is_any_pending(ch))
			joined(ch);
		break;
	case SENDER_FINISH:
		if (!channel_is_any_pending(ch))
			message_finished(ch);
		break;
	case SENDER_RELEASE:
		sender_is_through(ch);
		break;
	case SENDER_NEW:
	case SENDER_IDLE:
	case SENDER_HOLD:
	case SENDER_STOPPED:
	case SENDER_STATES:
		break;
	}
}
