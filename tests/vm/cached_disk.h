/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A disk of a disk box: a file is the medium, and before it stands a cache that
 * forgets when the power goes.
 *
 *	P1  What was flushed, or written with FUA, is in the file before that is done.
 *	P2  Anything else is in the file, or not, after a power cut: each sector by
 *	    itself, as the seed says. No sector is torn.
 *	P3  Everybody reads what was written last, durable or not.
 *
 * Of the writes to one sector that no flush parts, the last is kept or the one before them
 * all: those between are forgotten at once.
 */
#pragma once

#include "base/loop.h"
#include "mdclusterd/volume.h"

struct err;

enum {
	CACHED_PAGE_BYTES = 4096,
	CACHED_SECTOR_BYTES = 512,
};

struct cached_disk {
	struct volume volume;
	char *name, *path;
	int fd;
	uint8_t **pages;             /* what the file does not have yet, or NULL */
	uint64_t page_count, dirty_pages;
	bool is_hanging, is_failing; /* ios wait for cached_disk_go(); end with -EIO */
	struct qb_list_head queue, hanging;
	struct loop_job job;
	struct loop *loop;
};

/* The file's size is the disk's, rounded down to whole pages. */
struct cached_disk *cached_disk_open(struct loop *loop, const char *name, const char *path,
				     struct err *err);
/* No io is in flight. What the cache has is lost. NULL is fine. */
void cached_disk_free(struct cached_disk *disk);

void cached_disk_go(struct cached_disk *disk);
int cached_disk_flush(struct cached_disk *disk);

/*
 * What a power cut would leave now, to the file itself or to another one. keep_percent of
 * the sectors that are not durable are kept.
 */
int cached_disk_cut(struct cached_disk *disk, uint64_t *random, unsigned int keep_percent,
		    struct err *err);
int cached_disk_save(struct cached_disk *disk, const char *path, uint64_t *random,
		     unsigned int keep_percent, struct err *err);
/* The file of that name becomes the content, all of it durable. */
int cached_disk_load(struct cached_disk *disk, const char *path, struct err *err);

/* The next of a sequence that its seed decides (splitmix64). */
uint64_t cached_random(uint64_t *state);
