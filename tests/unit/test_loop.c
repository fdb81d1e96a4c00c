/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The event loop: who is called, in which order, and that it sleeps meanwhile. */
#include "tests/unit/help.h"

#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/loop.h"

/* The loop's way to wait, counted. */
static unsigned int waits;

int epoll_wait(int fd, struct epoll_event *events, int max, int timeout_ms)
{
	waits++;
	return (int)syscall(SYS_epoll_pwait, fd, events, max, timeout_ms, NULL,
			    0);
}

struct seen {
	struct loop *loop;
	int timers, bytes, signals;
	int fds[2];
};

static void byte_arrived(void *owner, int fd, uint32_t events)
{
	struct seen *seen = owner;
	char c;

	(void)events;
	assert_int_equal(read(fd, &c, 1), 1);
	seen->bytes++;
	raise(SIGUSR1);
}

static void timer_rang(void *owner)
{
	struct seen *seen = owner;

	seen->timers++;
	assert_int_equal(write(seen->fds[1], "x", 1), 1);
}

static void signal_came(void *owner)
{
	struct seen *seen = owner;

	seen->signals++;
	loop_stop(seen->loop);
}

static void never(void *owner)
{
	(void)owner;
	fail_msg("a cancelled timer fired");
}

static void loop_runs_timers_fds_and_signals_again_and_again(void **state)
{
	struct seen seen = { 0 };
	struct err err = ERR_INIT;
	struct loop_timer *timer;
	int round;

	(void)state;
	assert_int_equal(pipe(seen.fds), 0);
	seen.loop = loop_new(&err);
	assert_non_null(seen.loop);
	assert_ok(loop_fd_add(seen.loop, seen.fds[0], POLLIN, byte_arrived, &seen,
			      &err), err);
	assert_ok(loop_signal_add(seen.loop, SIGUSR1, signal_came, &seen, &err),
		  err);
	for (round = 1; round <= 3; round++) {
		timer = loop_timer_start(seen.loop, 1, never, &seen, &err);
		assert_non_null(timer);
		loop_timer_cancel(timer);
		assert_non_null(loop_timer_start(seen.loop, 1, timer_rang, &seen,
						 &err));
		loop_run(seen.loop);
		assert_int_equal(seen.timers, round);
		assert_int_equal(seen.bytes, round);
		assert_int_equal(seen.signals, round);
	}
	/* what is still registered goes with the loop */
	assert_non_null(loop_timer_start(seen.loop, 60000, never, &seen, &err));
	loop_fd_remove(seen.loop, seen.fds[0]);
	loop_free(seen.loop);
	close(seen.fds[0]);
	close(seen.fds[1]);
}

/* --- watches that change --------------------------------------------------- */

struct pause {
	struct loop *loop;
	int fd, bytes;
	uint32_t hang_up;
};

static void byte_or_end(void *owner, int fd, uint32_t events)
{
	struct pause *pause = owner;
	char c;

	if (events & POLLIN && read(fd, &c, 1) == 1)
		pause->bytes++;
	pause->hang_up = events & POLLHUP;
	loop_stop(pause->loop);
}

static void enough(void *owner)
{
	loop_stop(((struct pause *)owner)->loop);
}

static void run_for_a_moment(struct pause *pause)
{
	struct err err = ERR_INIT;
	struct loop_timer *timer = loop_timer_start(pause->loop, 20, enough, pause, &err);

	loop_run(pause->loop);
	if (pause->bytes > 0 || pause->hang_up)
		loop_timer_cancel(timer);
}

