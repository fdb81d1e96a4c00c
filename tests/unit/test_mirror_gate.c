/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The mirror: who waits, and for what: suspended ranges (A2), gate and lease (A5), a stop. */
#include <errno.h>

#include "tests/unit/mirror_rig.h"

enum { K = 1024, M = 1024 * K };

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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(A2_a_suspension_is_done_when_nothing_in_it_is_in_flight),
		cmocka_unit_test(A2_B43_one_slots_end_leaves_anothers_range),
		cmocka_unit_test(
			A2_who_waits_for_its_turn_in_a_window_parks_and_holds_up_nobody),
		cmocka_unit_test(A2_the_old_range_stays_until_the_new_one_is_drained),
		cmocka_unit_test(A2_reads_in_a_window_come_from_the_source),
		cmocka_unit_test(A5_D13_nothing_goes_while_the_gate_is_shut),
		cmocka_unit_test(A5_D13_the_gate_shuts_while_a_write_waits_for_its_intent),
		cmocka_unit_test(A5_D13_a_lease_that_is_over_shuts_the_gate),
		cmocka_unit_test(A5_who_shall_not_park_gets_an_error),
		cmocka_unit_test(A5_a_drain_is_over_when_nothing_changes_a_disk),
		cmocka_unit_test(A5_a_drain_waits_for_the_intent),
		cmocka_unit_test(A5_D13_the_intent_goes_by_the_lease),
		cmocka_unit_test(a_stop_ends_what_waits_for_bits),
		cmocka_unit_test(a_stop_ends_what_is_parked),
		cmocka_unit_test(A5_D13_what_a_disk_did_not_begin_goes_when_there_is_a_lease),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
