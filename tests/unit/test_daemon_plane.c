/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The daemon's data plane, on files and a loop of its own: disks that come and go (D10). */
#include "tests/unit/help.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/loop.h"
#include "bitmap/bits.h"
#include "bitmap/md_sb.h"
#include "bitmap/slot.h"
#include "mdclusterd/array/plane.h"
#include "mdclusterd/daemon/cluster.h"
#include "mdclusterd/daemon/plane_private.h"

enum {
	DISKS = 2,
	FILES = 3,               /* these, and one more */
	BITMAP_BYTES = 8192,
	DATA_SECTORS = 1024,
	MEMBER_SECTORS = 4096,
	FILE_BYTES = (DATA_SECTORS + MEMBER_SECTORS) * 512,
	CHUNK = 65536,
	MARKED = 3,              /* the chunk whose bit is set */
};

struct scene {
	struct loop *loop;
	struct plane_work *work;
	struct lease lease;
	struct metadata_view view;
	struct bitmap_slot slot;
	char paths[FILES][64];
	bool is_done;
	int result;
	struct plane_request req;
};

/* --- files -------------------------------------------------------------------------------- */

static void put(const char *path, uint64_t at, const void *bytes, size_t length)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(pwrite(fd, bytes, length, (off_t)at), length);
	close(fd);
}

static void fill(const char *path, int byte)
{
	uint8_t *bytes = malloc(FILE_BYTES);

	assert_non_null(bytes);
	memset(bytes, byte, FILE_BYTES);
	put(path, 0, bytes, FILE_BYTES);
	free(bytes);
}

