/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Members and arrays: who belongs together, who is believed. */
#include "tests/unit/help.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "bitmap/bits.h"

enum { SECTORS = 16384 };

/* Changes the superblock of one disk by a function, checksum and all. */
static void edit(struct disk *disk, void (*change)(struct md_sb *sb))
{
	struct md_member m;
	struct err err = ERR_INIT;

	assert_ok(md_member_load(&m, disk, &err), err);
	change(&m.sb);
	assert_ok(md_member_store(&m, &err), err);
	md_member_fini(&m);
}

static void later_by_one(struct md_sb *sb)
{
	sb->events++;
}

static void later_by_two(struct md_sb *sb)
{
	sb->events += 2;
}

static void other_uuid(struct md_sb *sb)
{
	sb->set_uuid[0] ^= 1;
}

static void other_level(struct md_sb *sb)
{
	sb->level = MD_LEVEL_RAID10;
	sb->layout = 0x102;
	sb->chunksize = 128;
}

static void other_size(struct md_sb *sb)
{
	sb->size -= 128;
}

static void other_disks(struct md_sb *sb)
{
	sb->raid_disks++;
}

static void other_ctime(struct md_sb *sb)
{
	sb->ctime++;
}

static void same_number(struct md_sb *sb)
{
	sb->dev_number = 0;
}

static void under_repair(struct md_sb *sb)
{
	sb->feature_map |= MD_FEATURE_RECOVERY_OFFSET;
}

static void second_is_faulty(struct md_sb *sb)
{
	sb->roles[1] = MD_ROLE_FAULTY;
}

static void two_disks(struct rig *rig)
{
	struct md_create_params p;

	rig_init(rig, 1, 2, SECTORS);
	p = rig_params(rig);
	rig_create(rig, &p);
}

static void members_of_different_arrays_are_refused_by_field(void **state)
{
	static const struct {
		void (*change)(struct md_sb *sb);
		const char *field;
	} cases[] = {
		{ other_uuid, "set_uuid" },      { other_level, "level" },
		{ other_size, "size" },          { other_disks, "raid_disks" },
		{ other_ctime, "ctime" },        { same_number, "dev_number" },
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct rig rig;
		struct md_array array;
		struct err err = ERR_INIT;

		two_disks(&rig);
		edit(rig.disks[1], cases[i].change);
		assert_refused(md_array_load(&array, rig.disks, 2, NULL, &err),
			       -EBADMSG, err, "b: ", cases[i].field, "a");
		rig_fini(&rig);
	}
}

static void member_one_event_behind_counts_and_two_behind_does_not(void **state)
{
	struct rig rig;
	struct md_array array;
	struct err err = ERR_INIT;

	(void)state;
	two_disks(&rig);
	edit(rig.disks[1], later_by_one);
	assert_ok(md_array_load(&array, rig.disks, 2, NULL, &err), err);
	assert_int_equal(array.freshest, 1);
	assert_true(md_array_is_in_sync(&array, &array.members[0]));
	md_array_fini(&array);
	edit(rig.disks[1], later_by_one);
	assert_ok(md_array_load(&array, rig.disks, 2, NULL, &err), err);
	assert_true(md_array_is_stale(&array, &array.members[0]));
	assert_false(md_array_is_in_sync(&array, &array.members[0]));
	md_array_fini(&array);
	rig_fini(&rig);
}

/* The last update may have failed a member that is only one event behind. */
static void role_comes_from_the_freshest_member(void **state)
{
	struct rig rig;
	struct md_array array;
	struct err err = ERR_INIT;

	(void)state;
	two_disks(&rig);
	edit(rig.disks[0], second_is_faulty);
	edit(rig.disks[0], later_by_one);
	assert_ok(md_array_load(&array, rig.disks, 2, NULL, &err), err);
	assert_int_equal(md_sb_role(&array.members[1].sb), 1);
	assert_int_equal(md_array_role(&array, &array.members[1]),
			 MD_ROLE_FAULTY);
	assert_false(md_array_is_in_sync(&array, &array.members[1]));
	md_array_fini(&array);
	rig_fini(&rig);
}

