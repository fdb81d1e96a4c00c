/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/unit/transport_scene.h"

#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { HANG_SECONDS = 300, SKIP_PROGRAM = 77 };

struct net net;

int scene_setup(void **state)
{
	(void)state;
	memset(&net, 0, sizeof(net));
	return 0;
}

int scene_teardown(void **state)
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

void sweep(size_t length)
{
	static uint32_t sweep_number;

	send_all(0, sweep_number, length);
	flush(0);
	for (int to = 1; to < 3; to++) {
		net_check_heard(&net, to, 0, 0, sweep_number, length);
		net_check_count(&net, to, 1);
	}
	net_forget(&net);
	sweep_number++;
}

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

static int run(const char *name, const struct CMUnitTest *tests, size_t count)
{
	return _cmocka_run_group_tests(name, tests, count, NULL, NULL);
}

int scene_run(const struct CMUnitTest *tests, size_t count)
{
	int failed;

	if (!has_large_buffers()) {
		fputs("needs root, or net.core.rmem_max of 4 MiB\n", stderr);
		return SKIP_PROGRAM;
	}
	alarm(HANG_SECONDS);
	failed = run("IPv4", tests, count);
	net_scene.is_gso_off = net_scene.is_gro_off = true;
	failed += run("IPv4, one by one", tests, count);
	net_scene.is_gso_off = false;
	failed += run("IPv4, GSO without GRO", tests, count);
	net_scene = (struct net_scene){ .family = AF_INET6 };
	if (has_ipv6())
		failed += run("IPv6", tests, count);
	return failed;
}
