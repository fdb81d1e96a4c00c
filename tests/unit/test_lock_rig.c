/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The rig of lockspaces itself: what other tests count on when they stop it between
 * two steps. What any lockspace must do is in tests/locks; what an owner was told is
 * a line of text here.
 */
#include "tests/unit/help.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lockres/table.h"
#include "tests/unit/lock_rig.h"

enum { NODES = 3 };

struct member {
	struct scene *scene;
	int node;
	struct lockspace *space;
	struct lockres lock;
	int slot;
};

struct scene {
	struct lock_rig *rig;
	struct member members[NODES + 1]; /* by node */
	char told[1024];
};

static void tell(struct scene *s, const char *fmt, ...)
{
	size_t at = strlen(s->told);
	va_list ap;

	if (at)
		s->told[at++] = ' ';
	va_start(ap, fmt);
	vsnprintf(s->told + at, sizeof(s->told) - at, fmt, ap);
	va_end(ap);
}

/* Just that, and forgets it. */
static void told(struct scene *s, const char *expected)
{
	assert_string_equal(s->told, expected);
	s->told[0] = '\0';
}

static void on_done(void *owner, struct lockres *lock, const struct lock_result *result)
{
	struct member *m = owner;

	assert_ptr_equal(lock, &m->lock);
	if (result->status == 0)
		tell(m->scene, "%d:%s", m->node, lock_mode_name(result->mode));
	else
		tell(m->scene, "%d:%s", m->node, strerror(-result->status));
}

static void on_blocked(void *owner, struct lockres *lock, enum lock_mode wanted)
{
	struct member *m = owner;

	(void)lock;
	tell(m->scene, "%d!%s", m->node, lock_mode_name(wanted));
}

static void on_prep(void *owner, struct lockspace *space)
{
	struct member *m = owner;

	(void)space;
	tell(m->scene, "%d:prep", m->node);
}

static void on_slot(void *owner, struct lockspace *space, uint32_t node, int slot)
{
	struct member *m = owner;

	(void)space;
	tell(m->scene, "%d:slot%u=%d", m->node, node, slot);
}

static void on_recovered(void *owner, struct lockspace *space,
			 const struct lockspace_member *members, size_t count,
			 int our_slot, uint32_t generation)
{
	struct member *m = owner;

	(void)space;
	(void)members;
	(void)generation;
	m->slot = our_slot;
	tell(m->scene, "%d:on%zu", m->node, count);
}

static void on_lost(void *owner, struct lockspace *space, const struct err *why)
{
	struct member *m = owner;

	(void)space;
	tell(m->scene, "%d:lost%d", m->node, why->code);
}

static void on_closed(void *owner)
{
	struct member *m = owner;

	lockres_fini(&m->lock);
	m->space = NULL;
	tell(m->scene, "%d:closed", m->node);
}

static const struct lockspace_handlers space_handlers = {
	.recover_prep = on_prep,
	.recover_slot = on_slot,
	.recover_done = on_recovered,
	.lost = on_lost,
	.closed = on_closed,
};

static const struct lockres_handlers lock_handlers = { on_done, on_blocked };

static void open_one(struct scene *s, int node, uint32_t lvb_bytes, int slots)
{
	const struct lockspace_config config = {
		.name = "alpha",
		.name_length = 5,
		.lvb_bytes = lvb_bytes,
		.slots = slots,
		.wanted_slot = -1,
	};
	struct member *m = &s->members[node];
	struct err err = ERR_INIT;

	*m = (struct member){ .scene = s, .node = node, .slot = -1 };
	assert_ok(lockspace_open(lock_rig_engine(s->rig, node), &config, &space_handlers,
				 m, &m->space, &err), err);
	assert_int_equal(lockres_init(&m->lock, m->space, "r", 1, &lock_handlers, m), 0);
}

static void scene_open(struct scene *s)
{
	s->rig = lock_rig_new(NODES);
	for (int i = 1; i <= NODES; i++) {
		open_one(s, i, LOCK_SMALL_LVB, 0);
		lock_rig_run(s->rig);
	}
	s->told[0] = '\0';
}

static void scene_close(struct scene *s)
{
	lock_rig_free(s->rig);
}

static void ask(struct scene *s, int node, enum lock_mode mode, uint32_t flags)
{
	assert_int_equal(lockres_lock(&s->members[node].lock, mode, flags, 0), 0);
}

