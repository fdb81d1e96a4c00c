/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* When results of the kernel's DLM pass, and when it has recovered (V1..V5). */
#include "tests/unit/help.h"

#include "lockres/dlm_gate.h"

static struct dlm_gate gate;

static int setup(void **state)
{
	(void)state;
	dlm_gate_init(&gate);
	return 0;
}

static void come_in(void)
{
	assert_true(dlm_gate_bar(&gate, false, false));
	assert_true(dlm_gate_unbar(&gate));
}

static void nothing_passes_before_the_first_done(void **state)
{
	(void)state;
	assert_false(dlm_gate_passes(&gate, false, 0));
	come_in();
	assert_true(dlm_gate_passes(&gate, false, 0));
}

static void nothing_passes_while_the_group_has_more(void **state)
{
	(void)state;
	come_in();
	assert_false(dlm_gate_passes(&gate, true, 0));
	assert_true(dlm_gate_passes(&gate, false, 0));
}

static void a_round_trip_is_waited_for(void **state)
{
	uint64_t first, second;

	(void)state;
	come_in();
	first = dlm_gate_round(&gate);
	second = dlm_gate_round(&gate);
	assert_false(dlm_gate_passes(&gate, false, first));
	dlm_gate_round_back(&gate, first);
	assert_true(dlm_gate_passes(&gate, false, first));
	assert_false(dlm_gate_passes(&gate, false, second));
	dlm_gate_round_back(&gate, second + 1); /* never sent */
	assert_false(dlm_gate_passes(&gate, false, second));
	dlm_gate_round_back(&gate, second);
	dlm_gate_round_back(&gate, first);
	assert_true(dlm_gate_passes(&gate, false, second));
}

static void nothing_passes_from_prep_to_done(void **state)
{
	(void)state;
	come_in();
	assert_true(dlm_gate_missing(&gate));
	assert_false(dlm_gate_passes(&gate, false, 0));
	assert_false(dlm_gate_bar(&gate, true, false));  /* unproven */
	assert_false(dlm_gate_bar(&gate, false, true));  /* the kernel has it still */
	assert_true(dlm_gate_bar(&gate, false, false));
	assert_false(dlm_gate_passes(&gate, false, 0));
	assert_true(dlm_gate_unbar(&gate));
	assert_true(dlm_gate_passes(&gate, false, 0));
}

static void prep_is_told_once_and_not_to_who_is_not_in(void **state)
{
	(void)state;
	assert_false(dlm_gate_missing(&gate));
	come_in();
	assert_true(dlm_gate_missing(&gate));
	assert_false(dlm_gate_missing(&gate));
}

static void a_change_during_the_barrier_wants_another_one(void **state)
{
	(void)state;
	come_in();
	dlm_gate_changed(&gate);
	assert_true(dlm_gate_bar(&gate, false, false));
	assert_false(dlm_gate_bar(&gate, false, false)); /* one at a time */
	assert_true(dlm_gate_missing(&gate));
	assert_false(dlm_gate_unbar(&gate));
	assert_false(dlm_gate_passes(&gate, false, 0));
	assert_true(dlm_gate_bar(&gate, false, false));
	assert_true(dlm_gate_unbar(&gate));
	assert_false(dlm_gate_bar(&gate, false, false)); /* all is told */
}

static void what_passes_goes_on_while_somebody_joins(void **state)
{
	(void)state;
	come_in();
	dlm_gate_changed(&gate);
	assert_true(dlm_gate_passes(&gate, false, 0));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(nothing_passes_before_the_first_done, setup),
		cmocka_unit_test_setup(nothing_passes_while_the_group_has_more, setup),
		cmocka_unit_test_setup(a_round_trip_is_waited_for, setup),
		cmocka_unit_test_setup(nothing_passes_from_prep_to_done, setup),
		cmocka_unit_test_setup(prep_is_told_once_and_not_to_who_is_not_in, setup),
		cmocka_unit_test_setup(a_change_during_the_barrier_wants_another_one, setup),
		cmocka_unit_test_setup(what_passes_goes_on_while_somebody_joins, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
