/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Messages, refusals, and what the kernel writes, byte for byte (B11, B33): each vector
 * is written out here, so that a machine of the other endianness, or padding that
 * nobody set, fails.
 */
#include <string.h>

#include "base/arith.h"
#include "msg/kernel_message.h"
#include "msg/nack.h"
#include "tests/unit/help.h"

#define UUID { 0x5c, 0x0b, 0x0c, 0x4b, 0xd6, 0xae, 0x03, 0x59, \
	       0xf2, 0x66, 0xca, 0xcf, 0x72, 0x23, 0x22, 0x50 }

static const struct vector {
	struct msg m;
	uint8_t bytes[MSG_BYTES];
	const char *text;
} vectors[] = {
	{ { .type = MSG_METADATA_UPDATED, .slot = 3, .sequence = 0x01020304, .disk = 5 },
	  { 1, 0, 3, 0, 4, 3, 2, 1, [24] = 5 }, "metadata updated, on disk 5" },
	{ { .type = MSG_METADATA_UPDATED, .slot = 127, .sequence = 1, .disk = 0x0102,
	    .generation = 0xa0b0c0d0 },
	  { 1, 0, 127, 0, 1, 0, 0, 0, [24] = 2, 1, 0, 0, 0xd0, 0xc0, 0xb0, 0xa0 },
	  "metadata updated, on disk 258, said again after a node's death" },
	{ { .type = MSG_RESYNCING, .slot = 1, .sequence = 2, .low = 0x0102030405060708,
	    .high = 0x1112131415161718 },
	  { 1, 1, 1, 0, 2, 0, 0, 0, 8, 7, 6, 5, 4, 3, 2, 1,
	    0x18, 0x17, 0x16, 0x15, 0x14, 0x13, 0x12, 0x11 }, NULL },
	{ { .type = MSG_RESYNCING, .sequence = 3, .low = 12ull << 21,
	    .high = (12ull << 21) + (1 << 20) },
	  { 1, 1, 0, 0, 3, 0, 0, 0, 0, 0, 0x80, 1, 0, 0, 0, 0, 0, 0, 0x90, 1 },
	  "resync 12.0–12.5 GiB" },
	{ { .type = MSG_RESYNCING, .sequence = 0xffffffff },
	  { 1, 1, 0, 0, 0xff, 0xff, 0xff, 0xff }, "resync is over" },
	{ { .type = MSG_NEWDISK, .slot = 2, .sequence = 4, .uuid = UUID, .disk = 0x01020304 },
	  { 1, 2, 2, 0, 4, 0, 0, 0, 0x5c, 0x0b, 0x0c, 0x4b, 0xd6, 0xae, 0x03, 0x59, 0xf2,
	    0x66, 0xca, 0xcf, 0x72, 0x23, 0x22, 0x50, 4, 3, 2, 1 },
	  "new disk 16909060, 5c0b0c4b:d6ae0359:f266cacf:72232250" },
	{ { .type = MSG_REMOVE, .sequence = 5, .disk = 1 },
	  { 1, 3, 0, 0, 5, 0, 0, 0, [24] = 1 }, "disk 1 removed" },
	{ { .type = MSG_RE_ADD, .sequence = 6, .disk = 2 },
	  { 1, 4, 0, 0, 6, 0, 0, 0, [24] = 2 }, "disk 2 is back" },
	{ { .type = MSG_BITMAP_NEEDS_SYNC, .slot = 9, .sequence = 7 },
	  { 1, 5, 9, 0, 7 }, "bitmap of slot 9 needs a resync" },
	{ { .type = MSG_CHANGE_CAPACITY, .sequence = 8, .high = 0x100 },
	  { 1, 6, 0, 0, 8, 0, 0, 0, [17] = 1 }, "capacity is 256 sectors" },
	{ { .type = MSG_BITMAP_RESIZE, .sequence = 9, .high = 0x10000 },
	  { 1, 7, 0, 0, 9, 0, 0, 0, [18] = 1 }, "bitmap for 65536 sectors" },
	{ { .type = MSG_RESYNCING_START, .slot = 4, .sequence = 10 },
	  { 1, 8, 4, 0, 10 }, "resync begins" },
	/* not the kernel's */
	{ { .type = MSG_DISKS_GONE, .slot = 1, .sequence = 11, .disk = 0x80000002 },
	  { 1, 9, 1, 0, 11, [24] = 2, 0, 0, 0x80 },
	  "all do without the disks of roles 0x80000002" },
	{ { .type = MSG_EVENTS, .slot = 2, .sequence = 12, .low = 0x1234 },
	  { 1, 10, 2, 0, 12, 0, 0, 0, 0x34, 0x12 }, "goes by superblocks of events 4660" },
	{ { .type = MSG_FREEZE, .slot = 2, .sequence = 13 }, { 1, 11, 2, 0, 13 },
	  "all stop writing: the array is changed" },
};

