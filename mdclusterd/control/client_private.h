/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the parts of libmdcluster share.
 *
 *	client.c        the connection, calls and answers, without a wait
 *	client_wait.c   waits: for answers, a deadline, a cancel
 *	client_error.c  what a daemon's errors are in errno
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include <jansson.h>

#include "base/err.h"
#include "mdclusterd/control/mdcluster.h"

enum { CLIENT_ANSWER_BYTES = 256 << 20, CLIENT_CONNECT_MS = 5000 };

struct mdcluster {
	char *path;               /* of the socket, once it is known */
	int fd;                   /* -1: not connected */
	int cancel_fd;            /* an eventfd */
	int timeout_ms;
	bool is_calling;
	struct err err;
	char error_name[64];
	struct { char *bytes; size_t head, length; } out;
	struct { char *bytes; size_t length, scanned, room; } in;
};

/* Closes it; what was under way is over. */
void client_disconnect(struct mdcluster *c);
/* A sentence of our own. Returns the code. */
int client_fail(struct mdcluster *c, int code, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
/* What the daemon said: error, parameters. Returns the code. */
int client_remote_error(struct mdcluster *c, const char *name, const json_t *parameters);
