/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Who is where: the addresses of nodes, and the node of an address. */
#include "totem/udp.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "base/arith.h"
#include "base/err.h"

char *transport_address_text(const union transport_address *address,
			     char to[TRANSPORT_ADDRESS_TEXT_BYTES])
{
	char host[INET6_ADDRSTRLEN] = "";

	switch (address->any.sa_family) {
	case AF_INET:
		inet_ntop(AF_INET, &address->in4.sin_addr, host, sizeof(host));
		snprintf(to, TRANSPORT_ADDRESS_TEXT_BYTES, "%s:%u", host,
			 ntohs(address->in4.sin_port));
		break;
	case AF_INET6:
		inet_ntop(AF_INET6, &address->in6.sin6_addr, host, sizeof(host));
		snprintf(to, TRANSPORT_ADDRESS_TEXT_BYTES, "[%s]:%u", host,
			 ntohs(address->in6.sin6_port));
		break;
	default:
		snprintf(to, TRANSPORT_ADDRESS_TEXT_BYTES, "none");
	}
	return to;
}

size_t udp_address_bytes(const union transport_address *address)
{
	return address->any.sa_family == AF_INET ? sizeof(address->in4)
						 : sizeof(address->in6);
}

static bool address_equal(const union transport_address *a,
			  const union transport_address *b)
{
	if (a->any.sa_family != b->any.sa_family)
		return false;
	if (a->any.sa_family == AF_INET)
		return a->in4.sin_port == b->in4.sin_port &&
		       a->in4.sin_addr.s_addr == b->in4.sin_addr.s_addr;
	return a->in6.sin6_port == b->in6.sin6_port &&
	       IN6_ARE_ADDR_EQUAL(&a->in6.sin6_addr, &b->in6.sin6_addr);
}

/* The table holds what is configured, so nobody else can make it collide. */
static unsigned int address_slot(const union transport_address *a)
{
	uint32_t words[5] = { 0 };
	uint32_t hash = 0;

	if (a->any.sa_family == AF_INET) {
		words[0] = a->in4.sin_addr.s_addr;
		words[4] = a->in4.sin_port;
	} else {
		memcpy(words, &a->in6.sin6_addr, 16);
		words[4] = a->in6.sin6_port;
	}
	for (size_t i = 0; i < ARRAY_SIZE(words); i++)
		hash = (hash ^ words[i]) * 0x9e3779b1u;
	return (hash >> 16) % UDP_ADDRESS_SLOTS;
}

int udp_who(const struct udp *udp, const union transport_address *address)
{
	unsigned int slot = address_slot(address);

	for (; udp->by_address[slot]; slot = (slot + 1) % UDP_ADDRESS_SLOTS) {
		int index = udp->by_address[slot] - 1;

		if (address_equal(&udp->peers[index].address, address))
			return index;
	}
	return TOTEM_NO_INDEX;
}

static void rebuild_addresses(struct udp *udp)
{
	memset(udp->by_address, 0, sizeof(udp->by_address));
	udp->known = (struct node_set){ { 0 } };
	for (int i = 0; i < udp->nodes.count; i++) {
		const union transport_address *a = &udp->peers[i].address;
		unsigned int slot;

		if (a->any.sa_family == AF_UNSPEC)
			continue;
		if (i != udp->self)
			set_add(&udp->known, i);
		slot = address_slot(a);
		while (udp->by_address[slot])
			slot = (slot + 1) % UDP_ADDRESS_SLOTS;
		udp->by_address[slot] = (int16_t)(i + 1);
	}
}

bool udp_is_listening(const struct udp *udp, int family)
{
	return (family == AF_INET && udp->sockets[UDP_SOCKET_4].fd >= 0) ||
	       (family == AF_INET6 && udp->sockets[UDP_SOCKET_6].fd >= 0);
}

int transport_udp_set_address(struct transport *t, int node,
			      const union transport_address *address,
			      struct err *err)
{
	struct udp *udp = container_of(t, struct udp, transport);
	int family = address->any.sa_family;
	char text[TRANSPORT_ADDRESS_TEXT_BYTES];
	int who;

	transport_address_text(address, text);
	if (node < 0 || node >= udp->nodes.count)
		return err_set(err, -EINVAL, "address %s: no such node", text);
	if (family != AF_UNSPEC && !udp_is_listening(udp, family))
		return err_set(err, -EINVAL,
			       "node %u: address %s: no local address of that family",
			       udp->nodes.ids[node], text);
	if (udp->group.any.sa_family != AF_UNSPEC && family != AF_UNSPEC &&
	    family != udp->group.any.sa_family)
		return err_set(err, -EINVAL,
			       "node %u: address %s: not of the family of the "
			       "multicast group", udp->nodes.ids[node], text);
	who = family == AF_UNSPEC ? TOTEM_NO_INDEX : udp_who(udp, address);
	if (who != TOTEM_NO_INDEX && who != node)
		return err_set(err, -EINVAL, "node %u: address %s is node %u's",
			       udp->nodes.ids[node], text, udp->nodes.ids[who]);

	assembly_fini(&udp->peers[node].assembly);
	udp->peers[node].evidence = 0;
	set_remove(&udp->evident, node);
	udp->peers[node].address = *address;
	rebuild_addresses(udp);
	return 0;
}

int transport_udp_local(const struct transport *t, int family,
			union transport_address *address)
{
	const struct udp *udp = container_of(t, struct udp, transport);
	socklen_t size = sizeof(*address);
	int which = family == AF_INET ? UDP_SOCKET_4 : UDP_SOCKET_6;

	if (!udp_is_listening(udp, family))
		return -ENOENT;
	memset(address, 0, sizeof(*address));
	if (getsockname(udp->sockets[which].fd, &address->any, &size) < 0)
		return -errno;
	return 0;
}
