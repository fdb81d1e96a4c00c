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

static void forget_peer(struct peer *peer)
{
	int i;

	for (i = 0; i < SEAL_MAX_KEYS; i++)
		aead_fini(&peer->subkeys[i].aead);
}

void seal_forget_peers(struct seal *seal)
{
	int i;

	for (i = 0; i < seal->nodes.count; i++)
		forget_peer(&seal->peers[i]);
	free(seal->peers);
	seal->peers = NULL;
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
		if (old == TOTEM_NO_INDEX)
			continue;
		peers[i] = seal->peers[old];
		memset(&seal->peers[old], 0, sizeof(seal->peers[old])); /* moved */
	}
	seal_forget_peers(seal);
	seal->peers = peers;
	seal->nodes = *nodes;
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

/* They are derived again from what comes; boots and windows stay. */
void seal_forget_subkeys(struct seal *seal)
{
	int i;

	aead_fini(&seal->own.aead);
	aead_fini(&seal->scratch.aead);
	for (i = 0; i < seal->nodes.count; i++)
		forget_peer(&seal->peers[i]);
}

/* One kept, or a new one in the scratch (S5). */
struct subkey *seal_find_subkey(struct seal *seal, const struct header *h, int index,
				size_t key_slot)
{
	enum seal_cipher cipher = (enum seal_cipher)h->cipher;

	if (index != TOTEM_NO_INDEX &&
	    seal_subkey_fits(&seal->peers[index].subkeys[key_slot], cipher, &h->label))
		return &seal->peers[index].subkeys[key_slot];
	return seal_derive_subkey(seal, key_slot, cipher, &h->label, AEAD_OPENS,
				  &seal->scratch) == 0 ? &seal->scratch : NULL;
}

void seal_believe(struct seal *seal, const struct header *h, int index,
		  size_t key_slot, struct subkey *subkey)
{
	struct peer *peer = &seal->peers[index];
	struct subkey *kept = &peer->subkeys[key_slot], old = *kept;

	if (!peer->is_proven || peer->boot != h->label.boot) {
		peer->is_proven = true;
		peer->boot = h->label.boot;
		memset(&peer->window, 0, sizeof(peer->window));
	}
	if (subkey == &seal->scratch) {
		*kept = seal->scratch;
		seal->scratch = old;
	}
	peer->key_fingerprint = seal->fingerprints[key_slot];
	seal_window_add(&peer->window, h->label.counter);
}