static void step(struct scene *s, const char *expected)
{
	assert_true(lock_rig_step(s->rig));
	told(s, expected);
}

static void run(struct scene *s, const char *expected)
{
	lock_rig_run(s->rig);
	told(s, expected);
}

static void each_step_is_one_operation(void **state)
{
	struct scene s = { 0 };

	(void)state;
	scene_open(&s);
	assert_false(lock_rig_step(s.rig));
	assert_string_equal(lock_rig_next(s.rig), "");
	ask(&s, 1, LOCK_EX, 0);
	ask(&s, 2, LOCK_PR, 0);
	told(&s, "");
	assert_string_equal(lock_rig_next(s.rig), "1 lock EX r");
	step(&s, "1:EX");
	step(&s, "1!PR");
	ask(&s, 1, LOCK_NL, LOCK_CONVERT);
	assert_string_equal(lock_rig_next(s.rig), "1 convert NL r");
	step(&s, "1:NL 2:PR");
	assert_false(lock_rig_step(s.rig));
	scene_close(&s);
}

static void what_the_dead_asked_for_never_happens(void **state)
{
	struct scene s = { 0 };

	(void)state;
	scene_open(&s);
	ask(&s, 2, LOCK_EX, 0);
	ask(&s, 1, LOCK_EX, 0);
	lock_rig_kill(s.rig, 2, LOCK_DEATH_NODE);
	told(&s, "1:prep 3:prep");
	assert_true(lock_rig_is_frozen(s.rig));
	assert_false(lock_rig_step(s.rig));
	lock_rig_prove(s.rig, 2);
	step(&s, "1:slot2=1 3:slot2=1");
	step(&s, "1:on2 3:on2");
	step(&s, "1:EX");
	scene_close(&s);
}

static void what_the_dead_held_is_granted_when_all_go_on(void **state)
{
	struct scene s = { 0 };

	(void)state;
	scene_open(&s);
	ask(&s, 2, LOCK_EX, 0);
	ask(&s, 1, LOCK_PR, 0);
	run(&s, "2:EX 2!PR");
	lock_rig_kill(s.rig, 2, LOCK_DEATH_PROCESS);
	lock_rig_prove(s.rig, 2);
	step(&s, "1:prep 3:prep 1:slot2=1 3:slot2=1");
	assert_int_equal(s.members[1].lock.mode, LOCK_NONE);
	step(&s, "1:on2 3:on2 1:PR");
	scene_close(&s);
}

/* L5: recover_done() is for the last of them; the first attempt's is left out. */
static void two_that_die_are_proven_before_all_go_on(void **state)
{
	struct scene s = { 0 };

	(void)state;
	scene_open(&s);
	lock_rig_kill(s.rig, 2, LOCK_DEATH_NODE);
	lock_rig_prove(s.rig, 2);
	step(&s, "1:prep 3:prep 1:slot2=1 3:slot2=1");
	lock_rig_kill(s.rig, 3, LOCK_DEATH_NODE);
	run(&s, "");
	assert_true(lock_rig_is_frozen(s.rig));
	lock_rig_prove(s.rig, 3);
	run(&s, "1:slot3=2 1:on1");
	scene_close(&s);
}

static void new_process_is_in_when_its_past_is_proven_dead(void **state)
{
	struct scene s = { 0 };

	(void)state;
	scene_open(&s);
	lock_rig_kill(s.rig, 2, LOCK_DEATH_PROCESS);
	lock_rig_revive(s.rig, 2);
	open_one(&s, 2, LOCK_SMALL_LVB, 0);
	run(&s, "1:prep 3:prep");
	lock_rig_prove(s.rig, 2);
	run(&s, "1:slot2=1 3:slot2=1 1:on2 3:on2 1:on3 2:on3 3:on3");
	assert_int_equal(s.members[2].slot, 1);
	scene_close(&s);
}

