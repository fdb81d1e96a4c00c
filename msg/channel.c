/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The channel's life, and what its two machines share: locks, deadlines, counters. */
#include "msg/channel_private.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arith.h"

enum { MAX_NAMED = 8 };

#define SECOND UINT64_C(1000000000)

static_assert((int)MSG_MAX_SLOTS == (int)LOCKSPACE_MAX_SLOTS, "a slot fits a message");
static_assert((int)MSG_BYTES == (int)LOCK_SMALL_LVB, "a message fits every lock value");

/* --- locks --------------------------------------------------------------------------- */

void channel_lock(struct msg_channel *ch, struct lockres *lock, enum lock_mode mode,
		  uint32_t flags, uint64_t timeout_ns)
{
	int r;

	if (ch->sender.state == SENDER_STOPPED)
		return;
	r = lockres_lock(lock, mode, flags, timeout_ns);
	if (r == -ESHUTDOWN)
		sender_stop(ch); /* its owner tells: msg_channel_lost() */
	else if (r < 0)
		channel_break(ch, r, "a request for a lock was refused");
}

bool channel_is_any_pending(const struct msg_channel *ch)
{
	return ch->token.is_pending || ch->message.is_pending || ch->ack.is_pending ||
	       ch->nack.is_pending;
}

void channel_break(struct msg_channel *ch, int code, const char *what)
{
	struct err err = ERR_INIT;

	if (ch->sender.state == SENDER_STOPPED)
		return;
	sender_stop(ch);
	err_set(&err, code, "messages: %s: %s", what, strerror(-code));
	if (ch->ops.broken)
		ch->ops.broken(ch->owner, &err);
}

static const char *what_is_refused(const struct msg_channel *ch,
				   const struct lockres *lock)
{
	return lock == &ch->token   ? "the lock on token was refused" :
	       lock == &ch->message ? "the lock on message was refused" :
	       lock == &ch->ack     ? "the lock on ack was refused" :
				      "the lock on nack was refused";
}

/* Answers that some step waits for; all others end the channel. */
static bool is_expected(const struct lock_result *result)
{
	return result->status == 0 || result->status == -ETIMEDOUT ||
	       result->status == -ECANCELED;
}

static void on_done(void *owner, struct lockres *lock, const struct lock_result *result)
{
	struct msg_channel *ch = owner;

	if (ch->sender.state == SENDER_STOPPED)
		return;
	if (result->status == -ESTALE)
		sender_stop(ch);
	else if (!is_expected(result))
		channel_break(ch, result->status, what_is_refused(ch, lock));
	else if (lock == &ch->token || sender_is_speaking(ch))
		sender_done(ch, lock, result);
	else
		receiver_done(ch, lock, result);
}

static void on_ack_blocked(void *owner, struct lockres *lock, enum lock_mode wanted)
{
	struct msg_channel *ch = owner;

	(void)lock;
	(void)wanted;
	if (ch->sender.state != SENDER_STOPPED)
		receiver_blocked(ch);
}

static void on_token_blocked(void *owner, struct lockres *lock, enum lock_mode wanted)
{
	struct msg_channel *ch = owner;

	(void)lock;
	(void)wanted;
	ch->sender.is_token_wanted = true;
}

/* --- deadlines ----------------------------------------------------------------------- */

bool channel_late(struct msg_channel *ch, const struct lockres *lock, uint64_t timeout_ns,
		  const char *what, char *names, size_t room)
{
	uint32_t nodes[MAX_NAMED];
	size_t count = min_u64(lockres_blockers(lock, nodes, MAX_NAMED), MAX_NAMED);
	bool is_leaving = false;
	size_t at = 0;
	char why[256];

	ch->stats.late++;
	for (size_t i = 0; i < count; i++) {
		if (at < room)
			at += (size_t)snprintf(names + at, room - at, "%snode %" PRIu32,
					       i ? ", " : "", nodes[i]);
		snprintf(why, sizeof(why), "node %" PRIu32 " %s, for %" PRIu64 " s now",
			 nodes[i], what, timeout_ns / SECOND);
		if (ch->ops.evict)
			is_leaving |= ch->ops.evict(ch->owner, nodes[i], why);
	}
	if (count > 0)
		return is_leaving;
	snprintf(names, room, "a node that is not known");
	if (ch->sender.was_nobody_late)
		return false;
	ch->sender.was_nobody_late = true;
	return true;
}

