/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A lockspace as this node's program has it, from open to closed, and how what it
 * asks for goes out (M3, M5).
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>

#include "base/arith.h"
#include "base/codec.h"
#include "base/err.h"
#include "lockres/manager_private.h"

static struct handle *handle_of(struct lockspace *space)
{
	return container_of(space, struct handle, base);
}

/* --- opening ------------------------------------------------------------------------------ */

static struct handle *find_handle(const struct lock_manager *m, const void *name,
				  size_t length)
{
	struct handle *h;

	qb_list_for_each_entry(h, &m->handles, link)
		if (h->name_length == length && memcmp(h->name, name, length) == 0)
			return h;
	return NULL;
}

int manager_open(struct lockspace_engine *engine, const struct lockspace_config *config,
		 const struct lockspace_handlers *handlers, void *owner,
		 struct lockspace **space, struct err *err)
{
	struct lock_manager *m = manager_of(engine);
	struct handle *h;
	int r = lockspace_check(config, err);

	if (r < 0)
		return r;
	if (find_handle(m, config->name, config->name_length))
		return err_set(err, -EEXIST, "lockspace %.*s is open already",
			       (int)config->name_length, config->name);
	h = calloc(1, sizeof(*h));
	if (!h)
		return err_nomem(err, "a lockspace");
	h->base.engine = engine;
	h->base.lvb_bytes = config->lvb_bytes;
	h->base.is_ordered = true;
	h->manager = m;
	h->state = HANDLE_OPENING;
	h->handlers = *handlers;
	h->owner = owner;
	h->name_length = (uint8_t)config->name_length;
	memcpy(h->name, config->name, config->name_length);
	h->slots = config->slots > 0 ? config->slots : LOCKSPACE_MAX_SLOTS;
	h->wanted_slot = config->wanted_slot;
	h->opening = ++m->last_opening;
	qb_list_init(&h->queued);
	qb_list_init(&h->sent);
	qb_list_add_tail(&h->link, &m->handles);
	*space = &h->base;
	handle_send(h);
	return 0;
}

void handle_joined(struct handle *h, struct space *s)
{
	const struct space_member *member = space_member_of(s, h->manager->config.self);

	h->space = s;
	h->ticket = member->ticket;
	h->id = s->id;
	s->handle = h;
	if (h->state == HANDLE_OPENING)
		h->state = HANDLE_MEMBER;
}

/* --- ending ------------------------------------------------------------------------------- */

static void request_drop(struct request *r)
{
	request_unlist(r);
	if (!r->local)
		free(r);
}

static void drop_requests(struct qb_list_head *list)
{
	while (!qb_list_empty(list))
		request_drop(qb_list_first_entry(list, struct request, link));
}

/* Nothing is held any more, and nothing asked for. */
static void stop(struct handle *h)
{
	if (h->space)
		h->space->handle = NULL;
	h->space = NULL;
	for (uint32_t i = 0; i < h->lock_count; i++)
		if (h->locks[i])
			local_lock_stop(h->locks[i]);
	drop_requests(&h->sent);
	drop_requests(&h->queued);
}

void handle_lose(struct handle *h, int code, const char *why)
{
	const struct notice n = { .kind = NOTICE_LOST, .handle = h, .why = why,
				  .result = { .status = code } };

	stop(h);
	h->manager->stats.lost++;
	if (h->state == HANDLE_CLOSING) {
		handle_closed(h);
		return;
	}
	h->state = HANDLE_LOST;
	notice_add(h->manager, &n);
}

void handle_closed(struct handle *h)
{
	const struct notice n = { .kind = NOTICE_CLOSED, .handle = h };

	stop(h);
	h->manager->has_ghosts = true; /* if it was heard of meanwhile, as it opened */
	h->state = HANDLE_CLOSED;
	notice_add(h->manager, &n);
}

/*
 * Where a configuration ends, the next sync phase tells what all know: a node that was
 * away may bring the lockspace back as it was, and then it is to be closed again.
 */
void handle_left(struct handle *h)
{
	if (h->manager->is_ending)
		stop(h);
	else
		handle_closed(h);
}

void manager_close(struct lockspace *space)
{
	struct handle *h = handle_of(space);

	if (h->state == HANDLE_LOST || (h->state == HANDLE_OPENING && !h->is_said)) {
		handle_closed(h);
	} else if (h->state < HANDLE_CLOSING) {
		h->state = HANDLE_CLOSING;
		handle_send(h);
	}
}

