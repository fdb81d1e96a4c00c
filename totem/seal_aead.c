/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The ciphers of seal.h, by libcrypto: it has code for most processors, and for
 * the rest it has AES in software, so that every node opens what any other sealed.
 *
 * libcrypto decrypts before it has seen the tag. Nobody gets to see that: what
 * was not proven is wiped here.
 */
#include "totem/seal_aead.h"

#include <errno.h>
#include <string.h>

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <sodium.h>

static const struct {
	const char *name;
	const char *fetched_as; /* NULL: it is none */
} ciphers_known[SEAL_CIPHER_COUNT] = {
	[SEAL_PLAIN] = { "none", NULL },
	[SEAL_CHACHA20_POLY1305] = { "chacha20-poly1305", "ChaCha20-Poly1305" },
	[SEAL_AES256_GCM] = { "aes256-gcm", "AES-256-GCM" },
};

void aead_ciphers_init(struct aead_ciphers *ciphers)
{
	int i;

	for (i = 0; i < SEAL_CIPHER_COUNT; i++)
		ciphers->evp[i] = ciphers_known[i].fetched_as ?
			EVP_CIPHER_fetch(NULL, ciphers_known[i].fetched_as, NULL) : NULL;
}

void aead_ciphers_fini(struct aead_ciphers *ciphers)
{
	int i;

	for (i = 0; i < SEAL_CIPHER_COUNT; i++)
		EVP_CIPHER_free(ciphers->evp[i]);
}

bool aead_ciphers_has(const struct aead_ciphers *ciphers, enum seal_cipher cipher)
{
	return cipher == SEAL_PLAIN || ciphers->evp[cipher];
}

/* --- for configurations ---------------------------------------------------------- */

bool seal_cipher_is_available(enum seal_cipher cipher)
{
	struct aead_ciphers ciphers;
	bool is_available;

	if ((unsigned int)cipher >= SEAL_CIPHER_COUNT)
		return false;
	aead_ciphers_init(&ciphers);
	is_available = aead_ciphers_has(&ciphers, cipher);
	aead_ciphers_fini(&ciphers);
	return is_available;
}

const char *seal_cipher_name(enum seal_cipher cipher)
{
	return (unsigned int)cipher < SEAL_CIPHER_COUNT ? ciphers_known[cipher].name : "?";
}

enum seal_cipher seal_cipher_default(void)
{
	/* libcrypto does AES either way, and does not tell which; libsodium tells */
	bool is_fast = sodium_init() >= 0 && crypto_aead_aes256gcm_is_available();

	return is_fast && seal_cipher_is_available(SEAL_AES256_GCM) ?
		       SEAL_AES256_GCM : SEAL_CHACHA20_POLY1305;
}

/* --- keys ------------------------------------------------------------------------ */

void aead_fini(struct aead *aead)
{
	EVP_CIPHER_CTX_free(aead->ctx); /* wipes */
	memset(aead, 0, sizeof(*aead));
}

int aead_set_key(struct aead *aead, const struct aead_ciphers *ciphers,
		 enum seal_cipher cipher, enum aead_use use,
		 const uint8_t key[SEAL_KEY_BYTES])
{
	bool is_same = aead->has_key && aead->cipher == cipher;

	aead->has_key = false;
	aead->cipher = cipher;
	if (cipher == SEAL_PLAIN) {
		memcpy(aead->public_tag, key, SEAL_TAG_BYTES);
	} else {
		if (!aead->ctx)
			aead->ctx = EVP_CIPHER_CTX_new();
		if (!aead->ctx ||
		    EVP_CipherInit_ex2(aead->ctx, is_same ? NULL : ciphers->evp[cipher],
				       key, NULL, use == AEAD_SEALS, NULL) != 1)
			return -ENOMEM;
	}
	aead->has_key = true;
	return 0;
}

/* --- plain: the key, which anybody can compute, is the tag ------------------------ */

static int plain_seal(const struct aead *aead, const uint8_t *plain, size_t length,
		      uint8_t *out)
{
	if (out != plain && length > 0)
		memcpy(out, plain, length);
	memcpy(out + length, aead->public_tag, SEAL_TAG_BYTES);
	return 0;
}

static bool plain_open(const struct aead *aead, const uint8_t *sealed, size_t length,
		       uint8_t *plain)
{
	if (memcmp(sealed + length, aead->public_tag, SEAL_TAG_BYTES) != 0)
		return false;
	if (plain != sealed && length > 0)
		memcpy(plain, sealed, length);
	return true;
}

/* --- sealed ---------------------------------------------------------------------- */

int aead_seal(struct aead *aead, const uint8_t nonce[AEAD_NONCE_BYTES],
	      const uint8_t *ad, size_t ad_length, const uint8_t *plain,
	      size_t length, uint8_t *out)
{
	OSSL_PARAM get_tag[] = {
		OSSL_PARAM_construct_octet_string(OSSL_CIPHER_PARAM_AEAD_TAG,
						  out + length, SEAL_TAG_BYTES),
		OSSL_PARAM_construct_end(),
	};
	int n;

	if (aead->cipher == SEAL_PLAIN)
		return plain_seal(aead, plain, length, out);
	if (EVP_EncryptInit_ex2(aead->ctx, NULL, NULL, nonce, NULL) != 1 ||
	    EVP_EncryptUpdate(aead->ctx, NULL, &n, ad, (int)ad_length) != 1 ||
	    (length > 0 &&
	     EVP_EncryptUpdate(aead->ctx, out, &n, plain, (int)length) != 1) ||
	    EVP_EncryptFinal_ex(aead->ctx, out + length, &n) != 1 ||
	    EVP_CIPHER_CTX_get_params(aead->ctx, get_tag) != 1)
		return -EIO;
	return 0;
}

bool aead_open(struct aead *aead, const uint8_t nonce[AEAD_NONCE_BYTES],
	       const uint8_t *ad, size_t ad_length, const uint8_t *sealed,
	       size_t length, uint8_t *plain)
{
	uint8_t tag[SEAL_TAG_BYTES];
	const OSSL_PARAM set_tag[] = {
		OSSL_PARAM_construct_octet_string(OSSL_CIPHER_PARAM_AEAD_TAG, tag,
						  SEAL_TAG_BYTES),
		OSSL_PARAM_construct_end(),
	};
	int n;

	if (aead->cipher == SEAL_PLAIN)
		return plain_open(aead, sealed, length, plain);
	memcpy(tag, sealed + length, SEAL_TAG_BYTES);
	if (EVP_DecryptInit_ex2(aead->ctx, NULL, NULL, nonce, set_tag) == 1 &&
	    EVP_DecryptUpdate(aead->ctx, NULL, &n, ad, (int)ad_length) == 1 &&
	    (length == 0 ||
	     EVP_DecryptUpdate(aead->ctx, plain, &n, sealed, (int)length) == 1) &&
	    EVP_DecryptFinal_ex(aead->ctx, tag, &n) == 1)
		return true;
	OPENSSL_cleanse(plain, length);
	return false;
}
