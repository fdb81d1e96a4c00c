/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Disks: one asynchronous interface, two implementations.
 *
 *	disk_aio.c   block devices and files, libaio + O_DIRECT
 *	disk_mem.c   memory, for tests and simulation (disk_mem.h)
 *
 * A request is owned by the caller from disk_submit() until its done() has
 * been called, exactly once, from disk_pump() of the same thread and never from
 * inside disk_submit(). done() may submit and pump, but not close the disk.
 * Requests complete in any order; only a flush orders: when it completes, every
 * write that had completed before the flush was submitted is durable. A
 * completed write with is_fua is durable by itself.
 *
 * Array writes go through libaio on purpose: the kernel reaps a killed process
 * only after its in-flight libaio writes are over (ARCHITECTURE.md).
 *
 * One thread per disk; nothing here blocks but disk_pump() with a timeout and
 * the helpers marked "waits".
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <qb/qblist.h>

struct err;

enum disk_op {
	DISK_READ,
	DISK_WRITE,
	DISK_FLUSH,
	/*
	 * As DISK_ZERO, and the disk may forget the blocks: no disk leaves anything else
	 * behind, so that mirrors stay equal. Where it cannot forget, zeroes are written.
	 */
	DISK_DISCARD,
	DISK_ZERO,    /* reads as zeroes afterwards; as durable as a plain write */
};

struct disk_req {
	enum disk_op op;
	bool is_fua;           /* DISK_WRITE only */
	uint64_t offset_bytes; /* multiple of the disk's logical block */
	size_t length_bytes;   /* the same, not 0; but 0 for DISK_FLUSH */
	void *buffer;          /* READ, WRITE: aligned to the logical block */

	/* result: 0, or a negative errno; a short transfer is -EIO */
	void (*done)(struct disk_req *req, int result);
	void *owner;               /* for done() */
	struct qb_list_head link;  /* the implementation's, while in flight */
	void *private_data;        /* the implementation's, while in flight */
};

/* What the device says of itself. */
struct disk_topology {
	uint32_t logical_block_bytes;  /* 512 or 4096 */
	uint32_t physical_block_bytes;
	bool has_volatile_cache;       /* a flush is more than a formality */
	bool has_discard;              /* it can forget blocks, and they read as zeroes */
	bool is_direct;                /* false: buffered, O_DIRECT was refused */
	bool is_block_device;
};

/* It changes the disk. */
static inline bool disk_req_changes(const struct disk_req *req)
{
	return req->op == DISK_WRITE || req->op == DISK_ZERO || req->op == DISK_DISCARD;
}

struct disk;

struct disk_ops {
	int (*submit)(struct disk *disk, struct disk_req *req, struct err *err);
	/* NULL, both: it gathers nothing. */
	void (*gather)(struct disk *disk);
	void (*start)(struct disk *disk);
	int (*pump)(struct disk *disk, int timeout_ms);
	int (*poll_fd)(const struct disk *disk);
	void (*close)(struct disk *disk);
};

/* Made by an implementation, which embeds it; read-only for everybody else. */
struct disk {
	const struct disk_ops *ops;
	char *name;          /* as the person gave it; every error names it */
	uint64_t size_bytes; /* multiple of the logical block */
	struct disk_topology topology;
	bool is_read_only;       /* changes are refused: -EROFS */
	unsigned int in_flight;  /* submitted, done() not yet called */
	bool (*may_change)(void *owner); /* disk_guard(); NULL: nobody is asked */
	void *guard;
};

enum disk_mode {
	DISK_RDONLY,
	/*
	 * Read and write, one opener at a time: -EBUSY while a block device is
	 * mounted or a member of a running array (O_EXCL), or while a file is
	 * open here in another process (flock).
	 */
	DISK_RDWR,
	/*
	 * Read and write, and other daemons of the cluster do so, too. Whoever wants the disk
	 * for itself (DISK_RDWR, a mount, the kernel's md) is kept away, or keeps us
	 * away: -EBUSY. For all openers of one machine, by flock(LOCK_SH) on the file or
	 * device; the first of them holds a device's O_EXCL, too.
	 */
	DISK_SHARED,
};

/* Opens a block device or a regular file. NULL and *err on failure. */
struct disk *disk_aio_open(const char *path, enum disk_mode mode,
			   struct err *err);

