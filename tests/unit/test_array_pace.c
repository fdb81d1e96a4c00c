/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Resync while applications are at work: slow on average, and in nobody's way meanwhile. */
#include "tests/unit/array_rig.h"
#include "tests/unit/help.h"

#include "base/arith.h"

enum { CHUNKS = 4 };

/* A node that wrote to chunks far apart has died; one survivor has all of them to resync. */
static struct array_rig *after_a_death(bool is_busy)
{
	struct array_rig *rig = array_rig_new(3, 1);

	array_rig_start_all(rig);
	for (int i = 0; i < CHUNKS; i++)
		assert_true(array_rig_write(rig, 3, 16 * i));
	rig->nodes[1].plane.is_busy = rig->nodes[2].plane.is_busy = is_busy;
	rig->jumped_ns = 0;
	array_rig_kill(rig, 3);
	array_rig_prove(rig, 3);
	return rig;
}

/* Until nothing is needed; how long that took. */
static uint64_t resync_ns(struct array_rig *rig)
{
	array_rig_run_seconds(rig, 30);
	assert_int_equal(rig->nodes[1].plane.needed | rig->nodes[2].plane.needed, 0);
	array_rig_check_healthy(rig);
	return rig->jumped_ns;
}

static void applications_at_work_get_pauses(void **state)
{
	/* ARRAY_SHARE_BYTES is all of it, so one node has all chunks; the first is at once */
	const uint64_t least_ns = (CHUNKS - 2) * (RIG_CHUNK_BYTES * 1000000000ull / 50000000);
	struct array_rig *rig = after_a_death(true);

	(void)state;
	assert_true(resync_ns(rig) >= least_ns);
	array_rig_free(rig);
	rig = after_a_death(false);
	resync_ns(rig);
	array_rig_free(rig);
}

static void in_a_pause_nothing_is_suspended(void **state)
{
	struct array_rig *rig = after_a_death(true);
	unsigned int pauses = 0;

	(void)state;
	for (int i = 0; i < 1000 && !pauses; i++) {
		const struct rig_plane *p1 = &rig->nodes[1].plane, *p2 = &rig->nodes[2].plane;

		array_rig_settle(rig);
		if ((p1->needed | p2->needed) && p1->synced_chunks + p2->synced_chunks > 0) {
			for (int slot = 0; slot < ARRAY_MAX_NODES; slot++) {
				assert_int_equal(p1->suspended[slot].high, 0);
				assert_int_equal(p2->suspended[slot].high, 0);
			}
			pauses++;
		}
		array_rig_run_next(rig);
	}
	assert_int_equal(pauses, 1);
	resync_ns(rig);
	array_rig_free(rig);
}

/* The most that was synced in one window, of 64 chunks of 64 MiB, quickly. */
static uint64_t biggest_window_bytes(uint64_t max_speed_bytes, bool is_busy)
{
	struct array_rig *rig = array_rig_new(3, 1);
	uint64_t biggest;

	array_rig_start_all(rig);
	for (int c = 0; c < ARRAY_RIG_CHUNKS; c++)
		assert_true(array_rig_write(rig, 3, c));
	for (int i = 1; i <= 2; i++) {
		array_set_speed(rig->nodes[i].array, max_speed_bytes, max_speed_bytes);
		rig->nodes[i].plane.is_busy = is_busy;
	}
	array_rig_kill(rig, 3);
	array_rig_prove(rig, 3);
	resync_ns(rig);
	biggest = max_u64(rig->nodes[1].plane.biggest_sync, rig->nodes[2].plane.biggest_sync);
	array_rig_free(rig);
	return biggest * 512;
}

/* Whoever writes there waits for the whole of it. */
static void no_window_takes_long_where_speed_is_limited(void **state)
{
	const uint64_t second_bytes = 20ull * RIG_CHUNK_BYTES;

	(void)state;
	assert_int_equal(biggest_window_bytes(second_bytes, false), 2 * RIG_CHUNK_BYTES);
	assert_int_equal(biggest_window_bytes(second_bytes / 2, false), RIG_CHUNK_BYTES);
}

static void applications_at_work_make_windows_small(void **state)
{
	(void)state;
	assert_int_equal(biggest_window_bytes(80ull * RIG_CHUNK_BYTES, false),
			 ARRAY_MAX_WINDOW_BYTES);
	assert_int_equal(biggest_window_bytes(40ull * RIG_CHUNK_BYTES, true),
			 2 * RIG_CHUNK_BYTES);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(applications_at_work_get_pauses),
		cmocka_unit_test(in_a_pause_nothing_is_suspended),
		cmocka_unit_test(no_window_takes_long_where_speed_is_limited),
		cmocka_unit_test(applications_at_work_make_windows_small),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
