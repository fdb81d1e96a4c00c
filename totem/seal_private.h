/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Inside sealing: its state, and the steps that the seal*.c files give each other.
 * Nobody else includes this, but for tests of one part.
 */
#pragma once

#include <stdbool.h>

#include "totem/seal.h"
#include "totem/seal_aead.h"

enum {
	SEAL_MAGIC = 0x73, /* not the first byte of a bare packet of wire.h */
	SEAL_VERSION = 1,
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

/* What opens, or seals, a stream of datagrams. */
struct subkey {
	struct aead aead; /* without a key: nothing else has a meaning */
	uint64_t boot;
	uint32_t era;     /* upper half of the counters */
};

struct peer {
	bool is_proven; /* boot, key_fingerprint and window have a meaning */
	uint64_t boot;
	uint32_t key_fingerprint;
	struct window window;
	struct subkey subkeys[SEAL_MAX_KEYS]; /* proven ones, to open with */
};

struct seal {
	char cluster[SEAL_MAX_CLUSTER_BYTES + 1];
	uint8_t cluster_hint;
	uint32_t self;
	uint64_t boot;
	uint64_t counter;            /* of the last datagram sealed (S1) */
	enum seal_cipher cipher;
	struct aead_ciphers ciphers; /* that we can open */
	size_t key_count;
	uint32_t fingerprints[SEAL_MAX_KEYS];
	struct seal_key *keys;       /* in memory of their own */
	struct subkey own;           /* to seal with */
	struct subkey scratch;       /* to open with, not proven yet */
	struct node_table nodes;
	struct peer *peers;          /* by index in nodes */
	struct seal_stats stats;
};

/* seal.c */
void seal_header_out(const struct header *h, uint8_t to[SEAL_HEADER_BYTES]);
struct header seal_header_in(const uint8_t from[SEAL_HEADER_BYTES]);
void seal_nonce_out(uint64_t counter, uint8_t nonce[AEAD_NONCE_BYTES]);

/* seal_keys.c */
uint8_t seal_key_hint(uint32_t fingerprint);
uint8_t seal_cluster_hint(const char *cluster);
/* 0 or -ENOMEM: then it has no key. */
int seal_derive_subkey(const struct seal *seal, size_t key_slot,
		       enum seal_cipher cipher, const struct seal_label *label,
		       enum aead_use use, struct subkey *subkey);
bool seal_subkey_fits(const struct subkey *subkey, enum seal_cipher cipher,
		      const struct seal_label *label);

/* seal_peer.c */
void seal_forget_subkeys(struct seal *seal);
void seal_forget_peers(struct seal *seal);
enum seal_refusal seal_window_check(const struct window *w, uint64_t counter);
void seal_window_add(struct window *w, uint64_t counter);
/* NULL: no memory. */
struct subkey *seal_find_subkey(struct seal *seal, const struct header *h, int index,
				size_t key_slot);
/* The tag was good: now, and not before, the peer's state may change. */
void seal_believe(struct seal *seal, const struct header *h, int index,
		  size_t key_slot, struct subkey *subkey);
