/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Code that blocks, within a world of events: it runs on a stack of its own, and where it
 * would wait it yields, until an event lets it go on.
 */
#pragma once

#include <stdbool.h>

struct fiber;

/* Nothing runs before the first resume. */
struct fiber *fiber_new(void (*run)(void *arg), void *arg);
/* It must be over, or never have run. NULL is fine. */
void fiber_free(struct fiber *f);

/* Runs it until it yields, or is over. Not from within a fiber. */
void fiber_resume(struct fiber *f);
/* From within the fiber that runs. */
void fiber_yield(void);

bool fiber_is_over(const struct fiber *f);
struct fiber *fiber_self(void); /* NULL: none runs */