static void get(const struct scene *s, int disk, uint64_t at, void *to, size_t length)
{
	int fd = open(s->paths[disk], O_RDONLY | O_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(pread(fd, to, length, (off_t)at), length);
	close(fd);
}

static void expect_data(const struct scene *s, int disk, uint64_t low, uint64_t length, int byte)
{
	uint8_t *bytes = malloc(length);

	assert_non_null(bytes);
	get(s, disk, DATA_SECTORS * 512 + low, bytes, length);
	for (uint64_t i = 0; i < length; i++)
		assert_int_equal(bytes[i], byte);
	free(bytes);
}

static void expect_slot(const struct scene *s, int disk)
{
	uint8_t bits[8];

	get(s, disk, BITMAP_BYTES + BITMAP_SB_BYTES, bits, sizeof(bits));
	assert_true(bits_test(bits, MARKED));
}

static void init_slot(struct scene *s)
{
	struct err err = ERR_INIT;

	assert_ok(bitmap_geometry_init(&s->view.geo, MEMBER_SECTORS, CHUNK, 1, 0, &err), err);
	assert_ok(bitmap_slot_init(&s->slot, &s->view.geo, 0, &err), err);
	s->slot.sb = (struct bitmap_sb){ .version = BITMAP_VERSION_CLUSTERED,
					 .sync_size = s->view.geo.sync_size,
					 .chunksize = CHUNK,
					 .daemon_sleep = 5,
					 .nodes = 1,
					 .cluster_name = "alpha" };
	bits_set_range(s->slot.bits, MARKED, MARKED);
	bitmap_sb_emit(&s->slot.sb, s->slot.image);
	put(s->paths[0], BITMAP_BYTES, s->slot.image, s->view.geo.slot_bytes);
}

static void init_files(struct scene *s)
{
	for (int i = 0; i < FILES; i++) {
		int fd;

		snprintf(s->paths[i], sizeof(s->paths[i]), "test_daemon_plane.XXXXXX");
		fd = mkstemp(s->paths[i]);
		assert_true(fd >= 0);
		close(fd);
		fill(s->paths[i], i == 0 ? 1 : 0xee);
	}
}

static void init_view(struct scene *s)
{
	s->view.level = MD_LEVEL_RAID1;
	s->view.raid_disks = s->view.disk_count = DISKS;
	s->view.member_sectors = s->view.array_sectors = MEMBER_SECTORS;
	s->view.degraded = 1;
	for (uint32_t i = 0; i < DISKS; i++) {
		struct metadata_disk *d = &s->view.disks[i];

		snprintf(d->path, sizeof(d->path), "%s", s->paths[i]);
		d->state = i == 0 ? METADATA_DISK_IN_SYNC : METADATA_DISK_REBUILD;
		d->role = d->dev_number = i;
		d->data_offset = DATA_SECTORS;
		d->bitmap_start_bytes = BITMAP_BYTES;
	}
}

/* --- requests ------------------------------------------------------------------------------ */

static void on_done(void *owner, struct plane_request *req, int result)
{
	struct scene *s = owner;

	assert_ptr_equal(req, &s->req);
	s->is_done = true;
	s->result = result;
	loop_stop(s->loop);
}

static void on_disk_failed(void *owner, uint32_t role, const struct err *why)
{
	(void)owner;
	fail_msg("role %u: %s", role, why->text);
}

static int ask(struct scene *s, struct plane_request req)
{
	s->req = req;
	s->req.view = &s->view;
	s->is_done = false;
	plane_work_request(s->work, &s->req);
	while (!s->is_done)
		loop_run(s->loop);
	return s->result;
}

static int set_disk(struct scene *s, enum metadata_disk_state state)
{
	s->view.disks[1].state = state;
	s->view.degraded = state != METADATA_DISK_IN_SYNC;
	return ask(s, (struct plane_request){ .op = PLANE_SET_DISK, .role = 1 });
}

static int sync_all(struct scene *s, enum plane_sync_kind kind)
{
	return ask(s, (struct plane_request){ .op = PLANE_SYNC, .kind = kind,
					      .high = MEMBER_SECTORS });
}

/* --- life ---------------------------------------------------------------------------------- */

static const struct plane_work_config config = { .name = "web", .lease_ms = 1000 };

static struct scene *begin(void)
{
	static const struct plane_work_ops ops = { .done = on_done,
						   .disk_failed = on_disk_failed };
	struct scene *s = calloc(1, sizeof(*s));
	struct err err = ERR_INIT;

	assert_non_null(s);
	init_files(s);
	init_view(s);
	init_slot(s);
	atomic_store(&s->lease.until_ns, UINT64_MAX);
	s->loop = loop_new(&err);
	assert_non_null(s->loop);
	s->work = plane_work_new(s->loop, &config, &s->lease, &ops, s);
	assert_non_null(s->work);
	assert_int_equal(ask(s, (struct plane_request){ .op = PLANE_START }), 0);
	assert_int_equal(s->req.needed_chunks, 1);
	plane_work_set_gate(s->work, true);
	return s;
}

static void end(struct scene *s)
{
	assert_int_equal(ask(s, (struct plane_request){ .op = PLANE_STOP }), 0);
	plane_work_free(s->work);
	loop_free(s->loop);
	bitmap_slot_fini(&s->slot);
	for (int i = 0; i < FILES; i++)
		unlink(s->paths[i]);
	free(s);
}

/* --- stories ------------------------------------------------------------------------------- */

static void a_disk_that_comes_is_rebuilt_and_then_in_sync(void **state)
{
	struct scene *s = begin();

	(void)state;
	expect_data(s, 1, 0, CHUNK, 0xee);
	assert_int_equal(set_disk(s, METADATA_DISK_REBUILD), 0);
	assert_int_equal(s->req.needed_chunks, 1);
	expect_slot(s, 1);
	assert_int_equal(sync_all(s, PLANE_REBUILD), 0);
	assert_int_equal(s->req.position, MEMBER_SECTORS);
	assert_int_equal(s->req.copied_sectors, MEMBER_SECTORS);
	assert_int_equal(s->req.needed_chunks, 1);
	expect_data(s, 1, 0, MEMBER_SECTORS * 512, 1);
	assert_int_equal(set_disk(s, METADATA_DISK_IN_SYNC), 0);
	assert_int_equal(sync_all(s, PLANE_REBUILD), 0);
	assert_int_equal(s->req.copied_sectors, 0);
	end(s);
}

/* What was resynced without it is needed again, and nothing else is written to it. */
static void a_disk_that_comes_back_gets_what_the_bits_cover(void **state)
{
	struct scene *s = begin();

	(void)state;
	assert_int_equal(sync_all(s, PLANE_COPY), 0);
	assert_int_equal(s->req.needed_chunks, 0);
	s->view.disks[1].is_by_bitmap = true;
	assert_int_equal(set_disk(s, METADATA_DISK_REBUILD), 0);
	assert_int_equal(s->req.needed_chunks, 1);
	assert_int_equal(sync_all(s, PLANE_COPY), 0);
	assert_int_equal(s->req.needed_chunks, 0);
	expect_data(s, 1, MARKED * CHUNK, CHUNK, 1);
	expect_data(s, 1, (MARKED + 1) * CHUNK, CHUNK, 0xee);
	expect_data(s, 1, 0, MARKED * CHUNK, 0xee);
	expect_slot(s, 1); /* degraded: it stays */
	end(s);
}

/* It can be asked for again: nothing of it is left. */
static void one_that_cannot_come_is_not_there(void **state)
{
	struct scene *s = begin();

	(void)state;
	snprintf(s->view.disks[1].path, sizeof(s->view.disks[1].path), "no such disk");
	assert_int_equal(set_disk(s, METADATA_DISK_REBUILD), -ENOENT);
	assert_non_null(strstr(s->req.err.text, "no such disk"));
	snprintf(s->view.disks[1].path, sizeof(s->view.disks[1].path), "%s", s->paths[1]);
	s->view.disks[1].bitmap_start_bytes = 2 * FILE_BYTES; /* it does not take its slot */
	assert_true(set_disk(s, METADATA_DISK_REBUILD) < 0);
	assert_non_null(strstr(s->req.err.text, "write of the bitmap"));
	s->view.disks[1].bitmap_start_bytes = BITMAP_BYTES;
	assert_int_equal(set_disk(s, METADATA_DISK_REBUILD), 0);
	assert_int_equal(sync_all(s, PLANE_REBUILD), 0);
	expect_data(s, 1, 0, MEMBER_SECTORS * 512, 1);
	end(s);
}

static void one_that_went_amid_its_rebuild_can_be_replaced(void **state)
{
	struct scene *s = begin();

	(void)state;
	assert_int_equal(set_disk(s, METADATA_DISK_REBUILD), 0);
	assert_int_equal(set_disk(s, METADATA_DISK_MISSING), 0);
	plane_work_failure_known(s->work, 1);
	assert_int_equal(sync_all(s, PLANE_REBUILD), 0);
	assert_int_equal(s->req.copied_sectors, 0);
	expect_data(s, 1, 0, CHUNK, 0xee);
	assert_int_equal(set_disk(s, METADATA_DISK_REBUILD), 0);
	assert_int_equal(sync_all(s, PLANE_REBUILD), 0);
	expect_data(s, 1, 0, MEMBER_SECTORS * 512, 1);
	end(s);
}

static void use_path(struct scene *s, const char *path)
{
	snprintf(s->view.disks[1].path, sizeof(s->view.disks[1].path), "%s", path);
}

/* A request hangs on it. */
static struct disk *hang(struct scene *s)
{
	struct disk *disk = s->work->disks[1]->disk;

	disk->in_flight++;
	assert_int_equal(set_disk(s, METADATA_DISK_MISSING), 0);
	plane_work_failure_known(s->work, 1);
	return disk;
}

static void the_role_of_one_that_hangs_is_anothers(void **state)
{
	struct scene *s = begin();
	struct disk *hung;

	(void)state;
	assert_int_equal(set_disk(s, METADATA_DISK_REBUILD), 0);
	hung = hang(s);
	use_path(s, s->paths[2]);
	assert_int_equal(set_disk(s, METADATA_DISK_REBUILD), 0);
	assert_int_equal(sync_all(s, PLANE_REBUILD), 0);
	expect_data(s, 2, 0, MEMBER_SECTORS * 512, 1);
	expect_data(s, 1, 0, MEMBER_SECTORS * 512, 0xee);
	hung->in_flight--;
	end(s);
}

/* What hangs could land over what is newer: it is the same one by any path, and by its uuid. */
static void one_that_hangs_does_not_come_back_by_any_path(void **state)
{
	struct scene *s = begin();
	char link[80];
	struct disk *hung;

	(void)state;
	snprintf(link, sizeof(link), "%s.link", s->paths[1]);
	assert_int_equal(symlink(s->paths[1], link), 0);
	memset(s->view.disks[1].device_uuid, 7, 16);
	assert_int_equal(set_disk(s, METADATA_DISK_REBUILD), 0);
	hung = hang(s);
	assert_int_equal(set_disk(s, METADATA_DISK_REBUILD), -EBUSY);
	assert_non_null(strstr(s->req.err.text, "1 requests from before it failed hang on it"));
	use_path(s, s->paths[2]);
	assert_int_equal(set_disk(s, METADATA_DISK_REBUILD), -EBUSY);
	use_path(s, link);
	memset(s->view.disks[1].device_uuid, 8, 16);
	assert_int_equal(set_disk(s, METADATA_DISK_REBUILD), -EBUSY);
	hung->in_flight--;
	assert_int_equal(set_disk(s, METADATA_DISK_REBUILD), 0);
	assert_int_equal(sync_all(s, PLANE_REBUILD), 0);
	expect_data(s, 1, 0, MEMBER_SECTORS * 512, 1);
	unlink(link);
	end(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_disk_that_comes_is_rebuilt_and_then_in_sync),
		cmocka_unit_test(a_disk_that_comes_back_gets_what_the_bits_cover),
		cmocka_unit_test(one_that_cannot_come_is_not_there),
		cmocka_unit_test(one_that_went_amid_its_rebuild_can_be_replaced),
		cmocka_unit_test(the_role_of_one_that_hangs_is_anothers),
		cmocka_unit_test(one_that_hangs_does_not_come_back_by_any_path),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
