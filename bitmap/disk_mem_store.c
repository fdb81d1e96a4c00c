/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The contents of disks in memory, and what survives a power cut.
 *
 * A page of 4 KiB has its durable bytes and, oldest first, versions: what changed
 * it since, each with the set of sectors it covers. A reader sees the durable
 * bytes with the versions laid over them.
 *
 * M1 Versions of a page are in the order in which they took effect.
 * M2 When a version becomes durable, older ones lose the sectors it covers:
 *    nothing that it replaced can come back. Younger ones stay on top.
 * M3 A flush makes durable the versions that took effect before it was
 *    submitted, and, though it could, no other one: callers must not rely on it.
 * M4 A version leaves by becoming durable, being replaced as in M2, or a cut.
 */
#include "bitmap/disk_mem_store.h"

#include <search.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arith.h"

enum {
	SECTORS_PER_PAGE = MEM_PAGE_BYTES / MEM_SECTOR_BYTES,
	ALL_SECTORS = (1 << SECTORS_PER_PAGE) - 1,
};

struct mem_version {
	struct qb_list_head link; /* in page->versions */
	uint64_t effect;
	uint8_t sectors; /* bit 0: the first of the page */
	uint8_t data[MEM_PAGE_BYTES];
};

struct mem_page {
	uint64_t index; /* first: it is the key of page_tree */
	struct qb_list_head link;       /* in store->pages */
	struct qb_list_head dirty_link; /* in store->dirty while it has versions */
	struct qb_list_head versions;
	uint8_t durable[MEM_PAGE_BYTES];
};

void *mem_alloc(size_t size)
{
	void *p = calloc(1, size);

	if (!p) {
		perror("disk_mem");
		abort();
	}
	return p;
}

/* Chance: splitmix64, https://prng.di.unimi.it/splitmix64.c */

static uint64_t mix(uint64_t z)
{
	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return z ^ (z >> 31);
}

uint64_t mem_chance_draw(struct mem_chance *chance)
{
	chance->state += 0x9e3779b97f4a7c15u;
	return mix(chance->state);
}

/* Pages and versions */

