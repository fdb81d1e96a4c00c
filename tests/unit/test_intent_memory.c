/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The write-intent log: the memory that it takes (I3, I10), and when there is none. The
 * allocator is counted, and fails, by the linker's --wrap.
 */
#include "tests/unit/help.h"

#include <errno.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>

#include "bitmap/bits.h"
#include "bitmap/intent.h"
#include "tests/unit/null_disk.h"

static uint64_t live_bytes, peak_bytes, allocations;
static uint64_t fail_after = UINT64_MAX; /* so many more succeed */

void *__real_malloc(size_t bytes);
void *__real_calloc(size_t count, size_t bytes);
void *__real_reallocarray(void *old, size_t count, size_t bytes);
void *__real_aligned_alloc(size_t align, size_t bytes);
void __real_free(void *p);
void *__wrap_malloc(size_t bytes);
void *__wrap_calloc(size_t count, size_t bytes);
void *__wrap_reallocarray(void *old, size_t count, size_t bytes);
void *__wrap_aligned_alloc(size_t align, size_t bytes);
void __wrap_free(void *p);

static bool is_refused(void)
{
	allocations++;
	if (fail_after == 0)
		return true;
	fail_after -= fail_after != UINT64_MAX;
	return false;
}

static void *count(void *p)
{
	live_bytes += p ? malloc_usable_size(p) : 0;
	peak_bytes = live_bytes > peak_bytes ? live_bytes : peak_bytes;
	return p;
}

void *__wrap_malloc(size_t bytes)
{
	return is_refused() ? NULL : count(__real_malloc(bytes));
}

void *__wrap_calloc(size_t n, size_t bytes)
{
	return is_refused() ? NULL : count(__real_calloc(n, bytes));
}

void *__wrap_aligned_alloc(size_t align, size_t bytes)
{
	return is_refused() ? NULL : count(__real_aligned_alloc(align, bytes));
}

void *__wrap_reallocarray(void *old, size_t n, size_t bytes)
{
	if (is_refused())
		return NULL;
	live_bytes -= old ? malloc_usable_size(old) : 0;
	return count(__real_reallocarray(old, n, bytes));
}

void __wrap_free(void *p)
{
	live_bytes -= p ? malloc_usable_size(p) : 0;
	__real_free(p);
}

/* --- a log on disks that cost nothing ------------------------------------------------ */

struct large {
	struct bitmap_geometry geo;
	struct bitmap_slot slot;
	struct null_disk disks[2];
	struct intent *in;
};

static uint64_t large_now(void *owner)
{
	(void)owner;
	return 0;
}

static void large_failed(void *owner, uint32_t role, int error)
{
	(void)owner;
	fail_msg("disk %u failed: %d", role, error);
}

static const struct intent_ops large_ops = { .now = large_now, .failed = large_failed };

static void large_init(struct large *l, uint64_t bytes, uint32_t chunk, uint64_t budget)
{
	struct intent_config config = { .slot = &l->slot, .count = 2,
					.budget_bytes = budget };
	struct err err = ERR_INIT;
	uint32_t i;

	assert_ok(bitmap_geometry_init(&l->geo, bytes / 512, chunk, 4, 0, &err), err);
	assert_ok(bitmap_slot_init(&l->slot, &l->geo, 1, &err), err);
	l->slot.sb.cluster_name[0] = 'a';
	for (i = 0; i < 2; i++) {
		null_disk_init(&l->disks[i]);
		config.copies[i].disk = &l->disks[i].disk;
	}
	l->in = intent_new(&config, &large_ops, l, &err);
	assert_non_null(l->in);
}

static void large_drain(struct large *l)
{
	while (intent_deadline(l->in) == 0 || l->disks[0].disk.in_flight > 0 ||
	       l->disks[1].disk.in_flight > 0) {
		intent_advance(l->in, 0);
		disk_pump(&l->disks[0].disk, 0);
		disk_pump(&l->disks[1].disk, 0);
	}
}

static void large_fini(struct large *l)
{
	intent_free(l->in);
	bitmap_slot_fini(&l->slot);
}

static void ready(void *owner, struct intent_write *w)
{
	(void)w;
	(*(uint32_t *)owner)++;
}

/* Every `stride`-th chunk is written to; all begin at once, to batch pages. */
static void dirty_evenly(struct large *l, uint64_t chunks, uint64_t stride)
{
	static struct intent_write w[1024];
	uint64_t done, n, i;
	uint32_t calls = 0;

	for (done = 0; done < chunks; done += n) {
		n = chunks - done < 1024 ? chunks - done : 1024;
		for (i = 0; i < n; i++) {
			w[i] = (struct intent_write){ .first = (done + i) * stride,
						      .last = (done + i) * stride,
						      .ready = ready, .owner = &calls };
			assert_true(intent_begin(l->in, &w[i]) >= 0);
		}
		large_drain(l);
		for (i = 0; i < n; i++)
			intent_end(l->in, &w[i], false);
	}
	large_drain(l);
}

