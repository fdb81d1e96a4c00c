/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Sealing; seal.h has the format and the promises S1 to S6.
 *
 * Opening asks the cheap questions first, all by table look-up: form, cluster,
 * key, sender, boot, counter. Only what could be right is worth a subkey and a
 * tag, and only what has a good tag may change the state of a peer (S5). There
 * is a place for every configured node and for nobody else, so nothing can be
 * pushed out. As in RFC 4303, 3.4.3: window, tag, then the window moves.
 *
 * The subkey depends on who and when, the nonce on the counter, so that a header
 * that was changed could not be opened anyway; that it is authenticated as well
 * costs two blocks of Poly1305, and does not rest on such reasoning.
 *
 * The nonce is a counter, under a subkey that no other sender or boot shares:
 * the 192-bit nonces of XChaCha20 would buy nothing and cost 0.1 us a datagram.
 */
#include "totem/seal.h"

#include <assert.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <sodium.h>

#include "base/arith.h"
#include "base/codec.h"
#include "base/err.h"

enum {
	MAGIC = 0x73, /* not the first byte of a bare packet of wire.h */
	VERSION = 1,
	NONCE_BYTES = 12,
	LABEL_BYTES = 16,
	WINDOW_WORDS = 128,
};

/* Each use of BLAKE2b begins with other bytes, so that none stands for another. */
static const char subkey_label[LABEL_BYTES] = "mdclusterd seal";
static const char fingerprint_label[LABEL_BYTES] = "mdclusterd print";
static const char cluster_label[LABEL_BYTES] = "mdclusterd name";

_Static_assert((WINDOW_WORDS - 1) * 64 == SEAL_WINDOW, "one word is being cleared");
_Static_assert(crypto_aead_chacha20poly1305_ietf_NPUBBYTES == NONCE_BYTES &&
	       crypto_aead_aes256gcm_NPUBBYTES == NONCE_BYTES, "nonces");
_Static_assert(crypto_aead_chacha20poly1305_ietf_ABYTES == SEAL_TAG_BYTES &&
	       crypto_aead_aes256gcm_ABYTES == SEAL_TAG_BYTES, "tags");
_Static_assert(crypto_aead_chacha20poly1305_ietf_KEYBYTES == SEAL_KEY_BYTES &&
	       crypto_aead_aes256gcm_KEYBYTES == SEAL_KEY_BYTES, "keys");

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
	uint64_t seen[WINDOW_WORDS];
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

/* Ciphers */

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

static const struct cipher {
	const char *name;
	encrypt_fn *encrypt;
	decrypt_fn *decrypt;
} ciphers[SEAL_CIPHER_COUNT] = {
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
	return (unsigned int)cipher < SEAL_CIPHER_COUNT ? ciphers[cipher].name : "?";
}

/* Keys */

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
static uint8_t key_hint(uint32_t fingerprint)
{
	return (uint8_t)(fingerprint >> 24);
}

static uint8_t cluster_hint(const char *cluster)
{
	uint8_t text[LABEL_BYTES + SEAL_MAX_CLUSTER_BYTES];
	uint8_t out[crypto_generichash_BYTES_MIN];
	struct wr wr = wr_over(text, sizeof(text));

	wr_bytes(&wr, cluster_label, LABEL_BYTES);
	wr_bytes(&wr, cluster, strlen(cluster));
	hash(out, sizeof(out), text, wr.at, NULL);
	return out[0];
}

