/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What totem-cat has open: between locks.c and lock_commands.c. */
#pragma once

#include "base/printable.h"
#include "lockres/lockspace.h"
#include "tests/cat/locks.h"

enum { CAT_NAME_TEXT = TEXT_ESCAPED_BYTES(LOCK_MAX_NAME) };

struct cat_space {
	struct cat_locks *locks;
	struct lockspace *space;
	char name[CAT_NAME_TEXT]; /* as text_escape() has it */
	struct qb_list_head all;
	struct qb_list_head link;
};

struct cat_lock {
	struct lockres lock;
	struct cat_space *space;
	char name[CAT_NAME_TEXT];
	struct qb_list_head link;
};
