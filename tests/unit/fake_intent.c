/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/unit/fake_intent.h"

#include <errno.h>
#include <stdlib.h>

#include "bitmap/bits.h"
#include "tests/unit/help.h"

struct intent *fake_intent_new(void)
{
	struct intent *in = calloc(1, sizeof(*in));

	assert_non_null(in);
	QB_INIT_LIST_HEAD(&in->waiting);
	return in;
}

void intent_free(struct intent *in)
{
	free(in);
}

static void make_durable(struct intent *in, const struct intent_write *w)
{
	uint64_t chunk;

	for (chunk = w->first; chunk <= w->last; chunk++) {
		in->is_durable[chunk] = true;
		in->is_dirty[chunk] = true;
	}
}

int intent_begin(struct intent *in, struct intent_write *w)
{
	uint64_t chunk;

	assert_true(w->first <= w->last && w->last < FAKE_CHUNKS);
	in->begun++;
	for (chunk = w->first; chunk <= w->last; chunk++)
		in->writing[chunk]++;
	qb_list_init(&w->link);
	if (in->waits) {
		qb_list_add_tail(&w->link, &in->waiting);
		return INTENT_WAIT;
	}
	make_durable(in, w);
	return INTENT_READY;
}

void fake_intent_release(struct intent *in)
{
	in->waits = false;
	while (!qb_list_empty(&in->waiting)) {
		struct intent_write *w = qb_list_first_entry(
			&in->waiting, struct intent_write, link);

		qb_list_del(&w->link);
		qb_list_init(&w->link);
		make_durable(in, w);
		w->ready(w->owner, w);
	}
}

void intent_end(struct intent *in, struct intent_write *w, bool is_durable)
{
	uint64_t chunk;

	qb_list_del(&w->link);
	qb_list_init(&w->link);
	in->ended++;
	in->ended_durable += is_durable;
	for (chunk = w->first; chunk <= w->last; chunk++) {
		assert_true(in->writing[chunk] > 0);
		in->writing[chunk]--;
	}
}

uint64_t intent_next_needed(const struct intent *in, uint64_t from)
{
	for (; from < FAKE_CHUNKS; from++)
		if (in->is_needed[from])
			return from;
	return BITS_NONE;
}

uint64_t intent_needed_count(const struct intent *in)
{
	uint64_t chunk, n = 0;

	for (chunk = 0; chunk < FAKE_CHUNKS; chunk++)
		n += in->is_needed[chunk];
	return n;
}

bool intent_is_needed(const struct intent *in, uint64_t chunk)
{
	return chunk < FAKE_CHUNKS && in->is_needed[chunk];
}

void intent_synced(struct intent *in, uint64_t first, uint64_t last)
{
	for (; first <= last; first++) {
		assert_true(first < FAKE_CHUNKS);
		in->is_needed[first] = false;
		in->synced++;
	}
}

void intent_set_hang(struct intent *in, uint32_t role, uint64_t hang_ns)
{
	(void)in;
	(void)role;
	(void)hang_ns;
}

void intent_set_disk(struct intent *in, uint32_t role, struct disk *disk,
		     uint64_t start_bytes, struct intent_request *req)
{
	struct intent_request *asked = in->coming;

	(void)start_bytes;
	if (disk) {
		assert_null(asked);
		in->gone &= ~(1u << role);
		in->coming = req;
		if (req)
			req->role = role;
		return;
	}
	in->gone |= 1u << role;
	if (asked && asked->role == role)
		in->coming_result = -ENODEV;
}

void fake_intent_answer(struct intent *in)
{
	struct intent_request *coming = in->coming, *needing = in->needing;

	in->coming = in->needing = NULL;
	if (coming)
		coming->done(coming->owner, coming, in->coming_result);
	if (needing)
		needing->done(needing->owner, needing, 0);
}

int intent_need_all(struct intent *in, struct intent_request *req)
{
	uint64_t chunk;

	if (in->has_no_memory)
		return -ENOMEM;
	assert_null(in->needing);
	for (chunk = 0; chunk < FAKE_CHUNKS; chunk++)
		in->is_needed[chunk] |= in->is_dirty[chunk] || in->writing[chunk] > 0;
	in->needing = req;
	return 0;
}

void intent_saw_events(struct intent *in, uint64_t events)
{
	in->events = events;
}

void intent_set_degraded(struct intent *in, bool is_degraded)
{
	if (in->is_degraded && !is_degraded)
		in->whole_events = in->events;
	in->is_degraded = is_degraded;
}

bool intent_is_idle(const struct intent *in)
{
	return qb_list_empty(&in->waiting);
}

bool intent_has_io(const struct intent *in)
{
	return in->has_io;
}

void intent_set_gate(struct intent *in, bool is_open, uint64_t lease_until)
{
	in->is_gate_open = is_open;
	in->lease_until = lease_until;
}
