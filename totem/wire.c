/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "totem/wire.h"

#include <string.h>

#include "base/codec.h"

const char *wire_fault_text(enum wire_fault fault)
{
	static const char *const texts[WIRE_FAULT_COUNT] = {
		[WIRE_OK] = "sound",
		[WIRE_SHORT] = "ends before its fields do",
		[WIRE_LONG] = "goes on behind its last field",
		[WIRE_BAD_MAGIC] = "is no packet of a ring",
		[WIRE_BAD_VERSION] = "is of another protocol version",
		[WIRE_BAD_TYPE] = "is of an unknown type",
		[WIRE_WRONG_CLUSTER] = "belongs to a cluster of another name",
		[WIRE_UNKNOWN_NODE] = "names a node that is not configured",
		[WIRE_BAD_FIELD] = "has a field that cannot be",
	};

	return texts[fault];
}

/* FNV-1a: tells clusters apart, keeps nobody out; sealing does that. */
uint32_t wire_cluster_hash(const char *name)
{
	uint32_t hash = 2166136261u;

	while (*name)
		hash = (hash ^ (uint8_t)*name++) * 16777619u;
	return hash;
}

enum wire_fault wire_open(const struct wire_context *context,
			  const uint8_t *bytes, size_t length,
			  enum wire_type *type, int *from)
{
	struct rd rd = rd_over(bytes, length);
	uint8_t kind;

	if (rd_u16(&rd) != WIRE_MAGIC)
		return rd.failed ? WIRE_SHORT : WIRE_BAD_MAGIC;
	if (rd_u8(&rd) != WIRE_VERSION)
		return rd.failed ? WIRE_SHORT : WIRE_BAD_VERSION;
	kind = rd_u8(&rd);
	(void)rd_u16(&rd); /* features: none is defined yet */
	(void)rd_u16(&rd);
	*from = node_index(context->nodes, rd_u32(&rd));
	if (rd_u32(&rd) != context->cluster)
		return rd.failed ? WIRE_SHORT : WIRE_WRONG_CLUSTER;
	if (rd.failed)
		return WIRE_SHORT;
	if (*from == TOTEM_NO_INDEX)
		return WIRE_UNKNOWN_NODE;
	if (kind < WIRE_TOKEN || kind >= WIRE_TYPE_END)
		return WIRE_BAD_TYPE;
	*type = (enum wire_type)kind;
	return WIRE_OK;
}

static struct rd body(const uint8_t *bytes, size_t length)
{
	struct rd rd = rd_over(bytes, length);

	rd_seek(&rd, WIRE_HEADER_BYTES);
	return rd;
}

/* The end of a reader: all was there, and nothing more. */
static enum wire_fault at_end(const struct rd *rd)
{
	if (rd->failed)
		return WIRE_SHORT;
	return rd->at == rd->length ? WIRE_OK : WIRE_LONG;
}

static struct ring_id read_ring_id(struct rd *rd)
{
	struct ring_id ring;

	ring.rep = rd_u32(rd);
	ring.seq = rd_u64(rd);
	return ring;
}

static void write_ring_id(struct wr *wr, struct ring_id ring)
{
	wr_u32(wr, ring.rep);
	wr_u64(wr, ring.seq);
}

static bool is_number(uint64_t n)
{
	return n <= WIRE_MAX_NUMBER;
}

static bool is_range_sane(struct seq_range r)
{
	return r.first > 0 && r.count > 0 && is_number(r.first);
}

static struct seq_range read_range(struct rd *rd)
{
	struct seq_range r;

	r.first = rd_u64(rd);
	r.count = rd_u32(rd);
	return r;
}

static void write_range(struct wr *wr, struct seq_range r)
{
	wr_u64(wr, r.first);
	wr_u32(wr, r.count);
}

/* Mostly it is the one behind the last: large rings tell large sets often. */
static int index_behind(const struct node_table *nodes, int last, uint32_t id)
{
	int next = last + 1;

	return next < nodes->count && nodes->ids[next] == id ?
		       next :
		       node_index(nodes, id);
}

/* Sets travel as lists of ids: configurations may differ while they change. */
static enum wire_fault read_set(const struct wire_context *context,
				struct rd *rd, struct node_set *set)
{
	uint16_t n = rd_u16(rd), i;
	int last = TOTEM_NO_INDEX;

