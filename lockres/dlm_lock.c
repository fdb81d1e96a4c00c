/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Calls and results cross: a result may be read before its write is back, since
 * another thread writes, and a grant may be on its way when the cancel is written.
 */
#include "lockres/dlm_lock.h"

#include <errno.h>
#include <string.h>

enum { IN_PLACE_PERSISTENT = LOCK_CONVERT | LOCK_PERSISTENT };

void dlm_lock_init(struct dlm_lock *lock, uint32_t cookie)
{
	*lock = (struct dlm_lock){
		.cookie = cookie,
		.held = LOCK_NONE,
		.wanted = LOCK_NONE,
		.end = { .mode = LOCK_NONE },
	};
}

static void call_init(struct dlm_call *call, struct dlm_lock *lock,
		      enum dlm_call_kind kind, uint32_t flags)
{
	lock->writes++;
	*call = (struct dlm_call){
		.kind = kind,
		.mode = lock->wanted,
		.flags = flags,
		.lkid = lock->lkid,
		.cookie = lock->cookie,
	};
}

static void begin(struct dlm_lock *lock, enum dlm_wish wish, enum lock_mode wanted,
		  uint32_t flags)
{
	lock->wish = wish;
	lock->wanted = wanted;
	lock->flags = flags;
	lock->is_late = lock->is_cancelled = false;
	lock->is_ended = lock->is_forced = lock->is_gone = false;
	lock->is_readying = lock->is_persisting = false;
	lock->end.has_value = false;
	if (wish == DLM_WISH_LOCK || wish == DLM_WISH_ADOPT)
		lock->has_buffer = false;
	if (wish == DLM_WISH_UNLOCK)
		return;
	lock->is_storing = flags & LOCK_VALBLK;
	lock->has_buffer |= lock->is_storing;
}

void dlm_lock_ask(struct dlm_lock *lock, enum lock_mode mode, uint32_t flags,
		  struct dlm_call *call)
{
	if (flags & LOCK_CONVERT)
		begin(lock, DLM_WISH_CONVERT, mode, flags);
	else if (flags & LOCK_ORPHAN)
		begin(lock, DLM_WISH_ADOPT, mode, flags);
	else
		begin(lock, DLM_WISH_LOCK, mode, flags);
	if (lock->wish == DLM_WISH_LOCK)
		flags &= ~(uint32_t)LOCK_PERSISTENT; /* X7 */
	call_init(call, lock, DLM_CALL_LOCK, flags);
}

static enum dlm_turn over(struct dlm_lock *lock)
{
	lock->wish = DLM_WISH_NONE;
	lock->is_ended = false;
	if (lock->held == LOCK_NONE)
		lock->lkid = 0;
	lock->end.mode = lock->held;
	return DLM_TURN_OVER;
}

/* X6: would an unlock do another thing with the value than its flags say? */
static bool spoils_value(const struct dlm_lock *lock, enum lock_mode mode)
{
	if (mode < LOCK_PW || lock->unlock_flags & LOCK_IVVALBLK)
		return false;
	return lock->unlock_flags & LOCK_VALBLK ? !lock->has_buffer : lock->is_storing;
}

static enum dlm_turn write_unlock(struct dlm_lock *lock, struct dlm_call *call)
{
	lock->is_readying = spoils_value(lock, lock->held);
	if (!lock->is_readying) {
		call_init(call, lock, DLM_CALL_UNLOCK, lock->unlock_flags);
		return DLM_TURN_CALL;
	}
	lock->wanted = lock->held;
	lock->is_storing = lock->unlock_flags & LOCK_VALBLK;
	lock->has_buffer |= lock->is_storing;
	lock->flags = LOCK_CONVERT | (lock->unlock_flags & LOCK_VALBLK);
	call_init(call, lock, DLM_CALL_LOCK, lock->flags);
	return DLM_TURN_CALL;
}

/* The unlock that was asked for while another wish was under way. */
static enum dlm_turn force(struct dlm_lock *lock, struct dlm_call *call)
{
	lock->wish = DLM_WISH_FORCE;
	lock->is_forced = lock->is_ended = false;
	lock->end = (struct dlm_end){ .mode = LOCK_NONE };
	if (!lock->is_gone)
		return write_unlock(lock, call);
	lock->held = LOCK_NONE;
	return over(lock);
}

