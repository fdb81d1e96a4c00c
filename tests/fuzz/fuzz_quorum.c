/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Fuzz target: what quorum remembers, and what nodes tell each other of it.
 *
 *	input:  byte 0   enum flag
 *	        u16      bytes of memory, which follow
 *	        then     what node 2 tells; SEALED: the memory's head is made good
 *
 * What must hold, for every input:
 *	F1  memory is taken, and written again is the same, or refused with a sentence
 *	F2  what is told is heard, or refused, and then there is no verdict
 *	F3  a verdict has no more votes than are expected (Q6), and a sentence of one line where
 *	    it is lost
 *	F4  nothing outside of what was given is read (ASan)
 */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/arith.h"
#include "base/codec.h"
#include "base/err.h"
#include "base/fnv.h"
#include "mdclusterd/quorum/quorum.h"
#include "tests/fuzz/expect.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum flag { REMEMBERS = 1, SEALED = 2, LAST_MAN = 4, TIE = 8, DEVICE = 16, WAITS = 32 };
enum { NODES = 3, HEAD_BYTES = 24 };

static const uint8_t boot[QUORUM_BOOT_BYTES] = { 7 };

/* As quorum_wire.c says. */
static void seal(uint8_t memory[QUORUM_MEMORY_BYTES], size_t length)
{
	struct wr wr = wr_over(memory, HEAD_BYTES);

	wr_bytes(&wr, "MDCQUORM", 8);
	wr_u32(&wr, 1);
	wr_u32(&wr, (uint32_t)length);
	wr_u64(&wr, fnv_add(FNV_START, memory + HEAD_BYTES, length));
}

static struct quorum *make(unsigned int flags, const uint8_t *memory)
{
	struct quorum_options o = { .nodes = { .count = NODES, .ids = { 1, 2, 3 } },
				    .votes = { 1, 1, 1 },
				    .is_last_man_standing = flags & LAST_MAN,
				    .waits_for_all = flags & WAITS,
				    .last_man_standing_window_ns = 1000,
				    .tie = flags & TIE ? QUORUM_TIE_LOWEST : QUORUM_TIE_NONE,
				    .device_votes = flags & DEVICE ? 1 : 0 };
	struct err err = ERR_INIT;
	struct quorum *q = quorum_new(&o, boot, memory, &err);

	EXPECT(q || (err.code == -EBADMSG && err.text[0] && !strchr(err.text, '\n')));
	return q;
}

/* F1 */
static void check_memory(struct quorum *q, unsigned int flags)
{
	uint8_t *bytes = malloc(QUORUM_MEMORY_BYTES), *again = malloc(QUORUM_MEMORY_BYTES);
	struct quorum *other;

	EXPECT(bytes && again);
	quorum_memory(q, bytes);
	other = make(flags, bytes);
	EXPECT(other != NULL);
	quorum_memory(other, again);
	EXPECT(memcmp(bytes, again, QUORUM_MEMORY_BYTES) == 0);
	quorum_free(other);
	free(bytes);
	free(again);
}

/* F3 */
static void check_verdict(struct quorum *q)
{
	static struct quorum_look look;

	(void)quorum_decide(q, 1);
	quorum_activate(q, 1);
	quorum_advance(q, 100000);
	quorum_look(q, 100000, NULL, NULL, &look);
	EXPECT(look.votes <= look.expected);
	EXPECT(look.is_quorate || look.why[0]);
	EXPECT(!strchr(look.why, '\n'));
}

static void hear(struct quorum *q, const uint8_t *told, size_t length)
{
	static uint8_t own[QUORUM_MEMORY_BYTES];
	struct node_set members = { { 3 } };
	uint8_t *copy = malloc(max_u64(length, 1)); /* F4 */
	int r;

	EXPECT(copy != NULL);
	memcpy(copy, told, length);
	quorum_begin(q, 0, members);
	EXPECT(quorum_hear(q, 0, 0, own, quorum_tell(q, 0, own)) == 0);
	r = quorum_hear(q, 0, 1, copy, length);
	EXPECT(r == 0 || r == -EBADMSG);
	EXPECT(quorum_has_heard_all(q) == (r == 0)); /* F2 */
	free(copy);
	if (r == 0)
		check_verdict(q);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct rd rd = rd_over(data, size);
	unsigned int flags = rd_u8(&rd);
	size_t length = rd_u16(&rd);
	uint8_t *memory;
	struct quorum *q;

	if (rd.failed || size - rd.at < length || length > QUORUM_MEMORY_BYTES - HEAD_BYTES)
		return 0;
	memory = calloc(1, QUORUM_MEMORY_BYTES);
	EXPECT(memory != NULL);
	memcpy(memory + (flags & SEALED ? HEAD_BYTES : 0), data + rd.at, length);
	if (flags & SEALED)
		seal(memory, length);
	q = make(flags, flags & REMEMBERS ? memory : NULL);
	free(memory);
	if (q) {
		check_memory(q, flags);
		hear(q, data + rd.at + length, size - rd.at - length);
		check_memory(q, flags);
	}
	quorum_free(q);
	return 0;
}
