/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Datagrams of the transport: a whole message, or a part of a larger one, and
 * how parts become a message again. Pure, little endian, bounds-checked.
 *
 *	off  size
 *	0    2     magic 0x644d ("Md")
 *	2    1     version 1
 *	3    1     kind: 1 whole, 2 part
 *	4    ...   whole: the message
 *	4    4     part: number of the message, growing, wraps
 *	8    4           bytes of the whole message, 2..TRANSPORT_MESSAGE_MAX
 *	12   2           bytes of each part but the last
 *	14   2           index of this part, from 0
 *	16   ...         the part
 *
 * Everything about a part follows from its header: its place is index * unit,
 * its length unit or the rest, so parts can neither overlap nor leave a gap. A
 * part that says otherwise is refused.
 *
 * Parts are not sealed one by one, the message is: a forged part can spoil a
 * message, never be taken for one. Memory: one message a sender.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	DATAGRAM_HEADER_BYTES = 4,
	FRAGMENT_HEADER_BYTES = 16,
	FRAGMENTS_MAX = 128,
};

struct fragment {
	bool is_whole;  /* then only payload and length count */
	uint32_t message;
	uint32_t total_bytes;
	uint16_t unit_bytes;
	uint16_t index;
	const uint8_t *payload; /* borrowed */
	size_t length;
};

/* False: not ours, or it contradicts itself. */
bool fragment_parse(const uint8_t *datagram, size_t length, struct fragment *f);

void fragment_write_whole(uint8_t header[DATAGRAM_HEADER_BYTES]);

/* message, total_bytes, unit_bytes and index count. */
void fragment_write_part(uint8_t header[FRAGMENT_HEADER_BYTES],
			 const struct fragment *f);

/* One sender's message under way; all zero is none. */
struct assembly {
	uint8_t *bytes;      /* owned; NULL: none under way */
	uint32_t message;
	uint32_t total_bytes;
	uint16_t unit_bytes;
	uint16_t missing;    /* parts */
	uint64_t have[FRAGMENTS_MAX / 64];
	uint64_t since_ns;   /* 0: not yet seen by assembly_expire() */
};

enum assembly_result {
	ASSEMBLY_WAITS,     /* taken, more to come */
	ASSEMBLY_COMPLETE,  /* bytes and total_bytes are the message: use, then fini */
	ASSEMBLY_DUPLICATE,
	ASSEMBLY_STALE,     /* of an older message */
	ASSEMBLY_MISFIT,    /* same number, another message */
	ASSEMBLY_NO_MEMORY,
};

/* A newer message throws the one under way out: *replaced. f is not whole. */
enum assembly_result assembly_add(struct assembly *a, const struct fragment *f,
				  bool *replaced);

/* True when it was under way for timeout_ns and is gone now. */
bool assembly_expire(struct assembly *a, uint64_t now_ns, uint64_t timeout_ns);

void assembly_fini(struct assembly *a);
