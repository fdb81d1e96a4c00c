/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the files of lock_load share; lock_load.c says what it is. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lockres/lock_manager.h"
#include "msg/channel.h"
#include "totem/station.h"

struct group;
struct load;
struct loop;
struct loop_timer;

enum { LOAD_MAX_LATENCIES = 1 << 20 };

/* A lock of ours, or a message, and what is under way with it. */
struct job {
	struct load *load;
	struct lockres lock;
	struct msg_send send;
	uint64_t asked_at;
	bool is_wanted; /* by the other node */
};

/*
 * What a node does when all are there. A mode measures where it has `begin`; the others
 * go on until SIGTERM.
 */
struct load_mode {
	const char *name;
	/* The lockspace is being opened. May be NULL */
	int (*open)(struct load *load, struct err *err);
	void (*begin)(struct load *load);
	/* The lockspace has these members now. May be NULL */
	void (*members)(struct load *load, const struct lockspace_member *members,
			size_t count, int our_slot, uint32_t generation);
	void (*close)(struct load *load); /* may be NULL */
};

extern const struct load_mode load_modes_of_messages[]; /* to one without a name */

struct load_counts {
	uint64_t at, cpu_us, tokens, applied, sent, batches, events;
};

struct load {
	struct loop *loop;
	struct station *station;
	struct lock_manager *locks;
	struct lockspace *space;
	const struct load_mode *mode;
	uint32_t self;
	uint64_t nodes, await, seconds, settle_ms, gap_ms, resources;
	struct job *jobs; /* as many as resources */
	struct group *group;         /* mode message */
	struct msg_channel *channel; /* modes send and hear */
	uint64_t asked_at;           /* mode message */
	int gap_fd; /* not a timer of the loop: it spins in the last millisecond */
	void (*after_gap)(struct load *load);
	struct loop_timer *timer;
	uint64_t timer_at;
	bool is_due;
	bool is_formed, is_measuring, is_measured, has_failed;
	uint64_t synced_from, synced_bytes;
	struct load_counts began;
	uint64_t events; /* operations that this node has seen through */
	uint32_t *latencies; /* ns */
	size_t latency_count;
};

/* By its name; NULL: there is none. */
const struct load_mode *load_mode_named(const char *name);

void load_fail(struct load *load, const char *why);
/* At once, or when the gap is over. */
void load_next(struct load *load, void (*next)(struct load *load));

/* lock_load_measure.c: a number for the script, by its name. */
void load_tell(const char *name, double value);
void load_tell_memory(const struct load *load);
/* One more operation is over; it was asked for then. */
void load_sample(struct load *load, uint64_t asked_at);
void load_measure_begin(struct load *load);
void load_measure_end(struct load *load); /* and tells */
