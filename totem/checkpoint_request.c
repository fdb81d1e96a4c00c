/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* This node's requests and handles: sent, answered, held back, lost (C3, C4, C6). */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/uio.h>

#include "totem/checkpoint_private.h"

static struct checkpoint_request *first_request(struct qb_list_head *list)
{
	return qb_list_empty(list) ? NULL :
				     qb_list_first_entry(list, struct checkpoint_request, link);
}

static void handle_free(struct checkpoint_handle *h)
{
	qb_list_del(&h->link);
	free(h);
}

/* --- sending -------------------------------------------------------------------- */

static int refusal(struct checkpoint_store *s, enum checkpoint_kind kind)
{
	if (s->is_broken)
		return -ESHUTDOWN;
	if (!checkpoint_is_ready(s))
		return -EAGAIN;
	/* counts are this node's own affair: see C2 */
	return kind == CHECKPOINT_CLOSE || sync_is_quorate(s->sync) ? 0 : -EROFS;
}

/* 0: the request is under way. */
static int submit(struct checkpoint_store *s, struct checkpoint_request *r,
		  struct checkpoint_operation *o)
{
	uint8_t head[CHECKPOINT_HEAD_BYTES];
	struct iovec parts[2] = {
		{ .iov_base = head },
		{ (void *)(uintptr_t)o->data, o->length },
	};
	int result = refusal(s, o->kind);

	if (result == 0) {
		o->incarnation = s->config.incarnation;
		o->serial = s->last_serial + 1;
		parts[0].iov_len = checkpoint_operation_write(o, head);
		result = group_multicast(s->group, GROUP_SAFE, parts, 2);
	}
	if (result == -EAGAIN && o->kind != CHECKPOINT_CLOSE)
		s->is_wanted = true;
	if (result < 0)
		return result;
	r->kind = o->kind;
	r->serial = ++s->last_serial;
	qb_list_add_tail(&r->link, &s->requests);
	return 0;
}

/* A request of its own, for what has no handle to keep it in. */
static int submit_new(struct checkpoint_store *s, struct checkpoint_operation *o,
		      checkpoint_done_fn done, void *owner)
{
	struct checkpoint_request *r = calloc(1, sizeof(*r));
	int result;

	if (!r)
		return -ENOMEM;
	r->done = done;
	r->owner = owner;
	result = submit(s, r, o);
	if (result < 0)
		free(r);
	return result;
}

static bool is_name(const void *name, size_t length)
{
	return name && length >= 1 && length <= CHECKPOINT_MAX_NAME;
}

int checkpoint_open(struct checkpoint_store *s, const void *name, size_t name_length,
		    unsigned int flags, const struct checkpoint_handlers *handlers,
		    void *owner, struct checkpoint_handle **handle)
{
	struct checkpoint_operation o = {
		.kind = CHECKPOINT_OPEN,
		.flags = flags,
		.name = name,
		.name_length = name_length,
	};
	struct checkpoint_handle *h;
	int result;

	if (!is_name(name, name_length) ||
	    (flags & ~(unsigned int)(CHECKPOINT_CREATE | CHECKPOINT_EXCLUSIVE)))
		return -EINVAL;
	h = calloc(1, sizeof(*h));
	if (!h)
		return -ENOMEM;
	h->store = s;
	h->handlers = *handlers;
	h->owner = owner;
	h->request.handle = h;
	result = submit(s, &h->request, &o);
	if (result < 0) {
		free(h);
		return result;
	}
	qb_list_add_tail(&h->link, &s->handles);
	*handle = h;
	return 0;
}

int checkpoint_unlink(struct checkpoint_store *s, const void *name, size_t name_length,
		      checkpoint_done_fn done, void *owner)
{
	struct checkpoint_operation o = {
		.kind = CHECKPOINT_UNLINK,
		.name = name,
		.name_length = name_length,
	};

	return is_name(name, name_length) ? submit_new(s, &o, done, owner) : -EINVAL;
}

static bool is_usable(const struct checkpoint_handle *h)
{
	return h->state == CHECKPOINT_HANDLE_OPEN && !h->is_lost && !h->is_unwanted;
}

int checkpoint_write(struct checkpoint_handle *h, const void *section,
		     size_t section_length, const void *data, size_t length,
		     checkpoint_done_fn done, void *owner)
{
	struct checkpoint_operation o = {
		.kind = CHECKPOINT_WRITE,
		.id = h->id,
		.name = section,
		.name_length = section_length,
		.data = data,
		.length = length,
	};

	if (!is_name(section, section_length) || length > CHECKPOINT_MAX_DATA)
		return -EINVAL;
	return is_usable(h) ? submit_new(h->store, &o, done, owner) : -ESTALE;
}

