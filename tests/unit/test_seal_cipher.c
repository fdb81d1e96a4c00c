/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Sealing with each cipher, with none, and with several beside each other. */
#include "tests/unit/seal_rig.h"

#include <string.h>

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
	struct seal *chacha = node(1, BOOT), *aes, *to;
	struct datagram c = sealed(chacha, "chacha"), a;

	(void)state;
	if (!seal_cipher_is_available(SEAL_AES256_GCM)) {
		seal_free(chacha);
		skip();
	}
	aes = node_with(SEAL_AES256_GCM, 2);
	a = sealed(aes, "aes");
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
		if (seal_cipher_is_available(SEAL_AES256_GCM) && i / 2 % 2)
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(plain_mode_has_the_same_framing_and_checks),
		cmocka_unit_test(plain_and_sealed_do_not_mix),
		cmocka_unit_test(nodes_with_different_ciphers_understand_each_other),
		cmocka_unit_test(a_subkey_is_not_taken_for_another),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
