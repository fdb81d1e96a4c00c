/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* K1 to K5: see pack.h. */
#include "totem/pack.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>

#include "base/arith.h"
#include "base/codec.h"

enum { PACKET_KIND = 0x51, KIND_BITS = 2, ASSEMBLY_STEP = 4096 };

enum kind { KIND_NONE, KIND_WHOLE, KIND_FIRST, KIND_NEXT };

struct pack_message {
	struct pack_message *next;
	size_t length;
	bool is_safe;
	uint8_t bytes[];
};

static_assert(sizeof(struct pack_message) <= PACK_MESSAGE_COST - 16,
	      "a message costs more than its queue counts");

/* --- sending --------------------------------------------------------------------- */

struct pack_message *pack_message_new(const void *head, size_t head_length,
				      const struct iovec *parts, int count,
				      bool is_safe)
{
	struct pack_message *m;
	size_t length = head_length;
	int i;

	if (head_length > PACK_MAX_MESSAGE)
		return NULL;
	for (i = 0; i < count; i++) {
		if (parts[i].iov_len > PACK_MAX_MESSAGE - length)
			return NULL;
		length += parts[i].iov_len;
	}
	m = malloc(sizeof(*m) + length);
	if (!m)
		return NULL;
	*m = (struct pack_message){ .length = head_length, .is_safe = is_safe };
	if (head_length > 0) /* memcpy() wants no NULL, even for nothing */
		memcpy(m->bytes, head, head_length);
	for (i = 0; i < count; i++) {
		if (parts[i].iov_len > 0)
			memcpy(m->bytes + m->length, parts[i].iov_base,
			       parts[i].iov_len);
		m->length += parts[i].iov_len;
	}
	return m;
}

void pack_message_free(struct pack_message *m)
{
	free(m);
}

void pack_message_set_last(struct pack_message *m, uint8_t byte)
{
	m->bytes[m->length - 1] = byte;
}

void pack_queue_init(struct pack_queue *q, size_t limit_bytes)
{
	*q = (struct pack_queue){ .limit = max_u64(limit_bytes, PACK_MIN_LIMIT) };
}

static void drop_first(struct pack_queue *q)
{
	struct pack_message *m = q->first;

	q->first = m->next;
	if (!q->first)
		q->last = NULL;
	q->cost -= pack_cost(m->length);
	q->unsent -= m->length - q->sent + PACK_WHOLE_BYTES;
	q->sent = 0;
	free(m);
}

void pack_queue_fini(struct pack_queue *q)
{
	while (q->first)
		drop_first(q);
}

void pack_queue_append(struct pack_queue *q, struct pack_message *m)
{
	m->next = NULL;
	if (q->last)
		q->last->next = m;
	else
		q->first = m;
	q->last = m;
	q->cost += pack_cost(m->length);
	q->unsent += m->length + PACK_WHOLE_BYTES;
}

void pack_queue_restart(struct pack_queue *q)
{
	if (q->sent == 0)
		return;
	q->unsent += q->sent;
	q->sent = 0;
	q->number++;
}

static void write_word(struct wr *wr, enum kind kind, size_t length)
{
	wr_u32(wr, (uint32_t)(length << KIND_BITS) | (uint32_t)kind);
}

/* The first message, or as much of it as fits. False: no room for any of it. */
static bool fill_chunk(struct pack_queue *q, struct wr *wr)
{
	struct pack_message *m = q->first;
	size_t room = wr->length - wr->at, rest = m->length - q->sent, part;

	if (q->sent == 0 && room >= PACK_WHOLE_BYTES + m->length) {
		write_word(wr, KIND_WHOLE, m->length);
		wr_bytes(wr, m->bytes, m->length);
		drop_first(q);
		return true;
	}
	if (room < PACK_PART_BYTES + PACK_MIN_PART)
		return false;
	part = min_u64(rest, room - PACK_PART_BYTES);
	write_word(wr, q->sent == 0 ? KIND_FIRST : KIND_NEXT, part);
	wr_u32(wr, q->number);
	wr_u32(wr, (uint32_t)(q->sent == 0 ? m->length : q->sent));
	wr_bytes(wr, m->bytes + q->sent, part);
	q->sent += part;
	q->unsent -= part;
	if (q->sent == m->length) {
		drop_first(q);
		q->number++;
	}
	return true;
}

size_t pack_queue_fill(struct pack_queue *q, uint8_t *packet, size_t room,
		       bool *is_safe)
{
	struct wr wr = wr_over(packet, room);

	if (!q->first || room < PACK_MIN_ROOM)
		return 0;
	*is_safe = q->first->is_safe;
	wr_u8(&wr, PACKET_KIND);
	while (q->first && q->first->is_safe == *is_safe && fill_chunk(q, &wr))
		;
	assert(!wr.failed && wr.at > PACK_PACKET_BYTES);
	return wr.at;
}

/* --- receiving ------------------------------------------------------------------- */

struct chunk {
	enum kind kind;
	uint32_t number;
	uint32_t total; /* of a first part */
	uint32_t place; /* of another */
	const uint8_t *bytes;
	size_t length;
};

static enum pack_fault read_chunk(struct rd *rd, struct chunk *c)
{
	uint32_t word = rd_u32(rd);

