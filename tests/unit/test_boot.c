/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The boot record: numbers that never come twice, and what stands on the disk
 * when they do not look like ours.
 */
#include "tests/unit/help.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/arith.h"
#include "base/err.h"
#include "base/loop.h"
#include "totem/boot.h"
#include "totem/ring.h"

static char folder[64], path[80];
static struct loop *loop;

static int setup(void **state)
{
	struct err err = ERR_INIT;

	(void)state;
	snprintf(folder, sizeof(folder), "/tmp/test_boot.XXXXXX");
	if (!mkdtemp(folder))
		return -1;
	snprintf(path, sizeof(path), "%s/boot", folder);
	loop = loop_new(&err);
	return loop ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	loop_free(loop);
	unlink(path);
	return rmdir(folder);
}

static void put(const char *text)
{
	FILE *file = fopen(path, "w");

	assert_non_null(file);
	fputs(text, file);
	assert_int_equal(fclose(file), 0);
}

static uint64_t saved_to;

static void saved(void *owner, uint64_t seq)
{
	(void)owner;
	saved_to = seq;
	loop_stop(loop);
}

static struct boot *open_boot(uint64_t now_us)
{
	struct err err = ERR_INIT;
	struct boot *b = boot_open(path, now_us, loop, saved, NULL, &err);

	if (!b)
		fail_msg("%s", err.text);
	return b;
}

static void every_start_goes_beyond_the_one_before(void **state)
{
	struct boot *b = open_boot(1000);

	(void)state;
	assert_int_equal(boot_number(b), 1000);
	assert_int_equal(boot_first_ring_seq(b), RING_SEQ_STRIDE);
	boot_close(b);
	b = open_boot(500); /* the clock went back */
	assert_int_equal(boot_number(b), 1002); /* 1001 told its end */
	assert_int_equal(boot_first_ring_seq(b), 2 * RING_SEQ_STRIDE);
	boot_close(b);
}

static void what_was_saved_counts_at_the_next_start(void **state)
{
	struct boot *b = open_boot(1);

	(void)state;
	boot_save(b, 1ull << 40);
	loop_run(loop);
	assert_int_equal(saved_to, 1ull << 40);
	boot_close(b);
	b = open_boot(1);
	assert_int_equal(boot_first_ring_seq(b), (1ull << 40) + RING_SEQ_STRIDE);
	boot_close(b);
}

/* Half a number is another number: only what we write whole is believed. */
static void a_damaged_record_is_refused_by_name(void **state)
{
	static const char *const rows[] = {
		"", "\n", "ring-seq 65536\n", "ring-seq 65536\nboot ",
		"ring-seq 65536\nboot 17", "ring-seq 65536\nboot 17\n\n",
		"ring-seq 65536\nboot 17 or so\n", "ring-seq 65536 boot 17\n",
		"ring-seq -5\nboot 17\n", "ring-seq 65536\nboot -1\n",
		"ring-seq 065536\nboot 17\n", "ring-seq +5\nboot 17\n",
		"ring-seq 99999999999999999999999\nboot 17\n",
		"ring-seq 65536\nboot 99999999999999999999999\n",
		/* no stride, no start fits behind these */
		"ring-seq 18446744073709551615\nboot 17\n",
		"ring-seq 4611686018427387904\nboot 17\n",
		"ring-seq 65536\nboot 18446744073709551615\n",
		"ring-seq 65536\nboot 18446744073709551612\n",
	};
	struct err err;
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		err = (struct err)ERR_INIT;
		put(rows[i]);
		if (boot_open(path, 1, loop, saved, NULL, &err))
			fail_msg("taken: '%s'", rows[i]);
		assert_int_equal(err.code, -EBADMSG);
		assert_non_null(strstr(err.text, path));
	}
}

static void a_long_file_is_no_record(void **state)
{
	char text[5000];
	struct err err = ERR_INIT;

	(void)state;
	memset(text, '1', sizeof(text));
	memcpy(text, "ring-seq ", 9);
	text[sizeof(text) - 1] = '\0';
	put(text);
	assert_null(boot_open(path, 1, loop, saved, NULL, &err));
	assert_int_equal(err.code, -EBADMSG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(every_start_goes_beyond_the_one_before,
						setup, teardown),
		cmocka_unit_test_setup_teardown(what_was_saved_counts_at_the_next_start,
						setup, teardown),
		cmocka_unit_test_setup_teardown(a_damaged_record_is_refused_by_name,
						setup, teardown),
		cmocka_unit_test_setup_teardown(a_long_file_is_no_record, setup,
						teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
