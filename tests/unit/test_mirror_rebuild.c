/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Mirrors: disks that come, and are rebuilt (D10, Y5, Y6, C1..C4). */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/mirror_rig.h"

#define K 1024ull
#define M (1024 * K)
#define SECTORS(bytes) ((bytes) / 512)

/* --- one that comes ------------------------------------------------------------------------ */

struct change {
	struct mirror_change c;
	int calls, result;
};

static void change_done(void *owner, struct mirror_change *c, int result)
{
	struct change *change = owner;

	assert_ptr_equal(c, &change->c);
	change->calls++;
	change->result = result;
}

static void change_begin_at(struct mirror_rig *rig, struct change *change, uint32_t role,
			    enum mirror_disk_state state, bool is_by_bitmap,
			    uint64_t events)
{
	bool is_coming = mr_look(rig).disks[role].state == MIRROR_DISK_MISSING;

	*change = (struct change){ .c = { .role = role,
					  .state = state,
					  .events = events,
					  .disk = is_coming ? rig->disks[role] : NULL,
					  .data_offset = MR_DATA_OFFSET,
					  .is_by_bitmap = is_by_bitmap,
					  .done = change_done,
					  .owner = change } };
	mirror_change_disk(rig->m, &change->c);
	assert_int_equal(change->calls, 0);
}

static void change_begin(struct mirror_rig *rig, struct change *change, uint32_t role,
			 enum mirror_disk_state state, bool is_by_bitmap)
{
	change_begin_at(rig, change, role, state, is_by_bitmap, 0);
}

static void answer_intent(struct mirror_rig *rig)
{
	mr_run(rig);
	while (rig->intent->coming || rig->intent->needing) {
		fake_intent_answer(rig->intent);
		mr_run(rig);
	}
}

static void change(struct mirror_rig *rig, uint32_t role, enum mirror_disk_state state)
{
	struct change it;

	change_begin(rig, &it, role, state, false);
	answer_intent(rig);
	assert_int_equal(it.calls, 1);
	assert_int_equal(it.result, 0);
}

/* All know that it went. */
static void take_out(struct mirror_rig *rig, uint32_t role)
{
	change(rig, role, MIRROR_DISK_MISSING);
	mirror_failure_known(rig->m, role);
}

static void replace(struct mirror_rig *rig, uint32_t role)
{
	take_out(rig, role);
	mr_poke(rig, role, 0, MR_MEMBER_BYTES, 0xee);
	change(rig, role, MIRROR_DISK_REBUILD);
}

/* --- windows ------------------------------------------------------------------------------- */

struct window {
	struct mirror_sync sync;
	int calls, result;
	uint32_t told;
};

static void window_done(void *owner, struct mirror_sync *sync, int result)
{
	struct window *w = owner;

	assert_ptr_equal(sync, &w->sync);
	w->calls++;
	w->result = result;
}

static void window_differs(void *owner, struct mirror_sync *sync, uint64_t sector,
			   uint64_t sectors)
{
	struct window *w = owner;

	(void)sync, (void)sector, (void)sectors;
	w->told++;
}

static void window_begin(struct mirror_rig *rig, struct window *w, enum mirror_sync_kind kind,
			 uint64_t low, uint64_t high)
{
	*w = (struct window){ .sync = { .kind = kind,
					.low = SECTORS(low),
					.high = SECTORS(high),
					.done = window_done,
					.differs = window_differs,
					.owner = w } };
	assert_int_equal(mirror_sync_begin(rig->m, &w->sync), 0);
}

static int window_wait(struct mirror_rig *rig, struct window *w)
{
	while (w->calls == 0)
		assert_true(mr_step(rig));
	return w->result;
}

static int rebuild(struct mirror_rig *rig, struct window *w, uint64_t low, uint64_t high)
{
	window_begin(rig, w, MIRROR_SYNC_REBUILD, low, high);
	return window_wait(rig, w);
}

/* --- a rebuild ----------------------------------------------------------------------------- */

static void a_rebuild_copies_all_to_the_disk_that_is_rebuilt_alone(void **state)
{
	struct mirror_rig *rig = mr_new(3, 0, 0);
	struct window w;

	(void)state;
	mr_poke(rig, 0, 0, MR_MEMBER_BYTES, 1);
	mr_poke(rig, 1, 0, MR_MEMBER_BYTES, 2);
	rig->intent->is_needed[2] = true;
	replace(rig, 2);
	/* no chunk of the bitmap begins or ends there */
	assert_int_equal(rebuild(rig, &w, 4 * K, M + 512), 0);
	assert_int_equal(w.sync.position, SECTORS(M + 512));
	assert_int_equal(w.sync.copied_sectors, SECTORS(M + 512 - 4 * K));
	assert_int_equal(mr_on_disk(rig, 2, 0, 4 * K), 0xee);
	assert_int_equal(mr_on_disk(rig, 2, 4 * K, M + 512 - 4 * K), 1);
	assert_int_equal(mr_on_disk(rig, 2, M + 512, M), 0xee);
	assert_int_equal(mr_on_disk(rig, 1, 0, 2 * M), 2);
	/* neither begins a write of bits, nor ends a need */
	assert_int_equal(rig->intent->begun, 0);
	assert_int_equal(intent_needed_count(rig->intent), 1);
	mr_free(rig);
}

