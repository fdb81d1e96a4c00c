/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The channel: messages to all members of an array's lockspace, by three lock
 * resources, as md-cluster does it. A message is heard by every member that is
 * ready, and its sender is told when all have done what it says. Pure: no clock;
 * deadlines ride on the locks. What is promised, as tests cite:
 *
 *	H1  A message is sent with TOKEN held, one at a time in the whole lockspace; a
 *	    node's messages go in the order in which it asked.
 *	H2  A sender is told 0 only when every member that was ready, and lives, has
 *	    handled the message; -EREMOTEIO, with who and why, if one refused it.
 *	H3  A node handles a message at most once. What it did not hear, though it was
 *	    ready, is told by missed() before the next one is handled.
 *	H4  Each msg_send() that was taken ends once: by done(), or by msg_cancel() that
 *	    returns 0, or by msg_channel_free().
 *	H5  A handler cannot take TOKEN: asked for while one is open it is refused.
 *	H6  A member joins between two messages, never within one (B14).
 *	H7  After a member's death whoever has TOKEN first says again what the dead one
 *	    may have said, before anything else is said (D7).
 *	H8  Each wait has a deadline, and names who is waited for. Nothing is reused
 *	    before it is certain that it is over (B30, B47), nothing is tried again
 *	    without a wait (B48).
 *	H9  A channel with nothing to say asks nothing of the lockspace (B5).
 *
 * The steps, S the sender, R every receiver. A line is a batch: one rotation of the
 * ring each, so six until S knows, of which five until all have handled it.
 *
 *	1      S  token NL->EX
 *	2      S  message NL->EX             reads the last sequence; waits for R6 of the
 *	                                     message before
 *	3 4    S  message EX->CW, ack CR->EX stores the message; R hears that ack blocks
 *	R1     R  message NL->CR             reads it
 *	R2     R  handler
 *	R3 R4  R  ack CR->NL, message CR->PR S gets ack when the last R did it; R waits
 *	5 6 7  S  ack EX->CR, message CW->NL, nack NL->NL (reads it), token EX->NL
 *	R5 R6  R  ack NL->CR, message PR->NL ready for the next
 *
 * A receiver that refuses takes nack to EX and back, with its reason, before R3: two
 * batches more. Where the engine does not keep the order of operations on
 * different resources (lockspace.is_ordered), 7 and R6 wait for what is before them.
 *
 * Deliberate differences from md-cluster: sequence numbers (lost and replayed
 * messages are known for what they are), nack, deadlines with cancel, the message of the
 * recovery, TOKEN kept for up to MSG_TOKEN_TURNS messages as long as nobody else wants it.
 *
 * One thread, that of the lockspace. Callbacks come from within its events, may call
 * everything here but msg_channel_free(), and are never made from within these calls.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <qb/qblist.h>

#include "base/err.h"
#include "lockres/lockspace.h"
#include "msg/message.h"
#include "msg/nack.h"

struct msg_channel;
struct msg_send;
struct msg_compound;

enum {
	MSG_TOKEN_TURNS = 16,
	MSG_STEP_SECONDS = 30,
};

/* Nanoseconds; 0: the defaults. */
struct msg_channel_config {
	uint64_t step_timeout_ns;  /* each step but these; MSG_STEP_SECONDS */
	uint64_t token_timeout_ns; /* step 1: others use it; 4 steps */
	uint64_t last_timeout_ns;  /* R4: the sender waits for others; 4 steps */
};

enum msg_step {
	MSG_STEP_NONE,
	MSG_STEP_JOIN,
	MSG_STEP_TOKEN,   /* 1 */
	MSG_STEP_MESSAGE, /* 2 */
	MSG_STEP_ACK,     /* 3 4 */
	MSG_STEP_FINISH,  /* 5 6 7 */
	MSG_STEP_READ,    /* R1 */
	MSG_STEP_HANDLE,  /* R2 */
	MSG_STEP_REFUSE,  /* nack */
	MSG_STEP_SENDER,  /* R3 R4: for the sender, who waits for others */
	MSG_STEP_REARM,   /* R5 R6 */
	MSG_STEPS,
};

/* Any but handle may be NULL. */
struct msg_channel_ops {
	/*
	 * This node hears, and may speak. What was said before is not told: read the
	 * metadata now.
	 */
	void (*ready)(void *owner);
	/* Do what m says (borrowed until then); when it is done, maybe at once: msg_handled(). */
	void (*handle)(void *owner, const struct msg *m);
	/*
	 * That many messages went by unheard (2^31 at most), their sender was not told that we
	 * handled them. Read the metadata again; before the next msg_handled().
	 */
	void (*missed)(void *owner, uint32_t count);
	/* H7, and TOKEN is here: read all superblocks again, then msg_recovered(). */
	void (*recover)(void *owner);
	/*
	 * This node keeps us waiting, `why` is the sentence. True: it will be put out,
	 * so wait once more; else the message is given up (who only receives
	 * waits in any case).
	 */
	bool (*evict)(void *owner, uint32_t node, const char *why);
	/*
	 * The lockspace does not do what it must, or memory is short. The channel does
	 * nothing more: leave the lockspace, and free it. This one alone may come from
	 * within a call.
	 */
	void (*broken)(void *owner, const struct err *why);
	/* Each step of the two machines, for those who look: "sender", "idle", "token". */
	void (*moved)(void *owner, const char *machine, const char *from, const char *to);
};

/* --- life ---------------------------------------------------------------------------- */

/*
 * Over an open lockspace. It joins with the first msg_channel_recover_done(). NULL with a
 * sentence: -ENOMEM, -ESHUTDOWN. The ops are copied.
 */
struct msg_channel *msg_channel_new(struct lockspace *space,
				    const struct msg_channel_config *config,
				    const struct msg_channel_ops *ops, void *owner,
				    struct err *err);
