/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Sealing while keys and nodes change: S6 of totem/seal.h. */
#include "tests/unit/seal_rig.h"

#include <stdlib.h>

#include "base/arith.h"

/* ---- S6: changing keys ---- */

enum { RING = 3, STEPS = 3 };

/* The keys that a node has before step 0, and after each. */
static void set_keys_of_step(struct seal *seal, int step)
{
	const struct seal_key a = key_of(1), b = key_of(2);
	const struct seal_key pairs[STEPS + 1][2] = { { a, a }, { a, b }, { b, a }, { b, b } };
	struct err err = ERR_INIT;

	assert_ok(seal_set_keys(seal, pairs[step], step == 0 || step == STEPS ? 1 : 2,
				&err), err);
}

/* All to all; `flying` was sealed before the last change, and opens still. */
static void everybody_hears_everybody(struct seal **ring, struct datagram *flying)
{
	for (int from = 0; from < RING; from++) {
		struct datagram d = sealed(ring[from], "now");

		for (int to = 0; to < RING; to++) {
			if (to == from)
				continue;
			expect_opens(ring[to], &d, "now");
			expect_opens(ring[to], &flying[from], "flying");
			expect_refused(ring[to], &flying[from], SEAL_REPLAY);
		}
		flying[from] = sealed(ring[from], "flying");
	}
}

static void keys_change_and_nothing_is_lost(void **state)
{
	static const int orders[][RING] = {
		{ 0, 1, 2 }, { 0, 2, 1 }, { 1, 0, 2 }, { 1, 2, 0 }, { 2, 0, 1 }, { 2, 1, 0 },
	};
	const struct seal_key a = key_of(1), b = key_of(2);

	(void)state;
	for (size_t o = 0; o < ARRAY_SIZE(orders); o++) {
		struct datagram flying[RING];
		struct seal *ring[RING];
		struct seal_peer peer;

		for (int i = 0; i < RING; i++) {
			ring[i] = node((uint32_t)i + 1, BOOT);
			flying[i] = sealed(ring[i], "flying");
		}
		everybody_hears_everybody(ring, flying);
		assert_true(seal_peer(ring[0], 2, &peer));
		assert_int_equal(peer.key_fingerprint, seal_key_fingerprint(&a));
		for (int step = 1; step <= STEPS; step++)
			for (int i = 0; i < RING; i++) {
				/* nothing with the old key flies for hours */
				if (step == STEPS)
					everybody_hears_everybody(ring, flying);
				set_keys_of_step(ring[orders[o][i]], step);
				everybody_hears_everybody(ring, flying);
			}
		assert_true(seal_peer(ring[0], 2, &peer));
		assert_int_equal(peer.key_fingerprint, seal_key_fingerprint(&b));
		for (int i = 0; i < RING; i++)
			seal_free(ring[i]);
	}
}

static void a_change_of_keys_can_be_called_off(void **state)
{
	struct datagram flying[RING];
	struct seal *ring[RING];

	(void)state;
	for (int i = 0; i < RING; i++) {
		ring[i] = node((uint32_t)i + 1, BOOT);
		flying[i] = sealed(ring[i], "flying");
	}
	for (int step = 1; step >= 0; step--)
		for (int i = 0; i < RING; i++) {
			set_keys_of_step(ring[i], step);
			everybody_hears_everybody(ring, flying);
		}
	for (int i = 0; i < RING; i++)
		seal_free(ring[i]);
}

static void a_dropped_key_opens_nothing(void **state)
{
	struct seal *from = node(1, BOOT), *to = node(2, BOOT);
	struct datagram d = sealed(from, "old key"), again;
	const struct seal_key third = key_of(3);
	struct err err = ERR_INIT;

	(void)state;
	expect_opens(to, &d, "old key");
	d = sealed(from, "old key");
	set_keys_of_step(to, STEPS);
	expect_refused(to, &d, SEAL_WRONG_KEY);
	set_keys_of_step(from, STEPS);
	again = sealed(from, "new key");
	expect_opens(to, &again, "new key");
	/* and when there were two */
	set_keys_of_step(from, 0);
	set_keys_of_step(to, 2);
	d = sealed(from, "old key");
	expect_opens(to, &d, "old key");
	d = sealed(from, "old key");
	assert_ok(seal_set_keys(from, &third, 1, &err), err);
	again = sealed(from, "third key");
	expect_refused(to, &again, SEAL_WRONG_KEY);
	set_keys_of_step(to, STEPS);
	expect_refused(to, &d, SEAL_WRONG_KEY);
	seal_free(from);
	seal_free(to);
}

