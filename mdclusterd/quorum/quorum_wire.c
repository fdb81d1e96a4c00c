/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The bytes, little endian. What is told, and what is remembered:
 *
 *	told      u8 version 1, u8 flags (1 waits, 2 leaves, 4 window over, 8 can use the
 *	          device), u32 by hand, u64 device left ns, u64 first origin, u64 origin,
 *	          first rules, rules, record
 *	rules     u8 flags (1 two_node, 2 last_man_standing, 4 allow_downscale), u8 tie,
 *	          u32 expected, u8 device votes, u8 count, count x u32 id, a u8 of votes for
 *	          each configured node
 *	memory    u8[8] "MDCQUORM", u32 version 1, u32 length behind the head, u64 FNV-1a of
 *	          that, u8[16] boot, u8 has seen all, record; zeroes up to 8192 bytes
 *	record    u8: a basis is formed; that; u8 count; candidates
 *	basis     u64 number, u64 origin, u32 expected, u32 tie node, u8 device votes,
 *	          u8 count, count x (u32 id, u8 votes), ids ascending
 */
#include <assert.h>
#include <string.h>

#include "base/codec.h"
#include "base/fnv.h"
#include "mdclusterd/quorum/quorum_private.h"

enum {
	WIRE_VERSION = 1,
	HEAD_BYTES = 24,
	BASIS_MOST_BYTES = 26 + 5 * TOTEM_MAX_NODES,
	FLAG_WAITS = 1, FLAG_LEAVES = 2, FLAG_WINDOW = 4, FLAG_DEVICE = 8,
	RULE_TWO_NODE = 1, RULE_LAST_MAN = 2, RULE_DOWNSCALE = 4,
	RULES_MOST_BYTES = 8 + 5 * TOTEM_MAX_NODES,
	TOLD_HEAD_BYTES = 30,
};

static_assert(HEAD_BYTES + QUORUM_BOOT_BYTES + 3 +
		      (QUORUM_MAX_CANDIDATES + 1) * BASIS_MOST_BYTES <= QUORUM_MEMORY_BYTES,
	      "what is remembered fits");
static_assert(TOLD_HEAD_BYTES + 2 * RULES_MOST_BYTES + 2 +
		      (QUORUM_MAX_CANDIDATES + 1) * BASIS_MOST_BYTES <= QUORUM_MEMORY_BYTES,
	      "what is told fits");

static const char magic[8] = { 'M', 'D', 'C', 'Q', 'U', 'O', 'R', 'M' };

static void put_basis(struct wr *wr, const struct basis *b)
{
	wr_u64(wr, b->number);
	wr_u64(wr, b->origin);
	wr_u32(wr, b->expected);
	wr_u32(wr, b->tie_node);
	wr_u8(wr, (uint8_t)b->device_votes);
	wr_u8(wr, (uint8_t)b->count);
	for (uint32_t i = 0; i < b->count; i++) {
		wr_u32(wr, b->ids[i]);
		wr_u8(wr, b->votes[i]);
	}
}

static bool get_basis(struct rd *rd, struct basis *b)
{
	memset(b, 0, sizeof(*b));
	b->number = rd_u64(rd);
	b->origin = rd_u64(rd);
	b->expected = rd_u32(rd);
	b->tie_node = rd_u32(rd);
	b->device_votes = rd_u8(rd);
	b->count = rd_u8(rd);
	if (b->count > TOTEM_MAX_NODES)
		return false;
	for (uint32_t i = 0; i < b->count; i++) {
		b->ids[i] = rd_u32(rd);
		b->votes[i] = rd_u8(rd);
		if (b->ids[i] == 0 || (i > 0 && b->ids[i] <= b->ids[i - 1]))
			return false;
	}
	return !rd->failed && b->number > 0 && b->number < UINT64_MAX / 2 &&
	       b->expected <= QUORUM_MAX_EXPECTED &&
	       basis_sum(b) + b->device_votes <= b->expected; /* Q6 */
}

static void put_record(struct wr *wr, const struct quorum_record *r)
{
	wr_u8(wr, r->formed.number > 0);
	if (r->formed.number > 0)
		put_basis(wr, &r->formed);
	wr_u8(wr, (uint8_t)r->candidate_count);
	for (int i = 0; i < r->candidate_count; i++)
		put_basis(wr, &r->candidates[i]);
}

static bool get_record(struct rd *rd, struct quorum_record *r)
{
	uint8_t has_one = rd_u8(rd);

	memset(r, 0, sizeof(*r));
	if (has_one > 1 || (has_one && !get_basis(rd, &r->formed)))
		return false;
	r->candidate_count = rd_u8(rd);
	if (rd->failed || r->candidate_count > QUORUM_MAX_CANDIDATES)
		return false;
	for (int i = 0; i < r->candidate_count; i++)
		if (!get_basis(rd, &r->candidates[i]))
			return false;
	return true;
}