/*
 * Waits for what is in flight (done() runs as ever, and must not submit more),
 * then frees the disk. NULL is fine.
 */
void disk_close(struct disk *disk);
void disk_close_ptr(struct disk **slot); /* for CLEANUP() */

/*
 * Hands the request over. Bounds and alignment are checked here: -EINVAL (or
 * -EROFS, -ESHUTDOWN), with a sentence, and done() is not called. Any error of the device
 * comes through done(). Requests above the queue depth wait in a list.
 */
int disk_submit(struct disk *disk, struct disk_req *req, struct err *err);

/*
 * From here on may_change(owner) is asked before each write, zero or discard, from any
 * thread of the disk's: -ESHUTDOWN. In disk_submit(), which refuses it; and again just
 * before the kernel gets what has waited meanwhile, for this process may have stood still
 * (D13): that is given back by done(), and was not begun, or a zero was not gone on with.
 */
void disk_guard(struct disk *disk, bool (*may_change)(void *owner), void *owner);

/*
 * For who has a loop: from here on a busy disk may be given requests many at a time, at
 * disk_start(), which is due before the loop waits again, or with disk_pump(). A system call for
 * each costs more than all else that is done for a small one.
 */
void disk_gather(struct disk *disk);
void disk_start(struct disk *disk);

/*
 * Runs done() of what has completed. Waits up to timeout_ms for at least one
 * (-1: without end; 0: does not wait), but not at all if nothing is in flight.
 * Returns how many ran, or a negative errno if the disk's completion mechanism
 * itself is broken.
 */
int disk_pump(struct disk *disk, int timeout_ms);

/*
 * Readable when disk_pump() has work, for an event loop; -1 if there is none.
 * May be readable once too often: then disk_pump(disk, 0) returns 0.
 */
int disk_poll_fd(const struct disk *disk);

uint64_t disk_sectors(const struct disk *disk);

/* Zeroed memory that every disk accepts: 4 KiB aligned. Release with free(). */
void *disk_buffer_new(size_t length_bytes);

/*
 * The same for callers with nothing else to do: each waits. Errors name the
 * disk, the operation and the place. done() of other requests on the disk runs
 * meanwhile.
 */
int disk_read_wait(struct disk *disk, uint64_t offset_bytes, void *buffer,
		   size_t length_bytes, struct err *err);
int disk_write_wait(struct disk *disk, uint64_t offset_bytes, void *buffer,
		    size_t length_bytes, bool is_fua, struct err *err);
int disk_flush_wait(struct disk *disk, struct err *err);
int disk_zero_wait(struct disk *disk, uint64_t offset_bytes,
		   uint64_t length_bytes, struct err *err);

/*
 * A batch: the same, for several requests in parallel, on one or many disks.
 *
 *	struct disk_batch batch = DISK_BATCH_INIT;
 *	disk_batch_write(&batch, disk_a, 8192, page, 4096, false);
 *	disk_batch_write(&batch, disk_b, 8192, page, 4096, false);
 *	r = disk_batch_wait(&batch, NULL, err);
 *
 * Buffers stay the caller's and must live until disk_batch_wait(), which must
 * be called, and which leaves the batch empty and ready for use again.
 */
struct disk_batch {
	struct disk_batch_item *items;
	size_t count;
	size_t capacity;
	bool is_out_of_memory;
};
#define DISK_BATCH_INIT { NULL, 0, 0, false }

void disk_batch_read(struct disk_batch *batch, struct disk *disk,
		     uint64_t offset_bytes, void *buffer, size_t length_bytes);
void disk_batch_write(struct disk_batch *batch, struct disk *disk,
		      uint64_t offset_bytes, void *buffer, size_t length_bytes,
		      bool is_fua);
void disk_batch_flush(struct disk_batch *batch, struct disk *disk);

/*
 * Submits and waits for all, also for the rest when one fails. Returns the
 * error of the first request, in the order they were added, that was refused,
 * else of the first that failed; `failed`, if not NULL, is set to its disk (NULL
 * when there was none, or no memory).
 */
int disk_batch_wait(struct disk_batch *batch, struct disk **failed,
		    struct err *err);

/* For implementations: the guard forbids it, now. */
bool disk_is_forbidden(const struct disk *disk, const struct disk_req *req);
/* For implementations, from pump only: the request is over. Runs done(). */
void disk_complete(struct disk *disk, struct disk_req *req, int result);
