/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Memory of the NBD server's clients: what is reserved, what is common, what is recycled. */
#include "tests/unit/help.h"

#include "base/arith.h"
#include "mdclusterd/nbd/memory.h"
#include "mdclusterd/nbd/nbd.h"

enum { CLIENTS = 4, LIMIT = 4 << 20, COMMON = LIMIT - CLIENTS * NBD_RESERVE_BYTES };

struct buffer {
	void *at;
	size_t bytes;
};

static struct buffer take(struct nbd_memory *m, struct nbd_share *share, size_t want,
			  size_t least)
{
	struct buffer b = { 0 };

	b.at = nbd_memory_take(m, share, want, least, &b.bytes);
	return b;
}

static void give(struct nbd_memory *m, struct nbd_share *share, struct buffer b)
{
	nbd_memory_give(m, share, b.at, b.bytes);
}

/* All that one client can get, in pieces of so many bytes. */
static uint64_t take_all(struct nbd_memory *m, struct nbd_share *share, size_t piece,
			 struct buffer *buffers, size_t *count)
{
	uint64_t before = share->bytes;

	for (;;) {
		struct buffer b = take(m, share, piece, piece);

		if (!b.at)
			return share->bytes - before;
		buffers[(*count)++] = b;
	}
}

static void buffers_are_aligned_and_large_enough(void **state)
{
	static const struct {
		size_t want, bytes;
	} table[] = {
		{ 1, 4096 }, { 4096, 4096 }, { 4097, 8192 }, { 65536, 65536 },
		{ 65537, 131072 }, { NBD_PIECE_BYTES, NBD_PIECE_BYTES },
	};
	struct nbd_share share = { 0 };
	struct nbd_memory m;

	(void)state;
	nbd_memory_init(&m, LIMIT, CLIENTS);
	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		struct buffer b = take(&m, &share, table[i].want, 1);

		assert_non_null(b.at);
		assert_int_equal((uintptr_t)b.at % 4096, 0);
		assert_int_equal(b.bytes, table[i].bytes);
		give(&m, &share, b);
	}
	assert_int_equal(share.bytes, 0);
	nbd_memory_fini(&m);
}

/* For it is still in the cache. */
static void the_last_one_given_back_is_the_first_one_taken(void **state)
{
	struct nbd_share share = { 0 };
	struct buffer a, b;
	struct nbd_memory m;

	(void)state;
	nbd_memory_init(&m, LIMIT, CLIENTS);
	a = take(&m, &share, 4096, 4096);
	b = take(&m, &share, 4096, 4096);
	give(&m, &share, a);
	give(&m, &share, b);
	assert_ptr_equal(take(&m, &share, 4096, 4096).at, b.at);
	assert_ptr_equal(take(&m, &share, 4096, 4096).at, a.at);
	give(&m, &share, a);
	give(&m, &share, b);
	nbd_memory_fini(&m);
}

static void everybody_has_its_reserve_whatever_others_have(void **state)
{
	static struct buffer buffers[CLIENTS][LIMIT / 4096];
	struct nbd_share shares[CLIENTS] = { 0 };
	size_t counts[CLIENTS] = { 0 };
	struct nbd_memory m;

	(void)state;
	nbd_memory_init(&m, LIMIT, CLIENTS);
	/* three take all they can, in pieces large and small */
	for (int i = 0; i < CLIENTS - 1; i++)
		for (size_t piece = NBD_PIECE_BYTES; piece >= 4096; piece /= 2)
			take_all(&m, &shares[i], piece, buffers[i], &counts[i]);
	assert_in_range(m.used_bytes, 1, LIMIT - NBD_RESERVE_BYTES);
	/* the fourth can have its reserve, in any size */
	for (size_t piece = NBD_RESERVE_BYTES; piece >= 4096; piece /= 2) {
		struct buffer b = take(&m, &shares[3], piece, piece);

		assert_non_null(b.at);
		give(&m, &shares[3], b);
	}
	assert_true(take_all(&m, &shares[3], 4096, buffers[3], &counts[3]) >=
		    NBD_RESERVE_BYTES);
	assert_in_range(m.used_bytes + m.free_bytes, 1, LIMIT);
	for (int i = 0; i < CLIENTS; i++)
		while (counts[i] > 0)
			give(&m, &shares[i], buffers[i][--counts[i]]);
	assert_int_equal(m.used_bytes, 0);
	assert_int_equal(m.common_used_bytes, 0);
	nbd_memory_fini(&m);
}

