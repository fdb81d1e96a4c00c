/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Disks that are added, removed and rebuilt while all nodes write: who does it, and how far. */
#include "tests/unit/array_rig.h"
#include "tests/unit/help.h"

#include <errno.h>
#include <string.h>

enum { SEEDS = 20, MANY_SEEDS = 300 };

/* What somebody asked a node for. */
struct wish {
	struct array_change change;
	bool is_done;
	int result;
};

static void on_done(void *owner, struct array_change *c, int result)
{
	struct wish *wish = owner;

	(void)c;
	assert_false(wish->is_done);
	wish->is_done = true;
	wish->result = result;
}

static void ask(struct array_rig *rig, int node, struct wish *wish, enum array_change_kind kind,
		const char *path, uint32_t number)
{
	struct err err = ERR_INIT;

	*wish = (struct wish){ .change = { .kind = kind, .path = path, .number = number,
					   .done = on_done, .owner = wish } };
	assert_ok(array_change(rig->nodes[node].array, &wish->change, &err), err);
}

static struct array_rig *running(int nodes, uint64_t seed)
{
	struct array_rig *rig = array_rig_new(nodes, seed);

	array_rig_start_all(rig);
	return rig;
}

static void fail_role(struct array_rig *rig, int node, uint32_t role)
{
	struct err err = ERR_INIT;

	assert_ok(array_fail_disk(rig->nodes[node].array, role, &err), err);
	array_rig_run(rig);
	assert_int_equal(rig->disks.state[role], METADATA_DISK_FAULTY);
}

static void write_chunk(struct array_rig *rig, int node, int chunk)
{
	assert_true(array_rig_write(rig, node, chunk));
	array_rig_written(rig, node, chunk);
}

static bool is_whole(const struct array_rig *rig)
{
	for (uint32_t i = 0; i < rig->disks.disks; i++)
		if (rig->disks.state[i] != METADATA_DISK_IN_SYNC)
			return false;
	return true;
}

static unsigned int all_events(const struct array_rig *rig, enum array_event_kind kind)
{
	unsigned int sum = 0;

	for (int i = 1; i <= rig->count; i++)
		sum += rig->nodes[i].events[kind];
	return sum;
}

static uint64_t rebuilt_by(const struct array_rig *rig, int node)
{
	return rig->nodes[node].plane.rebuilt;
}

static int rebuilder(const struct array_rig *rig)
{
	for (int i = 1; i <= rig->count; i++)
		if (rig->nodes[i].plane.rebuilt)
			return i;
	return 0;
}

/* --- added ------------------------------------------------------------------------------------- */

static void a_new_disk_is_rebuilt_by_exactly_one_node(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= SEEDS; seed++) {
		struct array_rig *rig = running(3, seed);
		struct wish wish;
		int who;

		fail_role(rig, 1, 1);
		write_chunk(rig, 3, 7);
		ask(rig, 2, &wish, ARRAY_ADD, "new", 0);
		array_rig_run(rig);
		assert_true(wish.is_done);
		assert_ok(wish.result, wish.change.err);
		assert_int_equal(wish.change.number, ARRAY_RIG_DISKS);
		assert_false(wish.change.is_re_added);
		assert_true(is_whole(rig));
		who = rebuilder(rig);
		assert_true(rebuilt_by(rig, who) == UINT64_MAX);
		for (int i = 1; i <= 3; i++)
			assert_true(i == who || rebuilt_by(rig, i) == 0);
		assert_int_equal(all_events(rig, ARRAY_EVENT_RECOVERY_STARTED), 1);
		assert_int_equal(all_events(rig, ARRAY_EVENT_RECOVERY_FINISHED), 1);
		assert_int_equal(all_events(rig, ARRAY_EVENT_DISK_ADDED), 1);
		for (int i = 1; i <= 3; i++)
			array_rig_clear(rig, i);
		array_rig_check_healthy(rig);
		array_rig_free(rig);
	}
}

