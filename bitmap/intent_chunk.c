/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The sparse table of chunks: entries of 24 bytes in slabs that never move, found by
 * linear hashing (a bucket splits whenever one entry is added, so that none pays for
 * all). Lists are by index, half the size of pointers.
 */
#include "bitmap/intent_private.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#define NONE ((uint32_t)CHUNK_NONE)

static_assert(sizeof(struct chunk) == 24, "I10 is computed with this");

static uint32_t *head_at(const struct chunk_table *table, uint32_t bucket)
{
	return &table->heads[bucket >> SLAB_SHIFT][bucket & SLAB_MASK];
}

/* Neighbours far apart: chunks that are written to come in rows. */
static uint32_t bucket_of(const struct chunk_table *table, uint32_t number)
{
	uint32_t hash = (uint32_t)(number * 0x9e3779b97f4a7c15ull >> 32);
	uint32_t bucket = hash & (2 * table->round - 1);

	return bucket < table->buckets ? bucket : hash & (table->round - 1);
}

/* Room for one more pointer behind `count`. */
static void *grow(void *pointers, uint32_t count, uint32_t *room)
{
	uint32_t larger = *room ? 2 * *room : 8;
	void *moved;

	if (count < *room)
		return pointers;
	moved = reallocarray(pointers, larger, sizeof(void *));
	if (moved)
		*room = larger;
	return moved;
}

static bool add_heads(struct chunk_table *table)
{
	void *moved = grow(table->heads, table->head_slabs, &table->head_room);
	uint32_t *slab, i;

	if (!moved)
		return false;
	table->heads = moved;
	slab = malloc(SLAB * sizeof(*slab));
	if (!slab)
		return false;
	for (i = 0; i < SLAB; i++)
		slab[i] = NONE;
	table->heads[table->head_slabs++] = slab;
	return true;
}

static bool add_slab(struct chunk_table *table)
{
	void *moved = grow(table->slabs, table->slab_count, &table->slab_room);
	uint32_t i, base = table->slab_count << SLAB_SHIFT;
	struct chunk *slab;

	if (!moved)
		return false;
	table->slabs = moved;
	if (table->slab_count == NONE >> SLAB_SHIFT)
		return false;
	slab = malloc(SLAB * sizeof(*slab));
	if (!slab)
		return false;
	for (i = 0; i < SLAB; i++)
		slab[i].chain = i + 1 < SLAB ? base + i + 1 : table->free;
	table->slabs[table->slab_count++] = slab;
	table->free = base;
	table->free_count += SLAB;
	return true;
}

int chunk_table_init(struct chunk_table *table)
{
	*table = (struct chunk_table){ .free = NONE, .buckets = SLAB, .round = SLAB };
	return add_heads(table) && add_slab(table) ? 0 : -ENOMEM;
}

void chunk_table_fini(struct chunk_table *table)
{
	uint32_t i;

	for (i = 0; i < table->slab_count; i++)
		free(table->slabs[i]);
	for (i = 0; i < table->head_slabs; i++)
		free(table->heads[i]);
	free(table->slabs);
	free(table->heads);
}

uint32_t chunk_find(const struct chunk_table *table, uint64_t number)
{
	uint32_t at = *head_at(table, bucket_of(table, (uint32_t)number));

	while (at != NONE && chunk_at(table, at)->number != (uint32_t)number)
		at = chunk_at(table, at)->chain;
	return at;
}

bool chunk_reserve(struct chunk_table *table, uint64_t count)
{
	while (table->free_count < count)
		if (!add_slab(table))
			return false;
	return true;
}

/* One bucket more; without memory for it chains are longer, that is all. */
static void split(struct chunk_table *table)
{
	uint32_t from = table->buckets - table->round, at, next;
	struct chunk *c;
	uint32_t *head;

	if (table->buckets >> SLAB_SHIFT == table->head_slabs && !add_heads(table))
		return;
	at = *head_at(table, from);
	*head_at(table, from) = NONE;
	if (++table->buckets == 2 * table->round)
		table->round = table->buckets;
	for (; at != NONE; at = next) {
		c = chunk_at(table, at);
		next = c->chain;
		head = head_at(table, bucket_of(table, c->number));
		c->chain = *head;
		*head = at;
	}
}

uint32_t chunk_add(struct chunk_table *table, uint64_t number)
{
	uint32_t at = table->free, *head;
	struct chunk *c = chunk_at(table, at);

	table->free = c->chain;
	table->free_count--;
	if (++table->used > table->buckets / 2)
		split(table);
	head = head_at(table, bucket_of(table, (uint32_t)number));
	*c = (struct chunk){ .number = (uint32_t)number, .prev = NONE, .next = NONE,
			     .chain = *head };
	*head = at;
	return at;
}

void chunk_drop(struct chunk_table *table, uint32_t at)
{
	struct chunk *c = chunk_at(table, at);
	uint32_t *link = head_at(table, bucket_of(table, c->number));

	while (*link != at)
		link = &chunk_at(table, *link)->chain;
	*link = c->chain;
	c->chain = table->free;
	table->free = at;
	table->free_count++;
	table->used--;
}

void chunk_list_init(struct chunk_list *list)
{
	*list = (struct chunk_list){ .first = NONE, .last = NONE };
}

void chunk_list_add(struct chunk_table *table, struct chunk_list *list, uint32_t at)
{
	struct chunk *c = chunk_at(table, at);

	c->prev = list->last;
	c->next = NONE;
	if (list->last == NONE)
		list->first = at;
	else
		chunk_at(table, list->last)->next = at;
	list->last = at;
	list->count++;
}

void chunk_list_del(struct chunk_table *table, struct chunk_list *list, uint32_t at)
{
	const struct chunk *c = chunk_at(table, at);

	if (c->prev == NONE)
		list->first = c->next;
	else
		chunk_at(table, c->prev)->next = c->next;
	if (c->next == NONE)
		list->last = c->prev;
	else
		chunk_at(table, c->next)->prev = c->prev;
	list->count--;
}
