/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What groups say to each other: bytes to calls, the layout is in group_ring.h. A
 * message that is not as it should be changes nothing but a counter.
 */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/uio.h>

#include "base/codec.h"
#include "totem/group_private.h"

enum { STATE_HEAD_BYTES = 4 + 8 + 4, STATE_ENTRY_BYTES = 4 + 1 };

static_assert(STATE_HEAD_BYTES + GROUP_MAX_HANDLES *
	      (STATE_ENTRY_BYTES + GROUP_MAX_NAME) <= SYNC_MAX_MESSAGE,
	      "the state of a node does not fit in a message");
static_assert(GROUP_HEAD_BYTES + GROUP_MAX_MESSAGE <= PACK_MAX_MESSAGE,
	      "the largest message does not fit");

static void fault(struct group_ring *g, enum group_fault what)
{
	g->stats.faults[what]++;
}

static void take_data(struct group_ring *g, int from, uint32_t handle,
		      const uint8_t *bytes, size_t length)
{
	const struct roster_entry *e = roster_find(&g->live[from], handle);
	const struct group_member sender = { g->config.nodes.ids[from], handle,
					     GROUP_MEMBER };
	struct group_handle *h;

	if (!e) {
		fault(g, GROUP_FAULT_HANDLE); /* G2: not in anybody's view */
		return;
	}
	for (h = e->name->handles; h; h = h->beside) {
		if (!h->is_member || h->is_abandoned || !h->handlers.deliver)
			continue;
		g->stats.delivered++;
		h->handlers.deliver(h->owner, &h->base, &sender, bytes, length);
	}
}

static void take_join(struct group_ring *g, int from, uint32_t handle,
		      const uint8_t *name, size_t length)
{
	if (length < 1 || length > GROUP_MAX_NAME)
		fault(g, GROUP_FAULT_MESSAGE);
	else if (roster_find(&g->live[from], handle))
		fault(g, GROUP_FAULT_HANDLE);
	else if (g->live[from].count >= GROUP_MAX_HANDLES)
		fault(g, GROUP_FAULT_LIMIT);
	else
		group_view_join(g, from, handle, name, length);
}

static void take_leave(struct group_ring *g, int from, uint32_t handle,
		       const uint8_t *bytes, size_t length)
{
	if (length != 1 || (*bytes != GROUP_LEAVE && *bytes != GROUP_PROCDOWN))
		fault(g, GROUP_FAULT_MESSAGE);
	else if (!roster_find(&g->live[from], handle))
		fault(g, GROUP_FAULT_HANDLE);
	else
		group_view_leave(g, from, handle, (enum group_reason)*bytes);
}

void group_take(void *source, const uint8_t *message, size_t length)
{
	const struct group_source *s = source;
	struct rd rd = rd_over(message, length);
	uint8_t kind = rd_u8(&rd);
	uint32_t handle = rd_u32(&rd);
	const uint8_t *rest = message + rd.at;
	size_t left = length - rd.at;

	if (group_is_broken(s->g))
		return;
	if (rd.failed)
		fault(s->g, GROUP_FAULT_MESSAGE);
	else if (kind == GROUP_KIND_DATA)
		take_data(s->g, s->from, handle, rest, left);
	else if (kind == GROUP_KIND_JOIN)
		take_join(s->g, s->from, handle, rest, left);
	else if (kind == GROUP_KIND_LEAVE)
		take_leave(s->g, s->from, handle, rest, left);
	else
		fault(s->g, GROUP_FAULT_MESSAGE);
}

int group_state_tell(const struct group_ring *g)
{
	const struct roster *r = &g->live[g->self];
	size_t room = STATE_HEAD_BYTES +
		      r->count * (STATE_ENTRY_BYTES + GROUP_MAX_NAME);
	uint8_t *bytes = malloc(room);
	struct wr wr = wr_over(bytes, room);
	struct iovec part = { .iov_base = bytes };
	int result;

	if (!bytes)
		return -ENOMEM;
	wr_u32(&wr, g->activated.rep);
	wr_u64(&wr, g->activated.seq);
	wr_u32(&wr, (uint32_t)r->count);
	for (size_t i = 0; i < r->count; i++) {
		wr_u32(&wr, r->entries[i].handle);
		wr_u8(&wr, r->entries[i].name->length);
		wr_bytes(&wr, r->entries[i].name->bytes, r->entries[i].name->length);
	}
	assert(!wr.failed);
	part.iov_len = wr.at;
	result = sync_tell(g->config.sync, SYNC_GROUPS, &part, 1);
	free(bytes);
	return result;
}

/* False: it is not what a node may say. Then the roster is for the bin. */
static bool read_roster(struct group_ring *g, struct rd *rd, struct roster *r)
{
	uint32_t count = rd_u32(rd), handle, last = 0;

	if (rd->failed || count > GROUP_MAX_HANDLES)
		return false;
	for (uint32_t i = 0; i < count; i++, last = handle) {
		size_t length;
		struct group_name *name;

		handle = rd_u32(rd);
		length = rd_u8(rd);
		if (rd->failed || (i > 0 && handle <= last) || length < 1 ||
		    length > GROUP_MAX_NAME || length > rd->length - rd->at)
			return false;
		name = group_name_get(&g->names, rd->base + rd->at, length);
		if (!name || !roster_add(r, handle, name)) {
			if (name)
				group_name_put(&g->names, name);
			group_ring_break(g, "has no memory for what others told");
			return false;
		}
		rd_seek(rd, rd->at + length);
	}
	return !rd->failed && rd->at == rd->length;
}

void group_state_take(struct group_ring *g, int from, const uint8_t *state,
		      size_t length)
{
	struct group_proposal *p = g->proposal;
	struct rd rd = rd_over(state, length);
	struct roster roster = { 0 };
	struct ring_id activated = { .rep = rd_u32(&rd) };

	activated.seq = rd_u64(&rd);
	if (set_has(&p->told, from)) {
		fault(g, GROUP_FAULT_HANDLE);
		return;
	}
	if (!read_roster(g, &rd, &roster)) {
		roster_clear(&roster, &g->names);
		fault(g, GROUP_FAULT_MESSAGE);
		return;
	}
	p->rosters[from] = roster;
	set_add(&p->told, from);
	if (g->has_pending && ring_id_equal(activated, g->pending->ring))
		g->pending_is_confirmed = true; /* R3 */
}
