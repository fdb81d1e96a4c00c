/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Arrays of some nodes: the promises V1..V9 of array.h, one by one. */
#include "tests/unit/array_rig.h"
#include "tests/unit/help.h"

static void first_life(void **state)
{
	struct array_rig *rig = array_rig_new(3, 1);

	(void)state;
	array_rig_start_all(rig);
	array_rig_check_healthy(rig);
	array_rig_free(rig);
}

static void a_node_dies_and_its_chunks_are_synced(void **state)
{
	struct array_rig *rig = array_rig_new(3, 1);

	(void)state;
	array_rig_start_all(rig);
	assert_true(array_rig_write(rig, 2, 0));
	assert_true(array_rig_write(rig, 2, 17));
	array_rig_bury(rig, 2);
	array_rig_check_healthy(rig);
	array_rig_free(rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(first_life),
		cmocka_unit_test(a_node_dies_and_its_chunks_are_synced),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
