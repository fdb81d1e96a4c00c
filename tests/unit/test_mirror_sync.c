/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The mirror: windows of a resync, scrubs, their speed. */
#include <errno.h>
#include <string.h>

#include "tests/unit/mirror_rig.h"

enum { K = 1024, M = 1024 * K };

/* --- resync ----------------------------------------------------------------------------------- */

struct sync_run {
	struct mirror_sync sync;
	int calls, result;
	uint64_t told, told_sectors;
};

static void sync_done(void *owner, struct mirror_sync *sync, int result)
{
	struct sync_run *run = owner;

	assert_ptr_equal(sync, &run->sync);
	run->calls++;
	run->result = result;
}

static void sync_differs(void *owner, struct mirror_sync *sync, uint64_t sector,
			 uint64_t sectors)
{
	struct sync_run *run = owner;

	(void)sync;
	(void)sector;
	run->told++;
	run->told_sectors += sectors;
}

static void sync_start(struct mirror_rig *rig, struct sync_run *run,
		       enum mirror_sync_kind kind, uint64_t low, uint64_t high)
{
	*run = (struct sync_run){ .sync = { .kind = kind,
					    .low = low,
					    .high = high,
					    .done = sync_done,
					    .differs = sync_differs,
					    .owner = run } };
	assert_int_equal(mirror_sync_begin(rig->m, &run->sync), 0);
}

static void sync_wait(struct mirror_rig *rig, struct sync_run *run)
{
	while (run->calls == 0)
		assert_true(mr_step(rig));
}

static void a_copy_makes_needed_chunks_equal_and_no_others(void **state)
{
	struct mirror_rig *rig = mr_new(3, 0, 0);
	struct sync_run run;

	(void)state;
	mr_poke(rig, 0, 0, 4 * M, 1);
	mr_poke(rig, 1, 0, 4 * M, 2);
	mr_poke(rig, 2, 0, 4 * M, 3);
	rig->intent->is_needed[3] = true;
	rig->intent->is_needed[4] = true;
	rig->intent->is_needed[60] = true;
	sync_start(rig, &run, MIRROR_SYNC_COPY, 0, 4 * 2048);
	sync_wait(rig, &run);
	assert_int_equal(run.result, 0);
	assert_int_equal(run.sync.position, 4 * 2048);
	assert_int_equal(mr_on_disk(rig, 1, 3 * 64 * K, 128 * K), 1);
	assert_int_equal(mr_on_disk(rig, 2, 60 * 64 * K, 64 * K), 1);
	assert_int_equal(mr_on_disk(rig, 1, 0, 3 * 64 * K), 2);
	assert_int_equal(mr_on_disk(rig, 2, 5 * 64 * K, 55 * 64 * K), 3);
	assert_int_equal(intent_needed_count(rig->intent), 0);
	assert_int_equal(rig->intent->synced, 3);
	assert_int_equal(run.sync.copied_sectors, 3 * 128 * 2);
	mr_free(rig);
}

static void a_resync_of_a_striped_array(void **state)
{
	struct mirror_rig *rig = mr_new(3, 2, 16);
	struct sync_run run;
	uint64_t at;

	(void)state;
	for (at = 0; at < MR_MEMBER_BYTES; at += 8 * K) {
		mr_poke(rig, 0, at, 8 * K, 1);
		mr_poke(rig, 1, at, 8 * K, 2);
		mr_poke(rig, 2, at, 8 * K, 3);
	}
	for (at = 0; at < 192; at++)
		rig->intent->is_needed[at] = true;
	sync_start(rig, &run, MIRROR_SYNC_COPY, 0, rig->volume->size_bytes / 512);
	sync_wait(rig, &run);
	assert_int_equal(run.result, 0);
	assert_int_equal(intent_needed_count(rig->intent), 0);
	sync_start(rig, &run, MIRROR_SYNC_CHECK, 0, rig->volume->size_bytes / 512);
	sync_wait(rig, &run);
	assert_int_equal(run.sync.mismatch_sectors, 0);
	/* chunk 0 from disk 0, chunk 1 from disk 2, chunk 2 from disk 1 */
	assert_int_equal(mr_read(rig, 0, 8 * K), 1);
	assert_int_equal(mr_read(rig, 8 * K, 8 * K), 3);
	assert_int_equal(mr_read(rig, 16 * K, 8 * K), 2);
	mr_free(rig);
}