static void two_disks_are_rebuilt_at_once(void **state)
{
	struct mirror_rig *rig = mr_new(4, 0, 0);
	struct window w;

	(void)state;
	mr_poke(rig, 1, 0, MR_MEMBER_BYTES, 1);
	replace(rig, 0);
	replace(rig, 3);
	assert_int_equal(rebuild(rig, &w, 0, MR_MEMBER_BYTES), 0);
	assert_int_equal(mr_on_disk(rig, 0, 0, MR_MEMBER_BYTES), 1);
	assert_int_equal(mr_on_disk(rig, 3, 0, MR_MEMBER_BYTES), 1);
	assert_int_equal(mr_on_disk(rig, 2, 0, MR_MEMBER_BYTES), 0);
	assert_int_equal(mr_look(rig).disks[1].read_bytes, MR_MEMBER_BYTES);
	assert_int_equal(mr_look(rig).disks[2].read_bytes, 0);
	mr_free(rig);
}

/* Of four disks with two copies each, 0 and 1 are a set: 2 and 3 have nothing to give. */
static void where_nothing_is_rebuilt_nothing_is_read(void **state)
{
	struct mirror_rig *rig = mr_new(4, 2, 128);
	struct window w;

	(void)state;
	mr_poke(rig, 0, 0, MR_MEMBER_BYTES, 1);
	mr_poke(rig, 1, 0, MR_MEMBER_BYTES, 1);
	replace(rig, 1);
	assert_int_equal(rebuild(rig, &w, 0, 2 * MR_MEMBER_BYTES), 0);
	assert_int_equal(mr_on_disk(rig, 1, 0, MR_MEMBER_BYTES), 1);
	assert_int_equal(w.sync.position, SECTORS(2 * MR_MEMBER_BYTES));
	assert_int_equal(w.sync.copied_sectors, SECTORS(MR_MEMBER_BYTES));
	assert_int_equal(mr_look(rig).disks[2].reads + mr_look(rig).disks[3].reads, 0);
	change(rig, 1, MIRROR_DISK_IN_SYNC);
	assert_int_equal(rebuild(rig, &w, 0, 2 * MR_MEMBER_BYTES), 0);
	assert_int_equal(w.sync.copied_sectors, 0);
	assert_int_equal(w.sync.position, SECTORS(2 * MR_MEMBER_BYTES));
	mr_free(rig);
}

static void what_the_source_cannot_read_comes_from_the_next_one(void **state)
{
	struct mirror_rig *rig = mr_new(3, 0, 0);
	struct window w;

	(void)state;
	mr_poke(rig, 0, 0, MR_MEMBER_BYTES, 1);
	mr_poke(rig, 1, 0, MR_MEMBER_BYTES, 2);
	replace(rig, 2);
	mr_fault(rig, 0, DISK_MEM_FAIL_READS, 2 * M, 4 * K);
	assert_int_equal(rebuild(rig, &w, 0, 4 * M), 0);
	assert_int_equal(mr_on_disk(rig, 2, 0, 2 * M), 1);
	assert_int_equal(mr_on_disk(rig, 2, 2 * M, 4 * K), 2);
	assert_int_equal(mr_on_disk(rig, 2, 2 * M + 4 * K, 2 * M - 4 * K), 1);
	assert_int_equal(mr_on_disk(rig, 0, 0, 4 * M), 1); /* not this window's to mend */
	mr_fault(rig, 1, DISK_MEM_FAIL_READS, 2 * M, 4 * K);
	assert_int_equal(rebuild(rig, &w, 0, 4 * M), -EIO);
	assert_int_equal(w.sync.position, SECTORS(2 * M));
	assert_int_equal(rig->failed, 0);
	mr_free(rig);
}

/* Writes wait for pieces, and pieces for writes: the disk has what was written last. */
static void A3_writes_during_a_rebuild_are_on_the_disk(void **state)
{
	struct mirror_rig *rig = mr_new(2, 0, 0);
	struct mr_io *before, *during;
	struct window w;

	(void)state;
	mr_poke(rig, 0, 0, MR_MEMBER_BYTES, 1);
	replace(rig, 1);
	rig->intent->waits = true;
	before = mr_submit(rig, VOLUME_WRITE, M, 4 * K, 2, 0);
	window_begin(rig, &w, MIRROR_SYNC_REBUILD, 0, 4 * M);
	during = mr_submit(rig, VOLUME_WRITE, 3 * M, 4 * K, 3, 0);
	mr_run(rig);
	assert_int_equal(w.calls, 0); /* it waits for the first one */
	fake_intent_release(rig->intent);
	assert_int_equal(window_wait(rig, &w), 0);
	assert_int_equal(mr_wait(before) + mr_wait(during), 0);
	assert_int_equal(mr_do(rig, VOLUME_ZERO, 2 * M, 64 * K, 0, 0), 0);
	assert_int_equal(mr_on_disk(rig, 1, M, 4 * K), 2);
	assert_int_equal(mr_on_disk(rig, 1, 3 * M, 4 * K), 3);
	assert_int_equal(mr_on_disk(rig, 1, 2 * M, 64 * K), 0);
	assert_int_equal(mr_on_disk(rig, 1, M + 4 * K, M - 4 * K), 1);
	mr_io_free(before);
	mr_io_free(during);
	mr_free(rig);
}

