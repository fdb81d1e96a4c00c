/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The key file: what a person may put there, what others may not have touched,
 * and that a file that is there is never lost.
 */
#include "tests/unit/help.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/arith.h"
#include "totem/keyfile.h"

#define KEY_A "AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA="
#define KEY_B "ISIjJCUmJygpKissLS4vMDEyMzQ1Njc4OTo7PD0+P0A="
#define KEY_C "QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVpbXF1eX2A="

struct folder {
	char path[64];
	char key[80]; /* path/key */
};

static int setup(void **state)
{
	static struct folder folder;

	snprintf(folder.path, sizeof(folder.path), "/tmp/test_keyfile.XXXXXX");
	if (!mkdtemp(folder.path))
		return -1;
	snprintf(folder.key, sizeof(folder.key), "%s/key", folder.path);
	*state = &folder;
	return 0;
}

/* Names in the folder; each is removed when asked. */
static int count_files(const struct folder *folder, bool is_removing)
{
	DIR *dir = opendir(folder->path);
	struct dirent *entry;
	int count = 0;

	assert_non_null(dir);
	while ((entry = readdir(dir))) {
		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
			continue;
		count++;
		if (is_removing)
			unlinkat(dirfd(dir), entry->d_name, 0);
	}
	closedir(dir);
	return count;
}

static int teardown(void **state)
{
	const struct folder *folder = *state;

	count_files(folder, true);
	return rmdir(folder->path);
}

static void put(const char *path, const char *text, mode_t mode)
{
	FILE *file;

	unlink(path);
	file = fopen(path, "w");
	assert_non_null(file);
	fputs(text, file);
	assert_int_equal(fclose(file), 0);
	assert_int_equal(chmod(path, mode), 0);
}

static bool is_empty(const struct keyfile *file)
{
	static const struct keyfile empty;

	return memcmp(file, &empty, sizeof(empty)) == 0;
}

static void expect_text(const char *text, size_t keys)
{
	struct keyfile file;
	struct err err = ERR_INIT;

	assert_ok(keyfile_parse(text, strlen(text), &file, &err), err);
	assert_int_equal(file.count, keys);
	for (size_t i = 0; i < SEAL_KEY_BYTES; i++) {
		assert_int_equal(file.keys[0].bytes[i], i + 1);
		assert_int_equal(file.keys[1].bytes[i], keys > 1 ? i + 33 : 0);
	}
}

static void a_person_may_write_it_in_many_ways(void **state)
{
	(void)state;
	expect_text(KEY_A "\n", 1);
	expect_text(KEY_A, 1);
	expect_text("# ours\n\n" KEY_A "\n\n# the new one\n" KEY_B "\n", 2);
	expect_text("\r\n" KEY_A "\r\n" KEY_B "\r\n", 2);
	expect_text("  \t" KEY_A "\t \n#" KEY_C "\n   " KEY_B "  ", 2);
	expect_text("# \xc3\xa4\xc3\xb6\xc3\xbc\n" KEY_A, 1);
}

static void expect_bad_text(const char *text, size_t length, const char *words)
{
	struct err err = ERR_INIT;
	struct keyfile file;

	memset(&file, 0xee, sizeof(file));
	assert_refused(keyfile_parse(text, length, &file, &err), -EBADMSG, err, words);
	assert_true(is_empty(&file));
	/* what is nearly a key must not get into a log */
	for (size_t at = 0; at + 12 <= length; at++) {
		char part[13] = "";

		memcpy(part, text + at, 12);
		if (memchr(part, '\0', 12) == NULL && strncmp(text + at, "AQID", 4) == 0)
			assert_null(strstr(err.text, part));
	}
}

/* libsodium's decoder takes some bytes above 127 for letters. */
static void a_key_is_of_base64_letters_only(void **state)
{
	char text[] = KEY_A;

	(void)state;
	for (int c = 0x80; c <= 0xff; c++) {
		text[0] = (char)c;
		expect_bad_text(text, sizeof(text) - 1, "line 1: is no key");
	}
}

