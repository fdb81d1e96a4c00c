/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Calls to the kernel's DLM and results from it, as bytes; its texts, as bytes. */
#include "tests/unit/help.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <linux/dlm_device.h>

#include "lockres/dlm_device.h"
#include "lockres/dlm_dump.h"

static void a_request_carries_name_value_and_cookie(void **state)
{
	const struct dlm_call call = {
		.kind = DLM_CALL_LOCK, .mode = LOCK_PW, .flags = LOCK_VALBLK,
		.cookie = 9, .name = "bitmap0001", .name_length = 10,
		.value = { 1, 2, 3 },
	};
	uint8_t bytes[DLM_CALL_MAX];
	struct dlm_write_request w;
	size_t n = dlm_call_put(&call, bytes);

	(void)state;
	memcpy(&w, bytes, sizeof(w));
	assert_int_equal(n, sizeof(w) + 10);
	assert_int_equal(w.version[0], 6);
	assert_int_equal(w.cmd, DLM_USER_LOCK);
	assert_int_equal(w.i.lock.mode, LOCK_PW);
	assert_int_equal(w.i.lock.flags, DLM_LKF_VALBLK);
	assert_int_equal(w.i.lock.namelen, 10);
	assert_memory_equal(bytes + sizeof(w), "bitmap0001", 10);
	assert_memory_equal(w.i.lock.lvb, call.value, LOCK_SMALL_LVB);
	assert_int_equal((uintptr_t)w.i.lock.castparam, 9);
	assert_int_equal((uintptr_t)w.i.lock.bastparam, 9);
	assert_non_null(w.i.lock.castaddr);
	assert_non_null(w.i.lock.bastaddr);
	assert_non_null(w.i.lock.lksb);
}

/* libdlm's has 32 bytes of its stack there. */
static void an_unlock_carries_the_value(void **state)
{
	const struct dlm_call call = { .kind = DLM_CALL_UNLOCK, .lkid = 5, .cookie = 9,
				       .flags = LOCK_VALBLK, .value = { 7, 8 } };
	uint8_t bytes[DLM_CALL_MAX];
	struct dlm_write_request w;

	(void)state;
	assert_int_equal(dlm_call_put(&call, bytes), sizeof(w));
	memcpy(&w, bytes, sizeof(w));
	assert_int_equal(w.cmd, DLM_USER_UNLOCK);
	assert_int_equal(w.i.lock.lkid, 5);
	assert_memory_equal(w.i.lock.lvb, call.value, LOCK_SMALL_LVB);
}

static void a_conversion_goes_by_number_and_a_purge_by_node(void **state)
{
	struct dlm_call call = { .kind = DLM_CALL_LOCK, .lkid = 5, .cookie = 9,
				 .flags = LOCK_CONVERT, .name = "x", .name_length = 1 };
	uint8_t bytes[DLM_CALL_MAX];
	struct dlm_write_request w;

	(void)state;
	assert_int_equal(dlm_call_put(&call, bytes), sizeof(w));
	memcpy(&w, bytes, sizeof(w));
	assert_int_equal(w.i.lock.namelen, 0);
	call = (struct dlm_call){ .kind = DLM_CALL_PURGE, .node = 3 };
	dlm_call_put(&call, bytes);
	memcpy(&w, bytes, sizeof(w));
	assert_int_equal(w.cmd, DLM_USER_PURGE);
	assert_int_equal(w.i.purge.nodeid, 3);
	assert_int_equal(w.i.purge.pid, 0);
}

/* What the kernel would answer: its addresses are those of our own call. */
struct answer {
	struct dlm_lock_result head;
	uint8_t value[LOCK_SMALL_LVB];
};

static struct answer answer(int status, bool is_bast)
{
	const struct dlm_call call = { .kind = DLM_CALL_LOCK, .cookie = 9 };
	uint8_t bytes[DLM_CALL_MAX];
	struct dlm_write_request w;
	struct answer a = { 0 };

	dlm_call_put(&call, bytes);
	memcpy(&w, bytes, sizeof(w));
	a.head.version[0] = 6;
	a.head.length = sizeof(a.head);
	a.head.user_astaddr = is_bast ? w.i.lock.bastaddr : w.i.lock.castaddr;
	a.head.user_astparam = w.i.lock.castparam;
	a.head.lksb.sb_status = status;
	a.head.lksb.sb_lkid = 5;
	return a;
}

static int take(const struct answer *a, size_t length, struct dlm_result *result)
{
	return dlm_result_take(a, length, result);
}

