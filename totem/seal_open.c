/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Opening what comes from the wire. The cheap questions come first, all by table
 * look-up: form, cluster, key, sender, boot, counter. Only what could be right is
 * worth a subkey and an opening, and only what has a good tag may change the state
 * of a peer (S5). There is a place for every configured node and for nobody else,
 * so nothing can be pushed out. As in RFC 4303, 3.4.3: window, tag, then the
 * window moves.
 *
 * The subkey depends on who and when, the nonce on the counter, so that a header
 * that was changed could not be opened anyway; that it is authenticated as well
 * costs two blocks of the tag, and does not rest on such reasoning.
 */
#include <sodium.h>

#include "totem/seal_private.h"

/* Which of our keys, or key_count. */
static size_t find_key(const struct seal *seal, const struct header *h)
{
	size_t i;

	for (i = 0; i < seal->key_count; i++)
		if (seal_key_hint(seal->fingerprints[i]) == h->key_hint)
			break;
	return i;
}

static enum seal_refusal check_form(const struct seal *seal, const struct header *h)
{
	if (h->magic != SEAL_MAGIC)
		return SEAL_BAD_MAGIC;
	if (h->version != SEAL_VERSION)
		return SEAL_BAD_VERSION;
	if (h->cipher >= SEAL_CIPHER_COUNT || 
	    !aead_ciphers_has(&seal->ciphers, (enum seal_cipher)h->cipher))
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
		return seal_window_check(&peer->window, label->counter);
	return label->counter == 0 ? SEAL_LATE : SEAL_OPENED;
}

static enum seal_refusal open_checked(struct seal *seal, const struct header *h,
				      int index, const uint8_t *sealed,
				      size_t body_length, uint8_t *plain)
{
	size_t key_slot = find_key(seal, h);
	struct subkey *subkey = seal_find_subkey(seal, h, index, key_slot);
	uint8_t nonce[AEAD_NONCE_BYTES];

	if (!subkey)
		return SEAL_BAD_CIPHER;
	seal_nonce_out(h->label.counter, nonce);
	if (!aead_open(&subkey->aead, nonce, sealed, SEAL_HEADER_BYTES,
		       sealed + SEAL_HEADER_BYTES, body_length, plain))
		return SEAL_BAD_TAG;
	if (index == TOTEM_NO_INDEX) {
		sodium_memzero(plain, body_length);
		return SEAL_OWN_ID;
	}
	seal_believe(seal, h, index, key_slot, subkey);
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
	h = seal_header_in(sealed);
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
		"has a cipher that this node does not know, or that its libcrypto does not offer" },
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
