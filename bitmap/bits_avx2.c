/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The engine for x86-64 with AVX2: vectors of four words. Every function here
 * is compiled for AVX2 alone, the rest of the program is not: bits.c calls in
 * only after is_usable() said so. Words that fill no vector go to the generic
 * engine.
 */
#if defined(__x86_64__)

#include "bitmap/bits_engine.h"

#include <immintrin.h>

#define AVX2 __attribute__((target("avx2")))

enum {
	VEC_WORDS = 4,
	VEC_BYTES = 32,
	BLOCK_VECS = BITS_BLOCK_WORDS / VEC_WORDS,
};

static bool avx2_is_usable(void)
{
	return __builtin_cpu_supports("avx2");
}

AVX2 static inline __m256i load(const uint8_t *map, size_t vec)
{
	return _mm256_loadu_si256((const void *)(map + vec * VEC_BYTES));
}

AVX2 static inline void store(uint8_t *map, size_t vec, __m256i v)
{
	_mm256_storeu_si256((void *)(map + vec * VEC_BYTES), v);
}

AVX2 static inline bool is_zero(__m256i v)
{
	return _mm256_testz_si256(v, v);
}

/* Unrolled: the reasons, and the gain, are those in bits_avx512.c. */
AVX2 static inline bool merge_block(uint8_t *to, const uint8_t *from)
{
	__m256i any = _mm256_setzero_si256();
	__m256i fresh = _mm256_setzero_si256();

#pragma GCC unroll 8
	for (size_t i = 0; i < BLOCK_VECS; i++)
		any = _mm256_or_si256(any, load(from, i));
	if (is_zero(any))
		return false;

#pragma GCC unroll 8
	for (size_t i = 0; i < BLOCK_VECS; i++)
		fresh = _mm256_or_si256(fresh,
					_mm256_andnot_si256(load(to, i),
							    load(from, i)));
	if (is_zero(fresh))
		return false;

#pragma GCC unroll 8
	for (size_t i = 0; i < BLOCK_VECS; i++)
		store(to, i, _mm256_or_si256(load(to, i), load(from, i)));
	return true;
}

AVX2 static bool avx2_merge(uint8_t *to, const uint8_t *from, size_t words)
{
	const size_t block_bytes = BITS_BLOCK_WORDS * BITS_WORD_BYTES;
	bool changed = false;

	for (; words >= BITS_BLOCK_WORDS; words -= BITS_BLOCK_WORDS) {
		changed |= merge_block(to, from);
		to += block_bytes;
		from += block_bytes;
	}
	return bits_generic_ops.merge(to, from, words) || changed;
}

/* Set bits of each byte: two look-ups of a nibble in sixteen counts. */
AVX2 static inline __m256i count_bytes(__m256i v)
{
	const __m256i low = _mm256_set1_epi8(0x0f);
	const __m256i counts = _mm256_broadcastsi128_si256(
		_mm_setr_epi8(0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4));
	__m256i lower = _mm256_and_si256(v, low);
	__m256i upper = _mm256_and_si256(_mm256_srli_epi16(v, 4), low);

	return _mm256_add_epi8(_mm256_shuffle_epi8(counts, lower),
			       _mm256_shuffle_epi8(counts, upper));
}

AVX2 static inline uint64_t sum_words(__m256i v)
{
	return (uint64_t)_mm256_extract_epi64(v, 0) +
	       (uint64_t)_mm256_extract_epi64(v, 1) +
	       (uint64_t)_mm256_extract_epi64(v, 2) +
	       (uint64_t)_mm256_extract_epi64(v, 3);
}

AVX2 static uint64_t avx2_count(const uint8_t *map, size_t words)
{
	const __m256i zero = _mm256_setzero_si256();
	__m256i total = zero;
	size_t vecs = words / VEC_WORDS;
	size_t at = 0;

	/* A byte counts up to 8 a vector: 16 vectors cannot overflow it. */
	while (at < vecs) {
		size_t stop = vecs - at < 16 ? vecs : at + 16;
		__m256i bytes = zero;

		for (; at < stop; at++)
			bytes = _mm256_add_epi8(bytes,
						count_bytes(load(map, at)));
		total = _mm256_add_epi64(total, _mm256_sad_epu8(bytes, zero));
	}
	return sum_words(total) + bits_generic_ops.count(map + at * VEC_BYTES,
							 words % VEC_WORDS);
}

AVX2 static size_t avx2_skip(const uint8_t *map, size_t words, uint64_t plain)
{
	const __m256i like = _mm256_set1_epi64x((long long)plain);
	size_t vecs = words / VEC_WORDS;
	size_t at = 0;

	while (at < vecs && is_zero(_mm256_xor_si256(load(map, at), like)))
		at++;

	/* The vector with the odd word, or the words past the last vector. */
	return at * VEC_WORDS + bits_generic_ops.skip(map + at * VEC_BYTES,
						      words - at * VEC_WORDS,
						      plain);
}

const struct bits_ops bits_avx2_ops = {
	.name = "avx2",
	.is_usable = avx2_is_usable,
	.merge = avx2_merge,
	.count = avx2_count,
	.skip = avx2_skip,
};

#endif
