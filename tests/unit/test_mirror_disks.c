/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The mirror: disks that fail, hang, come and go: A4, A7. */
#include <errno.h>
#include <string.h>

#include "tests/unit/mirror_rig.h"

enum { K = 1024, M = 1024 * K };

/* --- A4 --------------------------------------------------------------------------------- */

static void A4_D9_a_write_that_met_a_failing_disk_waits_for_the_cluster(void **state)
{
	struct mirror_rig *rig = mr_new(2, 0, 0);
	struct mr_io *io, *next;

	(void)state;
	mr_fault(rig, 1, DISK_MEM_FAIL_WRITES, 0, M);
	io = mr_submit(rig, VOLUME_WRITE, 0, 4 * K, 1, 0);
	mr_run(rig);
	assert_int_equal(rig->failed, 1 << 1);
	assert_non_null(strstr(rig->why, "b: write at byte"));
	assert_int_equal(io->calls, 0);
	assert_int_equal(mr_look(rig).held_by_failure, 1);
	assert_true(rig->intent->is_degraded);
	assert_int_equal(rig->intent->gone, 1 << 1);
	/* who comes later and never touches it has not been on it, either */
	next = mr_submit(rig, VOLUME_WRITE, 2 * M, 4 * K, 2, 0);
	mr_run(rig);
	assert_int_equal(next->calls, 0);
	assert_int_equal(mr_read(rig, 0, 4 * K), 1); /* elsewhere, at once */
	mirror_failure_known(rig->m, 1);
	assert_int_equal(mr_wait(io), 0);
	assert_int_equal(mr_wait(next), 0);
	assert_int_equal(rig->failed_calls, 1);
	assert_int_equal(mr_write(rig, 0, 4 * K, 3), 0);
	assert_int_equal(mr_read(rig, 0, 4 * K), 3);
	mr_io_free(io);
	mr_io_free(next);
	mr_free(rig);
}

static void A4_D9_each_write_waits_for_the_failures_that_it_met(void **state)
{
	struct mirror_rig *rig = mr_new(3, 0, 0);
	struct mr_io *met_both, *met_one;

	(void)state;
	mr_fault(rig, 1, DISK_MEM_FAIL_WRITES, 0, 4 * K);
	mr_fault(rig, 2, DISK_MEM_FAIL_WRITES, 64 * K, 4 * K);
	met_one = mr_submit(rig, VOLUME_WRITE, 0, 4 * K, 1, 0);
	mr_run(rig);
	met_both = mr_submit(rig, VOLUME_WRITE, 64 * K, 4 * K, 1, 0);
	mr_run(rig);
	assert_int_equal(rig->failed, 6);
	mirror_failure_known(rig->m, 1);
	mr_run(rig);
	assert_int_equal(met_one->calls, 1);
	assert_int_equal(met_both->calls, 0);
	mirror_failure_known(rig->m, 2);
	assert_int_equal(mr_wait(met_both), 0);
	mr_io_free(met_one);
	mr_io_free(met_both);
	mr_free(rig);
}

/* This node heard that it failed; the next one may not have, and reads from it. */
static void A4_D9_a_write_without_a_disk_that_went_waits_for_the_cluster(void **state)
{
	struct mirror_rig *rig = mr_new(2, 0, 0);
	struct mr_io *before, *write, *flush;
	struct mr_request gone;

	(void)state;
	mr_request_init(&gone);
	before = mr_submit(rig, VOLUME_WRITE, 0, 4 * K, 1, 0);
	mirror_set_disk(rig->m, 1, MIRROR_DISK_MISSING, NULL, 0, &gone.req);
	write = mr_submit(rig, VOLUME_WRITE, 64 * K, 4 * K, 2, 0);
	mr_run(rig);
	flush = mr_submit(rig, VOLUME_FLUSH, 0, 0, 0, 0);
	mr_run(rig);
	assert_int_equal(gone.calls, 1); /* whoever has TOKEN waits for it */
	assert_int_equal(before->calls, 1); /* that disk has it */
	assert_int_equal(write->calls + flush->calls, 0);
	assert_int_equal(rig->failed, 0);
	assert_true(mirror_has_failing(rig->m));
	mirror_failure_known(rig->m, 1);
	assert_int_equal(mr_wait(write), 0);
	assert_int_equal(mr_wait(flush), 0);
	assert_int_equal(mr_write(rig, 0, 4 * K, 3), 0);
	mr_io_free(before);
	mr_io_free(write);
	mr_io_free(flush);
	mr_free(rig);
}

