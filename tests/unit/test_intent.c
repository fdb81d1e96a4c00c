/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The write-intent log: what it promises to who writes (I1, I3, I4, I6, I8). */
#include "tests/unit/intent_rig.h"

#include <errno.h>
#include <string.h>

#include "bitmap/bits.h"

enum { CHUNKS = 100000, PAGE_1 = 30720, PAGE_2 = PAGE_1 + 32768 };

#define SHORT_NS 100000ull
#define LONG_NS 5000000000ull

static void start(struct intent_rig *rig, uint32_t disks)
{
	intent_rig_init(rig, 1, disks, CHUNKS);
	disk_world_set_latency(rig->world, SHORT_NS, SHORT_NS);
	intent_rig_start(rig);
}

/* Requests from now on take as long. */
static void set_latency(struct intent_rig *rig, uint64_t ns)
{
	disk_world_set_latency(rig->world, ns, ns);
}

static void await(struct intent_rig *rig, const struct rig_write *w)
{
	while (w->calls == 0)
		assert_true(intent_rig_step(rig));
}

/* I1, D1, I5: FUA */
static void a_write_goes_on_when_its_bit_is_durable_on_every_disk(void **state)
{
	struct intent_rig rig;
	struct rig_write w;
	uint64_t seed;

	(void)state;
	for (seed = 1; seed <= 50; seed++) {
		intent_rig_init(&rig, seed, 3, CHUNKS);
		intent_rig_start(&rig);
		assert_int_equal(rig_begin(&rig, &w, 77, 77), INTENT_WAIT);
		await(&rig, &w);
		disk_world_cut_power(rig.world);
		assert_true(rig_bit_everywhere(&rig, 77));
		intent_rig_drain(&rig);
		rig_expect_others_untouched(&rig);
		intent_rig_fini(&rig);
	}
}

/* I1 */
static void a_write_across_pages_waits_for_all_of_them(void **state)
{
	struct intent_rig rig;
	struct rig_write w;
	uint64_t seed, chunk;

	(void)state;
	for (seed = 1; seed <= 20; seed++) {
		intent_rig_init(&rig, seed, 2, CHUNKS);
		intent_rig_start(&rig);
		assert_int_equal(rig_begin(&rig, &w, PAGE_1 - 5, PAGE_2 + 3), INTENT_WAIT);
		await(&rig, &w);
		disk_world_cut_power(rig.world);
		for (chunk = PAGE_1 - 5; chunk <= PAGE_2 + 3; chunk++)
			assert_true(rig_bit_everywhere(&rig, chunk));
		assert_false(rig_bit_anywhere(&rig, PAGE_1 - 6));
		assert_false(rig_bit_anywhere(&rig, PAGE_2 + 4));
		intent_rig_drain(&rig);
		intent_rig_fini(&rig);
	}
}

/* I1: a slot is read as the OR over copies (D12), and each bit may be on one disk only. */
static void what_one_disk_had_set_is_set_on_all_before_it_is_a_hit(void **state)
{
	struct intent_rig rig;
	struct rig_write w, x;

	(void)state;
	start(&rig, 2);
	rig_plant_bit(&rig, 0, 40);
	rig_plant_bit(&rig, 1, 45);
	intent_rig_restart(&rig);
	assert_true(intent_is_idle(rig.in)); /* nothing is written before it matters */
	assert_int_equal(rig_begin(&rig, &w, 40, 40), INTENT_WAIT);
	assert_int_equal(rig_begin(&rig, &x, 45, 45), INTENT_WAIT);
	await(&rig, &w);
	assert_int_equal(x.calls, 1); /* by the same write */
	assert_int_equal(rig_look(&rig).page_writes, 1);
	assert_true(rig_bit_everywhere(&rig, 40));
	assert_true(rig_bit_everywhere(&rig, 45));
	rig_end(&w, false);
	rig_end(&x, false);
	assert_int_equal(rig_begin(&rig, &w, 45, 45), INTENT_READY);
	rig_end(&w, false);
	assert_int_equal(rig_look(&rig).needed_chunks, 2);
	intent_rig_fini(&rig);
}