/* D12: a member that is still being rebuilt has slots that say nothing. */
static void member_under_repair_is_not_read(void **state)
{
	struct rig rig;
	struct md_array array;
	struct bitmap_copy copies[2];
	struct err err = ERR_INIT;

	(void)state;
	two_disks(&rig);
	edit(rig.disks[0], under_repair);
	assert_ok(md_array_load(&array, rig.disks, 2, NULL, &err), err);
	assert_int_equal(md_array_copies(&array, true, copies), 1);
	assert_ptr_equal(copies[0].disk, rig.disks[1]);
	assert_int_equal(md_array_copies(&array, false, copies), 2);
	md_array_fini(&array);
	rig_fini(&rig);
}

static void missing_members_are_counted(void **state)
{
	struct rig rig;
	struct md_array array;
	struct err err = ERR_INIT;

	(void)state;
	two_disks(&rig);
	assert_ok(md_array_load(&array, rig.disks, 1, NULL, &err), err);
	assert_int_equal(md_array_missing(&array), 1);
	md_array_fini(&array);
	rig_fini(&rig);
}

static void stale_spare_does_not_become_freshest(void **state)
{
	struct rig rig;
	struct md_create_params p;
	struct md_array array;
	struct err err = ERR_INIT;

	(void)state;
	rig_init(&rig, 1, 3, SECTORS);
	p = rig_params(&rig);
	p.raid_disks = 2;
	p.spare_disks = 1;
	rig_create(&rig, &p);
	edit(rig.disks[2], later_by_two);
	edit(rig.disks[2], later_by_two);
	assert_ok(md_array_load(&array, rig.disks, 3, NULL, &err), err);
	assert_int_equal(array.freshest, 0);
	assert_false(md_array_is_in_sync(&array, &array.members[2]));
	assert_int_equal(md_array_missing(&array), 0);
	md_array_fini(&array);
	rig_fini(&rig);
}

/* --- where a bitmap may lie -------------------------------------------------- */

static void poke_u32(struct rig *rig, uint64_t at, uint32_t v)
{
	uint8_t le[4] = { (uint8_t)v, (uint8_t)(v >> 8), (uint8_t)(v >> 16),
			  (uint8_t)(v >> 24) };

	disk_mem_poke(rig->disks[0], at, le, sizeof(le));
}

static void bitmap_that_lies_wrong_is_refused_by_field(void **state)
{
	static const struct {
		uint64_t at;
		uint32_t value;
		const char *field;
	} cases[] = {
		{ 8192 + 68, 300, "nodes" },     /* runs into the data */
		{ 8192 + 68, 4000, "nodes" },    /* runs off the disk */
		{ 8192 + 40, 1 << 30, "sync_size" },
		{ 8192 + 8, 0x12345678, "uuid" },
		{ 8192, 0, "magic" },
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct rig rig;
		struct md_member m;
		struct err err = ERR_INIT;

		two_disks(&rig);
		poke_u32(&rig, cases[i].at, cases[i].value);
		assert_ok(md_member_load(&m, rig.disks[0], &err), err);
		assert_refused(md_member_load_bitmap(&m, &err), -EBADMSG, err,
			       "a: ", cases[i].field);
		md_member_fini(&m);
		rig_fini(&rig);
	}
}

/*
 * Slots are written with one geometry to all members. If theirs differ, a slot
 * of one lies over the data of the other: an update once wrote there.
 */
static void members_whose_slots_differ_are_refused(void **state)
{
	static const struct {
		uint64_t at;
		uint32_t value;
		const char *field;
	} cases[] = {
		{ 8192 + 52, 4096, "chunksize" },  /* many more pages */
		{ 8192 + 40, 4096, "sync_size" },
		{ 8192 + 4, 4, "version" },
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct rig rig;
		struct md_create_params p;
		struct md_array array;
		struct err err = ERR_INIT;

		/* 262144 sectors of data: two pages a slot with 4 KiB chunks */
		rig_init(&rig, 1, 2, 2048 + 262144);
		p = rig_params(&rig);
		p.bitmap_chunk_bytes = i == 1 ? 4096 : 65536;
		rig_create(&rig, &p);
		poke_u32(&rig, cases[i].at, cases[i].value);
		assert_refused(md_array_load(&array, rig.disks, 2, NULL, &err),
			       -EBADMSG, err, cases[i].field, "b: ", "a has");
		rig_fini(&rig);
	}
}

static void data_comes_early(struct md_sb *sb)
{
	sb->data_offset = 16 + 2 * 8; /* behind two slots, not four */
	sb->data_size -= 128;
	sb->size = 4096;
}