/* Y5: PROGRESS is written by what it says. */
static void what_a_rebuild_says_is_done_is_durable(void **state)
{
	struct mirror_rig *rig = mr_new(2, 0, 0);
	struct window w;
	uint64_t far;

	(void)state;
	mr_poke(rig, 0, 0, MR_MEMBER_BYTES, 7);
	replace(rig, 1);
	assert_int_equal(rebuild(rig, &w, 0, 2 * M), 0);
	mirror_set_speed(rig->m, M);
	window_begin(rig, &w, MIRROR_SYNC_REBUILD, 2 * M, MR_MEMBER_BYTES);
	mr_run_ns(rig, 2500000000);
	mirror_sync_cancel(rig->m, &w.sync);
	assert_int_equal(window_wait(rig, &w), -ECANCELED);
	far = w.sync.position * 512;
	assert_true(far > 2 * M && far < MR_MEMBER_BYTES);
	disk_world_cut_power(rig->world);
	disk_world_restore_power(rig->world);
	assert_int_equal(mr_on_disk(rig, 1, 0, far), 7);
	mr_free(rig);
}

static void a_rebuild_that_does_not_go_as_fast_as_it_may_says_how_far_it_is(void **state)
{
	struct mirror_rig *rig = mr_new(2, 0, 0);
	uint64_t began = mr_now(rig);
	struct window w;

	(void)state;
	replace(rig, 1);
	mirror_set_speed(rig->m, 2 * M);
	window_begin(rig, &w, MIRROR_SYNC_REBUILD, 0, MR_MEMBER_BYTES);
	mr_run_ns(rig, 1000000000);
	assert_in_range(mr_look(rig).sync_sectors, SECTORS(M), SECTORS(4 * M));
	assert_int_equal(window_wait(rig, &w), 0);
	assert_true(mr_now(rig) - began > 2000000000);
	mr_free(rig);
}

/* --- disks that come and go amid it --------------------------------------------------------- */

/* D9: its errors are those of any disk that is written. */
static void a_disk_that_fails_while_it_is_rebuilt_is_told(void **state)
{
	struct mirror_rig *rig = mr_new(2, 0, 0);
	struct mr_io *write;
	struct window w;

	(void)state;
	mr_poke(rig, 0, 0, MR_MEMBER_BYTES, 1);
	replace(rig, 1);
	mr_fault(rig, 1, DISK_MEM_FAIL_WRITES, 3 * M, 4 * K);
	assert_int_equal(rebuild(rig, &w, 0, MR_MEMBER_BYTES), 0);
	assert_int_equal(rig->failed, 1 << 1);
	assert_int_equal(w.sync.position, SECTORS(MR_MEMBER_BYTES));
	assert_true(rig->intent->gone >> 1 & 1);
	/* others may have it in their superblocks as rebuilt: they know first */
	write = mr_submit(rig, VOLUME_WRITE, 0, 4 * K, 2, 0);
	mr_run(rig);
	assert_int_equal(write->calls, 0);
	mirror_failure_known(rig->m, 1);
	assert_int_equal(mr_wait(write), 0);
	assert_int_equal(rebuild(rig, &w, 0, MR_MEMBER_BYTES), 0);
	assert_int_equal(w.sync.copied_sectors, 0);
	mr_io_free(write);
	mr_free(rig);
}

static void A7_a_disk_that_hangs_while_it_is_rebuilt_holds_up_nothing(void **state)
{
	struct mirror_rig *rig = mr_new(2, 0, 0);
	struct window w;

	(void)state;
	rig->is_known_at_once = true;
	replace(rig, 1);
	rig->is_frozen[1] = true;
	assert_int_equal(rebuild(rig, &w, 0, 4 * M), 0);
	assert_int_equal(rig->failed, 1 << 1);
	assert_int_equal(mr_write(rig, 0, 4 * K, 1), 0);
	mr_free(rig);
}

/* A7 of the flush at the end. */
static void a_disk_that_hangs_when_its_rebuild_is_flushed_holds_up_nothing(void **state)
{
	struct mirror_rig *rig = mr_new(2, 0, 0);
	struct window w;

	(void)state;
	rig->is_known_at_once = true;
	replace(rig, 1);
	window_begin(rig, &w, MIRROR_SYNC_REBUILD, 0, 64 * K);
	while (w.sync.position < SECTORS(64 * K))
		assert_true(mr_step(rig));
	assert_int_equal(w.calls, 0);
	rig->is_frozen[1] = true;
	assert_int_equal(window_wait(rig, &w), 0);
	assert_int_equal(rig->failed, 1 << 1);
	mr_free(rig);
}

