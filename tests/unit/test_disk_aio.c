/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Disks: what is libaio's own, on files and on loop devices. What they share with
 * other disks is in test_disk.c.
 *
 * io_submit and io_getevents are ours here: they pass on to the kernel, and lie
 * when a test asks for it.
 */
#include "tests/unit/disk_rig.h"

#include <errno.h>
#include <pthread.h>
#include <fcntl.h>
#include <libaio.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include <linux/magic.h>
#include <linux/mount.h> /* fsopen() and its kin */

#include "base/arith.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/loop.h"

/* The kernel's side, with lies */

static struct {
	int submit_error;    /* what io_submit answers ... */
	int submit_failures; /* ... so many times */
	long submit_most;    /* it takes no more at once; 0: all */
	int event_failures;  /* so many completions ... */
	long event_result;   /* ... have this instead */
	bool is_getevents_broken;
	bool is_getevents_blind;
	long file_system; /* what a file lies on; 0: the truth */
} lies;

static struct iocb last_iocb; /* that io_submit was given */
static int submit_calls, submitted;

int io_submit(io_context_t ctx, long nr, struct iocb **iocbs)
{
	long r;

	last_iocb = *iocbs[0];
	if (lies.submit_failures > 0) {
		lies.submit_failures--;
		return lies.submit_error;
	}
	if (lies.submit_most > 0 && nr > lies.submit_most)
		nr = lies.submit_most;
	r = syscall(SYS_io_submit, ctx, nr, iocbs);
	submit_calls++;
	submitted += r > 0 ? (int)r : 0;
	return r < 0 ? -errno : (int)r;
}

int io_getevents(io_context_t ctx, long min_nr, long nr,
		 struct io_event *events, struct timespec *timeout)
{
	long i, r;

	if (lies.is_getevents_broken)
		return -EINVAL;
	if (lies.is_getevents_blind)
		return 0;
	r = syscall(SYS_io_getevents, ctx, min_nr, nr, events, timeout);
	for (i = 0; i < r && lies.event_failures > 0; i++) {
		lies.event_failures--;
		events[i].res = (unsigned long)lies.event_result;
	}
	return r < 0 ? -errno : (int)r;
}

int fstatfs(int fd, struct statfs *fs)
{
	long r = syscall(SYS_fstatfs, fd, fs);

	if (r == 0 && lies.file_system != 0)
		fs->f_type = lies.file_system;
	return (int)r;
}

/* Fixture: nobody lies at the beginning, nor when the disks are closed */

static timer_t storm; /* of signals */
static bool has_storm;

static int setup(void **state)
{
	memset(&lies, 0, sizeof(lies));
	return disk_rig_setup(state);
}

static int teardown(void **state)
{
	if (has_storm)
		timer_delete(storm);
	has_storm = false;
	memset(&lies, 0, sizeof(lies));
	return disk_rig_teardown(state);
}

/* Completions */

struct loop_watch {
	struct loop *loop;
	struct disk *disk;
	int left;
};

static void disk_readable(void *owner, int fd, uint32_t poll_events)
{
	struct loop_watch *watch = owner;
	int r;

	assert_int_equal(fd, disk_poll_fd(watch->disk));
	assert_true(poll_events & POLLIN);
	r = disk_pump(watch->disk, 0);
	assert_true(r >= 0);
	watch->left -= r;
	if (watch->left == 0)
		loop_stop(watch->loop);
}

static void gave_up(void *owner)
{
	struct loop_watch *watch = owner;

	loop_stop(watch->loop);
}