/*
 * Before or after the lockspace is closed. What was asked for is forgotten, without a
 * callback. NULL is fine.
 */
void msg_channel_free(struct msg_channel *ch);

/* What the lockspace's handlers of these names say, in their order. */
void msg_channel_recover_slot(struct msg_channel *ch, uint32_t node, int slot);
void msg_channel_recover_done(struct msg_channel *ch,
			      const struct lockspace_member *members, size_t count,
			      int our_slot, uint32_t generation);
/* Lost, or closed: all that was asked for ends here, with -ESTALE. */
void msg_channel_lost(struct msg_channel *ch);

/* --- speaking ------------------------------------------------------------------------ */

struct msg_result {
	/*
	 * 0            all have handled it
	 * -EREMOTEIO   and at least one refused it: nack
	 * -ETIMEDOUT   given up: somebody may not have heard it, others have
	 * -ECANCELED   as msg_cancel() asked: as -ETIMEDOUT
	 * -ESTALE      the lockspace is lost: as -ETIMEDOUT
	 */
	int status;
	uint32_t sequence;    /* 0: it was never said */
	struct msg_nack nack; /* of -EREMOTEIO */
	struct err why;       /* of all but 0: one sentence for people */
};

/* What the channel needs to keep what was asked for in order. */
struct msg_job {
	struct qb_list_head link;
	bool is_compound, is_cancelled;
};

/* In its owner's memory, from msg_send() until it ends (H4). Slot and sequence are ours. */
struct msg_send {
	struct msg message;
	void (*done)(void *owner, struct msg_send *send, const struct msg_result *result);
	void *owner;

	struct msg_job job; /* the channel's own */
};

/*
 * To all members; until this one is ready it waits. Refused at once: -EDEADLK (a handler
 * is open, see H5: again, after msg_handled()), -EINVAL (no type has such operands),
 * -ESHUTDOWN (lost or broken).
 */
int msg_send(struct msg_channel *ch, struct msg_send *send, struct err *err);
/*
 * 0: it was never said, and done() does not come. -EINPROGRESS: done() comes, with
 * -ECANCELED or what it came to.
 */
int msg_cancel(struct msg_channel *ch, struct msg_send *send);

/*
 * A compound: TOKEN kept over several messages, and what is done between them. Ends
 * once, as a send does: by begun() with another status than 0, by ended(), by
 * msg_compound_cancel() that returns 0, or by msg_channel_free().
 */
struct msg_compound {
	/* 0: TOKEN is here; else as struct msg_result has it. */
	void (*begun)(void *owner, struct msg_compound *c, const struct msg_result *result);
	/* TOKEN is given back: 0, or -ESTALE. All its sends are done. */
	void (*ended)(void *owner, struct msg_compound *c, int status);
	void *owner;

	/* the channel's own */
	struct msg_job job;
	struct qb_list_head sends;
	bool is_begun, is_over;
};

/* Refused as msg_send() is. */
int msg_compound_begin(struct msg_channel *ch, struct msg_compound *c, struct err *err);
/* From begun() until msg_compound_end(). */
int msg_compound_send(struct msg_channel *ch, struct msg_compound *c,
		      struct msg_send *send, struct err *err);
/* What was sent goes out first. Sends that wait behind it are next. */
void msg_compound_end(struct msg_channel *ch, struct msg_compound *c);
/*
 * 0: it has not begun, and begun() does not come. -EINPROGRESS: its sends are cancelled (of
 * those that were never said done() comes too, with -ECANCELED), then it ends.
 */
int msg_compound_cancel(struct msg_channel *ch, struct msg_compound *c);

/* --- answering ----------------------------------------------------------------------- */

/*
 * The message that handle() told is done (MSG_ACCEPTED), or cannot be: a reason, and
 * a few words of this node's own, or NULL. Nothing where no handler is open.
 */
void msg_handled(struct msg_channel *ch, enum msg_refusal code, const char *text);
/*
 * After recover(): to be said from `disk` (METADATA_UPDATED); if that is given up,
 * recover() comes again. Or it cannot be done here: then another node does it, and this
 * one is not asked again before the next change, or before it says that it can.
 */
void msg_recovered(struct msg_channel *ch, uint32_t disk);
void msg_not_recovered(struct msg_channel *ch);
void msg_can_recover(struct msg_channel *ch);

/* --- for people and programs that look ----------------------------------------------- */

struct msg_channel_stats {
	uint64_t sent;       /* with 0 */
	uint64_t refused, timed_out, cancelled;
	uint64_t handled, nacked;
	uint64_t recovered;  /* H7, by this node */
	uint64_t duplicates; /* heard before, or older */
	uint64_t invalid;    /* the value was marked VALNOTVALID */
	uint64_t own;        /* of this node's slot: cannot be (B9) */
	uint64_t missed;
	uint64_t late;       /* deadlines that passed */
	uint64_t jumps;      /* sequences begun anew, far ahead: see sender.c */
	uint64_t faults[MSG_FAULTS];
};

struct msg_channel_look {
	bool is_ready, is_token_here, is_recovery_owed;
	enum msg_step sending, receiving;
	const struct msg *message; /* sending: what is said now; NULL: nothing */
	uint32_t sequence;         /* the last that is known */
	size_t queued;             /* sends and compounds */
	/* Who keeps the sender, or else the receiver, waiting; as lockres_blockers(). */
	uint32_t blockers[8];
	size_t blocker_count;
};

void msg_channel_look(const struct msg_channel *ch, struct msg_channel_look *look);
const struct msg_channel_stats *msg_channel_stats(const struct msg_channel *ch);
/* A clause without subject: "waits until all have handled it". */
const char *msg_step_name(enum msg_step step);
