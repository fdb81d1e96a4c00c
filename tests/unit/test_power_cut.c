/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The power is cut before, within and after every single write of create and
 * update; and every single write fails once. What must hold then, on each disk
 * taken alone (md reads a bitmap from one member only) and on all together:
 *
 *	- a superblock that is there is sound, and all slots that it promises are
 *	- every chunk that was dirty before is dirty in some slot
 *	- what is being changed is the old or the new, nothing else
 *	- the same command, given again, finishes the job
 *
 * Several seeds each, because what an unflushed cache keeps is a matter of
 * luck. A failure names scenario, write and seed.
 */
#include "tests/unit/help.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "bitmap/bits.h"
#include "bitmap/update.h"

enum {
	SEEDS = 6,
	SECTORS = 16384,
	LARGE_SECTORS = 2048 + 80000 * 8, /* 80000 chunks of 4 KiB: three pages */
	MAX_CHUNKS = 81920,
};

static const uint8_t old_uuid[16] = "the old array..";
static const uint8_t new_uuid[16] = "the new array..";

struct scenario {
	const char *name;
	size_t disks;
	uint32_t nodes;            /* of the old array; 0: blank disks */
	const char *cluster;       /* of the old array */
	bool is_raid10;
	bool is_assume_clean;
	bool is_large;             /* three pages a slot, bits in the last */
	struct md_update update;   /* what is done to it, or ... */
	struct md_create_params create; /* ... a new one on top, if level is set */
	uint32_t new_nodes;        /* what must come out of it */
	const char *new_cluster;
	const uint8_t *new_uuid;
	uint64_t extra_dirty;      /* chunks that may be dirty afterwards, besides */
};

/* Chunks that are dirty before: one range in each slot of the old array. */
static uint64_t planted_first(const struct scenario *s, uint32_t slot)
{
	return (s->is_large ? 70000 : 7) + 20ull * slot;
}

static struct md_create_params old_params(const struct scenario *s,
					  const struct rig *rig)
{
	struct md_create_params p = rig_params(rig);

	p.uuid = old_uuid;
	p.nodes = s->nodes;
	p.cluster_name = s->cluster;
	p.is_assume_clean = s->is_assume_clean;
	p.bitmap_chunk_bytes = 4096;
	if (s->is_raid10) {
		p.level = MD_LEVEL_RAID10;
		p.chunk_sectors = 128;
	}
	return p;
}

/* The old array: slot 0 cleaned of its first resync, a few bits everywhere. */
static void set_up(const struct scenario *s, struct rig *rig, uint64_t seed)
{
	struct md_create_params p;
	uint32_t slot;

	rig_init(rig, seed, s->disks, s->is_large ? LARGE_SECTORS : SECTORS);
	if (s->nodes == 0)
		return;
	p = old_params(s, rig);
	rig_create(rig, &p);
	if (!s->is_assume_clean) {
		struct md_array array;
		struct err err = ERR_INIT;
		size_t i;

		assert_ok(md_array_load(&array, rig->disks, rig->count, NULL,
					&err), err);
		for (i = 0; i < rig->count; i++) {
			const struct bitmap_geometry *geo = &array.members[i].geo;
			uint8_t *zero = calloc(1, geo->slot_bytes);

			disk_mem_poke(rig->disks[i],
				      geo->start_bytes + BITMAP_SB_BYTES, zero,
				      geo->slot_bytes - BITMAP_SB_BYTES);
			free(zero);
		}
		md_array_fini(&array);
		for (slot = 0; slot < s->nodes; slot++)
			rig_plant(rig, slot, planted_first(s, slot),
				  planted_first(s, slot) + slot);
	}
	for (slot = 0; slot < rig->count; slot++)
		disk_mem_settle(rig->disks[slot]);
}

static int run(const struct scenario *s, struct rig *rig, struct err *err)
{
	uint64_t sectors[RIG_MAX_DISKS];
	const char *names[RIG_MAX_DISKS];
	struct md_create_plan plan;
	struct md_array array;
	size_t i;
	int r;

	if (s->create.level) {
		struct md_create_params p = s->create;

		for (i = 0; i < rig->count; i++) {
			sectors[i] = disk_sectors(rig->disks[i]);
			names[i] = rig->disks[i]->name;
		}
		p.raid_disks = (uint32_t)rig->count;
		assert_ok(md_create_make_plan(&p, sectors, names, rig->count,
					      &plan, err), *err);
		return md_create_execute(&plan, rig->disks, rig->count, NULL, err);
	}
	r = md_array_load(&array, rig->disks, rig->count, s->update.uuid, err);
	if (r < 0)
		return r;
	r = md_update_apply(&array, &s->update, err);
	md_array_fini(&array);
	return r;
}

