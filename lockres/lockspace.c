/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What is the same for every engine: a lock's life as its owner sees it. */
#include "lockres/lockspace.h"

#include <errno.h>
#include <string.h>

#include "base/err.h"
#include "lockres/engine.h"

int lockspace_check(const struct lockspace_config *config, struct err *err)
{
	if (config->name_length < 1 || config->name_length > LOCKSPACE_MAX_NAME)
		return err_set(err, -EINVAL,
			       "the name of a lockspace has %zu bytes, it may have 1 to %d",
			       config->name_length, LOCKSPACE_MAX_NAME);
	if (config->lvb_bytes != LOCK_SMALL_LVB && config->lvb_bytes != LOCK_LARGE_LVB)
		return err_set(err, -EINVAL, "lock values of %u bytes: they have %d or %d",
			       config->lvb_bytes, LOCK_SMALL_LVB, LOCK_LARGE_LVB);
	if (config->slots < 0 || config->slots > LOCKSPACE_MAX_SLOTS)
		return err_set(err, -EINVAL, "%d slots: there may be 1 to %d",
			       config->slots, LOCKSPACE_MAX_SLOTS);
	return 0;
}

static int tell_refusal(const struct lockres *lock, enum lockspace_call call, int result)
{
	struct lockspace_tap *tap = lock->space ? lock->space->tap : NULL;

	if (result < 0 && tap)
		tap->refused(tap, lock, call, result);
	return result;
}

int lockres_init(struct lockres *lock, struct lockspace *space, const void *name,
		 size_t name_length, const struct lockres_handlers *handlers, void *owner)
{
	if (name_length < 1 || name_length > LOCK_MAX_NAME)
		return -EINVAL;
	*lock = (struct lockres){
		.space = space,
		.handlers = handlers,
		.owner = owner,
		.name_length = (uint8_t)name_length,
		.mode = LOCK_NONE,
	};
	memcpy(lock->name, name, name_length);
	return tell_refusal(lock, LOCKSPACE_ADD, space->engine->ops->add(space, lock));
}

void lockres_fini(struct lockres *lock)
{
	if (lock->space) /* it may be closed, and gone */
		lock->space->engine->ops->remove(lock);
}

int lockres_lock(struct lockres *lock, enum lock_mode mode, uint32_t flags,
		 uint64_t timeout_ns)
{
	int r;

	if (lock->is_pending || (flags & LOCK_CONVERT && lock->mode == LOCK_NONE))
		return -EBUSY;
	if (lock_fault(lock->mode, mode, flags))
		return -EINVAL;
	if (!(flags & LOCK_CONVERT) && lock->mode != LOCK_NONE)
		return -EBUSY;
	lock->is_pending = true;
	r = tell_refusal(lock, LOCKSPACE_LOCK,
			 lock->space->engine->ops->lock(lock, mode, flags, timeout_ns));
	if (r < 0)
		lock->is_pending = false;
	return r;
}

int lockres_unlock(struct lockres *lock, uint32_t flags)
{
	bool is_pending = lock->is_pending;
	int r;

	if (unlock_fault(flags))
		return -EINVAL;
	if (flags & LOCK_CANCEL)
		return is_pending ? lock->space->engine->ops->unlock(lock, flags) : 0;
	if (is_pending && !(flags & LOCK_FORCEUNLOCK))
		return -EBUSY;
	if (!is_pending && lock->mode == LOCK_NONE)
		return -EINVAL;
	lock->is_pending = true;
	r = tell_refusal(lock, LOCKSPACE_UNLOCK,
			 lock->space->engine->ops->unlock(lock, flags));
	if (r < 0)
		lock->is_pending = is_pending;
	return r;
}

void lockres_complete(struct lockres *lock, const struct lock_result *result,
		      const uint8_t *value)
{
	struct lockspace_tap *tap = lock->space ? lock->space->tap : NULL;

	if (tap)
		tap->done(tap, lock, result, value);
	lock->mode = result->mode;
	lock->is_pending = false;
	if (value)
		memcpy(lock->value, value, lock->space->lvb_bytes);
	lock->handlers->done(lock->owner, lock, result);
}

void lockres_tell_blocked(struct lockres *lock, enum lock_mode wanted)
{
	struct lockspace_tap *tap = lock->space ? lock->space->tap : NULL;

	if (!lock->handlers->blocked || lock_modes_compatible(lock->mode, wanted))
		return;
	if (tap)
		tap->blocked(tap, lock, wanted);
	lock->handlers->blocked(lock->owner, lock, wanted);
}
