/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tools/disks.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/err.h"

static bool is_same_disk(const struct stat *a, const struct stat *b)
{
	if (S_ISBLK(a->st_mode) && S_ISBLK(b->st_mode))
		return a->st_rdev == b->st_rdev;
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino;
}

bool disk_is_named(const char *word)
{
	struct stat st;

	return strncmp(word, "/dev/md", 7) != 0 && stat(word, &st) == 0 &&
	       (S_ISREG(st.st_mode) || S_ISBLK(st.st_mode));
}

bool disk_is_same(const char *path, const char *other)
{
	struct stat a, b;

	return stat(path, &a) == 0 && stat(other, &b) == 0 &&
	       is_same_disk(&a, &b);
}

static int check_twice(char *const *paths, const struct stat *stats, size_t i,
		       struct err *err)
{
	size_t j;

	for (j = 0; j < i; j++)
		if (stats[j].st_mode && is_same_disk(&stats[i], &stats[j]))
			return err_set(err, -EINVAL,
				       "%s: it is the same disk as %s, which is given as well",
				       paths[i], paths[j]);
	return 0;
}

int disk_set_open(struct disk_set *set, char *const *paths, size_t count,
		  enum disk_mode mode, bool is_missing_allowed, struct err *err)
{
	CLEANUP_FREE struct stat *stats = calloc(count + 1, sizeof(*stats));
	size_t i;
	int r = 0;

	set->count = 0;
	set->disks = calloc(count + 1, sizeof(struct disk *));
	if (!stats || !set->disks)
		r = err_nomem(err, "the list of disks");
	for (i = 0; r == 0 && i < count; i++) {
		set->count = i + 1;
		if (is_missing_allowed && strcmp(paths[i], "missing") == 0)
			continue;
		if (stat(paths[i], &stats[i]) < 0)
			r = err_set(err, -errno, "%s: %s", paths[i],
				    strerror(errno));
		else
			r = check_twice(paths, stats, i, err);
		if (r == 0 && !(set->disks[i] = disk_aio_open(paths[i], mode, err)))
			r = err->code;
	}
	if (r < 0)
		disk_set_close(set);
	return r;
}

void disk_set_close(struct disk_set *set)
{
	size_t i;

	for (i = 0; i < set->count; i++)
		disk_close(set->disks[i]);
	free(set->disks);
	set->disks = NULL;
	set->count = 0;
}
