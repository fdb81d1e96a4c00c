/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The tables of stories, which conformance.c makes one. */
#pragma once

#include "tests/locks/conformance.h"

struct story_table {
	const struct conformance_story *stories;
	size_t count;
};

extern const struct story_table stories_of_queues, stories_of_conversions,
	stories_of_flags, stories_of_blocking, stories_of_values, stories_of_deaths,
	stories_of_orphans, stories_of_endings, stories_of_cycles,
	stories_of_members;

/* Mode pair by mode pair, from the matrices. */
const struct story_table *stories_of_modes(void);

#define STORY_TABLE(table)                                                   \
	{ table, sizeof(table) / sizeof(*(table)) }