static void proof_is_of_the_processes_that_it_names(void **state)
{
	struct scene s = { 0 };
	struct lockspace_engine *engine;
	struct err err = ERR_INIT;

	(void)state;
	scene_open(&s);
	engine = lock_rig_engine(s.rig, 1);
	assert_ok(lockspace_confirm_dead(engine, 2, 0, LOCK_DEATH_NODE, &err), err);
	run(&s, "");
	lock_rig_replace(s.rig, 2, LOCK_DEATH_NODE);
	open_one(&s, 2, LOCK_SMALL_LVB, 0);
	lock_rig_run(s.rig);
	lock_rig_kill(s.rig, 2, LOCK_DEATH_NODE);
	s.told[0] = '\0';
	assert_ok(lockspace_confirm_dead(engine, 2, 1, LOCK_DEATH_NODE, &err), err);
	run(&s, "");
	assert_ok(lockspace_confirm_dead(engine, 2, 0, LOCK_DEATH_NODE, &err), err);
	run(&s, "1:slot2=1 3:slot2=1 1:on2 3:on2");
	assert_refused(lockspace_confirm_dead(engine, 9, 0, LOCK_DEATH_NODE, &err), -EINVAL,
		       err, "no node 9");
	scene_close(&s);
}

static void node_that_was_cut_off_goes_on(void **state)
{
	struct scene s = { 0 };

	(void)state;
	scene_open(&s);
	lock_rig_cut(s.rig, 2);
	told(&s, "1:prep 2:prep 3:prep");
	ask(&s, 2, LOCK_EX, 0);
	run(&s, "");
	lock_rig_heal(s.rig, 2);
	run(&s, "1:on3 2:on3 3:on3 2:EX");
	scene_close(&s);
}

static void node_that_was_taken_for_dead_has_lost_the_lockspace(void **state)
{
	struct scene s = { 0 };

	(void)state;
	scene_open(&s);
	ask(&s, 2, LOCK_PR, 0);
	run(&s, "2:PR");
	lock_rig_cut(s.rig, 2);
	ask(&s, 2, LOCK_EX, LOCK_CONVERT);
	ask(&s, 1, LOCK_EX, 0);
	s.told[0] = '\0';
	lock_rig_prove(s.rig, 2);
	run(&s, "1:slot2=1 3:slot2=1 1:on2 3:on2 1:EX");
	lock_rig_heal(s.rig, 2);
	told(&s, "2:Stale file handle 2:lost-116");
	assert_int_equal(lockres_lock(&s.members[2].lock, LOCK_NL, 0, 0), -ESHUTDOWN);
	lockspace_close(s.members[2].space);
	run(&s, "2:closed");
	open_one(&s, 2, LOCK_SMALL_LVB, 0);
	run(&s, "1:on3 2:on3 3:on3");
	scene_close(&s);
}

static void deaf_node_is_told_later_in_order(void **state)
{
	struct scene s = { 0 };

	(void)state;
	scene_open(&s);
	lock_rig_deafen(s.rig, 1, true);
	ask(&s, 1, LOCK_EX, 0);
	ask(&s, 2, LOCK_PR, 0);
	run(&s, "");
	lock_rig_deafen(s.rig, 1, false);
	assert_string_equal(lock_rig_next(s.rig), "callbacks");
	step(&s, "1:EX 1!PR");
	scene_close(&s);
}

/* L2: one done() for both, though the grant was on its way. */
static void unlock_by_force_ends_what_is_on_its_way(void **state)
{
	struct scene s = { 0 };

	(void)state;
	scene_open(&s);
	lock_rig_deafen(s.rig, 1, true);
	ask(&s, 1, LOCK_EX, 0);
	run(&s, "");
	assert_int_equal(lockres_unlock(&s.members[1].lock, LOCK_FORCEUNLOCK), 0);
	lock_rig_deafen(s.rig, 1, false);
	run(&s, "1:none");
	ask(&s, 1, LOCK_EX, 0);
	assert_int_equal(lockres_unlock(&s.members[1].lock, LOCK_FORCEUNLOCK), 0);
	run(&s, "1:none");
	ask(&s, 2, LOCK_EX, 0);
	run(&s, "2:EX");
	ask(&s, 1, LOCK_EX, LOCK_NOQUEUE);
	assert_int_equal(lockres_unlock(&s.members[1].lock, LOCK_FORCEUNLOCK), 0);
	run(&s, "1:none");
	ask(&s, 1, LOCK_PR, 0);
	assert_int_equal(lockres_unlock(&s.members[1].lock, LOCK_FORCEUNLOCK), 0);
	assert_int_equal(lockres_unlock(&s.members[1].lock, LOCK_FORCEUNLOCK), 0);
	step(&s, "2!PR");
	step(&s, "1:none");
	ask(&s, 1, LOCK_NL, 0);
	run(&s, "1:NL");
	scene_close(&s);
}

