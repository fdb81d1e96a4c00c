/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * One lock on the kernel's DLM, as what was written to the device and what came back
 * tell it: which call a wish becomes, when it is over, and with what. Pure.
 *
 *	X1  One call under way a lock, but for a cancel, or an unlock by force.
 *	X2  A wish ends once: by its result, or by its write where that brings none
 *	    (an error, an adoption).
 *	X3  A wish does not end before all of its writes are back: else its cancel would
 *	    meet the next wish (B47), or its number be taken for the next one's.
 *	X4  What the kernel holds is known exactly: `held` follows demotions and
 *	    alternative modes, which the results tell by a mark alone.
 *	X5  The value of a result is taken where VALBLK was asked and the table of modes
 *	    returns one: the kernel hands out its scratch buffer in other cases, too.
 *	X6  A value is stored where the last call asked for it, and by no other: an unlock
 *	    in the kernel stores one if the call before had VALBLK, and none if no call
 *	    ever had. Where that would be wrong a conversion in place goes before it.
 *	X7  A request is not PERSISTENT while it waits; a conversion in place makes it so
 *	    when it is granted. The kernel (6.1) keeps a request that waits among the
 *	    orphans of its process, which is then in no queue, and falls over it when the
 *	    orphans are purged (BUG in do_purge).
 */
#pragma once

#include "lockres/dlm_device.h"

enum dlm_wish {
	DLM_WISH_NONE,
	DLM_WISH_LOCK,    /* a request */
	DLM_WISH_CONVERT,
	DLM_WISH_ADOPT,   /* a request with ORPHAN: no result comes */
	DLM_WISH_UNLOCK,
	DLM_WISH_FORCE,   /* an unlock that ended the wish before it */
};

struct dlm_lock {
	uint32_t cookie;     /* its owner's, kept */
	uint32_t lkid;       /* 0: the kernel knows nothing of it */
	enum lock_mode held; /* NONE: not, or not yet */
	enum dlm_wish wish;
	enum lock_mode wanted;
	uint32_t flags;        /* of the wish */
	uint32_t unlock_flags; /* of an unlock, or of what forces the wish to its end */
	bool has_buffer;     /* the kernel keeps a value for it: VALBLK was said once */
	bool is_storing;     /* its last request or conversion had VALBLK */
	bool is_persisting;  /* granted, but X7 */
	bool is_readying;    /* a conversion in place goes before the unlock: X6 */
	int writes;          /* calls that are not back */
	bool is_late;        /* the cancel is a deadline's */
	bool is_cancelled;   /* one was made, whatever comes of it */
	bool is_ended;       /* but writes are out: X3 */
	bool is_forced;      /* an unlock waits for the end of the wish */
	bool is_gone;        /* the kernel has dropped it */
	struct dlm_end {     /* how it ended */
		int status;          /* as in struct lock_result */
		enum lock_mode mode;
		uint32_t marks;
		bool has_value;
		uint8_t value[LOCK_SMALL_LVB];
	} end;
};

/* What is to be done next. */
enum dlm_turn {
	DLM_TURN_WAIT,
	DLM_TURN_CALL,  /* write the call that was filled in */
	DLM_TURN_AGAIN, /* the same, in some milliseconds: the cancel is still on its way */
	DLM_TURN_OVER,  /* the wish has come to its end, in lock->end */
};

void dlm_lock_init(struct dlm_lock *lock, uint32_t cookie);

/* As lockres_lock() and lockres_unlock() have checked. Each call is to be written once. */
void dlm_lock_ask(struct dlm_lock *lock, enum lock_mode mode, uint32_t flags,
		  struct dlm_call *call);
enum dlm_turn dlm_lock_unlock(struct dlm_lock *lock, uint32_t flags,
			      struct dlm_call *call);
/* WAIT: there is nothing to cancel, or it is cancelled already. */
enum dlm_turn dlm_lock_cancel(struct dlm_lock *lock, bool is_late, struct dlm_call *call);

/* The write of a call is back: 0, a number of the kernel's, or -errno. */
enum dlm_turn dlm_lock_written(struct dlm_lock *lock, enum dlm_call_kind kind, int r,
			       struct dlm_call *call);
/* A result; no bast. */
enum dlm_turn dlm_lock_result(struct dlm_lock *lock, const struct dlm_result *result,
			      struct dlm_call *call);
