/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Fuzz target: a client of the NBD server, what it says, and when.
 *
 *	input:  byte 0  how it is (bits of enum how)
 *		then, RAW: bytes that the server hears; else deeds, a byte each with
 *		operands behind it (enum deed)
 *
 * What must hold, for every input:
 *	F1  an io is within the volume, on its blocks, no longer than it takes, aligned (Z3)
 *	F2  each request is answered once, a READ by its data, unless the client was cut, and
 *	    all that is said is a reply (Z2); errors only where the volume or the request has one
 *	F3  no more memory than the limit is in use; at the end none (Z6, Z7)
 *	F4  ASan, UBSan: nothing outside of anything
 */
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/arith.h"
#include "base/codec.h"
#include "mdclusterd/nbd/session.h"
#include "mdclusterd/nbd/wire.h"
#include "tests/fuzz/expect.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum how {
	RAW = 1,
	STRUCTURED = 2,
	READ_ONLY = 4,
	NO_TRIM = 8,
	SHORT_IOS = 16,
	NEIGHBOUR = 32, /* that has all the memory it can get */
	FEW_REQUESTS = 64,
};

enum deed {
	ASK,      /* command, flags, offset (2), length (2): in blocks; an odd one out (1) */
	SEND,     /* so many bytes (2) of what was asked */
	TAKE,     /* so many bytes (2) of what is said */
	END,      /* the nth io, with a result */
	RELEASE,  /* the nth that is held */
	GO_ON,
	DRAIN,
	END_INPUT,
	ABANDON,
	DEEDS,
};

enum {
	SIZE = 3 << 20,
	BLOCK = 512,
	CLIENTS = 2,
	LIMIT = 2 << 20,
	MAX_ASKED = 64,
	MAX_HELD = 64,
};

struct asked {
	uint16_t command;
	uint64_t offset;
	uint32_t length, got;
	bool is_answered, may_fail;
};

struct scene {
	struct nbd_export export;
	struct volume volume;
	struct nbd_session *session;
	bool is_raw, is_structured, is_abandoned, is_closing, may_all_fail;
	struct qb_list_head pending;
	uint32_t pending_count;
	struct volume_io *held[MAX_HELD];
	uint32_t held_count;

	struct asked asked[MAX_ASKED];
	uint32_t asked_count;
	uint8_t to_send[MAX_ASKED * NBD_REQUEST_BYTES + 4096];
	uint64_t payloads[MAX_ASKED]; /* behind which request */
	uint32_t sending;             /* this one */
	size_t head_sent;
	uint64_t payload_sent;

	uint8_t head[64];             /* of the reply that is being heard */
	size_t head_at;
	uint64_t skip;                /* text of an error */
	uint64_t data_left, data_at;
	uint32_t heard;               /* the READ whose data come */
};

static uint8_t byte_at(uint64_t offset)
{
	return (uint8_t)(offset / BLOCK * 7 + 1);
}

/* --- the volume ----------------------------------------------------------------------------- */

static int submit(struct volume *volume, struct volume_io *io)
{
	struct scene *s = container_of(volume, struct scene, volume);

	EXPECT(io->offset_bytes % BLOCK == 0 && io->length_bytes % BLOCK == 0); /* F1 */
	EXPECT(io->offset_bytes <= SIZE && io->length_bytes <= SIZE - io->offset_bytes);
	EXPECT(io->op == VOLUME_FLUSH ? io->length_bytes == 0 : io->length_bytes > 0);
	if (io->op == VOLUME_READ || io->op == VOLUME_WRITE) {
		EXPECT(io->length_bytes <= volume->max_bytes);
		EXPECT((uintptr_t)io->buffer % 4096 == 0);
	}
	EXPECT(!volume->is_read_only || io->op == VOLUME_READ || io->op == VOLUME_FLUSH);
	memset(io + 1, 0xee, volume->io_bytes - sizeof(*io));
	qb_list_add_tail(&io->link, &s->pending);
	s->pending_count++;
	return 0;
}

