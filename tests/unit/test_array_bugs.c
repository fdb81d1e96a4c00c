/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The field's bugs that concern arrays, each as a test that would show it here: numbers B are
 * those of our notes on md-cluster. Those that are promises of array.h are in
 * test_array_machine.c, deaths in test_array_death.c.
 */
#include "tests/unit/array_rig.h"
#include "tests/unit/help.h"

#include <string.h>

#include "mdclusterd/array/array_value.h"

enum { SEEDS = 10 };

static struct array_rig *running(int nodes, uint64_t seed)
{
	struct array_rig *rig = array_rig_new(nodes, seed);

	array_rig_start_all(rig);
	array_rig_check_healthy(rig);
	return rig;
}

static void set_holds(struct array_rig *rig, bool is_held)
{
	for (int i = 1; i <= rig->count; i++)
		rig->nodes[i].plane.holds_sync = is_held;
}

/* Node 1 has chunks to sync, and is within its first window. */
static struct array_rig *one_resyncs(int nodes, uint64_t seed, uint64_t chunks)
{
	struct array_rig *rig = array_rig_new(nodes, seed);

	rig->disks.resync_offset = 0;
	rig->disks.slots[0] = rig->disks.differ = chunks;
	set_holds(rig, true);
	array_rig_start(rig, 1);
	array_rig_run(rig);
	for (int i = 2; i <= nodes; i++)
		array_rig_start(rig, i);
	array_rig_run(rig);
	assert_int_equal(rig->nodes[1].plane.syncs, 1);
	return rig;
}

static void forget_stopped(struct array_rig *rig)
{
	for (int i = 1; i <= rig->count; i++)
		if (rig->nodes[i].array && rig->nodes[i].is_stopped) {
			array_free(rig->nodes[i].array);
			rig->nodes[i].array = NULL;
		}
}

/* --- B2 ------------------------------------------------------------------------------------------ */

static void who_waits_for_a_range_goes_on_when_it_has_moved(void **state)
{
	struct array_rig *rig = one_resyncs(2, 1, 0x3);

	(void)state;
	assert_false(array_rig_write(rig, 2, 0));
	set_holds(rig, false);
	array_rig_run(rig);
	assert_true(array_rig_write(rig, 2, 0));
	assert_true(array_rig_write(rig, 2, 1));
	array_rig_free(rig);
}

/* --- B12 ----------------------------------------------------------------------------------------- */

static void nodes_with_dirty_chunks_all_come_to_their_turn(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= SEEDS; seed++) {
		struct array_rig *rig = array_rig_new(4, seed);

		rig->disks.resync_offset = 0;
		for (int i = 0; i < 4; i++)
			rig->disks.slots[i] = UINT64_C(0xfff) << (8 * i);
		rig->disks.differ = 0xffffffff;
		array_rig_start_all(rig);
		array_rig_check_healthy(rig);
		array_rig_free(rig);
	}
}

/* --- B15, B16, B24 --------------------------------------------------------------------------------- */

static void three_nodes_stop_in_every_order_while_one_resyncs(void **state)
{
	static const int orders[6][3] = { { 1, 2, 3 }, { 1, 3, 2 }, { 2, 1, 3 },
					  { 2, 3, 1 }, { 3, 1, 2 }, { 3, 2, 1 } };

	(void)state;
	for (int o = 0; o < 6; o++)
		for (unsigned int gap = 0; gap < 40; gap += 3) {
			struct array_rig *rig = one_resyncs(3, 1 + gap, 0xff0f);

			for (int i = 0; i < 3; i++) {
				array_rig_stop(rig, orders[o][i]);
				for (unsigned int j = 0; j < gap; j++)
					(void)array_rig_step(rig);
			}
			array_rig_run_seconds(rig, 1);
			for (int i = 1; i <= 3; i++)
				assert_true(rig->nodes[i].is_stopped);
			/* what was left over is there still, and the next one does it */
			assert_int_equal(rig->disks.differ & ~array_rig_dirty(rig), 0);
			forget_stopped(rig);
			set_holds(rig, false);
			array_rig_start(rig, 2);
			array_rig_run(rig);
			array_rig_check_healthy(rig);
			array_rig_free(rig);
		}
}

static void a_stop_does_not_wait_for_a_resync_elsewhere(void **state)
{
	struct array_rig *rig = one_resyncs(2, 1, 0xff);

	(void)state;
	array_rig_stop(rig, 2);
	array_rig_run_seconds(rig, 1);
	assert_true(rig->nodes[2].is_stopped);
	forget_stopped(rig);
	assert_int_equal(rig->nodes[1].plane.syncs, 1); /* it goes on */
	set_holds(rig, false);
	array_rig_run(rig);
	array_rig_check_healthy(rig);
	array_rig_free(rig);
}