/* Also with more than the queue holds, with EAGAIN, and with the helper. */
static void an_event_loop_sees_every_completion(void **state)
{
	static struct disk_req reqs[MANY];
	struct disk *disk = disk_rig_or_skip(state)->disks[0];
	CLEANUP_FREE uint8_t *page = page_of(9);
	struct err err = ERR_INIT;
	struct loop_watch watch = { loop_new(&err), disk, MANY };
	struct counter counter = { 0, 0 };
	struct loop_timer *timer;
	int i;

	assert_ok(loop_fd_add(watch.loop, disk_poll_fd(disk), POLLIN,
			      disk_readable, &watch, &err), err);
	timer = loop_timer_start(watch.loop, 20000, gave_up, &watch, &err);
	lies.submit_error = -EAGAIN;
	lies.submit_failures = 3; /* at the first, with nothing under way */
	for (i = 0; i < MANY; i++) {
		reqs[i] = (struct disk_req){
			.op = i % 10 == 9 ? DISK_ZERO : DISK_WRITE,
			.offset_bytes = (uint64_t)(i % 200) * PAGE,
			.length_bytes = PAGE,
			.buffer = page,
			.done = count_done,
			.owner = &counter,
		};
		submit(disk, &reqs[i]);
	}
	loop_run(watch.loop);
	assert_int_equal(watch.left, 0);
	assert_int_equal(counter.calls, MANY);
	assert_int_equal(counter.result, 0);
	loop_timer_cancel(timer);
	loop_fd_remove(watch.loop, disk_poll_fd(disk));
	loop_free(watch.loop);
}

static void an_idle_disk_is_not_readable(void **state)
{
	struct disk *disk = disk_rig_or_skip(state)->disks[0];
	struct pollfd pfd = { .fd = disk_poll_fd(disk), .events = POLLIN };
	struct err err = ERR_INIT;
	int i;

	write_page(disk, 0, 1);
	assert_ok(disk_zero_wait(disk, 0, PAGE, &err), err);
	/* the kernel may signal just after the event was collected */
	for (i = 0; i < 100 && poll(&pfd, 1, 10) == 1; i++)
		assert_int_equal(disk_pump(disk, 0), 0);
	assert_int_equal(poll(&pfd, 1, 0), 0);
}

static void eagain_is_tried_again_without_a_loop(void **state)
{
	struct disk *disk = disk_rig_or_skip(state)->disks[0];

	lies.submit_error = -EAGAIN;
	lies.submit_failures = 5;
	write_page(disk, PAGE, 0x21);
	assert_int_equal(lies.submit_failures, 0);
	expect_page(disk, PAGE, 0x21);
}

/* What is written is durable only if the kernel is told so. */
static void fua_and_flush_reach_the_kernel(void **state)
{
	struct disk *disk = disk_rig_or_skip(state)->disks[0];
	CLEANUP_FREE uint8_t *page = page_of(1);
	struct err err = ERR_INIT;

	write_page(disk, 0, 1);
	assert_int_equal(last_iocb.aio_lio_opcode, IO_CMD_PWRITE);
	assert_int_equal(last_iocb.aio_rw_flags, 0);
	assert_ok(disk_write_wait(disk, 0, page, PAGE, true, &err), err);
	assert_int_equal(last_iocb.aio_lio_opcode, IO_CMD_PWRITE);
	assert_int_equal(last_iocb.aio_rw_flags, RWF_DSYNC);
	assert_ok(disk_flush_wait(disk, &err), err);
	assert_int_equal(last_iocb.aio_lio_opcode, IO_CMD_FDSYNC);
}

/* FUSE takes RWF_DSYNC and forgets it: what was acknowledged would be in a cache (D1). */
static void what_is_durable_on_fuse_was_synced(void **state)
{
	CLEANUP_FREE uint8_t *page = page_of(1);
	char path[] = "/tmp/test_disk_aio.XXXXXX";
	CLEANUP_FD int fd = mkstemp(path);
	struct err err = ERR_INIT;
	struct disk *disk;

	(void)state;
	assert_int_equal(ftruncate(fd, DISK_BYTES), 0);
	lies.file_system = FUSE_SUPER_MAGIC;
	disk = disk_aio_open(path, DISK_RDWR, &err);
	(void)unlink(path);
	assert_ok(disk ? 0 : -1, err);
	assert_ok(disk_write_wait(disk, 0, page, PAGE, false, &err), err);
	assert_int_equal(last_iocb.aio_lio_opcode, IO_CMD_PWRITE);
	assert_ok(disk_write_wait(disk, 0, page, PAGE, true, &err), err);
	assert_int_equal(last_iocb.aio_lio_opcode, IO_CMD_FDSYNC);
	expect_page(disk, 0, 1);

	/* a write that failed is not synced into a success */
	lies.event_failures = 1;
	lies.event_result = -EIO;
	assert_int_equal(disk_write_wait(disk, 0, page, PAGE, true, &err), -EIO);
	assert_int_equal(last_iocb.aio_lio_opcode, IO_CMD_PWRITE);
	assert_int_equal(disk->in_flight, 0);
	disk_close(disk);
}