static uint64_t dirty_chunks(const struct large *l)
{
	struct intent_stats stats;

	intent_look(l->in, &stats);
	return stats.dirty_chunks;
}

#define KIB 1024ull
#define MIB (1024 * KIB)
#define GIB (1024 * MIB)
#define TIB (1024 * GIB)

/* I10; the slot's image is in it */
static void ten_tib_in_chunks_of_64_kib_take_less_than_64_mib(void **state)
{
	uint64_t before = live_bytes, stride = 10 * TIB / (40 * GIB);
	struct large l;

	(void)state;
	peak_bytes = live_bytes;
	large_init(&l, 10 * TIB, 64 * KIB, 30 * GIB);
	/* 40 GiB written to, as far from each other as can be */
	dirty_evenly(&l, 40 * GIB / (64 * KIB), stride);
	assert_true(dirty_chunks(&l) <= 30 * GIB / (64 * KIB));
	assert_true(dirty_chunks(&l) > 25 * GIB / (64 * KIB));
	assert_true(peak_bytes - before < 48 * MIB);
	large_fini(&l);
	assert_int_equal(live_bytes, before);
}

static void needed_done(void *owner, struct intent_request *req, int result)
{
	(void)req;
	assert_int_equal(result, 0);
	*(bool *)owner = true;
}

/* I10: a dead node's slot, and this one's budget, both spread over the whole array */
static void a_merged_slot_fits_as_well(void **state)
{
	uint64_t before = live_bytes, chunks = 10 * TIB / (64 * KIB), i;
	uint8_t *map = __real_calloc(1, bits_bytes(chunks));
	bool is_done = false;
	struct intent_request req = { .done = needed_done, .owner = &is_done };
	struct large l;

	(void)state;
	for (i = 0; i < chunks; i += 333)
		bits_set_range(map, i, i);
	peak_bytes = live_bytes;
	large_init(&l, 10 * TIB, 64 * KIB, 30 * GIB);
	dirty_evenly(&l, 30 * GIB / (64 * KIB), 341);
	intent_need(l.in, map, &req);
	large_drain(&l);
	assert_true(is_done);
	assert_true(peak_bytes - before < 64 * MIB);
	large_fini(&l);
	assert_int_equal(live_bytes, before);
	__real_free(map);
}

/* Bits pile up, memory does not. */
static void a_degraded_array_takes_no_more_memory_than_its_budget(void **state)
{
	uint64_t before = live_bytes, empty, full;
	struct large l;

	(void)state;
	large_init(&l, TIB, 64 * KIB, 256 * MIB);
	intent_set_degraded(l.in, true);
	empty = live_bytes - before;
	dirty_evenly(&l, 1000000, 16);
	assert_true(dirty_chunks(&l) >= 1000000);
	full = live_bytes - before;
	assert_true(full - empty < 2 * MIB);
	large_fini(&l);
}

/* 2^32 chunks, the most that there can be: numbers do not wrap. */
static void the_largest_bitmap_has_its_last_chunk(void **state)
{
	uint64_t last = (1ull << 32) - 1;
	struct intent_write w = { .first = last - 1, .last = last, .ready = ready };
	uint32_t calls = 0;
	struct large l;

	(void)state;
	w.owner = &calls;
	large_init(&l, (1ull << 32) * 4 * KIB, 4 * KIB, GIB);
	assert_int_equal(intent_begin(l.in, &w), INTENT_WAIT);
	large_drain(&l);
	assert_int_equal(calls, 1);
	assert_true(bits_test(l.slot.bits, last));
	assert_int_equal(bits_count(l.slot.bits, 1ull << 32), 2);
	intent_end(l.in, &w, false);
	assert_int_equal(intent_begin(l.in, &w), INTENT_READY);
	intent_end(l.in, &w, false);
	large_fini(&l);
}

/* I3, and A9 of the mirror that relies on it */
static void a_hit_allocates_nothing(void **state)
{
	struct intent_write w = { .ready = ready };
	uint64_t before, i;
	uint32_t calls = 0;
	struct large l;

	(void)state;
	w.owner = &calls;
	large_init(&l, TIB, 64 * KIB, GIB);
	dirty_evenly(&l, 10000, 1);
	before = allocations;
	for (i = 0; i < 9000; i++) {
		w.first = i;
		w.last = i + i % 1000;
		assert_int_equal(intent_begin(l.in, &w), INTENT_READY);
		intent_end(l.in, &w, i % 2);
	}
	assert_int_equal(allocations, before);
	large_fini(&l);
}