static void end(struct scene *s, uint32_t nth, uint8_t how)
{
	static const int results[] = { -EIO, -ENOSPC, -ESHUTDOWN, -EPERM };
	struct qb_list_head *at = s->pending.next;
	struct volume_io *io;
	int result = 0;

	if (s->pending_count == 0)
		return;
	for (nth %= s->pending_count; nth > 0; nth--)
		at = at->next;
	io = qb_list_entry(at, struct volume_io, link);
	qb_list_del(&io->link);
	s->pending_count--;
	if (how & 1)
		result = results[how >> 2 & 3];
	if (how & 2 && s->held_count < MAX_HELD) {
		io->is_held = true;
		s->held[s->held_count++] = io;
	}
	if (result == 0 && io->op == VOLUME_READ)
		for (uint64_t i = 0; i < io->length_bytes; i += BLOCK)
			memset((uint8_t *)io->buffer + i, byte_at(io->offset_bytes + i),
			       BLOCK);
	for (uint32_t i = 0; result < 0 && i < s->asked_count; i++)
		s->asked[i].may_fail = true;
	io->done(io, result);
}

static void release(struct scene *s, uint32_t nth)
{
	struct volume_io *io;

	if (s->held_count == 0)
		return;
	nth %= s->held_count;
	io = s->held[nth];
	s->held[nth] = s->held[--s->held_count];
	io->released(io);
}

/* --- what the client hears (F2) --------------------------------------------------------------- */

static struct asked *answered(struct scene *s, uint64_t cookie, bool is_last)
{
	struct asked *asked = &s->asked[cookie];

	EXPECT(cookie < s->asked_count);
	EXPECT(!asked->is_answered);
	asked->is_answered = is_last;
	return asked;
}

static void data_begin(struct scene *s, uint32_t cookie, uint64_t offset, uint64_t length)
{
	struct asked *asked = &s->asked[cookie];

	EXPECT(offset >= asked->offset && length <= asked->length &&
	       offset - asked->offset <= asked->length - length);
	asked->got += (uint32_t)length;
	s->data_at = offset;
	s->data_left = length;
}

static void failed(const struct scene *s, const struct asked *asked, uint32_t error)
{
	EXPECT(error != 0);
	EXPECT(asked->may_fail || s->may_all_fail);
}

static void hear_simple(struct scene *s)
{
	struct rd rd = rd_over(s->head + 4, 12);
	uint32_t error = rd_be_u32(&rd);
	uint64_t cookie = rd_be_u64(&rd);
	struct asked *asked = answered(s, cookie, true);

	EXPECT(!s->is_structured || asked->command != NBD_CMD_READ);
	if (error)
		failed(s, asked, error);
	else if (asked->command == NBD_CMD_READ)
		data_begin(s, (uint32_t)cookie, asked->offset, asked->length);
	s->head_at = 0;
}

static void hear_chunk(struct scene *s)
{
	struct rd rd = rd_over(s->head + 4, sizeof(s->head) - 4);
	bool is_last = rd_be_u16(&rd) & 1;
	uint16_t type = rd_be_u16(&rd);
	uint64_t cookie = rd_be_u64(&rd);
	uint32_t length = rd_be_u32(&rd);
	struct asked *asked = answered(s, cookie, is_last);

	EXPECT(s->is_structured);
	switch (type) {
	case 1:
		EXPECT(asked->command == NBD_CMD_READ && length > 8);
		data_begin(s, (uint32_t)cookie, rd_be_u64(&rd), length - 8);
		EXPECT(!is_last || asked->got == asked->length);
		break;
	case 5:
		EXPECT(asked->command == NBD_CMD_BLOCK_STATUS && length == 12 && is_last);
		rd_be_u32(&rd);
		EXPECT(rd_be_u32(&rd) == asked->length && rd_be_u32(&rd) == 0);
		break;
	case 0x8001:
		failed(s, asked, rd_be_u32(&rd));
		s->skip = rd_be_u16(&rd);
		EXPECT(length == 6 + s->skip && is_last);
		break;
	default:
		EXPECT(false);
	}
	s->head_at = 0;
}