static void what_io_submit_says_comes_through_done(void **state)
{
	struct disk *disk = disk_rig_or_skip(state)->disks[0];
	CLEANUP_FREE uint8_t *page = page_of(1);
	struct err err = ERR_INIT;

	lies.submit_error = -EOVERFLOW;
	lies.submit_failures = 1;
	assert_int_equal(disk_write_wait(disk, 0, page, PAGE, false, &err),
			 -EOVERFLOW);
	expect_page(disk, 0, 0);
	assert_int_equal(disk->in_flight, 0);
}

/* Many at a time: what a busy disk is given between two turns of a loop */

enum { BUSY = 4, ENOUGH = 8, FEW = 3 }; /* as in disk_aio.c */

struct gathered {
	struct disk *disk;
	struct disk_req reqs[BUSY + ENOUGH];
	struct counter counters[BUSY + ENOUGH];
	uint8_t *pages[BUSY + ENOUGH];
	int count;
};

static void add_write(struct gathered *g, int byte)
{
	struct disk_req *req = &g->reqs[g->count];

	g->pages[g->count] = page_of(byte);
	*req = (struct disk_req){ .op = DISK_WRITE,
				  .offset_bytes = (uint64_t)g->count * PAGE,
				  .length_bytes = PAGE,
				  .buffer = g->pages[g->count],
				  .done = count_done,
				  .owner = &g->counters[g->count] };
	g->count++;
	submit(g->disk, req);
}

/* A disk that has enough to do; nobody has looked what of it is over. */
static void gather_on_busy(struct gathered *g, struct disk *disk)
{
	memset(g, 0, sizeof(*g));
	g->disk = disk;
	submit_calls = submitted = 0;
	disk_gather(disk);
	while (g->count < BUSY)
		add_write(g, g->count + 1);
	assert_int_equal(submitted, BUSY);
	assert_int_equal(submit_calls, BUSY);
}

/* Each once; what did not fail is there. Returns how many failed. */
static int all_done(struct gathered *g)
{
	int i, failed = 0;

	while (g->disk->in_flight > 0)
		assert_true(disk_pump(g->disk, -1) >= 0);
	for (i = 0; i < g->count; i++) {
		assert_int_equal(g->counters[i].calls, 1);
		failed += g->counters[i].result < 0;
		expect_page(g->disk, (uint64_t)i * PAGE,
			    g->counters[i].result < 0 ? 0 : i + 1);
		free(g->pages[i]);
	}
	return failed;
}

static void a_busy_disk_is_given_many_at_a_time(void **state)
{
	struct gathered g;

	gather_on_busy(&g, disk_rig_or_skip(state)->disks[0]);
	while (g.count < BUSY + FEW)
		add_write(&g, g.count + 1);
	assert_int_equal(submitted, BUSY);
	disk_start(g.disk);
	assert_int_equal(submitted, BUSY + FEW);
	assert_int_equal(submit_calls, BUSY + 1);
	disk_start(g.disk); /* nothing is left */
	assert_int_equal(submit_calls, BUSY + 1);
	assert_int_equal(all_done(&g), 0);
}

static void enough_goes_without_being_told(void **state)
{
	struct gathered g;

	gather_on_busy(&g, disk_rig_or_skip(state)->disks[0]);
	while (g.count < BUSY + ENOUGH)
		add_write(&g, g.count + 1);
	assert_int_equal(submitted, BUSY + ENOUGH);
	assert_int_equal(submit_calls, BUSY + 1);
	assert_int_equal(all_done(&g), 0);
}

static void a_pump_starts_what_is_gathered(void **state)
{
	struct gathered g;

	gather_on_busy(&g, disk_rig_or_skip(state)->disks[0]);
	while (g.count < BUSY + FEW)
		add_write(&g, g.count + 1);
	assert_int_equal(all_done(&g), 0);
}

static bool may_change(void *owner)
{
	return *(bool *)owner;
}

