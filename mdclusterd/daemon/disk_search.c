/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "mdclusterd/daemon/disk_search.h"

#include <glob.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/arith.h"
#include "base/clock.h"
#include "mdclusterd/daemon/finder.h"

enum { WORKERS = 8 };

struct search {
	uint8_t uuid[16];
	glob_t disks;
	pthread_mutex_t mutex;  /* of the rest */
	pthread_cond_t has_more;
	bool *is_found;         /* of each disk */
	size_t next, looked_at;
	unsigned int users;     /* who waits, and threads; the last one frees it */
};

static void release(struct search *s)
{
	bool is_last;

	pthread_mutex_lock(&s->mutex);
	is_last = --s->users == 0;
	pthread_mutex_unlock(&s->mutex);
	if (!is_last)
		return;
	globfree(&s->disks);
	pthread_cond_destroy(&s->has_more);
	pthread_mutex_destroy(&s->mutex);
	free(s->is_found);
	free(s);
}

static void *look(void *arg)
{
	struct search *s = arg;

	pthread_mutex_lock(&s->mutex);
	while (s->next < s->disks.gl_pathc) {
		size_t i = s->next++;
		bool is_found;

		pthread_mutex_unlock(&s->mutex);
		is_found = finder_is_member(s->disks.gl_pathv[i], s->uuid);
		pthread_mutex_lock(&s->mutex);
		s->is_found[i] = is_found;
		s->looked_at++;
		pthread_cond_signal(&s->has_more);
	}
	pthread_mutex_unlock(&s->mutex);
	release(s);
	return NULL;
}

static void start_workers(struct search *s)
{
	size_t wanted = min_u64(WORKERS, s->disks.gl_pathc);
	pthread_t thread;

	for (size_t i = 0; i < wanted; i++) {
		pthread_mutex_lock(&s->mutex);
		s->users++;
		pthread_mutex_unlock(&s->mutex);
		if (pthread_create(&thread, NULL, look, s) == 0)
			pthread_detach(thread); /* it may hang on a disk */
		else
			release(s);
	}
}

static struct search *search_new(char *const *patterns, size_t count, const uint8_t uuid[16])
{
	struct search *s = calloc(1, sizeof(*s));
	pthread_condattr_t attr;

	if (!s)
		return NULL;
	memcpy(s->uuid, uuid, sizeof(s->uuid));
	for (size_t i = 0; i < count; i++)
		(void)glob(patterns[i], i ? GLOB_APPEND : 0, NULL, &s->disks);
	(void)glob("/dev/disk/by-id/*", count ? GLOB_APPEND : 0, NULL, &s->disks);
	s->is_found = calloc(s->disks.gl_pathc + 1, sizeof(*s->is_found));
	pthread_mutex_init(&s->mutex, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&s->has_more, &attr);
	pthread_condattr_destroy(&attr);
	s->users = 1;
	if (s->is_found)
		return s;
	release(s);
	return NULL;
}

static void wait(struct search *s, uint32_t timeout_ms)
{
	const struct timespec until = clock_deadline(timeout_ms);

	/* without any worker there is nobody to wait for */
	while (s->looked_at < s->disks.gl_pathc && s->users > 1)
		if (pthread_cond_timedwait(&s->has_more, &s->mutex, &until) != 0)
			return;
}

size_t disk_search(char *const *patterns, size_t count, const uint8_t uuid[16],
		   uint32_t timeout_ms, char **paths, size_t room)
{
	struct search *s = search_new(patterns, count, uuid);
	size_t found = 0;

	if (!s)
		return 0;
	start_workers(s);
	pthread_mutex_lock(&s->mutex);
	wait(s, timeout_ms);
	for (size_t i = 0; i < s->disks.gl_pathc && found < room; i++)
		if (s->is_found[i] && (paths[found] = strdup(s->disks.gl_pathv[i])) != NULL)
			found++;
	pthread_mutex_unlock(&s->mutex);
	release(s);
	return found;
}
