/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What debugfs has of a lockspace of the kernel's md-cluster, as Linux 6.1 wrote it. */
#include "tests/unit/help.h"

#include <stdio.h>
#include <string.h>

#include "lockres/dlm_view.h"

static bool next(const char **at, const char *text, struct dlm_view *v)
{
	return dlm_view_next(at, text + strlen(text), v);
}

static void a_resource_is_read_with_its_value_and_locks(void **state)
{
	static const char text[] =
		"version rsb 1.1 lvb 1.1 lkb 1.1\n"
		"rsb 00000000cc84ac9a 0 0 0 0 0 0 10 str no-new-dev\n"
		"lkb 9 2 3 170 0 4 10000 2 1 -1 0 0 0 0 19359666878 0\n"
		"lkb 3 0 0 191 0 4 0 2 1 -1 0 0 0 0 16345858555 0\n"
		"rsb 0000000031bcafc3 0 0 0 0 0 0 10 str bitmap0000\n"
		"lvb 1 16 00 05 00 00 00 00 00 00 00 05 01 00 00 00 00 00\n"
		"lkb 5 0 0 196 0 c 0 2 4 -1 0 0 0 1 16346047357 0\n"
		"rsb 0000000018b8a0ff 0 0 0 0 0 0 6 str resync\n"
		"lkb 6 0 0 196 0 4 0 2 5 -1 0 0 0 0 17677825568 0\n"
		"lkb b 2 6 170 0 4 10000 3 0 5 0 0 0 0 19469805795 0\n"
		"lkb c 3 6 170 0 4 10000 1 -1 5 0 0 0 0 19469805795 0\n";
	const char *at = text;
	struct dlm_view v;

	(void)state;
	assert_true(next(&at, text, &v));
	assert_string_equal(v.name, "no-new-dev");
	assert_false(v.has_value);
	assert_int_equal(v.lock_count, 2);
	assert_int_equal(v.locks[0].node, 2);
	assert_int_equal(v.locks[1].node, 0);
	assert_int_equal(v.locks[1].granted, LOCK_CR);
	assert_true(next(&at, text, &v));
	assert_string_equal(v.name, "bitmap0000");
	assert_true(v.has_value);
	assert_int_equal(v.value_length, 16);
	assert_int_equal(v.value[1], 5);
	assert_int_equal(v.value[10], 1);
	assert_int_equal(v.locks[0].granted, LOCK_PW);
	assert_true(next(&at, text, &v));
	assert_int_equal(v.locks[0].granted, LOCK_EX);
	assert_int_equal(v.locks[0].wanted, LOCK_NONE);
	assert_int_equal(v.locks[1].granted, LOCK_NL); /* it converts */
	assert_int_equal(v.locks[1].wanted, LOCK_EX);
	assert_int_equal(v.locks[2].granted, LOCK_NONE); /* it waits */
	assert_int_equal(v.locks[2].wanted, LOCK_EX);
	assert_false(next(&at, text, &v));
}

/* Of a resource that is mastered elsewhere the locks are ours, whatever node they name. */
static void locks_of_a_copy_are_our_own(void **state)
{
	static const char text[] = "rsb 00000000b81365ff 1 0 0 0 0 0 6 str resync\n"
				   "lkb 6 1 b 187 0 4 0 3 0 5 0 0 0 0 19475937805 0";
	const char *at = text;
	struct dlm_view v;

	(void)state;
	assert_true(next(&at, text, &v));
	assert_int_equal(v.master, 1);
	assert_int_equal(v.lock_count, 1);
	assert_int_equal(v.locks[0].node, 0);
}

/* A lock without a resource, cut lines, a name in hex, more locks than are kept. */
static void what_is_not_understood_is_passed_over(void **state)
{
	static char text[16384];
	size_t at_end = (size_t)snprintf(text, sizeof(text),
					 "lkb 6 1 b 187 0 4 0 3 0 5 0\nlvb\n\nrsb 0 0\n"
					 "rsb 0 0 0 0 0 0 0 4 hex 00 01 02 03\n"
					 "lvb 1 64 zz\nlkb 1\nnonsense\n"
					 "rsb 0 0 0 0 0 0 0 5 str token\n");
	const char *at = text;
	struct dlm_view v;

	(void)state;
	for (int i = 0; i < DLM_VIEW_LOCKS + 3; i++)
		at_end += (size_t)snprintf(text + at_end, sizeof(text) - at_end,
					   "lkb 6 1 b 187 0 4 0 2 99 5 0 0 0 0 1 0\n");
	assert_true(next(&at, text, &v));
	assert_string_equal(v.name, "?");
	assert_int_equal(v.lock_count, 0);
	assert_true(next(&at, text, &v));
	assert_string_equal(v.name, "token");
	assert_int_equal(v.lock_count, DLM_VIEW_LOCKS + 3);
	assert_int_equal(v.locks[DLM_VIEW_LOCKS - 1].granted, LOCK_NONE); /* there is no mode 99 */
	assert_false(next(&at, text, &v));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_resource_is_read_with_its_value_and_locks),
		cmocka_unit_test(locks_of_a_copy_are_our_own),
		cmocka_unit_test(what_is_not_understood_is_passed_over),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
