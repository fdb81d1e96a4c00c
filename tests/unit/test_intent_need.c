/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The write-intent log: what must be resynced (D3, D4). */
#include "tests/unit/intent_rig.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "bitmap/bits.h"

enum { CHUNKS = 100000, PAGE_1 = 30720, PAGE_2 = PAGE_1 + 32768, STRIDE = 64 };

struct scene {
	struct intent_rig rig;
	uint8_t *map;
	struct rig_request r;
};

static void start(struct scene *s, uint64_t seed)
{
	intent_rig_init(&s->rig, seed, 2, CHUNKS);
	intent_rig_start(&s->rig);
	s->map = calloc(1, bits_bytes(CHUNKS));
	assert_non_null(s->map);
}

static void fini(struct scene *s)
{
	free(s->map);
	intent_rig_fini(&s->rig);
}

static void need(struct scene *s)
{
	intent_need(s->rig.in, s->map, rig_request(&s->r));
	assert_int_equal(s->r.calls, 0);
}

static void needed_and_durable(struct scene *s)
{
	need(s);
	intent_rig_drain(&s->rig);
	assert_int_equal(s->r.calls, 1);
	assert_int_equal(s->r.result, 0);
}

/* D3: when done() comes the other slot may be cleared. */
static void what_is_needed_is_durable_when_that_is_told(void **state)
{
	static const uint64_t chunks[] = { 0, 1, PAGE_1 - 1, PAGE_1, PAGE_2 + 7, CHUNKS - 1 };
	struct scene s;
	uint64_t seed;
	size_t i;

	(void)state;
	for (seed = 1; seed <= 30; seed++) {
		start(&s, seed);
		for (i = 0; i < 6; i++)
			bits_set_range(s.map, chunks[i], chunks[i]);
		need(&s);
		while (s.r.calls == 0)
			assert_true(intent_rig_step(&s.rig));
		disk_world_cut_power(s.rig.world);
		for (i = 0; i < 6; i++)
			assert_true(rig_bit_everywhere(&s.rig, chunks[i]));
		assert_int_equal(intent_needed_count(s.rig.in), 6);
		intent_rig_drain(&s.rig);
		fini(&s);
	}
}

/* D4, B40 */
static void chunk_0_alone_is_needed(void **state)
{
	struct scene s;

	(void)state;
	start(&s, 1);
	assert_int_equal(intent_next_needed(s.rig.in, 0), BITS_NONE);
	bits_set_range(s.map, 0, 0);
	needed_and_durable(&s);
	assert_int_equal(intent_needed_count(s.rig.in), 1);
	assert_int_equal(intent_next_needed(s.rig.in, 0), 0);
	assert_int_equal(intent_next_needed(s.rig.in, 1), BITS_NONE);
	assert_true(intent_is_needed(s.rig.in, 0));
	assert_false(intent_is_needed(s.rig.in, 1));
	fini(&s);
}

static void needed_chunks_are_found_in_order_on_all_pages(void **state)
{
	struct scene s;
	uint64_t at;

	(void)state;
	start(&s, 1);
	bits_set_range(s.map, 7, 8);
	bits_set_range(s.map, PAGE_1 - 1, PAGE_1);
	bits_set_range(s.map, CHUNKS - 1, CHUNKS - 1);
	/* rubbish behind the last chunk is no chunk */
	s.map[CHUNKS / 8] |= 0xf0;
	needed_and_durable(&s);
	assert_int_equal(intent_needed_count(s.rig.in), 5);
	assert_int_equal(at = intent_next_needed(s.rig.in, 0), 7);
	assert_int_equal(at = intent_next_needed(s.rig.in, at + 1), 8);
	assert_int_equal(at = intent_next_needed(s.rig.in, at + 1), PAGE_1 - 1);
	assert_int_equal(at = intent_next_needed(s.rig.in, at + 1), PAGE_1);
	assert_int_equal(at = intent_next_needed(s.rig.in, at + 1), CHUNKS - 1);
	assert_int_equal(intent_next_needed(s.rig.in, at + 1), BITS_NONE);
	fini(&s);
}

