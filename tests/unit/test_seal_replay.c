/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Sealing: no nonce twice, no datagram twice, no way in for a forger: S1, S3, S4, S5. */
#include "tests/unit/seal_rig.h"

#include <stdlib.h>
#include <string.h>

#include "base/arith.h"
#include "base/cleanup.h"
#include "totem/seal_private.h"

enum { MANY = 3 * (SEAL_WINDOW + 64) };

/* ---- S1: no nonce twice ---- */

/* The same message at the same counter: every stream has other bytes. */
static void every_stream_has_a_subkey_of_its_own(void **state)
{
	const struct seal_key keys[] = { key_of(1), key_of(2) };
	struct seal_config configs[6];
	struct datagram d[ARRAY_SIZE(configs)];
	size_t count = ARRAY_SIZE(configs);

	(void)state;
	for (size_t i = 0; i < count; i++)
		configs[i] = config_of(1, keys, 1);
	configs[1].self = 2;
	configs[2].boot++;
	configs[3].boot += 1ull << 32;
	configs[4].cluster = "alph";
	configs[5].keys = &keys[1];
	for (size_t i = 0; i < count; i++) {
		struct seal *seal = make(&configs[i]);

		d[i] = sealed(seal, "the very same words in every one of them");
		seal_free(seal);
	}
	for (size_t i = 0; i < count; i++)
		for (size_t k = 0; k < i; k++)
			assert_memory_not_equal(d[i].bytes + SEAL_HEADER_BYTES,
						d[k].bytes + SEAL_HEADER_BYTES, 40);
}

static void the_counter_only_grows(void **state)
{
	const struct seal_key keys[] = { key_of(1), key_of(2) };
	struct seal *from = node(1, BOOT);
	struct err err = ERR_INIT;
	uint64_t last = 0;

	(void)state;
	for (int i = 0; i < 50; i++) {
		struct datagram d = sealed(from, "x");

		assert_int_equal(counter_of(&d), last + 1);
		last = counter_of(&d);
		assert_ok(seal_set_keys(from, &keys[i % 2], 1, &err), err);
		if (i % 3 == 0)
			assert_ok(seal_set_nodes(from, &three, &err), err);
	}
	seal_free(from);
}

/* No key seals more than 2^32 datagrams, and the change of keys loses none. */
static void every_era_has_a_subkey_of_its_own(void **state)
{
	enum { BEFORE = 4, COUNT = 2 * BEFORE };
	static const int orders[][COUNT] = {
		{ 0, 1, 2, 3, 4, 5, 6, 7 },
		{ 4, 3, 5, 2, 6, 1, 7, 0 },
	};
	struct seal *from = node(1, BOOT);
	struct datagram d[COUNT];

	(void)state;
	from->counter = (1ull << 32) - 1 - BEFORE;
	for (uint64_t i = 0; i < COUNT; i++) {
		struct datagram wanted = sealed_by_hand(BOOT, from->counter + 1, "x");

		d[i] = sealed(from, "x");
		assert_memory_equal(d[i].bytes, wanted.bytes, wanted.length);
	}
	assert_int_equal(counter_of(&d[BEFORE]), 1ull << 32);
	for (size_t o = 0; o < ARRAY_SIZE(orders); o++) {
		struct seal *to = node(2, BOOT);

		for (size_t i = 0; i < COUNT; i++) {
			expect_opens(to, &d[orders[o][i]], "x");
			expect_refused(to, &d[orders[o][i]], SEAL_REPLAY);
		}
		seal_free(to);
	}
	seal_free(from);
}

/* ---- S3: once ---- */

static void a_replay_is_refused(void **state)
{
	struct seal *from = node(1, BOOT), *to = node(2, BOOT);
	struct datagram first = sealed(from, "one"), second = sealed(from, "two");

	(void)state;
	expect_opens(to, &second, "two");
	expect_refused(to, &second, SEAL_REPLAY);
	expect_opens(to, &first, "one");
	expect_refused(to, &first, SEAL_REPLAY);
	expect_refused(to, &second, SEAL_REPLAY);
	seal_free(from);
	seal_free(to);
}

static struct datagram *seal_many(struct seal *from, size_t count)
{
	struct datagram *many = calloc(count, sizeof(*many));

	assert_non_null(many);
	for (size_t i = 0; i < count; i++)
		many[i] = sealed(from, "x");
	return many;
}

static void any_order_within_the_window_is_fine(void **state)
{
	struct seal *from = node(1, BOOT), *to = node(2, BOOT);
	CLEANUP_FREE struct datagram *many = seal_many(from, SEAL_WINDOW);
	uint64_t random = 5;

	(void)state;
	for (size_t i = SEAL_WINDOW - 1; i > 0; i--) {
		size_t k = next_random(&random) % (i + 1);
		struct datagram d = many[i];

		many[i] = many[k];
		many[k] = d;
	}
	for (size_t i = 0; i < SEAL_WINDOW; i++)
		expect_opens(to, &many[i], "x");
	for (size_t i = 0; i < SEAL_WINDOW; i++)
		expect_refused(to, &many[i], SEAL_REPLAY);
	seal_free(from);
	seal_free(to);
}