static void a_completion_has_status_marks_and_value(void **state)
{
	struct answer a = answer(-DLM_ECANCEL, false);
	struct dlm_result r;

	(void)state;
	assert_int_equal(take(&a, sizeof(a.head), &r), 0);
	assert_int_equal(r.cookie, 9);
	assert_int_equal(r.lkid, 5);
	assert_int_equal(r.status, DLM_RESULT_CANCELLED);
	assert_false(r.is_blocked || r.has_value);

	a = answer(0, false);
	a.head.lksb.sb_flags = DLM_SBF_VALNOTVALID;
	a.head.lvb_offset = sizeof(a.head);
	a.head.length = sizeof(a);
	memset(a.value, 0x77, sizeof(a.value));
	assert_int_equal(take(&a, sizeof(a), &r), 0);
	assert_int_equal(r.marks, LOCK_VALNOTVALID);
	assert_true(r.has_value);
	assert_memory_equal(r.value, a.value, sizeof(a.value));
}

static void a_bast_has_the_mode_that_is_wanted(void **state)
{
	struct answer a = answer(0, true);
	struct dlm_result r;

	(void)state;
	a.head.bast_mode = LOCK_EX;
	assert_int_equal(take(&a, sizeof(a.head), &r), 0);
	assert_true(r.is_blocked);
	assert_int_equal(r.wanted, LOCK_EX);
}

static void what_the_kernel_would_not_say_is_refused(void **state)
{
	struct answer a = answer(0, false);
	struct dlm_result r;
	size_t n;

	(void)state;
	for (n = 0; n < sizeof(a.head); n++)
		assert_int_equal(take(&a, n, &r), -EBADMSG);
	a.head.length++;
	assert_int_equal(take(&a, sizeof(a.head), &r), -EBADMSG);
	a = answer(0, false);
	a.head.version[0] = 7;
	assert_int_equal(take(&a, sizeof(a.head), &r), -EBADMSG);
	a = answer(0, false);
	a.head.user_astparam = NULL;
	assert_int_equal(take(&a, sizeof(a.head), &r), -EBADMSG);
	a = answer(0, false);
	a.head.user_astaddr = &a;
	assert_int_equal(take(&a, sizeof(a.head), &r), -EBADMSG);
	a = answer(5, false);
	assert_int_equal(take(&a, sizeof(a.head), &r), -EBADMSG);
	a = answer(-70000, false);
	assert_int_equal(take(&a, sizeof(a.head), &r), -EBADMSG);
	a = answer(0, true);
	a.head.bast_mode = LOCK_MODES;
	assert_int_equal(take(&a, sizeof(a.head), &r), -EBADMSG);
	a = answer(0, false);
	a.head.lvb_offset = sizeof(a.head);
	assert_int_equal(take(&a, sizeof(a.head), &r), -EBADMSG);
	a.head.lvb_offset = 1;
	a.head.length = sizeof(a);
	assert_int_equal(take(&a, sizeof(a), &r), -EBADMSG);
	a.head.lvb_offset = UINT32_MAX;
	assert_int_equal(take(&a, sizeof(a), &r), -EBADMSG);
}

/* --- the dump: lines of Linux 6.1 --------------------------------------------------------- */

static const char dump[] =
	"id nodeid remid pid xid exflags flags sts grmode rqmode time_ms r_nodeid r_len r_name\n"
	"2 0 0 166 0 0 1 2 3 -1 635487 0 3 \"abc\"\n"
	"3 0 0 166 0 0 1 1 -1 5 634722 0 3 \"abc\"\n"
	"1 0 0 166 0 c 1 2 4 -1 636751 0 2 \"r1\"\n"
	"a 2 1f 166 0 0 20000 2 1 -1 635487 0 3 \"abc\"\n"
	"b 3 20 166 0 0 20000 3 3 5 635487 0 3 \"abc\"\n";

static void a_line_of_the_dump_is_read(void **state)
{
	static const char line[] = "1f 2 a 77 0 8c 20003 3 3 5 635487 0 4 \"a\" b\"";
	struct dlm_dump_line l;
	size_t n;

	(void)state;
	assert_int_equal(dlm_dump_take(line, sizeof(line) - 1, &l), 0);
	assert_int_equal(l.lkid, 0x1f);
	assert_int_equal(l.node, 2);
	assert_true(l.is_master_copy);
	assert_int_equal(l.granted, LOCK_PR);
	assert_int_equal(l.wanted, LOCK_EX);
	assert_int_equal(l.name_length, 4);
	assert_memory_equal(l.name, "a\" b", 4);
	for (n = 1; n < sizeof(line) - 1; n++)
		assert_int_equal(dlm_dump_take(line, n, &l), -EBADMSG);
	assert_int_equal(dlm_dump_take(dump, (size_t)(strchr(dump, '\n') - dump), &l),
			 -ENOENT);
	assert_int_equal(dlm_dump_take("", 0, &l), -ENOENT);
}

