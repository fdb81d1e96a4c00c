/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What a write intent costs the thread that asks, on disks that cost nothing.
 *
 * Hits are measured against what md does for each write: a counter a chunk, under one
 * spinlock, taken by the start and by the end of a write; and md's counters are an array of
 * two bytes a chunk, which ours is not. Misses: how many share one write of a page, and
 * what they cost.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/err.h"
#include "bitmap/bits.h"
#include "bitmap/intent.h"
#include "tests/bench/bench.h"
#include "tests/unit/null_disk.h"

enum {
	CHUNK = 65536,
	CHUNKS = 16 << 20,       /* 1 TiB */
	HOT = 400000,            /* below the budget: 24 GiB */
	DEPTH_MOST = 64,
	PASSES = 2000000,
	MISSES = 200000,
};

#define MIB (1ull << 20)

struct work {
	struct bitmap_geometry geo;
	struct bitmap_slot slot;
	struct null_disk disks[2];
	struct intent *in;
	uint32_t *order;         /* chunks, in the order of writes */
	uint16_t *counters;      /* md's */
	pthread_spinlock_t lock;
	uint64_t random, span;
	uint32_t depth;
	uint32_t calls;
};

static void die(const char *why)
{
	fprintf(stderr, "bench intent: %s\n", why);
	exit(EXIT_FAILURE);
}

static uint64_t draw(struct work *w, uint64_t below)
{
	uint64_t z = w->random += 0x9e3779b97f4a7c15;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
	z = (z ^ z >> 27) * 0x94d049bb133111eb;
	return (z ^ z >> 31) % below;
}

static uint64_t now(void *owner)
{
	(void)owner;
	return 0;
}

static void failed(void *owner, uint32_t role, int error)
{
	(void)owner, (void)role, (void)error;
	die("a disk failed");
}

static void ready(void *owner, struct intent_write *iw)
{
	(void)iw;
	((struct work *)owner)->calls++;
}

static const struct intent_ops ops = { .now = now, .failed = failed };

static void log_init(struct work *w, uint64_t budget_bytes)
{
	struct intent_config config = { .slot = &w->slot, .count = 2,
					.budget_bytes = budget_bytes };
	struct err err = ERR_INIT;
	uint32_t i;

	if (bitmap_geometry_init(&w->geo, CHUNKS * (uint64_t)(CHUNK / 512), CHUNK, 4, 0,
				 &err) < 0 ||
	    bitmap_slot_init(&w->slot, &w->geo, 1, &err) < 0)
		die(err.text);
	for (i = 0; i < 2; i++) {
		null_disk_init(&w->disks[i]);
		config.copies[i].disk = &w->disks[i].disk;
	}
	w->in = intent_new(&config, &ops, w, &err);
	if (!w->in)
		die(err.text);
}

static void drain(struct work *w)
{
	do {
		disk_pump(&w->disks[0].disk, 0);
		disk_pump(&w->disks[1].disk, 0);
		intent_advance(w->in, 0);
	} while (w->disks[0].disk.in_flight + w->disks[1].disk.in_flight > 0);
}

static void log_fini(struct work *w)
{
	drain(w);
	intent_free(w->in);
	bitmap_slot_fini(&w->slot);
}

/* --- hits ---------------------------------------------------------------------------- */

static void write_all(struct work *w, uint32_t chunks)
{
	struct intent_write iw = { .ready = ready, .owner = w };
	uint32_t i;

	for (i = 0; i < chunks; i++) {
		iw.first = iw.last = w->order[i];
		if (intent_begin(w->in, &iw) == INTENT_WAIT)
			drain(w);
		intent_end(w->in, &iw, true);
	}
}

static double sample_hits(void *owner)
{
	struct work *w = owner;
	struct intent_write iw = { .ready = ready, .owner = w };
	uint64_t began = clock_boot_ns();
	uint32_t i, waits = 0;

	for (i = 0; i < PASSES; i++) {
		iw.first = iw.last = w->order[i % w->span];
		waits += intent_begin(w->in, &iw) != INTENT_READY;
		intent_end(w->in, &iw, true);
	}
	if (waits > 0)
		die("a hit waited");
	return PASSES * 1e3 / (double)(clock_boot_ns() - began);
}

