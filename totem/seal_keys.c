/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The cluster's keys, and what is made of them by keyed BLAKE2b: fingerprints for
 * people, hints for the wire, a subkey for each stream of datagrams.
 */
#include <assert.h>
#include <errno.h>
#include <string.h>

#include <sodium.h>

#include "base/arith.h"
#include "base/codec.h"
#include "base/err.h"
#include "totem/seal_private.h"

enum { LABEL_BYTES = 16 };

/* Each use of BLAKE2b begins with other bytes, so that none stands for another. */
static const char subkey_label[LABEL_BYTES] = "mdclusterd seal";
static const char fingerprint_label[LABEL_BYTES] = "mdclusterd print";
static const char cluster_label[LABEL_BYTES] = "mdclusterd name";

/*
 * BLAKE2b of a label and what follows it. Lengths are right by construction,
 * and nothing else can fail.
 */
static void hash(uint8_t *to, size_t to_length, const uint8_t *text, size_t length,
		 const struct seal_key *key)
{
	int r = crypto_generichash(to, to_length, text, length,
				   key ? key->bytes : NULL,
				   key ? SEAL_KEY_BYTES : 0);

	assert(r == 0);
	(void)r;
}

uint32_t seal_key_fingerprint(const struct seal_key *key)
{
	uint8_t out[crypto_generichash_BYTES_MIN];
	struct rd rd;

	hash(out, sizeof(out), (const uint8_t *)fingerprint_label, LABEL_BYTES, key);
	rd = rd_over(out, sizeof(out));
	return rd_u32(&rd);
}

/* The first byte as people read the fingerprint, in hex. */
uint8_t seal_key_hint(uint32_t fingerprint)
{
	return (uint8_t)(fingerprint >> 24);
}

uint8_t seal_cluster_hint(const char *cluster)
{
	uint8_t text[LABEL_BYTES + SEAL_MAX_CLUSTER_BYTES];
	uint8_t out[crypto_generichash_BYTES_MIN];
	struct wr wr = wr_over(text, sizeof(text));

	wr_bytes(&wr, cluster_label, LABEL_BYTES);
	wr_bytes(&wr, cluster, strlen(cluster));
	hash(out, sizeof(out), text, wr.at, NULL);
	return out[0];
}

static uint32_t era_of(const struct seal_label *label)
{
	return (uint32_t)(label->counter >> 32);
}

/* The name stands last, since it alone has no fixed length. */
int seal_derive_subkey(const struct seal *seal, size_t key_slot,
		       enum seal_cipher cipher, const struct seal_label *label,
		       enum aead_use use, struct subkey *subkey)
{
	uint8_t text[LABEL_BYTES + 17 + SEAL_MAX_CLUSTER_BYTES];
	struct wr wr = wr_over(text, sizeof(text));
	uint8_t key[SEAL_KEY_BYTES];
	int r;

	wr_bytes(&wr, subkey_label, LABEL_BYTES);
	wr_u8(&wr, (uint8_t)cipher);
	wr_u32(&wr, label->sender);
	wr_u64(&wr, label->boot);
	wr_u32(&wr, era_of(label));
	wr_bytes(&wr, seal->cluster, strlen(seal->cluster));
	hash(key, sizeof(key), text, wr.at,
	     cipher == SEAL_PLAIN ? NULL : &seal->keys[key_slot]);
	subkey->boot = label->boot;
	subkey->era = era_of(label);
	r = aead_set_key(&subkey->aead, &seal->ciphers, cipher, use, key);
	sodium_memzero(key, sizeof(key));
	return r;
}

/* Sender and key are known from where it lies. */
bool seal_subkey_fits(const struct subkey *subkey, enum seal_cipher cipher,
		      const struct seal_label *label)
{
	return subkey->aead.has_key && subkey->aead.cipher == cipher &&
	       subkey->boot == label->boot && subkey->era == era_of(label);
}

static int check_keys(const struct seal *seal, const struct seal_key *keys,
		      size_t key_count, struct err *err)
{
	size_t i;

	if (seal->cipher == SEAL_PLAIN)
		return key_count == 0 ? 0 :
			err_set(err, -EINVAL, "seal: a key is given, but crypto is none");
	if (key_count == 0 || key_count > SEAL_MAX_KEYS)
		return err_set(err, -EINVAL, "seal: %zu keys given, 1 or %d are needed",
			       key_count, SEAL_MAX_KEYS);
	for (i = 1; i < key_count; i++) {
		uint32_t a = seal_key_fingerprint(&keys[0]);
		uint32_t b = seal_key_fingerprint(&keys[i]);

		if (seal_key_hint(a) == seal_key_hint(b))
			return err_set(err, -EINVAL,
				       "seal: keys %08x and %08x cannot be told apart by their first two digits: make another second one",
				       a, b);
	}
	return 0;
}

bool seal_has_keys(const struct seal *seal, const struct seal_key *keys, size_t key_count)
{
	if (key_count != seal->key_count)
		return false;
	for (size_t i = 0; i < key_count; i++)
		if (sodium_memcmp(&seal->keys[i], &keys[i], sizeof(keys[i])) != 0)
			return false;
	return true;
}

int seal_set_keys(struct seal *seal, const struct seal_key *keys,
		  size_t key_count, struct err *err)
{
	int r = check_keys(seal, keys, key_count, err);
	size_t i;

	if (r < 0)
		return r;
	sodium_memzero(seal->keys, SEAL_MAX_KEYS * sizeof(seal->keys[0]));
	for (i = 0; i < key_count; i++) {
		seal->keys[i] = keys[i];
		seal->fingerprints[i] = seal_key_fingerprint(&keys[i]);
	}
	/* plain: as if there were one key, and it were public */
	seal->key_count = max_u64(key_count, 1);
	seal_forget_subkeys(seal);
	return 0;
}
