/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Each command: what the volume is asked for, and what the client is told. */
#include "tests/unit/nbd_rig.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/arith.h"

struct scene {
	struct nbd_rig rig;
	struct nbd_peer peer;
};

static void begin(struct scene *scene, bool is_structured)
{
	nbd_rig_init(&scene->rig);
	nbd_peer_init(&scene->peer, &scene->rig);
	if (is_structured)
		nbd_go_structured(&scene->peer);
	else
		nbd_go(&scene->peer);
}

static void finish(struct scene *scene)
{
	nbd_hear_nothing(&scene->peer);
	nbd_peer_fini(&scene->peer);
	nbd_rig_fini(&scene->rig);
}

#define SCENE(s, is_structured) \
	struct scene s;         \
	(void)state;            \
	begin(&(s), is_structured)

static void assert_io(struct nbd_rig *rig, uint32_t nth, enum volume_op op, uint32_t flags,
		      uint64_t offset, uint64_t length)
{
	const struct volume_io *io = nbd_pending(rig, nth);

	assert_int_equal(io->op, op);
	assert_int_equal(io->flags, flags);
	assert_int_equal(io->offset_bytes, offset);
	assert_int_equal(io->length_bytes, length);
}

/* It is there, and answers. */
static void assert_goes_on(struct scene *scene)
{
	nbd_ask(&scene->peer, NBD_CMD_FLUSH, 0, 99, 0, 0);
	nbd_end_all(&scene->rig);
	nbd_hear_reply(&scene->peer, 99, 0);
	nbd_hear_nothing(&scene->peer);
}

/* --- READ ------------------------------------------------------------------------------------ */

static void a_read_is_answered_when_it_is_done(void **state)
{
	SCENE(s, false);
	nbd_ask(&s.peer, NBD_CMD_READ, 0, 7, 8192, 4096);
	assert_io(&s.rig, 0, VOLUME_READ, 0, 8192, 4096);
	nbd_hear_nothing(&s.peer);
	nbd_end(&s.rig, 0, 0);
	assert_int_equal(s.peer.wakes, 1);
	nbd_hear_reply(&s.peer, 7, 0);
	nbd_hear_data(&s.peer, 8192, 4096);
	finish(&s);
}

static void a_structured_read_is_one_chunk(void **state)
{
	uint64_t offset;
	uint32_t length;
	SCENE(s, true);

	nbd_ask(&s.peer, NBD_CMD_READ, NBD_CMD_FLAG_DF, 7, 512, 65536);
	nbd_end(&s.rig, 0, 0);
	assert_true(nbd_hear_chunk(&s.peer, 7, &offset, &length));
	assert_int_equal(offset, 512);
	assert_int_equal(length, 65536);
	finish(&s);
}

static void replies_come_in_the_order_in_which_ios_end(void **state)
{
	SCENE(s, false);
	for (uint64_t i = 0; i < 4; i++)
		nbd_ask(&s.peer, NBD_CMD_READ, 0, i, i * 4096, 512);
	nbd_end(&s.rig, 2, 0);
	nbd_hear_reply(&s.peer, 2, 0);
	nbd_hear_data(&s.peer, 8192, 512);
	nbd_end(&s.rig, 2, -EIO);
	nbd_end(&s.rig, 0, 0);
	nbd_hear_reply(&s.peer, 3, NBD_EIO);
	nbd_hear_reply(&s.peer, 0, 0);
	nbd_hear_data(&s.peer, 0, 512);
	nbd_end_all(&s.rig);
	nbd_hear_reply(&s.peer, 1, 0);
	nbd_hear_data(&s.peer, 4096, 512);
	finish(&s);
}

static void the_longest_read_is_parts_of_which_the_last_to_end_is_the_last(void **state)
{
	uint64_t offset, seen = 0;
	uint32_t length, chunks = 0;
	bool is_last;
	SCENE(s, true);

	nbd_ask(&s.peer, NBD_CMD_READ, 0, 7, 1 << 20, 32 << 20);
	assert_true(s.rig.pending_count > 1);
	do {
		/* the last one first: any order will do */
		nbd_end(&s.rig, s.rig.pending_count - 1, 0);
		is_last = nbd_hear_chunk(&s.peer, 7, &offset, &length);
		assert_in_range(offset, 1 << 20, (33 << 20) - 1);
		seen += length;
		chunks++;
	} while (!is_last);
	assert_int_equal(seen, 32 << 20);
	assert_in_range(chunks, 32, 512);
	assert_goes_on(&s);
	finish(&s);
}

