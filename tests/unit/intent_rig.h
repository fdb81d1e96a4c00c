/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the tests of the write-intent log share: a log on disks in memory, whose bits can
 * be looked at as a reader after a power cut would see them.
 *
 * Disk r has slot 0 at START_BYTES(r); the slot under test is OWN of NODES, the others
 * hold a pattern that nobody may touch.
 */
#pragma once

#include "tests/unit/help.h"

#include "bitmap/intent.h"
#include "bitmap/slot.h"

enum {
	INTENT_DISKS = 4,
	NODES = 3,
	OWN = 1,
	CHUNK = 4096,
	NEVER_FAILED = -1,
	DATA_BYTES = 64 << 10,     /* behind the slots of each disk; zeroes */
};

struct intent_rig {
	struct disk_world *world;
	struct disk *disks[INTENT_DISKS];
	uint32_t count;            /* that take part at first */
	struct bitmap_geometry geo;
	struct bitmap_slot slot;
	struct intent *in;
	uint64_t budget;           /* chunks; set before intent_rig_start() */
	bool is_degraded;
	uint64_t events;           /* of the array; the same */
	bool takes_out;            /* failed() takes the disk out at once */
	int failed[INTENT_DISKS];  /* errno last told, or NEVER_FAILED */
	uint32_t failures;
	bool is_out[INTENT_DISKS]; /* taken out, or not there at the start */
};

/* A write of the tests; `calls` of ready(). */
struct rig_write {
	struct intent_write w;
	struct intent_rig *rig;
	int calls;
};

struct rig_request {
	struct intent_request req;
	int calls, result;
};

uint64_t start_bytes(uint32_t role);
uint64_t data_bytes(const struct intent_rig *rig);

/* Empty slots on all disks of a fresh world. The log begins with intent_rig_start(). */
void intent_rig_init(struct intent_rig *rig, uint64_t seed, uint32_t count,
		     uint64_t chunks);
void intent_rig_start(struct intent_rig *rig);
/* Reads the slot again, as after a restart; the log is started on it. */
void intent_rig_restart(struct intent_rig *rig);
void intent_rig_stop(struct intent_rig *rig);
void intent_rig_fini(struct intent_rig *rig);

/* As the array does with one that failed: degraded first. */
void rig_take_out(struct intent_rig *rig, uint32_t role);

/* The next completion; false: nothing is in flight. */
bool intent_rig_step(struct intent_rig *rig);
/* Until nothing is in flight. Time does not pass but by that. */
void intent_rig_drain(struct intent_rig *rig);
/* So much time passes, with all that falls due. */
void intent_rig_pass(struct intent_rig *rig, uint64_t ns);

/* All of them begin; the result is intent_begin()'s. */
int rig_begin(struct intent_rig *rig, struct rig_write *w, uint64_t first, uint64_t last);
void rig_end(struct rig_write *w, bool is_durable);
/* Begins, waits, ends. */
void rig_write(struct intent_rig *rig, uint64_t chunk);

struct intent_request *rig_request(struct rig_request *r);

/* Is the bit set on that disk, for who reads it now? Then: on those that take part. */
bool rig_bit(const struct intent_rig *rig, uint32_t disk, uint64_t chunk);
bool rig_bit_everywhere(const struct intent_rig *rig, uint64_t chunk);
bool rig_bit_anywhere(const struct intent_rig *rig, uint64_t chunk);
/* Sets it there, behind everybody's back. */
void rig_plant_bit(struct intent_rig *rig, uint32_t disk, uint64_t chunk);
/* Of the disk's copy of the slot. */
struct bitmap_sb rig_sb(const struct intent_rig *rig, uint32_t disk);
struct intent_stats rig_look(const struct intent_rig *rig);
/* Nobody wrote outside of the own slot. */
void rig_expect_others_untouched(const struct intent_rig *rig);