static size_t head_bytes(const struct scene *s)
{
	struct rd rd = rd_over(s->head, s->head_at);
	uint32_t magic = rd_be_u32(&rd);

	if (s->head_at < 8)
		return 8;
	if (magic == 0x67446698)
		return NBD_REPLY_BYTES;
	EXPECT(magic == 0x668e33ef);
	switch (s->head[7]) {
	case 5:
		return NBD_CHUNK_STATUS_BYTES;
	default:
		return s->head[6] ? NBD_CHUNK_ERROR_BYTES : NBD_CHUNK_DATA_BYTES;
	}
}

static size_t hear_data(struct scene *s, const uint8_t *bytes, size_t length)
{
	size_t n = min_u64(s->data_left, length);

	for (size_t i = 0; i < n; i++)
		EXPECT(bytes[i] == byte_at(s->data_at + i));
	s->data_at += n;
	s->data_left -= n;
	return n;
}

static void hear(struct scene *s, const uint8_t *bytes, size_t length)
{
	while (length > 0) {
		size_t n;

		if (s->skip > 0) {
			n = min_u64(s->skip, length);
			s->skip -= n;
		} else if (s->data_left > 0) {
			n = hear_data(s, bytes, length);
		} else {
			n = 1;
			s->head[s->head_at++] = *bytes;
			if (s->head_at == head_bytes(s)) {
				if (s->head[0] == 0x67)
					hear_simple(s);
				else
					hear_chunk(s);
			}
		}
		bytes += n;
		length -= n;
	}
}

static bool take(struct scene *s, size_t most)
{
	struct iovec pieces[6];
	size_t n = nbd_session_output(s->session, pieces, 6), taken = 0;

	for (size_t i = 0; i < n && taken < most; i++) {
		size_t some = min_u64(pieces[i].iov_len, most - taken);

		if (!s->is_raw)
			hear(s, pieces[i].iov_base, some);
		taken += some;
	}
	if (taken > 0)
		nbd_session_sent(s->session, taken);
	EXPECT(s->export.memory.used_bytes + s->export.memory.free_bytes <= LIMIT); /* F3 */
	return taken > 0;
}

/* --- what the client says ---------------------------------------------------------------------- */

/* Where the session wants bytes, from a function that makes them. */
static bool put(struct scene *s, const uint8_t *bytes, size_t length)
{
	struct iovec room[2] = { 0 };
	size_t n = nbd_session_room(s->session, room), done = 0;

	for (size_t i = 0; i < n && done < length; i++) {
		size_t some = min_u64(room[i].iov_len, length - done);

		memcpy(room[i].iov_base, bytes + done, some);
		done += some;
	}
	if (done == 0)
		return false;
	nbd_session_heard(s->session, done);
	nbd_session_advance(s->session);
	EXPECT(done == length); /* it is asked for no more than there is room for */
	return true;
}

static size_t room(struct scene *s)
{
	struct iovec places[2] = { 0 };

	if (nbd_session_room(s->session, places) == 0)
		return 0;
	return places[0].iov_len + places[1].iov_len;
}

static bool send(struct scene *s, size_t most)
{
	static const uint8_t payload[65536];
	size_t n = min_u64(most, room(s));

	if (s->sending == s->asked_count || n == 0)
		return false;
	if (s->head_sent < NBD_REQUEST_BYTES) {
		n = min_u64(n, NBD_REQUEST_BYTES - s->head_sent);
		if (!put(s, s->to_send + s->sending * NBD_REQUEST_BYTES + s->head_sent, n))
			return false;
		s->head_sent += n;
	} else {
		n = min_u64(n, min_u64(sizeof(payload),
				       s->payloads[s->sending] - s->payload_sent));
		if (!put(s, payload, n))
			return false;
		s->payload_sent += n;
	}
	if (s->head_sent == NBD_REQUEST_BYTES &&
	    s->payload_sent == s->payloads[s->sending]) {
		s->sending++;
		s->head_sent = 0;
		s->payload_sent = 0;
	}
	return true;
}

