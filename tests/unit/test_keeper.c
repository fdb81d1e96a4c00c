/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A device of the kernel's nbd over crashes of what is behind it, and of who keeps it: the
 * rules of tools/keeper.h, on a kernel and a daemon that are played. What a user would lose: a
 * request, for ever; or data, written to what is another array now.
 */
#include "tests/unit/help.h"

#include <errno.h>
#include <string.h>

#include <linux/nbd.h>

#include "base/clock.h"
#include "tools/keeper.h"

enum { FDS = 64, SIZE = 1 << 20, BLOCK = 4096, DEAD = -1 };

static struct {
	uint64_t now_ns;
	/* the daemon */
	int refuses;                   /* -errno; 0: it serves */
	struct nbd_export served;
	int fds;                       /* that were opened */
	bool is_open[FDS];
	/* the kernel */
	int kernel[KEEPER_MAX_SOCKETS]; /* its connections, or DEAD */
	bool is_slow;                  /* it has not noticed any loss yet */
	unsigned int timeout_s;
	/* people */
	int told[3];
	uint64_t lost_ms;
	struct keeper keeper;
} w;

static int play_open(void *owner, struct nbd_export *to, struct err *err)
{
	(void)owner;
	if (w.refuses)
		return err_set(err, w.refuses, "refused");
	*to = w.served;
	to->fd = w.fds++;
	assert_true(to->fd < FDS);
	w.is_open[to->fd] = true;
	return 0;
}

static void play_close(void *owner, int fd)
{
	(void)owner;
	assert_true(fd >= 0 && w.is_open[fd]);
	w.is_open[fd] = false;
}

static int play_add(void *owner, int fd, unsigned int timeout_s, struct err *err)
{
	(void)owner;
	assert_true(w.is_open[fd]);
	assert_int_not_equal(timeout_s, 0);
	w.timeout_s = timeout_s;
	for (uint32_t i = 0; i < w.keeper.connections && !w.is_slow; i++) {
		if (w.kernel[i] != DEAD)
			continue;
		w.kernel[i] = fd;
		return 0;
	}
	return err_set(err, -ENOSPC, "none is dead");
}

static void play_set_timeout(void *owner, unsigned int timeout_s)
{
	(void)owner;
	w.timeout_s = timeout_s;
}

static void play_tell(void *owner, enum keeper_news news, uint64_t lost_ms,
		      const struct err *why)
{
	(void)owner;
	assert_int_equal(news == KEEPER_REFUSED, why != NULL);
	w.told[news]++;
	w.lost_ms = lost_ms;
}

static const struct keeper_ground ground = {
	.open = play_open,
	.add = play_add,
	.set_timeout = play_set_timeout,
	.close = play_close,
	.tell = play_tell,
};

/* A device of so many connections, kept since it was made, or taken over. */
static void device(uint32_t connections, bool is_taken_over)
{
	memset(&w, 0, sizeof(w));
	w.now_ns = 1000 * NS_PER_S;
	w.served = (struct nbd_export){ .size_bytes = SIZE, .block_bytes = BLOCK };
	w.keeper = (struct keeper){ .ground = &ground,
				    .size_bytes = SIZE,
				    .block_bytes = BLOCK,
				    .connections = connections };
	for (uint32_t i = 0; i < connections; i++) {
		w.kernel[i] = w.fds++;
		w.is_open[w.kernel[i]] = !is_taken_over;
	}
	keeper_begin(&w.keeper, is_taken_over ? NULL : w.kernel, w.now_ns);
}

static void let_pass_ms(uint64_t ms)
{
	uint64_t end = w.now_ns + ms * NS_PER_MS;
	int wait;

	do {
		keeper_go(&w.keeper, w.now_ns);
		wait = keeper_wait_ms(&w.keeper);
		w.now_ns += (unsigned int)wait * NS_PER_MS;
	} while (wait > 0 && w.now_ns <= end);
	w.now_ns = end;
}

/* The other end of whatever is connected is gone. */
static void all_hang_up(void)
{
	int fds = w.fds;

	for (uint32_t i = 0; i < w.keeper.connections; i++)
		w.kernel[i] = DEAD;
	for (int fd = 0; fd < fds; fd++)
		if (w.is_open[fd])
			keeper_hung_up(&w.keeper, fd, w.now_ns);
}

static void engine_dies(void)
{
	w.refuses = -ECONNREFUSED;
	all_hang_up();
}

static void engine_is_back(void)
{
	w.refuses = 0;
}

