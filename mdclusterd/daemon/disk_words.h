/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Words for disks of an array, mdadm's too: a path (any name of it), a kernel name (sdb), a role
 * (1), the number that a disk keeps as long as it is a member (#3), or all of a kind.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
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
/* Is the disk, by whatever name, among those that patterns (glob(7)) or paths stand for? */
bool disk_word_is_among(char *const *patterns, size_t count, const char *path);
