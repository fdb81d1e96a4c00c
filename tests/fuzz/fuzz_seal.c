/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Fuzz target: opening what comes from the wire.
 *
 *	input:  byte 0     enum flag
 *	        byte 1     low half: how many edits; then which of the sealed
 *	                   datagrams is edited (2 bits), MIXED (1 bit)
 *	        byte 2, 3  new length of that datagram, LENGTH
 *	        then       3 bytes an edit: place (2), what is added there (1)
 *	        then       RAW: a datagram; else the message that is sealed
 *
 * No fuzzer guesses a tag, so that the target seals datagrams itself and edits
 * them; REPAIR puts right the bytes at the head that a stranger can know.
 *
 * What must hold, for every input:
 *	F1  with a key, nothing opens but what was sealed, as it was, once
 *	F2  a refusal has a reason, is counted once, and shows no message
 *	F3  what was refused has changed nothing: all that was sealed still opens
 *	F4  nothing outside of the two buffers is touched (ASan)
 */
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sodium.h>

#include "base/arith.h"
#include "base/codec.h"
#include "base/err.h"
#include "tests/fuzz/expect.h"
#include "totem/seal_private.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum flag {
	PLAIN = 1,
	AES = 2,      /* the sender; the receiver has the other cipher */
	RAW = 4,
	IN_PLACE = 8,
	REPAIR = 16,  /* magic, version, hints */
	LENGTH = 32,
	TWO_KEYS = 64,
	OPEN_FIRST = 128, /* all were opened before the edited one comes */
	MIXED = 256,      /* half of the datagrams have the other cipher */
};

enum { DATAGRAMS = 4, EDIT_BYTES = 3, REPAIRED_BYTES = 4 };

struct datagram {
	uint8_t *bytes;
	size_t length;
};

/*
 * Keys of this input alone: libFuzzer sees what memcmp() compares, and would send
 * us what was sealed, rightly, for another input.
 */
static void make_keys(const uint8_t *data, size_t size, struct seal_key keys[2])
{
	EXPECT(crypto_generichash(keys[0].bytes, SEAL_KEY_BYTES, data, size, NULL, 0) == 0);
	keys[1] = keys[0];
	do {
		keys[1].bytes[0]++;
	} while (seal_key_fingerprint(&keys[1]) >> 24 ==
		 seal_key_fingerprint(&keys[0]) >> 24);
}

static struct seal *make(uint32_t self, unsigned int flags, bool is_sender,
			 const struct seal_key keys[2])
{
	static const struct node_table nodes = { .ids = { 1, 2, 3 }, .count = 3 };
	bool has_aes = (flags & AES ? true : false) == is_sender;
	struct seal_config config = {
		.cluster = "fuzz",
		.nodes = &nodes,
		.self = self,
		.boot = 0x0123456789abcdef,
		.cipher = flags & PLAIN ? SEAL_PLAIN :
			  has_aes ? SEAL_AES256_GCM : SEAL_CHACHA20_POLY1305,
		.keys = keys,
		.key_count = flags & PLAIN ? 0 : flags & TWO_KEYS ? 2 : 1,
	};
	struct err err = ERR_INIT;
	struct seal *seal;

	if (is_sender && config.key_count == 2) { /* it is a step ahead */
		config.keys++;
		config.key_count--;
	}
	seal = seal_new(&config, &err);
	EXPECT(seal != NULL);
	return seal;
}

static struct datagram wrap(struct seal *from, const uint8_t *message, size_t length)
{
	struct datagram d = { malloc(length + seal_overhead()),
			      length + seal_overhead() };

	EXPECT(d.bytes != NULL);
	EXPECT(seal_wrap(from, message, length, d.bytes) == 0);
	return d;
}

static uint64_t refusals(const struct seal *seal)
{
	uint64_t sum = 0;

	for (int i = 0; i < SEAL_REFUSAL_COUNT; i++)
		sum += seal_stats(seal)->refused[i];
	return sum;
}

/* Opens a copy, on buffers that end where they end: F2, F4. */
static int open_copy(struct seal *to, const struct datagram *d, unsigned int flags,
		     const uint8_t *message, size_t message_length)
{
	uint64_t refused = refusals(to), opened = seal_stats(to)->opened;
	size_t room = d->length > seal_overhead() ? d->length - seal_overhead() : 0;
	uint8_t *copy = malloc(d->length + 1), *apart = malloc(room + 1), *out;
	struct seal_label label;
	size_t length = 1;
	int r;

	EXPECT(copy != NULL && apart != NULL);
	/* the last byte is poison for whoever looks behind the end */
	copy = realloc(copy, max_u64(d->length, 1));
	apart = realloc(apart, max_u64(room, 1));
	EXPECT(copy != NULL && apart != NULL);
	memcpy(copy, d->bytes, d->length);
	memset(apart, 0, room);
	out = flags & IN_PLACE && d->length >= SEAL_HEADER_BYTES ?
		      copy + SEAL_HEADER_BYTES : apart;
	r = seal_open(to, copy, d->length, out, &length, &label);
	EXPECT(r <= 0 && r > -SEAL_REFUSAL_COUNT && seal_why(r)[0] != '\0');
	EXPECT(refusals(to) == refused + (r < 0));
	EXPECT(seal_stats(to)->opened == opened + (r == 0));
	EXPECT(length == (r == 0 ? d->length - seal_overhead() : 0));
	if (r == 0 && message) {
		EXPECT(length == message_length);
		EXPECT(memcmp(out, message, length) == 0);
		EXPECT(label.sender == 1 && label.boot == 0x0123456789abcdef);
	}
	if (r < 0 && message && message_length >= 8 && message_length <= room &&
	    !sodium_is_zero(message, message_length))
		EXPECT(memcmp(out, message, message_length) != 0);
	free(copy);
	free(apart);
	return r;
}

