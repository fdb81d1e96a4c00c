/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What all disks have in common: the checks before a request is handed over,
 * and the helpers that wait, on top of submit and pump alone.
 *
 * Every helper that waits is a batch, also for one request. Its items are on
 * the heap, so that nothing of ours is on a stack that might be left while a
 * request still points there.
 */
#include "bitmap/disk.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arith.h"
#include "base/err.h"

enum {
	BUFFER_ALIGN_BYTES = 4096,
	REQUEST_TEXT_BYTES = 96,
	BATCH_FIRST_CAPACITY = 8,
};

/* The kernel moves at most 2 GiB - 4 KiB at once and would cut it short. */
#define TRANSFER_MAX_BYTES ((size_t)1 << 30)

static const char *const op_names[] = {
	[DISK_READ] = "read",       [DISK_WRITE] = "write",
	[DISK_FLUSH] = "flush",     [DISK_DISCARD] = "discard",
	[DISK_ZERO] = "zero",
};

/* "write of 4096 bytes at byte 8192". Returns `to`. */
static const char *request_text(const struct disk_req *req,
				char to[REQUEST_TEXT_BYTES])
{
	if (req->op == DISK_FLUSH)
		(void)snprintf(to, REQUEST_TEXT_BYTES, "flush");
	else
		(void)snprintf(to, REQUEST_TEXT_BYTES,
			       "%s of %zu bytes at byte %" PRIu64,
			       op_names[req->op], req->length_bytes,
			       req->offset_bytes);
	return to;
}

static int refuse(const struct disk *disk, const struct disk_req *req, int code,
		  const char *why, struct err *err)
{
	char text[REQUEST_TEXT_BYTES];

	return err_set(err, code, "%s: %s: %s", disk->name,
		       request_text(req, text), why);
}

static int check_buffer(const struct disk *disk, const struct disk_req *req,
			struct err *err)
{
	if (!req->buffer)
		return refuse(disk, req, -EINVAL, "no buffer", err);
	if ((uintptr_t)req->buffer % disk->topology.logical_block_bytes != 0)
		return refuse(disk, req, -EINVAL,
			      "buffer is not aligned to the logical block", err);
	if (req->length_bytes > TRANSFER_MAX_BYTES)
		return refuse(disk, req, -EINVAL,
			      "longer than 1 GiB in one request", err);
	return 0;
}

static int check_range(const struct disk *disk, const struct disk_req *req,
		       struct err *err)
{
	uint32_t block = disk->topology.logical_block_bytes;

	if (req->length_bytes == 0)
		return refuse(disk, req, -EINVAL, "empty", err);
	if (req->offset_bytes % block != 0 || req->length_bytes % block != 0)
		return refuse(disk, req, -EINVAL,
			      "not aligned to the logical block", err);
	/* in this order nothing overflows */
	if (req->offset_bytes > disk->size_bytes ||
	    req->length_bytes > disk->size_bytes - req->offset_bytes)
		return refuse(disk, req, -EINVAL, "beyond the end of the disk",
			      err);
	return 0;
}

static int check_request(const struct disk *disk, const struct disk_req *req,
			 struct err *err)
{
	int r;

	if ((size_t)req->op >= ARRAY_SIZE(op_names))
		return err_set(err, -EINVAL, "%s: unknown operation %d",
			       disk->name, (int)req->op);
	/* a promise of durability that nobody would keep */
	if (req->is_fua && req->op != DISK_WRITE)
		return refuse(disk, req, -EINVAL, "only a write can be FUA", err);
	if (disk_req_changes(req) && disk->is_read_only)
		return refuse(disk, req, -EROFS, "opened read-only", err);
	if (req->op == DISK_FLUSH)
		return req->length_bytes == 0
			       ? 0
			       : refuse(disk, req, -EINVAL,
					"a flush has no length", err);
	r = check_range(disk, req, err);
	if (r == 0 && (req->op == DISK_READ || req->op == DISK_WRITE))
		r = check_buffer(disk, req, err);
	if (r == 0 && disk_is_forbidden(disk, req))
		r = refuse(disk, req, -ESHUTDOWN, "not now: this node may change nothing", err);
	return r;
}

