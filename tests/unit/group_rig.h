/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Processes with a handle each, on a bus. What a handle saw is a line of text:
 * "+n1.1" joined, "-n2.1/nodedown" left, "=2" members after a change,
 * "n1.1:hello" a message.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "tests/unit/bus.h"

struct app {
	struct node *node;
	struct group *group;
	char trace[4096];
	uint32_t messages, opened;
	uint64_t digest;     /* over all messages, of any size */
	bool is_silent;      /* the digest only */
	bool is_greedy;      /* takes all credit that opens, a KiB at a time */
	struct app *joins;   /* on the first change it sees, for reentrancy */
};

void app_join(struct app *a, struct bus *bus, int node, const char *name);
int app_say_as(struct app *a, enum group_order order, const char *text);
void app_say(struct app *a, const char *text);
/* As many messages of a KiB as there is credit for. */
void app_fill(struct app *a);
/* Just that, and forgets it. */
void app_saw(struct app *a, const char *expected);

/* apps[i] on node i, in group "g", all in one ring. */
struct bus *apps_together(struct app *apps, int count);