static void every_bad_text_is_refused_by_its_line(void **state)
{
	static const struct {
		const char *text;
		const char *words;
	} bad[] = {
		{ "", "holds no key" },
		{ "\n\n# " KEY_A "\n", "holds no key" },
		{ "# one\n" KEY_A "=\n", "line 2: is no key" },
		{ "AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA", "line 1: is no key" },
		{ "AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eH===", "line 1: is no key" },
		{ "AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyAh", "line 1: is no key" },
		{ "AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyB=", "line 1: is no key" },
		{ "AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHw==", "line 1: is no key" },
		{ "AQIDBAUGBwgJCgsMDQ4P EBESExQVFhcYGRobHB0eHy=", "line 1: is no key" },
		{ "ISIjJCUmJygpKissLS4vMDEyMzQ1Njc4OTo7PD0-P0A=", "line 1: is no key" },
		{ "0102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f20",
		  "line 1: is no key" },
		{ "key = " KEY_A, "line 1: is no key" },
		{ KEY_A " " KEY_B, "line 1: is no key" },
		{ KEY_A "\nrubbish\n", "line 2: is no key" },
		{ KEY_A "\n" KEY_A "\n", "line 2: has the same key" },
		{ KEY_A "\n" KEY_B "\n" KEY_C "\n", "line 3: a third key" },
		{ KEY_A "\n" KEY_B "\nrubbish\n", "line 3: a third key" },
		{ "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=", "anybody can guess" },
		{ "//////////////////////////////////////////8=", "anybody can guess" },
		{ KEY_A "\n\x01\n", "raw bytes" },
	};
	char raw[128], large[KEYFILE_MAX_BYTES + 1];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		expect_bad_text(bad[i].text, strlen(bad[i].text), bad[i].words);
	for (size_t i = 0; i < sizeof(raw); i++)
		raw[i] = (char)(i * 73);
	expect_bad_text(raw, sizeof(raw), "corosync's authkey");
	expect_bad_text(KEY_A "\0", sizeof(KEY_A), "raw bytes");
	memset(large, '#', sizeof(large));
	expect_bad_text(large, sizeof(large), "longer than 4096 bytes");
	expect_bad_text(large, sizeof(large) - 1, "holds no key");
}

