/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* NBD's bytes, against those of the protocol's document. */
#include "tests/unit/help.h"

#include <errno.h>
#include <string.h>

#include "mdclusterd/nbd/wire.h"

static void the_greeting_is_newstyle_fixed_without_zeroes(void **state)
{
	uint8_t bytes[NBD_GREETING_BYTES];

	(void)state;
	nbd_greeting_out(bytes);
	assert_memory_equal(bytes, "NBDMAGICIHAVEOPT\0\3", sizeof(bytes));
}

static void client_flags_of_the_future_are_refused(void **state)
{
	uint32_t flags;

	(void)state;
	assert_true(nbd_client_flags_in((const uint8_t *)"\0\0\0\1", &flags));
	assert_int_equal(flags, NBD_FLAG_FIXED_NEWSTYLE);
	assert_true(nbd_client_flags_in((const uint8_t *)"\0\0\0\3", &flags));
	assert_true(nbd_client_flags_in((const uint8_t *)"\0\0\0\0", &flags));
	assert_false(nbd_client_flags_in((const uint8_t *)"\0\0\0\4", &flags));
	assert_false(nbd_client_flags_in((const uint8_t *)"\200\0\0\1", &flags));
}

static void an_option_has_a_magic_a_code_and_a_length(void **state)
{
	uint8_t bytes[] = "IHAVEOPT\0\0\0\7\0\1\2\3";
	struct nbd_option option;

	(void)state;
	assert_true(nbd_option_in(bytes, &option));
	assert_int_equal(option.code, NBD_OPT_GO);
	assert_int_equal(option.length, 0x10203);
	bytes[7] = 'S';
	assert_false(nbd_option_in(bytes, &option));
}

static void an_answer_to_an_option_repeats_it(void **state)
{
	uint8_t bytes[NBD_OPTION_REPLY_BYTES];

	(void)state;
	nbd_option_reply_out(bytes, NBD_OPT_LIST, NBD_REP_ERR_TOO_BIG, 5);
	assert_memory_equal(bytes, "\0\3\350\211\4\125\145\251\0\0\0\3\200\0\0\11\0\0\0\5",
			    sizeof(bytes));
}

static void a_request_is_read_field_by_field(void **state)
{
	uint8_t bytes[] = "\x25\x60\x95\x13\0\3\0\6"
			  "\1\2\3\4\5\6\7\10\0\0\1\0\0\0\2\0\0\3\0\4";
	struct nbd_request_head head;

	(void)state;
	assert_true(nbd_request_in(bytes, &head));
	assert_int_equal(head.flags, NBD_CMD_FLAG_FUA | NBD_CMD_FLAG_NO_HOLE);
	assert_int_equal(head.command, NBD_CMD_WRITE_ZEROES);
	assert_int_equal(head.cookie, 0x102030405060708);
	assert_int_equal(head.offset, 0x10000000200);
	assert_int_equal(head.length, 0x30004);
	bytes[3]++;
	assert_false(nbd_request_in(bytes, &head));
}

static void replies_are_written_byte_by_byte(void **state)
{
	uint8_t bytes[NBD_CHUNK_STATUS_BYTES];

	(void)state;
	assert_int_equal(nbd_reply_out(bytes, 0x102, NBD_ESHUTDOWN), NBD_REPLY_BYTES);
	assert_memory_equal(bytes, "\x67\x44\x66\x98\0\0\0\154\0\0\0\0\0\0\1\2", 16);

	assert_int_equal(nbd_chunk_data_out(bytes, 9, true, 0x1000, 512),
			 NBD_CHUNK_DATA_BYTES);
	assert_memory_equal(bytes, "\x66\x8e\x33\xef\0\1\0\1\0\0\0\0\0\0\0\11\0\0\2\10"
				   "\0\0\0\0\0\0\20\0", 28);
	nbd_chunk_data_out(bytes, 9, false, 0x1000, 512);
	assert_memory_equal(bytes, "\x66\x8e\x33\xef\0\0\0\1", 8);

	assert_int_equal(nbd_chunk_error_out(bytes, 9, NBD_EINVAL, 4),
			 NBD_CHUNK_ERROR_BYTES);
	assert_memory_equal(bytes, "\x66\x8e\x33\xef\0\1\200\1\0\0\0\0\0\0\0\11\0\0\0\12"
				   "\0\0\0\26\0\4", 26);

	assert_int_equal(nbd_chunk_status_out(bytes, 9, 1, 0x2000), NBD_CHUNK_STATUS_BYTES);
	assert_memory_equal(bytes, "\x66\x8e\x33\xef\0\1\0\5\0\0\0\0\0\0\0\11\0\0\0\14"
				   "\0\0\0\1\0\0\40\0\0\0\0\0", 32);
}

static void errors_have_the_numbers_of_the_protocol(void **state)
{
	static const struct {
		int result;
		uint32_t error;
	} table[] = {
		{ 0, 0 },         { -EPERM, 1 },   { -EROFS, 1 },  { -EIO, 5 },
		{ -ENOMEM, 12 },  { -EINVAL, 22 }, { -ENOSPC, 28 }, { -EDQUOT, 28 },
		{ -EFBIG, 28 },   { -ESHUTDOWN, 108 },
		/* what it has no number for */
		{ -ENODATA, 5 },  { -ETIMEDOUT, 5 }, { -EILSEQ, 5 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++)
		assert_int_equal(nbd_error_of(table[i].result), table[i].error);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_greeting_is_newstyle_fixed_without_zeroes),
		cmocka_unit_test(client_flags_of_the_future_are_refused),
		cmocka_unit_test(an_option_has_a_magic_a_code_and_a_length),
		cmocka_unit_test(an_answer_to_an_option_repeats_it),
		cmocka_unit_test(a_request_is_read_field_by_field),
		cmocka_unit_test(replies_are_written_byte_by_byte),
		cmocka_unit_test(errors_have_the_numbers_of_the_protocol),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