static void small(struct md_sb *sb)
{
	sb->size = 4096;
}

/* a promises four slots; on b the data begins behind two. */
static void slots_that_one_member_has_no_room_for_are_refused(void **state)
{
	struct rig rig;
	struct md_array array;
	struct err err = ERR_INIT;
	uint8_t two[4] = { 2, 0, 0, 0 }, size[8] = { 0, 0x10 };
	size_t i;

	(void)state;
	two_disks(&rig);
	edit(rig.disks[0], small);
	edit(rig.disks[1], data_comes_early);
	for (i = 0; i < 2; i++)
		disk_mem_poke(rig.disks[i], 8192 + 40, size, sizeof(size));
	disk_mem_poke(rig.disks[1], 8192 + 68, two, sizeof(two));
	assert_refused(md_array_load(&array, rig.disks, 2, NULL, &err), -EBADMSG,
		       err, "b: ", "nodes", "data_offset");
	rig_fini(&rig);
}

static void events_at_the_end(struct md_sb *sb)
{
	sb->events = UINT64_MAX;
}

static void freshest_member_is_never_stale(void **state)
{
	struct rig rig;
	struct md_array array;
	struct err err = ERR_INIT;

	(void)state;
	two_disks(&rig);
	edit(rig.disks[0], events_at_the_end);
	assert_ok(md_array_load(&array, rig.disks, 2, NULL, &err), err);
	assert_false(md_array_is_stale(&array, &array.members[0]));
	assert_true(md_array_is_stale(&array, &array.members[1]));
	md_array_fini(&array);
	rig_fini(&rig);
}

static void far_away(struct md_sb *sb)
{
	sb->bitmap_offset = 1 << 30;
}

static void before_the_disk(struct md_sb *sb)
{
	sb->bitmap_offset = -100;
}

static void onto_the_superblock(struct md_sb *sb)
{
	sb->bitmap_offset = -2;
}

static void bitmap_offset_that_lies_is_refused(void **state)
{
	void (*const cases[])(struct md_sb *) = { far_away, before_the_disk,
						  onto_the_superblock };
	size_t i;

	(void)state;
	for (i = 0; i < 3; i++) {
		struct rig rig;
		struct md_member m;
		struct err err = ERR_INIT;

		two_disks(&rig);
		edit(rig.disks[0], cases[i]);
		assert_ok(md_member_load(&m, rig.disks[0], &err), err);
		assert_int_equal(md_member_load_bitmap(&m, &err), -EBADMSG);
		md_member_fini(&m);
		rig_fini(&rig);
	}
}

/* --- which superblock counts -------------------------------------------------- */

/* Puts a 1.0 or 1.1 superblock beside the 1.2 one. */
static void add_superblock(struct disk *disk, enum md_minor minor,
			   uint64_t ctime)
{
	struct md_member m;
	struct err err = ERR_INIT;
	uint8_t block[MD_SB_BYTES] = { 0 };

	assert_ok(md_member_load(&m, disk, &err), err);
	m.sb.super_offset = md_sb_location(minor, disk_sectors(disk));
	m.sb.ctime = ctime;
	m.sb.feature_map = 0;
	if (minor == MD_MINOR_0) {
		m.sb.data_offset = 0;
		m.sb.data_size = m.sb.super_offset;
	}
	md_sb_emit(&m.sb, block);
	disk_mem_poke(disk, m.sb.super_offset * SECTOR_BYTES, block,
		      sizeof(block));
	md_member_fini(&m);
}

static void youngest_of_several_superblocks_counts(void **state)
{
	struct rig rig;
	struct md_member m;
	struct err err = ERR_INIT;

	(void)state;
	two_disks(&rig);
	add_superblock(rig.disks[0], MD_MINOR_0, 1600000000);
	assert_ok(md_member_load(&m, rig.disks[0], &err), err);
	assert_int_equal(m.minor, MD_MINOR_2);
	md_member_fini(&m);
	add_superblock(rig.disks[0], MD_MINOR_0, 1800000000);
	assert_ok(md_member_load(&m, rig.disks[0], &err), err);
	assert_int_equal(m.minor, MD_MINOR_0);
	assert_refused(md_member_load_bitmap(&m, &err), -ENOENT, err,
		       "no bitmap");
	assert_non_null(md_member_kernel_refusal(&m));
	md_member_fini(&m);
	add_superblock(rig.disks[1], MD_MINOR_1, 1900000000);
	assert_ok(md_member_load(&m, rig.disks[1], &err), err);
	assert_int_equal(m.minor, MD_MINOR_1);
	md_member_fini(&m);
	rig_fini(&rig);
}