bool disk_is_forbidden(const struct disk *disk, const struct disk_req *req)
{
	return disk_req_changes(req) && disk->may_change && !disk->may_change(disk->guard);
}

void disk_guard(struct disk *disk, bool (*may_change)(void *owner), void *owner)
{
	disk->may_change = may_change;
	disk->guard = owner;
}

int disk_submit(struct disk *disk, struct disk_req *req, struct err *err)
{
	int r = check_request(disk, req, err);

	if (r == 0)
		r = disk->ops->submit(disk, req, err);
	if (r == 0)
		disk->in_flight++;
	return r;
}

void disk_gather(struct disk *disk)
{
	if (disk->ops->gather)
		disk->ops->gather(disk);
}

void disk_start(struct disk *disk)
{
	if (disk->ops->start)
		disk->ops->start(disk);
}

void disk_complete(struct disk *disk, struct disk_req *req, int result)
{
	assert(disk->in_flight > 0);
	disk->in_flight--;
	req->done(req, result);
}

int disk_pump(struct disk *disk, int timeout_ms)
{
	return disk->ops->pump(disk, timeout_ms);
}

int disk_poll_fd(const struct disk *disk)
{
	return disk->ops->poll_fd(disk);
}

uint64_t disk_sectors(const struct disk *disk)
{
	return disk->size_bytes / 512;
}

void disk_close(struct disk *disk)
{
	if (!disk)
		return;
	while (disk->in_flight > 0)
		if (disk_pump(disk, -1) < 0)
			break; /* broken: the requests are lost, not the process */
	disk->ops->close(disk);
}

void disk_close_ptr(struct disk **slot)
{
	disk_close(*slot);
}

void *disk_buffer_new(size_t length_bytes)
{
	size_t size;
	void *buffer;

	if (length_bytes > SIZE_MAX - BUFFER_ALIGN_BYTES)
		return NULL;
	size = round_up(length_bytes ? length_bytes : 1, BUFFER_ALIGN_BYTES);
	buffer = aligned_alloc(BUFFER_ALIGN_BYTES, size);
	if (buffer)
		memset(buffer, 0, size);
	return buffer;
}

/* Batches */

struct disk_batch_item {
	struct disk_req req;
	struct disk *disk;
	bool is_done;
	int result;
};

static bool batch_grow(struct disk_batch *batch)
{
	size_t capacity =
		batch->capacity ? 2 * batch->capacity : BATCH_FIRST_CAPACITY;
	struct disk_batch_item *items;

	items = reallocarray(batch->items, capacity, sizeof(*items));
	if (!items)
		return false;
	batch->items = items;
	batch->capacity = capacity;
	return true;
}

static void item_done(struct disk_req *req, int result)
{
	struct disk_batch_item *item = req->owner;

	item->is_done = true;
	item->result = result;
}

/* Items move while the batch grows: nothing may point to them before wait. */
static void batch_add(struct disk_batch *batch, struct disk *disk,
		      struct disk_req req)
{
	if (batch->count == batch->capacity && !batch_grow(batch)) {
		batch->is_out_of_memory = true;
		return;
	}
	batch->items[batch->count++] = (struct disk_batch_item){
		.req = req,
		.disk = disk,
	};
}

void disk_batch_read(struct disk_batch *batch, struct disk *disk,
		     uint64_t offset_bytes, void *buffer, size_t length_bytes)
{
	batch_add(batch, disk,
		  (struct disk_req){ .op = DISK_READ,
				     .offset_bytes = offset_bytes,
				     .length_bytes = length_bytes,
				     .buffer = buffer });
}

void disk_batch_write(struct disk_batch *batch, struct disk *disk,
		      uint64_t offset_bytes, void *buffer, size_t length_bytes,
		      bool is_fua)
{
	batch_add(batch, disk,
		  (struct disk_req){ .op = DISK_WRITE,
				     .is_fua = is_fua,
				     .offset_bytes = offset_bytes,
				     .length_bytes = length_bytes,
				     .buffer = buffer });
}

void disk_batch_flush(struct disk_batch *batch, struct disk *disk)
{
	batch_add(batch, disk, (struct disk_req){ .op = DISK_FLUSH });
}

