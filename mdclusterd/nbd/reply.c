/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Replies: what they are made of, and the order in which they are sent.
 *
 * A READ is answered by its parts. With structured replies each is a chunk, in any order,
 * and the last one to come says so. Without, there is one reply: of a READ that was cut in
 * parts it begins with the first one and stays open, a stream, for which all other replies
 * wait (is_mid_reply), part by part, in the memory of the first. An error in the middle of
 * it can only be told by hanging up.
 */
#include "mdclusterd/nbd/session_private.h"

#include <string.h>

#include "base/arith.h"

/* --- the queue -------------------------------------------------------------------------------- */

static void queue(struct nbd_session *s, struct nbd_out *out, bool is_first)
{
	out->is_queued = true;
	if (is_first)
		qb_list_add(&out->link, &s->outs);
	else
		qb_list_add_tail(&out->link, &s->outs);
}

void nbd_say(struct nbd_session *s, struct nbd_out *out)
{
	queue(s, out, false);
}

static size_t add(struct iovec *to, const void *bytes, size_t length, size_t *skip)
{
	size_t skipped = min_u64(*skip, length);

	*skip -= skipped;
	if (length == skipped)
		return 0;
	*to = (struct iovec){ (uint8_t *)(uintptr_t)bytes + skipped, length - skipped };
	return 1;
}

size_t nbd_session_output(struct nbd_session *s, struct iovec *to, size_t max)
{
	size_t skip = s->sent_bytes, n = 0;
	struct nbd_out *out;

	if (s->is_mid_reply)
		return 0;
	qb_list_for_each_entry(out, &s->outs, link) {
		if (n + 2 > max)
			break;
		n += add(to + n, out->head, out->head_bytes, &skip);
		n += add(to + n, out->body, out->body_bytes, &skip);
		if (out->is_followed)
			break;
	}
	return n;
}

void nbd_session_sent(struct nbd_session *s, size_t bytes)
{
	s->sent_bytes += bytes;
	while (!qb_list_empty(&s->outs)) {
		struct nbd_out *out = qb_list_first_entry(&s->outs, struct nbd_out, link);
		size_t all = out->head_bytes + out->body_bytes;

		if (s->sent_bytes < all || s->is_mid_reply)
			break;
		s->sent_bytes -= all;
		qb_list_del(&out->link);
		out->is_queued = false;
		s->is_mid_reply = out->is_followed;
		out->sent(s, out);
	}
}

static void part_sent(struct nbd_session *s, struct nbd_out *out);

void nbd_unsay(struct nbd_session *s)
{
	while (!qb_list_empty(&s->outs)) {
		struct nbd_out *out = qb_list_first_entry(&s->outs, struct nbd_out, link);

		qb_list_del(&out->link);
		out->is_queued = false;
		if (out->sent == part_sent)
			nbd_part_let_go(container_of(out, struct nbd_part, out));
	}
}

/* --- requests ---------------------------------------------------------------------------------- */

void nbd_fail(struct nbd_request *request, enum nbd_error error, const char *why)
{
	if (request->error)
		return;
	request->error = error;
	request->why = why;
}

static void request_over(struct nbd_session *s, struct nbd_request *request)
{
	s->open_requests--;
	qb_list_add(&request->link, &s->free_requests);
}

static void reply_sent(struct nbd_session *s, struct nbd_out *out)
{
	request_over(s, container_of(out, struct nbd_request, out));
}

static void say_reply(struct nbd_session *s, struct nbd_request *request, size_t head_bytes,
		      const char *text)
{
	struct nbd_out *out = &request->out;

	out->head_bytes = (uint32_t)head_bytes;
	out->body = text;
	out->body_bytes = (uint32_t)strlen(text);
	out->is_followed = false;
	out->sent = reply_sent;
	nbd_say(s, out);
}

