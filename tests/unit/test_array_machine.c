/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Arrays of some nodes: the promises V1..V9 of array.h, one by one, and the rules D3 to D14 that
 * they rest on. What must hold at every instant the rig checks after each step.
 */
#include "tests/unit/array_rig.h"
#include "tests/unit/help.h"

#include <errno.h>
#include <string.h>

#include "base/clock.h"

enum { SEEDS = 10 };

static struct array_rig *running(int nodes, uint64_t seed)
{
	struct array_rig *rig = array_rig_new(nodes, seed);

	array_rig_start_all(rig);
	array_rig_check_healthy(rig);
	return rig;
}

/* Chunks in which it dies as it writes them. */
static void write_all(struct array_rig *rig, int node, int first, int last)
{
	for (int c = first; c <= last; c++)
		assert_true(array_rig_write(rig, node, c));
}

static void set_holds(struct array_rig *rig, bool is_held)
{
	for (int i = 1; i <= rig->count; i++)
		rig->nodes[i].plane.holds_sync = is_held;
}

static struct array *array_of(struct array_rig *rig, int node)
{
	return rig->nodes[node].array;
}

/* --- V1 -------------------------------------------------------------------------------------- */

static void three_nodes_come_up_and_serve(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= SEEDS; seed++) {
		struct array_rig *rig = running(3, seed);

		for (int i = 1; i <= 3; i++)
			assert_int_equal(rig->nodes[i].known_slot,
					 array_rig_look(rig, i).slot);
		array_rig_free(rig);
	}
}

static void a_node_alone_gathers_all_that_others_left(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= SEEDS; seed++) {
		struct array_rig *rig = array_rig_new(3, seed);
		bool was_open = false;

		rig->disks.resync_offset = 0;
		rig->disks.slots[0] = 1;
		rig->disks.slots[1] = 0xf0;
		rig->disks.slots[2] = UINT64_C(1) << 63;
		rig->disks.differ = rig->disks.slots[0] | rig->disks.slots[1];
		array_rig_start(rig, 2);
		while (array_rig_step(rig)) {
			const struct rig_plane *p = &rig->nodes[2].plane;

			if (p->is_gate_open && !was_open)
				for (int i = 0; i < 3; i++)
					assert_true(i == (int)p->slot ||
						    rig->disks.slots[i] == 0);
			was_open |= p->is_gate_open;
		}
		array_rig_run(rig);
		array_rig_check_healthy(rig);
		array_rig_free(rig);
	}
}

static void the_gate_is_shut_without_quorum(void **state)
{
	struct array_rig *rig = running(2, 1);

	(void)state;
	array_set_quorate(array_of(rig, 1), false);
	assert_false(rig->nodes[1].plane.is_gate_open);
	assert_false(array_rig_write(rig, 1, 0));
	assert_true(array_rig_write(rig, 2, 0));
	array_rig_written(rig, 2, 0);
	array_set_quorate(array_of(rig, 1), true);
	assert_true(rig->nodes[1].plane.is_gate_open);
	array_rig_run(rig);
	array_rig_check_healthy(rig);
	array_rig_free(rig);
}

static void who_joins_without_quorum_waits_for_it(void **state)
{
	struct array_rig *rig = array_rig_new(2, 1);

	(void)state;
	array_rig_start(rig, 1);
	array_set_quorate(array_of(rig, 1), false);
	array_rig_run(rig);
	assert_false(rig->nodes[1].plane.is_gate_open);
	array_set_quorate(array_of(rig, 1), true);
	array_rig_run(rig);
	array_rig_check_healthy(rig);
	array_rig_free(rig);
}

