/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "mdclusterd/daemon/disk_probe.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <qb/qblist.h>

#include "base/clock.h"
#include "base/err.h"
#include "bitmap/disk.h"

enum { FIRST_BYTES = 8192 }; /* with the superblock */

struct probe {
	struct qb_list_head link; /* of those that are under way */
	unsigned int users;       /* who waits, and the thread; the last one frees it */
	bool is_over;
	void (*ask)(const char *path);
	char path[];
};

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t has_ended;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static QB_LIST_DECLARE(under_way);

static void begin(void)
{
	pthread_condattr_t attr;

	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&has_ended, &attr);
	pthread_condattr_destroy(&attr);
}

static void release(struct probe *p)
{
	if (--p->users == 0)
		free(p);
}

void disk_probe_read(const char *path)
{
	struct err ignored = ERR_INIT;
	struct disk *disk = disk_aio_open(path, DISK_RDONLY, &ignored);
	uint8_t *buffer = disk ? disk_buffer_new(FIRST_BYTES) : NULL;

	if (buffer)
		(void)disk_read_wait(disk, 0, buffer, FIRST_BYTES, &ignored);
	free(buffer);
	disk_close(disk);
}

static void *run(void *arg)
{
	struct probe *p = arg;

	p->ask(p->path);
	pthread_mutex_lock(&mutex);
	p->is_over = true;
	qb_list_del(&p->link);
	release(p);
	pthread_cond_broadcast(&has_ended);
	pthread_mutex_unlock(&mutex);
	return NULL;
}

static struct probe *find(const char *path)
{
	struct probe *p;

	qb_list_for_each_entry(p, &under_way, link)
		if (strcmp(p->path, path) == 0)
			return p;
	return NULL;
}

/* NULL: there is no memory for it, or no thread: then it is opened unasked. */
static struct probe *start(const char *path, void (*ask)(const char *path))
{
	struct probe *p = calloc(1, sizeof(*p) + strlen(path) + 1);
	pthread_t thread;

	if (!p)
		return NULL;
	memcpy(p->path, path, strlen(path) + 1);
	p->users = 1;
	p->ask = ask;
	if (pthread_create(&thread, NULL, run, p) != 0) {
		free(p);
		return NULL;
	}
	pthread_detach(thread); /* it may hang */
	qb_list_add_tail(&p->link, &under_way);
	return p;
}

int disk_probe(const char *path, void (*ask)(const char *path), uint32_t timeout_ms,
	       struct err *err)
{
	const struct timespec until = clock_deadline(timeout_ms);
	bool is_late = false;
	struct probe *p;

	pthread_once(&once, begin);
	pthread_mutex_lock(&mutex);
	p = find(path);
	if (!p)
		p = start(path, ask);
	if (p) {
		p->users++;
		while (!p->is_over && !is_late)
			is_late = pthread_cond_timedwait(&has_ended, &mutex, &until) != 0;
		is_late = !p->is_over;
		release(p);
	}
	pthread_mutex_unlock(&mutex);
	if (!is_late)
		return 0;
	return err_set(err, -ETIMEDOUT, "%s: it does not answer within %u.%u s", path,
		       timeout_ms / 1000, timeout_ms % 1000 / 100);
}
