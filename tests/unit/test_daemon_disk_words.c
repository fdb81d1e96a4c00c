/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The words by which people name the disks of an array. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"
#include "mdclusterd/array/metadata.h"
#include "mdclusterd/daemon/disk_words.h"
#include "tests/unit/help.h"

/* raid1 of 2: role 1 has none, for number 1 failed; number 3 is a spare. */
static struct metadata_view view_of(const char *a, const char *b, const char *c)
{
	struct metadata_view v = { .raid_disks = 2, .disk_count = 4 };

	v.disks[0] = (struct metadata_disk){ .state = METADATA_DISK_IN_SYNC, .role = 0,
					     .dev_number = 0 };
	v.disks[1] = (struct metadata_disk){ .state = METADATA_DISK_MISSING, .role = 1 };
	v.disks[2] = (struct metadata_disk){ .state = METADATA_DISK_FAULTY, .role = 2,
					     .dev_number = 1 };
	v.disks[3] = (struct metadata_disk){ .state = METADATA_DISK_SPARE, .role = 3,
					     .dev_number = 3 };
	snprintf(v.disks[0].path, sizeof(v.disks[0].path), "%s", a);
	snprintf(v.disks[2].path, sizeof(v.disks[2].path), "%s", b);
	snprintf(v.disks[3].path, sizeof(v.disks[3].path), "%s", c);
	return v;
}

static void expect(const struct metadata_view *v, const char *word, uint32_t wanted)
{
	struct err err = ERR_INIT;
	uint32_t places;

	assert_ok(disk_word_find(v, word, &places, &err), err);
	if (places != wanted)
		fail_msg("%s: places 0x%x, not 0x%x", word, places, wanted);
}

static void expect_none(const struct metadata_view *v, const char *word)
{
	struct err err = ERR_INIT;
	uint32_t places;

	assert_refused(disk_word_find(v, word, &places, &err), -ENOENT, err, word);
	assert_int_equal(places, 0);
}

static void a_disk_has_a_path_a_role_and_a_number(void **state)
{
	const struct metadata_view v = view_of("/dev/sda", "/dev/sdb", "/dev/mapper/c");

	(void)state;
	expect(&v, "/dev/sda", 1 << 0);
	expect(&v, "sda", 1 << 0);
	expect(&v, "sdb", 1 << 2); /* gone, and called so still */
	expect(&v, "/dev/mapper/c", 1 << 3);
	expect(&v, "0", 1 << 0);
	expect(&v, "#0", 1 << 0);
	expect(&v, "#1", 1 << 2);
	expect(&v, "#3", 1 << 3);
	expect_none(&v, "1"); /* a role that no disk has */
	expect_none(&v, "2"); /* a place in a list is none */
	expect_none(&v, "#2");
	expect_none(&v, "sdc");
	expect_none(&v, "/dev/sd");
	expect_none(&v, "#");
	expect_none(&v, "");
}

static void any_name_of_a_disk_is_its_name(void **state)
{
	char folder[] = "/tmp/disk-words.XXXXXX", file[64], name[64], other[64], pattern[64];
	struct metadata_view v;

	(void)state;
	assert_non_null(mkdtemp(folder));
	snprintf(file, sizeof(file), "%s/disk", folder);
	snprintf(name, sizeof(name), "%s/by-id", folder);
	snprintf(other, sizeof(other), "%s/other", folder);
	close(creat(file, 0600));
	close(creat(other, 0600));
	assert_int_equal(symlink(file, name), 0);
	v = view_of(file, other, "/dev/mapper/c");
	expect(&v, name, 1 << 0);
	v = view_of(name, other, "/dev/mapper/c");
	expect(&v, file, 1 << 0);
	assert_true(disk_word_is_among((char *[]){ file }, 1, file));
	assert_true(disk_word_is_among((char *[]){ other, name }, 2, file));
	assert_true(disk_word_is_among((char *[]){ file }, 1, name));
	assert_false(disk_word_is_among((char *[]){ file, name }, 2, other));
	assert_false(disk_word_is_among(NULL, 0, file));
	snprintf(pattern, sizeof(pattern), "%s/by-*", folder);
	assert_true(disk_word_is_among((char *[]){ pattern }, 1, name));
	assert_true(disk_word_is_among((char *[]){ pattern }, 1, file));
	assert_false(disk_word_is_among((char *[]){ pattern }, 1, other));
	/* one that is gone is detached, by whatever it was called */
	expect(&v, "detached", 1 << 3);
	unlink(file);
	expect(&v, "detached", 1 << 0 | 1 << 3);
	unlink(name);
	unlink(other);
	rmdir(folder);
}

static void there_are_words_for_several(void **state)
{
	struct metadata_view v = view_of("/dev/null", "/dev/null", "/dev/null");

	(void)state;
	assert_int_equal(disk_word_kind("failed"), DISK_FAILED);
	assert_int_equal(disk_word_kind("faulty"), DISK_FAILED);
	assert_int_equal(disk_word_kind("detached"), DISK_DETACHED);
	assert_int_equal(disk_word_kind("missing"), DISK_ONE);
	expect(&v, "failed", 1 << 2);
	expect(&v, "faulty", 1 << 2);
	expect(&v, "detached", 0);
	v.disks[2].state = METADATA_DISK_SPARE;
	expect(&v, "failed", 0); /* and that is fine */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_disk_has_a_path_a_role_and_a_number),
		cmocka_unit_test(any_name_of_a_disk_is_its_name),
		cmocka_unit_test(there_are_words_for_several),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