int checkpoint_delete(struct checkpoint_handle *h, const void *section,
		      size_t section_length, checkpoint_done_fn done, void *owner)
{
	struct checkpoint_operation o = {
		.kind = CHECKPOINT_DELETE,
		.id = h->id,
		.name = section,
		.name_length = section_length,
	};

	if (!is_name(section, section_length))
		return -EINVAL;
	return is_usable(h) ? submit_new(h->store, &o, done, owner) : -ESTALE;
}

int checkpoint_read(const struct checkpoint_handle *h, const void *section,
		    size_t section_length, const void **data, size_t *length)
{
	const struct checkpoint *c = checkpoint_tree_find(&h->store->live, &h->id);
	const struct checkpoint_section *found;

	if (!is_usable(h) || !c)
		return -ESTALE;
	if (!is_name(section, section_length))
		return -EINVAL;
	found = checkpoint_section(c, section, section_length);
	if (!found)
		return -ENOENT;
	*data = found->bytes + found->name_length;
	*length = found->length;
	return 0;
}

/* --- closing -------------------------------------------------------------------- */

static int send_close(struct checkpoint_handle *h)
{
	struct checkpoint_operation o = { .kind = CHECKPOINT_CLOSE, .id = h->id };
	int result = submit(h->store, &h->request, &o);

	if (result == 0) {
		h->state = CHECKPOINT_HANDLE_CLOSING;
		h->store->closes_due--;
	}
	return result;
}

/* As many as there is credit for; the others at the next occasion. */
static void send_closes(struct checkpoint_store *s)
{
	struct checkpoint_handle *h;
	int result = 0;

	if (s->closes_due == 0)
		return;
	qb_list_for_each_entry(h, &s->handles, link) {
		if (h->state == CHECKPOINT_HANDLE_OPEN && h->is_unwanted)
			result = send_close(h);
		if (result < 0 || s->closes_due == 0)
			break;
	}
	if (result == -ENOMEM)
		checkpoint_break(s, "has no memory to close a checkpoint");
}

void checkpoint_close(struct checkpoint_handle *h)
{
	struct checkpoint_store *s = h->store;

	assert(!h->is_unwanted);
	h->is_unwanted = true;
	if (h->is_lost || h->state != CHECKPOINT_HANDLE_OPEN)
		return; /* whoever is about to tell it sees that, and ends it */
	if (s->is_broken) {
		handle_free(h);
		return;
	}
	s->closes_due++;
	send_closes(s);
}

void checkpoint_go_on(struct checkpoint_store *s)
{
	if (!checkpoint_is_ready(s))
		return;
	send_closes(s);
	if (!s->is_wanted || s->is_broken)
		return;
	s->is_wanted = false;
	if (s->ops.opened)
		s->ops.opened(s->owner);
}

/* --- answers -------------------------------------------------------------------- */

static void become_open(struct checkpoint_handle *h)
{
	h->state = CHECKPOINT_HANDLE_OPEN;
	if (!h->is_unwanted)
		return;
	h->store->closes_due++;
	send_closes(h->store);
}

/* Cancelled, it may have been opened all the same: then it is to be closed. */
static void finish_failed(struct checkpoint_handle *h, int result)
{
	bool is_there = h->state == CHECKPOINT_HANDLE_HELD && !h->store->is_broken &&
			checkpoint_tree_find(&h->store->live, &h->id);

	h->is_lost = true; /* to close it from within is nothing */
	if (!h->is_unwanted)
		h->handlers.opened(h->owner, result);
	if (!is_there || h->store->is_broken) {
		handle_free(h);
		return;
	}
	h->is_lost = false;
	h->is_unwanted = true;
	become_open(h);
}

static void finish_open(struct checkpoint_handle *h, int result)
{
	if (result < 0) {
		finish_failed(h, result);
		return;
	}
	become_open(h);
	if (!h->is_unwanted)
		h->handlers.opened(h->owner, 0);
}

static void finish_close(struct checkpoint_handle *h, int result)
{
	if (result == -EAGAIN && !h->is_lost) {
		h->state = CHECKPOINT_HANDLE_OPEN;
		h->store->closes_due++;
	} else {
		handle_free(h);
	}
}

static void finish(struct checkpoint_store *s, struct checkpoint_request *r)
{
	const struct checkpoint_request copy = *r;

	if (copy.result == -EAGAIN)
		s->is_wanted = true;
	if (copy.kind == CHECKPOINT_OPEN) {
		finish_open(copy.handle, copy.result);
	} else if (copy.kind == CHECKPOINT_CLOSE) {
		finish_close(copy.handle, copy.result);
	} else {
		free(r);
		if (copy.done)
			copy.done(copy.owner, copy.result);
	}
}

