/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Offline update: results and refusals; power cuts are in test_power_cut.c. */
#include "tests/unit/help.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "bitmap/bits.h"
#include "bitmap/grow.h"
#include "bitmap/owner.h"
#include "bitmap/relocate.h"
#include "bitmap/update.h"

enum { SECTORS = 16384 };

static void make(struct rig *rig, size_t disks, uint32_t nodes)
{
	struct md_create_params p;

	rig_init(rig, 1, disks, SECTORS);
	p = rig_params(rig);
	p.nodes = nodes;
	p.is_assume_clean = true;
	rig_create(rig, &p);
}

static int apply(struct rig *rig, const struct md_update *update,
		 struct err *err)
{
	struct md_array array;
	int r = md_update_load(&array, rig->disks, rig->count, update, err);

	if (r < 0)
		return r;
	r = md_update_apply(&array, update, err);
	md_array_fini(&array);
	return r;
}

static void edit(struct disk *disk, uint64_t events, uint64_t resync_offset,
		 uint32_t features)
{
	struct md_member m;
	struct err err = ERR_INIT;

	assert_ok(md_member_load(&m, disk, &err), err);
	m.sb.events += events;
	m.sb.resync_offset = resync_offset;
	m.sb.feature_map |= features;
	assert_ok(md_member_store(&m, &err), err);
	md_member_fini(&m);
}

static struct md_sb superblock(struct disk *disk)
{
	struct md_member m;
	struct err err = ERR_INIT;

	assert_ok(md_member_load(&m, disk, &err), err);
	md_member_fini(&m);
	return m.sb;
}

/* Nothing was written: the writes of the world did not move. */
static void refused(struct rig *rig, const struct md_update *update, int code,
		    const char *word, const char *other)
{
	uint64_t writes = disk_world_writes(rig->world);
	struct err err = ERR_INIT;

	assert_refused(apply(rig, update, &err), code, err, word, other);
	assert_true(disk_world_writes(rig->world) == writes);
}

static void impossible_updates_are_refused_before_any_write(void **state)
{
	const struct md_mark no_slot = { .slot = 4, .first = 0, .last = 0 };
	const struct md_mark no_chunk = { .slot = 0, .first = 0, .last = 99999 };
	const struct md_mark backwards = { .slot = 0, .first = 9, .last = 8 };
	char name[65];
	struct rig rig;

	(void)state;
	make(&rig, 2, 4);
	memset(name, 'n', 64);
	name[64] = '\0';
#define REFUSED(code, word, other, ...)                                        \
	refused(&rig, &(struct md_update){ __VA_ARGS__ }, code, word, other)
	REFUSED(-EINVAL, "nodes", "2..64", .nodes = 1);
	REFUSED(-EINVAL, "nodes", "65", .nodes = 65);
	REFUSED(-EINVAL, "home-cluster", "64", .cluster_name = name);
	REFUSED(-EINVAL, "name", "32", .name = name);
	REFUSED(-EINVAL, "slot 4", "0..3", .marks = &no_slot, .mark_count = 1);
	REFUSED(-EINVAL, "99999", "range", .marks = &no_chunk, .mark_count = 1);
	REFUSED(-EINVAL, "9-8", "range", .marks = &backwards, .mark_count = 1);
	edit(rig.disks[1], 0, 0, MD_FEATURE_RESHAPE_ACTIVE);
	REFUSED(-EBUSY, "b: ", "reshape", .nodes = 8);
#undef REFUSED
	rig_fini(&rig);
}

static void member_that_is_out_of_date_is_refused(void **state)
{
	struct rig rig;

	(void)state;
	make(&rig, 2, 4);
	edit(rig.disks[0], 2, 0, 0);
	refused(&rig, &(struct md_update){ .nodes = 8 }, -ESTALE, "b: ", "events");
	rig_fini(&rig);
}