/* Other nodes read that disk still: what it covers would not be there for them. */
static void A4_D9_a_flush_without_a_failing_disk_waits_for_the_cluster(void **state)
{
	struct mirror_rig *rig = mr_new(2, 0, 0);
	struct mr_io *write, *flush;

	(void)state;
	mr_fault(rig, 1, DISK_MEM_FAIL_WRITES, 0, M);
	write = mr_submit(rig, VOLUME_WRITE, 0, 4 * K, 1, 0);
	mr_run(rig);
	flush = mr_submit(rig, VOLUME_FLUSH, 0, 0, 0, 0);
	mr_run(rig);
	assert_int_equal(flush->calls, 0);
	mirror_failure_known(rig->m, 1);
	assert_int_equal(mr_wait(flush), 0);
	assert_int_equal(mr_wait(write), 0);
	mr_io_free(write);
	mr_io_free(flush);
	mr_free(rig);
}

static void A4_the_last_disk_never_fails_and_nothing_is_invented(void **state)
{
	struct mirror_rig *rig = mr_new(2, 0, 0);

	(void)state;
	rig->is_known_at_once = true;
	mr_fault(rig, 1, DISK_MEM_FAIL_WRITES, 0, M);
	assert_int_equal(mr_write(rig, 0, 4 * K, 1), 0);
	mr_fault(rig, 0, DISK_MEM_FAIL_WRITES | DISK_MEM_FAIL_READS, 0, 4 * K);
	assert_int_equal(mr_write(rig, 0, 4 * K, 2), -EIO);
	assert_int_equal(mr_do(rig, VOLUME_READ, 0, 4 * K, 0, 0), -EIO);
	assert_int_equal(mr_do(rig, VOLUME_ZERO, 0, 4 * K, 0, 0), -EIO);
	assert_int_equal(rig->failed, 1 << 1);
	assert_int_equal(mr_write(rig, 4 * K, 4 * K, 3), 0);
	assert_int_equal(mr_read(rig, 4 * K, 4 * K), 3);
	mr_free(rig);
}

static void A4_both_disks_fail_one_write(void **state)
{
	struct mirror_rig *rig = mr_new(2, 0, 0);

	(void)state;
	rig->is_known_at_once = true;
	mr_fault(rig, 0, DISK_MEM_FAIL_WRITES, 0, 4 * K);
	mr_fault(rig, 1, DISK_MEM_FAIL_WRITES, 0, 4 * K);
	assert_int_equal(mr_write(rig, 0, 4 * K, 2), -EIO);
	assert_int_equal(rig->failed_calls, 1);
	mr_free(rig);
}

/* Disks 0, 1, 2 with two copies: chunk 0 on 0, 1; chunk 1 on 2, 0; chunk 2 on 1, 2. */
static void A4_a_disk_that_is_last_of_any_set_stays_and_its_errors_are_told(void **state)
{
	struct mirror_rig *rig = mr_new(3, 2, 16);

	(void)state;
	rig->is_known_at_once = true;
	mr_fault(rig, 2, DISK_MEM_FAIL_WRITES, 0, M);
	assert_int_equal(mr_write(rig, 8 * K, 4 * K, 1), 0);
	assert_int_equal(rig->failed, 1 << 2);
	/* 0 is the last of chunk 1 now: it cannot go, though 1 has chunk 0 as well */
	mr_fault(rig, 0, DISK_MEM_FAIL_WRITES, 0, M);
	assert_int_equal(mr_write(rig, 0, 4 * K, 1), -EIO);
	assert_int_equal(rig->failed, 1 << 2);
	mr_free(rig);
}

