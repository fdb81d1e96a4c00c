/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What is dirty in other nodes' slots, for who looks: read once a second, at most. */
#include "tests/unit/help.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/arith.h"
#include "base/clock.h"
#include "bitmap/bits.h"
#include "mdclusterd/array/array.h"
#include "mdclusterd/daemon/slots_look.h"

enum { CHUNK_BYTES = 65536, CHUNKS = 1000 };

struct scene {
	struct metadata_runner runner;
	struct metadata_request *asked; /* one at a time */
	struct metadata_view view;
	struct array_look look;
	struct slots_look slots;
	int asked_for[8], asks, done;
};

static void on_submit(struct metadata_runner *runner, struct metadata_request *req)
{
	struct scene *s = container_of(runner, struct scene, runner);

	assert_null(s->asked);
	assert_int_equal(req->op, METADATA_READ_SLOT);
	s->asked = req;
	s->asked_for[s->asks++] = (int)req->slot;
}

static void on_done(void *owner)
{
	struct scene *s = owner;

	s->done++;
}

/* Three nodes, ours in slot 1. The last chunk is half of one. */
static void set_up(struct scene *s)
{
	struct err err = ERR_INIT;

	memset(s, 0, sizeof(*s));
	s->runner.submit = on_submit;
	assert_int_equal(bitmap_geometry_init(&s->view.geo, CHUNKS * 128 - 64, CHUNK_BYTES, 4, 16,
					      &err), 0);
	s->look.state = ARRAY_ACTIVE;
	s->look.view = &s->view;
	s->look.slot = 1;
	s->look.member_count = 3;
	for (int i = 0; i < 3; i++)
		s->look.members[i] = (struct array_member_look){ .node = (uint32_t)i + 1,
								 .slot = i };
}

static bool begin(struct scene *s, uint64_t now_s)
{
	return slots_look_begin(&s->slots, &s->look, &s->runner, now_s * NS_PER_S, on_done, s);
}

static void answer(struct scene *s, int result, uint64_t first, uint64_t last)
{
	struct metadata_request *req = s->asked;

	assert_non_null(req);
	s->asked = NULL;
	if (result == 0) {
		req->bits = calloc(1, bits_bytes(CHUNKS));
		assert_non_null(req->bits);
		bits_set_range(req->bits, first, last);
		req->dirty = last - first + 1;
	}
	req->done(req->owner, req, result);
}

static void slots_of_others_are_read_and_counted(void **state)
{
	struct scene s;

	(void)state;
	set_up(&s);
	assert_true(begin(&s, 100));
	assert_false(begin(&s, 100)); /* it is under way */
	answer(&s, 0, 3, 6);
	assert_int_equal(s.done, 0);
	answer(&s, 0, CHUNKS - 1, CHUNKS - 1);
	assert_int_equal(s.done, 1);
	assert_int_equal(s.asks, 2);
	assert_int_equal(s.asked_for[0], 0);
	assert_int_equal(s.asked_for[1], 2);
	assert_int_equal(s.slots.known, 5);
	assert_int_equal(s.slots.dirty_bytes[0], 4 * CHUNK_BYTES);
	assert_int_equal(s.slots.dirty_bytes[2], CHUNK_BYTES / 2);
	slots_look_end(&s.slots);
}

static void who_looks_often_does_not_keep_the_disks_busy(void **state)
{
	struct scene s;

	(void)state;
	set_up(&s);
	assert_true(begin(&s, 100));
	answer(&s, 0, 0, 0);
	answer(&s, 0, 0, 0);
	assert_false(begin(&s, 100));
	s.look.member_count = 2; /* who has left is not asked for, nor remembered */
	assert_true(begin(&s, 102));
	answer(&s, 0, 0, 0);
	assert_int_equal(s.slots.known, 1);
	s.look.member_count = 3; /* a new one is not waited for */
	assert_true(begin(&s, 102));
	slots_look_end(&s.slots);
}

static void a_slot_that_cannot_be_read_is_not_known(void **state)
{
	struct scene s;

	(void)state;
	set_up(&s);
	assert_true(begin(&s, 100));
	answer(&s, -EIO, 0, 0);
	answer(&s, 0, 1, 1);
	assert_int_equal(s.slots.known, 4);
	assert_int_equal(s.done, 1);
	slots_look_end(&s.slots);
}

static void an_array_that_is_not_active_is_left_alone(void **state)
{
	struct scene s;

	(void)state;
	set_up(&s);
	s.look.state = ARRAY_LEAVING;
	assert_false(begin(&s, 100));
	assert_int_equal(s.asks, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(slots_of_others_are_read_and_counted),
		cmocka_unit_test(who_looks_often_does_not_keep_the_disks_busy),
		cmocka_unit_test(a_slot_that_cannot_be_read_is_not_known),
		cmocka_unit_test(an_array_that_is_not_active_is_left_alone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
