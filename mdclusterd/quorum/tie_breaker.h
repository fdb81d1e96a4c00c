/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A lease on a small disk that all nodes share: one node at a time has it, and with it the
 * disk's votes. In the manner of sanlock's delta leases (one sector a host, with id,
 * generation, a time stamp and a checksum; dead is who does not renew), but that no sector has
 * two writers: so a write that was held up for ever so long damages nobody else's.
 *
 *	down --wants--> watching --nobody alive--> raising --> checking --> held
 *	  ^                ^                                      |           |
 *	  |                `------------- lowering <--somebody----'           |
 *	  `------------------------------- lowering <-------------given up----'
 *
 *	T1  Two never believe at once that they have it, whatever is slow, fails, pauses
 *	    or dies: who takes it has raised its own flag before it has seen that no
 *	    other is up, and is alive.
 *	T2  Dead is who has not changed its sector for 6 time-outs and the margin, on the
 *	    watcher's clock. A holder's belief ends 5 time-outs after it began to write
 *	    what renewed it last, on its own clock of boot, whatever it has heard since.
 *	    A renewal that ends behind that is none: it begins from the start.
 *	T3  A sector that cannot be read, or makes no sense, is of somebody alive; but one of
 *	    zeroes is of nobody.
 *
 *	T4  Who gives it up does not let others have it before the margin is over.
 *
 * Clocks may differ in rate by a fifth. The margin is how long the other members of a
 * holder's part may go on after its belief ended: until they have lost the ring.
 *
 * Costs a read of a sector a node each time-out while it is wanted, each 10 while it is
 * not (so that a disk that is gone is known before it is needed); a holder: a write a
 * time-out.
 *
 * Bytes, little endian, in sectors of 4096 of which the first 512 count:
 *
 *	sector 0      u8[8] "MDCTIEBR", u32 version 1, u32 sector bytes, u32 sectors of nodes,
 *	              u8[64] cluster's name, u64 FNV-1a of all that
 *	sector 1 + i  the node of index i: u8[8] "MDCTIENO", u32 version 1, u32 node id,
 *	              u64 generation, u64 stamp, u8 state (0 down, 1 raised, 2 held),
 *	              u64 FNV-1a of all that
 *
 * Pure, and flat: a copy of it is another one. It says what is to be read or written, and
 * is told what came of it; one at a time.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "totem/nodes.h"

struct err;

enum {
	TIE_SECTOR_BYTES = 4096,
	TIE_SECTORS = 1 + TOTEM_MAX_NODES,
	TIE_NAME_BYTES = 64,
	TIE_LEASE_TIMEOUTS = 5,
	TIE_DEAD_TIMEOUTS = 6,
};

struct tie_breaker_config {
	int nodes, self;      /* how many; index */
	uint32_t id;
	uint64_t generation;  /* grows with each start of this node */
	uint64_t io_timeout_ns, margin_ns;
};

enum tie_breaker_action { TIE_NOTHING, TIE_READ, TIE_WRITE };

enum tie_breaker_state {
	TIE_DOWN,
	TIE_WATCHING,
	TIE_RAISING,
	TIE_CHECKING,
	TIE_HELD,
	TIE_LOWERING,
};

struct tie_breaker {
	struct tie_breaker_config config;
	enum tie_breaker_state state;
	bool is_wanted, is_busy, is_usable, is_flag_unsure;
	uint64_t next_at;        /* nothing before */
	uint64_t began_at;       /* what is under way */
	uint64_t raised_at;      /* began to raise the flag */
	uint64_t until;          /* of the belief; 0: none */
	uint64_t stamp;
	uint8_t written_state;   /* of what is under way, and of what was written last */
	struct {
		uint64_t key;    /* of its sector's bytes */
		uint64_t since;  /* seen so, on our clock */
		uint8_t state;
		bool is_known;
	} seen[TOTEM_MAX_NODES];
};

void tie_breaker_init(struct tie_breaker *t, const struct tie_breaker_config *config);
void tie_breaker_want(struct tie_breaker *t, uint64_t now, bool is_wanted);

/* What is to be done now. WRITE: `sector`, to that of this node. READ: sectors 1..nodes. */
enum tie_breaker_action tie_breaker_next(struct tie_breaker *t, uint64_t now,
					 uint8_t sector[TIE_SECTOR_BYTES]);
/* It is over: 0, or -errno. sectors: nodes x TIE_SECTOR_BYTES. */
void tie_breaker_has_read(struct tie_breaker *t, uint64_t now, int result,
			  const uint8_t *sectors);
void tie_breaker_has_written(struct tie_breaker *t, uint64_t now, int result);
/* When tie_breaker_next() has something; UINT64_MAX: while one is under way. */
uint64_t tie_breaker_deadline(const struct tie_breaker *t);

/* 0, or the end of the belief that this node has it. */
uint64_t tie_breaker_until(const struct tie_breaker *t);
/* The last read or write did well, and in time. */
bool tie_breaker_is_usable(const struct tie_breaker *t);

/* --- the disk's head --------------------------------------------------------------------- */

void tie_breaker_format(uint8_t sector[TIE_SECTOR_BYTES], const char *cluster);
/* -ENOENT: it is none. -EBADMSG: damaged, or of another version, or another cluster's. */
int tie_breaker_check(const uint8_t sector[TIE_SECTOR_BYTES], const char *cluster,
		      struct err *err);
