/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the files of the lock manager's sync service share. */
#pragma once

#include "lockres/manager_private.h"

enum { TELL_HEADS = 1, TELL_SPACE, TELL_LOCKS, TELL_END };

enum { TOLD_MEMBER_BYTES = 4 + 8 + 4 + 4 + 1 + 8 + 1 };

/* --- bytes: manager_told.c ------------------------------------------------------------------ */

void told_space_write(struct wr *wr, const struct space *s);
/* NULL: nobody may tell this, or (is_memory) there is none. */
struct space *told_space_read(struct lock_manager *m, struct rd *rd,
			      const struct space_head *head, bool *is_memory);
size_t told_heads_bytes(const struct lock_manager *m);
void told_heads_write(struct wr *wr, const struct lock_manager *m);
/* False: damaged, or this node is broken. */
bool told_heads_read(struct lock_manager *m, struct rd *rd, struct manager_heads *heads,
		     struct roster *roster);

/* --- who tells what: manager_choose.c ------------------------------------------------------- */

/* Its own of the same lockspace; NULL: it has none. They are by name. */
const struct space_head *manager_head_of(const struct manager_heads *heads,
					 const struct space_head *of);
bool manager_heads_in_order(const struct space_head *before, const struct space_head *head);
/* All heads are known. */
void manager_choose(struct lock_manager *m);
struct candidate *manager_candidate(const struct manager_sync *p, struct space_id id);
/* What this node has of it is what was chosen. */
bool manager_keeps(const struct lock_manager *m, const struct candidate *c);

/* --- hearing, and the end: manager_hear.c, manager_live.c ------------------------------------ */

void manager_hear(struct lock_manager *m, int from, struct rd *rd);
/* All that was chosen is here, and is what its head said. */
bool manager_is_whole(const struct lock_manager *m);
void manager_go_live(struct lock_manager *m);
/* recover_prep(), if it was not told yet. */
void handle_prepare(struct handle *h);
