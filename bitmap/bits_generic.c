/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The engine for every processor: plain 64-bit words. Also finishes the last
 * words of a map for the engines whose vectors do not fit there.
 */
#include "bitmap/bits_engine.h"

static bool generic_is_usable(void)
{
	return true;
}

static inline bool merge_block(uint8_t *to, const uint8_t *from, size_t words)
{
	uint64_t any = 0;
	uint64_t fresh = 0;

	for (size_t i = 0; i < words; i++)
		any |= bits_word_load(from, i);
	if (any == 0)
		return false;

	for (size_t i = 0; i < words; i++)
		fresh |= bits_word_load(from, i) & ~bits_word_load(to, i);
	if (fresh == 0)
		return false;

	for (size_t i = 0; i < words; i++)
		bits_word_store(to, i,
				bits_word_load(to, i) | bits_word_load(from, i));
	return true;
}

static bool generic_merge(uint8_t *to, const uint8_t *from, size_t words)
{
	const size_t block_bytes = BITS_BLOCK_WORDS * BITS_WORD_BYTES;
	bool changed = false;

	/* Of constant length, the inlined loops become vectors in clang. */
	for (; words >= BITS_BLOCK_WORDS; words -= BITS_BLOCK_WORDS) {
		changed |= merge_block(to, from, BITS_BLOCK_WORDS);
		to += block_bytes;
		from += block_bytes;
	}
	return merge_block(to, from, words) || changed;
}

static uint64_t generic_count(const uint8_t *map, size_t words)
{
	uint64_t n = 0;

	for (size_t i = 0; i < words; i++)
		n += (unsigned int)__builtin_popcountll(bits_word_load(map, i));
	return n;
}

static size_t generic_skip(const uint8_t *map, size_t words, uint64_t plain)
{
	size_t i = 0;

	while (i < words && bits_word_load(map, i) == plain)
		i++;
	return i;
}

const struct bits_ops bits_generic_ops = {
	.name = "generic",
	.is_usable = generic_is_usable,
	.merge = generic_merge,
	.count = generic_count,
	.skip = generic_skip,
};
