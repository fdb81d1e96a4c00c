/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The shared disks of the simulator, and the fibers that wait for them. */
#include "tests/unit/help.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "bitmap/disk_mem.h"
#include "tests/sim/fiber.h"
#include "tests/sim/sim_disks.h"
#include "tests/sim/world.h"

enum { NODES = 2, PAGE = 4096, SEEDS = 200 };

static struct sim_world *world;
static struct sim_disks *disks;
static int drained, submitted;

static void on_submitted(void *owner, int node, enum sim_disk_user user, int disk,
			 const struct disk_req *req)
{
	(void)owner, (void)node, (void)user, (void)disk, (void)req;
	submitted++;
}

static void on_drained(void *owner, int node)
{
	(void)owner, (void)node;
	drained++;
}

static struct disk *begin(uint64_t seed)
{
	static const struct sim_disks_ops ops = { on_submitted, on_drained };
	struct err err = ERR_INIT;

	world = sim_new(seed, NODES, NULL);
	disks = sim_disks_new(world, 1, 16 * PAGE, &ops, NULL);
	drained = submitted = 0;
	sim_start(world, 0);
	sim_start(world, 1);
	return sim_disks_open(disks, 0, SIM_DISK_PLANE, "disk0", &err);
}

static void end(struct disk *disk)
{
	sim_crash(world, 0);
	sim_crash(world, 1);
	sim_disks_node_ended(disks, 0);
	(void)disk_pump(disk, 0);
	disk_close(disk);
	sim_disks_free(disks);
	sim_free(world);
}

struct slow {
	struct disk_req req;
	uint8_t *page;
	int calls, result;
};

static void on_done(struct disk_req *req, int result)
{
	struct slow *s = req->owner;

	s->calls++;
	s->result = result;
}

static void write_page(struct slow *s, struct disk *disk, int byte)
{
	struct err err = ERR_INIT;

	*s = (struct slow){ .page = disk_buffer_new(PAGE) };
	memset(s->page, byte, PAGE);
	s->req = (struct disk_req){ .op = DISK_WRITE, .length_bytes = PAGE,
				    .buffer = s->page, .done = on_done, .owner = s };
	assert_ok(disk_submit(disk, &s->req, &err), err);
}

static int byte_at(uint64_t offset)
{
	uint8_t byte;

	sim_disks_peek(disks, 0, offset, &byte, 1);
	return byte;
}

static void a_completion_comes_in_the_time_of_its_node(void **state)
{
	struct disk *disk = begin(1);
	struct slow s;

	(void)state;
	write_page(&s, disk, 7);
	sim_pause(world, 0, 50ull * SIM_MS);
	sim_run(world, world->now + 40ull * SIM_MS);
	assert_int_equal(byte_at(0), 7);
	assert_int_equal(s.calls, 0);
	sim_run(world, world->now + 20ull * SIM_MS);
	assert_int_equal(s.calls, 1);
	assert_int_equal(s.result, 0);
	assert_int_equal(submitted, 1);
	free(s.page);
	end(disk);
}

/* All of it, nothing, or whole sectors; what it was told does not come from the disk. */
static void what_a_dead_process_had_in_flight_may_be_there_or_not(void **state)
{
	int whole = 0, none = 0, torn = 0;

	(void)state;
	for (uint64_t seed = 1; seed <= SEEDS; seed++) {
		struct disk *disk = begin(seed);
		struct slow s;
		int there = 0;

		write_page(&s, disk, 7);
		sim_crash(world, 0);
		sim_disks_node_ended(disks, 0);
		memset(s.page, 9, PAGE); /* its memory is another's now */
		assert_int_equal(disk_pump(disk, 0), 1);
		assert_int_equal(s.result, -ENODEV);
		sim_run(world, world->now + 10ull * SIM_MS);
		assert_true(sim_disks_is_drained(disks, 0));
		assert_int_equal(drained, 1);
		for (int i = 0; i < PAGE; i += 512) {
			assert_int_equal(byte_at((uint64_t)i), byte_at((uint64_t)i + 511));
			assert_int_not_equal(byte_at((uint64_t)i), 9);
			there += byte_at((uint64_t)i) == 7;
		}
		whole += there == 8;
		none += there == 0;
		torn += there != 0 && there != 8;
		free(s.page);
		end(disk);
	}
	assert_true(whole > SEEDS / 4 && none > SEEDS / 10 && torn > SEEDS / 10);
}

