/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * One client's conversation, without its socket: bytes in, ios to the volume, bytes out.
 * Pure: what arrives and what was sent is told to it.
 *
 *	GREETED  -- client flags -->  HAGGLING  -- GO, EXPORT_NAME -->  TRANSMITTING
 *	   |                             | ABORT                          | DISC, end of input
 *	   +--------- nonsense ----------+------------> LEAVING <---------+
 *
 * LEAVING takes nothing in; it is over when all that was asked for is answered, or at once
 * where the protocol leaves no answer (is_cut).
 *
 * Its owner moves bytes and calls nbd_session_advance() after nbd_session_heard(),
 * nbd_session_sent() and wake(), until nothing changes.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "mdclusterd/nbd/memory.h"
#include "mdclusterd/nbd/nbd.h"

struct nbd_session;

/* What all clients share. */
struct nbd_export {
	char name[NBD_MAX_NAME_BYTES + 1];
	char description[NBD_MAX_NAME_BYTES + 1];
	struct volume *volume; /* NULL: none at the moment */
	uint32_t max_requests;
	struct nbd_memory memory;
	uint32_t starved;      /* sessions that wait for memory */
	struct nbd_counters counters;
};

/* Both from within volume_io.done() and released(): not the time to call it. */
struct nbd_session_ops {
	/* An io is over: nbd_session_advance() has something to do. */
	void (*wake)(void *owner);
	/* Memory came back, and somebody is starved. */
	void (*memory_freed)(void *owner);
};

enum nbd_session_state {
	NBD_GREETED,
	NBD_HAGGLING,
	NBD_TRANSMITTING,
	NBD_LEAVING,
};

/* It has a greeting to send. NULL: no memory. */
struct nbd_session *nbd_session_new(struct nbd_export *export,
				    const struct nbd_session_ops *ops, void *owner);
/* Only when nbd_session_is_idle(). NULL is fine. */
void nbd_session_free(struct nbd_session *s);

void nbd_session_advance(struct nbd_session *s);

/* Where the next bytes go: 1 or 2 places; 0: it takes none now. */
size_t nbd_session_room(struct nbd_session *s, struct iovec room[2]);
/* So many were put there; at most what there was room for. */
void nbd_session_heard(struct nbd_session *s, size_t bytes);
/* None will come any more. */
void nbd_session_end_of_input(struct nbd_session *s);

/* What is to be sent next; 0: nothing. max is 2 at least. */
size_t nbd_session_output(struct nbd_session *s, struct iovec *to, size_t max);
void nbd_session_sent(struct nbd_session *s, size_t bytes);

/* What comes from now on is answered with ESHUTDOWN; over when all is answered. */
void nbd_session_drain(struct nbd_session *s);
/* Nobody listens any more: ios end into the void (Z7). */
void nbd_session_abandon(struct nbd_session *s);

/* Nothing is left to say. */
bool nbd_session_is_over(const struct nbd_session *s);
/* The volume, and the kernel below it, have nothing of it. */
bool nbd_session_is_idle(const struct nbd_session *s);
bool nbd_session_is_starved(const struct nbd_session *s);
enum nbd_session_state nbd_session_state(const struct nbd_session *s);
/* Why the conversation was cut, or NULL. */
const char *nbd_session_fault(const struct nbd_session *s);
/* Fills what it knows. */
void nbd_session_look(const struct nbd_session *s, struct nbd_client_look *look);