/* Who wants no more bytes is not told of them, and not woken for them; of an end it is. */
static void a_watch_can_pause_and_go_on(void **state)
{
	struct pause pause = { 0 };
	struct err err = ERR_INIT;
	unsigned int before;
	int fds[2];

	(void)state;
	pause.loop = loop_new(&err);
	assert_int_equal(pipe(fds), 0);
	assert_ok(loop_fd_add(pause.loop, fds[0], POLLIN, byte_or_end, &pause, &err), err);
	assert_ok(loop_fd_change(pause.loop, fds[0], 0, &err), err);
	assert_int_equal(write(fds[1], "x", 1), 1);
	before = waits;
	run_for_a_moment(&pause);
	assert_int_equal(pause.bytes, 0);
	assert_in_range(waits - before, 1, 5);
	assert_ok(loop_fd_change(pause.loop, fds[0], POLLIN, &err), err);
	run_for_a_moment(&pause);
	assert_int_equal(pause.bytes, 1);
	assert_ok(loop_fd_change(pause.loop, fds[0], 0, &err), err);
	close(fds[1]);
	pause.bytes = 0;
	run_for_a_moment(&pause);
	assert_true(pause.hang_up);
	assert_true(loop_fd_change(pause.loop, 4711, POLLIN, &err) < 0);
	loop_fd_remove(pause.loop, fds[0]);
	loop_free(pause.loop);
	close(fds[0]);
}

/* --- timers --------------------------------------------------------------- */

enum { TIMERS = 8, LATE_MS = 60000 };

/* Timer number i writes it down when it rings. */
struct bell {
	struct desk *desk;
	int number;
	struct loop_timer *timer; /* NULL: it rang, or was cancelled */
	int again;                /* so often it starts itself once more */
	struct bell *silences;    /* cancels this one */
};

struct desk {
	struct loop *loop;
	struct bell bells[TIMERS];
	int rang[4 * TIMERS];
	int count;
	int stop_at; /* the loop stops after so many */
};

static struct desk desk;

static void rings(void *owner);

static void wind(int number, uint32_t after_ms)
{
	struct bell *bell = &desk.bells[number];
	struct err err = ERR_INIT;

	bell->desk = &desk;
	bell->number = number;
	bell->timer = loop_timer_start(desk.loop, after_ms, rings, bell, &err);
	if (!bell->timer)
		fail_msg("%s", err.text);
}

static void silence(int number)
{
	loop_timer_cancel(desk.bells[number].timer);
	desk.bells[number].timer = NULL;
}

static void rings(void *owner)
{
	struct bell *bell = owner;

	bell->timer = NULL;
	desk.rang[desk.count++] = bell->number;
	if (bell->again > 0) {
		bell->again--;
		wind(bell->number, 1);
	}
	if (bell->silences)
		silence(bell->silences->number);
	if (desk.count == desk.stop_at)
		loop_stop(desk.loop);
}

static void run_until(int count)
{
	desk.stop_at = count;
	loop_run(desk.loop);
	assert_int_equal(desk.count, count);
}

/* All that were wound for less than this are due. */
static void oversleep(unsigned int ms)
{
	struct timespec t = { .tv_nsec = (long)(ms * NS_PER_MS) };

	nanosleep(&t, NULL);
}

static int desk_setup(void **state)
{
	struct err err = ERR_INIT;

	(void)state;
	memset(&desk, 0, sizeof(desk));
	desk.loop = loop_new(&err);
	return desk.loop ? 0 : -1;
}

static int desk_teardown(void **state)
{
	(void)state;
	loop_free(desk.loop);
	return 0;
}

static void timers_ring_in_the_order_of_their_times(void **state)
{
	static const int wanted[] = { 3, 1, 4, 2, 0 };
	uint64_t began;

	(void)state;
	/* All are wound before the distance of two: else we were held up. */
	do {
		for (int i = 0; i < 5; i++)
			silence(i);
		began = clock_boot_ns();
		wind(0, 50);
		wind(1, 20);
		wind(2, 40);
		wind(3, 10);
		wind(4, 30);
	} while (clock_boot_ns() - began > 10 * NS_PER_MS);
	run_until(5);
	assert_memory_equal(desk.rang, wanted, sizeof(wanted));
}

