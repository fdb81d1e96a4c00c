/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/vm/cached_disk.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/arith.h"
#include "base/cleanup.h"
#include "base/err.h"

static const uint8_t zeroes[CACHED_PAGE_BYTES];

uint64_t cached_random(uint64_t *state)
{
	uint64_t z = (*state += 0x9e3779b97f4a7c15);

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
	z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
	return z ^ (z >> 31);
}

/* --- the medium ----------------------------------------------------------------------- */

static int read_all(int fd, void *to, size_t n, uint64_t at)
{
	uint8_t *p = to;

	while (n > 0) {
		ssize_t r = pread(fd, p, n, (off_t)at);

		if (r <= 0)
			return r < 0 ? -errno : -EIO;
		p += r;
		at += (uint64_t)r;
		n -= (size_t)r;
	}
	return 0;
}

static int write_all(int fd, const void *from, size_t n, uint64_t at)
{
	const uint8_t *p = from;

	while (n > 0) {
		ssize_t r = pwrite(fd, p, n, (off_t)at);

		if (r <= 0)
			return r < 0 ? -errno : -EIO;
		p += r;
		at += (uint64_t)r;
		n -= (size_t)r;
	}
	return 0;
}

/* --- the cache ------------------------------------------------------------------------ */

static void forget(struct cached_disk *d, uint64_t page)
{
	if (!d->pages[page])
		return;
	free(d->pages[page]);
	d->pages[page] = NULL;
	d->dirty_pages--;
}

static void forget_all(struct cached_disk *d)
{
	for (uint64_t i = 0; i < d->page_count && d->dirty_pages > 0; i++)
		forget(d, i);
}

static int write_back(struct cached_disk *d, uint64_t page)
{
	int r = write_all(d->fd, d->pages[page], CACHED_PAGE_BYTES, page * CACHED_PAGE_BYTES);

	if (r == 0)
		forget(d, page);
	return r;
}

int cached_disk_flush(struct cached_disk *d)
{
	int r = 0;

	for (uint64_t i = 0; i < d->page_count && d->dirty_pages > 0 && r == 0; i++)
		if (d->pages[i])
			r = write_back(d, i);
	return r;
}

static int get_page(struct cached_disk *d, uint64_t page)
{
	uint8_t *bytes;
	int r;

	if (d->pages[page])
		return 0;
	bytes = malloc(CACHED_PAGE_BYTES);
	if (!bytes)
		return -ENOMEM;
	r = read_all(d->fd, bytes, CACHED_PAGE_BYTES, page * CACHED_PAGE_BYTES);
	if (r < 0) {
		free(bytes);
		return r;
	}
	d->pages[page] = bytes;
	d->dirty_pages++;
	return 0;
}

/* One page's share of an io, whose bytes begin at `buffer`. */
static int step(struct cached_disk *d, const struct volume_io *io, uint8_t *buffer,
		uint64_t at, size_t n)
{
	uint64_t page = at / CACHED_PAGE_BYTES;
	size_t within = at % CACHED_PAGE_BYTES;
	int r;

	if (io->op == VOLUME_READ) {
		if (!d->pages[page])
			return read_all(d->fd, buffer, n, at);
		memcpy(buffer, d->pages[page] + within, n);
		return 0;
	}
	r = get_page(d, page);
	if (r < 0)
		return r;
	memcpy(d->pages[page] + within, io->op == VOLUME_WRITE ? buffer : zeroes, n);
	if (!(io->flags & VOLUME_FUA))
		return 0;
	/* what else the page holds is no more durable than before */
	r = write_all(d->fd, d->pages[page] + within, n, at);
	if (r == 0 && n == CACHED_PAGE_BYTES)
		forget(d, page);
	return r;
}

static int carry_out(struct cached_disk *d, const struct volume_io *io)
{
	uint64_t at = io->offset_bytes, end = at + io->length_bytes;
	uint8_t *buffer = io->buffer;
	int r = 0;

	if (d->is_failing)
		return -EIO;
	if (io->op == VOLUME_FLUSH)
		return cached_disk_flush(d);
	while (at < end && r == 0) {
		uint64_t next = (at / CACHED_PAGE_BYTES + 1) * CACHED_PAGE_BYTES;
		size_t n = (size_t)((next < end ? next : end) - at);

		r = step(d, io, buffer, at, n);
		if (buffer)
			buffer += n;
		at += n;
	}
	return r;
}

/* --- ios ------------------------------------------------------------------------------ */

static void end_queued(void *owner)
{
	struct cached_disk *d = owner;

	while (!qb_list_empty(&d->queue)) {
		struct volume_io *io = qb_list_first_entry(&d->queue, struct volume_io, link);

		qb_list_del(&io->link);
		io->done(io, carry_out(d, io));
	}
}

static int submit(struct volume *volume, struct volume_io *io)
{
	struct cached_disk *d = container_of(volume, struct cached_disk, volume);

	if (io->offset_bytes > volume->size_bytes ||
	    io->length_bytes > volume->size_bytes - io->offset_bytes ||
	    io->offset_bytes % volume->block_bytes || io->length_bytes % volume->block_bytes)
		return -EINVAL;
	if (d->is_hanging) {
		qb_list_add_tail(&io->link, &d->hanging);
		return 0;
	}
	qb_list_add_tail(&io->link, &d->queue);
	loop_soon(d->loop, &d->job);
	return 0;
}

void cached_disk_go(struct cached_disk *d)
{
	d->is_hanging = d->is_failing = false;
	while (!qb_list_empty(&d->hanging)) {
		struct volume_io *io = qb_list_first_entry(&d->hanging, struct volume_io, link);

		qb_list_del(&io->link);
		qb_list_add_tail(&io->link, &d->queue);
		loop_soon(d->loop, &d->job);
	}
}

