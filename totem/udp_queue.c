/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "totem/udp_queue.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "base/arith.h"

int udp_queue_init(struct udp_queue *q, uint64_t bytes_max)
{
	*q = (struct udp_queue){
		.chunks_max = (uint32_t)max_u64(2, bytes_max / UDP_CHUNK_BYTES),
		.runs = calloc(UDP_RUNS_MAX, sizeof(*q->runs)),
	};
	return q->runs ? 0 : -ENOMEM;
}

void udp_queue_fini(struct udp_queue *q)
{
	while (q->oldest) {
		struct udp_chunk *next = q->oldest->next;

		free(q->oldest);
		q->oldest = next;
	}
	free(q->spare);
	free(q->runs);
	*q = (struct udp_queue){ 0 };
}

static struct udp_chunk *chunk_take(struct udp_queue *q)
{
	struct udp_chunk *chunk = q->spare ? q->spare : malloc(sizeof(*chunk));

	q->spare = NULL;
	if (!chunk)
		return NULL;
	chunk->next = NULL;
	chunk->used_bytes = 0;
	chunk->runs = 0;
	if (q->newest)
		q->newest->next = chunk;
	else
		q->oldest = chunk;
	q->newest = chunk;
	q->chunk_count++;
	return chunk;
}

/* Empty chunks go, but for the one that is being filled and one to spare. */
static void chunks_release(struct udp_queue *q)
{
	while (q->oldest && q->oldest->runs == 0 && q->oldest != q->newest) {
		struct udp_chunk *chunk = q->oldest;

		q->oldest = chunk->next;
		q->chunk_count--;
		free(q->spare);
		q->spare = chunk;
	}
	/* The same memory again: it is in the processor's cache. */
	if (q->newest && q->newest->runs == 0)
		q->newest->used_bytes = 0;
}

uint8_t *udp_queue_reserve(struct udp_queue *q, size_t bytes, bool *is_full)
{
	struct udp_chunk *chunk = q->newest;

	assert(bytes <= UDP_CHUNK_BYTES);
	*is_full = q->count == UDP_RUNS_MAX;
	if (*is_full)
		return NULL;
	if (!chunk || bytes > UDP_CHUNK_BYTES - chunk->used_bytes) {
		*is_full = q->chunk_count == q->chunks_max;
		chunk = *is_full ? NULL : chunk_take(q);
	}
	return chunk ? chunk->bytes + chunk->used_bytes : NULL;
}

static bool run_takes(const struct udp_run *run, const struct udp_chunk *chunk,
		      struct node_set to, bool is_to_group, size_t bytes)
{
	return !run->is_closed && run->chunk == chunk &&
	       run->is_to_group == is_to_group &&
	       (is_to_group || set_equal(run->to, to)) &&
	       run->last_bytes == run->segment_bytes &&
	       bytes <= run->segment_bytes && run->count < UDP_RUN_SEGMENTS &&
	       udp_run_bytes(run) + bytes <= UDP_RUN_BYTES;
}

void udp_queue_post(struct udp_queue *q, struct node_set to, bool is_to_group,
		    size_t bytes)
{
	struct udp_chunk *chunk = q->newest;
	struct udp_run *run = q->count ? udp_queue_run(q, q->count - 1) : NULL;

	assert(bytes > 0 && bytes <= UDP_CHUNK_BYTES - chunk->used_bytes);
	if (run && run_takes(run, chunk, to, is_to_group, bytes)) {
		run->count++;
		run->last_bytes = (uint16_t)bytes;
	} else {
		*udp_queue_run(q, q->count++) = (struct udp_run){
			.to = to,
			.is_to_group = is_to_group,
			.chunk = chunk,
			.offset = chunk->used_bytes,
			.segment_bytes = (uint16_t)bytes,
			.last_bytes = (uint16_t)bytes,
			.count = 1,
		};
		chunk->runs++;
	}
	chunk->used_bytes += (uint32_t)bytes;
	q->bytes += bytes;
}

void udp_queue_pop(struct udp_queue *q)
{
	struct udp_run *run = udp_queue_run(q, 0);

	q->bytes -= udp_run_bytes(run);
	run->chunk->runs--;
	q->first = (q->first + 1) & (UDP_RUNS_MAX - 1);
	q->count--;
	chunks_release(q);
}
