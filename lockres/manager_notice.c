/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What programs are told, in the order in which it happened (L4), when the event that
 * made it is over: they may ask for anything then, and find nothing half done.
 */
#include <stdlib.h>

#include "base/err.h"
#include "lockres/manager_private.h"

static int grow(struct lock_manager *m)
{
	size_t room = m->notice_room ? 2 * m->notice_room : 64;
	struct notice *notices = realloc(m->notices, room * sizeof(*notices));

	if (!notices)
		return -1;
	m->notices = notices;
	m->notice_room = room;
	return 0;
}

void notice_add(struct lock_manager *m, const struct notice *n)
{
	if (m->notice_count == m->notice_room && grow(m) < 0) {
		free(n->members);
		manager_break(m, "has no memory to tell of locks");
		return;
	}
	m->notices[m->notice_count++] = *n;
	if (m->depth == 0)
		manager_arm(m);
}

static void tell_lock(const struct notice *n)
{
	struct local_lock *local = handle_lock_at(n->handle, n->index);

	if (local->lock && n->kind == NOTICE_COMPLETED)
		lockres_complete(local->lock, &n->result, n->has_value ? n->value : NULL);
	else if (local->lock)
		lockres_tell_blocked(local->lock, n->wanted);
	/* a callback may have let go of the lock, not of its place */
	local_lock_told(local);
}

static void tell_lost(struct handle *h, const struct notice *n)
{
	struct err err;

	for (uint32_t i = 0; i < h->lock_count; i++)
		if (h->locks[i] && h->locks[i]->lock)
			h->locks[i]->lock->mode = LOCK_NONE;
	err_set(&err, n->result.status, "%s", n->why);
	if (h->handlers.lost)
		h->handlers.lost(h->owner, &h->base, &err);
}

static void tell_closed(struct handle *h)
{
	void (*closed)(void *owner) = h->handlers.closed;
	void *owner = h->owner;

	handle_free(h);
	if (closed)
		closed(owner);
}

static void tell(const struct notice *n)
{
	struct handle *h = n->handle;
	struct lockspace *space = &h->base;

	switch (n->kind) {
	case NOTICE_COMPLETED:
	case NOTICE_BLOCKED:
		tell_lock(n);
		break;
	case NOTICE_PREP:
		if (h->handlers.recover_prep)
			h->handlers.recover_prep(h->owner, space);
		break;
	case NOTICE_SLOT:
		if (h->handlers.recover_slot)
			h->handlers.recover_slot(h->owner, space, n->node, n->slot);
		break;
	case NOTICE_DONE:
		if (h->handlers.recover_done)
			h->handlers.recover_done(h->owner, space, n->members,
						 n->member_count, n->slot, n->generation);
		break;
	case NOTICE_LOST:
		tell_lost(h, n);
		break;
	case NOTICE_CLOSED:
		tell_closed(h);
		break;
	}
}

void notices_tell(struct lock_manager *m)
{
	while (m->notice_at < m->notice_count) {
		struct notice n = m->notices[m->notice_at++]; /* what is told may add more */

		if (n.handle)
			tell(&n);
		free(n.members);
	}
	m->notice_at = m->notice_count = 0;
}

bool notice_withdraw(struct lock_manager *m, const struct handle *h, uint32_t index)
{
	for (size_t i = m->notice_at; i < m->notice_count; i++) {
		struct notice *n = &m->notices[i];

		if (n->handle != h || n->kind != NOTICE_COMPLETED || n->index != index)
			continue;
		n->handle = NULL;
		return true;
	}
	return false;
}

void notices_drop(struct lock_manager *m, const struct handle *h)
{
	for (size_t i = m->notice_at; i < m->notice_count; i++)
		if (m->notices[i].handle == h)
			m->notices[i].handle = NULL;
}
