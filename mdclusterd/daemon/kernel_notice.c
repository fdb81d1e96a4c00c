/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * md counts its events: a file of /proc/mdstat is POLLPRI until it is read anew
 * (drivers/md/md.c: mdstat_poll, md_seq_show). One of a made up host never is.
 */
#include "mdclusterd/daemon/kernel_notice.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/err.h"
#include "bitmap/kernel_arrays.h"
#include "mdclusterd/daemon/mailbox.h"

struct kernel_notice {
	pthread_mutex_t mutex;
	struct mailbox *box;  /* the mutex's; NULL: closed */
	bool is_thread_there; /* the mutex's: who goes last frees it */
	int end_fd;
	char *root;
	loop_fn changed;
	void *owner;
};

struct news {
	struct letter letter;
	const struct kernel_notice *of;
};

static void notice_free(struct kernel_notice *n)
{
	if (n->end_fd >= 0)
		close(n->end_fd);
	pthread_mutex_destroy(&n->mutex);
	free(n->root);
	free(n);
}

/* --- the thread ---------------------------------------------------------------------------- */

static void open_news(struct letter *letter)
{
	struct news *news = (struct news *)letter; /* its first member */
	const struct kernel_notice *n = news->of;

	free(news);
	n->changed(n->owner);
}

static void tell(struct kernel_notice *n)
{
	struct news *news = letter_alloc(sizeof(*news));

	*news = (struct news){ .letter.open = open_news, .of = n };
	pthread_mutex_lock(&n->mutex);
	if (n->box)
		mailbox_post(n->box, &news->letter);
	else
		free(news);
	pthread_mutex_unlock(&n->mutex);
}

static int open_mdstat(const struct kernel_notice *n)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/proc/mdstat", n->root);
	return open(path, O_RDONLY | O_CLOEXEC);
}

/* To its end: only then does md take its events as seen. */
static void read_mdstat(int fd)
{
	char bytes[4096];

	if (lseek(fd, 0, SEEK_SET) == 0)
		while (read(fd, bytes, sizeof(bytes)) > 0)
			;
}

/* Until something may have changed. False: it is over. */
static bool wait_for_more(const struct kernel_notice *n, int mdstat)
{
	struct pollfd fds[2] = { { .fd = n->end_fd, .events = POLLIN },
				 { .fd = mdstat, .events = POLLPRI } };

	if (poll(fds, 2, KERNEL_NOTICE_MS) < 0 && errno != EINTR)
		return false;
	if (fds[0].revents)
		return false;
	return !fds[1].revents || poll(fds, 1, KERNEL_NOTICE_PAUSE_MS) == 0;
}

static void *run(void *arg)
{
	struct kernel_notice *n = arg;
	uint64_t before = 0, now;
	bool is_closed;
	int mdstat = -1;

	do {
		if (mdstat < 0)
			mdstat = open_mdstat(n);
		if (mdstat >= 0)
			read_mdstat(mdstat);
		now = kernel_arrays_sum(n->root);
		if (now != before)
			tell(n);
		before = now;
	} while (wait_for_more(n, mdstat));
	if (mdstat >= 0)
		close(mdstat);
	pthread_mutex_lock(&n->mutex);
	n->is_thread_there = false;
	is_closed = !n->box;
	pthread_mutex_unlock(&n->mutex);
	if (is_closed)
		notice_free(n);
	return NULL;
}

/* --- life ---------------------------------------------------------------------------------- */

static int start(struct kernel_notice *n, struct err *err)
{
	pthread_t thread;
	int r;

	n->end_fd = eventfd(0, EFD_CLOEXEC);
	if (n->end_fd < 0)
		return err_set(err, -errno, "eventfd: %s", strerror(errno));
	r = pthread_create(&thread, NULL, run, n);
	if (r)
		return err_set(err, -r, "no thread to see what this node's kernel runs: %s",
			       strerror(r));
	pthread_detach(thread); /* it may hang in the kernel */
	return 0;
}

struct kernel_notice *kernel_notice_open(struct loop *loop, const char *root, loop_fn changed,
					 void *owner, struct err *err)
{
	struct kernel_notice *n = calloc(1, sizeof(*n));

	if (!n || !(n->root = strdup(root))) {
		err_nomem(err, "a look at what the kernel runs");
		free(n);
		return NULL;
	}
	pthread_mutex_init(&n->mutex, NULL);
	n->changed = changed;
	n->owner = owner;
	n->end_fd = -1;
	n->is_thread_there = true;
	n->box = mailbox_new(loop, err);
	if (n->box && start(n, err) == 0)
		return n;
	mailbox_free(n->box);
	notice_free(n);
	return NULL;
}

void kernel_notice_close(struct kernel_notice *n)
{
	struct mailbox *box;
	bool is_alone;

	if (!n)
		return;
	pthread_mutex_lock(&n->mutex);
	box = n->box;
	n->box = NULL;
	is_alone = !n->is_thread_there;
	(void)eventfd_write(n->end_fd, 1);
	pthread_mutex_unlock(&n->mutex);
	mailbox_free(box);
	if (is_alone)
		notice_free(n);
}
