/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * One client: who it is, bytes to frames, frames to bytes. What is closed is so from the
 * loop's own callbacks alone, never while its owner answers.
 */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/arith.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "mdclusterd/control/control_private.h"

enum { MAX_GROUPS = 65536, IN_BYTES = CONTROL_CALL_BYTES + 1 };

/* --- who it is -------------------------------------------------------------------------- */

/*
 * The groups that the process has, as the kernel knows them: no name service is asked, which
 * may be slow, or need the very disks that we serve.
 */
static bool is_in_group(int fd, gid_t own, gid_t wanted)
{
	socklen_t bytes = 0;
	CLEANUP_FREE gid_t *groups = NULL;

	if (own == wanted)
		return true;
	if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, NULL, &bytes) == 0 || errno != ERANGE ||
	    bytes > MAX_GROUPS * sizeof(*groups))
		return false;
	groups = malloc(bytes);
	if (!groups || getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups, &bytes) < 0)
		return false;
	for (size_t i = 0; i < bytes / sizeof(*groups); i++)
		if (groups[i] == wanted)
			return true;
	return false;
}

/* Root, and who runs the daemon, may do all. */
static int identify(struct control_connection *c, struct err *err)
{
	struct ucred peer = { 0 };
	socklen_t length = sizeof(peer);

	if (getsockopt(c->fd, SOL_SOCKET, SO_PEERCRED, &peer, &length) < 0)
		return err_set(err, -errno, "who is there: %s", strerror(errno));
	c->uid = peer.uid;
	c->may_admin = peer.uid == 0 || peer.uid == geteuid();
	c->may_read = c->may_admin || (c->server->has_group &&
				       is_in_group(c->fd, peer.gid, c->server->group));
	return 0;
}

static size_t count_of_user(const struct control_server *s, uid_t uid)
{
	struct qb_list_head *at;
	size_t n = 0;

	qb_list_for_each(at, &s->connections)
		n += qb_list_entry(at, struct control_connection, link)->uid == uid;
	return n;
}

/* --- out -------------------------------------------------------------------------------- */

static size_t waiting(const struct control_connection *c)
{
	return c->out.length - c->out.head;
}

static int make_room(struct control_connection *c, size_t more)
{
	size_t need;
	char *bytes;

	if (c->out.head > 0) {
		memmove(c->out.bytes, c->out.bytes + c->out.head, waiting(c));
		c->out.length -= c->out.head;
		c->out.head = 0;
	}
	need = c->out.length + more;
	if (need <= c->out.room)
		return 0;
	need = max_u64(need, 2 * c->out.room);
	bytes = realloc(c->out.bytes, need);
	if (!bytes)
		return -ENOMEM;
	c->out.bytes = bytes;
	c->out.room = need;
	return 0;
}

int control_connection_send(struct control_connection *c, const json_t *frame,
			    size_t most_waiting)
{
	CLEANUP_FREE char *text = frame ? json_dumps(frame, JSON_COMPACT) : NULL;
	size_t bytes = text ? strlen(text) + 1 : 0; /* with its NUL */

	if (!text)
		return -ENOMEM;
	if (waiting(c) + bytes > most_waiting ||
	    c->server->waiting_bytes + bytes > CONTROL_WAITING_BYTES)
		return -ENOBUFS;
	if (make_room(c, bytes) < 0)
		return -ENOMEM;
	memcpy(c->out.bytes + c->out.length, text, bytes);
	c->out.length += bytes;
	c->server->waiting_bytes += bytes;
	loop_soon(c->server->loop, &c->go_on);
	return 0;
}

/* -errno: the client is gone. */
static int flush(struct control_connection *c)
{
	while (waiting(c) > 0) {
		ssize_t n = send(c->fd, c->out.bytes + c->out.head, waiting(c), MSG_NOSIGNAL);

		if (n < 0)
			return errno == EAGAIN || errno == EINTR ? 0 : -errno;
		c->out.head += (size_t)n;
		c->server->waiting_bytes -= (size_t)n;
	}
	free(c->out.bytes);
	memset(&c->out, 0, sizeof(c->out));
	return 0;
}

/* --- in --------------------------------------------------------------------------------- */

/* > 0: something came; 0: nothing for now; -errno: the client is gone, or says no more. */
static int fill(struct control_connection *c)
{
	ssize_t n = recv(c->fd, c->in.bytes + c->in.length, IN_BYTES - c->in.length, 0);

	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -errno;
	if (n == 0)
		return -EPIPE;
	c->in.length += (size_t)n;
	return 1;
}

