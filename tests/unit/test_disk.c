/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Disks: what every implementation must do, run on each of them: memory, a file,
 * a loop device. What is an implementation's own is in test_disk_aio.c and
 * test_disk_mem.c.
 */
#include "tests/unit/disk_rig.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/arith.h"
#include "base/cleanup.h"

static void what_is_written_is_read_back(void **state)
{
	struct disk *disk = disk_rig_or_skip(state)->disks[0];
	CLEANUP_FREE uint8_t *out = disk_buffer_new(3 * PAGE);
	CLEANUP_FREE uint8_t *in = disk_buffer_new(3 * PAGE);
	uint64_t offsets[] = { 0, 512, 8192 - 512, DISK_BYTES - 3 * PAGE };
	struct err err = ERR_INIT;
	size_t i, k;

	for (i = 0; i < ARRAY_SIZE(offsets); i++) {
		uint64_t at = round_down(offsets[i],
					 disk->topology.logical_block_bytes);

		for (k = 0; k < 3 * PAGE; k++)
			out[k] = (uint8_t)(k * 7 + k / 512 + i);
		assert_ok(disk_write_wait(disk, at, out, 3 * PAGE, i % 2, &err),
			  err);
		memset(in, 0, 3 * PAGE);
		assert_ok(disk_read_wait(disk, at, in, 3 * PAGE, &err), err);
		assert_memory_equal(in, out, 3 * PAGE);
	}
	assert_ok(disk_flush_wait(disk, &err), err);
}

static void size_and_blocks_are_sane(void **state)
{
	struct disk *disk = disk_rig_or_skip(state)->disks[0];
	uint32_t block = disk->topology.logical_block_bytes;

	assert_true(block == 512 || block == 4096);
	assert_true(disk->topology.physical_block_bytes >= block);
	/* the files are 100 bytes longer */
	assert_int_equal(disk->size_bytes, DISK_BYTES);
	assert_int_equal(disk_sectors(disk), DISK_BYTES / 512);
	assert_true(disk->topology.is_direct);
	assert_int_equal(disk->topology.is_block_device, disk_kind == KIND_LOOP);
}

static void expect_refused(struct disk *disk, struct disk_req req, int code,
			   const char *words)
{
	struct counter counter = { 0, 0 };
	struct err err = ERR_INIT;

	req.done = count_done;
	req.owner = &counter;
	assert_int_equal(disk_submit(disk, &req, &err), code);
	assert_int_equal(disk->in_flight, 0);
	assert_int_equal(disk_pump(disk, 0), 0);
	assert_int_equal(counter.calls, 0);
	if (!strstr(err.text, words) || !strstr(err.text, disk->name))
		fail_msg("'%s' does not say '%s'", err.text, words);
}

static void misaligned_requests_are_refused(void **state)
{
	struct disk *disk = disk_rig_or_skip(state)->disks[0];
	CLEANUP_FREE uint8_t *buffer = disk_buffer_new(2 * PAGE);
	struct disk_req good = { .op = DISK_WRITE,
				 .offset_bytes = 8192,
				 .length_bytes = PAGE,
				 .buffer = buffer };
	struct disk_req req = good;

	req.offset_bytes = 8200;
	expect_refused(disk, req, -EINVAL, "write of 4096 bytes at byte 8200");
	req = good;
	req.length_bytes = 100;
	expect_refused(disk, req, -EINVAL, "not aligned");
	req = good;
	req.buffer = buffer + 8;
	expect_refused(disk, req, -EINVAL, "buffer is not aligned");
	req.buffer = NULL;
	expect_refused(disk, req, -EINVAL, "no buffer");
	req = good;
	req.op = DISK_ZERO;
	req.offset_bytes = 1;
	expect_refused(disk, req, -EINVAL, "zero of 4096 bytes at byte 1");
}

