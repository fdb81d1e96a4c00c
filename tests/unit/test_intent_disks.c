/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The write-intent log: disks that fail, hang, go and come (I9, D10, D12). */
#include "tests/unit/intent_rig.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "bitmap/bits.h"

enum { CHUNKS = 100000, PAGE_1 = 30720, STRIDE = 64 };

#define SECOND 1000000000ull

static void start(struct intent_rig *rig, uint32_t disks)
{
	intent_rig_init(rig, 1, disks, CHUNKS);
	intent_rig_start(rig);
}

static void fail_writes(struct intent_rig *rig, uint32_t role, bool is_on)
{
	disk_mem_set_fault(rig->disks[role],
			   is_on ? DISK_MEM_FAIL_WRITES : DISK_MEM_NO_FAULT, 0,
			   is_on ? UINT64_MAX : 0);
}

/* I9 */
static void what_waits_for_a_disk_that_fails_goes_on_when_it_is_out(void **state)
{
	struct intent_rig rig;
	struct rig_write w;
	struct rig_request r;

	(void)state;
	start(&rig, 3);
	fail_writes(&rig, 1, true);
	assert_int_equal(rig_begin(&rig, &w, 5, 5), INTENT_WAIT);
	intent_rig_drain(&rig);
	assert_int_equal(rig.failed[1], EIO);
	assert_int_equal(rig.failures, 1);
	intent_rig_pass(&rig, SECOND / 2);
	assert_int_equal(w.calls, 0);
	intent_set_degraded(rig.in, true);
	intent_set_disk(rig.in, 1, NULL, 0, rig_request(&r));
	assert_int_equal(r.calls, 0); /* never from within */
	assert_int_equal(w.calls, 0);
	intent_rig_drain(&rig);
	assert_int_equal(r.calls, 1);
	assert_int_equal(w.calls, 1);
	assert_true(rig_bit(&rig, 0, 5) && rig_bit(&rig, 2, 5));
	assert_int_equal(rig.failures, 1);
	rig_end(&w, false);
	intent_rig_fini(&rig);
}

/* The owner takes it out from within failed(). */
static void a_disk_may_be_taken_out_at_once(void **state)
{
	struct intent_rig rig;
	struct rig_write w[3];
	uint64_t seed;
	uint32_t i;

	(void)state;
	for (seed = 1; seed <= 30; seed++) {
		intent_rig_init(&rig, seed, 3, CHUNKS);
		rig.takes_out = true;
		intent_rig_start(&rig);
		disk_mem_fail_nth_write(rig.disks[2], seed % 3 + 1);
		for (i = 0; i < 3; i++)
			rig_begin(&rig, &w[i], 40000 * i % CHUNKS, 40000 * i % CHUNKS);
		intent_rig_drain(&rig);
		assert_int_equal(rig.failed[2], EIO);
		/* without the retry of each second */
		assert_true(disk_world_now_ns(rig.world) < SECOND / 2);
		for (i = 0; i < 3; i++)
			assert_int_equal(w[i].calls, 1);
		for (i = 0; i < 3; i++)
			assert_true(rig_bit_everywhere(&rig, 40000 * i % CHUNKS));
		for (i = 0; i < 3; i++)
			rig_end(&w[i], false);
		assert_true(intent_is_idle(rig.in));
		intent_rig_fini(&rig);
	}
}

/* Nobody takes the last disk out: it is tried again, for who asks and each second. */
static void a_lone_disk_that_fails_is_tried_again(void **state)
{
	struct intent_rig rig;
	struct rig_write a, b, c;

	(void)state;
	start(&rig, 1);
	fail_writes(&rig, 0, true);
	assert_int_equal(rig_begin(&rig, &a, 5, 5), INTENT_WAIT);
	intent_rig_drain(&rig);
	assert_int_equal(rig.failures, 1);
	assert_int_equal(rig_begin(&rig, &b, 6, 6), INTENT_WAIT);
	intent_rig_drain(&rig);
	assert_int_equal(rig.failures, 2);
	/* no more than that */
	intent_rig_pass(&rig, 3 * SECOND + SECOND / 2);
	assert_in_range(rig.failures, 4, 6);
	/* the client of this one has its error, and goes */
	rig_end(&a, true);
	fail_writes(&rig, 0, false);
	intent_rig_pass(&rig, SECOND + SECOND / 2);
	assert_int_equal(a.calls, 0);
	assert_int_equal(b.calls, 1);
	assert_int_equal(rig_begin(&rig, &c, 5000, 5000), INTENT_WAIT);
	intent_rig_drain(&rig);
	assert_int_equal(c.calls, 1);
	assert_int_equal(intent_deadline(rig.in), UINT64_MAX);
	intent_rig_fini(&rig);
}