/* One reply, whose data follow each other, and nothing between them. */
static void the_longest_simple_read_is_one_stream(void **state)
{
	SCENE(s, false);
	nbd_ask(&s.peer, NBD_CMD_READ, 0, 7, 512, 32 << 20);
	nbd_ask(&s.peer, NBD_CMD_READ, 0, 8, 0, 512);
	assert_int_equal(s.rig.pending_count, 2);
	nbd_end(&s.rig, 0, 0);
	nbd_hear_reply(&s.peer, 7, 0);
	nbd_end(&s.rig, 0, 0); /* the short one: it must wait */
	for (uint64_t at = 512; at < 512 + (32 << 20);) {
		size_t here = s.peer.got_end - s.peer.got_at;

		if (here == 0) {
			assert_int_equal(s.rig.pending_count, 1);
			nbd_end(&s.rig, 0, 0);
			nbd_run(&s.peer);
			continue;
		}
		here = min_u64(here, 512 + (32 << 20) - at);
		nbd_hear_data(&s.peer, at, here);
		at += here;
	}
	nbd_hear_reply(&s.peer, 8, 0);
	nbd_hear_data(&s.peer, 0, 512);
	assert_goes_on(&s);
	finish(&s);
}

static void two_streams_do_not_mix(void **state)
{
	SCENE(s, false);
	nbd_ask(&s.peer, NBD_CMD_READ, 0, 7, 0, 2 << 20);
	nbd_ask(&s.peer, NBD_CMD_READ, 0, 8, 4 << 20, 2 << 20);
	while (s.rig.pending_count > 0) {
		nbd_end_all(&s.rig);
		nbd_run(&s.peer);
	}
	nbd_hear_reply(&s.peer, 7, 0);
	nbd_hear_data(&s.peer, 0, 2 << 20);
	nbd_hear_reply(&s.peer, 8, 0);
	nbd_hear_data(&s.peer, 4 << 20, 2 << 20);
	finish(&s);
}

static void a_simple_read_that_fails_in_the_middle_hangs_up(void **state)
{
	SCENE(s, false);
	nbd_ask(&s.peer, NBD_CMD_READ, 0, 7, 0, 4 << 20);
	nbd_end(&s.rig, 0, 0);
	nbd_hear_reply(&s.peer, 7, 0);
	nbd_hear(&s.peer, s.peer.got_end - s.peer.got_at);
	nbd_end(&s.rig, 0, -EIO);
	nbd_hear_nothing(&s.peer);
	assert_non_null(nbd_session_fault(s.peer.session));
	assert_true(nbd_session_is_over(s.peer.session));
	finish(&s);
}

static void a_simple_read_whose_first_part_fails_is_just_an_error(void **state)
{
	SCENE(s, false);
	nbd_ask(&s.peer, NBD_CMD_READ, 0, 7, 0, 4 << 20);
	nbd_end(&s.rig, 0, -EIO);
	nbd_hear_reply(&s.peer, 7, NBD_EIO);
	assert_goes_on(&s);
	finish(&s);
}

/* Z1: chunks that were said do not make it a success. */
static void a_structured_read_of_which_a_part_fails_is_an_error_at_its_end(void **state)
{
	uint64_t offset;
	uint32_t length;
	SCENE(s, true);

	nbd_ask(&s.peer, NBD_CMD_READ, 0, 7, 0, 3 << 20);
	assert_true(s.rig.pending_count >= 3);
	nbd_end(&s.rig, 0, 0);
	assert_false(nbd_hear_chunk(&s.peer, 7, &offset, &length));
	nbd_end(&s.rig, 0, -EIO);
	nbd_hear_nothing(&s.peer);
	nbd_end(&s.rig, 0, -ESHUTDOWN); /* the first error is the one that is told */
	nbd_end_all(&s.rig);
	nbd_hear_error(&s.peer, 7, NBD_EIO);
	assert_goes_on(&s);
	finish(&s);
}