void handle_free(struct handle *h)
{
	notices_drop(h->manager, h);
	stop(h);
	for (uint32_t i = 0; i < h->lock_count; i++) {
		struct local_lock *local = h->locks[i];

		if (local && local->lock) {
			local->lock->space = NULL;
			local->lock->engine_state = NULL;
		}
		free(local);
	}
	qb_list_del(&h->link);
	free(h->locks);
	free(h->free_indices);
	free(h);
}

/* --- sending ------------------------------------------------------------------------------ */

bool manager_say(struct lock_manager *m, const struct manager_order *o)
{
	uint8_t bytes[MANAGER_OPEN_BYTES + LOCKSPACE_MAX_NAME];
	const struct iovec part = { bytes, manager_order_write(o, bytes, sizeof(bytes)) };

	return group_multicast(m->group, GROUP_SAFE, &part, 1) == 0;
}

static void say_open(struct handle *h)
{
	h->is_said = manager_say(h->manager, &(struct manager_order){
					     .kind = MANAGER_OPEN,
					     .incarnation = h->manager->config.incarnation,
					     .opening = h->opening,
					     .lvb_bytes = h->base.lvb_bytes,
					     .slots = h->slots,
					     .wanted_slot = h->wanted_slot,
					     .name = h->name,
					     .name_length = h->name_length });
}

static void say_close(struct handle *h)
{
	h->is_said = manager_say(h->manager, &(struct manager_order){ .kind = MANAGER_CLOSE,
							      .id = h->space->id,
							      .ticket = h->ticket });
}

static void write_request(struct wr *wr, const struct handle *h, const struct request *r)
{
	struct manager_op op = { .op = r->op, .mode = r->mode, .flags = r->flags,
				 .node = r->node };

	if (r->has_value)
		op.value = r->value;
	if (r->local)
		op.number = handle_lock_number(h, r->local->index);
	if (r->op == LOCK_OP_REQUEST) {
		op.waiter = r->local->lock->waiter;
		op.name = r->local->lock->name;
		op.name_length = r->local->lock->name_length;
	}
	manager_op_write(wr, &op, h->base.lvb_bytes);
}

/* As many of the queued requests as one message has; how many. */
static size_t write_batch(const struct handle *h, struct wr *wr)
{
	const struct manager_order head = {
		.kind = MANAGER_BATCH,
		.id = h->space->id,
		.ticket = h->ticket,
		.thaw = h->space->thaw,
		.serial = h->serial + 1,
	};
	const struct request *r;
	size_t count = 0;

	wr->at = manager_order_write(&head, wr->base, wr->length);
	qb_list_for_each_entry(r, &h->queued, link) {
		if (wr->length - wr->at < MANAGER_OP_BYTES)
			break;
		write_request(wr, h, r);
		count++;
	}
	return count;
}

static bool send_batch(struct handle *h)
{
	struct lock_manager *m = h->manager;
	struct wr wr = wr_over(m->batch, MANAGER_BATCH_MAX);
	size_t count = write_batch(h, &wr);
	const struct iovec part = { m->batch, wr.at };

	if (group_multicast(m->group, GROUP_AGREED, &part, 1) < 0)
		return false;
	m->stats.batches++;
	m->stats.sent += count;
	while (count-- > 0) {
		struct request *r = qb_list_first_entry(&h->queued, struct request, link);

		r->serial = ++h->serial;
		qb_list_del(&r->link);
		qb_list_add_tail(&r->link, &h->sent);
	}
	return true;
}

/* It leaves behind what it asked for; while all stands still, without that. */
static void send_close(struct handle *h)
{
	const struct space_member *member = space_member_of(h->space, h->manager->config.self);
	bool stands_still = h->space->is_frozen || !manager_is_running(h->manager);

	if (!member->is_gone &&
	    (stands_still || qb_list_empty(&h->queued)))
		say_close(h);
}

static void send_due(struct handle *h)
{
	struct lock_manager *m = h->manager;

	if (!m->is_active || m->is_syncing || m->is_ending || m->is_broken)
		return;
	if (h->state == HANDLE_OPENING && !h->is_said && !h->is_waiting &&
	    manager_is_running(m))
		say_open(h);
	if (!h->space)
		return;
	if (h->state == HANDLE_CLOSING && h->is_said)
		return; /* behind that, it is nobody */
	while (manager_is_running(m) && !h->space->is_frozen &&
	       !qb_list_empty(&h->queued) && send_batch(h))
		;
	if (h->state == HANDLE_CLOSING)
		send_close(h);
}

void handle_send(struct handle *h)
{
	struct lock_manager *m = h->manager;

	if (h->batch_depth == 0 && m->depth == 0)
		send_due(h);
}