/* What was copied before it came is not on it: its chunks are needed from then on. */
static void a_disk_that_joins_during_a_resync_gets_all_of_it(void **state)
{
	struct mirror_rig *rig = mr_new(3, 0, 0);
	struct mr_request gone, come;
	struct sync_run run;
	struct mr_io *io;

	(void)state;
	mr_request_init(&gone);
	mr_request_init(&come);
	mirror_set_disk(rig->m, 2, MIRROR_DISK_MISSING, NULL, 0, &gone.req);
	mr_run(rig);
	mr_poke(rig, 0, 0, 4 * M, 1);
	memset(rig->intent->is_needed, 1, 64);
	rig->intent->waits = true;
	io = mr_submit(rig, VOLUME_WRITE, 0, 4 * K, 1, 0); /* the first piece waits for it */
	sync_start(rig, &run, MIRROR_SYNC_COPY, 0, 4 * 2048);
	mr_run(rig);
	assert_int_equal(mr_on_disk(rig, 1, M, 3 * M), 1);
	mirror_set_disk(rig->m, 2, MIRROR_DISK_REBUILD, rig->disks[2], MR_DATA_OFFSET,
			&come.req);
	mr_run(rig);
	assert_int_equal(come.calls, 1);
	memset(rig->intent->is_needed, 1, 64);
	fake_intent_release(rig->intent);
	sync_wait(rig, &run);
	assert_int_equal(intent_needed_count(rig->intent), 48);
	sync_start(rig, &run, MIRROR_SYNC_COPY, 0, 4 * 2048);
	sync_wait(rig, &run);
	assert_int_equal(mr_on_disk(rig, 2, 0, 4 * M), 1);
	assert_int_equal(intent_needed_count(rig->intent), 0);
	assert_int_equal(mr_wait(io), 0);
	mr_io_free(io);
	mr_free(rig);
}

/* Half a chunk before it came, half of it after: none of it. */
static void a_disk_that_joins_amid_a_chunk_gets_all_of_it(void **state)
{
	struct mirror_rig *rig = mr_new(3, 3, 64); /* two pieces a chunk */
	struct mr_request gone, come;
	struct sync_run run;
	struct mr_io *io;

	(void)state;
	mr_request_init(&gone);
	mr_request_init(&come);
	mirror_set_disk(rig->m, 2, MIRROR_DISK_MISSING, NULL, 0, &gone.req);
	mr_run(rig);
	mr_poke(rig, 0, 0, 64 * K, 1);
	rig->intent->is_needed[0] = true;
	rig->intent->waits = true;
	io = mr_submit(rig, VOLUME_WRITE, 32 * K, 4 * K, 1, 0);
	sync_start(rig, &run, MIRROR_SYNC_COPY, 0, 128);
	mr_run(rig);
	assert_int_equal(run.sync.position, 64);
	mirror_set_disk(rig->m, 2, MIRROR_DISK_REBUILD, rig->disks[2], MR_DATA_OFFSET,
			&come.req);
	mr_run(rig);
	fake_intent_release(rig->intent);
	sync_wait(rig, &run);
	assert_true(rig->intent->is_needed[0]);
	assert_int_equal(mr_wait(io), 0);
	mr_io_free(io);
	mr_free(rig);
}