/* A slot that no disk can give: found out before the first write, not after. */
static void lost_slot_is_refused_before_any_write(void **state)
{
	static const uint8_t uuid[16] = "another uuid...";
	const struct md_update updates[] = {
		{ .nodes = 2 }, { .nodes = 8 }, { .is_gathered = true },
		{ .cluster_name = "beta" }, { .uuid = uuid },
	};
	struct rig rig;
	struct err err = ERR_INIT;
	size_t i;

	(void)state;
	make(&rig, 2, 4);
	for (i = 0; i < 2; i++)
		disk_mem_poke(rig.disks[i], 8192 + 3 * 4096, "gone", 4);
	for (i = 0; i < sizeof(updates) / sizeof(*updates); i++)
		refused(&rig, &updates[i], -ENOENT, "slot 3", "magic");
	/* by force it comes back, with all chunks dirty */
	assert_ok(apply(&rig, &(struct md_update){ .nodes = 4, .is_forced = true },
			&err), err);
	assert_true(rig_dirty(&rig, 3) > 100);
	assert_int_equal(rig_dirty(&rig, 2), 0);
	rig_fini(&rig);
}

/*
 * Without all members nothing is done, unless forced; and then the one that
 * was left out can no longer be taken for an equal.
 */
static void member_left_out_falls_behind(void **state)
{
	struct rig rig;
	struct md_array array;
	struct err err = ERR_INIT;
	struct md_update update = { .nodes = 8 };

	(void)state;
	make(&rig, 2, 4);
	rig.count = 1;
	refused(&rig, &update, -ENOENT, "1 of 2", "--force");
	update.is_forced = true;
	assert_ok(apply(&rig, &update, &err), err);
	rig.count = 2;
	assert_ok(md_array_load(&array, rig.disks, 2, NULL, &err), err);
	assert_false(md_array_is_stale(&array, &array.members[0]));
	assert_true(md_array_is_stale(&array, &array.members[1]));
	md_array_fini(&array);
	rig_fini(&rig);
}

static void more_nodes_that_do_not_fit_are_refused_with_the_number(void **state)
{
	struct rig rig;
	struct md_create_params p;

	(void)state;
	rig_init(&rig, 1, 2, SECTORS);
	p = rig_params(&rig);
	p.data_offset_sectors = 64; /* six slots behind the superblock */
	rig_create(&rig, &p);
	refused(&rig, &(struct md_update){ .nodes = 7 }, -ENOSPC, "nodes",
		"at most 6");
	rig_fini(&rig);
}

/* mdadm's way to say "clean": slot 0 all ones, resync_offset all-ones. */
static void first_mark_does_not_give_old_ones_a_meaning(void **state)
{
	const struct md_mark mark = { .slot = 2, .first = 3, .last = 4 };
	const struct md_update update = { .marks = &mark, .mark_count = 1 };
	struct rig rig;
	struct err err = ERR_INIT;

	(void)state;
	make(&rig, 2, 4);
	rig_plant(&rig, 0, 0, 100);
	assert_ok(apply(&rig, &update, &err), err);
	assert_int_equal(superblock(rig.disks[0]).resync_offset, 0);
	assert_int_equal(superblock(rig.disks[1]).resync_offset, 0);
	assert_int_equal(rig_dirty(&rig, 0), 0);
	assert_int_equal(rig_dirty(&rig, 2), 2);
	/* the second mark finds bits that do count, and keeps them */
	assert_ok(apply(&rig, &update, &err), err);
	assert_int_equal(rig_dirty(&rig, 2), 2);
	rig_fini(&rig);
}

/* A cut left one member at 0, the other at max: the bits count. */
static void bits_count_if_any_member_says_so(void **state)
{
	const struct md_mark mark = { .slot = 2, .first = 3, .last = 4 };
	const struct md_update update = { .marks = &mark, .mark_count = 1 };
	struct rig rig;
	struct err err = ERR_INIT;

	(void)state;
	make(&rig, 2, 4);
	edit(rig.disks[0], 0, 0, 0);
	rig_plant(&rig, 1, 10, 12);
	assert_ok(apply(&rig, &update, &err), err);
	assert_int_equal(rig_dirty(&rig, 1), 3);
	assert_int_equal(superblock(rig.disks[1]).resync_offset, 0);
	rig_fini(&rig);
}

/*
 * Interrupted "more nodes": a already promises 8 slots, b still 4. A node then
 * used slot 6. Going on must keep its bits, whichever disk comes first.
 */
