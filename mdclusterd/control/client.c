/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Connections, calls and answers; nothing here waits for a daemon. */
#include <errno.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "mdclusterd/control/client_private.h"
#include "mdclusterd/control/control.h"
#include "mdclusterd/control/socket_path.h"

#define DEFAULT_RUN_DIR "/run/mdcluster"

enum { FIRST_ROOM = 64 << 10 };

struct mdcluster *mdcluster_new(void)
{
	struct mdcluster *c = calloc(1, sizeof(*c));

	if (!c)
		return NULL;
	c->fd = -1;
	c->timeout_ms = -1;
	c->cancel_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (c->cancel_fd < 0) {
		free(c);
		return NULL;
	}
	return c;
}

void client_disconnect(struct mdcluster *c)
{
	if (c->fd >= 0)
		close(c->fd);
	c->fd = -1;
	c->is_calling = false;
	free(c->out.bytes);
	free(c->in.bytes);
	memset(&c->out, 0, sizeof(c->out));
	memset(&c->in, 0, sizeof(c->in));
}

void mdcluster_free(struct mdcluster *c)
{
	if (!c)
		return;
	client_disconnect(c);
	close(c->cancel_fd);
	free(c->path);
	free(c);
}

int mdcluster_fd(const struct mdcluster *c)
{
	return c->fd;
}

short mdcluster_poll_events(const struct mdcluster *c)
{
	return c->out.length > c->out.head ? POLLIN | POLLOUT : POLLIN;
}

/* --- connecting ------------------------------------------------------------------------- */

static int connect_error(struct mdcluster *c, int error)
{
	client_disconnect(c);
	switch (error) {
	case ENOENT:
	case ECONNREFUSED:
		return client_fail(c, -error, "no mdclusterd answers at %s", c->path);
	case EACCES:
		return client_fail(c, -error, "%s: permission denied: root may ask, and who is "
				   "in the group of this socket", c->path);
	case EAGAIN:
		return client_fail(c, -ETIMEDOUT, "the mdclusterd at %s does not answer",
				   c->path);
	}
	return client_fail(c, -error, "%s: %s", c->path, strerror(error));
}

/* The daemon's queue of who wants to connect may be full: not for ever. */
static int connect_path(struct mdcluster *c)
{
	const struct timeval limit = { .tv_sec = CLIENT_CONNECT_MS / 1000 };
	struct sockaddr_un address;
	CLEANUP_FD int dir_fd = -1;
	int r = socket_path_address(c->path, &address, &dir_fd);

	if (r < 0)
		return connect_error(c, -r);
	c->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (c->fd < 0 || setsockopt(c->fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit)) < 0 ||
	    connect(c->fd, (const struct sockaddr *)&address, sizeof(address)) < 0)
		return connect_error(c, errno);
	return 0;
}

/* A directory, or what may become one: the socket is in it. */
static char *socket_of(const char *where)
{
	struct stat st;
	char *path;

	if (!where)
		where = secure_getenv("MDCLUSTER_RUN_DIR");
	if (!where || !*where)
		where = DEFAULT_RUN_DIR;
	if (stat(where, &st) == 0 && !S_ISDIR(st.st_mode))
		return strdup(where);
	return asprintf(&path, "%s/" CONTROL_SOCKET, where) < 0 ? NULL : path;
}

int mdcluster_connect(struct mdcluster *c, const char *where)
{
	client_disconnect(c);
	free(c->path);
	c->path = socket_of(where);
	if (!c->path)
		return client_fail(c, -ENOMEM, "no memory for a connection");
	return connect_path(c);
}

/* --- calling ---------------------------------------------------------------------------- */