/* --- WRITE ------------------------------------------------------------------------------------ */

static void a_write_reaches_the_volume_and_is_acknowledged_when_it_is_done(void **state)
{
	SCENE(s, true);
	nbd_ask_write(&s.peer, 3, 1024, 1536, 0xab);
	assert_io(&s.rig, 0, VOLUME_WRITE, 0, 1024, 1536);
	nbd_hear_nothing(&s.peer);
	nbd_end(&s.rig, 0, 0);
	nbd_hear_reply(&s.peer, 3, 0);
	assert_int_equal(s.rig.bytes[1023] == 0xab, 0);
	for (int i = 1024; i < 1024 + 1536; i++)
		assert_int_equal(s.rig.bytes[i], 0xab);
	assert_int_equal(s.rig.bytes[1024 + 1536] == 0xab, 0);
	finish(&s);
}

/* A payload of numbers, so that a byte in the wrong place is seen. */
static void write_numbers(struct scene *s, uint64_t offset, uint32_t length)
{
	uint32_t *numbers = malloc(length);

	assert_non_null(numbers);
	for (uint32_t i = 0; i < length / 4; i++)
		numbers[i] = i * 2654435761u;
	nbd_ask(&s->peer, NBD_CMD_WRITE, 0, 7, offset, length);
	for (size_t at = 0; at < length;) {
		at += nbd_send_some(&s->peer, (uint8_t *)numbers + at, length - at);
		if (at < length) {
			assert_true(s->rig.pending_count > 0);
			nbd_end(&s->rig, 0, 0);
		}
	}
	nbd_end_all(&s->rig);
	nbd_hear_reply(&s->peer, 7, 0);
	assert_memory_equal(s->rig.bytes + offset, numbers, length);
	free(numbers);
}

static void writes_of_all_lengths_arrive_whole_however_they_come(void **state)
{
	static const uint32_t lengths[] = {
		512, 4096, 16384, 32256, 32768, 33280, 65536, 66048, 262144, 262656,
		1048576, 1049088, 5 << 20, 32 << 20,
	};
	static const size_t pieces[] = { 0, 4096, 16411, 70000 };

	for (size_t p = 0; p < ARRAY_SIZE(pieces); p++) {
		SCENE(s, false);

		s.peer.at_a_time = pieces[p];
		for (size_t i = 0; i < ARRAY_SIZE(lengths); i++)
			write_numbers(&s, 4096 + 512 * i, lengths[i]);
		finish(&s);
	}
}

static void a_write_may_come_byte_by_byte(void **state)
{
	SCENE(s, true);
	s.peer.at_a_time = 1;
	write_numbers(&s, 0, 40960);
	assert_goes_on(&s);
	finish(&s);
}

/* It is not copied, and costs one call together with the request behind it. */
static void a_long_payload_comes_to_its_place_at_once(void **state)
{
	static uint8_t payload[65536];
	struct iovec room[2];
	SCENE(s, false);

	nbd_ask(&s.peer, NBD_CMD_WRITE, 0, 1, 0, sizeof(payload));
	assert_int_equal(nbd_session_room(s.peer.session, room), 2);
	assert_int_equal(room[0].iov_len, sizeof(payload));
	assert_int_equal((uintptr_t)room[0].iov_base % 4096, 0);
	assert_int_equal(room[1].iov_len, NBD_REQUEST_BYTES);
	nbd_send(&s.peer, payload, sizeof(payload) - 100);
	assert_int_equal(nbd_session_room(s.peer.session, room), 2);
	assert_int_equal(room[0].iov_len, 100);
	assert_true(room[1].iov_len > 16384); /* what is short may come with many others */
	nbd_send(&s.peer, payload, 100);
	nbd_end_all(&s.rig);
	nbd_hear_reply(&s.peer, 1, 0);
	finish(&s);
}