/* Adds what the slots of this disk alone say; they must all be sound. */
static void gather_disk(struct md_member *m, uint8_t *dirty, const char *where)
{
	struct bitmap_copy copy = md_member_copy(m);
	struct bitmap_slot slot;
	struct err err = ERR_INIT;
	uint32_t n;

	for (n = 0; n < m->geo.nodes; n++) {
		assert_ok(bitmap_slot_init(&slot, &m->geo, n, &err), err);
		if (bitmap_slot_load(&slot, &copy, 1, false, &err) < 0)
			fail_msg("%s: a slot is lost: %s", where, err.text);
		bits_or(dirty, slot.bits, slot.geo.chunks);
		bitmap_slot_fini(&slot);
	}
}

/* Every planted bit is there (an array marked in sync has none that count). */
static void check_nothing_lost(const struct scenario *s, const uint8_t *dirty,
			       const char *where)
{
	uint32_t slot;

	if (s->is_assume_clean)
		return;
	for (slot = 0; slot < s->nodes; slot++) {
		uint64_t c;

		for (c = planted_first(s, slot); c <= planted_first(s, slot) + slot; c++)
			if (!bits_test(dirty, c))
				fail_msg("%s: dirty chunk %llu of slot %u is lost",
					 where, (unsigned long long)c, slot);
	}
}

/* Which array is on this disk: 0 none, 1 the old, 2 the new. */
static int check_disk(const struct scenario *s, struct disk *disk,
		      const char *where)
{
	struct md_member m;
	struct err err = ERR_INIT;
	uint8_t dirty[MAX_CHUNKS / 8] = { 0 };
	int r = md_member_load(&m, disk, &err), found = 0;

	if (r == -ENOENT && s->nodes == 0) {
		md_member_fini(&m);
		return 0;
	}
	if (r < 0 || md_member_load_bitmap(&m, &err) < 0)
		fail_msg("%s: %s", where, err.text);
	gather_disk(&m, dirty, where);
	if (memcmp(m.sb.set_uuid, old_uuid, 16) == 0)
		found = 1;
	if (s->new_uuid && memcmp(m.sb.set_uuid, s->new_uuid, 16) == 0)
		found = 2;
	if (!found)
		fail_msg("%s: %s has a uuid of neither array", where, disk->name);
	if (found == 1 || !s->create.level)
		check_nothing_lost(s, dirty, where);
	if (m.bitmap.nodes != s->nodes && m.bitmap.nodes != s->new_nodes)
		fail_msg("%s: %u nodes", where, m.bitmap.nodes);
	if (strcmp(bitmap_sb_cluster_name(&m.bitmap), s->new_cluster) != 0 &&
	    (!s->cluster ||
	     strcmp(bitmap_sb_cluster_name(&m.bitmap), s->cluster) != 0))
		fail_msg("%s: cluster '%s'", where,
			 bitmap_sb_cluster_name(&m.bitmap));
	if (s->update.mark_count && m.sb.resync_offset == MD_MAX_SECTOR &&
	    bits_any(dirty, MAX_CHUNKS))
		fail_msg("%s: %s: bits are set, but resync_offset says in sync (D11)",
			 where, disk->name);
	md_member_fini(&m);
	return found;
}

/* One mirror of each pair is enough to run a raid10 n2; one disk, a raid1. */
static bool can_run(const struct scenario *s, const int *found, int which)
{
	size_t i;

	if (!s->is_raid10) {
		for (i = 0; i < s->disks; i++)
			if (found[i] == which)
				return true;
		return false;
	}
	for (i = 0; i < s->disks; i += 2)
		if (found[i] != which && found[i + 1] != which)
			return false;
	return true;
}

static void check_all_disks(const struct scenario *s, struct rig *rig,
			    const char *where)
{
	int found[RIG_MAX_DISKS] = { 0 };
	size_t i;

	for (i = 0; i < rig->count; i++)
		found[i] = check_disk(s, rig->disks[i], where);
	if (s->nodes && !can_run(s, found, 1) && !can_run(s, found, 2))
		fail_msg("%s: neither the old nor the new array can run", where);
}