/* One disk has it so, the other not: the chunk is dirty again. */
static void a_clear_that_a_disk_did_not_take_is_taken_back(void **state)
{
	struct intent_rig rig;
	struct rig_request r;
	struct rig_write w;

	(void)state;
	start(&rig, 2);
	rig_write(&rig, 5);
	intent_settle(rig.in, rig_request(&r));
	fail_writes(&rig, 1, true);
	intent_rig_drain(&rig);
	assert_int_equal(rig.failed[1], EIO);
	assert_false(rig_bit(&rig, 0, 5));
	assert_true(rig_bit(&rig, 1, 5));
	rig_take_out(&rig, 1);
	intent_rig_drain(&rig);
	assert_int_equal(r.calls, 1);
	assert_true(rig_bit(&rig, 0, 5));
	assert_int_equal(rig_begin(&rig, &w, 5, 5), INTENT_READY);
	rig_end(&w, false);
	assert_int_equal(rig_look(&rig).dirty_chunks, 1);
	intent_rig_fini(&rig);
}

/* --- disks that hang ----------------------------------------------------------------- */

static void a_disk_that_does_not_answer_fails_and_holds_up_nobody_then(void **state)
{
	struct intent_rig rig;
	struct rig_request r;
	struct rig_write w, x;
	uint64_t at;

	(void)state;
	start(&rig, 2);
	disk_world_set_latency(rig.world, 1000 * SECOND, 1000 * SECOND);
	assert_int_equal(rig_begin(&rig, &w, 5, 5), INTENT_WAIT);
	disk_world_set_latency(rig.world, 1000, 1000);
	intent_rig_pass(&rig, 29 * SECOND);
	assert_int_equal(rig.failures, 0);
	intent_rig_pass(&rig, 2 * SECOND);
	/* both: it is the owner who knows that one must stay */
	assert_int_equal(rig.failed[0], ETIMEDOUT);
	assert_int_equal(rig.failed[1], ETIMEDOUT);
	intent_rig_pass(&rig, 100 * SECOND);
	assert_int_equal(rig.failures, 2);
	intent_set_degraded(rig.in, true);
	intent_set_disk(rig.in, 0, NULL, 0, rig_request(&r));
	intent_rig_pass(&rig, 1 * SECOND);
	/* the other disk has it still */
	assert_int_equal(w.calls, 0);
	intent_set_disk(rig.in, 1, NULL, 0, NULL);
	intent_set_disk(rig.in, 2, rig.disks[2], start_bytes(2), NULL);
	assert_int_equal(rig_begin(&rig, &x, PAGE_1, PAGE_1), INTENT_WAIT);
	intent_rig_pass(&rig, 1 * SECOND);
	assert_int_equal(x.calls, 1);
	assert_int_equal(r.calls, 0); /* a request of ours is with it */
	assert_false(intent_is_idle(rig.in));
	while (disk_world_next(rig.world, &at))
		intent_rig_pass(&rig, 1000 * SECOND);
	assert_int_equal(r.calls, 1);
	assert_true(rig_bit(&rig, 2, 5));
	rig_end(&w, false);
	rig_end(&x, false);
	assert_true(intent_is_idle(rig.in));
	intent_rig_fini(&rig);
}

