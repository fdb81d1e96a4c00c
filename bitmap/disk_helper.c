/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The helper thread of a libaio disk: zero and discard.
 *
 * libaio knows reads, writes and flushes. Zeroing and discarding are system
 * calls that block, so one helper thread a disk, started when first needed,
 * makes them, one after the other:
 *
 *	aio_helper_submit() -> todo -> the call -> done -> aio_helper_collect()
 *
 * D14 holds here, too: BLKZEROOUT, fallocate and pwrite wait for the bios they
 * have sent even when killed (bio_await_chain in block/blk-lib.c), and a process
 * is not reaped before its last thread is gone.
 */
#include "bitmap/disk_aio.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <linux/fs.h>

#include "base/arith.h"
#include "base/cleanup.h"

enum { ZEROES_BYTES = 1 << 20 }; /* one pwrite of the last resort */

/* The calls */

static int call_result(int r)
{
	return r < 0 ? -errno : 0;
}

/* The kernel says in many ways that it has no such operation here. */
static bool is_unsupported(int code)
{
	return code == -EOPNOTSUPP || code == -ENOTTY || code == -ENOSYS;
}

static int write_zeroes(const struct aio_disk *aio, const struct disk_req *req)
{
	CLEANUP_FREE void *zeroes = disk_buffer_new(ZEROES_BYTES);
	uint64_t at = req->offset_bytes, end = at + req->length_bytes;

	if (!zeroes)
		return -ENOMEM;
	while (at < end) {
		size_t length = (size_t)min_u64(end - at, ZEROES_BYTES);
		ssize_t n;

		if (disk_is_forbidden(&aio->disk, req)) /* it takes long */
			return -ESHUTDOWN;
		n = pwrite(aio->fd, zeroes, length, (off_t)at);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -EIO;
		at += (uint64_t)n;
	}
	return 0;
}

static int zero_range(const struct aio_disk *aio, const struct disk_req *req)
{
	uint64_t range[2] = { req->offset_bytes, req->length_bytes };
	int r;

	if (aio->disk.topology.is_block_device)
		r = call_result(ioctl(aio->fd, BLKZEROOUT, range));
	else
		r = call_result(fallocate(
			aio->fd, FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE,
			(off_t)req->offset_bytes, (off_t)req->length_bytes));
	return is_unsupported(r) ? write_zeroes(aio, req) : r;
}

/*
 * Not BLKDISCARD: what is read behind it is the disk's own affair, and the kernel does not
 * know it any more (BLKDISCARDZEROES has been 0 since Linux 4.12). A hole reads as zeroes,
 * in a device as in a file: there it is a write of zeroes that may unmap.
 */
static int discard_range(const struct aio_disk *aio, const struct disk_req *req)
{
	int r = call_result(fallocate(
		aio->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
		(off_t)req->offset_bytes, (off_t)req->length_bytes));

	return is_unsupported(r) ? zero_range(aio, req) : r;
}

/* The thread */

/* With the mutex held; NULL when it is time to stop. */
static struct aio_slot *helper_next(struct aio_helper *helper)
{
	struct aio_slot *slot;

	while (qb_list_empty(&helper->todo) && !helper->is_stopping)
		pthread_cond_wait(&helper->has_work, &helper->mutex);
	if (qb_list_empty(&helper->todo))
		return NULL;
	slot = qb_list_first_entry(&helper->todo, struct aio_slot, link);
	qb_list_del(&slot->link);
	return slot;
}

static int call(const struct aio_disk *aio, const struct disk_req *req)
{
	if (disk_is_forbidden(&aio->disk, req)) /* it may have waited long */
		return -ESHUTDOWN;
	return req->op == DISK_ZERO ? zero_range(aio, req) : discard_range(aio, req);
}

static void *helper_main(void *arg)
{
	struct aio_disk *aio = arg;
	struct aio_helper *helper = &aio->helper;
	struct aio_slot *slot;

	pthread_mutex_lock(&helper->mutex);
	while ((slot = helper_next(helper)) != NULL) {
		pthread_mutex_unlock(&helper->mutex);
		slot->result = call(aio, slot->req);
		pthread_mutex_lock(&helper->mutex);
		qb_list_add_tail(&slot->link, &helper->done);
		aio_make_readable(aio);
	}
	pthread_mutex_unlock(&helper->mutex);
	return NULL;
}

/* The owner's side */

/* Signals belong to the owner's loop: the thread starts with all blocked. */
static int helper_start(struct aio_disk *aio)
{
	sigset_t all, was;
	int r;

	if (aio->helper.is_started)
		return 0;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &was);
	r = pthread_create(&aio->helper.thread, NULL, helper_main, aio);
	pthread_sigmask(SIG_SETMASK, &was, NULL);
	aio->helper.is_started = r == 0;
	return -r;
}

int aio_helper_submit(struct aio_disk *aio, struct aio_slot *slot)
{
	int r = helper_start(aio);

	if (r < 0)
		return r;
	pthread_mutex_lock(&aio->helper.mutex);
	qb_list_add_tail(&slot->link, &aio->helper.todo);
	pthread_cond_signal(&aio->helper.has_work);
	pthread_mutex_unlock(&aio->helper.mutex);
	return 0;
}

void aio_helper_collect(struct aio_helper *helper, struct qb_list_head *finished)
{
	if (!helper->is_started)
		return;
	pthread_mutex_lock(&helper->mutex);
	qb_list_splice_tail(&helper->done, finished);
	QB_INIT_LIST_HEAD(&helper->done);
	pthread_mutex_unlock(&helper->mutex);
}

void aio_helper_init(struct aio_helper *helper)
{
	pthread_mutex_init(&helper->mutex, NULL);
	pthread_cond_init(&helper->has_work, NULL);
	QB_INIT_LIST_HEAD(&helper->todo);
	QB_INIT_LIST_HEAD(&helper->done);
}

void aio_helper_fini(struct aio_helper *helper)
{
	if (helper->is_started) {
		pthread_mutex_lock(&helper->mutex);
		helper->is_stopping = true;
		pthread_cond_signal(&helper->has_work);
		pthread_mutex_unlock(&helper->mutex);
		pthread_join(helper->thread, NULL);
	}
	pthread_cond_destroy(&helper->has_work);
	pthread_mutex_destroy(&helper->mutex);
}
