/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What front ends see of an array: blocks that can be read and written. This is the
 * interface; the mirror serves it (mirror/mirror.h), the NBD server uses it.
 *
 * An io is its caller's from volume_submit() until done() was called, exactly once,
 * never from within volume_submit(). Its memory is volume.io_bytes long: what is behind
 * struct volume_io belongs to the volume, so that no I/O allocates. Done in any order; two
 * that overlap take effect one after the other, on all disks alike.
 *
 * A flush, when it is done, has made durable every write that was done before it was
 * submitted, whoever submitted that. A write with VOLUME_FUA is durable when it is done.
 *
 * One thread a volume.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <qb/qblist.h>

enum volume_op {
	VOLUME_READ,
	VOLUME_WRITE,
	VOLUME_FLUSH,
	VOLUME_TRIM, /* a hint; has_trim: reads as zeroes afterwards, and space is given back */
	VOLUME_ZERO, /* reads as zeroes afterwards; as durable as a write */
	VOLUME_OPS,
};

enum volume_flag {
	VOLUME_FUA = 1,     /* WRITE, TRIM, ZERO */
	VOLUME_NO_HOLE = 2, /* ZERO: space stays allocated */
};

struct volume_io {
	enum volume_op op;
	uint32_t flags;
	uint64_t offset_bytes; /* multiples of volume.block_bytes, within its size */
	uint64_t length_bytes; /* the same, not 0; 0 for FLUSH */
	void *buffer;          /* READ, WRITE: 4 KiB aligned */

	/*
	 * 0, or: -EIO (no disk could), -ENOSPC, -EPERM (read only), -ESHUTDOWN (the array
	 * stops, or waits for a quorum and shall not park).
	 */
	void (*done)(struct volume_io *io, int result);
	/*
	 * A disk hangs, and the kernel may still read or write the buffer: is_held was
	 * true in done(). The memory of the io and its buffer stay until this call.
	 */
	void (*released)(struct volume_io *io);
	bool is_held;
	void *owner;               /* for done() */
	struct qb_list_head link;  /* the caller's, when not submitted; else the volume's */
};

struct volume;

struct volume_ops {
	/* -EINVAL: bounds or alignment; done() is not called. */
	int (*submit)(struct volume *volume, struct volume_io *io);
};

/* Made by an implementation, which embeds it; read-only for everybody else. */
struct volume {
	const struct volume_ops *ops;
	uint64_t size_bytes;
	uint32_t block_bytes;     /* 512 or 4096: the largest of the disks */
	uint32_t optimal_bytes;   /* what is read and written best: >= 4096 */
	uint32_t max_bytes;       /* of one READ or WRITE; TRIM and ZERO: any length */
	size_t io_bytes;          /* of each struct volume_io's memory, and its own */
	bool has_trim;            /* else it does nothing */
	bool is_read_only;
};

static inline int volume_submit(struct volume *volume, struct volume_io *io)
{
	return volume->ops->submit(volume, io);
}
