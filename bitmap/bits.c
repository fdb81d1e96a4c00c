/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Maps of chunk bits, as bits.h promises them. The engine (bits_engine.h) does
 * whole words; what is here finds the engine once and masks the words that are
 * used only in part. Invariants:
 *
 *   W1  A bit at or past `bits` is never set, counted or reported, even where
 *       the buffer has rubbish there.
 *   W2  bits_or() returns true exactly if a bit of `to` turned from 0 to 1.
 *   W3  No byte past bits_bytes(bits) is read or written.
 *   W4  A map that gains nothing is not written; one merged from zeroes is not
 *       even read. Pages of it stay clean, and unshared after a fork.
 *
 * tests/unit/test_bits.c holds every engine to them.
 *
 * Masks speak of bit positions, so words that meet one are converted from the
 * map's little endian first. Engines never need that.
 */
#include "bitmap/bits.h"

#include <assert.h>
#include <endian.h>
#include <stdatomic.h>
#include <string.h>

#include "base/arith.h"
#include "bitmap/bits_engine.h"

enum { WORD_BITS = 64 };

/* Best first; the last one always works. */
static const struct bits_ops *const engines[] = {
#if defined(__x86_64__)
	&bits_avx512_ops,
	&bits_avx2_ops,
#endif
	&bits_generic_ops,
};

/* NULL until first use. Threads that race to fill it store the same engine. */
static const struct bits_ops *_Atomic chosen;

static const struct bits_ops *choose_engine(void)
{
	size_t i = 0;

	while (!engines[i]->is_usable())
		i++;
	atomic_store_explicit(&chosen, engines[i], memory_order_relaxed);
	return engines[i];
}

static inline const struct bits_ops *engine(void)
{
	const struct bits_ops *ops =
		atomic_load_explicit(&chosen, memory_order_relaxed);

	return ops ? ops : choose_engine();
}

const char *bits_engine(void)
{
	return engine()->name;
}

bool bits_use_engine(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(engines); i++) {
		if (strcmp(engines[i]->name, name) != 0)
			continue;
		if (!engines[i]->is_usable())
			return false;
		atomic_store_explicit(&chosen, engines[i], memory_order_relaxed);
		return true;
	}
	return false;
}

static inline size_t word_of(uint64_t bit)
{
	return (size_t)(bit / WORD_BITS);
}

/* The bits of a word at or above `bit`, and those at or below it. */
static inline uint64_t mask_from(uint64_t bit)
{
	return ~0ull << (bit % WORD_BITS);
}

static inline uint64_t mask_to(uint64_t bit)
{
	return ~0ull >> (WORD_BITS - 1 - bit % WORD_BITS);
}

/* The used bits of the last word of a map that does not end with a word. */
static inline uint64_t mask_tail(uint64_t bits)
{
	return mask_to(bits - 1);
}

static inline bool has_tail(uint64_t bits)
{
	return bits % WORD_BITS != 0;
}

/* A word with bit i of the map's word at 1 << i, on every host. */
static inline uint64_t get_word(const uint8_t *map, size_t word)
{
	return le64toh(bits_word_load(map, word));
}

static inline void put_word(uint8_t *map, size_t word, uint64_t v)
{
	bits_word_store(map, word, htole64(v));
}

static inline uint64_t popcount(uint64_t v)
{
	return (uint64_t)__builtin_popcountll(v);
}

static bool merge_word(uint8_t *to, const uint8_t *from, size_t word,
		       uint64_t mask)
{
	uint64_t f = get_word(from, word) & mask;
	uint64_t t;

	if (f == 0)
		return false;
	t = get_word(to, word);
	if ((f & ~t) == 0)
		return false;
	put_word(to, word, t | f);
	return true;
}

bool bits_or(uint8_t *to, const uint8_t *from, uint64_t bits)
{
	size_t words = word_of(bits);
	bool changed = engine()->merge(to, from, words);

	if (has_tail(bits))
		changed |= merge_word(to, from, words, mask_tail(bits));
	return changed;
}