/* This process stood still between the two: what has waited is not begun, but for reads. */
static void what_was_gathered_is_not_begun_without_leave(void **state)
{
	bool is_allowed = true;
	struct gathered g;

	gather_on_busy(&g, disk_rig_or_skip(state)->disks[0]);
	disk_guard(g.disk, may_change, &is_allowed);
	while (g.count < BUSY + FEW)
		add_write(&g, g.count + 1);
	is_allowed = false;
	disk_start(g.disk);
	assert_int_equal(submitted, BUSY);
	assert_int_equal(all_done(&g), FEW);
	for (int i = BUSY; i < BUSY + FEW; i++)
		assert_int_equal(g.counters[i].result, -ESHUTDOWN);
}

static int asked, allowed;
static pthread_t asker; /* the last */

static bool may_so_often(void *owner)
{
	(void)owner;
	asker = pthread_self(); /* one after the other */
	return asked++ < allowed;
}

/* Zeroes wait in a thread, where they are asked for once more when their turn comes. */
static void zeroes_are_not_begun_without_leave(void **state)
{
	struct disk *disk = disk_rig_or_skip(state)->disks[0];
	CLEANUP_FREE uint8_t *page = page_of(7);
	struct err err = ERR_INIT;
	struct counter counter;
	int r;

	for (allowed = 0;; allowed++) {
		struct disk_req req = { .op = DISK_ZERO, .length_bytes = PAGE,
					.done = count_done, .owner = &counter };

		disk_guard(disk, NULL, NULL);
		assert_ok(disk_write_wait(disk, 0, page, PAGE, false, &err), err);
		disk_guard(disk, may_so_often, NULL);
		asked = 0;
		counter = (struct counter){ 0, 0 };
		r = disk_submit(disk, &req, &err);
		while (disk->in_flight > 0)
			assert_true(disk_pump(disk, -1) >= 0);
		r = r < 0 ? r : counter.result;
		expect_page(disk, 0, r < 0 ? 7 : 0);
		if (r == 0)
			break;
		assert_int_equal(r, -ESHUTDOWN);
	}
	assert_false(pthread_equal(asker, pthread_self())); /* by who was to do it */
}

/* The kernel may take some, and refuse one: the others are no worse for it. */
static void what_the_kernel_does_not_take_goes_next(void **state)
{
	struct gathered g;

	gather_on_busy(&g, disk_rig_or_skip(state)->disks[0]);
	while (g.count < BUSY + ENOUGH - 1)
		add_write(&g, g.count + 1);
	lies.submit_most = 2;
	lies.submit_error = -EOVERFLOW;
	lies.submit_failures = 1;
	disk_start(g.disk);
	assert_int_equal(submitted, BUSY + ENOUGH - 2);
	assert_int_equal(all_done(&g), 1);
	assert_int_equal(g.counters[BUSY].result, -EOVERFLOW);
}

static void what_meets_eagain_keeps_its_turn(void **state)
{
	struct gathered g;

	gather_on_busy(&g, disk_rig_or_skip(state)->disks[0]);
	while (g.count < BUSY + FEW)
		add_write(&g, g.count + 1);
	lies.submit_error = -EAGAIN;
	lies.submit_failures = 1;
	disk_start(g.disk);
	assert_int_equal(submitted, BUSY);
	assert_int_equal(all_done(&g), 0);
	assert_int_equal(submitted, 2 * (BUSY + FEW)); /* expect_page() reads */
}

static void short_transfers_and_errors_are_named(void **state)
{
	struct disk_rig *rig = disk_rig_or_skip(state);
	struct disk *disk = rig->disks[0];
	CLEANUP_FREE uint8_t *page = page_of(1);
	struct err err = ERR_INIT;
	char want[256];

	lies.event_failures = 1;
	lies.event_result = 512;
	assert_int_equal(disk_write_wait(disk, 8192, page, PAGE, true, &err),
			 -EIO);
	(void)snprintf(want, sizeof(want),
		       "%s: write of 4096 bytes at byte 8192: Input/output error",
		       disk->name);
	assert_string_equal(err.text, want);
	lies.event_failures = 1;
	lies.event_result = -ENOSPC;
	assert_int_equal(disk_read_wait(disk, 0, page, PAGE, &err), -ENOSPC);
	(void)snprintf(want, sizeof(want),
		       "%s: read of 4096 bytes at byte 0: No space left on device",
		       disk->name);
	assert_string_equal(err.text, want);
	lies.event_failures = 1;
	lies.event_result = -EIO;
	assert_int_equal(disk_flush_wait(disk, &err), -EIO);
	(void)snprintf(want, sizeof(want), "%s: flush: Input/output error",
		       disk->name);
	assert_string_equal(err.text, want);
}

