/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The mirror's promises A1..A9 (mirror.h), each as something that a user would lose. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/mirror_rig.h"

enum { K = 1024, M = 1024 * K, NONE = -1 };

/* --- what it is for -------------------------------------------------------------------- */

static void what_is_written_is_on_all_disks(void **state)
{
	struct mirror_rig *rig = mr_new(3, 0, 0);
	uint32_t role;

	(void)state;
	assert_int_equal(mr_write(rig, 8 * K, 12 * K, 7), 0);
	for (role = 0; role < 3; role++) {
		assert_int_equal(mr_on_disk(rig, role, 8 * K, 12 * K), 7);
		assert_int_equal(mr_on_disk(rig, role, 0, 8 * K), 0);
		assert_int_equal(mr_on_disk(rig, role, 20 * K, 8 * K), 0);
	}
	assert_int_equal(mr_read(rig, 8 * K, 12 * K), 7);
	mr_free(rig);
}

static void a_striped_array_of_odd_disks_gives_back_what_it_got(void **state)
{
	struct mirror_rig *rig = mr_new(3, 2, 16);
	uint64_t size = rig->volume->size_bytes, at;
	struct mr_io *io;

	(void)state;
	assert_int_equal(size, MR_MEMBER_BYTES / 2 * 3);
	for (at = 0; at < size; at += 24 * K)
		assert_int_equal(mr_write(rig, at, at + 24 * K > size ? size - at : 24 * K,
					  (int)(at / (24 * K) % 251)),
				 0);
	io = mr_submit(rig, VOLUME_READ, 0, size, 0, 0);
	assert_int_equal(mr_wait(io), 0);
	for (at = 0; at < size; at++)
		assert_int_equal(io->buffer[at], at / (24 * K) % 251);
	mr_io_free(io);
	mr_free(rig);
}

static void an_io_of_many_pieces_does_all_of_them(void **state)
{
	struct mirror_rig *rig = mr_new(4, 2, 8);
	struct mr_io *ios[4];
	uint32_t i;

	(void)state;
	/* 2 MiB in chunks of 4 KiB: far more requests than there are in the pool */
	for (i = 0; i < 4; i++)
		ios[i] = mr_submit(rig, VOLUME_WRITE, i * 2 * M, 2 * M, (int)i + 1, 0);
	for (i = 0; i < 4; i++) {
		assert_int_equal(mr_wait(ios[i]), 0);
		mr_io_free(ios[i]);
	}
	for (i = 0; i < 4; i++)
		assert_int_equal(mr_read(rig, i * 2 * M, 2 * M), i + 1);
	mr_free(rig);
}

static void what_is_out_of_bounds_is_refused(void **state)
{
	struct mirror_rig *rig = mr_new(2, 0, 0);
	static const struct { enum volume_op op; uint64_t offset, length; } bad[] = {
		{ VOLUME_READ, 0, 0 },           { VOLUME_READ, 100, 512 },
		{ VOLUME_READ, 512, 100 },       { VOLUME_WRITE, MR_MEMBER_BYTES, 512 },
		{ VOLUME_WRITE, MR_MEMBER_BYTES - 512, 1024 },
		{ VOLUME_WRITE, UINT64_MAX - 511, 1024 },
		{ VOLUME_ZERO, 0, 0 },           { VOLUME_FLUSH, 0, 512 },
		{ VOLUME_OPS, 0, 512 },
	};
	struct volume_io *io = calloc(1, rig->volume->io_bytes);
	void *buffer = disk_buffer_new(4096);
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		io->op = bad[i].op;
		io->offset_bytes = bad[i].offset;
		io->length_bytes = bad[i].length;
		io->buffer = buffer;
		assert_int_equal(volume_submit(rig->volume, io), -EINVAL);
	}
	free(buffer);
	free(io);
	mr_free(rig);
}

/* --- A1 --------------------------------------------------------------------------------- */

static void A1_nothing_is_written_before_its_intent_is_durable(void **state)
{
	struct mirror_rig *rig = mr_new(2, 0, 0);
	struct mr_io *write, *zero;

	(void)state;
	rig->intent->waits = true;
	write = mr_submit(rig, VOLUME_WRITE, 64 * K, 64 * K, 5, 0);
	zero = mr_submit(rig, VOLUME_ZERO, 256 * K, 64 * K, 0, 0);
	mr_run(rig);
	assert_int_equal(disk_world_writes(rig->world), 0);
	assert_int_equal(rig->intent->writing[1], 1);
	assert_int_equal(rig->intent->writing[4], 1);
	fake_intent_release(rig->intent);
	assert_int_equal(mr_wait(write), 0);
	assert_int_equal(mr_wait(zero), 0);
	assert_int_equal(mr_on_disk(rig, 1, 64 * K, 64 * K), 5);
	assert_int_equal(rig->intent->ended, 2);
	assert_int_equal(rig->intent->writing[1], 0);
	mr_io_free(write);
	mr_io_free(zero);
	mr_free(rig);
}