static void slots_that_one_member_promises_are_not_made_anew(void **state)
{
	const struct md_update update = { .nodes = 8 };
	struct rig rig;
	struct err err = ERR_INIT;
	struct disk *swap;
	uint8_t four[4] = { 4, 0, 0, 0 };

	(void)state;
	make(&rig, 2, 8);
	rig_plant(&rig, 6, 20, 29);
	disk_mem_poke(rig.disks[1], 8192 + 68, four, sizeof(four));
	swap = rig.disks[0];
	rig.disks[0] = rig.disks[1];
	rig.disks[1] = swap;
	assert_ok(apply(&rig, &update, &err), err);
	assert_int_equal(rig_dirty(&rig, 6), 10);
	rig_fini(&rig);
}

/* The one that is left out went on alone: it may even be ahead by now. */
static void member_left_out_is_faulty_however_far_it_went(void **state)
{
	const struct md_update update = { .nodes = 8, .is_forced = true };
	uint64_t ahead;

	(void)state;
	for (ahead = 1; ahead <= 3; ahead++) {
		struct rig rig;
		struct md_array array;
		struct err err = ERR_INIT;
		const struct md_member *best;

		make(&rig, 2, 4);
		edit(rig.disks[1], ahead, 0, 0);
		rig.count = 1;
		assert_ok(apply(&rig, &update, &err), err);
		assert_int_equal(superblock(rig.disks[0]).roles[1],
				 MD_ROLE_FAULTY);
		rig.count = 2;
		assert_ok(md_array_load(&array, rig.disks, 2, NULL, &err), err);
		/* never both: one of them is not believed, whichever is fresher */
		best = md_array_freshest(&array);
		assert_false(best == &array.members[0] &&
			     md_array_is_in_sync(&array, &array.members[1]));
		md_array_fini(&array);
		rig_fini(&rig);
	}
}

/* Made by one script in one second: only names and uuids tell them apart. */
static void uuid_of_another_array_does_not_join_the_two(void **state)
{
	static const uint8_t one[16] = "array number 1", two[16] = "array number 2";
	struct rig first, second, mixed;
	struct md_create_params p;
	struct err err = ERR_INIT;

	(void)state;
	rig_init(&first, 1, 2, SECTORS);
	rig_init(&second, 1, 2, SECTORS);
	p = rig_params(&first);
	p.uuid = one;
	rig_create(&first, &p);
	p.uuid = two;
	p.name = "host:other";
	rig_create(&second, &p);
	mixed = first;
	mixed.disks[1] = second.disks[1];
	assert_refused(apply(&mixed, &(struct md_update){ .uuid = one }, &err),
		       -EBADMSG, err, "b: ", "set_uuid");
	rig_fini(&first);
	rig_fini(&second);
}

/* A slot area before the superblock must not grow over it. */
static void more_nodes_never_reach_the_superblock(void **state)
{
	struct rig rig;
	struct md_member m;
	struct err err = ERR_INIT;
	uint8_t slot[4096];
	size_t i;

	(void)state;
	make(&rig, 2, 2);
	for (i = 0; i < 2; i++) {
		disk_mem_peek(rig.disks[i], 8192, slot, sizeof(slot));
		slot[68] = 1; /* one node, at the start of the disk */
		disk_mem_poke(rig.disks[i], 0, slot, sizeof(slot));
		assert_ok(md_member_load(&m, rig.disks[i], &err), err);
		m.sb.bitmap_offset = -8;
		assert_ok(md_member_store(&m, &err), err);
		md_member_fini(&m);
	}
	refused(&rig, &(struct md_update){ .nodes = 4 }, -EBADMSG,
		"bitmap_offset", "superblock");
	rig_fini(&rig);
}

