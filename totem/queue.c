/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "totem/queue.h"

#include <stdlib.h>
#include <string.h>

static struct queued **slot_of(const struct queue *q, uint64_t seq)
{
	return &q->slots[seq % QUEUE_SLOTS];
}

bool queue_init(struct queue *q)
{
	memset(q, 0, sizeof(*q));
	q->slots = calloc(QUEUE_SLOTS, sizeof(struct queued *));
	return q->slots != NULL;
}

static void drop(struct queue *q, uint64_t seq)
{
	struct queued **slot = slot_of(q, seq);

	if (*slot) {
		q->bytes -= (*slot)->length;
		free(*slot);
		*slot = NULL;
	}
}

void queue_fini(struct queue *q)
{
	while (q->slots && q->released < q->high)
		drop(q, ++q->released);
	free(q->slots);
	memset(q, 0, sizeof(*q));
}

enum queue_place queue_place_of(const struct queue *q, uint64_t seq)
{
	if (seq <= q->released)
		return QUEUE_OLD;
	if (seq - q->released > QUEUE_SLOTS)
		return QUEUE_BEYOND;
	return *slot_of(q, seq) ? QUEUE_OLD : QUEUE_FREE;
}

struct queued *queued_new(size_t room)
{
	struct queued *m = malloc(sizeof(*m) + room);

	if (m)
		*m = (struct queued){ .length = room };
	return m;
}

void queue_put(struct queue *q, struct queued *m)
{
	*slot_of(q, m->seq) = m;
	q->bytes += m->length;
	if (m->seq > q->high)
		q->high = m->seq;
	while (q->aru < q->high && *slot_of(q, q->aru + 1))
		q->aru++;
}

bool queue_insert(struct queue *q, uint64_t seq, const struct wire_data *data)
{
	struct queued *m;

	if (queue_place_of(q, seq) != QUEUE_FREE)
		return false;
	m = queued_new(data->length);
	if (!m)
		return false; /* as if it had been lost: it is asked for again */
	m->seq = seq;
	m->origin = data->origin;
	m->flags = data->flags;
	m->old_ring = data->old_ring;
	m->old_seq = data->old_seq;
	if (data->length)
		memcpy(m->payload, data->payload, data->length);
	queue_put(q, m);
	return true;
}

struct queued *queue_get(const struct queue *q, uint64_t seq)
{
	if (seq <= q->released || seq > q->high)
		return NULL;
	return *slot_of(q, seq);
}

void queue_release(struct queue *q, uint64_t seq)
{
	while (q->released < seq && q->released < q->aru)
		drop(q, ++q->released);
}

void queue_skip(struct queue *q, uint64_t seq)
{
	while (q->released < seq && q->released < q->high)
		drop(q, ++q->released);
	if (q->released < seq)
		q->released = seq;
	if (q->high < seq)
		q->high = seq;
	if (q->aru < seq)
		q->aru = seq;
	while (q->aru < q->high && *slot_of(q, q->aru + 1))
		q->aru++;
}

/* Runs of slots in (aru, limit] that are held, or that are not. */
static int runs(const struct queue *q, uint64_t limit, bool is_held,
		struct seq_range *ranges, int max)
{
	uint64_t seq;
	int n = 0;

	for (seq = q->aru + 1; seq <= limit; seq++) {
		bool held = seq <= q->high && *slot_of(q, seq) != NULL;

		if (held != is_held)
			continue;
		if (n > 0 && ranges[n - 1].first + ranges[n - 1].count == seq) {
			ranges[n - 1].count++;
			continue;
		}
		if (n == max)
			break;
		ranges[n++] = (struct seq_range){ seq, 1 };
	}
	return n;
}

int queue_holes(const struct queue *q, uint64_t limit, struct seq_range *ranges,
		int max)
{
	if (limit > q->released + QUEUE_SLOTS)
		limit = q->released + QUEUE_SLOTS;
	return runs(q, limit, false, ranges, max);
}

int queue_held(const struct queue *q, struct seq_range *ranges, int max)
{
	return runs(q, q->high, true, ranges, max);
}
