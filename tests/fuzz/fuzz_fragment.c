/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Fuzz target: datagrams, and messages put together from parts.
 *
 *	input:  a stream of operations on one sender's assembly, each
 *	        byte 0     enum operation
 *	        RAW:       byte 1 a length, and so many bytes: a datagram
 *	        PART:      byte 1     number of the message, from a base
 *	                   byte 2, 3  its bytes
 *	                   byte 4, 5  bytes of each part
 *	                   byte 6     index of this part
 *	                   byte 7     bytes more or less in the datagram
 *	        REST:      as PART, but all parts of the message
 *	        WAIT:      byte 1 how much of the timeout passes
 *	        BASE:      byte 1..4 the number of messages to come
 *
 * What must hold, for every input:
 *	F1  a message that is complete is, byte for byte, one that was sent, and
 *	    each of its parts came
 *	F2  what is sound, and no more, has a header that is written the same
 *	F3  a duplicate, a stale part or a misfit changes nothing
 *	F4  memory is that of one message; it ends with time
 *	F5  after any stream a newer message arrives
 *	F6  nothing outside of the buffers is touched (ASan)
 */
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/arith.h"
#include "base/codec.h"
#include "tests/fuzz/expect.h"
#include "totem/fragment.h"
#include "totem/transport.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum operation { RAW, PART, REST, WAIT, BASE, OPERATIONS };

enum { TIMEOUT_NS = 1000 };

struct rig {
	struct assembly a;
	uint32_t base;      /* number of messages */
	uint64_t now_ns;
	uint32_t parts;     /* came of the one under way */
	bool is_spoilt;     /* a raw part came of it */
};

/* Sent bytes follow from the number of their message and their place in it. */
static uint8_t byte_at(uint32_t message, size_t at)
{
	return (uint8_t)(message * 31 + at + (at >> 8));
}

static uint32_t parts_of(const struct fragment *f)
{
	return (f->total_bytes + f->unit_bytes - 1u) / f->unit_bytes;
}

/* F1 */
static void check_complete(const struct rig *rig, const struct fragment *f)
{
	const struct assembly *a = &rig->a;

	EXPECT(rig->parts == parts_of(f) && a->missing == 0);
	EXPECT(a->total_bytes == f->total_bytes && a->message == f->message);
	for (size_t i = 0; !rig->is_spoilt && i < a->total_bytes; i++)
		EXPECT(a->bytes[i] == byte_at(a->message, i));
}

/* F4 */
static void check_bounds(const struct assembly *a)
{
	if (!a->bytes)
		return;
	EXPECT(a->total_bytes <= TRANSPORT_MESSAGE_MAX && a->total_bytes > 1);
	EXPECT(a->missing > 0 && a->missing <= FRAGMENTS_MAX);
}

static enum assembly_result add(struct rig *rig, const struct fragment *f, bool is_raw)
{
	struct assembly *a = &rig->a, was = *a;
	bool had = a->bytes != NULL, replaced;
	enum assembly_result r = assembly_add(a, f, &replaced);

	EXPECT(r != ASSEMBLY_NO_MEMORY);
	EXPECT(!replaced || (had && f->message != was.message));
	if (r == ASSEMBLY_DUPLICATE || r == ASSEMBLY_STALE || r == ASSEMBLY_MISFIT) {
		EXPECT(had && !replaced && memcmp(&was, a, sizeof(was)) == 0); /* F3 */
		return r;
	}
	if (!had || replaced) {
		rig->parts = 0;
		rig->is_spoilt = false;
	}
	rig->parts++;
	rig->is_spoilt |= is_raw;
	if (r == ASSEMBLY_COMPLETE) {
		check_complete(rig, f);
		assembly_fini(a);
	}
	check_bounds(a);
	return r;
}

/* F2; `datagram` ends where it ends. */
static void receive(struct rig *rig, const uint8_t *datagram, size_t length, bool is_raw)
{
	uint8_t header[FRAGMENT_HEADER_BYTES];
	struct fragment f;

	if (!fragment_parse(datagram, length, &f))
		return;
	if (f.is_whole) {
		fragment_write_whole(header);
		EXPECT(f.payload == datagram + DATAGRAM_HEADER_BYTES);
		EXPECT(f.length == length - DATAGRAM_HEADER_BYTES);
		EXPECT(memcmp(header, datagram, DATAGRAM_HEADER_BYTES) == 0);
		return;
	}
	fragment_write_part(header, &f);
	EXPECT(memcmp(header, datagram, FRAGMENT_HEADER_BYTES) == 0);
	EXPECT(f.payload == datagram + FRAGMENT_HEADER_BYTES);
	EXPECT(f.length == length - FRAGMENT_HEADER_BYTES && f.length > 0);
	EXPECT((uint64_t)f.index * f.unit_bytes + f.length <= f.total_bytes);
	EXPECT(parts_of(&f) <= FRAGMENTS_MAX);
	add(rig, &f, is_raw);
}