static void a_resyncer_stops_under_load(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= SEEDS; seed++) {
		struct array_rig *rig = one_resyncs(3, seed, 0xff00);

		for (int c = 30; c < 40; c++) {
			assert_true(array_rig_write(rig, 1, c));
			assert_true(array_rig_write(rig, 2, c));
		}
		array_rig_stop(rig, 1);
		for (int i = 0; i < 30; i++)
			(void)array_rig_step(rig);
		for (int c = 30; c < 40; c++) {
			array_rig_written(rig, 1, c);
			array_rig_written(rig, 2, c);
		}
		set_holds(rig, false);
		array_rig_run_seconds(rig, 1);
		assert_true(rig->nodes[1].is_stopped);
		forget_stopped(rig);
		array_rig_run(rig);
		array_rig_check_healthy(rig);
		array_rig_free(rig);
	}
}

/* --- B17 ------------------------------------------------------------------------------------------ */

static void windows_move_while_a_node_joins(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 10 * SEEDS; seed++) {
		struct array_rig *rig = array_rig_new(3, seed);

		rig->disks.resync_offset = 0;
		rig->disks.slots[0] = rig->disks.differ = UINT64_MAX;
		array_rig_start(rig, 1);
		while (rig->nodes[1].plane.syncs == 0)
			assert_true(array_rig_step(rig));
		array_rig_start(rig, 2);
		for (uint64_t i = 0; i < seed; i++)
			(void)array_rig_step(rig);
		array_rig_start(rig, 3);
		while (array_rig_step(rig))
			if (array_rig_write(rig, 2, (int)(seed % 64)))
				array_rig_written(rig, 2, (int)(seed % 64));
		array_rig_run(rig);
		array_rig_check_healthy(rig);
		array_rig_free(rig);
	}
}

/* --- B18 ------------------------------------------------------------------------------------------ */

static void what_one_node_synced_no_other_syncs(void **state)
{
	struct array_rig *rig = array_rig_new(3, 1);
	uint64_t synced = 0;

	(void)state;
	rig->disks.resync_offset = 0;
	rig->disks.slots[0] = rig->disks.differ = UINT64_MAX;
	array_rig_start_all(rig);
	array_rig_check_healthy(rig);
	for (int i = 1; i <= 3; i++)
		synced += rig->nodes[i].plane.synced_chunks;
	assert_int_equal(synced, 64);
	array_rig_free(rig);
}

/* --- B20, B21, B35 ---------------------------------------------------------------------------------- */

static void disks_fail_while_others_resync(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 3 * SEEDS; seed++) {
		struct array_rig *rig = array_rig_new(3, seed);

		rig->disks.disks = 3;
		rig->disks.resync_offset = 0;
		rig->disks.slots[0] = rig->disks.differ = 0xffff;
		array_rig_start(rig, 1);
		array_rig_start(rig, 2);
		array_rig_start(rig, 3);
		for (uint64_t i = 0; i < 20 * seed; i++)
			(void)array_rig_step(rig);
		for (int i = 1; i <= 3; i++)
			array_rig_disk_fails(rig, i, 2);
		array_rig_run(rig);
		array_rig_disk_fails(rig, 2, 2);
		array_rig_run(rig);
		assert_int_equal(rig->disks.state[2], METADATA_DISK_FAULTY);
		for (int i = 1; i <= 3; i++)
			assert_int_not_equal(rig->nodes[i].plane.told[2],
					     METADATA_DISK_IN_SYNC);
		array_rig_check_healthy(rig);
		array_rig_free(rig);
	}
}

/* --- B40 ------------------------------------------------------------------------------------------ */

static void chunk_0_alone_is_synced(void **state)
{
	struct array_rig *rig = running(2, 1);

	(void)state;
	assert_true(array_rig_write(rig, 2, 0));
	array_rig_bury(rig, 2);
	assert_int_equal(rig->nodes[1].plane.synced_chunks, 1);
	array_rig_check_healthy(rig);
	array_rig_free(rig);
}

/* --- copy, or compare and write ---------------------------------------------------------------- */