static void a_member_that_resyncs_has_its_window_suspended_by_who_joins(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= SEEDS; seed++) {
		struct array_rig *rig = array_rig_new(3, seed);
		struct array_look look;
		int chunk;

		rig->disks.resync_offset = 0;
		rig->disks.slots[0] = UINT64_C(1) << 9;
		set_holds(rig, true);
		array_rig_start(rig, 1);
		array_rig_run(rig);
		look = array_rig_look(rig, 1);
		assert_true(look.members[0].high > 0);
		chunk = (int)(look.members[0].low / RIG_CHUNK_SECTORS);
		assert_int_equal(chunk, 9);
		array_rig_start(rig, 2);
		array_rig_run(rig);
		assert_true(array_rig_is_active(rig, 2));
		assert_false(array_rig_write(rig, 2, 9));
		assert_true(array_rig_write(rig, 2, 10));
		array_rig_written(rig, 2, 10);
		set_holds(rig, false);
		array_rig_run(rig);
		array_rig_check_healthy(rig);
		array_rig_free(rig);
	}
}

static void who_joins_again_asks_for_its_slot(void **state)
{
	struct array_rig *rig = running(3, 1);
	int slot = rig->nodes[2].known_slot;

	(void)state;
	array_rig_stop(rig, 2);
	array_rig_run(rig);
	assert_true(rig->nodes[2].is_stopped);
	rig->nodes[2].wanted_slot = slot;
	array_rig_start(rig, 2);
	array_rig_run(rig);
	assert_int_equal(rig->nodes[2].known_slot, slot);
	array_rig_check_healthy(rig);
	array_rig_free(rig);
}

/* --- V2 -------------------------------------------------------------------------------------- */

static void what_a_dead_node_wrote_is_synced_and_its_slot_is_empty(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= SEEDS; seed++) {
		struct array_rig *rig = running(3, seed);

		write_all(rig, 2, 3, 40);
		array_rig_bury(rig, 2);
		array_rig_check_healthy(rig);
		assert_int_equal(rig->nodes[1].recovered_bytes + rig->nodes[3].recovered_bytes,
				 38ull * RIG_CHUNK_BYTES);
		array_rig_free(rig);
	}
}

static void fails_for_a_while(int *times)
{
	*times = 5;
}

static void a_recovery_that_fails_is_tried_again(void **state)
{
	(void)state;
	for (int what = 0; what < 4; what++) {
		struct array_rig *rig = running(2, 1 + (uint64_t)what);
		struct rig_array *n = &rig->nodes[1];
		int *const faults[] = { &n->metadata.fail_read, &n->metadata.fail_clear,
					&n->metadata.fail_reload, &n->plane.fail_need };

		write_all(rig, 2, 0, 2);
		fails_for_a_while(faults[what]);
		array_rig_bury(rig, 2);
		assert_int_equal(*faults[what], 0);
		assert_true(n->events[ARRAY_EVENT_RETRY] >= 5);
		array_rig_check_healthy(rig);
		array_rig_free(rig);
	}
}

static void until_the_proof_nothing_of_a_dead_node_is_touched(void **state)
{
	struct array_rig *rig = running(2, 1);
	unsigned int before = rig->nodes[1].metadata.ops[METADATA_READ_SLOT];
	uint64_t slot;

	(void)state;
	write_all(rig, 2, 5, 6);
	slot = rig->disks.slots[rig->nodes[2].known_slot];
	array_rig_kill(rig, 2);
	array_rig_run(rig);
	assert_int_equal(rig->nodes[1].metadata.ops[METADATA_READ_SLOT], before);
	assert_int_equal(rig->disks.slots[rig->nodes[2].known_slot], slot);
	/* its own I/O goes on */
	assert_true(array_rig_write(rig, 1, 20));
	array_rig_written(rig, 1, 20);
	array_rig_prove(rig, 2);
	array_rig_run(rig);
	array_rig_check_healthy(rig);
	array_rig_free(rig);
}

static void a_leaver_that_could_not_say_what_is_left_is_looked_at(void **state)
{
	struct array_rig *rig = running(3, 1);

	(void)state;
	write_all(rig, 3, 8, 9);
	set_holds(rig, true);
	array_rig_bury(rig, 3); /* 1 and 2 have its chunks, and owe a resync */
	array_rig_revive(rig, 3);
	array_rig_start(rig, 3);
	array_rig_run(rig);
	array_rig_kill(rig, 3); /* not proven: no message can be said */
	array_rig_stop(rig, 1);
	array_rig_run_seconds(rig, 1);
	assert_true(rig->nodes[1].is_stopped);
	set_holds(rig, false);
	array_rig_prove(rig, 3);
	array_rig_run(rig);
	array_free(array_of(rig, 1));
	rig->nodes[1].array = NULL;
	array_rig_check_healthy(rig);
	array_rig_free(rig);
}

