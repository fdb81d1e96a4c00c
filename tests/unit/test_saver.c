/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A small file, kept up to date from a thread. */
#include "tests/unit/help.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"
#include "base/loop.h"
#include "base/saver.h"

static char folder[] = "/tmp/test_saver.XXXXXX", path[64];
static struct loop *loop;
static struct saver *saver;
static uint64_t saved_version, awaited;
static int failed_code;

static void saved(void *owner, uint64_t version)
{
	(void)owner;
	saved_version = version;
	if (version == awaited)
		loop_stop(loop);
}

static void failed(void *owner, uint64_t version, int code)
{
	(void)owner;
	(void)version;
	failed_code = code;
	loop_stop(loop);
}

static const struct saver_ops ops = { saved, failed };

static int setup(void **state)
{
	struct err err = ERR_INIT;

	(void)state;
	strcpy(folder + strlen(folder) - 6, "XXXXXX");
	assert_non_null(mkdtemp(folder));
	snprintf(path, sizeof(path), "%s/file", folder);
	loop = loop_new(&err);
	saver = saver_open(path, loop, &ops, NULL, &err);
	assert_non_null(saver);
	saved_version = awaited = 0;
	failed_code = 0;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	saver_close(saver);
	loop_free(loop);
	(void)unlink(path);
	assert_int_equal(rmdir(folder), 0); /* no other file is left */
	return 0;
}

static void run_until(uint64_t version)
{
	awaited = version;
	loop_run(loop);
}

static void expect_file(const char *text)
{
	char bytes[64] = "";
	FILE *f = fopen(path, "r");

	assert_non_null(f);
	assert_int_equal(fread(bytes, 1, sizeof(bytes), f), strlen(text));
	assert_string_equal(bytes, text);
	fclose(f);
}

static void the_last_wish_is_the_file(void **state)
{
	(void)state;
	assert_int_equal(saver_put(saver, "one", 3, 1), 0);
	assert_int_equal(saver_put(saver, "two and more", 12, 2), 0);
	assert_int_equal(saver_put(saver, "three", 5, 3), 0);
	run_until(3);
	expect_file("three");
}

static void no_bytes_are_no_file(void **state)
{
	(void)state;
	assert_int_equal(saver_put(saver, "", 0, 1), 0);
	run_until(1);
	expect_file("");
	assert_int_equal(saver_put(saver, NULL, 0, 2), 0);
	run_until(2);
	assert_int_equal(access(path, F_OK), -1);
	assert_int_equal(saver_put(saver, NULL, 0, 3), 0); /* and none that was not there */
	run_until(3);
}

static void what_was_asked_for_is_there_when_it_is_closed(void **state)
{
	(void)state;
	assert_int_equal(saver_put(saver, "last", 4, 1), 0);
	saver_close(saver);
	saver = NULL;
	expect_file("last");
}

static void a_failure_is_told_and_leaves_what_was_there(void **state)
{
	char tmp[80];

	(void)state;
	assert_int_equal(saver_put(saver, "old", 3, 1), 0);
	run_until(1);
	snprintf(tmp, sizeof(tmp), "%s.tmp", path);
	assert_int_equal(mkdir(tmp, 0700), 0); /* in the way, for root too */
	assert_int_equal(saver_put(saver, "new", 3, 2), 0);
	run_until(2);
	assert_int_equal(failed_code, -EISDIR);
	expect_file("old");
	assert_int_equal(rmdir(tmp), 0);
	assert_int_equal(saver_put(saver, "new", 3, 3), 0);
	run_until(3);
	expect_file("new");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(the_last_wish_is_the_file, setup, teardown),
		cmocka_unit_test_setup_teardown(no_bytes_are_no_file, setup, teardown),
		cmocka_unit_test_setup_teardown(what_was_asked_for_is_there_when_it_is_closed, setup,
						teardown),
		cmocka_unit_test_setup_teardown(a_failure_is_told_and_leaves_what_was_there, setup,
						teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