/* Y6 */
static void a_disk_that_comes_amid_a_rebuild_makes_it_begin_anew(void **state)
{
	struct mirror_rig *rig = mr_new(3, 0, 0);
	struct window w;
	struct change it;

	(void)state;
	mr_poke(rig, 0, 0, MR_MEMBER_BYTES, 1);
	take_out(rig, 2);
	replace(rig, 1);
	mirror_set_speed(rig->m, M);
	window_begin(rig, &w, MIRROR_SYNC_REBUILD, 2 * M, MR_MEMBER_BYTES);
	mr_run_ns(rig, 500000000);
	change_begin(rig, &it, 2, MIRROR_DISK_REBUILD, false);
	mr_run_ns(rig, 1000000);
	fake_intent_answer(rig->intent);
	assert_int_equal(window_wait(rig, &w), -ECANCELED);
	assert_int_equal(w.sync.position, SECTORS(2 * M));
	assert_int_equal(it.result, 0);
	mirror_set_speed(rig->m, 0);
	assert_int_equal(rebuild(rig, &w, 0, MR_MEMBER_BYTES), 0);
	assert_int_equal(mr_on_disk(rig, 1, 0, MR_MEMBER_BYTES), 1);
	assert_int_equal(mr_on_disk(rig, 2, 0, MR_MEMBER_BYTES), 1);
	mr_free(rig);
}

/* D13: nothing of it goes out while the gate is shut, and it goes on when that opens. */
static void a_rebuild_waits_for_the_gate(void **state)
{
	struct mirror_rig *rig = mr_new(2, 0, 0);
	struct window w;

	(void)state;
	mr_poke(rig, 0, 0, MR_MEMBER_BYTES, 1);
	replace(rig, 1);
	mirror_set_gate(rig->m, false, UINT64_MAX);
	window_begin(rig, &w, MIRROR_SYNC_REBUILD, 0, 4 * M);
	mr_run_ns(rig, 1000000);
	assert_int_equal(mr_look(rig).disks[1].writes, 0);
	mirror_set_gate(rig->m, true, UINT64_MAX);
	assert_int_equal(window_wait(rig, &w), 0);
	assert_int_equal(mr_on_disk(rig, 1, 0, 4 * M), 1);
	mr_free(rig);
}

static void a_disk_that_was_rebuilt_is_read(void **state)
{
	struct mirror_rig *rig = mr_new(2, 0, 0);
	struct window w;

	(void)state;
	mr_poke(rig, 0, 0, MR_MEMBER_BYTES, 1);
	replace(rig, 1);
	assert_int_equal(rebuild(rig, &w, 0, MR_MEMBER_BYTES), 0);
	assert_int_equal(mr_read(rig, 0, 64 * K), 1);
	assert_int_equal(mr_look(rig).disks[1].reads, 0);
	change(rig, 1, MIRROR_DISK_IN_SYNC);
	assert_false(rig->intent->is_degraded);
	mr_fault(rig, 0, DISK_MEM_FAIL_READS, 0, MR_MEMBER_BYTES);
	assert_int_equal(mr_read(rig, 0, 64 * K), 1);
	assert_true(mr_look(rig).disks[1].reads > 0);
	mr_free(rig);
}

/* --- what other windows think of it ---------------------------------------------------------- */

/* It may have by chance what the source has, in its cache: that counts for nothing. */
static void a_compare_writes_all_to_it_and_does_not_read_it(void **state)
{
	struct mirror_rig *rig = mr_new(3, 0, 0);
	struct window w;

	(void)state;
	replace(rig, 0);
	mr_poke(rig, 0, 0, 64 * K, 5);
	mr_poke(rig, 1, 0, 64 * K, 1);
	mr_poke(rig, 2, 0, 64 * K, 1);
	mr_poke(rig, 2, 32 * K, 4 * K, 2);
	rig->intent->is_needed[0] = true;
	window_begin(rig, &w, MIRROR_SYNC_COMPARE, 0, 64 * K);
	assert_int_equal(window_wait(rig, &w), 0);
	assert_int_equal(mr_look(rig).disks[0].reads, 0);
	assert_int_equal(w.sync.copied_sectors, SECTORS(64 * K + 4 * K));
	assert_int_equal(w.sync.mismatch_sectors, SECTORS(4 * K));
	for (uint32_t role = 0; role < 3; role++)
		assert_int_equal(mr_on_disk(rig, role, 0, 64 * K), 1);
	assert_int_equal(intent_needed_count(rig->intent), 0);
	mr_free(rig);
}