static void A4_a_read_that_fails_is_served_by_another_disk(void **state)
{
	struct mirror_rig *rig = mr_new(2, 0, 0);
	int i;

	(void)state;
	assert_int_equal(mr_write(rig, 0, 64 * K, 6), 0);
	mr_fault(rig, 0, DISK_MEM_FAIL_READS, 0, M);
	for (i = 0; i < 8; i++)
		assert_int_equal(mr_read(rig, (uint64_t)i * 8 * K, 4 * K), 6);
	assert_int_equal(rig->failed, 0);
	mr_free(rig);
}

static void a_disk_with_too_many_read_errors_fails(void **state)
{
	struct mirror_rig *rig = mr_new(2, 0, 0);
	int i;

	(void)state;
	rig->is_known_at_once = true;
	mirror_set_single_source(rig->m, true);
	mr_fault(rig, 0, DISK_MEM_FAIL_READS, 0, M);
	for (i = 0; i < 20; i++)
		assert_int_equal(mr_read(rig, (uint64_t)i * 16 * K, 4 * K), 0);
	assert_int_equal(rig->failed, 0);
	assert_int_equal(mr_read(rig, 512 * K, 4 * K), 0);
	assert_int_equal(rig->failed, 1);
	assert_non_null(strstr(rig->why, "a: 21 places could not be read within 1 minutes "
					 "(max_read_errors 20), the last at byte"));
	mr_free(rig);
}

/* The intent flushes only what it writes to: it would clear bits over data that is lost. */
static void a_last_disk_that_takes_no_bits_stays_with_the_intent(void **state)
{
	struct mirror_rig *rig = mr_new(4, 2, 16);
	struct mr_io *io;

	(void)state;
	rig->is_known_at_once = true;
	mr_fault(rig, 3, DISK_MEM_FAIL_WRITES, 0, M);
	assert_int_equal(mr_write(rig, 8 * K, 4 * K, 1), 0);
	assert_int_equal(rig->failed, 1 << 3);
	rig->intent->waits = true;
	io = mr_submit(rig, VOLUME_WRITE, 0, 4 * K, 1, 0);
	mirror_intent_failed(rig->m, 2, EIO);
	assert_int_equal(mr_wait(io), -EIO);
	assert_int_equal(rig->intent->gone, 1 << 3);
	assert_int_equal(rig->failed, 1 << 3);
	mirror_intent_failed(rig->m, 1, EIO); /* 0 has all of it */
	mr_run(rig);
	assert_int_equal(rig->intent->gone, 1 << 3 | 1 << 1);
	mr_io_free(io);
	mr_free(rig);
}

/* The token is held by who asks: waiting for the cluster to know would never end. */
static void A4_a_held_write_refuses_the_suspension(void **state)
{
	struct mirror_rig *rig = mr_new(2, 0, 0);
	struct mr_request suspend, later, beside;
	struct mr_io *io;

	(void)state;
	mr_request_init(&suspend);
	mr_request_init(&later);
	mr_request_init(&beside);
	mr_fault(rig, 1, DISK_MEM_FAIL_WRITES, 0, M);
	io = mr_submit(rig, VOLUME_WRITE, 0, 4 * K, 1, 0);
	mirror_suspend(rig->m, 1, 0, 128, &suspend.req); /* before it fails */
	mr_run(rig);
	assert_int_equal(io->calls, 0);
	assert_int_equal(suspend.calls, 1);
	assert_int_equal(suspend.result, -EBUSY);
	mirror_suspend(rig->m, 1, 0, 128, &later.req);
	mirror_suspend(rig->m, 2, 128, 256, &beside.req);
	mr_run(rig);
	assert_int_equal(later.result, -EBUSY);
	assert_int_equal(beside.result, 0);
	assert_int_equal(beside.calls, 1);
	mirror_failure_known(rig->m, 1);
	assert_int_equal(mr_wait(io), 0);
	mr_request_init(&later);
	mirror_suspend(rig->m, 1, 0, 128, &later.req);
	mr_run(rig);
	assert_int_equal(later.calls, 1);
	assert_int_equal(later.result, 0);
	mr_io_free(io);
	mr_free(rig);
}

