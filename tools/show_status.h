/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A status for people: quiet where all is well, in the words of /proc/mdstat, drbdadm
 * status and corosync-quorumtool. What is not normal ends with what it waits for.
 */
#pragma once

#include "mdclusterd/control/status.h"
#include "tools/terminal.h"

struct err;

struct show_status {
	const struct status *status;
	const struct status_array *only; /* this one, with its disks; NULL: all */
};

int show_status(const struct show_status *show, struct terminal *t, struct err *err);
/* Parts of it, and all nodes, as tables. */
int show_members_table(const struct status *s, const struct status_array *a,
		       struct terminal *t, struct err *err);
int show_disks_table(const struct status_array *a, struct terminal *t, struct err *err);
int show_nodes(const struct status *s, struct terminal *t, struct err *err);

const struct status_node *show_find_node(const struct status *s, uint32_t id);
/* "node3"; "#3" where it has no name. Returns `to`. */
enum { SHOW_NODE_BYTES = 72 };
const char *show_status_node(const struct status *s, uint32_t id, char to[SHOW_NODE_BYTES]);
/* "[UU_]"; 64 disks at most. */
const char *show_disk_letters(const struct status_array *a, char to[STATUS_MAX_DISKS + 3]);
/*
 * Is it worth a word: not in sync, no spare, and no place that is empty since the disk that
 * was there is told of as faulty, without a role.
 */
bool show_is_bad_disk(const struct status_array *a, const struct status_disk *disk);
/* "waits: WHAT, 12 s"; age 0: unknown. "" for nothing. */
enum { SHOW_WAITS_BYTES = STATUS_TEXT + 48 };
const char *show_waits(const char *waits, uint64_t age_ns, char to[SHOW_WAITS_BYTES]);
/* NULL with a sentence that lists what there is. By name or uuid. */
const struct status_array *show_find_array(const struct status *s, const char *word,
					   struct err *err);
