/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A client's socket. What came is read at once, replies are sent at once, and only what
 * would block waits for the loop: a lone request costs one wait, a read and a write.
 *
 * Replies of ios that were done in one go of the loop are sent together (job).
 */
#include "mdclusterd/nbd/server_private.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/arith.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"

LOG_SUBSYSTEM(nbd);

enum {
	READS_A_GO = 16, /* then it is another's turn */
	SEND_PIECES = 64,
	/*
	 * The kernel doubles it, and has a whole piece in one call then. By default that takes
	 * seven, each when the client has read most of the last one.
	 */
	SEND_BUFFER_BYTES = NBD_PIECE_BYTES / 2,
};

static void wake(void *owner)
{
	struct nbd_client *client = owner;

	loop_soon(client->server->loop, &client->job);
}

static void memory_freed(void *owner)
{
	struct nbd_client *client = owner;

	loop_soon(client->server->loop, &client->server->memory_job);
}

static const struct nbd_session_ops session_ops = {
	.wake = wake,
	.memory_freed = memory_freed,
};

/* --- its end -------------------------------------------------------------------------------- */

void nbd_client_free(struct nbd_client *client)
{
	struct nbd_server *server = client->server;

	qb_list_del(&client->link);
	loop_soon_cancel(&client->job);
	loop_timer_cancel(client->handshake_timer);
	nbd_session_free(client->session);
	free(client);
	nbd_server_client_gone(server);
}

/* Its socket goes; it stays until the volume has nothing of it (Z7). */
static void end(struct nbd_client *client)
{
	if (client->fd >= 0) {
		loop_fd_remove(client->server->loop, client->fd);
		close(client->fd);
		client->fd = -1;
		nbd_session_abandon(client->session);
		loop_timer_cancel(client->handshake_timer);
		client->handshake_timer = NULL;
		if (client->is_ready)
			nbd_server_client_ready(client->server, false);
	}
	if (nbd_session_is_idle(client->session))
		nbd_client_free(client);
}

void nbd_client_cut(struct nbd_client *client, const char *why)
{
	struct nbd_server *server = client->server;

	if (client->fd >= 0) {
		server->export.counters.cut++;
		log_warning("MDC5201", "export %s: client %u (pid %d, uid %u) was cut: %s",
			    server->export.name, client->id, (int)client->pid,
			    (unsigned int)client->uid, why);
	}
	end(client);
}

static void handshake_late(void *owner)
{
	struct nbd_client *client = owner;

	client->handshake_timer = NULL;
	nbd_client_cut(client, "its handshake took too long");
}

/* --- bytes ------------------------------------------------------------------------------------ */

static bool would_block(void)
{
	return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR;
}

/* As much as there is, and as it takes, in turns with others. */
static void receive(struct nbd_client *client)
{
	for (int i = 0; i < READS_A_GO; i++) {
		struct iovec room[2] = { 0 };
		size_t n = nbd_session_room(client->session, room);
		ssize_t got;

		if (n == 0)
			return;
		got = readv(client->fd, room, (int)n);
		if (got < 0) {
			client->is_broken = !would_block();
			return;
		}
		if (got == 0)
			nbd_session_end_of_input(client->session);
		else
			nbd_session_heard(client->session, (size_t)got);
		nbd_session_advance(client->session);
		if ((size_t)got < room[0].iov_len + room[1].iov_len)
			return;
	}
}

