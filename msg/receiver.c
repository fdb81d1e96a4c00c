/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The machine that listens: steps R1 to R6, and refusals (H2, H3). Invariants:
 *
 *	I4  ack goes from CR to NL only when the message is answered, or was no news.
 *	I5  message goes to NL only behind ack's way back to CR: so no sender can be
 *	    past step 2 without our ack.
 *	I6  A wish to be heard that comes within another step is kept. At worst there is
 *	    no news in it then.
 *
 * It never gives up: a sender that hangs is named again after each deadline.
 */
#include "msg/channel_private.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#define TO(state) (1u << RECEIVER_##state)

static const struct {
	const char *name;
	uint32_t to;
} states[RECEIVER_STATES] = {
	[RECEIVER_IDLE] = { "idle", TO(READ) },
	[RECEIVER_READ] = { "read", TO(HANDLE) | TO(REFUSE) | TO(SENDER) },
	[RECEIVER_HANDLE] = { "handle", TO(REFUSE) | TO(SENDER) },
	[RECEIVER_REFUSE] = { "refuse", TO(STORE) },
	[RECEIVER_STORE] = { "store", TO(SENDER) },
	[RECEIVER_SENDER] = { "sender", TO(REARM) },
	[RECEIVER_REARM] = { "rearm", TO(RELEASE) | TO(IDLE) },
	[RECEIVER_RELEASE] = { "release", TO(IDLE) },
};

static void move(struct msg_channel *ch, enum receiver_state to)
{
	enum receiver_state from = ch->receiver.state;

	assert(states[from].to >> to & 1);
	assert(to != RECEIVER_IDLE ||
	       (ch->ack.mode == LOCK_CR && ch->message.mode == LOCK_NL)); /* I5 */
	ch->receiver.state = to;
	if (ch->ops.moved)
		ch->ops.moved(ch->owner, "receiver", states[from].name, states[to].name);
}

static void convert_message(struct msg_channel *ch)
{
	if (ch->receiver.state == RECEIVER_READ)
		channel_lock(ch, &ch->message, LOCK_CR, LOCK_CONVERT | LOCK_VALBLK,
			     ch->config.step_timeout_ns);
	else
		channel_lock(ch, &ch->message, LOCK_PR, LOCK_CONVERT,
			     ch->config.last_timeout_ns);
}

/* --- R1 ------------------------------------------------------------------------------ */

void receiver_go(struct msg_channel *ch)
{
	struct msg_receiver *r = &ch->receiver;

	if (!r->is_wanted || r->state != RECEIVER_IDLE || sender_is_speaking(ch))
		return;
	r->is_wanted = false;
	move(ch, RECEIVER_READ);
	convert_message(ch);
}

void receiver_blocked(struct msg_channel *ch)
{
	ch->receiver.is_wanted = true;
	receiver_go(ch);
}

/* --- R3 to R6 ------------------------------------------------------------------------ */

static void acknowledge(struct msg_channel *ch)
{
	move(ch, RECEIVER_SENDER);
	lockspace_begin(ch->space);
	channel_lock(ch, &ch->ack, LOCK_NL, LOCK_CONVERT, 0);
	convert_message(ch);
	lockspace_end(ch->space);
}

static void rearm(struct msg_channel *ch)
{
	move(ch, RECEIVER_REARM);
	lockspace_begin(ch->space);
	channel_lock(ch, &ch->ack, LOCK_CR, LOCK_CONVERT, 0);
	if (ch->space->is_ordered)
		channel_lock(ch, &ch->message, LOCK_NL, LOCK_CONVERT, 0);
	lockspace_end(ch->space);
}

static void go_idle(struct msg_channel *ch)
{
	move(ch, RECEIVER_IDLE);
	sender_go(ch);
}

/* --- R2 ------------------------------------------------------------------------------ */

static void refuse(struct msg_channel *ch, enum msg_refusal code, const char *text)
{
	struct msg_receiver *r = &ch->receiver;

	r->nack = (struct msg_nack){
		.code = code,
		.slot = (uint16_t)ch->our_slot,
		.sequence = r->m.sequence,
		.count = 1,
	};
	snprintf(r->nack.text, sizeof(r->nack.text), "%s", text ? text : "");
	ch->stats.nacked++;
	move(ch, RECEIVER_REFUSE);
	channel_lock(ch, &ch->nack, LOCK_EX, LOCK_CONVERT | LOCK_VALBLK,
		     ch->config.step_timeout_ns);
}

/* The first refusal of a message stays. */
static void store_nack(struct msg_channel *ch)
{
	struct msg_receiver *r = &ch->receiver;
	struct msg_nack first;

	if (msg_nack_decode(ch->nack.value, ch->space->lvb_bytes, &first) == MSG_SOUND &&
	    first.sequence == r->nack.sequence) {
		r->nack = first;
		if (r->nack.count < UINT8_MAX)
			r->nack.count++;
	}
	msg_nack_encode(&r->nack, ch->nack.value, ch->space->lvb_bytes);
	move(ch, RECEIVER_STORE);
	lockspace_begin(ch->space);
	channel_lock(ch, &ch->nack, LOCK_NL, LOCK_CONVERT | LOCK_VALBLK, 0);
	if (ch->space->is_ordered)
		acknowledge(ch);
	lockspace_end(ch->space);
}

