/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Sealing: what opens, what does not, and that the reason is named; the format
 * (S2 of totem/seal.h), and what cannot be configured.
 */
#include "tests/unit/seal_rig.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/arith.h"
#include "base/cleanup.h"

enum { MAX_SEALED = SEAL_MAX_PLAIN_BYTES + SEAL_OVERHEAD_BYTES };

/* ---- S2: as it was sealed ---- */

static void too_large_a_message_is_not_sealed(void **state)
{
	CLEANUP_FREE uint8_t *plain = calloc(1, MAX_SEALED + 1);
	CLEANUP_FREE uint8_t *wire = calloc(1, MAX_SEALED + 1);
	struct seal *from = node(1, BOOT), *to = node(2, BOOT);
	struct seal_label label;
	size_t length;

	(void)state;
	assert_int_equal(seal_wrap(from, plain, SEAL_MAX_PLAIN_BYTES + 1, wire),
			 -EMSGSIZE);
	assert_int_equal(seal_stats(from)->sealed, 0);
	assert_int_equal(seal_open(to, wire, MAX_SEALED + 1, plain, &length, &label),
			 -SEAL_TOO_LONG);
	seal_free(from);
	seal_free(to);
}

/* Nodes of different versions must understand each other; the header counts. */
static void wire_format_is_as_documented(void **state)
{
	const uint8_t header[SEAL_HEADER_BYTES] = {
		0x73, (uint8_t)(0x10 | rig_cipher), 0x15, 0x1e, 1, 0, 0, 0,
		0x88, 0x77, 0x66, 0x55, 0x44, 0x33, 0x22, 0x11,
		1, 0, 0, 0, 0, 0, 0, 0,
	};
	struct datagram wanted = sealed_by_hand(0x1122334455667788, 1, "ring");
	struct seal *from = node(1, 0x1122334455667788);
	struct datagram d = sealed(from, "ring");

	(void)state;
	assert_int_equal(d.length, 44);
	assert_memory_equal(d.bytes, header, sizeof(header));
	assert_memory_equal(d.bytes, wanted.bytes, wanted.length);
	seal_free(from);
}

static void counters_have_64_bits(void **state)
{
	static const uint64_t counters[] = {
		UINT32_MAX, 1ull << 32, 1ull << 40, 1ull << 63, UINT64_MAX - 9000,
		UINT64_MAX - 1, UINT64_MAX,
	};
	struct seal *to = node(2, BOOT);

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(counters); i++) {
		struct datagram d = sealed_by_hand(BOOT, counters[i], "far");

		expect_opens(to, &d, "far");
		expect_refused(to, &d, SEAL_REPLAY);
		d = sealed_by_hand(BOOT, counters[i] - 5, "behind");
		expect_opens(to, &d, "behind");
	}
	seal_free(to);
}

static void every_flipped_bit_is_refused(void **state)
{
	struct seal *from = node(1, BOOT), *to = node(2, BOOT);
	const struct datagram good = sealed(from, "the token goes round and round");

	(void)state;
	for (size_t bit = 0; bit < good.length * 8; bit++) {
		struct datagram bad = good;
		char text[64];

		bad.bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
		if (open_as(to, &bad, text) >= 0)
			fail_msg("bit %zu flipped, and it opened", bit);
	}
	assert_int_equal(seal_stats(to)->opened, 0);
	expect_opens(to, &good, "the token goes round and round");
	seal_free(from);
	seal_free(to);
}

static void every_other_length_is_refused(void **state)
{
	struct seal *from = node(1, BOOT), *to = node(2, BOOT);
	const struct datagram good = sealed(from, "the token goes round");

	(void)state;
	for (size_t n = 0; n <= sizeof(good.bytes); n++) {
		CLEANUP_FREE uint8_t *exact = malloc(n + 1);
		struct datagram bad = good;

		if (n == good.length)
			continue;
		bad.length = n;
		expect_refused(to, &bad, n < SEAL_OVERHEAD_BYTES ? SEAL_TOO_SHORT :
								   SEAL_BAD_TAG);
		/* once more on memory that ends where it ends, for ASan */
		memcpy(exact, good.bytes, n);
		if (n < good.length) {
			struct seal_label label;
			uint8_t out[64];
			size_t length;

			assert_true(seal_open(to, exact, n, out, &length, &label) < 0);
		}
	}
	expect_opens(to, &good, "the token goes round");
	seal_free(from);
	seal_free(to);
}