static void what_others_do_not_take_of_a_slot_is_taken_after_a_while(void **state)
{
	struct array_rig *rig = running(3, 1);

	(void)state;
	array_set_quorate(array_of(rig, 2), false); /* it takes nothing */
	write_all(rig, 3, 0, 39);
	array_rig_bury(rig, 3);
	assert_int_equal(rig->nodes[1].recovered_bytes, 40ull * RIG_CHUNK_BYTES);
	array_set_quorate(array_of(rig, 2), true);
	array_rig_run(rig);
	array_rig_check_healthy(rig);
	array_rig_free(rig);
}

static void a_node_that_is_back_before_it_was_recovered_has_its_chunks(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= SEEDS; seed++) {
		struct array_rig *rig = running(3, seed);

		write_all(rig, 2, 0, 30);
		array_rig_kill(rig, 2);
		array_rig_prove(rig, 2);
		lock_rig_step(rig->locks);
		lock_rig_step(rig->locks);
		array_rig_revive(rig, 2);
		array_rig_start(rig, 2);
		array_rig_run(rig);
		array_rig_check_healthy(rig);
		array_rig_free(rig);
	}
}

/* --- V3, D5, D8 ------------------------------------------------------------------------------- */

/* Node 2 resyncs chunk 9, and is within its window. */
static struct array_rig *resyncing(uint64_t seed)
{
	struct array_rig *rig = array_rig_new(3, seed);

	rig->disks.resync_offset = 0;
	rig->disks.slots[0] = UINT64_C(1) << 9;
	rig->disks.differ = rig->disks.slots[0];
	set_holds(rig, true);
	array_rig_start(rig, 2);
	array_rig_run(rig);
	array_rig_start(rig, 1);
	array_rig_start(rig, 3);
	array_rig_run(rig);
	assert_int_equal(rig->nodes[2].plane.syncs, 1);
	assert_false(array_rig_write(rig, 1, 9));
	return rig;
}

static void a_dead_resyncers_range_stays_until_its_slot_is_merged(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= SEEDS; seed++) {
		struct array_rig *rig = resyncing(seed);
		uint32_t slot = rig->nodes[2].plane.slot;

		rig->nodes[1].metadata.fail_read = 3;
		rig->nodes[3].metadata.fail_read = 3;
		array_rig_kill(rig, 2);
		array_rig_prove(rig, 2);
		do {
			if (rig->disks.slots[slot] == 0)
				break;
			for (int i = 1; i <= 3; i += 2)
				assert_false(array_rig_write(rig, i, 9));
		} while (array_rig_step(rig));
		set_holds(rig, false);
		array_rig_run(rig);
		array_rig_check_healthy(rig);
		assert_true(array_rig_write(rig, 1, 9));
		array_rig_free(rig);
	}
}

static void the_window_of_a_dead_node_is_not_adopted(void **state)
{
	struct array_rig *rig = resyncing(1);

	(void)state;
	/* 2 and 3 die; 1 alone knows, and reads nothing for now */
	rig->nodes[1].metadata.fail_read = 1000;
	array_rig_kill(rig, 2);
	array_rig_prove(rig, 2);
	array_rig_kill(rig, 3);
	array_rig_prove(rig, 3);
	array_rig_settle(rig);
	array_rig_revive(rig, 3);
	array_rig_start(rig, 3);
	array_rig_run_seconds(rig, 5);
	for (int i = 0; i < 3; i++)
		if (i != (int)rig->nodes[1].plane.slot)
			assert_int_equal(rig->nodes[3].plane.suspended[i].high, 0);
	set_holds(rig, false);
	rig->nodes[1].metadata.fail_read = 0;
	array_rig_run(rig);
	array_rig_check_healthy(rig);
	array_rig_free(rig);
}

/* --- V4: B37 ----------------------------------------------------------------------------------- */

