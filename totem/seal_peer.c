/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What is known of the other nodes: which boot is proven, which of its counters
 * were seen, and the subkeys that open what they send.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "totem/seal_private.h"

_Static_assert((SEAL_WINDOW_WORDS - 1) * 64 == SEAL_WINDOW, "one word is being cleared");

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
	seal_forget_subkeys(seal); /* they lie by index */
	return 0;
}

/* Replay window */

enum seal_refusal seal_window_check(const struct window *w, uint64_t counter)
{
	if (counter == 0)
		return SEAL_LATE; /* counters begin at 1 */
	if (counter > w->highest)
		return SEAL_OPENED;
	if (w->highest - counter >= SEAL_WINDOW)
		return SEAL_LATE;
	return w->seen[counter / 64 % SEAL_WINDOW_WORDS] >> counter % 64 & 1 ?
		       SEAL_REPLAY : SEAL_OPENED;
}

/* Only for counters that seal_window_check() lets pass, and that are proven. */
void seal_window_add(struct window *w, uint64_t counter)
{
	uint64_t word = w->highest / 64, last = counter / 64;

	if (counter > w->highest) {
		if (last - word > SEAL_WINDOW_WORDS)
			word = last - SEAL_WINDOW_WORDS;
		while (word < last)
			w->seen[++word % SEAL_WINDOW_WORDS] = 0;
		w->highest = counter;
	}
	w->seen[counter / 64 % SEAL_WINDOW_WORDS] |= 1ull << counter % 64;
}

/* Subkeys */

/* The subkey kept for this datagram, or a new one in the scratch (S5). */
const uint8_t *seal_find_subkey(const struct seal *seal, const struct header *h,
				  int index, size_t key_slot)
{
	const struct peer *peer = index < 0 ? NULL : &seal->peers[index];

	if (peer && peer->is_proven && peer->boot == h->label.boot &&
	    peer->subkey_cipher[key_slot] == (int8_t)h->cipher)
		return seal->secrets->peers[index][key_slot];
	seal_derive_subkey(seal, key_slot, h->cipher, h->label.sender, h->label.boot,
		      seal->secrets->scratch);
	return seal->secrets->scratch;
}

/* The tag was good: now, and not before, the peer's state may change. */
void seal_believe(struct seal *seal, const struct header *h, int index,
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
	seal_window_add(&peer->window, h->label.counter);
}