static void a_replay_is_refused_across_a_change_of_keys(void **state)
{
	struct seal *from = node(1, BOOT), *to = node(2, BOOT);
	struct datagram d = sealed(from, "once");

	(void)state;
	expect_opens(to, &d, "once");
	for (int step = 1; step <= 2; step++) {
		set_keys_of_step(to, step);
		expect_refused(to, &d, SEAL_REPLAY);
	}
	set_keys_of_step(to, 3);
	set_keys_of_step(to, 0);
	expect_refused(to, &d, SEAL_REPLAY);
	seal_free(from);
	seal_free(to);
}

/* ---- nodes ---- */

static void nodes_come_and_go_and_the_others_keep_their_state(void **state)
{
	static const struct node_table without_one = { .ids = { 2, 3, 9 }, .count = 3 };
	static const struct node_table five = { .ids = { 1, 2, 3, 4, 9 }, .count = 5 };
	struct seal *one = node(1, BOOT), *old = node(3, BOOT), *to = node(2, BOOT);
	struct seal *nine = node(9, BOOT);
	struct datagram a = sealed(one, "a"), c = sealed(old, "c"), n = sealed(nine, "n");
	struct err err = ERR_INIT;

	(void)state;
	expect_opens(to, &a, "a");
	expect_opens(to, &c, "c");
	expect_refused(to, &n, SEAL_UNKNOWN_SENDER);
	assert_ok(seal_set_nodes(to, &without_one, &err), err);
	expect_refused(to, &a, SEAL_UNKNOWN_SENDER);
	expect_refused(to, &c, SEAL_REPLAY);
	expect_opens(to, &n, "n");
	c = sealed(old, "c again");
	expect_opens(to, &c, "c again");
	assert_ok(seal_set_nodes(to, &five, &err), err);
	expect_refused(to, &c, SEAL_REPLAY);
	expect_refused(to, &n, SEAL_REPLAY);
	a = sealed(one, "a again");
	expect_opens(to, &a, "a again");
	seal_free(one);
	seal_free(old);
	seal_free(nine);
	seal_free(to);
}

static void the_largest_configuration_works(void **state)
{
	const struct seal_key key = key_of(1);
	struct seal_config config = config_of(1, &key, 1);
	struct node_table nodes = { .count = TOTEM_MAX_NODES };
	struct seal *to;

	(void)state;
	for (uint32_t i = 0; i < TOTEM_MAX_NODES; i++)
		nodes.ids[i] = UINT32_MAX - TOTEM_MAX_NODES + 1 + i;
	config.nodes = &nodes;
	to = make(&config);
	for (int i = 0; i < TOTEM_MAX_NODES; i++) {
		struct seal *from = node(nodes.ids[i], BOOT);
		struct datagram d = sealed(from, "x");

		expect_opens(to, &d, "x");
		expect_refused(to, &d, SEAL_REPLAY);
		seal_free(from);
	}
	seal_free(to);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(keys_change_and_nothing_is_lost),
		cmocka_unit_test(a_change_of_keys_can_be_called_off),
		cmocka_unit_test(a_dropped_key_opens_nothing),
		cmocka_unit_test(a_replay_is_refused_across_a_change_of_keys),
		cmocka_unit_test(nodes_come_and_go_and_the_others_keep_their_state),
		cmocka_unit_test(the_largest_configuration_works),
	};
	int failed;

	failed = cmocka_run_group_tests_name("chacha20-poly1305", tests, with_chacha20,
					     NULL);
	failed += cmocka_run_group_tests_name("aes256-gcm", tests, with_aes, NULL);
	return failed;
}
