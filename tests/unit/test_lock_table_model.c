/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Random operations on the lock table and on the oracle (lock_oracle.h), which is
 * the rules once more, written for nothing but to be read. After each step both have
 * told the same in the same order, and stand the same; no two granted modes exclude
 * each other (T1); what was taken ends once (T2); and every now and then the table is
 * saved, and its copy goes on (T3).
 *
 *	LOCK_MODEL_SEEDS=100000 test_lock_table_model    more; a failure names its seed
 *	LOCK_MODEL_FIRST=4711 LOCK_MODEL_SEEDS=1         that one
 */
#include "tests/unit/lock_oracle.h"
#include "tests/unit/lock_scene.h"

#include <stdlib.h>
#include <string.h>

#include "base/arith.h"

enum { SEEDS = 3000, STEPS = 120, NODES = 3, NUMBERS = 6, RESOURCES = 3 };

static const char *const names[RESOURCES] = { "a", "b", "c" };

struct run {
	struct lock_scene *scene;
	struct lock_oracle *oracle;
	uint64_t seed, random;
	int step;
	uint32_t flags[24]; /* those that this run uses, so that some do often */
	size_t flag_count;
	char what[128];
};

static uint32_t pick(struct run *run, uint32_t below)
{
	uint64_t z = run->random += 0x9e3779b97f4a7c15u;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return (uint32_t)((z ^ (z >> 31)) >> 16) % below;
}

static void differs(const struct run *run, const char *thing, const char *got,
		 const char *wanted)
{
	fail_msg("seed %llu, step %d, %s: %s \"%s\", wanted \"%s\"",
		 (unsigned long long)run->seed, run->step, run->what, thing, got, wanted);
}

/* --- what is compared ------------------------------------------------------------ */

/* "cycle(...)" is "cycle": which way it was found the oracle does not know. */
static void blur_cycles(char *text)
{
	char *at = text, *end;

	while ((at = strstr(at, "cycle(")) != NULL) {
		end = strchr(at, ')');
		at += strlen("cycle");
		memmove(at, end + 1, strlen(end + 1) + 1);
	}
}

static void compare_said(struct run *run)
{
	const char *wanted = lock_oracle_said(run->oracle);

	blur_cycles(run->scene->said);
	if (strcmp(run->scene->said, wanted) != 0)
		differs(run, "said", run->scene->said, wanted);
	given(run->scene);
}

static void compare_resource(struct run *run, int i)
{
	char text[1 << 13];

	lock_scene_stands(run->scene, names[i], text, sizeof(text));
	if (strcmp(text, lock_oracle_stands(run->oracle, i)) != 0)
		differs(run, names[i], text, lock_oracle_stands(run->oracle, i));
	lock_scene_keeps(run->scene, names[i], text, sizeof(text));
	if (strcmp(text, lock_oracle_keeps(run->oracle, i)) != 0)
		differs(run, names[i], text, lock_oracle_keeps(run->oracle, i));
}

struct granted {
	enum lock_mode modes[NODES * NUMBERS * 2];
	size_t count;
};

static void note_granted(void *owner, const struct lock_view *lock)
{
	struct granted *g = owner;

	assert_true(g->count < ARRAY_SIZE(g->modes));
	g->modes[g->count++] = lock->granted;
}

/* T1. */
static void check_exclusion(struct run *run, int resource)
{
	struct granted g = { .count = 0 };

	lock_table_look_locks(run->scene->table, names[resource], 1, note_granted, &g);
	for (size_t i = 0; i < g.count; i++)
		for (size_t k = 0; k < i; k++)
			if (!lock_modes_compatible(g.modes[i], g.modes[k]))
				differs(run, names[resource], lock_mode_name(g.modes[i]),
				     lock_mode_name(g.modes[k]));
}

static void compare(struct run *run)
{
	compare_said(run);
	for (int i = 0; i < RESOURCES; i++) {
		compare_resource(run, i);
		check_exclusion(run, i);
	}
}

/* --- operations ------------------------------------------------------------------ */

static const uint32_t all_flags[] = {
	LOCK_NOQUEUE, LOCK_VALBLK, LOCK_QUECVT, LOCK_IVVALBLK, LOCK_CONVDEADLK,
	LOCK_PERSISTENT, LOCK_NODLCKWT, LOCK_EXPEDITE, LOCK_NOQUEUEBAST, LOCK_HEADQUE,
	LOCK_NOORDER, LOCK_ORPHAN, LOCK_ALTPR, LOCK_ALTCW,
};

static void choose_flags(struct run *run)
{
	run->flag_count = 0;
	for (size_t i = 0; i < ARRAY_SIZE(all_flags); i++)
		if (pick(run, 3) == 0)
			run->flags[run->flag_count++] = all_flags[i];
}