static void an_error_does_not_leave_requests_behind(void **state)
{
	struct disk_rig *rig = disk_rig_or_skip(state);
	struct disk_batch batch = DISK_BATCH_INIT;
	CLEANUP_FREE uint8_t *page = page_of(0x31);
	struct disk *failed = NULL;
	struct err err = ERR_INIT;
	size_t i, k;

	/* the first to come back, wherever it is, has failed */
	for (k = 0; k < 20; k++)
		for (i = 0; i < DISKS; i++)
			disk_batch_write(&batch, rig->disks[i], k * PAGE, page,
					 PAGE, false);
	lies.event_failures = 1;
	lies.event_result = -EIO;
	assert_int_equal(disk_batch_wait(&batch, &failed, &err), -EIO);
	assert_ptr_equal(failed, rig->disks[0]);
	for (i = 0; i < DISKS; i++) {
		assert_int_equal(rig->disks[i]->in_flight, 0);
		for (k = 0; k < 20; k++)
			expect_page(rig->disks[i], k * PAGE, 0x31);
	}
}

static void broken_completions_are_an_error_not_a_hang(void **state)
{
	struct disk_rig *rig = disk_rig_or_skip(state);
	/* both must outlive the request, which nobody gives back in time */
	CLEANUP_FREE uint8_t *page = page_of(1);
	struct counter counter = { 0, 0 };
	struct disk_req req = { .op = DISK_WRITE,
				.length_bytes = PAGE,
				.buffer = page,
				.done = count_done,
				.owner = &counter };

	submit(rig->disks[0], &req);
	lies.is_getevents_broken = true;
	assert_int_equal(disk_pump(rig->disks[0], -1), -EINVAL);
	disk_close(rig->disks[0]);
	rig->disks[0] = NULL;
	assert_int_equal(counter.calls, 0);
}

static void pump_waits_as_long_as_it_was_told(void **state)
{
	struct disk *disk = disk_rig_or_skip(state)->disks[0];
	CLEANUP_FREE uint8_t *page = page_of(1);
	struct counter counter = { 0, 0 };
	struct disk_req req = { .op = DISK_WRITE,
				.length_bytes = PAGE,
				.buffer = page,
				.done = count_done,
				.owner = &counter };
	uint64_t began = clock_boot_ns(), took;

	submit(disk, &req);
	lies.is_getevents_blind = true;
	assert_int_equal(disk_pump(disk, 0), 0);
	assert_int_equal(disk_pump(disk, 50), 0);
	took = clock_boot_ns() - began;
	assert_true(took >= 50 * NS_PER_MS && took < 5 * NS_PER_S);
	lies.is_getevents_blind = false;
	assert_int_equal(disk_pump(disk, -1), 1);
	assert_int_equal(counter.calls, 1);
}

static void ignore_signal(int signal_number)
{
	(void)signal_number;
}

/*
 * poll(2) is interrupted whatever SA_RESTART says. Not by SIGALRM: that one ends
 * a test that hangs. teardown() ends the storm.
 */
static void signals_do_not_disturb(void **state)
{
	struct itimerspec often = { { 0, 200000 }, { 0, 200000 } };
	struct sigaction action = { .sa_handler = ignore_signal,
				    .sa_flags = SA_RESTART };
	struct sigevent event = { .sigev_notify = SIGEV_SIGNAL,
				  .sigev_signo = SIGUSR1 };

	sigaction(SIGUSR1, &action, NULL);
	assert_int_equal(timer_create(CLOCK_MONOTONIC, &event, &storm), 0);
	has_storm = true;
	assert_int_equal(timer_settime(storm, 0, &often, NULL), 0);
	run_many(disk_rig_or_skip(state)->disks[0]);
	pump_waits_as_long_as_it_was_told(state);
}

/* Opening */

static void a_second_writer_is_refused(void **state)
{
	struct disk_rig *rig = disk_rig_or_skip(state);
	const char *name = rig->disks[0]->name;
	struct err err = ERR_INIT;

	assert_null(disk_aio_open(name, DISK_RDWR, &err));
	assert_int_equal(err.code, -EBUSY);
	assert_non_null(strstr(err.text, "in use ("));
	assert_non_null(strstr(err.text, "stop that first"));
	assert_memory_equal(err.text, name, strlen(name));
}

