/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Inside sealing: its state, and the steps that the seal*.c files give each other.
 * Nobody else includes this, but for tests of one part.
 */
#pragma once

#include <stdbool.h>

#include "totem/seal.h"

enum {
	SEAL_MAGIC = 0x73, /* not the first byte of a bare packet of wire.h */
	SEAL_VERSION = 1,
	SEAL_NONCE_BYTES = 12,
	SEAL_WINDOW_WORDS = 128,
};

struct header {
	uint8_t magic;
	uint8_t version;
	uint8_t cipher;
	uint8_t cluster_hint;
	uint8_t key_hint;
	struct seal_label label;
};

/* Which counters up to `highest` were seen: RFC 6479, a ring of words. */
struct window {
	uint64_t highest;
	uint64_t seen[SEAL_WINDOW_WORDS];
};

struct peer {
	bool is_proven;            /* the rest has a meaning */
	uint64_t boot;
	uint32_t key_fingerprint;
	int8_t subkey_cipher[SEAL_MAX_KEYS]; /* of the subkey kept, or NO_SUBKEY */
	struct window window;
};

enum { NO_SUBKEY = -1 };

/* All that must not leak: in memory of its own. */
struct secrets {
	struct seal_key keys[SEAL_MAX_KEYS];
	uint8_t own[SEAL_KEY_BYTES];     /* subkey to send with */
	uint8_t scratch[SEAL_KEY_BYTES]; /* subkey that is not proven yet */
	uint8_t peers[TOTEM_MAX_NODES][SEAL_MAX_KEYS][SEAL_KEY_BYTES];
};

struct seal {
	char cluster[SEAL_MAX_CLUSTER_BYTES + 1];
	uint8_t cluster_hint;
	uint32_t self;
	uint64_t boot;
	uint64_t counter; /* of the last datagram sealed (S1) */
	enum seal_cipher cipher;
	bool can_open[SEAL_CIPHER_COUNT];
	size_t key_count;
	uint32_t fingerprints[SEAL_MAX_KEYS];
	struct secrets *secrets;
	struct node_table nodes;
	struct peer *peers; /* by index in nodes */
	struct seal_stats stats;
};

/* seal.c */
void seal_header_out(const struct header *h, uint8_t to[SEAL_HEADER_BYTES]);
struct header seal_header_in(const uint8_t from[SEAL_HEADER_BYTES]);
void seal_nonce_out(uint64_t counter, uint8_t nonce[SEAL_NONCE_BYTES]);

/* seal_cipher.c */
typedef int encrypt_fn(unsigned char *c, unsigned char *mac,
		       unsigned long long *mac_length, const unsigned char *m,
		       unsigned long long length, const unsigned char *ad,
		       unsigned long long ad_length, const unsigned char *nsec,
		       const unsigned char *nonce, const unsigned char *key);
typedef int decrypt_fn(unsigned char *m, unsigned char *nsec,
		       const unsigned char *c, unsigned long long length,
		       const unsigned char *mac, const unsigned char *ad,
		       unsigned long long ad_length, const unsigned char *nonce,
		       const unsigned char *key);


extern const struct cipher {
	const char *name;
	encrypt_fn *encrypt;
	decrypt_fn *decrypt;
} seal_ciphers[SEAL_CIPHER_COUNT];

/* seal_keys.c */
uint8_t seal_key_hint(uint32_t fingerprint);
uint8_t seal_cluster_hint(const char *cluster);
void seal_derive_subkey(const struct seal *seal, size_t key_slot,
			enum seal_cipher cipher, uint32_t sender, uint64_t boot,
			uint8_t subkey[SEAL_KEY_BYTES]);
void seal_forget_subkeys(struct seal *seal);

/* seal_peer.c */
enum seal_refusal seal_window_check(const struct window *w, uint64_t counter);
void seal_window_add(struct window *w, uint64_t counter);
const uint8_t *seal_find_subkey(const struct seal *seal, const struct header *h,
				int index, size_t key_slot);
void seal_believe(struct seal *seal, const struct header *h, int index,
		  size_t key_slot, const uint8_t *subkey);
