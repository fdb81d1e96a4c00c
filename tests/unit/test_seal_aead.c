/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The ciphers of sealing, against published vectors and libsodium. */
#include "tests/unit/seal_rig.h"

#include <string.h>

#include <sodium.h>

#include "base/arith.h"
#include "totem/seal_aead.h"

enum { MAX_VECTOR_BYTES = 128, LONGEST = 4200 };

static struct aead_ciphers ciphers;

static size_t from_hex(uint8_t *to, const char *hex)
{
	size_t bytes = 0;

	if (sodium_hex2bin(to, MAX_VECTOR_BYTES, hex, strlen(hex), NULL, &bytes, NULL) != 0)
		fail_msg("no hex: %s", hex);
	return bytes;
}

static struct aead keyed(enum seal_cipher cipher, enum aead_use use, const uint8_t *key)
{
	struct aead aead = { 0 };

	assert_int_equal(aead_set_key(&aead, &ciphers, cipher, use, key), 0);
	return aead;
}

static const struct {
	const char *source;
	enum seal_cipher cipher;
	const char *key, *nonce, *ad, *plain, *sealed;
} vectors[] = {
	{ "McGrew, Viega: GCM, test case 13", SEAL_AES256_GCM,
	  "0000000000000000000000000000000000000000000000000000000000000000",
	  "000000000000000000000000", "", "",
	  "530f8afbc74536b9a963b4f1c4cb738b" },
	{ "test case 14", SEAL_AES256_GCM,
	  "0000000000000000000000000000000000000000000000000000000000000000",
	  "000000000000000000000000", "", "00000000000000000000000000000000",
	  "cea7403d4d606b6e074ec5d3baf39d18d0d1c8a799996bf0265b98b5d48ab919" },
	{ "test case 15", SEAL_AES256_GCM,
	  "feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308",
	  "cafebabefacedbaddecaf888", "",
	  "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72"
	  "1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b391aafd255",
	  "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa"
	  "8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662898015ad"
	  "b094dac5d93471bdec1a502270e3cc6c" },
	{ "test case 16", SEAL_AES256_GCM,
	  "feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308",
	  "cafebabefacedbaddecaf888", "feedfacedeadbeeffeedfacedeadbeefabaddad2",
	  "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72"
	  "1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39",
	  "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa"
	  "8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662"
	  "76fc6ece0f4e1768cddf8853bb2d551b" },
	{ "RFC 8439, 2.8.2", SEAL_CHACHA20_POLY1305,
	  "808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9f",
	  "070000004041424344454647", "50515253c0c1c2c3c4c5c6c7",
	  "4c616469657320616e642047656e746c656d656e206f662074686520636c6173"
	  "73206f66202739393a204966204920636f756c64206f6666657220796f75206f"
	  "6e6c79206f6e652074697020666f7220746865206675747572652c2073756e73"
	  "637265656e20776f756c642062652069742e",
	  "d31a8d34648e60db7b86afbc53ef7ec2a4aded51296e08fea9e2b5a736ee62d6"
	  "3dbea45e8ca9671282fafb69da92728b1a71de0a9e060b2905d6a5b67ecd3b36"
	  "92ddbd7f2d778b8c9803aee328091b58fab324e4fad675945585808b4831d7bc"
	  "3ff4def08e4b7a9de576d26586cec64b61161ae10b594f09e26a7e902ecbd060"
	  "0691" },
};

static void published_vectors_come_out(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(vectors); i++) {
		uint8_t key[MAX_VECTOR_BYTES], nonce[MAX_VECTOR_BYTES];
		uint8_t ad[MAX_VECTOR_BYTES], plain[MAX_VECTOR_BYTES];
		uint8_t wanted[MAX_VECTOR_BYTES + SEAL_TAG_BYTES];
		uint8_t got[MAX_VECTOR_BYTES + SEAL_TAG_BYTES];
		size_t ad_length = from_hex(ad, vectors[i].ad);
		size_t length = from_hex(plain, vectors[i].plain);
		struct aead seals, opens;

		from_hex(key, vectors[i].key);
		from_hex(nonce, vectors[i].nonce);
		print_message("%s\n", vectors[i].source);
		assert_int_equal(sodium_hex2bin(wanted, sizeof(wanted), vectors[i].sealed,
						strlen(vectors[i].sealed), NULL, NULL,
						NULL), 0);
		seals = keyed(vectors[i].cipher, AEAD_SEALS, key);
		opens = keyed(vectors[i].cipher, AEAD_OPENS, key);
		assert_int_equal(aead_seal(&seals, nonce, ad, ad_length, plain, length,
					   got), 0);
		assert_memory_equal(got, wanted, length + SEAL_TAG_BYTES);
		assert_true(aead_open(&opens, nonce, ad, ad_length, wanted, length, got));
		if (length > 0)
			assert_memory_equal(got, plain, length);
		aead_fini(&seals);
		aead_fini(&opens);
	}
}

