/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What an engine does for bits.c: the three operations that touch whole maps,
 * on whole 64-bit words. Everything about single bits (the last, partly used
 * word, the ends of a range) stays in bits.c, so that engines know neither
 * `bits` nor the byte order: or, count and compare do not depend on it.
 *
 * Maps are aligned to 8 and no more: engines use unaligned vector loads.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct bits_ops {
	const char *name;
	bool (*is_usable)(void);

	/*
	 * to |= from; true if that set a bit. Works in blocks: `to` is not
	 * even read where a block of `from` is zero, and not written where the
	 * block has nothing new. So a mostly zero map costs one read of it.
	 */
	bool (*merge)(uint8_t *to, const uint8_t *from, size_t words);
	uint64_t (*count)(const uint8_t *map, size_t words);

	/* Index of the first word other than `plain`, 0 or ~0; or `words`. */
	size_t (*skip)(const uint8_t *map, size_t words, uint64_t plain);
};

/*
 * The block of a merge: 256 bytes, by measurement (bench_bits, AVX-512). Half
 * of that mispredicts "is it zero?" so often that scattered bits in maps larger
 * than the caches cost a tenth; twice that costs 5 % to 20 % everywhere, as
 * more of `to` is looked at for the same bits.
 */
enum { BITS_WORD_BYTES = 8, BITS_BLOCK_WORDS = 32 };

extern const struct bits_ops bits_generic_ops;
#if defined(__x86_64__)
extern const struct bits_ops bits_avx2_ops;
extern const struct bits_ops bits_avx512_ops;
#endif

/* Words in the byte order of the map. memcpy: bytes may be read as words. */
static inline uint64_t bits_word_load(const uint8_t *map, size_t word)
{
	uint64_t v;

	memcpy(&v, __builtin_assume_aligned(map + word * BITS_WORD_BYTES, 8),
	       sizeof(v));
	return v;
}

static inline void bits_word_store(uint8_t *map, size_t word, uint64_t v)
{
	memcpy(__builtin_assume_aligned(map + word * BITS_WORD_BYTES, 8), &v,
	       sizeof(v));
}
