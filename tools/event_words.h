/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* An event for people, and for programs that know mdadm --monitor's. */
#pragma once

#include "mdclusterd/control/status.h"

enum { EVENT_LINE_BYTES = 512 };

/* "2026-11-21 17:38:02  disk-failed       web: a disk failed: role 1". Returns `to`. */
char *event_line(const struct status_event *e, char to[EVENT_LINE_BYTES]);

/*
 * mdadm's name for it: "Fail", "DegradedArray", "RebuildStarted", "RebuildFinished",
 * "NewArray", "DeviceDisappeared"; else its own kind, with dashes. Static, or in `to`.
 */
const char *event_mdadm_name(const struct status_event *e, char to[sizeof(e->kind)]);
