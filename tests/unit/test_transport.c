/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The transport over UDP: what is sent arrives whole and in order, whatever its
 * size and however the kernel batches it; who is gone is named; what is not ours
 * is dropped; nothing grows without bound.
 *
 * The same tests run over IPv4 and IPv6, with and without segmentation.
 */
#include "tests/unit/transport_rig.h"

#include <arpa/inet.h>
#include <errno.h>
#include <malloc.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/arith.h"
#include "base/clock.h"
#include "base/loop.h"
#include "totem/fragment.h"

enum { HANG_SECONDS = 300, SKIP_PROGRAM = 77 };

static struct net net;

static int setup(void **state)
{
	(void)state;
	memset(&net, 0, sizeof(net));
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	net_fini(&net);
	net_namespace_leave();
	net_scene.mtu_bytes = 0;
	net_scene.queue_bytes = 0;
	net_scene.has_group = false;
	net_scene.has_loop = false;
	return 0;
}

static struct node_set both(int a, int b)
{
	return set_union(set_of(a), set_of(b));
}

static void send_to(int from, int to, uint32_t number, size_t length)
{
	assert_int_equal(transport_send(net.nodes[from].t, to,
					net_message(number, length), length), 0);
}

static void send_all(int from, uint32_t number, size_t length)
{
	assert_int_equal(transport_send_all(net.nodes[from].t,
					    net_message(number, length), length), 0);
}

static void flush(int from)
{
	transport_flush(net.nodes[from].t);
}

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

static uint32_t sweep_number;

