/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* base/: what everything else leans on. */
#include "tests/unit/help.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/arith.h"
#include "base/clock.h"
#include "base/codec.h"
#include "base/log.h"
#include "base/printable.h"
#include "base/text.h"

static void err_keeps_code_and_nests_sentences(void **state)
{
	struct err err = ERR_INIT;

	(void)state;
	assert_int_equal(err_set(&err, -EBADMSG, "field %d is odd", 3), -EBADMSG);
	assert_int_equal(err_prefix(&err, "disk %s", "a.img"), -EBADMSG);
	assert_string_equal(err.text, "disk a.img: field 3 is odd");
	/* the old sentence may be an argument of the new one */
	err_set(&err, -EIO, "again: %s", err.text);
	assert_string_equal(err.text, "again: disk a.img: field 3 is odd");
}

static void err_cuts_a_sentence_that_is_too_long(void **state)
{
	struct err err = ERR_INIT;
	char longer[2000];

	(void)state;
	memset(longer, 'x', sizeof(longer) - 1);
	longer[sizeof(longer) - 1] = '\0';
	err_set(&err, -EIO, "%s", longer);
	assert_int_equal(strlen(err.text), sizeof(err.text) - 1);
	err_prefix(&err, "%s", longer);
	assert_int_equal(strlen(err.text), sizeof(err.text) - 1);
}

static void cursor_reads_little_endian(void **state)
{
	const uint8_t bytes[] = { 0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07,
				  0x08, 0x09, 0x0a, 0x0b, 0x0c, 0x0d, 0x0e, 0x0f };
	struct rd rd = rd_over(bytes, sizeof(bytes));

	(void)state;
	assert_int_equal(rd_u8(&rd), 0x01);
	assert_int_equal(rd_u16(&rd), 0x0302);
	assert_int_equal(rd_u32(&rd), 0x07060504);
	assert_true(rd_u64(&rd) == 0x0f0e0d0c0b0a0908ull);
	assert_false(rd.failed);
}

/* Protocols of others are written that way. */
static void cursors_read_and_write_network_order(void **state)
{
	const uint8_t bytes[] = { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14 };
	struct rd rd = rd_over(bytes, sizeof(bytes));
	uint8_t again[sizeof(bytes) + 1] = { 0 };
	struct wr wr = wr_over(again, sizeof(bytes));

	(void)state;
	assert_int_equal(rd_be_u16(&rd), 0x0102);
	assert_int_equal(rd_be_u32(&rd), 0x03040506);
	assert_true(rd_be_u64(&rd) == 0x0708090a0b0c0d0eull);
	assert_false(rd.failed);
	assert_int_equal(rd_be_u16(&rd), 0);
	assert_true(rd.failed);
	wr_be_u16(&wr, 0x0102);
	wr_be_u32(&wr, 0x03040506);
	wr_be_u64(&wr, 0x0708090a0b0c0d0eull);
	assert_false(wr.failed);
	assert_memory_equal(again, bytes, sizeof(bytes));
	wr_be_u32(&wr, 0xffffffff);
	assert_true(wr.failed);
	assert_int_equal(again[sizeof(bytes)], 0);
}

static void cursor_past_the_end_sticks_and_gives_zero(void **state)
{
	const uint8_t bytes[6] = { 1, 2, 3, 4, 5, 6 };
	struct rd rd = rd_over(bytes, sizeof(bytes));
	uint8_t out[8] = { 9, 9, 9, 9, 9, 9, 9, 9 };

	(void)state;
	assert_int_equal(rd_u32(&rd), 0x04030201);
	assert_int_equal(rd_u32(&rd), 0);
	assert_true(rd.failed);
	/* two bytes are left, but the error stays */
	assert_int_equal(rd_u8(&rd), 0);
	rd_bytes(&rd, out, sizeof(out));
	assert_int_equal(out[0] | out[7], 0);
	rd = rd_over(bytes, sizeof(bytes));
	rd_seek(&rd, 7);
	assert_true(rd.failed);
}