static void check_equal(const struct msg *a, const struct msg *b)
{
	assert_int_equal(a->type, b->type);
	assert_int_equal(a->slot, b->slot);
	assert_int_equal(a->sequence, b->sequence);
	assert_int_equal(a->low, b->low);
	assert_int_equal(a->high, b->high);
	assert_memory_equal(a->uuid, b->uuid, sizeof(a->uuid));
	assert_int_equal(a->disk, b->disk);
	assert_int_equal(a->generation, b->generation);
}

static void every_type_has_its_bytes(void **state)
{
	char text[MSG_TEXT_BYTES];
	bool is_there[MSG_TYPES] = { false };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(vectors); i++) {
		const struct vector *v = &vectors[i];
		uint8_t bytes[MSG_BYTES], large[64];
		struct msg m;

		memset(bytes, 0xee, sizeof(bytes));
		msg_encode(&v->m, bytes);
		assert_memory_equal(bytes, v->bytes, MSG_BYTES);
		assert_int_equal(msg_decode(v->bytes, MSG_BYTES, &m), MSG_SOUND);
		check_equal(&m, &v->m);
		/* in a value of 64 bytes: what is behind is somebody else's */
		memset(large, 0xee, sizeof(large));
		memcpy(large, bytes, MSG_BYTES);
		assert_int_equal(msg_decode(large, sizeof(large), &m), MSG_SOUND);
		check_equal(&m, &v->m);
		if (v->text)
			assert_string_equal(msg_text(&m, text), v->text);
		is_there[v->m.type] = true;
	}
	for (int type = 0; type < MSG_TYPES; type++)
		assert_true(is_there[type]);
}

/* Operands of another type in the struct do not reach the wire. */
static void what_a_type_does_not_have_is_written_as_zero(void **state)
{
	struct msg m = { .type = MSG_REMOVE, .sequence = 5, .low = 7, .high = 8, .uuid = UUID,
			 .disk = 1, .generation = 9 };
	uint8_t bytes[MSG_BYTES];

	(void)state;
	msg_encode(&m, bytes);
	assert_memory_equal(bytes, ((uint8_t[MSG_BYTES]){ 1, 3, 0, 0, 5, [24] = 1 }),
			    MSG_BYTES);
	m.type = MSG_RESYNCING_START;
	msg_encode(&m, bytes);
	assert_memory_equal(bytes, ((uint8_t[MSG_BYTES]){ 1, 8, 0, 0, 5 }), MSG_BYTES);
}

static enum msg_fault fault_of(const uint8_t *bytes)
{
	struct msg m;

	return msg_decode(bytes, MSG_BYTES, &m);
}

#define FAULT_OF(...) fault_of((uint8_t[MSG_BYTES]){ __VA_ARGS__ })

