/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the unit tests share: cmocka with what it wants before it, arrays on
 * disks in memory, and files from tests/data.
 */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/err.h"
#include "bitmap/array.h"
#include "bitmap/create.h"
#include "bitmap/disk.h"
#include "bitmap/disk_mem.h"

/* r is 0, or the test fails with the sentence. */
#define assert_ok(expr, err)                                                 \
	do {                                                                 \
		int ok_r = (expr);                                           \
		if (ok_r < 0)                                                \
			fail_msg("%s: %s (%d)", #expr, (err).text, ok_r);    \
	} while (0)

/* It fails with that code, and the sentence holds each of the words. */
#define assert_refused(expr, code_wanted, err, ...)                          \
	do {                                                                 \
		const char *const words_[] = { __VA_ARGS__ };                \
		int refused_r = (expr);                                      \
		help_check_refusal(#expr, refused_r, code_wanted, &(err),    \
				   words_, sizeof(words_) / sizeof(*words_)); \
	} while (0)

void help_check_refusal(const char *expr, int r, int wanted,
			const struct err *err, const char *const *words,
			size_t count);

/* A world with some disks "a", "b", ... of one size. */
enum { RIG_MAX_DISKS = 8 };

struct rig {
	struct disk_world *world;
	struct disk *disks[RIG_MAX_DISKS];
	size_t count;
};

void rig_init(struct rig *rig, uint64_t seed, size_t count, uint64_t sectors);
void rig_fini(struct rig *rig);

/* raid1 over all disks, 64 KiB chunks, cluster "alpha", name "host:web". */
struct md_create_params rig_params(const struct rig *rig);
void rig_create(struct rig *rig, const struct md_create_params *params);

/* Dirty bits of one slot as the OR over the in-sync disks, as a new map. */
uint8_t *rig_slot_bits(struct rig *rig, uint32_t slot, uint64_t *chunks);
uint64_t rig_dirty(struct rig *rig, uint32_t slot);

/* Sets [first, last] of a slot on all disks, behind everybody's back. */
void rig_plant(struct rig *rig, uint32_t slot, uint64_t first, uint64_t last);

/*
 * The start of tests/data/NAME (decompressed if it ends in .zst): up to `max`
 * bytes; the rest of the buffer is zero. free() it.
 */
uint8_t *help_read_data(const char *name, size_t max, size_t *length);