static void a_disk_added_to_a_whole_array_is_a_spare(void **state)
{
	struct array_rig *rig = running(2, 1);
	struct wish wish;

	(void)state;
	ask(rig, 1, &wish, ARRAY_ADD, "new", 0);
	array_rig_run(rig);
	assert_ok(wish.result, wish.change.err);
	assert_int_equal(rebuilder(rig), 0);
	for (int i = 1; i <= 2; i++) {
		struct array_look look = array_rig_look(rig, i);

		assert_int_equal(look.view->disk_count, 3);
		assert_int_equal(look.view->disks[2].state, METADATA_DISK_SPARE);
	}
	array_rig_free(rig);
}

static void a_spare_takes_the_place_of_a_disk_that_fails(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= SEEDS; seed++) {
		struct array_rig *rig = running(3, seed);
		struct wish wish;

		ask(rig, 1, &wish, ARRAY_ADD_SPARE, "new", 0);
		array_rig_run(rig);
		array_rig_disk_fails(rig, 2, 0);
		array_rig_run(rig);
		assert_true(is_whole(rig));
		assert_int_equal(rig->disks.number[0], wish.change.number);
		array_rig_check_healthy(rig);
		array_rig_free(rig);
	}
}

static void a_node_that_does_not_see_the_disk_is_named(void **state)
{
	struct array_rig *rig = running(3, 1);
	struct wish wish;

	(void)state;
	rig->disks.unseen = 1u << 3;
	ask(rig, 1, &wish, ARRAY_ADD, "new", 0);
	array_rig_run(rig);
	assert_refused(wish.result, -ENODEV, wish.change.err, "node 3");
	assert_int_equal(rig->nodes[1].metadata.ops[METADATA_UNPREPARE], 1);
	assert_int_equal(rig->nodes[1].metadata.ops[METADATA_ADD], 0);
	assert_int_equal(all_events(rig, ARRAY_EVENT_DISK_ADDED), 0);
	rig->disks.unseen = 0; /* and nothing stands in the way of the next time */
	ask(rig, 2, &wish, ARRAY_ADD, "new", 0);
	array_rig_run(rig);
	assert_ok(wish.result, wish.change.err);
	array_rig_free(rig);
}

/* Where one node cannot use it, no node counts on it. */
static void a_disk_that_a_plane_cannot_use_is_failed_and_the_next_spare_comes(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= SEEDS; seed++) {
		struct array_rig *rig = running(3, seed);
		struct wish first, second;

		ask(rig, 1, &first, ARRAY_ADD_SPARE, "new", 0);
		ask(rig, 2, &second, ARRAY_ADD_SPARE, "new", 0);
		array_rig_run(rig);
		rig->nodes[2].plane.fail_set_disk = 1;
		array_rig_disk_fails(rig, 1, 1);
		array_rig_run_seconds(rig, 100);
		assert_int_equal(rig->nodes[2].plane.fail_set_disk, 0);
		assert_true(is_whole(rig));
		array_rig_check_healthy(rig);
		array_rig_free(rig);
	}
}

/* Their superblocks say that all is well: of later ones this node cannot know. */
static void who_sees_failed_disks_alone_does_not_start(void **state)
{
	struct array_rig *rig = array_rig_new(3, 1);
	struct array_look look;

	(void)state;
	array_rig_start(rig, 1);
	array_rig_start(rig, 2);
	array_rig_run(rig);
	fail_role(rig, 1, 0);
	rig->nodes[3].metadata.is_behind = true;
	array_rig_start(rig, 3);
	array_rig_run(rig);
	look = array_rig_look(rig, 3);
	assert_int_equal(look.state, ARRAY_FAILED);
	assert_non_null(strstr(look.why.text, "not seen here"));
	assert_int_equal(rig->nodes[3].metadata.ops[METADATA_ACTIVATE], 0);
	rig->nodes[3].metadata.is_behind = false;
	array_rig_start(rig, 3);
	array_rig_run(rig);
	assert_true(array_rig_is_active(rig, 3));
	array_rig_free(rig);
}

/* A write, as often as it may. */
static void write_somewhere(struct array_rig *rig, int node)
{
	int chunk = (int)(array_rig_random(rig) % ARRAY_RIG_CHUNKS);

	if (array_rig_write(rig, node, chunk))
		array_rig_written(rig, node, chunk);
}

