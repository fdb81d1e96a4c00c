/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The transport over UDP in trouble: who is gone is named, by evidence; nothing
 * is lost in a full socket, and nothing grows without bound.
 */
#include "tests/unit/transport_scene.h"

#include <arpa/inet.h>
#include <errno.h>
#include <malloc.h>
#include <poll.h>
#include <sys/socket.h>

#include "base/arith.h"
#include "base/loop.h"

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

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_closed_peer_is_named_and_the_others_hear_all),
		TEST(without_a_way_out_evidence_says_so),
		TEST(each_evidence_is_told_once),
		TEST(nothing_is_lost_or_doubled_while_the_socket_has_no_room),
		TEST(what_is_queued_behind_a_half_sent_run_reaches_all),
		TEST(on_a_loop_all_goes_by_itself),
		TEST(on_a_loop_evidence_comes_by_itself),
		TEST(a_flood_drops_the_oldest_and_takes_no_memory),
		TEST(a_burst_larger_than_the_queue_goes_out_meanwhile),
	};

	return scene_run(tests, ARRAY_SIZE(tests));
}
