/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The disk of quorum/tie_breaker.h, from a thread of its own: one that hangs keeps nobody
 * waiting. It is opened as it is needed, and again after an error.
 */
#pragma once

#include "mdclusterd/quorum/tie_breaker.h"

struct loop;
struct tie_breaker_disk;

struct tie_breaker_disk_ops {
	/* In the loop's thread; result 0, or -errno with a sentence. Sectors are borrowed. */
	void (*has_read)(void *owner, int result, const uint8_t *sectors, const char *why);
	void (*has_written)(void *owner, int result, const char *why);
};

struct tie_breaker_disk_config {
	const char *path, *cluster; /* copied */
	int nodes, self;
};

struct tie_breaker_disk *tie_breaker_disk_new(const struct tie_breaker_disk_config *config,
					      struct loop *loop,
					      const struct tie_breaker_disk_ops *ops, void *owner,
					      struct err *err);
/* One at a time. */
void tie_breaker_disk_read(struct tie_breaker_disk *d);
void tie_breaker_disk_write(struct tie_breaker_disk *d,
			    const uint8_t sector[TIE_SECTOR_BYTES]);
/* What is under way is waited for, 2 s; then it is left to itself. NULL is fine. */
void tie_breaker_disk_free(struct tie_breaker_disk *d);