/* An error as a chunk, with its reason; a READ has no other way, without which it has none. */
static void say_error(struct nbd_session *s, struct nbd_request *request)
{
	size_t bytes;

	if (s->has_structured_replies) {
		bytes = nbd_chunk_error_out(request->out.head, request->head.cookie,
					    request->error,
					    (uint16_t)strlen(request->why));
		say_reply(s, request, bytes, request->why);
	} else {
		bytes = nbd_reply_out(request->out.head, request->head.cookie,
				      request->error);
		say_reply(s, request, bytes, "");
	}
}

/*
 * What an export that is being closed does not do any more is left unanswered, and the client
 * is hung up on: who connects again, as the kernel and qemu do, asks the next daemon. An
 * error would be that of a disk, to whom a file system belongs.
 */
void nbd_answer(struct nbd_session *s, struct nbd_request *request)
{
	if (request->error == NBD_ESHUTDOWN && s->is_draining)
		request_over(s, request);
	else if (request->error)
		say_error(s, request);
	else
		say_reply(s, request, nbd_reply_out(request->out.head,
						    request->head.cookie, NBD_OK), "");
}

void nbd_answer_extent(struct nbd_session *s, struct nbd_request *request)
{
	say_reply(s, request, nbd_chunk_status_out(request->out.head, request->head.cookie,
						   NBD_ALLOCATION_ID,
						   request->head.length), "");
}

/* --- parts -------------------------------------------------------------------------------------- */

static void part_sent(struct nbd_session *s, struct nbd_out *out)
{
	struct nbd_part *part = container_of(out, struct nbd_part, out);
	struct nbd_request *request = part->request;

	if (s->is_mid_reply) {
		nbd_part_again(part);
		return;
	}
	if (part->is_last)
		request_over(s, request);
	nbd_part_let_go(part);
}

static bool is_whole(const struct nbd_request *request)
{
	return request->next == request->end && request->running == 0;
}

static void say_part(struct nbd_part *part, size_t head_bytes)
{
	struct nbd_out *out = &part->out;

	out->head_bytes = (uint32_t)head_bytes;
	out->body = part->buffer;
	out->body_bytes = part->length;
	out->sent = part_sent;
}

static void say_chunk(struct nbd_part *part)
{
	struct nbd_request *request = part->request;

	part->is_last = is_whole(request) && !request->error;
	say_part(part, nbd_chunk_data_out(part->out.head, request->head.cookie,
					  part->is_last, part->io.offset_bytes,
					  part->length));
	part->out.is_followed = false;
	nbd_say(part->session, &part->out);
}

/* A part of the one reply, or all of it. */
static void say_stream(struct nbd_part *part)
{
	struct nbd_session *s = part->session;
	struct nbd_request *request = part->request;
	bool is_first = part->io.offset_bytes == request->head.offset;

	part->is_last = request->next == request->end;
	say_part(part, is_first ? nbd_reply_out(part->out.head, request->head.cookie, NBD_OK)
				: 0);
	part->out.is_followed = !part->is_last;
	if (!is_first)
		s->is_mid_reply = false;
	queue(s, &part->out, !is_first);
}

static void answer_read(struct nbd_part *part)
{
	struct nbd_session *s = part->session;
	struct nbd_request *request = part->request;

	if (s->has_structured_replies) {
		if (!request->error)
			say_chunk(part);
		if (request->error && is_whole(request))
			nbd_answer(s, request);
	} else if (!request->error) {
		say_stream(part);
	} else if (part->io.offset_bytes != request->head.offset) {
		nbd_session_cut(s, "a READ failed when half of it had been sent");
	} else {
		request->next = request->end;
		nbd_answer(s, request);
	}
}

void nbd_answer_part(struct nbd_part *part, int result)
{
	struct nbd_session *s = part->session;
	struct nbd_request *request = part->request;

	if (result < 0) {
		s->export->counters.failed++;
		nbd_fail(request, nbd_error_of(result), strerror(-result));
	}
	if (part->io.op == VOLUME_READ)
		answer_read(part);
	else if (is_whole(request))
		nbd_answer(s, request);
}
