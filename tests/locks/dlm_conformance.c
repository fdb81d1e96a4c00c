/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The conformance suite on a real kernel's DLM: four engines in this process are the
 * nodes, on one kernel (dlm_one_kernel.c), with groups on a bus (tests/unit/bus.h).
 * Where corosync and dlm_controld run (tests/vm/dlm-conformance.sh):
 *
 *	dlm-conformance [--quiet MS] [PART-OF-A-NAME [INDEX-OF-THE-FIRST]]
 *	dlm-conformance [--quiet MS] --one-life [NAME-TO-LEAVE-OUT]...
 *
 * Each story has a new lockspace; one that fails is told, and the next one is played.
 * Or all have one, until one fails: then their resources differ (N/r, N/q, ... of the
 * N-th that is played), and another node can be made the master of all of them, by
 * locks that it takes before. Answers take longer then: what has not come for MS is taken
 * for what does not come.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/loop.h"
#include "lockres/lockspace_dlm.h"
#include "tests/locks/conformance.h"
#include "tests/unit/bus.h"

enum {
	SLICE_MS = 5,
	QUIET_MS = 15, /* nothing has come for so long: all is told */
};

static int quiet_ms = QUIET_MS;

struct scene {
	struct loop *loop;
	struct bus *bus;
	struct lockspace_dlm *nodes[CONFORMANCE_NODES + 1];
	uint64_t incarnations;
};

static void stop(void *owner)
{
	loop_stop(((struct scene *)owner)->loop);
}

static void run_slice(struct scene *s, uint32_t ms)
{
	struct err err = ERR_INIT;

	bus_run(s->bus);
	if (!loop_timer_start(s->loop, ms, stop, s, &err))
		abort();
	loop_run(s->loop);
	bus_run(s->bus);
}

/* Grows with whatever happens. */
static uint64_t activity(const struct scene *s)
{
	uint64_t sum = 0;
	int i;

	for (i = 1; i <= CONFORMANCE_NODES; i++)
		if (s->nodes[i]) {
			const struct lockspace_dlm_stats *t =
				lockspace_dlm_stats(s->nodes[i]);

			sum += t->calls + t->results + t->blocked + t->again + t->rounds +
			       t->barriers;
		}
	return sum + s->bus->logs[0]->count;
}

static bool is_waiting(const struct scene *s)
{
	int i;

	for (i = 1; i <= CONFORMANCE_NODES; i++)
		if (s->nodes[i] && lockspace_dlm_stats(s->nodes[i])->under_way)
			return true;
	return false;
}

static void settle(void *owner)
{
	struct scene *s = owner;
	uint64_t before = 0;
	int quiet = 0;

	while (quiet * SLICE_MS < quiet_ms) {
		run_slice(s, SLICE_MS);
		quiet = activity(s) == before && !is_waiting(s) ? quiet + 1 : 0;
		before = activity(s);
	}
}

static struct lockspace_engine *engine(void *owner, int node)
{
	struct scene *s = owner;
	const struct lockspace_dlm_ops ops = { 0 };
	struct lockspace_dlm_config config = {
		.loop = s->loop,
		.self = (uint32_t)node,
		.incarnation = ++s->incarnations,
		.groups = group_ring_engine(s->bus->nodes[node - 1].g),
	};
	struct err err = ERR_INIT;

	if (!s->nodes[node])
		s->nodes[node] = lockspace_dlm_new(&config, &ops, s, &err);
	if (!s->nodes[node])
		abort();
	return lockspace_dlm_engine(s->nodes[node]);
}

static void kill_node(void *owner, int node, enum lock_death death)
{
	struct scene *s = owner;

	(void)death;
	lockspace_dlm_free(s->nodes[node]);
	s->nodes[node] = NULL;
}

static void prove(void *owner, int node, enum lock_death death)
{
	struct scene *s = owner;
	struct err err = ERR_INIT;
	int i;

	(void)death; /* the one kernel lives, and with it the orphans of all */
	bus_run(s->bus);
	for (i = 1; i <= CONFORMANCE_NODES; i++)
		if (s->nodes[i] && i != node)
			lockspace_confirm_dead(lockspace_dlm_engine(s->nodes[i]),
					       (uint32_t)node, 0, LOCK_DEATH_PROCESS,
					       &err);
}

static void revive(void *owner, int node)
{
	(void)engine(owner, node);
}

static void advance(void *owner, uint64_t ns)
{
	run_slice(owner, (uint32_t)(ns / NS_PER_MS));
}

