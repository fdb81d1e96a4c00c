/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Stories that dice write: played on the rig, which has one table and no network, what
 * comes there must come on the lock manager too. Each line is one node's: between
 * nodes there is no order to rely on. RANDOM_STORIES=10000 in the environment for more.
 */
#include "tests/unit/conformance_rig.h"

#include <stdlib.h>
#include <string.h>

#include "tests/unit/conformance_grounds.h"

enum { STORIES = 200, LINES = 60, LOCKS = 3, LINE_ROOM = 1024 };

struct author {
	uint64_t dice;
	bool is_bound[CONFORMANCE_NODES + 1][LOCKS];
	int gone;         /* who left or died; 0: nobody did */
	FILE *to;         /* the line */
};

static uint32_t below(struct author *a, uint32_t limit)
{
	a->dice = a->dice * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (uint32_t)(a->dice >> 33) % limit;
}

static bool one_in(struct author *a, uint32_t n)
{
	return below(a, n) == 0;
}

static const char *some_mode(struct author *a)
{
	return lock_mode_name((enum lock_mode)below(a, LOCK_MODES));
}

static void write_words(struct author *a)
{
	static const struct {
		const char *word;
		uint32_t one_in;
	} words[] = {
		{ "noqueue", 5 }, { "noqueuebast", 12 }, { "headque", 10 },
		{ "noorder", 10 }, { "persistent", 12 }, { "altpr", 12 },
		{ "altcw", 12 }, { "ivvalblk", 10 }, { "nodlckwt", 20 },
		{ "valblk", 6 }, { "value=one", 8 }, { "value=two", 8 },
	};

	for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++)
		if (one_in(a, words[i].one_in))
			fprintf(a->to, " %s", words[i].word);
}

static void write_request(struct author *a, const char *resource)
{
	if (one_in(a, 20)) {
		fprintf(a->to, "lock NL %s expedite", resource);
		return;
	}
	fprintf(a->to, "lock %s %s", some_mode(a), resource);
	write_words(a);
	fprintf(a->to, "%s%s", one_in(a, 2) ? " waiter=1" : "",
		one_in(a, 15) ? " orphan" : "");
}

static void write_conversion(struct author *a)
{
	fprintf(a->to, "convert %s", some_mode(a));
	write_words(a);
	fprintf(a->to, "%s%s", one_in(a, 6) ? " convdeadlk" : "",
		one_in(a, 9) ? " quecvt" : "");
}

static void write_deed(struct author *a, int node)
{
	static const char *const names[LOCKS] = { "a", "b", "c" };
	static const char *const resources[LOCKS] = { "r", "q", "r" };
	uint32_t lock = below(a, LOCKS);

	fprintf(a->to, "%d%s ", node, names[lock]);
	if (!a->is_bound[node][lock] || one_in(a, 4)) {
		a->is_bound[node][lock] = true;
		write_request(a, resources[lock]);
		return;
	}
	switch (below(a, 8)) {
	case 0:
	case 1:
	case 2:
	case 3:
		write_conversion(a);
		break;
	case 4:
	case 5:
		fprintf(a->to, "unlock%s%s", one_in(a, 4) ? " value=end" : "",
			one_in(a, 3) ? " forceunlock" : "");
		break;
	case 6:
		fprintf(a->to, "cancel");
		break;
	default:
		fprintf(a->to, "frees");
		a->is_bound[node][lock] = false;
		break;
	}
}

/* Deeds, as they stand before the arrow. */
static void write_line(struct author *a, char line[LINE_ROOM])
{
	int node = 1 + (int)below(a, CONFORMANCE_NODES);

	if (node == a->gone)
		node = 1 + node % CONFORMANCE_NODES;
	a->to = fmemopen(line, LINE_ROOM, "w");
	assert_non_null(a->to);
	if (!a->gone && one_in(a, 30)) {
		a->gone = node;
		if (one_in(a, 3))
			fprintf(a->to, "%d closes", node);
		else
			fprintf(a->to, "%d dies %s; %d proven", node,
				one_in(a, 2) ? "node" : "process", node);
	} else {
		write_deed(a, node);
		for (int i = 0; i < 2 && one_in(a, 3); i++) {
			fprintf(a->to, "; ");
			write_deed(a, node);
		}
	}
	(void)fclose(a->to);
}

/* A story, as it goes on the rig. */
static char *write_story(uint64_t seed)
{
	struct author author = { .dice = seed * 77777 + 5 };
	struct conformance_ground rig = rig_ground(LOCK_SMALL_LVB);
	struct err err = ERR_INIT;
	struct conformance_play *play = conformance_open(&rig, &err);
	char line[LINE_ROOM], *story;
	size_t size;
	FILE *to = open_memstream(&story, &size);

	assert_non_null(play);
	assert_non_null(to);
	for (int i = 0; i < LINES; i++) {
		write_line(&author, line);
		fprintf(to, "%s -> ", line);
		if (conformance_record(play, line, to, &err) < 0)
			fail_msg("seed %u: '%s': %s", (unsigned int)seed, line, err.text);
	}
	(void)fclose(to);
	conformance_close(play);
	rig_ground_strike(&rig);
	return story;
}

static void what_comes_on_the_rig_comes_on_the_lock_manager(void **state)
{
	static const struct conformance_rig manager = { "lock manager", manager_ground,
							manager_ground_strike };
	const char *more = getenv("RANDOM_STORIES");
	uint64_t count = more ? strtoul(more, NULL, 10) : STORIES;

	(void)state;
	for (uint64_t seed = 1; seed <= count; seed++) {
		struct conformance_story story = { "dice", 0, write_story(seed) };
		struct err err = ERR_INIT;

		if (conformance_rig_play(&manager, &story, LOCK_SMALL_LVB, &err) < 0)
			fail_msg("seed %u: %s", (unsigned int)seed, err.text);
		free((void *)story.lines);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_comes_on_the_rig_comes_on_the_lock_manager),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