static void ask(struct scene *s, struct rd *rd)
{
	static const uint16_t commands[] = { 0, 1, 3, 4, 5, 6, 7, 8 };
	struct asked *asked = &s->asked[s->asked_count];
	uint16_t command = commands[rd_u8(rd) & 7], flags = rd_u8(rd) & 31;
	uint8_t odd;
	struct wr wr;

	if (s->asked_count == MAX_ASKED)
		return;
	asked->command = command;
	asked->offset = (uint64_t)(rd_u16(rd) % (SIZE / BLOCK + 8)) * BLOCK;
	asked->length = (uint32_t)(rd_u16(rd) % (SIZE / BLOCK + 8)) * BLOCK;
	odd = rd_u8(rd);
	if (odd & 1)
		asked->offset += odd;
	if (odd & 2)
		asked->length += odd;
	if (command == NBD_CMD_FLUSH && !(odd & 4))
		asked->offset = asked->length = 0;
	asked->may_fail = flags || odd || asked->length == 0 || command == 5 ||
			  asked->length > SIZE || asked->offset > SIZE - asked->length ||
			  command == 8 || command == 7 || s->volume.is_read_only ||
			  (command == 4 && !s->volume.has_trim);
	if (command == NBD_CMD_FLUSH && !(odd & 4) && !flags)
		asked->may_fail = false;
	wr = wr_over(s->to_send + s->asked_count * NBD_REQUEST_BYTES, NBD_REQUEST_BYTES);
	wr_be_u32(&wr, 0x25609513);
	wr_be_u16(&wr, flags);
	wr_be_u16(&wr, command);
	wr_be_u64(&wr, s->asked_count);
	wr_be_u64(&wr, asked->offset);
	wr_be_u32(&wr, asked->length);
	s->payloads[s->asked_count] = command == NBD_CMD_WRITE ? asked->length : 0;
	s->asked_count++;
}

/* --- a life --------------------------------------------------------------------------------------- */

static void wake(void *owner)
{
	(void)owner;
}

static const struct nbd_session_ops session_ops = { .wake = wake, .memory_freed = wake };

static void begin(struct scene *s, uint8_t how)
{
	static const struct volume_ops ops = { .submit = submit };

	s->volume = (struct volume){
		.ops = &ops,
		.size_bytes = SIZE,
		.block_bytes = BLOCK,
		.optimal_bytes = 65536,
		.max_bytes = how & SHORT_IOS ? 16384 : 32 << 20,
		.io_bytes = sizeof(struct volume_io) + 8,
		.has_trim = !(how & NO_TRIM),
		.is_read_only = how & READ_ONLY,
	};
	QB_INIT_LIST_HEAD(&s->pending);
	s->is_raw = how & RAW;
	s->is_structured = how & STRUCTURED;
	strcpy(s->export.name, "x");
	s->export.volume = &s->volume;
	s->export.max_requests = how & FEW_REQUESTS ? 2 : 16;
	nbd_memory_init(&s->export.memory, LIMIT, CLIENTS);
	s->session = nbd_session_new(&s->export, &session_ops, s);
	EXPECT(s->session);
}

static void handshake(struct scene *s)
{
	static const uint8_t structured[] = "IHAVEOPT\0\0\0\10\0\0\0\0";
	static const uint8_t go[] = "IHAVEOPT\0\0\0\7\0\0\0\6\0\0\0\0\0\0";
	bool is_raw = s->is_raw;

	s->is_raw = true; /* what is said in it is not heard */
	while (take(s, SIZE_MAX))
		;
	EXPECT(put(s, (const uint8_t *)"\0\0\0\3", 4));
	if (s->is_structured)
		EXPECT(put(s, structured, sizeof(structured) - 1));
	while (take(s, SIZE_MAX))
		nbd_session_advance(s->session);
	EXPECT(put(s, go, sizeof(go) - 1));
	while (take(s, SIZE_MAX))
		;
	EXPECT(nbd_session_state(s->session) == NBD_TRANSMITTING);
	s->is_raw = is_raw;
}