static void nothing_needed_is_told_as_well(void **state)
{
	struct scene s;

	(void)state;
	start(&s, 1);
	needed_and_durable(&s);
	assert_int_equal(rig_look(&s.rig).page_writes, 0);
	/* and what is needed already is not written again */
	bits_set_range(s.map, 9, 9);
	needed_and_durable(&s);
	assert_int_equal(rig_look(&s.rig).page_writes, 1);
	needed_and_durable(&s);
	assert_int_equal(rig_look(&s.rig).page_writes, 1);
	assert_int_equal(intent_needed_count(s.rig.in), 1);
	fini(&s);
}

/* In every state that a chunk can be in, on a page with and without others. */
static void a_chunk_is_counted_once_whoever_has_it_set(void **state)
{
	struct scene s;
	struct rig_write w;
	struct intent_stats stats;

	(void)state;
	start(&s, 1);
	rig_write(&s.rig, 5);                    /* dirty */
	rig_begin(&s.rig, &w, 6000, 6000);       /* being set, and written to */
	bits_set_range(s.map, 5, 5);
	bits_set_range(s.map, 6000, 6001);
	needed_and_durable(&s);
	stats = rig_look(&s.rig);
	assert_int_equal(stats.needed_chunks, 3);
	assert_int_equal(stats.dirty_chunks, 0);
	assert_int_equal(stats.writing_chunks, 1);
	assert_int_equal(bits_count(s.rig.slot.bits, CHUNKS), 3);
	rig_end(&w, false);
	intent_synced(s.rig.in, 0, CHUNKS - 1);
	stats = rig_look(&s.rig);
	assert_int_equal(stats.needed_chunks, 0);
	assert_int_equal(stats.dirty_chunks, 3);
	/* cold ones become needed again */
	needed_and_durable(&s);
	assert_int_equal(rig_look(&s.rig).dirty_chunks, 0);
	assert_int_equal(rig_look(&s.rig).needed_chunks, 3);
	intent_synced(s.rig.in, 0, CHUNKS - 1);
	rig_write(&s.rig, 5);
	/* one with, two without a writer, on one page */
	needed_and_durable(&s);
	assert_int_equal(rig_look(&s.rig).dirty_chunks, 0);
	intent_synced(s.rig.in, 0, CHUNKS - 1);
	intent_settle(s.rig.in, rig_request(&s.r));
	intent_rig_drain(&s.rig);
	assert_int_equal(rig_look(&s.rig).dirty_chunks, 0);
	assert_int_equal(bits_count(s.rig.slot.bits, CHUNKS), 0);
	fini(&s);
}

static void a_chunk_that_is_cleared_just_now_is_set_again_when_it_is_needed(void **state)
{
	struct scene s;
	struct rig_request settled;
	uint32_t steps, i;

	(void)state;
	for (steps = 0; steps < 12; steps++) {
		start(&s, steps + 1);
		rig_write(&s.rig, 5);
		intent_settle(s.rig.in, rig_request(&settled));
		for (i = 0; i < steps; i++)
			intent_rig_step(&s.rig);
		bits_set_range(s.map, 5, 5);
		need(&s);
		while (s.r.calls == 0)
			assert_true(intent_rig_step(&s.rig));
		disk_world_cut_power(s.rig.world);
		assert_true(rig_bit_everywhere(&s.rig, 5));
		assert_int_equal(rig_look(&s.rig).dirty_chunks, 0);
		assert_int_equal(rig_look(&s.rig).needed_chunks, 1);
		intent_rig_drain(&s.rig);
		fini(&s);
	}
}

