/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Words for disks of an array, mdadm's too: a path (any name of it), a kernel name (sdb), a role
 * (1), the number that a disk keeps as long as it is a member (#3), or all of a kind.
 */
#pragma once

#include <stdint.h>

struct err;
struct metadata_view;

enum disk_kind {
	DISK_ONE,      /* that is named */
	DISK_FAILED,   /* "failed", "faulty" */
	DISK_DETACHED, /* "detached": the device is gone from this host */
};

enum disk_kind disk_word_kind(const char *word);
/*
 * Places in view->disks, a bit each; of a kind there may be none. -ENOENT: no disk has that
 * name. Asks the kernel for nothing that waits for a disk.
 */
int disk_word_find(const struct metadata_view *v, const char *word, uint32_t *places,
		   struct err *err);