static void what_is_behind_the_window_is_refused(void **state)
{
	struct seal *from = node(1, BOOT), *to = node(2, BOOT);
	CLEANUP_FREE struct datagram *many = seal_many(from, SEAL_WINDOW + 1);

	(void)state;
	expect_opens(to, &many[SEAL_WINDOW], "x");
	expect_refused(to, &many[0], SEAL_LATE);
	expect_opens(to, &many[1], "x");
	seal_free(from);
	seal_free(to);
}

/* Jumps of all sizes against the plainest window that can be thought of. */
static void the_window_agrees_with_a_plain_one(void **state)
{
	struct seal *from = node(1, BOOT);
	CLEANUP_FREE struct datagram *many = seal_many(from, MANY);

	(void)state;
	for (uint64_t seed = 1; seed <= 20; seed++) {
		CLEANUP_FREE bool *was_seen = calloc(MANY, 1);
		struct seal *to = node(2, BOOT);
		size_t highest = 0;
		uint64_t random = seed;

		for (int step = 0; step < 4000; step++) {
			size_t span = 1ull << next_random(&random) % 16;
			size_t at = highest + next_random(&random) % span;
			size_t back = next_random(&random) % (span + 1);
			char text[64];
			int wanted = 0;

			at = at > back ? at - back : 0;
			at = min_u64(at, MANY - 1);
			if (step > 0 && at + SEAL_WINDOW <= highest)
				wanted = -SEAL_LATE;
			else if (was_seen[at])
				wanted = -SEAL_REPLAY;
			assert_int_equal(open_as(to, &many[at], text), wanted);
			was_seen[at] = true;
			highest = max_u64(highest, at);
		}
		seal_free(to);
	}
	seal_free(from);
}

static void counter_zero_is_nobodys(void **state)
{
	struct seal *from = node_with(SEAL_PLAIN, 1), *to = node_with(SEAL_PLAIN, 2);
	struct datagram d = sealed(from, "x");

	(void)state;
	put_u64(&d, AT_COUNTER, 0);
	expect_refused(to, &d, SEAL_LATE);
	put_u64(&d, AT_COUNTER, 5);
	expect_opens(to, &d, "x");
	put_u64(&d, AT_COUNTER, 0);
	expect_refused(to, &d, SEAL_LATE);
	put_u64(&d, AT_COUNTER, UINT32_MAX);
	expect_opens(to, &d, "x");
	expect_refused(to, &d, SEAL_REPLAY);
	put_u64(&d, AT_COUNTER, 0);
	expect_refused(to, &d, SEAL_LATE);
	seal_free(from);
	seal_free(to);
}

/* ---- S4: boots ---- */

static void a_newer_boot_takes_over_and_the_older_is_refused(void **state)
{
	struct seal *old = node(1, BOOT), *new = node(1, BOOT + 1), *to = node(2, BOOT);
	struct datagram before = sealed(old, "before"), never = sealed(old, "late");
	struct datagram after = sealed(new, "after"), more = sealed(new, "more");
	struct seal_peer peer;

	(void)state;
	assert_false(seal_peer(to, 1, &peer));
	expect_opens(to, &before, "before");
	assert_true(seal_peer(to, 1, &peer));
	assert_int_equal(peer.boot, BOOT);
	expect_opens(to, &after, "after"); /* has the counter that `before` had */
	expect_refused(to, &never, SEAL_OLD_BOOT);
	expect_refused(to, &before, SEAL_OLD_BOOT);
	expect_refused(to, &after, SEAL_REPLAY);
	expect_opens(to, &more, "more");
	assert_true(seal_peer(to, 1, &peer));
	assert_int_equal(peer.boot, BOOT + 1);
	assert_int_equal(peer.highest, 2);
	seal_free(old);
	seal_free(new);
	seal_free(to);
}

static void peers_boots_have_nothing_to_do_with_each_other(void **state)
{
	struct seal *one = node(1, 5), *three_ = node(3, 1000000), *to = node(2, BOOT);
	struct datagram a = sealed(three_, "a"), b = sealed(one, "b");

	(void)state;
	expect_opens(to, &a, "a");
	expect_opens(to, &b, "b");
	seal_free(one);
	seal_free(three_);
	seal_free(to);
}