static void A4_a_suspension_that_is_refused_leaves_nobody_parked(void **state)
{
	struct mirror_rig *rig = mr_new(2, 0, 0);
	struct mr_request suspend;
	struct mr_io *held, *behind;

	(void)state;
	mr_request_init(&suspend);
	mr_fault(rig, 1, DISK_MEM_FAIL_WRITES, 0, M);
	held = mr_submit(rig, VOLUME_WRITE, 0, 8 * K, 1, 0);
	behind = mr_submit(rig, VOLUME_WRITE, 4 * K, 8 * K, 2, 0);
	mr_run(rig);
	mirror_suspend(rig->m, 1, 0, 128, &suspend.req);
	mr_run(rig);
	assert_int_equal(suspend.result, -EBUSY);
	mirror_failure_known(rig->m, 1);
	assert_int_equal(mr_wait(held), 0);
	assert_int_equal(mr_wait(behind), 0);
	mr_io_free(held);
	mr_io_free(behind);
	mr_free(rig);
}

/* The last disk refuses what the one that is rebuilt has: they differ, and a bit says so. */
static void the_bits_of_a_write_that_leaves_copies_different_stay(void **state)
{
	struct mirror_rig *rig = mr_new(2, 0, 0);
	struct mr_request gone, come;

	(void)state;
	mr_request_init(&gone);
	mr_request_init(&come);
	mirror_set_disk(rig->m, 1, MIRROR_DISK_MISSING, NULL, 0, &gone.req);
	mr_run(rig);
	mirror_set_disk(rig->m, 1, MIRROR_DISK_REBUILD, rig->disks[1], MR_DATA_OFFSET,
			&come.req);
	mr_fault(rig, 0, DISK_MEM_FAIL_WRITES, 0, 4 * K);
	assert_int_equal(mr_write(rig, 0, 4 * K, 1), -EIO);
	assert_int_equal(rig->failed, 0);
	assert_int_equal(rig->intent->writing[0], 1);
	assert_int_equal(mr_write(rig, 64 * K, 4 * K, 1), 0);
	assert_int_equal(rig->intent->writing[1], 0);
	mr_free(rig);
}

/* --- A7 --------------------------------------------------------------------------------- */

static void A7_a_hung_disk_fails_and_holds_nothing_up(void **state)
{
	struct mirror_rig *rig = mr_new(2, 0, 0);
	struct mr_io *write, *read;
	struct mr_request gone;

	(void)state;
	rig->is_known_at_once = true;
	assert_int_equal(mr_write(rig, 0, 4 * K, 1), 0);
	rig->is_frozen[0] = true;
	mirror_set_single_source(rig->m, true);
	write = mr_submit(rig, VOLUME_WRITE, 64 * K, 4 * K, 2, 0);
	read = mr_submit(rig, VOLUME_READ, 0, 4 * K, 0, 0);
	assert_int_equal(mr_wait(write), 0);
	assert_int_equal(mr_wait(read), 0);
	assert_int_equal(read->buffer[0], 1);
	assert_true(write->done_at_ns >= MR_HANG_NS);
	assert_int_equal(rig->failed, 1);
	assert_non_null(strstr(rig->why, "no answer"));
	assert_true(write->was_held && read->was_held);
	assert_int_equal(write->released + read->released, 0);
	assert_int_equal(mr_write(rig, 64 * K, 4 * K, 3), 0);
	assert_int_equal(mr_read(rig, 64 * K, 4 * K), 3);
	mr_request_init(&gone);
	mirror_set_disk(rig->m, 0, MIRROR_DISK_MISSING, NULL, 0, &gone.req);
	mr_run(rig);
	assert_int_equal(gone.calls, 1); /* so the cluster comes to know */
	assert_int_equal(mr_look(rig).disks[0].in_flight, 2);
	rig->is_frozen[0] = false;
	mr_run(rig);
	assert_int_equal(mr_look(rig).disks[0].in_flight, 0);
	assert_int_equal(write->released + read->released, 2);
	mr_io_free(write);
	mr_io_free(read);
	mr_free(rig);
}

