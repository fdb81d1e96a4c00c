/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The inside of libaio disks: what disk_aio.c (the engine), disk_open.c (opening
 * and probing) and disk_helper.c (the thread for zero and discard) share. For
 * these three only; the face to the world is bitmap/disk.h.
 *
 * Everything belongs to the owner's thread, but for what struct aio_helper says.
 */
#pragma once

#include <pthread.h>
#include <stdbool.h>

#include <libaio.h>
#include <qb/qblist.h>

#include "bitmap/disk.h"

enum { AIO_QUEUE_DEPTH = 128 };

/* A request under way: with the kernel, with the helper, or finished. */
struct aio_slot {
	struct qb_list_head link; /* in free, ready, finished, helper.todo or .done */
	struct iocb iocb;
	struct disk_req *req;
	bool owes_sync; /* its write is not durable by itself: fdsync follows */
	int result;     /* once finished */
};

/*
 * The mutex is of the two lists and is_stopping. The thread touches a slot only
 * between todo and done, and of the disk only what does not change once it is
 * open: fd, event_fd, topology.
 */
struct aio_helper {
	pthread_t thread;
	pthread_mutex_t mutex;
	pthread_cond_t has_work;
	struct qb_list_head todo;
	struct qb_list_head done;
	bool is_stopping;
	bool is_started; /* the owner's */
};

struct aio_disk {
	struct disk disk;
	int fd;
	int claim_fd; /* DISK_SHARED of a device: O_EXCL; -1: somebody else of ours has it */
	int event_fd;
	bool forgets_fua; /* its file system takes RWF_DSYNC, and does nothing about it */
	io_context_t ctx;
	unsigned int in_kernel;
	struct qb_list_head waiting; /* disk_req.link: gathered, no slot, or EAGAIN */
	bool is_gathering;
	unsigned int gathered; /* since the last start */
	uint64_t gathered_bytes;
	struct qb_list_head ready; /* slots: the kernel is asked next */
	struct qb_list_head free;
	struct qb_list_head finished;
	struct aio_helper helper;
	struct aio_slot slots[AIO_QUEUE_DEPTH];
};

/* disk_aio.c */

/* Brings pump back: there is something for it to do. From any thread. */
void aio_make_readable(const struct aio_disk *aio);

/* disk_open.c */

/*
 * Opens aio->disk.name and sets fd, size_bytes and topology. Errors name the
 * path. The fd is closed by the close of the disk, also after a failure here.
 */
int aio_open(struct aio_disk *aio, enum disk_mode mode, struct err *err);

/* disk_helper.c */

void aio_helper_init(struct aio_helper *helper);

/* Runs what is still in todo, then ends the thread. Waits. */
void aio_helper_fini(struct aio_helper *helper);

/*
 * Takes a slot whose request is a DISK_ZERO or DISK_DISCARD; starts the thread if
 * it is the first. When it is over, slot->result is set and the disk is made
 * readable. A negative errno if there can be no thread: the slot is not taken.
 */
int aio_helper_submit(struct aio_disk *aio, struct aio_slot *slot);

/* Moves the slots that are over to the end of `finished`. Does not wait. */
void aio_helper_collect(struct aio_helper *helper, struct qb_list_head *finished);
