/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The transport over UDP, receiving: parts of messages from several senders, in
 * any order; what is not ours, or contradicts itself, is counted and dropped.
 */
#include "tests/unit/transport_scene.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/arith.h"
#include "base/clock.h"
#include "totem/fragment.h"

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

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(parts_may_come_doubled_and_in_any_order),
		TEST(senders_do_not_mix),
		TEST(a_newer_message_replaces_an_incomplete_one),
		TEST(an_incomplete_message_ends_with_time),
		TEST(parts_that_contradict_themselves_are_dropped),
		TEST(strangers_and_garbage_are_counted_and_dropped),
		TEST(strangers_on_the_host_of_a_node_are_strangers),
		TEST(any_bytes_do_no_harm),
	};

	return scene_run(tests, ARRAY_SIZE(tests));
}