static void a_role_may_have_less_time_than_the_others(void **state)
{
	struct intent_rig rig;
	struct rig_write w;

	(void)state;
	start(&rig, 2);
	intent_set_hang(rig.in, 1, 10 * SECOND);
	disk_world_set_latency(rig.world, 1000 * SECOND, 1000 * SECOND);
	assert_int_equal(rig_begin(&rig, &w, 5, 5), INTENT_WAIT);
	intent_rig_pass(&rig, 9 * SECOND);
	assert_int_equal(rig.failures, 0);
	intent_rig_pass(&rig, 2 * SECOND);
	assert_int_equal(rig.failed[1], ETIMEDOUT);
	assert_int_equal(rig.failures, 1);
	intent_rig_pass(&rig, 18 * SECOND);
	assert_int_equal(rig.failures, 1);
	intent_rig_pass(&rig, 2 * SECOND);
	assert_int_equal(rig.failed[0], ETIMEDOUT);
	intent_rig_pass(&rig, 1000 * SECOND);
	rig_end(&w, false);
	intent_rig_fini(&rig);
}

static void time_in_which_nobody_listened_is_no_hang(void **state)
{
	struct intent_rig rig;
	struct rig_write w;

	(void)state;
	start(&rig, 2);
	disk_world_set_latency(rig.world, 40 * SECOND, 40 * SECOND);
	assert_int_equal(rig_begin(&rig, &w, 5, 5), INTENT_WAIT);
	intent_rig_pass(&rig, 20 * SECOND);
	intent_stood_still(rig.in, 20 * SECOND);
	intent_rig_pass(&rig, 29 * SECOND);
	assert_int_equal(rig.failures, 0);
	assert_int_equal(w.calls, 1);
	rig_end(&w, false);
	intent_rig_fini(&rig);
}

/* The page that hung on it is written to the others, and changes as ever. */
static void a_page_that_hung_on_a_disk_that_is_out_goes_on(void **state)
{
	struct intent_rig rig;
	struct rig_write w, x;
	uint32_t i;

	(void)state;
	start(&rig, 2);
	rig.takes_out = true;
	disk_world_set_latency(rig.world, 1000 * SECOND, 1000 * SECOND);
	assert_int_equal(rig_begin(&rig, &w, 5, 5), INTENT_WAIT);
	disk_world_set_latency(rig.world, 1000, 1000);
	intent_set_disk(rig.in, 2, rig.disks[2], start_bytes(2), NULL);
	rig_take_out(&rig, 1);
	rig_take_out(&rig, 0);
	/* that page went to none that is left: the write of all pages to the new disk */
	intent_rig_pass(&rig, SECOND);
	assert_int_equal(w.calls, 1);
	rig_end(&w, false);
	for (i = 0; i < 300; i++) {
		assert_int_equal(rig_begin(&rig, &x, 3 * STRIDE * i + 100,
					   3 * STRIDE * i + 100), INTENT_WAIT);
		intent_rig_pass(&rig, SECOND / 100);
		assert_int_equal(x.calls, 1);
		assert_true(rig_bit(&rig, 2, 3 * STRIDE * i + 100));
		rig_end(&x, false);
	}
	intent_rig_pass(&rig, 1000 * SECOND);
	assert_true(intent_is_idle(rig.in));
	intent_rig_fini(&rig);
}

/* D10: the next disk in its place has the slot, whatever the old one does with its page. */
static void a_page_that_hangs_on_the_disk_that_had_the_role_holds_up_no_other(void **state)
{
	struct intent_rig rig;
	struct rig_request r;
	struct rig_write w, x;

	(void)state;
	start(&rig, 2);
	disk_world_set_latency(rig.world, 1000 * SECOND, 1000 * SECOND);
	assert_int_equal(rig_begin(&rig, &w, 5, 5), INTENT_WAIT);
	disk_world_set_latency(rig.world, 1000, 1000);
	rig_take_out(&rig, 1);
	intent_set_disk(rig.in, 0, NULL, 0, NULL);
	intent_set_disk(rig.in, 0, rig.disks[3], start_bytes(3), NULL);
	intent_set_disk(rig.in, 1, rig.disks[2], start_bytes(2), rig_request(&r));
	intent_rig_pass(&rig, SECOND);
	assert_int_equal(r.calls, 1);
	assert_int_equal(r.result, 0);
	assert_int_equal(w.calls, 1);
	assert_true(rig_bit(&rig, 2, 5) && rig_bit(&rig, 3, 5));
	assert_int_equal(rig_begin(&rig, &x, 6, 6), INTENT_WAIT);
	intent_rig_pass(&rig, SECOND);
	assert_int_equal(x.calls, 1);
	assert_true(intent_has_io(rig.in)); /* the old one has our memory */
	rig_end(&w, false);
	rig_end(&x, false);
	intent_rig_pass(&rig, 2000 * SECOND);
	assert_int_equal(rig.failures, 0);
	assert_false(intent_has_io(rig.in));
	assert_true(intent_is_idle(rig.in));
	assert_true(rig_bit(&rig, 2, 6) && rig_bit(&rig, 3, 6));
	intent_rig_fini(&rig);
}