/* I3 */
static void a_hit_waits_for_nothing(void **state)
{
	struct intent_rig rig;
	struct rig_write a, b, c;

	(void)state;
	start(&rig, 2);
	rig_write(&rig, 5);
	assert_int_equal(rig_begin(&rig, &a, 6, 6), INTENT_WAIT);
	/* its page is being written for somebody else */
	assert_int_equal(rig_begin(&rig, &b, 5, 5), INTENT_READY);
	assert_int_equal(rig_begin(&rig, &c, 5, 5), INTENT_READY);
	assert_int_equal(rig_look(&rig).hits, 2);
	assert_int_equal(rig_look(&rig).misses, 2);
	assert_int_equal(rig_look(&rig).writing_chunks, 2);
	intent_rig_drain(&rig);
	assert_int_equal(a.calls, 1);
	rig_end(&a, false);
	rig_end(&b, false);
	rig_end(&c, false);
	assert_true(intent_is_idle(rig.in));
	assert_int_equal(rig_look(&rig).writing_chunks, 0);
	intent_rig_fini(&rig);
}

/* I3, I4: pages do not wait for one another */
static void a_slow_page_holds_up_nobody_elses_write(void **state)
{
	struct intent_rig rig;
	struct rig_write slow, quick, both;

	(void)state;
	start(&rig, 2);
	set_latency(&rig, LONG_NS);
	assert_int_equal(rig_begin(&rig, &slow, 1, 1), INTENT_WAIT);
	set_latency(&rig, SHORT_NS);
	assert_int_equal(rig_begin(&rig, &quick, PAGE_1, PAGE_1), INTENT_WAIT);
	assert_int_equal(rig_begin(&rig, &both, PAGE_1 - 1, PAGE_1), INTENT_WAIT);
	await(&rig, &quick);
	assert_int_equal(slow.calls, 0);
	intent_rig_pass(&rig, LONG_NS / 2);
	assert_int_equal(both.calls, 0);
	await(&rig, &slow);
	await(&rig, &both);
	intent_rig_fini(&rig);
}

/* I4: group commit */
static void what_comes_while_a_page_is_written_goes_with_its_next_write(void **state)
{
	struct intent_rig rig;
	struct rig_write first, later[10];
	uint32_t i;

	(void)state;
	start(&rig, 2);
	assert_int_equal(rig_begin(&rig, &first, 1000, 1000), INTENT_WAIT);
	for (i = 0; i < 10; i++)
		assert_int_equal(rig_begin(&rig, &later[i], 2000 + 100 * i, 2000 + 100 * i),
				 INTENT_WAIT);
	assert_int_equal(rig.disks[0]->in_flight, 1);
	await(&rig, &first);
	/* not durable by a write that began before they came */
	for (i = 0; i < 10; i++)
		assert_int_equal(later[i].calls, 0);
	/* and the next one is under way already */
	assert_int_equal(rig.disks[0]->in_flight, 1);
	intent_rig_drain(&rig);
	for (i = 0; i < 10; i++)
		assert_int_equal(later[i].calls, 1);
	assert_int_equal(rig_look(&rig).page_writes, 2);
	intent_rig_fini(&rig);
}

/* I4: also not behind a slot that is written whole for a new disk */
static void who_waits_for_a_page_goes_before_bulk_work(void **state)
{
	struct intent_rig rig;
	struct rig_write w;

	(void)state;
	intent_rig_init(&rig, 1, 2, 600 * 32768);
	disk_world_set_latency(rig.world, SHORT_NS, SHORT_NS);
	intent_rig_start(&rig);
	intent_set_disk(rig.in, 2, rig.disks[2], start_bytes(2), NULL);
	/* its page is in the first of many writes */
	assert_int_equal(rig_begin(&rig, &w, 5, 5), INTENT_WAIT);
	intent_rig_pass(&rig, 2 * SHORT_NS);
	assert_int_equal(w.calls, 1);
	assert_true(rig.disks[0]->in_flight > 0);
	intent_rig_drain(&rig);
	intent_rig_fini(&rig);
}

/* A second write to a chunk that is being set waits as the first one. */
static void a_chunk_that_is_being_set_is_no_hit(void **state)
{
	struct intent_rig rig;
	struct rig_write a, b, c, d;

	(void)state;
	start(&rig, 2);
	assert_int_equal(rig_begin(&rig, &a, 9, 9), INTENT_WAIT);
	assert_int_equal(rig_begin(&rig, &b, 9, 9), INTENT_WAIT);
	assert_int_equal(rig_begin(&rig, &c, 9, 10), INTENT_WAIT);
	assert_int_equal(rig_begin(&rig, &d, 10, 10), INTENT_WAIT);
	await(&rig, &a);
	assert_int_equal(b.calls, 1);
	assert_int_equal(c.calls, 0);
	assert_int_equal(d.calls, 0);
	intent_rig_drain(&rig);
	assert_int_equal(c.calls, 1);
	assert_int_equal(d.calls, 1);
	intent_rig_fini(&rig);
}

