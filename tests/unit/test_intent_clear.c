/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The write-intent log: which bits go, and when (I2, I5, I6, I7, I12). */
#include "tests/unit/intent_rig.h"

#include <stdlib.h>
#include <string.h>

#include "bitmap/bits.h"

enum { CHUNKS = 100000, PAGE_1 = 30720, STRIDE = 64 };

#define SECOND 1000000000ull

static void start(struct intent_rig *rig, uint64_t budget)
{
	intent_rig_init(rig, 1, 2, CHUNKS);
	rig->budget = budget;
	intent_rig_start(rig);
}

static void settle(struct intent_rig *rig)
{
	struct rig_request r;

	intent_settle(rig->in, rig_request(&r));
	assert_int_equal(r.calls, 0);
	intent_rig_drain(rig);
	assert_int_equal(r.calls, 1);
	assert_int_equal(r.result, 0);
}

static void begin(struct intent_rig *rig, struct rig_write *w, uint64_t chunk)
{
	rig_begin(rig, w, chunk, chunk);
	intent_rig_drain(rig);
}

static void write_durably(struct intent_rig *rig, uint64_t chunk)
{
	struct rig_write w;

	begin(rig, &w, chunk);
	rig_end(&w, true);
}

/* --- I2, D2 -------------------------------------------------------------------------- */

static void settling_clears_what_nobody_writes_to(void **state)
{
	struct intent_rig rig;
	struct rig_write w;

	(void)state;
	start(&rig, CHUNKS);
	rig_write(&rig, 5);
	rig_write(&rig, PAGE_1 + 5);
	begin(&rig, &w, 7);
	settle(&rig);
	disk_world_cut_power(rig.world);
	assert_false(rig_bit_anywhere(&rig, 5));
	assert_false(rig_bit_anywhere(&rig, PAGE_1 + 5));
	assert_true(rig_bit_everywhere(&rig, 7));
	disk_world_restore_power(rig.world);
	rig_end(&w, false);
	settle(&rig);
	assert_false(rig_bit_anywhere(&rig, 7));
	assert_int_equal(rig_look(&rig).dirty_chunks, 0);
	rig_expect_others_untouched(&rig);
	intent_rig_fini(&rig);
}

static void a_chunk_that_is_written_to_is_not_cleared_whatever_the_budget(void **state)
{
	struct intent_rig rig;
	struct rig_write w[10];
	uint32_t i;

	(void)state;
	start(&rig, 1);
	for (i = 0; i < 10; i++)
		begin(&rig, &w[i], STRIDE * i);
	for (i = 0; i < 10; i++)
		assert_true(rig_bit_everywhere(&rig, STRIDE * i));
	for (i = 0; i < 10; i++)
		rig_end(&w[i], false);
	intent_rig_drain(&rig);
	assert_int_equal(rig_look(&rig).dirty_chunks, 1);
	intent_rig_fini(&rig);
}

static void a_degraded_array_keeps_all_bits(void **state)
{
	struct intent_rig rig;
	uint32_t i;

	(void)state;
	start(&rig, 4);
	intent_set_degraded(rig.in, true);
	for (i = 0; i < 100; i++)
		rig_write(&rig, STRIDE * i);
	settle(&rig);
	intent_rig_pass(&rig, 10 * SECOND);
	for (i = 0; i < 100; i++)
		assert_true(rig_bit_everywhere(&rig, STRIDE * i));
	assert_int_equal(rig_look(&rig).dirty_chunks, 100);
	intent_set_degraded(rig.in, false);
	intent_rig_pass(&rig, 3 * SECOND);
	assert_true(rig_look(&rig).dirty_chunks <= 4);
	intent_rig_fini(&rig);
}

/* What was chosen before the array lost a disk stays as well. */
static void a_clear_that_was_on_its_way_stops_when_the_array_degrades(void **state)
{
	struct intent_rig rig;
	struct rig_request r;

	(void)state;
	start(&rig, CHUNKS);
	rig_write(&rig, 5);
	intent_settle(rig.in, rig_request(&r)); /* the flush is under way */
	intent_set_degraded(rig.in, true);
	intent_rig_drain(&rig);
	assert_int_equal(r.calls, 1);
	assert_true(rig_bit_everywhere(&rig, 5));
	intent_rig_fini(&rig);
}

