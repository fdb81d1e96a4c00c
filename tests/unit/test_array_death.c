/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A node dies after each single step of what it, or another, does: recovery, joining, leaving,
 * a failed disk, a resync, the first start. Whoever is left must end well, with every
 * chunk that was being written synced; the rig checks all rules after each step.
 */
#include "tests/unit/array_rig.h"
#include "tests/unit/help.h"

enum { SEEDS = 3, NO_STEPS = 3000 };

struct scene {
	const char *name;
	int nodes;
	struct array_rig *(*begin)(uint64_t seed, int nodes);
	void (*trouble)(struct array_rig *rig); /* what follows is cut short */
	int victims[2];                         /* 0: none */
};

static struct array_rig *all_run(uint64_t seed, int nodes)
{
	struct array_rig *rig = array_rig_new(nodes, seed);

	array_rig_start_all(rig);
	return rig;
}

static struct array_rig *all_but_the_last_run(uint64_t seed, int nodes)
{
	struct array_rig *rig = array_rig_new(nodes, seed);

	for (int i = 1; i < nodes; i++)
		array_rig_start(rig, i);
	array_rig_run(rig);
	return rig;
}

/* Two were in use, and left bits; nobody runs. */
static struct array_rig *nobody_runs(uint64_t seed, int nodes)
{
	struct array_rig *rig = array_rig_new(nodes, seed);

	rig->disks.resync_offset = 0;
	for (int i = 0; i < nodes; i++)
		rig->disks.slots[i] = UINT64_C(0x11) << i;
	rig->disks.differ = rig->disks.slots[0] | rig->disks.slots[1];
	return rig;
}

static struct array_rig *a_new_array(uint64_t seed, int nodes)
{
	struct array_rig *rig = array_rig_new(nodes, seed);

	rig->disks.slots[0] = UINT64_MAX; /* they mean nothing: D11 */
	return rig;
}

static struct array_rig *the_first_resyncs(uint64_t seed, int nodes)
{
	struct array_rig *rig = array_rig_new(nodes, seed);

	rig->disks.resync_offset = 0;
	rig->disks.slots[1] = rig->disks.differ = 0xff00ff;
	for (int i = 1; i <= nodes; i++)
		rig->nodes[i].plane.holds_sync = true;
	array_rig_start(rig, 1);
	array_rig_run(rig);
	for (int i = 2; i <= nodes; i++)
		array_rig_start(rig, i);
	array_rig_run(rig);
	for (int i = 1; i <= nodes; i++)
		rig->nodes[i].plane.holds_sync = false;
	return rig;
}

/* --- trouble ----------------------------------------------------------------------------------- */

static void the_last_dies(struct array_rig *rig)
{
	for (int c = 0; c < ARRAY_RIG_CHUNKS; c += 3)
		(void)array_rig_write(rig, rig->count, c);
	array_rig_kill(rig, rig->count);
	array_rig_prove(rig, rig->count);
}

static void the_last_starts(struct array_rig *rig)
{
	array_rig_start(rig, rig->count);
}

static void all_start(struct array_rig *rig)
{
	for (int i = 1; i <= rig->count; i++)
		array_rig_start(rig, i);
}

static void the_first_stops(struct array_rig *rig)
{
	array_rig_stop(rig, 1);
}

static void a_disk_fails_under_the_first(struct array_rig *rig)
{
	array_rig_disk_fails(rig, 1, 1);
}

static void a_disk_fails_under_two(struct array_rig *rig)
{
	array_rig_disk_fails(rig, 1, 1);
	array_rig_disk_fails(rig, 2, 1);
}

static void nothing_but_time(struct array_rig *rig)
{
	(void)rig;
}

/* --- the end ----------------------------------------------------------------------------------- */

static bool is_left(struct array_rig *rig, int node)
{
	return rig->nodes[node].array && !rig->nodes[node].is_stopped;
}

static void check_disks(struct array_rig *rig, int node)
{
	for (uint32_t role = 0; role < rig->disks.disks; role++)
		assert_int_equal(rig->nodes[node].plane.told[role] == METADATA_DISK_IN_SYNC,
				 rig->disks.state[role] == METADATA_DISK_IN_SYNC);
}

static void end_well(struct array_rig *rig)
{
	array_rig_run(rig);
	for (int i = 1; i <= rig->count; i++)
		if (rig->nodes[i].array && rig->nodes[i].is_stopped) {
			array_free(rig->nodes[i].array);
			rig->nodes[i].array = NULL;
		}
	array_rig_check_healthy(rig);
	for (int i = 1; i <= rig->count; i++)
		if (is_left(rig, i))
			check_disks(rig, i);
	/* and whoever comes next takes over what is left */
	for (int i = 1; i <= rig->count; i++)
		if (!rig->nodes[i].array) {
			array_rig_start(rig, i);
			array_rig_run(rig);
			break;
		}
	array_rig_check_healthy(rig);
}