static void A1_the_intent_is_of_all_chunks_that_are_touched(void **state)
{
	struct mirror_rig *rig = mr_new(2, 0, 0);
	struct mr_io *io;

	(void)state;
	rig->intent->waits = true;
	io = mr_submit(rig, VOLUME_WRITE, 64 * K - 512, 64 * K + 1024, 5, 0);
	assert_int_equal(rig->intent->writing[0], 1);
	assert_int_equal(rig->intent->writing[1], 1);
	assert_int_equal(rig->intent->writing[2], 1);
	assert_int_equal(rig->intent->writing[3], 0);
	fake_intent_release(rig->intent);
	assert_int_equal(mr_wait(io), 0);
	mr_io_free(io);
	mr_free(rig);
}

static void a_write_is_durable_for_its_intent_only_with_fua(void **state)
{
	struct mirror_rig *rig = mr_new(2, 0, 0);

	(void)state;
	mr_do(rig, VOLUME_WRITE, 0, 4 * K, 1, 0);
	assert_int_equal(rig->intent->ended_durable, 0);
	mr_do(rig, VOLUME_WRITE, 0, 4 * K, 1, VOLUME_FUA);
	assert_int_equal(rig->intent->ended_durable, 1);
	mr_do(rig, VOLUME_ZERO, 0, 4 * K, 1, 0);
	assert_int_equal(rig->intent->ended_durable, 1);
	mr_do(rig, VOLUME_ZERO, 0, 4 * K, 1, VOLUME_FUA);
	assert_int_equal(rig->intent->ended_durable, 2);
	mr_free(rig);
}

/* --- A2 --------------------------------------------------------------------------------- */

static void A2_a_suspension_is_done_when_nothing_in_it_is_in_flight(void **state)
{
	struct mirror_rig *rig = mr_new(2, 0, 0);
	struct mr_request suspend;
	struct mr_io *in, *beside, *late;

	(void)state;
	mr_request_init(&suspend);
	rig->intent->waits = true;
	in = mr_submit(rig, VOLUME_WRITE, 4 * K, 8 * K, 1, 0);
	beside = mr_submit(rig, VOLUME_WRITE, 64 * K, 8 * K, 2, 0);
	mirror_suspend(rig->m, 3, 16, 128, &suspend.req); /* [8 KiB, 64 KiB) */
	late = mr_submit(rig, VOLUME_WRITE, 60 * K, 8 * K, 3, 0);
	mr_run(rig);
	assert_int_equal(suspend.calls, 0);
	fake_intent_release(rig->intent);
	assert_int_equal(mr_wait(in), 0);
	assert_int_equal(mr_wait(beside), 0);
	mr_run(rig);
	assert_int_equal(suspend.calls, 1);
	assert_int_equal(suspend.result, 0);
	assert_int_equal(late->calls, 0);
	assert_int_equal(mr_look(rig).parked_suspended, 1);
	/* beside it all goes on */
	assert_int_equal(mr_write(rig, 64 * K, 4 * K, 4), 0);
	assert_int_equal(mr_write(rig, 4 * K, 4 * K, 4), 0);

	mr_request_init(&suspend);
	mirror_suspend(rig->m, 3, 0, 0, &suspend.req);
	assert_int_equal(mr_wait(late), 0);
	mr_run(rig);
	assert_int_equal(suspend.calls, 1);
	assert_int_equal(mr_read(rig, 60 * K, 8 * K), 3);
	mr_io_free(in);
	mr_io_free(beside);
	mr_io_free(late);
	mr_free(rig);
}

static void A2_B43_one_slots_end_leaves_anothers_range(void **state)
{
	struct mirror_rig *rig = mr_new(2, 0, 0);
	struct mr_request one, two, end;
	struct mr_io *io;

	(void)state;
	mr_request_init(&one);
	mr_request_init(&two);
	mr_request_init(&end);
	mirror_suspend(rig->m, 1, 0, 256, &one.req);
	mirror_suspend(rig->m, 2, 128, 512, &two.req);
	mr_run(rig);
	assert_int_equal(one.calls + two.calls, 2);
	mirror_suspend(rig->m, 1, 0, 0, &end.req);
	io = mr_submit(rig, VOLUME_WRITE, 64 * K, 4 * K, 1, 0);
	mr_run(rig);
	assert_int_equal(io->calls, 0);
	assert_int_equal(mr_write(rig, 0, 64 * K, 1), 0);
	mr_request_init(&end);
	mirror_suspend(rig->m, 2, 0, 0, &end.req);
	assert_int_equal(mr_wait(io), 0);
	mr_io_free(io);
	mr_free(rig);
}

