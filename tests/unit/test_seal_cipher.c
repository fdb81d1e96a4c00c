/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Sealing with each cipher, with none, with several beside each other, and with
 * one that is lacking.
 */
#include "tests/unit/seal_rig.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/evp.h>
#include <sodium.h>

#include "base/arith.h"
#include "base/cleanup.h"
#include "totem/seal_private.h"

/* What this processor has is what the test says, and not libsodium. */
static int has_aes;

int crypto_aead_aes256gcm_is_available(void)
{
	return has_aes;
}

/* ---- with each ---- */

static void round_trip(struct seal *from, struct seal *to, size_t length,
		       bool is_in_place)
{
	CLEANUP_FREE uint8_t *plain = calloc(1, length + 1);
	CLEANUP_FREE uint8_t *wire = calloc(1, length + seal_overhead());
	CLEANUP_FREE uint8_t *apart = calloc(1, length + 1);
	uint8_t *out = is_in_place ? wire + SEAL_HEADER_BYTES : apart;
	struct seal_label label;
	size_t got = 1;

	for (size_t i = 0; i < length; i++)
		plain[i] = (uint8_t)(i * 31 + length);
	if (is_in_place)
		memcpy(wire + SEAL_HEADER_BYTES, plain, length);
	assert_int_equal(seal_wrap(from, is_in_place ? wire + SEAL_HEADER_BYTES : plain,
				   length, wire), 0);
	assert_int_equal(seal_open(to, wire, length + seal_overhead(), out, &got,
				   &label), 0);
	assert_int_equal(got, length);
	if (length > 0)
		assert_memory_equal(out, plain, length);
	assert_int_equal(label.sender, 1);
	assert_int_equal(label.boot, BOOT);
	assert_int_equal(label.counter, seal_stats(from)->sealed);
}

static void every_size_comes_back(void **state)
{
	static const size_t sizes[] = { 1400, 1472, 4095, 4096, 8900, 65535, 65536 };

	(void)state;
	for (int c = 0; c < SEAL_CIPHER_COUNT; c++) {
		struct seal *from = node_with((enum seal_cipher)c, 1);
		struct seal *to = node_with((enum seal_cipher)c, 2);

		for (size_t n = 0; n <= 300; n++) {
			round_trip(from, to, n, false);
			round_trip(from, to, n, true);
		}
		for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
			round_trip(from, to, sizes[i], false);
			round_trip(from, to, sizes[i], true);
		}
		seal_free(from);
		seal_free(to);
	}
}

/* libcrypto decrypts first and asks then. */
static void what_is_refused_is_not_shown(void **state)
{
	(void)state;
	for (int c = SEAL_CHACHA20_POLY1305; c < SEAL_CIPHER_COUNT; c++) {
		struct seal *from = node_with((enum seal_cipher)c, 1);
		struct seal *to = node_with((enum seal_cipher)c, 2);
		struct datagram d = sealed(from, "attack at dawn");
		uint8_t apart[64] = "attack at dusk";
		struct seal_label label;
		size_t length;

		d.bytes[d.length - 1] ^= 1;
		assert_int_equal(seal_open(to, d.bytes, d.length, apart, &length, &label),
				 -SEAL_BAD_TAG);
		assert_true(sodium_is_zero(apart, 14));
		assert_int_equal(seal_open(to, d.bytes, d.length,
					   d.bytes + SEAL_HEADER_BYTES, &length, &label),
				 -SEAL_BAD_TAG);
		assert_true(sodium_is_zero(d.bytes + SEAL_HEADER_BYTES, 14));
		seal_free(from);
		seal_free(to);
	}
}

/* ---- plain mode, and ciphers beside each other ---- */

