/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Opening a libaio disk: a block device or a regular file, nothing else.
 *
 * Two promises are made here. To other programs: a disk opened for writing is
 * ours alone, or the cluster's, by O_EXCL on a device (which the kernel honours for
 * mounts and arrays) and by flock on a file. To the engine: its size and blocks are what
 * O_DIRECT really needs, or the page cache does it and topology says so.
 */
#include "bitmap/disk_aio.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <linux/fs.h>
#include <linux/magic.h>

#include "base/arith.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "base/log.h"

LOG_SUBSYSTEM(disk);

enum {
	SECTOR_BYTES = 512,
	PAGE_BYTES = 4096,
};

/* Opening */

static int check_type(const char *path, mode_t mode, struct err *err)
{
	const char *what = "a special file";

	if (S_ISBLK(mode) || S_ISREG(mode))
		return 0;
	if (S_ISDIR(mode))
		what = "a directory";
	else if (S_ISCHR(mode))
		what = "a character device";
	else if (S_ISSOCK(mode))
		what = "a socket";
	else if (S_ISFIFO(mode))
		what = "a pipe";
	return err_set(err, -EOPNOTSUPP,
		       "%s: is %s, not a block device or a regular file", path,
		       what);
}

/* ", md0" for each device that is built upon it, as sysfs has them; "" for none. */
static void list_holders(dev_t dev, char *to, size_t size)
{
	const struct dirent *e;
	char path[128];
	size_t at = 0;
	DIR *dir;

	to[0] = '\0';
	(void)snprintf(path, sizeof(path), "/sys/dev/block/%u:%u/holders", major(dev), minor(dev));
	dir = opendir(path);
	while (dir && at < size && (e = readdir(dir)) != NULL)
		if (e->d_name[0] != '.')
			at += (size_t)snprintf(to + at, size - at, "%s%s", at ? ", " : "",
					       e->d_name);
	if (dir)
		closedir(dir);
}

static int in_use(const char *path, dev_t dev, struct err *err)
{
	char holders[128];

	list_holders(dev, holders, sizeof(holders));
	if (!holders[0])
		return err_set(err, -EBUSY,
			       "%s: in use (mounted, or a member of a running array): stop that first",
			       path);
	return err_set(err, -EBUSY,
		       "%s: in use, by %s of this host's kernel: stop that first", path, holders);
}

static int open_direct(struct aio_disk *aio, int flags)
{
	const char *path = aio->disk.name;

	aio->fd = open(path, flags | O_DIRECT);
	aio->disk.topology.is_direct = aio->fd >= 0;
	if (aio->fd < 0 && errno == EINVAL) {
		aio->fd = open(path, flags);
		if (aio->fd >= 0)
			log_warning("MDC1001",
				    "%s: its file system refuses O_DIRECT; using the page cache",
				    path);
	}
	return aio->fd < 0 ? -errno : 0;
}

/* A file has no O_EXCL of its own; those who use it through us keep this. */
static int lock_file(const struct aio_disk *aio, int how, struct err *err)
{
	if (flock(aio->fd, how | LOCK_NB) == 0)
		return 0;
	if (errno == EWOULDBLOCK)
		return err_set(err, -EBUSY,
			       how == LOCK_SH ?
			       "%s: in use (another process has it open as a disk, for itself): stop that first" :
			       "%s: in use (another process has it open as a disk, maybe an mdclusterd that runs its array): stop that first",
			       aio->disk.name);
	return err_set(err, -errno, "%s: flock: %s", aio->disk.name,
		       strerror(errno));
}

/*
 * O_EXCL is one opener's, and a daemon opens each device more than once; several daemons
 * of one machine may share it, too, in tests. So one of all of them has the claim, and
 * the others see by its flock that it is one of us who has it. A claim that
 * goes with its owner is not taken over: within a daemon who opened first closes last.
 */
static int share_device(struct aio_disk *aio, struct err *err)
{
	const char *path = aio->disk.name;
	struct stat st;
	int r = lock_file(aio, LOCK_SH, err);

	if (r < 0)
		return r;
	aio->claim_fd = open(path, O_RDONLY | O_EXCL | O_CLOEXEC);
	if (aio->claim_fd >= 0)
		return 0;
	if (errno != EBUSY)
		return err_set(err, -errno, "%s: cannot claim it: %s", path, strerror(errno));
	if (flock(aio->fd, LOCK_EX | LOCK_NB) == 0)
		return in_use(path, fstat(aio->fd, &st) == 0 ? st.st_rdev : 0, err);
	return lock_file(aio, LOCK_SH, err); /* the try has given it up */
}

static int keep_others_away(struct aio_disk *aio, enum disk_mode mode, mode_t type,
			    struct err *err)
{
	if (S_ISREG(type) && mode == DISK_RDWR)
		return lock_file(aio, LOCK_EX, err);
	if (S_ISREG(type) && mode == DISK_SHARED)
		return lock_file(aio, LOCK_SH, err);
	return mode == DISK_SHARED ? share_device(aio, err) : 0;
}

/*
 * The type is looked at before, since opening some things has effects, and
 * since O_EXCL is for block devices; and again after, as it may have changed.
 */
static int open_fd(struct aio_disk *aio, enum disk_mode mode, struct stat *st,
		   struct err *err)
{
	int flags = O_CLOEXEC | (mode == DISK_RDONLY ? O_RDONLY : O_RDWR);
	const char *path = aio->disk.name;
	struct stat before;
	int r;

