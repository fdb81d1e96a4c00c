/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What clients asked for while the array was lost is done when it is back, and fails only
 * when it is stopped.
 */
#include "tests/unit/help.h"

#include <errno.h>
#include <stdlib.h>

#include "base/arith.h"
#include "mdclusterd/daemon/parking.h"

/* A mirror that keeps what it is given until the test says what becomes of it. */
struct below {
	struct volume volume;
	struct volume_io *has[8];
	int count;
};

static int take(struct volume *volume, struct volume_io *io)
{
	struct below *b = container_of(volume, struct below, volume);

	if (io->length_bytes == 13)
		return -EINVAL;
	io->is_held = false;
	b->has[b->count++] = io;
	return 0;
}

static const struct volume_ops below_ops = { .submit = take };

static struct below below_new(void)
{
	return (struct below){ .volume = { .ops = &below_ops, .size_bytes = 1 << 20,
					   .block_bytes = 512,
					   .io_bytes = sizeof(struct volume_io) + 20 } };
}

struct scene {
	struct below below;
	struct parking parking;
	struct volume_io *ios[4];
	int results[4], done[4], kicks;
};

static void is_done(struct volume_io *io, int result)
{
	struct scene *s = io->owner;

	for (int i = 0; i < 4; i++)
		if (s->ios[i] == io) {
			s->results[i] = result;
			s->done[i]++;
		}
}

static void kicked(void *owner)
{
	((struct scene *)owner)->kicks++;
}

static int setup(void **state)
{
	struct scene *s = calloc(1, sizeof(*s));

	assert_non_null(s);
	s->below = below_new();
	parking_init(&s->parking, &s->below.volume, kicked, s);
	assert_true(s->parking.volume.io_bytes > s->below.volume.io_bytes);
	for (int i = 0; i < 4; i++) {
		s->ios[i] = calloc(1, s->parking.volume.io_bytes);
		assert_non_null(s->ios[i]);
		s->ios[i]->done = is_done;
		s->ios[i]->owner = s;
		s->ios[i]->length_bytes = 512;
	}
	assert_int_equal(parking_put(&s->parking, &s->below.volume), 0);
	*state = s;
	return 0;
}

static int teardown(void **state)
{
	struct scene *s = *state;

	for (int i = 0; i < 4; i++)
		free(s->ios[i]);
	free(s);
	return 0;
}

static void submit(struct scene *s, int i)
{
	assert_int_equal(volume_submit(&s->parking.volume, s->ios[i]), 0);
}

static void end_below(struct scene *s, int i, int result)
{
	s->below.has[i]->done(s->below.has[i], result);
}

static void what_comes_goes_down_and_back(void **state)
{
	struct scene *s = *state;

	submit(s, 0);
	assert_int_equal(s->kicks, 1);
	assert_int_equal(s->below.count, 1);
	end_below(s, 0, -EIO);
	assert_int_equal(s->done[0], 1);
	assert_int_equal(s->results[0], -EIO);
	s->ios[1]->length_bytes = 13;
	assert_int_equal(volume_submit(&s->parking.volume, s->ios[1]), -EINVAL);
	assert_ptr_equal(s->ios[1]->done, is_done);
}

static void what_a_lost_mirror_gives_back_waits_for_the_next(void **state)
{
	struct scene *s = *state;
	struct below next = below_new();

	submit(s, 0);
	submit(s, 1);
	submit(s, 2);
	parking_lose(&s->parking);
	end_below(s, 0, 0);
	end_below(s, 1, -ESHUTDOWN);
	s->below.has[2]->is_held = true; /* a disk hangs with its buffer: it cannot go again */
	end_below(s, 2, -ESHUTDOWN);
	parking_take(&s->parking);
	submit(s, 3);
	assert_int_equal(s->parking.count, 2);
	assert_int_equal(s->done[0], 1);
	assert_int_equal(s->done[1], 0);
	assert_int_equal(s->results[2], -ESHUTDOWN);
	assert_int_equal(parking_put(&s->parking, &next.volume), 0);
	assert_int_equal(next.count, 2);
	assert_ptr_equal(next.has[0], s->ios[1]);
	assert_ptr_equal(next.has[1], s->ios[3]);
	next.has[0]->done(next.has[0], 0);
	next.has[1]->done(next.has[1], -ESHUTDOWN); /* not lost: the client is told */
	assert_int_equal(s->results[1], 0);
	assert_int_equal(s->done[1], 1);
	assert_int_equal(s->results[3], -ESHUTDOWN);
	assert_int_equal(s->done[3], 1);
}

static void a_stop_fails_what_is_parked_and_what_comes(void **state)
{
	struct scene *s = *state;

	parking_lose(&s->parking);
	parking_take(&s->parking);
	submit(s, 0);
	parking_end(&s->parking);
	submit(s, 1);
	assert_int_equal(s->done[0] + s->done[1], 0); /* never from within submit() */
	parking_tell(&s->parking);
	assert_int_equal(s->results[0], -ESHUTDOWN);
	assert_int_equal(s->results[1], -ESHUTDOWN);
	assert_int_equal(s->done[0] + s->done[1], 2);
}

static void an_array_that_has_grown_is_put_under_clients(void **state)
{
	struct scene *s = *state;
	struct below larger = below_new();

	parking_lose(&s->parking);
	parking_take(&s->parking);
	submit(s, 0);
	larger.volume.size_bytes *= 2;
	assert_int_equal(parking_put(&s->parking, &larger.volume), 0);
	assert_int_equal(larger.count, 1);
	assert_int_equal(s->parking.volume.size_bytes, larger.volume.size_bytes);
}

static void an_array_that_has_shrunk_is_not_put_under_clients(void **state)
{
	struct scene *s = *state;
	struct below other = below_new();

	parking_lose(&s->parking);
	parking_take(&s->parking);
	other.volume.size_bytes /= 2;
	assert_int_equal(parking_put(&s->parking, &other.volume), -EINVAL);
	other = below_new();
	other.volume.io_bytes += 100;
	assert_int_equal(parking_put(&s->parking, &other.volume), -EINVAL);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(what_comes_goes_down_and_back),
		TEST(what_a_lost_mirror_gives_back_waits_for_the_next),
		TEST(a_stop_fails_what_is_parked_and_what_comes),
		TEST(an_array_that_has_grown_is_put_under_clients),
		TEST(an_array_that_has_shrunk_is_not_put_under_clients),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
