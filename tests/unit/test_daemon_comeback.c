/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Disks that come back: K1..K4, on a clock that the tests turn. */
#include "tests/unit/help.h"

#include <string.h>

#include "mdclusterd/daemon/comeback.h"

#define SECOND 1000000000ull
#define MINUTE (60 * SECOND)

static const uint8_t web[16] = { 1 }, logs[16] = { 2 };
static const uint8_t sda[16] = { 10 }, sdb[16] = { 11 };

struct story {
	struct comeback c;
	uint64_t now_ns;
};

static void begin(struct story *s)
{
	memset(s, 0, sizeof(*s));
	s->now_ns = 5 * SECOND;
}

static enum comeback_verdict came(struct story *s, const uint8_t device[16])
{
	return comeback_came(&s->c, web, device, "/dev/sdz", s->now_ns);
}

/* The next one, when its time has come: how long that was. */
static struct comeback_disk *wait_for(struct story *s, uint64_t *waited_ns)
{
	uint64_t when = comeback_when_ns(&s->c);

	if (when == UINT64_MAX)
		return NULL;
	assert_null(comeback_next(&s->c, when - 1));
	*waited_ns = when - s->now_ns;
	s->now_ns = when;
	return comeback_next(&s->c, s->now_ns);
}

static void comes_back(struct story *s, uint64_t after_ns)
{
	uint64_t waited = 0;
	struct comeback_disk *d;

	comeback_gone(&s->c, web, sda);
	assert_int_equal(came(s, sda), COMEBACK_SOON);
	d = wait_for(s, &waited);
	assert_non_null(d);
	assert_true(waited == after_ns);
	assert_false(comeback_ended(&s->c, d, COMEBACK_RE_ADDED, s->now_ns));
}

static void K1_what_never_vanished_is_left_alone(void **state)
{
	struct story s;

	(void)state;
	begin(&s);
	assert_int_equal(came(&s, sda), COMEBACK_NOT_OURS);
	comeback_gone(&s.c, web, sdb);
	assert_int_equal(came(&s, sda), COMEBACK_NOT_OURS);
	assert_int_equal(comeback_came(&s.c, logs, sdb, "/dev/sdz", s.now_ns), COMEBACK_NOT_OURS);
	assert_true(comeback_when_ns(&s.c) == UINT64_MAX);
}

static void it_comes_back_once_however_often_that_is_told(void **state)
{
	struct story s;
	uint64_t waited;
	struct comeback_disk *d;

	(void)state;
	begin(&s);
	comeback_gone(&s.c, web, sda);
	for (int i = 0; i < 5; i++)
		assert_int_equal(came(&s, sda), COMEBACK_SOON);
	d = wait_for(&s, &waited);
	assert_string_equal(d->path, "/dev/sdz");
	assert_null(comeback_next(&s.c, s.now_ns + MINUTE));
	assert_int_equal(came(&s, sda), COMEBACK_SOON); /* amid it */
	assert_null(comeback_next(&s.c, s.now_ns + MINUTE));
	comeback_ended(&s.c, d, COMEBACK_RE_ADDED, s.now_ns);
	assert_int_equal(came(&s, sda), COMEBACK_NOT_OURS); /* its closing is a change */
	assert_null(comeback_next(&s.c, s.now_ns + MINUTE));
}

static void K2_K3_a_disk_that_flaps_is_waited_for_longer_and_then_left(void **state)
{
	struct story s;

	(void)state;
	begin(&s);
	comes_back(&s, 1 * SECOND);
	comes_back(&s, 10 * SECOND);
	comes_back(&s, 100 * SECOND);
	comeback_gone(&s.c, web, sda);
	assert_int_equal(came(&s, sda), COMEBACK_TOO_OFTEN);
	assert_int_equal(came(&s, sda), COMEBACK_NOT_OURS); /* said once */
	assert_true(comeback_when_ns(&s.c) == UINT64_MAX);
	/* each of its next times is told again, but none helps within the hour */
	comeback_gone(&s.c, web, sda);
	assert_int_equal(came(&s, sda), COMEBACK_TOO_OFTEN);
	s.now_ns += 60 * MINUTE;
	comes_back(&s, 1 * SECOND);
}