static void a_check_tells_and_a_repair_mends(void **state)
{
	struct mirror_rig *rig = mr_new(2, 0, 0);
	struct sync_run run;

	(void)state;
	mr_poke(rig, 1, 100 * K, 8 * K, 2);
	mr_poke(rig, 1, 3 * M, 512, 2);
	sync_start(rig, &run, MIRROR_SYNC_CHECK, 0, MR_MEMBER_BYTES / 512);
	sync_wait(rig, &run);
	assert_int_equal(run.result, 0);
	assert_int_equal(run.told, 2);
	assert_int_equal(run.told_sectors, 24);
	assert_int_equal(run.sync.mismatch_sectors, 24);
	assert_int_equal(mr_on_disk(rig, 1, 100 * K, 8 * K), 2);
	assert_int_equal(rig->intent->begun, 0);
	sync_start(rig, &run, MIRROR_SYNC_REPAIR, 0, MR_MEMBER_BYTES / 512);
	sync_wait(rig, &run);
	assert_int_equal(run.sync.mismatch_sectors, 24);
	assert_int_equal(mr_on_disk(rig, 1, 0, MR_MEMBER_BYTES), 0);
	assert_int_equal(rig->intent->begun, 2); /* A1 */
	assert_int_equal(rig->intent->ended, 2);
	mr_free(rig);
}

/* A copy has more pieces, of a buffer each: none of these may come to one that compares. */
static void a_copy_between_two_repairs_leaves_them_their_buffers(void **state)
{
	struct mirror_rig *rig = mr_new(3, 0, 0);
	struct sync_run run;

	(void)state;
	sync_start(rig, &run, MIRROR_SYNC_REPAIR, 0, MR_MEMBER_BYTES / 512);
	sync_wait(rig, &run);
	mr_poke(rig, 0, 0, 4 * M, 1);
	memset(rig->intent->is_needed, 1, 64);
	sync_start(rig, &run, MIRROR_SYNC_COPY, 0, 4 * 2048);
	sync_wait(rig, &run);
	mr_poke(rig, 2, 0, 4 * K, 3);
	sync_start(rig, &run, MIRROR_SYNC_REPAIR, 0, MR_MEMBER_BYTES / 512);
	sync_wait(rig, &run);
	assert_int_equal(run.result, 0);
	assert_int_equal(mr_on_disk(rig, 2, 0, 4 * M), 1);
	for (uint32_t role = 0; role < 3; role++)
		assert_int_equal(mr_look(rig).disks[role].errors, 0); /* of reads into nowhere */
	mr_free(rig);
}

static void A3_a_resync_waits_for_writes_and_they_for_its_pieces(void **state)
{
	struct mirror_rig *rig = mr_new(2, 0, 0);
	struct mr_io *before, *during;
	struct sync_run run;

	(void)state;
	mr_poke(rig, 0, 0, 4 * M, 1);
	mr_poke(rig, 1, 0, 4 * M, 2);
	memset(rig->intent->is_needed, 1, 64);
	rig->intent->waits = true;
	before = mr_submit(rig, VOLUME_WRITE, 4 * K, 4 * K, 7, 0);
	sync_start(rig, &run, MIRROR_SYNC_COPY, 0, 4 * 2048);
	mr_run(rig);
	assert_int_equal(run.calls, 0);
	assert_int_equal(run.sync.position, 0); /* the first piece waits, others do not */
	assert_int_equal(mr_on_disk(rig, 1, 2 * M, 2 * M), 1);
	during = mr_submit(rig, VOLUME_WRITE, 4 * K, 4 * K, 8, 0);
	fake_intent_release(rig->intent);
	sync_wait(rig, &run);
	assert_int_equal(mr_wait(before), 0);
	assert_int_equal(mr_wait(during), 0);
	assert_int_equal(mr_on_disk(rig, 0, 4 * K, 4 * K), 8);
	assert_int_equal(mr_on_disk(rig, 1, 4 * K, 4 * K), 8);
	assert_int_equal(mr_on_disk(rig, 1, 8 * K, M), 1);
	mr_io_free(before);
	mr_io_free(during);
	mr_free(rig);
}

