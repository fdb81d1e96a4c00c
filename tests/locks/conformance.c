/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* All stories as one list. */
#include "tests/locks/stories.h"

#include <assert.h>
#include <string.h>

enum { MAX_STORIES = 256 };

static struct conformance_story all[MAX_STORIES];
static size_t all_count;

static void add(const struct story_table *table)
{
	assert(all_count + table->count <= MAX_STORIES);
	memcpy(all + all_count, table->stories, table->count * sizeof(*all));
	all_count += table->count;
}

const struct conformance_story *conformance_stories(size_t *count)
{
	if (all_count == 0) {
		add(stories_of_modes());
		add(&stories_of_queues);
		add(&stories_of_conversions);
		add(&stories_of_flags);
		add(&stories_of_blocking);
		add(&stories_of_values);
		add(&stories_of_deaths);
		add(&stories_of_endings);
		add(&stories_of_orphans);
		add(&stories_of_cycles);
		add(&stories_of_members);
	}
	*count = all_count;
	return all;
}