/* The rig's own disk gives way; its name stays. */
static char *name_of_a_free_disk(struct disk_rig *rig)
{
	char *name = strdup(rig->disks[0]->name);

	assert_non_null(name);
	disk_close(rig->disks[0]);
	rig->disks[0] = NULL;
	return name;
}

static void daemons_share_a_disk_that_nobody_else_gets(void **state)
{
	struct disk_rig *rig = disk_rig_or_skip(state);
	CLEANUP_FREE char *name = name_of_a_free_disk(rig);
	struct disk *ours[3] = { NULL };
	struct err err = ERR_INIT;

	for (size_t i = 0; i < ARRAY_SIZE(ours); i++) {
		ours[i] = disk_aio_open(name, DISK_SHARED, &err);
		assert_ok(ours[i] ? 0 : -1, err);
	}
	assert_null(disk_aio_open(name, DISK_RDWR, &err));
	assert_int_equal(err.code, -EBUSY);
	write_page(ours[2], PAGE, 0x5a);
	expect_page(ours[0], PAGE, 0x5a);
	for (size_t i = ARRAY_SIZE(ours); i > 0; i--) {
		assert_null(disk_aio_open(name, DISK_RDWR, &err));
		disk_close(ours[i - 1]); /* the first one has the claim of a device */
	}
	ours[0] = disk_aio_open(name, DISK_RDWR, &err);
	assert_non_null(ours[0]);
	disk_close(ours[0]);
}

static void what_somebody_has_for_himself_is_not_shared(void **state)
{
	struct disk_rig *rig = disk_rig_or_skip(state);
	struct err err = ERR_INIT;

	assert_null(disk_aio_open(rig->disks[0]->name, DISK_SHARED, &err));
	assert_int_equal(err.code, -EBUSY);
	assert_non_null(strstr(err.text, "stop that first"));
}

static void a_reader_may_look_but_not_change(void **state)
{
	struct disk_rig *rig = disk_rig_or_skip(state);
	CLEANUP_FREE uint8_t *page = page_of(1);
	struct err err = ERR_INIT;
	struct disk *reader;

	write_page(rig->disks[0], PAGE, 0x13);
	reader = disk_aio_open(rig->disks[0]->name, DISK_RDONLY, &err);
	assert_ok(reader ? 0 : -1, err);
	expect_page(reader, PAGE, 0x13);
	assert_int_equal(disk_write_wait(reader, 0, page, PAGE, false, &err),
			 -EROFS);
	assert_non_null(strstr(err.text, "read-only"));
	assert_int_equal(disk_zero_wait(reader, 0, PAGE, &err), -EROFS);
	disk_close(reader);
}

static void what_is_no_disk_is_refused(void **state)
{
	static const struct {
		const char *path;
		int code;
		const char *words;
	} cases[] = {
		{ "/", -EOPNOTSUPP, "/: is a directory" },
		{ "/dev/null", -EOPNOTSUPP, "/dev/null: is a character device" },
		{ "/no/such/disk", -ENOENT, "/no/such/disk: No such file" },
		{ "/proc/self/status", -ENOSPC, "no room" },
	};
	struct err err = ERR_INIT;
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		assert_null(disk_aio_open(cases[i].path, DISK_RDONLY, &err));
		assert_int_equal(err.code, cases[i].code);
		if (!strstr(err.text, cases[i].words))
			fail_msg("'%s' does not say '%s'", err.text,
				 cases[i].words);
	}
}

/* A ramfs, which knows no O_DIRECT, mounted nowhere: gone with its fd. Or -1. */
static int ramfs_new(void)
{
	long context = syscall(SYS_fsopen, "ramfs", FSOPEN_CLOEXEC);
	long fd = -1;

	if (context < 0)
		return -1;
	if (syscall(SYS_fsconfig, context, FSCONFIG_CMD_CREATE, NULL, NULL, 0) == 0)
		fd = syscall(SYS_fsmount, context, FSMOUNT_CLOEXEC, 0);
	close((int)context);
	return (int)fd;
}

