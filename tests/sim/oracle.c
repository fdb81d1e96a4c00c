/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/sim/oracle.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SECTOR = 512, FEW = 8 };

#define NEVER UINT64_MAX
#define MARK UINT64_C(0x6d64636c75737465)

enum state { OPEN, UNCERTAIN, ACKNOWLEDGED, DURABLE };

struct write {
	uint64_t begin, end; /* moments; NEVER: not over */
	enum state state;
	enum oracle_kind kind;
	int node;
	uint64_t sector, count;
};

/* Writes that a sector may show, by number. */
struct past {
	uint32_t count, room;
	uint64_t *numbers;
};

/* What a read found while all had one source. */
struct sight {
	uint64_t began, ended; /* moments; ended 0: none */
	uint64_t number;       /* 0: zeroes */
};

struct oracle {
	uint64_t sectors, moment;
	struct past *pasts;
	struct sight *sights; /* by sector */
	uint64_t sources;     /* moment from which they are the same */
	struct write *writes; /* 0 is the zeroes of the beginning */
	uint64_t count, room, acknowledged;
	uint64_t oldest_read; /* under way */
	uint64_t first_open;  /* all before are DURABLE, or UNCERTAIN and over */
};

/* What is in a sector that was written. */
struct stamp {
	uint64_t mark, number, sector;
};

struct oracle *oracle_new(uint64_t sectors)
{
	struct oracle *o = calloc(1, sizeof(*o));

	if (!o || !(o->pasts = calloc(sectors, sizeof(*o->pasts))) ||
	    !(o->sights = calloc(sectors, sizeof(*o->sights))))
		abort();
	o->sectors = sectors;
	o->room = 256;
	o->writes = calloc(o->room, sizeof(*o->writes));
	if (!o->writes)
		abort();
	o->writes[0] = (struct write){ .state = DURABLE, .kind = ORACLE_ZERO, .node = -1 };
	o->count = o->first_open = 1;
	o->oldest_read = NEVER;
	return o;
}

void oracle_free(struct oracle *o)
{
	for (uint64_t i = 0; i < o->sectors; i++)
		free(o->pasts[i].numbers);
	free(o->pasts);
	free(o->sights);
	free(o->writes);
	free(o);
}

uint64_t oracle_moment(struct oracle *o)
{
	return ++o->moment;
}

void oracle_oldest_read(struct oracle *o, uint64_t began)
{
	o->oldest_read = began;
}

/* --- what a sector may show ------------------------------------------------------------ */

/* `by` is certain, and began when `old` was over. */
static bool is_replaced(const struct write *old, const struct write *by, enum state least)
{
	return by->state >= least && by->kind != ORACLE_TRIM && old->end < by->begin;
}

static bool is_past(const struct oracle *o, const struct past *p, const struct write *old)
{
	for (uint32_t i = 0; i < p->count; i++) {
		const struct write *by = &o->writes[p->numbers[i]];

		if (is_replaced(old, by, DURABLE) && by->end < o->oldest_read)
			return true;
	}
	return false;
}

/* What can come back by no power cut, and was seen by no read under way, is forgotten. */
static void forget(const struct oracle *o, struct past *p)
{
	uint32_t kept = 0;

	for (uint32_t i = 0; i < p->count; i++)
		if (!is_past(o, p, &o->writes[p->numbers[i]]))
			p->numbers[kept++] = p->numbers[i];
	/* one that replaces is later than what it replaces: it was kept, or its own heir */
	p->count = kept;
}

static void add(const struct oracle *o, struct past *p, uint64_t number)
{
	if (p->count == 0 && p->room == 0) {
		p->room = FEW;
		p->numbers = calloc(p->room, sizeof(*p->numbers));
		if (!p->numbers)
			abort();
		p->numbers[p->count++] = 0;
	}
	if (p->count == p->room)
		forget(o, p);
	if (p->count == p->room) {
		p->room *= 2;
		p->numbers = realloc(p->numbers, p->room * sizeof(*p->numbers));
		if (!p->numbers)
			abort();
	}
	p->numbers[p->count++] = number;
}