/* True: it was over before that many steps. */
static bool die_after(const struct scene *s, uint64_t seed, unsigned int steps)
{
	struct array_rig *rig = s->begin(seed, s->nodes);
	bool is_over = false;

	s->trouble(rig);
	for (unsigned int i = 0; i < steps && !is_over; i++)
		is_over = !array_rig_step(rig);
	for (int v = 0; v < 2; v++) {
		int victim = s->victims[v];

		if (victim == 0 || !rig->nodes[victim].array)
			continue;
		array_rig_kill(rig, victim);
		for (unsigned int i = 0; i < 7; i++)
			(void)array_rig_step(rig);
	}
	array_rig_settle(rig);
	for (int i = 1; i <= rig->count; i++)
		if (!rig->nodes[i].array)
			array_rig_prove(rig, i);
	array_rig_settle(rig);
	for (int v = 0; v < 2; v++)
		if (s->victims[v])
			array_rig_revive(rig, s->victims[v]);
	if (s->trouble == the_last_dies)
		array_rig_revive(rig, rig->count);
	if (s->nodes == 2 && !is_left(rig, 3 - s->victims[0]))
		array_rig_start(rig, s->victims[0]);
	end_well(rig);
	array_rig_free(rig);
	return is_over;
}

static void dies_at_every_step(const struct scene *s)
{
	for (uint64_t seed = 1; seed <= SEEDS; seed++) {
		unsigned int steps = 0;

		while (!die_after(s, seed, steps)) {
			steps++;
			assert_true(steps < NO_STEPS);
		}
	}
}

static struct array_rig *all_run_on_three_disks(uint64_t seed, int nodes)
{
	struct array_rig *rig = array_rig_new(nodes, seed);

	rig->disks.disks = 3;
	array_rig_start_all(rig);
	return rig;
}

#define SCENE(function, nodes_, begin_, trouble_, ...)                              \
	static void function(void **state)                                          \
	{                                                                           \
		static const struct scene scene = {                                 \
			.name = #function, .nodes = nodes_, .begin = begin_,        \
			.trouble = trouble_, .victims = { __VA_ARGS__ },            \
		};                                                                  \
                                                                                    \
		(void)state;                                                        \
		dies_at_every_step(&scene);                                         \
	}

SCENE(a_recoverer_dies_at_every_step, 3, all_run, the_last_dies, 1)
SCENE(two_recoverers_die_at_every_step, 4, all_run, the_last_dies, 1, 2)
SCENE(the_only_recoverer_dies_at_every_step, 2, all_run, the_last_dies, 1)
SCENE(who_joins_dies_at_every_step, 3, all_but_the_last_run, the_last_starts, 3)
SCENE(another_dies_at_every_step_of_a_join, 3, all_but_the_last_run, the_last_starts, 1)
SCENE(one_dies_at_every_step_as_all_start, 3, nobody_runs, all_start, 2)
SCENE(one_dies_at_every_step_of_the_first_start, 2, a_new_array, all_start, 1)
SCENE(a_leaver_dies_at_every_step, 3, the_first_resyncs, the_first_stops, 1)
SCENE(another_dies_at_every_step_of_a_leave, 3, the_first_resyncs, the_first_stops, 2)
SCENE(a_resyncer_dies_at_every_step, 3, the_first_resyncs, nothing_but_time, 1)
SCENE(a_receiver_dies_at_every_step_of_a_resync, 3, the_first_resyncs, nothing_but_time, 2)
SCENE(who_has_a_failing_disk_dies_at_every_step, 3, all_run_on_three_disks,
      a_disk_fails_under_the_first, 1)
SCENE(another_dies_at_every_step_of_a_failing_disk, 3, all_run_on_three_disks,
      a_disk_fails_under_the_first, 2)
SCENE(one_of_two_with_a_failing_disk_dies_at_every_step, 3, all_run_on_three_disks,
      a_disk_fails_under_two, 1)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_recoverer_dies_at_every_step),
		cmocka_unit_test(two_recoverers_die_at_every_step),
		cmocka_unit_test(the_only_recoverer_dies_at_every_step),
		cmocka_unit_test(who_joins_dies_at_every_step),
		cmocka_unit_test(another_dies_at_every_step_of_a_join),
		cmocka_unit_test(one_dies_at_every_step_as_all_start),
		cmocka_unit_test(one_dies_at_every_step_of_the_first_start),
		cmocka_unit_test(a_leaver_dies_at_every_step),
		cmocka_unit_test(another_dies_at_every_step_of_a_leave),
		cmocka_unit_test(a_resyncer_dies_at_every_step),
		cmocka_unit_test(a_receiver_dies_at_every_step_of_a_resync),
		cmocka_unit_test(who_has_a_failing_disk_dies_at_every_step),
		cmocka_unit_test(another_dies_at_every_step_of_a_failing_disk),
		cmocka_unit_test(one_of_two_with_a_failing_disk_dies_at_every_step),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