static void writer_never_writes_past_the_end(void **state)
{
	uint8_t bytes[8] = { 0 };
	struct wr wr = wr_over(bytes, 6);

	(void)state;
	wr_u32(&wr, 0x04030201);
	wr_u32(&wr, 0xffffffff);
	assert_true(wr.failed);
	wr_u8(&wr, 0xff);
	wr_zero(&wr, 1);
	assert_memory_equal(bytes, "\1\2\3\4\0\0\0\0", 8);
}

static void sizes_are_read_as_mdadm_reads_them(void **state)
{
	static const struct {
		const char *text;
		uint64_t sectors;
	} good[] = { { "64", 128 },        { "64K", 128 },
		     { "1M", 2048 },       { "2G", 4ull << 20 },
		     { "1T", 2ull << 30 }, { "7s", 7 },
		     { "0", 0 } };
	static const char *const bad[] = { "",    "K",   "-1", "1KK", "1X",
					   "1.5M", " 1", "0x10" };
	struct err err = ERR_INIT;
	uint64_t sectors;
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(good); i++) {
		assert_ok(text_parse_sectors(good[i].text, "size", &sectors,
					     &err), err);
		assert_true(sectors == good[i].sectors);
	}
	for (i = 0; i < ARRAY_SIZE(bad); i++)
		assert_refused(text_parse_sectors(bad[i], "size", &sectors, &err),
			       -EINVAL, err, "size", bad[i]);
	assert_refused(text_parse_sectors("99999999999999T", "size", &sectors,
					  &err), -ERANGE, err, "size");
	assert_refused(text_parse_sectors("99999999999999999999", "size",
					  &sectors, &err), -ERANGE, err, "size");
}

static void uuid_survives_text_and_back(void **state)
{
	const char *mdadm = "5c0b0c4b:d6ae0359:f266cacf:72232250";
	static const char *const bad[] = {
		"", "5c0b0c4b", "5c0b0c4b:d6ae0359:f266cacf:7223225",
		"5c0b0c4b:d6ae0359:f266cacf:722322500",
		"5c0b0c4b:d6ae0359:f266cacf:7223225g"
	};
	uint8_t uuid[16], dashed[16];
	char text[TEXT_UUID_BYTES];
	struct err err = ERR_INIT;
	size_t i;

	(void)state;
	assert_ok(text_parse_uuid(mdadm, "uuid", uuid, &err), err);
	assert_string_equal(text_uuid(uuid, text), mdadm);
	assert_ok(text_parse_uuid("5C0B0C4B-d6ae-0359-f266-cacf72232250", "uuid",
				  dashed, &err), err);
	assert_memory_equal(uuid, dashed, 16);
	for (i = 0; i < ARRAY_SIZE(bad); i++)
		assert_refused(text_parse_uuid(bad[i], "uuid", uuid, &err),
			       -EINVAL, err, "uuid");
}

static void control_characters_of_a_disk_never_reach_a_terminal(void **state)
{
	char to[8];

	(void)state;
	assert_string_equal(text_printable("a\033[2J\n", 32, to, sizeof(to)),
			    "a?[2J?");
	/* no NUL in the field, and cut to what there is room for */
	assert_string_equal(text_printable("abcdefghij", 3, to, sizeof(to)), "abc");
	assert_string_equal(text_printable("abcdefghij", 10, to, sizeof(to)),
			    "abcdefg");
}

static void any_bytes_have_one_spelling_as_text(void **state)
{
	static const char *const no_spelling[] = {
		"\\", "\\x", "\\x1", "\\x1g", "\\X1f", "\\x1F", "\\x41", "\\n", "\n",
		"\x7f", "\xc3\xa9", "\\ x00",
	};
	char bytes[256], again[256], text[TEXT_ESCAPED_BYTES(256)];

	(void)state;
	for (int i = 0; i < 256; i++)
		bytes[i] = (char)i;
	text_escape(bytes, 256, text, sizeof(text));
	for (const char *p = text; *p; p++)
		assert_in_range(*p, 0x20, 0x7e);
	assert_int_equal(text_unescape(text, again, sizeof(again)), 256);
	assert_memory_equal(again, bytes, 256);
	assert_int_equal(text_unescape(text, again, 255), -EMSGSIZE);
	assert_string_equal(text_escape("a\\b\0\xff~", 6, text, sizeof(text)),
			    "a\\x5cb\\x00\\xff~");
	for (size_t i = 0; i < ARRAY_SIZE(no_spelling); i++)
		assert_int_equal(text_unescape(no_spelling[i], again, 9), -EBADMSG);
	/* never cut within a byte */
	assert_string_equal(text_escape("ab\n", 3, text, 6), "ab");
	assert_string_equal(text_escape("ab\n", 3, text, 7), "ab\\x0a");
	assert_string_equal(text_escape("ab", 2, text, 1), "");
}

