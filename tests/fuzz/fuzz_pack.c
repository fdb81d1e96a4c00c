/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Fuzz target: packing, and what comes from the wire instead of it.
 *
 *	input:  byte 0     enum flag
 *	        byte 1, 2  room of a packet
 *	        then       RAW: packets, each with its length before it (2 bytes);
 *	                   else: one byte a message, its length / 16 and whether
 *	                   it is safe (low bit), and every 255th byte a new
 *	                   configuration (0xff)
 *
 * What must hold, for every input:
 *	F1  what was packed comes back, whole, once, in order; but for what was
 *	    half out at a new configuration nothing is missing
 *	F2  a strange packet is sound or counted by reason; no message of one that
 *	    is not sound from its start to its end is given on
 *	F3  memory under way is bounded by the bytes that came
 *	F4  after any bytes, a sender's next sound message arrives
 *	F5  nothing outside of the buffers is touched (ASan)
 */
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>

#include "base/arith.h"
#include "base/codec.h"
#include "tests/fuzz/expect.h"
#include "totem/pack.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum flag {
	RAW = 1,
	DROP = 2, /* RAW: a new configuration between the packets */
};

enum { NEW_CONFIGURATION = 0xff, MAX_ROOM = 4096 };

struct sink {
	const uint8_t *lengths; /* of the messages to come; NULL: anything */
	const uint8_t *end;
	uint64_t received;
};

static void take(void *owner, const uint8_t *message, size_t length)
{
	struct sink *s = owner;
	uint8_t sum = 0;

	s->received++;
	for (size_t i = 0; i < length; i++)
		sum = (uint8_t)(sum + message[i]);
	if (!s->lengths) {
		EXPECT(length <= PACK_MAX_MESSAGE);
		return;
	}
	while (s->lengths < s->end && *s->lengths == NEW_CONFIGURATION)
		s->lengths++;
	EXPECT(s->lengths < s->end); /* F1 */
	EXPECT(length == (size_t)*s->lengths * 16);
	EXPECT(sum == (uint8_t)(length * *s->lengths));
	s->lengths++;
}

static void append(struct pack_queue *q, uint8_t what, size_t length)
{
	uint8_t bytes[255 * 16];
	const struct iovec part = { bytes, length };
	struct pack_message *m;

	memset(bytes, what, sizeof(bytes));
	m = pack_message_new(NULL, 0, &part, 1, what & 1);
	EXPECT(m != NULL);
	pack_queue_append(q, m);
}

static enum pack_fault receive(struct pack_assembly *a, const uint8_t *bytes,
			       size_t length, struct pack_stats *stats, struct sink *s)
{
	uint8_t *copy = malloc(max_u64(length, 1));
	enum pack_fault fault;

	EXPECT(copy != NULL);
	memcpy(copy, bytes, length);
	fault = pack_receive(a, copy, length, stats, take, s);
	EXPECT(fault < PACK_FAULT_COUNT && fault != PACK_NO_MEMORY);
	EXPECT(a->have <= a->room && a->room <= PACK_MAX_MESSAGE);
	EXPECT((a->bytes != NULL) == (a->have > 0) && a->have <= a->total);
	free(copy);
	return fault;
}

static void send(struct pack_queue *q, struct pack_assembly *a, size_t room,
		 struct pack_stats *stats, struct sink *s)
{
	uint8_t packet[MAX_ROOM];
	bool is_safe = false;
	size_t length = pack_queue_fill(q, packet, room, &is_safe);

	EXPECT(length <= room && (length > 0) == (room >= PACK_MIN_ROOM));
	if (length > 0)
		EXPECT(receive(a, packet, length, stats, s) == PACK_OK);
}

static void sound(const uint8_t *data, size_t size, size_t room)
{
	struct sink s = { data, data + size, 0 };
	struct pack_assembly a = { 0 };
	struct pack_stats stats = { 0 };
	struct pack_queue q;
	uint64_t appended = 0;

	pack_queue_init(&q, 0);
	room = max_u64(room, PACK_MIN_ROOM);
	for (size_t i = 0; i < size; i++) {
		if (data[i] != NEW_CONFIGURATION) {
			append(&q, data[i], (size_t)data[i] * 16);
			appended++;
			continue;
		}
		if (q.first)
			send(&q, &a, room, &stats, &s);
		pack_queue_restart(&q);
		pack_assembly_drop(&a);
	}
	while (q.first)
		send(&q, &a, room, &stats, &s);
	EXPECT(s.received == appended && stats.messages == appended);
	EXPECT(q.cost == 0 && q.unsent == 0 && q.sent == 0 && a.bytes == NULL);
}

static void raw(struct rd *rd, size_t room, bool drops)
{
	struct pack_assembly a = { 0 };
	struct pack_stats stats = { 0 };
	struct sink s = { 0 };
	struct pack_queue q;
	size_t came = 0;

	while (rd->at + 2 <= rd->length) {
		size_t length = rd_u16(rd);
		uint64_t before = s.received;
		enum pack_fault fault;

		length = min_u64(length, rd->length - rd->at);
		fault = receive(&a, rd->base + rd->at, length, &stats, &s);
		EXPECT(fault == PACK_OK || stats.faults[fault] > 0); /* F2 */
		if (fault >= PACK_BAD_VERSION && fault <= PACK_SHORT)
			EXPECT(s.received == before || stats.faults[PACK_CUT] > 0);
		rd_seek(rd, rd->at + length);
		came += length;
		EXPECT(a.room <= max_u64(4096, 2 * came)); /* F3 */
		if (drops)
			pack_assembly_drop(&a);
	}
	pack_queue_init(&q, 0); /* F4 */
	append(&q, 200, 3200);
	s.received = 0;
	room = max_u64(room, PACK_MIN_ROOM);
	while (q.first) {
		uint8_t packet[MAX_ROOM];
		bool is_safe;
		size_t length = pack_queue_fill(&q, packet, room, &is_safe);

		(void)receive(&a, packet, length, &stats, &s);
	}
	EXPECT(s.received == 1 && a.bytes == NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct rd rd = rd_over(data, size);
	unsigned int flags = rd_u8(&rd);
	size_t room = rd_u16(&rd) % (MAX_ROOM + 1);

	if (rd.failed)
		return 0;
	if (flags & RAW)
		raw(&rd, room, flags & DROP);
	else
		sound(data + rd.at, size - rd.at, room);
	return 0;
}