/* The first whole frame begins. false: there is none. */
static bool take_frame(struct control_connection *c)
{
	char *end = memchr(c->in.bytes + c->in.scanned, '\0', c->in.length - c->in.scanned);

	c->in.scanned = c->in.length;
	if (end) {
		control_call_begin(c, c->in.bytes, (size_t)(end - c->in.bytes));
		c->in.length -= (size_t)(end - c->in.bytes) + 1;
		memmove(c->in.bytes, end + 1, c->in.length);
		c->in.scanned = 0;
	} else if (c->in.length == IN_BYTES) {
		c->is_ending = true;
		control_refuse(c, -EMSGSIZE, "a call is longer than %d bytes",
			       CONTROL_CALL_BYTES);
	}
	return end || c->is_ending;
}

/* --- both ------------------------------------------------------------------------------- */

static void ready(void *owner, int fd, uint32_t poll_events);

static int watch(struct control_connection *c, uint32_t events)
{
	struct err err = ERR_INIT;

	if (events == c->watched)
		return 0;
	loop_fd_remove(c->server->loop, c->fd);
	c->watched = events;
	return loop_fd_add(c->server->loop, c->fd, events, ready, c, &err);
}

static bool is_busy(const struct control_connection *c)
{
	return c->call || waiting(c) > 0 || c->is_ending;
}

/* As far as it goes: writes, and begins what is there, one call after the other. */
static void go_on(void *owner)
{
	struct control_connection *c = owner;
	int r = flush(c);

	while (r >= 0 && !is_busy(c)) {
		r = take_frame(c) ? flush(c) : fill(c);
		if (r == 0 && c->in.scanned == c->in.length)
			break;
	}
	if (r >= 0 && c->is_ending && waiting(c) == 0)
		r = -EPIPE;
	if (r >= 0)
		r = watch(c, waiting(c) > 0 ? POLLOUT : is_busy(c) ? 0 : POLLIN);
	if (r < 0)
		control_connection_close(c);
}

static void ready(void *owner, int fd, uint32_t poll_events)
{
	struct control_connection *c = owner;

	(void)fd;
	/* it hears nothing any more; who only said that it says no more has no HUP */
	if (poll_events & (POLLERR | POLLHUP) && !(poll_events & POLLIN))
		control_connection_close(c);
	else
		go_on(c);
}

/* --- beginning and end ------------------------------------------------------------------ */

/* Why nobody may be here now; it is told, and that is all. */
static bool turn_away(struct control_connection *c)
{
	const struct control_server *s = c->server;

	if (!c->may_read)
		control_refuse(c, -EACCES, "only root%s may ask this daemon",
			       s->has_group ? " and members of its group" : "");
	else if (s->connection_count > CONTROL_MAX_CONNECTIONS)
		control_refuse(c, -EUSERS, "%d connections are there already",
			       CONTROL_MAX_CONNECTIONS);
	else if (c->uid != 0 && count_of_user(s, c->uid) > CONTROL_USER_CONNECTIONS)
		control_refuse(c, -EUSERS, "user %u has %d connections already", c->uid,
			       CONTROL_USER_CONNECTIONS);
	else
		return false;
	return true;
}

int control_connection_open(struct control_server *s, int fd, struct err *err)
{
	struct control_connection *c = calloc(1, sizeof(*c));
	int r;

	if (c)
		c->in.bytes = malloc(IN_BYTES);
	if (!c || !c->in.bytes) {
		free(c);
		close(fd);
		return err_nomem(err, "a connection");
	}
	c->server = s;
	c->fd = fd;
	c->go_on = (struct loop_job){ .fn = go_on, .owner = c };
	c->watched = POLLIN;
	qb_list_add_tail(&c->link, &s->connections);
	s->connection_count++;
	r = loop_fd_add(s->loop, fd, POLLIN, ready, c, err);
	if (r == 0)
		r = identify(c, err);
	if (r < 0)
		control_connection_close(c);
	else
		c->is_ending = turn_away(c);
	return r;
}

void control_connection_close(struct control_connection *c)
{
	struct control_call *call = c->call;

	loop_soon_cancel(&c->go_on);
	loop_fd_remove(c->server->loop, c->fd);
	close(c->fd);
	c->call = NULL;
	if (call && call->method && call->method->gone)
		call->method->gone(c->server->owner, call);
	free(call);
	qb_list_del(&c->link);
	c->server->connection_count--;
	c->server->waiting_bytes -= waiting(c);
	free(c->in.bytes);
	free(c->out.bytes);
	free(c);
}
