/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The harness of all benchmarks: ours against a peer, in the same run.
 *
 * Both sides of a row are sampled in turn, ours, peer, ours, peer, so that a
 * noisy neighbour or a warm CPU meets both; the row has the median of each.
 * `ratio` above 1 always means that ours is better, whatever the unit.
 *
 *	struct bench bench;
 *
 *	bench_init(&bench, "bits");
 *	bench_pair(&bench, &(struct bench_pair){
 *		.name = "or 2 MiB sparse", .unit = "GB/s", .peer = "memcpy",
 *		.better = BENCH_MORE_IS_BETTER,
 *		.ours = sample_or, .theirs = sample_memcpy, .owner = &maps });
 *	return bench_fini(&bench);
 *
 * Every row is appended at once to the file named by BENCH_JSONL (default
 * "bench.jsonl"), one JSON object a line with the keys bench, case, value,
 * unit, peer, peer_value, ratio, note; null where there is no peer or note.
 * bench_fini() prints them as a table. BENCH_BRIEF=1 samples each side once:
 * that proves in CI that the benchmark runs, its numbers are no measurement.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum bench_better {
	BENCH_MORE_IS_BETTER, /* throughput */
	BENCH_LESS_IS_BETTER, /* latency, bytes written */
};

/* Runs one side once; the result is in the unit of the row, and above 0. */
typedef double (*bench_sample_fn)(void *owner);

struct bench_pair {
	const char *name; /* "case" in the JSON */
	const char *unit;
	const char *peer; /* who `theirs` is; NULL with it */
	const char *note; /* what differs between the two; may be NULL */
	enum bench_better better;
	unsigned int rounds; /* samples a side; 0: the default of 9 */
	bench_sample_fn ours;
	bench_sample_fn theirs; /* NULL: a row without a peer */
	void *owner;
};

/* A finished row. Texts are copied, none is kept. */
struct bench_row {
	const char *name;
	const char *unit;
	const char *peer; /* NULL: peer_value is without meaning */
	const char *note;
	enum bench_better better;
	double value;
	double peer_value;
};

/* Embedded in its user; owns its rows until bench_fini(). */
struct bench {
	const char *name;
	struct bench_line *lines;
	size_t count;
	bool failed; /* a row was lost, stderr says why */
};

void bench_init(struct bench *bench, const char *name);

/* Samples both sides and adds the row. */
void bench_pair(struct bench *bench, const struct bench_pair *pair);

/* Adds a row measured elsewhere, for example in another process. */
void bench_row(struct bench *bench, const struct bench_row *row);

/* Prints the table; EXIT_SUCCESS, or EXIT_FAILURE if a row was lost. */
int bench_fini(struct bench *bench);

bool bench_is_brief(void);

/* `bytes` in `ns`, as GB/s (10^9). At least 1 ns, so always finite. */
double bench_gb_per_s(uint64_t bytes, uint64_t ns);

/* The compiler must have computed v by here, and cannot know it after. */
static inline uint64_t bench_opaque(uint64_t v)
{
	__asm__ volatile("" : "+r"(v));
	return v;
}

/* The compiler must have written what p points to by here. */
static inline void bench_consume(const void *p)
{
	__asm__ volatile("" : : "r"(p) : "memory");
}
