/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * How fast maps merge and count, against memcpy() of the same buffers (what the
 * memory allows) and against a loop over bits (what the kernel does, and what
 * makes the recovery of a dead node slow).
 *
 *	bench_bits [engine]
 *
 * Small maps come as a pool, so that one sample is long enough for the clock;
 * the pool stays within the L2 cache. Before every timed pass `to` is put back
 * to its first contents, for each side alike: caches are equally warm, and
 * every merge finds its new bits new. GB/s are bytes of one map a second.
 *
 * Bits of the sparse maps are scattered singly, which leaves few zero blocks
 * to skip; the maps with runs have as many bits, in runs as real writes make.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arith.h"
#include "base/clock.h"
#include "bitmap/bits.h"
#include "tests/bench/bench.h"

#define KIB 1024ull
#define MIB (1024 * KIB)
#define POOL_BYTES (256 * KIB)
#define SAMPLE_BYTES (8 * MIB) /* at least that much a sample */

/* `to` and `from` are pools of `maps` maps each, one after the other. */
struct maps {
	uint8_t *to;
	uint8_t *from;
	uint8_t *first_to; /* what `to` is before each pass */
	size_t map_bytes;
	size_t maps;
	size_t passes;      /* a sample of the fast sides */
	size_t loop_passes; /* a sample of the loops over bits */
	uint64_t checksum;  /* of all results; see check() */
};

static uint64_t next_random(uint64_t *state)
{
	uint64_t z = *state += 0x9e3779b97f4a7c15;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
	z = (z ^ z >> 27) * 0x94d049bb133111eb;
	return z ^ z >> 31;
}

static size_t pool_bytes(const struct maps *m)
{
	return m->map_bytes * m->maps;
}

/* ---- the peers ---- */

/*
 * Plain, not atomic as the kernel's set_bit(): that flatters the peer. The
 * opaque index keeps the compiler from making vectors of the loop; a place of
 * its own, from being a third slower in one build of the program than in the
 * next.
 */
#define STEADY __attribute__((noinline, aligned(64)))

STEADY static bool loop_or(uint8_t *to, const uint8_t *from, uint64_t bits)
{
	bool changed = false;

	for (uint64_t i = 0; i < bits; i = bench_opaque(i + 1)) {
		if (!(from[i / 8] >> i % 8 & 1))
			continue;
		if (to[i / 8] >> i % 8 & 1)
			continue;
		to[i / 8] = (uint8_t)(to[i / 8] | 1u << i % 8);
		changed = true;
	}
	return changed;
}

STEADY static uint64_t loop_count(const uint8_t *map, uint64_t bits)
{
	uint64_t n = 0;

	for (uint64_t i = 0; i < bits; i = bench_opaque(i + 1))
		if (map[i / 8] >> i % 8 & 1)
			n++;
	return n;
}

/* ---- one pass of each side over one map ---- */

typedef uint64_t (*pass_fn)(uint8_t *to, const uint8_t *from, size_t bytes);

static uint64_t pass_or(uint8_t *to, const uint8_t *from, size_t bytes)
{
	return bits_or(to, from, bytes * 8);
}

static uint64_t pass_count(uint8_t *to, const uint8_t *from, size_t bytes)
{
	(void)to;
	return bits_count(from, bytes * 8);
}

static uint64_t pass_memcpy(uint8_t *to, const uint8_t *from, size_t bytes)
{
	memcpy(to, from, bytes);
	return 0;
}

static uint64_t pass_loop_or(uint8_t *to, const uint8_t *from, size_t bytes)
{
	return loop_or(to, from, bytes * 8);
}

static uint64_t pass_loop_count(uint8_t *to, const uint8_t *from, size_t bytes)
{
	(void)to;
	return loop_count(from, bytes * 8);
}

static double sample(struct maps *m, pass_fn pass, size_t passes)
{
	uint64_t ns = 0;

	for (size_t i = 0; i < passes; i++) {
		uint64_t started_ns;

		memcpy(m->to, m->first_to, pool_bytes(m));
		bench_consume(m->to);
		started_ns = clock_boot_ns();
		for (size_t k = 0; k < m->maps; k++) {
			size_t at = k * m->map_bytes;

			m->checksum += pass(m->to + at, m->from + at,
					    m->map_bytes);
			bench_consume(m->to);
		}
		ns += clock_boot_ns() - started_ns;
	}
	bench_opaque(m->checksum);
	return bench_gb_per_s(pool_bytes(m) * passes, ns);
}

static double sample_or(void *owner)
{
	struct maps *m = owner;

	return sample(m, pass_or, m->passes);
}

static double sample_count(void *owner)
{
	struct maps *m = owner;

	return sample(m, pass_count, m->passes);
}

static double sample_memcpy(void *owner)
{
	struct maps *m = owner;

	return sample(m, pass_memcpy, m->passes);
}

static double sample_loop_or(void *owner)
{
	struct maps *m = owner;

	return sample(m, pass_loop_or, m->loop_passes);
}

static double sample_loop_count(void *owner)
{
	struct maps *m = owner;

	return sample(m, pass_loop_count, m->loop_passes);
}

/* ---- the maps ---- */

/* One bit in a thousand, in runs of `run_bits` that may touch. */
static void fill_runs(uint8_t *map, size_t bytes, uint64_t run_bits,
		      uint64_t *random)
{
	uint64_t bits = bytes * 8;

	memset(map, 0, bytes);
	for (uint64_t i = 0; i < bits / 1000 / run_bits; i++) {
		uint64_t first = next_random(random) % (bits - run_bits);

		bits_set_range(map, first, first + run_bits - 1);
	}
}