/* One aead a side, as a stream of datagrams has it; also in place. */
static void agree_with_libsodium(enum seal_cipher cipher)
{
	static uint8_t plain[LONGEST], wanted[LONGEST + SEAL_TAG_BYTES];
	static uint8_t got[LONGEST + SEAL_TAG_BYTES];
	uint8_t nonce[AEAD_NONCE_BYTES] = { 0 }, ad[SEAL_HEADER_BYTES];
	const struct seal_key key = key_of(9);
	struct aead seals = keyed(cipher, AEAD_SEALS, key.bytes);
	struct aead opens = keyed(cipher, AEAD_OPENS, key.bytes);

	for (size_t n = 0; n <= LONGEST; n += n < 600 ? 1 : 173) {
		memcpy(nonce, &n, sizeof(n));
		memset(ad, (int)n, sizeof(ad));
		for (size_t i = 0; i < n; i++)
			plain[i] = (uint8_t)(i * 7 + n);
		(cipher == SEAL_AES256_GCM ?
			crypto_aead_aes256gcm_encrypt_detached :
			crypto_aead_chacha20poly1305_ietf_encrypt_detached)(
			wanted, wanted + n, NULL, plain, n, ad, sizeof(ad), NULL, nonce,
			key.bytes);
		memcpy(got, plain, n);
		assert_int_equal(aead_seal(&seals, nonce, ad, sizeof(ad), got, n, got), 0);
		assert_memory_equal(got, wanted, n + SEAL_TAG_BYTES);
		assert_true(aead_open(&opens, nonce, ad, sizeof(ad), got, n, got));
		if (n > 0)
			assert_memory_equal(got, plain, n);
	}
	aead_fini(&seals);
	aead_fini(&opens);
}

static void both_ciphers_agree_with_libsodium_at_every_length(void **state)
{
	(void)state;
	agree_with_libsodium(SEAL_CHACHA20_POLY1305);
	if (!crypto_aead_aes256gcm_is_available())
		skip();
	agree_with_libsodium(SEAL_AES256_GCM);
}

/* A scratch subkey goes from stream to stream, and from cipher to cipher. */
static void an_aead_takes_any_key_after_any_other(void **state)
{
	static const enum seal_cipher order[] = {
		SEAL_AES256_GCM, SEAL_AES256_GCM, SEAL_CHACHA20_POLY1305, SEAL_PLAIN,
		SEAL_CHACHA20_POLY1305, SEAL_CHACHA20_POLY1305, SEAL_AES256_GCM,
		SEAL_PLAIN, SEAL_PLAIN, SEAL_AES256_GCM,
	};
	const uint8_t nonce[AEAD_NONCE_BYTES] = { 1 }, ad[4] = { 2 };
	struct aead seals = { 0 }, opens = { 0 };

	(void)state;
	for (size_t i = 0; i < 2 * ARRAY_SIZE(order); i++) {
		enum seal_cipher cipher = order[i % ARRAY_SIZE(order)];
		const struct seal_key key = key_of((int)i);
		struct aead fresh = keyed(cipher, AEAD_SEALS, key.bytes);
		uint8_t got[5 + SEAL_TAG_BYTES], wanted[5 + SEAL_TAG_BYTES];

		assert_int_equal(aead_set_key(&seals, &ciphers, cipher, AEAD_SEALS,
					      key.bytes), 0);
		assert_int_equal(aead_set_key(&opens, &ciphers, cipher, AEAD_OPENS,
					      key.bytes), 0);
		memcpy(got, "words", 5);
		memcpy(wanted, "words", 5);
		assert_int_equal(aead_seal(&seals, nonce, ad, 4, got, 5, got), 0);
		assert_int_equal(aead_seal(&fresh, nonce, ad, 4, wanted, 5, wanted), 0);
		assert_memory_equal(got, wanted, sizeof(got));
		assert_true(aead_open(&opens, nonce, ad, 4, got, 5, got));
		assert_memory_equal(got, "words", 5);
		aead_fini(&fresh);
	}
	aead_fini(&seals);
	aead_fini(&opens);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(published_vectors_come_out),
		cmocka_unit_test(both_ciphers_agree_with_libsodium_at_every_length),
		cmocka_unit_test(an_aead_takes_any_key_after_any_other),
	};
	int failed;

	if (sodium_init() < 0)
		return 1;
	aead_ciphers_init(&ciphers);
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	aead_ciphers_fini(&ciphers);
	return failed;
}
