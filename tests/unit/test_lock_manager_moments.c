/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * M3: who acts as a member of a lockspace is known to be one, in the same slot of the same
 * lockspace, by all who outlive it. Node 2 opens it as node 1 does something else with it,
 * and in the next milliseconds nodes 2 and 3 are cut off from the others: in each of
 * these moments some know more of it for certain than others.
 */
#include "tests/unit/manager_scene.h"

enum { NODES = 7, OPENER = 2, FRIEND = 3, DEAD = 7, STEP_US = 200, MOMENTS = 40 };

enum story {
	A_MEMBER_CLOSES,   /* its slot is free, or not yet */
	THE_LAST_CLOSES,   /* the lockspace is made anew, or not */
	ONE_IS_PROVEN_DEAD,/* the lockspace thaws, or not yet */
};

static void run_us(struct scene *s, uint64_t us)
{
	sim_run(s->world, s->world->now + us * 1000);
}

static void part(struct scene *s)
{
	for (int i = 1; i <= NODES; i++)
		for (int k = 1; k <= NODES; k++)
			sim_cut(s->world, i - 1, k - 1,
				(i == OPENER || i == FRIEND) != (k == OPENER || k == FRIEND));
	scene_run(s, SCENE_RING_MS);
}

/* -1: it is no member. */
static int slot_of_opener(struct scene *s, int node)
{
	struct lockspace_look look;

	if (!lock_manager_look(scene_manager(s, node), 0, &look))
		return -1;
	for (size_t i = 0; i < look.member_count; i++)
		if (look.members[i].node == OPENER)
			return look.members[i].slot;
	return -1;
}

static void expect_known(struct scene *s, const struct guest *opener)
{
	const struct lockspace_look own = scene_look(s, OPENER, 0);

	for (int i = 1; i <= NODES; i++) {
		if (i == OPENER || i == FRIEND || !scene_manager(s, i))
			continue;
		assert_int_equal(slot_of_opener(s, i), opener->slot);
		assert_int_equal(scene_look(s, i, 0).made_as, own.made_as);
		assert_int_equal(scene_look(s, i, 0).made_by, own.made_by);
	}
}

/* Whether the opener took itself for a member. */
static bool play(enum story story, uint64_t apart_us, uint64_t cut_us)
{
	struct scene *s = scene_new(NODES);
	struct guest opener, closer, other, dead;
	uint64_t incarnation = s->world->nodes[DEAD - 1].incarnation;
	bool is_in;

	if (story == ONE_IS_PROVEN_DEAD)
		guest_open(&dead, s, DEAD, "x");
	guest_open(&closer, s, 1, "x");
	if (story != THE_LAST_CLOSES)
		guest_open(&other, s, FRIEND, "x");
	if (story == ONE_IS_PROVEN_DEAD) {
		sim_crash(s->world, DEAD - 1);
		scene_run(s, SCENE_RING_MS);
		scene_prove(s, 1, DEAD, incarnation, LOCK_DEATH_PROCESS);
	} else {
		lockspace_close(closer.space);
	}
	run_us(s, apart_us);
	guest_ask(&opener, s, OPENER, "x", 0);
	run_us(s, cut_us);
	part(s);
	is_in = opener.dones > 0;
	if (is_in)
		expect_known(s, &opener);
	scene_heal(s);
	assert_true(opener.dones > 0);
	assert_int_equal(opener.losses, 0);
	scene_free(s);
	return is_in;
}

static void play_all(enum story story)
{
	int in = 0;

	for (uint64_t apart = 0; apart <= 1600; apart += 2 * STEP_US)
		for (uint64_t cut = 5; cut < 5 + MOMENTS; cut++)
			in += play(story, apart, cut * STEP_US);
	assert_in_range(in, 1, 5 * MOMENTS - 1); /* there are both */
}

static void the_slot_of_who_opens_as_another_closes_is_the_same_for_all(void **state)
{
	(void)state;
	play_all(A_MEMBER_CLOSES);
}

static void who_opens_what_the_last_one_closes_is_in_one_lockspace_for_all(void **state)
{
	(void)state;
	play_all(THE_LAST_CLOSES);
}

static void who_opens_what_a_proof_thaws_is_known_to_all(void **state)
{
	(void)state;
	play_all(ONE_IS_PROVEN_DEAD);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_slot_of_who_opens_as_another_closes_is_the_same_for_all),
		cmocka_unit_test(
			who_opens_what_the_last_one_closes_is_in_one_lockspace_for_all),
		cmocka_unit_test(who_opens_what_a_proof_thaws_is_known_to_all),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
