/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the tests of the mirror share: a world of disks in memory with a mirror on them
 * and an intent in the test's hands, on virtual time; ios that are waited for, and ios
 * that are not.
 */
#pragma once

#include "mdclusterd/mirror/mirror.h"
#include "tests/unit/fake_intent.h"
#include "tests/unit/help.h"

enum {
	MR_DISKS = 8,
	MR_MEMBER_BYTES = 8 << 20,
	MR_DATA_OFFSET = 2048,       /* sectors */
	MR_BITMAP_CHUNK = 128,       /* sectors: 64 KiB */
	MR_PAGE = 4096,
	MR_HANG_NS = 1000000000,
};

struct mr_io;

struct mirror_rig {
	struct disk_world *world;
	struct disk *disks[MR_DISKS];
	uint32_t count;              /* of disks; by role, those of the beginning */
	struct intent *intent;
	struct mirror *m;
	struct volume *volume;
	uint32_t failed;             /* roles, as told by disk_failed() */
	uint32_t failed_calls;
	char why[512];               /* the last failure's */
	struct { uint64_t low, high; } unreadable[16]; /* as told, the first ones */
	uint32_t unreadable_calls;
	uint32_t corrected_calls, corrected_role; /* as told; the last one's */
	uint64_t corrected_low, corrected_high, corrected_sectors; /* sectors: of all */
	bool is_known_at_once;       /* mirror_failure_known() in disk_failed() */
	bool is_frozen[MR_DISKS];    /* gives nothing back */
	uint64_t bias_ns;            /* of the mirror's clock */
};

/* raid1, or raid10 with `near` copies and chunks; the gate is open. */
struct mirror_rig *mr_new(uint32_t disks, uint32_t near, uint32_t chunk_sectors);
struct mirror_rig *mr_new_config(const struct mirror_config *config);
/* Also stops it. All ios were done. */
void mr_free(struct mirror_rig *rig);
struct mirror_config mr_config(uint32_t disks, uint32_t near, uint32_t chunk_sectors);

/* One more, which is no member yet: its number among the disks, which is that of no role. */
uint32_t mr_add_disk(struct mirror_rig *rig);

/* One step of time; false: nothing will ever happen. */
bool mr_step(struct mirror_rig *rig);
/* As far as it goes, but no further than that. */
void mr_run(struct mirror_rig *rig);
void mr_run_ns(struct mirror_rig *rig, uint64_t ns);
uint64_t mr_now(const struct mirror_rig *rig);

struct mr_io {
	struct mirror_rig *rig;
	struct volume_io *io;
	uint8_t *buffer;
	int calls, released, result;
	bool was_held;
	uint64_t done_at_ns;
};

/* Not waited for. WRITE: filled with `byte`. */
struct mr_io *mr_submit(struct mirror_rig *rig, enum volume_op op, uint64_t offset,
			uint64_t length, int byte, uint32_t flags);
/* Runs until it is done; its result. */
int mr_wait(struct mr_io *io);
void mr_io_free(struct mr_io *io);
/* Submit, wait, free. */
int mr_do(struct mirror_rig *rig, enum volume_op op, uint64_t offset, uint64_t length,
	  int byte, uint32_t flags);
int mr_write(struct mirror_rig *rig, uint64_t offset, uint64_t length, int byte);
/* The byte that all of it has, or -1; fails on an error. */
int mr_read(struct mirror_rig *rig, uint64_t offset, uint64_t length);

/* What a disk has at an offset of its data: the byte, or -1. */
int mr_on_disk(struct mirror_rig *rig, uint32_t role, uint64_t offset, uint64_t length);
void mr_poke(struct mirror_rig *rig, uint32_t role, uint64_t offset, uint64_t length,
	     int byte);
/* From now on its requests for this place fail. */
void mr_fault(struct mirror_rig *rig, uint32_t role, enum disk_mem_fault fault,
	      uint64_t offset, uint64_t length);

/* Cannot be read until it is written. */
void mr_unreadable(struct mirror_rig *rig, uint32_t role, uint64_t offset, uint64_t length);
uint64_t mr_unreadable_bytes(struct mirror_rig *rig, uint32_t role);

struct mr_request {
	struct mirror_request req;
	int calls, result;
};
void mr_request_init(struct mr_request *r);

struct mirror_look mr_look(struct mirror_rig *rig);