static struct conformance_ground set(struct scene *s, struct err *err)
{
	*s = (struct scene){ .loop = loop_new(err), .bus = bus_new() };
	bus_configure(s->bus, "12345");
	bus_run(s->bus);
	return (struct conformance_ground){
		.name = "libdlm",
		.lvb_bytes = LOCK_SMALL_LVB,
		.lacks = LACKS_NODE_DEATH | LACKS_CYCLES | LACKS_BLOCKERS |
			 LACKS_HONEST_EXIT | LACKS_TOLD_CONVERTERS | LACKS_CUT |
			 LACKS_LARGE_VALUES | LACKS_OWN_ORPHANS | LACKS_ORDER,
		.owner = s,
		.engine = engine,
		.settle = settle,
		.kill = kill_node,
		.prove = prove,
		.revive = revive,
		.advance = advance,
	};
}

static void strike(struct scene *s)
{
	int i;

	for (i = 1; i <= CONFORMANCE_NODES; i++)
		lockspace_dlm_free(s->nodes[i]);
	bus_free(s->bus);
	loop_free(s->loop);
}

/* Where the kernel's DLM differs (lockspace_dlm.h), and what one kernel cannot show. */
static const struct { uint32_t lack; const char *text; } lacks[] = {
	{ LACKS_CYCLES, "the kernel does not look for deadlocks over resources" },
	{ LACKS_HONEST_EXIT, "the kernel spoils the value for a process that had none, too" },
	{ LACKS_TOLD_CONVERTERS, "the kernel does not tell who converts that it is in the way" },
	{ LACKS_LARGE_VALUES, "the kernel's values for processes have 32 bytes" },
	{ LACKS_ORDER, "the kernel orders what concerns one resource" },
	{ LACKS_NODE_DEATH, "here: the nodes are one kernel, which lives" },
	{ LACKS_CUT, "here: the nodes are one kernel" },
	{ LACKS_OWN_ORPHANS, "here: the orphans are one kernel's" },
	{ LACKS_BLOCKERS, "here: the dump knows one node" },
};

static const char *why_skipped(const struct conformance_story *story)
{
	for (size_t i = 0; i < sizeof(lacks) / sizeof(*lacks); i++)
		if (story->needs & lacks[i].lack)
			return lacks[i].text;
	return "?";
}

static void tell(size_t i, const struct conformance_story *story, int r,
		 const struct err *err)
{
	printf("%s %zu %s%s%s\n", r < 0 ? "FAILED" : r ? "skipped" : "ok", i, story->name,
	       r < 0 ? "\n  " : r ? ": " : "", r < 0 ? err->text :
	       r ? why_skipped(story) : "");
	fflush(stdout);
}

static int play_one(const struct conformance_story *story, struct err *err)
{
	struct scene s;
	struct conformance_ground ground = set(&s, err);
	struct conformance_play *play = conformance_open(&ground, err);
	int r = play ? conformance_play(play, story, err) : err->code;

	if (play && r >= 0)
		conformance_close(play);
	strike(&s);
	return r;
}

static bool is_left_out(const char *name, char **names)
{
	while (*names)
		if (strcmp(name, *names++) == 0)
			return true;
	return false;
}

static int play_in_one_life(char **left_out)
{
	size_t count, i;
	const struct conformance_story *stories = conformance_stories(&count);
	struct err err = ERR_INIT;
	struct scene s;
	struct conformance_ground ground = set(&s, &err);
	struct conformance_play *play = conformance_open(&ground, &err);
	int r = play ? 0 : err.code;

	if (!play)
		printf("FAILED: %s\n", err.text);
	for (i = 0; i < count && r >= 0; i++) {
		if (is_left_out(stories[i].name, left_out))
			continue;
		r = conformance_play(play, &stories[i], &err);
		tell(i, &stories[i], r, &err);
	}
	if (play && r >= 0)
		conformance_close(play);
	strike(&s);
	return r < 0;
}

static int play_in_many_lives(const char *only, size_t first)
{
	size_t count, i, tally[3] = { 0 };
	const struct conformance_story *stories = conformance_stories(&count);

	for (i = first; i < count; i++) {
		struct err err = ERR_INIT;
		int r;

		if (!strstr(stories[i].name, only))
			continue;
		r = play_one(&stories[i], &err);
		tally[r < 0 ? 2 : r]++;
		tell(i, &stories[i], r, &err);
	}
	printf("%zu ok, %zu skipped, %zu FAILED\n", tally[0], tally[1], tally[2]);
	return tally[2] > 0;
}

int main(int argc, char **argv)
{
	if (argc > 2 && strcmp(argv[1], "--quiet") == 0) {
		quiet_ms = atoi(argv[2]);
		argc -= 2;
		argv += 2;
	}
	if (argc > 1 && strcmp(argv[1], "--one-life") == 0)
		return play_in_one_life(argv + 2);
	return play_in_many_lives(argc > 1 ? argv[1] : "",
				  argc > 2 ? (size_t)atoi(argv[2]) : 0);
}