static uint32_t some_flags(struct run *run)
{
	uint32_t flags = pick(run, 3) ? LOCK_VALBLK : 0;

	for (size_t i = 0; i < run->flag_count; i++)
		if (pick(run, 3) == 0)
			flags |= run->flags[i];
	return pick(run, 64) ? flags : flags | 1u << pick(run, 32);
}

static void lock(struct run *run)
{
	struct oracle_order order = {
		.node = 1 + pick(run, NODES),
		.number = 1 + pick(run, NUMBERS),
		.resource = (int)pick(run, RESOURCES),
		.mode = pick(run, 64) ? (int)pick(run, LOCK_MODES) : (int)pick(run, 9) - 1,
		.waiter = pick(run, 3),
		.value = (char)('a' + pick(run, 26)),
	};
	const struct lock_key key = { order.node, order.number };
	char value[2] = { order.value, 0 };
	struct lock_view held;
	int r;

	order.flags = some_flags(run);
	if (lock_table_find(run->scene->table, key, &held, NULL) ? pick(run, 16)
								 : !pick(run, 16))
		order.flags |= LOCK_CONVERT;
	run->scene->value = value;
	run->scene->waiter = order.waiter;
	snprintf(run->what, sizeof(run->what), "lock %u.%u %s %s %x waiter %u", order.node,
		 order.number, names[order.resource], lock_mode_name(order.mode),
		 order.flags, order.waiter);
	r = try_ask(run->scene, order.node, order.number, names[order.resource],
		    (enum lock_mode)order.mode, order.flags);
	if (r != lock_oracle_lock(run->oracle, &order))
		differs(run, "answer", strerror(-r), "the other");
}

static void unlock(struct run *run)
{
	static const uint32_t kinds[] = {
		0, LOCK_FORCEUNLOCK, LOCK_CANCEL, LOCK_CANCEL, LOCK_FORCEUNLOCK | LOCK_CANCEL,
	};
	uint32_t node = 1 + pick(run, NODES), number = 1 + pick(run, NUMBERS);
	uint32_t flags = kinds[pick(run, ARRAY_SIZE(kinds))];
	char value[2] = { (char)('a' + pick(run, 26)), 0 };
	int r;

	flags |= pick(run, 2) ? LOCK_VALBLK : 0;
	flags |= pick(run, 8) ? 0 : LOCK_IVVALBLK;
	run->scene->value = value;
	snprintf(run->what, sizeof(run->what), "unlock %u.%u %x", node, number, flags);
	r = try_drop(run->scene, node, number, flags);
	if (r != lock_oracle_unlock(run->oracle, node, number, flags, value[0]))
		differs(run, "answer", strerror(-r), "the other");
}

static void leave(struct run *run)
{
	uint32_t node = 1 + pick(run, NODES);
	uint32_t how = pick(run, 3);

	snprintf(run->what, sizeof(run->what), "release %u %u", node, how);
	release(run->scene, node, (enum lock_release)how);
	lock_oracle_release(run->oracle, node, (int)how);
	compare(run);
	if (pick(run, 4) == 0)
		return; /* operations before it is settled */
	lock_table_settle(run->scene->table);
	lock_oracle_settle(run->oracle);
}

static void one_step(struct run *run)
{
	uint32_t what = pick(run, 100);

	if (what < 66) {
		lock(run);
	} else if (what < 92) {
		unlock(run);
	} else if (what < 96) {
		leave(run);
	} else {
		snprintf(run->what, sizeof(run->what), "reload");
		reload(run->scene);
		lock_oracle_forget_told(run->oracle);
	}
	compare(run);
}

static void check_end(struct run *run)
{
	for (uint32_t node = 1; node <= NODES; node++)
		release(run->scene, node, LOCK_RELEASE_NODE);
	assert_int_equal(lock_table_locks(run->scene->table), 0);
	assert_int_equal(lock_table_resources(run->scene->table), 0);
	assert_true(lock_table_digest(run->scene->table) == 0);
}

static unsigned long long setting(const char *name, unsigned long long otherwise)
{
	const char *text = getenv(name);

	return text ? strtoull(text, NULL, 10) : otherwise;
}

static void table_and_oracle_agree(void **state)
{
	uint64_t first = setting("LOCK_MODEL_FIRST", 1);
	uint64_t count = setting("LOCK_MODEL_SEEDS", SEEDS);

	(void)state;
	for (uint64_t seed = first; seed < first + count; seed++) {
		struct run run = {
			.scene = lock_scene_new(),
			.oracle = lock_oracle_new(),
			.seed = seed,
			.random = seed * 0x2545f4914f6cdd1du,
		};

		choose_flags(&run);
		for (run.step = 0; run.step < STEPS; run.step++)
			one_step(&run);
		check_end(&run);
		lock_scene_free(run.scene);
		lock_oracle_free(run.oracle);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(table_and_oracle_agree),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