static void sweep(size_t length)
{
	send_all(0, sweep_number, length);
	flush(0);
	for (int to = 1; to < 3; to++) {
		net_check_heard(&net, to, 0, 0, sweep_number, length);
		net_check_count(&net, to, 1);
	}
	net_forget(&net);
	sweep_number++;
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

/* Parts of messages */

static void throw_part(int fd, int to, const struct fragment *like,
		       uint32_t number, uint16_t index)
{
	uint8_t bytes[2048];
	struct fragment f = *like;
	size_t at = (size_t)index * f.unit_bytes;
	size_t n = min_u64(f.unit_bytes, f.total_bytes - at);

	f.index = index;
	fragment_write_part(bytes, &f);
	memcpy(bytes + FRAGMENT_HEADER_BYTES,
	       net_message(number, f.total_bytes) + at, n);
	net_throw(&net, fd, to, bytes, FRAGMENT_HEADER_BYTES + n);
}

static struct fragment part_of(uint32_t message)
{
	return (struct fragment){ .message = message, .total_bytes = 4500,
				  .unit_bytes = 1000 };
}

static void parts_may_come_doubled_and_in_any_order(void **state)
{
	static const uint16_t order[] = { 4, 0, 0, 2, 4, 1, 2, 3 };
	struct fragment f = part_of(UINT32_MAX);
	int fd;

	(void)state;
	net_init(&net, 1);
	fd = net_stranger(&net, 1);
	for (size_t i = 0; i < ARRAY_SIZE(order); i++) {
		net_check_count(&net, 0, 0);
		throw_part(fd, 0, &f, 5, order[i]);
		net_settle(&net);
	}
	net_check_count(&net, 0, 1);
	net_check_heard(&net, 0, 0, 1, 5, 4500);
	assert_int_equal(net_counters(&net, 0).duplicate_fragments, 3);

	f = part_of(0); /* numbers wrap */
	for (uint16_t i = 0; i < 5; i++)
		throw_part(fd, 0, &f, 6, i);
	net_settle(&net);
	net_check_heard(&net, 0, 1, 1, 6, 4500);
	close(fd);
}

static void senders_do_not_mix(void **state)
{
	struct fragment f = part_of(7);
	int a, b;

	(void)state;
	net_init(&net, 1);
	a = net_stranger(&net, 1);
	b = net_stranger(&net, 2);
	for (uint16_t i = 0; i < 5; i++) {
		throw_part(a, 0, &f, 100, i);
		throw_part(b, 0, &f, 200, (uint16_t)(4 - i));
	}
	net_settle(&net);
	net_check_count(&net, 0, 2);
	net_check_heard(&net, 0, 0, 1, 100, 4500);
	net_check_heard(&net, 0, 1, 2, 200, 4500);
	close(a);
	close(b);
}

static void a_newer_message_replaces_an_incomplete_one(void **state)
{
	struct fragment older = part_of(UINT32_MAX - 1);
	struct fragment newer = part_of(3);
	struct transport_counters c;
	int fd;

	(void)state;
	net_init(&net, 1);
	fd = net_stranger(&net, 1);
	for (uint16_t i = 0; i < 4; i++)
		throw_part(fd, 0, &older, 1, i);
	throw_part(fd, 0, &newer, 2, 0);
	throw_part(fd, 0, &older, 1, 4); /* too late */
	for (uint16_t i = 1; i < 5; i++)
		throw_part(fd, 0, &newer, 2, i);
	net_settle(&net);
	net_check_count(&net, 0, 1);
	net_check_heard(&net, 0, 0, 1, 2, 4500);
	c = net_counters(&net, 0);
	assert_int_equal(c.messages_replaced, 1);
	assert_int_equal(c.stale_fragments, 1);
	close(fd);
}

static void an_incomplete_message_ends_with_time(void **state)
{
	struct fragment f = part_of(1000);
	uint64_t now = 77 * NS_PER_S;
	int fd;

	(void)state;
	net_init(&net, 1);
	fd = net_stranger(&net, 1);
	for (uint16_t i = 0; i < 4; i++)
		throw_part(fd, 0, &f, 1, i);
	net_settle(&net);
	transport_expire(net.nodes[0].t, now);
	transport_expire(net.nodes[0].t, now + 199 * NS_PER_MS);
	assert_int_equal(net_counters(&net, 0).messages_expired, 0);
	transport_expire(net.nodes[0].t, now + 200 * NS_PER_MS);
	assert_int_equal(net_counters(&net, 0).messages_expired, 1);

	/* A sender that begins anew with smaller numbers is heard then. */
	f = part_of(1);
	for (uint16_t i = 0; i < 5; i++)
		throw_part(fd, 0, &f, 2, i);
	net_settle(&net);
	net_check_count(&net, 0, 1);
	net_check_heard(&net, 0, 0, 1, 2, 4500);
	close(fd);
}

static void throw_header(int fd, struct fragment f, size_t length)
{
	uint8_t bytes[4096] = { 0 };

	fragment_write_part(bytes, &f);
	net_throw(&net, fd, 0, bytes, FRAGMENT_HEADER_BYTES + length);
}

static void parts_that_contradict_themselves_are_dropped(void **state)
{
	struct fragment f = part_of(9);
	struct transport_counters c;
	int fd;

	(void)state;
	net_init(&net, 1);
	fd = net_stranger(&net, 1);
#define WITH(field, value) (f = part_of(9), f.field = (value), f)
	throw_header(fd, f, 999);
	throw_header(fd, f, 1001);
	throw_header(fd, WITH(index, 4), 1000);
	throw_header(fd, WITH(index, 5), 500);
	throw_header(fd, WITH(index, UINT16_MAX), 1000);
	throw_header(fd, WITH(unit_bytes, 0), 0);
	throw_header(fd, WITH(unit_bytes, 4500), 1000);
	throw_header(fd, WITH(unit_bytes, 35), 35);
	throw_header(fd, WITH(total_bytes, TRANSPORT_MESSAGE_MAX + 1), 1000);
	throw_header(fd, WITH(total_bytes, UINT32_MAX), 1000);
	throw_header(fd, WITH(total_bytes, 0), 0);
#undef WITH
	net_settle(&net);
	c = net_counters(&net, 0);
	assert_int_equal(c.bad_datagrams, 11);
	assert_int_equal(c.received_fragments, 0);

	/* Sound, but of another message with the same number. */
	f = part_of(9);
	throw_part(fd, 0, &f, 1, 0);
	f.total_bytes = 4400;
	throw_part(fd, 0, &f, 1, 1);
	f = part_of(9);
	for (uint16_t i = 1; i < 5; i++)
		throw_part(fd, 0, &f, 1, i);
	net_settle(&net);
	assert_int_equal(net_counters(&net, 0).bad_fragments, 1);
	net_check_heard(&net, 0, 0, 1, 1, 4500);
	close(fd);
}

/* Who else sends */

static void strangers_and_garbage_are_counted_and_dropped(void **state)
{
	struct transport_counters c;
	uint8_t whole[16] = { 0 };
	int stranger, peer;

	(void)state;
	net_init(&net, 2);
	stranger = net_stranger(&net, -1);
	peer = net_stranger(&net, 2);
	fragment_write_whole(whole);
	for (size_t n = 0; n < 40; n++) {
		net_throw(&net, stranger, 1, net_message(1, n), n);
		net_throw(&net, peer, 1, net_message(2, n), n);
	}
	net_throw(&net, stranger, 1, whole, sizeof(whole));
	for (size_t n = 0; n < DATAGRAM_HEADER_BYTES; n++)
		net_throw(&net, peer, 1, whole, n);
	net_settle(&net);
	c = net_counters(&net, 1);
	assert_int_equal(c.unknown_sender, 41);
	assert_int_equal(c.bad_datagrams, 44);
	net_check_count(&net, 1, 0);
	net_throw(&net, peer, 1, whole, sizeof(whole));
	net_settle(&net);
	net_check_count(&net, 1, 1);
	assert_int_equal(net.nodes[1].heard[0].from, 2);
	assert_int_equal(net.nodes[1].heard[0].length, 12);
	close(stranger);
	close(peer);
}

/* Some of them meet a node in the table of addresses. */
static void strangers_on_the_host_of_a_node_are_strangers(void **state)
{
	uint8_t whole[16] = { 0 };

	(void)state;
	net_init(&net, 6);
	fragment_write_whole(whole);
	for (int i = 0; i < 1000; i++) {
		int fd = net_stranger(&net, -1);

		net_throw(&net, fd, 0, whole, sizeof(whole));
		close(fd);
		if (i % 100 == 0)
			net_process(&net, 0);
	}
	net_settle(&net);
	assert_int_equal(net_counters(&net, 0).unknown_sender, 1000);
	net_check_count(&net, 0, 0);
}

static void any_bytes_do_no_harm(void **state)
{
	int peer;

	(void)state;
	net_init(&net, 1);
	peer = net_stranger(&net, 1);
	srandom(4711);
	for (int i = 0; i < 20000; i++) {
		size_t length = (size_t)random() % 100;
		uint8_t bytes[128];

		for (size_t k = 0; k < sizeof(bytes); k++)
			bytes[k] = (uint8_t)random();
		memcpy(bytes, "\x4d\x64\x01\x02", 4);
		if (i % 3)
			memset(bytes + 8, 0, 8);
		bytes[8] = 60;
		bytes[12] = (uint8_t)(random() % 60);
		bytes[14] = (uint8_t)(random() % 4);
		if (i % 5 == 0)
			length = 16u + bytes[12];
		net_throw(&net, peer, 0, bytes, length);
		if (i % 50 == 0)
			net_settle(&net);
	}
	net_settle(&net);
	assert_true(net_counters(&net, 0).received_fragments > 0);
	close(peer);
}

/* Evidence */

/* The kernel limits how often it says so, to all on this host together. */
static void insist_until_refused(int to)
{
	for (int i = 0; i < 500; i++) {
		send_to(0, to, 0, 1);
		flush(0);
		net_settle(&net);
		if (net.nodes[0].evidence[to][TRANSPORT_REFUSED] > 0)
			return;
		poll(NULL, 0, 10);
	}
}

static void a_closed_peer_is_named_and_the_others_hear_all(void **state)
{
	(void)state;
	net_init(&net, 5);
	net_kill(&net, 2);
	for (uint32_t i = 0; i < 20; i++)
		send_all(0, i, i % 2 ? 500 : 1400);
	flush(0);
	net_settle(&net);
	insist_until_refused(2);
	for (int node = 0; node < 5; node++) {
		assert_int_equal(net.nodes[0].evidence[node][TRANSPORT_REFUSED] > 0,
				 node == 2);
		assert_int_equal(net.nodes[0].evidence[node][TRANSPORT_UNREACHABLE], 0);
		assert_int_equal(net.nodes[0].evidence[node][TRANSPORT_LINK_DOWN], 0);
		if (node == 0 || node == 2)
			continue;
		net_check_count(&net, node, 20);
		for (uint32_t i = 0; i < 20; i++)
			net_check_heard(&net, node, i, 0, i, i % 2 ? 500 : 1400);
	}
	assert_int_equal(net.nodes[0].error, ECONNREFUSED);
	assert_int_equal(net_counters(&net, 0).send_errors, 0);

	/* Old evidence is not told again. */
	net_forget(&net);
	send_to(0, 1, 0, 1);
	flush(0);
	net_settle(&net);
	assert_int_equal(net.nodes[0].evidence[2][TRANSPORT_REFUSED], 0);
	net_kill(&net, 3);
	insist_until_refused(3);
	assert_int_equal(net.nodes[0].evidence[3][TRANSPORT_REFUSED], 1);
	assert_int_equal(net.nodes[0].evidence[2][TRANSPORT_REFUSED], 0);
}

static void without_a_way_out_evidence_says_so(void **state)
{
	union transport_address nowhere = { .any.sa_family = AF_UNSPEC };
	struct err err = ERR_INIT;

	(void)state;
	if (!net_namespace_enter(65536)) /* where lo is all there is */
		skip();
	net_init(&net, 3);
	nowhere.any.sa_family = (sa_family_t)net_scene.family;
	nowhere.in4.sin_port = htons(5405);
	if (net_scene.family == AF_INET)
		inet_pton(AF_INET, "192.0.2.1", &nowhere.in4.sin_addr);
	else
		inet_pton(AF_INET6, "2001:db8::1", &nowhere.in6.sin6_addr);
	assert_ok(transport_udp_set_address(net.nodes[0].t, 1, &nowhere, &err),
		  err);
	for (uint32_t i = 0; i < 20; i++)
		send_all(0, i, 100);
	flush(0);
	net_settle(&net);
	assert_int_equal(net.nodes[0].evidence[1][TRANSPORT_LINK_DOWN], 1);
	assert_int_equal(net.nodes[0].evidence[2][TRANSPORT_LINK_DOWN], 0);
	assert_int_equal(net.nodes[0].evidence[1][TRANSPORT_REFUSED], 0);
	assert_int_equal(net.nodes[0].error, ENETUNREACH);
	net_check_count(&net, 2, 20);
	assert_int_equal(net_counters(&net, 0).queued_bytes, 0);
}

static void each_evidence_is_told_once(void **state)
{
	(void)state;
	net_init(&net, 3);
	net_kill(&net, 1);
	insist_until_refused(1);
	net_forget(&net);
	net_lies.blocked_error = ENETDOWN;
	net_lies.blocked_calls = 3; /* it is asked so often before it is believed */
	send_to(0, 1, 0, 1);
	send_to(0, 2, 1, 1);
	flush(0);
	net_settle(&net);
	assert_int_equal(net.nodes[0].evidence[1][TRANSPORT_LINK_DOWN], 1);
	assert_int_equal(net.nodes[0].evidence[1][TRANSPORT_REFUSED], 0);
	net_check_heard(&net, 2, 0, 0, 1, 1);
}

/* Bounds */

static void nothing_is_lost_or_doubled_while_the_socket_has_no_room(void **state)
{
	static const int errors[] = { EAGAIN, ENOBUFS, ENOMEM };
	uint32_t number = 0;

	(void)state;
	net_init(&net, 3);
	for (unsigned int round = 0; round < 60; round++) {
		/* Some go, the rest waits, and more is queued behind it. */
		net_lies.blocked_error = errors[round % 3];
		net_lies.at_once = 1 + round % 4;
		for (uint32_t i = 0; i < 30; i++)
			send_all(0, number++, i % 9 ? 900 : 100);
		net_lies.blocked_calls = round % 5 * 3;
		flush(0);
		if (round % 4 == 0)
			net_settle(&net);
	}
	net_lies.blocked_calls = 0;
	flush(0);
	net_settle(&net);
	for (int to = 1; to < 3; to++) {
		net_check_count(&net, to, number);
		for (uint32_t i = 0; i < number; i++)
			net_check_heard(&net, to, i, 0, i,
					i % 30 % 9 ? 900 : 100);
	}
	assert_true(net_counters(&net, 0).blocked > 0);
	assert_int_equal(net_counters(&net, 0).queue_dropped, 0);
}

/* One node has heard, the other has not, when more is queued. */
static void what_is_queued_behind_a_half_sent_run_reaches_all(void **state)
{
	(void)state;
	net_init(&net, 3);
	net_lies.at_once = 1;
	net_lies.blocked_error = EAGAIN;
	for (uint32_t i = 0; i < 60; i++) {
		send_all(0, i, 600);
		net_lies.passing_calls = 1;
		net_lies.blocked_calls = 1;
		flush(0);
		assert_true(net_counters(&net, 0).queued_bytes > 0);
	}
	flush(0);
	net_settle(&net);
	for (int to = 1; to < 3; to++)
		for (uint32_t i = 0; i < 60; i++)
			net_check_heard(&net, to, i, 0, i, 600);
}

static void stop_when_heard(void *owner)
{
	const size_t *count = owner;
	struct err err = ERR_INIT;

	if (net.nodes[1].heard_count == *count)
		loop_stop(net.loop);
	else
		assert_non_null(loop_timer_start(net.loop, 1, stop_when_heard,
						 owner, &err));
}

static void on_a_loop_all_goes_by_itself(void **state)
{
	static const int errors[] = { EAGAIN, ENOBUFS };
	size_t wanted = 0;
	struct err err = ERR_INIT;

	(void)state;
	net_scene.has_loop = true;
	net_init(&net, 2);
	for (unsigned int round = 0; round < 6; round++) {
		for (uint32_t i = 0; i < 50; i++)
			send_to(0, 1, (uint32_t)wanted++, 1300);
		net_lies.blocked_error = errors[round % 2];
		net_lies.blocked_calls = 5;
		flush(0);
		assert_true(net_counters(&net, 0).queued_bytes > 0);
		assert_non_null(loop_timer_start(net.loop, 1, stop_when_heard,
						 &wanted, &err));
		loop_run(net.loop);
		assert_int_equal(net_counters(&net, 0).queued_bytes, 0);
	}
	for (uint32_t i = 0; i < wanted; i++)
		net_check_heard(&net, 1, i, 0, i, 1300);
}

static void stop_when_refused(void *owner)
{
	struct err err = ERR_INIT;

	if (net.nodes[0].evidence[1][TRANSPORT_REFUSED] > 0)
		loop_stop(net.loop);
	else
		assert_non_null(loop_timer_start(net.loop, 10, stop_when_refused,
						 owner, &err));
	send_to(0, 1, 0, 100); /* the kernel may have said enough for now */
	flush(0);
}

static void on_a_loop_evidence_comes_by_itself(void **state)
{
	(void)state;
	net_scene.has_loop = true;
	net_init(&net, 3);
	net_kill(&net, 1);
	net_lies.has_eaten_errors = true; /* POLLERR is all that is left */
	stop_when_refused(NULL);
	loop_run(net.loop);
	assert_true(net.nodes[0].evidence[1][TRANSPORT_REFUSED] > 0);
	assert_int_equal(net.nodes[0].evidence[2][TRANSPORT_REFUSED], 0);
}

static void a_flood_drops_the_oldest_and_takes_no_memory(void **state)
{
	size_t before, most = 0;
	uint32_t number;

	(void)state;
	net_scene.queue_bytes = 2 << 20;
	net_init(&net, 2);
	before = mallinfo2().uordblks + mallinfo2().hblkhd;
	for (int kind = 0; kind < 2; kind++) {
		uint64_t dropped = net_counters(&net, 0).queue_dropped;
		/* Large ones fill the memory, unequal ones the list of runs. */
		uint32_t count = kind == 0 ? 20000 : 200000;

		net_lies.blocked_error = EAGAIN;
		net_lies.blocked_calls = UINT32_MAX;
		for (number = 0; number < count; number++) {
			size_t in_use;

			send_to(0, 1, number, kind == 0 ? 1400 : number % 40);
			if (number % 1000)
				continue;
			in_use = mallinfo2().uordblks + mallinfo2().hblkhd;
			most = max_u64(most, in_use - before);
			assert_true(net_counters(&net, 0).queued_bytes <= 2 << 20);
		}
		assert_true(net_counters(&net, 0).queue_dropped - dropped >
			    count / 2);
		net_lies.blocked_calls = 0;
		flush(0);
		net_settle(&net);
		assert_true(net.nodes[1].heard_count > 0);
		number--;
		net_check_heard(&net, 1, net.nodes[1].heard_count - 1, 0, number,
				kind == 0 ? 1400 : number % 40);
		assert_true(net.nodes[1].heard_count +
				    net_counters(&net, 0).queue_dropped -
				    dropped == count ||
			    net_counters(&net, 1).overflows > 0);
		net_forget(&net);
	}
	assert_true(most <= 3 << 20); /* 0 under sanitizers */
}

static void a_burst_larger_than_the_queue_goes_out_meanwhile(void **state)
{
	size_t most = 0;

	(void)state;
	net_scene.queue_bytes = 1 << 20;
	net_init(&net, 2);
	for (uint32_t i = 0; i < 3000; i++) { /* 4 MiB without a flush */
		send_to(0, 1, i, 1400);
		most = max_u64(most, net_counters(&net, 0).queued_bytes);
		if (i % 500 == 0)
			net_process(&net, 1);
	}
	flush(0);
	net_settle(&net);
	assert_in_range(most, 1, 1 << 20);
	assert_int_equal(net_counters(&net, 0).queue_dropped, 0);
	assert_int_equal(net.nodes[1].heard_count +
				 net_counters(&net, 1).overflows, 3000);
}

/* Paths */

static void a_narrow_path_lowers_the_size_and_large_messages_still_pass(void **state)
{
	int mtu = net_scene.family == AF_INET ? 1000 : 1300;
	struct transport_counters c;
	size_t payload;

	(void)state;
	if (!net_namespace_enter(mtu))
		skip();
	net_init(&net, 3);
	for (uint32_t i = 0; i < 10; i++)
		send_all(0, i, 1400);
	send_to(0, 1, 10, 200);
	flush(0);
	net_settle(&net);
	c = net_counters(&net, 0);
	assert_int_equal(c.too_big, 20);
	assert_int_equal(c.mtu_lowered, 1);
	assert_int_equal(c.gso_refused, 0); /* it was the size */
	payload = (size_t)mtu - (net_scene.family == AF_INET ? 28 : 48) -
		  DATAGRAM_HEADER_BYTES;
	assert_int_equal(transport_payload_bytes(net.nodes[0].t), payload);
	net_check_count(&net, 1, 1); /* those behind pass */
	net_check_heard(&net, 1, 0, 0, 10, 200);
	net_forget(&net);

	for (size_t length = payload - 8; length < payload + 8; length++)
		sweep(length);
	sweep(TRANSPORT_MESSAGE_MAX);
	assert_int_equal(net_counters(&net, 0).too_big, 20);

	/* After ten minutes the path may be wider. */
	transport_expire(net.nodes[0].t, NS_PER_S);
	transport_expire(net.nodes[0].t, 600 * NS_PER_S);
	assert_int_equal(transport_payload_bytes(net.nodes[0].t), payload);
	transport_expire(net.nodes[0].t, 601 * NS_PER_S);
	assert_true(transport_payload_bytes(net.nodes[0].t) > payload);
}

static void one_narrow_path_does_not_end_segmentation(void **state)
{
	(void)state;
	if (net_scene.is_gso_off)
		skip();
	net_init(&net, 3);
	for (uint32_t i = 0; i < 10; i++)
		send_all(0, i, 1000);
	/* To the first node: neither as a batch nor one by one. */
	net_lies.blocked_error = EMSGSIZE;
	net_lies.blocked_calls = 6;
	flush(0);
	net_settle(&net);
	net_check_count(&net, 1, 0);
	net_check_count(&net, 2, 10);
	assert_int_equal(net_counters(&net, 0).too_big, 10);
	assert_int_equal(net_counters(&net, 0).gso_refused, 0);
	/* Nobody said how narrow: as narrow as can be. */
	assert_int_equal(net_counters(&net, 0).mtu_lowered, 1);
	assert_int_equal(transport_payload_bytes(net.nodes[0].t),
			 (net_scene.family == AF_INET ? 576 - 28 : 1280 - 48) -
				 DATAGRAM_HEADER_BYTES);
	net_forget(&net);
	sweep(1000);
}

/* The n-th that it heard went to it alone, after a number that it has heard. */
static void check_not_before(int to, size_t nth, uint32_t heard)
{
	for (uint32_t i = 5; i < heard; i += 10)
		if (memcmp(net.nodes[to].heard[nth].bytes,
			   net_message(1000 + i, 10), 10) == 0)
			return;
	fail_msg("a message to one overtook one to the group");
}

static void what_is_for_many_goes_to_the_group_once(void **state)
{
	(void)state;
	if (!net_namespace_enter(65536))
		skip();
	/* Over IPv6 lo has no multicast. */
	if (net_scene.family == AF_INET6 &&
	    system("ip link add mc0 type veth peer name mc1 && "
		   "ip link set mc0 up && ip link set mc1 up && "
		   "ip address add fd00::1/64 dev mc0 nodad") != 0)
		skip();
	net_scene.has_group = true;
	net_init(&net, 4);
	for (uint32_t i = 0; i < 100; i++) {
		send_all(0, i, i % 10 ? 1200 : 3000);
		if (i % 10 == 5)
			send_to(0, 2, 1000 + i, 10);
	}
	flush(0);
	net_settle(&net);
	for (int to = 1; to < 4; to++) {
		size_t nth = 0;

		for (uint32_t i = 0; i < 100; i++) {
			/* Another socket: it may be later, but not overtake. */
			while (nth < net.nodes[to].heard_count &&
			       net.nodes[to].heard[nth].length == 10)
				check_not_before(to, nth++, i);
			net_check_heard(&net, to, nth++, 0, i,
					i % 10 ? 1200 : 3000);
		}
		net_check_count(&net, to, to == 2 ? 110 : 100);
	}
	net_check_count(&net, 0, 0);
	assert_true(net_counters(&net, 0).own_copies > 0);
	assert_int_equal(net_counters(&net, 0).sent_datagrams,
			 90 + 10 * 3 + 10);
}

/* Configuration */

static union transport_address other_family_loopback(void)
{
	union transport_address a;

	memset(&a, 0, sizeof(a));
	if (net_scene.family == AF_INET)
		a.in6 = (struct sockaddr_in6){ .sin6_family = AF_INET6,
					       .sin6_addr = in6addr_loopback };
	else
		a.in4 = (struct sockaddr_in){
			.sin_family = AF_INET,
			.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
		};
	return a;
}

static void nonsense_is_refused_by_name(void **state)
{
	static const struct transport_events none = { 0 };
	struct transport_udp_config good, c;
	union transport_address a, other;
	struct err err = ERR_INIT;

	(void)state;
	net_init(&net, 2);
	good = net.config;
#define REFUSED(change, word)                                                 \
	do {                                                                  \
		c = good;                                                     \
		change;                                                       \
		assert_null(transport_udp_open(&c, &none, NULL, NULL, &err)); \
		assert_non_null(strstr(err.text, word));                      \
	} while (0)
	REFUSED(c.self = -1, "nodes");
	REFUSED(c.self = c.nodes.count, "nodes");
	REFUSED(c.nodes.count = TOTEM_MAX_NODES + 1, "nodes");
	REFUSED(c.mtu_bytes = 575, "mtu 575");
	REFUSED(c.mtu_bytes = 65536, "mtu 65536");
	REFUSED(c.queue_bytes = 1000, "queue 1000");
	REFUSED(c.socket_buffer_bytes = UINT32_MAX, "socket buffer");
	REFUSED(c.local[0].any.sa_family = AF_UNIX, "family");
	REFUSED(c.local[0].any.sa_family = AF_UNSPEC, "no local address");
	REFUSED(c.local[1] = c.local[0], "one family");
	REFUSED((net_set_group(&c), c.group_interface = "no-such"), "no-such");
	REFUSED(c.group = c.local[0], "not a multicast address");
	REFUSED((net_set_group(&c), c.group.in4.sin_port = 0), "no port");
	REFUSED((net_set_group(&c),
		 c.local[0] = other_family_loopback()), "no address of that family");
	REFUSED(c.group.any.sa_family = AF_UNIX, "family");
#undef REFUSED
	assert_int_equal(transport_udp_local(net.nodes[0].t, net_scene.family,
					     &a), 0);
	assert_refused(transport_udp_set_address(net.nodes[0].t, 1, &a, &err),
		       -EINVAL, err, "node 20", "node 10's");
	assert_refused(transport_udp_set_address(net.nodes[0].t, 9, &a, &err),
		       -EINVAL, err, "no such node");
	memset(&other, 0, sizeof(other));
	other.any.sa_family = net_scene.family == AF_INET ? AF_INET6 : AF_INET;
	assert_refused(transport_udp_set_address(net.nodes[0].t, 1, &other, &err),
		       -EINVAL, err, "node 20", "family");
	assert_int_equal(transport_udp_local(net.nodes[0].t,
					     other.any.sa_family, &a), -ENOENT);
}

static void a_node_without_address_is_left_out(void **state)
{
	static const union transport_address none = { .any.sa_family = AF_UNSPEC };
	struct err err = ERR_INIT;

	(void)state;
	net_init(&net, 3);
	send_all(0, 1, 100);
	assert_ok(transport_udp_set_address(net.nodes[0].t, 1, &none, &err), err);
	send_all(0, 2, 100);
	send_to(0, 1, 3, 100);
	flush(0);
	net_settle(&net);
	net_check_count(&net, 1, 0);
	net_check_count(&net, 2, 2);
	assert_int_equal(net_counters(&net, 0).queued_bytes, 0);
	/* And not listened to. */
	send_to(1, 0, 4, 100);
	flush(1);
	net_settle(&net);
	net_check_count(&net, 0, 0);
	assert_int_equal(net_counters(&net, 0).unknown_sender, 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

static bool has_ipv6(void)
{
	struct sockaddr_in6 a = { .sin6_family = AF_INET6,
				  .sin6_addr = IN6ADDR_LOOPBACK_INIT };
	int fd = socket(AF_INET6, SOCK_DGRAM, 0);
	bool has = fd >= 0 && bind(fd, (void *)&a, sizeof(a)) == 0;

	if (fd >= 0)
		close(fd);
	return has;
}

/* Bursts have to fit into the buffer of a socket that nobody reads meanwhile. */
static bool has_large_buffers(void)
{
	int fd = socket(AF_INET, SOCK_DGRAM, 0);
	int bytes = 4 << 20, granted = 0;
	socklen_t size = sizeof(granted);

	if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof(bytes)) < 0)
		(void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof(bytes));
	(void)getsockopt(fd, SOL_SOCKET, SO_RCVBUF, &granted, &size);
	close(fd);
	return granted / 2 >= bytes;
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
		TEST(parts_may_come_doubled_and_in_any_order),
		TEST(senders_do_not_mix),
		TEST(a_newer_message_replaces_an_incomplete_one),
		TEST(an_incomplete_message_ends_with_time),
		TEST(parts_that_contradict_themselves_are_dropped),
		TEST(strangers_and_garbage_are_counted_and_dropped),
		TEST(strangers_on_the_host_of_a_node_are_strangers),
		TEST(any_bytes_do_no_harm),
		TEST(a_closed_peer_is_named_and_the_others_hear_all),
		TEST(without_a_way_out_evidence_says_so),
		TEST(each_evidence_is_told_once),
		TEST(nothing_is_lost_or_doubled_while_the_socket_has_no_room),
		TEST(what_is_queued_behind_a_half_sent_run_reaches_all),
		TEST(on_a_loop_all_goes_by_itself),
		TEST(on_a_loop_evidence_comes_by_itself),
		TEST(a_flood_drops_the_oldest_and_takes_no_memory),
		TEST(a_burst_larger_than_the_queue_goes_out_meanwhile),
		TEST(a_narrow_path_lowers_the_size_and_large_messages_still_pass),
		TEST(one_narrow_path_does_not_end_segmentation),
		TEST(what_is_for_many_goes_to_the_group_once),
		TEST(nonsense_is_refused_by_name),
		TEST(a_node_without_address_is_left_out),
	};
	int failed;

	if (!has_large_buffers()) {
		fputs("needs root, or net.core.rmem_max of 4 MiB\n", stderr);
		return SKIP_PROGRAM;
	}
	alarm(HANG_SECONDS);
	failed = cmocka_run_group_tests_name("IPv4", tests, NULL, NULL);
	net_scene.is_gso_off = net_scene.is_gro_off = true;
	failed += cmocka_run_group_tests_name("IPv4, one by one", tests, NULL,
					      NULL);
	net_scene.is_gso_off = false;
	failed += cmocka_run_group_tests_name("IPv4, GSO without GRO", tests,
					      NULL, NULL);
	net_scene = (struct net_scene){ .family = AF_INET6 };
	if (has_ipv6())
		failed += cmocka_run_group_tests_name("IPv6", tests, NULL, NULL);
	return failed;
}
