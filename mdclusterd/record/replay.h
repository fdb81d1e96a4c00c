/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What happened, once more: an array's state machine, the very same code, given what a
 * recorder wrote down. No disk, no network: locks, metadata and data plane answer as they did.
 * What the array says is compared with what it said then; where the two differ, the code is
 * another one, or something that it depends on was not recorded.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "mdclusterd/record/record.h"

struct replay;

/* Any may be NULL. */
struct replay_handlers {
	/* An input, before the array has it; borrowed. */
	void (*input)(void *owner, const struct record *record);
	/* What it said now, that it also said then. */
	void (*event)(void *owner, const struct array_event *event);
	/* It said, asked for, or waits for something else than then. One sentence. */
	void (*differs)(void *owner, uint64_t now, const char *what);
	/* After an input: look at replay_array(). */
	void (*stepped)(void *owner, uint64_t now);
};

/* `bytes` are borrowed. NULL with a sentence. */
struct replay *replay_new(const void *bytes, size_t length,
			  const struct replay_handlers *handlers, void *owner,
			  struct err *err);
void replay_free(struct replay *p);

/* One input, and all that comes of it. 1; 0: the end; -EBADMSG: damaged, says where. */
int replay_step(struct replay *p, struct err *err);
/* The array as it is now; NULL before its beginning. */
const struct array *replay_array(const struct replay *p);
/* When the last input was, as recorded. */
uint64_t replay_now(const struct replay *p);
/* How often differs() was told. */
uint64_t replay_differences(const struct replay *p);