/* --- none left ----------------------------------------------------------------------- */

static void a_log_that_has_no_memory_says_so(void **state)
{
	struct intent_config config = { .count = 0 };
	struct err err = ERR_INIT;
	uint64_t n, before;
	struct intent *in = NULL;
	struct large l;

	(void)state;
	large_init(&l, 10 * GIB, 64 * KIB, GIB);
	bits_set_range(l.slot.bits, 0, 100000);
	config.slot = &l.slot;
	before = live_bytes;
	for (n = 0; !in; n++) {
		fail_after = n;
		in = intent_new(&config, &large_ops, &l, &err);
		fail_after = UINT64_MAX;
		if (!in) {
			assert_int_equal(err.code, -ENOMEM);
			assert_int_equal(live_bytes, before);
		}
	}
	assert_true(n > 5);
	intent_free(in);
	assert_int_equal(live_bytes, before);
	large_fini(&l);
}

/* What begins has what it needs; what does not, left nothing behind. */
static void a_write_without_memory_was_not_begun(void **state)
{
	static struct intent_write w[3];
	struct intent_write wide = { .first = 100000, .last = 108191, .ready = ready };
	struct intent_stats stats;
	uint32_t calls = 0, i;
	struct large l;

	(void)state;
	wide.owner = &calls;
	large_init(&l, TIB, 64 * KIB, GIB);
	fail_after = 0;
	assert_int_equal(intent_begin(l.in, &wide), -ENOMEM);
	intent_look(l.in, &stats);
	assert_int_equal(stats.dirty_chunks, 0);
	assert_int_equal(stats.writing_chunks, 0);
	assert_true(intent_is_idle(l.in));
	/* a few on more pages than there is memory for: one write after the other */
	for (i = 0; i < 3; i++) {
		w[i] = (struct intent_write){ .first = 40000 * i, .last = 40000 * i,
					      .ready = ready, .owner = &calls };
		assert_int_equal(intent_begin(l.in, &w[i]), INTENT_WAIT);
	}
	large_drain(&l);
	assert_int_equal(calls, 3);
	for (i = 0; i < 3; i++)
		intent_end(l.in, &w[i], false);
	fail_after = UINT64_MAX;
	assert_int_equal(intent_begin(l.in, &wide), INTENT_WAIT);
	large_drain(&l);
	assert_int_equal(calls, 4);
	intent_end(l.in, &wide, false);
	large_fini(&l);
}

static void count_result(void *owner, struct intent_request *req, int result)
{
	(void)req;
	*(int *)owner = result;
}

/* Also what is asked of all pages ends, one way or the other. */
static void requests_end_without_memory(void **state)
{
	uint8_t *map = __real_calloc(1, bits_bytes(100 * GIB / (64 * KIB)));
	uint64_t n, none_left = 0;
	int result;
	struct intent_request req = { .done = count_result, .owner = &result };
	struct large l;

	(void)state;
	bits_set_range(map, 0, 100 * GIB / (64 * KIB) - 1);
	for (n = 0; n < 1200; n = n < 10 ? n + 1 : n * 3 / 2) {
		large_init(&l, 100 * GIB, 64 * KIB, GIB);
		fail_after = n;
		result = 1;
		intent_need(l.in, map, &req);
		large_drain(&l);
		assert_true(result == 0 || result == -ENOMEM);
		none_left += result == -ENOMEM;
		result = 1;
		intent_settle(l.in, &req);
		large_drain(&l);
		assert_int_equal(result, 0);
		fail_after = UINT64_MAX;
		intent_synced(l.in, 0, l.geo.chunks - 1);
		intent_settle(l.in, &req);
		large_drain(&l);
		assert_int_equal(dirty_chunks(&l), 0);
		assert_int_equal(bits_count(l.slot.bits, l.geo.chunks), 0);
		large_fini(&l);
	}
	assert_true(none_left > 5);
	__real_free(map);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ten_tib_in_chunks_of_64_kib_take_less_than_64_mib),
		cmocka_unit_test(a_merged_slot_fits_as_well),
		cmocka_unit_test(a_degraded_array_takes_no_more_memory_than_its_budget),
		cmocka_unit_test(the_largest_bitmap_has_its_last_chunk),
		cmocka_unit_test(a_hit_allocates_nothing),
		cmocka_unit_test(a_log_that_has_no_memory_says_so),
		cmocka_unit_test(a_write_without_memory_was_not_begun),
		cmocka_unit_test(requests_end_without_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
