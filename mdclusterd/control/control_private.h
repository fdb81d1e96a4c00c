/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the parts of the server share.
 *
 *	server.c      the socket, who may connect, how many
 *	connection.c  bytes in and out, frames; its end
 *	call.c        a frame becomes a call; its answers
 *	service.c     org.varlink.service
 *
 * A connection has one call under way at a time: it does not read while that lasts, and the
 * next one begins when it is answered and the answer is with the kernel. So calls are
 * answered in their order, and what waits is bounded by its socket.
 */
#pragma once

#include "base/loop.h"
#include "mdclusterd/control/control.h"

struct control_connection;

struct control_server {
	struct loop *loop;
	char *path;
	char *description;
	const struct control_method *methods;
	void *owner;
	int fd;
	uint64_t inode;                   /* of the socket that we made */
	bool has_group;
	gid_t group;
	struct qb_list_head connections;
	size_t connection_count;
	size_t waiting_bytes;             /* of all connections */
	bool is_paused;                   /* no descriptors: does not accept */
	struct loop_timer *pause;
};

struct control_call {
	struct control_connection *connection;
	const struct control_method *method; /* NULL: the server answers it */
	bool wants_more, is_oneway;
	void *state;
};

struct control_connection {
	struct control_server *server;
	struct qb_list_head link;
	int fd;
	uint32_t watched;                 /* poll events */
	uid_t uid;
	bool may_read, may_admin;
	bool is_ending;                   /* closed when what is out is written */
	struct loop_job go_on;
	struct control_call *call;        /* under way */
	struct { char *bytes; size_t length, scanned; } in; /* CONTROL_CALL_BYTES + 1 */
	struct { char *bytes; size_t head, length, room; } out;
};

/* Takes fd; a sentence to the peer, and the end, where it may not be here. */
int control_connection_open(struct control_server *s, int fd, struct err *err);
/* Tells gone() for what is under way. */
void control_connection_close(struct control_connection *c);
/* Queues a frame; -ENOBUFS, -ENOMEM: it is too much. Reference stays the caller's. */
int control_connection_send(struct control_connection *c, const json_t *frame,
			    size_t most_waiting);

/* One whole frame, not empty. Begins a call, or answers. */
void control_call_begin(struct control_connection *c, const char *frame, size_t length);
/* org.mdcluster.Refused, outside of a call. */
void control_refuse(struct control_connection *c, int code, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
/* The call's own errors. Ends it. */
void control_error(struct control_call *call, const char *name, json_t *parameters);

/* Is it a method of org.varlink.service? Answers then. */
bool control_service(struct control_call *call, const char *method,
		     const json_t *parameters);