/* It has seen it once; what it writes now goes to the others' disks alone. */
static void what_one_node_does_not_see_any_more_none_reads(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= SEEDS; seed++) {
		struct array_rig *rig = running(3, seed);
		bool is_back = seed % 2;
		struct wish wish;

		if (is_back)
			fail_role(rig, 1, 1);
		rig->nodes[3].metadata.unsees = is_back ? 1 : ARRAY_RIG_DISKS;
		ask(rig, 1, &wish, ARRAY_ADD, is_back ? "disk1" : "new", 0);
		if (!is_back) {
			array_rig_run(rig);
			array_rig_disk_fails(rig, 2, 1);
		}
		for (int i = 0; i < 3000; i++) {
			write_somewhere(rig, 3);
			if (!array_rig_step(rig))
				array_rig_run_next(rig);
		}
		array_rig_run(rig);
		assert_int_equal(rig->disks.state[1], METADATA_DISK_FAULTY);
		if (is_back)
			assert_refused(wish.result, -ENODEV, wish.change.err, "node 3");
		for (int i = 1; i <= 3; i++)
			assert_true(array_rig_is_active(rig, i));
		array_rig_free(rig);
	}
}

/* --- removed ------------------------------------------------------------------------------------- */

static void what_is_in_use_is_not_removed(void **state)
{
	struct array_rig *rig = running(2, 1);
	struct wish wish;

	(void)state;
	ask(rig, 1, &wish, ARRAY_REMOVE, NULL, 1);
	array_rig_run(rig);
	assert_refused(wish.result, -EBUSY, wish.change.err, "fail it first");
	assert_true(is_whole(rig));
	fail_role(rig, 1, 1);
	ask(rig, 2, &wish, ARRAY_REMOVE, NULL, 1);
	array_rig_run(rig);
	assert_ok(wish.result, wish.change.err);
	for (int i = 1; i <= 2; i++)
		if (i != 2)
			assert_int_equal(rig->nodes[i].metadata.ops[METADATA_FORGET], 1);
	assert_int_equal(all_events(rig, ARRAY_EVENT_DISK_REMOVED), 1);
	array_rig_free(rig);
}

/* --- added again ------------------------------------------------------------------------------------ */

/* The kernel's md-cluster recovers what the node that re-adds has written, and no other. */
static void a_disk_that_is_back_gets_what_every_node_wrote_meanwhile(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= SEEDS; seed++) {
		struct array_rig *rig = running(3, seed);
		struct wish wish;

		fail_role(rig, 1, 1);
		write_chunk(rig, 1, 10);
		write_chunk(rig, 2, 40);
		write_chunk(rig, 3, 0);
		ask(rig, 1, &wish, ARRAY_RE_ADD, "disk1", 0);
		array_rig_run(rig);
		assert_ok(wish.result, wish.change.err);
		assert_true(wish.change.is_re_added);
		assert_true(is_whole(rig)); /* the rig looks whether it has all */
		assert_int_equal(rebuilder(rig), 0); /* nobody copied all of it */
		array_rig_check_healthy(rig);
		array_rig_free(rig);
	}
}

/* Whoever looks whether all is done, and whoever has something to do. */
static void a_disk_that_is_back_waits_for_who_alone_wrote(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 5 * SEEDS; seed++) {
		struct array_rig *rig = running(3, seed);
		int writer = 1 + (int)(seed % 3), asked = 1 + (int)(seed / 3 % 3);
		struct wish wish;

		fail_role(rig, 1, 1);
		for (int chunk = 20; chunk < 24; chunk++)
			write_chunk(rig, writer, chunk);
		rig->nodes[writer].plane.sync_ns = RIG_SECONDS(1);
		ask(rig, asked, &wish, ARRAY_RE_ADD, "disk1", 0);
		array_rig_run(rig);
		assert_ok(wish.result, wish.change.err);
		assert_true(is_whole(rig));
		array_rig_free(rig);
	}
}

