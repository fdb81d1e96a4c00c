/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The messages of the group, as they come in its order: what each node does alike. */
#include <errno.h>
#include <stdlib.h>

#include "base/codec.h"
#include "lockres/manager_private.h"

void manager_fault(struct lock_manager *m, enum lock_manager_fault f)
{
	m->stats.faults[f]++;
}

/* --- coming ------------------------------------------------------------------------------ */

/* A lockspace for the first who opens it; NULL: -ENOSPC, or this node breaks. */
static struct space *make_space(struct lock_manager *m, uint32_t node,
				const struct manager_order *o)
{
	const struct space_id id = { m->ring.seq, ++m->made, node, o->opening };
	struct space *s;

	if (m->space_count == LOCK_MANAGER_MAX_SPACES)
		return NULL;
	s = space_new(m, id, o->name, o->name_length, o->lvb_bytes, o->slots);
	if (!s) {
		manager_break(m, "has no memory for a lockspace");
		return NULL;
	}
	space_insert(m, s);
	grave_level(m, s->name, s->name_length);
	s->is_frozen = false;
	s->version.epoch = m->ring;
	return s;
}

/*
 * 0: it is a member; -EAGAIN: when the lockspace thaws, or what the node was before is
 * over; else it cannot be one.
 */
static int join(struct space *s, uint32_t node, const struct manager_order *o)
{
	const struct space_member *member = space_member_of(s, node);
	int r;

	if (s->is_frozen)
		return -EAGAIN;
	if (member && member->incarnation == o->incarnation &&
	    member->opening == o->opening)
		return 0; /* said where a configuration ended; now it is certain (M3) */
	if (member)
		return -EAGAIN;
	if (s->lvb_bytes != o->lvb_bytes || s->slots != o->slots)
		return -EBADR;
	r = space_join(s, node, o->incarnation, o->opening, o->wanted_slot);
	if (r == 0) {
		s->version.operations++;
		s->generation++;
	}
	return r;
}

static const char *why_not(int code)
{
	switch (code) {
	case -EBADR:
		return "was made with another LVB size or number of slots";
	case -ENOSPC:
		return "has no free slot";
	case -EMFILE:
		return "cannot be made: there are as many lockspaces as there can be";
	default:
		return "cannot be opened";
	}
}

static struct handle *opening_handle(const struct lock_manager *m, int node,
				     const struct manager_order *o)
{
	struct handle *h;

	if (node != m->self || o->incarnation != m->config.incarnation)
		return NULL;
	qb_list_for_each_entry(h, &m->handles, link)
		if (h->opening == o->opening && h->state <= HANDLE_CLOSING)
			return h;
	return NULL;
}

/* Our own open: what came of it. */
static void opened(struct handle *h, struct space *s, int r)
{
	h->is_said = false;
	if (h->ticket != 0 || h->manager->is_ending)
		return; /* it is in; or others may not know: it is said again */
	if (r == 0)
		handle_joined(h, s);
	else if (r != -EAGAIN)
		handle_lose(h, r, why_not(r));
	else if (h->state == HANDLE_CLOSING)
		handle_closed(h);
	else
		h->is_waiting = manager_is_running(h->manager);
}

static int join_or_make(struct lock_manager *m, struct space **s, uint32_t node,
			const struct manager_order *o)
{
	if (!*s)
		*s = make_space(m, node, o);
	return *s ? join(*s, node, o) : -EMFILE;
}

static void apply_open(struct lock_manager *m, int node, const struct manager_order *o)
{
	struct space *s = space_named(m, o->name, o->name_length);
	struct handle *h = opening_handle(m, node, o);
	int r = -EAGAIN;

	if (manager_is_running(m)) {
		if (!s && !roster_lets_found(m, o->name, o->name_length))
			m->is_wanted = true;
		else
			r = join_or_make(m, &s, m->config.nodes.ids[node], o);
	}
	if (h)
		opened(h, s, r);
	if (r == 0)
		space_tell_members(s);
}

/* --- going ------------------------------------------------------------------------------- */

static void leave(struct lock_manager *m, struct space *s, struct space_member *member)
{
	struct handle *h = s->handle;

	if (h && h->ticket == member->ticket)
		handle_left(h);
	if (lock_table_release(s->table, member->node, LOCK_RELEASE_PROCESS) < 0) {
		manager_break(m, "has no memory for locks");
		return;
	}
	space_drop_member(s, member);
	s->version.operations++;
	s->generation++;
	manager_wake_openers(m);
	if (space_is_empty(s)) {
		space_remove(s);
		return;
	}
	space_tell_members(s);
	lock_table_settle(s->table);
}

static struct handle *closing_handle(const struct lock_manager *m,
				     const struct manager_order *o)
{
	struct handle *h;

	qb_list_for_each_entry(h, &m->handles, link)
		if (h->state == HANDLE_CLOSING && h->ticket == o->ticket &&
		    space_id_equal(h->id, o->id))
			return h;
	return NULL;
}