static void deed(struct scene *s, struct rd *rd)
{
	uint32_t nth;

	switch ((enum deed)(rd_u8(rd) % DEEDS)) {
	case ASK:
		ask(s, rd);
		break;
	case SEND:
		send(s, rd_u16(rd));
		break;
	case TAKE:
		take(s, rd_u16(rd));
		break;
	case END:
		nth = rd_u8(rd);
		end(s, nth, rd_u8(rd));
		break;
	case RELEASE:
		release(s, rd_u8(rd));
		break;
	case GO_ON:
		nbd_session_advance(s->session);
		break;
	case DRAIN:
		nbd_session_drain(s->session);
		s->may_all_fail = s->is_closing = true;
		break;
	case END_INPUT:
		nbd_session_end_of_input(s->session);
		s->may_all_fail = true;
		break;
	case ABANDON:
		nbd_session_abandon(s->session);
		s->is_abandoned = true;
		break;
	case DEEDS:
		break;
	}
}

/* Everybody does what is theirs, until nothing is left. */
static void settle(struct scene *s)
{
	bool is_more;

	do {
		is_more = false;
		while (s->pending_count > 0)
			end(s, 0, 0);
		while (s->held_count > 0)
			release(s, 0);
		nbd_session_advance(s->session);
		while (take(s, SIZE_MAX)) {
			is_more = true;
			nbd_session_advance(s->session);
		}
		while (!s->is_raw && send(s, SIZE_MAX))
			is_more = true;
	} while (is_more || s->pending_count > 0);
}

/*
 * Who had nothing to do with its end hears all that it asked for; but of an export that is being
 * closed, what it does not do any more is for the next daemon.
 */
static void check_answers(struct scene *s)
{
	if (s->is_raw || s->is_abandoned || nbd_session_fault(s->session))
		return;
	EXPECT(s->head_at == 0 && s->data_left == 0 && s->skip == 0);
	for (uint32_t i = 0; i < s->sending; i++)
		EXPECT(s->asked[i].is_answered || s->is_closing);
	EXPECT(nbd_session_state(s->session) == NBD_LEAVING ||
	       s->sending == s->asked_count || nbd_session_is_over(s->session));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct scene *s = calloc(1, sizeof(*s));
	struct nbd_share neighbour = { 0 };
	void *taken[2 * LIMIT / 4096];
	size_t taken_count = 0, bytes;
	struct rd rd = rd_over(data, size);
	uint8_t how = rd_u8(&rd);

	EXPECT(s);
	begin(s, how);
	while (how & NEIGHBOUR &&
	       (taken[taken_count] = nbd_memory_take(&s->export.memory, &neighbour, 4096,
						     4096, &bytes)))
		taken_count++;
	if (how & RAW) {
		nbd_session_advance(s->session);
		while (rd.at < rd.length) {
			size_t n = min_u64(rd.length - rd.at, room(s));

			if (n == 0 || !put(s, rd.base + rd.at, n))
				break;
			rd_seek(&rd, rd.at + n);
			settle(s);
		}
	} else {
		handshake(s);
		while (!rd.failed && rd.at < rd.length)
			deed(s, &rd);
	}
	settle(s);
	check_answers(s);
	nbd_session_abandon(s->session);
	EXPECT(nbd_session_is_idle(s->session));
	nbd_session_free(s->session);
	while (taken_count > 0)
		nbd_memory_give(&s->export.memory, &neighbour, taken[--taken_count], 4096);
	EXPECT(s->export.memory.used_bytes == 0 && s->export.starved == 0); /* F3 */
	nbd_memory_fini(&s->export.memory);
	free(s);
	return 0;
}