static void an_earlier_timer_does_not_wait_for_a_later_one(void **state)
{
	(void)state;
	wind(0, LATE_MS);
	wind(1, 1);
	run_until(1);
	assert_int_equal(desk.rang[0], 1);
	/* nor does one that is wound while the loop waits for the late one */
	wind(2, 1);
	desk.bells[2].again = 2;
	run_until(4);
	assert_int_equal(desk.rang[3], 2);
}

static void cancelling_the_first_leaves_the_others(void **state)
{
	(void)state;
	wind(0, 1);
	wind(1, 2);
	wind(2, 3);
	silence(0);
	silence(1);
	run_until(1);
	assert_int_equal(desk.rang[0], 2);
}

static void a_callback_cancels_one_that_is_due_as_well(void **state)
{
	(void)state;
	wind(0, 1);
	wind(1, 1);
	wind(2, 2);
	desk.bells[0].silences = &desk.bells[1];
	desk.bells[1].silences = &desk.bells[0];
	oversleep(5);
	run_until(2);
	assert_int_equal(desk.rang[0], 0);
	assert_int_equal(desk.rang[1], 2);
}

static void a_callback_winds_its_own_timer_again(void **state)
{
	static const int wanted[] = { 0, 1, 0, 0, 0 };

	(void)state;
	wind(0, 1);
	wind(1, 1);
	desk.bells[0].again = 3;
	oversleep(5);
	/* those that are due come first, however late it is */
	run_until(5);
	assert_memory_equal(desk.rang, wanted, sizeof(wanted));
}

static void what_is_due_when_the_loop_stops_rings_when_it_runs_again(void **state)
{
	(void)state;
	for (int i = 0; i < 3; i++)
		wind(i, 1);
	oversleep(5);
	for (int i = 0; i < 3; i++) {
		run_until(i + 1);
		assert_int_equal(desk.rang[i], i);
	}
}

/* libqb's own timers turn in circles for their last millisecond. */
static void the_loop_sleeps_until_a_timer_is_due(void **state)
{
	enum { ROUNDS = 20 };

	(void)state;
	waits = 0;
	wind(0, 3);
	desk.bells[0].again = ROUNDS - 1;
	run_until(ROUNDS);
	assert_in_range(waits, ROUNDS, 4 * ROUNDS);
}

#define TEST(name) \
	cmocka_unit_test_setup_teardown(name, desk_setup, desk_teardown)

struct chain {
	struct loop *loop;
	struct loop_job first, second, cancelled;
	int depth;
	char order[8];
	size_t count;
};

static void first_done(void *owner)
{
	struct chain *c = owner;

	assert_int_equal(c->depth, 0);
	c->order[c->count++] = '1';
	if (c->count < 3)
		loop_soon(c->loop, &c->first); /* from within itself */
}

static void second_done(void *owner)
{
	struct chain *c = owner;

	c->order[c->count++] = '2';
	if (c->count == 5)
		loop_stop(c->loop);
}

static void queue_jobs(void *owner)
{
	struct chain *c = owner;

	c->depth++;
	loop_soon(c->loop, &c->first);
	loop_soon(c->loop, &c->cancelled);
	loop_soon(c->loop, &c->second);
	loop_soon(c->loop, &c->first); /* is queued already */
	loop_soon_cancel(&c->cancelled);
	c->depth--;
}