/* Hands all over, also after a refusal. Returns the first refused, or NULL. */
static struct disk_batch_item *batch_submit(struct disk_batch *batch,
					    struct err *err)
{
	struct disk_batch_item *item, *refused = NULL;
	struct err later; /* only the first sentence is told */
	size_t i;

	for (i = 0; i < batch->count; i++) {
		item = &batch->items[i];
		item->req.owner = item;
		item->req.done = item_done;
		item->result = disk_submit(item->disk, &item->req,
					   refused ? &later : err);
		item->is_done = item->result < 0;
		if (item->is_done && !refused)
			refused = item;
	}
	return refused;
}

/* Ends with !is_done only if the disk's completions are broken. */
static void item_wait(struct disk_batch_item *item)
{
	int r;

	while (!item->is_done) {
		assert(item->disk->in_flight > 0);
		r = disk_pump(item->disk, -1);
		if (r < 0 && !item->is_done) {
			item->result = r;
			return;
		}
	}
}

/* Returns the first that failed, or NULL. */
static struct disk_batch_item *batch_collect(struct disk_batch *batch)
{
	struct disk_batch_item *item, *failed = NULL;
	size_t i;

	for (i = 0; i < batch->count; i++) {
		item = &batch->items[i];
		item_wait(item);
		if (item->result < 0 && !failed)
			failed = item;
	}
	return failed;
}

/*
 * A request that a broken disk never gave back may still be written to: its
 * batch is leaked on purpose.
 */
static void batch_reset(struct disk_batch *batch)
{
	bool is_all_done = true;
	size_t i;

	for (i = 0; i < batch->count; i++)
		is_all_done &= batch->items[i].is_done;
	if (is_all_done || batch->is_out_of_memory)
		free(batch->items);
	*batch = (struct disk_batch)DISK_BATCH_INIT;
}

int disk_batch_wait(struct disk_batch *batch, struct disk **failed,
		    struct err *err)
{
	struct disk_batch_item *refused = NULL, *bad = NULL;
	int r = 0;

	if (batch->is_out_of_memory) {
		r = err_nomem(err, "a batch of disk requests");
	} else {
		refused = batch_submit(batch, err);
		bad = batch_collect(batch);
	}
	if (refused)
		bad = refused; /* err has its sentence already */
	else if (bad)
		refuse(bad->disk, &bad->req, bad->result,
		       strerror(-bad->result), err);
	if (failed)
		*failed = bad ? bad->disk : NULL;
	if (bad) {
		r = bad->result;
		/* -EINVAL is for what is asked; of a disk it is a failure */
		if (r == -EINVAL && !refused)
			r = -EIO;
		err->code = r;
	}
	batch_reset(batch);
	return r;
}

int disk_read_wait(struct disk *disk, uint64_t offset_bytes, void *buffer,
		   size_t length_bytes, struct err *err)
{
	struct disk_batch batch = DISK_BATCH_INIT;

	disk_batch_read(&batch, disk, offset_bytes, buffer, length_bytes);
	return disk_batch_wait(&batch, NULL, err);
}

int disk_write_wait(struct disk *disk, uint64_t offset_bytes, void *buffer,
		    size_t length_bytes, bool is_fua, struct err *err)
{
	struct disk_batch batch = DISK_BATCH_INIT;

	disk_batch_write(&batch, disk, offset_bytes, buffer, length_bytes,
			 is_fua);
	return disk_batch_wait(&batch, NULL, err);
}

int disk_flush_wait(struct disk *disk, struct err *err)
{
	struct disk_batch batch = DISK_BATCH_INIT;

	disk_batch_flush(&batch, disk);
	return disk_batch_wait(&batch, NULL, err);
}

int disk_zero_wait(struct disk *disk, uint64_t offset_bytes,
		   uint64_t length_bytes, struct err *err)
{
	struct disk_batch batch = DISK_BATCH_INIT;

	if ((uint64_t)(size_t)length_bytes != length_bytes)
		return err_set(err, -EINVAL,
			       "%s: zero of %" PRIu64 " bytes: too long",
			       disk->name, length_bytes);
	batch_add(&batch, disk,
		  (struct disk_req){ .op = DISK_ZERO,
				     .offset_bytes = offset_bytes,
				     .length_bytes = (size_t)length_bytes });
	return disk_batch_wait(&batch, NULL, err);
}