static void meaningless_requests_are_refused(void **state)
{
	struct disk *disk = disk_rig_or_skip(state)->disks[0];
	CLEANUP_FREE uint8_t *buffer = disk_buffer_new(PAGE);
	struct disk_req req = { .op = DISK_READ, .buffer = buffer };

	expect_refused(disk, req, -EINVAL, "empty");
	req.length_bytes = PAGE;
	req.is_fua = true;
	expect_refused(disk, req, -EINVAL, "FUA");
	req.op = DISK_ZERO;
	expect_refused(disk, req, -EINVAL, "FUA");
	req.op = DISK_FLUSH;
	req.is_fua = false;
	expect_refused(disk, req, -EINVAL, "flush");
	req.op = (enum disk_op)17;
	expect_refused(disk, req, -EINVAL, "17");
}

static bool may_change(void *owner)
{
	return *(bool *)owner;
}

static void a_guard_is_asked_before_each_change(void **state)
{
	struct disk *disk = disk_rig_or_skip(state)->disks[0];
	CLEANUP_FREE uint8_t *buffer = disk_buffer_new(PAGE);
	struct disk_req req = { .op = DISK_WRITE, .buffer = buffer, .length_bytes = PAGE };
	struct err err = ERR_INIT;
	bool is_allowed = false;

	disk_guard(disk, may_change, &is_allowed);
	expect_refused(disk, req, -ESHUTDOWN, "may change nothing");
	req.op = DISK_ZERO;
	expect_refused(disk, req, -ESHUTDOWN, "may change nothing");
	assert_int_equal(disk_write_wait(disk, 0, buffer, PAGE, true, &err), -ESHUTDOWN);
	assert_ok(disk_read_wait(disk, 0, buffer, PAGE, &err), err);
	assert_ok(disk_flush_wait(disk, &err), err);
	is_allowed = true;
	assert_ok(disk_write_wait(disk, 0, buffer, PAGE, true, &err), err);
}

static void requests_beyond_the_end_are_refused(void **state)
{
	static const struct {
		uint64_t offset;
		size_t length;
	} cases[] = {
		{ DISK_BYTES, PAGE },
		{ DISK_BYTES - PAGE, 2 * PAGE },
		{ DISK_BYTES + 8 * PAGE, PAGE },
		{ UINT64_MAX - PAGE + 1, PAGE },
		{ UINT64_MAX - PAGE + 1, 2 * PAGE },
		{ PAGE, SIZE_MAX - PAGE + 1 },
		{ 0, SIZE_MAX - PAGE + 1 },
		{ (uint64_t)1 << 63, (size_t)1 << 63 },
	};
	static const enum disk_op ops[] = { DISK_READ, DISK_WRITE, DISK_ZERO,
					    DISK_DISCARD };
	struct disk *disk = disk_rig_or_skip(state)->disks[0];
	CLEANUP_FREE uint8_t *buffer = disk_buffer_new(PAGE);
	size_t i, k;

	for (i = 0; i < ARRAY_SIZE(cases); i++)
		for (k = 0; k < ARRAY_SIZE(ops); k++)
			expect_refused(disk,
				       (struct disk_req){
					       .op = ops[k],
					       .offset_bytes = cases[i].offset,
					       .length_bytes = cases[i].length,
					       .buffer = buffer },
				       -EINVAL, "beyond the end");
}

static void a_batch_runs_on_three_disks(void **state)
{
	struct disk_rig *rig = disk_rig_or_skip(state);
	struct disk_batch batch = DISK_BATCH_INIT;
	struct disk *failed = rig->disks[1];
	struct err err = ERR_INIT;
	uint8_t *pages[DISKS];
	size_t i, k;

	for (i = 0; i < DISKS; i++) {
		pages[i] = page_of((int)(0x10 + i));
		for (k = 0; k < 5; k++)
			disk_batch_write(&batch, rig->disks[i], k * PAGE,
					 pages[i], PAGE, k == 0);
		disk_batch_flush(&batch, rig->disks[i]);
	}
	assert_ok(disk_batch_wait(&batch, &failed, &err), err);
	assert_null(failed);
	assert_int_equal(batch.count, 0);
	for (i = 0; i < DISKS; i++) {
		assert_int_equal(rig->disks[i]->in_flight, 0);
		for (k = 0; k < 5; k++)
			expect_page(rig->disks[i], k * PAGE, (int)(0x10 + i));
		disk_batch_read(&batch, rig->disks[i], 0, pages[DISKS - 1 - i],
				PAGE);
	}
	assert_ok(disk_batch_wait(&batch, NULL, &err), err);
	for (i = 0; i < DISKS; i++) {
		assert_int_equal(pages[i][7], 0x10 + DISKS - 1 - i);
		free(pages[i]);
	}
}