static void what_a_dead_node_wrote_is_compared_before_it_is_written(void **state)
{
	struct array_rig *rig = running(2, 1);
	struct rig_plane *p = &rig->nodes[1].plane;

	(void)state;
	for (int chunk = 0; chunk < 6; chunk++)
		assert_true(array_rig_write(rig, 2, chunk));
	rig->disks.differ &= 1; /* of the others nothing was under way any more */
	array_rig_bury(rig, 2);
	assert_int_equal(p->synced_chunks, 6);
	assert_true(p->compares > 0);
	array_rig_check_healthy(rig);
	array_rig_free(rig);
}

static void what_was_never_in_sync_is_copied(void **state)
{
	struct array_rig *rig = array_rig_new(1, 1);

	(void)state;
	rig->disks.resync_offset = 0;
	rig->disks.slots[0] = rig->disks.differ = ~0ull;
	array_rig_start(rig, 1);
	array_rig_run(rig);
	assert_int_equal(rig->nodes[1].plane.compares, 0);
	assert_true(rig->nodes[1].plane.copies > 0);
	assert_int_equal(rig->disks.differ, 0);
	array_rig_free(rig);
}

/* Reading all copies is for nothing where they have to be written anyway. */
static void a_window_that_differs_ends_the_comparing(void **state)
{
	struct array_rig *rig = array_rig_new(1, 1);

	(void)state;
	rig->disks.resync_offset = 0;
	rig->disks.slots[0] = rig->disks.differ = 0xffff;
	array_rig_start(rig, 1);
	array_rig_run(rig);
	assert_int_equal(rig->nodes[1].plane.compares, 1);
	assert_true(rig->nodes[1].plane.copies > 0);
	assert_int_equal(rig->disks.differ, 0);
	array_rig_free(rig);
}

/* --- B42 ------------------------------------------------------------------------------------------ */

static void what_was_gathered_is_not_gathered_again(void **state)
{
	struct array_rig *rig = array_rig_new(3, 1);

	(void)state;
	rig->disks.resync_offset = 0;
	rig->disks.slots[2] = 0xf0;
	array_rig_start(rig, 1);
	array_rig_run(rig);
	assert_int_equal(rig->disks.slots[2], 0);
	assert_int_equal(rig->nodes[1].plane.synced_chunks, 4);
	array_rig_stop(rig, 1);
	array_rig_run(rig);
	array_rig_start(rig, 2);
	array_rig_run(rig);
	assert_int_equal(rig->nodes[2].plane.synced_chunks, 0);
	array_rig_free(rig);
}

/* --- B43 ------------------------------------------------------------------------------------------ */

static void the_end_of_one_resync_leaves_the_range_of_another(void **state)
{
	struct array_rig *rig = array_rig_new(3, 1);

	(void)state;
	rig->disks.resync_offset = 0;
	set_holds(rig, true);
	rig->disks.slots[0] = rig->disks.differ = 0xf;
	array_rig_start(rig, 1);
	array_rig_run(rig);
	rig->disks.slots[1] = UINT64_C(0xf) << 40;
	rig->disks.differ |= rig->disks.slots[1];
	array_rig_start(rig, 2);
	array_rig_run(rig);
	array_rig_start(rig, 3);
	array_rig_run(rig);
	assert_false(array_rig_write(rig, 3, 0));
	assert_false(array_rig_write(rig, 3, 40));
	rig->nodes[1].plane.holds_sync = false;
	array_rig_run(rig);
	assert_true(array_rig_write(rig, 3, 0));
	assert_false(array_rig_write(rig, 3, 40));
	array_rig_written(rig, 3, 0);
	set_holds(rig, false);
	array_rig_run(rig);
	array_rig_check_healthy(rig);
	array_rig_free(rig);
}

/* --- B44 ------------------------------------------------------------------------------------------ */

static void who_joins_an_array_in_use_writes_no_superblock(void **state)
{
	struct array_rig *rig = array_rig_new(3, 1);
	uint64_t events;

	(void)state;
	array_rig_start(rig, 1);
	array_rig_run(rig);
	events = rig->disks.events;
	array_rig_start(rig, 2);
	array_rig_start(rig, 3);
	array_rig_run(rig);
	assert_int_equal(rig->disks.events, events);
	/* what each says of itself: by which superblocks it goes; that it owes nothing */
	for (int i = 2; i <= 3; i++)
		assert_int_equal(array_rig_said(rig, i), 2);
	array_rig_free(rig);
}

/* --- B46 ------------------------------------------------------------------------------------------ */

