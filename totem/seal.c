/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Sealing, its face: what is configured, the format of a datagram, and sealing one.
 * seal.h has the promises S1 to S6; opening is in seal_open.c.
 *
 * The nonce is a counter, under a subkey that no other sender or boot shares:
 * the 192-bit nonces of XChaCha20 would buy nothing and cost 0.1 us a datagram.
 */
#include "totem/seal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <sodium.h>

#include "base/codec.h"
#include "base/err.h"
#include "totem/seal_private.h"

/* Birth and death */

static int check_config(const struct seal_config *config, struct err *err)
{
	size_t length = strlen(config->cluster);

	if (length == 0 || length > SEAL_MAX_CLUSTER_BYTES)
		return err_set(err, -EINVAL,
			       "seal: cluster name has %zu bytes, 1 to %d are possible",
			       length, SEAL_MAX_CLUSTER_BYTES);
	if (config->self == 0)
		return err_set(err, -EINVAL, "seal: node id 0 is nobody's");
	if ((unsigned int)config->cipher >= SEAL_CIPHER_COUNT)
		return err_set(err, -EINVAL, "seal: cipher %d is not known",
			       (int)config->cipher);
	if (!seal_cipher_is_available(config->cipher))
		return err_set(err, -EOPNOTSUPP,
			       "seal: libcrypto, as this machine has it, does not offer %s",
			       seal_cipher_name(config->cipher));
	return 0;
}

struct seal *seal_new(const struct seal_config *config, struct err *err)
{
	struct seal *seal;

	if (sodium_init() < 0) {
		err_set(err, -EIO, "seal: libsodium cannot start");
		return NULL;
	}
	if (check_config(config, err) < 0)
		return NULL;
	seal = calloc(1, sizeof(*seal));
	if (seal)
		seal->keys = sodium_malloc(SEAL_MAX_KEYS * sizeof(seal->keys[0]));
	if (!seal || !seal->keys) {
		free(seal);
		err_nomem(err, "the cluster key");
		return NULL;
	}
	aead_ciphers_init(&seal->ciphers);
	memcpy(seal->cluster, config->cluster, strlen(config->cluster));
	seal->cluster_hint = seal_cluster_hint(seal->cluster);
	seal->self = config->self;
	seal->boot = config->boot;
	seal->cipher = config->cipher;
	if (seal_set_nodes(seal, config->nodes, err) < 0 ||
	    seal_set_keys(seal, config->keys, config->key_count, err) < 0) {
		seal_free(seal);
		return NULL;
	}
	return seal;
}

void seal_free(struct seal *seal)
{
	if (!seal)
		return;
	seal_forget_subkeys(seal);
	seal_forget_peers(seal);
	aead_ciphers_fini(&seal->ciphers);
	sodium_free(seal->keys); /* wipes */
	free(seal);
}

/* Format */

void seal_header_out(const struct header *h, uint8_t to[SEAL_HEADER_BYTES])
{
	struct wr wr = wr_over(to, SEAL_HEADER_BYTES);

	wr_u8(&wr, h->magic);
	wr_u8(&wr, (uint8_t)(h->version << 4 | h->cipher));
	wr_u8(&wr, h->cluster_hint);
	wr_u8(&wr, h->key_hint);
	wr_u32(&wr, h->label.sender);
	wr_u64(&wr, h->label.boot);
	wr_u64(&wr, h->label.counter);
}

struct header seal_header_in(const uint8_t from[SEAL_HEADER_BYTES])
{
	struct rd rd = rd_over(from, SEAL_HEADER_BYTES);
	struct header h;
	uint8_t form;

	h.magic = rd_u8(&rd);
	form = rd_u8(&rd);
	h.version = form >> 4;
	h.cipher = form & 15;
	h.cluster_hint = rd_u8(&rd);
	h.key_hint = rd_u8(&rd);
	h.label.sender = rd_u32(&rd);
	h.label.boot = rd_u64(&rd);
	h.label.counter = rd_u64(&rd);
	return h;
}

void seal_nonce_out(uint64_t counter, uint8_t nonce[AEAD_NONCE_BYTES])
{
	struct wr wr = wr_over(nonce, AEAD_NONCE_BYTES);

	wr_u32(&wr, 0);
	wr_u64(&wr, counter);
}

/* Sealing */

int seal_wrap(struct seal *seal, const void *plain, size_t length, void *out)
{
	uint8_t *to = out;
	uint8_t nonce[AEAD_NONCE_BYTES];
	struct header h = {
		.magic = SEAL_MAGIC,
		.version = SEAL_VERSION,
		.cipher = (uint8_t)seal->cipher,
		.cluster_hint = seal->cluster_hint,
		.key_hint = seal_key_hint(seal->fingerprints[0]),
		.label = { seal->self, seal->boot, seal->counter + 1 },
	};
	int r = 0;

	if (length > SEAL_MAX_PLAIN_BYTES)
		return -EMSGSIZE;
	if (seal->counter == UINT64_MAX)
		return -EOVERFLOW;
	if (!seal_subkey_fits(&seal->own, seal->cipher, &h.label))
		r = seal_derive_subkey(seal, 0, seal->cipher, &h.label, AEAD_SEALS,
				       &seal->own);
	if (r < 0)
		return r;
	seal->counter++;
	seal_header_out(&h, to);
	seal_nonce_out(seal->counter, nonce);
	r = aead_seal(&seal->own.aead, nonce, to, SEAL_HEADER_BYTES, plain, length,
		      to + SEAL_HEADER_BYTES);
	if (r == 0)
		seal->stats.sealed++;
	return r;
}

/* For programs that look */

const struct seal_stats *seal_stats(const struct seal *seal)
{
	return &seal->stats;
}

bool seal_peer(const struct seal *seal, uint32_t node, struct seal_peer *peer)
{
	int index = node_index(&seal->nodes, node);
	const struct peer *p = index < 0 ? NULL : &seal->peers[index];

	if (!p || !p->is_proven)
		return false;
	*peer = (struct seal_peer){ p->boot, p->window.highest, p->key_fingerprint };
	return true;
}
