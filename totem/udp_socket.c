/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Sockets of the UDP transport: one a family, one for the multicast group. */
#include "totem/udp.h"

#include <errno.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/udp.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/arith.h"
#include "base/err.h"
#include "base/log.h"

LOG_SUBSYSTEM(transport);

struct option {
	int level, name, value;
	const char *text;
};

static int set_options(int fd, const struct option *options, size_t n,
		       struct err *err)
{
	for (size_t i = 0; i < n; i++)
		if (setsockopt(fd, options[i].level, options[i].name,
			       &options[i].value, sizeof(options[i].value)) < 0)
			return err_set(err, -errno, "%s: %s", options[i].text,
				       strerror(errno));
	return 0;
}

/*
 * DO, not PROBE: the kernel remembers the path MTU and refuses early (EMSGSIZE)
 * what a router would drop.
 */
static const struct option for_ip4[] = {
	{ SOL_IP, IP_RECVERR, 1, "IP_RECVERR" },
	{ SOL_IP, IP_MTU_DISCOVER, IP_PMTUDISC_DO, "IP_MTU_DISCOVER" },
};

static const struct option for_ip6[] = {
	{ SOL_IPV6, IPV6_V6ONLY, 1, "IPV6_V6ONLY" },
	{ SOL_IPV6, IPV6_RECVERR, 1, "IPV6_RECVERR" },
	{ SOL_IPV6, IPV6_MTU_DISCOVER, IPV6_PMTUDISC_DO, "IPV6_MTU_DISCOVER" },
};

/* Nothing breaks without these. */
static void ask_for_segments(struct udp *udp, int fd,
			     const struct transport_udp_config *config)
{
	int on = 1, off = 0;

	/* Refused by kernels before 4.18 (GSO) and 5.0 (GRO). */
	if (config->is_gso_off ||
	    setsockopt(fd, SOL_UDP, UDP_SEGMENT, &off, sizeof(off)) < 0)
		udp->is_gso = false;
	if (config->is_gro_off ||
	    setsockopt(fd, SOL_UDP, UDP_GRO, &on, sizeof(on)) < 0)
		udp->is_gro = false;
	(void)setsockopt(fd, SOL_SOCKET, SO_RXQ_OVFL, &on, sizeof(on));
}

/* Half of what getsockopt tells: the kernel doubles for its own bookkeeping. */
static int grow_buffer(int fd, int force, int plain, int wanted)
{
	int granted = 0;
	socklen_t size = sizeof(granted);

	if (setsockopt(fd, SOL_SOCKET, force, &wanted, sizeof(wanted)) < 0)
		(void)setsockopt(fd, SOL_SOCKET, plain, &wanted, sizeof(wanted));
	(void)getsockopt(fd, SOL_SOCKET, plain, &granted, &size);
	return granted / 2;
}

static void grow_buffers(int fd, int wanted, bool *is_told)
{
	int out = grow_buffer(fd, SO_SNDBUFFORCE, SO_SNDBUF, wanted);
	int in = grow_buffer(fd, SO_RCVBUFFORCE, SO_RCVBUF, wanted);

	if ((out >= wanted && in >= wanted) || *is_told)
		return;
	*is_told = true;
	log_warning("MDC4001",
		    "socket buffers of %d bytes for sending and %d for "
		    "receiving instead of %d", out, in, wanted);
}

static int open_socket(struct udp *udp, int which, int family,
		       const struct transport_udp_config *config,
		       struct err *err)
{
	struct udp_socket *s = &udp->sockets[which];

	s->family = family;
	s->fd = socket(family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (s->fd < 0)
		return err_set(err, -errno, "socket: %s", strerror(errno));
	ask_for_segments(udp, s->fd, config);
	return family == AF_INET
		       ? set_options(s->fd, for_ip4, ARRAY_SIZE(for_ip4), err)
		       : set_options(s->fd, for_ip6, ARRAY_SIZE(for_ip6), err);
}

static int bind_to(int fd, const union transport_address *address,
		   struct err *err)
{
	if (bind(fd, &address->any, (socklen_t)udp_address_bytes(address)) < 0)
		return err_set(err, -errno, "bind: %s", strerror(errno));
	return 0;
}

static const struct in6_addr *local_6(const struct transport_udp_config *config)
{
	size_t i = config->local[0].any.sa_family == AF_INET6 ? 0 : 1;

	return &config->local[i].in6.sin6_addr;
}

/* 0: none has it, it is "any". For IPv4 the kernel looks it up itself. */
static int interface_with(const struct in6_addr *address)
{
	struct ifaddrs *all, *at;
	int index = 0;

	if (getifaddrs(&all) < 0)
		return 0;
	for (at = all; at && index == 0; at = at->ifa_next) {
		const union transport_address *a = (const void *)at->ifa_addr;

		if (a && a->any.sa_family == AF_INET6 &&
		    IN6_ARE_ADDR_EQUAL(&a->in6.sin6_addr, address))
			index = (int)if_nametoindex(at->ifa_name);
	}
	freeifaddrs(all);
	return index;
}

static int interface_index(const struct transport_udp_config *config, int *index,
			   struct err *err)
{
	const char *name = config->group_interface;

