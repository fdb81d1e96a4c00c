/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the files of mirror stories share: test_mirror_random.c tells what they are. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "bitmap/slot.h"
#include "mdclusterd/mirror/mirror.h"
#include "tests/unit/mirror_oracle.h"

enum {
	DISKS = 4,
	IOS = 16,
	IO_BLOCKS = 16,
	MEMBER_SECTORS = 1024,   /* 128 blocks */
	CHUNK = 16384,           /* of the bitmap */
	BITMAP_BYTES = 8192,     /* its place */
	DATA_SECTORS = 64,
	SLOTS = 3,
	EPOCHS = 3,
	STEPS = 400,
	HANG_NS = 20000000,
};

static const uint64_t block_sectors = ORACLE_BLOCK / 512;

struct story;

struct io {
	struct story *s;
	struct volume_io *io;
	uint8_t *buffer;
	uint64_t number, began;
	uint32_t first, count;
	bool is_busy, is_left;   /* left: hung, not released */
};

struct readd {
	/* COPYING: by its bits, or all of it */
	enum { OUT, LEAVING, COMING, COPYING, ENTERING } step;
	struct mirror_change change;
	bool is_changing;
	bool is_other;           /* another disk: of what it has nothing counts */
	uint64_t rebuilt_to;     /* of such: sectors of the array; was told to be on it */
};

struct story {
	uint64_t random;
	struct disk_world *world;
	struct disk *disks[DISKS];
	uint32_t count;          /* of disks */
	struct mirror_config config;
	struct bitmap_geometry geo;
	struct bitmap_slot slot;
	struct intent *in;
	struct mirror *m;
	struct volume *v;
	struct oracle *o;
	uint32_t blocks;
	struct io ios[IOS];
	bool is_dead;            /* the power is cut: what is told now counts for nothing */
	bool is_settling;        /* no more trouble */
	bool had_error;          /* of the client's: copies may differ, bits are set */

	uint32_t out;            /* roles that the superblocks say are not in sync */
	uint32_t failed;         /* told, and not all know */
	struct readd readd[DISKS];
	bool is_frozen[DISKS];

	bool is_open;
	struct mirror_request drain;
	bool is_draining, is_drained;
	uint8_t *kept[DISKS];    /* what the disks had when it was drained */

	struct {
		struct mirror_request request;
		uint64_t low, high;  /* sectors; what is in force */
		uint64_t new_low, new_high;
		bool is_pending;
		uint8_t *kept;
	} suspends[SLOTS];

	struct mirror_sync sync;
	bool is_syncing;
	struct mirror_request stop;
	bool is_stopped;
	uint8_t *scratch;
};

/* --- mirror_story_ios.c -------------------------------------------------------------- */

uint64_t story_draw(struct story *s, uint64_t below);
bool story_chance(struct story *s, uint64_t per_mille);
uint64_t story_now(void *owner);
uint64_t story_data_bytes(uint32_t role);
void story_disk_failed(void *owner, uint32_t role, const struct err *why);
void story_known(struct story *s, uint32_t role);
void story_intent_failed(void *owner, uint32_t role, int error);
void story_readd_next(struct story *s, uint32_t role);
void story_check_read(const struct io *io);
void story_done(struct volume_io *vio, int result);
void story_released(struct volume_io *vio);
void story_submit_one(struct story *s);

/* --- mirror_story_windows.c ---------------------------------------------------------- */

void story_expect_kept(struct story *s);
void story_flip_gate(struct story *s);
uint32_t story_near_of(const struct story *s);
uint64_t story_place(const struct story *s, uint32_t block, uint32_t copy, uint32_t *role);
void story_suspend(struct story *s, uint32_t slot, uint64_t low, uint64_t high);
void story_suspend_something(struct story *s);
void story_look_at_sync(struct story *s);

/* --- mirror_story_disks.c ------------------------------------------------------------ */

void story_expect_equal_but_marked(struct story *s, const uint8_t *marks);
void story_expect_survival(struct story *s);
void story_settle_on_what_is_read(struct story *s);

/* --- test_mirror_random.c ------------------------------------------------------------ */

void story_pass_time(struct story *s);
