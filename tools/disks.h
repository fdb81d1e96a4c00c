/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The disks that a command line names, opened together. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "bitmap/disk.h"

struct disk_set {
	struct disk **disks; /* NULL entries: the word "missing"; owned */
	size_t count;
};

/*
 * Opens all; refuses one that is named twice, by whatever path. "missing" is
 * an empty place if it is allowed, else a path like any other. On an error
 * nothing stays open.
 */
int disk_set_open(struct disk_set *set, char *const *paths, size_t count,
		  enum disk_mode mode, bool is_missing_allowed,
		  struct err *err);
/* A block device or a file: no array by its name. */
bool disk_is_named(const char *word);
/* Do two paths name one block device, or one file? */
bool disk_is_same(const char *path, const char *other);

void disk_set_close(struct disk_set *set); /* twice is fine */
