/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Fuzz target: the ring's packets.
 *
 *	input:  byte 0  enum flag
 *	        byte 1  how many nodes are configured, less 1 (low 7 bits)
 *	        then    a packet, as it comes from the wire
 *
 * What must hold, for every input:
 *	F1  what is accepted and written again is the same, byte for byte, but
 *	    for features and zeroes, which nobody reads
 *	F2  an accepted packet keeps the promises of wire.h; nobody is in it who
 *	    is not configured
 *	F3  a refusal has a sentence; WIRE_SHORT is said of what is cut off, and
 *	    WIRE_LONG of what goes on (a message has no end of its own)
 *	F4  nothing outside of the packet is read (ASan)
 */
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/arith.h"
#include "base/codec.h"
#include "tests/fuzz/expect.h"
#include "totem/wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum flag {
	REPAIR = 1, /* what a fuzzer does not guess: magic, version, cluster */
	SENDER = 2, /* the sender is configured */
};

enum { INPUT_HEAD_BYTES = 2, AT_TYPE = 3, AT_UNREAD = 4, UNREAD_BYTES = 4, CLUSTER = 0x1234 };

static struct node_table nodes;
static struct node_set configured;
static struct wire_context context = { .nodes = &nodes, .cluster = CLUSTER };

/* Ids with gaps, so that not all is configured. */
static void configure(int count)
{
	nodes.count = count;
	configured = (struct node_set){ { 0 } };
	for (int i = 0; i < count; i++) {
		nodes.ids[i] = 1 + 3 * (uint32_t)i;
		set_add(&configured, i);
	}
}

static void repair(uint8_t *bytes, size_t length, unsigned int flags)
{
	struct wr wr = wr_over(bytes, length);

	if (!(flags & REPAIR) || length < WIRE_HEADER_BYTES)
		return;
	wr_u16(&wr, WIRE_MAGIC);
	wr_u8(&wr, WIRE_VERSION);
	wr_u8(&wr, (uint8_t)(1 + bytes[AT_TYPE] % (WIRE_TYPE_END - 1)));
	wr_seek(&wr, 8);
	if (flags & SENDER)
		wr_u32(&wr, nodes.ids[bytes[8] % nodes.count]);
	wr_seek(&wr, 12);
	wr_u32(&wr, CLUSTER);
}

/* F2 */

static void check_range(struct seq_range r)
{
	EXPECT(r.first > 0 && r.count > 0 && r.first <= WIRE_MAX_NUMBER);
}

static void check_token(const struct wire_token *t)
{
	EXPECT(t->aru <= t->seq && t->seq <= WIRE_MAX_NUMBER);
	EXPECT(t->token_seq <= WIRE_MAX_NUMBER && t->ring.seq <= WIRE_MAX_NUMBER);
	EXPECT(t->retrans <= TOTEM_MAX_NODES);
	EXPECT(t->rtr_count <= WIRE_MAX_RTR);
	for (int i = 0; i < t->rtr_count; i++)
		check_range(t->rtr[i]);
}

static void check_data(const struct wire_data *d, const uint8_t *bytes, size_t length)
{
	EXPECT(d->seq <= WIRE_MAX_NUMBER && d->ring.seq <= WIRE_MAX_NUMBER);
	EXPECT(d->seq > 0 && !(d->flags & ~WIRE_DATA_FLAGS));
	EXPECT(!(d->flags & WIRE_DATA_RECOVERED) || d->old_seq > 0);
	EXPECT(node_index(&nodes, d->origin) != TOTEM_NO_INDEX);
	EXPECT(d->payload == bytes + WIRE_DATA_OVERHEAD);
	EXPECT(d->length == length - WIRE_DATA_OVERHEAD);
}

static void check_entry(const struct wire_commit_entry *e)
{
	EXPECT(e->high <= WIRE_MAX_NUMBER && e->old_ring.seq <= WIRE_MAX_NUMBER);
	EXPECT(e->safe <= e->aru && e->aru <= e->high && e->delivered <= e->high);
	EXPECT(e->have_count <= WIRE_MAX_HAVE);
	for (int i = 0; i < e->have_count; i++) {
		check_range(e->have[i]);
		EXPECT(e->have[i].first > e->aru);
		EXPECT(e->have[i].first + e->have[i].count - 1 <= e->high);
	}
}

