/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The protocol of the fence-agents package: a program reads lines NAME=VALUE up to the end of
 * its standard input, does the action that one of them names, and tells by its exit status: 0 is
 * success; of `status`, 0 is on, 2 is off. What it can be told it says itself (action
 * metadata, XML). Nothing is said on the command line, where all users would see it.
 *
 * Of an option's value "@/path" only the first line of that file is said, which must not be
 * for everybody to read.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "mdclusterd/fence/method.h"

struct err;

enum { AGENT_OFF_STATUS = 2 };

/* What the agent is to do for that request: "off", "reboot", "status", "on". */
const char *agent_action(const struct fence_request *req);

/* Its input, up to `room` bytes: wipe it. The node's own options go before the device's. */
int agent_input(const struct fence_request *req, char *to, size_t room, size_t *length,
		struct err *err);

/* Does the metadata have <KIND name="NAME": a "parameter", an "action"? NAME: `length` bytes. */
bool agent_metadata_has(const char *xml, const char *kind, const char *name, size_t length);

/* Runs the agent for its metadata and waits. Free *xml. */
int agent_metadata(const char *program, const char *user, char **xml, struct err *err);
