/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/unit/transport_rig.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <netinet/udp.h>
#include <poll.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/loop.h"

enum { WAIT_MS = 2000 };

struct net_scene net_scene = { .family = AF_INET };
struct net_lies net_lies;

/* The kernel's side, with lies */

int sendmmsg(int fd, struct mmsghdr *messages, unsigned int n, int flags)
{
	socklen_t size = sizeof(int);
	int error, r;

	net_lies.calls++;
	if (net_lies.passing_calls > 0) {
		net_lies.passing_calls--;
	} else if (net_lies.blocked_calls > 0) {
		net_lies.blocked_calls--;
		errno = net_lies.blocked_error;
		return -1;
	}
	if (net_lies.at_once && n > net_lies.at_once)
		n = net_lies.at_once;
	for (unsigned int i = 0; i < n; i++) {
		if (messages[i].msg_hdr.msg_controllen == 0)
			continue;
		net_lies.batches++;
		if (net_lies.segment_error && i == 0) {
			errno = net_lies.segment_error;
			return -1;
		}
		if (net_lies.segment_error)
			n = i;
	}
	r = (int)syscall(SYS_sendmmsg, fd, messages, n, flags);
	if (net_lies.has_eaten_errors)
		(void)getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size);
	return r;
}

/* Nodes */

static void on_received(void *owner, int from, const uint8_t *bytes,
			size_t length)
{
	struct net_node *node = owner;
	struct heard *h = &node->heard[node->heard_count++];

	assert_true(node->is_processing);
	assert_true(node->heard_count < NET_HEARD_MAX);
	*h = (struct heard){ from, length, malloc(length + 1) };
	memcpy(h->bytes, bytes, length);
	if (node->is_answering)
		assert_int_equal(transport_send(node->t, from, bytes, length), 0);
}

static void on_evidence(void *owner, int node, enum transport_evidence kind,
			int error)
{
	struct net_node *here = owner;

	assert_true(here->is_processing);
	here->evidence[node][kind]++;
	here->error = error;
}

static void on_settled(void *owner)
{
	struct net_node *node = owner;

	node->rounds++;
	transport_flush(node->t);
}

static const struct transport_events events = { on_received, on_evidence,
						on_settled };

/* lo's, or with a group over IPv6 that of the test's own interface. */
static union transport_address loopback(void)
{
	union transport_address a;

	memset(&a, 0, sizeof(a));
	a.any.sa_family = (sa_family_t)net_scene.family;
	if (net_scene.family == AF_INET)
		a.in4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	else if (net_scene.has_group)
		inet_pton(AF_INET6, "fd00::1", &a.in6.sin6_addr);
	else
		a.in6.sin6_addr = in6addr_loopback;
	return a;
}

void net_set_group(struct transport_udp_config *config)
{
	config->group.any.sa_family = (sa_family_t)net_scene.family;
	config->group_loop = true;
	config->group.in4.sin_port = htons(5999);
	if (net_scene.family == AF_INET)
		inet_pton(AF_INET, "239.192.7.7", &config->group.in4.sin_addr);
	else
		inet_pton(AF_INET6, "ff15::77", &config->group.in6.sin6_addr);
}

static void open_node(struct net *net, int i)
{
	struct transport_udp_config config = net->config;
	struct net_node *node = &net->nodes[i];
	struct err err = ERR_INIT;

	config.self = i;
	node->net = net;
	node->heard = calloc(NET_HEARD_MAX, sizeof(*node->heard));
	/* A loop calls back whenever it likes. */
	node->is_processing = net->loop != NULL;
	node->t = transport_udp_open(&config, &events, node, net->loop, &err);
	if (!node->t)
		fail_msg("%s", err.text);
}

void net_init(struct net *net, int count)
{
	struct err err = ERR_INIT;
	union transport_address a;

	memset(net, 0, sizeof(*net));
	memset(&net_lies, 0, sizeof(net_lies));
	net->count = count;
	if (net_scene.has_loop)
		net->loop = loop_new(&err);
	net->config = (struct transport_udp_config){
		.local = { loopback() },
		.is_gso_off = net_scene.is_gso_off,
		.is_gro_off = net_scene.is_gro_off,
		.mtu_bytes = net_scene.mtu_bytes,
		.queue_bytes = net_scene.queue_bytes,
		.nodes.count = count + 2, /* two for strangers */
	};
	if (net_scene.has_group)
		net_set_group(&net->config);
	for (int i = 0; i < net->config.nodes.count; i++)
		net->config.nodes.ids[i] = 10 * ((uint32_t)i + 1);
	for (int i = 0; i < count; i++)
		open_node(net, i);
	for (int i = 0; i < count; i++) {
		assert_int_equal(transport_udp_local(net->nodes[i].t,
						     net_scene.family, &a), 0);
		for (int j = 0; j < count; j++)
			assert_ok(transport_udp_set_address(net->nodes[j].t, i,
							    &a, &err), err);
	}
}

