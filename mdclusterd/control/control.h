/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The daemon's control socket: varlink's framing (JSON objects, a NUL byte behind each) on a
 * unix socket, so that any language, and varlinkctl, can speak it. The server knows
 * connections, credentials and calls; what a method does is its owner's.
 *
 *	-> {"method": "org.mdcluster.Status", "parameters": {...}, "more": true}
 *	<- {"parameters": {...}, "continues": true} ... {"parameters": {...}}
 *	<- {"error": "org.mdcluster.Refused", "parameters": {"text": "...", "errno": "EBUSY"}}
 *
 * Calls of a connection are answered in their order; one with "more" may be answered many
 * times, and ends with the connection. Root may do all; members of the group may call what
 * is CONTROL_READ; others cannot connect (mode 0660), and are refused besides.
 *
 *	U1  No client can keep another, or the daemon, waiting: what it does not read is bounded
 *	    (an event stream loses events then, and is told how many), and so are the
 *	    length of a call, calls under way, and connections a user.
 *	U2  Each call is answered, once or to its end, or its connection is closed.
 *	U3  What cannot be understood is refused by name; the connection goes on where the
 *	    frame was whole.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include <jansson.h>

struct err;
struct loop;
struct control_server;
struct control_call;

/* Its name in a daemon's run directory. */
#define CONTROL_SOCKET "control.sock"

enum {
	CONTROL_CALL_BYTES = 64 << 10,     /* the longest call */
	CONTROL_STREAM_BYTES = 256 << 10,  /* answers of a stream that wait for a reader */
	CONTROL_WAITING_BYTES = 64 << 20,  /* all that waits for readers */
	CONTROL_MAX_CONNECTIONS = 128,
	CONTROL_USER_CONNECTIONS = 16,     /* of a user who is not root */
};

enum control_access { CONTROL_READ, CONTROL_ADMIN };

struct control_method {
	const char *name;          /* "org.mdcluster.Status" */
	enum control_access access;
	/*
	 * Answers now or later, by control_reply() or control_fail(); `parameters` is
	 * borrowed for the call (an object, maybe empty).
	 */
	void (*begin)(void *owner, struct control_call *call, const json_t *parameters);
	/* The client is gone before the last answer: forget the call. May be NULL. */
	void (*gone)(void *owner, struct control_call *call);
};

struct control_config {
	const char *path;          /* made anew; removed at the end */
	const char *group;         /* who may read; NULL, or unknown: root alone, and said */
	const char *description;   /* of org.mdcluster; NULL: control_interface */
};

/* org.mdcluster as varlink describes it: every method, and what it takes and gives. */
extern const char control_interface[];

struct control_server *control_server_new(struct loop *loop,
					  const struct control_config *config,
					  const struct control_method *methods, /* name NULL ends */
					  void *owner, struct err *err);
/*
 * Without a word to who waits; gone() is called for each. Not from within begin() or
 * gone(). NULL is fine.
 */
void control_server_free(struct control_server *s);

/* Takes the reference `parameters` (NULL: an empty object). The last answer frees the call. */
void control_reply(struct control_call *call, json_t *parameters);
/*
 * One of many, of a call that wants more; takes the reference. false: the client reads
 * too slowly, this one was not sent; the call goes on.
 */
bool control_continue(struct control_call *call, json_t *parameters);
/* org.mdcluster.Refused: the sentence, and the name of its errno. */
void control_fail(struct control_call *call, const struct err *err);
/* org.varlink.service.InvalidParameter: it is missing, or of another type. */
void control_fail_parameter(struct control_call *call, const char *name);
bool control_wants_more(const struct control_call *call);
void control_set_state(struct control_call *call, void *state); /* the method's own */
void *control_state(const struct control_call *call);
uid_t control_uid(const struct control_call *call);