static void after_a_death_all_read_the_superblocks_again(void **state)
{
	struct array_rig *rig = array_rig_new(3, 1);

	(void)state;
	rig->disks.disks = 3;
	array_rig_start_all(rig);
	/* node 1 dies with a role written, and nobody told */
	array_rig_disk_fails(rig, 1, 1);
	while (rig->disks.state[1] != METADATA_DISK_FAULTY)
		assert_true(array_rig_step(rig));
	assert_int_equal(rig->nodes[2].plane.told[1], METADATA_DISK_IN_SYNC);
	array_rig_bury(rig, 1);
	for (int i = 2; i <= 3; i++)
		assert_int_not_equal(rig->nodes[i].plane.told[1], METADATA_DISK_IN_SYNC);
	array_rig_free(rig);
}

static void superblocks_are_read_before_the_slots_of_the_dead(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= SEEDS; seed++) {
		struct array_rig *rig = running(2, seed);
		unsigned int reads = rig->nodes[1].metadata.ops[METADATA_READ_SLOT];
		unsigned int reloads = rig->nodes[1].metadata.ops[METADATA_RELOAD];

		assert_true(array_rig_write(rig, 2, 5));
		array_rig_kill(rig, 2);
		array_rig_prove(rig, 2);
		while (rig->nodes[1].metadata.ops[METADATA_READ_SLOT] == reads)
			assert_true(array_rig_step(rig));
		assert_true(rig->nodes[1].metadata.ops[METADATA_RELOAD] > reloads);
		array_rig_run(rig);
		array_rig_check_healthy(rig);
		array_rig_free(rig);
	}
}

/* --- B51 ------------------------------------------------------------------------------------------ */

static void what_failed_writes_left_is_said_by_a_leaver(void **state)
{
	struct array_rig *rig = running(2, 1);
	struct rig_plane *p = &rig->nodes[1].plane;
	uint64_t said = array_rig_said(rig, 1);

	(void)state;
	/* needed, though no resync was ever owed */
	p->needed = rig->disks.differ = 0x30;
	rig->disks.slots[p->slot] |= 0x30;
	rig->nodes[1].plane.is_single = rig->nodes[2].plane.is_single = true;
	array_rig_stop(rig, 1);
	while (!array_rig_asked(rig, 1, PLANE_STOP))
		assert_true(array_rig_step(rig));
	assert_int_equal(array_rig_said(rig, 1), said + 1);
	assert_int_equal(array_rig_look(rig, 2).recovery_map, UINT64_C(1) << p->slot);
	array_rig_run(rig);
	forget_stopped(rig);
	assert_int_equal(rig->nodes[2].plane.synced_chunks, 2);
	array_rig_check_healthy(rig);
	array_rig_free(rig);
}

/* --- B52, and all that has a size ------------------------------------------------------------------- */

static void an_array_of_64_slots_is_gathered_whole(void **state)
{
	struct array_rig *rig = array_rig_new(3, 1);

	(void)state;
	rig->disks.nodes = 64;
	rig->disks.resync_offset = 0;
	for (int i = 0; i < 64; i++)
		rig->disks.slots[i] = UINT64_C(1) << i;
	array_rig_start_all(rig);
	array_rig_check_healthy(rig);
	rig->nodes[3].wanted_slot = 63;
	array_rig_stop(rig, 3);
	array_rig_run(rig);
	forget_stopped(rig);
	array_rig_start(rig, 3);
	array_rig_run(rig);
	assert_int_equal(rig->nodes[3].known_slot, 63);
	assert_true(array_rig_write(rig, 3, 7));
	array_rig_bury(rig, 3);
	array_rig_check_healthy(rig);
	array_rig_free(rig);
}

static void eight_nodes_come_and_go(void **state)
{
	struct array_rig *rig = running(8, 1);

	(void)state;
	for (int i = 1; i <= 8; i++)
		for (int c = i; c < 64; c += 8)
			assert_true(array_rig_write(rig, i, c));
	for (int i = 2; i <= 8; i += 2)
		array_rig_kill(rig, i);
	for (int i = 2; i <= 8; i += 2)
		array_rig_prove(rig, i);
	for (int i = 1; i <= 8; i += 2)
		for (int c = i; c < 64; c += 8)
			array_rig_written(rig, i, c);
	array_rig_run(rig);
	array_rig_check_healthy(rig);
	array_rig_free(rig);
}

static void all_die_and_any_of_them_starts_again(void **state)
{
	(void)state;
	for (unsigned int who = 1; who < 8; who++) {
		struct array_rig *rig = running(3, who);

		for (int i = 1; i <= 3; i++)
			for (int c = 0; c < 20; c++)
				assert_true(array_rig_write(rig, i, 20 * (i - 1) + c));
		for (int i = 1; i <= 3; i++)
			array_rig_kill(rig, i);
		for (int i = 1; i <= 3; i++)
			array_rig_prove(rig, i);
		array_rig_settle(rig);
		for (int i = 1; i <= 3; i++)
			array_rig_revive(rig, i);
		for (int i = 1; i <= 3; i++)
			if (who >> (i - 1) & 1)
				array_rig_start(rig, i);
		array_rig_run(rig);
		array_rig_check_healthy(rig);
		array_rig_free(rig);
	}
}