/* As md_bitmap_startwrite() and _endwrite() on a chunk that is dirty. */
static double sample_counters(void *owner)
{
	struct work *w = owner;
	uint64_t began = clock_boot_ns();
	uint32_t i;

	for (i = 0; i < PASSES; i++) {
		uint16_t *counter = &w->counters[w->order[i % w->span]];

		pthread_spin_lock(&w->lock);
		*counter = (uint16_t)(*counter == 0 ? 3 : *counter + 1);
		pthread_spin_unlock(&w->lock);
		bench_consume(counter);
		pthread_spin_lock(&w->lock);
		*counter = (uint16_t)(*counter - 1);
		pthread_spin_unlock(&w->lock);
		bench_consume(counter);
	}
	return PASSES * 1e3 / (double)(clock_boot_ns() - began);
}

static void measure_hits(struct bench *bench, struct work *w, uint32_t span,
			 const char *name)
{
	w->span = span;
	bench_pair(bench, &(struct bench_pair){
		.name = name,
		.unit = "M/s",
		.peer = "md's counters",
		.note = "begin and end of a write; theirs: two bytes a chunk of the array, "
			"one spinlock, alone on it",
		.better = BENCH_MORE_IS_BETTER,
		.ours = sample_hits,
		.theirs = sample_counters,
		.owner = w,
	});
}

/* --- misses -------------------------------------------------------------------------- */

/* Writes of chunks that nobody wrote to, `depth` at once, with the budget far exceeded. */
static uint64_t miss(struct work *w)
{
	static struct intent_write iw[DEPTH_MOST];
	uint64_t began = clock_boot_ns();
	uint32_t i, k;

	for (i = 0; i < MISSES; i += w->depth) {
		for (k = 0; k < w->depth; k++) {
			iw[k] = (struct intent_write){ .ready = ready, .owner = w };
			iw[k].first = iw[k].last = draw(w, w->span);
			if (intent_begin(w->in, &iw[k]) < 0)
				die("no memory");
		}
		drain(w);
		for (k = 0; k < w->depth; k++)
			intent_end(w->in, &iw[k], true);
	}
	return clock_boot_ns() - began;
}

static void measure_misses(struct bench *bench, struct work *w, uint32_t depth, uint64_t span,
			   const char *name)
{
	struct intent_stats before, after;
	char text[80], note[80];
	uint64_t ns;

	log_init(w, 64 * MIB * 16);
	w->depth = depth;
	w->span = span;
	miss(w);
	intent_look(w->in, &before);
	ns = miss(w);
	intent_look(w->in, &after);
	(void)snprintf(text, sizeof(text), "%s, depth %u", name, depth);
	(void)snprintf(note, sizeof(note), "%.2f misses a page write, %.2f us each",
		       (double)(after.misses - before.misses) /
			       (double)(after.page_writes - before.page_writes),
		       (double)ns / 1e3 / MISSES);
	bench_row(bench, &(struct bench_row){
		.name = text,
		.unit = "page writes a write",
		.note = note,
		.better = BENCH_LESS_IS_BETTER,
		.value = (double)(after.page_writes - before.page_writes) / MISSES,
	});
	log_fini(w);
}

static void work_init(struct work *w)
{
	uint32_t i;

	w->order = calloc(HOT, sizeof(*w->order));
	w->counters = calloc(CHUNKS, sizeof(*w->counters));
	if (!w->order || !w->counters)
		die("no memory");
	pthread_spin_init(&w->lock, PTHREAD_PROCESS_PRIVATE);
	for (i = 0; i < HOT; i++)
		w->order[i] = (uint32_t)draw(w, CHUNKS);
}

int main(void)
{
	static struct work work;
	struct bench bench;

	work_init(&work);
	bench_init(&bench, "intent");
	log_init(&work, (uint64_t)CHUNKS * CHUNK);
	write_all(&work, HOT);
	measure_hits(&bench, &work, 64, "hit, 64 chunks");
	measure_hits(&bench, &work, 10000, "hit, 10,000 chunks");
	measure_hits(&bench, &work, HOT, "hit, 400,000 chunks of 16 M");
	log_fini(&work);
	measure_misses(&bench, &work, 1, CHUNKS, "miss, 513 pages");
	measure_misses(&bench, &work, 16, CHUNKS, "miss, 513 pages");
	measure_misses(&bench, &work, 64, CHUNKS, "miss, 513 pages");
	measure_misses(&bench, &work, 64, 131072, "miss, 5 pages");
	free(work.order);
	free(work.counters);
	return bench_fini(&bench);
}