static void a_write_of_which_a_part_fails_is_read_to_its_end_and_then_answered(void **state)
{
	static uint8_t payload[4 << 20];
	size_t at;
	SCENE(s, false);

	nbd_ask(&s.peer, NBD_CMD_WRITE, 0, 7, 0, sizeof(payload));
	at = nbd_send_some(&s.peer, payload, 1536 << 10);
	assert_true(s.rig.pending_count >= 1);
	nbd_end(&s.rig, 0, -ENOSPC);
	nbd_end_all(&s.rig);
	nbd_hear_nothing(&s.peer);
	while (at < sizeof(payload) - 1) {
		at += nbd_send_some(&s.peer, payload + at, sizeof(payload) - 1 - at);
		nbd_end_all(&s.rig);
		nbd_hear_nothing(&s.peer);
	}
	nbd_send(&s.peer, payload, 1);
	nbd_hear_reply(&s.peer, 7, NBD_ENOSPC);
	assert_goes_on(&s);
	finish(&s);
}

/* --- others ------------------------------------------------------------------------------------ */

static void flags_go_to_the_volume_where_they_mean_something(void **state)
{
	SCENE(s, true);
	nbd_ask(&s.peer, NBD_CMD_WRITE_ZEROES, NBD_CMD_FLAG_FUA, 1, 0, 1 << 30 >> 4);
	assert_io(&s.rig, 0, VOLUME_ZERO, VOLUME_FUA, 0, 64 << 20);
	nbd_ask(&s.peer, NBD_CMD_WRITE_ZEROES, NBD_CMD_FLAG_NO_HOLE, 2, 512, 512);
	assert_io(&s.rig, 1, VOLUME_ZERO, VOLUME_NO_HOLE, 512, 512);
	nbd_ask(&s.peer, NBD_CMD_TRIM, NBD_CMD_FLAG_FUA, 3, 4096, NBD_RIG_SIZE - 4096);
	assert_io(&s.rig, 2, VOLUME_TRIM, VOLUME_FUA, 4096, NBD_RIG_SIZE - 4096);
	nbd_ask(&s.peer, NBD_CMD_FLUSH, NBD_CMD_FLAG_FUA, 4, 0, 0);
	assert_io(&s.rig, 3, VOLUME_FLUSH, 0, 0, 0);
	nbd_ask(&s.peer, NBD_CMD_READ, NBD_CMD_FLAG_FUA, 5, 0, 512);
	assert_io(&s.rig, 4, VOLUME_READ, 0, 0, 512);
	nbd_ask(&s.peer, NBD_CMD_WRITE, NBD_CMD_FLAG_FUA, 6, 0, 512);
	nbd_send(&s.peer, s.rig.bytes, 512);
	assert_io(&s.rig, 5, VOLUME_WRITE, VOLUME_FUA, 0, 512);
	nbd_end(&s.rig, 4, -EIO);
	nbd_hear_error(&s.peer, 5, NBD_EIO);
	nbd_end_all(&s.rig);
	for (uint64_t cookie = 1; cookie <= 6; cookie++)
		if (cookie != 5)
			nbd_hear_reply(&s.peer, cookie, 0);
	finish(&s);
}

/* A write in parts is durable when it says so: each of them is. */
static void every_part_of_a_durable_write_is_durable(void **state)
{
	static uint8_t payload[3 << 20];
	SCENE(s, false);

	nbd_ask(&s.peer, NBD_CMD_WRITE, NBD_CMD_FLAG_FUA, 1, 0, sizeof(payload));
	nbd_send_some(&s.peer, payload, sizeof(payload));
	assert_true(s.rig.pending_count > 1);
	for (uint32_t i = 0; i < s.rig.pending_count; i++)
		assert_int_equal(nbd_pending(&s.rig, i)->flags, VOLUME_FUA);
	nbd_session_abandon(s.peer.session);
	nbd_end_all(&s.rig);
	finish(&s);
}

static void extents_are_data_of_which_nothing_is_known(void **state)
{
	static const uint8_t all[] = "\x66\x8e\x33\xef\0\1\0\5\0\0\0\0\0\0\0\1\0\0\0\14"
				     "\0\0\0\1\3\360\0\0\0\0\0\0";
	SCENE(s, true);

	nbd_ask(&s.peer, NBD_CMD_BLOCK_STATUS, NBD_CMD_FLAG_REQ_ONE, 1, 33 << 20,
		NBD_RIG_SIZE - (33 << 20));
	assert_memory_equal(nbd_hear(&s.peer, 32), all, 32);
	assert_int_equal(s.rig.submits, 0);
	finish(&s);
}