static void a_disk_that_is_back_gets_what_the_dead_wrote(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= SEEDS; seed++) {
		struct array_rig *rig = running(3, seed);
		struct wish wish;

		fail_role(rig, 1, 1);
		write_chunk(rig, 2, 40);
		assert_true(array_rig_write(rig, 3, 41));
		array_rig_kill(rig, 3);
		ask(rig, 1, &wish, ARRAY_ADD, "disk1", 0);
		array_rig_run_seconds(rig, 5); /* it waits for the proof */
		array_rig_prove(rig, 3);
		array_rig_run(rig);
		assert_ok(wish.result, wish.change.err);
		assert_true(wish.change.is_re_added && is_whole(rig));
		array_rig_check_healthy(rig);
		array_rig_free(rig);
	}
}

static void a_disk_whose_bits_are_gone_is_not_re_added_but_rebuilt(void **state)
{
	struct array_rig *rig = running(2, 1);
	struct wish wish;

	(void)state;
	fail_role(rig, 1, 1);
	rig->disks.has_cleared = true;
	ask(rig, 1, &wish, ARRAY_ADD, "disk1", 0);
	array_rig_run(rig);
	assert_ok(wish.result, wish.change.err);
	assert_false(wish.change.is_re_added);
	assert_true(rebuilt_by(rig, rebuilder(rig)) == UINT64_MAX);
	assert_true(is_whole(rig));
	array_rig_free(rig);
}

/* --- what fails ------------------------------------------------------------------------------------- */

static void what_could_not_be_read_is_not_taken_for_copied(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= SEEDS; seed++) {
		struct array_rig *rig = running(2, seed);
		struct wish wish;

		fail_role(rig, 1, 1);
		for (int i = 1; i <= 2; i++)
			rig->nodes[i].plane.fail_sync = 3;
		ask(rig, 2, &wish, ARRAY_ADD, "new", 0);
		array_rig_run_seconds(rig, 200);
		assert_true(is_whole(rig)); /* the rig looks whether it has all */
		array_rig_free(rig);
	}
}

static void all_cannot_read(struct array_rig *rig, uint64_t chunks)
{
	for (int i = 1; i <= rig->count; i++)
		rig->nodes[i].plane.unread = chunks;
}

static unsigned int all_syncs(const struct array_rig *rig)
{
	unsigned int sum = 0;

	for (int i = 1; i <= rig->count; i++)
		sum += rig->nodes[i].plane.syncs;
	return sum;
}

/* Who waits for its end hears of it, and is told where. */
static void what_no_disk_can_read_ends_a_rebuild_with_the_place(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= SEEDS; seed++) {
		struct array_rig *rig = running(2, seed);
		unsigned int syncs;
		struct wish wish;

		fail_role(rig, 1, 1);
		all_cannot_read(rig, UINT64_C(1) << 40);
		ask(rig, 2, &wish, ARRAY_ADD, "new", 0);
		array_rig_run_seconds(rig, 60);
		assert_ok(wish.result, wish.change.err);
		assert_int_equal(rig->disks.state[1], METADATA_DISK_FAULTY);
		assert_int_equal(all_events(rig, ARRAY_EVENT_RECOVERY_FINISHED), 1);
		assert_true(strstr(rig->nodes[1].last_text, "from sector 4711") ||
			    strstr(rig->nodes[2].last_text, "from sector 4711"));
		syncs = all_syncs(rig);
		array_rig_run_seconds(rig, 300);
		assert_int_equal(all_syncs(rig), syncs);
		all_cannot_read(rig, 0); /* somebody has written there */
		ask(rig, 1, &wish, ARRAY_ADD, "newer", 0);
		array_rig_run(rig);
		assert_ok(wish.result, wish.change.err);
		assert_true(is_whole(rig));
		array_rig_free(rig);
	}
}

