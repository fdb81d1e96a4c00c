/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the configuration allows to prove deaths by: devices, each of one method, and levels,
 * each of one or more devices. Levels are tried in the order of their numbers; a level has
 * proven a death when all of its devices have (two power supplies), one after the other.
 *
 *	P1  A device with a map of nodes is for these alone; without one it is for all.
 *	P2  A level is for a node when all of its devices are, and its own list has the
 *	    node, or it has none. One that is not is passed over, never done in part.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	FENCE_NAME_BYTES = 64,
	FENCE_MAX_DEVICES = 64,
	FENCE_MAX_LEVELS = 9,
	FENCE_LEVEL_DEVICES = 8,
	FENCE_LEVEL_NODES = 128,
};

enum fence_type { FENCE_COMMAND, FENCE_AGENT, FENCE_RESERVATION, FENCE_WATCHDOG };

/* "name=value"; "name=@/path": the value is that file's first line. */
struct fence_option {
	char *text;
	int line; /* of the configuration */
};

struct fence_options {
	struct fence_option *all;
	size_t count;
};

struct fence_target {
	uint32_t node;
	struct fence_options options; /* go before the device's */
	uint32_t delay_ms;            /* before its first attempt at this node, besides */
	int line;
};

struct fence_device {
	char name[FENCE_NAME_BYTES];
	enum fence_type type;
	char *program;                /* command, agent: a path; else NULL */
	char user[FENCE_NAME_BYTES];  /* whom it runs as; "": as the daemon does */
	bool is_reboot;               /* agent: reboot, else off */
	bool aborts;                  /* reservation: what the victim has under way, too */
	struct fence_options options; /* agent */
	struct fence_target *targets;
	size_t target_count;
	uint32_t delay_ms;            /* before the first attempt of a pass */
	uint32_t timeout_ms;          /* of an attempt; 0: it knows itself when it is over */
	uint32_t retries;             /* in quick order, after the first attempt */
	int line;
};

struct fence_level {
	uint32_t number;
	uint32_t devices[FENCE_LEVEL_DEVICES]; /* indices */
	uint32_t device_count;
	uint32_t nodes[FENCE_LEVEL_NODES];     /* ids; none: all */
	uint32_t node_count;
};

struct fence_plan {
	uint32_t delay_ms; /* from missing to the first level: an obituary may come */
	struct fence_device *devices;
	size_t device_count;
	struct fence_level levels[FENCE_MAX_LEVELS]; /* by number */
	size_t level_count;
};

/* P1, P2 */
bool fence_device_is_for(const struct fence_device *d, uint32_t node);
bool fence_level_is_for(const struct fence_plan *p, const struct fence_level *l,
			uint32_t node);
/* Its map's entry, or NULL. */
const struct fence_target *fence_target_of(const struct fence_device *d, uint32_t node);
uint64_t fence_delay_ns(const struct fence_device *d, uint32_t node);
/* Index of the level of that number, or of the first from `from` on that is for the node; -1. */
int fence_level_by_number(const struct fence_plan *p, uint32_t number);
int fence_level_from(const struct fence_plan *p, size_t from, uint32_t node);

/* "fence agent fence_ipmilan (ipmi-a)": what an attempt is, for people. Returns `to`. */
enum { FENCE_WORDS_BYTES = 128 };
char *fence_device_words(const struct fence_device *d, char to[FENCE_WORDS_BYTES]);
const char *fence_type_name(enum fence_type type); /* "agent" */

bool fence_plan_is_same(const struct fence_plan *a, const struct fence_plan *b);
void fence_plan_fini(struct fence_plan *p); /* twice is fine */