/* Its request comes back before anybody has looked at what that meant. */
static void a_disk_that_is_out_answers_at_once(void **state)
{
	struct intent_rig rig;
	struct rig_write w;
	uint64_t at;

	(void)state;
	start(&rig, 1);
	rig_begin(&rig, &w, 5, 5);
	rig_take_out(&rig, 0);
	assert_int_equal(w.calls, 0);
	while (disk_world_next(rig.world, &at)) {
		disk_world_advance(rig.world, at);
		disk_pump(rig.disks[0], 0);
	}
	assert_false(intent_has_io(rig.in));
	intent_rig_drain(&rig);
	intent_rig_fini(&rig);
}

/* --- flushes ------------------------------------------------------------------------- */

/* A flush has no address: it hangs instead of failing. */
static void a_flush_that_hangs_clears_nothing(void **state)
{
	struct intent_rig rig;
	struct rig_request r;

	(void)state;
	start(&rig, 2);
	rig.takes_out = true;
	rig_write(&rig, 5);
	disk_world_set_latency(rig.world, 1000 * SECOND, 1000 * SECOND);
	intent_settle(rig.in, rig_request(&r));
	disk_world_set_latency(rig.world, 1000, 1000);
	intent_rig_pass(&rig, 10 * SECOND);
	assert_int_equal(r.calls, 0);
	rig_take_out(&rig, 1);
	intent_rig_pass(&rig, 2000 * SECOND);
	assert_int_equal(r.calls, 1);
	assert_true(rig_bit(&rig, 0, 5));
	intent_rig_fini(&rig);
}

/* A flush that began when other disks took part says nothing about these. */
static void a_flush_of_other_disks_clears_nothing(void **state)
{
	struct intent_rig rig;
	struct rig_request r;
	struct rig_write w;

	(void)state;
	start(&rig, 2);
	rig_begin(&rig, &w, 5, 5);
	intent_rig_drain(&rig);
	rig_end(&w, true);
	disk_world_set_latency(rig.world, SECOND, SECOND);
	intent_settle(rig.in, rig_request(&r));
	assert_int_equal(rig_look(&rig).clear_flushes, 1);
	intent_set_disk(rig.in, 2, rig.disks[2], start_bytes(2), NULL);
	while (r.calls == 0 && rig_look(&rig).clear_flushes == 1)
		intent_rig_step(&rig);
	/* it is over, and there is a new one, of all three */
	assert_int_equal(rig_look(&rig).clear_flushes, 2);
	assert_int_equal(rig_look(&rig).dirty_chunks, 1);
	intent_rig_drain(&rig);
	assert_int_equal(r.calls, 1);
	assert_int_equal(rig_look(&rig).clear_flushes, 2);
	assert_false(rig_bit(&rig, 0, 5));
	assert_false(rig_bit(&rig, 2, 5));
	intent_rig_fini(&rig);
}

static const struct disk_ops *mem_ops;

static int submit_no_flush(struct disk *disk, struct disk_req *req, struct err *err)
{
	return req->op == DISK_FLUSH ? -ENOSYS : mem_ops->submit(disk, req, err);
}

