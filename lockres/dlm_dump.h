/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the kernel shows of its lockspaces in text: the locks in debugfs, the devices
 * in /proc/misc; and under which name a lockspace of ours is there. Pure.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lockres/lock.h"

enum { DLM_NAME_ROOM = 65 }; /* the kernel takes 64 bytes */

/* A line of debugfs, /sys/kernel/debug/dlm/NAME_locks. */
struct dlm_dump_line {
	uint32_t lkid;
	uint32_t node;       /* whose lock it is; 0: of this node, or a master elsewhere */
	uint32_t master;     /* 0: this node */
	enum lock_mode granted, wanted;
	bool is_master_copy; /* we are the master, and it is a lock of `node` */
	bool is_orphan;      /* of a process of this node that is gone */
	const char *name;    /* with '.' for what cannot be printed; within the line */
	size_t name_length;
};

/* -ENOENT: the head of the table, or an empty line; -EBADMSG. */
int dlm_dump_take(const char *line, size_t length, struct dlm_dump_line *to);

/*
 * Nodes (self for ours) whose locks are in the way of the lock of this number, as far
 * as the dump knows: of a resource that has its master elsewhere, ours alone.
 */
size_t dlm_dump_blockers(const char *text, size_t length, uint32_t self, uint32_t lkid,
			 uint32_t *nodes, size_t room);

/* Does the dump show an orphan of this node? */
bool dlm_dump_has_orphan(const char *text, size_t length);

/*
 * The kernel's name: "mdcl-" and the name where that is plain and fits, else "mdclx-"
 * and a hash. No lockspace that others make has it: md-cluster's is the bare uuid.
 */
void dlm_name(const void *name, size_t name_length, char kernel_name[DLM_NAME_ROOM]);

/* Is there a device for the lockspace of this name, by the text of /proc/misc? */
bool dlm_has_device(const char *misc, size_t length, const char *kernel_name);
