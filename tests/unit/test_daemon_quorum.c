/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Majority of the configured votes. */
#include "tests/unit/help.h"

#include "mdclusterd/daemon/quorum.h"

static struct node_set set(int a, int b, int c)
{
	struct node_set s = { { 0 } };

	set_put(&s, 0, a);
	set_put(&s, 1, b);
	set_put(&s, 2, c);
	return s;
}

static void more_than_half_of_all_votes_decide(void **state)
{
	const struct quorum even = { .votes = { 1, 1, 1, 1 }, .count = 4 };
	const struct quorum odd = { .votes = { 1, 1, 1 }, .count = 3 };

	(void)state;
	assert_int_equal(quorum_needed(&odd), 2);
	assert_true(quorum_holds(&odd, set(1, 0, 1)));
	assert_false(quorum_holds(&odd, set(0, 0, 1)));
	assert_int_equal(quorum_needed(&even), 3);
	assert_false(quorum_holds(&even, set(1, 1, 0))); /* so that halves never both do */
	assert_true(quorum_holds(&even, set(1, 1, 1)));
}

static void votes_count_and_not_nodes(void **state)
{
	const struct quorum q = { .votes = { 3, 1, 0 }, .count = 3 };

	(void)state;
	assert_int_equal(quorum_expected(&q), 4);
	assert_true(quorum_holds(&q, set(1, 0, 0)));
	assert_false(quorum_holds(&q, set(0, 1, 1)));
	assert_int_equal(quorum_votes(&q, set(1, 1, 1)), 4);
}

static void a_node_alone_is_its_own_quorum(void **state)
{
	const struct quorum q = { .votes = { 1 }, .count = 1 };

	(void)state;
	assert_true(quorum_holds(&q, set(1, 0, 0)));
	assert_false(quorum_holds(&q, set(0, 0, 0)));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(more_than_half_of_all_votes_decide),
		cmocka_unit_test(votes_count_and_not_nodes),
		cmocka_unit_test(a_node_alone_is_its_own_quorum),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
