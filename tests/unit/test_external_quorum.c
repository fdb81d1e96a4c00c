/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* X1 to X3: a quorum that corosync decides upon, as all members come to know it. */
#include "tests/unit/help.h"

#include "base/clock.h"
#include "mdclusterd/quorum/external.h"
#include "totem/sync.h"

enum { NODES = 3 };

struct node {
	struct sync *sync;
	struct external_quorum *x;
	bool knows, is_done;
};

static struct node nodes[NODES];
static struct ring_id id;

static void op_wake(void *owner)
{
	(void)owner;
}

static void op_synchronised(void *owner)
{
	((struct node *)owner)->is_done = true;
}

static void op_broken(void *owner, const char *why)
{
	(void)owner;
	fail_msg("broken: %s", why);
}

static void op_tell(void *owner, int node, const char *service)
{
	(void)owner;
	(void)node;
	(void)service;
}

static bool op_is_quorate(void *owner, struct node_set members)
{
	(void)members;
	return external_quorum_is_won(((struct node *)owner)->x);
}

static bool knows(void *owner)
{
	return ((struct node *)owner)->knows;
}

static int setup(void **state)
{
	static const struct sync_ops ops = {
		.wake = op_wake, .synchronised = op_synchronised, .broken = op_broken,
		.late = op_tell, .evict = op_tell, .is_quorate = op_is_quorate,
	};
	struct err err = ERR_INIT;

	(void)state;
	id = (struct ring_id){ 1, 0 };
	for (int i = 0; i < NODES; i++) {
		const struct sync_config c = { .nodes = { { 1, 2, 3 }, NODES },
					       .self = (uint32_t)i + 1 };

		nodes[i] = (struct node){ .knows = true };
		nodes[i].sync = sync_new(&c, &ops, &nodes[i], &err);
		nodes[i].x = external_quorum_new(nodes[i].sync, knows, &nodes[i]);
	}
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	for (int i = 0; i < NODES; i++) {
		sync_free(nodes[i].sync);
		external_quorum_free(nodes[i].x);
	}
	return 0;
}

static void begin(void)
{
	struct sync_configuration c = { .members = { { 7 } } };

	id.seq++;
	c.id = id;
	for (int i = 0; i < NODES; i++) {
		nodes[i].is_done = false;
		sync_configured(nodes[i].sync, NS_PER_S, &c);
	}
}

/* What all have to say goes round, until nobody has more. */
static void talk(void)
{
	uint8_t bytes[1024];
	bool is_safe, again = true;

	while (again) {
		again = false;
		for (int i = 0; i < NODES; i++) {
			size_t n = sync_fill(nodes[i].sync, bytes, sizeof(bytes), &is_safe);

			for (int k = 0; n > 0 && k < NODES; k++)
				sync_deliver(nodes[k].sync, id, i, bytes, n);
			again |= n > 0;
		}
	}
}

static void form(void)
{
	begin();
	talk();
	for (int i = 0; i < NODES; i++)
		assert_true(nodes[i].is_done);
	for (int i = 0; i < NODES; i++)
		sync_unplugged(nodes[i].sync);
}

static void expect(bool is_quorate)
{
	for (int i = 0; i < NODES; i++)
		assert_int_equal(external_quorum_is_quorate(nodes[i].x), is_quorate);
}

static void all_are_quorate_or_none(void **state)
{
	(void)state;
	form();
	expect(true);
	nodes[1].knows = false; /* is told later than the others */
	form();
	expect(false);
	for (int i = 0; i < NODES; i++)
		assert_false(sync_is_quorate(nodes[i].sync));
}

static void nothing_counts_before_all_are_done(void **state)
{
	(void)state;
	begin();
	talk();
	expect(false);
	assert_true(external_quorum_is_won(nodes[0].x));
}

static void who_hears_that_it_is_lost_has_none_at_once(void **state)
{
	(void)state;
	form();
	nodes[2].knows = false;
	external_quorum_set(nodes[2].x, false);
	assert_false(external_quorum_is_quorate(nodes[2].x));
	assert_true(external_quorum_is_quorate(nodes[0].x));
	nodes[2].knows = true;
	external_quorum_set(nodes[2].x, true);
	assert_false(external_quorum_is_quorate(nodes[2].x)); /* with the next one */
	assert_true(external_quorum_wants_again(nodes[2].x));
	assert_false(external_quorum_wants_again(nodes[2].x));
	form();
	expect(true);
}

static void who_said_no_asks_again_and_nobody_else(void **state)
{
	(void)state;
	nodes[1].knows = false;
	begin();
	talk();
	nodes[1].knows = true;
	for (int i = 0; i < NODES; i++) {
		external_quorum_set(nodes[i].x, true);
		assert_false(external_quorum_wants_again(nodes[i].x)); /* not within */
	}
	for (int i = 0; i < NODES; i++)
		sync_unplugged(nodes[i].sync);
	for (int i = 0; i < NODES; i++)
		assert_int_equal(external_quorum_wants_again(nodes[i].x), i == 1);
	form();
	expect(true);
	for (int i = 0; i < NODES; i++)
		assert_false(external_quorum_wants_again(nodes[i].x));
}

static void a_configuration_that_ends_has_none(void **state)
{
	(void)state;
	form();
	for (int i = 0; i < NODES; i++)
		sync_ending(nodes[i].sync);
	expect(false);
}

int main(void)
{
#define TEST(t) cmocka_unit_test_setup_teardown(t, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(all_are_quorate_or_none),
		TEST(nothing_counts_before_all_are_done),
		TEST(who_hears_that_it_is_lost_has_none_at_once),
		TEST(who_said_no_asks_again_and_nobody_else),
		TEST(a_configuration_that_ends_has_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
