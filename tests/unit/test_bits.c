/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Every engine of bitmap/bits.c against a model with one bool a bit, at every
 * size up to 700 bits (words end at 64, vectors at 256 and 512, both with each
 * possible tail) and at sizes around a block of the merge and far above it.
 * The invariants W1 .. W4 are those at the top of bits.c.
 *
 * Maps end where an unreadable page begins, so that reading one byte too many
 * (W3) kills the test in any build; and as sizes go up by words they start at
 * every alignment that is a multiple of 8.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/arith.h"
#include "bitmap/bits.h"

enum {
	SMALL_BITS = 700,
	LARGE_BITS = 300 * 1000,
	AREA_BYTES = 512 * 1024, /* some pages, however large they are */
	LEAD_BYTES = 64, /* watched in front of a map, see area_check() */
};

static const uint64_t SEED = 0x6d64636c75737465;
static const uint8_t LEAD = 0xa5;

/* Large sizes: around words, blocks of the merge, pages; and none of these. */
static const uint64_t large_sizes[] = {
	2047, 2048, 2049, 4095, 4096, 4097, 4160, 6143, 6144, 6145, 8192,
	16383, 32767, 32768, 32769, 100003, 262144, 262145, LARGE_BITS,
};

#define check(ok, fmt, ...)                                                 \
	do {                                                                \
		if (!(ok))                                                  \
			fail_msg("%s, seed %#llx: %s: " fmt, bits_engine(), \
				 (unsigned long long)SEED, #ok,             \
				 __VA_ARGS__);                              \
	} while (0)

#define LLU(v) ((unsigned long long)(v))

/* splitmix64. */
static uint64_t next_random(uint64_t *state)
{
	uint64_t z = *state += 0x9e3779b97f4a7c15;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
	z = (z ^ z >> 27) * 0x94d049bb133111eb;
	return z ^ z >> 31;
}

/* ---- maps that end at a wall ---- */

static struct area {
	uint8_t *start; /* whole pages, the wall behind them */
} area_to, area_from;

static void protect(void *start, size_t bytes, int access)
{
	assert_int_equal(mprotect(start, bytes, access), 0);
}

