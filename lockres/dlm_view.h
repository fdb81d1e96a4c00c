/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the kernel's debugfs shows of a lockspace, with its lock values:
 * /sys/kernel/debug/dlm/NAME_all. Pure. It is the way to a value of md-cluster's: asking
 * for one through libdlm overruns a buffer in the kernel (its values have 64 bytes, the
 * device's 32).
 *
 * A resource is known whole where this node is its master; elsewhere only this node's own
 * locks are shown, and no value.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lockres/lock.h"

enum { DLM_VIEW_LOCKS = 64 }; /* more of one resource are counted, and not kept */

struct dlm_view_lock {
	uint32_t node; /* 0: this one */
	enum lock_mode granted, wanted; /* LOCK_NONE: nothing */
};

struct dlm_view {
	char name[LOCK_MAX_NAME + 1]; /* '?' for what cannot be printed */
	uint32_t master;              /* 0: this node */
	bool has_value;
	uint32_t value_seq;
	uint8_t value[LOCK_MAX_LVB];
	size_t value_length;
	struct dlm_view_lock locks[DLM_VIEW_LOCKS];
	size_t lock_count;            /* all of them */
};

/*
 * The next resource, with its value and locks; *at is moved behind it. False: there is none.
 * Lines that are not understood are passed over.
 */
bool dlm_view_next(const char **at, const char *end, struct dlm_view *to);
