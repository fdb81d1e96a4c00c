/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The sync service: all tell which lockspaces they have and how new these are; of each
 * the newest wins (M4), and one who has that tells it: who is in, and the locks if
 * somebody lacks them.
 *
 *	HEAD --told--> HEADS --all known--> STATE --told--> TOLD
 *
 * The bytes: manager_told.c.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>

#include "base/codec.h"
#include "lockres/manager_sync.h"

enum {
	SPACE_BYTES = 1 + SPACE_ID_BYTES + 20 + 1 + 1 + 4 + 4 + 4 + 1 +
		      TOTEM_MAX_NODES * TOLD_MEMBER_BYTES + 1 + TOTEM_MAX_NODES * 6 +
		      LOCKSPACE_MAX_NAME,
	LOCKS_HEAD_BYTES = 1 + SPACE_ID_BYTES,
	LOCKS_BYTES = LOCKS_HEAD_BYTES + LOCK_TABLE_RECORD_MAX, /* a resource, at least */
};

void manager_sync_drop(struct lock_manager *m)
{
	struct manager_sync *p = &m->phase;

	for (int i = 0; i < TOTEM_MAX_NODES; i++) {
		free(p->heads[i].spaces);
		free(p->heads[i].graves);
		free(p->heads[i].marks);
	}
	for (size_t i = 0; i < p->candidate_count; i++)
		space_free(p->candidates[i].temp);
	free(p->candidates);
	free(p->graves);
	memset(p, 0, sizeof(*p));
	p->roster = m->roster;
	p->settled_on = m->settled_on;
}

/* --- telling ------------------------------------------------------------------------------ */

static int tell(struct lock_manager *m, const void *bytes, size_t length)
{
	const struct iovec part = { (void *)(uintptr_t)bytes, length };
	int r = sync_tell(m->sync, SYNC_LOCKS, &part, 1);

	if (r < 0 && r != -EAGAIN)
		manager_break(m, "has no memory to tell its locks");
	return r;
}

static int tell_heads(struct lock_manager *m)
{
	size_t room = told_heads_bytes(m);
	uint8_t *bytes = malloc(room);
	struct wr wr = wr_over(bytes, bytes ? room : 0);
	int r;

	if (!bytes) {
		manager_break(m, "has no memory to tell its locks");
		return -ENOMEM;
	}
	told_heads_write(&wr, m);
	r = tell(m, bytes, wr.at);
	free(bytes);
	return r;
}

/* The next part of a table; the cursor stays where -EAGAIN left it. */
static int tell_locks(struct lock_manager *m, const struct space *s, bool *has_more)
{
	uint64_t cursor = m->phase.cursor;
	uint8_t *bytes = malloc(LOCKS_BYTES);
	struct wr wr = wr_over(bytes, bytes ? LOCKS_BYTES : 0);
	int r;

	if (!bytes) {
		manager_break(m, "has no memory to tell its locks");
		return -ENOMEM;
	}
	wr_u8(&wr, TELL_LOCKS);
	space_id_write(&wr, s->id);
	*has_more = lock_table_save(s->table, &cursor, &wr);
	r = tell(m, bytes, wr.at);
	free(bytes);
	if (r == 0)
		m->phase.cursor = cursor;
	return r;
}

static int tell_space(struct lock_manager *m, const struct candidate *c)
{
	const struct space *s = space_find(m, c->head.id);
	uint8_t bytes[SPACE_BYTES];
	struct wr wr = wr_over(bytes, sizeof(bytes));
	bool has_more = c->needs_table;
	int r = 0;

	if (!m->phase.is_record_told) {
		told_space_write(&wr, s);
		r = tell(m, bytes, wr.at);
		m->phase.is_record_told = r == 0;
	}
	while (r == 0 && has_more)
		r = tell_locks(m, s, &has_more);
	return r;
}