static void time_that_is_over_cancels(void **state)
{
	struct scene s = { 0 };

	(void)state;
	scene_open(&s);
	ask(&s, 1, LOCK_EX, 0);
	assert_int_equal(lockres_lock(&s.members[2].lock, LOCK_EX, 0, 50), 0);
	assert_int_equal(lock_rig_deadline_ns(s.rig), 50);
	run(&s, "1:EX 1!EX");
	lock_rig_advance_ns(s.rig, 49);
	run(&s, "");
	lock_rig_advance_ns(s.rig, 1);
	told(&s, "");
	step(&s, "2:Connection timed out");
	assert_true(lock_rig_deadline_ns(s.rig) == UINT64_MAX);
	assert_int_equal(lock_table_locks(lock_rig_table(s.rig)), 1);
	scene_close(&s);
}

static void slots_and_sizes_are_refused_by_code(void **state)
{
	struct scene s = { 0 };

	(void)state;
	s.rig = lock_rig_new(NODES);
	open_one(&s, 1, LOCK_SMALL_LVB, 2);
	run(&s, "1:on1");
	open_one(&s, 2, LOCK_LARGE_LVB, 2);
	ask(&s, 2, LOCK_NL, 0);
	run(&s, "2:Stale file handle 2:lost-53");
	lockspace_close(s.members[2].space);
	run(&s, "2:closed");
	open_one(&s, 2, LOCK_SMALL_LVB, 2);
	run(&s, "1:on2 2:on2");
	open_one(&s, 3, LOCK_SMALL_LVB, 2);
	run(&s, "3:lost-28");
	scene_close(&s);
}

static void nothing_stays_when_all_are_dead(void **state)
{
	struct scene s = { 0 };

	(void)state;
	scene_open(&s);
	for (int i = 1; i <= NODES; i++)
		lock_rig_kill(s.rig, i, LOCK_DEATH_NODE);
	assert_null(lock_rig_table(s.rig));
	assert_false(lock_rig_is_frozen(s.rig));
	s.told[0] = '\0';
	lock_rig_revive(s.rig, 3);
	open_one(&s, 3, LOCK_SMALL_LVB, 0);
	run(&s, "3:on1");
	assert_int_equal(s.members[3].slot, 0);
	scene_close(&s);
}

static void batch_is_asked_for_at_its_end(void **state)
{
	struct scene s = { 0 };

	(void)state;
	scene_open(&s);
	lockspace_begin(s.members[1].space);
	lockspace_begin(s.members[1].space);
	ask(&s, 1, LOCK_EX, 0);
	ask(&s, 2, LOCK_EX, 0);
	lockspace_end(s.members[1].space);
	run(&s, "2:EX");
	lockspace_end(s.members[1].space);
	run(&s, "2!EX");
	scene_close(&s);
}

static void refusals_are_as_ordered(void **state)
{
	struct scene s = { 0 };

	(void)state;
	scene_open(&s);
	lock_rig_refuse(s.rig, 1, -ENOMEM);
	assert_int_equal(lockres_lock(&s.members[1].lock, LOCK_EX, 0, 0), -ENOMEM);
	assert_false(s.members[1].lock.is_pending);
	lock_rig_refuse(s.rig, 1, 0);
	ask(&s, 1, LOCK_EX, 0);
	run(&s, "1:EX");
	scene_close(&s);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_step_is_one_operation),
		cmocka_unit_test(what_the_dead_asked_for_never_happens),
		cmocka_unit_test(what_the_dead_held_is_granted_when_all_go_on),
		cmocka_unit_test(two_that_die_are_proven_before_all_go_on),
		cmocka_unit_test(new_process_is_in_when_its_past_is_proven_dead),
		cmocka_unit_test(proof_is_of_the_processes_that_it_names),
		cmocka_unit_test(node_that_was_cut_off_goes_on),
		cmocka_unit_test(node_that_was_taken_for_dead_has_lost_the_lockspace),
		cmocka_unit_test(deaf_node_is_told_later_in_order),
		cmocka_unit_test(unlock_by_force_ends_what_is_on_its_way),
		cmocka_unit_test(time_that_is_over_cancels),
		cmocka_unit_test(slots_and_sizes_are_refused_by_code),
		cmocka_unit_test(nothing_stays_when_all_are_dead),
		cmocka_unit_test(batch_is_asked_for_at_its_end),
		cmocka_unit_test(refusals_are_as_ordered),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