/* The request is the mirror's own memory. */
static void A7_a_stop_waits_for_a_flush_that_hangs(void **state)
{
	struct mirror_rig *rig = mr_new(2, 0, 0);
	struct mr_request stop;
	struct mr_io *flush;

	(void)state;
	mr_request_init(&stop);
	rig->is_known_at_once = true;
	rig->is_frozen[0] = true;
	flush = mr_submit(rig, VOLUME_FLUSH, 0, 0, 0, 0);
	assert_int_equal(mr_wait(flush), 0);
	mirror_stop(rig->m, &stop.req);
	mr_run(rig);
	assert_int_equal(stop.calls, 0);
	rig->is_frozen[0] = false;
	mr_run(rig);
	assert_int_equal(stop.calls, 1);
	mr_io_free(flush);
	mr_free(rig);
}

/* What it was asked may still land: nobody else writes there until it is back. */
static void A7_a_hung_last_disk_gives_errors_and_keeps_the_region(void **state)
{
	struct mirror_rig *rig = mr_new(1, 0, 0);
	struct mr_io *first, *second;

	(void)state;
	rig->is_frozen[0] = true;
	first = mr_submit(rig, VOLUME_WRITE, 0, 4 * K, 1, 0);
	assert_int_equal(mr_wait(first), -EIO);
	assert_true(first->was_held);
	assert_int_equal(rig->failed, 0);
	second = mr_submit(rig, VOLUME_WRITE, 0, 4 * K, 2, 0);
	assert_int_equal(mr_look(rig).disks[0].in_flight, 1);
	rig->is_frozen[0] = false;
	assert_int_equal(mr_wait(second), 0);
	assert_int_equal(first->released, 1);
	assert_int_equal(mr_read(rig, 0, 4 * K), 2);
	assert_int_equal(rig->intent->begun, rig->intent->ended);
	mr_io_free(first);
	mr_io_free(second);
	mr_free(rig);
}

static void A7_time_at_the_gate_or_in_a_window_is_no_hang(void **state)
{
	struct mirror_rig *rig = mr_new(2, 0, 0);
	struct mr_request suspend, end;
	struct mr_io *gate, *window;

	(void)state;
	mr_request_init(&suspend);
	mr_request_init(&end);
	mirror_suspend(rig->m, 1, 0, 128, &suspend.req);
	window = mr_submit(rig, VOLUME_WRITE, 0, 4 * K, 1, 0);
	mr_run(rig);
	disk_world_advance(rig->world, disk_world_now_ns(rig->world) + 2 * MR_HANG_NS);
	mirror_suspend(rig->m, 1, 0, 0, &end.req);
	mirror_advance(rig->m, mr_now(rig));
	assert_int_equal(mr_look(rig).disks[0].in_flight, 1);
	assert_int_equal(mr_wait(window), 0);
	mirror_set_gate(rig->m, false, UINT64_MAX);
	gate = mr_submit(rig, VOLUME_WRITE, M, 4 * K, 1, 0);
	disk_world_advance(rig->world, disk_world_now_ns(rig->world) + 2 * MR_HANG_NS);
	mirror_set_gate(rig->m, true, UINT64_MAX);
	mirror_advance(rig->m, mr_now(rig));
	assert_int_equal(mr_wait(gate), 0);
	assert_int_equal(rig->failed, 0);
	mr_io_free(gate);
	mr_io_free(window);
	mr_free(rig);
}

