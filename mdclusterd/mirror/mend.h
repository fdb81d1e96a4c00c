/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What a disk could not read and another one could is made needed in the own slot: bits that
 * are durable before anybody acts on them, so that a crash forgets none. Then a window
 * writes it anew. For who owns mirror and intent; in its thread.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "bitmap/intent.h"

struct mend {
	struct intent *intent;       /* borrowed */
	uint64_t chunks, chunk_sectors;
	/* The bits are durable; so many chunks are needed. Never from within mend_add(). */
	void (*needs)(void *owner, uint64_t needed_chunks);
	void *owner;

	/* its own */
	uint8_t *map;                /* waits for the request; NULL: nothing does */
	struct intent_request request;
	bool is_out;
};

/* As mirror_ops.unreadable has it: sectors. Out of memory: the next read finds it again. */
void mend_add(struct mend *mend, uint64_t low, uint64_t high);
/* Behind intent_free(), which has the request until then. */
void mend_fini(struct mend *mend);
