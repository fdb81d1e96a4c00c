/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Members of one array among paths, one of which hangs. */
#include "tests/unit/help.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "mdclusterd/daemon/disk_probe.h"
#include "mdclusterd/daemon/disk_search.h"

enum { SECTORS = 8192, ROOM = 8 };

struct folder {
	char path[64], pattern[80];
	char *patterns[1];
};

static void set_up(struct folder *f)
{
	strcpy(f->path, "/tmp/mdcluster-search.XXXXXX");
	assert_non_null(mkdtemp(f->path));
	snprintf(f->pattern, sizeof(f->pattern), "%s/*", f->path);
	f->patterns[0] = f->pattern;
}

static void tear_down(struct folder *f, const char *const *names, size_t count)
{
	char path[80];

	for (size_t i = 0; i < count; i++) {
		snprintf(path, sizeof(path), "%s/%s", f->path, names[i]);
		(void)unlink(path);
	}
	assert_int_equal(rmdir(f->path), 0);
}

/* The first of two disks of an array with that uuid. */
static void put_member(const struct folder *f, const char *name, const uint8_t uuid[16])
{
	struct md_create_params p;
	struct err err = ERR_INIT;
	struct disk *disk;
	struct rig rig;
	char path[80];
	uint8_t *all = disk_buffer_new(SECTORS * 512);
	FILE *file;

	rig_init(&rig, 1, 2, SECTORS);
	p = rig_params(&rig);
	p.uuid = uuid;
	rig_create(&rig, &p);
	disk_mem_peek(rig.disks[0], 0, all, SECTORS * 512);
	snprintf(path, sizeof(path), "%s/%s", f->path, name);
	file = fopen(path, "w");
	assert_non_null(file);
	assert_int_equal(fwrite(all, 512, SECTORS, file), SECTORS);
	assert_int_equal(fclose(file), 0);
	disk = disk_aio_open(path, DISK_RDONLY, &err);
	assert_non_null(disk);
	disk_close(disk);
	free(all);
	rig_fini(&rig);
}

static void members_are_found_though_a_disk_before_them_hangs(void **state)
{
	static const char *const names[] = { "a", "b", "c", "d" };
	const uint8_t ours[16] = { 1 }, theirs[16] = { 2 };
	char *paths[ROOM], fifo[80];
	struct folder f;
	size_t count;

	(void)state;
	set_up(&f);
	snprintf(fifo, sizeof(fifo), "%s/a", f.path);
	assert_int_equal(mkfifo(fifo, 0600), 0); /* to open it waits for a writer */
	put_member(&f, "b", theirs);
	put_member(&f, "c", ours);
	put_member(&f, "d", ours);
	count = disk_search(f.patterns, 1, ours, 1000, paths, ROOM);
	assert_int_equal(count, 2);
	assert_string_equal(strrchr(paths[0], '/'), "/c");
	assert_string_equal(strrchr(paths[1], '/'), "/d");
	free(paths[0]);
	free(paths[1]);
	count = disk_search(f.patterns, 1, ours, 1000, paths, 1);
	assert_int_equal(count, 1);
	free(paths[0]);
	tear_down(&f, names, 4);
}

static void where_nothing_is_nothing_is_found(void **state)
{
	const uint8_t ours[16] = { 1 };
	char *paths[ROOM];
	struct folder f;

	(void)state;
	set_up(&f);
	assert_int_equal(disk_search(f.patterns, 1, ours, 10000, paths, ROOM), 0);
	assert_int_equal(disk_search(NULL, 0, ours, 10000, paths, ROOM), 0);
	tear_down(&f, NULL, 0);
}

static _Atomic unsigned int asked;

/* As a disk whose path is gone, and is waited for. */
static void hang(const char *path)
{
	(void)path;
	asked++;
	for (;;)
		pause();
}

static void a_disk_that_hangs_is_left_behind_and_the_others_answer(void **state)
{
	static const char *const names[] = { "b" };
	const uint8_t ours[16] = { 1 };
	char disk[80], nothing[80];
	struct err err = ERR_INIT;
	struct folder f;

	(void)state;
	set_up(&f);
	snprintf(disk, sizeof(disk), "%s/b", f.path);
	snprintf(nothing, sizeof(nothing), "%s/c", f.path);
	put_member(&f, "b", ours);
	for (int i = 0; i < 3; i++) {
		err = (struct err)ERR_INIT;
		assert_refused(disk_probe("/dev/gone", hang, 100, &err), -ETIMEDOUT, err,
			       "/dev/gone", "does not answer");
		err = (struct err)ERR_INIT;
		assert_ok(disk_probe(disk, disk_probe_read, 20000, &err), err);
		/* who opens it is told */
		assert_ok(disk_probe(nothing, disk_probe_read, 20000, &err), err);
	}
	assert_true(asked <= 1); /* however often it is tried: one thread hangs */
	tear_down(&f, names, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(members_are_found_though_a_disk_before_them_hangs),
		cmocka_unit_test(where_nothing_is_nothing_is_found),
		cmocka_unit_test(a_disk_that_hangs_is_left_behind_and_the_others_answer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