static void disconnect_ends_what_was_asked_and_nothing_after_it(void **state)
{
	SCENE(s, false);
	nbd_ask(&s.peer, NBD_CMD_READ, 0, 1, 0, 512);
	nbd_ask(&s.peer, NBD_CMD_DISC, 0, 2, 0, 0);
	nbd_run(&s.peer);
	assert_false(nbd_session_is_over(s.peer.session));
	nbd_end(&s.rig, 0, 0);
	assert_false(nbd_session_is_over(s.peer.session)); /* the reply is not sent */
	nbd_hear_reply(&s.peer, 1, 0);
	nbd_hear_data(&s.peer, 0, 512);
	assert_true(nbd_session_is_over(s.peer.session));
	assert_null(nbd_session_fault(s.peer.session));
	finish(&s);
}

/* --- what is wrong (Z2) ---------------------------------------------------------------------- */

static void what_is_wrong_with_a_request_is_told_by_its_error(void **state)
{
	enum { SIZE = NBD_RIG_SIZE };
	static const struct {
		uint16_t command, flags;
		uint64_t offset;
		uint32_t length, error;
	} bad[] = {
		{ NBD_CMD_READ, 0, SIZE, 512, NBD_EINVAL },
		{ NBD_CMD_READ, 0, SIZE - 512, 1024, NBD_EINVAL },
		{ NBD_CMD_READ, 0, UINT64_MAX - 511, 512, NBD_EINVAL },
		{ NBD_CMD_READ, 0, UINT64_MAX - 511, 1024, NBD_EINVAL },
		{ NBD_CMD_READ, 0, 256, 512, NBD_EINVAL },
		{ NBD_CMD_READ, 0, 0, 100, NBD_EINVAL },
		{ NBD_CMD_READ, 0, 0, 0, NBD_EINVAL },
		{ NBD_CMD_READ, 0, 0, (32 << 20) + 512, NBD_EOVERFLOW },
		{ NBD_CMD_READ, NBD_CMD_FLAG_NO_HOLE, 0, 512, NBD_EINVAL },
		{ NBD_CMD_READ, NBD_CMD_FLAG_REQ_ONE, 0, 512, NBD_EINVAL },
		{ NBD_CMD_READ, 16, 0, 512, NBD_EINVAL },
		{ NBD_CMD_FLUSH, 0, 512, 0, NBD_EINVAL },
		{ NBD_CMD_FLUSH, 0, 0, 512, NBD_EINVAL },
		{ NBD_CMD_TRIM, 0, SIZE, 512, NBD_EINVAL },
		{ NBD_CMD_TRIM, 0, 0, 0, NBD_EINVAL },
		{ NBD_CMD_TRIM, NBD_CMD_FLAG_NO_HOLE, 0, 512, NBD_EINVAL },
		{ NBD_CMD_CACHE, 0, 0, 512, NBD_EINVAL },
		{ NBD_CMD_WRITE_ZEROES, 0, SIZE - 512, 1024, NBD_ENOSPC },
		{ NBD_CMD_WRITE_ZEROES, 16, 0, 512, NBD_EINVAL }, /* FAST_ZERO */
		{ NBD_CMD_WRITE_ZEROES, 0, 1, 512, NBD_EINVAL },
		{ NBD_CMD_BLOCK_STATUS, 0, SIZE, 512, NBD_EINVAL },
		{ NBD_CMD_BLOCK_STATUS, 0, 0, 0, NBD_EINVAL },
		{ 8, 0, 0, 512, NBD_EINVAL },
		{ 0xffff, 0, 0, 512, NBD_EINVAL },
	};

	for (int is_structured = 0; is_structured < 2; is_structured++) {
		SCENE(s, is_structured);

		for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
			nbd_ask(&s.peer, bad[i].command, bad[i].flags, i, bad[i].offset,
				bad[i].length);
			if (is_structured)
				nbd_hear_error(&s.peer, i, bad[i].error);
			else
				nbd_hear_reply(&s.peer, i, bad[i].error);
		}
		assert_int_equal(s.rig.submits, 0);
		assert_int_equal(s.rig.export.counters.refused, ARRAY_SIZE(bad));
		assert_goes_on(&s);
		finish(&s);
	}
}