static void a_write_that_ends_before_it_was_ready_is_not_called(void **state)
{
	struct intent_rig rig;
	struct rig_write a, b;

	(void)state;
	start(&rig, 2);
	assert_int_equal(rig_begin(&rig, &a, 1, PAGE_1), INTENT_WAIT);
	assert_int_equal(rig_begin(&rig, &b, 1, 1), INTENT_WAIT);
	rig_end(&a, true);
	assert_false(intent_is_idle(rig.in));
	intent_rig_drain(&rig);
	assert_int_equal(a.calls, 0);
	assert_int_equal(b.calls, 1);
	rig_end(&b, true);
	assert_true(intent_is_idle(rig.in));
	assert_int_equal(rig_look(&rig).writing_chunks, 0);
	intent_rig_fini(&rig);
}

/* Who is called may end others, which are to be called next, and begin more. */
struct chain {
	struct intent_rig *rig;
	struct rig_write *other, *more;
};

static void ready_and_act(void *owner, struct intent_write *w)
{
	struct chain *chain = owner;

	(void)w;
	rig_end(chain->other, false);
	assert_int_equal(rig_begin(chain->rig, chain->more, 3, 3), INTENT_READY);
	rig_end(chain->more, false);
	assert_int_equal(rig_begin(chain->rig, chain->more, 5000, 5000), INTENT_WAIT);
}

static void a_callback_may_call_again(void **state)
{
	struct intent_rig rig;
	struct rig_write a, b, c;
	struct chain chain = { &rig, &b, &c };

	(void)state;
	start(&rig, 2);
	assert_int_equal(rig_begin(&rig, &a, 3, 3), INTENT_WAIT);
	assert_int_equal(rig_begin(&rig, &b, 3, 3), INTENT_WAIT);
	a.w.ready = ready_and_act;
	a.w.owner = &chain;
	intent_rig_drain(&rig);
	assert_int_equal(b.calls, 0);
	assert_int_equal(c.calls, 1);
	rig_end(&a, false);
	rig_end(&c, false);
	assert_true(intent_is_idle(rig.in));
	intent_rig_fini(&rig);
}

/* 32 MiB over chunks of 4 KiB, again and again, many at once */
static void a_write_may_span_thousands_of_chunks(void **state)
{
	struct intent_rig rig;
	static struct rig_write w[64];
	uint32_t i, round;

	(void)state;
	start(&rig, 2);
	for (round = 0; round < 4; round++) {
		for (i = 0; i < 64; i++)
			rig_begin(&rig, &w[i], 100 * i, 100 * i + 8191);
		assert_int_equal(rig_look(&rig).writing_chunks, 63 * 100 + 8192);
		intent_rig_drain(&rig);
		for (i = 0; i < 64; i++)
			rig_end(&w[i], false);
	}
	assert_int_equal(rig_look(&rig).writing_chunks, 0);
	assert_true(rig_look(&rig).page_writes <= 3);
	assert_int_equal(rig_look(&rig).hits, 3 * 64);
	intent_rig_fini(&rig);
}

/* B27 */
static void the_last_chunk_is_short_and_has_a_bit(void **state)
{
	struct intent_rig rig;
	uint8_t *image;

	(void)state;
	intent_rig_init(&rig, 1, 2, CHUNKS);
	/* mdadm leaves ones behind the last chunk: they stay, and mean nothing */
	rig.slot.image[rig.geo.slot_bytes - 1] = 0xff;
	intent_rig_start(&rig);
	assert_int_equal(rig_look(&rig).needed_chunks, 0);
	rig_write(&rig, CHUNKS - 1);
	assert_true(rig_bit_everywhere(&rig, CHUNKS - 1));
	assert_false(rig_bit_anywhere(&rig, CHUNKS));
	assert_int_equal(rig_look(&rig).dirty_bytes, CHUNK - 512);
	image = rig.slot.image;
	assert_int_equal(image[rig.geo.slot_bytes - 1], 0xff);
	intent_rig_fini(&rig);
}

/* --- I8 ------------------------------------------------------------------------------ */

static uint32_t write_stream(struct intent_rig *rig, uint64_t first, uint32_t count)
{
	uint64_t before = rig_look(rig).misses;
	uint32_t i;

	for (i = 0; i < count; i++) {
		rig_write(rig, first + i);
		/* what was marked ahead is written before the stream comes there */
		intent_rig_drain(rig);
	}
	return (uint32_t)(rig_look(rig).misses - before);
}

