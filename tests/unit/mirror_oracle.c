/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/unit/mirror_oracle.h"

#include <stdlib.h>
#include <string.h>

#include "tests/unit/help.h"

enum { SECTOR = 512, KEPT = 4096 };

/* One write, to one block. */
struct entry {
	uint64_t write;          /* 0: zeroes */
	uint64_t number;         /* unlike `write` never 0 */
	uint64_t began, ended;   /* ended: NEVER as long as it flies */
	bool is_ok;
	uint64_t replaced;       /* nobody reads it any more from then on */
	bool is_durable;
	bool is_gone;            /* not even after a power cut */
	uint8_t *data;           /* settled contents, or NULL: by `write` */
};

struct block {
	struct entry *entries;
	uint32_t count, room;
};

struct oracle {
	struct block *blocks;
	uint32_t count;
	uint64_t clock, writes;
};

#define NEVER UINT64_MAX

uint64_t oracle_now(struct oracle *o)
{
	return ++o->clock;
}

static struct entry *add(struct block *b)
{
	if (b->count == b->room) {
		b->room = b->room ? 2 * b->room : 8;
		b->entries = reallocarray(b->entries, b->room, sizeof(*b->entries));
		assert_non_null(b->entries);
	}
	b->entries[b->count] = (struct entry){ .ended = NEVER, .replaced = NEVER };
	return &b->entries[b->count++];
}

static void clear(struct block *b)
{
	uint32_t i;

	for (i = 0; i < b->count; i++)
		free(b->entries[i].data);
	b->count = 0;
}

struct oracle *oracle_new(uint32_t blocks)
{
	static const uint8_t zeroes[ORACLE_BLOCK];
	struct oracle *o = calloc(1, sizeof(*o));
	uint32_t i;

	assert_non_null(o);
	o->blocks = calloc(blocks, sizeof(*o->blocks));
	assert_non_null(o->blocks);
	o->count = blocks;
	for (i = 0; i < blocks; i++)
		oracle_settle(o, i, zeroes);
	return o;
}

void oracle_free(struct oracle *o)
{
	uint32_t i;

	for (i = 0; i < o->count; i++) {
		clear(&o->blocks[i]);
		free(o->blocks[i].entries);
	}
	free(o->blocks);
	free(o);
}

void oracle_fill(uint64_t write, uint32_t block, uint8_t to[ORACLE_BLOCK])
{
	uint64_t word = write ? write << 20 | block : 0;
	uint32_t i;

	for (i = 0; i < ORACLE_BLOCK; i += sizeof(word))
		memcpy(to + i, &word, sizeof(word));
}

uint64_t oracle_begin(struct oracle *o, uint32_t first, uint32_t count, bool is_zero)
{
	uint64_t number = ++o->writes, now = oracle_now(o);
	uint32_t i;

	for (i = first; i < first + count; i++) {
		struct entry *e = add(&o->blocks[i]);

		e->write = is_zero ? 0 : number;
		e->number = number;
		e->began = now;
	}
	return number;
}

static struct entry *find(struct block *b, uint64_t number)
{
	uint32_t i;

	for (i = 0; i < b->count; i++)
		if (b->entries[i].number == number)
			return &b->entries[i];
	return NULL;
}

static void make_durable(struct block *b, struct entry *w)
{
	uint32_t i;

	w->is_durable = true;
	for (i = 0; i < b->count; i++)
		if (b->entries[i].ended < w->began)
			b->entries[i].is_gone = true;
}

/* What nobody may see any more, also not a read that began long ago. */
static void forget(struct oracle *o, struct block *b)
{
	uint32_t i, n = 0;

	for (i = 0; i < b->count; i++) {
		struct entry *e = &b->entries[i];

		if (e->is_gone && e->replaced != NEVER &&
		    e->replaced + KEPT < o->clock)
			free(e->data);
		else
			b->entries[n++] = *e;
	}
	b->count = n;
}

void oracle_end(struct oracle *o, uint64_t write, uint32_t first, uint32_t count,
		bool is_ok, bool is_durable)
{
	uint64_t now = oracle_now(o);
	uint32_t i, k;

	for (i = first; i < first + count; i++) {
		struct block *b = &o->blocks[i];
		struct entry *w = find(b, write);

		assert_non_null(w);
		if (!is_ok) {
			/* it is over, but stands for nothing */
			w->ended = now;
			continue;
		}
		for (k = 0; k < b->count; k++)
			if (b->entries[k].ended < w->began &&
			    b->entries[k].replaced == NEVER)
				b->entries[k].replaced = now;
		w->ended = now;
		w->is_ok = true;
		if (is_durable)
			make_durable(b, w);
		forget(o, b);
	}
}

void oracle_flushed(struct oracle *o, uint64_t began)
{
	uint32_t i, k;

	for (i = 0; i < o->count; i++) {
		struct block *b = &o->blocks[i];

		for (k = 0; k < b->count; k++) {
			struct entry *e = &b->entries[k];

			if (e->is_ok && e->ended < began && !e->is_durable)
				make_durable(b, e);
		}
	}
}

static bool matches(const struct entry *e, uint32_t block, const uint8_t *data,
		    uint32_t from, uint32_t length)
{
	uint8_t expected[ORACLE_BLOCK];

	if (e->data)
		return memcmp(e->data + from, data + from, length) == 0;
	oracle_fill(e->write, block, expected);
	return memcmp(expected + from, data + from, length) == 0;
}

bool oracle_may_read(struct oracle *o, uint32_t block, uint64_t began, const uint8_t *data)
{
	const struct block *b = &o->blocks[block];
	uint32_t i;

	for (i = 0; i < b->count; i++)
		if (b->entries[i].replaced > began &&
		    matches(&b->entries[i], block, data, 0, ORACLE_BLOCK))
			return true;
	return false;
}

static bool may_sector_survive(const struct block *b, uint32_t block, const uint8_t *data,
			       uint32_t from)
{
	uint32_t i;

	for (i = 0; i < b->count; i++)
		if (!b->entries[i].is_gone &&
		    matches(&b->entries[i], block, data, from, SECTOR))
			return true;
	return false;
}

bool oracle_may_survive(struct oracle *o, uint32_t block, const uint8_t *data)
{
	uint32_t from;

	for (from = 0; from < ORACLE_BLOCK; from += SECTOR)
		if (!may_sector_survive(&o->blocks[block], block, data, from))
			return false;
	return true;
}

void oracle_settle(struct oracle *o, uint32_t block, const uint8_t *data)
{
	struct block *b = &o->blocks[block];
	struct entry *e;

	clear(b);
	e = add(b);
	e->data = malloc(ORACLE_BLOCK);
	assert_non_null(e->data);
	memcpy(e->data, data, ORACLE_BLOCK);
	e->ended = oracle_now(o);
	e->began = e->ended;
	e->is_durable = true;
}
