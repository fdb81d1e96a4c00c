/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What quorum is to outlive the engine: one file of a fixed size in state_dir, by tmp +
 * fsync + rename, from a thread of its own: a slow disk delays a configuration that waits
 * for it, and no token.
 */
#pragma once

#include "mdclusterd/quorum/quorum.h"

struct err;
struct loop;
struct quorum_file;

/* 1: there it is. 0: there is none. -EBADMSG, ... with a sentence that names it. */
int quorum_file_read(const char *state_dir, uint8_t bytes[QUORUM_MEMORY_BYTES],
		     struct err *err);

/* done: in the loop's thread, when all that was asked for up to now is durable. */
struct quorum_file *quorum_file_open(const char *state_dir, struct loop *loop,
				     void (*done)(void *owner), void *owner, struct err *err);
/* Copies them. What fails is told, and tried again each second. */
void quorum_file_save(struct quorum_file *f, const uint8_t bytes[QUORUM_MEMORY_BYTES]);
/* What was asked for is written first, or has failed once. NULL is fine. */
void quorum_file_close(struct quorum_file *f);