/* The bit is being written for the resync: who writes to the chunk waits for that. */
static void a_write_to_what_is_not_durable_yet_waits(void **state)
{
	struct scene s;
	struct rig_write a, b, hit;

	(void)state;
	start(&s, 1);
	rig_write(&s.rig, 9000);
	bits_set_range(s.map, 100, 200);
	need(&s);
	assert_int_equal(rig_begin(&s.rig, &a, 150, 150), INTENT_WAIT);
	assert_int_equal(rig_begin(&s.rig, &hit, 9000, 9000), INTENT_READY);
	while (s.r.calls == 0)
		assert_true(intent_rig_step(&s.rig));
	assert_int_equal(a.calls, 1); /* the same write of the page */
	assert_int_equal(rig_begin(&s.rig, &b, 160, 160), INTENT_READY);
	rig_end(&a, false);
	rig_end(&b, false);
	rig_end(&hit, false);
	intent_rig_drain(&s.rig);
	fini(&s);
}

/* More is needed while a page is on its way: that write does not have it. */
static void what_is_needed_while_its_page_is_written_goes_with_the_next(void **state)
{
	struct scene s;
	struct rig_write w;
	struct rig_request more;

	(void)state;
	start(&s, 1);
	bits_set_range(s.map, 100, 100);
	need(&s);
	bits_set_range(s.map, 900, 900);
	intent_need(s.rig.in, s.map, rig_request(&more));
	assert_int_equal(rig_begin(&s.rig, &w, 900, 900), INTENT_WAIT);
	while (s.r.calls == 0)
		assert_true(intent_rig_step(&s.rig));
	assert_int_equal(more.calls, 0);
	assert_int_equal(w.calls, 0);
	intent_rig_drain(&s.rig);
	assert_int_equal(more.calls, 1);
	assert_int_equal(w.calls, 1);
	rig_end(&w, false);
	intent_rig_drain(&s.rig);
	fini(&s);
}

/*
 * The bit of a cold chunk is on one disk only: it was loaded so, and resynced. Chosen to be
 * cleared, and written to, it is no hit.
 */
static void what_one_disk_had_set_is_no_hit_either_when_it_was_to_be_cleared(void **state)
{
	struct scene s;
	struct rig_write w;
	struct rig_request settled;

	(void)state;
	start(&s, 1);
	rig_plant_bit(&s.rig, 0, 40);
	intent_rig_restart(&s.rig);
	intent_synced(s.rig.in, 40, 40);
	intent_settle(s.rig.in, rig_request(&settled));
	assert_int_equal(rig_look(&s.rig).clear_flushes, 1);
	assert_int_equal(rig_begin(&s.rig, &w, 40, 40), INTENT_WAIT);
	while (w.calls == 0)
		assert_true(intent_rig_step(&s.rig));
	disk_world_cut_power(s.rig.world);
	assert_true(rig_bit_everywhere(&s.rig, 40));
	intent_rig_drain(&s.rig);
	fini(&s);
}

/* The same, when the array degrades in between. */
static void what_one_disk_had_set_is_no_hit_when_its_clear_is_called_off(void **state)
{
	struct scene s;
	struct rig_write w;
	struct rig_request settled;

	(void)state;
	start(&s, 1);
	rig_plant_bit(&s.rig, 0, 40);
	intent_rig_restart(&s.rig);
	intent_synced(s.rig.in, 40, 40);
	intent_settle(s.rig.in, rig_request(&settled));
	intent_set_degraded(s.rig.in, true);
	if (rig_begin(&s.rig, &w, 40, 40) == INTENT_WAIT)
		while (w.calls == 0)
			assert_true(intent_rig_step(&s.rig));
	disk_world_cut_power(s.rig.world);
	assert_true(rig_bit_everywhere(&s.rig, 40));
	intent_rig_drain(&s.rig);
	fini(&s);
}

