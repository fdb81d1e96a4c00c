/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/unit/nbd_rig.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/arith.h"
#include "base/codec.h"

/* --- the volume --------------------------------------------------------------------------- */

static int submit(struct volume *volume, struct volume_io *io)
{
	struct nbd_rig *rig = container_of(volume, struct nbd_rig, volume);

	/* Z3, of every io of every test */
	assert_true(io->offset_bytes % NBD_RIG_BLOCK == 0);
	assert_true(io->length_bytes % NBD_RIG_BLOCK == 0);
	assert_true(io->offset_bytes + io->length_bytes <= NBD_RIG_SIZE);
	if (io->op == VOLUME_READ || io->op == VOLUME_WRITE) {
		assert_true(io->length_bytes <= volume->max_bytes);
		assert_true((uintptr_t)io->buffer % 4096 == 0);
	}
	assert_true(io->op == VOLUME_FLUSH || io->length_bytes > 0);
	rig->submits++;
	if (rig->refuses < 0)
		return rig->refuses;
	memset(io + 1, 0xee, rig->volume.io_bytes - sizeof(*io)); /* ours, says the contract */
	qb_list_add_tail(&io->link, &rig->pending);
	rig->pending_count++;
	return 0;
}

void nbd_rig_init(struct nbd_rig *rig)
{
	static const struct volume_ops ops = { .submit = submit };

	memset(rig, 0, sizeof(*rig));
	rig->volume = (struct volume){
		.ops = &ops,
		.size_bytes = NBD_RIG_SIZE,
		.block_bytes = NBD_RIG_BLOCK,
		.optimal_bytes = 65536,
		.max_bytes = 32 << 20,
		.io_bytes = sizeof(struct volume_io) + 77,
		.has_trim = true,
	};
	rig->bytes = malloc(NBD_RIG_SIZE);
	assert_non_null(rig->bytes);
	for (size_t i = 0; i < NBD_RIG_SIZE; i += 512)
		memset(rig->bytes + i, (int)(i / 512 * 7 + 1) & 255, 512);
	QB_INIT_LIST_HEAD(&rig->pending);
	strcpy(rig->export.name, "disk");
	strcpy(rig->export.description, "a disk of tests");
	rig->export.volume = &rig->volume;
	rig->export.max_requests = NBD_RIG_REQUESTS;
	nbd_memory_init(&rig->export.memory, NBD_RIG_MEMORY, NBD_RIG_CLIENTS);
}

/* Z6: all memory is back. */
void nbd_rig_fini(struct nbd_rig *rig)
{
	assert_int_equal(rig->pending_count, 0);
	assert_int_equal(rig->export.memory.used_bytes, 0);
	assert_int_equal(rig->export.memory.common_used_bytes, 0);
	assert_int_equal(rig->export.starved, 0);
	nbd_memory_fini(&rig->export.memory);
	assert_int_equal(rig->export.memory.free_bytes, 0);
	free(rig->bytes);
}

struct volume_io *nbd_pending(struct nbd_rig *rig, uint32_t nth)
{
	struct qb_list_head *at = rig->pending.next;

	assert_true(nth < rig->pending_count);
	while (nth-- > 0)
		at = at->next;
	return qb_list_entry(at, struct volume_io, link);
}

void nbd_end(struct nbd_rig *rig, uint32_t nth, int result)
{
	struct volume_io *io = nbd_pending(rig, nth);
	uint8_t *at = rig->bytes + io->offset_bytes;

	qb_list_del(&io->link);
	rig->pending_count--;
	if (result == 0 && io->op == VOLUME_READ)
		memcpy(io->buffer, at, io->length_bytes);
	else if (result == 0 && io->op == VOLUME_WRITE)
		memcpy(at, io->buffer, io->length_bytes);
	io->done(io, result);
}

void nbd_end_all(struct nbd_rig *rig)
{
	while (rig->pending_count > 0)
		nbd_end(rig, 0, 0);
}

/* --- the client --------------------------------------------------------------------------- */

static void wake(void *owner)
{
	((struct nbd_peer *)owner)->wakes++;
}

static void memory_freed(void *owner)
{
	((struct nbd_peer *)owner)->memory_freed++;
}

static const struct nbd_session_ops session_ops = {
	.wake = wake,
	.memory_freed = memory_freed,
};

void nbd_peer_init(struct nbd_peer *peer, struct nbd_rig *rig)
{
	memset(peer, 0, sizeof(*peer));
	peer->rig = rig;
	peer->session = nbd_session_new(&rig->export, &session_ops, peer);
	assert_non_null(peer->session);
}

void nbd_peer_fini(struct nbd_peer *peer)
{
	nbd_session_abandon(peer->session);
	assert_true(nbd_session_is_idle(peer->session));
	nbd_session_free(peer->session);
	free(peer->got);
}