static void an_empty_batch_is_done(void **state)
{
	struct disk_batch batch = DISK_BATCH_INIT;
	struct err err = ERR_INIT;

	(void)disk_rig_or_skip(state);
	assert_int_equal(disk_batch_wait(&batch, NULL, &err), 0);
}

static void a_refused_request_leaves_the_rest_done(void **state)
{
	struct disk_rig *rig = disk_rig_or_skip(state);
	struct disk_batch batch = DISK_BATCH_INIT;
	CLEANUP_FREE uint8_t *page = page_of(0x42);
	struct disk *failed = NULL;
	struct err err = ERR_INIT;
	size_t i;

	for (i = 0; i < DISKS; i++)
		disk_batch_write(&batch, rig->disks[i],
				 i == 1 ? DISK_BYTES : PAGE, page, PAGE, false);
	assert_int_equal(disk_batch_wait(&batch, &failed, &err), -EINVAL);
	assert_ptr_equal(failed, rig->disks[1]);
	assert_non_null(strstr(err.text, failed->name));
	assert_non_null(strstr(err.text, "beyond the end"));
	for (i = 0; i < DISKS; i++) {
		assert_int_equal(rig->disks[i]->in_flight, 0);
		expect_page(rig->disks[i], PAGE, i == 1 ? 0 : 0x42);
	}
	/* and the batch can be used again */
	disk_batch_write(&batch, rig->disks[1], PAGE, page, PAGE, false);
	assert_ok(disk_batch_wait(&batch, &failed, &err), err);
	expect_page(rig->disks[1], PAGE, 0x42);
}

static void zeroing_touches_its_range_only(void **state)
{
	struct disk *disk = disk_rig_or_skip(state)->disks[0];
	struct err err = ERR_INIT;
	uint64_t page;

	for (page = 0; page < 8; page++)
		write_page(disk, page * PAGE, 0x55);
	assert_ok(disk_zero_wait(disk, 2 * PAGE, 3 * PAGE, &err), err);
	for (page = 0; page < 8; page++)
		expect_page(disk, page * PAGE,
			    page >= 2 && page < 5 ? 0 : 0x55);
	assert_ok(disk_zero_wait(disk, 0, DISK_BYTES, &err), err);
	expect_page(disk, 7 * PAGE, 0);
	assert_ok(disk_flush_wait(disk, &err), err);
	assert_int_equal(disk->in_flight, 0);
}

static void discarding_leaves_zeroes_in_its_range_only(void **state)
{
	struct disk *disk = disk_rig_or_skip(state)->disks[0];
	struct counter counter = { 0, 0 };
	struct disk_req req = { .op = DISK_DISCARD,
				.offset_bytes = 4 * PAGE,
				.length_bytes = 4 * PAGE,
				.done = count_done,
				.owner = &counter };
	uint64_t page;

	for (page = 0; page < 12; page++)
		write_page(disk, page * PAGE, 0x66);
	submit(disk, &req);
	assert_int_equal(disk->in_flight, 1);
	assert_int_equal(disk_pump(disk, -1), 1);
	assert_int_equal(counter.calls, 1);
	assert_int_equal(counter.result, 0);
	for (page = 0; page < 12; page++)
		expect_page(disk, page * PAGE,
			    page >= 4 && page < 8 ? 0 : 0x66);
}