/* The name stands last, since it alone has no fixed length. */
static void derive_subkey(const struct seal *seal, size_t key_slot,
			  enum seal_cipher cipher, uint32_t sender, uint64_t boot,
			  uint8_t subkey[SEAL_KEY_BYTES])
{
	uint8_t text[LABEL_BYTES + 13 + SEAL_MAX_CLUSTER_BYTES];
	struct wr wr = wr_over(text, sizeof(text));

	wr_bytes(&wr, subkey_label, LABEL_BYTES);
	wr_u8(&wr, (uint8_t)cipher);
	wr_u32(&wr, sender);
	wr_u64(&wr, boot);
	wr_bytes(&wr, seal->cluster, strlen(seal->cluster));
	hash(subkey, SEAL_KEY_BYTES, text, wr.at,
	     cipher == SEAL_PLAIN ? NULL : &seal->secrets->keys[key_slot]);
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

		if (key_hint(a) == key_hint(b))
			return err_set(err, -EINVAL,
				       "seal: keys %08x and %08x cannot be told apart by their first two digits: make another second one",
				       a, b);
	}
	return 0;
}

/* Subkeys are derived again from what comes; boots and windows stay. */
static void forget_subkeys(struct seal *seal)
{
	int i;

	sodium_memzero(seal->secrets->peers, sizeof(seal->secrets->peers));
	for (i = 0; i < seal->nodes.count; i++)
		memset(seal->peers[i].subkey_cipher, NO_SUBKEY,
		       sizeof(seal->peers[i].subkey_cipher));
}

int seal_set_keys(struct seal *seal, const struct seal_key *keys,
		  size_t key_count, struct err *err)
{
	int r = check_keys(seal, keys, key_count, err);
	size_t i;

	if (r < 0)
		return r;
	sodium_memzero(seal->secrets->keys, sizeof(seal->secrets->keys));
	for (i = 0; i < key_count; i++) {
		seal->secrets->keys[i] = keys[i];
		seal->fingerprints[i] = seal_key_fingerprint(&keys[i]);
	}
	/* plain: as if there were one key, and it were public */
	seal->key_count = max_u64(key_count, 1);
	derive_subkey(seal, 0, seal->cipher, seal->self, seal->boot,
		      seal->secrets->own);
	forget_subkeys(seal);
	return 0;
}

/* Nodes */

static int check_nodes(const struct node_table *nodes, struct err *err)
{
	int i;

	if (nodes->count < 0 || nodes->count > TOTEM_MAX_NODES)
		return err_set(err, -EINVAL, "seal: %d nodes, at most %d are possible",
			       nodes->count, TOTEM_MAX_NODES);
	for (i = 0; i < nodes->count; i++)
		if (nodes->ids[i] == 0 || (i > 0 && nodes->ids[i] <= nodes->ids[i - 1]))
			return err_set(err, -EINVAL,
				       "seal: node ids must ascend from 1: %u is out of place",
				       nodes->ids[i]);
	return 0;
}

int seal_set_nodes(struct seal *seal, const struct node_table *nodes,
		   struct err *err)
{
	struct peer *peers;
	int r = check_nodes(nodes, err), i, old;

	if (r < 0)
		return r;
	peers = calloc((size_t)nodes->count + 1, sizeof(*peers));
	if (!peers)
		return err_nomem(err, "what is known of the peers");
	for (i = 0; i < nodes->count; i++) {
		old = node_index(&seal->nodes, nodes->ids[i]);
		if (old != TOTEM_NO_INDEX)
			peers[i] = seal->peers[old];
	}
	free(seal->peers);
	seal->peers = peers;
	seal->nodes = *nodes;
	forget_subkeys(seal); /* they lie by index */
	return 0;
}

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
			       "seal: this processor has no instructions for %s: use %s on all nodes",
			       seal_cipher_name(config->cipher),
			       seal_cipher_name(SEAL_CHACHA20_POLY1305));
	return 0;
}

struct seal *seal_new(const struct seal_config *config, struct err *err)
{
	struct seal *seal;
	int i;