static void keep(struct nbd_peer *peer, const void *bytes, size_t length)
{
	if (peer->got_end + length > peer->got_room) {
		peer->got_room = (peer->got_end + length) * 2;
		peer->got = realloc(peer->got, peer->got_room);
		assert_non_null(peer->got);
	}
	memcpy(peer->got + peer->got_end, bytes, length);
	peer->got_end += length;
}

/* Takes a little less than what is offered, now and then, as sockets do. */
static bool take(struct nbd_peer *peer)
{
	struct iovec pieces[4];
	size_t n = nbd_session_output(peer->session, pieces, 4), taken = 0;

	for (size_t i = 0; i < n; i++) {
		size_t some = i + 1 == n && pieces[i].iov_len > 5 ? pieces[i].iov_len - 3
								  : pieces[i].iov_len;

		keep(peer, pieces[i].iov_base, some);
		taken += some;
	}
	if (n > 0)
		nbd_session_sent(peer->session, taken);
	return n > 0;
}

void nbd_run(struct nbd_peer *peer)
{
	do
		nbd_session_advance(peer->session);
	while (!peer->takes_nothing && take(peer));
}

static size_t put(struct nbd_peer *peer, const uint8_t *bytes, size_t length)
{
	struct iovec room[2] = { 0 };
	size_t n = nbd_session_room(peer->session, room), done = 0;

	for (size_t i = 0; i < n; i++) {
		size_t some = min_u64(room[i].iov_len, length - done);

		memcpy(room[i].iov_base, bytes + done, some);
		done += some;
	}
	if (done > 0)
		nbd_session_heard(peer->session, done);
	return done;
}

size_t nbd_send_some(struct nbd_peer *peer, const void *bytes, size_t length)
{
	const uint8_t *from = bytes;
	size_t done = 0;

	nbd_run(peer);
	while (done < length) {
		size_t piece = peer->at_a_time ? min_u64(peer->at_a_time, length - done)
					       : length - done;
		size_t some = put(peer, from + done, piece);

		if (some == 0)
			break;
		done += some;
		nbd_run(peer);
	}
	return done;
}

void nbd_send(struct nbd_peer *peer, const void *bytes, size_t length)
{
	assert_int_equal(nbd_send_some(peer, bytes, length), length);
}

/* --- what it says ---------------------------------------------------------------------------- */

void nbd_meet(struct nbd_peer *peer)
{
	static const uint8_t flags[] = { 0, 0, 0, 3 };

	nbd_send(peer, flags, sizeof(flags));
	nbd_hear(peer, NBD_GREETING_BYTES);
}

void nbd_option(struct nbd_peer *peer, uint32_t code, const void *data, size_t length)
{
	uint8_t head[NBD_OPTION_BYTES];
	struct wr wr = wr_over(head, sizeof(head));

	wr_bytes(&wr, "IHAVEOPT", 8);
	wr_be_u32(&wr, code);
	wr_be_u32(&wr, (uint32_t)length);
	nbd_send(peer, head, sizeof(head));
	nbd_send(peer, data, length);
}

/* It heard of the export and its sizes, and nothing else. */
static void hear_go(struct nbd_peer *peer)
{
	nbd_hear(peer, nbd_hear_answer(peer, NBD_OPT_GO, NBD_REP_INFO));
	nbd_hear(peer, nbd_hear_answer(peer, NBD_OPT_GO, NBD_REP_INFO));
	assert_int_equal(nbd_hear_answer(peer, NBD_OPT_GO, NBD_REP_ACK), 0);
	nbd_hear_nothing(peer);
}

void nbd_go(struct nbd_peer *peer)
{
	nbd_meet(peer);
	nbd_option(peer, NBD_OPT_GO, "\0\0\0\4disk\0\0", 10);
	hear_go(peer);
}

void nbd_go_structured(struct nbd_peer *peer)
{
	static const char contexts[] = "\0\0\0\4disk\0\0\0\1\0\0\0\17base:allocation";

	nbd_meet(peer);
	nbd_option(peer, NBD_OPT_STRUCTURED_REPLY, "", 0);
	nbd_hear_answer(peer, NBD_OPT_STRUCTURED_REPLY, NBD_REP_ACK);
	nbd_option(peer, NBD_OPT_SET_META_CONTEXT, contexts, sizeof(contexts) - 1);
	nbd_hear(peer, nbd_hear_answer(peer, NBD_OPT_SET_META_CONTEXT,
				       NBD_REP_META_CONTEXT));
	nbd_hear_answer(peer, NBD_OPT_SET_META_CONTEXT, NBD_REP_ACK);
	nbd_option(peer, NBD_OPT_GO, "\0\0\0\4disk\0\0", 10);
	hear_go(peer);
}