/* One alone may have half of what is common; the next one half of what is left. */
static void nobody_takes_more_of_what_is_common_than_it_leaves(void **state)
{
	static struct buffer buffers[2][LIMIT / 4096];
	struct nbd_share shares[2] = { 0 };
	size_t counts[2] = { 0 };
	struct nbd_memory m;

	(void)state;
	nbd_memory_init(&m, LIMIT, CLIENTS);
	assert_int_equal(take_all(&m, &shares[0], 4096, buffers[0], &counts[0]),
			 NBD_RESERVE_BYTES + COMMON / 2);
	assert_int_equal(take_all(&m, &shares[1], 4096, buffers[1], &counts[1]),
			 NBD_RESERVE_BYTES + COMMON / 4);
	for (int i = 0; i < 2; i++)
		while (counts[i] > 0)
			give(&m, &shares[i], buffers[i][--counts[i]]);
	nbd_memory_fini(&m);
}

static void less_is_given_when_there_is_less(void **state)
{
	static struct buffer buffers[LIMIT / 4096];
	struct nbd_share share = { 0 };
	struct nbd_memory m;
	size_t count = 0;

	(void)state;
	nbd_memory_init(&m, LIMIT, CLIENTS);
	take_all(&m, &share, NBD_PIECE_BYTES, buffers, &count);
	buffers[count] = take(&m, &share, NBD_PIECE_BYTES, 65536);
	assert_non_null(buffers[count].at);
	assert_in_range(buffers[count].bytes, 65536, NBD_PIECE_BYTES / 2);
	count++;
	while (count > 0)
		give(&m, &share, buffers[--count]);
	nbd_memory_fini(&m);
}

/* Buffers that lie about in one size make room for another. */
static void what_is_free_in_the_wrong_size_is_given_up(void **state)
{
	static struct buffer buffers[LIMIT / 4096];
	struct nbd_share shares[3] = { 0 };
	struct nbd_memory m;

	(void)state;
	nbd_memory_init(&m, LIMIT, CLIENTS);
	for (int round = 0; round < 3; round++)
		for (size_t piece = NBD_PIECE_BYTES; piece >= 4096; piece /= 4)
			for (int i = 0; i < 3; i++) {
				size_t count = 0;

				take_all(&m, &shares[i], piece, buffers, &count);
				assert_in_range(m.used_bytes + m.free_bytes, 0, LIMIT);
				while (count > 0)
					give(&m, &shares[i], buffers[--count]);
			}
	assert_true(m.free_bytes > 0);
	nbd_memory_trim(&m, 8192);
	assert_in_range(m.free_bytes, 1, 8192);
	nbd_memory_trim(&m, 0);
	assert_int_equal(m.free_bytes, 0);
	nbd_memory_fini(&m);
}

/* One burst is followed by another; a node has other uses for it only when none is. */
static void memory_of_a_burst_is_kept_for_the_next(void **state)
{
	static struct buffer buffers[64];
	struct nbd_share share = { 0 };
	struct nbd_memory m;
	size_t count = 0, all;

	(void)state;
	nbd_memory_init(&m, 64 << 20, CLIENTS);
	all = take_all(&m, &share, NBD_PIECE_BYTES, buffers, &count);
	assert_true(all > 2 * NBD_KEPT_BYTES);
	assert_false(nbd_memory_is_idle(&m));
	while (count > 0)
		give(&m, &share, buffers[--count]);
	assert_int_equal(m.free_bytes, all);
	assert_true(nbd_memory_is_idle(&m));
	nbd_memory_trim(&m, NBD_KEPT_BYTES);
	assert_int_equal(m.free_bytes, NBD_KEPT_BYTES);
	assert_false(nbd_memory_is_idle(&m));
	nbd_memory_fini(&m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(buffers_are_aligned_and_large_enough),
		cmocka_unit_test(the_last_one_given_back_is_the_first_one_taken),
		cmocka_unit_test(everybody_has_its_reserve_whatever_others_have),
		cmocka_unit_test(nobody_takes_more_of_what_is_common_than_it_leaves),
		cmocka_unit_test(less_is_given_when_there_is_less),
		cmocka_unit_test(what_is_free_in_the_wrong_size_is_given_up),
		cmocka_unit_test(memory_of_a_burst_is_kept_for_the_next),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