uint64_t bits_count(const uint8_t *map, uint64_t bits)
{
	size_t words = word_of(bits);
	uint64_t n = engine()->count(map, words);

	if (has_tail(bits))
		n += popcount(get_word(map, words) & mask_tail(bits));
	return n;
}

bool bits_any(const uint8_t *map, uint64_t bits)
{
	return bits_next_set(map, bits, 0) != BITS_NONE;
}

/* Sets (clears) the masked bits of one word. */
static void fill_word(uint8_t *map, size_t word, uint64_t mask, bool set)
{
	uint64_t v = get_word(map, word);

	put_word(map, word, set ? v | mask : v & ~mask);
}

static void fill_range(uint8_t *map, uint64_t first, uint64_t last, bool set)
{
	size_t head = word_of(first);
	size_t tail = word_of(last);

	assert(first <= last);
	if (head == tail) {
		fill_word(map, head, mask_from(first) & mask_to(last), set);
		return;
	}
	fill_word(map, head, mask_from(first), set);
	memset(map + (head + 1) * BITS_WORD_BYTES, set ? 0xff : 0,
	       (tail - head - 1) * BITS_WORD_BYTES);
	fill_word(map, tail, mask_to(last), set);
}

void bits_set_range(uint8_t *map, uint64_t first, uint64_t last)
{
	fill_range(map, first, last, true);
}

void bits_clear_range(uint8_t *map, uint64_t first, uint64_t last)
{
	fill_range(map, first, last, false);
}

uint64_t bits_count_range(const uint8_t *map, uint64_t first, uint64_t last)
{
	size_t head = word_of(first);
	size_t tail = word_of(last);

	assert(first <= last);
	if (head == tail)
		return popcount(get_word(map, head) & mask_from(first) &
				mask_to(last));
	return popcount(get_word(map, head) & mask_from(first)) +
	       engine()->count(map + (head + 1) * BITS_WORD_BYTES,
			       tail - head - 1) +
	       popcount(get_word(map, tail) & mask_to(last));
}

bool bits_test(const uint8_t *map, uint64_t bit)
{
	return map[bit / 8] >> bit % 8 & 1;
}

/*
 * The lowest bit at or above `from` that differs from `plain`, which is 0 to
 * look for set bits and ~0 to look for clear ones. Rubbish past the end may
 * stop the search but only after every bit of the map: W1 is one comparison.
 */
static uint64_t next_unlike(const uint8_t *map, uint64_t bits, uint64_t from,
			    uint64_t plain)
{
	size_t words = bits_bytes(bits) / BITS_WORD_BYTES;
	size_t at = word_of(from);
	uint64_t odd;
	uint64_t bit;

	if (from >= bits)
		return BITS_NONE;

	odd = (get_word(map, at) ^ plain) & mask_from(from);
	if (odd == 0) {
		at++;
		at += engine()->skip(map + at * BITS_WORD_BYTES, words - at,
				     plain);
		if (at == words)
			return BITS_NONE;
		odd = get_word(map, at) ^ plain;
	}
	bit = (uint64_t)at * WORD_BITS + (uint64_t)__builtin_ctzll(odd);
	return bit < bits ? bit : BITS_NONE;
}

uint64_t bits_next_set(const uint8_t *map, uint64_t bits, uint64_t from)
{
	return next_unlike(map, bits, from, 0);
}

uint64_t bits_next_clear(const uint8_t *map, uint64_t bits, uint64_t from)
{
	return next_unlike(map, bits, from, ~0ull);
}

bool bits_next_run(const uint8_t *map, uint64_t bits, struct bits_run *run)
{
	uint64_t end;

	run->first = bits_next_set(map, bits, run->next);
	if (run->first == BITS_NONE)
		return false;
	end = bits_next_clear(map, bits, run->first);
	run->next = end == BITS_NONE ? bits : end;
	run->last = run->next - 1;
	return true;
}