/* A changed copy of `from`; the edits are taken off `rd`. */
static struct datagram edit(const struct datagram *from, unsigned int flags,
			    size_t edits, uint16_t new_length, struct rd *rd)
{
	struct datagram d = { NULL, flags & LENGTH ? new_length : from->length };

	d.bytes = calloc(1, d.length + 1);
	EXPECT(d.bytes != NULL);
	memcpy(d.bytes, from->bytes, min_u64(d.length, from->length));
	while (edits-- > 0) {
		size_t at = rd_u16(rd);
		uint8_t change = rd_u8(rd);

		if (d.length > 0)
			d.bytes[at % d.length] ^= change;
	}
	if (flags & REPAIR)
		memcpy(d.bytes, from->bytes, min_u64(d.length, REPAIRED_BYTES));
	return d;
}

static bool is_same(const struct datagram *a, const struct datagram *b)
{
	return a->length == b->length && memcmp(a->bytes, b->bytes, a->length) == 0;
}

static void check(struct seal *to, unsigned int flags, const struct datagram *sealed,
		  const struct datagram *strange, const uint8_t *message, size_t length)
{
	bool was_opened[DATAGRAMS] = { false };
	size_t i, same = DATAGRAMS;
	int r;

	for (i = 0; i < DATAGRAMS; i++) {
		if (flags & OPEN_FIRST) {
			EXPECT(open_copy(to, &sealed[i], flags, message, length) == 0);
			was_opened[i] = true;
		}
		if (is_same(strange, &sealed[i]))
			same = i;
	}
	r = open_copy(to, strange, flags, flags & (PLAIN | RAW) ? NULL : message,
		      length);
	if (flags & PLAIN)
		return; /* anybody can make what opens */
	EXPECT((r == 0) == (same < DATAGRAMS && !was_opened[same])); /* F1 */
	if (r == 0)
		was_opened[same] = true;
	for (i = 0; i < DATAGRAMS; i++) { /* F3 */
		r = open_copy(to, &sealed[i], flags, message, length);
		EXPECT(r == (was_opened[i] ? -SEAL_REPLAY : 0));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct rd rd = rd_over(data, size);
	unsigned int flags = rd_u8(&rd), choice = rd_u8(&rd);
	uint16_t new_length = rd_u16(&rd);
	size_t edits = choice & 15, length, i;
	struct datagram sealed[DATAGRAMS], strange;
	struct seal_key keys[2];
	struct seal *from, *second, *to;
	const uint8_t *message;

	if (rd.failed || rd.length - rd.at < edits * EDIT_BYTES)
		return 0;
	message = data + rd.at + edits * EDIT_BYTES;
	length = min_u64(size - (rd.at + edits * EDIT_BYTES), SEAL_MAX_PLAIN_BYTES);
	flags |= choice & 0x40 ? MIXED : 0;
	make_keys(data, size, keys);
	from = make(1, flags, true, keys);
	second = make(1, flags & MIXED ? flags ^ AES : flags, true, keys);
	second->counter = DATAGRAMS / 2; /* of one stream with the others */
	to = make(2, flags, false, keys);
	for (i = 0; i < DATAGRAMS; i++)
		sealed[i] = wrap(i < DATAGRAMS / 2 ? from : second, message, length);
	if (flags & RAW) {
		struct datagram raw = { (uint8_t *)(uintptr_t)message, length };

		strange = edit(&raw, flags & LENGTH, 0, new_length, &rd);
		if (flags & REPAIR)
			memcpy(strange.bytes, sealed[0].bytes,
			       min_u64(strange.length, REPAIRED_BYTES));
	} else {
		strange = edit(&sealed[(choice >> 4) % DATAGRAMS], flags, edits,
			       new_length, &rd);
	}
	check(to, flags, sealed, &strange, message, length);
	for (i = 0; i < DATAGRAMS; i++)
		free(sealed[i].bytes);
	free(strange.bytes);
	seal_free(from);
	seal_free(second);
	seal_free(to);
	return 0;
}
