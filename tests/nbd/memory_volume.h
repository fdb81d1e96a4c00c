/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A volume in memory, for an NBD server to be tried with. Zeroes at first. */
#pragma once

#include "base/loop.h"
#include "mdclusterd/volume.h"

struct err;

struct memory_volume {
	struct volume volume;     /* sizes and flags may be changed before use */
	struct loop *loop;
	uint8_t *bytes;
	uint32_t delay_ms;        /* of each io */
	bool is_null;             /* nothing is copied: for benchmarks */
	/* Ios that overlap this range fail with -EIO, or wait for memory_volume_unpark(). */
	uint64_t bad_low, bad_high;
	uint64_t park_low, park_high;

	struct qb_list_head queue, parked;
	struct loop_job job;
};

int memory_volume_init(struct memory_volume *v, struct loop *loop, uint64_t size_bytes,
		       uint32_t block_bytes, struct err *err);
/* No io is in flight. */
void memory_volume_fini(struct memory_volume *v);
void memory_volume_unpark(struct memory_volume *v);