static void a_bad_writes_payload_is_skipped_before_it_is_answered(void **state)
{
	static const struct {
		uint16_t flags;
		uint64_t offset;
		uint32_t length, error;
	} bad[] = {
		{ 0, NBD_RIG_SIZE - 512, 1024, NBD_ENOSPC },
		{ 0, 100, 512, NBD_EINVAL },
		{ 0, 0, 100, NBD_EINVAL },
		{ 0, 0, 0, NBD_EINVAL },
		{ NBD_CMD_FLAG_DF, 0, 512, NBD_EINVAL },
		{ 0, 0, (32 << 20) + 512, NBD_EINVAL },
		{ 0, UINT64_MAX - 511, 70000, NBD_EINVAL },
	};
	static uint8_t payload[(32 << 20) + 512];
	SCENE(s, false);

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		nbd_ask(&s.peer, NBD_CMD_WRITE, bad[i].flags, i, bad[i].offset,
			bad[i].length);
		if (bad[i].length > 0) {
			nbd_hear_nothing(&s.peer);
			nbd_send(&s.peer, payload, bad[i].length - 1);
			nbd_hear_nothing(&s.peer);
			nbd_send(&s.peer, payload, 1);
		}
		nbd_hear_reply(&s.peer, i, bad[i].error);
	}
	assert_int_equal(s.rig.submits, 0);
	assert_goes_on(&s);
	finish(&s);
}

static void without_structured_replies_there_is_no_df_and_no_status(void **state)
{
	SCENE(s, false);
	nbd_ask(&s.peer, NBD_CMD_READ, NBD_CMD_FLAG_DF, 1, 0, 512);
	nbd_hear_reply(&s.peer, 1, NBD_EINVAL);
	nbd_ask(&s.peer, NBD_CMD_BLOCK_STATUS, 0, 2, 0, 512);
	nbd_hear_reply(&s.peer, 2, NBD_EINVAL);
	finish(&s);
}

/* Or a stalled neighbour could keep the memory that one chunk needs. */
static void a_long_read_in_one_chunk_is_too_long(void **state)
{
	SCENE(s, true);
	nbd_ask(&s.peer, NBD_CMD_READ, NBD_CMD_FLAG_DF, 1, 0, NBD_RESERVE_BYTES + 512);
	nbd_hear_error(&s.peer, 1, NBD_EOVERFLOW);
	nbd_ask(&s.peer, NBD_CMD_READ, NBD_CMD_FLAG_DF, 2, 0, NBD_RESERVE_BYTES);
	assert_int_equal(s.rig.pending_count, 1);
	nbd_end(&s.rig, 0, -EIO);
	nbd_hear_error(&s.peer, 2, NBD_EIO);
	finish(&s);
}

static void a_read_only_export_is_read_only(void **state)
{
	SCENE(s, false);
	s.rig.volume.is_read_only = true;
	nbd_ask_write(&s.peer, 1, 0, 512, 0);
	nbd_hear_reply(&s.peer, 1, NBD_EPERM);
	nbd_ask(&s.peer, NBD_CMD_WRITE_ZEROES, 0, 2, 0, 512);
	nbd_hear_reply(&s.peer, 2, NBD_EPERM);
	nbd_ask(&s.peer, NBD_CMD_TRIM, 0, 3, 0, 512);
	nbd_hear_reply(&s.peer, 3, NBD_EPERM);
	assert_int_equal(s.rig.submits, 0);
	assert_goes_on(&s);
	finish(&s);
}

static void a_volume_that_cannot_trim_is_not_asked_to(void **state)
{
	SCENE(s, false);
	s.rig.volume.has_trim = false;
	nbd_ask(&s.peer, NBD_CMD_TRIM, 0, 1, 0, 512);
	nbd_hear_reply(&s.peer, 1, NBD_EINVAL);
	finish(&s);
}

