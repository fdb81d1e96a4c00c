/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A node's roster (lockres/roster.h) in its state directory: "roster", 8 bytes that say what
 * it is, then the roster's own. Where it cannot be written any more it is removed: who
 * remembers nothing asks about everybody, and who remembers what is not so any more does
 * harm. While it can neither be written nor removed, saved() does not come.
 */
#pragma once

#include <stdint.h>

#include "lockres/roster.h"

struct err;
struct loop;
struct roster_file;

/* This version, or that there is none, is on disk. In the loop's thread. */
typedef void (*roster_saved_fn)(void *owner, uint64_t version);

/*
 * *roster: what the file says; all is blank where there is none, or one that is damaged,
 * which is told. NULL with a sentence. `nodes` is copied.
 */
struct roster_file *roster_file_open(const char *state_dir, const struct node_table *nodes,
				     struct loop *loop, roster_saved_fn saved, void *owner,
				     struct roster *roster, struct err *err);
/* What was asked for is on disk when it returns. NULL is fine. */
void roster_file_close(struct roster_file *f);
void roster_file_save(struct roster_file *f, const struct roster *roster, uint64_t version);
