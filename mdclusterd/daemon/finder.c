/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "mdclusterd/daemon/finder.h"

#include <errno.h>
#include <glob.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/arith.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "bitmap/disk.h"
#include "bitmap/md_sb.h"
#include "mdclusterd/daemon/mailbox.h"

struct answer {
	struct letter letter;
	struct finder *finder;
};

struct finder {
	struct mailbox *box;
	pthread_t thread;
	bool has_thread;
	glob_t found;
	uint8_t uuid[16];
	char **paths; /* the thread's until it has posted */
	size_t count;
	void (*done)(void *owner, char **paths, size_t count);
	void *owner;
};

static bool is_member(const char *path, const uint8_t uuid[16])
{
	struct err err = ERR_INIT;
	struct disk *disk = disk_aio_open(path, DISK_RDONLY, &err);
	CLEANUP_FREE uint8_t *block = disk_buffer_new(MD_SB_BYTES);
	bool is_ours = false;
	struct md_sb sb;
	uint64_t at;

	if (disk && block && disk_sectors(disk) >= MD_MIN_DISK_SECTORS) {
		at = md_sb_location(MD_MINOR_2, disk_sectors(disk));
		is_ours = disk_read_wait(disk, at * 512, block, MD_SB_BYTES, &err) == 0 &&
			  md_sb_parse(block, at, disk_sectors(disk), &sb, &err) == 0 &&
			  memcmp(sb.set_uuid, uuid, 16) == 0;
	}
	disk_close(disk);
	return is_ours;
}

static void open_answer(struct letter *letter)
{
	struct answer *a = container_of(letter, struct answer, letter);
	struct finder *f = a->finder;
	char **paths = f->paths;
	size_t count = f->count;

	free(a);
	f->paths = NULL;
	f->count = 0;
	f->done(f->owner, paths, count);
}

static void *look(void *owner)
{
	struct finder *f = owner;
	struct answer *a = letter_alloc(sizeof(*a));

	f->paths = calloc(f->found.gl_pathc + 1, sizeof(*f->paths));
	for (size_t i = 0; f->paths && i < f->found.gl_pathc; i++)
		if (is_member(f->found.gl_pathv[i], f->uuid)) {
			f->paths[f->count] = strdup(f->found.gl_pathv[i]);
			f->count += f->paths[f->count] != NULL;
		}
	a->letter.open = open_answer;
	a->finder = f;
	mailbox_post(f->box, &a->letter);
	return NULL;
}

struct finder *finder_start(struct loop *loop, char *const *patterns, size_t count,
			    const uint8_t uuid[16],
			    void (*done)(void *owner, char **paths, size_t count),
			    void *owner, struct err *err)
{
	struct finder *f = calloc(1, sizeof(*f));
	int r = 0;

	if (!f) {
		err_nomem(err, "a search for disks");
		return NULL;
	}
	memcpy(f->uuid, uuid, sizeof(f->uuid));
	f->done = done;
	f->owner = owner;
	for (size_t i = 0; i < count; i++)
		(void)glob(patterns[i], i ? GLOB_APPEND : 0, NULL, &f->found);
	f->box = mailbox_new(loop, err);
	if (f->box)
		r = pthread_create(&f->thread, NULL, look, f);
	f->has_thread = f->box && r == 0;
	if (f->has_thread)
		return f;
	if (r)
		err_set(err, -r, "a thread to look for disks: %s", strerror(r));
	finder_free(f);
	return NULL;
}

void finder_free(struct finder *f)
{
	if (!f)
		return;
	if (f->has_thread)
		pthread_join(f->thread, NULL);
	mailbox_free(f->box);
	finder_free_paths(f->paths, f->count);
	globfree(&f->found);
	free(f);
}

void finder_free_paths(char **paths, size_t count)
{
	for (size_t i = 0; i < count; i++)
		free(paths[i]);
	free(paths);
}