static void A5_D13_a_resync_stops_at_the_gate_and_goes_on(void **state)
{
	struct mirror_rig *rig = mr_new(2, 0, 0);
	struct mr_request drain;
	struct sync_run run;
	uint64_t writes;

	(void)state;
	mr_request_init(&drain);
	mr_poke(rig, 0, 0, 8 * M, 1);
	memset(rig->intent->is_needed, 1, 128);
	mirror_set_speed(rig->m, 4 << 20);
	sync_start(rig, &run, MIRROR_SYNC_COPY, 0, 8 * 2048);
	mr_run_ns(rig, 500000000);
	mirror_drain(rig->m, &drain.req);
	while (drain.calls == 0)
		assert_true(mr_step(rig));
	writes = disk_world_writes(rig->world);
	assert_true(writes > 0 && writes < 8);
	mr_run_ns(rig, 5000000000);
	assert_int_equal(disk_world_writes(rig->world), writes);
	assert_int_equal(run.calls, 0);
	mirror_set_gate(rig->m, true, UINT64_MAX);
	sync_wait(rig, &run);
	assert_int_equal(run.result, 0);
	assert_int_equal(mr_on_disk(rig, 1, 0, 8 * M), 1);
	mr_free(rig);
}

static void a_resync_that_is_cancelled_says_how_far_it_came(void **state)
{
	struct mirror_rig *rig = mr_new(2, 0, 0);
	struct sync_run run;

	(void)state;
	mr_poke(rig, 0, 0, 8 * M, 1);
	memset(rig->intent->is_needed, 1, 128);
	mirror_set_speed(rig->m, 4 << 20);
	sync_start(rig, &run, MIRROR_SYNC_COPY, 0, 8 * 2048);
	mr_run_ns(rig, 1000000000);
	mirror_sync_cancel(rig->m, &run.sync);
	assert_int_equal(run.calls, 0);
	sync_wait(rig, &run);
	assert_int_equal(run.result, -ECANCELED);
	assert_true(run.sync.position > 0 && run.sync.position < 8 * 2048);
	assert_int_equal(mr_on_disk(rig, 1, 0, run.sync.position * 512), 1);
	assert_int_equal(intent_next_needed(rig->intent, 0), run.sync.position / 128);
	mr_free(rig);
}

/* How long it takes; it must have noticed whether applications are at work. */
static uint64_t sync_seconds(struct mirror_rig *rig, bool is_active)
{
	uint64_t began = mr_now(rig);
	struct sync_run run;

	memset(rig->intent->is_needed, 1, 128);
	sync_start(rig, &run, MIRROR_SYNC_COPY, 0, 8 * 2048);
	while (run.calls == 0) {
		if (is_active)
			mr_write(rig, 0, 4 * K, 1);
		else
			assert_true(mr_step(rig));
	}
	assert_int_equal(run.result, 0);
	assert_int_equal(run.sync.was_busy, is_active);
	return (mr_now(rig) - began + 500000000) / 1000000000;
}

/* 8 MiB at 4 MiB a second, whoever works; the first piece is free. */
static void a_window_keeps_to_its_speed_and_tells_whether_applications_work(void **state)
{
	struct mirror_rig *rig = mr_new(2, 0, 0);

	(void)state;
	mirror_set_speed(rig->m, 4 << 20);
	assert_int_equal(sync_seconds(rig, false), 2);
	disk_world_set_latency(rig->world, 10000000, 10000000);
	assert_int_equal(sync_seconds(rig, true), 2);
	mirror_set_speed(rig->m, 0);
	mr_run_ns(rig, 2000000000);
	assert_int_equal(sync_seconds(rig, false), 0);
	mr_free(rig);
}

static void a_window_is_whole_chunks_that_are_needed(void **state)
{
	struct mirror_rig *rig = mr_new(2, 0, 0);
	struct sync_run run, second;
	uint64_t high;

	(void)state;
	assert_int_equal(mirror_window(rig->m, 0, M, M, &high), MR_MEMBER_BYTES / 512);
	assert_int_equal(high, MR_MEMBER_BYTES / 512);
	rig->intent->is_needed[5] = true;
	rig->intent->is_needed[7] = true;
	rig->intent->is_needed[9] = true;
	rig->intent->is_needed[127] = true;
	assert_int_equal(mirror_window(rig->m, 100, 1, M, &high), 5 * 128);
	assert_int_equal(high, 6 * 128);
	assert_int_equal(mirror_window(rig->m, 5 * 128 + 1, 128 * K, M, &high), 5 * 128);
	assert_int_equal(high, 8 * 128); /* two are needed, and what is between */
	assert_int_equal(mirror_window(rig->m, 0, M, 5 * 64 * K, &high), 5 * 128);
	assert_int_equal(high, 10 * 128);
	assert_int_equal(mirror_window(rig->m, 0, M, 5 * 64 * K - 1, &high), 5 * 128);
	assert_int_equal(high, 8 * 128);
	assert_int_equal(mirror_window(rig->m, 10 * 128, 256 * K, M, &high), 127 * 128);
	assert_int_equal(high, MR_MEMBER_BYTES / 512);
	run = (struct sync_run){ .sync = { .kind = MIRROR_SYNC_COPY, .high = 100 } };
	assert_int_equal(mirror_sync_begin(rig->m, &run.sync), -EINVAL);
	sync_start(rig, &run, MIRROR_SYNC_COPY, 0, 128);
	second = run;
	assert_int_equal(mirror_sync_begin(rig->m, &second.sync), -EBUSY);
	sync_wait(rig, &run);
	mr_free(rig);
}

