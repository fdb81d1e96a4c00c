/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A basis, and how votes are counted by it: Q2, Q6. */
#include <string.h>

#include "mdclusterd/quorum/quorum_private.h"

static uint64_t mix(uint64_t hash, uint64_t value)
{
	for (int i = 0; i < 8; i++) { /* FNV-1a */
		hash ^= value >> 8 * i & 0xff;
		hash *= 0x100000001b3ull;
	}
	return hash;
}

uint64_t quorum_origin(const struct quorum_options *o)
{
	uint64_t hash = 0xcbf29ce484222325ull;

	for (int i = 0; i < o->nodes.count; i++)
		hash = mix(mix(hash, o->nodes.ids[i]), o->votes[i]);
	hash = mix(mix(hash, quorum_configured_expected(o)), o->device_votes);
	return hash ? hash : 1;
}

uint32_t quorum_configured_expected(const struct quorum_options *o)
{
	uint32_t all = o->device_votes;

	for (int i = 0; i < o->nodes.count; i++)
		all += o->votes[i];
	return o->expected > all ? o->expected : all; /* Q6 */
}

void quorum_rules_of(const struct quorum_options *o, struct quorum_rules *r)
{
	*r = (struct quorum_rules){
		.is_two_node = o->is_two_node,
		.is_last_man_standing = o->is_last_man_standing,
		.allows_downscale = o->allows_downscale,
		.tie = o->tie,
		.expected = quorum_configured_expected(o),
		.device_votes = o->device_votes,
		.tie_count = o->tie_count,
	};
	memcpy(r->tie_nodes, o->tie_nodes, sizeof(r->tie_nodes));
	for (int i = 0; i < o->nodes.count; i++)
		r->votes[i] = (uint8_t)o->votes[i];
}

void quorum_options_by(const struct quorum_rules *r, const struct node_table *nodes,
		       struct quorum_options *o)
{
	*o = (struct quorum_options){
		.nodes = *nodes,
		.self = TOTEM_NO_INDEX,
		.expected = r->expected,
		.is_two_node = r->is_two_node,
		.is_last_man_standing = r->is_last_man_standing,
		.allows_downscale = r->allows_downscale,
		.tie = r->tie,
		.tie_count = r->tie_count,
		.device_votes = r->device_votes,
	};
	memcpy(o->tie_nodes, r->tie_nodes, sizeof(o->tie_nodes));
	for (int i = 0; i < nodes->count; i++)
		o->votes[i] = r->votes[i];
}

void basis_of_options(const struct quorum_options *o, struct basis *b)
{
	struct node_set all = { { 0 } };

	memset(b, 0, sizeof(*b));
	for (int i = 0; i < o->nodes.count; i++) {
		basis_add(b, o->nodes.ids[i], o->votes[i]);
		set_add(&all, i);
	}
	b->device_votes = o->device_votes;
	b->expected = quorum_configured_expected(o);
	b->origin = quorum_origin(o);
	b->tie_node = basis_tie_node(b, o, all);
}

int basis_find(const struct basis *b, uint32_t id)
{
	for (uint32_t i = 0; i < b->count; i++)
		if (b->ids[i] == id)
			return (int)i;
	return -1;
}

/* Ascending, as ids are everywhere. */
void basis_add(struct basis *b, uint32_t id, uint32_t votes)
{
	uint32_t at = b->count;

	if (basis_find(b, id) >= 0 || b->count == TOTEM_MAX_NODES)
		return;
	for (; at > 0 && b->ids[at - 1] > id; at--) {
		b->ids[at] = b->ids[at - 1];
		b->votes[at] = b->votes[at - 1];
	}
	b->ids[at] = id;
	b->votes[at] = (uint8_t)votes;
	b->count++;
}

void basis_remove(struct basis *b, uint32_t id)
{
	int at = basis_find(b, id);

	if (at < 0)
		return;
	b->count--;
	for (uint32_t i = (uint32_t)at; i < b->count; i++) {
		b->ids[i] = b->ids[i + 1];
		b->votes[i] = b->votes[i + 1];
	}
}

uint32_t basis_sum(const struct basis *b)
{
	uint32_t sum = 0;

	for (uint32_t i = 0; i < b->count; i++)
		sum += b->votes[i];
	return sum;
}

uint32_t basis_votes(const struct basis *b, const struct node_table *nodes,
		     struct node_set members, bool has_device)
{
	uint32_t votes = has_device ? b->device_votes : 0;

	for (int i = set_next(members, 0); i != TOTEM_NO_INDEX; i = set_next(members, i + 1)) {
		int at = basis_find(b, nodes->ids[i]);

		votes += at < 0 ? 0 : b->votes[at];
	}
	return votes;
}

uint32_t basis_quorum(const struct basis *b, bool is_two_node)
{
	return is_two_node ? 1 : b->expected / 2 + 1;
}

bool basis_holds(const struct basis *b, const struct node_table *nodes, struct node_set members,
		 bool has_device, bool is_two_node)
{
	uint32_t votes = basis_votes(b, nodes, members, has_device);
	int tie = b->tie_node ? node_index(nodes, b->tie_node) : TOTEM_NO_INDEX;

	if (votes >= basis_quorum(b, is_two_node))
		return true;
	return 2 * votes == b->expected && tie != TOTEM_NO_INDEX && set_has(&members, tie);
}

uint32_t basis_tie_node(const struct basis *b, const struct quorum_options *o,
			struct node_set from)
{
	uint32_t found = 0;

	for (int i = 0; i < o->tie_count && o->tie == QUORUM_TIE_LIST; i++) {
		int index = node_index(&o->nodes, o->tie_nodes[i]);

		if (index != TOTEM_NO_INDEX && set_has(&from, index) &&
		    basis_find(b, o->tie_nodes[i]) >= 0)
			return o->tie_nodes[i];
	}
	if (o->tie != QUORUM_TIE_LOWEST && o->tie != QUORUM_TIE_HIGHEST)
		return 0;
	for (int i = set_next(from, 0); i != TOTEM_NO_INDEX; i = set_next(from, i + 1)) {
		int at = basis_find(b, o->nodes.ids[i]);

		if (at < 0 || b->votes[at] == 0)
			continue;
		if (!found || o->tie == QUORUM_TIE_HIGHEST)
			found = o->nodes.ids[i];
	}
	return found;
}

bool basis_same_content(const struct basis *a, const struct basis *b)
{
	return a->expected == b->expected && a->tie_node == b->tie_node &&
	       a->device_votes == b->device_votes && a->origin == b->origin && a->count == b->count &&
	       memcmp(a->ids, b->ids, a->count * sizeof(a->ids[0])) == 0 &&
	       memcmp(a->votes, b->votes, a->count) == 0;
}
