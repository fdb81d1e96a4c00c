/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The ciphers of seal.h. */
#include <string.h>

#include <sodium.h>

#include "totem/seal_private.h"

_Static_assert(crypto_aead_chacha20poly1305_ietf_NPUBBYTES == SEAL_NONCE_BYTES &&
	       crypto_aead_aes256gcm_NPUBBYTES == SEAL_NONCE_BYTES, "nonces");
_Static_assert(crypto_aead_chacha20poly1305_ietf_ABYTES == SEAL_TAG_BYTES &&
	       crypto_aead_aes256gcm_ABYTES == SEAL_TAG_BYTES, "tags");
_Static_assert(crypto_aead_chacha20poly1305_ietf_KEYBYTES == SEAL_KEY_BYTES &&
	       crypto_aead_aes256gcm_KEYBYTES == SEAL_KEY_BYTES, "keys");

/* Plain: the "subkey", which anybody can compute, is the tag. */
static int plain_encrypt(unsigned char *c, unsigned char *mac,
			 unsigned long long *mac_length, const unsigned char *m,
			 unsigned long long length, const unsigned char *ad,
			 unsigned long long ad_length, const unsigned char *nsec,
			 const unsigned char *nonce, const unsigned char *key)
{
	(void)mac_length, (void)ad, (void)ad_length, (void)nsec, (void)nonce;
	if (c != m && length > 0)
		memcpy(c, m, length);
	memcpy(mac, key, SEAL_TAG_BYTES);
	return 0;
}

static int plain_decrypt(unsigned char *m, unsigned char *nsec,
			 const unsigned char *c, unsigned long long length,
			 const unsigned char *mac, const unsigned char *ad,
			 unsigned long long ad_length, const unsigned char *nonce,
			 const unsigned char *key)
{
	(void)nsec, (void)ad, (void)ad_length, (void)nonce;
	if (memcmp(mac, key, SEAL_TAG_BYTES) != 0)
		return -1;
	if (m != c && length > 0)
		memcpy(m, c, length);
	return 0;
}

const struct cipher seal_ciphers[SEAL_CIPHER_COUNT] = {
	[SEAL_PLAIN] = { "none", plain_encrypt, plain_decrypt },
	[SEAL_CHACHA20_POLY1305] = {
		"chacha20-poly1305",
		crypto_aead_chacha20poly1305_ietf_encrypt_detached,
		crypto_aead_chacha20poly1305_ietf_decrypt_detached,
	},
	[SEAL_AES256_GCM] = {
		"aes256-gcm",
		crypto_aead_aes256gcm_encrypt_detached,
		crypto_aead_aes256gcm_decrypt_detached,
	},
};

bool seal_cipher_is_available(enum seal_cipher cipher)
{
	if (sodium_init() < 0 || (unsigned int)cipher >= SEAL_CIPHER_COUNT)
		return false;
	return cipher != SEAL_AES256_GCM || crypto_aead_aes256gcm_is_available();
}

const char *seal_cipher_name(enum seal_cipher cipher)
{
	return (unsigned int)cipher < SEAL_CIPHER_COUNT ? seal_ciphers[cipher].name : "?";
}
