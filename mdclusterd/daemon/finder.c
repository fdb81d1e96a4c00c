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
	pthread_mutex_t mutex;
	bool is_over, is_forgotten; /* the mutex's: of the thread; of its owner */
	struct mailbox *box;
	glob_t found;
	uint8_t uuid[16];
	char **paths; /* the thread's until it is over */
	size_t count;
	void (*done)(void *owner, char **paths, size_t count);
	void *owner;
};

bool finder_is_member(const char *path, const uint8_t uuid[16])
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

static void release(struct finder *f)
{
	finder_free_paths(f->paths, f->count);
	globfree(&f->found);
	pthread_mutex_destroy(&f->mutex);
	free(f);
}

static void *look(void *owner)
{
	struct finder *f = owner;
	struct answer *a = letter_alloc(sizeof(*a));
	bool is_forgotten;

	f->paths = calloc(f->found.gl_pathc + 1, sizeof(*f->paths));
	for (size_t i = 0; f->paths && i < f->found.gl_pathc; i++)
		if (finder_is_member(f->found.gl_pathv[i], f->uuid)) {
			f->paths[f->count] = strdup(f->found.gl_pathv[i]);
			f->count += f->paths[f->count] != NULL;
		}
	a->letter.open = open_answer;
	a->finder = f;
	pthread_mutex_lock(&f->mutex);
	f->is_over = true;
	is_forgotten = f->is_forgotten;
	if (!is_forgotten)
		mailbox_post(f->box, &a->letter);
	pthread_mutex_unlock(&f->mutex);
	if (is_forgotten) {
		free(a);
		release(f);
	}
	return NULL;
}

static int start_thread(struct finder *f)
{
	pthread_t thread;
	int r = pthread_create(&thread, NULL, look, f);

	if (r == 0)
		pthread_detach(thread); /* it may hang on a disk */
	return -r;
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
	pthread_mutex_init(&f->mutex, NULL);
	memcpy(f->uuid, uuid, sizeof(f->uuid));
	f->done = done;
	f->owner = owner;
	for (size_t i = 0; i < count; i++)
		(void)glob(patterns[i], i ? GLOB_APPEND : 0, NULL, &f->found);
	f->box = mailbox_new(loop, err);
	if (f->box)
		r = start_thread(f);
	if (f->box && r == 0)
		return f;
	if (r < 0)
		err_set(err, r, "a thread to look for disks: %s", strerror(-r));
	mailbox_free(f->box);
	release(f);
	return NULL;
}

void finder_free(struct finder *f)
{
	bool is_over;

	if (!f)
		return;
	pthread_mutex_lock(&f->mutex);
	f->is_forgotten = true;
	is_over = f->is_over;
	mailbox_free(f->box);
	pthread_mutex_unlock(&f->mutex);
	if (is_over)
		release(f);
}

void finder_free_paths(char **paths, size_t count)
{
	for (size_t i = 0; i < count; i++)
		free(paths[i]);
	free(paths);
}
