/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A disk that works is replaced: what comes next, from every state that the array can be found
 * in. What a user would lose: a copy in sync, or the copy that somebody wanted.
 */
#include "tests/unit/help.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "mdclusterd/control/status.h"
#include "tools/replace.h"

enum { OLD = 1, NEW = 2 };

static struct status_array array;

static void disk(uint32_t number, uint32_t role, const char *state)
{
	struct status_disk *d = &array.disks[array.disk_count++];

	memset(d, 0, sizeof(*d));
	snprintf(d->path, sizeof(d->path), "/dev/sd%c", 'a' + (char)number);
	snprintf(d->state, sizeof(d->state), "%s", state);
	d->number = number;
	d->role = role;
}

/* A mirror of a, which is in sync, and of what is added to it. */
static void mirror(uint32_t raid_disks)
{
	memset(&array, 0, sizeof(array));
	strcpy(array.level, "raid1");
	array.raid_disks = raid_disks;
	disk(0, 0, "in_sync");
}

static struct replace replace(void)
{
	return (struct replace){
		.array = "web",
		.old = { "/dev/sdb", true, OLD },
		.new = { "/dev/sdc", true, NEW },
	};
}

static void expect(struct replace *r, enum replace_step wanted)
{
	struct err err = ERR_INIT;
	enum replace_step step;

	if (replace_next(r, &array, false, &step, &err) < 0)
		fail_msg("refused: %s", err.text);
	assert_int_equal(step, wanted);
}

static void expect_refusal(struct replace *r, const char *words)
{
	struct err err = ERR_INIT;
	enum replace_step step;

	assert_true(replace_next(r, &array, false, &step, &err) < 0);
	if (!strstr(err.text, words))
		fail_msg("'%s' is not in: %s", words, err.text);
}

/* As it is found, or as it has become for one who began when all was well. */
static void look_for_loss(const char *first, const char *new, uint32_t roles, bool has_begun)
{
	struct replace r = replace();
	struct err err = ERR_INIT;
	enum replace_step step;
	uint32_t in_sync = 0;

	r.copies = has_begun ? roles - 1 : 0;
	mirror(roles);
	array.disk_count = 0;
	disk(0, 0, first);
	disk(OLD, 1, "in_sync");
	disk(NEW, roles - 1, new);
	if (roles == 4)
		disk(3, 2, "in_sync");
	for (uint32_t i = 0; i < array.disk_count; i++)
		in_sync += array.disks[i].number != OLD &&
			   strcmp(array.disks[i].state, "in_sync") == 0;
	if (replace_next(&r, &array, false, &step, &err) < 0 || step != REPLACE_FAIL)
		return;
	assert_true(in_sync >= roles - 1);
	assert_true(in_sync >= 2);
}

static void the_old_one_is_never_failed_before_as_many_others_are_in_sync(void **state)
{
	static const char *const states[] = { "in_sync", "rebuild", "faulty", "spare",
					      "missing", "stale" };

	(void)state;
	for (size_t first = 0; first < 6; first++)
		for (size_t new = 0; new < 6; new++)
			for (uint32_t roles = 3; roles <= 4; roles++) {
				look_for_loss(states[first], states[new], roles, false);
				look_for_loss(states[first], states[new], roles, true);
			}
}

static void it_goes_on_from_each_step(void **state)
{
	struct replace r = replace();

	(void)state;
	r.new.is_known = false;
	mirror(2);
	disk(OLD, 1, "in_sync");
	expect(&r, REPLACE_ADD);
	for (int is_again = 0; is_again < 2; is_again++) {
		/* the same one goes on, or each time another */
#define AGAIN() do { if (is_again) r = replace(); } while (0)
		r = replace();
		mirror(2);
		disk(OLD, 1, "in_sync");
		disk(NEW, 2, "spare");
		expect(&r, REPLACE_GROW);
		mirror(3);
		disk(OLD, 1, "in_sync");
		disk(NEW, 3, "spare");
		AGAIN();
		expect(&r, REPLACE_WAIT);
		mirror(3);
		disk(OLD, 1, "in_sync");
		disk(NEW, 2, "rebuild");
		AGAIN();
		expect(&r, REPLACE_WAIT);
		mirror(3);
		disk(OLD, 1, "in_sync");
		disk(NEW, 2, "in_sync");
		AGAIN();
		expect(&r, REPLACE_FAIL);
		mirror(3);
		disk(OLD, 3, "faulty");
		disk(NEW, 2, "in_sync");
		AGAIN();
		expect(&r, REPLACE_SHRINK);
		assert_int_equal(r.copies, 2);
		mirror(2);
		disk(OLD, 2, "faulty");
		disk(NEW, 1, "in_sync");
		AGAIN();
		expect(&r, REPLACE_REMOVE);
		mirror(2);
		disk(NEW, 1, "in_sync");
		AGAIN();
		expect(&r, REPLACE_DONE);
#undef AGAIN
	}
}

