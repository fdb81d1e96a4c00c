/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/unit/disk_rig.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <linux/loop.h>

#include "base/cleanup.h"

enum disk_kind disk_kind;

int disk_rig_file(char path[DISK_RIG_PATH_BYTES])
{
	const char *dir = getenv("TMPDIR");
	char name[128];
	int fd;

	(void)snprintf(name, sizeof(name), "%s/test_disk.XXXXXX",
		       dir ? dir : "/tmp");
	fd = mkostemp(name, O_CLOEXEC);
	assert_true(fd >= 0);
	unlink(name);
	assert_int_equal(ftruncate(fd, DISK_BYTES + 100), 0);
	(void)snprintf(path, DISK_RIG_PATH_BYTES, "/proc/self/fd/%d", fd);
	return fd;
}

/* -EBUSY: somebody else was faster. */
static int loop_configure(int control, struct loop_config *config,
			  char path[DISK_RIG_PATH_BYTES])
{
	int fd, r, number = ioctl(control, LOOP_CTL_GET_FREE);

	if (number < 0)
		return -errno;
	(void)snprintf(path, DISK_RIG_PATH_BYTES, "/dev/loop%d", number);
	fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (ioctl(fd, LOOP_CONFIGURE, config) == 0)
		return fd;
	r = -errno;
	close(fd);
	return r;
}

int disk_rig_loop(unsigned int sector_bytes, char path[DISK_RIG_PATH_BYTES])
{
	CLEANUP_FD int control = open("/dev/loop-control", O_RDWR | O_CLOEXEC);
	CLEANUP_FD int file = disk_rig_file(path);
	struct loop_config config = {
		.fd = (uint32_t)file,
		.block_size = sector_bytes,
		.info = { .lo_flags = LO_FLAGS_AUTOCLEAR },
	};
	int tries, r = -EBUSY;

	for (tries = 0; tries < 100 && r == -EBUSY; tries++)
		r = loop_configure(control, &config, path);
	return r < 0 ? -1 : r;
}

static const char *open_aio(struct disk_rig *rig, size_t i)
{
	char path[DISK_RIG_PATH_BYTES];
	struct err err = ERR_INIT;

	rig->fds[i] = disk_kind == KIND_LOOP ? disk_rig_loop(512, path) :
					       disk_rig_file(path);
	if (rig->fds[i] < 0)
		return "no loop devices here";
	rig->disks[i] = disk_aio_open(path, DISK_RDWR, &err);
	if (!rig->disks[i])
		fail_msg("%s", err.text);
	return rig->disks[i]->topology.is_direct ? NULL :
						   "O_DIRECT refused here";
}

int disk_rig_setup(void **state)
{
	struct disk_rig *rig = calloc(1, sizeof(*rig));
	char name[] = "mem0";
	size_t i;

	assert_non_null(rig);
	*state = rig;
	memset(rig->fds, -1, sizeof(rig->fds));
	if (disk_kind == KIND_MEM)
		rig->world = disk_world_new(1);
	for (i = 0; i < DISKS && !rig->why_not; i++) {
		name[3] = (char)('0' + i);
		if (disk_kind == KIND_MEM)
			rig->disks[i] =
				disk_mem_new(rig->world, name, DISK_BYTES);
		else
			rig->why_not = open_aio(rig, i);
	}
	return 0;
}

int disk_rig_teardown(void **state)
{
	struct disk_rig *rig = *state;
	size_t i;

	for (i = 0; i < DISKS; i++) {
		disk_close(rig->disks[i]);
		if (rig->fds[i] >= 0)
			close(rig->fds[i]);
	}
	disk_world_free(rig->world);
	free(rig);
	return 0;
}

struct disk_rig *disk_rig_or_skip(void **state)
{
	struct disk_rig *rig = *state;

	if (rig->why_not) {
		print_message("skipped: %s\n", rig->why_not);
		skip();
	}
	return rig;
}

uint8_t *page_of(int byte)
{
	uint8_t *page = disk_buffer_new(PAGE);

	assert_non_null(page);
	memset(page, byte, PAGE);
	return page;
}

void write_page(struct disk *disk, uint64_t offset, int byte)
{
	CLEANUP_FREE uint8_t *page = page_of(byte);
	struct err err = ERR_INIT;

	assert_ok(disk_write_wait(disk, offset, page, PAGE, false, &err), err);
}

void expect_page(struct disk *disk, uint64_t offset, int byte)
{
	CLEANUP_FREE uint8_t *want = page_of(byte), *page = page_of(0x99);
	struct err err = ERR_INIT;

	assert_ok(disk_read_wait(disk, offset, page, PAGE, &err), err);
	assert_memory_equal(page, want, PAGE);
}

void submit(struct disk *disk, struct disk_req *req)
{
	struct err err = ERR_INIT;

	assert_ok(disk_submit(disk, req, &err), err);
}

void count_done(struct disk_req *req, int result)
{
	struct counter *counter = req->owner;

	counter->calls++;
	counter->result = result;
}

void run_many(struct disk *disk)
{
	static struct disk_req reqs[MANY];
	static struct counter counters[MANY];
	CLEANUP_FREE uint8_t *page = page_of(0x77);
	int i, r, ran = 0;

	memset(counters, 0, sizeof(counters));
	for (i = 0; i < MANY; i++) {
		reqs[i] = (struct disk_req){
			.op = i % 50 == 49 ? DISK_ZERO : DISK_WRITE,
			.offset_bytes = (uint64_t)(i % 250) * PAGE,
			.length_bytes = PAGE,
			.buffer = page,
			.done = count_done,
			.owner = &counters[i],
		};
		submit(disk, &reqs[i]);
		assert_int_equal(counters[i].calls, 0); /* never from submit */
	}
	assert_int_equal(disk->in_flight, MANY);
	while (ran < MANY) {
		r = disk_pump(disk, -1);
		assert_true(r > 0);
		ran += r;
		assert_int_equal(disk->in_flight, MANY - ran);
	}
	for (i = 0; i < MANY; i++) {
		assert_int_equal(counters[i].calls, 1);
		assert_int_equal(counters[i].result, 0);
	}
}
