/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Fuzz target: what the members of a group of corosync's say to each other.
 *
 *	input:  byte 0  enum flag
 *	        then    a packet, as corosync delivers it
 *
 * What must hold, for every input:
 *	F1  what is accepted and written again is the same, byte for byte, but for the
 *	    version, what a later one added, and flags that nobody knows
 *	F2  what is accepted is within the bounds of cpg_wire.h, and its payload is within
 *	    the packet
 *	F3  what is cut off anywhere is refused; what has more behind it is not
 *	F4  nothing outside of the packet is read (ASan)
 */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/arith.h"
#include "base/codec.h"
#include "tests/fuzz/expect.h"
#include "totem/cpg_wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum flag {
	REPAIR = 1, /* what a fuzzer does not guess: magic, version, kind */
};

enum { MAGIC = 0x4743, VERSION = 1, AT_VERSION = 2, AT_KIND = 3, MAX_BYTES = 4096, KNOWN_FLAGS = 3 };

static void repair(uint8_t *bytes, size_t length, unsigned int flags)
{
	struct wr wr = wr_over(bytes, length);

	if (!(flags & REPAIR) || length < CPG_HEAD_BYTES)
		return;
	wr_u16(&wr, MAGIC);
	wr_u8(&wr, VERSION);
	wr_u8(&wr, (uint8_t)(1 + bytes[AT_KIND] % (CPG_KIND_END - 1)));
}

/* A copy that ends where it ends: F4. What it points to is gone afterwards. */
static int read_copy(const uint8_t *bytes, size_t length, struct cpg_packet *p, size_t *payload_at)
{
	uint8_t *copy = malloc(max_u64(length, 1));
	int r;

	EXPECT(copy != NULL);
	memcpy(copy, bytes, length);
	memset(p, 0, sizeof(*p));
	r = cpg_wire_read(copy, length, p);
	EXPECT(r == 0 || r == -EBADMSG);
	*payload_at = 0;
	if (r == 0 && p->kind == CPG_DATA) {
		EXPECT(p->payload >= copy && p->payload <= copy + length); /* F2 */
		*payload_at = (size_t)(p->payload - copy);
		EXPECT(*payload_at + p->length == length);
	}
	free(copy);
	return r;
}

/* F3 */
static void check_ends(const uint8_t *bytes, size_t length, size_t needed)
{
	struct cpg_packet p;
	uint8_t more[MAX_BYTES + 1];
	size_t at;

	for (size_t cut = 0; cut < needed; cut++)
		EXPECT(read_copy(bytes, cut, &p, &at) < 0);
	memcpy(more, bytes, length);
	more[length] = 0;
	EXPECT(read_copy(more, length + 1, &p, &at) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static uint8_t bytes[MAX_BYTES], back[CPG_SMALL_BYTES];
	size_t length, written, payload_at;
	struct cpg_packet p;

	if (size < 1 || size - 1 > sizeof(bytes))
		return 0;
	length = size - 1;
	memcpy(bytes, data + 1, length);
	repair(bytes, length, data[0]);
	if (read_copy(bytes, length, &p, &payload_at) < 0)
		return 0;
	EXPECT(p.kind > 0 && p.kind < CPG_KIND_END);
	EXPECT(p.hello.excluded_count <= CPG_MAX_PROCESSES); /* F2 */
	EXPECT(p.hello.high_seq < WIRE_MAX_NUMBER && p.hello.installed.seq < WIRE_MAX_NUMBER);
	EXPECT(p.config.seq < WIRE_MAX_NUMBER);
	if (p.kind == CPG_DATA) {
		cpg_wire_data(&p, back);
		written = CPG_DATA_HEAD_BYTES;
		EXPECT(payload_at == written);
		bytes[written - 1] &= KNOWN_FLAGS;
	} else {
		written = cpg_wire_write(&p, back);
	}
	bytes[AT_VERSION] = VERSION;
	EXPECT(written <= length && memcmp(back, bytes, written) == 0); /* F1 */
	check_ends(bytes, length, written);
	return 0;
}