static void area_init(struct area *area)
{
	size_t wall_bytes = (size_t)sysconf(_SC_PAGESIZE);
	void *start = mmap(NULL, AREA_BYTES + wall_bytes,
			   PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	assert_ptr_not_equal(start, MAP_FAILED);
	area->start = start;
	protect(area->start + AREA_BYTES, wall_bytes, PROT_NONE);
}

static uint8_t *area_map(struct area *area, uint64_t bits)
{
	uint8_t *map = area->start + AREA_BYTES - bits_bytes(bits);

	/* A test that failed half-way may have left it protected. */
	protect(area->start, AREA_BYTES, PROT_READ | PROT_WRITE);
	memset(map - LEAD_BYTES, LEAD, LEAD_BYTES);
	memset(map, 0, bits_bytes(bits));
	return map;
}

/* W3, on the side where there is no wall. */
static void area_check(const uint8_t *map)
{
	for (size_t i = 1; i <= LEAD_BYTES; i++)
		check(map[-(ptrdiff_t)i] == LEAD, "%zu before the map", i);
}

/* ---- the model: one bool a bit, everything bit by bit ---- */

struct model {
	bool bit[LARGE_BITS + 64]; /* with the rubbish past the end */
};

static struct model model_to, model_from;

/*
 * Random bits, of which `per_mille` are set, past the end as well. Half of the
 * words are left plain (all clear, or all set if most bits are), as blocks
 * that are all zero have their own path.
 */
static void model_fill(struct model *m, uint64_t bits, unsigned int per_mille,
		       uint64_t *random)
{
	uint64_t end = bits_bytes(bits) * 8;

	for (uint64_t word = 0; word < end / 64; word++) {
		bool is_plain = next_random(random) % 2;

		for (uint64_t i = word * 64; i < word * 64 + 64; i++)
			m->bit[i] = is_plain ? per_mille > 500
					     : next_random(random) % 1000 <
						       per_mille;
	}
}

static void model_trim(struct model *m, uint64_t bits)
{
	for (uint64_t i = bits; i < bits_bytes(bits) * 8; i++)
		m->bit[i] = false;
}

/* As md has it on disk: bit c is bit c % 8 of byte c / 8. */
static void model_write(const struct model *m, uint8_t *map, uint64_t bits)
{
	memset(map, 0, bits_bytes(bits));
	for (uint64_t i = 0; i < bits_bytes(bits) * 8; i++)
		if (m->bit[i])
			map[i / 8] = (uint8_t)(map[i / 8] | 1u << i % 8);
}

static void model_expect(const struct model *m, const uint8_t *map,
			 uint64_t bits, const char *after)
{
	for (uint64_t i = 0; i < bits_bytes(bits) * 8; i++)
		check((map[i / 8] >> i % 8 & 1) == m->bit[i],
		      "after %s: bit %llu of %llu", after, LLU(i), LLU(bits));
	area_check(map);
}

static uint64_t model_count(const struct model *m, uint64_t first, uint64_t end)
{
	uint64_t n = 0;

	for (uint64_t i = first; i < end; i++)
		n += m->bit[i];
	return n;
}

static uint64_t model_next(const struct model *m, uint64_t bits, uint64_t from,
			   bool value)
{
	for (uint64_t i = from; i < bits; i++)
		if (m->bit[i] == value)
			return i;
	return BITS_NONE;
}

/* ---- sizes and densities that every comparison goes through ---- */

typedef void (*size_fn)(uint64_t bits, unsigned int per_mille,
			uint64_t *random);

static const unsigned int densities[] = { 0, 2, 50, 500, 998, 1000 };

static void each_small_size(size_fn fn)
{
	uint64_t random = SEED;

	for (uint64_t bits = 0; bits <= SMALL_BITS; bits++)
		for (size_t d = 0; d < ARRAY_SIZE(densities); d++)
			fn(bits, densities[d], &random);
}

static void each_large_size(size_fn fn)
{
	uint64_t random = SEED;

	for (size_t s = 0; s < ARRAY_SIZE(large_sizes); s++)
		for (size_t d = 0; d < ARRAY_SIZE(densities); d++)
			fn(large_sizes[s], densities[d], &random);
}

/* ---- bits_or ---- */

/* `to` is clean past its end, `from` has rubbish there: W1, W2, W3. */
static void compare_or(uint64_t bits, unsigned int per_mille, uint64_t *random)
{
	uint8_t *to = area_map(&area_to, bits);
	uint8_t *from = area_map(&area_from, bits);
	bool expected = false;

	model_fill(&model_to, bits, per_mille, random);
	model_trim(&model_to, bits);
	model_fill(&model_from, bits, per_mille, random);
	model_write(&model_to, to, bits);
	model_write(&model_from, from, bits);

	for (uint64_t i = 0; i < bits; i++) {
		expected |= model_from.bit[i] && !model_to.bit[i];
		model_to.bit[i] |= model_from.bit[i];
	}

	check(bits_or(to, from, bits) == expected, "%llu bits, %u/1000",
	      LLU(bits), per_mille);
	model_expect(&model_to, to, bits, "or");
	model_expect(&model_from, from, bits, "or, in from");
	check(!bits_or(to, from, bits), "again, %llu bits", LLU(bits));
	model_expect(&model_to, to, bits, "or again");
}

static void or_equals_the_loop_over_bits(void **state)
{
	(void)state;
	each_small_size(compare_or);
	each_large_size(compare_or);
}

/* W2 where one bit makes the difference, at each place of each size. */
static void or_reports_a_single_new_bit_wherever_it_is(void **state)
{
	(void)state;
	for (uint64_t bits = 1; bits <= SMALL_BITS; bits++) {
		uint8_t *to = area_map(&area_to, bits);
		uint8_t *from = area_map(&area_from, bits);

		for (uint64_t i = 0; i < bits; i++) {
			/* All but the new bit are there already. */
			memset(to, 0xff, bits_bytes(bits));
			memset(from, 0xff, bits_bytes(bits));
			to[i / 8] = (uint8_t)~(1u << i % 8);
			check(bits_or(to, from, bits), "bit %llu of %llu",
			      LLU(i), LLU(bits));
			check(to[i / 8] == 0xff, "bit %llu of %llu", LLU(i),
			      LLU(bits));
			check(!bits_or(to, from, bits), "bit %llu of %llu",
			      LLU(i), LLU(bits));
		}
	}
}

static void or_reports_a_single_new_bit_in_every_word_of_a_large_map(void **state)
{
	const uint64_t bits = 32769;
	uint8_t *to = area_map(&area_to, bits);
	uint8_t *from = area_map(&area_from, bits);

	(void)state;
	for (uint64_t i = 0; i < bits; i += 61) {
		memset(to, 0, bits_bytes(bits));
		memset(from, 0, bits_bytes(bits));
		from[i / 8] = (uint8_t)(1u << i % 8);
		check(bits_or(to, from, bits), "bit %llu", LLU(i));
		check(memcmp(to, from, bits_bytes(bits)) == 0, "bit %llu",
		      LLU(i));
		check(!bits_or(to, from, bits), "bit %llu", LLU(i));
	}
}

/* W1: rubbish past the end of `from` is neither merged nor "changed". */
static void or_ignores_bits_past_the_end(void **state)
{
	(void)state;
	for (uint64_t bits = 0; bits <= SMALL_BITS; bits++) {
		uint8_t *to = area_map(&area_to, bits);
		uint8_t *from = area_map(&area_from, bits);

		for (uint64_t i = bits; i < bits_bytes(bits) * 8; i++)
			from[i / 8] = (uint8_t)(from[i / 8] | 1u << i % 8);
		check(!bits_or(to, from, bits), "%llu bits", LLU(bits));
		for (size_t i = 0; i < bits_bytes(bits); i++)
			check(to[i] == 0, "byte %zu of %llu bits", i,
			      LLU(bits));
	}
}

/* W4: `to` may be read-only, a store would kill the test. */
static void or_does_not_write_what_it_does_not_change(void **state)
{
	uint64_t random = SEED;

	(void)state;
	for (size_t s = 0; s < ARRAY_SIZE(large_sizes); s++) {
		uint64_t bits = large_sizes[s];
		uint8_t *to = area_map(&area_to, bits);
		uint8_t *from = area_map(&area_from, bits);

		model_fill(&model_from, bits, 500, &random);
		model_write(&model_from, from, bits);
		model_write(&model_from, to, bits);
		protect(area_to.start, AREA_BYTES, PROT_READ);
		check(!bits_or(to, from, bits), "%llu bits", LLU(bits));
	}
}

/* W4: `to` is not there at all. */
static void or_from_zeroes_does_not_even_read_to(void **state)
{
	(void)state;
	for (uint64_t bits = 0; bits <= SMALL_BITS; bits++) {
		uint8_t *to = area_map(&area_to, bits);
		uint8_t *from = area_map(&area_from, bits);

		protect(area_to.start, AREA_BYTES, PROT_NONE);
		check(!bits_or(to, from, bits), "%llu bits", LLU(bits));
	}
}

/* W4: only one page of `to` is there, and only that part of `from` is dirty. */
static void or_does_not_touch_where_from_is_zero(void **state)
{
	const uint64_t bits = AREA_BYTES / 2 * 8;
	const size_t page = (size_t)sysconf(_SC_PAGESIZE);
	uint8_t *to = area_map(&area_to, bits);
	uint8_t *from = area_map(&area_from, bits);

	(void)state;
	for (size_t at = 0; at < bits_bytes(bits); at += page) {
		memset(from + at, 0x11, page);
		protect(to, bits_bytes(bits), PROT_NONE);
		protect(to + at, page, PROT_READ | PROT_WRITE);
		check(bits_or(to, from, bits), "page at %zu", at);
		check(memcmp(to + at, from + at, page) == 0, "page at %zu", at);
		memset(from + at, 0, page);
	}
}

static void or_with_itself_changes_nothing(void **state)
{
	uint8_t *map = area_map(&area_to, SMALL_BITS);
	uint64_t random = SEED;

	(void)state;
	model_fill(&model_to, SMALL_BITS, 500, &random);
	model_write(&model_to, map, SMALL_BITS);
	check(!bits_or(map, map, SMALL_BITS), "%d bits", SMALL_BITS);
	model_expect(&model_to, map, SMALL_BITS, "or with itself");
}

/* ---- bits_count, bits_any, bits_test ---- */

static void compare_count(uint64_t bits, unsigned int per_mille,
			  uint64_t *random)
{
	uint8_t *map = area_map(&area_from, bits);
	uint64_t expected;

	model_fill(&model_from, bits, per_mille, random);
	model_write(&model_from, map, bits);
	expected = model_count(&model_from, 0, bits);
	check(bits_count(map, bits) == expected, "%llu bits, %u/1000",
	      LLU(bits), per_mille);
	check(bits_any(map, bits) == (expected > 0), "%llu bits, %u/1000",
	      LLU(bits), per_mille);
}

static void count_and_any_equal_the_loop_over_bits(void **state)
{
	(void)state;
	each_small_size(compare_count);
	each_large_size(compare_count);
}

/* 256 KiB of ones: vector counters that are too narrow overflow here. */
static void count_of_a_large_full_map_does_not_overflow(void **state)
{
	const uint64_t bits = AREA_BYTES / 2 * 8;
	uint8_t *map = area_map(&area_from, bits);

	(void)state;
	memset(map, 0xff, bits_bytes(bits));
	check(bits_count(map, bits) == bits, "%llu bits", LLU(bits));
	check(bits_count(map, bits - 1) == bits - 1, "%llu bits", LLU(bits));
}

/* W1: what mdadm leaves in slot 0 is not dirty. */
static void count_any_and_runs_ignore_bits_past_the_end(void **state)
{
	(void)state;
	for (uint64_t bits = 0; bits <= SMALL_BITS; bits++) {
		uint8_t *map = area_map(&area_from, bits);
		struct bits_run run = BITS_RUN_START;

		for (uint64_t i = bits; i < bits_bytes(bits) * 8; i++)
			map[i / 8] = (uint8_t)(map[i / 8] | 1u << i % 8);
		check(bits_count(map, bits) == 0, "%llu bits", LLU(bits));
		check(!bits_any(map, bits), "%llu bits", LLU(bits));
		check(bits_next_set(map, bits, 0) == BITS_NONE, "%llu bits",
		      LLU(bits));
		check(!bits_next_run(map, bits, &run), "%llu bits", LLU(bits));
	}
}

static void any_sees_a_single_bit_wherever_it_is(void **state)
{
	(void)state;
	for (uint64_t bits = 1; bits <= SMALL_BITS; bits++) {
		uint8_t *map = area_map(&area_from, bits);

		for (uint64_t i = 0; i < bits; i++) {
			map[i / 8] = (uint8_t)(1u << i % 8);
			check(bits_any(map, bits), "bit %llu of %llu", LLU(i),
			      LLU(bits));
			check(bits_count(map, bits) == 1, "bit %llu of %llu",
			      LLU(i), LLU(bits));
			map[i / 8] = 0;
		}
	}
}

static void compare_test(uint64_t bits, unsigned int per_mille,
			 uint64_t *random)
{
	uint8_t *map = area_map(&area_from, bits);

	model_fill(&model_from, bits, per_mille, random);
	model_write(&model_from, map, bits);
	for (uint64_t i = 0; i < bits; i++)
		check(bits_test(map, i) == model_from.bit[i],
		      "bit %llu of %llu", LLU(i), LLU(bits));
}

static void test_reads_bits_in_md_order(void **state)
{
	(void)state;
	each_small_size(compare_test);
}

/* ---- ranges ---- */

/* Over a random map: both what is inside and what is outside must be right. */
static void compare_range(uint64_t bits, uint64_t first, uint64_t last,
			  uint64_t *random)
{
	uint8_t *map = area_map(&area_to, bits);
	uint64_t n;

	model_fill(&model_to, bits, 500, random);
	model_write(&model_to, map, bits);

	n = bits_count_range(map, first, last);
	check(n == model_count(&model_to, first, last + 1),
	      "[%llu, %llu] counts %llu", LLU(first), LLU(last), LLU(n));

	for (uint64_t i = first; i <= last; i++)
		model_to.bit[i] = true;
	bits_set_range(map, first, last);
	model_expect(&model_to, map, bits, "set range");
	n = bits_count_range(map, first, last);
	check(n == last - first + 1, "[%llu, %llu] counts %llu", LLU(first),
	      LLU(last), LLU(n));

	for (uint64_t i = first; i <= last; i++)
		model_to.bit[i] = false;
	bits_clear_range(map, first, last);
	model_expect(&model_to, map, bits, "clear range");
	n = bits_count_range(map, first, last);
	check(n == 0, "[%llu, %llu] counts %llu", LLU(first), LLU(last),
	      LLU(n));
}

/* All of them in a map of three words and a tail; the ends fall anywhere. */
static void ranges_change_and_count_exactly_first_to_last(void **state)
{
	const uint64_t bits = 200;
	uint64_t random = SEED;

	(void)state;
	for (uint64_t first = 0; first < bits; first++)
		for (uint64_t last = first; last < bits; last++)
			compare_range(bits, first, last, &random);
}

static void long_ranges_change_and_count_exactly_first_to_last(void **state)
{
	uint64_t random = SEED;

	(void)state;
	for (unsigned int i = 0; i < 200; i++) {
		uint64_t bits = 1 + next_random(&random) % 20000;
		uint64_t a = next_random(&random) % bits;
		uint64_t b = next_random(&random) % bits;

		compare_range(bits, min_u64(a, b), max_u64(a, b), &random);
	}
}

/* ---- searches and runs ---- */

/* From every bit and past the end; the rubbish there must stay invisible. */
static void compare_next(uint64_t bits, unsigned int per_mille,
			 uint64_t *random)
{
	uint8_t *map = area_map(&area_from, bits);
	uint64_t set = BITS_NONE;
	uint64_t clear = BITS_NONE;

	model_fill(&model_from, bits, per_mille, random);
	model_write(&model_from, map, bits);
	check(bits_next_set(map, bits, bits) == BITS_NONE, "%llu bits",
	      LLU(bits));
	check(bits_next_clear(map, bits, bits + 1) == BITS_NONE, "%llu bits",
	      LLU(bits));
	check(bits_next_set(map, bits, BITS_NONE) == BITS_NONE, "%llu bits",
	      LLU(bits));

	for (uint64_t from = bits; from-- > 0;) {
		if (model_from.bit[from])
			set = from;
		else
			clear = from;
		check(bits_next_set(map, bits, from) == set,
		      "from %llu of %llu", LLU(from), LLU(bits));
		check(bits_next_clear(map, bits, from) == clear,
		      "from %llu of %llu", LLU(from), LLU(bits));
	}
}

static void next_set_and_clear_equal_the_loop_from_every_bit(void **state)
{
	(void)state;
	each_small_size(compare_next);
}

/* A single odd bit in an otherwise plain map, found over any distance. */
static void next_set_and_clear_find_a_single_bit_over_any_distance(void **state)
{
	const uint64_t bits = 5000;
	uint8_t *map = area_map(&area_from, bits);

	(void)state;
	for (uint64_t i = 0; i < bits; i++) {
		for (uint64_t from = 0; from <= i; from += 499) {
			memset(map, 0, bits_bytes(bits));
			map[i / 8] = (uint8_t)(1u << i % 8);
			check(bits_next_set(map, bits, from) == i,
			      "bit %llu from %llu", LLU(i), LLU(from));
			memset(map, 0xff, bits_bytes(bits));
			map[i / 8] = (uint8_t)~(1u << i % 8);
			check(bits_next_clear(map, bits, from) == i,
			      "bit %llu from %llu", LLU(i), LLU(from));
		}
	}
}

static void compare_runs(uint64_t bits, unsigned int per_mille,
			 uint64_t *random)
{
	uint8_t *map = area_map(&area_from, bits);
	struct bits_run run = BITS_RUN_START;
	uint64_t from = 0;

	model_fill(&model_from, bits, per_mille, random);
	model_write(&model_from, map, bits);

	while (bits_next_run(map, bits, &run)) {
		uint64_t first = model_next(&model_from, bits, from, true);
		uint64_t end = model_next(&model_from, bits, first, false);

		check(run.first == first, "%llu, not %llu, of %llu",
		      LLU(run.first), LLU(first), LLU(bits));
		check(run.last == min_u64(end, bits) - 1,
		      "%llu, run at %llu of %llu", LLU(run.last), LLU(first),
		      LLU(bits));
		from = run.last + 1;
	}
	check(model_next(&model_from, bits, from, true) == BITS_NONE,
	      "run missed after %llu of %llu", LLU(from), LLU(bits));
	check(!bits_next_run(map, bits, &run), "again, %llu bits", LLU(bits));
}

static void runs_are_exactly_those_of_the_loop_over_bits(void **state)
{
	(void)state;
	each_small_size(compare_runs);
	each_large_size(compare_runs);
}

static void a_full_map_is_one_run_and_an_empty_one_none(void **state)
{
	(void)state;
	for (uint64_t bits = 1; bits <= SMALL_BITS; bits++) {
		uint8_t *map = area_map(&area_from, bits);
		struct bits_run run = BITS_RUN_START;

		check(!bits_next_run(map, bits, &run), "%llu bits", LLU(bits));
		memset(map, 0xff, bits_bytes(bits));
		check(bits_next_run(map, bits, &run), "%llu bits", LLU(bits));
		check(run.first == 0 && run.last == bits - 1,
		      "[%llu, %llu] of %llu", LLU(run.first), LLU(run.last),
		      LLU(bits));
		check(!bits_next_run(map, bits, &run), "%llu bits", LLU(bits));
	}
}

/* ---- engines ---- */

static const char *const engines[] = { "avx512", "avx2", "generic" };

/* Must run before any test chooses an engine. */
static void the_best_engine_is_the_default(void **state)
{
	const char *chosen = bits_engine();
	const char *best = NULL;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(engines) && !best; i++)
		if (bits_use_engine(engines[i]))
			best = engines[i];
	assert_non_null(best);
	assert_string_equal(chosen, best);
}

