/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A small NBD client for benchmarks and tests: fixed newstyle, simple replies, requests
 * under way in any number. Its own, for fio's has no FUA, and its user wants to know of each
 * request what became of it. Any server on a unix socket.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct err;

enum { NBD_CALLER_AT_ONCE = 64 };

struct nbd_caller {
	const char *path;
	int fd;               /* -1 */
	uint64_t export_bytes;
	bool has_fua;
	/* Data that every answer brings: the length of the reads, or 0. */
	size_t answer_bytes;

	/* its own */
	uint8_t *in;
	size_t in_length, skip;
};

struct nbd_ask {
	bool is_write, is_fua;
	uint32_t length;
	uint64_t cookie, offset;
	const void *data; /* of a write; borrowed for the call */
};

struct nbd_answer {
	uint64_t cookie;
	uint32_t error; /* NBD's; 0: done */
};

/* path: borrowed. -ECONNREFUSED, ... with a sentence. */
int nbd_caller_open(struct nbd_caller *c, const char *path, const char *export,
		    struct err *err);
void nbd_caller_close(struct nbd_caller *c); /* twice is fine */

/* At most NBD_CALLER_AT_ONCE; waits until the server took them. */
int nbd_caller_ask(struct nbd_caller *c, const struct nbd_ask *asks, int count,
		   struct err *err);
/*
 * Waits for answers, at most so long; calls answered() for each, and drops the data of
 * reads. Returns 0, also where the time is up or a signal came; -ECONNRESET: it is gone.
 */
int nbd_caller_hear(struct nbd_caller *c, uint64_t timeout_ns,
		    void (*answered)(void *owner, const struct nbd_answer *answer),
		    void *owner, struct err *err);
/* Reads, with nothing else under way. -EIO: the server says no. */
int nbd_caller_read(struct nbd_caller *c, uint64_t offset, void *to, uint32_t length,
		    struct err *err);
