/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The messages of one ring that this node holds, by sequence number.
 *
 * A window of QUEUE_SLOTS numbers starting behind what was released; sequence
 * numbers are 64 bits and never wrap. `aru` is the end of the run without a
 * hole, `high` the highest number held. Messages are owned by the queue.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "totem/wire.h"

enum { QUEUE_SLOTS = 8192 };

struct queued {
	uint64_t seq;
	uint32_t origin;
	uint8_t flags;           /* enum wire_data_flag */
	bool is_answered;        /* sent again by us, when it was last asked for */
	struct ring_id old_ring; /* with WIRE_DATA_RECOVERED */
	uint64_t old_seq;
	size_t length;
	uint8_t payload[];
};

struct queue {
	struct queued **slots; /* QUEUE_SLOTS, by seq modulo; owned */
	uint64_t released;     /* all up to here are gone */
	uint64_t aru;          /* >= released */
	uint64_t high;         /* >= aru */
	size_t bytes;          /* of payload held */
};

/* False when out of memory; the queue is empty then, and may be fini'ed. */
bool queue_init(struct queue *q);
void queue_fini(struct queue *q);

/* Where a number stands. */
enum queue_place {
	QUEUE_OLD,    /* released or held already */
	QUEUE_FREE,   /* a hole, or new */
	QUEUE_BEYOND, /* outside the window */
};
enum queue_place queue_place_of(const struct queue *q, uint64_t seq);

/*
 * A message of which up to `room` bytes of payload are to be written, for
 * queue_put(), or free(). NULL when out of memory.
 */
struct queued *queued_new(size_t room);

/* Takes the message in, which is of length bytes and belongs at seq: QUEUE_FREE. */
void queue_put(struct queue *q, struct queued *m);

/* Copies the message in. False, with nothing changed, unless QUEUE_FREE and memory. */
bool queue_insert(struct queue *q, uint64_t seq, const struct wire_data *data);

/* NULL for a hole or outside. */
struct queued *queue_get(const struct queue *q, uint64_t seq);

/* Frees all up to seq, which is <= aru. */
void queue_release(struct queue *q, uint64_t seq);

/*
 * Frees all up to seq, holes and all: what lies there has no more meaning.
 * aru and high are at least seq afterwards.
 */
void queue_skip(struct queue *q, uint64_t seq);

/* Holes in (aru, limit] as ranges; returns how many (at most max). */
int queue_holes(const struct queue *q, uint64_t limit, struct seq_range *ranges,
		int max);

/* What is held in (aru, high] as ranges; returns how many (at most max). */
int queue_held(const struct queue *q, struct seq_range *ranges, int max);