static void what_cannot_be_is_refused_by_name(void **state)
{
	struct msg m;

	(void)state;
	assert_int_equal(msg_decode(vectors[0].bytes, MSG_BYTES - 1, &m), MSG_SHORT);
	assert_int_equal(FAULT_OF(0), MSG_NOTHING);
	assert_int_equal(FAULT_OF(0, 1), MSG_BAD_VERSION);
	assert_int_equal(FAULT_OF(2, 1), MSG_BAD_VERSION);
	assert_int_equal(FAULT_OF(1, 12), MSG_BAD_TYPE);
	assert_int_equal(FAULT_OF(1, 255), MSG_BAD_TYPE);
	assert_int_equal(FAULT_OF(1, 3, 128), MSG_BAD_FIELD);               /* slot */
	assert_int_equal(FAULT_OF(1, 3, 0, 1), MSG_BAD_FIELD);
	assert_int_equal(FAULT_OF(1, 3, [8] = 1), MSG_BAD_FIELD);           /* a uuid */
	assert_int_equal(FAULT_OF(1, 2, [24] = 1), MSG_BAD_FIELD);          /* none */
	assert_int_equal(FAULT_OF(1, 3, [28] = 1), MSG_BAD_FIELD);          /* generation */
	assert_int_equal(FAULT_OF(1, 5, [8] = 1), MSG_BAD_FIELD);           /* operands */
	assert_int_equal(FAULT_OF(1, 5, [16] = 1), MSG_BAD_FIELD);
	assert_int_equal(FAULT_OF(1, 1, [16] = 1, [24] = 1), MSG_BAD_FIELD); /* flags */
	assert_int_equal(FAULT_OF(1, 1, [8] = 1), MSG_BAD_FIELD);           /* low, no high */
	assert_int_equal(FAULT_OF(1, 1, [8] = 2, [16] = 2), MSG_BAD_FIELD); /* empty */
	assert_int_equal(FAULT_OF(1, 6), MSG_BAD_FIELD);                    /* no capacity */
	assert_int_equal(FAULT_OF(1, 6, [8] = 1, [16] = 2), MSG_BAD_FIELD);
	for (int f = 0; f < MSG_FAULTS; f++)
		assert_true(strlen(msg_fault_text((enum msg_fault)f)) > 5);
}

