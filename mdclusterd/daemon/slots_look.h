/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What is dirty in the slots of an array's other members, for who looks: as the disks have it,
 * which is what would be resynced if that node died now. Read by the metadata's thread, one
 * slot after the other and only when somebody looks; a second old is new enough.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "mdclusterd/array/metadata.h"

struct array_look;

enum { SLOTS_LOOK_MAX = 64 };

struct slots_look {
	uint64_t dirty_bytes[SLOTS_LOOK_MAX];
	uint64_t known;            /* bits: of these slots it was read */
	/* the rest is its own */
	uint64_t wanted, read_at_ns;
	bool is_reading;
	struct metadata_runner *runner;
	struct metadata_request req;
	void (*done)(void *owner);
	void *owner;
	struct bitmap_geometry geo;
};

/*
 * Begins to read what `look` has other members for; done() may come from within, and comes
 * once for each call that returns true.
 */
bool slots_look_begin(struct slots_look *s, const struct array_look *look,
		      struct metadata_runner *runner, uint64_t now_ns,
		      void (*done)(void *owner), void *owner);
/* Its runner is gone, and with it what was under way. */
void slots_look_end(struct slots_look *s);