static void another_key_is_refused(void **state)
{
	struct seal_key other = key_of(2), own = key_of(1);
	struct seal_config config = config_of(1, &other, 1);
	struct seal *to = node(2, BOOT), *from = make(&config);
	struct datagram d = sealed(from, "hello");
	int seed = 2;

	(void)state;
	expect_refused(to, &d, SEAL_WRONG_KEY);
	seal_free(from);

	/* one that looks alike on the wire */
	do {
		other = key_of(++seed);
	} while (seal_key_fingerprint(&other) >> 24 != seal_key_fingerprint(&own) >> 24);
	from = make(&config);
	d = sealed(from, "hello");
	expect_refused(to, &d, SEAL_BAD_TAG);
	seal_free(from);
	seal_free(to);
}

static void another_cluster_is_refused(void **state)
{
	const struct seal_key key = key_of(1);
	struct seal_config config = config_of(1, &key, 1);
	bool was_told = false, was_alike = false;
	struct seal *to = node(2, BOOT);
	char name[16];

	(void)state;
	config.cluster = name;
	for (int i = 0; i < 2000; i++) {
		struct seal *from;
		struct datagram d;
		char text[64];
		int r;

		snprintf(name, sizeof(name), "beta%d", i);
		from = make(&config);
		d = sealed(from, "hello");
		r = open_as(to, &d, text);
		assert_true(r == -SEAL_WRONG_CLUSTER || r == -SEAL_BAD_TAG);
		was_told |= r == -SEAL_WRONG_CLUSTER;
		was_alike |= r == -SEAL_BAD_TAG;
		seal_free(from);
	}
	assert_true(was_told && was_alike);
	seal_free(to);
}

static void a_sender_outside_of_the_configuration_is_refused(void **state)
{
	struct seal *stranger = node(4, BOOT), *to = node(2, BOOT);
	struct datagram d = sealed(stranger, "let me in");

	(void)state;
	expect_refused(to, &d, SEAL_UNKNOWN_SENDER);
	/* nor does it help to claim to be somebody else */
	put_u32(&d, AT_SENDER, 1);
	expect_refused(to, &d, SEAL_BAD_TAG);
	seal_free(stranger);
	seal_free(to);
}

static void another_version_and_foreign_bytes_are_named(void **state)
{
	struct seal *from = node(1, BOOT), *to = node(2, BOOT);
	const struct datagram good = sealed(from, "hello");
	struct datagram d = good;

	(void)state;
	d.bytes[0] = 0x54;
	expect_refused(to, &d, SEAL_BAD_MAGIC);
	d = good;
	d.bytes[AT_FORM] = 0x21;
	expect_refused(to, &d, SEAL_BAD_VERSION);
	d.bytes[AT_FORM] = 0x1f;
	expect_refused(to, &d, SEAL_BAD_CIPHER);
	d.bytes[AT_FORM] = 0x10;
	expect_refused(to, &d, SEAL_IS_PLAIN);
	seal_free(from);
	seal_free(to);
}

static void a_refusal_names_who_claims_to_have_sent_it(void **state)
{
	struct seal *from = node(3, 77), *to = node(2, BOOT);
	struct datagram d = sealed(from, "hello");
	struct seal_label label = { 9, 9, 9 };
	uint8_t out[64];
	size_t length;

	(void)state;
	d.bytes[d.length - 1] ^= 1;
	assert_int_equal(seal_open(to, d.bytes, d.length, out, &length, &label),
			 -SEAL_BAD_TAG);
	assert_int_equal(label.sender, 3);
	assert_int_equal(label.boot, 77);
	assert_int_equal(label.counter, 1);
	assert_int_equal(seal_open(to, d.bytes, 10, out, &length, &label),
			 -SEAL_TOO_SHORT);
	assert_int_equal(label.sender, 0);
	d.bytes[AT_FORM] = 0x10;
	assert_int_equal(seal_open(to, d.bytes, d.length, out, &length, &label),
			 -SEAL_IS_PLAIN);
	assert_int_equal(label.sender, 3);
	seal_free(from);
	seal_free(to);
}

/* ---- words ---- */