	memset(set, 0, sizeof(*set));
	if (n > TOTEM_MAX_NODES)
		return WIRE_BAD_FIELD;
	for (i = 0; i < n; i++) {
		int index = index_behind(context->nodes, last, rd_u32(rd));

		if (rd->failed)
			return WIRE_SHORT;
		if (index == TOTEM_NO_INDEX)
			return WIRE_UNKNOWN_NODE;
		if (index <= last) /* ascending, nobody twice */
			return WIRE_BAD_FIELD;
		last = index;
		set_add(set, index);
	}
	return rd->failed ? WIRE_SHORT : WIRE_OK;
}

static void write_set(const struct wire_context *context, struct wr *wr,
		      struct node_set set)
{
	int i;

	wr_u16(wr, (uint16_t)set_count(set));
	for (i = set_next(set, 0); i != TOTEM_NO_INDEX; i = set_next(set, i + 1))
		wr_u32(wr, context->nodes->ids[i]);
}

enum wire_fault wire_read_token(const uint8_t *bytes, size_t length,
				struct wire_token *token)
{
	struct rd rd = body(bytes, length);
	uint16_t i;

	memset(token, 0, sizeof(*token));
	token->ring = read_ring_id(&rd);
	token->token_seq = rd_u64(&rd);
	token->seq = rd_u64(&rd);
	token->aru = rd_u64(&rd);
	token->aru_node = rd_u32(&rd);
	token->flow_bytes = rd_u32(&rd);
	token->backlog_bytes = rd_u32(&rd);
	token->retrans = rd_u8(&rd);
	token->plugged.bits[0] = rd_u64(&rd);
	token->plugged.bits[1] = rd_u64(&rd);
	token->rtr_count = rd_u16(&rd);
	if (token->rtr_count > WIRE_MAX_RTR)
		return WIRE_BAD_FIELD;
	for (i = 0; i < token->rtr_count; i++) {
		token->rtr[i] = read_range(&rd);
		if (!rd.failed && !is_range_sane(token->rtr[i]))
			return WIRE_BAD_FIELD;
	}
	if (token->aru > token->seq || token->retrans > TOTEM_MAX_NODES ||
	    !is_number(token->ring.seq) || !is_number(token->token_seq) ||
	    !is_number(token->seq))
		return WIRE_BAD_FIELD;
	return at_end(&rd);
}

enum wire_fault wire_read_data(const struct wire_context *context,
			       const uint8_t *bytes, size_t length,
			       struct wire_data *data)
{
	struct rd rd = body(bytes, length);

	data->ring = read_ring_id(&rd);
	data->seq = rd_u64(&rd);
	data->round = rd_u64(&rd);
	data->origin = rd_u32(&rd);
	data->flags = rd_u8(&rd);
	data->old_ring = read_ring_id(&rd);
	data->old_seq = rd_u64(&rd);
	if (rd.failed)
		return WIRE_SHORT;
	if (node_index(context->nodes, data->origin) == TOTEM_NO_INDEX)
		return WIRE_UNKNOWN_NODE;
	if (data->seq == 0 || (data->flags & ~WIRE_DATA_FLAGS))
		return WIRE_BAD_FIELD;
	if ((data->flags & WIRE_DATA_RECOVERED) && data->old_seq == 0)
		return WIRE_BAD_FIELD;
	if (!is_number(data->ring.seq) || !is_number(data->seq) ||
	    !is_number(data->old_ring.seq) || !is_number(data->old_seq))
		return WIRE_BAD_FIELD;
	data->payload = bytes + rd.at;
	data->length = length - rd.at;
	return WIRE_OK;
}

enum wire_fault wire_read_ring(const uint8_t *bytes, size_t length,
			       struct ring_id *ring)
{
	struct rd rd = body(bytes, length);

	*ring = read_ring_id(&rd);
	return is_number(ring->seq) ? at_end(&rd) : WIRE_BAD_FIELD;
}

/* Some of a set, as bits by position in it. */
static enum wire_fault read_subset(struct rd *rd, struct node_set whole,
				   struct node_set *part)
{
	struct node_set bits;
	int i, position = 0;