static void plain_mode_has_the_same_framing_and_checks(void **state)
{
	struct seal *from = node_with(SEAL_PLAIN, 1), *to = node_with(SEAL_PLAIN, 2);
	struct seal_config foreign = { .cluster = "beta", .nodes = &three, .self = 1,
				       .boot = BOOT };
	struct seal *other = make(&foreign);
	struct datagram d = sealed(from, "readable"), bad = d, alien = sealed(other, "x");

	(void)state;
	assert_int_equal(d.length, strlen("readable") + seal_overhead());
	assert_memory_equal(d.bytes + SEAL_HEADER_BYTES, "readable", 8);
	expect_opens(to, &d, "readable");
	expect_refused(to, &d, SEAL_REPLAY);
	expect_refused(to, &alien, SEAL_WRONG_CLUSTER);
	alien.bytes[2] = d.bytes[2];
	put_u64(&alien, AT_COUNTER, 7);
	expect_refused(to, &alien, SEAL_BAD_TAG);
	put_u64(&bad, AT_COUNTER, 8);
	bad.length--;
	expect_refused(to, &bad, SEAL_BAD_TAG);
	expect_refused(from, &d, SEAL_ECHO);
	seal_free(from);
	seal_free(to);
	seal_free(other);
}

static void plain_and_sealed_do_not_mix(void **state)
{
	struct seal *plain = node_with(SEAL_PLAIN, 1), *keyed = node(2, BOOT);
	struct datagram p = sealed(plain, "plain"), s = sealed(keyed, "sealed");

	(void)state;
	expect_refused(keyed, &p, SEAL_IS_PLAIN);
	expect_refused(plain, &s, SEAL_IS_SEALED);
	seal_free(plain);
	seal_free(keyed);
}

static void nodes_with_different_ciphers_understand_each_other(void **state)
{
	struct seal *chacha = node(1, BOOT), *aes = node_with(SEAL_AES256_GCM, 2), *to;
	struct datagram c = sealed(chacha, "chacha"), a = sealed(aes, "aes");

	(void)state;
	expect_opens(aes, &c, "chacha");
	expect_opens(chacha, &a, "aes");
	/* the cipher is no more to be changed than the rest */
	a = sealed(aes, "aes");
	a.bytes[AT_FORM] = 0x11;
	expect_refused(chacha, &a, SEAL_BAD_TAG);
	a.bytes[AT_FORM] = 0x12;
	expect_opens(chacha, &a, "aes");
	/* one stream, both ciphers: subkeys are not mixed up */
	seal_free(aes);
	aes = node_with(SEAL_AES256_GCM, 2);
	seal_free(chacha);
	chacha = node_with(SEAL_CHACHA20_POLY1305, 2);
	to = node(3, BOOT);
	for (int i = 0; i < 4; i++) {
		a = sealed(i % 2 ? aes : chacha, "even");
		c = sealed(i % 2 ? chacha : aes, "odd");
		expect_opens(to, i % 2 ? &c : &a, i % 2 ? "odd" : "even");
	}
	for (int i = 0; i < 4; i++) {
		a = sealed(aes, "aes");
		expect_opens(to, &a, "aes");
		c = sealed(chacha, "chacha");
		c = sealed(chacha, "chacha");
		a = sealed(aes, "skipped");
		expect_opens(to, &c, "chacha");
	}
	seal_free(to);
	seal_free(chacha);
	seal_free(aes);
}

/* A node that was restarted with another cipher, and a second key. */
static void a_subkey_is_not_taken_for_another(void **state)
{
	const struct seal_key keys[] = { key_of(1), key_of(2) };
	struct seal_config config = config_of(2, keys, 2);
	struct seal *to = make(&config);

	(void)state;
	for (int i = 0; i < 12; i++) {
		struct seal_config sender = config_of(1, &keys[i % 2], 1);
		struct seal *from;
		struct datagram d;

		sender.boot = BOOT + (uint64_t)i;
		if (i / 2 % 2)
			sender.cipher = SEAL_AES256_GCM;
		from = make(&sender);
		d = sealed(from, "x");
		expect_opens(to, &d, "x");
		d = sealed(from, "y");
		expect_opens(to, &d, "y");
		seal_free(from);
	}
	seal_free(to);
}

