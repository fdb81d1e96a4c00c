/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The write-intent log: what it promises to who writes (I1, I3, I4, I6). */
#include "tests/unit/intent_rig.h"

#include <errno.h>
#include <string.h>

enum { CHUNKS = 100000, PAGE_1 = 30720, PAGE_2 = PAGE_1 + 32768 };

static void start(struct intent_rig *rig, uint32_t disks)
{
	intent_rig_init(rig, 1, disks, CHUNKS);
	intent_rig_start(rig);
}

/* I1, D1 */
static void a_write_goes_on_when_its_bit_is_durable_on_every_disk(void **state)
{
	struct intent_rig rig;
	struct rig_write w;
	uint64_t seed;

	(void)state;
	for (seed = 1; seed <= 50; seed++) {
		intent_rig_init(&rig, seed, 3, CHUNKS);
		intent_rig_start(&rig);
		assert_int_equal(rig_begin(&rig, &w, 77, 77), INTENT_WAIT);
		while (w.calls == 0)
			assert_true(intent_rig_step(&rig));
		disk_world_cut_power(rig.world);
		assert_true(rig_bit_everywhere(&rig, 77));
		intent_rig_drain(&rig);
		rig_expect_others_untouched(&rig);
		intent_rig_fini(&rig);
	}
}

/* I3 */
static void a_hit_waits_for_nothing(void **state)
{
	struct intent_rig rig;
	struct rig_write a, b, c;

	(void)state;
	start(&rig, 2);
	rig_write(&rig, 5);
	assert_int_equal(rig_begin(&rig, &a, 6, 6), INTENT_WAIT);
	/* its page is being written for somebody else */
	assert_int_equal(rig_begin(&rig, &b, 5, 5), INTENT_READY);
	assert_int_equal(rig_begin(&rig, &c, 5, 5), INTENT_READY);
	assert_int_equal(rig_look(&rig).hits, 2);
	assert_int_equal(rig_look(&rig).misses, 2);
	intent_rig_drain(&rig);
	assert_int_equal(a.calls, 1);
	rig_end(&a, false);
	rig_end(&b, false);
	rig_end(&c, false);
	assert_true(intent_is_idle(rig.in));
	intent_rig_fini(&rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_write_goes_on_when_its_bit_is_durable_on_every_disk),
		cmocka_unit_test(a_hit_waits_for_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