static int compare_index(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

/* NULL: never written, so all zeroes. */
static struct mem_page *page_find(const struct mem_store *store, uint64_t index)
{
	struct mem_page **node = tfind(&index, &store->page_tree, compare_index);

	return node ? *node : NULL;
}

static struct mem_page *page_get(struct mem_store *store, uint64_t index)
{
	struct mem_page *page = page_find(store, index);

	if (page)
		return page;
	page = mem_alloc(sizeof(*page));
	page->index = index;
	QB_INIT_LIST_HEAD(&page->versions);
	qb_list_add_tail(&page->link, &store->pages);
	if (!tsearch(page, &store->page_tree, compare_index))
		abort();
	return page;
}

/* The part of a page that a range covers, in bytes of the page; may be empty. */
struct part {
	size_t from, to;
	size_t in_range; /* where `from` is in the range */
};

static struct part part_of(uint64_t index, uint64_t offset, uint64_t length)
{
	uint64_t page = index * MEM_PAGE_BYTES;
	uint64_t from = max_u64(offset, page);
	uint64_t to = min_u64(offset + length, page + MEM_PAGE_BYTES);

	if (from >= to)
		return (struct part){ 0, 0, 0 };
	return (struct part){ (size_t)(from - page), (size_t)(to - page),
			      (size_t)(from - offset) };
}

static uint8_t part_sectors(struct part part)
{
	unsigned int first = (unsigned int)(part.from / MEM_SECTOR_BYTES);
	unsigned int end = (unsigned int)div_round_up(part.to, MEM_SECTOR_BYTES);

	return (uint8_t)((1u << end) - (1u << first));
}

static void copy_sectors(uint8_t *to, const uint8_t *from, uint8_t sectors)
{
	unsigned int i;

	for (i = 0; i < SECTORS_PER_PAGE; i++)
		if (sectors & (1u << i))
			memcpy(to + i * MEM_SECTOR_BYTES, from + i * MEM_SECTOR_BYTES,
			       MEM_SECTOR_BYTES);
}

/* What a reader sees. */
static void page_view(const struct mem_page *page, uint8_t view[MEM_PAGE_BYTES])
{
	struct mem_version *v;

	memcpy(view, page->durable, MEM_PAGE_BYTES);
	qb_list_for_each_entry(v, &page->versions, link)
		copy_sectors(view, v->data, v->sectors);
}

static struct mem_version *version_new(struct mem_store *store,
				       struct mem_page *page, uint64_t effect,
				       uint8_t sectors)
{
	struct mem_version *v = mem_alloc(sizeof(*v));

	v->effect = effect;
	v->sectors = sectors;
	if (qb_list_empty(&page->versions))
		qb_list_add_tail(&page->dirty_link, &store->dirty);
	qb_list_add_tail(&v->link, &page->versions); /* M1 */
	return v;
}

static void version_free(struct mem_page *page, struct mem_version *v)
{
	qb_list_del(&v->link);
	free(v);
	if (qb_list_empty(&page->versions))
		qb_list_del(&page->dirty_link);
}

/* M2. Frees v, and those older that have nothing left; none that is younger. */
static void version_make_durable(struct mem_page *page, struct mem_version *v)
{
	uint8_t covered = v->sectors;
	struct mem_version *older, *next;

	copy_sectors(page->durable, v->data, covered);
	qb_list_for_each_entry_safe(older, next, &page->versions, link) {
		bool is_last = older == v;

		older->sectors &= (uint8_t)~covered;
		if (older->sectors == 0)
			version_free(page, older);
		if (is_last)
			break;
	}
}

/* Reading and changing */

static uint64_t last_page(uint64_t offset, uint64_t length)
{
	return (offset + length - 1) / MEM_PAGE_BYTES;
}

void mem_store_read(const struct mem_store *store, uint64_t offset, uint8_t *to,
		    uint64_t length)
{
	uint64_t i;

	for (i = offset / MEM_PAGE_BYTES; length && i <= last_page(offset, length);
	     i++) {
		struct part part = part_of(i, offset, length);
		const struct mem_page *page = page_find(store, i);
		uint8_t view[MEM_PAGE_BYTES] = { 0 };

		if (page)
			page_view(page, view);
		memcpy(to + part.in_range, view + part.from,
		       part.to - part.from);
	}
}

void mem_store_write(struct mem_store *store, uint64_t effect, uint64_t offset,
		     const uint8_t *from, uint64_t length, bool is_durable)
{
	uint64_t i;

	for (i = offset / MEM_PAGE_BYTES; length && i <= last_page(offset, length);
	     i++) {
		struct part part = part_of(i, offset, length);
		struct mem_page *page = page_get(store, i);
		uint8_t view[MEM_PAGE_BYTES];
		struct mem_version *v;

		/* a poke may begin or end within a sector: keep its rest */
		page_view(page, view);
		memcpy(view + part.from, from + part.in_range,
		       part.to - part.from);
		v = version_new(store, page, effect, part_sectors(part));
		memcpy(v->data, view, MEM_PAGE_BYTES);
		if (is_durable)
			version_make_durable(page, v);
	}
}

/* Pages that do not exist are zeroes already. */
void mem_store_zero(struct mem_store *store, uint64_t effect, uint64_t offset,
		    uint64_t length)
{
	struct mem_page *page;

	qb_list_for_each_entry(page, &store->pages, link) {
		uint8_t sectors = part_sectors(
			part_of(page->index, offset, length));

		if (sectors)
			version_new(store, page, effect, sectors);
	}
}

/* What is durable, and what survives */

void mem_store_make_durable(struct mem_store *store, uint64_t effect)
{
	struct mem_page *page, *next_page;
	struct mem_version *v, *next;

	qb_list_for_each_entry_safe(page, next_page, &store->dirty, dirty_link)
		qb_list_for_each_entry_safe(v, next, &page->versions, link)
			if (v->effect < effect) /* M3 */
				version_make_durable(page, v);
}

/* Which sectors of the change that took effect as `effect` outlive the cut. */
static uint8_t survivors(struct mem_chance *chance, uint64_t salt,
			 uint64_t effect)
{
	switch (mix(salt + effect) % 4) {
	case 0:
		return 0;
	case 1:
		return ALL_SECTORS;
	default:
		return (uint8_t)mem_chance_draw(chance);
	}
}

/* M4. Oldest first: a younger one that survives lies over what it replaced. */
void mem_store_lose_cache(struct mem_store *store, uint64_t salt,
			  struct mem_chance *chance)
{
	struct mem_page *page, *next_page;
	struct mem_version *v, *next;

	qb_list_for_each_entry_safe(page, next_page, &store->dirty, dirty_link)
		qb_list_for_each_entry_safe(v, next, &page->versions, link) {
			v->sectors &= survivors(chance, salt, v->effect);
			version_make_durable(page, v);
		}
}

/* Whole stores */

void mem_store_init(struct mem_store *store)
{
	store->page_tree = NULL;
	QB_INIT_LIST_HEAD(&store->pages);
	QB_INIT_LIST_HEAD(&store->dirty);
}

void mem_store_fini(struct mem_store *store)
{
	struct mem_page *page, *next_page;
	struct mem_version *v, *next;

	qb_list_for_each_entry_safe(page, next_page, &store->dirty, dirty_link)
		qb_list_for_each_entry_safe(v, next, &page->versions, link)
			version_free(page, v);
	tdestroy(store->page_tree, free);
}

void mem_store_copy(struct mem_store *to, const struct mem_store *from)
{
	struct mem_page *page;

	qb_list_for_each_entry(page, &from->pages, link)
		page_view(page, page_get(to, page->index)->durable);
}
