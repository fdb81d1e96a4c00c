/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/unit/control_rig.h"

#include "tests/unit/help.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/arith.h"
#include "base/loop.h"
#include "mdclusterd/control/control.h"

enum { MAX_HELD = 32 };

struct control_rig {
	char dir[64], path[96];
	struct loop *loop;
	struct control_server *server;
	pthread_t thread;
	int stop[2]; /* a byte: stop */
	struct control_call *held[MAX_HELD];
	size_t held_count;
	int gone;
};

static json_int_t number(const json_t *parameters, const char *name)
{
	return json_integer_value(json_object_get(parameters, name));
}

static void echo(void *owner, struct control_call *call, const json_t *parameters)
{
	(void)owner;
	control_reply(call, json_deep_copy(parameters));
}

static void stream(void *owner, struct control_call *call, const json_t *parameters)
{
	(void)owner;
	for (json_int_t i = 0; i < number(parameters, "count"); i++)
		control_continue(call, json_pack("{s:I}", "n", i));
	control_reply(call, NULL);
}

static void flood(void *owner, struct control_call *call, const json_t *parameters)
{
	size_t bytes = (size_t)number(parameters, "bytes");
	char *text = malloc(bytes + 1);
	json_int_t lost = 0;

	(void)owner;
	memset(text, 'x', bytes);
	text[bytes] = '\0';
	for (json_int_t i = 0; i < number(parameters, "count"); i++)
		lost += !control_continue(call, json_pack("{s:s}", "text", text));
	free(text);
	control_reply(call, json_pack("{s:I}", "lost", lost));
}

static void large(void *owner, struct control_call *call, const json_t *parameters)
{
	size_t bytes = (size_t)number(parameters, "bytes");
	char *text = malloc(bytes + 1);

	(void)owner;
	memset(text, 'x', bytes);
	text[bytes] = '\0';
	control_reply(call, json_pack("{s:s}", "text", text));
	free(text);
}

static void hold(void *owner, struct control_call *call, const json_t *parameters)
{
	struct control_rig *rig = owner;

	(void)parameters;
	control_set_state(call, rig);
	rig->held[rig->held_count++] = call;
}

static void hold_gone(void *owner, struct control_call *call)
{
	struct control_rig *rig = owner;
	size_t i;

	for (i = 0; i < rig->held_count && rig->held[i] != call; i++)
		;
	if (i == rig->held_count || control_state(call) != rig)
		abort(); /* not ours: the test must end */
	rig->held[i] = rig->held[--rig->held_count];
	rig->gone++;
}

static void let_go(void *owner, struct control_call *call, const json_t *parameters)
{
	struct control_rig *rig = owner;

	(void)parameters;
	while (rig->held_count > 0)
		control_reply(rig->held[--rig->held_count], json_pack("{s:b}", "free", 1));
	control_reply(call, NULL);
}

static void held(void *owner, struct control_call *call, const json_t *parameters)
{
	struct control_rig *rig = owner;

	(void)parameters;
	control_reply(call, json_pack("{s:i, s:i}", "held", (int)rig->held_count, "gone",
				      rig->gone));
}

static void refuse(void *owner, struct control_call *call, const json_t *parameters)
{
	struct err err = ERR_INIT;
	const char *text = json_string_value(json_object_get(parameters, "text"));

	(void)owner;
	if (!text) {
		control_fail_parameter(call, "text");
		return;
	}
	err_set(&err, -(int)number(parameters, "errno"), "%s", text);
	control_fail(call, &err);
}

static const struct control_method methods[] = {
	{ "test.Echo", CONTROL_READ, echo, NULL },
	{ "test.Admin", CONTROL_ADMIN, echo, NULL },
	{ "test.Stream", CONTROL_READ, stream, NULL },
	{ "test.Flood", CONTROL_READ, flood, NULL },
	{ "test.Large", CONTROL_READ, large, NULL },
	{ "test.Hold", CONTROL_READ, hold, hold_gone },
	{ "test.Release", CONTROL_READ, let_go, NULL },
	{ "test.Held", CONTROL_READ, held, NULL },
	{ "test.Fail", CONTROL_READ, refuse, NULL },
	{ NULL, CONTROL_READ, NULL, NULL },
};

static void stop(void *owner, int fd, uint32_t events)
{
	struct control_rig *rig = owner;

	(void)fd;
	(void)events;
	loop_stop(rig->loop);
}

static void *serve(void *rig)
{
	loop_run(((struct control_rig *)rig)->loop);
	return NULL;
}

struct control_rig *control_rig_new(const char *group)
{
	struct control_rig *rig = calloc(1, sizeof(*rig));
	struct control_config config = { .group = group };
	struct err err = ERR_INIT;

	snprintf(rig->dir, sizeof(rig->dir), "/tmp/mdcluster-test.XXXXXX");
	assert_non_null(mkdtemp(rig->dir));
	assert_int_equal(chmod(rig->dir, 0755), 0);
	snprintf(rig->path, sizeof(rig->path), "%s/" CONTROL_SOCKET, rig->dir);
	config.path = rig->path;
	rig->loop = loop_new(&err);
	rig->server = control_server_new(rig->loop, &config, methods, rig, &err);
	if (!rig->server)
		fail_msg("%s", err.text);
	assert_int_equal(pipe(rig->stop), 0);
	assert_ok(loop_fd_add(rig->loop, rig->stop[0], 1, stop, rig, &err), err);
	assert_int_equal(pthread_create(&rig->thread, NULL, serve, rig), 0);
	return rig;
}

void control_rig_free(struct control_rig *rig)
{
	assert_int_equal(write(rig->stop[1], "x", 1), 1);
	pthread_join(rig->thread, NULL);
	control_server_free(rig->server);
	assert_int_equal(rig->held_count, 0); /* gone() was called for each */
	assert_int_equal(access(rig->path, F_OK), -1);
	loop_free(rig->loop);
	close(rig->stop[0]);
	close(rig->stop[1]);
	assert_int_equal(rmdir(rig->dir), 0);
	free(rig);
}

const char *control_rig_dir(const struct control_rig *rig)
{
	return rig->dir;
}

const char *control_rig_path(const struct control_rig *rig)
{
	return rig->path;
}

/* --- raw clients ------------------------------------------------------------------------ */

int raw_connect(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	const struct timeval limit = { .tv_sec = 60 };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), r;

	/* what never comes fails a test, and does not hang it */
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	if (connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0)
		return fd;
	r = -errno;
	close(fd);
	return r;
}

void raw_send(int fd, const char *frame)
{
	size_t length = strlen(frame) + 1;

	assert_int_equal(send(fd, frame, length, MSG_NOSIGNAL), length);
}

/* Looked at first, so that nothing of the next frame is taken. */
char *raw_receive(int fd)
{
	size_t length = 0, room = 1 << 16;
	char *text = malloc(room);

	for (;;) {
		const char *end;
		ssize_t n;

		if (length + 1 == room)
			text = realloc(text, room *= 2);
		n = recv(fd, text + length, room - length - 1, MSG_PEEK);
		if (n <= 0)
			break;
		end = memchr(text + length, '\0', (size_t)n);
		if (end)
			n = end + 1 - (text + length);
		assert_int_equal(recv(fd, text + length, (size_t)n, 0), n);
		length += (size_t)n;
		if (end)
			return text;
	}
	text[length] = '\0';
	return text;
}

void raw_expect(int fd, const char *frame, const char *answer)
{
	char *found;

	raw_send(fd, frame);
	found = raw_receive(fd);
	assert_string_equal(found, answer);
	free(found);
}