static void reads_have_one_source_from_the_first_sign_of_a_death(void **state)
{
	struct array_rig *rig = running(3, 1);

	(void)state;
	assert_false(rig->nodes[1].plane.is_single);
	array_rig_kill(rig, 2);
	assert_true(rig->nodes[1].plane.is_single);
	assert_true(rig->nodes[3].plane.is_single);
	array_rig_prove(rig, 2);
	array_rig_run(rig);
	array_rig_check_healthy(rig); /* and balance again */
	array_rig_free(rig);
}

static void reads_have_one_source_until_every_share_is_synced(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 5 * SEEDS; seed++) {
		struct array_rig *rig = running(4, seed);

		write_all(rig, 2, 0, 40);
		set_holds(rig, true);
		array_rig_bury(rig, 2);
		for (int i = 1; i <= 4; i++)
			if (i != 2)
				assert_true(rig->nodes[i].plane.is_single);
		/* all but one are done: the last share is owed still */
		for (int i = 3; i <= 4; i++)
			rig->nodes[i].plane.holds_sync = false;
		array_rig_run(rig);
		if (rig->nodes[1].plane.needed)
			for (int i = 3; i <= 4; i++)
				assert_true(rig->nodes[i].plane.is_single);
		rig->nodes[1].plane.holds_sync = false;
		array_rig_run(rig);
		array_rig_check_healthy(rig);
		array_rig_free(rig);
	}
}

static void who_joins_knows_who_owes_a_resync(void **state)
{
	struct array_rig *rig = resyncing(1);

	(void)state;
	assert_true(rig->nodes[1].plane.is_single);
	assert_true(rig->nodes[3].plane.is_single);
	set_holds(rig, false);
	array_rig_run(rig);
	array_rig_check_healthy(rig);
	array_rig_free(rig);
}

/* --- V5, D6 -------------------------------------------------------------------------------------- */

static void several_nodes_resync_their_shares_at_once(void **state)
{
	struct array_rig *rig = running(4, 1);
	int busy = 0;

	(void)state;
	write_all(rig, 2, 0, 59);
	set_holds(rig, true);
	array_rig_bury(rig, 2);
	for (int i = 1; i <= 4; i++)
		busy += rig->nodes[i].array && rig->nodes[i].plane.syncs > 0;
	assert_int_equal(busy, 3);
	set_holds(rig, false);
	array_rig_run(rig);
	array_rig_check_healthy(rig);
	for (int i = 1; i <= 4; i++)
		if (i != 2)
			assert_int_equal(rig->nodes[i].plane.synced_chunks, 20);
	array_rig_free(rig);
}

static void a_window_waits_for_the_writes_under_it(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= SEEDS; seed++) {
		struct array_rig *rig = running(2, seed);

		write_all(rig, 1, 5, 5);
		array_rig_stop(rig, 2);
		array_rig_run(rig);
		/* it is to resync chunk 5, of its own */
		rig->disks.slots[rig->nodes[2].known_slot] = UINT64_C(1) << 5;
		array_rig_start(rig, 2);
		array_rig_run_seconds(rig, 5);
		assert_int_equal(rig->nodes[2].plane.syncs, 0); /* 1 still writes there */
		assert_false(array_rig_write(rig, 1, 5));
		array_rig_written(rig, 1, 5);
		array_rig_run(rig);
		assert_true(rig->nodes[2].plane.syncs > 0);
		array_rig_check_healthy(rig);
		array_rig_free(rig);
	}
}

/* B3 */
static void never_more_than_a_few_windows_are_suspended(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= SEEDS; seed++) {
		struct array_rig *rig = array_rig_new(2, seed);

		rig->disks.resync_offset = 0;
		rig->disks.slots[0] = UINT64_C(0x8000000080000001);
		set_holds(rig, true);
		array_rig_start(rig, 1);
		array_rig_run(rig);
		array_rig_start(rig, 2);
		array_rig_run(rig);
		set_holds(rig, false);
		array_rig_run(rig);
		assert_true(rig->nodes[2].plane.biggest_suspended > 0);
		assert_true(rig->nodes[2].plane.biggest_suspended <=
			    3ull * ARRAY_MAX_WINDOW_BYTES / 512);
		array_rig_check_healthy(rig);
		array_rig_free(rig);
	}
}

