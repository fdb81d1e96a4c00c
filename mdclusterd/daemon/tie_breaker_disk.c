/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "mdclusterd/daemon/tie_breaker_disk.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/arith.h"
#include "base/err.h"
#include "bitmap/disk.h"
#include "mdclusterd/daemon/mailbox.h"

enum { PATH_BYTES = 4096, FAREWELL_S = 2 };

struct tie_breaker_disk {
	char path[PATH_BYTES], cluster[TIE_NAME_BYTES];
	int nodes, self;
	struct tie_breaker_disk_ops ops;
	void *owner;
	struct mailbox *answers;
	pthread_t thread;

	struct disk *disk;         /* the thread's; NULL: not open */
	uint8_t *sectors;          /* aligned: the head, then one a node */
	uint8_t *sector;           /* what is written */

	pthread_mutex_t mutex;     /* of the rest */
	pthread_cond_t has_work;
	enum tie_breaker_action todo;
	bool is_ending;
};

struct answer {
	struct letter letter;
	struct tie_breaker_disk *from;
	enum tie_breaker_action what;
	int result;
	char why[256];
};

static void open_answer(struct letter *letter)
{
	struct answer *a = container_of(letter, struct answer, letter);
	struct tie_breaker_disk *d = a->from;

	if (a->what == TIE_READ)
		d->ops.has_read(d->owner, a->result, d->sectors + TIE_SECTOR_BYTES, a->why);
	else
		d->ops.has_written(d->owner, a->result, a->why);
	free(a);
}

/* --- the thread ------------------------------------------------------------------------------ */

static int open_disk(struct tie_breaker_disk *d, struct err *err)
{
	const uint64_t needed = (uint64_t)TIE_SECTORS * TIE_SECTOR_BYTES;

	if (d->disk)
		return 0;
	d->disk = disk_aio_open(d->path, DISK_SHARED, err);
	if (!d->disk)
		return err->code;
	if (d->disk->size_bytes >= needed)
		return 0;
	return err_set(err, -ENOSPC, "%s: is smaller than %u bytes", d->path,
		       (unsigned int)needed);
}

static int work_on(struct tie_breaker_disk *d, enum tie_breaker_action what, struct err *err)
{
	int r = open_disk(d, err);

	if (r == 0 && what == TIE_WRITE)
		return disk_write_wait(d->disk, (uint64_t)(1 + d->self) * TIE_SECTOR_BYTES,
				       d->sector, TIE_SECTOR_BYTES, true, err);
	if (r == 0)
		r = disk_read_wait(d->disk, 0, d->sectors,
				   (size_t)(1 + d->nodes) * TIE_SECTOR_BYTES, err);
	if (r == 0 && tie_breaker_check(d->sectors, d->cluster, err) < 0)
		r = err_prefix(err, "%s", d->path);
	return r;
}

static void do_work(struct tie_breaker_disk *d, enum tie_breaker_action what)
{
	struct answer *a = letter_alloc(sizeof(*a));
	struct err err = ERR_INIT;

	a->letter.open = open_answer;
	a->from = d;
	a->what = what;
	a->result = work_on(d, what, &err);
	snprintf(a->why, sizeof(a->why), "%.250s", err.text);
	if (a->result < 0) {
		disk_close(d->disk);
		d->disk = NULL;
	}
	mailbox_post(d->answers, &a->letter);
}

static void *work(void *owner)
{
	struct tie_breaker_disk *d = owner;
	enum tie_breaker_action what;

	pthread_mutex_lock(&d->mutex);
	while (d->todo != TIE_NOTHING || !d->is_ending) {
		what = d->todo;
		d->todo = TIE_NOTHING;
		if (what == TIE_NOTHING) {
			pthread_cond_wait(&d->has_work, &d->mutex);
			continue;
		}
		pthread_mutex_unlock(&d->mutex);
		do_work(d, what);
		pthread_mutex_lock(&d->mutex);
	}
	pthread_mutex_unlock(&d->mutex);
	return NULL;
}

/* --- the loop's side ------------------------------------------------------------------------------ */

static void ask(struct tie_breaker_disk *d, enum tie_breaker_action what)
{
	pthread_mutex_lock(&d->mutex);
	d->todo = what;
	pthread_cond_signal(&d->has_work);
	pthread_mutex_unlock(&d->mutex);
}

void tie_breaker_disk_read(struct tie_breaker_disk *d)
{
	ask(d, TIE_READ);
}

void tie_breaker_disk_write(struct tie_breaker_disk *d, const uint8_t sector[TIE_SECTOR_BYTES])
{
	memcpy(d->sector, sector, TIE_SECTOR_BYTES);
	ask(d, TIE_WRITE);
}

static void free_all(struct tie_breaker_disk *d)
{
	disk_close(d->disk);
	mailbox_free(d->answers);
	pthread_cond_destroy(&d->has_work);
	pthread_mutex_destroy(&d->mutex);
	free(d->sectors);
	free(d->sector);
	free(d);
}

struct tie_breaker_disk *tie_breaker_disk_new(const struct tie_breaker_disk_config *config,
					      struct loop *loop,
					      const struct tie_breaker_disk_ops *ops, void *owner,
					      struct err *err)
{
	struct tie_breaker_disk *d = calloc(1, sizeof(*d));
	int r;

	if (!d) {
		err_nomem(err, "the tie-breaker disk");
		return NULL;
	}
	snprintf(d->path, sizeof(d->path), "%s", config->path);
	snprintf(d->cluster, sizeof(d->cluster), "%s", config->cluster);
	d->nodes = config->nodes;
	d->self = config->self;
	d->ops = *ops;
	d->owner = owner;
	pthread_mutex_init(&d->mutex, NULL);
	pthread_cond_init(&d->has_work, NULL);
	d->sectors = disk_buffer_new((size_t)(1 + d->nodes) * TIE_SECTOR_BYTES);
	d->sector = disk_buffer_new(TIE_SECTOR_BYTES);
	d->answers = mailbox_new(loop, err);
	if (d->answers && (!d->sectors || !d->sector))
		err_nomem(err, "the tie-breaker disk");
	if (d->answers && d->sectors && d->sector) {
		r = pthread_create(&d->thread, NULL, work, d);
		if (r == 0)
			return d;
		err_set(err, -r, "a thread for the tie-breaker disk: %s", strerror(r));
	}
	free_all(d);
	return NULL;
}

void tie_breaker_disk_free(struct tie_breaker_disk *d)
{
	struct timespec until;

	if (!d)
		return;
	pthread_mutex_lock(&d->mutex);
	d->is_ending = true;
	pthread_cond_signal(&d->has_work);
	pthread_mutex_unlock(&d->mutex);
	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += FAREWELL_S;
	if (pthread_timedjoin_np(d->thread, NULL, &until) == 0)
		free_all(d); /* else the disk hangs, and the process ends without it */
}