static int tell_state(struct lock_manager *m)
{
	struct manager_sync *p = &m->phase;
	uint8_t bytes[3];
	struct wr wr = wr_over(bytes, sizeof(bytes));
	uint16_t count = 0;

	for (; p->at < p->candidate_count; p->at++) {
		if (p->candidates[p->at].provider != m->self)
			continue;
		if (tell_space(m, &p->candidates[p->at]) < 0)
			return -EAGAIN;
		p->is_record_told = false;
		p->cursor = 0;
	}
	for (size_t i = 0; i < p->candidate_count; i++)
		if (p->candidates[i].provider == m->self)
			count++;
	wr_u8(&wr, TELL_END);
	wr_u16(&wr, count);
	return tell(m, bytes, wr.at);
}

static void find_partners(struct lock_manager *m)
{
	struct manager_sync *p = &m->phase;

	for (int i = set_next(p->members, 0); i >= 0; i = set_next(p->members, i + 1))
		set_put(&p->partners, i, sync_has_service(m->sync, i, SYNC_LOCKS));
}

static enum sync_progress process(struct lock_manager *m)
{
	struct manager_sync *p = &m->phase;

	if (p->phase == MANAGER_PHASE_HEAD) {
		find_partners(m);
		if (tell_heads(m) == 0)
			p->phase = MANAGER_PHASE_HEADS;
	}
	if (p->phase == MANAGER_PHASE_HEADS && set_equal(p->heads_of, p->partners)) {
		roster_settle(m);
		p->phase = set_has(&p->providers, m->self) ? MANAGER_PHASE_STATE :
							     MANAGER_PHASE_TOLD;
	}
	if (p->phase == MANAGER_PHASE_STATE && tell_state(m) == 0)
		p->phase = MANAGER_PHASE_TOLD;
	if (p->phase == MANAGER_PHASE_HEADS)
		return SYNC_WAITS;
	return p->phase == MANAGER_PHASE_TOLD && m->remembered >= p->to_remember ? SYNC_DONE :
										  SYNC_AGAIN;
}

/* --- the service --------------------------------------------------------------------------- */

static void on_ending(void *owner)
{
	struct lock_manager *m = owner;

	m->is_ending = true;
}

static void on_torn(void *owner)
{
	struct lock_manager *m = owner;

	m->is_torn = true;
}

/* A member of ours is not there any more: that is told before anything else. */
static void prepare_if_left(struct handle *h, const struct sync_configuration *c)
{
	const struct node_table *nodes = &h->manager->config.nodes;

	for (size_t i = 0; h->space && i < h->space->member_count; i++)
		if (!set_has(&c->members, node_index(nodes, h->space->members[i].node)))
			handle_prepare(h);
}

static void on_init(void *owner, const struct sync_configuration *c)
{
	struct lock_manager *m = owner;
	struct handle *h;

	manager_enter(m);
	manager_sync_drop(m);
	m->phase.ring = c->id;
	m->phase.members = c->members;
	m->is_syncing = true;
	m->is_ending = m->is_torn = false;
	qb_list_for_each_entry(h, &m->handles, link)
		prepare_if_left(h, c);
	for (size_t i = 0; i < m->space_count; i++)
		m->spaces[i]->is_frozen = true;
	manager_leave(m);
}

static enum sync_progress on_process(void *owner)
{
	struct lock_manager *m = owner;

	return m->is_broken ? SYNC_AGAIN : process(m);
}

static void on_deliver(void *owner, int from, const uint8_t *bytes, size_t length)
{
	struct lock_manager *m = owner;
	struct rd rd = rd_over(bytes, length);

	if (!m->is_broken)
		manager_hear(m, from, &rd);
}

static void on_abort(void *owner)
{
	manager_sync_drop(owner);
}

static void on_activate(void *owner)
{
	struct lock_manager *m = owner;

	if (m->is_broken)
		return;
	manager_enter(m);
	if (manager_is_whole(m))
		manager_go_live(m);
	else
		manager_break(m, "was told that all are synchronised, and lacks locks");
	manager_leave(m);
}

const struct sync_service_ops manager_service_ops = {
	.ending = on_ending,
	.torn = on_torn,
	.init = on_init,
	.process = on_process,
	.deliver = on_deliver,
	.abort = on_abort,
	.activate = on_activate,
};
