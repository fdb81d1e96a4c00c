/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a disk holds: found by name, and gone after it was erased. */
#include "tests/unit/help.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bitmap/discover.h"

static char path[64];

static int make_file(void **state)
{
	int fd;

	(void)state;
	strcpy(path, "/tmp/mdc-discover-XXXXXX");
	fd = mkstemp(path);
	if (fd < 0 || ftruncate(fd, 16 << 20) < 0)
		return -1;
	return close(fd);
}

static int drop_file(void **state)
{
	(void)state;
	return unlink(path);
}

static void shell(const char *format)
{
	char command[256];

	snprintf(command, sizeof(command), format, path);
	if (system(command) != 0)
		skip();
}

static void empty_disk_holds_nothing(void **state)
{
	struct md_signature found[MD_MAX_SIGNATURES];
	struct err err = ERR_INIT;

	(void)state;
	assert_int_equal(md_discover_contents(path, found, &err), 0);
	assert_true(md_discover_contents("/nonexistent", found, &err) < 0);
	assert_non_null(strstr(err.text, "/nonexistent"));
}

static void check_found_and_erased(const char *what, const char *label)
{
	struct md_signature found[MD_MAX_SIGNATURES];
	struct err err = ERR_INIT;
	struct disk *disk;
	int count = md_discover_contents(path, found, &err);

	assert_true(count > 0);
	assert_string_equal(found[0].what, what);
	assert_string_equal(found[0].label, label);
	disk = disk_aio_open(path, DISK_RDWR, &err);
	assert_non_null(disk);
	assert_ok(md_discover_erase(disk, found, count, 0, 0, &err), err);
	disk_close(disk);
	assert_int_equal(md_discover_contents(path, found, &err), 0);
}

static void file_system_is_named_with_its_label(void **state)
{
	(void)state;
	shell("mkfs.ext4 -q -F -L backup '%s' >/dev/null 2>&1");
	check_found_and_erased("ext4 file system", "backup");
}

static void partition_tables_are_named(void **state)
{
	(void)state;
	shell("printf 'label: gpt\\n,,L\\n' | sfdisk -q '%s' >/dev/null 2>&1");
	check_found_and_erased("gpt partition table", "");
	shell("printf 'label: dos\\n,,L\\n' | sfdisk -q '%s' >/dev/null 2>&1");
	check_found_and_erased("dos partition table", "");
}

/* The signature of the array that was just created must not be erased. */
static void what_lies_in_the_kept_range_stays(void **state)
{
	const char *names[2] = { path, "missing" };
	const uint64_t sectors[2] = { 32768, 0 };
	const struct md_create_params p = {
		.level = MD_LEVEL_RAID1, .raid_disks = 2, .cluster_name = "c",
		.name = "kept", .now_s = 1700000000,
	};
	struct md_signature found[MD_MAX_SIGNATURES];
	struct md_create_plan plan;
	struct err err = ERR_INIT;
	struct disk *disks[2] = { NULL, NULL };
	struct md_member m;
	int count;

	(void)state;
	disks[0] = disk_aio_open(path, DISK_RDWR, &err);
	assert_non_null(disks[0]);
	assert_ok(md_create_make_plan(&p, sectors, names, 2, &plan, &err), err);
	assert_ok(md_create_execute(&plan, disks, 2, NULL, &err), err);
	count = md_discover_contents(path, found, &err);
	assert_int_equal(count, 1);
	assert_string_equal(found[0].what, "linux_raid_member");
	assert_string_equal(found[0].label, "kept");
	assert_ok(md_discover_erase(disks[0], found, count, 4096, 8192, &err), err);
	assert_ok(md_member_load(&m, disks[0], &err), err);
	md_member_fini(&m);
	disk_close(disks[0]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(empty_disk_holds_nothing,
						make_file, drop_file),
		cmocka_unit_test_setup_teardown(file_system_is_named_with_its_label,
						make_file, drop_file),
		cmocka_unit_test_setup_teardown(partition_tables_are_named,
						make_file, drop_file),
		cmocka_unit_test_setup_teardown(what_lies_in_the_kept_range_stays,
						make_file, drop_file),
	};

	return cmocka_run_group_tests_name("discovery", tests, NULL, NULL);
}