static void windows_that_cross_are_copied_one_after_the_other(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 10 * SEEDS; seed++) {
		struct array_rig *rig = array_rig_new(2, seed);

		rig->disks.resync_offset = 0;
		array_rig_start_all(rig);
		/* both have the same chunks to sync: as two dead slots may have */
		array_rig_stop(rig, 2);
		array_rig_run(rig);
		rig->disks.slots[rig->nodes[2].known_slot] = 0xff00;
		array_rig_start(rig, 2);
		write_all(rig, 1, 40, 40);
		assert_true(array_rig_until(rig, 2, ARRAY_ACTIVE));
		array_rig_written(rig, 1, 40);
		array_rig_kill(rig, 1);
		array_rig_prove(rig, 1);
		array_rig_settle(rig);
		array_rig_revive(rig, 1);
		rig->disks.slots[rig->nodes[2].plane.slot ^ 1] |= 0xff00;
		array_rig_start(rig, 1);
		array_rig_run(rig);
		array_rig_check_healthy(rig);
		array_rig_free(rig);
	}
}

static void a_window_that_is_refused_comes_later(void **state)
{
	struct array_rig *rig = resyncing(1);

	(void)state;
	rig->nodes[1].plane.fail_suspend = 4;
	write_all(rig, 3, 20, 25);
	array_rig_bury(rig, 3);
	set_holds(rig, false);
	array_rig_run(rig);
	assert_int_equal(rig->nodes[1].plane.fail_suspend, 0);
	array_rig_check_healthy(rig);
	array_rig_free(rig);
}

static void a_region_that_cannot_be_read_does_not_stop_the_others(void **state)
{
	struct array_rig *rig = running(2, 1);

	(void)state;
	write_all(rig, 2, 0, 20);
	rig->nodes[1].plane.fail_sync = 3;
	array_rig_bury(rig, 2);
	assert_int_equal(rig->nodes[1].plane.fail_sync, 0);
	array_rig_check_healthy(rig);
	array_rig_free(rig);
}

/* --- V6 -------------------------------------------------------------------------------------------- */

static void assert_waits(struct array_rig *rig, int node, const char *words)
{
	struct array_look look = array_rig_look(rig, node);

	if (!strstr(look.waits, words))
		fail_msg("\"%s\" is not in \"%s\"", words, look.waits);
}

static void who_looks_is_told_for_what_it_waits(void **state)
{
	struct array_rig *rig = running(2, 1);
	uint64_t since_ns;

	(void)state;
	array_rig_kill(rig, 2);
	array_set_missing(array_of(rig, 1), 2, true);
	assert_waits(rig, 1, "proof of death of node 2");
	assert_int_equal(rig->nodes[1].events[ARRAY_EVENT_MEMBER_MISSING], 1);
	rig->nodes[1].metadata.fail_read = 1000;
	array_rig_prove(rig, 2);
	array_rig_run_seconds(rig, 2);
	assert_waits(rig, 1, "recovery of slot 1");
	since_ns = array_rig_look(rig, 1).waits_since_ns;
	array_rig_run_seconds(rig, 4);
	assert_int_equal(array_rig_look(rig, 1).waits_since_ns, since_ns);
	rig->nodes[1].metadata.fail_read = 0;
	array_rig_run(rig);
	array_set_quorate(array_of(rig, 1), false);
	assert_waits(rig, 1, "quorum");
	assert_true(array_rig_look(rig, 1).waits_since_ns >= since_ns + 2 * NS_PER_S);
	array_rig_free(rig);
}

