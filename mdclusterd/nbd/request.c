/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Requests: whether they can be done, and the ios that do them. Each takes nbd_request from
 * its session, which bounds how many are under way (Z4), and parts: as many as its data are
 * cut in (Z3), one where there are none.
 *
 * One request at a time is being cut, s->current; what comes behind it waits until it has
 * all its parts, for its payload, or memory. Then it is the volume's, and the next one's turn.
 */
#include "mdclusterd/nbd/session_private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/arith.h"

/* --- parts -------------------------------------------------------------------------------------- */

static void give_buffer(struct nbd_part *part)
{
	struct nbd_session *s = part->session;

	if (!part->buffer)
		return;
	nbd_memory_give(&s->export->memory, &s->share, part->buffer, part->buffer_bytes);
	part->buffer = NULL;
	if (s->export->starved > 0)
		s->ops->memory_freed(s->owner);
}

void nbd_part_let_go(struct nbd_part *part)
{
	struct nbd_session *s = part->session;

	if (part->is_running || part->out.is_queued || part->io.is_held)
		return;
	give_buffer(part);
	qb_list_add(&part->link, &s->free_parts);
	s->parts--;
}

static struct nbd_part *recycled(struct nbd_session *s, size_t io_bytes)
{
	while (!qb_list_empty(&s->free_parts)) {
		struct nbd_part *part = qb_list_first_entry(&s->free_parts,
							    struct nbd_part, link);

		qb_list_del(&part->link);
		if (part->io_bytes >= io_bytes)
			return part;
		free(part); /* of another volume */
	}
	return NULL;
}

/* NULL: no memory. */
static struct nbd_part *part_new(struct nbd_session *s, struct nbd_request *request)
{
	size_t io_bytes = max_u64(s->export->volume ? s->export->volume->io_bytes : 0,
				  sizeof(struct volume_io));
	struct nbd_part *part = recycled(s, io_bytes);

	if (!part) {
		part = malloc(offsetof(struct nbd_part, io) + io_bytes);
		if (!part)
			return NULL;
		memset(part, 0, sizeof(*part));
		part->session = s;
		part->io_bytes = io_bytes;
	}
	part->request = request;
	part->length = part->filled = 0;
	part->io.is_held = false;
	s->parts++;
	return part;
}

/* With memory for at least `least` bytes of what its request has left, or NULL. */
static struct nbd_part *part_with_memory(struct nbd_session *s, struct nbd_request *request,
					 uint64_t least)
{
	uint64_t left = request->end - request->next;
	uint64_t want = min_u64(left, NBD_PIECE_BYTES);
	struct nbd_part *part = part_new(s, request);

	if (!part)
		return NULL;
	part->buffer = nbd_memory_take(&s->export->memory, &s->share, want,
				       min_u64(least, want), &part->buffer_bytes);
	if (!part->buffer) {
		nbd_part_let_go(part);
		return NULL;
	}
	part->length = (uint32_t)min_u64(left, part->buffer_bytes);
	if (s->export->volume)
		part->length = (uint32_t)min_u64(part->length,
						 s->export->volume->max_bytes);
	return part;
}

static void io_done(struct volume_io *io, int result)
{
	struct nbd_part *part = container_of(io, struct nbd_part, io);
	struct nbd_session *s = part->session;

	part->is_running = false;
	part->request->running--;
	s->in_volume--;
	if (!s->is_gone)
		nbd_answer_part(part, result);
	nbd_part_let_go(part);
	s->ops->wake(s->owner);
}

static void io_released(struct volume_io *io)
{
	struct nbd_part *part = container_of(io, struct nbd_part, io);
	struct nbd_session *s = part->session;

	io->is_held = false;
	nbd_part_let_go(part);
	s->ops->wake(s->owner);
}