void checkpoint_answer(struct checkpoint_store *s, const struct checkpoint_operation *o,
		       int result, const struct checkpoint_id *id)
{
	struct checkpoint_request *r = first_request(&s->requests);

	if (!r || r->serial != o->serial) {
		s->stats.faults[CHECKPOINT_FAULT_ORDER]++;
		return;
	}
	qb_list_del(&r->link);
	r->result = result;
	if (r->kind == CHECKPOINT_OPEN && result == 0) {
		r->handle->id = *id;
		r->handle->state = CHECKPOINT_HANDLE_HELD;
	}
	/* nobody waits for a close, and its count is told anew anyway */
	if (s->is_transitional && r->kind != CHECKPOINT_CLOSE)
		qb_list_add_tail(&r->link, &s->held);
	else
		finish(s, r);
}

/* --- after a sync phase --------------------------------------------------------- */

static void answer_held(struct checkpoint_store *s)
{
	struct checkpoint_request *r;

	while ((r = first_request(&s->held))) {
		qb_list_del(&r->link);
		finish(s, r);
	}
}

void checkpoint_held_confirm(struct checkpoint_store *s)
{
	answer_held(s);
}

/*
 * That this node is active does not say that others are: a majority of them may
 * yet go on from what was before. A safe message says so. Without credit there are
 * others of ours under way, and any will do.
 */
void checkpoint_held_mark(struct checkpoint_store *s)
{
	const struct checkpoint_operation o = {
		.kind = CHECKPOINT_MARK,
		.incarnation = s->config.incarnation,
	};
	uint8_t head[CHECKPOINT_HEAD_BYTES];
	struct iovec part = { .iov_base = head };

	if (qb_list_empty(&s->held))
		return;
	part.iov_len = checkpoint_operation_write(&o, head);
	if (group_multicast(s->group, GROUP_SAFE, &part, 1) == -ENOMEM)
		checkpoint_break(s, "has no memory for a checkpoint");
}

void checkpoint_held_cancel(struct checkpoint_store *s)
{
	struct checkpoint_request *r;

	qb_list_for_each_entry(r, &s->held, link) {
		if (r->result == -EROFS)
			continue; /* nobody had a quorum then */
		r->result = -ECANCELED;
		s->stats.in_doubt++;
	}
	answer_held(s);
}

void checkpoint_handles_settle(struct checkpoint_store *s)
{
	struct checkpoint_handle *h, *next;

	qb_list_for_each_entry_safe(h, next, &s->handles, link) {
		if (h->state == CHECKPOINT_HANDLE_OPENING ||
		    h->state == CHECKPOINT_HANDLE_HELD ||
		    checkpoint_tree_find(&s->live, &h->id))
			continue;
		s->stats.lost++;
		h->is_lost = true;
		if (h->state == CHECKPOINT_HANDLE_CLOSING)
			continue; /* until its message comes back */
		if (h->is_unwanted)
			s->closes_due--;
		qb_list_del(&h->link);
		qb_list_add_tail(&h->link, &s->lost);
	}
}

void checkpoint_handles_tell(struct checkpoint_store *s)
{
	while (!qb_list_empty(&s->lost)) {
		struct checkpoint_handle *h =
			qb_list_first_entry(&s->lost, struct checkpoint_handle, link);

		if (!h->is_unwanted && h->handlers.lost)
			h->handlers.lost(h->owner);
		handle_free(h);
	}
}

/* --- the end -------------------------------------------------------------------- */

void checkpoint_requests_fail(struct checkpoint_store *s)
{
	struct checkpoint_request *r;

	while ((r = first_request(&s->held)) || (r = first_request(&s->requests))) {
		qb_list_del(&r->link);
		r->result = -ESHUTDOWN;
		finish(s, r);
	}
}

static void free_requests(struct qb_list_head *list)
{
	struct checkpoint_request *r;

	while ((r = first_request(list))) {
		qb_list_del(&r->link);
		if (!r->handle)
			free(r);
	}
}

static void free_handles(struct qb_list_head *list)
{
	while (!qb_list_empty(list))
		handle_free(qb_list_first_entry(list, struct checkpoint_handle, link));
}

void checkpoint_requests_free(struct checkpoint_store *s)
{
	free_requests(&s->requests);
	free_requests(&s->held);
	free_handles(&s->handles);
	free_handles(&s->lost);
}
