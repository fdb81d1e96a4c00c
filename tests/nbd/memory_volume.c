/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/nbd/memory_volume.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/arith.h"
#include "base/err.h"

static bool overlaps(const struct volume_io *io, uint64_t low, uint64_t high)
{
	return io->offset_bytes < high && low < io->offset_bytes + io->length_bytes;
}

static int carry_out(struct memory_volume *v, struct volume_io *io)
{
	uint8_t *at = v->bytes + io->offset_bytes;

	if (overlaps(io, v->bad_low, v->bad_high))
		return -EIO;
	if (v->is_null)
		return 0;
	switch (io->op) {
	case VOLUME_READ:
		memcpy(io->buffer, at, io->length_bytes);
		break;
	case VOLUME_WRITE:
		memcpy(at, io->buffer, io->length_bytes);
		break;
	case VOLUME_TRIM:
	case VOLUME_ZERO:
		memset(at, 0, io->length_bytes);
		break;
	case VOLUME_FLUSH:
	case VOLUME_OPS:
		break;
	}
	return 0;
}

static void end(struct memory_volume *v, struct volume_io *io)
{
	io->done(io, carry_out(v, io));
}

static void end_queued(void *owner)
{
	struct memory_volume *v = owner;

	while (!qb_list_empty(&v->queue)) {
		struct volume_io *io = qb_list_first_entry(&v->queue, struct volume_io, link);

		qb_list_del(&io->link);
		end(v, io);
	}
}

/* What the volume keeps behind an io. */
struct memory_io {
	struct volume_io io;
	struct memory_volume *volume;
};

static void end_late(void *owner)
{
	struct memory_io *at = owner;

	end(at->volume, &at->io);
}

static void go(struct memory_volume *v, struct volume_io *io)
{
	struct err err = ERR_INIT;

	if (v->delay_ms > 0) {
		if (loop_timer_start(v->loop, v->delay_ms, end_late, io, &err))
			return;
		abort();
	}
	qb_list_add_tail(&io->link, &v->queue);
	loop_soon(v->loop, &v->job);
}

static int submit(struct volume *volume, struct volume_io *io)
{
	struct memory_volume *v = container_of(volume, struct memory_volume, volume);

	if (io->offset_bytes > volume->size_bytes ||
	    io->length_bytes > volume->size_bytes - io->offset_bytes ||
	    io->offset_bytes % volume->block_bytes || io->length_bytes % volume->block_bytes)
		return -EINVAL;
	container_of(io, struct memory_io, io)->volume = v;
	if (overlaps(io, v->park_low, v->park_high))
		qb_list_add_tail(&io->link, &v->parked);
	else
		go(v, io);
	return 0;
}

void memory_volume_unpark(struct memory_volume *v)
{
	v->park_low = v->park_high = 0;
	while (!qb_list_empty(&v->parked)) {
		struct volume_io *io = qb_list_first_entry(&v->parked, struct volume_io, link);

		qb_list_del(&io->link);
		go(v, io);
	}
}

int memory_volume_init(struct memory_volume *v, struct loop *loop, uint64_t size_bytes,
		       uint32_t block_bytes, struct err *err)
{
	static const struct volume_ops ops = { .submit = submit };

	*v = (struct memory_volume){ .loop = loop };
	v->volume = (struct volume){
		.ops = &ops,
		.size_bytes = size_bytes,
		.block_bytes = block_bytes,
		.optimal_bytes = 64 << 10,
		.max_bytes = 32 << 20,
		.io_bytes = sizeof(struct memory_io),
		.has_trim = true,
	};
	v->job = (struct loop_job){ .fn = end_queued, .owner = v };
	QB_INIT_LIST_HEAD(&v->queue);
	QB_INIT_LIST_HEAD(&v->parked);
	v->bytes = mmap(NULL, size_bytes, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (v->bytes == MAP_FAILED)
		return err_set(err, -errno, "no memory for a volume of it: %s",
			       strerror(errno));
	return 0;
}

void memory_volume_fini(struct memory_volume *v)
{
	loop_soon_cancel(&v->job);
	munmap(v->bytes, v->volume.size_bytes);
}