static void put_rules(struct wr *wr, const struct quorum_rules *r, int nodes)
{
	wr_u8(wr, (uint8_t)((r->is_two_node ? RULE_TWO_NODE : 0) |
			    (r->is_last_man_standing ? RULE_LAST_MAN : 0) |
			    (r->allows_downscale ? RULE_DOWNSCALE : 0)));
	wr_u8(wr, (uint8_t)r->tie);
	wr_u32(wr, r->expected);
	wr_u8(wr, (uint8_t)r->device_votes);
	wr_u8(wr, (uint8_t)r->tie_count);
	for (int i = 0; i < r->tie_count; i++)
		wr_u32(wr, r->tie_nodes[i]);
	wr_bytes(wr, r->votes, (size_t)nodes);
}

static bool get_rules(struct rd *rd, struct quorum_rules *r, int nodes)
{
	uint8_t flags = rd_u8(rd), tie = rd_u8(rd);

	r->is_two_node = flags & RULE_TWO_NODE;
	r->is_last_man_standing = flags & RULE_LAST_MAN;
	r->allows_downscale = flags & RULE_DOWNSCALE;
	r->tie = tie <= QUORUM_TIE_LIST ? (enum quorum_tie)tie : QUORUM_TIE_NONE;
	r->expected = rd_u32(rd);
	r->device_votes = rd_u8(rd);
	r->tie_count = rd_u8(rd);
	if (r->tie_count > TOTEM_MAX_NODES)
		return false;
	for (int i = 0; i < r->tie_count; i++)
		r->tie_nodes[i] = rd_u32(rd);
	rd_bytes(rd, r->votes, (size_t)nodes);
	return !rd->failed && tie <= QUORUM_TIE_LIST && r->expected <= QUORUM_MAX_EXPECTED;
}

void quorum_put_told(struct wr *wr, const struct quorum_told *t, int nodes)
{
	wr_u8(wr, WIRE_VERSION);
	wr_u8(wr, (uint8_t)((t->waits ? FLAG_WAITS : 0) | (t->is_leaving ? FLAG_LEAVES : 0) |
			    (t->is_window_over ? FLAG_WINDOW : 0) |
			    (t->can_use_device ? FLAG_DEVICE : 0)));
	wr_u32(wr, t->by_hand);
	wr_u64(wr, t->device_left_ns);
	wr_u64(wr, t->first_origin);
	wr_u64(wr, t->origin);
	put_rules(wr, &t->first, nodes);
	put_rules(wr, &t->rules, nodes);
	put_record(wr, &t->record);
}

bool quorum_get_told(struct rd *rd, struct quorum_told *t, int nodes)
{
	uint8_t version = rd_u8(rd), flags = rd_u8(rd);

	memset(t, 0, sizeof(*t));
	t->waits = flags & FLAG_WAITS;
	t->is_leaving = flags & FLAG_LEAVES;
	t->is_window_over = flags & FLAG_WINDOW;
	t->can_use_device = flags & FLAG_DEVICE;
	t->by_hand = rd_u32(rd);
	t->device_left_ns = rd_u64(rd);
	t->first_origin = rd_u64(rd);
	t->origin = rd_u64(rd);
	return version == WIRE_VERSION && t->by_hand <= QUORUM_MAX_EXPECTED &&
	       get_rules(rd, &t->first, nodes) && get_rules(rd, &t->rules, nodes) &&
	       get_record(rd, &t->record) && !rd->failed && rd->at == rd->length;
}

void quorum_put_memory(uint8_t to[QUORUM_MEMORY_BYTES], const struct quorum_memory *m)
{
	struct wr wr = wr_over(to, QUORUM_MEMORY_BYTES);
	size_t end;

	memset(to, 0, QUORUM_MEMORY_BYTES);
	wr_seek(&wr, HEAD_BYTES);
	wr_bytes(&wr, m->boot, sizeof(m->boot));
	wr_u8(&wr, m->has_seen_all);
	put_record(&wr, &m->record);
	end = wr.at;
	wr_seek(&wr, 0);
	wr_bytes(&wr, magic, sizeof(magic));
	wr_u32(&wr, WIRE_VERSION);
	wr_u32(&wr, (uint32_t)(end - HEAD_BYTES));
	wr_u64(&wr, fnv_add(FNV_START, to + HEAD_BYTES, end - HEAD_BYTES));
}

bool quorum_get_memory(const uint8_t from[QUORUM_MEMORY_BYTES], struct quorum_memory *m)
{
	struct rd rd = rd_over(from, QUORUM_MEMORY_BYTES);
	uint32_t version, length;
	uint8_t has_seen_all;

	memset(m, 0, sizeof(*m));
	rd_seek(&rd, sizeof(magic));
	version = rd_u32(&rd);
	length = rd_u32(&rd);
	if (memcmp(from, magic, sizeof(magic)) != 0 || version != WIRE_VERSION ||
	    length > QUORUM_MEMORY_BYTES - HEAD_BYTES ||
	    rd_u64(&rd) != fnv_add(FNV_START, from + HEAD_BYTES, length))
		return false;
	rd = rd_over(from + HEAD_BYTES, length);
	rd_bytes(&rd, m->boot, sizeof(m->boot));
	has_seen_all = rd_u8(&rd);
	m->has_seen_all = has_seen_all;
	return has_seen_all <= 1 && get_record(&rd, &m->record) && rd.at == rd.length;
}