/* Disk 1 is the last of another set, so it stays: its copy of chunk 0 differs still. */
static void a_copy_that_a_disk_in_use_refuses_leaves_the_chunk_needed(void **state)
{
	struct mirror_rig *rig = mr_new(3, 2, 16);
	struct mr_request gone;
	struct sync_run run;

	(void)state;
	mr_request_init(&gone);
	mirror_set_disk(rig->m, 2, MIRROR_DISK_MISSING, NULL, 0, &gone.req);
	mr_run(rig);
	rig->intent->is_needed[0] = true;
	mr_fault(rig, 1, DISK_MEM_FAIL_WRITES, 0, 4 * K);
	sync_start(rig, &run, MIRROR_SYNC_COPY, 0, 128);
	sync_wait(rig, &run);
	assert_int_equal(run.result, -EIO);
	assert_true(rig->intent->is_needed[0]);
	assert_int_equal(rig->failed, 0);
	mr_free(rig);
}

/* Told in sync when it is done, and the power is cut: no bit speaks for it any more. */
static void what_is_copied_to_a_new_disk_is_durable_when_done(void **state)
{
	struct mirror_rig *rig = mr_new(2, 0, 0);
	struct mr_request gone, come;
	struct sync_run run;

	(void)state;
	mr_request_init(&gone);
	mr_request_init(&come);
	mr_poke(rig, 0, 0, 4 * M, 7);
	mirror_set_disk(rig->m, 1, MIRROR_DISK_MISSING, NULL, 0, &gone.req);
	mr_run(rig);
	mirror_set_disk(rig->m, 1, MIRROR_DISK_REBUILD, rig->disks[1], MR_DATA_OFFSET,
			&come.req);
	memset(rig->intent->is_needed, 1, 64);
	sync_start(rig, &run, MIRROR_SYNC_COPY, 0, 4 * 2048);
	sync_wait(rig, &run);
	assert_int_equal(run.result, 0);
	disk_world_cut_power(rig->world);
	disk_world_restore_power(rig->world);
	assert_int_equal(mr_on_disk(rig, 1, 0, 4 * M), 7);
	mr_free(rig);
}

static void A7_a_resync_goes_on_without_a_hung_disk(void **state)
{
	struct mirror_rig *rig = mr_new(3, 0, 0);
	struct sync_run run;

	(void)state;
	rig->is_known_at_once = true;
	mr_poke(rig, 0, 0, 4 * M, 1);
	mr_poke(rig, 1, 0, 4 * M, 2);
	memset(rig->intent->is_needed, 1, 64);
	rig->is_frozen[0] = true;
	sync_start(rig, &run, MIRROR_SYNC_COPY, 0, 4 * 2048);
	sync_wait(rig, &run);
	assert_int_equal(run.result, 0);
	assert_int_equal(rig->failed, 1);
	assert_int_equal(mr_on_disk(rig, 2, 0, 4 * M), 2);
	mr_free(rig);
}

static uint32_t in_flight(struct mirror_rig *rig)
{
	struct mirror_look look = mr_look(rig);
	uint32_t i, sum = 0;

	for (i = 0; i < rig->count; i++)
		sum += look.disks[i].in_flight;
	return sum;
}

