/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The obituary: what a node's supervisor tells the others when it has reaped its engine:
 * all incarnations of this node up to I are dead, and none of their writes is under way
 * any more. The kernel reaps a killed process only when its libaio writes are over, which
 * tests/unit/test_aio_reap guards.
 *
 * It goes aside of the ring (totem/station.h) from the dead engine's own address, sealed
 * as a start of the node of its own, by the boot number behind the engine's, which nobody
 * else takes (totem/boot.h): so the datagram is the newest of this node (S4), and nothing
 * is written for it. A disk that is slow or full delays or prevents no obituary. Who hears
 * it acknowledges. Should all copies be lost the next engine says the same on the ring,
 * for that the earlier ones are dead is as true then.
 *
 * With engine = corosync it goes through a group of corosync's beside that of the engines;
 * that it is of this node corosync vouches for. Corosync's own word that a process is gone
 * is no obituary: it sees a connection close, not that the process's writes are over.
 *
 * Of 16 bytes, little endian:
 *
 *	0  kind u8 (1 obituary, 2 acknowledgement), version u8 (1), 0 u16
 *	4  node u32            whose incarnations
 *	8  incarnation u64     I
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct config;
struct err;

enum { OBITUARY_BYTES = 16 };

enum obituary_kind { OBITUARY_DEATH = 1, OBITUARY_HEARD = 2 };

struct obituary {
	enum obituary_kind kind;
	uint32_t node;
	uint64_t incarnation;
};

void obituary_write(const struct obituary *o, uint8_t bytes[OBITUARY_BYTES]);
/* Longer ones are of later versions, and are read. -EBADMSG. */
int obituary_read(const uint8_t *bytes, size_t length, struct obituary *o);

/*
 * Says it of this incarnation to all configured nodes until all have acknowledged, or it
 * took limit_ms. Once an incarnation, as no engine of this node runs. Returns how many have
 * acknowledged, or a negative errno. Waits.
 */
int obituary_say(const struct config *config, uint64_t incarnation, uint32_t limit_ms,
		 struct err *err);

/* The boot record of this node. Free it. NULL: no memory. */
char *obituary_boot_path(const struct config *config);
