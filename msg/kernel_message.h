/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the kernel's md-cluster keeps in its lock values, for looking into a real
 * lockspace: struct cluster_msg in `message`, and a resync window in `bitmapNNNN` (our
 * own bitmapNNNN have the same). Little endian; 64 bytes of value, of which the kernel
 * uses the first 48 and 16. Pure.
 *
 *	0   type   u32        8   low   u64       24  uuid       16 bytes
 *	4   slot   u32        16  high  u64       40  raid_slot  u32, 44 padding: 0
 *
 * An i386 kernel writes 44 bytes, so no more is asked for; what is behind them is
 * whatever was there before.
 */
#pragma once

#include "msg/message.h"

enum {
	KERNEL_MESSAGE_BYTES = 48,
	KERNEL_MESSAGE_LEAST = 44,
	KERNEL_WINDOW_BYTES = 16,
};

/* As it is there: nothing is refused that can be shown. */
struct kernel_message {
	uint32_t type;
	uint32_t slot;
	uint64_t low, high;
	uint8_t uuid[16];
	uint32_t raid_slot;
};

/*
 * MSG_SOUND; MSG_SHORT, and all is 0; MSG_BAD_TYPE, and all is set. A value that was
 * never written is a METADATA_UPDATED of slot 0 by its bytes.
 */
enum msg_fault kernel_message_decode(const uint8_t *bytes, size_t length,
				     struct kernel_message *m);
void kernel_message_encode(const struct kernel_message *m,
			   uint8_t bytes[KERNEL_MESSAGE_BYTES]);
/* As msg_text(). */
char *kernel_message_text(const struct kernel_message *m, char to[MSG_TEXT_BYTES]);

/* Of bitmapNNNN: what its owner resyncs now; both 0: nothing. */
struct kernel_window {
	uint64_t low, high; /* sectors */
};

enum msg_fault kernel_window_decode(const uint8_t *bytes, size_t length,
				    struct kernel_window *w);
void kernel_window_encode(const struct kernel_window *w,
			  uint8_t bytes[KERNEL_WINDOW_BYTES]);
/* "resync 12.0–12.5 GiB", "no resync". Returns `to`. */
char *kernel_window_text(const struct kernel_window *w, char to[MSG_TEXT_BYTES]);