static void a_disk_that_hangs_answers_when_it_hangs_no_more(void **state)
{
	struct disk *disk = begin(1);
	struct slow s;

	(void)state;
	sim_disks_hang(disks, 0, true);
	write_page(&s, disk, 7);
	sim_run(world, world->now + 100ull * SIM_MS);
	assert_int_equal(s.calls, 0);
	assert_int_equal(byte_at(0), 0);
	sim_disks_hang(disks, 0, false);
	sim_run(world, world->now + 100ull * SIM_MS);
	assert_int_equal(s.calls, 1);
	assert_int_equal(byte_at(0), 7);
	free(s.page);
	end(disk);
}

static void a_node_is_crashed_in_the_middle_of_its_nth_change(void **state)
{
	struct disk *disk = begin(1);
	struct slow a, b;

	(void)state;
	sim_disks_crash_at(disks, 0, 2);
	write_page(&a, disk, 7);
	sim_run(world, world->now + 10ull * SIM_MS);
	assert_true(sim_is_up(world, 0));
	write_page(&b, disk, 8);
	sim_run(world, world->now + 10ull * SIM_MS);
	assert_false(sim_is_up(world, 0));
	assert_true(sim_is_up(world, 1));
	end(disk);
	free(a.page);
	free(b.page);
}

/* --- fibers ---------------------------------------------------------------------------- */

struct job {
	struct disk *disk;
	int steps, result;
};

/* Three writes, as code that blocks makes them. */
static void three_writes(void *arg)
{
	struct job *job = arg;
	uint8_t *page = disk_buffer_new(PAGE);
	struct err err = ERR_INIT;

	for (int i = 0; i < 3; i++) {
		memset(page, i + 1, PAGE);
		job->result = disk_write_wait(job->disk, (uint64_t)i * PAGE, page, PAGE, true,
					      &err);
		job->steps++;
	}
	free(page);
}

static void code_that_blocks_goes_on_when_the_disk_answers(void **state)
{
	struct job job = { .disk = begin(1) };
	struct fiber *f = fiber_new(three_writes, &job);
	int seen[4] = { 0 };

	(void)state;
	fiber_resume(f);
	assert_int_equal(job.steps, 0);
	while (!fiber_is_over(f)) {
		seen[job.steps] = 1;
		sim_run(world, world->now + 10000);
	}
	assert_true(seen[0] && seen[1] && seen[2]);
	assert_int_equal(job.result, 0);
	assert_int_equal(byte_at(2 * PAGE), 3);
	fiber_free(f);
	end(job.disk);
}

static void what_blocks_ends_when_its_node_has_died(void **state)
{
	struct job job = { .disk = begin(1) };
	struct fiber *f = fiber_new(three_writes, &job);

	(void)state;
	fiber_resume(f);
	while (job.steps < 1)
		sim_run(world, world->now + 10000);
	sim_crash(world, 0);
	sim_disks_node_ended(disks, 0);
	fiber_resume(f);
	assert_true(fiber_is_over(f));
	assert_int_equal(job.result, -ENODEV);
	sim_run(world, world->now + 10ull * SIM_MS);
	assert_int_equal(byte_at(2 * PAGE), 0);
	fiber_free(f);
	end(job.disk);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_completion_comes_in_the_time_of_its_node),
		cmocka_unit_test(what_a_dead_process_had_in_flight_may_be_there_or_not),
		cmocka_unit_test(a_disk_that_hangs_answers_when_it_hangs_no_more),
		cmocka_unit_test(a_node_is_crashed_in_the_middle_of_its_nth_change),
		cmocka_unit_test(code_that_blocks_goes_on_when_the_disk_answers),
		cmocka_unit_test(what_blocks_ends_when_its_node_has_died),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
