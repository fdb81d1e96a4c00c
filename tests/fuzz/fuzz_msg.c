/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Fuzz target: the lock values of messages, refusals, and what the kernel writes.
 *
 *	input:  byte 0  whose (modulo KINDS), then the value
 *
 * What must hold, for every input:
 *	F1  what is sound is written back as the bytes that it was read from; a refusal
 *	    is read again as it was (its text is made printable, its code known)
 *	F2  what is not sound has a name, and no operands
 *	F3  every text ends, has no control characters, and is of one line
 *	F4  nothing outside of the value is read (ASan)
 */
#include <ctype.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "msg/kernel_message.h"
#include "msg/nack.h"
#include "tests/fuzz/expect.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum kind { MESSAGE, NACK, KERNEL_MESSAGE, KERNEL_WINDOW, KINDS };

static void check_text(const char *text, size_t room)
{
	EXPECT(strnlen(text, room) < room); /* F3 */
	for (; *text; text++)
		EXPECT(!iscntrl((unsigned char)*text));
}

static void message(const uint8_t *bytes, size_t length)
{
	static const uint8_t none[16];
	uint8_t again[MSG_BYTES];
	char text[MSG_TEXT_BYTES];
	struct msg m;
	enum msg_fault fault = msg_decode(bytes, length, &m);

	EXPECT(strlen(msg_fault_text(fault)) > 0);
	check_text(msg_text(&m, text), sizeof(text));
	if (fault != MSG_SOUND) {
		EXPECT(m.low == 0 && m.high == 0 && m.disk == 0 && m.generation == 0); /* F2 */
		EXPECT(memcmp(m.uuid, none, sizeof(none)) == 0);
		return;
	}
	EXPECT(msg_check(&m) == MSG_SOUND);
	EXPECT(strcmp(msg_type_name(m.type), "?") != 0);
	msg_encode(&m, again);
	EXPECT(memcmp(again, bytes, MSG_BYTES) == 0); /* F1 */
}

static void nack(const uint8_t *bytes, size_t length)
{
	uint8_t *again = malloc(length);
	struct msg_nack n, back;
	enum msg_fault fault = msg_nack_decode(bytes, length, &n);

	EXPECT(strlen(msg_fault_text(fault)) > 0);
	check_text(n.text, sizeof(n.text));
	if (fault == MSG_SOUND) {
		EXPECT(n.count > 0 && n.code > MSG_ACCEPTED && n.code < MSG_REFUSALS);
		EXPECT(strlen(msg_refusal_text(n.code)) > 0);
		msg_nack_encode(&n, again, length);
		EXPECT(msg_nack_decode(again, length, &back) == MSG_SOUND); /* F1 */
		EXPECT(back.code == n.code && back.slot == n.slot &&
		       back.sequence == n.sequence && back.count == n.count);
		EXPECT(strncmp(back.text, n.text, strlen(back.text)) == 0);
	}
	free(again);
}

static void kernel_message(const uint8_t *bytes, size_t length)
{
	uint8_t again[KERNEL_MESSAGE_BYTES];
	char text[MSG_TEXT_BYTES];
	struct kernel_message m;

	if (kernel_message_decode(bytes, length, &m) == MSG_SHORT)
		return;
	check_text(kernel_message_text(&m, text), sizeof(text));
	kernel_message_encode(&m, again);
	EXPECT(memcmp(again, bytes, KERNEL_MESSAGE_LEAST) == 0);
}

static void kernel_window(const uint8_t *bytes, size_t length)
{
	uint8_t again[KERNEL_WINDOW_BYTES];
	char text[MSG_TEXT_BYTES];
	struct kernel_window w;

	if (kernel_window_decode(bytes, length, &w) == MSG_SHORT)
		return;
	check_text(kernel_window_text(&w, text), sizeof(text));
	kernel_window_encode(&w, again);
	EXPECT(memcmp(again, bytes, KERNEL_WINDOW_BYTES) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t *value;

	if (size < 1)
		return 0;
	/* its own memory, so that one byte too far is found */
	value = malloc(size - 1 ? size - 1 : 1);
	EXPECT(value);
	memcpy(value, data + 1, size - 1);
	switch ((enum kind)(data[0] % KINDS)) {
	case MESSAGE:
		message(value, size - 1);
		break;
	case NACK:
		nack(value, size - 1);
		break;
	case KERNEL_MESSAGE:
		kernel_message(value, size - 1);
		break;
	case KERNEL_WINDOW:
		kernel_window(value, size - 1);
		break;
	case KINDS:
		break;
	}
	free(value);
	return 0;
}