/* Its range begins where its request's other parts end. */
static void submit(struct nbd_part *part, enum volume_op op, uint64_t length)
{
	struct nbd_request *request = part->request;
	struct nbd_session *s = part->session;
	struct volume_io *io = &part->io;
	int r = -ESHUTDOWN;

	io->op = op;
	io->flags = (request->head.flags & NBD_CMD_FLAG_FUA ? VOLUME_FUA : 0) |
		    (request->head.flags & NBD_CMD_FLAG_NO_HOLE ? VOLUME_NO_HOLE : 0);
	if (op == VOLUME_READ || op == VOLUME_FLUSH)
		io->flags = 0;
	io->offset_bytes = request->next;
	io->length_bytes = length;
	io->buffer = part->buffer;
	io->done = io_done;
	io->released = io_released;
	io->is_held = false;
	request->next += length;
	request->running++;
	s->in_volume++;
	part->is_running = true;
	if (s->export->volume)
		r = volume_submit(s->export->volume, io);
	if (r < 0)
		io_done(io, r);
}

/* Memory that the kernel still has cannot be used again, and this may not wait for other. */
void nbd_part_again(struct nbd_part *part)
{
	struct nbd_session *s = part->session;
	struct nbd_request *request = part->request;

	if (part->io.is_held) {
		nbd_session_cut(s, "a READ hangs of which half had been sent");
		return;
	}
	part->length = (uint32_t)min_u64(part->length, request->end - request->next);
	submit(part, VOLUME_READ, part->length);
}

/* --- the current request ------------------------------------------------------------------------ */

/* Waiting helps where something of this client is under way, and will give memory back. */
static enum nbd_step starve(struct nbd_session *s, struct nbd_request *request)
{
	if (s->parts > 0) {
		s->waits_for = "memory";
		return NBD_WAITS;
	}
	nbd_fail(request, NBD_ENOMEM, "there is no memory");
	return NBD_AGAIN;
}

/* What is not in parts yet never will be. */
static void give_up(struct nbd_session *s, struct nbd_request *request)
{
	request->next = request->end;
	s->current = NULL;
	if (request->running == 0)
		nbd_answer(s, request);
}

/* Without structured replies only the first part goes now: reply.c asks for the others. */
static enum nbd_step read_on(struct nbd_session *s, struct nbd_request *request)
{
	bool is_one = request->head.flags & NBD_CMD_FLAG_DF;

	while (request->next < request->end) {
		struct nbd_part *part;

		if (request->error) {
			give_up(s, request);
			return NBD_AGAIN;
		}
		part = part_with_memory(s, request,
					is_one ? NBD_RESERVE_BYTES : NBD_LEAST_BYTES);
		if (!part) {
			if (starve(s, request) == NBD_WAITS)
				return NBD_WAITS;
			continue;
		}
		submit(part, VOLUME_READ, part->length);
		if (!s->has_structured_replies)
			break;
	}
	s->current = NULL;
	return NBD_AGAIN;
}

/* What was read ahead of it. */
static void fill(struct nbd_session *s, struct nbd_part *part)
{
	size_t n = min_u64(part->length - part->filled, nbd_in_bytes(s));

	memcpy((uint8_t *)part->buffer + part->filled, s->in + s->in_at, n);
	part->filled += (uint32_t)n;
	s->in_at += n;
}

/*
 * The payload of what failed is read all the same, and then answered: a client may not
 * understand an answer to what it is still sending.
 */
static enum nbd_step skip_payload(struct nbd_session *s, struct nbd_request *request)
{
	s->skip = request->end - request->next;
	request->next = request->end;
	request->running++;
	request->is_skipped = true;
	return NBD_AGAIN;
}

static void payload_over(struct nbd_session *s, struct nbd_request *request)
{
	s->current = NULL;
	if (!request->is_skipped)
		return;
	request->is_skipped = false;
	request->running--;
	if (request->running == 0)
		nbd_answer(s, request);
}

static enum nbd_step write_on(struct nbd_session *s, struct nbd_request *request)
{
	struct nbd_part *part = s->filling;

