/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "mdclusterd/daemon/mailbox.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/err.h"
#include "base/log.h"
#include "base/loop.h"

LOG_SUBSYSTEM(thread);

struct mailbox {
	struct loop *loop;
	int event_fd; /* readable: there may be letters */
	pthread_mutex_t mutex;
	struct qb_list_head letters; /* the mutex's */
};

static void open_letters(void *owner, int fd, uint32_t events)
{
	struct mailbox *box = owner;
	struct qb_list_head came;
	uint64_t count;
	ssize_t n = read(fd, &count, sizeof(count));

	(void)n; /* once too often readable is fine */
	(void)events;
	qb_list_init(&came);
	pthread_mutex_lock(&box->mutex);
	qb_list_splice_tail(&box->letters, &came);
	qb_list_init(&box->letters);
	pthread_mutex_unlock(&box->mutex);
	while (!qb_list_empty(&came)) {
		struct letter *letter = qb_list_first_entry(&came, struct letter, link);

		qb_list_del(&letter->link);
		letter->open(letter);
	}
}

struct mailbox *mailbox_new(struct loop *loop, struct err *err)
{
	struct mailbox *box = calloc(1, sizeof(*box));

	if (!box) {
		err_nomem(err, "a mailbox");
		return NULL;
	}
	box->loop = loop;
	qb_list_init(&box->letters);
	pthread_mutex_init(&box->mutex, NULL);
	box->event_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (box->event_fd < 0)
		err_set(err, -errno, "a mailbox: %s", strerror(errno));
	else if (loop_fd_add(loop, box->event_fd, POLLIN, open_letters, box, err) == 0)
		return box;
	if (box->event_fd >= 0)
		close(box->event_fd);
	pthread_mutex_destroy(&box->mutex);
	free(box);
	return NULL;
}

void mailbox_free(struct mailbox *box)
{
	if (!box)
		return;
	loop_fd_remove(box->loop, box->event_fd);
	close(box->event_fd);
	while (!qb_list_empty(&box->letters)) {
		struct letter *letter = qb_list_first_entry(&box->letters, struct letter, link);

		qb_list_del(&letter->link);
		free(letter);
	}
	pthread_mutex_destroy(&box->mutex);
	free(box);
}

void mailbox_post(struct mailbox *box, struct letter *letter)
{
	uint64_t one = 1;
	ssize_t n;

	pthread_mutex_lock(&box->mutex);
	qb_list_add_tail(&letter->link, &box->letters);
	pthread_mutex_unlock(&box->mutex);
	n = write(box->event_fd, &one, sizeof(one));
	(void)n; /* EAGAIN: it is readable */
}

void *letter_alloc(size_t bytes)
{
	void *memory = calloc(1, bytes);

	if (memory)
		return memory;
	log_error("MDC5440", "no memory for a word between threads: the engine ends");
	abort();
}