/* Rule 8: somebody else writes to its disks. */
static void who_gives_it_up_shuts_the_gate_first_and_writes_nothing(void **state)
{
	struct err why = ERR_INIT;

	(void)state;
	err_set(&why, -EBUSY, "the kernel of node 3 runs it");
	for (uint64_t seed = 1; seed <= SEEDS; seed++) {
		struct array_rig *rig = running(2, seed);

		write_all(rig, 1, 3, 5);
		array_give_up(array_of(rig, 1), &why);
		assert_false(rig->nodes[1].plane.is_gate_open);
		assert_false(array_rig_look(rig, 1).is_gate_open);
		assert_string_equal(array_rig_look(rig, 1).why.text, why.text);
		array_give_up(array_of(rig, 1), &why); /* told twice */
		for (int c = 3; c <= 5; c++)
			array_rig_written(rig, 1, c); /* what was on its way */
		while (rig->nodes[1].plane.is_started)
			assert_true(array_rig_step(rig));
		assert_true(rig->nodes[1].plane.is_stopped_lost);
		assert_int_not_equal(array_rig_dirty(rig), 0); /* whoever has it next knows */
		array_rig_run(rig); /* ASSEMBLE says yes: it is back */
		assert_true(array_rig_is_active(rig, 1));
		array_rig_check_healthy(rig);
		array_rig_free(rig);
	}
}

static void who_does_not_use_it_yet_has_nothing_to_give_up(void **state)
{
	struct array_rig *rig = array_rig_new(2, 1);
	struct err why = ERR_INIT;

	(void)state;
	err_set(&why, -EBUSY, "the kernel of node 3 runs it");
	array_rig_start(rig, 1);
	array_give_up(array_of(rig, 1), &why);
	assert_int_equal(array_rig_look(rig, 1).state, ARRAY_ASSEMBLING);
	array_rig_run(rig);
	assert_true(array_rig_is_active(rig, 1));
	array_rig_free(rig);
}

static void an_array_that_cannot_start_says_why(void **state)
{
	struct array_rig *rig = array_rig_new(2, 1);

	(void)state;
	rig->disks.nodes = 65; /* B52 */
	array_rig_start(rig, 1);
	array_rig_run(rig);
	assert_int_equal(array_rig_look(rig, 1).state, ARRAY_FAILED);
	assert_non_null(strstr(array_rig_look(rig, 1).why.text, "65"));
	/* it may be started again */
	rig->disks.nodes = 2;
	array_start(array_of(rig, 1));
	array_rig_run(rig);
	assert_true(array_rig_is_active(rig, 1));
	array_rig_free(rig);
}

static void a_node_without_a_slot_says_so(void **state)
{
	struct array_rig *rig = array_rig_new(3, 1);

	(void)state;
	rig->disks.nodes = 2;
	for (int i = 1; i <= 3; i++)
		array_rig_start(rig, i);
	array_rig_run(rig);
	int failed = 0;
	for (int i = 1; i <= 3; i++) {
		struct array_look look = array_rig_look(rig, i);

		failed += look.state == ARRAY_FAILED && look.why.code != 0;
	}
	assert_int_equal(failed, 1);
	array_rig_free(rig);
}

/* --- V7 -------------------------------------------------------------------------------------------- */

static void a_stop_leaves_nothing_behind(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= SEEDS; seed++) {
		struct array_rig *rig = running(3, seed);

		write_all(rig, 2, 0, 3);
		for (int c = 0; c <= 3; c++)
			array_rig_written(rig, 2, c);
		array_rig_stop(rig, 2);
		array_rig_run(rig);
		assert_true(rig->nodes[2].is_stopped);
		array_free(array_of(rig, 2));
		rig->nodes[2].array = NULL;
		array_rig_check_healthy(rig);
		assert_int_equal(rig->nodes[1].recovered_bytes, 0);
		array_rig_free(rig);
	}
}

static void work_left_over_is_said_and_others_finish_it(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= SEEDS; seed++) {
		struct array_rig *rig = resyncing(seed);
		uint64_t before = array_rig_said(rig, 2);

		array_rig_stop(rig, 2);
		while (array_rig_asked(rig, 2, PLANE_STOP) == NULL)
			assert_true(array_rig_step(rig));
		assert_int_equal(array_rig_said(rig, 2), before + 1);
		set_holds(rig, false);
		array_rig_run(rig);
		assert_true(rig->nodes[2].is_stopped);
		array_free(array_of(rig, 2));
		rig->nodes[2].array = NULL;
		array_rig_check_healthy(rig);
		array_rig_free(rig);
	}
}