	if (!part) {
		if (request->next == request->end) {
			payload_over(s, request);
			return NBD_AGAIN;
		}
		if (request->error)
			return skip_payload(s, request);
		part = part_with_memory(s, request, NBD_LEAST_BYTES);
		if (!part)
			return starve(s, request);
		s->filling = part;
	}
	fill(s, part);
	if (part->filled < part->length)
		return NBD_NEEDS_INPUT;
	s->filling = NULL;
	submit(part, VOLUME_WRITE, part->length);
	return NBD_AGAIN;
}

enum nbd_step nbd_go_on(struct nbd_session *s)
{
	struct nbd_request *request = s->current;

	return request->head.command == NBD_CMD_WRITE ? write_on(s, request)
						      : read_on(s, request);
}

void nbd_forget_current(struct nbd_session *s)
{
	struct nbd_request *request = s->current;
	struct nbd_part *part = s->filling;

	s->skip = 0;
	s->filling = NULL;
	s->current = NULL;
	if (part)
		nbd_part_let_go(part);
	if (!request)
		return;
	nbd_fail(request, NBD_EINVAL, "its payload ended early");
	if (request->is_skipped)
		payload_over(s, request);
	else
		give_up(s, request);
}

/* --- what is asked for -------------------------------------------------------------------------- */

static bool is_data(const struct nbd_request_head *head)
{
	return head->command == NBD_CMD_READ || head->command == NBD_CMD_WRITE;
}

static bool is_change(const struct nbd_request_head *head)
{
	return head->command == NBD_CMD_WRITE || head->command == NBD_CMD_TRIM ||
	       head->command == NBD_CMD_WRITE_ZEROES;
}

/* Bits that a command may have; FUA goes with all, for clients say it of what it is not of. */
static uint16_t flags_of(const struct nbd_session *s, const struct nbd_request_head *head)
{
	switch (head->command) {
	case NBD_CMD_READ:
		return NBD_CMD_FLAG_FUA |
		       (s->has_structured_replies ? NBD_CMD_FLAG_DF : 0);
	case NBD_CMD_WRITE_ZEROES:
		return NBD_CMD_FLAG_FUA | NBD_CMD_FLAG_NO_HOLE;
	case NBD_CMD_BLOCK_STATUS:
		return NBD_CMD_FLAG_FUA | NBD_CMD_FLAG_REQ_ONE;
	default:
		return NBD_CMD_FLAG_FUA;
	}
}

static bool is_known(const struct nbd_session *s, const struct nbd_request_head *head)
{
	switch (head->command) {
	case NBD_CMD_READ:
	case NBD_CMD_WRITE:
	case NBD_CMD_FLUSH:
	case NBD_CMD_WRITE_ZEROES:
		return true;
	case NBD_CMD_TRIM:
		return s->export->volume->has_trim;
	case NBD_CMD_BLOCK_STATUS:
		return s->has_allocation;
	default:
		return false;
	}
}

/* Z3. */
static void check_range(const struct nbd_session *s, struct nbd_request *request)
{
	const struct nbd_request_head *head = &request->head;
	const struct volume *volume = s->export->volume;

	if (head->length == 0)
		nbd_fail(request, NBD_EINVAL, "a length of 0");
	else if (head->offset % volume->block_bytes || head->length % volume->block_bytes)
		nbd_fail(request, NBD_EINVAL, "not on the blocks of the export");
	else if (head->offset > volume->size_bytes ||
		 head->length > volume->size_bytes - head->offset)
		nbd_fail(request, is_change(head) && head->command != NBD_CMD_TRIM
					  ? NBD_ENOSPC : NBD_EINVAL,
			 "beyond the end of the export");
	else if (is_data(head) && head->length > NBD_MAX_BYTES)
		nbd_fail(request, head->command == NBD_CMD_READ ? NBD_EOVERFLOW : NBD_EINVAL,
			 "longer than a request may be");
	else if (head->flags & NBD_CMD_FLAG_DF && head->length > NBD_RESERVE_BYTES)
		nbd_fail(request, NBD_EOVERFLOW, "too long for a reply in one chunk");
}