/* What cannot be written is left. A daemon that closes says why: that is read first. */
static int flush(struct mdcluster *c)
{
	while (c->out.head < c->out.length) {
		ssize_t n = send(c->fd, c->out.bytes + c->out.head, c->out.length - c->out.head,
				 MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno == EAGAIN || errno == EPIPE ? 0 : -errno;
		c->out.head += (size_t)n;
	}
	free(c->out.bytes);
	memset(&c->out, 0, sizeof(c->out));
	return 0;
}

static int make_call(struct mdcluster *c, const char *method, const char *parameters,
		     bool wants_more)
{
	json_error_t why;
	json_t *object = json_loads(parameters ? parameters : "{}", JSON_REJECT_DUPLICATES,
				    &why);
	json_t *frame;

	if (!json_is_object(object)) {
		json_decref(object);
		return client_fail(c, -EINVAL, "the parameters of %s are no JSON object: %s",
				   method, object ? "of another type" : why.text);
	}
	frame = json_pack("{s:s, s:o}", "method", method, "parameters", object);
	if (wants_more)
		json_object_set_new(frame, "more", json_true());
	c->out.bytes = frame ? json_dumps(frame, JSON_COMPACT) : NULL;
	json_decref(frame);
	if (!c->out.bytes)
		return client_fail(c, -ENOMEM, "no memory for a call");
	c->out.head = 0;
	c->out.length = strlen(c->out.bytes) + 1; /* with its NUL */
	return 0;
}

static int lost(struct mdcluster *c, int error)
{
	client_disconnect(c);
	if (error == 0 || error == ECONNRESET || error == EPIPE)
		return client_fail(c, -ECONNRESET, "the mdclusterd at %s has gone", c->path);
	return client_fail(c, -error, "%s: %s", c->path, strerror(error));
}

int mdcluster_begin(struct mdcluster *c, const char *method, const char *parameters,
		    int wants_more)
{
	int r;

	if (c->is_calling)
		return client_fail(c, -EBUSY, "a call is under way");
	if (!c->path)
		return client_fail(c, -ENOTCONN, "there is no connection");
	if (c->fd < 0) {
		r = connect_path(c);
		if (r < 0)
			return r;
	}
	r = make_call(c, method, parameters, wants_more != 0);
	if (r < 0)
		return r;
	c->is_calling = true;
	r = flush(c);
	return r < 0 ? lost(c, -r) : 0;
}

/* --- answers ---------------------------------------------------------------------------- */

static int make_room(struct mdcluster *c)
{
	size_t room = c->in.room ? 2 * c->in.room : FIRST_ROOM;
	char *bytes;

	if (c->in.length < c->in.room)
		return 0;
	if (room > CLIENT_ANSWER_BYTES)
		return -EMSGSIZE;
	bytes = realloc(c->in.bytes, room);
	if (!bytes)
		return -ENOMEM;
	c->in.bytes = bytes;
	c->in.room = room;
	return 0;
}

static int read_some(struct mdcluster *c)
{
	int r = make_room(c);
	ssize_t n;

	if (r < 0) {
		client_disconnect(c);
		return client_fail(c, r, "an answer is too long: %s", strerror(-r));
	}
	do
		n = recv(c->fd, c->in.bytes + c->in.length, c->in.room - c->in.length,
			 MSG_DONTWAIT);
	while (n < 0 && errno == EINTR);
	if (n < 0 && errno == EAGAIN)
		return -EAGAIN;
	if (n <= 0)
		return lost(c, n < 0 ? errno : 0);
	c->in.length += (size_t)n;
	return 0;
}

/* The first whole frame; NULL of what is no JSON. */
static bool take_frame(struct mdcluster *c, json_t **frame)
{
	char *end = c->in.length > c->in.scanned ?
			    memchr(c->in.bytes + c->in.scanned, '\0',
				   c->in.length - c->in.scanned) : NULL;

	c->in.scanned = c->in.length;
	if (!end)
		return false;
	*frame = json_loadb(c->in.bytes, (size_t)(end - c->in.bytes), 0, NULL);
	c->in.length -= (size_t)(end - c->in.bytes) + 1;
	memmove(c->in.bytes, end + 1, c->in.length);
	c->in.scanned = 0;
	return true;
}

static int give(struct mdcluster *c, const json_t *frame, char **result)
{
	const json_t *parameters = json_object_get(frame, "parameters");
	const char *error = json_string_value(json_object_get(frame, "error"));
	bool continues = json_is_true(json_object_get(frame, "continues"));

	if (!json_is_object(frame) || (parameters && !json_is_object(parameters))) {
		client_disconnect(c);
		return client_fail(c, -EBADMSG, "what the daemon says is no answer");
	}
	c->is_calling = !error && continues;
	if (error)
		return client_remote_error(c, error, parameters);
	if (result) {
		*result = parameters ? json_dumps(parameters, JSON_COMPACT) : strdup("{}");
		if (!*result) {
			client_disconnect(c);
			return client_fail(c, -ENOMEM, "no memory for an answer");
		}
	}
	return continues;
}

int mdcluster_next(struct mdcluster *c, char **result)
{
	json_t *frame;
	int r;

	if (!c->is_calling)
		return client_fail(c, -EINVAL, "no call is under way");
	r = flush(c);
	if (r < 0)
		return lost(c, -r);
	while (!take_frame(c, &frame)) {
		r = read_some(c);
		if (r < 0)
			return r;
	}
	r = give(c, frame, result);
	json_decref(frame);
	return r;
}
