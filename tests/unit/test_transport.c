/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The transport over UDP: what is sent arrives whole and in order, whatever its
 * size and however the kernel batches it.
 */
#include "tests/unit/transport_scene.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/arith.h"
#include "totem/fragment.h"

/* Whole and in order */

static void messages_to_one_and_to_many_keep_their_order(void **state)
{
	(void)state;
	net_init(&net, 4);
	for (uint32_t i = 0; i < 90; i++) {
		size_t length = i % 7 == 0 ? 33 : 1000;

		if (i % 10 == 9)
			send_to(0, 2, i, length);
		else if (i % 10 == 8)
			transport_send_set(net.nodes[0].t, both(1, 3),
					   net_message(i, length), length);
		else
			send_all(0, i, length);
	}
	net_check_count(&net, 1, 0); /* queued, no more */
	flush(0);
	net_settle(&net);

	for (int to = 1; to < 4; to++) {
		size_t nth = 0;

		for (uint32_t i = 0; i < 90; i++) {
			if ((i % 10 == 9 && to != 2) || (i % 10 == 8 && to == 2))
				continue;
			net_check_heard(&net, to, nth++, 0, i,
					i % 7 == 0 ? 33 : 1000);
		}
		net_check_count(&net, to, nth);
	}
	net_check_count(&net, 0, 0);
	assert_int_equal(net_counters(&net, 0).queued_bytes, 0);
	assert_int_equal(net_counters(&net, 0).sent_datagrams,
			 72 * 3 + 9 + 9 * 2);
}

static void all_speak_at_once_and_each_hears_the_others(void **state)
{
	(void)state;
	net_init(&net, 3);
	for (uint32_t i = 0; i < 50; i++)
		for (int from = 0; from < 3; from++)
			send_all(from, 100 * (uint32_t)from + i, 40 * i);
	for (int from = 0; from < 3; from++)
		flush(from);
	net_settle(&net);
	for (int to = 0; to < 3; to++) {
		uint32_t next[3] = { 0 };

		net_check_count(&net, to, 100);
		for (size_t nth = 0; nth < 100; nth++) {
			int from = net.nodes[to].heard[nth].from;
			uint32_t i = next[from]++;

			assert_int_not_equal(from, to);
			net_check_heard(&net, to, nth, from,
					100 * (uint32_t)from + i, 40 * i);
		}
	}
}

static void every_size_around_k_payloads_arrives(void **state)
{
	size_t payload, unit;

	(void)state;
	net_init(&net, 3);
	payload = transport_payload_bytes(net.nodes[0].t);
	assert_int_equal(payload, 1500 - (net_scene.family == AF_INET ? 28 : 48) -
					  DATAGRAM_HEADER_BYTES);
	unit = payload + DATAGRAM_HEADER_BYTES - FRAGMENT_HEADER_BYTES;
	for (size_t length = 0; length <= 20; length++)
		sweep(length);
	for (size_t k = 1; k * unit <= TRANSPORT_MESSAGE_MAX; k++)
		for (size_t d = 0; d <= 16; d++) {
			if (k * payload + d - 8 <= TRANSPORT_MESSAGE_MAX)
				sweep(k * payload + d - 8);
			if (k * unit + d - 8 <= TRANSPORT_MESSAGE_MAX)
				sweep(k * unit + d - 8);
		}
	for (size_t d = 0; d <= 8; d++)
		sweep(TRANSPORT_MESSAGE_MAX - d);
	for (size_t length = 65536 - 8; length <= 65536 + 8; length++)
		sweep(length);
	assert_int_equal(transport_send_all(net.nodes[0].t,
					    net_message(0, TRANSPORT_MESSAGE_MAX + 1),
					    TRANSPORT_MESSAGE_MAX + 1), -EMSGSIZE);
}

static void a_message_may_be_written_in_place(void **state)
{
	size_t payload;
	uint8_t *room;

	(void)state;
	net_init(&net, 2);
	payload = transport_payload_bytes(net.nodes[0].t);
	assert_null(transport_reserve(net.nodes[0].t, payload + 1));
	for (uint32_t i = 0; i < 40; i++) {
		size_t length = payload - i % 3;

		room = transport_reserve(net.nodes[0].t, payload);
		assert_non_null(room);
		memcpy(room, net_message(i, length), length);
		if (i % 4 != 3) /* else it is given up */
			transport_commit(net.nodes[0].t, set_of(1), length);
	}
	flush(0);
	net_settle(&net);
	net_check_count(&net, 1, 30);
	for (uint32_t i = 0, nth = 0; i < 40; i++)
		if (i % 4 != 3)
			net_check_heard(&net, 1, nth++, 0, i, payload - i % 3);
}

static void answers_from_callbacks_go_out_at_the_end_of_the_round(void **state)
{
	(void)state;
	net_init(&net, 2);
	net.nodes[1].is_answering = true;
	for (uint32_t i = 0; i < 100; i++)
		send_to(0, 1, i, 500 * i);
	flush(0);
	net_settle(&net);
	net_check_count(&net, 0, 100);
	for (uint32_t i = 0; i < 100; i++)
		net_check_heard(&net, 0, i, 1, i, 500 * i);
	assert_in_range(net.nodes[1].rounds, 1, 99);
}

/* Batching must not be seen */

struct datagrams {
	size_t count;
	struct {
		size_t length;
		uint8_t bytes[2048];
	} d[600];
};