static void our_own_datagrams_are_not_opened(void **state)
{
	struct seal *own = node(2, BOOT), *twin = node(2, BOOT + 1);
	struct datagram echo = sealed(own, "echo"), other = sealed(twin, "other");
	struct seal_label label;
	uint8_t out[64];
	size_t length;

	(void)state;
	expect_refused(own, &echo, SEAL_ECHO);
	expect_refused(own, &other, SEAL_OWN_ID);
	expect_refused(twin, &echo, SEAL_OWN_ID);
	memset(out, 0xee, sizeof(out));
	assert_int_equal(seal_open(own, other.bytes, other.length, out, &length, &label),
			 -SEAL_OWN_ID);
	assert_memory_not_equal(out, "other", 5);
	/* a forger does not make us believe that there is a twin */
	put_u64(&other, AT_BOOT, BOOT + 2);
	expect_refused(own, &other, SEAL_BAD_TAG);
	seal_free(own);
	seal_free(twin);
}

/* ---- S5: what is not proven changes nothing ---- */

static void forged_datagrams_push_nobody_out(void **state)
{
	struct seal *from = node(1, BOOT), *to = node(2, BOOT);
	struct datagram first = sealed(from, "first"), kept = sealed(from, "kept");
	struct datagram forged = first, next;
	struct seal_peer before, after;
	uint64_t random = 1;

	(void)state;
	expect_opens(to, &first, "first");
	assert_true(seal_peer(to, 1, &before));
	for (int i = 0; i < 50000; i++) {
		char text[64];

		put_u32(&forged, AT_SENDER, (uint32_t)(next_random(&random) % 5));
		put_u64(&forged, AT_BOOT, i % 2 ? BOOT : next_random(&random));
		put_u64(&forged, AT_COUNTER, 2 + (next_random(&random) << i % 33));
		assert_true(open_as(to, &forged, text) < 0);
	}
	assert_true(seal_peer(to, 1, &after));
	assert_true(before.boot == after.boot && before.highest == after.highest &&
		    before.key_fingerprint == after.key_fingerprint);
	assert_false(seal_peer(to, 3, &after));
	expect_opens(to, &kept, "kept"); /* no window was moved or marked */
	expect_refused(to, &first, SEAL_REPLAY);
	next = sealed(from, "next");
	expect_opens(to, &next, "next");
	seal_free(from);
	seal_free(to);
}

/* Deriving one costs as much as 1 KiB of message: once a stream is enough. */
static void a_proven_subkey_is_kept_and_a_forged_one_is_not(void **state)
{
	struct seal *from = node(1, BOOT), *to = node(2, BOOT);
	const struct aead *kept = &to->peers[0].subkeys[0].aead;
	struct datagram d = sealed(from, "first"), forged = d;
	const void *ctx;

	(void)state;
	put_u64(&forged, AT_COUNTER, 7);
	expect_refused(to, &forged, SEAL_BAD_TAG);
	assert_false(kept->has_key);
	expect_opens(to, &d, "first");
	assert_true(kept->has_key);
	ctx = kept->ctx;
	put_u64(&forged, AT_BOOT, BOOT + 1);
	expect_refused(to, &forged, SEAL_BAD_TAG);
	d = sealed(from, "second");
	expect_opens(to, &d, "second");
	assert_ptr_equal(kept->ctx, ctx);
	seal_free(from);
	seal_free(to);
}

static void a_forged_boot_that_is_newer_locks_nobody_out(void **state)
{
	struct seal *from = node(1, BOOT), *to = node(2, BOOT);
	struct datagram good = sealed(from, "good"), forged = good;

	(void)state;
	put_u64(&forged, AT_BOOT, UINT64_MAX);
	expect_refused(to, &forged, SEAL_BAD_TAG); /* before anything is proven */
	expect_opens(to, &good, "good");
	expect_refused(to, &forged, SEAL_BAD_TAG); /* and after */
	good = sealed(from, "more");
	expect_opens(to, &good, "more");
	seal_free(from);
	seal_free(to);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_stream_has_a_subkey_of_its_own),
		cmocka_unit_test(the_counter_only_grows),
		cmocka_unit_test(every_era_has_a_subkey_of_its_own),
		cmocka_unit_test(a_replay_is_refused),
		cmocka_unit_test(any_order_within_the_window_is_fine),
		cmocka_unit_test(what_is_behind_the_window_is_refused),
		cmocka_unit_test(the_window_agrees_with_a_plain_one),
		cmocka_unit_test(counter_zero_is_nobodys),
		cmocka_unit_test(a_newer_boot_takes_over_and_the_older_is_refused),
		cmocka_unit_test(peers_boots_have_nothing_to_do_with_each_other),
		cmocka_unit_test(our_own_datagrams_are_not_opened),
		cmocka_unit_test(forged_datagrams_push_nobody_out),
		cmocka_unit_test(a_proven_subkey_is_kept_and_a_forged_one_is_not),
		cmocka_unit_test(a_forged_boot_that_is_newer_locks_nobody_out),
	};
	int failed;

	failed = cmocka_run_group_tests_name("chacha20-poly1305", tests, with_chacha20,
					     NULL);
	failed += cmocka_run_group_tests_name("aes256-gcm", tests, with_aes, NULL);
	return failed;
}
