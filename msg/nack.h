/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * NACK: how a receiver that cannot do what a message says tells so (B49). The lock
 * value of `nack`, little endian:
 *
 *	0  version   u8   1         4  sequence  u32  of the message that is refused
 *	1  code      u8             8  count     u8   of refusals of it, at most 255
 *	2  slot      u16  of the    9  0         u8
 *	             first of them 10  text           up to the value's end, NUL padded
 *
 * The first refusal of a message stays, later ones are counted. Pure.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "msg/message.h"

enum {
	MSG_NACK_HEAD_BYTES = 10,
	MSG_NACK_TEXT_MAX = 54, /* 22 fit a value of 32 bytes */
};

/* Numbers are on the wire: add at the end. */
enum msg_refusal {
	MSG_ACCEPTED,
	MSG_REFUSED_UNKNOWN,   /* its type or version */
	MSG_REFUSED_DAMAGED,
	MSG_REFUSED_NO_DISK,
	MSG_REFUSED_IO,
	MSG_REFUSED_NO_MEMORY,
	MSG_REFUSED_BUSY,
	MSG_REFUSED_SIZE,
	MSG_REFUSED_TIMEOUT,
	MSG_REFUSED_OTHER,
	MSG_REFUSALS,
};

struct msg_nack {
	enum msg_refusal code; /* of a number that is not known here: OTHER */
	uint16_t slot;
	uint32_t sequence;
	uint8_t count;
	char text[MSG_NACK_TEXT_MAX + 1]; /* of the receiver; printable */
};

/* As msg_decode(), of a value of `length` bytes. */
enum msg_fault msg_nack_decode(const uint8_t *bytes, size_t length, struct msg_nack *n);
/* The text is cut to what fits the length, between characters. */
void msg_nack_encode(const struct msg_nack *n, uint8_t *bytes, size_t length);

/* A clause without subject: "cannot find the disk". */
const char *msg_refusal_text(enum msg_refusal code);
