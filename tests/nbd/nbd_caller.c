/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/nbd/nbd_caller.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "base/arith.h"
#include "base/clock.h"
#include "base/codec.h"
#include "base/err.h"

/* The protocol's own words. */
static const uint64_t nbd_magic = 0x4e42444d41474943, option_magic = 0x49484156454f5054,
		      option_reply_magic = 0x3e889045565a9;
enum {
	FIXED_NEWSTYLE = 1,
	NO_ZEROES = 2,
	OPTION_GO = 7,
	REPLY_ACK = 1,
	REPLY_INFO = 3,
	INFO_EXPORT = 0,
	EXPORT_HAS_FUA = 8,
	REQUEST_MAGIC = 0x25609513,
	SIMPLE_REPLY_MAGIC = 0x67446698,
	COMMAND_READ = 0,
	COMMAND_WRITE = 1,
	COMMAND_FUA = 1,

	HELLO_BYTES = 18,
	OPTION_REPLY_BYTES = 20,
	REQUEST_BYTES = 28,
	REPLY_BYTES = 16,
	NAME_BYTES = 256,
	IN_BYTES = 1 << 20,
};

/* --- bytes -------------------------------------------------------------------------- */

static int lost(const struct nbd_caller *c, int error, struct err *err)
{
	return err_set(err, -ECONNRESET, "%s: %s", c->path,
		       error ? strerror(error) : "the server hung up");
}

static int send_all(struct nbd_caller *c, struct iovec *iov, size_t count, struct err *err)
{
	while (count > 0) {
		struct msghdr message = { .msg_iov = iov, .msg_iovlen = count };
		ssize_t n = sendmsg(c->fd, &message, MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return lost(c, errno, err);
		for (; count > 0 && (size_t)n >= iov->iov_len; iov++, count--)
			n -= (ssize_t)iov->iov_len;
		if (count > 0) {
			iov->iov_base = (uint8_t *)iov->iov_base + n;
			iov->iov_len -= (size_t)n;
		}
	}
	return 0;
}

static int receive_all(struct nbd_caller *c, void *to, size_t length, struct err *err)
{
	for (size_t have = 0; have < length;) {
		ssize_t n = read(c->fd, (uint8_t *)to + have, length - have);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return lost(c, n < 0 ? errno : 0, err);
		have += (size_t)n;
	}
	return 0;
}

/* --- hello -------------------------------------------------------------------------- */

static int ask_for_export(struct nbd_caller *c, const char *export, struct err *err)
{
	uint8_t bytes[4 + 16 + 6 + NAME_BYTES];
	struct wr wr = wr_over(bytes, sizeof(bytes));
	size_t length = strlen(export);

	wr_be_u32(&wr, FIXED_NEWSTYLE | NO_ZEROES);
	wr_be_u64(&wr, option_magic);
	wr_be_u32(&wr, OPTION_GO);
	wr_be_u32(&wr, (uint32_t)length + 6);
	wr_be_u32(&wr, (uint32_t)length);
	wr_bytes(&wr, export, length);
	wr_be_u16(&wr, 0);
	if (wr.failed)
		return err_set(err, -EINVAL, "%s: the export's name is too long", c->path);
	return send_all(c, &(struct iovec){ bytes, wr.at }, 1, err);
}

/* 1: another one comes. */
static int hear_option_reply(struct nbd_caller *c, struct err *err)
{
	uint8_t head[OPTION_REPLY_BYTES] = { 0 }, data[4096];
	struct rd rd = rd_over(head, sizeof(head));
	uint32_t type, length;
	int r = receive_all(c, head, sizeof(head), err);

	if (r < 0)
		return r;
	if (rd_be_u64(&rd) != option_reply_magic)
		return err_set(err, -EBADMSG, "%s: the handshake makes no sense", c->path);
	rd_be_u32(&rd);
	type = rd_be_u32(&rd);
	length = rd_be_u32(&rd);
	if (length > sizeof(data))
		return err_set(err, -EBADMSG, "%s: the handshake is too long", c->path);
	r = receive_all(c, data, length, err);
	if (r < 0)
		return r;
	rd = rd_over(data, length);
	if (type == REPLY_INFO && rd_be_u16(&rd) == INFO_EXPORT) {
		c->export_bytes = rd_be_u64(&rd);
		c->has_fua = rd_be_u16(&rd) & EXPORT_HAS_FUA;
	}
	if (type != REPLY_INFO && type != REPLY_ACK)
		return err_set(err, -ENOENT, "%s: the server refuses the export", c->path);
	return type != REPLY_ACK;
}

static int greet(struct nbd_caller *c, const char *export, struct err *err)
{
	uint8_t hello[HELLO_BYTES] = { 0 };
	struct rd rd = rd_over(hello, sizeof(hello));
	int r = receive_all(c, hello, sizeof(hello), err);

	if (r < 0)
		return r;
	if (rd_be_u64(&rd) != nbd_magic || rd_be_u64(&rd) != option_magic)
		return err_set(err, -EBADMSG, "%s: this is no newstyle NBD server", c->path);
	r = ask_for_export(c, export, err);
	if (r < 0)
		return r;
	do {
		r = hear_option_reply(c, err);
	} while (r == 1);
	return r;
}

int nbd_caller_open(struct nbd_caller *c, const char *path, const char *export,
		    struct err *err)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	const int send_bytes = 2 << 20;
	int r;

	*c = (struct nbd_caller){ .path = path, .fd = -1, .in = malloc(IN_BYTES) };
	if (!c->in)
		return err_nomem(err, path);
	if (strlen(path) >= sizeof(address.sun_path))
		return err_set(err, -ENAMETOOLONG, "%s: too long for a socket", path);
	memcpy(address.sun_path, path, strlen(path) + 1);
	c->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	/* as qemu's client does; it gets no more than the system has for everybody */
	(void)setsockopt(c->fd, SOL_SOCKET, SO_SNDBUF, &send_bytes, sizeof(send_bytes));
	if (c->fd < 0 || connect(c->fd, (struct sockaddr *)&address, sizeof(address)) < 0)
		r = err_set(err, -errno, "%s: %s", path, strerror(errno));
	else
		r = greet(c, export, err);
	if (r < 0)
		nbd_caller_close(c);
	return r;
}