	*index = 0;
	if (name)
		*index = (int)if_nametoindex(name);
	else if (config->group.any.sa_family == AF_INET6)
		*index = interface_with(local_6(config));
	if (name && *index == 0)
		return err_set(err, -errno, "interface %s: %s", name,
			       strerror(errno));
	return 0;
}

static int join_error(struct err *err, const char *what)
{
	return err_set(err, -errno, "%s: %s", what, strerror(errno));
}

/* `in` listens to the group, `out` is the unicast socket, which sends to it. */
static int join_group_4(struct udp *udp, int in, int out, int interface,
			const struct transport_udp_config *config,
			struct err *err)
{
	struct ip_mreqn request = {
		.imr_multiaddr = udp->group.in4.sin_addr,
		.imr_ifindex = interface,
	};
	const struct option options[] = {
		{ SOL_IP, IP_MULTICAST_TTL, config->group_ttl,
		  "IP_MULTICAST_TTL" },
		{ SOL_IP, IP_MULTICAST_LOOP, config->group_loop, "IP_MULTICAST_LOOP" },
	};
	const struct option only_ours = { SOL_IP, IP_MULTICAST_ALL, 0,
					  "IP_MULTICAST_ALL" };
	int r;

	for (size_t i = 0; interface == 0 && i < ARRAY_SIZE(config->local); i++)
		if (config->local[i].any.sa_family == AF_INET)
			request.imr_address = config->local[i].in4.sin_addr;
	if (setsockopt(in, SOL_IP, IP_ADD_MEMBERSHIP, &request, sizeof(request)) < 0)
		return join_error(err, "IP_ADD_MEMBERSHIP");
	if (setsockopt(out, SOL_IP, IP_MULTICAST_IF, &request, sizeof(request)) < 0)
		return join_error(err, "IP_MULTICAST_IF");
	r = set_options(in, &only_ours, 1, err);
	return r < 0 ? r : set_options(out, options, ARRAY_SIZE(options), err);
}

static int join_group_6(struct udp *udp, int in, int out, int interface,
			const struct transport_udp_config *config,
			struct err *err)
{
	struct ipv6_mreq request = {
		.ipv6mr_multiaddr = udp->group.in6.sin6_addr,
		.ipv6mr_interface = (unsigned int)interface,
	};
	const struct option options[] = {
		{ SOL_IPV6, IPV6_MULTICAST_HOPS, config->group_ttl,
		  "IPV6_MULTICAST_HOPS" },
		{ SOL_IPV6, IPV6_MULTICAST_LOOP, config->group_loop,
		  "IPV6_MULTICAST_LOOP" },
		{ SOL_IPV6, IPV6_MULTICAST_IF, interface, "IPV6_MULTICAST_IF" },
	};

	if (setsockopt(in, SOL_IPV6, IPV6_ADD_MEMBERSHIP, &request,
		       sizeof(request)) < 0)
		return join_error(err, "IPV6_ADD_MEMBERSHIP");
	return set_options(out, options, ARRAY_SIZE(options), err);
}

static int open_group(struct udp *udp,
		      const struct transport_udp_config *config, struct err *err)
{
	static const struct option shared = { SOL_SOCKET, SO_REUSEADDR, 1,
					      "SO_REUSEADDR" };
	int family = udp->group.any.sa_family;
	int out = udp->sockets[family == AF_INET ? UDP_SOCKET_4 : UDP_SOCKET_6].fd;
	int interface, in, r;

	r = interface_index(config, &interface, err);
	if (r == 0)
		r = open_socket(udp, UDP_SOCKET_GROUP, family, config, err);
	if (r < 0)
		return r;
	if (family == AF_INET6) /* bind and send want to know, too */
		udp->group.in6.sin6_scope_id = (uint32_t)interface;
	in = udp->sockets[UDP_SOCKET_GROUP].fd;
	r = set_options(in, &shared, 1, err);
	if (r == 0)
		r = bind_to(in, &udp->group, err);
	if (r < 0)
		return r;
	return family == AF_INET
		       ? join_group_4(udp, in, out, interface, config, err)
		       : join_group_6(udp, in, out, interface, config, err);
}

static int prefix(struct err *err, const char *what,
		  const union transport_address *address)
{
	char text[TRANSPORT_ADDRESS_TEXT_BYTES];

	return err_prefix(err, "%s %s", what,
			  transport_address_text(address, text));
}

static int open_locals(struct udp *udp,
		       const struct transport_udp_config *config, struct err *err)
{
	for (size_t i = 0; i < ARRAY_SIZE(config->local); i++) {
		const union transport_address *local = &config->local[i];
		int family = local->any.sa_family;
		int which = family == AF_INET ? UDP_SOCKET_4 : UDP_SOCKET_6;
		int r;

		if (family == AF_UNSPEC)
			continue;
		if (udp->sockets[which].fd >= 0)
			return err_set(err, -EINVAL,
				       "two local addresses of one family");
		r = open_socket(udp, which, family, config, err);
		if (r == 0)
			r = bind_to(udp->sockets[which].fd, local, err);
		if (r < 0)
			return prefix(err, "local address", local);
	}
	return 0;
}

int udp_sockets_open(struct udp *udp, const struct transport_udp_config *config,
		     struct err *err)
{
	bool is_told = false;
	int r = open_locals(udp, config, err);

	if (r == 0 && udp->group.any.sa_family != AF_UNSPEC) {
		r = open_group(udp, config, err);
		if (r < 0)
			prefix(err, "multicast group", &udp->group);
	}
	if (r < 0)
		return r;
	for (int i = 0; i < UDP_SOCKETS; i++)
		if (udp->sockets[i].fd >= 0)
			grow_buffers(udp->sockets[i].fd,
				     (int)config->socket_buffer_bytes, &is_told);
	return 0;
}

void udp_sockets_close(struct udp *udp)
{
	for (int i = 0; i < UDP_SOCKETS; i++)
		if (udp->sockets[i].fd >= 0)
			close(udp->sockets[i].fd);
}