static void a_compare_writes_it_where_all_others_are_equal(void **state)
{
	struct mirror_rig *rig = mr_new(2, 0, 0);
	struct window w;

	(void)state;
	mr_poke(rig, 0, 0, 64 * K, 1);
	replace(rig, 1);
	rig->intent->is_needed[0] = true;
	window_begin(rig, &w, MIRROR_SYNC_COMPARE, 0, 64 * K);
	assert_int_equal(window_wait(rig, &w), 0);
	assert_int_equal(mr_on_disk(rig, 1, 0, 64 * K), 1);
	mr_free(rig);
}

static void a_check_knows_nothing_of_it(void **state)
{
	struct mirror_rig *rig = mr_new(3, 0, 0);
	struct window w;

	(void)state;
	replace(rig, 0);
	window_begin(rig, &w, MIRROR_SYNC_CHECK, 0, 4 * M);
	assert_int_equal(window_wait(rig, &w), 0);
	assert_int_equal(w.told, 0);
	assert_int_equal(w.sync.mismatch_sectors, 0);
	assert_int_equal(mr_look(rig).disks[0].reads, 0);
	mr_free(rig);
}

/* What was copied to it may be from the one that is mended now. */
static void a_repair_writes_to_it_what_differs_among_the_others(void **state)
{
	struct mirror_rig *rig = mr_new(3, 0, 0);
	struct window w;

	(void)state;
	replace(rig, 2);
	mr_poke(rig, 0, M, 4 * K, 1);
	rig->intent->is_needed[0] = true;
	window_begin(rig, &w, MIRROR_SYNC_REPAIR, 0, 4 * M);
	assert_int_equal(window_wait(rig, &w), 0);
	assert_int_equal(mr_on_disk(rig, 1, M, 4 * K), 1);
	assert_int_equal(mr_on_disk(rig, 2, M, 4 * K), 1);
	assert_int_equal(mr_on_disk(rig, 2, 0, M), 0xee);
	assert_true(rig->intent->is_needed[0]); /* it has not got that one */
	mr_free(rig);
}

/* --- the way in ----------------------------------------------------------------------------- */

/* D10: its slot before its data; and no bit goes as long as it is not in sync. */
static void no_data_goes_to_it_before_its_slot_is_there(void **state)
{
	struct mirror_rig *rig = mr_new(2, 0, 0);
	struct change it;

	(void)state;
	take_out(rig, 1);
	rig->intent->is_degraded = false;
	change_begin(rig, &it, 1, MIRROR_DISK_REBUILD, false);
	assert_true(rig->intent->is_degraded);
	assert_int_equal(mr_write(rig, 0, 4 * K, 1), 0);
	mr_run(rig);
	assert_int_equal(it.calls, 0);
	assert_int_equal(mr_look(rig).disks[1].writes, 0);
	answer_intent(rig);
	assert_int_equal(it.calls, 1);
	assert_int_equal(mr_write(rig, 0, 4 * K, 2), 0);
	assert_int_equal(mr_on_disk(rig, 1, 0, 4 * K), 2);
	mr_free(rig);
}

/* C1: begun before it came, ended after: its chunk is needed, whatever becomes of its bit. */
static void what_was_written_without_it_is_needed_when_it_comes_back(void **state)
{
	struct mirror_rig *rig = mr_new(2, 0, 0);
	struct mr_io *amid, *waiting;
	struct change it;

	(void)state;
	take_out(rig, 1);
	assert_int_equal(mr_write(rig, 0, 4 * K, 1), 0);
	change_begin(rig, &it, 1, MIRROR_DISK_REBUILD, true);
	mr_run(rig);
	amid = mr_submit(rig, VOLUME_WRITE, 64 * K, 4 * K, 2, 0);
	rig->intent->waits = true;
	waiting = mr_submit(rig, VOLUME_WRITE, 128 * K, 4 * K, 3, 0);
	fake_intent_answer(rig->intent); /* the slot is there, and writes go to it */
	assert_int_equal(amid->calls, 0);
	assert_true(rig->intent->is_needed[0]);
	assert_true(rig->intent->is_needed[1]);
	mr_run(rig);
	assert_int_equal(amid->calls, 1);
	assert_int_equal(it.calls, 0); /* that it is needed is not durable yet */
	fake_intent_answer(rig->intent);
	mr_run(rig);
	assert_int_equal(it.calls, 1);
	fake_intent_release(rig->intent);
	assert_int_equal(mr_wait(waiting), 0);
	assert_int_equal(mr_on_disk(rig, 1, 128 * K, 4 * K), 3);
	mr_io_free(amid);
	mr_io_free(waiting);
	mr_free(rig);
}

static void nothing_is_needed_where_it_is_rebuilt_as_a_whole(void **state)
{
	struct mirror_rig *rig = mr_new(2, 0, 0);

	(void)state;
	take_out(rig, 1);
	assert_int_equal(mr_write(rig, 0, 4 * K, 1), 0);
	change(rig, 1, MIRROR_DISK_REBUILD);
	assert_int_equal(intent_needed_count(rig->intent), 0);
	mr_free(rig);
}