static void expect_connected(void)
{
	for (uint32_t i = 0; i < w.keeper.connections; i++)
		assert_int_not_equal(w.kernel[i], DEAD);
}

static void expect_open(int count)
{
	int n = 0;

	for (int fd = 0; fd < FDS; fd++)
		n += w.is_open[fd];
	assert_int_equal(n, count);
}

static void expect_told(int lost, int refused, int back)
{
	assert_int_equal(w.told[KEEPER_LOST], lost);
	assert_int_equal(w.told[KEEPER_REFUSED], refused);
	assert_int_equal(w.told[KEEPER_BACK], back);
}

/* --- K1 ---------------------------------------------------------------------------------- */

static void K1_what_was_under_way_may_time_out_and_goes_to_the_next_engine(void **state)
{
	(void)state;
	device(1, false);
	engine_dies();
	assert_int_not_equal(w.timeout_s, 0);
	let_pass_ms(3000);
	engine_is_back();
	let_pass_ms(400);
	expect_connected();
	assert_int_not_equal(w.timeout_s, 0);
	expect_told(1, 1, 1);
	assert_in_range(w.lost_ms, 3000, 3400);
	let_pass_ms(60000);
	expect_open(1);
}

/* Or it would keep a connection that is none of the kernel's, and the device have none. */
static void K1_a_kernel_that_notices_late_is_offered_a_connection_until_it_takes_it(void **state)
{
	(void)state;
	device(1, false);
	engine_dies();
	engine_is_back();
	w.is_slow = true;
	let_pass_ms(1000);
	assert_int_equal(w.kernel[0], DEAD);
	expect_told(1, 0, 0);
	w.is_slow = false;
	let_pass_ms(400);
	expect_connected();
	expect_told(1, 0, 1);
	assert_int_equal(w.fds, 2); /* the same one all the time */
}

static void K1_one_connection_of_several_is_connected_again(void **state)
{
	(void)state;
	device(3, false);
	w.kernel[1] = DEAD;
	keeper_hung_up(&w.keeper, 1, w.now_ns);
	let_pass_ms(400);
	expect_connected();
	expect_open(3);
	engine_dies();
	engine_is_back();
	let_pass_ms(400);
	expect_connected();
	expect_open(3);
}

/* --- K2 ---------------------------------------------------------------------------------- */

static void K2_nothing_times_out_but_for_a_while_after_a_loss(void **state)
{
	(void)state;
	device(1, false);
	let_pass_ms(3600 * 1000);
	assert_int_equal(w.timeout_s, 0);
	engine_dies();
	engine_is_back();
	let_pass_ms(keeper_sweep_s(&w.keeper) * 1000);
	assert_int_not_equal(w.timeout_s, 0); /* not before the kernel has looked */
	let_pass_ms(10000);
	assert_int_equal(w.timeout_s, 0);
}

static void K2_as_long_as_it_is_lost_it_may(void **state)
{
	(void)state;
	device(1, false);
	engine_dies();
	let_pass_ms(3600 * 1000);
	assert_int_not_equal(w.timeout_s, 0);
}

static void K2_offers_in_vain_leave_no_timeout_behind(void **state)
{
	(void)state;
	device(1, true);
	let_pass_ms(3600 * 1000);
	assert_int_equal(w.timeout_s, 0);
	expect_open(1); /* the spare one */
	assert_int_not_equal(keeper_wait_ms(&w.keeper), -1);
}

/* --- K3 ---------------------------------------------------------------------------------- */

static void engine_is_back_as(uint64_t size_bytes, uint32_t block_bytes, uint16_t flags,
			      bool is_same)
{
	engine_is_back();
	w.served = (struct nbd_export){ .size_bytes = size_bytes, .block_bytes = block_bytes,
					.flags = flags };
	let_pass_ms(2000);
	if (is_same) {
		expect_connected();
		expect_told(1, 1, 1);
		return;
	}
	assert_int_equal(w.kernel[0], DEAD);
	expect_told(1, 2, 0); /* and not again and again */
	expect_open(0);
	w.served = (struct nbd_export){ .size_bytes = SIZE, .block_bytes = BLOCK };
	let_pass_ms(400);
	expect_connected();
}