/* Home is where create puts it, but not if the data begins there. */
static void bitmap_behind_early_data_stays_where_it_is(void **state)
{
	static const uint8_t uuid[16] = "the very same.."; 
	struct rig rig;
	struct md_create_params p;
	struct err err = ERR_INIT;
	uint8_t slots[4 * 4096], data[512];
	size_t i;

	(void)state;
	rig_init(&rig, 1, 2, SECTORS);
	p = rig_params(&rig);
	p.uuid = uuid;
	p.size_sectors = 8192;
	rig_create(&rig, &p);
	for (i = 0; i < 2; i++) {
		struct md_member m;

		disk_mem_peek(rig.disks[i], 8192, slots, sizeof(slots));
		disk_mem_poke(rig.disks[i], 16000 * 512, slots, sizeof(slots));
		memset(data, 0xda, sizeof(data));
		disk_mem_poke(rig.disks[i], 8192, data, sizeof(data));
		assert_ok(md_member_load(&m, rig.disks[i], &err), err);
		m.sb.data_offset = 16;
		m.sb.data_size = 8192;
		m.sb.bitmap_offset = 16000 - 8;
		assert_ok(md_member_store(&m, &err), err);
		md_member_fini(&m);
	}
	assert_ok(apply(&rig, &(struct md_update){ .uuid = uuid }, &err), err);
	disk_mem_peek(rig.disks[0], 8192, data, sizeof(data));
	assert_int_equal(data[0] & data[511], 0xda);
	rig_fini(&rig);
}

/* B45: a's copy cannot be read, b's was never written: not "clean". */
static void copy_that_cannot_be_read_is_never_written_over(void **state)
{
	struct md_update update = { .cluster_name = "beta" };
	struct rig rig;
	struct err err = ERR_INIT;
	uint64_t at = 8192 + 3 * 4096;

	(void)state;
	make(&rig, 2, 4);
	edit(rig.disks[0], 0, 0, 0);
	edit(rig.disks[1], 0, 0, 0);
	disk_mem_poke(rig.disks[0], at + 256, "\xff", 1);
	disk_mem_set_fault(rig.disks[0], DISK_MEM_FAIL_READS, at, 4096);
	refused(&rig, &update, -EIO, "a: ", "read");
	/* by force: then all of it is dirty */
	update.is_forced = true;
	assert_ok(apply(&rig, &update, &err), err);
	disk_mem_set_fault(rig.disks[0], DISK_MEM_NO_FAULT, 0, 0);
	assert_true(rig_dirty(&rig, 3) > 100);
	assert_int_equal(rig_dirty(&rig, 2), 0);
	rig_fini(&rig);
}

/* md ignores bits below resync_offset, whatever it is (D11). */
static void mark_counts_whatever_resync_offset_was(void **state)
{
	const struct md_mark mark = { .slot = 1, .first = 3, .last = 4 };
	const struct md_update update = { .marks = &mark, .mark_count = 1 };
	struct rig rig;
	struct err err = ERR_INIT;

	(void)state;
	make(&rig, 2, 4);
	edit(rig.disks[0], 0, 4096, 0);
	edit(rig.disks[1], 0, 4096, 0);
	rig_plant(&rig, 2, 7, 7);
	assert_ok(apply(&rig, &update, &err), err);
	assert_int_equal(superblock(rig.disks[0]).resync_offset, 0);
	assert_int_equal(superblock(rig.disks[1]).resync_offset, 0);
	assert_int_equal(rig_dirty(&rig, 2), 1);
	rig_fini(&rig);
}

/* A node in a new slot must not take an old member for nearly current. */
static void new_slots_get_the_highest_events_cleared(void **state)
{
	const struct md_update update = { .nodes = 6 };
	struct rig rig;
	struct err err = ERR_INIT;
	uint8_t cleared[8] = { 200, 0, 0, 0, 0, 0, 0, 0 };
	size_t i;

	(void)state;
	make(&rig, 2, 4);
	for (i = 0; i < 2; i++)
		disk_mem_poke(rig.disks[i], 8192 + 2 * 4096 + 32, cleared, 8);
	assert_ok(apply(&rig, &update, &err), err);
	disk_mem_peek(rig.disks[1], 8192 + 5 * 4096 + 32, cleared, 8);
	assert_int_equal(cleared[0], 200);
	rig_fini(&rig);
}

static void events_of_slots_and_members_stay(void **state)
{
	const struct md_update update = { .nodes = 6, .cluster_name = "beta",
					  .name = "x" };
	struct rig rig;
	struct err err = ERR_INIT;
	uint8_t events[8] = { 22, 0, 0, 0, 0, 0, 0, 0 };

	(void)state;
	make(&rig, 2, 4);
	edit(rig.disks[0], 40, 0, 0);
	edit(rig.disks[1], 40, 0, 0);
	disk_mem_poke(rig.disks[0], 8192 + 4096 + 24, events, 8);
	disk_mem_poke(rig.disks[1], 8192 + 4096 + 24, events, 8);
	assert_ok(apply(&rig, &update, &err), err);
	assert_int_equal(superblock(rig.disks[0]).events, 40);
	disk_mem_peek(rig.disks[1], 8192 + 4096 + 24, events, 8);
	assert_int_equal(events[0], 22);
	rig_fini(&rig);
}