static void disk_without_superblock_says_so_and_a_damaged_one_says_what(void **state)
{
	struct rig rig;
	struct md_member m;
	struct err err = ERR_INIT;

	(void)state;
	rig_init(&rig, 1, 2, SECTORS);
	assert_refused(md_member_load(&m, rig.disks[0], &err), -ENOENT, err, "a",
		       "no md superblock");
	md_member_fini(&m);
	rig_fini(&rig);
	two_disks(&rig);
	poke_u32(&rig, 4096 + 200, 77);
	assert_refused(md_member_load(&m, rig.disks[0], &err), -EBADMSG, err,
		       "a: ", "checksum");
	md_member_fini(&m);
	disk_mem_set_fault(rig.disks[1], DISK_MEM_FAIL_READS, 4096, 4096);
	assert_refused(md_member_load(&m, rig.disks[1], &err), -EIO, err, "b: ",
		       "read");
	md_member_fini(&m);
	rig_fini(&rig);
}

static void disk_of_a_few_sectors_is_refused(void **state)
{
	struct rig rig;
	struct md_member m;
	struct err err = ERR_INIT;

	(void)state;
	rig_init(&rig, 1, 1, 16);
	assert_refused(md_member_load(&m, rig.disks[0], &err), -ENOENT, err,
		       "16 sectors");
	md_member_fini(&m);
	rig_fini(&rig);
}

/* --- what the kernel would say -------------------------------------------------- */

static const char *verdict(void (*change)(struct md_sb *sb))
{
	static char text[256];
	struct rig rig;
	struct md_member m;
	struct err err = ERR_INIT;
	const char *refusal;

	two_disks(&rig);
	if (change)
		edit(rig.disks[0], change);
	assert_ok(md_member_load(&m, rig.disks[0], &err), err);
	md_member_load_bitmap(&m, &err);
	refusal = md_member_kernel_refusal(&m);
	snprintf(text, sizeof(text), "%s", refusal ? refusal : "");
	md_member_fini(&m);
	rig_fini(&rig);
	return text;
}

static void no_bitmap(struct md_sb *sb)
{
	sb->feature_map = 0;
}

static void raid5(struct md_sb *sb)
{
	sb->level = 5;
}

static void raid10_far(struct md_sb *sb)
{
	other_level(sb);
	sb->layout = 0x201;
}

static void with_journal(struct md_sb *sb)
{
	sb->feature_map |= MD_FEATURE_JOURNAL;
}

static void kernel_verdict_gives_the_reason(void **state)
{
	(void)state;
	assert_string_equal(verdict(NULL), "");
	assert_non_null(strstr(verdict(no_bitmap), "no bitmap"));
	assert_non_null(strstr(verdict(raid5), "level"));
	assert_non_null(strstr(verdict(raid10_far), "near"));
	assert_non_null(strstr(verdict(with_journal), "journal"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(members_of_different_arrays_are_refused_by_field),
		cmocka_unit_test(member_one_event_behind_counts_and_two_behind_does_not),
		cmocka_unit_test(role_comes_from_the_freshest_member),
		cmocka_unit_test(member_under_repair_is_not_read),
		cmocka_unit_test(missing_members_are_counted),
		cmocka_unit_test(stale_spare_does_not_become_freshest),
		cmocka_unit_test(bitmap_that_lies_wrong_is_refused_by_field),
		cmocka_unit_test(members_whose_slots_differ_are_refused),
		cmocka_unit_test(slots_that_one_member_has_no_room_for_are_refused),
		cmocka_unit_test(freshest_member_is_never_stale),
		cmocka_unit_test(bitmap_offset_that_lies_is_refused),
		cmocka_unit_test(youngest_of_several_superblocks_counts),
		cmocka_unit_test(disk_without_superblock_says_so_and_a_damaged_one_says_what),
		cmocka_unit_test(disk_of_a_few_sectors_is_refused),
		cmocka_unit_test(kernel_verdict_gives_the_reason),
	};

	return cmocka_run_group_tests_name("arrays", tests, NULL, NULL);
}
