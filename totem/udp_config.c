/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The configuration of the UDP transport: defaults, and what makes no sense. */
#include "totem/udp.h"

#include <errno.h>

#include "base/arith.h"
#include "base/err.h"

enum {
	DEFAULT_MTU = 1500,
	DEFAULT_QUEUE = 8 << 20,
	DEFAULT_SOCKET_BUFFER = 4 << 20,
	DEFAULT_ASSEMBLY_MS = 200,
};

static void set_default(uint32_t *value, uint32_t to)
{
	if (*value == 0)
		*value = to;
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
	return 0;
}