static void what_is_needed_is_not_cleared(void **state)
{
	struct intent_rig rig;
	uint8_t *map = calloc(1, bits_bytes(CHUNKS));
	struct rig_request r;

	(void)state;
	start(&rig, CHUNKS);
	rig_write(&rig, 5);
	bits_set_range(map, 5, 6);
	intent_need(rig.in, map, rig_request(&r));
	intent_rig_drain(&rig);
	settle(&rig);
	assert_true(rig_bit_everywhere(&rig, 5));
	assert_true(rig_bit_everywhere(&rig, 6));
	intent_synced(rig.in, 6, 6);
	settle(&rig);
	assert_true(rig_bit_everywhere(&rig, 5));
	assert_false(rig_bit_anywhere(&rig, 6));
	free(map);
	intent_rig_fini(&rig);
}

/* The data of a chunk are durable on both disks before its bit goes. */
static void data_are_flushed_before_their_bit_goes(void **state)
{
	struct err err = ERR_INIT;
	uint8_t *page = disk_buffer_new(512), got[512];
	struct intent_rig rig;
	struct rig_write w;
	uint64_t seed;
	uint32_t i;

	(void)state;
	memset(page, 0x77, 512);
	for (seed = 1; seed <= 50; seed++) {
		intent_rig_init(&rig, seed, 2, CHUNKS);
		intent_rig_start(&rig);
		begin(&rig, &w, 5);
		for (i = 0; i < 2; i++)
			assert_ok(disk_write_wait(rig.disks[i], data_bytes(&rig), page, 512,
						  false, &err), err);
		rig_end(&w, false);
		settle(&rig);
		disk_world_cut_power(rig.world);
		for (i = 0; i < 2; i++) {
			disk_mem_peek(rig.disks[i], data_bytes(&rig), got, 512);
			assert_memory_equal(got, page, 512);
		}
		intent_rig_fini(&rig);
	}
	free(page);
}

static void writes_that_were_durable_need_no_flush(void **state)
{
	struct intent_rig rig;

	(void)state;
	start(&rig, CHUNKS);
	write_durably(&rig, 5);
	settle(&rig);
	/* what was before the log began is not known */
	assert_int_equal(rig_look(&rig).clear_flushes, 1);
	write_durably(&rig, 6);
	write_durably(&rig, 7);
	settle(&rig);
	assert_int_equal(rig_look(&rig).clear_flushes, 1);
	assert_false(rig_bit_anywhere(&rig, 6));
	write_durably(&rig, 8);
	rig_write(&rig, 8);
	settle(&rig);
	assert_int_equal(rig_look(&rig).clear_flushes, 2);
	/* what was there before a disk came, or went, is not known for it */
	write_durably(&rig, 9);
	intent_set_disk(rig.in, 2, rig.disks[2], start_bytes(2), NULL);
	intent_rig_drain(&rig);
	settle(&rig);
	assert_int_equal(rig_look(&rig).clear_flushes, 3);
	intent_rig_fini(&rig);
}

/* --- I5, I6, I7 ---------------------------------------------------------------------- */

static void one_flush_is_for_a_whole_batch(void **state)
{
	struct intent_rig rig;
	uint32_t i;

	(void)state;
	start(&rig, CHUNKS);
	for (i = 0; i < 1000; i++)
		rig_write(&rig, STRIDE * i);
	settle(&rig);
	assert_int_equal(rig_look(&rig).clear_flushes, 1);
	assert_int_equal(rig_look(&rig).dirty_chunks, 0);
	intent_rig_fini(&rig);
}