/* Refused at once: told all the same, and not from within the call. */
static void a_flush_that_fails_clears_nothing(void **state)
{
	struct intent_rig rig;
	struct disk_ops ops;
	struct rig_request r;

	(void)state;
	start(&rig, 2);
	rig_write(&rig, 5);
	mem_ops = rig.disks[1]->ops;
	ops = *mem_ops;
	ops.submit = submit_no_flush;
	rig.disks[1]->ops = &ops;
	intent_settle(rig.in, rig_request(&r));
	assert_int_equal(rig.failures, 0);
	intent_rig_drain(&rig);
	assert_int_equal(rig.failed[1], ENOSYS);
	assert_int_equal(rig.failures, 1);
	intent_rig_pass(&rig, 3 * SECOND + SECOND / 2);
	assert_in_range(rig.failures, 3, 5);
	assert_true(rig_bit_everywhere(&rig, 5));
	assert_int_equal(rig_look(&rig).dirty_chunks, 1);
	rig_take_out(&rig, 1);
	intent_rig_drain(&rig);
	assert_int_equal(r.calls, 1);
	assert_true(rig_bit(&rig, 0, 5));
	rig.disks[1]->ops = mem_ops;
	intent_rig_fini(&rig);
}

/* --- disks that come ----------------------------------------------------------------- */

/* D10 */
static void a_disk_that_comes_gets_the_whole_slot(void **state)
{
	struct intent_rig rig;
	struct rig_request r;
	uint8_t *a, *b;
	uint32_t i;

	(void)state;
	start(&rig, 2);
	for (i = 0; i < 500; i++)
		rig_write(&rig, STRIDE * i);
	intent_set_disk(rig.in, 2, rig.disks[2], start_bytes(2), rig_request(&r));
	assert_int_equal(r.calls, 0);
	/* writers go on, and what they set meanwhile is there as well */
	for (i = 500; i < 510; i++)
		rig_write(&rig, STRIDE * i);
	while (r.calls == 0)
		assert_true(intent_rig_step(&rig));
	assert_int_equal(r.result, 0);
	disk_world_cut_power(rig.world);
	a = malloc(rig.geo.slot_bytes);
	b = malloc(rig.geo.slot_bytes);
	disk_mem_peek(rig.disks[0], start_bytes(0) + OWN * rig.geo.slot_bytes, a,
		      rig.geo.slot_bytes);
	disk_mem_peek(rig.disks[2], start_bytes(2) + OWN * rig.geo.slot_bytes, b,
		      rig.geo.slot_bytes);
	assert_memory_equal(a, b, rig.geo.slot_bytes);
	assert_int_equal(bits_count(b + BITMAP_SB_BYTES, CHUNKS), 510);
	free(a);
	free(b);
	rig_expect_others_untouched(&rig);
	intent_rig_drain(&rig);
	intent_rig_fini(&rig);
}

/* A write of a page that was under way when it came did not go to it. */
static void a_disk_that_comes_while_pages_are_written_gets_them_all_the_same(void **state)
{
	struct intent_rig rig;
	struct rig_request r;
	struct rig_write w, x;
	uint64_t seed;

	(void)state;
	for (seed = 1; seed <= 30; seed++) {
		intent_rig_init(&rig, seed, 2, CHUNKS);
		intent_rig_start(&rig);
		rig_begin(&rig, &w, 5, 5);
		rig_begin(&rig, &x, PAGE_1, PAGE_1);
		intent_set_disk(rig.in, 2, rig.disks[2], start_bytes(2), rig_request(&r));
		while (r.calls == 0)
			assert_true(intent_rig_step(&rig));
		disk_world_cut_power(rig.world);
		assert_true(rig_bit(&rig, 2, 5));
		assert_true(rig_bit(&rig, 2, PAGE_1));
		intent_rig_drain(&rig);
		intent_rig_fini(&rig);
	}
}

static void a_disk_that_goes_before_it_had_all_is_told(void **state)
{
	struct intent_rig rig;
	struct rig_request r;

	(void)state;
	start(&rig, 2);
	rig.takes_out = true;
	fail_writes(&rig, 2, true);
	intent_set_disk(rig.in, 2, rig.disks[2], start_bytes(2), rig_request(&r));
	intent_rig_drain(&rig);
	assert_int_equal(r.calls, 1);
	assert_int_equal(r.result, -ENODEV);
	assert_true(intent_is_idle(rig.in));
	intent_rig_fini(&rig);
}