/*
 * An open that was given up before its answer came may have been heard, by nodes that
 * were not here to say so: then this node is a member, and no handle knows. It closes.
 */
static void close_ghost(struct lock_manager *m, struct space *s)
{
	const struct space_member *member = space_member_of(s, m->config.self);
	const struct handle *h = find_handle(m, s->name, s->name_length);

	if (!member || member->incarnation != m->config.incarnation || member->is_gone ||
	    (h && h->state <= HANDLE_CLOSING && h->opening == member->opening))
		return;
	m->has_ghosts = true;
	if (!s->is_ghost_said)
		s->is_ghost_said = manager_say(m, &(struct manager_order){
							  .kind = MANAGER_CLOSE,
							  .id = s->id,
							  .ticket = member->ticket });
}

void manager_send_all(struct lock_manager *m)
{
	struct handle *h;

	qb_list_for_each_entry(h, &m->handles, link)
		if (h->batch_depth == 0)
			send_due(h);
	if (!m->has_ghosts || !manager_sees_all(m) || m->is_ending)
		return;
	m->has_ghosts = false;
	for (size_t i = 0; i < m->space_count; i++)
		close_ghost(m, m->spaces[i]);
}

void manager_wake_openers(struct lock_manager *m)
{
	struct handle *h;

	qb_list_for_each_entry(h, &m->handles, link)
		h->is_waiting = false;
}

void handle_take_sent(struct handle *h, uint64_t serial)
{
	while (!qb_list_empty(&h->sent)) {
		struct request *r = qb_list_first_entry(&h->sent, struct request, link);

		if (r->serial > serial)
			return;
		request_drop(r);
	}
}

void manager_begin(struct lockspace *space)
{
	handle_of(space)->batch_depth++;
}

void manager_end(struct lockspace *space)
{
	struct handle *h = handle_of(space);

	h->batch_depth--;
	handle_send(h);
}

int manager_purge_orphans(struct lockspace *space, uint32_t node, struct err *err)
{
	struct handle *h = handle_of(space);
	struct request *r;

	if (h->state > HANDLE_MEMBER)
		return err_set(err, -ESHUTDOWN, "the lockspace is lost or closing");
	r = calloc(1, sizeof(*r));
	if (!r)
		return err_nomem(err, "a request");
	r->op = LOCK_OP_PURGE;
	r->node = node;
	request_enqueue(r, h);
	handle_send(h);
	return 0;
}

/* --- after a sync phase ------------------------------------------------------------------- */

static bool is_mine(const struct handle *h, const struct space_member *member)
{
	return member && member->incarnation == h->manager->config.incarnation &&
	       member->opening == h->opening;
}

void handle_settle(struct handle *h)
{
	struct lock_manager *m = h->manager;
	struct space *s = space_named(m, h->name, h->name_length);
	const struct space_member *member = s ? space_member_of(s, m->config.self) : NULL;
	bool is_in = h->ticket != 0 && h->state <= HANDLE_CLOSING && is_mine(h, member);
	bool is_over = is_in ? member->is_gone : h->ticket != 0 || !h->is_said;

	h->space = is_in ? s : NULL;
	h->is_waiting = false;
	if (is_in) {
		s->handle = h;
		handle_take_sent(h, member->serial);
	}
	if (h->state == HANDLE_MEMBER && !is_in)
		handle_lose(h, -ESTALE, "went on without this node");
	else if (h->state == HANDLE_CLOSING && is_over && sync_is_quorate(m->sync))
		handle_closed(h);
}

/* A request whose owner let go of the lock: there is nothing to ask for any more. */
static bool is_abandoned(const struct request *r)
{
	return r->op == LOCK_OP_REQUEST && !r->local->lock;
}

/*
 * M5: what was sent and is not applied here is refused wherever it still comes from, so
 * it goes again. Before, while a member was missing, it might come back and have it
 * applied; now nobody has.
 */
static void send_again(struct handle *h, const struct space_member *member)
{
	struct request *r, *next;

	qb_list_for_each_entry_safe(r, next, &h->sent, link) {
		r->serial = 0;
		if (is_abandoned(r))
			request_unlist(r); /* the unlock behind it finds nothing */
	}
	qb_list_splice(&h->sent, &h->queued);
	qb_list_init(&h->sent);
	h->serial = member->serial;
}

void handle_thawed(struct space *s)
{
	if (s->handle)
		send_again(s->handle, space_member_of(s, s->manager->config.self));
}

void handle_settle_locks(struct handle *h)
{
	for (uint32_t i = 0; i < h->lock_count; i++)
		if (h->locks[i])
			local_lock_settle(h->locks[i], h->space->table);
}