/* A path that is gone for a moment is no reason. */
static void what_cannot_be_read_for_a_moment_ends_no_rebuild(void **state)
{
	struct array_rig *rig = running(2, 1);
	struct wish wish;

	(void)state;
	fail_role(rig, 1, 1);
	all_cannot_read(rig, UINT64_C(1) << 40);
	ask(rig, 2, &wish, ARRAY_ADD, "new", 0);
	for (int i = 0; i < 200 && all_events(rig, ARRAY_EVENT_RECOVERY_STARTED) == 0; i++)
		array_rig_run_next(rig);
	all_cannot_read(rig, 0);
	array_rig_run_seconds(rig, 60);
	assert_true(is_whole(rig));
	array_rig_free(rig);
}

static void a_spare_that_could_not_be_used_is_tried_again(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= SEEDS; seed++) {
		struct array_rig *rig = running(3, seed);
		struct wish wish;

		ask(rig, 1, &wish, ARRAY_ADD_SPARE, "new", 0);
		array_rig_run(rig);
		for (int i = 1; i <= 3; i++)
			rig->nodes[i].metadata.fail_rebuild = 2;
		array_rig_disk_fails(rig, 1, 1);
		array_rig_run_seconds(rig, 600);
		assert_true(is_whole(rig));
		array_rig_check_healthy(rig);
		array_rig_free(rig);
	}
}

static void what_is_written_is_said_until_all_have_heard_it(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= SEEDS; seed++) {
		struct array_rig *rig = running(3, seed);
		struct wish wish;

		fail_role(rig, 1, 1);
		rig->nodes[3].plane.holds_set_disk = true; /* it acknowledges nothing of it */
		ask(rig, 1, &wish, ARRAY_ADD, seed % 2 ? "disk1" : "new", 0);
		array_rig_run_seconds(rig, 200);
		assert_int_not_equal(rig->disks.state[1], METADATA_DISK_IN_SYNC);
		rig->nodes[3].plane.holds_set_disk = false;
		array_rig_run_seconds(rig, 200);
		assert_true(wish.is_done && is_whole(rig));
		array_rig_check_healthy(rig);
		array_rig_free(rig);
	}
}

/* --- somebody dies, or leaves -------------------------------------------------------------------------- */

/* In the middle of a rebuild: its position was saved, and is not 0. */
static int until_half(struct array_rig *rig)
{
	for (int steps = 0; steps < 1000000; steps++) {
		int who = rebuilder(rig);

		if (who && rig->disks.recovery_offset[1] >= 16 * RIG_CHUNK_SECTORS)
			return who;
		if (!array_rig_step(rig))
			array_rig_run_next(rig);
	}
	fail_msg("nobody rebuilds");
	return 0;
}

static void another_goes_on_where_the_dead_one_was(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= SEEDS; seed++) {
		struct array_rig *rig = running(3, seed);
		struct wish wish;
		int who;

		fail_role(rig, 1, 1);
		ask(rig, 2, &wish, ARRAY_ADD, "new", 0);
		who = until_half(rig);
		array_rig_kill(rig, who);
		array_rig_prove(rig, who);
		array_rig_run(rig);
		assert_true(is_whole(rig));
		for (int i = 1; i <= 3; i++)
			if (i != who)
				assert_false(rebuilt_by(rig, i) & 1); /* not from the beginning */
		array_rig_check_healthy(rig);
		array_rig_free(rig);
	}
}

static void another_goes_on_where_one_that_leaves_was(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= SEEDS; seed++) {
		struct array_rig *rig = running(3, seed);
		struct wish wish;
		int who;

		fail_role(rig, 1, 1);
		ask(rig, 2, &wish, ARRAY_ADD, "new", 0);
		who = until_half(rig);
		array_rig_stop(rig, who);
		array_rig_run(rig);
		assert_true(rig->nodes[who].is_stopped);
		assert_true(is_whole(rig));
		array_rig_free(rig);
	}
}