static void a_stop_in_any_state_ends(void **state)
{
	(void)state;
	for (unsigned int steps = 0; steps < 400; steps += 3) {
		struct array_rig *rig = array_rig_new(2, steps);

		array_rig_start(rig, 1);
		array_rig_start(rig, 2);
		for (unsigned int i = 0; i < steps && array_rig_step(rig); i++)
			;
		array_rig_stop(rig, 2);
		array_rig_run_seconds(rig, 1);
		assert_true(rig->nodes[2].is_stopped);
		array_free(array_of(rig, 2));
		rig->nodes[2].array = NULL;
		array_rig_run(rig);
		array_rig_check_healthy(rig);
		array_rig_free(rig);
	}
}

static void a_stop_while_a_member_is_missing_ends(void **state)
{
	struct array_rig *rig = running(3, 1);

	(void)state;
	array_rig_kill(rig, 3);
	array_rig_stop(rig, 2);
	array_rig_run_seconds(rig, 1);
	assert_true(rig->nodes[2].is_stopped);
	array_free(array_of(rig, 2));
	rig->nodes[2].array = NULL;
	array_rig_prove(rig, 3);
	array_rig_run(rig);
	array_rig_check_healthy(rig);
	array_rig_free(rig);
}

/* Nobody can be told: what is open here closes, and the lockspace when they are heard again. */
static void a_stop_without_quorum_closes_all_but_the_lockspace(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= SEEDS; seed++) {
		struct array_rig *rig = running(3, seed);
		struct rig_array *n = &rig->nodes[2];

		write_all(rig, 2, 0, 3);
		for (int c = 0; c <= 3; c++)
			array_rig_written(rig, 2, c);
		array_rig_cut(rig, 2);
		array_rig_stop(rig, 2);
		array_rig_run_seconds(rig, 1);
		assert_true(n->is_closed_here);
		assert_false(n->is_stopped || n->plane.is_started);
		assert_int_equal(n->metadata.ops[METADATA_CLOSE], 1);
		assert_string_equal(array_rig_look(rig, 2).waits,
				    "waits: quorum, to leave the lockspace");
		assert_int_equal(rig->disks.slots[n->plane.slot], 0xf);
		array_rig_heal(rig, 2);
		array_rig_run(rig);
		assert_true(n->is_stopped);
		array_free(n->array);
		n->array = NULL;
		array_rig_check_healthy(rig);
		array_rig_free(rig);
	}
}

/* --- V8, D13, D14 ---------------------------------------------------------------------------------- */

static void who_lost_the_lockspace_joins_anew_and_writes_nothing_before(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= SEEDS; seed++) {
		struct array_rig *rig = running(3, seed);

		write_all(rig, 2, 0, 4);
		array_rig_cut(rig, 2);
		assert_false(rig->nodes[2].plane.is_gate_open);
		array_rig_prove(rig, 2);
		array_rig_run(rig);
		assert_int_equal(rig->disks.slots[rig->nodes[2].plane.slot], 0);
		array_rig_heal(rig, 2);
		while (!array_rig_asked(rig, 2, PLANE_STOP))
			assert_true(array_rig_step(rig));
		assert_true(array_rig_asked(rig, 2, PLANE_STOP)->is_lost);
		array_rig_run(rig);
		assert_true(array_rig_is_active(rig, 2));
		array_rig_check_healthy(rig);
		array_rig_free(rig);
	}
}

static void who_was_away_and_not_proven_dead_goes_on(void **state)
{
	struct array_rig *rig = running(3, 1);

	(void)state;
	array_rig_cut(rig, 2);
	array_rig_run_seconds(rig, 3);
	array_rig_heal(rig, 2);
	array_rig_run(rig);
	assert_int_equal(rig->nodes[2].events[ARRAY_EVENT_STATE], 7); /* no second life */
	array_rig_check_healthy(rig);
	array_rig_free(rig);
}