static void a_stream_finds_its_next_chunk_marked(void **state)
{
	struct intent_rig rig;
	struct intent_stats stats;

	(void)state;
	start(&rig, 2);
	/* the first two are in different groups, and it goes over a page's end */
	assert_in_range(write_stream(&rig, 64 * 313 - 1, 20000), 1, 2);
	stats = rig_look(&rig);
	assert_true(stats.page_writes < 30);
	assert_true(stats.dirty_chunks < 60000);
	intent_rig_fini(&rig);
}

static void two_streams_at_once_are_streams(void **state)
{
	struct intent_rig rig;
	uint32_t i, misses = 0;

	(void)state;
	start(&rig, 2);
	for (i = 0; i < 1000; i++) {
		misses += write_stream(&rig, 100 + i, 1);
		misses += write_stream(&rig, 50000 + i, 1);
	}
	assert_in_range(misses, 2, 4);
	intent_rig_fini(&rig);
}

static void nothing_is_marked_ahead_beyond_the_budget(void **state)
{
	struct intent_rig rig;
	uint32_t i;

	(void)state;
	intent_rig_init(&rig, 1, 2, CHUNKS);
	rig.budget = 200;
	intent_rig_start(&rig);
	for (i = 0; i < 3000; i++) {
		rig_write(&rig, 1000 + i);
		assert_true(rig_look(&rig).dirty_chunks <= 200 + 1);
	}
	assert_true(rig_look(&rig).premarked > 1000);
	intent_rig_drain(&rig);
	assert_true(rig_look(&rig).dirty_chunks <= 200);
	/* where nothing can go, nothing is added that nobody wrote to */
	intent_set_degraded(rig.in, true);
	for (i = 0; i < 3000; i++)
		rig_write(&rig, 50000 + i);
	intent_rig_drain(&rig);
	assert_true(rig_look(&rig).dirty_chunks <= 3000 + 200);
	assert_false(rig_bit_anywhere(&rig, 53000));
	intent_rig_fini(&rig);
}

static void writes_far_apart_mark_nothing_ahead(void **state)
{
	struct intent_rig rig;
	uint32_t i;

	(void)state;
	start(&rig, 2);
	for (i = 0; i < 500; i++)
		rig_write(&rig, (i * 7919ull * 64) % CHUNKS);
	assert_int_equal(rig_look(&rig).premarked, 0);
	assert_int_equal(rig_look(&rig).dirty_chunks, 500);
	intent_rig_fini(&rig);
}

static void neighbours_of_two_misses_are_marked_with_their_page(void **state)
{
	struct intent_rig rig;
	struct intent_stats stats;
	struct rig_write w[3];

	(void)state;
	start(&rig, 2);
	rig_write(&rig, 64 * 10 + 3);
	rig_write(&rig, 64 * 10 + 40);
	stats = rig_look(&rig);
	assert_int_equal(stats.premarked, 62);
	assert_int_equal(stats.page_writes, 2); /* none more for them */
	assert_int_equal(rig_begin(&rig, &w[0], 640, 703), INTENT_READY);
	assert_int_equal(rig_begin(&rig, &w[1], 639, 639), INTENT_WAIT);
	assert_int_equal(rig_begin(&rig, &w[2], 704, 704), INTENT_WAIT);
	intent_rig_drain(&rig);
	intent_rig_fini(&rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_write_goes_on_when_its_bit_is_durable_on_every_disk),
		cmocka_unit_test(a_write_across_pages_waits_for_all_of_them),
		cmocka_unit_test(what_one_disk_had_set_is_set_on_all_before_it_is_a_hit),
		cmocka_unit_test(a_hit_waits_for_nothing),
		cmocka_unit_test(a_slow_page_holds_up_nobody_elses_write),
		cmocka_unit_test(what_comes_while_a_page_is_written_goes_with_its_next_write),
		cmocka_unit_test(who_waits_for_a_page_goes_before_bulk_work),
		cmocka_unit_test(a_chunk_that_is_being_set_is_no_hit),
		cmocka_unit_test(a_write_that_ends_before_it_was_ready_is_not_called),
		cmocka_unit_test(a_callback_may_call_again),
		cmocka_unit_test(a_write_may_span_thousands_of_chunks),
		cmocka_unit_test(the_last_chunk_is_short_and_has_a_bit),
		cmocka_unit_test(a_stream_finds_its_next_chunk_marked),
		cmocka_unit_test(two_streams_at_once_are_streams),
		cmocka_unit_test(nothing_is_marked_ahead_beyond_the_budget),
		cmocka_unit_test(writes_far_apart_mark_nothing_ahead),
		cmocka_unit_test(neighbours_of_two_misses_are_marked_with_their_page),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