/* X3 */
static enum dlm_turn end_if_back(struct dlm_lock *lock, struct dlm_call *call)
{
	if (!lock->is_ended || lock->writes > 0)
		return DLM_TURN_WAIT;
	return lock->is_forced ? force(lock, call) : over(lock);
}

static enum dlm_turn ended(struct dlm_lock *lock, int status, uint32_t marks,
			   struct dlm_call *call)
{
	lock->is_ended = true;
	lock->end.status = status;
	lock->end.marks = marks;
	return end_if_back(lock, call);
}

static enum dlm_turn write_cancel(struct dlm_lock *lock, struct dlm_call *call)
{
	lock->is_cancelled = true;
	call_init(call, lock, DLM_CALL_CANCEL, LOCK_CANCEL);
	return DLM_TURN_CALL;
}

enum dlm_turn dlm_lock_unlock(struct dlm_lock *lock, uint32_t flags,
			      struct dlm_call *call)
{
	lock->unlock_flags = flags;
	if (lock->wish == DLM_WISH_NONE) {
		begin(lock, DLM_WISH_UNLOCK, LOCK_NONE, flags);
		return write_unlock(lock, call);
	}
	/*
	 * On the heels of a cancel it may find the lock gone at its master, and the
	 * kernel tells nobody then. An unlock has its own end, an adoption too.
	 */
	if (lock->is_cancelled || lock->is_ended || lock->is_persisting ||
	    lock->wish == DLM_WISH_UNLOCK || lock->wish == DLM_WISH_FORCE ||
	    lock->wish == DLM_WISH_ADOPT) {
		lock->is_forced = true;
		return DLM_TURN_WAIT;
	}
	/* X6: first to what it will be, by a cancel; then an unlock with care. */
	if (spoils_value(lock, lock->held) || spoils_value(lock, lock->wanted)) {
		lock->is_forced = true;
		return write_cancel(lock, call);
	}
	return force(lock, call);
}

enum dlm_turn dlm_lock_cancel(struct dlm_lock *lock, bool is_late, struct dlm_call *call)
{
	if (lock->wish != DLM_WISH_LOCK && lock->wish != DLM_WISH_CONVERT)
		return DLM_TURN_WAIT;
	/* Once a wish: the kernel refuses a second one as long as the first is away. */
	if (lock->is_cancelled || lock->is_ended || lock->is_persisting)
		return DLM_TURN_WAIT;
	lock->is_late = is_late;
	return write_cancel(lock, call);
}

static enum dlm_turn adopted(struct dlm_lock *lock, int r, struct dlm_call *call)
{
	if (r >= 0)
		lock->held = lock->wanted;
	else
		lock->is_gone = true;
	return ended(lock, r < 0 ? r : 0, 0, call);
}

static enum dlm_turn lock_failed(struct dlm_lock *lock, int r, struct dlm_call *call)
{
	/* A cancel that came too late is still under way. */
	if (r == -EBUSY && (lock->wish == DLM_WISH_CONVERT || lock->is_persisting)) {
		call_init(call, lock, DLM_CALL_LOCK,
			  lock->is_persisting ? IN_PLACE_PERSISTENT : lock->flags);
		return DLM_TURN_AGAIN;
	}
	lock->is_gone = lock->held == LOCK_NONE;
	return ended(lock, r, 0, call);
}

static enum dlm_turn unlock_failed(struct dlm_lock *lock, int r, struct dlm_call *call)
{
	if (r == -EBUSY) {
		call_init(call, lock, lock->is_readying ? DLM_CALL_LOCK : DLM_CALL_UNLOCK,
			  lock->is_readying ? lock->flags : lock->unlock_flags);
		return DLM_TURN_AGAIN;
	}
	/* It ended in another way before: there is nothing left to unlock. */
	if (r == -ENOENT || lock->is_gone) {
		lock->held = LOCK_NONE;
		r = 0;
	}
	return ended(lock, r, 0, call);
}

enum dlm_turn dlm_lock_written(struct dlm_lock *lock, enum dlm_call_kind kind, int r,
			       struct dlm_call *call)
{
	bool is_unlock = lock->wish == DLM_WISH_UNLOCK || lock->wish == DLM_WISH_FORCE;