/* --- disks come and go ------------------------------------------------------------------------ */

static void a_disk_that_goes_is_given_back_when_nothing_is_on_it(void **state)
{
	struct mirror_rig *rig = mr_new(2, 0, 0);
	struct mr_request gone, rebuilt, in_sync;
	struct mr_io *io;

	(void)state;
	mr_request_init(&gone);
	mr_request_init(&rebuilt);
	mr_request_init(&in_sync);
	io = mr_submit(rig, VOLUME_WRITE, 0, 4 * K, 1, 0);
	mirror_set_disk(rig->m, 1, MIRROR_DISK_MISSING, NULL, 0, &gone.req);
	mirror_advance(rig->m, mr_now(rig));
	assert_int_equal(gone.calls, 0);
	mr_run(rig);
	assert_int_equal(gone.calls, 1);
	assert_int_equal(io->calls, 1);
	mirror_failure_known(rig->m, 1);
	assert_int_equal(mr_write(rig, 0, 4 * K, 2), 0);
	assert_int_equal(mr_on_disk(rig, 1, 0, 4 * K), 1);

	mirror_set_disk(rig->m, 1, MIRROR_DISK_REBUILD, rig->disks[1], MR_DATA_OFFSET,
			&rebuilt.req);
	assert_int_equal(mr_write(rig, 4 * K, 4 * K, 3), 0);
	assert_int_equal(mr_on_disk(rig, 1, 4 * K, 4 * K), 3);
	assert_int_equal(mr_read(rig, 0, 4 * K), 2);
	assert_int_equal(mr_read(rig, 0, 4 * K), 2);
	mirror_set_disk(rig->m, 1, MIRROR_DISK_IN_SYNC, NULL, 0, &in_sync.req);
	mr_run(rig);
	assert_int_equal(rebuilt.calls + in_sync.calls, 2);
	assert_int_equal(mr_look(rig).disks[1].state, MIRROR_DISK_IN_SYNC);
	mr_io_free(io);
	mr_free(rig);
}

/* A write that began before it came is not on it: done() says when there is none. */
static void a_disk_that_comes_is_in_use_when_older_writes_are_over(void **state)
{
	struct mirror_rig *rig = mr_new(2, 0, 0);
	struct mr_request gone, come;
	struct mr_io *io;

	(void)state;
	mr_request_init(&gone);
	mr_request_init(&come);
	mirror_set_disk(rig->m, 1, MIRROR_DISK_MISSING, NULL, 0, &gone.req);
	mr_run(rig);
	io = mr_submit(rig, VOLUME_WRITE, 0, 4 * K, 1, 0);
	mirror_set_disk(rig->m, 1, MIRROR_DISK_REBUILD, rig->disks[1], MR_DATA_OFFSET,
			&come.req);
	mirror_advance(rig->m, mr_now(rig));
	assert_int_equal(come.calls, 0);
	mr_run(rig);
	assert_int_equal(io->calls, 1);
	assert_int_equal(come.calls, 1);
	mr_io_free(io);
	mr_free(rig);
}