/* C3: writes to the others do not wait for it for ever, and nobody is told of a failure. */
static void one_that_does_not_take_its_slot_does_not_come(void **state)
{
	struct mirror_rig *rig = mr_new(2, 0, 0);
	struct change it;

	(void)state;
	take_out(rig, 1);
	change_begin(rig, &it, 1, MIRROR_DISK_REBUILD, true);
	mirror_intent_failed(rig->m, 1, EIO);
	mirror_intent_failed(rig->m, 1, EIO);
	answer_intent(rig);
	assert_int_equal(it.calls, 1);
	assert_int_equal(it.result, -EIO);
	assert_non_null(strstr(it.c.err.text, "b: write of the bitmap: Input/output error"));
	assert_true(rig->intent->gone >> 1 & 1);
	assert_true(rig->intent->is_degraded);
	assert_int_equal(mr_look(rig).disks[1].state, MIRROR_DISK_MISSING);
	assert_int_equal(rig->failed, 0);
	assert_int_equal(mr_write(rig, 0, 4 * K, 1), 0);
	assert_int_equal(mr_look(rig).disks[1].writes, 0);
	rig->intent->coming_result = 0;
	change(rig, 1, MIRROR_DISK_REBUILD); /* it may be tried again */
	mr_free(rig);
}

/* By these events a disk that went before finds out that it missed what was cleared. */
static void I12_the_intent_knows_the_events_of_the_superblocks_before_it_clears(void **state)
{
	struct mirror_rig *rig = mr_new(2, 0, 0);
	struct change it;

	(void)state;
	replace(rig, 1);
	change_begin_at(rig, &it, 1, MIRROR_DISK_IN_SYNC, false, 7);
	assert_false(rig->intent->is_degraded);
	assert_int_equal(rig->intent->whole_events, 7);
	mr_run(rig);
	mr_free(rig);
}

/* Superblocks tell of two at once: no bit goes before the second one is here as well. */
static void D2_the_array_is_not_whole_before_all_its_disks_have_come(void **state)
{
	struct mirror_rig *rig = mr_new(3, 0, 0);

	(void)state;
	take_out(rig, 2);
	replace(rig, 1);
	change(rig, 1, MIRROR_DISK_IN_SYNC);
	assert_true(rig->intent->is_degraded);
	change(rig, 2, MIRROR_DISK_REBUILD);
	change(rig, 2, MIRROR_DISK_IN_SYNC);
	assert_false(rig->intent->is_degraded);
	mr_free(rig);
}

/* C2 */
static void without_memory_for_what_is_needed_it_does_not_come(void **state)
{
	struct mirror_rig *rig = mr_new(2, 0, 0);
	struct change it;

	(void)state;
	take_out(rig, 1);
	rig->intent->has_no_memory = true;
	change_begin(rig, &it, 1, MIRROR_DISK_REBUILD, true);
	answer_intent(rig);
	assert_int_equal(it.calls, 1);
	assert_int_equal(it.result, -ENOMEM);
	assert_true(rig->intent->gone >> 1 & 1);
	assert_int_equal(mr_look(rig).disks[1].state, MIRROR_DISK_MISSING);
	mr_free(rig);
}

/* It fails when it has come, and what is needed is on its way to the others. */
static void one_that_fails_as_soon_as_it_has_come_fails_as_any(void **state)
{
	struct mirror_rig *rig = mr_new(2, 0, 0);
	struct change it;

	(void)state;
	take_out(rig, 1);
	change_begin(rig, &it, 1, MIRROR_DISK_REBUILD, true);
	fake_intent_answer(rig->intent);
	mirror_intent_failed(rig->m, 1, EIO);
	answer_intent(rig);
	assert_int_equal(it.calls, 1);
	assert_int_equal(it.result, 0);
	assert_int_equal(rig->failed, 1 << 1);
	mr_free(rig);
}

static void one_with_larger_blocks_than_clients_were_told_does_not_come(void **state)
{
	struct mirror_rig *rig = mr_new(2, 0, 0);
	struct change it;

	(void)state;
	take_out(rig, 1);
	rig->disks[1]->topology.logical_block_bytes = 4096;
	change_begin(rig, &it, 1, MIRROR_DISK_REBUILD, false);
	mr_run(rig);
	assert_int_equal(it.result, -EINVAL);
	assert_non_null(strstr(it.c.err.text, "its blocks have 4096 bytes, the array's 512"));
	assert_null(rig->intent->coming);
	mr_free(rig);
}

/* Of one that failed, and went before what was asked of it was given up. */
static void one_whose_place_is_not_left_yet_does_not_come(void **state)
{
	struct mirror_rig *rig = mr_new(2, 0, 0);
	struct mr_io *write;
	struct change gone, it;

	(void)state;
	rig->is_frozen[1] = true;
	write = mr_submit(rig, VOLUME_WRITE, 0, 4 * K, 1, 0);
	change_begin(rig, &gone, 1, MIRROR_DISK_MISSING, false);
	change_begin(rig, &it, 1, MIRROR_DISK_REBUILD, false);
	mirror_advance(rig->m, mr_now(rig));
	assert_int_equal(it.result, -EBUSY);
	assert_non_null(strstr(it.c.err.text, "b: requests to the disk that had its role"));
	mr_run(rig);
	mirror_failure_known(rig->m, 1);
	assert_int_equal(mr_wait(write), 0);
	assert_int_equal(gone.calls, 1);
	rig->is_frozen[1] = false;
	mr_run(rig);
	change(rig, 1, MIRROR_DISK_REBUILD);
	mr_io_free(write);
	mr_free(rig);
}

