/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* NBD's fixed newstyle handshake, as a client: hello, GO, what the export is like. */
#include "tools/nbd_export.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/codec.h"
#include "base/err.h"

static const uint64_t hello_magic = 0x4e42444d41474943, option_magic = 0x49484156454f5054,
		      answer_magic = 0x3e889045565a9;

enum {
	FIXED_NEWSTYLE = 1,
	NO_ZEROES = 2,
	OPTION_GO = 7,
	ANSWER_ACK = 1,
	ANSWER_INFO = 3,
	INFO_EXPORT = 0,
	INFO_BLOCK_SIZE = 3,

	HELLO_BYTES = 18,
	ANSWER_HEAD_BYTES = 20,
	ANSWER_BYTES = 4096, /* of one */
	NAME_BYTES = 256,
	PATIENCE_S = 10,
	SMALLEST_BLOCK = 512,
	LARGEST_BLOCK = 65536,
};

static int lost(const char *socket, ssize_t result, struct err *err)
{
	return err_set(err, result < 0 ? -errno : -ECONNRESET, "%s: %s", socket,
		       result < 0 ? strerror(errno) : "the daemon hung up");
}

static int hear(struct nbd_export *e, const char *socket, void *to, size_t length,
		struct err *err)
{
	for (size_t have = 0; have < length;) {
		ssize_t n = recv(e->fd, (uint8_t *)to + have, length - have, 0);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return lost(socket, n, err);
		have += (size_t)n;
	}
	return 0;
}

static int ask_for(struct nbd_export *e, const char *socket, const char *name, struct err *err)
{
	uint8_t bytes[4 + 16 + 4 + NAME_BYTES + 4];
	struct wr wr = wr_over(bytes, sizeof(bytes));
	size_t length = strlen(name);

	wr_be_u32(&wr, FIXED_NEWSTYLE | NO_ZEROES);
	wr_be_u64(&wr, option_magic);
	wr_be_u32(&wr, OPTION_GO);
	wr_be_u32(&wr, (uint32_t)(4 + length + 2 + 2));
	wr_be_u32(&wr, (uint32_t)length);
	wr_bytes(&wr, name, length);
	wr_be_u16(&wr, 1);
	wr_be_u16(&wr, INFO_BLOCK_SIZE);
	if (wr.failed)
		return err_set(err, -EINVAL, "%s: no export has such a long name", name);
	/* it has room for so little */
	if (send(e->fd, bytes, wr.at, MSG_NOSIGNAL) != (ssize_t)wr.at)
		return lost(socket, -1, err);
	return 0;
}

static void hear_info(struct nbd_export *e, const uint8_t *data, size_t length)
{
	struct rd rd = rd_over(data, length);
	uint16_t kind = rd_be_u16(&rd);
	uint32_t block;

	if (kind == INFO_EXPORT) {
		e->size_bytes = rd_be_u64(&rd);
		e->flags = rd_be_u16(&rd);
	} else if (kind == INFO_BLOCK_SIZE) {
		block = rd_be_u32(&rd);
		if (block >= SMALLEST_BLOCK && block <= LARGEST_BLOCK)
			e->block_bytes = block;
	}
}

/* 1: another one comes. */
static int hear_answer(struct nbd_export *e, const char *socket, struct err *err)
{
	uint8_t head[ANSWER_HEAD_BYTES] = { 0 }, data[ANSWER_BYTES];
	struct rd rd = rd_over(head, sizeof(head));
	uint32_t type, length;
	bool is_one;
	int r = hear(e, socket, head, sizeof(head), err);

	if (r < 0)
		return r;
	is_one = rd_be_u64(&rd) == answer_magic && rd_be_u32(&rd) == OPTION_GO;
	type = rd_be_u32(&rd);
	length = rd_be_u32(&rd);
	if (!is_one || length > sizeof(data))
		return err_set(err, -EBADMSG, "%s: its handshake makes no sense", socket);
	r = hear(e, socket, data, length, err);
	if (r < 0)
		return r;
	if (type == ANSWER_INFO)
		hear_info(e, data, length);
	else if (type != ANSWER_ACK)
		return err_set(err, -ENOENT, "%s: the export is refused%s%.*s", socket,
			       length ? ": " : "", (int)length, (const char *)data);
	return type != ANSWER_ACK;
}

static int greet(struct nbd_export *e, const char *socket, const char *name, struct err *err)
{
	uint8_t hello[HELLO_BYTES] = { 0 };
	struct rd rd = rd_over(hello, sizeof(hello));
	int r = hear(e, socket, hello, sizeof(hello), err);

	if (r < 0)
		return r;
	if (rd_be_u64(&rd) != hello_magic || rd_be_u64(&rd) != option_magic ||
	    !(rd_be_u16(&rd) & FIXED_NEWSTYLE))
		return err_set(err, -EBADMSG, "%s: this is no NBD server of today", socket);
	r = ask_for(e, socket, name, err);
	if (r < 0)
		return r;
	do {
		r = hear_answer(e, socket, err);
	} while (r == 1);
	if (r == 0 && e->size_bytes == 0)
		return err_set(err, -EBADMSG, "%s: the export has no size", socket);
	return r;
}

static void set_patience(int fd, int seconds)
{
	struct timeval t = { .tv_sec = seconds };

	(void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &t, sizeof(t));
	(void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &t, sizeof(t));
}

int nbd_export_open(struct nbd_export *e, const char *socket_path, const char *name,
		    struct err *err)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int r;

	*e = (struct nbd_export){ .fd = -1, .block_bytes = SMALLEST_BLOCK };
	if (strlen(socket_path) >= sizeof(address.sun_path))
		return err_set(err, -ENAMETOOLONG, "%s: too long for a socket", socket_path);
	memcpy(address.sun_path, socket_path, strlen(socket_path) + 1);
	e->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (e->fd < 0)
		return err_set(err, -errno, "a socket: %s", strerror(errno));
	set_patience(e->fd, PATIENCE_S);
	if (connect(e->fd, (struct sockaddr *)&address, sizeof(address)) < 0)
		r = err_set(err, -errno, "%s: %s", socket_path, strerror(errno));
	else
		r = greet(e, socket_path, name, err);
	if (r < 0) {
		close(e->fd);
		e->fd = -1;
	}
	set_patience(e->fd, 0); /* whoever has it next waits as long as it takes */
	return r;
}