static void what_is_written_is_read_back(void **state)
{
	const struct folder *folder = *state;
	struct keyfile file = { .count = 0 }, back;
	struct err err = ERR_INIT;
	struct stat st;

	umask(0);
	for (int i = 0; i < 2; i++) {
		assert_ok(keyfile_add_key(&file, &err), err);
		assert_ok(keyfile_write(folder->key, &file, KEYFILE_REPLACE, &err), err);
		assert_ok(keyfile_read(folder->key, &back, &err), err);
		assert_memory_equal(&file, &back, sizeof(file));
		assert_int_equal(stat(folder->key, &st), 0);
		assert_int_equal(st.st_mode & 07777, 0400);
		assert_int_equal(count_files(folder, false), 1);
	}
	umask(0777);
	assert_ok(keyfile_write(folder->key, &file, KEYFILE_REPLACE, &err), err);
	umask(022);
	assert_int_equal(stat(folder->key, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0400);
}

static void a_file_that_is_there_is_not_overwritten_unless_asked(void **state)
{
	const struct folder *folder = *state;
	struct keyfile file = { .count = 0 }, back;
	struct err err = ERR_INIT;

	put(folder->key, KEY_A "\n", 0400);
	assert_ok(keyfile_add_key(&file, &err), err);
	assert_refused(keyfile_write(folder->key, &file, KEYFILE_CREATE, &err), -EEXIST,
		       err, folder->key, "exists already");
	assert_ok(keyfile_read(folder->key, &back, &err), err);
	assert_int_equal(back.keys[0].bytes[0], 1);
	assert_int_equal(count_files(folder, false), 1);
	assert_ok(keyfile_write(folder->key, &file, KEYFILE_REPLACE, &err), err);
	assert_ok(keyfile_read(folder->key, &back, &err), err);
	assert_memory_equal(&file, &back, sizeof(file));
	unlink(folder->key);
	assert_ok(keyfile_write(folder->key, &file, KEYFILE_CREATE, &err), err);
	assert_int_equal(count_files(folder, false), 1);
}

/* Whoever has the old file open sees the old one, whole. */
static void a_replaced_file_is_another_file(void **state)
{
	const struct folder *folder = *state;
	struct keyfile file = { .count = 0 };
	struct err err = ERR_INIT;
	char text[128] = "";
	int fd;

	put(folder->key, KEY_A "\n", 0400);
	fd = open(folder->key, O_RDONLY);
	assert_ok(keyfile_add_key(&file, &err), err);
	assert_ok(keyfile_write(folder->key, &file, KEYFILE_REPLACE, &err), err);
	assert_int_equal(read(fd, text, sizeof(text) - 1), sizeof(KEY_A));
	assert_string_equal(text, KEY_A "\n");
	close(fd);
}

static void nothing_but_a_regular_file_is_replaced(void **state)
{
	const struct folder *folder = *state;
	struct keyfile file = { .count = 0 };
	struct err err = ERR_INIT;
	char target[100];
	struct stat st;

	assert_ok(keyfile_add_key(&file, &err), err);
	snprintf(target, sizeof(target), "%s/target", folder->path);
	put(target, "precious", 0600);
	assert_int_equal(symlink(target, folder->key), 0);
	assert_refused(keyfile_write(folder->key, &file, KEYFILE_REPLACE, &err), -EEXIST,
		       err, "not a regular file");
	assert_refused(keyfile_write(folder->key, &file, KEYFILE_CREATE, &err), -EEXIST,
		       err, "exists already");
	unlink(target); /* dangling: it must not be followed */
	assert_refused(keyfile_write(folder->key, &file, KEYFILE_CREATE, &err), -EEXIST,
		       err, "exists already");
	assert_int_equal(stat(target, &st), -1);
	assert_refused(keyfile_write(folder->path, &file, KEYFILE_REPLACE, &err),
		       -EEXIST, err, "not a regular file");
	snprintf(target, sizeof(target), "%s/no/key", folder->path);
	assert_refused(keyfile_write(target, &file, KEYFILE_CREATE, &err), -ENOENT, err,
		       "folder does not exist");
	assert_int_equal(count_files(folder, false), 1);
}

static void modes_that_let_others_in_are_refused(void **state)
{
	const struct folder *folder = *state;
	struct err err = ERR_INIT;
	struct keyfile file;

	for (unsigned int mode = 0; mode < 01000; mode++) {
		char octal[8];

		put(folder->key, KEY_A "\n", mode);
		snprintf(octal, sizeof(octal), "%04o", mode);
		if (mode & 077) {
			if (geteuid() != 0 && !(mode & 0400))
				continue; /* not even we can open it */
			assert_refused(keyfile_read(folder->key, &file, &err), -EACCES,
				       err, folder->key, octal, "chmod 0400");
			assert_true(is_empty(&file));
		} else if (mode & 0400) {
			assert_ok(keyfile_read(folder->key, &file, &err), err);
		}
	}
}

static void a_file_of_another_user_is_refused(void **state)
{
	const struct folder *folder = *state;
	struct err err = ERR_INIT;
	struct keyfile file;

	if (geteuid() != 0)
		skip();
	put(folder->key, KEY_A "\n", 0400);
	assert_int_equal(chown(folder->key, 4242, 0), 0);
	assert_refused(keyfile_read(folder->key, &file, &err), -EACCES, err,
		       "user 4242", "chown");
	assert_true(is_empty(&file));
	assert_int_equal(chown(folder->key, 0, 4242), 0);
	assert_ok(keyfile_read(folder->key, &file, &err), err);
	/* as that user, who has it for himself */
	assert_int_equal(chown(folder->path, 4242, 0), 0);
	assert_int_equal(chown(folder->key, 4242, 0), 0);
	assert_int_equal(seteuid(4242), 0);
	assert_int_equal(keyfile_read(folder->key, &file, &err), 0);
	assert_int_equal(seteuid(0), 0);
}

static void what_is_no_file_is_refused(void **state)
{
	const struct folder *folder = *state;
	struct err err = ERR_INIT;
	struct keyfile file;
	char target[100];

	assert_refused(keyfile_read(folder->key, &file, &err), -ENOENT, err,
		       folder->key, "mdcluster keygen");
	assert_refused(keyfile_read(folder->path, &file, &err), -EACCES, err,
		       "not a regular file");
	assert_refused(keyfile_read("/dev/zero", &file, &err), -EACCES, err,
		       "not a regular file");
	assert_int_equal(mkfifo(folder->key, 0400), 0);
	assert_refused(keyfile_read(folder->key, &file, &err), -EACCES, err,
		       "not a regular file"); /* and it did not wait for a writer */
	unlink(folder->key);
	snprintf(target, sizeof(target), "%s/target", folder->path);
	put(target, KEY_A, 0400);
	assert_int_equal(symlink(target, folder->key), 0);
	assert_refused(keyfile_read(folder->key, &file, &err), -EACCES, err,
		       "symbolic link");
	assert_true(is_empty(&file));
	put(folder->key, "", 0400);
	assert_refused(keyfile_read(folder->key, &file, &err), -EBADMSG, err,
		       folder->key, "holds no key");
	snprintf(target, sizeof(target), "%s/key/below", folder->path);
	assert_refused(keyfile_read(target, &file, &err), -ENOTDIR, err, "opened");
}

static void a_file_that_is_too_long_is_refused(void **state)
{
	const struct folder *folder = *state;
	char text[KEYFILE_MAX_BYTES + 10];
	struct err err = ERR_INIT;
	struct keyfile file;

	memset(text, '#', sizeof(text));
	memcpy(text, KEY_A "\n", sizeof(KEY_A));
	text[KEYFILE_MAX_BYTES] = '\0';
	put(folder->key, text, 0400);
	assert_ok(keyfile_read(folder->key, &file, &err), err);
	text[KEYFILE_MAX_BYTES] = '#';
	text[KEYFILE_MAX_BYTES + 1] = '\0';
	put(folder->key, text, 0400);
	assert_refused(keyfile_read(folder->key, &file, &err), -EBADMSG, err, "longer");
	assert_true(is_empty(&file));
}

static void keys_change_in_three_steps(void **state)
{
	struct keyfile file = { .count = 0 };
	struct err err = ERR_INIT;
	struct seal_key first, second;

	(void)state;
	assert_refused(keyfile_promote(&file, &err), -ENOENT, err, "no second key");
	assert_ok(keyfile_add_key(&file, &err), err);
	first = file.keys[0];
	assert_refused(keyfile_promote(&file, &err), -ENOENT, err, "no second key",
		       "--add");
	assert_refused(keyfile_drop(&file, &err), -ENOENT, err, "no second key");
	assert_memory_equal(&file.keys[0], &first, sizeof(first));

	assert_ok(keyfile_add_key(&file, &err), err);
	second = file.keys[1];
	assert_memory_equal(&file.keys[0], &first, sizeof(first));
	assert_memory_not_equal(&first, &second, sizeof(first));
	assert_refused(keyfile_add_key(&file, &err), -EEXIST, err, "two keys",
		       "--promote", "--drop");
	assert_ok(keyfile_promote(&file, &err), err);
	assert_memory_equal(&file.keys[0], &second, sizeof(first));
	assert_memory_equal(&file.keys[1], &first, sizeof(first));
	assert_ok(keyfile_drop(&file, &err), err);
	assert_int_equal(file.count, 1);
	assert_memory_equal(&file.keys[0], &second, sizeof(first));
	memset(&first, 0, sizeof(first));
	assert_memory_equal(&file.keys[1], &first, sizeof(first)); /* it is gone */
	keyfile_wipe(&file);
	assert_true(is_empty(&file));
}

/* seal_set_keys() would refuse them. */
static void two_keys_can_always_be_told_apart(void **state)
{
	struct err err = ERR_INIT;

	(void)state;
	for (int i = 0; i < 3000; i++) {
		struct keyfile file = { .count = 0 };

		assert_ok(keyfile_add_key(&file, &err), err);
		assert_ok(keyfile_add_key(&file, &err), err);
		assert_int_not_equal(seal_key_fingerprint(&file.keys[0]) >> 24,
				     seal_key_fingerprint(&file.keys[1]) >> 24);
	}
}

static int open_files(void)
{
	DIR *dir = opendir("/proc/self/fd");
	int count = 0;

	while (dir && readdir(dir))
		count++;
	if (dir)
		closedir(dir);
	return count;
}

static void no_descriptor_is_left_open(void **state)
{
	const struct folder *folder = *state;
	struct keyfile file = { .count = 0 };
	struct err err = ERR_INIT;
	int before = open_files();

	assert_ok(keyfile_add_key(&file, &err), err);
	for (int i = 0; i < 3; i++) {
		(void)keyfile_write(folder->key, &file, KEYFILE_CREATE, &err);
		assert_ok(keyfile_write(folder->key, &file, KEYFILE_REPLACE, &err), err);
		assert_ok(keyfile_read(folder->key, &file, &err), err);
		(void)keyfile_read(folder->path, &file, &err);
		assert_ok(keyfile_read(folder->key, &file, &err), err);
	}
	assert_int_equal(open_files(), before);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_person_may_write_it_in_many_ways),
		TEST(a_key_is_of_base64_letters_only),
		TEST(every_bad_text_is_refused_by_its_line),
		TEST(what_is_written_is_read_back),
		TEST(a_file_that_is_there_is_not_overwritten_unless_asked),
		TEST(a_replaced_file_is_another_file),
		TEST(nothing_but_a_regular_file_is_replaced),
		TEST(modes_that_let_others_in_are_refused),
		TEST(a_file_of_another_user_is_refused),
		TEST(what_is_no_file_is_refused),
		TEST(a_file_that_is_too_long_is_refused),
		TEST(keys_change_in_three_steps),
		TEST(two_keys_can_always_be_told_apart),
		TEST(no_descriptor_is_left_open),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
