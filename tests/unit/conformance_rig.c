/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/unit/conformance_rig.h"

#include <stdlib.h>
#include <string.h>

struct scene {
	const struct conformance_rig *rig;
	const struct conformance_story *story; /* NULL: all */
};

int conformance_rig_play(const struct conformance_rig *rig,
			 const struct conformance_story *story, uint32_t lvb_bytes,
			 struct err *err)
{
	struct conformance_ground ground = rig->set(lvb_bytes);
	struct conformance_play *play = conformance_open(&ground, err);
	int r = play ? conformance_play(play, story, err) : err->code;

	if (play)
		conformance_close(play);
	rig->strike(&ground);
	return r;
}

static void story_holds(void **state)
{
	const struct scene *scene = *state;
	struct err err = ERR_INIT;

	assert_ok(conformance_rig_play(scene->rig, scene->story, LOCK_SMALL_LVB, &err), err);
	assert_ok(conformance_rig_play(scene->rig, scene->story, LOCK_LARGE_LVB, &err), err);
}

void conformance_rig_play_all(const struct conformance_ground *ground)
{
	char *told;
	size_t size;
	FILE *to = open_memstream(&told, &size);
	int failed;

	assert_non_null(to);
	failed = conformance_main(ground, NULL, to);
	(void)fclose(to);
	if (failed)
		fail_msg("%s", strstr(told, "FAILED"));
	free(told);
}

static void all_stories_hold_in_one_life(void **state)
{
	const struct scene *scene = *state;
	struct conformance_ground ground = scene->rig->set(LOCK_LARGE_LVB);

	conformance_rig_play_all(&ground);
	scene->rig->strike(&ground);
}

int conformance_rig_run(const struct conformance_rig *rig, const struct CMUnitTest *more,
			size_t more_count)
{
	size_t count, i;
	const struct conformance_story *stories = conformance_stories(&count);
	struct CMUnitTest *tests = calloc(count + 1 + more_count, sizeof(*tests));
	struct scene *scenes = calloc(count + 1, sizeof(*scenes));
	int failed;

	assert_non_null(tests);
	assert_non_null(scenes);
	for (i = 0; i < count; i++) {
		scenes[i] = (struct scene){ rig, &stories[i] };
		tests[i] = (struct CMUnitTest){ .name = stories[i].name,
						.test_func = story_holds,
						.initial_state = &scenes[i] };
	}
	scenes[i] = (struct scene){ rig, NULL };
	tests[i++] = (struct CMUnitTest){ .name = "all_stories_hold_in_one_life",
					  .test_func = all_stories_hold_in_one_life,
					  .initial_state = &scenes[count] };
	for (size_t j = 0; j < more_count; j++)
		tests[i++] = more[j];
	failed = _cmocka_run_group_tests(rig->name, tests, i, NULL, NULL);
	free(scenes);
	free(tests);
	return failed;
}