static void more_requests_than_the_queue_holds_all_complete_once(void **state)
{
	run_many(disk_rig_or_skip(state)->disks[0]);
}

static void pumping_an_idle_disk_does_not_wait(void **state)
{
	struct disk *disk = disk_rig_or_skip(state)->disks[0];

	assert_int_equal(disk_pump(disk, -1), 0);
	assert_int_equal(disk_pump(disk, 1000), 0);
	assert_int_equal(disk_pump(disk, 0), 0);
}

static void closing_waits_for_what_is_in_flight(void **state)
{
	struct disk_rig *rig = disk_rig_or_skip(state);
	CLEANUP_FREE uint8_t *page = page_of(1);
	struct counter counter = { 0, 0 };
	struct disk_req reqs[10];
	size_t i;

	for (i = 0; i < 10; i++) {
		reqs[i] = (struct disk_req){ .op = i % 2 ? DISK_ZERO :
							   DISK_WRITE,
					     .offset_bytes = i * PAGE,
					     .length_bytes = PAGE,
					     .buffer = page,
					     .done = count_done,
					     .owner = &counter };
		submit(rig->disks[0], &reqs[i]);
	}
	disk_close_ptr(&rig->disks[0]);
	rig->disks[0] = NULL;
	assert_int_equal(counter.calls, 10);
	disk_close(NULL);
}

/* done() submits the next and waits for another of its own. */
struct chain {
	struct disk *disk;
	uint8_t *page;
	int left;
};

static void chain_done(struct disk_req *req, int result)
{
	struct chain *chain = req->owner;

	assert_int_equal(result, 0);
	chain->left--;
	write_page(chain->disk, 16 * PAGE, chain->left);
	if (chain->left > 0)
		submit(chain->disk, req);
}

static void done_may_submit_and_wait(void **state)
{
	struct disk *disk = disk_rig_or_skip(state)->disks[0];
	CLEANUP_FREE uint8_t *page = page_of(3);
	struct chain chain = { disk, page, 20 };
	struct disk_req reqs[4];
	size_t i;

	for (i = 0; i < 4; i++) {
		reqs[i] = (struct disk_req){ .op = DISK_WRITE,
					     .offset_bytes = i * PAGE,
					     .length_bytes = PAGE,
					     .buffer = page,
					     .done = chain_done,
					     .owner = &chain };
		submit(disk, &reqs[i]);
	}
	while (disk->in_flight > 0)
		assert_true(disk_pump(disk, -1) >= 0);
	assert_true(chain.left <= 0);
}

#define TEST(f) \
	cmocka_unit_test_setup_teardown(f, disk_rig_setup, disk_rig_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(what_is_written_is_read_back),
		TEST(size_and_blocks_are_sane),
		TEST(misaligned_requests_are_refused),
		TEST(meaningless_requests_are_refused),
		TEST(a_guard_is_asked_before_each_change),
		TEST(requests_beyond_the_end_are_refused),
		TEST(a_batch_runs_on_three_disks),
		TEST(an_empty_batch_is_done),
		TEST(a_refused_request_leaves_the_rest_done),
		TEST(zeroing_touches_its_range_only),
		TEST(discarding_leaves_zeroes_in_its_range_only),
		TEST(more_requests_than_the_queue_holds_all_complete_once),
		TEST(pumping_an_idle_disk_does_not_wait),
		TEST(closing_waits_for_what_is_in_flight),
		TEST(done_may_submit_and_wait),
	};
	int failed;

	alarm(HANG_SECONDS);
	disk_kind = KIND_MEM;
	failed = cmocka_run_group_tests_name("memory", tests, NULL, NULL);
	disk_kind = KIND_FILE;
	failed += cmocka_run_group_tests_name("file", tests, NULL, NULL);
	disk_kind = KIND_LOOP;
	failed += cmocka_run_group_tests_name("loop device", tests, NULL, NULL);
	return failed;
}