/* What a client writes waits behind what a resync has given the disk. */
static void a_resync_takes_less_of_the_disks_beside_applications(void **state)
{
	struct mirror_rig *rig = mr_new(4, 2, 2048);
	struct sync_run run;
	struct mr_io *io;

	(void)state;
	disk_world_advance(rig->world, disk_world_now_ns(rig->world) + 1000000000);
	memset(rig->intent->is_needed, true, 2 * MR_MEMBER_BYTES / (64 * K));
	sync_start(rig, &run, MIRROR_SYNC_COPY, 0, 2 * MR_MEMBER_BYTES / 512);
	assert_int_equal(in_flight(rig), 16);
	sync_wait(rig, &run);
	assert_int_equal(run.result, 0);

	memset(rig->intent->is_needed, true, 2 * MR_MEMBER_BYTES / (64 * K));
	io = mr_submit(rig, VOLUME_READ, 0, 4 * K, 0, 0);
	sync_start(rig, &run, MIRROR_SYNC_COPY, 0, 2 * MR_MEMBER_BYTES / 512);
	assert_int_equal(in_flight(rig), 1 + 8);
	sync_wait(rig, &run);
	assert_int_equal(run.result, 0);
	mr_io_free(io);
	mr_free(rig);
}

/* A slow disk may take minutes for a chunk: an operator sees that it moves. */
static void progress_is_seen_within_a_chunk(void **state)
{
	struct mirror_rig *rig = mr_new(3, 2, 16);
	uint64_t left, was, parts = 0;
	struct sync_run run;

	(void)state;
	mirror_set_speed(rig->m, M);
	rig->intent->is_needed[0] = rig->intent->is_needed[2] = true;
	was = 2 * 128;
	sync_start(rig, &run, MIRROR_SYNC_COPY, 0, 4 * 128);
	while (run.calls == 0) {
		assert_true(mr_step(rig));
		left = intent_needed_count(rig->intent) * 128;
		assert_true(mr_look(rig).sync_sectors < 128);
		left -= mr_look(rig).sync_sectors;
		assert_true(left <= was);
		parts += left < was && left % 128 != 0;
		was = left;
	}
	assert_int_equal(was, 0);
	assert_true(parts >= 4);
	assert_int_equal(mr_look(rig).sync_sectors, 0);

	was = 0;
	sync_start(rig, &run, MIRROR_SYNC_CHECK, 0, 4 * 128);
	while (mr_step(rig) && run.calls == 0) {
		assert_true(mr_look(rig).sync_sectors >= was);
		was = mr_look(rig).sync_sectors;
	}
	assert_in_range(was, 128, 4 * 128);
	mr_free(rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_copy_makes_needed_chunks_equal_and_no_others),
		cmocka_unit_test(a_resync_of_a_striped_array),
		cmocka_unit_test(a_disk_that_joins_during_a_resync_gets_all_of_it),
		cmocka_unit_test(a_disk_that_joins_amid_a_chunk_gets_all_of_it),
		cmocka_unit_test(a_check_tells_and_a_repair_mends),
		cmocka_unit_test(a_copy_between_two_repairs_leaves_them_their_buffers),
		cmocka_unit_test(A3_a_resync_waits_for_writes_and_they_for_its_pieces),
		cmocka_unit_test(A5_D13_a_resync_stops_at_the_gate_and_goes_on),
		cmocka_unit_test(a_resync_that_is_cancelled_says_how_far_it_came),
		cmocka_unit_test(
			a_window_keeps_to_its_speed_and_tells_whether_applications_work),
		cmocka_unit_test(a_window_is_whole_chunks_that_are_needed),
		cmocka_unit_test(a_copy_that_a_disk_in_use_refuses_leaves_the_chunk_needed),
		cmocka_unit_test(what_is_copied_to_a_new_disk_is_durable_when_done),
		cmocka_unit_test(A7_a_resync_goes_on_without_a_hung_disk),
		cmocka_unit_test(a_resync_takes_less_of_the_disks_beside_applications),
		cmocka_unit_test(progress_is_seen_within_a_chunk),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