/* So that it can be refused, and what follows is not taken for old. */
static void slot_and_sequence_are_known_of_what_is_not_understood(void **state)
{
	static const uint8_t strange[][MSG_BYTES] = {
		{ 9, 1, 3, 0, 0x78, 0x56, 0x34, 0x12, 5 },
		{ 1, 77, 3, 0, 0x78, 0x56, 0x34, 0x12, 5 },
		{ 1, 5, 3, 0, 0x78, 0x56, 0x34, 0x12, 5 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(strange); i++) {
		struct msg m;

		assert_int_not_equal(msg_decode(strange[i], MSG_BYTES, &m), MSG_SOUND);
		assert_int_equal(m.slot, 3);
		assert_int_equal(m.sequence, 0x12345678);
		assert_int_equal(m.type, 0);
		assert_int_equal(m.low, 0);
	}
}

static void sequences_go_round(void **state)
{
	(void)state;
	assert_int_equal(msg_sequence_lead(1, 1), 0);
	assert_int_equal(msg_sequence_lead(2, 1), 1);
	assert_int_equal(msg_sequence_lead(0, 0xffffffff), 1);
	assert_int_equal(msg_sequence_lead(0xffffffff, 0), -1);
	assert_true(msg_sequence_lead(0x7fffffff, 0) > 0);
	assert_true(msg_sequence_lead(0x80000001, 0) < 0);
}

static void windows_have_the_decimals_that_they_need(void **state)
{
	static const struct {
		uint64_t low, high;
		const char *text;
	} rows[] = {
		{ 0, 65536, "0.0–32.0 MiB" },
		{ 12ull << 21, (12ull << 21) + 65536, "12.00–12.03 GiB" },
		{ 3ull << 31, (3ull << 31) + 65536, "3.00000–3.00003 TiB" },
		{ 0, 1, "0.0–0.5 KiB" },
		{ 8, 16, "4.0–8.0 KiB" },
		{ 0, 1ull << 32, "0.0–2.0 TiB" },
	};
	char text[MSG_TEXT_BYTES];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		assert_string_equal(msg_window_text(rows[i].low, rows[i].high, text),
				    rows[i].text);
	/* whatever the kernel's bytes say */
	assert_non_null(strstr(msg_window_text(UINT64_MAX, 1, text), "KiB"));
	assert_non_null(strstr(msg_window_text(UINT64_MAX, UINT64_MAX, text), "TiB"));
}

/* --- refusals ------------------------------------------------------------------------ */

static void a_refusal_has_its_bytes(void **state)
{
	static const uint8_t small[32] = { 1, 3, 2, 0, 4, 3, 2, 1, 9, 0, 'n', 'o' };
	struct msg_nack n = { .code = MSG_REFUSED_NO_DISK, .slot = 2, .sequence = 0x01020304,
			      .count = 9, .text = "no" }, back;
	uint8_t bytes[64];

	(void)state;
	memset(bytes, 0xee, sizeof(bytes));
	msg_nack_encode(&n, bytes, 32);
	assert_memory_equal(bytes, small, 32);
	assert_int_equal(bytes[32], 0xee);
	assert_int_equal(msg_nack_decode(small, 32, &back), MSG_SOUND);
	assert_int_equal(back.code, MSG_REFUSED_NO_DISK);
	assert_int_equal(back.slot, 2);
	assert_int_equal(back.sequence, 0x01020304);
	assert_int_equal(back.count, 9);
	assert_string_equal(back.text, "no");
}

static void a_refusals_text_is_cut_to_fit(void **state)
{
	struct msg_nack n = { .code = MSG_REFUSED_IO, .count = 1 }, back;
	uint8_t bytes[64];

	(void)state;
	memset(n.text, 'x', sizeof(n.text) - 1);
	msg_nack_encode(&n, bytes, 32);
	assert_int_equal(msg_nack_decode(bytes, 32, &back), MSG_SOUND);
	assert_int_equal(strlen(back.text), 22);
	msg_nack_encode(&n, bytes, 64);
	assert_int_equal(msg_nack_decode(bytes, 64, &back), MSG_SOUND);
	assert_int_equal(strlen(back.text), 54);
	/* not in the middle of a character: 21 bytes, then one of two */
	strcpy(n.text, "xxxxxxxxxxxxxxxxxxxxx\xc3\xa9y");
	msg_nack_encode(&n, bytes, 32);
	assert_int_equal(msg_nack_decode(bytes, 32, &back), MSG_SOUND);
	assert_string_equal(back.text, "xxxxxxxxxxxxxxxxxxxxx");
}

static void what_is_no_refusal_is_told(void **state)
{
	struct msg_nack n;

	(void)state;
	assert_int_equal(msg_nack_decode((uint8_t[32]){ 0 }, 32, &n), MSG_NOTHING);
	assert_int_equal(msg_nack_decode((uint8_t[32]){ 1, 1, 0, 0 }, 31, &n), MSG_SHORT);
	assert_int_equal(msg_nack_decode((uint8_t[32]){ 2, 1, [8] = 1 }, 32, &n),
			 MSG_BAD_VERSION);
	assert_int_equal(msg_nack_decode((uint8_t[32]){ 1, 0, [8] = 1 }, 32, &n),
			 MSG_BAD_FIELD);
	assert_int_equal(msg_nack_decode((uint8_t[32]){ 1, 1, 128, [8] = 1 }, 32, &n),
			 MSG_BAD_FIELD);
	assert_int_equal(msg_nack_decode((uint8_t[32]){ 1, 1, 0 }, 32, &n), MSG_BAD_FIELD);
	assert_int_equal(msg_nack_decode((uint8_t[32]){ 1, 1, [8] = 1, 1 }, 32, &n),
			 MSG_BAD_FIELD);
	/* a reason of a newer node, and a text that would move a cursor */
	assert_int_equal(msg_nack_decode((uint8_t[32]){ 1, 200, [8] = 1, 0, 27, 'x' }, 32, &n),
			 MSG_SOUND);
	assert_int_equal(n.code, MSG_REFUSED_OTHER);
	assert_string_equal(n.text, "?x");
	for (int c = 0; c < MSG_REFUSALS; c++)
		assert_true(strlen(msg_refusal_text((enum msg_refusal)c)) > 5);
}

/* --- the kernel's -------------------------------------------------------------------- */

static const uint8_t kernel_bytes[48] = {
	2, 0, 0, 0,  3, 0, 0, 0,  8, 7, 6, 5, 4, 3, 2, 1,
	0x18, 0x17, 0x16, 0x15, 0x14, 0x13, 0x12, 0x11,
	0x5c, 0x0b, 0x0c, 0x4b, 0xd6, 0xae, 0x03, 0x59,
	0xf2, 0x66, 0xca, 0xcf, 0x72, 0x23, 0x22, 0x50,
	4, 3, 2, 1,
};

static void the_kernels_message_has_its_bytes(void **state)
{
	static const uint8_t uuid[16] = UUID;
	struct kernel_message m;
	uint8_t bytes[48];
	char text[MSG_TEXT_BYTES];

	(void)state;
	assert_int_equal(kernel_message_decode(kernel_bytes, 48, &m), MSG_SOUND);
	assert_int_equal(m.type, MSG_NEWDISK);
	assert_int_equal(m.slot, 3);
	assert_int_equal(m.low, 0x0102030405060708);
	assert_int_equal(m.high, 0x1112131415161718);
	assert_memory_equal(m.uuid, uuid, 16);
	assert_int_equal(m.raid_slot, 0x01020304);
	assert_string_equal(kernel_message_text(&m, text),
			    "new disk 16909060, 5c0b0c4b:d6ae0359:f266cacf:72232250");
	memset(bytes, 0xee, sizeof(bytes));
	kernel_message_encode(&m, bytes);
	assert_memory_equal(bytes, kernel_bytes, 48);
	/* an i386 kernel's ends before the padding */
	assert_int_equal(kernel_message_decode(kernel_bytes, 44, &m), MSG_SOUND);
	assert_int_equal(kernel_message_decode(kernel_bytes, 43, &m), MSG_SHORT);
}

/* As seen in a debugfs dump of Linux 6.1. */
static void what_the_kernel_never_said_can_be_shown(void **state)
{
	uint8_t bytes[64] = { 42, 0, 0, 0, 1 };
	struct kernel_message m;
	struct kernel_window w;
	char text[MSG_TEXT_BYTES];

	(void)state;
	assert_int_equal(kernel_message_decode(bytes, 64, &m), MSG_BAD_TYPE);
	assert_int_equal(m.slot, 1);
	assert_string_equal(kernel_message_text(&m, text), "a message of unknown type 42");
	bytes[0] = MSG_DISKS_GONE; /* ours alone */
	assert_int_equal(kernel_message_decode(bytes, 64, &m), MSG_BAD_TYPE);
	bytes[0] = 5;
	assert_int_equal(kernel_message_decode(bytes, 64, &m), MSG_SOUND);
	assert_string_equal(kernel_message_text(&m, text), "bitmap of slot 1 needs a resync");
	bytes[0] = 6;
	assert_int_equal(kernel_message_decode(bytes, 64, &m), MSG_SOUND);
	assert_string_equal(kernel_message_text(&m, text), "capacity changes");
	assert_int_equal(kernel_window_decode(bytes, 15, &w), MSG_SHORT);
}

/* B33: the window of bitmapNNNN, as one was seen in a virtual machine: 0 to 0x10000. */
static void the_kernels_window_has_its_bytes(void **state)
{
	static const uint8_t seen[16] = { [10] = 1 };
	static const uint8_t wide[16] = { 8, 7, 6, 5, 4, 3, 2, 1, 0x18, 0x17, 0x16, 0x15,
					  0x14, 0x13, 0x12, 0x11 };
	struct kernel_window w;
	uint8_t bytes[16];
	char text[MSG_TEXT_BYTES];

	(void)state;
	assert_int_equal(kernel_window_decode(seen, 16, &w), MSG_SOUND);
	assert_int_equal(w.low, 0);
	assert_int_equal(w.high, 0x10000);
	assert_string_equal(kernel_window_text(&w, text), "resync 0.0–32.0 MiB");
	assert_int_equal(kernel_window_decode(wide, 16, &w), MSG_SOUND);
	assert_int_equal(w.low, 0x0102030405060708);
	assert_int_equal(w.high, 0x1112131415161718);
	kernel_window_encode(&w, bytes);
	assert_memory_equal(bytes, wide, 16);
	w = (struct kernel_window){ 0, 0 };
	assert_string_equal(kernel_window_text(&w, text), "no resync");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_type_has_its_bytes),
		cmocka_unit_test(what_a_type_does_not_have_is_written_as_zero),
		cmocka_unit_test(what_cannot_be_is_refused_by_name),
		cmocka_unit_test(slot_and_sequence_are_known_of_what_is_not_understood),
		cmocka_unit_test(sequences_go_round),
		cmocka_unit_test(windows_have_the_decimals_that_they_need),
		cmocka_unit_test(a_refusal_has_its_bytes),
		cmocka_unit_test(a_refusals_text_is_cut_to_fit),
		cmocka_unit_test(what_is_no_refusal_is_told),
		cmocka_unit_test(the_kernels_message_has_its_bytes),
		cmocka_unit_test(what_the_kernel_never_said_can_be_shown),
		cmocka_unit_test(the_kernels_window_has_its_bytes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
