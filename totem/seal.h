/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Sealing: what goes on the wire can be read, made or changed only by those who
 * have the cluster key. A sealed datagram, little endian:
 *
 *	off  size
 *	0    1     magic 0x73
 *	1    1     version 1 (high half), cipher (low half)
 *	2    1     hint of the cluster's name: tells a foreign cluster by name
 *	3    1     hint of the key: its fingerprint's first byte
 *	4    4     sender's node id
 *	8    8     sender's boot: grows at every start of that node
 *	16   8     counter: 1, 2, 3 ... within that boot
 *	24   n     the message, encrypted
 *	24+n 16    tag over all of the above
 *
 * Each (key, cluster name, cipher, sender, boot, counter >> 32) has a subkey of
 * its own, by keyed BLAKE2b; the nonce is the counter. What is promised, as tests
 * cite:
 *
 *	S1  No (subkey, nonce) is used twice, as long as no boot is: the counter
 *	    only grows, through changes of key and of nodes.
 *	S2  A datagram opens only as it was sealed, every bit of it, by a node of
 *	    the configuration that has one of our keys and our cluster's name.
 *	S3  It opens once. Order within SEAL_WINDOW is free.
 *	S4  Once a boot of a node is proven, older ones are refused.
 *	S5  What is not proven changes nothing but a counter of refusals, and costs
 *	    at most one subkey and one opening: no flood can push a good peer out.
 *	S6  While keys change on one node after the other, nothing is lost.
 *
 * What sealing cannot do: a receiver that has just started does not know how far
 * its peers' counters were, so that datagrams recorded earlier in their boot
 * open once more. The protocol inside must not be hurt by old packets. And the
 * key is the cluster's: a node that has it can speak as any other.
 *
 * Boots must never repeat, else S1 falls and with it all secrecy: the caller
 * takes max(last boot on disk + 1, wall clock in ns), say, and makes it durable
 * before it sends.
 *
 * How much a key seals need not be watched: a subkey serves 2^32 datagrams of at
 * most 2^12 blocks. GCM's blocks of 128 bits set the limit: s of them can be told
 * from noise with a chance of s^2 / 2^129, here 2^-41, and v tries at a tag over l
 * blocks succeed with v * l / 2^127 (draft-irtf-cfrg-aead-limits, 5.1; with
 * ChaCha20-Poly1305 the first does not matter, and the second is v * l / 2^103).
 * NIST's 2^32 messages a key (SP 800-38D, 8.3) are for nonces that are drawn; ours
 * are counted, as in 8.2.1. Its limit for a message, 2^36 - 32 bytes, is far.
 *
 * Each datagram names its cipher, and who has a key opens any but SEAL_PLAIN, so
 * that every node seals with what its own processor does best.
 *
 * With SEAL_PLAIN (crypto = none) framing and checks are the same, so callers do
 * not care; the tag only tells other clusters apart, and nothing is protected.
 *
 * One thread a seal. No clock, no I/O, no random source.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "totem/nodes.h"

struct err;
struct seal;

enum {
	SEAL_KEY_BYTES = 32,
	SEAL_MAX_KEYS = 2,          /* more than one only while keys change */
	SEAL_HEADER_BYTES = 24,
	SEAL_TAG_BYTES = 16,
	SEAL_OVERHEAD_BYTES = SEAL_HEADER_BYTES + SEAL_TAG_BYTES,
	SEAL_MAX_PLAIN_BYTES = 65536,
	SEAL_MAX_CLUSTER_BYTES = 63,
	/*
	 * How far behind the newest a datagram may come. A socket buffer of 4 MiB
	 * holds 3000 of them that a token on another socket has overtaken.
	 */
	SEAL_WINDOW = 8192 - 64,
};

struct seal_key {
	uint8_t bytes[SEAL_KEY_BYTES];
};

/* On the wire: never renumbered. tests/bench/bench_seal.c says why these. */
enum seal_cipher {
	SEAL_PLAIN = 0,             /* no key, no protection */
	SEAL_CHACHA20_POLY1305 = 1, /* RFC 8439: fast enough on any processor */
	/*
	 * NIST SP 800-38D: twice as fast with AES instructions; without them it
	 * takes five times as long, and its tables may tell the cache something.
	 */
	SEAL_AES256_GCM = 2,
	SEAL_CIPHER_COUNT,
};

/* Why a datagram was refused. SEAL_OWN_ID is proven, the others are not. */
enum seal_refusal {
	SEAL_OPENED,
	SEAL_TOO_SHORT,
	SEAL_TOO_LONG,
	SEAL_BAD_MAGIC,
	SEAL_BAD_VERSION,
	SEAL_IS_PLAIN,       /* and we have a key */
	SEAL_IS_SEALED,      /* and we have none */
	SEAL_BAD_CIPHER,
	SEAL_WRONG_CLUSTER,
	SEAL_WRONG_KEY,
	SEAL_UNKNOWN_SENDER,
	SEAL_ECHO,           /* our own: multicast brings it back */
	SEAL_OLD_BOOT,
	SEAL_REPLAY,
	SEAL_LATE,           /* SEAL_WINDOW or more behind */
	SEAL_BAD_TAG,
	SEAL_OWN_ID,         /* whoever has the key speaks with our id */
	SEAL_REFUSAL_COUNT,
};