/* Fewer nodes: nothing of the slots that went is left to be found. */
static void slots_that_went_are_erased(void **state)
{
	const struct md_update update = { .nodes = 2 };
	struct rig rig;
	struct err err = ERR_INIT;
	uint8_t page[4096], zero[4096] = { 0 };
	uint32_t n;

	(void)state;
	make(&rig, 2, 4);
	rig_plant(&rig, 3, 9, 9);
	assert_ok(apply(&rig, &update, &err), err);
	for (n = 2; n < 4; n++) {
		disk_mem_peek(rig.disks[1], 8192 + n * 4096, page, sizeof(page));
		assert_memory_equal(page, zero, sizeof(page));
	}
	assert_int_equal(rig_dirty(&rig, 0), 1);
	rig_fini(&rig);
}

static void uuid_that_does_not_fit_twice_is_refused(void **state)
{
	static const uint8_t uuid[16] = "another uuid...";
	struct rig rig;
	struct md_create_params p;
	struct err err = ERR_INIT;

	(void)state;
	rig_init(&rig, 1, 2, SECTORS);
	p = rig_params(&rig);
	p.data_offset_sectors = 72; /* seven slots of room, four are used */
	rig_create(&rig, &p);
	refused(&rig, &(struct md_update){ .uuid = uuid }, -ENOSPC, "a: ",
		"second copy");
	/* nor is the rest begun; with fewer nodes it fits */
	refused(&rig, &(struct md_update){ .nodes = 6, .uuid = uuid }, -ENOSPC,
		"a: ", "second copy");
	assert_ok(apply(&rig, &(struct md_update){ .nodes = 3 }, &err), err);
	assert_ok(apply(&rig, &(struct md_update){ .uuid = uuid }, &err), err);
	rig_fini(&rig);
}

static void nothing_is_left_where_the_bitmap_was_meanwhile(void **state)
{
	static const uint8_t uuid[16] = "another uuid...";
	const struct md_update update = { .uuid = uuid };
	struct rig rig;
	struct err err = ERR_INIT;
	uint8_t room[1 << 18], zero[1 << 18] = { 0 };

	(void)state;
	make(&rig, 2, 4);
	assert_ok(apply(&rig, &update, &err), err);
	disk_mem_peek(rig.disks[0], 8192 + 4 * 4096, room, sizeof(room));
	assert_memory_equal(room, zero, sizeof(room));
	assert_memory_equal(superblock(rig.disks[1]).set_uuid, uuid, 16);
	rig_fini(&rig);
}

static void room_is_found_before_or_behind_what_is_busy(void **state)
{
	const uint64_t none = UINT64_MAX;

	(void)state;
	/* home is free */
	assert_int_equal(md_relocate_find_room(8192, 1 << 20, 65536, 81920, 16384),
			 8192);
	/* home is busy */
	assert_int_equal(md_relocate_find_room(8192, 1 << 20, 8192, 24576, 16384),
			 24576);
	/* busy is smaller than what comes: home must stay free for the way back */
	assert_int_equal(md_relocate_find_room(8192, 1 << 20, 8192, 12288, 16384),
			 24576);
	assert_true(md_relocate_find_room(8192, 40959, 8192, 24576, 16384) == none);
	assert_int_equal(md_relocate_find_room(8192, 40960, 8192, 24576, 16384),
			 24576);
}

/* --- of a plain array: whose it is ------------------------------------------------------- */

static void make_plain(struct rig *rig, uint64_t seed)
{
	const struct md_grow none = { .bitmap = MD_BITMAP_NONE, .host = "node1" };
	struct md_create_params p;
	struct md_array array;
	struct err err = ERR_INIT;

	rig_init(rig, seed, 2, SECTORS);
	p = rig_params(rig);
	p.is_assume_clean = true;
	rig_create(rig, &p);
	assert_ok(md_array_load_halves(&array, rig->disks, rig->count, &err), err);
	assert_ok(md_grow_apply(&array, &none, &err), err);
	md_array_fini(&array);
}

