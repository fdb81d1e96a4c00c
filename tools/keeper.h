/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What is done for a device of the kernel's nbd whose connections die: when it is connected
 * again, to what, and when its requests may time out. Pure: sockets, kernel and clock are the
 * ground's. Promises:
 *
 * K1. What was under way is sent again, to the next engine, and fails never. The kernel does
 *     that with requests that time out: so for a while after each loss, and only then, they
 *     may.
 * K2. Otherwise no request times out: one that is parked, for want of a quorum say, takes as
 *     long as it takes. (With several connections the kernel sends it again even so, on
 *     another one, which does no harm: it is the same data, and comes later.)
 * K3. It connects to nothing but the same: of that size, or larger, of blocks no larger, and
 *     not read-only now.
 * K5. Who takes a device over does not see its connections. A spare one is offered to the
 *     kernel time and again; it is taken when one of these has died. (K4: attach_keeper.c)
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "tools/nbd_export.h"

struct err;

enum { KEEPER_MAX_SOCKETS = 16 };

enum keeper_news {
	KEEPER_LOST,    /* requests wait */
	KEEPER_REFUSED, /* ... and here is why; told once a reason */
	KEEPER_BACK,
};

struct keeper_ground {
	/* A connection past its handshake. -ENOENT, -ECONNREFUSED: nobody serves it. */
	int (*open)(void *owner, struct nbd_export *to, struct err *err);
	/*
	 * The kernel takes it in place of one that died, and what is under way may time out from
	 * here on. -ENOSPC: as the kernel sees it none has died.
	 */
	int (*add)(void *owner, int fd, unsigned int timeout_s, struct err *err);
	/* 0: no request times out */
	void (*set_timeout)(void *owner, unsigned int timeout_s);
	void (*close)(void *owner, int fd);
	void (*tell)(void *owner, enum keeper_news news, uint64_t lost_ms, const struct err *why);
};

struct keeper {
	const struct keeper_ground *ground;
	void *owner;
	/* of the device */
	uint64_t size_bytes;
	uint32_t block_bytes;
	bool is_read_only;
	uint32_t connections;

	int sockets[KEEPER_MAX_SOCKETS]; /* or KEEPER_DEAD, KEEPER_UNSEEN */
	int spare;                       /* connected, and not the kernel's; -1: none */
	bool is_away;                    /* nobody serves what is unseen */
	uint64_t next_ns;                /* an offer is due */
	uint64_t calm_at_ns;             /* 0: nothing may time out */
	uint64_t lost_at_ns;             /* 0: nothing is lost */
	int told;                        /* -errno that was told */
};

enum { KEEPER_DEAD = -1, KEEPER_UNSEEN = -2 };

/* The first five are set. `sockets`: the kernel's, ours to close too; NULL: taken over (K5). */
void keeper_begin(struct keeper *k, const int *sockets, uint64_t now_ns);
/* One of `sockets`, or the spare one. */
void keeper_hung_up(struct keeper *k, int fd, uint64_t now_ns);
/* Does what is due, and may be called at any time. */
void keeper_go(struct keeper *k, uint64_t now_ns);
/* Until it is to be called again, if nothing hangs up before; -1: for ever */
int keeper_wait_ms(const struct keeper *k);
/* Its requests time out after so long, while they may. */
unsigned int keeper_sweep_s(const struct keeper *k);
