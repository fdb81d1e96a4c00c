/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What members say in a sync phase: bytes to calls, the layout is in sync.h. What is
 * not as it should be changes nothing but a counter.
 */
#include "totem/sync_private.h"

#include "base/codec.h"

struct source {
	struct sync *s;
	int from;
};

static void fault(struct sync *s, enum sync_fault what)
{
	s->stats.faults[what]++;
}

static void look_whether_all_are_done(struct sync *s)
{
	if (!s->is_ending && !s->is_broken && set_is_empty(sync_waiting_for(s)))
		s->ops.synchronised(s->owner);
}

static void take_greeting(struct sync *s, struct sync_peer *p, struct rd *rd)
{
	struct ring_id epoch = { .rep = rd_u32(rd) };
	uint32_t services = 0;
	uint8_t count;

	epoch.seq = rd_u64(rd);
	count = rd_u8(rd);
	for (int i = 0; i < count; i++) {
		uint8_t id = rd_u8(rd);

		if (id >= SYNC_SERVICE_LIMIT)
			rd->failed = true;
		else
			services |= 1u << id;
	}
	if (rd->failed || rd->at != rd->length) {
		fault(s, SYNC_FAULT_MESSAGE);
		return;
	}
	if (p->has_greeted) {
		fault(s, SYNC_FAULT_ORDER);
		return;
	}
	*p = (struct sync_peer){ .has_greeted = true, .epoch = epoch, .services = services };
	for (int i = set_next(s->now_in.members, 0); i != TOTEM_NO_INDEX;
	     i = set_next(s->now_in.members, i + 1))
		if (!s->peers[i].has_greeted)
			return;
	s->phase = SYNC_PHASE_PROCESSING; /* Y6 */
	sync_go_on(s);
	look_whether_all_are_done(s); /* nobody has any service */
}

/* It has the service, and has not said that it is done. */
static bool may_speak(const struct sync *s, const struct sync_peer *p, uint8_t id)
{
	return s->phase == SYNC_PHASE_PROCESSING && id < SYNC_SERVICE_LIMIT &&
	       ((p->services & ~p->done) >> id & 1);
}

static void take_state(struct sync *s, int from, struct rd *rd)
{
	const struct sync_peer *p = &s->peers[from];
	uint8_t id = rd_u8(rd);

	if (rd->failed)
		fault(s, SYNC_FAULT_MESSAGE);
	else if (!may_speak(s, p, id))
		fault(s, SYNC_FAULT_ORDER);
	else if (!s->services[id].name)
		fault(s, SYNC_FAULT_SERVICE);
	else
		s->services[id].ops->deliver(s->services[id].owner, from,
					     rd->base + rd->at, rd->length - rd->at);
}

static void take_done(struct sync *s, struct sync_peer *p, struct rd *rd)
{
	uint8_t id = rd_u8(rd);

	if (rd->failed || rd->at != rd->length) {
		fault(s, SYNC_FAULT_MESSAGE);
		return;
	}
	if (!may_speak(s, p, id)) {
		fault(s, SYNC_FAULT_ORDER);
		return;
	}
	p->done |= 1u << id;
	look_whether_all_are_done(s);
}

static void take_waits(struct sync *s, struct sync_peer *p, struct rd *rd)
{
	uint8_t id = rd_u8(rd), waits = rd_u8(rd);

	if (rd->failed || rd->at != rd->length || waits > 1)
		fault(s, SYNC_FAULT_MESSAGE);
	else if (!may_speak(s, p, id))
		fault(s, SYNC_FAULT_ORDER);
	else if (waits)
		p->waits |= 1u << id;
	else
		p->waits &= ~(1u << id);
}

static void take(void *source, const uint8_t *message, size_t length)
{
	const struct source *from = source;
	struct sync *s = from->s;
	struct rd rd = rd_over(message, length);
	uint8_t kind = rd_u8(&rd);

	if (s->is_broken)
		return;
	if (kind == SYNC_KIND_GREETING)
		take_greeting(s, &s->peers[from->from], &rd);
	else if (kind == SYNC_KIND_STATE)
		take_state(s, from->from, &rd);
	else if (kind == SYNC_KIND_DONE)
		take_done(s, &s->peers[from->from], &rd);
	else if (kind == SYNC_KIND_WAITS)
		take_waits(s, &s->peers[from->from], &rd);
	else
		fault(s, SYNC_FAULT_MESSAGE);
}

void sync_deliver(struct sync *s, struct ring_id id, int from, const uint8_t *payload,
		  size_t length)
{
	struct source source = { s, from };

	if (s->is_broken)
		return;
	if (from < 0 || !set_has(&s->now_in.members, from) ||
	    !ring_id_equal(id, s->now_in.id))
		fault(s, SYNC_FAULT_STRANGER); /* Y4 */
	else if (!sync_is_under_way(s))
		fault(s, SYNC_FAULT_ORDER);
	else if (pack_receive(&s->in[from], payload, length, &s->stats.pack, take,
			      &source) == PACK_NO_MEMORY)
		sync_break(s, "has no memory for what others tell");
}