	if (stat(path, &before) < 0)
		return err_set(err, -errno, "%s: %s", path, strerror(errno));
	r = check_type(path, before.st_mode, err);
	if (r < 0)
		return r;
	if (S_ISBLK(before.st_mode) && mode == DISK_RDWR)
		flags |= O_EXCL;
	r = open_direct(aio, flags);
	if (r == -EBUSY)
		return in_use(path, before.st_rdev, err);
	if (r < 0)
		return err_set(err, r, "%s: cannot open it: %s", path,
			       strerror(-r));
	if (fstat(aio->fd, st) < 0 || st->st_ino != before.st_ino ||
	    st->st_dev != before.st_dev)
		return err_set(err, -EAGAIN, "%s: was replaced while it was opened",
			       path);
	return keep_others_away(aio, mode, st->st_mode, err);
}

/* What the device says of itself */

/* The first word of the device's queue/<field>; a partition has its parent's. */
static bool read_queue_field(dev_t dev, const char *field, char value[64])
{
	static const char *const where[] = { "queue", "../queue" };
	char path[128];
	bool is_read = false;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(where) && !is_read; i++) {
		FILE *file;

		(void)snprintf(path, sizeof(path), "/sys/dev/block/%u:%u/%s/%s",
			       major(dev), minor(dev), where[i], field);
		file = fopen(path, "re");
		if (!file)
			continue;
		is_read = fgets(value, 64, file) != NULL;
		(void)fclose(file);
	}
	return is_read;
}

static int probe_device(struct aio_disk *aio, const struct stat *st,
			struct err *err)
{
	struct disk_topology *topology = &aio->disk.topology;
	unsigned int physical = 0;
	int logical = 0;
	char value[64];

	if (ioctl(aio->fd, BLKSSZGET, &logical) < 0 ||
	    ioctl(aio->fd, BLKPBSZGET, &physical) < 0 ||
	    ioctl(aio->fd, BLKGETSIZE64, &aio->disk.size_bytes) < 0)
		return err_set(err, -errno, "%s: asking for its size: %s",
			       aio->disk.name, strerror(errno));
	topology->is_block_device = true;
	topology->logical_block_bytes = (uint32_t)logical;
	topology->physical_block_bytes = physical;
	/* not knowing, assume that a flush is needed */
	topology->has_volatile_cache =
		!read_queue_field(st->st_rdev, "write_cache", value) ||
		strncmp(value, "write back", strlen("write back")) == 0;
	/* what forgets, and what promises zeroes behind it */
	topology->has_discard =
		read_queue_field(st->st_rdev, "discard_max_bytes", value) &&
		strtoull(value, NULL, 10) > 0 &&
		read_queue_field(st->st_rdev, "write_zeroes_max_bytes", value) &&
		strtoull(value, NULL, 10) > 0;
	return 0;
}

static uint32_t statx_dio_align(int fd)
{
#ifdef STATX_DIOALIGN
	struct statx stx;

	if (statx(fd, "", AT_EMPTY_PATH, STATX_DIOALIGN, &stx) == 0 &&
	    (stx.stx_mask & STATX_DIOALIGN))
		return stx.stx_dio_offset_align;
#else
	(void)fd;
#endif
	return 0;
}

/*
 * The file system's own word where it gives one (Linux 6.1), since some accept
 * what is misaligned and quietly buffer it. Otherwise one tries: a file on a
 * 4 KiB-sector device refuses to read 512 bytes.
 */
static uint32_t file_block_bytes(int fd)
{
	uint32_t align = statx_dio_align(fd);
	CLEANUP_FREE void *buffer = NULL;

	if (align != 0)
		return (uint32_t)max_u64(align, SECTOR_BYTES);
	buffer = disk_buffer_new(PAGE_BYTES);
	if (buffer && pread(fd, buffer, SECTOR_BYTES, 0) < 0 && errno == EINVAL)
		return PAGE_BYTES;
	return SECTOR_BYTES;
}

/* FUSE does, to direct writes that are asynchronous (measured on Linux 6.18). */
static bool forgets_fua(int fd)
{
	struct statfs fs;

	return fstatfs(fd, &fs) == 0 && fs.f_type == FUSE_SUPER_MAGIC;
}

static void probe_file(struct aio_disk *aio, const struct stat *st)
{
	struct disk_topology *topology = &aio->disk.topology;

	aio->forgets_fua = forgets_fua(aio->fd);
	topology->logical_block_bytes =
		topology->is_direct ? file_block_bytes(aio->fd) : SECTOR_BYTES;
	topology->physical_block_bytes = PAGE_BYTES;
	topology->has_volatile_cache = true;
	topology->has_discard = true;
	aio->disk.size_bytes = (uint64_t)st->st_size;
}

static int probe(struct aio_disk *aio, const struct stat *st, struct err *err)
{
	struct disk *disk = &aio->disk;
	uint32_t block;
	int r = 0;

	if (S_ISBLK(st->st_mode))
		r = probe_device(aio, st, err);
	else
		probe_file(aio, st);
	if (r < 0)
		return r;
	block = disk->topology.logical_block_bytes;
	if (block != 512 && block != 4096)
		return err_set(err, -EOPNOTSUPP,
			       "%s: logical blocks of %u bytes (512 or 4096 are supported)",
			       disk->name, block);
	disk->size_bytes = round_down(disk->size_bytes, block);
	if (disk->size_bytes == 0)
		return err_set(err, -ENOSPC, "%s: has no room for a single block",
			       disk->name);
	return 0;
}

int aio_open(struct aio_disk *aio, enum disk_mode mode, struct err *err)
{
	struct stat st;
	int r = open_fd(aio, mode, &st, err);

	return r < 0 ? r : probe(aio, &st, err);
}
