/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The conformance suite (tests/locks) on the rig: one lock table, no network. And the
 * suite itself: a story that is wrong is told where, and why.
 */
#include "tests/unit/conformance_rig.h"

#include <string.h>

#include "tests/unit/conformance_grounds.h"
#include "tests/unit/lock_rig.h"

static const struct conformance_rig rig = { "conformance of the rig", rig_ground,
					    rig_ground_strike };

static void all_stories_hold_without_order_over_resources(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 20; seed++) {
		struct conformance_ground ground = rig_ground(LOCK_SMALL_LVB);

		lock_rig_shuffle(ground.owner, seed);
		conformance_rig_play_all(&ground);
		rig_ground_strike(&ground);
	}
}

/* --- the suite itself -------------------------------------------------------------------- */

static void fails(const char *lines, const char *first, const char *second)
{
	const struct conformance_story story = { "tale", 0, lines };
	struct err err = ERR_INIT;

	assert_true(conformance_rig_play(&rig, &story, LOCK_SMALL_LVB, &err) < 0);
	if (!strstr(err.text, first) || !strstr(err.text, second))
		fail_msg("'%s' has not '%s' and '%s'", err.text, first, second);
}

static void wrong_story_is_told_with_its_line(void **state)
{
	(void)state;
	fails("1 lock EX r\n2 lock EX r -> 2 granted EX\n",
	      "tale: line 2 '2 lock EX r", "expected 2 granted EX; came 1 blocked EX");
	fails("1 lock EX r -> nothing\n", "line 1", "expected nothing; came 1 granted EX");
	fails("1 lock EX r -> 1 granted EX, 1 blocked EX\n", "line 1", "came 1 granted EX");
	fails("1 lock EX r\n\n1 convert NL value=x\n1 convert EX valblk -> "
	      "1 granted EX value=y\n", "line 4", "came 1 granted EX value=x");
	fails("1 lock EX r\n1 unlock; 1 cancel -> 1 unlocked, 1 granted EX\n", "line 2", "");
	fails("1 lock PR r; 1b lock PR q -> 1b granted PR\n", "line 1",
	      "came 1 granted PR, 1b granted PR");
}

static void line_that_is_no_line_is_told(void **state)
{
	(void)state;
	fails("1 lack EX r\n", "line 1", "'lack' is no deed");
	fails("1 lock EY r\n", "line 1", "'lock' needs more than it has");
	fails("1 lock EX r quickly\n", "line 1", "'quickly' is no word");
	fails("one lock EX r\n", "line 1", "'one' is no lock and no node");
	fails("1 lock EX r -> \n", "line 1", "an event is missing");
	fails("1 lock EX r;\n", "line 1", "a deed is missing");
	fails("9 lock EX r\n", "line 1", "there is no node 9");
	fails("1 convert EX\n", "line 1", "'1' was never locked");
	fails("time soon\n", "line 1", "'soon' is no time");
}

static void optional_events_may_come_or_not(void **state)
{
	const struct conformance_story story = { "tale", 0,
		"1 lock EX r -> ?1 blocked PR, 1 granted EX, ?1 blocked EX\n"
		"2 lock EX r -> ?1 blocked EX\n" };
	struct err err = ERR_INIT;

	(void)state;
	assert_ok(conformance_rig_play(&rig, &story, LOCK_SMALL_LVB, &err), err);
	fails("1 lock EX r\n2 lock PR r -> ?1 blocked EX\n", "line 2", "?1 blocked EX");
}

static void story_is_left_out_where_the_ground_cannot(void **state)
{
	const struct conformance_story story = { "tale", LACKS_CYCLES, "nonsense\n" };
	struct conformance_ground ground = rig_ground(LOCK_SMALL_LVB);
	struct err err = ERR_INIT;
	struct conformance_play *play = conformance_open(&ground, &err);

	(void)state;
	assert_non_null(play);
	ground.lacks = LACKS_CYCLES;
	assert_int_equal(conformance_play(play, &story, &err), 1);
	conformance_close(play);
	lock_rig_free(ground.owner);
}

int main(void)
{
	static const struct CMUnitTest own[] = {
		cmocka_unit_test(all_stories_hold_without_order_over_resources),
		cmocka_unit_test(wrong_story_is_told_with_its_line),
		cmocka_unit_test(line_that_is_no_line_is_told),
		cmocka_unit_test(optional_events_may_come_or_not),
		cmocka_unit_test(story_is_left_out_where_the_ground_cannot),
	};

	return conformance_rig_run(&rig, own, sizeof(own) / sizeof(*own));
}