static void request_out(uint8_t to[NBD_REQUEST_BYTES], uint16_t command, uint16_t flags,
			uint64_t cookie, uint64_t offset, uint32_t length)
{
	struct wr wr = wr_over(to, NBD_REQUEST_BYTES);

	wr_be_u32(&wr, 0x25609513);
	wr_be_u16(&wr, flags);
	wr_be_u16(&wr, command);
	wr_be_u64(&wr, cookie);
	wr_be_u64(&wr, offset);
	wr_be_u32(&wr, length);
}

void nbd_ask(struct nbd_peer *peer, uint16_t command, uint16_t flags, uint64_t cookie,
	     uint64_t offset, uint32_t length)
{
	uint8_t bytes[NBD_REQUEST_BYTES];

	request_out(bytes, command, flags, cookie, offset, length);
	nbd_send(peer, bytes, sizeof(bytes));
}

void nbd_ask_write(struct nbd_peer *peer, uint64_t cookie, uint64_t offset, uint32_t length,
		   uint8_t fill)
{
	uint8_t *bytes = malloc(NBD_REQUEST_BYTES + length);

	assert_non_null(bytes);
	request_out(bytes, NBD_CMD_WRITE, 0, cookie, offset, length);
	memset(bytes + NBD_REQUEST_BYTES, fill, length);
	nbd_send(peer, bytes, NBD_REQUEST_BYTES + length);
	free(bytes);
}

/* --- what it hears ---------------------------------------------------------------------------- */

const uint8_t *nbd_hear(struct nbd_peer *peer, size_t bytes)
{
	const uint8_t *at;

	nbd_run(peer);
	assert_in_range(bytes, 0, peer->got_end - peer->got_at);
	at = peer->got + peer->got_at;
	peer->got_at += bytes;
	return at;
}

void nbd_hear_nothing(struct nbd_peer *peer)
{
	nbd_run(peer);
	assert_int_equal(peer->got_end - peer->got_at, 0);
}

void nbd_hear_reply(struct nbd_peer *peer, uint64_t cookie, uint32_t error)
{
	struct rd rd = rd_over(nbd_hear(peer, NBD_REPLY_BYTES), NBD_REPLY_BYTES);

	assert_int_equal(rd_be_u32(&rd), 0x67446698);
	assert_int_equal(rd_be_u32(&rd), error);
	assert_int_equal(rd_be_u64(&rd), cookie);
}

/* The last chunk, with a text. */
void nbd_hear_error(struct nbd_peer *peer, uint64_t cookie, uint32_t error)
{
	struct rd rd = rd_over(nbd_hear(peer, NBD_CHUNK_ERROR_BYTES), NBD_CHUNK_ERROR_BYTES);
	uint32_t length;
	uint16_t text;

	assert_int_equal(rd_be_u32(&rd), 0x668e33ef);
	assert_int_equal(rd_be_u16(&rd), 1);
	assert_int_equal(rd_be_u16(&rd), 0x8001);
	assert_int_equal(rd_be_u64(&rd), cookie);
	length = rd_be_u32(&rd);
	assert_int_equal(rd_be_u32(&rd), error);
	text = rd_be_u16(&rd);
	assert_int_equal(length, 6 + text);
	assert_true(text > 4);
	nbd_hear(peer, text);
}

void nbd_hear_data(struct nbd_peer *peer, uint64_t offset, size_t length)
{
	assert_memory_equal(nbd_hear(peer, length), peer->rig->bytes + offset, length);
}

bool nbd_hear_chunk(struct nbd_peer *peer, uint64_t cookie, uint64_t *offset,
		    uint32_t *length)
{
	struct rd rd = rd_over(nbd_hear(peer, NBD_CHUNK_DATA_BYTES), NBD_CHUNK_DATA_BYTES);
	uint16_t flags;

	assert_int_equal(rd_be_u32(&rd), 0x668e33ef);
	flags = rd_be_u16(&rd);
	assert_int_equal(rd_be_u16(&rd), 1);
	assert_int_equal(rd_be_u64(&rd), cookie);
	*length = rd_be_u32(&rd) - 8;
	*offset = rd_be_u64(&rd);
	nbd_hear_data(peer, *offset, *length);
	assert_in_range(flags, 0, 1);
	return flags == 1;
}

uint32_t nbd_hear_answer(struct nbd_peer *peer, uint32_t option, uint32_t answer)
{
	struct rd rd = rd_over(nbd_hear(peer, NBD_OPTION_REPLY_BYTES),
			       NBD_OPTION_REPLY_BYTES);

	assert_int_equal(rd_be_u64(&rd), 0x3e889045565a9);
	assert_int_equal(rd_be_u32(&rd), option);
	assert_int_equal(rd_be_u32(&rd), answer);
	return rd_be_u32(&rd);
}

void nbd_hear_refusal(struct nbd_peer *peer, uint32_t option, uint32_t answer)
{
	uint32_t text = nbd_hear_answer(peer, option, answer);

	assert_in_range(text, 5, 200);
	nbd_hear(peer, text);
	nbd_hear_nothing(peer);
}