static void an_unknown_engine_is_refused_and_the_old_one_stays(void **state)
{
	(void)state;
	assert_true(bits_use_engine("generic"));
	assert_false(bits_use_engine("avx1024"));
	assert_false(bits_use_engine(""));
	assert_string_equal(bits_engine(), "generic");
}

static const struct CMUnitTest choice_tests[] = {
	cmocka_unit_test(the_best_engine_is_the_default),
	cmocka_unit_test(an_unknown_engine_is_refused_and_the_old_one_stays),
};

static const struct CMUnitTest engine_tests[] = {
	cmocka_unit_test(or_equals_the_loop_over_bits),
	cmocka_unit_test(or_reports_a_single_new_bit_wherever_it_is),
	cmocka_unit_test(or_reports_a_single_new_bit_in_every_word_of_a_large_map),
	cmocka_unit_test(or_ignores_bits_past_the_end),
	cmocka_unit_test(or_does_not_write_what_it_does_not_change),
	cmocka_unit_test(or_from_zeroes_does_not_even_read_to),
	cmocka_unit_test(or_does_not_touch_where_from_is_zero),
	cmocka_unit_test(or_with_itself_changes_nothing),
	cmocka_unit_test(count_and_any_equal_the_loop_over_bits),
	cmocka_unit_test(count_of_a_large_full_map_does_not_overflow),
	cmocka_unit_test(count_any_and_runs_ignore_bits_past_the_end),
	cmocka_unit_test(any_sees_a_single_bit_wherever_it_is),
	cmocka_unit_test(test_reads_bits_in_md_order),
	cmocka_unit_test(ranges_change_and_count_exactly_first_to_last),
	cmocka_unit_test(long_ranges_change_and_count_exactly_first_to_last),
	cmocka_unit_test(next_set_and_clear_equal_the_loop_from_every_bit),
	cmocka_unit_test(next_set_and_clear_find_a_single_bit_over_any_distance),
	cmocka_unit_test(runs_are_exactly_those_of_the_loop_over_bits),
	cmocka_unit_test(a_full_map_is_one_run_and_an_empty_one_none),
};

int main(void)
{
	int failed = cmocka_run_group_tests_name("choice of engine",
						 choice_tests, NULL, NULL);

	area_init(&area_to);
	area_init(&area_from);
	for (size_t i = 0; i < ARRAY_SIZE(engines); i++) {
		if (!bits_use_engine(engines[i])) {
			print_message("[  SKIPPED ] engine %s: not on this processor\n",
				      engines[i]);
			continue;
		}
		failed += cmocka_run_group_tests_name(engines[i], engine_tests,
						      NULL, NULL);
	}
	return failed != 0;
}
