/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "msg/kernel_message.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/codec.h"

enum msg_fault kernel_message_decode(const uint8_t *bytes, size_t length,
				     struct kernel_message *m)
{
	struct rd rd = rd_over(bytes, length);

	*m = (struct kernel_message){ 0 };
	if (length < KERNEL_MESSAGE_LEAST)
		return MSG_SHORT;
	m->type = rd_u32(&rd);
	m->slot = rd_u32(&rd);
	m->low = rd_u64(&rd);
	m->high = rd_u64(&rd);
	rd_bytes(&rd, m->uuid, sizeof(m->uuid));
	m->raid_slot = rd_u32(&rd);
	return m->type < MSG_KERNEL_TYPES ? MSG_SOUND : MSG_BAD_TYPE;
}

void kernel_message_encode(const struct kernel_message *m,
			   uint8_t bytes[KERNEL_MESSAGE_BYTES])
{
	struct wr wr = wr_over(bytes, KERNEL_MESSAGE_BYTES);

	wr_u32(&wr, m->type);
	wr_u32(&wr, m->slot);
	wr_u64(&wr, m->low);
	wr_u64(&wr, m->high);
	wr_bytes(&wr, m->uuid, sizeof(m->uuid));
	wr_u32(&wr, m->raid_slot);
	wr_zero(&wr, 4);
}

char *kernel_message_text(const struct kernel_message *m, char to[MSG_TEXT_BYTES])
{
	struct msg same = { .low = m->low, .high = m->high, .disk = m->raid_slot };

	if (m->type >= MSG_KERNEL_TYPES) {
		snprintf(to, MSG_TEXT_BYTES, "a message of unknown type %" PRIu32, m->type);
	} else if (m->type == MSG_CHANGE_CAPACITY) {
		/* the kernel does not say to what */
		snprintf(to, MSG_TEXT_BYTES, "capacity changes");
	} else if (m->type == MSG_BITMAP_NEEDS_SYNC) {
		snprintf(to, MSG_TEXT_BYTES, "bitmap of slot %" PRIu32 " needs a resync", m->slot);
	} else {
		same.type = (enum msg_type)m->type;
		memcpy(same.uuid, m->uuid, sizeof(same.uuid));
		msg_text(&same, to);
	}
	return to;
}

enum msg_fault kernel_window_decode(const uint8_t *bytes, size_t length,
				    struct kernel_window *w)
{
	struct rd rd = rd_over(bytes, length);

	*w = (struct kernel_window){ 0 };
	if (length < KERNEL_WINDOW_BYTES)
		return MSG_SHORT;
	w->low = rd_u64(&rd);
	w->high = rd_u64(&rd);
	return MSG_SOUND;
}

void kernel_window_encode(const struct kernel_window *w,
			  uint8_t bytes[KERNEL_WINDOW_BYTES])
{
	struct wr wr = wr_over(bytes, KERNEL_WINDOW_BYTES);

	wr_u64(&wr, w->low);
	wr_u64(&wr, w->high);
}

char *kernel_window_text(const struct kernel_window *w, char to[MSG_TEXT_BYTES])
{
	char window[MSG_TEXT_BYTES];

	if (w->high == 0)
		snprintf(to, MSG_TEXT_BYTES, "no resync");
	else
		snprintf(to, MSG_TEXT_BYTES, "resync %.100s",
			 msg_window_text(w->low, w->high, window));
	return to;
}