static void clears_travel_with_the_sets_of_their_page(void **state)
{
	struct intent_rig rig;
	struct intent_stats stats;
	uint32_t i;

	(void)state;
	start(&rig, 160);
	for (i = 0; i < 400; i++) {
		rig_write(&rig, STRIDE * i);
		intent_rig_drain(&rig);
	}
	stats = rig_look(&rig);
	assert_int_equal(stats.page_writes, 400); /* one a miss */
	assert_true(stats.dirty_chunks <= 160);
	assert_true(stats.clear_flushes <= 400 / 2);
	intent_rig_fini(&rig);
}

static void the_least_recently_written_go_first(void **state)
{
	struct intent_rig rig;
	uint32_t i, kept = 0;

	(void)state;
	start(&rig, 64);
	for (i = 0; i < 256; i++) {
		rig_write(&rig, STRIDE * i);
		/* one that is written to again and again */
		if (i % 8 == 0)
			rig_write(&rig, 0);
		intent_rig_drain(&rig);
		assert_true(rig_look(&rig).dirty_chunks <= 64);
	}
	for (i = 1; i < 256 - 64; i++)
		assert_false(rig_bit_anywhere(&rig, STRIDE * i));
	for (; i < 256; i++)
		kept += rig_bit_everywhere(&rig, STRIDE * i);
	assert_in_range(kept, 48, 63);
	assert_true(rig_bit_everywhere(&rig, 0)); /* second chance */
	assert_int_equal(rig_look(&rig).misses, 256);
	intent_rig_fini(&rig);
}

static void a_working_set_within_the_budget_costs_nothing_any_more(void **state)
{
	struct intent_rig rig;
	struct intent_stats before, after;
	uint32_t i;

	(void)state;
	start(&rig, 64);
	for (i = 0; i < 48; i++)
		rig_write(&rig, 1000 * i);
	intent_rig_pass(&rig, 100 * SECOND); /* time alone clears none of it */
	before = rig_look(&rig);
	for (i = 0; i < 480; i++)
		rig_write(&rig, 1000 * (i % 48));
	intent_rig_drain(&rig);
	after = rig_look(&rig);
	assert_int_equal(after.misses, before.misses);
	assert_int_equal(after.page_writes, before.page_writes);
	assert_int_equal(after.clear_flushes, before.clear_flushes);
	intent_rig_fini(&rig);
}

static void a_smaller_budget_is_kept_from_then_on(void **state)
{
	struct intent_rig rig;
	uint32_t i;

	(void)state;
	start(&rig, CHUNKS);
	for (i = 0; i < 1000; i++)
		rig_write(&rig, STRIDE * i);
	intent_set_budget(rig.in, 10 * CHUNK);
	intent_rig_drain(&rig);
	assert_true(rig_look(&rig).dirty_chunks <= 10);
	intent_set_budget(rig.in, 0); /* one chunk counts */
	intent_rig_drain(&rig);
	assert_int_equal(rig_look(&rig).dirty_chunks, 1);
	intent_rig_fini(&rig);
}

/* One look does not go through all of them; nobody needs to write for the next one. */
static void the_budget_is_kept_where_all_have_a_second_chance(void **state)
{
	struct intent_rig rig;
	uint32_t i;

	(void)state;
	start(&rig, CHUNKS);
	for (i = 0; i < 2 * 1100; i++)
		rig_write(&rig, STRIDE * (i % 1100));
	intent_set_budget(rig.in, 1080 * CHUNK);
	intent_rig_pass(&rig, SECOND);
	assert_true(rig_look(&rig).dirty_chunks <= 1080);
	intent_rig_fini(&rig);
}

/* Not only what is idle may be first in the list. */
static void the_budget_is_kept_while_many_are_being_written_to(void **state)
{
	static struct rig_write w[500];
	struct intent_rig rig;
	uint32_t i;

	(void)state;
	start(&rig, 100);
	for (i = 0; i < 500; i++)
		begin(&rig, &w[i], STRIDE * i);
	for (i = 500; i < 1000; i++)
		rig_write(&rig, STRIDE * i);
	intent_rig_pass(&rig, SECOND);
	assert_true(rig_look(&rig).dirty_chunks <= 500 + 100);
	for (i = 0; i < 500; i++)
		rig_end(&w[i], false);
	intent_rig_pass(&rig, SECOND);
	assert_true(rig_look(&rig).dirty_chunks <= 100);
	intent_rig_fini(&rig);
}