/* --- D13 ----------------------------------------------------------------------------- */

/* Two disks fail at the same time, and one is there again soon. */
static void who_waits_for_pages_without_any_disk_is_told(void **state)
{
	struct rig_request before = { 0 }, behind = { 0 };
	struct intent_rig rig;

	(void)state;
	intent_rig_init(&rig, 1, 2, 1000);
	intent_rig_start(&rig);
	intent_set_events(rig.in, 7, rig_request(&before));
	rig_take_out(&rig, 0);
	rig_take_out(&rig, 1);
	intent_set_events(rig.in, 8, rig_request(&behind));
	intent_rig_drain(&rig);
	intent_rig_pass(&rig, 1000000);
	assert_int_equal(before.calls, 1);
	assert_int_equal(before.result, -EIO);
	assert_int_equal(behind.calls, 1);
	assert_int_equal(behind.result, -EIO);
	intent_rig_stop(&rig);
	intent_rig_fini(&rig);
}

static void nothing_is_written_while_the_gate_is_shut(void **state)
{
	struct intent_rig rig;
	struct rig_write w[3];
	struct rig_request r, events;
	uint64_t writes;
	uint32_t i;

	(void)state;
	start(&rig, 2);
	for (i = 0; i < 100; i++)
		rig_write(&rig, STRIDE * i);
	rig_begin(&rig, &w[0], 20000, 20000);
	rig_begin(&rig, &w[1], 20001, 20001); /* goes with the next write of the page */
	intent_settle(rig.in, rig_request(&r));
	intent_set_gate(rig.in, false, UINT64_MAX);
	writes = disk_world_writes(rig.world);
	while (intent_has_io(rig.in))
		assert_true(intent_rig_step(&rig));
	assert_int_equal(rig.disks[0]->in_flight + rig.disks[1]->in_flight, 0);
	intent_set_budget(rig.in, 10 * CHUNK);
	intent_set_disk(rig.in, 2, rig.disks[2], start_bytes(2), NULL);
	intent_set_events(rig.in, 5, rig_request(&events));
	assert_int_equal(rig_begin(&rig, &w[2], PAGE_1, PAGE_1), INTENT_WAIT);
	intent_rig_pass(&rig, 10 * SECOND);
	assert_int_equal(disk_world_writes(rig.world), writes);
	assert_int_equal(w[0].calls, 1); /* it was under way */
	assert_int_equal(w[1].calls + w[2].calls + r.calls + events.calls, 0);
	/* hits go on: the mirror has a gate of its own */
	assert_int_equal(rig_begin(&rig, &w[0], 0, 0), INTENT_READY);
	intent_set_gate(rig.in, true, UINT64_MAX);
	intent_rig_drain(&rig);
	assert_int_equal(w[1].calls, 1);
	assert_int_equal(w[2].calls, 1);
	assert_int_equal(events.calls, 1);
	assert_int_equal(r.calls, 1);
	intent_rig_fini(&rig);
}

static void nothing_is_written_when_the_lease_is_over(void **state)
{
	struct intent_rig rig;
	struct rig_write w, x;
	uint64_t writes, now;

	(void)state;
	start(&rig, 2);
	intent_set_gate(rig.in, true, SECOND);
	rig_begin(&rig, &w, 5, 5);
	intent_rig_pass(&rig, SECOND / 2);
	assert_int_equal(w.calls, 1);
	rig_end(&w, false);
	intent_rig_pass(&rig, SECOND / 2);
	writes = disk_world_writes(rig.world);
	assert_int_equal(rig_begin(&rig, &w, 2000, 2000), INTENT_WAIT);
	assert_int_equal(rig_begin(&rig, &x, PAGE_1 + 5, PAGE_1 + 5), INTENT_WAIT);
	intent_rig_pass(&rig, SECOND);
	assert_int_equal(disk_world_writes(rig.world), writes);
	now = disk_world_now_ns(rig.world);
	intent_set_gate(rig.in, true, now); /* that is no time */
	intent_rig_drain(&rig);
	assert_int_equal(disk_world_writes(rig.world), writes);
	intent_set_gate(rig.in, true, now + SECOND);
	intent_rig_drain(&rig);
	assert_int_equal(w.calls, 1);
	assert_int_equal(x.calls, 1);
	intent_rig_fini(&rig);
}