static void check_commit(const struct wire_commit *c)
{
	int n = set_count(c->members), i;

	EXPECT(c->ring.seq <= WIRE_MAX_NUMBER && c->token_seq <= WIRE_MAX_NUMBER);
	EXPECT(n > 0 && set_is_subset(c->members, configured) && c->round <= 2);
	EXPECT(n <= c->total && c->total <= TOTEM_MAX_NODES);
	for (i = set_next(c->members, 0); i != TOTEM_NO_INDEX;
	     i = set_next(c->members, i + 1)) {
		EXPECT(c->round == 0 || c->entries[i].is_filled);
		check_entry(&c->entries[i]);
	}
}

/* Writes it as a part of a token of so many members. */
static size_t write_part(struct wire_commit *c, uint8_t *back)
{
	const struct node_set part = c->members;

	for (int i = 0; set_count(c->members) < c->total; i++)
		set_add(&c->members, i);
	return wire_write_commit(&context, c, part, back);
}

/* Reads the body, and writes it to `back` when it is sound. */
static enum wire_fault read_and_write(enum wire_type type, const uint8_t *bytes,
				      size_t length, uint8_t *back, size_t *written)
{
	static struct wire_commit commit;
	struct wire_token token;
	struct wire_data data;
	struct wire_join join;
	struct ring_id id;
	enum wire_fault fault;

	switch (type) {
	case WIRE_TOKEN:
		fault = wire_read_token(bytes, length, &token);
		if (fault == WIRE_OK) {
			check_token(&token);
			*written = wire_write_token(&context, &token, back);
		}
		return fault;
	case WIRE_DATA:
		fault = wire_read_data(&context, bytes, length, &data);
		if (fault == WIRE_OK) {
			check_data(&data, bytes, length);
			*written = wire_write_data(&context, &data, back);
		}
		return fault;
	case WIRE_JOIN:
		fault = wire_read_join(&context, bytes, length, &join);
		if (fault == WIRE_OK) {
			EXPECT(set_is_subset(join.proc, configured));
			EXPECT(set_is_subset(join.failed, configured));
			*written = wire_write_join(&context, &join, back);
		}
		return fault;
	case WIRE_COMMIT:
		fault = wire_read_commit(&context, bytes, length, &commit);
		if (fault == WIRE_OK) {
			check_commit(&commit);
			*written = write_part(&commit, back);
		}
		return fault;
	default:
		EXPECT(type == WIRE_MERGE || type == WIRE_HOLD_CANCEL);
		fault = wire_read_ring(bytes, length, &id);
		if (fault == WIRE_OK)
			*written = wire_write_ring(&context, type, id, back);
		return fault;
	}
}

/* Opens and reads a copy that ends where it ends: F4. */
static enum wire_fault take(const uint8_t *bytes, size_t length, enum wire_type *type,
			    uint8_t *back, size_t *written)
{
	uint8_t *copy = malloc(max_u64(length, 1));
	enum wire_fault fault;
	int from;

	EXPECT(copy != NULL);
	memcpy(copy, bytes, length);
	fault = wire_open(&context, copy, length, type, &from);
	if (fault == WIRE_OK) {
		EXPECT(from >= 0 && from < nodes.count);
		context.self = nodes.ids[from];
		fault = read_and_write(*type, copy, length, back, written);
	}
	EXPECT(fault < WIRE_FAULT_COUNT && wire_fault_text(fault)[0] != '\0');
	free(copy);
	return fault;
}

/* F3 */
static void check_ends(uint8_t *bytes, size_t length, enum wire_type type)
{
	static uint8_t ignored[WIRE_MAX_PACKET];
	size_t end = type == WIRE_DATA ? WIRE_DATA_OVERHEAD : length, written;

	EXPECT(take(bytes, end - 1, &type, ignored, &written) == WIRE_SHORT);
	bytes[length] = 0;
	EXPECT(take(bytes, length + 1, &type, ignored, &written) ==
	       (type == WIRE_DATA ? WIRE_OK : WIRE_LONG));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static uint8_t bytes[WIRE_MAX_PACKET], back[WIRE_MAX_PACKET];
	size_t length, written = 0;
	enum wire_type type;

	if (size < INPUT_HEAD_BYTES || size > sizeof(bytes))
		return 0;
	configure(1 + data[1] % TOTEM_MAX_NODES);
	length = size - INPUT_HEAD_BYTES;
	memcpy(bytes, data + INPUT_HEAD_BYTES, length);
	repair(bytes, length, data[0]);
	if (take(bytes, length, &type, back, &written) != WIRE_OK)
		return 0;
	memset(bytes + AT_UNREAD, 0, UNREAD_BYTES);
	EXPECT(written == length && memcmp(back, bytes, length) == 0); /* F1 */
	check_ends(bytes, length, type);
	return 0;
}