struct seal_config {
	const char *cluster;            /* name, 1..63 bytes */
	const struct node_table *nodes; /* who may send; self may be among them */
	uint32_t self;                  /* our id */
	uint64_t boot;                  /* never used before by this id: see above */
	enum seal_cipher cipher;        /* to send with: seal_cipher_default() */
	const struct seal_key *keys;    /* [0] seals, all open */
	size_t key_count;               /* 1..2; 0 with SEAL_PLAIN */
};

struct seal_stats {
	uint64_t sealed;
	uint64_t opened;
	uint64_t refused[SEAL_REFUSAL_COUNT];
};

/* What a header says. Believe it only if the datagram opened. */
struct seal_label {
	uint32_t sender; /* 0: it was refused before that was looked at */
	uint64_t boot;
	uint64_t counter;
};

/* What is proven of a peer. */
struct seal_peer {
	uint64_t boot;
	uint64_t highest;         /* counter */
	uint32_t key_fingerprint; /* of the key it last used; 0 when plain */
};

/*
 * Copies all of the configuration: wipe your keys. 2 KiB a node. Keys lie between
 * guard pages, locked in memory where the system lets us; subkeys, each good for
 * one boot of one node, on the heap, and are wiped. NULL with a sentence: -EINVAL
 * for what makes no sense, -EOPNOTSUPP for a cipher that libcrypto does not offer,
 * -ENOMEM.
 */
struct seal *seal_new(const struct seal_config *config, struct err *err);
void seal_free(struct seal *seal); /* wipes the keys; NULL is fine */

/*
 * Other keys from here on; what is proven of the peers stays. Two keys whose
 * fingerprints begin with the same byte cannot be told apart on the wire and are
 * refused (keyfile_add_key() never makes such). On an error nothing changes.
 */
int seal_set_keys(struct seal *seal, const struct seal_key *keys,
		  size_t key_count, struct err *err);
/* Does it have these, in this order? */
bool seal_has_keys(const struct seal *seal, const struct seal_key *keys, size_t key_count);

/*
 * Other nodes from here on. What is proven of those who stay, stays; a node that
 * goes and comes back starts anew.
 */
int seal_set_nodes(struct seal *seal, const struct node_table *nodes,
		   struct err *err);

/* Bytes that sealing adds: the same for every seal. */
static inline size_t seal_overhead(void)
{
	return SEAL_OVERHEAD_BYTES;
}

/*
 * Seals `length` bytes, 0..SEAL_MAX_PLAIN_BYTES, into out[length + overhead].
 * `plain` may be out + SEAL_HEADER_BYTES, so that nothing is copied; apart from
 * that they must not overlap. One datagram may be sent to any number of nodes.
 * 0; -EMSGSIZE; -EOVERFLOW after 2^64 - 1 datagrams; -ENOMEM, -EIO: libcrypto
 * fails, and the next may pass. AES, and opening alike: 0.2 us + 0.25 us a KiB.
 */
int seal_wrap(struct seal *seal, const void *plain, size_t length, void *out)
	__attribute__((warn_unused_result));

/*
 * Opens a datagram into plain[length - overhead], which may be
 * sealed + SEAL_HEADER_BYTES; apart from that they must not overlap. 0, or
 * -(enum seal_refusal): then *plain_length is 0, and `plain` may have been
 * overwritten, but not with the message. *label is always set.
 */
int seal_open(struct seal *seal, const void *sealed, size_t length, void *plain,
	      size_t *plain_length, struct seal_label *label)
	__attribute__((warn_unused_result));

/* One sentence without its subject, for what seal_open() gave. */
const char *seal_why(int refusal);
/* "bad-tag": for counters. */
const char *seal_refusal_name(enum seal_refusal refusal);

const struct seal_stats *seal_stats(const struct seal *seal);

/* False if nothing of that node was opened yet, or it is not configured. */
bool seal_peer(const struct seal *seal, uint32_t node, struct seal_peer *peer);

/* Tells keys apart without telling them: for logs and people. */
uint32_t seal_key_fingerprint(const struct seal_key *key);

/* Can this machine do it, however slowly? */
bool seal_cipher_is_available(enum seal_cipher cipher);
/* "chacha20-poly1305": as the configuration has it. */
const char *seal_cipher_name(enum seal_cipher cipher);
/*
 * What a node should seal with: AES where its own processor has instructions for
 * it and for GCM, else ChaCha20. Its peers open either. Libsodium knows of x86, and
 * from 1.0.19 on of arm64.
 */
enum seal_cipher seal_cipher_default(void);