/* The wire as a plain socket sees it; numbers of split messages are relative. */
static struct datagrams *datagrams_of(bool is_gso_off)
{
	struct datagrams *got = calloc(1, sizeof(*got));
	bool was_off = net_scene.is_gso_off;
	uint32_t first = 0;
	ssize_t n;
	int fd;

	net_scene.is_gso_off = is_gso_off;
	net_init(&net, 2);
	fd = net_stranger(&net, 2);
	for (uint32_t i = 0; i < 200; i++) {
		static const size_t lengths[] = { 1000, 1000, 1000, 999, 1000,
						  5000, 0, 0, 64, 64, 1468 };

		send_to(0, 2, i, lengths[i % ARRAY_SIZE(lengths)]);
		if (i % 3 == 0)
			send_all(0, i, 1200);
		if (i % 50 == 49)
			flush(0);
		while ((n = recv(fd, got->d[got->count].bytes, 2048, 0)) > 0)
			got->d[got->count++].length = (size_t)n;
	}
	for (size_t i = 0; i < got->count; i++) {
		uint8_t *bytes = got->d[i].bytes;
		uint32_t number;

		if (bytes[3] != 2)
			continue;
		memcpy(&number, bytes + 4, 4);
		if (first == 0)
			first = number;
		number -= first;
		memcpy(bytes + 4, &number, 4);
	}
	if (is_gso_off)
		assert_int_equal(net_lies.batches, 0);
	else
		assert_true(net_lies.batches > 0);
	close(fd);
	net_fini(&net);
	net_scene.is_gso_off = was_off;
	return got;
}

static void segmented_or_not_the_datagrams_are_the_same(void **state)
{
	struct datagrams *with, *without;

	(void)state;
	with = datagrams_of(false);
	without = datagrams_of(true);
	assert_true(with->count > 200);
	assert_int_equal(with->count, without->count);
	for (size_t i = 0; i < with->count; i++) {
		assert_int_equal(with->d[i].length, without->d[i].length);
		assert_memory_equal(with->d[i].bytes, without->d[i].bytes,
				    with->d[i].length);
	}
	free(with);
	free(without);
}

static void batches_are_taken_apart_at_their_segments(void **state)
{
	struct transport_counters c;
	uint32_t count = 0;

	(void)state;
	net_init(&net, 2);
	for (size_t length = 1; length < 300; length += 7)
		for (uint32_t i = 0; i < 5; i++, count++)
			send_to(0, 1, count, i < 4 ? length : length / 2);
	flush(0);
	net_settle(&net);
	count = 0;
	for (size_t length = 1; length < 300; length += 7)
		for (uint32_t i = 0; i < 5; i++, count++)
			net_check_heard(&net, 1, count, 0, count,
					i < 4 ? length : length / 2);
	net_check_count(&net, 1, count);
	c = net_counters(&net, 1);
	assert_int_equal(c.received_datagrams, count);
	/* Where the kernel segments and puts together, it did. */
	if (net_counters(&net, 0).sent_batches > 0 && !net_scene.is_gro_off)
		assert_true(c.received_batches > 0);
	assert_true(c.received_batches == 0 || !net_scene.is_gro_off);
}

static void a_kernel_that_does_not_segment(void **state)
{
	static const int errors[] = { EIO, EINVAL, ENOPROTOOPT, EOPNOTSUPP };

	(void)state;
	if (net_scene.is_gso_off)
		skip();
	for (size_t e = 0; e < ARRAY_SIZE(errors); e++) {
		net_init(&net, 3);
		net_lies.segment_error = errors[e];
		for (uint32_t i = 0; i < 200; i++)
			send_all(0, i, 700);
		flush(0);
		net_settle(&net);
		for (int to = 1; to < 3; to++) {
			net_check_count(&net, to, 200);
			for (uint32_t i = 0; i < 200; i++)
				net_check_heard(&net, to, i, 0, i, 700);
		}
		assert_int_equal(net_counters(&net, 0).gso_refused, 1);
		assert_int_equal(net_counters(&net, 0).sent_datagrams, 400);
		net_lies.batches = 0;
		for (uint32_t i = 0; i < 20; i++)
			send_all(0, i, 700);
		flush(0);
		assert_int_equal(net_lies.batches, 0); /* not asked again */
		net_fini(&net);
	}
}

static void runs_are_never_more_than_the_kernel_takes(void **state)
{
	uint32_t number = 0;

	(void)state;
	net_init(&net, 2);
	for (size_t length = 0; length < 1460; length += length < 8 ? 1 : 131) {
		for (uint32_t i = 0; i < 300; i++)
			send_to(0, 1, number++, length);
		flush(0);
		net_check_count(&net, 1, number);
	}
	assert_int_equal(net_counters(&net, 0).gso_refused, 0);
	assert_true(net_scene.is_gso_off || net_lies.batches > 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(messages_to_one_and_to_many_keep_their_order),
		TEST(all_speak_at_once_and_each_hears_the_others),
		TEST(every_size_around_k_payloads_arrives),
		TEST(a_message_may_be_written_in_place),
		TEST(answers_from_callbacks_go_out_at_the_end_of_the_round),
		TEST(segmented_or_not_the_datagrams_are_the_same),
		TEST(batches_are_taken_apart_at_their_segments),
		TEST(runs_are_never_more_than_the_kernel_takes),
		TEST(a_kernel_that_does_not_segment),
	};

	return scene_run(tests, ARRAY_SIZE(tests));
}