/* Resynced by plain writes: these are flushed as those of anybody else. */
static void what_was_resynced_under_a_writer_is_flushed_before_it_is_cleared(void **state)
{
	struct scene s;
	struct rig_write w;
	struct rig_request settled;

	(void)state;
	start(&s, 1);
	rig_begin(&s.rig, &w, 3, 3);
	intent_rig_drain(&s.rig);
	rig_end(&w, true);
	intent_settle(s.rig.in, rig_request(&settled)); /* the first one always flushes */
	intent_rig_drain(&s.rig);
	assert_int_equal(rig_look(&s.rig).clear_flushes, 1);
	bits_set_range(s.map, 5, 5);
	needed_and_durable(&s);
	assert_int_equal(rig_begin(&s.rig, &w, 5, 5), INTENT_READY);
	intent_synced(s.rig.in, 5, 5);
	rig_end(&w, true);
	intent_settle(s.rig.in, rig_request(&settled));
	intent_rig_drain(&s.rig);
	assert_int_equal(rig_look(&s.rig).clear_flushes, 2);
	assert_false(rig_bit_anywhere(&s.rig, 5));
	fini(&s);
}

/* Ranges end where they end, on pages with and without writers. */
static void only_the_range_that_was_resynced_is_not_needed_any_more(void **state)
{
	struct scene s;
	uint32_t round;

	(void)state;
	for (round = 0; round < 2; round++) {
		start(&s, 1);
		if (round == 1)
			rig_write(&s.rig, 25000);
		bits_set_range(s.map, 0, CHUNKS - 1);
		needed_and_durable(&s);
		assert_int_equal(intent_needed_count(s.rig.in), CHUNKS);
		assert_int_equal(rig_look(&s.rig).dirty_chunks, 0);
		intent_synced(s.rig.in, 100, 199);
		assert_int_equal(intent_needed_count(s.rig.in), CHUNKS - 100);
		assert_true(intent_is_needed(s.rig.in, 99));
		assert_true(intent_is_needed(s.rig.in, 200));
		assert_int_equal(intent_next_needed(s.rig.in, 100), 200);
		intent_synced(s.rig.in, PAGE_1 - 10, PAGE_2 + 9);
		assert_int_equal(intent_needed_count(s.rig.in), CHUNKS - 100 - 32768 - 20);
		assert_int_equal(intent_next_needed(s.rig.in, PAGE_1 - 10), PAGE_2 + 10);
		assert_int_equal(rig_look(&s.rig).dirty_chunks, 100 + 32768 + 20);
		/* twice is fine */
		intent_synced(s.rig.in, PAGE_1 - 10, PAGE_2 + 9);
		assert_int_equal(rig_look(&s.rig).dirty_chunks, 100 + 32768 + 20);
		intent_rig_drain(&s.rig);
		fini(&s);
	}
}

/* --- a disk that comes back --------------------------------------------------------------- */

static void need_all(struct scene *s)
{
	assert_int_equal(intent_need_all(s->rig.in, rig_request(&s->r)), 0);
	assert_int_equal(s->r.calls, 0);
}

/*
 * Chunks that were resynced once, that are being written to, that are set just now, that were
 * written to of late, that are needed: what is told is durable, on the disk that came, too.
 */
static void all_that_is_set_is_needed_for_a_disk_that_comes_back(void **state)
{
	static const uint64_t chunks[] = { 5, 6, 7, 100, PAGE_1, PAGE_1 + 9, PAGE_2 + 7 };
	struct scene s;
	struct rig_write writing, setting;
	struct rig_request came;
	uint64_t seed;
	size_t i;

	(void)state;
	for (seed = 1; seed <= 30; seed++) {
		start(&s, seed);
		rig_take_out(&s.rig, 1);
		bits_set_range(s.map, 5, 7);
		bits_set_range(s.map, PAGE_2 + 7, PAGE_2 + 7);
		needed_and_durable(&s);
		intent_synced(s.rig.in, 5, 6);
		intent_synced(s.rig.in, PAGE_2, PAGE_2 + 9); /* alone on its page */
		rig_write(&s.rig, 100);
		rig_begin(&s.rig, &writing, PAGE_1, PAGE_1);
		intent_set_disk(s.rig.in, 1, s.rig.disks[1], start_bytes(1),
				rig_request(&came));
		intent_rig_drain(&s.rig);
		assert_int_equal(came.result, 0);
		s.rig.is_out[1] = false;
		rig_begin(&s.rig, &setting, PAGE_1 + 9, PAGE_1 + 9);
		need_all(&s);
		while (s.r.calls == 0)
			assert_true(intent_rig_step(&s.rig));
		disk_world_cut_power(s.rig.world);
		for (i = 0; i < 7; i++) {
			assert_true(intent_is_needed(s.rig.in, chunks[i]));
			assert_true(rig_bit_everywhere(&s.rig, chunks[i]));
		}
		assert_int_equal(intent_needed_count(s.rig.in),
				 bits_count(s.rig.slot.bits, CHUNKS));
		assert_int_equal(rig_look(&s.rig).dirty_chunks, 0);
		rig_end(&writing, false);
		rig_end(&setting, false);
		intent_rig_drain(&s.rig);
		fini(&s);
	}
}