	lock->writes--;
	if (kind == DLM_CALL_LOCK && r > 0)
		lock->lkid = (uint32_t)r;
	if (lock->is_ended)
		return end_if_back(lock, call);
	if (kind == DLM_CALL_LOCK && lock->wish == DLM_WISH_ADOPT)
		return adopted(lock, r, call);
	if (kind == DLM_CALL_LOCK && r < 0 && !is_unlock)
		return lock_failed(lock, r, call);
	if (kind == DLM_CALL_LOCK && r < 0 && lock->is_readying)
		return unlock_failed(lock, r, call);
	if (kind == DLM_CALL_LOCK && r < 0 && lock->held == LOCK_NONE)
		lock->is_gone = true;
	if (kind == DLM_CALL_UNLOCK && r < 0 && is_unlock)
		return unlock_failed(lock, r, call);
	return DLM_TURN_WAIT;
}

/* The mode that ALTPR or ALTCW stand for; PR first, as the kernel has it. */
static enum lock_mode alternative(const struct dlm_lock *lock)
{
	return lock->flags & LOCK_ALTPR && lock->wanted != LOCK_PR ? LOCK_PR : LOCK_CW;
}

static void take_value(struct dlm_lock *lock, enum lock_mode from, enum lock_mode to,
		       const struct dlm_result *result)
{
	lock->end.has_value = result->has_value && lock->flags & LOCK_VALBLK &&
			      lock_value_moves(from, to) == LOCK_VALUE_READ; /* X5 */
	if (lock->end.has_value)
		memcpy(lock->end.value, result->value, sizeof(lock->end.value));
}

static enum dlm_turn granted(struct dlm_lock *lock, const struct dlm_result *result,
			     struct dlm_call *call)
{
	enum lock_mode from = result->marks & LOCK_DEMOTED ? LOCK_NL : lock->held;

	lock->held = result->marks & LOCK_ALTMODE ? alternative(lock) : lock->wanted;
	take_value(lock, from, lock->held, result);
	lock->end.marks = result->marks;
	lock->is_persisting = lock->wish == DLM_WISH_LOCK && lock->flags & LOCK_PERSISTENT;
	if (!lock->is_persisting)
		return ended(lock, 0, result->marks, call);
	lock->wanted = lock->held;
	lock->is_storing = false;
	call_init(call, lock, DLM_CALL_LOCK, IN_PLACE_PERSISTENT);
	return DLM_TURN_CALL;
}

static enum dlm_turn refused(struct dlm_lock *lock, const struct dlm_result *result,
			     struct dlm_call *call)
{
	int status = result->status;

	if (status == DLM_RESULT_CANCELLED)
		status = lock->is_late ? -ETIMEDOUT : -ECANCELED;
	if (lock->wish == DLM_WISH_LOCK)
		lock->is_gone = true;
	else if (result->marks & LOCK_DEMOTED)
		lock->held = LOCK_NL;
	return ended(lock, status, result->marks & LOCK_DEMOTED, call);
}

static enum dlm_turn unlocked(struct dlm_lock *lock, struct dlm_call *call)
{
	lock->held = LOCK_NONE;
	lock->is_gone = true;
	return ended(lock, 0, 0, call);
}

enum dlm_turn dlm_lock_result(struct dlm_lock *lock, const struct dlm_result *result,
			      struct dlm_call *call)
{
	if (result->lkid)
		lock->lkid = result->lkid;
	if (lock->is_ended)
		return DLM_TURN_WAIT;
	switch (lock->wish) {
	case DLM_WISH_LOCK:
	case DLM_WISH_CONVERT:
		if (result->status == DLM_RESULT_UNLOCKED)
			return unlocked(lock, call);
		if (lock->is_persisting)
			return ended(lock, result->status, lock->end.marks, call);
		return result->status ? refused(lock, result, call) :
					granted(lock, result, call);
	case DLM_WISH_FORCE:
		/*
		 * Of the request that it ended: refused, there is nothing to unlock, and
		 * no more comes. Whether that was granted counts no more.
		 */
		if (result->status && lock->held == LOCK_NONE)
			return unlocked(lock, call);
		/* fall through */
	case DLM_WISH_UNLOCK:
		if (result->status == DLM_RESULT_UNLOCKED)
			return unlocked(lock, call);
		if (!lock->is_readying)
			break;
		lock->is_readying = false;
		call_init(call, lock, DLM_CALL_UNLOCK, lock->unlock_flags);
		return DLM_TURN_CALL;
	case DLM_WISH_NONE:
	case DLM_WISH_ADOPT:
		break;
	}
	return DLM_TURN_WAIT;
}