/* --- B11, B33: the lock value ------------------------------------------------------------------------ */

static void the_lock_value_has_its_bytes(void **state)
{
	const struct array_value v = {
		.low = 0x0102030405060708, .high = 0x1112131415161718,
		.owes = true, .is_owner = true, .takers = 5, .generation = 0x21222324,
	};
	static const uint8_t wanted[ARRAY_VALUE_BYTES] = {
		8, 7, 6, 5, 4, 3, 2, 1, 0x18, 0x17, 0x16, 0x15, 0x14, 0x13, 0x12, 0x11,
		3, 0, 0, 0, 5, 0, 0, 0, 0x24, 0x23, 0x22, 0x21, 0, 0, 0, 0,
	};
	uint8_t bytes[ARRAY_VALUE_BYTES];
	struct array_value read;

	(void)state;
	array_value_encode(&v, bytes);
	assert_memory_equal(bytes, wanted, sizeof(wanted));
	assert_true(array_value_decode(bytes, sizeof(bytes), &read));
	assert_true(read.low == v.low && read.high == v.high && read.owes && read.is_owner);
	assert_true(read.takers == v.takers && read.generation == v.generation);
}

static void a_lock_value_that_cannot_be_is_none(void **state)
{
	const struct array_value v = { .low = 8, .high = 16, .owes = true };
	uint8_t bytes[ARRAY_VALUE_BYTES];
	struct array_value read;

	(void)state;
	array_value_encode(&v, bytes);
	assert_false(array_value_decode(bytes, 31, &read));
	bytes[16] |= 4; /* a flag of versions to come */
	assert_false(array_value_decode(bytes, sizeof(bytes), &read));
	assert_int_equal(read.high, 0);
	array_value_encode(&v, bytes);
	bytes[0] = 16; /* empty */
	assert_false(array_value_decode(bytes, sizeof(bytes), &read));
	array_value_encode(&v, bytes);
	bytes[8] = 0;
	assert_false(array_value_decode(bytes, sizeof(bytes), &read));
	array_value_encode(&v, bytes);
	bytes[31] = 1;
	assert_false(array_value_decode(bytes, sizeof(bytes), &read));
	memset(bytes, 0, sizeof(bytes)); /* never written */
	assert_true(array_value_decode(bytes, sizeof(bytes), &read));
	assert_false(read.is_owner);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(who_waits_for_a_range_goes_on_when_it_has_moved),
		cmocka_unit_test(nodes_with_dirty_chunks_all_come_to_their_turn),
		cmocka_unit_test(three_nodes_stop_in_every_order_while_one_resyncs),
		cmocka_unit_test(a_stop_does_not_wait_for_a_resync_elsewhere),
		cmocka_unit_test(a_resyncer_stops_under_load),
		cmocka_unit_test(windows_move_while_a_node_joins),
		cmocka_unit_test(what_one_node_synced_no_other_syncs),
		cmocka_unit_test(disks_fail_while_others_resync),
		cmocka_unit_test(chunk_0_alone_is_synced),
		cmocka_unit_test(what_a_dead_node_wrote_is_compared_before_it_is_written),
		cmocka_unit_test(what_was_never_in_sync_is_copied),
		cmocka_unit_test(a_window_that_differs_ends_the_comparing),
		cmocka_unit_test(what_was_gathered_is_not_gathered_again),
		cmocka_unit_test(the_end_of_one_resync_leaves_the_range_of_another),
		cmocka_unit_test(who_joins_an_array_in_use_writes_no_superblock),
		cmocka_unit_test(after_a_death_all_read_the_superblocks_again),
		cmocka_unit_test(superblocks_are_read_before_the_slots_of_the_dead),
		cmocka_unit_test(what_failed_writes_left_is_said_by_a_leaver),
		cmocka_unit_test(an_array_of_64_slots_is_gathered_whole),
		cmocka_unit_test(eight_nodes_come_and_go),
		cmocka_unit_test(all_die_and_any_of_them_starts_again),
		cmocka_unit_test(the_lock_value_has_its_bytes),
		cmocka_unit_test(a_lock_value_that_cannot_be_is_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
