/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/saver.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "base/loop.h"

struct wish {
	uint64_t version;
	void *bytes; /* owned; NULL: the file goes */
	size_t length;
};

struct saver {
	char *path;
	struct loop *loop;
	struct saver_ops ops;
	void *owner;
	int event_fd; /* readable: one more is done */

	pthread_t thread;
	pthread_mutex_t mutex; /* of all below */
	pthread_cond_t wake;
	struct wish next;
	bool has_next, is_closing;
	uint64_t done;  /* version */
	int result;     /* of that */
};

/* --- files -------------------------------------------------------------------------------- */

static int sync_folder(const char *path)
{
	CLEANUP_FREE char *copy = strdup(path);
	CLEANUP_FD int fd = -1;

	if (!copy)
		return -ENOMEM;
	fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 || fsync(fd) < 0 ? -errno : 0;
}

static int write_all(int fd, const uint8_t *bytes, size_t length)
{
	while (length > 0) {
		ssize_t n = write(fd, bytes, length);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -EIO;
		bytes += n;
		length -= (size_t)n;
	}
	return fsync(fd) < 0 ? -errno : 0;
}

int file_replace(const char *path, const void *bytes, size_t length)
{
	char tmp[PATH_MAX];
	CLEANUP_FD int fd = -1;
	int r;

	if (snprintf(tmp, sizeof(tmp), "%s.tmp", path) >= (int)sizeof(tmp))
		return -ENAMETOOLONG;
	fd = open(tmp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return -errno;
	r = write_all(fd, bytes, length);
	if (r == 0 && rename(tmp, path) < 0)
		r = -errno;
	if (r < 0) {
		(void)unlink(tmp);
		return r;
	}
	return sync_folder(path);
}

static int file_remove(const char *path)
{
	if (unlink(path) < 0 && errno != ENOENT)
		return -errno;
	return sync_folder(path);
}

/* --- the thread --------------------------------------------------------------------------- */

static int fulfil(const struct saver *s, const struct wish *w)
{
	return w->bytes ? file_replace(s->path, w->bytes, w->length) : file_remove(s->path);
}

static void *save_thread(void *data)
{
	struct saver *s = data;
	const uint64_t one = 1;

	pthread_mutex_lock(&s->mutex);
	for (;;) {
		struct wish w = s->next;
		int r;

		if (!s->has_next && s->is_closing)
			break;
		if (!s->has_next) {
			pthread_cond_wait(&s->wake, &s->mutex);
			continue;
		}
		s->has_next = false;
		pthread_mutex_unlock(&s->mutex);
		r = fulfil(s, &w);
		free(w.bytes);
		pthread_mutex_lock(&s->mutex);
		s->done = w.version;
		s->result = r;
		if (write(s->event_fd, &one, sizeof(one)) < 0)
			abort(); /* an eventfd counter of saves cannot overflow */
	}
	pthread_mutex_unlock(&s->mutex);
	return NULL;
}

static void one_is_done(void *owner, int fd, uint32_t events)
{
	struct saver *s = owner;
	uint64_t count, version;
	int r;

	(void)events;
	if (read(fd, &count, sizeof(count)) < 0)
		return;
	pthread_mutex_lock(&s->mutex);
	version = s->done;
	r = s->result;
	pthread_mutex_unlock(&s->mutex);
	if (r < 0)
		s->ops.failed(s->owner, version, r);
	else
		s->ops.saved(s->owner, version);
}

int saver_put(struct saver *s, const void *bytes, size_t length, uint64_t version)
{
	struct wish w = { .version = version, .length = length };

	if (bytes) {
		w.bytes = malloc(length + 1);
		if (!w.bytes)
			return -ENOMEM;
		memcpy(w.bytes, bytes, length);
	}
	pthread_mutex_lock(&s->mutex);
	if (s->has_next)
		free(s->next.bytes);
	s->next = w;
	s->has_next = true;
	pthread_cond_signal(&s->wake);
	pthread_mutex_unlock(&s->mutex);
	return 0;
}

/* --- life --------------------------------------------------------------------------------- */

static int start_thread(struct saver *s, struct err *err)
{
	sigset_t all, before;
	int r;

	sigfillset(&all); /* signals are the loop's */
	pthread_sigmask(SIG_SETMASK, &all, &before);
	r = pthread_create(&s->thread, NULL, save_thread, s);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return r ? err_set(err, -r, "%s: cannot start the thread that saves it: %s", s->path,
			   strerror(r)) :
		   0;
}

static void free_saver(struct saver *s)
{
	if (s->event_fd >= 0)
		close(s->event_fd);
	free(s->path);
	free(s);
}

struct saver *saver_open(const char *path, struct loop *loop, const struct saver_ops *ops,
			 void *owner, struct err *err)
{
	struct saver *s = calloc(1, sizeof(*s));
	int r;

	if (!s || !(s->path = strdup(path))) {
		free(s);
		err_nomem(err, path);
		return NULL;
	}
	s->loop = loop;
	s->ops = *ops;
	s->owner = owner;
	pthread_mutex_init(&s->mutex, NULL);
	pthread_cond_init(&s->wake, NULL);
	s->event_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	r = s->event_fd < 0 ? err_set(err, -errno, "no eventfd: %s", strerror(errno)) :
			      loop_fd_add(loop, s->event_fd, POLLIN, one_is_done, s, err);
	if (r == 0 && start_thread(s, err) < 0) {
		loop_fd_remove(loop, s->event_fd);
		r = err->code;
	}
	if (r == 0)
		return s;
	free_saver(s);
	return NULL;
}

void saver_close(struct saver *s)
{
	if (!s)
		return;
	pthread_mutex_lock(&s->mutex);
	s->is_closing = true;
	pthread_cond_signal(&s->wake);
	pthread_mutex_unlock(&s->mutex);
	pthread_join(s->thread, NULL);
	loop_fd_remove(s->loop, s->event_fd);
	pthread_mutex_destroy(&s->mutex);
	pthread_cond_destroy(&s->wake);
	free_saver(s);
}
