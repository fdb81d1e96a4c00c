/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the files of the sync services share; sync.h has the promises. */
#pragma once

#include "totem/sync.h"

enum sync_kind { SYNC_KIND_GREETING = 1, SYNC_KIND_STATE, SYNC_KIND_DONE,
		 SYNC_KIND_WAITS };

enum { SYNC_STATE_HEAD_BYTES = 2, SYNC_GREETING_BYTES = 1 + 4 + 8 + 1 };

enum sync_phase {
	SYNC_PHASE_IDLE, /* before the first configuration */
	SYNC_PHASE_GREETING,
	SYNC_PHASE_PROCESSING,
	SYNC_PHASE_ACTIVE,
};

struct sync_service {
	const char *name; /* NULL: there is none of this number */
	const struct sync_service_ops *ops;
	void *owner;
	bool is_done;
	bool waits; /* as told */
};

/* What a member told of itself in this configuration. */
struct sync_peer {
	bool has_greeted;
	struct ring_id epoch;
	uint32_t services, done, waits; /* a bit each */
};

struct sync {
	struct sync_config config;
	struct sync_ops ops;
	void *owner;
	int self;
	struct sync_stats stats;

	struct sync_service services[SYNC_SERVICE_LIMIT];
	struct sync_peer peers[TOTEM_MAX_NODES];
	struct pack_queue queue;
	struct pack_assembly in[TOTEM_MAX_NODES];

	enum sync_phase phase;
	struct sync_configuration now_in;
	bool needs_greeting;
	bool needs_room;    /* a service was refused: it is asked again */
	bool is_processing; /* sync_go_on() from within asks nobody twice */
	bool is_ending;
	bool is_broken;
	bool is_quorate; /* what is active */
	struct ring_id epoch;

	uint64_t half_ns;
	uint64_t due_at;   /* what comes next: late, the deadline, evictions */
	unsigned halves;   /* of the deadline that are over */
};

static inline bool sync_is_under_way(const struct sync *s)
{
	return s->phase == SYNC_PHASE_GREETING || s->phase == SYNC_PHASE_PROCESSING;
}
