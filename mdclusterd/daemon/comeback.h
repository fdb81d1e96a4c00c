/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Disks that vanished from this host and come back: which of them may be re-added by themselves,
 * when, and how often. Pure: who asks has the time and does it.
 *
 *	K1  Only a member that was told to have vanished here: what a person failed, and what was
 *	    never gone, is left alone.
 *	K2  At most COMEBACK_MOST times in an hour, of each disk; the next time that is told, once,
 *	    and a person does it.
 *	K3  Not at once, and each time of these later: COMEBACK_FIRST_MS, then ten times that. Who
 *	    vanishes meanwhile is waited for anew.
 *	K4  What is refused for now (another node does not see it yet, its last request hangs) is
 *	    tried again, ever more rarely, COMEBACK_TRIES times; what is refused for good, never.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum {
	COMEBACK_DISKS = 64,      /* remembered; of more the oldest is forgotten */
	COMEBACK_MOST = 3,
	COMEBACK_TRIES = 8,
	COMEBACK_FIRST_MS = 1000,
	COMEBACK_RETRY_MS = 2000, /* doubled each time */
};
#define COMEBACK_WINDOW_NS (3600 * 1000000000ull)

enum comeback_state {
	COMEBACK_FREE,
	COMEBACK_GONE,
	COMEBACK_DUE,   /* at due_ns */
	COMEBACK_BUSY,  /* it is being re-added */
	COMEBACK_IS_IN,
	COMEBACK_LEFT,  /* by K2, K4: until a person does it, or it vanishes once more */
};

struct comeback_disk {
	enum comeback_state state;
	uint8_t array[16], device[16]; /* uuids */
	char path[256];
	uint64_t due_ns, touched;
	uint64_t times_ns[COMEBACK_MOST]; /* when it was re-added; 0: not */
	uint32_t tries;
};

struct comeback {
	struct comeback_disk disks[COMEBACK_DISKS];
	uint64_t serial;
};

enum comeback_verdict {
	COMEBACK_NOT_OURS, /* K1 */
	COMEBACK_SOON,
	COMEBACK_TOO_OFTEN, /* K2; said once */
};

/* A member has vanished. */
void comeback_gone(struct comeback *c, const uint8_t array[16], const uint8_t device[16]);
/* A disk is there, under `path`. */
enum comeback_verdict comeback_came(struct comeback *c, const uint8_t array[16],
				    const uint8_t device[16], const char *path,
				    uint64_t now_ns);
/* The one to be re-added now, BUSY from here on; NULL. */
struct comeback_disk *comeback_next(struct comeback *c, uint64_t now_ns);
/* When comeback_next() has one; UINT64_MAX: not by itself. */
uint64_t comeback_when_ns(const struct comeback *c);

enum comeback_end { COMEBACK_RE_ADDED, COMEBACK_REFUSED, COMEBACK_REFUSED_FOR_GOOD };
/* True: it was given up, which somebody should be told. Of one that vanished meanwhile: nothing. */
bool comeback_ended(struct comeback *c, struct comeback_disk *d, enum comeback_end how,
		    uint64_t now_ns);