	bits.bits[0] = rd_u64(rd);
	bits.bits[1] = rd_u64(rd);
	memset(part, 0, sizeof(*part));
	for (i = set_next(whole, 0); i != TOTEM_NO_INDEX;
	     i = set_next(whole, i + 1))
		if (set_has(&bits, position++))
			set_add(part, i);
	return set_count(*part) == set_count(bits) ? WIRE_OK : WIRE_BAD_FIELD;
}

static void write_subset(struct wr *wr, struct node_set whole,
			 struct node_set part)
{
	struct node_set bits = { { 0 } };
	int i, position = 0;

	for (i = set_next(whole, 0); i != TOTEM_NO_INDEX;
	     i = set_next(whole, i + 1), position++)
		if (set_has(&part, i))
			set_add(&bits, position);
	wr_u64(wr, bits.bits[0]);
	wr_u64(wr, bits.bits[1]);
}

enum wire_fault wire_read_join(const struct wire_context *context,
			       const uint8_t *bytes, size_t length,
			       struct wire_join *join)
{
	struct rd rd = body(bytes, length);
	uint8_t leave;
	enum wire_fault fault;

	join->ring_seq = rd_u64(&rd);
	join->incarnation = rd_u64(&rd);
	leave = rd_u8(&rd);
	join->is_leave = leave == 1;
	if (leave > 1 || !is_number(join->ring_seq))
		return WIRE_BAD_FIELD;
	fault = read_set(context, &rd, &join->proc);
	if (fault == WIRE_OK)
		fault = read_set(context, &rd, &join->failed);
	if (fault == WIRE_OK)
		fault = read_subset(&rd, join->failed, &join->evicted);
	return fault == WIRE_OK ? at_end(&rd) : fault;
}

static enum wire_fault read_entry(struct rd *rd, struct wire_commit_entry *e)
{
	uint8_t filled, i;

	filled = rd_u8(rd);
	e->is_filled = filled == 1;
	if (filled > 1)
		return WIRE_BAD_FIELD;
	if (!e->is_filled)
		return WIRE_OK;
	e->old_ring = read_ring_id(rd);
	e->aru = rd_u64(rd);
	e->high = rd_u64(rd);
	e->delivered = rd_u64(rd);
	e->safe = rd_u64(rd);
	e->have_count = rd_u8(rd);
	if (rd->failed)
		return WIRE_SHORT;
	if (e->have_count > WIRE_MAX_HAVE || e->aru > e->high ||
	    e->delivered > e->high || e->safe > e->aru ||
	    !is_number(e->high) || !is_number(e->old_ring.seq))
		return WIRE_BAD_FIELD;
	for (i = 0; i < e->have_count; i++) {
		e->have[i] = read_range(rd);
		if (rd->failed)
			return WIRE_SHORT;
		if (!is_range_sane(e->have[i]) || e->have[i].first <= e->aru ||
		    e->have[i].first + e->have[i].count - 1 > e->high)
			return WIRE_BAD_FIELD;
	}
	return rd->failed ? WIRE_SHORT : WIRE_OK;
}

enum wire_fault wire_read_commit(const struct wire_context *context,
				 const uint8_t *bytes, size_t length,
				 struct wire_commit *commit)
{
	struct rd rd = body(bytes, length);
	enum wire_fault fault;
	int i, n;

	memset(commit, 0, sizeof(*commit));
	commit->ring = read_ring_id(&rd);
	commit->token_seq = rd_u64(&rd);
	commit->round = rd_u16(&rd);
	commit->total = rd_u16(&rd);
	fault = read_set(context, &rd, &commit->members);
	n = set_count(commit->members);
	if (fault == WIRE_OK &&
	    (n == 0 || n > commit->total || commit->total > TOTEM_MAX_NODES ||
	     commit->round > 2 || !is_number(commit->ring.seq) ||
	     !is_number(commit->token_seq)))
		fault = WIRE_BAD_FIELD;
	for (i = set_next(commit->members, 0);
	     fault == WIRE_OK && i != TOTEM_NO_INDEX;
	     i = set_next(commit->members, i + 1)) {
		fault = read_entry(&rd, &commit->entries[i]);
		/* whoever collected all must have them all */
		if (fault == WIRE_OK && commit->round > 0 &&
		    !commit->entries[i].is_filled)
			fault = WIRE_BAD_FIELD;
	}
	return fault == WIRE_OK ? at_end(&rd) : fault;
}