/* What its sender would send, but for `more` bytes. */
static void send_part(struct rig *rig, const struct fragment *f, int8_t more)
{
	uint64_t at = (uint64_t)f->index * f->unit_bytes;
	uint64_t left = f->total_bytes - min_u64(at, f->total_bytes);
	int64_t length = (int64_t)min_u64(f->unit_bytes, left) + more;
	size_t size = FRAGMENT_HEADER_BYTES + (length > 0 ? (size_t)length : 0), i;
	uint8_t *datagram = malloc(size);

	EXPECT(datagram != NULL);
	fragment_write_part(datagram, f);
	for (i = FRAGMENT_HEADER_BYTES; i < size; i++)
		datagram[i] = byte_at(f->message, at + i - FRAGMENT_HEADER_BYTES);
	receive(rig, datagram, size, false);
	free(datagram);
}

static void operate_part(struct rig *rig, struct rd *rd, enum operation operation)
{
	struct fragment f = { .message = rig->base + rd_u8(rd) };
	int8_t more;

	f.total_bytes = rd_u16(rd) * 2u; /* some are too large */
	f.unit_bytes = rd_u16(rd);
	f.index = rd_u8(rd);
	more = (int8_t)rd_u8(rd);
	if (rd->failed)
		return;
	if (operation == PART) {
		send_part(rig, &f, more);
		return;
	}
	for (uint16_t n = 0; n < FRAGMENTS_MAX; n++) {
		struct fragment one = f;

		one.index = (uint16_t)((f.index + n) % FRAGMENTS_MAX);
		send_part(rig, &one, 0);
	}
}

static void operate_raw(struct rig *rig, struct rd *rd)
{
	size_t length = rd_u8(rd);
	uint8_t *datagram = malloc(max_u64(length, 1));

	EXPECT(datagram != NULL);
	rd_bytes(rd, datagram, length);
	if (!rd->failed)
		receive(rig, datagram, length, true);
	free(datagram);
}

static void operate_wait(struct rig *rig, struct rd *rd)
{
	bool had = rig->a.bytes != NULL, is_gone;

	rig->now_ns += rd_u8(rd) * TIMEOUT_NS / 128;
	is_gone = assembly_expire(&rig->a, rig->now_ns, TIMEOUT_NS);
	EXPECT(!is_gone || (had && !rig->a.bytes));
	EXPECT(is_gone || had == (rig->a.bytes != NULL));
	EXPECT(!rig->a.bytes || rig->now_ns - rig->a.since_ns < TIMEOUT_NS);
}

/* F5 */
static void check_alive(struct rig *rig)
{
	struct fragment f = { .message = rig->a.message + 1, .total_bytes = 3,
			      .unit_bytes = 2 };
	uint8_t bytes[3];
	size_t i;

	for (i = 0; i < sizeof(bytes); i++)
		bytes[i] = byte_at(f.message, i);
	f.payload = bytes;
	f.length = 2;
	EXPECT(add(rig, &f, false) == ASSEMBLY_WAITS);
	f.index = 1;
	f.payload = bytes + 2;
	f.length = 1;
	EXPECT(add(rig, &f, false) == ASSEMBLY_COMPLETE);
	EXPECT(rig->a.bytes == NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct rd rd = rd_over(data, size);
	struct rig rig = { .now_ns = 1 };

	while (!rd.failed && rd.at < rd.length) {
		enum operation operation = rd_u8(&rd) % OPERATIONS;

		if (operation == RAW)
			operate_raw(&rig, &rd);
		else if (operation == PART || operation == REST)
			operate_part(&rig, &rd, operation);
		else if (operation == WAIT)
			operate_wait(&rig, &rd);
		else
			rig.base = rd_u32(&rd);
	}
	check_alive(&rig);
	return 0;
}