/* All are gone in the middle: who starts goes on, the disk is written to from the first moment. */
static void a_rebuild_goes_on_after_all_have_stopped(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= SEEDS; seed++) {
		struct array_rig *rig = running(2, seed);
		struct wish wish;

		fail_role(rig, 1, 1);
		ask(rig, 2, &wish, ARRAY_ADD, "new", 0);
		until_half(rig);
		array_rig_stop(rig, 1);
		array_rig_stop(rig, 2);
		array_rig_run(rig);
		assert_int_equal(rig->disks.state[1], METADATA_DISK_REBUILD);
		array_rig_start(rig, 1);
		assert_true(array_rig_until(rig, 1, ARRAY_ACTIVE));
		assert_int_equal(rig->nodes[1].plane.told[1], METADATA_DISK_REBUILD);
		while (!array_rig_write(rig, 1, 3)) /* it serves in a moment */
			assert_true(array_rig_step(rig));
		array_rig_written(rig, 1, 3);
		array_rig_run(rig);
		assert_true(is_whole(rig));
		array_rig_free(rig);
	}
}

static void a_check_makes_way_for_a_rebuild(void **state)
{
	struct array_rig *rig = running(2, 1);
	struct err err = ERR_INIT;
	struct wish wish;

	(void)state;
	rig->disks.disks = 2;
	ask(rig, 1, &wish, ARRAY_ADD_SPARE, "new", 0);
	array_rig_run(rig);
	rig->nodes[1].plane.holds_sync = true;
	assert_ok(array_check(rig->nodes[1].array, false, &err), err);
	array_rig_run(rig);
	assert_int_equal(rig->nodes[1].events[ARRAY_EVENT_CHECK_STARTED], 1);
	array_rig_disk_fails(rig, 2, 1);
	array_rig_run(rig);
	rig->nodes[1].plane.holds_sync = false;
	array_rig_run(rig);
	assert_int_equal(rig->nodes[1].events[ARRAY_EVENT_CHECK_FINISHED], 1);
	assert_true(is_whole(rig));
	array_rig_free(rig);
}

/*
 * Whoever dies, and whenever: what is left is an array that works, in which no disk is in sync
 * too early, and the next attempt makes it whole.
 */
static void whoever_dies_whenever(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= MANY_SEEDS; seed++) {
		struct array_rig *rig = running(3, seed);
		bool is_back = array_rig_random(rig) % 2;
		int steps = (int)(array_rig_random(rig) % 3000);
		int dead = 1 + (int)(array_rig_random(rig) % 3);
		struct wish wish, again;

		fail_role(rig, 1, 1);
		write_chunk(rig, 1, 5);
		write_chunk(rig, 3, 50);
		ask(rig, 2, &wish, ARRAY_ADD, is_back ? "disk1" : "new", 0);
		for (int i = 0; i < steps && array_rig_step(rig); i++)
			if (i % 50 == 7 && array_rig_write(rig, 1 + i % 3, i % ARRAY_RIG_CHUNKS))
				array_rig_written(rig, 1 + i % 3, i % ARRAY_RIG_CHUNKS);
		array_rig_bury(rig, dead);
		array_rig_run(rig);
		assert_true(wish.is_done);
		if (!is_whole(rig)) {
			ask(rig, dead == 1 ? 2 : 1, &again, ARRAY_ADD, "new", 0);
			array_rig_run(rig);
			assert_ok(again.result, again.change.err);
		}
		assert_true(is_whole(rig));
		array_rig_revive(rig, dead);
		array_rig_start(rig, dead);
		array_rig_run(rig);
		assert_true(array_rig_is_active(rig, dead));
		for (int i = 1; i <= 3; i++)
			array_rig_clear(rig, i);
		array_rig_check_healthy(rig);
		array_rig_free(rig);
	}
}

static void who_asked_and_stops_is_told_that_it_is_not_known(void **state)
{
	struct array_rig *rig = running(2, 1);
	struct err err = ERR_INIT;
	struct wish wish;

	(void)state;
	array_rig_kill(rig, 2); /* TOKEN does not come */
	ask(rig, 1, &wish, ARRAY_ADD, "new", 0);
	array_rig_run_seconds(rig, 1);
	assert_false(wish.is_done);
	array_rig_stop(rig, 1);
	array_rig_run_seconds(rig, 10);
	array_rig_prove(rig, 2);
	array_rig_run(rig);
	assert_refused(wish.result, -ESHUTDOWN, wish.change.err, "stopped");
	assert_refused(array_change(rig->nodes[1].array, &wish.change, &err), -EAGAIN, err,
		       "not active");
	array_rig_free(rig);
}

