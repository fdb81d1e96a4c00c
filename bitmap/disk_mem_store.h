/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The inside of disks in memory: what disk_mem_store.c (contents, and what a power
 * cut leaves of them) has for disk_mem.c (worlds, time, requests). For these two
 * only; the face to the world is bitmap/disk_mem.h.
 *
 * A store knows no time and no requests. Ranges are in bytes, and sectors (512)
 * are the grain of all but mem_store_read() and a durable mem_store_write(). A
 * store costs about 4 KiB for each page ever written, and as much again for each
 * change of a page that is not durable yet. Out of memory ends the process.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <qb/qblist.h>

enum {
	MEM_SECTOR_BYTES = 512,
	MEM_PAGE_BYTES = 4096,
};

/* Zeroed, never NULL; release with free(). */
void *mem_alloc(size_t size);

/* The one source of chance of a world: splitmix64, seeded by its state. */
struct mem_chance {
	uint64_t state;
};

uint64_t mem_chance_draw(struct mem_chance *chance);

struct mem_store {
	void *page_tree; /* tsearch(3), by index */
	struct qb_list_head pages;
	struct qb_list_head dirty; /* pages with versions */
};

void mem_store_init(struct mem_store *store); /* all zeroes, all durable */
void mem_store_fini(struct mem_store *store);

void mem_store_read(const struct mem_store *store, uint64_t offset, uint8_t *to,
		    uint64_t length);

/*
 * The changes. `effect` stamps them: it never decreases from one to the next, and
 * what belongs to one request has one stamp.
 */
void mem_store_write(struct mem_store *store, uint64_t effect, uint64_t offset,
		     const uint8_t *from, uint64_t length, bool is_durable);
void mem_store_zero(struct mem_store *store, uint64_t effect, uint64_t offset,
		    uint64_t length);

/* Makes durable what is stamped with less than `effect`. */
void mem_store_make_durable(struct mem_store *store, uint64_t effect);

/*
 * The power goes: nothing is left but what is durable, and what chance saves of
 * the rest. Of the changes with one stamp and one salt the same is asked on every
 * page and disk: all lost, all kept, or each sector by itself.
 */
void mem_store_lose_cache(struct mem_store *store, uint64_t salt,
			  struct mem_chance *chance);

/* What a reader of `from` sees, durable in `to`, which was not written yet. */
void mem_store_copy(struct mem_store *to, const struct mem_store *from);