static void check(const struct nbd_session *s, struct nbd_request *request)
{
	const struct nbd_request_head *head = &request->head;

	if (s->is_draining || !s->export->volume)
		nbd_fail(request, NBD_ESHUTDOWN, "the array is being stopped");
	else if (!is_known(s, head))
		nbd_fail(request, NBD_EINVAL, "not a command of this export");
	else if (head->flags & ~flags_of(s, head))
		nbd_fail(request, NBD_EINVAL, "a flag that this command has not");
	else if (is_change(head) && s->export->volume->is_read_only)
		nbd_fail(request, NBD_EPERM, "the export is read-only");
	else if (head->command != NBD_CMD_FLUSH)
		check_range(s, request);
	else if (head->offset || head->length)
		nbd_fail(request, NBD_EINVAL, "a flush of a range");
}

/* --- requests ------------------------------------------------------------------------------------- */

static struct nbd_request *request_new(struct nbd_session *s,
				       const struct nbd_request_head *head)
{
	struct nbd_request *request = qb_list_first_entry(&s->free_requests,
							  struct nbd_request, link);

	qb_list_del(&request->link);
	s->open_requests++;
	request->head = *head;
	request->next = head->offset;
	request->end = head->offset + head->length;
	request->running = 0;
	request->error = NBD_OK;
	request->is_skipped = false;
	return request;
}

static void without_data(struct nbd_session *s, struct nbd_request *request,
			 enum volume_op op)
{
	struct nbd_part *part = part_new(s, request);

	if (part) {
		submit(part, op, request->head.length);
		return;
	}
	nbd_fail(request, NBD_ENOMEM, "there is no memory");
	nbd_answer(s, request);
}

/* The sum of an offset and a length that make no sense may be anything: it is not used. */
static void refuse(struct nbd_session *s, struct nbd_request *request)
{
	s->export->counters.refused++;
	request->next = 0;
	request->end = request->head.command == NBD_CMD_WRITE ? request->head.length : 0;
	if (request->end)
		s->current = request;
	else
		nbd_answer(s, request);
}

static void begin(struct nbd_session *s, struct nbd_request *request)
{
	struct nbd_counters *count = &s->export->counters;

	switch (request->head.command) {
	case NBD_CMD_READ:
		count->requests[VOLUME_READ]++;
		count->bytes_read += request->head.length;
		s->current = request;
		break;
	case NBD_CMD_WRITE:
		count->requests[VOLUME_WRITE]++;
		count->bytes_written += request->head.length;
		s->current = request;
		break;
	case NBD_CMD_FLUSH:
		count->requests[VOLUME_FLUSH]++;
		without_data(s, request, VOLUME_FLUSH);
		break;
	case NBD_CMD_TRIM:
		count->requests[VOLUME_TRIM]++;
		without_data(s, request, VOLUME_TRIM);
		break;
	case NBD_CMD_WRITE_ZEROES:
		count->requests[VOLUME_ZERO]++;
		without_data(s, request, VOLUME_ZERO);
		break;
	default:
		count->block_status++;
		nbd_answer_extent(s, request);
	}
}

enum nbd_step nbd_hear_request(struct nbd_session *s)
{
	struct nbd_request_head head;
	struct nbd_request *request;

	if (qb_list_empty(&s->free_requests)) {
		s->waits_for = "its requests that are under way, or for it to take replies";
		return NBD_WAITS;
	}
	if (nbd_in_bytes(s) < NBD_REQUEST_BYTES)
		return NBD_NEEDS_INPUT;
	if (!nbd_request_in(s->in + s->in_at, &head)) {
		nbd_session_cut(s, "it sent something else than a request");
		return NBD_AGAIN;
	}
	s->in_at += NBD_REQUEST_BYTES;
	if (head.command == NBD_CMD_DISC) {
		nbd_session_leave(s);
		return NBD_AGAIN;
	}
	request = request_new(s, &head);
	check(s, request);
	if (request->error)
		refuse(s, request);
	else
		begin(s, request);
	return NBD_AGAIN;
}