static void what_the_volume_says_is_told_in_nbds_words(void **state)
{
	static const struct {
		int result;
		uint32_t error;
	} table[] = {
		{ -EIO, NBD_EIO },
		{ -ENOSPC, NBD_ENOSPC },
		{ -EPERM, NBD_EPERM },
		{ -ESHUTDOWN, NBD_ESHUTDOWN },
	};
	SCENE(s, true);

	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		nbd_ask_write(&s.peer, i, 0, 512, 1);
		nbd_end(&s.rig, 0, table[i].result);
		nbd_hear_error(&s.peer, i, table[i].error);
	}
	assert_int_equal(s.rig.export.counters.failed, ARRAY_SIZE(table));
	finish(&s);
}

static void a_volume_that_refuses_an_io_has_it_answered(void **state)
{
	uint64_t cookie = 0;

	for (int is_structured = 0; is_structured < 2; is_structured++) {
		SCENE(s, is_structured);

		s.rig.refuses = -EINVAL;
		nbd_ask(&s.peer, NBD_CMD_READ, 0, cookie, 0, 3 << 20);
		nbd_ask(&s.peer, NBD_CMD_READ, 0, cookie, 0, 512);
		nbd_ask_write(&s.peer, cookie, 0, 3 << 20, 0);
		nbd_ask_write(&s.peer, cookie, 0, 512, 0);
		nbd_ask(&s.peer, NBD_CMD_FLUSH, 0, cookie, 0, 0);
		for (int i = 0; i < 5; i++) {
			if (is_structured)
				nbd_hear_error(&s.peer, cookie, NBD_EINVAL);
			else
				nbd_hear_reply(&s.peer, cookie, NBD_EINVAL);
		}
		s.rig.refuses = 0;
		assert_goes_on(&s);
		finish(&s);
	}
}

static void what_is_no_request_cuts_the_client(void **state)
{
	SCENE(s, false);
	nbd_ask(&s.peer, NBD_CMD_READ, 0, 1, 0, 512);
	nbd_send(&s.peer, "what is no request, and long enough", 28);
	nbd_run(&s.peer);
	assert_non_null(nbd_session_fault(s.peer.session));
	assert_true(nbd_session_is_over(s.peer.session));
	nbd_session_abandon(s.peer.session);
	nbd_end_all(&s.rig);
	finish(&s);
}

/* --- volumes ------------------------------------------------------------------------------------ */

static void ios_are_no_longer_than_the_volume_takes(void **state)
{
	SCENE(s, false);
	s.rig.volume.max_bytes = 8192; /* nbd_rig looks at each */
	write_numbers(&s, 0, 100 * 512);
	nbd_ask(&s.peer, NBD_CMD_READ, 0, 1, 0, 100 * 512);
	while (s.rig.pending_count > 0) {
		nbd_end_all(&s.rig);
		nbd_run(&s.peer);
	}
	nbd_hear_reply(&s.peer, 1, 0);
	nbd_hear_data(&s.peer, 0, 100 * 512);
	finish(&s);
}

static void a_volume_that_has_grown_is_larger_at_once(void **state)
{
	SCENE(s, false);
	s.rig.volume.size_bytes = NBD_RIG_SIZE / 2;
	nbd_ask_write(&s.peer, 1, NBD_RIG_SIZE / 2, 512, 0);
	nbd_hear_reply(&s.peer, 1, NBD_ENOSPC);
	s.rig.volume.size_bytes = NBD_RIG_SIZE;
	nbd_ask_write(&s.peer, 2, NBD_RIG_SIZE / 2, 512, 0);
	nbd_end(&s.rig, 0, 0);
	nbd_hear_reply(&s.peer, 2, 0);
	finish(&s);
}