/* What an uninterrupted run, or a repeated one, must come to. */
static void check_done(const struct scenario *s, struct rig *rig,
		       const char *where)
{
	struct md_array array;
	struct err err = ERR_INIT;
	uint8_t dirty[MAX_CHUNKS / 8] = { 0 };
	uint64_t wanted = 0;
	uint32_t slot;
	size_t i;

	if (md_array_load(&array, rig->disks, rig->count, NULL, &err) < 0)
		fail_msg("%s: not finished: %s", where, err.text);
	for (i = 0; i < array.count; i++) {
		const struct md_member *m = &array.members[i];

		assert_int_equal(m->bitmap.nodes, s->new_nodes);
		assert_string_equal(bitmap_sb_cluster_name(&m->bitmap),
				    s->new_cluster);
		assert_int_equal(m->sb.bitmap_offset, BITMAP_OFFSET_SECTORS);
		if (s->new_uuid)
			assert_memory_equal(m->sb.set_uuid, s->new_uuid, 16);
		if (s->update.name)
			assert_string_equal((const char *)m->sb.set_name,
					    s->update.name);
		gather_disk(&array.members[i], dirty, where);
	}
	md_array_fini(&array);
	if (s->create.level)
		return;
	check_nothing_lost(s, dirty, where);
	for (slot = 0; slot < s->nodes && !s->is_assume_clean; slot++)
		wanted += slot + 1;
	/* and no more than was dirty, or asked for: nobody is made to resync */
	assert_int_equal(bits_count(dirty, MAX_CHUNKS), wanted + s->extra_dirty);
}

static uint64_t count_writes(const struct scenario *s)
{
	struct rig rig;
	struct err err = ERR_INIT;
	uint64_t before, after;

	set_up(s, &rig, 1);
	before = disk_world_writes(rig.world);
	assert_ok(run(s, &rig, &err), err);
	after = disk_world_writes(rig.world);
	check_done(s, &rig, s->name);
	rig_fini(&rig);
	return after - before;
}

static void cut_at(const struct scenario *s, uint64_t write, uint64_t seed)
{
	struct rig rig;
	struct err err = ERR_INIT;
	char where[128];

	snprintf(where, sizeof(where), "%s, power cut at write %llu, seed %llu",
		 s->name, (unsigned long long)write, (unsigned long long)seed);
	set_up(s, &rig, seed);
	disk_world_cut_power_after(rig.world, write);
	if (run(s, &rig, &err) == 0 && !disk_world_has_power(rig.world))
		fail_msg("%s: success was reported without power", where);
	disk_world_cut_power(rig.world);
	disk_world_restore_power(rig.world);
	check_all_disks(s, &rig, where);
	if (run(s, &rig, &err) < 0)
		fail_msg("%s: cannot be finished: %s", where, err.text);
	check_done(s, &rig, where);
	check_all_disks(s, &rig, where); /* each alone: md reads one copy */
	rig_fini(&rig);
}

static void fail_at(const struct scenario *s, size_t disk, uint64_t write)
{
	struct rig rig;
	struct err err = ERR_INIT;
	char where[128];
	int r;

	snprintf(where, sizeof(where), "%s, write %llu of disk %zu fails",
		 s->name, (unsigned long long)write, disk);
	set_up(s, &rig, 1);
	disk_mem_fail_nth_write(rig.disks[disk], write);
	r = run(s, &rig, &err);
	if (r < 0 && !strstr(err.text, rig.disks[disk]->name))
		fail_msg("%s: '%s' does not name the disk", where, err.text);
	check_all_disks(s, &rig, where);
	if (r < 0 && run(s, &rig, &err) < 0)
		fail_msg("%s: cannot be finished: %s", where, err.text);
	check_done(s, &rig, where);
	check_all_disks(s, &rig, where);
	rig_fini(&rig);
}

static void survives(const struct scenario *s)
{
	uint64_t writes = count_writes(s), w, seed;
	size_t disk;

	for (w = 0; w <= writes; w++)
		for (seed = 1; seed <= SEEDS; seed++)
			cut_at(s, w, seed);
	for (disk = 0; disk < s->disks; disk++)
		for (w = 1; w <= writes / s->disks + 1; w++)
			fail_at(s, disk, w);
	print_message("%s: %llu writes\n", s->name, (unsigned long long)writes);
}

static const struct md_create_params a_new_array = {
	.level = MD_LEVEL_RAID1,
	.bitmap_chunk_bytes = 4096,
	.nodes = 3,
	.cluster_name = "beta",
	.name = "host:new",
	.uuid = new_uuid,
	.now_s = 1700001000,
};

static void create_on_blank_disks(void **state)
{
	const struct scenario s = {
		.name = "create on blank disks", .disks = 2,
		.create = a_new_array, .new_nodes = 3, .new_cluster = "beta",
		.new_uuid = new_uuid,
	};

	(void)state;
	survives(&s);
}

static void create_over_an_old_array(void **state)
{
	const struct scenario s = {
		.name = "create over an old array", .disks = 2, .nodes = 4,
		.cluster = "alpha", .create = a_new_array, .new_nodes = 3,
		.new_cluster = "beta", .new_uuid = new_uuid,
	};

	(void)state;
	survives(&s);
}

