/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Fuzz target: the text of the boot record.
 *
 *	input:  byte 0  enum flag
 *	        then    the text; BUILT: 16 bytes, the numbers that are written
 *
 * What must hold, for every input:
 *	F1  what is accepted, written again, is the same text
 *	F2  what is written is accepted, unless a number leaves no room for a start
 *	F3  no text that is cut off, or goes on, is accepted
 *	F4  nothing outside of the text is read (ASan)
 */
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/arith.h"
#include "base/codec.h"
#include "tests/fuzz/expect.h"
#include "totem/boot.h"
#include "totem/ring.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum flag { BUILT = 1 };

/* A copy that ends where it ends: F4. */
static int parse(const char *text, size_t length, struct boot_record *record)
{
	char *copy = malloc(max_u64(length, 1));
	int r;

	EXPECT(copy != NULL);
	memcpy(copy, text, length);
	r = boot_record_parse(copy, length, record);
	EXPECT(r == 0 || r == -EBADMSG);
	free(copy);
	return r;
}

static void check_accepted(const char *text, size_t length,
			   const struct boot_record *record)
{
	char again[BOOT_RECORD_BYTES + 1];
	struct boot_record ignored;
	size_t n;

	EXPECT(boot_record_write(record, again) == length);
	EXPECT(length < BOOT_RECORD_BYTES && memcmp(again, text, length) == 0);
	EXPECT(record->ring_seq + RING_SEQ_STRIDE <= WIRE_MAX_NUMBER);
	EXPECT(record->number + 1 > record->number);
	for (n = 0; n < length; n++)
		EXPECT(parse(text, n, &ignored) < 0);
	again[length] = '1';
	EXPECT(parse(again, length + 1, &ignored) < 0);
}

static void build(struct rd *rd)
{
	uint64_t seq = rd_u64(rd), number = rd_u64(rd);
	struct boot_record record = { seq, number }, back;
	char text[BOOT_RECORD_BYTES];
	size_t length = boot_record_write(&record, text);
	bool has_room = record.ring_seq <= WIRE_MAX_NUMBER - RING_SEQ_STRIDE &&
			record.number <= UINT64_MAX - 2 * BOOT_NUMBERS;

	EXPECT(length < sizeof(text) && text[length] == '\0');
	EXPECT((parse(text, length, &back) == 0) == has_room); /* F2 */
	if (!has_room)
		return;
	EXPECT(back.ring_seq == record.ring_seq && back.number == record.number);
	check_accepted(text, length, &back);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct rd rd = rd_over(data, size);
	unsigned int flags = rd_u8(&rd);
	struct boot_record record;
	const char *text = (const char *)data + rd.at;

	if (rd.failed)
		return 0;
	if (flags & BUILT)
		build(&rd);
	else if (parse(text, size - rd.at, &record) == 0)
		check_accepted(text, size - rd.at, &record);
	return 0;
}