/* W2 waits for W1, which is in flight beside the window: it must not hold the window up. */
static void A2_who_waits_for_its_turn_in_a_window_parks_and_holds_up_nobody(void **state)
{
	struct mirror_rig *rig = mr_new(2, 0, 0);
	struct mr_request suspend;
	struct mr_io *w1, *w2, *w3;

	(void)state;
	mr_request_init(&suspend);
	rig->intent->waits = true;
	w1 = mr_submit(rig, VOLUME_WRITE, 0, 8 * K, 1, 0);
	w2 = mr_submit(rig, VOLUME_WRITE, 4 * K, 60 * K, 2, 0);
	w3 = mr_submit(rig, VOLUME_WRITE, 8 * K, 4 * K, 3, 0);
	mirror_suspend(rig->m, 1, 64, 128, &suspend.req); /* from 32 KiB: w2 alone */
	mr_run(rig);
	assert_int_equal(suspend.calls, 1);
	fake_intent_release(rig->intent);
	assert_int_equal(mr_wait(w1), 0);
	assert_int_equal(mr_wait(w3), 0);
	mr_run(rig);
	assert_int_equal(w2->calls, 0);
	mr_request_init(&suspend);
	mirror_suspend(rig->m, 1, 0, 0, &suspend.req);
	assert_int_equal(mr_wait(w2), 0);
	mr_io_free(w1);
	mr_io_free(w2);
	mr_io_free(w3);
	mr_free(rig);
}

/* Until the new one is acknowledged its owner may still be at work in the old one. */
static void A2_the_old_range_stays_until_the_new_one_is_drained(void **state)
{
	struct mirror_rig *rig = mr_new(2, 0, 0);
	struct mr_request first, second;
	struct mr_io *in_old, *in_new;

	(void)state;
	mr_request_init(&first);
	mr_request_init(&second);
	mirror_suspend(rig->m, 1, 0, 64, &first.req);
	mr_run(rig);
	rig->intent->waits = true;
	in_new = mr_submit(rig, VOLUME_WRITE, 64 * K, 4 * K, 1, 0);
	mirror_suspend(rig->m, 1, 64, 256, &second.req);
	in_old = mr_submit(rig, VOLUME_WRITE, 0, 4 * K, 1, 0);
	mr_run(rig);
	assert_int_equal(second.calls, 0);
	assert_int_equal(mr_look(rig).parked_suspended, 1);
	fake_intent_release(rig->intent);
	assert_int_equal(mr_wait(in_new), 0);
	assert_int_equal(mr_wait(in_old), 0);
	assert_int_equal(second.calls, 1);
	mr_io_free(in_old);
	mr_io_free(in_new);
	mr_free(rig);
}

static void A2_reads_in_a_window_come_from_the_source(void **state)
{
	struct mirror_rig *rig = mr_new(2, 0, 0);
	struct mr_request suspend;
	int i;

	(void)state;
	mr_request_init(&suspend);
	mr_poke(rig, 1, 0, 128 * K, 9);
	mirror_suspend(rig->m, 1, 0, 128, &suspend.req);
	for (i = 0; i < 8; i++)
		assert_int_equal(mr_read(rig, (uint64_t)(i % 4) * 4 * K, 4 * K), 0);
	mr_free(rig);
}

/* --- A3 --------------------------------------------------------------------------------- */

static void A3_overlapping_writes_leave_equal_disks(void **state)
{
	enum { WRITES = 40 };
	struct mirror_rig *rig = mr_new(3, 0, 0);
	struct mr_io *ios[WRITES];
	uint64_t i;

	(void)state;
	for (i = 0; i < WRITES; i++)
		ios[i] = mr_submit(rig, VOLUME_WRITE, i % 5 * 4 * K, 16 * K, (int)i + 1, 0);
	for (i = 0; i < WRITES; i++) {
		assert_int_equal(mr_wait(ios[i]), 0);
		mr_io_free(ios[i]);
	}
	for (i = 0; i < 32 * K; i += 4 * K) {
		int byte = mr_on_disk(rig, 0, i, 4 * K);

		assert_true(byte >= 0);
		assert_int_equal(mr_on_disk(rig, 1, i, 4 * K), byte);
		assert_int_equal(mr_on_disk(rig, 2, i, 4 * K), byte);
	}
	/* and in the order of submission */
	assert_int_equal(mr_on_disk(rig, 0, 16 * K, 16 * K), WRITES);
	mr_free(rig);
}

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
	for (i = 0; i < 30; i++)
		assert_int_equal(mr_read(rig, 0, 4 * K), 0);
	assert_int_equal(rig->failed, 1);
	assert_non_null(strstr(rig->why, "a: read"));
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

/* --- A5 --------------------------------------------------------------------------------- */

static void A5_D13_nothing_goes_while_the_gate_is_shut(void **state)
{
	struct mirror_rig *rig = mr_new(2, 0, 0);
	struct mr_io *w1, *w2, *zero, *read;

	(void)state;
	mirror_set_gate(rig->m, false, UINT64_MAX);
	w1 = mr_submit(rig, VOLUME_WRITE, 0, 8 * K, 1, 0);
	w2 = mr_submit(rig, VOLUME_WRITE, 4 * K, 8 * K, 2, 0);
	zero = mr_submit(rig, VOLUME_ZERO, 8 * K, 8 * K, 0, 0);
	read = mr_submit(rig, VOLUME_READ, 64 * K, 8 * K, 0, 0);
	mr_run(rig);
	assert_int_equal(disk_world_writes(rig->world), 0);
	assert_int_equal(rig->intent->begun, 0);
	assert_int_equal(mr_look(rig).parked_gate, 4);
	mirror_set_gate(rig->m, true, UINT64_MAX);
	assert_int_equal(mr_wait(w1), 0);
	assert_int_equal(mr_wait(w2), 0);
	assert_int_equal(mr_wait(zero), 0);
	assert_int_equal(mr_wait(read), 0);
	/* in their order */
	assert_int_equal(mr_read(rig, 0, 4 * K), 1);
	assert_int_equal(mr_read(rig, 4 * K, 4 * K), 2);
	assert_int_equal(mr_read(rig, 8 * K, 8 * K), 0);
	mr_io_free(w1);
	mr_io_free(w2);
	mr_io_free(zero);
	mr_io_free(read);
	mr_free(rig);
}