static bool may_change(void *owner)
{
	return *(bool *)owner;
}

/* The disk says so: the page waits for the next lease, and no disk is to blame. */
static void what_a_disk_did_not_begin_is_written_when_there_is_a_lease(void **state)
{
	bool is_allowed = false;
	struct intent_rig rig;
	struct rig_write w;

	(void)state;
	start(&rig, 2);
	intent_set_gate(rig.in, true, UINT64_MAX);
	disk_guard(rig.disks[1], may_change, &is_allowed);
	assert_int_equal(rig_begin(&rig, &w, 5, 5), INTENT_WAIT);
	intent_rig_pass(&rig, SECOND);
	assert_int_equal(w.calls, 0);
	assert_int_equal(rig.failures, 0);
	assert_false(intent_has_io(rig.in));
	is_allowed = true;
	intent_set_gate(rig.in, true, UINT64_MAX);
	intent_rig_drain(&rig);
	assert_int_equal(w.calls, 1);
	intent_rig_fini(&rig);
}

/* Also one that is with a disk that was taken out. */
static void drained_is_who_has_no_request_with_any_disk(void **state)
{
	struct intent_rig rig;
	struct rig_write w;

	(void)state;
	start(&rig, 2);
	disk_world_set_latency(rig.world, 10 * SECOND, 10 * SECOND);
	rig_begin(&rig, &w, 5, 5);
	rig_take_out(&rig, 1);
	rig_take_out(&rig, 0);
	intent_set_gate(rig.in, false, UINT64_MAX);
	intent_rig_pass(&rig, 9 * SECOND);
	assert_true(intent_has_io(rig.in));
	intent_rig_pass(&rig, 2 * SECOND);
	assert_false(intent_has_io(rig.in));
	/* what waits for the gate is no reason to stay */
	intent_rig_fini(&rig);
}

/* D2: who says that the array is whole may not know yet of the disk that went. */
static void without_a_disk_nothing_is_cleared_whatever_is_said(void **state)
{
	struct intent_rig rig;
	struct rig_request r;

	(void)state;
	start(&rig, 3);
	rig_write(&rig, 5);
	intent_set_disk(rig.in, 1, NULL, 0, NULL);
	intent_set_degraded(rig.in, false);
	intent_set_events(rig.in, 7, NULL);
	intent_settle(rig.in, rig_request(&r));
	intent_rig_pass(&rig, 3 * SECOND);
	assert_int_equal(r.calls, 1);
	assert_true(rig_bit(&rig, 0, 5) && rig_bit(&rig, 2, 5));
	assert_int_equal(rig_sb(&rig, 0).events, 7);
	assert_int_equal(rig_sb(&rig, 0).events_cleared, 0);
	intent_set_disk(rig.in, 1, rig.disks[1], start_bytes(1), NULL);
	intent_settle(rig.in, rig_request(&r));
	intent_rig_drain(&rig);
	assert_false(rig_bit_anywhere(&rig, 5));
	intent_rig_fini(&rig);
}

/* --- slots that were STALE ----------------------------------------------------------- */

static void plant_state(struct intent_rig *rig, uint32_t disk, uint32_t state)
{
	uint8_t bytes[BITMAP_SB_BYTES];
	struct bitmap_sb sb = rig->slot.sb;

	sb.state = state;
	bitmap_sb_emit(&sb, bytes);
	disk_mem_poke(rig->disks[disk], start_bytes(disk) + OWN * rig->geo.slot_bytes, bytes,
		      sizeof(bytes));
}

static void write_everywhere(struct intent_rig *rig)
{
	struct rig_write w;

	rig_begin(rig, &w, PAGE_1 - 1, CHUNKS - 1);
	intent_rig_drain(rig);
	rig_end(&w, false);
	intent_rig_pass(rig, 2 * SECOND);
}