/* I6: while it is flushed, and when that is over */
static void what_was_chosen_to_go_is_set_again_for_nothing(void **state)
{
	struct intent_rig rig;
	struct rig_request r;
	struct rig_write w;
	uint64_t writes;
	uint32_t i;

	(void)state;
	start(&rig, CHUNKS);
	rig_write(&rig, 5);
	writes = rig_look(&rig).page_writes;
	intent_settle(rig.in, rig_request(&r));
	assert_int_equal(rig_look(&rig).clear_flushes, 1);
	assert_int_equal(rig_begin(&rig, &w, 5, 5), INTENT_READY);
	intent_rig_drain(&rig);
	assert_int_equal(r.calls, 1);
	assert_true(rig_bit_everywhere(&rig, 5));
	assert_int_equal(rig_look(&rig).page_writes, writes);
	rig_end(&w, false);
	intent_rig_fini(&rig);

	/* 14 of 16 stay, the others wait for a write of their page */
	start(&rig, 16);
	for (i = 0; i < 15; i++)
		rig_write(&rig, STRIDE * i);
	intent_rig_drain(&rig);
	writes = rig_look(&rig).page_writes;
	assert_int_equal(rig_look(&rig).clear_flushes, 1);
	assert_int_equal(rig_begin(&rig, &w, 0, 0), INTENT_READY);
	rig_end(&w, false);
	assert_int_equal(rig_look(&rig).page_writes, writes);
	intent_rig_drain(&rig);
	assert_true(rig_bit_everywhere(&rig, 0));
	intent_rig_fini(&rig);
}

/* It waits for that write, and for the one that sets it again. */
static void a_write_that_meets_the_clear_of_its_chunk_waits_for_the_set(void **state)
{
	struct intent_rig rig;
	struct rig_request r;
	struct rig_write w;
	uint64_t seed;

	(void)state;
	for (seed = 1; seed <= 20; seed++) {
		intent_rig_init(&rig, seed, 2, CHUNKS);
		intent_rig_start(&rig);
		rig_write(&rig, 5);
		intent_settle(rig.in, rig_request(&r));
		while (rig_look(&rig).page_writes < 2)
			assert_true(intent_rig_step(&rig));
		assert_int_equal(rig_begin(&rig, &w, 5, 5), INTENT_WAIT);
		while (w.calls == 0)
			assert_true(intent_rig_step(&rig));
		disk_world_cut_power(rig.world);
		assert_true(rig_bit_everywhere(&rig, 5));
		assert_int_equal(rig_look(&rig).page_writes, 3);
		intent_rig_drain(&rig);
		intent_rig_fini(&rig);
	}
}

/* What was resynced was written to by nobody: it goes although there is room. */
static void what_was_resynced_goes_a_second_later(void **state)
{
	struct intent_rig rig;

	(void)state;
	start(&rig, CHUNKS);
	bits_set_range(rig.slot.bits, 100, 40000);
	intent_rig_stop(&rig);
	intent_rig_start(&rig);
	assert_int_equal(intent_needed_count(rig.in), 39901);
	intent_synced(rig.in, 100, 10099);
	intent_rig_pass(&rig, SECOND / 2);
	assert_int_equal(rig_look(&rig).dirty_chunks, 10000);
	assert_int_equal(rig_look(&rig).page_writes, 0);
	intent_rig_pass(&rig, SECOND);
	assert_int_equal(rig_look(&rig).dirty_chunks, 0);
	assert_int_equal(rig_look(&rig).clear_flushes, 1);
	assert_false(rig_bit_anywhere(&rig, 10099));
	assert_true(rig_bit_everywhere(&rig, 10100));
	intent_synced(rig.in, 0, CHUNKS - 1);
	intent_rig_pass(&rig, 2 * SECOND);
	assert_int_equal(rig_look(&rig).dirty_chunks, 0);
	assert_int_equal(intent_deadline(rig.in), UINT64_MAX);
	assert_int_equal(bits_count(rig.slot.bits, CHUNKS), 0);
	intent_rig_fini(&rig);
}