/* libqb's wait up to 50 ms, or for something else to happen. */
static void jobs_come_when_the_callback_has_returned_and_nothing_waits(void **state)
{
	struct err err = ERR_INIT;
	struct chain c = { .loop = loop_new(&err) };
	unsigned int before;

	(void)state;
	assert_non_null(c.loop);
	c.first = (struct loop_job){ .fn = first_done, .owner = &c };
	c.second = (struct loop_job){ .fn = second_done, .owner = &c };
	c.cancelled = (struct loop_job){ .fn = never, .owner = &c };
	assert_non_null(loop_timer_start(c.loop, 1, queue_jobs, &c, &err));
	before = waits;
	c.count = 0;
	/* 1, 2, and 1 again by itself; then 1, 2 and the end */
	assert_non_null(loop_timer_start(c.loop, 20, queue_jobs, &c, &err));
	loop_run(c.loop);
	assert_string_equal(c.order, "12112");
	assert_true(waits - before <= 4);
	loop_soon_cancel(&c.cancelled); /* nothing to take back */
	loop_free(c.loop);
}

static void stop_loop(void *owner)
{
	loop_stop(owner);
}

/* Queued before the loop runs: it is the first thing that is done, and no less a stop. */
static void a_job_that_was_queued_before_stops_the_loop(void **state)
{
	struct err err = ERR_INIT;
	struct loop *loop = loop_new(&err);
	struct loop_job job = { .fn = stop_loop, .owner = loop };

	(void)state;
	assert_non_null(loop);
	loop_soon(loop, &job);
	loop_run(loop);
	assert_false(job.is_queued);
	loop_free(loop);
}

/* Who blocked it itself has it blocked still: one that came last does not end him. */
static void a_signal_that_was_blocked_stays_so(void **state)
{
	struct err err = ERR_INIT;
	struct loop *loop = loop_new(&err);
	sigset_t set, before;

	(void)state;
	sigemptyset(&set);
	sigaddset(&set, SIGUSR2);
	assert_int_equal(sigprocmask(SIG_BLOCK, &set, &before), 0);
	assert_ok(loop_signal_add(loop, SIGUSR2, never, NULL, &err), err);
	assert_int_equal(raise(SIGUSR2), 0);
	loop_free(loop);
	assert_int_equal(sigpending(&set), 0);
	assert_int_equal(sigismember(&set, SIGUSR2), 1);
	signal(SIGUSR2, SIG_IGN);
	sigprocmask(SIG_SETMASK, &before, NULL);
	signal(SIGUSR2, SIG_DFL);
}

static void give_up(void *owner)
{
	loop_stop(owner);
}

static void a_loop_that_ends_leaves_the_signals_of_another(void **state)
{
	struct err err = ERR_INIT;
	struct seen seen = { .loop = loop_new(&err) };
	struct loop *other = loop_new(&err);

	(void)state;
	assert_ok(loop_signal_add(seen.loop, SIGUSR1, signal_came, &seen, &err), err);
	loop_free(other);
	assert_int_equal(raise(SIGUSR1), 0);
	assert_non_null(loop_timer_start(seen.loop, 5000, give_up, seen.loop, &err));
	loop_run(seen.loop);
	assert_int_equal(seen.signals, 1);
	loop_free(seen.loop);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(loop_runs_timers_fds_and_signals_again_and_again),
		cmocka_unit_test(a_watch_can_pause_and_go_on),
		cmocka_unit_test(a_loop_that_ends_leaves_the_signals_of_another),
		cmocka_unit_test(a_signal_that_was_blocked_stays_so),
		TEST(timers_ring_in_the_order_of_their_times),
		TEST(an_earlier_timer_does_not_wait_for_a_later_one),
		TEST(cancelling_the_first_leaves_the_others),
		TEST(a_callback_cancels_one_that_is_due_as_well),
		TEST(a_callback_winds_its_own_timer_again),
		TEST(what_is_due_when_the_loop_stops_rings_when_it_runs_again),
		TEST(the_loop_sleeps_until_a_timer_is_due),
		cmocka_unit_test(jobs_come_when_the_callback_has_returned_and_nothing_waits),
		cmocka_unit_test(a_job_that_was_queued_before_stops_the_loop),
	};

	alarm(60); /* a loop that forgets a timer runs for ever */
	return cmocka_run_group_tests_name("loop", tests, NULL, NULL);
}