/* --- writes ------------------------------------------------------------------------------ */

uint64_t oracle_begin(struct oracle *o, int node, enum oracle_kind kind, uint64_t sector,
		      uint64_t count)
{
	uint64_t number = o->count++;

	if (o->count > o->room) {
		o->room *= 2;
		o->writes = realloc(o->writes, o->room * sizeof(*o->writes));
		if (!o->writes)
			abort();
	}
	o->writes[number] = (struct write){ .begin = oracle_moment(o), .end = NEVER,
					    .kind = kind, .node = node,
					    .sector = sector, .count = count };
	for (uint64_t i = 0; i < count; i++)
		add(o, &o->pasts[sector + i], number);
	return number;
}

void oracle_fill(void *buffer, uint64_t number, uint64_t sector, uint64_t count)
{
	uint8_t *at = buffer;

	for (uint64_t i = 0; i < count; i++, at += SECTOR) {
		struct stamp s = { MARK, number, sector + i };

		memset(at, (uint8_t)number, SECTOR);
		memcpy(at, &s, sizeof(s));
		memcpy(at + SECTOR - sizeof(number), &number, sizeof(number));
	}
}

void oracle_acknowledged(struct oracle *o, uint64_t number, bool is_durable)
{
	struct write *w = &o->writes[number];

	if (w->state != OPEN)
		return;
	w->state = is_durable ? DURABLE : ACKNOWLEDGED;
	w->end = oracle_moment(o);
	o->acknowledged++;
}

void oracle_failed(struct oracle *o, uint64_t number, bool is_on_its_way)
{
	struct write *w = &o->writes[number];

	if (w->state != OPEN)
		return;
	w->state = UNCERTAIN;
	if (!is_on_its_way)
		w->end = oracle_moment(o);
}

static void close_prefix(struct oracle *o)
{
	while (o->first_open < o->count &&
	       (o->writes[o->first_open].state == DURABLE ||
		(o->writes[o->first_open].state == UNCERTAIN &&
		 o->writes[o->first_open].end != NEVER)))
		o->first_open++;
}

void oracle_node_ended(struct oracle *o, int node)
{
	for (uint64_t i = o->first_open; i < o->count; i++)
		if (o->writes[i].node == node && o->writes[i].state == OPEN)
			o->writes[i].state = UNCERTAIN;
}

void oracle_node_drained(struct oracle *o, int node)
{
	uint64_t now = oracle_moment(o);

	for (uint64_t i = o->first_open; i < o->count; i++) {
		struct write *w = &o->writes[i];

		if (w->node == node && w->state == UNCERTAIN && w->end == NEVER)
			w->end = now;
	}
	close_prefix(o);
}

void oracle_flushed(struct oracle *o, uint64_t began)
{
	for (uint64_t i = o->first_open; i < o->count; i++)
		if (o->writes[i].state == ACKNOWLEDGED && o->writes[i].end < began)
			o->writes[i].state = DURABLE;
	close_prefix(o);
}

void oracle_power_cut(struct oracle *o)
{
	uint64_t now = oracle_moment(o);

	oracle_other_sources(o);
	for (uint64_t i = o->first_open; i < o->count; i++) {
		struct write *w = &o->writes[i];

		if (w->state == DURABLE)
			continue;
		w->state = UNCERTAIN;
		if (w->end == NEVER)
			w->end = now;
	}
	close_prefix(o);
}

/* --- reads ------------------------------------------------------------------------------- */

static bool is_zero(const uint8_t *bytes)
{
	static const uint8_t zeroes[SECTOR];

	return memcmp(bytes, zeroes, SECTOR) == 0;
}

static void explain(const struct oracle *o, uint64_t sector, const char *what,
		    uint64_t number, uint64_t began, char *why, size_t room)
{
	const struct past *p = &o->pasts[sector];
	int used = snprintf(why, room, "sector %" PRIu64 " %s %" PRIu64 ", began %" PRIu64
			    "; it may show:", sector, what, number, began);

	for (uint32_t i = 0; i < p->count && used > 0 && (size_t)used < room; i++) {
		const struct write *w = &o->writes[p->numbers[i]];

		used += snprintf(why + used, room - (size_t)used,
				 " %" PRIu64 "(n%d %c%c %" PRIu64 "-%" PRId64 ")", p->numbers[i],
				 w->node + 1, "WZT"[w->kind], "OUAD"[w->state], w->begin,
				 (int64_t)w->end);
	}
}