	if (sodium_init() < 0) {
		err_set(err, -EIO, "seal: libsodium cannot start");
		return NULL;
	}
	if (check_config(config, err) < 0)
		return NULL;
	seal = calloc(1, sizeof(*seal));
	if (seal)
		seal->secrets = sodium_malloc(sizeof(*seal->secrets));
	if (!seal || !seal->secrets) {
		free(seal);
		err_nomem(err, "the cluster key");
		return NULL;
	}
	memset(seal->secrets, 0, sizeof(*seal->secrets));
	memcpy(seal->cluster, config->cluster, strlen(config->cluster));
	seal->cluster_hint = cluster_hint(seal->cluster);
	seal->self = config->self;
	seal->boot = config->boot;
	seal->cipher = config->cipher;
	for (i = 0; i < SEAL_CIPHER_COUNT; i++)
		seal->can_open[i] = seal_cipher_is_available((enum seal_cipher)i);
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
	sodium_free(seal->secrets); /* wipes */
	free(seal->peers);
	free(seal);
}

/* Header */

static void header_out(const struct header *h, uint8_t to[SEAL_HEADER_BYTES])
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

static struct header header_in(const uint8_t from[SEAL_HEADER_BYTES])
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

static void nonce_out(uint64_t counter, uint8_t nonce[NONCE_BYTES])
{
	struct wr wr = wr_over(nonce, NONCE_BYTES);

	wr_u32(&wr, 0);
	wr_u64(&wr, counter);
}

/* Sealing */

int seal_wrap(struct seal *seal, const void *plain, size_t length, void *out)
{
	uint8_t *to = out, *body = to + SEAL_HEADER_BYTES;
	uint8_t nonce[NONCE_BYTES];
	struct header h = {
		.magic = MAGIC,
		.version = VERSION,
		.cipher = (uint8_t)seal->cipher,
		.cluster_hint = seal->cluster_hint,
		.key_hint = key_hint(seal->fingerprints[0]),
		.label = { seal->self, seal->boot, seal->counter + 1 },
	};

	if (length > SEAL_MAX_PLAIN_BYTES)
		return -EMSGSIZE;
	if (seal->counter == UINT64_MAX)
		return -EOVERFLOW;
	seal->counter++;
	header_out(&h, to);
	nonce_out(seal->counter, nonce);
	ciphers[seal->cipher].encrypt(body, body + length, NULL, plain, length, to,
				      SEAL_HEADER_BYTES, NULL, nonce,
				      seal->secrets->own);
	seal->stats.sealed++;
	return 0;
}

/* Replay window */

static enum seal_refusal window_check(const struct window *w, uint64_t counter)
{
	if (counter == 0)
		return SEAL_LATE; /* counters begin at 1 */
	if (counter > w->highest)
		return SEAL_OPENED;
	if (w->highest - counter >= SEAL_WINDOW)
		return SEAL_LATE;
	return w->seen[counter / 64 % WINDOW_WORDS] >> counter % 64 & 1 ?
		       SEAL_REPLAY : SEAL_OPENED;
}

/* Only for counters that window_check() lets pass, and that are proven. */
static void window_add(struct window *w, uint64_t counter)
{
	uint64_t word = w->highest / 64, last = counter / 64;

	if (counter > w->highest) {
		if (last - word > WINDOW_WORDS)
			word = last - WINDOW_WORDS;
		while (word < last)
			w->seen[++word % WINDOW_WORDS] = 0;
		w->highest = counter;
	}
	w->seen[counter / 64 % WINDOW_WORDS] |= 1ull << counter % 64;
}

/* Opening */

/* Which of our keys, or key_count. */
static size_t find_key(const struct seal *seal, const struct header *h)
{
	size_t i;

	for (i = 0; i < seal->key_count; i++)
		if (key_hint(seal->fingerprints[i]) == h->key_hint)
			break;
	return i;
}

static enum seal_refusal check_form(const struct seal *seal, const struct header *h)
{
	if (h->magic != MAGIC)
		return SEAL_BAD_MAGIC;
	if (h->version != VERSION)
		return SEAL_BAD_VERSION;
	if (h->cipher >= SEAL_CIPHER_COUNT || !seal->can_open[h->cipher])
		return SEAL_BAD_CIPHER;
	if (h->cipher == SEAL_PLAIN && seal->cipher != SEAL_PLAIN)
		return SEAL_IS_PLAIN;
	if (h->cipher != SEAL_PLAIN && seal->cipher == SEAL_PLAIN)
		return SEAL_IS_SEALED;
	if (h->cluster_hint != seal->cluster_hint)
		return SEAL_WRONG_CLUSTER;
	if (find_key(seal, h) == seal->key_count)
		return SEAL_WRONG_KEY;
	return SEAL_OPENED;
}