/* It went and came back while a page without the bit was on its way. */
static void what_is_cleared_just_now_is_needed_when_a_disk_comes_back(void **state)
{
	struct rig_request settled, came;
	struct scene s;
	uint32_t steps, i, undone = 0;

	(void)state;
	for (steps = 0; steps < 12; steps++) {
		bool was_clear;

		start(&s, steps + 1);
		rig_write(&s.rig, 5);
		intent_settle(s.rig.in, rig_request(&settled));
		for (i = 0; i < steps; i++)
			intent_rig_step(&s.rig);
		was_clear = rig_look(&s.rig).dirty_chunks == 0;
		rig_take_out(&s.rig, 1);
		intent_set_disk(s.rig.in, 1, s.rig.disks[1], start_bytes(1),
				rig_request(&came));
		s.rig.is_out[1] = false;
		need_all(&s);
		while (s.r.calls == 0)
			assert_true(intent_rig_step(&s.rig));
		assert_int_equal(intent_needed_count(s.rig.in), was_clear ? 0 : 1);
		disk_world_cut_power(s.rig.world);
		if (!was_clear)
			assert_true(rig_bit_everywhere(&s.rig, 5));
		undone += !was_clear;
		intent_rig_drain(&s.rig);
		fini(&s);
	}
	assert_in_range(undone, 3, 11);
}

static void where_nothing_is_set_nothing_is_needed(void **state)
{
	struct scene s;

	(void)state;
	start(&s, 1);
	need_all(&s);
	intent_rig_drain(&s.rig);
	assert_int_equal(s.r.calls, 1);
	assert_int_equal(s.r.result, 0);
	assert_int_equal(rig_look(&s.rig).page_writes, 0);
	fini(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_needed_is_durable_when_that_is_told),
		cmocka_unit_test(chunk_0_alone_is_needed),
		cmocka_unit_test(needed_chunks_are_found_in_order_on_all_pages),
		cmocka_unit_test(nothing_needed_is_told_as_well),
		cmocka_unit_test(a_chunk_is_counted_once_whoever_has_it_set),
		cmocka_unit_test(a_chunk_that_is_cleared_just_now_is_set_again_when_it_is_needed),
		cmocka_unit_test(a_write_to_what_is_not_durable_yet_waits),
		cmocka_unit_test(what_is_needed_while_its_page_is_written_goes_with_the_next),
		cmocka_unit_test(what_one_disk_had_set_is_no_hit_either_when_it_was_to_be_cleared),
		cmocka_unit_test(what_one_disk_had_set_is_no_hit_when_its_clear_is_called_off),
		cmocka_unit_test(what_was_resynced_under_a_writer_is_flushed_before_it_is_cleared),
		cmocka_unit_test(only_the_range_that_was_resynced_is_not_needed_any_more),
		cmocka_unit_test(all_that_is_set_is_needed_for_a_disk_that_comes_back),
		cmocka_unit_test(what_is_cleared_just_now_is_needed_when_a_disk_comes_back),
		cmocka_unit_test(where_nothing_is_set_nothing_is_needed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