static void fill_sparse(uint8_t *map, size_t bytes, uint64_t *random)
{
	fill_runs(map, bytes, 1, random);
}

static void fill_sparse_runs(uint8_t *map, size_t bytes, uint64_t *random)
{
	fill_runs(map, bytes, 64, random);
}

static void fill_dense(uint8_t *map, size_t bytes, uint64_t *random)
{
	for (size_t at = 0; at < bytes; at += 8) {
		uint64_t v = next_random(random);

		memcpy(map + at, &v, sizeof(v));
	}
}

struct content {
	const char *name;
	void (*fill)(uint8_t *map, size_t bytes, uint64_t *random);
};

static const struct content contents[] = {
	{ "sparse", fill_sparse },
	{ "sparse runs", fill_sparse_runs },
	{ "dense", fill_dense },
};

static uint8_t *map_new(size_t bytes)
{
	uint8_t *map = aligned_alloc(4096, round_up(bytes, 4096));

	if (!map) {
		fprintf(stderr, "bench bits: no %zu bytes for a map\n", bytes);
		exit(EXIT_FAILURE);
	}
	return map;
}

static void maps_init(struct maps *m, size_t map_bytes,
		      const struct content *content)
{
	uint64_t random = 1;

	*m = (struct maps){ .map_bytes = map_bytes };
	m->maps = max_u64(POOL_BYTES / map_bytes, 1);
	m->passes = max_u64(SAMPLE_BYTES / pool_bytes(m), 1);
	m->loop_passes = 1;
	m->to = map_new(pool_bytes(m));
	m->from = map_new(pool_bytes(m));
	m->first_to = map_new(pool_bytes(m));
	content->fill(m->from, pool_bytes(m), &random);
	content->fill(m->first_to, pool_bytes(m), &random);
}

static void maps_fini(struct maps *m)
{
	free(m->to);
	free(m->from);
	free(m->first_to);
}

/* A fast wrong answer is no result: ours must equal the loop over bits. */
static void check(struct maps *m)
{
	size_t bytes = min_u64(pool_bytes(m), 2 * MIB);
	uint8_t *expected = map_new(bytes);

	memcpy(m->to, m->first_to, bytes);
	memcpy(expected, m->first_to, bytes);
	if (bits_or(m->to, m->from, bytes * 8) !=
		    loop_or(expected, m->from, bytes * 8) ||
	    memcmp(m->to, expected, bytes) != 0 ||
	    bits_count(m->from, bytes * 8) != loop_count(m->from, bytes * 8)) {
		fprintf(stderr, "bench bits: %s is wrong\n", bits_engine());
		exit(EXIT_FAILURE);
	}
	free(expected);
}

/* ---- the rows ---- */

static void measure(struct bench *bench, struct maps *m, const char *what,
		    bench_sample_fn ours, const char *peer,
		    bench_sample_fn theirs, const char *differs,
		    unsigned int rounds)
{
	char note[160];

	snprintf(note, sizeof(note), "%s; %s", bits_engine(), differs);
	bench_pair(bench, &(struct bench_pair){
		.name = what,
		.unit = "GB/s",
		.peer = peer,
		.note = note,
		.better = BENCH_MORE_IS_BETTER,
		.rounds = rounds,
		.ours = ours,
		.theirs = theirs,
		.owner = m,
	});
}

static void measure_size(struct bench *bench, size_t map_bytes,
			 const char *size, const struct content *content)
{
	/* A loop over the 512 M bits of the largest takes seconds. */
	unsigned int loop_rounds = map_bytes > 2 * MIB ? 3 : 9;
	char or_case[64], count_case[64];
	struct maps m;

	snprintf(or_case, sizeof(or_case), "or %s %s", size, content->name);
	snprintf(count_case, sizeof(count_case), "count %s %s", size, content->name);
	maps_init(&m, map_bytes, content);
	check(&m);
	measure(bench, &m, or_case, sample_or, "memcpy", sample_memcpy,
		"or reads two maps, writes blocks that change; "
		"memcpy reads one, writes all", 21);
	measure(bench, &m, or_case, sample_or, "bit loop", sample_loop_or,
		"same maps; the loop sets bits non-atomically", loop_rounds);
	measure(bench, &m, count_case, sample_count, "memcpy", sample_memcpy,
		"count reads one map; memcpy writes another as well", 21);
	measure(bench, &m, count_case, sample_count, "bit loop",
		sample_loop_count, "same map", loop_rounds);
	maps_fini(&m);
}

int main(int argc, char **argv)
{
	struct bench bench;

	if (argc > 2 || (argc == 2 && !bits_use_engine(argv[1]))) {
		fprintf(stderr, "usage: bench_bits [avx512|avx2|generic]; "
				"this processor may not have all\n");
		return EXIT_FAILURE;
	}

	bench_init(&bench, "bits");
	for (size_t i = 0; i < ARRAY_SIZE(contents); i++) {
		measure_size(&bench, 4 * KIB, "4 KiB", &contents[i]);
		measure_size(&bench, 128 * KIB, "128 KiB", &contents[i]);
		measure_size(&bench, 2 * MIB, "2 MiB", &contents[i]);
		if (!bench_is_brief())
			measure_size(&bench, 64 * MIB, "64 MiB", &contents[i]);
	}
	return bench_fini(&bench);
}