static const char *owner_of(struct disk *disk)
{
	static struct md_owner owner;
	struct err err = ERR_INIT;
	struct md_member m;

	assert_ok(md_member_load(&m, disk, &err), err);
	if (!md_owner_read(&m.sb, m.block, &owner))
		fail_msg("%s is nobody's", disk->name);
	md_member_fini(&m);
	return owner.host;
}

static void the_owner_of_a_plain_array_is_the_old_or_the_new_one_at_every_power_cut(void **state)
{
	const struct md_update update = { .host = "node2" };
	struct err err = ERR_INIT;
	bool has_power = false;
	struct rig rig;

	(void)state;
	for (uint64_t write = 0; !has_power; write++)
		for (uint64_t seed = 1; seed <= 8; seed++) {
			make_plain(&rig, seed);
			disk_world_cut_power_after(rig.world, write);
			(void)apply(&rig, &update, &err);
			has_power = disk_world_has_power(rig.world);
			disk_world_cut_power(rig.world);
			disk_world_restore_power(rig.world);
			for (size_t i = 0; i < rig.count; i++)
				if (strcmp(owner_of(rig.disks[i]), "node1") != 0)
					assert_string_equal(owner_of(rig.disks[i]), "node2");
			err = (struct err)ERR_INIT;
			assert_ok(apply(&rig, &update, &err), err);
			for (size_t i = 0; i < rig.count; i++)
				assert_string_equal(owner_of(rig.disks[i]), "node2");
			rig_fini(&rig);
		}
}

static void all_else_of_a_plain_array_is_mdadms(void **state)
{
	const struct md_update wishes[] = {
		{ .name = "x" }, { .host = "node2", .nodes = 3 },
		{ .host = "node2", .is_gathered = true }, { .host = "node2", .cluster_name = "b" },
	};
	struct err err = ERR_INIT;
	struct rig rig;

	(void)state;
	make_plain(&rig, 1);
	for (size_t i = 0; i < sizeof(wishes) / sizeof(wishes[0]); i++) {
		assert_true(apply(&rig, &wishes[i], &err) < 0);
		err = (struct err)ERR_INIT;
	}
	assert_string_equal(owner_of(rig.disks[0]), "node1");
	rig_fini(&rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(impossible_updates_are_refused_before_any_write),
		cmocka_unit_test(member_that_is_out_of_date_is_refused),
		cmocka_unit_test(lost_slot_is_refused_before_any_write),
		cmocka_unit_test(member_left_out_falls_behind),
		cmocka_unit_test(more_nodes_that_do_not_fit_are_refused_with_the_number),
		cmocka_unit_test(first_mark_does_not_give_old_ones_a_meaning),
		cmocka_unit_test(bits_count_if_any_member_says_so),
		cmocka_unit_test(slots_that_one_member_promises_are_not_made_anew),
		cmocka_unit_test(member_left_out_is_faulty_however_far_it_went),
		cmocka_unit_test(uuid_of_another_array_does_not_join_the_two),
		cmocka_unit_test(more_nodes_never_reach_the_superblock),
		cmocka_unit_test(bitmap_behind_early_data_stays_where_it_is),
		cmocka_unit_test(copy_that_cannot_be_read_is_never_written_over),
		cmocka_unit_test(mark_counts_whatever_resync_offset_was),
		cmocka_unit_test(new_slots_get_the_highest_events_cleared),
		cmocka_unit_test(events_of_slots_and_members_stay),
		cmocka_unit_test(slots_that_went_are_erased),
		cmocka_unit_test(uuid_that_does_not_fit_twice_is_refused),
		cmocka_unit_test(nothing_is_left_where_the_bitmap_was_meanwhile),
		cmocka_unit_test(room_is_found_before_or_behind_what_is_busy),
		cmocka_unit_test(
			the_owner_of_a_plain_array_is_the_old_or_the_new_one_at_every_power_cut),
		cmocka_unit_test(all_else_of_a_plain_array_is_mdadms),
	};

	return cmocka_run_group_tests_name("update", tests, NULL, NULL);
}