static void without_o_direct_the_page_cache_does(void **state)
{
	CLEANUP_FD int ramfs = ramfs_new();
	struct err err = ERR_INIT;
	struct disk *disk;
	char path[64];
	int fd;

	(void)state;
	if (ramfs < 0) {
		print_message("skipped: cannot have a ramfs here\n");
		skip();
	}
	fd = openat(ramfs, "disk", O_CREAT | O_RDWR | O_CLOEXEC, 0600);
	assert_int_equal(ftruncate(fd, DISK_BYTES), 0);
	close(fd);
	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d/disk", ramfs);
	disk = disk_aio_open(path, DISK_RDWR, &err);
	assert_ok(disk ? 0 : -1, err);
	assert_false(disk->topology.is_direct);
	write_page(disk, PAGE, 0x17);
	assert_ok(disk_flush_wait(disk, &err), err);
	/* ramfs has no fallocate either: this is written as zeroes */
	assert_ok(disk_zero_wait(disk, 2 * PAGE, PAGE, &err), err);
	write_page(disk, 3 * PAGE, 0x17);
	assert_ok(disk_zero_wait(disk, 3 * PAGE, DISK_BYTES - 3 * PAGE, &err),
		  err);
	expect_page(disk, PAGE, 0x17);
	expect_page(disk, 3 * PAGE, 0);
	disk_close(disk);
}

static void sectors_of_4k_are_respected(void **state)
{
	char path[DISK_RIG_PATH_BYTES];
	CLEANUP_FD int loop = disk_rig_loop(4096, path);
	CLEANUP_FREE uint8_t *page = page_of(1);
	struct err err = ERR_INIT;
	struct disk *disk;

	(void)state;
	if (loop < 0) {
		print_message("skipped: no loop devices with such sectors\n");
		skip();
	}
	disk = disk_aio_open(path, DISK_RDWR, &err);
	assert_ok(disk ? 0 : -1, err);
	assert_int_equal(disk->topology.logical_block_bytes, 4096);
	assert_int_equal(disk->size_bytes, DISK_BYTES);
	assert_int_equal(disk_write_wait(disk, 512, page, PAGE, false, &err),
			 -EINVAL);
	assert_int_equal(disk_read_wait(disk, 0, page, 512, &err), -EINVAL);
	write_page(disk, PAGE, 0x44);
	expect_page(disk, PAGE, 0x44);
	disk_close(disk);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(an_event_loop_sees_every_completion),
		TEST(an_idle_disk_is_not_readable),
		TEST(eagain_is_tried_again_without_a_loop),
		TEST(fua_and_flush_reach_the_kernel),
		TEST(what_is_durable_on_fuse_was_synced),
		TEST(what_io_submit_says_comes_through_done),
		TEST(a_busy_disk_is_given_many_at_a_time),
		TEST(enough_goes_without_being_told),
		TEST(a_pump_starts_what_is_gathered),
		TEST(what_was_gathered_is_not_begun_without_leave),
		TEST(zeroes_are_not_begun_without_leave),
		TEST(what_the_kernel_does_not_take_goes_next),
		TEST(what_meets_eagain_keeps_its_turn),
		TEST(short_transfers_and_errors_are_named),
		TEST(an_error_does_not_leave_requests_behind),
		TEST(broken_completions_are_an_error_not_a_hang),
		TEST(pump_waits_as_long_as_it_was_told),
		TEST(signals_do_not_disturb),
		TEST(a_second_writer_is_refused),
		TEST(daemons_share_a_disk_that_nobody_else_gets),
		TEST(what_somebody_has_for_himself_is_not_shared),
		TEST(a_reader_may_look_but_not_change),
	};
	const struct CMUnitTest opening[] = {
		cmocka_unit_test(what_is_no_disk_is_refused),
		cmocka_unit_test(sectors_of_4k_are_respected),
		cmocka_unit_test(without_o_direct_the_page_cache_does),
	};
	int failed;

	alarm(HANG_SECONDS);
	disk_kind = KIND_FILE;
	failed = cmocka_run_group_tests_name("aio on files", tests, NULL, NULL);
	disk_kind = KIND_LOOP;
	failed += cmocka_run_group_tests_name("aio on loop devices", tests,
					      NULL, NULL);
	failed += cmocka_run_group_tests_name("opening", opening, NULL, NULL);
	return failed;
}
