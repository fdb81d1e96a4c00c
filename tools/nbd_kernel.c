/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * One request at a time, and its acknowledgement. Netlink's numbers have the host's order:
 * its messages never leave it.
 */
#include "tools/nbd_kernel.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <linux/genetlink.h>
#include <linux/nbd-netlink.h>
#include <linux/netlink.h>

#include "base/err.h"

enum {
	MESSAGE_BYTES = 4096,
	/* 20 days: in jiffies it fits the long of any machine. */
	FOR_EVER_S = 20 * 24 * 3600,
};

/* Of an attribute's head; and of anything with what pads it, for the kernel's are signed. */
static const size_t head_bytes = sizeof(struct nlattr);

static size_t padded(size_t length)
{
	return (length + NLA_ALIGNTO - 1) & ~(size_t)(NLA_ALIGNTO - 1);
}

struct message {
	union {
		struct nlmsghdr head;
		uint8_t bytes[MESSAGE_BYTES];
	};
};

/* --- messages --------------------------------------------------------------------------- */

static void begin(struct nbd_kernel *k, struct message *m, uint16_t family, uint8_t command)
{
	struct genlmsghdr g = { .cmd = command, .version = NBD_GENL_VERSION };

	memset(m, 0, sizeof(*m));
	m->head = (struct nlmsghdr){
		.nlmsg_len = NLMSG_LENGTH(sizeof(g)),
		.nlmsg_type = family,
		.nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK,
		.nlmsg_seq = ++k->sequence,
	};
	memcpy(NLMSG_DATA(&m->head), &g, sizeof(g));
}

/* Few, and short: the longest is a socket's path, which has 107 bytes at most. */
static void put(struct message *m, uint16_t type, const void *value, size_t length)
{
	struct nlattr a = { .nla_type = type, .nla_len = (uint16_t)(head_bytes + length) };
	uint8_t *at = m->bytes + m->head.nlmsg_len;

	memcpy(at, &a, sizeof(a));
	if (length > 0)
		memcpy(at + head_bytes, value, length);
	m->head.nlmsg_len += (uint32_t)padded(head_bytes + length);
}

static void put_u32(struct message *m, uint16_t type, uint32_t value)
{
	put(m, type, &value, sizeof(value));
}

static void put_u64(struct message *m, uint16_t type, uint64_t value)
{
	put(m, type, &value, sizeof(value));
}

static uint32_t nest(struct message *m, uint16_t type)
{
	uint32_t at = m->head.nlmsg_len;

	put(m, type | NLA_F_NESTED, NULL, 0);
	return at;
}

static void nest_end(struct message *m, uint32_t at)
{
	uint16_t length = (uint16_t)(m->head.nlmsg_len - at);

	memcpy(m->bytes + at + offsetof(struct nlattr, nla_len), &length, sizeof(length));
}

static void put_sockets(struct message *m, const struct nbd_kernel_device *d)
{
	uint32_t all = nest(m, NBD_ATTR_SOCKETS), one;

	for (unsigned int i = 0; i < d->count; i++) {
		if (d->sockets[i] < 0)
			continue;
		one = nest(m, NBD_SOCK_ITEM);
		put_u32(m, NBD_SOCK_FD, (uint32_t)d->sockets[i]);
		nest_end(m, one);
	}
	nest_end(m, all);
}

static void put_device(struct message *m, const struct nbd_kernel_device *d)
{
	put_u32(m, NBD_ATTR_INDEX, (uint32_t)d->index);
	put(m, NBD_ATTR_BACKEND_IDENTIFIER, d->backend, strlen(d->backend) + 1);
}

/* --- talk ------------------------------------------------------------------------------- */

static uint16_t family_in(const struct message *m, size_t length)
{
	size_t at = NLMSG_LENGTH(sizeof(struct genlmsghdr));
	struct nlattr a;
	uint16_t id;

	while (at + head_bytes <= length) {
		memcpy(&a, m->bytes + at, sizeof(a));
		if (a.nla_len < head_bytes || at + a.nla_len > length)
			break;
		if (a.nla_type == CTRL_ATTR_FAMILY_ID && a.nla_len >= head_bytes + sizeof(id)) {
			memcpy(&id, m->bytes + at + head_bytes, sizeof(id));
			return id;
		}
		at += padded(a.nla_len);
	}
	return 0;
}

/* -errno as the kernel has it; `family`, where asked for, from an answer before that. */
static int talk(struct nbd_kernel *k, struct message *m, uint16_t *family)
{
	struct nlmsgerr result;
	ssize_t n;

	if (send(k->fd, m, m->head.nlmsg_len, 0) < 0)
		return -errno;
	for (;;) {
		n = recv(k->fd, m, sizeof(*m), 0);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if ((size_t)n < sizeof(m->head) || m->head.nlmsg_seq != k->sequence)
			continue;
		if (m->head.nlmsg_type == NLMSG_ERROR &&
		    (size_t)n >= NLMSG_LENGTH(sizeof(result))) {
			memcpy(&result, NLMSG_DATA(&m->head), sizeof(result));
			return result.error;
		}
		if (family)
			*family = family_in(m, (size_t)n);
	}
}

