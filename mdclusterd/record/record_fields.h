/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Which fields a kind of record has: one table, for writing and reading. */
#pragma once

#include "mdclusterd/record/record.h"

enum {
	HAS_FLAG = 1 << 0,
	HAS_OP = 1 << 1,
	HAS_RESULT = 1 << 2,
	HAS_SLOT = 1 << 3,
	HAS_NUMBER = 1 << 4,
	HAS_RANGE = 1 << 5,        /* low, high */
	HAS_TEXT = 1 << 6,
	HAS_CONFIG = 1 << 7,
	HAS_MEMBERS = 1 << 8,
	HAS_LOCK = 1 << 9,         /* its name */
	HAS_LOCK_RESULT = 1 << 10, /* status, mode, marks, value, blockers */
	HAS_VIEW = 1 << 11,
	HAS_BITS = 1 << 12,
	HAS_PLANE = 1 << 13,
	HAS_EVENT = 1 << 14,
	HAS_DISK = 1 << 15,        /* of an answer about one that comes */
};

uint32_t record_fields(enum record_kind kind);
