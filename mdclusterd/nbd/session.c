/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "mdclusterd/nbd/session_private.h"

#include <stdlib.h>
#include <string.h>

#include "base/arith.h"

struct nbd_session *nbd_session_new(struct nbd_export *export,
				    const struct nbd_session_ops *ops, void *owner)
{
	size_t bytes = sizeof(struct nbd_session) +
		       export->max_requests * sizeof(struct nbd_request);
	struct nbd_session *s = malloc(bytes);

	if (!s)
		return NULL;
	memset(s, 0, offsetof(struct nbd_session, in));
	memset((uint8_t *)s + offsetof(struct nbd_session, in_at), 0,
	       bytes - offsetof(struct nbd_session, in_at));
	s->export = export;
	s->ops = ops;
	s->owner = owner;
	QB_INIT_LIST_HEAD(&s->free_requests);
	QB_INIT_LIST_HEAD(&s->free_parts);
	QB_INIT_LIST_HEAD(&s->outs);
	for (uint32_t i = 0; i < export->max_requests; i++)
		qb_list_add_tail(&s->requests[i].link, &s->free_requests);
	nbd_greet(s);
	return s;
}

void nbd_session_free(struct nbd_session *s)
{
	struct qb_list_head *at, *next;

	if (!s)
		return;
	qb_list_for_each_safe(at, next, &s->free_parts)
		free(qb_list_entry(at, struct nbd_part, link));
	free(s);
}

/* --- its end ---------------------------------------------------------------------------- */

static void set_starved(struct nbd_session *s, bool is_starved)
{
	if (s->is_starved == is_starved)
		return;
	s->is_starved = is_starved;
	if (is_starved) {
		s->export->starved++;
		s->export->counters.memory_waits++;
	} else {
		s->export->starved--;
	}
}

void nbd_session_leave(struct nbd_session *s)
{
	s->state = NBD_LEAVING;
}

/* The protocol has no answer to what came. */
void nbd_session_cut(struct nbd_session *s, const char *why)
{
	if (!s->fault)
		s->fault = why;
	nbd_session_leave(s);
}

void nbd_session_drain(struct nbd_session *s)
{
	s->is_draining = true;
}

void nbd_session_abandon(struct nbd_session *s)
{
	if (s->is_gone)
		return;
	s->is_gone = true;
	nbd_session_leave(s);
	set_starved(s, false);
	nbd_forget_current(s);
	nbd_unsay(s);
}

static bool has_nothing_to_say(const struct nbd_session *s)
{
	return s->open_requests == 0 && qb_list_empty(&s->outs);
}

bool nbd_session_is_over(const struct nbd_session *s)
{
	if (s->is_gone || s->fault)
		return true;
	if (s->state == NBD_LEAVING)
		return has_nothing_to_say(s);
	return s->is_draining && !s->current && s->skip == 0 && has_nothing_to_say(s);
}

bool nbd_session_is_idle(const struct nbd_session *s)
{
	return s->parts == 0;
}

bool nbd_session_is_starved(const struct nbd_session *s)
{
	return s->is_starved;
}

enum nbd_session_state nbd_session_state(const struct nbd_session *s)
{
	return s->state;
}

const char *nbd_session_fault(const struct nbd_session *s)
{
	return s->fault;
}

void nbd_session_look(const struct nbd_session *s, struct nbd_client_look *look)
{
	look->is_negotiating = s->state < NBD_TRANSMITTING;
	look->is_leaving = s->state == NBD_LEAVING;
	look->has_structured_replies = s->has_structured_replies;
	look->requests = s->open_requests;
	look->in_volume = s->in_volume;
	look->memory_bytes = s->share.bytes;
	look->waits_for = s->waits_for;
}

/* --- bytes in ----------------------------------------------------------------------------- */

static enum nbd_step skip(struct nbd_session *s)
{
	uint64_t n = min_u64(s->skip, nbd_in_bytes(s));

	s->skip -= n;
	s->in_at += n;
	return s->skip ? NBD_NEEDS_INPUT : NBD_AGAIN;
}

static enum nbd_step step(struct nbd_session *s)
{
	if (s->state == NBD_LEAVING)
		return NBD_WAITS;
	if (s->skip)
		return skip(s);
	switch (s->state) {
	case NBD_GREETED:
		return nbd_hear_client_flags(s);
	case NBD_HAGGLING:
		return nbd_hear_option(s);
	case NBD_TRANSMITTING:
	case NBD_LEAVING:
		break;
	}
	return s->current ? nbd_go_on(s) : nbd_hear_request(s);
}

void nbd_session_advance(struct nbd_session *s)
{
	enum nbd_step last;

	if (s->is_gone)
		return;
	s->waits_for = NULL;
	do
		last = step(s);
	while (last == NBD_AGAIN);
	set_starved(s, last == NBD_WAITS && s->current);
	if (last == NBD_NEEDS_INPUT && s->is_input_over) {
		nbd_forget_current(s);
		nbd_session_leave(s);
	}
}

/*
 * A long payload goes to its place at once, with no more of what follows than a request:
 * so a stream of long writes is not copied at all, and costs one call each.
 */
size_t nbd_session_room(struct nbd_session *s, struct iovec room[2])
{
	size_t n = 0, rest = 0, tail;

	if (s->state == NBD_LEAVING || s->is_input_over || s->waits_for)
		return 0;
	memmove(s->in, s->in + s->in_at, nbd_in_bytes(s));
	s->in_end -= s->in_at;
	s->in_at = 0;
	if (s->filling) {
		rest = s->filling->length - s->filling->filled;
		room[n++] = (struct iovec){
			(uint8_t *)s->filling->buffer + s->filling->filled, rest,
		};
	}
	tail = sizeof(s->in) - s->in_end;
	if (rest >= NBD_DIRECT_BYTES)
		tail = min_u64(tail, NBD_REQUEST_BYTES);
	room[n++] = (struct iovec){ s->in + s->in_end, tail };
	return n;
}

void nbd_session_heard(struct nbd_session *s, size_t bytes)
{
	if (s->filling) {
		size_t rest = s->filling->length - s->filling->filled;
		size_t here = min_u64(bytes, rest);

		s->filling->filled += (uint32_t)here;
		bytes -= here;
	}
	s->in_end += bytes;
}

void nbd_session_end_of_input(struct nbd_session *s)
{
	s->is_input_over = true;
}
