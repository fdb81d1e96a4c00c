/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Until when a node may write. */
#include "tests/unit/help.h"

#include "mdclusterd/daemon/lease.h"

static const struct lease_facts quorate = { .is_quorate = true, .is_installed = true,
					    .now = 5000, .previous_token_at = 4900,
					    .lease_ns = 1000 };

static void a_lease_lasts_from_the_token_before(void **state)
{
	struct lease_facts f = quorate;

	(void)state;
	assert_int_equal(lease_until(0, &f), 5900);
	/* the node stood still: the token that waited for it renews nothing */
	f.now = 9000;
	assert_true(lease_until(5900, &f) < f.now);
	f.previous_token_at = 0; /* the first one that it ever sees */
	assert_int_equal(lease_until(0, &f), 0);
}

static void without_a_quorum_there_is_none(void **state)
{
	struct lease_facts f = quorate;

	(void)state;
	f.is_quorate = false;
	assert_int_equal(lease_until(5900, &f), 0);
	f.is_alone = true;
	assert_int_equal(lease_until(5900, &f), 0);
}

static void tokens_of_the_next_ring_renew_nothing(void **state)
{
	struct lease_facts f = quorate;

	(void)state;
	f.is_installed = false;
	f.now = f.previous_token_at = 5500;
	assert_int_equal(lease_until(5900, &f), 5900);
	f.is_alone = true;
	assert_int_equal(lease_until(5900, &f), 5900);
}

static void who_is_a_quorum_alone_needs_no_token(void **state)
{
	struct lease_facts f = quorate;

	(void)state;
	f.is_alone = true;
	f.previous_token_at = 0;
	assert_int_equal(lease_until(0, &f), 6000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_lease_lasts_from_the_token_before),
		cmocka_unit_test(without_a_quorum_there_is_none),
		cmocka_unit_test(tokens_of_the_next_ring_renew_nothing),
		cmocka_unit_test(who_is_a_quorum_alone_needs_no_token),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