/* A process that was stopped has heard of nothing, whatever its disks have done. */
static void A7_time_in_which_nobody_listened_is_no_hang(void **state)
{
	struct mirror_rig *rig = mr_new(2, 0, 0);
	struct mr_io *write;
	const uint64_t still_ns = 5ull * MR_HANG_NS;

	(void)state;
	rig->is_known_at_once = true;
	rig->is_frozen[0] = rig->is_frozen[1] = true;
	write = mr_submit(rig, VOLUME_WRITE, 0, 4 * K, 1, 0);
	mirror_advance(rig->m, mr_now(rig));
	disk_world_advance(rig->world, disk_world_now_ns(rig->world) + still_ns);
	mirror_stood_still(rig->m, still_ns);
	mirror_advance(rig->m, mr_now(rig));
	assert_int_equal(rig->failed, 0);
	assert_int_equal(mr_look(rig).disks[0].in_flight, 1);
	/* from then on they have as long as any */
	assert_true(mirror_deadline(rig->m) > mr_now(rig) + MR_HANG_NS / 2);
	rig->is_frozen[1] = false;
	assert_int_equal(mr_wait(write), 0);
	assert_int_equal(rig->failed, 1);
	rig->is_frozen[0] = false;
	mr_run(rig);
	mr_io_free(write);
	mr_free(rig);
}

/* Not offered, for it would write zeroes there; and asked for all the same, nothing. */
static void a_disk_that_cannot_forget_leaves_no_trim(void **state)
{
	struct mirror_rig *rig = mr_new(2, 0, 0);
	struct mirror_config config = mr_config(2, 0, 0);
	struct err err = ERR_INIT;
	struct mirror *other;
	uint32_t i;

	(void)state;
	rig->disks[1]->topology.has_discard = false;
	for (i = 0; i < 2; i++) {
		config.disks[i].disk = rig->disks[i];
		config.disks[i].data_offset = MR_DATA_OFFSET;
	}
	other = mirror_new(&config, &(struct mirror_ops){ 0 }, NULL, &err);
	assert_non_null(other);
	assert_false(mirror_volume(other)->has_trim);
	mirror_free(other);
	assert_int_equal(mr_write(rig, 0, M, 7), 0);
	rig->volume->has_trim = false;
	assert_int_equal(mr_do(rig, VOLUME_TRIM, 0, M, 0, 0), 0);
	assert_int_equal(mr_read(rig, 0, M), 7);
	mr_free(rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(A4_D9_a_write_that_met_a_failing_disk_waits_for_the_cluster),
		cmocka_unit_test(A4_D9_each_write_waits_for_the_failures_that_it_met),
		cmocka_unit_test(A4_D9_a_flush_without_a_failing_disk_waits_for_the_cluster),
		cmocka_unit_test(A4_D9_a_write_without_a_disk_that_went_waits_for_the_cluster),
		cmocka_unit_test(A4_the_last_disk_never_fails_and_nothing_is_invented),
		cmocka_unit_test(A4_both_disks_fail_one_write),
		cmocka_unit_test(
			A4_a_disk_that_is_last_of_any_set_stays_and_its_errors_are_told),
		cmocka_unit_test(A4_a_read_that_fails_is_served_by_another_disk),
		cmocka_unit_test(a_disk_with_too_many_read_errors_fails),
		cmocka_unit_test(a_last_disk_that_takes_no_bits_stays_with_the_intent),
		cmocka_unit_test(A4_a_held_write_refuses_the_suspension),
		cmocka_unit_test(A4_a_suspension_that_is_refused_leaves_nobody_parked),
		cmocka_unit_test(the_bits_of_a_write_that_leaves_copies_different_stay),
		cmocka_unit_test(A7_a_hung_disk_fails_and_holds_nothing_up),
		cmocka_unit_test(A7_a_stop_waits_for_a_flush_that_hangs),
		cmocka_unit_test(A7_a_hung_last_disk_gives_errors_and_keeps_the_region),
		cmocka_unit_test(A7_time_at_the_gate_or_in_a_window_is_no_hang),
		cmocka_unit_test(a_disk_that_goes_is_given_back_when_nothing_is_on_it),
		cmocka_unit_test(a_disk_that_comes_is_in_use_when_older_writes_are_over),
		cmocka_unit_test(A7_time_in_which_nobody_listened_is_no_hang),
		cmocka_unit_test(a_disk_that_cannot_forget_leaves_no_trim),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