int nbd_kernel_open(struct nbd_kernel *k, struct err *err)
{
	struct message m;
	int r;

	*k = (struct nbd_kernel){
		.fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_GENERIC),
	};
	if (k->fd < 0)
		return err_set(err, -errno, "netlink: %s", strerror(errno));
	begin(k, &m, GENL_ID_CTRL, CTRL_CMD_GETFAMILY);
	put(&m, CTRL_ATTR_FAMILY_NAME, NBD_GENL_FAMILY_NAME, sizeof(NBD_GENL_FAMILY_NAME));
	r = talk(k, &m, &k->family);
	if (r == 0 && k->family)
		return 0;
	nbd_kernel_close(k);
	if (r == 0 || r == -ENOENT)
		return err_set(err, -ENOENT, "the kernel's nbd cannot be asked by netlink");
	return err_set(err, r, "netlink: %s", strerror(-r));
}

void nbd_kernel_close(struct nbd_kernel *k)
{
	if (k->fd >= 0)
		close(k->fd);
	k->fd = -1;
}

static int tell(struct nbd_kernel *k, struct message *m, int index, const char *what,
		struct err *err)
{
	int r = talk(k, m, NULL);

	return r == 0 ? 0 : err_set(err, r, "/dev/nbd%d: %s: %s", index, what, strerror(-r));
}

/* --- what is asked for ------------------------------------------------------------------ */

int nbd_kernel_connect(struct nbd_kernel *k, const struct nbd_kernel_device *d,
		       struct err *err)
{
	struct message m;

	begin(k, &m, k->family, NBD_CMD_CONNECT);
	put_device(&m, d);
	put_u64(&m, NBD_ATTR_SIZE_BYTES, d->size_bytes);
	put_u64(&m, NBD_ATTR_BLOCK_SIZE_BYTES, d->block_bytes);
	put_u64(&m, NBD_ATTR_SERVER_FLAGS, d->flags);
	put_u64(&m, NBD_ATTR_DEAD_CONN_TIMEOUT, FOR_EVER_S);
	put_sockets(&m, d);
	return tell(k, &m, d->index, "it cannot be connected", err);
}

static void set_send_timeout(int fd, time_t seconds)
{
	struct timeval t = { .tv_sec = seconds };

	(void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &t, sizeof(t));
}

static time_t send_timeout(int fd)
{
	struct timeval t = { 0 };
	socklen_t length = sizeof(t);

	(void)getsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &t, &length);
	return t.tv_sec;
}

/*
 * Linux answers 0 whether it took the socket or had no use for it. But those that it takes
 * it gives the device's timeout, for sending: that is seen, and taken back, since a server
 * may well read nothing for long.
 */
int nbd_kernel_add(struct nbd_kernel *k, const struct nbd_kernel_device *d,
		   unsigned int timeout_s, struct err *err)
{
	const time_t mark_s = (time_t)timeout_s + 1;
	struct message m;
	bool is_taken;
	int r;

	begin(k, &m, k->family, NBD_CMD_RECONFIGURE);
	put_device(&m, d);
	put_u64(&m, NBD_ATTR_TIMEOUT, timeout_s);
	put_sockets(&m, d);
	set_send_timeout(d->sockets[0], mark_s);
	r = tell(k, &m, d->index, "it cannot be connected again", err);
	is_taken = r == 0 && send_timeout(d->sockets[0]) != mark_s;
	set_send_timeout(d->sockets[0], 0);
	if (r < 0 || is_taken)
		return r;
	return err_set(err, -ENOSPC, "/dev/nbd%d: none of its connections is dead", d->index);
}

int nbd_kernel_set_timeout(struct nbd_kernel *k, const struct nbd_kernel_device *d,
			   uint64_t timeout_s, struct err *err)
{
	struct message m;

	begin(k, &m, k->family, NBD_CMD_RECONFIGURE);
	put_device(&m, d);
	put_u64(&m, NBD_ATTR_TIMEOUT, timeout_s);
	return tell(k, &m, d->index, "its timeout cannot be set", err);
}

int nbd_kernel_disconnect(struct nbd_kernel *k, int index, struct err *err)
{
	struct message m;

	begin(k, &m, k->family, NBD_CMD_DISCONNECT);
	put_u32(&m, NBD_ATTR_INDEX, (uint32_t)index);
	return tell(k, &m, index, "it cannot be disconnected", err);
}