static void numbers_outside_their_range_are_refused_by_name(void **state)
{
	struct err err = ERR_INIT;
	uint64_t v;

	(void)state;
	assert_ok(text_parse_u64("64", "nodes", 2, 64, &v, &err), err);
	assert_int_equal(v, 64);
	assert_refused(text_parse_u64("65", "nodes", 2, 64, &v, &err), -ERANGE,
		       err, "nodes", "65", "2..64");
	assert_refused(text_parse_u64("4x", "nodes", 2, 64, &v, &err), -EINVAL,
		       err, "nodes", "4x");
}

static void rounding_is_exact_at_the_edges(void **state)
{
	(void)state;
	assert_int_equal(round_up(4096, 4096), 4096);
	assert_int_equal(round_up(4097, 4096), 8192);
	assert_int_equal(round_down(4095, 4096), 0);
	assert_true(div_round_up(UINT64_MAX, 2) == 1ull << 63);
	assert_false(is_power_of_two(0));
	assert_true(is_power_of_two(1ull << 63));
}

/* --- the clock ------------------------------------------------------------ */

static void clock_of_boot_never_goes_back(void **state)
{
	uint64_t before = clock_boot_ns(), now;
	int i;

	(void)state;
	for (i = 0; i < 1000; i++) {
		now = clock_boot_ns();
		assert_true(now >= before);
		before = now;
	}
	assert_true(clock_wall_us() > 1700000000ull * 1000000);
}

/* --- the log ---------------------------------------------------------------- */

static void log_line_names_level_subsystem_and_id(void **state)
{
	static struct log_subsystem disk = { "disk", LOG_NOTICE };
	char text[512] = "";
	struct err err = ERR_INIT;
	int fds[2], keep = dup(STDERR_FILENO);
	ssize_t n;

	(void)state;
	assert_int_equal(pipe(fds), 0);
	dup2(fds[1], STDERR_FILENO);
	assert_ok(log_open("tester", LOG_TO_STDERR, LOG_NOTICE, &err), err);
	log_write(&disk, LOG_WARNING, "MDC0000", "%s is slow", "a.img");
	log_write(&disk, LOG_DEBUG, NULL, "not this one");
	disk.level = LOG_ERR;
	log_write(&disk, LOG_WARNING, "MDC0000", "nor this one");
	log_close();
	dup2(keep, STDERR_FILENO);
	close(keep);
	close(fds[1]);
	n = read(fds[0], text, sizeof(text) - 1);
	close(fds[0]);
	assert_true(n > 0);
	assert_non_null(strstr(text, "tester: warning"));
	assert_non_null(strstr(text, "disk: a.img is slow [MDC0000]"));
	assert_null(strstr(text, "this one"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(err_keeps_code_and_nests_sentences),
		cmocka_unit_test(err_cuts_a_sentence_that_is_too_long),
		cmocka_unit_test(cursor_reads_little_endian),
		cmocka_unit_test(cursors_read_and_write_network_order),
		cmocka_unit_test(cursor_past_the_end_sticks_and_gives_zero),
		cmocka_unit_test(writer_never_writes_past_the_end),
		cmocka_unit_test(sizes_are_read_as_mdadm_reads_them),
		cmocka_unit_test(uuid_survives_text_and_back),
		cmocka_unit_test(control_characters_of_a_disk_never_reach_a_terminal),
		cmocka_unit_test(any_bytes_have_one_spelling_as_text),
		cmocka_unit_test(numbers_outside_their_range_are_refused_by_name),
		cmocka_unit_test(rounding_is_exact_at_the_edges),
		cmocka_unit_test(clock_of_boot_never_goes_back),
		cmocka_unit_test(log_line_names_level_subsystem_and_id),
	};

	return cmocka_run_group_tests_name("base", tests, NULL, NULL);
}