/* A read that began then may have missed what was acknowledged later. */
static bool may_show(const struct oracle *o, const struct past *p, const struct write *w,
		     uint64_t began)
{
	for (uint32_t i = 0; i < p->count; i++) {
		const struct write *by = &o->writes[p->numbers[i]];

		if (is_replaced(w, by, ACKNOWLEDGED) && by->end < began)
			return false;
	}
	return true;
}

static bool check_sector(const struct oracle *o, uint64_t began, const uint8_t *bytes,
			 uint64_t sector, char *why, size_t room)
{
	const struct past *p = &o->pasts[sector];
	bool zero = is_zero(bytes);
	struct stamp s;
	uint64_t tail;

	if (p->room == 0 && zero)
		return true;
	memcpy(&s, bytes, sizeof(s));
	memcpy(&tail, bytes + SECTOR - sizeof(tail), sizeof(tail));
	if (!zero && (s.mark != MARK || s.sector != sector || s.number != tail ||
		      s.number >= o->count)) {
		explain(o, sector, "holds what nobody wrote there, of sector", s.sector,
			began, why, room);
		return false;
	}
	for (uint32_t i = 0; i < p->count; i++) {
		const struct write *w = &o->writes[p->numbers[i]];

		if ((zero ? w->kind != ORACLE_WRITE : p->numbers[i] == s.number) &&
		    may_show(o, p, w, began))
			return true;
	}
	explain(o, sector, "shows", zero ? 0 : s.number, began, why, room);
	return false;
}

bool oracle_check(const struct oracle *o, uint64_t began, const void *bytes, uint64_t sector,
		  uint64_t count, char *why, size_t room)
{
	const uint8_t *at = bytes;

	for (uint64_t i = 0; i < count; i++, at += SECTOR)
		if (!check_sector(o, began, at, sector + i, why, room))
			return false;
	return true;
}

/* --- one truth --------------------------------------------------------------------------- */

/* Or what a dead node began may come to the disk yet. */
static bool is_written_since(const struct oracle *o, const struct past *p, uint64_t moment)
{
	for (uint32_t i = 0; i < p->count; i++) {
		const struct write *w = &o->writes[p->numbers[i]];

		if (p->numbers[i] != 0 && w->end >= moment)
			return true;
	}
	return false;
}

bool oracle_saw(struct oracle *o, uint64_t since, uint64_t began, const void *bytes,
		uint64_t sector, uint64_t count, char *why, size_t room)
{
	const uint8_t *at = bytes;

	for (uint64_t s = sector; s < sector + count; s++, at += SECTOR) {
		struct sight *before = &o->sights[s];
		struct sight now = { began, oracle_moment(o), 0 };
		struct stamp stamp;

		memcpy(&stamp, at, sizeof(stamp));
		now.number = is_zero(at) ? 0 : stamp.number;
		if (before->ended > o->sources && since < before->began &&
		    before->ended < began && before->number != now.number &&
		    !is_written_since(o, &o->pasts[s], before->began)) {
			snprintf(why, room, "sector %" PRIu64 " is %" PRIu64 ", and was %" PRIu64
				 " when it was read before", s, now.number, before->number);
			return false;
		}
		*before = now;
	}
	return true;
}

void oracle_other_sources(struct oracle *o)
{
	o->sources = oracle_moment(o);
}

bool oracle_is_touched(const struct oracle *o, uint64_t sector, uint64_t count)
{
	for (uint64_t i = 0; i < count; i++)
		if (o->pasts[sector + i].room > 0)
			return true;
	return false;
}

uint64_t oracle_acknowledged_count(const struct oracle *o)
{
	return o->acknowledged;
}