uint32_t channel_node(const struct msg_channel *ch, int slot)
{
	for (size_t i = 0; i < ch->member_count; i++)
		if (ch->members[i].slot == slot)
			return ch->members[i].node;
	return 0;
}

enum msg_fault channel_read(struct msg_channel *ch, struct msg *m)
{
	enum msg_fault fault = msg_decode(ch->message.value, ch->space->lvb_bytes, m);

	if (fault != MSG_SOUND && fault != MSG_NOTHING)
		ch->stats.faults[fault]++;
	return fault;
}

/* --- life ---------------------------------------------------------------------------- */

static const struct lockres_handlers handlers = { .done = on_done };
static const struct lockres_handlers ack_handlers = { on_done, on_ack_blocked };
static const struct lockres_handlers token_handlers = { on_done, on_token_blocked };

static int init_locks(struct msg_channel *ch)
{
	struct {
		struct lockres *lock;
		const char *name;
		const struct lockres_handlers *handlers;
	} locks[] = {
		{ &ch->token, "token", &token_handlers },
		{ &ch->message, "message", &handlers },
		{ &ch->ack, "ack", &ack_handlers },
		{ &ch->nack, "nack", &handlers },
	};

	for (size_t i = 0; i < ARRAY_SIZE(locks); i++) {
		int r = lockres_init(locks[i].lock, ch->space, locks[i].name,
				     strlen(locks[i].name), locks[i].handlers, ch);

		if (r == 0)
			continue;
		while (i > 0)
			lockres_fini(locks[--i].lock);
		return r;
	}
	return 0;
}

struct msg_channel *msg_channel_new(struct lockspace *space,
				    const struct msg_channel_config *config,
				    const struct msg_channel_ops *ops, void *owner,
				    struct err *err)
{
	struct msg_channel *ch = calloc(1, sizeof(*ch));
	int r;

	if (!ch) {
		err_nomem(err, "a message channel");
		return NULL;
	}
	ch->space = space;
	ch->config = *config;
	ch->ops = *ops;
	ch->owner = owner;
	if (ch->config.step_timeout_ns == 0)
		ch->config.step_timeout_ns = MSG_STEP_SECONDS * SECOND;
	if (ch->config.token_timeout_ns == 0)
		ch->config.token_timeout_ns = 4 * ch->config.step_timeout_ns;
	if (ch->config.last_timeout_ns == 0)
		ch->config.last_timeout_ns = 4 * ch->config.step_timeout_ns;
	qb_list_init(&ch->sender.jobs);
	r = init_locks(ch);
	if (r < 0) {
		err_set(err, r, "messages: the locks cannot be made: %s", strerror(-r));
		free(ch);
		return NULL;
	}
	return ch;
}

void msg_channel_free(struct msg_channel *ch)
{
	if (!ch)
		return;
	lockres_fini(&ch->nack);
	lockres_fini(&ch->ack);
	lockres_fini(&ch->message);
	lockres_fini(&ch->token);
	free(ch);
}

/* --- membership ---------------------------------------------------------------------- */

void msg_channel_recover_done(struct msg_channel *ch,
			      const struct lockspace_member *members, size_t count,
			      int our_slot, uint32_t generation)
{
	if (ch->sender.state == SENDER_STOPPED)
		return;
	ch->our_slot = our_slot;
	ch->generation = generation;
	ch->member_count = min_u64(count, LOCKSPACE_MAX_SLOTS);
	memcpy(ch->members, members, ch->member_count * sizeof(*members));
	recovery_changed(ch);
	if (ch->sender.state == SENDER_NEW)
		sender_start(ch);
	else
		sender_go(ch);
}