static void K3_it_is_connected_to_nothing_but_the_same(void **state)
{
	static const struct {
		uint64_t size_bytes;
		uint32_t block_bytes;
		uint16_t flags;
		bool is_same;
	} cases[] = {
		{ SIZE, BLOCK, 0, true },
		{ SIZE - BLOCK, BLOCK, 0, false },
		{ 2 * SIZE, BLOCK, 0, true },
		{ SIZE, 2 * BLOCK, 0, false },
		{ SIZE, BLOCK / 8, 0, true },
		{ SIZE, BLOCK, NBD_FLAG_READ_ONLY, false },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		device(1, false);
		engine_dies();
		let_pass_ms(400);
		engine_is_back_as(cases[i].size_bytes, cases[i].block_bytes, cases[i].flags,
				  cases[i].is_same);
	}
}

static void K3_a_device_that_is_only_read_may_be_served_by_who_only_reads(void **state)
{
	(void)state;
	device(1, false);
	w.keeper.is_read_only = true;
	engine_dies();
	let_pass_ms(400);
	engine_is_back_as(SIZE, BLOCK, NBD_FLAG_READ_ONLY, true);
}

/* --- K5 ---------------------------------------------------------------------------------- */

static void K5_what_was_taken_over_is_connected_when_its_engine_dies(void **state)
{
	(void)state;
	for (uint32_t connections = 1; connections <= 3; connections++) {
		device(connections, true);
		let_pass_ms(60000);
		expect_told(0, 0, 0);
		engine_dies();
		let_pass_ms(1000);
		expect_told(1, 1, 0);
		engine_is_back();
		let_pass_ms(400);
		expect_connected();
		expect_told(1, 1, 1);
		expect_open((int)connections); /* all of them are seen from now on */
		assert_int_not_equal(w.timeout_s, 0);
		let_pass_ms(60000);
		assert_true(connections > 1 || w.timeout_s == 0);
		assert_int_equal(keeper_wait_ms(&w.keeper), -1);
	}
}

static void K5_who_takes_over_what_lost_its_engine_before_connects_it(void **state)
{
	(void)state;
	device(1, true);
	w.kernel[0] = DEAD;
	w.refuses = -ENOENT;
	let_pass_ms(5000);
	expect_told(1, 1, 0);
	engine_is_back();
	let_pass_ms(400);
	expect_connected();
	expect_told(1, 1, 1);
}

/* The kernel itself drops one, of a request that timed out: the daemon is well. */
static void K5_a_connection_that_dies_by_itself_is_replaced(void **state)
{
	(void)state;
	device(2, true);
	let_pass_ms(60000);
	w.kernel[1] = DEAD;
	let_pass_ms(10000);
	expect_connected();
}

static void K5_a_spare_one_that_is_closed_is_no_loss(void **state)
{
	(void)state;
	device(1, true);
	let_pass_ms(20000);
	expect_open(1);
	for (int fd = 0; fd < FDS; fd++)
		if (w.is_open[fd])
			keeper_hung_up(&w.keeper, fd, w.now_ns);
	let_pass_ms(0);
	expect_told(0, 0, 0);
	expect_open(1);
	assert_int_equal(w.timeout_s, 0);
}

/* Who was killed in a sweep left timeouts behind; and what it swept for may be under way. */
static void K5_who_takes_over_sweeps_first_and_then_is_calm(void **state)
{
	(void)state;
	device(1, true);
	assert_int_not_equal(w.timeout_s, 0);
	let_pass_ms(keeper_sweep_s(&w.keeper) * 1000);
	assert_int_not_equal(w.timeout_s, 0);
	let_pass_ms(10000);
	assert_int_equal(w.timeout_s, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(K1_what_was_under_way_may_time_out_and_goes_to_the_next_engine),
		cmocka_unit_test(
			K1_a_kernel_that_notices_late_is_offered_a_connection_until_it_takes_it),
		cmocka_unit_test(K1_one_connection_of_several_is_connected_again),
		cmocka_unit_test(K2_nothing_times_out_but_for_a_while_after_a_loss),
		cmocka_unit_test(K2_as_long_as_it_is_lost_it_may),
		cmocka_unit_test(K2_offers_in_vain_leave_no_timeout_behind),
		cmocka_unit_test(K3_it_is_connected_to_nothing_but_the_same),
		cmocka_unit_test(K3_a_device_that_is_only_read_may_be_served_by_who_only_reads),
		cmocka_unit_test(K5_what_was_taken_over_is_connected_when_its_engine_dies),
		cmocka_unit_test(K5_who_takes_over_what_lost_its_engine_before_connects_it),
		cmocka_unit_test(K5_a_connection_that_dies_by_itself_is_replaced),
		cmocka_unit_test(K5_a_spare_one_that_is_closed_is_no_loss),
		cmocka_unit_test(K5_who_takes_over_sweeps_first_and_then_is_calm),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