static void the_old_one_may_fail_by_itself(void **state)
{
	struct replace r = replace();

	(void)state;
	mirror(3);
	disk(OLD, 3, "faulty");
	disk(NEW, 2, "rebuild");
	expect(&r, REPLACE_WAIT);
	assert_int_equal(r.copies, 2);
	/* before the copy more: its own role is the new one's */
	mirror(2);
	disk(OLD, 2, "faulty");
	disk(NEW, 1, "rebuild");
	r = replace();
	expect(&r, REPLACE_WAIT);
	mirror(2);
	disk(OLD, 2, "faulty");
	disk(NEW, 1, "in_sync");
	expect(&r, REPLACE_REMOVE);
}

static void without_a_name_nothing_is_gone_on_with(void **state)
{
	struct replace r = replace();

	(void)state;
	r.new = (struct replace_disk){ 0 };
	mirror(3);
	disk(OLD, 1, "in_sync");
	disk(NEW, 2, "in_sync"); /* three are wanted, or not */
	expect_refusal(&r, "no spare that could replace");
	mirror(3);
	disk(OLD, 1, "in_sync");
	disk(NEW, 2, "rebuild");
	expect_refusal(&r, "If it shall replace /dev/sdb");
	mirror(3);
	disk(OLD, 3, "faulty");
	disk(NEW, 2, "in_sync");
	expect_refusal(&r, "not in use any more");
}

static void a_wanted_copy_that_is_missing_is_not_given_up(void **state)
{
	struct replace r = replace();

	(void)state;
	r.new.is_known = false;
	mirror(3);
	disk(OLD, 1, "in_sync");
	expect_refusal(&r, "3 roles, and disks for 2");
	r = replace();
	mirror(3);
	disk(OLD, 2, "in_sync");
	disk(NEW, 1, "rebuild"); /* in a place that was there before */
	expect_refusal(&r, "where no replacement comes");
}

static void a_mirror_never_has_less_than_two(void **state)
{
	struct replace r = replace();

	(void)state;
	memset(&array, 0, sizeof(array));
	strcpy(array.level, "raid1");
	array.raid_disks = 2;
	disk(OLD, 0, "in_sync");
	disk(NEW, 1, "in_sync");
	expect_refusal(&r, "only two");
	array.disk_count = 0;
	disk(OLD, 2, "faulty");
	disk(NEW, 1, "in_sync");
	expect_refusal(&r, "mdcluster add web DISK first");
}

static void a_new_one_that_fails_leaves_what_there_was(void **state)
{
	struct replace r = replace();

	(void)state;
	mirror(2);
	disk(OLD, 1, "in_sync");
	disk(NEW, 2, "spare");
	expect(&r, REPLACE_GROW);
	mirror(3);
	disk(OLD, 1, "in_sync");
	disk(NEW, 3, "faulty");
	expect(&r, REPLACE_SHRINK);
	mirror(2);
	disk(OLD, 1, "in_sync");
	disk(NEW, 2, "faulty");
	expect(&r, REPLACE_REMOVE_NEW);
	mirror(2);
	disk(OLD, 1, "in_sync");
	expect_refusal(&r, "/dev/sdc has failed, and /dev/sdb is in use as it was");
}

static void another_spare_would_take_the_place(void **state)
{
	struct replace r = replace();

	(void)state;
	mirror(2);
	disk(OLD, 1, "in_sync");
	disk(NEW, 2, "spare");
	disk(3, 3, "spare");
	expect_refusal(&r, "its spare /dev/sdd would take the place");
	mirror(3); /* it came later */
	disk(OLD, 1, "in_sync");
	disk(NEW, 2, "in_sync");
	disk(3, 3, "spare");
	r = replace();
	expect_refusal(&r, "its spare /dev/sdd would take the place");
}

static void eight_copies_are_the_most(void **state)
{
	struct replace r = replace();

	(void)state;
	mirror(8);
	disk(OLD, 1, "in_sync");
	for (uint32_t i = 2; i < 8; i++)
		disk(i + 2, i, "in_sync");
	disk(NEW, 8, "spare");
	expect_refusal(&r, "8 copies");
}

static void a_raid10_is_without_redundancy_only_if_that_is_said(void **state)
{
	struct replace r = replace();

	(void)state;
	mirror(2);
	strcpy(array.level, "raid10");
	disk(OLD, 1, "in_sync");
	disk(NEW, 2, "spare");
	expect_refusal(&r, "--force");
	r = replace();
	r.is_forced = true;
	expect(&r, REPLACE_FAIL);
	array.disk_count = 1;
	disk(OLD, 2, "faulty");
	disk(NEW, 1, "in_sync");
	expect(&r, REPLACE_REMOVE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_old_one_is_never_failed_before_as_many_others_are_in_sync),
		cmocka_unit_test(it_goes_on_from_each_step),
		cmocka_unit_test(the_old_one_may_fail_by_itself),
		cmocka_unit_test(without_a_name_nothing_is_gone_on_with),
		cmocka_unit_test(a_wanted_copy_that_is_missing_is_not_given_up),
		cmocka_unit_test(a_mirror_never_has_less_than_two),
		cmocka_unit_test(a_new_one_that_fails_leaves_what_there_was),
		cmocka_unit_test(another_spare_would_take_the_place),
		cmocka_unit_test(eight_copies_are_the_most),
		cmocka_unit_test(a_raid10_is_without_redundancy_only_if_that_is_said),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