/* --- looking ------------------------------------------------------------------------- */

static enum msg_step sending_step(const struct msg_channel *ch)
{
	static const enum msg_step steps[SENDER_STATES] = {
		[SENDER_NULLS] = MSG_STEP_JOIN,      [SENDER_TOKEN] = MSG_STEP_TOKEN,
		[SENDER_JOIN] = MSG_STEP_JOIN,       [SENDER_MESSAGE] = MSG_STEP_MESSAGE,
		[SENDER_ACK] = MSG_STEP_ACK,         [SENDER_FINISH] = MSG_STEP_FINISH,
		[SENDER_RELEASE] = MSG_STEP_FINISH,
	};

	return steps[ch->sender.state];
}

static enum msg_step receiving_step(const struct msg_channel *ch)
{
	static const enum msg_step steps[RECEIVER_STATES] = {
		[RECEIVER_READ] = MSG_STEP_READ,     [RECEIVER_HANDLE] = MSG_STEP_HANDLE,
		[RECEIVER_REFUSE] = MSG_STEP_REFUSE, [RECEIVER_STORE] = MSG_STEP_REFUSE,
		[RECEIVER_SENDER] = MSG_STEP_SENDER, [RECEIVER_REARM] = MSG_STEP_REARM,
		[RECEIVER_RELEASE] = MSG_STEP_REARM,
	};

	return steps[ch->receiver.state];
}

/* The one request that may have to wait for others; NULL: none. */
static const struct lockres *waiting_for(const struct msg_channel *ch)
{
	switch (ch->sender.state) {
	case SENDER_TOKEN:
		return &ch->token;
	case SENDER_MESSAGE:
		return &ch->message;
	case SENDER_ACK:
		return &ch->ack;
	default:
		break;
	}
	switch (ch->receiver.state) {
	case RECEIVER_READ:
	case RECEIVER_SENDER:
		return &ch->message;
	case RECEIVER_REFUSE:
		return &ch->nack;
	default:
		return NULL;
	}
}

void msg_channel_look(const struct msg_channel *ch, struct msg_channel_look *look)
{
	const struct msg_sender *s = &ch->sender;
	const struct lockres *lock = waiting_for(ch);

	*look = (struct msg_channel_look){
		.is_ready = ch->is_ready,
		.is_token_here = ch->token.mode == LOCK_EX,
		.is_recovery_owed = s->is_owed,
		.sending = sending_step(ch),
		.receiving = receiving_step(ch),
		.message = s->current ? &s->current->message : NULL,
		.sequence = ch->sequence,
		.queued = s->job_count,
	};
	if (lock)
		look->blocker_count = lockres_blockers(lock, look->blockers,
						       ARRAY_SIZE(look->blockers));
}

const struct msg_channel_stats *msg_channel_stats(const struct msg_channel *ch)
{
	return &ch->stats;
}

const char *msg_step_name(enum msg_step step)
{
	static const char *const names[MSG_STEPS] = {
		[MSG_STEP_NONE] = "has nothing to do",
		[MSG_STEP_JOIN] = "joins",
		[MSG_STEP_TOKEN] = "waits for token",
		[MSG_STEP_MESSAGE] = "waits until all are over the message before",
		[MSG_STEP_ACK] = "waits until all have handled it",
		[MSG_STEP_FINISH] = "gives back its locks",
		[MSG_STEP_READ] = "reads the message",
		[MSG_STEP_HANDLE] = "handles the message",
		[MSG_STEP_REFUSE] = "tells why it refuses the message",
		[MSG_STEP_SENDER] = "waits until all others have handled it",
		[MSG_STEP_REARM] = "gets ready for the next message",
	};

	return names[step];
}