static void A5_D13_the_gate_shuts_while_a_write_waits_for_its_intent(void **state)
{
	struct mirror_rig *rig = mr_new(2, 0, 0);
	struct mr_request suspend;
	struct mr_io *io, *over;

	(void)state;
	mr_request_init(&suspend);
	rig->intent->waits = true;
	io = mr_submit(rig, VOLUME_WRITE, 0, 8 * K, 1, 0);
	over = mr_submit(rig, VOLUME_WRITE, 4 * K, 8 * K, 2, 0);
	mirror_set_gate(rig->m, false, UINT64_MAX);
	fake_intent_release(rig->intent);
	mr_run(rig);
	assert_int_equal(disk_world_writes(rig->world), 0);
	assert_int_equal(rig->intent->ended, rig->intent->begun);
	/* and holds up nobody */
	mirror_suspend(rig->m, 1, 0, 128, &suspend.req);
	mr_run(rig);
	assert_int_equal(suspend.calls, 1);
	mr_request_init(&suspend);
	mirror_suspend(rig->m, 1, 0, 0, &suspend.req);
	mirror_set_gate(rig->m, true, UINT64_MAX);
	assert_int_equal(mr_wait(io), 0);
	assert_int_equal(mr_wait(over), 0);
	assert_int_equal(mr_on_disk(rig, 1, 4 * K, 8 * K), 2);
	mr_io_free(io);
	mr_io_free(over);
	mr_free(rig);
}

static void A5_D13_a_lease_that_is_over_shuts_the_gate(void **state)
{
	struct mirror_rig *rig = mr_new(2, 0, 0);
	struct mr_io *io;

	(void)state;
	mirror_set_gate(rig->m, true, mr_now(rig) + 1000000);
	assert_int_equal(mr_write(rig, 0, 4 * K, 1), 0);
	disk_world_advance(rig->world, disk_world_now_ns(rig->world) + 1000000);
	io = mr_submit(rig, VOLUME_WRITE, 0, 4 * K, 2, 0);
	mr_run(rig);
	assert_int_equal(io->calls, 0);
	assert_int_equal(mr_on_disk(rig, 0, 0, 4 * K), 1);
	mirror_set_gate(rig->m, true, mr_now(rig) + 1000000);
	assert_int_equal(mr_wait(io), 0);
	mr_io_free(io);
	mr_free(rig);
}

static bool may_change(void *owner)
{
	return *(bool *)owner;
}

/* The disk says so, for what has waited there: it is not to blame, and all goes again. */
static void A5_D13_what_a_disk_did_not_begin_goes_when_there_is_a_lease(void **state)
{
	struct mirror_rig *rig = mr_new(2, 0, 0);
	bool is_allowed = false;
	struct mr_io *io, *zero, *read;

	(void)state;
	assert_int_equal(mr_write(rig, 0, 4 * K, 1), 0);
	disk_guard(rig->disks[1], may_change, &is_allowed);
	io = mr_submit(rig, VOLUME_WRITE, 0, 4 * K, 2, VOLUME_FUA);
	zero = mr_submit(rig, VOLUME_ZERO, 8 * K, 4 * K, 0, 0);
	mr_run(rig);
	assert_int_equal(io->calls, 0);
	assert_int_equal(zero->calls, 0);
	assert_int_equal(mr_look(rig).parked_gate, 2);
	assert_int_equal(rig->failed_calls, 0);
	read = mr_submit(rig, VOLUME_READ, 0, 4 * K, 0, 0);
	mr_run(rig);
	assert_int_equal(read->calls, 0); /* the lease is over for all */
	is_allowed = true;
	mirror_set_gate(rig->m, true, UINT64_MAX);
	assert_int_equal(mr_wait(io), 0);
	assert_int_equal(mr_wait(zero), 0);
	assert_int_equal(mr_wait(read), 0);
	assert_int_equal(mr_on_disk(rig, 0, 0, 4 * K), 2);
	assert_int_equal(mr_on_disk(rig, 1, 0, 4 * K), 2);
	assert_int_equal(rig->intent->ended, rig->intent->begun);
	mr_io_free(io);
	mr_io_free(zero);
	mr_io_free(read);
	mr_free(rig);
}

static void A5_who_shall_not_park_gets_an_error(void **state)
{
	struct mirror_config config = mr_config(2, 0, 0);
	struct mirror_rig *rig;

	(void)state;
	config.fails_when_shut = true;
	rig = mr_new_config(&config);
	mirror_set_gate(rig->m, false, UINT64_MAX);
	assert_int_equal(mr_write(rig, 0, 4 * K, 1), -ESHUTDOWN);
	assert_int_equal(mr_do(rig, VOLUME_READ, 0, 4 * K, 0, 0), -ESHUTDOWN);
	mr_free(rig);
}

