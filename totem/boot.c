/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "totem/boot.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <libgen.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/arith.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "base/log.h"
#include "base/loop.h"
#include "totem/ring.h"

LOG_SUBSYSTEM(boot);

struct boot {
	char *path;
	uint64_t number;
	uint64_t first_seq;
	struct loop *loop;
	boot_saved_fn saved;
	void *owner;
	int event_fd; /* readable: saved_seq has grown */

	pthread_t thread;
	pthread_mutex_t mutex; /* of all below */
	pthread_cond_t wake;
	uint64_t wanted_seq, saved_seq;
	bool is_closing;
};

static int sync_folder(const char *path)
{
	CLEANUP_FREE char *copy = strdup(path);
	CLEANUP_FD int fd = -1;

	if (!copy)
		return -ENOMEM;
	fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 || fsync(fd) < 0 ? -errno : 0;
}

size_t boot_record_write(const struct boot_record *record,
			 char text[BOOT_RECORD_BYTES])
{
	return (size_t)snprintf(text, BOOT_RECORD_BYTES,
				"ring-seq %" PRIu64 "\nboot %" PRIu64 "\n",
				record->ring_seq, record->number);
}

/*
 * Written again and compared: half a number is a number, too, and scanf() takes
 * signs, blanks and whatever follows.
 */
int boot_record_parse(const char *text, size_t length, struct boot_record *record)
{
	char copy[BOOT_RECORD_BYTES], again[BOOT_RECORD_BYTES];

	*record = (struct boot_record){ 0 };
	if (length >= sizeof(copy))
		return -EBADMSG;
	memcpy(copy, text, length);
	copy[length] = '\0';
	if (sscanf(copy, "ring-seq %" SCNu64 " boot %" SCNu64, &record->ring_seq,
		   &record->number) != 2 ||
	    boot_record_write(record, again) != length ||
	    memcmp(again, text, length) != 0 ||
	    record->ring_seq > WIRE_MAX_NUMBER - RING_SEQ_STRIDE ||
	    record->number == UINT64_MAX)
		return -EBADMSG;
	return 0;
}

/* At every instant the path has the old record or the whole new one. */
static int write_record(const char *path, uint64_t seq, uint64_t number)
{
	const struct boot_record record = { seq, number };
	char text[BOOT_RECORD_BYTES];
	CLEANUP_FREE char *tmp = NULL;
	CLEANUP_FD int fd = -1;

	if (asprintf(&tmp, "%s.tmp", path) < 0)
		return -ENOMEM;
	boot_record_write(&record, text);
	fd = open(tmp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0 || dprintf(fd, "%s", text) < 0 || fsync(fd) < 0 ||
	    rename(tmp, path) < 0)
		return -errno;
	return sync_folder(path);
}

/* No file is a node that never ran; half a file is one to look at. */
static int read_record(const char *path, struct boot_record *record, struct err *err)
{
	char text[BOOT_RECORD_BYTES];
	FILE *from = fopen(path, "re");
	size_t length;

	*record = (struct boot_record){ 0 };
	if (!from && errno == ENOENT)
		return 0;
	if (!from)
		return err_set(err, -errno, "%s: %s", path, strerror(errno));
	length = fread(text, 1, sizeof(text), from);
	fclose(from);
	if (boot_record_parse(text, length, record) < 0)
		return err_set(err, -EBADMSG,
			       "%s: does not hold a ring-seq and a boot number; if it is beyond repair, remove it: numbers start beyond the clock then",
			       path);
	return 0;
}

