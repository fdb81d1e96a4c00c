/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The configuration of the UDP transport: defaults, and what makes no sense. */
#include "totem/udp.h"

#include <arpa/inet.h>
#include <errno.h>

#include "base/arith.h"
#include "base/err.h"

enum {
	DEFAULT_MTU = 1500,
	DEFAULT_QUEUE = 8 << 20,
	DEFAULT_SOCKET_BUFFER = 4 << 20,
	DEFAULT_ASSEMBLY_MS = 200,
	DEFAULT_GROUP_TTL = 1, /* no router */
};

static void set_default(uint32_t *value, uint32_t to)
{
	if (*value == 0)
		*value = to;
}

static bool is_multicast(const union transport_address *a)
{
	return a->any.sa_family == AF_INET
		       ? IN_MULTICAST(ntohl(a->in4.sin_addr.s_addr))
		       : IN6_IS_ADDR_MULTICAST(&a->in6.sin6_addr);
}

static int check_group(const struct transport_udp_config *c, struct err *err)
{
	int family = c->group.any.sa_family;
	char text[TRANSPORT_ADDRESS_TEXT_BYTES];
	in_port_t port = family == AF_INET ? c->group.in4.sin_port
					   : c->group.in6.sin6_port;

	if (family == AF_UNSPEC)
		return 0;
	transport_address_text(&c->group, text);
	if (family != AF_INET && family != AF_INET6)
		return err_set(err, -EINVAL,
			       "transport: multicast group of family %d", family);
	if (!is_multicast(&c->group))
		return err_set(err, -EINVAL,
			       "multicast group %s: not a multicast address",
			       text);
	if (port == 0)
		return err_set(err, -EINVAL, "multicast group %s: no port", text);
	if (family != c->local[0].any.sa_family &&
	    family != c->local[1].any.sa_family)
		return err_set(err, -EINVAL,
			       "multicast group %s: this node has no address of "
			       "that family", text);
	return 0;
}

int udp_config_check(struct transport_udp_config *c, struct err *err)
{
	bool is_six = c->local[0].any.sa_family == AF_INET6 ||
		      c->local[1].any.sa_family == AF_INET6;
	uint32_t mtu_min = is_six ? UDP_MTU_MIN_6 : UDP_MTU_MIN_4;

	set_default(&c->mtu_bytes, DEFAULT_MTU);
	set_default(&c->queue_bytes, DEFAULT_QUEUE);
	set_default(&c->socket_buffer_bytes, DEFAULT_SOCKET_BUFFER);
	set_default(&c->assembly_ms, DEFAULT_ASSEMBLY_MS);
	if (c->group_ttl == 0)
		c->group_ttl = DEFAULT_GROUP_TTL;
	if (c->nodes.count < 1 || c->nodes.count > TOTEM_MAX_NODES ||
	    c->self < 0 || c->self >= c->nodes.count)
		return err_set(err, -EINVAL, "transport: %d nodes, we are %d",
			       c->nodes.count, c->self);
	for (size_t i = 0; i < ARRAY_SIZE(c->local); i++)
		if (c->local[i].any.sa_family != AF_UNSPEC &&
		    c->local[i].any.sa_family != AF_INET &&
		    c->local[i].any.sa_family != AF_INET6)
			return err_set(err, -EINVAL,
				       "transport: local address of family %d",
				       c->local[i].any.sa_family);
	if (c->local[0].any.sa_family == AF_UNSPEC &&
	    c->local[1].any.sa_family == AF_UNSPEC)
		return err_set(err, -EINVAL, "transport: no local address");
	if (c->mtu_bytes < mtu_min || c->mtu_bytes > UINT16_MAX)
		return err_set(err, -EINVAL,
			       "transport: mtu %u: from %u to %u bytes",
			       c->mtu_bytes, mtu_min, UINT16_MAX);
	if (c->queue_bytes < 1 << 20 || c->queue_bytes > 1 << 30)
		return err_set(err, -EINVAL,
			       "transport: queue %u: from 1 MiB to 1 GiB",
			       c->queue_bytes);
	if (c->socket_buffer_bytes > 1 << 30)
		return err_set(err, -EINVAL,
			       "transport: socket buffer %u: at most 1 GiB",
			       c->socket_buffer_bytes);
	return check_group(c, err);
}