static void K2_each_disk_has_its_own_count(void **state)
{
	struct story s;
	uint64_t waited;

	(void)state;
	begin(&s);
	comes_back(&s, 1 * SECOND);
	comes_back(&s, 10 * SECOND);
	comes_back(&s, 100 * SECOND);
	comeback_gone(&s.c, web, sdb);
	assert_int_equal(came(&s, sdb), COMEBACK_SOON);
	assert_non_null(wait_for(&s, &waited));
	assert_true(waited == SECOND);
}

static void K3_who_vanishes_in_the_pause_is_not_re_added(void **state)
{
	struct story s;

	(void)state;
	begin(&s);
	comeback_gone(&s.c, web, sda);
	came(&s, sda);
	comeback_gone(&s.c, web, sda);
	assert_true(comeback_when_ns(&s.c) == UINT64_MAX);
	assert_null(comeback_next(&s.c, s.now_ns + MINUTE));
}

static void who_vanishes_amid_it_is_waited_for_anew(void **state)
{
	struct story s;
	uint64_t waited;
	struct comeback_disk *d;

	(void)state;
	begin(&s);
	comeback_gone(&s.c, web, sda);
	came(&s, sda);
	d = wait_for(&s, &waited);
	comeback_gone(&s.c, web, sda);
	assert_false(comeback_ended(&s.c, d, COMEBACK_REFUSED_FOR_GOOD, s.now_ns));
	assert_int_equal(came(&s, sda), COMEBACK_SOON);
	assert_non_null(wait_for(&s, &waited));
}

static void K4_what_is_refused_for_now_is_tried_ever_more_rarely(void **state)
{
	struct story s;
	uint64_t waited, wanted = 2 * SECOND;
	struct comeback_disk *d;

	(void)state;
	begin(&s);
	comeback_gone(&s.c, web, sda);
	came(&s, sda);
	d = wait_for(&s, &waited);
	for (int i = 1; i < COMEBACK_TRIES; i++, wanted *= 2) {
		assert_false(comeback_ended(&s.c, d, COMEBACK_REFUSED, s.now_ns));
		d = wait_for(&s, &waited);
		assert_non_null(d);
		assert_true(waited == wanted);
	}
	assert_true(comeback_ended(&s.c, d, COMEBACK_REFUSED, s.now_ns));
	assert_true(comeback_when_ns(&s.c) == UINT64_MAX);
	/* refused it was not re-added: its count is untouched */
	comes_back(&s, 1 * SECOND);
}

static void K4_what_is_refused_for_good_is_told_at_once(void **state)
{
	struct story s;
	uint64_t waited;

	(void)state;
	begin(&s);
	comeback_gone(&s.c, web, sda);
	came(&s, sda);
	assert_true(comeback_ended(&s.c, wait_for(&s, &waited), COMEBACK_REFUSED_FOR_GOOD,
				   s.now_ns));
	assert_int_equal(came(&s, sda), COMEBACK_NOT_OURS);
}

static void of_more_than_there_is_room_for_the_oldest_is_forgotten(void **state)
{
	struct story s;
	uint8_t device[16] = { 0 };

	(void)state;
	begin(&s);
	for (int i = 0; i <= COMEBACK_DISKS; i++) {
		device[0] = (uint8_t)i;
		device[1] = 1;
		comeback_gone(&s.c, web, device);
	}
	device[0] = 0;
	assert_int_equal(came(&s, device), COMEBACK_NOT_OURS);
	device[0] = COMEBACK_DISKS;
	assert_int_equal(came(&s, device), COMEBACK_SOON);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(K1_what_never_vanished_is_left_alone),
		cmocka_unit_test(it_comes_back_once_however_often_that_is_told),
		cmocka_unit_test(K2_K3_a_disk_that_flaps_is_waited_for_longer_and_then_left),
		cmocka_unit_test(K2_each_disk_has_its_own_count),
		cmocka_unit_test(K3_who_vanishes_in_the_pause_is_not_re_added),
		cmocka_unit_test(who_vanishes_amid_it_is_waited_for_anew),
		cmocka_unit_test(K4_what_is_refused_for_now_is_tried_ever_more_rarely),
		cmocka_unit_test(K4_what_is_refused_for_good_is_told_at_once),
		cmocka_unit_test(of_more_than_there_is_room_for_the_oldest_is_forgotten),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