void nbd_caller_close(struct nbd_caller *c)
{
	if (c->fd >= 0)
		close(c->fd);
	free(c->in);
	c->fd = -1;
	c->in = NULL;
}

/* --- requests -------------------------------------------------------------------------- */

static struct iovec request_head(uint8_t head[REQUEST_BYTES], const struct nbd_ask *ask)
{
	struct wr wr = wr_over(head, REQUEST_BYTES);

	wr_be_u32(&wr, REQUEST_MAGIC);
	wr_be_u16(&wr, ask->is_fua ? COMMAND_FUA : 0);
	wr_be_u16(&wr, ask->is_write ? COMMAND_WRITE : COMMAND_READ);
	wr_be_u64(&wr, ask->cookie);
	wr_be_u64(&wr, ask->offset);
	wr_be_u32(&wr, ask->length);
	return (struct iovec){ head, REQUEST_BYTES };
}

int nbd_caller_ask(struct nbd_caller *c, const struct nbd_ask *asks, int count,
		   struct err *err)
{
	uint8_t heads[NBD_CALLER_AT_ONCE][REQUEST_BYTES];
	struct iovec iov[2 * NBD_CALLER_AT_ONCE];
	size_t parts = 0;

	for (int i = 0; i < count; i++) {
		iov[parts++] = request_head(heads[i], &asks[i]);
		if (asks[i].is_write)
			iov[parts++] = (struct iovec){ (void *)(uintptr_t)asks[i].data,
						       asks[i].length };
	}
	return send_all(c, iov, parts, err);
}

/* --- answers ---------------------------------------------------------------------------- */

static int parse_answer(const struct nbd_caller *c, const uint8_t *bytes,
			struct nbd_answer *answer, struct err *err)
{
	struct rd rd = rd_over(bytes, REPLY_BYTES);

	if (rd_be_u32(&rd) != SIMPLE_REPLY_MAGIC)
		return err_set(err, -EBADMSG, "%s: an answer makes no sense", c->path);
	answer->error = rd_be_u32(&rd);
	answer->cookie = rd_be_u64(&rd);
	return 0;
}

/* Whole answers of what is in c->in; the rest moves to its beginning. */
static int take_answers(struct nbd_caller *c,
			void (*answered)(void *owner, const struct nbd_answer *answer),
			void *owner, struct err *err)
{
	struct nbd_answer answer;
	size_t at = 0;

	for (;;) {
		size_t skipped = min_u64(c->skip, c->in_length - at);

		at += skipped;
		c->skip -= skipped;
		if (c->in_length - at < REPLY_BYTES)
			break;
		if (parse_answer(c, c->in + at, &answer, err) < 0)
			return err->code;
		at += REPLY_BYTES;
		c->skip = answer.error ? 0 : c->answer_bytes;
		answered(owner, &answer);
	}
	memmove(c->in, c->in + at, c->in_length - at);
	c->in_length -= at;
	return 0;
}

int nbd_caller_hear(struct nbd_caller *c, uint64_t timeout_ns,
		    void (*answered)(void *owner, const struct nbd_answer *answer),
		    void *owner, struct err *err)
{
	struct pollfd pfd = { .fd = c->fd, .events = POLLIN };
	struct timespec time = { .tv_sec = (time_t)(timeout_ns / NS_PER_S),
				 .tv_nsec = (long)(timeout_ns % NS_PER_S) };
	int r = ppoll(&pfd, 1, &time, NULL); /* poll(2)'s ms are longer than a request */
	ssize_t n;

	if (r <= 0)
		return 0;
	n = read(c->fd, c->in + c->in_length, IN_BYTES - c->in_length);
	if (n < 0 && errno == EINTR)
		return 0;
	if (n <= 0)
		return lost(c, n < 0 ? errno : 0, err);
	c->in_length += (size_t)n;
	return take_answers(c, answered, owner, err);
}

int nbd_caller_read(struct nbd_caller *c, uint64_t offset, void *to, uint32_t length,
		    struct err *err)
{
	struct nbd_ask ask = { .offset = offset, .length = length };
	struct nbd_answer answer;
	uint8_t head[REPLY_BYTES] = { 0 };

	if (nbd_caller_ask(c, &ask, 1, err) < 0 ||
	    receive_all(c, head, sizeof(head), err) < 0 ||
	    parse_answer(c, head, &answer, err) < 0)
		return err->code;
	if (answer.error)
		return err_set(err, -EIO, "%s: read at %llu: the server says error %u", c->path,
			       (unsigned long long)offset, answer.error);
	return receive_all(c, to, length, err);
}
