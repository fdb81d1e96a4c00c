/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What waits to be sent over UDP: one log of datagrams, whoever they go to.
 *
 * Datagrams are written one behind the other into chunks of memory. Those that
 * follow each other, go to the same nodes and have the same size (the last may be
 * shorter) make a run: in memory, and for the kernel, one buffer with a segment
 * size. A run to ten nodes is ten messages from the same memory.
 *
 * One cursor walks the log, so order is kept for each node. Bounded: chunks_max
 * chunks and UDP_RUNS_MAX runs; who meets the bound flushes or drops the oldest.
 * Pure; no socket here.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "totem/nodes.h"

enum {
	UDP_CHUNK_BYTES = 256 << 10,
	UDP_RUNS_MAX = 4096,     /* a power of two */
	UDP_RUN_SEGMENTS = 64,   /* UDP_MAX_SEGMENTS of the kernel before 6.9 */
	UDP_RUN_BYTES = 65507,   /* what an IPv4 packet carries */
};

struct udp_chunk {
	struct udp_chunk *next; /* younger */
	uint32_t used_bytes;
	uint32_t runs;          /* that lie in here */
	uint8_t bytes[UDP_CHUNK_BYTES];
};

struct udp_run {
	struct node_set to;
	struct udp_chunk *chunk;
	uint32_t offset;        /* in the chunk */
	uint16_t segment_bytes; /* of each datagram ... */
	uint16_t last_bytes;    /* ... but the last, which is not longer */
	uint16_t count;         /* of datagrams */
	bool is_to_group;       /* by multicast, `to` does not count */
	bool is_closed;         /* some may have gone out: takes no more */
	int gso_error;          /* the kernel would not segment it: one by one */
};

struct udp_queue {
	struct udp_chunk *oldest, *newest; /* NULL together */
	struct udp_chunk *spare;
	uint32_t chunk_count; /* without the spare */
	uint32_t chunks_max;  /* at least 2 */
	struct udp_run *runs; /* UDP_RUNS_MAX, a ring */
	uint32_t first;
	uint32_t count;
	uint64_t bytes;       /* in all runs */
};

int udp_queue_init(struct udp_queue *q, uint64_t bytes_max); /* -ENOMEM */
void udp_queue_fini(struct udp_queue *q);

/*
 * Room for one datagram, until the next call of anything here. NULL with
 * *is_full: at a bound; else no memory.
 */
uint8_t *udp_queue_reserve(struct udp_queue *q, size_t bytes, bool *is_full);

/* Queues the first `bytes` (at least 1) of what was reserved. */
void udp_queue_post(struct udp_queue *q, struct node_set to, bool is_to_group,
		    size_t bytes);

/* 0 is the oldest, below count. */
static inline struct udp_run *udp_queue_run(struct udp_queue *q, uint32_t nth)
{
	return &q->runs[(q->first + nth) & (UDP_RUNS_MAX - 1)];
}

static inline size_t udp_run_bytes(const struct udp_run *run)
{
	return (size_t)(run->count - 1) * run->segment_bytes + run->last_bytes;
}

/* Forgets the oldest run. */
void udp_queue_pop(struct udp_queue *q);
