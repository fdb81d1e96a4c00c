/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A cipher with a key in it: what sealing takes from libcrypto.
 *
 * Putting a key in costs as much as 500 bytes do, so that it stays in as long as
 * datagrams for it come: 0.9 KiB of libcrypto's heap, wiped when it goes.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "totem/seal.h"

struct evp_cipher_st;
struct evp_cipher_ctx_st;

enum { AEAD_NONCE_BYTES = 12 };

/* What libcrypto offers here. */
struct aead_ciphers {
	struct evp_cipher_st *evp[SEAL_CIPHER_COUNT]; /* NULL: not that one */
};

void aead_ciphers_init(struct aead_ciphers *ciphers);
void aead_ciphers_fini(struct aead_ciphers *ciphers);
bool aead_ciphers_has(const struct aead_ciphers *ciphers, enum seal_cipher cipher);

enum aead_use { AEAD_SEALS, AEAD_OPENS };

struct aead {
	enum seal_cipher cipher;
	bool has_key;
	struct evp_cipher_ctx_st *ctx; /* none with SEAL_PLAIN, nor before a key */
	uint8_t public_tag[SEAL_TAG_BYTES]; /* of SEAL_PLAIN */
};

/* All zeroes is an aead without a key. */
void aead_fini(struct aead *aead);

/* For a cipher that is offered. 0 or -ENOMEM: then it has no key. */
int aead_set_key(struct aead *aead, const struct aead_ciphers *ciphers,
		 enum seal_cipher cipher, enum aead_use use,
		 const uint8_t key[SEAL_KEY_BYTES]);

/*
 * Into out[length + SEAL_TAG_BYTES]. `plain` is `out`, or does not overlap with
 * it. 0 or -EIO, when libcrypto fails for reasons of its own.
 */
int aead_seal(struct aead *aead, const uint8_t nonce[AEAD_NONCE_BYTES],
	      const uint8_t *ad, size_t ad_length, const uint8_t *plain,
	      size_t length, uint8_t *out);

/*
 * Opens sealed[length + SEAL_TAG_BYTES] into plain[length], which is `sealed` or
 * does not overlap with it. False if the tag is wrong: `plain` is zeroes then.
 */
bool aead_open(struct aead *aead, const uint8_t nonce[AEAD_NONCE_BYTES],
	       const uint8_t *ad, size_t ad_length, const uint8_t *sealed,
	       size_t length, uint8_t *plain);