void msg_handled(struct msg_channel *ch, enum msg_refusal code, const char *text)
{
	if (ch->receiver.state != RECEIVER_HANDLE || ch->sender.state == SENDER_STOPPED)
		return;
	if (code == MSG_ACCEPTED) {
		ch->stats.handled++;
		acknowledge(ch);
	} else {
		refuse(ch, code, text);
	}
}

/* False: it is no news, and was counted. */
static bool is_news(struct msg_channel *ch, enum msg_fault fault, const struct msg *m,
		    uint32_t marks)
{
	if (marks & LOCK_VALNOTVALID) {
		ch->stats.invalid++;
		return false;
	}
	if (fault == MSG_NOTHING ||
	    (ch->is_sequence_known && msg_sequence_lead(m->sequence, ch->sequence) <= 0)) {
		ch->stats.duplicates++;
		return false;
	}
	if (m->slot == ch->our_slot) {
		ch->stats.own++;
		return false;
	}
	return true;
}

static void tell_missed(struct msg_channel *ch, const struct msg *m)
{
	uint32_t count = (uint32_t)msg_sequence_lead(m->sequence, ch->sequence) - 1;

	if (ch->is_sequence_known && count > 0) {
		ch->stats.missed += count;
		if (ch->ops.missed)
			ch->ops.missed(ch->owner, count);
	}
	ch->sequence = m->sequence;
	ch->is_sequence_known = true;
}

static void heard(struct msg_channel *ch, uint32_t marks)
{
	struct msg_receiver *r = &ch->receiver;
	enum msg_fault fault = channel_read(ch, &r->m);

	if (!is_news(ch, fault, &r->m, marks)) {
		acknowledge(ch);
		return;
	}
	if (fault != MSG_SOUND) {
		refuse(ch,
		       fault == MSG_BAD_FIELD ? MSG_REFUSED_DAMAGED : MSG_REFUSED_UNKNOWN,
		       msg_fault_text(fault));
		return;
	}
	tell_missed(ch, &r->m);
	recovery_heard(ch, &r->m);
	if (ch->sender.state == SENDER_STOPPED)
		return; /* in a callback */
	move(ch, RECEIVER_HANDLE);
	ch->ops.handle(ch->owner, &r->m);
}

/* --- what locks say ------------------------------------------------------------------ */

static void message_is_late(struct msg_channel *ch)
{
	bool is_reading = ch->receiver.state == RECEIVER_READ;
	char names[128];

	(void)channel_late(ch, &ch->message,
			   is_reading ? ch->config.step_timeout_ns :
					ch->config.last_timeout_ns,
			   is_reading ? "keeps its message from being read" :
					"does not end its message",
			   names, sizeof(names));
	convert_message(ch);
}

static void nack_done(struct msg_channel *ch, const struct lock_result *result)
{
	char names[128];

	if (ch->receiver.state == RECEIVER_STORE) {
		acknowledge(ch);
	} else if (ch->receiver.state == RECEIVER_REFUSE && result->status == 0) {
		store_nack(ch);
	} else if (ch->receiver.state == RECEIVER_REFUSE) {
		(void)channel_late(ch, &ch->nack, ch->config.step_timeout_ns, "keeps nack",
				   names, sizeof(names));
		channel_lock(ch, &ch->nack, LOCK_EX, LOCK_CONVERT | LOCK_VALBLK,
			     ch->config.step_timeout_ns);
	}
}

void receiver_done(struct msg_channel *ch, struct lockres *lock,
		   const struct lock_result *result)
{
	struct msg_receiver *r = &ch->receiver;

	if (lock == &ch->nack) {
		nack_done(ch, result);
		return;
	}
	switch (r->state) {
	case RECEIVER_READ:
		if (result->status == 0)
			heard(ch, result->marks);
		else
			message_is_late(ch);
		break;
	case RECEIVER_SENDER:
		if (lock == &ch->message && result->status != 0)
			message_is_late(ch);
		else if (!ch->message.is_pending && !ch->ack.is_pending)
			rearm(ch);
		break;
	case RECEIVER_REARM:
		if (ch->ack.is_pending || ch->message.is_pending)
			break;
		if (ch->message.mode == LOCK_NL) {
			go_idle(ch);
			break;
		}
		move(ch, RECEIVER_RELEASE);
		channel_lock(ch, &ch->message, LOCK_NL, LOCK_CONVERT, 0);
		break;
	case RECEIVER_RELEASE:
		go_idle(ch);
		break;
	case RECEIVER_IDLE:
	case RECEIVER_HANDLE:
	case RECEIVER_REFUSE:
	case RECEIVER_STORE:
	case RECEIVER_STATES:
		break;
	}
}
