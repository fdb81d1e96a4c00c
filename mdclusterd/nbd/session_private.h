/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the files of a session share: session.c (bytes in, its life), handshake.c (options),
 * request.c (requests and their parts), reply.c (bytes out).
 */
#pragma once

#include <qb/qblist.h>

#include "mdclusterd/nbd/session.h"
#include "mdclusterd/nbd/wire.h"

enum {
	NBD_IN_BYTES = 32 << 10,       /* what is read ahead of a client */
	NBD_OPTION_MAX_BYTES = 8 << 10,
	NBD_HELLO_BYTES = 1024,        /* the answers to one option */
	NBD_DIRECT_BYTES = 16 << 10,   /* such a rest of a payload comes without detour */
	NBD_LEAST_BYTES = 64 << 10,    /* parts are not cut smaller for want of memory */
	NBD_ALLOCATION_ID = 1,         /* of the one metadata context */
};

/* Something to be said, in the order of the list. */
struct nbd_out {
	struct qb_list_head link;
	uint8_t head[NBD_CHUNK_STATUS_BYTES];
	const void *body;
	uint32_t head_bytes, body_bytes;
	bool is_queued;
	/* Only the next part of the same request may come behind it. */
	bool is_followed;
	void (*sent)(struct nbd_session *s, struct nbd_out *out);
};

struct nbd_request {
	struct qb_list_head link; /* in free_requests */
	struct nbd_request_head head;
	uint64_t next, end;       /* of its range, what is not in parts yet */
	uint32_t running;         /* parts that the volume has */
	enum nbd_error error;
	const char *why;          /* in words, for clients that take them */
	bool is_skipped;          /* its payload is read for nothing; counts as running */
	struct nbd_out out;       /* its reply, if no part brings it */
};

/* An io, and its memory: the volume's own part of it is behind. */
struct nbd_part {
	struct qb_list_head link; /* in free_parts */
	struct nbd_session *session;
	struct nbd_request *request;
	void *buffer;             /* NULL: it needs none */
	size_t buffer_bytes;
	uint32_t length, filled;
	size_t io_bytes;          /* room for the volume's */
	bool is_running;          /* the volume has it */
	bool is_last;             /* with it the request is answered */
	struct nbd_out out;
	struct volume_io io;      /* last */
};

struct nbd_session {
	struct nbd_export *export;
	const struct nbd_session_ops *ops;
	void *owner;
	enum nbd_session_state state;
	const char *fault;
	const char *waits_for;
	bool is_draining, is_gone, is_starved;
	bool is_input_over;
	bool has_no_zeroes, has_structured_replies, has_allocation;

	/* in */
	uint8_t in[NBD_IN_BYTES];
	size_t in_at, in_end;
	uint64_t skip;                /* bytes that nobody wants */
	struct nbd_option option;
	bool has_option;              /* its head was read */
	struct nbd_request *current;  /* not all in parts yet */
	struct nbd_part *filling;     /* of it, a WRITE */

	/* under way */
	struct nbd_share share;
	struct qb_list_head free_requests, free_parts;
	uint32_t open_requests;
	uint32_t parts;               /* not free */
	uint32_t in_volume;

	/* out */
	struct qb_list_head outs;
	size_t sent_bytes;            /* of the first one */
	bool is_mid_reply;            /* the next part of a stream is awaited */
	struct nbd_out hello_out;
	uint8_t hello[NBD_HELLO_BYTES];

	struct nbd_request requests[]; /* max_requests */
};

enum nbd_step {
	NBD_AGAIN,       /* something was done */
	NBD_NEEDS_INPUT,
	NBD_WAITS,       /* for waits_for */
};

static inline size_t nbd_in_bytes(const struct nbd_session *s)
{
	return s->in_end - s->in_at;
}

/* session.c */
void nbd_session_cut(struct nbd_session *s, const char *why);
void nbd_session_leave(struct nbd_session *s);

/* handshake.c */
void nbd_greet(struct nbd_session *s);
enum nbd_step nbd_hear_client_flags(struct nbd_session *s);
enum nbd_step nbd_hear_option(struct nbd_session *s);

/* request.c */
enum nbd_step nbd_hear_request(struct nbd_session *s);
/* The current request goes on. */
enum nbd_step nbd_go_on(struct nbd_session *s);
/* No more comes of it. */
void nbd_forget_current(struct nbd_session *s);
/* The next piece of a stream, in the memory of the last one. */
void nbd_part_again(struct nbd_part *part);
/* Nobody listens: its memory goes back unless it is in use. */
void nbd_part_let_go(struct nbd_part *part);

/* reply.c */
/* The first error of a request is the one that is told. */
void nbd_fail(struct nbd_request *request, enum nbd_error error, const char *why);
void nbd_say(struct nbd_session *s, struct nbd_out *out);
/* A part is done: what can be said of it, and of its request. */
void nbd_answer_part(struct nbd_part *part, int result);
/* All that was asked of the volume is done, or nothing was. */
void nbd_answer(struct nbd_session *s, struct nbd_request *request);
void nbd_answer_extent(struct nbd_session *s, struct nbd_request *request);
/* What was not sent is not. */
void nbd_unsay(struct nbd_session *s);