/* Without quorum too: who says so will not write any more. */
static void apply_close(struct lock_manager *m, int node, const struct manager_order *o)
{
	struct space *s = space_find(m, o->id);
	struct handle *h = node == m->self ? closing_handle(m, o) : NULL;
	struct space_member *member;

	if (h)
		h->is_said = false;
	member = s ? space_member_ticket(s, m->config.nodes.ids[node], o->ticket) : NULL;
	if (!member) {
		m->stats.duplicates++; /* where partitions met, it may be said twice */
		return;
	}
	if (!manager_sees_all(m)) {
		s->is_ghost_said = false;
		m->has_ghosts = true;
		return; /* who is not in the group yet would not know: it is said again */
	}
	if (manager_is_running(m) && !s->is_frozen) {
		leave(m, s, member);
		return;
	}
	member->is_gone = true;
	if (h && manager_is_running(m) && !m->is_ending)
		handle_closed(h);
	space_consider(s);
}

/* --- proofs ------------------------------------------------------------------------------ */

static void prove(struct space *s, const struct manager_order *o)
{
	struct space_member *member = space_member_of(s, o->node);

	if (!member || !member->is_missing || member->incarnation > o->incarnation)
		return;
	if (!member->is_proven || o->death == LOCK_DEATH_NODE)
		member->death = o->death;
	member->is_proven = true;
	space_consider(s);
}

static void apply_dead(struct lock_manager *m, const struct manager_order *o)
{
	int node = node_index(&m->config.nodes, o->node);

	if (node == TOTEM_NO_INDEX) {
		manager_fault(m, LOCK_FAULT_ARGUMENT);
		return;
	}
	if (!manager_is_running(m))
		return; /* who said so says it again */
	if (!set_has(&m->members, node))
		roster_close(m, node, o->incarnation);
	for (size_t i = m->space_count; i > 0; i--) /* it may go as we look at it */
		prove(m->spaces[i - 1], o);
}

/* --- locks ------------------------------------------------------------------------------- */

/*
 * The value of a conversion that cannot store one does not travel; the table wants
 * one with each VALBLK.
 */
static const uint8_t no_value[LOCK_MAX_LVB];

static int apply_op(struct space *s, uint32_t node, const struct manager_op *op)
{
	const struct lock_key key = { node, op->number };
	const uint8_t *value = op->value;

	if (!value && op->flags & LOCK_VALBLK && op->op != LOCK_OP_UNLOCK)
		value = no_value;
	if (op->op == LOCK_OP_PURGE) {
		int r = lock_table_release(s->table, op->node, LOCK_RELEASE_ORPHANS);

		lock_table_settle(s->table);
		return r;
	}
	if (op->op == LOCK_OP_UNLOCK)
		return lock_table_unlock(s->table, key, op->flags, value);
	return lock_table_lock(s->table, &(struct lock_order){
					.key = key,
					.mode = op->mode,
					.flags = op->flags,
					.waiter = op->waiter,
					.name = op->name,
					.name_length = op->name_length,
					.value = value });
}

/* What it is for may have been refused as this was on its way. */
static bool may_miss(const struct manager_op *op)
{
	return op->op == LOCK_OP_UNLOCK && op->flags & (LOCK_FORCEUNLOCK | LOCK_CANCEL);
}

static void apply_ops(struct lock_manager *m, struct space *s, struct space_member *member,
		      const struct manager_order *o)
{
	bool is_ours = s->handle && s->handle->ticket == o->ticket;
	struct rd rd = rd_over(o->operations, o->length);
	struct manager_op op;
	int r;

	for (uint64_t serial = o->serial; rd.at < rd.length; serial++) {
		if (!manager_op_read(&rd, &op, s->lvb_bytes)) {
			manager_fault(m, LOCK_FAULT_MESSAGE);
			return;
		}
		if (serial <= member->serial) {
			m->stats.duplicates++;
			continue;
		}
		member->serial = serial;
		s->version.operations++;
		m->stats.applied++;
		if (is_ours)
			handle_take_sent(s->handle, serial);
		r = apply_op(s, member->node, &op);
		if (r == -ENOMEM)
			manager_break(m, "has no memory for a lock");
		else if (r < 0 && !may_miss(&op))
			manager_fault(m, LOCK_FAULT_ARGUMENT);
		else if (r < 0 && is_ours)
			handle_unlocked_nothing(s->handle, op.number);
		if (m->is_broken)
			return;
	}
}

static void apply_batch(struct lock_manager *m, int node, const struct manager_order *o)
{
	struct space *s = space_find(m, o->id);
	struct space_member *member;

	if (!manager_is_running(m) || (s && (s->is_frozen || s->thaw != o->thaw))) {
		m->stats.stale++; /* M5 */
		return;
	}
	member = s ? space_member_ticket(s, m->config.nodes.ids[node], o->ticket) : NULL;
	if (!s) {
		manager_fault(m, LOCK_FAULT_SPACE);
	} else if (!member) {
		manager_fault(m, LOCK_FAULT_STRANGER);
	} else if (o->serial > member->serial + 1) {
		manager_fault(m, LOCK_FAULT_ORDER);
	} else {
		lock_table_clock(s->table, m->ops.now(m->owner));
		apply_ops(m, s, member, o);
	}
}

void manager_apply(struct lock_manager *m, int node, const void *message, size_t length)
{
	struct manager_order o;

	if (!manager_order_read(&o, message, length)) {
		manager_fault(m, LOCK_FAULT_MESSAGE);
		return;
	}
	switch (o.kind) {
	case MANAGER_OPEN:
		apply_open(m, node, &o);
		break;
	case MANAGER_CLOSE:
		apply_close(m, node, &o);
		break;
	case MANAGER_DEAD:
		apply_dead(m, &o);
		break;
	case MANAGER_BATCH:
		apply_batch(m, node, &o);
		break;
	}
}
