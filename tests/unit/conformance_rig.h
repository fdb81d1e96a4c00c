/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The stories of tests/locks as unit tests, each on a ground of its own. */
#pragma once

#include "tests/unit/help.h"

#include "tests/locks/conformance.h"

struct conformance_rig {
	const char *name;
	struct conformance_ground (*set)(uint32_t lvb_bytes);
	void (*strike)(struct conformance_ground *ground); /* and nothing was broken */
};

/* As conformance_play(), on a fresh ground. */
int conformance_rig_play(const struct conformance_rig *rig,
			 const struct conformance_story *story, uint32_t lvb_bytes,
			 struct err *err);
/* All in one life of the ground, or fails. */
void conformance_rig_play_all(const struct conformance_ground *ground);
/* All stories with values of both sizes; all in one life of a ground; and these. */
int conformance_rig_run(const struct conformance_rig *rig, const struct CMUnitTest *more,
			size_t more_count);