static struct wr begin(const struct wire_context *context, enum wire_type type,
		       uint8_t *bytes)
{
	struct wr wr = wr_over(bytes, WIRE_MAX_PACKET);

	wr_u16(&wr, WIRE_MAGIC);
	wr_u8(&wr, WIRE_VERSION);
	wr_u8(&wr, (uint8_t)type);
	wr_u16(&wr, 0);
	wr_u16(&wr, 0);
	wr_u32(&wr, context->self);
	wr_u32(&wr, context->cluster);
	return wr;
}

size_t wire_write_token(const struct wire_context *context,
			const struct wire_token *token, uint8_t *bytes)
{
	struct wr wr = begin(context, WIRE_TOKEN, bytes);
	uint16_t i;

	write_ring_id(&wr, token->ring);
	wr_u64(&wr, token->token_seq);
	wr_u64(&wr, token->seq);
	wr_u64(&wr, token->aru);
	wr_u32(&wr, token->aru_node);
	wr_u32(&wr, token->flow_bytes);
	wr_u32(&wr, token->backlog_bytes);
	wr_u8(&wr, token->retrans);
	wr_u64(&wr, token->plugged.bits[0]);
	wr_u64(&wr, token->plugged.bits[1]);
	wr_u16(&wr, token->rtr_count);
	for (i = 0; i < token->rtr_count; i++)
		write_range(&wr, token->rtr[i]);
	return wr.at;
}

size_t wire_write_data(const struct wire_context *context,
		       const struct wire_data *data, uint8_t *bytes)
{
	struct wr wr = begin(context, WIRE_DATA, bytes);

	write_ring_id(&wr, data->ring);
	wr_u64(&wr, data->seq);
	wr_u64(&wr, data->round);
	wr_u32(&wr, data->origin);
	wr_u8(&wr, data->flags);
	write_ring_id(&wr, data->old_ring);
	wr_u64(&wr, data->old_seq);
	if (data->length)
		wr_bytes(&wr, data->payload, data->length);
	return wr.at;
}

size_t wire_write_ring(const struct wire_context *context, enum wire_type type,
		       struct ring_id ring, uint8_t *bytes)
{
	struct wr wr = begin(context, type, bytes);

	write_ring_id(&wr, ring);
	return wr.at;
}

size_t wire_write_join(const struct wire_context *context,
		       const struct wire_join *join, uint8_t *bytes)
{
	struct wr wr = begin(context, WIRE_JOIN, bytes);

	wr_u64(&wr, join->ring_seq);
	wr_u64(&wr, join->incarnation);
	wr_u8(&wr, join->is_leave);
	write_set(context, &wr, join->proc);
	write_set(context, &wr, join->failed);
	write_subset(&wr, join->failed, join->evicted);
	return wr.at;
}

static void write_entry(struct wr *wr, const struct wire_commit_entry *e)
{
	uint8_t i;

	wr_u8(wr, e->is_filled);
	if (!e->is_filled)
		return;
	write_ring_id(wr, e->old_ring);
	wr_u64(wr, e->aru);
	wr_u64(wr, e->high);
	wr_u64(wr, e->delivered);
	wr_u64(wr, e->safe);
	wr_u8(wr, e->have_count);
	for (i = 0; i < e->have_count; i++)
		write_range(wr, e->have[i]);
}

size_t wire_entry_bytes(const struct wire_commit *commit, int index)
{
	return WIRE_ENTRY_OVERHEAD +
	       (size_t)commit->entries[index].have_count * WIRE_RANGE_BYTES;
}

size_t wire_write_commit(const struct wire_context *context,
			 const struct wire_commit *commit, struct node_set part,
			 uint8_t *bytes)
{
	struct wr wr = begin(context, WIRE_COMMIT, bytes);
	int i;

	write_ring_id(&wr, commit->ring);
	wr_u64(&wr, commit->token_seq);
	wr_u16(&wr, commit->round);
	wr_u16(&wr, (uint16_t)set_count(commit->members));
	write_set(context, &wr, part);
	for (i = set_next(part, 0); i != TOTEM_NO_INDEX;
	     i = set_next(part, i + 1))
		write_entry(&wr, &commit->entries[i]);
	return wr.at;
}