/* --- events_cleared, §2.5 ------------------------------------------------------------ */

/* In any copy, whenever the power fails: no bit is clear that newer events allowed to go. */
static void events_cleared_is_durable_before_the_first_clear(void **state)
{
	struct intent_rig rig;
	struct rig_request r;
	uint64_t cut, seed;
	uint32_t i;
	bool was_cut = true;

	(void)state;
	for (cut = 0; was_cut; cut++) {
		seed = cut % 7 + 1;
		intent_rig_init(&rig, seed, 2, CHUNKS);
		intent_rig_start(&rig);
		rig_write(&rig, 5);
		rig_write(&rig, 4000); /* another sector of page 0 than the superblock */
		rig_write(&rig, PAGE_1 + 5);
		intent_rig_drain(&rig);
		disk_world_cut_power_after(rig.world, cut % 40);
		if (cut % 2)
			rig.slot.sb.events = 17; /* as if set while degraded */
		else
			intent_set_events(rig.in, 17, NULL);
		intent_settle(rig.in, rig_request(&r));
		intent_rig_drain(&rig);
		was_cut = cut < 400;
		disk_world_cut_power(rig.world);
		for (i = 0; i < 2; i++)
			if (!rig_bit(&rig, i, 5) || !rig_bit(&rig, i, 4000) ||
			    !rig_bit(&rig, i, PAGE_1 + 5))
				assert_int_equal(rig_sb(&rig, i).events_cleared, 17);
		intent_rig_drain(&rig);
		intent_rig_fini(&rig);
	}
}

static void events_cleared_stays_while_the_array_is_degraded(void **state)
{
	struct intent_rig rig;
	struct rig_request r;

	(void)state;
	start(&rig, CHUNKS);
	rig_write(&rig, 5);
	intent_set_events(rig.in, 3, rig_request(&r));
	assert_int_equal(r.calls, 0);
	intent_rig_drain(&rig);
	assert_int_equal(r.calls, 1);
	assert_int_equal(rig_sb(&rig, 0).events_cleared, 3);
	intent_set_degraded(rig.in, true);
	intent_set_events(rig.in, 4, NULL);
	settle(&rig);
	disk_world_cut_power(rig.world);
	assert_int_equal(rig_sb(&rig, 1).events, 4);
	assert_int_equal(rig_sb(&rig, 1).events_cleared, 3);
	disk_world_restore_power(rig.world);
	/* md: it advances with the first clear */
	intent_set_degraded(rig.in, false);
	settle(&rig);
	assert_int_equal(rig_sb(&rig, 0).events_cleared, 4);
	assert_int_equal(rig_sb(&rig, 1).events_cleared, 4);
	assert_false(rig_bit_anywhere(&rig, 5));
	intent_rig_fini(&rig);
}

/* Chunks that wait to be cleared are no reason to say that clearing is allowed. */
static void events_cleared_stays_when_the_array_degrades_before_a_clear(void **state)
{
	struct intent_rig rig;
	uint32_t i;

	(void)state;
	start(&rig, 16);
	for (i = 0; i < 15; i++)
		rig_write(&rig, STRIDE * i);
	intent_rig_drain(&rig);
	intent_set_degraded(rig.in, true);
	intent_set_events(rig.in, 9, NULL);
	for (i = 15; i < 40; i++)
		rig_write(&rig, STRIDE * i);
	intent_rig_drain(&rig);
	assert_int_equal(rig_sb(&rig, 0).events, 9);
	assert_int_equal(rig_sb(&rig, 0).events_cleared, 0);
	intent_rig_fini(&rig);
}

/*
 * A disk failed at 8 or before, another one has its place since 9: at any power cut no bit of
 * what the first one missed is gone but with an events_cleared that tells of it. This node was
 * told of neither by intent_set_events(): it was there all the time, or began with 9.
 */