/* At any power cut the slot still reads as all ones, or has them. */
static void a_stale_slot_is_stale_until_all_its_bits_are_on_disk(void **state)
{
	struct intent_rig rig;
	uint32_t cut, sound = 0;

	(void)state;
	for (cut = 0; cut < 60; cut++) {
		intent_rig_init(&rig, cut + 1, 2, CHUNKS);
		plant_state(&rig, 1, BITMAP_STATE_STALE);
		intent_rig_restart(&rig);
		assert_int_equal(intent_needed_count(rig.in), CHUNKS);
		disk_world_cut_power_after(rig.world, cut % 30);
		write_everywhere(&rig);
		disk_world_cut_power(rig.world);
		intent_rig_drain(&rig);
		if (rig_sb(&rig, 1).state == 0) {
			sound++;
			assert_true(rig_bit_everywhere(&rig, 5));
			assert_true(rig_bit_everywhere(&rig, PAGE_1 + 100));
			assert_true(rig_bit_everywhere(&rig, CHUNKS - 5));
		}
		intent_rig_fini(&rig);
	}
	assert_in_range(sound, 10, 55);
}

static void a_stale_slot_that_was_resynced_is_sound(void **state)
{
	struct intent_rig rig;
	struct rig_request r;

	(void)state;
	intent_rig_init(&rig, 1, 2, CHUNKS);
	rig.slot.sb.state = BITMAP_STATE_WRITE_ERROR;
	bitmap_slot_fill(&rig.slot, true);
	intent_rig_start(&rig);
	intent_synced(rig.in, 0, CHUNKS - 1);
	intent_settle(rig.in, rig_request(&r));
	intent_rig_drain(&rig);
	assert_int_equal(r.calls, 1);
	assert_int_equal(rig_sb(&rig, 0).state, 0);
	assert_int_equal(rig_sb(&rig, 1).state, 0);
	assert_false(rig_bit_anywhere(&rig, 5));
	assert_false(rig_bit_anywhere(&rig, CHUNKS - 1));
	intent_rig_fini(&rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_waits_for_a_disk_that_fails_goes_on_when_it_is_out),
		cmocka_unit_test(a_disk_may_be_taken_out_at_once),
		cmocka_unit_test(a_lone_disk_that_fails_is_tried_again),
		cmocka_unit_test(a_clear_that_a_disk_did_not_take_is_taken_back),
		cmocka_unit_test(a_disk_that_does_not_answer_fails_and_holds_up_nobody_then),
		cmocka_unit_test(a_page_that_hung_on_a_disk_that_is_out_goes_on),
		cmocka_unit_test(a_disk_that_is_out_answers_at_once),
		cmocka_unit_test(
			a_page_that_hangs_on_the_disk_that_had_the_role_holds_up_no_other),
		cmocka_unit_test(a_flush_that_hangs_clears_nothing),
		cmocka_unit_test(a_role_may_have_less_time_than_the_others),
		cmocka_unit_test(time_in_which_nobody_listened_is_no_hang),
		cmocka_unit_test(a_flush_of_other_disks_clears_nothing),
		cmocka_unit_test(a_flush_that_fails_clears_nothing),
		cmocka_unit_test(a_disk_that_comes_gets_the_whole_slot),
		cmocka_unit_test(a_disk_that_comes_while_pages_are_written_gets_them_all_the_same),
		cmocka_unit_test(a_disk_that_goes_before_it_had_all_is_told),
		cmocka_unit_test(who_waits_for_pages_without_any_disk_is_told),
		cmocka_unit_test(nothing_is_written_while_the_gate_is_shut),
		cmocka_unit_test(nothing_is_written_when_the_lease_is_over),
		cmocka_unit_test(what_a_disk_did_not_begin_is_written_when_there_is_a_lease),
		cmocka_unit_test(drained_is_who_has_no_request_with_any_disk),
		cmocka_unit_test(without_a_disk_nothing_is_cleared_whatever_is_said),
		cmocka_unit_test(a_stale_slot_is_stale_until_all_its_bits_are_on_disk),
		cmocka_unit_test(a_stale_slot_that_was_resynced_is_sound),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
