/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Cancels and deadlines of the lock manager that meet a grant on its way (B30, B47):
 * node 1 goes from EX to PR as node 3 cancels its request for PR, at every distance of
 * the two; where the grant wins, node 3 converts at once, and is late with that too.
 */
#include "tests/unit/help.h"

#include <errno.h>

#include "lockres/lock_manager.h"
#include "tests/sim/world.h"

enum { NODES = 3, STEP_NS = SIM_MS / 10, STEPS = 120 };

struct member {
	struct sim_world *world;
	struct lockspace *space;
	struct lockres lock;
	uint64_t timeout_ns; /* of its conversion; 0: it cancels */
	int granted, cancelled, late;
	bool converts;       /* when it is granted */
};

static void on_done(void *owner, struct lockres *lock, const struct lock_result *result)
{
	struct member *m = owner;

	m->granted += result->status == 0;
	m->cancelled += result->status == -ECANCELED;
	m->late += result->status == -ETIMEDOUT;
	if (result->status != 0 || !m->converts)
		return;
	m->converts = false;
	assert_int_equal(lockres_lock(lock, LOCK_EX, LOCK_CONVERT, m->timeout_ns), 0);
	if (m->timeout_ns == 0)
		assert_int_equal(lockres_unlock(lock, LOCK_CANCEL), 0);
}

static const struct lockres_handlers lock_handlers = { .done = on_done };
static const struct lockspace_handlers space_handlers = { 0 };

static void run_ns(struct sim_world *w, uint64_t ns)
{
	if (!sim_run(w, w->now + ns))
		fail_msg("%s", w->failure);
}

static void join(struct sim_world *w, int node, struct member *m)
{
	const struct lockspace_config config = {
		.name = "alpha",
		.name_length = 5,
		.lvb_bytes = LOCK_SMALL_LVB,
		.wanted_slot = -1,
	};
	struct err err = ERR_INIT;

	*m = (struct member){ .world = w };
	assert_ok(lockspace_open(lock_manager_engine(w->nodes[node].locks), &config,
				 &space_handlers, m, &m->space, &err), err);
	assert_int_equal(lockres_init(&m->lock, m->space, "r", 1, &lock_handlers, m), 0);
}

static void ask(struct member *m, enum lock_mode mode, uint32_t flags)
{
	assert_int_equal(lockres_lock(&m->lock, mode, flags, 0), 0);
}

/* The cancel comes so long after node 1's conversion. */
static int meet(struct sim_world *w, uint64_t after_ns, uint64_t timeout_ns)
{
	struct member one, two;

	join(w, 0, &one);
	join(w, NODES - 1, &two); /* what node 1 says is there before the token */
	run_ns(w, 200 * SIM_MS);
	ask(&one, LOCK_EX, 0);
	run_ns(w, 100 * SIM_MS);
	ask(&two, LOCK_PR, 0);
	run_ns(w, 100 * SIM_MS);
	assert_int_equal(two.granted, 0);
	two.converts = true;
	two.timeout_ns = timeout_ns;
	ask(&one, LOCK_PR, LOCK_CONVERT);
	run_ns(w, after_ns);
	assert_int_equal(lockres_unlock(&two.lock, LOCK_CANCEL), 0);
	run_ns(w, 200 * SIM_MS + timeout_ns);
	assert_false(two.lock.is_pending);
	assert_int_equal(two.granted + two.cancelled + two.late, two.converts ? 1 : 2);
	lockspace_close(one.space);
	lockspace_close(two.space);
	run_ns(w, 200 * SIM_MS);
	return two.converts ? 0 : 1;
}

static void meet_at_every_distance(uint64_t timeout_ns)
{
	struct sim_world *w = sim_new(1, NODES, NULL);
	int grants = 0;

	w->faults.delay_min_ns = w->faults.delay_max_ns = SIM_MS / 2;
	sim_use_totems(w);
	sim_use_locks(w);
	for (int i = 0; i < NODES; i++)
		sim_start(w, i);
	run_ns(w, 1000ull * SIM_MS);
	for (uint64_t i = 0; i < STEPS; i++)
		grants += meet(w, i * STEP_NS, timeout_ns);
	assert_in_range(grants, 1, STEPS); /* some of each */
	sim_free(w);
}

static void cancel_of_what_follows_a_cancel_that_came_too_late(void **state)
{
	(void)state;
	meet_at_every_distance(0);
}

static void deadline_of_what_follows_a_cancel_that_came_too_late(void **state)
{
	(void)state;
	meet_at_every_distance(1);
	meet_at_every_distance(SIM_MS);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(cancel_of_what_follows_a_cancel_that_came_too_late),
		cmocka_unit_test(deadline_of_what_follows_a_cancel_that_came_too_late),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
