/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What is on the disks of this host: what a disk holds before it is
 * overwritten, and which disks are members of which array. By libblkid.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct disk;
struct err;

/* One thing found on a disk: a file system, an md superblock, a partition table. */
struct md_signature {
	char what[64];          /* "ext4 file system", "linux_raid_member", ... */
	char label[64];         /* "" if it has none */
	uint64_t offset_bytes;  /* of its magic */
	uint32_t length_bytes;  /* of its magic, <= 64 */
};

enum { MD_MAX_SIGNATURES = 16 };

/*
 * Lists what the disk holds; returns how many (at most MD_MAX_SIGNATURES), or
 * a negative errno. Read only; reads the path again, not through the disk.
 */
int md_discover_contents(const char *path, struct md_signature *found,
			 struct err *err);

/*
 * Erases the magic of each signature that does not lie in
 * [keep_start, keep_end), so that nobody takes the disk for what it was.
 */
int md_discover_erase(struct disk *disk, const struct md_signature *found,
		      int count, uint64_t keep_start, uint64_t keep_end,
		      struct err *err);

/*
 * Paths of all block devices on which libblkid sees an md member. *paths is an
 * allocated array of allocated strings: md_discover_free(). Returns how many.
 */
int md_discover_members(char ***paths, struct err *err);
void md_discover_free(char **paths, int count);
