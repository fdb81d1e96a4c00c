/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The bytes of obituaries. That they arrive, and what comes of it, is daemon.sh's. */
#include "tests/unit/help.h"

#include <errno.h>
#include <string.h>

#include "mdclusterd/daemon/obituary.h"

static const struct obituary death = { OBITUARY_DEATH, 0x04030201, 0x0c0b0a0908070605 };

static void an_obituary_has_its_bytes(void **state)
{
	static const uint8_t wanted[OBITUARY_BYTES] = { 1, 1, 0, 0, 1, 2, 3, 4,
							5, 6, 7, 8, 9, 10, 11, 12 };
	uint8_t bytes[OBITUARY_BYTES];
	struct obituary o;

	(void)state;
	obituary_write(&death, bytes);
	assert_memory_equal(bytes, wanted, sizeof(wanted));
	assert_int_equal(obituary_read(bytes, sizeof(bytes), &o), 0);
	assert_int_equal(o.kind, OBITUARY_DEATH);
	assert_int_equal(o.node, death.node);
	assert_int_equal(o.incarnation, death.incarnation);
}

static void what_is_none_is_refused(void **state)
{
	uint8_t bytes[OBITUARY_BYTES + 1] = { 0 };
	struct obituary o;

	(void)state;
	obituary_write(&death, bytes);
	for (size_t length = 0; length < OBITUARY_BYTES; length++)
		assert_int_equal(obituary_read(bytes, length, &o), -EBADMSG);
	bytes[0] = 3;
	assert_int_equal(obituary_read(bytes, OBITUARY_BYTES, &o), -EBADMSG);
	bytes[0] = OBITUARY_HEARD;
	bytes[1] = 0; /* version */
	assert_int_equal(obituary_read(bytes, OBITUARY_BYTES, &o), -EBADMSG);
	bytes[1] = 2; /* a later one says more, behind */
	assert_int_equal(obituary_read(bytes, sizeof(bytes), &o), 0);
	memset(bytes + 8, 0, 8); /* of nobody in particular */
	assert_int_equal(obituary_read(bytes, OBITUARY_BYTES, &o), -EBADMSG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_obituary_has_its_bytes),
		cmocka_unit_test(what_is_none_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