/* Another disk than the one that had the role. */
static void take_role(struct mirror_rig *rig, uint32_t role, uint32_t disk)
{
	struct change it = { .c = { .role = role,
				    .state = MIRROR_DISK_REBUILD,
				    .disk = rig->disks[disk],
				    .data_offset = MR_DATA_OFFSET,
				    .done = change_done,
				    .owner = &it } };

	mirror_change_disk(rig->m, &it.c);
	answer_intent(rig);
	assert_int_equal(it.calls, 1);
	assert_int_equal(it.result, 0);
}

/* What is asked of it is asked of that disk, not of the one that hangs. */
static void expect_flush_of(struct mirror_rig *rig, uint32_t disk)
{
	struct mr_io *flush = mr_submit(rig, VOLUME_FLUSH, 0, 0, 0, 0);

	assert_int_equal(rig->disks[disk]->in_flight, 1);
	assert_int_equal(mr_wait(flush), 0);
	mr_io_free(flush);
}

/* A write, a flush and reads, which never come back, or late. */
static void C4_a_role_is_taken_while_all_hangs_on_the_disk_that_had_it(void **state)
{
	enum { READS = 8 };
	struct mirror_rig *rig = mr_new(2, 0, 0);
	uint32_t fresh = mr_add_disk(rig);
	struct mr_io *write, *flush, *reads[READS];
	struct mr_request stop;
	struct window w;

	(void)state;
	rig->is_known_at_once = true;
	assert_int_equal(mr_write(rig, 0, M, 7), 0);
	rig->is_frozen[1] = true;
	write = mr_submit(rig, VOLUME_WRITE, 0, 4 * K, 1, 0);
	flush = mr_submit(rig, VOLUME_FLUSH, 0, 0, 0, 0);
	for (int i = 0; i < READS; i++)
		reads[i] = mr_submit(rig, VOLUME_READ, (uint64_t)(READS - i) * 64 * K, 4 * K, 0, 0);
	assert_int_equal(mr_wait(write) + mr_wait(flush), 0);
	for (int i = 0; i < READS; i++)
		assert_int_equal(mr_wait(reads[i]), 0);
	assert_true(mr_look(rig).disks[1].in_flight > 2); /* reads, too */
	change(rig, 1, MIRROR_DISK_MISSING);
	take_role(rig, 1, fresh);
	assert_int_equal(mr_look(rig).disks[1].in_flight, 0);
	assert_int_equal(rebuild(rig, &w, 0, MR_MEMBER_BYTES), 0);
	change(rig, 1, MIRROR_DISK_IN_SYNC);
	assert_int_equal(mr_write(rig, 0, 4 * K, 2), 0);
	expect_flush_of(rig, fresh);
	assert_int_equal(mr_on_disk(rig, fresh, 0, 4 * K), 2);
	assert_int_equal(mr_on_disk(rig, fresh, 4 * K, M - 4 * K), 7);

	mr_request_init(&stop);
	mirror_stop(rig->m, &stop.req);
	mr_run(rig);
	assert_int_equal(stop.calls, 0); /* their memory is ours, and the clients' */
	assert_int_equal(write->released, 0);
	rig->is_frozen[1] = false;
	mr_run(rig);
	assert_int_equal(stop.calls, 1);
	assert_int_equal(write->released, 1);
	assert_int_equal(mr_look(rig).disks[1].in_flight, 0);
	assert_int_equal(mr_on_disk(rig, fresh, 0, 4 * K), 2);
	mr_io_free(write);
	mr_io_free(flush);
	for (int i = 0; i < READS; i++)
		mr_io_free(reads[i]);
	mr_free(rig);
}