/* True: something went out, so that the session may go on. */
static bool send_some(struct nbd_client *client)
{
	struct iovec pieces[SEND_PIECES];
	size_t n = nbd_session_output(client->session, pieces, SEND_PIECES);
	struct msghdr message = { .msg_iov = pieces, .msg_iovlen = n };
	ssize_t sent;

	client->is_send_blocked = false;
	if (n == 0)
		return false;
	sent = sendmsg(client->fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
	if (sent < 0) {
		client->is_send_blocked = would_block();
		client->is_broken = !client->is_send_blocked;
		return false;
	}
	nbd_session_sent(client->session, (size_t)sent);
	return true;
}

/* What the loop is to tell of it. */
static int watch(struct nbd_client *client, struct err *err)
{
	struct iovec room[2];
	uint32_t events = client->is_send_blocked ? POLLOUT : 0;

	if (nbd_session_room(client->session, room) > 0)
		events |= POLLIN;
	if (events == client->poll_events)
		return 0;
	client->poll_events = events;
	return loop_fd_change(client->server->loop, client->fd, events, err);
}

static void look_at_state(struct nbd_client *client)
{
	if (client->is_ready || nbd_session_state(client->session) != NBD_TRANSMITTING)
		return;
	client->is_ready = true;
	loop_timer_cancel(client->handshake_timer);
	client->handshake_timer = NULL;
	nbd_server_client_ready(client->server, true);
}

void nbd_client_go_on(struct nbd_client *client)
{
	struct err err = ERR_INIT;

	if (client->fd < 0) {
		end(client);
		return;
	}
	do
		nbd_session_advance(client->session);
	while (send_some(client));
	look_at_state(client);
	nbd_server_look_at_memory(client->server);
	if (nbd_session_fault(client->session))
		nbd_client_cut(client, nbd_session_fault(client->session));
	else if (client->is_broken || nbd_session_is_over(client->session))
		end(client);
	else if (watch(client, &err) < 0)
		nbd_client_cut(client, err.text);
}

static void go_on_job(void *owner)
{
	nbd_client_go_on(owner);
}

/* Who hung up hears no replies; what it had sent is read all the same. */
static void ready(void *owner, int fd, uint32_t events)
{
	struct nbd_client *client = owner;

	(void)fd;
	if (events & ~(uint32_t)POLLOUT)
		receive(client);
	if (events & (POLLHUP | POLLERR))
		client->is_broken = true;
	nbd_client_go_on(client);
}

/* --- its beginning ------------------------------------------------------------------------------ */

static void look_at_peer(struct nbd_client *client)
{
	struct ucred peer = { .pid = 0, .uid = (uid_t)-1, .gid = (gid_t)-1 };
	socklen_t length = sizeof(peer);

	getsockopt(client->fd, SOL_SOCKET, SO_PEERCRED, &peer, &length);
	client->pid = peer.pid;
	client->uid = peer.uid;
	client->gid = peer.gid;
}

/* Without the privilege as much as the system has for everybody. */
static void widen(int fd)
{
	int bytes = SEND_BUFFER_BYTES;

	if (setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &bytes, sizeof(bytes)) < 0)
		(void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof(bytes));
}

static int start(struct nbd_client *client, struct err *err)
{
	struct nbd_server *server = client->server;

	client->session = nbd_session_new(&server->export, &session_ops, client);
	if (!client->session)
		return err_nomem(err, "a client");
	client->handshake_timer = loop_timer_start(server->loop, server->handshake_ms,
						   handshake_late, client, err);
	if (!client->handshake_timer)
		return err->code;
	client->poll_events = POLLIN;
	return loop_fd_add(server->loop, client->fd, POLLIN, ready, client, err);
}

void nbd_client_new(struct nbd_server *server, int fd)
{
	struct nbd_client *client = calloc(1, sizeof(*client));
	struct err err = ERR_INIT;

	if (!client) {
		close(fd);
		return;
	}
	client->server = server;
	client->fd = fd;
	client->id = ++server->last_id;
	client->since_ns = clock_boot_ns();
	client->job.fn = go_on_job;
	client->job.owner = client;
	look_at_peer(client);
	widen(fd);
	qb_list_add_tail(&client->link, &server->clients);
	server->client_count++;
	if (start(client, &err) == 0) {
		nbd_client_go_on(client);
		return;
	}
	log_warning("MDC5203", "export %s: cannot take a client: %s", server->export.name,
		    err.text);
	close(fd);
	nbd_client_free(client);
}