static void create_over_an_old_raid10(void **state)
{
	struct scenario s = {
		.name = "create raid10 over raid10", .disks = 4, .nodes = 2,
		.cluster = "alpha", .is_raid10 = true, .create = a_new_array,
		.new_nodes = 3, .new_cluster = "beta", .new_uuid = new_uuid,
	};

	(void)state;
	s.create.level = MD_LEVEL_RAID10;
	s.create.chunk_sectors = 128;
	survives(&s);
}

static void update_to_more_nodes(void **state)
{
	const struct scenario s = {
		.name = "more nodes", .disks = 2, .nodes = 2, .cluster = "alpha",
		.update = { .nodes = 5 }, .new_nodes = 5, .new_cluster = "alpha",
	};

	(void)state;
	survives(&s);
}

static void update_to_fewer_nodes(void **state)
{
	const struct scenario s = {
		.name = "fewer nodes", .disks = 3, .nodes = 5, .cluster = "alpha",
		.update = { .nodes = 2 }, .new_nodes = 2, .new_cluster = "alpha",
	};

	(void)state;
	survives(&s);
}

static void update_to_fewer_nodes_with_slots_of_many_pages(void **state)
{
	const struct scenario s = {
		.name = "fewer nodes, many pages", .disks = 2, .nodes = 3,
		.cluster = "alpha", .is_large = true, .update = { .nodes = 2 },
		.new_nodes = 2, .new_cluster = "alpha",
	};

	(void)state;
	survives(&s);
}

static void update_of_the_cluster_name(void **state)
{
	const struct scenario s = {
		.name = "cluster name", .disks = 2, .nodes = 3,
		.cluster = "alpha", .update = { .cluster_name = "gamma" },
		.new_nodes = 3, .new_cluster = "gamma",
	};

	(void)state;
	survives(&s);
}

static void update_of_the_array_name(void **state)
{
	const struct scenario s = {
		.name = "array name", .disks = 2, .nodes = 2, .cluster = "alpha",
		.update = { .name = "other:name" }, .new_nodes = 2,
		.new_cluster = "alpha",
	};

	(void)state;
	survives(&s);
}

static void update_of_the_uuid(void **state)
{
	const struct scenario s = {
		.name = "uuid", .disks = 2, .nodes = 3, .cluster = "alpha",
		.update = { .uuid = new_uuid }, .new_nodes = 3,
		.new_cluster = "alpha", .new_uuid = new_uuid,
	};

	(void)state;
	survives(&s);
}

static void update_of_everything_at_once(void **state)
{
	const struct md_mark mark = { .slot = 1, .first = 500, .last = 509 };
	const struct scenario s = {
		.name = "everything", .disks = 2, .nodes = 4, .cluster = "alpha",
		.update = { .nodes = 3, .cluster_name = "gamma", .name = "x",
			    .uuid = new_uuid, .marks = &mark, .mark_count = 1 },
		.new_nodes = 3, .new_cluster = "gamma", .new_uuid = new_uuid,
		.extra_dirty = 10,
	};

	(void)state;
	survives(&s);
}

static void gathering_into_slot_0(void **state)
{
	const struct scenario s = {
		.name = "gather", .disks = 2, .nodes = 4, .cluster = "alpha",
		.update = { .is_gathered = true }, .new_nodes = 4,
		.new_cluster = "alpha",
	};

	(void)state;
	survives(&s);
}

/* D11: an array marked in sync first learns that its bits count. */
static void marking_an_array_that_was_in_sync(void **state)
{
	const struct md_mark mark = { .slot = 1, .first = 30, .last = 49 };
	const struct scenario s = {
		.name = "mark in sync", .disks = 2, .nodes = 2,
		.cluster = "alpha", .is_assume_clean = true,
		.update = { .marks = &mark, .mark_count = 1 }, .new_nodes = 2,
		.new_cluster = "alpha", .extra_dirty = 20,
	};

	(void)state;
	survives(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(create_on_blank_disks),
		cmocka_unit_test(create_over_an_old_array),
		cmocka_unit_test(create_over_an_old_raid10),
		cmocka_unit_test(update_to_more_nodes),
		cmocka_unit_test(update_to_fewer_nodes),
		cmocka_unit_test(update_to_fewer_nodes_with_slots_of_many_pages),
		cmocka_unit_test(update_of_the_cluster_name),
		cmocka_unit_test(update_of_the_array_name),
		cmocka_unit_test(update_of_the_uuid),
		cmocka_unit_test(update_of_everything_at_once),
		cmocka_unit_test(gathering_into_slot_0),
		cmocka_unit_test(marking_an_array_that_was_in_sync),
	};

	return cmocka_run_group_tests_name("power cuts", tests, NULL, NULL);
}
