/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The conformance suite (tests/locks) on the lock manager, on whole rings in the
 * simulator, in good weather and in bad.
 */
#include "tests/unit/conformance_rig.h"

#include "lockres/lock_manager.h"
#include "tests/sim/world.h"
#include "tests/unit/conformance_grounds.h"

enum {
	BAD_WEATHER = 7, /* all takes so many times as long */
	SEEDS = 3,
};

static void all_stories_hold_in_bad_weather(void **state)
{
	static const struct sim_faults bad = {
		.loss_ppm = 20000,
		.duplicate_ppm = 20000,
		.delay_min_ns = SIM_MS / 5,
		.delay_max_ns = 3 * SIM_MS,
	};

	(void)state;
	for (uint64_t seed = 1; seed <= SEEDS; seed++) {
		struct conformance_ground ground =
			manager_ground_in(LOCK_SMALL_LVB, seed, &bad, BAD_WEATHER);

		conformance_rig_play_all(&ground);
		manager_ground_strike(&ground);
	}
}

/* Messages of node 1 in which locks were asked for, in a story. */
static uint64_t batches_of(const char *lines)
{
	const struct conformance_story story = { "tale", 0, lines };
	struct conformance_ground ground = manager_ground(LOCK_SMALL_LVB);
	struct err err = ERR_INIT;
	struct conformance_play *play = conformance_open(&ground, &err);
	uint64_t batches;

	assert_non_null(play);
	assert_ok(conformance_play(play, &story, &err), err);
	batches = lock_manager_stats(manager_ground_world(&ground)->nodes[0].locks)->batches;
	conformance_close(play);
	manager_ground_strike(&ground);
	return batches;
}

static void what_is_asked_between_begin_and_end_travels_together(void **state)
{
	(void)state;
	assert_int_equal(batches_of("1 lock NL a; 1b lock NL b; 1c lock NL c\n"),
			 batches_of("1 begins; 1 lock NL a; 1b lock NL b; 1c lock NL c; "
				    "1 ends\n") + 2);
}

int main(void)
{
	static const struct conformance_rig rig = { "conformance of the lock manager",
						    manager_ground,
						    manager_ground_strike };
	static const struct CMUnitTest more[] = {
		cmocka_unit_test(all_stories_hold_in_bad_weather),
		cmocka_unit_test(what_is_asked_between_begin_and_end_travels_together),
	};

	return conformance_rig_run(&rig, more, sizeof(more) / sizeof(*more));
}