static void *save_thread(void *data)
{
	struct boot *b = data;
	const uint64_t one = 1;

	pthread_mutex_lock(&b->mutex);
	for (;;) {
		uint64_t seq = b->wanted_seq;
		int r;

		if (b->is_closing)
			break;
		if (seq <= b->saved_seq) {
			pthread_cond_wait(&b->wake, &b->mutex);
			continue;
		}
		pthread_mutex_unlock(&b->mutex);
		r = write_record(b->path, seq, b->number);
		pthread_mutex_lock(&b->mutex);
		if (r < 0) {
			log_error("MDC4101", "%s: %s: no new ring can be led",
				  b->path, strerror(-r));
			b->wanted_seq = b->saved_seq; /* until it is asked again */
			continue;
		}
		b->saved_seq = seq;
		if (write(b->event_fd, &one, sizeof(one)) < 0)
			abort(); /* an eventfd counter of saves cannot overflow */
	}
	pthread_mutex_unlock(&b->mutex);
	return NULL;
}

static void saves_are_done(void *owner, int fd, uint32_t events)
{
	struct boot *b = owner;
	uint64_t count, seq;

	(void)events;
	if (read(fd, &count, sizeof(count)) < 0)
		return;
	pthread_mutex_lock(&b->mutex);
	seq = b->saved_seq;
	pthread_mutex_unlock(&b->mutex);
	b->saved(b->owner, seq);
}

static int start_thread(struct boot *b, struct err *err)
{
	sigset_t all, before;
	int r;

	sigfillset(&all); /* signals are the loop's */
	pthread_sigmask(SIG_SETMASK, &all, &before);
	r = pthread_create(&b->thread, NULL, save_thread, b);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return r ? err_set(err, -r, "%s: cannot start the thread that saves it: %s",
			   b->path, strerror(r)) :
		   0;
}

static void free_boot(struct boot *b)
{
	if (b->event_fd >= 0)
		close(b->event_fd);
	free(b->path);
	free(b);
}

struct boot *boot_open(const char *path, uint64_t now_us, struct loop *loop,
		       boot_saved_fn saved, void *owner, struct err *err)
{
	struct boot *b = calloc(1, sizeof(*b));
	struct boot_record before;
	int r;

	if (!b || !(b->path = strdup(path))) {
		free(b);
		err_nomem(err, "the boot record");
		return NULL;
	}
	b->loop = loop;
	b->saved = saved;
	b->owner = owner;
	b->event_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	pthread_mutex_init(&b->mutex, NULL);
	pthread_cond_init(&b->wake, NULL);
	r = read_record(path, &before, err);
	if (r == 0) {
		b->first_seq = before.ring_seq + RING_SEQ_STRIDE;
		b->number = max_u64(before.number + 1, now_us);
		b->saved_seq = b->wanted_seq = b->first_seq;
		r = write_record(path, b->first_seq, b->number);
		if (r < 0)
			err_set(err, r, "%s: cannot be written: %s", path,
				strerror(-r));
	}
	if (r == 0 && b->event_fd < 0)
		r = err_set(err, -errno, "no eventfd: %s", strerror(errno));
	if (r == 0)
		r = loop_fd_add(loop, b->event_fd, POLLIN, saves_are_done, b, err);
	if (r == 0 && start_thread(b, err) < 0) {
		loop_fd_remove(loop, b->event_fd);
		r = err->code;
	}
	if (r < 0) {
		free_boot(b);
		return NULL;
	}
	return b;
}

void boot_close(struct boot *b)
{
	if (!b)
		return;
	pthread_mutex_lock(&b->mutex);
	b->is_closing = true;
	pthread_cond_signal(&b->wake);
	pthread_mutex_unlock(&b->mutex);
	pthread_join(b->thread, NULL);
	loop_fd_remove(b->loop, b->event_fd);
	pthread_mutex_destroy(&b->mutex);
	pthread_cond_destroy(&b->wake);
	free_boot(b);
}

uint64_t boot_number(const struct boot *b)
{
	return b->number;
}

uint64_t boot_first_ring_seq(const struct boot *b)
{
	return b->first_seq;
}

void boot_save(struct boot *b, uint64_t seq)
{
	pthread_mutex_lock(&b->mutex);
	b->wanted_seq = max_u64(b->wanted_seq, seq);
	pthread_cond_signal(&b->wake);
	pthread_mutex_unlock(&b->mutex);
}
