/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The quorum machine as a sync service: what its nodes tell each other goes with each
 * configuration of the ring, and its end is that of all services. Daemon and simulator have
 * it alike.
 */
#pragma once

#include "mdclusterd/quorum/quorum.h"

struct quorum_sync;
struct sync;

struct quorum_sync_ops {
	uint64_t (*now)(void *owner);
	/*
	 * Make them durable; then quorum_sync_kept(), where is_awaited: all wait for it. From
	 * within, too. Later bytes replace earlier ones. The bytes are borrowed.
	 */
	void (*keep)(void *owner, const uint8_t bytes[QUORUM_MEMORY_BYTES], bool is_awaited);
	/* The ring is to be made again, or quorum_deadline() is another: look. */
	void (*changed)(void *owner);
};

/* Registers. Both outlive it, or the sync runs no more. NULL: no memory. */
struct quorum_sync *quorum_sync_new(struct quorum *q, struct sync *sync,
				    const struct quorum_sync_ops *ops, void *owner);
void quorum_sync_free(struct quorum_sync *s); /* NULL is fine */

/* All that was to be kept up to now is durable; failed: it is not, and all go on waiting. */
void quorum_sync_kept(struct quorum_sync *s);
/* What is remembered may have changed, outside of a configuration. */
void quorum_sync_save(struct quorum_sync *s);
