/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the channel's files share. It is two machines over four locks: one speaks
 * (sender.c, speak.c, recovery.c), one listens (receiver.c). `message` and `ack` are used by one
 * of them at a time: by the sender while it is_speaking(), else by the receiver.
 */
#pragma once

#include "msg/channel.h"

/*
 *	NEW --> NULLS --> IDLE <--------> TOKEN ------> HOLD <----> JOIN
 *	                    ^    cancel             ^    |  \
 *	                    |                       |    |   `----> MESSAGE --> ACK
 *	                    +------- RELEASE <------|----+             |         |
 *	                    |                       |                  v         |
 *	                    +-----------------------+--------------- FINISH <----+
 *	      from each: STOPPED
 */
enum sender_state {
	SENDER_NEW,     /* not a member yet */
	SENDER_NULLS,   /* takes the four locks, NL */
	SENDER_IDLE,
	SENDER_TOKEN,   /* step 1 */
	SENDER_HOLD,    /* TOKEN is here; what is next? */
	SENDER_JOIN,    /* first ack CR, and the last sequence */
	SENDER_MESSAGE, /* step 2 */
	SENDER_ACK,     /* steps 3, 4 */
	SENDER_FINISH,  /* steps 5, 6, and 7 where it can go with them */
	SENDER_RELEASE, /* step 7 */
	SENDER_STOPPED, /* lost or broken */
	SENDER_STATES,
};

/*
 *	IDLE --> READ --> HANDLE ---------------> SENDER --> REARM ------------> IDLE
 *	           |        `--> REFUSE --> STORE --^ ^         `--> RELEASE --^
 *	           |                `-----------------+
 *	           `----------------------------------+   nothing new
 */
enum receiver_state {
	RECEIVER_IDLE,
	RECEIVER_READ,    /* R1 */
	RECEIVER_HANDLE,  /* R2: open until msg_handled() */
	RECEIVER_REFUSE,  /* takes nack, EX */
	RECEIVER_STORE,   /* gives it back, with the reason */
	RECEIVER_SENDER,  /* R3, R4: until the sender is through */
	RECEIVER_REARM,   /* R5, and R6 where it can go with it */
	RECEIVER_RELEASE, /* R6 */
	RECEIVER_STATES,
};

struct msg_sender {
	enum sender_state state;
	/*
	 * What waits for TOKEN, oldest first: sends and compounds, as msg_job. What
	 * runs is in its list until it is done.
	 */
	struct qb_list_head jobs;
	size_t job_count;
	struct msg_send *current;    /* steps 2 to 6; NULL: none */
	struct msg_result result;    /* what became of it so far */
	int ack_status;              /* of step 4 */
	unsigned int turns;          /* messages since TOKEN came */
	bool is_token_wanted;        /* by others */
	bool was_nobody_late;        /* a deadline of this step passed, and nobody was seen */

	/* H7 */
	bool is_owed;
	bool is_owed_since_known;
	uint32_t owed_since;         /* generation */
	bool is_declined;            /* this node cannot, until it says so, or a change */
	bool is_put_off;             /* it was given up: others first, then again */
	bool is_asking;              /* recover() until msg_recovered() */
	bool is_answered;            /* `recovery` is to be said */
	struct msg_send recovery;
};

struct msg_receiver {
	enum receiver_state state;
	bool is_wanted;              /* ack blocked somebody as `message` was in use */
	struct msg m;                /* READ to SENDER */
	struct msg_nack nack;
};

struct msg_channel {
	struct lockspace *space;
	struct msg_channel_config config;
	struct msg_channel_ops ops;
	void *owner;

	struct lockres token, message, ack, nack;
	struct msg_sender sender;
	struct msg_receiver receiver;

	bool is_ready;
	bool is_sequence_known;
	uint32_t sequence;           /* the last that was said, as far as we know */
	int our_slot;
	uint32_t generation;
	struct lockspace_member members[LOCKSPACE_MAX_SLOTS];
	size_t member_count;
	struct msg_channel_stats stats;
};