static void who_asked_and_went_is_not_told(void **state)
{
	struct array_rig *rig = running(2, 1);
	struct wish wish, waits;

	(void)state;
	ask(rig, 1, &wish, ARRAY_ADD, "new", 0);
	ask(rig, 1, &waits, ARRAY_ADD, "new", 0);
	array_change_forget(rig->nodes[1].array, &waits.change);
	array_change_forget(rig->nodes[1].array, &wish.change);
	array_rig_run(rig);
	assert_false(wish.is_done || waits.is_done);
	assert_int_equal(array_rig_look(rig, 1).view->disk_count, 3); /* the first had begun */
	array_rig_free(rig);
}

/* The gate was shut amid the writing: the array has the disk all the same, and that is said. */
static void a_disk_that_came_by_half_a_writing_is_told_as_come(void **state)
{
	struct array_rig *rig = running(3, 5);
	struct wish wish;

	(void)state;
	array_rig_run(rig);
	rig->nodes[2].metadata.halve_come = 1;
	ask(rig, 2, &wish, ARRAY_ADD_SPARE, "new", 0);
	array_rig_run(rig);
	assert_true(wish.is_done);
	assert_int_equal(wish.result, 0);
	ask(rig, 2, &wish, ARRAY_REMOVE, NULL, wish.change.number);
	array_rig_run(rig);
	assert_int_equal(wish.result, 0);

	fail_role(rig, 1, 1);
	write_chunk(rig, 3, 4);
	rig->nodes[1].metadata.halve_come = 1;
	ask(rig, 1, &wish, ARRAY_RE_ADD, "disk1", 0);
	array_rig_run(rig);
	assert_true(wish.is_done);
	assert_int_equal(wish.result, 0);
	assert_true(wish.change.is_re_added);
	assert_true(is_whole(rig));
	array_rig_check_healthy(rig);
	array_rig_free(rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_new_disk_is_rebuilt_by_exactly_one_node),
		cmocka_unit_test(a_disk_added_to_a_whole_array_is_a_spare),
		cmocka_unit_test(a_spare_takes_the_place_of_a_disk_that_fails),
		cmocka_unit_test(a_node_that_does_not_see_the_disk_is_named),
		cmocka_unit_test(a_disk_that_a_plane_cannot_use_is_failed_and_the_next_spare_comes),
		cmocka_unit_test(who_sees_failed_disks_alone_does_not_start),
		cmocka_unit_test(what_one_node_does_not_see_any_more_none_reads),
		cmocka_unit_test(what_is_in_use_is_not_removed),
		cmocka_unit_test(a_disk_that_is_back_gets_what_every_node_wrote_meanwhile),
		cmocka_unit_test(a_disk_that_is_back_waits_for_who_alone_wrote),
		cmocka_unit_test(a_disk_that_is_back_gets_what_the_dead_wrote),
		cmocka_unit_test(a_disk_whose_bits_are_gone_is_not_re_added_but_rebuilt),
		cmocka_unit_test(what_could_not_be_read_is_not_taken_for_copied),
		cmocka_unit_test(what_no_disk_can_read_ends_a_rebuild_with_the_place),
		cmocka_unit_test(what_cannot_be_read_for_a_moment_ends_no_rebuild),
		cmocka_unit_test(a_spare_that_could_not_be_used_is_tried_again),
		cmocka_unit_test(what_is_written_is_said_until_all_have_heard_it),
		cmocka_unit_test(another_goes_on_where_the_dead_one_was),
		cmocka_unit_test(another_goes_on_where_one_that_leaves_was),
		cmocka_unit_test(a_rebuild_goes_on_after_all_have_stopped),
		cmocka_unit_test(a_check_makes_way_for_a_rebuild),
		cmocka_unit_test(whoever_dies_whenever),
		cmocka_unit_test(who_asked_and_stops_is_told_that_it_is_not_known),
		cmocka_unit_test(who_asked_and_went_is_not_told),
		cmocka_unit_test(a_disk_that_came_by_half_a_writing_is_told_as_come),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