static void the_next_volume_gets_ios_of_its_own_size(void **state)
{
	struct nbd_rig other;
	SCENE(s, false);

	nbd_rig_init(&other);
	other.volume.io_bytes = sizeof(struct volume_io) + 4096; /* submit() writes on it */
	nbd_ask(&s.peer, NBD_CMD_READ, 0, 1, 0, 512);
	nbd_ask(&s.peer, NBD_CMD_READ, 0, 2, 0, 512);
	nbd_end(&s.rig, 0, 0);
	nbd_hear_reply(&s.peer, 1, 0);
	nbd_hear_data(&s.peer, 0, 512);
	s.rig.export.volume = &other.volume;
	nbd_ask(&s.peer, NBD_CMD_READ, 0, 3, 0, 512);
	assert_int_equal(other.pending_count, 1);
	nbd_end_all(&s.rig); /* the old one ends what it has */
	nbd_hear_reply(&s.peer, 2, 0);
	nbd_hear_data(&s.peer, 0, 512);
	nbd_end_all(&other);
	nbd_hear_reply(&s.peer, 3, 0);
	nbd_hear_data(&s.peer, 0, 512);
	nbd_rig_fini(&other);
	finish(&s);
}

static void without_a_volume_requests_are_shut_down(void **state)
{
	static uint8_t payload[65536];
	SCENE(s, false);

	nbd_ask(&s.peer, NBD_CMD_WRITE, 0, 1, 0, sizeof(payload));
	nbd_send(&s.peer, payload, 1000);
	s.rig.export.volume = NULL;
	nbd_send(&s.peer, payload, sizeof(payload) - 1000);
	nbd_hear_reply(&s.peer, 1, NBD_ESHUTDOWN);
	nbd_ask(&s.peer, NBD_CMD_FLUSH, 0, 2, 0, 0);
	nbd_hear_reply(&s.peer, 2, NBD_ESHUTDOWN);
	nbd_ask_write(&s.peer, 3, 0, 512, 0);
	nbd_hear_reply(&s.peer, 3, NBD_ESHUTDOWN);
	s.rig.export.volume = &s.rig.volume;
	assert_goes_on(&s);
	finish(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_read_is_answered_when_it_is_done),
		cmocka_unit_test(a_structured_read_is_one_chunk),
		cmocka_unit_test(replies_come_in_the_order_in_which_ios_end),
		cmocka_unit_test(the_longest_read_is_parts_of_which_the_last_to_end_is_the_last),
		cmocka_unit_test(the_longest_simple_read_is_one_stream),
		cmocka_unit_test(two_streams_do_not_mix),
		cmocka_unit_test(a_simple_read_that_fails_in_the_middle_hangs_up),
		cmocka_unit_test(a_simple_read_whose_first_part_fails_is_just_an_error),
		cmocka_unit_test(a_structured_read_of_which_a_part_fails_is_an_error_at_its_end),
		cmocka_unit_test(a_write_reaches_the_volume_and_is_acknowledged_when_it_is_done),
		cmocka_unit_test(writes_of_all_lengths_arrive_whole_however_they_come),
		cmocka_unit_test(a_write_may_come_byte_by_byte),
		cmocka_unit_test(a_long_payload_comes_to_its_place_at_once),
		cmocka_unit_test(a_write_of_which_a_part_fails_is_read_to_its_end_and_then_answered),
		cmocka_unit_test(flags_go_to_the_volume_where_they_mean_something),
		cmocka_unit_test(every_part_of_a_durable_write_is_durable),
		cmocka_unit_test(extents_are_data_of_which_nothing_is_known),
		cmocka_unit_test(disconnect_ends_what_was_asked_and_nothing_after_it),
		cmocka_unit_test(what_is_wrong_with_a_request_is_told_by_its_error),
		cmocka_unit_test(a_bad_writes_payload_is_skipped_before_it_is_answered),
		cmocka_unit_test(without_structured_replies_there_is_no_df_and_no_status),
		cmocka_unit_test(a_long_read_in_one_chunk_is_too_long),
		cmocka_unit_test(a_read_only_export_is_read_only),
		cmocka_unit_test(a_volume_that_cannot_trim_is_not_asked_to),
		cmocka_unit_test(what_the_volume_says_is_told_in_nbds_words),
		cmocka_unit_test(a_volume_that_refuses_an_io_has_it_answered),
		cmocka_unit_test(what_is_no_request_cuts_the_client),
		cmocka_unit_test(ios_are_no_longer_than_the_volume_takes),
		cmocka_unit_test(a_volume_that_has_grown_is_larger_at_once),
		cmocka_unit_test(the_next_volume_gets_ios_of_its_own_size),
		cmocka_unit_test(without_a_volume_requests_are_shut_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