static void lines_with_impossible_numbers_are_refused(void **state)
{
	static const char *const lines[] = {
		"100000000 0 0 166 0 0 1 2 3 -1 635487 0 3 \"abc\"",
		"2 -1 0 166 0 0 1 2 3 -1 635487 0 3 \"abc\"",
		"2 0 0 166 0 0 1 9 3 -1 635487 0 3 \"abc\"",
		"2 0 0 166 0 0 1 2 6 -1 635487 0 3 \"abc\"",
		"2 0 0 166 0 0 1 2 3 -2 635487 0 3 \"abc\"",
		"2 0 0 166 0 0 1 2 3 -1 99999999999999999999 0 3 \"abc\"",
		"2 0 0 166 0 0 1 2 3 -1 635487 0 65 \"abc\"",
		"2 0 0 166 0 0 1 2 3 -1 635487 0 4 \"abc\"",
		"2 0 0 166 0 x 1 2 3 -1 635487 0 3 \"abc\"",
	};
	struct dlm_dump_line l;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(lines) / sizeof(*lines); i++)
		assert_int_equal(dlm_dump_take(lines[i], strlen(lines[i]), &l), -EBADMSG);
}

static void who_is_in_the_way_is_in_the_dump(void **state)
{
	uint32_t nodes[4];

	(void)state;
	assert_int_equal(dlm_dump_blockers(dump, strlen(dump), 1, 3, nodes, 4), 3);
	assert_int_equal(nodes[0], 1);
	assert_int_equal(nodes[1], 2);
	assert_int_equal(nodes[2], 3);
	assert_int_equal(dlm_dump_blockers(dump, strlen(dump), 1, 3, nodes, 1), 3);
	/* it holds, and waits for nobody */
	assert_int_equal(dlm_dump_blockers(dump, strlen(dump), 1, 2, nodes, 4), 0);
	assert_int_equal(dlm_dump_blockers(dump, strlen(dump), 1, 99, nodes, 4), 0);
}

static void orphans_are_in_the_dump(void **state)
{
	static const char orphan[] = "1 0 0 1 0 80 3 2 4 -1 9 0 1 \"a\"\n",
			  remote[] = "1 2 7 1 0 80 20003 2 4 -1 9 0 1 \"a\"\n";

	(void)state;
	assert_false(dlm_dump_has_orphan(dump, strlen(dump)));
	assert_true(dlm_dump_has_orphan(orphan, strlen(orphan)));
	assert_false(dlm_dump_has_orphan(remote, strlen(remote)));
}

static void names_of_ours_are_nobody_elses(void **state)
{
	static const char uuid[] = "6d7a5b0e-1111-2222-3333-444455556666";
	char name[DLM_NAME_ROOM], other[DLM_NAME_ROOM], longest[64];

	(void)state;
	dlm_name(uuid, strlen(uuid), name);
	assert_string_equal(name, "mdcl-6d7a5b0e-1111-2222-3333-444455556666");
	memset(longest, 'a', sizeof(longest));
	dlm_name(longest, 59, name);
	assert_int_equal(strlen(name), 64);
	dlm_name(longest, 60, name);
	assert_int_equal(strncmp(name, "mdclx-", 6), 0);
	dlm_name(longest, 61, other);
	assert_string_not_equal(name, other);
	dlm_name("a/b", 3, name);
	assert_int_equal(strncmp(name, "mdclx-", 6), 0);
	assert_null(strchr(name, '/'));
}

static void a_device_shows_that_a_process_made_it(void **state)
{
	static const char misc[] = "121 dlm_tls\n122 dlm_plock\n 55 dlm_mdcl-x\n"
				   "123 dlm-monitor\n  1 psaux\n";

	(void)state;
	assert_true(dlm_has_device(misc, strlen(misc), "tls"));
	assert_true(dlm_has_device(misc, strlen(misc), "mdcl-x"));
	assert_false(dlm_has_device(misc, strlen(misc), "mdcl-"));
	assert_false(dlm_has_device(misc, strlen(misc), "mdcl-xy"));
	assert_false(dlm_has_device(misc, strlen(misc), "monitor"));
	assert_false(dlm_has_device("", 0, "tls"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_request_carries_name_value_and_cookie),
		cmocka_unit_test(an_unlock_carries_the_value),
		cmocka_unit_test(a_conversion_goes_by_number_and_a_purge_by_node),
		cmocka_unit_test(a_completion_has_status_marks_and_value),
		cmocka_unit_test(a_bast_has_the_mode_that_is_wanted),
		cmocka_unit_test(what_the_kernel_would_not_say_is_refused),
		cmocka_unit_test(a_line_of_the_dump_is_read),
		cmocka_unit_test(lines_with_impossible_numbers_are_refused),
		cmocka_unit_test(who_is_in_the_way_is_in_the_dump),
		cmocka_unit_test(orphans_are_in_the_dump),
		cmocka_unit_test(names_of_ours_are_nobody_elses),
		cmocka_unit_test(a_device_shows_that_a_process_made_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