static void A5_a_drain_is_over_when_nothing_changes_a_disk(void **state)
{
	struct mirror_rig *rig = mr_new(2, 0, 0);
	struct mr_request drain;
	struct mr_io *io, *late;

	(void)state;
	mr_request_init(&drain);
	io = mr_submit(rig, VOLUME_WRITE, 0, 4 * K, 1, 0);
	mirror_drain(rig->m, &drain.req);
	late = mr_submit(rig, VOLUME_WRITE, 0, 4 * K, 2, 0);
	mirror_advance(rig->m, mr_now(rig));
	assert_int_equal(drain.calls, 0);
	mr_run(rig);
	assert_int_equal(drain.calls, 1);
	assert_int_equal(drain.result, 0);
	assert_int_equal(io->calls, 1);
	assert_int_equal(late->calls, 0);
	mirror_set_gate(rig->m, true, UINT64_MAX);
	assert_int_equal(mr_wait(late), 0);
	mr_io_free(io);
	mr_io_free(late);
	mr_free(rig);
}

/* A page of the bitmap is a change, too. */
static void A5_a_drain_waits_for_the_intent(void **state)
{
	struct mirror_rig *rig = mr_new(2, 0, 0);
	struct mr_request drain;
	struct mr_io *io;

	(void)state;
	mr_request_init(&drain);
	rig->intent->waits = rig->intent->has_io = true;
	io = mr_submit(rig, VOLUME_WRITE, 0, 4 * K, 1, 0);
	mirror_drain(rig->m, &drain.req);
	assert_false(rig->intent->is_gate_open);
	mr_run_ns(rig, 20000000);
	assert_int_equal(drain.calls, 0);
	rig->intent->has_io = false; /* what waits for the gate stays */
	mr_run(rig);
	assert_int_equal(drain.calls, 1);
	assert_int_equal(io->calls, 0);
	mirror_set_gate(rig->m, true, UINT64_MAX);
	assert_true(rig->intent->is_gate_open);
	fake_intent_release(rig->intent);
	assert_int_equal(mr_wait(io), 0);
	mr_io_free(io);
	mr_free(rig);
}

/* D13: it sets bits while this node joins, but never without a lease. */
static void A5_D13_the_intent_goes_by_the_lease(void **state)
{
	struct mirror_rig *rig = mr_new(2, 0, 0);

	(void)state;
	mirror_set_gate(rig->m, false, 77);
	assert_true(rig->intent->is_gate_open);
	assert_int_equal(rig->intent->lease_until, 77);
	mr_free(rig);
}

/* No gate opens for these any more. */
static void a_stop_ends_what_waits_for_bits(void **state)
{
	struct mirror_rig *rig = mr_new(2, 0, 0);
	struct mr_request stop;
	struct mr_io *io;

	(void)state;
	mr_request_init(&stop);
	rig->intent->waits = true;
	io = mr_submit(rig, VOLUME_WRITE, 0, 4 * K, 1, 0);
	mirror_stop(rig->m, &stop.req);
	assert_int_equal(mr_wait(io), -ESHUTDOWN);
	mr_run(rig);
	assert_int_equal(stop.calls, 1);
	assert_int_equal(rig->intent->begun, rig->intent->ended);
	mr_io_free(io);
	mr_free(rig);
}

/* --- A6 --------------------------------------------------------------------------------- */

static void A6_B37_single_sourced_reads_come_from_the_first_in_sync(void **state)
{
	struct mirror_rig *rig = mr_new(3, 0, 0);
	struct mr_request gone;
	uint64_t i;

	(void)state;
	mr_poke(rig, 0, 0, M, 1);
	mr_poke(rig, 1, 0, M, 2);
	mr_poke(rig, 2, 0, M, 3);
	mirror_set_single_source(rig->m, true);
	for (i = 0; i < 16; i++)
		assert_int_equal(mr_read(rig, i * 8 * K, 4 * K), 1);
	mr_request_init(&gone);
	mirror_set_disk(rig->m, 0, MIRROR_DISK_MISSING, NULL, 0, &gone.req);
	for (i = 0; i < 16; i++)
		assert_int_equal(mr_read(rig, i * 8 * K, 4 * K), 2);
	mr_free(rig);
}

static void A6_needed_chunks_are_read_from_the_source(void **state)
{
	struct mirror_rig *rig = mr_new(2, 0, 0);
	uint64_t i;

	(void)state;
	mr_poke(rig, 1, 64 * K, 64 * K, 2);
	rig->intent->is_needed[1] = true;
	for (i = 0; i < 16; i++)
		assert_int_equal(mr_read(rig, 64 * K + i * 7 % 16 * 4 * K, 4 * K), 0);
	/* one that reaches into it, as well */
	assert_int_equal(mr_read(rig, 60 * K, 8 * K), 0);
	assert_int_equal(mr_read(rig, 124 * K, 8 * K), 0);
	mr_free(rig);
}