/* *index is TOTEM_NO_INDEX for our own id in another boot. */
static enum seal_refusal check_sender(const struct seal *seal,
				      const struct seal_label *label, int *index)
{
	const struct peer *peer;

	*index = TOTEM_NO_INDEX;
	if (label->sender == seal->self)
		return label->boot == seal->boot ? SEAL_ECHO : SEAL_OPENED;
	*index = node_index(&seal->nodes, label->sender);
	if (*index == TOTEM_NO_INDEX)
		return SEAL_UNKNOWN_SENDER;
	peer = &seal->peers[*index];
	if (peer->is_proven && label->boot < peer->boot)
		return SEAL_OLD_BOOT; /* S4 */
	if (peer->is_proven && label->boot == peer->boot)
		return window_check(&peer->window, label->counter);
	return label->counter == 0 ? SEAL_LATE : SEAL_OPENED;
}

/* The subkey kept for this datagram, or a new one in the scratch (S5). */
static const uint8_t *find_subkey(const struct seal *seal, const struct header *h,
				  int index, size_t key_slot)
{
	const struct peer *peer = index < 0 ? NULL : &seal->peers[index];

	if (peer && peer->is_proven && peer->boot == h->label.boot &&
	    peer->subkey_cipher[key_slot] == (int8_t)h->cipher)
		return seal->secrets->peers[index][key_slot];
	derive_subkey(seal, key_slot, h->cipher, h->label.sender, h->label.boot,
		      seal->secrets->scratch);
	return seal->secrets->scratch;
}

/* The tag was good: now, and not before, the peer's state may change. */
static void believe(struct seal *seal, const struct header *h, int index,
		    size_t key_slot, const uint8_t *subkey)
{
	struct peer *peer = &seal->peers[index];

	if (!peer->is_proven || peer->boot != h->label.boot) {
		memset(peer, 0, sizeof(*peer));
		memset(peer->subkey_cipher, NO_SUBKEY, sizeof(peer->subkey_cipher));
		peer->is_proven = true;
		peer->boot = h->label.boot;
	}
	if (subkey == seal->secrets->scratch) {
		memcpy(seal->secrets->peers[index][key_slot], subkey, SEAL_KEY_BYTES);
		peer->subkey_cipher[key_slot] = (int8_t)h->cipher;
	}
	peer->key_fingerprint = seal->fingerprints[key_slot];
	window_add(&peer->window, h->label.counter);
}

static enum seal_refusal open_checked(struct seal *seal, const struct header *h,
				      int index, const uint8_t *sealed,
				      size_t body_length, uint8_t *plain)
{
	const uint8_t *body = sealed + SEAL_HEADER_BYTES;
	size_t key_slot = find_key(seal, h);
	const uint8_t *subkey = find_subkey(seal, h, index, key_slot);
	uint8_t nonce[NONCE_BYTES];

	nonce_out(h->label.counter, nonce);
	if (ciphers[h->cipher].decrypt(plain, NULL, body, body_length,
				       body + body_length, sealed,
				       SEAL_HEADER_BYTES, nonce, subkey) != 0)
		return SEAL_BAD_TAG;
	if (index == TOTEM_NO_INDEX) {
		sodium_memzero(plain, body_length);
		return SEAL_OWN_ID;
	}
	believe(seal, h, index, key_slot, subkey);
	return SEAL_OPENED;
}

static enum seal_refusal open_datagram(struct seal *seal, const uint8_t *sealed,
				       size_t length, uint8_t *plain,
				       struct seal_label *label)
{
	enum seal_refusal refusal;
	struct header h;
	int index;