/* --- channel.c ----------------------------------------------------------------------- */

/* As lockres_lock(). What cannot be asked for breaks the channel. */
void channel_lock(struct msg_channel *ch, struct lockres *lock, enum lock_mode mode,
		  uint32_t flags, uint64_t timeout_ns);
bool channel_is_any_pending(const struct msg_channel *ch);
/* Ends its life; the first sentence counts. */
void channel_break(struct msg_channel *ch, int code, const char *what);
/*
 * The deadline of what was asked of the lock is over: each node that is in the way is
 * named, and its eviction asked for: "node 3 `what`". True: wait once more. `names` gets
 * "node 3, node 4".
 */
bool channel_late(struct msg_channel *ch, const struct lockres *lock, uint64_t timeout_ns,
		  const char *what, char *names, size_t room);
/* The node of a slot; 0: nobody. */
uint32_t channel_node(const struct msg_channel *ch, int slot);
/* What the value of `message` says; takes note of it in the counters. */
enum msg_fault channel_read(struct msg_channel *ch, struct msg *m);

/* --- jobs.c -------------------------------------------------------------------------- */

/* The oldest; NULL: none. */
struct msg_job *job_first(const struct qb_list_head *jobs);
/* The compound that has TOKEN; NULL: none. */
struct msg_compound *job_compound(const struct msg_channel *ch);
void job_remove(struct msg_channel *ch, struct msg_job *job);
/* It is over; not in its list any more. */
void job_done(struct msg_channel *ch, struct msg_send *send, const struct msg_result *r);
/* Fails the oldest: a send, or a compound that has not begun. */
void job_fail_first(struct msg_channel *ch, const struct msg_result *r);
/* A compound that is over, and has no TOKEN. */
void job_end_compound(struct msg_channel *ch, struct msg_compound *c, int status);

/* --- sender.c ------------------------------------------------------------------------ */

void sender_move(struct msg_channel *ch, enum sender_state to);
/* `message`, `ack` and `nack` are the sender's. */
bool sender_is_speaking(const struct msg_channel *ch);
bool sender_wants_token(const struct msg_channel *ch);
/* May what follows go without giving others a turn? */
bool sender_keeps_token(const struct msg_channel *ch);
void sender_start(struct msg_channel *ch);
/* Something changed: does what can be done now, of both machines. */
void sender_go(struct msg_channel *ch);
/* Step 7, by itself. */
void sender_release(struct msg_channel *ch);
/* A message, or step 7, is over: to what is next. */
void sender_is_through(struct msg_channel *ch);
void sender_done(struct msg_channel *ch, struct lockres *lock,
		 const struct lock_result *result);
void sender_stop(struct msg_channel *ch);
/* The last request for TOKEN may have become needless. */
void sender_reconsider(struct msg_channel *ch);

/* --- speak.c ------------------------------------------------------------------------- */

void message_speak(struct msg_channel *ch, struct msg_send *send);
/* Step 2 is over. */
void message_done(struct msg_channel *ch, const struct lock_result *result);
/* Steps 3 and 4 are over. */
void message_acknowledged(struct msg_channel *ch);
/* All locks are given back that are to be. */
void message_finished(struct msg_channel *ch);

/* --- recovery.c ---------------------------------------------------------------------- */

void recovery_changed(struct msg_channel *ch);
bool recovery_is_wanted(const struct msg_channel *ch);
/* TOKEN is here. */
void recovery_ask(struct msg_channel *ch);
void recovery_is_over(struct msg_channel *ch, int status);
/* Somebody said this: it may be what is owed. */
void recovery_heard(struct msg_channel *ch, const struct msg *m);

/* --- receiver.c ---------------------------------------------------------------------- */

void receiver_blocked(struct msg_channel *ch);
/* Begins what was put off. */
void receiver_go(struct msg_channel *ch);
void receiver_done(struct msg_channel *ch, struct lockres *lock,
		   const struct lock_result *result);
