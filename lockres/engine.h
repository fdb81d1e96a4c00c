/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the engines of lockspaces share; programs need lockspace.h only. */
#pragma once

#include "lockres/lockspace.h"

/*
 * The request under way is over: takes note in the lock, then tells its owner. `value`
 * is of the lockspace's LVB size, NULL: none came back.
 */
void lockres_complete(struct lockres *lock, const struct lock_result *result,
		      const uint8_t *value);
/* Somebody waits: told where what is held excludes that. */
void lockres_tell_blocked(struct lockres *lock, enum lock_mode wanted);

/* The arguments of lockspace_open() that every engine refuses. */
int lockspace_check(const struct lockspace_config *config, struct err *err);
