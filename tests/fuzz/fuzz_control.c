/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Fuzz target: what clients send to the control socket, and what commands read from it.
 *
 *	input:  byte 0  even: bytes of a client from byte 2 on, in up to 8 pieces, by byte 1
 *	        odd     an answer: a status or an event, as text from byte 1 on
 *
 * What must hold, for every input:
 *	F1  the server answers each whole frame, in order, with one object that is an answer
 *	    or an error; without a crash, a leak, or a call that is lost (U2, U3)
 *	F2  what is read of a status is written and read again the same
 *	F3  a refusal is one sentence; nothing is owned then
 *	F4  texts that were read have no control characters; a doctor can look at them
 */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"
#include "base/loop.h"
#include "mdclusterd/control/control_private.h"
#include "mdclusterd/control/status.h"
#include "tests/fuzz/expect.h"
#include "tools/doctor.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* --- a client --------------------------------------------------------------------------- */

static void echo(void *owner, struct control_call *call, const json_t *parameters)
{
	(void)owner;
	if (control_wants_more(call))
		control_continue(call, json_deep_copy(parameters));
	control_reply(call, json_deep_copy(parameters));
}

static const struct control_method methods[] = {
	{ "e", CONTROL_READ, echo, NULL },
	{ "org.mdcluster.Status", CONTROL_ADMIN, echo, NULL },
	{ NULL, CONTROL_READ, NULL, NULL },
};

struct talk {
	struct loop *loop;
	int fd;
	const uint8_t *data;
	size_t size, sent, piece;
	size_t frames;          /* that the server says */
	char *heard;
	size_t heard_length;
};

static void hear(void *owner, int fd, uint32_t events);

/* A piece each time that the loop comes by; then no more. */
static void say(struct talk *talk)
{
	size_t n = talk->size - talk->sent < talk->piece ? talk->size - talk->sent : talk->piece;
	struct err err = ERR_INIT;

	if (n > 0 && send(talk->fd, talk->data + talk->sent, n, MSG_NOSIGNAL) == (ssize_t)n)
		talk->sent += n;
	if (talk->sent < talk->size)
		return;
	shutdown(talk->fd, SHUT_WR);
	loop_fd_remove(talk->loop, talk->fd);
	EXPECT(loop_fd_add(talk->loop, talk->fd, POLLIN, hear, talk, &err) == 0);
}

static void hear(void *owner, int fd, uint32_t events)
{
	struct talk *talk = owner;
	char bytes[4096];
	ssize_t n = events & POLLIN ? read(fd, bytes, sizeof(bytes)) : -1;

	if (n > 0) {
		talk->heard = realloc(talk->heard, talk->heard_length + (size_t)n);
		memcpy(talk->heard + talk->heard_length, bytes, (size_t)n);
		talk->heard_length += (size_t)n;
	}
	if (events & POLLOUT)
		say(talk);
	else if (n == 0)
		loop_stop(talk->loop);
}

/* Without a socket's name: the server is there for its connections alone. */
static struct control_server server_of(struct loop *loop)
{
	struct control_server s = { .loop = loop, .methods = methods, .fd = -1 };

	s.description = strdup(control_interface);
	return s;
}

/* F1 */
static size_t count_answers(const struct talk *talk)
{
	const char *at = talk->heard, *end = at ? at + talk->heard_length : NULL;
	size_t n = 0;

	while (at < end) {
		const char *nul = memchr(at, '\0', (size_t)(end - at));
		json_t *frame;

		EXPECT(nul);
		frame = json_loads(at, 0, NULL);
		EXPECT(json_is_object(json_object_get(frame, "parameters")));
		n += !json_is_true(json_object_get(frame, "continues"));
		json_decref(frame);
		at = nul + 1;
	}
	return n;
}

static size_t count_frames(const uint8_t *data, size_t size)
{
	size_t n = 0;

	for (size_t i = 0; i < size; i++)
		n += data[i] == '\0';
	return n;
}

static bool has_oneway(const uint8_t *data, size_t size)
{
	return memmem(data, size, "oneway", 6) || memmem(data, size, "\\u", 2);
}

static void talk_to_server(const uint8_t *data, size_t size)
{
	struct err err = ERR_INIT;
	struct talk talk = { .piece = size / 8 + data[0] + 1, .data = data + 1,
			     .size = size - 1 };
	struct control_server s;
	int fds[2];

	talk.loop = loop_new(&err);
	s = server_of(talk.loop);
	QB_INIT_LIST_HEAD(&s.connections);
	EXPECT(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds) == 0);
	talk.fd = fds[0];
	EXPECT(control_connection_open(&s, fds[1], &err) == 0);
	EXPECT(loop_fd_add(talk.loop, fds[0], POLLIN | POLLOUT, hear, &talk, &err) == 0);
	loop_run(talk.loop);
	EXPECT(s.connection_count == 0 && s.waiting_bytes == 0);
	if (!has_oneway(talk.data, talk.size))
		EXPECT(count_answers(&talk) == count_frames(talk.data, talk.size));
	loop_fd_remove(talk.loop, fds[0]);
	loop_free(talk.loop);
	close(fds[0]);
	free(talk.heard);
	free(s.description);
}

/* --- an answer -------------------------------------------------------------------------- */

/* F4 */
static void check_text(const char *text, size_t size)
{
	EXPECT(memchr(text, '\0', size));
	for (; *text; text++)
		EXPECT(!iscntrl((unsigned char)*text));
}

static void check_status(const struct status *s)
{
	static struct doctor_finding findings[DOCTOR_MAX_FINDINGS];
	struct err err = ERR_INIT;
	json_t *json = status_to_json(s), *again;
	struct status read;

	EXPECT(json && status_from_json(json, &read, &err) == 0);
	again = status_to_json(&read);
	EXPECT(json_equal(json, again));
	json_decref(json);
	json_decref(again);
	status_fini(&read);
	check_text(s->cluster, sizeof(s->cluster));
	for (uint32_t i = 0; i < s->array_count; i++) {
		check_text(s->arrays[i].name, sizeof(s->arrays[i].name));
		check_text(s->arrays[i].waits, sizeof(s->arrays[i].waits));
	}
	EXPECT(doctor_examine(s, findings) <= DOCTOR_MAX_FINDINGS);
}

static void read_answer(const uint8_t *data, size_t size)
{
	json_t *json = json_loadb((const char *)data, size, JSON_DECODE_ANY, NULL);
	struct err err = ERR_INIT;
	struct status_event e;
	struct status s;

	if (!json)
		return;
	if (status_from_json(json, &s, &err) == 0) {
		check_status(&s);
		status_fini(&s);
	} else {
		EXPECT(err.code < 0 && err.text[0] && !strchr(err.text, '\n') && !s.arrays);
	}
	if (status_event_from_json(json, &e, &err) == 0) {
		json_t *again = status_event_to_json(&e);

		check_text(e.text, sizeof(e.text));
		json_decref(again);
	}
	json_decref(json);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < 2 || size > 60000)
		return 0;
	if (data[0] % 2)
		read_answer(data + 1, size - 1);
	else
		talk_to_server(data + 1, size - 1);
	return 0;
}
