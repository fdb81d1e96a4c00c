/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "mdclusterd/daemon/quorum_file.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/arith.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "base/log.h"
#include "mdclusterd/daemon/mailbox.h"

LOG_SUBSYSTEM(quorum);

enum { PATH_BYTES = 4096, AGAIN_S = 1 };

struct quorum_file {
	char dir[PATH_BYTES], path[PATH_BYTES + 16], fresh[PATH_BYTES + 16];
	void (*done)(void *owner);
	void *owner;
	struct mailbox *answers;
	pthread_t thread;
	bool has_thread;
	uint64_t heard;            /* the loop's: written for sure */

	pthread_mutex_t mutex;     /* of the rest */
	pthread_cond_t has_work;
	uint8_t bytes[QUORUM_MEMORY_BYTES];
	uint64_t wanted, written;
	bool is_ending;
};

struct written {
	struct letter letter;
	struct quorum_file *file;
	uint64_t number;
};

int quorum_file_read(const char *state_dir, uint8_t bytes[QUORUM_MEMORY_BYTES],
		     struct err *err)
{
	char path[PATH_BYTES + 16];
	CLEANUP_FD int fd = -1;
	ssize_t n;

	snprintf(path, sizeof(path), "%s/quorum", state_dir);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 && errno == ENOENT)
		return 0;
	n = fd < 0 ? -1 : read(fd, bytes, QUORUM_MEMORY_BYTES);
	if (n < 0)
		return err_set(err, -errno, "%s: %s", path, strerror(errno));
	if (n != QUORUM_MEMORY_BYTES)
		return err_set(err, -EBADMSG,
			       "%s: has %zd bytes, not %d: look at it; without it the configuration alone says who decides",
			       path, n, QUORUM_MEMORY_BYTES);
	return 1;
}

static int write_file(const struct quorum_file *f, const uint8_t bytes[QUORUM_MEMORY_BYTES])
{
	CLEANUP_FD int fd = open(f->fresh, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW,
				 0600);
	CLEANUP_FD int dir = open(f->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	ssize_t n;

	if (fd < 0 || dir < 0)
		return -errno;
	n = write(fd, bytes, QUORUM_MEMORY_BYTES);
	if (n >= 0 && n < QUORUM_MEMORY_BYTES)
		return -ENOSPC;
	if (n < 0 || fsync(fd) < 0 || rename(f->fresh, f->path) < 0 || fsync(dir) < 0)
		return -errno;
	return 0;
}

static void open_letter(struct letter *letter)
{
	struct written *w = container_of(letter, struct written, letter);
	struct quorum_file *f = w->file;
	uint64_t wanted;

	f->heard = w->number;
	free(w);
	pthread_mutex_lock(&f->mutex);
	wanted = f->wanted;
	pthread_mutex_unlock(&f->mutex);
	if (f->heard == wanted)
		f->done(f->owner);
}

static void say_written(struct quorum_file *f, uint64_t number)
{
	struct written *w = letter_alloc(sizeof(*w));

	w->letter.open = open_letter;
	w->file = f;
	w->number = number;
	mailbox_post(f->answers, &w->letter);
}

/* Under the mutex, which it lets go of meanwhile. */
static void write_newest(struct quorum_file *f)
{
	uint8_t bytes[QUORUM_MEMORY_BYTES];
	uint64_t number = f->wanted;
	struct timespec until;
	int r;

	memcpy(bytes, f->bytes, sizeof(bytes));
	pthread_mutex_unlock(&f->mutex);
	r = write_file(f, bytes);
	if (r == 0)
		say_written(f, number);
	else
		log_error("MDC5600", "%s: %s: who decides cannot be remembered, and a configuration may wait for that",
			  f->path, strerror(-r));
	pthread_mutex_lock(&f->mutex);
	if (r == 0) {
		f->written = number;
	} else if (!f->is_ending) {
		clock_gettime(CLOCK_REALTIME, &until);
		until.tv_sec += AGAIN_S;
		pthread_cond_timedwait(&f->has_work, &f->mutex, &until);
	} else {
		f->written = f->wanted;
	}
}

static void *work(void *owner)
{
	struct quorum_file *f = owner;

	pthread_mutex_lock(&f->mutex);
	while (!f->is_ending || f->written < f->wanted) {
		if (f->written < f->wanted)
			write_newest(f);
		else
			pthread_cond_wait(&f->has_work, &f->mutex);
	}
	pthread_mutex_unlock(&f->mutex);
	return NULL;
}

struct quorum_file *quorum_file_open(const char *state_dir, struct loop *loop,
				     void (*done)(void *owner), void *owner, struct err *err)
{
	struct quorum_file *f = calloc(1, sizeof(*f));
	int r;

	if (!f) {
		err_nomem(err, "the file of the quorum");
		return NULL;
	}
	snprintf(f->dir, sizeof(f->dir), "%s", state_dir);
	snprintf(f->path, sizeof(f->path), "%s/quorum", f->dir);
	snprintf(f->fresh, sizeof(f->fresh), "%s/quorum.new", f->dir);
	f->done = done;
	f->owner = owner;
	pthread_mutex_init(&f->mutex, NULL);
	pthread_cond_init(&f->has_work, NULL);
	f->answers = mailbox_new(loop, err);
	r = f->answers ? pthread_create(&f->thread, NULL, work, f) : 0;
	f->has_thread = f->answers && r == 0;
	if (f->has_thread)
		return f;
	if (r != 0)
		err_set(err, -r, "a thread for the file of the quorum: %s", strerror(r));
	quorum_file_close(f);
	return NULL;
}

void quorum_file_save(struct quorum_file *f, const uint8_t bytes[QUORUM_MEMORY_BYTES])
{
	pthread_mutex_lock(&f->mutex);
	memcpy(f->bytes, bytes, sizeof(f->bytes));
	f->wanted++;
	pthread_cond_signal(&f->has_work);
	pthread_mutex_unlock(&f->mutex);
}

void quorum_file_close(struct quorum_file *f)
{
	if (!f)
		return;
	if (f->has_thread) {
		pthread_mutex_lock(&f->mutex);
		f->is_ending = true;
		pthread_cond_signal(&f->has_work);
		pthread_mutex_unlock(&f->mutex);
		pthread_join(f->thread, NULL);
	}
	mailbox_free(f->answers);
	pthread_cond_destroy(&f->has_work);
	pthread_mutex_destroy(&f->mutex);
	free(f);
}