static void every_refusal_has_a_name_and_a_sentence(void **state)
{
	(void)state;
	for (int i = 0; i < SEAL_REFUSAL_COUNT; i++) {
		const char *why = seal_why(-i);

		assert_true(strlen(why) > 5 && !strchr(why, '\n'));
		for (int k = 0; k < i; k++) {
			assert_string_not_equal(why, seal_why(-k));
			assert_string_not_equal(seal_refusal_name((enum seal_refusal)i),
						seal_refusal_name((enum seal_refusal)k));
		}
	}
	assert_non_null(seal_why(1));
	assert_non_null(seal_why(-SEAL_REFUSAL_COUNT));
	assert_string_equal(seal_refusal_name(SEAL_BAD_TAG), "bad-tag");
	assert_string_equal(seal_cipher_name(SEAL_CHACHA20_POLY1305), "chacha20-poly1305");
}

static void expect_no_seal(struct seal_config config, int code, const char *words)
{
	struct err err = ERR_INIT;
	struct seal *seal = seal_new(&config, &err);

	assert_null(seal);
	assert_refused(err.code, code, err, words);
}

static void impossible_configurations_are_refused_by_name(void **state)
{
	struct node_table nodes = { .ids = { 1, 1 }, .count = 2 };
	struct seal_key keys[3] = { key_of(1), key_of(1), key_of(2) };
	const struct seal_config good = config_of(1, keys, 1);
	struct seal_config c = good;
	char longest[65] = "";

	(void)state;
	memset(longest, 'x', 64);
	c.cluster = "";
	expect_no_seal(c, -EINVAL, "cluster name has 0 bytes");
	c.cluster = longest;
	expect_no_seal(c, -EINVAL, "64 bytes");
	c = good;
	c.self = 0;
	expect_no_seal(c, -EINVAL, "node id 0");
	c = good;
	c.key_count = 0;
	expect_no_seal(c, -EINVAL, "0 keys");
	c.key_count = 3;
	expect_no_seal(c, -EINVAL, "3 keys");
	c.key_count = 2;
	expect_no_seal(c, -EINVAL, "cannot be told apart");
	c = good;
	c.cipher = SEAL_PLAIN;
	expect_no_seal(c, -EINVAL, "crypto is none");
	c.cipher = SEAL_CIPHER_COUNT;
	expect_no_seal(c, -EINVAL, "not known");
	c = good;
	c.nodes = &nodes;
	expect_no_seal(c, -EINVAL, "1 is out of place");
	nodes.ids[0] = 0;
	expect_no_seal(c, -EINVAL, "0 is out of place");
	nodes.count = TOTEM_MAX_NODES + 1;
	expect_no_seal(c, -EINVAL, "129 nodes");
	seal_free(NULL);
}

static void keys_that_are_refused_change_nothing(void **state)
{
	const struct seal_key twice[] = { key_of(2), key_of(2) };
	struct seal *from = node(1, BOOT), *to = node(2, BOOT);
	struct err err = ERR_INIT;
	struct datagram d;

	(void)state;
	assert_refused(seal_set_keys(from, twice, 2, &err), -EINVAL, err, "apart");
	assert_refused(seal_set_keys(to, twice, 0, &err), -EINVAL, err, "0 keys");
	d = sealed(from, "as before");
	expect_opens(to, &d, "as before");
	seal_free(from);
	seal_free(to);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(too_large_a_message_is_not_sealed),
		cmocka_unit_test(wire_format_is_as_documented),
		cmocka_unit_test(counters_have_64_bits),
		cmocka_unit_test(every_flipped_bit_is_refused),
		cmocka_unit_test(every_other_length_is_refused),
		cmocka_unit_test(another_key_is_refused),
		cmocka_unit_test(another_cluster_is_refused),
		cmocka_unit_test(a_sender_outside_of_the_configuration_is_refused),
		cmocka_unit_test(another_version_and_foreign_bytes_are_named),
		cmocka_unit_test(a_refusal_names_who_claims_to_have_sent_it),
		cmocka_unit_test(every_refusal_has_a_name_and_a_sentence),
		cmocka_unit_test(impossible_configurations_are_refused_by_name),
		cmocka_unit_test(keys_that_are_refused_change_nothing),
	};
	int failed;

	failed = cmocka_run_group_tests_name("chacha20-poly1305", tests, with_chacha20,
					     NULL);
	failed += cmocka_run_group_tests_name("aes256-gcm", tests, with_aes, NULL);
	return failed;
}