static void I12_no_bit_goes_before_events_cleared_has_come_to_the_whole_array(void **state)
{
	struct intent_rig rig;
	struct rig_request r;

	(void)state;
	for (uint64_t cut = 0; cut < 120; cut++) {
		intent_rig_init(&rig, cut % 7 + 1, 2, CHUNKS);
		rig.is_degraded = true;
		intent_rig_start(&rig);
		rig_write(&rig, 5);
		rig_write(&rig, PAGE_1 + 5);
		intent_rig_drain(&rig);
		if (cut % 2 == 0) {
			intent_saw_events(rig.in, 9);
			intent_set_degraded(rig.in, false);
		} else {
			rig.is_degraded = false;
			rig.events = 9;
			intent_rig_restart(&rig);
			intent_synced(rig.in, 0, CHUNKS - 1);
		}
		disk_world_cut_power_after(rig.world, cut / 2);
		intent_settle(rig.in, rig_request(&r));
		intent_rig_pass(&rig, 2 * SECOND);
		disk_world_cut_power(rig.world);
		for (uint32_t i = 0; i < 2; i++)
			if (!rig_bit(&rig, i, 5) || !rig_bit(&rig, i, PAGE_1 + 5))
				assert_int_equal(rig_sb(&rig, i).events_cleared, 9);
		if (cut > 100)
			assert_false(rig_bit_anywhere(&rig, 5));
		intent_rig_drain(&rig);
		intent_rig_fini(&rig);
	}
}

/* Events never go back, and nothing is written for them alone. */
static void I12_events_that_were_seen_cost_no_write(void **state)
{
	struct intent_rig rig;
	uint64_t writes;

	(void)state;
	start(&rig, CHUNKS);
	intent_set_events(rig.in, 9, NULL);
	intent_rig_drain(&rig);
	writes = disk_world_writes(rig.world);
	intent_saw_events(rig.in, 12);
	intent_saw_events(rig.in, 8);
	intent_rig_pass(&rig, 2 * SECOND);
	assert_int_equal(disk_world_writes(rig.world), writes);
	rig_write(&rig, 5);
	settle(&rig);
	assert_int_equal(rig_sb(&rig, 0).events_cleared, 12);
	intent_rig_fini(&rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(settling_clears_what_nobody_writes_to),
		cmocka_unit_test(a_chunk_that_is_written_to_is_not_cleared_whatever_the_budget),
		cmocka_unit_test(a_degraded_array_keeps_all_bits),
		cmocka_unit_test(a_clear_that_was_on_its_way_stops_when_the_array_degrades),
		cmocka_unit_test(what_is_needed_is_not_cleared),
		cmocka_unit_test(data_are_flushed_before_their_bit_goes),
		cmocka_unit_test(writes_that_were_durable_need_no_flush),
		cmocka_unit_test(one_flush_is_for_a_whole_batch),
		cmocka_unit_test(clears_travel_with_the_sets_of_their_page),
		cmocka_unit_test(the_least_recently_written_go_first),
		cmocka_unit_test(a_working_set_within_the_budget_costs_nothing_any_more),
		cmocka_unit_test(a_smaller_budget_is_kept_from_then_on),
		cmocka_unit_test(the_budget_is_kept_where_all_have_a_second_chance),
		cmocka_unit_test(the_budget_is_kept_while_many_are_being_written_to),
		cmocka_unit_test(what_was_chosen_to_go_is_set_again_for_nothing),
		cmocka_unit_test(a_write_that_meets_the_clear_of_its_chunk_waits_for_the_set),
		cmocka_unit_test(what_was_resynced_goes_a_second_later),
		cmocka_unit_test(events_cleared_is_durable_before_the_first_clear),
		cmocka_unit_test(events_cleared_stays_while_the_array_is_degraded),
		cmocka_unit_test(events_cleared_stays_when_the_array_degrades_before_a_clear),
		cmocka_unit_test(
			I12_no_bit_goes_before_events_cleared_has_come_to_the_whole_array),
		cmocka_unit_test(I12_events_that_were_seen_cost_no_write),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