/* ---- what a node has ---- */

static void a_cipher_that_this_node_lacks_is_refused_by_name(void **state)
{
	struct seal *aes = node_with(SEAL_AES256_GCM, 1);
	struct seal *chacha = node_with(SEAL_CHACHA20_POLY1305, 3);
	struct seal *to = node_with(SEAL_CHACHA20_POLY1305, 2);
	struct datagram a = sealed(aes, "aes"), c = sealed(chacha, "chacha");

	(void)state;
	EVP_CIPHER_free(to->ciphers.evp[SEAL_AES256_GCM]);
	to->ciphers.evp[SEAL_AES256_GCM] = NULL;
	expect_refused(to, &a, SEAL_BAD_CIPHER);
	assert_non_null(strstr(seal_why(-SEAL_BAD_CIPHER), "libcrypto"));
	expect_opens(to, &c, "chacha");
	expect_opens(aes, &c, "chacha");
	seal_free(aes);
	seal_free(chacha);
	seal_free(to);
}

static void a_cipher_that_libcrypto_lacks_is_not_configured(void **state)
{
	const struct seal_key key = key_of(1);
	struct seal_config config = config_of(1, &key, 1);
	struct err err = ERR_INIT;
	struct seal *seal;

	(void)state;
	config.cipher = SEAL_AES256_GCM;
	assert_int_equal(EVP_set_default_properties(NULL, "provider=nobody"), 1);
	assert_false(seal_cipher_is_available(SEAL_AES256_GCM));
	assert_true(seal_cipher_is_available(SEAL_PLAIN));
	seal = seal_new(&config, &err);
	assert_int_equal(EVP_set_default_properties(NULL, ""), 1);
	assert_null(seal);
	assert_refused(err.code, -EOPNOTSUPP, err, "libcrypto", "aes256-gcm");
	assert_true(seal_cipher_is_available(SEAL_AES256_GCM));
	assert_false(seal_cipher_is_available(SEAL_CIPHER_COUNT));
}

static void the_default_is_what_this_processor_does_best(void **state)
{
	(void)state;
	has_aes = 1;
	assert_int_equal(seal_cipher_default(), SEAL_AES256_GCM);
	has_aes = 0;
	assert_int_equal(seal_cipher_default(), SEAL_CHACHA20_POLY1305);
}

/* A processor without the instructions opens what one with them sealed. */
static void nodes_with_and_without_aes_instructions_are_one_cluster(void **state)
{
	struct seal *fast, *slow;
	struct datagram d;

	(void)state;
	has_aes = 1;
	fast = node_with(seal_cipher_default(), 1);
	has_aes = 0;
	slow = node_with(seal_cipher_default(), 2);
	d = sealed(fast, "from the fast one");
	assert_int_equal(d.bytes[AT_FORM], 0x10 | SEAL_AES256_GCM);
	expect_opens(slow, &d, "from the fast one");
	d = sealed(slow, "from the slow one");
	assert_int_equal(d.bytes[AT_FORM], 0x10 | SEAL_CHACHA20_POLY1305);
	expect_opens(fast, &d, "from the slow one");
	seal_free(fast);
	seal_free(slow);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_size_comes_back),
		cmocka_unit_test(what_is_refused_is_not_shown),
		cmocka_unit_test(plain_mode_has_the_same_framing_and_checks),
		cmocka_unit_test(plain_and_sealed_do_not_mix),
		cmocka_unit_test(nodes_with_different_ciphers_understand_each_other),
		cmocka_unit_test(a_subkey_is_not_taken_for_another),
		cmocka_unit_test(a_cipher_that_this_node_lacks_is_refused_by_name),
		cmocka_unit_test(a_cipher_that_libcrypto_lacks_is_not_configured),
		cmocka_unit_test(the_default_is_what_this_processor_does_best),
		cmocka_unit_test(nodes_with_and_without_aes_instructions_are_one_cluster),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