void net_kill(struct net *net, int node)
{
	transport_free(net->nodes[node].t);
	net->nodes[node].t = NULL;
}

void net_forget(struct net *net)
{
	for (int i = 0; i < net->count; i++) {
		struct net_node *node = &net->nodes[i];

		for (size_t k = 0; k < node->heard_count; k++)
			free(node->heard[k].bytes);
		node->heard_count = 0;
		memset(node->evidence, 0, sizeof(node->evidence));
	}
}

void net_fini(struct net *net)
{
	net_forget(net);
	for (int i = 0; i < net->count; i++) {
		transport_free(net->nodes[i].t);
		free(net->nodes[i].heard);
	}
	loop_free(net->loop);
	memset(net, 0, sizeof(*net));
}

static size_t process(struct net_node *node)
{
	size_t moved = 0;

	if (!node->t)
		return 0;
	node->is_processing = true;
	moved = transport_process(node->t);
	node->is_processing = node->net->loop != NULL;
	return moved;
}

void net_process(struct net *net, int node)
{
	process(&net->nodes[node]);
}

static size_t process_all(struct net *net)
{
	size_t moved = 0;

	for (int i = 0; i < net->count; i++)
		moved += process(&net->nodes[i]);
	return moved;
}

void net_settle(struct net *net)
{
	do {
		while (process_all(net) > 0)
			;
		poll(NULL, 0, 1); /* for a kernel that has put it off */
	} while (process_all(net) > 0);
}

static void wait_for(struct net *net, int to, size_t count)
{
	for (int i = 0; i < WAIT_MS && net->nodes[to].heard_count < count; i++)
		if (process_all(net) == 0)
			poll(NULL, 0, 1);
}

/* Messages */

static void fill(uint8_t *bytes, uint32_t number, size_t length)
{
	uint32_t x = number * 2654435761u + 12345;

	for (size_t i = 0; i < length; i++) {
		x = x * 1664525 + 1013904223;
		bytes[i] = (uint8_t)(x >> 24);
	}
}

const uint8_t *net_message(uint32_t number, size_t length)
{
	static uint8_t bytes[TRANSPORT_MESSAGE_MAX + 16];

	assert_true(length <= sizeof(bytes));
	fill(bytes, number, length);
	return bytes;
}

void net_check_heard(struct net *net, int to, size_t nth, int from,
		     uint32_t number, size_t length)
{
	const struct net_node *node = &net->nodes[to];

	wait_for(net, to, nth + 1);
	if (nth >= node->heard_count)
		fail_msg("node %d heard %zu messages, number %u of node %d is "
			 "not among them", to, node->heard_count, number, from);
	assert_int_equal(node->heard[nth].from, from);
	assert_int_equal(node->heard[nth].length, length);
	assert_memory_equal(node->heard[nth].bytes, net_message(number, length),
			    length);
}

void net_check_count(struct net *net, int to, size_t count)
{
	wait_for(net, to, count);
	assert_int_equal(net->nodes[to].heard_count, count);
}

struct transport_counters net_counters(struct net *net, int node)
{
	struct transport_counters c;

	transport_counters(net->nodes[node].t, &c);
	return c;
}

/* Strangers */

int net_stranger(struct net *net, int as)
{
	union transport_address a = loopback();
	socklen_t size = sizeof(a);
	struct err err = ERR_INIT;
	int fd = socket(net_scene.family, SOCK_DGRAM | SOCK_NONBLOCK, 0);

	assert_int_equal(bind(fd, &a.any, size), 0);
	assert_int_equal(getsockname(fd, &a.any, &size), 0);
	for (int i = 0; as >= 0 && i < net->count; i++)
		assert_ok(transport_udp_set_address(net->nodes[i].t, as, &a,
						    &err), err);
	return fd;
}

void net_throw(struct net *net, int fd, int to, const void *bytes,
	       size_t length)
{
	union transport_address a;

	assert_int_equal(transport_udp_local(net->nodes[to].t, net_scene.family,
					     &a), 0);
	assert_int_equal(sendto(fd, bytes, length, 0, &a.any, sizeof(a)),
			 length);
}

/* Namespaces */

static int outside = -1;

static void raise_loopback(int mtu)
{
	struct ifreq request = { .ifr_name = "lo" };
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	request.ifr_mtu = mtu;
	assert_int_equal(ioctl(fd, SIOCSIFMTU, &request), 0);
	request.ifr_flags = IFF_UP | IFF_LOOPBACK | IFF_RUNNING;
	assert_int_equal(ioctl(fd, SIOCSIFFLAGS, &request), 0);
	close(fd);
}

bool net_namespace_enter(int mtu)
{
	outside = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	if (outside < 0 || unshare(CLONE_NEWNET) < 0) {
		close(outside);
		outside = -1;
		return false;
	}
	raise_loopback(mtu);
	return true;
}

void net_namespace_leave(void)
{
	if (outside < 0)
		return;
	assert_int_equal(setns(outside, CLONE_NEWNET), 0);
	close(outside);
	outside = -1;
}