/* And the next one's, when that hangs as well; then all come back at once. */
static void C4_a_role_is_taken_from_one_that_hangs_amid_its_rebuild(void **state)
{
	struct mirror_rig *rig = mr_new(2, 0, 0);
	uint32_t next = mr_add_disk(rig), last = mr_add_disk(rig);
	struct mr_io *write, *flush;
	struct window w;

	(void)state;
	rig->is_known_at_once = true;
	mr_poke(rig, 0, 0, MR_MEMBER_BYTES, 3);
	rig->is_frozen[1] = true;
	assert_int_equal(mr_wait(flush = mr_submit(rig, VOLUME_FLUSH, 0, 0, 0, 0)), 0);
	change(rig, 1, MIRROR_DISK_MISSING);
	take_role(rig, 1, next);
	rig->failed = 0;
	rig->is_frozen[next] = true;
	window_begin(rig, &w, MIRROR_SYNC_REBUILD, 0, MR_MEMBER_BYTES);
	write = mr_submit(rig, VOLUME_WRITE, MR_MEMBER_BYTES - 4 * K, 4 * K, 1, 0);
	(void)window_wait(rig, &w);
	assert_int_equal(mr_wait(write), 0);
	assert_int_equal(rig->failed, 1 << 1);
	change(rig, 1, MIRROR_DISK_MISSING);
	take_role(rig, 1, last);
	assert_int_equal(rebuild(rig, &w, 0, MR_MEMBER_BYTES), 0);
	change(rig, 1, MIRROR_DISK_IN_SYNC);
	expect_flush_of(rig, last);
	rig->is_frozen[1] = rig->is_frozen[next] = false;
	mr_run(rig);
	assert_int_equal(mr_on_disk(rig, last, 0, MR_MEMBER_BYTES - 4 * K), 3);
	assert_int_equal(mr_on_disk(rig, last, MR_MEMBER_BYTES - 4 * K, 4 * K), 1);
	assert_int_equal(mr_look(rig).disks[1].in_flight, 0);
	mr_io_free(write);
	mr_io_free(flush);
	mr_free(rig);
}

/* The cluster failed it, and it hangs, for no longer than any may. */
static void A7_one_that_went_is_waited_for_no_longer_than_any(void **state)
{
	struct mirror_rig *rig = mr_new(2, 0, 0);
	struct mr_io *write, *flush;
	struct change it;

	(void)state;
	rig->is_frozen[1] = true;
	write = mr_submit(rig, VOLUME_WRITE, 0, 4 * K, 1, 0);
	flush = mr_submit(rig, VOLUME_FLUSH, 0, 0, 0, 0);
	change_begin(rig, &it, 1, MIRROR_DISK_MISSING, false);
	mirror_advance(rig->m, mr_now(rig));
	assert_int_equal(it.calls, 0);
	mr_run_ns(rig, MR_HANG_NS + 1000000);
	assert_int_equal(it.calls, 1);
	mirror_failure_known(rig->m, 1);
	assert_int_equal(mr_wait(write) + mr_wait(flush), 0);
	rig->is_frozen[1] = false;
	mr_run(rig);
	mr_io_free(write);
	mr_io_free(flush);
	mr_free(rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_rebuild_copies_all_to_the_disk_that_is_rebuilt_alone),
		cmocka_unit_test(two_disks_are_rebuilt_at_once),
		cmocka_unit_test(where_nothing_is_rebuilt_nothing_is_read),
		cmocka_unit_test(what_the_source_cannot_read_comes_from_the_next_one),
		cmocka_unit_test(A3_writes_during_a_rebuild_are_on_the_disk),
		cmocka_unit_test(what_a_rebuild_says_is_done_is_durable),
		cmocka_unit_test(
			a_rebuild_that_does_not_go_as_fast_as_it_may_says_how_far_it_is),
		cmocka_unit_test(a_disk_that_fails_while_it_is_rebuilt_is_told),
		cmocka_unit_test(A7_a_disk_that_hangs_while_it_is_rebuilt_holds_up_nothing),
		cmocka_unit_test(
			a_disk_that_hangs_when_its_rebuild_is_flushed_holds_up_nothing),
		cmocka_unit_test(a_disk_that_comes_amid_a_rebuild_makes_it_begin_anew),
		cmocka_unit_test(a_rebuild_waits_for_the_gate),
		cmocka_unit_test(a_disk_that_was_rebuilt_is_read),
		cmocka_unit_test(a_compare_writes_all_to_it_and_does_not_read_it),
		cmocka_unit_test(a_compare_writes_it_where_all_others_are_equal),
		cmocka_unit_test(a_check_knows_nothing_of_it),
		cmocka_unit_test(a_repair_writes_to_it_what_differs_among_the_others),
		cmocka_unit_test(no_data_goes_to_it_before_its_slot_is_there),
		cmocka_unit_test(what_was_written_without_it_is_needed_when_it_comes_back),
		cmocka_unit_test(nothing_is_needed_where_it_is_rebuilt_as_a_whole),
		cmocka_unit_test(one_that_does_not_take_its_slot_does_not_come),
		cmocka_unit_test(D2_the_array_is_not_whole_before_all_its_disks_have_come),
		cmocka_unit_test(
			I12_the_intent_knows_the_events_of_the_superblocks_before_it_clears),
		cmocka_unit_test(without_memory_for_what_is_needed_it_does_not_come),
		cmocka_unit_test(one_that_fails_as_soon_as_it_has_come_fails_as_any),
		cmocka_unit_test(one_whose_place_is_not_left_yet_does_not_come),
		cmocka_unit_test(C4_a_role_is_taken_while_all_hangs_on_the_disk_that_had_it),
		cmocka_unit_test(C4_a_role_is_taken_from_one_that_hangs_amid_its_rebuild),
		cmocka_unit_test(A7_one_that_went_is_waited_for_no_longer_than_any),
		cmocka_unit_test(
			one_with_larger_blocks_than_clients_were_told_does_not_come),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
