/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Messages into packets and back: several small ones in one packet, large ones in
 * parts over many. Pure; the packets travel in order, or not at all.
 *
 * A packet, little endian: a byte 0x51 (kind and version), then chunks to its end:
 *
 *	off  size
 *	0    4     kind (low 2 bits), bytes of a message in this chunk (the others)
 *	4    4     parts: number of the message, wraps
 *	8    4            first part: bytes of the whole message
 *	                  other parts: where this part belongs in it
 *	...        the bytes
 *
 * What is promised, as tests cite:
 *
 *	K1  Messages of one sender arrive in the order they were appended, each
 *	    once and whole; safe and agreed ones never share a packet.
 *	K2  A queue holds at most its limit, but for messages appended over it,
 *	    which the caller bounds. What is free is told as credit.
 *	K3  After pack_queue_restart() a half-sent message goes again from its
 *	    start, as another message: its first half fits to nothing any more.
 *	K4  Who comes in the middle of a message gets nothing until the next begins.
 *	K5  A packet is checked to its end before any of it is believed; what is
 *	    wrong with it is counted, and dropped. A claimed size costs no memory
 *	    before its bytes are there.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct iovec;

enum {
	PACK_MAX_MESSAGE = (1 << 20) + 256, /* 1 MiB, and what the layer above adds */
	PACK_PACKET_BYTES = 1,  /* before the first chunk */
	PACK_WHOLE_BYTES = 4,   /* before a whole message */
	PACK_PART_BYTES = 12,   /* before a part */
	PACK_MIN_PART = 32,     /* no part is begun for less room */
	PACK_MIN_ROOM = PACK_PACKET_BYTES + PACK_PART_BYTES + PACK_MIN_PART,
	/* What a message takes of a queue's limit, beyond its bytes. */
	PACK_MESSAGE_COST = 64,
	PACK_MIN_LIMIT = PACK_MAX_MESSAGE + PACK_MESSAGE_COST,
};

/* --- sending --------------------------------------------------------------------- */

struct pack_message; /* on the heap; pack_queue_append() takes it over */

/* Head and all parts, copied. NULL: out of memory, or above PACK_MAX_MESSAGE. */
struct pack_message *pack_message_new(const void *head, size_t head_length,
				      const struct iovec *parts, int count,
				      bool is_safe);
void pack_message_free(struct pack_message *m); /* NULL is fine */
/* Another last byte: the message has one. */
void pack_message_set_last(struct pack_message *m, uint8_t byte);

struct pack_queue {
	struct pack_message *first, *last; /* owned */
	size_t limit;    /* of cost */
	size_t cost;     /* of all that is in it; above the limit only by appending so */
	size_t sent;     /* bytes of the first that are out */
	size_t unsent;   /* bytes to send, with what comes before each message */
	uint32_t number; /* of the message that goes in parts now */
};

/* limit_bytes is at least PACK_MIN_LIMIT, or is taken as that. */
void pack_queue_init(struct pack_queue *q, size_t limit_bytes);
void pack_queue_fini(struct pack_queue *q); /* empty, and usable again */

/* What a message of so many bytes takes of the limit. */
static inline size_t pack_cost(size_t length)
{
	return length + PACK_MESSAGE_COST;
}

/* How much cost is free. */
static inline size_t pack_credit(const struct pack_queue *q)
{
	return q->cost < q->limit ? q->limit - q->cost : 0;
}

/* Never fails; whether there is credit is for the caller to look (K2). */
void pack_queue_append(struct pack_queue *q, struct pack_message *m);

/* The packets so far went to a configuration that is over (K3). */
void pack_queue_restart(struct pack_queue *q);

/*
 * The next packet of at most `room` bytes, and whether it is safe; 0: nothing to
 * send, or room is below PACK_MIN_ROOM. What is out is no longer in the queue.
 */
size_t pack_queue_fill(struct pack_queue *q, uint8_t *packet, size_t room,
		       bool *is_safe);

/* --- receiving ------------------------------------------------------------------- */

enum pack_fault {
	PACK_OK,
	PACK_BAD_VERSION, /* or empty */
	PACK_BAD_KIND,
	PACK_SHORT,       /* a chunk ends behind the packet's end */
	PACK_BAD_LENGTH,  /* a part of nothing, or beyond its message, or too large */
	PACK_ORPHAN,      /* a part whose beginning we do not have: normal after a join */
	PACK_CUT,         /* another message begins before one has ended */
	PACK_NO_MEMORY,   /* a message is lost: we no longer have what others have */
	PACK_FAULT_COUNT,
};

const char *pack_fault_text(enum pack_fault fault);

struct pack_stats {
	uint64_t messages;
	uint64_t faults[PACK_FAULT_COUNT];
};

/* One sender's message under way; all zero is none. Grows as the bytes come. */
struct pack_assembly {
	uint8_t *bytes; /* owned; NULL: none under way */
	size_t room, have, total;
	uint32_t number;
};

/* The bytes are borrowed for the call. It must not touch the assembly. */
typedef void (*pack_fn)(void *owner, const uint8_t *message, size_t length);

/*
 * Takes a packet of this sender: `give` gets each message that is whole now. The
 * worst that was wrong with it; each fault is counted in *stats.
 */
enum pack_fault pack_receive(struct pack_assembly *a, const uint8_t *packet,
			     size_t length, struct pack_stats *stats,
			     pack_fn give, void *owner);

/* Forgets what is half there. */
void pack_assembly_drop(struct pack_assembly *a);