static void a_lockspace_that_takes_no_request_is_left(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 5 * SEEDS; seed++) {
		struct array_rig *rig = running(2, seed);

		write_all(rig, 2, 0, 3);
		array_rig_kill(rig, 2);
		array_rig_prove(rig, 2);
		for (uint64_t i = seed; i > 0; i--)
			(void)array_rig_step(rig);
		lock_rig_refuse(rig->locks, 1, -ENOMEM);
		array_rig_run_seconds(rig, 3);
		lock_rig_refuse(rig->locks, 1, 0);
		array_rig_run(rig);
		assert_true(array_rig_is_active(rig, 1));
		array_rig_check_healthy(rig);
		array_rig_free(rig);
	}
}

/* --- V9: B5 ---------------------------------------------------------------------------------------- */

static void an_idle_array_asks_nothing(void **state)
{
	struct array_rig *rig = running(3, 1);
	unsigned int steps = rig->steps;

	(void)state;
	array_rig_run_seconds(rig, 3600);
	assert_int_equal(rig->steps, steps);
	for (int i = 1; i <= 3; i++)
		assert_int_equal(array_deadline(array_of(rig, i)), UINT64_MAX);
	array_rig_free(rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(three_nodes_come_up_and_serve),
		cmocka_unit_test(a_node_alone_gathers_all_that_others_left),
		cmocka_unit_test(the_gate_is_shut_without_quorum),
		cmocka_unit_test(who_joins_without_quorum_waits_for_it),
		cmocka_unit_test(a_member_that_resyncs_has_its_window_suspended_by_who_joins),
		cmocka_unit_test(who_joins_again_asks_for_its_slot),
		cmocka_unit_test(what_a_dead_node_wrote_is_synced_and_its_slot_is_empty),
		cmocka_unit_test(a_recovery_that_fails_is_tried_again),
		cmocka_unit_test(until_the_proof_nothing_of_a_dead_node_is_touched),
		cmocka_unit_test(a_leaver_that_could_not_say_what_is_left_is_looked_at),
		cmocka_unit_test(what_others_do_not_take_of_a_slot_is_taken_after_a_while),
		cmocka_unit_test(a_node_that_is_back_before_it_was_recovered_has_its_chunks),
		cmocka_unit_test(a_dead_resyncers_range_stays_until_its_slot_is_merged),
		cmocka_unit_test(the_window_of_a_dead_node_is_not_adopted),
		cmocka_unit_test(reads_have_one_source_from_the_first_sign_of_a_death),
		cmocka_unit_test(reads_have_one_source_until_every_share_is_synced),
		cmocka_unit_test(who_joins_knows_who_owes_a_resync),
		cmocka_unit_test(several_nodes_resync_their_shares_at_once),
		cmocka_unit_test(a_window_waits_for_the_writes_under_it),
		cmocka_unit_test(never_more_than_a_few_windows_are_suspended),
		cmocka_unit_test(windows_that_cross_are_copied_one_after_the_other),
		cmocka_unit_test(a_window_that_is_refused_comes_later),
		cmocka_unit_test(a_region_that_cannot_be_read_does_not_stop_the_others),
		cmocka_unit_test(who_looks_is_told_for_what_it_waits),
		cmocka_unit_test(who_gives_it_up_shuts_the_gate_first_and_writes_nothing),
		cmocka_unit_test(who_does_not_use_it_yet_has_nothing_to_give_up),
		cmocka_unit_test(an_array_that_cannot_start_says_why),
		cmocka_unit_test(a_node_without_a_slot_says_so),
		cmocka_unit_test(a_stop_leaves_nothing_behind),
		cmocka_unit_test(work_left_over_is_said_and_others_finish_it),
		cmocka_unit_test(a_stop_in_any_state_ends),
		cmocka_unit_test(a_stop_while_a_member_is_missing_ends),
		cmocka_unit_test(a_stop_without_quorum_closes_all_but_the_lockspace),
		cmocka_unit_test(
			who_lost_the_lockspace_joins_anew_and_writes_nothing_before),
		cmocka_unit_test(who_was_away_and_not_proven_dead_goes_on),
		cmocka_unit_test(a_lockspace_that_takes_no_request_is_left),
		cmocka_unit_test(an_idle_array_asks_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
