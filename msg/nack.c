/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "msg/nack.h"

#include <string.h>

#include "base/arith.h"
#include "base/codec.h"
#include "base/printable.h"

enum msg_fault msg_nack_decode(const uint8_t *bytes, size_t length, struct msg_nack *n)
{
	struct rd rd = rd_over(bytes, length);
	uint8_t version, code, zero;

	*n = (struct msg_nack){ 0 };
	if (length < MSG_BYTES)
		return MSG_SHORT;
	version = rd_u8(&rd);
	code = rd_u8(&rd);
	if (version == 0)
		return MSG_NOTHING;
	if (version != MSG_VERSION)
		return MSG_BAD_VERSION;
	n->slot = rd_u16(&rd);
	n->sequence = rd_u32(&rd);
	n->count = rd_u8(&rd);
	zero = rd_u8(&rd);
	if (code == MSG_ACCEPTED || n->slot >= MSG_MAX_SLOTS || n->count == 0 || zero != 0)
		return MSG_BAD_FIELD;
	n->code = code < MSG_REFUSALS ? (enum msg_refusal)code : MSG_REFUSED_OTHER;
	text_printable(bytes + rd.at, length - rd.at, n->text, sizeof(n->text));
	return MSG_SOUND;
}

/* Not in the middle of a character of UTF-8. */
static size_t fitting(const char *text, size_t room)
{
	size_t length = strnlen(text, room + 1);

	if (length <= room)
		return length;
	length = room;
	while (length > 0 && ((uint8_t)text[length] & 0xc0) == 0x80)
		length--;
	return length;
}

void msg_nack_encode(const struct msg_nack *n, uint8_t *bytes, size_t length)
{
	struct wr wr = wr_over(bytes, length);
	size_t text = fitting(n->text, min_u64(length - MSG_NACK_HEAD_BYTES,
					       MSG_NACK_TEXT_MAX));

	wr_u8(&wr, MSG_VERSION);
	wr_u8(&wr, (uint8_t)n->code);
	wr_u16(&wr, n->slot);
	wr_u32(&wr, n->sequence);
	wr_u8(&wr, n->count);
	wr_u8(&wr, 0);
	wr_bytes(&wr, n->text, text);
	wr_zero(&wr, length - wr.at);
}

const char *msg_refusal_text(enum msg_refusal code)
{
	static const char *const texts[MSG_REFUSALS] = {
		[MSG_ACCEPTED] = "accepted it",
		[MSG_REFUSED_UNKNOWN] = "does not know such a message",
		[MSG_REFUSED_DAMAGED] = "cannot read the message",
		[MSG_REFUSED_NO_DISK] = "cannot find the disk",
		[MSG_REFUSED_IO] = "cannot read or write a disk",
		[MSG_REFUSED_NO_MEMORY] = "is out of memory",
		[MSG_REFUSED_BUSY] = "is busy with what this would change",
		[MSG_REFUSED_SIZE] = "has another size than this",
		[MSG_REFUSED_TIMEOUT] = "waited in vain for something of its own",
		[MSG_REFUSED_OTHER] = "refused it",
	};

	return texts[code];
}