	*c = (struct chunk){
		.kind = (enum kind)(word & ((1u << KIND_BITS) - 1)),
		.length = word >> KIND_BITS,
	};
	if (c->kind == KIND_NONE)
		return rd->failed ? PACK_SHORT : PACK_BAD_KIND;
	if (c->kind != KIND_WHOLE) {
		c->number = rd_u32(rd);
		*(c->kind == KIND_FIRST ? &c->total : &c->place) = rd_u32(rd);
	}
	if (rd->failed || c->length > rd->length - rd->at)
		return PACK_SHORT;
	c->bytes = rd->base + rd->at;
	rd_seek(rd, rd->at + c->length);
	if (c->length > PACK_MAX_MESSAGE || c->total > PACK_MAX_MESSAGE ||
	    c->place > PACK_MAX_MESSAGE)
		return PACK_BAD_LENGTH;
	if (c->kind == KIND_FIRST && (c->length == 0 || c->length >= c->total))
		return PACK_BAD_LENGTH;
	if (c->kind == KIND_NEXT && (c->length == 0 || c->place == 0))
		return PACK_BAD_LENGTH;
	return PACK_OK;
}

/* K5: of a packet that is wrong anywhere nothing is taken. */
static enum pack_fault check(const uint8_t *packet, size_t length)
{
	struct rd rd = rd_over(packet, length);
	enum pack_fault fault = PACK_OK;
	struct chunk c;

	if (rd_u8(&rd) != PACKET_KIND || rd.failed)
		return PACK_BAD_VERSION;
	while (rd.at < length && fault == PACK_OK)
		fault = read_chunk(&rd, &c);
	return fault;
}

void pack_assembly_drop(struct pack_assembly *a)
{
	free(a->bytes);
	*a = (struct pack_assembly){ 0 };
}

/* Room grows with the bytes that are there, not with those that are claimed. */
static bool assembly_add(struct pack_assembly *a, const struct chunk *c)
{
	size_t needed = a->have + c->length;

	if (needed > a->room) {
		size_t room = min_u64(a->total, max_u64(2 * needed, ASSEMBLY_STEP));
		uint8_t *bytes = realloc(a->bytes, room);

		if (!bytes)
			return false;
		a->bytes = bytes;
		a->room = room;
	}
	memcpy(a->bytes + a->have, c->bytes, c->length);
	a->have = needed;
	return true;
}

/* A part: K4 when it does not go on where we are. */
static enum pack_fault take_part(struct pack_assembly *a, const struct chunk *c,
				 struct pack_stats *stats, pack_fn give, void *owner)
{
	struct pack_assembly whole;

	if (c->kind == KIND_FIRST) {
		a->number = c->number;
		a->total = c->total;
	} else if (!a->bytes || c->number != a->number || c->place != a->have) {
		pack_assembly_drop(a);
		return PACK_ORPHAN;
	} else if (c->length > a->total - a->have) {
		pack_assembly_drop(a);
		return PACK_BAD_LENGTH;
	}
	if (!assembly_add(a, c)) {
		pack_assembly_drop(a);
		return PACK_NO_MEMORY;
	}
	if (a->have < a->total)
		return PACK_OK;
	whole = *a;
	*a = (struct pack_assembly){ 0 };
	stats->messages++;
	give(owner, whole.bytes, whole.total);
	pack_assembly_drop(&whole);
	return PACK_OK;
}

enum pack_fault pack_receive(struct pack_assembly *a, const uint8_t *packet,
			     size_t length, struct pack_stats *stats,
			     pack_fn give, void *owner)
{
	enum pack_fault worst = check(packet, length), fault;
	struct rd rd = rd_over(packet, length);
	struct chunk c;

	if (worst != PACK_OK) {
		pack_assembly_drop(a); /* it may have held the next part */
		stats->faults[worst]++;
		return worst;
	}
	(void)rd_u8(&rd);
	while (rd.at < length) {
		(void)read_chunk(&rd, &c);
		fault = PACK_OK;
		if (a->bytes && c.kind != KIND_NEXT) {
			pack_assembly_drop(a);
			stats->faults[PACK_CUT]++;
			worst = worst > PACK_CUT ? worst : PACK_CUT;
		}
		if (c.kind == KIND_WHOLE) {
			stats->messages++;
			give(owner, c.bytes, c.length);
		} else {
			fault = take_part(a, &c, stats, give, owner);
		}
		if (fault != PACK_OK)
			stats->faults[fault]++;
		worst = fault > worst ? fault : worst;
	}
	return worst;
}

const char *pack_fault_text(enum pack_fault fault)
{
	static const char *const texts[PACK_FAULT_COUNT] = {
		[PACK_OK] = "is sound",
		[PACK_BAD_VERSION] = "is of another version",
		[PACK_BAD_KIND] = "holds a chunk of unknown kind",
		[PACK_SHORT] = "ends within a chunk",
		[PACK_BAD_LENGTH] = "holds a length that cannot be",
		[PACK_ORPHAN] = "goes on with a message that we did not see begin",
		[PACK_CUT] = "begins a message before the last has ended",
		[PACK_NO_MEMORY] = "did not fit in memory",
	};

	return fault < PACK_FAULT_COUNT ? texts[fault] : "is wrong";
}