static void reads_go_to_all_disks(void **state)
{
	struct mirror_rig *rig = mr_new(3, 0, 0);
	struct mr_io *ios[30];
	struct mirror_look look;
	uint64_t i;

	(void)state;
	for (i = 0; i < 30; i++)
		ios[i] = mr_submit(rig, VOLUME_READ, (i * 7 + 1) % 64 * 64 * K, 4 * K, 0, 0);
	look = mr_look(rig);
	for (i = 0; i < 3; i++)
		assert_int_equal(look.disks[i].in_flight, 10);
	for (i = 0; i < 30; i++) {
		mr_wait(ios[i]);
		mr_io_free(ios[i]);
	}
	mr_free(rig);
}

static void a_stream_stays_on_its_disk(void **state)
{
	struct mirror_rig *rig = mr_new(2, 0, 0);
	struct mirror_look look;
	uint64_t i;

	(void)state;
	for (i = 1; i < 33; i++)
		mr_read(rig, i * 64 * K, 64 * K);
	look = mr_look(rig);
	assert_true(look.disks[0].reads == 32 || look.disks[1].reads == 32);
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
	assert_int_equal(gone.calls, 0); /* it has requests of ours still */
	rig->is_frozen[0] = false;
	mr_run(rig);
	assert_int_equal(gone.calls, 1);
	assert_int_equal(write->released + read->released, 2);
	mr_io_free(write);
	mr_io_free(read);
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

/* --- A8 --------------------------------------------------------------------------------- */

static void A8_a_flush_makes_durable_what_was_done(void **state)
{
	struct mirror_rig *rig = mr_new(2, 0, 0);

	(void)state;
	assert_int_equal(mr_write(rig, 0, 64 * K, 1), 0);
	assert_int_equal(mr_do(rig, VOLUME_FLUSH, 0, 0, 0, 0), 0);
	disk_world_cut_power(rig->world);
	disk_world_restore_power(rig->world);
	assert_int_equal(mr_on_disk(rig, 0, 0, 64 * K), 1);
	assert_int_equal(mr_on_disk(rig, 1, 0, 64 * K), 1);
	mr_free(rig);
}

static void A8_a_flush_that_comes_during_one_joins_the_next(void **state)
{
	struct mirror_rig *rig = mr_new(2, 0, 0);
	struct mr_io *first, *second, *third;

	(void)state;
	disk_world_set_latency(rig->world, 1000000, 1000000);
	first = mr_submit(rig, VOLUME_FLUSH, 0, 0, 0, 0);
	assert_int_equal(rig->disks[0]->in_flight, 1);
	disk_world_set_latency(rig->world, 10000, 10000);
	assert_int_equal(mr_do(rig, VOLUME_WRITE, 0, 4 * K, 1, 0), 0);
	second = mr_submit(rig, VOLUME_FLUSH, 0, 0, 0, 0);
	third = mr_submit(rig, VOLUME_FLUSH, 0, 0, 0, 0);
	assert_int_equal(first->calls, 0);
	assert_int_equal(rig->disks[0]->in_flight, 1);
	assert_int_equal(mr_wait(second), 0);
	assert_int_equal(mr_wait(third), 0);
	assert_int_equal(first->calls, 1);
	assert_int_equal(second->done_at_ns, third->done_at_ns);
	disk_world_cut_power(rig->world);
	disk_world_restore_power(rig->world);
	assert_int_equal(mr_on_disk(rig, 0, 0, 4 * K), 1);
	assert_int_equal(mr_on_disk(rig, 1, 0, 4 * K), 1);
	mr_io_free(first);
	mr_io_free(second);
	mr_io_free(third);
	mr_free(rig);
}

static void A8_with_fua_it_is_durable_when_done(void **state)
{
	struct mirror_rig *rig = mr_new(2, 0, 0);

	(void)state;
	mr_poke(rig, 0, 64 * K, 4 * K, 9);
	mr_poke(rig, 1, 64 * K, 4 * K, 9);
	assert_int_equal(mr_do(rig, VOLUME_WRITE, 0, 4 * K, 1, VOLUME_FUA), 0);
	assert_int_equal(mr_do(rig, VOLUME_ZERO, 64 * K, 4 * K, 0, VOLUME_FUA), 0);
	disk_world_cut_power(rig->world);
	disk_world_restore_power(rig->world);
	assert_int_equal(mr_on_disk(rig, 0, 0, 4 * K), 1);
	assert_int_equal(mr_on_disk(rig, 1, 0, 4 * K), 1);
	assert_int_equal(mr_on_disk(rig, 0, 64 * K, 4 * K), 0);
	assert_int_equal(mr_on_disk(rig, 1, 64 * K, 4 * K), 0);
	mr_free(rig);
}

/* --- zero and trim -------------------------------------------------------------------------- */

static void zeroes_are_zeroes_on_every_disk_and_nothing_else_is(void **state)
{
	struct mirror_rig *rig = mr_new(5, 2, 16);
	uint64_t size = rig->volume->size_bytes, low = 12 * K, high = 200 * K + 512;

	(void)state;
	assert_int_equal(mr_write(rig, 0, M, 7), 0);
	assert_int_equal(mr_do(rig, VOLUME_ZERO, low, high - low, 0, 0), 0);
	assert_int_equal(mr_read(rig, 0, low), 7);
	assert_int_equal(mr_read(rig, low, high - low), 0);
	assert_int_equal(mr_read(rig, high, M - high), 7);
	assert_true(size > M);
	mr_free(rig);
}

static void a_long_zero_goes_in_slices(void **state)
{
	struct mirror_config config = mr_config(4, 2, 128);
	struct mirror_rig *rig;

	(void)state;
	rig = mr_new_config(&config); /* 16 MiB, two slices from the middle of one */
	assert_int_equal(mr_write(rig, 15 * M, M, 7), 0);
	assert_int_equal(mr_do(rig, VOLUME_ZERO, 0, 16 * M, 0, 0), 0);
	assert_int_equal(mr_read(rig, 15 * M, M), 0);
	mr_free(rig);
}

static void a_trim_leaves_equal_disks(void **state)
{
	struct mirror_rig *rig = mr_new(2, 0, 0);
	uint32_t disk;

	(void)state;
	assert_true(rig->volume->has_trim);
	assert_int_equal(mr_write(rig, 0, 2 * M, 7), 0);
	rig->intent->begun = 0;
	assert_int_equal(mr_do(rig, VOLUME_TRIM, 0, M, 0, 0), 0);
	assert_int_equal(rig->intent->begun, 1); /* power may go between two disks */
	for (disk = 0; disk < 2; disk++) {
		assert_int_equal(mr_on_disk(rig, disk, 0, M), 0);
		assert_int_equal(mr_on_disk(rig, disk, M, M), 7);
	}
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

static void a_stop_ends_what_is_parked(void **state)
{
	struct mirror_rig *rig = mr_new(2, 0, 0);
	struct mr_request suspend, stop;
	struct mr_io *gate, *suspended, *flying, *after;

	(void)state;
	mr_request_init(&suspend);
	mr_request_init(&stop);
	mirror_suspend(rig->m, 1, 0, 128, &suspend.req);
	flying = mr_submit(rig, VOLUME_WRITE, M, 4 * K, 1, 0);
	suspended = mr_submit(rig, VOLUME_WRITE, 0, 4 * K, 1, 0);
	mirror_set_gate(rig->m, false, UINT64_MAX);
	gate = mr_submit(rig, VOLUME_WRITE, 2 * M, 4 * K, 1, 0);
	mirror_stop(rig->m, &stop.req);
	after = mr_submit(rig, VOLUME_READ, 0, 4 * K, 0, 0);
	mr_run(rig);
	assert_int_equal(stop.calls, 1);
	assert_int_equal(flying->result, 0);
	assert_int_equal(suspended->result, -ESHUTDOWN);
	assert_int_equal(gate->result, -ESHUTDOWN);
	assert_int_equal(after->result, -ESHUTDOWN);
	mr_io_free(gate);
	mr_io_free(suspended);
	mr_io_free(flying);
	mr_io_free(after);
	mr_free(rig);
}

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

/* 99 fast ones and 3 slow ones of a hundred; and nobody knows of them ten seconds later. */
static void the_p99_of_writes_is_that_of_the_last_seconds(void **state)
{
	struct mirror_rig *rig = mr_new(2, 0, 0);
	int i;

	(void)state;
	disk_world_set_latency(rig->world, 100000, 100000);
	for (i = 0; i < 100; i++)
		mr_write(rig, 0, 4 * K, 1);
	assert_in_range(mr_look(rig).write_p99_ns, 100000, 115000);
	disk_world_set_latency(rig->world, 5000000, 5000000);
	for (i = 0; i < 3; i++)
		mr_write(rig, 0, 4 * K, 1);
	assert_in_range(mr_look(rig).write_p99_ns, 5000000, 5700000);
	disk_world_advance(rig->world, disk_world_now_ns(rig->world) + 10000000000);
	assert_int_equal(mr_look(rig).write_p99_ns, 0);
	mr_free(rig);
}

static void a_place_that_cannot_be_read_is_written_from_another_disk(void **state)
{
	struct mirror_rig *rig = mr_new(2, 0, 0);
	struct sync_run run;

	(void)state;
	mr_poke(rig, 1, 0, M, 5);
	mr_fault(rig, 0, DISK_MEM_FAIL_READS, 64 * K, 4 * K);
	memset(rig->intent->is_needed, 1, 16);
	sync_start(rig, &run, MIRROR_SYNC_COPY, 0, 2048);
	sync_wait(rig, &run);
	assert_int_equal(run.result, 0);
	assert_int_equal(mr_on_disk(rig, 0, 0, M), 5);
	mr_fault(rig, 1, DISK_MEM_FAIL_READS, 64 * K, 4 * K);
	memset(rig->intent->is_needed, 1, 16);
	sync_start(rig, &run, MIRROR_SYNC_COPY, 0, 2048);
	sync_wait(rig, &run);
	assert_int_equal(run.result, -EIO);
	assert_int_equal(run.sync.position, 0);
	assert_int_equal(intent_needed_count(rig->intent), 16);
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_written_is_on_all_disks),
		cmocka_unit_test(a_striped_array_of_odd_disks_gives_back_what_it_got),
		cmocka_unit_test(an_io_of_many_pieces_does_all_of_them),
		cmocka_unit_test(what_is_out_of_bounds_is_refused),
		cmocka_unit_test(A1_nothing_is_written_before_its_intent_is_durable),
		cmocka_unit_test(A1_the_intent_is_of_all_chunks_that_are_touched),
		cmocka_unit_test(a_write_is_durable_for_its_intent_only_with_fua),
		cmocka_unit_test(A2_a_suspension_is_done_when_nothing_in_it_is_in_flight),
		cmocka_unit_test(A2_B43_one_slots_end_leaves_anothers_range),
		cmocka_unit_test(
			A2_who_waits_for_its_turn_in_a_window_parks_and_holds_up_nobody),
		cmocka_unit_test(A2_the_old_range_stays_until_the_new_one_is_drained),
		cmocka_unit_test(A2_reads_in_a_window_come_from_the_source),
		cmocka_unit_test(A3_overlapping_writes_leave_equal_disks),
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
		cmocka_unit_test(A5_D13_nothing_goes_while_the_gate_is_shut),
		cmocka_unit_test(A5_D13_the_gate_shuts_while_a_write_waits_for_its_intent),
		cmocka_unit_test(A5_D13_a_lease_that_is_over_shuts_the_gate),
		cmocka_unit_test(A5_D13_what_a_disk_did_not_begin_goes_when_there_is_a_lease),
		cmocka_unit_test(A5_who_shall_not_park_gets_an_error),
		cmocka_unit_test(A5_a_drain_is_over_when_nothing_changes_a_disk),
		cmocka_unit_test(A5_a_drain_waits_for_the_intent),
		cmocka_unit_test(A5_D13_the_intent_goes_by_the_lease),
		cmocka_unit_test(a_stop_ends_what_waits_for_bits),
		cmocka_unit_test(A6_B37_single_sourced_reads_come_from_the_first_in_sync),
		cmocka_unit_test(A6_needed_chunks_are_read_from_the_source),
		cmocka_unit_test(reads_go_to_all_disks),
		cmocka_unit_test(a_stream_stays_on_its_disk),
		cmocka_unit_test(A7_a_hung_disk_fails_and_holds_nothing_up),
		cmocka_unit_test(A7_a_hung_last_disk_gives_errors_and_keeps_the_region),
		cmocka_unit_test(A7_time_in_which_nobody_listened_is_no_hang),
		cmocka_unit_test(A7_time_at_the_gate_or_in_a_window_is_no_hang),
		cmocka_unit_test(A8_a_flush_makes_durable_what_was_done),
		cmocka_unit_test(A8_a_flush_that_comes_during_one_joins_the_next),
		cmocka_unit_test(A8_with_fua_it_is_durable_when_done),
		cmocka_unit_test(zeroes_are_zeroes_on_every_disk_and_nothing_else_is),
		cmocka_unit_test(a_long_zero_goes_in_slices),
		cmocka_unit_test(a_trim_leaves_equal_disks),
		cmocka_unit_test(a_disk_that_cannot_forget_leaves_no_trim),
		cmocka_unit_test(a_disk_that_goes_is_given_back_when_nothing_is_on_it),
		cmocka_unit_test(a_disk_that_comes_is_in_use_when_older_writes_are_over),
		cmocka_unit_test(a_stop_ends_what_is_parked),
		cmocka_unit_test(a_copy_makes_needed_chunks_equal_and_no_others),
		cmocka_unit_test(a_resync_takes_less_of_the_disks_beside_applications),
		cmocka_unit_test(progress_is_seen_within_a_chunk),
		cmocka_unit_test(a_resync_of_a_striped_array),
		cmocka_unit_test(a_disk_that_joins_during_a_resync_gets_all_of_it),
		cmocka_unit_test(a_disk_that_joins_amid_a_chunk_gets_all_of_it),
		cmocka_unit_test(a_check_tells_and_a_repair_mends),
		cmocka_unit_test(A3_a_resync_waits_for_writes_and_they_for_its_pieces),
		cmocka_unit_test(A5_D13_a_resync_stops_at_the_gate_and_goes_on),
		cmocka_unit_test(a_resync_that_is_cancelled_says_how_far_it_came),
		cmocka_unit_test(
			a_window_keeps_to_its_speed_and_tells_whether_applications_work),
		cmocka_unit_test(a_window_is_whole_chunks_that_are_needed),
		cmocka_unit_test(the_p99_of_writes_is_that_of_the_last_seconds),
		cmocka_unit_test(a_place_that_cannot_be_read_is_written_from_another_disk),
		cmocka_unit_test(a_copy_that_a_disk_in_use_refuses_leaves_the_chunk_needed),
		cmocka_unit_test(what_is_copied_to_a_new_disk_is_durable_when_done),
		cmocka_unit_test(A7_a_resync_goes_on_without_a_hung_disk),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