/* --- power cuts ----------------------------------------------------------------------- */

/* Sectors of a page that stay are written to fd, which has what is durable. */
static int cut_page(struct cached_disk *d, uint64_t page, int fd, uint64_t *random,
		    unsigned int keep_percent)
{
	int r = 0;

	for (size_t at = 0; at < CACHED_PAGE_BYTES && r == 0; at += CACHED_SECTOR_BYTES)
		if (cached_random(random) % 100 < keep_percent)
			r = write_all(fd, d->pages[page] + at, CACHED_SECTOR_BYTES,
				      page * CACHED_PAGE_BYTES + at);
	return r;
}

static int cut_into(struct cached_disk *d, int fd, uint64_t *random,
		    unsigned int keep_percent, struct err *err)
{
	for (uint64_t i = 0; i < d->page_count; i++) {
		int r = d->pages[i] ? cut_page(d, i, fd, random, keep_percent) : 0;

		if (r < 0)
			return err_set(err, r, "disk %s: cannot write: %s", d->name, strerror(-r));
	}
	return 0;
}

int cached_disk_cut(struct cached_disk *d, uint64_t *random, unsigned int keep_percent,
		    struct err *err)
{
	int r = cut_into(d, d->fd, random, keep_percent, err);

	forget_all(d);
	return r;
}

/* All of `from` that is not a hole. */
static int copy_file(int from, int to, uint64_t size_bytes)
{
	CLEANUP_FREE uint8_t *buffer = malloc(1 << 20);
	off_t at = 0, hole;
	int r = buffer ? 0 : -ENOMEM;

	if (r == 0 && ftruncate(to, (off_t)size_bytes) < 0)
		r = -errno;
	while (r == 0 && (at = lseek(from, at, SEEK_DATA)) >= 0 && (uint64_t)at < size_bytes) {
		hole = lseek(from, at, SEEK_HOLE);
		for (; at < hole && (uint64_t)at < size_bytes && r == 0;) {
			size_t n = (size_t)(hole - at) < (1 << 20) ? (size_t)(hole - at) : 1 << 20;

			if (n > size_bytes - (uint64_t)at)
				n = size_bytes - (uint64_t)at;
			r = read_all(from, buffer, n, (uint64_t)at);
			if (r == 0)
				r = write_all(to, buffer, n, (uint64_t)at);
			at += (off_t)n;
		}
	}
	return r;
}

int cached_disk_save(struct cached_disk *d, const char *path, uint64_t *random,
		     unsigned int keep_percent, struct err *err)
{
	CLEANUP_FD int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	int r;

	if (fd < 0)
		return err_set(err, -errno, "%s: %s", path, strerror(errno));
	r = copy_file(d->fd, fd, d->volume.size_bytes);
	if (r < 0)
		return err_set(err, r, "%s: %s", path, strerror(-r));
	return cut_into(d, fd, random, keep_percent, err);
}

int cached_disk_load(struct cached_disk *d, const char *path, struct err *err)
{
	CLEANUP_FD int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat st;
	int r;

	if (fd < 0 || fstat(fd, &st) < 0)
		return err_set(err, -errno, "%s: %s", path, strerror(errno));
	if ((uint64_t)st.st_size != d->volume.size_bytes)
		return err_set(err, -EINVAL, "%s: not as large as disk %s", path, d->name);
	forget_all(d);
	r = ftruncate(d->fd, 0) < 0 ? -errno : copy_file(fd, d->fd, d->volume.size_bytes);
	if (r < 0)
		return err_set(err, r, "%s: %s", path, strerror(-r));
	return 0;
}

/* --- its life --------------------------------------------------------------------------- */

static int open_medium(struct cached_disk *d, const char *name, const char *path,
		       struct err *err)
{
	struct stat st;

	d->name = strdup(name);
	d->path = strdup(path);
	d->fd = open(path, O_RDWR | O_CLOEXEC);
	if (d->fd < 0 || fstat(d->fd, &st) < 0)
		return err_set(err, -errno, "%s: %s", path, strerror(errno));
	d->page_count = (uint64_t)st.st_size / CACHED_PAGE_BYTES;
	d->pages = calloc(d->page_count + 1, sizeof(*d->pages));
	if (!d->pages || !d->name || !d->path)
		return err_set(err, -ENOMEM, "%s: no memory", path);
	return 0;
}

struct cached_disk *cached_disk_open(struct loop *loop, const char *name, const char *path,
				     struct err *err)
{
	static const struct volume_ops ops = { .submit = submit };
	struct cached_disk *d = calloc(1, sizeof(*d));

	if (!d) {
		err_set(err, -ENOMEM, "%s: no memory", path);
		return NULL;
	}
	d->loop = loop;
	QB_INIT_LIST_HEAD(&d->queue);
	QB_INIT_LIST_HEAD(&d->hanging);
	d->job = (struct loop_job){ .fn = end_queued, .owner = d };
	if (open_medium(d, name, path, err) < 0) {
		cached_disk_free(d);
		return NULL;
	}
	d->volume = (struct volume){
		.ops = &ops,
		.size_bytes = d->page_count * CACHED_PAGE_BYTES,
		.block_bytes = CACHED_SECTOR_BYTES,
		.optimal_bytes = CACHED_PAGE_BYTES,
		.max_bytes = 32 << 20,
		.io_bytes = sizeof(struct volume_io),
	};
	return d;
}

void cached_disk_free(struct cached_disk *d)
{
	if (!d)
		return;
	if (d->pages)
		forget_all(d);
	loop_soon_cancel(&d->job);
	free(d->pages);
	if (d->fd >= 0)
		close(d->fd);
	free(d->name);
	free(d->path);
	free(d);
}
