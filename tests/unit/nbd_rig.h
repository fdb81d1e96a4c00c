/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * One session of the NBD server without a socket: a test is its client, and its volume,
 * whose ios end when the test says so.
 */
#pragma once

#include "tests/unit/help.h"

#include "mdclusterd/nbd/session.h"
#include "mdclusterd/nbd/wire.h"

enum {
	NBD_RIG_SIZE = 96 << 20,
	NBD_RIG_BLOCK = 512,
	NBD_RIG_CLIENTS = 4,
	NBD_RIG_MEMORY = 4 << 20,
	NBD_RIG_REQUESTS = 16,
};

struct nbd_rig {
	struct nbd_export export;
	struct volume volume;
	uint8_t *bytes;               /* the volume's, NBD_RIG_SIZE */
	struct qb_list_head pending;  /* ios, in the order they were submitted */
	uint32_t pending_count;
	int refuses;                  /* submit() says so, if < 0 */
	uint32_t submits;
};

/* The client's end of one. */
struct nbd_peer {
	struct nbd_rig *rig;
	struct nbd_session *session;
	size_t at_a_time;             /* bytes go to it in such pieces; 0: all at once */
	bool takes_nothing;           /* it does not read */
	uint32_t wakes, memory_freed;
	uint8_t *got;                 /* what it heard, and did not look at yet */
	size_t got_at, got_end, got_room;
};

void nbd_rig_init(struct nbd_rig *rig);
void nbd_rig_fini(struct nbd_rig *rig);

void nbd_peer_init(struct nbd_peer *peer, struct nbd_rig *rig);
void nbd_peer_fini(struct nbd_peer *peer);

/* Sends as much as is taken; returns how much. */
size_t nbd_send_some(struct nbd_peer *peer, const void *bytes, size_t length);
/* All of it is taken. */
void nbd_send(struct nbd_peer *peer, const void *bytes, size_t length);
/* What the server's owner does after wake(): on, and out with what there is. */
void nbd_run(struct nbd_peer *peer);

/* Through the greeting, up to options. */
void nbd_meet(struct nbd_peer *peer);
void nbd_option(struct nbd_peer *peer, uint32_t code, const void *data, size_t length);
/* Through all of it. */
void nbd_go(struct nbd_peer *peer);             /* simple replies */
void nbd_go_structured(struct nbd_peer *peer);  /* and base:allocation */

void nbd_ask(struct nbd_peer *peer, uint16_t command, uint16_t flags, uint64_t cookie,
	     uint64_t offset, uint32_t length);
void nbd_ask_write(struct nbd_peer *peer, uint64_t cookie, uint64_t offset, uint32_t length,
		   uint8_t fill);

/* The io that was submitted as the nth of those that are pending ends. */
struct volume_io *nbd_pending(struct nbd_rig *rig, uint32_t nth);
void nbd_end(struct nbd_rig *rig, uint32_t nth, int result);
void nbd_end_all(struct nbd_rig *rig);

/* The next thing that it hears is this. */
const uint8_t *nbd_hear(struct nbd_peer *peer, size_t bytes);
void nbd_hear_nothing(struct nbd_peer *peer);
void nbd_hear_reply(struct nbd_peer *peer, uint64_t cookie, uint32_t error);
void nbd_hear_error(struct nbd_peer *peer, uint64_t cookie, uint32_t error);
/* Data of the volume. */
void nbd_hear_data(struct nbd_peer *peer, uint64_t offset, size_t length);
/* A chunk of them; is it the last? */
bool nbd_hear_chunk(struct nbd_peer *peer, uint64_t cookie, uint64_t *offset,
		    uint32_t *length);
/* Returns the length of its data. */
uint32_t nbd_hear_answer(struct nbd_peer *peer, uint32_t option, uint32_t answer);
void nbd_hear_refusal(struct nbd_peer *peer, uint32_t option, uint32_t answer);
