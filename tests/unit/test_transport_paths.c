/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The transport over UDP: narrow paths, the multicast group, and what the
 * configuration may say.
 */
#include "tests/unit/transport_scene.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/arith.h"
#include "base/clock.h"
#include "totem/fragment.h"

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
	/*
	 * Over IPv6 lo has no multicast. The route to an own address comes from
	 * a work queue, a moment after the address: until then what is sent
	 * there asks the link for a neighbour, and is lost.
	 */
	if (net_scene.family == AF_INET6 &&
	    system("ip link add mc0 type veth peer name mc1 && "
		   "ip link set mc0 up && ip link set mc1 up && "
		   "ip address add fd00::1/64 dev mc0 nodad && "
		   "for i in $(seq 1000); do "
		   "ip -6 route show table local | grep -q '^local fd00::1 ' && "
		   "exit 0; sleep 0.01; done; exit 1") != 0)
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_narrow_path_lowers_the_size_and_large_messages_still_pass),
		TEST(one_narrow_path_does_not_end_segmentation),
		TEST(what_is_for_many_goes_to_the_group_once),
		TEST(nonsense_is_refused_by_name),
		TEST(a_node_without_address_is_left_out),
	};

	return scene_run(tests, ARRAY_SIZE(tests));
}