	if (length < SEAL_OVERHEAD_BYTES)
		return SEAL_TOO_SHORT;
	if (length > SEAL_OVERHEAD_BYTES + SEAL_MAX_PLAIN_BYTES)
		return SEAL_TOO_LONG;
	h = header_in(sealed);
	refusal = check_form(seal, &h);
	if (refusal == SEAL_BAD_MAGIC || refusal == SEAL_BAD_VERSION)
		return refusal; /* what the other fields mean is not known */
	*label = h.label;
	if (refusal == SEAL_OPENED)
		refusal = check_sender(seal, label, &index);
	if (refusal == SEAL_OPENED)
		refusal = open_checked(seal, &h, index, sealed,
				       length - SEAL_OVERHEAD_BYTES, plain);
	return refusal;
}

int seal_open(struct seal *seal, const void *sealed, size_t length, void *plain,
	      size_t *plain_length, struct seal_label *label)
{
	enum seal_refusal refusal;

	*plain_length = 0;
	*label = (struct seal_label){ 0 };
	refusal = open_datagram(seal, sealed, length, plain, label);
	if (refusal != SEAL_OPENED) {
		seal->stats.refused[refusal]++;
		return -(int)refusal;
	}
	*plain_length = length - SEAL_OVERHEAD_BYTES;
	seal->stats.opened++;
	return 0;
}

/* For people and programs that look */

static const struct {
	const char *name;
	const char *why;
} refusals[SEAL_REFUSAL_COUNT] = {
	[SEAL_OPENED] = { "opened", "is sound" },
	[SEAL_TOO_SHORT] = { "too-short", "is shorter than an empty sealed datagram" },
	[SEAL_TOO_LONG] = { "too-long", "is longer than any that is sent here" },
	[SEAL_BAD_MAGIC] = { "bad-magic", "is not of mdclusterd" },
	[SEAL_BAD_VERSION] = { "bad-version",
		"has a format that this version does not know: update the older node" },
	[SEAL_IS_PLAIN] = { "is-plain",
		"is not sealed, but this node has a key: set crypto alike on all nodes" },
	[SEAL_IS_SEALED] = { "is-sealed",
		"is sealed, but this node has crypto = none: set crypto alike on all nodes" },
	[SEAL_BAD_CIPHER] = { "bad-cipher",
		"has a cipher that this node or its processor does not know: use chacha20-poly1305 on all nodes" },
	[SEAL_WRONG_CLUSTER] = { "wrong-cluster", "is of a cluster with another name" },
	[SEAL_WRONG_KEY] = { "wrong-key",
		"is sealed with a key that this node does not have: copy the key file to all nodes" },
	[SEAL_UNKNOWN_SENDER] = { "unknown-sender",
		"names a sender that is not in the configuration of this node" },
	[SEAL_ECHO] = { "echo", "is our own that came back" },
	[SEAL_OLD_BOOT] = { "old-boot",
		"is of an older boot than the sender's last: its boot counter went back, or two nodes have its id, or it was recorded" },
	[SEAL_REPLAY] = { "replay", "came before: the network doubled it, or it was recorded" },
	[SEAL_LATE] = { "late", "is too far behind the sender's newest: very late, or recorded" },
	[SEAL_BAD_TAG] = { "bad-tag",
		"has a wrong tag: damaged or forged, or another key or cluster name that looks alike" },
	[SEAL_OWN_ID] = { "own-id",
		"comes from our own node id, but not from us: two nodes have this id, or it was recorded before our start" },
};

const char *seal_why(int refusal)
{
	return refusal <= 0 && refusal > -SEAL_REFUSAL_COUNT ?
		       refusals[-refusal].why : "has no reason that is known";
}

const char *seal_refusal_name(enum seal_refusal refusal)
{
	return (unsigned int)refusal < SEAL_REFUSAL_COUNT ? refusals[refusal].name : "?";
}

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
